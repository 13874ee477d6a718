//! What callers send and get.

mod rate_cards;
mod redemptions;
mod stakes;

pub use self::{
    rate_cards::{
        ApprovalAnswer, ApprovalRequest, ProposalAnswer, ProposalRequest, RateCardPath,
        RateCardStatus, RateCardView, RatesInput,
    },
    redemptions::{RedemptionAnswer, RedemptionRequest},
    stakes::{StakeAnswer, StakePath, StakeRequest, StakesQuery, UnstakeAnswer, UnstakeRequest},
};

use std::{borrow::Cow, fmt};

use api::{AmountInput, PositiveInput};
use cloud::account::{self, ChargeId};
use events::{
    AccountId, Cloud, Credits, Dollar, EventId, MemberId, Percent, Sequence, Text, TransactionId,
    Usd, contracts::cloud::UNALLOCATED,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Bring credits into being.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct MintRequest {
    /// Who gets them; left out: the unallocated account.
    #[serde(default)]
    pub member_id: Option<MemberId>,
    /// How many, more than zero.
    pub amount: PositiveInput<Cloud>,
    /// The Stripe charge that paid for them: mints once, for whomever and under whatever key.
    #[serde(default)]
    pub stripe_charge_id: Option<ChargeId>,
    /// The payment intent behind the charge.
    #[serde(default)]
    pub stripe_payment_intent_id: Option<Text<255>>,
    /// In your words; stands in the statement.
    #[serde(default)]
    pub description: Option<Text<500>>,
}

/// A mint that was done.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MintAnswer {
    /// The movement in the books.
    pub transaction_id: TransactionId,
    /// The event `cloud.minted`.
    pub event_id: EventId,
    /// The account's balance after it.
    pub balance_after: Credits,
}

/// Move credits from one member to another.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct TransferRequest {
    /// Who gives.
    pub from_member_id: MemberId,
    /// Who gets: another one.
    pub to_member_id: MemberId,
    /// How many, more than zero.
    pub amount: PositiveInput<Cloud>,
    /// In your words; stands in both statements.
    #[serde(default)]
    pub description: Option<Text<500>>,
}

/// A transfer that was done.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TransferAnswer {
    /// The movement in the books.
    pub transaction_id: TransactionId,
    /// The event `cloud.transferred`.
    pub event_id: EventId,
    /// The giver's balance after it.
    pub from_balance_after: Credits,
    /// The receiver's balance after it.
    pub to_balance_after: Credits,
}

/// Let credits cease to be.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct BurnRequest {
    /// Whose; left out: those of the unallocated account.
    #[serde(default)]
    pub member_id: Option<MemberId>,
    /// How many, more than zero.
    pub amount: PositiveInput<Cloud>,
    /// Why.
    pub reason: Text<200>,
    /// In your words; stands in the statement.
    #[serde(default)]
    pub description: Option<Text<500>>,
}

/// A burn that was done.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BurnAnswer {
    /// The movement in the books.
    pub transaction_id: TransactionId,
    /// The event `cloud.burned`.
    pub event_id: EventId,
    /// The account's balance after it.
    pub balance_after: Credits,
}

/// Whose account is read: a member's, or `unallocated`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountName {
    /// A member's.
    Member(MemberId),
    /// The account of credits that belong to no member.
    Unallocated,
}

impl AccountName {
    /// The member, if it is one's.
    #[must_use]
    pub fn member_id(&self) -> Option<&MemberId> {
        match self {
            Self::Member(member_id) => Some(member_id),
            Self::Unallocated => None,
        }
    }

    /// The account's id.
    #[must_use]
    pub fn account_id(&self) -> &str {
        account::account_id(self.member_id())
    }
}

impl fmt::Display for AccountName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.account_id())
    }
}

impl Serialize for AccountName {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.account_id())
    }
}

impl<'de> Deserialize<'de> for AccountName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        if text == UNALLOCATED {
            return Ok(Self::Unallocated);
        }
        MemberId::new(text)
            .map(Self::Member)
            .map_err(serde::de::Error::custom)
    }
}

impl JsonSchema for AccountName {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "AccountName".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "pattern": "^[A-Za-z0-9][A-Za-z0-9._:-]*$", "minLength": 1, "maxLength": 64,
            "description": "A member's id, or `unallocated`: the account of credits that belong to no member.",
            "x-expected": "a member's id or 'unallocated'"
        })
    }
}

/// Whose account is asked for.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct AccountPath {
    /// Whose.
    pub member_id: AccountName,
}

/// What somebody has.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BalanceAnswer {
    /// Whose.
    pub member_id: AccountName,
    /// How many credits can be spent.
    pub balance: Credits,
    /// Their value at the rate of the moment.
    pub balance_usd: Usd,
    /// How many more are locked in stakes.
    pub staked_balance: Credits,
}

/// Which treasury account.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct TreasuryAccountPath {
    /// Its number in the chart of accounts; `1110` is the reserve.
    pub account_id: AccountId,
}

/// State the balance of a treasury account.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct TreasuryAccountRequest {
    /// The balance, zero or more.
    pub balance: AmountInput<Dollar>,
}

/// A treasury account.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TreasuryAccountAnswer {
    /// Its number.
    pub account_id: AccountId,
    /// Its balance.
    pub balance: Usd,
    /// One more with every change.
    pub version: Sequence,
}

/// What is owed and what backs it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TreasuryAnswer {
    /// Credits outstanding, liquid and staked, as far as the events of mints, burns and redemptions were counted: a moment behind the accounts.
    pub outstanding: Credits,
    /// Their value at the rate of the moment.
    pub outstanding_usd: Usd,
    /// The balance of account 1110.
    pub reserve_usd: Usd,
    /// Reserve ÷ value, cut off after two decimals; null while nothing is outstanding.
    pub backing_percent: Option<Percent>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_account_is_named_by_its_member_or_as_the_one_of_nobody() {
        let read = |text: &str| serde_json::from_value::<AccountName>(text.into());
        let member = read("ada").expect("a member's");
        assert_eq!(member.member_id().map(MemberId::as_str), Some("ada"));
        assert_eq!(
            read("unallocated").expect("nobody's"),
            AccountName::Unallocated
        );
        assert_eq!(AccountName::Unallocated.to_string(), "unallocated");
        assert!(read("a#b").is_err());
    }
}
