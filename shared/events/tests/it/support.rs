//! The places of the checked-in files, and how the tests read them.

use std::{collections::BTreeMap, fs, path::Path};

use events::{Arrival, Timestamp};
use serde_json::Value;

/// For an event that must bring its own id.
pub(crate) const ARRIVAL: Arrival = Arrival {
    event_id: None,
    now: Timestamp::EPOCH,
};

pub(crate) fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

pub(crate) fn json(text: &str) -> Value {
    serde_json::from_str(text).expect("the text is JSON")
}

/// Every file below a folder of the crate, by relative path (with `/`).
pub(crate) fn files_below(folder: &str) -> BTreeMap<String, String> {
    let top = root().join(folder);
    let mut found = BTreeMap::new();
    let mut folders = vec![top.clone()];
    while let Some(folder) = folders.pop() {
        for entry in
            fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()))
        {
            let path = entry.expect("the folder is readable").path();
            if path.is_dir() {
                folders.push(path);
            } else {
                found.insert(
                    relative(&top, &path),
                    fs::read_to_string(&path).expect("the file is text"),
                );
            }
        }
    }
    found
}

fn relative(top: &Path, path: &Path) -> String {
    let parts = path
        .strip_prefix(top)
        .expect("the path is below the folder")
        .components();
    parts
        .map(|part| part.as_os_str().to_string_lossy())
        .collect::<Vec<_>>()
        .join("/")
}

/// The payloads of a contract's frozen samples, by file name.
pub(crate) fn samples_of(schema_path: &str) -> BTreeMap<String, String> {
    let folder = format!("samples/{schema_path}");
    if root().join(&folder).is_dir() {
        files_below(&folder)
    } else {
        BTreeMap::new()
    }
}

pub(crate) fn fixture(name: &str) -> String {
    fs::read_to_string(root().join("tests/fixtures").join(name)).expect("the fixture is there")
}
