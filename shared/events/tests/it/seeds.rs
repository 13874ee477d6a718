//! Events as a foreign producer sends them: one is well formed, two have a malformed id and no correlation id.

use events::{
    AggregateField, AggregateId, Contract, CorrelationId, Priority, RegisteredContract, Registry,
    Retention, Text, Violation, validator_for,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::support::{self, fixture, json};

const NOT_AN_EVENT_ID: &str = "must be a UUID of version 4 or 7 (8-4-4-4-12 hexadecimal digits)";

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct OrderCreated {
    order_id: Text<64>,
    customer_id: Text<64>,
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
        AggregateId::new(self.order_id.as_str()).expect("the samples' ids have the shape")
    }
}

#[derive(Debug, Serialize, Deserialize, JsonSchema)]
struct StockChanged {
    product_id: Text<64>,
    new_quantity: u32,
}

impl Contract for StockChanged {
    const TYPE: &'static str = "stock.changed";
    const VERSION: u16 = 1;
    const PRIORITY: Priority = Priority::High;
    const PRODUCER: &'static str = "inventory-service";
    const AGGREGATE: &'static str = "product";
    const RETENTION: Retention = Retention::Days(7);
    const AGGREGATE_FIELD: AggregateField = AggregateField::Field("product_id");
    fn aggregate_id(&self) -> AggregateId {
        AggregateId::new(self.product_id.as_str()).expect("the samples' ids have the shape")
    }
}

fn registry() -> Registry {
    Registry::new(vec![
        RegisteredContract::of::<OrderCreated>(),
        RegisteredContract::of::<StockChanged>(),
    ])
}

#[test]
fn the_well_formed_event_is_accepted_and_gets_its_aggregate() {
    let sample = fixture("order-created.json");
    let envelope = validator_for(&Registry::envelope_schema()).expect("the schema compiles");
    assert_eq!(envelope.violations(&json(&sample), ""), []);
    let draft = registry()
        .ingest(&sample, &support::ARRIVAL)
        .expect("the event is valid");
    assert_eq!(
        draft.aggregate(),
        "order#a1b2c3d4-e5f6-7890-abcd-ef1234567890"
    );
    // Fields that the contract does not know are kept unchanged.
    assert!(
        draft
            .payload()
            .json()
            .contains("\"fulfillment_status\": \"unfulfilled\"")
    );
}

#[test]
fn a_malformed_event_id_is_refused_at_its_place() {
    for name in ["stock-changed.json", "price-changed.json"] {
        let envelope = validator_for(&Registry::envelope_schema()).expect("the schema compiles");
        assert_eq!(
            envelope.violations(&json(&fixture(name)), ""),
            [Violation::new("/event_id", NOT_AN_EVENT_ID)],
            "{name}"
        );
    }
    let refused = registry()
        .ingest(&fixture("stock-changed.json"), &support::ARRIVAL)
        .expect_err("the id has 13 digits at its end");
    assert_eq!(refused.0, [Violation::new("/event_id", NOT_AN_EVENT_ID)]);
    let refused = Registry::shipped()
        .ingest(&fixture("price-changed.json"), &support::ARRIVAL)
        .expect_err("the id has 13 digits at its end");
    assert_eq!(refused.0, [Violation::new("/event_id", NOT_AN_EVENT_ID)]);
}

#[test]
fn the_payloads_of_the_samples_are_those_of_the_shipped_contracts() {
    for (name, aggregate) in [
        (
            "order-created.json",
            "order#a1b2c3d4-e5f6-7890-abcd-ef1234567890",
        ),
        ("price-changed.json", "price#PRD-001-A"),
        ("stock-changed.json", "stock#PRD-001-A"),
    ] {
        let mut document = json(&fixture(name));
        document["event_id"] = "550e8400-e29b-41d4-a716-446655440000".into();
        let draft = Registry::shipped()
            .ingest(&document.to_string(), &support::ARRIVAL)
            .expect("with a proper id the event is valid");
        assert_eq!(draft.aggregate(), aggregate);
    }
}

#[test]
fn a_missing_correlation_id_is_filled_in_with_the_events_own() {
    let mut document = json(&fixture("stock-changed.json"));
    let id = "550e8400-e29b-41d4-a716-446655440000";
    document["event_id"] = id.into();
    let draft = registry()
        .ingest(&document.to_string(), &support::ARRIVAL)
        .expect("with a proper id the event is valid");
    let cause = events::Cause::default();
    let sealed = draft.seal(&events::Stamp {
        event_id: "550e8400-e29b-41d4-a716-44665544ffff"
            .parse()
            .expect("version 4"),
        sequence: events::Sequence::new(7).expect("in range"),
        now: events::Timestamp::EPOCH,
        cause: &cause,
    });
    assert_eq!(sealed.event_id.to_string(), id);
    assert_eq!(sealed.correlation_id, CorrelationId::from(sealed.event_id));
    assert_eq!(sealed.occurred_at.to_string(), "2026-02-13T12:00:00.000Z");
    assert_eq!(sealed.aggregate(), "product#PRD-00123");
    assert_eq!(
        sealed.priority,
        Priority::Critical,
        "the producer's own word counts"
    );
}
