use domain::{History, Of, Verdict, Witnessed};
use events::{DrawId, Envelope, PaymentId};
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
        trial.step(|change| change.fund(Some(money("1000.01")))),
        Err(most)
    );
    assert_eq!(
        trial.step(|change| change.fund(Some(Money::ZERO))),
        Err(Refusal::AmountNotPositive)
    );
    trial
        .step(|change| change.fund(Some(money("600"))))
        .expect("funded");
    assert_eq!(trial.loan.available(), money("400"));
    for again in [
        trial.step(|change| change.fund(None)),
        trial.step(|change| change.cancel(None)),
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
    trial.step(|change| change.cancel(None)).expect("cancelled");
    let id = PaymentId::from(Uuid::from_u128(5));
    let paid = trial.step(|change| change.pay(id, money("1"), Text::new("ach").expect("text")));
    let refused = Refusal::WrongStatus {
        status: LoanStatus::Cancelled,
        allowed: ACTIVE,
    };
    assert_eq!(
        refused.to_string(),
        "the loan is cancelled; it must be active"
    );
    assert_eq!(paid, Err(refused));
    let modified = trial.step(|change| change.modify(Terms::default()));
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
            trial.step(|change| change.modify(terms(rate, months))),
            Err(refusal)
        );
    }
    trial
        .step(|change| change.modify(terms("5", 12)))
        .expect("the same");
    assert_eq!(trial.log.0.len(), 1, "nothing is told");
    trial.step(|change| change.fund(None)).expect("funded");
    trial.plan();
    trial.on("2026-04-16");
    let short = trial.step(|change| change.modify(terms("5", 3)));
    assert_eq!(short, Err(Refusal::TermTooShort { at_least: 4 }));
    trial
        .step(|change| change.modify(terms("100", 480)))
        .expect("the extremes");
    assert!(trial.loan.wants_schedule());
    trial.is_told();
}

#[test]
fn a_draw_needs_a_second_person_and_is_decided_on_once() {
    let mut trial = trial();
    let id = DrawId::from(Uuid::from_u128(4));
    let early = trial.step(|change| change.request_draw(id, money("1"), words("desk")));
    assert!(
        matches!(early, Err(Refusal::WrongStatus { .. })),
        "{early:?}"
    );
    trial
        .step(|change| change.fund(Some(money("600"))))
        .expect("funded");
    trial.plan();
    let most = Refusal::DrawTooLarge {
        available: money("400"),
    };
    let large = trial.step(|change| change.request_draw(id, money("400.01"), words("desk")));
    assert_eq!(large, Err(most));
    // A requested draw reserves nothing.
    let [draw, second] = [trial.ask("300"), trial.ask("300")];
    let open = |trial: &Trial| (trial.loan.open_draws, trial.loan.open_draws_amount);
    assert_eq!(open(&trial), (2, money("600")));
    let own = trial.step(|change| change.approve_draw(&draw, words("desk")));
    assert_eq!(own, Err(Refusal::ApprovalByRequester));
    trial
        .step(|change| change.approve_draw(&draw, words("credit")))
        .expect("approved");
    assert_eq!(trial.loan.balance().open_principal, money("900"));
    // What is left is less than the second draw.
    let other = trial.step(|change| change.approve_draw(&second, words("credit")));
    assert_eq!(
        other,
        Err(Refusal::DrawTooLarge {
            available: money("100")
        })
    );
    assert_eq!(open(&trial), (1, money("300")));
    trial
        .step(|change| change.reject_draw(&second, words("desk"), None))
        .expect("rejected");
    assert_eq!(open(&trial), (0, Money::ZERO));
    let decided = Draw {
        status: DrawStatus::Rejected,
        ..second.clone()
    };
    let again = trial.step(|change| change.reject_draw(&decided, words("credit"), None));
    let status = DrawStatus::Rejected;
    assert_eq!(again, Err(Refusal::DrawDecided { status }));
    trial.is_told();
}

#[test]
fn a_draw_that_the_loan_does_not_count_yet_is_decided_on_all_the_same() {
    let mut trial = trial();
    trial
        .step(|change| change.fund(Some(money("600"))))
        .expect("funded");
    let before = trial.loan.clone();
    let draw = trial.ask("300");
    let version = Sequence::new(3).expect("a number");
    let change = LoanChange::of(&before, version, Timestamp::EPOCH);
    let change = change.reject_draw(&draw, words("desk"), None);
    let after = change.expect("rejected").state().clone();
    assert_eq!(
        (after.open_draws, after.open_draws_amount),
        (0, Money::ZERO)
    );
}

/// A loan with an approved, a rejected and an open draw.
fn drawn() -> Trial {
    let mut trial = trial();
    trial
        .step(|change| change.fund(Some(money("600"))))
        .expect("funded");
    trial.draw("100");
    let rejected = trial.ask("200");
    trial
        .step(|change| change.reject_draw(&rejected, words("credit"), None))
        .expect("rejected");
    trial.ask("50");
    trial
}

/// The loan's row as stored after the given number of events, each in a write of its own.
fn stored(loan: &Loan, events: usize) -> outbox::Item {
    let table = Table::domain("loan");
    let key = Loan::key(&table, &loan.loan_id.to_string());
    let mut item = outbox::encode_item(&key, loan).expect("an item");
    for name in ["version", "last_sequence"] {
        item.insert(name.to_owned(), events.into());
    }
    item
}

/// Renumbers the events, so that their numbers and versions have no gap.
fn renumbered(events: Vec<Envelope>) -> Vec<Envelope> {
    let numbered = events.into_iter().zip(1_u64..).map(|(event, number)| {
        let mut whole = serde_json::to_value(&event).expect("JSON");
        whole["sequence"] = number.into();
        whole["payload"]["version"] = number.into();
        serde_json::from_value(whole).expect("an event")
    });
    numbered.collect()
}

#[test]
fn a_draws_event_that_is_lost_or_doubled_is_noticed_though_no_number_is_missing() {
    let trial = drawn();
    let (loan, log) = (&trial.loan, &trial.log.0);
    let verdict = |events: Vec<Envelope>| {
        let (item, id) = (stored(loan, events.len()), loan.loan_id.to_string());
        let witnessed: &dyn Witnessed = &Of::<LoanWithDraws>::NEW;
        let history = History::of(id, renumbered(events));
        witnessed.compare(&history, Some(&item)).verdict
    };
    assert_eq!(verdict(log.clone()), Verdict::Agrees);
    let is_draws = |at: &usize| log[*at].event_type.as_str().starts_with("loan.draw_");
    let draws: Vec<usize> = (0..log.len()).filter(is_draws).collect();
    assert_eq!(draws.len(), 5);
    for at in draws {
        let event_type = &log[at].event_type;
        let mut lacks = log.clone();
        let event = lacks.remove(at);
        assert_eq!(verdict(lacks), Verdict::Parted, "{event_type} lost");
        let mut twice = log.clone();
        twice.push(event);
        assert_eq!(verdict(twice), Verdict::Parted, "{event_type} doubled");
    }
}

#[test]
fn a_draw_is_decided_on_as_it_was_asked_for_and_by_another_where_it_is_approved() {
    let trial = drawn();
    for (event_type, field, value) in [
        ("loan.draw_approved", "amount", serde_json::json!(99)),
        ("loan.draw_approved", "approved_by", "desk".into()),
        ("loan.draw_rejected", "amount", serde_json::json!(201)),
        ("loan.draw_requested", "amount", serde_json::json!(401)),
    ] {
        let mut changed = false;
        let events = trial.log.0.iter().map(|event| {
            let mut whole = serde_json::to_value(event).expect("JSON");
            if event.event_type.as_str() == event_type {
                whole["payload"][field] = value.clone();
                changed = true;
            }
            serde_json::from_value(whole).expect("an event")
        });
        let events: Vec<Envelope> = events.collect();
        let rebuilt = domain::rebuild::<LoanWithDraws>(&events);
        assert!(changed && rebuilt.is_err(), "{event_type}: {field}");
    }
}
