//! The ledger: every movement is a transaction whose entries sum to zero. Entries are written once and numbered per
//! account: 1, 2, 3… without gaps.
//!
//! The outside has no account of its own, because every deposit would contend for its item. Instead, the movement's
//! other side is an entry `external` in the ledger of the account that received or gave the points. It is negative if
//! the points came in, positive if they went out. The sum of all external entries is therefore what was withdrawn minus
//! what was deposited.

use std::collections::BTreeMap;

use events::{
    Change, EscrowId, LedgerEntryId, MemberId, MoveReason, Points, Reward, Sequence, Timestamp,
    TransactionId,
    contracts::wallet::{AccountType, BalanceState},
};
use outbox::{Key, Query, Table};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::account::partition;

/// What an entry changed: a balance state, or the outside.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Side {
    /// Available to be spent.
    Available,
    /// Held until the request is fulfilled.
    Escrow,
    /// Earned for something done.
    Earned,
    /// Outside the wallets.
    External,
}

impl Side {
    /// The balance state; `None` for the outside.
    #[must_use]
    pub fn balance_state(self) -> Option<BalanceState> {
        match self {
            Self::Available => Some(BalanceState::Available),
            Self::Escrow => Some(BalanceState::Escrow),
            Self::Earned => Some(BalanceState::Earned),
            Self::External => None,
        }
    }
}

impl From<BalanceState> for Side {
    fn from(state: BalanceState) -> Self {
        match state {
            BalanceState::Available => Self::Available,
            BalanceState::Escrow => Self::Escrow,
            BalanceState::Earned => Self::Earned,
        }
    }
}

/// A ledger entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "LedgerEntry")]
pub struct LedgerEntry {
    /// The entry's identity: the account, and the entry's number in it.
    pub ledger_entry_id: LedgerEntryId,
    /// The id of the member who owns the account.
    pub account_id: MemberId,
    /// Whether it is the member's account as a user or as a model.
    pub account_type: AccountType,
    /// The entry's number within the account.
    pub number: Sequence,
    /// What the entry changed.
    pub balance_state: Side,
    /// The change; negative for a decrease.
    pub amount: Change<Reward>,
    /// The balance after the entry. Absent for the outside, which has no balance.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance_after: Option<Points>,
    /// Why the points moved.
    pub reason: MoveReason,
    /// The movement that the entry is part of.
    pub transaction_id: TransactionId,
    /// The escrow that the entry belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escrow_id: Option<EscrowId>,
    /// When the movement occurred.
    pub occurred_at: Timestamp,
}

const ENTRY_PREFIX: &str = "entry#";

impl LedgerEntry {
    /// The entry's key: in its account's partition, ordered by number.
    #[must_use]
    pub fn key(&self, table: &Table) -> Key {
        // 16 digits hold every number (2^53 - 1).
        let sk = format!("{ENTRY_PREFIX}{:016}", self.number.number());
        table.key(partition(self.account_type, &self.account_id), sk)
    }
}

/// The query for a page of an account's entries, newest first, at most `limit`.
#[must_use]
pub fn newest_first(
    table: &Table,
    account_type: AccountType,
    account_id: &MemberId,
    limit: u32,
) -> Query {
    Query {
        prefix: Some(ENTRY_PREFIX.to_owned()),
        descending: true,
        ..Query::partition(table, partition(account_type, account_id), limit)
    }
}

/// A fault in a set of entries.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A transaction's entries do not sum to zero.
    #[error("the entries of transaction {transaction_id} sum to {sum}")]
    Unbalanced {
        /// The transaction.
        transaction_id: TransactionId,
        /// The sum of its entries.
        sum: Decimal,
    },
    /// An account's entry numbers have a gap or a duplicate.
    #[error("account {account} has entry {found} but entry {expected} was expected")]
    Number {
        /// The account.
        account: String,
        /// The expected number.
        expected: u64,
        /// The number found.
        found: u64,
    },
    /// An entry's id does not match its account and number.
    #[error("entry {entry} is number {number} of account {account}")]
    Name {
        /// The entry's id.
        entry: LedgerEntryId,
        /// The entry's account.
        account: String,
        /// The entry's number.
        number: u64,
    },
    /// An entry's balance differs from the sum of the entries up to it.
    #[error("entry {entry} states the balance {stated:?}, but the entries add up to {computed}")]
    Balance {
        /// The entry.
        entry: LedgerEntryId,
        /// The balance that the entry states.
        stated: Option<Points>,
        /// The sum of the entries.
        computed: Decimal,
    },
}

/// Checks a set of entries that contains, for each of its accounts, all entries up to some number. Every transaction
/// must sum to zero, every account's numbers must have no gaps, every balance must be the sum of the entries up to it,
/// and no balance can be negative.
///
/// The entries can come in any order. Returns every fault found; an empty list means that the ledger is sound.
#[must_use]
pub fn faults<'e>(entries: impl IntoIterator<Item = &'e LedgerEntry>) -> Vec<Fault> {
    let mut sums: BTreeMap<TransactionId, Decimal> = BTreeMap::new();
    let mut accounts: BTreeMap<String, Vec<&LedgerEntry>> = BTreeMap::new();
    for entry in entries {
        *sums.entry(entry.transaction_id).or_default() += entry.amount.decimal();
        let account = entry.account_type.account(&entry.account_id);
        accounts.entry(account).or_default().push(entry);
    }
    let mut faults: Vec<Fault> = sums
        .into_iter()
        .filter(|(_, sum)| !sum.is_zero())
        .map(|(transaction_id, sum)| Fault::Unbalanced {
            transaction_id,
            sum,
        })
        .collect();
    for (account, mut entries) in accounts {
        entries.sort_by_key(|entry| entry.number);
        let mut balances: BTreeMap<Side, Decimal> = BTreeMap::new();
        for (expected, entry) in (1..).zip(entries) {
            let number = entry.number.number();
            if number != expected {
                faults.push(Fault::Number {
                    account: account.clone(),
                    expected,
                    found: number,
                });
                // Every later entry of the account would be reported too.
                break;
            }
            let name = LedgerEntryId::of(entry.account_type, &entry.account_id, entry.number);
            if entry.ledger_entry_id != name {
                faults.push(Fault::Name {
                    entry: entry.ledger_entry_id.clone(),
                    account: account.clone(),
                    number,
                });
            }
            let balance = balances.entry(entry.balance_state).or_default();
            *balance += entry.amount.decimal();
            let sound = match entry.balance_state {
                Side::External => entry.balance_after.is_none(),
                Side::Available | Side::Escrow | Side::Earned => {
                    entry.balance_after.map(Points::decimal) == Some(*balance)
                }
            };
            if !sound {
                faults.push(Fault::Balance {
                    entry: entry.ledger_entry_id.clone(),
                    stated: entry.balance_after,
                    computed: *balance,
                });
            }
        }
    }
    faults
}

/// The sum of a set of entries, per account and side.
#[must_use]
pub fn sums<'e>(
    entries: impl IntoIterator<Item = &'e LedgerEntry>,
) -> BTreeMap<(AccountType, MemberId, Side), Decimal> {
    let mut sums = BTreeMap::new();
    for entry in entries {
        let of = (
            entry.account_type,
            entry.account_id.clone(),
            entry.balance_state,
        );
        *sums.entry(of).or_insert(Decimal::ZERO) += entry.amount.decimal();
    }
    sums
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn entry(
        number: u64,
        transaction: u128,
        side: Side,
        amount: i64,
        after: Option<i64>,
    ) -> LedgerEntry {
        let ada = MemberId::new("ada").expect("an id");
        let number = Sequence::new(number).expect("a number");
        LedgerEntry {
            ledger_entry_id: LedgerEntryId::of(AccountType::User, &ada, number),
            account_id: ada,
            account_type: AccountType::User,
            number,
            balance_state: side,
            amount: Change::new(amount.into()).expect("a change"),
            balance_after: after.map(|after| Points::new(after.into()).expect("points")),
            reason: MoveReason::constant("deposit"),
            transaction_id: Uuid::from_u128(transaction).into(),
            escrow_id: None,
            occurred_at: Timestamp::from_unix_millis(0).expect("a moment"),
        }
    }

    fn sound() -> Vec<LedgerEntry> {
        vec![
            entry(1, 1, Side::Available, 5, Some(5)),
            entry(2, 1, Side::External, -5, None),
            entry(3, 2, Side::Available, -2, Some(3)),
            entry(4, 2, Side::Escrow, 2, Some(2)),
        ]
    }

    #[test]
    fn a_sound_ledger_has_no_faults_in_whatever_order_it_comes() {
        let mut entries = sound();
        assert_eq!(faults(&entries), []);
        entries.reverse();
        assert_eq!(faults(&entries), []);
        assert_eq!(faults(&[]), []);
    }

    #[test]
    fn every_damage_to_a_ledger_is_found() {
        let damaged = |damage: fn(&mut Vec<LedgerEntry>)| {
            let mut entries = sound();
            damage(&mut entries);
            faults(&entries)
        };
        let lost = damaged(|entries| drop(entries.pop()));
        assert!(matches!(lost.as_slice(), [Fault::Unbalanced { .. }]));
        let gap = damaged(|entries| drop(entries.drain(..2)));
        assert!(matches!(
            gap.as_slice(),
            [Fault::Number {
                expected: 1,
                found: 3,
                ..
            }]
        ));
        let twice = damaged(|entries| {
            entries[3].number = entries[2].number;
        });
        assert!(matches!(twice.as_slice(), [Fault::Number { found: 3, .. }]));
        let renamed = damaged(|entries| {
            entries[3].ledger_entry_id = entries[2].ledger_entry_id.clone();
        });
        assert!(matches!(
            renamed.as_slice(),
            [Fault::Name { number: 4, .. }]
        ));
        let changed = damaged(|entries| entries[2].balance_after = Some(Points::ZERO));
        assert!(matches!(changed.as_slice(), [Fault::Balance { .. }]));
        let below = damaged(|entries| {
            entries[2] = entry(3, 2, Side::Available, -6, None);
            entries[3] = entry(4, 2, Side::Escrow, 6, Some(6));
        });
        assert!(matches!(below.as_slice(), [Fault::Balance { .. }]));
    }

    #[test]
    fn an_entry_is_named_by_its_account_and_number_and_sorts_by_it() {
        let table = Table::domain("wallet");
        let [one, two] = [9, 10].map(|n| entry(n, 1, Side::Available, 1, Some(1)));
        assert_eq!(one.ledger_entry_id.as_str(), "user-ada/9");
        assert!(one.key(&table) < two.key(&table));
    }
}
