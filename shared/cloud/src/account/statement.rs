//! The statement of an account: a line per change of it.

use events::{
    Credits, EventId, MemberId, PositionId, Quantity, Sequence, Text, Timestamp, TransactionId,
    contracts::cloud::{Primitive, ResourceUnit},
};
use outbox::{Key, Query, State, Table};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Account;

/// What a movement did to the account whose statement it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Kind {
    /// Credits came into being here.
    Minted,
    /// Credits went to another member.
    TransferredOut,
    /// Credits came from another member.
    TransferredIn,
    /// Credits ceased to be.
    Burned,
    /// Credits were used up for a metered resource.
    Redeemed,
    /// Credits were locked: they can no longer be spent, but are still there.
    Staked,
    /// Locked credits can be spent again.
    Unstaked,
}

impl Kind {
    /// Whether it raises what can be spent.
    #[must_use]
    pub fn raises(self) -> bool {
        match self {
            Self::Minted | Self::TransferredIn | Self::Unstaked => true,
            Self::TransferredOut | Self::Burned | Self::Redeemed | Self::Staked => false,
        }
    }

    /// What an amount of it adds to the credits outstanding, what is locked included: a transfer's two sides cancel each
    /// other out, a stake moves nothing away.
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

    /// Whether it changes what an account holds, liquid and locked together: what the chain mirrors.
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

    /// What an amount of it adds to what is locked.
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

/// What credits were redeemed for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Usage {
    /// What for.
    pub primitive: Primitive,
    /// How much of it.
    pub quantity: Quantity,
    /// What the quantity is counted in.
    pub unit: ResourceUnit,
    /// The service that used it.
    pub service_name: Text<200>,
    /// The metering period.
    pub period_id: Text<100>,
    /// The rate card that gave the rate.
    pub rate_card_version: Sequence,
}

/// A line of an account's statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Movement {
    /// The movement; both sides of a transfer have the same.
    pub transaction_id: TransactionId,
    /// What it did to this account.
    pub kind: Kind,
    /// How many credits.
    pub amount: Credits,
    /// What this account could spend after it.
    pub balance_after: Credits,
    /// What this account had locked after it; only where that changed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub staked_after: Option<Credits>,
    /// The stake that was made or ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position_id: Option<PositionId>,
    /// What credits were redeemed for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// The other side of a transfer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counterparty: Option<MemberId>,
    /// In the caller's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text<500>>,
    /// Why credits were burned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<200>>,
    /// The Stripe charge that paid for minted ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripe_charge_id: Option<Text<255>>,
    /// When.
    pub occurred_at: Timestamp,
    /// The event that tells of it.
    pub event_id: EventId,
}

const MOVEMENT_PREFIX: &str = "transaction#";

impl Movement {
    /// A line with what every kind has.
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

    /// Where the line stands: by the account's version after it, so that the statement has the order of the changes.
    #[must_use]
    pub fn key(table: &Table, account_id: &str, version: Sequence) -> Key {
        // 16 digits hold every version (2^53 - 1).
        let sk = format!("{MOVEMENT_PREFIX}{:016}", version.number());
        table.key(partition(account_id), sk)
    }

    /// An account's statement, newest first; `limit` lines at most.
    #[must_use]
    pub fn statement(table: &Table, account_id: &str, limit: u32) -> Query {
        Query {
            prefix: Some(MOVEMENT_PREFIX.to_owned()),
            descending: true,
            ..Query::partition(table, partition(account_id), limit)
        }
    }
}

/// The partition of everything that belongs to an account.
pub(crate) fn partition(account_id: &str) -> String {
    format!("{}#{account_id}", Account::AGGREGATE)
}
