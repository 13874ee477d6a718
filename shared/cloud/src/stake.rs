//! Stakes: credits locked for some time for a share of the revenue. They still belong to the member and stay
//! outstanding but cannot be spent.

mod rebuild;

use std::{collections::BTreeMap, str::FromStr, time::Duration};

use events::{
    Credits, Draft, EventId, MemberId, Percent, PositionId, Timestamp,
    contracts::cloud::{Staked, Unstaked},
};
use outbox::{BuildError, Condition, Entity, Key, Query, Table, Transaction};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Refusal,
    account::{Account, CommandContext, Holder, Holding, Kind, Movement, partition, positive},
};

pub use self::rebuild::positions;

/// A day of a lock duration: 24 hours.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The share of the revenue that credits earn, by lock duration. A stake with 0 days can be released at any time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevenueShares(BTreeMap<u32, Percent>);

/// Why a table of revenue shares is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "expected lock durations with their shares: DAYS:PERCENT, separated by commas; durations of 0 to {} days without repetition, shares of at most 100 % with at most two decimals",
    RevenueShares::MAX_DAYS
)]
pub struct RevenueSharesError;

impl RevenueShares {
    /// The longest lock, in days: about a hundred years.
    pub const MAX_DAYS: u32 = 36_500;

    /// The share for a lock of `days` days.
    ///
    /// # Errors
    /// [`Refusal::UnknownLockDuration`] if the table does not have this duration.
    pub fn share_of(&self, days: u32) -> Result<Percent, Refusal> {
        self.0
            .get(&days)
            .copied()
            .ok_or_else(|| Refusal::UnknownLockDuration {
                allowed: self.durations(),
            })
    }

    /// The durations as text: `30, 90 or 365`.
    fn durations(&self) -> String {
        let days: Vec<String> = self.0.keys().map(ToString::to_string).collect();
        match days.split_last() {
            Some((last, [])) => last.clone(),
            Some((last, rest)) => format!("{} or {last}", rest.join(", ")),
            None => String::new(),
        }
    }
}

impl Default for RevenueShares {
    /// 30 days 5 %, 90 days 10 %, 180 days 15 %, 365 days 20 %.
    fn default() -> Self {
        let percent = |whole: u32| Percent::new(whole.into()).unwrap_or_default();
        Self(
            [(30, 5), (90, 10), (180, 15), (365, 20)]
                .map(|(days, share)| (days, percent(share)))
                .into(),
        )
    }
}

impl FromStr for RevenueShares {
    type Err = RevenueSharesError;
    fn from_str(text: &str) -> Result<Self, RevenueSharesError> {
        let mut shares = BTreeMap::new();
        for entry in text.split(',') {
            let (days, percent) = entry.trim().split_once(':').ok_or(RevenueSharesError)?;
            let days: u32 = days.parse().map_err(|_| RevenueSharesError)?;
            let percent: Percent = percent.parse().map_err(|_| RevenueSharesError)?;
            let fits =
                days <= Self::MAX_DAYS && percent.decimal() <= rust_decimal::Decimal::ONE_HUNDRED;
            if !fits || shares.insert(days, percent).is_some() {
                return Err(RevenueSharesError);
            }
        }
        Ok(Self(shares))
    }
}

/// Whether a stake still locks its credits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Status {
    /// The credits are locked.
    Active,
    /// The stake has ended; its credits can be spent again.
    Released,
}

/// A stake: a row of its own beside the account. Its fields change only in [`unstake`], and the decision saves the
/// position together with the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "StakePosition")]
pub struct Position {
    /// The id of the stake.
    position_id: PositionId,
    /// The member whose stake it is.
    member_id: MemberId,
    /// The number of credits.
    amount: Credits,
    /// The lock duration in days of 24 hours.
    lock_duration_days: u32,
    /// The share of the revenue that the credits earn.
    revenue_share_percent: Percent,
    /// When the credits were locked.
    staked_at: Timestamp,
    /// When the lock ends.
    unlock_at: Timestamp,
    /// Whether the credits are still locked.
    status: Status,
    /// When the credits were released.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    released_at: Option<Timestamp>,
    /// What the credits earned, if that was stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    revenue_earned: Option<Credits>,
}

/// The owner of a position: the row that leads from a position's id to its account. It is written once.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Owner {
    /// The member.
    pub member_id: MemberId,
}

impl Owner {
    /// The key of the row.
    #[must_use]
    pub fn key(table: &Table, position_id: PositionId) -> Key {
        table.key(format!("stake#{position_id}"), "owner")
    }
}

const POSITION_PREFIX: &str = "stake#";

impl Position {
    /// The id of the stake.
    #[must_use]
    pub fn position_id(&self) -> PositionId {
        self.position_id
    }

    /// The member whose stake it is.
    #[must_use]
    pub fn member_id(&self) -> &MemberId {
        &self.member_id
    }

    /// The number of credits.
    #[must_use]
    pub fn amount(&self) -> Credits {
        self.amount
    }

    /// When the lock ends.
    #[must_use]
    pub fn unlock_at(&self) -> Timestamp {
        self.unlock_at
    }

    /// Whether the credits are still locked.
    #[must_use]
    pub fn status(&self) -> Status {
        self.status
    }

    /// The key of the row, in the partition of its account.
    #[must_use]
    pub fn key(table: &Table, member_id: &MemberId, position_id: PositionId) -> Key {
        let sk = format!("{POSITION_PREFIX}{position_id}");
        table.key(partition(member_id.as_str()), sk)
    }

    /// A member's positions, newest first, at most `limit`.
    #[must_use]
    pub fn of_member(table: &Table, member_id: &MemberId, limit: u32) -> Query {
        Query {
            prefix: Some(POSITION_PREFIX.to_owned()),
            descending: true,
            ..Query::partition(table, partition(member_id.as_str()), limit)
        }
    }
}

/// Locks credits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stake {
    /// The member whose credits they are.
    pub holder: Holder,
    /// The number of credits.
    pub amount: Credits,
    /// The lock duration in days; one of the durations in the table of revenue shares.
    pub lock_duration_days: u32,
}

/// A decided stake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Staking {
    /// The account after the stake.
    pub account: Account,
    /// The new position.
    pub position: Position,
    /// The event.
    pub event: Staked,
}

/// A decided end of a stake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unstaking {
    /// The account after the release.
    pub account: Account,
    /// The position after the release.
    pub position: Position,
    /// The event.
    pub event: Unstaked,
    /// When it happened.
    pub occurred_at: Timestamp,
}

/// Decides a stake; `position_id` is new.
///
/// # Errors
/// [`Refusal`] if a rule forbids it.
pub fn stake(
    account: Holding,
    command: Stake,
    shares: &RevenueShares,
    position_id: PositionId,
    context: &CommandContext,
) -> Result<Staking, Refusal> {
    let amount = positive(command.amount)?;
    let share = shares.share_of(command.lock_duration_days)?;
    let after = account.locked(amount)?;
    let Holder { member_id, name } = command.holder;
    let unlock_at = context.now.plus(DAY * command.lock_duration_days);
    Ok(Staking {
        account: after,
        event: Staked {
            position_id,
            transaction_id: context.transaction_id,
            member_id: member_id.clone(),
            member_name: name,
            amount,
            amount_usd: context.value_of(amount)?,
            lock_duration_days: command.lock_duration_days,
            unlock_at,
            revenue_share_percent: share,
            liquid_balance_after: after.balance(),
            staked_balance_after: after.staked(),
            version: account.next_version,
        },
        position: Position {
            position_id,
            member_id,
            amount,
            lock_duration_days: command.lock_duration_days,
            revenue_share_percent: share,
            staked_at: context.now,
            unlock_at,
            status: Status::Active,
            released_at: None,
            revenue_earned: None,
        },
    })
}

/// Decides the end of a stake. `holder` is the member whose stake it is. `revenue_earned` states its earnings, if the
/// caller knows them. The event records them; nothing is paid out.
///
/// # Errors
/// [`Refusal::StakeReleased`], [`Refusal::StakeLocked`], [`Refusal::BalanceTooLarge`].
pub fn unstake(
    account: Holding,
    position: &Position,
    holder: Holder,
    revenue_earned: Option<Credits>,
    context: &CommandContext,
) -> Result<Unstaking, Refusal> {
    if let Some(released_at) = position.released_at {
        return Err(Refusal::StakeReleased { released_at });
    }
    if context.now < position.unlock_at {
        return Err(Refusal::StakeLocked {
            unlock_at: position.unlock_at,
        });
    }
    let amount = position.amount;
    let after = account.unlocked(amount)?;
    let days = context.now.since(position.staked_at).as_secs() / DAY.as_secs();
    Ok(Unstaking {
        account: after,
        event: Unstaked {
            position_id: position.position_id,
            transaction_id: context.transaction_id,
            member_id: holder.member_id,
            member_name: holder.name,
            amount,
            amount_usd: context.value_of(amount)?,
            staked_duration: u32::try_from(days).unwrap_or(u32::MAX),
            revenue_earned,
            liquid_balance_after: after.balance(),
            staked_balance_after: after.staked(),
            version: account.next_version,
        },
        position: Position {
            status: Status::Released,
            released_at: Some(context.now),
            revenue_earned,
            ..position.clone()
        },
        occurred_at: context.now,
    })
}

impl Staking {
    /// The stake's line in the account's statement.
    #[must_use]
    pub fn movement(&self, event_id: EventId) -> Movement {
        let event = &self.event;
        Movement {
            staked_after: Some(event.staked_balance_after),
            position_id: Some(event.position_id),
            ..Movement::of(
                Kind::Staked,
                event.transaction_id,
                event.amount,
                event.liquid_balance_after,
                self.position.staked_at,
                event_id,
            )
        }
    }

    /// Puts account, event, statement line and position into a transaction; returns the event's id.
    ///
    /// # Errors
    /// [`BuildError`] when the entity is another account's.
    pub fn save(
        &self,
        transaction: &mut Transaction,
        table: &Table,
        entity: &Entity<Account>,
    ) -> Result<EventId, BuildError> {
        let event = &self.event;
        let draft = Draft::of(event)?;
        let event_id = transaction.tell(entity, &self.account, draft, Vec::new())?;
        let line = Movement::key(table, event.member_id.as_str(), event.version);
        transaction.insert(line, &self.movement(event_id))?;
        let key = Position::key(table, &event.member_id, event.position_id);
        transaction.insert(key, &self.position)?;
        let owner = Owner {
            member_id: event.member_id.clone(),
        };
        transaction.insert(Owner::key(table, event.position_id), &owner)?;
        Ok(event_id)
    }
}

impl Unstaking {
    /// The release's line in the account's statement.
    #[must_use]
    pub fn movement(&self, event_id: EventId) -> Movement {
        let event = &self.event;
        Movement {
            staked_after: Some(event.staked_balance_after),
            position_id: Some(event.position_id),
            ..Movement::of(
                Kind::Unstaked,
                event.transaction_id,
                event.amount,
                event.liquid_balance_after,
                self.occurred_at,
                event_id,
            )
        }
    }

    /// Puts account, event, statement line and position into a transaction. Returns the event's id. The position must
    /// still be active, because account and position were not read at the same time.
    ///
    /// # Errors
    /// [`BuildError`] when the entity is another account's.
    pub fn save(
        &self,
        transaction: &mut Transaction,
        table: &Table,
        entity: &Entity<Account>,
    ) -> Result<EventId, BuildError> {
        let event = &self.event;
        let draft = Draft::of(event)?;
        let event_id = transaction.tell(entity, &self.account, draft, Vec::new())?;
        let line = Movement::key(table, event.member_id.as_str(), event.version);
        transaction.insert(line, &self.movement(event_id))?;
        let key = Position::key(table, &event.member_id, event.position_id);
        let active = Condition::Equals(vec![("status", "active".into())]);
        transaction.put(key, &self.position, active)?;
        Ok(event_id)
    }
}

#[cfg(test)]
mod tests {
    use events::{Sequence, Text};
    use uuid::Uuid;

    use super::*;

    fn credits(text: &str) -> Credits {
        text.parse().expect("an amount")
    }

    fn holder() -> Holder {
        Holder {
            member_id: MemberId::new("ada").expect("an id"),
            name: Text::new("Ada").expect("a name"),
        }
    }

    fn holding(balance: &str, staked: &str) -> Holding {
        Holding {
            account: Account::holding(credits(balance), credits(staked)),
            next_version: Sequence::new(5).expect("a version"),
        }
    }

    fn on_day(day: i64, millis: i64) -> CommandContext {
        CommandContext {
            transaction_id: Uuid::from_u128(1).into(),
            now: Timestamp::from_unix_millis(day * 86_400_000 + millis).expect("a moment"),
            rate: "10".parse().expect("a rate"),
        }
    }

    fn staking(amount: &str, days: u32) -> Result<Staking, Refusal> {
        let command = Stake {
            holder: holder(),
            amount: credits(amount),
            lock_duration_days: days,
        };
        let id = Uuid::from_u128(9).into();
        stake(
            holding("10", "2"),
            command,
            &RevenueShares::default(),
            id,
            &on_day(0, 0),
        )
    }

    #[test]
    fn staked_credits_cannot_be_spent_and_are_still_there() {
        let staking = staking("4", 90).expect("allowed");
        assert_eq!(staking.account.balance(), credits("6"));
        assert_eq!(staking.account.staked(), credits("6"));
        assert_eq!(staking.event.revenue_share_percent.to_string(), "10.00");
        assert_eq!(staking.event.unlock_at, on_day(90, 0).now);
        assert_eq!(staking.position.status, Status::Active);
    }

    #[test]
    fn no_more_is_staked_than_can_be_spent_and_only_for_durations_of_the_table() {
        assert_eq!(
            staking("10.000001", 30),
            Err(Refusal::InsufficientBalance {
                available: credits("10"),
                needed: credits("10.000001")
            })
        );
        assert_eq!(staking("0", 30), Err(Refusal::AmountNotPositive));
        let allowed = "30, 90, 180 or 365".to_owned();
        assert_eq!(
            staking("1", 31),
            Err(Refusal::UnknownLockDuration { allowed })
        );
    }

    #[test]
    fn a_stake_ends_once_and_not_before_its_lock() {
        let position = staking("4", 30).expect("allowed").position;
        let end = |position: &Position, context: &CommandContext| {
            let earned = Some(credits("0.25"));
            unstake(holding("6", "6"), position, holder(), earned, context)
        };
        assert_eq!(
            end(&position, &on_day(30, -1)),
            Err(Refusal::StakeLocked {
                unlock_at: on_day(30, 0).now
            })
        );
        let ended = end(&position, &on_day(30, 0)).expect("allowed");
        assert_eq!(ended.account.balance(), credits("10"));
        assert_eq!(ended.account.staked(), credits("2"));
        assert_eq!(ended.event.staked_duration, 30);
        assert_eq!(ended.event.revenue_earned, Some(credits("0.25")));
        assert_eq!(
            end(&ended.position, &on_day(31, 0)),
            Err(Refusal::StakeReleased {
                released_at: on_day(30, 0).now
            })
        );
        let later = end(&position, &on_day(45, 86_399_999)).expect("allowed");
        assert_eq!(later.event.staked_duration, 45);
    }

    #[test]
    fn a_table_of_shares_is_read_whole_or_not_at_all() {
        let table: RevenueShares = "7:1.5, 30:5".parse().expect("a table");
        assert_eq!(table.share_of(7).expect("there").to_string(), "1.50");
        assert!(table.share_of(30).is_ok() && table.share_of(90).is_err());
        let default: RevenueShares = "30:5,90:10,180:15,365:20".parse().expect("a table");
        assert_eq!(default, RevenueShares::default());
        for wrong in [
            "",
            "30",
            "30:",
            ":5",
            "36501:5",
            "30:101",
            "30:5,30:6",
            "30:-5",
            "30:5;90:10",
            "30:5,",
            "30:1.005",
        ] {
            assert!(wrong.parse::<RevenueShares>().is_err(), "{wrong:?}");
        }
    }
}
