//! A member's account as a user or as a model. It is one item that holds the balances and the number of the last ledger
//! entry. The first posting opens the account.

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
    ledger::{LedgerEntry, Side},
};

pub use self::rebuild::RebuiltAccount;

/// The balances of an account. A user's account has available and escrowed points, a model's account has earned points;
/// no balance is ever below zero. Only `Holding::post` changes the fields, and it creates the ledger entry and the
/// event of every change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The points that can be spent.
    #[serde(default)]
    available: Points,
    /// The points that are held, over all escrows.
    #[serde(default)]
    escrow: Points,
    /// The points that were earned.
    #[serde(default)]
    earned: Points,
    /// The number of the account's last ledger entry; 0 before the first.
    last_entry: u64,
}

impl State for Account {
    const AGGREGATE: &'static str = "wallet_account";
}

impl Account {
    /// The key of the account's item.
    #[must_use]
    pub fn key_of(table: &Table, account_type: AccountType, account_id: &MemberId) -> Key {
        Self::key(table, &account_type.account(account_id))
    }

    /// The points that can be spent.
    #[must_use]
    pub fn available(&self) -> Points {
        self.available
    }

    /// The points that are held, over all escrows.
    #[must_use]
    pub fn escrow(&self) -> Points {
        self.escrow
    }

    /// The points that were earned.
    #[must_use]
    pub fn earned(&self) -> Points {
        self.earned
    }

    /// The number of the account's last ledger entry; 0 before the first.
    #[must_use]
    pub fn last_entry(&self) -> u64 {
        self.last_entry
    }

    /// Sets the available points without an entry or event, as only damage could, for tests of the checks that detect
    /// it.
    #[cfg(test)]
    pub(crate) fn damage(&mut self, available: u32) {
        self.available = Points::new(available.into()).unwrap_or_default();
    }

    /// The balance in the given state.
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

/// An account as a decision sees it: its state, and the version and entry numbers of the next write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holding {
    /// Whether the member holds it as a user or as a model.
    pub account_type: AccountType,
    /// The member who owns it.
    pub account_id: MemberId,
    /// The balances; all zero if there is no account yet.
    pub account: Account,
    /// The account's version after the next write.
    pub next_version: Sequence,
    /// The numbers of the next two entries. A movement makes at most two entries per account.
    pub next_entries: [Sequence; 2],
}

impl Holding {
    /// The holding of an account that was loaded.
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

    /// Refuses an account of another type.
    pub(crate) fn must_be(&self, needed: AccountType) -> Result<(), Refusal> {
        if self.account_type == needed {
            Ok(())
        } else {
            Err(Refusal::OtherAccountType { needed })
        }
    }

    /// Applies at most two moves, each to a different side, and returns the account after them with their entries and
    /// events.
    pub(crate) fn post(
        &self,
        moves: &[(Side, Change<Reward>)],
        reason: Reason,
        escrow_id: Option<EscrowId>,
        context: &CommandContext,
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
                    transaction_id: context.transaction_id,
                    ledger_entry_id: ledger_entry_id.clone(),
                    version: self.next_version,
                });
            }
            posting.entries.push(LedgerEntry {
                ledger_entry_id,
                account_id: self.account_id.clone(),
                account_type: self.account_type,
                number,
                balance_state: side,
                amount,
                balance_after,
                reason: reason.wire(),
                transaction_id: context.transaction_id,
                escrow_id,
                occurred_at: context.now,
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
                // The absolute value of a change always fits an amount.
                needed: Points::new(amount.decimal().abs()).unwrap_or_default(),
            }
        } else {
            Refusal::BalanceTooLarge { max: Points::max() }
        }
    })
}

/// The change that adds an amount.
pub(crate) fn more(amount: Points) -> Change<Reward> {
    Change::between(Points::ZERO, amount)
}

/// The change that subtracts an amount.
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

/// The inputs of a decision besides state and command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandContext {
    /// The id of the movement being decided.
    pub transaction_id: TransactionId,
    /// The time of the decision.
    pub now: Timestamp,
}

impl CommandContext {
    /// The context of a command decided in the given transaction.
    #[must_use]
    pub fn of(transaction: &Transaction) -> Self {
        Self {
            transaction_id: transaction.uuid().into(),
            now: transaction.now(),
        }
    }
}

/// The effect of a movement on one account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Posting {
    /// Whether the member holds it as a user or as a model.
    pub account_type: AccountType,
    /// The member who owns the account.
    pub account_id: MemberId,
    /// The account's version after the movement.
    pub version: Sequence,
    /// The account's balances after the movement.
    pub account: Account,
    /// The ledger entries of the movement in this account.
    pub entries: Vec<LedgerEntry>,
    /// One event for each balance state that changed.
    pub updates: Vec<BalanceUpdated>,
}

impl Posting {
    /// Adds the account, its events and its entries to a transaction.
    pub(crate) fn save(
        &self,
        transaction: &mut Transaction,
        table: &Table,
        entity: &Entity<Account>,
    ) -> Result<(), BuildError> {
        transaction.update(entity, &self.account, self.drafts()?)?;
        self.save_entries(transaction, table)
    }

    /// Does the same with one more event before the balance events, and returns that event's id.
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

    /// One event per changed balance state. Its idempotency key names the movement and the balance state.
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
