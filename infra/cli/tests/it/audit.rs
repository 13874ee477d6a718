//! `millrace audit` as an operator runs it, on the stack that `make test` deploys: exit status, document, words.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::stack::{BoxError, Stack, until};

type Result<T = ()> = std::result::Result<T, BoxError>;

/// How long anything may take on a busy machine of two cores.
const SOON: Duration = Duration::from_secs(60);

struct Ended {
    status: Option<i32>,
    out: String,
    err: String,
}

async fn run(stack: &Stack, arguments: &[&str]) -> Result<Ended> {
    let ended = tokio::process::Command::new(env!("CARGO_BIN_EXE_millrace"))
        .arg("audit")
        .args(arguments)
        .env_remove("STACK_RESOURCES")
        .env("STACK_NAME", stack.env("STACK_NAME")?)
        .env("AWS_ENDPOINT_URL", stack.env("AWS_ENDPOINT_URL")?)
        .env("AWS_REGION", stack.env("AWS_DEFAULT_REGION")?)
        .env("AWS_ACCESS_KEY_ID", stack.env("AWS_ACCESS_KEY_ID")?)
        .env("AWS_SECRET_ACCESS_KEY", stack.env("AWS_SECRET_ACCESS_KEY")?)
        .output()
        .await?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Ended {
        status: ended.status.code(),
        out: text(ended.stdout),
        err: text(ended.stderr),
    })
}

#[tokio::test]
async fn the_exit_status_says_clean_or_not_and_the_document_says_why() -> Result {
    let stack = Stack::connect().await?;
    let member = format!("tool-{}", uuid::Uuid::now_v7());
    let post = async |path: &str, body: Value| {
        let key = uuid::Uuid::now_v7().to_string();
        let reply = stack
            .call(Method::POST, path, Some(&key), Some(&body))
            .await?;
        reply.expect(StatusCode::CREATED)
    };
    let body = json!({ "member_id": member, "name": "Tool", "email": "tool@example.com" });
    post("/api/v1/members", body).await?;
    post(
        "/api/v1/cloud/mints",
        json!({ "member_id": member, "amount": 3 }),
    )
    .await?;
    let account = format!("cloud_account/{member}");
    let document = [
        "--settled",
        "--rate",
        "10000",
        "--json",
        "--aggregate",
        &account,
    ];

    let clean = until("a clean audit", SOON, || async {
        let ended = run(&stack, &document).await?;
        Ok((ended.status == Some(0)).then_some(ended))
    })
    .await?;
    let clean: Value = serde_json::from_str(&clean.out)?;
    assert_eq!(
        (&clean["clean"], &clean["findings"]),
        (&json!(true), &json!([]))
    );
    assert_eq!(
        (&clean["scope"], &clean["counts"]["events"]),
        (&json!([account]), &json!(1))
    );

    let path = format!("/api/v1/events?aggregate_type=cloud_account&aggregate_id={member}");
    let mut poison = stack.get(&path).await?["items"][0].take();
    poison["event_id"] = json!(uuid::Uuid::now_v7().to_string());
    poison["event_version"] = json!("v9");
    aws_sdk_sqs::Client::new(stack.sdk())
        .send_message()
        .queue_url(stack.resource("NotificationsExpressQueue")?)
        .message_body(poison.to_string())
        .send()
        .await?;
    let dirty = until("an audit that finds the letter", SOON, || async {
        let ended = run(&stack, &document).await?;
        Ok((ended.status == Some(1) && ended.out.contains("\"parked\"")).then_some(ended))
    })
    .await?;
    let dirty: Value = serde_json::from_str(&dirty.out)?;
    assert_eq!(dirty["clean"], false);
    let finding = &dirty["findings"][0];
    assert_eq!(finding["event_id"], poison["event_id"]);
    assert_eq!(finding["consumer"], "notifications");
    assert!(
        finding["what"]
            .as_str()
            .is_some_and(|what| what.starts_with("unknown_version")),
        "{finding}"
    );

    // On its way from the queue to its row, a letter is seen in neither; the audit then says that it could not read all.
    let printed = until("the same as text", SOON, || async {
        let text = ["--settled", "--rate", "10000", "--aggregate", &account];
        let ended = run(&stack, &text).await?;
        let has_read_all = !ended.out.contains("not all could be read");
        Ok(has_read_all.then_some(ended))
    })
    .await?;
    assert_eq!(printed.status, Some(1), "{}{}", printed.out, printed.err);
    assert!(
        printed.out.ends_with("NOT CLEAN: 1 parked\n"),
        "{}",
        printed.out
    );
    Ok(())
}

#[tokio::test]
async fn what_could_not_be_audited_is_told_apart_from_what_is_wrong() -> Result {
    let stack = Stack::connect().await?;
    for arguments in [
        &["--stack", "no-such-stack"][..],
        &["--resources", "/nowhere/resources.json"],
        &["--aggregate", "nonsense"],
        &["--rate", "0"],
    ] {
        let ended = run(&stack, arguments).await?;
        assert_eq!(
            (ended.status, ended.out.as_str()),
            (Some(2), ""),
            "{arguments:?}"
        );
        assert!(ended.err.contains(arguments[1]), "{}", ended.err);
    }
    Ok(())
}
