//! The steps of an order, from the events of the order, of its credit and of its goods.

use std::collections::HashMap;

use api::Problem;
use events::{
    Contract as _, Envelope, EventId, OrderId, Sequence, Timestamp,
    contracts::{credit, order, stock},
};
use outbox::Outbox;
use serde_json::Value;

use crate::wire::{Step, Timeline};

/// How many events one query reads.
const PAGE: u32 = 100;

/// Reads the timeline of an order.
pub(super) async fn of(outbox: &Outbox, order_id: OrderId) -> Result<Timeline, Problem> {
    let (order, credit, goods) = tokio::try_join!(
        steps(outbox, order::Created::AGGREGATE, order_id),
        steps(outbox, credit::ReservationChanged::AGGREGATE, order_id),
        steps(outbox, stock::ReservationChanged::AGGREGATE, order_id),
    )?;
    let steps: Vec<Step> = order.into_iter().chain(credit).chain(goods).collect();
    let steps = in_order(steps);
    Ok(Timeline { order_id, steps })
}

/// Sorts steps by time. The clocks of different functions differ a little, so a step that seems to be before its cause comes
/// directly after it.
fn in_order(mut steps: Vec<Step>) -> Vec<Step> {
    let mut places: HashMap<EventId, (Timestamp, usize)> = steps
        .iter()
        .map(|step| (step.event_id, (step.occurred_at, 0)))
        .collect();
    // Each pass brings at least one more step behind its cause, if any is missing.
    for _ in 0..steps.len() {
        for step in &steps {
            let cause = step.caused_by.and_then(|cause| places.get(&cause).copied());
            if let Some((at, causes)) = cause {
                let place = places.entry(step.event_id).or_insert((at, 0));
                *place = (*place).max((at, causes + 1));
            }
        }
    }
    steps.sort_by_key(|step| (places.get(&step.event_id).copied(), step.event_id));
    steps
}

async fn steps(outbox: &Outbox, aggregate: &str, order_id: OrderId) -> Result<Vec<Step>, Problem> {
    let aggregate = format!("{aggregate}#{order_id}");
    let (mut steps, mut from) = (Vec::new(), Some(Sequence::FIRST));
    // An order has few events, but nothing bounds the number of its payments.
    while let Some(first) = from {
        let history = outbox.history(&aggregate, first, PAGE).await?;
        for raw in &history.envelopes {
            let envelope: Result<Envelope, _> = serde_json::from_str(raw.get());
            steps.push(step(envelope.map_err(|error| Problem::internal(&error))?));
        }
        from = history.next;
    }
    Ok(steps)
}

fn step(envelope: Envelope) -> Step {
    let payload: Value = serde_json::from_str(envelope.payload.json()).unwrap_or_default();
    let text = |name: &str| payload.get(name).and_then(Value::as_str).map(str::to_owned);
    Step {
        event_id: envelope.event_id,
        event_type: envelope.event_type,
        status: text("status"),
        reason: text("reason"),
        by: envelope.producer,
        caused_by: envelope.causation_id,
        occurred_at: envelope.occurred_at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_comes_after_its_cause_whatever_the_clocks_say() {
        let id = |number: u8| format!("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a{number:02}");
        let step = |number: u8, cause: Option<u8>, at: &str| Step {
            event_id: id(number).parse().expect("an id"),
            event_type: events::EventType::new("order.created").expect("a type"),
            status: None,
            reason: None,
            by: events::Producer::new("shop").expect("a name"),
            caused_by: cause.map(|cause| id(cause).parse().expect("an id")),
            occurred_at: format!("2026-02-13T12:00:0{at}Z").parse().expect("a time"),
        };
        let steps = vec![
            step(4, Some(3), "1.000"),
            step(3, Some(2), "0.500"),
            step(2, Some(1), "0.900"),
            step(1, None, "1.000"),
            step(5, None, "3.000"),
        ];
        let sorted: Vec<String> = in_order(steps)
            .iter()
            .map(|step| step.event_id.to_string())
            .collect();
        assert_eq!(sorted, [1, 2, 3, 4, 5].map(id));
    }
}
