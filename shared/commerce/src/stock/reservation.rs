//! The reservation of one order's goods: all of them or none, until they are shipped or given back.
//!
//! An order that is cancelled gives back what is reserved for it. If nothing is, because its end overtook its beginning, the
//! reservation becomes `withdrawn`: the beginning then finds it, and reserves nothing.

use domain::{Rebuild, Step, Transitions, must};
use events::{
    Contract as _, Envelope, OrderId, Retention, Sequence, Timestamp,
    contracts::{
        order::{Goods, Shortage},
        stock::{ReservationChanged, ReservationStatus},
    },
    subscription,
};
use outbox::State;
use serde::{Deserialize, Serialize};

use crate::Change;

/// Which status can follow which.
pub const RESERVATION: Transitions<ReservationStatus> = Transitions::new(&[
    (
        ReservationStatus::Reserved,
        &[ReservationStatus::Released, ReservationStatus::Shipped],
    ),
    (ReservationStatus::Failed, &[]),
    (ReservationStatus::Withdrawn, &[]),
    (ReservationStatus::Released, &[]),
    (ReservationStatus::Shipped, &[]),
]);

/// The reservation of an order's goods. Its fields change in this module alone, which also makes the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reservation {
    order_id: OrderId,
    status: ReservationStatus,
    items: Vec<Goods>,
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

    /// Where its goods stand.
    #[must_use]
    pub fn status(&self) -> ReservationStatus {
        self.status
    }

    /// The order's goods.
    #[must_use]
    pub fn items(&self) -> &[Goods] {
        &self.items
    }

    fn told(&self, version: Sequence) -> ReservationChanged {
        ReservationChanged {
            order_id: self.order_id,
            status: self.status,
            items: self.items.clone(),
            shortages: Vec::new(),
            changed_at: self.updated_at,
            version,
        }
    }

    /// It begins: reserved, failed or withdrawn. It failed if there are shortages.
    pub(crate) fn begin(
        order_id: OrderId,
        status: ReservationStatus,
        items: Vec<Goods>,
        shortages: Vec<Shortage>,
        version: Sequence,
        now: Timestamp,
    ) -> Change<Self, ReservationChanged> {
        let reservation = Self {
            order_id,
            status,
            items,
            updated_at: now,
        };
        let event = ReservationChanged {
            shortages,
            ..reservation.told(version)
        };
        Change::new(reservation, event)
    }

    /// What is reserved is given back, or shipped. The status must be one that can follow.
    pub(crate) fn becomes(
        &self,
        status: ReservationStatus,
        version: Sequence,
        now: Timestamp,
    ) -> Change<Self, ReservationChanged> {
        debug_assert!(RESERVATION.check(self.status, status).is_ok());
        let reservation = Self {
            status,
            updated_at: self.updated_at.max(now),
            ..self.clone()
        };
        let event = reservation.told(version);
        Change::new(reservation, event)
    }
}

subscription! {
    /// The recorded events.
    enum Recorded {
        /// It changed.
        Changed(events::contracts::stock::ReservationChanged) by Mark,
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
            status: event.status,
            items: event.items,
            updated_at: event.changed_at,
        };
        match &before {
            None => {
                let begins = [
                    ReservationStatus::Reserved,
                    ReservationStatus::Failed,
                    ReservationStatus::Withdrawn,
                ];
                must(begins.contains(&after.status), "it does not begin")?;
            }
            Some(before) => {
                RESERVATION.check(before.status, after.status)?;
                must(
                    before.updated_at <= after.updated_at,
                    "it happened before the last change",
                )?;
                must(before.items == after.items, "it states other goods")?;
            }
        }
        must(
            (after.status == ReservationStatus::Failed) != event.shortages.is_empty(),
            "it must state shortages if, and only if, it failed",
        )?;
        Ok((after, event.version))
    }
}
