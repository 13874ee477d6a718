//! What all members with a subname are told.

use events::{
    Contract, DecodeError, Envelope, Timestamp,
    contracts::cloud::{RateCardApproved, RateCardCreated},
};

use crate::texts::Tidings;

/// An event that everybody is told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Announcement {
    /// A rate card was proposed.
    RateCardCreated(RateCardCreated),
    /// A rate card was approved.
    RateCardApproved(RateCardApproved),
}

impl Announcement {
    /// Reads an event; `None` where it is none that everybody is told.
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

    /// What each of them is told.
    #[must_use]
    pub fn tidings(&self) -> Tidings<'_> {
        match self {
            Self::RateCardCreated(card) => Tidings::RateCardCreated(card),
            Self::RateCardApproved(card) => Tidings::RateCardApproved(card),
        }
    }

    /// From when on they are told: when it happened, but not before the day of notice. Of an approval neither, where that is
    /// stated: it would tell of a card that nobody has heard of.
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
