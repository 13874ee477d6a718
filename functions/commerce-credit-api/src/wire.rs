//! Request and response bodies.

use api::{AmountInput, PositiveInput};
use events::{
    CustomerId, ExternalReference, Fiat, Money, OrderId, Percent, Sequence, Text, Timestamp,
    contracts::{credit::NoCredit, price::Currency},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The path parameter of a credit account.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct AccountPath {
    /// The customer whose account it is.
    pub customer_id: CustomerId,
}

/// Set the limit of a credit account.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub struct LimitRequest {
    /// The account's currency. It cannot change.
    pub currency: Currency,
    /// The most that may be reserved and owed together.
    pub credit_limit: AmountInput<Fiat>,
}

/// Block an account, or unblock it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct BlockRequest {
    /// Why.
    pub reason: Text<500>,
}

/// Book a payment on account.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct AccountPaymentRequest {
    /// The order that is paid.
    pub order_id: OrderId,
    /// How much was paid, in the account's currency.
    pub amount: PositiveInput<Fiat>,
    /// What the bank calls the payment. It is booked only once.
    pub external_reference: ExternalReference,
}

/// Ask whether credit would be given.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
pub struct CheckQuery {
    /// What the order would come to, in the account's currency.
    pub amount: AmountInput<Fiat>,
}

/// A credit account.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct AccountAnswer {
    /// The customer whose account it is.
    pub customer_id: CustomerId,
    /// The currency of the amounts.
    pub currency: Currency,
    /// The most that may be reserved and owed together.
    pub credit_limit: Money,
    /// What is reserved for orders that are not shipped.
    pub reserved: Money,
    /// What is owed for orders that are shipped.
    pub balance: Money,
    /// What may still be reserved: the limit less both, zero if they are more.
    pub available_credit: Money,
    /// What is reserved and owed in per cent of the limit; null if the limit is zero.
    pub credit_utilization: Option<Percent>,
    /// Whether no more credit is given.
    pub blocked: bool,
    /// When it changed last.
    pub updated_at: Timestamp,
    /// Who changed it last.
    pub updated_by: Text<256>,
    /// The version: every change increases it by one.
    pub version: Sequence,
}

/// Whether credit would be given at this moment. Nothing is reserved.
#[derive(Debug, Clone, Copy, Serialize, JsonSchema)]
pub struct CheckAnswer {
    /// Whether it would be given.
    pub granted: bool,
    /// Why it would not be; null if it would.
    pub reason: Option<NoCredit>,
    /// What was asked for.
    pub amount: Money,
    /// What may still be reserved.
    pub available_credit: Money,
    /// The currency of the amounts.
    pub currency: Currency,
}
