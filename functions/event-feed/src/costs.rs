//! Compares the cost of an event with COSTS.md. The shipped handler, runtime and store run on a DynamoDB that counts
//! units.

use crate::handler::EventFeed;
use consumer::Outcome;
use outbox::Table;
use rust_decimal::Decimal;
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
async fn events_of_a_batch_share_the_head() {
    let bench = Bench::start(Table::domain("feed"), |outbox, table| {
        EventFeed::new(outbox, table, LEAST_LIFE)
    })
    .await;
    let mut batch = Vec::new();
    for number in 0..10 {
        let mut event = envelope("cloud.minted", &sample("cloud.minted"));
        event["aggregate_id"] = json!(format!("member{number}"));
        bench.log(&event).await;
        batch.push(event);
    }
    let counts = bench.consume(&batch, Outcome::Done).await;
    assert_eq!(counts.of("TransactWriteItems"), 1);
    let ten = Decimal::from(10);
    let each: Vec<Decimal> = counted(&counts).into_iter().map(|all| all / ten).collect();
    assert_eq!(each, stated("`event-feed`: an event, ten a batch"));
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
