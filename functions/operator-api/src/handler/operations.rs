//! Operations: begun, paused, resumed, cancelled.

use std::sync::Arc;

use api::{Command, Path, Problem, Reply, State};
use events::{
    OperationId, Text, Violation,
    contracts::operation::{OperationAct, OperationChange},
};
use letters::{
    LetterId, Operation,
    operation::{Begin, By},
    operations::{Editing, Stopped, Wanted, can_take},
};

use super::{
    App, Beginning, checked,
    refused::{refused, refused_edit, stopped},
};
use crate::wire::{
    ChangeRequest, Conflict, EditAnswer, EditRequest, LetterPath, OperationAnswer, OperationPath,
    OperationRequest, PreviewAnswer,
};

/// How many letters a preview shows.
const SAMPLE: usize = 5;

/// The letters that a request asks for.
fn wanted(request: &OperationRequest) -> Result<Wanted, Problem> {
    let elsewhere = match request.act {
        OperationAct::Replay => Some("/api/v1/replays"),
        OperationAct::Republish => Some("/api/v1/letters/operations/republish"),
        OperationAct::Redrive | OperationAct::Discard | OperationAct::Edit => None,
    };
    if let Some(path) = elsewhere {
        let message = format!("is not about dead letters: POST {path} begins it");
        return Err(Problem::invalid(Violation::new("/act", message)));
    }
    match (&request.letters, &request.filter) {
        (Some(letters), None) => Ok(Wanted::Letters(letters.clone())),
        (None, Some(filter)) => {
            checked(filter, "/filter")?;
            Ok(Wanted::Fitting(Box::new(filter.clone())))
        }
        _ => {
            let message = "either `letters` or `filter` is required, and not both";
            Err(Problem::invalid(vec![Violation::new("", message)]))
        }
    }
}

/// POST `/letters/operations`.
///
/// # Errors
/// 409 if a letter is resolved or in another operation; 422 for an unknown letter, consumer or state, or if no letter or
/// too many letters fit; the problems that every command can return.
pub async fn begin(
    State(app): State<Arc<App>>,
    command: Command<OperationRequest>,
) -> Result<Beginning<OperationAnswer, PreviewAnswer>, Problem> {
    let wanted = wanted(command.body())?;
    if command.body().preview {
        return preview(&app, command.body(), &wanted)
            .await
            .map(Beginning::previewed);
    }
    let (app, wanted) = (&app, &wanted);
    let by = &caller(&command, Text::clone(&command.body().reason))?;
    let created = api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let begin = |operation_id: OperationId, letters: Vec<LetterId>| Begin {
            operation_id,
            act: body.act,
            selection: body.filter.clone(),
            letters,
            cap: body.cap,
            rate_per_second: body.rate(),
            canary: body.canary,
            reason: body.reason.clone(),
            actor: by.by.actor.clone(),
            key_owner: by.owner.clone(),
            edited: None,
            replay: None,
            republish: None,
        };
        let done = app
            .operations()
            .begin(&mut transaction, wanted, begin)
            .await;
        api::decided(transaction, done, refused, OperationAnswer::of)
    })
    .await?;
    Ok(Beginning::Begun(created))
}

async fn preview(
    app: &App,
    request: &OperationRequest,
    wanted: &Wanted,
) -> Result<Reply<PreviewAnswer>, Problem> {
    let selected = app.operations().select(wanted).await;
    let mut selected = selected.map_err(stopped)?;
    let count = selected.letters.len();
    let letters = selected.letters.iter();
    let skipped = letters.filter(|letter| !can_take(request.act, letter));
    let skipped = skipped.count();
    selected.letters.truncate(SAMPLE);
    Reply::of(&PreviewAnswer {
        count,
        sample: selected.letters,
        skipped,
        conflict: selected.conflict.map(|(letter_id, operation_id)| Conflict {
            letter_id,
            operation_id,
        }),
    })
}

/// Who asks, and why.
pub(super) struct Asked {
    pub(super) by: By,
    pub(super) owner: Text<256>,
}

pub(super) fn caller<T>(command: &Command<T>, reason: Text<500>) -> Result<Asked, Problem> {
    let owner = command.key_owner()?;
    Ok(Asked {
        by: By {
            reason,
            actor: command.actor(),
            key_owner: Some(owner.clone()),
        },
        owner,
    })
}

/// Whether a consumer subscribes to an event type.
fn listens(consumer: &str, event_type: &str) -> bool {
    let function = topology::function(consumer);
    let declared = function.and_then(|function| function.consumer());
    declared.is_some_and(|declared| declared.selection.takes(event_type))
}

/// POST `/letters/{letter_id}/edit`.
///
/// # Errors
/// 404 for an unknown letter; 409 if it is resolved, in an operation, or stands in the event log; 422 with every violation
/// of the edited message; the problems that every command can return.
pub async fn edit(
    State(app): State<Arc<App>>,
    Path(path): Path<LetterPath>,
    command: Command<EditRequest>,
) -> Result<Reply<EditAnswer>, Problem> {
    let (app, id) = (&app, &path.letter_id);
    let asked = &caller(&command, Text::clone(&command.body().reason))?;
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let editing = Editing {
            message: &body.message,
            listens,
            by: &asked.by,
            key_owner: &asked.owner,
        };
        let operations = app.operations();
        let done = operations.edit(&mut transaction, id, editing).await;
        api::decided(transaction, done, refused_edit, |edited| EditAnswer {
            letter_id: edited.letter.letter_id.clone(),
            operation_id: edited.operation.operation_id(),
            patch: edited.patch.clone(),
        })
    })
    .await
}

async fn change(
    app: &App,
    path: &OperationPath,
    command: &Command<ChangeRequest>,
    to: OperationChange,
) -> Result<Reply<OperationAnswer>, Problem> {
    let (by, to) = (&caller(command, command.body().reason.clone())?, &to);
    api::execute(&app.outbox, command, async move |mut transaction, _| {
        let id = path.operation_id;
        let operations = app.operations();
        let done: Result<Operation, Stopped> = operations
            .change(&mut transaction, id, *to, by.by.clone())
            .await;
        api::decided(transaction, done, refused, OperationAnswer::of)
    })
    .await
}

/// POST `/letters/operations/{operation_id}/pause`.
///
/// # Errors
/// 404 for an unknown operation; 409 if its status does not allow it; the problems that every command can return.
pub async fn pause(
    State(app): State<Arc<App>>,
    Path(path): Path<OperationPath>,
    command: Command<ChangeRequest>,
) -> Result<Reply<OperationAnswer>, Problem> {
    change(&app, &path, &command, OperationChange::Paused).await
}

/// POST `/letters/operations/{operation_id}/resume`.
///
/// # Errors
/// As [`pause`].
pub async fn resume(
    State(app): State<Arc<App>>,
    Path(path): Path<OperationPath>,
    command: Command<ChangeRequest>,
) -> Result<Reply<OperationAnswer>, Problem> {
    change(&app, &path, &command, OperationChange::Resumed).await
}

/// POST `/letters/operations/{operation_id}/cancel`.
///
/// # Errors
/// As [`pause`].
pub async fn cancel(
    State(app): State<Arc<App>>,
    Path(path): Path<OperationPath>,
    command: Command<ChangeRequest>,
) -> Result<Reply<OperationAnswer>, Problem> {
    change(&app, &path, &command, OperationChange::Cancelled).await
}
