//! Payments.

use api::PositiveInput;
use events::{
    Fiat, Money, PaymentId, Sequence, Text,
    contracts::payment::{Currency, PaymentStatus},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settlement::Payment;

/// Ask for a payment.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct PaymentRequest {
    /// How much, more than zero.
    pub amount: PositiveInput<Fiat>,
    /// Of what.
    pub currency: Currency,
}

/// Which payment.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct PaymentPath {
    /// Its id.
    pub payment_id: PaymentId,
}

/// A step that needs nothing but the payment.
// Said here, because a schema without properties is not closed by itself.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PaymentStep {}

/// Note that a payment failed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct PaymentFailure {
    /// Why.
    pub error: Text<500>,
}

/// Give money of a captured payment back.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct PaymentRefundRequest {
    /// How much, more than zero.
    pub amount: PositiveInput<Fiat>,
}

/// A payment after a step.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PaymentAnswer {
    /// Which.
    pub payment_id: PaymentId,
    /// How far it is.
    pub status: PaymentStatus,
}

/// A refund that was done.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PaymentRefundAnswer {
    /// Of which payment.
    pub payment_id: PaymentId,
    /// How far it is.
    pub status: PaymentStatus,
    /// How much went back.
    pub refund_amount: Money,
    /// How much went back so far, this refund included.
    pub refunded_total: Money,
}

/// A payment with the version that it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PaymentView {
    /// The payment.
    #[serde(flatten)]
    pub payment: Payment,
    /// One more with every change.
    pub version: Sequence,
}
