//! The operations on loans: load, decide, save. The API, the servicing, Flow and every other caller run these. The
//! caller provides the transaction, and commits it if the operation succeeds.
//!
//! Every operation reads all its input itself, each time it runs. So when a decision is repeated after a conflict, it
//! is based on fresh reads.

use async_trait::async_trait;
use events::{DrawId, LoanId, MemberId};
use outbox::{Entity, Error, Outbox, Table, Transaction};

use crate::{
    Loan, Refusal,
    draw::Draw,
    loan::{Create, LoanChange},
    schedule::{Schedule, plan},
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

/// The loan operations and what they need.
#[derive(Debug, Clone, Copy)]
pub struct Loans<'a> {
    /// Loads the state that decisions are based on.
    pub outbox: &'a Outbox,
    /// The domain's table.
    pub table: &'a Table,
}

impl Loans<'_> {
    /// The loan; the entity is empty if there is none.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn loan(&self, id: LoanId) -> Result<Entity<Loan>, Error> {
        self.outbox.load(self.table, &id.to_string()).await
    }

    /// Creates a loan under a new id.
    ///
    /// # Errors
    /// [`Refusal::UnknownBorrower`], [`Refusal::IdTaken`], what [`LoanChange::create`] refuses; [`Stopped::Failed`].
    pub async fn create(
        &self,
        transaction: &mut Transaction,
        members: &impl Members,
        create: Create,
    ) -> Result<LoanChange, Stopped> {
        let (known, entity) = futures::try_join!(
            members.is_member(&create.borrower_id),
            self.loan(create.loan_id)
        )?;
        if !known {
            let member_id = create.borrower_id;
            return Err(Refusal::UnknownBorrower { member_id }.into());
        }
        if entity.state().is_some() {
            return Err(Refusal::IdTaken.into());
        }
        let change = LoanChange::create(create, entity.next_version()?, transaction.now())?;
        change.save(transaction, self.table, &entity)?;
        Ok(change)
    }

    /// Applies a step to an existing loan.
    ///
    /// # Errors
    /// [`Refusal::UnknownLoan`], what the step refuses; [`Stopped::Failed`].
    pub async fn step(
        &self,
        transaction: &mut Transaction,
        loan_id: LoanId,
        step: impl FnOnce(LoanChange) -> Result<LoanChange, Refusal>,
    ) -> Result<LoanChange, Stopped> {
        let entity = self.loan(loan_id).await?;
        let loan = entity.state();
        let loan = loan.ok_or(Refusal::UnknownLoan { loan_id })?;
        let change = LoanChange::of(loan, entity.next_version()?, transaction.now());
        let change = step(change)?;
        change.save(transaction, self.table, &entity)?;
        Ok(change)
    }

    /// Decides on a draw.
    ///
    /// # Errors
    /// [`Refusal::UnknownLoan`], [`Refusal::UnknownDraw`], what the decision refuses; [`Stopped::Failed`].
    pub async fn decide(
        &self,
        transaction: &mut Transaction,
        loan_id: LoanId,
        draw_id: DrawId,
        decide: impl FnOnce(LoanChange, &Draw) -> Result<LoanChange, Refusal>,
    ) -> Result<LoanChange, Stopped> {
        // The loan is read first: a draw changes only together with its loan, whose version guards the commit.
        let entity = self.loan(loan_id).await?;
        let loan = entity.state();
        let loan = loan.ok_or(Refusal::UnknownLoan { loan_id })?;
        let key = Draw::key(self.table, loan_id, draw_id);
        let draw: Option<Draw> = self.outbox.row(&key).await?;
        let draw = draw.ok_or(Refusal::UnknownDraw { loan_id, draw_id })?;
        let change = LoanChange::of(loan, entity.next_version()?, transaction.now());
        let change = decide(change, &draw)?;
        change.save(transaction, self.table, &entity)?;
        Ok(change)
    }

    /// Plans a new schedule if the loan changed since its last schedule. `None` if there is nothing to plan: a schedule
    /// already covers every change, or the loan is not active.
    ///
    /// # Errors
    /// [`Refusal::UnknownLoan`], what [`plan`] refuses; [`Stopped::Failed`].
    pub async fn plan(
        &self,
        transaction: &mut Transaction,
        loan_id: LoanId,
    ) -> Result<Option<LoanChange>, Stopped> {
        let entity = self.loan(loan_id).await?;
        let loan = entity.state();
        let loan = loan.ok_or(Refusal::UnknownLoan { loan_id })?;
        if !loan.wants_schedule() {
            return Ok(None);
        }
        let before: Option<Schedule> = match loan.last_schedule() {
            Some(last) => {
                let key = Schedule::key(self.table, loan_id, last);
                let row: Option<Schedule> = self.outbox.row(&key).await?;
                Some(row.ok_or(Refusal::ScheduleMissing { revision: last })?)
            }
            None => None,
        };
        let now = transaction.now();
        let schedule = plan(loan, before.as_ref(), transaction.uuid().into(), now)?;
        let change = LoanChange::of(loan, entity.next_version()?, now).planned(schedule)?;
        change.save(transaction, self.table, &entity)?;
        Ok(Some(change))
    }
}
