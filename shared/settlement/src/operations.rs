//! What is done with payments and settlements: load, decide, save. The API, Flow and every other caller run these; a caller
//! brings the transaction, and commits it where an operation succeeds.
//!
//! Everything an operation rests on is read inside it, every time: a decision that is made again after a conflict reads anew.

use events::{Money, PaymentId, SettlementId, contracts::payment::Currency};
use outbox::{Entity, Error, Outbox, Table, Transaction};

use crate::{
    Payment, Refusal, payment,
    selection::{Candidate, Candidates, Weights},
    settlement::{self, Row},
};

/// Why an operation wrote nothing.
pub type Stopped = domain::Stopped<Refusal>;

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Settle money of a payment over the best of some networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settle {
    /// A new id.
    pub settlement_id: SettlementId,
    /// Whose money.
    pub payment_id: PaymentId,
    /// How much.
    pub amount: Money,
    /// The networks to choose from.
    pub networks: Vec<Candidate>,
}

/// What operations work on.
#[derive(Debug, Clone, Copy)]
pub struct Settlements<'a> {
    /// Reads what is decided on.
    pub outbox: &'a Outbox,
    /// The domain's table.
    pub table: &'a Table,
    /// By what a network is selected.
    pub weights: &'a Weights,
}

impl Settlements<'_> {
    /// The payment; empty where there is none.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn payment(&self, id: PaymentId) -> Result<Entity<Payment>, Error> {
        self.outbox.load(self.table, &id.to_string()).await
    }

    /// The settlement; empty where there is none.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn settlement(&self, id: SettlementId) -> Result<Entity<Row>, Error> {
        self.outbox.load(self.table, &id.to_string()).await
    }

    /// Asks for a payment under a new id.
    ///
    /// # Errors
    /// [`Refusal::IdTaken`], what [`payment::Course::create`] refuses; [`Stopped::Failed`].
    pub async fn create_payment(
        &self,
        transaction: &mut Transaction,
        payment_id: PaymentId,
        amount: Money,
        currency: Currency,
    ) -> Result<payment::Course, Stopped> {
        let entity = self.payment(payment_id).await?;
        if entity.state().is_some() {
            return Err(Refusal::IdTaken.into());
        }
        let (version, now) = (entity.next_version()?, transaction.now());
        let course = payment::Course::create(payment_id, amount, currency, version, now)?;
        course.save(transaction, &entity)?;
        Ok(course)
    }

    /// A step of a payment that is there.
    ///
    /// # Errors
    /// [`Refusal::UnknownPayment`], what the step refuses; [`Stopped::Failed`].
    pub async fn step_payment(
        &self,
        transaction: &mut Transaction,
        payment_id: PaymentId,
        step: impl FnOnce(payment::Course) -> Result<payment::Course, Refusal>,
    ) -> Result<payment::Course, Stopped> {
        let entity = self.payment(payment_id).await?;
        let payment = entity.state();
        let payment = payment.ok_or(Refusal::UnknownPayment { payment_id })?;
        let version = entity.next_version()?;
        let course = step(payment::Course::of(payment, version, transaction.now()))?;
        course.save(transaction, &entity)?;
        Ok(course)
    }

    /// Begins a settlement under a new id and selects its network.
    ///
    /// # Errors
    /// [`Refusal::UnknownPaymentNamed`], [`Refusal::IdTaken`], [`Refusal::Networks`], what
    /// [`settlement::Course::create`] refuses; [`Stopped::Failed`].
    pub async fn create(
        &self,
        transaction: &mut Transaction,
        settle: Settle,
    ) -> Result<settlement::Course, Stopped> {
        let (settlement_id, payment_id) = (settle.settlement_id, settle.payment_id);
        // A payment is never deleted, its currency never changes: what was read stays true.
        let (payment, entity) =
            futures::try_join!(self.payment(payment_id), self.settlement(settlement_id))?;
        let payment = payment.state();
        let payment = payment.ok_or(Refusal::UnknownPaymentNamed { payment_id })?;
        if entity.state().is_some() {
            return Err(Refusal::IdTaken.into());
        }
        let create = settlement::Create {
            settlement_id,
            payment_id,
            amount: settle.amount,
            currency: payment.currency(),
        };
        let (version, now) = (entity.next_version()?, transaction.now());
        let candidates = Candidates::new(settle.networks)?;
        let course = settlement::Course::create(create, version, now)?;
        let course = course.choose(&candidates, self.weights)?;
        course.save(transaction, &entity)?;
        Ok(course)
    }

    /// A step of a settlement that is there.
    ///
    /// # Errors
    /// [`Refusal::UnknownSettlement`], what the step refuses; [`Stopped::Failed`].
    pub async fn step(
        &self,
        transaction: &mut Transaction,
        settlement_id: SettlementId,
        step: impl FnOnce(settlement::Course) -> Result<settlement::Course, Refusal>,
    ) -> Result<settlement::Course, Stopped> {
        let entity = self.settlement(settlement_id).await?;
        let row = entity.state();
        let row = row.ok_or(Refusal::UnknownSettlement { settlement_id })?;
        let version = entity.next_version()?;
        let course = settlement::Course::of(row.settlement(), version, transaction.now());
        let course = step(course)?;
        course.save(transaction, &entity)?;
        Ok(course)
    }
}
