//! $CLOUD credits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Credits, DecimalText, MemberId, Percent, PositionId, Quantity, Retention, Sequence, Text,
    Timestamp, TransactionId, Usd,
};

contracts! {
    kept Retention::Forever;
    Burned: "cloud.burned", High, "cloud-api", "cloud_account" [member_id or UNALLOCATED];
    Minted: "cloud.minted", High, "cloud-api", "cloud_account" [member_id or UNALLOCATED];
    RateCardApproved: "cloud.rate_card_approved", Normal, "cloud-api", "rate_card" [version];
    RateCardCreated: "cloud.rate_card_created", Normal, "cloud-api", "rate_card" [version];
    Redeemed: "cloud.redeemed", High, "cloud-api", "cloud_account" [member_id];
    Staked: "cloud.staked", High, "cloud-api", "cloud_account" [member_id];
    SyncDiverged: "cloud.sync_diverged", High, "cloud-reconcile", "chain_account" [member_id];
    Transferred: "cloud.transferred", High, "cloud-api", "cloud_account" [from_member_id];
    Unstaked: "cloud.unstaked", High, "cloud-api", "cloud_account" [member_id];
}

/// The account of the credits that belong to no member. A mint without a member adds to it; a burn without a member
/// takes from it.
pub const UNALLOCATED: &str = "unallocated";

/// Credits were minted to an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Minted {
    /// The id of the movement in the books.
    pub transaction_id: TransactionId,
    /// The member who got them; absent for the unallocated account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_id: Option<MemberId>,
    /// The member's name at the time of the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_name: Option<Text<200>>,
    /// The number of credits.
    pub amount: Credits,
    /// Their value at the current rate, rounded half to even.
    pub amount_usd: Usd,
    /// The account's balance after this event.
    pub balance_after: Credits,
    /// The Stripe charge that paid for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripe_charge_id: Option<Text<255>>,
    /// The Stripe payment intent behind the charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripe_payment_intent_id: Option<Text<255>>,
    /// A text from the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text<500>>,
    /// The account's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// Credits moved from one member to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Transferred {
    /// The id of the movement in the books.
    pub transaction_id: TransactionId,
    /// The sender.
    pub from_member_id: MemberId,
    /// Their name at the time of the event.
    pub from_member_name: Text<200>,
    /// The recipient.
    pub to_member_id: MemberId,
    /// Their name at the time of the event.
    pub to_member_name: Text<200>,
    /// The number of credits.
    pub amount: Credits,
    /// Their value at the current rate, rounded half to even.
    pub amount_usd: Usd,
    /// The sender's balance after this event.
    pub from_balance_after: Credits,
    /// The recipient's balance after this event.
    pub to_balance_after: Credits,
    /// A text from the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text<500>>,
    /// The version of the sender's account after this event.
    pub from_version: Sequence,
    /// The version of the recipient's account after this event.
    pub to_version: Sequence,
}

/// Credits were burned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Burned {
    /// The id of the movement in the books.
    pub transaction_id: TransactionId,
    /// The member who owned them; absent for the unallocated account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_id: Option<MemberId>,
    /// The member's name at the time of the event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_name: Option<Text<200>>,
    /// The number of credits.
    pub amount: Credits,
    /// Their value at the current rate, rounded half to even.
    pub amount_usd: Usd,
    /// The account's balance after this event.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance_after: Option<Credits>,
    /// The reason.
    pub reason: Text<200>,
    /// A text from the caller.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text<500>>,
    /// The account's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// A resource that credits are redeemed for.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Primitive {
    /// Computing.
    Compute,
    /// Moving data.
    Transfer,
    /// Long-term memory.
    Ltm,
    /// Short-term memory.
    Stm,
}

impl Primitive {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Compute, Self::Transfer, Self::Ltm, Self::Stm];

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Transfer => "transfer",
            Self::Ltm => "ltm",
            Self::Stm => "stm",
        }
    }

    /// The value with that name on the wire.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }

    /// The unit it is metered in.
    #[must_use]
    pub const fn unit(self) -> ResourceUnit {
        match self {
            Self::Compute => ResourceUnit::ComputeHour,
            Self::Transfer => ResourceUnit::Gigabyte,
            Self::Ltm => ResourceUnit::GigabyteMonth,
            Self::Stm => ResourceUnit::GigabyteHour,
        }
    }
}

/// The unit of a metered quantity.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[schemars(inline)]
pub enum ResourceUnit {
    /// One hour of computing.
    #[serde(rename = "compute-hour")]
    ComputeHour,
    /// 10^9 bytes moved.
    #[serde(rename = "GB")]
    Gigabyte,
    /// 10^9 bytes kept for a month.
    #[serde(rename = "GB-month")]
    GigabyteMonth,
    /// 10^9 bytes kept for an hour.
    #[serde(rename = "GB-hour")]
    GigabyteHour,
}

impl ResourceUnit {
    /// All of them.
    pub const ALL: [Self; 4] = [
        Self::ComputeHour,
        Self::Gigabyte,
        Self::GigabyteMonth,
        Self::GigabyteHour,
    ];

    /// The value with that name on the wire.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }

    /// The name on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::ComputeHour => "compute-hour",
            Self::Gigabyte => "GB",
            Self::GigabyteMonth => "GB-month",
            Self::GigabyteHour => "GB-hour",
        }
    }
}

/// Credits per unit of each primitive.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Rates {
    /// Per compute-hour.
    pub compute: Credits,
    /// Per GB moved.
    pub transfer: Credits,
    /// Per GB-month kept.
    pub ltm: Credits,
    /// Per GB-hour kept.
    pub stm: Credits,
}

impl Rates {
    /// The rate of a primitive.
    #[must_use]
    pub const fn of(&self, primitive: Primitive) -> Credits {
        match primitive {
            Primitive::Compute => self.compute,
            Primitive::Transfer => self.transfer,
            Primitive::Ltm => self.ltm,
            Primitive::Stm => self.stm,
        }
    }
}

/// Credits were used up for a metered resource.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Redeemed {
    /// The id of the movement in the books.
    pub transaction_id: TransactionId,
    /// The owner of the credits.
    pub member_id: MemberId,
    /// Their name at the time of the event.
    pub member_name: Text<200>,
    /// The number of credits: quantity × rate, rounded half to even.
    pub amount: Credits,
    /// Their value at the current rate, rounded half to even.
    pub amount_usd: Usd,
    /// The account's liquid balance after this event.
    pub balance_after: Credits,
    /// The resource they were redeemed for.
    pub primitive: Primitive,
    /// The quantity of that resource.
    pub quantity: Quantity,
    /// The unit of the quantity.
    pub unit: ResourceUnit,
    /// The service that used it.
    pub service_name: Text<200>,
    /// The metering period, e.g. `q1-2026`.
    pub period_id: Text<100>,
    /// The rate card that gave the rate.
    pub rate_card_version: Sequence,
    /// The rate: credits per unit.
    pub credits_per_unit: Credits,
    /// The account's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// Credits were locked for a share of the revenue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Staked {
    /// The id of the locked position.
    pub position_id: PositionId,
    /// The id of the movement in the books.
    pub transaction_id: TransactionId,
    /// The owner of the credits.
    pub member_id: MemberId,
    /// Their name at the time of the event.
    pub member_name: Text<200>,
    /// The number of credits.
    pub amount: Credits,
    /// Their value at the current rate, rounded half to even.
    pub amount_usd: Usd,
    /// The length of the lock, in days of 24 hours.
    pub lock_duration_days: u32,
    /// The time from which they can be unstaked.
    pub unlock_at: Timestamp,
    /// The share of the revenue they earn.
    pub revenue_share_percent: Percent,
    /// The credits that the member can spend after this event.
    pub liquid_balance_after: Credits,
    /// The credits that are locked after this event, over all positions.
    pub staked_balance_after: Credits,
    /// The account's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// Locked credits became liquid again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unstaked {
    /// The id of the locked position.
    pub position_id: PositionId,
    /// The id of the movement in the books.
    pub transaction_id: TransactionId,
    /// The owner of the credits.
    pub member_id: MemberId,
    /// Their name at the time of the event.
    pub member_name: Text<200>,
    /// The number of credits.
    pub amount: Credits,
    /// Their value at the current rate, rounded half to even.
    pub amount_usd: Usd,
    /// How long they were locked, in whole days of 24 hours.
    pub staked_duration: u32,
    /// What they earned, if that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revenue_earned: Option<Credits>,
    /// The credits that the member can spend after this event.
    pub liquid_balance_after: Credits,
    /// The credits that are locked after this event, over all positions.
    pub staked_balance_after: Credits,
    /// The account's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// A rate card was proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RateCardCreated {
    /// The card's number: 1, 2, 3… without gaps.
    pub version: Sequence,
    /// The time from which its rates apply, once it is approved.
    pub effective_date: Timestamp,
    /// From when on members are notified of the card.
    pub notice_date: Timestamp,
    /// Credits per unit.
    pub rates: Rates,
    /// Who proposed it.
    pub proposed_by: MemberId,
    /// Their name at the time of the event.
    pub proposed_by_name: Text<200>,
    /// The owner of the API key that proposed it; absent in old events, which did not record owners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed_by_key_owner: Option<Text<64>>,
    /// The card's own version after this event (`version` is its number); projections use it as their version guard.
    pub revision: Sequence,
}

/// A rate card was approved, by a member and an API key's owner other than those that proposed it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RateCardApproved {
    /// The card's number.
    pub version: Sequence,
    /// The time from which its rates apply.
    pub effective_date: Timestamp,
    /// From when on members are notified of the card. They are not notified of its approval before its proposal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice_date: Option<Timestamp>,
    /// Who approved it.
    pub approved_by: MemberId,
    /// Their name at the time of the event.
    pub approved_by_name: Text<200>,
    /// The owner of the API key that approved it; absent in old events, which did not record owners.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by_key_owner: Option<Text<64>>,
    /// The time of the approval.
    pub approved_at: Timestamp,
    /// The card's own version after this event (`version` is its number); projections use it as their version guard.
    pub revision: Sequence,
}

/// The books and the chain have different balances for a member. Published once per divergence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SyncDiverged {
    /// The member whose balance differs.
    pub member_id: MemberId,
    /// Their name when the difference was found.
    pub member_name: Text<200>,
    /// The balance in the books: liquid and staked together.
    pub database_balance: Credits,
    /// The exact balance on the chain.
    pub onchain_balance: DecimalText,
    /// Books minus chain: negative if the chain has more.
    pub difference: DecimalText,
    /// The value of the difference at the current rate, two decimals, rounded half to even.
    pub difference_usd: DecimalText,
    /// When books and chain last agreed; absent if they never did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_synced_at: Option<Timestamp>,
    /// The version of the member's synchronisation record after this event; projections use it as their version guard.
    pub version: Sequence,
}
