//! What is done with credits: load, decide, save. The API, Flow and every other caller run these; a caller brings the
//! transaction, and commits it where an operation succeeds.
//!
//! Everything an operation rests on is read inside it, every time: a decision that is made again after a conflict reads anew.

mod cards;
mod stakes;

use async_trait::async_trait;
use events::{AccountId, Credits, DraftError, EventId, MemberId, Quantity, Sequence, Text, Usd};
use outbox::{BuildError, Entity, Error, Outbox, Table, Transaction};

pub use self::{cards::ProposeBy, stakes::StakeFor};
use crate::{
    Account, Rate, Refusal,
    account::{
        self, Burn, Burning, ChargeId, Holder, Holding, Mint, MintedCharge, Minting, Moment,
        Parties, Transfer, Transferring,
    },
    rate_card::RateCard,
    redemption::{self, Metering, Redeem, Redeeming},
    refusal::Role,
    stake::RevenueShares,
    treasury::{self, Stated, TreasuryAccount},
};

/// Who the members are. Another domain knows: the caller's composition asks it.
#[async_trait]
pub trait Members: Send + Sync {
    /// The member, as far as credits need to know one.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    async fn holder(&self, id: &MemberId) -> Result<Option<Holder>, Error>;
}

/// Why an operation wrote nothing.
pub type Stopped = domain::Stopped<Refusal>;

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A decision that stands in the transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done<D> {
    /// The event that tells of it.
    pub event_id: EventId,
    /// What was decided.
    pub decided: D,
}

/// Bring credits into being.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MintFor {
    /// Who gets them; nobody: the unallocated account.
    pub member_id: Option<MemberId>,
    /// How many.
    pub amount: Credits,
    /// The charge that paid for them.
    pub stripe_charge_id: Option<ChargeId>,
    /// The payment intent behind the charge.
    pub stripe_payment_intent_id: Option<Text<255>>,
    /// In the caller's words.
    pub description: Option<Text<500>>,
}

/// Move credits from one member to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferBetween {
    /// Who gives and who gets.
    pub parties: Parties,
    /// How many.
    pub amount: Credits,
    /// In the caller's words.
    pub description: Option<Text<500>>,
}

/// Let credits cease to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BurnOf {
    /// Whose they are; nobody's: those of the unallocated account.
    pub member_id: Option<MemberId>,
    /// How many.
    pub amount: Credits,
    /// Why.
    pub reason: Text<200>,
    /// In the caller's words.
    pub description: Option<Text<500>>,
}

/// Use credits up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedeemFor {
    /// Whose.
    pub member_id: MemberId,
    /// What the caller takes the amount to be.
    pub amount: Option<Credits>,
    /// What for.
    pub metering: Metering,
    /// How much of it, more than zero.
    pub quantity: Quantity,
    /// The service that used it.
    pub service_name: Text<200>,
    /// The metering period.
    pub period_id: Text<100>,
    /// The rate card asked for.
    pub rate_card_version: Sequence,
}

/// What operations work on.
#[derive(Debug, Clone, Copy)]
pub struct Cloud<'a, M> {
    /// Reads what is decided on.
    pub outbox: &'a Outbox,
    /// The domain's table.
    pub table: &'a Table,
    /// Who the members are.
    pub members: &'a M,
    /// What a credit is worth.
    pub rate: Rate,
    /// Which share of the revenue a stake earns.
    pub shares: &'a RevenueShares,
}

impl<M: Members> Cloud<'_, M> {
    /// The account of a member, or of the credits that belong to none; empty where there is none yet.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn account(&self, id: &str) -> Result<Entity<Account>, Error> {
        self.outbox.load(self.table, id).await
    }

    /// A member in a role; refused where there is none.
    async fn member(&self, role: Role, id: &MemberId) -> Result<Result<Holder, Refusal>, Error> {
        let holder = self.members.holder(id).await?;
        Ok(holder.ok_or_else(|| Refusal::UnknownMember {
            role,
            member_id: id.clone(),
        }))
    }

    /// Whose an account's credits are: a member's or nobody's; refused where there is no such member.
    ///
    /// # Errors
    /// [`Error`] when the member cannot be read.
    pub async fn owner(
        &self,
        id: Option<&MemberId>,
    ) -> Result<Result<Option<Holder>, Refusal>, Error> {
        match id {
            Some(id) => Ok(self.member(Role::Holder, id).await?.map(Some)),
            None => Ok(Ok(None)),
        }
    }

    async fn minted_before(
        &self,
        charge: Option<&ChargeId>,
    ) -> Result<Option<MintedCharge>, Error> {
        let Some(charge) = charge else {
            return Ok(None);
        };
        let key = charge.fact_key(self.table);
        let key = key.map_err(|error| BuildError::from(DraftError::from(error)))?;
        self.outbox.row(&key).await
    }

    /// Brings credits into being.
    ///
    /// # Errors
    /// [`Refusal::UnknownMember`], what [`account::mint`] refuses; [`Stopped::Failed`].
    pub async fn mint(
        &self,
        transaction: &mut Transaction,
        asked: MintFor,
    ) -> Result<Done<Minting>, Stopped> {
        let member_id = asked.member_id.as_ref();
        let (holder, minted_before, entity) = futures::try_join!(
            self.owner(member_id),
            self.minted_before(asked.stripe_charge_id.as_ref()),
            self.account(account::account_id(member_id)),
        )?;
        let mint = Mint {
            holder: holder?,
            amount: asked.amount,
            stripe_charge_id: asked.stripe_charge_id,
            stripe_payment_intent_id: asked.stripe_payment_intent_id,
            description: asked.description,
        };
        let moment = Moment::of(transaction, self.rate);
        let holding = Holding::of(&entity)?;
        let decided = account::mint(holding, minted_before.as_ref(), mint, &moment)?;
        let event_id = decided.save(transaction, self.table, &entity)?;
        Ok(Done { event_id, decided })
    }

    /// Moves credits from one member to another.
    ///
    /// # Errors
    /// [`Refusal::UnknownMember`], what [`account::transfer`] refuses; [`Stopped::Failed`].
    pub async fn transfer(
        &self,
        transaction: &mut Transaction,
        asked: TransferBetween,
    ) -> Result<Done<Transferring>, Stopped> {
        let (giver, receiver) = (asked.parties.from(), asked.parties.to());
        let (giver, receiver, (from, to)) = futures::try_join!(
            self.member(Role::Giver, giver),
            self.member(Role::Receiver, receiver),
            self.outbox
                .load_pair::<Account>(self.table, giver.as_str(), receiver.as_str()),
        )?;
        let transfer = Transfer {
            from_name: giver?.name,
            to_name: receiver?.name,
            parties: asked.parties,
            amount: asked.amount,
            description: asked.description,
        };
        let moment = Moment::of(transaction, self.rate);
        let (giving, getting) = (Holding::of(&from)?, Holding::of(&to)?);
        let decided = account::transfer(giving, getting, transfer, &moment)?;
        let event_id = decided.save(transaction, self.table, &from, &to)?;
        Ok(Done { event_id, decided })
    }

    /// Lets credits cease to be.
    ///
    /// # Errors
    /// [`Refusal::UnknownMember`], what [`account::burn`] refuses; [`Stopped::Failed`].
    pub async fn burn(
        &self,
        transaction: &mut Transaction,
        asked: BurnOf,
    ) -> Result<Done<Burning>, Stopped> {
        let member_id = asked.member_id.as_ref();
        let (holder, entity) = futures::try_join!(
            self.owner(member_id),
            self.account(account::account_id(member_id)),
        )?;
        let burn = Burn {
            holder: holder?,
            amount: asked.amount,
            reason: asked.reason,
            description: asked.description,
        };
        let moment = Moment::of(transaction, self.rate);
        let decided = account::burn(Holding::of(&entity)?, burn, &moment)?;
        let event_id = decided.save(transaction, self.table, &entity)?;
        Ok(Done { event_id, decided })
    }

    /// Uses credits up.
    ///
    /// # Errors
    /// [`Refusal::UnknownMember`], what [`redemption::redeem`] refuses; [`Stopped::Failed`].
    pub async fn redeem(
        &self,
        transaction: &mut Transaction,
        asked: RedeemFor,
    ) -> Result<Done<Redeeming>, Stopped> {
        let card = asked.rate_card_version.to_string();
        let (holder, entity, card) = futures::try_join!(
            self.member(Role::Holder, &asked.member_id),
            self.account(asked.member_id.as_str()),
            self.outbox.load::<RateCard>(self.table, &card),
        )?;
        let redeem = Redeem {
            holder: holder?,
            amount: asked.amount,
            metering: asked.metering,
            quantity: asked.quantity,
            service_name: asked.service_name,
            period_id: asked.period_id,
            rate_card_version: asked.rate_card_version,
        };
        let moment = Moment::of(transaction, self.rate);
        let decided = redemption::redeem(Holding::of(&entity)?, card.state(), redeem, &moment)?;
        let event_id = decided.save(transaction, self.table, &entity)?;
        Ok(Done { event_id, decided })
    }

    /// States the balance of an account of the treasury; returns the version it has then.
    ///
    /// # Errors
    /// [`Stopped::Failed`].
    pub async fn state_balance(
        &self,
        transaction: &mut Transaction,
        account_id: &AccountId,
        balance: Usd,
    ) -> Result<Sequence, Stopped> {
        let entity: Entity<TreasuryAccount> =
            self.outbox.load(self.table, account_id.as_str()).await?;
        let next = entity.next_version()?;
        match treasury::state_balance(entity.state(), account_id.clone(), balance, next) {
            Stated::Same => Ok(Sequence::new(entity.version())?),
            Stated::Changed(change) => {
                change.save(transaction, &entity)?;
                Ok(next)
            }
        }
    }
}
