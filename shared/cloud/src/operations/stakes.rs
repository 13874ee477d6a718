//! Stakes: credits locked and had back.

use events::{Credits, MemberId, PositionId};
use outbox::Transaction;

use super::{Cloud, Done, Members, Stopped};
use crate::{
    Refusal,
    account::{Holding, Moment},
    refusal::Role,
    stake::{self, Owner, Position, Stake, Staking, Unstaking},
};

/// Lock credits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StakeFor {
    /// Whose.
    pub member_id: MemberId,
    /// How many.
    pub amount: Credits,
    /// For how long, in days of 24 hours; one of the durations in the table of revenue shares.
    pub lock_duration_days: u32,
}

impl<M: Members> Cloud<'_, M> {
    /// Locks credits in a new position.
    ///
    /// # Errors
    /// [`Refusal::UnknownMember`], what [`stake::stake`] refuses; [`Stopped::Failed`].
    pub async fn stake(
        &self,
        transaction: &mut Transaction,
        asked: StakeFor,
    ) -> Result<Done<Staking>, Stopped> {
        let (holder, entity) = futures::try_join!(
            self.member(Role::Holder, &asked.member_id),
            self.account(asked.member_id.as_str()),
        )?;
        let stake = Stake {
            holder: holder?,
            amount: asked.amount,
            lock_duration_days: asked.lock_duration_days,
        };
        let position_id = transaction.uuid().into();
        let moment = Moment::of(transaction, self.rate);
        let holding = Holding::of(&entity)?;
        let decided = stake::stake(holding, stake, self.shares, position_id, &moment)?;
        let event_id = decided.save(transaction, self.table, &entity)?;
        Ok(Done { event_id, decided })
    }

    /// Ends a stake. `revenue_earned` is what is known of its earnings; they are told, not paid.
    ///
    /// # Errors
    /// [`Refusal::UnknownStake`], what [`stake::unstake`] refuses; [`Stopped::Failed`].
    pub async fn unstake(
        &self,
        transaction: &mut Transaction,
        position_id: PositionId,
        revenue_earned: Option<Credits>,
    ) -> Result<Done<Unstaking>, Stopped> {
        let unknown = || Refusal::UnknownStake { position_id };
        let owner = Owner::key(self.table, position_id);
        let owner: Option<Owner> = self.outbox.row(&owner).await?;
        let Owner { member_id } = owner.ok_or_else(unknown)?;
        let key = Position::key(self.table, &member_id, position_id);
        let (holder, entity, position) = futures::try_join!(
            self.members.holder(&member_id),
            self.account(member_id.as_str()),
            self.outbox.row::<Position>(&key),
        )?;
        let (holder, position) = holder.zip(position).ok_or_else(unknown)?;
        let moment = Moment::of(transaction, self.rate);
        let holding = Holding::of(&entity)?;
        let decided = stake::unstake(holding, &position, holder, revenue_earned, &moment)?;
        let event_id = decided.save(transaction, self.table, &entity)?;
        Ok(Done { event_id, decided })
    }
}
