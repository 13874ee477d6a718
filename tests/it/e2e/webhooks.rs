//! Endpoints outside are sent events: signed, tried again, never to where they must not go, and none delays another.

use std::collections::BTreeMap;

use super::{
    audit::look_at,
    receiver::{Got, Receiver, WEBHOOKS, set_up, shown},
    *,
};

/// The job that sends webhooks.
const SENDER: &str = "WebhookSenderFunction";

/// Starts the job, which otherwise begins within a minute of the first endpoint.
async fn start(stack: &Stack) -> Result {
    stack.signed().start(stack.resource(SENDER)?).await
}

/// The time limit of an attempt.
const ATTEMPT: Duration = Duration::from_secs(15);

/// How often it is tried whether an event goes past the endpoint that hangs. A slow machine may not bring an event to its
/// endpoint within an attempt's time; if the endpoint held the others up, no try would succeed.
const TRIES: usize = 4;

/// What an endpoint is sent: the deposits of a tenant.
fn deposits_of(tenant: &str) -> Value {
    json!({ "tenant_id": tenant, "event_types": ["wallet.deposited"] })
}

/// A deposit of a tenant.
async fn deposit(stack: &Stack, payer: &str, tenant: &str) -> Result {
    let path = format!("/api/v1/wallets/{payer}/deposits");
    let body = json!({ "amount": 1.0, "external_reference": unique("bank") });
    let (key, who) = (unique("key"), [("X-Tenant-Id", tenant)]);
    let done = stack.post_saying(&path, &key, &body, &who).await?;
    done.expect(StatusCode::CREATED)?;
    Ok(())
}

/// Waits until an endpoint has got as many requests.
async fn got(receiver: &Receiver, path: &str, count: usize) -> Result<Vec<Got>> {
    let what = format!("{path} gets {count} requests");
    until(&what, SOON, || async {
        let got = receiver.got(path);
        Ok((got.len() >= count).then_some(got))
    })
    .await
}

#[tokio::test]
async fn endpoints_that_fail_hang_redirect_or_are_gone_get_what_is_theirs_and_delay_no_other()
-> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let (receiver, tenant) = (Receiver::start().await?, unique("tenant"));
    let payer = new_member(&stack, "Payer").await?;
    let mut endpoints = BTreeMap::new();
    for path in ["hang", "ok", "flaky", "busy", "gone", "redirect"] {
        endpoints.insert(
            path,
            set_up(&stack, &receiver.url(path), &deposits_of(&tenant)).await?,
        );
    }
    start(&stack).await?;
    deposit(&stack, &payer, &tenant).await?;
    let events = past_the_hanging_one(&stack, &receiver, &payer, &tenant).await?;
    let ok = got(&receiver, "ok", events).await?;
    for one in &ok {
        let secret = &endpoints["ok"].secret;
        assert!(one.is_signed_by(secret), "{one:?}");
        assert!(!one.is_signed_by(&endpoints["busy"].secret));
        let envelope: Value = serde_json::from_str(&one.body)?;
        assert_eq!(envelope["event_id"], one.id.as_str());
        assert_eq!(envelope["event_type"], "wallet.deposited");
        assert_eq!(envelope["metadata"]["tenant_id"], tenant.as_str());
    }
    // A failure is repeated after 5 s, with the same id; an endpoint that asks for more time gets it.
    for (path, least) in [("flaky", 5), ("busy", 9)] {
        let got = got(&receiver, path, 2 * events).await?;
        for id in got.iter().map(|one| &one.id) {
            let of_id: Vec<&Got> = got.iter().filter(|one| one.id == *id).collect();
            assert_eq!(of_id.len(), 2, "{path}: {got:?}");
            let wait = of_id[1].at.duration_since(of_id[0].at);
            assert!(wait >= Duration::from_secs(least), "{path}: {wait:?}");
        }
    }
    until("the endpoint that is gone is disabled", SOON, || async {
        let gone = shown(&stack, &endpoints["gone"].id).await?;
        Ok((gone["status"] == "disabled").then_some(()))
    })
    .await?;
    let told = history(&stack, "webhook", &endpoints["gone"].id).await?;
    let types: Vec<&str> = told
        .iter()
        .filter_map(|one| one["event_type"].as_str())
        .collect();
    assert_eq!(types, ["webhook.created", "webhook.disabled"]);
    assert_eq!(told[1]["payload"]["reason"], "gone");
    // A redirect is a failure, and is not followed.
    got(&receiver, "redirect", 2).await?;
    assert!(receiver.got("trap").is_empty());
    let redirected = shown(&stack, &endpoints["redirect"].id).await?;
    assert_eq!(
        redirected["progress"]["last_error"], "status 302",
        "{redirected}"
    );
    for endpoint in endpoints.values() {
        remove(&stack, &endpoint.id).await?;
    }
    Ok(())
}

/// Deposits until an event reaches the endpoint `ok` while the one that hangs holds an older one. Returns the number of
/// deposits, with the one before.
async fn past_the_hanging_one(
    stack: &Stack,
    receiver: &Receiver,
    payer: &str,
    tenant: &str,
) -> Result<usize> {
    for tried in 1..=TRIES {
        let held = got(receiver, "hang", tried).await?;
        let held = held.last().ok_or("no request")?.at;
        deposit(stack, payer, tenant).await?;
        let deposits = tried + 1;
        let ok = got(receiver, "ok", deposits).await?;
        if ok.last().is_some_and(|last| last.at < held + ATTEMPT) {
            return Ok(deposits);
        }
    }
    Err("the endpoint that hangs delayed another".into())
}

/// Removes an endpoint, and compares its row with its events.
async fn remove(stack: &Stack, id: &str) -> Result {
    receiver::remove(stack, id).await?;
    let what = format!("a clean audit of the endpoint {id}");
    until(&what, SOON, || async {
        let report = look_at(stack, vec![("webhook".to_owned(), id.to_owned())]).await?;
        Ok((report.clean && report.counts.states == 1).then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_secret_is_rotated_a_delivery_looked_up_and_sent_once_more() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let (receiver, tenant) = (Receiver::start().await?, unique("tenant"));
    let payer = new_member(&stack, "Payer").await?;
    let endpoint = set_up(&stack, &receiver.url("ok"), &deposits_of(&tenant)).await?;
    start(&stack).await?;
    let path = format!("{WEBHOOKS}/{}/rotate", endpoint.id);
    let rotated = post(&stack, &path, &json!({}))
        .await?
        .expect(StatusCode::OK)?;
    let newest = rotated["secret"].as_str().ok_or("no secret")?;
    // The sender may have read the endpoint just before the rotation: what it sends in that turn has the old secret alone.
    let mut sent = 0;
    let first = loop {
        deposit(&stack, &payer, &tenant).await?;
        sent += 1;
        let last = got(&receiver, "ok", sent).await?.remove(sent - 1);
        assert!(
            last.is_signed_by(&endpoint.secret),
            "the secret before is used for a day"
        );
        if last.is_signed_by(newest) {
            break last;
        }
        assert!(sent < TRIES, "the new secret is never used");
    };
    let deliveries = format!("{WEBHOOKS}/{}/deliveries", endpoint.id);
    let logged = until("the delivery is in the log", SOON, || async {
        let page = stack.get(&deliveries).await?;
        let items = page["items"].as_array().ok_or("no items")?;
        let mut of_event = items
            .iter()
            .filter(|one| one["event_id"] == first.id.as_str());
        Ok(of_event.next().cloned())
    })
    .await?;
    assert_eq!(
        (&logged["outcome"], &logged["status"]),
        (&json!("delivered"), &json!(204))
    );
    let path = format!("{WEBHOOKS}/{}/redeliver", endpoint.id);
    let body = json!({ "event_ids": [first.id] });
    let asked = post(&stack, &path, &body).await?;
    assert!(asked.status.is_success(), "{:?}", asked.body);
    let both = until("it is sent once more", SOON, || async {
        let got = receiver.got("ok");
        Ok((got.len() == sent + 1).then(|| got[sent - 1..].to_vec()))
    })
    .await?;
    assert_eq!(both[0].id, both[1].id);
    assert_eq!(both[0].body, both[1].body);
    remove(&stack, &endpoint.id).await
}

#[tokio::test]
async fn an_endpoint_must_not_lead_inside_and_the_refusal_says_nothing_of_the_inside() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    // The tests' stack may call loopback; every other address that is not public stays refused.
    let mut details = Vec::new();
    for url in [
        "https://169.254.169.254/latest/meta-data",
        "https://[fd00:ec2::254]/",
        "https://0xa9fea9fe/",
        "https://10.0.0.1/",
        "https://[::ffff:10.0.0.1]/",
    ] {
        let refused = post(&stack, WEBHOOKS, &json!({ "url": url })).await?;
        assert_eq!(
            refused.status,
            StatusCode::UNPROCESSABLE_ENTITY,
            "{url}: {:?}",
            refused.body
        );
        let violation = &refused.body["violations"][0];
        assert_eq!(violation["pointer"], "/url", "{url}: {:?}", refused.body);
        details.push(violation["message"].to_string());
    }
    details.dedup();
    assert_eq!(details.len(), 1, "{details:?}");
    Ok(())
}
