//! Operations on credits: load, decide, save. The API, Flow and all other callers use them. The caller brings the
//! transaction and commits it if the operation succeeds.
//!
//! An operation reads everything that it rests on itself, every time. So a decision that is made again after a conflict
//! uses fresh data.

mod cards;
mod stakes;

use async_trait::async_trait;
use events::{AccountId, Credits, EventId, MemberId, Quantity, Sequence, Text, Usd};
use outbox::{Entity, Error, Outbox, Table, Transaction};

pub use self::{cards::ProposeBy, stakes::StakeFor};
use crate::{
    Account, Rate, Refusal,
    account::{
        self, Burn, Burning, CommandContext, Holder, Holding, Mint, MintedBefore, Minting, Parties,
        StripePayment, Transfer, Transferring,
    },
    rate_card::RateCard,
    redemption::{self, Metering, Redeem, Redeeming},
    refusal::Role,
    stake::RevenueShares,
    treasury::{self, Stated, TreasuryAccount},
};

/// Looks up members. Another domain owns them, so the caller connects the two.
#[async_trait]
pub trait Members: Send + Sync {
    /// The member's id and name; `None` if there is no such member.
    ///
    /// # Errors
    /// [`Error`] if the member cannot be read.
    async fn holder(&self, id: &MemberId) -> Result<Option<Holder>, Error>;
}

/// Why an operation wrote nothing.
pub type Stopped = domain::Stopped<Refusal>;

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A decision whose writes are in the transaction.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Done<D> {
    /// The event that records the decision.
    pub event_id: EventId,
    /// The decision.
    pub decided: D,
}

/// Creates credits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MintFor {
    /// The member who gets the credits; `None` for the unallocated account.
    pub member_id: Option<MemberId>,
    /// The number of credits.
    pub amount: Credits,
    /// The Stripe payment that paid for them.
    pub payment: StripePayment,
    /// The caller's description.
    pub description: Option<Text<500>>,
}

/// Moves credits from one member to another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TransferBetween {
    /// The sender and the recipient.
    pub parties: Parties,
    /// The number of credits.
    pub amount: Credits,
    /// The caller's description.
    pub description: Option<Text<500>>,
}

/// Destroys credits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BurnOf {
    /// The member whose credits they are; `None` for the unallocated account.
    pub member_id: Option<MemberId>,
    /// The number of credits.
    pub amount: Credits,
    /// Why the credits are burned.
    pub reason: Text<200>,
    /// The caller's description.
    pub description: Option<Text<500>>,
}

/// Spends credits on a metered resource.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedeemFor {
    /// The member whose credits they are.
    pub member_id: MemberId,
    /// The amount that the caller calculated, to be checked.
    pub amount: Option<Credits>,
    /// The resource and its unit.
    pub metering: Metering,
    /// The quantity, more than zero.
    pub quantity: Quantity,
    /// The service that used the resource.
    pub service_name: Text<200>,
    /// The metering period.
    pub period_id: Text<100>,
    /// The requested rate card.
    pub rate_card_version: Sequence,
}

/// What the operations work on.
#[derive(Debug, Clone, Copy)]
pub struct Cloud<'a, M> {
    /// Reads the state that operations decide on.
    pub outbox: &'a Outbox,
    /// The domain's table.
    pub table: &'a Table,
    /// Looks up members.
    pub members: &'a M,
    /// The value of a credit.
    pub rate: Rate,
    /// The share of the revenue that a stake earns, by lock duration.
    pub shares: &'a RevenueShares,
}

impl<M: Members> Cloud<'_, M> {
    /// The account of a member, or of the credits that no member owns. It is empty if it does not exist yet.
    ///
    /// # Errors
    /// [`Error`] if the account cannot be read.
    pub async fn account(&self, id: &str) -> Result<Entity<Account>, Error> {
        self.outbox.load(self.table, id).await
    }

    /// The member in this role. An unknown member is a refusal.
    async fn member(&self, role: Role, id: &MemberId) -> Result<Result<Holder, Refusal>, Error> {
        let holder = self.members.holder(id).await?;
        Ok(holder.ok_or_else(|| Refusal::UnknownMember {
            role,
            member_id: id.clone(),
        }))
    }

    /// The owner of an account's credits: a member or nobody. An unknown member is a refusal.
    ///
    /// # Errors
    /// [`Error`] if the member cannot be read.
    pub async fn owner(
        &self,
        id: Option<&MemberId>,
    ) -> Result<Result<Option<Holder>, Refusal>, Error> {
        match id {
            Some(id) => Ok(self.member(Role::Holder, id).await?.map(Some)),
            None => Ok(Ok(None)),
        }
    }

    /// What is known about a payment that was minted before, under any of its names.
    async fn minted_before(&self, payment: &StripePayment) -> Result<Option<MintedBefore>, Error> {
        let facts = payment.facts()?;
        let reads = facts
            .iter()
            .map(|(_, fact)| self.outbox.fact(self.table, fact));
        let rows = futures::future::try_join_all(reads).await?;
        let mut known = facts.iter().zip(rows);
        Ok(known.find_map(|((name, _), payment)| {
            payment.map(|payment| MintedBefore {
                name: *name,
                payment,
            })
        }))
    }

    /// Creates credits.
    ///
    /// # Errors
    /// [`Refusal::UnknownMember`], the refusals of [`account::mint`], and [`Stopped::Failed`].
    pub async fn mint(
        &self,
        transaction: &mut Transaction,
        asked: MintFor,
    ) -> Result<Done<Minting>, Stopped> {
        let member_id = asked.member_id.as_ref();
        let (holder, minted_before, entity) = futures::try_join!(
            self.owner(member_id),
            self.minted_before(&asked.payment),
            self.account(account::account_id(member_id)),
        )?;
        let mint = Mint {
            holder: holder?,
            amount: asked.amount,
            payment: asked.payment,
            description: asked.description,
        };
        let context = CommandContext::of(transaction, self.rate);
        let holding = Holding::of(&entity)?;
        let decided = account::mint(holding, minted_before.as_ref(), mint, &context)?;
        let event_id = decided.save(transaction, self.table, &entity)?;
        Ok(Done { event_id, decided })
    }

    /// Moves credits from one member to another.
    ///
    /// # Errors
    /// [`Refusal::UnknownMember`], the refusals of [`account::transfer`], and [`Stopped::Failed`].
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
        let context = CommandContext::of(transaction, self.rate);
        let (giving, getting) = (Holding::of(&from)?, Holding::of(&to)?);
        let decided = account::transfer(giving, getting, transfer, &context)?;
        let event_id = decided.save(transaction, self.table, &from, &to)?;
        Ok(Done { event_id, decided })
    }

    /// Destroys credits.
    ///
    /// # Errors
    /// [`Refusal::UnknownMember`], the refusals of [`account::burn`], and [`Stopped::Failed`].
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
        let context = CommandContext::of(transaction, self.rate);
        let decided = account::burn(Holding::of(&entity)?, burn, &context)?;
        let event_id = decided.save(transaction, self.table, &entity)?;
        Ok(Done { event_id, decided })
    }

    /// Spends credits on a metered resource.
    ///
    /// # Errors
    /// [`Refusal::UnknownMember`], the refusals of [`redemption::redeem`], and [`Stopped::Failed`].
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
        let context = CommandContext::of(transaction, self.rate);
        let decided = redemption::redeem(Holding::of(&entity)?, card.state(), redeem, &context)?;
        let event_id = decided.save(transaction, self.table, &entity)?;
        Ok(Done { event_id, decided })
    }

    /// States the balance of an account of the treasury. Returns the account's version after it.
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
