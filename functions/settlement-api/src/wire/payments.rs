//! Payments.

use api::PositiveInput;
use events::{
    Fiat, Money, PaymentId, Sequence, Text,
    contracts::payment::{Currency, PaymentStatus, Reference},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settlement::Payment;

/// Create a payment.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct PaymentRequest {
    /// The amount, more than zero.
    pub amount: PositiveInput<Fiat>,
    /// The currency.
    pub currency: Currency,
    /// What it is for, for example an order. What is captured then counts towards it.
    #[serde(default)]
    pub reference: Option<Reference>,
}

/// The path parameter of a payment.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct PaymentPath {
    /// The payment's id.
    pub payment_id: PaymentId,
}

/// A step without parameters.
// Stated explicitly, because a schema without properties is not closed by default.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PaymentStep {}

/// Record that a payment failed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct PaymentFailure {
    /// The reason.
    pub error: Text<500>,
}

/// Refund a captured payment.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct PaymentRefundRequest {
    /// The amount, more than zero.
    pub amount: PositiveInput<Fiat>,
}

/// The result of a step of a payment.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PaymentAnswer {
    /// The payment's id.
    pub payment_id: PaymentId,
    /// The payment's status.
    pub status: PaymentStatus,
}

/// The result of a refund.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PaymentRefundAnswer {
    /// The payment's id.
    pub payment_id: PaymentId,
    /// The payment's status.
    pub status: PaymentStatus,
    /// The refunded amount.
    pub refund_amount: Money,
    /// The total refunded so far, including this refund.
    pub refunded_total: Money,
}

/// A payment and its version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct PaymentView {
    /// The payment.
    #[serde(flatten)]
    pub payment: Payment,
    /// The version: every change increases it by one.
    pub version: Sequence,
}
