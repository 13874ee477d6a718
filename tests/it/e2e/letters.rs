//! A message that cannot be handled is parked with its reason, and its neighbours are handled.

use super::*;

#[tokio::test]
async fn poison_is_parked_with_its_reason_while_its_neighbours_succeed() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let since = now_millis();
    let ada = new_member(&stack, "Ada").await?;
    let registered = history(&stack, "member", &ada).await?.remove(0);
    let with = |change: &dyn Fn(&mut Value)| {
        let mut event = registered.clone();
        event["event_id"] = json!(uuid::Uuid::now_v7().to_string());
        change(&mut event);
        event
    };
    let unknown_type = with(&|event| event["event_type"] = json!("member.vanished"));
    let unknown_version = with(&|event| event["event_version"] = json!("v9"));
    let invalid = with(&|event| {
        event["payload"]["email"] = json!("nowhere");
        event["payload"]["version"] = json!(0);
    });
    let neighbour = with(&|event| event["payload"]["version"] = json!(2));
    let malformed = format!("not JSON {}", unique("poison"));

    let queue = "NotificationsStandardQueue";
    send(&stack, queue, &malformed).await?;
    for event in [&unknown_type, &unknown_version, &invalid, &neighbour] {
        send(&stack, queue, &event.to_string()).await?;
    }
    let id = |event: &Value| event["event_id"].as_str().unwrap_or_default().to_owned();
    outcome(
        &stack,
        "NotificationsFunction",
        &id(&neighbour),
        "done",
        since,
    )
    .await?;

    let letters = "notifications";
    let found = letter(&stack, letters, |letter| letter.body == malformed).await?;
    assert_eq!(found.attributes["reason"], "malformed");
    assert_eq!(found.attributes["consumer"], "notifications");
    for (event, reason) in [
        (&unknown_type, "unknown_type"),
        (&unknown_version, "unknown_version"),
        (&invalid, "invalid"),
    ] {
        let found = letter(&stack, letters, |letter| {
            letter.attributes.get("event_id") == Some(&id(event))
        })
        .await?;
        assert_eq!(found.attributes["reason"], reason);
        assert_eq!(found.attributes["attempts"], "1");
        assert_eq!(serde_json::from_str::<Value>(&found.body)?, *event);
    }
    let found = letter(&stack, letters, |letter| {
        letter.attributes.get("event_id") == Some(&id(&invalid))
    })
    .await?;
    let error = &found.attributes["error"];
    assert!(
        error.contains("/payload/email") && error.contains("/payload/version"),
        "the error does not name every violation: {error}"
    );
    Ok(())
}
