//! What `event-feed` does about an event: gives it the next position and moves the head, in one transaction.

use async_trait::async_trait;
use consumer::{Failure, Handler, Received};
use events::contracts;
use outbox::{Outbox, Table, Transaction};
use views::feed::{FEED_LIFE, Head, Place, Row};

events::subscription! {
    /// What the consumer listens to: every event there is. A test demands it of each shipped contract.
    pub enum Event {
        /// The balance of a treasury account was stated anew.
        AccountChanged(contracts::treasury::AccountChanged) by Cursor,
        /// One balance state of an account changed.
        BalanceUpdated(contracts::wallet::BalanceUpdated) by Cursor,
        /// Credits ceased to be.
        Burned(contracts::cloud::Burned) by Cursor,
        /// The network confirmed a settlement more often than before.
        ConfirmationProgress(contracts::settlement::ConfirmationProgress) by Cursor,
        /// Points came into a wallet from outside.
        Deposited(contracts::wallet::Deposited) by Cursor,
        /// Points of a user were set aside for something asked for.
        EscrowHeld(contracts::wallet::EscrowHeld) by Cursor,
        /// A part of what was held went back to its user, the rest became a model's earnings.
        EscrowPartialSettled(contracts::wallet::EscrowPartialSettled) by Cursor,
        /// Held points went back to their user.
        EscrowRefunded(contracts::wallet::EscrowRefunded) by Cursor,
        /// Held points became a model's earnings.
        EscrowSettled(contracts::wallet::EscrowSettled) by Cursor,
        /// A settlement came to nothing.
        Failed(contracts::settlement::Failed) by Cursor,
        /// What the network is expected to charge.
        GasEstimated(contracts::settlement::GasEstimated) by Cursor,
        /// Credits came into being on an account.
        Minted(contracts::cloud::Minted) by Cursor,
        /// It was decided which network a settlement goes over.
        NetworkSelected(contracts::settlement::NetworkSelected) by Cursor,
        /// A payment was asked for.
        PaymentCreated(contracts::payment::Created) by Cursor,
        /// A payment went from one status to another.
        PaymentStatusChanged(contracts::payment::StatusChanged) by Cursor,
        /// A rate card was approved by another person than the one who proposed it.
        RateCardApproved(contracts::cloud::RateCardApproved) by Cursor,
        /// A rate card was proposed.
        RateCardCreated(contracts::cloud::RateCardCreated) by Cursor,
        /// Credits were used up for a metered resource.
        Redeemed(contracts::cloud::Redeemed) by Cursor,
        /// Money of a captured payment went back.
        Refunded(contracts::payment::Refunded) by Cursor,
        /// Somebody became a member.
        Registered(contracts::member::Registered) by Cursor,
        /// A settlement is done.
        Settled(contracts::settlement::Settled) by Cursor,
        /// A settlement was asked for.
        SettlementCreated(contracts::settlement::Created) by Cursor,
        /// A settlement went from one status to another.
        SettlementStatusChanged(contracts::settlement::StatusChanged) by Cursor,
        /// Credits were locked for a share of the revenue.
        Staked(contracts::cloud::Staked) by Cursor,
        /// The books and the chain state different balances for a member.
        SyncDiverged(contracts::cloud::SyncDiverged) by Cursor,
        /// Credits moved from one member to another.
        Transferred(contracts::cloud::Transferred) by Cursor,
        /// The reserve no longer covers the outstanding credits.
        TreasuryBackingLow(contracts::alert::TreasuryBackingLow) by Cursor,
        /// Locked credits became liquid again.
        Unstaked(contracts::cloud::Unstaked) by Cursor,
        /// Something about a member changed.
        Updated(contracts::member::Updated) by Cursor,
        /// Points left a wallet to the outside.
        Withdrawn(contracts::wallet::Withdrawn) by Cursor,
    }
}

/// The consumer `event-feed`.
#[derive(Debug)]
pub struct EventFeed {
    outbox: Outbox,
    table: Table,
}

impl EventFeed {
    /// Over its table, which the outbox reads.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table) -> Self {
        Self { outbox, table }
    }
}

#[async_trait]
impl Handler for EventFeed {
    // The identity of every cursor it ever writes: never rename it.
    const NAME: &'static str = "event-feed";
    type Event = Event;

    async fn decide(
        &self,
        received: &Received<Event>,
        mut transaction: Transaction,
    ) -> Result<Transaction, Failure> {
        let envelope = &received.envelope;
        let Some(stored) = received.stored.as_deref() else {
            return Err(Failure::park("a row holds what stands in the event log"));
        };
        let place = Place::key(&self.table, envelope.event_id);
        // A cursor that was set back (its table restored from a backup) comes to what the feed has: once is enough.
        if self.outbox.row::<Place>(&place).await?.is_some() {
            return Ok(transaction);
        }
        let head = Head::read(&self.outbox, &self.table).await?;
        let position = head.map_or(0, |head| head.position) + 1;
        let now = transaction.now();
        let row = Row::of(position, envelope, stored, now);
        transaction.insert(Row::key(&self.table, position), &row)?;
        transaction.insert(
            place,
            &Place {
                aggregate: envelope.aggregate(),
                sequence: envelope.sequence.number(),
                position,
                expires_at: now.plus(FEED_LIFE).unix_seconds(),
            },
        )?;
        transaction.put(
            Head::key(&self.table),
            &Head { position },
            Head::unchanged(head),
        )?;
        Ok(transaction)
    }
}

#[cfg(test)]
mod tests;
