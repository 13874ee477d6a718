//! Stakes: credits that are locked, and released.

use std::sync::Arc;

use api::{Command, Created, Page, PageQuery, Path, Problem, Query, Reply, State};
use cloud::{
    operations::{Members as _, StakeFor},
    stake::Position,
};

use super::{App, refused, unknown_member};
use crate::wire::{
    StakeAnswer, StakePath, StakeRequest, StakesQuery, UnstakeAnswer, UnstakeRequest,
};

/// POST `/cloud/stakes`.
///
/// # Errors
/// 404 for an unknown member; 409 if the liquid balance is insufficient; 422 for a duration that the table of revenue
/// shares does not have; the problems that every command can return.
pub async fn stake(
    State(app): State<Arc<App>>,
    command: Command<StakeRequest>,
) -> Result<Created<StakeAnswer>, Problem> {
    let app = &app;
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let stake = StakeFor {
            member_id: body.member_id.clone(),
            amount: body.amount.amount(),
            lock_duration_days: body.lock_duration_days,
        };
        let done = app.operations().stake(&mut transaction, stake).await;
        api::decided(transaction, done, refused, |done| {
            let event = &done.decided.event;
            StakeAnswer {
                position_id: event.position_id,
                transaction_id: event.transaction_id,
                event_id: done.event_id,
                amount: event.amount,
                lock_duration_days: event.lock_duration_days,
                revenue_share_percent: event.revenue_share_percent,
                unlock_at: event.unlock_at,
                liquid_balance_after: event.liquid_balance_after,
                staked_balance_after: event.staked_balance_after,
            }
        })
    })
    .await
}

/// POST `/cloud/stakes/{position_id}/unstake`.
///
/// # Errors
/// 404 for an unknown stake; 409 while it is locked and once it has ended; the problems that every command can return.
pub async fn unstake(
    State(app): State<Arc<App>>,
    Path(path): Path<StakePath>,
    command: Command<UnstakeRequest>,
) -> Result<Reply<UnstakeAnswer>, Problem> {
    let (app, position_id) = (&app, &path.position_id);
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let earned = body.revenue_earned.map(api::AmountInput::amount);
        let operations = app.operations();
        let done = operations
            .unstake(&mut transaction, *position_id, earned)
            .await;
        api::decided(transaction, done, refused, |done| {
            let event = &done.decided.event;
            UnstakeAnswer {
                position_id: *position_id,
                transaction_id: event.transaction_id,
                event_id: done.event_id,
                amount: event.amount,
                staked_duration: event.staked_duration,
                revenue_earned: event.revenue_earned,
                liquid_balance_after: event.liquid_balance_after,
                staked_balance_after: event.staked_balance_after,
            }
        })
    })
    .await
}

/// GET `/cloud/stakes?member_id=`.
///
/// # Errors
/// 404 for an unknown member.
pub async fn stakes(
    State(app): State<Arc<App>>,
    Query(asked): Query<StakesQuery>,
) -> Result<Reply<Page<Position>>, Problem> {
    let page = PageQuery {
        limit: asked.limit,
        cursor: asked.cursor,
    };
    let query = Position::of_member(&app.cloud, &asked.member_id, page.limit.number());
    let query = page.apply(query)?;
    let (holder, (positions, next)) = tokio::try_join!(
        app.holder(&asked.member_id),
        app.outbox.rows::<Position>(&query)
    )?;
    if holder.is_none() {
        return Err(unknown_member("/query/member_id", &asked.member_id));
    }
    Reply::of(&Page::of(&query, positions, next.as_ref()))
}
