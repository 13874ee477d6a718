//! Payments and settlements: what each one's events alone come to, against the state that is stored.

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
use super::{Audit, advice, partitions::Partitions, same, shown, text};

const PAYMENT: &str = payment::Created::AGGREGATE;
const SETTLEMENT: &str = contracts::Created::AGGREGATE;

/// What is known of payments and settlements.
#[derive(Debug, Default)]
pub(super) struct Settlements {
    /// The events of the one that is being read: the log tells an aggregate's events one after the other.
    reading: Vec<Envelope>,
    /// What each one's events come to; nothing of one whose events come to nothing.
    told: HashMap<String, Told>,
    /// Events that do not follow from those before them, and why.
    broken: Vec<(EventId, String)>,
}

/// A state as its events tell it.
#[derive(Debug)]
struct Told {
    state: Map<String, Value>,
    version: u64,
    events: u64,
    first: EventId,
    last: EventId,
}

impl Settlements {
    /// Takes the next event of the log, whatever it is about.
    pub(super) fn enter(&mut self, envelope: &Envelope) {
        let of = |one: &Envelope| (one.aggregate_type.clone(), one.aggregate_id.clone());
        let another = |first: &Envelope| of(first) != of(envelope);
        if self.reading.first().is_some_and(another) {
            self.close();
        }
        if [PAYMENT, SETTLEMENT].contains(&envelope.aggregate_type.as_str()) {
            self.reading.push(envelope.clone());
        }
    }

    /// Rebuilds the one that was read.
    fn close(&mut self) {
        let events = std::mem::take(&mut self.reading);
        let Some(first) = events.first() else { return };
        let rebuilt = if first.aggregate_type.as_str() == PAYMENT {
            told(&events, witness::payment(&events), Payment::clone)
        } else {
            told(&events, witness::settlement(&events), Row::of)
        };
        match rebuilt {
            Ok(told) => {
                self.told.extend(told.map(|told| (first.aggregate(), told)));
            }
            // What is missing or cannot be read was named where the log was read.
            Err(broken) if matches!(broken.why, Contradiction::Gap { .. }) => {}
            Err(broken) => {
                let number = |one: &&Envelope| one.sequence.number() == broken.sequence;
                let event = events.iter().find(number);
                let why = broken.why.to_string();
                self.broken.extend(event.map(|event| (event.event_id, why)));
            }
        }
    }
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
    /// Everything in the table `settlement`.
    pub(super) async fn settlements(&mut self) -> Result<(), Error> {
        self.settlements.close();
        let told = std::mem::take(&mut self.settlements);
        for (event_id, why) in told.broken {
            let what = format!("does not follow from the events before it: {why}");
            self.about(Kind::Books, event_id, None, None, what, advice::HISTORY);
        }
        let table = self.sources.tables.settlement.clone();
        let places = self.places(&table, |aggregate| {
            let kind = aggregate.split('#').next().unwrap_or_default();
            let ours = [PAYMENT, SETTLEMENT].contains(&kind);
            ours.then(|| aggregate.to_owned())
        });
        let mut partitions = Partitions::of(places);
        while let Some((pk, items)) = partitions.next(self).await? {
            let is_state = |item: &Item| text(item, "sk") == Some("state");
            let Some(item) = items.into_iter().find(is_state) else {
                continue;
            };
            self.state(&pk, &item).await?;
            match pk.split('#').next() {
                Some(PAYMENT) => {
                    self.counts.payments += 1;
                    self.rebuilt::<Payment>(told.told.get(&pk), item);
                }
                Some(SETTLEMENT) => {
                    self.counts.settlements += 1;
                    self.rebuilt::<Row>(told.told.get(&pk), item);
                }
                _ => {}
            }
        }
        self.of_payments(&told.told);
        Ok(())
    }

    /// Compares a stored state with what its events come to.
    fn rebuilt<S: Serialize + DeserializeOwned>(&mut self, told: Option<&Told>, item: Item) {
        let number = |name: &str| item.get(name).and_then(Value::as_u64);
        let (version, last_sequence) = (number("version"), number("last_sequence"));
        let table = self.sources.tables.settlement.clone();
        let stored = self.typed::<S>(&table, item);
        let Some(stored) = stored.as_ref().and_then(fields) else {
            return;
        };
        // Where state and log count other events, that was said, or it changed meanwhile.
        let Some(told) = told.filter(|told| Some(told.events) == last_sequence) else {
            return;
        };
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
    fn of_payments(&mut self, told: &HashMap<String, Told>) {
        let mut wrong = Vec::new();
        for (aggregate, settlement) in told {
            if !aggregate.starts_with(SETTLEMENT) {
                continue;
            }
            let payment = settlement.state.get("payment_id").and_then(Value::as_str);
            let payment = format!("{PAYMENT}#{}", payment.unwrap_or_default());
            let currency = |told: &Told| told.state.get("currency").cloned();
            match told.get(&payment) {
                Some(told) if currency(told) == currency(settlement) => {}
                Some(_) => wrong.push((
                    settlement.first,
                    format!("is in another currency than {}", shown(&payment)),
                )),
                // It may have been read before the payment was made; or the payment is none of the scope, or was named.
                None => {
                    let made = self.index.get(&settlement.first);
                    let is_young = made.is_none_or(|made| self.is_young(made.committed_at));
                    let is_known = self.aggregates.contains_key(&payment);
                    if self.scope.is_empty() && !is_young && !is_known {
                        let what = format!("settles {}, of which no event tells", shown(&payment));
                        wrong.push((settlement.first, what));
                    }
                }
            }
        }
        for (event_id, what) in wrong {
            self.about(Kind::Books, event_id, None, None, what, advice::HISTORY);
        }
    }
}
