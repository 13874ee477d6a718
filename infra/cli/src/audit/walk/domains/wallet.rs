//! Wallets: compares accounts with their entries and read rows, escrows, and the ledger over all of them with the log's
//! events.
//!
//! The query of a partition returns its rows and entries before its state, so the state is at least as new as the
//! entries.

mod accounts;
mod escrows;

use std::collections::{BTreeMap, HashSet};

use async_trait::async_trait;
use events::{
    Contract, Envelope, Timestamp, TransactionId,
    contracts::wallet::{BalanceUpdated, EscrowHeld},
};
use outbox::Table;
use rust_decimal::Decimal;
use wallet::{
    Account,
    books::{Books, check_escrow},
    ledger::LedgerEntry,
};

use super::DomainAudit;
use crate::audit::{
    AuditTables, Error, Figure, Kind,
    walk::{
        advice,
        audit::{Audit, is_state, kind_of, shown},
        reading::Partitions,
    },
};

/// The unit of the domain's figures.
const UNIT: &str = "points";

/// The aggregate types of the domain. Each aggregate has a partition of its own.
const AGGREGATES: &[&str] = &[BalanceUpdated::AGGREGATE, EscrowHeld::AGGREGATE];

/// The table `wallet`, and what was read of it.
pub(super) struct Wallets {
    table: Table,
    /// What follows from the log.
    books: Books,
    /// The sum of each movement's entries so far, if it is not zero; since when, and in which ledger.
    unbalanced: BTreeMap<TransactionId, (Decimal, Timestamp, String)>,
    /// Movements that have a finding already.
    suspected: HashSet<TransactionId>,
    /// The totals of all accounts: available, in escrow, earned.
    held: [Decimal; 3],
    entries: u64,
    escrows: u64,
    figures: Vec<(&'static str, Figure)>,
}

impl Wallets {
    pub(super) fn new(tables: &AuditTables) -> Option<Self> {
        Some(Self {
            table: tables.of("wallet")?,
            books: Books::default(),
            unbalanced: BTreeMap::new(),
            suspected: HashSet::new(),
            held: [Decimal::ZERO; 3],
            entries: 0,
            escrows: 0,
            figures: Vec::new(),
        })
    }

    fn enter(&mut self, aggregate: &str, entry: &LedgerEntry) {
        let (id, amount) = (entry.transaction_id, entry.amount.decimal());
        let fresh = || (Decimal::ZERO, entry.occurred_at, aggregate.to_owned());
        let movement = self.unbalanced.entry(id).or_insert_with(fresh);
        movement.0 = movement.0.saturating_add(amount);
        movement.1 = movement.1.min(entry.occurred_at);
        if aggregate < movement.2.as_str() {
            aggregate.clone_into(&mut movement.2);
        }
        if movement.0.is_zero() {
            self.unbalanced.remove(&id);
        }
    }

    fn hold(&mut self, account: &Account) {
        let balances =
            events::contracts::wallet::BalanceState::ALL.map(|state| account.balance(state));
        for (sum, balance) in self.held.iter_mut().zip(balances) {
            *sum = sum.saturating_add(balance.decimal());
        }
    }

    /// Checks that an escrow's event and the events of its accounts state the same movement.
    fn across(&mut self, audit: &mut Audit<'_>, books: &Books) {
        let (across, moving) = books.across(audit.moving_since());
        audit.counts.moving += moving;
        for one in across {
            if self.suspected.insert(one.transaction_id) {
                let what = format!(
                    "what it states of {} at version {} differs from the other events of its movement",
                    shown(&format!("{}#{}", BalanceUpdated::AGGREGATE, one.account)),
                    one.version
                );
                audit.of_event(Kind::Books, one.event_id, what, advice::BOOKS);
            }
        }
    }

    /// Checks that every movement sums to zero over all accounts.
    fn balanced(&mut self, audit: &mut Audit<'_>) {
        for (id, (sum, since, aggregate)) in std::mem::take(&mut self.unbalanced) {
            if self.suspected.contains(&id) {
                continue;
            }
            if audit.is_young(since) {
                // One of its accounts was read before the movement.
                audit.counts.moving += 1;
                continue;
            }
            let what = format!("the entries of movement {id} sum to {sum}");
            audit.of_state(Kind::Books, &aggregate, what, advice::BOOKS);
        }
    }

    /// Checks that all accounts together hold the deposits minus the withdrawals.
    fn sums(&mut self, audit: &mut Audit<'_>, books: &Books) {
        let [available, escrow, earned] = self.held;
        let (deposited, withdrawn) = (books.deposited, books.withdrawn);
        let is_sure = audit.counts.moving == 0 && audit.findings.is_empty();
        if is_sure && available + escrow + earned != deposited - withdrawn {
            let what = format!(
                "{available} points are available, {escrow} in escrow, {earned} earned; {deposited} were deposited, {withdrawn} withdrawn"
            );
            audit.found(Kind::Books, None, None, what, "stored state", advice::BOOKS);
        }
        self.figures = [
            ("deposited", deposited),
            ("withdrawn", withdrawn),
            ("available", available),
            ("escrow", escrow),
            ("earned", earned),
        ]
        .map(|(name, sum)| (name, Figure::new(sum, UNIT)))
        .into();
    }
}

#[async_trait]
impl DomainAudit for Wallets {
    fn name(&self) -> &'static str {
        "wallet"
    }

    fn on_event(&mut self, _: &mut Audit<'_>, envelope: &Envelope) -> Result<(), String> {
        let entered = self.books.enter(envelope);
        entered.map(drop).map_err(|error| error.to_string())
    }

    async fn check(&mut self, audit: &mut Audit<'_>) -> Result<(), Error> {
        let places = audit.places_of(&self.table, AGGREGATES);
        let books = std::mem::take(&mut self.books);
        let mut escrows: HashSet<String> = HashSet::new();
        let mut partitions = Partitions::of(places, &self.table, |pk, item| {
            is_state(item) || AGGREGATES.contains(&kind_of(pk))
        });
        while let Some((pk, items)) = partitions.next(audit).await? {
            if let Some(state) = items.iter().find(|item| is_state(item)) {
                audit.state(&pk, state).await?;
            }
            match pk.split_once('#') {
                Some((BalanceUpdated::AGGREGATE, id)) => {
                    self.account(audit, &books, &pk, id, items);
                }
                Some((EscrowHeld::AGGREGATE, id)) => {
                    escrows.insert(id.to_owned());
                    self.escrow(audit, &books, &pk, id, items);
                }
                _ => {}
            }
        }
        for id in books.escrows().filter(|id| !escrows.contains(*id)) {
            self.escrow_wrong(audit, &books, id, check_escrow(books.escrow(id), None));
        }
        if audit.is_whole() {
            self.across(audit, &books);
            self.balanced(audit);
            self.sums(audit, &books);
        }
        Ok(())
    }

    fn counts(&self) -> Vec<(&'static str, u64)> {
        vec![("ledger_entries", self.entries), ("escrows", self.escrows)]
    }

    fn figures(&self) -> Vec<(&'static str, Figure)> {
        self.figures.clone()
    }
}
