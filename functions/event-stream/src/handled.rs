//! Which consumers have handled an event, by what they themselves leave as evidence.

use std::{str::FromStr as _, sync::Arc};

use api::{Path, Problem, Reply, State};
use events::{Envelope, EventId, Evidence, Registry, Sequence};
use futures::future::try_join_all;
use outbox::Outbox;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use views::feed::Place;

use evidence::{Block, Shown, Tables, Watched, watched};

use crate::router::App;

/// Which event.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct EventPath {
    /// Its id.
    pub event_id: String,
}

/// How far a consumer is with an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Handling {
    /// Its evidence is there.
    Handled,
    /// There is none yet: it waits in a lane, for a retry, or as a letter.
    Waiting,
    /// Its aggregate waits for a parked event.
    Blocked,
    /// It is not what the consumer takes, or the evidence says something else: see the audit.
    Unclear,
}

/// A consumer and an event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HandledBy {
    /// Who listens to it.
    pub consumer: &'static str,
    /// What shows that it was handled: `mark`, `guard` or `cursor`.
    pub evidence: &'static str,
    /// How far it is.
    pub state: Handling,
}

pub(crate) async fn handled(
    State(app): State<Arc<App>>,
    Path(path): Path<EventPath>,
) -> Result<Reply<Vec<HandledBy>>, Problem> {
    let unknown = || Problem::not_found("the feed has no event of this id");
    let id = EventId::from_str(&path.event_id).map_err(|_| unknown())?;
    let place = app.outbox.row::<Place>(&Place::key(&app.feed, id)).await?;
    let place = place.ok_or_else(unknown)?;
    let number = Sequence::new(place.sequence).map_err(|error| Problem::internal(&error))?;
    let found = app.outbox.history(&place.aggregate, number, 1).await?;
    let envelope = found
        .envelopes
        .first()
        .and_then(|json| Registry::read(json.get()).ok())
        .filter(|envelope| envelope.event_id == id)
        .ok_or_else(unknown)?;
    let asked = watched()
        .into_iter()
        .map(|one| handled_by(&app.outbox, &app.tables, &envelope, one));
    let found: Vec<HandledBy> = try_join_all(asked).await?.into_iter().flatten().collect();
    Reply::of(&found)
}

async fn handled_by(
    outbox: &Outbox,
    tables: &Tables,
    envelope: &Envelope,
    consumer: Watched,
) -> Result<Option<HandledBy>, Problem> {
    let Some(evidence) = consumer.evidence(envelope.event_type.as_str()) else {
        return Ok(None);
    };
    let state = match consumer.proof(envelope, tables) {
        Ok(None) => return Ok(None),
        Err(_) => Handling::Unclear,
        Ok(Some(proof)) => {
            let item = outbox.store().get(proof.key()).await?;
            match proof.shown_by(item.as_ref()) {
                Shown::Yes => Handling::Handled,
                Shown::Otherwise => Handling::Unclear,
                Shown::No if item.as_ref().and_then(Block::of).is_some() => Handling::Blocked,
                Shown::No => Handling::Waiting,
            }
        }
    };
    Ok(Some(HandledBy {
        consumer: consumer.name,
        evidence: match evidence {
            Evidence::Mark => "mark",
            Evidence::Guard => "guard",
            Evidence::Cursor => "cursor",
        },
        state,
    }))
}
