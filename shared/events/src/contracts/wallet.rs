//! Reward points: wallets and escrow.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Change, EscrowId, ExternalReference, LedgerEntryId, MemberId, MoveReason, Points, Retention,
    Reward, Sequence, Text, TransactionId,
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

/// The type of the member whose points an account holds.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum AccountType {
    /// A member who spends points.
    User,
    /// A member who earns points.
    Model,
}

impl AccountType {
    /// Both types.
    pub const ALL: [Self; 2] = [Self::User, Self::Model];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Model => "model",
        }
    }

    /// The aggregate id of a member's account of this type: `user-ada`.
    #[must_use]
    pub fn account(self, member_id: &MemberId) -> String {
        format!("{self}-{member_id}")
    }

    /// Parses an id made by [`Self::account`].
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

/// The state of points in an account.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum BalanceState {
    /// Can be spent.
    Available,
    /// Held until the requested work is done.
    Escrow,
    /// Earned for completed work.
    Earned,
}

impl BalanceState {
    /// All of them.
    pub const ALL: [Self; 3] = [Self::Available, Self::Escrow, Self::Earned];

    /// The name on the wire.
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

/// Points of a user were held in escrow for requested work.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EscrowHeld {
    /// The user whose points are held.
    pub user_id: MemberId,
    /// The id of the escrow.
    pub escrow_id: EscrowId,
    /// The number of points.
    pub amount: Points,
    /// The reason for the escrow.
    pub reason: MoveReason,
    /// The id of the movement in the ledger.
    pub transaction_id: TransactionId,
    /// The points that the user can spend after this event.
    pub user_available_balance: Points,
    /// The user's points that are held after this event, over all escrows.
    pub user_escrow_balance: Points,
    /// The requested work: the id of its item in the queue of the model that does it.
    pub queue_item_id: Text<128>,
    /// The feature through which it was requested.
    pub feature_type: Text<64>,
    /// The caller's own id of the request.
    pub request_id: Text<128>,
    /// The version of the user's account after this event.
    pub user_version: Sequence,
    /// The escrow's version after this event.
    pub version: Sequence,
}

/// Held points became a model's earnings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EscrowSettled {
    /// The user whose points were held.
    pub user_id: MemberId,
    /// The model that earned them.
    pub model_id: MemberId,
    /// The id of the escrow.
    pub escrow_id: EscrowId,
    /// The number of points: all that were held.
    pub amount: Points,
    /// The id of the movement in the ledger.
    pub transaction_id: TransactionId,
    /// The points that the model has earned after this event.
    pub model_earned_balance: Points,
    /// The version of the model's account after this event.
    pub model_version: Sequence,
    /// The version of the user's account after this event.
    pub user_version: Sequence,
    /// The escrow's version after this event.
    pub version: Sequence,
}

/// Held points were returned to their user.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EscrowRefunded {
    /// The user who gets the points back.
    pub user_id: MemberId,
    /// The id of the escrow.
    pub escrow_id: EscrowId,
    /// The number of points: all that were held.
    pub amount: Points,
    /// The id of the movement in the ledger.
    pub transaction_id: TransactionId,
    /// The points that the user can spend after this event.
    pub user_available_balance: Points,
    /// The user's points that are held after this event, over all escrows.
    pub user_escrow_balance: Points,
    /// The version of the user's account after this event.
    pub user_version: Sequence,
    /// The escrow's version after this event.
    pub version: Sequence,
}

/// A part of the held points was returned to their user; the rest became a model's earnings.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct EscrowPartialSettled {
    /// The user whose points were held.
    pub user_id: MemberId,
    /// The model that earned the rest.
    pub model_id: MemberId,
    /// The id of the escrow.
    pub escrow_id: EscrowId,
    /// The number of points returned.
    pub refund_amount: Points,
    /// The number of points earned. Both together are the points that were held.
    pub settle_amount: Points,
    /// The id of the movement in the ledger.
    pub transaction_id: TransactionId,
    /// The points that the user can spend after this event.
    pub user_available_balance: Points,
    /// The points that the model has earned after this event.
    pub model_earned_balance: Points,
    /// The version of the user's account after this event.
    pub user_version: Sequence,
    /// The version of the model's account after this event.
    pub model_version: Sequence,
    /// The escrow's version after this event.
    pub version: Sequence,
}

/// One balance state of an account changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct BalanceUpdated {
    /// The owner of the account: the member's id.
    pub account_id: MemberId,
    /// The type of the account.
    pub account_type: AccountType,
    /// The balance state that changed.
    pub balance_state: BalanceState,
    /// The balance before this event.
    pub balance_before: Points,
    /// The balance after this event.
    pub balance_after: Points,
    /// Balance after minus balance before.
    pub change_amount: Change<Reward>,
    /// The reason.
    pub reason: MoveReason,
    /// The id of the movement in the ledger.
    pub transaction_id: TransactionId,
    /// The ledger entry that changed it.
    pub ledger_entry_id: LedgerEntryId,
    /// The account's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// Points were deposited into a wallet from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deposited {
    /// The owner of the account: the member's id.
    pub account_id: MemberId,
    /// The type of the account.
    pub account_type: AccountType,
    /// The number of points.
    pub amount: Points,
    /// The id of the movement in the ledger.
    pub transaction_id: TransactionId,
    /// The account's balance after this event, in the balance state that changed.
    pub balance_after: Points,
    /// The outside's name of the payment, booked once as a deposit; absent on events from before it was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_reference: Option<ExternalReference>,
    /// The account's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// Points were withdrawn from a wallet to the outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Withdrawn {
    /// The owner of the account: the member's id.
    pub account_id: MemberId,
    /// The type of the account: a user withdraws available points, a model earned points.
    pub account_type: AccountType,
    /// The number of points.
    pub amount: Points,
    /// The id of the movement in the ledger.
    pub transaction_id: TransactionId,
    /// The account's balance after this event, in the balance state that changed.
    pub balance_after: Points,
    /// The outside's name of the payment, booked once as a withdrawal; absent on events from before it was recorded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub external_reference: Option<ExternalReference>,
    /// The account's version after this event; projections use it as their version guard.
    pub version: Sequence,
}
