//! The checked-in files agree with the contracts: schemas, catalogue, declarations, frozen samples, released schemas.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use events::{DOMAINS, Envelope, Registry, breaking_changes};
use serde_json::Value;

use crate::support::{files_below, json, root, samples_of};

const REWRITE: &str =
    "run `make schemas` (cargo run -p events --example schemas) and look at the difference";

/// The differences between the checked-in files and the generated ones, in both directions.
fn differences(
    checked_in: &BTreeMap<String, String>,
    generated: &BTreeMap<String, String>,
) -> Vec<String> {
    let paths: BTreeSet<&String> = checked_in.keys().chain(generated.keys()).collect();
    paths
        .into_iter()
        .filter_map(|path| match (checked_in.get(path), generated.get(path)) {
            (None, Some(_)) => Some(format!("{path} is missing")),
            (Some(_), None) => Some(format!("{path} belongs to no contract")),
            (Some(file), Some(text)) if file != text => Some(format!("{path} is stale")),
            _ => None,
        })
        .collect()
}

#[test]
fn the_checked_in_schemas_are_those_of_the_types() {
    let found = differences(&files_below("schemas"), &Registry::shipped().schema_files());
    assert!(found.is_empty(), "{found:#?}\n{REWRITE}");
}

#[test]
fn a_missing_a_stale_and_an_orphaned_schema_are_all_told() {
    let generated = Registry::shipped().schema_files();
    let mut checked_in = generated.clone();
    checked_in
        .remove("cloud/minted-v1.json")
        .expect("it was there");
    checked_in
        .entry("cloud/burned-v1.json".into())
        .and_modify(|text| text.push(' '));
    checked_in.insert("cloud/vanished-v1.json".into(), "{}".into());
    assert_eq!(
        differences(&checked_in, &generated),
        [
            "cloud/burned-v1.json is stale",
            "cloud/minted-v1.json is missing",
            "cloud/vanished-v1.json belongs to no contract",
        ]
    );
}

#[test]
fn the_catalogue_page_is_that_of_the_contracts() {
    let page = fs::read_to_string(root().join("CATALOGUE.md")).expect("the page is there");
    assert_eq!(page, Registry::shipped().catalogue("schemas"), "{REWRITE}");
}

#[test]
fn every_declaration_has_its_shape_and_a_known_domain() {
    let faults = Registry::shipped().faults(DOMAINS);
    assert!(faults.is_empty(), "{faults:#?}");
}

#[test]
fn every_domain_of_the_closed_list_has_a_contract() {
    let registry = Registry::shipped();
    let used: BTreeSet<&str> = registry
        .contracts()
        .iter()
        .filter_map(|info| info.event_type.split('.').next())
        .collect();
    assert_eq!(used, DOMAINS.iter().copied().collect());
}

#[test]
fn every_producer_is_a_function() {
    let functions = root().join("../../functions");
    for info in Registry::shipped().contracts() {
        assert!(
            functions.join(info.producer).join("Cargo.toml").is_file(),
            "{} is produced by {}, which is no folder of functions/",
            info.event_type,
            info.producer
        );
    }
}

#[test]
fn every_contract_has_frozen_samples_that_todays_types_read_and_write_unchanged() {
    for contract in Registry::shipped().registered() {
        let info = contract.info();
        let samples = samples_of(&info.schema_path());
        assert!(
            samples.len() >= 2,
            "{} v{} needs samples: minimal and full",
            info.event_type,
            info.version
        );
        for (name, sample) in samples {
            let place = format!("{} {name}", info.schema_path());
            let read = contract
                .read_back(&sample)
                .unwrap_or_else(|reason| panic!("{place}: {reason}"));
            assert_eq!(
                json(&read.json),
                json(&sample),
                "{place}: written again it differs"
            );
            assert_eq!(contract.violations(&json(&sample), ""), [], "{place}");
        }
    }
}

#[test]
fn the_declared_field_and_the_type_name_the_same_aggregate() {
    for contract in Registry::shipped().registered() {
        for (name, sample) in samples_of(&contract.info().schema_path()) {
            let read = contract.read_back(&sample).expect("the sample is read");
            let declared = contract.info().aggregate_id_in(&json(&sample));
            assert_eq!(
                declared.as_deref(),
                Some(read.aggregate_id.as_str()),
                "{} {name}",
                contract.info().schema_path()
            );
        }
    }
}

#[test]
fn the_samples_of_a_contract_show_every_field_present_and_every_optional_one_absent() {
    for (path, released) in files_below("released") {
        let path = path.trim_end_matches(".json");
        let samples: Vec<Value> = samples_of(path)
            .values()
            .map(|sample| json(sample))
            .collect();
        assert!(!samples.is_empty(), "released {path} has no samples");
        let schema = json(&released);
        let required = schema["required"].as_array().cloned().unwrap_or_default();
        for field in schema["properties"]
            .as_object()
            .expect("the schema has properties")
            .keys()
        {
            assert!(
                samples.iter().any(|one| one.get(field).is_some()),
                "{path}: {field} is in no sample"
            );
            // The envelope's schema describes what ingest accepts. Its samples are stored envelopes, which always have
            // these fields.
            let stored = path == "common/envelope-v1"
                && [
                    "aggregate_id",
                    "aggregate_type",
                    "correlation_id",
                    "priority",
                    "sequence",
                ]
                .contains(&field.as_str());
            if !required.iter().any(|one| one == field) && !stored {
                assert!(
                    samples.iter().any(|one| one.get(field).is_none()),
                    "{path}: {field} is in every sample"
                );
            }
        }
    }
}

#[test]
fn samples_belong_to_a_contract() {
    let registry = Registry::shipped();
    let known: BTreeSet<String> = registry.schema_files().into_keys().collect();
    for path in files_below("samples").into_keys() {
        let (folder, _) = path
            .rsplit_once('/')
            .expect("a sample lies in its contract's folder");
        assert!(
            known.contains(&format!("{folder}.json")),
            "{path} belongs to no contract"
        );
    }
}

#[test]
fn frozen_envelopes_are_read_and_written_unchanged_and_hold_against_their_contract() {
    let registry = Registry::shipped();
    for (name, sample) in samples_of("common/envelope-v1") {
        let envelope: Envelope =
            Registry::read(&sample).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert_eq!(
            json(&envelope.to_json().expect("it is small")),
            json(&sample),
            "{name}"
        );
        assert_eq!(registry.validate(&json(&sample)), [], "{name}");
    }
}

#[test]
fn released_schemas_have_changed_only_as_they_may() {
    let now = Registry::shipped().schema_files();
    for (path, released) in files_below("released") {
        let today = now
            .get(&path)
            .unwrap_or_else(|| panic!("the released contract {path} is gone"));
        let found = breaking_changes(&json(&released), &json(today));
        assert!(
            found.is_empty(),
            "{path} is released; this needs a new version with an upcaster: {found:#?}"
        );
    }
}
