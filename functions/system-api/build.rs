//! Collects the OpenAPI documents of the API functions: every `functions/<name>/openapi.json`.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

#[expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script where it is by the environment"
)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let functions = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("..");
    // A new API function is a new member of the workspace, which changes the lock file and so runs this script again.
    println!("cargo::rerun-if-changed=../../Cargo.lock");
    println!("cargo::rerun-if-changed=build.rs");
    let mut parts: Vec<PathBuf> = fs::read_dir(functions)?
        .map(|entry| entry.map(|entry| entry.path().join("openapi.json")))
        .collect::<Result<_, _>>()?;
    parts.retain(|part| part.is_file());
    parts.sort();
    let mut list = String::from("&[\n");
    for part in parts {
        println!("cargo::rerun-if-changed={}", part.display());
        let name = part
            .parent()
            .and_then(Path::file_name)
            .map(|name| name.to_string_lossy().into_owned())
            .unwrap_or_default();
        list.push_str(&format!(
            "    ({name:?}, include_str!({:?})),\n",
            part.canonicalize()?
        ));
    }
    list.push_str("]\n");
    fs::write(
        Path::new(&env::var("OUT_DIR")?).join("openapi_parts.rs"),
        list,
    )?;
    samples()
}

#[expect(
    clippy::disallowed_methods,
    reason = "cargo tells a build script where it is by the environment"
)]
/// Collects the full sample of each contract, by its schema's path: `shared/events/samples/<path>/full.json`.
fn samples() -> Result<(), Box<dyn std::error::Error>> {
    let samples =
        PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../../shared/events/samples");
    let samples = samples.canonicalize()?;
    println!("cargo::rerun-if-changed={}", samples.display());
    let mut list = String::from("&[\n");
    for domain in folders(&samples)? {
        println!("cargo::rerun-if-changed={}", domain.display());
        for contract in folders(&domain)? {
            let sample = contract.join("full.json");
            println!("cargo::rerun-if-changed={}", sample.display());
            let path = contract.strip_prefix(&samples)?;
            list.push_str(&format!(
                "    ({:?}, include_str!({sample:?})),\n",
                path.to_string_lossy()
            ));
        }
    }
    list.push_str("]\n");
    fs::write(Path::new(&env::var("OUT_DIR")?).join("samples.rs"), list)?;
    Ok(())
}

fn folders(parent: &Path) -> Result<Vec<PathBuf>, std::io::Error> {
    let mut folders: Vec<PathBuf> = fs::read_dir(parent)?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    folders.retain(|path| path.is_dir());
    folders.sort();
    Ok(folders)
}
