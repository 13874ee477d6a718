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

/// The account of credits that belong to no member: filled by a mint without a member, emptied by a burn without one.
pub const UNALLOCATED: &str = "unallocated";

/// Credits came into being on an account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Minted {
    /// The movement in the books.
    pub transaction_id: TransactionId,
    /// Who got them; absent for the unallocated account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_id: Option<MemberId>,
    /// The member's name when it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_name: Option<Text<200>>,
    /// How many.
    pub amount: Credits,
    /// Their value at the rate of the moment, rounded half to even.
    pub amount_usd: Usd,
    /// The account's balance after it.
    pub balance_after: Credits,
    /// The Stripe charge that paid for them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripe_charge_id: Option<Text<255>>,
    /// The Stripe payment intent behind the charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripe_payment_intent_id: Option<Text<255>>,
    /// In the caller's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text<500>>,
    /// The account's version after it; projections are guarded by it.
    pub version: Sequence,
}

/// Credits moved from one member to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Transferred {
    /// The movement in the books.
    pub transaction_id: TransactionId,
    /// Who gave.
    pub from_member_id: MemberId,
    /// Their name when it happened.
    pub from_member_name: Text<200>,
    /// Who got.
    pub to_member_id: MemberId,
    /// Their name when it happened.
    pub to_member_name: Text<200>,
    /// How many.
    pub amount: Credits,
    /// Their value at the rate of the moment, rounded half to even.
    pub amount_usd: Usd,
    /// The giver's balance after it.
    pub from_balance_after: Credits,
    /// The receiver's balance after it.
    pub to_balance_after: Credits,
    /// In the caller's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text<500>>,
    /// The giver's account's version after it.
    pub from_version: Sequence,
    /// The receiver's account's version after it.
    pub to_version: Sequence,
}

/// Credits ceased to be.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Burned {
    /// The movement in the books.
    pub transaction_id: TransactionId,
    /// Whose they were; absent for the unallocated account.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_id: Option<MemberId>,
    /// The member's name when it happened.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub member_name: Option<Text<200>>,
    /// How many.
    pub amount: Credits,
    /// Their value at the rate of the moment, rounded half to even.
    pub amount_usd: Usd,
    /// The account's balance after it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub balance_after: Option<Credits>,
    /// Why.
    pub reason: Text<200>,
    /// In the caller's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text<500>>,
    /// The account's version after it; projections are guarded by it.
    pub version: Sequence,
}

/// What credits are redeemed for.
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

    /// As it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Transfer => "transfer",
            Self::Ltm => "ltm",
            Self::Stm => "stm",
        }
    }

    /// The one of that name.
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

/// What a metered quantity is counted in.
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

    /// The one of that name.
    #[must_use]
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|one| one.as_str() == name)
    }

    /// As it stands on the wire.
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
    /// The movement in the books.
    pub transaction_id: TransactionId,
    /// Whose credits.
    pub member_id: MemberId,
    /// Their name when it happened.
    pub member_name: Text<200>,
    /// How many: quantity × rate, rounded half to even.
    pub amount: Credits,
    /// Their value at the rate of the moment, rounded half to even.
    pub amount_usd: Usd,
    /// The account's liquid balance after it.
    pub balance_after: Credits,
    /// What for.
    pub primitive: Primitive,
    /// How much of it.
    pub quantity: Quantity,
    /// What the quantity is counted in.
    pub unit: ResourceUnit,
    /// The service that used it.
    pub service_name: Text<200>,
    /// The metering period, e.g. `q1-2026`.
    pub period_id: Text<100>,
    /// The rate card that gave the rate.
    pub rate_card_version: Sequence,
    /// The rate: credits per unit.
    pub credits_per_unit: Credits,
    /// The account's version after it; projections are guarded by it.
    pub version: Sequence,
}

/// Credits were locked for a share of the revenue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Staked {
    /// The locked amount's identity.
    pub position_id: PositionId,
    /// The movement in the books.
    pub transaction_id: TransactionId,
    /// Whose credits.
    pub member_id: MemberId,
    /// Their name when it happened.
    pub member_name: Text<200>,
    /// How many.
    pub amount: Credits,
    /// Their value at the rate of the moment, rounded half to even.
    pub amount_usd: Usd,
    /// For how long, in days of 24 hours.
    pub lock_duration_days: u32,
    /// From when on they can be had back.
    pub unlock_at: Timestamp,
    /// The share of the revenue they earn.
    pub revenue_share_percent: Percent,
    /// What can be spent after it.
    pub liquid_balance_after: Credits,
    /// What is locked after it, over all positions.
    pub staked_balance_after: Credits,
    /// The account's version after it; projections are guarded by it.
    pub version: Sequence,
}

/// Locked credits became liquid again.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Unstaked {
    /// The locked amount's identity.
    pub position_id: PositionId,
    /// The movement in the books.
    pub transaction_id: TransactionId,
    /// Whose credits.
    pub member_id: MemberId,
    /// Their name when it happened.
    pub member_name: Text<200>,
    /// How many.
    pub amount: Credits,
    /// Their value at the rate of the moment, rounded half to even.
    pub amount_usd: Usd,
    /// How long they were locked, in whole days of 24 hours.
    pub staked_duration: u32,
    /// What they earned, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub revenue_earned: Option<Credits>,
    /// What can be spent after it.
    pub liquid_balance_after: Credits,
    /// What is locked after it, over all positions.
    pub staked_balance_after: Credits,
    /// The account's version after it; projections are guarded by it.
    pub version: Sequence,
}

/// A rate card was proposed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RateCardCreated {
    /// The card's number: 1, 2, 3… without gaps.
    pub version: Sequence,
    /// From when on its rates hold, once it is approved.
    pub effective_date: Timestamp,
    /// From when on members are told of it.
    pub notice_date: Timestamp,
    /// Credits per unit.
    pub rates: Rates,
    /// Who proposed it.
    pub proposed_by: MemberId,
    /// Their name when it happened.
    pub proposed_by_name: Text<200>,
    /// The owner of the API key that proposed it; absent in events from before owners were told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proposed_by_key_owner: Option<Text<64>>,
    /// The card's own version after it (`version` is the card's number); projections are guarded by it.
    pub revision: Sequence,
}

/// A rate card was approved: by another member than proposed it, and by another API key's owner.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct RateCardApproved {
    /// The card's number.
    pub version: Sequence,
    /// From when on its rates hold.
    pub effective_date: Timestamp,
    /// From when on members are told of the card: of its approval no sooner than of its proposal.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub notice_date: Option<Timestamp>,
    /// Who approved it.
    pub approved_by: MemberId,
    /// Their name when it happened.
    pub approved_by_name: Text<200>,
    /// The owner of the API key that approved it; absent in events from before owners were told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved_by_key_owner: Option<Text<64>>,
    /// When.
    pub approved_at: Timestamp,
    /// The card's own version after it (`version` is the card's number); projections are guarded by it.
    pub revision: Sequence,
}

/// The books and the chain state different balances for a member; told once per divergence.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SyncDiverged {
    /// Whose balance.
    pub member_id: MemberId,
    /// Their name when it was found.
    pub member_name: Text<200>,
    /// What the books say, liquid and staked together.
    pub database_balance: Credits,
    /// What the chain says, exactly.
    pub onchain_balance: DecimalText,
    /// Books less chain: negative where the chain has more.
    pub difference: DecimalText,
    /// Its value at the rate of the moment, two decimals, rounded half to even.
    pub difference_usd: DecimalText,
    /// When books and chain last agreed, if they ever did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub last_synced_at: Option<Timestamp>,
    /// The version of the member's record of synchronisation after it; projections are guarded by it.
    pub version: Sequence,
}
