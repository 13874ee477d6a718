//! A payment: authorized, captured, refunded in part or whole.

mod rebuild;

use events::{
    Contract, Draft, DraftError, Money, PaymentId, Sequence, Text, Timestamp,
    contracts::payment::{Created, Currency, PaymentStatus, Refunded, StatusChanged},
};
use outbox::{BuildError, Entity, State, Transaction};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Refusal, fact, machine::PAYMENT};

/// A payment. Its fields change in [`Course`] alone, where every change makes its event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Payment {
    /// Which.
    payment_id: PaymentId,
    /// How much.
    amount: Money,
    /// Of what.
    currency: Currency,
    /// How far it is.
    status: PaymentStatus,
    /// How much went back; never more than the amount.
    refunded: Money,
    /// In how many refunds.
    refunds: u64,
    /// Why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<Text<500>>,
    /// Since when it is.
    created_at: Timestamp,
    /// When it changed last.
    updated_at: Timestamp,
}

impl State for Payment {
    const AGGREGATE: &'static str = Created::AGGREGATE;
}

impl Payment {
    /// Which.
    #[must_use]
    pub fn payment_id(&self) -> PaymentId {
        self.payment_id
    }

    /// How much.
    #[must_use]
    pub fn amount(&self) -> Money {
        self.amount
    }

    /// Of what.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// How far it is.
    #[must_use]
    pub fn status(&self) -> PaymentStatus {
        self.status
    }

    /// How much went back.
    #[must_use]
    pub fn refunded(&self) -> Money {
        self.refunded
    }
}

/// What happened to a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The first transition.
    Created(Created),
    /// Every other transition.
    StatusChanged(StatusChanged),
    /// Money that went back.
    Refunded(Refunded),
}

impl Event {
    /// Whether it tells of a transition.
    #[must_use]
    pub fn is_transition(&self) -> bool {
        !matches!(self, Self::Refunded(_))
    }

    /// The draft, named as the one fact that it is: no status is reached twice, and refunds are numbered.
    ///
    /// # Errors
    /// [`DraftError`] when it does not serialise.
    pub fn draft(&self) -> Result<Draft, DraftError> {
        fn named<C: Contract>(
            event: &C,
            id: PaymentId,
            what: impl std::fmt::Display,
        ) -> Result<Draft, DraftError> {
            Ok(Draft::of(event)?.with_idempotency_key(fact("payment", id, what)?))
        }
        match self {
            Self::Created(event) => named(event, event.payment_id, "created"),
            Self::StatusChanged(event) => named(event, event.payment_id, event.to_status),
            Self::Refunded(event) => {
                named(event, event.payment_id, format!("refund/{}", event.refund))
            }
        }
    }
}

/// A payment under decision: its state so far, and the events that tell how it came there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Course {
    state: Payment,
    events: Vec<Event>,
    version: Sequence,
}

impl Course {
    /// Begins with a new payment; `version` is the one it has after the write.
    ///
    /// # Errors
    /// [`Refusal::AmountNotPositive`].
    pub fn create(
        payment_id: PaymentId,
        amount: Money,
        currency: Currency,
        version: Sequence,
        now: Timestamp,
    ) -> Result<Self, Refusal> {
        if amount.is_zero() {
            return Err(Refusal::AmountNotPositive);
        }
        let state = Payment {
            payment_id,
            amount,
            currency,
            status: PaymentStatus::Created,
            refunded: Money::ZERO,
            refunds: 0,
            error: None,
            created_at: now,
            updated_at: now,
        };
        let created = Event::Created(Created {
            payment_id,
            amount,
            currency,
            version,
        });
        Ok(Self {
            state,
            events: vec![created],
            version,
        })
    }

    /// Goes on with a payment that was read; `version` is the one it has after the write.
    #[must_use]
    pub fn of(payment: &Payment, version: Sequence, now: Timestamp) -> Self {
        let mut state = payment.clone();
        // A clock may stand behind the one that wrote it last.
        state.updated_at = now.max(state.updated_at);
        Self {
            state,
            events: Vec::new(),
            version,
        }
    }

    /// The payment after the steps so far.
    #[must_use]
    pub fn state(&self) -> &Payment {
        &self.state
    }

    /// What happened in them.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The one place where a status changes: the table is asked, and the transition's event made.
    fn enter(mut self, to: PaymentStatus) -> Result<Self, Refusal> {
        let from = self.state.status;
        PAYMENT.check(from, to)?;
        self.state.status = to;
        self.events.push(Event::StatusChanged(StatusChanged {
            payment_id: self.state.payment_id,
            from_status: from,
            to_status: to,
            error: self.state.error.clone(),
            version: self.version,
        }));
        Ok(self)
    }

    /// Notes that the payer agreed.
    ///
    /// # Errors
    /// [`Refusal::IllegalTransition`].
    pub fn authorize(self) -> Result<Self, Refusal> {
        self.enter(PaymentStatus::Authorized)
    }

    /// Notes that the money is there, all of it.
    ///
    /// # Errors
    /// [`Refusal::IllegalTransition`].
    pub fn capture(self) -> Result<Self, Refusal> {
        self.enter(PaymentStatus::Captured)
    }

    /// Calls it off.
    ///
    /// # Errors
    /// [`Refusal::IllegalTransition`].
    pub fn cancel(self) -> Result<Self, Refusal> {
        self.enter(PaymentStatus::Cancelled)
    }

    /// Ends it badly.
    ///
    /// # Errors
    /// [`Refusal::IllegalTransition`].
    pub fn fail(mut self, error: Text<500>) -> Result<Self, Refusal> {
        self.state.error = Some(error);
        self.enter(PaymentStatus::Failed)
    }

    /// Gives money back. The first part makes it `partially_refunded`, the last `refunded`; a further part changes no
    /// status.
    ///
    /// # Errors
    /// [`Refusal::AmountNotPositive`], [`Refusal::IllegalTransition`], [`Refusal::RefundTooLarge`].
    pub fn refund(mut self, amount: Money) -> Result<Self, Refusal> {
        if amount.is_zero() {
            return Err(Refusal::AmountNotPositive);
        }
        let status = self.state.status;
        // Never below zero: the rule itself keeps it so.
        let refundable = self.state.amount.minus(self.state.refunded);
        let refundable = refundable.unwrap_or(Money::ZERO);
        let to = if amount < refundable {
            PaymentStatus::PartiallyRefunded
        } else {
            PaymentStatus::Refunded
        };
        if !matches!(
            status,
            PaymentStatus::Captured | PaymentStatus::PartiallyRefunded
        ) {
            return Err(PAYMENT.refused(status, to).into());
        }
        let too_large = || Refusal::RefundTooLarge {
            refundable,
            requested: amount,
        };
        refundable.minus(amount).map_err(|_| too_large())?;
        let refunded = self.state.refunded.plus(amount);
        self.state.refunded = refunded.map_err(|_| too_large())?;
        // A refund takes a cent at least of what 15 digits hold: the numbers never run out.
        let refund = Sequence::new(self.state.refunds + 1).map_err(|_| too_large())?;
        self.state.refunds = refund.number();
        self.events.push(Event::Refunded(Refunded {
            payment_id: self.state.payment_id,
            refund,
            refund_amount: amount,
            refunded_total: self.state.refunded,
            currency: self.state.currency,
            version: self.version,
        }));
        if to == status {
            return Ok(self);
        }
        self.enter(to)
    }

    /// Puts the payment and its events into a transaction.
    ///
    /// # Errors
    /// [`BuildError`] when the entity is another payment's.
    pub fn save(
        &self,
        transaction: &mut Transaction,
        entity: &Entity<Payment>,
    ) -> Result<(), BuildError> {
        let drafts: Result<Vec<Draft>, DraftError> = self.events.iter().map(Event::draft).collect();
        transaction.update(entity, &self.state, drafts?)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests;
