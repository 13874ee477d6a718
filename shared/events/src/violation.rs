//! What is wrong with a document, and where.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One violation of a schema: its place (a JSON pointer, RFC 6901) and a message, which never repeats personal values.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Violation {
    /// JSON pointer to the invalid place; empty for the document itself.
    pub pointer: String,
    /// What is expected there.
    pub message: String,
}

impl Violation {
    /// A violation at a place.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() {
            "(document)"
        } else {
            &self.pointer
        };
        write!(f, "{place}: {}", self.message)
    }
}
