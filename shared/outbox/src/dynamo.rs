//! The store on DynamoDB.
//!
//! Names of attributes always go through expression attribute names, so no attribute can be a reserved word. Reads are
//! consistent, those by an index excepted, which DynamoDB cannot do. Permissions, on the tables that are used:
//! `GetItem`, `BatchGetItem`, `Query` (on the index too), `Scan` (republish only), `PutItem`, `UpdateItem`, `DeleteItem`,
//! `ConditionCheckItem` (each item of a transaction needs the permission of its own kind), `BatchWriteItem` (relay only).

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_sdk_dynamodb::{
    Client,
    config::{Config, retry::RetryConfig},
    error::SdkError,
    operation::{put_item::PutItemError, transact_write_items::TransactWriteItemsError},
    types::{
        AttributeValue, CancellationReason, ConditionCheck, Delete, KeysAndAttributes, Put,
        PutRequest, TransactWriteItem, Update, WriteRequest,
    },
};
use rust_decimal::Decimal;
use serde_json::Value;

use crate::{
    Clock, CommitError, Condition, Cursor, Fault, FaultKind, Guarded, GuardedPut, Item, Key, Page,
    Prepared, Query, Reason, Scan, SortKey, Store, SystemClock, Table, Write,
    clients::{failed, fault},
    number::{decimal_of, number_of},
    store::attribute,
};

/// Keys in one `BatchGetItem`
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchGetItem.html>, read 2026-11-21).
pub const MAX_BATCH_GET: usize = 100;

/// Items in one `BatchWriteItem`
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html>, read 2026-11-21).
pub const MAX_BATCH_WRITE: usize = 25;

/// How often a batch may come back without a single item done before it counts as failed.
const UNPROCESSED_TRIES: u32 = 6;
/// First pause before what was left over is sent again; doubles.
const UNPROCESSED_BASE: Duration = Duration::from_millis(25);
/// Longest such pause.
const UNPROCESSED_CAP: Duration = Duration::from_millis(800);

/// Above every text that begins with a prefix: Unicode never assigns this character.
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
    /// A store over a client, see [`crate::clients::dynamodb`].
    #[must_use]
    pub fn new(client: Client) -> Self {
        Self {
            client,
            clock: Arc::new(SystemClock),
        }
    }

    /// Another clock for the pauses between batches.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Waits before what a batch left over is sent again.
    async fn pause(&self, operation: &'static str, fruitless: u32) -> Result<(), Fault> {
        if fruitless >= UNPROCESSED_TRIES {
            let why = format!("nothing of the batch was done in {fruitless} tries");
            return Err(Fault::new(FaultKind::Unavailable, operation, why));
        }
        let span = UNPROCESSED_BASE
            .saturating_mul(1 << fruitless.min(16))
            .min(UNPROCESSED_CAP);
        self.clock.sleep(self.clock.jittered(span, 50)).await;
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
        // DynamoDB refuses a key twice in one call.
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
        // One more than asked for tells whether there is a next page: DynamoDB itself says "maybe" after a full one.
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
        // The SDK must not send it again by itself: a lost answer is settled by `Outbox::execute`, which then knows that
        // one was lost.
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
                    // Without a reason per write any of them may have been the one, the mark's too: then it is looked at.
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

    /// A write whose answer was lost is sent again by the SDK and then finds itself: [`Guarded::Ignored`] can therefore
    /// mean "applied by an earlier sending". Either way the row is at least as new as the event.
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
        // DynamoDB refuses a key twice in one call; the last item of a key stands, as if each had been put by itself.
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

/// Placeholders for names and values, and what they stand for.
#[derive(Default)]
struct Expression {
    names: Vec<String>,
    values: Vec<AttributeValue>,
}

impl Expression {
    fn name(&mut self, name: &str) -> String {
        let place = self
            .names
            .iter()
            .position(|known| known == name)
            .unwrap_or_else(|| {
                self.names.push(name.to_owned());
                self.names.len() - 1
            });
        format!("#n{place}")
    }

    fn value(&mut self, value: AttributeValue) -> String {
        self.values.push(value);
        format!(":v{}", self.values.len() - 1)
    }

    fn condition(
        &mut self,
        operation: &'static str,
        key: &Key,
        condition: &Condition,
    ) -> Result<String, Fault> {
        let here = self.name(key.table.partition());
        Ok(match condition {
            Condition::Absent => format!("attribute_not_exists({here})"),
            Condition::Present => format!("attribute_exists({here})"),
            Condition::Equals(wanted) => {
                let mut terms = vec![format!("attribute_exists({here})")];
                for (name, value) in wanted {
                    let value = attribute_of(operation, value)?;
                    terms.push(format!("{} = {}", self.name(name), self.value(value)));
                }
                terms.join(" AND ")
            }
            Condition::OlderThan(version) => {
                let stored = self.name(attribute::VERSION);
                let version = self.value(AttributeValue::N(version.to_string()));
                format!("attribute_not_exists({here}) OR {stored} < {version}")
            }
        })
    }

    fn names(&self) -> Option<HashMap<String, String>> {
        let names: HashMap<String, String> = self
            .names
            .iter()
            .enumerate()
            .map(|(place, name)| (format!("#n{place}"), name.clone()))
            .collect();
        (!names.is_empty()).then_some(names)
    }

    fn values(&self) -> Option<Attributes> {
        let values: Attributes = self
            .values
            .iter()
            .enumerate()
            .map(|(place, value)| (format!(":v{place}"), value.clone()))
            .collect();
        (!values.is_empty()).then_some(values)
    }
}

/// The key condition of a query; `None` where nothing can match.
fn key_condition(query: &Query, expression: &mut Expression) -> Result<Option<String>, Fault> {
    let (partition, sort) = match query.index {
        Some(index) => (index.partition, Some(index.sort)),
        None => (query.table.partition(), query.table.sort()),
    };
    let partition = format!(
        "{} = {}",
        expression.name(partition),
        expression.value(AttributeValue::S(query.pk.clone()))
    );
    if query.from.is_none() && query.prefix.is_none() {
        return Ok(Some(partition));
    }
    let Some(sort) = sort else {
        let why = "a range over a table without sort key";
        return Err(Fault::new(FaultKind::Rejected, QUERY, why));
    };
    let sort = expression.name(sort);
    let range = match (&query.from, &query.prefix) {
        (None, None) => return Ok(Some(partition)),
        (Some(from), None) => {
            let comparison = if query.descending { "<=" } else { ">=" };
            format!("{sort} {comparison} {}", expression.value(sort_value(from)))
        }
        // `begins_with` refuses an empty text, which every text begins with.
        (None, Some(prefix)) if prefix.is_empty() => return Ok(Some(partition)),
        (None, Some(prefix)) => {
            let prefix = expression.value(AttributeValue::S(prefix.clone()));
            format!("begins_with({sort}, {prefix})")
        }
        (Some(SortKey::Number(_)), Some(_)) => {
            let why = "a number as the beginning of a range of texts";
            return Err(Fault::new(FaultKind::Rejected, QUERY, why));
        }
        // DynamoDB takes one condition on the sort key: a prefix from somewhere on is a range.
        (Some(SortKey::Text(from)), Some(prefix)) => {
            let above = format!("{prefix}{ABOVE}");
            let (low, high) = if query.descending {
                (prefix, from.min(&above))
            } else {
                (from.max(prefix), &above)
            };
            if low > high {
                return Ok(None);
            }
            let low = expression.value(AttributeValue::S(low.clone()));
            let high = expression.value(AttributeValue::S(high.clone()));
            format!("{sort} BETWEEN {low} AND {high}")
        }
    };
    Ok(Some(format!("{partition} AND {range}")))
}

fn transact_item(write: &Write) -> Result<TransactWriteItem, Fault> {
    let mut expression = Expression::default();
    let table = write.key().table.name();
    let builder = TransactWriteItem::builder();
    Ok(match write {
        Write::Put {
            key,
            item,
            condition,
        } => {
            let condition = expression.condition(COMMIT, key, condition)?;
            let put = Put::builder()
                .table_name(table)
                .set_item(Some(attributes(COMMIT, item)?))
                .condition_expression(condition)
                .set_expression_attribute_names(expression.names())
                .set_expression_attribute_values(expression.values());
            builder.put(put.build().map_err(rejected(COMMIT))?)
        }
        Write::Add { key, amounts } => {
            let mut terms = Vec::with_capacity(amounts.len());
            for (name, amount) in amounts {
                let amount = AttributeValue::N(amount.normalize().to_string());
                terms.push(format!(
                    "{} {}",
                    expression.name(name),
                    expression.value(amount)
                ));
            }
            let update = Update::builder()
                .table_name(table)
                .set_key(Some(key_attributes(COMMIT, key)?))
                .update_expression(format!("ADD {}", terms.join(", ")))
                .set_expression_attribute_names(expression.names())
                .set_expression_attribute_values(expression.values());
            builder.update(update.build().map_err(rejected(COMMIT))?)
        }
        Write::Check { key, condition } => {
            let condition = expression.condition(COMMIT, key, condition)?;
            let check = ConditionCheck::builder()
                .table_name(table)
                .set_key(Some(key_attributes(COMMIT, key)?))
                .condition_expression(condition)
                .set_expression_attribute_names(expression.names())
                .set_expression_attribute_values(expression.values());
            builder.condition_check(check.build().map_err(rejected(COMMIT))?)
        }
        Write::Delete { key, condition } => {
            let condition = expression.condition(COMMIT, key, condition)?;
            let delete = Delete::builder()
                .table_name(table)
                .set_key(Some(key_attributes(COMMIT, key)?))
                .condition_expression(condition)
                .set_expression_attribute_names(expression.names())
                .set_expression_attribute_values(expression.values());
            builder.delete(delete.build().map_err(rejected(COMMIT))?)
        }
    }
    .build())
}

/// The codes stand in the description of `TransactWriteItems`
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_TransactWriteItems.html>, read 2026-11-21).
fn reason_of(reason: &CancellationReason) -> Reason {
    match reason.code() {
        None | Some("None") => Reason::None,
        Some("ConditionalCheckFailed") => Reason::ConditionFailed,
        Some("TransactionConflict") => Reason::Conflict,
        Some("ThrottlingError" | "ProvisionedThroughputExceeded") => Reason::Throttled,
        Some(code) => Reason::Other(format!(
            "{code}: {}",
            reason.message().unwrap_or("no message")
        )),
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

fn sort_value(key: &SortKey) -> AttributeValue {
    match key {
        SortKey::Number(number) => AttributeValue::N(number.to_string()),
        SortKey::Text(text) => AttributeValue::S(text.clone()),
    }
}

fn key_attributes(operation: &'static str, key: &Key) -> Result<Attributes, Fault> {
    attributes(operation, &key.attributes())
}

fn attributes(operation: &'static str, item: &Item) -> Result<Attributes, Fault> {
    item.iter()
        .map(|(name, value)| Ok((name.clone(), attribute_of(operation, value)?)))
        .collect()
}

fn attribute_of(operation: &'static str, value: &Value) -> Result<AttributeValue, Fault> {
    Ok(match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(flag) => AttributeValue::Bool(*flag),
        Value::Number(number) => {
            // What could not be read back is refused here.
            let decimal = decimal_of(number).ok_or_else(|| {
                let why = format!("number {number} has more digits than an item carries");
                Fault::new(FaultKind::Rejected, operation, why)
            })?;
            AttributeValue::N(decimal.normalize().to_string())
        }
        Value::String(text) => AttributeValue::S(text.clone()),
        Value::Array(values) => AttributeValue::L(
            values
                .iter()
                .map(|value| attribute_of(operation, value))
                .collect::<Result<_, _>>()?,
        ),
        Value::Object(map) => AttributeValue::M(attributes(operation, map)?),
    })
}

fn item_of(operation: &'static str, attributes: Attributes) -> Result<Item, Fault> {
    attributes
        .into_iter()
        .map(|(name, value)| {
            let value = value_of(value)
                .map_err(|why| unreadable(operation, format!("attribute {name}: {why}")))?;
            Ok((name, value))
        })
        .collect()
}

fn items_of(operation: &'static str, items: Option<Vec<Attributes>>) -> Result<Vec<Item>, Fault> {
    items
        .unwrap_or_default()
        .into_iter()
        .map(|item| item_of(operation, item))
        .collect()
}

fn value_of(value: AttributeValue) -> Result<Value, String> {
    Ok(match value {
        AttributeValue::Null(_) => Value::Null,
        AttributeValue::Bool(flag) => Value::Bool(flag),
        AttributeValue::S(text) => Value::String(text),
        AttributeValue::N(text) => Value::Number(
            Decimal::from_str_exact(&text)
                .or_else(|_| Decimal::from_scientific(&text))
                .ok()
                .and_then(number_of)
                .ok_or_else(|| format!("number {text} has more digits than JSON carries"))?,
        ),
        AttributeValue::L(values) => {
            Value::Array(values.into_iter().map(value_of).collect::<Result<_, _>>()?)
        }
        AttributeValue::M(map) => Value::Object(
            map.into_iter()
                .map(|(name, value)| Ok((name, value_of(value)?)))
                .collect::<Result<_, String>>()?,
        ),
        other => return Err(format!("a type that is never written: {}", kind(&other))),
    })
}

/// The attribute's type; never its content.
fn kind(value: &AttributeValue) -> &'static str {
    match value {
        AttributeValue::B(_) => "binary",
        AttributeValue::Bs(_) | AttributeValue::Ns(_) | AttributeValue::Ss(_) => "set",
        _ => "unknown",
    }
}

fn start(operation: &'static str, after: Option<&Cursor>) -> Result<Option<Attributes>, Fault> {
    after
        .map(|Cursor(item)| attributes(operation, item))
        .transpose()
}

fn cursor(operation: &'static str, last: Option<Attributes>) -> Result<Option<Cursor>, Fault> {
    last.filter(|key| !key.is_empty())
        .map(|key| item_of(operation, key).map(Cursor))
        .transpose()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    fn read(text: &str) -> Result<Value, String> {
        value_of(AttributeValue::N(text.to_owned()))
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-999_999_999_999_999_i64..=999_999_999_999_999, 0_u32..=9)
                .prop_map(|(units, scale)| number_of(Decimal::new(units, scale))
                    .map_or(Value::Null, Value::Number)),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::btree_map("[a-z_]{1,8}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_survives_the_way_into_an_item_and_back(value in json_value()) {
            let attribute = attribute_of(PUT, &value).expect("converts");
            prop_assert_eq!(value_of(attribute).expect("reads back"), value);
        }

        #[test]
        fn no_number_text_makes_the_reader_panic(text in ".{0,40}") {
            if let Ok(value) = read(&text) {
                prop_assert!(value.is_number());
            }
        }
    }

    #[test]
    fn numbers_read_by_value_however_they_are_written() {
        assert_eq!(read("0.000000"), Ok(json!(0)));
        assert_eq!(read("100.00"), Ok(json!(100)));
        assert_eq!(read("1E+2"), Ok(json!(100)));
        assert_eq!(read("-0.10"), Ok(json!(-0.1)));
        assert_eq!(read("999999999.999999"), Ok(json!(999_999_999.999_999)));
    }

    #[test]
    fn a_number_that_json_would_bend_is_an_error_that_names_it() {
        let error = read("12345678901234567.123456").expect_err("too long");
        assert!(error.contains("12345678901234567.123456"), "{error}");
        assert!(read("1e60").is_err());
        assert!(attribute_of(PUT, &json!(1e60)).is_err());
    }

    #[test]
    fn sets_and_binaries_are_errors_without_their_content() {
        let error = value_of(AttributeValue::Ss(vec!["secret".into()])).expect_err("a set");
        assert!(
            error.contains("set") && !error.contains("secret"),
            "{error}"
        );
    }
}
