//! Rebuilds a payment from its events alone. It shares no code with the decisions: each event is taken at face value.

use domain::{Contradiction, Rebuild, Step, must};
use events::{
    Contract as _, Envelope, Money, Retention, contracts::payment::PaymentStatus, subscription,
};

use super::Payment;
use crate::machine::PAYMENT;

subscription! {
    /// The events of a payment.
    enum Recorded {
        /// The payment was created.
        Created(events::contracts::payment::Created) by Mark,
        /// Every other transition.
        StatusChanged(events::contracts::payment::StatusChanged) by Mark,
        /// Money was refunded.
        Refunded(events::contracts::payment::Refunded) by Mark,
        /// Money was allocated to a settlement.
        Allocated(events::contracts::payment::Allocated) by Mark,
        /// A settlement failed and gave its money back.
        Released(events::contracts::payment::Released) by Mark,
    }
}

const OTHER_CURRENCY: &str = "it is in another currency than the payment";
const OTHER_TOTAL: &str = "its settlements do not add up to its total";

/// Checks that refunds and settlements are within what was captured.
fn within(state: &Payment) -> Result<(), Contradiction> {
    let spent = state.refunded.plus(state.allocated);
    must(
        spent.is_ok_and(|spent| spent <= state.amount),
        "more was settled and refunded than was captured",
    )
}

impl Rebuild for Payment {
    type Stored = Self;
    const RETENTION: Retention = events::contracts::payment::Created::RETENTION;

    fn stored(&self) -> Self::Stored {
        self.clone()
    }

    fn apply(_: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let recorded = <Recorded as events::Subscription>::decode(envelope)?;
        let (mut state, recorded) = match (before, recorded) {
            (None, Recorded::Created(event)) => {
                let state = Payment {
                    payment_id: event.payment_id,
                    amount: event.amount,
                    currency: event.currency,
                    reference: event.reference,
                    status: PaymentStatus::Created,
                    refunded: Money::ZERO,
                    refunds: 0,
                    allocated: Money::ZERO,
                    error: None,
                    created_at: envelope.occurred_at,
                    updated_at: envelope.occurred_at,
                };
                return Ok((state, event.version));
            }
            (None, _) => return Err(Contradiction::Says("the first event is not its creation")),
            (Some(_), Recorded::Created(_)) => {
                return Err(Contradiction::Says("it is created twice"));
            }
            (Some(state), recorded) => (state, recorded),
        };
        state.updated_at = state.updated_at.max(envelope.occurred_at);
        let version = match recorded {
            Recorded::Created(event) => event.version,
            Recorded::StatusChanged(event) => {
                let from = event.from_status;
                must(
                    state.status == from,
                    "it does not start at the current status",
                )?;
                PAYMENT.check(from, event.to_status)?;
                // Events from before they stated the amount say nothing about it.
                let amount = event.amount.unwrap_or(state.amount);
                let currency = event.currency.unwrap_or(state.currency);
                must(
                    (amount, currency) == (state.amount, state.currency),
                    "it states another amount than the payment's",
                )?;
                must(
                    event.amount.is_none() || event.reference == state.reference,
                    "it is for something else than the payment",
                )?;
                state.status = event.to_status;
                state.error = event.error;
                event.version
            }
            Recorded::Refunded(event) => {
                must(
                    event.refund.number() == state.refunds + 1,
                    "a refund is missing",
                )?;
                let sum = state.refunded.plus(event.refund_amount);
                must(
                    sum == Ok(event.refunded_total),
                    "the refunds do not add up to its total",
                )?;
                must(
                    event.refunded_total <= state.amount,
                    "more was refunded than was paid",
                )?;
                state.refunded = event.refunded_total;
                state.refunds = event.refund.number();
                within(&state)?;
                event.version
            }
            Recorded::Allocated(event) => {
                let captured = [PaymentStatus::Captured, PaymentStatus::PartiallyRefunded];
                must(
                    captured.contains(&state.status),
                    "it is settled but not captured",
                )?;
                must(event.currency == state.currency, OTHER_CURRENCY)?;
                let sum = state.allocated.plus(event.amount);
                must(sum == Ok(event.allocated_total), OTHER_TOTAL)?;
                state.allocated = event.allocated_total;
                within(&state)?;
                event.version
            }
            Recorded::Released(event) => {
                must(event.currency == state.currency, OTHER_CURRENCY)?;
                let left = state.allocated.minus(event.amount);
                must(left == Ok(event.allocated_total), OTHER_TOTAL)?;
                state.allocated = event.allocated_total;
                event.version
            }
        };
        Ok((state, version))
    }
}
