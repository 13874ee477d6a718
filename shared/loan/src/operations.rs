//! What is done with loans: load, decide, save. The API, the servicing, Flow and every other caller run these; a caller brings the
//! transaction, and commits it where an operation succeeds.
//!
//! Everything an operation rests on is read inside it, every time: a decision that is made again after a conflict reads anew.

use async_trait::async_trait;
use events::{DrawId, LoanId, MemberId};
use outbox::{Entity, Error, Outbox, Table, Transaction};

use crate::{
    Loan, Refusal,
    draw::Draw,
    loan::{Course, Create},
    schedule::{Schedule, plan},
};

/// Who the members are. Another domain knows: the caller's composition asks it.
#[async_trait]
pub trait Members: Send + Sync {
    /// Whether there is such a member. Members are never deleted.
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

/// What operations work on.
#[derive(Debug, Clone, Copy)]
pub struct Loans<'a> {
    /// Reads what is decided on.
    pub outbox: &'a Outbox,
    /// The domain's table.
    pub table: &'a Table,
}

impl Loans<'_> {
    /// The loan; empty where there is none.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn loan(&self, id: LoanId) -> Result<Entity<Loan>, Error> {
        self.outbox.load(self.table, &id.to_string()).await
    }

    /// Agrees on a loan under a new id.
    ///
    /// # Errors
    /// [`Refusal::UnknownBorrower`], [`Refusal::IdTaken`], what [`Course::create`] refuses; [`Stopped::Failed`].
    pub async fn create(
        &self,
        transaction: &mut Transaction,
        members: &impl Members,
        create: Create,
    ) -> Result<Course, Stopped> {
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
        let course = Course::create(create, entity.next_version()?, transaction.now())?;
        course.save(transaction, self.table, &entity)?;
        Ok(course)
    }

    /// A step of a loan that is there.
    ///
    /// # Errors
    /// [`Refusal::UnknownLoan`], what the step refuses; [`Stopped::Failed`].
    pub async fn step(
        &self,
        transaction: &mut Transaction,
        loan_id: LoanId,
        step: impl FnOnce(Course) -> Result<Course, Refusal>,
    ) -> Result<Course, Stopped> {
        let entity = self.loan(loan_id).await?;
        let loan = entity.state();
        let loan = loan.ok_or(Refusal::UnknownLoan { loan_id })?;
        let course = Course::of(loan, entity.next_version()?, transaction.now());
        let course = step(course)?;
        course.save(transaction, self.table, &entity)?;
        Ok(course)
    }

    /// A decision on a draw.
    ///
    /// # Errors
    /// [`Refusal::UnknownLoan`], [`Refusal::UnknownDraw`], what the decision refuses; [`Stopped::Failed`].
    pub async fn decide(
        &self,
        transaction: &mut Transaction,
        loan_id: LoanId,
        draw_id: DrawId,
        decide: impl FnOnce(Course, &Draw) -> Result<Course, Refusal>,
    ) -> Result<Course, Stopped> {
        // The loan first: a draw changes only together with it.
        let entity = self.loan(loan_id).await?;
        let loan = entity.state();
        let loan = loan.ok_or(Refusal::UnknownLoan { loan_id })?;
        let key = Draw::key(self.table, loan_id, draw_id);
        let draw: Option<Draw> = self.outbox.row(&key).await?;
        let draw = draw.ok_or(Refusal::UnknownDraw { loan_id, draw_id })?;
        let course = Course::of(loan, entity.next_version()?, transaction.now());
        let course = decide(course, &draw)?;
        course.save(transaction, self.table, &entity)?;
        Ok(course)
    }

    /// Plans anew how a loan is paid back, where that was changed since its last schedule. `None`: there is nothing to plan, because
    /// a schedule answers for every change already, or the loan is not active.
    ///
    /// # Errors
    /// [`Refusal::UnknownLoan`], what [`plan`] refuses; [`Stopped::Failed`].
    pub async fn plan(
        &self,
        transaction: &mut Transaction,
        loan_id: LoanId,
    ) -> Result<Option<Course>, Stopped> {
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
        let course = Course::of(loan, entity.next_version()?, now).planned(schedule)?;
        course.save(transaction, self.table, &entity)?;
        Ok(Some(course))
    }
}
