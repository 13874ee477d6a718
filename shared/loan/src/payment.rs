//! A payment as it is kept: what it paid, and what was owed after it.

use events::{LoanId, Money, PaymentId, Sequence, Text, Timestamp, contracts::loan::LoanBalance};
use outbox::{Key, Query, Table};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A payment of a borrower.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "LoanPayment")]
pub struct Payment {
    /// Which.
    pub payment_id: PaymentId,
    /// On which loan.
    pub loan_id: LoanId,
    /// Which one of this loan: 1, 2, 3… without gaps.
    pub number: Sequence,
    /// How much.
    pub amount: Money,
    /// How it came.
    pub payment_method: Text<50>,
    /// The part that paid interest.
    pub interest_paid: Money,
    /// The part that paid principal.
    pub principal_paid: Money,
    /// What was owed after it.
    pub balance: LoanBalance,
    /// When it came.
    pub received_at: Timestamp,
}

impl Payment {
    /// What the sort key of each begins with.
    pub(crate) const PREFIX: &str = "payment#";

    /// Where it stands.
    #[must_use]
    pub fn key(table: &Table, loan_id: LoanId, number: Sequence) -> Key {
        table.key(format!("loan#{loan_id}"), Self::sort_key(number))
    }

    pub(crate) fn sort_key(number: Sequence) -> String {
        // As many digits as a sequence has: text sorts by them as numbers do.
        format!("{}{:016}", Self::PREFIX, number.number())
    }

    /// The payments of a loan, in their order.
    #[must_use]
    pub fn of_loan(table: &Table, loan_id: LoanId, limit: u32) -> Query {
        Query {
            prefix: Some(Self::PREFIX.to_owned()),
            ..Query::partition(table, format!("loan#{loan_id}"), limit)
        }
    }
}
