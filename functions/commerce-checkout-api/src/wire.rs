//! Request and response bodies.

use api::{AmountInput, CursorToken, PageLimit, PageQuery};
use commerce::{
    calculation::{LARGEST_QUANTITY, MOST_LINES},
    customer::Profile,
    quote::MOST_VALID_DAYS,
};
use events::{
    CartId, CountryCode, CustomerId, EventId, EventType, Fiat, ItemId, Money, OrderId, OrderNumber,
    Producer, QuoteId, QuoteNumber, Sequence, Sku, Text, TierName, Timestamp,
    contracts::{
        cart::CartStatus,
        customer::{CustomerType, PaymentTerm, VatTreatment},
        order::{FulfillmentStatus, Item, OrderStatus, PaymentStatus, Rejection, Totals},
        price::Currency,
        quote::QuoteStatus,
    },
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The path parameter of a customer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct CustomerPath {
    /// The customer's id.
    pub customer_id: CustomerId,
}

/// The path parameter of an order.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub struct OrderPath {
    /// The order's id.
    pub order_id: OrderId,
}

/// A line of an order.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct LineInput {
    /// The product's stock-keeping number. No two lines may have the same.
    pub sku: Sku,
    /// How many, 1 to 1,000,000.
    #[schemars(range(min = 1, max = LARGEST_QUANTITY))]
    pub quantity: u32,
}

/// Place an order.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct OrderRequest {
    /// The customer.
    pub customer_id: CustomerId,
    /// The currency.
    pub currency: Currency,
    /// The lines, 1 to 45.
    #[schemars(length(min = 1, max = MOST_LINES))]
    pub lines: Vec<LineInput>,
    /// What the caller showed the customer, with tax. If it is given, an order that comes to another amount is refused.
    #[serde(default)]
    pub expected_total: Option<AmountInput<Fiat>>,
}

/// The query of a list of orders.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct OrdersQuery {
    /// The customer.
    pub customer_id: CustomerId,
    /// Only orders in this status. If absent, all. A page can then have fewer items than its limit, or none, and a next page
    /// nevertheless.
    #[serde(default)]
    pub status: Option<OrderStatus>,
    /// The maximum number of items.
    #[serde(default)]
    pub limit: PageLimit,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<CursorToken>,
}

impl OrdersQuery {
    /// Returns the page parameters.
    #[must_use]
    pub fn page(&self) -> PageQuery {
        PageQuery {
            limit: self.limit,
            cursor: self.cursor.clone(),
        }
    }
}

/// Cancel an order.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct CancelRequest {
    /// Why.
    #[serde(default)]
    pub reason: Option<Text<500>>,
}

/// Say that the goods of an order left the house.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ShipRequest {
    /// Who carries them.
    #[serde(default)]
    pub carrier: Option<Text<100>>,
    /// The carrier's number of the parcel.
    #[serde(default)]
    pub tracking: Option<Text<100>>,
}

/// A request that needs only its path.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub struct NothingRequest {}

/// The path parameter of a cart.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub struct CartPath {
    /// The cart's id.
    pub cart_id: CartId,
}

/// The path parameters of a line of a cart.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub struct CartItemPath {
    /// The cart's id.
    pub cart_id: CartId,
    /// The line's id.
    pub item_id: ItemId,
}

/// Make a cart.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct CartRequest {
    /// The customer.
    pub customer_id: CustomerId,
    /// The currency of its prices. It cannot change.
    pub currency: Currency,
}

/// Put goods into a cart.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ItemRequest {
    /// The product's stock-keeping number.
    pub sku: Sku,
    /// How many more, 1 to 1,000,000.
    #[schemars(range(min = 1, max = LARGEST_QUANTITY))]
    pub quantity: u32,
}

/// Change the quantity of a line.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub struct QuantityRequest {
    /// How many, 1 to 1,000,000.
    #[schemars(range(min = 1, max = LARGEST_QUANTITY))]
    pub quantity: u32,
}

/// Turn a cart into an order.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub struct CheckoutRequest {
    /// What the caller showed the customer, with tax. If it is given, an order that comes to another amount is refused.
    #[serde(default)]
    pub expected_total: Option<AmountInput<Fiat>>,
}

/// The path parameter of a quote.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub struct QuotePath {
    /// The quote's id.
    pub quote_id: QuoteId,
}

/// Make a quote.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub struct QuoteRequest {
    /// The cart whose goods it offers.
    pub cart_id: CartId,
    /// For how many days it is valid, 1 to 90. If absent, 30.
    #[serde(default)]
    #[schemars(range(min = 1, max = MOST_VALID_DAYS))]
    pub valid_days: Option<u32>,
}

/// Price a quote again.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub struct RepriceRequest {
    /// For how many days the new quote is valid, 1 to 90. If absent, 30.
    #[serde(default)]
    #[schemars(range(min = 1, max = MOST_VALID_DAYS))]
    pub valid_days: Option<u32>,
}

/// Turn a quote into an order.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub struct AcceptRequest {
    /// What the caller showed the customer, with tax. If it is given, a quote that comes to another amount is not accepted.
    #[serde(default)]
    pub expected_total: Option<AmountInput<Fiat>>,
}

/// Say that the customer does not want a quote.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct RejectRequest {
    /// Why.
    #[serde(default)]
    pub reason: Option<Text<500>>,
}

/// The query of a list of quotes.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct QuotesQuery {
    /// The customer.
    pub customer_id: CustomerId,
    /// The maximum number of items.
    #[serde(default)]
    pub limit: PageLimit,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<CursorToken>,
}

impl QuotesQuery {
    /// Returns the page parameters.
    #[must_use]
    pub fn page(&self) -> PageQuery {
        PageQuery {
            limit: self.limit,
            cursor: self.cursor.clone(),
        }
    }
}

/// How far a quote is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct QuoteReceipt {
    /// The quote's id.
    pub quote_id: QuoteId,
    /// Its number, as people read it.
    pub quote_number: QuoteNumber,
    /// The customer.
    pub customer_id: CustomerId,
    /// The cart that it was made from.
    pub cart_id: CartId,
    /// Where it stands.
    pub status: QuoteStatus,
    /// Whether it must be priced again before it can be accepted.
    pub needs_repricing: bool,
    /// How many lines it has.
    pub lines: usize,
    /// What it comes to.
    pub totals: Totals,
    /// When it can no longer be accepted.
    pub valid_until: Timestamp,
    /// The order that it became; null if it did not.
    pub order_id: Option<OrderId>,
    /// The quote that took its place; null if none did.
    pub superseded_by: Option<QuoteId>,
    /// Why the customer rejected it; null if nobody said so.
    pub reason: Option<Text<500>>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// Who changed it last.
    pub updated_by: Text<256>,
    /// The version: every change increases it by one.
    pub version: Sequence,
}

/// A quote with its lines.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct QuoteAnswer {
    /// How far it is.
    #[serde(flatten)]
    pub quote: QuoteReceipt,
    /// The country whose tax rates apply.
    pub country: CountryCode,
    /// How it is taxed.
    pub vat_treatment: VatTreatment,
    /// The customer's tier by which the prices were calculated; null if there is none.
    pub tier: Option<TierName>,
    /// Its lines, at the prices that it locks.
    pub items: Vec<Item>,
}

/// How far a cart is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CartReceipt {
    /// The cart's id.
    pub cart_id: CartId,
    /// The customer.
    pub customer_id: CustomerId,
    /// The currency of its prices.
    pub currency: Currency,
    /// Whether it can still change.
    pub status: CartStatus,
    /// How many lines it has.
    pub lines: usize,
    /// What they come to; null if there are none.
    pub totals: Option<Totals>,
    /// The order that it became; null if it did not.
    pub order_id: Option<OrderId>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// Who changed it last.
    pub updated_by: Text<256>,
    /// The version: every change increases it by one.
    pub version: Sequence,
}

/// A cart with its lines.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CartAnswer {
    /// How far it is.
    #[serde(flatten)]
    pub cart: CartReceipt,
    /// Its lines, at the prices of its last change.
    pub items: Vec<Item>,
}

/// A customer.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct CustomerAnswer {
    /// The customer's id.
    pub customer_id: CustomerId,
    /// What is known of it.
    #[serde(flatten)]
    pub profile: Profile,
    /// When it was registered.
    pub registered_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// Who changed it last.
    pub updated_by: Text<256>,
    /// The version: every change increases it by one.
    pub version: Sequence,
}

/// How far an order is.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OrderReceipt {
    /// The order's id.
    pub order_id: OrderId,
    /// Its number, as people read it.
    pub order_number: OrderNumber,
    /// The customer.
    pub customer_id: CustomerId,
    /// Where it stands.
    pub status: OrderStatus,
    /// How much of it is paid.
    pub payment_status: PaymentStatus,
    /// Where its goods are.
    pub fulfillment_status: FulfillmentStatus,
    /// What it comes to.
    pub totals: Totals,
    /// What is paid.
    pub paid: Money,
    /// What is still to be paid.
    pub outstanding: Money,
    /// Why it was rejected; null if it was not.
    pub rejection: Option<Rejection>,
    /// The quote that it was placed at the prices of; null if there is none.
    pub quote_id: Option<QuoteId>,
    /// When it was placed.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// The version: every change increases it by one.
    pub version: Sequence,
}

/// An order with its lines.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OrderAnswer {
    /// How far it is.
    #[serde(flatten)]
    pub order: OrderReceipt,
    /// Whether the customer bought for a business.
    pub customer_type: CustomerType,
    /// When it is to be paid.
    pub payment_term: PaymentTerm,
    /// The country whose tax rates apply.
    pub country: CountryCode,
    /// How it is taxed.
    pub vat_treatment: VatTreatment,
    /// Its lines.
    pub items: Vec<Item>,
}

/// The steps of an order, in the order in which they caused each other.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Timeline {
    /// The order's id.
    pub order_id: OrderId,
    /// The steps of the order, of its credit and of its goods.
    pub steps: Vec<Step>,
}

/// A step of an order.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Step {
    /// The event that tells of it.
    pub event_id: EventId,
    /// The event's type.
    pub event_type: EventType,
    /// The status that the event states; null if it states none.
    pub status: Option<String>,
    /// The reason that the event states; null if it states none.
    pub reason: Option<String>,
    /// The function that publishes events of this type.
    pub by: Producer,
    /// The event that was being handled; null for a request.
    pub caused_by: Option<EventId>,
    /// When it happened.
    pub occurred_at: Timestamp,
}
