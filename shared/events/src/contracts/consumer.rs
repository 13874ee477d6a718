//! Consumers: an operator pauses and resumes them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{ConsumerName, Retention, Sequence, Text};

contracts! {
    kept Retention::Forever;
    Paused: "consumer.paused", Normal, "operator-api", "consumer" [consumer];
    Resumed: "consumer.resumed", Normal, "operator-api", "consumer" [consumer];
}

/// A consumer was paused: it takes no further events from its lanes, which keep them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Paused {
    /// The consumer.
    pub consumer: ConsumerName,
    /// Why.
    pub reason: Text<500>,
    /// The user for whom it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Text<256>>,
    /// The owner of the API key with which it was done.
    pub key_owner: Text<256>,
    /// The version of the consumer's state after the change.
    pub version: Sequence,
}

/// A paused consumer was resumed: it takes events from its lanes again, beginning with those that waited.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Resumed {
    /// The consumer.
    pub consumer: ConsumerName,
    /// Why.
    pub reason: Text<500>,
    /// The user for whom it was done.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub actor: Option<Text<256>>,
    /// The owner of the API key with which it was done.
    pub key_owner: Text<256>,
    /// The version of the consumer's state after the change.
    pub version: Sequence,
}
