//! Selections: the answer about one event, the list of types, and decoding agree.

use std::collections::BTreeSet;

use events::{
    ContractInfo, DOMAINS, DecodeError, Envelope, Evidence, Registry, Retention, Selection,
    Subscribed, Subscription, contracts,
};
use proptest::prelude::*;

events::subscription! {
    struct Every: Every by Cursor;
}
events::subscription! {
    struct Kept: KeptForever by Guard;
}
events::subscription! {
    struct OfDomains: Domains(&["alert", "wallet"]) by Mark;
}
events::subscription! {
    enum OfTypes {
        Minted(contracts::cloud::Minted) by Mark,
        Registered(contracts::member::Registered) by Guard,
    }
}

/// Types without a shipped contract: those of a newer producer, and one of a domain that is not in the list.
const UNKNOWN: [&str; 4] = [
    "wallet.frozen",
    "supplier.promoted",
    "alert.raised",
    "shelf.built",
];

fn domain(event_type: &str) -> &str {
    event_type.split_once('.').map_or("", |(domain, _)| domain)
}

fn envelope(event_type: &str) -> Envelope {
    let id = "018f0000-0000-7000-8000-000000000001";
    let envelope = serde_json::json!({
        "event_id": id, "event_type": event_type, "event_version": "v9", "occurred_at": "2026-01-01T00:00:00.000Z",
        "producer": "test", "correlation_id": id, "priority": "normal", "aggregate_type": "thing",
        "aggregate_id": "1", "sequence": 1, "payload": {},
    });
    Registry::read(&envelope.to_string()).expect("an envelope")
}

/// The types that a selection takes, shipped and unknown, computed only from the declaration of each contract.
fn expected(wanted: impl Fn(&ContractInfo) -> bool, unknown: &[&'static str]) -> Vec<&'static str> {
    let registry = Registry::shipped();
    let shipped = registry.contracts().iter().filter(|one| wanted(one));
    let types: BTreeSet<&str> = shipped.map(|one| one.event_type).collect();
    types.into_iter().chain(unknown.iter().copied()).collect()
}

/// The differences between a selection and what is expected of it, for each way to query it.
fn faults(selection: Selection, expected: &[&str], evidence: Evidence) -> Vec<String> {
    let registry = Registry::shipped();
    let shipped: BTreeSet<&str> = registry
        .contracts()
        .iter()
        .map(|one| one.event_type)
        .collect();
    let mut faults = Vec::new();
    for event_type in shipped.iter().copied().chain(UNKNOWN) {
        let wanted = expected.contains(&event_type).then_some(evidence);
        if selection.evidence(event_type) != wanted {
            faults.push(format!("evidence of {event_type}"));
        }
        if selection.takes(event_type) != wanted.is_some() {
            faults.push(format!("takes {event_type}"));
        }
        if selection.admit(&envelope(event_type)).is_ok() != wanted.is_some() {
            faults.push(format!("admits {event_type}"));
        }
    }
    let newest = |event_type: &'static str| Subscribed {
        event_type,
        version: registry.latest(event_type).expect("a contract"),
        evidence,
    };
    let listed = shipped.iter().filter(|one| expected.contains(one));
    let listed: Vec<Subscribed> = listed.map(|one| newest(one)).collect();
    if selection.types() != listed {
        faults.push("types".to_owned());
    }
    let relied = [Evidence::Mark, Evidence::Guard, Evidence::Cursor]
        .into_iter()
        .filter(|one| selection.relies_on(*one));
    if relied.collect::<Vec<_>>() != [evidence] {
        faults.push("relies on".to_owned());
    }
    faults
}

fn kept_forever(one: &ContractInfo) -> bool {
    one.retention == Retention::Forever
}

fn in_domains(one: &ContractInfo) -> bool {
    ["alert", "wallet"].contains(&domain(one.event_type))
}

#[test]
fn every_kind_takes_lists_and_admits_the_same_of_all_shipped_contracts() {
    let every = expected(|_| true, &UNKNOWN);
    assert_eq!(faults(Every::SELECTION, &every, Evidence::Cursor), [""; 0]);
    // For a type without a contract only the domain is known.
    let kept = expected(kept_forever, &["wallet.frozen"]);
    assert_eq!(faults(Kept::SELECTION, &kept, Evidence::Guard), [""; 0]);
    let of_domains = expected(in_domains, &["wallet.frozen", "alert.raised"]);
    assert_eq!(
        faults(OfDomains::SELECTION, &of_domains, Evidence::Mark),
        [""; 0]
    );
}

#[test]
fn the_check_above_notices_a_selection_of_any_other_kind() {
    let every = expected(|_| true, &UNKNOWN);
    let kept = expected(kept_forever, &["wallet.frozen"]);
    let of_domains = expected(in_domains, &["wallet.frozen", "alert.raised"]);
    let domains = |domains| Selection::Domains {
        domains,
        evidence: Evidence::Mark,
    };
    for (broken, expected, evidence) in [
        (
            Selection::KeptForever(Evidence::Cursor),
            &every,
            Evidence::Cursor,
        ),
        (Selection::Every(Evidence::Mark), &every, Evidence::Cursor),
        (domains(DOMAINS), &every, Evidence::Mark),
        (Selection::Every(Evidence::Guard), &kept, Evidence::Guard),
        (
            Selection::KeptForever(Evidence::Mark),
            &kept,
            Evidence::Guard,
        ),
        (domains(&["alert"]), &of_domains, Evidence::Mark),
        (
            domains(&["alert", "wallet", "member"]),
            &of_domains,
            Evidence::Mark,
        ),
        (domains(&["alert", "wall"]), &of_domains, Evidence::Mark),
        (OfTypes::SELECTION, &of_domains, Evidence::Mark),
    ] {
        assert_ne!(faults(broken, expected, evidence), [""; 0], "{broken:?}");
    }
}

#[test]
fn single_types_keep_their_own_evidence_and_nothing_else_is_taken() {
    let registry = Registry::shipped();
    let shipped = registry.contracts().iter().map(|one| one.event_type);
    for event_type in shipped.chain(UNKNOWN) {
        let evidence = match event_type {
            "cloud.minted" => Some(Evidence::Mark),
            "member.registered" => Some(Evidence::Guard),
            _ => None,
        };
        assert_eq!(OfTypes::evidence(event_type), evidence, "{event_type}");
        assert_eq!(OfTypes::SELECTION.takes(event_type), evidence.is_some());
    }
    let types = OfTypes::SELECTION.types();
    let listed: Vec<(&str, u16, Evidence)> = types
        .iter()
        .map(|one| (one.event_type, one.version, one.evidence))
        .collect();
    assert_eq!(
        listed,
        [
            ("cloud.minted", 1, Evidence::Mark),
            ("member.registered", 1, Evidence::Guard)
        ]
    );
    assert!(!OfTypes::SELECTION.relies_on(Evidence::Cursor));
}

#[test]
fn what_is_selected_by_kind_is_handed_on_whatever_its_version_and_payload() {
    for event_type in ["wallet.deposited", "wallet.frozen"] {
        assert_eq!(OfDomains::decode(&envelope(event_type)), Ok(OfDomains));
    }
    for event_type in ["cloud.minted", "shelf.built"] {
        assert_eq!(
            OfDomains::decode(&envelope(event_type)),
            Err(DecodeError::UnknownType(event_type.to_owned()))
        );
    }
}

#[test]
fn contracts_of_your_own_are_listed_once_each_at_their_newest_version() {
    let registry = Registry::shipped();
    let own = |event_type, version| ContractInfo {
        event_type,
        version,
        ..registry.contracts()[0]
    };
    let own = [
        own("shelf.built", 1),
        own("shelf.counted", 1),
        own("shelf.counted", 2),
    ];
    let listed = |selection: Selection| -> Vec<(&str, u16)> {
        let types = selection.types_of(&own);
        types
            .iter()
            .map(|one| (one.event_type, one.version))
            .collect()
    };
    assert_eq!(
        listed(Every::SELECTION),
        [("shelf.built", 1), ("shelf.counted", 2)]
    );
    assert_eq!(listed(OfDomains::SELECTION), []);
    assert_eq!(listed(OfTypes::SELECTION).len(), 2);
}

proptest! {
    #[test]
    fn a_kind_decodes_exactly_what_it_takes(
        domain in prop_oneof![prop::sample::select(DOMAINS).prop_map(str::to_owned), "[a-z][a-z0-9_]{0,8}"],
        action in "[a-z][a-z0-9_]{0,12}",
    ) {
        let event_type = format!("{domain}.{action}");
        let envelope = envelope(&event_type);
        prop_assert_eq!(Every::decode(&envelope).is_ok(), Every::SELECTION.takes(&event_type));
        prop_assert_eq!(Kept::decode(&envelope).is_ok(), Kept::SELECTION.takes(&event_type));
        prop_assert_eq!(OfDomains::decode(&envelope).is_ok(), OfDomains::SELECTION.takes(&event_type));
        prop_assert_eq!(OfDomains::SELECTION.takes(&event_type), ["alert", "wallet"].contains(&domain.as_str()));
        prop_assert!(Every::SELECTION.takes(&event_type));
    }
}
