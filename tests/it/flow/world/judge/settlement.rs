//! Payments and settlements: under any faults, their events alone must rebuild the stored states. Each transition is
//! published once and starts at the status that the one before reached. No more is refunded than was captured, and no more
//! settled than is left of it.

use std::collections::{BTreeMap, BTreeSet};

use domain::Transitions;
use events::{
    Contract, Envelope, Money, Sequence,
    contracts::{payment, settlement as contracts},
};
use outbox::{Entity, State};
use serde_json::Value;
use settlement::{
    Payment, Settlement,
    books::Books,
    machine,
    settlement::SettlementRow,
    witness::{self, Broken, Rebuilt},
};

use super::super::{World, settlement::settlement_table};

const PAYMENT: &str = payment::Created::AGGREGATE;
const SETTLEMENT: &str = contracts::Created::AGGREGATE;

impl World {
    pub(super) fn judge_settlements(&self, log: &[Envelope], wrong: &mut Vec<String>) {
        let mut histories: BTreeMap<(&str, &str), Vec<Envelope>> = BTreeMap::new();
        for event in log {
            let of = (event.aggregate_type.as_str(), event.aggregate_id.as_str());
            if [PAYMENT, SETTLEMENT].contains(&of.0) {
                histories.entry(of).or_default().push(event.clone());
            }
        }
        let mut books = Books::default();
        for ((kind, id), events) in &histories {
            let name = format!("{kind} {id}");
            if *kind == PAYMENT {
                let entity: Entity<Payment> = self.stored(id);
                let stored = entity.state().map(|payment| (payment, entity.version()));
                if let Some((payment, _)) = stored {
                    judge_refunds(&name, payment, events, wrong);
                    judge_path(
                        &name,
                        machine::PAYMENT,
                        payment.status(),
                        None,
                        events,
                        wrong,
                    );
                }
                let rebuilt = witness::payment(events);
                if let Ok(Some(rebuilt)) = &rebuilt {
                    books.enter_payment(&rebuilt.state);
                }
                judge_witness(&name, stored, &rebuilt, wrong);
            } else {
                let entity: Entity<SettlementRow> = self.stored(id);
                let stored = entity.state().map(SettlementRow::settlement);
                if let Some(settlement) = stored {
                    let transitions = Some(settlement.transitions());
                    let (table, status) = (machine::SETTLEMENT, settlement.status());
                    judge_path(&name, table, status, transitions, events, wrong);
                    judge_confirmations(&name, settlement, events, wrong);
                }
                let stored = stored.map(|settlement| (settlement, entity.version()));
                let rebuilt = witness::settlement(events);
                if let Ok(Some(rebuilt)) = &rebuilt {
                    books.enter_settlement(&rebuilt.state);
                }
                judge_witness(&name, stored, &rebuilt, wrong);
            }
        }
        wrong.extend(books.check().iter().map(ToString::to_string));
        let stored = self.flow.store().items(&settlement_table());
        let stored: BTreeSet<String> = stored
            .iter()
            .filter_map(|item| Some(item["pk"].as_str()?.to_owned()))
            .collect();
        let named = histories.keys().map(|(kind, id)| format!("{kind}#{id}"));
        if stored != named.collect() {
            wrong.push(format!(
                "{} payments and settlements were published, {} are stored",
                histories.len(),
                stored.len()
            ));
        }
    }

    fn stored<S: State>(&self, id: &str) -> Entity<S> {
        let entity = self
            .flow
            .look(|site| async move { site.outbox().load(&settlement_table(), id).await });
        entity.expect("readable")
    }
}

/// What is stored must be what the events rebuild.
fn judge_witness<S: PartialEq + std::fmt::Debug>(
    name: &str,
    stored: Option<(&S, u64)>,
    rebuilt: &Result<Option<Rebuilt<S>>, Broken>,
    wrong: &mut Vec<String>,
) {
    let agrees = rebuilt.as_ref().is_ok_and(|rebuilt| {
        let rebuilt = rebuilt.as_ref();
        rebuilt.map(|rebuilt| (&rebuilt.state, rebuilt.version.number())) == stored
    });
    if !agrees {
        wrong.push(format!(
            "{name} is {stored:?}, its events rebuild {rebuilt:?}"
        ));
    }
}

/// Every transition is published once and starts at the status that the one before reached, as the table allows. This
/// check shares no code with the rules or with the rebuild.
fn judge_path<S: Copy + Eq + std::fmt::Display>(
    name: &str,
    table: Transitions<S>,
    status: S,
    transitions: Option<Sequence>,
    events: &[Envelope],
    wrong: &mut Vec<String>,
) {
    let mut path: Vec<String> = Vec::new();
    let mut numbers = Vec::new();
    for event in events {
        let payload: Value = serde_json::from_str(event.payload.json()).expect("JSON");
        let word = |name: &str| payload[name].as_str().map(str::to_owned);
        let step = match event.event_type.as_str() {
            payment::Created::TYPE | contracts::Created::TYPE => (None, Some("created".to_owned())),
            contracts::NetworkSelected::TYPE => (
                Some("created".to_owned()),
                Some("network_selected".to_owned()),
            ),
            payment::StatusChanged::TYPE | contracts::StatusChanged::TYPE => {
                (word("from_status"), word("to_status"))
            }
            _ => continue,
        };
        numbers.extend(payload["transition"].as_u64());
        if step.0.as_ref() != path.last() {
            wrong.push(format!("{name} took {step:?} after {path:?}"));
        }
        path.extend(step.1);
    }
    let allowed = |(from, to): (&String, &String)| {
        let from = table.statuses().find(|status| status.to_string() == *from);
        from.is_some_and(|from| table.next(from).iter().any(|next| next.to_string() == *to))
    };
    if !path.iter().zip(path.iter().skip(1)).all(allowed) {
        wrong.push(format!("{name} went {path:?}"));
    }
    if path.last() != Some(&status.to_string()) {
        wrong.push(format!("{name} is {status}, but its events took {path:?}"));
    }
    let count = u64::try_from(path.len()).expect("few");
    let numbered = transitions.is_none_or(|transitions| {
        transitions.number() == count && numbers.iter().copied().eq(1..=count)
    });
    if !numbered {
        wrong.push(format!(
            "{name} counts {transitions:?} transitions, its events have the numbers {numbers:?}"
        ));
    }
}

/// Refunds add up to what is stored, and never to more than was captured.
fn judge_refunds(name: &str, payment: &Payment, events: &[Envelope], wrong: &mut Vec<String>) {
    let mut sum = Money::ZERO;
    for event in events {
        if event.event_type.as_str() == payment::Refunded::TYPE {
            let payload: payment::Refunded = events::decode_payload(event).expect("a payload");
            sum = sum.plus(payload.refund_amount).expect("a sum");
        }
    }
    let captured = events.iter().any(|event| {
        let payload = event.payload.json();
        event.event_type.as_str() == payment::StatusChanged::TYPE
            && payload.contains("\"to_status\":\"captured\"")
    });
    let most = if captured {
        payment.amount()
    } else {
        Money::ZERO
    };
    if sum != payment.refunded() || sum > most {
        wrong.push(format!(
            "{name}: {sum} was refunded, {} is stored, {most} was captured",
            payment.refunded()
        ));
    }
}

/// Confirmations only rise, up to what is stored.
fn judge_confirmations(
    name: &str,
    settlement: &Settlement,
    events: &[Envelope],
    wrong: &mut Vec<String>,
) {
    let mut last = 0;
    for event in events {
        if event.event_type.as_str() == contracts::ConfirmationProgress::TYPE {
            let payload: contracts::ConfirmationProgress =
                events::decode_payload(event).expect("a payload");
            if payload.confirmations <= last {
                wrong.push(format!(
                    "{name} had {last} confirmations, then {}",
                    payload.confirmations
                ));
            }
            last = payload.confirmations;
        }
    }
    if last != settlement.confirmations() {
        wrong.push(format!(
            "{name} has {} confirmations, the last event states {last}",
            settlement.confirmations()
        ));
    }
}
