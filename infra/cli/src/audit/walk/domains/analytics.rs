//! Compares the counts of `analytics` with the log: each hour in each row of all members is the sum of the events
//! counted in it, and each all-time row is their number.
//!
//! Rows of single members are written in the same transactions and are not compared: there is one for each member and
//! day. Events that expire in the log leave counts that cannot be compared.

use std::{collections::HashMap, time::Duration};

use async_trait::async_trait;
use events::{Envelope, EventId, Retention, Timestamp};
use outbox::{Key, Table};
use rust_decimal::Decimal;
use topology::functions::analytics::FUNCTION;
use views::analytics::{Day, Sums, counted, ever_key, ever_partitions, kinds, number_of, totals};

use super::{DomainAudit, HandlingStatus};
use crate::audit::{
    AuditTables, Error, Kind,
    walk::{
        advice,
        audit::{Audit, text},
        reading::Place,
    },
};

const NAME: &str = FUNCTION.name;
const HOUR: Duration = Duration::from_secs(3_600);

/// An hour of a row.
type HourOf = (Key, usize);

/// The events of one hour of a row.
#[derive(Debug, Default)]
struct Hour {
    /// Certainly counted.
    counted: Vec<(EventId, Sums)>,
    /// Possibly counted.
    uncertain: Vec<(EventId, Sums)>,
}

/// The events of an all-time row: how many are certainly counted, and how many possibly.
#[derive(Debug, Default)]
struct Ever {
    counted: u64,
    uncertain: u64,
}

/// The table `analytics`, and what follows from the log's events.
pub(super) struct Analytics {
    table: Table,
    hours: HashMap<HourOf, Hour>,
    ever: HashMap<Key, Ever>,
    /// The hours of the events that are possibly not counted.
    uncertain: HashMap<EventId, HourOf>,
}

/// The result of comparing an hour.
#[derive(Debug, PartialEq, Eq)]
enum HourComparison {
    Agrees,
    /// Correct if some of the uncertain events were counted.
    MayAgree,
    /// As if this event had been counted twice.
    Twice(EventId),
    /// As if this event had not been counted.
    Never(EventId),
    Wrong,
}

/// Count, amount, quantity and refunded amount.
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
    fn comparison(&self, stored: Sums) -> HourComparison {
        let off = less(parts(stored), parts(sum(&self.counted)));
        let spare = parts(sum(&self.uncertain));
        if off.iter().all(Decimal::is_zero) {
            return HourComparison::Agrees;
        }
        let within = |(off, spare): (&Decimal, &Decimal)| *off >= Decimal::ZERO && off <= spare;
        if off.iter().zip(&spare).all(within) {
            return HourComparison::MayAgree;
        }
        let beyond = less(off, spare);
        let all = || self.counted.iter().chain(&self.uncertain);
        let find = |wanted: Parts| {
            let found = all().filter(|(_, sums)| parts(*sums) == wanted);
            found.map(|(event_id, _)| *event_id).min()
        };
        if let Some(event_id) = find(beyond).or_else(|| find(off)) {
            return HourComparison::Twice(event_id);
        }
        match find(less([Decimal::ZERO; 4], off)) {
            Some(event_id) => HourComparison::Never(event_id),
            None => HourComparison::Wrong,
        }
    }

    fn expected(&self) -> Sums {
        sum(&self.counted).plus(sum(&self.uncertain))
    }
}

/// Whether the events of a type stay in the log forever. Those of a type that another repository declares do not, as far as this tool
/// knows.
fn stays(audit: &Audit<'_>, event_type: &str) -> bool {
    let contracts = audit.registry.contracts().iter();
    let mut of_type = contracts
        .filter(|contract| contract.event_type == event_type)
        .peekable();
    of_type.peek().is_some() && of_type.all(|contract| contract.retention == Retention::Forever)
}

fn compare(
    audit: &mut Audit<'_>,
    (key, number): &HourOf,
    day: Timestamp,
    hour: &Hour,
    stored: Sums,
) {
    let comparison = hour.comparison(stored);
    if comparison == HourComparison::Agrees {
        return;
    }
    let begun = u32::try_from(*number).unwrap_or_default();
    if audit.is_young(day.plus(HOUR * (begun + 1))) || comparison == HourComparison::MayAgree {
        // In a settled stack, uncertain events have findings already, or are older than the life of marks.
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
    match comparison {
        HourComparison::Twice(event_id) => audit.about(
            Kind::Doubled,
            event_id,
            Some(NAME),
            Some(format!("handled by {NAME}")),
            format!("{row}, as if this event had been counted twice"),
            advice::DOUBLED,
        ),
        HourComparison::Never(event_id) => audit.about(
            Kind::Lost,
            event_id,
            Some(NAME),
            Some(format!("marked as handled by {NAME}")),
            format!("{row}, as if this event had not been counted"),
            advice::BOOKS,
        ),
        HourComparison::Agrees | HourComparison::MayAgree | HourComparison::Wrong => audit.found(
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
    pub(super) fn new(tables: &AuditTables) -> Option<Self> {
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
        seen: HandlingStatus,
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
            HandlingStatus::Handled => ever.counted += 1,
            HandlingStatus::Expired | HandlingStatus::Open => ever.uncertain += 1,
        }
        let (event_id, place) = (envelope.event_id, (count.key, count.hour));
        let hour = self.hours.entry(place.clone()).or_default();
        match seen {
            HandlingStatus::Handled => hour.counted.push((event_id, count.sums)),
            // The consumer is newer than the first consumers: it is unknown whether it existed when events older than
            // its marks were published.
            HandlingStatus::Expired | HandlingStatus::Open => {
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
        // The remaining hours have no row.
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
    /// Compares the all-time rows. While events arrive, a row may count more than the log had when it was read.
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
        assert_eq!(sure.comparison(sums(2, 12)), HourComparison::Agrees);
        assert_eq!(sure.comparison(sums(3, 19)), HourComparison::Twice(id(2)));
        assert_eq!(sure.comparison(sums(1, 7)), HourComparison::Never(id(1)));
        assert_eq!(sure.comparison(sums(2, 13)), HourComparison::Wrong);
        // The count is right and the sum is wrong: no event explains that.
        assert_eq!(sure.comparison(sums(2, 19)), HourComparison::Wrong);
        let back = Sums {
            refunded: 1.into(),
            ..sums(2, 12)
        };
        assert_eq!(sure.comparison(back), HourComparison::Wrong);
    }

    #[test]
    fn what_is_uncertain_explains_as_much_as_it_comes_to_and_no_more() {
        let unsure = Hour {
            counted: vec![(id(1), sums(1, 5))],
            uncertain: vec![(id(2), sums(1, 7)), (id(3), sums(1, 9))],
        };
        for (stored, comparison) in [
            (sums(1, 5), HourComparison::Agrees),
            (sums(2, 12), HourComparison::MayAgree),
            (sums(3, 21), HourComparison::MayAgree),
            (sums(4, 26), HourComparison::Twice(id(1))),
            (sums(4, 30), HourComparison::Twice(id(3))),
            (sums(2, 10), HourComparison::MayAgree),
            (sums(0, 0), HourComparison::Never(id(1))),
        ] {
            assert_eq!(unsure.comparison(stored), comparison, "{stored:?}");
        }
    }
}
