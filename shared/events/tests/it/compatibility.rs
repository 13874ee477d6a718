//! The check of released schemas finds every breaking change and accepts the allowed ones. Each test applies one change
//! at every place of every shipped schema where it fits.

use events::{Registry, breaking_changes};
use serde_json::{Map, Value, json};

use crate::support;

fn schemas() -> Vec<(String, Value)> {
    Registry::shipped()
        .schema_files()
        .into_iter()
        .map(|(path, text)| (path, support::json(&text)))
        .collect()
}

type Object = Map<String, Value>;

/// Applies a change at the nth object of a schema at which it fits. `None` if there are fewer.
fn change_nth(schema: &Value, nth: usize, change: &dyn Fn(&mut Object) -> bool) -> Option<Value> {
    fn walk(node: &mut Value, left: &mut usize, change: &dyn Fn(&mut Object) -> bool) -> bool {
        match node {
            Value::Object(object) => {
                let mut changed = object.clone();
                if change(&mut changed) {
                    if *left == 0 {
                        *object = changed;
                        return true;
                    }
                    *left -= 1;
                }
                object.values_mut().any(|child| walk(child, left, change))
            }
            Value::Array(items) => items.iter_mut().any(|child| walk(child, left, change)),
            _ => false,
        }
    }
    let mut changed = schema.clone();
    let mut left = nth;
    walk(&mut changed, &mut left, change).then_some(changed)
}

/// The number of places at which a change fits; the verdict is checked at each of them.
fn at_every_place(what: &str, breaks: bool, change: &dyn Fn(&mut Object) -> bool) {
    let mut places = 0;
    for (path, schema) in schemas() {
        for nth in 0.. {
            let Some(changed) = change_nth(&schema, nth, change) else {
                break;
            };
            let found = breaking_changes(&schema, &changed);
            assert_eq!(
                !found.is_empty(),
                breaks,
                "{what}, place {nth} of {path}: {found:#?}"
            );
            places += 1;
        }
    }
    assert!(places > 0, "{what}: no schema has such a place");
}

fn breaks(what: &str, change: impl Fn(&mut Object) -> bool) {
    at_every_place(what, true, &change);
}

fn passes(what: &str, change: impl Fn(&mut Object) -> bool) {
    at_every_place(what, false, &change);
}

fn properties(node: &mut Object) -> Option<&mut Object> {
    // A field named `properties` would be an object with a type. There is no such field.
    node.get("type").filter(|name| *name == "object")?;
    node.get_mut("properties")?.as_object_mut()
}

fn required(node: &mut Object) -> &mut Vec<Value> {
    node.entry("required")
        .or_insert_with(|| json!([]))
        .as_array_mut()
        .expect("a list")
}

fn bound(node: &mut Object, keyword: &str, by: i64) -> bool {
    let Some(Value::Number(limit)) = node.get(keyword) else {
        return false;
    };
    let moved = limit.as_i64().map_or_else(
        || {
            json!(limit.as_f64().map(|limit| if (by > 0) == (limit > 0.0) {
                limit * 2.0
            } else {
                limit / 2.0
            }))
        },
        |limit| json!(limit + by),
    );
    node.insert(keyword.to_owned(), moved);
    true
}

#[test]
fn an_unchanged_schema_passes() {
    for (path, schema) in schemas() {
        assert_eq!(breaking_changes(&schema, &schema), [], "{path}");
    }
}

#[test]
fn removing_any_field_is_found() {
    let fields: usize = schemas()
        .iter()
        .map(|(_, one)| one["properties"].as_object().map_or(0, Map::len))
        .sum();
    for index in 0..fields {
        let mut applied = false;
        for (path, schema) in schemas() {
            let mut changed = schema.clone();
            let Some(fields) = changed.as_object_mut().and_then(properties) else {
                continue;
            };
            let Some(name) = fields.keys().nth(index).cloned() else {
                continue;
            };
            fields.remove(&name);
            applied = true;
            let found = breaking_changes(&schema, &changed);
            assert!(
                found
                    .iter()
                    .any(|one| one.pointer == format!("/properties/{name}")),
                "{path}: {name} went unnoticed: {found:#?}"
            );
        }
        if !applied {
            break;
        }
    }
}

#[test]
fn a_new_required_field_is_found_and_a_new_optional_one_passes() {
    let add = |node: &mut Object| {
        properties(node).is_some_and(|fields| {
            fields
                .insert("added".into(), json!({ "type": "string" }))
                .is_none()
        })
    };
    passes("new optional field", add);
    breaks("new required field", move |node| {
        let added = add(node);
        if added {
            required(node).push("added".into());
        }
        added
    });
}

#[test]
fn turning_a_field_required_or_optional_is_found() {
    breaks("required became optional", |node| {
        node.get_mut("required")
            .and_then(Value::as_array_mut)
            .is_some_and(|names| names.pop().is_some())
    });
    breaks("optional became required", |node| {
        let Some(names) = properties(node).map(|fields| fields.keys().cloned().collect::<Vec<_>>())
        else {
            return false;
        };
        let already = required(node).clone();
        let Some(name) = names
            .into_iter()
            .find(|name| !already.iter().any(|one| one == name))
        else {
            return false;
        };
        required(node).push(name.into());
        true
    });
}

#[test]
fn another_type_pattern_unit_scale_or_aggregate_is_found() {
    breaks("another type", |node| {
        node.get("type").is_some_and(|name| name == "string")
            && node.insert("type".into(), "boolean".into()).is_some()
    });
    breaks("null where it never was", |node| {
        node.get("type").is_some_and(|name| name == "string")
            && node
                .insert("type".into(), json!(["string", "null"]))
                .is_some()
    });
    for (keyword, value) in [
        ("pattern", json!("^[a-z]$")),
        ("x-unit", json!("EUR")),
        ("x-scale", json!(3)),
        ("format", json!("uri")),
        ("x-aggregate", json!("other/{id}")),
    ] {
        breaks(keyword, move |node| {
            node.get(keyword).is_some_and(|before| !before.is_object()) && {
                node.insert(keyword.to_owned(), value.clone());
                true
            }
        });
    }
}

#[test]
fn tighter_bounds_are_found_and_looser_ones_pass() {
    for keyword in ["minLength", "minimum"] {
        breaks(keyword, |node| bound(node, keyword, 1));
        passes(keyword, |node| bound(node, keyword, -1));
    }
    for keyword in ["maxLength", "maximum"] {
        breaks(keyword, |node| bound(node, keyword, -1));
        passes(keyword, |node| bound(node, keyword, 1));
        passes(keyword, |node| {
            node.get(keyword).is_some_and(Value::is_number) && node.remove(keyword).is_some()
        });
    }
    breaks("a bound where none was", |node| {
        node.get("type").is_some_and(|name| name == "string")
            && node.insert("multipleOf".into(), json!(1)).is_none()
    });
}

#[test]
fn another_name_in_an_enum_without_a_fallback_is_found_whichever_way() {
    let names = |change: fn(&mut Vec<Value>)| {
        move |node: &mut Object| {
            node.get_mut("enum")
                .and_then(Value::as_array_mut)
                .map(change)
                .is_some()
        }
    };
    breaks("a name more", names(|all| all.push("other".into())));
    breaks("a name less", names(|all| drop(all.pop())));
}

#[test]
fn other_words_for_people_pass() {
    for keyword in ["description", "x-expected", "title"] {
        passes(keyword, |node| {
            node.get(keyword).is_some_and(Value::is_string)
                && node.insert(keyword.to_owned(), "else".into()).is_some()
        });
    }
}

#[test]
fn a_field_that_loses_its_type_in_a_shared_definition_is_found() {
    let schema = json!({
        "type": "object",
        "properties": { "one": { "$ref": "#/$defs/Inner" } },
        "$defs": { "Inner": { "type": "object", "properties": { "deep": { "type": "string" } } } }
    });
    let mut changed = schema.clone();
    changed["$defs"]["Inner"]["properties"]["deep"]["type"] = "integer".into();
    let found = breaking_changes(&schema, &changed);
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].pointer, "/properties/one/properties/deep/type");
}
