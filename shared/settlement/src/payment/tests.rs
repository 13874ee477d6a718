use domain::testing::{Log, at, number};
use events::contracts::payment::PaymentStatus::{
    Authorized, Cancelled, Captured, Created as New, Failed, PartiallyRefunded, Refunded as Back,
};
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
    PaymentChange::create(id, money(amount), Currency::Usd, number(1), at(0)).expect("allowed")
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
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => Just(Step::Authorize),
        3 => Just(Step::Capture),
        1 => Just(Step::Cancel),
        1 => Just(Step::Fail),
        6 => (0_i64..700).prop_map(Step::Refund),
    ];
    prop::collection::vec(step, 0..14)
}

fn take(change: PaymentChange, step: &Step) -> Result<PaymentChange, Refusal> {
    match step {
        Step::Authorize => change.authorize(),
        Step::Capture => change.capture(),
        Step::Cancel => change.cancel(),
        Step::Fail => change.fail(Text::new("as it goes").expect("a text")),
        Step::Refund(cents) => change.refund(Money::new(Decimal::new(*cents, 2)).expect("money")),
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
        log.append(first.events.iter().map(|event| event.draft().expect("a draft")), at(0));
        for (second, step) in (1..).zip(&steps) {
            let before = state.clone();
            let now = at(second);
            match take(PaymentChange::of(&state, number(version + 1), now), step) {
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
                Err(Refusal::AmountNotPositive) => {}
                Err(other) => prop_assert!(false, "{other:?}"),
            }
            prop_assert!(state.refunded <= state.amount);
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
