use std::collections::BTreeMap;

use events::{
    Cause, Contract, Credits, Draft, Envelope, MemberId, Quantity, Sequence, Stamp, Text,
    Timestamp, Usd, contracts::alert::TreasuryBackingLow,
};
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::{
    Refusal,
    account::{
        Account, Burn, CommandContext, Holder, Holding, Mint, Movement, Parties, StripePayment,
        Transfer, account_id, burn, mint, transfer,
    },
    backing::{Alert, Backing, Severity},
    rate_card::tests::approved,
    redemption::{Metering, Redeem, redeem},
    stake::{Position, RevenueShares, Stake, stake, unstake},
};

fn id(number: u64) -> EventId {
    // A version 7 UUID with a number in its tail.
    EventId::new(Uuid::from_u128(
        0x0000_0000_0000_7000_8000_0000_0000_0000 + u128::from(number),
    ))
    .expect("an id")
}

/// The context of a decision at second `number`.
fn context(number: u64) -> CommandContext {
    CommandContext {
        transaction_id: Uuid::from_u128(u128::from(number)).into(),
        now: Timestamp::from_unix_millis(i64::try_from(number).expect("small") * 1_000)
            .expect("a moment"),
        rate: "10".parse().expect("a rate"),
    }
}

/// Accounts, their statements and the books of the same events, as a deployed stack has them.
#[derive(Debug, Clone, Default)]
struct World {
    books: Books,
    accounts: BTreeMap<String, (u64, Account)>,
    statements: BTreeMap<String, BTreeMap<u64, Movement>>,
    positions: BTreeMap<String, Vec<Position>>,
    events: u64,
}

fn holder(number: u8) -> Holder {
    Holder {
        member_id: MemberId::new(format!("m-{number}")).expect("an id"),
        name: Text::new("Ada").expect("a name"),
    }
}

/// An event as a reader of the log finds it.
fn logged<C: Contract>(event_id: EventId, event: &C) -> Envelope {
    Draft::of(event).expect("a draft").seal(&Stamp {
        event_id,
        sequence: Sequence::new(1).expect("a sequence"),
        now: Timestamp::EPOCH,
        cause: &Cause::default(),
    })
}

/// A command. Without a holder it is about the unallocated account.
#[derive(Debug, Clone, Copy)]
enum Asked {
    Mint(Option<u8>, Credits),
    Burn(Option<u8>, Credits),
    Transfer(u8, u8, Credits),
    Redeem(u8, Quantity),
    Stake(u8, Credits, u32),
    Unstake(u8, prop::sample::Index),
}

fn asked() -> impl Strategy<Value = Asked> {
    let amount = || {
        let units = prop_oneof![
            8 => 0_i64..5_000_000,
            // Near the edge of what an account can hold.
            1 => 999_999_990_000_000_i64..=999_999_999_999_999,
        ];
        units.prop_map(|units| Credits::new(Decimal::new(units, 6)).expect("in range"))
    };
    let maybe = || prop::option::weighted(0.8, 0_u8..4);
    let who = || 0_u8..4;
    let quantity = (1_i64..3_000_000)
        .prop_map(|units| Quantity::new(Decimal::new(units, 6)).expect("in range"));
    let days = prop_oneof![4 => Just(30_u32), 1 => Just(31)];
    prop_oneof![
        3 => (maybe(), amount()).prop_map(|(who, amount)| Asked::Mint(who, amount)),
        1 => (maybe(), amount()).prop_map(|(who, amount)| Asked::Burn(who, amount)),
        2 => (who(), who(), amount()).prop_map(|(from, to, amount)| Asked::Transfer(from, to, amount)),
        2 => (who(), quantity).prop_map(|(who, quantity)| Asked::Redeem(who, quantity)),
        2 => (who(), amount(), days).prop_map(|(who, amount, days)| Asked::Stake(who, amount, days)),
        2 => (who(), any::<prop::sample::Index>()).prop_map(|(who, which)| Asked::Unstake(who, which)),
    ]
}

impl World {
    fn holding(&self, account: &str) -> Holding {
        let (version, account) = self.accounts.get(account).copied().unwrap_or_default();
        Holding {
            account,
            next_version: Sequence::new(version + 1).expect("a version"),
        }
    }

    fn write(&mut self, account: &str, after: Account, line: Movement) {
        let version = self.holding(account).next_version.number();
        self.accounts.insert(account.to_owned(), (version, after));
        let statement = self.statements.entry(account.to_owned()).or_default();
        statement.insert(version, line);
    }

    /// Decides by the rules and writes the result. A refusal changes nothing.
    fn act(&mut self, asked: Asked) {
        let number = self.events + 1;
        let (event_id, context) = (id(number), context(number));
        if self.decide(asked, event_id, &context).is_ok() {
            self.events = number;
        }
    }

    fn mint(&mut self, who: u8, thousandths: i64) {
        let amount = Credits::new(Decimal::new(thousandths, 3)).expect("an amount");
        self.act(Asked::Mint(Some(who), amount));
    }

    fn decide(
        &mut self,
        asked: Asked,
        event_id: EventId,
        context: &CommandContext,
    ) -> Result<(), Refusal> {
        let event = match asked {
            Asked::Mint(who, amount) => {
                let holder = who.map(holder);
                let id = account_id(holder.as_ref().map(|one| &one.member_id)).to_owned();
                let command = Mint {
                    holder,
                    amount,
                    payment: StripePayment::default(),
                    description: None,
                };
                let done = mint(self.holding(&id), None, command, context)?;
                self.write(&id, done.account, done.movement(event_id));
                logged(event_id, &done.event)
            }
            Asked::Burn(who, amount) => {
                let holder = who.map(holder);
                let id = account_id(holder.as_ref().map(|one| &one.member_id)).to_owned();
                let command = Burn {
                    holder,
                    amount,
                    reason: Text::new("refund").expect("a reason"),
                    description: None,
                };
                let done = burn(self.holding(&id), command, context)?;
                self.write(&id, done.account, done.movement(event_id));
                logged(event_id, &done.event)
            }
            Asked::Transfer(from, to, amount) => {
                let (from, to) = (holder(from), holder(to));
                let (giver, receiver) = (from.member_id.to_string(), to.member_id.to_string());
                let command = Transfer {
                    parties: Parties::new(from.member_id, to.member_id)?,
                    from_name: from.name,
                    to_name: to.name,
                    amount,
                    description: None,
                };
                let (one, two) = (self.holding(&giver), self.holding(&receiver));
                let done = transfer(one, two, command, context)?;
                let (given, got) = done.movements(event_id);
                self.write(&giver, done.from, given);
                self.write(&receiver, done.to, got);
                logged(event_id, &done.event)
            }
            Asked::Redeem(who, quantity) => {
                let holder = holder(who);
                let id = holder.member_id.to_string();
                let command = Redeem {
                    holder,
                    amount: None,
                    metering: Metering::named("stm", "GB-hour").expect("known"),
                    quantity,
                    service_name: Text::new("habitat-api").expect("a name"),
                    period_id: Text::new("q1-2026").expect("a period"),
                    rate_card_version: Sequence::new(1).expect("a number"),
                };
                let done = redeem(
                    self.holding(&id),
                    Some(&approved(1, "0.333333")),
                    command,
                    context,
                )?;
                self.write(&id, done.account, done.movement(event_id));
                logged(event_id, &done.event)
            }
            Asked::Stake(who, amount, lock_duration_days) => {
                let holder = holder(who);
                let id = holder.member_id.to_string();
                let command = Stake {
                    holder,
                    amount,
                    lock_duration_days,
                };
                let position = event_id.uuid().into();
                let shares = RevenueShares::default();
                let done = stake(self.holding(&id), command, &shares, position, context)?;
                self.write(&id, done.account, done.movement(event_id));
                self.positions
                    .entry(id)
                    .or_default()
                    .push(done.position.clone());
                logged(event_id, &done.event)
            }
            Asked::Unstake(who, which) => {
                let holder = holder(who);
                let id = holder.member_id.to_string();
                let positions = self.positions.get(&id).filter(|all| !all.is_empty());
                // Without a stake there is nothing to release.
                let Some(positions) = positions else {
                    return Err(Refusal::AmountNotPositive);
                };
                let place = which.index(positions.len());
                let position = positions[place].clone();
                let context = CommandContext {
                    now: position.unlock_at(),
                    ..*context
                };
                let done = unstake(self.holding(&id), &position, holder, None, &context)?;
                self.write(&id, done.account, done.movement(event_id));
                self.positions.get_mut(&id).expect("there")[place] = done.position.clone();
                logged(event_id, &done.event)
            }
        };
        assert_eq!(self.books.enter(&event), Ok(true));
        Ok(())
    }

    /// All credits, liquid and locked.
    fn held(&self) -> Decimal {
        let accounts = self.accounts.values();
        accounts
            .map(|(_, account)| account.balance().decimal() + account.staked().decimal())
            .sum()
    }

    fn stored(&self, account: &str) -> StoredAccount {
        StoredAccount {
            account: self.accounts.get(account).copied(),
            statement: self.statements.get(account).cloned().unwrap_or_default(),
            positions: self.positions.get(account).cloned().unwrap_or_default(),
        }
    }

    fn check(&self, moving_since: Option<Timestamp>) -> Checked {
        let mut books = self.books.clone();
        let mut all = Checked::default();
        for account in self.accounts.keys() {
            let ledger = books.take(account);
            let one = check_account(&ledger, &self.stored(account), moving_since);
            all.wrong.extend(one.wrong);
            all.moving += one.moving;
        }
        for ledger in books.rest().values() {
            let one = check_account(ledger, &StoredAccount::default(), moving_since);
            all.wrong.extend(one.wrong);
        }
        all
    }
}

fn worlds() -> impl Strategy<Value = World> {
    prop::collection::vec(asked(), 1..40).prop_map(|all| {
        let mut world = World::default();
        // This command always succeeds, so that there is something to damage.
        world.mint(0, 50_000);
        for one in all {
            world.act(one);
        }
        world
    })
}

proptest! {
    #[test]
    fn whatever_is_asked_every_credit_minted_is_burned_redeemed_liquid_or_staked(all in prop::collection::vec(asked(), 1..80)) {
        let mut world = World::default();
        for one in all {
            world.act(one);
            // On every prefix.
            prop_assert_eq!(world.held(), world.books.outstanding());
        }
        prop_assert_eq!(world.check(None), Checked::default());
        // Rebuilds every balance from the events alone.
        let mut books = world.books.clone();
        for (account, (version, stored)) in &world.accounts {
            let ledger = books.take(account);
            let recorded = || ledger.values().flatten();
            let liquid: Decimal = recorded().map(RecordedChange::change).sum();
            let staked: Decimal = recorded().map(RecordedChange::staked_change).sum();
            prop_assert_eq!((liquid, staked), (stored.balance().decimal(), stored.staked().decimal()));
            prop_assert_eq!(u64::try_from(ledger.len()).ok(), Some(*version));
        }
        prop_assert!(books.rest().is_empty());
    }

    #[test]
    fn what_is_staked_and_does_not_follow_is_found(world in worlds(), amount in 1_i64..1_000) {
        let mut world = world;
        let amount = Credits::new(Decimal::new(amount, 3)).expect("an amount");
        world.act(Asked::Mint(Some(0), amount));
        world.act(Asked::Stake(0, amount, 30));
        prop_assume!(world.check(None) == Checked::default() && world.positions.contains_key("m-0"));
        let last = world.books.ledgers["m-0"].values().next_back().expect("an event")[0];
        prop_assume!(last.kind == Kind::Staked);

        let mut released = world.clone();
        let position = released.positions.get_mut("m-0").and_then(|all| all.last_mut()).expect("there");
        let mut ended = serde_json::to_value(&*position).expect("serialises");
        ended["status"] = serde_json::json!("released");
        *position = serde_json::from_value(ended).expect("a position");
        let found = released.check(None).wrong;
        prop_assert!(matches!(found[..], [Wrong::Positions { event_id, .. }] if event_id == last.event_id), "{:?}", found);

        let mut lost = world.clone();
        let account = &mut lost.accounts.get_mut("m-0").expect("there").1;
        *account = Account::holding(account.balance(), Credits::ZERO);
        let found = lost.check(None).wrong;
        prop_assert!(found.iter().any(|one| matches!(one, Wrong::Staked { .. })), "{:?}", found);

        let mut other = world;
        let ledger = other.books.ledgers.get_mut("m-0").expect("there");
        let changes = ledger.values_mut().next_back().and_then(|changes| changes.first_mut()).expect("there");
        changes.staked_after = Some(Credits::new(Credits::max()).expect("the largest"));
        let found = other.check(None).wrong;
        prop_assert!(found.iter().any(|one| matches!(one, Wrong::StakedStep { .. })), "{:?}", found);
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
        let Ok(off) = Credits::new(stored.1.balance().decimal() + last.change()) else { return Ok(()); };
        stored.1 = Account::holding(off, stored.1.staked());
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
        let events = ahead.events;
        ahead.mint(0, 7);
        // The account can be full.
        prop_assume!(ahead.events > events);
        let now = context(ahead.events).now;
        // The log was read before that last change.
        ahead.books = before;
        let checked = ahead.check(Some(now));
        prop_assert_eq!((checked.wrong, checked.moving), (vec![], 1));
        prop_assert_eq!(ahead.check(None).wrong.len(), 1);
        let later = context(ahead.events + 1).now;
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
        // The same difference is accepted if an event of that size might just have been counted.
        let may = [(id(99), change)];
        prop_assert_eq!(check_total(&counted, &may, total + change), Total::AgreesWithUncertain);
        prop_assert_eq!(check_total(&counted, &may, total), Total::Agrees);
    }
}

#[test]
fn an_event_whose_balance_does_not_follow_and_one_version_told_twice_are_named() {
    let mut world = World::default();
    for amount in [5_000, 7_000, 9_000] {
        world.mint(1, amount);
    }
    let ledger = world.books.ledgers.get_mut("m-1").expect("there");
    let second = ledger.get_mut(&2).expect("there");
    second.push(RecordedChange {
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
    let state = |open: bool| -> Backing {
        let state = serde_json::json!({ "open": open, "episode": 3 });
        serde_json::from_value(state).expect("a state")
    };
    let (open, closed) = (state(true), state(false));
    let whole = rows(&[(1, true), (2, true), (3, false)]);
    assert_eq!(check_episodes(Some(&open), &whole), []);
    assert_eq!(check_episodes(None, &rows(&[])), []);
    // A removed row is not a finding.
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
