//! $CLOUD credits.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    AggregateField, AggregateId, Contract, Credits, MemberId, Priority, Retention, Sequence, Text,
    TransactionId, Usd,
};

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

impl Contract for Minted {
    const TYPE: &'static str = "cloud.minted";
    const VERSION: u16 = 1;
    const PRIORITY: Priority = Priority::High;
    const PRODUCER: &'static str = "cloud-api";
    const AGGREGATE: &'static str = "cloud_account";
    const RETENTION: Retention = Retention::Forever;
    const AGGREGATE_FIELD: AggregateField = AggregateField::FieldOr("member_id", UNALLOCATED);

    fn aggregate_id(&self) -> AggregateId {
        super::aggregate_id(
            self.member_id
                .as_ref()
                .map_or(UNALLOCATED, MemberId::as_str),
        )
    }
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

impl Contract for Transferred {
    const TYPE: &'static str = "cloud.transferred";
    const VERSION: u16 = 1;
    const PRIORITY: Priority = Priority::High;
    const PRODUCER: &'static str = "cloud-api";
    const AGGREGATE: &'static str = "cloud_account";
    const RETENTION: Retention = Retention::Forever;
    const AGGREGATE_FIELD: AggregateField = AggregateField::Field("from_member_id");

    fn aggregate_id(&self) -> AggregateId {
        super::aggregate_id(self.from_member_id.as_str())
    }
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

impl Contract for Burned {
    const TYPE: &'static str = "cloud.burned";
    const VERSION: u16 = 1;
    const PRIORITY: Priority = Priority::High;
    const PRODUCER: &'static str = "cloud-api";
    const AGGREGATE: &'static str = "cloud_account";
    const RETENTION: Retention = Retention::Forever;
    const AGGREGATE_FIELD: AggregateField = AggregateField::FieldOr("member_id", UNALLOCATED);

    fn aggregate_id(&self) -> AggregateId {
        super::aggregate_id(
            self.member_id
                .as_ref()
                .map_or(UNALLOCATED, MemberId::as_str),
        )
    }
}
