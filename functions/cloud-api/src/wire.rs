//! Request and response bodies.

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
use cloud::account;
use events::{
    AccountId, Cloud, Credits, Dollar, EventId, ExternalReference, MemberId, Percent, Sequence,
    Text, TransactionId, Usd, contracts::cloud::UNALLOCATED,
};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Mint credits.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct MintRequest {
    /// The member who gets the credits. If absent, the unallocated account gets them.
    #[serde(default)]
    pub member_id: Option<MemberId>,
    /// The amount, more than zero.
    pub amount: PositiveInput<Cloud>,
    /// The Stripe charge that paid for them. A charge mints once, for any member and under any idempotency key.
    #[serde(default)]
    pub stripe_charge_id: Option<ExternalReference>,
    /// The payment intent behind the charge. It mints once too, with or without its charge.
    #[serde(default)]
    pub stripe_payment_intent_id: Option<ExternalReference>,
    /// Your own description, shown in the statement.
    #[serde(default)]
    pub description: Option<Text<500>>,
}

/// The result of a mint.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct MintAnswer {
    /// The id of the movement in the books.
    pub transaction_id: TransactionId,
    /// The event `cloud.minted`.
    pub event_id: EventId,
    /// The account's balance after the movement.
    pub balance_after: Credits,
}

/// Move credits from one member to another.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct TransferRequest {
    /// The sender.
    pub from_member_id: MemberId,
    /// The receiver, who must be another member.
    pub to_member_id: MemberId,
    /// The amount, more than zero.
    pub amount: PositiveInput<Cloud>,
    /// Your own description, shown in both members' statements.
    #[serde(default)]
    pub description: Option<Text<500>>,
}

/// The result of a transfer.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TransferAnswer {
    /// The id of the movement in the books.
    pub transaction_id: TransactionId,
    /// The event `cloud.transferred`.
    pub event_id: EventId,
    /// The sender's balance after the transfer.
    pub from_balance_after: Credits,
    /// The receiver's balance after the transfer.
    pub to_balance_after: Credits,
}

/// Burn credits.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct BurnRequest {
    /// The member whose credits are burned. If absent, credits of the unallocated account are burned.
    #[serde(default)]
    pub member_id: Option<MemberId>,
    /// The amount, more than zero.
    pub amount: PositiveInput<Cloud>,
    /// Why.
    pub reason: Text<200>,
    /// Your own description, shown in the statement.
    #[serde(default)]
    pub description: Option<Text<500>>,
}

/// The result of a burn.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BurnAnswer {
    /// The id of the movement in the books.
    pub transaction_id: TransactionId,
    /// The event `cloud.burned`.
    pub event_id: EventId,
    /// The account's balance after the movement.
    pub balance_after: Credits,
}

/// The account that is read: a member's, or `unallocated`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AccountName {
    /// A member's.
    Member(MemberId),
    /// The account of credits that belong to no member.
    Unallocated,
}

impl AccountName {
    /// The member, or `None` for the unallocated account.
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

/// The path parameter of an account.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct AccountPath {
    /// The owner of the account.
    pub member_id: AccountName,
}

/// The balance of an account.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct BalanceAnswer {
    /// The owner of the account.
    pub member_id: AccountName,
    /// The credits that can be spent.
    pub balance: Credits,
    /// Their value at the current rate.
    pub balance_usd: Usd,
    /// The credits that are locked in stakes, in addition.
    pub staked_balance: Credits,
}

/// The path parameter of a treasury account.
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
    /// The version: every change increases it by one.
    pub version: Sequence,
}

/// The outstanding credits and the reserve that backs them.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TreasuryAnswer {
    /// The outstanding credits, liquid and staked. They follow the events of mints, burns and redemptions, so they lag
    /// a moment behind the accounts.
    pub outstanding: Credits,
    /// Their value at the current rate.
    pub outstanding_usd: Usd,
    /// The balance of account 1110.
    pub reserve_usd: Usd,
    /// Reserve ÷ value, truncated to two decimals; null while no credits are outstanding.
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
