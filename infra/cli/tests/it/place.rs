//! How the tool finds its stack as an operator runs it: by the file of `make up`, by the environment, and not at all. A
//! stub stands in for the stack.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::{path::PathBuf, process::Output, time::Duration};

use outbox::Table;
use testkit::dynamo_stub::DynamoStub;

const RESOURCES: &str = r#"{ "StackResourceSummaries": [
    { "LogicalResourceId": "MarksTable", "PhysicalResourceId": "marks", "ResourceType": "AWS::DynamoDB::Table" } ] }"#;

/// A checkout with the files of `make up`. The folder is removed when this is dropped.
struct Checkout(PathBuf);

impl Checkout {
    fn new(name: &str, endpoint: &str) -> Self {
        let name = format!("millrace {name} {}", std::process::id());
        let root = std::env::temp_dir().join(name);
        let local = root.join(".local");
        std::fs::create_dir_all(&local).expect("a folder");
        let resources = local.join("resources.json");
        std::fs::write(&resources, RESOURCES).expect("written");
        let env = format!(
            "export AWS_ENDPOINT_URL={endpoint}\nexport AWS_REGION=us-east-1\nexport AWS_ACCESS_KEY_ID=test\n\
             export AWS_SECRET_ACCESS_KEY=test\nexport STACK_NAME=millrace\nexport STACK_RESOURCES='{}'\n\
             export EVENTS_TABLE=events\nexport MARKS_TABLE=marks\n",
            resources.display()
        );
        std::fs::write(local.join("env"), env).expect("written");
        Self(root)
    }

    /// Runs the tool here, with nothing in its environment but these variables.
    async fn run(&self, arguments: &[&str], variables: &[(&str, &str)]) -> Output {
        tokio::process::Command::new(env!("CARGO_BIN_EXE_millrace"))
            .args(arguments)
            .env_clear()
            .envs(variables.iter().copied())
            .current_dir(&self.0)
            .output()
            .await
            .expect("it runs")
    }
}

impl Drop for Checkout {
    fn drop(&mut self) {
        std::fs::remove_dir_all(&self.0).ok();
    }
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

#[tokio::test]
async fn inside_a_checkout_a_verb_works_without_source_and_reports_which_stack_it_uses() {
    let stub = DynamoStub::start([&Table::marks("marks")], Duration::ZERO, None).expect("a stub");
    let checkout = Checkout::new("here", &stub.endpoint());
    let ended = checkout.run(&["jobs", "audit-anchor"], &[]).await;
    let (out, err) = (text(&ended.stdout), text(&ended.stderr));
    assert_eq!(ended.status.code(), Some(0), "{err}");
    assert_eq!(
        out,
        "audit-anchor: never ran, or never had anything to do\n"
    );
    assert_eq!(err, "millrace: using the stack millrace of .local/env\n");

    let named = checkout.run(&["jobs", "--local", ".local"], &[]).await;
    assert_eq!(named.status.code(), Some(0), "{}", text(&named.stderr));
    assert_eq!(text(&named.stderr), "");
}

#[tokio::test]
async fn a_stack_on_the_command_line_outranks_tables_of_a_sourced_environment() {
    let stub = DynamoStub::start([&Table::marks("marks")], Duration::ZERO, None).expect("a stub");
    let checkout = Checkout::new("sourced", &stub.endpoint());
    let endpoint = stub.endpoint();
    let sourced = [
        ("AWS_ENDPOINT_URL", endpoint.as_str()),
        ("AWS_REGION", "us-east-1"),
        ("AWS_ACCESS_KEY_ID", "test"),
        ("AWS_SECRET_ACCESS_KEY", "test"),
        ("STACK_RESOURCES", "/nowhere/resources.json"),
        ("EVENTS_TABLE", "events"),
        ("MARKS_TABLE", "no-such-table"),
    ];
    let resources = [".local/resources.json"];
    let named = [&["jobs", "--resources"][..], &resources].concat();
    let ended = checkout.run(&named, &sourced).await;
    assert_eq!(ended.status.code(), Some(0), "{}", text(&ended.stderr));
    // EVENTS_TABLE without BUS_NAME, as `source .local/env` leaves it, names nothing.
    let ended = checkout.run(&["republish"], &sourced).await;
    let err = text(&ended.stderr);
    assert!(err.contains("/nowhere/resources.json"), "{err}");
}

#[tokio::test]
async fn without_a_stack_the_three_ways_are_named_and_a_local_aws_that_is_gone_is_reported() {
    let stub = DynamoStub::start([&Table::marks("marks")], Duration::ZERO, None).expect("a stub");
    let checkout = Checkout::new("gone", &stub.endpoint());
    drop(stub);
    for verb in [
        &["jobs"][..],
        &["events", "recent"],
        &["keys", "list"],
        &["republish"],
        &["chain", "jobs", "--member", "m"],
        &["notifications", "failed"],
        &["letters", "list"],
        &["operations", "list"],
        &["audit"],
        &["audit-log", "verify"],
    ] {
        let ended = checkout.run(verb, &[]).await;
        let err = text(&ended.stderr);
        let is_audit = verb[0].starts_with("audit");
        let failed = if is_audit { 2 } else { 1 };
        assert_eq!(ended.status.code(), Some(failed), "{verb:?}: {err}");
        assert!(
            err.contains("nothing answers") && err.contains("make status"),
            "{verb:?}: {err}"
        );

        let ended = checkout.run(verb, &[("AWS_PROFILE", "prod")]).await;
        let err = text(&ended.stderr);
        assert_eq!(ended.status.code(), Some(2), "{verb:?}: {err}");
        for way in ["--stack", "STACK_NAME", "make up", "AWS_PROFILE"] {
            assert!(err.contains(way), "{verb:?}: {way} is not in: {err}");
        }
        assert_eq!(err.lines().count(), 1, "{verb:?}: {err}");
    }
}
