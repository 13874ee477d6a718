//! The handler of `loan-servicing`: creates a new payment schedule for the loan.
//!
//! The schedule is for the loan as it is now, not as the event states it. If the terms were changed again in the
//! meantime, the schedule already contains them, and the event of that change finds nothing left to plan. So copies and
//! delays lead to the same last schedule. Whether each earlier change has a schedule of its own depends on when the
//! consumer ran.

use async_trait::async_trait;
use consumer::{Failure, Handler, Received};
use events::LoanId;
use loan::operations::Loans;
use outbox::{Outbox, Table, Transaction};

/// The events that the consumer handles, as declared.
pub use topology::functions::loan_servicing::Event;

/// The consumer `loan-servicing`.
#[derive(Debug)]
pub struct LoanServicing {
    outbox: Outbox,
    table: Table,
}

impl LoanServicing {
    /// Creates the consumer over the domain's table.
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
    // Every cursor that the consumer writes contains this name: never rename it.
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
        let planned = loans.plan(&mut transaction, loan_of(&received.event)).await;
        // The loan was committed together with the event. If it is missing, or its sums are too large, no retry can help.
        planned.map(|_| transaction).map_err(Failure::of_operation)
    }
}

#[cfg(test)]
mod tests;
