//! A mint reaches every consumer.

use super::*;

#[tokio::test]
async fn a_mint_reaches_balance_treasury_mail_and_note() -> Result {
    let (_use, stack) = (sole_use().await, Stack::connect().await?);
    let member = new_member(&stack, "Ada").await?;
    let before = outstanding(&stack).await?;

    let body = json!({ "member_id": member, "amount": "12.5", "stripe_charge_id": unique("ch"), "description": "first" });
    let minted = post(&stack, "/api/v1/cloud/mints", &body)
        .await?
        .expect(StatusCode::CREATED)?;
    assert_eq!(minted["balance_after"], json!(12.5));
    let event_id = minted["event_id"].as_str().ok_or("no event_id")?;

    let shown = balance(&stack, &member).await?;
    assert_eq!(
        shown,
        json!({ "member_id": member, "balance": 12.5, "balance_usd": 125, "staked_balance": 0 })
    );
    let expected = before.plus(credits(&json!(12.5))?)?;
    until("the treasury counts it", SOON, || async {
        Ok((outstanding(&stack).await? == expected).then_some(()))
    })
    .await?;
    let note = until("the note", SOON, || async {
        Ok(notes(&stack, &member).await?.pop())
    })
    .await?;
    assert_eq!(
        (&note["title"], &note["link"], &note["icon"]),
        (&json!("Credits Added"), &json!("/cloud"), &json!("success"))
    );
    assert_eq!(note["event_id"], event_id);
    let mail = until("the mail", SOON, || async {
        Ok(mails_to(&stack, &member).await?.pop())
    })
    .await?;
    assert_eq!(mail.subject, "$CLOUD Credits Added");
    assert!(
        mail.text.contains("12.5") && mail.html.contains("/cloud"),
        "{mail:?}"
    );

    let events = history(&stack, "cloud_account", &member).await?;
    assert_eq!(events.len(), 1);
    assert_eq!(
        (&events[0]["event_id"], &events[0]["sequence"]),
        (&json!(event_id), &json!(1))
    );
    assert_eq!(events[0]["payload"]["member_name"], "Ada");
    assert_eq!(events[0]["correlation_id"], events[0]["event_id"]);
    Ok(())
}

#[tokio::test]
async fn history_shows_every_movement_in_sequence_without_gaps() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let (ada, bob) = (
        new_member(&stack, "Ada").await?,
        new_member(&stack, "Bob").await?,
    );
    mint(&stack, &ada, 10.0).await?;
    let transfer =
        json!({ "from_member_id": ada, "to_member_id": bob, "amount": 4, "description": "lunch" });
    let moved = post(&stack, "/api/v1/cloud/transfers", &transfer)
        .await?
        .expect(StatusCode::CREATED)?;
    assert_eq!(
        (&moved["from_balance_after"], &moved["to_balance_after"]),
        (&json!(6), &json!(4))
    );
    let burn = json!({ "member_id": ada, "amount": 1, "reason": "expired" });
    post(&stack, "/api/v1/cloud/burns", &burn)
        .await?
        .expect(StatusCode::CREATED)?;
    mint(&stack, &ada, 0.000001).await?;
    let back = json!({ "from_member_id": bob, "to_member_id": ada, "amount": 4 });
    post(&stack, "/api/v1/cloud/transfers", &back)
        .await?
        .expect(StatusCode::CREATED)?;

    let events = history(&stack, "cloud_account", &ada).await?;
    let recorded: Vec<(u64, &str)> = events
        .iter()
        .map(|event| {
            (
                event["sequence"].as_u64().unwrap_or(0),
                event["event_type"].as_str().unwrap_or(""),
            )
        })
        .collect();
    let expected = [
        (1, "cloud.minted"),
        (2, "cloud.transferred"),
        (3, "cloud.burned"),
        (4, "cloud.minted"),
    ];
    assert_eq!(recorded, expected);
    // Versions count every write of the account, including a write for another aggregate's event.
    let versions: Vec<u64> = events
        .iter()
        .filter_map(|event| {
            event["payload"]["version"]
                .as_u64()
                .or(event["payload"]["from_version"].as_u64())
        })
        .collect();
    assert_eq!(versions, [1, 2, 3, 4]);

    let rows = stack
        .get(&format!("/api/v1/cloud/members/{ada}/transactions"))
        .await?;
    let kinds: Vec<&str> = rows["items"]
        .as_array()
        .into_iter()
        .flatten()
        .filter_map(|row| row["kind"].as_str())
        .collect();
    assert_eq!(
        kinds,
        [
            "transferred_in",
            "minted",
            "burned",
            "transferred_out",
            "minted"
        ]
    );
    assert_eq!(balance(&stack, &ada).await?["balance"], json!(9.000001));
    Ok(())
}

#[tokio::test]
async fn a_transfer_tells_both_members() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let (ada, bob) = (
        new_member(&stack, "Ada").await?,
        new_member(&stack, "Bob").await?,
    );
    mint(&stack, &ada, 5.0).await?;
    let body = json!({ "from_member_id": ada, "to_member_id": bob, "amount": 5 });
    post(&stack, "/api/v1/cloud/transfers", &body)
        .await?
        .expect(StatusCode::CREATED)?;
    for (member, subject) in [
        (&ada, "$CLOUD Credits Sent"),
        (&bob, "$CLOUD Credits Received"),
    ] {
        until(subject, SOON, || async {
            Ok(mails_to(&stack, member)
                .await?
                .into_iter()
                .find(|mail| mail.subject == subject))
        })
        .await?;
    }
    until("the receiver's note", SOON, || async {
        Ok(notes(&stack, &bob).await?.pop())
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn a_changed_contact_gets_the_next_mail_at_the_new_address() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let ada = new_member(&stack, "Ada").await?;
    let renamed = unique("renamed");
    let patch = json!({ "email": format!("{renamed}@example.com"), "notification_preferences": { "in_app_enabled": false } });
    let path = format!("/api/v1/members/{ada}");
    let reply = stack
        .call(Method::PATCH, &path, Some(&unique("key")), Some(&patch))
        .await?
        .expect(StatusCode::OK)?;
    assert_eq!(
        reply["notification_preferences"]["email_enabled"],
        json!(true)
    );
    let updated = history(&stack, "member", &ada)
        .await?
        .pop()
        .ok_or("no history")?;
    assert_eq!(updated["event_type"], "member.updated");
    let event_id = updated["event_id"].as_str().ok_or("no event_id")?;
    outcome(
        &stack,
        "NotificationsFunction",
        event_id,
        "done",
        now_millis() - 120_000,
    )
    .await?;
    mint(&stack, &ada, 1.0).await?;
    until("the mail at the new address", SOON, || async {
        Ok(mails_to(&stack, &renamed).await?.pop())
    })
    .await?;
    assert_eq!(notes(&stack, &ada).await?, Vec::<Value>::new());
    Ok(())
}
