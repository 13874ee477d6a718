//! The job compares books and chain once for each member whose jobs wait. That comparison judges all of the member's
//! jobs.

use std::{collections::BTreeMap, time::Duration};

use async_trait::async_trait;
use cloud::{
    Account,
    account::Movement,
    chain::{
        BalanceReading, ChainAccount, Difference, Job, Judgement, Member, OnChain, Past, Place,
        Status, TokenDecimals, books, walk,
    },
};
use consumer::{
    Failure,
    schedule::{self, Next, Paged},
};
use ethereum::Reader;
use events::{EthereumAddress, MemberId, Timestamp};
use futures::{StreamExt, TryStreamExt, stream};
use num_bigint::BigUint;
use outbox::{Entity, Fault, FaultKind, Item, Key, Outbox, Table, Transaction, chain, decode_item};
use rust_decimal::Decimal;
use telemetry::metrics::Counter;

/// The number of jobs in a page. A page writes each job, a record for each of their members, the mark and the lease,
/// and all of it must fit into a transaction's 100 items.
const JOBS_PER_PAGE: u32 = 40;

/// Members whose rows are read at the same time.
const LOADS_AT_ONCE: usize = 8;

/// The job `cloud-chain-worker`.
#[derive(Debug)]
pub struct Worker {
    outbox: Outbox,
    table: Table,
    reader: Option<Reader>,
    decimals: TokenDecimals,
    confirm_within: Duration,
}

/// The waiting jobs of one member, and what the books say.
struct MemberJobs {
    member_id: MemberId,
    address: EthereumAddress,
    jobs: Vec<Job>,
    account: Entity<Account>,
    record: Entity<ChainAccount>,
}

/// The result of comparing a member's balance on the chain with the books.
enum Comparison {
    /// Chain and books agree.
    Agrees,
    /// The chain has another balance than the books.
    Differs {
        books: Decimal,
        chain: OnChain,
        past: Past,
    },
    /// The balance could not be read.
    Unread(Fault),
}

impl Worker {
    /// Creates the job over the domain's table and a chain. Without a chain it does nothing.
    #[must_use]
    pub fn new(
        outbox: Outbox,
        table: Table,
        reader: Option<Reader>,
        decimals: TokenDecimals,
        confirm_within: Duration,
    ) -> Self {
        Self {
            outbox,
            table,
            reader,
            decimals,
            confirm_within,
        }
    }

    /// Reads what the index of waiting jobs names next, and where it goes on.
    async fn named(
        &self,
        place: Option<&Place>,
        limit: u32,
    ) -> Result<(Vec<Item>, Option<Place>), Failure> {
        let query = |shard, limit, after| Job::waiting(&self.table, shard, limit, after);
        Ok(walk(&self.outbox, place, limit, query, |_| true).await?)
    }

    /// Reads the next waiting jobs. The index names them and may lag behind, so the rows themselves decide whether a
    /// job still waits.
    async fn jobs(&self, place: Option<&Place>) -> Result<(Vec<Job>, Option<Place>), Failure> {
        let (named, next) = self.named(place, JOBS_PER_PAGE).await?;
        let keys: Vec<Key> = named
            .iter()
            .filter_map(|item| Job::key_in_index(&self.table, item))
            .collect();
        let mut jobs = Vec::with_capacity(keys.len());
        if !keys.is_empty() {
            let rows = self.outbox.store().get_many(&keys).await?;
            for (key, item) in keys.iter().zip(rows) {
                let Some(item) = item else { continue };
                let job: Job = decode_item(key, item)?;
                if job.status.waits() {
                    jobs.push(job);
                }
            }
        }
        Ok((jobs, next))
    }

    /// Groups the jobs by member. The books are read after the jobs, so they contain at least the movement of each of
    /// these jobs.
    async fn by_member(&self, jobs: Vec<Job>) -> Result<Vec<MemberJobs>, Failure> {
        let mut by_member: BTreeMap<MemberId, Vec<Job>> = BTreeMap::new();
        for job in jobs {
            by_member
                .entry(job.member_id.clone())
                .or_default()
                .push(job);
        }
        let loads: Vec<_> = by_member
            .into_iter()
            .map(|(member_id, jobs)| self.load(member_id, jobs))
            .collect();
        stream::iter(loads)
            .buffered(LOADS_AT_ONCE)
            .try_filter_map(|waiting| async move { Ok(waiting) })
            .try_collect()
            .await
    }

    async fn load(
        &self,
        member_id: MemberId,
        jobs: Vec<Job>,
    ) -> Result<Option<MemberJobs>, Failure> {
        let Some(queued_for) = jobs.last().map(|job| job.ethereum_address.clone()) else {
            return Ok(None);
        };
        let key = Member::key(&self.table, &member_id);
        let member: Option<Member> = self.outbox.row(&key).await?;
        // The tokens are at the member's current address.
        let address = member
            .and_then(|member| member.ethereum_address)
            .unwrap_or(queued_for);
        let account = self
            .outbox
            .load::<Account>(&self.table, member_id.as_str())
            .await?;
        let record = self
            .outbox
            .load::<ChainAccount>(&self.table, member_id.as_str())
            .await?;
        Ok(Some(MemberJobs {
            member_id,
            address,
            jobs,
            account,
            record,
        }))
    }

    /// Compares the balance with the books. If they differ, it also looks up the earlier states of the books.
    async fn comparison(
        &self,
        waiting: &MemberJobs,
        balance: Result<BigUint, Fault>,
    ) -> Result<Comparison, Failure> {
        let units = match balance {
            Ok(units) => units,
            Err(fault) => return Ok(Comparison::Unread(fault)),
        };
        let account = waiting.account.state();
        let (books, chain) = (books(account), OnChain::new(units, self.decimals));
        if Difference::of(books, &chain).is_zero() {
            return Ok(Comparison::Agrees);
        }
        let id = waiting.member_id.as_str();
        let statement = Movement::statement(&self.table, id, Past::LINES);
        let (lines, older) = self.outbox.rows::<Movement>(&statement).await?;
        let past = Past::of(account, &lines, older.is_some());
        Ok(Comparison::Differs { books, chain, past })
    }

    /// Judges a member's jobs by the comparison. Without an answer from the chain, it changes nothing.
    fn judge(
        &self,
        waiting: &MemberJobs,
        comparison: &Comparison,
        mut page: Paged<Place>,
    ) -> Result<Paged<Place>, Failure> {
        let now = page.transaction.now();
        let member_id = &waiting.member_id;
        let mut why = String::new();
        match comparison {
            Comparison::Agrees => {
                let record = ChainAccount::agreed(waiting.record.state(), now);
                record.save(&mut page.transaction, &waiting.record, None)?;
            }
            Comparison::Differs { .. } => {}
            Comparison::Unread(fault) => {
                why = chain(fault);
                tracing::warn!(%member_id, error = why, "balance not read");
                page = page.note(format!("balance of {member_id} not read: {why}"));
                if matches!(fault.kind, FaultKind::Unavailable | FaultKind::Denied) {
                    let waits = u64::try_from(waiting.jobs.len())?;
                    return Ok(page.count("unavailable", waits));
                }
            }
        }
        for job in &waiting.jobs {
            let seen = match comparison {
                Comparison::Agrees => BalanceReading::Agrees,
                Comparison::Differs { chain, past, .. }
                    if past.bears_out(job.transaction_id, chain) =>
                {
                    BalanceReading::Agrees
                }
                Comparison::Differs { books, chain, .. } => BalanceReading::Differs {
                    books: *books,
                    chain,
                },
                Comparison::Unread(_) => BalanceReading::Unreadable { why: &why },
            };
            let Judgement::Becomes(judged) = job.judged(seen, now, self.confirm_within) else {
                page = page.count("waiting", 1);
                continue;
            };
            judged.replace(job, &mut page.transaction, &self.table)?;
            page = page.count(
                match judged.status {
                    Status::Queued | Status::Submitted => "submitted",
                    Status::Confirmed => "confirmed",
                    Status::Failed => "failed",
                },
                1,
            );
            if let Some(reason) = &judged.reason {
                let transaction_id = judged.transaction_id;
                tracing::warn!(%member_id, %transaction_id, reason, "job failed");
                page = page.note(format!(
                    "job of {member_id}, transaction {transaction_id}, failed: {reason}"
                ));
            }
        }
        Ok(page)
    }
}

#[async_trait]
impl schedule::Job for Worker {
    // The job's lease and its pages' marks contain this name: never rename it.
    const NAME: &'static str = topology::functions::cloud_chain_worker::FUNCTION.name;
    const METRICS: &'static [(&'static str, Counter)] = &[("failed", Counter::ChainJobFailed)];
    type Cursor = Place;

    async fn has_work(&self, _: Timestamp) -> Result<bool, Failure> {
        if self.reader.is_none() {
            // The page says that there is no chain.
            return Ok(true);
        }
        // A walk that found nothing and is not at its end may still find something.
        let (named, next) = self.named(None, 1).await?;
        Ok(!named.is_empty() || next.is_some())
    }

    async fn page(
        &self,
        cursor: Option<&Place>,
        transaction: Transaction,
    ) -> Result<Paged<Place>, Failure> {
        let Some(reader) = &self.reader else {
            return Ok(Paged::new(transaction, Next::End).note("no chain configured"));
        };
        let (jobs, next) = self.jobs(cursor).await?;
        let next = next.map_or(Next::End, Next::From);
        let waiting = self.by_member(jobs).await?;
        // The chain is read after the books: what it held before the books were read is not a difference.
        let holders: Vec<&EthereumAddress> = waiting.iter().map(|one| &one.address).collect();
        let balances = reader.read(&**self.outbox.clock(), &holders).await?;
        let comparisons: Vec<_> = waiting
            .iter()
            .zip(balances)
            .map(|(waiting, balance)| self.comparison(waiting, balance))
            .collect();
        let comparisons: Vec<Comparison> = stream::iter(comparisons)
            .buffered(LOADS_AT_ONCE)
            .try_collect()
            .await?;
        let mut page = Paged::new(transaction, next);
        for (waiting, comparison) in waiting.iter().zip(&comparisons) {
            page = self.judge(waiting, comparison, page)?;
        }
        Ok(page)
    }
}

#[cfg(test)]
mod tests;
