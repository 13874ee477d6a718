//! The operations that the stub knows.

use hyper::StatusCode;
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{
    EVENT_CHUNK_BYTES, Item, READ_UNIT_BYTES, Refusal, Refused, State, WRITE_UNIT_BYTES,
    expressions::{added, holds},
    requests::{array, consistent, invalid, limit, object, text},
    units::{index_units, size, units},
};

impl State {
    pub(super) fn call(
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

    /// A table's name, and an item's key as one text that sorts by partition key and then by sort key.
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
                    "key {attribute} is neither a string nor a number"
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

    /// What a write would leave in the table, whether its condition holds, and the units of a plain write.
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
        // A write is billed by the larger of the item before and after it.
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
            // This token was seen before: the transaction only reads the items it wrote, at the double cost of
            // transactions.
            let read = plans.iter().map(|plan| {
                let bytes = self.items.get(&plan.place).map_or(0, size);
                2 * units(bytes, READ_UNIT_BYTES)
            });
            self.counts.read_units += read.sum::<u64>();
            return Ok(json!({}));
        }
        // A transaction prepares and commits: it writes every item twice.
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

    /// A whole partition of an index.
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

    /// A partition, or the part of it before a limit.
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

    /// A page of a table. Items that the filter leaves out are read and billed too.
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

    /// The key attributes of an item.
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
    /// `None`: nothing changes; `Some(None)`: the item is removed.
    after: Option<Option<Item>>,
    holds: bool,
    units: u64,
}
