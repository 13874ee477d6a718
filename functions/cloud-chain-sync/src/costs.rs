//! Compares the cost of an event with COSTS.md. The shipped handler, runtime and store run on a DynamoDB that counts
//! units.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::collections::BTreeMap;

use consumer::Outcome;
use outbox::Table;
use serde_json::{Value, json};
use testkit::costs::{Bench, envelope, sample, steps};

use crate::handler::{Chain, ChainSync};

async fn bench_of(chain: Chain) -> Bench<ChainSync> {
    let cloud = Table::domain("cloud");
    Bench::start(cloud, |outbox, table| ChainSync::new(outbox, table, chain)).await
}

/// Counts the handling of one event. The consumer never calls the chain.
async fn consume(bench: &Bench<ChainSync>, event_type: &str, payload: Value) -> Vec<u64> {
    let counts = bench
        .consume(&[envelope(event_type, &payload)], Outcome::Done)
        .await;
    vec![counts.write_units, counts.read_units, counts.all_calls(), 0]
}

async fn register(bench: &Bench<ChainSync>, member: &str, address: Option<&str>) -> Vec<u64> {
    let payload = json!({
        "member_id": member, "name": "Ada Lovelace", "email": "ada@example.com", "role": "member",
        "ethereum_address": address, "version": 1,
        "notification_preferences": {"email_enabled": true, "in_app_enabled": true, "webhook_enabled": false},
    });
    consume(bench, "member.registered", payload).await
}

fn of_members(event_type: &str, members: &[(&str, &str)]) -> Value {
    let mut payload = sample(event_type);
    for (field, member) in members {
        payload[*field] = json!(member);
    }
    payload
}

fn minted(member: &str) -> Value {
    of_members("cloud.minted", &[("member_id", member)])
}

#[tokio::test]
async fn every_row_of_the_table_is_what_is_counted() {
    let bench = bench_of(Chain::There).await;
    let mut counted = BTreeMap::new();
    let mut count = |step: &str, cost: Vec<u64>| counted.insert(step.to_owned(), cost);
    let address = |last: char| format!("0x{}{last}", "a".repeat(39));
    count(
        "a member",
        register(&bench, "ada", Some(&address('1'))).await,
    );
    register(&bench, "bob", Some(&address('2'))).await;
    register(&bench, "eve", None).await;
    count(
        "a movement",
        consume(&bench, "cloud.minted", minted("ada")).await,
    );
    count(
        "a movement of a member without address",
        consume(&bench, "cloud.minted", minted("eve")).await,
    );
    let both = [("from_member_id", "ada"), ("to_member_id", "bob")];
    let transfer = of_members("cloud.transferred", &both);
    count(
        "a transfer, two members with addresses",
        consume(&bench, "cloud.transferred", transfer).await,
    );
    let without = bench_of(Chain::NotThere).await;
    count(
        "a movement where there is no chain",
        consume(&without, "cloud.minted", minted("ada")).await,
    );
    let stated = steps("step behind the chain", "cloud-chain-sync");
    assert_eq!(stated, counted, "left: COSTS.md, right: counted");
}
