//! Checks that each event was published, and that each consumer that listens to it has evidence of it.

use std::{collections::HashMap, time::Duration};

use events::Envelope;
use outbox::{Key, MARK_LIFE};

use super::{
    super::{Error, Kind, evidence::ProofStatus},
    advice,
    audit::{Audit, Event, Open, span},
    domains::HandlingStatus,
    run::Run,
};

/// How long the event log's stream remembers a row
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html>, read 2026-11-21).
const STREAM_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

impl Run<'_> {
    /// Looks up which consumers handled the events of a page.
    pub(super) async fn evidence(&mut self, mut page: Vec<Event>) -> Result<(), Error> {
        let mut asked = Vec::new();
        for (place, event) in page.iter().enumerate() {
            for (number, consumer) in self.audit.checked_consumers.iter().enumerate() {
                // An event that breaks its contract was reported already.
                let proof = consumer.proof(&event.envelope, &self.audit.evidence_tables);
                if let Ok(Some(proof)) = proof {
                    asked.push((place, number, proof));
                }
            }
        }
        let keys: Vec<Key> = asked
            .iter()
            .map(|(_, _, proof)| proof.key().clone())
            .collect();
        let items = self.audit.items(&keys).await?;
        let mut unseen = Vec::new();
        for ((place, number, proof), item) in asked.into_iter().zip(items) {
            let Some(event) = page.get_mut(place) else {
                continue;
            };
            let audit = &mut self.audit;
            let name = audit.consumer(number);
            let published_at = event.row.published_at();
            let seen = match proof.status(item.as_ref()) {
                ProofStatus::Handled => {
                    event.handled_by.push(name);
                    audit.counts.handled += 1;
                    HandlingStatus::Handled
                }
                ProofStatus::Differs => {
                    event.handled_by.push(name);
                    let what = format!("{} has the event's version and other content", proof.key());
                    let stopped = Some(format!("handled by {name}"));
                    let event_id = event.envelope.event_id;
                    audit.about(
                        Kind::Books,
                        event_id,
                        Some(name),
                        stopped,
                        what,
                        advice::BOOKS,
                    );
                    continue;
                }
                ProofStatus::Missing => {
                    // A mark lives 60 days from the handling, and the handling is not before the publication.
                    let gone = proof.expires()
                        && published_at.is_some_and(|at| audit.age(at) >= MARK_LIFE);
                    // If the consumer has a row or a cursor of this aggregate, the event was meant for it.
                    let is_older = item.is_none()
                        && published_at.is_some_and(|at| audit.is_before(number, at));
                    match (is_older, gone) {
                        (true, false) => {
                            audit.not_for(number);
                            continue;
                        }
                        (true, true) => {
                            // The consumer's queues may have been created again since it handled this.
                            audit.not_for(number);
                            HandlingStatus::Open
                        }
                        (false, true) => {
                            audit.counts.not_provable += 1;
                            HandlingStatus::Expired
                        }
                        (false, false) => {
                            unseen.push((place, number, proof));
                            continue;
                        }
                    }
                }
            };
            self.seen(name, &event.envelope, seen);
        }
        for event in &page {
            for domain in &mut self.domains {
                domain.on_looked_up(&mut self.audit, event);
            }
            self.audit.publication(event);
        }
        for (place, consumer, proof) in unseen {
            let Some(event) = page.get(place) else {
                continue;
            };
            // A pending event has a finding of its own, and no consumer can have handled it.
            if let Some(published_at) = event.row.published_at() {
                self.audit.open.push(Open {
                    consumer,
                    event_id: event.envelope.event_id,
                    proof,
                    handled_by: event.handled_by.clone(),
                    published_at,
                    priority: event.envelope.priority,
                });
            }
            let name = self.audit.consumer(consumer);
            self.seen(name, &event.envelope, HandlingStatus::Open);
        }
        Ok(())
    }

    fn seen(&mut self, consumer: &str, envelope: &Envelope, seen: HandlingStatus) {
        for domain in &mut self.domains {
            domain.on_evidence(&mut self.audit, consumer, envelope, seen);
        }
    }

    /// Looks up the evidence of unhandled events once more, after lanes and dead letters were read.
    pub(super) async fn second_look(&mut self, depths: &HashMap<String, u64>) -> Result<(), Error> {
        let open = std::mem::take(&mut self.audit.open);
        let keys: Vec<Key> = open.iter().map(|one| one.proof.key().clone()).collect();
        let items = self.audit.items(&keys).await?;
        for (one, item) in open.into_iter().zip(items) {
            if one.proof.status(item.as_ref()) == ProofStatus::Missing {
                self.audit.unhandled(&one, item.as_ref(), depths);
                continue;
            }
            self.audit.counts.handled += 1;
            let name = self.audit.consumer(one.consumer);
            for domain in &mut self.domains {
                domain.on_handled(name, one.event_id);
            }
        }
        Ok(())
    }
}

impl Audit<'_> {
    /// Checks that an event was published, and reports what will become of it if not.
    fn publication(&mut self, event: &Event) {
        let row = &event.row;
        if row.published_at().is_some() {
            self.counts.published += 1;
            return;
        }
        self.counts.pending += 1;
        let event_id = event.envelope.event_id;
        let stopped = if event.handled_by.is_empty() {
            "not relayed".to_owned()
        } else {
            format!("handled by {} nevertheless", event.handled_by.join(", "))
        };
        if let Some(failed_at) = row.failed_at() {
            let error = row.last_error().unwrap_or("no reason recorded");
            let what = format!("the bus refused it permanently at {failed_at}: {error}");
            self.about(
                Kind::Stuck,
                event_id,
                None,
                Some(stopped),
                what,
                advice::REFUSED,
            );
        } else if self.is_young(row.committed_at) {
            self.counts.young += 1;
        } else if !self.options.settled && self.age(row.committed_at) < STREAM_LIFE {
            let what = format!("pending for {}", span(self.age(row.committed_at)));
            self.about(
                Kind::Late,
                event_id,
                None,
                Some(stopped),
                what,
                advice::RELAY,
            );
        } else {
            let what = format!(
                "pending for {}, nothing will relay it",
                span(self.age(row.committed_at))
            );
            self.about(
                Kind::Stuck,
                event_id,
                None,
                Some(stopped),
                what,
                advice::REPUBLISH,
            );
        }
    }
}
