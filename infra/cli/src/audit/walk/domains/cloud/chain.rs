//! The jobs of `cloud-chain-sync`: each belongs to a movement in the log, and exists once.
//!
//! The reverse cannot be checked. A movement has no job if the stack had no chain at that time, or if the consumer did
//! not know the member's address yet, and neither is recorded.

use std::collections::{HashMap, HashSet};

use cloud::chain::Job;
use events::{
    Contract, Envelope, EventId, Evidence, MemberId, Subscription, TransactionId,
    contracts::cloud::Transferred,
};
use outbox::{Item, Table};
use topology::functions::cloud_chain_sync::{Event as Heard, FUNCTION};

use crate::audit::{
    Kind,
    walk::{
        advice,
        audit::{Audit, count},
    },
};

/// The first word of the partition of a member's jobs.
pub(super) const JOBS: &str = "chain_job";

/// The parts of a movement that a job has.
#[derive(Debug)]
struct Movement {
    transaction_id: TransactionId,
    members: Vec<MemberId>,
}

impl Movement {
    /// The movement of an event. Unallocated credits have no member.
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

/// The log's movements, and the jobs compared with them.
#[derive(Debug, Default)]
pub(super) struct Jobs {
    movements: HashMap<EventId, Movement>,
    /// How many jobs exist.
    pub(super) compared: u64,
}

impl Jobs {
    /// Keeps a movement for the later comparison with jobs.
    pub(super) fn enter(&mut self, envelope: &Envelope) {
        if let Some(movement) = Movement::of(envelope) {
            self.movements.insert(envelope.event_id, movement);
        }
    }

    /// Checks the jobs of one member.
    pub(super) fn of_member(&mut self, audit: &mut Audit<'_>, table: &Table, items: Vec<Item>) {
        self.compared += count(items.len());
        let mut seen = HashSet::new();
        for item in items {
            let Some(job) = audit.typed::<Job>(table, item) else {
                continue;
            };
            if seen.insert(job.event_id) {
                self.check(audit, &job);
            } else {
                let what = format!("{} has more than one job of it", job.member_id);
                of_chain_sync(audit, Kind::Doubled, &job, what, advice::DOUBLED);
            }
        }
    }

    fn check(&self, audit: &mut Audit<'_>, job: &Job) {
        let Some(named) = audit.index.get(&job.event_id) else {
            without_event(audit, job);
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
            // The event's payload cannot be read, which was reported.
            None if Heard::evidence(event_type) == Some(Evidence::Mark) => return,
            None => "kind of event".to_owned(),
        };
        if !differing.is_empty() {
            let what = format!(
                "the job of {} has another {differing} than the event",
                job.member_id
            );
            of_chain_sync(audit, Kind::Books, job, what, advice::BOOKS);
        }
    }
}

/// Reports a job whose event was not in the log when it was read.
fn without_event(audit: &mut Audit<'_>, job: &Job) {
    if audit.is_young(job.queued_at) {
        audit.counts.moving += 1;
    } else if audit.is_whole() || job.event_type.as_str() != Transferred::TYPE {
        let what = format!(
            "{} has a job of it, the event log does not have it",
            job.member_id
        );
        of_chain_sync(audit, Kind::OutOfSequence, job, what, advice::SEQUENCE);
    }
    // A transfer's event may be in the log of the other account, which is outside the scope.
}

fn of_chain_sync(audit: &mut Audit<'_>, kind: Kind, job: &Job, what: String, advice: &'static str) {
    let consumer = Some(FUNCTION.name);
    audit.about(kind, job.event_id, consumer, None, what, advice);
}
