//! Reward points: wallets and escrow.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Change, EscrowId, LedgerEntryId, MemberId, MoveReason, Points, Retention, Reward, Sequence,
    Text, TransactionId,
};

contracts! {
    kept Retention::Forever;
    BalanceUpdated: "wallet.balance_updated", High, "wallet-api", "wallet_account" [account_type - account_id];
    Deposited: "wallet.deposited", High, "wallet-api", "wallet_account" [account_type - account_id];
    EscrowHeld: "wallet.escrow_held", High, "wallet-api", "escrow" [escrow_id];
    EscrowPartialSettled: "wallet.escrow_partial_settled", High, "wallet-api", "escrow" [escrow_id];
    EscrowRefunded: "wallet.escrow_refunded", High, "wallet-api", "escrow" [escrow_id];
    EscrowSettled: "wallet.escrow_settled", High, "wallet-api", "escrow" [escrow_id];
    Withdrawn: "wallet.withdrawn", High, "wallet-api", "wallet_account" [account_type - account_id];
}

/// Whose points an account holds.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum AccountType {
    /// Somebody who spends points.
    User,
    /// Somebody who earns them.
    Model,
}

impl AccountType {
    /// Both.
    pub const ALL: [Self; 2] = [Self::User, Self::Model];

    /// As it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Model => "model",
        }
    }

    /// The id of the aggregate that a member's account of this type is: `user-ada`.
    #[must_use]
    pub fn account(self, member_id: &MemberId) -> String {
        format!("{self}-{member_id}")
    }

    /// Reads what [`Self::account`] writes.
    #[must_use]
    pub fn parse(account: &str) -> Option<(Self, MemberId)> {
        let (kind, id) = account.split_once('-')?;
        let kind = Self::ALL.into_iter().find(|one| one.as_str() == kind)?;
        Some((kind, MemberId::new(id).ok()?))
    }
}

impl fmt::Display for AccountType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What points of an account are there for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum BalanceState {
    /// To be spent.
    Available,
    /// Held until what was asked for is done.
    Escrow,
    /// Received for something done.
    Earned,
}

impl BalanceState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Available, Self::Escrow, Self::Earned];

    /// As it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Available => "available",
            Self::Escrow => "escrow",
            Self::Earned => "earned",
        }
    }
}

impl fmt::Display for BalanceState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Points of a user were set aside for something asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EscrowHeld {
    /// Whose points.
    pub user_id: MemberId,
    /// The held amount's identity.
    pub escrow_id: EscrowId,
    /// How many.
    pub amount: Points,
    /// What for.
    pub reason: MoveReason,
    /// The movement in the ledger.
    pub transaction_id: TransactionId,
    /// What the user can spend after it.
    pub user_available_balance: Points,
    /// What is held of the user's after it, over all escrows.
    pub user_escrow_balance: Points,
    /// What was asked for: its place in the queue of the one who fulfils it.
    pub queue_item_id: Text<128>,
    /// The feature it was asked for by.
    pub feature_type: Text<64>,
    /// The caller's own id of the request.
    pub request_id: Text<128>,
    /// The user's account's version after it.
    pub user_version: Sequence,
    /// The escrow's version after it.
    pub version: Sequence,
}

/// Held points became a model's earnings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EscrowSettled {
    /// Whose points they were.
    pub user_id: MemberId,
    /// Who earned them.
    pub model_id: MemberId,
    /// The held amount's identity.
    pub escrow_id: EscrowId,
    /// How many: all that was held.
    pub amount: Points,
    /// The movement in the ledger.
    pub transaction_id: TransactionId,
    /// What the model has earned after it.
    pub model_earned_balance: Points,
    /// The model's account's version after it.
    pub model_version: Sequence,
    /// The user's account's version after it.
    pub user_version: Sequence,
    /// The escrow's version after it.
    pub version: Sequence,
}

/// Held points went back to their user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EscrowRefunded {
    /// Whose points.
    pub user_id: MemberId,
    /// The held amount's identity.
    pub escrow_id: EscrowId,
    /// How many: all that was held.
    pub amount: Points,
    /// The movement in the ledger.
    pub transaction_id: TransactionId,
    /// What the user can spend after it.
    pub user_available_balance: Points,
    /// What is held of the user's after it, over all escrows.
    pub user_escrow_balance: Points,
    /// The user's account's version after it.
    pub user_version: Sequence,
    /// The escrow's version after it.
    pub version: Sequence,
}

/// A part of what was held went back to its user, the rest became a model's earnings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EscrowPartialSettled {
    /// Whose points they were.
    pub user_id: MemberId,
    /// Who earned the rest.
    pub model_id: MemberId,
    /// The held amount's identity.
    pub escrow_id: EscrowId,
    /// How many went back.
    pub refund_amount: Points,
    /// How many were earned; both together are what was held.
    pub settle_amount: Points,
    /// The movement in the ledger.
    pub transaction_id: TransactionId,
    /// What the user can spend after it.
    pub user_available_balance: Points,
    /// What the model has earned after it.
    pub model_earned_balance: Points,
    /// The user's account's version after it.
    pub user_version: Sequence,
    /// The model's account's version after it.
    pub model_version: Sequence,
    /// The escrow's version after it.
    pub version: Sequence,
}

/// One balance state of an account changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BalanceUpdated {
    /// Whose account: the member's id.
    pub account_id: MemberId,
    /// Which of their accounts.
    pub account_type: AccountType,
    /// Which of its balance states.
    pub balance_state: BalanceState,
    /// The balance before it.
    pub balance_before: Points,
    /// The balance after it.
    pub balance_after: Points,
    /// After less before.
    pub change_amount: Change<Reward>,
    /// Why.
    pub reason: MoveReason,
    /// The movement in the ledger.
    pub transaction_id: TransactionId,
    /// The entry that changed it.
    pub ledger_entry_id: LedgerEntryId,
    /// The account's version after it; projections are guarded by it.
    pub version: Sequence,
}

/// Points came into a wallet from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deposited {
    /// Whose account: the member's id.
    pub account_id: MemberId,
    /// Which of their accounts.
    pub account_type: AccountType,
    /// How many.
    pub amount: Points,
    /// The movement in the ledger.
    pub transaction_id: TransactionId,
    /// What the account has after it, in the balance state that was changed.
    pub balance_after: Points,
    /// The account's version after it; projections are guarded by it.
    pub version: Sequence,
}

/// Points left a wallet to the outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Withdrawn {
    /// Whose account: the member's id.
    pub account_id: MemberId,
    /// Which of their accounts: a user withdraws what is available, a model what is earned.
    pub account_type: AccountType,
    /// How many.
    pub amount: Points,
    /// The movement in the ledger.
    pub transaction_id: TransactionId,
    /// What the account has after it, in the balance state that was changed.
    pub balance_after: Points,
    /// The account's version after it; projections are guarded by it.
    pub version: Sequence,
}
