//! The job compares books and chain for every member who has an address. A divergence is published in the transaction
//! that records it.

use std::time::Duration;

use async_trait::async_trait;
use cloud::{
    Account, Rate,
    account::{Kind, Movement},
    chain::{ChainAccount, Finding, Job, Member, OnChain, Place, Step, TokenDecimals, books, walk},
};
use consumer::{
    Failure,
    schedule::{self, Next, Paged},
};
use ethereum::Reader;
use events::{EthereumAddress, MemberId, Timestamp};
use futures::{StreamExt, TryStreamExt, stream};
use num_bigint::BigUint;
use outbox::{Entity, Fault, Item, Outbox, Query, Table, Transaction, chain, decode_item};
use serde::Deserialize;

/// The number of members in a page. Each may need a record, an event and a condition check of the account. With the
/// mark and the lease, all of it must fit into a transaction's 100 items.
const MEMBERS_PER_PAGE: u32 = 30;

/// Accounts that are read at the same time.
const LOADS_AT_ONCE: usize = 8;

/// Lines of a statement that are read at a time, when looking for the last movement that the chain must follow.
const LINES: u32 = 10;

/// The limits of the comparison.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The token's decimals.
    pub decimals: TokenDecimals,
    /// US dollars per credit.
    pub rate: Rate,
    /// For this long after a movement, a difference is not a divergence: the chain needs time to follow the books.
    pub in_flight: Duration,
    /// Once books and chain have not agreed for this long, recent movements no longer excuse a difference. A chain that
    /// never catches up is not following.
    pub unsynced_max: Duration,
}

/// The job `cloud-reconcile`.
#[derive(Debug)]
pub struct Reconcile {
    outbox: Outbox,
    table: Table,
    reader: Option<Reader>,
    limits: Limits,
}

/// A member with the balance in the books.
struct Booked {
    member: Member,
    address: EthereumAddress,
    account: Entity<Account>,
    record: Entity<ChainAccount>,
}

/// The kind and the time of a movement.
#[derive(Deserialize)]
struct Moved {
    kind: Kind,
    occurred_at: Timestamp,
}

impl Reconcile {
    /// Creates the job over the domain's table and a chain. Without a chain it does nothing.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table, reader: Option<Reader>, limits: Limits) -> Self {
        Self {
            outbox,
            table,
            reader,
            limits,
        }
    }

    /// Reads the next members who have an address, with their balances in the books.
    async fn members(
        &self,
        place: Option<&Place>,
    ) -> Result<(Vec<Booked>, Option<Place>), Failure> {
        let query = |shard, limit, after| Member::page(&self.table, shard, limit, after);
        let has_address = |item: &Item| item.contains_key("ethereum_address");
        let (items, next) = walk(&self.outbox, place, MEMBERS_PER_PAGE, query, has_address).await?;
        let loads: Vec<_> = items.into_iter().map(|item| self.load(item)).collect();
        let booked = stream::iter(loads)
            .buffered(LOADS_AT_ONCE)
            .try_filter_map(|booked| async move { Ok(booked) })
            .try_collect()
            .await?;
        Ok((booked, next))
    }

    async fn load(&self, item: Item) -> Result<Option<Booked>, Failure> {
        let member: Member = decode_item(&self.table.key("chain_members", "*"), item)?;
        let Some(address) = member.ethereum_address.clone() else {
            return Ok(None);
        };
        let id = member.member_id.as_str();
        let account = self.outbox.load::<Account>(&self.table, id).await?;
        let record = self.outbox.load::<ChainAccount>(&self.table, id).await?;
        Ok(Some(Booked {
            member,
            address,
            account,
            record,
        }))
    }

    /// Whether the chain may still be catching up with the books: credits moved or a job was queued within the allowed
    /// time. A member whose books and chain have not agreed for too long is never in flight, however often the credits
    /// move.
    async fn is_in_flight(&self, booked: &Booked, now: Timestamp) -> Result<bool, Failure> {
        let member_id = &booked.member.member_id;
        if !self.has_moved(member_id, now).await? && !self.has_job(member_id, now).await? {
            return Ok(false);
        }
        let agreed = booked.record.state().and_then(|one| one.last_synced_at);
        let since = match agreed {
            Some(agreed) => Some(agreed),
            None => self.first_movement(member_id).await?,
        };
        Ok(since.is_none_or(|since| now.since(since) < self.limits.unsynced_max))
    }

    fn is_young(&self, moment: Timestamp, now: Timestamp) -> bool {
        now.since(moment) < self.limits.in_flight
    }

    /// Whether the balance that the chain mirrors changed recently. Stakes do not change it.
    async fn has_moved(&self, member_id: &MemberId, now: Timestamp) -> Result<bool, Failure> {
        let mut after = None;
        loop {
            let lines = Query {
                after,
                ..Movement::statement(&self.table, member_id.as_str(), LINES)
            };
            let (lines, older) = self.outbox.rows::<Moved>(&lines).await?;
            for line in &lines {
                if !self.is_young(line.occurred_at, now) {
                    return Ok(false);
                }
                if line.kind.changes_total() {
                    return Ok(true);
                }
            }
            after = older;
            if after.is_none() {
                return Ok(false);
            }
        }
    }

    async fn has_job(&self, member_id: &MemberId, now: Timestamp) -> Result<bool, Failure> {
        let last = Job::newest_first(&self.table, member_id, 1);
        let (jobs, _) = self.outbox.rows::<Job>(&last).await?;
        Ok(jobs
            .iter()
            .any(|job| job.status.waits() && self.is_young(job.queued_at, now)))
    }

    /// Returns the time of the member's first movement: from then on, the chain has a balance to mirror.
    async fn first_movement(&self, member_id: &MemberId) -> Result<Option<Timestamp>, Failure> {
        let first = Query {
            descending: false,
            ..Movement::statement(&self.table, member_id.as_str(), 1)
        };
        let (lines, _) = self.outbox.rows::<Moved>(&first).await?;
        Ok(lines.first().map(|line| line.occurred_at))
    }

    async fn compare(
        &self,
        booked: &Booked,
        balance: &Result<BigUint, Fault>,
        mut page: Paged<Place>,
    ) -> Result<Paged<Place>, Failure> {
        let member_id = &booked.member.member_id;
        let units = match balance {
            Ok(units) => units.clone(),
            Err(fault) => {
                tracing::warn!(%member_id, error = chain(fault), "balance not read");
                let note = format!("balance of {member_id} not read: {}", chain(fault));
                return Ok(page.count("unread", 1).note(note));
            }
        };
        let now = page.transaction.now();
        let on_chain = OnChain::new(units, self.limits.decimals);
        let finding = Finding {
            member: &booked.member,
            books: books(booked.account.state()),
            chain: &on_chain,
        };
        let version = booked.record.next_version()?;
        let step = finding.step(booked.record.state(), version, self.limits.rate, now)?;
        Ok(match step {
            Step::Nothing => page.count("nothing", 1),
            Step::Agreed(record) => {
                record.save(&mut page.transaction, &booked.record, None)?;
                page.count("agreed", 1)
            }
            Step::Known => page.count("known", 1),
            Step::Diverged(_) if self.is_in_flight(booked, now).await? => {
                page.count("in_flight", 1)
            }
            Step::Diverged(divergence) => {
                let (record, event) = *divergence;
                record.save(&mut page.transaction, &booked.record, Some(&event))?;
                // The transaction checks that the books are still what the event states.
                page.transaction
                    .check(booked.account.key().clone(), booked.account.unchanged());
                tracing::warn!(
                    %member_id, difference = event.difference.as_str(), divergence = record.episode,
                    "books and chain diverge"
                );
                page.count("diverged", 1)
            }
        })
    }
}

#[async_trait]
impl schedule::Job for Reconcile {
    // The job's lease and its pages' marks contain this name: never rename it.
    const NAME: &'static str = topology::functions::cloud_reconcile::FUNCTION.name;
    type Cursor = Place;

    async fn page(
        &self,
        cursor: Option<&Place>,
        transaction: Transaction,
    ) -> Result<Paged<Place>, Failure> {
        let Some(reader) = &self.reader else {
            return Ok(Paged::new(transaction, Next::End).note("no chain configured"));
        };
        let (members, next) = self.members(cursor).await?;
        let next = next.map_or(Next::End, Next::From);
        // The chain is read after the books: what it held before the books were read is not a difference.
        let holders: Vec<&EthereumAddress> = members.iter().map(|one| &one.address).collect();
        let balances = reader.read(&**self.outbox.clock(), &holders).await?;
        let mut page = Paged::new(transaction, next);
        for (booked, balance) in members.iter().zip(&balances) {
            page = self.compare(booked, balance, page).await?;
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests;
