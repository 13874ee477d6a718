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

use std::collections::BTreeMap;

use events::{
    Contract, Credits, DecodeError, Envelope, EventId, Sequence, Timestamp,
    contracts::cloud::{Burned, Minted, Redeemed, Staked, Transferred, Unstaked},
    decode_payload,
};
use rust_decimal::Decimal;

use crate::{
    account::{Account, Kind, Movement, account_id},
    backing::{Alert, Backing},
    stake::{Position, Status},
};

/// How many uncertain events are tried in all combinations before a total is called unknown.
const UNCERTAIN_AT_MOST: usize = 12;

/// A change of an account, as an event tells it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Told {
    /// By which event.
    pub event_id: EventId,
    /// What it did to this account.
    pub kind: Kind,
    /// How many credits.
    pub amount: Credits,
    /// What could be spent after it, where the event states it.
    pub balance_after: Option<Credits>,
    /// What was locked after it, where the event states it.
    pub staked_after: Option<Credits>,
}

impl Told {
    /// What it adds to what can be spent.
    #[must_use]
    pub fn change(&self) -> Decimal {
        if self.kind.raises() {
            self.amount.decimal()
        } else {
            -self.amount.decimal()
        }
    }

    /// What it adds to what is locked.
    #[must_use]
    pub fn staked_change(&self) -> Decimal {
        self.kind.staked_change(self.amount)
    }

    /// The change that a line of a statement tells.
    #[must_use]
    pub fn of_line(line: &Movement) -> Self {
        Self {
            event_id: line.event_id,
            kind: line.kind,
            amount: line.amount,
            balance_after: Some(line.balance_after),
            staked_after: line.staked_after,
        }
    }

    fn agrees_with(&self, line: &Movement) -> bool {
        line.event_id == self.event_id
            && line.kind == self.kind
            && line.amount == self.amount
            && self
                .balance_after
                .is_none_or(|balance| balance == line.balance_after)
            && self.staked_after == line.staked_after
    }
}

/// A change with the account and the version it made of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Whose.
    pub account: String,
    /// The account's version after it.
    pub version: u64,
    /// The change.
    pub told: Told,
}

/// What an event changes: nothing, one account, or two by a transfer.
///
/// # Errors
/// [`DecodeError`] when its payload breaks its contract.
pub fn entries_of(envelope: &Envelope) -> Result<Vec<Entry>, DecodeError> {
    let event_id = envelope.event_id;
    let entry =
        |account: &str, version: Sequence, kind, amount, balance_after, staked_after| Entry {
            account: account.to_owned(),
            version: version.number(),
            told: Told {
                event_id,
                kind,
                amount,
                balance_after,
                staked_after,
            },
        };
    Ok(match envelope.event_type.as_str() {
        Minted::TYPE => {
            let event: Minted = decode_payload(envelope)?;
            let account = account_id(event.member_id.as_ref());
            let after = Some(event.balance_after);
            vec![entry(
                account,
                event.version,
                Kind::Minted,
                event.amount,
                after,
                None,
            )]
        }
        Burned::TYPE => {
            let event: Burned = decode_payload(envelope)?;
            let account = account_id(event.member_id.as_ref());
            let after = event.balance_after;
            vec![entry(
                account,
                event.version,
                Kind::Burned,
                event.amount,
                after,
                None,
            )]
        }
        Redeemed::TYPE => {
            let event: Redeemed = decode_payload(envelope)?;
            let account = event.member_id.as_str();
            let after = Some(event.balance_after);
            vec![entry(
                account,
                event.version,
                Kind::Redeemed,
                event.amount,
                after,
                None,
            )]
        }
        Staked::TYPE => {
            let event: Staked = decode_payload(envelope)?;
            let after = Some(event.liquid_balance_after);
            let staked = Some(event.staked_balance_after);
            let account = event.member_id.as_str();
            vec![entry(
                account,
                event.version,
                Kind::Staked,
                event.amount,
                after,
                staked,
            )]
        }
        Unstaked::TYPE => {
            let event: Unstaked = decode_payload(envelope)?;
            let after = Some(event.liquid_balance_after);
            let staked = Some(event.staked_balance_after);
            let account = event.member_id.as_str();
            vec![entry(
                account,
                event.version,
                Kind::Unstaked,
                event.amount,
                after,
                staked,
            )]
        }
        Transferred::TYPE => {
            let event: Transferred = decode_payload(envelope)?;
            let (from, to) = (event.from_member_id.as_str(), event.to_member_id.as_str());
            let (given, got) = (Some(event.from_balance_after), Some(event.to_balance_after));
            vec![
                entry(
                    from,
                    event.from_version,
                    Kind::TransferredOut,
                    event.amount,
                    given,
                    None,
                ),
                entry(
                    to,
                    event.to_version,
                    Kind::TransferredIn,
                    event.amount,
                    got,
                    None,
                ),
            ]
        }
        _ => Vec::new(),
    })
}

/// What an event adds to the credits outstanding; `None` where it is not about them or breaks its contract.
#[must_use]
pub fn outstanding_change(envelope: &Envelope) -> Option<Decimal> {
    let entries = entries_of(envelope).ok()?;
    let changes = entries
        .iter()
        .map(|entry| entry.told.kind.outstanding_change(entry.told.amount));
    let change: Decimal = changes.sum();
    (!change.is_zero()).then_some(change)
}

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

/// What a look at a row of the outstanding total came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// It is the sum of what was counted.
    Agrees,
    /// It is, when some of the uncertain events were counted and others not.
    AgreesWithUncertain,
    /// Too much is uncertain to tell.
    Unknown,
    /// It is not.
    Wrong {
        /// The sum of what was counted.
        expected: Decimal,
        /// What would explain the difference.
        as_if: AsIf,
    },
}

/// Compares a row of the outstanding total with the events counted in it, in the order of the log. `uncertain` are those
/// that may or may not have been counted when the row was read.
#[must_use]
pub fn check_total(
    counted: &[(EventId, Decimal)],
    uncertain: &[(EventId, Decimal)],
    stored: Decimal,
) -> Total {
    let expected = sum(counted.iter());
    let off = stored - expected;
    if off.is_zero() {
        return Total::Agrees;
    }
    if uncertain.len() > UNCERTAIN_AT_MOST {
        return Total::Unknown;
    }
    let explained = (1_u32..1 << uncertain.len()).any(|chosen| {
        let some = uncertain
            .iter()
            .enumerate()
            .filter(|(place, _)| chosen >> place & 1 == 1)
            .map(|(_, one)| one);
        sum(some) == off
    });
    if explained {
        Total::AgreesWithUncertain
    } else {
        Total::Wrong {
            expected,
            as_if: AsIf::explained(off, &counted.iter().copied()),
        }
    }
}

fn sum<'a>(changes: impl Iterator<Item = &'a (EventId, Decimal)>) -> Decimal {
    changes.fold(Decimal::ZERO, |sum, (_, change)| {
        sum.saturating_add(*change)
    })
}

/// What is wrong with the alert's episodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrongEpisode {
    /// A row of an episode that never began.
    NeverBegan {
        /// Its number.
        episode: u64,
    },
    /// Open, though the alert is closed or a later one began.
    StillOpen {
        /// Its number.
        episode: u64,
    },
    /// Closed, though the alert is open with it.
    ClosedTooSoon {
        /// Its number.
        episode: u64,
    },
}

/// Compares the alert's state with the rows of its episodes, by number. A missing row is none of the books' business: an
/// operator may have removed it.
#[must_use]
pub fn check_episodes(
    backing: Option<&Backing>,
    alerts: &BTreeMap<u64, Alert>,
) -> Vec<WrongEpisode> {
    let (open, last) = backing.map_or((false, 0), |backing| (backing.open(), backing.episode()));
    let mut wrong = Vec::new();
    for (episode, alert) in alerts {
        let episode = *episode;
        let should_be_open = open && episode == last;
        if episode == 0 || episode > last {
            wrong.push(WrongEpisode::NeverBegan { episode });
        } else if should_be_open && alert.closed_at.is_some() {
            wrong.push(WrongEpisode::ClosedTooSoon { episode });
        } else if !should_be_open && alert.closed_at.is_none() {
            wrong.push(WrongEpisode::StillOpen { episode });
        }
    }
    wrong
}

#[cfg(test)]
mod tests;
