//! Rate cards are proposed and approved.

use events::{MemberId, Sequence, Text, Timestamp, contracts::cloud::Rates};
use outbox::Transaction;

use super::{Cloud, Done, Members, Stopped};
use crate::{
    Refusal,
    rate_card::{self, Approving, By, Propose, Proposing, RateCard, Vacant},
    refusal::Role,
};

/// Proposes a rate card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposeBy {
    /// The member who proposes it.
    pub proposer: MemberId,
    /// The owner of the API key that makes the request.
    pub key_owner: Text<64>,
    /// The date from which the rates are to be effective.
    pub effective_date: Timestamp,
    /// The date from which members get a notice of it; not after the effective date.
    pub notice_date: Timestamp,
    /// Credits per unit, each more than zero.
    pub rates: Rates,
}

impl<M: Members> Cloud<'_, M> {
    /// Proposes a rate card under the next number.
    ///
    /// # Errors
    /// [`Refusal::UnknownMember`], [`Refusal::NumbersContended`], the refusals of [`rate_card::propose`], and
    /// [`Stopped::Failed`].
    pub async fn propose(
        &self,
        transaction: &mut Transaction,
        asked: ProposeBy,
    ) -> Result<Done<Proposing>, Stopped> {
        let (proposer, vacant) = futures::try_join!(
            self.member(Role::Proposer, &asked.proposer),
            Vacant::next(self.outbox, self.table),
        )?;
        let proposer = proposer?;
        // Two concurrent proposals take the same number, and one of them has to decide again.
        let vacant = vacant.ok_or(Refusal::NumbersContended)?;
        let propose = Propose {
            effective_date: asked.effective_date,
            notice_date: asked.notice_date,
            rates: asked.rates,
            by: By {
                member: proposer,
                key_owner: asked.key_owner,
            },
        };
        let decided = rate_card::propose(propose, &vacant, transaction.now())?;
        let event_id = decided.save(transaction, &vacant)?;
        Ok(Done { event_id, decided })
    }

    /// Approves a rate card on behalf of a member, with an API key of this owner.
    ///
    /// # Errors
    /// [`Refusal::NoSuchRateCard`], [`Refusal::UnknownMember`], the refusals of [`rate_card::approve`], and
    /// [`Stopped::Failed`].
    pub async fn approve(
        &self,
        transaction: &mut Transaction,
        version: Sequence,
        approver: &MemberId,
        key_owner: &Text<64>,
    ) -> Result<Done<Approving>, Stopped> {
        let number = version.to_string();
        let (approver, entity) = futures::try_join!(
            self.member(Role::Approver, approver),
            self.outbox.load::<RateCard>(self.table, &number),
        )?;
        let card = entity.state();
        let card = card.ok_or(Refusal::NoSuchRateCard { version })?;
        let by = By {
            member: approver?,
            key_owner: key_owner.clone(),
        };
        let revision = entity.next_version()?;
        let decided = rate_card::approve(card, by, revision, transaction.now())?;
        let event_id = decided.save(transaction, &entity)?;
        Ok(Done { event_id, decided })
    }
}
