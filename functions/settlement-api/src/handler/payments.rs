//! Payments.

use std::sync::Arc;

use api::{Command, Created, Path, Problem, Reply, State};
use events::{PaymentId, Sequence};
use serde::Serialize;
use settlement::{
    Refusal,
    payment::{Create, PaymentChange},
};

use super::{App, refused, unknown_payment};
use crate::wire::{
    PaymentAnswer, PaymentFailure, PaymentPath, PaymentRefundAnswer, PaymentRefundRequest,
    PaymentRequest, PaymentStep, PaymentView,
};

fn answer(change: &PaymentChange) -> PaymentAnswer {
    PaymentAnswer {
        payment_id: change.state().payment_id(),
        status: change.state().status(),
    }
}

/// POST `/payments`.
///
/// # Errors
/// The problems that every command can return.
pub async fn create(
    State(app): State<Arc<App>>,
    command: Command<PaymentRequest>,
) -> Result<Created<PaymentAnswer>, Problem> {
    let app = &app;
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let create = Create {
            payment_id: transaction.uuid().into(),
            amount: body.amount.amount(),
            currency: body.currency,
            reference: body.reference.clone(),
        };
        let settlements = app.settlements();
        let done = settlements.create_payment(&mut transaction, create).await;
        api::decided(transaction, done, refused, answer)
    })
    .await
}

/// Applies a step to an existing payment.
async fn step<T, A: Serialize, const STATUS: u16>(
    app: &App,
    payment_id: &PaymentId,
    command: &Command<T>,
    step: impl Fn(PaymentChange, &T) -> Result<PaymentChange, Refusal>,
    answer: impl Fn(&PaymentChange) -> A,
) -> Result<Reply<A, STATUS>, Problem> {
    let (step, answer) = (&step, &answer);
    api::execute(&app.outbox, command, async move |mut transaction, body| {
        let settlements = app.settlements();
        let done = settlements
            .step_payment(&mut transaction, *payment_id, |change| step(change, body))
            .await;
        api::decided(transaction, done, refused, |change| answer(change))
    })
    .await
}

/// POST `/payments/{payment_id}/authorize`.
///
/// # Errors
/// 404 for an unknown payment; 409 if its status does not allow it; the problems that every command can return.
pub async fn authorize(
    State(app): State<Arc<App>>,
    Path(path): Path<PaymentPath>,
    command: Command<PaymentStep>,
) -> Result<Reply<PaymentAnswer>, Problem> {
    let id = &path.payment_id;
    step(&app, id, &command, |change, _| change.authorize(), answer).await
}

/// POST `/payments/{payment_id}/capture`.
///
/// # Errors
/// 404 for an unknown payment; 409 if its status does not allow it; the problems that every command can return.
pub async fn capture(
    State(app): State<Arc<App>>,
    Path(path): Path<PaymentPath>,
    command: Command<PaymentStep>,
) -> Result<Reply<PaymentAnswer>, Problem> {
    let id = &path.payment_id;
    step(&app, id, &command, |change, _| change.capture(), answer).await
}

/// POST `/payments/{payment_id}/cancel`.
///
/// # Errors
/// 404 for an unknown payment; 409 if its status does not allow it; the problems that every command can return.
pub async fn cancel(
    State(app): State<Arc<App>>,
    Path(path): Path<PaymentPath>,
    command: Command<PaymentStep>,
) -> Result<Reply<PaymentAnswer>, Problem> {
    let id = &path.payment_id;
    step(&app, id, &command, |change, _| change.cancel(), answer).await
}

/// POST `/payments/{payment_id}/fail`.
///
/// # Errors
/// 404 for an unknown payment; 409 if its status does not allow it; the problems that every command can return.
pub async fn fail(
    State(app): State<Arc<App>>,
    Path(path): Path<PaymentPath>,
    command: Command<PaymentFailure>,
) -> Result<Reply<PaymentAnswer>, Problem> {
    let fail = |change: PaymentChange, body: &PaymentFailure| change.fail(body.error.clone());
    step(&app, &path.payment_id, &command, fail, answer).await
}

/// POST `/payments/{payment_id}/refunds`.
///
/// # Errors
/// 404 for an unknown payment; 409 if its status does not allow it or settlements have the money; 422 above the rest of
/// the captured amount; the problems that every command can return.
pub async fn refund(
    State(app): State<Arc<App>>,
    Path(path): Path<PaymentPath>,
    command: Command<PaymentRefundRequest>,
) -> Result<Created<PaymentRefundAnswer>, Problem> {
    let amount = command.body().amount.amount();
    let answer = |change: &PaymentChange| PaymentRefundAnswer {
        payment_id: change.state().payment_id(),
        status: change.state().status(),
        refund_amount: amount,
        refunded_total: change.state().refunded(),
    };
    let refund = |change: PaymentChange, _: &PaymentRefundRequest| change.refund(amount);
    step(&app, &path.payment_id, &command, refund, answer).await
}

/// GET `/payments/{payment_id}`.
///
/// # Errors
/// 404 for an unknown payment.
pub async fn payment(
    State(app): State<Arc<App>>,
    Path(path): Path<PaymentPath>,
) -> Result<Reply<PaymentView>, Problem> {
    let entity = app.settlements().payment(path.payment_id).await?;
    let payment = entity.state().cloned();
    let payment = payment.ok_or_else(|| unknown_payment(path.payment_id))?;
    let version = Sequence::new(entity.version()).map_err(|error| Problem::internal(&error))?;
    Reply::of(&PaymentView { payment, version })
}
