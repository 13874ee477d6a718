//! Reward points: wallets and escrow.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    AggregateField, AggregateId, Change, Contract, EscrowId, LedgerEntryId, MemberId, MoveReason,
    Points, Priority, Retention, Reward, Sequence, Text, TransactionId,
};

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

macro_rules! contract {
    ($name:ident, $event_type:literal, $aggregate:literal, $field:expr, $id:expr) => {
        impl Contract for $name {
            const TYPE: &'static str = $event_type;
            const VERSION: u16 = 1;
            const PRIORITY: Priority = Priority::High;
            const PRODUCER: &'static str = "wallet-api";
            const AGGREGATE: &'static str = $aggregate;
            const RETENTION: Retention = Retention::Forever;
            const AGGREGATE_FIELD: AggregateField = $field;

            fn aggregate_id(&self) -> AggregateId {
                let id: fn(&Self) -> String = $id;
                super::aggregate_id(id(self))
            }
        }
    };
    ($name:ident, $event_type:literal, escrow) => {
        contract!(
            $name,
            $event_type,
            "escrow",
            AggregateField::Field("escrow_id"),
            |event| event.escrow_id.to_string()
        );
    };
    ($name:ident, $event_type:literal, wallet_account) => {
        contract!(
            $name,
            $event_type,
            "wallet_account",
            AggregateField::Joined("account_type", "account_id"),
            |event| event.account_type.account(&event.account_id)
        );
    };
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

contract!(EscrowHeld, "wallet.escrow_held", escrow);

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

contract!(EscrowSettled, "wallet.escrow_settled", escrow);

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

contract!(EscrowRefunded, "wallet.escrow_refunded", escrow);

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

contract!(
    EscrowPartialSettled,
    "wallet.escrow_partial_settled",
    escrow
);

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

contract!(BalanceUpdated, "wallet.balance_updated", wallet_account);

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

contract!(Deposited, "wallet.deposited", wallet_account);

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

contract!(Withdrawn, "wallet.withdrawn", wallet_account);
