//! Handles the messages of a queue one by one, whatever they hold: for a function whose messages need not be events.
//!
//! A message is deleted only after its handler has succeeded. One that fails, or that does not end in time, comes back
//! when its visibility timeout ends, as often as it takes. So a handler must be safe to repeat
//! ([`outbox::Mark::Message`]).

use std::{collections::BTreeMap, panic::AssertUnwindSafe, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent, SqsMessage};
use futures::{FutureExt as _, StreamExt as _, stream};
use lambda_runtime::{Error, LambdaEvent, service_fn};
use outbox::{
    Clock,
    env::{Env, SettingError, wrong},
};
use telemetry::metrics::{Counter, Metrics, Timer};

use crate::{Failure, config::ANSWER};

/// How many messages of a batch are handled at the same time.
const AT_ONCE: usize = 10;

/// The system attribute with which SQS names the queue that it moved a message from
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_ReceiveMessage.html>, read 2026-11-29).
const MOVED_FROM: &str = "DeadLetterQueueSourceArn";

/// A message, as the queue delivered it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AnyMessage {
    /// The id that SQS gave it; every delivery has the same.
    pub message_id: String,
    /// Its body.
    pub body: String,
    /// Its message attributes of type text.
    pub attributes: BTreeMap<String, String>,
    /// The ARN of the queue from which SQS moved it, if SQS did.
    pub moved_from: Option<String>,
}

/// What a function does with each message.
#[async_trait]
pub trait MessageHandler: Send + Sync {
    /// The function's name in metrics and logs.
    const NAME: &'static str;

    /// Handles a message. It may be called again for a message that it has handled.
    ///
    /// # Errors
    /// [`Failure`] of any class: the message comes back.
    async fn handle(&self, message: &AnyMessage) -> Result<(), Failure>;
}

/// How messages are handled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The stack's name, for metrics.
    pub stack: String,
    /// The time limit of one message.
    pub message_timeout: Duration,
}

impl Settings {
    /// Reads the settings: `STACK_NAME`, `RECORD_TIMEOUT_MS` (5,000 by default).
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        let settings = Self {
            stack: env.required("STACK_NAME")?.to_owned(),
            message_timeout: env.millis("RECORD_TIMEOUT_MS", Duration::from_secs(5))?,
        };
        if settings.message_timeout.is_zero() {
            return Err(wrong("RECORD_TIMEOUT_MS", "at least 1"));
        }
        Ok(settings)
    }
}

/// Handles invocations until the execution environment ends. The event source mapping must report batch item failures.
///
/// # Errors
/// An error after which the Lambda runtime cannot continue.
pub async fn run<H: MessageHandler>(
    handler: H,
    clock: Arc<dyn Clock>,
    settings: Settings,
) -> Result<(), Error> {
    let (handler, settings) = (Arc::new(handler), Arc::new(settings));
    lambda_runtime::run(service_fn(move |invocation: LambdaEvent<SqsEvent>| {
        let (handler, settings) = (Arc::clone(&handler), Arc::clone(&settings));
        let clock = Arc::clone(&clock);
        async move { invoke(&*handler, &*clock, &settings, invocation).await }
    }))
    .await
}

/// Handles one invocation: each message on its own, up to ten at a time. What failed, or could not be begun in time, is
/// reported and comes back.
///
/// # Errors
/// When the event is not what an event source mapping sends. Nothing was begun, and the whole batch comes back.
pub async fn invoke<H: MessageHandler>(
    handler: &H,
    clock: &dyn Clock,
    settings: &Settings,
    invocation: LambdaEvent<SqsEvent>,
) -> Result<SqsBatchResponse, Error> {
    let deadline = crate::queue::deadline(invocation.context.deadline)?;
    let records = invocation.payload.records.into_iter();
    let messages = records.map(read).collect::<Result<Vec<_>, _>>()?;
    let one = |message: AnyMessage| async move {
        let begun = clock.now();
        let is_handled = handled(handler, settings, &message, deadline.since(begun)).await;
        (message.message_id, is_handled, clock.now().since(begun))
    };
    let finished: Vec<(String, bool, Duration)> = stream::iter(messages.into_iter().map(one))
        .buffer_unordered(AT_ONCE)
        .collect()
        .await;
    let mut metrics = Metrics::for_consumer(settings.stack.as_str(), H::NAME);
    let mut failed = Vec::new();
    for (message_id, is_handled, took) in finished {
        metrics.time(Timer::HandlerTime, took);
        if is_handled {
            metrics.count(Counter::EventHandlerSuccess, 1);
        } else {
            metrics.count(Counter::EventHandlerError, 1);
            failed.push(message_id);
        }
    }
    metrics.flush();
    let mut response = SqsBatchResponse::default();
    response.set_failures(failed);
    Ok(response)
}

/// Handles a message within its time limit and the rest of the invocation, and catches a panic.
async fn handled<H: MessageHandler>(
    handler: &H,
    settings: &Settings,
    message: &AnyMessage,
    left: Duration,
) -> bool {
    let (consumer, message_id) = (H::NAME, message.message_id.as_str());
    let limit = settings.message_timeout.min(left.saturating_sub(ANSWER));
    let handling = AssertUnwindSafe(handler.handle(message)).catch_unwind();
    match tokio::time::timeout(limit, handling).await {
        Ok(Ok(Ok(()))) => true,
        Ok(Ok(Err(failure))) => {
            let error = failure.chain();
            tracing::error!(consumer, message_id, error, "a message comes back");
            false
        }
        Ok(Err(_)) => {
            tracing::error!(consumer, message_id, "a message comes back: panic");
            false
        }
        Err(_) => {
            tracing::error!(consumer, message_id, "a message comes back: out of time");
            false
        }
    }
}

fn read(record: SqsMessage) -> Result<AnyMessage, Error> {
    let message_id = record.message_id.filter(|id| !id.is_empty());
    let attributes = record.message_attributes.into_iter();
    Ok(AnyMessage {
        message_id: message_id.ok_or("a message has no messageId")?,
        body: record.body.unwrap_or_default(),
        attributes: attributes
            .filter_map(|(name, value)| Some((name, value.string_value?)))
            .collect(),
        moved_from: record.attributes.get(MOVED_FROM).cloned(),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::panic, reason = "a test fails by panicking")]

    use lambda_runtime::Context;
    use outbox::SystemClock;
    use serde_json::json;

    use super::*;

    struct Fussy;

    #[async_trait]
    impl MessageHandler for Fussy {
        const NAME: &'static str = "fussy";

        async fn handle(&self, message: &AnyMessage) -> Result<(), Failure> {
            match message.body.as_str() {
                "fails" => Err(Failure::park("no")),
                "panics" => panic!("no"),
                "hangs" => {
                    std::future::pending::<()>().await;
                    Ok(())
                }
                _ => {
                    assert_eq!(message.attributes["consumer"], "analytics");
                    assert_eq!(message.moved_from.as_deref(), Some("arn:q"));
                    Ok(())
                }
            }
        }
    }

    async fn failures(left: Duration) -> Vec<String> {
        let records: Vec<_> = ["fine", "fails", "panics", "hangs", ""]
            .into_iter()
            .map(|body| {
                json!({
                    "messageId": body.to_owned() + "!", "body": body, "attributes": { "DeadLetterQueueSourceArn": "arn:q" },
                    "messageAttributes": {
                        "consumer": { "stringValue": "analytics", "dataType": "String" },
                        "binary": { "binaryValue": "AAAA", "dataType": "Binary" }
                    }
                })
            })
            .collect();
        let event = serde_json::from_value(json!({ "Records": records })).expect("an event");
        let mut context = Context::default();
        let deadline = SystemClock.now().plus(left).unix_millis();
        context.deadline = u64::try_from(deadline).expect("positive");
        let settings = Settings {
            stack: "dev".into(),
            message_timeout: Duration::from_millis(50),
        };
        let event = LambdaEvent::new(event, context);
        let response = invoke(&Fussy, &SystemClock, &settings, event).await;
        let failures = response.expect("answers").batch_item_failures.into_iter();
        let mut failures: Vec<String> = failures.map(|one| one.item_identifier).collect();
        failures.sort();
        failures
    }

    #[tokio::test]
    async fn exactly_what_was_not_handled_comes_back() {
        let left = Duration::from_secs(10);
        assert_eq!(failures(left).await, ["fails!", "hangs!", "panics!"]);
    }

    #[test]
    fn a_missing_or_wrong_setting_is_named() {
        let read = |key: &'static str, value: &'static str| {
            let named = [("STACK_NAME", "dev"), (key, value)];
            Settings::from_env(&Env::of(named)).map_err(|error| error.to_string())
        };
        assert!(read("RUST_LOG", "info").is_ok());
        for (key, value) in [
            ("STACK_NAME", ""),
            ("RECORD_TIMEOUT_MS", "0"),
            ("RECORD_TIMEOUT_MS", "x"),
        ] {
            let error = read(key, value).expect_err("refused");
            assert!(error.contains(key), "{error}");
        }
    }
}
