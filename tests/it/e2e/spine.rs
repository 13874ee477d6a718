//! What the spine does with any domains: `make test-spine` runs these tests on a stack without a domain.

use super::*;

/// The consumers that have handled an event, and how.
async fn handled(stack: &Stack, event_id: &str) -> Result<Vec<Value>> {
    let path = format!("/api/v1/events/{event_id}/handled");
    let answer = stack.call(Method::GET, &path, None, None).await?;
    if answer.status == StatusCode::NOT_FOUND {
        return Ok(Vec::new());
    }
    let list = answer.expect(StatusCode::OK)?;
    Ok(list.as_array().ok_or("no list")?.clone())
}

#[tokio::test]
async fn an_event_goes_all_the_way_and_every_consumer_of_it_shows_that_it_handled_it() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let ada = new_member(&stack, "Ada").await?;
    let event = history(&stack, "member", &ada).await?.remove(0);
    assert_eq!(event["event_type"], "member.registered");
    let event_id = event["event_id"].as_str().ok_or("no event_id")?;

    let consumers = until("every consumer has handled it", SOON, || async {
        let consumers = handled(&stack, event_id).await?;
        let all = !consumers.is_empty() && consumers.iter().all(|one| one["state"] == "handled");
        Ok(all.then_some(consumers))
    })
    .await?;
    for name in ["analytics", "event-feed"] {
        assert!(
            consumers.iter().any(|one| one["consumer"] == name),
            "{consumers:?}"
        );
    }

    let counted = stack
        .call(
            Method::GET,
            "/api/v1/analytics/events?type=member.registered",
            None,
            None,
        )
        .await?
        .expect(StatusCode::OK)?;
    let items = counted["items"].as_array().ok_or("no items")?;
    assert!(
        items.iter().any(|one| one["count"].as_u64() >= Some(1)),
        "{items:?}"
    );
    Ok(())
}

#[tokio::test]
async fn a_heartbeat_goes_the_whole_way() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let sent = async || history(&stack, "heartbeat", "heartbeat").await;
    let before = sent().await?.len();
    let job = stack.resource("HeartbeatFunction")?;
    stack.signed().start(job).await?;
    let event = until("a heartbeat is sent", SOON, || async {
        let events = sent().await?;
        Ok(events.get(before).cloned())
    })
    .await?;
    assert_eq!(event["event_type"], "system.heartbeat");
    let event_id = event["event_id"].as_str().ok_or("no event_id")?;
    until("it arrives", SOON, || async {
        let consumers = handled(&stack, event_id).await?;
        let arrived =
            |one: &Value| one["consumer"] == "heartbeat-arrival" && one["state"] == "handled";
        Ok(consumers.iter().any(arrived).then_some(()))
    })
    .await?;
    Ok(())
}

#[tokio::test]
async fn the_document_of_the_api_has_the_endpoints_of_what_is_deployed_and_no_others() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let answer = stack
        .call_as(None, Method::GET, "/api/v1/openapi.json", None, None)
        .await?
        .expect(StatusCode::OK)?;
    let paths = answer["paths"].as_object().ok_or("no paths")?;
    let has = |prefix: &str| paths.keys().any(|path| path.starts_with(prefix));
    for prefix in [
        "/health",
        "/api/v1/events",
        "/api/v1/members",
        "/api/v1/keys",
    ] {
        assert!(has(prefix), "{prefix}");
    }
    for (prefix, function) in [
        ("/api/v1/cloud", "CloudApiFunction"),
        ("/api/v1/wallets", "WalletApiFunction"),
        ("/api/v1/settlements", "SettlementApiFunction"),
    ] {
        assert_eq!(has(prefix), stack.resource(function).is_ok(), "{prefix}");
    }
    Ok(())
}
