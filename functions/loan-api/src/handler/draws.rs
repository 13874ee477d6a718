//! Draws: one person requests a draw, another one decides on it.

use std::sync::Arc;

use api::{Command, Created, Path, Problem, Reply, State};
use events::Text;
use loan::{
    Refusal,
    draw::{Draw, DrawStatus},
    loan::LoanChange,
};

use super::{App, refused};
use crate::wire::{ApproveRequest, DrawAnswer, DrawPath, DrawRequest, LoanPath, ReasonRequest};

/// POST `/loans/{loan_id}/draws`.
///
/// # Errors
/// 404 for an unknown loan; 409 if its status or the available amount does not allow it; the problems that every
/// command can return.
pub async fn request(
    State(app): State<Arc<App>>,
    Path(path): Path<LoanPath>,
    command: Command<DrawRequest>,
) -> Result<Created<DrawAnswer>, Problem> {
    let (app, loan_id) = (&app, &path.loan_id);
    let by = command.caller().owner().as_text();
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let draw_id = transaction.uuid().into();
        let operations = app.operations();
        let amount = body.amount.amount();
        let ask = |change: LoanChange| change.request_draw(draw_id, amount, by.clone());
        let done = operations.step(&mut transaction, *loan_id, ask).await;
        api::decided(transaction, done, refused, |change| DrawAnswer {
            draw_id,
            loan_id: *loan_id,
            status: DrawStatus::Requested,
            available: change.state().available(),
        })
    })
    .await
}

/// Decides on an existing draw, on behalf of the owner of the key.
async fn decide<T>(
    app: &App,
    path: &DrawPath,
    command: &Command<T>,
    status: DrawStatus,
    decide: impl Fn(LoanChange, &Draw, Text<64>, &T) -> Result<LoanChange, Refusal>,
) -> Result<Reply<DrawAnswer>, Problem> {
    let (decide, status) = (&decide, &status);
    let by = command.caller().owner().as_text();
    api::execute(&app.outbox, command, async move |mut transaction, body| {
        let operations = app.operations();
        let decide = |change: LoanChange, draw: &_| decide(change, draw, by.clone(), body);
        let done = operations
            .decide(&mut transaction, path.loan_id, path.draw_id, decide)
            .await;
        api::decided(transaction, done, refused, |change| DrawAnswer {
            draw_id: path.draw_id,
            loan_id: path.loan_id,
            status: *status,
            available: change.state().available(),
        })
    })
    .await
}

/// POST `/loans/{loan_id}/draws/{draw_id}/approve`.
///
/// # Errors
/// 403 if the owner of the caller's key requested the draw; 404 for an unknown loan or draw; 409 once it is decided, or
/// if less is available; the problems that every command can return.
pub async fn approve(
    State(app): State<Arc<App>>,
    Path(path): Path<DrawPath>,
    command: Command<ApproveRequest>,
) -> Result<Reply<DrawAnswer>, Problem> {
    let approve = |change: LoanChange, draw: &Draw, by, _: &_| change.approve_draw(draw, by);
    decide(&app, &path, &command, DrawStatus::Approved, approve).await
}

/// POST `/loans/{loan_id}/draws/{draw_id}/reject`.
///
/// # Errors
/// 404 for an unknown loan or draw; 409 once it is decided; the problems that every command can return.
pub async fn reject(
    State(app): State<Arc<App>>,
    Path(path): Path<DrawPath>,
    command: Command<ReasonRequest>,
) -> Result<Reply<DrawAnswer>, Problem> {
    let reject = |change: LoanChange, draw: &Draw, by, body: &ReasonRequest| {
        change.reject_draw(draw, by, body.reason.clone())
    };
    decide(&app, &path, &command, DrawStatus::Rejected, reject).await
}
