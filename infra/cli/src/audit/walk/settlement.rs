//! Payments and settlements: what each one's events alone come to, against the state that is stored. Their events are read
//! once more for it, each aggregate's in its order.

use std::collections::HashMap;

use events::{
    Contract, Envelope, EventId,
    contracts::{payment, settlement as contracts},
};
use outbox::Item;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use settlement::{
    Payment,
    settlement::Row,
    witness::{self, Broken, Contradiction, Rebuilt},
};

use super::super::{Error, Kind};
use super::{
    Audit, advice,
    reading::{Pages, Place},
    same, shown, text,
};

const PAYMENT: &str = payment::Created::AGGREGATE;
const SETTLEMENT: &str = contracts::Created::AGGREGATE;

/// A state as its events tell it.
#[derive(Debug)]
struct Told {
    state: Map<String, Value>,
    version: u64,
    events: u64,
    first: EventId,
    last: EventId,
}

/// What is known of payments and settlements, as far as one is compared with another.
#[derive(Debug, Default)]
struct Known {
    /// Each payment's currency.
    currencies: HashMap<String, Value>,
    /// Each settlement's first event, what it settles, and its currency.
    settlements: Vec<(EventId, String, Value)>,
}

/// What a witness says, as it would be stored.
fn told<S, I: Serialize>(
    events: &[Envelope],
    rebuilt: Result<Option<Rebuilt<S>>, Broken>,
    item: impl Fn(&S) -> I,
) -> Result<Option<Told>, Broken> {
    let (Some(first), Some(last), Some(rebuilt)) = (events.first(), events.last(), rebuilt?) else {
        return Ok(None);
    };
    Ok(fields(&item(&rebuilt.state)).map(|state| Told {
        state,
        version: rebuilt.version.number(),
        events: rebuilt.events,
        first: first.event_id,
        last: last.event_id,
    }))
}

fn fields(item: &impl Serialize) -> Option<Map<String, Value>> {
    match serde_json::to_value(item) {
        Ok(Value::Object(fields)) => Some(fields),
        _ => None,
    }
}

impl Audit<'_> {
    /// Everything in the table `settlement`, and every payment and settlement that the log knows.
    pub(super) async fn settlements(&mut self) -> Result<(), Error> {
        let table = self.sources.tables.settlement.clone();
        let places = self.places(&table, |aggregate| {
            let kind = aggregate.split('#').next().unwrap_or_default();
            let ours = [PAYMENT, SETTLEMENT].contains(&kind);
            ours.then(|| aggregate.to_owned())
        });
        let mut known = Known::default();
        let mut pages = Pages::of(places);
        while let Some(items) = pages.next(self).await? {
            for item in items {
                if text(&item, "sk") == Some("state")
                    && let Some(pk) = text(&item, "pk").map(str::to_owned)
                {
                    self.state(&pk, &item).await?;
                    self.rebuild(&pk, Some(item), &mut known).await?;
                }
            }
        }
        let is_left = |(name, one): (&String, &super::Aggregate)| {
            let kind = name.split('#').next().unwrap_or_default();
            let is_ours = [PAYMENT, SETTLEMENT].contains(&kind);
            (is_ours && !one.has_state).then(|| name.clone())
        };
        let left: Vec<String> = self.aggregates.iter().filter_map(is_left).collect();
        for aggregate in left {
            self.rebuild(&aggregate, None, &mut known).await?;
        }
        self.of_payments(known);
        Ok(())
    }

    /// Rebuilds one from its events, and compares it with what is stored.
    async fn rebuild(
        &mut self,
        aggregate: &str,
        item: Option<Item>,
        known: &mut Known,
    ) -> Result<(), Error> {
        match aggregate.split('#').next() {
            Some(PAYMENT) => {
                self.counts.payments += u64::from(item.is_some());
                let events = self.history(aggregate).await?;
                let told = told(&events, witness::payment(&events), Payment::clone);
                if let Some(told) = self.follows(&events, told) {
                    known
                        .currencies
                        .insert(aggregate.to_owned(), currency(&told));
                    self.compare::<Payment>(&told, item);
                }
            }
            Some(SETTLEMENT) => {
                self.counts.settlements += u64::from(item.is_some());
                let events = self.history(aggregate).await?;
                let told = told(&events, witness::settlement(&events), Row::of);
                if let Some(told) = self.follows(&events, told) {
                    let payment = told.state.get("payment_id").and_then(Value::as_str);
                    let payment = format!("{PAYMENT}#{}", payment.unwrap_or_default());
                    let settlement = (told.first, payment, currency(&told));
                    known.settlements.push(settlement);
                    self.compare::<Row>(&told, item);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// The events of an aggregate in their order, up to the last one that the log had when it was read; without those that
    /// cannot be read or that break their contract, which were named.
    async fn history(&mut self, aggregate: &str) -> Result<Vec<Envelope>, Error> {
        let known = self.aggregates.get(aggregate);
        let last = known.map_or(0, |known| known.sequences.last());
        let events = self.sources.tables.events.clone();
        let rows = Place::Partition(events, aggregate.to_owned()).pages();
        let rows = rows.all(self).await?;
        let read = rows.into_iter().filter_map(|item| Self::read(item).ok());
        Ok(read
            .map(|(_, envelope)| envelope)
            .filter(|envelope| {
                let version = envelope.event_version.number();
                let contract = self.registry.get(envelope.event_type.as_str(), version);
                let is_kept =
                    contract.is_some_and(|one| one.decodes(envelope.payload.json()).is_ok());
                is_kept && envelope.sequence.number() <= last
            })
            .collect())
    }

    /// What events come to; where one does not follow from those before it, it is named.
    fn follows(&mut self, events: &[Envelope], told: Result<Option<Told>, Broken>) -> Option<Told> {
        let broken = match told {
            Ok(told) => return told,
            // What is missing or cannot be read was named where the log was read.
            Err(broken) if matches!(broken.why, Contradiction::Gap { .. }) => return None,
            Err(broken) => broken,
        };
        let mut events = events.iter();
        let event = events.find(|one| one.sequence.number() == broken.sequence)?;
        let what = format!("does not follow from the events before it: {}", broken.why);
        let advice = advice::HISTORY;
        self.about(Kind::Books, event.event_id, None, None, what, advice);
        None
    }

    /// Compares a stored state with what its events come to.
    fn compare<S: Serialize + DeserializeOwned>(&mut self, told: &Told, item: Option<Item>) {
        let Some(item) = item else { return };
        let number = |name: &str| item.get(name).and_then(Value::as_u64);
        let (version, last_sequence) = (number("version"), number("last_sequence"));
        let table = self.sources.tables.settlement.clone();
        let stored = self.typed::<S>(&table, item);
        let Some(stored) = stored.as_ref().and_then(fields) else {
            return;
        };
        // Where state and log count other events, that was said, or it changed meanwhile.
        if Some(told.events) != last_sequence {
            return;
        }
        let differs = |name: &&String| match (stored.get(*name), told.state.get(*name)) {
            (Some(stored), Some(told)) => !same(stored, told),
            (stored, told) => stored.is_some() || told.is_some(),
        };
        let added = stored.keys().filter(|name| !told.state.contains_key(*name));
        let names = told.state.keys().chain(added).filter(differs);
        let mut differing: Vec<&str> = names.map(String::as_str).collect();
        if version != Some(told.version) {
            differing.push("version");
        }
        if !differing.is_empty() {
            let differing = differing.join(", ");
            let what = format!("the stored state has another {differing} than its events come to");
            self.about(Kind::Books, told.last, None, None, what, advice::BOOKS);
        }
    }

    /// A settlement is of a payment that there is, and in its currency.
    fn of_payments(&mut self, known: Known) {
        for (first, payment, currency) in known.settlements {
            let what = match known.currencies.get(&payment) {
                Some(of_payment) if *of_payment == currency => continue,
                Some(_) => format!("is in another currency than {}", shown(&payment)),
                // It may have been read before the payment was made; or the payment is none of the scope, or was named.
                None => {
                    let made = self.index.get(&first);
                    let is_young = made.is_none_or(|made| self.is_young(made.committed_at));
                    let is_known = self.aggregates.contains_key(&payment);
                    if !self.scope.is_empty() || is_young || is_known {
                        continue;
                    }
                    format!("settles {}, of which no event tells", shown(&payment))
                }
            };
            self.about(Kind::Books, first, None, None, what, advice::HISTORY);
        }
    }
}

fn currency(told: &Told) -> Value {
    told.state.get("currency").cloned().unwrap_or_default()
}
