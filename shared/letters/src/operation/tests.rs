//! The rules of operations, and the way back from their events.

use domain::{
    rebuild,
    testing::{Log, at, number},
};

use super::*;

fn begin() -> Begin {
    Begin {
        operation_id: uuid::Uuid::from_u128(7).into(),
        act: OperationAct::Redrive,
        selection: Some(LetterCriteria::default()),
        letters: vec![LetterId::of("analytics", Some("e"), "m")],
        cap: Some(10),
        rate_per_second: 10,
        canary: true,
        reason: Text::new("the mail server is back").expect("a reason"),
        actor: Some(Text::new("ada").expect("a user")),
        key_owner: Text::new("on-call").expect("an owner"),
        edited: None,
        replay: None,
        republish: None,
    }
}

fn by(reason: &str) -> By {
    By {
        reason: Text::new(reason).expect("a reason"),
        actor: None,
        key_owner: None,
    }
}

#[test]
fn every_path_to_the_end_can_be_rebuilt_from_its_events() {
    use OperationChange::{Cancelled, Paused, Resumed};
    for path in [
        &[][..],
        &[Paused],
        &[Paused, Resumed, Paused, Cancelled],
        &[Cancelled],
    ] {
        let mut log = Log::default();
        let begun = Operation::begin(&begin(), number(1), at(1)).expect("a digest");
        log.append([begun.event.draft().expect("a draft")], at(1));
        let (mut operation, mut version) = (begun.operation, 1);
        for to in path {
            version += 1;
            let changed = operation.change(*to, by("why"), number(version), at(version));
            let changed = changed.expect("allowed");
            log.append([changed.event.draft().expect("a draft")], at(version));
            operation = changed.operation;
            assert_eq!(operation.status(), to.status());
        }
        let outcome = OperationOutcome {
            redriven: 1,
            handled: 1,
            ..OperationOutcome::default()
        };
        version += 1;
        let finished = operation
            .finish(outcome, number(version), at(version))
            .expect("allowed");
        log.append([finished.event.draft().expect("a draft")], at(version));
        assert!(log.names_every_fact_once());
        let rebuilt = rebuild::<Operation>(&log.0)
            .expect("follows")
            .expect("events");
        assert_eq!(rebuilt.state, finished.operation);
        assert_eq!(rebuilt.version, number(version));
    }
}

#[test]
fn a_step_that_the_status_does_not_allow_is_refused() {
    use OperationChange::{Cancelled, Paused, Resumed};
    let running = Operation::begin(&begin(), number(1), at(1))
        .expect("a digest")
        .operation;
    assert!(
        running
            .change(Resumed, by("why"), number(2), at(2))
            .is_err()
    );
    let finished = running
        .finish(OperationOutcome::default(), number(2), at(2))
        .expect("allowed");
    for to in [Paused, Resumed, Cancelled] {
        assert!(
            finished
                .operation
                .change(to, by("why"), number(3), at(3))
                .is_err()
        );
    }
    let again = finished
        .operation
        .finish(OperationOutcome::default(), number(3), at(3));
    assert!(again.is_err());
    let cancelled = running
        .change(Cancelled, by("why"), number(2), at(2))
        .expect("allowed")
        .operation;
    for to in [Paused, Resumed, Cancelled] {
        assert!(cancelled.change(to, by("why"), number(3), at(3)).is_err());
    }
}

#[test]
fn the_rate_has_bounds() {
    for (asked, rate) in [(0, 1), (50, 50), (1_000, FASTEST)] {
        let begin = Begin {
            rate_per_second: asked,
            ..begin()
        };
        let begun = Operation::begin(&begin, number(1), at(1)).expect("a digest");
        assert_eq!(begun.operation.rate_per_second(), rate);
    }
}

#[test]
fn a_replay_is_about_events_and_no_letter_and_can_be_rebuilt() {
    let selection = ReplaySelection {
        consumer: events::ConsumerName::new("analytics").expect("a name"),
        aggregate_type: None,
        aggregate_id: None,
        event_types: Some(vec![Text::new("loan.funded").expect("a type")]),
        from: Some(at(1)),
        to: at(2),
        before_it_began: None,
    };
    let begin = Begin {
        act: OperationAct::Replay,
        selection: None,
        letters: Vec::new(),
        cap: None,
        canary: false,
        replay: Some(Replaying {
            selection: selection.clone(),
            count: 7,
        }),
        ..begin()
    };
    let begun = Operation::begin(&begin, number(1), at(3)).expect("a digest");
    assert_eq!(begun.operation.count(), 7);
    assert_eq!(begun.operation.replay(), Some(&selection));
    let mut log = Log::default();
    log.append([begun.event.draft().expect("a draft")], at(3));
    let rebuilt = rebuild::<Operation>(&log.0)
        .expect("follows")
        .expect("events");
    assert_eq!(rebuilt.state, begun.operation);
}
