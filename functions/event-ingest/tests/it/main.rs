//! Tests events from other systems, over HTTP and by invocation, over the in-memory store.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod costs;
mod http;
mod identity;
mod invoked;

use std::sync::Arc;

use event_ingest::{ingest::Ingest, router};
use outbox::{Outbox, Table};
use serde_json::{Value, json};
use testkit::service::Service;

fn ingest(outbox: &Outbox) -> Arc<Ingest> {
    Arc::new(Ingest::new(outbox.clone(), Table::domain("ingest")))
}

async fn service() -> Service {
    Service::start(|outbox, keys| router::routes().router(ingest(outbox), keys)).await
}

/// A stock count, as an envelope with only the required fields.
fn counted(sku: &str, quantity: u32) -> Value {
    json!({
        "event_type": "erp.stock_counted", "event_version": "v1", "producer": "erp.cluj",
        "payload": { "sku": sku, "counted_quantity": quantity, "counted_at": "2026-11-28T20:00:00.000Z" },
    })
}

/// An envelope with an id.
fn with_id(mut event: Value, id: &str) -> Value {
    event["event_id"] = id.into();
    event
}

const ID: &str = "550e8400-e29b-41d4-a716-446655440000";
