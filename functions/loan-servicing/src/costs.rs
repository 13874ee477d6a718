//! Compares the cost of an event with COSTS.md. The shipped handler, runtime and store run on a DynamoDB that counts
//! units.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use crate::{
    handler::LoanServicing,
    seed::{LOAN, draw, lend, loan_id, step, table},
};
use consumer::{Handler as _, Outcome};
use events::{Sequence, Text};
use loan::{loan::Terms, operations::Loans};
use outbox::Outbox;
use serde_json::Value;
use testkit::costs::{Bench, steps};

struct Counting {
    bench: Bench<LoanServicing>,
    outbox: Outbox,
}

impl Counting {
    /// Starts with a funded loan that has no schedule yet.
    async fn start(term_months: u32) -> Self {
        let mut shared = None;
        let bench = Bench::start(table(), |outbox, table| {
            shared = Some(outbox.clone());
            LoanServicing::new(outbox, table)
        });
        let bench = bench.await;
        let outbox = shared.expect("an outbox");
        lend(&outbox, term_months).await;
        Self { bench, outbox }
    }

    /// Returns the newest event of this type from the event log.
    async fn last_event(&self, event_type: &str) -> Value {
        let first = Sequence::new(1).expect("a number");
        let aggregate = format!("loan#{LOAN}");
        let history = self.outbox.history(&aggregate, first, 100).await;
        let history = history.expect("a history");
        let envelopes = history.envelopes.iter().rev();
        let mut envelopes = envelopes.map(|raw| {
            let envelope: Value = serde_json::from_str(raw.get()).expect("JSON");
            envelope
        });
        let found = envelopes.find(|envelope| envelope["event_type"] == event_type);
        found.expect("the event was published")
    }

    /// Counts the handling of the newest event of this type. Checks its outcome, and the number of schedules
    /// afterwards.
    async fn of(&self, event_type: &str, outcome: Outcome, schedules: u64) -> Vec<u64> {
        let event = self.last_event(event_type).await;
        // An empty batch resets the counters, so that earlier costs are not counted for the event.
        drop(self.bench.consume(&[], outcome).await);
        let counts = self.bench.consume(&[event], outcome).await;
        let (outbox, table) = (&self.outbox, &table());
        let loan = Loans { outbox, table }.loan(loan_id()).await;
        let loan = loan.expect("read");
        let last = loan.state().expect("a loan").last_schedule();
        let made = last.map_or(0, Sequence::number);
        assert_eq!(made, schedules, "{event_type}");
        vec![counts.write_units, counts.read_units, counts.all_calls()]
    }
}

#[tokio::test]
async fn an_event_costs_what_the_table_says() {
    let mut counted = BTreeMap::new();
    // A step that is counted twice must cost the same both times.
    let mut note = |step: &str, counts: Vec<u64>| {
        let before = counted.insert(step.to_owned(), counts.clone());
        assert!(before.is_none_or(|before| before == counts), "{step}");
    };
    for months in [36, 480] {
        let all = Counting::start(months).await;
        let counts = all.of("loan.funded", Outcome::Done, 1).await;
        note(&format!("a loan over {months} months is funded"), counts);
        let counts = all.of("loan.funded", Outcome::Duplicate, 1).await;
        note("a copy of an event", counts);
        let terms = Terms {
            interest_rate: "7".parse().ok(),
            ..Terms::default()
        };
        let modified = step(&all.outbox, 3, |change| change.modify(terms));
        modified.await.expect("modified");
        // A draw that is approved costs what other terms do.
        let changed = format!("a loan over {months} months is changed or drawn on");
        let counts = all.of("loan.modified", Outcome::Done, 2).await;
        note(&changed, counts);
        draw(&all.outbox, 4).await;
        let counts = all.of("loan.draw_approved", Outcome::Done, 3).await;
        note(&changed, counts);
    }
    let paid = Counting::start(36).await;
    let amount = "60000".parse().expect("money");
    let payment = step(&paid.outbox, 3, |change| {
        let method = Text::new("wire").expect("text");
        change.pay(LOAN.parse().expect("an id"), amount, method)
    });
    payment.await.expect("paid");
    let counts = paid.of("loan.funded", Outcome::Done, 0).await;
    note("an event with nothing left to plan", counts);
    assert_eq!(
        steps("step behind the loan", LoanServicing::NAME),
        counted,
        "left: COSTS.md, right: counted"
    );
}
