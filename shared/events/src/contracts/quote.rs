//! Quotes: offers to customers at locked prices.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    cart::PriceChange,
    customer::VatTreatment,
    order::{Item, Totals},
    price::Currency,
};
use crate::{
    CartId, CountryCode, CustomerId, Money, OrderId, QuoteId, QuoteNumber, Retention, Sequence,
    Text, TierName, Timestamp,
};

contracts! {
    kept Retention::Forever;
    Accepted: "quote.accepted", Normal, "commerce-checkout-api", "quote" [quote_id];
    Created: "quote.created", Normal, "commerce-checkout-api", "quote" [quote_id];
    Expired: "quote.expired", Normal, "commerce-checkout-api", "quote" [quote_id];
    Rejected: "quote.rejected", Normal, "commerce-checkout-api", "quote" [quote_id];
    Updated: "quote.updated", Normal, "commerce-checkout-api", "quote" [quote_id];
}

/// Where a quote stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum QuoteStatus {
    /// It can be accepted until its time is over.
    Open,
    /// It became an order.
    Accepted,
    /// The customer does not want it.
    Rejected,
    /// Its time was over before it was accepted.
    Expired,
    /// Another quote took its place.
    Superseded,
}

impl QuoteStatus {
    /// Every one of them.
    pub const ALL: [Self; 5] = [
        Self::Open,
        Self::Accepted,
        Self::Rejected,
        Self::Expired,
        Self::Superseded,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Accepted => "accepted",
            Self::Rejected => "rejected",
            Self::Expired => "expired",
            Self::Superseded => "superseded",
        }
    }
}

impl fmt::Display for QuoteStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What happened to a quote, if that is told by `quote.updated`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Action {
    /// Prices moved so far from the locked ones that it must be priced again.
    RepricingNeeded,
    /// Another quote took its place.
    Superseded,
}

/// A quote was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    /// The quote.
    pub quote_id: QuoteId,
    /// Its number, as people read it.
    pub quote_number: QuoteNumber,
    /// The customer.
    pub customer_id: CustomerId,
    /// The cart that it was made from.
    pub cart_id: CartId,
    /// Where it stands: `open`.
    pub status: QuoteStatus,
    /// Its lines, at the prices that it locks.
    pub items: Vec<Item>,
    /// What it comes to.
    pub totals: Totals,
    /// The country whose tax rates apply.
    pub country: CountryCode,
    /// How it is taxed.
    pub vat_treatment: VatTreatment,
    /// The customer's tier by which the prices were calculated; absent if there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tier: Option<TierName>,
    /// When it can no longer be accepted.
    pub valid_until: Timestamp,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it: the user for whom the caller acted, else the owner of its key.
    pub created_by: Text<256>,
    /// The quote's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// A quote must be priced again, or another one took its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Updated {
    /// The quote.
    pub quote_id: QuoteId,
    /// Its number, as people read it.
    pub quote_number: QuoteNumber,
    /// The customer.
    pub customer_id: CustomerId,
    /// What happened to it.
    pub action: Action,
    /// Where it stands from now on.
    pub status: QuoteStatus,
    /// Whether it must be priced again before it can be accepted.
    pub needs_repricing: bool,
    /// The lines whose unit price is now so far from the locked one that the quote must be priced again.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub price_changes: Vec<PriceChange>,
    /// The quote that took its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub superseded_by: Option<QuoteId>,
    /// When it happened.
    pub updated_at: Timestamp,
    /// Who did it: the user for whom the caller acted, else the owner of its key; `system` if it follows a change of a price.
    pub updated_by: Text<256>,
    /// The quote's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// A quote became an order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Accepted {
    /// The quote.
    pub quote_id: QuoteId,
    /// Its number, as people read it.
    pub quote_number: QuoteNumber,
    /// The customer.
    pub customer_id: CustomerId,
    /// The order.
    pub order_id: OrderId,
    /// What both come to.
    pub total: Money,
    /// The currency of the amount.
    pub currency: Currency,
    /// When it was accepted.
    pub accepted_at: Timestamp,
    /// Who accepted it: the user for whom the caller acted, else the owner of its key.
    pub accepted_by: Text<256>,
    /// The quote's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// The customer does not want a quote.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Rejected {
    /// The quote.
    pub quote_id: QuoteId,
    /// Its number, as people read it.
    pub quote_number: QuoteNumber,
    /// The customer.
    pub customer_id: CustomerId,
    /// Why, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<500>>,
    /// When it was rejected.
    pub rejected_at: Timestamp,
    /// Who rejected it: the user for whom the caller acted, else the owner of its key.
    pub rejected_by: Text<256>,
    /// The quote's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// The time of a quote was over before it was accepted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Expired {
    /// The quote.
    pub quote_id: QuoteId,
    /// Its number, as people read it.
    pub quote_number: QuoteNumber,
    /// The customer.
    pub customer_id: CustomerId,
    /// When its time was over.
    pub valid_until: Timestamp,
    /// When this was written down.
    pub expired_at: Timestamp,
    /// Who wrote it down: `system`.
    pub expired_by: Text<256>,
    /// The quote's version after this event; projections use it as their version guard.
    pub version: Sequence,
}
