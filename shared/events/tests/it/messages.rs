//! The registry's error messages, as the person on call reads them: every violation at once, with its place, without a
//! value.

use std::collections::BTreeSet;

use events::{
    DOMAINS, DecodeError, RegisteredContract, Registry, Statistics, Violation, contracts,
    decode_payload,
};
use serde_json::{Value, json};

use crate::support;

fn envelope() -> Value {
    support::json(&support::samples_of("common/envelope-v1")["full.json"])
}

fn violations(document: &Value) -> Vec<String> {
    Registry::shipped()
        .validate(document)
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn a_registry_gets_lists_and_counts_its_contracts() {
    let registry = Registry::shipped();
    assert_eq!(
        registry
            .get("cloud.minted", 1)
            .map(|contract| contract.info().event_type),
        Some("cloud.minted")
    );
    assert!(registry.get("cloud.minted", 2).is_none());
    assert!(registry.get("cloud.vanished", 1).is_none());
    assert_eq!(registry.list("cloud.minted").count(), 1);
    assert_eq!(registry.list("cloud.vanished").count(), 0);
    assert_eq!(registry.latest("cloud.minted"), Some(1));
    assert_eq!(registry.latest("cloud.vanished"), None);
    let types: BTreeSet<_> = registry
        .contracts()
        .iter()
        .map(|info| info.event_type)
        .collect();
    assert_eq!(
        registry.statistics(),
        Statistics {
            contracts: registry.contracts().len(),
            event_types: types.len(),
            domains: DOMAINS.len(),
        }
    );
    let names: Vec<_> = registry
        .contracts()
        .iter()
        .map(|info| info.event_type)
        .collect();
    assert!(names.is_sorted(), "{names:?}");
    assert_eq!(registry.registered().len(), registry.contracts().len());
}

#[test]
fn an_empty_document_is_told_every_field_it_lacks() {
    assert_eq!(
        violations(&json!({})),
        [
            "/event_id: is required",
            "/event_type: is required",
            "/event_version: is required",
            "/occurred_at: is required",
            "/payload: is required",
            "/producer: is required",
        ]
    );
    assert_eq!(violations(&json!([])), ["(document): must be an object"]);
    let mut document = envelope();
    document["metadata"] = "text".into();
    assert_eq!(
        violations(&document),
        ["/metadata: must be an object or null"]
    );
}

#[test]
fn envelope_payload_and_aggregate_are_checked_at_once() {
    let mut document = envelope();
    document["event_id"] = "secret".into();
    document["occurred_at"] = "2026-02-30T12:00:00.000Z".into();
    document["priority"] = "urgent".into();
    document["trace_id"] = "secret".into();
    document["sequence"] = json!(0);
    document["aggregate_type"] = "member".into();
    document["aggregate_id"] = "member-2".into();
    document["payload"]["amount"] = json!(-0.5);
    document["payload"]["amount_usd"] = json!("10");
    document["payload"]["version"] = json!(1.5);
    document["payload"]["description"] = "".into();
    document["payload"]
        .as_object_mut()
        .expect("an object")
        .remove("balance_after");
    document["metadata"]["campaign"] = json!(7);
    assert_eq!(
        violations(&document),
        [
            "/aggregate_id: must be the id in the payload",
            "/aggregate_type: must be cloud_account, as the contract says",
            "/event_id: must be a UUID of version 4 or 7 (8-4-4-4-12 hexadecimal digits)",
            "/metadata/campaign: must be a string",
            "/occurred_at: must be a UTC time of the form YYYY-MM-DDThh:mm:ss.mmmZ",
            "/payload/amount: must be a number from 0 to 999999999.999999 with at most 6 decimals (CLOUD)",
            "/payload/amount_usd: must be a number from 0 to 9999999999999.99 with at most 2 decimals (USD)",
            "/payload/balance_after: is required",
            "/payload/description: must be text of 1 to 500 characters without control characters, U+FFFE or U+FFFF",
            "/payload/version: must be an integer from 1 to 9007199254740991, without a fraction",
            "/priority: must be one of low, normal, high, critical, null",
            "/sequence: must be an integer from 1 to 9007199254740991, without a fraction",
            "/trace_id: must be a W3C traceparent (00-, 32 hex digits, -, 16 hex digits, -, 2 hex digits; ids not all zero)",
        ]
    );
}

#[test]
fn unknown_types_and_versions_are_told_apart() {
    let mut document = envelope();
    document["event_version"] = "v2".into();
    assert_eq!(
        violations(&document),
        ["/event_version: is not a known version of the event type; the latest is v1"]
    );
    document["event_type"] = "cloud.vanished".into();
    assert_eq!(
        violations(&document),
        [
            "/event_type: is not a known event type; the nearest are: cloud.unstaked, cloud.minted, cloud.staked"
        ]
    );
    document["event_type"] = "cloud".into();
    assert_eq!(
        violations(&document),
        ["/event_type: must be domain.action in lower snake_case, at most 128 characters"]
    );
}

#[test]
fn no_message_repeats_a_value() {
    const SECRET: &str = "s3cret";
    let registry = Registry::shipped();
    for contract in registry.registered() {
        let sample =
            support::json(&support::samples_of(&contract.info().schema_path())["full.json"]);
        for name in sample.as_object().expect("an object").keys() {
            for value in [
                json!(SECRET),
                json!([SECRET]),
                json!({ SECRET: SECRET }),
                json!(format!("\u{0}{SECRET}")),
            ] {
                let mut document = sample.clone();
                document[name] = value;
                let message = format!(
                    "{:?} {:?}",
                    contract.violations(&document, ""),
                    contract.decodes(&document.to_string())
                );
                assert!(
                    !message.contains(SECRET),
                    "{}: {message}",
                    contract.info().schema_path()
                );
            }
        }
    }
    for name in envelope().as_object().expect("an object").keys() {
        for value in [json!(SECRET), json!([SECRET]), json!({ SECRET: [SECRET] })] {
            let mut document = envelope();
            document[name] = value;
            // A metadata key that the caller chose is a place, not a value, so it is part of the pointer.
            let messages: Vec<String> = registry
                .validate(&document)
                .into_iter()
                .map(|one| one.message)
                .collect();
            assert!(!messages.concat().contains(SECRET), "{name}: {messages:?}");
            if let Err(invalid) = Registry::read(&document.to_string()) {
                let messages: Vec<String> = invalid.0.into_iter().map(|one| one.message).collect();
                assert!(!messages.concat().contains(SECRET), "{name}: {messages:?}");
            }
        }
    }
    for text in [
        SECRET,
        "{\"s3cret",
        "{\"event_id\": s3cret}",
        "[s3cret]",
        "{\"s3cret\":\"\u{1}\"}",
    ] {
        let message = format!(
            "{:?} {:?}",
            Registry::read(text),
            registry.ingest(text, &support::ARRIVAL)
        );
        assert!(!message.contains(SECRET), "{message}");
    }
}

#[test]
fn what_is_no_json_is_told_by_line_and_column() {
    let message = Registry::read("{\"event_id\": ")
        .expect_err("cut off")
        .to_string();
    assert_eq!(
        message,
        "invalid event: (document): not JSON: EOF while parsing a value at line 1 column 13"
    );
}

#[test]
fn a_consumer_is_told_every_violation_of_a_payload() {
    let mut document = envelope();
    document["payload"] =
        json!({ "transaction_id": "secret", "amount": 0.000_000_1, "member_id": "unallocated" });
    let envelope =
        Registry::read(&document.to_string()).expect("the payload is the decoder's business");
    let error =
        decode_payload::<contracts::cloud::Minted>(&envelope).expect_err("it breaks the contract");
    assert!(
        matches!(&error, DecodeError::Invalid(violations) if violations.len() == 6),
        "{error}"
    );
    assert_eq!(
        error.to_string(),
        "invalid: /payload/amount: must be a number from 0 to 999999999.999999 with at most 6 decimals (CLOUD); \
         /payload/amount_usd: is required; \
         /payload/balance_after: is required; \
         /payload/member_id: must be 1 to 64 letters, digits, '.', '_', ':', '-', starting with a letter or digit, \
         and not 'unallocated'; \
         /payload/transaction_id: must be a UUID (8-4-4-4-12 hexadecimal digits); \
         /payload/version: is required"
    );
}

#[test]
fn a_draft_of_a_contract_that_the_registry_lacks_is_refused() {
    let other = Registry::new(vec![RegisteredContract::of::<contracts::cloud::Burned>()]);
    let draft = Registry::shipped()
        .ingest(&envelope().to_string(), &support::ARRIVAL)
        .expect("the sample is valid");
    let refused = other
        .validate_draft(&draft)
        .expect_err("the contract is not there");
    assert_eq!(
        refused.0,
        [Violation::new("/event_type", "no contract cloud.minted v1")]
    );
}

#[test]
fn wrong_declarations_are_told_by_name() {
    let twice = Registry::new(vec![
        RegisteredContract::of::<contracts::cloud::Burned>(),
        RegisteredContract::of::<contracts::cloud::Burned>(),
    ]);
    assert_eq!(
        twice.faults(&["member"]),
        [
            "cloud.burned v1: the domain cloud is not in the list",
            "cloud.burned v1: the domain cloud is not in the list",
            "cloud.burned v1 is registered twice",
        ]
    );
}

#[test]
fn a_text_that_a_queue_cannot_carry_is_refused_with_its_place() {
    let mut document = envelope();
    document["aggregate_id"] = "a\u{ffff}".into();
    document["metadata"] =
        json!({ "user_id": "Ada\u{fffe}", "team": ["x", "y\u{ffff}"], "key\u{ffff}": "" });
    let found = violations(&document);
    for pointer in [
        "/aggregate_id",
        "/metadata/user_id",
        "/metadata/team/1",
        "/metadata",
    ] {
        let named = found.iter().any(|one| {
            one.starts_with(&format!("{pointer}: ")) && one.contains("U+FFFE or U+FFFF")
        });
        assert!(named, "{pointer}: {found:?}");
    }
}

#[test]
fn a_sealed_event_is_refused_if_a_queue_cannot_carry_it_even_where_its_text_is_escaped() {
    let mut envelope = Registry::read(&support::samples_of("common/envelope-v1")["full.json"])
        .expect("an envelope");
    for payload in [
        "{\"a\":{\"b/c\":[\"Ada\u{ffff}\"]}}",
        r#"{"a":{"b/c":["Ada\uFFFF"]}}"#,
    ] {
        envelope.payload = serde_json::from_str(payload).expect("a payload");
        let error = envelope.to_json().expect_err("refused").to_string();
        assert!(error.contains("/payload/a/b~1c/0: "), "{error}");
    }
    // An escaped backslash before the letter u is no escape, and the neighbours of the noncharacters are carried.
    for payload in [
        r#"{"a":"\\ufffe","b":"\ufffd"}"#,
        "{\"a\":\"\u{fffd}\u{10000}\u{10fffe}\u{85}\"}",
    ] {
        envelope.payload = serde_json::from_str(payload).expect("a payload");
        envelope.to_json().expect("carried");
    }
}
