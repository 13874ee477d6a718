//! Who may import whom, over cargo's own metadata: ARCHITECTURE.md, "Who may import whom".

#![expect(
    clippy::unwrap_used,
    reason = "a test that cannot read what it checks must say so loudly"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
    sync::LazyLock,
};

use serde_json::Value;

/// The crates of business rules. They never import each other: they talk by events.
const DOMAINS: [&str; 5] = ["member", "cloud", "wallet", "settlement", "loan"];
/// What compiles no AWS SDK, whatever stands between.
const WITHOUT_SDK: [&str; 12] = [
    "events",
    "topology",
    "outbox",
    "domain",
    "views",
    "evidence",
    "member",
    "cloud",
    "wallet",
    "settlement",
    "loan",
    "template",
];
/// What knows Lambda's runtime among the shared crates.
const KNOW_LAMBDA: [&str; 4] = ["consumer", "api", "host", "testkit"];

/// A package of the workspace.
#[derive(Debug, Clone, Default)]
struct Package {
    /// `functions`, `shared`, `infra` or `tests`.
    place: String,
    /// What it depends on when it is built, build scripts included.
    imports: BTreeSet<String>,
    /// All that these depend on in turn, of the workspace or not.
    reaches: BTreeSet<String>,
}

type Workspace = BTreeMap<String, Package>;

static WORKSPACE: LazyLock<Workspace> = LazyLock::new(read);

fn read() -> Workspace {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline"])
        .current_dir(&root)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let names: BTreeMap<&str, &str> = metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| {
            (
                package["id"].as_str().unwrap(),
                package["name"].as_str().unwrap(),
            )
        })
        .collect();
    // What each package is built with: normal and build dependencies, not those of tests.
    let edges: BTreeMap<&str, BTreeSet<&str>> = metadata["resolve"]["nodes"]
        .as_array()
        .unwrap()
        .iter()
        .map(|node| {
            let built_with = |dep: &&Value| {
                dep["dep_kinds"]
                    .as_array()
                    .unwrap()
                    .iter()
                    .any(|kind| kind["kind"] != "dev")
            };
            let deps = node["deps"].as_array().unwrap().iter();
            let deps = deps
                .filter(built_with)
                .map(|dep| names[dep["pkg"].as_str().unwrap()]);
            (names[node["id"].as_str().unwrap()], deps.collect())
        })
        .collect();
    let members: BTreeSet<&str> = metadata["workspace_members"]
        .as_array()
        .unwrap()
        .iter()
        .map(|id| names[id.as_str().unwrap()])
        .collect();
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|package| members.contains(package["name"].as_str().unwrap()))
        .map(|package| {
            let name = package["name"].as_str().unwrap();
            let manifest = Path::new(package["manifest_path"].as_str().unwrap());
            let place = manifest
                .strip_prefix(&root)
                .unwrap()
                .components()
                .next()
                .unwrap();
            let mut reaches = BTreeSet::new();
            let mut waiting: Vec<&str> = edges[name].iter().copied().collect();
            while let Some(next) = waiting.pop() {
                if reaches.insert(next.to_owned()) {
                    waiting.extend(edges.get(next).into_iter().flatten());
                }
            }
            let package = Package {
                place: place.as_os_str().to_string_lossy().into_owned(),
                imports: edges[name].iter().map(|&one| one.to_owned()).collect(),
                reaches,
            };
            (name.to_owned(), package)
        })
        .collect()
}

/// Every import that may not be.
fn findings(workspace: &Workspace) -> Vec<String> {
    let mut findings = Vec::new();
    let is_function = |name: &String| {
        workspace
            .get(name)
            .is_some_and(|one| one.place == "functions")
    };
    for (name, package) in workspace {
        for import in package.imports.iter().filter(|import| is_function(import)) {
            findings.push(format!(
                "{name} imports the function {import}: move what it needs to where both may import it"
            ));
        }
        if package.imports.contains("testkit") {
            findings.push(format!(
                "{name} is built with testkit, which is for tests alone"
            ));
        }
        if ["utils", "util", "common", "core", "helpers"].contains(&name.as_str()) {
            findings.push(format!(
                "{name} says nothing of what is in it: name its subject"
            ));
        }
        if DOMAINS.contains(&name.as_str()) {
            for import in DOMAINS
                .iter()
                .filter(|import| package.reaches.contains(**import))
            {
                findings.push(format!(
                    "the domain {name} imports {import}: domains talk by events"
                ));
            }
        }
        if WITHOUT_SDK.contains(&name.as_str()) {
            for import in package.reaches.iter().filter(|import| is_sdk(import)) {
                findings.push(format!(
                    "{name} compiles {import}: adapters belong to `aws`"
                ));
            }
        }
        let is_shared = package.place == "shared" && !KNOW_LAMBDA.contains(&name.as_str());
        for import in package
            .imports
            .iter()
            .filter(|import| import.starts_with("lambda_"))
        {
            if is_shared {
                findings.push(format!(
                    "{name} imports {import}: runners and HTTP alone know Lambda"
                ));
            }
        }
    }
    findings
}

fn is_sdk(name: &str) -> bool {
    name == "aws"
        || name.starts_with("aws-sdk-")
        || name.starts_with("aws-smithy-")
        || name == "aws-config"
}

#[test]
fn imports_point_one_way() {
    let findings = findings(&WORKSPACE);
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

#[test]
fn every_crate_that_is_named_here_is_there() {
    for name in DOMAINS.iter().chain(&WITHOUT_SDK) {
        assert!(WORKSPACE.contains_key(*name), "no package {name}");
    }
}

#[test]
fn every_wrong_import_is_found() {
    let breaks: [(&str, &str, &str); 8] = [
        (
            "event-stream",
            "notifications",
            "imports the function notifications",
        ),
        ("millrace", "audit-log", "imports the function audit-log"),
        ("system-api", "cloud-api", "imports the function cloud-api"),
        ("wallet-api", "testkit", "for tests alone"),
        ("wallet", "cloud", "domains talk by events"),
        ("outbox", "aws-sdk-dynamodb", "adapters belong to `aws`"),
        ("wallet", "aws", "adapters belong to `aws`"),
        ("views", "lambda_runtime", "alone know Lambda"),
    ];
    for (name, import, wanted) in breaks {
        let mut workspace = WORKSPACE.clone();
        let package = workspace.get_mut(name).unwrap();
        package.imports.insert(import.to_owned());
        package.reaches.insert(import.to_owned());
        let found = findings(&workspace);
        assert!(
            found
                .iter()
                .any(|one| one.starts_with(&format!("{name} "))
                    || one.contains(&format!(" {name} ")))
                && found.iter().any(|one| one.contains(wanted)),
            "{name} -> {import}: {found:?}"
        );
    }
    let mut workspace = WORKSPACE.clone();
    workspace.insert("common".to_owned(), Package::default());
    assert!(
        findings(&workspace)
            .iter()
            .any(|one| one.contains("name its subject"))
    );
}
