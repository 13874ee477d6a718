//! How many unresolved dead letters each consumer has.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use async_trait::async_trait;
use events::Timestamp;
use letters::unresolved;
use outbox::{Fault, Store, Table};

/// The most dead letters that are counted, of all consumers together.
const COUNTED_AT_MOST: usize = 10_000;

/// The dead letters of one page. DynamoDB returns at most 1 MB, which is more of them than this.
const PAGE: u32 = 250;

/// The port to the number of dead letters.
#[async_trait]
pub trait Letters: Send + Sync {
    /// The number of unresolved dead letters of each consumer that has some.
    ///
    /// # Errors
    /// [`Fault`] when they cannot be read.
    async fn open(&self, now: Timestamp) -> Result<BTreeMap<String, u64>, Fault>;
}

/// Counts the rows of the table `Letters`. An answer is used again for a while: the page asks every few seconds.
pub struct CountedLetters {
    store: Arc<dyn Store>,
    table: Table,
    good_for: Duration,
    last: Mutex<Option<(Timestamp, BTreeMap<String, u64>)>>,
}

impl CountedLetters {
    /// Counts the rows of this table, and uses an answer for so long.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, table: Table, good_for: Duration) -> Self {
        Self {
            store,
            table,
            good_for,
            last: Mutex::default(),
        }
    }

    async fn count(&self) -> Result<BTreeMap<String, u64>, Fault> {
        let (mut open, mut counted, mut after) = (BTreeMap::new(), 0, None);
        loop {
            let page = self
                .store
                .query(&unresolved(&self.table, PAGE, after))
                .await?;
            counted += page.items.len();
            for letter in page.items {
                let consumer = letter.get("consumer").and_then(|name| name.as_str());
                let number: &mut u64 = open
                    .entry(consumer.unwrap_or_default().to_owned())
                    .or_default();
                *number = number.saturating_add(1);
            }
            after = page.next;
            if after.is_none() || counted >= COUNTED_AT_MOST {
                return Ok(open);
            }
        }
    }
}

impl std::fmt::Debug for CountedLetters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("CountedLetters")
            .field("table", &self.table)
            .field("good_for", &self.good_for)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Letters for CountedLetters {
    async fn open(&self, now: Timestamp) -> Result<BTreeMap<String, u64>, Fault> {
        let known = {
            let last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
            last.clone()
                .filter(|(at, _)| now.since(*at) < self.good_for)
        };
        if let Some((_, open)) = known {
            return Ok(open);
        }
        let open = self.count().await?;
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        *last = Some((now, open.clone()));
        Ok(open)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used, reason = "a test fails by panicking")]

    use outbox::{Item, memory::MemoryStore};
    use serde_json::json;

    use super::*;

    fn letter(number: usize, consumer: &str, listed: &str) -> Item {
        let row = json!({
            "pk": format!("letter#{number}"), "sk": "letter", "consumer": consumer,
            "listed": listed, "listed_at": format!("2026-01-01T00:00:00.000Z#{number}"),
        });
        row.as_object().cloned().expect("an object")
    }

    #[tokio::test]
    async fn unresolved_letters_are_counted_by_consumer_and_for_a_while() {
        let (store, table) = (Arc::new(MemoryStore::new()), Table::domain("letters"));
        let rows: Vec<Item> = (0..300)
            .map(|number| letter(number, "analytics", "unresolved"))
            .chain([
                letter(300, "audit-log", "unresolved"),
                letter(301, "audit-log", "resolved"),
            ])
            .collect();
        store.put_all(&table, &rows).await.expect("written");
        let good_for = Duration::from_secs(10);
        let letters = CountedLetters::new(store.clone(), table.clone(), good_for);
        let wanted = BTreeMap::from([("analytics".to_owned(), 300), ("audit-log".to_owned(), 1)]);
        let begin = Timestamp::EPOCH;
        assert_eq!(letters.open(begin).await.expect("read"), wanted);
        let more = [letter(302, "audit-log", "unresolved")];
        store.put_all(&table, &more).await.expect("written");
        let soon = begin.plus(Duration::from_secs(9));
        assert_eq!(letters.open(soon).await.expect("read"), wanted);
        let later = letters.open(begin.plus(good_for)).await.expect("read");
        assert_eq!(later["audit-log"], 2);
    }
}
