//! Schemas of request bodies and parameters, and their check: it reports all violations at once, unknown fields
//! included.

use std::{
    any::TypeId,
    collections::HashMap,
    sync::{Arc, OnceLock, PoisonError, RwLock},
};

use events::{SchemaValidator, Violations, validator_for, violations_of};

use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::Value;

/// The JSON Schema (2020-12) of a type, with subschemas inlined, and closed: unknown fields are refused. Every request
/// is checked against it, so unknown fields are refused even if a type does not do so itself.
#[must_use]
pub fn closed_schema_of<T: JsonSchema + ?Sized>() -> Value {
    let mut schema = open_schema_of::<T>();
    close(&mut schema);
    schema
}

/// The same without closing it, because our answers can gain fields.
pub(crate) fn open_schema_of<T: JsonSchema + ?Sized>() -> Value {
    let settings = SchemaSettings::draft2020_12().with(|settings| {
        settings.inline_subschemas = true;
        settings.meta_schema = None;
    });
    settings
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(object) => {
            // The values of these keywords are data, not schemas.
            for (name, inner) in object.iter_mut() {
                if !matches!(name.as_str(), "const" | "enum" | "default" | "examples") {
                    close(inner);
                }
            }
            let has_properties = object.get("properties").is_some_and(|properties| {
                // A property can itself be called "properties".
                properties.is_object() && object.get("type").is_some_and(|kind| !kind.is_object())
            });
            // A body without fields has no properties and must still be closed.
            let is_object_schema =
                has_properties || object.get("type").is_some_and(|kind| kind == "object");
            if is_object_schema
                && !object.contains_key("additionalProperties")
                && !object.contains_key("unevaluatedProperties")
            {
                object.insert("additionalProperties".into(), Value::Bool(false));
            }
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

/// A type's closed schema and its validator, built once per type.
pub(crate) struct Checker {
    schema: Value,
    validator: SchemaValidator,
}

impl Checker {
    /// The checker of a type.
    ///
    /// # Errors
    /// The text of the error if the type's `JsonSchema` is not a valid schema.
    pub(crate) fn of<T: JsonSchema + ?Sized + 'static>() -> Result<Arc<Self>, String> {
        static CHECKERS: OnceLock<RwLock<HashMap<TypeId, Arc<Checker>>>> = OnceLock::new();
        let checkers = CHECKERS.get_or_init(RwLock::default);
        let id = TypeId::of::<T>();
        // A poisoned lock still holds complete entries: they are only ever inserted.
        if let Some(found) = checkers
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&id)
        {
            return Ok(Arc::clone(found));
        }
        let schema = closed_schema_of::<T>();
        let validator = validator_for(&schema)?;
        let made = Arc::new(Self { schema, validator });
        checkers
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .insert(id, Arc::clone(&made));
        Ok(made)
    }

    /// The violations; `prefix` goes before the pointers.
    pub(crate) fn violations(&self, document: &Value, prefix: &str) -> Violations {
        violations_of(&self.validator, document, prefix)
    }

    /// A parameter's text as the JSON type that its schema asks for. It stays a string if it cannot be converted.
    pub(crate) fn coerce(&self, name: &str, text: &str) -> Value {
        let property = self.schema.get("properties").and_then(|all| all.get(name));
        let wants = |kind: &str| property.is_some_and(|property| asks_for(property, kind));
        if wants("integer")
            && !text.is_empty()
            && text.bytes().all(|byte| byte.is_ascii_digit())
            && let Ok(number) = text.parse::<u64>()
        {
            return number.into();
        }
        if wants("boolean")
            && let Ok(truth) = text.parse::<bool>()
        {
            return truth.into();
        }
        text.into()
    }
}

fn asks_for(schema: &Value, kind: &str) -> bool {
    let named = match schema.get("type") {
        Some(Value::String(name)) => name == kind,
        Some(Value::Array(names)) => names.iter().any(|name| name == kind),
        _ => false,
    };
    named
        || ["anyOf", "oneOf", "allOf"].iter().any(|group| {
            schema
                .get(*group)
                .and_then(Value::as_array)
                .is_some_and(|parts| parts.iter().any(|part| asks_for(part, kind)))
        })
}

#[cfg(test)]
mod tests {
    #![expect(dead_code, reason = "the types stand for their schemas only")]

    use std::collections::BTreeMap;

    use super::*;

    #[derive(JsonSchema)]
    struct Nothing {}

    #[derive(JsonSchema)]
    struct Something {
        nothing: Nothing,
        free: BTreeMap<String, u32>,
        #[schemars(rename = "type")]
        kind: String,
    }

    #[test]
    fn what_a_body_takes_is_closed_also_where_it_takes_nothing() {
        let schema = closed_schema_of::<Nothing>();
        assert_eq!(schema["additionalProperties"], Value::Bool(false));
        let schema = closed_schema_of::<Something>();
        assert_eq!(schema["additionalProperties"], Value::Bool(false));
        let of = |name: &str| &schema["properties"][name]["additionalProperties"];
        assert_eq!(of("nothing"), &Value::Bool(false));
        assert!(of("free").is_object());
        assert!(schema["properties"]["additionalProperties"].is_null());
    }
}
