//! What each event adds besides 1 to the count: the amount that it moved, and the members that it names.
//!
//! An event type that is in [`Decoded`] is decoded for this; any other only adds to the count. To sum the amounts of a
//! type, add its variant and its arm here, and its line in [`crate::analytics`], which names its unit. A test compares
//! the two.

use std::collections::BTreeSet;

use events::{
    Amount, DecodeError, Envelope, MemberId, Subscription, Unit,
    contracts::{self, cloud::Redeemed},
};
use outbox::Table;

use super::{Count, Direction, Fact, count_of_all};

events::subscription! {
    /// The events that add more than 1 to the count.
    enum Decoded {
        /// Credits were burned.
        Burned(contracts::cloud::Burned) by Mark,
        /// Credits were minted.
        Minted(contracts::cloud::Minted) by Mark,
        /// A rate card was approved.
        RateCardApproved(contracts::cloud::RateCardApproved) by Mark,
        /// A rate card was proposed.
        RateCardCreated(contracts::cloud::RateCardCreated) by Mark,
        /// Credits were redeemed for a resource.
        Redeemed(contracts::cloud::Redeemed) by Mark,
        /// Credits were locked.
        Staked(contracts::cloud::Staked) by Mark,
        /// Books and chain differ.
        SyncDiverged(contracts::cloud::SyncDiverged) by Mark,
        /// Credits were transferred.
        Transferred(contracts::cloud::Transferred) by Mark,
        /// Locked credits were released.
        Unstaked(contracts::cloud::Unstaked) by Mark,
        /// Points were deposited.
        Deposited(contracts::wallet::Deposited) by Mark,
        /// The balance of a wallet changed. Each side of a movement has an event of its own.
        BalanceUpdated(contracts::wallet::BalanceUpdated) by Mark,
        /// Points were held in escrow.
        EscrowHeld(contracts::wallet::EscrowHeld) by Mark,
        /// A part of the held points was refunded; the rest was earned.
        EscrowPartialSettled(contracts::wallet::EscrowPartialSettled) by Mark,
        /// All held points were refunded.
        EscrowRefunded(contracts::wallet::EscrowRefunded) by Mark,
        /// All held points were earned.
        EscrowSettled(contracts::wallet::EscrowSettled) by Mark,
        /// Points were withdrawn.
        Withdrawn(contracts::wallet::Withdrawn) by Mark,
    }
}

/// What `analytics` adds for an event, in its table `table`; `None` if it does not count the event.
#[must_use]
pub fn counted(envelope: &Envelope, table: &Table) -> Option<Count> {
    topology::functions::analytics::SELECTION
        .admit(envelope)
        .ok()?;
    let fact = fact(envelope).ok()?;
    Some(count_of_all(table, envelope, &fact))
}

/// What an event adds besides 1 to the count.
///
/// # Errors
/// [`DecodeError`] if the type is one of those that are decoded here and the payload breaks its contract.
pub fn fact(envelope: &Envelope) -> Result<Fact, DecodeError> {
    match Decoded::decode(envelope) {
        Ok(event) => Ok(of(&event)),
        Err(DecodeError::UnknownType(_)) => Ok(Fact::default()),
        Err(error) => Err(error),
    }
}

// Amounts are what an event moved. Its other figures (two balances that differ, the rates of a card) are not amounts:
// their sum would be meaningless. If an escrow was divided, the amount is the settled part.
fn of(event: &Decoded) -> Fact {
    match event {
        // The event of the movement that changed the balance has the amount. Here it would be summed a second time.
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

/// The fact of an event that names members and moved nothing.
fn about<'a>(members: impl IntoIterator<Item = &'a MemberId>) -> Fact {
    // A member who is named twice is counted once, because a transaction cannot write a row twice.
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

/// The fact of an event that moved an amount from one member to another.
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
