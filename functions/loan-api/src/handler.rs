//! What each endpoint reads, decides and writes.

pub mod draws;
pub mod loans;
pub mod reads;
mod refused;

use api::Problem;
use async_trait::async_trait;
use events::{LoanId, MemberId};
use loan::operations::{Loans, Members};
use member::Member;
use outbox::{Entity, Error, Outbox, Table};

use self::refused::refused;

/// The state that the endpoints share.
#[derive(Debug, Clone)]
pub struct App {
    outbox: Outbox,
    table: Table,
    members: Table,
}

impl App {
    /// Creates the state from an outbox, the domain's table and the members' table.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table, members: Table) -> Self {
        Self {
            outbox,
            table,
            members,
        }
    }

    fn operations(&self) -> Loans<'_> {
        Loans {
            outbox: &self.outbox,
            table: &self.table,
        }
    }
}

#[async_trait]
impl Members for App {
    async fn is_member(&self, id: &MemberId) -> Result<bool, Error> {
        let member: Entity<Member> = self.outbox.load(&self.members, id.as_str()).await?;
        Ok(member.state().is_some())
    }
}

/// The 404 problem for an unknown loan.
fn unknown_loan(id: LoanId) -> Problem {
    Problem::not_found(format!("there is no loan {id}")).with("loan_id", id.to_string())
}
