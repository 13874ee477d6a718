//! The event log: numbers without gaps, envelopes that agree with their rows, publication, and the evidence that each
//! event was handled.

use std::time::Duration;

use analytics::handler::Analytics;
use cloud::{books::outstanding_change, totals};
use consumer::Handler as _;
use events::{
    Contract, Envelope, Retention, Timestamp,
    contracts::{
        cloud::RateCardCreated,
        member::{Registered, Updated},
        treasury::AccountChanged,
    },
};
use outbox::{Item, Key, MARK_LIFE, log::Row};
use serde_json::Value;

use super::super::{Error, Kind, evidence::Shown};
use super::{Aggregate, Audit, Event, Named, Open, STREAM_LIFE, advice, shown, span, text};

impl Audit<'_> {
    pub(super) async fn log(&mut self) -> Result<(), Error> {
        let events = self.sources.tables.events.clone();
        for place in self.places(&events, |aggregate| Some(aggregate.to_owned())) {
            let mut after = None;
            loop {
                let page = self.page(&place, after).await?;
                let mut read = Vec::new();
                for item in page.items {
                    read.extend(self.row(item));
                }
                self.evidence(read).await?;
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    /// Reads a row of the log and enters it wherever it is needed later.
    pub(super) fn row(&mut self, item: Item) -> Option<Event> {
        self.counts.events += 1;
        let aggregate = text(&item, "aggregate").unwrap_or_default().to_owned();
        let sequence = item.get("sequence").and_then(Value::as_u64).unwrap_or(0);
        let unreadable = |audit: &mut Self, what: String| {
            audit.in_sequence(&aggregate, sequence, None);
            // What its last event states is not known any more.
            audit.stated.remove(&aggregate);
            audit.found(
                Kind::Unreadable,
                Some(&aggregate),
                Some(sequence),
                what,
                "a row of the event log",
                advice::UNREADABLE,
            );
            None
        };
        let row = match Row::read(item) {
            Ok(row) => row,
            Err(name) => {
                return unreadable(self, format!("attribute {name} is missing or malformed"));
            }
        };
        let envelope: Envelope = match serde_json::from_str(row.envelope_json()) {
            Ok(envelope) => envelope,
            Err(error) => return unreadable(self, format!("the envelope cannot be read: {error}")),
        };
        let differs = [
            ("aggregate", envelope.aggregate() != row.aggregate),
            ("sequence", envelope.sequence.number() != row.sequence),
            ("event_id", envelope.event_id.to_string() != row.event_id),
            ("event_type", envelope.event_type.as_str() != row.event_type),
        ];
        let differing: Vec<&str> = differs
            .iter()
            .filter(|(_, differs)| *differs)
            .map(|(name, _)| *name)
            .collect();
        if !differing.is_empty() {
            return unreadable(
                self,
                format!(
                    "the envelope of event {} says another {} than its row",
                    envelope.event_id,
                    differing.join(", ")
                ),
            );
        }
        self.in_sequence(&aggregate, sequence, Some((&envelope, row.committed_at)));
        let named = Named {
            event_type: row.event_type.clone(),
            aggregate,
            sequence,
            committed_at: row.committed_at,
            published_at: row.published_at(),
        };
        self.once(&envelope, named);
        self.proposal_first(&envelope);
        self.payload(&envelope);
        Some(Event {
            envelope,
            row,
            handled_by: Vec::new(),
        })
    }

    pub(super) fn in_sequence(
        &mut self,
        aggregate: &str,
        sequence: u64,
        event: Option<(&Envelope, Timestamp)>,
    ) {
        let kept = event.and_then(|(envelope, _)| {
            let version = envelope.event_version.number();
            let entry = self.registry.get(envelope.event_type.as_str(), version)?;
            match entry.info().retention {
                Retention::Days(days) => Some(Duration::from_secs(u64::from(days) * 86_400)),
                Retention::Forever => None,
            }
        });
        let fresh = Aggregate {
            first: sequence,
            last: 0,
            last_event: None,
            last_committed_at: None,
            kept: None,
            whole: true,
            has_state: false,
        };
        let known = self.aggregates.entry(aggregate.to_owned()).or_insert(fresh);
        known.kept = kept.or(known.kept);
        let missing = sequence.saturating_sub(known.last + 1);
        if missing > 0 {
            known.whole = false;
            // An expired row is no gap. Those after a row that cannot have expired yet cannot have, either.
            let may_be_gone = known.kept.is_some_and(|kept| {
                known
                    .last_committed_at
                    .is_none_or(|at| self.started_at.since(at) >= kept)
            });
            if may_be_gone {
                self.counts.expired += missing;
            } else {
                let from = known.last + 1;
                let which = if missing == 1 {
                    format!("event {from} is missing")
                } else {
                    format!("events {from} to {} are missing", sequence - 1)
                };
                self.found(
                    Kind::OutOfSequence,
                    Some(aggregate),
                    Some(from),
                    format!("{which} in the event log, before event {sequence}"),
                    "a gap in the event log",
                    advice::SEQUENCE,
                );
            }
        }
        if let Some(known) = self.aggregates.get_mut(aggregate) {
            known.last = sequence.max(known.last);
            if let Some((envelope, committed_at)) = event {
                known.last_event = Some(envelope.event_id);
                known.last_committed_at = Some(committed_at);
            }
        }
    }

    /// No id twice, no fact twice.
    pub(super) fn once(&mut self, envelope: &Envelope, named: Named) {
        let event_id = envelope.event_id;
        let place = format!("{} {}", shown(&named.aggregate), named.sequence);
        if let Some(first) = self.index.get(&event_id) {
            let what = format!(
                "the same event id stands at {} {} and at {place}",
                shown(&first.aggregate),
                first.sequence
            );
            self.about(Kind::Doubled, event_id, None, None, what, advice::TWICE);
            return;
        }
        self.index.insert(event_id, named);
        if let Some(key) = &envelope.idempotency_key {
            let fact = (
                envelope.event_type.to_string(),
                envelope.aggregate(),
                key.to_string(),
            );
            if let Some(first) = self.facts.get(&fact) {
                let what = format!("tells the same fact ({key}) as event {first}");
                self.about(Kind::Doubled, event_id, None, None, what, advice::TWICE);
            } else {
                self.facts.insert(fact, event_id);
            }
        }
    }

    /// A rate card is proposed once, and that is its first event.
    fn proposal_first(&mut self, envelope: &Envelope) {
        if envelope.aggregate_type.as_str() != RateCardCreated::AGGREGATE {
            return;
        }
        let is_first = envelope.sequence.number() == 1;
        let is_proposal = envelope.event_type.as_str() == RateCardCreated::TYPE;
        let (kind, what) = match (is_first, is_proposal) {
            (true, false) => (
                Kind::OutOfSequence,
                "it is the first event of a rate card and does not propose it",
            ),
            (false, true) => (
                Kind::Doubled,
                "proposes a rate card that has events already",
            ),
            (true, true) | (false, false) => return,
        };
        let event_id = envelope.event_id;
        self.about(kind, event_id, None, None, what.to_owned(), advice::TWICE);
    }

    /// Whether the payload keeps its contract; what books and states are compared with later.
    pub(super) fn payload(&mut self, envelope: &Envelope) {
        let version = envelope.event_version.number();
        let json = envelope.payload.json();
        let event_type = envelope.event_type.as_str();
        let kept = match self.registry.get(event_type, version) {
            None => {
                self.counts.unknown_types += 1;
                return;
            }
            Some(entry) => entry.decodes(json),
        };
        let entered = kept.and_then(|()| {
            self.books
                .enter(envelope)
                .and_then(|_| self.wallets.books.enter(envelope))
                .map_err(|error| error.to_string())
        });
        if let Err(error) = entered {
            let what = format!("the payload breaks its contract: {error}");
            self.about(
                Kind::Unreadable,
                envelope.event_id,
                None,
                None,
                what,
                advice::UNREADABLE,
            );
            return;
        }
        self.movement(envelope);
        self.settlements.enter(envelope);
        if [Registered::TYPE, Updated::TYPE, AccountChanged::TYPE].contains(&event_type)
            && let Ok(payload) = serde_json::from_str::<Value>(json)
        {
            let wanted = payload.pointer("/notification_preferences/in_app_enabled");
            if wanted == Some(&Value::Bool(false)) {
                self.notes_off.insert(envelope.aggregate_id.to_string());
            }
            self.stated.insert(envelope.aggregate(), payload);
        }
    }

    /// Looks which consumers handled the events of a page.
    pub(super) async fn evidence(&mut self, mut page: Vec<Event>) -> Result<(), Error> {
        let mut asked = Vec::new();
        for (place, event) in page.iter().enumerate() {
            for (number, consumer) in self.watched.iter().enumerate() {
                // What breaks its contract was named already.
                if let Ok(Some(proof)) =
                    consumer.proof(&event.envelope, &self.sources.tables.evidence())
                {
                    asked.push((place, number, proof));
                }
            }
        }
        let keys: Vec<Key> = asked
            .iter()
            .map(|(_, _, proof)| proof.key().clone())
            .collect();
        let items = self.items(&keys).await?;
        let mut unseen = Vec::new();
        for ((place, number, proof), item) in asked.into_iter().zip(items) {
            let Some(event) = page.get_mut(place) else {
                continue;
            };
            let name = self
                .watched
                .get(number)
                .map_or("", |consumer| consumer.name);
            let published_at = event.row.published_at();
            match proof.shown_by(item.as_ref()) {
                Shown::Yes => {
                    event.handled_by.push(name);
                    self.counts.handled += 1;
                    self.counted(name, &event.envelope, true);
                }
                Shown::Otherwise => {
                    event.handled_by.push(name);
                    self.about(
                        Kind::Books,
                        event.envelope.event_id,
                        Some(name),
                        Some(format!("handled by {name}")),
                        format!(
                            "{} is of the event's version and says something else",
                            proof.key()
                        ),
                        advice::BOOKS,
                    );
                }
                Shown::No => {
                    // A mark lives 30 days from the handling on, which is not before the publication.
                    let gone =
                        proof.expires() && published_at.is_some_and(|at| self.age(at) >= MARK_LIFE);
                    if gone {
                        self.counts.not_provable += 1;
                        // Consumers of the first day handled everything; of a later one nobody knows since when.
                        let from_the_first_day = name != Analytics::NAME;
                        self.counted(name, &event.envelope, from_the_first_day);
                    } else {
                        unseen.push((place, number, proof));
                    }
                }
            }
        }
        for event in &page {
            self.expect_notes(event);
            self.expect_fanout(event);
            self.expect_in_feed(event);
            self.publication(event);
        }
        for (place, consumer, proof) in unseen {
            let Some(event) = page.get(place) else {
                continue;
            };
            // What is pending is told as such; nobody can have been expected to handle it.
            if let Some(published_at) = event.row.published_at() {
                self.open.push(Open {
                    consumer,
                    event_id: event.envelope.event_id,
                    proof,
                    handled_by: event.handled_by.clone(),
                    published_at,
                    priority: event.envelope.priority,
                });
            }
            let name = self
                .watched
                .get(consumer)
                .map_or("", |consumer| consumer.name);
            self.counted(name, &event.envelope, false);
        }
        Ok(())
    }

    /// Enters into the rows of totals and counts what was counted, or may have been.
    pub(super) fn counted(&mut self, consumer: &str, envelope: &Envelope, surely: bool) {
        if consumer == Analytics::NAME {
            self.count(envelope, surely);
        }
        if consumer != <cloud_treasury::handler::Treasury as consumer::Handler>::NAME {
            return;
        }
        let Some(change) = outstanding_change(envelope) else {
            return;
        };
        let number = usize::from(totals::shard_of(envelope.event_id));
        if let Some(shard) = self.shards.get_mut(number) {
            let events = if surely {
                &mut shard.counted
            } else {
                &mut shard.uncertain
            };
            events.push((envelope.event_id, change));
        }
    }

    pub(super) fn publication(&mut self, event: &Event) {
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
            format!("handled by {} all the same", event.handled_by.join(", "))
        };
        if let Some(failed_at) = row.failed_at() {
            let error = row.last_error().unwrap_or("no reason kept");
            let what = format!("the bus refused it for good at {failed_at}: {error}");
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
