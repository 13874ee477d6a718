//! Deposits into a wallet from outside, and withdrawals from it. The caller names the outside's payment, and each payment
//! is booked once: the fact is kept forever.

use events::{
    Contract, Draft, DraftError, EventId, ExternalReference, IdempotencyKey, MemberId, Points,
    TextError, Timestamp, TransactionId,
    contracts::wallet::{AccountType, BalanceState, Deposited, Withdrawn},
};
use outbox::{BuildError, Entity, Error, Outbox, Table, Transaction};
use serde::{Deserialize, Serialize};

use crate::{
    Account, CommandContext, Holding, Posting, Reason, Refusal,
    account::{less, more, positive},
    ledger::Side,
};

/// The direction of a payment between an account and the outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Direction {
    /// Into the account.
    Deposit,
    /// Out of the account.
    Withdrawal,
}

impl Direction {
    /// The word for it, which is also the first part of the fact's name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deposit => "deposit",
            Self::Withdrawal => "withdrawal",
        }
    }
}

/// A payment of the outside. The outside can use one reference for a payment in and a payment out (a payment and its
/// return), so the direction is part of the payment's identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// Into the account or out of it.
    pub direction: Direction,
    /// The outside's name of the payment.
    pub reference: ExternalReference,
}

impl Payment {
    /// A payment into an account.
    #[must_use]
    pub fn deposit(reference: ExternalReference) -> Self {
        Self {
            direction: Direction::Deposit,
            reference,
        }
    }

    /// A payment out of an account.
    #[must_use]
    pub fn withdrawal(reference: ExternalReference) -> Self {
        Self {
            direction: Direction::Withdrawal,
            reference,
        }
    }

    /// The fact that the payment was booked, as an idempotency key: `deposit/{reference}`.
    ///
    /// # Errors
    /// [`TextError`]. The reference's format makes it impossible.
    pub fn fact(&self) -> Result<IdempotencyKey, TextError> {
        IdempotencyKey::new(format!("{}/{}", self.direction.as_str(), self.reference))
    }

    /// Reads what was booked for the payment; `None` if nothing was.
    ///
    /// # Errors
    /// [`Error`] when the store fails or the row cannot be read.
    pub async fn booked(&self, outbox: &Outbox, table: &Table) -> Result<Option<Booked>, Error> {
        outbox.fact(table, &self.fact()?).await
    }
}

/// The row that records that a payment of the outside was booked.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Booked {
    /// The movement in the ledger.
    pub transaction_id: TransactionId,
    /// The account's owner.
    pub account_id: MemberId,
    /// The account's type.
    pub account_type: AccountType,
    /// How many points.
    pub amount: Points,
    /// When it was booked.
    pub booked_at: Timestamp,
}

/// Refuses a payment that was booked before.
fn first_time(payment: &Payment, before: Option<Booked>) -> Result<(), Refusal> {
    match before {
        None => Ok(()),
        Some(first) => Err(Refusal::PaymentBooked {
            direction: payment.direction,
            first: Box::new(first),
        }),
    }
}

/// A decided movement between an account and the outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moving<E> {
    /// The effect on the account.
    pub posting: Posting,
    /// The event of the movement.
    pub event: E,
    /// The payment whose fact is recorded.
    payment: Payment,
    /// What the fact's row says.
    booked: Booked,
}

/// Decides a deposit to a user's account. `before` is what was booked for the payment, if it was booked before.
///
/// # Errors
/// [`Refusal::OtherAccountType`], [`Refusal::AmountNotPositive`], [`Refusal::PaymentBooked`],
/// [`Refusal::BalanceTooLarge`].
pub fn deposit(
    user: &Holding,
    amount: Points,
    reference: ExternalReference,
    before: Option<Booked>,
    context: &CommandContext,
) -> Result<Moving<Deposited>, Refusal> {
    user.must_be(AccountType::User)?;
    let amount = positive(amount)?;
    let payment = Payment::deposit(reference);
    first_time(&payment, before)?;
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
            external_reference: Some(payment.reference.clone()),
            version: posting.version,
        },
        booked: Booked::of(user, amount, context),
        posting,
        payment,
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

/// Decides a withdrawal. `before` is what was booked for the payment, if it was booked before.
///
/// # Errors
/// [`Refusal::AmountNotPositive`], [`Refusal::PaymentBooked`], [`Refusal::InsufficientFunds`].
pub fn withdraw(
    account: &Holding,
    amount: Points,
    reference: ExternalReference,
    before: Option<Booked>,
    context: &CommandContext,
) -> Result<Moving<Withdrawn>, Refusal> {
    let amount = positive(amount)?;
    let payment = Payment::withdrawal(reference);
    first_time(&payment, before)?;
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
            external_reference: Some(payment.reference.clone()),
            version: posting.version,
        },
        booked: Booked::of(account, amount, context),
        posting,
        payment,
    })
}

impl Booked {
    fn of(account: &Holding, amount: Points, context: &CommandContext) -> Self {
        Self {
            transaction_id: context.transaction_id,
            account_id: account.account_id.clone(),
            account_type: account.account_type,
            amount,
            booked_at: context.now,
        }
    }
}

impl<E: Contract> Moving<E> {
    /// Adds the account, its events, its entries and the payment's fact to a transaction; returns the id of the event
    /// about the whole movement.
    ///
    /// # Errors
    /// [`BuildError`] when the entity is another account's.
    pub fn save(
        &self,
        transaction: &mut Transaction,
        table: &Table,
        entity: &Entity<Account>,
    ) -> Result<EventId, BuildError> {
        let fact = self.payment.fact().map_err(DraftError::from)?;
        transaction.fact(table, &fact, &self.booked)?;
        // The balance event has a key of its own.
        let draft = Draft::of(&self.event)?.with_idempotency_key(fact);
        self.posting.save_telling(transaction, table, entity, draft)
    }
}
