//! Checks which package may import which, from cargo's own metadata: ARCHITECTURE.md, "Who may import whom".

#![expect(
    clippy::unwrap_used,
    reason = "a test must panic when it cannot read what it checks"
)]

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    process::Command,
    sync::LazyLock,
};

use serde_json::Value;

/// The packages that must not compile the AWS SDK, even indirectly. The domains are checked in addition.
const WITHOUT_SDK: [&str; 7] = [
    "events", "topology", "outbox", "domain", "views", "evidence", "template",
];
/// The shared crates that may depend on the Lambda runtime.
const KNOW_LAMBDA: [&str; 4] = ["consumer", "api", "host", "testkit"];

/// A package of the workspace.
#[derive(Debug, Clone, Default)]
struct Package {
    /// `functions`, `shared`, `infra` or `tests`.
    place: String,
    /// What it depends on when it is built, including build scripts.
    imports: BTreeSet<String>,
    /// All packages that these depend on in turn, inside the workspace or not.
    reaches: BTreeSet<String>,
}

type Workspace = BTreeMap<String, Package>;

static WORKSPACE: LazyLock<Workspace> = LazyLock::new(read);

/// What cargo calls this machine.
fn host() -> String {
    let about = Command::new("rustc").arg("-vV").output().unwrap();
    let about = String::from_utf8(about.stdout).unwrap();
    let host = about.lines().find_map(|line| line.strip_prefix("host: "));
    host.unwrap().to_owned()
}

fn read() -> Workspace {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("..")
        .canonicalize()
        .unwrap();
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline"])
        // What other machines would need has not been downloaded.
        .args(["--filter-platform", &host()])
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
    // The normal and build dependencies of each package, without those of its tests.
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

/// The crates of business rules, which are the dependencies of `domains`. They never import each other: they
/// communicate by events.
fn domains(workspace: &Workspace) -> BTreeSet<String> {
    let mut domains = workspace["domains"].imports.clone();
    assert!(
        domains.remove("domain"),
        "`domains` no longer imports `domain`"
    );
    domains
}

/// Every forbidden import.
fn findings(workspace: &Workspace) -> Vec<String> {
    let mut findings = Vec::new();
    let domains = domains(workspace);
    let is_function = |name: &String| {
        workspace
            .get(name)
            .is_some_and(|one| one.place == "functions")
    };
    for (name, package) in workspace {
        for import in package.imports.iter().filter(|import| is_function(import)) {
            findings.push(format!(
                "{name} imports the function {import}: move what it needs to a crate that both may import"
            ));
        }
        if package.imports.contains("testkit") {
            findings.push(format!(
                "{name} is built with testkit, which is only for tests"
            ));
        }
        if ["utils", "util", "common", "core", "helpers"].contains(&name.as_str()) {
            findings.push(format!(
                "{name} is a name without a subject: name the crate after its subject"
            ));
        }
        if domains.contains(name) {
            for import in domains.intersection(&package.reaches) {
                findings.push(format!(
                    "the domain {name} imports {import}: domains communicate by events"
                ));
            }
        }
        if domains.contains(name) || WITHOUT_SDK.contains(&name.as_str()) {
            for import in package.reaches.iter().filter(|import| is_sdk(import)) {
                findings.push(format!(
                    "{name} compiles {import}: adapters belong in `aws`"
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
                    "{name} imports {import}: only runners and HTTP may depend on Lambda"
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
    for name in WITHOUT_SDK {
        assert!(WORKSPACE.contains_key(name), "there is no package {name}");
    }
    assert!(domains(&WORKSPACE).contains("member"));
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
        ("wallet-api", "testkit", "only for tests"),
        ("wallet", "cloud", "domains communicate by events"),
        ("outbox", "aws-sdk-dynamodb", "adapters belong in `aws`"),
        ("wallet", "aws", "adapters belong in `aws`"),
        ("views", "lambda_runtime", "may depend on Lambda"),
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
            .any(|one| one.contains("after its subject"))
    );
}

#[test]
fn only_the_operator_s_functions_compile_the_client_of_lambda() {
    let functions = WORKSPACE.iter().filter(|(_, package)| {
        package.place == "functions" && package.reaches.contains("aws-sdk-lambda")
    });
    let names: Vec<&str> = functions.map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["operator-api", "operator-worker"]);
}

/// The packages that cargo builds for these packages alone, with the features that it then chooses: those of `make build`.
fn built_with(packages: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(["tree", "--offline", "--edges", "normal", "--prefix", "none"])
        .args(packages.iter().flat_map(|name| ["--package", name]))
        .current_dir(Path::new(env!("CARGO_MANIFEST_DIR")).join(".."))
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn only_the_operator_s_tool_has_the_credentials_of_people() {
    // On Lambda credentials are in the environment; what reads those of people would be dead weight in every bootstrap.
    const OF_PEOPLE: [&str; 3] = ["aws-sdk-sso ", "aws-sdk-ssooidc ", "aws-sdk-signin "];
    let functions: Vec<&str> = WORKSPACE
        .iter()
        .filter(|(_, package)| package.place == "functions")
        .map(|(name, _)| name.as_str())
        .collect();
    let functions = built_with(&functions);
    let tool = built_with(&["millrace"]);
    for package in OF_PEOPLE {
        assert!(!functions.contains(package), "functions have {package}");
        assert!(tool.contains(package), "`millrace` lacks {package}");
    }
}
