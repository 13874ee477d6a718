//! Republications: previewed and begun. They are operations, and listed, shown, paused, resumed and cancelled as such.

use std::sync::Arc;

use api::{Command, Problem, Reply, State};
use events::{Text, Timestamp, contracts::operation::RepublishSelection};
use letters::{replay::ROWS_PER_SECOND, republish::BeginRepublish};

use super::{
    App, Beginning,
    operations::caller,
    refused::{refused, stopped},
    replays::{READ_UNIT_BYTES, log_size},
};
use crate::wire::{RepublishAnswer, RepublishPreview, RepublishRequest};

/// Which events a request is about.
fn selection(request: &RepublishRequest, now: Timestamp) -> RepublishSelection {
    RepublishSelection {
        to: now.minus(request.older_than()),
        include_failed: request.include_failed,
        limit: request.limit,
    }
}

/// POST `/letters/operations/republish`.
///
/// # Errors
/// 409 if pending events are being published already, or too many operations are unfinished; the problems that every command
/// can return.
pub async fn begin(
    State(app): State<Arc<App>>,
    command: Command<RepublishRequest>,
) -> Result<Beginning<RepublishAnswer, RepublishPreview>, Problem> {
    let app = &app;
    if command.body().preview {
        return preview(app, command.body()).await.map(Beginning::previewed);
    }
    let by = &caller(&command, Text::clone(&command.body().reason))?;
    let created = api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let begin = BeginRepublish {
            selection: selection(body, transaction.now()),
            rate_per_second: body.rate(),
            by: by.by.clone(),
            key_owner: by.owner.clone(),
        };
        let operations = app.operations();
        let done = operations.begin_republish(&mut transaction, begin).await;
        api::decided(transaction, done, refused, RepublishAnswer::of)
    })
    .await?;
    Ok(Beginning::Begun(created))
}

async fn preview(
    app: &App,
    request: &RepublishRequest,
) -> Result<Reply<RepublishPreview>, Problem> {
    app.operations().can_republish().await.map_err(stopped)?;
    let log = log_size(app).await;
    Reply::of(&RepublishPreview {
        republish: selection(request, app.outbox.clock().now()),
        // With a limit it may end long before the log does.
        seconds_at_least: log
            .filter(|_| request.limit.is_none())
            .map(|log| log.rows.div_ceil(ROWS_PER_SECOND.into())),
        log_rows: log.map(|log| log.rows),
        log_bytes: log.map(|log| log.bytes),
        read_units: log.map(|log| log.bytes.div_ceil(READ_UNIT_BYTES)),
    })
}
