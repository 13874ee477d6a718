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

use evidence::Shown;

use super::super::{Error, Kind};
use super::{Audit, Event, Named, Open, STREAM_LIFE, advice, reading::Pages, shown, span, text};

impl Audit<'_> {
    pub(super) async fn log(&mut self) -> Result<(), Error> {
        let events = self.sources.tables.events.clone();
        let places = self.places(&events, |aggregate| Some(aggregate.to_owned()));
        let mut pages = Pages::of(places);
        while let Some(items) = pages.next(self).await? {
            let mut read = Vec::new();
            for item in items {
                read.extend(self.row(item));
            }
            self.evidence(read).await?;
        }
        Ok(())
    }

    /// A row of the log and its envelope.
    ///
    /// # Errors
    /// In what they cannot be read, or do not agree.
    pub(super) fn read(item: Item) -> Result<(Row, Envelope), String> {
        let row =
            Row::read(item).map_err(|name| format!("attribute {name} is missing or malformed"))?;
        let envelope: Envelope = serde_json::from_str(row.envelope_json())
            .map_err(|error| format!("the envelope cannot be read: {error}"))?;
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
        if differing.is_empty() {
            return Ok((row, envelope));
        }
        Err(format!(
            "the envelope of event {} says another {} than its row",
            envelope.event_id,
            differing.join(", ")
        ))
    }

    /// Reads a row of the log and enters it wherever it is needed later. Rows come in any order.
    pub(super) fn row(&mut self, item: Item) -> Option<Event> {
        self.counts.events += 1;
        let aggregate = text(&item, "aggregate").unwrap_or_default().to_owned();
        let sequence = item.get("sequence").and_then(Value::as_u64).unwrap_or(0);
        let (row, envelope) = match Self::read(item) {
            Ok(read) => read,
            Err(what) => {
                self.see(&aggregate, sequence, None);
                // What its last event states is not known any more.
                self.state_by(&aggregate, sequence, None);
                self.found(
                    Kind::Unreadable,
                    Some(&aggregate),
                    Some(sequence),
                    what,
                    "a row of the event log",
                    advice::UNREADABLE,
                );
                return None;
            }
        };
        self.see(&aggregate, sequence, Some((&envelope, row.committed_at)));
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

    /// Takes the number of a row.
    fn see(&mut self, aggregate: &str, sequence: u64, event: Option<(&Envelope, Timestamp)>) {
        let kept = event.and_then(|(envelope, _)| {
            let version = envelope.event_version.number();
            let entry = self.registry.get(envelope.event_type.as_str(), version)?;
            match entry.info().retention {
                Retention::Days(days) => Some(Duration::from_secs(u64::from(days) * 86_400)),
                Retention::Forever => None,
            }
        });
        let known = self.aggregates.entry(aggregate.to_owned()).or_default();
        let committed_at = event.map(|(_, committed_at)| committed_at);
        known.sequences.see(sequence, committed_at);
        if let Some((envelope, committed_at)) = event {
            let last = (sequence, envelope.event_id, committed_at);
            known.last = known.last.max(Some(last));
        }
        if let Some(kept) = kept
            && known.kept.is_none_or(|(since, _)| sequence < since)
        {
            known.kept = Some((sequence, kept));
        }
    }

    /// Keeps what an event states of its aggregate's whole state, where no later one does.
    fn state_by(&mut self, aggregate: &str, sequence: u64, payload: Option<Value>) {
        match self.stated.get_mut(aggregate) {
            Some(stated) if stated.0 > sequence => {}
            Some(stated) => *stated = (sequence, payload),
            None => drop(
                self.stated
                    .insert(aggregate.to_owned(), (sequence, payload)),
            ),
        }
    }

    /// Numbers that are missing, now that the log was read.
    pub(super) fn gaps(&mut self) {
        let aggregates = std::mem::take(&mut self.aggregates);
        for (aggregate, known) in &aggregates {
            for gap in known.sequences.gaps() {
                // An expired row is no gap. Those after a row that cannot have expired yet cannot have, either.
                let is_kept_for_a_while = |since: u64| since <= gap.last.saturating_add(1);
                let may_be_gone = known
                    .kept
                    .filter(|(since, _)| is_kept_for_a_while(*since))
                    .is_some_and(|(_, kept)| {
                        gap.after.is_none_or(|at| self.started_at.since(at) >= kept)
                    });
                if may_be_gone {
                    self.counts.expired += gap.missing();
                    continue;
                }
                let which = if gap.first == gap.last {
                    format!("event {} is missing", gap.first)
                } else {
                    format!("events {} to {} are missing", gap.first, gap.last)
                };
                self.found(
                    Kind::OutOfSequence,
                    Some(aggregate),
                    Some(gap.first),
                    format!("{which} in the event log, before event {}", gap.last + 1),
                    "a gap in the event log",
                    advice::SEQUENCE,
                );
            }
        }
        self.aggregates = aggregates;
    }

    /// No id twice, no fact twice: the first by its place is the right one, whichever was read first.
    pub(super) fn once(&mut self, envelope: &Envelope, named: Named) {
        let event_id = envelope.event_id;
        let place = |named: &Named| (named.aggregate.clone(), named.sequence);
        let words = |named: &Named| format!("{} {}", shown(&named.aggregate), named.sequence);
        if let Some(known) = self.index.get(&event_id) {
            let (first, second) = if place(&named) < place(known) {
                (named, known.clone())
            } else {
                (known.clone(), named)
            };
            let what = format!(
                "the same event id stands at {} and at {}",
                words(&first),
                words(&second)
            );
            self.index.insert(event_id, first);
            self.about(Kind::Doubled, event_id, None, None, what, advice::TWICE);
            return;
        }
        let sequence = named.sequence;
        self.index.insert(event_id, named);
        if let Some(key) = &envelope.idempotency_key {
            let fact = (
                envelope.event_type.to_string(),
                envelope.aggregate(),
                key.to_string(),
            );
            let this = (sequence, event_id);
            let Some(known) = self.facts.insert(fact.clone(), this) else {
                return;
            };
            let (first, second) = (known.min(this), known.max(this).1);
            self.facts.insert(fact, first);
            let what = format!("tells the same fact ({key}) as event {}", first.1);
            self.about(Kind::Doubled, second, None, None, what, advice::TWICE);
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
        if [Registered::TYPE, Updated::TYPE, AccountChanged::TYPE].contains(&event_type)
            && let Ok(payload) = serde_json::from_str::<Value>(json)
        {
            let wanted = payload.pointer("/notification_preferences/in_app_enabled");
            if wanted == Some(&Value::Bool(false)) {
                self.notes_off.insert(envelope.aggregate_id.to_string());
            }
            let sequence = envelope.sequence.number();
            self.state_by(&envelope.aggregate(), sequence, Some(payload));
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
                    // Where the consumer has a row or a cursor already, this event was for it, too.
                    let is_older =
                        item.is_none() && published_at.is_some_and(|at| self.is_before(number, at));
                    if is_older {
                        self.not_for(number);
                        if gone {
                            // Unless its queues were made anew, and it was counted by then.
                            self.counted(name, &event.envelope, false);
                        }
                    } else if gone {
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
