//! A consumer is paused while the others go on, stays paused whoever enables its mappings, and misses nothing.

use std::collections::BTreeSet;

use mappings::{Answer, LambdaMappings, Mapping, MappingState, Mappings as _, Polling};
use topology::physical_name;

use super::{
    wallet::{deposit, hold},
    *,
};

/// The consumer that is paused.
pub(super) const CONSUMER: &str = "activity-feed";

/// How many escrows are held before the pause, during it, and after somebody enabled the mappings.
const BEFORE: usize = 3;
const DURING: usize = 8;
const AFTER_OUTSIDE: usize = 5;

/// How long the job may take: it runs once a minute by its schedule, an instance looks every 30 s, and Lambda takes a minute
/// to enable or disable a mapping.
pub(super) const A_PASS: Duration = Duration::from_secs(180);

pub(super) async fn step(stack: &Stack, step: &str, reason: &str) -> Result<Reply> {
    let path = format!("/api/v1/consumers/{CONSUMER}/{step}");
    let (key, who) = (unique("key"), [("X-User-Id", "ada")]);
    let body = json!({ "reason": reason });
    // A consumer that stays paused breaks the stories after it, so what is unavailable is asked for again.
    until("the step is answered", SOON, || async {
        let answer = stack.post_saying(&path, &key, &body, &who).await?;
        Ok((answer.status != StatusCode::SERVICE_UNAVAILABLE).then_some(answer))
    })
    .await
}

async fn mappings_of(stack: &Stack) -> Result<(LambdaMappings, Vec<Mapping>)> {
    let lambda = LambdaMappings::new(stack.sdk());
    let found = lambda.of(&physical_name(stack.name()?, CONSUMER)).await?;
    if found.is_empty() {
        return Err("the consumer has no mapping".into());
    }
    Ok((lambda, found))
}

/// Waits until every mapping of the consumer is in a state. Starts the job every few seconds if asked for; it also runs by its
/// schedule.
pub(super) async fn until_all(stack: &Stack, wanted: MappingState, starting: bool) -> Result {
    let what = format!("the mappings are {wanted:?}");
    let look = async || {
        let (_, found) = mappings_of(stack).await?;
        let are_wanted = found.iter().all(|mapping| mapping.state == wanted);
        Ok(are_wanted.then_some(()))
    };
    if starting {
        until_worked(stack, &what, A_PASS, look).await
    } else {
        until(&what, A_PASS, look).await
    }
}

/// The ids of the events in a user's activity.
pub(super) async fn activity(stack: &Stack, user: &str) -> Result<Vec<String>> {
    let path = format!("/api/v1/wallets/{user}/activity?limit=100");
    let page = stack.get(&path).await?;
    let items = page["items"].as_array().ok_or("no items")?;
    let ids = items.iter().filter_map(|item| item["event_id"].as_str());
    Ok(ids.map(str::to_owned).collect())
}

/// How many messages the consumer's lanes have, received or not.
pub(super) async fn waiting(stack: &Stack) -> Result<usize> {
    let status = stack.get("/api/v1/status").await?;
    let lanes = status["consumers"].as_array().into_iter().flatten();
    let own = lanes.filter(|lane| lane["consumer"] == CONSUMER);
    let depth = own.map(|lane| {
        let number = |name: &str| lane[name].as_u64().unwrap_or_default();
        number("depth") + number("in_flight")
    });
    Ok(usize::try_from(depth.sum::<u64>())?)
}

/// Holds escrows, and waits until every consumer but the paused one has handled the last.
async fn others_go_on(stack: &Stack, user: &str, count: usize) -> Result {
    let mut last = String::new();
    for _ in 0..count {
        last = hold(stack, user, 1.0).await?;
    }
    let held = history(stack, "escrow", &last).await?.remove(0);
    let event_id = held["event_id"].as_str().ok_or("no event_id")?.to_owned();
    until("all other consumers go on", SOON, || async {
        let Some(journey) = journey(stack, &event_id).await? else {
            return Ok(None);
        };
        let consumers = journey["consumers"].as_array().ok_or("no consumers")?;
        let mut others = consumers.iter().filter(|one| one["consumer"] != CONSUMER);
        let are_there = consumers.len() > 1;
        Ok((are_there && others.all(|one| one["state"] == "handled")).then_some(()))
    })
    .await
}

/// Waits until what was held is in the activity or in the lanes, and some of it waits.
async fn lane_fills(stack: &Stack, user: &str, held: usize) -> Result {
    until("the lane keeps what is held", SOON, || async {
        let (handled, waiting) = (activity(stack, user).await?.len(), waiting(stack).await?);
        Ok((waiting > 0 && handled + waiting == held).then_some(()))
    })
    .await
}

async fn paused_story(stack: &Stack, user: &str) -> Result {
    let paused = step(stack, "pause", "it counts twice").await?;
    let paused = paused.expect(StatusCode::OK)?;
    assert_eq!(paused["status"], "paused", "{paused}");
    assert_eq!(paused["applied"], true, "{paused}");
    let again = step(stack, "pause", "it counts twice").await?;
    assert_eq!(again.status, StatusCode::CONFLICT);
    assert_eq!(again.body["allowed"], json!(["running"]));
    until_all(stack, MappingState::Disabled, false).await?;

    others_go_on(stack, user, DURING).await?;
    lane_fills(stack, user, BEFORE + DURING).await?;
    let handled = activity(stack, user).await?.len();
    let shown = stack.get("/api/v1/status").await?;
    let shown = shown["paused"].as_array().into_iter().flatten();
    let shown: Vec<_> = shown.filter(|one| one["consumer"] == CONSUMER).collect();
    assert_eq!(shown.len(), 1, "{shown:?}");
    assert_eq!(shown[0]["reason"], "it counts twice");
    assert_eq!(shown[0]["since"], paused["since"]);
    // It waited before, so that nothing has happened since says something.
    assert_eq!(activity(stack, user).await?.len(), handled);

    // A deployment enables the mappings, and the job disables them again.
    let (lambda, found) = mappings_of(stack).await?;
    for mapping in &found {
        let answer = lambda.set(&mapping.id, Polling::Enabled).await?;
        assert_eq!(answer, Answer::Accepted);
    }
    until_all(stack, MappingState::Disabled, true).await?;
    others_go_on(stack, user, AFTER_OUTSIDE).await?;
    lane_fills(stack, user, BEFORE + DURING + AFTER_OUTSIDE).await
}

#[tokio::test]
async fn a_paused_consumer_stays_paused_while_others_go_on_and_handles_all_of_it_once_afterwards()
-> Result {
    let (_use, stack) = (sole_use().await, Stack::connect().await?);
    let user = new_member(&stack, "Uma").await?;
    deposit(&stack, &user, 100.0).await?;
    for _ in 0..BEFORE {
        hold(&stack, &user, 1.0).await?;
    }
    until("what comes before the pause is handled", SOON, || async {
        Ok((activity(&stack, &user).await?.len() == BEFORE).then_some(()))
    })
    .await?;
    until("no message waits from another story", SOON, || async {
        Ok((waiting(&stack).await? == 0).then_some(()))
    })
    .await?;

    let story = paused_story(&stack, &user).await;
    // Whatever happened: the other stories need the consumer.
    let resumed = step(&stack, "resume", "it is corrected").await?;
    story?;
    let resumed = resumed.expect(StatusCode::OK)?;
    assert_eq!(resumed["status"], "running", "{resumed}");
    until_all(&stack, MappingState::Enabled, true).await?;

    let all = BEFORE + DURING + AFTER_OUTSIDE;
    until("everything is handled", A_PASS, || async {
        let is_handled = activity(&stack, &user).await?.len() >= all;
        Ok((is_handled && waiting(&stack).await? == 0).then_some(()))
    })
    .await?;
    let ids = activity(&stack, &user).await?;
    let each: BTreeSet<&String> = ids.iter().collect();
    assert_eq!((ids.len(), each.len()), (all, all), "each exactly once");

    // Who did it, and why. Earlier runs on the same stack have paused it, too.
    let events = history(&stack, "consumer", CONSUMER).await?;
    let told: Vec<(&str, &str)> = events[events.len().saturating_sub(2)..]
        .iter()
        .map(|event| {
            let reason = event["payload"]["reason"].as_str();
            (
                event["event_type"].as_str().unwrap_or_default(),
                reason.unwrap_or_default(),
            )
        })
        .collect();
    assert_eq!(
        told,
        [
            ("consumer.paused", "it counts twice"),
            ("consumer.resumed", "it is corrected")
        ]
    );
    for event in events.iter().rev().take(2) {
        assert_eq!(event["payload"]["actor"], "ada");
        assert!(event["payload"]["key_owner"].is_string());
    }
    let path = format!("/api/v1/events/witness?aggregate_type=consumer&aggregate_id={CONSUMER}");
    let witness = stack.get(&path).await?;
    assert_eq!(witness["verdict"], "agrees", "{witness}");
    Ok(())
}
