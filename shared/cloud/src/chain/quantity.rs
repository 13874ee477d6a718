//! Exact amounts on the chain: 256 bits do not fit the books' decimals.

use events::DecimalText;
use num_bigint::{BigInt, BigUint, Sign};
use rust_decimal::Decimal;

use crate::Rate;

/// The most decimals that a token can have here: as many as [`DecimalText`] holds after the point.
pub const MAX_DECIMALS: u8 = 36;

/// The decimals of a credit.
const CREDIT_DECIMALS: u8 = 6;

/// The most digits of an amount in cents that [`DecimalText`] can hold: 80 before the point and 2 after it.
const MOST_CENTS_DIGITS: usize = 82;

/// How many decimals the token's smallest unit has. Most tokens have 18.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TokenDecimals(u8);

impl TokenDecimals {
    /// Accepts up to [`MAX_DECIMALS`]; `None` if `decimals` is larger.
    #[must_use]
    pub fn new(decimals: u8) -> Option<Self> {
        (decimals <= MAX_DECIMALS).then_some(Self(decimals))
    }

    /// The number of decimals.
    #[must_use]
    pub fn number(self) -> u8 {
        self.0
    }
}

/// A balance as the chain states it: a number of the token's smallest units.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OnChain {
    units: BigUint,
    decimals: TokenDecimals,
}

impl OnChain {
    /// A balance of this many smallest units.
    #[must_use]
    pub fn new(units: BigUint, decimals: TokenDecimals) -> Self {
        Self { units, decimals }
    }

    /// Whether the balance is zero.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.units == BigUint::ZERO
    }

    /// The balance in credits, exactly.
    #[must_use]
    pub fn text(&self) -> String {
        shortest(&BigInt::from(self.units.clone()), self.decimals.0)
    }
}

/// The books' balance minus the chain's, exactly. It is negative if the chain has more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// In units of 10^-scale credits.
    units: BigInt,
    scale: u8,
}

impl Difference {
    /// The difference between a balance in the books, which has at most six decimals, and one on the chain.
    #[must_use]
    pub fn of(books: Decimal, chain: &OnChain) -> Self {
        let scale = chain.decimals.0.max(CREDIT_DECIMALS);
        let mut exact = books;
        exact.rescale(u32::from(CREDIT_DECIMALS));
        let books = BigInt::from(exact.mantissa()) * power(scale - CREDIT_DECIMALS);
        let chain = BigInt::from(chain.units.clone()) * power(scale - chain.decimals.0);
        Self {
            units: books - chain,
            scale,
        }
    }

    /// Whether books and chain agree to the last unit.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        self.units.sign() == Sign::NoSign
    }

    /// In credits, exactly. 256 bits have 78 digits, so it always fits.
    #[must_use]
    pub fn text(&self) -> String {
        shortest(&self.units, self.scale)
    }

    /// The value at a rate: two decimals, rounded half to even. A value that [`DecimalText`] cannot hold becomes the
    /// largest one that it can.
    #[must_use]
    pub fn usd(&self, rate: Rate) -> String {
        let mut cents_per_credit = rate.dollars().decimal();
        cents_per_credit.rescale(2);
        let product = &self.units * BigInt::from(cents_per_credit.mantissa());
        let cents = half_even(product.magnitude(), &power(self.scale).into_parts().1);
        let cents = if cents.to_string().len() > MOST_CENTS_DIGITS {
            power_of(MOST_CENTS_DIGITS) - BigUint::from(1_u8)
        } else {
            cents
        };
        digits(&BigInt::from_biguint(product.sign(), cents), 2)
    }
}

/// Converts a text that this module made, which always fits.
pub(super) fn decimal_text(text: &str) -> Result<DecimalText, events::TextError> {
    DecimalText::new(text)
}

fn power(exponent: u8) -> BigInt {
    BigInt::from(10_u8).pow(u32::from(exponent))
}

fn power_of(exponent: usize) -> BigUint {
    BigUint::from(10_u8).pow(u32::try_from(exponent).unwrap_or(u32::MAX))
}

/// A quotient, rounded half to even.
fn half_even(dividend: &BigUint, divisor: &BigUint) -> BigUint {
    let (quotient, rest) = (dividend / divisor, dividend % divisor);
    let twice = rest * 2_u8;
    if twice > *divisor || (twice == *divisor && quotient.bit(0)) {
        quotient + 1_u8
    } else {
        quotient
    }
}

/// A number of units of 10^-scale as decimal digits, with all decimals.
fn digits(units: &BigInt, scale: u8) -> String {
    let scale = usize::from(scale);
    let text = units.magnitude().to_string();
    let padded = format!("{text:0>width$}", width = scale + 1);
    let (whole, fraction) = padded.split_at(padded.len() - scale);
    let sign = if units.sign() == Sign::Minus { "-" } else { "" };
    let point = if fraction.is_empty() { "" } else { "." };
    format!("{sign}{whole}{point}{fraction}")
}

/// The same without trailing zeros in the fraction.
fn shortest(units: &BigInt, scale: u8) -> String {
    let text = digits(units, scale);
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decimals(decimals: u8) -> TokenDecimals {
        TokenDecimals::new(decimals).expect("few enough")
    }

    fn on_chain(units: &str, of: u8) -> OnChain {
        OnChain::new(units.parse().expect("a number"), decimals(of))
    }

    fn difference(books: &str, units: &str, of: u8) -> Difference {
        Difference::of(books.parse().expect("a decimal"), &on_chain(units, of))
    }

    fn rate() -> Rate {
        "10".parse().expect("a rate")
    }

    #[test]
    fn the_chains_units_are_credits_by_the_tokens_decimals() {
        assert_eq!(on_chain("1500000000000000000", 18).text(), "1.5");
        assert_eq!(on_chain("1", 18).text(), "0.000000000000000001");
        assert_eq!(on_chain("0", 18).text(), "0");
        assert_eq!(on_chain("15", 0).text(), "15");
        assert_eq!(on_chain("1500", 2).text(), "15");
        assert!(TokenDecimals::new(37).is_none());
    }

    #[test]
    fn books_and_chain_agree_to_the_last_unit_or_not_at_all() {
        assert!(difference("1.5", "1500000000000000000", 18).is_zero());
        assert!(difference("0", "0", 18).is_zero());
        assert!(difference("15", "15", 0).is_zero());
        let one_unit = difference("1.5", "1500000000000000001", 18);
        assert_eq!(one_unit.text(), "-0.000000000000000001");
        assert_eq!(one_unit.usd(rate()), "0.00", "no minus before nothing");
        let fewer_decimals = difference("0.123456", "12", 2);
        assert_eq!(fewer_decimals.text(), "0.003456");
    }

    #[test]
    fn the_value_rounds_half_to_even_on_both_sides_of_zero() {
        let usd = |books: &str, units: &str| difference(books, units, 6).usd(rate());
        assert_eq!(usd("100", "40000000"), "600.00");
        assert_eq!(usd("0.0125", "0"), "0.12");
        assert_eq!(usd("0.0135", "0"), "0.14");
        assert_eq!(usd("0", "12500"), "-0.12");
        assert_eq!(usd("0", "13500"), "-0.14");
        assert_eq!(usd("0.001", "0"), "0.01");
    }

    #[test]
    fn the_largest_balance_a_token_can_have_is_stated_to_the_last_digit() {
        let most = (BigUint::from(1_u8) << 256_u32) - 1_u8;
        for of in [0, 6, 18, MAX_DECIMALS] {
            let chain = OnChain::new(most.clone(), decimals(of));
            let difference = Difference::of(Decimal::ZERO, &chain);
            for text in [chain.text(), difference.text(), difference.usd(rate())] {
                decimal_text(&text).expect("fits");
            }
            assert_eq!(difference.text(), format!("-{}", chain.text()));
        }
        let dear: Rate = "10000".parse().expect("a rate");
        let huge = Difference::of(Decimal::ZERO, &OnChain::new(most, decimals(0)));
        let value = huge.usd(dear);
        decimal_text(&value).expect("fits");
        assert!(value.starts_with("-999"), "stands at the largest: {value}");
    }

    proptest! {
        #[test]
        fn small_numbers_are_what_exact_decimals_say(
            books in 0_i64..=1_000_000_000_000, units in 0_u64..=1_000_000_000_000, of in 0_u8..=12, cents in 1_i64..=1_000_000,
        ) {
            let rate: Rate = Decimal::new(cents, 2).to_string().parse().expect("a rate");
            let chain = OnChain::new(BigUint::from(units), decimals(of));
            let difference = Difference::of(Decimal::new(books, 6), &chain);
            let exact = Decimal::new(books, 6)
                - Decimal::from_i128_with_scale(i128::from(units), u32::from(of));
            prop_assert_eq!(difference.text().parse::<Decimal>().expect("a decimal"), exact);
            prop_assert_eq!(difference.is_zero(), exact.is_zero());
            let value = (exact * Decimal::new(cents, 2))
                .round_dp_with_strategy(2, rust_decimal::RoundingStrategy::MidpointNearestEven);
            let usd = difference.usd(rate);
            prop_assert_eq!(usd.parse::<Decimal>().expect("a decimal"), value);
            prop_assert_eq!(usd.split_once('.').expect("a point").1.len(), 2);
            decimal_text(&difference.text()).expect("fits");
            decimal_text(&usd).expect("fits");
        }
    }
}
