//! Credit: how much a business may owe, how much of it is reserved for its orders, and how much it owes.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::price::Currency;
use crate::{
    Change, CustomerId, ExternalReference, Fiat, Money, OrderId, Percent, Retention, Sequence,
    Text, Timestamp,
};

contracts! {
    kept Retention::Forever;
    Changed: "credit.changed", Critical, "commerce-credit-api", "credit" [customer_id];
    ReservationChanged: "credit.reservation_changed", Critical, "commerce-credit", "credit_reservation" [order_id];
}

/// Why a credit account changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum CreditChange {
    /// It was opened.
    AccountOpened,
    /// Its limit was raised.
    CreditLimitIncreased,
    /// Its limit was lowered.
    CreditLimitDecreased,
    /// No more credit is given until it is unblocked.
    Blocked,
    /// Credit is given again.
    Unblocked,
    /// A part was reserved for an order.
    CreditReserved,
    /// What was reserved for an order was given back.
    CreditRestored,
    /// The goods of an order were shipped, so what was reserved for it is owed.
    BalanceIncreased,
    /// An order was paid, or a part of it.
    OrderPaid,
}

/// A credit account changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Changed {
    /// The customer whose account it is.
    pub customer_id: CustomerId,
    /// Why it changed.
    pub change_type: CreditChange,
    /// When it changed.
    pub changed_at: Timestamp,
    /// Who changed it: the user for whom the caller acted, else the owner of its key; `system` for an order's steps.
    pub changed_by: Text<256>,
    /// The currency of the amounts.
    pub currency: Currency,
    /// The most that may be reserved and owed together.
    pub credit_limit: Money,
    /// The limit before; absent if it did not change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_credit_limit: Option<Money>,
    /// What is reserved for orders that are not shipped.
    pub reserved: Money,
    /// What is owed for orders that are shipped.
    pub balance: Money,
    /// What is owed less what was owed before; absent if it did not change.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance_change_amount: Option<Change<Fiat>>,
    /// What may still be reserved: the limit less both, zero if they are more.
    pub available_credit: Money,
    /// What is reserved and owed in per cent of the limit, rounded half to even to two decimals; absent if the limit is zero.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub credit_utilization: Option<Percent>,
    /// Whether no more credit is given.
    pub blocked: bool,
    /// The order whose step it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order_id: Option<OrderId>,
    /// Why it was blocked or unblocked, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<500>>,
    /// The account's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// Where the credit for an order stands.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum CreditStatus {
    /// It is reserved.
    Reserved,
    /// None was given.
    Rejected,
    /// The order ended before any was asked for. Whatever asks for it later gets none.
    Withdrawn,
    /// What was reserved was given back.
    Restored,
    /// The goods are shipped, and it is owed.
    Owed,
    /// It is paid.
    Settled,
}

impl CreditStatus {
    /// Every one of them.
    pub const ALL: [Self; 6] = [
        Self::Reserved,
        Self::Rejected,
        Self::Withdrawn,
        Self::Restored,
        Self::Owed,
        Self::Settled,
    ];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Reserved => "reserved",
            Self::Rejected => "rejected",
            Self::Withdrawn => "withdrawn",
            Self::Restored => "restored",
            Self::Owed => "owed",
            Self::Settled => "settled",
        }
    }
}

impl fmt::Display for CreditStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why no credit was given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum NoCredit {
    /// The order is more than what may still be reserved.
    InsufficientCredit,
    /// The account is blocked.
    AccountBlocked,
    /// The customer has no account in the order's currency.
    NoAccount,
}

/// The credit for an order changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ReservationChanged {
    /// The order.
    pub order_id: OrderId,
    /// The customer.
    pub customer_id: CustomerId,
    /// Where it stands from now on.
    pub status: CreditStatus,
    /// What the order comes to.
    pub amount: Money,
    /// How much of it is paid.
    pub paid: Money,
    /// The currency of the amounts.
    pub currency: Currency,
    /// Why no credit was given.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<NoCredit>,
    /// What could still be reserved when none was given, if there is an account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available: Option<Money>,
    /// The payment on account with which it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment: Option<AccountPayment>,
    /// How much was paid in another way than on account, with which it changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub paid_otherwise: Option<Money>,
    /// When it changed.
    pub changed_at: Timestamp,
    /// The version of the order's credit after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// A payment on account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct AccountPayment {
    /// What the bank calls it.
    pub external_reference: ExternalReference,
    /// How much was paid.
    pub amount: Money,
}
