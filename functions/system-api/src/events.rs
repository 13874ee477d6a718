//! Events looked up: the history of an aggregate, one by its id, what happened lately, what became of one.

use std::{str::FromStr as _, sync::Arc};

use api::{
    CursorToken, Events, Form, MomentInput, OneEvent, Path, Problem, Query, Reply, State,
    history::{EventPage, EventsQuery, history},
};
use events::{Envelope, EventId, EventType, Timestamp, Violation};
use evidence::Journey;
use outbox::Cursor;
use schemars::JsonSchema;
use serde::{Deserialize, Deserializer, Serialize, de};
use serde_json::{json, value::RawValue};
use views::feed::{Found, Recent, find};

use crate::router::App;

pub(crate) const RECENT: &str = "\
Newest first, as the feed has them: every event some moments after it was committed, for as many days as the deployment keeps the \
feed. `from` and `to` are about that moment, `recorded_at`. A page looks at 5,000 events at most, so it may have fewer items than \
asked for, even none: go on with `next_cursor` until it is null.";

pub(crate) const JOURNEY: &str = "\
When it was committed, when it was published, and how far each consumer is that listens to it, by the consumer's own evidence. A \
dead letter is told by what the consumer wrote down when it parked the event; a consumer that only projects by guard \
(`wallet-balances`) writes down nothing, its event then waits.";

/// A domain: the first part of an event's type.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Domain(#[schemars(regex(pattern = r"^[a-z][a-z0-9_]*$"), length(max = 64))] String);

impl<'de> Deserialize<'de> for Domain {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        match EventType::new(format!("{text}.any")) {
            Ok(_) => Ok(Self(text)),
            Err(_) => Err(de::Error::custom("is no domain")),
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

/// Which event.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct EventPath {
    /// Its id.
    pub event_id: String,
}

impl App {
    async fn find(&self, event_id: &str) -> Result<Found, Problem> {
        let unknown = || {
            Problem::not_found(
                "an event can be looked up by its id some moments after its commit, and as long as the log or the feed keeps it",
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

/// How many recent events: 50 where nothing is said.
#[derive(Debug, Clone, Copy, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct RecentLimit(#[schemars(range(min = 1, max = 100))] u32);

impl Default for RecentLimit {
    fn default() -> Self {
        Self(50)
    }
}

/// Which recent events.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct RecentQuery {
    /// Only events of this type.
    #[serde(default, rename = "type")]
    pub event_type: Option<EventType>,
    /// Only events of this domain.
    #[serde(default)]
    pub domain: Option<Domain>,
    /// Recorded from this moment or day on.
    #[serde(default)]
    pub from: Option<MomentInput>,
    /// Recorded before this moment or day.
    #[serde(default)]
    pub to: Option<MomentInput>,
    /// How many at most, 1 to 100.
    #[serde(default)]
    pub limit: RecentLimit,
    /// Go on where the page before ended.
    #[serde(default)]
    pub cursor: Option<CursorToken>,
}

/// A recent event.
#[derive(Debug, Serialize, JsonSchema)]
pub struct RecentItem {
    /// Its place in the feed: what the event stream gives as its id.
    pub position: u64,
    /// When the feed got it.
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
    /// Where to look on; null where everything was looked at.
    pub next_cursor: Option<CursorToken>,
}

/// What a cursor of this list is sealed with.
fn list_of(query: &RecentQuery) -> String {
    let moment = |one: Option<MomentInput>| one.map(|one| one.moment().to_string());
    let domain = query.domain.as_ref().map(|domain| &domain.0);
    let span = (moment(query.from), moment(query.to));
    format!("recent#{:?}#{domain:?}#{span:?}", query.event_type)
}

pub(crate) async fn recent(
    State(app): State<Arc<App>>,
    form: Form,
    Query(query): Query<RecentQuery>,
) -> Result<Events<RecentPage>, Problem> {
    let moment = |one: Option<MomentInput>| one.map(MomentInput::moment);
    let (from, to) = (moment(query.from), moment(query.to));
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
