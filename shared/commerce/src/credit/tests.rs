use domain::testing::{Log, at, number};
use events::{Draft, contracts::credit::AccountPayment};
use proptest::prelude::*;

use super::*;
use events::contracts::credit::CreditStatus;

fn id() -> CustomerId {
    CustomerId::new("CUST-1").expect("an id")
}

fn order(number: u8) -> OrderId {
    format!("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a{number:02}")
        .parse()
        .expect("an id")
}

fn money(text: &str) -> Money {
    text.parse().expect("money")
}

fn by() -> Text<256> {
    Text::new("desk").expect("a name")
}

fn limit(text: &str) -> CreditStep {
    CreditStep::Limit {
        currency: Currency::Eur,
        limit: money(text),
    }
}

fn reason() -> Text<500> {
    Text::new("late payer").expect("a reason")
}

fn step(
    before: Option<&CreditAccount>,
    version: u64,
    step: CreditStep,
) -> Result<Change<CreditAccount, Changed>, Refusal> {
    change(before, &id(), step, by(), number(version), at(version))
}

#[test]
fn each_step_states_what_may_still_be_reserved() {
    let order_id = order(1);
    let steps = [
        (
            limit("4000"),
            CreditChange::AccountOpened,
            "4000.00",
            Some("0.00"),
        ),
        (
            CreditStep::Reserve {
                order_id,
                amount: money("1785"),
            },
            CreditChange::CreditReserved,
            "2215.00",
            Some("44.62"),
        ),
        (
            CreditStep::Owe {
                order_id,
                amount: money("1785"),
            },
            CreditChange::BalanceIncreased,
            "2215.00",
            Some("44.62"),
        ),
        (
            limit("1000"),
            CreditChange::CreditLimitDecreased,
            "0.00",
            Some("178.50"),
        ),
        (
            CreditStep::Pay {
                order_id,
                amount: money("785"),
                part: Part::Owed,
            },
            CreditChange::OrderPaid,
            "0.00",
            Some("100.00"),
        ),
        (
            CreditStep::Block {
                blocked: true,
                reason: reason(),
            },
            CreditChange::Blocked,
            "0.00",
            Some("100.00"),
        ),
        (limit("0"), CreditChange::CreditLimitDecreased, "0.00", None),
        (
            limit("9000"),
            CreditChange::CreditLimitIncreased,
            "8000.00",
            Some("11.11"),
        ),
    ];
    let (mut log, mut state) = (Log::default(), None::<CreditAccount>);
    for (version, (one, change_type, available, utilization)) in (1..).zip(steps) {
        let change = step(state.as_ref(), version, one).expect("allowed");
        let event = change.event().expect("it changes something");
        assert_eq!(event.change_type, change_type);
        assert_eq!(
            event.available_credit.to_string(),
            available,
            "{change_type:?}"
        );
        let stated = event.credit_utilization.map(|part| part.to_string());
        assert_eq!(stated.as_deref(), utilization, "{change_type:?}");
        log.append([Draft::of(event).expect("a draft")], at(version));
        state = Some(change.state().clone());
        let rebuilt = domain::rebuild::<CreditAccount>(&log.0).expect("they follow");
        assert_eq!(rebuilt.map(|rebuilt| rebuilt.state), state);
    }
}

#[test]
fn credit_is_refused_for_the_first_reason_that_holds() {
    let opened = step(None, 1, limit("100")).expect("allowed");
    let account = opened.state();
    let (euro, hundred) = (Currency::Eur, money("100"));
    assert_eq!(account.refuses(euro, hundred), None);
    assert_eq!(
        account.refuses(euro, money("100.01")),
        Some(NoCredit::InsufficientCredit)
    );
    assert_eq!(
        account.refuses(Currency::Ron, hundred),
        Some(NoCredit::NoAccount)
    );
    let block = CreditStep::Block {
        blocked: true,
        reason: reason(),
    };
    let blocked = step(Some(account), 2, block.clone()).expect("allowed");
    assert_eq!(
        blocked.state().refuses(euro, money("1")),
        Some(NoCredit::AccountBlocked)
    );
    let again = step(Some(blocked.state()), 3, block).expect("allowed");
    assert_eq!(again.event(), None);
    assert_eq!(
        step(
            None,
            1,
            CreditStep::Reserve {
                order_id: order(1),
                amount: hundred
            }
        )
        .err(),
        Some(Refusal::UnknownAccount { customer_id: id() })
    );
    let lei = CreditStep::Limit {
        currency: Currency::Ron,
        limit: hundred,
    };
    assert_eq!(
        step(Some(account), 2, lei).err(),
        Some(Refusal::OtherCurrency { currency: euro })
    );
}

fn asked() -> Asked {
    Asked::new(order(1), &id(), money("100"), Currency::Eur)
}

fn payment(amount: &str) -> AccountPayment {
    AccountPayment {
        external_reference: events::ExternalReference::new("BT-1").expect("a reference"),
        amount: money(amount),
    }
}

#[test]
fn an_order_is_paid_up_to_what_is_open() {
    let reserved = asked().begins(CreditStatus::Reserved, number(1), at(1));
    let refused = |amount: &str| {
        let paid = reserved.state().pay(payment(amount), number(2), at(2));
        paid.err()
    };
    assert_eq!(refused("0"), Some(Refusal::AmountNotPositive));
    let open = money("100");
    assert_eq!(refused("100.01"), Some(Refusal::MoreThanOpen { open }));
    let mut log = Log::default();
    log.append(
        [Draft::of(reserved.event().expect("it begins")).expect("a draft")],
        at(1),
    );
    let (part, first) = reserved
        .state()
        .pay(payment("40"), number(2), at(2))
        .expect("open");
    assert_eq!(
        (part, first.state().status()),
        (Part::Reserved, CreditStatus::Reserved)
    );
    let owed = first.state().becomes(CreditStatus::Owed, number(3), at(3));
    assert_eq!(owed.state().open(), Some((Part::Owed, money("60"))));
    let (part, last) = owed
        .state()
        .pay(payment("60"), number(4), at(4))
        .expect("open");
    assert_eq!(
        (part, last.state().status()),
        (Part::Owed, CreditStatus::Settled)
    );
    let (order_id, none) = (order(1), last.state().pay(payment("1"), number(5), at(5)));
    assert_eq!(none.err(), Some(Refusal::NothingOpen { order_id }));
    for (version, change) in [(2, &first), (3, &owed), (4, &last)] {
        let event = change.event().expect("it changes");
        log.append([Draft::of(event).expect("a draft")], at(version));
        let rebuilt = domain::rebuild::<Reservation>(&log.0).expect("they follow");
        assert_eq!(
            rebuilt.map(|rebuilt| rebuilt.state).as_ref(),
            Some(change.state())
        );
    }
}

#[test]
fn every_status_has_its_row_and_none_comes_back() {
    assert!(RESERVATION.statuses().eq(CreditStatus::ALL));
    assert!(
        !RESERVATION
            .statuses()
            .any(|one| RESERVATION.comes_back(one))
    );
}

proptest! {
    #[test]
    fn an_account_is_what_its_events_come_to(steps in prop::collection::vec((0_u8..7, 0_u32..500_000), 1..40)) {
        let (mut log, mut state) = (Log::default(), None::<CreditAccount>);
        let mut version = 0;
        for (kind, cents) in steps {
            let amount = Money::new(Decimal::new(cents.into(), 2)).expect("small");
            let order_id = order(kind);
            let one = match kind {
                0 => {
                    // Its caller asks first.
                    let refused = state.as_ref().and_then(|account| account.refuses(Currency::Eur, amount));
                    if refused.is_some() {
                        continue;
                    }
                    CreditStep::Reserve { order_id, amount }
                }
                1 => CreditStep::Restore { order_id, amount },
                2 => CreditStep::Owe { order_id, amount },
                3 => CreditStep::Pay { order_id, amount, part: Part::Reserved },
                4 => CreditStep::Pay { order_id, amount, part: Part::Owed },
                5 => CreditStep::Block { blocked: cents % 2 == 0, reason: reason() },
                _ => CreditStep::Limit { currency: Currency::Eur, limit: amount },
            };
            let Ok(change) = step(state.as_ref(), version + 1, one) else {
                continue;
            };
            if let Some(event) = change.event() {
                version += 1;
                log.append([Draft::of(event).expect("a draft")], at(version));
                state = Some(change.state().clone());
            }
        }
        let rebuilt = domain::rebuild::<CreditAccount>(&log.0).expect("they follow");
        prop_assert_eq!(rebuilt.map(|rebuilt| rebuilt.state), state);
    }
}
