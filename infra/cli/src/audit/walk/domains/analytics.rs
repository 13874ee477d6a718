//! The counts of `analytics` against the log: each hour of each row of all members is the sum of the events counted in it, and
//! each row of since ever their number.
//!
//! Rows of single members are written in the same transactions and are not compared: they are as many as members have days.
//! Events that do not stay in the log for ever leave counts that nothing can be compared with.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use events::{Envelope, EventId, Retention, Timestamp};
use outbox::{Key, Table};
use rust_decimal::Decimal;
use topology::functions::analytics::FUNCTION;
use views::analytics::{Day, Sums, counted, ever_key, ever_partitions, kinds, number_of, totals};

use super::{DomainAudit, Seen};
use crate::audit::{
    Error, Kind, Tables,
    walk::{
        advice,
        audit::{Audit, text},
        reading::Place,
    },
};

const NAME: &str = FUNCTION.name;
const HOUR: Duration = Duration::from_secs(3_600);

/// Which hour of which row.
type HourOf = (Key, usize);

/// The events of one hour of a row.
#[derive(Debug, Default)]
struct Hour {
    /// Surely counted.
    counted: Vec<(EventId, Sums)>,
    /// Counted or not.
    uncertain: Vec<(EventId, Sums)>,
}

/// Of the events that a row of since ever counts: how many surely are, and of how many nobody knows.
#[derive(Debug, Default)]
struct Ever {
    counted: u64,
    uncertain: u64,
}

/// The table `analytics`, and what the log's events come to.
pub(super) struct Analytics {
    table: Table,
    hours: HashMap<HourOf, Hour>,
    ever: HashMap<Key, Ever>,
    /// Where the events that may not be counted belong.
    uncertain: HashMap<EventId, HourOf>,
}

/// What a look at an hour came to.
#[derive(Debug, PartialEq, Eq)]
enum Look {
    Agrees,
    /// When some of what is uncertain was counted.
    MayAgree,
    /// As if this event had been counted once more.
    Twice(EventId),
    /// As if this event had not been counted.
    Never(EventId),
    Wrong,
}

/// Count, amount, quantity, what went back.
type Parts = [Decimal; 4];

fn parts(sums: Sums) -> Parts {
    [sums.count.into(), sums.amount, sums.quantity, sums.refunded]
}

fn less(one: Parts, other: Parts) -> Parts {
    let mut rest = one;
    for (part, less) in rest.iter_mut().zip(other) {
        *part = part.saturating_sub(less);
    }
    rest
}

fn sum(events: &[(EventId, Sums)]) -> Sums {
    let all = events.iter().map(|(_, sums)| *sums);
    all.fold(Sums::default(), Sums::plus)
}

impl Hour {
    fn look(&self, stored: Sums) -> Look {
        let off = less(parts(stored), parts(sum(&self.counted)));
        let spare = parts(sum(&self.uncertain));
        if off.iter().all(Decimal::is_zero) {
            return Look::Agrees;
        }
        let within = |(off, spare): (&Decimal, &Decimal)| *off >= Decimal::ZERO && off <= spare;
        if off.iter().zip(&spare).all(within) {
            return Look::MayAgree;
        }
        let beyond = less(off, spare);
        let all = || self.counted.iter().chain(&self.uncertain);
        let find = |wanted: Parts| {
            let found = all().filter(|(_, sums)| parts(*sums) == wanted);
            found.map(|(event_id, _)| *event_id).min()
        };
        if let Some(event_id) = find(beyond).or_else(|| find(off)) {
            return Look::Twice(event_id);
        }
        match find(less([Decimal::ZERO; 4], off)) {
            Some(event_id) => Look::Never(event_id),
            None => Look::Wrong,
        }
    }

    fn expected(&self) -> Sums {
        sum(&self.counted).plus(sum(&self.uncertain))
    }
}

/// Whether the events of a type stay in the log for ever.
fn stays(audit: &Audit<'_>, event_type: &str) -> bool {
    audit
        .registry
        .contracts()
        .iter()
        .filter(|contract| contract.event_type == event_type)
        .all(|contract| contract.retention == Retention::Forever)
}

fn compare(
    audit: &mut Audit<'_>,
    (key, number): &HourOf,
    day: Timestamp,
    hour: &Hour,
    stored: Sums,
) {
    let look = hour.look(stored);
    if look == Look::Agrees {
        return;
    }
    let begun = u32::try_from(*number).unwrap_or_default();
    if audit.is_young(day.plus(HOUR * (begun + 1))) || look == Look::MayAgree {
        // Of a settled stack, what is uncertain is a finding already, or older than marks live.
        audit.counts.moving += u64::from(!audit.options.settled);
        return;
    }
    let shown = |sums: Sums| {
        let [count, amount, quantity, refunded] = parts(sums).map(|part| part.normalize());
        let back = if refunded.is_zero() {
            String::new()
        } else {
            format!(", {refunded} back")
        };
        format!("{count} events of {amount}{back} ({quantity} units)")
    };
    let row = format!(
        "hour {number} of {key} counts {} instead of {}",
        shown(stored),
        shown(hour.expected())
    );
    match look {
        Look::Twice(event_id) => audit.about(
            Kind::Doubled,
            event_id,
            Some(NAME),
            Some(format!("handled by {NAME}")),
            format!("{row}, as if this event had been counted twice"),
            advice::DOUBLED,
        ),
        Look::Never(event_id) => audit.about(
            Kind::Lost,
            event_id,
            Some(NAME),
            Some(format!("marked as handled by {NAME}")),
            format!("{row}, as if this event had not been counted"),
            advice::BOOKS,
        ),
        Look::Agrees | Look::MayAgree | Look::Wrong => audit.found(
            Kind::Books,
            None,
            None,
            row,
            "counted by analytics",
            advice::BOOKS,
        ),
    }
}

impl Analytics {
    pub(super) fn new(tables: &Tables) -> Option<Self> {
        Some(Self {
            table: tables.of("analytics")?,
            hours: HashMap::new(),
            ever: HashMap::new(),
            uncertain: HashMap::new(),
        })
    }
}

#[async_trait]
impl DomainAudit for Analytics {
    fn name(&self) -> &'static str {
        NAME
    }

    fn on_evidence(
        &mut self,
        audit: &mut Audit<'_>,
        consumer: &str,
        envelope: &Envelope,
        seen: Seen,
    ) {
        if consumer != NAME || !stays(audit, envelope.event_type.as_str()) {
            return;
        }
        let Some(count) = counted(envelope, &self.table) else {
            return;
        };
        let ever = self
            .ever
            .entry(ever_key(&self.table, envelope))
            .or_default();
        match seen {
            Seen::Handled => ever.counted += 1,
            Seen::Expired | Seen::Open => ever.uncertain += 1,
        }
        let (event_id, place) = (envelope.event_id, (count.key, count.hour));
        let hour = self.hours.entry(place.clone()).or_default();
        match seen {
            Seen::Handled => hour.counted.push((event_id, count.sums)),
            // It came later than the first consumers: nobody knows whether it was there for what is older than its marks.
            Seen::Expired | Seen::Open => {
                hour.uncertain.push((event_id, count.sums));
                self.uncertain.insert(event_id, place);
            }
        }
    }

    fn on_handled(&mut self, consumer: &str, event_id: EventId) {
        if consumer != NAME {
            return;
        }
        let place = self.uncertain.remove(&event_id);
        let Some(hour) = place.and_then(|place| self.hours.get_mut(&place)) else {
            return;
        };
        if let Some(at) = hour.uncertain.iter().position(|(id, _)| *id == event_id) {
            let one = hour.uncertain.remove(at);
            hour.counted.push(one);
        }
    }

    async fn conclude(&mut self, audit: &mut Audit<'_>) -> Result<(), Error> {
        let mut hours = std::mem::take(&mut self.hours);
        if !audit.is_whole() || audit.log_is_in_doubt() {
            return Ok(());
        }
        let table = self.table.clone();
        let kinds: Vec<_> = kinds()
            .iter()
            .filter(|kind| stays(audit, kind.event_type))
            .collect();
        for partition in kinds.into_iter().flat_map(totals) {
            let mut pages = Place::Partition(table.clone(), partition.clone()).pages();
            while let Some(items) = pages.next(audit).await? {
                for item in items {
                    let key = table.key(partition.as_str(), text(&item, "sk").unwrap_or_default());
                    match Day::read(&table, &item) {
                        Ok(day) => {
                            for (number, stored) in day.hours.into_iter().enumerate() {
                                let place = (key.clone(), number);
                                let hour = hours.remove(&place).unwrap_or_default();
                                compare(audit, &place, day.start, &hour, stored);
                            }
                        }
                        Err(error) => audit.found(
                            Kind::Unreadable,
                            None,
                            None,
                            outbox::chain(&error),
                            "a stored item",
                            advice::UNREADABLE,
                        ),
                    }
                }
            }
        }
        // What is left has no row.
        let mut rest: Vec<_> = hours.into_iter().collect();
        rest.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (place, hour) in rest {
            let day = Day::read(&table, &place.0.attributes())?.start;
            compare(audit, &place, day, &hour, Sums::default());
        }
        self.compare_ever(audit).await
    }
}

impl Analytics {
    /// The rows of since ever. While events come, a row counts more than the log had when it was walked.
    async fn compare_ever(&mut self, audit: &mut Audit<'_>) -> Result<(), Error> {
        let mut stored = HashMap::new();
        for partition in ever_partitions() {
            let mut pages = Place::Partition(self.table.clone(), partition.clone()).pages();
            while let Some(items) = pages.next(audit).await? {
                for item in items {
                    let name = text(&item, "sk").unwrap_or_default();
                    stored.insert(self.table.key(partition.as_str(), name), number_of(&item));
                }
            }
        }
        let mut rows: Vec<_> = std::mem::take(&mut self.ever).into_iter().collect();
        rows.sort_by(|(one, _), (other, _)| one.cmp(other));
        for (key, ever) in rows {
            let stored = stored.get(&key).copied().unwrap_or_default();
            let most = ever.counted + ever.uncertain;
            if (ever.counted..=most).contains(&stored) {
                continue;
            }
            if stored > most && !audit.options.settled {
                audit.counts.moving += 1;
                continue;
            }
            audit.found(
                Kind::Books,
                None,
                None,
                format!("{key} counts {stored} events instead of {most}"),
                "counted by analytics",
                advice::BOOKS,
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(number: u8) -> EventId {
        format!("00000000-0000-7000-8000-0000000000{number:02}")
            .parse()
            .expect("an id")
    }

    fn sums(count: u64, amount: i64) -> Sums {
        Sums {
            count,
            amount: amount.into(),
            quantity: Decimal::ZERO,
            refunded: Decimal::ZERO,
        }
    }

    #[test]
    fn an_hour_agrees_or_the_event_that_explains_it_is_named() {
        let sure = Hour {
            counted: vec![(id(1), sums(1, 5)), (id(2), sums(1, 7))],
            uncertain: Vec::new(),
        };
        assert_eq!(sure.look(sums(2, 12)), Look::Agrees);
        assert_eq!(sure.look(sums(3, 19)), Look::Twice(id(2)));
        assert_eq!(sure.look(sums(1, 7)), Look::Never(id(1)));
        assert_eq!(sure.look(sums(2, 13)), Look::Wrong);
        // Counted right, summed wrong: no event explains it.
        assert_eq!(sure.look(sums(2, 19)), Look::Wrong);
        let back = Sums {
            refunded: 1.into(),
            ..sums(2, 12)
        };
        assert_eq!(sure.look(back), Look::Wrong);
    }

    #[test]
    fn what_is_uncertain_explains_as_much_as_it_comes_to_and_no_more() {
        let unsure = Hour {
            counted: vec![(id(1), sums(1, 5))],
            uncertain: vec![(id(2), sums(1, 7)), (id(3), sums(1, 9))],
        };
        for (stored, look) in [
            (sums(1, 5), Look::Agrees),
            (sums(2, 12), Look::MayAgree),
            (sums(3, 21), Look::MayAgree),
            (sums(4, 26), Look::Twice(id(1))),
            (sums(4, 30), Look::Twice(id(3))),
            (sums(2, 10), Look::MayAgree),
            (sums(0, 0), Look::Never(id(1))),
        ] {
            assert_eq!(unsure.look(stored), look, "{stored:?}");
        }
    }
}
