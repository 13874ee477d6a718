//! The operations on wallets: load, decide, save. The API, Flow and every other caller run these. The caller provides
//! the transaction, and commits it if the operation succeeds.
//!
//! Every operation reads all its input itself, each time it runs. So when a decision is repeated after a conflict, it
//! is based on fresh reads.

use async_trait::async_trait;
use events::{
    Contract, EscrowId, EventId, ExternalReference, MemberId, Points, Text, TransactionId,
    contracts::wallet::{
        AccountType, Deposited, EscrowHeld, EscrowPartialSettled, EscrowRefunded, EscrowSettled,
        Withdrawn,
    },
};
use outbox::{Entity, Error, Outbox, Table, Transaction};

use crate::{
    Account, CommandContext, Escrow, HoldReason, Holding, Refusal,
    escrow::{self, Held, Hold, Parts, Read},
    outside::{self, Booked, Payment},
};

/// Knows who is a member. Membership belongs to another domain, which the caller's composition root asks.
#[async_trait]
pub trait Members: Send + Sync {
    /// Whether there is such a member. Members are never deleted, so a positive answer stays true.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    async fn is_member(&self, id: &MemberId) -> Result<bool, Error>;
}

/// Why an operation wrote nothing.
pub type Stopped = domain::Stopped<Refusal>;

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A movement that was added to the transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done<M> {
    /// The movement.
    pub transaction_id: TransactionId,
    /// The event about the whole movement.
    pub event_id: EventId,
    /// What was decided.
    pub moving: M,
}

/// A request to hold points.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HoldCommand {
    /// How many points.
    pub amount: Points,
    /// The reason for the hold.
    pub reason: HoldReason,
    /// The place of the requested item in the model's queue.
    pub queue_item_id: Text<128>,
    /// The feature used for the request.
    pub feature_type: Text<64>,
    /// The caller's own id of the request.
    pub request_id: Text<128>,
}

/// The wallet operations and what they need.
#[derive(Debug, Clone, Copy)]
pub struct Wallets<'a, M> {
    /// Loads the state that decisions are based on.
    pub outbox: &'a Outbox,
    /// The domain's table.
    pub table: &'a Table,
    /// Who is a member.
    pub members: &'a M,
}

impl<M: Members> Wallets<'_, M> {
    async fn account(
        &self,
        account_type: AccountType,
        id: &MemberId,
    ) -> Result<Entity<Account>, Error> {
        let account = account_type.account(id);
        self.outbox.load(self.table, &account).await
    }

    /// The escrow; the entity is empty if there is none.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn escrow(&self, id: EscrowId) -> Result<Entity<Escrow>, Error> {
        self.outbox.load(self.table, &id.to_string()).await
    }

    /// Loads an account and checks that its owner is a member.
    async fn of_member(
        &self,
        account_type: AccountType,
        id: &MemberId,
    ) -> Result<(Entity<Account>, Holding), Stopped> {
        let (known, entity) =
            futures::try_join!(self.members.is_member(id), self.account(account_type, id))?;
        if !known {
            let user_id = id.clone();
            return Err(Refusal::UnknownUser { user_id }.into());
        }
        let holding = Holding::of(account_type, id.clone(), &entity)?;
        Ok((entity, holding))
    }

    fn save<E: Contract>(
        &self,
        transaction: &mut Transaction,
        moving: escrow::Moving<E>,
        read: Read<'_>,
        context: &CommandContext,
    ) -> Result<Done<escrow::Moving<E>>, Stopped> {
        Ok(Done {
            transaction_id: context.transaction_id,
            event_id: moving.save(transaction, self.table, read)?,
            moving,
        })
    }

    /// Loads an account of a member, and what was booked for a payment before.
    async fn of_payment(
        &self,
        account_type: AccountType,
        id: &MemberId,
        payment: &Payment,
    ) -> Result<(Entity<Account>, Holding, Option<Booked>), Stopped> {
        let ((entity, holding), before) =
            futures::try_join!(self.of_member(account_type, id), async {
                Ok(payment.booked(self.outbox, self.table).await?)
            },)?;
        Ok((entity, holding, before))
    }

    /// Deposits points into a user's account, once for each payment of the outside.
    ///
    /// # Errors
    /// [`Refusal::UnknownUser`], what [`outside::deposit`] refuses; [`Stopped::Failed`].
    pub async fn deposit(
        &self,
        transaction: &mut Transaction,
        user_id: &MemberId,
        amount: Points,
        reference: &ExternalReference,
    ) -> Result<Done<outside::Moving<Deposited>>, Stopped> {
        let payment = Payment::deposit(reference.clone());
        let (entity, user, before) = self
            .of_payment(AccountType::User, user_id, &payment)
            .await?;
        let context = CommandContext::of(transaction);
        let moving = outside::deposit(&user, amount, payment.reference, before, &context)?;
        Ok(Done {
            transaction_id: context.transaction_id,
            event_id: moving.save(transaction, self.table, &entity)?,
            moving,
        })
    }

    /// Withdraws points from an account, once for each payment of the outside: available points from a user's, earned
    /// points from a model's.
    ///
    /// # Errors
    /// [`Refusal::UnknownUser`], what [`outside::withdraw`] refuses; [`Stopped::Failed`].
    pub async fn withdraw(
        &self,
        transaction: &mut Transaction,
        account_type: AccountType,
        member_id: &MemberId,
        amount: Points,
        reference: &ExternalReference,
    ) -> Result<Done<outside::Moving<Withdrawn>>, Stopped> {
        let payment = Payment::withdrawal(reference.clone());
        let (entity, holding, before) = self.of_payment(account_type, member_id, &payment).await?;
        let context = CommandContext::of(transaction);
        let moving = outside::withdraw(&holding, amount, payment.reference, before, &context)?;
        Ok(Done {
            transaction_id: context.transaction_id,
            event_id: moving.save(transaction, self.table, &entity)?,
            moving,
        })
    }

    /// Holds a user's points in a new escrow.
    ///
    /// # Errors
    /// [`Refusal::UnknownUser`], what [`escrow::hold`] refuses; [`Stopped::Failed`].
    pub async fn hold(
        &self,
        transaction: &mut Transaction,
        user_id: &MemberId,
        hold: HoldCommand,
    ) -> Result<Done<escrow::Moving<EscrowHeld>>, Stopped> {
        let escrow_id: EscrowId = transaction.uuid().into();
        let ((entity, user), escrow) =
            futures::try_join!(self.of_member(AccountType::User, user_id), async {
                Ok(self.escrow(escrow_id).await?)
            },)?;
        let hold = Hold {
            escrow_id,
            amount: hold.amount,
            reason: hold.reason,
            queue_item_id: hold.queue_item_id,
            feature_type: hold.feature_type,
            request_id: hold.request_id,
        };
        let context = CommandContext::of(transaction);
        let moving = escrow::hold(&user, hold, escrow.next_version()?, &context)?;
        let read = Read {
            escrow: &escrow,
            user: &entity,
            model: None,
        };
        self.save(transaction, moving, read, &context)
    }

    /// Settles an escrow: all held points become the model's earnings.
    ///
    /// # Errors
    /// [`Refusal::UnknownEscrow`], [`Refusal::UnknownModel`], what [`escrow::settle`] refuses; [`Stopped::Failed`].
    pub async fn settle(
        &self,
        transaction: &mut Transaction,
        escrow_id: EscrowId,
        model_id: &MemberId,
    ) -> Result<Done<escrow::Moving<EscrowSettled>>, Stopped> {
        let read = self.ending(escrow_id, model_id).await?;
        let (user, model) = read.holdings()?;
        let context = CommandContext::of(transaction);
        let moving = escrow::settle(&read.held()?, &user, &model, &context)?;
        self.save(transaction, moving, read.read(), &context)
    }

    /// Refunds an escrow: all held points go back to the user.
    ///
    /// # Errors
    /// [`Refusal::UnknownEscrow`], what [`escrow::refund`] refuses; [`Stopped::Failed`].
    pub async fn refund(
        &self,
        transaction: &mut Transaction,
        escrow_id: EscrowId,
    ) -> Result<Done<escrow::Moving<EscrowRefunded>>, Stopped> {
        let escrow = self.escrow(escrow_id).await?;
        let held = Held::of(&escrow)?.ok_or(Refusal::UnknownEscrow { escrow_id })?;
        let user_id = held.escrow.user_id();
        let user = self.account(AccountType::User, user_id).await?;
        let context = CommandContext::of(transaction);
        let holding = Holding::of(AccountType::User, user_id.clone(), &user)?;
        let moving = escrow::refund(&held, &holding, &context)?;
        let read = Read {
            escrow: &escrow,
            user: &user,
            model: None,
        };
        self.save(transaction, moving, read, &context)
    }

    /// Divides the held points between the user and a model.
    ///
    /// # Errors
    /// [`Refusal::UnknownEscrow`], [`Refusal::UnknownModel`], what [`escrow::partial_settle`] refuses; [`Stopped::Failed`].
    pub async fn partial_settle(
        &self,
        transaction: &mut Transaction,
        escrow_id: EscrowId,
        model_id: &MemberId,
        parts: Parts,
    ) -> Result<Done<escrow::Moving<EscrowPartialSettled>>, Stopped> {
        let read = self.ending(escrow_id, model_id).await?;
        let (user, model) = read.holdings()?;
        let context = CommandContext::of(transaction);
        let moving = escrow::partial_settle(&read.held()?, &user, &model, parts, &context)?;
        self.save(transaction, moving, read.read(), &context)
    }

    /// Loads an escrow that a model is to earn from, and both accounts.
    async fn ending(&self, escrow_id: EscrowId, model_id: &MemberId) -> Result<Ending, Stopped> {
        let (known, escrow) =
            futures::try_join!(self.members.is_member(model_id), self.escrow(escrow_id))?;
        let state = escrow.state().ok_or(Refusal::UnknownEscrow { escrow_id })?;
        if !known {
            let model_id = model_id.clone();
            return Err(Refusal::UnknownModel { model_id }.into());
        }
        let user_id = state.user_id().clone();
        let (user, model) = self
            .outbox
            .load_pair(
                self.table,
                &AccountType::User.account(&user_id),
                &AccountType::Model.account(model_id),
            )
            .await?;
        Ok(Ending {
            escrow_id,
            escrow,
            user_id,
            user,
            model_id: model_id.clone(),
            model,
        })
    }
}

/// The loaded state on which the end of an escrow is decided.
struct Ending {
    escrow_id: EscrowId,
    escrow: Entity<Escrow>,
    user_id: MemberId,
    user: Entity<Account>,
    model_id: MemberId,
    model: Entity<Account>,
}

impl Ending {
    fn held(&self) -> Result<Held<'_>, Stopped> {
        let escrow_id = self.escrow_id;
        let held = Held::of(&self.escrow)?;
        Ok(held.ok_or(Refusal::UnknownEscrow { escrow_id })?)
    }

    fn holdings(&self) -> Result<(Holding, Holding), Stopped> {
        let user = Holding::of(AccountType::User, self.user_id.clone(), &self.user)?;
        let model = Holding::of(AccountType::Model, self.model_id.clone(), &self.model)?;
        Ok((user, model))
    }

    fn read(&self) -> Read<'_> {
        Read {
            escrow: &self.escrow,
            user: &self.user,
            model: Some(&self.model),
        }
    }
}
