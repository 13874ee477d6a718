//! An account compared with its events.

use std::collections::BTreeMap;

use events::{Credits, EventId, Timestamp};
use rust_decimal::Decimal;

use crate::{
    account::{Account, Movement},
    stake::{Position, Status},
};

use super::{AsIf, Ledger};

/// What is wrong with an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// Another event states this version already.
    VersionTwice {
        /// Which version.
        version: u64,
        /// The event that is one too many.
        event_id: EventId,
    },
    /// No event and no line of the statement tells of this version.
    VersionUntold {
        /// Which version.
        version: u64,
    },
    /// The statement has a change that no event tells of.
    LineWithoutEvent {
        /// The account's version after it.
        version: u64,
        /// The event that the line names.
        event_id: EventId,
    },
    /// The event's change is missing in the statement.
    EventWithoutLine {
        /// The account's version after it.
        version: u64,
        /// The event.
        event_id: EventId,
    },
    /// The statement's line says something else than the event.
    OtherLine {
        /// The account's version after it.
        version: u64,
        /// The event.
        event_id: EventId,
    },
    /// The event's balance does not follow from the one before.
    Step {
        /// The account's version after it.
        version: u64,
        /// The event.
        event_id: EventId,
        /// The balance that follows.
        expected: Decimal,
        /// The balance that the event states.
        stated: Credits,
    },
    /// What is locked does not follow from the event before.
    StakedStep {
        /// The account's version after it.
        version: u64,
        /// The event.
        event_id: EventId,
        /// What follows.
        expected: Decimal,
        /// What the event states.
        stated: Credits,
    },
    /// What is stored as locked is not what the events come to.
    Staked {
        /// The last event of the account.
        event_id: EventId,
        /// What they come to.
        expected: Decimal,
        /// What is stored.
        stored: Credits,
    },
    /// The active stakes do not come to what is stored as locked.
    Positions {
        /// The last event of the account.
        event_id: EventId,
        /// What the active stakes come to.
        active: Decimal,
        /// What is stored.
        stored: Credits,
    },
    /// The stored balance is not what the events come to.
    Balance {
        /// The last event of the account.
        event_id: EventId,
        /// What they come to.
        expected: Decimal,
        /// What is stored.
        stored: Credits,
        /// What would explain it.
        as_if: AsIf,
    },
    /// The stored account is older than its events.
    Behind {
        /// The last event of the account.
        event_id: EventId,
        /// Its version.
        told: u64,
        /// The stored version.
        stored: u64,
    },
    /// There are events and no account.
    NoAccount {
        /// The last event of the account.
        event_id: EventId,
    },
}

/// What a look at an account came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// What is wrong.
    pub wrong: Vec<Wrong>,
    /// Changes that were made after the log had been read.
    pub moving: u64,
}

/// What is stored of an account.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    /// The account with its version.
    pub account: Option<(u64, Account)>,
    /// Its statement's lines by version, read after the account.
    pub statement: BTreeMap<u64, Movement>,
    /// Its stakes, ended ones too.
    pub positions: Vec<Position>,
}

/// What an account comes to after a version.
#[derive(Debug, Clone, Copy)]
struct After {
    balance: Option<Decimal>,
    staked: Option<Decimal>,
    event_id: EventId,
}

/// Compares an account with its events, which were read before it. Changes beyond the last event are taken for newer than
/// the reading of the log when they happened at or after `moving_since`, and for wrong where there is no such moment.
#[must_use]
pub fn check_account(ledger: &Ledger, stored: &Stored, moving_since: Option<Timestamp>) -> Checked {
    let mut checked = Checked::default();
    let last_told = ledger.last_key_value().map_or(0, |(version, _)| *version);
    let mut states = check_steps(ledger, &stored.statement, &mut checked.wrong);
    for (version, line) in &stored.statement {
        if ledger.contains_key(version) {
            continue;
        }
        if *version > last_told && moving_since.is_some_and(|since| line.occurred_at >= since) {
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
    let last = ledger.values().next_back().and_then(|told| told.first());
    match (stored.account, last) {
        (None, None) => {}
        (None, Some(last)) => checked.wrong.push(Wrong::NoAccount {
            event_id: last.event_id,
        }),
        (Some((version, _)), Some(last)) if version < last_told => {
            checked.wrong.push(Wrong::Behind {
                event_id: last.event_id,
                told: last_told,
                stored: version,
            });
        }
        (Some((version, account)), _) => match states.get(&version) {
            None => checked.wrong.push(Wrong::VersionUntold { version }),
            Some(after) => check_state(ledger, account, after, &mut checked.wrong),
        },
    }
    let staked_wrong = |one: &Wrong| matches!(one, Wrong::Staked { .. });
    // Stakes change with their account's version only: while it is the one of the last event, they are too.
    if let (Some((version, account)), Some(last)) = (stored.account, last)
        && version == last_told
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

/// Compares every event of an account with the one before it and with the statement; what the account comes to after each.
fn check_steps(
    ledger: &Ledger,
    statement: &BTreeMap<u64, Movement>,
    wrong: &mut Vec<Wrong>,
) -> BTreeMap<u64, After> {
    let mut states = BTreeMap::new();
    let mut before = Some((0_u64, Some(Decimal::ZERO), Some(Decimal::ZERO)));
    for (version, told) in ledger {
        let version = *version;
        let Some(first) = told.first() else { continue };
        let event_id = first.event_id;
        for extra in told.iter().skip(1) {
            wrong.push(Wrong::VersionTwice {
                version,
                event_id: extra.event_id,
            });
        }
        let (since, balance, staked) = before.unwrap_or((0, None, None));
        for missing in since + 1..version {
            if !statement.contains_key(&missing) {
                wrong.push(Wrong::VersionUntold { version: missing });
            }
        }
        // After a version that is missing nothing follows from the balances before it.
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

/// Compares the stored account with what its version comes to.
fn check_state(ledger: &Ledger, account: Account, after: &After, wrong: &mut Vec<Wrong>) {
    if let Some(expected) = after.balance
        && expected != account.balance().decimal()
    {
        let changes = ledger
            .values()
            .filter_map(|told| told.first())
            .map(|told| (told.event_id, told.change()));
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
