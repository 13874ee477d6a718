//! Checks the event log: numbers have no gaps, envelopes agree with their rows, and no event is there twice.

use events::{Envelope, Timestamp};
use outbox::{Item, Query, SortKey};
use serde_json::Value;

use super::{
    super::{Error, Kind},
    advice,
    audit::{Aggregate, Audit, Event, Named, PAGE, shown, text},
    history::read,
    reading::Pages,
    run::Run,
    sequences::Gap,
};

impl Run<'_> {
    /// Reads the whole log and calls every domain's hooks.
    pub(super) async fn log(&mut self) -> Result<(), Error> {
        let events = self.audit.sources.tables.events.clone();
        let places = self
            .audit
            .places(&events, |aggregate| Some(aggregate.to_owned()));
        let mut pages = Pages::of(places);
        while let Some(items) = pages.next(&mut self.audit).await? {
            let mut read = Vec::new();
            for item in items {
                read.extend(self.row(item));
            }
            self.evidence(read).await?;
        }
        self.look_again().await
    }

    /// Reads seemingly missing rows once more: the scan may have passed their place before they were committed.
    async fn look_again(&mut self) -> Result<(), Error> {
        let events = self.audit.sources.tables.events.clone();
        for (aggregate, gap) in self.audit.gaps() {
            let missing = u32::try_from(gap.missing()).unwrap_or(PAGE);
            let mut after = None;
            loop {
                let query = Query {
                    from: Some(SortKey::Number(gap.first)),
                    after,
                    ..Query::partition(&events, aggregate.as_str(), missing.min(PAGE))
                };
                let page = self.audit.query(&query).await?;
                let mut read = Vec::new();
                let mut is_over = page.next.is_none();
                for item in page.items {
                    let sequence = item.get("sequence").and_then(Value::as_u64);
                    if sequence.is_some_and(|sequence| sequence > gap.last) {
                        is_over = true;
                        break;
                    }
                    read.extend(self.row(item));
                }
                self.evidence(read).await?;
                if is_over {
                    break;
                }
                after = page.next;
            }
        }
        Ok(())
    }

    /// Reads a row of the log and records what later checks need. Rows come in any order.
    fn row(&mut self, item: Item) -> Option<Event> {
        self.audit.counts.events += 1;
        let aggregate = text(&item, "aggregate").unwrap_or_default().to_owned();
        let sequence = item.get("sequence").and_then(Value::as_u64).unwrap_or(0);
        let (row, envelope) = match read(item) {
            Ok(read) => read,
            Err(what) => {
                let audit = &mut self.audit;
                audit.see(&aggregate, sequence, None);
                audit.found(
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
        self.audit
            .see(&aggregate, sequence, Some((&envelope, row.committed_at)));
        let named = Named {
            event_type: row.event_type.clone(),
            aggregate,
            sequence,
            committed_at: row.committed_at,
            published_at: row.published_at(),
        };
        self.audit.once(&envelope, named);
        for domain in &mut self.domains {
            domain.on_row(&mut self.audit, &envelope);
        }
        self.payload(&envelope);
        Some(Event {
            envelope,
            row,
            handled_by: Vec::new(),
        })
    }

    /// Validates the payload. If it is valid, the domains get the event.
    fn payload(&mut self, envelope: &Envelope) {
        let version = envelope.event_version.number();
        let json = envelope.payload.json();
        let event_type = envelope.event_type.as_str();
        let (audit, domains) = (&mut self.audit, &mut self.domains);
        let Some(entry) = audit.registry.get(event_type, version) else {
            audit.counts.unknown_types += 1;
            return;
        };
        let decoded = entry.decodes(json);
        let kept = decoded.and_then(|()| {
            domains
                .iter_mut()
                .try_for_each(|domain| domain.on_event(audit, envelope))
        });
        if let Err(error) = kept {
            let what = format!("the payload breaks its contract: {error}");
            audit.of_event(
                Kind::Unreadable,
                envelope.event_id,
                what,
                advice::UNREADABLE,
            );
        }
    }
}

impl Audit<'_> {
    /// Records the number of a row.
    fn see(&mut self, aggregate: &str, sequence: u64, event: Option<(&Envelope, Timestamp)>) {
        let kept = event.and_then(|(envelope, _)| {
            let version = envelope.event_version.number();
            let entry = self.registry.get(envelope.event_type.as_str(), version)?;
            entry.info().retention.span()
        });
        let known = self.aggregates.entry(aggregate.to_owned()).or_default();
        let committed_at = event.map(|(_, committed_at)| committed_at);
        known.sequences.see(sequence, committed_at);
        if let Some((envelope, committed_at)) = event {
            let this = (sequence, envelope.event_id, committed_at);
            known.last = known.last.max(Some(this));
            known.first = Some(known.first.map_or(this, |first| first.min(this)));
        }
        if let Some(kept) = kept
            && known.kept.is_none_or(|(since, _)| sequence < since)
        {
            known.kept = Some((sequence, kept));
        }
    }

    /// Whether the rows of a gap may have expired. Rows after a row that cannot have expired cannot have expired
    /// either.
    fn may_be_gone(&self, known: &Aggregate, gap: &Gap) -> bool {
        known
            .kept
            .filter(|(since, _)| *since <= gap.last.saturating_add(1))
            .is_some_and(|(_, kept)| gap.after.is_none_or(|at| self.age(at) >= kept))
    }

    /// The missing numbers that cannot have expired, by aggregate.
    fn gaps(&self) -> Vec<(String, Gap)> {
        let aggregates = self.aggregates.iter();
        let gaps = aggregates.flat_map(|(name, known)| {
            let gaps = known.sequences.gaps();
            let gaps = gaps.filter(|gap| !self.may_be_gone(known, gap));
            gaps.map(|gap| (name.clone(), gap))
        });
        gaps.collect()
    }

    /// Reports the missing numbers. To be called once the log was read.
    pub(super) fn missing_events(&mut self) {
        let missing = |known: &Aggregate| {
            let gaps = known.sequences.gaps();
            gaps.map(|gap| gap.missing()).sum::<u64>()
        };
        let all: u64 = self.aggregates.values().map(missing).sum();
        let gaps = self.gaps();
        let named: u64 = gaps.iter().map(|(_, gap)| gap.missing()).sum();
        // An expired row is no gap.
        self.counts.expired += all - named;
        for (aggregate, gap) in gaps {
            let which = if gap.first == gap.last {
                format!("event {} is missing", gap.first)
            } else {
                format!("events {} to {} are missing", gap.first, gap.last)
            };
            self.found(
                Kind::OutOfSequence,
                Some(&aggregate),
                Some(gap.first),
                format!("{which} in the event log, before event {}", gap.last + 1),
                "a gap in the event log",
                advice::SEQUENCE,
            );
        }
    }

    /// Reports ids and facts that are there twice. The row with the lower place counts as the right one, whichever was
    /// read first.
    fn once(&mut self, envelope: &Envelope, named: Named) {
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
                "the same event id is at {} and at {}",
                words(&first),
                words(&second)
            );
            self.index.insert(event_id, first);
            self.of_event(Kind::Doubled, event_id, what, advice::TWICE);
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
            let what = format!("records the same fact ({key}) as event {}", first.1);
            self.of_event(Kind::Doubled, second, what, advice::TWICE);
        }
    }
}
