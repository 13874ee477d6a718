//! The statement of an account: one line for each change.

use events::{
    Credits, EventId, MemberId, PositionId, Quantity, Sequence, Text, Timestamp, TransactionId,
    contracts::cloud::{Primitive, ResourceUnit},
};
use outbox::{Key, Query, State, Table};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Account;

/// What a movement did to the account of this statement.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Kind {
    /// Credits were created in this account.
    Minted,
    /// Credits were transferred to another member.
    TransferredOut,
    /// Credits were received from another member.
    TransferredIn,
    /// Credits were destroyed without being used.
    Burned,
    /// Credits were spent on a metered resource.
    Redeemed,
    /// Credits were locked: they can no longer be spent but still exist.
    Staked,
    /// Locked credits were released and can be spent again.
    Unstaked,
}

impl Kind {
    /// Whether the movement increases what can be spent.
    #[must_use]
    pub fn raises(self) -> bool {
        match self {
            Self::Minted | Self::TransferredIn | Self::Unstaked => true,
            Self::TransferredOut | Self::Burned | Self::Redeemed | Self::Staked => false,
        }
    }

    /// What a movement of this kind adds to the outstanding credits, which include locked ones. The two sides of a
    /// transfer cancel out, and a stake changes nothing.
    #[must_use]
    pub fn outstanding_change(self, amount: Credits) -> Decimal {
        match self {
            Self::Minted => amount.decimal(),
            Self::Burned | Self::Redeemed => -amount.decimal(),
            Self::TransferredIn | Self::TransferredOut | Self::Staked | Self::Unstaked => {
                Decimal::ZERO
            }
        }
    }

    /// Whether the movement changes the account's total, liquid and locked together. The chain mirrors this total.
    #[must_use]
    pub fn changes_total(self) -> bool {
        match self {
            Self::Minted
            | Self::TransferredIn
            | Self::TransferredOut
            | Self::Burned
            | Self::Redeemed => true,
            Self::Staked | Self::Unstaked => false,
        }
    }

    /// What a movement of this kind adds to the locked credits.
    #[must_use]
    pub fn staked_change(self, amount: Credits) -> Decimal {
        match self {
            Self::Staked => amount.decimal(),
            Self::Unstaked => -amount.decimal(),
            Self::Minted
            | Self::TransferredIn
            | Self::TransferredOut
            | Self::Burned
            | Self::Redeemed => Decimal::ZERO,
        }
    }
}

/// What the credits were spent on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// The resource.
    pub primitive: Primitive,
    /// The quantity of the resource.
    pub quantity: Quantity,
    /// The unit of the quantity.
    pub unit: ResourceUnit,
    /// The service that used the resource.
    pub service_name: Text<200>,
    /// The metering period.
    pub period_id: Text<100>,
    /// The rate card that set the rate.
    pub rate_card_version: Sequence,
}

/// A line of an account's statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Movement {
    /// The movement. Both sides of a transfer have the same id.
    pub transaction_id: TransactionId,
    /// What the movement did to this account.
    pub kind: Kind,
    /// The number of credits.
    pub amount: Credits,
    /// What this account could spend after the movement.
    pub balance_after: Credits,
    /// What this account had locked after the movement; only if the movement changed it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staked_after: Option<Credits>,
    /// The stake that was created or ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position_id: Option<PositionId>,
    /// What the credits were redeemed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The other side of a transfer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counterparty: Option<MemberId>,
    /// The caller's description.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text<500>>,
    /// Why the credits were burned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<200>>,
    /// The Stripe charge that paid for minted credits.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripe_charge_id: Option<Text<255>>,
    /// When the movement happened.
    pub occurred_at: Timestamp,
    /// The event that records the movement.
    pub event_id: EventId,
}

const MOVEMENT_PREFIX: &str = "transaction#";

impl Movement {
    /// A line with the fields that every kind has.
    pub(crate) fn of(
        kind: Kind,
        transaction_id: TransactionId,
        amount: Credits,
        balance_after: Credits,
        occurred_at: Timestamp,
        event_id: EventId,
    ) -> Self {
        Self {
            transaction_id,
            kind,
            amount,
            balance_after,
            staked_after: None,
            position_id: None,
            usage: None,
            counterparty: None,
            description: None,
            reason: None,
            stripe_charge_id: None,
            occurred_at,
            event_id,
        }
    }

    /// The key of the line. It contains the account's version after the movement, so the statement is in the order of
    /// the changes.
    #[must_use]
    pub fn key(table: &Table, account_id: &str, version: Sequence) -> Key {
        // 16 digits hold every version (2^53 - 1).
        let sk = format!("{MOVEMENT_PREFIX}{:016}", version.number());
        table.key(partition(account_id), sk)
    }

    /// An account's statement, newest first, with at most `limit` lines.
    #[must_use]
    pub fn statement(table: &Table, account_id: &str, limit: u32) -> Query {
        Query {
            prefix: Some(MOVEMENT_PREFIX.to_owned()),
            descending: true,
            ..Query::partition(table, partition(account_id), limit)
        }
    }
}

/// The partition of an account's row, statement and stakes.
pub(crate) fn partition(account_id: &str) -> String {
    format!("{}#{account_id}", Account::AGGREGATE)
}
