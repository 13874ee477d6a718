//! Orders of goods: placed, confirmed once credit and stock are reserved, shipped, delivered and paid.
//!
//! An order has three dimensions: its status, its payment and its fulfilment. Only the order's own functions change them.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    credit::NoCredit,
    customer::{CustomerType, PaymentTerm, VatTreatment},
    price::{Currency, TaxCategory},
};
use crate::{
    CountryCode, CustomerId, ItemId, Money, OrderId, OrderNumber, Percent, ProductId, QuoteId,
    Retention, Sequence, Sku, Text, Timestamp, UnitPrice,
};

contracts! {
    kept Retention::Forever;
    Cancelled: "order.cancelled", Critical, "commerce-checkout-api", "order" [order_id];
    Confirmed: "order.confirmed", Critical, "commerce-orders", "order" [order_id];
    Created: "order.created", Critical, "commerce-checkout-api", "order" [order_id];
    Delivered: "order.delivered", Normal, "commerce-checkout-api", "order" [order_id];
    Paid: "order.paid", Critical, "commerce-orders", "order" [order_id];
    Rejected: "order.rejected", Critical, "commerce-orders", "order" [order_id];
    Shipped: "order.shipped", High, "commerce-checkout-api", "order" [order_id];
    Stuck: "order.stuck", High, "commerce-order-timer", "order" [order_id];
    StockRequested: "order.stock_requested", Critical, "commerce-orders", "order" [order_id];
}

/// Where an order stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum OrderStatus {
    /// Credit and stock are being reserved.
    Pending,
    /// They are reserved.
    Confirmed,
    /// The goods are delivered and paid.
    Completed,
    /// Credit or stock was refused.
    Rejected,
    /// It was cancelled before the goods were shipped.
    Cancelled,
}

impl OrderStatus {
    /// Every one of them.
    pub const ALL: [Self; 5] = [
        Self::Pending,
        Self::Confirmed,
        Self::Completed,
        Self::Rejected,
        Self::Cancelled,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Confirmed => "confirmed",
            Self::Completed => "completed",
            Self::Rejected => "rejected",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for OrderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// How much of an order is paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum PaymentStatus {
    /// Nothing.
    Pending,
    /// A part.
    PartiallyPaid,
    /// All.
    Paid,
}

/// Where the goods of an order are.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum FulfillmentStatus {
    /// In the house.
    Unfulfilled,
    /// On the way.
    Shipped,
    /// With the customer.
    Delivered,
}

impl FulfillmentStatus {
    /// Every one of them.
    pub const ALL: [Self; 3] = [Self::Unfulfilled, Self::Shipped, Self::Delivered];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unfulfilled => "unfulfilled",
            Self::Shipped => "shipped",
            Self::Delivered => "delivered",
        }
    }
}

impl fmt::Display for FulfillmentStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A line of an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Item {
    /// The line's id.
    pub item_id: ItemId,
    /// The product.
    pub product_id: ProductId,
    /// The product's stock-keeping number. No two lines of an order have the same.
    pub sku: Sku,
    /// What the product is called, with what distinguishes the variant. Every event of Millrace has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text<402>>,
    /// How many.
    pub quantity: u32,
    /// What one unit costs, without tax.
    pub unit_price: UnitPrice,
    /// What the line comes to, without tax.
    pub line_total: Money,
    /// How it is taxed. Every event of Millrace has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_category: Option<TaxCategory>,
    /// The rate in per cent. Every event of Millrace has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_rate: Option<Percent>,
    /// Its share of the tax. Every event of Millrace has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tax_amount: Option<Money>,
    /// Whether the goods can be sold to the customer, in any quantity. Only the lines of carts have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<bool>,
}

/// A quantity of a sku.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Goods {
    /// The product's stock-keeping number.
    pub sku: Sku,
    /// How many.
    pub quantity: u32,
}

/// The tax of all lines with the same category and rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct TaxLine {
    /// How they are taxed.
    pub tax_category: TaxCategory,
    /// The rate in per cent.
    pub tax_rate: Percent,
    /// What the lines come to without tax.
    pub taxable_amount: Money,
    /// Their tax.
    pub tax_amount: Money,
}

/// What an order comes to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Totals {
    /// The sum of the lines, without tax.
    pub subtotal: Money,
    /// The tax of each category and rate. Every event of Millrace has it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tax_lines: Vec<TaxLine>,
    /// The sum of the tax.
    pub tax_amount: Money,
    /// What is paid: the subtotal and the tax.
    pub total: Money,
    /// The currency of the amounts.
    pub currency: Currency,
}

/// A line for which there is not enough stock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Shortage {
    /// The product's stock-keeping number.
    pub sku: Sku,
    /// How many the order asks for.
    pub wanted: u32,
    /// How many could be sold.
    pub available: u32,
}

/// Why an order was rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Rejection {
    /// It is more than what may still be reserved of the customer's credit.
    InsufficientCredit,
    /// The customer's credit account is blocked.
    AccountBlocked,
    /// The customer has no credit account in the order's currency.
    NoAccount,
    /// There is not enough stock.
    OutOfStock,
}

impl From<NoCredit> for Rejection {
    fn from(reason: NoCredit) -> Self {
        match reason {
            NoCredit::InsufficientCredit => Self::InsufficientCredit,
            NoCredit::AccountBlocked => Self::AccountBlocked,
            NoCredit::NoAccount => Self::NoAccount,
        }
    }
}

/// An order was placed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    /// The order.
    pub order_id: OrderId,
    /// Its number, as people read it.
    pub order_number: OrderNumber,
    /// The customer.
    pub customer_id: CustomerId,
    /// Whether the customer buys for a business.
    pub customer_type: CustomerType,
    /// When it was placed.
    pub created_at: Timestamp,
    /// Where it stands: `pending`.
    pub status: OrderStatus,
    /// How much of it is paid: nothing, so `pending`, but `paid` for an order that comes to nothing.
    pub payment_status: PaymentStatus,
    /// Where the goods are: in the house.
    pub fulfillment_status: FulfillmentStatus,
    /// Its lines.
    pub items: Vec<Item>,
    /// What it comes to.
    pub totals: Totals,
    /// When it is to be paid. Every event of Millrace has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_term: Option<PaymentTerm>,
    /// The country whose tax rates apply. Every event of Millrace has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub country: Option<CountryCode>,
    /// How it is taxed. Every event of Millrace has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vat_treatment: Option<VatTreatment>,
    /// The quote that it was placed at the prices of; absent if it was placed without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub quote_id: Option<QuoteId>,
    /// Who placed it: the user for whom the caller acted, else the owner of its key. Every event of Millrace has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub created_by: Option<Text<256>>,
    /// The order's version after this event; projections use it as their version guard. Every event of Millrace has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<Sequence>,
}

/// The credit for an order is reserved, or it needs none: now its goods are to be reserved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StockRequested {
    /// The order.
    pub order_id: OrderId,
    /// Its number, as people read it.
    pub order_number: OrderNumber,
    /// The goods to be reserved, all of them or none.
    pub items: Vec<Goods>,
    /// When they were asked for.
    pub requested_at: Timestamp,
    /// The order's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// What an order waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Awaits {
    /// Its credit.
    Credit,
    /// Its goods.
    Stock,
}

/// An order is pending for too long: credit or stock has not answered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Stuck {
    /// The order.
    pub order_id: OrderId,
    /// Its number, as people read it.
    pub order_number: OrderNumber,
    /// The customer.
    pub customer_id: CustomerId,
    /// What it waits for.
    pub awaits: Awaits,
    /// When it was placed.
    pub created_at: Timestamp,
    /// When this was seen.
    pub stuck_at: Timestamp,
    /// The order's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// Credit and stock for an order are reserved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Confirmed {
    /// The order.
    pub order_id: OrderId,
    /// Its number, as people read it.
    pub order_number: OrderNumber,
    /// The customer.
    pub customer_id: CustomerId,
    /// When it was confirmed.
    pub confirmed_at: Timestamp,
    /// The order's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// An order was rejected. What is reserved for it is given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rejected {
    /// The order.
    pub order_id: OrderId,
    /// Its number, as people read it.
    pub order_number: OrderNumber,
    /// The customer.
    pub customer_id: CustomerId,
    /// Whether the customer buys for a business.
    pub customer_type: CustomerType,
    /// What the order comes to.
    pub amount: Money,
    /// The currency of the amount.
    pub currency: Currency,
    /// Why.
    pub reason: Rejection,
    /// Every line for which there is not enough stock.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub shortages: Vec<Shortage>,
    /// When it was rejected.
    pub rejected_at: Timestamp,
    /// The order's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// An order was cancelled. What is reserved for it is given back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Cancelled {
    /// The order.
    pub order_id: OrderId,
    /// Its number, as people read it.
    pub order_number: OrderNumber,
    /// The customer.
    pub customer_id: CustomerId,
    /// Whether the customer buys for a business.
    pub customer_type: CustomerType,
    /// What the order comes to.
    pub amount: Money,
    /// The currency of the amount.
    pub currency: Currency,
    /// The goods to be given back.
    pub items: Vec<Goods>,
    /// Where it stood before.
    pub previous_status: OrderStatus,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<500>>,
    /// When it was cancelled.
    pub cancelled_at: Timestamp,
    /// Who cancelled it: the user for whom the caller acted, else the owner of its key; `system` if it took too long.
    pub cancelled_by: Text<256>,
    /// The order's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// An order was paid, or a part of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Paid {
    /// The order.
    pub order_id: OrderId,
    /// Its number, as people read it.
    pub order_number: OrderNumber,
    /// The customer.
    pub customer_id: CustomerId,
    /// Whether the customer buys for a business.
    pub customer_type: CustomerType,
    /// What the payment is called: the bank's reference of a payment on account, else the payment's id.
    pub payment_reference: Text<255>,
    /// Whether it was paid on the customer's credit account.
    pub on_account: bool,
    /// How much was paid.
    pub amount: Money,
    /// The currency of the amounts.
    pub currency: Currency,
    /// What is still to be paid.
    pub outstanding: Money,
    /// How much of the order is paid from now on.
    pub payment_status: PaymentStatus,
    /// Where the order stands from now on: `completed` if it is delivered and all is paid.
    pub status: OrderStatus,
    /// When the order learnt of it.
    pub paid_at: Timestamp,
    /// The order's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// The goods of an order left the house.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Shipped {
    /// The order.
    pub order_id: OrderId,
    /// Its number, as people read it.
    pub order_number: OrderNumber,
    /// The customer.
    pub customer_id: CustomerId,
    /// Whether the customer buys for a business.
    pub customer_type: CustomerType,
    /// The goods.
    pub items: Vec<Goods>,
    /// Who carries them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<Text<100>>,
    /// The carrier's number of the parcel.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tracking: Option<Text<100>>,
    /// When they left.
    pub shipped_at: Timestamp,
    /// Who says so: the user for whom the caller acted, else the owner of its key.
    pub shipped_by: Text<256>,
    /// The order's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// The goods of an order arrived.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Delivered {
    /// The order.
    pub order_id: OrderId,
    /// Its number, as people read it.
    pub order_number: OrderNumber,
    /// The customer.
    pub customer_id: CustomerId,
    /// Where the order stands from now on: `completed` if all is paid.
    pub status: OrderStatus,
    /// When they arrived.
    pub delivered_at: Timestamp,
    /// Who says so: the user for whom the caller acted, else the owner of its key.
    pub delivered_by: Text<256>,
    /// The order's version after this event; projections use it as their version guard.
    pub version: Sequence,
}
