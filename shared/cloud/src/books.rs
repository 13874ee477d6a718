//! The books: what the log's events come to, compared with what is stored. Pure; the audit reads and asks.
//!
//! | what must hold | by |
//! |---|---|
//! | every version of an account is told by exactly one event | [`check_account`] |
//! | each event's balance follows from the one before and its amount | [`check_account`] |
//! | the statement has exactly one line per change, and it says what the event says | [`check_account`] |
//! | the stored balance is the one its version's event states | [`check_account`] |
//! | each row of the outstanding total is the sum of the events counted in it | [`check_total`] |
//! | episodes are numbered, and only the last one may be open, exactly when the alert is | [`check_episodes`] |

use std::collections::BTreeMap;

use events::{
    Contract, Credits, DecodeError, Envelope, EventId, Timestamp,
    contracts::cloud::{Burned, Minted, Transferred},
    decode_payload,
};
use rust_decimal::Decimal;

use crate::account::{Account, Kind, Movement, account_id};
use crate::backing::{Alert, Backing};

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
    /// The balance after it, where the event states it.
    pub balance_after: Option<Credits>,
}

impl Told {
    /// What it adds to the balance.
    #[must_use]
    pub fn change(&self) -> Decimal {
        if self.kind.raises() {
            self.amount.decimal()
        } else {
            -self.amount.decimal()
        }
    }

    /// The change that a line of a statement tells.
    #[must_use]
    pub fn of_line(line: &Movement) -> Self {
        Self {
            event_id: line.event_id,
            kind: line.kind,
            amount: line.amount,
            balance_after: Some(line.balance_after),
        }
    }

    fn agrees_with(&self, line: &Movement) -> bool {
        line.event_id == self.event_id
            && line.kind == self.kind
            && line.amount == self.amount
            && self
                .balance_after
                .is_none_or(|balance| balance == line.balance_after)
    }
}

/// The changes of one account by its version after them; more than one for a version is one too many.
pub type Ledger = BTreeMap<u64, Vec<Told>>;

/// All accounts, as the log tells them.
#[derive(Debug, Clone, Default)]
pub struct Books {
    ledgers: BTreeMap<String, Ledger>,
    /// All credits that came into being.
    pub minted: Decimal,
    /// All credits that ceased to be.
    pub burned: Decimal,
}

impl Books {
    /// Enters an event; whether it was one about credits.
    ///
    /// # Errors
    /// [`DecodeError`] when its payload breaks its contract.
    pub fn enter(&mut self, envelope: &Envelope) -> Result<bool, DecodeError> {
        let event_id = envelope.event_id;
        match envelope.event_type.as_str() {
            Minted::TYPE => self.enter_minted(event_id, &decode_payload(envelope)?),
            Burned::TYPE => self.enter_burned(event_id, &decode_payload(envelope)?),
            Transferred::TYPE => self.enter_transferred(event_id, &decode_payload(envelope)?),
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Enters a mint.
    pub fn enter_minted(&mut self, event_id: EventId, event: &Minted) {
        self.minted = self.minted.saturating_add(event.amount.decimal());
        let told = Told {
            event_id,
            kind: Kind::Minted,
            amount: event.amount,
            balance_after: Some(event.balance_after),
        };
        let account = account_id(event.member_id.as_ref());
        self.enter_told(account, event.version.number(), told);
    }

    /// Enters a burn.
    pub fn enter_burned(&mut self, event_id: EventId, event: &Burned) {
        self.burned = self.burned.saturating_add(event.amount.decimal());
        let told = Told {
            event_id,
            kind: Kind::Burned,
            amount: event.amount,
            balance_after: event.balance_after,
        };
        let account = account_id(event.member_id.as_ref());
        self.enter_told(account, event.version.number(), told);
    }

    /// Enters a transfer on both sides.
    pub fn enter_transferred(&mut self, event_id: EventId, event: &Transferred) {
        let side = |kind, balance_after| Told {
            event_id,
            kind,
            amount: event.amount,
            balance_after: Some(balance_after),
        };
        let given = side(Kind::TransferredOut, event.from_balance_after);
        let got = side(Kind::TransferredIn, event.to_balance_after);
        self.enter_told(
            event.from_member_id.as_str(),
            event.from_version.number(),
            given,
        );
        self.enter_told(event.to_member_id.as_str(), event.to_version.number(), got);
    }

    /// Enters a change of one account, known from elsewhere than its event.
    pub fn enter_told(&mut self, account: &str, version: u64, told: Told) {
        let ledger = self.ledgers.entry(account.to_owned()).or_default();
        ledger.entry(version).or_default().push(told);
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

/// Compares an account with its events. `account` is the stored one with its version, `statement` its lines by version,
/// read after the account; both were read after the events. Changes beyond the last event are taken for newer than the
/// reading of the log when they happened at or after `moving_since`, and for wrong where there is no such moment.
#[must_use]
pub fn check_account(
    ledger: &Ledger,
    account: Option<(u64, Account)>,
    statement: &BTreeMap<u64, Movement>,
    moving_since: Option<Timestamp>,
) -> Checked {
    let mut checked = Checked::default();
    let wrong = &mut checked.wrong;
    let last_told = ledger.last_key_value().map_or(0, |(version, _)| *version);
    let mut balances = BTreeMap::new();
    let mut before = Some((0_u64, Decimal::ZERO));
    for (version, told) in ledger {
        let version = *version;
        let Some(first) = told.first() else { continue };
        for extra in told.iter().skip(1) {
            wrong.push(Wrong::VersionTwice {
                version,
                event_id: extra.event_id,
            });
        }
        let (since, balance) = before.map_or((0, None), |(at, balance)| (at, Some(balance)));
        for missing in since + 1..version {
            if !statement.contains_key(&missing) {
                wrong.push(Wrong::VersionUntold { version: missing });
            }
        }
        // After a version that is missing nothing follows from the balance before it.
        let expected = balance
            .filter(|_| since + 1 == version)
            .map(|balance| balance.saturating_add(first.change()));
        if let (Some(expected), Some(stated)) = (expected, first.balance_after)
            && stated.decimal() != expected
        {
            wrong.push(Wrong::Step {
                version,
                event_id: first.event_id,
                expected,
                stated,
            });
        }
        let after = first.balance_after.map(Credits::decimal).or(expected);
        if let Some(after) = after {
            balances.insert(version, (after, first.event_id));
        }
        before = Some((version, after.unwrap_or_default()));
        let event_id = first.event_id;
        match statement.get(&version) {
            None => wrong.push(Wrong::EventWithoutLine { version, event_id }),
            Some(line) if !first.agrees_with(line) => {
                wrong.push(Wrong::OtherLine { version, event_id });
            }
            Some(_) => {}
        }
    }
    for (version, line) in statement {
        if ledger.contains_key(version) {
            continue;
        }
        if *version > last_told && moving_since.is_some_and(|since| line.occurred_at >= since) {
            checked.moving += 1;
        } else {
            wrong.push(Wrong::LineWithoutEvent {
                version: *version,
                event_id: line.event_id,
            });
        }
        balances
            .entry(*version)
            .or_insert((line.balance_after.decimal(), line.event_id));
    }
    let last = ledger.values().next_back().and_then(|told| told.first());
    match (account, last) {
        (None, None) => {}
        (None, Some(last)) => wrong.push(Wrong::NoAccount {
            event_id: last.event_id,
        }),
        (Some((stored, _)), Some(last)) if stored < last_told => wrong.push(Wrong::Behind {
            event_id: last.event_id,
            told: last_told,
            stored,
        }),
        (Some((version, account)), _) => match balances.get(&version) {
            None => wrong.push(Wrong::VersionUntold { version }),
            Some((expected, event_id)) if *expected != account.balance.decimal() => {
                let off = account.balance.decimal() - *expected;
                let changes = ledger
                    .values()
                    .filter_map(|told| told.first())
                    .map(|told| (told.event_id, told.change()));
                wrong.push(Wrong::Balance {
                    event_id: *event_id,
                    expected: *expected,
                    stored: account.balance,
                    as_if: AsIf::explained(off, &changes),
                });
            }
            Some(_) => {}
        },
    }
    checked
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
    let (open, last) = backing.map_or((false, 0), |backing| (backing.open, backing.episode));
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
