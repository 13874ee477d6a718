//! The price of a line, and what an order comes to. Pure: prices, percentages and rates come in.
//!
//! Every amount is rounded half to even, each at one place: the price of a unit to four decimals, a line's total, and the
//! tax of all lines that have the same category and rate, to two. A tax is rounded on that sum, as invoices in the EU total it
//! (EN 16931, BR-CO-17), and not line by line. What a line shows of it is its share by the largest remainder, so that the
//! shares add up to it.

use std::collections::BTreeMap;

pub use events::contracts::order::{TaxLine, Totals};
use events::{
    Money, Percent, TierName, UnitPrice,
    contracts::price::{Currency, TaxCategory},
};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{Refusal, Tier, price::PriceList};

/// The most lines of an order.
pub const MOST_LINES: usize = 45;

/// The largest quantity of a line.
pub const LARGEST_QUANTITY: u32 = 1_000_000;

/// Why a unit costs what it costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum PriceReason {
    /// The price of any quantity.
    BasePrice,
    /// The price from a larger quantity on.
    VolumePrice,
    /// One of the two, less the percentage of the customer's tier.
    TierDiscount,
}

/// The price of a unit with how it came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct UnitCalculation {
    /// What one unit costs, without tax.
    pub unit_price: UnitPrice,
    /// Which rule set the price.
    pub reason: PriceReason,
    /// The price of one unit in the smallest quantity, to any customer.
    pub base_price: UnitPrice,
    /// The price that the quantity has, before any percentage.
    pub list_price: UnitPrice,
    /// The quantity from which that price applies.
    pub min_quantity: u32,
    /// The tier whose percentage was taken off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<TierName>,
    /// The per cent that was taken off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discount_percent: Option<Percent>,
}

/// Calculates the price of a unit: the list's price for the quantity, less the tier's percentage, rounded to four decimals.
///
/// # Errors
/// [`Refusal::TooLarge`].
pub fn unit_price(
    list: &PriceList,
    quantity: u32,
    tier: Option<&Tier>,
) -> Result<UnitCalculation, Refusal> {
    let (min_quantity, list_price) = list.of_quantity(quantity);
    let tier = tier.filter(|tier| !tier.discount_percent().is_zero());
    let unit_price = match tier {
        None => list_price,
        Some(tier) => {
            let left = Decimal::ONE_HUNDRED - tier.discount_percent().decimal();
            let price = list_price.decimal() * left / Decimal::ONE_HUNDRED;
            UnitPrice::rounded(price).map_err(|_| Refusal::TooLarge)?
        }
    };
    let reason = match (tier, min_quantity) {
        (Some(_), _) => PriceReason::TierDiscount,
        (None, 1) => PriceReason::BasePrice,
        (None, _) => PriceReason::VolumePrice,
    };
    Ok(UnitCalculation {
        unit_price,
        reason,
        base_price: list.base_price,
        list_price,
        min_quantity,
        tier: tier.map(|tier| tier.tier().clone()),
        discount_percent: tier.map(Tier::discount_percent),
    })
}

/// Calculates what a line comes to without tax.
///
/// # Errors
/// [`Refusal::TooLarge`].
pub fn line_total(unit_price: UnitPrice, quantity: u32) -> Result<Money, Refusal> {
    let total = unit_price.decimal() * Decimal::from(quantity);
    Money::rounded(total).map_err(|_| Refusal::TooLarge)
}

/// What the tax of a line depends on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TaxedLine {
    /// What the line comes to without tax.
    pub line_total: Money,
    /// How it is taxed.
    pub tax_category: TaxCategory,
    /// The rate in per cent.
    pub tax_rate: Percent,
}

/// Calculates what lines come to. The second result is each line's share of the tax, in the order of the lines.
///
/// # Errors
/// [`Refusal::TooLarge`].
pub fn totals(currency: Currency, lines: &[TaxedLine]) -> Result<(Totals, Vec<Money>), Refusal> {
    let too_large = |_| Refusal::TooLarge;
    let mut groups: BTreeMap<(TaxCategory, Decimal), Vec<usize>> = BTreeMap::new();
    for (at, line) in lines.iter().enumerate() {
        let group = (line.tax_category, line.tax_rate.decimal().normalize());
        groups.entry(group).or_default().push(at);
    }
    let mut shares = vec![Money::ZERO; lines.len()];
    let mut tax_lines = Vec::with_capacity(groups.len());
    for ((tax_category, rate), members) in groups {
        let nets: Vec<Decimal> = members
            .iter()
            .map(|at| lines[*at].line_total.decimal())
            .collect();
        let taxable_amount = Money::new(nets.iter().sum()).map_err(too_large)?;
        let tax = taxable_amount.decimal() * rate / Decimal::ONE_HUNDRED;
        let tax_amount = Money::rounded(tax).map_err(too_large)?;
        let exact: Vec<Decimal> = nets
            .iter()
            .map(|net| net * rate / Decimal::ONE_HUNDRED)
            .collect();
        for (at, share) in members.iter().zip(shared(tax_amount.decimal(), &exact)) {
            shares[*at] = Money::new(share).map_err(too_large)?;
        }
        tax_lines.push(TaxLine {
            tax_category,
            tax_rate: lines[members[0]].tax_rate,
            taxable_amount,
            tax_amount,
        });
    }
    let sum = |amounts: &mut dyn Iterator<Item = Money>| {
        Money::new(amounts.map(Money::decimal).sum()).map_err(too_large)
    };
    let subtotal = sum(&mut lines.iter().map(|line| line.line_total))?;
    let tax_amount = sum(&mut tax_lines.iter().map(|line| line.tax_amount))?;
    let totals = Totals {
        subtotal,
        tax_lines,
        tax_amount,
        total: subtotal.plus(tax_amount).map_err(too_large)?,
        currency,
    };
    Ok((totals, shares))
}

/// Divides an amount of whole cents over shares that add up to it but for its own rounding: each gets its whole cents, and
/// those with the largest remainders a cent more, the earlier of two equal ones first.
fn shared(amount: Decimal, exact: &[Decimal]) -> Vec<Decimal> {
    let cent = Decimal::new(1, 2);
    let mut shares: Vec<Decimal> = exact.iter().map(|one| one.trunc_with_scale(2)).collect();
    let mut by_remainder: Vec<usize> = (0..exact.len()).collect();
    // A stable sort: equal remainders stay in the order of the lines.
    by_remainder.sort_by_key(|at| std::cmp::Reverse(exact[*at] - shares[*at]));
    let mut left = amount - shares.iter().sum::<Decimal>();
    for at in by_remainder {
        if left < cent {
            break;
        }
        shares[at] += cent;
        left -= cent;
    }
    shares
}

#[cfg(test)]
mod tests;
