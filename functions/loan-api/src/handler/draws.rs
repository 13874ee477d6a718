//! Draws: asked for by one, decided on by another.

use std::sync::Arc;

use api::{Command, Created, Path, Problem, Reply, State};
use events::Text;
use loan::{
    Refusal,
    draw::{Draw, DrawStatus},
    loan::Course,
};

use super::{App, refused};
use crate::wire::{ApproveRequest, DrawAnswer, DrawPath, DrawRequest, LoanPath, ReasonRequest};

/// POST `/loans/{loan_id}/draws`.
///
/// # Errors
/// 404 for an unknown loan; 409 where its status or what is left does not allow it; what every command has.
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
        let ask = |course: Course| course.request_draw(draw_id, amount, by.clone());
        let done = operations.step(&mut transaction, *loan_id, ask).await;
        api::decided(transaction, done, refused, |course| DrawAnswer {
            draw_id,
            loan_id: *loan_id,
            status: DrawStatus::Requested,
            available: course.state().available(),
        })
    })
    .await
}

/// A decision on a draw that is there, by the owner of the key.
async fn decide<T>(
    app: &App,
    path: &DrawPath,
    command: &Command<T>,
    status: DrawStatus,
    decide: impl Fn(Course, &Draw, Text<64>, &T) -> Result<Course, Refusal>,
) -> Result<Reply<DrawAnswer>, Problem> {
    let (decide, status) = (&decide, &status);
    let by = command.caller().owner().as_text();
    api::execute(&app.outbox, command, async move |mut transaction, body| {
        let operations = app.operations();
        let decide = |course: Course, draw: &_| decide(course, draw, by.clone(), body);
        let done = operations
            .decide(&mut transaction, path.loan_id, path.draw_id, decide)
            .await;
        api::decided(transaction, done, refused, |course| DrawAnswer {
            draw_id: path.draw_id,
            loan_id: path.loan_id,
            status: *status,
            available: course.state().available(),
        })
    })
    .await
}

/// POST `/loans/{loan_id}/draws/{draw_id}/approve`.
///
/// # Errors
/// 403 for the owner of the key that asked for it; 404 for an unknown loan or draw; 409 once it is decided on or where less is
/// left; what every command has.
pub async fn approve(
    State(app): State<Arc<App>>,
    Path(path): Path<DrawPath>,
    command: Command<ApproveRequest>,
) -> Result<Reply<DrawAnswer>, Problem> {
    let approve = |course: Course, draw: &Draw, by, _: &_| course.approve_draw(draw, by);
    decide(&app, &path, &command, DrawStatus::Approved, approve).await
}

/// POST `/loans/{loan_id}/draws/{draw_id}/reject`.
///
/// # Errors
/// 404 for an unknown loan or draw; 409 once it is decided on; what every command has.
pub async fn reject(
    State(app): State<Arc<App>>,
    Path(path): Path<DrawPath>,
    command: Command<ReasonRequest>,
) -> Result<Reply<DrawAnswer>, Problem> {
    let reject = |course: Course, draw: &Draw, by, body: &ReasonRequest| {
        course.reject_draw(draw, by, body.reason.clone())
    };
    decide(&app, &path, &command, DrawStatus::Rejected, reject).await
}
