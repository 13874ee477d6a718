//! The conservation audit of the deployed stack: it is clean after traffic and names each thing that is then damaged.
//! Other stories run on the same stack and park dead letters of their own, so it audits only the accounts of this
//! story.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use cloud_treasury::handler::Treasury;
use consumer::Handler;
use events::Envelope;
use millrace::audit::{Finding, Kind, Options, Report, Sources, audit};
use outbox::{Mark, Table};

use super::*;

/// Audits the aggregates of these members, or the whole stack if there are none.
pub(super) async fn look(stack: &Stack, members: &[&str]) -> Result<Report> {
    let of_member =
        |id: &&str| ["member", "cloud_account"].map(|kind| (kind.to_owned(), (*id).to_owned()));
    look_at(stack, members.iter().flat_map(of_member).collect()).await
}

/// Audits these aggregates, given as (type, id).
pub(crate) async fn look_at(stack: &Stack, scope: Vec<(String, String)>) -> Result<Report> {
    let sources = Sources::of_stack(stack.sdk(), stack.name()?).await?;
    let options = Options {
        settled: true,
        // What these stories damage is as young as the stack.
        start_up: Duration::ZERO,
        items_per_second: 10_000,
        scope,
        ..Options::default()
    };
    Ok(audit(&sources, &options, &mut |_| {}).await?)
}

/// Audits until everything that was started has completed.
pub(super) async fn until_clean(stack: &Stack, members: &[&str]) -> Result<Report> {
    until("a clean audit", SOON, || async {
        let report = look(stack, members).await?;
        Ok(report.clean.then_some(report))
    })
    .await
}

/// Audits until the planted damage is found: this one finding, and no other.
pub(super) async fn until_found(
    stack: &Stack,
    members: &[&str],
    kind: Kind,
    event_id: &str,
) -> Result<Finding> {
    until(
        &format!("an audit that finds {kind} {event_id}"),
        SOON,
        || async {
            let report = look(stack, members).await?;
            Ok(match report.findings.as_slice() {
                [one] if one.kind == kind && one.event_id.as_deref() == Some(event_id) => {
                    Some(one.clone())
                }
                _ => None,
            })
        },
    )
    .await
}

fn text(value: &str) -> AttributeValue {
    AttributeValue::S(value.to_owned())
}

/// What damages rows, as a mistake would.
pub(super) struct Hands<'a> {
    stack: &'a Stack,
    dynamodb: aws_sdk_dynamodb::Client,
}

impl<'a> Hands<'a> {
    pub(super) fn new(stack: &'a Stack) -> Self {
        Self {
            stack,
            dynamodb: aws_sdk_dynamodb::Client::new(stack.sdk()),
        }
    }

    /// Removes an event's mark, or puts it back.
    async fn mark(
        &self,
        event: &Value,
        there: Option<&HashMap<String, AttributeValue>>,
    ) -> Result<HashMap<String, AttributeValue>> {
        let table = self.stack.resource("MarksTable")?;
        if let Some(item) = there {
            self.dynamodb
                .put_item()
                .table_name(table)
                .set_item(Some(item.clone()))
                .send()
                .await?;
            return Ok(item.clone());
        }
        let envelope: Envelope = serde_json::from_value(event.clone())?;
        let key = Mark::event(Treasury::NAME, &envelope).key(&Table::marks(table))?;
        let deleted = self
            .dynamodb
            .delete_item()
            .table_name(table)
            .key("mark", text(&key.pk))
            .return_values(aws_sdk_dynamodb::types::ReturnValue::AllOld)
            .send()
            .await?;
        Ok(deleted.attributes.ok_or("there was no such mark")?)
    }

    /// Removes or sets an event's `published_at`.
    pub(super) async fn published_at(&self, event: &Value, moment: Option<&str>) -> Result {
        let aggregate = format!(
            "{}#{}",
            event["aggregate_type"].as_str().unwrap_or_default(),
            event["aggregate_id"].as_str().unwrap_or_default()
        );
        let call = self
            .dynamodb
            .update_item()
            .table_name(self.stack.resource("EventsTable")?)
            .key("aggregate", text(&aggregate))
            .key("sequence", AttributeValue::N(event["sequence"].to_string()));
        let call = match moment {
            Some(moment) => call
                .update_expression("SET published_at = :at")
                .expression_attribute_values(":at", text(moment)),
            None => call.update_expression("REMOVE published_at"),
        };
        call.send().await?;
        Ok(())
    }

    async fn add_to_balance(&self, member: &str, amount: &str) -> Result {
        self.dynamodb
            .update_item()
            .table_name(self.stack.resource("CloudTable")?)
            .key("pk", text(&format!("cloud_account#{member}")))
            .key("sk", text("state"))
            .update_expression("ADD balance :amount")
            .expression_attribute_values(":amount", AttributeValue::N(amount.to_owned()))
            .send()
            .await?;
        Ok(())
    }
}

#[tokio::test]
async fn an_audit_is_clean_after_traffic_and_names_what_is_lost_stuck_doubled_or_parked() -> Result
{
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let hands = Hands::new(&stack);
    let (ada, bob) = (
        new_member(&stack, "Ada").await?,
        new_member(&stack, "Bob").await?,
    );
    let members = [ada.as_str(), bob.as_str()];
    mint(&stack, &ada, 70.5).await?;
    mint(&stack, &ada, 11.25).await?;
    let body = json!({ "from_member_id": ada, "to_member_id": bob, "amount": 20 });
    post(&stack, "/api/v1/cloud/transfers", &body)
        .await?
        .expect(StatusCode::CREATED)?;
    let body = json!({ "member_id": bob, "amount": 5, "reason": "refund" });
    post(&stack, "/api/v1/cloud/burns", &body)
        .await?
        .expect(StatusCode::CREATED)?;

    let clean = until_clean(&stack, &members).await?;
    // Two registrations, two mints, a transfer and a burn, each handled by every consumer that subscribes to it.
    assert_eq!(
        (
            clean.counts.events,
            clean.counts.pending,
            clean.counts.handled
        ),
        (6, 0, 33)
    );
    assert_eq!(
        (
            clean.count("cloud", "statement_lines"),
            clean.count("notifications", "notes")
        ),
        (Some(5), Some(5))
    );

    let events = history(&stack, "cloud_account", &ada).await?;
    let (first, second) = (&events[0], &events[1]);
    let id = |event: &Value| event["event_id"].as_str().unwrap_or_default().to_owned();

    let mark = hands.mark(first, None).await?;
    let lost = until_found(&stack, &members, Kind::Lost, &id(first)).await?;
    assert_eq!(lost.consumer.as_deref(), Some(Treasury::NAME));
    assert!(
        lost.stopped.contains(
            "handled by analytics, audit-log, cloud-chain-sync, event-feed, notifications, not by cloud-treasury"
        ),
        "{}",
        lost.stopped
    );
    assert_eq!(
        (lost.aggregate, lost.sequence),
        (Some(format!("cloud_account/{ada}")), Some(1))
    );
    hands.mark(first, Some(&mark)).await?;

    hands.published_at(second, None).await?;
    let stuck = until_found(&stack, &members, Kind::Stuck, &id(second)).await?;
    assert!(stuck.stopped.contains("not published"), "{}", stuck.stopped);
    hands
        .published_at(second, Some("2026-11-21T00:00:00.000Z"))
        .await?;

    hands.add_to_balance(&ada, "11.25").await?;
    until_found(&stack, &members, Kind::Doubled, &id(second)).await?;
    hands.add_to_balance(&ada, "-11.25").await?;

    let mut poison = first.clone();
    poison["event_id"] = json!(uuid::Uuid::now_v7().to_string());
    poison["payload"]["amount"] = json!("much");
    send(&stack, "CloudTreasuryExpressQueue", &poison.to_string()).await?;
    let parked = until_found(&stack, &members, Kind::Parked, &id(&poison)).await?;
    assert_eq!(parked.consumer.as_deref(), Some(Treasury::NAME));
    assert!(parked.what.starts_with("invalid"), "{}", parked.what);
    // The audit read the dead letter and did not remove it.
    letter(&stack, Treasury::NAME, |letter| {
        letter.attributes.get("event_id") == Some(&id(&poison))
    })
    .await?;
    // The audit of a member who has nothing to do with it is clean.
    until_clean(&stack, &[bob.as_str()]).await.map(drop)
}
