//! The history of an aggregate as an answer: the same wherever the event log is shown.

use events::{AggregateId, AggregateType, Envelope, Sequence};
use outbox::{
    Outbox,
    log::{self, Direction},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Events, Form, PageLimit, Problem};

/// Which events.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct EventsQuery {
    /// What kind of thing they are about.
    pub aggregate_type: AggregateType,
    /// Which of them.
    pub aggregate_id: AggregateId,
    /// Which way.
    #[serde(default)]
    pub order: Order,
    /// From this number on, or back; the first or the last where nothing is said.
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

/// Which way a list is read.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Order {
    /// The oldest first.
    #[default]
    Oldest,
    /// The newest first.
    Newest,
}

/// The page that is asked for.
///
/// # Errors
/// When the log cannot be read.
pub async fn history(
    outbox: &Outbox,
    query: &EventsQuery,
    form: &Form,
) -> Result<Events<EventPage>, Problem> {
    let aggregate = format!("{}#{}", query.aggregate_type, query.aggregate_id);
    let direction = match query.order {
        Order::Oldest => Direction::OldestFirst,
        Order::Newest => Direction::NewestFirst,
    };
    let (from, limit) = (query.cursor.or(query.from_sequence), query.limit.number());
    let table = outbox.events_table().map_err(outbox::Error::from)?;
    let history = log::history(outbox.store(), table, &aggregate, direction, from, limit).await?;
    let page = EventPage {
        items: history.envelopes,
        next_cursor: history.next.map(|sequence| sequence.to_string()),
    };
    let envelopes = page.items.iter().map(|raw| raw.get());
    form.page(&page, envelopes, page.next_cursor.as_deref())
}
