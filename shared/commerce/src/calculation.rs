//! The price of a line, and what an order comes to. Pure: prices, price lists, percentages and rates come in.
//!
//! Every amount is rounded half to even, each at one place: the price of a unit to four decimals, a line's total, and the
//! tax of all lines that have the same category and rate, to two. A tax is rounded on that sum, as invoices in the EU total it
//! (EN 16931, BR-CO-17), and not line by line. What a line shows of it is its share by the largest remainder, so that the
//! shares add up to it.

use std::{cmp::Reverse, collections::BTreeMap};

pub use events::contracts::order::{TaxLine, Totals};
use events::{
    Money, Percent, PriceListId, TierName, Timestamp, UnitPrice,
    contracts::price::{Currency, ListKind, TaxCategory},
};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    Refusal, Tier,
    price::Prices,
    price_list::{Entry, Level},
};

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
    /// The price of a list for the customer.
    ContractPrice,
    /// The price of a list for the customer's tier.
    TierPrice,
    /// The price of a list for everybody.
    ListPrice,
}

impl From<Level> for PriceReason {
    fn from(level: Level) -> Self {
        match level {
            Level::Contract => Self::ContractPrice,
            Level::Tier => Self::TierPrice,
            Level::Everybody => Self::ListPrice,
        }
    }
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
    /// The price that the quantity has, in the price list if one set it, before any percentage.
    pub list_price: UnitPrice,
    /// The quantity from which that price applies.
    pub min_quantity: u32,
    /// The price list that set the price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_list_id: Option<PriceListId>,
    /// The tier whose percentage was taken off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tier: Option<TierName>,
    /// The per cent that was taken off.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discount_percent: Option<Percent>,
}

/// What a price list that is valid says of the goods of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListOffer<'a> {
    /// For whom the list is.
    pub level: Level,
    /// The list.
    pub list: &'a Entry,
    /// Its prices of the goods.
    pub prices: &'a Prices,
}

impl<'a> ListOffer<'a> {
    /// What decides which list counts first: that of the first level; there that with the highest priority, then that which began last,
    /// then the first id.
    fn precedence(
        &self,
    ) -> (
        Level,
        Reverse<u32>,
        Reverse<Option<Timestamp>>,
        &'a PriceListId,
    ) {
        let list = self.list;
        (
            self.level,
            Reverse(list.priority),
            Reverse(list.valid_from),
            &list.price_list_id,
        )
    }
}

/// Calculates the price of a unit. Of the lists the one that counts first sets it: an `override` always, a `sale` if its price is lower
/// than what the unit would cost without it. If none does, it is the base price for the quantity less the tier's percentage, rounded to
/// four decimals. In each list it is the price of the largest quantity that is reached.
///
/// # Errors
/// [`Refusal::TooLarge`].
pub fn unit_price(
    base: &Prices,
    offers: &[ListOffer<'_>],
    quantity: u32,
    tier: Option<&Tier>,
) -> Result<UnitCalculation, Refusal> {
    let mut offers = offers.to_vec();
    offers.sort_by_key(ListOffer::precedence);
    let mut price = without_lists(base, quantity, tier)?;
    // From the last one to the first: what was found so far is what the unit would cost without the next one.
    for offer in offers.into_iter().rev() {
        let (min_quantity, list_price) = offer.prices.of_quantity(quantity);
        let counts = match offer.list.kind {
            ListKind::Override => true,
            ListKind::Sale => list_price < price.unit_price,
        };
        if counts {
            price = UnitCalculation {
                unit_price: list_price,
                reason: offer.level.into(),
                base_price: base.base_price,
                list_price,
                min_quantity,
                price_list_id: Some(offer.list.price_list_id.clone()),
                tier: None,
                discount_percent: None,
            };
        }
    }
    Ok(price)
}

/// The base price for the quantity, less the tier's percentage.
fn without_lists(
    base: &Prices,
    quantity: u32,
    tier: Option<&Tier>,
) -> Result<UnitCalculation, Refusal> {
    let (min_quantity, list_price) = base.of_quantity(quantity);
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
        base_price: base.base_price,
        list_price,
        min_quantity,
        price_list_id: None,
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
    by_remainder.sort_by_key(|at| Reverse(exact[*at] - shares[*at]));
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
