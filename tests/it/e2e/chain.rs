//! The chain behind the books: movements are looked for on it, and divergences are reported. The stack's chain is a
//! node on the loopback address. It mirrors the books, except for holders whose balance a story sets.

use aws::DynamoStore;
use cloud::chain::{ChainAccount, Job, Status};
use consumer::schedule::{self, Ending};
use events::{MemberId, Registry};
use local_programs::chain_node::{NodeControl, NodeFault};
use outbox::{Outbox, Query, SystemClock, Table};
use std::sync::Arc;

use super::*;

const WORKER: &str = "CloudChainWorkerFunction";
const RECONCILE: &str = "CloudReconcileFunction";

fn node(stack: &Stack) -> Result<NodeControl> {
    Ok(NodeControl::new(stack.env("MILLRACE_LOCAL_CHAIN")?))
}

fn store(stack: &Stack) -> DynamoStore {
    DynamoStore::new(aws_sdk_dynamodb::Client::new(stack.sdk()))
}

/// The stack's tables, read as the functions read them.
fn outbox(stack: &Stack) -> Result<Outbox> {
    Ok(Outbox::new(
        Arc::new(store(stack)),
        Arc::new(SystemClock),
        Arc::new(Registry::shipped()),
        Table::events(stack.resource("EventsTable")?),
        Table::marks(stack.resource("MarksTable")?),
    ))
}

fn cloud_table(stack: &Stack) -> Result<Table> {
    Ok(Table::domain(stack.resource("CloudTable")?))
}

/// A member with an address of their own on the chain.
async fn member_on_chain(stack: &Stack, name: &str) -> Result<(String, String)> {
    let id = unique(&name.to_lowercase());
    let bytes = uuid::Uuid::new_v4().simple().to_string();
    let address = format!("0xAbCdEf01{bytes}");
    let body = json!({
        "member_id": id, "name": name, "email": format!("{id}@example.com"), "ethereum_address": address,
    });
    post(stack, "/api/v1/members", &body)
        .await?
        .expect(StatusCode::CREATED)?;
    Ok((id, address))
}

/// Whole credits, in the token's smallest units.
fn units(credits: u64) -> String {
    format!("{credits}{}", "0".repeat(18))
}

/// Starts a run and waits until one has completed the pass. The schedule may have another run in progress.
async fn run(stack: &Stack, function: &str) -> Result<Value> {
    let name = stack.resource(function)?;
    until(&format!("a run of {function}"), SOON, || async {
        let answer = stack.signed().invoke(name, &json!({})).await?;
        Ok((answer["outcome"] == "finished").then_some(answer))
    })
    .await
}

async fn jobs(stack: &Stack, member: &str) -> Result<Vec<Job>> {
    let query = Query::partition(&cloud_table(stack)?, format!("chain_job#{member}"), 100);
    Ok(outbox(stack)?.rows(&query).await?.0)
}

async fn record(stack: &Stack, member: &str) -> Result<Option<ChainAccount>> {
    let entity = outbox(stack)?
        .load::<ChainAccount>(&cloud_table(stack)?, member)
        .await?;
    Ok(entity.state().cloned())
}

/// Waits until a member has this many jobs with this status, and keeps starting runs.
async fn jobs_become(stack: &Stack, member: &str, count: usize, status: Status) -> Result {
    until(
        &format!("{count} jobs of {member} become {status:?}"),
        SOON,
        || async {
            run(stack, WORKER).await?;
            let jobs = jobs(stack, member).await?;
            if jobs.len() > count {
                return Err(format!("{} jobs of {member}: {jobs:?}", jobs.len()).into());
            }
            let there = jobs.iter().filter(|job| job.status == status).count();
            Ok((there == count).then_some(()))
        },
    )
    .await
}

#[tokio::test]
async fn every_movement_is_found_on_the_chain() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let (ada, _) = member_on_chain(&stack, "Ada").await?;
    let (grace, _) = member_on_chain(&stack, "Grace").await?;
    let without = new_member(&stack, "Bob").await?;
    mint(&stack, &ada, 100.0).await?;
    mint(&stack, &without, 7.0).await?;
    for to in [&grace, &without] {
        let body = json!({ "from_member_id": ada, "to_member_id": to, "amount": 20.5 });
        post(&stack, "/api/v1/cloud/transfers", &body)
            .await?
            .expect(StatusCode::CREATED)?;
    }
    let body = json!({ "member_id": grace, "amount": 0.25, "reason": "spent" });
    post(&stack, "/api/v1/cloud/burns", &body)
        .await?
        .expect(StatusCode::CREATED)?;
    let version = usage::rate_card(&stack, &ada, &grace, "2020-01-01").await?;
    let body = json!({
        "member_id": ada, "primitive": "compute", "quantity": 3, "unit": "compute-hour",
        "service_name": "habitat-api", "period_id": "q1-2026", "rate_card_version": version,
    });
    let redeemed = post(&stack, "/api/v1/cloud/redemptions", &body)
        .await?
        .expect(StatusCode::CREATED)?;

    jobs_become(&stack, &ada, 4, Status::Confirmed).await?;
    jobs_become(&stack, &grace, 2, Status::Confirmed).await?;
    let of_ada = jobs(&stack, &ada).await?;
    let mut types: Vec<&str> = of_ada.iter().map(|job| job.event_type.as_str()).collect();
    types.sort_unstable();
    assert_eq!(
        types,
        [
            "cloud.minted",
            "cloud.redeemed",
            "cloud.transferred",
            "cloud.transferred"
        ]
    );
    let redemption = of_ada
        .iter()
        .find(|job| job.event_type.as_str() == "cloud.redeemed")
        .ok_or("no job of the redemption")?;
    assert_eq!(redeemed["event_id"], json!(redemption.event_id));
    assert!(jobs(&stack, &without).await?.is_empty());
    for member in [&ada, &grace] {
        let record = record(&stack, member).await?.ok_or("no record")?;
        assert!(record.last_synced_at.is_some());
    }
    Ok(())
}

#[tokio::test]
async fn a_chain_that_lags_behind_is_waited_for_and_its_nonsense_is_not_believed() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let (node, (ada, address)) = (node(&stack)?, member_on_chain(&stack, "Ada").await?);
    node.set_balance(&address, &units(1)).await?;
    mint(&stack, &ada, 50.0).await?;
    jobs_become(&stack, &ada, 1, Status::Submitted).await?;
    for fault in [
        NodeFault::Malformed,
        NodeFault::WrongId,
        NodeFault::Result(json!("0x2")),
        NodeFault::Status(503),
        NodeFault::Cut,
    ] {
        node.fail(Some(&address), &fault).await?;
        // The same run judges jobs of other stories. It must not fail because of this story's address, but the call may
        // fail.
        if let Ok(report) = run(&stack, WORKER).await {
            let notes = report["notes"].to_string();
            assert!(notes.contains(&ada), "{fault:?}: {report}");
        }
        assert_eq!(jobs(&stack, &ada).await?[0].status, Status::Submitted);
    }
    node.mend(Some(&address)).await?;
    node.set_balance(&address, &units(50)).await?;
    jobs_become(&stack, &ada, 1, Status::Confirmed).await
}

/// An admin who has turned all notices off. They are still notified of problems.
async fn silent_admin(stack: &Stack) -> Result<String> {
    let admin = unique("admin");
    let body = json!({
        "member_id": admin, "name": "Eve", "email": format!("{admin}@example.com"), "role": "admin",
        "notification_preferences": { "email_enabled": false, "in_app_enabled": false },
    });
    post(stack, "/api/v1/members", &body)
        .await?
        .expect(StatusCode::CREATED)?;
    // An admin whose contact has not arrived would not be among the recipients.
    let table = Table::domain(stack.resource("NotificationsTable")?);
    let contact = views::contacts::key(&table, &MemberId::new(admin.as_str())?);
    let outbox = outbox(stack)?;
    until("the admin's contact", SOON, || async {
        Ok(outbox.row::<views::contacts::Contact>(&contact).await?)
    })
    .await?;
    Ok(admin)
}

/// Waits until an admin has exactly this many mails about a member.
async fn mails_about(
    stack: &Stack,
    admin: &str,
    member: &str,
    count: usize,
) -> Result<Vec<SentMail>> {
    until("the admin's mail", SOON, || async {
        let mut mails = mails_to(stack, admin).await?;
        mails.retain(|mail| mail.text.contains(member));
        Ok((mails.len() == count).then_some(mails))
    })
    .await
}

/// Waits until this many divergences of a member are counted.
async fn counted(stack: &Stack, member: &str, count: u64) -> Result {
    let path = format!("/api/v1/analytics/events?type=cloud.sync_diverged&member_id={member}");
    until("the divergence is counted", SOON, || async {
        let body = stack.get(&path).await?;
        let items = body["items"].as_array().ok_or("no items")?;
        let sum: u64 = items.iter().filter_map(|item| item["count"].as_u64()).sum();
        Ok((sum == count).then_some(()))
    })
    .await
}

#[tokio::test]
async fn a_balance_that_cannot_be_read_is_named_and_everybody_else_is_compared() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let (node, (ada, address)) = (node(&stack)?, member_on_chain(&stack, "Ada").await?);
    let (grace, _) = member_on_chain(&stack, "Grace").await?;
    for member in [&ada, &grace] {
        mint(&stack, member, 30.0).await?;
        jobs_become(&stack, member, 1, Status::Confirmed).await?;
    }
    let synced = async || {
        let record = record(&stack, &grace).await?.ok_or("no record")?;
        Ok::<_, BoxError>(record.last_synced_at)
    };
    let before = synced().await?;
    node.fail(Some(&address), &NodeFault::Malformed).await?;
    let report = run(&stack, RECONCILE).await?;
    node.mend(Some(&address)).await?;
    let notes = report["notes"].to_string();
    assert!(
        notes.contains(&format!("balance of {ada} not read")),
        "{report}"
    );
    assert!(!notes.contains(&grace), "{report}");
    assert!(report["counts"]["unread"].as_u64() >= Some(1), "{report}");
    assert!(synced().await? > before);
    assert_eq!(history(&stack, "chain_account", &ada).await?.len(), 0);
    Ok(())
}

#[tokio::test]
async fn a_divergence_is_told_once_and_again_only_after_it_ended() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let (node, (ada, address)) = (node(&stack)?, member_on_chain(&stack, "Ada").await?);
    let admin = silent_admin(&stack).await?;
    mint(&stack, &ada, 100.0).await?;
    jobs_become(&stack, &ada, 1, Status::Confirmed).await?;
    let divergences = || async { history(&stack, "chain_account", &ada).await };

    node.set_balance(&address, &units(40)).await?;
    // While the money may be in flight, there is no notice; then there is exactly one.
    let events = until("the divergence is reported", SOON, || async {
        run(&stack, RECONCILE).await?;
        let events = divergences().await?;
        Ok((!events.is_empty()).then_some(events))
    })
    .await?;
    for _ in 0..3 {
        run(&stack, RECONCILE).await?;
    }
    node.set_balance(&address, &units(39)).await?;
    run(&stack, RECONCILE).await?;
    assert_eq!(divergences().await?.len(), 1);
    let payload = &events[0]["payload"];
    assert_eq!(events[0]["event_type"], "cloud.sync_diverged");
    assert_eq!(payload["member_name"], "Ada");
    assert_eq!(payload["database_balance"], json!(100));
    assert_eq!(payload["onchain_balance"], "40");
    assert_eq!(payload["difference"], "60");
    assert_eq!(payload["difference_usd"], "600.00");
    assert!(payload["last_synced_at"].is_string());
    let mails = mails_about(&stack, &admin, &ada, 1).await?;
    assert_eq!(mails[0].subject, "$CLOUD Balance Sync Diverged");
    for line in ["- Books: 100 CLOUD", "- Chain: 40 CLOUD"] {
        assert!(mails[0].text.contains(line), "{}", mails[0].text);
    }
    assert!(!mails[0].text.contains("- Last in agreement: never"));
    assert!(mails[0].html.contains("/admin/cloud/reconciliation"));
    counted(&stack, &ada, 1).await?;

    // The divergence ends when books and chain agree again. The next one is a new divergence.
    node.forget_balance(&address).await?;
    run(&stack, RECONCILE).await?;
    assert_eq!(
        record(&stack, &ada).await?.ok_or("no record")?.divergence,
        None
    );
    node.set_balance(&address, &units(100_000)).await?;
    run(&stack, RECONCILE).await?;
    assert_eq!(divergences().await?.len(), 2);
    mails_about(&stack, &admin, &ada, 2).await?;
    counted(&stack, &ada, 2).await?;
    assert_eq!(notes(&stack, &admin).await?, Vec::<Value>::new());
    node.forget_balance(&address).await?;
    run(&stack, RECONCILE).await?;
    let id = MemberId::new(ada.as_str())?;
    assert!(
        record(&stack, id.as_str())
            .await?
            .ok_or("none")?
            .divergence
            .is_none()
    );
    Ok(())
}

#[tokio::test]
async fn a_node_that_is_down_fails_the_run_loses_nothing_and_the_schedule_comes_again() -> Result {
    let (_use, stack) = (sole_use().await, Stack::connect().await?);
    let (node, (ada, _)) = (node(&stack)?, member_on_chain(&stack, "Ada").await?);
    let (store, marks) = (store(&stack), Table::marks(stack.resource("MarksTable")?));
    mint(&stack, &ada, 5.0).await?;
    until("the job is queued", SOON, || async {
        Ok((jobs(&stack, &ada).await?.len() == 1).then_some(()))
    })
    .await?;
    let worker = stack.resource(WORKER)?;
    for fault in [
        NodeFault::Status(500),
        NodeFault::Status(429),
        NodeFault::Hangs,
        NodeFault::Error {
            code: -32_000,
            message: "header not found".to_owned(),
        },
    ] {
        node.fail(None, &fault).await?;
        let failed = until("a run meets the fault", SOON, || async {
            match stack.signed().invoke(worker, &json!({})).await {
                Ok(report) if report["outcome"] == "busy" => Ok(None),
                // The scheduled run may have confirmed the job before the fault was set.
                Ok(report) if report["counts"] == json!({}) => Ok(Some(report.to_string())),
                Ok(report) => Err(format!("{fault:?} was not noticed: {report}").into()),
                Err(error) => Ok(Some(error.to_string())),
            }
        })
        .await?;
        let job = jobs(&stack, &ada).await?.remove(0);
        assert!(
            job.status == Status::Confirmed || failed.contains("cloud-chain-worker"),
            "{fault:?}: {failed}"
        );
        let runs = schedule::runs(&store, &marks, "cloud-chain-worker", 5).await?;
        if job.status != Status::Confirmed {
            let error = runs
                .iter()
                .find(|run| run.outcome == Some(Ending::Failed))
                .and_then(|run| run.error.clone());
            assert!(error.is_some(), "{fault:?}: {runs:?}");
        }
    }
    node.mend(None).await?;
    let before = schedule::lease(&store, &marks, "cloud-chain-worker")
        .await?
        .ok_or("never ran")?;
    let first = jobs(&stack, &ada).await?.remove(0).transaction_id;
    // A run with nothing to do takes no lease, and the first job may be confirmed by now.
    mint(&stack, &ada, 5.0).await?;
    // No one else starts the job: stories that start it wait for this one.
    until("the schedule starts a run by itself", 2 * SOON, || async {
        let lease = schedule::lease(&store, &marks, "cloud-chain-worker").await?;
        Ok(lease.filter(|lease| lease.fence > before.fence && !lease.unfinished))
    })
    .await?;
    let all = jobs(&stack, &ada).await?;
    let first = all.iter().find(|job| job.transaction_id == first);
    assert_eq!(first.map(|job| job.status), Some(Status::Confirmed));
    Ok(())
}
