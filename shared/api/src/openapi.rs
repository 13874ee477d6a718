//! Builds the OpenAPI 3.1 document from a function's routes, and merges the documents of several functions.

use serde_json::{Map, Value, json};

use crate::routes::RouteDoc;

/// Names that a document's own endpoints describe differently. They stay in the document until [`merge`] refuses it.
const CONFLICTS: &str = "x-conflicts";

/// Two functions, or two endpoints of one function, describe the same name differently.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{place} has two different descriptions")]
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
                "api_key": { "type": "http", "scheme": "bearer", "description": "An API key: mr_<key_id>_<secret>." },
                "stream_token": { "type": "apiKey", "in": "query", "name": "token", "description": "A token that is valid only for the event stream." },
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
            "type": { "type": "string", "format": "uri", "description": "urn:millrace:problem:<name>; it never changes." },
            "title": { "type": "string" },
            "status": { "type": "integer" },
            "detail": { "type": "string" },
            "retry_after": { "type": "integer", "description": "Seconds to wait before a retry." },
            "violations": {
                "type": "array",
                "maxItems": events::MAX_VIOLATIONS,
                "items": {
                    "type": "object",
                    "required": ["pointer", "message"],
                    "properties": {
                        "pointer": { "type": "string", "description": "JSON pointer into the body, or /path, /query, /header and a name." },
                        "message": { "type": "string" },
                    },
                },
            },
            "more_violations": { "type": "integer", "description": "How many more violations there are than are listed; absent if all are listed." },
        },
    })
}

pub(crate) fn document_of(title: &str, routes: impl Iterator<Item = RouteDoc>) -> Value {
    let mut document = frame(title, env!("CARGO_PKG_VERSION"));
    let mut conflicts = Vec::new();
    for route in routes {
        if let Some(paths) = document["paths"].as_object_mut() {
            let path = paths
                .entry(route.path)
                .or_insert_with(|| Value::Object(Map::new()));
            path[route.method.as_str().to_ascii_lowercase()] = route.operation;
        }
        if let Some(schemas) = document["components"]["schemas"].as_object_mut() {
            for (name, schema) in route.schemas {
                if schemas.get(&name).is_some_and(|known| *known != schema) {
                    conflicts.push(Value::from(name));
                } else {
                    schemas.insert(name, schema);
                }
            }
        }
    }
    if !conflicts.is_empty() {
        document[CONFLICTS] = conflicts.into();
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
        if let Some(name) = document[CONFLICTS][0].as_str() {
            let place = format!("schema {name}");
            return Err(MergeError { place });
        }
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use schemars::JsonSchema;
    use serde::Serialize;

    use super::*;
    use crate::{Doc, Page, Problem, Reply, Routes};

    #[derive(Serialize, JsonSchema)]
    struct Balance {
        cents: u64,
    }

    mod other {
        #[derive(serde::Serialize, schemars::JsonSchema)]
        pub(super) struct Balance {
            name: String,
        }
    }

    async fn one() -> Result<Reply<Balance>, Problem> {
        Reply::of(&Balance { cents: 1 })
    }

    async fn list() -> Result<Reply<Page<Balance>>, Problem> {
        Err(Problem::not_found("none"))
    }

    async fn list_of_text() -> Result<Reply<Page<String>>, Problem> {
        Err(Problem::not_found("none"))
    }

    async fn two() -> Result<Reply<other::Balance>, Problem> {
        Err(Problem::not_found("none"))
    }

    fn first() -> Value {
        Routes::<()>::new("first")
            .get("/api/v1/first", one, Doc::new("One"))
            .get("/api/v1/first/list", list, Doc::new("List"))
            .openapi()
    }

    #[test]
    fn documents_of_functions_join_and_pages_of_different_things_have_their_own_names() {
        let second = Routes::<()>::new("second")
            .get("/api/v1/second", one, Doc::new("The same answer"))
            .get("/api/v1/second/list", list_of_text, Doc::new("List"))
            .openapi();
        let merged = merge("All", [&first(), &second]).unwrap();
        assert_eq!(merged["paths"].as_object().unwrap().len(), 4);
        let names: Vec<&String> = merged["components"]["schemas"]
            .as_object()
            .unwrap()
            .keys()
            .collect();
        assert!(
            names.contains(&&"PageOfBalance".to_owned())
                && names.contains(&&"PageOfstring".to_owned()),
            "{names:?}"
        );
    }

    #[test]
    fn one_name_for_two_things_is_refused_between_functions_and_within_one() {
        let second = Routes::<()>::new("second")
            .get("/api/v1/second", two, Doc::new("Two"))
            .openapi();
        assert_eq!(
            merge("All", [&first(), &second]).unwrap_err().to_string(),
            "schema Balance has two different descriptions"
        );
        let both = Routes::<()>::new("both")
            .get("/api/v1/one", one, Doc::new("One"))
            .get("/api/v1/two", two, Doc::new("Two"))
            .openapi();
        assert!(merge("All", [&both]).is_err());
        let again = Routes::<()>::new("again")
            .get("/api/v1/first", two, Doc::new("Again"))
            .openapi();
        assert!(merge("All", [&first(), &again]).is_err());
    }
}
