//! Rebuilds stakes from the events of their account alone. Stakes are rows beside the account and have no history of
//! their own.

use std::collections::BTreeMap;

use domain::{Contradiction, must};
use events::{
    Contract as _, Envelope, PositionId,
    contracts::cloud::{Staked, Unstaked},
    decode_payload,
};

use super::{Position, Status};

/// The positions that follow from an account's events, by id.
///
/// # Errors
/// [`Contradiction`] for the first event that cannot follow those before it.
pub fn positions<'e>(
    events: impl IntoIterator<Item = &'e Envelope>,
) -> Result<BTreeMap<PositionId, Position>, Contradiction> {
    let mut positions = BTreeMap::new();
    for envelope in events {
        match envelope.event_type.as_str() {
            Staked::TYPE => {
                let position = staked(decode_payload(envelope)?, envelope);
                let before = positions.insert(position.position_id, position);
                must(before.is_none(), "the position exists already")?;
            }
            Unstaked::TYPE => unstaked(&mut positions, &decode_payload(envelope)?, envelope)?,
            _ => {}
        }
    }
    Ok(positions)
}

fn staked(event: Staked, envelope: &Envelope) -> Position {
    Position {
        position_id: event.position_id,
        member_id: event.member_id,
        amount: event.amount,
        lock_duration_days: event.lock_duration_days,
        revenue_share_percent: event.revenue_share_percent,
        staked_at: envelope.occurred_at,
        unlock_at: event.unlock_at,
        status: Status::Active,
        released_at: None,
        revenue_earned: None,
    }
}

fn unstaked(
    positions: &mut BTreeMap<PositionId, Position>,
    event: &Unstaked,
    envelope: &Envelope,
) -> Result<(), Contradiction> {
    let position = positions.get_mut(&event.position_id);
    let position = position.ok_or(Contradiction::Says("there is no such position"))?;
    must(
        position.status == Status::Active,
        "the position has already ended",
    )?;
    let same = position.amount == event.amount && position.member_id == event.member_id;
    must(same, "it names another position")?;
    position.status = Status::Released;
    position.released_at = Some(envelope.occurred_at);
    position.revenue_earned = event.revenue_earned;
    Ok(())
}
