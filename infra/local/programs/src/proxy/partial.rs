//! Batch calls of which only some entries pass.

use std::collections::BTreeMap;

use rand::{Rng, rngs::StdRng, seq::SliceRandom};
use serde_json::{Map, Value, json};

use super::operation::Operation;

/// A call in two parts: what still goes to the service, and how the service's response becomes the caller's.
pub(crate) struct Split {
    /// The part that passes. `None`: nothing passes, and the service is not called.
    pub(crate) passing: Option<Value>,
    rest: Rest,
}

enum Rest {
    /// `PutEvents`: the places of the entries that fail, with their error codes.
    Places(BTreeMap<usize, &'static str>),
    /// SQS: the entries that fail, by id.
    Ids(Vec<Value>),
    /// DynamoDB: what is returned as unprocessed, under this name.
    Unprocessed(&'static str, Map<String, Value>),
}

impl Split {
    /// Rejects some of the entries, at least one. `None` if the body does not fit the operation.
    pub(crate) fn of(operation: &Operation, body: &Value, dice: &mut StdRng) -> Option<Self> {
        match operation.name.as_str() {
            "PutEvents" => Self::of_events(body, dice),
            "SendMessageBatch" | "DeleteMessageBatch" => Self::of_messages(body, dice),
            "BatchWriteItem" => {
                Self::of_items("UnprocessedItems", body, dice, |value| value.as_array_mut())
            }
            "BatchGetItem" => Self::of_items("UnprocessedKeys", body, dice, |value| {
                value.get_mut("Keys").and_then(Value::as_array_mut)
            }),
            _ => None,
        }
    }

    fn of_events(body: &Value, dice: &mut StdRng) -> Option<Self> {
        let entries = body["Entries"].as_array()?;
        let failing = some_of(entries.len(), dice)?;
        let passing: Vec<Value> = entries
            .iter()
            .enumerate()
            .filter(|(place, _)| !failing.contains(place))
            .map(|(_, entry)| entry.clone())
            .collect();
        let failed = failing.into_iter().map(|place| {
            let code = if dice.random_bool(0.5) {
                "ThrottlingException"
            } else {
                "InternalFailure"
            };
            (place, code)
        });
        Some(Self {
            rest: Rest::Places(failed.collect()),
            passing: with_entries(body, passing),
        })
    }

    fn of_messages(body: &Value, dice: &mut StdRng) -> Option<Self> {
        let entries = body["Entries"].as_array()?;
        let failing = some_of(entries.len(), dice)?;
        let (mut passing, mut failed) = (Vec::new(), Vec::new());
        for (place, entry) in entries.iter().enumerate() {
            if failing.contains(&place) {
                failed.push(json!({
                    "Id": entry["Id"], "Code": "InternalError", "SenderFault": false, "Message": MESSAGE
                }));
            } else {
                passing.push(entry.clone());
            }
        }
        Some(Self {
            rest: Rest::Ids(failed),
            passing: with_entries(body, passing),
        })
    }

    fn of_items(
        name: &'static str,
        body: &Value,
        dice: &mut StdRng,
        list: fn(&mut Value) -> Option<&mut Vec<Value>>,
    ) -> Option<Self> {
        let tables = body["RequestItems"].as_object()?;
        let count: usize = tables
            .values()
            .map(|value| list(&mut value.clone()).map_or(0, |items| items.len()))
            .sum();
        let failing = some_of(count, dice)?;
        let (mut passing, mut left) = (Map::new(), Map::new());
        let mut place = 0;
        for (table, value) in tables {
            // Both parts keep the settings beside the items, such as consistency and projection.
            let (mut stay, mut go) = (value.clone(), value.clone());
            let items = list(&mut go)?;
            let (back, on): (Vec<_>, Vec<_>) = std::mem::take(items)
                .into_iter()
                .enumerate()
                .partition(|(at, _)| failing.contains(&(place + at)));
            place += back.len() + on.len();
            let only = |items: Vec<(usize, Value)>| items.into_iter().map(|(_, item)| item);
            if !on.is_empty() {
                items.extend(only(on));
                passing.insert(table.clone(), go);
            }
            if !back.is_empty() {
                *list(&mut stay)? = only(back).collect();
                left.insert(table.clone(), stay);
            }
        }
        let passing = (!passing.is_empty()).then(|| {
            let mut body = body.clone();
            body["RequestItems"] = Value::Object(passing);
            body
        });
        Some(Self {
            passing,
            rest: Rest::Unprocessed(name, left),
        })
    }

    /// Makes the caller's response from the service's. `None`: the service was not called.
    pub(crate) fn answer(self, answered: Option<Value>) -> Value {
        let mut answer = answered.unwrap_or_else(|| json!({}));
        match self.rest {
            Rest::Places(failed) => {
                let mut passed = answer["Entries"]
                    .as_array()
                    .cloned()
                    .unwrap_or_default()
                    .into_iter();
                let before = answer["FailedEntryCount"].as_u64().unwrap_or(0);
                let count = passed.len() + failed.len();
                let entries: Vec<Value> = (0..count)
                    .filter_map(|place| match failed.get(&place) {
                        Some(code) => Some(json!({ "ErrorCode": code, "ErrorMessage": MESSAGE })),
                        None => passed.next(),
                    })
                    .collect();
                let of_ours = u64::try_from(failed.len()).unwrap_or(u64::MAX);
                answer["FailedEntryCount"] = Value::from(before + of_ours);
                answer["Entries"] = Value::Array(entries);
            }
            Rest::Ids(failed) => {
                let mut all = answer["Failed"].as_array().cloned().unwrap_or_default();
                all.extend(failed);
                answer["Failed"] = Value::Array(all);
                if answer["Successful"].is_null() {
                    answer["Successful"] = json!([]);
                }
            }
            Rest::Unprocessed(name, left) => {
                // The service itself may have left items unprocessed. Both lists of a table are joined.
                let mut all = answer[name].as_object().cloned().unwrap_or_default();
                for (table, value) in left {
                    match all.get_mut(&table) {
                        None => {
                            all.insert(table, value);
                        }
                        Some(there) => join(there, value),
                    }
                }
                answer[name] = Value::Object(all);
                if name == "UnprocessedKeys" && answer["Responses"].is_null() {
                    answer["Responses"] = json!({});
                }
            }
        }
        answer
    }
}

const MESSAGE: &str = "rejected by the fault proxy";

fn join(there: &mut Value, more: Value) {
    match more {
        Value::Array(more) => {
            if let Some(there) = there.as_array_mut() {
                there.extend(more);
            }
        }
        Value::Object(mut more) => {
            let keys = more.remove("Keys").and_then(|keys| match keys {
                Value::Array(keys) => Some(keys),
                _ => None,
            });
            if let (Some(there), Some(keys)) =
                (there.get_mut("Keys").and_then(Value::as_array_mut), keys)
            {
                there.extend(keys);
            }
        }
        _ => {}
    }
}

fn with_entries(body: &Value, entries: Vec<Value>) -> Option<Value> {
    (!entries.is_empty()).then(|| {
        let mut body = body.clone();
        body["Entries"] = Value::Array(entries);
        body
    })
}

/// Some of `count` places, at least one; `None` if there are none.
fn some_of(count: usize, dice: &mut StdRng) -> Option<Vec<usize>> {
    if count == 0 {
        return None;
    }
    let certain = dice.random_range(0..count);
    Some(
        (0..count)
            .filter(|place| *place == certain || dice.random_bool(0.4))
            .collect(),
    )
}

/// A `PutEvents` call with its entries in another order, and how its response returns to the caller's order.
pub(crate) struct Shuffled {
    pub(crate) body: Value,
    order: Vec<usize>,
}

impl Shuffled {
    /// `None` if there is nothing to shuffle.
    pub(crate) fn of(body: &Value, dice: &mut StdRng) -> Option<Self> {
        let entries = body["Entries"].as_array().filter(|list| list.len() > 1)?;
        let mut order: Vec<usize> = (0..entries.len()).collect();
        order.shuffle(dice);
        let mut shuffled = body.clone();
        shuffled["Entries"] = order.iter().map(|place| entries[*place].clone()).collect();
        Some(Self {
            body: shuffled,
            order,
        })
    }

    pub(crate) fn answer(&self, mut answered: Value) -> Value {
        let Some(results) = answered["Entries"].as_array() else {
            return answered;
        };
        if results.len() != self.order.len() {
            return answered;
        }
        let mut placed = vec![Value::Null; results.len()];
        for (result, place) in results.iter().zip(&self.order) {
            placed[*place] = result.clone();
        }
        answered["Entries"] = Value::Array(placed);
        answered
    }
}

/// How many items one call has: a transaction's items, a batch's entries; otherwise 1.
pub(crate) fn items(operation: &Operation, body: &Value) -> u64 {
    let len = |value: &Value| {
        value
            .as_array()
            .map_or(0, |list| u64::try_from(list.len()).unwrap_or(u64::MAX))
    };
    match operation.name.as_str() {
        "TransactWriteItems" | "TransactGetItems" => len(&body["TransactItems"]),
        "BatchWriteItem" => {
            let tables = body["RequestItems"].as_object();
            tables.map_or(0, |tables| tables.values().map(len).sum())
        }
        "BatchGetItem" => {
            let tables = body["RequestItems"].as_object();
            tables.map_or(0, |tables| {
                tables.values().map(|one| len(&one["Keys"])).sum()
            })
        }
        "PutEvents"
        | "SendMessageBatch"
        | "DeleteMessageBatch"
        | "ChangeMessageVisibilityBatch" => len(&body["Entries"]),
        _ => 1,
    }
}
