//! What is damaged of loans, and of what their events tell.

use events::{
    Contract, Envelope,
    contracts::loan::{DrawApproved, DrawRejected, DrawRequested, PaidOff},
};
use millrace::audit::Options;
use serde_json::{Value, json};
use testkit::flow::Faults;

use super::super::{
    drawn,
    world::{World, loan_orders, loan_table},
};
use super::{Stand, events_table};

/// What many steps in fair weather leave.
fn stand() -> Stand {
    let mut world = World::new(13, Faults::NONE, |builder| builder);
    world.register_everybody();
    world.fund();
    // One after the other: what is decided on must be asked for by then.
    for orders in drawn(13, loan_orders(160)).chunks(4) {
        world.hand_in(orders);
        world.flow.drain().expect("drains");
    }
    world.settle().expect("sound");
    Stand::of(&world)
}

impl Stand {
    /// Writes a loan's history anew, as if nothing had ever been otherwise: numbers and versions have no gap, and the loan's row counts
    /// as many.
    fn rewrite(&self, loan: &str, change: impl FnOnce(&mut Vec<Envelope>)) {
        let of_loan = |event: &&Envelope| event.aggregate() == loan;
        let mut events: Vec<Envelope> = self.log.iter().filter(of_loan).cloned().collect();
        events.sort_by_key(|event| event.sequence);
        let row = self.item(&Self::row(&events[0]));
        for event in &events {
            self.store.remove(&Self::row(event));
        }
        change(&mut events);
        let mut version = 0_u64;
        let mut number = 0_u64;
        for event in &events {
            number += 1;
            // It is told beside the payment that did it.
            version += u64::from(event.event_type.as_str() != PaidOff::TYPE);
            let mut envelope = serde_json::to_value(event).expect("JSON");
            envelope["sequence"] = json!(number);
            envelope["payload"]["version"] = json!(version);
            let mut item = row.clone();
            for (name, value) in [
                ("sequence", json!(number)),
                ("event_id", envelope["event_id"].clone()),
                ("event_type", envelope["event_type"].clone()),
                ("envelope", json!(envelope.to_string())),
            ] {
                item.insert(name.to_owned(), value);
            }
            self.put(&events_table(), item);
        }
        self.change(&loan_table().key(loan, "state"), |item| {
            item.insert("last_sequence".to_owned(), json!(number));
            item.insert("version".to_owned(), json!(version));
        });
    }
}

/// The same under an id and the name of a fact of its own.
fn again(event: &Envelope) -> Envelope {
    let mut whole: Value = serde_json::to_value(event).expect("JSON");
    whole["event_id"] = json!("00000000-0000-7000-8000-000000000001");
    whole["idempotency_key"] = json!("another");
    serde_json::from_value(whole).expect("an event")
}

#[test]
fn a_draws_event_that_is_lost_or_doubled_is_found_though_no_number_is_missing() {
    let findings = |stand: &Stand, loan: &str| {
        let (kind, id) = loan.split_once('#').expect("two parts");
        let report = stand.audit(&Options {
            settled: true,
            scope: vec![(kind.to_owned(), id.to_owned())],
            ..Options::default()
        });
        let found = report.findings.iter().map(|one| one.what.clone());
        found.collect::<Vec<_>>().join("; ")
    };
    for (event_type, lost, doubled) in [
        (
            DrawRequested::TYPE,
            "nobody asked for the draw",
            "the draw is asked for twice",
        ),
        // What is planned next is more than is lent without it.
        (
            DrawApproved::TYPE,
            "pays another principal back than is open",
            "the draw is decided on twice",
        ),
        (
            DrawRejected::TYPE,
            "open_draws",
            "the draw is decided on twice",
        ),
    ] {
        let stand = stand();
        // The first that was decided on, or decides.
        let decided = stand.log.iter().find(|one| {
            let types = match event_type {
                DrawRequested::TYPE => [DrawApproved::TYPE, DrawRejected::TYPE],
                other => [other, other],
            };
            types.contains(&one.event_type.as_str())
        });
        let decided = decided.expect(event_type);
        let draw_id = |one: &Envelope| Stand::payload_value(one)["draw_id"].clone();
        let damaged = |one: &Envelope| {
            one.event_type.as_str() == event_type && draw_id(one) == draw_id(decided)
        };
        let loan = decided.aggregate();
        stand.rewrite(&loan, |events| events.retain(|one| !damaged(one)));
        let found = findings(&stand, &loan);
        assert!(found.contains(lost), "{event_type} lost: {found}");
        stand.rewrite(&loan, |events| {
            let event = events.iter().find(|one| damaged(one)).map(again);
            events.extend(event);
        });
        let found = findings(&stand, &loan);
        assert!(found.contains(doubled), "{event_type} doubled: {found}");
    }
}
