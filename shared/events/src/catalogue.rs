//! What is generated from a registry and checked in: schema files and the catalogue page. Pure text; writing the files
//! and comparing them is the caller's.

use std::{collections::BTreeMap, fmt::Write};

use serde_json::Value;

use crate::Registry;

impl Registry {
    /// The schema files of the envelope and of every contract: relative path (`cloud/minted-v1.json`) and text.
    #[must_use]
    pub fn schema_files(&self) -> BTreeMap<String, String> {
        let contracts = self
            .entries()
            .iter()
            .map(|entry| (entry.info().schema_path(), entry.schema()));
        contracts
            .chain([("common/envelope-v1".to_owned(), Self::envelope_schema())])
            .map(|(path, schema)| (format!("{path}.json"), pretty(schema)))
            .collect()
    }

    /// The catalogue page: every contract in one table. `schemas` is where the schema files lie as seen from the page.
    #[must_use]
    pub fn catalogue(&self, schemas: &str) -> String {
        let count = self.statistics();
        let mut page = format!(
            "# Catalogue of events\n\nGenerated from the contracts; do not edit. {} contracts, {} event types, {} domains; \
             the [envelope]({schemas}/common/envelope-v1.json) is theirs all.\n\n\
             | type | version | priority | producer | aggregate | kept in the event log | what it tells |\n\
             |---|---|---|---|---|---|---|\n",
            count.contracts, count.event_types, count.domains
        );
        for entry in self.entries() {
            let info = entry.info();
            let schema = entry.schema();
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

// Sorted keys whatever features of serde_json another crate of the build switches on.
fn pretty(mut schema: Value) -> String {
    schema.sort_all_objects();
    format!("{schema:#}\n")
}
