//! The benchmark's event: an order, as a shop would publish it. It is in no shipped registry.

use events::{
    AggregateField, AggregateId, Amount, Contract, Priority, Retention, Text, Timestamp, Unit,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

/// The lane's ARN in the benchmark's messages.
pub const QUEUE_ARN: &str = "arn:aws:sqs:us-east-1:000000000000:bench";

/// Euro, to the cent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Euro;
impl Unit for Euro {
    const SCALE: u32 = 2;
    const NAME: &'static str = "EUR";
}

/// An amount of an order.
pub type Eur = Amount<Euro>;

/// Whether a customer is a business or a person.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum CustomerType {
    /// A business.
    B2b,
    /// A person.
    B2c,
}

/// A line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Line {
    /// The line's id.
    pub item_id: Text<64>,
    /// What was bought.
    pub product_id: Text<64>,
    /// The stock keeping unit.
    pub sku: Text<64>,
    /// How many.
    pub quantity: u32,
    /// The price of one piece.
    pub unit_price: Eur,
    /// The price of all pieces.
    pub line_total: Eur,
}

/// The sums of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Totals {
    /// Before tax.
    pub subtotal: Eur,
    /// The tax.
    pub tax_amount: Eur,
    /// The sum to be paid.
    pub total: Eur,
    /// The currency.
    pub currency: Text<3>,
}

/// An order was placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct OrderCreated {
    /// The order's id.
    pub order_id: AggregateId,
    /// The order number that people use.
    pub order_number: Text<32>,
    /// The customer who ordered.
    pub customer_id: Text<64>,
    /// Whether the customer is a business or a person.
    pub customer_type: CustomerType,
    /// When the order was placed.
    pub created_at: Timestamp,
    /// The status of the order.
    pub status: Text<32>,
    /// The status of its payment.
    pub payment_status: Text<32>,
    /// The status of its delivery.
    pub fulfillment_status: Text<32>,
    /// The lines of the order.
    pub items: Vec<Line>,
    /// The sums of the order.
    pub totals: Totals,
}

impl Contract for OrderCreated {
    const TYPE: &'static str = "order.created";
    const VERSION: u16 = 1;
    const PRIORITY: Priority = Priority::Critical;
    const PRODUCER: &'static str = "checkout-service";
    const AGGREGATE: &'static str = "order";
    const RETENTION: Retention = Retention::Days(7);
    const AGGREGATE_FIELD: AggregateField = AggregateField::Field("order_id");

    fn aggregate_id(&self) -> AggregateId {
        self.order_id.clone()
    }
}

/// The envelope of the `number`th order, as JSON. 100 customers take turns.
#[must_use]
pub fn order(number: u64, now: Timestamp) -> Value {
    let (event_id, order_id) = (Uuid::now_v7(), Uuid::now_v7());
    let moment = now.to_string();
    json!({
        "event_id": event_id,
        "event_type": OrderCreated::TYPE,
        "event_version": "v1",
        "occurred_at": moment,
        "producer": OrderCreated::PRODUCER,
        "producer_version": "1.0.0",
        "correlation_id": Uuid::new_v4(),
        "routing_key": "order.created.v1",
        "priority": "critical",
        "aggregate_type": OrderCreated::AGGREGATE,
        "aggregate_id": order_id,
        "sequence": 1,
        "payload": {
            "order_id": order_id,
            "order_number": format!("ORD-{number:08}"),
            "customer_id": format!("CUST-{:05}", number % 100),
            "customer_type": "b2b",
            "created_at": moment,
            "status": "pending",
            "payment_status": "pending",
            "fulfillment_status": "unfulfilled",
            "items": [{
                "item_id": Uuid::new_v4(),
                "product_id": "PRD-001",
                "sku": "PRD-001",
                "quantity": 10,
                "unit_price": 150.0,
                "line_total": 1500.0
            }],
            "totals": {"subtotal": 1500.0, "tax_amount": 285.0, "total": 1785.0, "currency": "EUR"}
        }
    })
}

/// An event whose row in the event log stays within 1 KB. It is enough for the relay, which does not read payloads.
#[must_use]
pub fn small_order(number: u64, now: Timestamp) -> Value {
    let mut small = order(number, now);
    let order_id = small["aggregate_id"].clone();
    small["payload"] = json!({
        "order_id": order_id,
        "customer_id": format!("CUST-{:05}", number % 100),
        "total": 1785.0,
        "currency": "EUR"
    });
    small
}

/// The invocation that delivers these messages of one lane.
#[must_use]
pub fn sqs_batch(envelopes: &[Value], now: Timestamp) -> Value {
    let records: Vec<Value> = envelopes
        .iter()
        .map(|envelope| {
            json!({
                "messageId": Uuid::new_v4(),
                "receiptHandle": format!("{}{}", Uuid::new_v4().simple(), Uuid::new_v4().simple()),
                "body": envelope.to_string(),
                "attributes": {
                    "ApproximateReceiveCount": "1",
                    "SentTimestamp": now.unix_millis().to_string(),
                    "SenderId": "AIDAIENQZJOLO23YVJ4VO",
                    "ApproximateFirstReceiveTimestamp": now.unix_millis().to_string()
                },
                "messageAttributes": {},
                "md5OfBody": "e4e68fb7bd0e697a0ae8f1bb342846b3",
                "eventSource": "aws:sqs",
                "eventSourceARN": QUEUE_ARN,
                "awsRegion": "us-east-1"
            })
        })
        .collect();
    json!({ "Records": records })
}

/// The invocation in which the event log's stream delivers these events.
#[must_use]
pub fn stream_batch(envelopes: &[Value], now: Timestamp) -> Value {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let records: Vec<Value> = envelopes
        .iter()
        .map(|envelope| {
            let aggregate = format!(
                "{}#{}",
                text(&envelope["aggregate_type"]),
                text(&envelope["aggregate_id"])
            );
            let keys = json!({
                "aggregate": {"S": aggregate},
                "sequence": {"N": envelope["sequence"].to_string()}
            });
            let mut image = keys.clone();
            image["envelope"] = json!({"S": envelope.to_string()});
            image["event_id"] = json!({"S": envelope["event_id"]});
            image["event_type"] = json!({"S": envelope["event_type"]});
            image["committed_at"] = json!({"S": now.to_string()});
            image["retention_days"] = json!({"N": "7"});
            json!({
                "eventID": Uuid::new_v4().simple().to_string(),
                "eventName": "INSERT",
                "eventVersion": "1.1",
                "eventSource": "aws:dynamodb",
                "awsRegion": "us-east-1",
                "dynamodb": {
                    "ApproximateCreationDateTime": now.unix_seconds(),
                    "Keys": keys,
                    "NewImage": image,
                    "SequenceNumber": "13021600000000001596893679",
                    "SizeBytes": 1024,
                    "StreamViewType": "NEW_IMAGE"
                },
                "eventSourceARN":
                    "arn:aws:dynamodb:us-east-1:000000000000:table/events/stream/2026-01-01T00:00:00.000"
            })
        })
        .collect();
    json!({ "Records": records })
}

#[cfg(test)]
mod tests {
    use events::{RegisteredContract, Registry};
    use outbox::{Clock, SystemClock};

    use super::*;

    #[test]
    fn the_order_is_a_sound_contract_and_its_sample_keeps_it() {
        let registry = Registry::new(vec![RegisteredContract::of::<OrderCreated>()]);
        assert_eq!(registry.faults(&["order"]), Vec::<String>::new());
        let order = order(1, SystemClock.now());
        assert_eq!(registry.validate(&order), []);
        let envelope = Registry::read(&order.to_string()).expect("an envelope");
        events::decode_payload::<OrderCreated>(&envelope).expect("an order");
    }
}
