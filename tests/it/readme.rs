//! What README.md promises with a test's name must have that test.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::{collections::BTreeSet, fs, path::Path};

const README: &str = include_str!("../../README.md");

/// Every function's name in the sources below a folder; the browser's tests are Python.
fn functions(folder: &Path, found: &mut BTreeSet<String>) {
    let entries = fs::read_dir(folder).expect("a folder");
    for entry in entries {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            functions(&path, found);
            continue;
        }
        let keyword = match path.extension().and_then(|ending| ending.to_str()) {
            Some("rs") => "fn ",
            Some("py") => "def ",
            _ => continue,
        };
        let text = fs::read_to_string(&path).expect("text");
        let names = text
            .split(keyword)
            .skip(1)
            .filter_map(|rest| rest.split('(').next());
        found.extend(names.map(str::to_owned));
    }
}

#[test]
fn every_test_that_the_table_of_requirements_names_exists() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut there = BTreeSet::new();
    for folder in ["functions", "shared", "infra/cli", "tests"] {
        functions(&root.join(folder), &mut there);
    }
    let mut rows = Vec::new();
    let mut inside = false;
    for line in README.lines() {
        let begins = line.starts_with("| capability | what is required |");
        inside = begins || (inside && line.starts_with('|'));
        if inside && !begins && !line.starts_with("|---") {
            rows.push(line);
        }
    }
    let mut named = 0;
    for row in rows {
        let shown_by = row
            .trim_end_matches('|')
            .rsplit('|')
            .next()
            .expect("a cell");
        let tests: Vec<&str> = shown_by.split('`').skip(1).step_by(2).collect();
        assert!(!tests.is_empty(), "shown by nothing: {row}");
        for test in tests {
            assert!(there.contains(test), "there is no test {test}");
            named += 1;
        }
    }
    assert!(named > 60, "a table is gone");
}
