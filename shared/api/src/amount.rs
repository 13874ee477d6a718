//! Amounts in commands: JSON numbers, or strings of digits for callers whose numbers are binary floating point.

use std::{borrow::Cow, fmt, marker::PhantomData};

use events::{Amount, MAX_SIGNIFICANT_DIGITS, Unit};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, de};

/// An amount in a command: `12.5` or `"12.5"`. Zero is allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AmountInput<U: Unit>(Amount<U>);

/// An amount in a command. It must be more than zero.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PositiveInput<U: Unit>(Amount<U>);

impl<U: Unit> AmountInput<U> {
    /// The amount, zero or more.
    #[must_use]
    pub fn amount(self) -> Amount<U> {
        self.0
    }
}

impl<U: Unit> PositiveInput<U> {
    /// The amount, more than zero.
    #[must_use]
    pub fn amount(self) -> Amount<U> {
        self.0
    }
}

impl<U: Unit> From<AmountInput<U>> for Amount<U> {
    fn from(input: AmountInput<U>) -> Self {
        input.0
    }
}

impl<U: Unit> From<PositiveInput<U>> for Amount<U> {
    fn from(input: PositiveInput<U>) -> Self {
        input.0
    }
}

struct InputVisitor<U>(PhantomData<U>);

impl<U: Unit> de::Visitor<'_> for InputVisitor<U> {
    type Value = Amount<U>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a number of {} or a string of its digits, with at most {} decimals",
            U::NAME,
            U::SCALE
        )
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        Amount::deserialize(de::value::U64Deserializer::new(value))
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        Amount::deserialize(de::value::I64Deserializer::new(value))
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
        Amount::deserialize(de::value::F64Deserializer::new(value))
    }
    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
        if within(whole, whole_digits::<U>()) && within(fraction, U::SCALE) {
            text.parse().map_err(E::custom)
        } else {
            Err(E::invalid_value(de::Unexpected::Other("other text"), &self))
        }
    }
}

fn within(digits: &str, most: u32) -> bool {
    !digits.is_empty()
        && u32::try_from(digits.len()).is_ok_and(|length| length <= most)
        && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn whole_digits<U: Unit>() -> u32 {
    MAX_SIGNIFICANT_DIGITS.saturating_sub(U::SCALE)
}

impl<'de, U: Unit> Deserialize<'de> for AmountInput<U> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer
            .deserialize_any(InputVisitor(PhantomData))
            .map(Self)
    }
}

impl<'de, U: Unit> Deserialize<'de> for PositiveInput<U> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let amount: Amount<U> = deserializer.deserialize_any(InputVisitor(PhantomData))?;
        if amount.is_zero() {
            return Err(de::Error::custom("must be more than zero"));
        }
        Ok(Self(amount))
    }
}

/// Numeric keywords ignore strings, and `pattern` ignores numbers, so together they are exact. An `anyOf` would be
/// exact too, but its violations would not name the broken rule.
fn schema<U: Unit>(words: &str, bound: &str, ahead: &str) -> Schema {
    let max: f64 = Amount::<U>::max().to_string().parse().unwrap_or(f64::MAX);
    let fraction = match U::SCALE {
        0 => String::new(),
        scale => format!(r"(\.[0-9]{{1,{scale}}})?"),
    };
    let pattern = format!("^{ahead}[0-9]{{1,{}}}{fraction}$", whole_digits::<U>());
    let mut schema = json_schema!({
        "type": ["number", "string"],
        "maximum": max,
        "pattern": pattern,
        "x-scale": U::SCALE,
        "x-unit": U::NAME,
        "x-expected": format!(
            "a number {words} and at most {}, or a string of its digits, with at most {} decimals ({})",
            Amount::<U>::max(), U::SCALE, U::NAME
        ),
    });
    schema.insert(bound.to_owned(), 0.into());
    schema
}

impl<U: Unit> JsonSchema for AmountInput<U> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("AmountInput{}", U::NAME).into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema::<U>("of at least 0", "minimum", "")
    }
}

impl<U: Unit> JsonSchema for PositiveInput<U> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("PositiveInput{}", U::NAME).into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        schema::<U>("above 0", "exclusiveMinimum", "(?=.*[1-9])")
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use events::{Cloud, validator_for, violations_of};
    use serde_json::{Value, json};

    use super::*;
    use crate::closed_schema_of;

    fn agree<T: for<'a> Deserialize<'a> + JsonSchema>(value: &Value) -> bool {
        let decoded = serde_json::from_value::<T>(value.clone()).is_ok();
        let validator = validator_for(&closed_schema_of::<T>()).unwrap();
        let valid = violations_of(&validator, value, "").is_empty();
        assert_eq!(decoded, valid, "decoder and schema disagree on {value}");
        decoded
    }

    #[test]
    fn numbers_and_strings_of_digits_mean_the_same() {
        for (text, value) in [
            ("12.5", json!(12.5)),
            ("0.000001", json!(0.000001)),
            ("7", json!(7)),
        ] {
            let from_text: AmountInput<Cloud> = serde_json::from_value(json!(text)).unwrap();
            let from_number: AmountInput<Cloud> = serde_json::from_value(value).unwrap();
            assert_eq!(from_text, from_number);
        }
    }

    #[test]
    fn decoder_and_schema_accept_the_same() {
        let taken = [
            json!(1),
            json!(0.5),
            json!("1"),
            json!("0.5"),
            json!("999999999.999999"),
            json!(999_999_999.999_999),
            json!("000000001.100000"),
        ];
        let refused = [
            json!(-1),
            json!("-1"),
            json!("+1"),
            json!("1e3"),
            json!(""),
            json!("."),
            json!("1."),
            json!(".5"),
            json!(" 1"),
            json!("1,5"),
            json!("0.0000001"),
            json!(0.000_000_1),
            json!("1000000000"),
            json!(1_000_000_000_u64),
            json!(null),
            json!(true),
            json!([1]),
            json!({}),
            json!("٣"),
            json!("1\n"),
        ];
        for value in &taken {
            assert!(agree::<AmountInput<Cloud>>(value), "{value}");
            assert!(agree::<PositiveInput<Cloud>>(value), "{value}");
        }
        for value in &refused {
            assert!(!agree::<AmountInput<Cloud>>(value), "{value}");
            assert!(!agree::<PositiveInput<Cloud>>(value), "{value}");
        }
    }

    #[test]
    fn zero_is_an_amount_but_not_a_positive_one() {
        for zero in [json!(0), json!(0.0), json!("0"), json!("0.000000")] {
            assert!(agree::<AmountInput<Cloud>>(&zero), "{zero}");
            assert!(!agree::<PositiveInput<Cloud>>(&zero), "{zero}");
        }
    }
}
