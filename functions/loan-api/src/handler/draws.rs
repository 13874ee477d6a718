//! Draws: asked for by one, decided on by another.

use std::sync::Arc;

use api::{Caller, Command, Created, Path, Problem, Reply, State};
use events::Text;
use loan::{
    draw::DrawStatus,
    loan::Course,
    operations::{Stopped, name_of},
};

use super::{App, refused};
use crate::wire::{ApproveRequest, DrawAnswer, DrawPath, DrawRequest, LoanPath, ReasonRequest};

/// Who asks or decides, as events name them.
fn name(caller: &Caller) -> Result<Text<64>, Stopped> {
    Ok(name_of(&caller.owner().to_string())?)
}

/// POST `/loans/{loan_id}/draws`.
///
/// # Errors
/// 404 for an unknown loan; 409 where its status or what is left does not allow it; what every command has.
pub async fn request(
    State(app): State<Arc<App>>,
    Path(path): Path<LoanPath>,
    command: Command<DrawRequest>,
) -> Result<Created<DrawAnswer>, Problem> {
    let (app, loan_id, caller) = (&app, &path.loan_id, command.caller());
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let draw_id = transaction.uuid().into();
        let operations = app.operations();
        let done = match name(caller) {
            Ok(by) => {
                let ask = |course: Course| course.request_draw(draw_id, body.amount.amount(), by);
                operations.step(&mut transaction, *loan_id, ask).await
            }
            Err(stopped) => Err(stopped),
        };
        api::decided(transaction, done, refused, |course| DrawAnswer {
            draw_id,
            loan_id: *loan_id,
            status: DrawStatus::Requested,
            available: course.state().available(),
        })
    })
    .await
}

/// POST `/loans/{loan_id}/draws/{draw_id}/approve`.
///
/// # Errors
/// 403 for the owner of the key that asked for it; 404 for an unknown loan or draw; 409 once it is decided on or where less is left; what every
/// command has.
pub async fn approve(
    State(app): State<Arc<App>>,
    Path(path): Path<DrawPath>,
    command: Command<ApproveRequest>,
) -> Result<Reply<DrawAnswer>, Problem> {
    let (app, path, caller) = (&app, &path, command.caller());
    api::execute(&app.outbox, &command, async move |mut transaction, _| {
        let operations = app.operations();
        let done = match name(caller) {
            Ok(by) => {
                let decide = |course: Course, draw: &_| course.approve_draw(draw, by);
                operations
                    .decide(&mut transaction, path.loan_id, path.draw_id, decide)
                    .await
            }
            Err(stopped) => Err(stopped),
        };
        api::decided(transaction, done, refused, |course| DrawAnswer {
            draw_id: path.draw_id,
            loan_id: path.loan_id,
            status: DrawStatus::Approved,
            available: course.state().available(),
        })
    })
    .await
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
    let (app, path, caller) = (&app, &path, command.caller());
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let operations = app.operations();
        let done = match name(caller) {
            Ok(by) => {
                let decide =
                    |course: Course, draw: &_| course.reject_draw(draw, by, body.reason.clone());
                operations
                    .decide(&mut transaction, path.loan_id, path.draw_id, decide)
                    .await
            }
            Err(stopped) => Err(stopped),
        };
        api::decided(transaction, done, refused, |course| DrawAnswer {
            draw_id: path.draw_id,
            loan_id: path.loan_id,
            status: DrawStatus::Rejected,
            available: course.state().available(),
        })
    })
    .await
}
