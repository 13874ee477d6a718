//! The statement of an account: a line per change of it.

use events::{Credits, EventId, MemberId, Sequence, Text, Timestamp, TransactionId};
use outbox::{Key, Query, State, Table};
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
}

impl Kind {
    /// Whether it raises the balance.
    #[must_use]
    pub fn raises(self) -> bool {
        match self {
            Self::Minted | Self::TransferredIn => true,
            Self::TransferredOut | Self::Burned => false,
        }
    }
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
    /// This account's balance after it.
    pub balance_after: Credits,
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

fn partition(account_id: &str) -> String {
    format!("{}#{account_id}", Account::AGGREGATE)
}
