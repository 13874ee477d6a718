//! What the servicing does about an event: it plans anew how the loan is paid back.
//!
//! It plans the loan as it is now, not as the event says: terms that were changed again meanwhile are in the plan, and the event of that
//! change finds nothing left to plan. So copies and delays end in the same last schedule. Whether there is one for each change
//! before it depends on when the consumer ran.

use async_trait::async_trait;
use consumer::{Failure, Handler, Received};
use events::LoanId;
use loan::operations::{Loans, Stopped};
use outbox::{Outbox, Table, Transaction};

/// What the consumer listens to, as its declaration says.
pub use topology::functions::loan_servicing::Event;

/// The consumer `loan-servicing`.
#[derive(Debug)]
pub struct LoanServicing {
    outbox: Outbox,
    table: Table,
}

impl LoanServicing {
    /// Over the domain's table.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table) -> Self {
        Self { outbox, table }
    }
}

fn loan_of(event: &Event) -> LoanId {
    match event {
        Event::Funded(event) => event.loan_id,
        Event::Modified(event) => event.loan_id,
        Event::DrawApproved(event) => event.loan_id,
    }
}

#[async_trait]
impl Handler for LoanServicing {
    // The identity of every cursor it ever writes: never rename it.
    const NAME: &'static str = topology::functions::loan_servicing::FUNCTION.name;
    type Event = Event;

    async fn decide(
        &self,
        received: &Received<Event>,
        mut transaction: Transaction,
    ) -> Result<Transaction, Failure> {
        let loans = Loans {
            outbox: &self.outbox,
            table: &self.table,
        };
        match loans.plan(&mut transaction, loan_of(&received.event)).await {
            Ok(_) => Ok(transaction),
            // The loan was committed together with the event: without it, or where its sums do not fit, no retry can help.
            Err(Stopped::Refused(refusal)) => Err(Failure::park(refusal.to_string())),
            Err(Stopped::Failed(error)) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests;
