//! A payment: authorized, captured, and refunded in part or in full. It also counts the money that its settlements have:
//! what is allocated to them and what was refunded never add up to more than was captured.

mod rebuild;

use events::{
    Contract, Draft, DraftError, Money, PaymentId, Sequence, SettlementId, Text, Timestamp,
    contracts::payment::{
        Allocated, Created, Currency, PaymentStatus, Reference, Refunded, Released, StatusChanged,
    },
};
use outbox::{BuildError, Entity, State, Transaction};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Refusal, fact, machine::PAYMENT};

/// A payment. Only [`PaymentChange`] changes its fields, and it creates the event of every change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Payment {
    /// The payment's id.
    payment_id: PaymentId,
    /// The amount to pay.
    amount: Money,
    /// The currency of all its amounts.
    currency: Currency,
    /// What it is for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reference: Option<Reference>,
    /// The payment's status.
    status: PaymentStatus,
    /// The sum of all refunds; never more than the amount.
    refunded: Money,
    /// How many refunds were made.
    refunds: u64,
    /// The sum of the settlements that have not failed. Settlements from before payments counted them are not in it.
    #[serde(default)]
    allocated: Money,
    /// Why the payment failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<Text<500>>,
    /// When the payment was created.
    created_at: Timestamp,
    /// When the payment last changed.
    updated_at: Timestamp,
}

impl State for Payment {
    const AGGREGATE: &'static str = Created::AGGREGATE;
}

impl Payment {
    /// The payment's id.
    #[must_use]
    pub fn payment_id(&self) -> PaymentId {
        self.payment_id
    }

    /// The amount to pay.
    #[must_use]
    pub fn amount(&self) -> Money {
        self.amount
    }

    /// The currency of all its amounts.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// What it is for.
    #[must_use]
    pub fn reference(&self) -> Option<&Reference> {
        self.reference.as_ref()
    }

    /// When the payment last changed.
    #[must_use]
    pub fn updated_at(&self) -> Timestamp {
        self.updated_at
    }

    /// The payment's status.
    #[must_use]
    pub fn status(&self) -> PaymentStatus {
        self.status
    }

    /// The sum of all refunds.
    #[must_use]
    pub fn refunded(&self) -> Money {
        self.refunded
    }

    /// The sum of the settlements that have not failed.
    #[must_use]
    pub fn allocated(&self) -> Money {
        self.allocated
    }

    /// What can be refunded if no settlement has a part of it: the amount less all refunds.
    fn refundable(&self) -> Money {
        // Never below zero: `refund` keeps refunds within the amount.
        self.amount.minus(self.refunded).unwrap_or(Money::ZERO)
    }

    /// What is neither refunded nor allocated to a settlement.
    fn available(&self) -> Money {
        // Never below zero: `refund` and `allocate` keep both within the amount.
        let available = self.refundable().minus(self.allocated);
        available.unwrap_or(Money::ZERO)
    }
}

/// The part of a settlement that its payment counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Allocation {
    /// The settlement.
    pub settlement_id: SettlementId,
    /// The settlement's amount.
    pub amount: Money,
    /// The settlement's currency.
    pub currency: Currency,
}

/// An event of a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The first transition: the payment was created.
    Created(Created),
    /// Every other transition.
    StatusChanged(StatusChanged),
    /// Money was refunded.
    Refunded(Refunded),
    /// Money was allocated to a settlement.
    Allocated(Allocated),
    /// A settlement failed and gave its money back.
    Released(Released),
}

impl Event {
    /// Whether the event reports a transition.
    #[must_use]
    pub fn is_transition(&self) -> bool {
        matches!(self, Self::Created(_) | Self::StatusChanged(_))
    }

    /// The draft of the event. Its idempotency key names the fact: no status is reached twice, refunds are numbered,
    /// and a settlement gets its money once and gives it back at most once.
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
            Self::Allocated(event) => {
                let what = format!("allocated/{}", event.settlement_id);
                named(event, event.payment_id, what)
            }
            Self::Released(event) => {
                let what = format!("released/{}", event.settlement_id);
                named(event, event.payment_id, what)
            }
        }
    }
}

/// The command to create a payment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// The new payment's id.
    pub payment_id: PaymentId,
    /// The amount to pay.
    pub amount: Money,
    /// The currency of all its amounts.
    pub currency: Currency,
    /// What it is for.
    pub reference: Option<Reference>,
}

/// A payment under decision: its state so far, and the events of the steps taken so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PaymentChange {
    state: Payment,
    events: Vec<Event>,
    version: Sequence,
}

impl PaymentChange {
    /// Starts a new payment. `version` is the version after the write.
    ///
    /// # Errors
    /// [`Refusal::AmountNotPositive`].
    pub fn create(create: Create, version: Sequence, now: Timestamp) -> Result<Self, Refusal> {
        let Create {
            payment_id,
            amount,
            currency,
            reference,
        } = create;
        if amount.is_zero() {
            return Err(Refusal::AmountNotPositive);
        }
        let state = Payment {
            payment_id,
            amount,
            currency,
            reference: reference.clone(),
            status: PaymentStatus::Created,
            refunded: Money::ZERO,
            refunds: 0,
            allocated: Money::ZERO,
            error: None,
            created_at: now,
            updated_at: now,
        };
        let created = Event::Created(Created {
            payment_id,
            amount,
            currency,
            reference,
            version,
        });
        Ok(Self {
            state,
            events: vec![created],
            version,
        })
    }

    /// Continues with a payment that was loaded. `version` is the version after the write.
    #[must_use]
    pub fn of(payment: &Payment, version: Sequence, now: Timestamp) -> Self {
        let mut state = payment.clone();
        // This clock can be behind the clock that wrote the payment last.
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

    /// The events of the steps so far.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The only place where the status changes. It checks the transition table and creates the transition's event.
    fn enter(mut self, to: PaymentStatus) -> Result<Self, Refusal> {
        let from = self.state.status;
        PAYMENT.check(from, to)?;
        self.state.status = to;
        self.events.push(Event::StatusChanged(StatusChanged {
            payment_id: self.state.payment_id,
            from_status: from,
            to_status: to,
            error: self.state.error.clone(),
            amount: Some(self.state.amount),
            currency: Some(self.state.currency),
            reference: self.state.reference.clone(),
            version: self.version,
        }));
        Ok(self)
    }

    /// Records that the payer agreed.
    ///
    /// # Errors
    /// [`Refusal::IllegalTransition`].
    pub fn authorize(self) -> Result<Self, Refusal> {
        self.enter(PaymentStatus::Authorized)
    }

    /// Records that the full amount was received.
    ///
    /// # Errors
    /// [`Refusal::IllegalTransition`].
    pub fn capture(self) -> Result<Self, Refusal> {
        self.enter(PaymentStatus::Captured)
    }

    /// Cancels the payment.
    ///
    /// # Errors
    /// [`Refusal::IllegalTransition`].
    pub fn cancel(self) -> Result<Self, Refusal> {
        self.enter(PaymentStatus::Cancelled)
    }

    /// Fails the payment, with the reason.
    ///
    /// # Errors
    /// [`Refusal::IllegalTransition`].
    pub fn fail(mut self, error: Text<500>) -> Result<Self, Refusal> {
        self.state.error = Some(error);
        self.enter(PaymentStatus::Failed)
    }

    /// Refunds money. The first partial refund makes the payment `partially_refunded`, the last one `refunded`. A
    /// further partial refund does not change the status. Money that is allocated to a settlement is not refunded.
    ///
    /// # Errors
    /// [`Refusal::AmountNotPositive`], [`Refusal::IllegalTransition`], [`Refusal::RefundTooLarge`],
    /// [`Refusal::RefundOfAllocated`].
    pub fn refund(mut self, amount: Money) -> Result<Self, Refusal> {
        if amount.is_zero() {
            return Err(Refusal::AmountNotPositive);
        }
        let status = self.state.status;
        let refundable = self.state.refundable();
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
        let available = self.state.available();
        if amount > available {
            return Err(Refusal::RefundOfAllocated {
                refundable,
                allocated: self.state.allocated,
                available,
                requested: amount,
            });
        }
        let refunded = self.state.refunded.plus(amount);
        self.state.refunded = refunded.map_err(|_| too_large())?;
        // Each refund is at least a cent of an amount of at most 15 digits, so the numbers never run out.
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

    /// Allocates money to a new settlement.
    ///
    /// # Errors
    /// [`Refusal::AmountNotPositive`], [`Refusal::NotCaptured`], [`Refusal::OtherCurrency`],
    /// [`Refusal::SettlementTooLarge`].
    pub fn allocate(mut self, to: Allocation) -> Result<Self, Refusal> {
        if to.amount.is_zero() {
            return Err(Refusal::AmountNotPositive);
        }
        let state = &mut self.state;
        if !matches!(
            state.status,
            PaymentStatus::Captured | PaymentStatus::PartiallyRefunded
        ) {
            return Err(Refusal::NotCaptured {
                payment_id: state.payment_id,
                status: state.status,
            });
        }
        if to.currency != state.currency {
            return Err(Refusal::OtherCurrency {
                settlement: to.currency,
                payment: state.currency,
            });
        }
        let available = state.available();
        let too_large = || Refusal::SettlementTooLarge {
            available,
            requested: to.amount,
            captured: state.amount,
            refunded: state.refunded,
            allocated: state.allocated,
        };
        if to.amount > available {
            return Err(too_large());
        }
        state.allocated = state.allocated.plus(to.amount).map_err(|_| too_large())?;
        self.events.push(Event::Allocated(Allocated {
            payment_id: state.payment_id,
            settlement_id: to.settlement_id,
            amount: to.amount,
            allocated_total: state.allocated,
            currency: state.currency,
            version: self.version,
        }));
        Ok(self)
    }

    /// Takes back the money of a settlement that failed.
    ///
    /// # Errors
    /// [`Refusal::NotAllocated`]: the stored data is damaged.
    pub fn release(mut self, of: Allocation) -> Result<Self, Refusal> {
        let state = &mut self.state;
        let left = state.allocated.minus(of.amount).ok();
        let left = left.filter(|_| of.currency == state.currency);
        state.allocated = left.ok_or(Refusal::NotAllocated {
            payment_id: state.payment_id,
            settlement_id: of.settlement_id,
            allocated: state.allocated,
            amount: of.amount,
        })?;
        self.events.push(Event::Released(Released {
            payment_id: state.payment_id,
            settlement_id: of.settlement_id,
            amount: of.amount,
            allocated_total: state.allocated,
            currency: state.currency,
            version: self.version,
        }));
        Ok(self)
    }

    /// Adds the payment and its events to a transaction.
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
