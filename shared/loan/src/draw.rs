//! A draw: more of what was agreed on, asked for by one and approved by another.

use std::fmt;

use events::{DrawId, LoanId, Money, Text, Timestamp};
use outbox::{Key, Query, Table};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// How far a draw is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum DrawStatus {
    /// Asked for.
    Requested,
    /// Approved and paid out.
    Approved,
    /// Rejected.
    Rejected,
}

impl DrawStatus {
    /// As it stands on the wire.
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

/// A draw as it is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "LoanDraw")]
pub struct Draw {
    /// Which.
    pub draw_id: DrawId,
    /// On which loan.
    pub loan_id: LoanId,
    /// How much.
    pub amount: Money,
    /// How far it is.
    pub status: DrawStatus,
    /// Who asked for it: the owner of an API key.
    pub requested_by: Text<64>,
    /// When.
    pub requested_at: Timestamp,
    /// Who approved or rejected it: the owner of an API key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_by: Option<Text<64>>,
    /// When.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decided_at: Option<Timestamp>,
    /// Why it was rejected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<500>>,
}

impl Draw {
    /// What the sort key of each begins with.
    pub(crate) const PREFIX: &str = "draw#";

    /// Where it stands.
    #[must_use]
    pub fn key(table: &Table, loan_id: LoanId, draw_id: DrawId) -> Key {
        table.key(format!("loan#{loan_id}"), Self::sort_key(draw_id))
    }

    pub(crate) fn sort_key(draw_id: DrawId) -> String {
        format!("{}{draw_id}", Self::PREFIX)
    }

    /// The draws of a loan, in the order in which they were asked for.
    #[must_use]
    pub fn of_loan(table: &Table, loan_id: LoanId, limit: u32) -> Query {
        Query {
            prefix: Some(Self::PREFIX.to_owned()),
            ..Query::partition(table, format!("loan#{loan_id}"), limit)
        }
    }
}
