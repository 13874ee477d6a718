//! The job: every member who has an address, books against chain. A divergence is told in the transaction that records it.

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

/// Members of one page. Each may be a record, an event and a check of the account: with the mark and the lease, within a
/// transaction's 100 items.
const MEMBERS_PER_PAGE: u32 = 30;

/// Accounts read at once.
const LOADS_AT_ONCE: usize = 8;

/// Lines of a statement read at once, where it is looked for the last movement that the chain has to follow.
const LINES: u32 = 10;

/// What it compares by.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// The token's decimals.
    pub decimals: TokenDecimals,
    /// US dollars per credit.
    pub rate: Rate,
    /// How long after a movement a difference is no divergence: the chain follows the books.
    pub in_flight: Duration,
    /// How long books and chain may not have agreed before movements excuse nothing any more: a chain that never catches
    /// up follows nobody.
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

/// A member as the books have them.
struct Booked {
    member: Member,
    address: EthereumAddress,
    account: Entity<Account>,
    record: Entity<ChainAccount>,
}

/// How and when an account moved.
#[derive(Deserialize)]
struct Moved {
    kind: Kind,
    occurred_at: Timestamp,
}

impl Reconcile {
    /// Over the domain's table and a chain; without one there is nothing to do.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table, reader: Option<Reader>, limits: Limits) -> Self {
        Self {
            outbox,
            table,
            reader,
            limits,
        }
    }

    /// The next members who have an address, as the books have them.
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

    /// Whether the chain may still be on its way to what the books say: credits came or went, or a job was queued, within
    /// the time that it may take. Not where it has not caught up for too long, however often they move.
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

    /// Whether what the chain mirrors has changed lately: stakes move nothing there.
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

    /// When the member first had credits: since then the chain has something to mirror.
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
            Step::Diverged(told) => {
                let (record, event) = *told;
                record.save(&mut page.transaction, &booked.record, Some(&event))?;
                // What is told of the books still holds when it is told.
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
    // The identity of its lease and of its pages' marks: never rename it.
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
        // After the books: what the chain had before is no difference.
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
