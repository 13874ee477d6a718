//! The books: what the log's events come to, compared with what is stored. Pure; the audit reads and asks.
//!
//! | what must hold | by |
//! |---|---|
//! | every version of an account is told by exactly one event | [`check_account`] |
//! | each event's balance follows from the one before and its amount | [`check_account`] |
//! | the statement has exactly one line per change, and it says what the event says | [`check_account`] |
//! | the stored balances, liquid and locked, are those its version's event comes to | [`check_account`] |
//! | the active stakes come to what is locked | [`check_account`] |
//! | each row of the outstanding total is the sum of the events counted in it | [`check_total`] |
//! | episodes are numbered, and only the last one may be open, exactly when the alert is | [`check_episodes`] |

mod account;
mod entries;
mod totals;

use std::collections::BTreeMap;

use events::{DecodeError, Envelope, EventId};
use rust_decimal::Decimal;

use crate::account::Kind;

pub use self::{
    account::{Checked, Stored, Wrong, check_account},
    entries::{Entry, Told, entries_of, outstanding_change},
    totals::{Total, WrongEpisode, check_episodes, check_total},
};

/// The changes of one account by its version after them; more than one for a version is one too many. Those of one version
/// stand in the order of their events' ids.
pub type Ledger = BTreeMap<u64, Vec<Told>>;

/// All accounts, as the log tells them.
#[derive(Debug, Clone, Default)]
pub struct Books {
    ledgers: BTreeMap<String, Ledger>,
    /// All credits that came into being.
    pub minted: Decimal,
    /// All credits that ceased to be without use.
    pub burned: Decimal,
    /// All credits that were used up.
    pub redeemed: Decimal,
}

impl Books {
    /// Enters an event, in any order; whether it was one about credits.
    ///
    /// # Errors
    /// [`DecodeError`] when its payload breaks its contract.
    pub fn enter(&mut self, envelope: &Envelope) -> Result<bool, DecodeError> {
        let entries = entries_of(envelope)?;
        let any = !entries.is_empty();
        for entry in entries {
            self.enter_told(entry);
        }
        Ok(any)
    }

    /// Enters a change of one account, known from elsewhere than its event.
    pub fn enter_told(&mut self, entry: Entry) {
        let amount = entry.told.amount.decimal();
        match entry.told.kind {
            Kind::Minted => self.minted = self.minted.saturating_add(amount),
            Kind::Burned => self.burned = self.burned.saturating_add(amount),
            Kind::Redeemed => self.redeemed = self.redeemed.saturating_add(amount),
            Kind::TransferredIn | Kind::TransferredOut | Kind::Staked | Kind::Unstaked => {}
        }
        let ledger = self.ledgers.entry(entry.account).or_default();
        let told = ledger.entry(entry.version).or_default();
        // By their ids, which ascend with time: the log may be read in any order.
        let place = told.partition_point(|one| one.event_id <= entry.told.event_id);
        told.insert(place, entry.told);
    }

    /// What must be there, liquid and locked together.
    #[must_use]
    pub fn outstanding(&self) -> Decimal {
        self.minted - self.burned - self.redeemed
    }

    /// Takes an account's changes out; empty where no event tells of it.
    pub fn take(&mut self, account: &str) -> Ledger {
        self.ledgers.remove(account).unwrap_or_default()
    }

    /// The accounts not yet taken.
    #[must_use]
    pub fn rest(self) -> BTreeMap<String, Ledger> {
        self.ledgers
    }
}

/// Which one event would explain a wrong sum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsIf {
    /// The sum is off as if this event had taken effect twice.
    Twice(EventId),
    /// The sum is off as if this event had taken no effect.
    Never(EventId),
    /// No single event explains it.
    Unknown,
}

impl AsIf {
    /// The latest of the changes that explains the difference between what is stored and what is expected.
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
