//! Reports which consumers have handled an event, from the evidence that the consumers themselves write.

use std::{str::FromStr as _, sync::Arc};

use api::{Path, Problem, Reply, State};
use events::EventId;
use evidence::{HandledBy, handled_by};
use schemars::JsonSchema;
use serde::Deserialize;
use views::feed::{Found, find};

use crate::router::App;

/// The path parameter of an event.
#[derive(Debug, Deserialize, JsonSchema)]
pub struct EventPath {
    /// The event's id.
    pub event_id: String,
}

pub(crate) async fn handled(
    State(app): State<Arc<App>>,
    Path(path): Path<EventPath>,
) -> Result<Reply<Vec<HandledBy>>, Problem> {
    let unknown = || Problem::not_found("the feed has no event of this id");
    let id = EventId::from_str(&path.event_id).map_err(|_| unknown())?;
    let Found { envelope, .. } = find(&app.outbox, &app.feed, id)
        .await?
        .ok_or_else(unknown)?;
    Reply::of(&handled_by(&app.outbox, &app.tables, &envelope).await?)
}
