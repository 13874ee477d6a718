//! The value of a credit in US dollars.

use std::str::FromStr;

use events::{AmountError, Credits, Usd};
use rust_decimal::Decimal;

/// US dollars per credit: above 0, at most 10,000, at most two decimals.
///
/// The bound keeps the value of every amount of credits within what [`Usd`] can carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate(Usd);

/// Why a rate is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("US dollars per credit must be above 0 and at most 10000, with at most two decimals")]
pub struct RateError;

impl Rate {
    const MAX: Decimal = Decimal::from_parts(10_000, 0, 0, false, 0);

    /// Accepts US dollars per credit.
    ///
    /// # Errors
    /// [`RateError`] if they are 0 or above 10,000.
    pub fn new(dollars: Usd) -> Result<Self, RateError> {
        if dollars.is_zero() || dollars.decimal() > Self::MAX {
            Err(RateError)
        } else {
            Ok(Self(dollars))
        }
    }

    /// US dollars per credit.
    #[must_use]
    pub fn dollars(self) -> Usd {
        self.0
    }

    /// The value of an amount of credits, rounded half to even.
    ///
    /// # Errors
    /// [`AmountError::TooLarge`]. The rate's bound makes it impossible.
    pub fn value_of(self, amount: Credits) -> Result<Usd, AmountError> {
        Usd::rounded(self.exact(amount.decimal()))
    }

    /// The same value before rounding. A product of more than 28 digits saturates at the largest decimal.
    pub(crate) fn exact(self, amount: Decimal) -> Decimal {
        amount.saturating_mul(self.0.decimal())
    }
}

impl FromStr for Rate {
    type Err = RateError;
    fn from_str(text: &str) -> Result<Self, RateError> {
        Self::new(text.parse().map_err(|_| RateError)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn credits(text: &str) -> Credits {
        text.parse().expect("an amount")
    }

    #[test]
    fn a_rate_is_above_zero_and_at_most_ten_thousand_dollars() {
        for text in ["0", "0.00", "10000.01", "-1", "1e3", "", "0.001", " 10"] {
            assert_eq!(text.parse::<Rate>(), Err(RateError), "{text:?}");
        }
        for text in ["0.01", "10", "10000"] {
            assert!(text.parse::<Rate>().is_ok(), "{text:?}");
        }
    }

    #[test]
    fn values_round_half_to_even_and_even_the_largest_amount_has_one() {
        let rate: Rate = "10".parse().expect("a rate");
        let value = |text: &str| rate.value_of(credits(text)).expect("in range").to_string();
        assert_eq!(value("12.345678"), "123.46");
        assert_eq!(value("0.0125"), "0.12");
        assert_eq!(value("0.0135"), "0.14");
        assert_eq!(value("0.000001"), "0.00");
        let highest: Rate = "10000".parse().expect("a rate");
        let most = Credits::new(Credits::max()).expect("the largest amount");
        assert_eq!(
            highest.value_of(most).expect("in range").decimal(),
            Usd::max()
        );
    }
}
