//! The audit of the whole stack, while other stories use the same stack and damage their own data.

use aws_sdk_sqs::types::QueueAttributeName;
use consumer::Handler;
use millrace::audit::{Kind, Lane, Options, Report, Sources, audit};

use super::{
    audit::look_at,
    settlement::{captured_payment, settlement, step},
    *,
};

/// More than ten, so that the numbers do not sort as text does; enough that several numbers begin with the same digit.
const CONFIRMATIONS: u32 = 30;

/// The audit of the whole stack, as an operator runs it during traffic.
async fn look_at_all(stack: &Stack) -> Result<Report> {
    let sources = Sources::of_stack(stack.sdk(), stack.name()?).await?;
    let options = Options {
        items_per_second: 20_000,
        ..Options::default()
    };
    Ok(audit(&sources, &options, &mut |_| {}).await?)
}

#[tokio::test]
async fn an_audit_of_the_whole_stack_tells_of_no_gap_that_is_not_there() -> Result {
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let payment = captured_payment(&stack).await?;
    let id = settlement(&stack, &payment, CONFIRMATIONS).await?;
    let path = format!("/api/v1/settlements/{id}");
    step(&stack, &path, "submit", &json!({ "tx_hash": "0xabc" })).await?;
    for confirmations in 1..=CONFIRMATIONS {
        let body = json!({ "confirmations": confirmations });
        step(&stack, &path, "confirmations", &body).await?;
    }
    step(&stack, &path, "settle", &json!({ "gas_actual": "0.0001" })).await?;
    let logged = history(&stack, "settlement", &id).await?;
    assert!(logged.len() > usize::try_from(CONFIRMATIONS)?);
    // Every subscribed consumer has handled the event.
    let ours = [("payment", &payment), ("settlement", &id)];
    let scope = || {
        ours.iter()
            .map(|(kind, id)| ((*kind).to_owned(), (*id).clone()))
    };
    until("a clean audit of the settlement", SOON, || async {
        let report = look_at(&stack, scope().collect()).await?;
        Ok(report.clean.then_some(()))
    })
    .await?;

    let report = look_at_all(&stack).await?;
    assert!(
        report.counts.events > u64::try_from(logged.len())?
            && report.count("settlement", "settlements") > Some(0),
        "{report}"
    );
    let ours: Vec<String> = ours
        .iter()
        .map(|(kind, id)| format!("{kind}/{id}"))
        .collect();
    for finding in &report.findings {
        // The damage of other stories is lost, stuck, doubled, parked or in the books: no story deletes rows of the
        // event log. Only the conformance suite of the store writes rows with numbers of its own choice.
        let is_chosen = |aggregate: &String| aggregate.starts_with("conformance/");
        let is_of_the_log = finding.kind == Kind::OutOfSequence
            && finding
                .aggregate
                .as_ref()
                .is_some_and(|aggregate| !is_chosen(aggregate));
        let is_ours = finding
            .aggregate
            .as_ref()
            .is_some_and(|of| ours.contains(of));
        assert!(!is_of_the_log && !is_ours, "{finding:?}");
    }
    Ok(())
}

/// A consumer that is added to a stack with history.
struct Newcomer;

events::subscription! {
    enum Heard {
        Minted(events::contracts::cloud::Minted) by Mark,
    }
}

impl Handler for Newcomer {
    type Event = Heard;
    const NAME: &'static str = "newcomer";
}

/// The URL of a queue that was created in a later second than everything before.
async fn later_queue(stack: &Stack) -> Result<String> {
    let client = aws_sdk_sqs::Client::new(stack.sdk());
    let begun = now_millis();
    let queue = until("a queue of a later second", SOON, || async {
        let made = client.create_queue().queue_name(unique("newcomer"));
        let made = made.send().await?;
        let url = made.queue_url.ok_or("no URL")?;
        let name = QueueAttributeName::CreatedTimestamp;
        let asked = client.get_queue_attributes().queue_url(&url);
        let asked = asked.attribute_names(name.clone()).send().await?;
        let created = asked.attributes.as_ref().and_then(|all| all.get(&name));
        let created: i64 = created.ok_or("no moment")?.parse()?;
        if created * 1_000 > begun {
            return Ok(Some(url));
        }
        client.delete_queue().queue_url(url).send().await?;
        Ok(None)
    });
    queue.await
}

#[tokio::test]
async fn a_consumer_that_is_added_to_a_stack_with_history_has_not_lost_what_came_before() -> Result
{
    let (_use, stack) = (shared_use().await, Stack::connect().await?);
    let member = new_member(&stack, "Newcomer").await?;
    mint(&stack, &member, 5.0).await?;
    let scope = vec![("cloud_account".to_owned(), member.clone())];
    until("a clean audit", SOON, || async {
        let report = look_at(&stack, scope.clone()).await?;
        Ok(report.clean.then_some(()))
    })
    .await?;

    let url = later_queue(&stack).await?;
    let sources = Sources::of_stack(stack.sdk(), stack.name()?).await?;
    let sources = sources
        .with_lane(Lane {
            consumer: "Newcomer".to_owned(),
            name: "standard",
            url: url.clone(),
        })
        .watching::<Newcomer>();
    let look = async || {
        let options = Options {
            settled: true,
            start_up: Duration::ZERO,
            items_per_second: 10_000,
            scope: scope.clone(),
            ..Options::default()
        };
        audit(&sources, &options, &mut |_| {}).await
    };
    let report = look().await?;
    assert!(report.clean, "{report}");
    let [before] = report.before_consumer.as_slice() else {
        return Err(format!("{report}").into());
    };
    assert_eq!(
        (before.consumer.as_str(), before.events),
        (Newcomer::NAME, 1)
    );
    // Later events are for this consumer.
    let minted = mint(&stack, &member, 6.0).await?;
    let lost = until("what it did not handle is lost", SOON, || async {
        let report = look().await?;
        Ok(match report.findings.as_slice() {
            [one] if one.kind == Kind::Lost => Some(one.clone()),
            _ => None,
        })
    })
    .await?;
    assert_eq!(lost.consumer.as_deref(), Some(Newcomer::NAME));
    assert_eq!(lost.event_id.as_deref(), minted["event_id"].as_str());
    let client = aws_sdk_sqs::Client::new(stack.sdk());
    client.delete_queue().queue_url(url).send().await?;
    Ok(())
}
