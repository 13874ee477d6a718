//! Compares the cost of an event with COSTS.md. The shipped handler, runtime and store run on a DynamoDB that counts
//! units.

use crate::handler::EventFeed;
use consumer::Outcome;
use outbox::Table;
use serde_json::json;
use testkit::costs::{Bench, counted, envelope, sample, stated};
use views::feed::LEAST_LIFE;

#[tokio::test]
async fn an_event_costs_what_the_table_says_wherever_the_head_is() {
    let bench = Bench::start(Table::domain("feed"), |outbox, table| {
        EventFeed::new(outbox, table, LEAST_LIFE)
    })
    .await;
    for event_type in ["cloud.minted", "member.registered", "payment.created"] {
        for sequence in 1..=3 {
            let mut event = envelope(event_type, &sample(event_type));
            event["sequence"] = json!(sequence);
            bench.log(&event).await;
            let counts = bench.consume(&[event], Outcome::Done).await;
            let calls = ["TransactWriteItems", "GetItem", "Query"].map(|one| counts.of(one));
            let step = format!("{event_type} {sequence}");
            assert_eq!((calls, counts.all_calls()), ([1, 3, 1], 5), "{step}");
            assert_eq!(counted(&counts), stated("`event-feed`: an event"), "{step}");
        }
    }
}

#[tokio::test]
async fn a_copy_of_an_event_costs_two_reads() {
    let bench = Bench::start(Table::domain("feed"), |outbox, table| {
        EventFeed::new(outbox, table, LEAST_LIFE)
    })
    .await;
    let event = envelope("cloud.minted", &sample("cloud.minted"));
    bench.log(&event).await;
    let copy = [event];
    bench.consume(&copy, Outcome::Done).await;
    let counts = bench.consume(&copy, Outcome::Duplicate).await;
    let wanted = stated("`event-feed`: a copy of an event");
    assert_eq!(counted(&counts), wanted);
}
