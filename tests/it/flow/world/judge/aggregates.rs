//! Every aggregate of every domain: under any faults, its events alone must rebuild what is stored.

use std::collections::BTreeSet;

use cloud::{
    Account,
    stake::{Position, positions},
};
use domain::{Domain, History, Verdict};
use events::Envelope;
use outbox::{Item, Key, State as _, Table};

use super::super::{World, cloud_table};

impl World {
    pub(super) fn judge_aggregates(&self, log: &[Envelope], wrong: &mut Vec<String>) {
        for domain in domains::ALL {
            self.judge_domain(domain, log, wrong);
        }
        let known: BTreeSet<&str> = domains::aggregate_types().collect();
        let types = log.iter().map(|event| event.aggregate_type.as_str());
        let unknown: BTreeSet<&str> = types.filter(|types| !known.contains(types)).collect();
        if !unknown.is_empty() {
            wrong.push(format!("nothing rebuilds {unknown:?}"));
        }
        self.judge_stakes(log, wrong);
    }

    fn judge_domain(&self, domain: &Domain, log: &[Envelope], wrong: &mut Vec<String>) {
        // The tables of this world have the names of their domains.
        let table = Table::domain(domain.name);
        let items = self.flow.store().items(&table);
        let stored = |key: &Key| {
            items
                .iter()
                .find(|item| place(item) == place(&key.attributes()))
        };
        let mut rebuilt = BTreeSet::new();
        for aggregate in domain.aggregates {
            for (id, history) in History::collect(*aggregate, log) {
                let key = aggregate.key(&table, &id);
                let witness = aggregate.compare(&history, stored(&key));
                if witness.verdict != Verdict::Agrees {
                    let kind = aggregate.aggregate_type();
                    wrong.push(format!("{kind} {id}: {witness:?}"));
                }
                rebuilt.insert(place(&key.attributes()));
            }
        }
        // A row that counts events is the row of an aggregate.
        let counts = |item: &&Item| item.get("last_sequence").is_some_and(|last| last != 0);
        for item in items.iter().filter(counts) {
            if !rebuilt.contains(&place(item)) {
                wrong.push(format!("{item:?} counts events that the log does not have"));
            }
        }
    }
}

impl World {
    /// Stakes are rows beside their account. They must be what the events rebuild.
    fn judge_stakes(&self, log: &[Envelope], wrong: &mut Vec<String>) {
        let rebuilt = positions(log);
        let table = cloud_table();
        let items = self.flow.store().items(&table).into_iter();
        let is_stake = |item: &Item| {
            let (pk, sk) = place(item);
            pk.starts_with(Account::AGGREGATE) && sk.starts_with("stake#")
        };
        let read =
            |item: Item| -> Position { serde_json::from_value(item.into()).expect("a position") };
        let stored = items.filter(is_stake).map(read);
        let stored = stored
            .map(|position| (position.position_id(), position))
            .collect();
        if rebuilt.as_ref().ok() != Some(&stored) {
            wrong.push(format!(
                "stakes are {stored:?}, their events rebuild {rebuilt:?}"
            ));
        }
    }
}

/// The key of an item in a domain's table.
fn place(item: &Item) -> (String, String) {
    let text = |name: &str| item[name].as_str().expect("a key").to_owned();
    (text("pk"), text("sk"))
}
