//! Every aggregate of every domain: the audit must notice any damage of what is stored, and the rebuild must notice any
//! damage of the events. A new domain is tested here without further code.

use std::collections::BTreeSet;

use super::*;
use domain::{History, Verdict, Witnessed};

/// The number of aggregates of each type, those with the longest histories.
const EACH: usize = 3;

struct Rebuilt {
    aggregate: &'static dyn Witnessed,
    id: String,
    key: Key,
    history: History,
    stored: Item,
}

impl Rebuilt {
    /// The histories of a stand, of every aggregate type in its log.
    fn of(stand: &Stand) -> Vec<Self> {
        let mut all = Vec::new();
        for domain in domains::ALL {
            let table = Table::domain(domain.name);
            for aggregate in domain.aggregates {
                let histories = History::collect(*aggregate, &stand.log);
                let mut of_type: Vec<_> = histories.into_iter().collect();
                of_type.sort_by_key(|(_, history)| std::cmp::Reverse(history.own.len()));
                for (id, history) in of_type.into_iter().take(EACH) {
                    let key = aggregate.key(&table, &id);
                    let stored = stand.item(&key);
                    all.push(Self {
                        aggregate: *aggregate,
                        id,
                        key,
                        history,
                        stored,
                    });
                }
            }
        }
        all
    }

    /// What the row's key says of whose it is.
    fn id_of_key(&self) -> Option<&str> {
        let sk = self.stored["sk"].as_str().expect("a text");
        self.aggregate.id_at(&self.key.pk, sk)
    }

    fn verdict(&self, history: &History) -> Verdict {
        self.aggregate.compare(history, Some(&self.stored)).verdict
    }

    fn name(&self) -> String {
        format!("{} {}", self.aggregate.aggregate_type(), self.id)
    }
}

fn stands() -> [Stand; 2] {
    [Stand::quiet(7), settlement::stand()]
}

/// Another value of the same type.
fn other(value: &Value) -> Value {
    match value {
        Value::Number(number) => {
            let number: Decimal = number.to_string().parse().expect("a decimal");
            let other = (number + Decimal::ONE).normalize().to_string();
            serde_json::from_str(&other).expect("a number")
        }
        Value::Bool(flag) => json!(!flag),
        Value::String(text) => json!(format!("{text}x")),
        Value::Null | Value::Array(_) | Value::Object(_) => json!("something else"),
    }
}

#[test]
fn the_types_of_every_domain_are_told_of_here() {
    let types: BTreeSet<&str> = stands()
        .iter()
        .flat_map(Rebuilt::of)
        .map(|one| one.aggregate.aggregate_type())
        .collect();
    assert_eq!(types, domains::aggregate_types().collect());
}

#[test]
fn each_stored_field_that_an_event_states_is_compared_by_the_audit() {
    for stand in stands() {
        for rebuilt in Rebuilt::of(&stand) {
            let witness = rebuilt
                .aggregate
                .compare(&rebuilt.history, Some(&rebuilt.stored));
            assert_eq!(witness.verdict, Verdict::Agrees, "{}", rebuilt.name());
            let fields = witness.stored.expect("a row").state;
            assert!(!fields.is_empty(), "{}", rebuilt.name());
            assert_eq!(rebuilt.id_of_key(), Some(rebuilt.id.as_str()));
            for name in fields.keys() {
                let mut item = rebuilt.stored.clone();
                let damaged = other(&item[name]);
                item.insert(name.clone(), damaged);
                stand.put(&rebuilt.key.table, item);
                let report = stand.audit(&Options {
                    settled: true,
                    scope: vec![(
                        rebuilt.aggregate.aggregate_type().to_owned(),
                        rebuilt.id.clone(),
                    )],
                    ..Options::default()
                });
                assert!(!report.clean, "{}: {name} was changed", rebuilt.name());
                stand.put(&rebuilt.key.table, rebuilt.stored.clone());
            }
        }
    }
}

#[test]
fn a_history_that_lacks_an_event_or_has_one_twice_never_agrees() {
    for stand in stands() {
        for rebuilt in Rebuilt::of(&stand) {
            for at in 0..rebuilt.history.own.len() {
                let mut lacks = rebuilt.history.clone();
                let event = lacks.own.remove(at);
                let which = format!("{} without {}", rebuilt.name(), event.event_type);
                assert_ne!(rebuilt.verdict(&lacks), Verdict::Agrees, "{which}");
                let mut twice = rebuilt.history.clone();
                twice.own.insert(at, event);
                assert_ne!(rebuilt.verdict(&twice), Verdict::Agrees, "{which} twice");
            }
            for at in 0..rebuilt.history.elsewhere.len() {
                let mut lacks = rebuilt.history.clone();
                let event = lacks.elsewhere.remove(at);
                let which = format!("{} without {}", rebuilt.name(), event.event_type);
                assert_ne!(rebuilt.verdict(&lacks), Verdict::Agrees, "{which}");
            }
        }
    }
}

#[test]
fn of_each_type_of_event_some_other_number_or_word_is_noticed() {
    let (mut noticed, mut tried) = (BTreeSet::new(), BTreeSet::new());
    for stand in stands() {
        for rebuilt in Rebuilt::of(&stand) {
            for (at, event) in rebuilt.history.own.iter().enumerate() {
                let event_type = event.event_type.to_string();
                tried.insert(event_type.clone());
                let payload: Value = serde_json::from_str(event.payload.json()).expect("JSON");
                for (name, value) in payload.as_object().expect("an object") {
                    let mut whole = serde_json::to_value(event).expect("JSON");
                    whole["payload"][name] = other(value);
                    let Ok(changed) = serde_json::from_str(&whole.to_string()) else {
                        continue;
                    };
                    let mut history = rebuilt.history.clone();
                    history.own[at] = changed;
                    if rebuilt.verdict(&history) != Verdict::Agrees {
                        noticed.insert(event_type.clone());
                    }
                }
            }
        }
    }
    // The alert's event states figures of its moment. Its row counts episodes, and only the event's number shows those.
    tried.remove("alert.treasury_backing_low");
    assert_eq!(noticed, tried);
}
