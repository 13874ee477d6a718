//! Writes the files that are generated from the contracts: `schemas/`, `CATALOGUE.md` and, with the argument `release`,
//! `released/`.
//!
//! * `cargo run -p events --example schemas`: run it after any change of a contract.
//! * `cargo run --profile local -p events --example schemas -- release`: run it to release contracts. It refuses
//!   changes that need a new version. From then on a test compares the contracts with the release.

use std::{collections::BTreeMap, error::Error, fs, path::Path};

use events::{Registry, breaking_changes};
use serde_json::Value;

fn main() -> Result<(), Box<dyn Error>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let registry = Registry::shipped();
    let files = registry.schema_files();
    replace(&root.join("schemas"), &files)?;
    fs::write(root.join("CATALOGUE.md"), registry.catalogue("schemas"))?;
    match std::env::args().nth(1).as_deref() {
        None => Ok(()),
        Some("release") => release(&root.join("released"), &files),
        Some(other) => Err(format!("unknown argument {other}; known is: release").into()),
    }
}

fn release(folder: &Path, files: &BTreeMap<String, String>) -> Result<(), Box<dyn Error>> {
    let mut refused = Vec::new();
    for (path, text) in files {
        let Ok(before) = fs::read_to_string(folder.join(path)) else {
            continue;
        };
        let found = breaking_changes(
            &serde_json::from_str::<Value>(&before)?,
            &serde_json::from_str(text)?,
        );
        refused.extend(found.iter().map(|one| format!("{path}: {one}")));
    }
    if !refused.is_empty() {
        return Err(format!("needs a new version:\n{}", refused.join("\n")).into());
    }
    for (path, text) in files {
        write(&folder.join(path), text)?;
    }
    Ok(())
}

// Replaces whole folders, so that files of removed contracts disappear, too.
fn replace(folder: &Path, files: &BTreeMap<String, String>) -> Result<(), Box<dyn Error>> {
    if folder.exists() {
        fs::remove_dir_all(folder)?;
    }
    for (path, text) in files {
        write(&folder.join(path), text)?;
    }
    Ok(())
}

fn write(file: &Path, text: &str) -> Result<(), Box<dyn Error>> {
    if let Some(parent) = file.parent() {
        fs::create_dir_all(parent)?;
    }
    Ok(fs::write(file, text)?)
}
