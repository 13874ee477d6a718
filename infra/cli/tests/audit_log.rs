//! `millrace audit-log verify` as an operator runs it, on the stack that `make test` deploys: chains, an anchor sealed by the
//! stack's key, a changed entry.

use std::time::Duration;

use audit_chain::{Entry, entry_key};
use outbox::{Store, Table, dynamo::DynamoStore, encode_item};
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use testkit::stack::{BoxError, Stack, until};

type Result<T = ()> = std::result::Result<T, BoxError>;

/// How long anything may take on a busy machine of two cores.
const SOON: Duration = Duration::from_secs(60);

async fn verify(stack: &Stack, arguments: &[&str]) -> Result<(Option<i32>, String, String)> {
    let ended = tokio::process::Command::new(env!("CARGO_BIN_EXE_millrace"))
        .args(["audit-log", "verify"])
        .args(arguments)
        .env_remove("STACK_OUTPUTS")
        .env("STACK_NAME", stack.env("STACK_NAME")?)
        .env("AWS_ENDPOINT_URL", stack.env("AWS_ENDPOINT_URL")?)
        .env("AWS_REGION", stack.env("AWS_DEFAULT_REGION")?)
        .env("AWS_ACCESS_KEY_ID", stack.env("AWS_ACCESS_KEY_ID")?)
        .env("AWS_SECRET_ACCESS_KEY", stack.env("AWS_SECRET_ACCESS_KEY")?)
        .output()
        .await?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok((ended.status.code(), text(ended.stdout), text(ended.stderr)))
}

#[tokio::test]
async fn a_chain_is_sealed_by_the_stacks_key_and_a_changed_entry_is_named() -> Result {
    let stack = Stack::connect().await?;
    let member = format!("audited-{}", uuid::Uuid::now_v7());
    let post = async |path: &str, body: Value| {
        let key = uuid::Uuid::now_v7().to_string();
        let reply = stack
            .call(Method::POST, path, Some(&key), Some(&body))
            .await?;
        reply.expect(StatusCode::CREATED)
    };
    let body = json!({ "member_id": member, "name": "Tool", "email": "tool@example.com" });
    post("/api/v1/members", body).await?;
    for amount in [3, 4] {
        let body = json!({ "member_id": member, "amount": amount });
        post("/api/v1/cloud/mints", body).await?;
    }
    let account = format!("cloud_account/{member}");
    let scoped = [
        "--json",
        "--grace",
        "0",
        "--rate",
        "10000",
        "--aggregate",
        &account,
    ];
    let document = async || -> Result<(Option<i32>, Value)> {
        let (status, out, err) = verify(&stack, &scoped).await?;
        let document = serde_json::from_str(&out).map_err(|error| format!("{error}: {err}"))?;
        Ok((status, document))
    };
    until("a whole chain", SOON, || async {
        let (_, document) = document().await?;
        Ok((document["counts"]["entries"] == 2).then_some(()))
    })
    .await?;
    // Another run may be under way, by the schedule.
    let anchored = until("an anchor of it", SOON, || async {
        let function = stack.output("AuditAnchorFunctionName")?;
        stack.signed().invoke(function, &json!({})).await?;
        let (status, document) = document().await?;
        Ok((document["counts"]["anchored"] != 0).then_some((status, document)))
    })
    .await?;
    assert_eq!(anchored.0, Some(0), "{}", anchored.1);

    let store = DynamoStore::new(aws_sdk_dynamodb::Client::new(stack.sdk()));
    let table = Table::domain(stack.output("AuditTableName")?);
    let key = entry_key(&table, &format!("cloud_account#{member}"), 1);
    let item = store.get(&key).await?.ok_or("no entry")?;
    let mut entry: Entry = outbox::decode_item(&key, item.clone())?;
    entry.envelope += " ";
    store.put_all(&table, &[encode_item(&key, &entry)?]).await?;
    let (status, changed) = document().await?;
    let findings = changed["findings"].as_array().ok_or("no findings")?;
    assert_eq!((status, findings.len()), (Some(1), 1), "{changed}");
    assert_eq!(
        (&findings[0]["kind"], &findings[0]["number"]),
        (&json!("changed"), &json!(1))
    );
    let (_, told, _) = verify(&stack, &scoped[1..]).await?;
    assert!(told.ends_with("NOT CLEAN: 1 changed\n"), "{told}");
    store.put_all(&table, &[item]).await?;
    assert_eq!(document().await?.0, Some(0));
    Ok(())
}

#[tokio::test]
async fn what_could_not_be_verified_is_told_apart_from_what_is_wrong() -> Result {
    let stack = Stack::connect().await?;
    for arguments in [
        &["--stack", "no-such-stack"][..],
        &["--outputs", "/nowhere/outputs.json"],
        &["--aggregate", "nonsense"],
    ] {
        let (status, out, err) = verify(&stack, arguments).await?;
        assert_eq!((status, out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(err.contains(arguments[1]), "{err}");
    }
    Ok(())
}
