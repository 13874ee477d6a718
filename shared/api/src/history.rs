//! The history of an aggregate as an answer, the same on every endpoint that shows the event log.

use events::{AggregateId, AggregateType, Contract, Envelope, Sequence};
use outbox::{
    Outbox,
    log::{self, Direction},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Events, Form, PageLimit, Problem};

/// Which events to list.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct EventsQuery {
    /// The type of the aggregate.
    pub aggregate_type: AggregateType,
    /// The id of the aggregate.
    pub aggregate_id: AggregateId,
    /// The order of the list.
    #[serde(default)]
    pub order: Order,
    /// The first event of the page. By default the oldest or the newest, depending on `order`.
    #[serde(default)]
    pub from_sequence: Option<Sequence>,
    /// `next_cursor` of the previous page; takes precedence over `from_sequence`.
    #[serde(default)]
    pub cursor: Option<Sequence>,
    /// The largest number of events on the page.
    #[serde(default)]
    pub limit: PageLimit,
}

/// Which events to list of an aggregate that the path names.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct HistoryQuery {
    /// The order of the list.
    #[serde(default)]
    pub order: Order,
    /// `next_cursor` of the previous page.
    #[serde(default)]
    pub cursor: Option<Sequence>,
    /// The largest number of events on the page.
    #[serde(default)]
    pub limit: PageLimit,
}

/// A page of one aggregate's events, ordered by sequence.
#[derive(Debug, Serialize, JsonSchema)]
pub struct EventPage {
    /// The envelopes exactly as they were committed, byte for byte.
    #[schemars(with = "Vec<Envelope>")]
    pub items: Vec<Box<RawValue>>,
    /// Where the next page begins; null if there is no further event yet.
    pub next_cursor: Option<String>,
}

/// The order of a list.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Order {
    /// Oldest first.
    #[default]
    Oldest,
    /// Newest first.
    Newest,
}

/// Reads the requested page of an aggregate's history.
///
/// # Errors
/// [`Problem`] if the event log cannot be read.
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

/// Reads the requested page of the history of the aggregate with this id that events of the type `C` are about.
///
/// # Errors
/// [`Problem`] if the event log cannot be read.
pub async fn history_of<C: Contract>(
    outbox: &Outbox,
    id: &str,
    query: HistoryQuery,
    form: &Form,
) -> Result<Events<EventPage>, Problem> {
    let internal = |error| Problem::internal(&error);
    let query = EventsQuery {
        aggregate_type: AggregateType::new(C::AGGREGATE).map_err(internal)?,
        aggregate_id: AggregateId::new(id).map_err(internal)?,
        order: query.order,
        from_sequence: None,
        cursor: query.cursor,
        limit: query.limit,
    };
    history(outbox, &query, form).await
}
