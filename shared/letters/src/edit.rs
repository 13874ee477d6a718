//! Editing a letter that never was an event: a message that is no envelope, or one that came from outside and breaks its
//! contract. What stands in the event log is never edited.
//!
//! The edited message becomes a letter of its own, which an operation sends like any other. The letter that it was made
//! from is closed and keeps its body, so both are there, and the operation's event has the difference between them.

use events::{
    Envelope, Registry, Text, Timestamp, Violation, Violations,
    contracts::operation::{PATCH_STEPS, PATCH_VALUE, PatchOp, PatchStep},
};
use serde_json::Value;

use crate::{
    drained::{Body, Drained, QueueMessage},
    letter::{Letter, LetterId},
};

/// Why a message cannot be sent in place of another.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum EditRefusal {
    /// It is no valid event for the letter's consumer.
    #[error("the message is not valid")]
    Invalid(Violations),
    /// It is what the letter has.
    #[error("the message is the one that the letter has")]
    Unchanged,
    /// The difference is too large to be recorded.
    #[error(
        "more than {PATCH_STEPS} places are changed, or one to more than {PATCH_VALUE} characters"
    )]
    TooLarge,
}

/// A message that is sent in place of a letter's.
#[derive(Debug, Clone, PartialEq)]
pub struct Edit {
    /// The event.
    pub envelope: Envelope,
    /// The message's body.
    pub json: String,
    /// What turns the letter's body into this one (RFC 6902). A body that is no JSON is replaced as a whole.
    pub patch: Vec<PatchStep>,
}

impl Edit {
    /// Checks a message and compares it with the letter's body. `listens` tells whether the letter's consumer subscribes
    /// to an event type.
    ///
    /// # Errors
    /// [`EditRefusal`] with every violation of the envelope's schema and of the payload's contract.
    pub fn of(
        body: &str,
        message: &Value,
        registry: &Registry,
        consumer: &str,
        listens: impl FnOnce(&str) -> bool,
    ) -> Result<Self, EditRefusal> {
        let found = registry.validate(message);
        if !found.is_empty() {
            return Err(EditRefusal::Invalid(found));
        }
        let json = message.to_string();
        let envelope = Registry::read(&json).map_err(|invalid| EditRefusal::Invalid(invalid.0))?;
        let event_type = envelope.event_type.as_str();
        if !listens(event_type) {
            let words = format!("{consumer} does not listen to {event_type}");
            let violation = Violation::new("/event_type", words);
            return Err(EditRefusal::Invalid(violation.into()));
        }
        let original: Option<Value> = serde_json::from_str(body).ok();
        if original.as_ref() == Some(message) {
            return Err(EditRefusal::Unchanged);
        }
        let patch = patch(original.as_ref(), message).ok_or(EditRefusal::TooLarge)?;
        Ok(Self {
            envelope,
            json,
            patch,
        })
    }

    /// The letter of the edited message, as if its consumer had parked it now, and the letter's body.
    #[must_use]
    pub fn letter(&self, from: &Letter, now: Timestamp) -> (Drained, Body) {
        let message = QueueMessage {
            // No message of a queue has this id, so the next parking of the event is no copy of this one.
            message_id: format!("edited#{}", from.letter_id),
            body: self.json.clone(),
            attributes: [
                ("consumer", from.consumer.clone()),
                ("reason", from.reason.clone()),
                ("error", from.error.clone()),
                ("attempts", from.attempts.to_string()),
                ("parked_at", now.to_string()),
            ]
            .into_iter()
            .filter(|(_, text)| !text.is_empty())
            .map(|(name, text)| (name.to_owned(), text))
            .collect(),
            source_arn: None,
        };
        (Drained::read(&message, now), Body::of(&message, now))
    }

    /// The id of the edited message's letter.
    #[must_use]
    pub fn letter_id(&self, from: &Letter) -> LetterId {
        let event_id = self.envelope.event_id.to_string();
        LetterId::of(&from.consumer, Some(&event_id), "")
    }
}

/// The steps from one document to another; `None` if there are too many, or one is too large.
fn patch(from: Option<&Value>, to: &Value) -> Option<Vec<PatchStep>> {
    use json_patch::PatchOperation::{Add, Remove, Replace};
    let Some(from) = from else {
        return Some(vec![step(PatchOp::Replace, "", Some(to))?]);
    };
    let steps = json_patch::diff(from, to).0;
    if steps.len() > PATCH_STEPS {
        return None;
    }
    let steps = steps.iter().map(|one| match one {
        Add(add) => step(PatchOp::Add, add.path.as_str(), Some(&add.value)),
        Remove(remove) => step(PatchOp::Remove, remove.path.as_str(), None),
        Replace(replace) => step(
            PatchOp::Replace,
            replace.path.as_str(),
            Some(&replace.value),
        ),
        // A difference has no other steps.
        _ => None,
    });
    steps.collect()
}

fn step(op: PatchOp, path: &str, value: Option<&Value>) -> Option<PatchStep> {
    // The whole document is the empty pointer, which no text is.
    let path = Some(path).filter(|path| !path.is_empty());
    Some(PatchStep {
        op,
        path: path.map(Text::new).transpose().ok()?,
        value: value
            .map(|value| Text::new(value.to_string()))
            .transpose()
            .ok()?,
    })
}
