//! Accounts of credits: mint, transfer, burn, and the statement that every one of them adds to.

use std::{borrow::Cow, fmt};

use events::{
    Contract, Credits, Draft, DraftError, EventId, IdError, IdempotencyKey, MemberId, Sequence,
    Text, TextError, Timestamp, TransactionId, Usd,
    contracts::cloud::{Burned, Minted, Transferred, UNALLOCATED},
};
use outbox::{BuildError, Entity, Key, Query, State, Table, Transaction, fact_key};
use rust_decimal::Decimal;
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

use crate::Rate;

/// The credits of a member, or those that belong to none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Account {
    /// How many; never below zero.
    pub balance: Credits,
}

impl State for Account {
    const AGGREGATE: &'static str = Minted::AGGREGATE;
}

/// An account as a decision sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Position {
    /// Its balance; zero where there is no account yet.
    pub balance: Credits,
    /// The version it has after the next write.
    pub next_version: Sequence,
}

impl Position {
    /// The position of an account that was read.
    ///
    /// # Errors
    /// [`IdError`] when versions run out.
    pub fn of(entity: &Entity<Account>) -> Result<Self, IdError> {
        Ok(Self {
            balance: entity
                .state()
                .map_or(Credits::ZERO, |account| account.balance),
            next_version: entity.next_version()?,
        })
    }
}

/// A member as far as credits need to know one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// Who.
    pub member_id: MemberId,
    /// Their name at the moment.
    pub name: Text<200>,
}

/// The id of the account of a member, or of the credits that belong to none.
#[must_use]
pub fn account_id(member_id: Option<&MemberId>) -> &str {
    member_id.map_or(UNALLOCATED, MemberId::as_str)
}

/// A Stripe charge's id: what names the fact that it was minted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct ChargeId(Text<255>);

impl ChargeId {
    /// Longest id in characters: with its prefix it must fit an idempotency key.
    pub const MAX_LENGTH: usize = 200;

    /// Accepts 1 to 200 visible ASCII characters without `#`.
    ///
    /// # Errors
    /// [`ChargeIdError`].
    pub fn new(text: impl Into<String>) -> Result<Self, ChargeIdError> {
        let text = text.into();
        let shaped = text.len() <= Self::MAX_LENGTH
            && text
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if !shaped {
            return Err(ChargeIdError);
        }
        Text::new(text).map(Self).map_err(|_| ChargeIdError)
    }

    /// The fact that this charge was minted.
    ///
    /// # Errors
    /// [`TextError`], which the id's shape rules out.
    pub fn fact(&self) -> Result<IdempotencyKey, TextError> {
        IdempotencyKey::new(format!("stripe/{}", self.0))
    }

    /// Where the fact's row, a [`MintedCharge`], stands.
    ///
    /// # Errors
    /// [`TextError`], which the id's shape rules out.
    pub fn fact_key(&self, table: &Table) -> Result<Key, TextError> {
        Ok(fact_key(table, &self.fact()?))
    }
}

/// Why a charge's id was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a Stripe charge's id has 1 to 200 visible ASCII characters other than '#'")]
pub struct ChargeIdError;

impl fmt::Display for ChargeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for ChargeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl JsonSchema for ChargeId {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "ChargeId".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "minLength": 1, "maxLength": Self::MAX_LENGTH, "pattern": r##"^[!-"$-~]+$"##,
            "x-expected": "1 to 200 visible ASCII characters other than '#'"
        })
    }
}

/// What the row of a minted charge says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MintedCharge {
    /// The transaction that minted it.
    pub transaction_id: TransactionId,
    /// When.
    pub minted_at: Timestamp,
}

/// Why the rules forbid a command.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Nothing, or less, cannot be moved.
    #[error("the amount must be more than zero")]
    AmountNotPositive,
    /// The account has less than is asked of it.
    #[error("{available} CLOUD are available, {needed} are needed")]
    InsufficientBalance {
        /// The balance.
        available: Credits,
        /// The amount asked for.
        needed: Credits,
    },
    /// Giver and receiver are one.
    #[error("a member cannot transfer to themselves")]
    TransferToOneself,
    /// The Stripe charge was minted before.
    #[error("the Stripe charge was minted by transaction {first}")]
    ChargeAlreadyMinted {
        /// The transaction that minted it.
        first: TransactionId,
    },
    /// The balance would be more than an account can hold.
    #[error("an account holds at most {max} CLOUD")]
    BalanceTooLarge {
        /// The most an account can hold.
        max: Decimal,
    },
    /// The amount is worth more dollars than can be stated.
    #[error("the amount is worth more than can be stated in US dollars")]
    ValueTooLarge,
}

/// What a decision is given besides state and command.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// The id of the movement that is being decided.
    pub transaction_id: TransactionId,
    /// Now.
    pub now: Timestamp,
    /// What a credit is worth now.
    pub rate: Rate,
}

impl Moment {
    /// The moment of a transaction.
    #[must_use]
    pub fn of(transaction: &Transaction, rate: Rate) -> Self {
        Self {
            transaction_id: transaction.uuid().into(),
            now: transaction.now(),
            rate,
        }
    }

    fn value_of(&self, amount: Credits) -> Result<Usd, Refusal> {
        self.rate
            .value_of(amount)
            .map_err(|_| Refusal::ValueTooLarge)
    }
}

/// Bring credits into being.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mint {
    /// Who gets them; nobody: the unallocated account.
    pub holder: Option<Holder>,
    /// How many.
    pub amount: Credits,
    /// The charge that paid for them.
    pub stripe_charge_id: Option<ChargeId>,
    /// The payment intent behind the charge.
    pub stripe_payment_intent_id: Option<Text<255>>,
    /// In the caller's words.
    pub description: Option<Text<500>>,
}

/// Two different members.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parties {
    from: MemberId,
    to: MemberId,
}

impl Parties {
    /// Accepts two different members.
    ///
    /// # Errors
    /// [`Refusal::TransferToOneself`].
    pub fn new(from: MemberId, to: MemberId) -> Result<Self, Refusal> {
        if from == to {
            Err(Refusal::TransferToOneself)
        } else {
            Ok(Self { from, to })
        }
    }

    /// Who gives.
    #[must_use]
    pub fn from(&self) -> &MemberId {
        &self.from
    }

    /// Who gets.
    #[must_use]
    pub fn to(&self) -> &MemberId {
        &self.to
    }
}

/// Move credits from one member to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transfer {
    /// Who gives and who gets.
    pub parties: Parties,
    /// The giver's name at the moment.
    pub from_name: Text<200>,
    /// The receiver's name at the moment.
    pub to_name: Text<200>,
    /// How many.
    pub amount: Credits,
    /// In the caller's words.
    pub description: Option<Text<500>>,
}

/// Let credits cease to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Burn {
    /// Whose they are; nobody's: those of the unallocated account.
    pub holder: Option<Holder>,
    /// How many.
    pub amount: Credits,
    /// Why.
    pub reason: Text<200>,
    /// In the caller's words.
    pub description: Option<Text<500>>,
}

/// A decided mint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Minting {
    /// The account after it.
    pub account: Account,
    /// What happened.
    pub event: Minted,
    /// The charge whose fact it records.
    pub charge: Option<ChargeId>,
    /// When.
    pub occurred_at: Timestamp,
}

/// A decided transfer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transferring {
    /// The giver's account after it.
    pub from: Account,
    /// The receiver's account after it.
    pub to: Account,
    /// What happened.
    pub event: Transferred,
    /// When.
    pub occurred_at: Timestamp,
}

/// A decided burn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Burning {
    /// The account after it.
    pub account: Account,
    /// What happened.
    pub event: Burned,
    /// When.
    pub occurred_at: Timestamp,
}

fn positive(amount: Credits) -> Result<Credits, Refusal> {
    if amount.is_zero() {
        Err(Refusal::AmountNotPositive)
    } else {
        Ok(amount)
    }
}

fn raised(account: Position, amount: Credits) -> Result<Account, Refusal> {
    let balance = account.balance.plus(amount);
    let balance = balance.map_err(|_| Refusal::BalanceTooLarge {
        max: Credits::max(),
    })?;
    Ok(Account { balance })
}

fn lowered(account: Position, amount: Credits) -> Result<Account, Refusal> {
    let balance = account.balance.minus(amount);
    let balance = balance.map_err(|_| Refusal::InsufficientBalance {
        available: account.balance,
        needed: amount,
    })?;
    Ok(Account { balance })
}

/// Decides a mint. `minted_before` is the row of the command's charge, if there is one.
///
/// # Errors
/// [`Refusal`].
pub fn mint(
    account: Position,
    minted_before: Option<&MintedCharge>,
    command: Mint,
    moment: &Moment,
) -> Result<Minting, Refusal> {
    let amount = positive(command.amount)?;
    if let Some(charge) = minted_before {
        return Err(Refusal::ChargeAlreadyMinted {
            first: charge.transaction_id,
        });
    }
    let after = raised(account, amount)?;
    let (member_id, member_name) = identity(command.holder);
    Ok(Minting {
        account: after,
        event: Minted {
            transaction_id: moment.transaction_id,
            member_id,
            member_name,
            amount,
            amount_usd: moment.value_of(amount)?,
            balance_after: after.balance,
            stripe_charge_id: command
                .stripe_charge_id
                .as_ref()
                .map(|charge| charge.0.clone()),
            stripe_payment_intent_id: command.stripe_payment_intent_id,
            description: command.description,
            version: account.next_version,
        },
        charge: command.stripe_charge_id,
        occurred_at: moment.now,
    })
}

/// Decides a transfer.
///
/// # Errors
/// [`Refusal`].
pub fn transfer(
    from: Position,
    to: Position,
    command: Transfer,
    moment: &Moment,
) -> Result<Transferring, Refusal> {
    let amount = positive(command.amount)?;
    let from_after = lowered(from, amount)?;
    let to_after = raised(to, amount)?;
    Ok(Transferring {
        from: from_after,
        to: to_after,
        event: Transferred {
            transaction_id: moment.transaction_id,
            from_member_id: command.parties.from,
            from_member_name: command.from_name,
            to_member_id: command.parties.to,
            to_member_name: command.to_name,
            amount,
            amount_usd: moment.value_of(amount)?,
            from_balance_after: from_after.balance,
            to_balance_after: to_after.balance,
            description: command.description,
            from_version: from.next_version,
            to_version: to.next_version,
        },
        occurred_at: moment.now,
    })
}

/// Decides a burn.
///
/// # Errors
/// [`Refusal`].
pub fn burn(account: Position, command: Burn, moment: &Moment) -> Result<Burning, Refusal> {
    let amount = positive(command.amount)?;
    let after = lowered(account, amount)?;
    let (member_id, member_name) = identity(command.holder);
    Ok(Burning {
        account: after,
        event: Burned {
            transaction_id: moment.transaction_id,
            member_id,
            member_name,
            amount,
            amount_usd: moment.value_of(amount)?,
            balance_after: Some(after.balance),
            reason: command.reason,
            description: command.description,
            version: account.next_version,
        },
        occurred_at: moment.now,
    })
}

fn identity(holder: Option<Holder>) -> (Option<MemberId>, Option<Text<200>>) {
    holder.map_or((None, None), |holder| {
        (Some(holder.member_id), Some(holder.name))
    })
}

/// What a movement did to the account whose statement it stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Kind {
    /// Credits came into being here.
    Minted,
    /// Credits went to another member.
    TransferredOut,
    /// Credits came from another member.
    TransferredIn,
    /// Credits ceased to be.
    Burned,
}

impl Kind {
    /// Whether it raises the balance.
    #[must_use]
    pub fn raises(self) -> bool {
        match self {
            Self::Minted | Self::TransferredIn => true,
            Self::TransferredOut | Self::Burned => false,
        }
    }
}

/// A line of an account's statement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Movement {
    /// The movement; both sides of a transfer have the same.
    pub transaction_id: TransactionId,
    /// What it did to this account.
    pub kind: Kind,
    /// How many credits.
    pub amount: Credits,
    /// This account's balance after it.
    pub balance_after: Credits,
    /// The other side of a transfer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub counterparty: Option<MemberId>,
    /// In the caller's words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<Text<500>>,
    /// Why credits were burned.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Text<200>>,
    /// The Stripe charge that paid for minted ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stripe_charge_id: Option<Text<255>>,
    /// When.
    pub occurred_at: Timestamp,
    /// The event that tells of it.
    pub event_id: EventId,
}

const MOVEMENT_PREFIX: &str = "transaction#";

impl Movement {
    /// Where the line stands: by the account's version after it, so that the statement has the order of the changes.
    #[must_use]
    pub fn key(table: &Table, account_id: &str, version: Sequence) -> Key {
        // 16 digits hold every version (2^53 - 1).
        let sk = format!("{MOVEMENT_PREFIX}{:016}", version.number());
        table.key(partition(account_id), sk)
    }

    /// An account's statement, newest first; `limit` lines at most.
    #[must_use]
    pub fn statement(table: &Table, account_id: &str, limit: u32) -> Query {
        Query {
            prefix: Some(MOVEMENT_PREFIX.to_owned()),
            descending: true,
            ..Query::partition(table, partition(account_id), limit)
        }
    }
}

fn partition(account_id: &str) -> String {
    format!("{}#{account_id}", Account::AGGREGATE)
}

fn single(ids: Vec<EventId>) -> Result<EventId, BuildError> {
    // `update` gives an id per draft, and there was one.
    ids.into_iter()
        .next()
        .ok_or(BuildError::Number(IdError::NotUuid))
}

impl Minting {
    /// Its line in the account's statement.
    #[must_use]
    pub fn movement(&self, event_id: EventId) -> Movement {
        let event = &self.event;
        Movement {
            transaction_id: event.transaction_id,
            kind: Kind::Minted,
            amount: event.amount,
            balance_after: event.balance_after,
            counterparty: None,
            description: event.description.clone(),
            reason: None,
            stripe_charge_id: event.stripe_charge_id.clone(),
            occurred_at: self.occurred_at,
            event_id,
        }
    }

    /// Puts account, event, statement line and the charge's fact into a transaction; returns the event's id.
    ///
    /// # Errors
    /// [`BuildError`] when the entity is another account's.
    pub fn save(
        &self,
        transaction: &mut Transaction,
        table: &Table,
        entity: &Entity<Account>,
    ) -> Result<EventId, BuildError> {
        let mut draft = Draft::of(&self.event)?;
        let fact = self.charge.as_ref().map(ChargeId::fact).transpose();
        let fact = fact.map_err(DraftError::from)?;
        if let Some(fact) = &fact {
            draft = draft.with_idempotency_key(fact.clone());
        }
        let event_id = single(transaction.update(entity, &self.account, vec![draft])?)?;
        if let Some(fact) = &fact {
            let row = MintedCharge {
                transaction_id: self.event.transaction_id,
                minted_at: self.occurred_at,
            };
            transaction.fact(table, fact, &row)?;
        }
        let account_id = account_id(self.event.member_id.as_ref());
        let key = Movement::key(table, account_id, self.event.version);
        transaction.insert(key, &self.movement(event_id))?;
        Ok(event_id)
    }
}

impl Transferring {
    /// Its line in the giver's statement, then the one in the receiver's.
    #[must_use]
    pub fn movements(&self, event_id: EventId) -> (Movement, Movement) {
        let event = &self.event;
        let given = Movement {
            transaction_id: event.transaction_id,
            kind: Kind::TransferredOut,
            amount: event.amount,
            balance_after: event.from_balance_after,
            counterparty: Some(event.to_member_id.clone()),
            description: event.description.clone(),
            reason: None,
            stripe_charge_id: None,
            occurred_at: self.occurred_at,
            event_id,
        };
        let got = Movement {
            kind: Kind::TransferredIn,
            balance_after: event.to_balance_after,
            counterparty: Some(event.from_member_id.clone()),
            ..given.clone()
        };
        (given, got)
    }

    /// Puts both accounts, the event and both statement lines into a transaction; returns the event's id.
    ///
    /// # Errors
    /// [`BuildError`] when an entity is another account's.
    pub fn save(
        &self,
        transaction: &mut Transaction,
        table: &Table,
        from: &Entity<Account>,
        to: &Entity<Account>,
    ) -> Result<EventId, BuildError> {
        let event = &self.event;
        let event_id = single(transaction.update(from, &self.from, vec![Draft::of(event)?])?)?;
        transaction.update(to, &self.to, Vec::new())?;
        let (given, got) = self.movements(event_id);
        let giver = event.from_member_id.as_str();
        let receiver = event.to_member_id.as_str();
        transaction.insert(Movement::key(table, giver, event.from_version), &given)?;
        transaction.insert(Movement::key(table, receiver, event.to_version), &got)?;
        Ok(event_id)
    }
}

impl Burning {
    /// Its line in the account's statement.
    #[must_use]
    pub fn movement(&self, event_id: EventId) -> Movement {
        let event = &self.event;
        Movement {
            transaction_id: event.transaction_id,
            kind: Kind::Burned,
            amount: event.amount,
            balance_after: self.account.balance,
            counterparty: None,
            description: event.description.clone(),
            reason: Some(event.reason.clone()),
            stripe_charge_id: None,
            occurred_at: self.occurred_at,
            event_id,
        }
    }

    /// Puts account, event and statement line into a transaction; returns the event's id.
    ///
    /// # Errors
    /// [`BuildError`] when the entity is another account's.
    pub fn save(
        &self,
        transaction: &mut Transaction,
        table: &Table,
        entity: &Entity<Account>,
    ) -> Result<EventId, BuildError> {
        let draft = Draft::of(&self.event)?;
        let event_id = single(transaction.update(entity, &self.account, vec![draft])?)?;
        let account_id = account_id(self.event.member_id.as_ref());
        let key = Movement::key(table, account_id, self.event.version);
        transaction.insert(key, &self.movement(event_id))?;
        Ok(event_id)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    fn credits(text: &str) -> Credits {
        text.parse().expect("an amount")
    }

    fn member(id: &str) -> MemberId {
        MemberId::new(id).expect("an id")
    }

    fn name() -> Text<200> {
        Text::new("Ada").expect("a name")
    }

    fn holder(id: &str) -> Holder {
        Holder {
            member_id: member(id),
            name: name(),
        }
    }

    fn moment(number: u128) -> Moment {
        Moment {
            transaction_id: Uuid::from_u128(number).into(),
            now: Timestamp::EPOCH,
            rate: "10".parse().expect("a rate"),
        }
    }

    fn position(balance: &str, next_version: u64) -> Position {
        Position {
            balance: credits(balance),
            next_version: Sequence::new(next_version).expect("a version"),
        }
    }

    fn mint_of(holder: Option<Holder>, amount: Credits) -> Mint {
        Mint {
            holder,
            amount,
            stripe_charge_id: None,
            stripe_payment_intent_id: None,
            description: None,
        }
    }

    fn burn_of(holder: Option<Holder>, amount: Credits) -> Burn {
        Burn {
            holder,
            amount,
            reason: Text::new("refund").expect("a reason"),
            description: None,
        }
    }

    fn transfer_of(from: &str, to: &str, amount: Credits) -> Result<Transfer, Refusal> {
        Ok(Transfer {
            parties: Parties::new(member(from), member(to))?,
            from_name: name(),
            to_name: name(),
            amount,
            description: None,
        })
    }

    #[test]
    fn a_mint_raises_the_balance_and_states_its_value() {
        let command = mint_of(Some(holder("a")), credits("2.5"));
        let minting = mint(position("1", 4), None, command, &moment(1)).expect("allowed");
        assert_eq!(minting.account.balance, credits("3.5"));
        assert_eq!(minting.event.amount_usd.to_string(), "25.00");
        assert_eq!(minting.event.version.number(), 4);
        assert_eq!(minting.event.aggregate_id().as_str(), "a");
    }

    #[test]
    fn credits_of_nobody_come_to_and_go_from_the_unallocated_account() {
        let minting = mint(
            position("0", 1),
            None,
            mint_of(None, credits("5")),
            &moment(1),
        );
        let minting = minting.expect("allowed");
        assert_eq!(minting.event.aggregate_id().as_str(), "unallocated");
        let burning = burn(position("5", 2), burn_of(None, credits("5")), &moment(2));
        let burning = burning.expect("allowed");
        assert_eq!(burning.event.aggregate_id().as_str(), "unallocated");
        assert_eq!(burning.account.balance, Credits::ZERO);
    }

    #[test]
    fn a_charge_is_minted_once_whoever_asks() {
        let before = MintedCharge {
            transaction_id: Uuid::from_u128(7).into(),
            minted_at: Timestamp::EPOCH,
        };
        let command = mint_of(Some(holder("b")), credits("1"));
        let refusal = mint(position("0", 1), Some(&before), command, &moment(1));
        let first = before.transaction_id;
        assert_eq!(refusal, Err(Refusal::ChargeAlreadyMinted { first }));
    }

    #[test]
    fn what_is_not_there_can_neither_be_burned_nor_transferred() {
        let short = Refusal::InsufficientBalance {
            available: credits("1"),
            needed: credits("1.000001"),
        };
        let needed = credits("1.000001");
        let burned = burn(
            position("1", 2),
            burn_of(Some(holder("a")), needed),
            &moment(1),
        );
        assert_eq!(burned, Err(short.clone()));
        let command = transfer_of("a", "b", needed).expect("two members");
        let moved = transfer(position("1", 2), position("0", 1), command, &moment(1));
        assert_eq!(moved, Err(short));
    }

    #[test]
    fn nobody_transfers_to_themselves_and_nothing_is_no_amount() {
        let oneself = transfer_of("a", "a", credits("1"));
        assert_eq!(oneself.err(), Some(Refusal::TransferToOneself));
        let nothing = mint(
            position("0", 1),
            None,
            mint_of(None, Credits::ZERO),
            &moment(1),
        );
        assert_eq!(nothing, Err(Refusal::AmountNotPositive));
        let nothing = burn(position("1", 2), burn_of(None, Credits::ZERO), &moment(1));
        assert_eq!(nothing, Err(Refusal::AmountNotPositive));
        let command = transfer_of("a", "b", Credits::ZERO).expect("two members");
        let nothing = transfer(position("1", 2), position("0", 1), command, &moment(1));
        assert_eq!(nothing, Err(Refusal::AmountNotPositive));
    }

    #[test]
    fn a_balance_beyond_what_can_be_carried_is_refused() {
        let full = Position {
            balance: Credits::new(Credits::max()).expect("the largest"),
            next_version: Sequence::new(2).expect("a version"),
        };
        let refused = Err(Refusal::BalanceTooLarge {
            max: Credits::max(),
        });
        let least = credits("0.000001");
        let minted = mint(full, None, mint_of(None, least), &moment(1));
        assert_eq!(minted.map(drop), refused);
        let command = transfer_of("a", "b", least).expect("two members");
        let moved = transfer(position("1", 2), full, command, &moment(1));
        assert_eq!(moved.map(drop), refused);
    }

    #[test]
    fn charge_ids_fit_the_facts_they_name() {
        let longest = "c".repeat(ChargeId::MAX_LENGTH);
        assert!(ChargeId::new(longest.as_str()).is_ok_and(|charge| charge.fact().is_ok()));
        for text in ["", "a#b", "a b", "a\nb", "\u{e4}", &format!("{longest}c")] {
            assert_eq!(ChargeId::new(text), Err(ChargeIdError), "{text:?}");
        }
    }

    #[test]
    fn statement_lines_sort_by_version_as_text() {
        let table = Table::domain("cloud");
        let key = |number| Movement::key(&table, "a", Sequence::new(number).expect("a version"));
        assert!(key(9).sk < key(10).sk);
        assert!(key(Sequence::MAX - 1).sk < key(Sequence::MAX).sk);
    }

    /// The books as a naive reader keeps them, beside what the decisions say.
    #[derive(Default)]
    struct Books {
        accounts: BTreeMap<String, (Credits, u64)>,
        minted: Decimal,
        burned: Decimal,
        lines: BTreeMap<String, Vec<Movement>>,
    }

    impl Books {
        fn position(&self, id: &str) -> Position {
            let (balance, version) = self.accounts.get(id).copied().unwrap_or_default();
            Position {
                balance,
                next_version: Sequence::new(version + 1).expect("a version"),
            }
        }

        fn put(&mut self, id: &str, account: Account, line: Movement) {
            let entry = self.accounts.entry(id.to_owned()).or_default();
            *entry = (account.balance, entry.1 + 1);
            self.lines.entry(id.to_owned()).or_default().push(line);
        }
    }

    #[derive(Debug, Clone)]
    enum Asked {
        Mint(Option<u8>, Credits),
        Transfer(u8, u8, Credits),
        Burn(Option<u8>, Credits),
    }

    fn asked() -> impl Strategy<Value = Asked> {
        let amount = prop_oneof![
            8 => 0_i64..5_000_000,
            // Near the edge of what an account can hold.
            1 => 999_999_990_000_000_i64..=999_999_999_999_999,
        ]
        .prop_map(|units| Credits::new(Decimal::new(units, 6)).expect("in range"));
        let who = || prop::option::weighted(0.8, 0_u8..3);
        prop_oneof![
            (who(), amount.clone()).prop_map(|(who, amount)| Asked::Mint(who, amount)),
            (0_u8..3, 0_u8..3, amount.clone())
                .prop_map(|(from, to, amount)| Asked::Transfer(from, to, amount)),
            (who(), amount).prop_map(|(who, amount)| Asked::Burn(who, amount)),
        ]
    }

    fn id_of(who: u8) -> String {
        format!("m{who}")
    }

    fn account_of(who: Option<u8>) -> String {
        who.map_or_else(|| UNALLOCATED.to_owned(), id_of)
    }

    proptest! {
           #[test]
           fn whatever_is_asked_the_books_balance(commands in prop::collection::vec(asked(), 1..60)) {
               let mut books = Books::default();
               for (number, command) in commands.into_iter().enumerate() {
                   let moment = moment(number as u128);
                   let event_id = EventId::new(Uuid::now_v7()).expect("version 7");
                   match command {
                       Asked::Mint(who, amount) => {
                           let id = account_of(who);
                           let command = mint_of(who.map(|who| holder(&id_of(who))), amount);
                           if let Ok(minting) = mint(books.position(&id), None, command, &moment) {
                               let aggregate = minting.event.aggregate_id();
    prop_assert_eq!(aggregate.as_str(), id.as_str());
                               books.minted += minting.event.amount.decimal();
                               books.put(&id, minting.account, minting.movement(event_id));
                           }
                       }
                       Asked::Transfer(from, to, amount) => {
                           let (from, to) = (id_of(from), id_of(to));
                           let Ok(command) = transfer_of(&from, &to, amount) else {
                               prop_assert_eq!(from, to);
                               continue;
                           };
                           let (giver, receiver) = (books.position(&from), books.position(&to));
                           if let Ok(moved) = transfer(giver, receiver, command, &moment) {
                               let (given, got) = moved.movements(event_id);
                               prop_assert_eq!(given.transaction_id, got.transaction_id);
                               books.put(&from, moved.from, given);
                               books.put(&to, moved.to, got);
                           }
                       }
                       Asked::Burn(who, amount) => {
                           let id = account_of(who);
                           let command = burn_of(who.map(|who| holder(&id_of(who))), amount);
                           if let Ok(burning) = burn(books.position(&id), command, &moment) {
                               books.burned += burning.event.amount.decimal();
                               books.put(&id, burning.account, burning.movement(event_id));
                           }
                       }
                   }
                   let total: Decimal = books.accounts.values().map(|(balance, _)| balance.decimal()).sum();
                   prop_assert_eq!(total, books.minted - books.burned);
               }
               for (id, lines) in &books.lines {
                   let mut balance = Decimal::ZERO;
                   for line in lines {
                       let change = line.amount.decimal();
                       balance += if line.kind.raises() { change } else { -change };
                       prop_assert!(balance >= Decimal::ZERO, "{} fell below zero", id);
                       prop_assert_eq!(line.balance_after.decimal(), balance);
                   }
                   prop_assert_eq!(books.accounts[id].0.decimal(), balance);
               }
           }
       }
}
