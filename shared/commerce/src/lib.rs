//! Commerce: what a product costs, for whom, in which quantity, and what an order comes to.
//!
//! Decisions are pure. State, command, version and time come in; a change (the new state with its event) or a [`Refusal`]
//! comes out. The fields of a state are private and change in one place, which also makes the event.
//!
//! * [`stock`]: what there is of a sku, and what of it can be sold.
//! * [`price`]: the prices of a stock-keeping number, by currency and quantity.
//! * [`tier`]: the percentage that a tier of customers gets off.
//! * [`tax`]: a country's dated tax rates for a category.
//! * [`calculation`]: the price of a line and what an order comes to; no state, no I/O.
//! * [`operations`]: load, decide, save. The API, Flow and every other caller run these.
//!
//! Items, all in the table `commerce`:
//!
//! | pk | sk | what | written by |
//! |---|---|---|---|
//! | `price#{sku}` | `state` | [`Price`] | `commerce-pricing-api` |
//! | `stock#{sku}` | `state` | [`Stock`] | `commerce-catalog-api` |
//! | `price_tier#{tier}` | `state` | [`Tier`] | `commerce-pricing-api` |
//! | `price_tax_rate#{country}-{category}` | `state` | [`TaxRates`] | `commerce-pricing-api` |

pub mod calculation;
mod change;
pub mod operations;
pub mod price;
mod refusal;
pub mod stock;
pub mod tax;
pub mod tier;

pub use change::{Change, Done};
pub use price::Price;
pub use refusal::Refusal;
pub use stock::Stock;
pub use tax::TaxRates;
pub use tier::Tier;

/// The domain's aggregates, a line each. From this list follow the event log's witness, Flow's and the audit's comparison.
pub const DOMAIN: domain::Domain = domain::Domain {
    name: "commerce",
    table_setting: "COMMERCE_TABLE",
    aggregates: &[
        &domain::Of::<Price>::NEW,
        &domain::Of::<Stock>::NEW,
        &domain::Of::<TaxRates>::NEW,
        &domain::Of::<Tier>::NEW,
    ],
};
