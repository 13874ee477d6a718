//! Stakes: credits are locked and released.

use events::{Credits, MemberId, PositionId};
use outbox::Transaction;

use super::{Cloud, Done, Members, Stopped};
use crate::{
    Refusal,
    account::{CommandContext, Holding},
    refusal::Role,
    stake::{self, Owner, Position, Stake, Staking, Unstaking},
};

/// Locks credits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StakeFor {
    /// The member whose credits they are.
    pub member_id: MemberId,
    /// The number of credits.
    pub amount: Credits,
    /// The lock duration in days of 24 hours; one of the durations in the table of revenue shares.
    pub lock_duration_days: u32,
}

impl<M: Members> Cloud<'_, M> {
    /// Locks credits in a new position.
    ///
    /// # Errors
    /// [`Refusal::UnknownMember`], the refusals of [`stake::stake`], and [`Stopped::Failed`].
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
        let context = CommandContext::of(transaction, self.rate);
        let holding = Holding::of(&entity)?;
        let decided = stake::stake(holding, stake, self.shares, position_id, &context)?;
        let event_id = decided.save(transaction, self.table, &entity)?;
        Ok(Done { event_id, decided })
    }

    /// Ends a stake. `revenue_earned` states its earnings, if the caller knows them. The event records them; nothing is
    /// paid out.
    ///
    /// # Errors
    /// [`Refusal::UnknownStake`], the refusals of [`stake::unstake`], and [`Stopped::Failed`].
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
        let context = CommandContext::of(transaction, self.rate);
        let holding = Holding::of(&entity)?;
        let decided = stake::unstake(holding, &position, holder, revenue_earned, &context)?;
        let event_id = decided.save(transaction, self.table, &entity)?;
        Ok(Done { event_id, decided })
    }
}
