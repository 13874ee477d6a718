//! Commerce: what a product costs, for whom, in which quantity, and what an order comes to.
//!
//! Decisions are pure. State, command, version and time come in; a change (the new state with its event) or a [`Refusal`]
//! comes out. The fields of a state are private and change in one place, which also makes the event.
//!
//! * [`customer`]: who buys, and on which terms.
//! * [`cart`]: what a customer is about to order, at the prices of the moment.
//! * [`quote`]: an offer to a customer at locked prices, made from a cart, which becomes an order at exactly that.
//! * [`order`]: what a customer buys, and how far it is. Only its own functions move it; credit and stock answer by events.
//! * [`credit`]: what a business may owe, and what of it is reserved and owed for each order.
//! * [`stock`]: what there is of a sku, what of it can be sold, and what is reserved for each order.
//! * [`category`]: what products are grouped by, and what it says of their attributes.
//! * [`product`]: what the shop sells, with its variants; who can buy it, and how it is taxed.
//! * [`price`]: the prices of a stock-keeping number, by currency and quantity.
//! * [`price_list`]: prices for one customer, for a tier or for everybody, which take the place of those.
//! * [`tier`]: the percentage that a tier of customers gets off.
//! * [`tax`]: a country's dated tax rates for a category.
//! * [`calculation`]: the price of a line and what an order comes to; no state, no I/O.
//! * [`books`]: what orders hold, compared with accounts, stocks and payments.
//! * [`operations`]: load, decide, save. The API, Flow and every other caller run these.
//!
//! Items, all in the table `commerce`:
//!
//! | pk | sk | what | written by |
//! |---|---|---|---|
//! | `price#{sku}` | `state` | [`Price`] | `commerce-pricing-api`, `commerce-cart-worker` |
//! | `stock#{sku}` | `state` | [`Stock`] | `commerce-catalog-api`, `commerce-stock` |
//! | `stock_reservation#{order id}` | `state` | [`stock::Reservation`] | `commerce-stock` |
//! | `product#{product id}` | `state` | [`Product`] | `commerce-catalog-api`, `commerce-catalog`, `commerce-cart-worker` |
//! | `products` | `{product id}` | the list of all products | `commerce-catalog-api` |
//! | `category#{category id}` | `state` | [`Category`] | `commerce-catalog-api`, `commerce-cart-worker` |
//! | `categories` | `{category id}` | where a category stands ([`category::Node`]) | `commerce-catalog-api`, `commerce-cart-worker` |
//! | `category_tree` | `changes` | how often the tree of categories changed | `commerce-catalog-api`, `commerce-cart-worker` |
//! | `category_products#{category id}` | `{product id}` | the list of a category's products | `commerce-catalog-api`, `commerce-cart-worker` |
//! | `category_joins` | `{category id}` | how often a product was put into a category | `commerce-catalog-api`, `commerce-cart-worker` |
//! | `category_work` | `{number}` | a category that is being deleted ([`category::Reassignment`]) | `commerce-catalog-api`, `commerce-cart-worker` |
//! | `sku#{sku}` | `claim` | which product has the sku, for ever ([`product::Claim`]) | `commerce-catalog-api` |
//! | `cart#{cart id}` | `state` | [`Cart`] | `commerce-checkout-api`, `commerce-cart-worker` |
//! | `cart_watch#{subject}` | `{cart id}` | that a cart's lines follow from the subject ([`cart::Watch`]) | `commerce-checkout-api`, `commerce-cart-worker` |
//! | `cart_refresh` | `{time}#{event id}` | a change that carts are still to follow ([`cart::Refresh`]) | `commerce-carts`, `commerce-cart-worker` |
//! | `quote#{quote id}` | `state` | [`Quote`] | `commerce-checkout-api`, `commerce-cart-worker`, `commerce-order-timer` |
//! | `customer_quotes#{customer id}` | `{time}#{quote id}` | the list of a customer's quotes | `commerce-checkout-api` |
//! | `cart#{cart id}` | `quote` | which quote was made last from a cart ([`quote::Last`]) | `commerce-checkout-api` |
//! | `quote_watch#sku/{sku}` | `{quote id}` | that a quote has a line of the sku, until it expires ([`quote::Watch`]) | `commerce-checkout-api`, `commerce-cart-worker` |
//! | `quote_due` | `{time}#{quote id}` | when the time of a quote is over ([`quote::Due`]) | `commerce-checkout-api`, `commerce-order-timer` |
//! | `quote_numbers` | `taken` | how many quote numbers were taken ([`quote::Numbers`]) | `commerce-checkout-api` |
//! | `customer#{customer id}` | `state` | [`Customer`] | `commerce-checkout-api`, `commerce-pricing-api`, `commerce-order-timer` |
//! | `customers` | `{customer id}` | the list of customers | `commerce-checkout-api` |
//! | `order#{order id}` | `state` | [`Order`] | `commerce-checkout-api`, `commerce-orders`, `commerce-order-timer` |
//! | `customer_orders#{customer id}` | `{time}#{order id}` | the list of a customer's orders | `commerce-checkout-api` |
//! | `order_due` | `{time}#{order id}` | when an order is looked at again ([`order::Due`]) | `commerce-checkout-api`, `commerce-order-timer` |
//! | `order_numbers` | `taken` | how many order numbers were taken ([`order::Numbers`]) | `commerce-checkout-api` |
//! | `credit#{customer id}` | `state` | [`CreditAccount`] | `commerce-credit-api`, `commerce-credit` |
//! | `credit_accounts` | `{customer id}` | the list of credit accounts | `commerce-credit-api` |
//! | `credit_reservation#{order id}` | `state` | [`credit::Reservation`] | `commerce-credit-api`, `commerce-credit` |
//! | `fact#credit/payment/{reference}` | `fact` | a payment on account, booked for ever | `commerce-credit-api` |
//! | `price_list#{price list id}` | `state` | [`PriceList`] | `commerce-pricing-api`, `commerce-order-timer` |
//! | `price_lists` | `{price list id}` | the list of all price lists | `commerce-pricing-api` |
//! | `price_lists_of#{audience}` | `state` | the price lists for an audience that can still be valid ([`price_list::Lists`]) | `commerce-pricing-api`, `commerce-order-timer` |
//! | `price_due` | `{time}#{price list id}` | when the time of a price list begins or ends ([`price_list::Due`]) | `commerce-pricing-api`, `commerce-order-timer` |
//! | `price_list_price#{price list id}-{sku}` | `state` | [`price_list::ListPrice`] | `commerce-pricing-api` |
//! | `price_list_prices#{price list id}` | `{sku}` | the list of the prices of a price list | `commerce-pricing-api` |
//! | `price_tier#{tier}` | `state` | [`Tier`] | `commerce-pricing-api`, `commerce-order-timer` |
//! | `price_tax_rate#{country}-{category}` | `state` | [`TaxRates`] | `commerce-pricing-api` |
//!
//! Who changes a price list rewrites, as it is, the row of the customer or the tier that it is for; who changes what a list says of a sku,
//! that of the sku's prices; and after a list for everybody changed, `commerce-cart-worker` those of all of its skus. Such a write has no
//! event. Whoever read the row before decides again.
//!
//! A list is one partition, which takes 1,000 write units a second. A row of it costs two, because a transaction writes twice. So
//! a list grows by at most 500 rows a second; those of orders and of quotes are one for each customer.

pub mod books;
pub mod calculation;
pub mod cart;
pub mod category;
mod change;
pub mod credit;
pub mod customer;
pub mod numbers;
pub mod operations;
pub mod order;
pub mod price;
pub mod price_list;
pub mod product;
pub mod quote;
mod refusal;
pub mod stock;
pub mod tax;
#[cfg(any(test, feature = "testing"))]
pub mod testing;
pub mod tier;

pub use cart::Cart;
pub use category::Category;
pub use change::{Change, Done};
pub use credit::CreditAccount;
pub use customer::Customer;
pub use order::Order;
pub use price::Price;
pub use price_list::PriceList;
pub use product::Product;
pub use quote::Quote;
pub use refusal::Refusal;
pub use stock::Stock;
pub use tax::TaxRates;
pub use tier::Tier;

/// The domain's aggregates, a line each. From this list follow the event log's witness, Flow's and the audit's comparison.
pub const DOMAIN: domain::Domain = domain::Domain {
    name: "commerce",
    table_setting: "COMMERCE_TABLE",
    aggregates: &[
        &domain::Of::<Cart>::NEW,
        &domain::Of::<Category>::NEW,
        &domain::Of::<CreditAccount>::NEW,
        &domain::Of::<credit::Reservation>::NEW,
        &domain::Of::<Customer>::NEW,
        &domain::Of::<Order>::NEW,
        &domain::Of::<Price>::NEW,
        &domain::Of::<PriceList>::NEW,
        &domain::Of::<price_list::ListPrice>::NEW,
        &domain::Of::<Product>::NEW,
        &domain::Of::<Quote>::NEW,
        &domain::Of::<Stock>::NEW,
        &domain::Of::<stock::Reservation>::NEW,
        &domain::Of::<TaxRates>::NEW,
        &domain::Of::<Tier>::NEW,
    ],
};
