//! Accounts of credits: mint, transfer and burn, and the statement, to which every change of an account adds a line.
//! Redemptions are in [`crate::redemption`], stakes in [`crate::stake`].

mod payment;
mod rebuild;
mod statement;

use events::{
    Contract, Credits, Draft, DraftError, EventId, IdError, MemberId, Sequence, Text, Timestamp,
    TransactionId, Usd,
    contracts::cloud::{Burned, Minted, Transferred, UNALLOCATED},
};
use outbox::{BuildError, Entity, State, Table, Transaction};
use serde::{Deserialize, Serialize};

use crate::{Rate, Refusal};

pub(crate) use self::statement::partition;
pub use self::{
    payment::{MintedBefore, MintedPayment, PaymentName, StripePayment},
    statement::{Kind, Movement, Usage},
};

/// The credits of a member, or the credits that no member owns. Its fields change only in the decisions of [`Holding`],
/// and each decision is saved together with its event.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// The credits that can be spent; never below zero.
    balance: Credits,
    /// The credits that are locked in all stakes together; never below zero.
    #[serde(default)]
    staked: Credits,
}

impl State for Account {
    const AGGREGATE: &'static str = Minted::AGGREGATE;
}

impl Account {
    /// The credits that can be spent; never below zero.
    #[must_use]
    pub fn balance(&self) -> Credits {
        self.balance
    }

    /// The credits that are locked in all stakes together; never below zero.
    #[must_use]
    pub fn staked(&self) -> Credits {
        self.staked
    }

    /// An account with these balances, for tests of decisions.
    #[cfg(test)]
    pub(crate) fn holding(balance: Credits, staked: Credits) -> Self {
        Self { balance, staked }
    }
}

/// An account as the input of a decision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Holding {
    /// The account; empty if it does not exist yet.
    pub account: Account,
    /// The version that the account will have after the next write.
    pub next_version: Sequence,
}

impl Holding {
    /// The account that was read, with its next version.
    ///
    /// # Errors
    /// [`IdError`] if versions run out.
    pub fn of(entity: &Entity<Account>) -> Result<Self, IdError> {
        Ok(Self {
            account: entity.state().copied().unwrap_or_default(),
            next_version: entity.next_version()?,
        })
    }

    /// The account after `amount` was added to what can be spent.
    pub(crate) fn raised(self, amount: Credits) -> Result<Account, Refusal> {
        let balance = self.account.balance.plus(amount);
        let balance = balance.map_err(|_| Refusal::BalanceTooLarge {
            max: Credits::max(),
        })?;
        Ok(Account {
            balance,
            ..self.account
        })
    }

    /// The account after `amount` of what can be spent was locked.
    pub(crate) fn locked(self, amount: Credits) -> Result<Account, Refusal> {
        let lowered = self.lowered(amount)?;
        let staked = lowered.staked.plus(amount);
        let staked = staked.map_err(|_| Refusal::BalanceTooLarge {
            max: Credits::max(),
        })?;
        Ok(Account { staked, ..lowered })
    }

    /// The account after `amount` of what is locked was released.
    pub(crate) fn unlocked(self, amount: Credits) -> Result<Account, Refusal> {
        let raised = self.raised(amount)?;
        let staked = raised.staked.minus(amount);
        // The locked credits are the sum of the active positions, so they are never less than one of them.
        let staked = staked.map_err(|_| Refusal::InsufficientBalance {
            available: raised.staked,
            needed: amount,
        })?;
        Ok(Account { staked, ..raised })
    }

    /// The account after `amount` was taken from what can be spent.
    pub(crate) fn lowered(self, amount: Credits) -> Result<Account, Refusal> {
        let available = self.account.balance;
        let balance = available.minus(amount);
        let balance = balance.map_err(|_| Refusal::InsufficientBalance {
            available,
            needed: amount,
        })?;
        Ok(Account {
            balance,
            ..self.account
        })
    }
}

/// The part of a member that credits need.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The member's id.
    pub member_id: MemberId,
    /// The member's name at that time.
    pub name: Text<200>,
}

/// The id of the account of a member, or of the credits that no member owns.
#[must_use]
pub fn account_id(member_id: Option<&MemberId>) -> &str {
    member_id.map_or(UNALLOCATED, MemberId::as_str)
}

/// The input of a decision besides state and command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CommandContext {
    /// The id of the movement that is decided.
    pub transaction_id: TransactionId,
    /// The current time.
    pub now: Timestamp,
    /// The current value of a credit.
    pub rate: Rate,
}

impl CommandContext {
    /// The context of the command that is decided in this transaction.
    #[must_use]
    pub fn of(transaction: &Transaction, rate: Rate) -> Self {
        Self {
            transaction_id: transaction.uuid().into(),
            now: transaction.now(),
            rate,
        }
    }

    pub(crate) fn value_of(&self, amount: Credits) -> Result<Usd, Refusal> {
        self.rate
            .value_of(amount)
            .map_err(|_| Refusal::ValueTooLarge)
    }
}

/// Creates credits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mint {
    /// The member who gets the credits; `None` for the unallocated account.
    pub holder: Option<Holder>,
    /// The number of credits.
    pub amount: Credits,
    /// The Stripe payment that paid for them.
    pub payment: StripePayment,
    /// The caller's description.
    pub description: Option<Text<500>>,
}

/// Two different members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parties {
    from: MemberId,
    to: MemberId,
}

impl Parties {
    /// Accepts two different members.
    ///
    /// # Errors
    /// [`Refusal::TransferToOneself`].
    pub fn new(from: MemberId, to: MemberId) -> Result<Self, Refusal> {
        if from == to {
            Err(Refusal::TransferToOneself)
        } else {
            Ok(Self { from, to })
        }
    }

    /// The sender.
    #[must_use]
    pub fn from(&self) -> &MemberId {
        &self.from
    }

    /// The recipient.
    #[must_use]
    pub fn to(&self) -> &MemberId {
        &self.to
    }
}

/// Moves credits from one member to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// The sender and the recipient.
    pub parties: Parties,
    /// The sender's name at that time.
    pub from_name: Text<200>,
    /// The recipient's name at that time.
    pub to_name: Text<200>,
    /// The number of credits.
    pub amount: Credits,
    /// The caller's description.
    pub description: Option<Text<500>>,
}

/// Destroys credits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Burn {
    /// The member whose credits they are; `None` for the unallocated account.
    pub holder: Option<Holder>,
    /// The number of credits.
    pub amount: Credits,
    /// Why the credits are burned.
    pub reason: Text<200>,
    /// The caller's description.
    pub description: Option<Text<500>>,
}

/// A decided mint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minting {
    /// The account after the mint.
    pub account: Account,
    /// The event.
    pub event: Minted,
    /// The Stripe payment whose facts are recorded.
    pub payment: StripePayment,
    /// When it happened.
    pub occurred_at: Timestamp,
}

/// A decided transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transferring {
    /// The sender's account after the transfer.
    pub from: Account,
    /// The recipient's account after the transfer.
    pub to: Account,
    /// The event.
    pub event: Transferred,
    /// When it happened.
    pub occurred_at: Timestamp,
}

/// A decided burn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Burning {
    /// The account after the burn.
    pub account: Account,
    /// The event.
    pub event: Burned,
    /// When it happened.
    pub occurred_at: Timestamp,
}

pub(crate) fn positive(amount: Credits) -> Result<Credits, Refusal> {
    if amount.is_zero() {
        Err(Refusal::AmountNotPositive)
    } else {
        Ok(amount)
    }
}

/// Decides a mint. `minted_before` is what is known about the command's payment, if it was minted before.
///
/// # Errors
/// [`Refusal`] if a rule forbids it.
pub fn mint(
    account: Holding,
    minted_before: Option<&MintedBefore>,
    command: Mint,
    context: &CommandContext,
) -> Result<Minting, Refusal> {
    let amount = positive(command.amount)?;
    if let Some(before) = minted_before {
        return Err(Refusal::PaymentAlreadyMinted {
            name: before.name,
            first: before.payment.transaction_id,
        });
    }
    let after = account.raised(amount)?;
    let (member_id, member_name) = identity(command.holder);
    Ok(Minting {
        account: after,
        event: Minted {
            transaction_id: context.transaction_id,
            member_id,
            member_name,
            amount,
            amount_usd: context.value_of(amount)?,
            balance_after: after.balance,
            stripe_charge_id: command.payment.charge_id.clone().map(Text::from),
            stripe_payment_intent_id: command.payment.payment_intent_id.clone().map(Text::from),
            description: command.description,
            version: account.next_version,
        },
        payment: command.payment,
        occurred_at: context.now,
    })
}

/// Decides a transfer.
///
/// # Errors
/// [`Refusal`] if a rule forbids it.
pub fn transfer(
    from: Holding,
    to: Holding,
    command: Transfer,
    context: &CommandContext,
) -> Result<Transferring, Refusal> {
    let amount = positive(command.amount)?;
    let from_after = from.lowered(amount)?;
    let to_after = to.raised(amount)?;
    Ok(Transferring {
        from: from_after,
        to: to_after,
        event: Transferred {
            transaction_id: context.transaction_id,
            from_member_id: command.parties.from,
            from_member_name: command.from_name,
            to_member_id: command.parties.to,
            to_member_name: command.to_name,
            amount,
            amount_usd: context.value_of(amount)?,
            from_balance_after: from_after.balance,
            to_balance_after: to_after.balance,
            description: command.description,
            from_version: from.next_version,
            to_version: to.next_version,
        },
        occurred_at: context.now,
    })
}

/// Decides a burn.
///
/// # Errors
/// [`Refusal`] if a rule forbids it.
pub fn burn(account: Holding, command: Burn, context: &CommandContext) -> Result<Burning, Refusal> {
    let amount = positive(command.amount)?;
    let after = account.lowered(amount)?;
    let (member_id, member_name) = identity(command.holder);
    Ok(Burning {
        account: after,
        event: Burned {
            transaction_id: context.transaction_id,
            member_id,
            member_name,
            amount,
            amount_usd: context.value_of(amount)?,
            balance_after: Some(after.balance),
            reason: command.reason,
            description: command.description,
            version: account.next_version,
        },
        occurred_at: context.now,
    })
}

fn identity(holder: Option<Holder>) -> (Option<MemberId>, Option<Text<200>>) {
    holder.map_or((None, None), |holder| {
        (Some(holder.member_id), Some(holder.name))
    })
}

impl Minting {
    /// The mint's line in the account's statement.
    #[must_use]
    pub fn movement(&self, event_id: EventId) -> Movement {
        let event = &self.event;
        Movement {
            description: event.description.clone(),
            stripe_charge_id: event.stripe_charge_id.clone(),
            ..Movement::of(
                Kind::Minted,
                event.transaction_id,
                event.amount,
                event.balance_after,
                self.occurred_at,
                event_id,
            )
        }
    }

    /// Puts account, event, statement line and the payment's facts into a transaction; returns the event's id.
    ///
    /// # Errors
    /// [`BuildError`] when the entity is another account's.
    pub fn save(
        &self,
        transaction: &mut Transaction,
        table: &Table,
        entity: &Entity<Account>,
    ) -> Result<EventId, BuildError> {
        let mut draft = Draft::of(&self.event)?;
        let facts = self.payment.facts().map_err(DraftError::from)?;
        if let Some((_, fact)) = facts.first() {
            draft = draft.with_idempotency_key(fact.clone());
        }
        let event_id = transaction.tell(entity, &self.account, draft, Vec::new())?;
        for (_, fact) in &facts {
            let row = MintedPayment {
                transaction_id: self.event.transaction_id,
                minted_at: self.occurred_at,
            };
            transaction.fact(table, fact, &row)?;
        }
        let account_id = account_id(self.event.member_id.as_ref());
        let key = Movement::key(table, account_id, self.event.version);
        transaction.insert(key, &self.movement(event_id))?;
        Ok(event_id)
    }
}

impl Transferring {
    /// The transfer's line in the sender's statement, then the line in the recipient's.
    #[must_use]
    pub fn movements(&self, event_id: EventId) -> (Movement, Movement) {
        let event = &self.event;
        let given = Movement {
            counterparty: Some(event.to_member_id.clone()),
            description: event.description.clone(),
            ..Movement::of(
                Kind::TransferredOut,
                event.transaction_id,
                event.amount,
                event.from_balance_after,
                self.occurred_at,
                event_id,
            )
        };
        let got = Movement {
            kind: Kind::TransferredIn,
            balance_after: event.to_balance_after,
            counterparty: Some(event.from_member_id.clone()),
            ..given.clone()
        };
        (given, got)
    }

    /// Puts both accounts, the event and both statement lines into a transaction; returns the event's id.
    ///
    /// # Errors
    /// [`BuildError`] when an entity is another account's.
    pub fn save(
        &self,
        transaction: &mut Transaction,
        table: &Table,
        from: &Entity<Account>,
        to: &Entity<Account>,
    ) -> Result<EventId, BuildError> {
        let event = &self.event;
        let event_id = transaction.tell(from, &self.from, Draft::of(event)?, Vec::new())?;
        transaction.update(to, &self.to, Vec::new())?;
        let (given, got) = self.movements(event_id);
        let giver = event.from_member_id.as_str();
        let receiver = event.to_member_id.as_str();
        transaction.insert(Movement::key(table, giver, event.from_version), &given)?;
        transaction.insert(Movement::key(table, receiver, event.to_version), &got)?;
        Ok(event_id)
    }
}

impl Burning {
    /// The burn's line in the account's statement.
    #[must_use]
    pub fn movement(&self, event_id: EventId) -> Movement {
        let event = &self.event;
        Movement {
            description: event.description.clone(),
            reason: Some(event.reason.clone()),
            ..Movement::of(
                Kind::Burned,
                event.transaction_id,
                event.amount,
                self.account.balance,
                self.occurred_at,
                event_id,
            )
        }
    }

    /// Puts account, event and statement line into a transaction; returns the event's id.
    ///
    /// # Errors
    /// [`BuildError`] when the entity is another account's.
    pub fn save(
        &self,
        transaction: &mut Transaction,
        table: &Table,
        entity: &Entity<Account>,
    ) -> Result<EventId, BuildError> {
        let draft = Draft::of(&self.event)?;
        let event_id = transaction.tell(entity, &self.account, draft, Vec::new())?;
        let account_id = account_id(self.event.member_id.as_ref());
        let key = Movement::key(table, account_id, self.event.version);
        transaction.insert(key, &self.movement(event_id))?;
        Ok(event_id)
    }
}

#[cfg(test)]
mod tests;
