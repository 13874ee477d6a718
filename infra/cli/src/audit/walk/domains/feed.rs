//! Compares the feed with the event log: every event of the last days has exactly one position, and positions follow
//! the order of each aggregate.
//!
//! The head is read before the rows, so every row up to it exists. An audit of the whole stack reads all rows; an audit
//! of some aggregates reads the rows to which the places of their events lead.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet, hash_map::Entry},
    hash::{DefaultHasher, Hash, Hasher},
    time::Duration,
};

use async_trait::async_trait;
use events::{Envelope, EventId, Retention, Timestamp};
use outbox::{Item, Key, Table};
use topology::functions::event_feed::FUNCTION;
use views::feed::{FeedRow, Head, LEAST_LIFE, Place};

use super::DomainAudit;
use crate::audit::{
    AuditTables, Error, Kind,
    walk::{
        advice,
        audit::{Audit, Event, count, shown, span, text},
        reading::Place as Part,
    },
};

/// How far the clocks of the instances that fill the feed may differ. Rows that expire within this time may be gone
/// already.
const MARGIN: Duration = Duration::from_secs(600);

/// The table `feed`, and the events it must hold.
pub(super) struct Feed {
    table: Table,
    due: HashMap<EventId, Due>,
    /// How many events it holds.
    fed: u64,
}

/// An event that the feed must hold.
#[derive(Debug)]
struct Due {
    handled: bool,
    /// The digest of the envelope's text.
    hash: u64,
    /// The place of its row in the log: aggregate and number.
    place: (String, u64),
}

/// The parts of a feed row that are compared.
#[derive(Debug)]
struct Stands {
    event_id: EventId,
    aggregate: String,
    event_type: String,
    event_version: u16,
    hash: u64,
    fed_at: Timestamp,
    expires_at: i64,
}

/// What was read of the feed.
#[derive(Debug, Default)]
struct Fed {
    head: u64,
    /// The rows by position. `None` for a row that cannot be read, which was reported.
    rows: BTreeMap<u64, Option<Stands>>,
    /// The places of events that the feed must hold.
    places: HashMap<EventId, Place>,
}

impl Fed {
    fn take_place(&mut self, audit: &mut Audit<'_>, table: &Table, event_id: EventId, item: Item) {
        let place = audit.typed::<Place>(table, item);
        self.places.extend(place.map(|place| (event_id, place)));
    }

    fn take_row(&mut self, audit: &mut Audit<'_>, table: &Table, item: Item) {
        let position = text(&item, "sk").and_then(|sk| sk.parse().ok());
        let position = position.unwrap_or(0);
        let row = audit.typed::<FeedRow>(table, item);
        let stands = row.and_then(|row| {
            let envelope = serde_json::from_str::<Envelope>(&row.envelope);
            let what = match envelope {
                Ok(envelope) if row.position == position => {
                    return Some(Stands {
                        event_id: envelope.event_id,
                        aggregate: envelope.aggregate(),
                        event_type: envelope.event_type.to_string(),
                        event_version: envelope.event_version.number(),
                        hash: hash(&row.envelope),
                        fed_at: row.fed_at,
                        expires_at: row.expires_at,
                    });
                }
                Ok(_) => format!("the row at {position} says that it is {}", row.position),
                Err(error) => format!("the envelope at {position} cannot be read: {error}"),
            };
            let stopped = "a row of the feed";
            audit.found(
                Kind::Unreadable,
                None,
                None,
                what,
                stopped,
                advice::UNREADABLE,
            );
            None
        });
        self.rows.insert(position, stands);
    }

    /// Checks an event's position: its place must lead to its only row, and the row must hold the log's text.
    fn wrong(
        &self,
        event_id: &EventId,
        (aggregate, sequence): (&str, u64),
        hash: Option<u64>,
        there: &[u64],
    ) -> Option<(Kind, String)> {
        let place = self.places.get(event_id);
        match (there, place) {
            ([], None) => Some((
                Kind::Lost,
                format!(
                    "the feed has no position of it, though {} went past it",
                    FUNCTION.name
                ),
            )),
            ([], Some(place)) => {
                let position = place.position;
                let stands = match self.rows.get(&position) {
                    // The unreadable row was reported.
                    Some(None) => return None,
                    Some(Some(other)) => format!("event {} stands", other.event_id),
                    None => "no row stands".to_owned(),
                };
                let what = format!("its place in the feed is {position}, where {stands}");
                Some((Kind::Books, what))
            }
            ([position], place) => {
                let leads = place.is_some_and(|place| {
                    (place.position, place.sequence) == (*position, sequence)
                        && place.aggregate == aggregate
                });
                let stands = self.rows.get(position).and_then(Option::as_ref);
                let what = if !leads {
                    format!("stands in the feed at {position}, and no place leads there")
                } else if stands.map(|stands| stands.hash) != hash {
                    format!("the feed tells it at {position} in other words than the event log")
                } else {
                    return None;
                };
                Some((Kind::Books, what))
            }
            (several, _) => {
                let several: Vec<String> = several.iter().map(u64::to_string).collect();
                let what = format!("stands in the feed at {}", several.join(" and "));
                Some((Kind::Doubled, what))
            }
        }
    }
}

fn hash(text: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

impl Feed {
    pub(super) fn new(tables: &AuditTables) -> Option<Self> {
        Some(Self {
            table: tables.of("feed")?,
            due: HashMap::new(),
            fed: 0,
        })
    }

    /// Reads all rows, and the places of the events that the feed must hold.
    async fn whole(
        &self,
        audit: &mut Audit<'_>,
        due: &HashMap<EventId, Due>,
    ) -> Result<Fed, Error> {
        let table = self.table.clone();
        let mut fed = Fed::default();
        if let Some(item) = audit.items(&[Head::key(&table)]).await?.pop().flatten() {
            let head = audit.typed::<Head>(&table, item);
            fed.head = head.map_or(0, |head| head.position);
        }
        let mut pages = Part::Table(table.clone()).pages();
        while let Some(items) = pages.next(audit).await? {
            for item in items {
                let pk = text(&item, "pk").unwrap_or_default().to_owned();
                if pk.starts_with("feed#") {
                    fed.take_row(audit, &table, item);
                } else if let Some(Ok(id)) = pk.strip_prefix("event#").map(str::parse)
                    && due.contains_key(&id)
                {
                    fed.take_place(audit, &table, id, item);
                }
            }
        }
        Ok(fed)
    }

    /// Reads the places of the events that the feed must hold, and the rows they lead to.
    async fn some(&self, audit: &mut Audit<'_>, due: &HashMap<EventId, Due>) -> Result<Fed, Error> {
        let table = self.table.clone();
        let mut fed = Fed::default();
        let ids: Vec<EventId> = due.keys().copied().collect();
        let keys: Vec<Key> = ids.iter().map(|id| Place::key(&table, *id)).collect();
        for (id, item) in ids.into_iter().zip(audit.items(&keys).await?) {
            if let Some(item) = item {
                fed.take_place(audit, &table, id, item);
            }
        }
        let positions: BTreeSet<u64> = fed.places.values().map(|place| place.position).collect();
        let keys: Vec<Key> = positions
            .into_iter()
            .map(|position| FeedRow::key(&table, position))
            .collect();
        for item in audit.items(&keys).await?.into_iter().flatten() {
            fed.take_row(audit, &table, item);
        }
        Ok(fed)
    }

    /// Checks that each event has one position to which its place leads, and that positions ascend within an aggregate.
    /// Returns whether a row is missing.
    fn placed(&mut self, audit: &mut Audit<'_>, due: &HashMap<EventId, Due>, fed: &Fed) -> bool {
        let mut positions: HashMap<EventId, Vec<u64>> = HashMap::new();
        for (position, stands) in &fed.rows {
            if let Some(stands) = stands {
                positions
                    .entry(stands.event_id)
                    .or_default()
                    .push(*position);
            }
        }
        let mut in_order: BTreeMap<(String, u64), EventId> = BTreeMap::new();
        for id in due.keys() {
            if let Some(named) = audit.index.get(id) {
                in_order.insert((named.aggregate.clone(), named.sequence), *id);
            }
        }
        // An event that has a finding already, such as a row of the log with other content, gets no second one.
        let said: HashSet<String> = audit
            .findings
            .iter()
            .filter_map(|finding| finding.event_id.clone())
            .collect();
        let name = FUNCTION.name;
        let mut is_missing = false;
        let mut before: Option<(String, u64, u64)> = None;
        for ((aggregate, sequence), id) in in_order {
            let there = positions.get(&id).map(Vec::as_slice).unwrap_or_default();
            self.fed += u64::from(!there.is_empty());
            is_missing |= there.is_empty();
            if !there.is_empty() && said.contains(&id.to_string()) {
                continue;
            }
            let hash = due.get(&id).map(|due| due.hash);
            if let Some((kind, what)) = fed.wrong(&id, (&aggregate, sequence), hash, there) {
                audit.about(kind, id, Some(name), None, what, advice::FEED);
            }
            let [position] = there else { continue };
            match &before {
                Some((of, number, last)) if *of == aggregate && last > position => {
                    let what = format!(
                        "stands in the feed at {position}, before event {number} of {}, which stands at {last}",
                        shown(&aggregate)
                    );
                    let kind = Kind::OutOfSequence;
                    audit.about(kind, id, Some(name), None, what, advice::FEED);
                }
                _ => before = Some((aggregate, sequence, *position)),
            }
        }
        is_missing
    }
}

/// Reports rows of events that the log does not have.
fn beyond_the_log(audit: &mut Audit<'_>, fed: &Fed, now: Timestamp) {
    let said: BTreeSet<String> = audit
        .findings
        .iter()
        .filter_map(|finding| finding.aggregate.clone())
        .collect();
    for (position, stands) in &fed.rows {
        let Some(stands) = stands else { continue };
        let is_known = audit.index.contains_key(&stands.event_id)
            || said.contains(&shown(&stands.aggregate))
            || stands.expires_at <= now.unix_seconds();
        if is_known {
            continue;
        }
        if audit.is_young(stands.fed_at) {
            audit.counts.moving += 1;
            continue;
        }
        // The event may have expired in the log just before it expires in the feed.
        let entry = audit.registry.get(&stands.event_type, stands.event_version);
        if entry.is_none_or(|entry| entry.info().retention != Retention::Forever) {
            continue;
        }
        let what = format!(
            "stands in the feed at {position}, {} old, as an event of {}",
            span(now.since(stands.fed_at)),
            shown(&stands.aggregate)
        );
        let (kind, name) = (Kind::OutOfSequence, Some(FUNCTION.name));
        audit.about(kind, stands.event_id, name, None, what, advice::SEQUENCE);
    }
}

/// Reports rows beyond the head that were not written since the head was read.
fn beyond_the_head(audit: &mut Audit<'_>, fed: &Fed) {
    let mut older = None;
    for (position, stands) in fed.rows.range(fed.head + 1..) {
        match stands {
            Some(stands) if audit.is_young(stands.fed_at) => audit.counts.moving += 1,
            Some(_) => older = Some(position),
            None => {}
        }
    }
    if let Some(position) = older {
        let what = format!(
            "the feed's head is {}, and a row stands at {position}",
            fed.head
        );
        audit.found(Kind::Books, None, None, what, "the feed", advice::FEED);
    }
}

/// Reports positions without a row, up to the head. Rows expire one by one, so rows that expire soon do not count as
/// the start of the feed.
fn gaps(audit: &mut Audit<'_>, fed: &Fed, now: Timestamp) {
    let soon = now.plus(MARGIN).unix_seconds();
    let stays = |stands: &Stands| stands.expires_at > soon;
    let stay = |(_, stands): &(&u64, &Option<Stands>)| stands.as_ref().is_some_and(stays);
    let Some((first, _)) = fed.rows.iter().find(stay) else {
        return;
    };
    let there = fed.rows.range(first..=&fed.head).count();
    let missing = (fed.head + 1)
        .saturating_sub(*first)
        .saturating_sub(count(there));
    if missing > 0 {
        let gap = (*first..=fed.head).find(|position| !fed.rows.contains_key(position));
        let what = format!(
            "{missing} positions of the feed have no row, the first is {}",
            gap.unwrap_or_default()
        );
        audit.found(
            Kind::OutOfSequence,
            None,
            None,
            what,
            "the feed",
            advice::FEED,
        );
    }
}

#[async_trait]
impl DomainAudit for Feed {
    fn name(&self) -> &'static str {
        "feed"
    }

    /// What the feed must hold of an event. `None` if its row may have expired.
    fn on_looked_up(&mut self, audit: &mut Audit<'_>, event: &Event) {
        if audit.age(event.row.committed_at) >= LEAST_LIFE {
            return;
        }
        let due = Due {
            handled: event.handled_by.contains(&FUNCTION.name),
            hash: hash(event.row.envelope_json()),
            place: (event.row.aggregate.clone(), event.row.sequence),
        };
        // An id that the log has twice is reported there. The row with the lower place counts, whichever is read first.
        match self.due.entry(event.envelope.event_id) {
            Entry::Occupied(mut known) if due.place < known.get().place => drop(known.insert(due)),
            Entry::Occupied(_) => {}
            Entry::Vacant(none) => drop(none.insert(due)),
        }
    }

    fn on_handled(&mut self, consumer: &str, event_id: EventId) {
        if consumer == FUNCTION.name
            && let Some(due) = self.due.get_mut(&event_id)
        {
            due.handled = true;
        }
    }

    async fn conclude(&mut self, audit: &mut Audit<'_>) -> Result<(), Error> {
        let mut due = std::mem::take(&mut self.due);
        due.retain(|_, due| due.handled);
        let fed = if audit.is_whole() {
            self.whole(audit, &due).await?
        } else {
            self.some(audit, &due).await?
        };
        // The feed gets a row after the event was committed, so the row cannot have expired yet.
        let now = audit.sources.clock.now();
        let kept = |event_id: &EventId| {
            let named = audit.index.get(event_id);
            named.is_some_and(|named| now.since(named.committed_at) < LEAST_LIFE)
        };
        due.retain(|event_id, _| kept(event_id));
        let is_missing = self.placed(audit, &due, &fed);
        if audit.is_whole() {
            beyond_the_log(audit, &fed, now);
            beyond_the_head(audit, &fed);
            if !is_missing {
                gaps(audit, &fed, now);
            }
        }
        Ok(())
    }

    fn counts(&self) -> Vec<(&'static str, u64)> {
        vec![("fed", self.fed)]
    }
}
