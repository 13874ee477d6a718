//! Checks one escrow: held once, ended at most once, and stored as its events state.

use events::{
    Contract, DecodeError, Envelope, EscrowId, EventId, MemberId, Points, Timestamp, TransactionId,
    contracts::wallet::{
        AccountType, EscrowHeld, EscrowPartialSettled, EscrowRefunded, EscrowSettled,
    },
    decode_payload,
};
use rust_decimal::Decimal;

use crate::{Escrow, escrow::Status, ledger::Side};

/// The change of an escrow that an event reports.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Became {
    Held(Box<EscrowHeld>),
    Ended {
        status: Status,
        refund: Points,
        settle: Points,
    },
}

/// What an event states about an escrow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RecordedEscrow {
    /// The event.
    pub event_id: EventId,
    /// The event's number among the escrow's events.
    pub sequence: u64,
    /// When the event occurred.
    pub occurred_at: Timestamp,
    /// The escrow.
    pub escrow_id: EscrowId,
    /// The movement that changed the escrow.
    pub transaction_id: TransactionId,
    /// The escrow's version after the event.
    pub version: u64,
    user_id: MemberId,
    user_version: u64,
    /// The user's available balance after the event, if the event states it.
    available: Option<Points>,
    /// The user's escrow balance after the event, if the event states it.
    held: Option<Points>,
    /// The model who earned, with the account's version and its earned balance after the event.
    model: Option<(MemberId, u64, Points)>,
    became: Became,
}

/// An account that a movement changed, its version after the movement, and the balances that an event states for it.
pub(super) type Stated = (String, u64, Vec<(Side, Points)>);

impl RecordedEscrow {
    /// Reads an event; `None` if it is not about an escrow.
    pub(super) fn of(envelope: &Envelope) -> Result<Option<Self>, DecodeError> {
        let (event_id, occurred_at) = (envelope.event_id, envelope.occurred_at);
        let sequence = envelope.sequence.number();
        Ok(Some(match envelope.event_type.as_str() {
            EscrowHeld::TYPE => {
                let event: EscrowHeld = decode_payload(envelope)?;
                Self {
                    event_id,
                    sequence,
                    occurred_at,
                    escrow_id: event.escrow_id,
                    transaction_id: event.transaction_id,
                    version: event.version.number(),
                    user_id: event.user_id.clone(),
                    user_version: event.user_version.number(),
                    available: Some(event.user_available_balance),
                    held: Some(event.user_escrow_balance),
                    model: None,
                    became: Became::Held(Box::new(event)),
                }
            }
            EscrowSettled::TYPE => {
                let event: EscrowSettled = decode_payload(envelope)?;
                let earned = event.model_earned_balance;
                Self {
                    event_id,
                    sequence,
                    occurred_at,
                    escrow_id: event.escrow_id,
                    transaction_id: event.transaction_id,
                    version: event.version.number(),
                    user_id: event.user_id,
                    user_version: event.user_version.number(),
                    available: None,
                    held: None,
                    model: Some((event.model_id, event.model_version.number(), earned)),
                    became: Became::Ended {
                        status: Status::Settled,
                        refund: Points::ZERO,
                        settle: event.amount,
                    },
                }
            }
            EscrowRefunded::TYPE => {
                let event: EscrowRefunded = decode_payload(envelope)?;
                Self {
                    event_id,
                    sequence,
                    occurred_at,
                    escrow_id: event.escrow_id,
                    transaction_id: event.transaction_id,
                    version: event.version.number(),
                    user_id: event.user_id,
                    user_version: event.user_version.number(),
                    available: Some(event.user_available_balance),
                    held: Some(event.user_escrow_balance),
                    model: None,
                    became: Became::Ended {
                        status: Status::Refunded,
                        refund: event.amount,
                        settle: Points::ZERO,
                    },
                }
            }
            EscrowPartialSettled::TYPE => {
                let event: EscrowPartialSettled = decode_payload(envelope)?;
                let earned = event.model_earned_balance;
                Self {
                    event_id,
                    sequence,
                    occurred_at,
                    escrow_id: event.escrow_id,
                    transaction_id: event.transaction_id,
                    version: event.version.number(),
                    user_id: event.user_id,
                    user_version: event.user_version.number(),
                    available: Some(event.user_available_balance),
                    held: None,
                    model: Some((event.model_id, event.model_version.number(), earned)),
                    became: Became::Ended {
                        status: Status::PartiallySettled,
                        refund: event.refund_amount,
                        settle: event.settle_amount,
                    },
                }
            }
            _ => return Ok(None),
        }))
    }

    /// What the event states about the accounts that its movement changed.
    pub(super) fn stated(&self) -> Vec<Stated> {
        let mut balances = Vec::new();
        balances.extend(self.available.map(|available| (Side::Available, available)));
        balances.extend(self.held.map(|held| (Side::Escrow, held)));
        let user = AccountType::User.account(&self.user_id);
        let mut stated = vec![(user, self.user_version, balances)];
        if let Some((model_id, version, earned)) = &self.model {
            let model = AccountType::Model.account(model_id);
            stated.push((model, *version, vec![(Side::Earned, *earned)]));
        }
        stated
    }
}

/// A fault found in an escrow.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WrongEscrow {
    /// The escrow's first event is not its hold.
    NotHeldFirst {
        /// The event.
        event_id: EventId,
    },
    /// The escrow is held a second time.
    HeldAgain {
        /// The surplus event.
        event_id: EventId,
    },
    /// The escrow is ended a second time.
    EndedTwice {
        /// The surplus event.
        event_id: EventId,
    },
    /// The refunded and earned parts do not add up to the held amount.
    Parts {
        /// The event that ended it.
        event_id: EventId,
        /// The held amount.
        held: Points,
        /// The sum of both parts.
        parts: Decimal,
    },
    /// The event that ended the escrow names another user than the hold.
    OtherUser {
        /// The event that ended it.
        event_id: EventId,
    },
    /// The stored escrow differs from its events.
    OtherState {
        /// The escrow's last event.
        event_id: EventId,
        /// The fields that differ.
        differing: Vec<&'static str>,
    },
}

/// Compares an escrow with its events, which must be in order and read before the escrow. Gaps in their numbers are not
/// reported here: the generic check of every aggregate finds them.
#[must_use]
pub fn check_escrow(
    recorded: &[RecordedEscrow],
    stored: Option<(u64, &Escrow)>,
) -> Vec<WrongEscrow> {
    let mut wrong = Vec::new();
    let (mut hold, mut end): (
        Option<(&RecordedEscrow, &EscrowHeld)>,
        Option<&RecordedEscrow>,
    ) = (None, None);
    for one in recorded {
        let event_id = one.event_id;
        match (&one.became, hold) {
            (Became::Held(event), None) => hold = Some((one, event)),
            (Became::Held(_), Some(_)) => wrong.push(WrongEscrow::HeldAgain { event_id }),
            (Became::Ended { .. }, _) if end.is_some() => {
                wrong.push(WrongEscrow::EndedTwice { event_id });
            }
            (Became::Ended { refund, settle, .. }, held) => {
                end = Some(one);
                let Some((_, held)) = held else {
                    // If an earlier event is missing, the gap in the log is reported instead.
                    if one.sequence == 1 {
                        wrong.push(WrongEscrow::NotHeldFirst { event_id });
                    }
                    continue;
                };
                let parts = refund.decimal() + settle.decimal();
                if parts != held.amount.decimal() {
                    let held = held.amount;
                    wrong.push(WrongEscrow::Parts {
                        event_id,
                        held,
                        parts,
                    });
                }
                if one.user_id != held.user_id {
                    wrong.push(WrongEscrow::OtherUser { event_id });
                }
            }
        }
    }
    if let (Some((begun, held)), Some((version, escrow))) = (hold, stored) {
        let last = end.unwrap_or(begun);
        let newest = recorded.iter().map(|one| one.version).max();
        // A newer state is compared when its own events have been read.
        if newest == Some(version) {
            let differing = differing(begun, held, end, escrow);
            if !differing.is_empty() {
                wrong.push(WrongEscrow::OtherState {
                    event_id: last.event_id,
                    differing,
                });
            }
        }
    }
    wrong
}

fn differing(
    begun: &RecordedEscrow,
    held: &EscrowHeld,
    end: Option<&RecordedEscrow>,
    escrow: &Escrow,
) -> Vec<&'static str> {
    let (status, refund, settle) = match end.map(|end| &end.became) {
        Some(Became::Ended {
            status,
            refund,
            settle,
        }) => (*status, Some(*refund), Some(*settle)),
        Some(Became::Held(_)) | None => (Status::Held, None, None),
    };
    let model = end.and_then(|end| end.model.as_ref());
    let (queue_item_id, feature_type, request_id) = escrow.request();
    let (held_at, held_by) = escrow.held();
    let (ended_at, ended_by) = escrow.ended().unzip();
    let differs = [
        ("id", escrow.escrow_id() != held.escrow_id),
        ("user", *escrow.user_id() != held.user_id),
        ("amount", escrow.amount() != held.amount),
        ("reason", escrow.reason().wire() != held.reason),
        ("queue item", *queue_item_id != held.queue_item_id),
        ("feature", *feature_type != held.feature_type),
        ("request", *request_id != held.request_id),
        ("status", escrow.status() != status),
        ("hold time", held_at != begun.occurred_at),
        ("hold movement", held_by != begun.transaction_id),
        ("end time", ended_at != end.map(|end| end.occurred_at)),
        (
            "end movement",
            ended_by != end.map(|end| end.transaction_id),
        ),
        (
            "model",
            escrow.model_id() != model.map(|(model_id, ..)| model_id),
        ),
        ("refunded part", escrow.refund_amount() != refund),
        ("settled part", escrow.settle_amount() != settle),
    ];
    differs
        .into_iter()
        .filter_map(|(name, differs)| differs.then_some(name))
        .collect()
}
