//! The events API of the deployed stack: find events, follow them, count them, publish them from other systems,
//! describe them.

use super::*;

/// A stock count, as another company's merchandise system sends it.
fn counted(sku: &str, quantity: u32) -> Value {
    json!({
        "event_type": "erp.stock_counted", "event_version": "v1", "producer": "erp.tests",
        "payload": { "sku": sku, "counted_quantity": quantity, "counted_at": "2026-11-28T20:00:00.000Z" },
    })
}

fn text<'v>(value: &'v Value, name: &str) -> Result<&'v str> {
    value[name]
        .as_str()
        .ok_or_else(|| format!("no {name}: {value}").into())
}

/// The response to a GET with these headers: status, content type, the requested header, and text.
async fn get_with(
    url: &str,
    key: &str,
    headers: &[(&str, &str)],
) -> Result<(StatusCode, reqwest::header::HeaderMap, String)> {
    let mut request = reqwest::Client::new().get(url).bearer_auth(key);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let answer = request.send().await?;
    Ok((
        answer.status(),
        answer.headers().clone(),
        answer.text().await?,
    ))
}

#[tokio::test]
async fn an_event_is_found_by_id_and_time_and_its_journey_tells_every_step() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let ada = new_member(&stack, "Ada").await?;
    let event = history(&stack, "member", &ada).await?.remove(0);
    let event_id = text(&event, "event_id")?;
    assert!(!text(&event, "producer_version")?.is_empty());
    assert!(!text(&event, "producer_instance")?.is_empty());

    let whole = handled_by_all(&stack, event_id, SOON).await?;
    assert_eq!(whole["aggregate"], format!("member/{ada}"));
    // Timestamps of one format sort as text.
    let [committed, published] = ["committed_at", "published_at"].map(|name| text(&whole, name));
    assert!(committed? <= published?, "{whole}");
    let analytics = whole["consumers"].as_array().into_iter().flatten();
    let mut analytics = analytics.filter(|one| one["consumer"] == "analytics");
    let handled = analytics.next().ok_or("analytics does not listen")?;
    assert!(text(handled, "handled_at")? >= text(&whole, "committed_at")?);

    let one = stack.get(&format!("/api/v1/events/{event_id}")).await?;
    assert_eq!(one, event);
    let recent = stack
        .get("/api/v1/events/recent?type=member.registered&limit=100")
        .await?;
    let items = recent["items"].as_array().ok_or("no items")?;
    assert!(
        items.iter().any(|item| item["event"] == event),
        "{event_id} is not among the recent"
    );
    let newest = stack
        .get(&format!(
            "/api/v1/events?aggregate_type=member&aggregate_id={ada}&order=newest&limit=1"
        ))
        .await?;
    assert_eq!(newest["items"], json!([event]));
    Ok(())
}

#[tokio::test]
async fn an_event_from_outside_goes_all_the_way_once_and_its_producer_is_counted() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let sku = unique("SKU").replace('_', "-");
    let producer = unique("erp");
    let mut event = counted(&sku, 17);
    event["producer"] = producer.as_str().into();
    event["idempotency_key"] = format!("count/{sku}").into();
    let before = stack.get("/api/v1/events/stats?by=domain").await?;
    let first = post(&stack, "/api/v1/events", &event)
        .await?
        .expect(StatusCode::OK)?;
    assert_eq!(first["items"][0]["status"], "accepted", "{first}");
    // Another request with the same fact.
    let again = post(&stack, "/api/v1/events", &event)
        .await?
        .expect(StatusCode::OK)?;
    assert_eq!(again["items"][0]["status"], "duplicate");
    assert_eq!(again["items"][0]["event_id"], first["items"][0]["event_id"]);
    let events = history(&stack, "erp_stock", &sku).await?;
    assert_eq!(events.len(), 1);
    let event_id = text(&events[0], "event_id")?;
    handled_by_all(&stack, event_id, SOON).await?;
    let count = |stats: &Value, list: &str, name: &str| -> u64 {
        let items = stats[list].as_array().into_iter().flatten();
        let mut named = items.filter(|item| item["name"] == name);
        named
            .next()
            .and_then(|item| item["count"].as_u64())
            .unwrap_or_default()
    };
    for (by, name) in [
        ("producer", producer.as_str()),
        ("type", "erp.stock_counted"),
        ("domain", "erp"),
    ] {
        let stats = stack
            .get(&format!("/api/v1/events/stats?by={by}&bucket=day"))
            .await?;
        assert!(count(&stats, "items", name) >= 1, "{by}: {stats}");
        assert!(count(&stats, "all_time", name) >= 1, "{by}: {stats}");
    }
    let after = stack.get("/api/v1/events/stats?by=domain").await?;
    assert!(after["all_time_count"].as_u64() > before["all_time_count"].as_u64());

    let funded = json!({
        "event_type": "cloud.minted", "event_version": "v1", "producer": "mallory", "payload": {},
    });
    let refused = post(&stack, "/api/v1/events", &json!([funded, counted(&sku, 3)])).await?;
    let refused = refused.expect(StatusCode::OK)?;
    assert_eq!(refused["items"][0]["problem"]["status"], 403);
    assert_eq!(refused["items"][0]["problem"]["producer"], "cloud-api");
    assert_eq!(refused["items"][1]["sequence"], 2, "the good one was taken");
    Ok(())
}

#[tokio::test]
async fn a_service_invokes_the_function_itself_and_so_does_a_rule_of_a_bus_of_its_own() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let sku = unique("SKU").replace('_', "-");
    let function = stack.resource("EventIngestFunction")?;
    let call = json!({ "events": [counted(&sku, 1), { "event_type": "loan.fundet" }], "idempotency_key": sku });
    for status in ["accepted", "duplicate"] {
        let answer = stack.signed().invoke(function, &call).await?;
        assert_eq!(answer["items"][0]["status"], status, "{answer}");
        assert_eq!(answer["items"][1]["status"], "rejected");
    }
    // As EventBridge passes an event of any bus to its target.
    let of_bus = json!({
        "version": "0", "id": uuid::Uuid::new_v4(), "detail-type": "stock counted", "source": "com.example.erp",
        "account": "000000000000", "time": "2026-11-28T20:00:00Z", "region": "us-east-1", "resources": [],
        "detail": counted(&sku, 2),
    });
    for status in ["accepted", "duplicate"] {
        let answer = stack.signed().invoke(function, &of_bus).await?;
        assert_eq!(answer["items"][0]["status"], status, "{answer}");
    }
    assert_eq!(history(&stack, "erp_stock", &sku).await?.len(), 2);
    Ok(())
}

#[tokio::test]
async fn a_rule_of_a_callers_own_bus_publishes_by_itself() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let sku = unique("SKU").replace('_', "-");
    let (name, bus) = (
        unique("rule"),
        aws_sdk_eventbridge::Client::new(stack.sdk()),
    );
    bus.create_event_bus().name(&name).send().await?;
    let pattern = json!({ "detail-type": ["stock counted"] }).to_string();
    bus.put_rule()
        .name(&name)
        .event_bus_name(&name)
        .event_pattern(pattern)
        .send()
        .await?;
    let arn = stack
        .signed()
        .function_arn(stack.resource("EventIngestFunction")?)
        .await?;
    let target = aws_sdk_eventbridge::types::Target::builder()
        .id("ingest")
        .arn(arn)
        .build()?;
    bus.put_targets()
        .rule(&name)
        .event_bus_name(&name)
        .targets(target)
        .send()
        .await?;
    let entry = aws_sdk_eventbridge::types::PutEventsRequestEntry::builder()
        .event_bus_name(&name)
        .source("com.example.erp")
        .detail_type("stock counted")
        .detail(counted(&sku, 5).to_string())
        .build();
    #[expect(
        clippy::disallowed_methods,
        reason = "every entry's result is looked at"
    )]
    let sent = bus.put_events().entries(entry).send().await?;
    assert_eq!(sent.failed_entry_count(), 0, "{sent:?}");
    until("the event of the other bus is in the log", SOON, || async {
        let events = history(&stack, "erp_stock", &sku).await?;
        Ok((events.len() == 1).then_some(()))
    })
    .await?;
    bus.remove_targets()
        .rule(&name)
        .event_bus_name(&name)
        .ids("ingest")
        .send()
        .await?;
    bus.delete_rule()
        .name(&name)
        .event_bus_name(&name)
        .send()
        .await?;
    bus.delete_event_bus().name(&name).send().await?;
    Ok(())
}

#[tokio::test]
async fn events_are_handed_out_as_cloudevents_and_taken_back_as_such() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let ada = new_member(&stack, "Ada").await?;
    let path = format!("/api/v1/events?aggregate_type=member&aggregate_id={ada}");
    let url = format!("{}{path}", stack.env("API_URL")?);
    let batch = "application/cloudevents-batch+json";
    let (status, headers, body) =
        get_with(&url, stack.env("API_KEY")?, &[("accept", batch)]).await?;
    assert_eq!(
        (status, headers["content-type"].to_str()?),
        (StatusCode::OK, batch)
    );
    let list: Value = serde_json::from_str(&body)?;
    assert_eq!(list[0]["type"], "member.registered");
    assert_eq!(list[0]["subject"], format!("member/{ada}"));
    let sku = unique("SKU").replace('_', "-");
    let cloudevent = json!({
        "specversion": "1.0", "id": unique("count"), "source": "https://erp.example.com", "type": "erp.stock_counted",
        "data": counted(&sku, 4)["payload"],
    });
    for status in ["accepted", "duplicate"] {
        let taken = post(&stack, "/api/v1/events", &cloudevent)
            .await?
            .expect(StatusCode::OK)?;
        assert_eq!(taken["items"][0]["status"], status);
    }
    Ok(())
}

#[tokio::test]
async fn what_happens_is_described_and_an_event_is_checked_before_it_is_sent() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let asyncapi = stack
        .call_as(None, Method::GET, "/api/v1/asyncapi.json", None, None)
        .await?
        .expect(StatusCode::OK)?;
    assert_eq!(asyncapi["asyncapi"], "3.0.0");
    let contract = stack.get("/api/v1/contracts/erp.stock_counted/v1").await?;
    assert_eq!(contract["open"], true);
    let path = "/api/v1/contracts/erp.stock_counted/v1/validate";
    let mut event = counted("A-1", 1);
    event["payload"]["counted_quantity"] = (-1).into();
    let verdict = stack.call(Method::POST, path, None, Some(&event)).await?;
    let verdict = verdict.expect(StatusCode::OK)?;
    assert_eq!(verdict["valid"], false);
    assert_eq!(
        verdict["violations"][0]["pointer"],
        "/payload/counted_quantity"
    );
    Ok(())
}

#[tokio::test]
async fn a_page_of_a_named_origin_may_call_api_and_stream_and_no_other_may() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    // As the tests' stack is deployed: TEST_PARAMS in the Makefile.
    let ours = "https://app.example";
    for (base, path) in [
        ("API_URL", "events"),
        ("STREAM_URL", "events/stream?last_event_id=x"),
    ] {
        let url = format!("{}/api/v1/{path}", stack.env(base)?);
        for (origin, allowed) in [(ours, Some(ours)), ("https://evil.example", None)] {
            let asked = reqwest::Client::new()
                .request(Method::OPTIONS, &url)
                .header("origin", origin)
                .header("access-control-request-method", "GET")
                .header("access-control-request-headers", "authorization")
                .send()
                .await?;
            let allow_origin = asked.headers().get("access-control-allow-origin");
            let allow_origin = allow_origin.map(|value| value.to_str()).transpose()?;
            assert_eq!(
                allow_origin,
                allowed,
                "{url} asked by {origin}: {}",
                asked.status()
            );
            let (_, headers, _) =
                get_with(&url, stack.env("API_KEY")?, &[("origin", origin)]).await?;
            let allow_origin = headers.get("access-control-allow-origin");
            let allow_origin = allow_origin.map(|value| value.to_str()).transpose()?;
            assert_eq!(allow_origin, allowed, "{url} called by {origin}");
        }
    }
    Ok(())
}
