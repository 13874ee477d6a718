//! Why a command or a question is refused.

use events::{
    CountryCode, CustomerId, Day, OrderId, ProductId, Sku, TierName,
    contracts::price::{Currency, TaxCategory},
};

/// Why a command or a question is refused. Each variant becomes a problem of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The sku has no price.
    #[error("there is no price for {sku}")]
    UnknownSku {
        /// The sku that was asked for.
        sku: Sku,
    },
    /// No stock of the sku was ever counted.
    #[error("no stock of {sku} was ever counted")]
    UnknownStock {
        /// The sku that was asked for.
        sku: Sku,
    },
    /// Less would be there than is reserved for orders.
    #[error("{on_hand} are there, of which {reserved} are reserved for orders")]
    BelowReserved {
        /// What is there.
        on_hand: u32,
        /// What of it is reserved.
        reserved: u32,
    },
    /// The goods of an order are shipped, but nothing is known of them.
    #[error("nothing is reserved for order {order_id}")]
    NothingReserved {
        /// The order.
        order_id: OrderId,
    },
    /// More would be there than a stock can hold.
    #[error("a stock holds at most {most}")]
    TooMuch {
        /// The largest quantity.
        most: u32,
    },
    /// Lines ask for skus that have no price.
    #[error("there is no price for {}", listed(.lines))]
    UnknownSkus {
        /// The lines by their places, with their skus.
        lines: Vec<(usize, Sku)>,
    },
    /// There is no such tier.
    #[error("there is no tier {tier}")]
    UnknownTier {
        /// The tier that was asked for.
        tier: TierName,
    },
    /// There is no such customer.
    #[error("there is no customer {customer_id}")]
    UnknownCustomer {
        /// The customer that was asked for.
        customer_id: CustomerId,
    },
    /// No rate was ever set for the country and category.
    #[error("no tax rate is set for {country}, {tax_category}")]
    UnknownTaxRate {
        /// The country.
        country: CountryCode,
        /// The category.
        tax_category: TaxCategory,
    },
    /// The sku belongs to another product.
    #[error("{sku} belongs to product {product_id}")]
    OtherProduct {
        /// The sku.
        sku: Sku,
        /// The product that it belongs to.
        product_id: ProductId,
    },
    /// Two volume prices begin at the same quantity.
    #[error("two prices begin at {min_quantity}")]
    SameQuantity {
        /// The quantity.
        min_quantity: u32,
    },
    /// A volume price begins at 0 or 1, where the base price applies.
    #[error("a volume price begins at 2 or more")]
    QuantityTooSmall,
    /// There are more prices or rates than a row is meant to hold.
    #[error("at most {most} are possible")]
    TooMany {
        /// The largest number.
        most: usize,
    },
    /// A percentage is above 100.
    #[error("must be 0 to 100 %")]
    PercentOutOfRange,
    /// Lines ask for skus that have no price in the currency.
    #[error("no price in {currency} for {}", listed(.lines))]
    NoPrice {
        /// The lines by their places, with their skus.
        lines: Vec<(usize, Sku)>,
        /// The currency.
        currency: Currency,
    },
    /// The category is not taxed, so it has no rate.
    #[error("the category zero is not taxed, so no rate can be set for it")]
    NeverTaxed,
    /// No tax rate applies on the day.
    #[error("{country} has no tax rate for {tax_category} on {day}")]
    NoTaxRate {
        /// The country.
        country: CountryCode,
        /// The category.
        tax_category: TaxCategory,
        /// The day.
        day: Day,
    },
    /// An amount has more than 15 digits.
    #[error("the amount is too large")]
    TooLarge,
}

fn listed(lines: &[(usize, Sku)]) -> String {
    let skus: Vec<&str> = lines.iter().map(|(_, sku)| sku.as_str()).collect();
    skus.join(", ")
}
