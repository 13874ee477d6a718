//! The jobs of `cloud-chain-sync`: each is of a movement that the log tells of, and there once.
//!
//! The reverse is not provable. A movement has no job where the stack had no chain then, or where the consumer knew no
//! address of the member yet; neither is kept.

use std::collections::HashSet;

use cloud::chain::Job;
use cloud_chain_sync::handler::{ChainSync, Event as Heard};
use consumer::Handler;
use events::{
    Contract, Envelope, Evidence, MemberId, Subscription, TransactionId,
    contracts::cloud::Transferred,
};
use outbox::Item;

use super::super::Kind;
use super::{Audit, advice, count};

/// The word that the partitions of a member's jobs begin with.
pub(super) const JOBS: &str = "chain_job";

/// A movement, as far as jobs tell of it.
#[derive(Debug)]
pub(super) struct Movement {
    transaction_id: TransactionId,
    members: Vec<MemberId>,
}

impl Movement {
    /// What an event moved; credits of nobody's have no member.
    fn of(envelope: &Envelope) -> Option<Self> {
        let (transaction_id, members) = match Heard::decode(envelope).ok()? {
            Heard::Minted(minted) => (
                minted.transaction_id,
                minted.member_id.into_iter().collect(),
            ),
            Heard::Transferred(moved) => (
                moved.transaction_id,
                vec![moved.from_member_id, moved.to_member_id],
            ),
            Heard::Redeemed(redeemed) => (redeemed.transaction_id, vec![redeemed.member_id]),
            Heard::Burned(burned) => (
                burned.transaction_id,
                burned.member_id.into_iter().collect(),
            ),
            Heard::Registered(_) | Heard::Updated(_) => return None,
        };
        Some(Self {
            transaction_id,
            members,
        })
    }
}

impl Audit<'_> {
    /// Keeps what jobs are compared with later.
    pub(super) fn movement(&mut self, envelope: &Envelope) {
        if let Some(movement) = Movement::of(envelope) {
            self.movements.insert(envelope.event_id, movement);
        }
    }

    /// The jobs of one member.
    pub(super) fn chain_jobs(&mut self, items: Vec<Item>) {
        let table = self.sources.tables.cloud.clone();
        self.counts.chain_jobs += count(items.len());
        let mut seen = HashSet::new();
        for item in items {
            let Some(job) = self.typed::<Job>(&table, item) else {
                continue;
            };
            if seen.insert(job.event_id) {
                self.chain_job(&job);
            } else {
                let what = format!("{} has more than one job of it", job.member_id);
                self.of_chain_sync(Kind::Doubled, &job, what, advice::DOUBLED);
            }
        }
    }

    fn chain_job(&mut self, job: &Job) {
        let Some(named) = self.index.get(&job.event_id) else {
            self.job_without_event(job);
            return;
        };
        let event_type = named.event_type.as_str();
        let differing = match self.movements.get(&job.event_id) {
            Some(movement) => {
                let differs = [
                    ("type", event_type != job.event_type.as_str()),
                    ("transaction", movement.transaction_id != job.transaction_id),
                    ("member", !movement.members.contains(&job.member_id)),
                ];
                let differing: Vec<&str> = differs
                    .iter()
                    .filter(|(_, differs)| *differs)
                    .map(|(name, _)| *name)
                    .collect();
                differing.join(", ")
            }
            // Its payload cannot be read, which was told.
            None if Heard::evidence(event_type) == Some(Evidence::Mark) => return,
            None => "kind of event".to_owned(),
        };
        if !differing.is_empty() {
            let what = format!(
                "the job of {} has another {differing} than the event",
                job.member_id
            );
            self.of_chain_sync(Kind::Books, job, what, advice::BOOKS);
        }
    }

    /// A job whose event is not in the log as it was read.
    fn job_without_event(&mut self, job: &Job) {
        if self.is_young(job.queued_at) {
            self.counts.moving += 1;
        } else if self.scope.is_empty() || job.event_type.as_str() != Transferred::TYPE {
            let what = format!(
                "{} has a job of it, the event log does not have it",
                job.member_id
            );
            self.of_chain_sync(Kind::OutOfSequence, job, what, advice::SEQUENCE);
        }
        // Of a transfer, the log of the other side, which is out of sight, may have it.
    }

    fn of_chain_sync(&mut self, kind: Kind, job: &Job, what: String, advice: &'static str) {
        let consumer = Some(ChainSync::NAME);
        self.about(kind, job.event_id, consumer, None, what, advice);
    }
}
