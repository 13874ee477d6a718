//! Compares state items of every domain with the end of their aggregate's log.

use std::time::Duration;

use domain::Domain;
use events::{EventId, Timestamp};
use outbox::{Item, Query, SortKey, Table};
use serde_json::Value;

use super::{
    super::{Error, Kind},
    advice,
    audit::{Audit, PAGE, kind_of, text},
    reading::Pages,
};

impl Audit<'_> {
    /// Compares a state item with the end of its aggregate's log and with what its last event states.
    pub(super) async fn state(&mut self, aggregate: &str, item: &Item) -> Result<(), Error> {
        self.counts.states += 1;
        let Some(last_sequence) = item.get("last_sequence").and_then(Value::as_u64) else {
            self.found(
                Kind::Unreadable,
                Some(aggregate),
                None,
                "its state item has no last_sequence".to_owned(),
                "stored state",
                advice::UNREADABLE,
            );
            return Ok(());
        };
        let known = self.aggregates.get_mut(aggregate).map(|known| {
            known.has_state = true;
            let last_event = known.last.map(|(_, event_id, _)| event_id);
            (known.sequences.last(), last_event)
        });
        let (last, last_event) = known.unwrap_or((0, None));
        if last_sequence < last {
            let what = format!("its state counts {last_sequence} events, the log has {last}");
            match last_event {
                Some(event_id) => {
                    self.about(
                        Kind::OutOfSequence,
                        event_id,
                        None,
                        None,
                        what,
                        advice::BOOKS,
                    );
                }
                None => self.found(
                    Kind::OutOfSequence,
                    Some(aggregate),
                    Some(last),
                    what,
                    "stored state",
                    advice::BOOKS,
                ),
            }
        } else if last_sequence > last {
            self.ahead(item, aggregate, last, last_sequence).await?;
        }
        Ok(())
    }

    /// Checks a state that counts more events than the log had when it was read: the events were added since, or are
    /// missing.
    async fn ahead(
        &mut self,
        item: &Item,
        aggregate: &str,
        last: u64,
        last_sequence: u64,
    ) -> Result<(), Error> {
        let events = self.sources.tables.events.clone();
        let mut reached = last;
        let mut after = None;
        loop {
            let query = Query {
                from: Some(SortKey::Number(last + 1)),
                after,
                ..Query::partition(&events, aggregate, PAGE)
            };
            let page = self.query(&query).await?;
            for row in &page.items {
                if row.get("sequence").and_then(Value::as_u64) == Some(reached + 1) {
                    reached += 1;
                }
            }
            after = page.next;
            if after.is_none() || reached >= last_sequence {
                break;
            }
        }
        if reached >= last_sequence {
            self.counts.moving += reached - last;
            return Ok(());
        }
        let missing = last_sequence - reached;
        let known = self.aggregates.get(aggregate);
        let kept = known
            .and_then(|known| known.kept)
            .map(|(_, kept)| kept)
            .or_else(|| self.kept(aggregate));
        let touched = text(item, "updated_at").and_then(|moment| moment.parse::<Timestamp>().ok());
        let last = known.and_then(|known| known.last);
        let since = last.map(|(_, _, committed_at)| committed_at).max(touched);
        let may_be_gone =
            kept.is_some_and(|kept| since.is_none_or(|at| self.started_at.since(at) >= kept));
        if may_be_gone {
            self.counts.expired += missing;
            return Ok(());
        }
        let what = format!("its state counts {last_sequence} events, the log ends with {reached}");
        self.found(
            Kind::OutOfSequence,
            Some(aggregate),
            Some(reached + 1),
            what,
            "a change whose event is not in the event log",
            advice::SEQUENCE,
        );
        Ok(())
    }

    /// How long the events of an aggregate's type are kept. `None` if forever.
    fn kept(&self, aggregate: &str) -> Option<Duration> {
        let kind = aggregate.split('#').next()?;
        self.registry
            .contracts()
            .iter()
            .filter(|contract| contract.aggregate_type == kind)
            .filter_map(|contract| contract.retention.span())
            .min()
    }

    /// Reports aggregates of these types that have events and no state.
    pub(super) fn missing_states(&mut self, kinds: &[&str]) {
        let gone: Vec<EventId> = self
            .aggregates
            .iter()
            .filter(|(name, known)| !known.has_state && kinds.contains(&kind_of(name)))
            .filter_map(|(_, known)| known.last)
            .map(|(_, event_id, _)| event_id)
            .collect();
        for event_id in gone {
            let what =
                "its aggregate has no state item, although both were committed together".to_owned();
            self.of_event(Kind::Books, event_id, what, advice::BOOKS);
        }
    }

    /// Records that a missing state of this aggregate was reported, or needs no finding.
    pub(super) fn state_was_missed(&mut self, aggregate: &str) {
        if let Some(known) = self.aggregates.get_mut(aggregate) {
            known.has_state = true;
        }
    }

    /// Compares every state item of a domain's table with the end of its aggregate's log.
    pub(super) async fn states_of(
        &mut self,
        domain: &'static Domain,
        table: &Table,
    ) -> Result<(), Error> {
        let places = self.places(table, |name| {
            let (kind, id) = name.split_once('#')?;
            Some(domain.aggregate(kind)?.key(table, id).pk)
        });
        let mut pages = Pages::of(places);
        while let Some(items) = pages.next(self).await? {
            for item in &items {
                let (Some(pk), Some(sk)) = (text(item, "pk"), text(item, "sk")) else {
                    continue;
                };
                let Some(aggregate) = domain.aggregate_at(pk, sk) else {
                    continue;
                };
                // A partition can have several aggregates.
                if self.is_wanted(&aggregate) {
                    self.state(&aggregate, item).await?;
                }
            }
        }
        Ok(())
    }
}
