//! Renders the files that are generated from a registry and checked in: the schemas and the catalogue page. This module
//! only makes text; the caller writes and compares the files.

use std::{collections::BTreeMap, fmt::Write};

use serde_json::Value;

use crate::Registry;

impl Registry {
    /// The text of the envelope's schema and of every contract's schema, by relative path (`cloud/minted-v1.json`).
    #[must_use]
    pub fn schema_files(&self) -> BTreeMap<String, String> {
        let contracts = self
            .registered()
            .iter()
            .map(|contract| (contract.info().schema_path(), contract.schema()));
        contracts
            .chain([("common/envelope-v1".to_owned(), Self::envelope_schema())])
            .map(|(path, schema)| (format!("{path}.json"), pretty(schema)))
            .collect()
    }

    /// The catalogue page: one table of every contract. `schemas` is the path from the page to the schema files.
    #[must_use]
    pub fn catalogue(&self, schemas: &str) -> String {
        let count = self.statistics();
        let mut page = format!(
            "# Catalogue of events\n\nGenerated from the contracts; do not edit. {} contracts, {} event types, {} domains; \
             the [envelope]({schemas}/common/envelope-v1.json) is common to all of them.\n\n\
             | type | version | priority | producer | aggregate | kept in the event log | meaning |\n\
             |---|---|---|---|---|---|---|\n",
            count.contracts, count.event_types, count.domains
        );
        for contract in self.registered() {
            let info = contract.info();
            let schema = contract.schema();
            let tells = schema["description"]
                .as_str()
                .unwrap_or_default()
                .replace('\n', " ")
                .replace('|', "\\|");
            // Writing to a String cannot fail.
            writeln!(
                page,
                "| `{}` | [v{}]({schemas}/{}.json) | {} | {} | `{}` | {} | {tells} |",
                info.event_type,
                info.version,
                info.schema_path(),
                info.priority,
                info.producer,
                info.aggregate_pattern(),
                info.retention,
            )
            .unwrap_or_default();
        }
        page
    }
}

// Sorted keys, so that the output does not depend on the serde_json features that another crate of the build enables.
fn pretty(mut schema: Value) -> String {
    schema.sort_all_objects();
    format!("{schema:#}\n")
}
