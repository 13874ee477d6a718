//! Credits locked, and had back.

use std::sync::Arc;

use api::{
    Command, Created, Decision, Failure, Page, PageQuery, Path, Problem, Query, Reply, State,
};
use cloud::{
    account::{Holding, Moment},
    stake::{self, Owner, Position},
};

use super::{App, refused, unknown_member};
use crate::wire::{
    StakeAnswer, StakePath, StakeRequest, StakesQuery, UnstakeAnswer, UnstakeRequest,
};

/// POST `/cloud/stakes`.
///
/// # Errors
/// 404 for an unknown member; 409 where the liquid balance is not enough; 422 for a duration that the table of revenue
/// shares does not have; what every command has.
pub async fn stake(
    State(app): State<Arc<App>>,
    command: Command<StakeRequest>,
) -> Result<Created<StakeAnswer>, Problem> {
    let app = &app;
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let (holder, account) = tokio::try_join!(
            app.member(&body.member_id),
            app.account(body.member_id.as_str())
        )?;
        let Some(holder) = holder else {
            return Ok(Decision::Refuse(unknown_member(
                "/member_id",
                &body.member_id,
            )));
        };
        let stake = stake::Stake {
            holder,
            amount: body.amount.amount(),
            lock_duration_days: body.lock_duration_days,
        };
        let position_id = transaction.uuid().into();
        let moment = Moment::of(&transaction, app.rate);
        let holding = Holding::of(&account)?;
        let staking = match stake::stake(holding, stake, &app.shares, position_id, &moment) {
            Ok(staking) => staking,
            Err(refusal) => return refused(&refusal),
        };
        let event_id = staking.save(&mut transaction, &app.cloud, &account)?;
        let event = &staking.event;
        let answer = StakeAnswer {
            position_id,
            transaction_id: event.transaction_id,
            event_id,
            amount: event.amount,
            lock_duration_days: event.lock_duration_days,
            revenue_share_percent: event.revenue_share_percent,
            unlock_at: event.unlock_at,
            liquid_balance_after: event.liquid_balance_after,
            staked_balance_after: event.staked_balance_after,
        };
        Ok(Decision::Commit(transaction, answer))
    })
    .await
}

/// POST `/cloud/stakes/{position_id}/unstake`.
///
/// # Errors
/// 404 for an unknown stake; 409 while it is locked and once it was ended; what every command has.
pub async fn unstake(
    State(app): State<Arc<App>>,
    Path(path): Path<StakePath>,
    command: Command<UnstakeRequest>,
) -> Result<Reply<UnstakeAnswer>, Problem> {
    let (app, position_id) = (&app, &path.position_id);
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let position_id = *position_id;
        let unknown = || {
            Decision::Refuse(
                Problem::not_found(format!("there is no stake {position_id}"))
                    .with("position_id", position_id.to_string()),
            )
        };
        let owner: Option<Owner> = app.outbox.row(&Owner::key(&app.cloud, position_id)).await?;
        let Some(Owner { member_id }) = owner else {
            return Ok(unknown());
        };
        let key = Position::key(&app.cloud, &member_id, position_id);
        let (holder, account, position) = tokio::try_join!(
            async { Ok::<_, Failure>(app.member(&member_id).await?) },
            async { Ok(app.account(member_id.as_str()).await?) },
            async {
                let position: Option<Position> = app.outbox.row(&key).await?;
                Ok(position)
            },
        )?;
        let (Some(holder), Some(position)) = (holder, position) else {
            return Ok(unknown());
        };
        let earned = body.revenue_earned.map(api::AmountInput::amount);
        let moment = Moment::of(&transaction, app.rate);
        let holding = Holding::of(&account)?;
        let unstaking = match stake::unstake(holding, &position, holder, earned, &moment) {
            Ok(unstaking) => unstaking,
            Err(refusal) => return refused(&refusal),
        };
        let event_id = unstaking.save(&mut transaction, &app.cloud, &account)?;
        let event = &unstaking.event;
        let answer = UnstakeAnswer {
            position_id,
            transaction_id: event.transaction_id,
            event_id,
            amount: event.amount,
            staked_duration: event.staked_duration,
            revenue_earned: event.revenue_earned,
            liquid_balance_after: event.liquid_balance_after,
            staked_balance_after: event.staked_balance_after,
        };
        Ok(Decision::Commit(transaction, answer))
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
        app.member(&asked.member_id),
        app.outbox.rows::<Position>(&query)
    )?;
    if holder.is_none() {
        return Err(unknown_member("/query/member_id", &asked.member_id));
    }
    Reply::of(&Page::of(&query, positions, next.as_ref()))
}
