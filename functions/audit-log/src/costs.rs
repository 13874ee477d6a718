//! Compares the cost of an event with COSTS.md. The shipped handler, runtime and store run on a DynamoDB that counts
//! units.

use crate::handler::AuditLog;
use consumer::Outcome;
use outbox::Table;
use serde_json::json;
use testkit::costs::{Bench, counted, envelope, sample, stated};

#[tokio::test]
async fn an_event_costs_what_the_table_says() {
    let bench = Bench::start(Table::domain("audit"), AuditLog::new).await;
    for (event_type, row) in [
        ("cloud.minted", "`audit-log`: an event"),
        ("payment.created", "`audit-log`: an event"),
        (
            "settlement.settled",
            "`audit-log`: a settlement that is done",
        ),
    ] {
        for sequence in 1..=3 {
            let mut event = envelope(event_type, &sample(event_type));
            event["sequence"] = json!(sequence);
            bench.log(&event).await;
            let counts = bench.consume(&[event], Outcome::Done).await;
            let calls = ["TransactWriteItems", "GetItem", "Query"].map(|one| counts.of(one));
            let step = format!("{event_type} {sequence}");
            assert_eq!((calls, counts.all_calls()), ([1, 2, 1], 4), "{step}");
            assert_eq!(counted(&counts), stated(row), "{step}");
        }
    }
}
