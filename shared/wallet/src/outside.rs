//! Deposits into a wallet from outside, and withdrawals from it.

use events::{
    Contract, Draft, DraftError, EventId, IdempotencyKey, Points, TransactionId,
    contracts::wallet::{AccountType, BalanceState, Deposited, Withdrawn},
};
use outbox::{BuildError, Entity, Table, Transaction};

use crate::{
    Account, CommandContext, Holding, Posting, Reason, Refusal,
    account::{less, more, positive},
    ledger::Side,
};

/// A decided movement between an account and the outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moving<E> {
    /// The effect on the account.
    pub posting: Posting,
    /// The event of the movement.
    pub event: E,
    /// The id of the movement.
    transaction_id: TransactionId,
}

/// Decides a deposit to a user's account.
///
/// # Errors
/// [`Refusal::OtherAccountType`], [`Refusal::AmountNotPositive`], [`Refusal::BalanceTooLarge`].
pub fn deposit(
    user: &Holding,
    amount: Points,
    context: &CommandContext,
) -> Result<Moving<Deposited>, Refusal> {
    user.must_be(AccountType::User)?;
    let amount = positive(amount)?;
    let moves = [
        (Side::Available, more(amount)),
        (Side::External, less(amount)),
    ];
    let posting = user.post(&moves, Reason::Deposit, None, context)?;
    Ok(Moving {
        event: Deposited {
            account_id: user.account_id.clone(),
            account_type: user.account_type,
            amount,
            transaction_id: context.transaction_id,
            balance_after: posting.account.available(),
            version: posting.version,
        },
        posting,
        transaction_id: context.transaction_id,
    })
}

/// The balance state that a withdrawal takes from: available for a user, earned for a model.
#[must_use]
pub fn withdrawable(account_type: AccountType) -> BalanceState {
    match account_type {
        AccountType::User => BalanceState::Available,
        AccountType::Model => BalanceState::Earned,
    }
}

/// Decides a withdrawal.
///
/// # Errors
/// [`Refusal::AmountNotPositive`], [`Refusal::InsufficientFunds`].
pub fn withdraw(
    account: &Holding,
    amount: Points,
    context: &CommandContext,
) -> Result<Moving<Withdrawn>, Refusal> {
    let amount = positive(amount)?;
    let state = withdrawable(account.account_type);
    let moves = [(state.into(), less(amount)), (Side::External, more(amount))];
    let posting = account.post(&moves, Reason::Withdrawal, None, context)?;
    Ok(Moving {
        event: Withdrawn {
            account_id: account.account_id.clone(),
            account_type: account.account_type,
            amount,
            transaction_id: context.transaction_id,
            balance_after: posting.account.balance(state),
            version: posting.version,
        },
        posting,
        transaction_id: context.transaction_id,
    })
}

impl<E: Contract> Moving<E> {
    /// Adds the account, its events and its entries to a transaction; returns the id of the event about the whole
    /// movement.
    ///
    /// # Errors
    /// [`BuildError`] when the entity is another account's.
    pub fn save(
        &self,
        transaction: &mut Transaction,
        table: &Table,
        entity: &Entity<Account>,
    ) -> Result<EventId, BuildError> {
        // The key names the external entry that this event reports; the balance event has a key of its own.
        let fact = format!("{}/external", self.transaction_id);
        let fact = IdempotencyKey::new(fact).map_err(DraftError::from)?;
        let draft = Draft::of(&self.event)?.with_idempotency_key(fact);
        self.posting.save_telling(transaction, table, entity, draft)
    }
}
