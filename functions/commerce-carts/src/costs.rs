//! Compares the cost of an event with COSTS.md. The shipped handler, runtime and store run on a DynamoDB that counts
//! units.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use crate::handler::CommerceCarts;
use commerce::testing::table;
use consumer::{Handler as _, Outcome};
use serde_json::json;
use testkit::costs::{Bench, envelope, sample, steps};

#[tokio::test]
async fn an_event_costs_what_the_table_says() {
    let bench = Bench::start(table(), CommerceCarts::new).await;
    let price = envelope("price.changed", &sample("price.changed"));
    let mut stock = sample("stock.changed");
    stock["previous_quantity"] = json!(50);
    stock["new_quantity"] = json!(40);
    let stock = envelope("stock.changed", &stock);
    let mut counted = BTreeMap::new();
    for (step, event, outcome) in [
        ("a change of a price", price.clone(), Outcome::Done),
        ("a copy of an event", price, Outcome::Duplicate),
        ("a stock that does not run out", stock, Outcome::Done),
    ] {
        // An empty batch resets the counters.
        drop(bench.consume(&[], outcome).await);
        let counts = bench.consume(&[event], outcome).await;
        let counts = vec![counts.write_units, counts.read_units, counts.all_calls()];
        counted.insert(step.to_owned(), counts);
    }
    assert_eq!(
        steps("step behind a product", CommerceCarts::NAME),
        counted,
        "left: COSTS.md, right: counted"
    );
}
