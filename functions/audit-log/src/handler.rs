//! What `audit-log` does about an event: puts it behind the last entry of its aggregate's chain.

use async_trait::async_trait;
use audit_chain::{Entry, Event as Logged, Head, entry_key, head_key};
use consumer::{Failure, Handler, Received};
use events::contracts;
use outbox::{Outbox, Table, Transaction};

events::subscription! {
    /// What the consumer listens to: every event of the money domains. A test demands it of each contract that is kept for
    /// ever.
    pub enum Event {
        /// A balance of the treasury was stated anew.
        AccountChanged(contracts::treasury::AccountChanged) by Cursor,
        /// A balance of points changed.
        BalanceUpdated(contracts::wallet::BalanceUpdated) by Cursor,
        /// Credits ceased to be.
        Burned(contracts::cloud::Burned) by Cursor,
        /// The network confirmed a settlement more often than before.
        ConfirmationProgress(contracts::settlement::ConfirmationProgress) by Cursor,
        /// Points came in from outside.
        Deposited(contracts::wallet::Deposited) by Cursor,
        /// Points were set aside.
        EscrowHeld(contracts::wallet::EscrowHeld) by Cursor,
        /// A part of what was held was earned, the rest went back.
        EscrowPartialSettled(contracts::wallet::EscrowPartialSettled) by Cursor,
        /// What was held went back.
        EscrowRefunded(contracts::wallet::EscrowRefunded) by Cursor,
        /// What was held was earned.
        EscrowSettled(contracts::wallet::EscrowSettled) by Cursor,
        /// A settlement came to nothing.
        Failed(contracts::settlement::Failed) by Cursor,
        /// What the network is expected to charge.
        GasEstimated(contracts::settlement::GasEstimated) by Cursor,
        /// Credits came into being.
        Minted(contracts::cloud::Minted) by Cursor,
        /// It was decided which network a settlement goes over.
        NetworkSelected(contracts::settlement::NetworkSelected) by Cursor,
        /// A payment was asked for.
        PaymentCreated(contracts::payment::Created) by Cursor,
        /// A payment went from one status to another.
        PaymentStatusChanged(contracts::payment::StatusChanged) by Cursor,
        /// A rate card was approved.
        RateCardApproved(contracts::cloud::RateCardApproved) by Cursor,
        /// A rate card was proposed.
        RateCardCreated(contracts::cloud::RateCardCreated) by Cursor,
        /// Credits were used up for a resource.
        Redeemed(contracts::cloud::Redeemed) by Cursor,
        /// Money of a captured payment went back.
        Refunded(contracts::payment::Refunded) by Cursor,
        /// A settlement is done.
        Settled(contracts::settlement::Settled) by Cursor,
        /// A settlement was asked for.
        SettlementCreated(contracts::settlement::Created) by Cursor,
        /// A settlement went from one status to another.
        SettlementStatusChanged(contracts::settlement::StatusChanged) by Cursor,
        /// Credits were locked.
        Staked(contracts::cloud::Staked) by Cursor,
        /// Books and chain differ.
        SyncDiverged(contracts::cloud::SyncDiverged) by Cursor,
        /// Credits changed hands.
        Transferred(contracts::cloud::Transferred) by Cursor,
        /// Locked credits became liquid.
        Unstaked(contracts::cloud::Unstaked) by Cursor,
        /// Points left to the outside.
        Withdrawn(contracts::wallet::Withdrawn) by Cursor,
    }
}

/// The consumer `audit-log`.
#[derive(Debug)]
pub struct AuditLog {
    outbox: Outbox,
    table: Table,
}

impl AuditLog {
    /// Over its table, which the outbox reads.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table) -> Self {
        Self { outbox, table }
    }
}

#[async_trait]
impl Handler for AuditLog {
    // The identity of every cursor it ever writes: never rename it.
    const NAME: &'static str = "audit-log";
    type Event = Event;

    async fn decide(
        &self,
        received: &Received<Event>,
        mut transaction: Transaction,
    ) -> Result<Transaction, Failure> {
        let envelope = &received.envelope;
        let Some(stored) = received.stored.as_deref() else {
            return Err(Failure::park("an entry holds what stands in the event log"));
        };
        let aggregate = envelope.aggregate();
        let place = head_key(&self.table, &aggregate);
        let head: Option<Head> = self.outbox.row(&place).await?;
        let event = Logged {
            event_id: &envelope.event_id.to_string(),
            event_type: envelope.event_type.as_str(),
            sequence: envelope.sequence.number(),
            envelope: stored,
        };
        // A cursor that was set back (its table restored from a backup) comes to what the chain has: nothing to add.
        let Some(entry) = Entry::next(head.as_ref(), &aggregate, &event, transaction.now()) else {
            return Ok(transaction);
        };
        let row = entry_key(&self.table, &aggregate, entry.number);
        transaction.insert(row, &entry)?;
        transaction.put(
            place,
            &entry.head(&aggregate),
            Head::unchanged(head.as_ref()),
        )?;
        Ok(transaction)
    }
}

#[cfg(test)]
mod tests;
