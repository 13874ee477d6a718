//! Compares the cost of an event with COSTS.md. The shipped handler, runtime and store run on a DynamoDB that counts
//! units.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use crate::handler::CommerceCredit;
use commerce::testing::{open, table};
use consumer::{Handler as _, Outcome};
use serde_json::json;
use testkit::costs::{Bench, envelope, sample, steps};

#[tokio::test]
async fn an_event_costs_what_the_table_says() {
    let mut shared = None;
    let bench = Bench::start(table(), |outbox, table| {
        shared = Some(outbox.clone());
        CommerceCredit::new(outbox, table)
    });
    let bench = bench.await;
    open(&shared.expect("an outbox"), &[]).await;
    let mut counted = BTreeMap::new();
    let other = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a60";
    let created = envelope("order.created", &sample("order.created"));
    let of_other = |event_type: &str| {
        let mut payload = sample(event_type);
        payload["order_id"] = json!(other);
        envelope(event_type, &payload)
    };
    let mut consumer = sample("order.created");
    consumer["customer_type"] = json!("b2c");
    consumer["order_id"] = json!("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a61");
    let mut large = sample("order.created");
    large["totals"]["total"] = json!(9999);
    large["order_id"] = json!("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a62");
    for (step, event, outcome) in [
        ("credit is reserved", created.clone(), Outcome::Done),
        ("a copy of an event", created, Outcome::Duplicate),
        (
            "credit is refused",
            envelope("order.created", &large),
            Outcome::Done,
        ),
        (
            "the order of a consumer",
            envelope("order.created", &consumer),
            Outcome::Done,
        ),
        (
            "what is reserved is owed",
            envelope("order.shipped", &sample("order.shipped")),
            Outcome::Done,
        ),
        (
            "an order ends before it began",
            of_other("order.cancelled"),
            Outcome::Done,
        ),
        (
            "an order begins after it ended",
            of_other("order.created"),
            Outcome::Done,
        ),
    ] {
        // An empty batch resets the counters.
        drop(bench.consume(&[], outcome).await);
        let counts = bench.consume(&[event], outcome).await;
        let counts = vec![counts.write_units, counts.read_units, counts.all_calls()];
        counted.insert(step.to_owned(), counts);
    }
    assert_eq!(
        steps("step behind an order", CommerceCredit::NAME),
        counted,
        "left: COSTS.md, right: counted"
    );
}
