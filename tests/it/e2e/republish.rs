//! Events that are still pending, as after an outage that was longer than the stream remembers, are published by an operation.

use millrace::audit::Kind;

use super::{
    audit::{Hands, until_clean, until_found},
    replay::LONG,
    *,
};

#[tokio::test]
async fn what_is_still_pending_is_published_by_an_operation_that_tells_who_and_why() -> Result {
    // What other stories have committed a moment ago would be published twice.
    let (_use, stack) = (sole_use().await, Stack::connect().await?);
    let member = new_member(&stack, "Pam").await?;
    mint(&stack, &member, 12.5).await?;
    let members = [member.as_str()];
    until_clean(&stack, &members).await?;
    let minted = history(&stack, "cloud_account", &member).await?.remove(0);
    let event_id = minted["event_id"].as_str().ok_or("no event_id")?;
    Hands::new(&stack).published_at(&minted, None).await?;
    until_found(&stack, &members, Kind::Stuck, event_id).await?;

    let path = format!("{OPERATIONS}/republish");
    let request =
        json!({ "older_than_seconds": 0, "reason": "the stream was off", "rate_per_second": 100 });
    let mut preview = request.clone();
    preview["preview"] = json!(true);
    let previewed = post(&stack, &path, &preview).await?;
    let previewed = previewed.expect(StatusCode::OK)?;
    assert!(previewed["log_rows"].is_u64(), "{previewed}");
    let id = begin_operation(&stack, &path, &request).await?;
    let done = finished(&stack, &id, LONG).await?;
    assert!(done["outcome"]["sent"].as_u64() >= Some(1), "{done}");
    assert_eq!(done["act"], "republish");

    // It is published, and the consumers that had handled it have ignored it.
    until_clean(&stack, &members).await?;
    let balance = balance(&stack, &member).await?;
    assert_eq!(balance["balance"], json!(12.5), "{balance}");
    let told = history(&stack, "operation", &id).await?;
    let types: Vec<&str> = told
        .iter()
        .filter_map(|event| event["event_type"].as_str())
        .collect();
    assert_eq!(types, ["operation.begun", "operation.finished"]);
    assert_eq!(told[0]["payload"]["reason"], "the stream was off");
    assert!(told[0]["payload"]["key_owner"].is_string());
    Ok(())
}
