//! Tables, as `template.yaml` and `infra/restore.yaml` have them.

use topology::{Index, Key, Projection, Table};

/// A table and what its keys follow from.
pub(crate) struct TableText {
    pub(crate) id: String,
    pub(crate) table: &'static Table,
    /// What the template says of keys and indexes, a line each, without indentation.
    pub(crate) schema: Vec<String>,
}

impl TableText {
    pub(crate) fn of(table: &'static Table) -> Self {
        let mut schema = vec!["AttributeDefinitions:".to_owned()];
        let attributes = attributes(table).into_iter();
        schema.extend(
            attributes.map(|(name, kind)| {
                format!("  - {{AttributeName: {name}, AttributeType: {kind}}}")
            }),
        );
        schema.push("KeySchema:".to_owned());
        let key = key(table).into_iter();
        schema.extend(
            key.map(|(name, kind)| format!("  - {{AttributeName: {name}, KeyType: {kind}}}")),
        );
        if !table.indexes.is_empty() {
            schema.push("GlobalSecondaryIndexes:".to_owned());
        }
        for index in table.indexes {
            schema.extend([
                format!("  # Sparse. {}", index.about),
                format!("  - IndexName: {}", index.name),
                "    KeySchema:".to_owned(),
                format!("      - {{AttributeName: {}, KeyType: HASH}}", index.hash),
                format!("      - {{AttributeName: {}, KeyType: RANGE}}", index.range),
                format!("    Projection: {{ProjectionType: {}}}", projection(index)),
            ]);
        }
        Self {
            id: table.logical_id(),
            table,
            schema,
        }
    }
}

fn key(table: &Table) -> Vec<(&'static str, &'static str)> {
    match table.key {
        Key::PkSk => vec![("pk", "HASH"), ("sk", "RANGE")],
        Key::Aggregate => vec![("aggregate", "HASH"), ("sequence", "RANGE")],
        Key::Mark => vec![("mark", "HASH")],
    }
}

/// Each attribute once, even if several keys use it.
fn attributes(table: &Table) -> Vec<(&'static str, &'static str)> {
    let mut attributes: Vec<(&'static str, &'static str)> = Vec::new();
    let of_indexes = table
        .indexes
        .iter()
        .flat_map(|index| [index.hash, index.range]);
    for name in key(table)
        .into_iter()
        .map(|(name, _)| name)
        .chain(of_indexes)
    {
        if !attributes.iter().any(|(known, _)| *known == name) {
            let kind = if table.key == Key::Aggregate && name == "sequence" {
                "N"
            } else {
                "S"
            };
            attributes.push((name, kind));
        }
    }
    attributes
}

const fn projection(index: &Index) -> &'static str {
    match index.projection {
        Projection::All => "ALL",
        Projection::KeysOnly => "KEYS_ONLY",
    }
}
