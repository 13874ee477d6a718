//! The read endpoints.

use std::sync::Arc;

use api::{CursorToken, Page, PageQuery, Path, Problem, Query, Reply, State};
use events::Sequence;
use evidence::handled_by;
use futures::future::try_join_all;
use letters::{
    Body, Letter, Operation,
    listing::LISTED,
    operation::{OPERATIONS, Progress},
};
use outbox::Entity;

use super::{App, checked, refused::unknown_operation};
use crate::wire::{
    CriteriaQuery, GroupsAnswer, LetterAnswer, LetterPath, LettersPage, LettersQuery,
    OperationPath, OperationView, ProgressView,
};

/// GET `/letters`.
///
/// # Errors
/// 422 for an unknown consumer or state.
pub async fn letters(
    State(app): State<Arc<App>>,
    Query(asked): Query<LettersQuery>,
) -> Result<Reply<LettersPage>, Problem> {
    let criteria = asked.wanted.criteria();
    checked(&criteria, "/query")?;
    let list = format!("letters#{criteria:?}");
    let after = asked.cursor.as_ref().map(|cursor| cursor.open(&list));
    let limit = usize::try_from(asked.limit.number()).unwrap_or(usize::MAX);
    let (items, next) = app
        .letters()
        .page(&criteria, limit, after.transpose()?)
        .await?;
    Reply::of(&LettersPage {
        items,
        next_cursor: next.map(|next| CursorToken::seal(&list, &next)),
    })
}

/// GET `/letters/groups`.
///
/// # Errors
/// 422 for an unknown consumer or state.
pub async fn groups(
    State(app): State<Arc<App>>,
    Query(asked): Query<CriteriaQuery>,
) -> Result<Reply<GroupsAnswer>, Problem> {
    let criteria = asked.criteria();
    checked(&criteria, "/query")?;
    let letters = app.letters();
    let (mut items, truncated) = letters.groups(&criteria).await?;
    let notes = items.iter().map(|group| letters.note(&group.signature_id));
    let notes = try_join_all(notes).await?;
    for (group, note) in items.iter_mut().zip(notes) {
        group.note = note;
    }
    Reply::of(&GroupsAnswer { items, truncated })
}

/// GET `/letters/{letter_id}`.
///
/// # Errors
/// 404 for an unknown letter.
pub async fn letter(
    State(app): State<Arc<App>>,
    Path(path): Path<LetterPath>,
) -> Result<Reply<LetterAnswer>, Problem> {
    let id = &path.letter_id;
    let entity: Entity<Letter> = app.outbox.load(&app.config.letters, id.as_str()).await?;
    let letter = entity.state().cloned().ok_or_else(|| {
        Problem::not_found(format!("there is no letter {id}")).with("letter_id", id.as_str())
    })?;
    let message: Option<Body> = app.outbox.row(&Body::key(&app.config.letters, id)).await?;
    let envelope = message.as_ref().and_then(Body::envelope);
    let handled_by = match &envelope {
        Some(envelope) => handled_by(&app.outbox, &app.config.evidence, envelope).await?,
        None => Vec::new(),
    };
    Reply::of(&LetterAnswer {
        letter,
        message,
        handled_by,
    })
}

impl App {
    /// Adds to an operation how far it has got.
    async fn view(&self, operation: Operation) -> Result<OperationView, Problem> {
        let id = operation.operation_id();
        let operations = self.operations();
        let (entity, progress): (Entity<Operation>, Entity<Progress>) =
            futures::try_join!(operations.operation(id), operations.progress(id))?;
        let operation = entity.state().cloned().unwrap_or(operation);
        let progress = progress
            .state()
            .map(|one| ProgressView::of(&operation, one));
        let version = Sequence::new(entity.version());
        Ok(OperationView {
            operation,
            progress: progress.unwrap_or_default(),
            version: version.map_err(|error| Problem::internal(&error))?,
        })
    }
}

/// GET `/letters/operations`.
///
/// # Errors
/// 400 for a cursor of another list.
pub async fn operations(
    State(app): State<Arc<App>>,
    Query(page): Query<PageQuery>,
) -> Result<Reply<Page<OperationView>>, Problem> {
    let query = outbox::Query {
        index: Some(LISTED),
        descending: true,
        ..outbox::Query::partition(&app.config.letters, OPERATIONS, page.limit.number())
    };
    let query = page.apply(query)?;
    let (rows, next) = app.outbox.rows::<Operation>(&query).await?;
    let views = try_join_all(rows.into_iter().map(|row| app.view(row))).await?;
    Reply::of(&Page::of(&query, views, next.as_ref()))
}

/// GET `/letters/operations/{operation_id}`.
///
/// # Errors
/// 404 for an unknown operation.
pub async fn operation(
    State(app): State<Arc<App>>,
    Path(path): Path<OperationPath>,
) -> Result<Reply<OperationView>, Problem> {
    let id = path.operation_id;
    let entity = app.operations().operation(id).await?;
    let operation = entity.state().cloned();
    let operation = operation.ok_or_else(|| unknown_operation(id))?;
    Reply::of(&app.view(operation).await?)
}
