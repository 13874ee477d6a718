//! Which consumers are paused.

use std::sync::Arc;

use async_trait::async_trait;
use letters::pause::{Wish, paused};
use outbox::{Fault, FaultKind, Store, Table, decode_item};

/// The port to the paused consumers.
#[async_trait]
pub trait Paused: Send + Sync {
    /// The wishes of the consumers that are paused, the one paused last at the end.
    ///
    /// # Errors
    /// [`Fault`] when they cannot be read.
    async fn paused(&self) -> Result<Vec<Wish>, Fault>;
}

/// Reads the wishes in the table `Letters`, by its index. There are as many as consumers are paused, mostly none, so an
/// answer is not kept.
pub struct PausedConsumers {
    store: Arc<dyn Store>,
    table: Table,
}

impl PausedConsumers {
    /// Reads this table.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, table: Table) -> Self {
        Self { store, table }
    }
}

impl std::fmt::Debug for PausedConsumers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PausedConsumers")
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Paused for PausedConsumers {
    async fn paused(&self) -> Result<Vec<Wish>, Fault> {
        let query = paused(&self.table);
        let place = self.table.key(query.pk.as_str(), "*");
        let page = self.store.query(&query).await?;
        let wishes = page.items.into_iter().map(|item| decode_item(&place, item));
        wishes
            .collect::<Result<_, _>>()
            .map_err(|error| Fault::new(FaultKind::Unreadable, "dynamodb Query", error))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails by panicking")]

    use outbox::{Item, memory::MemoryStore};
    use serde_json::{Value, json};

    use super::*;

    fn wish(consumer: &str, status: &str, listed: Option<&str>) -> Item {
        let mut row = json!({
            "pk": "unfinished", "sk": format!("wish#{consumer}"), "consumer": consumer, "status": status,
            "since": "2026-01-01T00:00:00.000Z", "reason": "why", "key_owner": "on-call", "version": 1,
        });
        if let Some(listed) = listed {
            row["listed"] = listed.into();
            row["listed_at"] = Value::from(format!("2026-01-01T00:00:00.000Z#{consumer}"));
        }
        row.as_object().cloned().expect("an object")
    }

    #[tokio::test]
    async fn consumers_that_are_paused_are_read_and_resumed_ones_are_not() {
        let (store, table) = (Arc::new(MemoryStore::new()), Table::domain("letters"));
        let rows = [
            wish("analytics", "paused", Some("paused")),
            wish("audit-log", "running", None),
        ];
        store.put_all(&table, &rows).await.expect("written");
        let paused = PausedConsumers::new(store, table).paused().await;
        let paused = paused.expect("read");
        let names: Vec<&str> = paused.iter().map(|wish| wish.consumer.as_str()).collect();
        assert_eq!(names, ["analytics"]);
    }
}
