//! Reads tables page by page. A scan has no order, so a check that needs a whole partition, or its order, queries it.

use std::{
    collections::{HashSet, VecDeque},
    time::Duration,
};

use events::Timestamp;
use outbox::{Cursor, Item, Key, Page, Query, Scan, Table};

use super::super::{Error, Progress};
use super::audit::{Audit, PAGE, count, text};

/// A part of the store that is read from beginning to end.
pub(super) enum Place {
    /// A table, in no order.
    Table(Table),
    /// One partition, in the order of its sort keys.
    Partition(Table, String),
}

impl Place {
    /// All its pages.
    pub(super) fn pages(self) -> Pages {
        Pages::of(vec![self])
    }
}

/// The pages of several places, one place after the other.
pub(super) struct Pages {
    places: std::vec::IntoIter<Place>,
    /// The place being read, and the cursor in it.
    place: Option<(Place, Option<Cursor>)>,
}

impl Pages {
    pub(super) fn of(places: Vec<Place>) -> Self {
        Self {
            places: places.into_iter(),
            place: None,
        }
    }

    /// The items of the next page. `None` if there is no other page.
    pub(super) async fn next(&mut self, audit: &mut Audit<'_>) -> Result<Option<Vec<Item>>, Error> {
        let place = self.place.take();
        let Some((place, after)) = place.or_else(|| Some((self.places.next()?, None))) else {
            return Ok(None);
        };
        let page = audit.page(&place, after).await?;
        self.place = page.next.map(|next| (place, Some(next)));
        Ok(Some(page.items))
    }

    /// The items of all remaining pages.
    pub(super) async fn all(mut self, audit: &mut Audit<'_>) -> Result<Vec<Item>, Error> {
        let mut all = Vec::new();
        while let Some(items) = self.next(audit).await? {
            all.extend(items);
        }
        Ok(all)
    }
}

/// The partitions of a table, each whole and in order. A scan finds them and a query reads each one, so the wanted rows
/// are read twice.
pub(super) struct Partitions {
    pages: Pages,
    table: Table,
    /// Whether the partition of an item is wanted.
    wanted: fn(&str, &Item) -> bool,
    found: VecDeque<String>,
    /// The partitions found, by name.
    known: HashSet<String>,
}

impl Partitions {
    /// The partitions of the scope, if there is one; else every partition with a wanted item.
    pub(super) fn of(places: Vec<Place>, table: &Table, wanted: fn(&str, &Item) -> bool) -> Self {
        let (mut scans, mut found) = (Vec::new(), VecDeque::new());
        for place in places {
            match place {
                Place::Partition(_, pk) => found.push_back(pk),
                Place::Table(_) => scans.push(place),
            }
        }
        Self {
            pages: Pages::of(scans),
            table: table.clone(),
            wanted,
            known: found.iter().cloned().collect(),
            found,
        }
    }

    /// The next partition: its key and all its items. `None` if there is no other.
    pub(super) async fn next(
        &mut self,
        audit: &mut Audit<'_>,
    ) -> Result<Option<(String, Vec<Item>)>, Error> {
        loop {
            if let Some(pk) = self.found.pop_front() {
                let place = Place::Partition(self.table.clone(), pk.clone());
                let items = place.pages().all(audit).await?;
                if items.is_empty() {
                    continue;
                }
                return Ok(Some((pk, items)));
            }
            let Some(items) = self.pages.next(audit).await? else {
                return Ok(None);
            };
            for item in &items {
                if let Some(pk) = text(item, "pk")
                    && (self.wanted)(pk, item)
                    && !self.known.contains(pk)
                {
                    self.known.insert(pk.to_owned());
                    self.found.push_back(pk.to_owned());
                }
            }
        }
    }
}

impl Audit<'_> {
    /// Reports progress, and waits as long as the rate requires for this number of items.
    pub(super) async fn pace(&mut self, items: usize, begun: Timestamp) {
        self.counts.items_read += count(items);
        (self.progress)(Progress {
            stage: self.stage,
            events: self.counts.events,
            items_read: self.counts.items_read,
            findings: self.findings.len(),
        });
        let rate = self.options.items_per_second.max(1);
        let share =
            Duration::from_secs(1).saturating_mul(u32::try_from(items).unwrap_or(u32::MAX)) / rate;
        let clock = &self.sources.clock;
        let rest = share.saturating_sub(clock.now().since(begun));
        if !rest.is_zero() {
            clock.sleep(rest).await;
        }
    }

    async fn page(&mut self, place: &Place, after: Option<Cursor>) -> Result<Page, Error> {
        let limit = self.options.items_per_second.clamp(1, PAGE);
        match place {
            Place::Table(table) => {
                let begun = self.sources.clock.now();
                let scan = Scan {
                    table: table.clone(),
                    without: None,
                    limit,
                    after,
                };
                let page = self.sources.store.scan(&scan).await?;
                self.pace(page.items.len(), begun).await;
                Ok(page)
            }
            Place::Partition(table, pk) => {
                let query = Query {
                    after,
                    ..Query::partition(table, pk.as_str(), limit)
                };
                self.query(&query).await
            }
        }
    }

    /// One page of a query.
    pub(super) async fn query(&mut self, query: &Query) -> Result<Page, Error> {
        let begun = self.sources.clock.now();
        let page = self.sources.store.query(query).await?;
        self.pace(page.items.len(), begun).await;
        Ok(page)
    }

    /// All items of a query; the closure makes the query of each page.
    pub(super) async fn all(
        &mut self,
        query: impl Fn(Option<Cursor>) -> Query,
    ) -> Result<Vec<Item>, Error> {
        let (mut found, mut after) = (Vec::new(), None);
        loop {
            let page = self.query(&query(after)).await?;
            found.extend(page.items);
            after = page.next;
            if after.is_none() {
                return Ok(found);
            }
        }
    }

    /// Items by their keys.
    pub(super) async fn items(&mut self, keys: &[Key]) -> Result<Vec<Option<Item>>, Error> {
        let mut items = Vec::with_capacity(keys.len());
        // The store makes as few calls as it can. The rate is kept per page.
        for chunk in keys.chunks(usize::try_from(PAGE).unwrap_or(usize::MAX)) {
            let begun = self.sources.clock.now();
            items.extend(self.sources.store.get_many(chunk).await?);
            self.pace(chunk.len(), begun).await;
        }
        Ok(items)
    }
}
