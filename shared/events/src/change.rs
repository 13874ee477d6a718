//! Changes of amounts: exact signed decimals of a unit.

use std::{fmt, marker::PhantomData};

use rust_decimal::Decimal;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Amount, AmountError, Unit, amount};

/// The difference between two [`Amount`]s: negative if the amount became less. Its absolute value obeys the rules of
/// amounts.
#[derive(Clone, Copy)]
pub struct Change<U>(Decimal, PhantomData<U>);

impl<U: Unit> Change<U> {
    /// Accepts an exact decimal.
    ///
    /// # Errors
    /// [`AmountError`] if it has too many decimals or is too large.
    pub fn new(value: Decimal) -> Result<Self, AmountError> {
        let magnitude = Amount::<U>::new(value.abs())?.decimal();
        let signed = if value.is_sign_negative() {
            -magnitude
        } else {
            magnitude
        };
        Ok(Self(signed, PhantomData))
    }

    /// The change from one amount to another.
    #[must_use]
    pub fn between(before: Amount<U>, after: Amount<U>) -> Self {
        // Both amounts are between zero and the largest amount, so the difference is in range, too.
        Self(
            (after.decimal() - before.decimal()).normalize(),
            PhantomData,
        )
    }

    /// The exact decimal.
    #[must_use]
    pub fn decimal(self) -> Decimal {
        self.0
    }
}

impl<U> fmt::Debug for Change<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<U> PartialEq for Change<U> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<U> Eq for Change<U> {}

/// Prints a plain decimal.
impl<U: Unit> fmt::Display for Change<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.normalize().fmt(f)
    }
}

impl<U: Unit> Serialize for Change<U> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        amount::write_number(self.0, serializer)
    }
}

struct ChangeVisitor<U>(PhantomData<U>);

impl<U: Unit> de::Visitor<'_> for ChangeVisitor<U> {
    type Value = Change<U>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a number of {} with at most {} decimals",
            U::NAME,
            U::SCALE
        )
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        Change::new(Decimal::from(value)).map_err(E::custom)
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        Change::new(Decimal::from(value)).map_err(E::custom)
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
        let magnitude = amount::accept_double(value.abs(), U::SCALE).map_err(E::custom)?;
        let signed = if value.is_sign_negative() {
            -magnitude
        } else {
            magnitude
        };
        Ok(Change(signed, PhantomData))
    }
}

impl<'de, U: Unit> Deserialize<'de> for Change<U> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ChangeVisitor(PhantomData))
    }
}

impl<U: Unit> JsonSchema for Change<U> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> std::borrow::Cow<'static, str> {
        format!("Change{}", U::NAME).into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        let max: f64 = Amount::<U>::max().to_string().parse().unwrap_or(f64::MAX);
        let min: f64 = (-Amount::<U>::max())
            .to_string()
            .parse()
            .unwrap_or(f64::MIN);
        // A minimum below zero allows a sign in the check behind `x-scale`.
        json_schema!({
            "type": "number", "minimum": min, "maximum": max, "x-scale": U::SCALE, "x-unit": U::NAME,
            "x-expected": format!(
                "a number from -{0} to {0} with at most {1} decimals ({2})",
                Amount::<U>::max(), U::SCALE, U::NAME
            )
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::{Points, Reward, SchemaValidator, schema_of, validator_for};

    #[derive(JsonSchema)]
    #[expect(dead_code, reason = "stands for its schema only")]
    struct Holder {
        change: Change<Reward>,
    }

    fn schema() -> SchemaValidator {
        validator_for(&schema_of::<Holder>()).expect("compiles")
    }

    proptest! {
        #[test]
        fn every_change_survives_json_exactly(units in -1_000_000_000_000_000_i64 + 1..1_000_000_000_000_000) {
            let change = Change::<Reward>::new(Decimal::new(units, 2)).expect("in range");
            let text = serde_json::to_string(&change).expect("serialises");
            prop_assert_eq!(serde_json::from_str::<Change<Reward>>(&text).expect("reads back"), change);
            let document = serde_json::json!({ "change": serde_json::to_value(change).expect("a value") });
            prop_assert!(schema().violations(&document, "").is_empty());
        }

        #[test]
        fn decoder_and_schema_take_the_same_numbers(
            number in prop_oneof![
                any::<i64>().prop_map(|whole| serde_json::json!(whole)),
                (-1e17..1e17_f64).prop_map(|double| serde_json::json!(double)),
                (-100_000_i32..100_000, 0..5_u32)
                    .prop_map(|(units, scale)| serde_json::from_str(&format!("{units}e-{scale}")).expect("a number")),
            ],
        ) {
            let decoded = serde_json::from_value::<Change<Reward>>(number.clone()).is_ok();
            let document = serde_json::json!({ "change": number });
            prop_assert_eq!(decoded, schema().violations(&document, "").is_empty());
        }
    }

    #[test]
    fn a_change_leads_from_one_amount_to_the_other() {
        let points = |text: &str| text.parse::<Points>().expect("digits");
        let change = Change::between(points("12.50"), points("2.25"));
        assert_eq!(change.to_string(), "-10.25");
        assert_eq!(
            serde_json::to_string(&change).expect("serialises"),
            "-10.25"
        );
        assert_eq!(Change::between(points("1"), points("3")).to_string(), "2");
    }
}
