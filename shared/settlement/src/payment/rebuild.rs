//! A payment from its events alone. It shares no step with the decisions: what an event says is taken as it is.

use domain::{Contradiction, Rebuild, Step, must};
use events::{
    Contract as _, Envelope, Money, Retention, contracts::payment::PaymentStatus, subscription,
};

use super::Payment;
use crate::machine::PAYMENT;

subscription! {
    /// What there is to read of a payment.
    enum Told {
        /// Its beginning.
        Created(events::contracts::payment::Created) by Mark,
        /// Every other transition.
        StatusChanged(events::contracts::payment::StatusChanged) by Mark,
        /// Money that went back.
        Refunded(events::contracts::payment::Refunded) by Mark,
    }
}

impl Rebuild for Payment {
    type Row = Self;
    const RETENTION: Retention = events::contracts::payment::Created::RETENTION;

    fn row(&self) -> Self::Row {
        self.clone()
    }

    fn apply(_: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let told = <Told as events::Subscription>::decode(envelope)?;
        let (mut state, told) = match (before, told) {
            (None, Told::Created(event)) => {
                let state = Payment {
                    payment_id: event.payment_id,
                    amount: event.amount,
                    currency: event.currency,
                    status: PaymentStatus::Created,
                    refunded: Money::ZERO,
                    refunds: 0,
                    error: None,
                    created_at: envelope.occurred_at,
                    updated_at: envelope.occurred_at,
                };
                return Ok((state, event.version));
            }
            (None, _) => return Err(Contradiction::Says("it does not begin with its creation")),
            (Some(_), Told::Created(_)) => return Err(Contradiction::Says("it is created twice")),
            (Some(state), told) => (state, told),
        };
        state.updated_at = state.updated_at.max(envelope.occurred_at);
        let version = match told {
            Told::Created(event) => event.version,
            Told::StatusChanged(event) => {
                let from = event.from_status;
                must(state.status == from, "it comes from another status")?;
                PAYMENT.check(from, event.to_status)?;
                state.status = event.to_status;
                state.error = event.error;
                event.version
            }
            Told::Refunded(event) => {
                must(
                    event.refund.number() == state.refunds + 1,
                    "a refund is missing",
                )?;
                let sum = state.refunded.plus(event.refund_amount);
                must(
                    sum == Ok(event.refunded_total),
                    "the refunds make another sum",
                )?;
                must(
                    event.refunded_total <= state.amount,
                    "more went back than there was",
                )?;
                state.refunded = event.refunded_total;
                state.refunds = event.refund.number();
                event.version
            }
        };
        Ok((state, version))
    }
}
