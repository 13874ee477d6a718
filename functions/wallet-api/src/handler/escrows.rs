//! Points held, and what becomes of them.

use std::sync::Arc;

use api::{Command, Created, Decision, Path, Problem, Reply, State};
use events::{EscrowId, EventId, MemberId, TransactionId, contracts::wallet::AccountType};
use outbox::{Entity, Error};
use wallet::{
    Account, Escrow, HoldReason, Holding, Moment,
    escrow::{self, Held, Hold, Moving, Parts, Read},
};

use super::{App, refused, unknown_member, unknown_user};
use crate::{
    balances::Writing,
    wire::{
        EndAnswer, EscrowPath, HoldAnswer, HoldRequest, PartialSettleRequest, RefundRequest,
        SettleRequest, WalletPath,
    },
};

impl App {
    pub(super) async fn escrow(&self, id: EscrowId) -> Result<Entity<Escrow>, Error> {
        self.outbox.load(&self.tables.wallet, &id.to_string()).await
    }

    async fn user_and_model(
        &self,
        user_id: &MemberId,
        model_id: &MemberId,
    ) -> Result<(Entity<Account>, Entity<Account>), Error> {
        self.outbox
            .load_pair(
                &self.tables.wallet,
                &AccountType::User.account(user_id),
                &AccountType::Model.account(model_id),
            )
            .await
    }
}

/// 404 for an escrow.
pub(super) fn unknown_escrow(id: EscrowId) -> Problem {
    Problem::not_found(format!("there is no escrow {id}")).with("escrow_id", id.to_string())
}

fn end_answer<E>(
    moving: &Moving<E>,
    transaction_id: TransactionId,
    event_id: EventId,
) -> EndAnswer {
    let returned = moving.escrow.refund_amount().unwrap_or_default();
    EndAnswer {
        escrow_id: moving.escrow.escrow_id(),
        transaction_id,
        event_id,
        status: moving.escrow.status(),
        available: (!returned.is_zero()).then_some(moving.user.account.available()),
        escrow: moving.user.account.escrow(),
        earned: moving.model.as_ref().map(|model| model.account.earned()),
    }
}

/// POST `/wallets/{user_id}/escrows`.
///
/// # Errors
/// 404 for an unknown member; 409 where the account has not enough; 422 for an unknown reason; what every command has.
pub async fn hold(
    State(app): State<Arc<App>>,
    Path(path): Path<WalletPath>,
    command: Command<HoldRequest>,
) -> Result<Created<HoldAnswer>, Problem> {
    let (app, user_id, writing) = (&app, &path.user_id, &Writing::default());
    let reply = api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let reason = match HoldReason::named(body.reason.as_str()) {
            Ok(reason) => reason,
            Err(refusal) => return refused(&refusal),
        };
        let escrow_id: EscrowId = transaction.uuid().into();
        let (known, entity, escrow) = tokio::try_join!(
            app.is_member(user_id),
            app.account(AccountType::User, user_id),
            app.escrow(escrow_id),
        )?;
        if !known {
            return Ok(Decision::Refuse(unknown_user(user_id)));
        }
        let user = Holding::of(AccountType::User, user_id.clone(), &entity)?;
        let hold = Hold {
            escrow_id,
            amount: body.amount.amount(),
            reason,
            queue_item_id: body.queue_item_id.clone(),
            feature_type: body.feature_type.clone(),
            request_id: body.request_id.clone(),
        };
        let moment = Moment::of(&transaction);
        let moving = match escrow::hold(&user, hold, escrow.next_version()?, &moment) {
            Ok(moving) => moving,
            Err(refusal) => return refused(&refusal),
        };
        let read = Read {
            escrow: &escrow,
            user: &entity,
            model: None,
        };
        let event_id = moving.save(&mut transaction, &app.tables.wallet, read)?;
        writing.set(moving.postings());
        let answer = HoldAnswer {
            escrow_id,
            transaction_id: moment.transaction_id,
            event_id,
            available: moving.user.account.available(),
            escrow: moving.user.account.escrow(),
        };
        Ok(Decision::Commit(transaction, answer))
    })
    .await;
    app.told(writing, reply)
}

/// POST `/escrows/{escrow_id}/settle`.
///
/// # Errors
/// 404 for an unknown escrow or model; 409 for an escrow that ended; what every command has.
pub async fn settle(
    State(app): State<Arc<App>>,
    Path(path): Path<EscrowPath>,
    command: Command<SettleRequest>,
) -> Result<Reply<EndAnswer>, Problem> {
    let (app, escrow_id, writing) = (&app, &path.escrow_id, &Writing::default());
    let reply = api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let model_id = &body.model_id;
        let (known, escrow) = tokio::try_join!(app.is_member(model_id), app.escrow(*escrow_id))?;
        let Some(held) = Held::of(&escrow)? else {
            return Ok(Decision::Refuse(unknown_escrow(*escrow_id)));
        };
        if !known {
            return Ok(Decision::Refuse(unknown_member("/model_id", model_id)));
        }
        let user_id = held.escrow.user_id();
        let (user, model) = app.user_and_model(user_id, model_id).await?;
        let moment = Moment::of(&transaction);
        let decided = escrow::settle(
            &held,
            &Holding::of(AccountType::User, user_id.clone(), &user)?,
            &Holding::of(AccountType::Model, model_id.clone(), &model)?,
            &moment,
        );
        let moving = match decided {
            Ok(moving) => moving,
            Err(refusal) => return refused(&refusal),
        };
        let read = Read {
            escrow: &escrow,
            user: &user,
            model: Some(&model),
        };
        let event_id = moving.save(&mut transaction, &app.tables.wallet, read)?;
        writing.set(moving.postings());
        let answer = end_answer(&moving, moment.transaction_id, event_id);
        Ok(Decision::Commit(transaction, answer))
    })
    .await;
    app.told(writing, reply)
}

/// POST `/escrows/{escrow_id}/refund`.
///
/// # Errors
/// 404 for an unknown escrow; 409 for one that ended; what every command has.
pub async fn refund(
    State(app): State<Arc<App>>,
    Path(path): Path<EscrowPath>,
    command: Command<RefundRequest>,
) -> Result<Reply<EndAnswer>, Problem> {
    let (app, escrow_id, writing) = (&app, &path.escrow_id, &Writing::default());
    let reply = api::execute(&app.outbox, &command, async move |mut transaction, _| {
        let escrow = app.escrow(*escrow_id).await?;
        let Some(held) = Held::of(&escrow)? else {
            return Ok(Decision::Refuse(unknown_escrow(*escrow_id)));
        };
        let user_id = held.escrow.user_id();
        let user = app.account(AccountType::User, user_id).await?;
        let moment = Moment::of(&transaction);
        let holding = Holding::of(AccountType::User, user_id.clone(), &user)?;
        let moving = match escrow::refund(&held, &holding, &moment) {
            Ok(moving) => moving,
            Err(refusal) => return refused(&refusal),
        };
        let read = Read {
            escrow: &escrow,
            user: &user,
            model: None,
        };
        let event_id = moving.save(&mut transaction, &app.tables.wallet, read)?;
        writing.set(moving.postings());
        let answer = end_answer(&moving, moment.transaction_id, event_id);
        Ok(Decision::Commit(transaction, answer))
    })
    .await;
    app.told(writing, reply)
}

/// POST `/escrows/{escrow_id}/partial-settle`.
///
/// # Errors
/// 404 for an unknown escrow or model; 409 for an escrow that ended; 422 for parts that are not what is held; what every
/// command has.
pub async fn partial_settle(
    State(app): State<Arc<App>>,
    Path(path): Path<EscrowPath>,
    command: Command<PartialSettleRequest>,
) -> Result<Reply<EndAnswer>, Problem> {
    let (app, escrow_id, writing) = (&app, &path.escrow_id, &Writing::default());
    let reply = api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let model_id = &body.model_id;
        let (known, escrow) = tokio::try_join!(app.is_member(model_id), app.escrow(*escrow_id))?;
        let Some(held) = Held::of(&escrow)? else {
            return Ok(Decision::Refuse(unknown_escrow(*escrow_id)));
        };
        if !known {
            return Ok(Decision::Refuse(unknown_member("/model_id", model_id)));
        }
        let user_id = held.escrow.user_id();
        let (user, model) = app.user_and_model(user_id, model_id).await?;
        let parts = Parts {
            refund: body.refund_amount.amount(),
            settle: body.settle_amount.amount(),
        };
        let moment = Moment::of(&transaction);
        let decided = escrow::partial_settle(
            &held,
            &Holding::of(AccountType::User, user_id.clone(), &user)?,
            &Holding::of(AccountType::Model, model_id.clone(), &model)?,
            parts,
            &moment,
        );
        let moving = match decided {
            Ok(moving) => moving,
            Err(refusal) => return refused(&refusal),
        };
        let read = Read {
            escrow: &escrow,
            user: &user,
            model: Some(&model),
        };
        let event_id = moving.save(&mut transaction, &app.tables.wallet, read)?;
        writing.set(moving.postings());
        let answer = end_answer(&moving, moment.transaction_id, event_id);
        Ok(Decision::Commit(transaction, answer))
    })
    .await;
    app.told(writing, reply)
}
