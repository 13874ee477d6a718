//! Numbers in items: this crate has JSON numbers, the store has exact decimals. The conversion never changes a value.

use rust_decimal::Decimal;
use serde_json::{Number, Value};

/// The exact decimal of a JSON number; `None` if it exceeds what [`Decimal`] holds (28 digits).
///
/// A double stands for the shortest decimal that converts back to it. With at most 15 digits, that is the decimal that
/// was written.
#[must_use]
pub fn decimal_of(number: &Number) -> Option<Decimal> {
    if let Some(whole) = number.as_u64() {
        return Some(Decimal::from(whole));
    }
    if let Some(whole) = number.as_i64() {
        return Some(Decimal::from(whole));
    }
    Decimal::from_str_exact(&number.as_f64()?.to_string()).ok()
}

/// The JSON number of a decimal; `None` if a double cannot hold it exactly.
#[must_use]
pub fn number_of(decimal: Decimal) -> Option<Number> {
    let decimal = decimal.normalize();
    if decimal.scale() == 0 {
        if let Ok(whole) = u64::try_from(decimal) {
            return Some(Number::from(whole));
        }
        if let Ok(whole) = i64::try_from(decimal) {
            return Some(Number::from(whole));
        }
    }
    let number = Number::from_f64(decimal.to_string().parse().ok()?)?;
    (decimal_of(&number) == Some(decimal)).then_some(number)
}

/// Whether two values are equal, numbers by value: `1` is `1.0`.
pub(crate) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(one), Value::Number(two)) => match (decimal_of(one), decimal_of(two)) {
            (Some(one), Some(two)) => one == two,
            _ => one == two,
        },
        (Value::Array(one), Value::Array(two)) => {
            one.len() == two.len() && one.iter().zip(two).all(|(one, two)| same(one, two))
        }
        (Value::Object(one), Value::Object(two)) => {
            one.len() == two.len()
                && one
                    .iter()
                    .all(|(name, value)| two.get(name).is_some_and(|other| same(value, other)))
        }
        _ => left == right,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    proptest! {
        #[test]
        fn fifteen_digits_survive_both_ways(units in -999_999_999_999_999_i64..=999_999_999_999_999, scale in 0_u32..=15) {
            let decimal = Decimal::new(units, scale);
            let number = number_of(decimal).expect("fifteen digits fit");
            prop_assert_eq!(decimal_of(&number), Some(decimal));
        }

        #[test]
        fn whole_numbers_survive_over_their_full_range(positive in any::<u64>(), signed in any::<i64>()) {
            prop_assert_eq!(number_of(Decimal::from(positive)), Some(Number::from(positive)));
            prop_assert_eq!(number_of(Decimal::from(signed)), Some(Number::from(signed)));
        }
    }

    #[test]
    fn a_decimal_that_a_double_would_bend_is_refused() {
        let long: Decimal = "123456789012345678.123456".parse().expect("a decimal");
        assert_eq!(number_of(long), None);
    }

    #[test]
    fn numbers_are_compared_by_value_also_inside_lists_and_maps() {
        assert!(same(&json!({"a": [1, 2.50]}), &json!({"a": [1.0, 2.5]})));
        assert!(!same(&json!(1), &json!("1")));
        assert!(!same(&json!([1]), &json!([1, 2])));
        assert!(!same(&json!(0.1), &json!(0.100_000_01)));
    }
}
