//! Reads the rows: the figures of a span of time, added up over the shards.

use std::collections::BTreeMap;

use events::{MemberId, Timestamp, contracts::cloud::Primitive};
use futures::{StreamExt as _, TryStreamExt as _, stream};
use outbox::{Error, Outbox, Query, SortKey, Table};

use super::{
    buckets::{Bucket, HOUR_MILLIS},
    kinds::{Kind, kinds},
    rows::{Day, Part, Sums, day_text, member, totals},
};

/// How many rows one query reads: below what one call returns (1 MB), and few enough to hold for several partitions.
const PAGE: u32 = 200;

/// How many partitions are read at the same time.
const AT_ONCE: usize = 16;

/// Which figures to read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The width of the buckets.
    pub bucket: Bucket,
    /// The beginning of the span, which is the beginning of a bucket.
    pub from: Timestamp,
    /// The end of the span, which is the end of a bucket.
    pub to: Timestamp,
    /// Only this event type.
    pub kind: Option<Kind>,
    /// Only credits spent on this resource.
    pub primitive: Option<Primitive>,
    /// Only this member.
    pub member_id: Option<MemberId>,
}

/// The figures of a bucket of time. Buckets without events are left out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Figure {
    /// When the bucket begins.
    pub start: Timestamp,
    /// The event type.
    pub kind: Kind,
    /// The part of the event type.
    pub part: Part,
    /// The number of events and the sums of their amounts.
    pub sums: Sums,
}

impl Wanted {
    /// The partitions to read, and how many rows a day can have in each.
    fn partitions(&self) -> Vec<(String, u32)> {
        let kinds = kinds()
            .iter()
            .filter(|kind| self.kind.is_none_or(|wanted| wanted == **kind))
            .filter(|kind| self.primitive.is_none() || kind.metered);
        match &self.member_id {
            Some(member_id) => vec![(member(member_id), PAGE)],
            None => kinds
                .flat_map(|kind| totals(kind).map(|pk| (pk, if kind.metered { 4 } else { 1 })))
                .collect(),
        }
    }

    fn takes(&self, kind: Kind, part: Part) -> bool {
        self.kind.is_none_or(|wanted| wanted == kind)
            && self
                .primitive
                .is_none_or(|primitive| part == Part::For(primitive))
    }

    /// Reads the figures consistently, ordered by time, then by event type.
    ///
    /// # Errors
    /// [`Error`] when the store fails or a row cannot be read.
    pub async fn read(&self, outbox: &Outbox, table: &Table) -> Result<Vec<Figure>, Error> {
        let mut days = stream::iter(self.partitions())
            .map(|(pk, rows)| self.partition(outbox, table, pk, rows))
            .buffer_unordered(AT_ONCE);
        let mut figures = BTreeMap::new();
        while let Some(days) = days.try_next().await? {
            for day in &days {
                self.enter(day, &mut figures);
            }
        }
        Ok(figures.into_values().collect())
    }

    async fn partition(
        &self,
        outbox: &Outbox,
        table: &Table,
        pk: String,
        rows_of_a_day: u32,
    ) -> Result<Vec<Day>, Error> {
        let days = u32::try_from(Bucket::Day.count(self.from, self.to)).unwrap_or(PAGE);
        // One more than there can be. If the query returns fewer rows or a row after the span, nothing is left to read.
        let limit = days
            .saturating_mul(rows_of_a_day)
            .saturating_add(1)
            .min(PAGE);
        let mut query = Query {
            from: Some(SortKey::Text(day_text(self.from))),
            ..Query::partition(table, pk, limit)
        };
        let mut days = Vec::new();
        loop {
            let page = outbox.store().query(&query).await?;
            for item in &page.items {
                let day = Day::read(table, item)?;
                if day.start >= self.to {
                    return Ok(days);
                }
                days.push(day);
            }
            query.after = page.next;
            if query.after.is_none() {
                return Ok(days);
            }
        }
    }

    fn enter(&self, day: &Day, figures: &mut BTreeMap<(Timestamp, &'static str, Part), Figure>) {
        let Some(kind) = day.kind.filter(|kind| self.takes(*kind, day.part)) else {
            return;
        };
        let mut hour_start = day.start.unix_millis();
        for sums in day.hours {
            let moment = Timestamp::from_unix_millis(hour_start).unwrap_or(day.start);
            hour_start += HOUR_MILLIS;
            if sums.count == 0 || moment < self.from || moment >= self.to {
                continue;
            }
            let start = self.bucket.start(moment);
            let figure = figures
                .entry((start, kind.event_type, day.part))
                .or_insert(Figure {
                    start,
                    kind,
                    part: day.part,
                    sums: Sums::default(),
                });
            figure.sums = figure.sums.plus(sums);
        }
    }
}
