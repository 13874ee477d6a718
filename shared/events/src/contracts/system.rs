//! Events of Millrace itself.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Retention, Sequence, Text};

contracts! {
    kept Retention::Days(7);
    Heartbeat: "system.heartbeat", Critical, "heartbeat", "heartbeat" [= Self::AGGREGATE_ID];
}

/// Goes the whole way that every event goes, so that its absence shows that something on the way is broken.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Heartbeat {
    /// The number of the heartbeat.
    pub version: Sequence,
    /// What an operator who sends one by hand wants to remember.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<Text<200>>,
}

impl Heartbeat {
    /// The only aggregate of heartbeats.
    pub const AGGREGATE_ID: &'static str = "heartbeat";
}
