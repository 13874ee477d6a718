//! Events that are still in transit, parked, blocked or too old to be proven.

use super::*;

#[test]
fn a_letter_about_what_was_handled_after_all_is_a_leftover_and_no_finding() {
    let mut stand = Stand::quiet(7);
    let event = stand.event::<contracts::cloud::Minted>();
    let body = event.to_json().expect("small");
    let attributes = [("consumer", "notifications"), ("reason", "rejected")];
    // Its row, and a copy that is not drained yet.
    stand.drained("a", &body, &attributes);
    stand.park(body, &attributes);
    let report = stand.settled();
    assert!(report.clean, "{report}");
    assert_eq!(report.leftovers[0].event_id, event.event_id.to_string());
    assert_eq!((report.counts.letters, report.counts.letter_copies), (2, 1));
    let seen = &report.letters["notifications"];
    assert_eq!((seen.open, seen.not_drained), (1, 1));
}

#[test]
fn a_letter_that_was_parked_after_its_mark_is_a_finding() {
    let stand = Stand::quiet(7);
    let event = stand.event::<contracts::cloud::Minted>();
    let later = stand.now.to_string();
    let body = event.to_json().expect("small");
    let attributes = [
        ("consumer", "notifications"),
        ("reason", "retries_exhausted"),
        ("parked_at", &later),
    ];
    stand.drained("a", &body, &attributes);
    let report = stand.settled();
    let id = event.event_id.to_string();
    assert_eq!(
        summary(&report),
        [(Kind::Parked, Some(id.as_str()))],
        "{report}"
    );
    assert!(report.leftovers.is_empty());
}

#[test]
fn what_may_still_come_is_late_and_not_lost_and_what_is_young_is_left_alone() {
    let mut stand = Stand::quiet(7);
    let event = stand.event::<contracts::cloud::Minted>();
    stand.forget::<Treasury>(&event);
    let open = |stand: &Stand, grace| {
        stand.audit(&Options {
            grace: Duration::from_secs(grace),
            ..Options::default()
        })
    };
    let id = event.event_id.to_string();
    assert_eq!(
        summary(&open(&stand, 300)),
        [(Kind::Lost, Some(id.as_str()))]
    );
    stand
        .queues
        .depths
        .insert("CloudTreasury/express".into(), 3);
    let late = open(&stand, 300);
    assert_eq!(summary(&late), [(Kind::Late, Some(id.as_str()))]);
    assert!(
        late.findings[0].stopped.contains("not by cloud-treasury"),
        "{late}"
    );
    // A lane keeps a message for 14 days; what waits afterwards is another one.
    let now = stand.now;
    for (days, kind) in [(13, Kind::Late), (15, Kind::Lost)] {
        stand.now = event
            .occurred_at
            .plus(Duration::from_secs(days * 24 * 60 * 60));
        let report = open(&stand, 300);
        assert_eq!(summary(&report), [(kind, Some(id.as_str()))], "{days} days");
    }
    stand.now = now;
    // Other lanes prove nothing about this one.
    stand.queues.depths.clear();
    stand
        .queues
        .depths
        .insert("Notifications/standard".into(), 3);
    assert_eq!(
        summary(&open(&stand, 300)),
        [(Kind::Lost, Some(id.as_str()))]
    );
    let young = open(&stand, 40_000_000);
    assert!(young.clean && young.counts.young == 1, "{young}");
}

/// An account with at least two of the ledger's events after a parked one. The parked event is the third from the end.
fn blocked(stand: &Stand) -> (Envelope, Vec<String>) {
    use events::Subscription;
    let taken = |event: &&Envelope| {
        super::super::ledger::AccountEvent::evidence(event.event_type.as_str()).is_some()
    };
    let mut by_account: BTreeMap<String, Vec<Envelope>> = BTreeMap::new();
    for event in stand.log.iter().filter(taken) {
        let events = by_account.entry(event.aggregate()).or_default();
        events.push(event.clone());
    }
    let mut events = by_account.into_values().max_by_key(Vec::len).expect("some");
    let behind: Vec<String> = events
        .split_off(events.len() - 2)
        .iter()
        .map(|event| event.event_id.to_string())
        .collect();
    let parked = events.pop().expect("three");
    let before = events.last().expect("four").sequence.number();
    let key = outbox::cursor_key(&marks_table(), Ledger::NAME, &parked.aggregate());
    stand.change(&key.expect("a key"), |item| {
        item.insert("position".into(), before.into());
        item.insert("blocked_at".into(), json!(stand.now));
        item.insert("blocked_sequence".into(), parked.sequence.number().into());
        item.insert(
            "blocked_event_id".into(),
            parked.event_id.to_string().into(),
        );
        item.insert("blocked_reason".into(), "rejected".into());
    });
    (parked, behind)
}

#[test]
fn what_waits_behind_a_parked_event_is_told_so_and_not_called_lost() {
    let mut stand = Stand::quiet(7);
    let (parked, behind) = blocked(&stand);
    let id = parked.event_id.to_string();
    let kinds = |report: &Report| {
        let mut kinds: Vec<(Option<String>, Kind)> = report
            .findings
            .iter()
            .map(|one| (one.event_id.clone(), one.kind))
            .collect();
        kinds.sort();
        kinds
    };
    let all = |own: Kind, others: Kind| {
        let mut kinds: Vec<(Option<String>, Kind)> = behind
            .iter()
            .map(|event| (Some(event.clone()), others))
            .chain([(Some(id.clone()), own)])
            .collect();
        kinds.sort();
        kinds
    };
    // There is no dead letter: nothing continues by itself, and the parked event is what an operator must look at.
    let report = stand.settled();
    assert_eq!(kinds(&report), all(Kind::Lost, Kind::Late), "{report}");
    let text = report.to_string();
    assert!(
        text.contains(&format!("waits behind the parked event {id}")),
        "{text}"
    );
    assert!(text.contains("its aggregate waits for it"), "{text}");
    // The dead letter is there.
    let body = parked.to_json().expect("small");
    let attributes = [("consumer", Ledger::NAME), ("reason", "rejected")];
    stand.park(body, &attributes);
    let report = stand.settled();
    assert_eq!(kinds(&report), all(Kind::Parked, Kind::Parked), "{report}");
    // The dead letter was just sent back.
    stand.queues.letters.clear();
    stand.queues.depths.insert("Ledger/express".into(), 1);
    stand.queues.depths.insert("Ledger/standard".into(), 1);
    let report = stand.audit(&Options::default());
    assert_eq!(kinds(&report), all(Kind::Late, Kind::Late), "{report}");
}

#[test]
fn what_is_older_than_its_mark_is_not_provable_and_no_finding() {
    let mut stand = Stand::quiet(7);
    let event = stand.event::<contracts::cloud::Minted>();
    stand.forget::<Treasury>(&event);
    stand.now = stand.now.plus(Duration::from_secs(61 * 86_400));
    let report = stand.settled();
    assert!(report.clean, "{report}");
    assert_eq!(report.counts.not_provable, 1);
}
