//! Wallets: accounts with their entries and rows to read, escrows, and the ledger over all of them, against the log's
//! events.
//!
//! A partition's query tells its rows and entries before its state, so an account is as new as its entries or newer.

use std::collections::{BTreeMap, HashSet};

use consumer::Handler as _;
use events::{
    Contract, Timestamp, TransactionId,
    contracts::wallet::{BalanceState, BalanceUpdated, EscrowHeld},
};
use outbox::Item;
use rust_decimal::Decimal;
use serde_json::Value;
use wallet::{
    Account, Escrow,
    balances::Row,
    books::{AsIf, Books, Stored, Wrong, WrongEscrow, check_account, check_escrow},
    ledger::Entry,
};
use wallet_balances::handler::WalletBalances;

use super::super::{Error, Kind, PointFigures};
use super::{Audit, advice, count, reading::Partitions, shown, text};

/// What is known of wallets.
#[derive(Debug, Default)]
pub(super) struct Wallets {
    /// As the log tells it.
    pub(super) books: Books,
    /// What each movement's entries come to so far, where that is not zero; since when, and in whose ledger.
    unbalanced: BTreeMap<TransactionId, (Decimal, Timestamp, String)>,
    /// Movements of which something was said already.
    suspected: HashSet<TransactionId>,
    /// What all accounts hold: available, in escrow, earned.
    held: [Decimal; 3],
}

impl Wallets {
    fn enter(&mut self, aggregate: &str, entry: &Entry) {
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
        let balances = BalanceState::ALL.map(|state| account.balance(state));
        for (sum, balance) in self.held.iter_mut().zip(balances) {
            *sum = sum.saturating_add(balance.decimal());
        }
    }
}

impl Audit<'_> {
    /// Everything in the table `wallet`; the domain's sums, where it was all of it.
    pub(super) async fn wallets(&mut self) -> Result<Option<PointFigures>, Error> {
        let table = self.sources.tables.wallet.clone();
        let places = self.places(&table, |aggregate| {
            let kind = aggregate.split('#').next().unwrap_or_default();
            let ours = [BalanceUpdated::AGGREGATE, EscrowHeld::AGGREGATE].contains(&kind);
            ours.then(|| aggregate.to_owned())
        });
        let books = std::mem::take(&mut self.wallets.books);
        let mut escrows: HashSet<String> = HashSet::new();
        let mut partitions = Partitions::of(places, &table, |pk, item| {
            let kind = pk.split('#').next().unwrap_or_default();
            text(item, "sk") == Some("state")
                || [BalanceUpdated::AGGREGATE, EscrowHeld::AGGREGATE].contains(&kind)
        });
        while let Some((pk, items)) = partitions.next(self).await? {
            if let Some(state) = items.iter().find(|item| text(item, "sk") == Some("state")) {
                self.state(&pk, state).await?;
            }
            match pk.split_once('#') {
                Some((BalanceUpdated::AGGREGATE, id)) => {
                    self.wallet_account(&books, &pk, id, items);
                }
                Some((EscrowHeld::AGGREGATE, id)) => {
                    escrows.insert(id.to_owned());
                    self.escrow(&books, &pk, id, items);
                }
                _ => {}
            }
        }
        for id in books.escrows().filter(|id| !escrows.contains(*id)) {
            self.escrow_wrong(&books, id, check_escrow(books.escrow(id), None));
        }
        if !self.scope.is_empty() {
            return Ok(None);
        }
        self.across(&books);
        self.balanced();
        Ok(Some(self.check_points(&books)))
    }

    fn wallet_account(&mut self, books: &Books, pk: &str, id: &str, items: Vec<Item>) {
        let table = self.sources.tables.wallet.clone();
        let mut stored = Stored::default();
        let mut readable = true;
        for item in items {
            let sk = text(&item, "sk").unwrap_or_default().to_owned();
            if sk == "state" {
                let version = item.get("version").and_then(Value::as_u64).unwrap_or(0);
                let account = self.typed::<Account>(&table, item);
                readable &= account.is_some();
                stored.account = account.map(|account| (version, account));
            } else if let Some(digits) = sk.strip_prefix("entry#") {
                let entry = self.typed::<Entry>(&table, item);
                readable &= entry.is_some();
                if let (Ok(number), Some(entry)) = (digits.parse(), entry) {
                    self.wallets.enter(pk, &entry);
                    stored.entries.insert(number, entry);
                }
            } else if sk.starts_with("balance#") {
                let row = self.typed::<Row>(&table, item);
                readable &= row.is_some();
                stored.rows.extend(row);
            }
        }
        self.counts.ledger_entries += count(stored.entries.len());
        if let Some((_, account)) = &stored.account {
            self.wallets.hold(account);
        }
        if !readable {
            return;
        }
        let checked = check_account(books.account(id), &stored, self.moving_since());
        self.counts.moving += checked.moving;
        for wrong in checked.wrong {
            if let Wrong::OtherEntry { number, .. } = &wrong {
                // It may name a movement that it has no part in.
                let entry = stored.entries.get(number);
                let named = entry.map(|entry| entry.transaction_id);
                self.wallets.suspected.extend(named);
            }
            self.wallet_wrong(pk, wrong);
        }
        if stored.account.is_none()
            && let Some(known) = self.aggregates.get_mut(pk)
        {
            // Said already.
            known.has_state = true;
        }
    }

    fn wallet_wrong(&mut self, aggregate: &str, wrong: Wrong) {
        let account = shown(aggregate);
        match wrong {
            Wrong::EntryTwice { number, event_id } => {
                let what = format!("another event names entry {number} of {account} too");
                self.about(Kind::Doubled, event_id, None, None, what, advice::TWICE);
            }
            Wrong::MovedTwice {
                transaction_id,
                event_id,
            } => {
                self.wallets.suspected.insert(transaction_id);
                let what =
                    format!("movement {transaction_id} changed this balance of {account} before");
                self.about(Kind::Doubled, event_id, None, None, what, advice::TWICE);
            }
            Wrong::VersionTwice { version, event_id } => {
                let what = format!("another movement states version {version} of {account} too");
                self.about(Kind::Doubled, event_id, None, None, what, advice::TWICE);
            }
            Wrong::VersionUntold { version } => {
                let what = format!("no event and no entry tells of version {version}");
                self.stored_wrong(Kind::Books, aggregate, what, advice::BOOKS);
            }
            Wrong::EntryMissing {
                number,
                transaction_id,
                event_id,
            } => {
                self.wallets.suspected.insert(transaction_id);
                let what = format!("the ledger of {account} has no entry {number}");
                self.about(Kind::Books, event_id, None, None, what, advice::BOOKS);
            }
            Wrong::OtherEntry {
                number,
                transaction_id,
                event_id,
                differing,
            } => {
                self.wallets.suspected.insert(transaction_id);
                let differing = differing.join(", ");
                let what =
                    format!("entry {number} of {account} has another {differing} than the event");
                self.about(Kind::Books, event_id, None, None, what, advice::BOOKS);
            }
            Wrong::EntryUntold {
                number,
                transaction_id,
            } => {
                self.wallets.suspected.insert(transaction_id);
                let what = format!(
                    "the ledger has entry {number} of movement {transaction_id}, no event tells of it"
                );
                self.stored_wrong(Kind::OutOfSequence, aggregate, what, advice::SEQUENCE);
            }
            Wrong::NumberUntold { number } => {
                let what = format!("neither an event nor an entry has number {number}");
                self.stored_wrong(Kind::OutOfSequence, aggregate, what, advice::SEQUENCE);
            }
            Wrong::Step {
                event_id,
                state,
                expected,
                stated,
            } => {
                let what = format!(
                    "states {stated} as {state} of {account}; {expected} follows from the event before"
                );
                self.about(Kind::Books, event_id, None, None, what, advice::BOOKS);
            }
            Wrong::Balance {
                event_id,
                state,
                expected,
                stored,
                as_if,
            } => {
                let figure =
                    format!("what is {state} of {account} is {stored} instead of {expected}");
                match (as_if, event_id) {
                    (AsIf::Twice(event_id), _) => {
                        let what = format!("{figure}, as if this event had taken effect twice");
                        self.about(Kind::Doubled, event_id, None, None, what, advice::DOUBLED);
                    }
                    (AsIf::Never(event_id), _) => {
                        let what = format!("{figure}, as if this event had taken no effect");
                        self.about(Kind::Books, event_id, None, None, what, advice::BOOKS);
                    }
                    (AsIf::Unknown, Some(event_id)) => {
                        self.about(Kind::Books, event_id, None, None, figure, advice::BOOKS);
                    }
                    (AsIf::Unknown, None) => {
                        self.stored_wrong(Kind::Books, aggregate, figure, advice::BOOKS);
                    }
                }
            }
            Wrong::LastEntry { expected, stored } => {
                let what = format!("it counts {stored} entries, the last one is {expected}");
                self.stored_wrong(Kind::Books, aggregate, what, advice::BOOKS);
            }
            Wrong::Behind {
                event_id,
                told,
                stored,
            } => {
                let what =
                    format!("{account} is stored with version {stored}; its events come to {told}");
                self.about(Kind::Books, event_id, None, None, what, advice::BOOKS);
            }
            Wrong::NoAccount { event_id } => {
                let what = format!("there is no {account}, though events tell of it");
                self.about(Kind::Books, event_id, None, None, what, advice::BOOKS);
            }
            Wrong::RowUntold { state, version } => {
                let name = WalletBalances::NAME;
                let what = format!(
                    "the row of what is {state}, kept by {name}, is of version {version}; no event tells of it"
                );
                self.stored_wrong(Kind::Books, aggregate, what, advice::BOOKS);
            }
        }
    }

    fn stored_wrong(&mut self, kind: Kind, aggregate: &str, what: String, advice: &'static str) {
        self.found(kind, Some(aggregate), None, what, "stored state", advice);
    }

    fn escrow(&mut self, books: &Books, pk: &str, id: &str, items: Vec<Item>) {
        let table = self.sources.tables.wallet.clone();
        let is_state = |item: &Item| text(item, "sk") == Some("state");
        let Some(item) = items.into_iter().find(is_state) else {
            self.escrow_wrong(books, id, check_escrow(books.escrow(id), None));
            return;
        };
        self.counts.escrows += 1;
        let version = item.get("version").and_then(Value::as_u64).unwrap_or(0);
        let Some(escrow) = self.typed::<Escrow>(&table, item) else {
            return;
        };
        let told = books.escrow(id);
        if escrow.escrow_id().to_string() != id {
            let what = format!("it holds escrow {}", escrow.escrow_id());
            self.stored_wrong(Kind::Unreadable, pk, what, advice::UNREADABLE);
            return;
        }
        self.escrow_wrong(books, id, check_escrow(told, Some((version, &escrow))));
    }

    fn escrow_wrong(&mut self, books: &Books, id: &str, wrong: Vec<WrongEscrow>) {
        if wrong.is_empty() {
            return;
        }
        let told = books.escrow(id).iter().map(|told| told.transaction_id);
        self.wallets.suspected.extend(told);
        for one in wrong {
            let (kind, event_id, what, advice) = match one {
                WrongEscrow::NotHeldFirst { event_id } => (
                    Kind::OutOfSequence,
                    event_id,
                    "it is the first event of an escrow and does not hold it".to_owned(),
                    advice::TWICE,
                ),
                WrongEscrow::HeldAgain { event_id } => (
                    Kind::Doubled,
                    event_id,
                    "holds an escrow that is held already".to_owned(),
                    advice::TWICE,
                ),
                WrongEscrow::EndedTwice { event_id } => (
                    Kind::Doubled,
                    event_id,
                    "ends an escrow that has ended".to_owned(),
                    advice::TWICE,
                ),
                WrongEscrow::Parts {
                    event_id,
                    held,
                    parts,
                } => (
                    Kind::Books,
                    event_id,
                    format!("{held} were held, {parts} went back or were earned"),
                    advice::BOOKS,
                ),
                WrongEscrow::OtherUser { event_id } => (
                    Kind::Books,
                    event_id,
                    "ends an escrow of another user".to_owned(),
                    advice::BOOKS,
                ),
                WrongEscrow::OtherState {
                    event_id,
                    differing,
                } => (
                    Kind::Books,
                    event_id,
                    format!(
                        "the stored escrow has another {} than its events tell",
                        differing.join(", ")
                    ),
                    advice::BOOKS,
                ),
            };
            self.about(kind, event_id, None, None, what, advice);
        }
    }

    /// An escrow's event and its accounts' events tell of the same movement.
    fn across(&mut self, books: &Books) {
        let (across, moving) = books.across(self.moving_since());
        self.counts.moving += moving;
        for one in across {
            if self.wallets.suspected.insert(one.transaction_id) {
                let what = format!(
                    "what it tells of {} at version {} is not what the other events of its movement tell",
                    shown(&format!("{}#{}", BalanceUpdated::AGGREGATE, one.account)),
                    one.version
                );
                self.about(Kind::Books, one.event_id, None, None, what, advice::BOOKS);
            }
        }
    }

    /// Every movement sums to zero over all accounts.
    fn balanced(&mut self) {
        for (id, (sum, since, aggregate)) in std::mem::take(&mut self.wallets.unbalanced) {
            if self.wallets.suspected.contains(&id) {
                continue;
            }
            if self.is_young(since) {
                // One of its accounts was read before it.
                self.counts.moving += 1;
                continue;
            }
            let what = format!("the entries of movement {id} sum to {sum}");
            self.stored_wrong(Kind::Books, &aggregate, what, advice::BOOKS);
        }
    }

    fn check_points(&mut self, books: &Books) -> PointFigures {
        let [available, escrow, earned] = self.wallets.held;
        let owed = books.deposited - books.withdrawn;
        if self.counts.moving == 0
            && self.findings.is_empty()
            && available + escrow + earned != owed
        {
            let what = format!(
                "{available} points are available, {escrow} in escrow, {earned} earned; {} were deposited, {} withdrawn",
                books.deposited, books.withdrawn
            );
            self.found(Kind::Books, None, None, what, "stored state", advice::BOOKS);
        }
        let words = |sum: Decimal| sum.normalize().to_string();
        PointFigures {
            deposited: words(books.deposited),
            withdrawn: words(books.withdrawn),
            available: words(available),
            escrow: words(escrow),
            earned: words(earned),
        }
    }
}
