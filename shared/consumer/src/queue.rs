//! Runs a handler on Lambda, on the event source mappings of its lanes.

use std::{collections::BTreeMap, sync::Arc};

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use events::{Priority, Timestamp};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use telemetry::metrics::{Counter, Metrics, Timer};

use crate::{
    BEFORE_IT_BEGAN, BatchRunner, Handler, Lane, Lanes, Message, OPERATION_ID, Outcome, Summary,
};

/// Handles invocations until the execution environment ends. The event source mapping must report batch item failures.
///
/// # Errors
/// An error after which the Lambda runtime cannot continue.
pub async fn run<H: Handler>(runner: BatchRunner<H>, lanes: Lanes) -> Result<(), Error> {
    let (runner, lanes) = (Arc::new(runner), Arc::new(lanes));
    lambda_runtime::run(service_fn(move |invocation: LambdaEvent<SqsEvent>| {
        let (runner, lanes) = (Arc::clone(&runner), Arc::clone(&lanes));
        async move { invoke(&runner, &lanes, invocation).await }
    }))
    .await
}

/// Handles one invocation.
///
/// # Errors
/// When the event is not what an event source mapping sends. Nothing was begun, and the whole batch comes back.
pub async fn invoke<H: Handler>(
    runner: &BatchRunner<H>,
    lanes: &Lanes,
    invocation: LambdaEvent<SqsEvent>,
) -> Result<SqsBatchResponse, Error> {
    let deadline = deadline(invocation.context.deadline)?;
    let mut by_lane: BTreeMap<usize, (&Lane, Vec<Message>)> = BTreeMap::new();
    for record in invocation.payload.records {
        let arn = record.event_source_arn.as_deref().unwrap_or_default();
        let place = lanes.0.iter().position(|lane| lane.queue_arn == arn);
        let Some((place, lane)) =
            place.and_then(|place| lanes.0.get(place).map(|lane| (place, lane)))
        else {
            return Err(format!(
                "a message came from {arn:?}, which is not a lane of {}",
                H::NAME
            )
            .into());
        };
        by_lane
            .entry(place)
            .or_insert_with(|| (lane, Vec::new()))
            .1
            .push(message(record)?);
    }
    let mut failed = Vec::new();
    for (_, (lane, messages)) in by_lane {
        let summary = runner.run(lane, messages, deadline).await;
        for metrics in &mut metrics_of(&runner.settings().stack, H::NAME, &summary) {
            metrics.flush();
        }
        failed.extend(summary.failed());
    }
    let mut response = SqsBatchResponse::default();
    response.set_failures(failed);
    Ok(response)
}

pub(crate) fn deadline(millis: u64) -> Result<Timestamp, Error> {
    Ok(Timestamp::from_unix_millis(i64::try_from(millis)?)?)
}

fn message(record: SqsMessage) -> Result<Message, Error> {
    let attribute = |name: &str| {
        record
            .attributes
            .get(name)
            .ok_or_else(|| format!("a message has no {name}"))
    };
    let moment = |name: &str| -> Result<Timestamp, Error> {
        Ok(Timestamp::from_unix_millis(attribute(name)?.parse()?)?)
    };
    let told = |name: &str| {
        let attribute = record.message_attributes.get(name);
        attribute.and_then(|attribute| attribute.string_value.clone())
    };
    Ok(Message {
        receive_count: attribute("ApproximateReceiveCount")?.parse()?,
        sent_at: moment("SentTimestamp")?,
        first_received_at: moment("ApproximateFirstReceiveTimestamp")?,
        message_id: record
            .message_id
            .filter(|id| !id.is_empty())
            .ok_or("a message has no messageId")?,
        receipt_handle: record
            .receipt_handle
            .ok_or("a message has no receiptHandle")?,
        operation_id: told(OPERATION_ID),
        // Anything else says nothing.
        first_replay: told(BEFORE_IT_BEGAN).and_then(|text| text.parse().ok()),
        body: record.body.unwrap_or_default(),
    })
}

/// The metrics of a batch: those of the consumer, and those of its events by domain and priority.
fn metrics_of(stack: &str, consumer: &str, summary: &Summary) -> Vec<Metrics> {
    let mut own = Metrics::for_consumer(stack, consumer);
    let mut deliveries: BTreeMap<(&str, Priority), Metrics> = BTreeMap::new();
    for one in &summary.finished {
        match one.outcome {
            Outcome::Done | Outcome::Ignored => own.count(Counter::EventHandlerSuccess, 1),
            Outcome::Duplicate => own.count(Counter::EventDuplicateDetected, 1),
            Outcome::Retry(_) | Outcome::Unavailable(_) | Outcome::NotParked => {
                own.count(Counter::EventHandlerError, 1)
            }
            Outcome::Parked(_) => own
                .count(Counter::EventHandlerError, 1)
                .count(Counter::EventParked, 1),
            Outcome::Unbegun | Outcome::Waiting | Outcome::Continues => &mut own,
        };
        if let Some(took) = one.took {
            own.time(Timer::HandlerTime, took);
        }
        if let Some(delivery) = &one.delivery {
            deliveries
                .entry((&delivery.domain, delivery.priority))
                .or_insert_with(|| {
                    Metrics::for_domain(stack, delivery.domain.as_str(), delivery.priority.as_str())
                })
                .time(Timer::DeliveryLatency, delivery.latency);
        }
    }
    [own].into_iter().chain(deliveries.into_values()).collect()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use serde_json::{Value, json};

    use super::*;
    use crate::{Delivery, Finished, ParkReason};

    #[test]
    fn a_message_names_the_operation_that_sent_it() {
        let mut record = json!({
            "messageId": "m", "receiptHandle": "r", "body": "{}",
            "attributes": {
                "ApproximateReceiveCount": "1", "SentTimestamp": "1", "ApproximateFirstReceiveTimestamp": "1"
            },
            "messageAttributes": {}
        });
        let read =
            |record: &Value| message(serde_json::from_value(record.clone()).expect("a record"));
        assert_eq!(read(&record).expect("read").operation_id, None);
        record["messageAttributes"][OPERATION_ID] = json!({ "dataType": "String", "stringValue": "o", "stringListValues": [], "binaryListValues": [] });
        let named = read(&record).expect("read").operation_id;
        assert_eq!(named.as_deref(), Some("o"));
        assert_eq!(read(&record).expect("read").first_replay, None);
        for (text, is_one) in [
            ("2026-11-01T00:00:00.000Z/2026-11-29T03:00:00.000Z", true),
            ("2026-11-01T00:00:00.000Z", false),
            ("yesterday/today", false),
        ] {
            record["messageAttributes"][BEFORE_IT_BEGAN] = json!({ "dataType": "String", "stringValue": text, "stringListValues": [], "binaryListValues": [] });
            let first = read(&record).expect("read").first_replay;
            assert_eq!(first.is_some(), is_one, "{text}");
            assert!(first.is_none_or(|first| first.to_string() == text));
        }
    }

    #[test]
    fn a_batch_tells_what_was_handled_how_long_it_took_and_how_long_it_was_on_its_way() {
        let finished = |outcome, took: Option<u64>| Finished {
            message_id: "m".into(),
            outcome,
            delivery: took.map(|_| Delivery {
                domain: "loan".into(),
                priority: Priority::Critical,
                latency: Duration::from_millis(70),
            }),
            took: took.map(Duration::from_millis),
        };
        let summary = Summary {
            finished: vec![
                finished(Outcome::Done, Some(12)),
                finished(Outcome::Parked(ParkReason::Invalid), Some(3)),
                finished(Outcome::Unbegun, None),
            ],
        };
        let lines: Vec<Value> = metrics_of("dev", "loan-servicing", &summary)
            .iter()
            .flat_map(|metrics| metrics.lines(SystemTime::UNIX_EPOCH))
            .map(|line| serde_json::from_str(&line).expect("JSON"))
            .collect();
        let [own, delivery] = lines.as_slice() else {
            panic!("{lines:?}");
        };
        assert_eq!(own["consumer"], "loan-servicing");
        assert_eq!(own["EventHandlerSuccess"], 1);
        assert_eq!(own["EventParked"], 1);
        assert_eq!(own["HandlerTime"], json!([12, 3]));
        assert_eq!(delivery["domain"], "loan");
        assert_eq!(delivery["DeliveryLatency"], json!([70, 70]));
    }
}
