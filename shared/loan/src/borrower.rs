//! What was lent to whom: a row for each loan under its borrower.

use events::{LoanId, MemberId, Timestamp};
use outbox::{Key, Query, Table};
use serde::{Deserialize, Serialize};

/// A loan of a borrower; it never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lent {
    /// Which loan.
    pub loan_id: LoanId,
    /// Since when.
    pub created_at: Timestamp,
}

impl Lent {
    /// Where it stands. Ids are made in the order of time, so that a borrower's loans stand in it, too.
    #[must_use]
    pub fn key(&self, table: &Table, borrower_id: &MemberId) -> Key {
        table.key(
            format!("borrower#{borrower_id}"),
            format!("loan#{}", self.loan_id),
        )
    }

    /// The loans of a borrower, newest first.
    #[must_use]
    pub fn of_borrower(table: &Table, borrower_id: &MemberId, limit: u32) -> Query {
        Query {
            descending: true,
            ..Query::partition(table, format!("borrower#{borrower_id}"), limit)
        }
    }
}
