//! The read model: one row per account and balance state, with the balance of the newest event. The consumer
//! `wallet-balances` keeps it; the account's version is the guard.

use events::{
    MemberId, Points, Sequence, Timestamp, TransactionId,
    contracts::wallet::{AccountType, BalanceState, BalanceUpdated},
};
use outbox::{Error, GuardedPut, Key, Query, Table, encode_item};
use serde::{Deserialize, Serialize};

use crate::account::partition;

/// The balance as of the newest event about a balance state.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BalanceRow {
    /// The member who owns the account.
    pub account_id: MemberId,
    /// Whether it is the member's account as a user or as a model.
    pub account_type: AccountType,
    /// The account's balance state.
    pub balance_state: BalanceState,
    /// The balance.
    pub balance: Points,
    /// The account's version that the event states.
    pub version: Sequence,
    /// When the event occurred.
    pub occurred_at: Timestamp,
    /// The movement that led to this balance.
    pub transaction_id: TransactionId,
}

const ROW_PREFIX: &str = "balance#";

impl BalanceRow {
    /// The row for an event that occurred at the given time.
    #[must_use]
    pub fn of(event: &BalanceUpdated, occurred_at: Timestamp) -> Self {
        Self {
            account_id: event.account_id.clone(),
            account_type: event.account_type,
            balance_state: event.balance_state,
            balance: event.balance_after,
            version: event.version,
            occurred_at,
            transaction_id: event.transaction_id,
        }
    }

    /// The row's key, in the account's partition.
    #[must_use]
    pub fn key(&self, table: &Table) -> Key {
        let sk = format!("{ROW_PREFIX}{}", self.balance_state);
        table.key(partition(self.account_type, &self.account_id), sk)
    }

    /// The guarded write of the row: DynamoDB keeps the stored row if it is newer.
    ///
    /// # Errors
    /// [`Error::Item`] when it cannot be written as an item.
    pub fn guarded_put(&self, table: &Table) -> Result<GuardedPut, Error> {
        let key = self.key(table);
        let item = encode_item(&key, self)?;
        Ok(GuardedPut {
            key,
            item,
            version: self.version.number(),
        })
    }
}

/// The query for all rows of an account.
#[must_use]
pub fn of_account(table: &Table, account_type: AccountType, account_id: &MemberId) -> Query {
    // There is one row per balance state, so they fit one page.
    let limit = 10;
    Query {
        prefix: Some(ROW_PREFIX.to_owned()),
        ..Query::partition(table, partition(account_type, account_id), limit)
    }
}
