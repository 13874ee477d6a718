//! Compares an account with its events.

use std::collections::BTreeMap;

use events::{Credits, EventId, Timestamp};
use rust_decimal::Decimal;

use crate::{
    account::{Account, Movement},
    stake::{Position, Status},
};

use super::{AsIf, Ledger};

/// An inconsistency of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// Another event already states this version.
    VersionTwice {
        /// The version.
        version: u64,
        /// The surplus event.
        event_id: EventId,
    },
    /// No event and no line of the statement records this version.
    VersionUnrecorded {
        /// The version.
        version: u64,
    },
    /// The statement has a change that no event records.
    LineWithoutEvent {
        /// The account's version after the change.
        version: u64,
        /// The event that the line names.
        event_id: EventId,
    },
    /// The statement has no line for the event's change.
    EventWithoutLine {
        /// The account's version after the change.
        version: u64,
        /// The event.
        event_id: EventId,
    },
    /// The line of the statement does not match the event.
    OtherLine {
        /// The account's version after the change.
        version: u64,
        /// The event.
        event_id: EventId,
    },
    /// The event's balance does not follow from the previous one.
    Step {
        /// The account's version after the change.
        version: u64,
        /// The event.
        event_id: EventId,
        /// The balance that would follow.
        expected: Decimal,
        /// The balance that the event states.
        stated: Credits,
    },
    /// The event's locked balance does not follow from the previous one.
    StakedStep {
        /// The account's version after the change.
        version: u64,
        /// The event.
        event_id: EventId,
        /// The locked balance that would follow.
        expected: Decimal,
        /// The locked balance that the event states.
        stated: Credits,
    },
    /// The stored locked balance does not follow from the events.
    Staked {
        /// The last event of the account.
        event_id: EventId,
        /// The locked balance that follows from the events.
        expected: Decimal,
        /// The stored locked balance.
        stored: Credits,
    },
    /// The active stakes do not add up to the stored locked balance.
    Positions {
        /// The last event of the account.
        event_id: EventId,
        /// The sum of the active stakes.
        active: Decimal,
        /// The stored locked balance.
        stored: Credits,
    },
    /// The stored balance does not follow from the events.
    Balance {
        /// The last event of the account.
        event_id: EventId,
        /// The balance that follows from the events.
        expected: Decimal,
        /// The stored balance.
        stored: Credits,
        /// The event that would explain the difference.
        as_if: AsIf,
    },
    /// The stored account is older than its events.
    Behind {
        /// The last event of the account.
        event_id: EventId,
        /// The event's version.
        recorded: u64,
        /// The stored version.
        stored: u64,
    },
    /// There are events but no account.
    NoAccount {
        /// The last event of the account.
        event_id: EventId,
    },
}

/// The result of checking an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// The inconsistencies.
    pub wrong: Vec<Wrong>,
    /// Changes that were made after the log was read.
    pub moving: u64,
}

/// What is stored of an account.
#[derive(Debug, Clone, Default)]
pub struct StoredAccount {
    /// The account with its version.
    pub account: Option<(u64, Account)>,
    /// The lines of its statement by version, read after the account.
    pub statement: BTreeMap<u64, Movement>,
    /// Its stakes, ended ones included.
    pub positions: Vec<Position>,
}

/// The state of an account after a version.
#[derive(Debug, Clone, Copy)]
struct After {
    balance: Option<Decimal>,
    staked: Option<Decimal>,
    event_id: EventId,
}

/// Compares an account with its events, which were read before it. A change beyond the last event counts as newer than
/// the reading of the log if it happened at or after `moving_since`. If `moving_since` is `None`, it counts as an
/// inconsistency.
#[must_use]
pub fn check_account(
    ledger: &Ledger,
    stored: &StoredAccount,
    moving_since: Option<Timestamp>,
) -> Checked {
    let mut checked = Checked::default();
    let last_recorded = ledger.last_key_value().map_or(0, |(version, _)| *version);
    let mut states = check_steps(ledger, &stored.statement, &mut checked.wrong);
    for (version, line) in &stored.statement {
        if ledger.contains_key(version) {
            continue;
        }
        if *version > last_recorded && moving_since.is_some_and(|since| line.occurred_at >= since) {
            checked.moving += 1;
        } else {
            checked.wrong.push(Wrong::LineWithoutEvent {
                version: *version,
                event_id: line.event_id,
            });
        }
        let before = states.range(..version).next_back();
        let staked = before.map_or(Some(Decimal::ZERO), |(_, before)| before.staked);
        let after = After {
            balance: Some(line.balance_after.decimal()),
            staked: line.staked_after.map(Credits::decimal).or(staked),
            event_id: line.event_id,
        };
        states.entry(*version).or_insert(after);
    }
    let last = ledger
        .values()
        .next_back()
        .and_then(|changes| changes.first());
    match (stored.account, last) {
        (None, None) => {}
        (None, Some(last)) => checked.wrong.push(Wrong::NoAccount {
            event_id: last.event_id,
        }),
        (Some((version, _)), Some(last)) if version < last_recorded => {
            checked.wrong.push(Wrong::Behind {
                event_id: last.event_id,
                recorded: last_recorded,
                stored: version,
            });
        }
        (Some((version, account)), _) => match states.get(&version) {
            None => checked.wrong.push(Wrong::VersionUnrecorded { version }),
            Some(after) => check_state(ledger, account, after, &mut checked.wrong),
        },
    }
    let staked_wrong = |one: &Wrong| matches!(one, Wrong::Staked { .. });
    // Stakes change only together with their account's version. If that is the version of the last event, the stakes
    // are as of that event too.
    if let (Some((version, account)), Some(last)) = (stored.account, last)
        && version == last_recorded
        && !checked.wrong.iter().any(staked_wrong)
    {
        let active = stored
            .positions
            .iter()
            .filter(|position| position.status() == Status::Active);
        let active: Decimal = active.map(|position| position.amount().decimal()).sum();
        if active != account.staked().decimal() {
            checked.wrong.push(Wrong::Positions {
                event_id: last.event_id,
                active,
                stored: account.staked(),
            });
        }
    }
    checked
}

/// Compares every event of an account with the previous one and with the statement. Returns the account's state after
/// each.
fn check_steps(
    ledger: &Ledger,
    statement: &BTreeMap<u64, Movement>,
    wrong: &mut Vec<Wrong>,
) -> BTreeMap<u64, After> {
    let mut states = BTreeMap::new();
    let mut before = Some((0_u64, Some(Decimal::ZERO), Some(Decimal::ZERO)));
    for (version, changes) in ledger {
        let version = *version;
        let Some(first) = changes.first() else {
            continue;
        };
        let event_id = first.event_id;
        for extra in changes.iter().skip(1) {
            wrong.push(Wrong::VersionTwice {
                version,
                event_id: extra.event_id,
            });
        }
        let (since, balance, staked) = before.unwrap_or((0, None, None));
        for missing in since + 1..version {
            if !statement.contains_key(&missing) {
                wrong.push(Wrong::VersionUnrecorded { version: missing });
            }
        }
        // After a missing version, nothing follows from the balances before it.
        let follows = |before: Option<Decimal>, change: Decimal| {
            before
                .filter(|_| since + 1 == version)
                .map(|before| before.saturating_add(change))
        };
        let balance = follows(balance, first.change());
        if let (Some(expected), Some(stated)) = (balance, first.balance_after)
            && stated.decimal() != expected
        {
            wrong.push(Wrong::Step {
                version,
                event_id,
                expected,
                stated,
            });
        }
        let staked = follows(staked, first.staked_change());
        if let (Some(expected), Some(stated)) = (staked, first.staked_after)
            && stated.decimal() != expected
        {
            wrong.push(Wrong::StakedStep {
                version,
                event_id,
                expected,
                stated,
            });
        }
        let after = After {
            balance: first.balance_after.map(Credits::decimal).or(balance),
            staked: first.staked_after.map(Credits::decimal).or(staked),
            event_id,
        };
        states.insert(version, after);
        before = Some((version, after.balance, after.staked));
        match statement.get(&version) {
            None => wrong.push(Wrong::EventWithoutLine { version, event_id }),
            Some(line) if !first.agrees_with(line) => {
                wrong.push(Wrong::OtherLine { version, event_id });
            }
            Some(_) => {}
        }
    }
    states
}

/// Compares the stored account with the state after its version.
fn check_state(ledger: &Ledger, account: Account, after: &After, wrong: &mut Vec<Wrong>) {
    if let Some(expected) = after.balance
        && expected != account.balance().decimal()
    {
        let changes = ledger
            .values()
            .filter_map(|changes| changes.first())
            .map(|change| (change.event_id, change.change()));
        wrong.push(Wrong::Balance {
            event_id: after.event_id,
            expected,
            stored: account.balance(),
            as_if: AsIf::explained(account.balance().decimal() - expected, &changes),
        });
    }
    if let Some(expected) = after.staked
        && expected != account.staked().decimal()
    {
        wrong.push(Wrong::Staked {
            event_id: after.event_id,
            expected,
            stored: account.staked(),
        });
    }
}
