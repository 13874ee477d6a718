//! What each event adds besides its number: what it moved, and whom it names.
//!
//! An event type that stands in [`Decoded`] is decoded for it; any other adds its number alone. A type
//! whose amounts are to be summed needs its variant and arm here and its line in [`crate::analytics`], which names its unit;
//! a test compares the two.

use std::collections::BTreeSet;

use events::{
    Amount, DecodeError, Envelope, MemberId, Subscription, Unit,
    contracts::{self, cloud::Redeemed},
};
use outbox::Table;

use super::{Count, Direction, Fact, count_of_all};

events::subscription! {
    /// The events that say more than that something happened.
    enum Decoded {
        /// Credits ceased to be.
        Burned(contracts::cloud::Burned) by Mark,
        /// Credits came into being.
        Minted(contracts::cloud::Minted) by Mark,
        /// A rate card was approved.
        RateCardApproved(contracts::cloud::RateCardApproved) by Mark,
        /// A rate card was proposed.
        RateCardCreated(contracts::cloud::RateCardCreated) by Mark,
        /// Credits were used up for a resource.
        Redeemed(contracts::cloud::Redeemed) by Mark,
        /// Credits were locked.
        Staked(contracts::cloud::Staked) by Mark,
        /// Books and chain differ.
        SyncDiverged(contracts::cloud::SyncDiverged) by Mark,
        /// Credits changed hands.
        Transferred(contracts::cloud::Transferred) by Mark,
        /// Locked credits became liquid.
        Unstaked(contracts::cloud::Unstaked) by Mark,
        /// Points came in.
        Deposited(contracts::wallet::Deposited) by Mark,
        /// A balance of a wallet changed: each side of a movement by itself.
        BalanceUpdated(contracts::wallet::BalanceUpdated) by Mark,
        /// Points were set aside.
        EscrowHeld(contracts::wallet::EscrowHeld) by Mark,
        /// A part of them went back, the rest was earned.
        EscrowPartialSettled(contracts::wallet::EscrowPartialSettled) by Mark,
        /// All of them went back.
        EscrowRefunded(contracts::wallet::EscrowRefunded) by Mark,
        /// All of them were earned.
        EscrowSettled(contracts::wallet::EscrowSettled) by Mark,
        /// Points went out.
        Withdrawn(contracts::wallet::Withdrawn) by Mark,
    }
}

/// What `analytics` adds for an event, `table` being its own; `None`: it does not count it.
#[must_use]
pub fn counted(envelope: &Envelope, table: &Table) -> Option<Count> {
    topology::functions::analytics::SELECTION
        .admit(envelope)
        .ok()?;
    let fact = fact(envelope).ok()?;
    Some(count_of_all(table, envelope, &fact))
}

/// What an event adds besides its number.
///
/// # Errors
/// [`DecodeError`] where the type is one that is decoded and the payload breaks its contract.
pub fn fact(envelope: &Envelope) -> Result<Fact, DecodeError> {
    match Decoded::decode(envelope) {
        Ok(event) => Ok(of(&event)),
        Err(DecodeError::UnknownType(_)) => Ok(Fact::default()),
        Err(error) => Err(error),
    }
}

// Amounts are what an event moved. What it states besides (two balances that differ, the rates of a card) is no amount: a
// sum of it would mean nothing. Of an escrow that was divided the amount is what changed hands.
fn of(event: &Decoded) -> Fact {
    match event {
        // Its amount is told by the movement that changed the balance: here it would be summed a second time.
        Decoded::BalanceUpdated(updated) => about([&updated.account_id]),
        Decoded::Burned(burned) => moved(burned.amount, &burned.member_id),
        Decoded::Minted(minted) => moved(minted.amount, &minted.member_id),
        Decoded::RateCardApproved(card) => about([&card.approved_by]),
        Decoded::RateCardCreated(card) => about([&card.proposed_by]),
        Decoded::Redeemed(redeemed) => redemption(redeemed),
        Decoded::Staked(staked) => moved(staked.amount, [&staked.member_id]),
        Decoded::SyncDiverged(diverged) => about([&diverged.member_id]),
        Decoded::Transferred(transferred) => passed(
            transferred.amount,
            (&transferred.from_member_id, &transferred.to_member_id),
        ),
        Decoded::Unstaked(unstaked) => moved(unstaked.amount, [&unstaked.member_id]),
        Decoded::Deposited(deposited) => moved(deposited.amount, [&deposited.account_id]),
        Decoded::EscrowHeld(held) => moved(held.amount, [&held.user_id]),
        Decoded::EscrowPartialSettled(divided) => Fact {
            refunded: divided.refund_amount.decimal(),
            ..passed(divided.settle_amount, (&divided.user_id, &divided.model_id))
        },
        Decoded::EscrowRefunded(refunded) => moved(refunded.amount, [&refunded.user_id]),
        Decoded::EscrowSettled(settled) => {
            passed(settled.amount, (&settled.user_id, &settled.model_id))
        }
        Decoded::Withdrawn(withdrawn) => moved(withdrawn.amount, [&withdrawn.account_id]),
    }
}

/// It names members and moved nothing.
fn about<'a>(members: impl IntoIterator<Item = &'a MemberId>) -> Fact {
    // Whoever is named twice is counted once: a transaction does not write a row twice.
    let members: BTreeSet<&MemberId> = members.into_iter().collect();
    Fact {
        members: members.into_iter().map(|id| (id.clone(), None)).collect(),
        ..Fact::default()
    }
}

fn moved<'a, U: Unit>(amount: Amount<U>, members: impl IntoIterator<Item = &'a MemberId>) -> Fact {
    Fact {
        amount: amount.decimal(),
        ..about(members)
    }
}

/// It went from one to another.
fn passed<U: Unit>(amount: Amount<U>, (from, to): (&MemberId, &MemberId)) -> Fact {
    Fact {
        members: vec![
            (from.clone(), Some(Direction::Out)),
            (to.clone(), Some(Direction::In)),
        ],
        ..moved(amount, [])
    }
}

fn redemption(redeemed: &Redeemed) -> Fact {
    Fact {
        metered: Some((redeemed.primitive, redeemed.quantity)),
        ..moved(redeemed.amount, [&redeemed.member_id])
    }
}

/// The decoded types, for a test.
#[must_use]
pub fn decoded_types() -> Vec<&'static str> {
    Decoded::SELECTION
        .types()
        .iter()
        .map(|one| one.event_type)
        .collect()
}
