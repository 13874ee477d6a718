//! Rebuilds an escrow from its events alone. It shares no code with the decisions: each event is taken at face value.

use domain::{Contradiction, Rebuild, Step, must};
use events::{
    Contract as _, Envelope, MemberId, Points, Retention, TransactionId,
    contracts::wallet::EscrowHeld, subscription,
};

use super::{Escrow, STATUSES, Status};
use crate::HoldReason;

subscription! {
    /// The events of an escrow.
    enum Recorded {
        /// The points were held.
        Held(events::contracts::wallet::EscrowHeld) by Mark,
        /// All points were earned.
        Settled(events::contracts::wallet::EscrowSettled) by Mark,
        /// All points went back.
        Refunded(events::contracts::wallet::EscrowRefunded) by Mark,
        /// Some points went back, the rest were earned.
        PartialSettled(events::contracts::wallet::EscrowPartialSettled) by Mark,
    }
}

fn held(event: EscrowHeld, envelope: &Envelope) -> Result<Escrow, Contradiction> {
    let reason = HoldReason::named(event.reason.as_str());
    let reason =
        reason.map_err(|_| Contradiction::Says("its reason is not a reason to hold points"))?;
    Ok(Escrow {
        escrow_id: event.escrow_id,
        user_id: event.user_id,
        amount: event.amount,
        reason,
        queue_item_id: event.queue_item_id,
        feature_type: event.feature_type,
        request_id: event.request_id,
        status: Status::Held,
        held_at: envelope.occurred_at,
        held_by: event.transaction_id,
        ended_at: None,
        ended_by: None,
        model_id: None,
        refund_amount: None,
        settle_amount: None,
    })
}

/// The outcome that an ending event states.
struct End {
    status: Status,
    user_id: MemberId,
    model_id: Option<MemberId>,
    refund: Points,
    settle: Points,
    transaction_id: TransactionId,
}

fn ended(escrow: &mut Escrow, end: End, envelope: &Envelope) -> Result<(), Contradiction> {
    STATUSES.check(escrow.status, end.status)?;
    must(escrow.user_id == end.user_id, "it names another user")?;
    let parts = end.refund.decimal() + end.settle.decimal();
    must(
        parts == escrow.amount.decimal(),
        "its parts do not add up to the held amount",
    )?;
    escrow.status = end.status;
    escrow.model_id = end.model_id;
    escrow.refund_amount = Some(end.refund);
    escrow.settle_amount = Some(end.settle);
    escrow.ended_at = Some(envelope.occurred_at);
    escrow.ended_by = Some(end.transaction_id);
    Ok(())
}

impl Rebuild for Escrow {
    type Stored = Self;
    const RETENTION: Retention = EscrowHeld::RETENTION;

    fn stored(&self) -> Self {
        self.clone()
    }

    fn apply(_: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let recorded = <Recorded as events::Subscription>::decode(envelope)?;
        let (mut escrow, recorded) = match (before, recorded) {
            (None, Recorded::Held(event)) => {
                let version = event.version;
                return Ok((held(event, envelope)?, version));
            }
            (None, _) => return Err(Contradiction::Says("the first event is not the hold")),
            (Some(_), Recorded::Held(_)) => return Err(Contradiction::Says("it is held twice")),
            (Some(escrow), recorded) => (escrow, recorded),
        };
        let (end, version) = match recorded {
            Recorded::Held(_) => return Err(Contradiction::Says("it is held twice")),
            Recorded::Settled(event) => (
                End {
                    status: Status::Settled,
                    user_id: event.user_id,
                    model_id: Some(event.model_id),
                    refund: Points::ZERO,
                    settle: event.amount,
                    transaction_id: event.transaction_id,
                },
                event.version,
            ),
            Recorded::Refunded(event) => (
                End {
                    status: Status::Refunded,
                    user_id: event.user_id,
                    model_id: None,
                    refund: event.amount,
                    settle: Points::ZERO,
                    transaction_id: event.transaction_id,
                },
                event.version,
            ),
            Recorded::PartialSettled(event) => (
                End {
                    status: Status::PartiallySettled,
                    user_id: event.user_id,
                    model_id: Some(event.model_id),
                    refund: event.refund_amount,
                    settle: event.settle_amount,
                    transaction_id: event.transaction_id,
                },
                event.version,
            ),
        };
        ended(&mut escrow, end, envelope)?;
        Ok((escrow, version))
    }
}
