//! What a call costs on AWS, as far as its request and response show it.
//!
//! | call | counted as |
//! |---|---|
//! | put (`PutItem`, in `BatchWriteItem`) | the item's size, 1 unit per KB begun |
//! | delete, update | 1 unit: the request does not show the item's size. **An assumption**: right for items up to 1 KB |
//! | anything in `TransactWriteItems`, a `ConditionCheck` too | twice that |
//! | a put that replaces a larger item | the new size. **An assumption**: AWS counts the larger of the two |
//! | indexes | not counted: the request does not show them |
//! | consistent read | 1 unit per 4 KB begun; eventually consistent half, in a transaction twice |
//! | `Query`, `Scan` | by what was returned. **An assumption**: rows that a filter left out are read, too |
//! | `PutEvents`, SQS sends | chunks of 64 KB begun, per entry of `PutEvents`, per call of SQS |
//!
//! Sizes: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CapacityUnitCalculations.html>, read 2026-11-21.
//! Units: <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>, read 2026-11-21.
//! Chunks: <https://aws.amazon.com/eventbridge/pricing/>, <https://aws.amazon.com/sqs/pricing/>, read 2026-11-21.

use serde_json::{Map, Value};

use super::operation::Operation;

/// Bytes that one write unit covers.
const WRITE_UNIT_BYTES: u64 = 1_024;
/// Bytes that one read unit covers.
const READ_UNIT_BYTES: u64 = 4_096;
/// Bytes that one request to EventBridge or SQS is billed for.
const CHUNK_BYTES: u64 = 65_536;
/// The bytes of a list, a map, and each of their elements, in addition to their contents.
const NESTED_BYTES: (u64, u64) = (3, 1);

/// Units of one call.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Units {
    pub(crate) write: u64,
    /// Twice the read units: an eventually consistent read costs half a unit.
    pub(crate) read_halves: u64,
    pub(crate) chunks: u64,
}

impl Units {
    /// The units of a call that the service answered. `answer` is null if the response was not JSON.
    pub(crate) fn of(operation: &Operation, body: &Value, answer: &Value) -> Self {
        match operation.service.as_str() {
            "dynamodb" => Self {
                write: write_units(&operation.name, body),
                read_halves: read_halves(&operation.name, body, answer),
                chunks: 0,
            },
            "events" if operation.name == "PutEvents" => Self {
                chunks: elements(&body["Entries"]).map(event_chunks).sum(),
                ..Self::default()
            },
            "sqs" if operation.name.starts_with("SendMessage") => Self {
                chunks: message_chunks(body),
                ..Self::default()
            },
            _ => Self::default(),
        }
    }
}

fn write_units(operation: &str, body: &Value) -> u64 {
    match operation {
        "PutItem" => put(&body["Item"]),
        "UpdateItem" | "DeleteItem" => 1,
        "BatchWriteItem" => elements_of(&body["RequestItems"])
            .flat_map(elements)
            .map(|request| match &request["PutRequest"]["Item"] {
                Value::Null => 1,
                item => put(item),
            })
            .sum(),
        "TransactWriteItems" => elements(&body["TransactItems"])
            .map(|item| match &item["Put"]["Item"] {
                Value::Null => 2,
                item => 2 * put(item),
            })
            .sum(),
        _ => 0,
    }
}

fn put(item: &Value) -> u64 {
    begun(item_bytes(item), WRITE_UNIT_BYTES)
}

fn read_halves(operation: &str, body: &Value, answer: &Value) -> u64 {
    let strength = |body: &Value| {
        if body["ConsistentRead"] == true { 2 } else { 1 }
    };
    match operation {
        "GetItem" => strength(body) * read(item_bytes(&answer["Item"])),
        "Query" | "Scan" => strength(body) * read(elements(&answer["Items"]).map(item_bytes).sum()),
        "TransactGetItems" => elements(&answer["Responses"])
            .map(|one| 4 * read(item_bytes(&one["Item"])))
            .sum(),
        "BatchGetItem" => body["RequestItems"]
            .as_object()
            .into_iter()
            .flatten()
            .map(|(table, asked)| {
                let keys = count(&asked["Keys"]);
                let left = count(&answer["UnprocessedKeys"][table]["Keys"]);
                let found = &answer["Responses"][table];
                let units: u64 = elements(found).map(|item| read(item_bytes(item))).sum();
                // An absent item costs as much as the smallest item.
                let missing = keys.saturating_sub(left).saturating_sub(count(found));
                strength(asked) * (units + missing)
            })
            .sum(),
        _ => 0,
    }
}

/// Read units of a consistent read.
fn read(bytes: u64) -> u64 {
    begun(bytes, READ_UNIT_BYTES)
}

/// At least 1.
fn begun(bytes: u64, unit: u64) -> u64 {
    bytes.div_ceil(unit).max(1)
}

fn event_chunks(entry: &Value) -> u64 {
    let fields = ["Source", "DetailType", "Detail"];
    let bytes = fields.iter().map(|name| text_bytes(&entry[*name])).sum();
    begun(bytes, CHUNK_BYTES)
}

fn message_chunks(body: &Value) -> u64 {
    let entries = body["Entries"].as_array();
    let bytes = match entries {
        Some(entries) => entries
            .iter()
            .map(|one| text_bytes(&one["MessageBody"]))
            .sum(),
        None => text_bytes(&body["MessageBody"]),
    };
    begun(bytes, CHUNK_BYTES)
}

/// An item's size as DynamoDB counts it; 0 if this is not an item.
pub(crate) fn item_bytes(item: &Value) -> u64 {
    let Some(attributes) = item.as_object() else {
        return 0;
    };
    attributes
        .iter()
        .map(|(name, value)| len(name) + value_bytes(value))
        .sum()
}

fn value_bytes(value: &Value) -> u64 {
    let Some((kind, inner)) = value.as_object().and_then(|typed| typed.iter().next()) else {
        return 0;
    };
    let (around, each) = NESTED_BYTES;
    match kind.as_str() {
        "S" => text_bytes(inner),
        "N" => inner.as_str().map_or(0, number_bytes),
        // Base64: four characters for three bytes.
        "B" => text_bytes(inner) / 4 * 3,
        "SS" => elements(inner).map(text_bytes).sum(),
        "NS" => elements(inner)
            .filter_map(Value::as_str)
            .map(number_bytes)
            .sum(),
        "BS" => elements(inner).map(|one| text_bytes(one) / 4 * 3).sum(),
        "L" => {
            around
                + elements(inner)
                    .map(|one| each + value_bytes(one))
                    .sum::<u64>()
        }
        "M" => {
            let fields = inner.as_object().into_iter().flatten();
            around
                + fields
                    .map(|(name, one)| each + len(name) + value_bytes(one))
                    .sum::<u64>()
        }
        // NULL, BOOL
        _ => 1,
    }
}

/// One byte for each two digits begun, plus one; a sign costs one more.
fn number_bytes(text: &str) -> u64 {
    let mantissa = text.split(['e', 'E']).next().unwrap_or(text);
    let digits = mantissa.chars().filter(char::is_ascii_digit);
    let digits = u64::try_from(digits.count()).unwrap_or(u64::MAX);
    digits.div_ceil(2) + 1 + u64::from(text.starts_with('-'))
}

fn elements(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

fn elements_of(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_object().into_iter().flat_map(Map::values)
}

fn count(value: &Value) -> u64 {
    value
        .as_array()
        .map_or(0, |list| u64::try_from(list.len()).unwrap_or(u64::MAX))
}

fn text_bytes(value: &Value) -> u64 {
    value.as_str().map_or(0, len)
}

fn len(text: &str) -> u64 {
    u64::try_from(text.len()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn units(name: &str, body: &Value, answer: &Value) -> Units {
        Units::of(&Operation::new("dynamodb", name), body, answer)
    }

    #[test]
    fn an_items_size_is_names_and_values() {
        let item = json!({
            "pk": {"S": "ab"}, "n": {"N": "-123.45"}, "yes": {"BOOL": true}, "list": {"L": [{"S": "x"}]},
            "map": {"M": {"k": {"N": "1"}}}
        });
        // 2+2, 1+5, 3+1, 4+3+1+1, 3+3+1+1+2
        assert_eq!(item_bytes(&item), 4 + 6 + 4 + 9 + 10);
    }

    #[test]
    fn writes_cost_a_unit_per_kilobyte_and_double_in_a_transaction() {
        let item = |bytes: usize| json!({"k": {"S": "x".repeat(bytes - 1)}});
        let put = |bytes| units("PutItem", &json!({"Item": item(bytes)}), &Value::Null).write;
        assert_eq!((put(1_024), put(1_025)), (1, 2));
        let body = json!({"TransactItems": [
            {"Put": {"Item": item(1_025)}}, {"Update": {}}, {"ConditionCheck": {}}, {"Delete": {}}
        ]});
        assert_eq!(units("TransactWriteItems", &body, &Value::Null).write, 10);
        let body = json!({"RequestItems": {"t": [{"PutRequest": {"Item": item(3_000)}}, {"DeleteRequest": {}}]}});
        assert_eq!(units("BatchWriteItem", &body, &Value::Null).write, 4);
    }

    #[test]
    fn reads_cost_a_unit_per_four_kilobytes_and_half_where_they_may_lag() {
        let item = |bytes: usize| json!({"k": {"S": "x".repeat(bytes - 1)}});
        let consistent = json!({"ConsistentRead": true});
        let halves = |name, body: &Value, answer: Value| units(name, body, &answer).read_halves;
        assert_eq!(
            halves("GetItem", &consistent, json!({"Item": item(4_096)})),
            2
        );
        assert_eq!(halves("GetItem", &consistent, json!({})), 2);
        assert_eq!(
            halves("GetItem", &json!({}), json!({"Item": item(4_097)})),
            2
        );
        let rows = json!({"Items": [item(3_000), item(3_000)]});
        assert_eq!(halves("Query", &consistent, rows), 4);
        let asked = json!({"RequestItems": {"t": {"ConsistentRead": true, "Keys": [{}, {}, {}]}}});
        let found =
            json!({"Responses": {"t": [item(5_000)]}, "UnprocessedKeys": {"t": {"Keys": [{}]}}});
        assert_eq!(halves("BatchGetItem", &asked, found), 6);
    }

    #[test]
    fn events_and_messages_are_billed_in_chunks() {
        let entry = |bytes: usize| json!({"Source": "s", "DetailType": "d", "Detail": "x".repeat(bytes - 2)});
        let body = json!({"Entries": [entry(65_536), entry(65_537)]});
        let put = Operation::new("events", "PutEvents");
        assert_eq!(Units::of(&put, &body, &Value::Null).chunks, 3);
        let send = Operation::new("sqs", "SendMessage");
        let body = json!({"MessageBody": "x".repeat(65_537)});
        assert_eq!(Units::of(&send, &body, &Value::Null).chunks, 2);
    }
}
