//! Converts items between JSON and DynamoDB's attribute values.

use aws_sdk_dynamodb::types::AttributeValue;
use outbox::{
    Cursor, Fault, FaultKind, Item, Key,
    number::{decimal_of, number_of},
};
use rust_decimal::Decimal;
use serde_json::Value;

use super::{Attributes, unreadable};

pub(super) fn key_attributes(operation: &'static str, key: &Key) -> Result<Attributes, Fault> {
    attributes(operation, &key.attributes())
}

pub(super) fn attributes(operation: &'static str, item: &Item) -> Result<Attributes, Fault> {
    item.iter()
        .map(|(name, value)| Ok((name.clone(), attribute_of(operation, value)?)))
        .collect()
}

pub(super) fn attribute_of(
    operation: &'static str,
    value: &Value,
) -> Result<AttributeValue, Fault> {
    Ok(match value {
        Value::Null => AttributeValue::Null(true),
        Value::Bool(flag) => AttributeValue::Bool(*flag),
        Value::Number(number) => {
            // A number that could not be read back is refused when it is written.
            let decimal = decimal_of(number).ok_or_else(|| {
                let why = format!("number {number} has more digits than an item carries");
                Fault::new(FaultKind::Rejected, operation, why)
            })?;
            AttributeValue::N(decimal.normalize().to_string())
        }
        Value::String(text) => AttributeValue::S(text.clone()),
        Value::Array(values) => AttributeValue::L(
            values
                .iter()
                .map(|value| attribute_of(operation, value))
                .collect::<Result<_, _>>()?,
        ),
        Value::Object(map) => AttributeValue::M(attributes(operation, map)?),
    })
}

pub(super) fn item_of(operation: &'static str, attributes: Attributes) -> Result<Item, Fault> {
    attributes
        .into_iter()
        .map(|(name, value)| {
            let value = value_of(value)
                .map_err(|why| unreadable(operation, format!("attribute {name}: {why}")))?;
            Ok((name, value))
        })
        .collect()
}

pub(super) fn items_of(
    operation: &'static str,
    items: Option<Vec<Attributes>>,
) -> Result<Vec<Item>, Fault> {
    items
        .unwrap_or_default()
        .into_iter()
        .map(|item| item_of(operation, item))
        .collect()
}

pub(super) fn value_of(value: AttributeValue) -> Result<Value, String> {
    Ok(match value {
        AttributeValue::Null(_) => Value::Null,
        AttributeValue::Bool(flag) => Value::Bool(flag),
        AttributeValue::S(text) => Value::String(text),
        AttributeValue::N(text) => Value::Number(
            Decimal::from_str_exact(&text)
                .or_else(|_| Decimal::from_scientific(&text))
                .ok()
                .and_then(number_of)
                .ok_or_else(|| format!("number {text} has more digits than JSON carries"))?,
        ),
        AttributeValue::L(values) => {
            Value::Array(values.into_iter().map(value_of).collect::<Result<_, _>>()?)
        }
        AttributeValue::M(map) => Value::Object(
            map.into_iter()
                .map(|(name, value)| Ok((name, value_of(value)?)))
                .collect::<Result<_, String>>()?,
        ),
        other => {
            return Err(format!(
                "an attribute type that Millrace never writes: {}",
                kind(&other)
            ));
        }
    })
}

/// The name of the attribute's type, never its content.
pub(super) fn kind(value: &AttributeValue) -> &'static str {
    match value {
        AttributeValue::B(_) => "binary",
        AttributeValue::Bs(_) | AttributeValue::Ns(_) | AttributeValue::Ss(_) => "set",
        _ => "unknown",
    }
}

pub(super) fn start(
    operation: &'static str,
    after: Option<&Cursor>,
) -> Result<Option<Attributes>, Fault> {
    after
        .map(|Cursor(item)| attributes(operation, item))
        .transpose()
}

pub(super) fn cursor(
    operation: &'static str,
    last: Option<Attributes>,
) -> Result<Option<Cursor>, Fault> {
    last.filter(|key| !key.is_empty())
        .map(|key| item_of(operation, key).map(Cursor))
        .transpose()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::{super::PUT, *};

    fn read(text: &str) -> Result<Value, String> {
        value_of(AttributeValue::N(text.to_owned()))
    }

    fn json_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            (-999_999_999_999_999_i64..=999_999_999_999_999, 0_u32..=9)
                .prop_map(|(units, scale)| number_of(Decimal::new(units, scale))
                    .map_or(Value::Null, Value::Number)),
            ".{0,12}".prop_map(Value::from),
        ];
        leaf.prop_recursive(3, 24, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::btree_map("[a-z_]{1,8}", inner, 0..4)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_value_survives_the_way_into_an_item_and_back(value in json_value()) {
            let attribute = attribute_of(PUT, &value).expect("converts");
            prop_assert_eq!(value_of(attribute).expect("reads back"), value);
        }

        #[test]
        fn no_number_text_makes_the_reader_panic(text in ".{0,40}") {
            if let Ok(value) = read(&text) {
                prop_assert!(value.is_number());
            }
        }
    }

    #[test]
    fn numbers_read_by_value_however_they_are_written() {
        assert_eq!(read("0.000000"), Ok(json!(0)));
        assert_eq!(read("100.00"), Ok(json!(100)));
        assert_eq!(read("1E+2"), Ok(json!(100)));
        assert_eq!(read("-0.10"), Ok(json!(-0.1)));
        assert_eq!(read("999999999.999999"), Ok(json!(999_999_999.999_999)));
    }

    #[test]
    fn a_number_that_json_would_bend_is_an_error_that_names_it() {
        let error = read("12345678901234567.123456").expect_err("too long");
        assert!(error.contains("12345678901234567.123456"), "{error}");
        assert!(read("1e60").is_err());
        assert!(attribute_of(PUT, &json!(1e60)).is_err());
    }

    #[test]
    fn sets_and_binaries_are_errors_without_their_content() {
        let error = value_of(AttributeValue::Ss(vec!["secret".into()])).expect_err("a set");
        assert!(
            error.contains("set") && !error.contains("secret"),
            "{error}"
        );
    }
}
