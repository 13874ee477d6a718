//! Compares the cost of an event with README.md. The shipped handler, runtime and store run on a DynamoDB that counts
//! units.

use crate::handler::Analytics;
use consumer::Outcome;
use outbox::Table;
use serde_json::{Value, json};
use testkit::costs::{Bench, envelope, sample};

async fn bench() -> Bench<Analytics> {
    Bench::start(Table::domain("analytics"), |_, table| Analytics::new(table)).await
}

fn event(event_type: &str, member: usize) -> Value {
    let mut payload = sample(event_type);
    if payload.get("member_id").is_some() {
        payload["member_id"] = json!(format!("member-{member}"));
    }
    envelope(event_type, &payload)
}

#[tokio::test]
async fn an_event_costs_two_write_units_for_the_mark_and_for_each_row_in_one_call() {
    let bench = bench().await;
    for (event_type, units) in [
        ("alert.treasury_backing_low", 6),
        ("cloud.rate_card_created", 8),
        ("cloud.minted", 8),
        ("cloud.redeemed", 8),
        ("cloud.transferred", 10),
        ("wallet.escrow_held", 8),
        ("wallet.escrow_settled", 10),
        ("wallet.escrow_partial_settled", 10),
        ("erp.stock_counted", 10),
    ] {
        let counts = bench.consume(&[event(event_type, 0)], Outcome::Done).await;
        let calls = (counts.of("TransactWriteItems"), counts.all_calls());
        let counted = (counts.write_units, counts.read_units, calls);
        assert_eq!(counted, (units, 0, (1, 1)), "{event_type}");
    }
}

#[tokio::test]
async fn full_batches_share_their_calls_as_far_as_the_shards_let_them() {
    const BATCHES: u64 = 60;
    let bench = bench().await;
    let (mut units, mut calls) = (0, 0);
    for _ in 0..BATCHES {
        let batch: Vec<Value> = (0..10)
            .map(|member| event("cloud.minted", member))
            .collect();
        let counts = bench.consume(&batch, Outcome::Done).await;
        units += counts.write_units;
        calls += counts.all_calls();
    }
    assert_eq!(units, 8 * BATCHES * 10);
    // Ten events of one type are spread over eight shards, and the fullest shard gets about three. One call for each
    // event would be 600 calls.
    assert!((120..240).contains(&calls), "{calls} calls");
}
