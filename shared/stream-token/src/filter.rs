//! The filter that a client chooses for its stream.

use api::Problem;
use events::unknown_domain;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use views::feed::FeedRow;

/// The maximum number of `type` values.
const MAX_TYPES: usize = 50;
/// The maximum length of one value, in bytes.
pub const MAX_LENGTH: usize = 255;

/// A filter on events. All conditions must hold; an empty filter accepts every event.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Filter {
    /// Event types, or domains with a trailing dot (`settlement.`). An event must match one of them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub types: Vec<String>,
    /// The aggregate, as `type/id`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub aggregate: Option<String>,
    /// The tenant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tenant: Option<String>,
}

impl Filter {
    /// Whether a row passes the filter.
    #[must_use]
    pub fn wants(&self, row: &FeedRow) -> bool {
        let of_type = |wanted: &String| {
            if wanted.ends_with('.') {
                row.event_type.starts_with(wanted.as_str())
            } else {
                row.event_type == *wanted
            }
        };
        (self.types.is_empty() || self.types.iter().any(of_type))
            && (self.aggregate.as_ref()).is_none_or(|wanted| row.aggregate == *wanted)
            && (self.tenant.as_ref()).is_none_or(|wanted| row.tenant_id.as_ref() == Some(wanted))
    }

    /// Returns the first error and the field that has it.
    fn fault(&self) -> Option<(&'static str, String)> {
        if self.types.len() > MAX_TYPES {
            return Some(("type", format!("at most {MAX_TYPES} types")));
        }
        if let Some(wrong) = self.types.iter().find(|one| !is_type(one)) {
            let message =
                "must be an event type (settlement.created) or a domain with its dot (settlement.)";
            let wrong: String = wrong.chars().take(MAX_LENGTH).collect();
            return Some(("type", format!("{message}: {wrong:?}")));
        }
        let mut domains = self.types.iter().filter_map(|one| one.strip_suffix('.'));
        if let Some((unknown, meant)) = domains.find_map(|one| Some((one, unknown_domain(one)?))) {
            return Some(("type", format!("{unknown} is not a known domain{meant}")));
        }
        let is_aggregate = |text: &String| {
            let parts = text.split_once('/');
            parts.is_some_and(|(kind, id)| is_name(kind) && !id.is_empty()) && is_text(text)
        };
        if self
            .aggregate
            .as_ref()
            .is_some_and(|one| !is_aggregate(one))
        {
            return Some(("aggregate", "must be type/id".into()));
        }
        if self
            .tenant
            .as_ref()
            .is_some_and(|one| one.is_empty() || !is_text(one))
        {
            return Some((
                "tenant",
                format!("must be 1 to {MAX_LENGTH} printable characters"),
            ));
        }
        None
    }

    /// Refuses a filter that can never match.
    ///
    /// # Errors
    /// 422, with the field's pointer under `place`.
    pub fn checked(self, place: &str) -> Result<Self, Problem> {
        match self.fault() {
            None => Ok(self),
            Some((name, message)) => Err(refused(&format!("{place}/{name}"), message)),
        }
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text
            .chars()
            .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_')
}

fn is_type(text: &str) -> bool {
    text.len() <= MAX_LENGTH
        && text.split_once('.').is_some_and(|(domain, action)| {
            is_name(domain) && (action.is_empty() || is_name(action))
        })
}

fn is_text(text: &str) -> bool {
    text.len() <= MAX_LENGTH && !text.chars().any(char::is_control)
}

/// The problem of one wrong value.
pub fn refused(pointer: &str, message: impl Into<String>) -> Problem {
    Problem::invalid(Vec::new()).violation(pointer, message)
}
