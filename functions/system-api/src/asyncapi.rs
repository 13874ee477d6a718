//! The events as an AsyncAPI 3.0 document: each event on the bus, its producer, its consumers and its retention
//! (<https://www.asyncapi.com/docs/reference/specification/v3.0.0>, read 2026-11-29).
//!
//! It is rendered from contracts and topology. The document of the whole project is checked in at
//! `infra/docs/asyncapi.json`.

use std::{collections::BTreeMap, sync::Arc};

use api::{Problem, Reply, State};
use events::{RegisteredContract, Registry};
use serde_json::{Map, Value, json};
use topology::Deployment;

use crate::{
    contracts::{consumers, sample},
    router::App,
};

const DESCRIPTION: &str = "\
Every event is one entry on the EventBridge bus of the deployment (the stack's output BusName): `source` is the producer, \
`detail-type` the event's type, and `detail` the envelope. Your own consumers put a rule on the bus. Each event is delivered at \
least once, so a consumer must tolerate repeats of an `event_id`. Other systems publish events of open contracts by \
POST /api/v1/events.";

/// Returns the document of a deployment.
#[must_use]
pub fn document(registry: &Registry, deployment: &Deployment) -> Value {
    let is_deployed = |contract: &&RegisteredContract| {
        let functions = deployment.functions();
        functions
            .iter()
            .any(|function| function.name == contract.info().producer)
    };
    let mut by_type: BTreeMap<&str, Vec<&RegisteredContract>> = BTreeMap::new();
    for contract in registry.registered().iter().filter(is_deployed) {
        by_type
            .entry(contract.info().event_type)
            .or_default()
            .push(contract);
    }
    let (mut channels, mut operations) = (Map::new(), Map::new());
    let (mut messages, mut schemas) = (Map::new(), Map::new());
    schemas.insert("envelope".to_owned(), plain(Registry::envelope_schema()));
    for (event_type, versions) in by_type {
        let mut of_channel = Map::new();
        for contract in &versions {
            let version = format!("v{}", contract.info().version);
            let name = format!("{event_type}.{version}");
            let reference = json!({ "$ref": format!("#/components/messages/{name}") });
            of_channel.insert(version, reference);
            messages.insert(name.clone(), message(contract, &name));
            schemas.insert(name, plain(contract.schema()));
        }
        let channel = json!({ "$ref": format!("#/channels/{event_type}") });
        channels.insert(
            event_type.to_owned(),
            json!({
                "address": event_type,
                "servers": [{ "$ref": "#/servers/bus" }],
                "messages": of_channel,
            }),
        );
        let Some(newest) = versions.last().map(|contract| contract.info()) else {
            continue;
        };
        operations.insert(
            format!("send.{event_type}"),
            json!({
                "action": "send",
                "channel": channel,
                "summary": format!("Published by {}.", newest.producer),
                "x-producer": newest.producer,
                "x-consumers": consumers(deployment, event_type),
            }),
        );
        if newest.is_open() {
            operations.insert(
                format!("receive.{event_type}"),
                json!({
                    "action": "receive",
                    "channel": channel,
                    "summary": "Other systems publish it by POST /api/v1/events.",
                }),
            );
        }
    }
    json!({
        "asyncapi": "3.0.0",
        "id": "urn:millrace",
        "info": {
            "title": "Millrace",
            "version": env!("CARGO_PKG_VERSION"),
            "description": DESCRIPTION,
        },
        "defaultContentType": "application/json",
        "servers": {
            "bus": {
                "host": "events.{region}.amazonaws.com",
                "protocol": "eventbridge",
                "description": "The bus of the deployment.",
                "variables": { "region": { "description": "The region of the deployment." } },
            },
        },
        "channels": channels,
        "operations": operations,
        "components": { "messages": messages, "schemas": schemas },
    })
}

fn message(contract: &RegisteredContract, name: &str) -> Value {
    let info = contract.info();
    let described = contract.schema();
    json!({
        "name": info.event_type,
        "title": format!("{} v{}", info.event_type, info.version),
        "summary": described["description"],
        "contentType": "application/json",
        "payload": {
            "allOf": [
                { "$ref": "#/components/schemas/envelope" },
                {
                    "type": "object",
                    "properties": {
                        "event_type": { "const": info.event_type },
                        "event_version": { "const": format!("v{}", info.version) },
                        "payload": { "$ref": format!("#/components/schemas/{name}") },
                    },
                },
            ],
        },
        "x-priority": info.priority,
        "x-aggregate": info.aggregate_pattern(),
        "x-retention": info.retention.to_string(),
        "x-payload-sample": sample(info),
    })
}

/// Prepares a schema for embedding: the enclosing document has its own address and dialect, so references within the
/// schema are inlined.
fn plain(mut schema: Value) -> Value {
    if let Some(fields) = schema.as_object_mut() {
        fields.remove("$schema");
        if let Some(id) = fields.remove("$id") {
            fields.insert("x-schema-id".to_owned(), id);
        }
        if let Some(definitions) = fields.remove("$defs") {
            put_in_place(&mut schema, &definitions);
        }
    }
    schema
}

fn put_in_place(schema: &mut Value, definitions: &Value) {
    match schema {
        Value::Object(fields) => {
            let referred = fields.get("$ref").and_then(Value::as_str);
            let name = referred.and_then(|place| place.strip_prefix("#/$defs/"));
            if let Some(Value::Object(definition)) = name.map(|name| definitions[name].clone()) {
                fields.remove("$ref");
                for (name, value) in definition {
                    fields.entry(name).or_insert(value);
                }
            }
            for value in fields.values_mut() {
                put_in_place(value, definitions);
            }
        }
        Value::Array(items) => {
            for item in items {
                put_in_place(item, definitions);
            }
        }
        _ => {}
    }
}

pub(crate) async fn asyncapi(State(app): State<Arc<App>>) -> Result<Reply<Value>, Problem> {
    Reply::of(&document(app.outbox.registry(), &app.deployment))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_schema_refers_to_stands_in_place() {
        let whole = document(&Registry::shipped(), &Deployment::whole());
        assert!(!whole.to_string().contains("$defs"));
        let metadata = &whole["components"]["schemas"]["envelope"]["properties"]["metadata"];
        assert!(metadata.to_string().contains("tenant_id"), "{metadata}");
    }

    #[test]
    fn every_deployed_contract_is_a_message_and_an_open_one_is_received() {
        let registry = Registry::shipped();
        let whole = document(&registry, &Deployment::whole());
        for contract in registry.contracts() {
            let name = format!("{}.v{}", contract.event_type, contract.version);
            assert!(whole["components"]["messages"][&name].is_object(), "{name}");
            let receives = &whole["operations"][format!("receive.{}", contract.event_type)];
            assert_eq!(receives.is_object(), contract.is_open(), "{name}");
            assert!(!sample(contract).is_null(), "{name} has no sample");
        }
        let spine = Deployment::of_setting("").expect("the spine alone");
        let spine = document(&registry, &spine);
        assert!(spine["channels"]["erp.stock_counted"].is_object());
        assert!(spine["channels"]["loan.funded"].is_null());
    }
}
