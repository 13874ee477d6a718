//! A job: a movement in the books that has to appear on the chain.

use std::time::Duration;

use events::{EthereumAddress, EventId, EventType, MemberId, Timestamp, TransactionId};
use outbox::{BuildError, Condition, Cursor, Index, Item, Key, Query, Table, Transaction};
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::{
    member::{SHARDS, shard_of},
    quantity::OnChain,
};

/// The sparse index of the jobs that wait. The partition is the shard, and sort keys begin with the member, so the jobs
/// of a member are next to each other. The index holds only keys and can lag behind, so the rows themselves are read
/// before anything is decided.
pub const QUEUE: Index = Index {
    name: "chain_queue",
    partition: "chain_queue",
    sort: "chain_queued",
};

/// The status of a job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// The job is stored. The chain has not been read for it yet.
    Queued,
    /// The chain has been read for it but did not show the books' balance, or could not be read.
    Submitted,
    /// The chain showed the books' balance as it is now, or as it was after this movement or a later one.
    Confirmed,
    /// The chain did not show the balance in time.
    Failed,
}

impl Status {
    /// Whether it still waits for the chain.
    #[must_use]
    pub const fn waits(self) -> bool {
        matches!(self, Self::Queued | Self::Submitted)
    }

    /// The status as text, in rows, logs and records.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Submitted => "submitted",
            Self::Confirmed => "confirmed",
            Self::Failed => "failed",
        }
    }
}

/// A job of one member. A transfer has two jobs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// The member whose balance has to change.
    pub member_id: MemberId,
    /// The member's address when the job was queued.
    pub ethereum_address: EthereumAddress,
    /// The type of the event.
    pub event_type: EventType,
    /// The event that recorded the movement.
    pub event_id: EventId,
    /// The movement in the books.
    pub transaction_id: TransactionId,
    /// When the job was queued.
    pub queued_at: Timestamp,
    /// The status.
    pub status: Status,
    /// When the chain was first read for the job.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub submitted_at: Option<Timestamp>,
    /// When the job was confirmed or failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended_at: Option<Timestamp>,
    /// Why the job failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What was read of a member's balance after the job was read.
#[derive(Debug, Clone, Copy)]
pub enum BalanceReading<'a> {
    /// The chain shows the books' balance as it is now, or as it was after this movement or a later one.
    Agrees,
    /// The chain shows another balance.
    Differs {
        /// The balance in the books.
        books: Decimal,
        /// The balance on the chain.
        chain: &'a OnChain,
    },
    /// The chain's answer for this address is not a balance.
    Unreadable {
        /// Why it is not.
        why: &'a str,
    },
}

/// What has to be done with a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Judgement {
    /// The job is replaced by this one.
    Becomes(Box<Job>),
    /// The job keeps waiting, and its row already says so.
    Waits,
}

/// The row: the job, and the attributes of the index while it waits.
#[derive(Serialize)]
struct JobRow<'a> {
    #[serde(flatten)]
    job: &'a Job,
    chain_queue: Option<String>,
    chain_queued: Option<String>,
}

impl Job {
    /// The key of the row.
    #[must_use]
    pub fn key(&self, table: &Table) -> Key {
        let sk = format!("{}#{}", self.queued_at, self.event_id);
        table.key(partition(&self.member_id), sk)
    }

    /// The key of the row that an item of the index names; `None` if the item does not belong to a job.
    #[must_use]
    pub fn key_in_index(table: &Table, item: &Item) -> Option<Key> {
        let attribute = |name: &str| item.get(name)?.as_str();
        Some(table.key(attribute(table.partition())?, attribute(table.sort()?)?))
    }

    /// A page of the waiting jobs of a shard, 0 to [`SHARDS`] − 1, from the index.
    #[must_use]
    pub fn waiting(table: &Table, shard: u8, limit: u32, after: Option<Cursor>) -> Query {
        Query {
            index: Some(QUEUE),
            after,
            ..Query::partition(table, shard.min(SHARDS - 1).to_string(), limit)
        }
    }

    /// A member's jobs, the last queued one first, at most `limit`.
    #[must_use]
    pub fn newest_first(table: &Table, member_id: &MemberId, limit: u32) -> Query {
        Query {
            descending: true,
            ..Query::partition(table, partition(member_id), limit)
        }
    }

    /// What has to be done with the job, given the reading. `limit` is how long the chain is allowed to take.
    ///
    /// If the first reading already agrees, the job is submitted and confirmed at once.
    #[must_use]
    pub fn judged(&self, seen: BalanceReading<'_>, now: Timestamp, limit: Duration) -> Judgement {
        let late = now.since(self.queued_at) > limit;
        let (status, reason) = match seen {
            BalanceReading::Agrees => (Status::Confirmed, None),
            BalanceReading::Differs { books, chain } if late => (
                Status::Failed,
                Some(format!(
                    "after {} s the chain says {} and the books {}",
                    limit.as_secs(),
                    chain.text(),
                    books.normalize()
                )),
            ),
            BalanceReading::Unreadable { why } if late => (
                Status::Failed,
                Some(format!(
                    "the chain's balance could not be read for {} s: {why}",
                    limit.as_secs()
                )),
            ),
            BalanceReading::Differs { .. } | BalanceReading::Unreadable { .. }
                if self.status == Status::Queued =>
            {
                (Status::Submitted, None)
            }
            BalanceReading::Differs { .. } | BalanceReading::Unreadable { .. } => {
                return Judgement::Waits;
            }
        };
        Judgement::Becomes(Box::new(Self {
            status,
            submitted_at: self.submitted_at.or(Some(now)),
            ended_at: (!status.waits()).then_some(now),
            reason,
            ..self.clone()
        }))
    }

    /// Puts a new job into the transaction.
    ///
    /// # Errors
    /// [`BuildError::Row`] if the job cannot be written as an item.
    pub fn queue(&self, transaction: &mut Transaction, table: &Table) -> Result<(), BuildError> {
        transaction.insert(self.key(table), &self.row())
    }

    /// Puts the job's new state into the transaction, on condition that its status is still the one before.
    ///
    /// # Errors
    /// [`BuildError::Row`] if the job cannot be written as an item.
    pub fn replace(
        &self,
        before: &Self,
        transaction: &mut Transaction,
        table: &Table,
    ) -> Result<(), BuildError> {
        let unchanged = Condition::Equals(vec![("status", before.status.as_str().into())]);
        transaction.put(self.key(table), &self.row(), unchanged)
    }

    fn row(&self) -> JobRow<'_> {
        let waits = self.status.waits();
        JobRow {
            job: self,
            chain_queue: waits.then(|| shard_of(&self.member_id).to_string()),
            chain_queued: waits
                .then(|| format!("{}#{}#{}", self.member_id, self.queued_at, self.event_id)),
        }
    }
}

fn partition(member_id: &MemberId) -> String {
    format!("chain_job#{member_id}")
}

#[cfg(test)]
mod tests {
    use num_bigint::BigUint;

    use super::*;
    use crate::chain::TokenDecimals;

    const LIMIT: Duration = Duration::from_secs(3_600);

    fn job(status: &str) -> Job {
        serde_json::from_value(serde_json::json!({
            "member_id": "ada", "ethereum_address": "0x00000000000000000000000000000000000000aa",
            "event_type": "cloud.minted", "event_id": "018f0000-0000-7000-8000-000000000001",
            "transaction_id": "018f0000-0000-7000-8000-000000000002",
            "queued_at": "2026-01-01T00:00:00.000Z", "status": status,
        }))
        .expect("a job")
    }

    fn after(seconds: u64) -> Timestamp {
        job("queued").queued_at.plus(Duration::from_secs(seconds))
    }

    fn chain() -> OnChain {
        let decimals = TokenDecimals::new(18).expect("few enough");
        OnChain::new(BigUint::from(5_u8), decimals)
    }

    fn becomes(judgement: Judgement) -> Job {
        match judgement {
            Judgement::Becomes(job) => *job,
            Judgement::Waits => panic!("it waits"),
        }
    }

    #[test]
    fn a_job_is_confirmed_as_soon_as_the_chain_bears_it_out_however_late() {
        for (status, seconds) in [("queued", 1), ("submitted", 60), ("submitted", 99_999)] {
            let now = after(seconds);
            let confirmed = becomes(job(status).judged(BalanceReading::Agrees, now, LIMIT));
            assert_eq!(confirmed.status, Status::Confirmed);
            assert_eq!(confirmed.ended_at, Some(now));
            assert_eq!(confirmed.submitted_at, Some(now));
            assert_eq!(confirmed.reason, None);
        }
    }

    #[test]
    fn a_job_that_waits_is_written_once_and_has_failed_when_its_time_is_over() {
        let chain = chain();
        let books = Decimal::new(25, 1);
        for (seen, says) in [
            (
                BalanceReading::Differs {
                    books,
                    chain: &chain,
                },
                "the chain says 0.000000000000000005 and the books 2.5",
            ),
            (
                BalanceReading::Unreadable {
                    why: "no number: 0xzz",
                },
                "could not be read for 3600 s: no number: 0xzz",
            ),
        ] {
            let submitted = becomes(job("queued").judged(seen, after(1), LIMIT));
            assert_eq!(submitted.status, Status::Submitted);
            assert_eq!(submitted.ended_at, None);
            assert_eq!(
                submitted.judged(seen, after(3_600), LIMIT),
                Judgement::Waits
            );
            let failed = becomes(submitted.judged(seen, after(3_601), LIMIT));
            assert_eq!(failed.status, Status::Failed);
            assert_eq!(failed.submitted_at, Some(after(1)));
            assert!(failed.reason.expect("a reason").contains(says));
            let at_once = becomes(job("queued").judged(seen, after(3_601), LIMIT));
            assert_eq!(at_once.status, Status::Failed);
        }
    }

    #[test]
    fn only_what_waits_is_in_the_index_and_one_members_jobs_stand_together() {
        let item = |job: &Job| serde_json::to_value(job.row()).expect("serialises");
        let waiting = item(&job("submitted"));
        assert!(
            waiting["chain_queued"]
                .as_str()
                .is_some_and(|text| text.starts_with("ada#2026-01-01T00:00:00.000Z#"))
        );
        assert!(waiting["chain_queue"].is_string());
        for status in ["confirmed", "failed"] {
            let ended = item(&job(status));
            assert!(ended["chain_queue"].is_null() && ended["chain_queued"].is_null());
        }
        for status in [
            Status::Queued,
            Status::Submitted,
            Status::Confirmed,
            Status::Failed,
        ] {
            assert_eq!(
                serde_json::json!(status),
                status.as_str(),
                "the condition's word"
            );
        }
    }
}
