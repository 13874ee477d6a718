//! The ledger: every movement is a transaction of entries that sum to zero. Entries are written once and numbered per
//! account, 1, 2, 3… without gaps.
//!
//! The world outside has no account of its own, which every deposit would have to write: what it gave (negative) or took
//! stands as an entry `external` in the ledger of the account that got or gave it. The sum over all external entries is what
//! the world is owed less than it brought.

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

/// What an entry changed: a balance state, or the world outside.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Side {
    /// To be spent.
    Available,
    /// Held until what was asked for is done.
    Escrow,
    /// Received for something done.
    Earned,
    /// The world outside.
    External,
}

impl Side {
    /// The balance state; none of the world outside.
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

/// One entry.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "LedgerEntry")]
pub struct Entry {
    /// Its identity: the account and its number in it.
    pub ledger_entry_id: LedgerEntryId,
    /// Whose account: the member's id.
    pub account_id: MemberId,
    /// Which of their accounts.
    pub account_type: AccountType,
    /// Its number among the account's.
    pub number: Sequence,
    /// What it changed.
    pub balance_state: Side,
    /// By how much: negative where it became less.
    pub amount: Change<Reward>,
    /// What the balance is after it; nothing of the world outside, whose balance nobody keeps.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance_after: Option<Points>,
    /// Why.
    pub reason: MoveReason,
    /// The movement it is a part of.
    pub transaction_id: TransactionId,
    /// The escrow it is about.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub escrow_id: Option<EscrowId>,
    /// When.
    pub occurred_at: Timestamp,
}

const ENTRY_PREFIX: &str = "entry#";

impl Entry {
    /// Where it stands: in its account's partition, by its number.
    #[must_use]
    pub fn key(&self, table: &Table) -> Key {
        // 16 digits hold every number (2^53 - 1).
        let sk = format!("{ENTRY_PREFIX}{:016}", self.number.number());
        table.key(partition(self.account_type, &self.account_id), sk)
    }
}

/// A page of an account's entries, newest first; `limit` at most.
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

/// What is wrong with a set of entries.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// A transaction's entries do not sum to zero.
    #[error("the entries of transaction {transaction_id} sum to {sum}")]
    Unbalanced {
        /// Which.
        transaction_id: TransactionId,
        /// To what.
        sum: Decimal,
    },
    /// An account's numbers have a gap, or a number stands twice.
    #[error("account {account} has entry {found} where {expected} is due")]
    Number {
        /// Which.
        account: String,
        /// The number that is due.
        expected: u64,
        /// The number that is there.
        found: u64,
    },
    /// An entry is called by another name than its account and number.
    #[error("entry {entry} is number {number} of account {account}")]
    Name {
        /// Its name.
        entry: LedgerEntryId,
        /// Its account.
        account: String,
        /// Its number.
        number: u64,
    },
    /// An entry's balance is not that of the entries before it.
    #[error("entry {entry} says the balance is {stated:?}, the entries come to {computed}")]
    Balance {
        /// Which.
        entry: LedgerEntryId,
        /// What it says.
        stated: Option<Points>,
        /// What the entries come to.
        computed: Decimal,
    },
}

/// Checks a set of entries that holds, for each account in it, all of them up to some number: every transaction sums to zero,
/// every account's numbers run without gaps, every balance is the sum of what led to it and none is below zero.
///
/// Entries may come in any order. Returns everything that is wrong; nothing: it is sound.
#[must_use]
pub fn faults<'e>(entries: impl IntoIterator<Item = &'e Entry>) -> Vec<Fault> {
    let mut sums: BTreeMap<TransactionId, Decimal> = BTreeMap::new();
    let mut accounts: BTreeMap<String, Vec<&Entry>> = BTreeMap::new();
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
                // Everything behind it would be told as well.
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

/// What a set of entries comes to, per account and side.
#[must_use]
pub fn sums<'e>(
    entries: impl IntoIterator<Item = &'e Entry>,
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

    fn entry(number: u64, transaction: u128, side: Side, amount: i64, after: Option<i64>) -> Entry {
        let ada = MemberId::new("ada").expect("an id");
        let number = Sequence::new(number).expect("a number");
        Entry {
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

    fn sound() -> Vec<Entry> {
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
        let damaged = |damage: fn(&mut Vec<Entry>)| {
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
