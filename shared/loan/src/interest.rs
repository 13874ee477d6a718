//! The interest of a month, the level instalment, and the annual percentage rate of charge. All arithmetic is in exact
//! decimals; a result that becomes money is rounded half to even.

use events::{InterestRate, Money, Percent};
use rust_decimal::Decimal;

use crate::Refusal;

/// The longest term, in months.
pub const LONGEST_TERM: u32 = 480;

/// The days of a year in the annual percentage rate of charge (Directive 2008/48/EC, Annex I).
const DAYS_OF_YEAR: u32 = 365;

/// Dividing an amount by this gives a twelfth of one per cent of it.
const TWELFTHS_OF_PERCENT: Decimal = Decimal::from_parts(1_200, 0, 0, false, 0);

/// The largest loan amount. With it, instalments, their sums and a hundred years of interest still fit into 15 digits.
#[must_use]
pub fn largest_amount() -> Money {
    Money::new(Decimal::new(999_999_999_999, 2)).unwrap_or(Money::ZERO)
}

/// A twelfth of a yearly rate, as a fraction.
fn monthly(rate: InterestRate) -> Decimal {
    rate.decimal() / TWELFTHS_OF_PERCENT
}

/// The interest of one month on open principal.
///
/// # Errors
/// [`Refusal::TooLarge`].
pub fn of_month(principal: Money, rate: InterestRate) -> Result<Money, Refusal> {
    // The division comes last: a twelfth of most rates is a repeating decimal, and cutting it off would change ties.
    let yearly = principal.decimal().checked_mul(rate.decimal());
    let interest = yearly.ok_or(Refusal::TooLarge)? / TWELFTHS_OF_PERCENT;
    Money::rounded(interest).map_err(|_| Refusal::TooLarge)
}

/// `base` to the power of `exponent`; `None` if it does not fit.
fn power(base: Decimal, mut exponent: u32) -> Option<Decimal> {
    let (mut square, mut power) = (base, Decimal::ONE);
    while exponent > 0 {
        if exponent & 1 == 1 {
            power = power.checked_mul(square)?;
        }
        exponent >>= 1;
        if exponent > 0 {
            square = square.checked_mul(square)?;
        }
    }
    Some(power)
}

/// The level instalment that pays principal back over the given months, at least one: `P·i / (1 − (1 + i)^−n)`, to the
/// cent.
///
/// # Errors
/// [`Refusal::TooLarge`].
pub fn level(principal: Money, rate: InterestRate, months: u32) -> Result<Money, Refusal> {
    let (principal, months) = (principal.decimal(), months.max(1));
    let monthly = monthly(rate);
    let exact = if monthly.is_zero() {
        principal.checked_div(Decimal::from(months))
    } else {
        power(Decimal::ONE + monthly, months).and_then(|grown| {
            let part = monthly.checked_mul(grown.checked_div(grown - Decimal::ONE)?)?;
            principal.checked_mul(part)
        })
    };
    Money::rounded(exact.ok_or(Refusal::TooLarge)?).map_err(|_| Refusal::TooLarge)
}

/// The annual percentage rate of charge, in per cent to two decimals: the rate at which all payments, discounted by the
/// days since the money was lent, are worth what was lent. `None` if less is paid than was lent, or if the rate is
/// above 10,000 %.
#[must_use]
pub fn charge(lent: Money, payments: &[(u32, Money)]) -> Option<Percent> {
    let lent = lent.decimal();
    let paid: Decimal = payments.iter().map(|(_, amount)| amount.decimal()).sum();
    if lent.is_zero() || paid < lent {
        return None;
    }
    // Searches for the daily discount: its exponents are whole numbers, so no root is needed.
    let worth = |daily: Decimal| -> Option<Decimal> {
        let (mut sum, mut discount, mut since) = (Decimal::ZERO, Decimal::ONE, 0);
        for (day, amount) in payments {
            discount = discount.checked_mul(power(daily, day.checked_sub(since)?)?)?;
            since = *day;
            sum = sum.checked_add(amount.decimal().checked_mul(discount)?)?;
        }
        Some(sum)
    };
    // A daily discount of 0.98 is more than 10,000 % a year.
    let (mut low, mut high) = (Decimal::new(98, 2), Decimal::ONE);
    if worth(low)? > lent {
        return None;
    }
    for _ in 0..80 {
        let middle = (low + high) / Decimal::TWO;
        if worth(middle)? > lent {
            high = middle;
        } else {
            low = middle;
        }
    }
    let yearly = Decimal::ONE.checked_div(power(low, DAYS_OF_YEAR)?)?;
    Percent::rounded((yearly - Decimal::ONE) * Decimal::ONE_HUNDRED).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn money(text: &str) -> Money {
        text.parse().expect("money")
    }

    fn rate(text: &str) -> InterestRate {
        text.parse().expect("a rate")
    }

    /// The payments printed by OpenStax ("Principles of Finance" 8.3, "Contemporary Mathematics" 6.8, openstax.org).
    #[test]
    fn level_instalments_are_those_of_the_textbooks() {
        for (principal, yearly, months, instalment) in [
            ("32000", "6", 36, "973.50"),
            ("140000", "3.6", 240, "819.16"),
            ("5000", "8", 60, "101.38"),
            ("50000", "10.9", 84, "853.50"),
            ("10000", "4.75", 240, "64.62"),
        ] {
            let level = level(money(principal), rate(yearly), months);
            assert_eq!(level, Ok(money(instalment)), "{principal} at {yearly} %");
        }
    }

    #[test]
    fn a_months_interest_is_rounded_half_to_even_where_it_is_exactly_between_two_cents() {
        for (principal, yearly, interest) in [
            ("30006", "7", "175.04"),
            ("6", "7", "0.04"),
            ("18", "5", "0.08"),
            ("102", "5", "0.42"),
        ] {
            let of_month = of_month(money(principal), rate(yearly));
            assert_eq!(of_month, Ok(money(interest)), "{principal} at {yearly} %");
        }
    }

    #[test]
    fn the_extremes_of_amount_rate_and_term_have_an_instalment() {
        let most = money("9999999999999.99");
        assert_eq!(level(most, rate("0"), 1), Ok(most));
        assert_eq!(level(money("70.15"), rate("0"), 3), Ok(money("23.38")));
        assert!(level(most, rate("100"), LONGEST_TERM).is_ok());
        assert!(level(most, rate("0.000001"), LONGEST_TERM).is_ok());
        assert_eq!(
            level(money("0.01"), rate("5"), LONGEST_TERM),
            Ok(Money::ZERO)
        );
        // 10^13 at 100 % for a month does not fit into 15 digits.
        assert_eq!(level(most, rate("100"), 1), Err(Refusal::TooLarge));
    }

    /// The examples of the EU's directive, by calendar days (87/102/EEC, Annex III, as amended by 98/7/EC).
    #[test]
    fn the_rate_of_charge_is_that_of_the_directives_examples() {
        let charge = |lent: &str, payments: &[(u32, &str)]| {
            let payments: Vec<_> = payments
                .iter()
                .map(|(day, paid)| (*day, money(paid)))
                .collect();
            charge(money(lent), &payments).map(|rate| rate.to_string())
        };
        assert_eq!(charge("1000", &[(546, "1200")]).as_deref(), Some("12.96"));
        assert_eq!(charge("950", &[(546, "1200")]).as_deref(), Some("16.90"));
        assert_eq!(
            charge("1000", &[(365, "600"), (730, "600")]).as_deref(),
            Some("13.07")
        );
        assert_eq!(charge("1000", &[(365, "1000")]).as_deref(), Some("0.00"));
        assert_eq!(charge("1000", &[(365, "999.99")]), None);
    }
}
