//! EventBridge's event patterns, as far as the template uses them.

use serde_json::Value;

/// The most characters of an event pattern
/// (<https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-quota.html>, read 2026-11-21).
pub(crate) const MAX_CHARACTERS: usize = 2_048;

/// Whether an event matches a pattern.
///
/// # Errors
/// The matcher that this function does not know. A check that guesses would be worse than none.
pub(crate) fn matches(pattern: &Value, event: &Value) -> Result<bool, String> {
    match pattern {
        Value::Object(fields) => {
            for (name, wanted) in fields {
                if name.starts_with('$') {
                    return Err(format!("{name} is not known to the wiring test"));
                }
                if !matches(wanted, &event[name.as_str()])? {
                    return Ok(false);
                }
            }
            Ok(true)
        }
        Value::Array(alternatives) => {
            for alternative in alternatives {
                if matches_one(alternative, event)? {
                    return Ok(true);
                }
            }
            Ok(false)
        }
        other => Err(format!("{other} is not a list of alternatives")),
    }
}

fn matches_one(alternative: &Value, value: &Value) -> Result<bool, String> {
    let Some(matcher) = alternative.as_object() else {
        return Ok(alternative == value);
    };
    match matcher.iter().next() {
        Some((name, Value::Bool(wanted))) if name == "exists" => Ok(*wanted != value.is_null()),
        Some((name, Value::String(prefix))) if name == "prefix" => Ok(value
            .as_str()
            .is_some_and(|text| text.starts_with(prefix.as_str()))),
        _ => Err(format!("{alternative} is not known to the wiring test")),
    }
}
