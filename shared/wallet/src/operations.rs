//! What is done with wallets: load, decide, save. The API, Flow and every other caller run these; a caller brings the
//! transaction, and commits it where an operation succeeds.
//!
//! Everything an operation rests on is read inside it, every time: a decision that is made again after a conflict reads anew.

use async_trait::async_trait;
use events::{
    Contract, EscrowId, EventId, MemberId, Points, Text, TransactionId,
    contracts::wallet::{
        AccountType, Deposited, EscrowHeld, EscrowPartialSettled, EscrowRefunded, EscrowSettled,
        Withdrawn,
    },
};
use outbox::{Entity, Error, Outbox, Table, Transaction};

use crate::{
    Account, Escrow, HoldReason, Holding, Moment, Refusal,
    escrow::{self, Held, Hold, Parts, Read},
    outside,
};

/// Who is a member. Another domain knows: the caller's composition asks it.
#[async_trait]
pub trait Members: Send + Sync {
    /// Whether there is such a member. Members are never deleted: whoever is there stays there.
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

/// A movement that stands in the transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done<M> {
    /// The movement.
    pub transaction_id: TransactionId,
    /// The event that tells of the whole.
    pub event_id: EventId,
    /// What was decided.
    pub moving: M,
}

/// What is to be held, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// How many points.
    pub amount: Points,
    /// What for.
    pub reason: HoldReason,
    /// What is asked for.
    pub queue_item_id: Text<128>,
    /// The feature it is asked for by.
    pub feature_type: Text<64>,
    /// The caller's own id of the request.
    pub request_id: Text<128>,
}

/// What operations work on.
#[derive(Debug, Clone, Copy)]
pub struct Wallets<'a, M> {
    /// Reads what is decided on.
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

    /// The escrow; empty where there is none.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn escrow(&self, id: EscrowId) -> Result<Entity<Escrow>, Error> {
        self.outbox.load(self.table, &id.to_string()).await
    }

    /// An account of a member.
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
        moment: &Moment,
    ) -> Result<Done<escrow::Moving<E>>, Stopped> {
        Ok(Done {
            transaction_id: moment.transaction_id,
            event_id: moving.save(transaction, self.table, read)?,
            moving,
        })
    }

    /// Brings points into a user's account.
    ///
    /// # Errors
    /// [`Refusal::UnknownUser`], what [`outside::deposit`] refuses; [`Stopped::Failed`].
    pub async fn deposit(
        &self,
        transaction: &mut Transaction,
        user_id: &MemberId,
        amount: Points,
    ) -> Result<Done<outside::Moving<Deposited>>, Stopped> {
        let (entity, user) = self.of_member(AccountType::User, user_id).await?;
        let moment = Moment::of(transaction);
        let moving = outside::deposit(&user, amount, &moment)?;
        Ok(Done {
            transaction_id: moment.transaction_id,
            event_id: moving.save(transaction, self.table, &entity)?,
            moving,
        })
    }

    /// Takes points out of an account: a user's available ones, a model's earned ones.
    ///
    /// # Errors
    /// [`Refusal::UnknownUser`], what [`outside::withdraw`] refuses; [`Stopped::Failed`].
    pub async fn withdraw(
        &self,
        transaction: &mut Transaction,
        account_type: AccountType,
        member_id: &MemberId,
        amount: Points,
    ) -> Result<Done<outside::Moving<Withdrawn>>, Stopped> {
        let (entity, holding) = self.of_member(account_type, member_id).await?;
        let moment = Moment::of(transaction);
        let moving = outside::withdraw(&holding, amount, &moment)?;
        Ok(Done {
            transaction_id: moment.transaction_id,
            event_id: moving.save(transaction, self.table, &entity)?,
            moving,
        })
    }

    /// Holds points of a user in a new escrow.
    ///
    /// # Errors
    /// [`Refusal::UnknownUser`], what [`escrow::hold`] refuses; [`Stopped::Failed`].
    pub async fn hold(
        &self,
        transaction: &mut Transaction,
        user_id: &MemberId,
        asked: Asked,
    ) -> Result<Done<escrow::Moving<EscrowHeld>>, Stopped> {
        let escrow_id: EscrowId = transaction.uuid().into();
        let ((entity, user), escrow) =
            futures::try_join!(self.of_member(AccountType::User, user_id), async {
                Ok(self.escrow(escrow_id).await?)
            },)?;
        let hold = Hold {
            escrow_id,
            amount: asked.amount,
            reason: asked.reason,
            queue_item_id: asked.queue_item_id,
            feature_type: asked.feature_type,
            request_id: asked.request_id,
        };
        let moment = Moment::of(transaction);
        let moving = escrow::hold(&user, hold, escrow.next_version()?, &moment)?;
        let read = Read {
            escrow: &escrow,
            user: &entity,
            model: None,
        };
        self.save(transaction, moving, read, &moment)
    }

    /// Makes all that is held a model's earnings.
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
        let moment = Moment::of(transaction);
        let moving = escrow::settle(&read.held()?, &user, &model, &moment)?;
        self.save(transaction, moving, read.read(), &moment)
    }

    /// Gives all that is held back to its user.
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
        let moment = Moment::of(transaction);
        let holding = Holding::of(AccountType::User, user_id.clone(), &user)?;
        let moving = escrow::refund(&held, &holding, &moment)?;
        let read = Read {
            escrow: &escrow,
            user: &user,
            model: None,
        };
        self.save(transaction, moving, read, &moment)
    }

    /// Divides what is held between its user and a model.
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
        let moment = Moment::of(transaction);
        let moving = escrow::partial_settle(&read.held()?, &user, &model, parts, &moment)?;
        self.save(transaction, moving, read.read(), &moment)
    }

    /// Reads an escrow that a model is to earn of, with both accounts.
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

/// What the end of an escrow is decided on.
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
