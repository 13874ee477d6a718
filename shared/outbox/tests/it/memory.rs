//! The in-memory adapters fulfil the contracts of the ports.

use std::sync::Arc;

use outbox::{
    Index, Store, Table,
    memory::{MemoryBus, MemoryStore},
};
use testkit::conformance::{self, TestTables};

fn tables() -> TestTables {
    let index = Index {
        name: "admins",
        partition: "admin",
        sort: "pk",
    };
    TestTables {
        domain: Table::domain("domain"),
        events: Table::events("events"),
        marks: Table::marks("marks"),
        indexed: Some((Table::domain("notifications"), index)),
    }
}

#[tokio::test]
async fn the_store_in_memory_conforms() {
    assert_eq!(
        conformance::store(Arc::new(MemoryStore::new()), tables()).await,
        Ok(())
    );
}

#[tokio::test]
async fn cursors_in_memory_conform() {
    let store = Arc::new(MemoryStore::new());
    assert_eq!(conformance::cursors(store, tables()).await, Ok(()));
}

#[tokio::test]
async fn the_bus_in_memory_conforms() {
    assert_eq!(
        conformance::publisher(Arc::new(MemoryBus::new())).await,
        Ok(())
    );
}

#[tokio::test]
async fn the_stream_shows_inserted_events_once_in_commit_order() {
    let store = MemoryStore::new();
    let (events, domain) = (Table::events("events"), Table::domain("domain"));
    let row = |sequence| events.numbered_key("wallet#1", sequence).attributes();
    store
        .put_all(&events, &[row(2), row(1)])
        .await
        .expect("puts");
    store
        .put_all(&domain, &[domain.key("a", "b").attributes()])
        .await
        .expect("puts");
    assert_eq!(store.take_stream(&events), [row(2), row(1)]);
    // A change of a row is not an insertion.
    store
        .put_all(&events, &[row(1), row(3)])
        .await
        .expect("puts");
    assert_eq!(store.take_stream(&events), [row(3)]);
    assert!(store.take_stream(&events).is_empty());
    assert!(store.take_stream(&domain).is_empty());
}
