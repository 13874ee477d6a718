//! The OpenAPI 3.1 document, made of the routes, and its joining over functions.

use serde_json::{Map, Value, json};

use crate::routes::RouteDoc;

/// Two functions say different things of one name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place} is described twice, differently")]
pub struct MergeError {
    place: String,
}

fn frame(title: &str, version: &str) -> Value {
    json!({
        "openapi": "3.1.0",
        "info": { "title": title, "version": version },
        "servers": [{ "url": "/" }],
        "paths": {},
        "components": {
            "schemas": { "Problem": problem_schema() },
            "securitySchemes": {
                "api_key": { "type": "http", "scheme": "bearer", "description": "An API key: mr_<key_id>_<secret>." }
            },
        },
    })
}

fn problem_schema() -> Value {
    json!({
        "type": "object",
        "description": "Problem details (RFC 9457).",
        "required": ["type", "title", "status"],
        "properties": {
            "type": { "type": "string", "format": "uri", "description": "urn:millrace:problem:<name>, stable." },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "retry_after": { "type": "integer", "description": "Seconds." },
            "violations": {
                "type": "array",
                "items": {
                    "type": "object",
                    "required": ["pointer", "message"],
                    "properties": {
                        "pointer": { "type": "string", "description": "JSON pointer into the body, or /path, /query, /header and a name." },
                        "message": { "type": "string" },
                    },
                },
            },
        },
    })
}

pub(crate) fn document_of(title: &str, routes: impl Iterator<Item = RouteDoc>) -> Value {
    let mut document = frame(title, env!("CARGO_PKG_VERSION"));
    for route in routes {
        if let Some(paths) = document["paths"].as_object_mut() {
            let path = paths
                .entry(route.path)
                .or_insert_with(|| Value::Object(Map::new()));
            path[route.method.as_str().to_ascii_lowercase()] = route.operation;
        }
        if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
            schemas.extend(route.schemas);
        }
    }
    document
}

/// Joins the documents of several functions into one.
///
/// # Errors
/// [`MergeError`] when two of them describe one endpoint or one schema differently.
pub fn merge<'a>(
    title: &str,
    documents: impl IntoIterator<Item = &'a Value>,
) -> Result<Value, MergeError> {
    let mut merged = frame(title, env!("CARGO_PKG_VERSION"));
    for document in documents {
        for (path, methods) in document["paths"].as_object().into_iter().flatten() {
            for (method, operation) in methods.as_object().into_iter().flatten() {
                let place = &mut merged["paths"][path][method];
                put(place, operation, || format!("{method} {path}"))?;
            }
        }
        for (name, schema) in document["components"]["schemas"]
            .as_object()
            .into_iter()
            .flatten()
        {
            let place = &mut merged["components"]["schemas"][name];
            put(place, schema, || format!("schema {name}"))?;
        }
    }
    Ok(merged)
}

fn put(place: &mut Value, value: &Value, name: impl FnOnce() -> String) -> Result<(), MergeError> {
    if place.is_null() {
        *place = value.clone();
    } else if place != value {
        return Err(MergeError { place: name() });
    }
    Ok(())
}
