//! Amounts: exact decimals with a fixed scale, carried as JSON numbers.
//!
//! An amount has at most 15 significant digits: it is less than 10^15 of the unit's smallest step. Every IEEE double
//! carries 15 digits exactly, so a reader in any language gets the amount that was written. Millrace never computes an
//! amount in binary floating point.

use std::{borrow::Cow, cmp::Ordering, fmt, hash, marker::PhantomData, str::FromStr};

use rust_decimal::{Decimal, RoundingStrategy};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

/// The most significant digits that an amount has on the wire.
pub const MAX_SIGNIFICANT_DIGITS: u32 = 15;

/// The unit that an amount is counted in.
pub trait Unit: Copy + Send + Sync + 'static {
    /// The number of digits after the decimal point, fixed for the unit.
    const SCALE: u32;
    /// The unit as people read it.
    const NAME: &'static str;
}

/// $CLOUD credits, six decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cloud;
impl Unit for Cloud {
    const SCALE: u32 = 6;
    const NAME: &'static str = "CLOUD";
}

/// US dollars, two decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Dollar;
impl Unit for Dollar {
    const SCALE: u32 = 2;
    const NAME: &'static str = "USD";
}

/// Per cent, two decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PercentUnit;
impl Unit for PercentUnit {
    const SCALE: u32 = 2;
    const NAME: &'static str = "%";
}

/// A quantity of a metered resource, six decimals. The unit it is counted in is in a field of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Metered;
impl Unit for Metered {
    const SCALE: u32 = 6;
    const NAME: &'static str = "units";
}

/// Reward points, two decimals.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reward;
impl Unit for Reward {
    const SCALE: u32 = 2;
    const NAME: &'static str = "points";
}

/// Money, two decimals. Its currency is in a field of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fiat;
impl Unit for Fiat {
    const SCALE: u32 = 2;
    const NAME: &'static str = "of the currency";
}

/// The price of one unit of a product, four decimals. Its currency is in a field of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PerUnit;
impl Unit for PerUnit {
    const SCALE: u32 = 4;
    const NAME: &'static str = "of the currency per unit";
}

/// A fraction from 0 to 1, six decimals, such as a score or a probability.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Part;
impl Unit for Part {
    const SCALE: u32 = 6;
    const NAME: &'static str = "of one";
}

/// Per cent a year, six decimals: an interest rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Yearly;
impl Unit for Yearly {
    const SCALE: u32 = 6;
    const NAME: &'static str = "% a year";
}

/// $CLOUD credits: 0 to 999,999,999.999999.
pub type Credits = Amount<Cloud>;
/// US dollars: 0 to 9,999,999,999,999.99.
pub type Usd = Amount<Dollar>;
/// Per cent: 0 to 9,999,999,999,999.99.
pub type Percent = Amount<PercentUnit>;
/// A quantity of a metered resource: 0 to 999,999,999.999999.
pub type Quantity = Amount<Metered>;
/// Reward points: 0 to 9,999,999,999,999.99.
pub type Points = Amount<Reward>;
/// Money, with its currency in another field: 0 to 9,999,999,999,999.99.
pub type Money = Amount<Fiat>;
/// The price of one unit, with its currency in another field: 0 to 99,999,999,999.9999.
pub type UnitPrice = Amount<PerUnit>;
/// Per cent a year. The domain's rules check that it is at most 100.
pub type InterestRate = Amount<Yearly>;
/// A fraction. The domain's rules check that it is at most 1.
pub type Ratio = Amount<Part>;

/// Why an amount was refused.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AmountError {
    /// Not a decimal number.
    #[error("not a decimal number")]
    NotNumber,
    /// Below zero.
    #[error("below zero")]
    Negative,
    /// More digits after the point than the unit has.
    #[error("more than {scale} decimals")]
    Scale {
        /// The unit's digits after the point.
        scale: u32,
    },
    /// More than 15 significant digits.
    #[error("above {max}")]
    TooLarge {
        /// The largest amount of the unit.
        max: Decimal,
    },
}

/// A non-negative amount of a [`Unit`].
#[derive(Clone, Copy)]
pub struct Amount<U>(Decimal, PhantomData<U>);

impl<U: Unit> Amount<U> {
    /// The amount zero.
    pub const ZERO: Self = Self(Decimal::ZERO, PhantomData);

    /// The largest amount: 10^15 − 1 of the smallest step.
    #[must_use]
    pub fn max() -> Decimal {
        max_of(U::SCALE)
    }

    /// Accepts an exact decimal.
    ///
    /// # Errors
    /// [`AmountError`] if it is negative, has too many decimals or is too large.
    pub fn new(value: Decimal) -> Result<Self, AmountError> {
        accept(value, U::SCALE).map(|value| Self(value, PhantomData))
    }

    /// Rounds an exact result to the unit's scale, half to even (the rule for derived amounts), and accepts it.
    ///
    /// # Errors
    /// [`AmountError`] if it is negative or too large.
    pub fn rounded(value: Decimal) -> Result<Self, AmountError> {
        Self::new(value.round_dp_with_strategy(U::SCALE, RoundingStrategy::MidpointNearestEven))
    }

    /// Truncates an exact result to the unit's scale, for figures that must not look better than they are.
    ///
    /// # Errors
    /// [`AmountError`] if it is negative or too large.
    pub fn truncated(value: Decimal) -> Result<Self, AmountError> {
        Self::new(value.round_dp_with_strategy(U::SCALE, RoundingStrategy::ToZero))
    }

    /// The exact decimal.
    #[must_use]
    pub fn decimal(self) -> Decimal {
        self.0
    }

    /// Whether the amount is zero.
    #[must_use]
    pub fn is_zero(self) -> bool {
        self.0.is_zero()
    }

    /// The sum.
    ///
    /// # Errors
    /// [`AmountError::TooLarge`] if the sum is above the largest amount.
    pub fn plus(self, other: Self) -> Result<Self, AmountError> {
        Self::new(self.0 + other.0)
    }

    /// The difference.
    ///
    /// # Errors
    /// [`AmountError::Negative`] if `other` is more.
    pub fn minus(self, other: Self) -> Result<Self, AmountError> {
        Self::new(self.0 - other.0)
    }
}

fn max_of(scale: u32) -> Decimal {
    Decimal::new(10_i64.pow(MAX_SIGNIFICANT_DIGITS) - 1, scale)
}

fn accept(value: Decimal, scale: u32) -> Result<Decimal, AmountError> {
    let value = value.normalize();
    if value.is_sign_negative() && !value.is_zero() {
        return Err(AmountError::Negative);
    }
    if value.scale() > scale {
        return Err(AmountError::Scale { scale });
    }
    if value > max_of(scale) {
        return Err(AmountError::TooLarge { max: max_of(scale) });
    }
    Ok(value.abs())
}

// A double prints as the shortest decimal that reads back as the same double. For at most 15 digits that is the decimal
// that was written.
pub(crate) fn accept_double(value: f64, scale: u32) -> Result<Decimal, AmountError> {
    if !value.is_finite() {
        return Err(AmountError::NotNumber);
    }
    let text = value.abs().to_string();
    // The text has more digits than `Decimal` holds: report which limit it breaks.
    let decimal = Decimal::from_str_exact(&text).map_err(|_| {
        if text.starts_with("0.") {
            AmountError::Scale { scale }
        } else {
            AmountError::TooLarge { max: max_of(scale) }
        }
    })?;
    accept(
        if value.is_sign_negative() {
            -decimal
        } else {
            decimal
        },
        scale,
    )
}

/// The check behind the schema's `x-scale`. It is the decoder's own rule; if `signed`, it applies to the absolute
/// value.
pub(crate) fn check_number(
    number: &serde_json::Number,
    scale: u32,
    signed: bool,
) -> Result<(), AmountError> {
    let accept = |value: Decimal, scale| accept(if signed { value.abs() } else { value }, scale);
    let accept_double =
        |value: f64, scale| accept_double(if signed { value.abs() } else { value }, scale);
    let checked = match (number.as_u64(), number.as_i64(), number.as_f64()) {
        (Some(whole), _, _) => accept(Decimal::from(whole), scale),
        (_, Some(whole), _) => accept(Decimal::from(whole), scale),
        (_, _, Some(double)) => accept_double(double, scale),
        (None, None, None) => Err(AmountError::NotNumber),
    };
    checked.map(drop)
}

impl<U> fmt::Debug for Amount<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
impl<U> PartialEq for Amount<U> {
    fn eq(&self, other: &Self) -> bool {
        self.0 == other.0
    }
}
impl<U> Eq for Amount<U> {}
impl<U> PartialOrd for Amount<U> {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}
impl<U> Ord for Amount<U> {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.cmp(&other.0)
    }
}
impl<U> hash::Hash for Amount<U> {
    fn hash<H: hash::Hasher>(&self, state: &mut H) {
        self.0.hash(state);
    }
}
impl<U> Default for Amount<U> {
    fn default() -> Self {
        Self(Decimal::ZERO, PhantomData)
    }
}

/// Prints a plain decimal, with at least two digits after the point if the unit has them: `12.50`, `0.000001`.
impl<U: Unit> fmt::Display for Amount<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut value = self.0.normalize();
        let shown = value.scale().max(U::SCALE.min(2));
        if !value.fract().is_zero() || U::SCALE == 2 {
            value.rescale(shown);
        }
        value.fmt(f)
    }
}

/// Reads plain digits, the form in which commands may write amounts: `"12.5"`. No sign, exponent, space or separator.
impl<U: Unit> FromStr for Amount<U> {
    type Err = AmountError;
    fn from_str(text: &str) -> Result<Self, AmountError> {
        let digits = |part: &str| !part.is_empty() && part.bytes().all(|b| b.is_ascii_digit());
        let shaped = match text.split_once('.') {
            None => digits(text),
            Some((whole, fraction)) => digits(whole) && digits(fraction),
        };
        if !shaped {
            return Err(AmountError::NotNumber);
        }
        let value = Decimal::from_str_exact(text)
            .map_err(|_| AmountError::TooLarge { max: Self::max() })?;
        Self::new(value)
    }
}

impl<U: Unit> Serialize for Amount<U> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        write_number(self.0, serializer)
    }
}

/// Writes a decimal of at most 15 digits as a JSON number, without a point if it is whole.
pub(crate) fn write_number<S: Serializer>(
    value: Decimal,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if value.fract().is_zero() {
        let whole = i64::try_from(value.trunc()).map_err(serde::ser::Error::custom)?;
        return serializer.serialize_i64(whole);
    }
    let double: f64 = value
        .to_string()
        .parse()
        .map_err(serde::ser::Error::custom)?;
    serializer.serialize_f64(double)
}

struct AmountVisitor<U>(PhantomData<U>);

impl<U: Unit> de::Visitor<'_> for AmountVisitor<U> {
    type Value = Amount<U>;
    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a number of {} with at most {} decimals",
            U::NAME,
            U::SCALE
        )
    }
    fn visit_u64<E: de::Error>(self, value: u64) -> Result<Self::Value, E> {
        Amount::new(Decimal::from(value)).map_err(E::custom)
    }
    fn visit_i64<E: de::Error>(self, value: i64) -> Result<Self::Value, E> {
        Amount::new(Decimal::from(value)).map_err(E::custom)
    }
    fn visit_f64<E: de::Error>(self, value: f64) -> Result<Self::Value, E> {
        accept_double(value, U::SCALE)
            .map(|value| Amount(value, PhantomData))
            .map_err(E::custom)
    }
}

impl<'de, U: Unit> Deserialize<'de> for Amount<U> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(AmountVisitor(PhantomData))
    }
}

impl<U: Unit> JsonSchema for Amount<U> {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        format!("Amount{}", U::NAME).into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        // Not `multipleOf`: validators compute it in binary floating point and disagree. The registry checks `x-scale`
        // with the decoder's own rule; other validators ignore it.
        let max: f64 = Self::max().to_string().parse().unwrap_or(f64::MAX);
        json_schema!({
            "type": "number", "minimum": 0, "maximum": max, "x-scale": U::SCALE, "x-unit": U::NAME,
            "x-expected": format!("a number from 0 to {} with at most {} decimals ({})", Self::max(), U::SCALE, U::NAME)
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn every_amount_survives_json_exactly(units in 0_i64..1_000_000_000_000_000) {
            let amount = Credits::new(Decimal::new(units, 6)).expect("in range");
            let text = serde_json::to_string(&amount).expect("serialises");
            prop_assert_eq!(serde_json::from_str::<Credits>(&text).expect("reads back"), amount);
            let value: serde_json::Value = serde_json::from_str(&text).expect("is JSON");
            prop_assert_eq!(serde_json::from_value::<Credits>(value).expect("reads back by value"), amount);
        }

        #[test]
        fn trailing_zeros_and_exponents_do_not_change_an_amount(
            units in 0_i64..1_000_000_000_000_000,
            zeros in 0_usize..12,
        ) {
            let amount = Credits::new(Decimal::new(units, 6)).expect("in range");
            let padded = format!("{}.{:06}{}", units / 1_000_000, units % 1_000_000, "0".repeat(zeros));
            prop_assert_eq!(serde_json::from_str::<Credits>(&padded).expect("reads"), amount, "{}", padded);
            let shifted = format!("{units}e-6");
            prop_assert_eq!(serde_json::from_str::<Credits>(&shifted).expect("reads"), amount, "{}", shifted);
        }

        #[test]
        fn no_number_makes_the_decoder_panic(value in any::<f64>(), whole in any::<i64>()) {
            prop_assert!(accept_double(value, 6).is_err() || value >= 0.0);
            prop_assert_eq!(serde_json::from_value::<Credits>(whole.into()).is_ok(), (0..=999_999_999).contains(&whole));
        }
    }

    #[test]
    fn equal_values_written_differently_are_equal() {
        let read = |text: &str| serde_json::from_str::<Credits>(text).expect("reads");
        assert_eq!(read("12.5"), read("12.500"));
        assert_eq!(read("0.000001"), read("1e-6"));
        assert_eq!(read("100"), read("100.0"));
    }

    #[test]
    fn amounts_beyond_scale_size_or_zero_are_refused_with_the_bound() {
        let refused = |text: &str| {
            serde_json::from_str::<Credits>(text)
                .expect_err("refused")
                .to_string()
        };
        assert!(refused("0.0000001").starts_with("more than 6 decimals"));
        assert!(refused("1000000000").starts_with("above 999999999.999999"));
        assert!(refused("-1").starts_with("below zero"));
        assert!(refused("-0.5").starts_with("below zero"));
        assert!(refused("\"1\"").contains("a number of CLOUD"));
    }

    #[test]
    fn text_amounts_are_plain_digits_only() {
        assert_eq!(
            "12.5".parse::<Credits>().expect("digits"),
            Credits::new(Decimal::new(125, 1)).expect("ok")
        );
        for text in ["", "+1", "-1", "1e3", " 1", "1.", ".5", "1,5", "٣"] {
            assert_eq!(
                text.parse::<Credits>(),
                Err(AmountError::NotNumber),
                "{text:?}"
            );
        }
    }

    #[test]
    fn derived_dollars_round_half_to_even() {
        let usd = |text: &str| {
            Usd::rounded(text.parse().expect("decimal"))
                .expect("in range")
                .to_string()
        };
        assert_eq!(usd("0.125"), "0.12");
        assert_eq!(usd("0.135"), "0.14");
        assert_eq!(usd("0.1250001"), "0.13");
    }

    #[test]
    fn people_see_plain_decimals() {
        let shown = |text: &str| text.parse::<Credits>().expect("digits").to_string();
        assert_eq!(shown("100"), "100");
        assert_eq!(shown("12.5"), "12.50");
        assert_eq!(shown("0.000001"), "0.000001");
        assert_eq!("12.5".parse::<Usd>().expect("digits").to_string(), "12.50");
        assert_eq!("12".parse::<Usd>().expect("digits").to_string(), "12.00");
    }
}
