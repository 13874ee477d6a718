//! What there is to count of each event: the one place to extend for a new event type.
//!
//! A new one needs its variant in [`Event`], its line in [`views::analytics::KINDS`] and its arm here; the compiler asks for
//! the arm, a test for the line.

use std::collections::BTreeSet;

use events::{
    Amount, Contract, Credits, MemberId, Unit,
    contracts::cloud::{Primitive, Redeemed},
};
use views::analytics::{Direction, Fact, Kind};

use crate::handler::Event;

/// What there is to count of an event; `None`: a type that [`views::analytics::KINDS`] does not list.
///
/// Amounts are what an event moved. What it states besides (a shortfall, two balances that differ, the rates of a card) is
/// no amount: a sum of it would mean nothing. Of an escrow that was divided the amount is what changed hands.
#[must_use]
pub fn fact(event: &Event) -> Option<Fact> {
    match event {
        Event::BackingLow(alert) => happened(alert, []),
        // Its amount is told by the movement that changed the balance: here it would be summed a second time.
        Event::BalanceUpdated(updated) => happened(updated, [&updated.account_id]),
        Event::Burned(burned) => moved(burned, burned.amount, &burned.member_id),
        Event::Minted(minted) => moved(minted, minted.amount, &minted.member_id),
        Event::RateCardApproved(card) => happened(card, [&card.approved_by]),
        Event::RateCardCreated(card) => happened(card, [&card.proposed_by]),
        Event::Redeemed(redeemed) => redemption(redeemed, redeemed.primitive),
        Event::Staked(staked) => moved(staked, staked.amount, [&staked.member_id]),
        Event::SyncDiverged(diverged) => happened(diverged, [&diverged.member_id]),
        Event::Transferred(transferred) => passed(
            transferred,
            transferred.amount,
            (&transferred.from_member_id, &transferred.to_member_id),
        ),
        Event::Unstaked(unstaked) => moved(unstaked, unstaked.amount, [&unstaked.member_id]),
        Event::Deposited(deposited) => moved(deposited, deposited.amount, [&deposited.account_id]),
        Event::EscrowHeld(held) => moved(held, held.amount, [&held.user_id]),
        Event::EscrowPartialSettled(divided) => Some(Fact {
            refunded: divided.refund_amount.decimal(),
            ..passed(
                divided,
                divided.settle_amount,
                (&divided.user_id, &divided.model_id),
            )?
        }),
        Event::EscrowRefunded(refunded) => moved(refunded, refunded.amount, [&refunded.user_id]),
        Event::EscrowSettled(settled) => passed(
            settled,
            settled.amount,
            (&settled.user_id, &settled.model_id),
        ),
        Event::Withdrawn(withdrawn) => moved(withdrawn, withdrawn.amount, [&withdrawn.account_id]),
    }
}

fn happened<'a, C: Contract>(
    event: &C,
    members: impl IntoIterator<Item = &'a MemberId>,
) -> Option<Fact> {
    moved(event, Credits::ZERO, members)
}

/// It went from one to another.
fn passed<C: Contract, U: Unit>(
    event: &C,
    amount: Amount<U>,
    (from, to): (&MemberId, &MemberId),
) -> Option<Fact> {
    Some(Fact {
        members: vec![
            (from.clone(), Some(Direction::Out)),
            (to.clone(), Some(Direction::In)),
        ],
        ..moved(event, amount, [])?
    })
}

fn moved<'a, C: Contract, U: Unit>(
    _: &C,
    amount: Amount<U>,
    members: impl IntoIterator<Item = &'a MemberId>,
) -> Option<Fact> {
    // Whoever is named twice is counted once: a transaction does not write a row twice.
    let members: BTreeSet<&MemberId> = members.into_iter().collect();
    Some(Fact {
        kind: *Kind::of(C::TYPE)?,
        amount: amount.decimal(),
        metered: None,
        refunded: Amount::<U>::ZERO.decimal(),
        members: members.into_iter().map(|id| (id.clone(), None)).collect(),
    })
}

fn redemption(redeemed: &Redeemed, primitive: Primitive) -> Option<Fact> {
    Some(Fact {
        metered: Some((primitive, redeemed.quantity)),
        ..moved(redeemed, redeemed.amount, [&redeemed.member_id])?
    })
}
