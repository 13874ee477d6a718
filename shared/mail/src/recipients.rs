//! Decides who receives which notice about an event. `notifications` sends the notices; the audit uses the same
//! functions to check them afterwards.

use events::{
    DecodeError, Envelope, MemberId, Subscription, Timestamp,
    contracts::loan::PaymentScheduleGenerated,
};
use outbox::{Key, Table};
use topology::functions::notifications::Event;
use views::{fanouts, notes::Note};

use crate::{
    Announcement,
    texts::{Earned, Notice},
};

/// The members who receive a notice about an event; each member's preferences decide how. Credits without an owner and
/// an escrow of which nothing was earned have no recipient.
#[must_use]
pub fn notices(event: &Event, occurred_at: Timestamp) -> Vec<(&MemberId, Notice<'_>)> {
    match event {
        Event::Minted(minted) => minted
            .member_id
            .iter()
            .map(|member_id| (member_id, Notice::Added(minted)))
            .collect(),
        Event::Transferred(moved) => vec![
            (&moved.from_member_id, Notice::Sent(moved)),
            (&moved.to_member_id, Notice::Received(moved)),
        ],
        Event::Redeemed(redeemed) => vec![(&redeemed.member_id, Notice::Redeemed(redeemed))],
        Event::Burned(burned) => burned
            .member_id
            .iter()
            .map(|member_id| (member_id, Notice::Burned(burned)))
            .collect(),
        Event::Staked(staked) => vec![(&staked.member_id, Notice::Staked(staked))],
        Event::Unstaked(unstaked) => vec![(&unstaked.member_id, Notice::Unstaked(unstaked))],
        Event::EscrowSettled(settled) => {
            let earned = Earned::whole(settled, occurred_at);
            vec![(&settled.model_id, Notice::EarningsReceived(earned))]
        }
        Event::EscrowPartialSettled(divided) => Earned::part(divided, occurred_at)
            .map(|earned| (&divided.model_id, Notice::EarningsReceived(earned)))
            .into_iter()
            .collect(),
        Event::LoanScheduleGenerated(plan) => vec![(&plan.borrower_id, planned(plan))],
        Event::LoanPaymentReceived(payment) => {
            vec![(&payment.borrower_id, Notice::LoanPaymentReceived(payment))]
        }
        Event::LoanDrawApproved(draw) => {
            vec![(&draw.borrower_id, Notice::LoanDrawApproved(draw))]
        }
        Event::LoanPaidOff(end) => vec![(&end.borrower_id, Notice::LoanPaidOff(end))],
        Event::Registered(_)
        | Event::Updated(_)
        | Event::RateCardCreated(_)
        | Event::RateCardApproved(_)
        | Event::SyncDiverged(_)
        | Event::BackingLow(_) => Vec::new(),
    }
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
        _ => None,
    }
}

/// The member's in-app notice and its key; `None` for alerts, which go by mail only.
#[must_use]
pub fn note(
    member_id: &MemberId,
    notice: &Notice<'_>,
    envelope: &Envelope,
    table: &Table,
) -> Option<(Key, Note)> {
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
        .filter_map(|(member_id, notice)| {
            let (key, _) = note(member_id, &notice, envelope, table)?;
            Some(ExpectedNote {
                member_id: member_id.clone(),
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
