//! The operations on payments and settlements: load, decide, save. The API, Flow and every other caller run these. The
//! caller provides the transaction, and commits it if the operation succeeds.
//!
//! Every operation reads all its input itself, each time it runs. So when a decision is repeated after a conflict, it
//! is based on fresh reads.

use events::{Money, PaymentId, SettlementId, contracts::payment::Currency};
use outbox::{Entity, Error, Outbox, Table, Transaction};

use crate::{
    Payment, Refusal, payment,
    selection::{Candidate, Candidates, Weights},
    settlement::{self, SettlementRow},
};

/// Why an operation wrote nothing.
pub type Stopped = domain::Stopped<Refusal>;

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A request to settle money of a payment over the best of several networks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settle {
    /// The new settlement's id.
    pub settlement_id: SettlementId,
    /// The payment whose money is settled.
    pub payment_id: PaymentId,
    /// The amount to settle.
    pub amount: Money,
    /// The currency in which the caller states the amount; `None`: the payment's.
    pub currency: Option<Currency>,
    /// The networks to choose from.
    pub networks: Vec<Candidate>,
}

/// The settlement operations and what they need.
#[derive(Debug, Clone, Copy)]
pub struct Settlements<'a> {
    /// Loads the state that decisions are based on.
    pub outbox: &'a Outbox,
    /// The domain's table.
    pub table: &'a Table,
    /// The weights by which a network is selected.
    pub weights: &'a Weights,
}

impl Settlements<'_> {
    /// The payment; the entity is empty if there is none.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn payment(&self, id: PaymentId) -> Result<Entity<Payment>, Error> {
        self.outbox.load(self.table, &id.to_string()).await
    }

    /// The settlement; the entity is empty if there is none.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn settlement(&self, id: SettlementId) -> Result<Entity<SettlementRow>, Error> {
        self.outbox.load(self.table, &id.to_string()).await
    }

    /// Creates a payment under a new id.
    ///
    /// # Errors
    /// [`Refusal::IdTaken`], what [`payment::PaymentChange::create`] refuses; [`Stopped::Failed`].
    pub async fn create_payment(
        &self,
        transaction: &mut Transaction,
        create: payment::Create,
    ) -> Result<payment::PaymentChange, Stopped> {
        let entity = self.payment(create.payment_id).await?;
        if entity.state().is_some() {
            return Err(Refusal::IdTaken.into());
        }
        let (version, now) = (entity.next_version()?, transaction.now());
        let change = payment::PaymentChange::create(create, version, now)?;
        change.save(transaction, &entity)?;
        Ok(change)
    }

    /// Applies a step to an existing payment.
    ///
    /// # Errors
    /// [`Refusal::UnknownPayment`], what the step refuses; [`Stopped::Failed`].
    pub async fn step_payment(
        &self,
        transaction: &mut Transaction,
        payment_id: PaymentId,
        step: impl FnOnce(payment::PaymentChange) -> Result<payment::PaymentChange, Refusal>,
    ) -> Result<payment::PaymentChange, Stopped> {
        let entity = self.payment(payment_id).await?;
        let payment = entity.state();
        let payment = payment.ok_or(Refusal::UnknownPayment { payment_id })?;
        let version = entity.next_version()?;
        let change = step(payment::PaymentChange::of(
            payment,
            version,
            transaction.now(),
        ))?;
        change.save(transaction, &entity)?;
        Ok(change)
    }

    /// Creates a settlement under a new id, selects its network, and allocates its amount in the payment. The payment's
    /// version is a condition of the write, so of several settlements at once no two count on the same money.
    ///
    /// # Errors
    /// [`Refusal::UnknownPaymentNamed`], [`Refusal::IdTaken`], [`Refusal::Networks`], what
    /// [`payment::PaymentChange::allocate`] and [`settlement::SettlementChange::create`] refuse; [`Stopped::Failed`].
    pub async fn create(
        &self,
        transaction: &mut Transaction,
        settle: Settle,
    ) -> Result<settlement::SettlementChange, Stopped> {
        let (settlement_id, payment_id) = (settle.settlement_id, settle.payment_id);
        let (payment_entity, entity) =
            futures::try_join!(self.payment(payment_id), self.settlement(settlement_id))?;
        let payment = payment_entity.state();
        let payment = payment.ok_or(Refusal::UnknownPaymentNamed { payment_id })?;
        if entity.state().is_some() {
            return Err(Refusal::IdTaken.into());
        }
        let currency = settle.currency.unwrap_or(payment.currency());
        let payment_version = payment_entity.next_version()?;
        let create = settlement::Create {
            settlement_id,
            payment_id,
            amount: settle.amount,
            currency,
            payment_version,
        };
        let (version, now) = (entity.next_version()?, transaction.now());
        let candidates = Candidates::new(settle.networks)?;
        let change = settlement::SettlementChange::create(create, version, now)?;
        let change = change.choose(&candidates, self.weights)?;
        let taken = payment::Allocation {
            settlement_id,
            amount: settle.amount,
            currency,
        };
        let paying = payment::PaymentChange::of(payment, payment_version, now).allocate(taken)?;
        paying.save(transaction, &payment_entity)?;
        change.save(transaction, &entity)?;
        Ok(change)
    }

    /// Applies a step to an existing settlement. If the settlement fails in it, its payment gets the amount back in the
    /// same write.
    ///
    /// # Errors
    /// [`Refusal::UnknownSettlement`], what the step refuses; [`Stopped::Failed`].
    pub async fn step(
        &self,
        transaction: &mut Transaction,
        settlement_id: SettlementId,
        step: impl FnOnce(settlement::SettlementChange) -> Result<settlement::SettlementChange, Refusal>,
    ) -> Result<settlement::SettlementChange, Stopped> {
        let entity = self.settlement(settlement_id).await?;
        let row = entity.state();
        let row = row.ok_or(Refusal::UnknownSettlement { settlement_id })?;
        let version = entity.next_version()?;
        let change = settlement::SettlementChange::of(row.settlement(), version, transaction.now());
        let change = step(change)?;
        if let Some(allocation) = change.gives_back() {
            let payment_id = row.settlement().payment_id();
            let release = |payment: payment::PaymentChange| payment.release(allocation);
            self.step_payment(transaction, payment_id, release).await?;
        }
        change.save(transaction, &entity)?;
        Ok(change)
    }
}
