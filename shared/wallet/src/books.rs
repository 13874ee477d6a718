//! The books: what the events in the event log add up to, compared with what is stored. Pure; the audit does the
//! reading and asks these functions.
//!
//! | what must hold | checked by |
//! |---|---|
//! | entries are numbered without gaps; exactly one event reports each entry, and both agree | [`check_account`] |
//! | a movement changes a balance state of an account once, in one version of the account | [`check_account`] |
//! | each event's balance follows from the balance before it | [`check_account`] |
//! | the stored balances and the stored number of entries match the events | [`check_account`] |
//! | each row of the read model comes from an event | [`check_account`] |
//! | an escrow begins with its only hold, ends at most once, and its parts add up to the hold | [`check_escrow`] |
//! | the stored escrow matches its events | [`check_escrow`] |
//! | an escrow's event and its accounts' events report the same movement | [`Books::across`] |
//!
//! No single account shows whether a movement's entries sum to zero; the caller must add them up over all accounts.

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
    account::{AsIf, Checked, StoredAccount, Wrong, check_account},
    escrows::{RecordedEscrow, WrongEscrow, check_escrow},
};
use crate::ledger::{LedgerEntry, Side};

/// A change of one side of an account, as an event reports it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// The event that reports the change.
    pub event_id: EventId,
    /// The event's number within its aggregate.
    pub sequence: u64,
    /// When the event occurred.
    pub occurred_at: Timestamp,
    /// The movement that the change is part of.
    pub transaction_id: TransactionId,
    /// The account's version after the change.
    pub version: u64,
    /// The side that changed.
    pub side: Side,
    /// The change, with its sign.
    pub amount: Decimal,
    /// The balance before and after the change; `None` for the outside.
    pub balance: Option<(Points, Points)>,
    /// The entry that the event names, and why the points moved. Events about the outside name neither.
    pub entry: Option<(LedgerEntryId, MoveReason)>,
}

impl Line {
    /// The number of the entry that the event names.
    fn number(&self) -> Option<u64> {
        let (entry, _) = self.entry.as_ref()?;
        let (_, number) = entry.as_str().rsplit_once('/')?;
        number.parse().ok()
    }

    /// The fields in which an entry differs from this line.
    fn differing(&self, entry: &LedgerEntry) -> Vec<&'static str> {
        let after = self.balance.map(|(_, after)| after);
        let named = self.entry.as_ref();
        let differs = [
            (
                "id",
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
            ("time", self.occurred_at != entry.occurred_at),
        ];
        differs
            .into_iter()
            .filter_map(|(name, differs)| differs.then_some(name))
            .collect()
    }
}

/// The line that an event reports; `None` if the event is not about an account.
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
            let recorded = Line {
                balance: Some((event.balance_before, event.balance_after)),
                entry: Some((event.ledger_entry_id, event.reason)),
                ..line(event.transaction_id, event.version.number(), side, amount)
            };
            Some((event.account_type.account(&event.account_id), recorded))
        }
        Deposited::TYPE => {
            let event: Deposited = decode_payload(envelope)?;
            let amount = -event.amount.decimal();
            let version = event.version.number();
            let recorded = line(event.transaction_id, version, Side::External, amount);
            Some((event.account_type.account(&event.account_id), recorded))
        }
        Withdrawn::TYPE => {
            let event: Withdrawn = decode_payload(envelope)?;
            let amount = event.amount.decimal();
            let version = event.version.number();
            let recorded = line(event.transaction_id, version, Side::External, amount);
            Some((event.account_type.account(&event.account_id), recorded))
        }
        _ => None,
    })
}

/// Inserts one item after those with the same or a lower number. If the items arrive in order, that is the end.
fn insert_by<T>(sorted: &mut Vec<T>, one: T, number: impl Fn(&T) -> u64) {
    let place = sorted.partition_point(|other| number(other) <= number(&one));
    sorted.insert(place, one);
}

/// All accounts and escrows as the event log reports them.
#[derive(Debug, Clone, Default)]
pub struct Books {
    accounts: BTreeMap<String, Vec<Line>>,
    escrows: BTreeMap<String, Vec<RecordedEscrow>>,
    /// The sum of all deposits.
    pub deposited: Decimal,
    /// The sum of all withdrawals.
    pub withdrawn: Decimal,
}

impl Books {
    /// Enters an event; the order does not matter. Returns whether the event was about points.
    ///
    /// # Errors
    /// [`DecodeError`] when its payload breaks its contract.
    pub fn enter(&mut self, envelope: &Envelope) -> Result<bool, DecodeError> {
        match envelope.event_type.as_str() {
            EscrowHeld::TYPE
            | EscrowSettled::TYPE
            | EscrowRefunded::TYPE
            | EscrowPartialSettled::TYPE => {
                if let Some(recorded) = RecordedEscrow::of(envelope)? {
                    let escrow = self.escrows.entry(recorded.escrow_id.to_string());
                    insert_by(escrow.or_default(), recorded, |recorded| recorded.sequence);
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

    /// The changes that events report for an account, in order; empty if there are none.
    #[must_use]
    pub fn account(&self, account: &str) -> &[Line] {
        self.accounts.get(account).map_or(&[], Vec::as_slice)
    }

    /// The changes that events report for an escrow, in order; empty if there are none.
    #[must_use]
    pub fn escrow(&self, escrow: &str) -> &[RecordedEscrow] {
        self.escrows.get(escrow).map_or(&[], Vec::as_slice)
    }

    /// The accounts that have events.
    pub fn accounts(&self) -> impl Iterator<Item = &str> {
        self.accounts.keys().map(String::as_str)
    }

    /// The escrows that have events.
    pub fn escrows(&self) -> impl Iterator<Item = &str> {
        self.escrows.keys().map(String::as_str)
    }

    /// Movements for which an escrow's event and the accounts' events disagree, each with the event that shows it. Also
    /// counts the movements known from one side only because they were made while the log was being read. Requires a
    /// complete log.
    #[must_use]
    pub fn across(&self, moving_since: Option<Timestamp>) -> (Vec<Across>, u64) {
        let (mut wrong, mut moving) = (Vec::new(), 0);
        let mut movements: BTreeSet<TransactionId> = BTreeSet::new();
        for recorded in self.escrows.values().flatten() {
            movements.insert(recorded.transaction_id);
            for (account, version, balances) in recorded.stated() {
                let at = |line: &&Line| line.version == version;
                let lines: Vec<&Line> = self.account(&account).iter().filter(at).collect();
                // A missing account event shows as a gap in the account's events, so it is not reported here.
                let agrees = |line: &&Line| {
                    let stated = balances.iter().find(|(side, _)| *side == line.side);
                    line.transaction_id == recorded.transaction_id
                        && stated.is_none_or(|(_, stated)| {
                            line.balance.is_none_or(|(_, after)| after == *stated)
                        })
                };
                if !lines.iter().all(agrees) {
                    wrong.push(Across {
                        event_id: recorded.event_id,
                        transaction_id: recorded.transaction_id,
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
                if outside.contains(&id) || movements.contains(&id) {
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

/// A movement that its events report differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Across {
    /// The event that has no counterpart or disagrees with it.
    pub event_id: EventId,
    /// The movement.
    pub transaction_id: TransactionId,
    /// The account that the movement changed.
    pub account: String,
    /// The account's version after the movement.
    pub version: u64,
}
