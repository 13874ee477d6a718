//! Payments and settlements: what each one's events alone come to, against the state that is stored. Their events are read
//! once more for it, each aggregate's in its order.

use std::collections::HashMap;

use async_trait::async_trait;
use events::{
    Contract, Envelope, EventId,
    contracts::{payment, settlement as contracts},
};
use outbox::{Item, Table};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};
use settlement::{
    Payment,
    settlement::Row,
    witness::{self, Broken, Contradiction, Rebuilt},
};

use super::DomainAudit;
use crate::audit::{
    Error, Kind, Tables,
    walk::{
        advice,
        audit::{Aggregate, Audit, is_state, kind_of, same, shown, text},
        reading::Pages,
    },
};

const PAYMENT: &str = payment::Created::AGGREGATE;
const SETTLEMENT: &str = contracts::Created::AGGREGATE;

/// The table `settlement`.
pub(super) struct Settlements {
    table: Table,
    payments: u64,
    settlements: u64,
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

impl Settlements {
    pub(super) fn new(tables: &Tables) -> Option<Self> {
        Some(Self {
            table: tables.of("settlement")?,
            payments: 0,
            settlements: 0,
        })
    }

    /// Rebuilds one from its events, and compares it with what is stored.
    async fn rebuild(
        &mut self,
        audit: &mut Audit<'_>,
        aggregate: &str,
        item: Option<Item>,
        known: &mut Known,
    ) -> Result<(), Error> {
        match kind_of(aggregate) {
            PAYMENT => {
                self.payments += u64::from(item.is_some());
                let events = audit.history(aggregate).await?;
                let told = told(&events, witness::payment(&events), Payment::clone);
                if let Some(told) = Self::follows(audit, &events, told) {
                    let currency = currency(&told);
                    known.currencies.insert(aggregate.to_owned(), currency);
                    self.compare::<Payment>(audit, &told, item);
                }
            }
            SETTLEMENT => {
                self.settlements += u64::from(item.is_some());
                let events = audit.history(aggregate).await?;
                let told = told(&events, witness::settlement(&events), Row::of);
                if let Some(told) = Self::follows(audit, &events, told) {
                    let payment = told.state.get("payment_id").and_then(Value::as_str);
                    let payment = format!("{PAYMENT}#{}", payment.unwrap_or_default());
                    let settlement = (told.first, payment, currency(&told));
                    known.settlements.push(settlement);
                    self.compare::<Row>(audit, &told, item);
                }
            }
            _ => {}
        }
        Ok(())
    }

    /// What events come to; where one does not follow from those before it, it is named.
    fn follows(
        audit: &mut Audit<'_>,
        events: &[Envelope],
        told: Result<Option<Told>, Broken>,
    ) -> Option<Told> {
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
        audit.of_event(Kind::Books, event.event_id, what, advice);
        None
    }

    /// Compares a stored state with what its events come to.
    fn compare<S: Serialize + DeserializeOwned>(
        &self,
        audit: &mut Audit<'_>,
        told: &Told,
        item: Option<Item>,
    ) {
        let Some(item) = item else { return };
        let number = |name: &str| item.get(name).and_then(Value::as_u64);
        let (version, last_sequence) = (number("version"), number("last_sequence"));
        let stored = audit.typed::<S>(&self.table, item);
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
            audit.of_event(Kind::Books, told.last, what, advice::BOOKS);
        }
    }

    /// A settlement is of a payment that there is, and in its currency.
    fn of_payments(audit: &mut Audit<'_>, known: Known) {
        for (first, payment, currency) in known.settlements {
            let what = match known.currencies.get(&payment) {
                Some(of_payment) if *of_payment == currency => continue,
                Some(_) => format!("is in another currency than {}", shown(&payment)),
                // It may have been read before the payment was made; or the payment is none of the scope, or was named.
                None => {
                    let made = audit.index.get(&first);
                    let is_young = made.is_none_or(|made| audit.is_young(made.committed_at));
                    let is_known = audit.aggregates.contains_key(&payment);
                    if !audit.is_whole() || is_young || is_known {
                        continue;
                    }
                    format!("settles {}, of which no event tells", shown(&payment))
                }
            };
            audit.of_event(Kind::Books, first, what, advice::HISTORY);
        }
    }
}

fn currency(told: &Told) -> Value {
    told.state.get("currency").cloned().unwrap_or_default()
}

#[async_trait]
impl DomainAudit for Settlements {
    fn name(&self) -> &'static str {
        "settlement"
    }

    fn states(&self) -> &'static [&'static str] {
        &[PAYMENT, SETTLEMENT]
    }

    async fn check(&mut self, audit: &mut Audit<'_>) -> Result<(), Error> {
        let mut known = Known::default();
        let mut pages = Pages::of(audit.places_of(&self.table, self.states()));
        while let Some(items) = pages.next(audit).await? {
            for item in items.into_iter().filter(is_state) {
                if let Some(pk) = text(&item, "pk").map(str::to_owned) {
                    audit.state(&pk, &item).await?;
                    self.rebuild(audit, &pk, Some(item), &mut known).await?;
                }
            }
        }
        let is_left = |(name, one): (&String, &Aggregate)| {
            let is_ours = [PAYMENT, SETTLEMENT].contains(&kind_of(name));
            (is_ours && !one.has_state).then(|| name.clone())
        };
        let left: Vec<String> = audit.aggregates.iter().filter_map(is_left).collect();
        for aggregate in left {
            self.rebuild(audit, &aggregate, None, &mut known).await?;
        }
        Self::of_payments(audit, known);
        Ok(())
    }

    fn counts(&self) -> Vec<(&'static str, u64)> {
        vec![
            ("payments", self.payments),
            ("settlements", self.settlements),
        ]
    }
}
