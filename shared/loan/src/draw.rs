//! A draw: more of the agreed amount, requested by one key owner and approved by another.

use std::fmt;

use events::{DrawId, LoanId, Money, Text, Timestamp};
use outbox::{Key, Query, Table};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The status of a draw.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum DrawStatus {
    /// Requested, and not decided yet.
    Requested,
    /// Approved and paid out.
    Approved,
    /// Rejected.
    Rejected,
}

impl DrawStatus {
    /// The status as it is written on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Approved => "approved",
            Self::Rejected => "rejected",
        }
    }
}

impl fmt::Display for DrawStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A draw as it is stored.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "LoanDraw")]
pub struct Draw {
    /// The draw's id.
    pub draw_id: DrawId,
    /// The loan's id.
    pub loan_id: LoanId,
    /// The amount of the draw.
    pub amount: Money,
    /// The draw's status.
    pub status: DrawStatus,
    /// The owner of the API key that requested the draw.
    pub requested_by: Text<64>,
    /// When the draw was requested.
    pub requested_at: Timestamp,
    /// The owner of the API key that approved or rejected the draw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<Text<64>>,
    /// When the draw was approved or rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Timestamp>,
    /// Why the draw was rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<500>>,
}

impl Draw {
    /// The prefix of the sort keys of draws.
    pub(crate) const PREFIX: &str = "draw#";

    /// The row's key.
    #[must_use]
    pub fn key(table: &Table, loan_id: LoanId, draw_id: DrawId) -> Key {
        table.key(format!("loan#{loan_id}"), Self::sort_key(draw_id))
    }

    pub(crate) fn sort_key(draw_id: DrawId) -> String {
        format!("{}{draw_id}", Self::PREFIX)
    }

    /// The query for a loan's draws, in the order in which they were requested.
    #[must_use]
    pub fn of_loan(table: &Table, loan_id: LoanId, limit: u32) -> Query {
        Query {
            prefix: Some(Self::PREFIX.to_owned()),
            ..Query::partition(table, format!("loan#{loan_id}"), limit)
        }
    }
}
