//! Starts the built functions to check their settings. Each function must start with what the template sets, and must
//! read every setting that the template gives it. A function that reads a setting refuses to start when the setting is
//! empty or invalid, and names it.

#![expect(
    clippy::panic,
    clippy::unwrap_used,
    reason = "a test must panic when it cannot start the function it checks"
)]

use std::{
    collections::BTreeMap,
    io::Read as _,
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::{Duration, Instant},
};

use serde_json::Value;
use topology::Deployment;

use crate::wiring::{headroom::resolved, model::Model};

/// No server listens on this address: a function that accepted its settings fails to reach the Runtime API.
const NOBODY: &str = "127.0.0.1:9";
/// Settings that are empty by default, with a value that makes the function read the settings that depend on them.
const SET: [(&str, &str); 4] = [
    ("CHAIN_RPC_URL", "http://127.0.0.1:9"),
    ("STREAM_URL", "https://stream.example/"),
    (
        "CHAIN_TOKEN_CONTRACT",
        "0x00000000000000000000000000000000000000cc",
    ),
    ("CHAIN_ID", "1"),
];
/// Settings that libraries read.
const OF_LIBRARIES: [&str; 1] = ["AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH"];
const NONSENSE: &str = "\u{7f}";
const AT_MOST: Duration = Duration::from_secs(30);

type Settings = BTreeMap<String, String>;

fn binary(name: &str) -> PathBuf {
    // target/<profile>/deps/it-… is next to the binaries' folder.
    let tests = std::env::current_exe().unwrap();
    tests.parent().unwrap().parent().unwrap().join(name)
}

/// The output of a function that is started with only these settings.
fn started(name: &str, settings: &Settings) -> String {
    let mut child = Command::new(binary(name))
        .env_clear()
        .envs(settings)
        .envs([
            ("AWS_LAMBDA_RUNTIME_API", NOBODY),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:9"),
            ("AWS_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "none"),
            ("AWS_SECRET_ACCESS_KEY", "none"),
            ("AWS_LAMBDA_FUNCTION_NAME", name),
            ("AWS_LAMBDA_FUNCTION_VERSION", "1"),
            ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "256"),
            ("AWS_LAMBDA_LOG_GROUP_NAME", "none"),
            ("AWS_LAMBDA_LOG_STREAM_NAME", "none"),
        ])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| {
            panic!(
                "{}: {error}; `make test` builds the functions",
                binary(name).display()
            )
        });
    let deadline = Instant::now() + AT_MOST;
    while child.try_wait().unwrap().is_none() {
        if Instant::now() >= deadline {
            child.kill().unwrap();
            child.wait().unwrap();
            break;
        }
        thread::park_timeout(Duration::from_millis(2));
    }
    let mut said = String::new();
    child.stderr.unwrap().read_to_string(&mut said).unwrap();
    child.stdout.unwrap().read_to_string(&mut said).unwrap();
    said
}

/// Whether the function refused to start because of a setting.
fn refuses(said: &str, setting: &str) -> bool {
    said.contains(&format!("\"{setting}\"")) || said.contains(&format!("setting {setting} "))
}

#[test]
fn every_function_starts_with_what_the_template_sets_and_reads_all_of_it() {
    let model = Model::read();
    let deployment = Deployment::whole();
    let mut asked = Vec::new();
    for function in model.functions() {
        let name = function.package().unwrap().to_owned();
        let all: Settings = function
            .settings()
            .into_iter()
            .map(|(key, value)| (key.to_owned(), text(&resolved(&model, value))))
            .map(
                |(key, value)| match SET.iter().find(|(set, _)| *set == key) {
                    Some((_, instead)) => (key, (*instead).to_owned()),
                    None => (key, value),
                },
            )
            .collect();
        let declared = topology::function(&name).unwrap();
        let optional: Vec<&str> = deployment
            .accesses(declared)
            .filter(|access| access.optional)
            .map(|access| access.table.setting)
            .collect();
        let own: Vec<String> = function.properties["Environment"]["Variables"]
            .as_object()
            .unwrap()
            .keys()
            .filter(|key| {
                !OF_LIBRARIES.contains(&key.as_str()) && !optional.contains(&key.as_str())
            })
            .cloned()
            .collect();
        asked.push(thread::spawn(move || findings(&name, &all, &own)));
    }
    let findings: Vec<String> = asked
        .into_iter()
        .flat_map(|one| one.join().unwrap())
        .collect();
    assert!(findings.is_empty(), "{}", findings.join("\n"));
}

fn findings(name: &str, all: &Settings, own: &[String]) -> Vec<String> {
    let mut findings = Vec::new();
    let said = started(name, all);
    if let Some(setting) = all.keys().find(|setting| refuses(&said, setting)) {
        findings.push(format!(
            "{name} does not start with what the template sets: {setting}: {said}"
        ));
    }
    for setting in own {
        let is_read = ["", NONSENSE].into_iter().any(|value| {
            let mut changed = all.clone();
            changed.insert(setting.clone(), value.to_owned());
            refuses(&started(name, &changed), setting)
        });
        if !is_read {
            findings.push(format!(
                "{name} starts with any value of {setting}: it does not read or does not check the setting; remove it from declaration.rs or check it"
            ));
        }
    }
    findings
}

fn text(value: &Value) -> String {
    value
        .as_str()
        .map_or_else(|| value.to_string(), str::to_owned)
}

#[test]
fn a_setting_that_nothing_reads_is_found() {
    let name = "outbox-relay";
    let model = Model::read();
    let function = model
        .functions()
        .into_iter()
        .find(|one| one.package() == Some(name))
        .unwrap();
    let mut all: Settings = function
        .settings()
        .into_iter()
        .map(|(key, value)| (key.to_owned(), text(&resolved(&model, value))))
        .collect();
    all.insert("OLD_SETTING".to_owned(), "1".to_owned());
    let found = findings(name, &all, &["OLD_SETTING".to_owned()]);
    assert_eq!(found.len(), 1, "{found:?}");
    assert!(found[0].contains("OLD_SETTING"));

    all.remove("EVENTS_TABLE");
    let said = started(name, &all);
    assert!(refuses(&said, "EVENTS_TABLE"), "{said}");
}
