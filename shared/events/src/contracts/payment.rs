//! Payments: authorized, captured, refunded.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Money, PaymentId, Retention, Sequence, SettlementId, Text};

contracts! {
    kept Retention::Forever;
    Allocated: "payment.allocated", High, "settlement-api", "payment" [payment_id];
    Created: "payment.created", Critical, "settlement-api", "payment" [payment_id];
    Refunded: "payment.refunded", Critical, "settlement-api", "payment" [payment_id];
    Released: "payment.released", High, "settlement-api", "payment" [payment_id];
    StatusChanged: "payment.status_changed", Critical, "settlement-api", "payment" [payment_id];
}

/// The currency of a payment.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "UPPERCASE")]
#[schemars(inline)]
pub enum Currency {
    /// US dollars.
    Usd,
    /// Euros.
    Eur,
}

impl Currency {
    /// Every one of them.
    pub const ALL: [Self; 2] = [Self::Usd, Self::Eur];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Usd => "USD",
            Self::Eur => "EUR",
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The status of a payment.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum PaymentStatus {
    /// Requested.
    Created,
    /// The payer agreed; the money is promised.
    Authorized,
    /// The money was received.
    Captured,
    /// A part of the money was refunded.
    PartiallyRefunded,
    /// All of the money was refunded.
    Refunded,
    /// It failed.
    Failed,
    /// It was cancelled before the money was taken.
    Cancelled,
}

impl PaymentStatus {
    /// Every status, in the order in which they normally follow.
    pub const ALL: [Self; 7] = [
        Self::Created,
        Self::Authorized,
        Self::Captured,
        Self::PartiallyRefunded,
        Self::Refunded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::Authorized => "authorized",
            Self::Captured => "captured",
            Self::PartiallyRefunded => "partially_refunded",
            Self::Refunded => "refunded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for PaymentStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The kind of thing that a payment is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ReferenceType {
    /// An order of goods.
    Order,
}

/// What a payment is for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Reference {
    /// Its kind.
    #[serde(rename = "type")]
    pub reference_type: ReferenceType,
    /// Its id.
    pub id: Text<64>,
}

/// A payment was requested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    /// The payment.
    pub payment_id: PaymentId,
    /// The amount.
    pub amount: Money,
    /// The currency of the amounts.
    pub currency: Currency,
    /// What it is for; absent if the caller did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// The payment's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// A payment went from one status to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusChanged {
    /// The payment.
    pub payment_id: PaymentId,
    /// The status before.
    pub from_status: PaymentStatus,
    /// The status after.
    pub to_status: PaymentStatus,
    /// Why the payment failed; absent if it did not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Text<500>>,
    /// The payment's amount. Every event of this version of Millrace has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub amount: Option<Money>,
    /// The currency of the amount. Every event of this version of Millrace has it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub currency: Option<Currency>,
    /// What the payment is for; absent if the caller did not say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<Reference>,
    /// The payment's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// Money of a captured payment was refunded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refunded {
    /// The payment.
    pub payment_id: PaymentId,
    /// The number of this refund of the payment: 1, 2, 3… without gaps.
    pub refund: Sequence,
    /// The amount of this refund.
    pub refund_amount: Money,
    /// The amount refunded so far, including this refund; never more than was captured.
    pub refunded_total: Money,
    /// The currency of the amounts.
    pub currency: Currency,
    /// The payment's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// Money of a captured payment was allocated to a new settlement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Allocated {
    /// The payment.
    pub payment_id: PaymentId,
    /// The settlement that the money is allocated to.
    pub settlement_id: SettlementId,
    /// The settlement's amount.
    pub amount: Money,
    /// The amount allocated to all settlements so far, including this one, without those that failed; with the refunds
    /// never more than was captured.
    pub allocated_total: Money,
    /// The currency of the amounts.
    pub currency: Currency,
    /// The payment's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// A settlement failed, and the money that was allocated to it can be settled or refunded again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Released {
    /// The payment.
    pub payment_id: PaymentId,
    /// The settlement that failed.
    pub settlement_id: SettlementId,
    /// The settlement's amount.
    pub amount: Money,
    /// The amount that is still allocated to settlements.
    pub allocated_total: Money,
    /// The currency of the amounts.
    pub currency: Currency,
    /// The payment's version after this event; projections use it as their version guard.
    pub version: Sequence,
}
