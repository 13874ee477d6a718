//! What callers send and get.

use api::{CursorToken, PageLimit, PageQuery, PositiveInput};
use events::{
    EscrowId, EventId, MemberId, Points, Reward, Text, Timestamp, TransactionId,
    contracts::wallet::AccountType,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use wallet::escrow::Status;

use crate::balances::Source;

/// Whose wallet.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct WalletPath {
    /// The member's id.
    pub user_id: MemberId,
}

/// Which escrow.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct EscrowPath {
    /// Its id.
    pub escrow_id: EscrowId,
}

/// Bring points into a wallet.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct DepositRequest {
    /// How many, more than zero.
    pub amount: PositiveInput<Reward>,
}

/// A deposit that was done.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DepositAnswer {
    /// The movement in the ledger.
    pub transaction_id: TransactionId,
    /// The event `wallet.deposited`.
    pub event_id: EventId,
    /// What the user can spend after it.
    pub available: Points,
}

/// Take points out of a wallet.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct WithdrawalRequest {
    /// How many, more than zero.
    pub amount: PositiveInput<Reward>,
    /// From what the member has as a user (what is available) or as a model (what is earned); left out: as a user.
    #[serde(default = "user")]
    pub account_type: AccountType,
}

/// A withdrawal that was done.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct WithdrawalAnswer {
    /// The movement in the ledger.
    pub transaction_id: TransactionId,
    /// The event `wallet.withdrawn`.
    pub event_id: EventId,
    /// What the user can spend after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available: Option<Points>,
    /// What the model has earned, and not withdrawn, after it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub earned: Option<Points>,
}

/// Hold points for something asked for.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct HoldRequest {
    /// How many, more than zero.
    pub amount: PositiveInput<Reward>,
    /// What for: `performance_request`, `feature_purchase`, `tip`, `game` or `other`.
    #[schemars(example = &"tip")]
    pub reason: Text<64>,
    /// What is asked for: its place in the queue of the one who fulfils it.
    pub queue_item_id: Text<128>,
    /// The feature it is asked for by.
    pub feature_type: Text<64>,
    /// Your own id of the request. It is handed on in the event and kept with the escrow, nothing more: two holds with the same one are
    /// two holds. What makes a hold unrepeatable is the header `Idempotency-Key`.
    pub request_id: Text<128>,
}

/// An escrow that was made.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct HoldAnswer {
    /// The escrow.
    pub escrow_id: EscrowId,
    /// The movement in the ledger.
    pub transaction_id: TransactionId,
    /// The event `wallet.escrow_held`.
    pub event_id: EventId,
    /// What the user can spend after it.
    pub available: Points,
    /// What is held of the user's after it, over all escrows.
    pub escrow: Points,
}

/// Give what is held to the model who did what was asked for.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SettleRequest {
    /// Who earned it.
    pub model_id: MemberId,
}

/// Give what is held back. Nothing needs to be said.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct RefundRequest {}

/// Divide what is held.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct PartialSettleRequest {
    /// How many go back, more than zero.
    pub refund_amount: PositiveInput<Reward>,
    /// How many are earned, more than zero; both together are what is held.
    pub settle_amount: PositiveInput<Reward>,
    /// Who earned them.
    pub model_id: MemberId,
}

/// An escrow that ended, with the balances that changed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct EndAnswer {
    /// The escrow.
    pub escrow_id: EscrowId,
    /// The movement in the ledger.
    pub transaction_id: TransactionId,
    /// The event that tells of it.
    pub event_id: EventId,
    /// What became of it.
    pub status: Status,
    /// What the user can spend after it, where that changed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub available: Option<Points>,
    /// What is held of the user's after it, over all escrows.
    pub escrow: Points,
    /// What the model has earned after it, where one earned.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub earned: Option<Points>,
}

/// Which account's balance, and how fresh.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct BalanceQuery {
    /// What the member has as a user or as a model.
    #[serde(default = "user")]
    pub account_type: AccountType,
    /// Read the account itself: everything that was committed before is in it.
    #[serde(default)]
    pub consistent: bool,
}

/// What an account holds.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "WalletBalanceAnswer")]
pub struct BalanceAnswer {
    /// How many points can be spent; a model's account has none.
    pub available: Points,
    /// How many are held; a model's account has none.
    pub escrow: Points,
    /// How many were earned; a user's account has none.
    pub earned: Points,
    /// The moment of what was read. Of the read model it is the newest change's: another of the balances may be older.
    pub as_of: Timestamp,
    /// Where it was read from.
    pub source: Source,
}

/// Which account's entries.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct LedgerQuery {
    /// What the member has as a user or as a model.
    #[serde(default = "user")]
    pub account_type: AccountType,
    /// How many items at most.
    #[serde(default)]
    pub limit: PageLimit,
    /// Go on where the page before ended.
    #[serde(default)]
    pub cursor: Option<CursorToken>,
}

impl LedgerQuery {
    /// The page.
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
