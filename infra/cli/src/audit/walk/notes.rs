//! The notes that members were to get against those they have.

use std::collections::HashSet;

use events::{
    Contract, EventId, MemberId,
    contracts::{cloud::Minted, member::Registered},
};
use outbox::{Item, Key, Table};
use views::notes::{NOTE_LIFE, Note};

use super::super::{Error, Kind};
use super::{
    Audit, Event, advice,
    reading::{Pages, Place},
    text,
};

/// A note that an event comes to.
#[derive(Debug)]
pub(super) struct Expected {
    pub(super) event_id: EventId,
    member_id: MemberId,
    /// The event is proven handled.
    pub(super) handled: bool,
    /// It is there wherever the member wants notes.
    is_certain: bool,
}

impl Audit<'_> {
    /// Notes that an event comes to.
    pub(super) fn expect_notes(&mut self, event: &Event) {
        let table = &self.sources.tables.notifications;
        // Events that the consumer does not listen to come to none.
        let Ok(notes) = mail::recipients::notes(&event.envelope, table) else {
            return;
        };
        let name = <notifications::handler::Notifications as consumer::Handler>::NAME;
        let handled = event.handled_by.contains(&name);
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

    pub(super) async fn notifications(&mut self) -> Result<(), Error> {
        let table = self.sources.tables.notifications.clone();
        let places = self.places(&table, |aggregate| {
            let (kind, id) = aggregate.split_once('#')?;
            [Registered::AGGREGATE, Minted::AGGREGATE]
                .contains(&kind)
                .then(|| format!("note#{id}"))
        });
        let looked_at: Option<HashSet<String>> = (!self.scope.is_empty()).then(|| {
            places
                .iter()
                .filter_map(|place| match place {
                    Place::Partition(_, pk) => Some(pk.clone()),
                    Place::Table(_) => None,
                })
                .collect()
        });
        let mut pages = Pages::of(places);
        while let Some(items) = pages.next(self).await? {
            for item in items {
                match text(&item, "pk").and_then(|pk| pk.split_once('#')) {
                    Some(("note", _)) => self.note(&table, item),
                    Some(("fanout", _)) => self.seen_fanout(item),
                    _ => {}
                }
            }
        }
        let name = <notifications::handler::Notifications as consumer::Handler>::NAME;
        if looked_at.is_none() {
            self.fanout_notes();
        }
        let mut missing: Vec<(Key, EventId)> = Vec::new();
        for (key, expected) in &self.notes {
            let (event_id, member_id) = (&expected.event_id, &expected.member_id);
            let seen = looked_at
                .as_ref()
                .is_none_or(|places| places.contains(&key.pk));
            // Whoever had notes off at any time, or whose history is not all there, may rightly have none.
            let wanted = self
                .aggregates
                .get(&format!("{}#{member_id}", Registered::AGGREGATE))
                .is_some_and(|member| member.sequences.is_whole())
                && !self.notes_off.contains(member_id.as_str());
            let kept = self
                .index
                .get(event_id)
                .is_some_and(|named| self.age(named.committed_at) < NOTE_LIFE);
            if expected.handled && expected.is_certain && seen && wanted && kept {
                missing.push((key.clone(), *event_id));
            }
        }
        missing.sort();
        for (key, event_id) in missing {
            self.about(
                Kind::Lost,
                event_id,
                Some(name),
                Some(format!("marked as handled by {name}")),
                format!("the note that goes with it, {key}, is not there"),
                advice::LOST,
            );
        }
        Ok(())
    }

    pub(super) fn note(&mut self, table: &Table, item: Item) {
        self.counts.notes += 1;
        let place = |name| text(&item, name).unwrap_or_default().to_owned();
        let sk = place("sk");
        let key = table.key(place("pk"), sk.as_str());
        if self.notes.remove(&key).is_some() {
            return;
        }
        let Some(note) = self.typed::<Note>(table, item) else {
            return;
        };
        if self.fanouts.has_note(&sk, &note) {
            return;
        }
        if self.is_young(note.created_at) {
            self.counts.moving += 1;
            return;
        }
        if !self.index.contains_key(&note.event_id) {
            if self.scope.is_empty() {
                let what = format!("note {key} tells of an event that is not in the event log");
                self.about(
                    Kind::Books,
                    note.event_id,
                    None,
                    None,
                    what,
                    advice::SEQUENCE,
                );
            }
            return;
        }
        let name = <notifications::handler::Notifications as consumer::Handler>::NAME;
        self.about(
            Kind::Doubled,
            note.event_id,
            Some(name),
            None,
            format!("note {key} is none that an event of the log comes to"),
            advice::DOUBLED,
        );
    }
}
