//! The history of an aggregate as an answer: the same wherever the event log is shown.

use events::{AggregateId, AggregateType, Envelope, Sequence};
use outbox::Outbox;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{PageLimit, Problem, Reply};

/// Which events.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct EventsQuery {
    /// What kind of thing they are about.
    pub aggregate_type: AggregateType,
    /// Which of them.
    pub aggregate_id: AggregateId,
    /// From this number on; 1 where nothing is said.
    #[serde(default)]
    pub from_sequence: Option<Sequence>,
    /// `next_cursor` of the page before; outranks `from_sequence`.
    #[serde(default)]
    pub cursor: Option<Sequence>,
    /// How many events at most.
    #[serde(default)]
    pub limit: PageLimit,
}

/// Events of one aggregate, by their number.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EventPage {
    /// The envelopes as they were committed, byte for byte.
    #[schemars(with = "Vec<Envelope>")]
    pub items: Vec<Box<RawValue>>,
    /// Where the next page begins; null where there is no later event yet.
    pub next_cursor: Option<String>,
}

/// The page that is asked for.
///
/// # Errors
/// When the log cannot be read.
pub async fn history(outbox: &Outbox, query: &EventsQuery) -> Result<Reply<EventPage>, Problem> {
    let aggregate = format!("{}#{}", query.aggregate_type, query.aggregate_id);
    let from = match query.cursor.or(query.from_sequence) {
        Some(from) => from,
        None => Sequence::new(1).map_err(|error| Problem::internal(&error))?,
    };
    let history = outbox
        .history(&aggregate, from, query.limit.number())
        .await?;
    Reply::of(&EventPage {
        items: history.envelopes,
        next_cursor: history.next.map(|sequence| sequence.to_string()),
    })
}
