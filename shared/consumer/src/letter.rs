//! Dead letters: messages that a consumer parked, each with its reason.

use std::fmt;

use events::{Timestamp, contracts::operation::FirstReplay};

use crate::BEFORE_IT_BEGAN;

/// How much of the error chain a dead letter carries, in bytes.
pub const ERROR_MAX_BYTES: usize = 8 * 1024;

/// Why a message was parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ParkReason {
    /// The body is not an envelope.
    Malformed,
    /// The consumer does not subscribe to the event's type.
    UnknownType,
    /// The code does not know the event's version.
    UnknownVersion,
    /// The payload violates its contract.
    Invalid,
    /// The handler rejected the event: a retry can never succeed.
    Rejected,
    /// Every retry of the schedule failed.
    RetriesExhausted,
    /// A dependency stayed unavailable for too long.
    UnavailableTooLong,
    /// The event is too old: it cannot be told from a repeat any more, or the event log no longer has it.
    TooOld,
}

impl ParkReason {
    /// Every reason.
    pub const ALL: [Self; 8] = [
        Self::Malformed,
        Self::UnknownType,
        Self::UnknownVersion,
        Self::Invalid,
        Self::Rejected,
        Self::RetriesExhausted,
        Self::UnavailableTooLong,
        Self::TooOld,
    ];

    /// The reason's name in dead letters, in logs and on screens.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Malformed => "malformed",
            Self::UnknownType => "unknown_type",
            Self::UnknownVersion => "unknown_version",
            Self::Invalid => "invalid",
            Self::Rejected => "rejected",
            Self::RetriesExhausted => "retries_exhausted",
            Self::UnavailableTooLong => "unavailable_too_long",
            Self::TooOld => "too_old",
        }
    }
}

impl fmt::Display for ParkReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A message for the dead-letter queue. It can arrive there twice; (consumer, event id) identifies it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Letter {
    /// The message's body, as it was received; from an in-order consumer, the envelope of the event that failed.
    pub body: String,
    /// The consumer that parks the message.
    pub consumer: &'static str,
    /// The event's id, if the body has one.
    pub event_id: Option<String>,
    /// The event's type, if the body has one.
    pub event_type: Option<String>,
    /// Why the message is parked.
    pub reason: ParkReason,
    /// The error with its sources.
    pub error: String,
    /// How often the consumer failed to handle the event, this time included.
    pub attempts: u32,
    /// When the message was first received.
    pub first_received_at: Timestamp,
    /// When the message was parked.
    pub parked_at: Timestamp,
    /// The first replay that the message was part of: sent back, it still is.
    pub first_replay: Option<FirstReplay>,
}

impl Letter {
    /// The message attributes, at most 10 (SQS's limit,
    /// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>, read
    /// 2026-11-21), all text.
    #[must_use]
    pub fn attributes(&self) -> Vec<(&'static str, String)> {
        let mut attributes = vec![
            ("consumer", self.consumer.to_owned()),
            ("reason", self.reason.to_string()),
            ("error", sendable(&self.error, ERROR_MAX_BYTES)),
            ("attempts", self.attempts.to_string()),
            ("first_received_at", self.first_received_at.to_string()),
            ("parked_at", self.parked_at.to_string()),
        ];
        let first = self.first_replay.map(|first| first.to_string());
        attributes.extend(first.map(|text| (BEFORE_IT_BEGAN, text)));
        let optional = [
            ("event_id", &self.event_id),
            ("event_type", &self.event_type),
        ];
        attributes.extend(optional.into_iter().filter_map(|(name, value)| {
            value
                .as_deref()
                .filter(|text| !text.is_empty())
                .map(|text| (name, sendable(text, 256)))
        }));
        attributes
    }
}

/// Text that SQS accepts as an attribute: not empty, without control characters other than tab and line ends, and cut
/// to a size.
fn sendable(text: &str, max_bytes: usize) -> String {
    let mut clean = String::with_capacity(text.len().min(max_bytes));
    for c in text.chars() {
        let refused = !events::is_deliverable(c) || (c.is_control() && !c.is_whitespace());
        let shown = if refused { '\u{fffd}' } else { c };
        if clean.len() + shown.len_utf8() > max_bytes {
            break;
        }
        clean.push(shown);
    }
    if clean.is_empty() {
        "-".to_owned()
    } else {
        clean
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter(error: &str, event_id: Option<&str>) -> Letter {
        Letter {
            body: "{}".into(),
            consumer: "cloud-treasury",
            event_id: event_id.map(str::to_owned),
            event_type: None,
            reason: ParkReason::Malformed,
            error: error.into(),
            attempts: 1,
            first_received_at: Timestamp::EPOCH,
            parked_at: Timestamp::EPOCH,
            first_replay: Some(FirstReplay {
                began: Timestamp::EPOCH,
                since: Timestamp::EPOCH,
            }),
        }
    }

    #[test]
    fn a_letters_attributes_are_few_sendable_and_never_empty() {
        let named = Letter {
            event_type: Some("wallet.escrow_held".into()),
            ..letter("no", Some("e"))
        };
        assert!(named.attributes().len() <= 10);
        let first = "1970-01-01T00:00:00.000Z/1970-01-01T00:00:00.000Z".to_owned();
        assert!(named.attributes().contains(&(BEFORE_IT_BEGAN, first)));
        let attributes = letter("\u{0}bell\u{7}", Some("")).attributes();
        assert!(attributes.iter().all(|(_, value)| !value.is_empty()));
        assert!(attributes.contains(&("error", "\u{fffd}bell\u{fffd}".to_owned())));
        assert!(!attributes.iter().any(|(name, _)| *name == "event_id"));
        assert!(
            letter("", None)
                .attributes()
                .contains(&("error", "-".to_owned()))
        );
    }

    #[test]
    fn a_long_error_chain_is_cut_at_a_character_within_its_bytes() {
        let attributes = letter(&"ä".repeat(ERROR_MAX_BYTES), None).attributes();
        let error = attributes
            .iter()
            .find(|(name, _)| *name == "error")
            .map(|(_, value)| value.len());
        assert_eq!(error, Some(ERROR_MAX_BYTES));
    }
}
