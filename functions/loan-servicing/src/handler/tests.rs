//! Tests when the consumer creates schedules, and that it does so once. Runs in the in-memory pipeline, which can
//! deliver events in an order that the test chooses.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use events::{Cause, Envelope, Registry, Sequence, Subscription as _, Text};
use loan::{
    loan::{LoanChange, Terms},
    schedule::Schedule,
};
use outbox::Mark;
use testkit::flow::{Faults, Flow};

use super::*;
use crate::seed::{LOAN, draw, lend, loan_id, step, table};

const PLANNED: &str = "loan.payment_schedule_generated";

fn flow(seed: u64, faults: Faults) -> Flow {
    Flow::builder(seed)
        .faults(faults)
        .consumer(|site| LoanServicing::new(site.outbox().clone(), table()))
        .build()
        .expect("a flow")
}

/// A flow with a funded loan over 36 months, none of whose events were delivered yet.
fn lent() -> Flow {
    let flow = flow(1, Faults::NONE);
    flow.look(async |site| lend(site.outbox(), 36).await);
    flow
}

/// Changes the terms to this many months.
fn over(months: u32) -> impl Fn(LoanChange) -> Result<LoanChange, loan::Refusal> {
    move |change| {
        change.modify(Terms {
            term_months: Some(months),
            ..Terms::default()
        })
    }
}

fn history(flow: &Flow) -> Vec<Envelope> {
    flow.history(&format!("loan#{LOAN}"))
}

fn types(flow: &Flow) -> Vec<String> {
    let history = history(flow);
    let types = history.iter().map(|event| event.event_type.to_string());
    types.collect()
}

/// The schedules of the loan, oldest first.
fn schedules(flow: &Flow) -> Vec<Schedule> {
    let query = Schedule::of_loan(&table(), loan_id(), 100);
    let read = flow.look(async |site| site.outbox().rows(&query).await);
    let (mut schedules, next): (Vec<Schedule>, _) = read.expect("reads");
    assert!(next.is_none(), "more than a page");
    schedules.reverse();
    schedules
}

/// The number of instalments of each schedule. They are numbered 1, 2, 3…
fn lengths(flow: &Flow) -> Vec<usize> {
    let schedules = schedules(flow);
    let revisions = schedules.iter().map(|one| one.revision.number());
    assert!(revisions.eq(1..=schedules.len() as u64), "{schedules:?}");
    schedules.iter().map(|one| one.instalments.len()).collect()
}

fn drain(flow: &mut Flow) {
    flow.drain().expect("drains");
    assert!(flow.letters(LoanServicing::NAME).is_empty());
    flow.audit().expect("sound");
}

#[test]
fn what_changes_when_a_loan_is_paid_back_is_planned_anew() {
    let mut flow = lent();
    drain(&mut flow);
    assert_eq!(lengths(&flow), [36]);
    flow.look(async |site| step(site.outbox(), 3, over(48)).await)
        .expect("modified");
    drain(&mut flow);
    assert_eq!(lengths(&flow), [36, 48]);
    flow.look(async |site| draw(site.outbox(), 4).await);
    drain(&mut flow);
    assert_eq!(lengths(&flow), [36, 48, 48]);
    let schedules = schedules(&flow);
    let principals = schedules.iter().map(|one| one.principal().to_string());
    assert!(
        principals.eq(["60000.00", "60000.00", "61000.00"]),
        "{schedules:?}"
    );
    assert_eq!(
        types(&flow),
        [
            "loan.created",
            "loan.funded",
            PLANNED,
            "loan.modified",
            PLANNED,
            "loan.draw_requested",
            "loan.draw_approved",
            PLANNED
        ]
    );
}

#[test]
fn the_event_is_a_fact_of_its_loan_and_follows_from_what_was_done() {
    let mut flow = lent();
    drain(&mut flow);
    let history = history(&flow);
    let [_, funded, planned] = &history[..] else {
        unreachable!("{history:?}");
    };
    let name = planned.idempotency_key.as_ref().expect("a name");
    assert_eq!(name.as_str(), format!("loan/{LOAN}/schedule/1"));
    assert_eq!(planned.causation_id, Some(funded.event_id));
    assert_eq!(planned.correlation_id, funded.correlation_id);
}

#[test]
fn a_copy_of_an_event_plans_nothing_more() {
    let mut flow = lent();
    drain(&mut flow);
    let (recorded, planned) = (history(&flow), schedules(&flow));
    let funded = serde_json::to_string(&recorded[1]).expect("JSON");
    for copy in [funded.clone(), funded] {
        assert!(flow.send(LoanServicing::NAME, copy));
    }
    drain(&mut flow);
    assert_eq!(schedules(&flow), planned);
    assert_eq!(types(&flow).len(), recorded.len());
}

#[test]
fn one_schedule_answers_for_all_changes_before_it() {
    let mut flow = lent();
    flow.look(async |site| {
        for (number, months) in [(3, 48), (4, 24)] {
            step(site.outbox(), number, over(months))
                .await
                .expect("modified");
        }
    });
    drain(&mut flow);
    assert_eq!(lengths(&flow), [24]);
    assert_eq!(types(&flow)[4..], [PLANNED]);
}

#[test]
fn a_loan_that_was_paid_back_before_it_was_come_to_needs_no_plan() {
    let mut flow = lent();
    flow.look(async |site| {
        step(site.outbox(), 3, |change| {
            let all = "60000".parse().expect("money");
            let method = Text::new("wire").expect("text");
            change.pay(LOAN.parse().expect("an id"), all, method)
        })
        .await
        .expect("paid");
    });
    drain(&mut flow);
    assert_eq!(lengths(&flow), [] as [usize; 0]);
    assert_eq!(
        types(&flow)[2..],
        ["loan.payment_received", "loan.paid_off"]
    );
}

#[test]
fn under_any_faults_the_last_schedule_is_of_the_last_terms() {
    for seed in 0..20 {
        let mut flow = flow(seed, Faults::STORM);
        flow.look(async |site| lend(site.outbox(), 36).await);
        for months in 40..46 {
            flow.submit(move |site| async move {
                step(site.outbox(), months.into(), over(months)).await?;
                Ok(())
            });
        }
        flow.drain().expect("drains");
        flow.set_faults(Faults::NONE);
        while flow.redrive(LoanServicing::NAME) > 0 {
            flow.drain().expect("drains");
        }
        flow.audit().expect("sound");
        let loan = flow.look(async |site| {
            let (outbox, table) = (site.outbox(), &table());
            Loans { outbox, table }.loan(loan_id()).await
        });
        let loan = loan.expect("reads");
        let loan = loan.state().expect("a loan");
        assert!(!loan.wants_schedule(), "seed {seed}: {loan:?}");
        let lengths = lengths(&flow);
        let last = lengths.last().copied();
        assert_eq!(
            last,
            usize::try_from(loan.term_months()).ok(),
            "seed {seed}"
        );
        assert_eq!(
            loan.last_schedule().map(Sequence::number),
            Some(lengths.len() as u64),
            "seed {seed}"
        );
        // At most one schedule for each change, and each published once.
        assert!(lengths.len() <= 7, "seed {seed}: {lengths:?}");
        let recorded = types(&flow);
        let planned = recorded.iter().filter(|one| *one == PLANNED).count();
        assert_eq!(planned, lengths.len(), "seed {seed}");
    }
}

#[test]
fn an_event_of_a_loan_that_is_not_there_is_parked_at_once() {
    const FUNDED: &str = include_str!("../../../../shared/events/samples/loan/funded-v1/full.json");
    let flow = flow(1, Faults::NONE);
    let message = flow.message("loan.funded", FUNDED).expect("a contract");
    let envelope = Registry::read(&message).expect("an envelope");
    let received = Received {
        event: Event::decode(&envelope).expect("an event of its own"),
        envelope,
        attempt: 1,
        stored: None,
    };
    let decided = flow.look(async |site| {
        let outbox = site.outbox();
        let mark = Mark::Episode {
            name: "test",
            number: 1,
            phase: "opened",
        };
        let transaction = outbox.begin(&mark, &Cause::default());
        let handler = LoanServicing::new(outbox.clone(), table());
        handler.decide(&received, transaction).await
    });
    let failure = format!("{:?}", decided.expect_err("nothing to plan"));
    assert!(
        failure.contains("Park") && failure.contains(LOAN),
        "{failure}"
    );
}
