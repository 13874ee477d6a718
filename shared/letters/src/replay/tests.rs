//! What a replay sends, and which replays can begin.

use std::sync::Arc;

use events::{Cause, Subscribed, contracts::operation::OperationChange};
use outbox::{Clock as _, Decision, Mark, Outcome, Store as _, memory::MemoryStore};
use serde_json::{Value, json};
use testkit::TestClock;

use super::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const BY_MARK: Selection = Selection::Every(Evidence::Mark);
const BY_GUARD: Selection = Selection::Every(Evidence::Guard);
const MIXED: Selection = Selection::Types(&[
    Subscribed {
        event_type: "cloud.minted",
        version: 1,
        evidence: Evidence::Mark,
    },
    Subscribed {
        event_type: "member.registered",
        version: 1,
        evidence: Evidence::Guard,
    },
]);

fn at(text: &str) -> Timestamp {
    text.parse().expect("a time")
}

fn wanted() -> WantedReplay {
    WantedReplay {
        consumer: ConsumerName::new("analytics").expect("a name"),
        aggregate: None,
        event_types: None,
        from: None,
        to: None,
        before_it_began: false,
    }
}

fn of(to: Timestamp) -> ReplaySelection {
    ReplaySelection {
        consumer: wanted().consumer,
        aggregate_type: None,
        aggregate_id: None,
        event_types: None,
        from: None,
        to,
        before_it_began: None,
    }
}

/// A row of the log, committed and published when it occurred.
fn item(aggregate_id: &str, sequence: u64, occurred_at: Timestamp) -> Value {
    let sample = include_str!("../../../events/samples/common/envelope-v1/full.json");
    let mut envelope: Value = serde_json::from_str(sample).expect("JSON");
    envelope["aggregate_id"] = aggregate_id.into();
    envelope["sequence"] = sequence.into();
    envelope["occurred_at"] = json!(occurred_at);
    json!({
        "aggregate": format!("cloud_account#{aggregate_id}"), "sequence": sequence, "event_id": envelope["event_id"],
        "event_type": envelope["event_type"], "committed_at": occurred_at, "published_at": occurred_at,
        "envelope": envelope.to_string(),
    })
}

fn row(item: Value) -> LogRow {
    let Value::Object(item) = item else {
        panic!("no object");
    };
    LogRow::read(item).expect("a row")
}

#[test]
fn what_is_sent_follows_from_filter_evidence_and_age() {
    let (now, day) = (at("2026-06-01T00:00:00.000Z"), |days| {
        at("2026-06-01T00:00:00.000Z").minus(DAY * days)
    });
    let young = row(item("m", 1, day(57)));
    let old = row(item("m", 1, day(58)));
    let is_sent =
        |of: &ReplaySelection, listened, row: &LogRow| match verdict(of, listened, row, now) {
            Verdict::Send { first, .. } => {
                assert_eq!(first, None);
                true
            }
            _ => false,
        };
    let all = of(now);
    assert!(is_sent(&all, BY_MARK, &young));
    assert_eq!(verdict(&all, BY_MARK, &old, now), Verdict::TooOld);
    assert!(is_sent(&all, BY_GUARD, &old));
    assert!(is_sent(&all, Selection::Every(Evidence::Cursor), &old));
    let others = Selection::Domains {
        domains: &["loan"],
        evidence: Evidence::Mark,
    };
    assert_eq!(verdict(&all, others, &young, now), Verdict::PassedOver);

    // The filter: from is included, to is not.
    let text = |text: &str| Some(Text::new(text).expect("short"));
    for (selection, fits) in [
        (
            ReplaySelection {
                from: Some(day(57)),
                ..of(now)
            },
            true,
        ),
        (
            ReplaySelection {
                from: Some(day(56)),
                ..of(now)
            },
            false,
        ),
        (of(day(57)), false),
        (
            ReplaySelection {
                event_types: Some(vec![Text::new("cloud.minted").expect("short")]),
                ..of(now)
            },
            true,
        ),
        (
            ReplaySelection {
                event_types: Some(vec![Text::new("cloud.burned").expect("short")]),
                ..of(now)
            },
            false,
        ),
        (
            ReplaySelection {
                aggregate_type: text("cloud_account"),
                aggregate_id: Some(Text::new("m").expect("short")),
                ..of(now)
            },
            true,
        ),
        (
            ReplaySelection {
                aggregate_type: text("cloud_account"),
                aggregate_id: Some(Text::new("n").expect("short")),
                ..of(now)
            },
            false,
        ),
    ] {
        let verdict = verdict(&selection, BY_MARK, &young, now);
        assert_eq!(verdict != Verdict::Outside, fits, "{selection:?}");
    }
}

#[test]
fn what_the_bus_may_have_brought_is_no_part_of_the_first_replay() {
    let now = at("2026-12-01T00:00:00.000Z");
    let began = at("2026-03-01T00:00:00.000Z");
    let since = now.minus(DAY);
    let first = FirstReplay { began, since };
    let selection = ReplaySelection {
        before_it_began: Some(first),
        ..of(began)
    };
    let occurred_at = at("2026-02-01T00:00:00.000Z");
    let sent = verdict(&selection, BY_MARK, &row(item("m", 1, occurred_at)), now);
    let priority = Priority::Critical;
    assert_eq!(
        sent,
        Verdict::Send {
            priority,
            first: Some(first)
        }
    );
    // Published when the consumer was there, or not at all: its mark may have expired.
    for published_at in [json!(began), Value::Null] {
        let mut late = item("m", 1, occurred_at);
        late["published_at"] = published_at;
        let verdict = verdict(&selection, BY_MARK, &row(late), now);
        assert_eq!(verdict, Verdict::TooOld);
    }
    // The first replay's own marks are about to expire.
    let late = since.plus(KNOWN_WHEN_SENT + DAY);
    let left = verdict(&selection, BY_MARK, &row(item("m", 1, occurred_at)), late);
    assert_eq!(left, Verdict::TooOld);
}

#[test]
fn a_consumer_is_asked_only_for_what_it_listens_to() {
    let types = |names: &[&str]| WantedReplay {
        event_types: Some(
            names
                .iter()
                .map(|one| Text::new(*one).expect("short"))
                .collect(),
        ),
        ..wanted()
    };
    let about = |kind: &str| WantedReplay {
        aggregate: Some((
            Text::new(kind).expect("short"),
            Text::new("m").expect("short"),
        )),
        ..wanted()
    };
    let (mark, guard) = (true, true);
    for (wanted, reach) in [
        (wanted(), Some((mark, guard))),
        (types(&["cloud.minted"]), Some((mark, false))),
        (
            types(&["member.registered", "loan.funded"]),
            Some((false, guard)),
        ),
        (types(&["loan.funded"]), None),
        (about("cloud_account"), Some((mark, false))),
        (about("member"), Some((false, guard))),
        (about("loan"), None),
    ] {
        let found = Reach::of(&wanted, MIXED).map(|reach| (reach.by_mark, reach.otherwise));
        assert_eq!(found, reach, "{wanted:?}");
    }
}

struct Site {
    outbox: Outbox,
    store: Arc<MemoryStore>,
    clock: Arc<TestClock>,
    table: Table,
}

impl Site {
    fn new() -> Self {
        let store = Arc::new(MemoryStore::new());
        let clock = Arc::new(TestClock::new(3));
        let registry = Arc::new(Registry::shipped());
        let (events, marks) = (Table::events("events"), Table::marks("marks"));
        Self {
            outbox: Outbox::new(
                Arc::<MemoryStore>::clone(&store),
                Arc::<TestClock>::clone(&clock),
                registry,
                events,
                marks,
            ),
            store,
            clock,
            table: Table::domain("letters"),
        }
    }

    fn replays(&self) -> Replays<'_> {
        Replays {
            outbox: &self.outbox,
            table: &self.table,
        }
    }

    async fn execute<T: Send>(
        &self,
        decide: impl AsyncFn(&mut Transaction) -> Result<T, Stopped>,
    ) -> Result<T, Refusal> {
        let mark = Mark::Message {
            consumer: "tests",
            message_id: self.clock.uuid().to_string(),
        };
        let decide = &decide;
        let outcome: Outcome<T, Refusal> = self
            .outbox
            .execute::<_, _, Error, _, _>(&mark, &Cause::default(), |mut transaction| async move {
                match decide(&mut transaction).await {
                    Ok(done) => Ok(Decision::Commit(transaction, done)),
                    Err(Stopped::Refused(refusal)) => Ok(Decision::Refuse(refusal)),
                    Err(Stopped::Failed(error)) => Err(error),
                }
            })
            .await
            .expect("executes");
        match outcome {
            Outcome::Committed { value, .. } => Ok(value),
            Outcome::Refused(refusal) => Err(refusal),
            _ => panic!("neither committed nor refused"),
        }
    }

    async fn begin(
        &self,
        wanted: &WantedReplay,
        listened: Selection,
        began: Option<Timestamp>,
    ) -> Result<Operation, Refusal> {
        self.execute(async |transaction| {
            let replays = self.replays();
            let now = transaction.now();
            let ready = replays.ready(wanted, listened, began, now).await?;
            let begin = BeginReplay {
                rate_per_second: 10,
                by: by(),
                key_owner: Text::new("on-call").expect("an owner"),
                count: 0,
            };
            replays.begin(transaction, ready, begin).await
        })
        .await
    }

    /// Ends an operation as the job does: after it was cancelled, or at the log's end.
    async fn end(&self, id: OperationId, reached: ReplayProgress) {
        let done = self.execute(async |transaction| {
            let replays = self.replays();
            let operations = replays.operations();
            let (operation, progress) = (
                operations.operation(id).await?,
                operations.progress(id).await?,
            );
            let after = Progress {
                replay: Some(reached.clone()),
                ..Progress::default()
            };
            transaction.update(&progress, &after, Vec::new())?;
            let state = operation.state().expect("an operation");
            let version = operation.next_version()?;
            let finished = state.finish(after.counts, version, transaction.now());
            finished.expect("allowed").save(transaction, &operation)?;
            Ok(())
        });
        done.await.expect("ended");
    }

    async fn cancel(&self, id: OperationId) {
        let done = self.execute(async |transaction| {
            let replays = self.replays();
            let operations = replays.operations();
            let cancelled = OperationChange::Cancelled;
            operations.change(transaction, id, cancelled, by()).await
        });
        done.await.expect("cancelled");
    }
}

fn by() -> By {
    By {
        reason: Text::new("why").expect("a reason"),
        actor: None,
        key_owner: None,
    }
}

#[tokio::test]
async fn what_is_too_old_for_marks_is_refused_with_what_is_possible_and_for_guards_is_not() {
    let site = Site::new();
    let now = site.clock.now();
    let began = Some(now.minus(DAY * 400));
    let old = WantedReplay {
        to: Some(now.minus(DAY * 57)),
        ..wanted()
    };
    let refused = site.begin(&old, BY_MARK, began).await;
    let Err(Refusal::TooOld { possible_from, .. }) = refused else {
        panic!("{refused:?}");
    };
    assert_eq!(possible_from, now.minus(DAY * 57));
    for listened in [BY_GUARD, Selection::Every(Evidence::Cursor), MIXED] {
        assert!(site.begin(&old, listened, began).await.is_ok());
    }
    // Some of it is young enough.
    let some = WantedReplay {
        to: Some(now.minus(DAY * 56)),
        ..wanted()
    };
    let begun = site.begin(&some, BY_MARK, began).await.expect("begun");
    assert_eq!(begun.replay().expect("a replay").to, now.minus(DAY * 56));
    let no_lane = site.begin(&some, BY_MARK, None).await;
    assert!(matches!(no_lane, Err(Refusal::NoLane { .. })));
    let nothing = WantedReplay {
        event_types: Some(vec![Text::new("loan.funded").expect("short")]),
        ..wanted()
    };
    let refused = site.begin(&nothing, MIXED, began).await;
    assert!(matches!(refused, Err(Refusal::NoEvent { .. })));
}

#[tokio::test]
async fn the_end_of_a_selection_is_never_later_than_its_beginning() {
    let site = Site::new();
    let now = site.clock.now();
    for to in [None, Some(now.plus(DAY))] {
        let wanted = WantedReplay { to, ..wanted() };
        let begun = site.begin(&wanted, BY_GUARD, None).await.expect("begun");
        let selection = begun.replay().expect("a replay");
        assert!(selection.to <= site.clock.now() && selection.to >= now);
    }
}

#[tokio::test]
async fn what_was_before_a_consumer_is_replayed_once_and_a_cancelled_replay_goes_on() {
    let site = Site::new();
    let began = site.clock.now().minus(DAY * 2);
    let all = WantedReplay {
        before_it_began: true,
        ..wanted()
    };
    let begun = site.begin(&all, BY_MARK, Some(began)).await.expect("begun");
    let id = begun.operation_id();
    let selection = begun.replay().expect("a replay");
    let first = selection.before_it_began.expect("the first");
    assert_eq!((selection.to, first.began), (began, began));
    let is_named = async |id: OperationId| {
        let refused = site.begin(&all, BY_MARK, Some(began)).await;
        matches!(refused, Err(Refusal::ReplayedBefore { operation_id, .. }) if operation_id == id)
    };
    assert!(is_named(id).await, "it is under way");
    site.cancel(id).await;
    assert!(is_named(id).await, "its last page may be under way");
    let reached = ReplayProgress {
        rows: 40,
        after: Some("there".to_owned()),
        ..ReplayProgress::default()
    };
    site.end(id, reached.clone()).await;

    // The lanes were made anew meanwhile. That is no beginning.
    site.clock.advance(DAY * 30);
    let anew = Some(site.clock.now());
    let next = site.begin(&all, BY_MARK, anew).await.expect("goes on");
    let id = next.operation_id();
    let again = next.replay().and_then(|one| one.before_it_began);
    assert_eq!(again, Some(first));
    let progress = site.replays().operations().progress(id).await;
    let progress = progress.expect("readable").state().cloned();
    assert_eq!(progress.and_then(|one| one.replay), Some(reached));
    let through = ReplayProgress {
        is_through: true,
        ..ReplayProgress::default()
    };
    site.end(id, through).await;
    assert!(is_named(id).await, "it is done");
    // What needs no marks can have it again.
    assert!(site.begin(&all, BY_GUARD, Some(began)).await.is_ok());
}

#[tokio::test]
async fn what_was_before_a_consumer_can_be_replayed_as_long_as_the_first_marks_of_it_exist() {
    let site = Site::new();
    let now = site.clock.now();
    let began = now.minus(DAY);
    let all = WantedReplay {
        before_it_began: true,
        ..wanted()
    };
    // A replay of some of it has left marks.
    let some = WantedReplay {
        from: Some(now.minus(DAY * 7)),
        ..wanted()
    };
    site.begin(&some, BY_MARK, Some(began))
        .await
        .expect("begun");
    let row = site.replays().before(&some.consumer).await;
    let row = row.expect("readable").state().cloned().expect("a row");
    assert_eq!((row.began, row.operation_id), (began, None));
    site.clock.advance(KNOWN_WHEN_SENT);
    let ready = site.replays();
    let in_time = ready.ready(&all, BY_MARK, Some(began), site.clock.now());
    let first = in_time.await.expect("ready").selection.before_it_began;
    assert_eq!(first.map(|first| first.since), Some(row.since));
    site.clock.advance(DAY);
    let late = site.begin(&all, BY_MARK, Some(began)).await;
    assert!(matches!(late, Err(Refusal::TooLate { .. })), "{late:?}");
}

#[tokio::test]
async fn a_replay_of_what_came_when_the_consumer_was_there_leaves_the_first_one_alone() {
    let site = Site::new();
    let now = site.clock.now();
    for (began, from) in [
        (now.minus(DAY * 2), Some(now.minus(DAY))),
        // Nothing that could be sent is from before it began.
        (now.minus(DAY * 58), None),
    ] {
        let later = WantedReplay { from, ..wanted() };
        site.begin(&later, BY_MARK, Some(began))
            .await
            .expect("begun");
        let row = site.replays().before(&later.consumer).await;
        assert!(row.expect("readable").state().is_none());
    }
}

#[tokio::test]
async fn the_events_of_an_aggregate_are_counted() {
    let site = Site::new();
    let now = site.clock.now();
    let events = Table::events("events");
    for sequence in 1..=250 {
        let days = if sequence <= 30 { 60 } else { 1 };
        let Value::Object(item) = item("m", sequence, now.minus(DAY * days)) else {
            panic!("no object");
        };
        site.store.put_all(&events, &[item]).await.expect("put");
    }
    let selection = ReplaySelection {
        aggregate_type: Some(Text::new("cloud_account").expect("short")),
        aggregate_id: Some(Text::new("m").expect("short")),
        ..of(now)
    };
    let counted = site.replays().count(&selection, BY_MARK, now).await;
    let wanted = Counted {
        sent: 220,
        passed_over: 0,
        too_old: 30,
    };
    assert_eq!(counted.expect("readable"), Some(wanted));
    let unknown = site.replays().count(&of(now), BY_MARK, now).await;
    assert_eq!(unknown.expect("readable"), None);
}
