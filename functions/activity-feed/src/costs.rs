//! Compares the cost of an event with COSTS.md. The shipped handler, runtime and store run on a DynamoDB that counts
//! units.

use crate::handler::ActivityFeed;
use consumer::Outcome;
use outbox::Table;
use serde_json::{Value, json};
use testkit::costs::{Bench, counted, envelope, sample, stated};

async fn bench() -> Bench<ActivityFeed> {
    Bench::start(Table::domain("activity"), |_, table| {
        ActivityFeed::new(table)
    })
    .await
}

fn event(event_type: &str) -> Value {
    let mut payload = sample(event_type);
    if payload.get("settle_amount").is_some() {
        payload["settle_amount"] = json!(100);
    }
    envelope(event_type, &payload)
}

#[tokio::test]
async fn an_event_costs_four_write_units_in_one_call_and_no_read() {
    let bench = bench().await;
    for event_type in [
        "wallet.escrow_held",
        "wallet.escrow_settled",
        "wallet.escrow_refunded",
        "wallet.escrow_partial_settled",
    ] {
        let counts = bench.consume(&[event(event_type)], Outcome::Done).await;
        assert_eq!(counts.of("TransactWriteItems"), 1, "{event_type}");
        let wanted = stated("`activity-feed`: an escrow's event");
        assert_eq!(counted(&counts), wanted, "{event_type}");
    }
}

#[tokio::test]
async fn a_batch_shares_one_call() {
    let bench = bench().await;
    let batch: Vec<Value> = (0..10).map(|_| event("wallet.escrow_held")).collect();
    let counts = bench.consume(&batch, Outcome::Done).await;
    let wanted = stated("`activity-feed`: ten of them in a batch");
    assert_eq!(counted(&counts), wanted);
}
