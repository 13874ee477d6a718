//! Events of the event log are sent to one consumer again: to no other, and without changing what was handled. What is lost of
//! a read model comes back.

use std::collections::{BTreeMap, BTreeSet};

use ::wallet::balances::of_account;
use events::{MemberId, contracts::wallet::AccountType};
use outbox::{Clock as _, Item, SystemClock};
use topology::pascal;

use super::{
    wallet::{deposit, hold},
    *,
};

pub(super) const REPLAYS: &str = "/api/v1/replays";

/// How many escrows are held.
const HELD: usize = 5;

/// How long a replay may take: it reads the whole log, 200 rows in a second, and other stories have filled it.
pub(super) const LONG: Duration = Duration::from_secs(600);

/// The entries of a user's activity, once there are so many.
async fn activity(stack: &Stack, user: &str, wanted: usize) -> Result<Vec<Value>> {
    let path = format!("/api/v1/wallets/{user}/activity?limit=100");
    until(&format!("{wanted} entries"), SOON, || async {
        let page = stack.get(&path).await?;
        let items = page["items"].as_array().cloned().unwrap_or_default();
        Ok((items.len() == wanted).then_some(items))
    })
    .await
}

/// The events that a function has logged as sent by an operation, each with its outcome.
async fn handled_for(
    stack: &Stack,
    function: &str,
    id: &str,
    since: i64,
) -> Result<BTreeMap<String, String>> {
    let lines = stack
        .signed()
        .logs(stack.resource(function)?, since)
        .await?;
    let lines = lines
        .iter()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok())
        .filter(|line| line["message"] == "record" && line["operation_id"] == id);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    Ok(lines
        .map(|line| (text(&line["event_id"]), text(&line["outcome"])))
        .collect())
}

#[tokio::test]
async fn a_replay_of_a_span_reaches_one_consumer_and_changes_nothing() -> Result {
    let (_use, stack) = (sole_use().await, Stack::connect().await?);
    let (from, since) = (SystemClock.now(), now_millis());
    let user = new_member(&stack, "Uma").await?;
    deposit(&stack, &user, 100.0).await?;
    for _ in 0..HELD {
        hold(&stack, &user, 1.0).await?;
    }
    let before = activity(&stack, &user, HELD).await?;
    let ids: BTreeSet<String> = before
        .iter()
        .filter_map(|entry| entry["event_id"].as_str().map(str::to_owned))
        .collect();

    let body = json!({
        "consumer": "activity-feed", "from": from, "reason": "a day is shown to be there", "rate_per_second": 50,
    });
    let mut preview = body.clone();
    preview["preview"] = json!(true);
    let previewed = post(&stack, REPLAYS, &preview).await?;
    let previewed = previewed.expect(StatusCode::OK)?;
    assert_eq!(previewed["counted_by"], "analytics", "{previewed}");
    let id = begin_operation(&stack, REPLAYS, &body).await?;
    let done = finished(&stack, &id, LONG).await?;
    let sent = done["outcome"]["sent"].as_u64().unwrap_or_default();
    assert!(usize::try_from(sent)? >= HELD, "{done}");
    assert!(done["outcome"]["passed_over"].as_u64() > Some(0), "{done}");
    assert_eq!(done["outcome"]["too_old"], Value::Null, "{done}");

    // Each comes to the consumer as a duplicate.
    let arrived = until("the consumer has logged what was sent", SOON, || async {
        let arrived = handled_for(&stack, "ActivityFeedFunction", &id, since).await?;
        Ok(ids
            .iter()
            .all(|id| arrived.contains_key(id))
            .then_some(arrived))
    })
    .await?;
    for event_id in &ids {
        assert_eq!(arrived[event_id], "duplicate");
    }
    assert_eq!(activity(&stack, &user, HELD).await?, before);
    // And to no other.
    let consumers = stack.get("/api/v1/consumers").await?;
    let consumers = consumers["items"].as_array().ok_or("no consumers")?;
    assert!(consumers.len() > 5, "{consumers:?}");
    for consumer in consumers {
        let name = consumer["consumer"].as_str().ok_or("no name")?;
        if name == "activity-feed" {
            continue;
        }
        let function = format!("{}Function", pascal(name));
        let arrived = handled_for(&stack, &function, &id, since).await?;
        assert!(arrived.is_empty(), "{name} got {arrived:?}");
    }
    Ok(())
}

/// The rows of the read model of an account.
pub(super) async fn rows(stack: &Stack, table: &Table, user: &str) -> Result<Vec<Item>> {
    let store = DynamoStore::new(aws::dynamodb(stack.sdk()));
    let query = of_account(table, AccountType::User, &MemberId::new(user)?);
    Ok(store.query(&query).await?.items)
}

/// Deletes rows, as a mistake would.
pub(super) async fn delete(stack: &Stack, table: &Table, rows: &[Item]) -> Result {
    let client = aws::dynamodb(stack.sdk());
    for row in rows {
        let mut deletion = client.delete_item().table_name(table.name());
        for name in ["pk", "sk"] {
            let value = row[name].as_str().ok_or("no key")?.to_owned();
            let value = aws_sdk_dynamodb::types::AttributeValue::S(value);
            deletion = deletion.key(name, value);
        }
        deletion.send().await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_read_model_that_is_lost_comes_back_by_the_replay_of_its_aggregate() -> Result {
    let (_use, stack) = (sole_use().await, Stack::connect().await?);
    let user = new_member(&stack, "Uma").await?;
    deposit(&stack, &user, 100.0).await?;
    for _ in 0..HELD {
        hold(&stack, &user, 1.0).await?;
    }
    let table = Table::domain(stack.resource("WalletTable")?);
    let is_shown = |rows: &[Item], state: &str, balance: Value| {
        let mut rows = rows.iter();
        rows.any(|row| row["balance_state"] == state && row["balance"] == balance)
    };
    let held = json!(HELD);
    let before = until("the read model is there", SOON, || async {
        let rows = rows(&stack, &table, &user).await?;
        Ok(is_shown(&rows, "escrow", held.clone()).then_some(rows))
    })
    .await?;

    delete(&stack, &table, &before).await?;
    assert!(rows(&stack, &table, &user).await?.is_empty());

    let body = json!({
        "consumer": "wallet-balances", "aggregate_type": "wallet_account", "aggregate_id": format!("user-{user}"),
        "reason": "its rows were deleted",
    });
    let mut preview = body.clone();
    preview["preview"] = json!(true);
    let previewed = post(&stack, REPLAYS, &preview).await?;
    let previewed = previewed.expect(StatusCode::OK)?;
    assert_eq!(previewed["counted_by"], "event_log", "{previewed}");
    let id = begin_operation(&stack, REPLAYS, &body).await?;
    let done = finished(&stack, &id, LONG).await?;
    assert_eq!(done["outcome"]["sent"], previewed["count"], "{done}");
    until("the read model is what it was", SOON, || async {
        Ok((rows(&stack, &table, &user).await? == before).then_some(()))
    })
    .await?;
    Ok(())
}
