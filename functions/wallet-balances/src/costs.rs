//! Compares the cost of an event with COSTS.md. The shipped handler, runtime and store run on a DynamoDB that counts
//! units.

use crate::handler::WalletBalances;
use consumer::Outcome;
use outbox::Table;
use serde_json::{Value, json};
use testkit::costs::{Bench, counted, envelope, sample, stated};

/// A balance at a version of its account.
fn updated(version: u64) -> Value {
    const TYPE: &str = "wallet.balance_updated";
    let mut payload = sample(TYPE);
    payload["version"] = json!(version);
    envelope(TYPE, &payload)
}

#[tokio::test]
async fn a_balance_costs_one_write_unit_in_one_call_whether_it_is_newer_or_not() {
    let table = Table::domain("wallet");
    let bench = Bench::start(table, |_, table| WalletBalances::new(table)).await;
    for (version, outcome, step) in [
        (2, Outcome::Done, "`wallet-balances`: a balance"),
        (1, Outcome::Ignored, "`wallet-balances`: an older balance"),
    ] {
        let counts = bench.consume(&[updated(version)], outcome).await;
        assert_eq!(counts.of("PutItem"), 1, "{step}");
        assert_eq!(counted(&counts), stated(step), "{step}");
    }
}
