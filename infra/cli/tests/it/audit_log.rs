//! `millrace audit-log verify` as an operator runs it, on the stack that `make test` deploys: chains, an anchor sealed
//! by the stack's key, a changed entry, a chain that is cut off.

use std::time::Duration;

use audit_chain::{ChainEntry, entry_key, head_key};
use aws::DynamoStore;
use aws_sdk_dynamodb::types::AttributeValue;
use outbox::{Store, Table, encode_item};
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
        .env_remove("STACK_RESOURCES")
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

/// What the check of one chain says: its exit status and its document.
async fn document(stack: &Stack, account: &str) -> Result<(Option<i32>, Value)> {
    let (status, out, err) = verify(stack, &[&["--json"], &scoped(account)[..]].concat()).await?;
    let document = serde_json::from_str(&out).map_err(|error| format!("{error}: {err}"))?;
    Ok((status, document))
}

fn scoped(account: &str) -> [&str; 6] {
    ["--grace", "0", "--rate", "10000", "--aggregate", account]
}

async fn post(stack: &Stack, path: &str, body: Value) -> Result {
    let key = uuid::Uuid::now_v7().to_string();
    let reply = stack
        .call(Method::POST, path, Some(&key), Some(&body))
        .await?;
    reply.expect(StatusCode::CREATED).map(drop)
}

/// A member with two movements: of an amount, at a path.
async fn member(stack: &Stack, movement: impl Fn(&str, u64) -> (String, Value)) -> Result<String> {
    let member = format!("audited-{}", uuid::Uuid::now_v7());
    let body = json!({ "member_id": member, "name": "Tool", "email": "tool@example.com" });
    post(stack, "/api/v1/members", body).await?;
    for amount in [3, 4] {
        let (path, body) = movement(&member, amount);
        post(stack, &path, body).await?;
    }
    Ok(member)
}

/// Waits until the chain is whole and an anchor seals an entry of it; how many entries it has.
async fn sealed(stack: &Stack, account: &str) -> Result<u64> {
    let entries = until("a whole chain", SOON, || async {
        let (status, document) = document(stack, account).await?;
        let entries = document["counts"]["entries"].as_u64().unwrap_or(0);
        Ok((status == Some(0) && entries >= 2).then_some(entries))
    })
    .await?;
    // Another run may be under way, by the schedule.
    let anchored = until("an anchor of it", SOON, || async {
        let function = stack.resource("AuditAnchorFunction")?;
        stack.signed().invoke(function, &json!({})).await?;
        let (status, document) = document(stack, account).await?;
        Ok((document["counts"]["anchored"] != 0).then_some((status, document)))
    })
    .await?;
    assert_eq!(anchored.0, Some(0), "{}", anchored.1);
    Ok(entries)
}

/// The one finding there is: its kind and number.
async fn found(stack: &Stack, account: &str) -> Result<(Value, Value)> {
    let (status, document) = document(stack, account).await?;
    let findings = document["findings"].as_array().ok_or("no findings")?;
    assert_eq!((status, findings.len()), (Some(1), 1), "{document}");
    Ok((findings[0]["kind"].clone(), findings[0]["number"].clone()))
}

fn audit_table(stack: &Stack) -> Result<(DynamoStore, Table)> {
    let store = DynamoStore::new(aws_sdk_dynamodb::Client::new(stack.sdk()));
    Ok((store, Table::domain(stack.resource("AuditTable")?)))
}

#[tokio::test]
async fn a_chain_is_sealed_by_the_stacks_key_and_a_changed_entry_is_named() -> Result {
    let stack = Stack::connect().await?;
    let member = member(&stack, |id, amount| {
        let body = json!({ "member_id": id, "amount": amount });
        ("/api/v1/cloud/mints".to_owned(), body)
    })
    .await?;
    let account = format!("cloud_account/{member}");
    assert_eq!(sealed(&stack, &account).await?, 2);

    let (store, table) = audit_table(&stack)?;
    let key = entry_key(&table, &format!("cloud_account#{member}"), 1);
    let item = store.get(&key).await?.ok_or("no entry")?;
    let mut entry: ChainEntry = outbox::decode_item(&key, item.clone())?;
    entry.envelope += " ";
    store.put_all(&table, &[encode_item(&key, &entry)?]).await?;
    assert_eq!(found(&stack, &account).await?, (json!("changed"), json!(1)));
    let (_, printed, _) = verify(&stack, &scoped(&account)).await?;
    assert!(printed.ends_with("NOT CLEAN: 1 changed\n"), "{printed}");
    store.put_all(&table, &[item]).await?;
    let (status, clean) = document(&stack, &account).await?;
    assert_eq!(status, Some(0), "{clean}");

    // Anchors never become fewer.
    let newest = clean["newest_anchor"]["number"].as_u64().ok_or("none")?;
    for (number, status) in [(newest, 0), (newest + 1_000, 1)] {
        let number = number.to_string();
        let arguments = [&scoped(&account)[..], &["--newest-anchor", &number]].concat();
        let (ended, printed, _) = verify(&stack, &arguments).await?;
        assert_eq!(ended, Some(status), "{printed}");
    }
    Ok(())
}

#[tokio::test]
async fn a_wallets_chain_that_is_cut_off_with_its_head_set_back_is_named() -> Result {
    let stack = Stack::connect().await?;
    let member = member(&stack, |id, amount| {
        let path = format!("/api/v1/wallets/{id}/deposits");
        (
            path,
            json!({ "amount": amount, "external_reference": format!("bank/{id}/{amount}") }),
        )
    })
    .await?;
    let account = format!("wallet_account/user-{member}");
    let last = sealed(&stack, &account).await?;

    let (store, table) = audit_table(&stack)?;
    let aggregate = format!("wallet_account#user-{member}");
    let (tail, head) = (
        entry_key(&table, &aggregate, last),
        head_key(&table, &aggregate),
    );
    let whole = [
        store.get(&tail).await?.ok_or("no entry")?,
        store.get(&head).await?.ok_or("no head")?,
    ];
    let before = entry_key(&table, &aggregate, last - 1);
    let item = store.get(&before).await?.ok_or("no entry before it")?;
    let before: ChainEntry = outbox::decode_item(&before, item)?;
    let mut deletion = aws_sdk_dynamodb::Client::new(stack.sdk())
        .delete_item()
        .table_name(stack.resource("AuditTable")?);
    for (name, value) in tail.attributes() {
        let text = value.as_str().ok_or("a key that is no text")?.to_owned();
        deletion = deletion.key(name, AttributeValue::S(text));
    }
    deletion.send().await?;
    let set_back = encode_item(&head, &before.head(&aggregate))?;
    store.put_all(&table, &[set_back]).await?;
    assert_eq!(
        found(&stack, &account).await?,
        (json!("cut_off"), json!(last))
    );
    store.put_all(&table, &whole).await?;
    let (status, clean) = document(&stack, &account).await?;
    assert_eq!(status, Some(0), "{clean}");
    Ok(())
}

#[tokio::test]
async fn what_could_not_be_verified_is_told_apart_from_what_is_wrong() -> Result {
    let stack = Stack::connect().await?;
    for arguments in [
        &["--stack", "no-such-stack"][..],
        &["--resources", "/nowhere/resources.json"],
        &["--aggregate", "nonsense"],
    ] {
        let (status, out, err) = verify(&stack, arguments).await?;
        assert_eq!((status, out.as_str()), (Some(2), ""), "{arguments:?}");
        assert!(err.contains(arguments[1]), "{err}");
    }
    Ok(())
}
