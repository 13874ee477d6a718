//! Reads events: the history of an aggregate, one event by its id, recent events, and the journey of an event.

use std::{str::FromStr as _, sync::Arc};

use api::{
    CursorToken, Events, Form, OneEvent, Path, Problem, Query, Reply, State, TimestampInput,
    history::{EventPage, EventsQuery, history},
};
use events::{Envelope, EventId, EventType, Timestamp, Violation, unknown_domain};
use evidence::{HandledBy, Journey, handled_by};
use outbox::Cursor;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{json, value::RawValue};
use views::feed::{Found, Recent, find};

use crate::router::App;

pub(crate) const RECENT: &str = "\
Newest first, from the feed, which records every event some moments after its commit and keeps it for the days that the deployment \
sets. `from` and `to` refer to that moment, `recorded_at`. A page examines at most 5,000 events, so it may have fewer items than \
requested, or none: continue with `next_cursor` until it is null.";

pub(crate) const JOURNEY: &str = "\
When the event was committed and published, and the state of each of its consumers, by the consumer's own evidence. A dead letter \
is known from the record that the consumer writes when it parks the event.";

/// A domain: the first part of an event's type.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Domain(#[schemars(regex(pattern = r"^[a-z][a-z0-9_]*$"), length(max = 64))] String);

impl Domain {
    /// Refuses a domain that does not exist: no event will ever match it.
    fn checked(&self) -> Result<(), Violation> {
        unknown_domain(&self.0).map_or(Ok(()), |meant| {
            let message = format!("is not a known domain{meant}");
            Err(Violation::new("/query/domain", message))
        })
    }
}

impl<'de> Deserialize<'de> for Domain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match EventType::new(format!("{text}.any")) {
            Ok(_) => Ok(Self(text)),
            Err(_) => Err(de::Error::custom("is not a domain")),
        }
    }
}

pub(crate) async fn log(
    State(app): State<Arc<App>>,
    form: Form,
    Query(query): Query<EventsQuery>,
) -> Result<Events<EventPage>, Problem> {
    history(&app.outbox, &query, &form).await
}

/// The path parameter of an event.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct EventPath {
    /// The event's id.
    pub event_id: String,
}

impl App {
    async fn find(&self, event_id: &str) -> Result<Found, Problem> {
        let unknown = || {
            Problem::not_found(
                "an event can be found by its id from some moments after its commit until the event log and the feed have deleted it",
            )
        };
        let id = EventId::from_str(event_id).map_err(|_| unknown())?;
        find(&self.outbox, &self.feed, id)
            .await?
            .ok_or_else(unknown)
    }
}

pub(crate) async fn one(
    State(app): State<Arc<App>>,
    form: Form,
    Path(path): Path<EventPath>,
) -> Result<OneEvent, Problem> {
    form.one(app.find(&path.event_id).await?.json)
}

/// The number of recent events, 50 by default.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct RecentLimit(#[schemars(range(min = 1, max = 100))] u32);

impl Default for RecentLimit {
    fn default() -> Self {
        Self(50)
    }
}

/// The query of recent events.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RecentQuery {
    /// Only events of this type. A type without a contract is accepted: other repositories may publish it.
    #[serde(default, rename = "type")]
    pub event_type: Option<EventType>,
    /// Only events of this domain. An unknown domain is refused with the nearest known one.
    #[serde(default)]
    pub domain: Option<Domain>,
    /// Only events recorded from this time or day on.
    #[serde(default)]
    pub from: Option<TimestampInput>,
    /// Only events recorded before this time or day.
    #[serde(default)]
    pub to: Option<TimestampInput>,
    /// The maximum number of items, 1 to 100.
    #[serde(default)]
    pub limit: RecentLimit,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<CursorToken>,
}

/// A recent event.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RecentItem {
    /// Its position in the feed, which is also its id in the event stream.
    pub position: u64,
    /// When the feed recorded it.
    pub recorded_at: Timestamp,
    /// The envelope as it was committed, byte for byte.
    #[schemars(with = "Envelope")]
    pub event: Box<RawValue>,
}

/// Recent events, newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RecentPage {
    /// The events.
    pub items: Vec<RecentItem>,
    /// The cursor of the next page; null after the last page.
    pub next_cursor: Option<CursorToken>,
}

/// Returns the text with which the cursors of this list are sealed.
fn list_of(query: &RecentQuery) -> String {
    let timestamp = |one: Option<TimestampInput>| one.map(|one| one.timestamp().to_string());
    let domain = query.domain.as_ref().map(|domain| &domain.0);
    let span = (timestamp(query.from), timestamp(query.to));
    format!("recent#{:?}#{domain:?}#{span:?}", query.event_type)
}

pub(crate) async fn recent(
    State(app): State<Arc<App>>,
    form: Form,
    Query(query): Query<RecentQuery>,
) -> Result<Events<RecentPage>, Problem> {
    if let Some(domain) = &query.domain {
        domain
            .checked()
            .map_err(|unknown| Problem::invalid(vec![unknown]))?;
    }
    let timestamp = |one: Option<TimestampInput>| one.map(TimestampInput::timestamp);
    let (from, to) = (timestamp(query.from), timestamp(query.to));
    if from.zip(to).is_some_and(|(from, to)| from >= to) {
        let wrong = Violation::new("/query/from", "is not before `to`");
        return Err(Problem::invalid(vec![wrong]));
    }
    let list = list_of(&query);
    let before = match &query.cursor {
        None => None,
        Some(cursor) => cursor
            .open(&list)?
            .0
            .get("before")
            .and_then(serde_json::Value::as_u64),
    };
    let wanted = Recent {
        event_type: query.event_type.as_ref().map(ToString::to_string),
        domain: query.domain.as_ref().map(|domain| domain.0.clone()),
        from,
        to,
        before,
        limit: usize::try_from(query.limit.0).unwrap_or(usize::MAX),
    };
    let (rows, next) = wanted.read(&app.outbox, &app.feed).await?;
    let items = rows.into_iter().map(|row| {
        Ok(RecentItem {
            position: row.position,
            recorded_at: row.fed_at,
            event: RawValue::from_string(row.envelope)?,
        })
    });
    let items: Result<Vec<RecentItem>, serde_json::Error> = items.collect();
    let next = next.and_then(|before| json!({ "before": before }).as_object().cloned());
    let page = RecentPage {
        items: items.map_err(|error| Problem::internal(&error))?,
        next_cursor: next.map(|next| CursorToken::seal(&list, &Cursor(next))),
    };
    let envelopes = page.items.iter().map(|item| item.event.get());
    let next = page.next_cursor.as_ref().map(ToString::to_string);
    form.page(&page, envelopes, next.as_deref())
}

pub(crate) async fn handled(
    State(app): State<Arc<App>>,
    Path(path): Path<EventPath>,
) -> Result<Reply<Vec<HandledBy>>, Problem> {
    let found = app.find(&path.event_id).await?;
    Reply::of(&handled_by(&app.outbox, &app.evidence, &found.envelope).await?)
}

pub(crate) async fn journey(
    State(app): State<Arc<App>>,
    Path(path): Path<EventPath>,
) -> Result<Reply<Journey>, Problem> {
    let found = app.find(&path.event_id).await?;
    Reply::of(&Journey::of(&app.outbox, &app.evidence, found).await?)
}

#[cfg(test)]
mod tests {
    use events::Registry;

    use super::*;

    #[test]
    fn a_domain_is_the_first_part_of_a_type() {
        let read = |text: &str| serde_json::from_value::<Domain>(text.into()).is_ok();
        assert!(read("loan") && read("erp2"));
        assert!(!read("") && !read("loan.") && !read("Loan") && !read("a.b"));
        assert!(
            Registry::shipped_contracts()
                .iter()
                .all(|one| { one.event_type.split('.').next().is_some_and(read) })
        );
    }
}
