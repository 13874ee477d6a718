//! Collects the functions' declarations: the file `declaration.rs` of every folder `functions/<name>` becomes the
//! module `topology::functions::<name>`. A new function needs no change here.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

#[expect(
    clippy::disallowed_methods,
    reason = "cargo passes a build script its folder in the environment"
)]
fn main() -> Result<(), Box<dyn std::error::Error>> {
    let root = PathBuf::from(env::var("CARGO_MANIFEST_DIR")?).join("../..");
    // A new or removed function is a new or removed member of the workspace, which changes the lock file. Watching the
    // folder itself would rebuild this crate, and every crate that depends on it, after every edit of any function.
    println!(
        "cargo::rerun-if-changed={}",
        root.join("Cargo.lock").display()
    );
    println!("cargo::rerun-if-changed=build.rs");

    let mut folders: Vec<PathBuf> = fs::read_dir(root.join("functions"))?
        .map(|entry| entry.map(|entry| entry.path()))
        .collect::<Result<_, _>>()?;
    folders.retain(|folder| folder.join("Cargo.toml").is_file());
    folders.sort();

    let mut modules = String::new();
    let mut list = String::new();
    for folder in folders {
        let declaration = folder.join("declaration.rs");
        println!("cargo::rerun-if-changed={}", declaration.display());
        if !declaration.is_file() {
            return Err(format!(
                "{} is missing: declare there what the function is (CONTRIBUTING.md, \"A consumer\")",
                declaration.display()
            )
            .into());
        }
        let name = name(&folder);
        let declaration = declaration.canonicalize()?;
        modules.push_str(&format!("#[path = {declaration:?}]\npub mod {name};\n"));
        list.push_str(&format!("    &{name}::FUNCTION,\n"));
    }
    let text = format!(
        "{modules}\n/// Every function of the project, by name.\npub const ALL: &[&crate::Function] = &[\n{list}];\n"
    );
    let out = Path::new(&env::var("OUT_DIR")?).join("functions.rs");
    fs::write(out, text)?;
    Ok(())
}

/// The module's name: that of the folder, as an identifier.
fn name(folder: &Path) -> String {
    folder
        .file_name()
        .map(|name| name.to_string_lossy().replace('-', "_"))
        .unwrap_or_default()
}
