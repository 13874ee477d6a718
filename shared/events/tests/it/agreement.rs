//! Decoder and schema accept the same documents, for every contract and for the envelope. The tests alter valid samples
//! at random.
//!
//! A difference is a fault of a type or of its schema: Rust consumers decode by type, other languages validate by
//! schema.

use std::collections::BTreeSet;

use events::{Envelope, Registry, schema_of, validator_for};
use proptest::{prelude::*, sample::select, test_runner::TestRunner};
use serde_json::{Value, json};

use crate::support;

const CASES_PER_CONTRACT: u32 = 3_000;
const CASES_OF_THE_ENVELOPE: u32 = 10_000;

/// One change of a document. It picks places and fields by number, so that any change fits any document.
#[derive(Debug, Clone)]
enum Bend {
    Drop,
    Replace(Value),
    InsertChar(char, usize),
    Truncate(usize),
    Repeat(usize),
    SwapCase,
    Nudge(Nudge),
    AddField(String, Value),
    /// Replaces a struct with the array of its fields, which serde's derive would accept.
    FieldsAsArray,
    /// Replaces a name with an object, which serde's derive would accept for a plain variant.
    NameAsObject,
    /// Wraps a value in an array.
    Wrap,
}

#[derive(Debug, Clone, Copy)]
enum Nudge {
    Negate,
    AsDouble,
    PlusTiny,
    TimesTen,
    TimesHuge,
    PlusOne,
    MinusOne,
}

fn odd_text() -> impl Strategy<Value = String> {
    let known = select(vec![
        "",
        " ",
        "\n",
        "\t",
        "\r",
        "\u{0}",
        "\u{1f}",
        "\u{7f}",
        "\u{85}",
        "\u{9f}",
        "\u{a0}",
        "\u{2028}",
        "\u{feff}",
        "#",
        "a#b",
        "aws.events",
        "aws",
        "unallocated",
        "unallocated ",
        "1110",
        "٣",
        "v٣",
        "v0",
        "v01",
        "v10000",
        "v9999",
        "V1",
        "+1",
        "a@b",
        "a@b.c",
        "a@b.c\n",
        "a@b..c",
        "a@-b.c",
        "a b@c.d",
        "\"a\"@b.c",
        "é@b.c",
        "0x52908400098527886E0F7030069857D2E4169EE7",
        "0X52908400098527886E0F7030069857D2E4169EE7",
        "550e8400-e29b-41d4-a716-446655440000",
        "550E8400-E29B-41D4-A716-446655440000",
        "550e8400-e29b-11d4-a716-446655440000",
        "550e8400-e29b-41d4-c716-446655440000",
        "550e8400-e29b-41d4-a716-4466554400001",
        "550e8400e29b41d4a716446655440000",
        "urn:uuid:550e8400-e29b-41d4-a716-446655440000",
        "{550e8400-e29b-41d4-a716-446655440000}",
        "2026-02-30T12:00:00.000Z",
        "2026-02-28T24:00:00.000Z",
        "2026-02-28T12:00:60.000Z",
        "2024-02-29T23:59:59.999Z",
        "2026-02-28t12:00:00.000z",
        "2026-02-28T12:00:00.00٣Z",
        "0000-01-01T00:00:00.000Z",
        "+026-02-13T12:00:00.000Z",
        "-026-02-13T12:00:00.000Z",
        "2026-02-28T12:00:00.000+00:00",
        "2026-02-28 12:00:00.000Z",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "-0",
        "0.1",
        "-12.50",
        "1e3",
        "01",
        "1.",
        ".5",
        "low",
        "Low",
        "urgent",
        "admin",
        "member",
        "cloud.minted",
        "cloud..minted",
        "cloud.minted.v1",
        "Cloud.minted",
    ])
    .prop_map(str::to_owned);
    prop_oneof![
        4 => known,
        1 => any::<String>(),
        1 => "[a-zA-Z0-9._:/@#-]{0,12}",
        1 => (select(vec!['a', '1', 'é', '\u{10ffff}', '\n']), 0_usize..600).prop_map(|(one, times)| one.to_string().repeat(times)),
    ]
}

fn odd_number() -> impl Strategy<Value = Value> {
    let known = select(vec![
        json!(0),
        json!(-0.0),
        json!(1),
        json!(-1),
        json!(1.0),
        json!(0.5),
        json!(0.01),
        json!(0.001),
        json!(1e-6),
        json!(1e-7),
        json!(1e-300),
        json!(1e300),
        json!(1e15),
        json!(999_999_999),
        json!(1_000_000_000),
        json!(999_999_999.999_999),
        json!(999_999_999.999_999_9),
        json!(9_999_999_999_999.99),
        json!(1e13),
        json!(9_007_199_254_740_991_u64),
        json!(9_007_199_254_740_992_u64),
        json!(9_007_199_254_740_991.0),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(i64::MAX),
        json!(1e19),
        json!(1e20),
    ]);
    prop_oneof![
        3 => known,
        1 => any::<f64>().prop_map(|number| json!(number)),
        1 => any::<i64>().prop_map(|number| json!(number)),
        1 => (0_u32..2_000_000_000, 0_u32..9).prop_map(|(units, scale)| json!(f64::from(units) / 10_f64.powi(scale.cast_signed()))),
    ]
}

fn odd_value() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => odd_text().prop_map(Value::from),
        4 => odd_number(),
        1 => Just(Value::Null),
        1 => any::<bool>().prop_map(Value::from),
        1 => Just(json!({})),
        1 => Just(json!([])),
        1 => Just(json!({ "a": "b" })),
        1 => Just(json!([null])),
    ]
}

fn bend() -> impl Strategy<Value = Bend> {
    let odd_char = prop_oneof![
        select(vec![
            '#', '\n', '\u{0}', '\u{9f}', '٣', 'é', ' ', '0', 'g', '@', '.', '-'
        ]),
        any::<char>()
    ];
    prop_oneof![
        2 => Just(Bend::Drop),
        6 => odd_value().prop_map(Bend::Replace),
        3 => (odd_char, 0_usize..80).prop_map(|(one, at)| Bend::InsertChar(one, at)),
        1 => (0_usize..40).prop_map(Bend::Truncate),
        1 => (2_usize..300).prop_map(Bend::Repeat),
        1 => Just(Bend::SwapCase),
        3 => select(vec![
            Nudge::Negate, Nudge::AsDouble, Nudge::PlusTiny, Nudge::TimesTen, Nudge::TimesHuge, Nudge::PlusOne, Nudge::MinusOne,
        ]).prop_map(Bend::Nudge),
        1 => (odd_text(), odd_value()).prop_map(|(name, value)| Bend::AddField(name, value)),
        1 => Just(Bend::FieldsAsArray),
        1 => Just(Bend::NameAsObject),
        1 => Just(Bend::Wrap),
    ]
}

fn pointers(document: &Value) -> Vec<String> {
    fn walk(node: &Value, at: &str, found: &mut Vec<String>) {
        found.push(at.to_owned());
        match node {
            Value::Object(fields) => {
                for (name, child) in fields {
                    walk(
                        child,
                        &format!("{at}/{}", name.replace('~', "~0").replace('/', "~1")),
                        found,
                    );
                }
            }
            Value::Array(items) => {
                for (index, child) in items.iter().enumerate() {
                    walk(child, &format!("{at}/{index}"), found);
                }
            }
            _ => {}
        }
    }
    let mut found = Vec::new();
    walk(document, "", &mut found);
    found
}

fn apply(document: &mut Value, place: usize, bend: &Bend) {
    let places = pointers(document);
    let pointer = &places[place % places.len()];
    if matches!(bend, Bend::Drop) {
        if let Some((parent, name)) = pointer.rsplit_once('/')
            && let Some(Value::Object(fields)) = document.pointer_mut(parent)
        {
            fields.remove(&name.replace("~1", "/").replace("~0", "~"));
        }
        return;
    }
    let Some(node) = document.pointer_mut(pointer) else {
        return;
    };
    *node = bent(node, bend);
}

fn bent(node: &Value, bend: &Bend) -> Value {
    match (bend, node) {
        (Bend::Replace(value), _) => value.clone(),
        (Bend::InsertChar(one, at), Value::String(text)) => {
            let mut chars: Vec<char> = text.chars().collect();
            chars.insert((*at).min(chars.len()), *one);
            chars.into_iter().collect::<String>().into()
        }
        (Bend::Truncate(to), Value::String(text)) => {
            text.chars().take(*to).collect::<String>().into()
        }
        (Bend::Repeat(times), Value::String(text)) => text.repeat(*times).into(),
        (Bend::SwapCase, Value::String(text)) if text.chars().any(char::is_lowercase) => {
            text.to_uppercase().into()
        }
        (Bend::SwapCase, Value::String(text)) => text.to_lowercase().into(),
        (Bend::NameAsObject, Value::String(text)) => json!({ (text.as_str()): null }),
        (Bend::Nudge(nudge), Value::Number(number)) => {
            let double = number.as_f64().unwrap_or_default();
            match (nudge, number.as_i64()) {
                (Nudge::Negate, Some(whole)) => json!(whole.saturating_neg()),
                (Nudge::PlusOne, Some(whole)) => json!(whole.saturating_add(1)),
                (Nudge::MinusOne, Some(whole)) => json!(whole.saturating_sub(1)),
                (Nudge::TimesTen, Some(whole)) => json!(whole.saturating_mul(10)),
                (Nudge::Negate, None) => json!(-double),
                (Nudge::PlusOne, None) => json!(double + 1.0),
                (Nudge::MinusOne, None) => json!(double - 1.0),
                (Nudge::TimesTen, None) => json!(double * 10.0),
                (Nudge::TimesHuge, _) => json!(double * 1e30),
                (Nudge::PlusTiny, _) => json!(double + 1e-7),
                (Nudge::AsDouble, _) => json!(double),
            }
        }
        (Bend::AddField(name, value), Value::Object(fields)) => {
            let mut fields = fields.clone();
            fields.insert(name.clone(), value.clone());
            fields.into()
        }
        (Bend::FieldsAsArray, Value::Object(fields)) => fields.values().cloned().collect(),
        (Bend::Wrap, value) => json!([value]),
        (_, value) => value.clone(),
    }
}

fn bent_documents(samples: Vec<Value>) -> impl Strategy<Value = Value> {
    (
        select(samples),
        prop::collection::vec((any::<usize>(), bend()), 1..4),
    )
        .prop_map(|(mut document, bends)| {
            for (place, bend) in &bends {
                apply(&mut document, *place, bend);
            }
            document
        })
}

fn runner(cases: u32) -> TestRunner {
    TestRunner::new(ProptestConfig {
        cases,
        failure_persistence: None,
        ..ProptestConfig::default()
    })
}

/// Runs the cases, and checks that they are meaningful: enough documents must be accepted, and enough refused.
fn compare(
    name: &str,
    cases: u32,
    samples: Vec<Value>,
    agree: impl Fn(&Value) -> Result<bool, TestCaseError>,
) {
    let accepted = std::cell::Cell::new(0_u32);
    runner(cases)
        .run(&bent_documents(samples), |document| {
            accepted.set(accepted.get() + u32::from(agree(&document)?));
            Ok(())
        })
        .unwrap_or_else(|error| panic!("{name}: {error}"));
    let share = accepted.get() * 100 / cases;
    assert!(
        (3..=90).contains(&share),
        "{name}: {share} % of the bent documents were accepted"
    );
}

fn same(
    decoder: &Result<(), String>,
    violations: &[events::Violation],
) -> Result<bool, TestCaseError> {
    prop_assert_eq!(
        decoder.is_ok(),
        violations.is_empty(),
        "the decoder says {:?}, the schema {:?}",
        decoder,
        violations
    );
    Ok(decoder.is_ok())
}

#[test]
fn decoder_and_schema_of_every_contract_accept_the_same() {
    for contract in Registry::shipped().registered() {
        let name = contract.info().schema_path();
        let samples = support::samples_of(&name)
            .values()
            .map(|text| support::json(text))
            .collect();
        compare(&name, CASES_PER_CONTRACT, samples, |document| {
            same(
                &contract.decodes(&document.to_string()),
                &contract.violations(document, ""),
            )
        });
    }
}

fn envelopes() -> Vec<Value> {
    support::samples_of("common/envelope-v1")
        .values()
        .map(|text| support::json(text))
        .collect()
}

#[test]
fn decoder_and_schema_of_the_stored_envelope_accept_the_same() {
    let validator = validator_for(&schema_of::<Envelope>()).expect("the schema compiles");
    compare("envelope", CASES_OF_THE_ENVELOPE, envelopes(), |document| {
        let read = Registry::read(&document.to_string())
            .map(drop)
            .map_err(|error| error.to_string());
        same(&read, &validator.violations(document, ""))
    });
}

#[test]
fn ingest_and_validation_accept_the_same() {
    let registry = Registry::shipped();
    let mut samples = envelopes();
    let optional = [
        "aggregate_type",
        "aggregate_id",
        "sequence",
        "correlation_id",
        "priority",
        "metadata",
    ];
    for mut bare in envelopes() {
        bare.as_object_mut()
            .expect("an object")
            .retain(|name, _| !optional.contains(&name.as_str()));
        samples.push(bare);
    }
    compare("ingest", CASES_OF_THE_ENVELOPE, samples, |document| {
        let taken = registry
            .ingest(&document.to_string(), &support::ARRIVAL)
            .map(drop)
            .map_err(|error| error.to_string());
        let mut filled = document.clone();
        if let Some(fields) = filled.as_object_mut() {
            let now = support::ARRIVAL.now.to_string();
            fields.entry("occurred_at").or_insert(now.into());
        }
        same(&taken, &registry.validate(&filled))
    });
}

/// The differences that the comparison must be able to find. Each of them once existed between serde's derive or JSON
/// Schema and the other.
#[test]
fn the_bends_reach_what_serde_and_json_schema_see_differently() {
    let mut runner = runner(CASES_PER_CONTRACT);
    let sample = support::json(&support::samples_of("member/registered-v1")["minimal.json"]);
    let known: BTreeSet<String> = sample
        .as_object()
        .expect("an object")
        .keys()
        .cloned()
        .collect();
    let seen = std::cell::RefCell::new(BTreeSet::new());
    runner
        .run(&bent_documents(vec![sample]), |document| {
            let mut seen = seen.borrow_mut();
            if document["notification_preferences"] == json!([true, true, false]) {
                seen.insert("a struct as an array");
            }
            if document["role"] == json!({ "member": null }) {
                seen.insert("a variant as an object");
            }
            if document["version"].is_f64() {
                seen.insert("an integer as a double");
            }
            if document
                .as_object()
                .is_some_and(|fields| fields.keys().any(|name| !known.contains(name)))
            {
                seen.insert("an unknown field");
            }
            Ok(())
        })
        .expect("nothing is checked on the way");
    assert_eq!(seen.into_inner().len(), 4);
}
