//! The read model: a row per account and balance state, which says what the newest event of it said. Guarded by the account's
//! version; kept by the consumer `wallet-balances`.

use events::{
    MemberId, Points, Sequence, Timestamp, TransactionId,
    contracts::wallet::{AccountType, BalanceState, BalanceUpdated},
};
use outbox::{Error, GuardedPut, Key, Query, Table, encode_item};
use serde::{Deserialize, Serialize};

use crate::account::partition;

/// What the newest event of a balance state said.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row {
    /// Whose account.
    pub account_id: MemberId,
    /// Which of their accounts.
    pub account_type: AccountType,
    /// Which of its balance states.
    pub balance_state: BalanceState,
    /// The balance.
    pub balance: Points,
    /// The account's version that the event stated.
    pub version: Sequence,
    /// When the event occurred.
    pub occurred_at: Timestamp,
    /// The movement that made it so.
    pub transaction_id: TransactionId,
}

const ROW_PREFIX: &str = "balance#";

impl Row {
    /// What an event of a moment states.
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

    /// Where it stands: in its account's partition.
    #[must_use]
    pub fn key(&self, table: &Table) -> Key {
        let sk = format!("{ROW_PREFIX}{}", self.balance_state);
        table.key(partition(self.account_type, &self.account_id), sk)
    }

    /// The write of it; what is older than the row is ignored.
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

/// The rows of an account, all of them.
#[must_use]
pub fn of_account(table: &Table, account_type: AccountType, account_id: &MemberId) -> Query {
    // One per balance state: they fit any page.
    let limit = 10;
    Query {
        prefix: Some(ROW_PREFIX.to_owned()),
        ..Query::partition(table, partition(account_type, account_id), limit)
    }
}
