//! Compares the cost of a dead letter with COSTS.md. The shipped drainer and store run on a DynamoDB that counts units.

use std::collections::BTreeMap;

use letters::QueueMessage;
use outbox::Table;
use testkit::costs::{Site, counted, stated};

use crate::handler::{DeadLetters, Drainage};

const ENVELOPE: &str =
    include_str!("../../../shared/events/samples/common/envelope-v1/minimal.json");

fn parked(message_id: &str, second: u32) -> QueueMessage {
    let attributes = [
        ("consumer", "analytics".to_owned()),
        ("reason", "rejected".to_owned()),
        ("error", "wallet 17 is closed".to_owned()),
        ("attempts", "4".to_owned()),
        ("parked_at", format!("2026-11-29T03:00:{second:02}.000Z")),
    ];
    let attributes = attributes.map(|(name, text)| (name.to_owned(), text));
    QueueMessage {
        message_id: message_id.to_owned(),
        body: ENVELOPE.to_owned(),
        attributes: BTreeMap::from(attributes),
        source_arn: None,
    }
}

#[tokio::test]
async fn a_letter_costs_what_is_stated() {
    let table = Table::domain("letters");
    let site = Site::without_log(std::slice::from_ref(&table)).await;
    let drainer = DeadLetters::new(site.outbox().clone(), table);
    for (message, drainage, row) in [
        (
            parked("m-1", 1),
            Drainage::Written,
            "`dead-letters`: a dead letter",
        ),
        (
            parked("m-2", 2),
            Drainage::Written,
            "`dead-letters`: the same event, parked again",
        ),
        (
            parked("m-2", 2),
            Drainage::Again,
            "`dead-letters`: a message that is delivered again",
        ),
    ] {
        drop(site.stub().take_counts());
        assert_eq!(drainer.drain(&message).await.expect("drained"), drainage);
        assert_eq!(counted(&site.stub().take_counts()), stated(row), "{row}");
    }
}
