//! Payments: authorized, captured, refunded.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Money, PaymentId, Retention, Sequence, Text};

contracts! {
    kept Retention::Forever;
    Created: "payment.created", Critical, "settlement-api", "payment" [payment_id];
    Refunded: "payment.refunded", Critical, "settlement-api", "payment" [payment_id];
    StatusChanged: "payment.status_changed", Critical, "settlement-api", "payment" [payment_id];
}

/// What a payment is counted in.
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
    /// All of them.
    pub const ALL: [Self; 2] = [Self::Usd, Self::Eur];

    /// As it stands on the wire.
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

/// How far a payment is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum PaymentStatus {
    /// Asked for.
    Created,
    /// The payer agreed; the money is promised.
    Authorized,
    /// The money is there.
    Captured,
    /// A part of it went back.
    PartiallyRefunded,
    /// All of it went back.
    Refunded,
    /// It came to nothing.
    Failed,
    /// It was called off before the money was taken.
    Cancelled,
}

impl PaymentStatus {
    /// All of them, in the order of a life without a hitch.
    pub const ALL: [Self; 7] = [
        Self::Created,
        Self::Authorized,
        Self::Captured,
        Self::PartiallyRefunded,
        Self::Refunded,
        Self::Failed,
        Self::Cancelled,
    ];

    /// As it stands on the wire.
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

/// A payment was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    /// Which.
    pub payment_id: PaymentId,
    /// How much.
    pub amount: Money,
    /// Of what.
    pub currency: Currency,
    /// The payment's version after it; projections are guarded by it.
    pub version: Sequence,
}

/// A payment went from one status to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusChanged {
    /// Which.
    pub payment_id: PaymentId,
    /// Where it was.
    pub from_status: PaymentStatus,
    /// Where it is.
    pub to_status: PaymentStatus,
    /// Why it failed, where it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<Text<500>>,
    /// The payment's version after it; projections are guarded by it.
    pub version: Sequence,
}

/// Money of a captured payment went back.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Refunded {
    /// Which.
    pub payment_id: PaymentId,
    /// Which refund of this payment: 1, 2, 3… without gaps.
    pub refund: Sequence,
    /// How much went back.
    pub refund_amount: Money,
    /// How much went back so far, this refund included; never more than was captured.
    pub refunded_total: Money,
    /// Of what.
    pub currency: Currency,
    /// The payment's version after it; projections are guarded by it.
    pub version: Sequence,
}
