//! The handler of `activity-feed`: each event adds one entry to the feed of the user whose points it concerns.

use async_trait::async_trait;
use consumer::{Failure, Handler, Received};
use events::{
    Envelope, EscrowId, MemberId, Points,
    contracts::wallet::{EscrowHeld, EscrowPartialSettled, EscrowRefunded, EscrowSettled},
};
use outbox::{Table, Transaction};
use views::activity::Activity;

/// The events that the consumer handles, as declared.
pub use topology::functions::activity_feed::Event;

/// The consumer `activity-feed`.
#[derive(Debug)]
pub struct ActivityFeed {
    table: Table,
}

impl ActivityFeed {
    /// Creates the consumer over its table.
    #[must_use]
    pub fn new(table: Table) -> Self {
        Self { table }
    }
}

#[async_trait]
impl Handler for ActivityFeed {
    // Every mark that the consumer writes contains this name: never rename it.
    const NAME: &'static str = topology::functions::activity_feed::FUNCTION.name;
    type Event = Event;

    async fn decide(
        &self,
        received: &Received<Event>,
        mut transaction: Transaction,
    ) -> Result<Transaction, Failure> {
        let (user_id, activity) = entry(&received.event, &received.envelope)?;
        transaction.insert(activity.key(&self.table, user_id), &activity.stored())?;
        Ok(transaction)
    }
}

/// Returns the user whose feed gets the entry, and the entry. `notifications` informs the model of its side of a
/// settlement.
fn entry<'a>(event: &'a Event, envelope: &Envelope) -> Result<(&'a MemberId, Activity), Failure> {
    let whole = |amount: Points, escrow_id: EscrowId| Activity {
        event_type: envelope.event_type.clone(),
        amount,
        refund_amount: None,
        settle_amount: None,
        escrow_id,
        occurred_at: envelope.occurred_at,
        event_id: envelope.event_id,
    };
    Ok(match event {
        Event::Held(EscrowHeld {
            user_id,
            amount,
            escrow_id,
            ..
        })
        | Event::Settled(EscrowSettled {
            user_id,
            amount,
            escrow_id,
            ..
        })
        | Event::Refunded(EscrowRefunded {
            user_id,
            amount,
            escrow_id,
            ..
        }) => (user_id, whole(*amount, *escrow_id)),
        Event::PartialSettled(EscrowPartialSettled {
            user_id,
            refund_amount,
            settle_amount,
            escrow_id,
            ..
        }) => {
            // Both parts were one held amount. If their sum exceeds the maximum amount, they never were, and no retry
            // can help.
            let held = refund_amount.plus(*settle_amount).map_err(Failure::park)?;
            let activity = Activity {
                refund_amount: Some(*refund_amount),
                settle_amount: Some(*settle_amount),
                ..whole(held, *escrow_id)
            };
            (user_id, activity)
        }
    })
}

#[cfg(test)]
mod tests;
