//! Checks one account: its entries, balances and read model rows against its events.

use std::collections::{BTreeMap, BTreeSet, btree_map};

use events::{EventId, Points, Timestamp, TransactionId, contracts::wallet::BalanceState};
use rust_decimal::Decimal;

use super::Line;
use crate::{
    Account,
    balances::BalanceRow,
    ledger::{LedgerEntry, Side},
};

/// The single event that would explain a wrong balance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsIf {
    /// The balance is as if this event had taken effect twice.
    Twice(EventId),
    /// The balance is as if this event had taken no effect.
    Never(EventId),
    /// No single event explains it.
    Unknown,
}

/// A fault found in an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wrong {
    /// Two events name the same entry.
    EntryTwice {
        /// The entry's number.
        number: u64,
        /// The surplus event.
        event_id: EventId,
    },
    /// A movement changed the same balance state twice.
    MovedTwice {
        /// The movement.
        transaction_id: TransactionId,
        /// The surplus event.
        event_id: EventId,
    },
    /// Two movements state the same version.
    VersionTwice {
        /// The version.
        version: u64,
        /// The surplus event.
        event_id: EventId,
    },
    /// No event reports this version, and no missing entry or event explains it.
    VersionUnrecorded {
        /// The version.
        version: u64,
    },
    /// The entry that an event names does not exist.
    EntryMissing {
        /// The entry's number.
        number: u64,
        /// The movement.
        transaction_id: TransactionId,
        /// The event that names the entry.
        event_id: EventId,
    },
    /// The entry differs from its event.
    OtherEntry {
        /// The entry's number.
        number: u64,
        /// The movement.
        transaction_id: TransactionId,
        /// The event that names the entry.
        event_id: EventId,
        /// The fields that differ.
        differing: Vec<&'static str>,
    },
    /// No event reports this entry.
    EntryUnrecorded {
        /// The entry's number.
        number: u64,
        /// The movement that the entry names.
        transaction_id: TransactionId,
    },
    /// Neither an event nor an entry has this number.
    NumberUnrecorded {
        /// The missing number.
        number: u64,
    },
    /// The balance that an event states does not follow from the balance before it.
    Step {
        /// The event.
        event_id: EventId,
        /// The balance state.
        state: BalanceState,
        /// The balance that would follow.
        expected: Decimal,
        /// The balance that the event states.
        stated: Points,
    },
    /// The stored balance differs from the sum of the events.
    Balance {
        /// The last event about the balance, if there is one.
        event_id: Option<EventId>,
        /// The balance state.
        state: BalanceState,
        /// The sum of the events.
        expected: Decimal,
        /// The stored balance.
        stored: Points,
        /// The single event that would explain the difference.
        as_if: AsIf,
    },
    /// The stored account's last entry number differs from the number of the last entry.
    LastEntry {
        /// The number of the last entry.
        expected: u64,
        /// The stored number.
        stored: u64,
    },
    /// The stored account is older than its events.
    Behind {
        /// The account's last event.
        event_id: EventId,
        /// The version that the event states.
        recorded: u64,
        /// The stored version.
        stored: u64,
    },
    /// There are events but no stored account.
    NoAccount {
        /// The account's last event.
        event_id: EventId,
    },
    /// A row of the read model comes from no event.
    RowUnrecorded {
        /// The row's balance state.
        state: BalanceState,
        /// The version that the row states.
        version: u64,
    },
}

/// The result of checking an account.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Checked {
    /// The faults found.
    pub wrong: Vec<Wrong>,
    /// The number of changes made after the log was read. They are not faults.
    pub moving: u64,
}

/// What is stored for an account. The entries are read before the account itself.
#[derive(Debug, Clone, Default)]
pub struct StoredAccount {
    /// The account and its version.
    pub account: Option<(u64, Account)>,
    /// Its entries by number.
    pub entries: BTreeMap<u64, LedgerEntry>,
    /// Its rows of the read model.
    pub rows: Vec<BalanceRow>,
}

/// The result of walking an account's entries.
#[derive(Default)]
struct Walked {
    /// The number of the last entry.
    last: u64,
    /// Each balance after the last entry; `None` if an entry before it is missing.
    balances: BTreeMap<BalanceState, Option<Decimal>>,
    /// Entries that no event reports, with their movements.
    orphans: BTreeMap<u64, TransactionId>,
    /// Whether numbers are missing.
    gaps: bool,
}

impl Walked {
    /// Whether there are later entries and none of them is reported by an event. Those were recorded as faults already.
    fn unrecorded_after(&self, number: u64) -> bool {
        number < self.last && (number + 1..=self.last).all(|one| self.orphans.contains_key(&one))
    }
}

/// Compares an account with its events. The events must be read before the account. A change beyond the last event
/// counts as newer than the reading of the log if it happened at or after `moving_since`; otherwise, or if
/// `moving_since` is `None`, it counts as a fault.
#[must_use]
pub fn check_account(
    lines: &[Line],
    stored: &StoredAccount,
    moving_since: Option<Timestamp>,
) -> Checked {
    let mut checked = Checked::default();
    once(lines, &mut checked.wrong);
    let walked = walk(lines, stored, moving_since, &mut checked);
    let newest = lines.iter().max_by_key(|line| line.version);
    match (stored.account, newest) {
        (None, None) => {}
        (None, Some(last)) => checked.wrong.push(Wrong::NoAccount {
            event_id: last.event_id,
        }),
        (Some((version, _)), Some(last)) if version < last.version => {
            checked.wrong.push(Wrong::Behind {
                event_id: last.event_id,
                recorded: last.version,
                stored: version,
            });
        }
        (Some((version, account)), _) => {
            let newest_version = newest.map_or(0, |last| last.version);
            if account.last_entry() == walked.last {
                state(lines, account, &walked, &mut checked.wrong);
                let explained = !walked.orphans.is_empty() || walked.gaps || checked.moving > 0;
                if version > newest_version && !explained {
                    checked.wrong.push(Wrong::VersionUnrecorded { version });
                }
            } else if account.last_entry() > walked.last
                && version > newest_version
                && moving_since.is_some()
            {
                // Written after the entries were read. The next reading of the log shows whether its events exist.
                checked.moving += 1;
            } else if !walked.unrecorded_after(account.last_entry()) {
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

/// Checks that a movement is reported once per side of the account, and that a version belongs to one movement.
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

/// Pairs each line with the number of its entry. An external entry has the number after the balance's entry of the same
/// movement. If that balance event is missing, the number comes from the stored entry.
fn numbered<'l>(lines: &'l [Line], stored: &StoredAccount) -> Vec<(u64, &'l Line)> {
    let mut numbered = Vec::with_capacity(lines.len());
    for line in lines {
        let number = line.number().or_else(|| {
            let of_movement =
                |one: &&Line| one.transaction_id == line.transaction_id && one.entry.is_some();
            let before = lines.iter().find(of_movement).and_then(Line::number);
            let there = || {
                let mut entries = stored.entries.values();
                let same = |entry: &&LedgerEntry| {
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
    stored: &StoredAccount,
    moving_since: Option<Timestamp>,
    checked: &mut Checked,
) -> Walked {
    let wrong = &mut checked.wrong;
    let mut recorded_lines: BTreeMap<u64, &Line> = BTreeMap::new();
    for (number, line) in numbered(lines, stored) {
        if let btree_map::Entry::Vacant(place) = recorded_lines.entry(number) {
            place.insert(line);
        } else {
            let event_id = line.event_id;
            let said = |one: &Wrong| matches!(one, Wrong::MovedTwice { event_id: twice, .. } if *twice == event_id);
            if !wrong.iter().any(said) {
                wrong.push(Wrong::EntryTwice { number, event_id });
            }
        }
    }
    let last_recorded = recorded_lines
        .last_key_value()
        .map_or(0, |(number, _)| *number);
    let mut walked = Walked {
        balances: BalanceState::ALL
            .into_iter()
            .map(|state| (state, Some(Decimal::ZERO)))
            .collect(),
        ..Walked::default()
    };
    let numbers: BTreeSet<u64> = recorded_lines
        .keys()
        .chain(stored.entries.keys())
        .copied()
        .collect();
    for number in numbers {
        for missing in walked.last + 1..number {
            wrong.push(Wrong::NumberUnrecorded { number: missing });
            walked.gaps = true;
            // The balances after a gap are unknown.
            walked.balances.values_mut().for_each(|one| *one = None);
        }
        walked.last = number;
        match (recorded_lines.get(&number), stored.entries.get(&number)) {
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
                if number > last_recorded && young {
                    checked.moving += 1;
                } else {
                    wrong.push(Wrong::EntryUnrecorded {
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

/// Checks that an event's balance follows from the balance before it and differs by the stated change.
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

/// Compares the stored balances with the sum of the entries.
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

/// Checks that every row of the read model comes from an event. The evidence of the consumer shows whether the row's
/// values are right.
fn rows(
    lines: &[Line],
    stored: &StoredAccount,
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
            checked.wrong.push(Wrong::RowUnrecorded {
                state: row.balance_state,
                version,
            });
        }
    }
}
