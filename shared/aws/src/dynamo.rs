//! The store on DynamoDB.
//!
//! Attribute names always go through expression attribute names, so they never collide with reserved words. Reads are
//! consistent, except reads by an index, for which DynamoDB offers no consistent reads. Permissions, on the tables in
//! use: `GetItem`, `BatchGetItem`, `Query` (on the index too), `Scan` (republish only), `PutItem`, `UpdateItem`,
//! `DeleteItem`, `ConditionCheckItem` (each item of a transaction needs the permission of its own action),
//! `BatchWriteItem` (relay only).

mod expression;
mod items;

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_sdk_dynamodb::{
    Client,
    config::{Config, retry::RetryConfig},
    error::SdkError,
    operation::{put_item::PutItemError, transact_write_items::TransactWriteItemsError},
    types::{AttributeValue, KeysAndAttributes, PutRequest, WriteRequest},
};
use outbox::{
    Clock, CommitError, Condition, Cursor, Fault, FaultKind, Guarded, GuardedPut, Item, Key, Page,
    Prepared, Query, Reason, Scan, Store, SystemClock, Table, attribute,
};
use serde_json::Value;

use crate::clients::{failed, fault};

use self::{
    expression::{Expression, key_condition, reason_of, transact_item},
    items::{attributes, cursor, item_of, items_of, key_attributes, start},
};

/// Keys in one `BatchGetItem`
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>, read 2026-11-21).
pub const MAX_BATCH_GET: usize = 100;

/// Items in one `BatchWriteItem`
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>, read 2026-11-21).
pub const MAX_BATCH_WRITE: usize = 25;

/// The number of tries in a row without a single processed item after which a batch fails.
const UNPROCESSED_TRIES: u32 = 6;
/// The first pause before the unprocessed items are sent again. It doubles each time.
const UNPROCESSED_BASE: Duration = Duration::from_millis(25);
/// The longest such pause.
const UNPROCESSED_CAP: Duration = Duration::from_millis(800);

/// Sorts after every text with a given prefix: Unicode never assigns this character.
const ABOVE: char = '\u{10FFFF}';

const GET: &str = "dynamodb GetItem";
const BATCH_GET: &str = "dynamodb BatchGetItem";
const QUERY: &str = "dynamodb Query";
const SCAN: &str = "dynamodb Scan";
const COMMIT: &str = "dynamodb TransactWriteItems";
const PUT: &str = "dynamodb PutItem";
const BATCH_WRITE: &str = "dynamodb BatchWriteItem";

type Attributes = HashMap<String, AttributeValue>;

/// A [`Store`] on DynamoDB.
#[derive(Clone)]
pub struct DynamoStore {
    client: Client,
    clock: Arc<dyn Clock>,
}

impl DynamoStore {
    /// A store with this client, see [`crate::dynamodb`].
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            clock: Arc::new(SystemClock),
        }
    }

    /// Sets the clock for the pauses between batches.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Waits before the unprocessed items of a batch are sent again.
    async fn pause(&self, operation: &'static str, fruitless: u32) -> Result<(), Fault> {
        if fruitless >= UNPROCESSED_TRIES {
            let why = format!("no item of the batch was processed in {fruitless} tries");
            return Err(Fault::new(FaultKind::Unavailable, operation, why));
        }
        let span = UNPROCESSED_BASE
            .saturating_mul(1 << fruitless.min(16))
            .min(UNPROCESSED_CAP);
        self.clock.sleep_jittered(span, 50).await;
        Ok(())
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the adapter that asks again for what came back unprocessed"
    )]
    async fn get_batch(&self, keys: &[Key], found: &mut HashMap<Key, Item>) -> Result<(), Fault> {
        let mut tables: HashMap<&str, &Table> = HashMap::new();
        let mut wanted: HashMap<String, Vec<Attributes>> = HashMap::new();
        for key in keys {
            tables.insert(key.table.name(), &key.table);
            wanted
                .entry(key.table.name().to_owned())
                .or_default()
                .push(key_attributes(BATCH_GET, key)?);
        }
        let mut request = HashMap::new();
        for (table, keys) in wanted {
            let keys = KeysAndAttributes::builder()
                .set_keys(Some(keys))
                .consistent_read(true)
                .build()
                .map_err(rejected(BATCH_GET))?;
            request.insert(table, keys);
        }
        let mut fruitless = 0;
        loop {
            let answer = self
                .client
                .batch_get_item()
                .set_request_items(Some(request))
                .send()
                .await
                .map_err(fault(BATCH_GET))?;
            let before = found.len();
            for (name, items) in answer.responses.unwrap_or_default() {
                let table = tables
                    .get(name.as_str())
                    .ok_or_else(|| unreadable(BATCH_GET, format!("items of table {name}")))?;
                for item in items {
                    let item = item_of(BATCH_GET, item)?;
                    let key = Key::of(table, &item).ok_or_else(|| {
                        unreadable(BATCH_GET, format!("an item of {name} without its key"))
                    })?;
                    found.insert(key, item);
                }
            }
            request = answer.unprocessed_keys.unwrap_or_default();
            if request.values().all(|keys| keys.keys.is_empty()) {
                return Ok(());
            }
            fruitless = if found.len() > before {
                0
            } else {
                fruitless + 1
            };
            self.pause(BATCH_GET, fruitless).await?;
        }
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the adapter that sends again what came back unprocessed"
    )]
    async fn put_batch(&self, table: &Table, mut batch: Vec<WriteRequest>) -> Result<(), Fault> {
        let mut fruitless = 0;
        loop {
            let before = batch.len();
            let answer = self
                .client
                .batch_write_item()
                .request_items(table.name(), batch)
                .send()
                .await
                .map_err(fault(BATCH_WRITE))?;
            batch = answer
                .unprocessed_items
                .unwrap_or_default()
                .remove(table.name())
                .unwrap_or_default();
            if batch.is_empty() {
                return Ok(());
            }
            fruitless = if batch.len() < before {
                0
            } else {
                fruitless + 1
            };
            self.pause(BATCH_WRITE, fruitless).await?;
        }
    }
}

impl std::fmt::Debug for DynamoStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DynamoStore").finish_non_exhaustive()
    }
}

#[async_trait]
impl Store for DynamoStore {
    async fn get(&self, key: &Key) -> Result<Option<Item>, Fault> {
        let answer = self
            .client
            .get_item()
            .table_name(key.table.name())
            .set_key(Some(key_attributes(GET, key)?))
            .consistent_read(true)
            .send()
            .await
            .map_err(fault(GET))?;
        answer.item.map(|item| item_of(GET, item)).transpose()
    }

    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, Fault> {
        // DynamoDB refuses a key that occurs twice in one call.
        let mut distinct: Vec<Key> = keys.to_vec();
        distinct.sort();
        distinct.dedup();
        let mut found = HashMap::new();
        for chunk in distinct.chunks(MAX_BATCH_GET) {
            self.get_batch(chunk, &mut found).await?;
        }
        Ok(keys.iter().map(|key| found.get(key).cloned()).collect())
    }

    async fn query(&self, query: &Query) -> Result<Page, Fault> {
        let mut expression = Expression::default();
        let Some(condition) = key_condition(query, &mut expression)? else {
            return Ok(Page {
                items: Vec::new(),
                next: None,
            });
        };
        // One more than requested shows whether there is a next page. After a full page DynamoDB itself only says
        // "maybe".
        let limit = query.limit.clamp(1, 10_000);
        let answer = self
            .client
            .query()
            .table_name(query.table.name())
            .set_index_name(query.index.map(|index| index.name.to_owned()))
            .consistent_read(query.index.is_none())
            .key_condition_expression(condition)
            .set_expression_attribute_names(expression.names())
            .set_expression_attribute_values(expression.values())
            .scan_index_forward(!query.descending)
            .limit(i32::try_from(limit + 1).unwrap_or(i32::MAX))
            .set_exclusive_start_key(start(QUERY, query.after.as_ref())?)
            .send()
            .await
            .map_err(fault(QUERY))?;
        let mut items = items_of(QUERY, answer.items)?;
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let next = if items.len() > limit {
            items.truncate(limit);
            items
                .last()
                .map(|item| Cursor::at(&query.table, query.index, item))
        } else {
            cursor(QUERY, answer.last_evaluated_key)?
        };
        Ok(Page { items, next })
    }

    async fn scan(&self, scan: &Scan) -> Result<Page, Fault> {
        let mut expression = Expression::default();
        let filter = scan
            .without
            .map(|name| format!("attribute_not_exists({})", expression.name(name)));
        let answer = self
            .client
            .scan()
            .table_name(scan.table.name())
            .consistent_read(true)
            .set_filter_expression(filter)
            .set_expression_attribute_names(expression.names())
            .limit(i32::try_from(scan.limit.max(1)).unwrap_or(i32::MAX))
            .set_exclusive_start_key(start(SCAN, scan.after.as_ref())?)
            .send()
            .await
            .map_err(fault(SCAN))?;
        Ok(Page {
            items: items_of(SCAN, answer.items)?,
            next: cursor(SCAN, answer.last_evaluated_key)?,
        })
    }

    #[expect(
        clippy::disallowed_methods,
        reason = "the adapter that commits transactions, which have their mark"
    )]
    async fn commit(&self, prepared: &Prepared) -> Result<(), CommitError> {
        let items = prepared
            .writes
            .iter()
            .map(transact_item)
            .collect::<Result<Vec<_>, _>>()
            .map_err(CommitError::NotWritten)?;
        // The SDK must not send it again by itself. `Outbox::execute` resolves a lost answer, and must know that one
        // was lost.
        let once = Config::builder().retry_config(RetryConfig::disabled());
        let answer = self
            .client
            .transact_write_items()
            .client_request_token(&prepared.token)
            .set_transact_items(Some(items))
            .customize()
            .config_override(once)
            .send()
            .await;
        let error = match answer {
            Ok(_) => return Ok(()),
            Err(error) => error,
        };
        if let Some(TransactWriteItemsError::TransactionCanceledException(cancelled)) =
            error.as_service_error()
        {
            let reasons = cancelled.cancellation_reasons();
            return Err(CommitError::Cancelled(
                if reasons.len() == prepared.writes.len() {
                    reasons.iter().map(reason_of).collect()
                } else {
                    // Without a reason per write, any write may have failed, the mark's too. The caller then reads the
                    // mark.
                    vec![Reason::ConditionFailed; prepared.writes.len()]
                },
            ));
        }
        let failed = failed(COMMIT, error);
        Err(if failed.may_have_happened {
            CommitError::Unknown(failed.fault)
        } else {
            CommitError::NotWritten(failed.fault)
        })
    }

    /// After a lost answer the SDK sends the write again, and the second attempt finds its own row.
    /// [`Guarded::Ignored`] can therefore mean "applied by an earlier attempt". In both cases the row is at least as
    /// new as the event.
    async fn put_guarded(&self, put: &GuardedPut) -> Result<Guarded, Fault> {
        let mut item = put.item.clone();
        item.insert(attribute::VERSION.to_owned(), Value::from(put.version));
        let mut expression = Expression::default();
        let condition = expression.condition(PUT, &put.key, &Condition::OlderThan(put.version))?;
        let answer = self
            .client
            .put_item()
            .table_name(put.key.table.name())
            .set_item(Some(attributes(PUT, &item)?))
            .condition_expression(condition)
            .set_expression_attribute_names(expression.names())
            .set_expression_attribute_values(expression.values())
            .send()
            .await;
        match answer {
            Ok(_) => Ok(Guarded::Applied),
            Err(SdkError::ServiceError(service))
                if matches!(
                    service.err(),
                    PutItemError::ConditionalCheckFailedException(_)
                ) =>
            {
                Ok(Guarded::Ignored)
            }
            Err(error) => Err(failed(PUT, error).fault),
        }
    }

    async fn put_all(&self, table: &Table, items: &[Item]) -> Result<(), Fault> {
        // DynamoDB refuses a key that occurs twice in one call. The last item of a key wins, as if each had been put by
        // itself.
        let mut places: HashMap<Key, usize> = HashMap::new();
        let mut requests: Vec<WriteRequest> = Vec::with_capacity(items.len());
        for item in items {
            let key = Key::of(table, item).ok_or_else(|| {
                let why = format!("an item of {} lacks its key", table.name());
                Fault::new(FaultKind::Rejected, BATCH_WRITE, why)
            })?;
            let put = PutRequest::builder()
                .set_item(Some(attributes(BATCH_WRITE, item)?))
                .build()
                .map_err(rejected(BATCH_WRITE))?;
            let request = WriteRequest::builder().put_request(put).build();
            match places.get(&key) {
                Some(place) => requests[*place] = request,
                None => {
                    places.insert(key, requests.len());
                    requests.push(request);
                }
            }
        }
        for chunk in requests.chunks(MAX_BATCH_WRITE) {
            self.put_batch(table, chunk.to_vec()).await?;
        }
        Ok(())
    }
}

fn rejected<E: std::error::Error + Send + Sync + 'static>(
    operation: &'static str,
) -> impl FnOnce(E) -> Fault {
    move |error| Fault::new(FaultKind::Rejected, operation, error)
}

fn unreadable(operation: &'static str, what: String) -> Fault {
    Fault::new(FaultKind::Unreadable, operation, what)
}
