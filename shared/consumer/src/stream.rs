//! Runs the relay on Lambda, on the event log's stream.

use std::{collections::BTreeMap, sync::Arc};

use aws_lambda_events::dynamodb;
use lambda_runtime::{Error, LambdaEvent, service_fn};
use outbox::{
    Item,
    relay::{Invocation, Relay},
};
use telemetry::metrics::{Counter, Metrics, Timer};

/// Handles invocations until the execution environment ends.
///
/// # Errors
/// An error after which the Lambda runtime cannot continue.
pub async fn run(relay: Relay, stack: String) -> Result<(), Error> {
    let (relay, stack) = (Arc::new(relay), Arc::new(stack));
    lambda_runtime::run(service_fn(
        move |invocation: LambdaEvent<dynamodb::Event>| {
            let (relay, stack) = (Arc::clone(&relay), Arc::clone(&stack));
            async move { invoke(&relay, &stack, invocation.payload).await }
        },
    ))
    .await
}

/// Handles one invocation. It fails as a whole if any event could not be published, so that the stream delivers the
/// batch again.
///
/// # Errors
/// The reason why the stream must deliver the batch again.
pub async fn invoke(relay: &Relay, stack: &str, event: dynamodb::Event) -> Result<(), Error> {
    let records = event.records.len();
    let items = event
        .records
        .into_iter()
        // The event source mapping also passes only these. Without a filter, the relay's own writes of `published_at`
        // would come back to it.
        .filter(|record| record.event_name == "INSERT")
        .map(|record| serde_dynamo::from_item(record.change.new_image).map_err(Error::from))
        .collect::<Result<Vec<Item>, Error>>()?;
    let invocation = relay.relay(items).await;
    tell(stack, records, &invocation);
    match invocation.error {
        Some(error) => Err(Box::new(error)),
        None => Ok(()),
    }
}

fn tell(stack: &str, records: usize, invocation: &Invocation) {
    let report = &invocation.report;
    let mut metrics: BTreeMap<(&str, &str), Metrics> = BTreeMap::new();
    for published in &report.published {
        let domain = published
            .event_type
            .split_once('.')
            .map_or("", |(domain, _)| domain);
        let own = metrics
            .entry((domain, &published.priority))
            .or_insert_with(|| Metrics::for_domain(stack, domain, published.priority.as_str()));
        own.count(Counter::EventPublished, 1)
            .time(Timer::OutboxLag, published.lag);
        if published.unrouted {
            own.count(Counter::EventUnrouted, 1);
            tracing::warn!(
                event_id = published.event_id,
                event_type = published.event_type,
                "no rule subscribes to this event type"
            );
        }
    }
    metrics.values_mut().for_each(Metrics::flush);
    let number = |count: usize| u64::try_from(count).unwrap_or(u64::MAX);
    let errors = report.errors + report.unreadable.len();
    Metrics::for_consumer(stack, "outbox-relay")
        // All domains together: an alarm on what is usual takes one series, and cannot search for those of the domains.
        .count(Counter::EventPublished, number(report.published.len()))
        .count(Counter::EventPublishError, number(errors))
        .flush();
    for (event_id, error) in &report.failed {
        tracing::error!(
            event_id,
            error,
            "the bus refused an event for good; fix the cause, then republish"
        );
    }
    for error in &report.unreadable {
        tracing::error!(error, "a row of the event log cannot be read");
    }
    let (published, skipped, calls) = (report.published.len(), report.skipped, report.calls);
    match &invocation.error {
        None => tracing::info!(
            records,
            published,
            skipped,
            calls,
            outcome = "done",
            "relayed"
        ),
        Some(error) => {
            let error = outbox::chain(error);
            tracing::error!(
                records,
                published,
                skipped,
                calls,
                outcome = "retry",
                error,
                "relaying failed"
            );
        }
    }
}
