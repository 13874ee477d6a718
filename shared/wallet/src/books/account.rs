//! One account: its entries, balances and rows against the events that tell of it.

use std::collections::{BTreeMap, BTreeSet, btree_map};

use events::{EventId, Points, Timestamp, TransactionId, contracts::wallet::BalanceState};
use rust_decimal::Decimal;

use super::Line;
use crate::{
    Account,
    balances::Row,
    ledger::{Entry, Side},
};

/// Which one event would explain a wrong balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsIf {
    /// As if this event had taken effect twice.
    Twice(EventId),
    /// As if this event had taken no effect.
    Never(EventId),
    /// No single event explains it.
    Unknown,
}

/// What is wrong with an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// Another event names this entry already.
    EntryTwice {
        /// Its number.
        number: u64,
        /// The event that is one too many.
        event_id: EventId,
    },
    /// A movement changed the same balance state twice.
    MovedTwice {
        /// The movement.
        transaction_id: TransactionId,
        /// The event that is one too many.
        event_id: EventId,
    },
    /// Another movement states this version already.
    VersionTwice {
        /// Which version.
        version: u64,
        /// The event that is one too many.
        event_id: EventId,
    },
    /// No event tells of this version, and nothing that is missing explains it.
    VersionUntold {
        /// Which version.
        version: u64,
    },
    /// The event's entry is not there.
    EntryMissing {
        /// Its number.
        number: u64,
        /// The movement.
        transaction_id: TransactionId,
        /// The event.
        event_id: EventId,
    },
    /// The entry says something else than its event.
    OtherEntry {
        /// Its number.
        number: u64,
        /// The movement.
        transaction_id: TransactionId,
        /// The event.
        event_id: EventId,
        /// What differs.
        differing: Vec<&'static str>,
    },
    /// There is an entry that no event tells of.
    EntryUntold {
        /// Its number.
        number: u64,
        /// The movement it names.
        transaction_id: TransactionId,
    },
    /// Neither an event nor an entry has this number.
    NumberUntold {
        /// Which number.
        number: u64,
    },
    /// The event's balance does not follow from the one before.
    Step {
        /// The event.
        event_id: EventId,
        /// Which balance.
        state: BalanceState,
        /// The balance that follows.
        expected: Decimal,
        /// What the event states.
        stated: Points,
    },
    /// The stored balance is not what the events come to.
    Balance {
        /// The last event about it, where there is one.
        event_id: Option<EventId>,
        /// Which balance.
        state: BalanceState,
        /// What they come to.
        expected: Decimal,
        /// What is stored.
        stored: Points,
        /// What would explain it.
        as_if: AsIf,
    },
    /// The stored account counts another number of entries than there are.
    LastEntry {
        /// The number of the last one.
        expected: u64,
        /// What is stored.
        stored: u64,
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
    /// A row of the read model says what no event says.
    RowUntold {
        /// Of which balance.
        state: BalanceState,
        /// The version it states.
        version: u64,
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

/// What is stored of an account, entries read before the account itself.
#[derive(Debug, Clone, Default)]
pub struct Stored {
    /// The account with its version.
    pub account: Option<(u64, Account)>,
    /// Its entries by number.
    pub entries: BTreeMap<u64, Entry>,
    /// Its rows in the read model.
    pub rows: Vec<Row>,
}

/// What a walk over an account's entries came to.
#[derive(Default)]
struct Walked {
    /// The last number.
    last: u64,
    /// What each balance is after it; none where something before it is missing.
    balances: BTreeMap<BalanceState, Option<Decimal>>,
    /// Entries that no event tells of, and their movements.
    orphans: BTreeMap<u64, TransactionId>,
    /// Whether numbers are missing.
    gaps: bool,
}

impl Walked {
    /// Whether every entry after a number is one that no event tells of, which was said.
    fn untold_after(&self, number: u64) -> bool {
        number < self.last && (number + 1..=self.last).all(|one| self.orphans.contains_key(&one))
    }
}

/// Compares an account with its events, which were read before it. Changes beyond the last event are taken for newer than
/// the reading of the log when they happened at or after `moving_since`, and for wrong where there is no such moment.
#[must_use]
pub fn check_account(lines: &[Line], stored: &Stored, moving_since: Option<Timestamp>) -> Checked {
    let mut checked = Checked::default();
    once(lines, &mut checked.wrong);
    let walked = walk(lines, stored, moving_since, &mut checked);
    let told = lines.iter().max_by_key(|line| line.version);
    match (stored.account, told) {
        (None, None) => {}
        (None, Some(last)) => checked.wrong.push(Wrong::NoAccount {
            event_id: last.event_id,
        }),
        (Some((version, _)), Some(last)) if version < last.version => {
            checked.wrong.push(Wrong::Behind {
                event_id: last.event_id,
                told: last.version,
                stored: version,
            });
        }
        (Some((version, account)), _) => {
            let told = told.map_or(0, |last| last.version);
            if account.last_entry() == walked.last {
                state(lines, account, &walked, &mut checked.wrong);
                let explained = !walked.orphans.is_empty() || walked.gaps || checked.moving > 0;
                if version > told && !explained {
                    checked.wrong.push(Wrong::VersionUntold { version });
                }
            } else if account.last_entry() > walked.last && version > told && moving_since.is_some()
            {
                // Written after the entries were read; whether its events are there, the log's next reading says.
                checked.moving += 1;
            } else if !walked.untold_after(account.last_entry()) {
                checked.wrong.push(Wrong::LastEntry {
                    expected: walked.last,
                    stored: account.last_entry(),
                });
            }
        }
    }
    rows(lines, stored, &walked, moving_since, &mut checked);
    checked
}

/// A movement is told once for each side of an account, and by one version of it.
fn once(lines: &[Line], wrong: &mut Vec<Wrong>) {
    let mut moved = BTreeSet::new();
    let mut versions: BTreeMap<u64, TransactionId> = BTreeMap::new();
    for line in lines {
        let Line {
            transaction_id,
            event_id,
            version,
            ..
        } = *line;
        if !moved.insert((transaction_id, line.side)) {
            wrong.push(Wrong::MovedTwice {
                transaction_id,
                event_id,
            });
        } else if *versions.entry(version).or_insert(transaction_id) != transaction_id {
            wrong.push(Wrong::VersionTwice { version, event_id });
        }
    }
}

/// The number of the entry that each line is about. One about the world outside stands behind the balance's of its
/// movement; where that is missing, wherever the ledger has it.
fn numbered<'l>(lines: &'l [Line], stored: &Stored) -> Vec<(u64, &'l Line)> {
    let mut numbered = Vec::with_capacity(lines.len());
    for line in lines {
        let number = line.number().or_else(|| {
            let of_movement =
                |one: &&Line| one.transaction_id == line.transaction_id && one.entry.is_some();
            let before = lines.iter().find(of_movement).and_then(Line::number);
            let there = || {
                let mut entries = stored.entries.values();
                let same = |entry: &&Entry| {
                    entry.transaction_id == line.transaction_id && entry.balance_state == line.side
                };
                entries.find(same).map(|entry| entry.number.number())
            };
            before.map(|number| number + 1).or_else(there)
        });
        numbered.extend(number.map(|number| (number, line)));
    }
    numbered.sort_by_key(|(number, _)| *number);
    numbered
}

fn walk(
    lines: &[Line],
    stored: &Stored,
    moving_since: Option<Timestamp>,
    checked: &mut Checked,
) -> Walked {
    let wrong = &mut checked.wrong;
    let mut told: BTreeMap<u64, &Line> = BTreeMap::new();
    for (number, line) in numbered(lines, stored) {
        if let btree_map::Entry::Vacant(place) = told.entry(number) {
            place.insert(line);
        } else {
            let event_id = line.event_id;
            let said = |one: &Wrong| matches!(one, Wrong::MovedTwice { event_id: twice, .. } if *twice == event_id);
            if !wrong.iter().any(said) {
                wrong.push(Wrong::EntryTwice { number, event_id });
            }
        }
    }
    let last_told = told.last_key_value().map_or(0, |(number, _)| *number);
    let mut walked = Walked {
        balances: BalanceState::ALL
            .into_iter()
            .map(|state| (state, Some(Decimal::ZERO)))
            .collect(),
        ..Walked::default()
    };
    let numbers: BTreeSet<u64> = told.keys().chain(stored.entries.keys()).copied().collect();
    for number in numbers {
        for missing in walked.last + 1..number {
            wrong.push(Wrong::NumberUntold { number: missing });
            walked.gaps = true;
            // Nothing follows from what was before it.
            walked.balances.values_mut().for_each(|one| *one = None);
        }
        walked.last = number;
        match (told.get(&number), stored.entries.get(&number)) {
            (Some(line), entry) => {
                let (transaction_id, event_id) = (line.transaction_id, line.event_id);
                match entry.map(|entry| line.differing(entry)) {
                    None => wrong.push(Wrong::EntryMissing {
                        number,
                        transaction_id,
                        event_id,
                    }),
                    Some(differing) if !differing.is_empty() => wrong.push(Wrong::OtherEntry {
                        number,
                        transaction_id,
                        event_id,
                        differing,
                    }),
                    Some(_) => {}
                }
                step(line, &mut walked, wrong);
            }
            (None, Some(entry)) => {
                let transaction_id = entry.transaction_id;
                walked.orphans.insert(number, transaction_id);
                if let Some(state) = entry.balance_state.balance_state() {
                    let after = entry.balance_after.map(Points::decimal);
                    walked.balances.insert(state, after);
                }
                let young = moving_since.is_some_and(|since| entry.occurred_at >= since);
                if number > last_told && young {
                    checked.moving += 1;
                } else {
                    wrong.push(Wrong::EntryUntold {
                        number,
                        transaction_id,
                    });
                }
            }
            (None, None) => {}
        }
    }
    walked
}

/// An event's balance follows from the one before, and changes by what it says.
fn step(line: &Line, walked: &mut Walked, wrong: &mut Vec<Wrong>) {
    let (Some(state), Some((before, after))) = (line.side.balance_state(), line.balance) else {
        return;
    };
    let known = walked.balances.get(&state).copied().flatten();
    let expected = known.unwrap_or(before.decimal()) + line.amount;
    if known.is_some_and(|known| known != before.decimal()) || expected != after.decimal() {
        wrong.push(Wrong::Step {
            event_id: line.event_id,
            state,
            expected,
            stated: after,
        });
    }
    walked.balances.insert(state, Some(after.decimal()));
}

/// Compares the stored balances with what the entries come to.
fn state(lines: &[Line], account: Account, walked: &Walked, wrong: &mut Vec<Wrong>) {
    for (state, expected) in &walked.balances {
        let (state, stored) = (*state, account.balance(*state));
        let Some(expected) = *expected else { continue };
        let off = stored.decimal() - expected;
        if off.is_zero() {
            continue;
        }
        let of_state = || lines.iter().filter(|line| line.side == Side::from(state));
        let latest = |wanted: Decimal| {
            let found = of_state().rfind(|line| line.amount == wanted);
            found.map(|line| line.event_id)
        };
        let as_if = match (latest(off), latest(-off)) {
            (Some(event_id), _) => AsIf::Twice(event_id),
            (None, Some(event_id)) => AsIf::Never(event_id),
            (None, None) => AsIf::Unknown,
        };
        wrong.push(Wrong::Balance {
            event_id: of_state().next_back().map(|line| line.event_id),
            state,
            expected,
            stored,
            as_if,
        });
    }
}

/// Every row of the read model is of an event. What that event says is its consumer's evidence.
fn rows(
    lines: &[Line],
    stored: &Stored,
    walked: &Walked,
    moving_since: Option<Timestamp>,
    checked: &mut Checked,
) {
    let last = lines.iter().map(|line| line.version).max().unwrap_or(0);
    for row in &stored.rows {
        let version = row.version.number();
        let side = Side::from(row.balance_state);
        let of_row = |line: &Line| line.version == version && line.side == side;
        if lines.iter().any(of_row) || walked.orphans.values().any(|id| *id == row.transaction_id) {
            continue;
        }
        if version > last && moving_since.is_some_and(|since| row.occurred_at >= since) {
            checked.moving += 1;
        } else {
            checked.wrong.push(Wrong::RowUntold {
                state: row.balance_state,
                version,
            });
        }
    }
}
