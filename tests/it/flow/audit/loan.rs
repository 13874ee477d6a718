//! Damage to loans, and to what their events record.

use events::{
    Contract, Envelope, Sequence,
    contracts::loan::{
        DrawApproved, DrawRejected, DrawRequested, PaidOff, PaymentReceived,
        PaymentScheduleGenerated,
    },
};
use loan::{draw::Draw, payment::Payment, schedule::Schedule};
use millrace::audit::{Kind, Options};
use outbox::Key;
use serde_json::{Value, json};
use testkit::flow::Faults;

use super::super::{
    drawn,
    world::{World, loan_orders, loan_table},
};
use super::{Plant, Stand, add, each_is_named, events_table, named};

/// What many commands leave in a run without faults.
fn stand() -> Stand {
    let mut world = World::new(13, Faults::NONE, |builder| builder);
    world.register_everybody();
    world.fund();
    // In small groups: a draw must have been requested before it is decided.
    for orders in drawn(13, loan_orders(160)).chunks(4) {
        world.hand_in(orders);
        world.flow.drain().expect("drains");
    }
    world.settle().expect("sound");
    Stand::of(&world)
}

impl Stand {
    /// Rewrites a loan's history as if the change had always been there: numbers and versions have no gap, and the
    /// loan's row counts the same number of events.
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
            // This event is published together with the payment that caused it.
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

fn draw_of<C: Contract>(stand: &Stand) -> (Envelope, Key) {
    let event = stand.event::<C>();
    let payload = Stand::payload_value(&event);
    let id = |name: &str| payload[name].as_str().expect("an id").to_owned();
    let loan_id = id("loan_id").parse().expect("a loan");
    let draw_id = id("draw_id").parse().expect("a draw");
    (event, Draw::key(&loan_table(), loan_id, draw_id))
}

/// The last payment of any loan.
fn payment(stand: &Stand) -> (Envelope, Key) {
    let event = stand.event::<PaymentReceived>();
    let of_loan = |one: &&Envelope| {
        one.event_type == event.event_type && one.aggregate_id == event.aggregate_id
    };
    let number = u64::try_from(stand.log.iter().filter(of_loan).count()).expect("few");
    let loan_id = Stand::payload::<PaymentReceived>(&event).loan_id;
    let number = Sequence::new(number).expect("a number");
    let key = Payment::key(&loan_table(), loan_id, number);
    (event, key)
}

fn schedule(stand: &Stand) -> (Envelope, Key) {
    let event = stand.event::<PaymentScheduleGenerated>();
    let plan: PaymentScheduleGenerated = Stand::payload(&event);
    let key = Schedule::key(&loan_table(), plan.loan_id, plan.revision);
    (event, key)
}

/// Puts a copy of a row that no event accounts for.
fn stray(stand: &Stand, key: &Key) {
    let mut item = stand.item(key);
    let sort_key = format!("{}0", item["sk"].as_str().expect("a key"));
    item.insert("sk".into(), json!(sort_key));
    stand.put(&loan_table(), item);
}

const PLANTED: &[(&str, Plant)] = &[
    ("a draw is gone", |stand| {
        let (event, key) = draw_of::<DrawRejected>(stand);
        stand.store.remove(&key);
        (Kind::Books, named(&event))
    }),
    ("a draw was approved by hand", |stand| {
        let (event, key) = draw_of::<DrawRejected>(stand);
        stand.change(&key, |item| {
            item.insert("status".into(), json!("approved"));
        });
        (Kind::Books, named(&event))
    }),
    ("the approver of a draw was changed by hand", |stand| {
        let (event, key) = draw_of::<DrawApproved>(stand);
        stand.change(&key, |item| {
            item.insert("decided_by".into(), json!("somebody"));
        });
        (Kind::Books, named(&event))
    }),
    ("a draw belongs to no event", |stand| {
        let (_, key) = draw_of::<DrawApproved>(stand);
        stray(stand, &key);
        (Kind::Books, None)
    }),
    ("a payment is gone", |stand| {
        let (event, key) = payment(stand);
        stand.store.remove(&key);
        (Kind::Books, named(&event))
    }),
    ("a payment was changed by hand", |stand| {
        let (event, key) = payment(stand);
        stand.change(&key, |item| add(item, "amount", &json!(0.01)));
        (Kind::Books, named(&event))
    }),
    ("a payment was written twice", |stand| {
        let (_, key) = payment(stand);
        stray(stand, &key);
        (Kind::Books, None)
    }),
    ("a payment cannot be read", |stand| {
        let (_, key) = payment(stand);
        stand.change(&key, |item| {
            item.remove("amount");
        });
        (Kind::Unreadable, None)
    }),
    ("a schedule is gone", |stand| {
        let (event, key) = schedule(stand);
        stand.store.remove(&key);
        (Kind::Books, named(&event))
    }),
    ("a cent of a schedule was moved by hand", |stand| {
        let (event, key) = schedule(stand);
        stand.change(&key, |item| {
            let first = item["instalments"][0].as_object_mut().expect("one");
            add(first, "interest", &json!(0.01));
        });
        (Kind::Books, named(&event))
    }),
    ("a schedule belongs to no event", |stand| {
        let (_, key) = schedule(stand);
        stray(stand, &key);
        (Kind::Books, None)
    }),
];

#[test]
fn each_row_beside_a_loan_that_is_damaged_is_named_and_nothing_else_is() {
    each_is_named(PLANTED, stand);
}

#[test]
fn rows_that_are_newer_than_the_reading_of_the_log_are_called_moving() {
    let mut stand = stand();
    let (event, key) = payment(&stand);
    stand.store.remove(&key);
    stand.now = event.occurred_at;
    let report = stand.audit(&Options::default());
    assert!(
        report.findings.iter().all(|one| one.kind != Kind::Books),
        "{report}"
    );
    assert!(report.counts.moving > 0, "{report}");
}

/// The same event under another id and another idempotency key.
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
            "the draw was never requested",
            "the draw is requested twice",
        ),
        // Without this event, the next plan schedules more than was lent.
        (
            DrawApproved::TYPE,
            "the schedule's principal differs from the open principal",
            "the draw is decided twice",
        ),
        // The draw's row shows that it was decided.
        (
            DrawRejected::TYPE,
            "differs from the events in decided_at, decided_by, status",
            "the draw is decided twice",
        ),
    ] {
        let stand = stand();
        // The first draw that was decided, or the first decision.
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
