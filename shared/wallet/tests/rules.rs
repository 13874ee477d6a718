//! Runs the rules over random commands. Whatever the commands and their order, the ledger balances after every
//! movement, no balance falls below zero, an escrow ends at most once, and entries and events each add up to the
//! stored balances.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use events::{
    EscrowId, ExternalReference, MemberId, Points, Sequence, Text, Timestamp,
    contracts::wallet::{AccountType, BalanceState, BalanceUpdated},
};
use proptest::prelude::*;
use rust_decimal::Decimal;
use uuid::Uuid;
use wallet::{
    Account, CommandContext, Escrow, HoldReason, Holding, Posting, Refusal,
    escrow::{self, Held, Hold, Parts, Status},
    ledger::{self, LedgerEntry, Side},
    outside,
};

const MEMBERS: [&str; 3] = ["ada", "bob", "cleo"];

/// A command. Members are indexes into [`MEMBERS`], escrows are numbered in the order of their holds, amounts are in
/// hundredths.
#[derive(Debug, Clone)]
enum Asked {
    Deposit(usize, i64),
    Withdraw(AccountType, usize, i64),
    Hold(usize, i64),
    Settle(usize, usize),
    Refund(usize),
    Divide {
        escrow: usize,
        model: usize,
        refund: i64,
        off: i64,
    },
}

fn asked() -> impl Strategy<Value = Asked> {
    let member = 0..MEMBERS.len();
    let amount = 0_i64..3_000;
    let escrow = 0_usize..6;
    prop_oneof![
        3 => (member.clone(), amount.clone()).prop_map(|(of, amount)| Asked::Deposit(of, amount)),
        2 => (any::<bool>(), member.clone(), amount.clone()).prop_map(|(user, of, amount)| {
            let account_type = if user { AccountType::User } else { AccountType::Model };
            Asked::Withdraw(account_type, of, amount)
        }),
        4 => (member.clone(), amount.clone()).prop_map(|(of, amount)| Asked::Hold(of, amount)),
        2 => (escrow.clone(), member.clone()).prop_map(|(of, model)| Asked::Settle(of, model)),
        2 => escrow.clone().prop_map(Asked::Refund),
        2 => (escrow, member, amount, -1_i64..=1).prop_map(|(escrow, model, refund, off)| Asked::Divide {
            escrow, model, refund, off
        }),
    ]
}

fn points(hundredths: i64) -> Points {
    Points::new(Decimal::new(hundredths, 2)).expect("points")
}

fn reference() -> ExternalReference {
    ExternalReference::new("bank/1").expect("a reference")
}

#[derive(Default)]
struct Books {
    accounts: BTreeMap<(AccountType, MemberId), (Account, u64)>,
    escrows: Vec<(Escrow, u64)>,
    entries: Vec<LedgerEntry>,
    updates: Vec<BalanceUpdated>,
    movements: u128,
}

impl Books {
    fn holding(&self, account_type: AccountType, member: usize) -> Holding {
        let account_id = MemberId::new(MEMBERS[member]).expect("an id");
        let (account, version) = self
            .accounts
            .get(&(account_type, account_id.clone()))
            .copied()
            .unwrap_or_default();
        let number = |number| Sequence::new(number).expect("a number");
        Holding {
            account_type,
            account_id,
            account,
            next_version: number(version + 1),
            next_entries: [
                number(account.last_entry() + 1),
                number(account.last_entry() + 2),
            ],
        }
    }

    fn context(&mut self) -> CommandContext {
        self.movements += 1;
        let millis = i64::try_from(self.movements).expect("few");
        CommandContext {
            transaction_id: Uuid::from_u128(self.movements).into(),
            now: Timestamp::from_unix_millis(millis).expect("a moment"),
        }
    }

    fn write<'p>(&mut self, postings: impl IntoIterator<Item = &'p Posting>) {
        for posting in postings {
            let of = (posting.account_type, posting.account_id.clone());
            self.accounts
                .insert(of, (posting.account, posting.version.number()));
            self.entries.extend(posting.entries.iter().cloned());
            self.updates.extend(posting.updates.iter().cloned());
        }
    }

    fn end<E>(&mut self, at: usize, moving: &escrow::Moving<E>) {
        self.escrows[at] = (moving.escrow.clone(), self.escrows[at].1 + 1);
    }

    /// Executes a command or returns its refusal.
    fn ask(&mut self, asked: &Asked) -> Result<(), Refusal> {
        let context = self.context();
        match *asked {
            Asked::Deposit(of, amount) => {
                let user = self.holding(AccountType::User, of);
                let moving = outside::deposit(&user, points(amount), reference(), None, &context)?;
                self.write([&moving.posting]);
            }
            Asked::Withdraw(account_type, of, amount) => {
                let account = self.holding(account_type, of);
                let moving =
                    outside::withdraw(&account, points(amount), reference(), None, &context)?;
                self.write([&moving.posting]);
            }
            Asked::Hold(of, amount) => {
                let escrow_id: EscrowId = Uuid::from_u128(self.movements).into();
                let text = "q-1";
                let command = Hold {
                    escrow_id,
                    amount: points(amount),
                    reason: HoldReason::PerformanceRequest,
                    queue_item_id: Text::new(text).expect("a text"),
                    feature_type: Text::new(text).expect("a text"),
                    request_id: Text::new(text).expect("a text"),
                };
                let user = self.holding(AccountType::User, of);
                let version = Sequence::new(1).expect("a version");
                let moving = escrow::hold(&user, command, version, &context)?;
                self.write(moving.postings());
                self.escrows.push((moving.escrow, 1));
            }
            Asked::Settle(at, _) | Asked::Refund(at) | Asked::Divide { escrow: at, .. } => {
                let Some((escrow, version)) = self.escrows.get(at).cloned() else {
                    return Ok(());
                };
                let held = Held {
                    escrow: &escrow,
                    next_version: Sequence::new(version + 1).expect("a version"),
                };
                let of = MEMBERS
                    .iter()
                    .position(|name| *name == escrow.user_id().as_str());
                let user = self.holding(AccountType::User, of.expect("a member"));
                match *asked {
                    Asked::Settle(_, model) => {
                        let model = self.holding(AccountType::Model, model);
                        let moving = escrow::settle(&held, &user, &model, &context)?;
                        self.write(moving.postings());
                        self.end(at, &moving);
                    }
                    Asked::Refund(_) => {
                        let moving = escrow::refund(&held, &user, &context)?;
                        self.write(moving.postings());
                        self.end(at, &moving);
                    }
                    Asked::Divide {
                        model, refund, off, ..
                    } => {
                        let model = self.holding(AccountType::Model, model);
                        let rest = escrow.amount().decimal() - Decimal::new(refund + off, 2);
                        let parts = Parts {
                            refund: points(refund),
                            settle: Points::new(rest).unwrap_or_default(),
                        };
                        let moving = escrow::partial_settle(&held, &user, &model, parts, &context)?;
                        self.write(moving.postings());
                        self.end(at, &moving);
                    }
                    Asked::Deposit(..) | Asked::Withdraw(..) | Asked::Hold(..) => {}
                }
            }
        }
        Ok(())
    }

    fn balances(&self) -> BTreeMap<(AccountType, MemberId, Side), Decimal> {
        let mut balances = BTreeMap::new();
        for ((account_type, account_id), (account, _)) in &self.accounts {
            for state in BalanceState::ALL {
                let balance = account.balance(state).decimal();
                if !balance.is_zero() {
                    balances.insert((*account_type, account_id.clone(), state.into()), balance);
                }
            }
        }
        balances
    }
}

proptest! {
    #[test]
    fn the_books_are_sound_after_every_command(asked in prop::collection::vec(asked(), 1..60)) {
        let mut books = Books::default();
        for one in &asked {
            let before = (books.entries.len(), books.updates.len(), books.escrows.clone());
            let refused = books.ask(one).err();
            if refused.is_some() {
                prop_assert_eq!(&(books.entries.len(), books.updates.len(), books.escrows.clone()), &before);
            }
            // Movements sum to zero, numbers have no gaps, no balance is negative, stated balances match the entries.
            prop_assert_eq!(ledger::faults(&books.entries), []);
            // An escrow that has ended never changes.
            for (now, was) in books.escrows.iter().zip(&before.2) {
                if was.0.status() != Status::Held {
                    prop_assert_eq!(now, was);
                }
            }

            let stored = books.balances();
            let mut of_entries = ledger::sums(&books.entries);
            let outside: Decimal = of_entries.iter().filter(|((_, _, side), _)| *side == Side::External).map(|(_, sum)| sum).sum();
            of_entries.retain(|(_, _, side), sum| *side != Side::External && !sum.is_zero());
            prop_assert_eq!(&of_entries, &stored);
            prop_assert_eq!(-outside, stored.values().copied().sum::<Decimal>());

            let mut of_events = BTreeMap::new();
            for event in &books.updates {
                let of = (event.account_type, event.account_id.clone(), Side::from(event.balance_state));
                let balance: &mut Decimal = of_events.entry(of).or_default();
                prop_assert_eq!(*balance, event.balance_before.decimal());
                *balance += event.change_amount.decimal();
                prop_assert_eq!(*balance, event.balance_after.decimal());
            }
            of_events.retain(|_, sum| !sum.is_zero());
            prop_assert_eq!(&of_events, &stored);

            // An account's escrow balance is the sum of its held escrows.
            for member in MEMBERS {
                let held: Decimal = books.escrows.iter()
                    .filter(|(escrow, _)| escrow.status() == Status::Held && escrow.user_id().as_str() == member)
                    .map(|(escrow, _)| escrow.amount().decimal())
                    .sum();
                let of = (AccountType::User, MemberId::new(member).expect("an id"), Side::Escrow);
                prop_assert_eq!(held, stored.get(&of).copied().unwrap_or_default());
            }
            for (escrow, _) in &books.escrows {
                let parts = [escrow.refund_amount(), escrow.settle_amount()].map(Option::unwrap_or_default);
                let ended = parts[0].plus(parts[1]).expect("a sum");
                let wanted = if escrow.status() == Status::Held { Points::ZERO } else { escrow.amount() };
                prop_assert_eq!(ended, wanted);
            }
        }
    }
}

fn with_an_escrow() -> Books {
    let mut books = Books::default();
    books.ask(&Asked::Deposit(0, 10_000)).expect("allowed");
    books.ask(&Asked::Hold(0, 4_000)).expect("allowed");
    books
}

#[test]
fn an_escrow_that_ended_is_refused_with_what_it_is() {
    for (end, status) in [
        (Asked::Settle(0, 1), Status::Settled),
        (Asked::Refund(0), Status::Refunded),
        (
            Asked::Divide {
                escrow: 0,
                model: 1,
                refund: 1_000,
                off: 0,
            },
            Status::PartiallySettled,
        ),
    ] {
        let mut books = with_an_escrow();
        books.ask(&end).expect("allowed");
        for again in [Asked::Settle(0, 1), Asked::Refund(0), end] {
            assert_eq!(books.ask(&again), Err(Refusal::EscrowNotHeld { status }));
        }
    }
}

#[test]
fn an_escrow_of_another_is_refused_whatever_its_end() {
    let mut books = with_an_escrow();
    // Every account has enough points, so only the ownership of the account can cause the refusal.
    for member in [0, 1] {
        books.ask(&Asked::Deposit(member, 9_000)).expect("allowed");
        books.ask(&Asked::Hold(member, 4_000)).expect("allowed");
    }
    books.ask(&Asked::Settle(1, 0)).expect("allowed");
    let context = books.context();
    let (escrow, version) = books.escrows[0].clone();
    let held = Held {
        escrow: &escrow,
        next_version: Sequence::new(version + 1).expect("a version"),
    };
    let model = books.holding(AccountType::Model, 2);
    let parts = Parts {
        refund: points(1_000),
        settle: points(3_000),
    };
    for other in [
        books.holding(AccountType::User, 1),
        // The same member's account as a model.
        books.holding(AccountType::Model, 0),
    ] {
        let refused = Some(Refusal::OtherUser);
        let settled = escrow::settle(&held, &other, &model, &context);
        assert_eq!(settled.err(), refused);
        let returned = escrow::refund(&held, &other, &context);
        assert_eq!(returned.err(), refused);
        let divided = escrow::partial_settle(&held, &other, &model, parts, &context);
        assert_eq!(divided.err(), refused);
    }
}

#[test]
fn points_are_brought_in_and_held_as_a_user_and_earned_as_a_model() {
    let mut books = with_an_escrow();
    let context = books.context();
    let (escrow, version) = books.escrows[0].clone();
    let held = Held {
        escrow: &escrow,
        next_version: Sequence::new(version + 1).expect("a version"),
    };
    let (user, model) = (
        books.holding(AccountType::User, 0),
        books.holding(AccountType::Model, 0),
    );
    let other = |needed| Some(Refusal::OtherAccountType { needed });
    let deposited = outside::deposit(&model, points(1), reference(), None, &context);
    assert_eq!(deposited.err(), other(AccountType::User));
    let command = Hold {
        escrow_id: escrow.escrow_id(),
        amount: points(1),
        reason: HoldReason::Tip,
        queue_item_id: Text::new("q-1").expect("a text"),
        feature_type: Text::new("song").expect("a text"),
        request_id: Text::new("r-1").expect("a text"),
    };
    let first = Sequence::new(1).expect("a version");
    let holding = escrow::hold(&model, command, first, &context);
    assert_eq!(holding.err(), other(AccountType::User));
    let settled = escrow::settle(&held, &user, &user, &context);
    assert_eq!(settled.err(), other(AccountType::Model));
    let parts = Parts {
        refund: points(1_000),
        settle: points(3_000),
    };
    let divided = escrow::partial_settle(&held, &user, &user, parts, &context);
    assert_eq!(divided.err(), other(AccountType::Model));
}

#[test]
fn parts_that_are_not_what_is_held_are_refused_with_the_difference() {
    let divide = |refund, off| Asked::Divide {
        escrow: 0,
        model: 1,
        refund,
        off,
    };
    let mut books = with_an_escrow();
    let refusal = books.ask(&divide(1_000, 1)).expect_err("refused");
    let Refusal::PartsDiffer {
        held, difference, ..
    } = refusal
    else {
        panic!("{refusal}");
    };
    assert_eq!(held, points(4_000));
    assert_eq!(difference.decimal(), Decimal::new(-1, 2));
    // Both parts must be positive: refunding all is a refund, settling all is a settlement.
    for refund in [0, 4_000] {
        let refusal = books.ask(&divide(refund, 0));
        assert_eq!(refusal, Err(Refusal::AmountNotPositive));
    }
}

#[test]
fn a_member_who_is_user_and_model_has_two_accounts() {
    let mut books = with_an_escrow();
    books.ask(&Asked::Settle(0, 0)).expect("allowed");
    let user = books.holding(AccountType::User, 0);
    let model = books.holding(AccountType::Model, 0);
    assert_eq!(user.account.available(), points(6_000));
    assert_eq!(user.account.escrow(), Points::ZERO);
    assert_eq!(model.account.earned(), points(4_000));
    assert_eq!(model.account.last_entry(), 1);
    let more = Asked::Withdraw(AccountType::Model, 0, 4_001);
    assert!(matches!(
        books.ask(&more),
        Err(Refusal::InsufficientFunds { .. })
    ));
}

#[test]
fn an_account_holds_no_more_than_an_amount_can_state() {
    let mut books = Books::default();
    let most = 999_999_999_999_999;
    books.ask(&Asked::Deposit(0, most)).expect("allowed");
    let refusal = books.ask(&Asked::Deposit(0, 1));
    assert!(matches!(refusal, Err(Refusal::BalanceTooLarge { .. })));
}

#[test]
fn a_payment_of_the_outside_is_booked_once_in_each_direction_whoever_asks() {
    let mut books = with_an_escrow();
    let context = books.context();
    let user = books.holding(AccountType::User, 0);
    let deposit = outside::deposit(&user, points(1), reference(), None, &context).expect("allowed");
    assert_eq!(deposit.event.external_reference, Some(reference()));
    let withdrawal = outside::withdraw(&user, points(1), reference(), None, &context);
    assert_eq!(
        withdrawal.expect("allowed").event.external_reference,
        Some(reference())
    );
    let [into, out] = [
        outside::Payment::deposit(reference()),
        outside::Payment::withdrawal(reference()),
    ]
    .map(|payment| payment.fact().expect("a fact").to_string());
    assert_eq!(
        (into.as_str(), out.as_str()),
        ("deposit/bank/1", "withdrawal/bank/1")
    );

    let first = outside::Booked {
        transaction_id: context.transaction_id,
        account_id: user.account_id,
        account_type: AccountType::User,
        amount: points(1),
        booked_at: context.now,
    };
    let other = books.holding(AccountType::User, 1);
    let booked = |direction| {
        Some(Refusal::PaymentBooked {
            direction,
            first: Box::new(first.clone()),
        })
    };
    let again = Some(first.clone());
    let again = outside::deposit(&other, points(2), reference(), again, &context);
    assert_eq!(again.err(), booked(outside::Direction::Deposit));
    // It is refused before the balance is looked at.
    let again = Some(first.clone());
    let again = outside::withdraw(&other, points(1_000_000), reference(), again, &context);
    assert_eq!(again.err(), booked(outside::Direction::Withdrawal));
}

#[test]
fn the_longest_reference_fits_its_fact() {
    let longest = ExternalReference::new("r".repeat(200)).expect("a reference");
    assert!(outside::Payment::withdrawal(longest).fact().is_ok());
}
