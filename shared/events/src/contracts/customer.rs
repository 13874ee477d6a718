//! Customers of the shop: who they are, and on which terms they buy.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    CountryCode, CustomerId, EmailAddress, Retention, Sequence, Text, TierName, Timestamp,
};

contracts! {
    kept Retention::Forever;
    Registered: "customer.registered", Normal, "commerce-checkout-api", "customer" [customer_id];
    Updated: "customer.updated", Normal, "commerce-checkout-api", "customer" [customer_id];
}

/// Whether a customer buys for a business.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum CustomerType {
    /// A business. Its orders are checked against its credit.
    B2b,
    /// A consumer, who pays before the goods are shipped.
    B2c,
}

impl CustomerType {
    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::B2b => "b2b",
            Self::B2c => "b2c",
        }
    }
}

impl fmt::Display for CustomerType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// When an order is to be paid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub enum PaymentTerm {
    /// On delivery.
    #[serde(rename = "immediate")]
    Immediate,
    /// 7 days after the invoice.
    #[serde(rename = "net_7")]
    Net7,
    /// 14 days after the invoice.
    #[serde(rename = "net_14")]
    Net14,
    /// 30 days after the invoice.
    #[serde(rename = "net_30")]
    Net30,
    /// 60 days after the invoice.
    #[serde(rename = "net_60")]
    Net60,
    /// 90 days after the invoice.
    #[serde(rename = "net_90")]
    Net90,
}

/// How a customer's orders are taxed. Whoever keeps the customer's record sets it; nothing looks it up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum VatTreatment {
    /// By the rates of the customer's country.
    #[default]
    Domestic,
    /// Not at all: the customer, a business in another country of the EU, owes the tax there.
    ReverseCharge,
    /// Not at all: the goods leave the EU.
    Export,
}

/// The channels that a customer wants.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct NotificationPreferences {
    /// E-mail; on by default.
    pub email_enabled: bool,
}

impl Default for NotificationPreferences {
    fn default() -> Self {
        Self {
            email_enabled: true,
        }
    }
}

macro_rules! customer_event {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
        pub struct $name {
            /// The customer.
            pub customer_id: CustomerId,
            /// Whether it buys for a business.
            pub customer_type: CustomerType,
            /// Its name.
            pub name: Text<200>,
            /// The address to which notices go.
            pub email: EmailAddress,
            /// The price tier that it belongs to; absent: none.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub tier: Option<TierName>,
            /// When its orders are to be paid.
            pub payment_term: PaymentTerm,
            /// The country whose tax rates apply to its orders.
            pub country: CountryCode,
            /// Its VAT id, as it states it.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub vat_id: Option<Text<20>>,
            /// How its orders are taxed.
            pub vat_treatment: VatTreatment,
            /// The channels that it wants; absent: e-mail.
            #[serde(default, skip_serializing_if = "Option::is_none")]
            pub notification_preferences: Option<NotificationPreferences>,
            /// When it changed.
            pub changed_at: Timestamp,
            /// Who changed it: the user for whom the caller acted, else the owner of its key.
            pub changed_by: Text<256>,
            /// The customer's version after this event; projections use it as their version guard.
            pub version: Sequence,
        }
    };
}

customer_event!(
    /// A customer was registered.
    Registered
);
customer_event!(
    /// A customer's data changed. The fields hold the complete data after the change.
    Updated
);
