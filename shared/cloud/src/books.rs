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
mod tests {
    use events::{MemberId, Sequence, Text, Usd};
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;
    use crate::account::{
        Burn, Holder, Mint, Moment, Parties, Position, Transfer, burn, mint, transfer,
    };
    use crate::backing::Severity;
    use events::contracts::alert::TreasuryBackingLow;

    fn id(number: u64) -> EventId {
        // Version 7 with a number in its tail.
        EventId::new(Uuid::from_u128(
            0x0000_0000_0000_7000_8000_0000_0000_0000 + u128::from(number),
        ))
        .expect("an id")
    }

    fn moment(number: u64) -> Moment {
        Moment {
            transaction_id: Uuid::from_u128(u128::from(number)).into(),
            now: Timestamp::from_unix_millis(i64::try_from(number).expect("small") * 1_000)
                .expect("a moment"),
            rate: "10".parse().expect("a rate"),
        }
    }

    /// Accounts, their statements and the books of the same events: what a deployed stack holds.
    #[derive(Debug, Clone, Default)]
    struct World {
        books: Books,
        accounts: BTreeMap<String, (u64, Account)>,
        statements: BTreeMap<String, BTreeMap<u64, Movement>>,
        events: u64,
    }

    fn holder(number: u8) -> Holder {
        Holder {
            member_id: MemberId::new(format!("m-{number}")).expect("an id"),
            name: Text::new("Ada").expect("a name"),
        }
    }

    impl World {
        fn position(&self, account: &str) -> Position {
            let (version, balance) = self
                .accounts
                .get(account)
                .map_or((0, Credits::ZERO), |(version, account)| {
                    (*version, account.balance)
                });
            Position {
                balance,
                next_version: Sequence::new(version + 1).expect("a version"),
            }
        }

        fn write(&mut self, account: &str, after: Account, line: Movement) {
            let version = self.position(account).next_version.number();
            self.accounts.insert(account.to_owned(), (version, after));
            let statement = self.statements.entry(account.to_owned()).or_default();
            statement.insert(version, line);
        }

        fn act(&mut self, what: u8, who: u8, other: u8, amount: u32) {
            let amount = Credits::new(Decimal::new(i64::from(amount), 3)).expect("an amount");
            let number = self.events + 1;
            let (event_id, moment) = (id(number), moment(number));
            let one = holder(who);
            let account = one.member_id.as_str().to_owned();
            let done = match what {
                0 | 1 => {
                    let command = Mint {
                        holder: Some(one),
                        amount,
                        stripe_charge_id: None,
                        stripe_payment_intent_id: None,
                        description: None,
                    };
                    mint(self.position(&account), None, command, &moment).map(|minting| {
                        self.books.enter_minted(event_id, &minting.event);
                        self.write(&account, minting.account, minting.movement(event_id));
                    })
                }
                2 => {
                    let command = Burn {
                        holder: Some(one),
                        amount,
                        reason: Text::new("refund").expect("a reason"),
                        description: None,
                    };
                    burn(self.position(&account), command, &moment).map(|burning| {
                        self.books.enter_burned(event_id, &burning.event);
                        self.write(&account, burning.account, burning.movement(event_id));
                    })
                }
                _ => {
                    let two = holder(other);
                    let receiver = two.member_id.as_str().to_owned();
                    Parties::new(one.member_id, two.member_id)
                        .map(|parties| Transfer {
                            parties,
                            from_name: one.name,
                            to_name: two.name,
                            amount,
                            description: None,
                        })
                        .and_then(|command| {
                            let (from, to) = (self.position(&account), self.position(&receiver));
                            transfer(from, to, command, &moment)
                        })
                        .map(|moved| {
                            let (given, got) = moved.movements(event_id);
                            self.books.enter_transferred(event_id, &moved.event);
                            self.write(&account, moved.from, given);
                            self.write(&receiver, moved.to, got);
                        })
                }
            };
            if done.is_ok() {
                self.events = number;
            }
        }

        fn check(&self, moving_since: Option<Timestamp>) -> Checked {
            let mut books = self.books.clone();
            let mut all = Checked::default();
            let empty = BTreeMap::new();
            for (account, stored) in &self.accounts {
                let ledger = books.take(account);
                let statement = self.statements.get(account).unwrap_or(&empty);
                let one = check_account(&ledger, Some(*stored), statement, moving_since);
                all.wrong.extend(one.wrong);
                all.moving += one.moving;
            }
            for ledger in books.rest().values() {
                let one = check_account(ledger, None, &empty, moving_since);
                all.wrong.extend(one.wrong);
            }
            all
        }
    }

    fn worlds() -> impl Strategy<Value = World> {
        let act = (0..5_u8, 0..4_u8, 0..4_u8, 1..100_000_u32);
        prop::collection::vec(act, 1..40).prop_map(|acts| {
            let mut world = World::default();
            // One that always succeeds, so that there is something to damage.
            world.act(0, 0, 0, 50_000);
            for (what, who, other, amount) in acts {
                world.act(what, who, other, amount);
            }
            world
        })
    }

    proptest! {
        #[test]
        fn what_the_rules_decide_is_clean_and_every_credit_is_minted_and_not_burned(world in worlds()) {
            prop_assert_eq!(world.check(None), Checked::default());
            let balances: Decimal = world.accounts.values().map(|(_, account)| account.balance.decimal()).sum();
            prop_assert_eq!(balances, world.books.minted - world.books.burned);
        }

        #[test]
        fn a_balance_that_is_off_is_found_and_one_event_twice_is_named(world in worlds(), pick in any::<prop::sample::Index>()) {
            let accounts: Vec<String> = world.accounts.keys().cloned().collect();
            let account = &accounts[pick.index(accounts.len())];
            let mut books = world.books.clone();
            let ledger = books.take(account);
            let last = ledger.values().next_back().expect("an event")[0];
            let mut damaged = world;
            let stored = damaged.accounts.get_mut(account).expect("there");
            let Ok(off) = Credits::new(stored.1.balance.decimal() + last.change()) else { return Ok(()); };
            stored.1.balance = off;
            let wrong = damaged.check(None).wrong;
            prop_assert_eq!(wrong.len(), 1);
            let found = matches!(wrong[0], Wrong::Balance { as_if: AsIf::Twice(event), .. } if event == last.event_id);
            prop_assert!(found, "{:?}", wrong);
        }

        #[test]
        fn a_line_or_an_event_or_an_account_that_is_gone_is_found(world in worlds(), pick in any::<prop::sample::Index>()) {
            let all: Vec<(String, u64)> = world.statements.iter()
                .flat_map(|(account, lines)| lines.keys().map(|version| (account.clone(), *version)))
                .collect();
            let (account, version) = &all[pick.index(all.len())];

            let mut no_line = world.clone();
            let line = no_line.statements.get_mut(account).and_then(|lines| lines.remove(version)).expect("there");
            let expected = Wrong::EventWithoutLine { version: *version, event_id: line.event_id };
            prop_assert_eq!(no_line.check(None).wrong, vec![expected]);

            let mut no_event = world.clone();
            no_event.books.ledgers.get_mut(account).expect("there").remove(version);
            let expected = Wrong::LineWithoutEvent { version: *version, event_id: line.event_id };
            let found = no_event.check(None).wrong;
            prop_assert!(found.contains(&expected), "{:?}", found);

            let mut no_account = world;
            no_account.accounts.remove(account);
            let found = no_account.check(None).wrong;
            prop_assert!(found.iter().any(|one| matches!(one, Wrong::NoAccount { .. })), "{:?}", found);
        }

        #[test]
        fn what_happened_while_the_log_was_read_is_no_finding_and_no_excuse_for_older_changes(world in worlds()) {
            let mut ahead = world;
            let before = ahead.books.clone();
            ahead.act(0, 0, 0, 7);
            let now = moment(ahead.events).now;
            // The log was read before that last change.
            ahead.books = before;
            let checked = ahead.check(Some(now));
            prop_assert_eq!((checked.wrong, checked.moving), (vec![], 1));
            prop_assert_eq!(ahead.check(None).wrong.len(), 1);
            let later = moment(ahead.events + 1).now;
            prop_assert_eq!(ahead.check(Some(later)).wrong.len(), 1);
        }

        #[test]
        fn a_total_is_the_sum_of_what_was_counted_and_one_event_twice_is_named(
            changes in prop::collection::vec(-1_000_i64..1_000, 1..30), pick in any::<prop::sample::Index>(),
        ) {
            let counted: Vec<(EventId, Decimal)> = (1_u64..).zip(&changes)
                .map(|(number, change)| (id(number), Decimal::new(*change, 3)))
                .collect();
            let total: Decimal = counted.iter().map(|(_, change)| change).sum();
            prop_assert_eq!(check_total(&counted, &[], total), Total::Agrees);
            let (_, change) = counted[pick.index(counted.len())];
            prop_assume!(!change.is_zero());
            let Total::Wrong { expected, as_if } = check_total(&counted, &[], total + change) else {
                return Err(TestCaseError::fail("not found"));
            };
            prop_assert_eq!(expected, total);
            let AsIf::Twice(named) = as_if else { return Err(TestCaseError::fail("not named")); };
            let equal = counted.iter().any(|(event, same)| *event == named && *same == change);
            prop_assert!(equal);
            // The same difference, when an event of that size may just have been counted.
            let may = [(id(99), change)];
            prop_assert_eq!(check_total(&counted, &may, total + change), Total::AgreesWithUncertain);
            prop_assert_eq!(check_total(&counted, &may, total), Total::Agrees);
        }
    }

    #[test]
    fn an_event_whose_balance_does_not_follow_and_one_version_told_twice_are_named() {
        let mut world = World::default();
        for amount in [5_000, 7_000, 9_000] {
            world.act(0, 1, 0, amount);
        }
        let ledger = world.books.ledgers.get_mut("m-1").expect("there");
        let second = ledger.get_mut(&2).expect("there");
        second.push(Told {
            event_id: id(77),
            ..second[0]
        });
        let wrong = world.check(None).wrong;
        assert_eq!(
            wrong,
            [Wrong::VersionTwice {
                version: 2,
                event_id: id(77)
            }]
        );
        let second = world
            .books
            .ledgers
            .get_mut("m-1")
            .and_then(|ledger| ledger.get_mut(&2))
            .expect("there");
        second.truncate(1);
        second[0].balance_after = Some("13".parse().expect("an amount"));
        let wrong = world.check(None).wrong;
        assert!(
            wrong.iter().any(
                |one| matches!(one, Wrong::Step { version: 2, event_id, .. } if *event_id == id(2))
            ),
            "{wrong:?}"
        );
    }

    #[test]
    fn too_much_that_is_uncertain_is_said_to_be_so() {
        let many: Vec<(EventId, Decimal)> = (1..=20).map(|n| (id(n), Decimal::ONE)).collect();
        assert_eq!(
            check_total(&[], &many, Decimal::ONE_HUNDRED),
            Total::Unknown
        );
        let few = &many[..3];
        assert_eq!(
            check_total(&[], few, Decimal::from(3)),
            Total::AgreesWithUncertain
        );
        assert!(matches!(
            check_total(&[], few, Decimal::from(4)),
            Total::Wrong { .. }
        ));
    }

    #[test]
    fn only_the_open_episode_is_open() {
        let alert = |episode, closed: bool| Alert {
            kind: "treasury_backing".into(),
            severity: Severity::Critical,
            message: String::new(),
            data: TreasuryBackingLow {
                backing_percent: "50".parse().expect("percent"),
                total_cloud_outstanding: Credits::ZERO,
                mercury_balance: Usd::ZERO,
                shortfall: Usd::ZERO,
            },
            episode,
            opened_at: Timestamp::EPOCH,
            closed_at: closed.then_some(Timestamp::EPOCH),
        };
        let rows = |rows: &[(u64, bool)]| -> BTreeMap<u64, Alert> {
            rows.iter()
                .map(|(episode, closed)| (*episode, alert(*episode, *closed)))
                .collect()
        };
        let open = Backing {
            open: true,
            episode: 3,
        };
        let closed = Backing {
            open: false,
            episode: 3,
        };
        let whole = rows(&[(1, true), (2, true), (3, false)]);
        assert_eq!(check_episodes(Some(&open), &whole), []);
        assert_eq!(check_episodes(None, &rows(&[])), []);
        // A row that somebody removed is no finding.
        assert_eq!(check_episodes(Some(&open), &rows(&[(3, false)])), []);
        assert_eq!(
            check_episodes(Some(&closed), &whole),
            [WrongEpisode::StillOpen { episode: 3 }]
        );
        let early = rows(&[(2, false), (3, true), (4, true)]);
        assert_eq!(
            check_episodes(Some(&open), &early),
            [
                WrongEpisode::StillOpen { episode: 2 },
                WrongEpisode::ClosedTooSoon { episode: 3 },
                WrongEpisode::NeverBegan { episode: 4 }
            ]
        );
    }
}
