//! Notices for all members who have a subname.

use events::{
    Contract, DecodeError, Envelope, Timestamp,
    contracts::cloud::{RateCardApproved, RateCardCreated},
};

use crate::texts::Notice;

/// An event that is announced to all members with a subname.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Announcement {
    /// A rate card was proposed.
    RateCardCreated(RateCardCreated),
    /// A rate card was approved.
    RateCardApproved(RateCardApproved),
}

impl Announcement {
    /// Reads an event; `None` if it is not announced to everybody.
    ///
    /// # Errors
    /// [`DecodeError`] when it breaks its contract.
    pub fn read(envelope: &Envelope) -> Result<Option<Self>, DecodeError> {
        Ok(match envelope.event_type.as_str() {
            RateCardCreated::TYPE => Some(Self::RateCardCreated(events::decode_payload(envelope)?)),
            RateCardApproved::TYPE => {
                Some(Self::RateCardApproved(events::decode_payload(envelope)?))
            }
            _ => None,
        })
    }

    /// The notice that each member receives.
    #[must_use]
    pub fn notice(&self) -> Notice<'_> {
        match self {
            Self::RateCardCreated(card) => Notice::RateCardCreated(card),
            Self::RateCardApproved(card) => Notice::RateCardApproved(card),
        }
    }

    /// The earliest time at which the notice is sent: when the event occurred, but not before the card's day of notice.
    /// An approval that states a day of notice waits for it too; otherwise it would announce a card that nobody has
    /// heard of.
    #[must_use]
    pub fn not_before(&self, envelope: &Envelope) -> Timestamp {
        match self {
            Self::RateCardCreated(card) => card.notice_date.max(envelope.occurred_at),
            Self::RateCardApproved(card) => card
                .notice_date
                .map_or(envelope.occurred_at, |day| day.max(envelope.occurred_at)),
        }
    }
}
