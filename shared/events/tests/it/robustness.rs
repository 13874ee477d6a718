//! No input makes the registry or a decoder panic, and every refusal reports a violation.

use std::sync::LazyLock;

use events::{DecodeError, Registry, Subscription, contracts};
use proptest::prelude::*;
use serde_json::Value;

use crate::support;

/// Shared by the cases, so that its validators are compiled once.
static REGISTRY: LazyLock<Registry> = LazyLock::new(Registry::shipped);

events::subscription! {
    enum Everything {
        Low(contracts::alert::TreasuryBackingLow) by Mark,
        Burned(contracts::cloud::Burned) by Mark,
        Minted(contracts::cloud::Minted) by Mark,
        Transferred(contracts::cloud::Transferred) by Mark,
        Registered(contracts::member::Registered) by Guard,
        Updated(contracts::member::Updated) by Guard,
        Changed(contracts::treasury::AccountChanged) by Guard,
    }
}

fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<String>().prop_map(Value::from),
    ];
    let name = prop_oneof![
        any::<String>(),
        "(event_id|event_type|event_version|payload|metadata|sequence|priority)"
    ];
    leaf.prop_recursive(5, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::hash_map(name.clone(), inner, 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

fn check_everything(registry: &Registry, text: &str) {
    match Registry::read(text) {
        Err(invalid) => assert!(!invalid.0.is_empty()),
        Ok(envelope) => match Everything::decode(&envelope) {
            Err(DecodeError::Invalid(violations)) => assert!(!violations.is_empty()),
            Err(DecodeError::UnknownType(_) | DecodeError::UnknownVersion { .. }) | Ok(_) => {}
        },
    }
    if let Err(invalid) = registry.ingest(text, &support::ARRIVAL) {
        assert!(!invalid.0.is_empty());
    }
    for contract in registry.registered() {
        if let Err(reason) = contract.decodes(text) {
            assert!(!reason.is_empty());
        }
    }
    if let Ok(document) = serde_json::from_str::<Value>(text) {
        let mut found = registry.validate(&document);
        for contract in registry.registered() {
            found.extend(contract.violations(&document, "/payload"));
        }
        assert!(found.iter().all(|one| !one.message.is_empty()));
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_bytes_make_anything_panic(bytes in prop::collection::vec(any::<u8>(), 0..300)) {
        check_everything(&REGISTRY, &String::from_utf8_lossy(&bytes));
    }

    #[test]
    fn no_json_makes_anything_panic(document in any_json()) {
        check_everything(&REGISTRY, &document.to_string());
    }

    #[test]
    fn no_damage_to_a_good_envelope_makes_anything_panic(
        full in any::<bool>(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..5),
        cut in any::<prop::sample::Index>(),
        whole in any::<bool>(),
    ) {
        let sample = &support::samples_of("common/envelope-v1")[if full { "full.json" } else { "minimal.json" }];
        let mut bytes = sample.clone().into_bytes();
        for (at, byte) in damage {
            let at = at.index(bytes.len());
            bytes[at] = byte;
        }
        if !whole {
            bytes.truncate(cut.index(bytes.len()));
        }
        check_everything(&REGISTRY, &String::from_utf8_lossy(&bytes));
    }
}

#[test]
fn nesting_beyond_any_limit_is_refused_or_ignored_but_never_overflows() {
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    let sample = &support::samples_of("common/envelope-v1")["minimal.json"];
    check_everything(&REGISTRY, &deep);
    check_everything(
        &Registry::shipped(),
        &sample.replacen('{', &format!("{{\"unknown\":{deep},"), 1),
    );
    check_everything(
        &Registry::shipped(),
        &sample.replacen(
            "\"payload\": {",
            &format!("\"payload\": {{\"unknown\":{deep},"),
            1,
        ),
    );
}

#[test]
fn a_field_given_twice_is_refused_by_name_wherever_it_stands() {
    let registry = Registry::shipped();
    let sample = &support::samples_of("common/envelope-v1")["minimal.json"];
    let twice = sample.replacen('{', "{\"sequence\": 7,", 1);
    let messages = |text: &str| {
        registry
            .ingest(text, &support::ARRIVAL)
            .expect_err("refused")
            .to_string()
    };
    assert_eq!(
        messages(&twice),
        "invalid event: (document): field sequence is given twice"
    );
    assert_eq!(
        Registry::read(&twice).expect_err("refused").to_string(),
        "invalid event: (document): field sequence is given twice"
    );
    // The schema cannot see this fault. Ingest must refuse it, because every consumer would park the event.
    let inside = sample.replacen("\"payload\": {", "\"payload\": {\"amount\": 7,", 1);
    assert_eq!(
        messages(&inside),
        "invalid event: /payload: field amount is given twice"
    );
    let envelope = Registry::read(&inside).expect("the envelope itself is well formed");
    assert_eq!(
        Everything::decode(&envelope)
            .expect_err("refused")
            .to_string(),
        "invalid: /payload: field amount is given twice"
    );
}
