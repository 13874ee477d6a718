//! Tests single contracts, and the validation of events.

use ::http::Method;
use events::{
    AggregateField, AggregateId, Contract, Priority, RegisteredContract, Registry, Retention, Text,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use system_api::health::Health;

use crate::http::{Answer, Service};

/// A contract of a shop. Only the field that names its aggregate matters here.
macro_rules! contract_of_a_shop {
    ($name:ident, $event_type:literal, $aggregate:literal, $field:ident) => {
        #[derive(Debug, Serialize, Deserialize, JsonSchema)]
        struct $name {
            $field: Text<64>,
        }

        impl Contract for $name {
            const TYPE: &'static str = $event_type;
            const VERSION: u16 = 1;
            const PRIORITY: Priority = Priority::Critical;
            const PRODUCER: &'static str = "shop";
            const AGGREGATE: &'static str = $aggregate;
            const RETENTION: Retention = Retention::Days(7);
            const AGGREGATE_FIELD: AggregateField = AggregateField::Field(stringify!($field));
            fn aggregate_id(&self) -> AggregateId {
                AggregateId::new(self.$field.as_str()).unwrap()
            }
        }
    };
}

contract_of_a_shop!(OrderCreated, "order.created", "order", order_id);
contract_of_a_shop!(StockChanged, "stock.changed", "stock", sku);
contract_of_a_shop!(PriceChanged, "price.changed", "price", sku);

/// The sample events of a shop's documentation: one is well formed, in two the id has one digit too many.
#[tokio::test]
async fn a_shops_sample_events_pass_or_are_told_what_is_wrong_with_them() {
    let registry = Registry::new(vec![
        RegisteredContract::of::<OrderCreated>(),
        RegisteredContract::of::<StockChanged>(),
        RegisteredContract::of::<PriceChanged>(),
    ]);
    let service = Service::of(Health::new(), registry).await;
    let fixture = |text: &str| serde_json::from_str::<Value>(text).unwrap();
    let order = fixture(include_str!(
        "../../../../shared/events/tests/fixtures/order-created.json"
    ));
    assert_eq!(
        violations(&validate(&service, "order.created/v1", &order).await),
        []
    );
    for (contract, text) in [
        (
            "stock.changed/v1",
            include_str!("../../../../shared/events/tests/fixtures/stock-changed.json"),
        ),
        (
            "price.changed/v1",
            include_str!("../../../../shared/events/tests/fixtures/price-changed.json"),
        ),
    ] {
        let mut event = fixture(text);
        let found = violations(&validate(&service, contract, &event).await);
        let message = "must be a UUID of version 4 or 7 (8-4-4-4-12 hexadecimal digits)";
        assert_eq!(
            found,
            [("/event_id".to_owned(), message.to_owned())],
            "{contract}"
        );
        // Without the id, which is optional, the event is valid; the missing correlation id is optional too.
        event.as_object_mut().unwrap().remove("event_id");
        assert_eq!(violations(&validate(&service, contract, &event).await), []);
    }
}

const CONTRACTS: &str = "/api/v1/contracts";

async fn validate(service: &Service, contract: &str, event: &Value) -> Answer {
    let path = format!("{CONTRACTS}/{contract}/validate");
    service
        .send(
            Method::POST,
            &path,
            Some(&service.key),
            "",
            &event.to_string(),
        )
        .await
}

fn violations(answer: &Answer) -> Vec<(String, String)> {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let verdict = answer.json();
    let violations = verdict["violations"].as_array().unwrap();
    assert_eq!(verdict["valid"], violations.is_empty());
    let text = |one: &Value, name: &str| one[name].as_str().unwrap().to_owned();
    violations
        .iter()
        .map(|one| (text(one, "pointer"), text(one, "message")))
        .collect()
}

#[tokio::test]
async fn a_contract_says_what_one_needs_to_know_to_listen_to_it() {
    let service = Service::start().await;
    let contract = service
        .get(&format!("{CONTRACTS}/loan.funded/v1"))
        .await
        .json();
    assert_eq!(contract["producer"], "loan-api");
    assert_eq!(contract["open"], false);
    assert_eq!(contract["priority"], "critical");
    assert_eq!(contract["retention_days"], Value::Null);
    assert_eq!(contract["aggregate"], "loan/{loan_id}");
    let consumers: Vec<&str> = contract["consumers"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one.as_str().unwrap())
        .collect();
    assert_eq!(
        consumers,
        ["analytics", "audit-log", "event-feed", "loan-servicing",]
    );
    let schema = jsonschema::validator_for(&contract["schema"]).unwrap();
    assert!(schema.is_valid(&contract["sample"]));
    let versions = service
        .get(&format!("{CONTRACTS}/loan.funded"))
        .await
        .json();
    assert_eq!(versions["items"], json!([contract]));
    let open = service
        .get(&format!("{CONTRACTS}/erp.stock_counted/v1"))
        .await
        .json();
    assert_eq!(open["open"], true);
}

#[tokio::test]
async fn an_unknown_contract_names_the_nearest_types_or_the_latest_version() {
    let service = Service::start().await;
    for (path, expected) in [
        ("loan.fundet/v1", "loan.funded"),
        ("loan.fundet", "loan.funded"),
        ("loan.funded/v2", "the latest is v1"),
        ("loan.funded/one", "the latest is v1"),
        ("qqq", "is not a known event type"),
    ] {
        let answer = service.get(&format!("{CONTRACTS}/{path}")).await;
        assert_eq!(answer.status, 404, "{path}");
        assert!(answer.text.contains(expected), "{path}: {}", answer.text);
    }
    let answer = validate(&service, "loan.fundet/v1", &json!({})).await;
    assert_eq!(answer.status, 404);
}

#[tokio::test]
async fn an_event_is_checked_whole_and_nothing_is_committed() {
    let service = Service::start().await;
    let contract = service
        .get(&format!("{CONTRACTS}/loan.funded/v1"))
        .await
        .json();
    let mut event = json!({
        "event_type": "loan.funded", "event_version": "v1", "producer": "tests", "payload": contract["sample"],
    });
    assert_eq!(
        violations(&validate(&service, "loan.funded/v1", &event).await),
        []
    );
    let mut slip = event.clone();
    slip["evnt_id"] = json!("x");
    let found = violations(&validate(&service, "loan.funded/v1", &slip).await);
    assert_eq!(found[0].0, "/evnt_id");
    let other = validate(&service, "loan.created/v1", &event).await;
    assert_eq!(
        violations(&other)[0].1,
        "must be loan.created, as the path says"
    );
    event["payload"]["funded_amount"] = json!(-1);
    event["event_id"] = json!("550e8400-e29b-41d4-a716-4466554400001");
    let found = violations(&validate(&service, "loan.funded/v1", &event).await);
    let pointers: Vec<&str> = found.iter().map(|(pointer, _)| pointer.as_str()).collect();
    assert_eq!(pointers, ["/event_id", "/payload/funded_amount"]);
    let cloudevent = json!({
        "specversion": "1.0", "id": "1", "source": "tests", "type": "loan.funded", "data": event["payload"],
    });
    let found = violations(&validate(&service, "loan.funded/v1", &cloudevent).await);
    assert_eq!(found[0].0, "/data/funded_amount");
    let path = format!("{CONTRACTS}/loan.funded/v1/validate");
    let broken = service
        .send(Method::POST, &path, Some(&service.key), "", "{")
        .await;
    assert_eq!(broken.status, 400);
    let reader = service.key_of(&["contracts:read"]).await;
    let answer = service
        .send(Method::POST, &path, Some(&reader), "", "{}")
        .await;
    assert_eq!(answer.status, 200, "the request changes nothing");
    let log = service
        .get("/api/v1/events?aggregate_type=loan&aggregate_id=0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a60")
        .await;
    assert_eq!(log.json()["items"], json!([]));
}
