use domain::testing::{Log, at, number};
use events::contracts::payment::PaymentStatus::{
    Authorized, Cancelled, Captured, Created as New, Failed, PartiallyRefunded, Refunded as Back,
};
use events::contracts::payment::ReferenceType;
use proptest::prelude::*;
use rust_decimal::Decimal;
use serde_json::json;
use uuid::Uuid;

use super::*;
use crate::{machine::PAYMENT, witness};

fn money(text: &str) -> Money {
    text.parse().expect("money")
}

fn created(amount: &str) -> PaymentChange {
    let id = Uuid::from_u128(1).into();
    let create = Create {
        payment_id: id,
        amount: money(amount),
        currency: Currency::Usd,
        reference: Some(Reference {
            reference_type: ReferenceType::Order,
            id: Text::new("a1b2c3d4-e5f6-7890-abcd-ef1234567890").expect("an id"),
        }),
    };
    PaymentChange::create(create, number(1), at(0)).expect("allowed")
}

fn on(change: &PaymentChange) -> PaymentChange {
    PaymentChange::of(change.state(), number(2), at(1))
}

fn captured(amount: &str) -> PaymentChange {
    on(&created(amount))
        .authorize()
        .and_then(PaymentChange::capture)
        .expect("allowed")
}

#[test]
fn a_payment_is_authorized_captured_and_given_back_in_parts() {
    let change = captured("10");
    assert_eq!(change.state.status, Captured);
    let first = on(&change).refund(money("4")).expect("allowed");
    assert_eq!(
        (first.state.status, first.events.len()),
        (PartiallyRefunded, 2)
    );
    let second = on(&first).refund(money("5.99")).expect("allowed");
    assert_eq!(
        (second.state.status, second.events.len()),
        (PartiallyRefunded, 1)
    );
    let last = on(&second).refund(money("0.01")).expect("allowed");
    assert_eq!((last.state.status, last.events.len()), (Back, 2));
    assert!(matches!(&last.events[0], Event::Refunded(event)
        if event.refund == number(3) && event.refunded_total == money("10")));
    let whole = on(&change).refund(money("10")).expect("allowed");
    assert_eq!((whole.state.status, whole.events.len()), (Back, 2));
}

#[test]
fn no_more_goes_back_than_was_captured() {
    let first = on(&captured("10")).refund(money("4")).expect("allowed");
    assert_eq!(
        on(&first).refund(money("6.01")),
        Err(Refusal::RefundTooLarge {
            refundable: money("6"),
            requested: money("6.01")
        })
    );
    assert_eq!(
        on(&first).refund(Money::ZERO),
        Err(Refusal::AmountNotPositive)
    );
    for change in [
        created("10"),
        on(&created("10")).authorize().expect("allowed"),
    ] {
        let refused = on(&change).refund(money("1"));
        assert!(
            matches!(refused, Err(Refusal::IllegalTransition(_))),
            "{refused:?}"
        );
    }
}

fn to(settlement: u128, amount: &str) -> Allocation {
    Allocation {
        settlement_id: Uuid::from_u128(settlement).into(),
        amount: money(amount),
        currency: Currency::Usd,
    }
}

#[test]
fn no_more_is_settled_and_refunded_than_was_captured() {
    let change = on(&captured("10")).allocate(to(1, "6")).expect("allowed");
    assert!(matches!(&change.events[..], [Event::Allocated(event)]
        if event.allocated_total == money("6") && event.version == number(2)));
    let change = on(&change).refund(money("1")).expect("allowed");
    assert_eq!(
        on(&change).allocate(to(2, "3.01")),
        Err(Refusal::SettlementTooLarge {
            available: money("3"),
            requested: money("3.01"),
            captured: money("10"),
            refunded: money("1"),
            allocated: money("6"),
        })
    );
    let change = on(&change).allocate(to(2, "3")).expect("allowed");
    assert_eq!(
        on(&change).refund(money("9")),
        Err(Refusal::RefundOfAllocated {
            refundable: money("9"),
            allocated: money("9"),
            available: Money::ZERO,
            requested: money("9"),
        })
    );
    assert!(matches!(
        on(&change).refund(money("9.01")),
        Err(Refusal::RefundTooLarge { .. })
    ));
    assert_eq!(change.state.status, PartiallyRefunded);
    let change = on(&change).release(to(1, "6")).expect("allowed");
    assert!(matches!(&change.events[..], [Event::Released(event)]
        if event.allocated_total == money("3") && event.amount == money("6")));
    assert!(on(&change).refund(money("6.01")).is_err());
    let change = on(&change).refund(money("6")).expect("allowed");
    // Settlements have the rest: the payment is not refunded as a whole.
    assert_eq!(change.state.status, PartiallyRefunded);
    let change = on(&change).release(to(2, "3")).expect("allowed");
    let change = on(&change).refund(money("3")).expect("allowed");
    assert_eq!(change.state.status, Back);
}

#[test]
fn only_captured_money_in_its_own_currency_can_be_settled() {
    let id = Uuid::from_u128(1).into();
    let authorized = on(&created("10")).authorize().expect("allowed");
    let refunded = on(&captured("10")).refund(money("10")).expect("allowed");
    for (change, status) in [
        (created("10"), New),
        (on(&authorized).cancel().expect("allowed"), Cancelled),
        (authorized, Authorized),
        (refunded, Back),
    ] {
        let refused = on(&change).allocate(to(1, "1"));
        let payment_id = id;
        assert_eq!(refused, Err(Refusal::NotCaptured { payment_id, status }));
    }
    let foreign = Allocation {
        currency: Currency::Eur,
        ..to(1, "1")
    };
    assert_eq!(
        on(&captured("10")).allocate(foreign),
        Err(Refusal::OtherCurrency {
            settlement: Currency::Eur,
            payment: Currency::Usd
        })
    );
    assert_eq!(
        on(&captured("10")).allocate(to(1, "0")),
        Err(Refusal::AmountNotPositive)
    );
}

#[test]
fn what_was_not_allocated_is_not_given_back() {
    let change = on(&captured("10")).allocate(to(1, "6")).expect("allowed");
    let foreign = Allocation {
        currency: Currency::Eur,
        ..to(1, "6")
    };
    for of in [to(1, "6.01"), foreign] {
        let refused = on(&change).release(of);
        assert!(
            matches!(refused, Err(Refusal::NotAllocated { .. })),
            "{refused:?}"
        );
    }
}

#[test]
fn a_row_from_before_settlements_were_counted_has_nothing_allocated() {
    let mut row = json!(captured("10").state);
    let fields = row.as_object_mut().expect("an object");
    assert_eq!(fields.remove("allocated"), Some(json!(0)));
    let read: Payment = serde_json::from_value(row).expect("reads");
    assert_eq!(read, captured("10").state);
}

#[test]
fn a_payment_fails_or_is_cancelled_before_its_money_is_there() {
    let error = || Text::new("card expired").expect("a text");
    for before in [
        created("1"),
        on(&created("1")).authorize().expect("allowed"),
    ] {
        let failed = on(&before).fail(error()).expect("allowed");
        assert_eq!(failed.state.status, Failed);
        assert!(
            matches!(&failed.events[..], [Event::StatusChanged(event)] if event.error == Some(error()))
        );
        assert_eq!(
            on(&before).cancel().expect("allowed").state.status,
            Cancelled
        );
        assert!(on(&failed).cancel().is_err());
    }
    for after in [
        on(&captured("1")).fail(error()),
        on(&captured("1")).cancel(),
    ] {
        assert!(matches!(after, Err(Refusal::IllegalTransition(_))));
    }
    assert_eq!(created("1").state.status, New);
}

#[derive(Debug, Clone)]
enum Step {
    Authorize,
    Capture,
    Cancel,
    Fail,
    Refund(i64),
    /// Settles this much.
    Allocate(i64),
    /// A settlement fails: one of those so far.
    Release(prop::sample::Index),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Authorize),
        3 => Just(Step::Capture),
        1 => Just(Step::Cancel),
        1 => Just(Step::Fail),
        6 => (0_i64..700).prop_map(Step::Refund),
        6 => (0_i64..700).prop_map(Step::Allocate),
        3 => any::<prop::sample::Index>().prop_map(Step::Release),
    ];
    prop::collection::vec(step, 0..24)
}

/// Takes a step. `open` are the settlements that have not failed: the step can add or remove one.
fn take(
    change: PaymentChange,
    step: &Step,
    open: &mut Vec<Allocation>,
) -> Result<PaymentChange, Refusal> {
    match step {
        Step::Authorize => change.authorize(),
        Step::Capture => change.capture(),
        Step::Cancel => change.cancel(),
        Step::Fail => change.fail(Text::new("as it goes").expect("a text")),
        Step::Refund(cents) => change.refund(Money::new(Decimal::new(*cents, 2)).expect("money")),
        Step::Allocate(cents) => {
            let settlement_id = Uuid::from_u128(u128::from(change.version.number())).into();
            let allocation = Allocation {
                settlement_id,
                amount: Money::new(Decimal::new(*cents, 2)).expect("money"),
                currency: Currency::Usd,
            };
            let change = change.allocate(allocation)?;
            open.push(allocation);
            Ok(change)
        }
        Step::Release(_) if open.is_empty() => change.release(to(1, "0.01")),
        Step::Release(which) => {
            let failed = open.remove(which.index(open.len()));
            Ok(change.release(failed).expect("it was allocated"))
        }
    }
}

proptest! {
    #[test]
    fn whatever_is_asked_the_events_come_to_the_state_and_refunds_stay_within(steps in steps()) {
        let first = created("10");
        let mut state = first.state;
        let mut version = 1;
        let mut transitions = 1;
        let mut log = Log::default();
        let mut open = Vec::new();
        log.append(first.events.iter().map(|event| event.draft().expect("a draft")), at(0));
        for (second, step) in (1..).zip(&steps) {
            let before = state.clone();
            let now = at(second);
            match take(PaymentChange::of(&state, number(version + 1), now), step, &mut open) {
                Ok(change) => {
                    version += 1;
                    prop_assert!(!change.events.is_empty());
                    let transitioned = change.events.iter().filter(|event| event.is_transition()).count();
                    prop_assert_eq!(transitioned, usize::from(change.state.status != before.status));
                    transitions += transitioned;
                    log.append(change.events.iter().map(|event| event.draft().expect("a draft")), now);
                    state = change.state;
                }
                Err(Refusal::IllegalTransition(illegal)) => {
                    let allowed: Vec<String> = PAYMENT.next(before.status).iter().map(ToString::to_string).collect();
                    prop_assert_eq!(&illegal.allowed, &allowed);
                }
                Err(Refusal::RefundTooLarge { refundable, requested }) => {
                    prop_assert!(requested > refundable);
                    prop_assert_eq!(before.amount.minus(before.refunded), Ok(refundable));
                }
                Err(Refusal::RefundOfAllocated { available, requested, .. } | Refusal::SettlementTooLarge { available, requested, .. }) => {
                    prop_assert!(requested > available);
                    let left = before.amount.minus(before.refunded).and_then(|left| left.minus(before.allocated));
                    prop_assert_eq!(left, Ok(available));
                }
                Err(Refusal::NotCaptured { status, .. }) => prop_assert!(![Captured, PartiallyRefunded].contains(&status)),
                Err(Refusal::NotAllocated { .. }) => prop_assert!(open.is_empty()),
                Err(Refusal::AmountNotPositive) => {}
                Err(other) => prop_assert!(false, "{other:?}"),
            }
            let allocated = open.iter().try_fold(Money::ZERO, |sum, one| sum.plus(one.amount)).expect("small");
            prop_assert_eq!(state.allocated, allocated);
            prop_assert!(state.refunded.plus(allocated).expect("small") <= state.amount);
            prop_assert_eq!(state.status == Back, state.refunded == state.amount);
            let rebuilt = witness::payment(&log.0).expect("whole").expect("there");
            prop_assert_eq!(&rebuilt.state, &state);
            prop_assert_eq!(rebuilt.version.number(), version);
        }
        let mut at = json!("created");
        let mut recorded = 1;
        for envelope in &log.0 {
            if envelope.event_type.as_str() == "payment.status_changed" {
                let payload: serde_json::Value = serde_json::from_str(envelope.payload.json()).expect("JSON");
                prop_assert_eq!(&payload["from_status"], &at);
                at = payload["to_status"].clone();
                recorded += 1;
            }
        }
        prop_assert_eq!(recorded, transitions);
        prop_assert_eq!(at, json!(state.status));
        prop_assert!(log.names_every_fact_once());
        prop_assert!(state.status != Authorized || state.refunded.is_zero());
    }
}
