//! Request and response bodies.

use api::{CursorToken, PageLimit, PageQuery, PositiveInput};
use events::{
    EscrowId, EventId, ExternalReference, MemberId, Points, Reward, Text, Timestamp, TransactionId,
    contracts::wallet::AccountType,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wallet::escrow::Status;

use crate::balances::Source;

/// The path parameter of a wallet.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct WalletPath {
    /// The member's id.
    pub user_id: MemberId,
}

/// The path parameter of an escrow.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct EscrowPath {
    /// The escrow's id.
    pub escrow_id: EscrowId,
}

/// Deposit points into a wallet.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct DepositRequest {
    /// The amount, more than zero.
    pub amount: PositiveInput<Reward>,
    /// The id that the bank or payment provider gave the payment. A payment is deposited once, for any member and under
    /// any idempotency key.
    pub external_reference: ExternalReference,
}

/// The result of a deposit.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DepositAnswer {
    /// The id of the movement in the ledger.
    pub transaction_id: TransactionId,
    /// The event `wallet.deposited`.
    pub event_id: EventId,
    /// The user's available balance after the movement.
    pub available: Points,
}

/// Withdraw points from a wallet.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct WithdrawalRequest {
    /// The amount, more than zero.
    pub amount: PositiveInput<Reward>,
    /// The account to withdraw from: the member's as a user (available points) or as a model (earned points). If
    /// absent, as a user.
    #[serde(default = "user")]
    pub account_type: AccountType,
    /// The id of the payment at the bank or payment provider, or your own order for it. A payment is withdrawn once, for
    /// any member and under any idempotency key.
    pub external_reference: ExternalReference,
}

/// The result of a withdrawal.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WithdrawalAnswer {
    /// The id of the movement in the ledger.
    pub transaction_id: TransactionId,
    /// The event `wallet.withdrawn`.
    pub event_id: EventId,
    /// The user's available balance after the movement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available: Option<Points>,
    /// The model's earned balance after the movement.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub earned: Option<Points>,
}

/// Hold points for something that a user requested.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct HoldRequest {
    /// The amount, more than zero.
    pub amount: PositiveInput<Reward>,
    /// The reason: `performance_request`, `feature_purchase`, `tip`, `game` or `other`.
    #[schemars(example = &"tip")]
    pub reason: Text<64>,
    /// The id of the requested item in the queue of the model who fulfils it.
    pub queue_item_id: Text<128>,
    /// The feature with which it was requested.
    pub feature_type: Text<64>,
    /// Your own id of the request. It is passed on in the event and stored with the escrow, and has no other effect:
    /// two requests with the same id are two holds. Only the header `Idempotency-Key` makes a hold unrepeatable.
    pub request_id: Text<128>,
}

/// A new escrow.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct HoldAnswer {
    /// The escrow.
    pub escrow_id: EscrowId,
    /// The id of the movement in the ledger.
    pub transaction_id: TransactionId,
    /// The event `wallet.escrow_held`.
    pub event_id: EventId,
    /// The user's available balance after the movement.
    pub available: Points,
    /// The user's held points after the movement, over all escrows.
    pub escrow: Points,
}

/// Pay the held points to the model who fulfilled the request.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SettleRequest {
    /// The model that earned them.
    pub model_id: MemberId,
}

/// Refund the held points to the user. The body needs no fields.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct RefundRequest {}

/// Divide the held points between the user and the model.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct PartialSettleRequest {
    /// The points that go back to the user, more than zero.
    pub refund_amount: PositiveInput<Reward>,
    /// The points that the model earns, more than zero. Both parts must add up to the held amount.
    pub settle_amount: PositiveInput<Reward>,
    /// The model that earned them.
    pub model_id: MemberId,
}

/// The result of an ended escrow, with the changed balances.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct EndAnswer {
    /// The escrow.
    pub escrow_id: EscrowId,
    /// The id of the movement in the ledger.
    pub transaction_id: TransactionId,
    /// The event that announces it.
    pub event_id: EventId,
    /// The escrow's status.
    pub status: Status,
    /// The user's available balance after the movement, if it changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available: Option<Points>,
    /// The user's held points after the movement, over all escrows.
    pub escrow: Points,
    /// The model's earned balance after the movement, if it changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub earned: Option<Points>,
}

/// The query of a balance.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct BalanceQuery {
    /// The account: the member's as a user or as a model.
    #[serde(default = "user")]
    pub account_type: AccountType,
    /// Whether to read the account itself. The answer then has every earlier commit.
    #[serde(default)]
    pub consistent: bool,
}

/// The balances of an account.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "WalletBalanceAnswer")]
pub struct BalanceAnswer {
    /// The points that can be spent; zero for a model's account.
    pub available: Points,
    /// The points that are held; zero for a model's account.
    pub escrow: Points,
    /// The points that were earned; zero for a user's account.
    pub earned: Points,
    /// The time of the data. For the read model, it is the time of the newest change; another balance may be older.
    pub as_of: Timestamp,
    /// The source of the balances.
    pub source: Source,
}

/// The query of a ledger.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct LedgerQuery {
    /// The account: the member's as a user or as a model.
    #[serde(default = "user")]
    pub account_type: AccountType,
    /// The maximum number of items.
    #[serde(default)]
    pub limit: PageLimit,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<CursorToken>,
}

impl LedgerQuery {
    /// Returns the page parameters.
    #[must_use]
    pub fn page(&self) -> PageQuery {
        PageQuery {
            limit: self.limit,
            cursor: self.cursor.clone(),
        }
    }
}

fn user() -> AccountType {
    AccountType::User
}
