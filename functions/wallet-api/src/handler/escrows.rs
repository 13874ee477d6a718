//! Escrows: points are held, then settled, refunded or divided.

use std::sync::Arc;

use api::{Command, Created, Decision, Path, Problem, Reply, State};
use events::EscrowId;
use wallet::{
    HoldReason,
    escrow::{Moving, Parts},
    operations::{Done, HoldCommand},
};

use super::{App, refused};
use crate::{
    balances::Writing,
    wire::{
        EndAnswer, EscrowPath, HoldAnswer, HoldRequest, PartialSettleRequest, RefundRequest,
        SettleRequest, WalletPath,
    },
};

/// The 404 problem for an unknown escrow.
pub(super) fn unknown_escrow(id: EscrowId) -> Problem {
    Problem::not_found(format!("there is no escrow {id}")).with("escrow_id", id.to_string())
}

fn end_answer<E>(done: &Done<Moving<E>>) -> EndAnswer {
    let moving = &done.moving;
    let returned = moving.escrow.refund_amount().unwrap_or_default();
    EndAnswer {
        escrow_id: moving.escrow.escrow_id(),
        transaction_id: done.transaction_id,
        event_id: done.event_id,
        status: moving.escrow.status(),
        available: (!returned.is_zero()).then_some(moving.user.account.available()),
        escrow: moving.user.account.escrow(),
        earned: moving.model.as_ref().map(|model| model.account.earned()),
    }
}

/// POST `/wallets/{user_id}/escrows`.
///
/// # Errors
/// 404 for an unknown member; 409 if the account does not have enough; 422 for an unknown reason; the problems that
/// every command can return.
pub async fn hold(
    State(app): State<Arc<App>>,
    Path(path): Path<WalletPath>,
    command: Command<HoldRequest>,
) -> Result<Created<HoldAnswer>, Problem> {
    let (app, user_id, writing) = (&app, &path.user_id, &Writing::default());
    let reply = api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let reason = match HoldReason::named(body.reason.as_str()) {
            Ok(reason) => reason,
            Err(refusal) => return Ok(Decision::Refuse(refused(&refusal)?)),
        };
        let hold = HoldCommand {
            amount: body.amount.amount(),
            reason,
            queue_item_id: body.queue_item_id.clone(),
            feature_type: body.feature_type.clone(),
            request_id: body.request_id.clone(),
        };
        let done = app.wallets().hold(&mut transaction, user_id, hold).await;
        api::decided(transaction, done, refused, |done| {
            writing.set(done.moving.postings());
            let account = &done.moving.user.account;
            HoldAnswer {
                escrow_id: done.moving.escrow.escrow_id(),
                transaction_id: done.transaction_id,
                event_id: done.event_id,
                available: account.available(),
                escrow: account.escrow(),
            }
        })
    })
    .await;
    app.answered(writing, reply)
}

/// POST `/escrows/{escrow_id}/settle`.
///
/// # Errors
/// 404 for an unknown escrow or model; 409 for an escrow that has ended; the problems that every command can return.
pub async fn settle(
    State(app): State<Arc<App>>,
    Path(path): Path<EscrowPath>,
    command: Command<SettleRequest>,
) -> Result<Reply<EndAnswer>, Problem> {
    let (app, escrow_id, writing) = (&app, &path.escrow_id, &Writing::default());
    let reply = api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let wallets = app.wallets();
        let done = wallets
            .settle(&mut transaction, *escrow_id, &body.model_id)
            .await;
        api::decided(transaction, done, refused, |done| {
            writing.set(done.moving.postings());
            end_answer(done)
        })
    })
    .await;
    app.answered(writing, reply)
}

/// POST `/escrows/{escrow_id}/refund`.
///
/// # Errors
/// 404 for an unknown escrow; 409 for an escrow that has ended; the problems that every command can return.
pub async fn refund(
    State(app): State<Arc<App>>,
    Path(path): Path<EscrowPath>,
    command: Command<RefundRequest>,
) -> Result<Reply<EndAnswer>, Problem> {
    let (app, escrow_id, writing) = (&app, &path.escrow_id, &Writing::default());
    let reply = api::execute(&app.outbox, &command, async move |mut transaction, _| {
        let wallets = app.wallets();
        let done = wallets.refund(&mut transaction, *escrow_id).await;
        api::decided(transaction, done, refused, |done| {
            writing.set(done.moving.postings());
            end_answer(done)
        })
    })
    .await;
    app.answered(writing, reply)
}

/// POST `/escrows/{escrow_id}/partial-settle`.
///
/// # Errors
/// 404 for an unknown escrow or model; 409 for an escrow that has ended; 422 for parts that do not add up to the held
/// amount; the problems that every command can return.
pub async fn partial_settle(
    State(app): State<Arc<App>>,
    Path(path): Path<EscrowPath>,
    command: Command<PartialSettleRequest>,
) -> Result<Reply<EndAnswer>, Problem> {
    let (app, escrow_id, writing) = (&app, &path.escrow_id, &Writing::default());
    let reply = api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let wallets = app.wallets();
        let parts = Parts {
            refund: body.refund_amount.amount(),
            settle: body.settle_amount.amount(),
        };
        let done = wallets
            .partial_settle(&mut transaction, *escrow_id, &body.model_id, parts)
            .await;
        api::decided(transaction, done, refused, |done| {
            writing.set(done.moving.postings());
            end_answer(done)
        })
    })
    .await;
    app.answered(writing, reply)
}
