//! The handler of `dead-letters`. It keeps every message in the queue.

use aws_lambda_events::sqs::{SqsBatchResponse, SqsEvent};

/// Logs each dead letter, and fails all of them: a letter that is not stored must not be deleted.
#[must_use]
pub fn keep(event: SqsEvent) -> SqsBatchResponse {
    let mut kept = Vec::new();
    for message in event.records {
        let attribute = |name: &str| {
            let attribute = message.message_attributes.get(name);
            attribute.and_then(|value| value.string_value.as_deref())
        };
        tracing::error!(
            message_id = message.message_id,
            consumer = attribute("consumer"),
            event_id = attribute("event_id"),
            reason = attribute("reason"),
            error = attribute("error"),
            "a dead letter waits in the queue"
        );
        kept.extend(message.message_id);
    }
    let mut response = SqsBatchResponse::default();
    response.set_failures(kept);
    response
}

#[cfg(test)]
mod tests {
    use aws_lambda_events::sqs::SqsMessage;

    use super::*;

    #[test]
    fn no_letter_is_deleted() {
        let mut event = SqsEvent::default();
        for id in ["a", "b"] {
            let mut message = SqsMessage::default();
            message.message_id = Some(id.to_owned());
            event.records.push(message);
        }
        let failed = keep(event).batch_item_failures;
        let failed: Vec<String> = failed.into_iter().map(|one| one.item_identifier).collect();
        assert_eq!(failed, ["a", "b"]);
    }
}
