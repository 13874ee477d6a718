//! JSON Schemas made from types, and validators that agree with the decoders and give readable messages.

use std::{
    any::TypeId,
    collections::HashMap,
    sync::{Arc, LazyLock, PoisonError, RwLock},
};

use jsonschema::{Keyword, ValidationError, error::ValidationErrorKind as Kind, paths::Location};
use schemars::{JsonSchema, Schema, generate::SchemaSettings, transform::transform_subschemas};
use serde_json::{Map, Value, json};

use crate::{
    Timestamp, Violation, Violations, amount,
    violation::{Collector, escape},
};

/// The JSON Schema (2020-12) of a type.
///
/// Plain integers get the bounds of their Rust type and `x-integer`; plain enums get the keyword `enum`. So the schema
/// accepts exactly what the decoder accepts.
#[must_use]
pub fn schema_of<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12()
        .with_transform(normalize)
        .into_generator()
        .into_root_schema_for::<T>()
        .to_value()
}

fn normalize(schema: &mut Schema) {
    transform_subschemas(&mut normalize, schema);
    let Some(node) = schema.as_object_mut() else {
        return;
    };
    // For a reader, absent and null are the same; a default of null in every field adds nothing.
    if node.get("default").is_some_and(Value::is_null) {
        node.remove("default");
    }
    normalize_integer(node);
    normalize_enum(node);
}

// In JSON Schema 1.0 is an integer and integers have no width. For the decoders the opposite holds.
fn normalize_integer(node: &mut Map<String, Value>) {
    let integer = node
        .get("type")
        .is_some_and(|name| name == "integer" || has(name, "integer"));
    if !integer {
        return;
    }
    node.insert("x-integer".into(), true.into());
    let (low, high) = match node.get("format").and_then(Value::as_str) {
        Some("int8") => (json!(i8::MIN), json!(i8::MAX)),
        Some("int16") => (json!(i16::MIN), json!(i16::MAX)),
        Some("int32") => (json!(i32::MIN), json!(i32::MAX)),
        Some("int64") => (json!(i64::MIN), json!(i64::MAX)),
        Some("uint8") => (json!(0), json!(u8::MAX)),
        Some("uint16") => (json!(0), json!(u16::MAX)),
        Some("uint32") => (json!(0), json!(u32::MAX)),
        Some("uint64") => (json!(0), json!(u64::MAX)),
        _ => return,
    };
    node.entry("minimum").or_insert(low);
    node.entry("maximum").or_insert(high);
}

// schemars writes an enum with documented variants as alternatives of one constant each, and an optional one as another
// level of alternatives. Validators can then report only "none of these".
fn normalize_enum(node: &mut Map<String, Value>) {
    if let Some(alternatives) = node.get("oneOf").and_then(Value::as_array).cloned() {
        let names: Option<Vec<Value>> = alternatives
            .iter()
            .map(|one| one.get("const").cloned())
            .collect();
        if let Some(names) = names {
            let docs: Vec<Value> = alternatives
                .iter()
                .map(|one| one.get("description").cloned().unwrap_or_default())
                .collect();
            node.remove("oneOf");
            node.insert("type".into(), "string".into());
            node.insert("enum".into(), names.into());
            node.insert("x-enum-descriptions".into(), docs.into());
        }
    }
    if let Some([inner, null]) = node
        .get("anyOf")
        .and_then(Value::as_array)
        .map(Vec::as_slice)
        && *null == json!({ "type": "null" })
        && let Some(names) = inner.get("enum").and_then(Value::as_array)
    {
        let mut inner = inner.as_object().cloned().unwrap_or_default();
        inner.insert(
            "enum".into(),
            names.iter().cloned().chain([Value::Null]).collect(),
        );
        inner.insert("type".into(), json!(["string", "null"]));
        node.remove("anyOf");
        for (key, value) in inner {
            // The field's own description takes precedence over the enum's.
            node.entry(key).or_insert(value);
        }
    }
}

fn has(list: &Value, name: &str) -> bool {
    list.as_array()
        .is_some_and(|names| names.iter().any(|one| one == name))
}

struct Scale {
    decimals: u32,
    /// True if the schema's minimum is below zero: the rule then applies to the absolute value.
    signed: bool,
}

impl<'i> Keyword<'i> for Scale {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        let Value::Number(number) = instance else {
            return Ok(());
        };
        amount::check_number(number, self.decimals, self.signed)
            .map_err(|error| ValidationError::custom(error.to_string()))
    }
    fn is_valid(&self, instance: &'i Value) -> bool {
        instance
            .as_number()
            .is_none_or(|number| amount::check_number(number, self.decimals, self.signed).is_ok())
    }
}

struct Integer;

impl<'i> Keyword<'i> for Integer {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        if Keyword::is_valid(self, instance) {
            Ok(())
        } else {
            Err(ValidationError::custom(
                "must be an integer written without a fraction".to_owned(),
            ))
        }
    }
    fn is_valid(&self, instance: &'i Value) -> bool {
        // The keyword `type` refuses a number with a fraction, so that one fault gives one violation.
        instance
            .as_f64()
            .is_none_or(|number| !instance.is_f64() || number.fract() != 0.0)
    }
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "the signature that jsonschema asks for"
)]
fn scale_keyword<'a>(
    schema: &'a Map<String, Value>,
    value: &'a Value,
    _: Location,
) -> Result<Box<dyn for<'i> Keyword<'i>>, ValidationError<'a>> {
    let minimum = schema.get("minimum").and_then(Value::as_f64);
    Ok(Box::new(Scale {
        decimals: value
            .as_u64()
            .and_then(|scale| u32::try_from(scale).ok())
            .unwrap_or(0),
        signed: minimum.is_some_and(|minimum| minimum < 0.0),
    }))
}

#[expect(
    clippy::unnecessary_wraps,
    reason = "the signature that jsonschema asks for"
)]
fn integer_keyword<'a>(
    _: &'a Map<String, Value>,
    _: &'a Value,
    _: Location,
) -> Result<Box<dyn for<'i> Keyword<'i>>, ValidationError<'a>> {
    Ok(Box::new(Integer))
}

/// A type's validator, compiled at first use and kept: compiling costs more than the rest of handling a bad message.
pub(crate) fn validator_of<T: JsonSchema + 'static>() -> Arc<Result<SchemaValidator, String>> {
    type Kept = HashMap<TypeId, Arc<Result<SchemaValidator, String>>>;
    static KEPT: LazyLock<RwLock<Kept>> = LazyLock::new(RwLock::default);
    let id = TypeId::of::<T>();
    let kept = KEPT.read().unwrap_or_else(PoisonError::into_inner);
    if let Some(validator) = kept.get(&id) {
        return Arc::clone(validator);
    }
    drop(kept);
    // Two threads may compile it at the same time, which is harmless.
    let compiled = Arc::new(validator_for(&schema_of::<T>()));
    let mut kept = KEPT.write().unwrap_or_else(PoisonError::into_inner);
    Arc::clone(kept.entry(id).or_insert(compiled))
}

/// A compiled schema.
#[derive(Debug)]
pub struct SchemaValidator {
    compiled: jsonschema::Validator,
    schema: Value,
}

impl SchemaValidator {
    /// The violations of a document, with `prefix` before each pointer, sorted by place: the first
    /// [`crate::MAX_VIOLATIONS`], and how many more there are.
    #[must_use]
    pub fn violations(&self, document: &Value, prefix: &str) -> Violations {
        let mut found = Collector::default();
        for error in self.compiled.iter_errors(document) {
            self.tell(&error, prefix, &mut found);
        }
        found.into()
    }

    fn tell(&self, error: &ValidationError<'_>, prefix: &str, found: &mut Collector) {
        let at = format!("{prefix}{}", error.instance_path());
        match error.kind() {
            // Report a missing or unexpected property under its own pointer, not under its parent's.
            Kind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                found.push(Violation::new(
                    format!("{at}/{}", escape(name)),
                    "is required",
                ));
            }
            Kind::AdditionalProperties { unexpected } => {
                for name in unexpected {
                    let place = format!("{at}/{}", escape(name));
                    found.push(Violation::new(place, "is not a known field"));
                }
            }
            // An optional struct is "the struct or null". The type of the given value shows which one was meant.
            Kind::AnyOf { context } | Kind::OneOfNotValid { context } => {
                let mut meant = context.iter().filter(|branch| {
                    !branch.iter().any(|inner| {
                        matches!(inner.kind(), Kind::Type { .. })
                            && inner.instance_path() == error.instance_path()
                    })
                });
                match (meant.next(), meant.next()) {
                    (Some(branch), None) => {
                        branch
                            .iter()
                            .for_each(|inner| self.tell(inner, prefix, found));
                    }
                    (None, _) => {
                        let all = context.iter().flatten().map(|inner| self.type_of(inner));
                        let words = all.collect::<Vec<_>>().join(" or ");
                        found.push(Violation::new(at, format!("must be {words}")));
                    }
                    _ => found.push(Violation::new(at, "has none of the allowed forms")),
                }
            }
            kind => found.push(Violation::new(at, self.expectation(error, kind))),
        }
    }

    // The part of the schema whose keyword failed.
    fn node(&self, error: &ValidationError<'_>) -> Option<&Value> {
        let keyword = error.schema_path().as_str();
        keyword
            .rsplit_once('/')
            .and_then(|(parent, _)| self.schema.pointer(parent))
    }

    fn type_of(&self, error: &ValidationError<'_>) -> String {
        type_words(self.node(error).and_then(|node| node.get("type")))
    }

    // Describes what the place expects. Several violated keywords of one place become one violation.
    fn expectation(&self, error: &ValidationError<'_>, kind: &Kind) -> String {
        let node = self.node(error);
        let expected = node
            .and_then(|node| node.get("x-expected"))
            .and_then(Value::as_str);
        if let Some(expected) = expected {
            return format!("must be {expected}");
        }
        match kind {
            Kind::Type { .. } => {
                let at = |keyword: &str| node.and_then(|node| node.get(keyword));
                // One violation for one fault: a value that is not a string is not one of the names either.
                match at("enum") {
                    Some(options) => format!("must be one of {}", words(options)),
                    None => format!("must be {}", type_words(at("type"))),
                }
            }
            Kind::Enum { options } => format!("must be one of {}", words(options)),
            Kind::Constant { expected_value } => format!("must be {expected_value}"),
            Kind::Minimum { limit } => format!("must be at least {limit}"),
            Kind::Maximum { limit } => format!("must be at most {limit}"),
            Kind::ExclusiveMinimum { limit } => format!("must be above {limit}"),
            Kind::ExclusiveMaximum { limit } => format!("must be below {limit}"),
            Kind::MinLength { limit } => format!("must have at least {limit} characters"),
            Kind::MaxLength { limit } => format!("must have at most {limit} characters"),
            Kind::MinItems { limit } => format!("must have at least {limit} entries"),
            Kind::MaxItems { limit } => format!("must have at most {limit} entries"),
            Kind::Format { format } => format!("must have the format {format}"),
            Kind::Pattern { pattern } => format!("must match {pattern}"),
            Kind::Custom { message, .. } => message.clone(),
            _ => error.masked_with("the value").to_string(),
        }
    }
}

fn type_words(names: Option<&Value>) -> String {
    let name = |name: &Value| match name.as_str() {
        Some("null") => "null".to_owned(),
        Some("boolean") => "true or false".to_owned(),
        Some(other @ ("object" | "array" | "integer")) => format!("an {other}"),
        Some(other) => format!("a {other}"),
        None => "of another type".to_owned(),
    };
    match names {
        Some(Value::Array(names)) => names.iter().map(name).collect::<Vec<_>>().join(" or "),
        Some(one) => name(one),
        None => "of another type".to_owned(),
    }
}

fn words(options: &Value) -> String {
    let word = |option: &Value| {
        option
            .as_str()
            .map_or_else(|| option.to_string(), str::to_owned)
    };
    options
        .as_array()
        .map(|all| all.iter().map(word).collect::<Vec<_>>().join(", "))
        .unwrap_or_default()
}

/// Compiles a validator for a schema made by [`schema_of`], with the project's own formats and keywords. `date-time` is
/// the form on the wire, and `moment` is what [`Timestamp::read`] accepts. `x-scale` is the rule of amounts,
/// `x-integer` refuses `1.0`, and `x-expected` describes in words what a place accepts.
///
/// Compiling takes about a millisecond. Keep the validator, or compile it only after something has failed.
///
/// # Errors
/// The schema's own fault, as text.
pub fn validator_for(schema: &Value) -> Result<SchemaValidator, String> {
    let compiled = jsonschema::options()
        .should_validate_formats(true)
        .with_format("date-time", |text| text.parse::<Timestamp>().is_ok())
        .with_format("date", |text| text.parse::<crate::Day>().is_ok())
        .with_format("moment", |text| Timestamp::read(text).is_ok())
        .with_keyword("x-scale", scale_keyword)
        .with_keyword("x-integer", integer_keyword)
        .build(schema)
        .map_err(|error| error.to_string())?;
    Ok(SchemaValidator {
        compiled,
        schema: schema.clone(),
    })
}

/// The violations of a document; see [`SchemaValidator::violations`].
#[must_use]
pub fn violations_of(validator: &SchemaValidator, document: &Value, prefix: &str) -> Violations {
    validator.violations(document, prefix)
}

#[cfg(test)]
mod tests {
    #![expect(dead_code, reason = "the types stand for their schemas only")]

    use super::*;

    #[derive(JsonSchema)]
    struct Plain {
        small: u8,
        wide: Option<i64>,
        many: Vec<u32>,
        flag: bool,
    }

    fn violations(document: &Value) -> Vec<String> {
        let validator = validator_for(&schema_of::<Plain>()).expect("the schema compiles");
        validator
            .violations(document, "/payload")
            .iter()
            .map(ToString::to_string)
            .collect()
    }

    #[test]
    fn plain_integers_are_held_to_their_rust_type() {
        assert!(
            violations(
                &json!({ "small": 255, "wide": i64::MIN, "many": [u32::MAX], "flag": true })
            )
            .is_empty()
        );
        assert_eq!(
            violations(&json!({ "small": 256, "wide": u64::MAX, "many": [1.0], "flag": true })),
            [
                "/payload/many/0: must be an integer written without a fraction",
                "/payload/small: must be at most 255",
                "/payload/wide: must be at most 9223372036854775807",
            ]
        );
    }

    #[test]
    fn every_violation_is_told_at_its_own_place_in_words() {
        assert_eq!(
            violations(&json!({ "small": "secret", "wide": [], "many": "secret" })),
            [
                "/payload/flag: is required",
                "/payload/many: must be an array",
                "/payload/small: must be an integer",
                "/payload/wide: must be an integer or null",
            ]
        );
    }

    #[test]
    fn a_document_with_very_many_violations_lists_the_first_and_counts_the_rest() {
        let found = validator_for(&schema_of::<Vec<Plain>>())
            .expect("the schema compiles")
            .violations(&json!(vec![json!({}); 50_000]), "");
        // Each lacks three fields; the optional one may be absent.
        assert_eq!(
            (found.len(), found.more()),
            (crate::MAX_VIOLATIONS, 150_000 - crate::MAX_VIOLATIONS)
        );
        assert_eq!(found[0].to_string(), "/0/flag: is required");
    }

    #[test]
    fn pointers_escape_names_as_rfc_6901_says() {
        let schema = json!({ "type": "object", "additionalProperties": false, "properties": { "a/b": true }, "required": ["a/b"] });
        let validator = validator_for(&schema).expect("the schema compiles");
        let pointers: Vec<String> = validator
            .violations(&json!({ "c~d": 1 }), "")
            .into_iter()
            .map(|one| one.pointer)
            .collect();
        assert_eq!(pointers, ["/a~1b", "/c~0d"]);
    }
}
