//! Dead letters as the person on call sees them: many letters are few groups, and an operation sends back what is mended.

use std::collections::BTreeMap;

use events::Timestamp;
use futures::{StreamExt as _, TryStreamExt as _, future::try_join_all, stream};
use local_programs::proxy::{Kind, ProxyControl, Rule, Rules};
use outbox::{Clock as _, SystemClock};
use testkit::bootstraps::Bootstraps;

use super::{
    retries::take_away_writes,
    stream::Feed,
    wallet::{activity, deposit, hold},
    *,
};

const LETTERS: &str = "/api/v1/letters";

/// How many users there are, and how many escrows each of them has: fewer than a page of their activity shows.
const USERS: usize = 12;
const HOLDS: usize = 16;

/// How many letters are of each cause: a thousand together.
const DENIED: usize = USERS * HOLDS;
const INVALID: usize = 400;
const UNKNOWN: usize = 408;

/// The rate of the operation, in letters a second, and how many the job sends at once.
const RATE: usize = 20;
const AT_ONCE: usize = 10;

/// How long an operation over hundreds of letters may take, and the lease of a killed run before it.
const LONG: Duration = Duration::from_secs(400);

/// Holds a user's points, one after the other. Returns the first escrow.
async fn holds(stack: &Stack, user: &str) -> Result<String> {
    deposit(stack, user, 1_000.0).await?;
    let first = hold(stack, user, 1.0).await?;
    for _ in 1..HOLDS {
        hold(stack, user, 1.0).await?;
    }
    Ok(first)
}

/// The groups of a consumer's letters that were parked at a time or later, by reason.
async fn groups(
    stack: &Stack,
    consumer: &str,
    since: Timestamp,
) -> Result<BTreeMap<String, Value>> {
    let path = format!("{LETTERS}/groups?consumer={consumer}&from={since}");
    let answer = stack.get(&path).await?;
    let mut groups = BTreeMap::new();
    for group in answer["items"].as_array().into_iter().flatten() {
        let reason = group["reason"].as_str().ok_or("a group without a reason")?;
        if let Some(other) = groups.insert(reason.to_owned(), group.clone()) {
            return Err(format!("one cause came to two groups: {other} and {group}").into());
        }
    }
    Ok(groups)
}

/// The letters of a group in any state.
async fn letters_of(stack: &Stack, signature: &Value, state: &str) -> Result<Vec<Value>> {
    let signature = signature.as_str().ok_or("no signature")?;
    let (mut letters, mut cursor) = (Vec::new(), String::new());
    loop {
        let path = format!("{LETTERS}?signature={signature}&state={state}&limit=100{cursor}");
        let page = stack.get(&path).await?;
        letters.extend(page["items"].as_array().cloned().unwrap_or_default());
        let Some(next) = page["next_cursor"].as_str() else {
            return Ok(letters);
        };
        cursor = format!("&cursor={next}");
    }
}

async fn operation(stack: &Stack, id: &str) -> Result<Value> {
    stack.get(&format!("{OPERATIONS}/{id}")).await
}

/// Copies of an event that its consumer cannot accept, into its lane.
#[expect(
    clippy::disallowed_methods,
    reason = "fails if the response lists an entry as failed"
)]
async fn send_copies(
    stack: &Stack,
    queue: &str,
    event: &Value,
    count: usize,
    spoil: impl Fn(&mut Value),
) -> Result {
    let url = stack.resource(queue)?;
    let client = aws_sdk_sqs::Client::new(stack.sdk());
    let bodies: Vec<String> = (0..count)
        .map(|_| {
            let mut copy = event.clone();
            let id = uuid::Uuid::now_v7().to_string();
            // A fact of its own, too: of a copy of a fact, the consumer's mark would say that it is handled.
            copy["idempotency_key"] = json!(format!("test/{id}"));
            copy["event_id"] = json!(id);
            spoil(&mut copy);
            copy.to_string()
        })
        .collect();
    for some in bodies.chunks(10) {
        let mut batch = client.send_message_batch().queue_url(url);
        for (place, body) in some.iter().enumerate() {
            let entry = aws_sdk_sqs::types::SendMessageBatchRequestEntry::builder();
            batch = batch.entries(entry.id(place.to_string()).message_body(body).build()?);
        }
        let sent = batch.send().await?;
        if !sent.failed().is_empty() {
            return Err("a copy was not sent".into());
        }
    }
    Ok(())
}

/// The most times in any second.
fn most_in_a_second(times: &[Timestamp]) -> usize {
    let mut times: Vec<i64> = times.iter().map(|at| at.unix_millis()).collect();
    times.sort_unstable();
    let within = |from: &i64| {
        times
            .iter()
            .filter(|at| (*from..from + 1_000).contains(*at))
            .count()
    };
    times.iter().map(within).max().unwrap_or_default()
}

/// Kills the job while it sends.
async fn kill_while_it_sends(stack: &Stack, proxy: &ProxyControl, id: &str) -> Result {
    let bootstraps = Bootstraps::of_group(stack.env("MILLRACE_LOCAL_AWS_GROUP")?.parse()?);
    let slow = Rule::on("sqs", "SendMessage", [(Kind::Delay, 1.0)]).delayed_by(250, 250);
    let rules = Rules {
        seed: 1,
        rules: vec![slow],
    };
    proxy.set_rules(&rules).await?;
    stack
        .signed()
        .start(stack.resource(OPERATOR_WORKER)?)
        .await?;
    let killed = until("the job is killed while it sends", LONG, || async {
        let sent = operation(stack, id).await?["progress"]["counts"]["redriven"].as_u64();
        if sent.unwrap_or_default() < 20 {
            return Ok(None);
        }
        for call in proxy.in_flight().await? {
            if call.operation == "sqs.SendMessage"
                && let Some(one) = bootstraps.holding(call.peer)
                && bootstraps.kill(&one).await?
            {
                return Ok(Some(()));
            }
        }
        Ok(None)
    })
    .await;
    proxy.set_rules(&Rules::calm()).await?;
    killed
}

#[tokio::test]
async fn a_thousand_letters_are_three_groups_and_what_is_mended_is_handled_once_each() -> Result {
    let (_use, stack) = (sole_use().await, Stack::connect().await?);
    let proxy = ProxyControl::new(stack.env("MILLRACE_FAULT_PROXY")?);
    let since = SystemClock.now();
    // Each user's holds come one after the other: at once they would contend for one wallet.
    let users: Vec<String> = stream::iter(0..USERS)
        .then(|_| new_member(&stack, "Uma"))
        .try_collect()
        .await?;
    // The first cause: the consumer may not write.
    let taken = take_away_writes(&stack, "ActivityFeedFunctionRole").await?;
    let broken = async {
        let holds = users.iter().map(|user| holds(&stack, user));
        let holds = try_join_all(holds).await?;
        let first = holds.first().ok_or("no escrow")?;
        let held = history(&stack, "escrow", first).await?.remove(0);
        let queue = "ActivityFeedExpressQueue";
        send_copies(&stack, queue, &held, INVALID, |copy| {
            copy["payload"]["amount"] = json!(-1);
        })
        .await?;
        send_copies(&stack, queue, &held, UNKNOWN, |copy| {
            copy["event_version"] = json!("v9");
        })
        .await?;
        until("a thousand letters in three groups", LONG, || async {
            let groups = groups(&stack, "activity-feed", since).await?;
            let counts: Vec<u64> = groups
                .values()
                .filter_map(|one| one["count"].as_u64())
                .collect();
            let all: u64 = counts.iter().sum();
            Ok((usize::try_from(all)? >= DENIED + INVALID + UNKNOWN).then_some(groups))
        })
        .await
    }
    .await;
    taken.give_back(&stack).await?;
    let groups_seen = broken?;
    let seen: Vec<(&str, &Value)> = groups_seen
        .iter()
        .map(|(reason, group)| (reason.as_str(), &group["count"]))
        .collect();
    assert_eq!(
        seen,
        [
            ("invalid", &json!(INVALID)),
            ("retries_exhausted", &json!(DENIED)),
            ("unknown_version", &json!(UNKNOWN)),
        ]
    );
    let mended = &groups_seen["retries_exhausted"]["signature_id"];
    note_is_shown(&stack, mended, since).await?;

    // The cause is mended: one group is sent back, slowly enough to watch, and the job dies in the middle.
    let filter = json!({ "consumer": "activity-feed", "signature": mended });
    let request = json!({
        "act": "redrive", "filter": filter, "reason": "the permission is back", "rate_per_second": RATE,
        "cap": DENIED, "canary": true
    });
    let mut preview = request.clone();
    preview["preview"] = json!(true);
    let previewed = post(&stack, OPERATIONS, &preview)
        .await?
        .expect(StatusCode::OK)?;
    assert_eq!(previewed["count"], json!(DENIED));
    assert_eq!(previewed["sample"].as_array().map(Vec::len), Some(5));
    let id = begin_operation(&stack, OPERATIONS, &request).await?;
    kill_while_it_sends(&stack, &proxy, &id).await?;
    // A second operation over the same letters names the first.
    let second = post(&stack, OPERATIONS, &request).await?;
    let second = second.expect(StatusCode::CONFLICT)?;
    assert_eq!(second["operation_id"], json!(id));
    let done = finished(&stack, &id, LONG).await?;
    let outcome = &done["outcome"];
    assert_eq!(outcome["handled"], json!(DENIED), "{done}");
    assert_eq!(outcome["failed_again"], json!(0), "{done}");
    handled_once_each(&stack, &users, mended).await?;
    told_by_events(&stack, &id).await?;

    // The other causes cannot be mended: their letters are discarded, and say why.
    for (reason, count) in [("invalid", INVALID), ("unknown_version", UNKNOWN)] {
        let signature = &groups_seen[reason]["signature_id"];
        let body = json!({
            "act": "discard", "filter": { "consumer": "activity-feed", "signature": signature },
            "reason": "made by a test"
        });
        let id = begin_operation(&stack, OPERATIONS, &body).await?;
        let done = finished(&stack, &id, LONG).await?;
        assert_eq!(done["outcome"]["discarded"], json!(count), "{done}");
        let letters = letters_of(&stack, signature, "discarded").await?;
        assert_eq!(letters.len(), count);
        assert!(
            letters
                .iter()
                .all(|one| one["closed_reason"] == "made by a test")
        );
    }
    assert!(groups(&stack, "activity-feed", since).await?.is_empty());
    Ok(())
}

async fn note_is_shown(stack: &Stack, signature: &Value, since: Timestamp) -> Result {
    let path = format!(
        "{LETTERS}/groups/{}/note",
        signature.as_str().unwrap_or_default()
    );
    let note = json!({ "note": "the role lost a permission" });
    post(stack, &path, &note).await?.expect(StatusCode::OK)?;
    let groups = groups(stack, "activity-feed", since).await?;
    let shown = &groups["retries_exhausted"]["note"]["note"];
    assert_eq!(shown, &note["note"]);
    Ok(())
}

/// Each escrow has one entry in its user's activity, each letter was closed once, and the rate was kept.
async fn handled_once_each(stack: &Stack, users: &[String], signature: &Value) -> Result {
    for user in users {
        activity(stack, user, HOLDS).await?;
    }
    let letters = letters_of(stack, signature, "handled").await?;
    assert_eq!(letters.len(), DENIED);
    let mut sent = Vec::new();
    for letter in &letters {
        let history = letter["history"].as_array().cloned().unwrap_or_default();
        let times = |what: &str| history.iter().filter(|entry| entry["what"] == what).count();
        assert_eq!((times("parked"), times("handled")), (1, 1), "{letter}");
        sent.push(letter["sent_at"].as_str().ok_or("not sent")?.parse()?);
    }
    let most = most_in_a_second(&sent);
    assert!(most <= RATE + AT_ONCE, "{most} letters in a second");
    Ok(())
}

/// The operation's events say who did what and how it ended, and the audit log has them.
async fn told_by_events(stack: &Stack, id: &str) -> Result {
    let events = history(stack, "operation", id).await?;
    let types: Vec<&str> = events
        .iter()
        .filter_map(|event| event["event_type"].as_str())
        .collect();
    assert_eq!(types, ["operation.begun", "operation.finished"]);
    assert_eq!(events[0]["payload"]["reason"], "the permission is back");
    assert_eq!(events[0]["payload"]["count"], json!(DENIED));
    assert!(events[0]["payload"]["key_owner"].is_string());
    assert_eq!(events[1]["payload"]["outcome"]["handled"], json!(DENIED));
    for event in &events {
        let path = format!(
            "/api/v1/events/{}/journey",
            event["event_id"].as_str().unwrap_or_default()
        );
        until("the audit log has the operation's event", SOON, || async {
            let journey = stack.get(&path).await?;
            let consumers = journey["consumers"].as_array().cloned().unwrap_or_default();
            let of_log = consumers.iter().find(|one| one["consumer"] == "audit-log");
            Ok(of_log
                .is_some_and(|one| one["state"] == "handled")
                .then_some(()))
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_consumer_that_keeps_an_order_goes_on_from_the_letter_through_what_waited() -> Result {
    let (_use, stack) = (sole_use().await, Stack::connect().await?);
    let feed = Feed::of(&stack)?;
    let since = SystemClock.now();
    let user = new_member(&stack, "Olga").await?;
    let first = history(&stack, "member", &user).await?;
    feed.until_fed(0, &first).await?;
    let from = feed.head().await?;
    let taken = take_away_writes(&stack, "EventFeedFunctionRole").await?;
    let broken = async {
        for name in ["Ana", "Bea", "Cleo"] {
            let path = format!("/api/v1/members/{user}");
            let body = json!({ "name": name });
            stack
                .call(Method::PATCH, &path, Some(&unique("key")), Some(&body))
                .await?
                .expect(StatusCode::OK)?;
        }
        let events = history(&stack, "member", &user).await?;
        let blocked = events[1]["event_id"]
            .as_str()
            .unwrap_or_default()
            .to_owned();
        letter(&stack, "event-feed", |letter| {
            letter.attributes.get("event_id") == Some(&blocked)
        })
        .await?;
        Ok::<_, BoxError>(events)
    }
    .await;
    taken.give_back(&stack).await?;
    let events = broken?;
    let filter = json!({ "consumer": "event-feed", "from": since });
    let body = json!({ "act": "redrive", "filter": filter, "reason": "the permission is back" });
    let id = begin_operation(&stack, OPERATIONS, &body).await?;
    let done = finished(&stack, &id, LONG).await?;
    assert_eq!(done["outcome"]["failed_again"], json!(0), "{done}");
    let rows = feed.until_fed(from, &events[1..]).await?;
    let of_user: Vec<u64> = rows
        .iter()
        .filter_map(|row| serde_json::from_str::<Value>(&row.envelope).ok())
        .filter(|event| event["aggregate_id"] == json!(user))
        .filter_map(|event| event["sequence"].as_u64())
        .collect();
    assert_eq!(of_user, [2, 3, 4]);
    let open = groups(&stack, "event-feed", since).await?;
    assert!(open.is_empty(), "{open:?}");
    Ok(())
}
