//! The declaration of `commerce-carts`.

use crate::{Access, Action::Put, Consumer, Function, Kind, functions::commerce_pricing_api};

events::subscription! {
    /// What the lines of carts follow from.
    pub enum Event {
        /// The prices of a sku.
        Price(events::contracts::price::Changed) by Mark,
        /// The percentage of a tier.
        Tier(events::contracts::price::TierChanged) by Mark,
        /// The terms, the begin or the end of a price list.
        PriceList(events::contracts::price::ListChanged) by Mark,
        /// What a price list says of a sku.
        ListPrice(events::contracts::price::ListPriceChanged) by Mark,
        /// What the catalogue says of a product.
        ProductUpdated(events::contracts::product::Updated) by Mark,
        /// A product that is no longer there.
        ProductDeleted(events::contracts::product::Deleted) by Mark,
        /// How much of a sku can be sold.
        Stock(events::contracts::stock::Changed) by Mark,
        /// What is known of a customer.
        Customer(events::contracts::customer::Updated) by Mark,
    }
}

/// The function's declaration.
pub const FUNCTION: Function = Function::new(
    "commerce-carts",
    "Writes down which carts must follow a change of a price, a price list, a product, a stock, a tier or a customer.",
    Kind::Consumer(Consumer::of::<Event>()),
)
.with_domains(&["commerce"])
.owning(&[Access::to(&commerce_pricing_api::TABLE, &[Put])]);
