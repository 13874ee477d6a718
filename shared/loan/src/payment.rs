//! A payment as it is stored: what it paid, and what was owed after it.

use events::{LoanId, Money, PaymentId, Sequence, Text, Timestamp, contracts::loan::LoanBalance};
use outbox::{Key, Query, Table};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// A payment by a borrower.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "LoanPayment")]
pub struct Payment {
    /// The payment's id.
    pub payment_id: PaymentId,
    /// The loan's id.
    pub loan_id: LoanId,
    /// The payment's number within the loan: 1, 2, 3… without gaps.
    pub number: Sequence,
    /// The amount paid.
    pub amount: Money,
    /// How the payment was made.
    pub payment_method: Text<50>,
    /// The part that paid interest.
    pub interest_paid: Money,
    /// The part that paid principal.
    pub principal_paid: Money,
    /// What was owed after the payment.
    pub balance: LoanBalance,
    /// When the payment was received.
    pub received_at: Timestamp,
}

impl Payment {
    /// The prefix of the sort keys of payments.
    pub(crate) const PREFIX: &str = "payment#";

    /// The row's key.
    #[must_use]
    pub fn key(table: &Table, loan_id: LoanId, number: Sequence) -> Key {
        table.key(format!("loan#{loan_id}"), Self::sort_key(number))
    }

    pub(crate) fn sort_key(number: Sequence) -> String {
        // Padded to the digits of the largest sequence, so that the keys sort as numbers.
        format!("{}{:016}", Self::PREFIX, number.number())
    }

    /// The query for a loan's payments, in order.
    #[must_use]
    pub fn of_loan(table: &Table, loan_id: LoanId, limit: u32) -> Query {
        Query {
            prefix: Some(Self::PREFIX.to_owned()),
            ..Query::partition(table, format!("loan#{loan_id}"), limit)
        }
    }
}
