//! The handler of `cloud-chain-sync`. A movement queues one job for each member it concerns who has an address. The
//! events of a member are kept as a row, because this domain does not read other domains' tables.

use async_trait::async_trait;
use cloud::chain::{Job, Member, Status};
use consumer::{Failure, Handler, Received};
use events::{Envelope, MemberId, TransactionId};
use outbox::{GuardedPut, Outbox, Table, Transaction};

/// The events that the consumer handles, as declared.
pub use topology::functions::cloud_chain_sync::Event;

/// Whether a chain is configured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Chain {
    /// A chain is configured: movements queue jobs.
    There,
    /// No chain is configured: members are kept, movements queue nothing. Once a chain is configured, `cloud-reconcile`
    /// compares every member anyway.
    NotThere,
}

/// The consumer `cloud-chain-sync`.
#[derive(Debug)]
pub struct ChainSync {
    outbox: Outbox,
    table: Table,
    chain: Chain,
}

impl ChainSync {
    /// Creates the consumer over the domain's table.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table, chain: Chain) -> Self {
        Self {
            outbox,
            table,
            chain,
        }
    }

    /// Reads a member. Movements come through the express lane and members through the standard lane, so the member may
    /// not have arrived yet.
    async fn member(&self, member_id: &MemberId) -> Result<Member, Failure> {
        let key = Member::key(&self.table, member_id);
        let member: Option<Member> = self.outbox.row(&key).await?;
        member.ok_or_else(|| {
            Failure::retry(format!(
                "member {member_id} is not known yet: their member.registered has not been handled"
            ))
        })
    }
}

#[async_trait]
impl Handler for ChainSync {
    // Every mark that the consumer writes contains this name: never rename it.
    const NAME: &'static str = topology::functions::cloud_chain_sync::FUNCTION.name;
    type Event = Event;

    async fn decide(
        &self,
        received: &Received<Event>,
        mut transaction: Transaction,
    ) -> Result<Transaction, Failure> {
        let Some((transaction_id, members)) = moved(&received.event) else {
            return Ok(transaction);
        };
        if self.chain == Chain::NotThere {
            return Ok(transaction);
        }
        for member_id in members {
            let member = self.member(member_id).await?;
            let Some(ethereum_address) = member.ethereum_address else {
                continue;
            };
            let job = Job {
                member_id: member.member_id,
                ethereum_address,
                event_type: received.envelope.event_type.clone(),
                event_id: received.envelope.event_id,
                transaction_id,
                queued_at: transaction.now(),
                status: Status::Queued,
                submitted_at: None,
                ended_at: None,
                reason: None,
            };
            job.queue(&mut transaction, &self.table)?;
        }
        Ok(transaction)
    }

    async fn project(&self, received: &Received<Event>) -> Result<GuardedPut, Failure> {
        stated(&received.event, &received.envelope, &self.table)
    }
}

/// Returns the movement and the members whose balances it changed. Credits of the unallocated account belong to no
/// member.
fn moved(event: &Event) -> Option<(TransactionId, Vec<&MemberId>)> {
    match event {
        Event::Minted(minted) => Some((minted.transaction_id, minted.member_id.iter().collect())),
        Event::Transferred(moved) => Some((
            moved.transaction_id,
            vec![&moved.from_member_id, &moved.to_member_id],
        )),
        Event::Redeemed(redeemed) => Some((redeemed.transaction_id, vec![&redeemed.member_id])),
        Event::Burned(burned) => Some((burned.transaction_id, burned.member_id.iter().collect())),
        Event::Registered(_) | Event::Updated(_) => None,
    }
}

/// Returns the row of the member that the event states. The row is also the evidence that the event was handled.
fn stated(event: &Event, envelope: &Envelope, table: &Table) -> Result<GuardedPut, Failure> {
    let member = match event {
        Event::Registered(registered) => Member::from(registered),
        Event::Updated(updated) => Member::from(updated),
        Event::Minted(_) | Event::Transferred(_) | Event::Redeemed(_) | Event::Burned(_) => {
            return Err(Failure::park(format!(
                "{} states no member",
                envelope.event_type
            )));
        }
    };
    Ok(member.guarded_put(table)?)
}

#[cfg(test)]
mod tests;
