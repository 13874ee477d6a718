//! Tests the job in its runner, on a store in memory and with lanes of the test's own.

mod pausing;
mod replaying;
mod republishing;

use republishing::TestBus;
use std::{collections::VecDeque, sync::Mutex as StdMutex};

use consumer::schedule::{Ending, Report, RunError};
use events::{OperationId, Registry, contracts::operation::FirstReplay};
use letters::{
    Drained, QueueMessage,
    operation::Begin,
    operations::{Stopped, Wanted},
};
use mappings::MemoryMappings;
use outbox::{Clock as _, Fault, FaultKind, Mark, Store as _, Table};
use serde_json::{Value, json};
use testkit::jobs::JobSite;

use super::*;
use crate::fixtures::{CONSUMER, because, config, every_event, execute, owner, table};

/// What the consumer does with what is sent to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fate {
    /// Handles it at once.
    Handles,
    /// Parks it again, and the drainer has it at once.
    Parks,
    /// Leaves it in the lane.
    Waits,
    /// Cannot be sent to.
    Fails,
}

struct TestLanes {
    world: StdMutex<Option<Arc<World>>>,
    script: StdMutex<VecDeque<Fate>>,
    otherwise: StdMutex<Fate>,
    sent: StdMutex<Vec<(Timestamp, String)>>,
    marked: StdMutex<Vec<SentBy>>,
}

struct World {
    site: JobSite,
    lanes: Arc<TestLanes>,
    mappings: Arc<MemoryMappings>,
    bus: Arc<TestBus>,
    count: StdMutex<u64>,
}

#[async_trait]
impl Lanes for TestLanes {
    async fn send(&self, queue: &str, body: &str, by: SentBy) -> Result<(), Fault> {
        let world = self.world.lock().expect("unpoisoned").clone();
        let world = world.expect("a world");
        assert!(queue.starts_with(CONSUMER), "{queue}");
        let scripted = self.script.lock().expect("unpoisoned").pop_front();
        let fate = scripted.unwrap_or(*self.otherwise.lock().expect("unpoisoned"));
        if fate == Fate::Fails {
            return Err(Fault::new(
                FaultKind::Unavailable,
                "sqs SendMessage",
                "down",
            ));
        }
        let now = world.site.clock().now();
        let envelope = Registry::read(body).expect("an envelope");
        let event_id = envelope.event_id.to_string();
        self.sent.lock().expect("unpoisoned").push((now, event_id));
        self.marked.lock().expect("unpoisoned").push(by);
        match fate {
            Fate::Handles => world.handle(&envelope).await,
            Fate::Parks => world.park(body).await,
            Fate::Waits | Fate::Fails => {}
        }
        Ok(())
    }
}

fn log_table() -> Table {
    Table::events("events")
}

fn world(otherwise: Fate) -> Arc<World> {
    let lanes = Arc::new(TestLanes {
        world: StdMutex::default(),
        script: StdMutex::default(),
        otherwise: StdMutex::new(otherwise),
        sent: StdMutex::default(),
        marked: StdMutex::default(),
    });
    let world = Arc::new(World {
        site: JobSite::new(),
        lanes: Arc::clone(&lanes),
        mappings: Arc::new(MemoryMappings::new().with("mill_analytics", 2)),
        bus: Arc::default(),
        count: StdMutex::default(),
    });
    *lanes.world.lock().expect("unpoisoned") = Some(Arc::clone(&world));
    world
}

/// The event of an aggregate at a sequence.
fn event(aggregate: &str, sequence: u64) -> String {
    let sample = include_str!("../../../../shared/events/samples/common/envelope-v1/full.json");
    let mut envelope: Value = serde_json::from_str(sample).expect("JSON");
    let number = u128::from(sequence) << 64
        | u128::from(aggregate.len() as u64) << 8
        | u128::from(aggregate.bytes().last().unwrap_or_default());
    let id = format!("{number:032x}");
    envelope["event_id"] = format!(
        "{}-{}-4{}-8{}-{}",
        &id[..8],
        &id[8..12],
        &id[13..16],
        &id[17..20],
        &id[20..]
    )
    .into();
    envelope["aggregate_id"] = aggregate.into();
    envelope["sequence"] = sequence.into();
    if let Some(fields) = envelope.as_object_mut() {
        fields.remove("idempotency_key");
    }
    envelope.to_string()
}

impl World {
    fn operations(&self) -> (Outbox, Table) {
        (self.site.outbox().clone(), table())
    }

    fn number(&self) -> u64 {
        let mut count = self.count.lock().expect("unpoisoned");
        *count += 1;
        *count
    }

    async fn handle(&self, envelope: &Envelope) {
        let mark = Mark::event(CONSUMER, envelope).key(&Table::marks("marks"));
        let row = json!({ "created_at": self.site.clock().now() });
        self.site.put(&mark.expect("a key"), &row).await;
    }

    /// What the consumer and the drainer do with an event that cannot be handled.
    async fn park(&self, body: &str) {
        self.park_as(body, None).await;
    }

    /// The same with an event that was part of a first replay.
    async fn park_as(&self, body: &str, first: Option<FirstReplay>) {
        let now = self.site.clock().now();
        let number = self.number();
        let attributes = [
            ("consumer", CONSUMER.to_owned()),
            ("reason", "rejected".to_owned()),
            ("error", "no".to_owned()),
            (
                "parked_at",
                now.plus(Duration::from_millis(number)).to_string(),
            ),
        ];
        let attributes = attributes.map(|(name, text)| (name.to_owned(), text));
        let first = first.map(|first| (BEFORE_IT_BEGAN.to_owned(), first.to_string()));
        let message = QueueMessage {
            message_id: format!("m-{number}"),
            body: body.to_owned(),
            attributes: attributes.into_iter().chain(first).collect(),
            source_arn: None,
        };
        let (drained, letters) = (Drained::read(&message, now), table());
        let id = drained.letter_id();
        let key = <Letter as outbox::State>::key(&letters, id.as_str());
        let before: Entity<Letter> = self
            .site
            .outbox()
            .load(&letters, id.as_str())
            .await
            .expect("readable");
        let letter = match before.state() {
            None => Letter::first(&drained, now),
            Some(letter) => letter.again(&drained, now).expect("new"),
        };
        let mut row = serde_json::to_value(&letter).expect("JSON");
        row["version"] = (before.version() + 1).into();
        row["last_sequence"] = 0.into();
        self.site.put(&key, &row).await;
        let body = serde_json::to_value(Body::of(&message, now)).expect("JSON");
        self.site.put(&Body::key(&letters, &id), &body).await;
    }

    /// Letters of the first events of an aggregate.
    async fn letters(&self, aggregate: &str, count: u64) {
        for sequence in 1..=count {
            self.park(&event(aggregate, sequence)).await;
        }
    }

    async fn letter(&self, aggregate: &str, sequence: u64) -> Letter {
        let envelope: Value = serde_json::from_str(&event(aggregate, sequence)).expect("JSON");
        let id = LetterId::of(CONSUMER, envelope["event_id"].as_str(), "");
        let entity: Entity<Letter> = self
            .site
            .outbox()
            .load(&table(), id.as_str())
            .await
            .expect("readable");
        entity.state().expect("a letter").clone()
    }

    /// Logs events of an aggregate that were committed an age ago, and published at once or never.
    async fn log(
        &self,
        aggregate: &str,
        sequences: impl IntoIterator<Item = u64>,
        age: Duration,
        is_published: bool,
    ) {
        let at = self.site.clock().now().minus(age);
        for sequence in sequences {
            let mut envelope: Value =
                serde_json::from_str(&event(aggregate, sequence)).expect("JSON");
            envelope["occurred_at"] = json!(at);
            let mut row = json!({
                "aggregate": format!("cloud_account#{aggregate}"), "sequence": sequence,
                "event_id": envelope["event_id"], "event_type": envelope["event_type"], "committed_at": at,
                "envelope": envelope.to_string(),
            });
            if is_published {
                row["published_at"] = json!(at);
            }
            let row = row.as_object().expect("an object").clone();
            let put = self.site.store().put_all(&log_table(), &[row]).await;
            put.expect("put");
        }
    }

    async fn execute<T: Send>(
        &self,
        decide: impl AsyncFn(&Operations<'_>, &mut Transaction) -> Result<T, Stopped>,
    ) -> Result<T, String> {
        execute(self.site.outbox(), &self.number().to_string(), decide).await
    }

    async fn begin(&self, act: OperationAct, rate: u32, canary: bool) -> OperationId {
        let wanted = Wanted::Fitting(Box::default());
        let begun = self
            .execute(async |operations, transaction| {
                operations
                    .begin(transaction, &wanted, |operation_id, letters| Begin {
                        operation_id,
                        act,
                        selection: Some(LetterCriteria::default()),
                        letters,
                        cap: None,
                        rate_per_second: rate,
                        canary,
                        reason: Text::new("mended").expect("a reason"),
                        actor: None,
                        key_owner: owner(),
                        edited: None,
                        replay: None,
                        republish: None,
                    })
                    .await
            })
            .await;
        begun.expect("begun").operation_id()
    }

    async fn change(&self, id: OperationId, to: OperationChange) {
        let changed = self
            .execute(async |operations, transaction| {
                operations.change(transaction, id, to, because("why")).await
            })
            .await;
        changed.expect("changed");
    }

    /// A run by a new instance.
    async fn try_run(&self) -> Result<Report, RunError> {
        let lanes = Arc::<TestLanes>::clone(&self.lanes);
        let mappings = Arc::<MemoryMappings>::clone(&self.mappings);
        let outbox = self.site.outbox().clone();
        // The lease of a run that failed is given back; that of one that died would end after 30 seconds.
        let report = self
            .site
            .run(
                Redrive::new(
                    outbox,
                    lanes,
                    mappings,
                    Arc::<TestBus>::clone(&self.bus),
                    config(),
                )
                .expect("a log"),
            )
            .await;
        self.site.clock().advance(Duration::from_secs(60));
        report
    }

    async fn run(&self) -> Report {
        let report = self.try_run().await.expect("runs");
        assert_eq!(report.outcome, Ending::Finished, "{report:?}");
        report
    }

    async fn operation(&self, id: OperationId) -> (Operation, Progress) {
        let (outbox, table) = &self.operations();
        let operations = Operations { outbox, table };
        let operation = operations.operation(id).await.expect("readable");
        let progress = operations.progress(id).await.expect("readable");
        (
            operation.state().expect("an operation").clone(),
            progress.state().expect("progress").clone(),
        )
    }

    async fn counts(&self, id: OperationId) -> [u32; 5] {
        let counts = self.operation(id).await.1.counts;
        [
            counts.redriven,
            counts.handled,
            counts.failed_again,
            counts.discarded,
            counts.skipped,
        ]
    }

    async fn status(&self, id: OperationId) -> OperationStatus {
        self.operation(id).await.0.status()
    }

    fn sent(&self) -> Vec<String> {
        let sent = self.lanes.sent.lock().expect("unpoisoned");
        sent.iter().map(|(_, id)| id.clone()).collect()
    }

    fn now_they(&self, fate: Fate) {
        *self.lanes.otherwise.lock().expect("unpoisoned") = fate;
    }

    fn script(&self, script: impl IntoIterator<Item = Fate>) {
        self.lanes.script.lock().expect("unpoisoned").extend(script);
    }

    fn event_types(&self) -> Vec<String> {
        let log = self.site.store().items(&Table::events("events"));
        let types = log
            .iter()
            .map(|row| row["event_type"].as_str().unwrap_or_default());
        types.map(str::to_owned).collect()
    }
}

fn sorted(mut ids: Vec<String>) -> Vec<String> {
    ids.sort();
    ids
}

fn ids(aggregate: &str, sequences: impl IntoIterator<Item = u64>) -> Vec<String> {
    let id = |sequence| {
        let envelope: Value = serde_json::from_str(&event(aggregate, sequence)).expect("JSON");
        envelope["event_id"].as_str().expect("an id").to_owned()
    };
    sequences.into_iter().map(id).collect()
}

#[tokio::test]
async fn what_was_handled_meanwhile_is_closed_without_an_operation() {
    let world = world(Fate::Fails);
    world.letters("a", 60).await;
    assert_eq!(world.run().await.counts["closed"], 0);
    let envelope = Registry::read(&event("a", 7)).expect("an envelope");
    world.handle(&envelope).await;
    assert_eq!(world.run().await.counts["closed"], 1);
    assert_eq!(world.letter("a", 7).await.state, LetterState::Handled);
    assert_eq!(world.letter("a", 8).await.state, LetterState::Open);
    assert_eq!(world.run().await.counts["closed"], 0);
}

#[tokio::test]
async fn an_operation_sends_each_letter_once_at_its_rate_and_tells_its_end() {
    let world = world(Fate::Handles);
    for number in 0..25 {
        world
            .letters(&format!("{number}{}", (b'a' + number) as char), 1)
            .await;
    }
    let id = world.begin(OperationAct::Redrive, 5, false).await;
    world.run().await;
    assert_eq!(world.status(id).await, OperationStatus::Finished);
    assert_eq!(world.counts(id).await, [25, 25, 0, 0, 0]);
    let sent = world.lanes.sent.lock().expect("unpoisoned").clone();
    assert_eq!(sent.len(), 25);
    let took = sent[24].0.since(sent[0].0);
    assert_eq!(took, Duration::from_secs(4), "five each second");
    assert_eq!(
        world.event_types(),
        ["operation.begun", "operation.finished"]
    );
    // The next one can begin, and finds nothing.
    world.run().await;
    assert_eq!(world.sent().len(), 25);
}

#[tokio::test]
async fn letters_of_an_aggregate_follow_each_other_and_others_do_not_wait() {
    let world = world(Fate::Waits);
    world.letters("a", 3).await;
    world.letters("b", 1).await;
    let id = world.begin(OperationAct::Redrive, 10, false).await;
    world.run().await;
    let mut sent = world.sent();
    sent.sort();
    let mut first = [ids("a", [1]), ids("b", [1])].concat();
    first.sort();
    assert_eq!(sent, first);
    for sequence in [1, 2, 3] {
        let envelope = Registry::read(&event("a", sequence)).expect("an envelope");
        world.handle(&envelope).await;
        world.run().await;
    }
    let of_a: Vec<String> = world
        .sent()
        .into_iter()
        .filter(|id| !ids("b", [1]).contains(id))
        .collect();
    assert_eq!(of_a, ids("a", [1, 2, 3]));
    assert_eq!(world.status(id).await, OperationStatus::Running);
    world
        .handle(&Registry::read(&event("b", 1)).expect("an envelope"))
        .await;
    world.run().await;
    assert_eq!(world.status(id).await, OperationStatus::Finished);
    assert_eq!(world.counts(id).await, [4, 4, 0, 0, 0]);
}

#[tokio::test]
async fn a_canary_that_is_handled_lets_the_rest_go() {
    let world = world(Fate::Waits);
    for aggregate in ["a", "b", "c"] {
        world.letters(aggregate, 1).await;
    }
    let id = world.begin(OperationAct::Redrive, 10, true).await;
    world.run().await;
    assert_eq!(world.sent().len(), 1);
    world.now_they(Fate::Handles);
    world
        .handle(&Registry::read(&event("a", 1)).expect("an envelope"))
        .await;
    world.run().await;
    assert_eq!(world.counts(id).await, [3, 3, 0, 0, 0]);
    assert_eq!(world.status(id).await, OperationStatus::Finished);
}

#[tokio::test]
async fn a_canary_that_fails_again_pauses_its_operation() {
    let world = world(Fate::Parks);
    for aggregate in ["a", "b", "c"] {
        world.letters(aggregate, 1).await;
    }
    let id = world.begin(OperationAct::Redrive, 10, true).await;
    world.run().await;
    assert_eq!(world.sent().len(), 1);
    assert_eq!(world.status(id).await, OperationStatus::Paused);
    assert_eq!(world.letter("a", 1).await.state, LetterState::FailedAgain);
    world.run().await;
    assert_eq!(world.sent().len(), 1, "it stays paused");
    // After the cause is mended, the next one is the canary.
    world.now_they(Fate::Handles);
    world.change(id, OperationChange::Resumed).await;
    world.run().await;
    assert_eq!(world.counts(id).await[..3], [3, 2, 1]);
    assert_eq!(world.status(id).await, OperationStatus::Finished);
}

#[tokio::test]
async fn a_paused_operation_takes_nothing_and_a_cancelled_one_gives_back_what_it_sent() {
    let world = world(Fate::Waits);
    world.letters("a", 3).await;
    let id = world.begin(OperationAct::Redrive, 10, false).await;
    world.run().await;
    world.change(id, OperationChange::Paused).await;
    world
        .handle(&Registry::read(&event("a", 1)).expect("an envelope"))
        .await;
    world.run().await;
    assert_eq!(world.sent(), ids("a", [1]));
    assert_eq!(world.letter("a", 1).await.state, LetterState::Handled);
    world.change(id, OperationChange::Resumed).await;
    world.run().await;
    assert_eq!(world.sent(), ids("a", [1, 2]));
    world.change(id, OperationChange::Cancelled).await;
    world.run().await;
    assert_eq!(world.status(id).await, OperationStatus::Finished);
    assert_eq!(world.counts(id).await, [2, 1, 0, 0, 1]);
    assert_eq!(world.letter("a", 2).await.state, LetterState::Open);
    assert_eq!(world.letter("a", 3).await.state, LetterState::Open);
    // The second one was under way: it can come back, or be handled after all.
    world.park(&event("a", 2)).await;
    assert_eq!(world.letter("a", 2).await.parked, 2);
    world
        .handle(&Registry::read(&event("a", 2)).expect("an envelope"))
        .await;
    world.run().await;
    assert_eq!(world.letter("a", 2).await.state, LetterState::Handled);
}

#[tokio::test]
async fn what_was_taken_and_not_sent_is_given_back_by_a_cancellation_and_skipped() {
    let world = world(Fate::Fails);
    world.letters("a", 1).await;
    let id = world.begin(OperationAct::Redrive, 10, false).await;
    world.try_run().await.expect_err("the lane is down");
    assert_eq!(world.letter("a", 1).await.taken_by(), Some(id));
    world.change(id, OperationChange::Cancelled).await;
    world.run().await;
    assert_eq!(world.letter("a", 1).await.state, LetterState::Open);
    assert_eq!(world.counts(id).await, [0, 0, 0, 0, 1]);
    assert_eq!(world.status(id).await, OperationStatus::Finished);
}

#[tokio::test]
async fn a_crash_between_taking_sending_and_writing_it_down_sends_each_letter_and_closes_it_once() {
    for handled_before in 0..3 {
        let world = world(Fate::Handles);
        for aggregate in ["a", "b", "c"] {
            world.letters(aggregate, 1).await;
        }
        let id = world.begin(OperationAct::Redrive, 10, false).await;
        // The page dies after it has sent some: nothing of it is written.
        world.script(vec![Fate::Waits; handled_before]);
        world.script([Fate::Fails]);
        world.try_run().await.expect_err("dies");
        world.run().await;
        let sent = world.sent();
        assert_eq!(sent.len(), 3 + handled_before);
        let each: BTreeSet<&String> = sent.iter().collect();
        assert_eq!(each.len(), 3);
        assert_eq!(world.counts(id).await, [3, 3, 0, 0, 0]);
        let closings = |letter: &Letter| {
            let whats = letter.history.iter().map(|entry| entry.what);
            whats
                .filter(|what| *what == letters::letter::What::Handled)
                .count()
        };
        for aggregate in ["a", "b", "c"] {
            assert_eq!(closings(&world.letter(aggregate, 1).await), 1);
        }
    }
}

#[tokio::test]
async fn a_letter_that_comes_back_while_its_page_is_sent_has_failed_again_and_is_sent_once() {
    let world = world(Fate::Handles);
    for aggregate in ["a", "b", "c"] {
        world.letters(aggregate, 1).await;
    }
    let id = world.begin(OperationAct::Redrive, 10, false).await;
    world.script([Fate::Handles, Fate::Parks]);
    world.run().await;
    assert_eq!(world.sent().len(), 3);
    assert_eq!(world.status(id).await, OperationStatus::Finished);
    assert_eq!(world.counts(id).await, [3, 2, 1, 0, 0]);
    assert_eq!(world.letter("b", 1).await.state, LetterState::FailedAgain);
}

#[tokio::test]
async fn a_discarded_letter_is_closed_for_its_reason_and_never_sent() {
    let world = world(Fate::Fails);
    world.letters("a", 60).await;
    let id = world.begin(OperationAct::Discard, 10, false).await;
    world.run().await;
    assert_eq!(world.counts(id).await, [0, 0, 0, 60, 0]);
    let letter = world.letter("a", 33).await;
    assert_eq!(letter.state, LetterState::Discarded);
    assert_eq!(letter.closed_reason.as_deref(), Some("mended"));
    assert!(world.sent().is_empty());
}

#[tokio::test]
async fn what_is_no_event_or_was_resolved_meanwhile_is_left_alone_and_counted() {
    let world = world(Fate::Handles);
    world.letters("a", 2).await;
    world.park("no event").await;
    let id = world.begin(OperationAct::Redrive, 10, false).await;
    world
        .handle(&Registry::read(&event("a", 1)).expect("an envelope"))
        .await;
    world.run().await;
    assert_eq!(world.counts(id).await, [1, 1, 0, 0, 2]);
    assert_eq!(world.sent(), ids("a", [2]));
}

#[tokio::test]
async fn two_operations_never_have_the_same_letter_and_the_second_names_the_first() {
    let world = world(Fate::Waits);
    world.letters("a", 2).await;
    let id = world.begin(OperationAct::Redrive, 10, false).await;
    let wanted = Wanted::Fitting(Box::default());
    for _ in 0..2 {
        let (outbox, table) = &world.operations();
        let selected = Operations { outbox, table }
            .select(&wanted)
            .await
            .expect("selects");
        assert_eq!(selected.letters.len(), 2);
        assert_eq!(selected.conflict.map(|(_, by)| by), Some(id));
        world.run().await;
    }
}

#[tokio::test]
async fn silence_ends_as_long_as_a_lane_keeps_a_message() {
    let world = world(Fate::Waits);
    world.letters("a", 1).await;
    let id = world.begin(OperationAct::Redrive, 10, false).await;
    world.run().await;
    world.site.clock().advance(LANE_RETENTION);
    world.run().await;
    assert_eq!(world.counts(id).await, [1, 0, 1, 0, 0]);
    assert_eq!(world.letter("a", 1).await.state, LetterState::FailedAgain);
}
