//! Compares the accounts that follow from the log's events with what is stored. Pure; the audit reads the data and
//! calls this.
//!
//! | what must hold | checked by |
//! |---|---|
//! | exactly one event states each version of an account | [`check_account`] |
//! | each event's balance follows from the previous balance and the event's amount | [`check_account`] |
//! | the statement has exactly one line per change, and the line matches the event | [`check_account`] |
//! | the stored balances, liquid and locked, are those after the event of the stored version | [`check_account`] |
//! | the active stakes add up to the locked balance | [`check_account`] |
//! | each row of the outstanding total is the sum of the events counted in it | [`check_total`] |
//! | episodes are numbered, and only the last one can be open, exactly when the alert is open | [`check_episodes`] |

mod account;
mod entries;
mod totals;

use std::collections::BTreeMap;

use events::{DecodeError, Envelope, EventId};
use rust_decimal::Decimal;

use crate::account::Kind;

pub use self::{
    account::{Checked, StoredAccount, Wrong, check_account},
    entries::{BookEntry, RecordedChange, entries_of, outstanding_change},
    totals::{Total, WrongEpisode, check_episodes, check_total},
};

/// The changes of one account, by its version after them. A version with more than one change is an error. The changes
/// of one version are ordered by their events' ids.
pub type Ledger = BTreeMap<u64, Vec<RecordedChange>>;

/// All accounts, according to the log.
#[derive(Debug, Clone, Default)]
pub struct Books {
    ledgers: BTreeMap<String, Ledger>,
    /// All credits that were minted.
    pub minted: Decimal,
    /// All credits that were burned.
    pub burned: Decimal,
    /// All credits that were redeemed.
    pub redeemed: Decimal,
}

impl Books {
    /// Enters an event; the order does not matter. Returns whether the event changes an account.
    ///
    /// # Errors
    /// [`DecodeError`] if the event's payload breaks its contract.
    pub fn enter(&mut self, envelope: &Envelope) -> Result<bool, DecodeError> {
        let entries = entries_of(envelope)?;
        let any = !entries.is_empty();
        for entry in entries {
            self.enter_change(entry);
        }
        Ok(any)
    }

    /// Enters a change of one account that is known from another source than its event.
    pub fn enter_change(&mut self, entry: BookEntry) {
        let amount = entry.recorded.amount.decimal();
        match entry.recorded.kind {
            Kind::Minted => self.minted = self.minted.saturating_add(amount),
            Kind::Burned => self.burned = self.burned.saturating_add(amount),
            Kind::Redeemed => self.redeemed = self.redeemed.saturating_add(amount),
            Kind::TransferredIn | Kind::TransferredOut | Kind::Staked | Kind::Unstaked => {}
        }
        let ledger = self.ledgers.entry(entry.account).or_default();
        let recorded = ledger.entry(entry.version).or_default();
        // Ordered by event id, which ascends with time, because the log can be read in any order.
        let place = recorded.partition_point(|one| one.event_id <= entry.recorded.event_id);
        recorded.insert(place, entry.recorded);
    }

    /// The credits that must be outstanding, liquid and locked together.
    #[must_use]
    pub fn outstanding(&self) -> Decimal {
        self.minted - self.burned - self.redeemed
    }

    /// Removes and returns an account's changes; empty if no event records any.
    pub fn take(&mut self, account: &str) -> Ledger {
        self.ledgers.remove(account).unwrap_or_default()
    }

    /// The accounts that were not taken yet.
    #[must_use]
    pub fn rest(self) -> BTreeMap<String, Ledger> {
        self.ledgers
    }
}

/// Which single event would explain a wrong sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsIf {
    /// The sum is off as if this event had taken effect twice.
    Twice(EventId),
    /// The sum is off as if this event had taken no effect.
    Never(EventId),
    /// No single event explains the difference.
    Unknown,
}

impl AsIf {
    /// The latest change that explains the difference between what is stored and what is expected.
    fn explained<'a>(
        off: Decimal,
        changes: &(impl DoubleEndedIterator<Item = (EventId, Decimal)> + Clone + 'a),
    ) -> Self {
        let find = |wanted: Decimal| {
            let mut latest_first = changes.clone().rev();
            latest_first.find(|(_, change)| *change == wanted)
        };
        match (find(off), find(-off)) {
            (Some((event_id, _)), _) => Self::Twice(event_id),
            (None, Some((event_id, _))) => Self::Never(event_id),
            (None, None) => Self::Unknown,
        }
    }
}

#[cfg(test)]
mod tests;
