//! Compares the cost of an event with COSTS.md. The shipped handler, runtime and store run on a DynamoDB that counts
//! units.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use crate::handler::CommerceOrders;
use commerce::testing::{open, place, table};
use consumer::{Handler as _, Outcome};
use events::Sku;
use serde_json::{Value, json};
use testkit::costs::{Bench, envelope, sample, steps};

/// An answer of credit or stock to the samples' order.
fn answer(event_type: &str, status: &str) -> Value {
    let mut payload = sample(event_type);
    payload["status"] = json!(status);
    let fields = payload.as_object_mut().expect("an object");
    for name in ["payment", "reason", "available", "shortages"] {
        fields.remove(name);
    }
    envelope(event_type, &payload)
}

#[tokio::test]
async fn an_event_costs_what_the_table_says() {
    let mut counted = BTreeMap::new();
    let skus: Vec<Sku> = (0..45)
        .map(|number| Sku::new(format!("PRD-{number}")).expect("a sku"))
        .collect();
    for lines in [1, 45] {
        let words = if lines == 1 { "1 line" } else { "45 lines" };
        let mut shared = None;
        let bench = Bench::start(table(), |outbox, table| {
            shared = Some(outbox.clone());
            CommerceOrders::new(outbox, table)
        });
        let bench = bench.await;
        let outbox = shared.expect("an outbox");
        open(&outbox, &skus[..lines]).await;
        place(&outbox, &skus[..lines], 1, 1_000).await;
        let credit = answer("credit.reservation_changed", "reserved");
        let stock = answer("stock.reservation_changed", "reserved");
        for (step, event, outcome) in [
            (
                format!("the goods of {words} are asked for"),
                credit.clone(),
                Outcome::Done,
            ),
            (
                format!("an order of {words} is confirmed"),
                stock,
                Outcome::Done,
            ),
            ("a copy of an event".to_owned(), credit, Outcome::Duplicate),
            (
                "an answer to what the order told itself".to_owned(),
                answer("credit.reservation_changed", "owed"),
                Outcome::Done,
            ),
        ] {
            // An empty batch resets the counters.
            drop(bench.consume(&[], outcome).await);
            let counts = bench.consume(&[event], outcome).await;
            let counts = vec![counts.write_units, counts.read_units, counts.all_calls()];
            counted.insert(step, counts);
        }
    }
    assert_eq!(
        steps("step behind an order", CommerceOrders::NAME),
        counted,
        "left: COSTS.md, right: counted"
    );
}
