//! Parameters of path and query: checked against their type's schema, with every violation reported under its
//! parameter's name.

use std::collections::BTreeSet;

use axum::extract::{FromRequestParts, RawPathParams};
use events::Violation;
use http::request::Parts;
use schemars::JsonSchema;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::{Problem, schema::Checker};

/// The query parameters, as a struct. Unknown parameters are refused: otherwise a misspelt `cursor` would return the
/// first page forever.
#[derive(Debug, Clone, Copy)]
pub struct Query<T>(pub T);

/// The path parameters, as a struct whose fields have the names of the `{parameters}` in the route.
#[derive(Debug, Clone, Copy)]
pub struct Path<T>(pub T);

fn read<T, N>(place: &str, pairs: impl Iterator<Item = (N, String)>) -> Result<T, Problem>
where
    T: DeserializeOwned + JsonSchema + 'static,
    N: AsRef<str>,
{
    let checker = Checker::of::<T>().map_err(Problem::internal_text)?;
    let mut document = Map::new();
    let mut twice = BTreeSet::new();
    for (name, text) in pairs {
        let name = name.as_ref();
        if document
            .insert(name.to_owned(), checker.coerce(name, &text))
            .is_some()
        {
            twice.insert(name.to_owned());
        }
    }
    let document = Value::Object(document);
    let mut violations = checker.violations(&document, place);
    violations.extend(
        twice
            .iter()
            .map(|name| Violation::new(format!("{place}/{name}"), "is given more than once")),
    );
    if violations.is_empty() {
        serde_json::from_value(document).map_err(|error| {
            Problem::invalid_parameter(vec![Violation::new(place, error.to_string())])
        })
    } else {
        Err(Problem::invalid_parameter(violations))
    }
}

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: DeserializeOwned + JsonSchema + 'static,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let pairs = axum::extract::Query::<Vec<(String, String)>>::try_from_uri(&parts.uri)
            .map_err(|error| {
                Problem::invalid_parameter(vec![Violation::new("/query", error.to_string())])
            })?;
        read("/query", pairs.0.into_iter()).map(Self)
    }
}

impl<T, S> FromRequestParts<S> for Path<T>
where
    T: DeserializeOwned + JsonSchema + 'static,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let params = RawPathParams::from_request_parts(parts, state)
            .await
            .map_err(|error| {
                Problem::invalid_parameter(vec![Violation::new("/path", error.to_string())])
            })?;
        let pairs: Vec<(&str, String)> = params
            .iter()
            .map(|(name, value)| (name, value.to_owned()))
            .collect();
        read("/path", pairs.into_iter()).map(Self)
    }
}
