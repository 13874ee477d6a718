use events::{DrawId, PaymentId};
use uuid::Uuid;

use super::*;
use crate::schedule::tests::{Trial, money};

fn words(text: &str) -> Text<64> {
    Text::new(text).expect("text")
}

fn trial() -> Trial {
    Trial::create("1000", "5", 12, "2026-01-15")
}

#[test]
fn a_loan_is_lent_once_and_no_more_than_was_agreed_on() {
    let mut trial = trial();
    let most = Refusal::FundingTooLarge {
        amount: money("1000"),
    };
    assert_eq!(
        trial.step(|course| course.fund(Some(money("1000.01")))),
        Err(most)
    );
    assert_eq!(
        trial.step(|course| course.fund(Some(Money::ZERO))),
        Err(Refusal::AmountNotPositive)
    );
    trial
        .step(|course| course.fund(Some(money("600"))))
        .expect("funded");
    assert_eq!(trial.loan.available(), money("400"));
    for again in [
        trial.step(|course| course.fund(None)),
        trial.step(|course| course.cancel(None)),
    ] {
        assert!(
            matches!(again, Err(Refusal::IllegalTransition(_))),
            "{again:?}"
        );
    }
    trial.is_told();
}

#[test]
fn a_loan_that_was_called_off_takes_nothing() {
    let mut trial = trial();
    trial.step(|course| course.cancel(None)).expect("cancelled");
    let id = PaymentId::from(Uuid::from_u128(5));
    let paid = trial.step(|course| course.pay(id, money("1"), Text::new("ach").expect("text")));
    let refused = Refusal::WrongStatus {
        status: LoanStatus::Cancelled,
        allowed: ACTIVE,
    };
    assert_eq!(
        refused.to_string(),
        "the loan is cancelled; it must be active"
    );
    assert_eq!(paid, Err(refused));
    let modified = trial.step(|course| course.modify(Terms::default()));
    assert!(
        matches!(modified, Err(Refusal::WrongStatus { .. })),
        "{modified:?}"
    );
    trial.is_told();
}

#[test]
fn terms_out_of_range_are_refused_and_terms_that_hold_change_nothing() {
    let mut trial = trial();
    let terms = |rate: &str, months| Terms {
        interest_rate: Some(rate.parse().expect("a rate")),
        term_months: Some(months),
    };
    for (rate, months, refusal) in [
        ("100.000001", 12, Refusal::RateOutOfRange),
        ("5", 0, Refusal::TermOutOfRange),
        ("5", 481, Refusal::TermOutOfRange),
    ] {
        assert_eq!(
            trial.step(|course| course.modify(terms(rate, months))),
            Err(refusal)
        );
    }
    trial
        .step(|course| course.modify(terms("5", 12)))
        .expect("the same");
    assert_eq!(trial.log.0.len(), 1, "nothing is told");
    trial.step(|course| course.fund(None)).expect("funded");
    trial.plan();
    trial.on("2026-04-16");
    let short = trial.step(|course| course.modify(terms("5", 3)));
    assert_eq!(short, Err(Refusal::TermTooShort { at_least: 4 }));
    trial
        .step(|course| course.modify(terms("100", 480)))
        .expect("the extremes");
    assert!(trial.loan.wants_schedule());
    trial.is_told();
}

#[test]
fn a_draw_needs_a_second_person_and_is_decided_on_once() {
    let mut trial = trial();
    let id = DrawId::from(Uuid::from_u128(4));
    let early = trial.step(|course| course.request_draw(id, money("1"), words("desk")));
    assert!(
        matches!(early, Err(Refusal::WrongStatus { .. })),
        "{early:?}"
    );
    trial
        .step(|course| course.fund(Some(money("600"))))
        .expect("funded");
    trial.plan();
    let most = Refusal::DrawTooLarge {
        available: money("400"),
    };
    let large = trial.step(|course| course.request_draw(id, money("400.01"), words("desk")));
    assert_eq!(large, Err(most));
    let draw = Draw {
        draw_id: id,
        loan_id: trial.loan.loan_id(),
        amount: money("300"),
        status: DrawStatus::Requested,
        requested_by: words("desk"),
        requested_at: Timestamp::EPOCH,
        decided_by: None,
        decided_at: None,
        reason: None,
    };
    let own = trial.step(|course| course.approve_draw(&draw, words("desk")));
    assert_eq!(own, Err(Refusal::ApprovalByRequester));
    trial
        .step(|course| course.approve_draw(&draw, words("credit")))
        .expect("approved");
    assert_eq!(trial.loan.balance().open_principal, money("900"));
    // What is left is less than a second one like it.
    let other = trial.step(|course| course.approve_draw(&draw, words("credit")));
    assert_eq!(
        other,
        Err(Refusal::DrawTooLarge {
            available: money("100")
        })
    );
    let decided = Draw {
        status: DrawStatus::Rejected,
        ..draw
    };
    let again = trial.step(|course| course.reject_draw(&decided, words("credit"), None));
    let status = DrawStatus::Rejected;
    assert_eq!(again, Err(Refusal::DrawDecided { status }));
    trial.is_told();
}
