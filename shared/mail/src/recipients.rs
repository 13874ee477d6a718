//! Decides who receives which notice about an event. `notifications` sends the notices; the audit uses the same
//! functions to check them afterwards.

use events::{
    DecodeError, Envelope, MemberId, Subscription, Timestamp,
    contracts::{credit::CreditChange, loan::PaymentScheduleGenerated},
};
use outbox::{Key, Table};
use topology::functions::notifications::Event;
use views::{contacts::Recipient, fanouts, notes::Note};

use crate::{
    Announcement,
    texts::{Earned, Notice},
};

/// The members and customers who receive a notice about an event; their preferences decide how. Credits without an owner,
/// an escrow of which nothing was earned, and a credit account that was not blocked have no recipient.
#[must_use]
pub fn notices(event: &Event, occurred_at: Timestamp) -> Vec<(Recipient, Notice<'_>)> {
    match event {
        Event::Minted(minted) => to(&minted.member_id, Notice::Added(minted)),
        Event::Transferred(moved) => vec![
            (Recipient::from(&moved.from_member_id), Notice::Sent(moved)),
            (
                Recipient::from(&moved.to_member_id),
                Notice::Received(moved),
            ),
        ],
        Event::Redeemed(redeemed) => to([&redeemed.member_id], Notice::Redeemed(redeemed)),
        Event::Burned(burned) => to(&burned.member_id, Notice::Burned(burned)),
        Event::Staked(staked) => to([&staked.member_id], Notice::Staked(staked)),
        Event::Unstaked(unstaked) => to([&unstaked.member_id], Notice::Unstaked(unstaked)),
        Event::EscrowSettled(settled) => {
            let earned = Earned::whole(settled, occurred_at);
            to([&settled.model_id], Notice::EarningsReceived(earned))
        }
        Event::EscrowPartialSettled(divided) => Earned::part(divided, occurred_at)
            .map(|earned| to([&divided.model_id], Notice::EarningsReceived(earned)))
            .unwrap_or_default(),
        Event::LoanScheduleGenerated(plan) => to([&plan.borrower_id], planned(plan)),
        Event::LoanPaymentReceived(payment) => {
            to([&payment.borrower_id], Notice::LoanPaymentReceived(payment))
        }
        Event::LoanDrawApproved(draw) => to([&draw.borrower_id], Notice::LoanDrawApproved(draw)),
        Event::LoanPaidOff(end) => to([&end.borrower_id], Notice::LoanPaidOff(end)),
        Event::OrderCreated(order) => to([&order.customer_id], Notice::OrderReceived(order)),
        Event::OrderConfirmed(order) => to([&order.customer_id], Notice::OrderConfirmed(order)),
        Event::OrderRejected(order) => to([&order.customer_id], Notice::OrderRejected(order)),
        Event::OrderCancelled(order) => to([&order.customer_id], Notice::OrderCancelled(order)),
        Event::OrderShipped(order) => to([&order.customer_id], Notice::OrderShipped(order)),
        // The steps of every order change the account, too; the order's own notices tell of those.
        Event::CreditChanged(change) if change.change_type == CreditChange::Blocked => {
            to([&change.customer_id], Notice::CreditBlocked(change))
        }
        Event::CreditChanged(_)
        | Event::Registered(_)
        | Event::Updated(_)
        | Event::CustomerRegistered(_)
        | Event::CustomerUpdated(_)
        | Event::RateCardCreated(_)
        | Event::RateCardApproved(_)
        | Event::SyncDiverged(_)
        | Event::BackingLow(_)
        | Event::OrderStuck(_) => Vec::new(),
    }
}

/// The same notice to each of these, none or one.
fn to<I: Into<Recipient>>(
    ids: impl IntoIterator<Item = I>,
    notice: Notice<'_>,
) -> Vec<(Recipient, Notice<'_>)> {
    ids.into_iter().map(|id| (id.into(), notice)).collect()
}

/// A loan's first payment plan is made because the loan was funded, so one notice reports both.
fn planned(plan: &PaymentScheduleGenerated) -> Notice<'_> {
    if plan.revision.number() == 1 {
        Notice::LoanFunded(plan)
    } else {
        Notice::LoanPlanChanged(plan)
    }
}

/// The notice that every admin receives about an event.
#[must_use]
pub fn admin_notice(event: &Event) -> Option<Notice<'_>> {
    match event {
        Event::BackingLow(alert) => Some(Notice::BackingLow(alert)),
        Event::SyncDiverged(diverged) => Some(Notice::SyncDiverged(diverged)),
        Event::OrderStuck(stuck) => Some(Notice::OrderStuck(stuck)),
        _ => None,
    }
}

/// The member's in-app notice and its key; `None` for alerts and for customers, who get mails only.
#[must_use]
pub fn note(
    recipient: &Recipient,
    notice: &Notice<'_>,
    envelope: &Envelope,
    table: &Table,
) -> Option<(Key, Note)> {
    let Recipient::Member(member_id) = recipient else {
        return None;
    };
    let note = notice.note(envelope)?;
    Some((note.key(table, member_id, notice.name()), note))
}

/// An in-app notice that is expected to follow from an event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExpectedNote {
    /// The member who receives the notice.
    pub member_id: MemberId,
    /// The notice's key in the consumer's table.
    pub key: Key,
    /// Whether the notice must exist if the member wants notices. A notice about a redemption is optional: it is
    /// written only from a certain amount on, and that amount is a setting that can have been different then.
    pub is_certain: bool,
}

/// The in-app notices that an event leads to, at most one per member, if the member wants them. `notifications` writes
/// them in the same transaction as its mark. For checks afterwards; `table` is the consumer's table.
///
/// # Errors
/// [`DecodeError`] when the consumer does not subscribe to the event, or the event breaks its contract.
pub fn notes(envelope: &Envelope, table: &Table) -> Result<Vec<ExpectedNote>, DecodeError> {
    let event = Event::decode(envelope)?;
    Ok(notices(&event, envelope.occurred_at)
        .into_iter()
        .filter_map(|(recipient, notice)| {
            let (key, _) = note(&recipient, &notice, envelope, table)?;
            let Recipient::Member(member_id) = recipient else {
                return None;
            };
            Some(ExpectedNote {
                member_id,
                key,
                is_certain: !matches!(notice, Notice::Redeemed(_)),
            })
        })
        .collect())
}

/// The name of the fan-out that an event opens in the same transaction as its mark, and the name of its notice; `None`
/// if it opens none. For checks afterwards.
///
/// # Errors
/// [`DecodeError`] when the event breaks its contract.
pub fn fanout(envelope: &Envelope) -> Result<Option<(String, &'static str)>, DecodeError> {
    let announcement = Announcement::read(envelope)?;
    Ok(announcement.map(|announcement| {
        let not_before = announcement.not_before(envelope);
        let name = fanouts::name(not_before, envelope.event_id);
        (name, announcement.notice().name())
    }))
}
