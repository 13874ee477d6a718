//! Finds the changes to a released schema that would break its readers.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::Violation;

/// Keywords that inform people and constrain nothing.
const ANNOTATIONS: &[&str] = &[
    "$defs",
    "$id",
    "$schema",
    "default",
    "description",
    "examples",
    "title",
    "x-enum-descriptions",
    "x-expected",
];
const LOWER_BOUNDS: &[&str] = &[
    "minimum",
    "exclusiveMinimum",
    "minLength",
    "minItems",
    "minProperties",
];
const UPPER_BOUNDS: &[&str] = &[
    "maximum",
    "exclusiveMaximum",
    "maxLength",
    "maxItems",
    "maxProperties",
];

/// Every difference between a released schema and today's that needs a new version, each with its pointer into the
/// schema.
///
/// A new optional field, looser or dropped bounds and other descriptions are allowed. An enum with a fallback takes any
/// string, so its schema does not change when it gains a name. An enum without a fallback must keep its names: deployed
/// code would refuse a new one. A field must not change between required and optional, and must not become nullable:
/// deployed code relies on it.
#[must_use]
pub fn breaking_changes(released: &Value, now: &Value) -> Vec<Violation> {
    let mut comparison = Comparison {
        released,
        now,
        seen: BTreeSet::new(),
        found: Vec::new(),
    };
    comparison.node(released, now, "");
    comparison.found.sort();
    comparison.found
}

struct Comparison<'a> {
    released: &'a Value,
    now: &'a Value,
    seen: BTreeSet<(String, String)>,
    found: Vec<Violation>,
}

impl<'a> Comparison<'a> {
    fn break_at(&mut self, pointer: &str, message: impl Into<String>) {
        self.found.push(Violation::new(pointer, message));
    }

    fn node(&mut self, old: &'a Value, new: &'a Value, at: &str) {
        if let (Some(old_name), Some(new_name)) = (reference(old), reference(new)) {
            // A recursive type is compared only once.
            if !self.seen.insert((old_name.to_owned(), new_name.to_owned())) {
                return;
            }
        }
        let (old, new) = (resolve(self.released, old), resolve(self.now, new));
        let (Some(old), Some(new)) = (old.as_object(), new.as_object()) else {
            if old != new {
                self.break_at(at, "the schema has changed");
            }
            return;
        };
        self.fields(old, new, at);
        let keywords: BTreeSet<&str> = old.keys().chain(new.keys()).map(String::as_str).collect();
        for keyword in keywords {
            if ANNOTATIONS.contains(&keyword) || matches!(keyword, "properties" | "required") {
                continue;
            }
            let place = format!("{at}/{keyword}");
            match (old.get(keyword), new.get(keyword)) {
                (Some(before), Some(after)) => self.keyword(keyword, before, after, &place),
                (None, Some(_)) => self.break_at(&place, "is a constraint that was not there"),
                // Without the constraint more documents are valid. Without a keyword that selects a rule the meaning
                // changes.
                (Some(_), None) if loosens_when_dropped(keyword) => {}
                (Some(_), None) => self.break_at(&place, "is gone"),
                (None, None) => {}
            }
        }
    }

    fn keyword(&mut self, keyword: &str, before: &'a Value, after: &'a Value, place: &str) {
        match keyword {
            "items" | "additionalProperties" | "propertyNames" if before.is_object() => {
                self.node(before, after, place);
            }
            _ if LOWER_BOUNDS.contains(&keyword) || UPPER_BOUNDS.contains(&keyword) => {
                let (old, new) = (before.as_f64(), after.as_f64());
                let tighter = if LOWER_BOUNDS.contains(&keyword) {
                    new > old
                } else {
                    new < old
                };
                if tighter {
                    self.break_at(place, format!("is tighter: {before} became {after}"));
                }
            }
            "anyOf" | "oneOf" | "allOf" => match (before.as_array(), after.as_array()) {
                (Some(before), Some(after)) if before.len() == after.len() => {
                    for (at, (before, after)) in before.iter().zip(after).enumerate() {
                        self.node(before, after, &format!("{place}/{at}"));
                    }
                }
                _ => self.break_at(place, "the alternatives have changed"),
            },
            "enum" if before != after => {
                self.break_at(
                    place,
                    "the names of an enum without a fallback have changed",
                );
            }
            "pattern" if only_refuses_the_undeliverable(before, after) => {}
            _ if before != after => self.break_at(place, format!("{before} became {after}")),
            _ => {}
        }
    }

    fn fields(&mut self, old: &'a Map<String, Value>, new: &'a Map<String, Value>, at: &str) {
        let (before, after) = (properties(old), properties(new));
        for (name, field) in before {
            let place = format!("{at}/properties/{name}");
            match after.get(name) {
                None => self.break_at(&place, "the field is gone"),
                Some(now) => self.node(field, now, &place),
            }
            match (required(old, name), required(new, name)) {
                (true, false) => self.break_at(&place, "the field was required and is optional"),
                (false, true) => self.break_at(&place, "the field was optional and is required"),
                _ => {}
            }
        }
        for name in after.keys().filter(|name| !before.contains_key(*name)) {
            if required(new, name) {
                self.break_at(
                    &format!("{at}/properties/{name}"),
                    "a new field must be optional",
                );
            }
        }
    }
}

/// Whether the newer pattern differs only in that it excludes U+FFFE and U+FFFF. An event that only the older pattern
/// accepts was never delivered: no queue can carry it ([`crate::is_deliverable`]).
fn only_refuses_the_undeliverable(before: &Value, after: &Value) -> bool {
    let (Some(before), Some(after)) = (before.as_str(), after.as_str()) else {
        return false;
    };
    before.starts_with("^[^") && after.replace(r"\ufffe\uffff", "") == before
}

fn loosens_when_dropped(keyword: &str) -> bool {
    LOWER_BOUNDS.contains(&keyword) || UPPER_BOUNDS.contains(&keyword) || keyword == "pattern"
}

fn properties(node: &Map<String, Value>) -> &Map<String, Value> {
    static NONE: std::sync::OnceLock<Map<String, Value>> = std::sync::OnceLock::new();
    node.get("properties")
        .and_then(Value::as_object)
        .unwrap_or_else(|| NONE.get_or_init(Map::new))
}

fn required(node: &Map<String, Value>, name: &str) -> bool {
    node.get("required")
        .and_then(Value::as_array)
        .is_some_and(|all| all.iter().any(|one| one == name))
}

fn reference(node: &Value) -> Option<&str> {
    node.get("$ref").and_then(Value::as_str)
}

// Here `$ref` beside other keywords (a field's own description) always names a type of the same file.
fn resolve<'a>(root: &'a Value, node: &'a Value) -> &'a Value {
    reference(node)
        .and_then(|name| name.strip_prefix('#'))
        .and_then(|pointer| root.pointer(pointer))
        .unwrap_or(node)
}
