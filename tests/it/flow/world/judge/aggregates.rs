//! Every aggregate of every domain: whatever happened on the way, its events alone come to what is stored.

use std::collections::BTreeSet;

use domain::{Domain, History, Verdict};
use events::Envelope;
use outbox::{Item, Key, Table};

use super::super::World;

impl World {
    pub(super) fn judge_aggregates(&self, log: &[Envelope], wrong: &mut Vec<String>) {
        for domain in domains::ALL {
            self.judge_domain(domain, log, wrong);
        }
    }

    fn judge_domain(&self, domain: &Domain, log: &[Envelope], wrong: &mut Vec<String>) {
        // The tables of this world are called as their domains are.
        let table = Table::domain(domain.name);
        let items = self.flow.store().items(&table);
        let stored = |key: &Key| {
            items
                .iter()
                .find(|item| place(item) == place(&key.attributes()))
        };
        let mut told = BTreeSet::new();
        for aggregate in domain.aggregates {
            for (id, history) in History::collect(*aggregate, log) {
                let key = aggregate.key(&table, &id);
                let witness = aggregate.compare(&history, stored(&key));
                if witness.verdict != Verdict::Agrees {
                    let kind = aggregate.aggregate_type();
                    wrong.push(format!("{kind} {id}: {witness:?}"));
                }
                told.insert(place(&key.attributes()));
            }
        }
        // A row that counts events is an aggregate's.
        let counts = |item: &&Item| item.get("last_sequence").is_some_and(|last| last != 0);
        for item in items.iter().filter(counts) {
            if !told.contains(&place(item)) {
                wrong.push(format!("{item:?} counts events that the log does not have"));
            }
        }
    }
}

/// The key of an item in a domain's table.
fn place(item: &Item) -> (String, String) {
    let text = |name: &str| item[name].as_str().expect("a key").to_owned();
    (text("pk"), text("sk"))
}
