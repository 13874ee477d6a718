//! The loans of a borrower: one row per loan in the borrower's partition.

use events::{LoanId, MemberId, Timestamp};
use outbox::{Key, Query, Table};
use serde::{Deserialize, Serialize};

/// A loan in its borrower's partition. The row never changes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lent {
    /// The loan's id.
    pub loan_id: LoanId,
    /// When the loan was created.
    pub created_at: Timestamp,
}

impl Lent {
    /// The row's key. Ids are generated in the order of time, so a borrower's loans are sorted by time.
    #[must_use]
    pub fn key(&self, table: &Table, borrower_id: &MemberId) -> Key {
        table.key(
            format!("borrower#{borrower_id}"),
            format!("loan#{}", self.loan_id),
        )
    }

    /// The query for a borrower's loans, newest first.
    #[must_use]
    pub fn of_borrower(table: &Table, borrower_id: &MemberId, limit: u32) -> Query {
        Query {
            descending: true,
            ..Query::partition(table, format!("borrower#{borrower_id}"), limit)
        }
    }
}
