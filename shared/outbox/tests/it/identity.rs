//! Events whose identity is as long as their types allow: the longest that every consumer can mark is committed, a longer
//! one is refused.

use std::sync::Arc;

use events::{
    AggregateId, Cause, Draft, IdempotencyKey, LONGEST_FUNCTION_NAME, OUTSIDE, Registry, Retention,
    Sequence,
};
use outbox::{
    BuildError, Decision, Error, Mark, MarkError, Numbered, Outbox, Outcome, Table, cursor_key,
    failures_key, memory::MemoryStore,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use testkit::TestClock;

use crate::fixtures::{domain, events_table, marks, request};

events::contracts! {
    kept Retention::Forever;
    Noted: "erp.noted", Normal, OUTSIDE, "erp_note" [note_id];
}

/// A note was taken.
#[derive(Serialize, Deserialize, JsonSchema)]
pub(crate) struct Noted {
    /// Its id.
    note_id: AggregateId,
    /// Its version.
    version: Sequence,
}

/// DynamoDB's limit of a partition key in bytes.
const LIMIT: usize = 2_048;

/// Four bytes.
const WIDE: &str = "\u{1f4e6}";

fn consumer() -> &'static str {
    "c".repeat(LONGEST_FUNCTION_NAME).leak()
}

async fn committed(id: &str, key: &str) -> Result<Outcome<(), ()>, Error> {
    let outbox = Outbox::new(
        Arc::new(MemoryStore::new()),
        Arc::new(TestClock::new(1)),
        Arc::new(Registry::new(registered())),
        events_table(),
        marks(),
    );
    let decide = |mut transaction: outbox::Transaction| {
        let outbox = &outbox;
        async move {
            let aggregate = format!("erp_note#{id}");
            let entity = outbox.load_numbered(&domain(), &aggregate).await?;
            let event = Noted {
                note_id: AggregateId::new(id)?,
                version: Sequence::new(1)?,
            };
            let draft = Draft::of(&event)?.with_idempotency_key(IdempotencyKey::new(key)?);
            transaction.update(&entity, &Numbered {}, vec![draft])?;
            Ok::<_, Error>(Decision::Commit(transaction, ()))
        }
    };
    outbox
        .execute(&request("k"), &Cause::default(), decide)
        .await
}

#[tokio::test]
async fn every_consumer_can_mark_every_event_that_is_committed() {
    let id = WIDE.repeat(256);
    let rest = LIMIT - "event#".len() - LONGEST_FUNCTION_NAME - "#erp.noted#erp_note##".len();
    let longest = "k".repeat(rest - id.len() - WIDE.len() * 239) + &WIDE.repeat(239);
    let outcome = committed(&id, &longest).await.expect("committed");
    let Outcome::Committed { events, .. } = outcome else {
        panic!("{outcome:?}")
    };
    let [event] = events.as_slice() else {
        panic!("{events:?}")
    };
    let mark = Mark::event(consumer(), event);
    assert_eq!(mark.key(&marks()).expect("a key").pk.len(), LIMIT);

    let refused = committed(&id, &format!("{longest}k")).await;
    let expected = MarkError::IdentityTooLong {
        bytes: LIMIT - "event#".len() - LONGEST_FUNCTION_NAME,
    };
    assert!(
        matches!(&refused, Err(Error::Build(BuildError::Mark(error))) if *error == expected),
        "{refused:?}"
    );
}

#[test]
fn a_cursor_and_a_record_of_parking_always_fit_their_keys() {
    let marks: Table = marks();
    let longest = format!("{}#{}", "t".repeat(64), WIDE.repeat(256));
    assert!(cursor_key(&marks, consumer(), &longest).is_ok());
    let id = "00000000-0000-7000-8000-000000000001";
    assert!(failures_key(&marks, consumer(), id).is_ok());
}
