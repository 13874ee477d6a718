//! A small DynamoDB of fixed latency on the loopback address, with the bus's and the queues' single calls beside it: what
//! benchmarks and cost assertions count on.
//!
//! It keeps items, so conditions hold or fail as they would, and counts calls and capacity units as AWS bills them. It
//! knows the expressions that this project sends and refuses every other one, so that nothing is answered by guess. It is
//! no emulator: no validation, no streams, an index only where a test asks for one, and that follows at once; everything
//! else is tested on the local AWS.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode, body::Incoming};
use outbox::{Index, Table};
use rust_decimal::Decimal;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use crate::loopback::{Loopback, Reply};

/// Bytes that one write unit covers
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>, read 2026-11-21).
const WRITE_UNIT_BYTES: usize = 1024;
/// Bytes that one consistent read unit covers (same page).
const READ_UNIT_BYTES: usize = 4096;
/// Bytes that count as one event on the bus (<https://aws.amazon.com/eventbridge/pricing/>, read 2026-11-21).
const EVENT_CHUNK_BYTES: usize = 64 * 1024;

type Item = Map<String, Value>;

/// What was called and what it costs.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls by operation, such as `TransactWriteItems`.
    pub calls: BTreeMap<String, u64>,
    /// Write units. A failed condition and a cancelled transaction cost what the write would have cost.
    pub write_units: u64,
    /// Read units of consistent reads.
    pub read_units: u64,
    /// Write units of indexes. An index follows a commit, it is not part of it: a transaction's item too is written there once.
    pub index_write_units: u64,
    /// Read units of an index, in halves: such a read is eventually consistent and costs half.
    pub index_half_read_units: u64,
    /// Events put on the bus, in chunks of 64 KB each.
    pub event_chunks: u64,
}

impl Counts {
    /// All calls.
    #[must_use]
    pub fn all_calls(&self) -> u64 {
        self.calls.values().sum()
    }

    /// Calls of one operation.
    #[must_use]
    pub fn of(&self, operation: &str) -> u64 {
        self.calls.get(operation).copied().unwrap_or(0)
    }
}

/// A refusal that is not about content, for the next call of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A transaction is cancelled because another has its last item in hand.
    Conflict,
    /// The call takes effect, but its answer is a server's error.
    AnswerLost,
    /// The call is throttled, without effect.
    Throttled,
}

#[derive(Default)]
struct State {
    keys: BTreeMap<String, (String, Option<String>)>,
    indexes: Vec<(String, Index)>,
    items: BTreeMap<(String, String), Item>,
    tokens: BTreeSet<String>,
    refusals: VecDeque<(String, Refusal)>,
    counts: Counts,
}

/// The stub; it ends when this is dropped.
pub struct DynamoStub {
    server: Loopback,
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for DynamoStub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DynamoStub")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

struct Refused(StatusCode, &'static str, Value);

impl DynamoStub {
    /// Starts it with these tables, every answer after `latency`, its thread on `core` if one is given.
    ///
    /// # Errors
    /// When no port or thread is to be had.
    pub fn start<'a>(
        tables: impl IntoIterator<Item = &'a Table>,
        latency: Duration,
        core: Option<usize>,
    ) -> io::Result<Self> {
        let keys = tables.into_iter().map(|table| {
            let sort = table.sort().map(str::to_owned);
            (
                table.name().to_owned(),
                (table.partition().to_owned(), sort),
            )
        });
        let state = Arc::new(Mutex::new(State {
            keys: keys.collect(),
            ..State::default()
        }));
        let own = Arc::clone(&state);
        let server = Loopback::serve("dynamo-stub", core, move |request| {
            let state = Arc::clone(&own);
            async move { answer(&state, latency, request).await }
        })?;
        Ok(Self { server, state })
    }

    /// What stands in `AWS_ENDPOINT_URL`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// What a program needs in its environment to call this and nothing else.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", self.endpoint()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ]
    }

    /// The counts since the last time they were taken.
    #[must_use]
    pub fn take_counts(&self) -> Counts {
        std::mem::take(&mut self.state().counts)
    }

    /// Makes the next call of an operation that has no refusal yet fail like this; more queue up.
    pub fn refuse(&self, operation: &str, refusal: Refusal) {
        self.state()
            .refusals
            .push_back((operation.to_owned(), refusal));
    }

    /// Gives a table an index over all attributes, from now on.
    pub fn index(&self, table: &Table, index: Index) {
        self.state().indexes.push((table.name().to_owned(), index));
    }

    /// How many items a table holds.
    #[must_use]
    pub fn items(&self, table: &Table) -> usize {
        let state = self.state();
        let of_table = state.items.keys().filter(|(name, _)| name == table.name());
        of_table.count()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(state: &Mutex<State>, latency: Duration, request: Request<Incoming>) -> Reply {
    let operation = request
        .headers()
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok())
        .and_then(|target| target.rsplit_once('.'))
        .map(|(_, operation)| operation.to_owned())
        .unwrap_or_default();
    let body = match request.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            return reply(
                StatusCode::BAD_REQUEST,
                &json!({"message": error.to_string()}),
            );
        }
    };
    let (status, answer) = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        *state.counts.calls.entry(operation.clone()).or_default() += 1;
        let refusal = state
            .refusals
            .iter()
            .position(|(wanted, _)| *wanted == operation)
            .and_then(|place| state.refusals.remove(place))
            .map(|(_, refusal)| refusal);
        match serde_json::from_slice::<Value>(&body) {
            Ok(request) => match state.call(&operation, &request, refusal) {
                Ok(answer) => (StatusCode::OK, answer),
                Err(Refused(status, code, mut answer)) => {
                    answer["__type"] = format!("com.amazonaws.stub#{code}").into();
                    (status, answer)
                }
            },
            Err(error) => (
                StatusCode::BAD_REQUEST,
                json!({"__type": "com.amazonaws.stub#SerializationException", "message": error.to_string()}),
            ),
        }
    };
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    reply(status, &answer)
}

fn reply(status: StatusCode, answer: &Value) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(answer.to_string())));
    *reply.status_mut() = status;
    reply.headers_mut().insert(
        "content-type",
        hyper::header::HeaderValue::from_static("application/x-amz-json-1.0"),
    );
    reply
}

impl State {
    fn call(
        &mut self,
        operation: &str,
        request: &Value,
        refusal: Option<Refusal>,
    ) -> Result<Value, Refused> {
        if refusal == Some(Refusal::Throttled) {
            return Err(Refused(
                StatusCode::BAD_REQUEST,
                "ThrottlingException",
                json!({"message": "slow down"}),
            ));
        }
        let answer = match operation {
            "TransactWriteItems" => self.transact(request, refusal == Some(Refusal::Conflict)),
            "PutItem" => self.single(request, "Put"),
            "UpdateItem" => self.single(request, "Update"),
            "BatchWriteItem" => self.batch_write(request),
            "GetItem" => self.get(request),
            "BatchGetItem" => self.batch_get(request),
            "Query" => self.query(request),
            "Scan" => self.scan(request),
            "PutEvents" => Ok(self.put_events(request)),
            "SendMessage" => Ok(json!({"MessageId": Uuid::new_v4().to_string()})),
            "ChangeMessageVisibility" | "DeleteMessage" => Ok(json!({})),
            _ => Err(invalid(&format!("the stub does not know {operation}"))),
        }?;
        if refusal == Some(Refusal::AnswerLost) {
            return Err(Refused(
                StatusCode::INTERNAL_SERVER_ERROR,
                "InternalServerError",
                json!({"message": "the answer is lost"}),
            ));
        }
        Ok(answer)
    }

    /// A table's name and an item's key in it, as one text that sorts by partition and then by sort key.
    fn place(&self, table: &Value, item: &Item) -> Result<(String, String), Refused> {
        let name = text(table)?;
        let (partition, sort) = self
            .keys
            .get(name)
            .ok_or_else(|| invalid(&format!("no table {name}")))?;
        let part = |attribute: &str| match item.get(attribute) {
            Some(value) => match (value["S"].as_str(), value["N"].as_str()) {
                (Some(text), _) => Ok(text.to_owned()),
                (None, Some(number)) => Ok(format!("{number:0>20}")),
                (None, None) => Err(invalid(&format!(
                    "key {attribute} is neither text nor number"
                ))),
            },
            None => Err(invalid(&format!("key {attribute} is missing"))),
        };
        let mut key = part(partition)?;
        key.push('\u{0}');
        if let Some(sort) = sort {
            key.push_str(&part(sort)?);
        }
        Ok((name.to_owned(), key))
    }

    /// What a write would leave behind, whether its condition holds, and the units of one plain write of it.
    fn plan(&self, kind: &str, write: &Value) -> Result<Plan, Refused> {
        let key = object(&write[if kind == "Put" { "Item" } else { "Key" }])?;
        let place = self.place(&write["TableName"], key)?;
        let before = self.items.get(&place);
        let holds = match write["ConditionExpression"].as_str() {
            Some(condition) => holds(condition, write, before)?,
            None => true,
        };
        let after = match kind {
            "Put" => Some(key.clone()),
            "Update" => Some(added(write, key, before)?),
            "ConditionCheck" => before.cloned(),
            "Delete" => None,
            _ => return Err(invalid(&format!("the stub does not know the write {kind}"))),
        };
        // Of an item before and after a write, the larger one counts.
        let bytes = after.as_ref().map_or(0, size).max(before.map_or(0, size));
        Ok(Plan {
            place,
            after: (kind != "ConditionCheck").then_some(after),
            holds,
            units: units(bytes, WRITE_UNIT_BYTES),
        })
    }

    fn carry_out(&mut self, plan: Plan) {
        let Some(after) = plan.after else {
            return;
        };
        let (table, before) = (&plan.place.0, self.items.get(&plan.place));
        let indexes = self.indexes.iter().filter(|(of, _)| of == table);
        let units = indexes.map(|(_, index)| index_units(*index, before, after.as_ref()));
        self.counts.index_write_units += units.sum::<u64>();
        match after {
            Some(item) => self.items.insert(plan.place, item),
            None => self.items.remove(&plan.place),
        };
    }

    fn transact(&mut self, request: &Value, conflict: bool) -> Result<Value, Refused> {
        let token = text(&request["ClientRequestToken"])?.to_owned();
        let mut plans = Vec::new();
        for write in array(&request["TransactItems"])? {
            let (kind, write) = object(write)?
                .iter()
                .next()
                .ok_or_else(|| invalid("an empty write"))?;
            plans.push(self.plan(kind, write)?);
        }
        if self.tokens.contains(&token) {
            // Seen before: reads what it wrote, twice as transactions do, and changes nothing.
            let read = plans.iter().map(|plan| {
                let bytes = self.items.get(&plan.place).map_or(0, size);
                2 * units(bytes, READ_UNIT_BYTES)
            });
            self.counts.read_units += read.sum::<u64>();
            return Ok(json!({}));
        }
        // Prepared and committed: every item is written twice.
        self.counts.write_units += plans.iter().map(|plan| 2 * plan.units).sum::<u64>();
        let last = plans.len().saturating_sub(1);
        let reasons: Vec<&str> = plans
            .iter()
            .enumerate()
            .map(|(at, plan)| match plan.holds {
                false => "ConditionalCheckFailed",
                true if conflict && at == last => "TransactionConflict",
                true => "None",
            })
            .collect();
        if reasons.iter().any(|reason| *reason != "None") {
            let reasons: Vec<Value> = reasons.iter().map(|code| json!({"Code": code})).collect();
            return Err(Refused(
                StatusCode::BAD_REQUEST,
                "TransactionCanceledException",
                json!({"Message": "cancelled", "CancellationReasons": reasons}),
            ));
        }
        for plan in plans {
            self.carry_out(plan);
        }
        self.tokens.insert(token);
        Ok(json!({}))
    }

    fn single(&mut self, request: &Value, kind: &str) -> Result<Value, Refused> {
        let plan = self.plan(kind, request)?;
        self.counts.write_units += plan.units;
        if !plan.holds {
            return Err(Refused(
                StatusCode::BAD_REQUEST,
                "ConditionalCheckFailedException",
                json!({"message": "The conditional request failed"}),
            ));
        }
        self.carry_out(plan);
        Ok(json!({}))
    }

    fn batch_write(&mut self, request: &Value) -> Result<Value, Refused> {
        for (table, writes) in object(&request["RequestItems"])? {
            for write in array(writes)? {
                let item = &write["PutRequest"]["Item"];
                let plan = self.plan("Put", &json!({"TableName": table, "Item": item}))?;
                self.counts.write_units += plan.units;
                self.carry_out(plan);
            }
        }
        Ok(json!({"UnprocessedItems": {}}))
    }

    fn get(&mut self, request: &Value) -> Result<Value, Refused> {
        consistent(request)?;
        let place = self.place(&request["TableName"], object(&request["Key"])?)?;
        let item = self.items.get(&place);
        self.counts.read_units += units(item.map_or(0, size), READ_UNIT_BYTES);
        Ok(item.map_or_else(|| json!({}), |item| json!({"Item": item})))
    }

    fn batch_get(&mut self, request: &Value) -> Result<Value, Refused> {
        let mut responses = Map::new();
        for (table, wanted) in object(&request["RequestItems"])? {
            consistent(wanted)?;
            let mut found = Vec::new();
            for key in array(&wanted["Keys"])? {
                let place = self.place(&json!(table), object(key)?)?;
                let item = self.items.get(&place);
                self.counts.read_units += units(item.map_or(0, size), READ_UNIT_BYTES);
                found.extend(item.map(|item| json!(item)));
            }
            responses.insert(table.clone(), found.into());
        }
        Ok(json!({"Responses": responses, "UnprocessedKeys": {}}))
    }

    /// A partition of an index, whole.
    fn query_index(&mut self, request: &Value, name: &str) -> Result<Value, Refused> {
        let table = text(&request["TableName"])?;
        let mut indexes = self.indexes.iter();
        let index = indexes.find(|(of, index)| of == table && index.name == name);
        let (_, index) = *index.ok_or_else(|| invalid(&format!("no index {name} of {table}")))?;
        let condition = text(&request["KeyConditionExpression"])?;
        let wanted = match condition.split_once(" = ") {
            Some((_, value)) if !value.contains(' ') && request["ExclusiveStartKey"].is_null() => {
                &request["ExpressionAttributeValues"][value]
            }
            _ => {
                return Err(invalid(
                    "the stub reads an index's partition from its beginning only",
                ));
            }
        };
        let places = self.items.iter().filter(|((of, _), _)| of == table);
        let mut found: Vec<(&str, &Item)> = places
            .filter(|(_, item)| item.get(index.partition) == Some(wanted))
            .filter_map(|(_, item)| Some((item.get(index.sort)?["S"].as_str()?, item)))
            .collect();
        found.sort_by_key(|(sort, _)| *sort);
        let limit = limit(request);
        found.truncate(limit);
        let items: Vec<&Item> = found.into_iter().map(|(_, item)| item).collect();
        let bytes = items.iter().map(|item| size(item)).sum();
        let mut answer = json!({"Items": items, "Count": items.len()});
        if let (true, Some(last)) = (items.len() == limit, items.last()) {
            let mut key = self.key_of(table, last);
            for name in [index.partition, index.sort] {
                key.extend(last.get(name).map(|value| (name.to_owned(), value.clone())));
            }
            answer["LastEvaluatedKey"] = key.into();
        }
        self.counts.index_half_read_units += units(bytes, READ_UNIT_BYTES);
        Ok(answer)
    }

    /// A partition, or its beginning.
    fn query(&mut self, request: &Value) -> Result<Value, Refused> {
        if let Some(index) = request["IndexName"].as_str() {
            return self.query_index(request, index);
        }
        consistent(request)?;
        let limit = limit(request);
        let condition = text(&request["KeyConditionExpression"])?;
        let table = text(&request["TableName"])?;
        let unknown = || invalid(&format!("the stub does not know the range {condition}"));
        let (equal, range) = match condition.split_once(" AND ") {
            Some((equal, range)) => (equal, Some(range)),
            None => (condition, None),
        };
        let partition = match equal.split_once(" = ") {
            Some((_, partition)) if !partition.contains(' ') => partition,
            _ => return Err(unknown()),
        };
        let values = &request["ExpressionAttributeValues"];
        let (mut beginning, mut from) = (String::new(), String::new());
        if let Some(prefix) = range.and_then(|range| range.strip_prefix("begins_with(")) {
            let (_, value) = prefix.split_once(", ").ok_or_else(unknown)?;
            text(&values[value.trim_end_matches(')')]["S"])?.clone_into(&mut beginning);
        } else if let Some(range) = range {
            let (_, value) = range.split_once(" >= ").ok_or_else(unknown)?;
            from = match values[value]["S"].as_str() {
                Some(text) => text.to_owned(),
                None => format!("{:0>20}", text(&values[value]["N"])?),
            };
        }
        let prefix = format!("{}\u{0}{beginning}", text(&values[partition]["S"])?);
        let found: Vec<&Item> = self
            .items
            .range((table.to_owned(), format!("{prefix}{from}"))..)
            .take_while(|((name, key), _)| name == table && key.starts_with(&prefix))
            .map(|(_, item)| item)
            .take(limit)
            .collect();
        let bytes = found.iter().map(|item| size(item)).sum();
        let mut answer = json!({"Items": found, "Count": found.len()});
        if let (true, Some(last)) = (found.len() == limit, found.last()) {
            answer["LastEvaluatedKey"] = self.key_of(table, last).into();
        }
        self.counts.read_units += units(bytes, READ_UNIT_BYTES);
        Ok(answer)
    }

    /// A page of a table. What the filter leaves out is read, and paid, all the same.
    fn scan(&mut self, request: &Value) -> Result<Value, Refused> {
        consistent(request)?;
        let table = text(&request["TableName"])?;
        let after = match &request["ExclusiveStartKey"] {
            Value::Null => None,
            key => Some(self.place(&request["TableName"], object(key)?)?),
        };
        let limit = limit(request);
        let (mut bytes, mut read, mut found, mut last) = (0, 0, Vec::new(), None);
        for ((_, _), item) in self.items.iter().filter(|(place, _)| {
            place.0 == table && after.as_ref().is_none_or(|after| *place > after)
        }) {
            if read == limit {
                break;
            }
            read += 1;
            bytes += size(item);
            last = Some(item);
            let kept = match request["FilterExpression"].as_str() {
                Some(filter) => holds(filter, request, Some(item))?,
                None => true,
            };
            if kept {
                found.push(item);
            }
        }
        let mut answer = json!({"Items": found, "Count": found.len(), "ScannedCount": read});
        if let (true, Some(last)) = (read == limit, last) {
            answer["LastEvaluatedKey"] = self.key_of(table, last).into();
        }
        self.counts.read_units += units(bytes, READ_UNIT_BYTES);
        Ok(answer)
    }

    /// The key's attributes of an item.
    fn key_of(&self, table: &str, item: &Item) -> Item {
        let (partition, sort) = self.keys.get(table).cloned().unwrap_or_default();
        [Some(partition), sort]
            .into_iter()
            .flatten()
            .filter_map(|name| Some((name.clone(), item.get(&name)?.clone())))
            .collect()
    }

    fn put_events(&mut self, request: &Value) -> Value {
        let entries = request["Entries"].as_array().map_or(&[][..], Vec::as_slice);
        for entry in entries {
            let bytes = ["Source", "DetailType", "Detail"]
                .iter()
                .filter_map(|name| entry[*name].as_str())
                .map(str::len)
                .sum();
            self.counts.event_chunks += units(bytes, EVENT_CHUNK_BYTES);
        }
        let ids: Vec<Value> = entries
            .iter()
            .map(|_| json!({"EventId": Uuid::new_v4().to_string()}))
            .collect();
        json!({"FailedEntryCount": 0, "Entries": ids})
    }
}

struct Plan {
    place: (String, String),
    /// `None`: nothing is changed; `Some(None)`: removed.
    after: Option<Option<Item>>,
    holds: bool,
    units: u64,
}

fn invalid(message: &str) -> Refused {
    Refused(
        StatusCode::BAD_REQUEST,
        "ValidationException",
        json!({ "message": message }),
    )
}

fn text(value: &Value) -> Result<&str, Refused> {
    value
        .as_str()
        .ok_or_else(|| invalid(&format!("{value} is no text")))
}

fn object(value: &Value) -> Result<&Item, Refused> {
    value
        .as_object()
        .ok_or_else(|| invalid(&format!("{value} is no object")))
}

fn array(value: &Value) -> Result<&[Value], Refused> {
    value
        .as_array()
        .map(Vec::as_slice)
        .ok_or_else(|| invalid(&format!("{value} is no list")))
}

fn consistent(request: &Value) -> Result<(), Refused> {
    if request["ConsistentRead"] == true && request["IndexName"].is_null() {
        Ok(())
    } else {
        Err(invalid("the stub counts consistent reads of tables only"))
    }
}

fn limit(request: &Value) -> usize {
    request["Limit"]
        .as_u64()
        .and_then(|limit| usize::try_from(limit).ok())
        .unwrap_or(usize::MAX)
}

/// What a write costs in an index over all attributes: an item that comes, goes or changes there a write of it, one whose
/// key there changes two
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GSI.html#GSI.ThroughputConsiderations.Writes>).
fn index_units(index: Index, before: Option<&Item>, after: Option<&Item>) -> u64 {
    let key = |item: &Item| {
        let part = |name| item.get(name).cloned();
        Some((part(index.partition)?, part(index.sort)?))
    };
    let one = |item: &Item| units(size(item), WRITE_UNIT_BYTES);
    let in_index = |item: Option<&Item>| item.and_then(|item| Some((key(item)?, item.clone())));
    match (in_index(before), in_index(after)) {
        (None, None) => 0,
        (Some((_, only)), None) | (None, Some((_, only))) => one(&only),
        (Some((_, before)), Some((_, after))) if before == after => 0,
        (Some((was, before)), Some((is, after))) if was == is => one(&before).max(one(&after)),
        (Some((_, before)), Some((_, after))) => one(&before) + one(&after),
    }
}

fn units(bytes: usize, per_unit: usize) -> u64 {
    u64::try_from(bytes.div_ceil(per_unit).max(1)).unwrap_or(u64::MAX)
}

/// An item's size
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>, read 2026-11-21).
fn size(item: &Item) -> usize {
    item.iter()
        .map(|(name, value)| name.len() + size_of_value(value))
        .sum()
}

fn size_of_value(value: &Value) -> usize {
    let Some((kind, value)) = value.as_object().and_then(|object| object.iter().next()) else {
        return 0;
    };
    match (kind.as_str(), value) {
        ("S", Value::String(text)) => text.len(),
        // About a byte for two digits and one more.
        ("N", Value::String(number)) => number.len().div_ceil(2) + 1,
        ("L", Value::Array(values)) => {
            3 + values
                .iter()
                .map(|one| 1 + size_of_value(one))
                .sum::<usize>()
        }
        ("M", Value::Object(map)) => 3 + map.len() + size(map),
        _ => 1,
    }
}

/// Terms joined by AND, or by OR.
fn holds(expression: &str, request: &Value, item: Option<&Item>) -> Result<bool, Refused> {
    if expression.contains(" OR ") {
        for one in expression.split(" OR ") {
            if term(one, request, item)? {
                return Ok(true);
            }
        }
        return Ok(false);
    }
    for one in expression.split(" AND ") {
        if !term(one, request, item)? {
            return Ok(false);
        }
    }
    Ok(true)
}

fn term(text: &str, request: &Value, item: Option<&Item>) -> Result<bool, Refused> {
    let unknown = || invalid(&format!("the stub does not know the condition {text}"));
    let stored = |placeholder: &str| {
        let name = request["ExpressionAttributeNames"][placeholder]
            .as_str()
            .unwrap_or(placeholder);
        item.and_then(|item| item.get(name))
    };
    if let Some((function, rest)) = text.split_once('(') {
        let found = stored(rest.strip_suffix(')').ok_or_else(unknown)?).is_some();
        return match function {
            "attribute_exists" => Ok(found),
            "attribute_not_exists" => Ok(!found),
            _ => Err(unknown()),
        };
    }
    let mut words = text.split(' ');
    let (Some(name), Some(comparison), Some(value), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(unknown());
    };
    let Some(stored) = stored(name) else {
        return Ok(false);
    };
    let wanted = &request["ExpressionAttributeValues"][value];
    match comparison {
        "=" => Ok(stored == wanted),
        "<" => Ok(number(stored)? < number(wanted)?),
        _ => Err(unknown()),
    }
}

fn number(value: &Value) -> Result<Decimal, Refused> {
    text(&value["N"])?
        .parse()
        .map_err(|_| invalid(&format!("{value} is no number")))
}

/// `ADD #n0 :v0, #n1 :v1`.
fn added(write: &Value, key: &Item, before: Option<&Item>) -> Result<Item, Refused> {
    let expression = text(&write["UpdateExpression"])?;
    let terms = expression
        .strip_prefix("ADD ")
        .ok_or_else(|| invalid(&format!("the stub does not know the update {expression}")))?;
    let mut item = before.unwrap_or(key).clone();
    for term in terms.split(", ") {
        let (name, value) = term
            .split_once(' ')
            .ok_or_else(|| invalid(&format!("the stub does not know the update {expression}")))?;
        let name = write["ExpressionAttributeNames"][name]
            .as_str()
            .unwrap_or(name);
        let mut sum = number(&write["ExpressionAttributeValues"][value])?;
        if let Some(stored) = item.get(name) {
            sum += number(stored)?;
        }
        item.insert(name.to_owned(), json!({"N": sum.normalize().to_string()}));
    }
    Ok(item)
}
