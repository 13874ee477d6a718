//! A worked example of the second version of a contract.
//!
//! A shelf's stock was first one number, and is now a number per place. Producers write v2. Events of v1 are still in
//! event logs, lanes and dead-letter queues, so their type stays, and v2 knows how to read it. Consumers know only v2.

use events::{
    AggregateField, AggregateId, Contract, DecodeError, Envelope, EventVersion, Evidence, Priority,
    RegisteredContract, Registry, Retention, Sequence, Subscription, Text, Violation, decode_as,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json, value::RawValue};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
struct CountedV1 {
    shelf_id: Text<32>,
    pieces: u32,
    version: Sequence,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Counted {
    shelf_id: Text<32>,
    places: Vec<Place>,
    version: Sequence,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
struct Place {
    name: Text<32>,
    pieces: u32,
}

impl From<CountedV1> for Counted {
    fn from(old: CountedV1) -> Self {
        let whole = Place {
            name: Text::new("whole").expect("a constant"),
            pieces: old.pieces,
        };
        Self {
            shelf_id: old.shelf_id,
            places: vec![whole],
            version: old.version,
        }
    }
}

fn shelf(id: &Text<32>) -> AggregateId {
    AggregateId::new(id.as_str()).expect("the example's ids have the shape")
}

impl Contract for CountedV1 {
    const TYPE: &'static str = "shelf.counted";
    const VERSION: u16 = 1;
    const PRIORITY: Priority = Priority::Normal;
    const PRODUCER: &'static str = "shelf-api";
    const AGGREGATE: &'static str = "shelf";
    const RETENTION: Retention = Retention::Days(7);
    const AGGREGATE_FIELD: AggregateField = AggregateField::Field("shelf_id");
    fn aggregate_id(&self) -> AggregateId {
        shelf(&self.shelf_id)
    }
}

impl Contract for Counted {
    const TYPE: &'static str = CountedV1::TYPE;
    const VERSION: u16 = 2;
    const PRIORITY: Priority = Priority::Normal;
    const PRODUCER: &'static str = "shelf-api";
    const AGGREGATE: &'static str = "shelf";
    const RETENTION: Retention = Retention::Days(7);
    const AGGREGATE_FIELD: AggregateField = AggregateField::Field("shelf_id");
    fn aggregate_id(&self) -> AggregateId {
        shelf(&self.shelf_id)
    }
    fn upcast(version: EventVersion, payload: &RawValue) -> Option<Result<Self, DecodeError>> {
        (version.number() == CountedV1::VERSION)
            .then(|| decode_as::<CountedV1>(payload).map(Self::from))
    }
}

events::subscription! {
    /// What the stock keeper listens to. It is written only for v2.
    #[derive(PartialEq)]
    enum Event {
        /// A shelf was counted.
        Counted(Counted) by Guard,
    }
}

fn registry() -> Registry {
    Registry::new(vec![
        RegisteredContract::of::<Counted>(),
        RegisteredContract::of::<CountedV1>(),
    ])
}

fn envelope(event_type: &str, version: &str, payload: &Value) -> Envelope {
    let document = json!({
        "event_id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
        "event_type": event_type,
        "event_version": version,
        "occurred_at": "2026-11-21T04:00:00.000Z",
        "producer": "shelf-api",
        "correlation_id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
        "priority": "normal",
        "aggregate_type": "shelf",
        "aggregate_id": "a-1",
        "sequence": 1,
        "payload": payload,
    });
    Registry::read(&document.to_string()).expect("the envelope is well formed")
}

fn old() -> Value {
    json!({ "shelf_id": "a-1", "pieces": 12, "version": 3 })
}

fn new() -> Value {
    json!({ "shelf_id": "a-1", "places": [{ "name": "whole", "pieces": 12 }], "version": 3 })
}

#[test]
fn a_consumer_written_for_the_new_version_reads_both() {
    let from_new = Event::decode(&envelope("shelf.counted", "v2", &new())).expect("v2 is its own");
    let from_old = Event::decode(&envelope("shelf.counted", "v1", &old())).expect("v1 is upcast");
    assert_eq!(from_old, from_new);
    let types = Event::SELECTION.types();
    assert_eq!(types.len(), 1);
    assert_eq!(types[0].version, 2);
    assert_eq!(Event::evidence("shelf.counted"), Some(Evidence::Guard));
    assert_eq!(Event::evidence("shelf.built"), None);
}

#[test]
fn the_registry_keeps_both_versions_and_checks_each_by_its_own_schema() {
    let registry = registry();
    assert_eq!(registry.faults(&["shelf"]), Vec::<String>::new());
    assert_eq!(registry.latest("shelf.counted"), Some(2));
    assert_eq!(
        registry
            .list("shelf.counted")
            .map(|contract| contract.info().version)
            .collect::<Vec<_>>(),
        [1, 2]
    );
    for (version, payload) in [("v1", old()), ("v2", new())] {
        let written = envelope("shelf.counted", version, &payload)
            .to_json()
            .expect("it is small");
        assert_eq!(
            registry.validate(&serde_json::from_str(&written).expect("JSON")),
            [],
            "{version}"
        );
    }
    let swapped = envelope("shelf.counted", "v2", &old())
        .to_json()
        .expect("it is small");
    assert_eq!(
        registry.validate(&serde_json::from_str(&swapped).expect("JSON")),
        [Violation::new("/payload/places", "is required")]
    );
}

#[test]
fn a_version_newer_than_the_code_is_an_outcome_of_its_own() {
    let error =
        Event::decode(&envelope("shelf.counted", "v3", &new())).expect_err("nobody knows v3");
    assert!(matches!(&error, DecodeError::UnknownVersion { version, .. } if version.number() == 3));
    assert_eq!(error.to_string(), "unknown version v3 of shelf.counted");
    let newer = envelope("shelf.counted", "v3", &new())
        .to_json()
        .expect("it is small");
    assert_eq!(
        registry()
            .ingest(&newer, &crate::support::ARRIVAL)
            .expect_err("refused")
            .to_string(),
        "invalid event: /event_version: is not a known version of the event type; the latest is v2"
    );
}

#[test]
fn a_type_that_is_not_subscribed_to_is_an_outcome_of_its_own() {
    let error =
        Event::decode(&envelope("shelf.built", "v1", &old())).expect_err("not subscribed to");
    assert_eq!(error, DecodeError::UnknownType("shelf.built".into()));
    assert_eq!(error.to_string(), "unknown event type shelf.built");
}

#[test]
fn an_old_event_that_breaks_its_old_contract_is_told_by_the_old_contracts_fields() {
    let broken = json!({ "shelf_id": "a-1", "pieces": -1 });
    let error = Event::decode(&envelope("shelf.counted", "v1", &broken)).expect_err("it breaks v1");
    assert_eq!(
        error.to_string(),
        "invalid: /payload/pieces: must be at least 0; /payload/version: is required"
    );
}
