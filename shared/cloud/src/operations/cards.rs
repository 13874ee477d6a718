//! Rate cards: proposed and approved.

use events::{MemberId, Sequence, Text, Timestamp, contracts::cloud::Rates};
use outbox::Transaction;

use super::{Cloud, Done, Members, Stopped};
use crate::{
    Refusal,
    rate_card::{self, Approving, By, Propose, Proposing, RateCard, Vacant},
    refusal::Role,
};

/// Propose a rate card.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ProposeBy {
    /// Who proposes it.
    pub proposer: MemberId,
    /// The owner of the API key by which they do.
    pub key_owner: Text<64>,
    /// From when on its rates shall hold.
    pub effective_date: Timestamp,
    /// From when on members are told of it; not after the effective date.
    pub notice_date: Timestamp,
    /// Credits per unit, each more than zero.
    pub rates: Rates,
}

impl<M: Members> Cloud<'_, M> {
    /// Proposes a rate card under the next number.
    ///
    /// # Errors
    /// [`Refusal::UnknownMember`], [`Refusal::NumbersContended`], what [`rate_card::propose`] refuses; [`Stopped::Failed`].
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
        // Whoever else proposes at the same time takes the same number, and one of the two decides again.
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

    /// Approves a rate card, in the name of a member, by an API key of this owner.
    ///
    /// # Errors
    /// [`Refusal::NoSuchRateCard`], [`Refusal::UnknownMember`], what [`rate_card::approve`] refuses; [`Stopped::Failed`].
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
