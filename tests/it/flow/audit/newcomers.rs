//! Consumers that were deployed when there was already history. Events that are older than a consumer were not for it.

use std::time::Duration;

use cloud::{books::outstanding_change, totals};
use cloud_treasury::handler::Treasury;
use consumer::Handler as _;
use events::{Subscription as _, Timestamp, contracts};
use millrace::audit::{Kind, Options, Report};
use outbox::log::LogRow;
use serde_json::json;

use super::{
    super::ledger::{AccountEvent, Ledger},
    Stand, cloud_table, marks_table, summary,
};

/// When each of the ledger's events was published, the earliest first, and the event's id.
fn for_ledger(stand: &Stand) -> Vec<(Timestamp, String)> {
    let is_for_it =
        |event: &&super::Envelope| AccountEvent::evidence(event.event_type.as_str()).is_some();
    let mut events: Vec<(Timestamp, String)> = stand
        .log
        .iter()
        .filter(is_for_it)
        .map(|event| {
            let row = LogRow::read(stand.item(&Stand::row(event))).expect("a row");
            let at = row.published_at().expect("published");
            (at, event.event_id.to_string())
        })
        .collect();
    events.sort();
    events
}

/// Makes the ledger new: it has handled nothing, and its lanes were created at this moment.
fn unheard(stand: &mut Stand, made: Timestamp) {
    for event in stand.log.clone() {
        let key = outbox::cursor_key(&marks_table(), Ledger::NAME, &event.aggregate());
        stand.store.remove(&key.expect("a key"));
    }
    for (lane, later) in [("express", 0), ("standard", 60)] {
        let made = made.plus(Duration::from_secs(later));
        stand.queues.created.insert(format!("Ledger/{lane}"), made);
    }
}

fn settled(stand: &Stand, start_up: u64) -> Report {
    stand.audit(&Options {
        settled: true,
        start_up: Duration::from_secs(start_up),
        ..Options::default()
    })
}

#[test]
fn what_was_published_before_a_consumer_had_a_lane_is_counted_and_no_finding() {
    let mut stand = Stand::quiet(7);
    let events = for_ledger(&stand);
    let made = stand.now;
    unheard(&mut stand, made);
    let report = settled(&stand, 0);
    assert!(report.clean, "{report}");
    let [one] = report.before_consumer.as_slice() else {
        panic!("{report}");
    };
    let all = u64::try_from(events.len()).expect("few");
    assert_eq!((one.consumer.as_str(), one.events), (Ledger::NAME, all));
    assert_eq!((one.began_at, report.counts.before_consumer), (made, all));
    assert!(
        report
            .to_string()
            .contains(&format!("{all} events are older than {}", Ledger::NAME)),
        "{report}"
    );
    let document = serde_json::to_value(&report).expect("JSON");
    assert_eq!(document["before_consumer"][0]["events"], all);
}

#[test]
fn what_was_published_afterwards_is_lost_unless_the_consumer_was_being_set_up() {
    let mut stand = Stand::quiet(7);
    let events = for_ledger(&stand);
    let (made, _) = events[events.len() / 2];
    unheard(&mut stand, made);
    let report = settled(&stand, 0);
    let mut lost: Vec<String> = summary(&report)
        .into_iter()
        .map(|(kind, event_id)| {
            assert_eq!(kind, Kind::Lost, "{report}");
            event_id.expect("an event").to_owned()
        })
        .collect();
    lost.sort();
    let mut due: Vec<String> = events
        .iter()
        .filter(|(at, _)| *at >= made)
        .map(|(_, event_id)| event_id.clone())
        .collect();
    due.sort();
    assert_eq!(lost, due);
    assert!(due.len() < events.len() && !due.is_empty());
    // The consumer's rule was created after the last event had been published.
    let (last, _) = events.last().expect("some");
    let report = settled(&stand, last.since(made).as_secs() + 1);
    assert!(report.clean, "{report}");
    let all = u64::try_from(events.len()).expect("few");
    assert_eq!(report.counts.before_consumer, all);
}

#[test]
fn an_aggregate_that_a_consumer_in_order_has_begun_with_is_its_own_from_the_first_event() {
    let mut stand = Stand::quiet(7);
    let made = stand.now;
    let event = stand.event::<contracts::cloud::Minted>();
    let key = outbox::cursor_key(&marks_table(), Ledger::NAME, &event.aggregate());
    let mut cursor = stand.item(&key.expect("a key"));
    unheard(&mut stand, made);
    cursor.insert("position".into(), json!(event.sequence.number() - 1));
    stand.put(&marks_table(), cursor);
    let report = settled(&stand, 300);
    let id = event.event_id.to_string();
    assert!(
        summary(&report).contains(&(Kind::Lost, Some(id.as_str()))),
        "{report}"
    );
    let is_its = |finding: &millrace::audit::Finding| {
        finding.consumer.as_deref() == Some(Ledger::NAME)
            && finding.aggregate == Some(event.aggregate().replacen('#', "/", 1))
    };
    assert!(report.findings.iter().all(is_its), "{report}");
}

/// A treasury consumer that was deployed after all events. It has counted all of them but the last.
fn new_treasury() -> (Stand, super::Envelope) {
    let mut stand = Stand::quiet(7);
    let event = stand.event::<contracts::cloud::Minted>();
    stand.forget::<Treasury>(&event);
    let made = stand.now;
    let lane = "CloudTreasury/express".to_owned();
    stand.queues.created.insert(lane, made);
    (stand, event)
}

/// Subtracts an event's change from the row that counted it.
fn uncount(stand: &Stand, event: &super::Envelope) {
    let change = outstanding_change(event).expect("it is counted");
    let change: serde_json::Value =
        serde_json::from_str(&format!("-{}", change.normalize())).expect("a number");
    let key = totals::key(&cloud_table(), totals::shard_of(event.event_id));
    stand.change(&key, |item| super::add(item, "outstanding", &change));
}

#[test]
fn a_total_is_to_have_what_came_before_its_consumer_neither_once_nor_twice() {
    let (stand, event) = new_treasury();
    uncount(&stand, &event);
    let report = settled(&stand, 300);
    assert!(report.clean, "{report}");
    assert_eq!(report.counts.before_consumer, 1);
    // The total contains the event, although there is no mark.
    let (stand, _) = new_treasury();
    let report = settled(&stand, 300);
    let [finding] = report.findings.as_slice() else {
        panic!("{report}");
    };
    assert!(finding.what.contains("outstanding total"), "{report}");
}

#[test]
fn where_marks_have_gone_a_total_may_or_may_not_have_what_is_older_than_the_lane() {
    for counted in [true, false] {
        let (mut stand, event) = new_treasury();
        if !counted {
            uncount(&stand, &event);
        }
        stand.now = stand.now.plus(Duration::from_secs(61 * 86_400));
        let report = settled(&stand, 300);
        assert!(report.clean, "{report}");
        assert_eq!(report.counts.before_consumer, 1);
    }
}
