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
