//! Compares the cost of an event with COSTS.md. The shipped handler, runtime and store run on a DynamoDB that counts
//! units.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use crate::handler::CommerceCatalog;
use commerce::testing::{open, table};
use consumer::{Handler as _, Outcome};
use events::Sku;
use serde_json::{Value, json};
use testkit::costs::{Bench, envelope, sample, steps};

fn changed(product: &Sku) -> Value {
    let mut payload = sample("stock.changed");
    payload["product_id"] = json!(product);
    payload["sku"] = json!(product);
    envelope("stock.changed", &payload)
}

#[tokio::test]
async fn an_event_costs_what_the_table_says() {
    let sku = Sku::new("PRD-001").expect("a sku");
    let mut shared = None;
    let bench = Bench::start(table(), |outbox, table| {
        shared = Some(outbox.clone());
        CommerceCatalog::new(outbox, table)
    });
    let bench = bench.await;
    let outbox = shared.expect("an outbox");
    open(&outbox, std::slice::from_ref(&sku)).await;
    let told = changed(&sku);
    let mut counted = BTreeMap::new();
    for (step, event, outcome) in [
        ("the status changes", told.clone(), Outcome::Done),
        ("a copy of an event", told, Outcome::Duplicate),
        ("the status stays", changed(&sku), Outcome::Done),
    ] {
        // An empty batch resets the counters.
        drop(bench.consume(&[], outcome).await);
        let counts = bench.consume(&[event], outcome).await;
        let counts = vec![counts.write_units, counts.read_units, counts.all_calls()];
        counted.insert(step.to_owned(), counts);
    }
    assert_eq!(
        steps("step behind a product", CommerceCatalog::NAME),
        counted,
        "left: COSTS.md, right: counted"
    );
}
