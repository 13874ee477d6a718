//! The credit for one order: reserved when the order is placed, owed once the goods are shipped, settled by payments.
//!
//! An order that ends gives back what is reserved for it. If nothing is, because its end overtook its beginning, the
//! reservation becomes `withdrawn`: the beginning then finds it, and reserves nothing.

use domain::{Contradiction, Rebuild, Step, Transitions, must};
use events::{
    Contract as _, CustomerId, Envelope, Money, OrderId, Retention, Sequence, Timestamp,
    contracts::{
        credit::{AccountPayment, CreditStatus, NoCredit, ReservationChanged},
        price::Currency,
    },
    subscription,
};
use outbox::State;
use serde::{Deserialize, Serialize};

use super::{Part, Refusal};
use crate::Change;

/// Which status can follow which.
pub const RESERVATION: Transitions<CreditStatus> = Transitions::new(&[
    (
        CreditStatus::Reserved,
        &[
            CreditStatus::Restored,
            CreditStatus::Owed,
            CreditStatus::Settled,
        ],
    ),
    (CreditStatus::Rejected, &[]),
    (CreditStatus::Withdrawn, &[]),
    (CreditStatus::Restored, &[]),
    (CreditStatus::Owed, &[CreditStatus::Settled]),
    (CreditStatus::Settled, &[]),
]);

/// A decided change of the credit for an order.
type Changed = Change<Reservation, ReservationChanged>;

/// The credit for an order. Its fields change in this module alone, which also makes the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    order_id: OrderId,
    customer_id: CustomerId,
    status: CreditStatus,
    amount: Money,
    /// At most `amount`.
    paid: Money,
    currency: Currency,
    updated_at: Timestamp,
}

impl State for Reservation {
    const AGGREGATE: &'static str = ReservationChanged::AGGREGATE;
}

impl Reservation {
    /// The order.
    #[must_use]
    pub fn order_id(&self) -> OrderId {
        self.order_id
    }

    /// The customer.
    #[must_use]
    pub fn customer_id(&self) -> &CustomerId {
        &self.customer_id
    }

    /// Where it stands.
    #[must_use]
    pub fn status(&self) -> CreditStatus {
        self.status
    }

    /// What the order comes to.
    #[must_use]
    pub fn amount(&self) -> Money {
        self.amount
    }

    /// The currency of its amounts.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// What is reserved or owed for the order, and in which part of its account.
    #[must_use]
    pub fn open(&self) -> Option<(Part, Money)> {
        let part = match self.status {
            CreditStatus::Reserved => Part::Reserved,
            CreditStatus::Owed => Part::Owed,
            CreditStatus::Rejected
            | CreditStatus::Withdrawn
            | CreditStatus::Restored
            | CreditStatus::Settled => return None,
        };
        Some((part, self.rest()))
    }

    fn rest(&self) -> Money {
        // Never below zero: no payment is more than what is open.
        self.amount.minus(self.paid).unwrap_or(Money::ZERO)
    }

    fn told(&self, version: Sequence) -> ReservationChanged {
        ReservationChanged {
            order_id: self.order_id,
            customer_id: self.customer_id.clone(),
            status: self.status,
            amount: self.amount,
            paid: self.paid,
            currency: self.currency,
            reason: None,
            available: None,
            payment: None,
            paid_otherwise: None,
            changed_at: self.updated_at,
            version,
        }
    }
}

/// An order as its credit is concerned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// The order.
    pub(crate) order_id: OrderId,
    /// The customer.
    pub(crate) customer_id: CustomerId,
    /// What the order comes to.
    pub(crate) amount: Money,
    /// The currency of the amount.
    pub(crate) currency: Currency,
}

impl Asked {
    /// An order of a customer that comes to an amount.
    #[must_use]
    pub fn new(
        order_id: OrderId,
        customer_id: &CustomerId,
        amount: Money,
        currency: Currency,
    ) -> Self {
        Self {
            order_id,
            customer_id: customer_id.clone(),
            amount,
            currency,
        }
    }

    /// It begins: reserved, or withdrawn because the order ended before any was asked for.
    pub(crate) fn begins(self, status: CreditStatus, version: Sequence, now: Timestamp) -> Changed {
        let reservation = self.first(status, now);
        let event = reservation.told(version);
        Change::new(reservation, event)
    }

    /// It begins as rejected: none is given. `available` is what could still be reserved.
    pub(crate) fn rejected(
        self,
        reason: NoCredit,
        available: Option<Money>,
        version: Sequence,
        now: Timestamp,
    ) -> Changed {
        let reservation = self.first(CreditStatus::Rejected, now);
        let event = ReservationChanged {
            reason: Some(reason),
            available,
            ..reservation.told(version)
        };
        Change::new(reservation, event)
    }

    fn first(self, status: CreditStatus, now: Timestamp) -> Reservation {
        Reservation {
            order_id: self.order_id,
            customer_id: self.customer_id,
            status,
            amount: self.amount,
            paid: Money::ZERO,
            currency: self.currency,
            updated_at: now,
        }
    }
}

impl Reservation {
    /// What is reserved is given back, or owed. The status must be one that can follow.
    pub(crate) fn becomes(
        &self,
        status: CreditStatus,
        version: Sequence,
        now: Timestamp,
    ) -> Changed {
        debug_assert!(RESERVATION.check(self.status, status).is_ok());
        let reservation = Self {
            status,
            updated_at: self.updated_at.max(now),
            ..self.clone()
        };
        let event = reservation.told(version);
        Change::new(reservation, event)
    }

    /// The order was paid on account, or a part of it.
    ///
    /// # Errors
    /// [`Refusal::NothingOpen`], [`Refusal::AmountNotPositive`], [`Refusal::MoreThanOpen`].
    pub(crate) fn pay(
        &self,
        payment: AccountPayment,
        version: Sequence,
        now: Timestamp,
    ) -> Result<(Part, Changed), Refusal> {
        let order_id = self.order_id;
        let (part, open) = self.open().ok_or(Refusal::NothingOpen { order_id })?;
        if payment.amount.is_zero() {
            return Err(Refusal::AmountNotPositive);
        }
        if payment.amount > open {
            return Err(Refusal::MoreThanOpen { open });
        }
        let reservation = self.less(payment.amount, now)?;
        let event = ReservationChanged {
            payment: Some(payment),
            ..reservation.told(version)
        };
        Ok((part, Change::new(reservation, event)))
    }

    /// The order was paid in another way, or a part of it. What is more than open concerns the order alone. `None` if nothing is
    /// open, else the part and amount that is open no longer.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`].
    pub(crate) fn pay_otherwise(
        &self,
        amount: Money,
        version: Sequence,
        now: Timestamp,
    ) -> Result<Option<(Part, Money, Changed)>, Refusal> {
        let Some((part, open)) = self.open() else {
            return Ok(None);
        };
        let amount = amount.min(open);
        let reservation = self.less(amount, now)?;
        let event = ReservationChanged {
            paid_otherwise: Some(amount),
            ..reservation.told(version)
        };
        Ok(Some((part, amount, Change::new(reservation, event))))
    }

    fn less(&self, amount: Money, now: Timestamp) -> Result<Self, Refusal> {
        let paid = self.paid.plus(amount);
        let paid = paid.map_err(|_| Refusal::TooLarge)?;
        let status = if paid == self.amount {
            CreditStatus::Settled
        } else {
            self.status
        };
        Ok(Self {
            status,
            paid,
            updated_at: self.updated_at.max(now),
            ..self.clone()
        })
    }
}

subscription! {
    /// The recorded events.
    enum Recorded {
        /// It changed.
        Changed(events::contracts::credit::ReservationChanged) by Mark,
    }
}

impl Rebuild for Reservation {
    type Stored = Self;
    const RETENTION: Retention = ReservationChanged::RETENTION;

    fn stored(&self) -> Self {
        self.clone()
    }

    fn apply(id: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let Recorded::Changed(event) = <Recorded as events::Subscription>::decode(envelope)?;
        must(
            event.order_id.to_string() == id,
            "it is about another order",
        )?;
        let after = Self {
            order_id: event.order_id,
            customer_id: event.customer_id,
            status: event.status,
            amount: event.amount,
            paid: event.paid,
            currency: event.currency,
            updated_at: event.changed_at,
        };
        let paid = match &before {
            None => {
                let begins = [
                    CreditStatus::Reserved,
                    CreditStatus::Rejected,
                    CreditStatus::Withdrawn,
                ];
                must(begins.contains(&after.status), "it does not begin")?;
                Money::ZERO
            }
            Some(before) => {
                if before.status != after.status {
                    RESERVATION.check(before.status, after.status)?;
                }
                must(
                    before.updated_at <= after.updated_at,
                    "it happened before the last change",
                )?;
                must(
                    (&before.customer_id, before.amount, before.currency)
                        == (&after.customer_id, after.amount, after.currency),
                    "it states another customer or amount",
                )?;
                before.paid
            }
        };
        let on_account = event.payment.map(|payment| payment.amount);
        must(
            on_account.is_none() || event.paid_otherwise.is_none(),
            "it is paid in two ways at once",
        )?;
        let payment = on_account.or(event.paid_otherwise);
        if let Some(before) = &before {
            must(
                payment.is_none() || before.open().is_some(),
                "it is paid, but nothing is open",
            )?;
            must(
                payment.is_some()
                    != matches!(after.status, CreditStatus::Restored | CreditStatus::Owed if before.status != after.status),
                "it is paid, or given back, or owed, and one of them alone",
            )?;
        } else {
            must(payment.is_none(), "it begins with a payment")?;
        }
        let paid = paid.plus(payment.unwrap_or(Money::ZERO));
        let paid = paid.map_err(|_| Contradiction::Says("the sums are too large"))?;
        must(
            after.paid == paid,
            "what is paid does not follow from the payment",
        )?;
        must(after.paid <= after.amount, "more is paid than was open")?;
        must(
            (after.status == CreditStatus::Settled) == (after.paid == after.amount)
                || after.amount.is_zero(),
            "it is settled if, and only if, all is paid",
        )?;
        must(
            (after.status == CreditStatus::Rejected) == event.reason.is_some(),
            "it must say why if, and only if, none is given",
        )?;
        Ok((after, event.version))
    }
}
