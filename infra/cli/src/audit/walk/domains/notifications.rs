//! Compares the notes that members must have with the notes they have, and checks the fan-outs to all members.

mod fanouts;

use std::collections::{HashMap, HashSet};

use async_trait::async_trait;
use events::{
    Contract, Envelope, EventId, MemberId,
    contracts::{
        cloud::Minted,
        member::{Registered, Updated},
    },
};
use mail::recipients::notes;
use outbox::{Item, Key, Table};
use serde_json::Value;
use topology::functions::notifications::FUNCTION;
use views::notes::{NOTE_LIFE, Note};

use self::fanouts::Fanouts;
use super::DomainAudit;
use crate::audit::{
    AuditTables, Error, Kind,
    walk::{
        advice,
        audit::{Audit, Event, text},
        reading::{Pages, Place},
    },
};

/// A note that an event leads to.
#[derive(Debug)]
struct Expected {
    event_id: EventId,
    member_id: MemberId,
    /// The event is proven to be handled.
    handled: bool,
    /// The note exists, or the member has notes turned off.
    is_certain: bool,
}

/// The table `notifications`, and the notes that the log's events lead to.
pub(super) struct Notifications {
    table: Table,
    /// The expected notes, by key.
    notes: HashMap<Key, Expected>,
    fanouts: Fanouts,
    /// Members who had notes turned off at any time.
    notes_off: HashSet<String>,
    /// How many notes exist.
    compared: u64,
}

impl Notifications {
    pub(super) fn new(tables: &AuditTables) -> Option<Self> {
        Some(Self {
            table: tables.of("notifications")?,
            notes: HashMap::new(),
            fanouts: Fanouts::default(),
            notes_off: HashSet::new(),
            compared: 0,
        })
    }

    fn note(&mut self, audit: &mut Audit<'_>, item: Item) {
        self.compared += 1;
        let place = |name| text(&item, name).unwrap_or_default().to_owned();
        let sk = place("sk");
        let key = self.table.key(place("pk"), sk.as_str());
        if self.notes.remove(&key).is_some() {
            return;
        }
        let Some(note) = audit.typed::<Note>(&self.table, item) else {
            return;
        };
        if self.fanouts.has_note(&sk, &note) {
            return;
        }
        if audit.is_young(note.created_at) {
            audit.counts.moving += 1;
            return;
        }
        if audit.index.contains_key(&note.event_id) {
            audit.about(
                Kind::Doubled,
                note.event_id,
                Some(FUNCTION.name),
                None,
                format!("no event of the log leads to note {key}"),
                advice::DOUBLED,
            );
        } else if audit.is_whole() {
            let what = format!("note {key} is of an event that is not in the event log");
            audit.of_event(Kind::Books, note.event_id, what, advice::SEQUENCE);
        }
    }

    /// Reports missing notes in the partitions that were read.
    fn missing(&self, audit: &mut Audit<'_>, is_read: impl Fn(&str) -> bool) {
        let mut missing: Vec<(Key, EventId)> = Vec::new();
        for (key, expected) in &self.notes {
            let (event_id, member_id) = (&expected.event_id, &expected.member_id);
            // A member who had notes turned off at any time, or whose history is incomplete, may rightly have no note.
            let wanted = audit
                .aggregates
                .get(&format!("{}#{member_id}", Registered::AGGREGATE))
                .is_some_and(|member| member.sequences.is_whole())
                && !self.notes_off.contains(member_id.as_str());
            let kept = audit
                .index
                .get(event_id)
                .is_some_and(|named| audit.age(named.committed_at) < NOTE_LIFE);
            let is_due = expected.handled && expected.is_certain;
            if is_due && is_read(&key.pk) && wanted && kept {
                missing.push((key.clone(), *event_id));
            }
        }
        missing.sort();
        let name = FUNCTION.name;
        for (key, event_id) in missing {
            audit.about(
                Kind::Lost,
                event_id,
                Some(name),
                Some(format!("marked as handled by {name}")),
                format!("the note that goes with it, {key}, is not there"),
                advice::LOST,
            );
        }
    }
}

#[async_trait]
impl DomainAudit for Notifications {
    fn name(&self) -> &'static str {
        FUNCTION.name
    }

    fn on_event(&mut self, _: &mut Audit<'_>, envelope: &Envelope) -> Result<(), String> {
        let event_type = envelope.event_type.as_str();
        if [Registered::TYPE, Updated::TYPE].contains(&event_type)
            && let Ok(payload) = serde_json::from_str::<Value>(envelope.payload.json())
        {
            let wanted = payload.pointer("/notification_preferences/in_app_enabled");
            if wanted == Some(&Value::Bool(false)) {
                self.notes_off.insert(envelope.aggregate_id.to_string());
            }
        }
        Ok(())
    }

    fn on_looked_up(&mut self, _: &mut Audit<'_>, event: &Event) {
        self.fanouts.expect(event);
        // Events to which the consumer does not listen lead to no note.
        let Ok(notes) = notes(&event.envelope, &self.table) else {
            return;
        };
        let handled = event.handled_by.contains(&FUNCTION.name);
        for note in notes {
            let expected = Expected {
                event_id: event.envelope.event_id,
                member_id: note.member_id,
                handled,
                is_certain: note.is_certain,
            };
            self.notes.insert(note.key, expected);
        }
    }

    fn on_handled(&mut self, consumer: &str, event_id: EventId) {
        if consumer != FUNCTION.name {
            return;
        }
        for expected in self.notes.values_mut() {
            expected.handled |= expected.event_id == event_id;
        }
        self.fanouts.handled(event_id);
    }

    async fn conclude(&mut self, audit: &mut Audit<'_>) -> Result<(), Error> {
        let table = self.table.clone();
        self.fanouts.check(audit, &table).await?;
        let places = audit.places(&table, |aggregate| {
            let (kind, id) = aggregate.split_once('#')?;
            [Registered::AGGREGATE, Minted::AGGREGATE]
                .contains(&kind)
                .then(|| format!("note#{id}"))
        });
        let partitions = places.iter().filter_map(|place| match place {
            Place::Partition(_, pk) => Some(pk.clone()),
            Place::Table(_) => None,
        });
        let partitions: HashSet<String> = partitions.collect();
        let mut pages = Pages::of(places);
        while let Some(items) = pages.next(audit).await? {
            for item in items {
                match text(&item, "pk").and_then(|pk| pk.split_once('#')) {
                    Some(("note", _)) => self.note(audit, item),
                    Some(("fanout", _)) => self.fanouts.check_row(audit, &table, item),
                    _ => {}
                }
            }
        }
        let is_whole = audit.is_whole();
        if is_whole {
            self.fanouts.check_notes(audit);
        }
        self.missing(audit, |pk| is_whole || partitions.contains(pk));
        Ok(())
    }

    fn counts(&self) -> Vec<(&'static str, u64)> {
        let mut counts = vec![("notes", self.compared)];
        counts.extend(self.fanouts.counts());
        counts
    }
}
