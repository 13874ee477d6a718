//! JSON Schemas from types, and validators that agree with the decoders.

use jsonschema::{Keyword, ValidationError, Validator, paths::Location};
use schemars::{JsonSchema, generate::SchemaSettings};
use serde_json::{Map, Value};

use crate::{Timestamp, Violation, amount};

/// The JSON Schema (2020-12) of a type.
#[must_use]
pub fn schema_of<T: JsonSchema>() -> Value {
    SchemaSettings::draft2020_12().into_generator().into_root_schema_for::<T>().to_value()
}

struct Scale(u32);

impl<'i> Keyword<'i> for Scale {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        let Value::Number(number) = instance else { return Ok(()) };
        amount::check_number(number, self.0).map_err(|error| ValidationError::custom(error.to_string()))
    }
    fn is_valid(&self, instance: &'i Value) -> bool {
        instance.as_number().is_none_or(|number| amount::check_number(number, self.0).is_ok())
    }
}

struct Integer;

impl<'i> Keyword<'i> for Integer {
    fn validate(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        if Keyword::is_valid(self, instance) {
            Ok(())
        } else {
            Err(ValidationError::custom("an integer written without a fraction".to_owned()))
        }
    }
    fn is_valid(&self, instance: &'i Value) -> bool {
        instance.as_number().is_none_or(|number| !number.is_f64())
    }
}

#[expect(clippy::unnecessary_wraps, clippy::result_large_err, reason = "the signature that jsonschema asks for")]
fn scale_keyword<'a>(
    _: &'a Map<String, Value>,
    value: &'a Value,
    _: Location,
) -> Result<Box<dyn for<'i> Keyword<'i>>, ValidationError<'a>> {
    Ok(Box::new(Scale(value.as_u64().and_then(|scale| u32::try_from(scale).ok()).unwrap_or(0))))
}

#[expect(clippy::unnecessary_wraps, clippy::result_large_err, reason = "the signature that jsonschema asks for")]
fn integer_keyword<'a>(
    _: &'a Map<String, Value>,
    _: &'a Value,
    _: Location,
) -> Result<Box<dyn for<'i> Keyword<'i>>, ValidationError<'a>> {
    Ok(Box::new(Integer))
}

/// A validator for a schema made by [`schema_of`], with the project's own formats and keywords: `date-time` is the
/// wire's form, `x-scale` the amounts' rule, `x-integer` refuses `1.0`.
///
/// # Errors
/// The schema's own fault, as text.
pub fn validator_for(schema: &Value) -> Result<Validator, String> {
    jsonschema::options()
        .should_validate_formats(true)
        .with_format("date-time", |text| text.parse::<Timestamp>().is_ok())
        .with_keyword("x-scale", scale_keyword)
        .with_keyword("x-integer", integer_keyword)
        .build(schema)
        .map_err(|error| error.to_string())
}

/// All violations of a document at once, each pointer behind `prefix`; sorted by place.
#[must_use]
pub fn violations_of(validator: &Validator, document: &Value, prefix: &str) -> Vec<Violation> {
    use jsonschema::error::ValidationErrorKind as Kind;

    let mut found: Vec<Violation> = Vec::new();
    for error in validator.iter_errors(document) {
        let at = format!("{prefix}{}", error.instance_path());
        // A missing or unexpected property is named by its own pointer, not by its parent's.
        match error.kind() {
            Kind::Required { property } => {
                let name = property.as_str().unwrap_or_default();
                found.push(Violation::new(format!("{at}/{}", escape(name)), "is required"));
            }
            Kind::AdditionalProperties { unexpected } => found.extend(
                unexpected.iter().map(|name| Violation::new(format!("{at}/{}", escape(name)), "is not a known field")),
            ),
            _ => found.push(Violation::new(at, error.masked_with("value").to_string())),
        }
    }
    found.sort();
    found.dedup();
    found
}

fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
