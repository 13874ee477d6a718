//! A rehearsal of the runbook's disaster recovery: what waited in a lane is gone, and rows of a read model are. The audit names
//! what is missing, replays bring it from the event log, and then the audit is clean.

use std::collections::BTreeSet;

use events::Timestamp;
use millrace::audit::{Finding, Kind, Report};
use outbox::{Clock as _, SystemClock};

use super::{
    audit::look_at,
    pause::{A_PASS, CONSUMER, activity, step, until_all, waiting},
    replay::{LONG, REPLAYS, delete, rows},
    wallet::{deposit, hold},
    *,
};

/// How many escrows are held before the lane is lost, and while its messages wait.
const BEFORE: usize = 2;
const LOST: usize = 4;

/// The lane of the consumer.
const LANE: &str = "ActivityFeedExpressQueue";

/// Holds escrows; returns their ids.
async fn held(stack: &Stack, user: &str, count: usize) -> Result<Vec<String>> {
    let mut ids = Vec::new();
    for _ in 0..count {
        ids.push(hold(stack, user, 1.0).await?);
    }
    Ok(ids)
}

/// The audit of escrows.
async fn audit_of(stack: &Stack, escrows: &[String]) -> Result<Report> {
    let scope = escrows.iter().map(|id| ("escrow".to_owned(), id.clone()));
    look_at(stack, scope.collect()).await
}

/// Sends the events since a time to a consumer again, to the end.
async fn replay(stack: &Stack, consumer: &str, from: Timestamp) -> Result {
    let body = json!({
        "consumer": consumer, "from": from, "reason": "the rehearsal of a disaster", "rate_per_second": 50,
    });
    let id = begin_operation(stack, REPLAYS, &body).await?;
    let done = finished(stack, &id, LONG).await?;
    assert_eq!(done["outcome"]["too_old"], Value::Null, "{done}");
    Ok(())
}

/// The disaster: messages wait in the lane of a paused consumer, and are gone.
async fn lose_the_lane(stack: &Stack, user: &str) -> Result<Vec<String>> {
    until_all(stack, mappings::MappingState::Disabled, false).await?;
    let lost = held(stack, user, LOST).await?;
    until("the lane has the events", SOON, || async {
        Ok((waiting(stack).await? >= LOST).then_some(()))
    })
    .await?;
    let client = aws::sqs(stack.sdk());
    let lane = stack.resource(LANE)?;
    client.purge_queue().queue_url(lane).send().await?;
    // Deleting what a queue holds takes up to a minute:
    // <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_PurgeQueue.html>, read 2026-11-30.
    until("the lane is empty", A_PASS, || async {
        Ok((waiting(stack).await? == 0).then_some(()))
    })
    .await?;
    Ok(lost)
}

#[tokio::test]
async fn what_a_lane_and_a_read_model_have_lost_comes_back_from_the_event_log_and_the_audit_is_clean()
-> Result {
    let (_use, stack) = (sole_use().await, Stack::connect().await?);
    let from = SystemClock.now();
    let user = new_member(&stack, "Uma").await?;
    deposit(&stack, &user, 100.0).await?;
    let kept = held(&stack, &user, BEFORE).await?;
    until("what comes before is handled", SOON, || async {
        let handled = activity(&stack, &user).await?.len();
        Ok((handled == BEFORE && waiting(&stack).await? == 0).then_some(()))
    })
    .await?;

    let paused = step(&stack, "pause", "a rehearsal").await?;
    paused.expect(StatusCode::OK)?;
    let lost = lose_the_lane(&stack, &user).await;
    // Also after a failure: the other stories need the consumer.
    let resumed = step(&stack, "resume", "the rehearsal goes on").await?;
    let lost = lost?;
    resumed.expect(StatusCode::OK)?;
    until_all(&stack, mappings::MappingState::Enabled, true).await?;

    // The audit names each event that is lost, and nothing else.
    let report = until("the audit names what is lost", SOON, || async {
        let report = audit_of(&stack, &lost).await?;
        let is_lost =
            |one: &&Finding| one.kind == Kind::Lost && one.consumer.as_deref() == Some(CONSUMER);
        let lost = report.findings.iter().filter(is_lost).count();
        Ok((lost == LOST && report.findings.len() == LOST).then_some(report))
    })
    .await?;
    let named: BTreeSet<_> = report
        .findings
        .iter()
        .filter_map(|one| one.aggregate.clone())
        .collect();
    let expected: BTreeSet<_> = lost.iter().map(|id| format!("escrow/{id}")).collect();
    assert_eq!(named, expected);
    assert!(audit_of(&stack, &kept).await?.clean);

    // The rows of a read model are lost, too.
    let table = Table::domain(stack.resource("WalletTable")?);
    let held_points = json!(BEFORE + LOST);
    let before = until("the balances are there", SOON, || async {
        let rows = rows(&stack, &table, &user).await?;
        let is_last =
            |row: &outbox::Item| row["balance_state"] == "escrow" && row["balance"] == held_points;
        Ok(rows.iter().any(is_last).then_some(rows))
    })
    .await?;
    delete(&stack, &table, &before).await?;
    assert!(rows(&stack, &table, &user).await?.is_empty());

    replay(&stack, CONSUMER, from).await?;
    replay(&stack, "wallet-balances", from).await?;
    until(
        "the read models are what they would have been",
        SOON,
        || async {
            let handled = activity(&stack, &user).await?;
            let each: BTreeSet<&String> = handled.iter().collect();
            let is_back = (handled.len(), each.len()) == (BEFORE + LOST, BEFORE + LOST);
            Ok((is_back && rows(&stack, &table, &user).await? == before).then_some(()))
        },
    )
    .await?;
    let all: Vec<String> = kept.into_iter().chain(lost).collect();
    let report = audit_of(&stack, &all).await?;
    assert!(report.clean, "{report}");
    Ok(())
}
