//! What `analytics` does about an event: adds it to the counts of its hour.

use async_trait::async_trait;
use consumer::{Failure, Handler, Received};
use events::{Envelope, Subscription, contracts};
use outbox::{Table, Transaction};
use views::analytics::{Count, count_of_all, counts};

use crate::facts::fact;

events::subscription! {
    /// What the consumer listens to: every event of the credits, their alert, and every event of wallets.
    pub enum Event {
        /// The reserve no longer covers the credits.
        BackingLow(contracts::alert::TreasuryBackingLow) by Mark,
        /// Credits ceased to be.
        Burned(contracts::cloud::Burned) by Mark,
        /// Credits came into being.
        Minted(contracts::cloud::Minted) by Mark,
        /// A rate card was approved.
        RateCardApproved(contracts::cloud::RateCardApproved) by Mark,
        /// A rate card was proposed.
        RateCardCreated(contracts::cloud::RateCardCreated) by Mark,
        /// Credits were used up for a resource.
        Redeemed(contracts::cloud::Redeemed) by Mark,
        /// Credits were locked.
        Staked(contracts::cloud::Staked) by Mark,
        /// Books and chain differ.
        SyncDiverged(contracts::cloud::SyncDiverged) by Mark,
        /// Credits changed hands.
        Transferred(contracts::cloud::Transferred) by Mark,
        /// Locked credits became liquid.
        Unstaked(contracts::cloud::Unstaked) by Mark,
        /// Points came in.
        Deposited(contracts::wallet::Deposited) by Mark,
        /// A balance of a wallet changed: each side of a movement by itself.
        BalanceUpdated(contracts::wallet::BalanceUpdated) by Mark,
        /// Points were set aside.
        EscrowHeld(contracts::wallet::EscrowHeld) by Mark,
        /// A part of them went back, the rest was earned.
        EscrowPartialSettled(contracts::wallet::EscrowPartialSettled) by Mark,
        /// All of them went back.
        EscrowRefunded(contracts::wallet::EscrowRefunded) by Mark,
        /// All of them were earned.
        EscrowSettled(contracts::wallet::EscrowSettled) by Mark,
        /// Points went out.
        Withdrawn(contracts::wallet::Withdrawn) by Mark,
    }
}

/// The consumer `analytics`.
#[derive(Debug)]
pub struct Analytics {
    table: Table,
}

impl Analytics {
    /// Over its table.
    #[must_use]
    pub fn new(table: Table) -> Self {
        Self { table }
    }
}

#[async_trait]
impl Handler for Analytics {
    // The identity of every mark it ever writes: never rename it.
    const NAME: &'static str = "analytics";
    type Event = Event;

    async fn decide(
        &self,
        received: &Received<Event>,
        mut transaction: Transaction,
    ) -> Result<Transaction, Failure> {
        let Some(fact) = fact(&received.event) else {
            // A program that listens to what it cannot count: once it is mended the letter can be sent again.
            return Err(Failure::park(format!(
                "{} is not among the kinds that are counted",
                received.envelope.event_type
            )));
        };
        let (event_id, at) = (received.envelope.event_id, received.envelope.occurred_at);
        for count in counts(&self.table, event_id, at, &fact) {
            let amounts = count.amounts();
            transaction.add(count.key, amounts);
        }
        Ok(transaction)
    }
}

/// What an event adds to the row of all members, for those who compare rows with the event log; `None` where the consumer
/// does not count it.
#[must_use]
pub fn counted(envelope: &Envelope, table: &Table) -> Option<Count> {
    let fact = fact(&Event::decode(envelope).ok()?)?;
    let (event_id, at) = (envelope.event_id, envelope.occurred_at);
    Some(count_of_all(table, event_id, at, &fact))
}

#[cfg(test)]
mod tests;
