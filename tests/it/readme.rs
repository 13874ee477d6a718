//! Every test that REQUIREMENTS.md names must exist.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
};

const REQUIREMENTS: &str = include_str!("../REQUIREMENTS.md");

/// The name of every function in the sources below a folder. The browser's tests are Python.
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
    for folder in [
        "functions",
        "shared",
        "infra/cli",
        "infra/template",
        "tests",
    ] {
        functions(&root.join(folder), &mut there);
    }
    let mut rows = Vec::new();
    let mut inside = false;
    for line in REQUIREMENTS.lines() {
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
        assert!(!tests.is_empty(), "no test is named: {row}");
        for test in tests {
            assert!(there.contains(test), "there is no test {test}");
            named += 1;
        }
    }
    assert!(named > 60, "a table is missing");
}

/// The anchor of a heading, as code hosting platforms make it.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept
        .chars()
        .filter(|c| c.is_alphanumeric() || *c == ' ' || *c == '-' || *c == '_');
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

/// The pages below a folder, without what is generated or installed.
fn pages(folder: &Path, found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().and_then(|name| name.to_str());
        let name = name.unwrap_or_default();
        if path.is_dir() && !name.starts_with('.') && name != "target" {
            pages(&path, found);
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
}

#[test]
fn every_link_between_the_pages_leads_somewhere() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let mut all = Vec::new();
    pages(&root, &mut all);
    let mut dead = Vec::new();
    let mut followed = 0;
    for page in all {
        let text = fs::read_to_string(&page).expect("text");
        for rest in text.split("](").skip(1) {
            let link = rest.split([')', '\n']).next().unwrap_or_default();
            if link.contains("://") || link.starts_with("mailto:") || link.contains(' ') {
                continue;
            }
            followed += 1;
            let (file, wanted) = link.split_once('#').unwrap_or((link, ""));
            let target = match file {
                "" => page.clone(),
                file => page.with_file_name("").join(file),
            };
            let leads = if wanted.is_empty() {
                target.exists()
            } else {
                fs::read_to_string(&target).is_ok_and(|text| {
                    let headings = text.lines().filter(|line| line.starts_with('#'));
                    let mut headings = headings.map(|line| anchor(line.trim_start_matches('#')));
                    headings.any(|heading| heading == wanted)
                })
            };
            if !leads {
                dead.push(format!("{}: {link}", page.display()));
            }
        }
    }
    assert!(followed > 100, "the pages have no links");
    assert!(dead.is_empty(), "{dead:#?}");
}
