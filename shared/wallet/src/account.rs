//! A member's account as a user or as a model: one item with its balances and the number of its last entry. It is opened by
//! its first posting.

mod rebuild;

use events::{
    Change, Draft, DraftError, EscrowId, EventId, IdError, IdempotencyKey, LedgerEntryId, MemberId,
    Points, Reward, Sequence, Timestamp, TransactionId,
    contracts::wallet::{AccountType, BalanceState, BalanceUpdated},
};
use outbox::{BuildError, Entity, Key, State, Table, Transaction};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{
    Reason, Refusal,
    ledger::{Entry, Side},
};

pub use self::rebuild::Course;

/// What an account holds: a user's what is available and in escrow, a model's what is earned; none is ever below zero. Its
/// fields change in [`Holding::post`] alone, where every change makes its entry and its event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// How many points can be spent.
    #[serde(default)]
    available: Points,
    /// How many are held, over all escrows.
    #[serde(default)]
    escrow: Points,
    /// How many were earned.
    #[serde(default)]
    earned: Points,
    /// The number of its last entry in the ledger; 0 before the first.
    last_entry: u64,
}

impl State for Account {
    const AGGREGATE: &'static str = "wallet_account";
}

impl Account {
    /// Its item.
    #[must_use]
    pub fn key_of(table: &Table, account_type: AccountType, account_id: &MemberId) -> Key {
        Self::key(table, &account_type.account(account_id))
    }

    /// How many points can be spent.
    #[must_use]
    pub fn available(&self) -> Points {
        self.available
    }

    /// How many are held, over all escrows.
    #[must_use]
    pub fn escrow(&self) -> Points {
        self.escrow
    }

    /// How many were earned.
    #[must_use]
    pub fn earned(&self) -> Points {
        self.earned
    }

    /// The number of its last entry in the ledger; 0 before the first.
    #[must_use]
    pub fn last_entry(&self) -> u64 {
        self.last_entry
    }

    /// Changes what can be spent as nothing but damage does, for tests of what finds it.
    #[cfg(test)]
    pub(crate) fn damage(&mut self, available: u32) {
        self.available = Points::new(available.into()).unwrap_or_default();
    }

    /// The balance of a state.
    #[must_use]
    pub fn balance(&self, state: BalanceState) -> Points {
        match state {
            BalanceState::Available => self.available,
            BalanceState::Escrow => self.escrow,
            BalanceState::Earned => self.earned,
        }
    }

    fn balance_mut(&mut self, state: BalanceState) -> &mut Points {
        match state {
            BalanceState::Available => &mut self.available,
            BalanceState::Escrow => &mut self.escrow,
            BalanceState::Earned => &mut self.earned,
        }
    }
}

/// The partition of everything that belongs to an account.
pub(crate) fn partition(account_type: AccountType, account_id: &MemberId) -> String {
    format!(
        "{}#{}",
        Account::AGGREGATE,
        account_type.account(account_id)
    )
}

/// An account as a decision sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// As what the member holds it.
    pub account_type: AccountType,
    /// Whose it is.
    pub account_id: MemberId,
    /// What it holds; nothing where there is no account yet.
    pub account: Account,
    /// The version it has after the next write.
    pub next_version: Sequence,
    /// The numbers of its next entries: no movement has more than two in an account.
    pub next_entries: [Sequence; 2],
}

impl Holding {
    /// The holding of an account that was read.
    ///
    /// # Errors
    /// [`IdError`] when versions or numbers run out.
    pub fn of(
        account_type: AccountType,
        account_id: MemberId,
        entity: &Entity<Account>,
    ) -> Result<Self, IdError> {
        let account = entity.state().copied().unwrap_or_default();
        Ok(Self {
            account_type,
            account_id,
            account,
            next_version: entity.next_version()?,
            next_entries: [
                Sequence::new(account.last_entry + 1)?,
                Sequence::new(account.last_entry + 2)?,
            ],
        })
    }

    /// Refuses accounts of the other type.
    pub(crate) fn must_be(&self, needed: AccountType) -> Result<(), Refusal> {
        if self.account_type == needed {
            Ok(())
        } else {
            Err(Refusal::OtherAccountType { needed })
        }
    }

    /// The account after at most two moves, each of a side of its own, with the entries and events that tell of them.
    pub(crate) fn post(
        &self,
        moves: &[(Side, Change<Reward>)],
        reason: Reason,
        escrow_id: Option<EscrowId>,
        moment: &Moment,
    ) -> Result<Posting, Refusal> {
        let mut posting = Posting {
            account_type: self.account_type,
            account_id: self.account_id.clone(),
            version: self.next_version,
            account: self.account,
            entries: Vec::with_capacity(moves.len()),
            updates: Vec::with_capacity(moves.len()),
        };
        for (&(side, amount), number) in moves.iter().zip(self.next_entries) {
            let ledger_entry_id = LedgerEntryId::of(self.account_type, &self.account_id, number);
            let mut balance_after = None;
            if let Some(state) = side.balance_state() {
                let balance = posting.account.balance_mut(state);
                let before = *balance;
                let after = changed(before, amount)?;
                *balance = after;
                balance_after = Some(after);
                posting.updates.push(BalanceUpdated {
                    account_id: self.account_id.clone(),
                    account_type: self.account_type,
                    balance_state: state,
                    balance_before: before,
                    balance_after: after,
                    change_amount: amount,
                    reason: reason.wire(),
                    transaction_id: moment.transaction_id,
                    ledger_entry_id: ledger_entry_id.clone(),
                    version: self.next_version,
                });
            }
            posting.entries.push(Entry {
                ledger_entry_id,
                account_id: self.account_id.clone(),
                account_type: self.account_type,
                number,
                balance_state: side,
                amount,
                balance_after,
                reason: reason.wire(),
                transaction_id: moment.transaction_id,
                escrow_id,
                occurred_at: moment.now,
            });
            posting.account.last_entry = number.number();
        }
        Ok(posting)
    }
}

fn changed(before: Points, amount: Change<Reward>) -> Result<Points, Refusal> {
    let after = before.decimal() + amount.decimal();
    Points::new(after).map_err(|_| {
        if after < Decimal::ZERO {
            Refusal::InsufficientFunds {
                available: before,
                // The absolute value of a change is an amount.
                needed: Points::new(amount.decimal().abs()).unwrap_or_default(),
            }
        } else {
            Refusal::BalanceTooLarge { max: Points::max() }
        }
    })
}

/// So many more.
pub(crate) fn more(amount: Points) -> Change<Reward> {
    Change::between(Points::ZERO, amount)
}

/// So many less.
pub(crate) fn less(amount: Points) -> Change<Reward> {
    Change::between(amount, Points::ZERO)
}

pub(crate) fn positive(amount: Points) -> Result<Points, Refusal> {
    if amount.is_zero() {
        Err(Refusal::AmountNotPositive)
    } else {
        Ok(amount)
    }
}

/// What a decision is given besides state and command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The id of the movement that is being decided.
    pub transaction_id: TransactionId,
    /// Now.
    pub now: Timestamp,
}

impl Moment {
    /// The moment of a transaction.
    #[must_use]
    pub fn of(transaction: &Transaction) -> Self {
        Self {
            transaction_id: transaction.uuid().into(),
            now: transaction.now(),
        }
    }
}

/// What a movement does to one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// As what the member holds it.
    pub account_type: AccountType,
    /// Whose it is.
    pub account_id: MemberId,
    /// Its version after it.
    pub version: Sequence,
    /// What it holds after it.
    pub account: Account,
    /// The entries.
    pub entries: Vec<Entry>,
    /// One for each balance state that changed.
    pub updates: Vec<BalanceUpdated>,
}

impl Posting {
    /// Puts account, events and entries into a transaction.
    pub(crate) fn save(
        &self,
        transaction: &mut Transaction,
        table: &Table,
        entity: &Entity<Account>,
    ) -> Result<(), BuildError> {
        transaction.update(entity, &self.account, self.drafts()?)?;
        self.save_entries(transaction, table)
    }

    /// The same with an event before the balances'; returns its id.
    pub(crate) fn save_telling(
        &self,
        transaction: &mut Transaction,
        table: &Table,
        entity: &Entity<Account>,
        event: Draft,
    ) -> Result<EventId, BuildError> {
        let id = transaction.tell(entity, &self.account, event, self.drafts()?)?;
        self.save_entries(transaction, table)?;
        Ok(id)
    }

    /// An event for each balance state that changed, named as the fact that it is.
    fn drafts(&self) -> Result<Vec<Draft>, BuildError> {
        let draft = |update: &BalanceUpdated| {
            let key = format!("{}/{}", update.transaction_id, update.balance_state);
            Ok(Draft::of(update)?.with_idempotency_key(IdempotencyKey::new(key)?))
        };
        let drafts: Result<Vec<Draft>, DraftError> = self.updates.iter().map(draft).collect();
        Ok(drafts?)
    }

    fn save_entries(&self, transaction: &mut Transaction, table: &Table) -> Result<(), BuildError> {
        for entry in &self.entries {
            transaction.insert(entry.key(table), entry)?;
        }
        Ok(())
    }
}
