//! The books: what the log's events come to, compared with what is stored. Pure; the audit reads and asks.
//!
//! | what must hold | by |
//! |---|---|
//! | an account's entries are numbered without gaps, each is told by exactly one event and says what it says | [`check_account`] |
//! | a movement changes a balance state of an account once, by one version of it | [`check_account`] |
//! | each event's balance follows from the one before | [`check_account`] |
//! | the stored balances are those the events come to, and count the entries | [`check_account`] |
//! | a row of the read model is of an event | [`check_account`] |
//! | an escrow is held once and first, ends at most once, and is divided without rest | [`check_escrow`] |
//! | the stored escrow is what its events say | [`check_escrow`] |
//! | an escrow's event and its accounts' events tell of the same movement | [`Books::across`] |
//!
//! That a movement's entries sum to zero over all accounts is the caller's to add up: no single account shows it.

mod account;
mod escrows;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use events::{
    Contract, DecodeError, Envelope, EventId, LedgerEntryId, MoveReason, Points, Timestamp,
    TransactionId,
    contracts::wallet::{
        BalanceUpdated, Deposited, EscrowHeld, EscrowPartialSettled, EscrowRefunded, EscrowSettled,
        Withdrawn,
    },
    decode_payload,
};
use rust_decimal::Decimal;

pub use self::{
    account::{AsIf, Checked, Stored, Wrong, check_account},
    escrows::{Told, WrongEscrow, check_escrow},
};
use crate::ledger::{Entry, Side};

/// A change of one side of an account, as an event tells it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// By which event.
    pub event_id: EventId,
    /// The event's number among its aggregate's events.
    pub sequence: u64,
    /// When.
    pub occurred_at: Timestamp,
    /// The movement it is a part of.
    pub transaction_id: TransactionId,
    /// The account's version after it.
    pub version: u64,
    /// What changed.
    pub side: Side,
    /// By how much.
    pub amount: Decimal,
    /// The balance before and after it; nothing of the world outside.
    pub balance: Option<(Points, Points)>,
    /// The entry it names, and why points moved; an event about the world outside names neither.
    pub entry: Option<(LedgerEntryId, MoveReason)>,
}

impl Line {
    /// The number of the entry it names.
    fn number(&self) -> Option<u64> {
        let (entry, _) = self.entry.as_ref()?;
        let (_, number) = entry.as_str().rsplit_once('/')?;
        number.parse().ok()
    }

    /// What an entry says otherwise.
    fn differing(&self, entry: &Entry) -> Vec<&'static str> {
        let after = self.balance.map(|(_, after)| after);
        let named = self.entry.as_ref();
        let differs = [
            (
                "name",
                named.is_some_and(|(name, _)| *name != entry.ledger_entry_id),
            ),
            (
                "reason",
                named.is_some_and(|(_, reason)| *reason != entry.reason),
            ),
            ("transaction", self.transaction_id != entry.transaction_id),
            ("balance state", self.side != entry.balance_state),
            ("amount", self.amount != entry.amount.decimal()),
            ("balance", after != entry.balance_after),
            ("moment", self.occurred_at != entry.occurred_at),
        ];
        differs
            .into_iter()
            .filter_map(|(name, differs)| differs.then_some(name))
            .collect()
    }
}

/// What an event tells of an account; of any other event, nothing.
fn line_of(envelope: &Envelope) -> Result<Option<(String, Line)>, DecodeError> {
    let line = |transaction_id, version, side, amount| Line {
        event_id: envelope.event_id,
        sequence: envelope.sequence.number(),
        occurred_at: envelope.occurred_at,
        transaction_id,
        version,
        side,
        amount,
        balance: None,
        entry: None,
    };
    Ok(match envelope.event_type.as_str() {
        BalanceUpdated::TYPE => {
            let event: BalanceUpdated = decode_payload(envelope)?;
            let (side, amount) = (event.balance_state.into(), event.change_amount.decimal());
            let told = Line {
                balance: Some((event.balance_before, event.balance_after)),
                entry: Some((event.ledger_entry_id, event.reason)),
                ..line(event.transaction_id, event.version.number(), side, amount)
            };
            Some((event.account_type.account(&event.account_id), told))
        }
        Deposited::TYPE => {
            let event: Deposited = decode_payload(envelope)?;
            let amount = -event.amount.decimal();
            let version = event.version.number();
            let told = line(event.transaction_id, version, Side::External, amount);
            Some((event.account_type.account(&event.account_id), told))
        }
        Withdrawn::TYPE => {
            let event: Withdrawn = decode_payload(envelope)?;
            let amount = event.amount.decimal();
            let version = event.version.number();
            let told = line(event.transaction_id, version, Side::External, amount);
            Some((event.account_type.account(&event.account_id), told))
        }
        _ => None,
    })
}

/// Puts one into its place behind those of the same or a lower number; at the end, where they come in order.
fn insert_by<T>(sorted: &mut Vec<T>, one: T, number: impl Fn(&T) -> u64) {
    let place = sorted.partition_point(|other| number(other) <= number(&one));
    sorted.insert(place, one);
}

/// All accounts and escrows, as the log tells them.
#[derive(Debug, Clone, Default)]
pub struct Books {
    accounts: BTreeMap<String, Vec<Line>>,
    escrows: BTreeMap<String, Vec<Told>>,
    /// All points that came from outside.
    pub deposited: Decimal,
    /// All points that went there.
    pub withdrawn: Decimal,
}

impl Books {
    /// Enters an event, in any order; whether it was one about points.
    ///
    /// # Errors
    /// [`DecodeError`] when its payload breaks its contract.
    pub fn enter(&mut self, envelope: &Envelope) -> Result<bool, DecodeError> {
        match envelope.event_type.as_str() {
            EscrowHeld::TYPE
            | EscrowSettled::TYPE
            | EscrowRefunded::TYPE
            | EscrowPartialSettled::TYPE => {
                if let Some(told) = Told::of(envelope)? {
                    let escrow = self.escrows.entry(told.escrow_id.to_string());
                    insert_by(escrow.or_default(), told, |told| told.sequence);
                }
                Ok(true)
            }
            _ => {
                let Some((account, line)) = line_of(envelope)? else {
                    return Ok(false);
                };
                if line.side == Side::External {
                    let (deposited, withdrawn) = (&mut self.deposited, &mut self.withdrawn);
                    if line.amount < Decimal::ZERO {
                        *deposited = deposited.saturating_sub(line.amount);
                    } else {
                        *withdrawn = withdrawn.saturating_add(line.amount);
                    }
                }
                let lines = self.accounts.entry(account).or_default();
                insert_by(lines, line, |line| line.sequence);
                Ok(true)
            }
        }
    }

    /// What events tell of an account, in their order; nothing where none does.
    #[must_use]
    pub fn account(&self, account: &str) -> &[Line] {
        self.accounts.get(account).map_or(&[], Vec::as_slice)
    }

    /// What events tell of an escrow, in their order; nothing where none does.
    #[must_use]
    pub fn escrow(&self, escrow: &str) -> &[Told] {
        self.escrows.get(escrow).map_or(&[], Vec::as_slice)
    }

    /// The accounts that events tell of.
    pub fn accounts(&self) -> impl Iterator<Item = &str> {
        self.accounts.keys().map(String::as_str)
    }

    /// The escrows that events tell of.
    pub fn escrows(&self) -> impl Iterator<Item = &str> {
        self.escrows.keys().map(String::as_str)
    }

    /// Movements that an escrow's event and the accounts' events tell differently, by the event that says so; and how many
    /// are only known from one side because they were made while the log was read. For a whole log.
    #[must_use]
    pub fn across(&self, moving_since: Option<Timestamp>) -> (Vec<Across>, u64) {
        let (mut wrong, mut moving) = (Vec::new(), 0);
        let mut told_of: BTreeSet<TransactionId> = BTreeSet::new();
        for told in self.escrows.values().flatten() {
            told_of.insert(told.transaction_id);
            for (account, version, balances) in told.stated() {
                let at = |line: &&Line| line.version == version;
                let lines: Vec<&Line> = self.account(&account).iter().filter(at).collect();
                // An account's event that is missing is a gap in its log.
                let agrees = |line: &&Line| {
                    let stated = balances.iter().find(|(side, _)| *side == line.side);
                    line.transaction_id == told.transaction_id
                        && stated.is_none_or(|(_, stated)| {
                            line.balance.is_none_or(|(_, after)| after == *stated)
                        })
                };
                if !lines.iter().all(agrees) {
                    wrong.push(Across {
                        event_id: told.event_id,
                        transaction_id: told.transaction_id,
                        account,
                        version,
                    });
                }
            }
        }
        for (account, lines) in &self.accounts {
            let outside: BTreeSet<TransactionId> = lines
                .iter()
                .filter(|line| line.side == Side::External)
                .map(|line| line.transaction_id)
                .collect();
            for line in lines {
                let id = line.transaction_id;
                if outside.contains(&id) || told_of.contains(&id) {
                    continue;
                }
                if moving_since.is_some_and(|since| line.occurred_at >= since) {
                    moving += 1;
                } else {
                    wrong.push(Across {
                        event_id: line.event_id,
                        transaction_id: id,
                        account: account.clone(),
                        version: line.version,
                    });
                }
            }
        }
        (wrong, moving)
    }
}

/// A movement that is not told alike by everything that tells of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Across {
    /// The event that stands alone, or that says otherwise.
    pub event_id: EventId,
    /// The movement.
    pub transaction_id: TransactionId,
    /// The account it changed.
    pub account: String,
    /// The account's version after it.
    pub version: u64,
}
