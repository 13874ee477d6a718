//! Compares the cost of an event with COSTS.md. The shipped handler, runtime and store run on a DynamoDB that counts
//! units.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use crate::handler::CommerceStock;
use commerce::testing::{open, order_id, table};
use consumer::{Handler as _, Outcome};
use events::Sku;
use serde_json::{Value, json};
use testkit::costs::{Bench, envelope, sample, steps};

/// An event of an order of so many lines.
fn event(event_type: &str, skus: &[Sku]) -> Value {
    let goods = skus.iter().map(|sku| json!({ "sku": sku, "quantity": 1 }));
    let mut payload = sample(event_type);
    payload["order_id"] = json!(order_id());
    payload["items"] = goods.collect();
    envelope(event_type, &payload)
}

#[tokio::test]
async fn an_event_costs_what_the_table_says() {
    let mut counted = BTreeMap::new();
    let skus: Vec<Sku> = (0..45)
        .map(|number| Sku::new(format!("PRD-{number}")).expect("a sku"))
        .collect();
    for lines in [1, 45] {
        let words = if lines == 1 {
            "1 line is"
        } else {
            "45 lines are"
        };
        let skus = &skus[..lines];
        let requested = event("order.stock_requested", skus);
        for (end, what) in [
            ("order.shipped", "shipped"),
            ("order.cancelled", "given back"),
        ] {
            let mut shared = None;
            let bench = Bench::start(table(), |outbox, table| {
                shared = Some(outbox.clone());
                CommerceStock::new(outbox, table)
            });
            let bench = bench.await;
            open(&shared.expect("an outbox"), skus).await;
            let early = event("order.cancelled", skus);
            for (step, event, outcome) in [
                (
                    format!("{words} reserved"),
                    requested.clone(),
                    Outcome::Done,
                ),
                (
                    "a copy of an event".to_owned(),
                    requested.clone(),
                    Outcome::Duplicate,
                ),
                (format!("{words} {what}"), event(end, skus), Outcome::Done),
                (
                    "an event with nothing left to do".to_owned(),
                    early,
                    Outcome::Done,
                ),
            ] {
                // An empty batch resets the counters.
                drop(bench.consume(&[], outcome).await);
                let counts = bench.consume(&[event], outcome).await;
                let counts = vec![counts.write_units, counts.read_units, counts.all_calls()];
                if lines == 1 || step.starts_with(words) {
                    counted.insert(step, counts);
                }
            }
        }
    }
    assert_eq!(
        steps("step behind an order", CommerceStock::NAME),
        counted,
        "left: COSTS.md, right: counted"
    );
}
