//! The alert about the treasury's backing is raised once per episode.

use rust_decimal::Decimal;

use super::*;

async fn reserve(stack: &Stack, usd: u64) -> Result {
    let body = json!({ "balance": usd });
    let path = "/api/v1/cloud/treasury/accounts/1110";
    stack
        .call(Method::PUT, path, Some(&unique("key")), Some(&body))
        .await?
        .expect(StatusCode::OK)
        .map(drop)
}

async fn alerts(stack: &Stack) -> Result<Vec<Value>> {
    history(stack, "alert", "treasury_backing").await
}

async fn alerts_become(stack: &Stack, expected: usize) -> Result<Vec<Value>> {
    until(&format!("{expected} alerts"), SOON, || async {
        let found = alerts(stack).await?;
        if found.len() > expected {
            return Err(format!("{} alerts, expected {expected}", found.len()).into());
        }
        Ok((found.len() == expected).then_some(found))
    })
    .await
}

/// Waits until every event about the reserve so far is handled, so that its effects exist.
async fn reserve_handled(stack: &Stack, since: i64) -> Result {
    for event in history(stack, "treasury_account", "1110").await? {
        let event_id = event["event_id"].as_str().ok_or("no event_id")?;
        outcome(stack, "CloudTreasuryFunction", event_id, "done", since).await?;
    }
    Ok(())
}

#[tokio::test]
async fn the_alert_fires_once_per_episode_also_when_only_the_reserve_moves() -> Result {
    let (_use, stack) = (sole_use().await, Stack::connect().await?);
    let since = 0;
    let admin = unique("admin");
    let body = json!({
        "member_id": admin, "name": "Root", "email": format!("{admin}@example.com"), "role": "admin",
        "notification_preferences": { "email_enabled": false }
    });
    post(&stack, "/api/v1/members", &body)
        .await?
        .expect(StatusCode::CREATED)?;
    let registered = history(&stack, "member", &admin).await?.remove(0);
    let registered_id = registered["event_id"].as_str().ok_or("no event_id")?;
    outcome(
        &stack,
        "NotificationsFunction",
        registered_id,
        "done",
        since,
    )
    .await?;

    let ada = new_member(&stack, "Ada").await?;
    reserve(&stack, 1_000_000_000).await?;
    mint(&stack, &ada, 100.0).await?;
    reserve_handled(&stack, since).await?;
    let start = alerts(&stack).await?.len();

    // Only the reserve falls: one alert, and no second one while the shortfall lasts, whatever else changes.
    reserve(&stack, 10).await?;
    let found = alerts_become(&stack, start + 1).await?;
    let alert = &found.last().ok_or("no alert")?["payload"];
    assert_eq!(alert["mercury_balance"], json!(10));
    let owed = credits(&alert["total_cloud_outstanding"])?;
    assert!(owed >= credits(&json!(100))?, "{alert}");
    let shortfall: Usd = serde_json::from_value(alert["shortfall"].clone())?;
    assert_eq!(
        shortfall,
        Usd::rounded(owed.decimal() * Decimal::TEN - Decimal::TEN)?
    );
    assert!(
        alert["backing_percent"]
            .as_f64()
            .is_some_and(|percent| percent < 100.0),
        "{alert}"
    );
    until(
        "the admin's mail, in spite of their preferences",
        SOON,
        || async { Ok(mails_to(&stack, &admin).await?.pop()) },
    )
    .await?;
    reserve(&stack, 11).await?;
    let more = mint(&stack, &ada, 1.0).await?;
    reserve_handled(&stack, since).await?;
    let more_id = more["event_id"].as_str().ok_or("no event_id")?;
    outcome(&stack, "CloudTreasuryFunction", more_id, "done", since).await?;
    assert_eq!(alerts(&stack).await?.len(), start + 1);

    // The reserve is sufficient again and then falls again: the next episode has its own alert.
    reserve(&stack, 1_000_000_000).await?;
    reserve_handled(&stack, since).await?;
    reserve(&stack, 12).await?;
    alerts_become(&stack, start + 2).await?;
    let mails = until("the admin's second mail", SOON, || async {
        let mails = mails_to(&stack, &admin).await?;
        Ok((mails.len() >= 2).then_some(mails))
    })
    .await?;
    assert_eq!(mails.len(), 2, "one mail per episode");
    reserve(&stack, 1_000_000_000).await?;
    reserve_handled(&stack, since).await?;
    let treasury = stack.get("/api/v1/cloud/treasury").await?;
    assert_eq!(treasury["reserve_usd"], json!(1_000_000_000));
    Ok(())
}
