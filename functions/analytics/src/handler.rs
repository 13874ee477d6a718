//! The handler of `analytics`: adds an event to the counts of its hour.

use async_trait::async_trait;
use consumer::{Failure, Handler, Received};
use events::{DecodeError, Envelope, Selection, Subscription};
use outbox::{Table, Transaction};
use views::analytics::{Fact, added_ever, counts, fact};

/// The events that the consumer handles: every event, with the amounts that it adds besides the count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event(pub Fact);

impl Subscription for Event {
    const SELECTION: Selection = topology::functions::analytics::SELECTION;

    fn decode(envelope: &Envelope) -> Result<Self, DecodeError> {
        Self::SELECTION.admit(envelope)?;
        fact(envelope).map(Self)
    }
}

/// The consumer `analytics`.
#[derive(Debug)]
pub struct Analytics {
    table: Table,
}

impl Analytics {
    /// Creates the consumer over its table.
    #[must_use]
    pub fn new(table: Table) -> Self {
        Self { table }
    }
}

#[async_trait]
impl Handler for Analytics {
    // Every mark that the consumer writes contains this name: never rename it.
    const NAME: &'static str = topology::functions::analytics::FUNCTION.name;
    type Event = Event;

    async fn decide(
        &self,
        received: &Received<Event>,
        mut transaction: Transaction,
    ) -> Result<Transaction, Failure> {
        for count in counts(&self.table, &received.envelope, &received.event.0) {
            let amounts = count.amounts();
            transaction.add(count.key, amounts);
        }
        for (key, amounts) in added_ever(&self.table, &received.envelope) {
            transaction.add(key, amounts);
        }
        Ok(transaction)
    }
}

#[cfg(test)]
mod tests;
