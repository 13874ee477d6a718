//! Tests the drainer on stores in memory.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use events::{OperationId, Registry, Timestamp};
use letters::{
    LetterId, LetterState,
    letter::{RESOLVED, UNRESOLVED, What},
};
use outbox::{
    Clock as _, CommitError, Fault, FaultKind, Guarded, GuardedPut, Item, Key, Page, Prepared,
    Query, Scan, Store, memory::MemoryStore,
};
use testkit::TestClock;

use super::*;

const ENVELOPE: &str =
    include_str!("../../../../shared/events/samples/common/envelope-v1/full.json");

/// What happens to a commit.
#[derive(Debug, Clone, Copy)]
enum Fate {
    /// It takes effect, but the answer is lost.
    DoneButLost,
    /// It takes no effect, and the answer is lost.
    Lost,
    /// It is refused.
    Denied,
}

/// A store in memory whose next commits fail as told.
#[derive(Default)]
struct Faulty {
    inner: MemoryStore,
    script: Mutex<VecDeque<Fate>>,
}

#[async_trait]
impl Store for Faulty {
    async fn get(&self, key: &Key) -> Result<Option<Item>, Fault> {
        self.inner.get(key).await
    }
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, Fault> {
        self.inner.get_many(keys).await
    }
    async fn query(&self, query: &Query) -> Result<Page, Fault> {
        self.inner.query(query).await
    }
    async fn scan(&self, scan: &Scan) -> Result<Page, Fault> {
        self.inner.scan(scan).await
    }
    async fn commit(&self, prepared: &Prepared) -> Result<(), CommitError> {
        let fate = self.script.lock().expect("unpoisoned").pop_front();
        let lost = || CommitError::Unknown(Fault::new(FaultKind::Unavailable, "commit", "lost"));
        match fate {
            None => self.inner.commit(prepared).await,
            Some(Fate::DoneButLost) => {
                self.inner.commit(prepared).await?;
                Err(lost())
            }
            Some(Fate::Lost) => Err(lost()),
            Some(Fate::Denied) => {
                let fault = Fault::new(FaultKind::Denied, "commit", "not now");
                Err(CommitError::NotWritten(fault))
            }
        }
    }
    async fn put_guarded(&self, put: &GuardedPut) -> Result<Guarded, Fault> {
        self.inner.put_guarded(put).await
    }
    async fn put_all(&self, table: &Table, items: &[Item]) -> Result<(), Fault> {
        self.inner.put_all(table, items).await
    }
}

struct World {
    store: Arc<Faulty>,
    clock: Arc<TestClock>,
    drainer: DeadLetters,
}

fn table() -> Table {
    Table::domain("letters")
}

fn world() -> World {
    let store = Arc::new(Faulty::default());
    let clock = Arc::new(TestClock::new(1));
    let outbox = Outbox::without_log(
        Arc::<Faulty>::clone(&store),
        Arc::<TestClock>::clone(&clock),
        Arc::new(Registry::shipped()),
        Table::marks("marks"),
    );
    World {
        drainer: DeadLetters::new(outbox, table()),
        store,
        clock,
    }
}

impl World {
    async fn drain(&self, message: &QueueMessage) -> Drainage {
        self.clock.advance(Duration::from_secs(1));
        self.drainer.drain(message).await.expect("drained")
    }

    async fn letter(&self, id: &LetterId) -> Letter {
        let letter: Entity<Letter> = self
            .drainer
            .outbox
            .load(&table(), id.as_str())
            .await
            .expect("readable");
        letter.state().expect("a letter").clone()
    }

    async fn body(&self, id: &LetterId) -> Body {
        let body = self.drainer.outbox.row(&Body::key(&table(), id)).await;
        body.expect("readable").expect("a body")
    }

    /// Changes a letter as another function would.
    async fn change(&self, id: &LetterId, change: impl Fn(&Letter, Timestamp) -> Letter) {
        let mark = Mark::Message {
            consumer: "another",
            message_id: self.clock.uuid().to_string(),
        };
        let (outbox, change) = (&self.drainer.outbox, &change);
        let outcome: Result<Outcome<(), ()>, Error> = outbox
            .execute(&mark, &Cause::default(), |mut transaction| async move {
                let entity: Entity<Letter> = outbox.load(&table(), id.as_str()).await?;
                let letter = change(entity.state().expect("a letter"), transaction.now());
                transaction.update(&entity, &letter, Vec::new())?;
                Ok(Decision::Commit(transaction, ()))
            })
            .await;
        assert!(
            matches!(outcome, Ok(Outcome::Committed { .. })),
            "{outcome:?}"
        );
    }

    fn rows(&self) -> usize {
        self.store.inner.items(&table()).len()
    }

    /// A message that a consumer parks now.
    fn parked(&self, message_id: &str) -> QueueMessage {
        let parked_at = self.clock.now().to_string();
        message(
            message_id,
            ENVELOPE,
            &[
                ("consumer", "analytics"),
                ("reason", "rejected"),
                ("error", "wallet 17 is closed"),
                ("attempts", "4"),
                ("parked_at", &parked_at),
            ],
        )
    }
}

fn message(message_id: &str, body: &str, attributes: &[(&str, &str)]) -> QueueMessage {
    QueueMessage {
        message_id: message_id.to_owned(),
        body: body.to_owned(),
        attributes: attributes
            .iter()
            .map(|(name, text)| ((*name).to_owned(), (*text).to_owned()))
            .collect(),
        source_arn: None,
    }
}

fn id_of(message: &QueueMessage) -> LetterId {
    Drained::read(message, Timestamp::EPOCH).letter_id()
}

fn operation() -> OperationId {
    "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a90"
        .parse()
        .expect("an id")
}

#[tokio::test]
async fn a_message_becomes_a_row_and_its_body_beside_it() {
    let world = world();
    let message = world.parked("m-1");
    assert_eq!(world.drain(&message).await, Drainage::Written);
    let letter = world.letter(&id_of(&message)).await;
    assert_eq!((letter.state, letter.parked), (LetterState::Open, 1));
    assert_eq!(letter.signature.as_str(), "wallet <n> is closed");
    let body = world.body(&id_of(&message)).await;
    assert_eq!((body.body.as_str(), body.attributes.len()), (ENVELOPE, 5));
    assert!(body.expires_at > letter.expires_at);
}

#[tokio::test]
async fn the_same_message_twice_is_one_letter_parked_once() {
    let world = world();
    let message = world.parked("m-1");
    assert_eq!(world.drain(&message).await, Drainage::Written);
    assert_eq!(world.drain(&message).await, Drainage::Again);
    let letter = world.letter(&id_of(&message)).await;
    assert_eq!((letter.parked, letter.history.len()), (1, 1));
    assert_eq!(world.rows(), 2);
}

#[tokio::test]
async fn two_letters_of_one_event_are_one_row_with_the_last_error() {
    let world = world();
    let first = world.parked("m-1");
    world.drain(&first).await;
    let mut second = world.parked("m-2");
    second.attributes.insert("error".into(), "another".into());
    assert_eq!(world.drain(&second).await, Drainage::Written);
    let letter = world.letter(&id_of(&first)).await;
    assert_eq!((letter.state, letter.parked), (LetterState::Open, 2));
    assert_eq!(
        (letter.error.as_str(), letter.message_id.as_str()),
        ("another", "m-2")
    );
    // The queue promises no order: an older parking that arrives late changes nothing.
    let mut late = world.parked("m-3");
    late.attributes
        .insert("parked_at".into(), first.attributes["parked_at"].clone());
    assert_eq!(world.drain(&late).await, Drainage::Copy);
    assert_eq!(world.letter(&id_of(&first)).await, letter);
    assert_eq!(world.rows(), 2);
}

#[tokio::test]
async fn a_letter_that_comes_back_after_its_redrive_has_failed_again() {
    let world = world();
    let message = world.parked("m-1");
    world.drain(&message).await;
    let id = id_of(&message);
    let claim = |letter: &Letter, now| letter.claimed(operation(), now).expect("open").sent(now);
    world.change(&id, claim).await;
    world.clock.advance(Duration::from_secs(1));
    world.drain(&world.parked("m-2")).await;
    let letter = world.letter(&id).await;
    assert_eq!((letter.state, letter.parked), (LetterState::FailedAgain, 2));
    let whats: Vec<What> = letter.history.iter().map(|entry| entry.what).collect();
    assert_eq!(
        whats,
        [What::Parked, What::Claimed, What::Sent, What::FailedAgain]
    );
}

#[tokio::test]
async fn a_closed_letter_opens_when_its_event_is_parked_again() {
    for discards in [true, false] {
        let world = world();
        let message = world.parked("m-1");
        world.drain(&message).await;
        let id = id_of(&message);
        let close = |letter: &Letter, now| {
            let closed = if discards {
                letter.discarded(operation(), "a test", now)
            } else {
                letter.handled(now)
            };
            closed.expect("open")
        };
        world.change(&id, close).await;
        let listed = world.store.inner.items(&table())[1]["listed"].clone();
        assert_eq!(listed, RESOLVED);
        world.drain(&world.parked("m-2")).await;
        let letter = world.letter(&id).await;
        assert_eq!(
            (letter.state, letter.closed_reason),
            (LetterState::Open, None)
        );
        let listed = world.store.inner.items(&table())[1]["listed"].clone();
        assert_eq!(listed, UNRESOLVED);
    }
}

#[tokio::test]
async fn a_malformed_body_is_a_letter_like_any_other() {
    let world = world();
    let malformed = [
        ("consumer", "analytics"),
        ("reason", "malformed"),
        ("error", "no JSON"),
    ];
    for (number, body) in ["", "{", "[1]"].into_iter().enumerate() {
        let message = message(&format!("m-{number}"), body, &malformed);
        assert_eq!(world.drain(&message).await, Drainage::Written);
        let letter = world.letter(&id_of(&message)).await;
        assert_eq!(
            (letter.reason.as_str(), letter.event_id),
            ("malformed", None)
        );
        assert_eq!(world.body(&letter.letter_id).await.body, body);
    }
    assert_eq!(world.rows(), 6);
}

#[tokio::test]
async fn what_eventbridge_could_not_deliver_and_what_sqs_moved_are_letters_of_the_lanes_consumer() {
    let world = world();
    let lane = "arn:aws:sqs:us-east-1:000000000000:mill_analytics-express";
    let of_bus = format!(r#"{{"detail-type": "x", "detail": {ENVELOPE}}}"#);
    let told = [("TARGET_ARN", lane), ("ERROR_CODE", "NO_PERMISSIONS")];
    let undelivered = message("m-1", &of_bus, &told);
    world.drain(&undelivered).await;
    let letter = world.letter(&id_of(&undelivered)).await;
    assert_eq!(
        (letter.consumer.as_str(), letter.reason.as_str()),
        ("analytics", "undelivered")
    );

    let mut exhausted = message("m-2", ENVELOPE, &[]);
    exhausted.source_arn = Some(lane.to_owned());
    world.drain(&exhausted).await;
    assert_eq!(id_of(&exhausted), letter.letter_id);
    let letter = world.letter(&letter.letter_id).await;
    assert_eq!((letter.reason.as_str(), letter.parked), ("exhausted", 2));
}

#[tokio::test]
async fn a_body_too_large_for_a_row_is_cut_and_drained() {
    let world = world();
    let large = message("m-1", &"x".repeat(1024 * 1024), &[]);
    assert_eq!(world.drain(&large).await, Drainage::Written);
    assert!(!world.body(&id_of(&large)).await.is_whole());
}

#[tokio::test]
async fn a_body_outlives_its_letter_and_gives_way_to_the_next_one() {
    let world = world();
    let message = world.parked("m-1");
    world.drain(&message).await;
    world.store.inner.remove(&<Letter as outbox::State>::key(
        &table(),
        id_of(&message).as_str(),
    ));
    world.clock.advance(Duration::from_secs(1));
    assert_eq!(world.drain(&world.parked("m-2")).await, Drainage::Written);
    assert_eq!(world.letter(&id_of(&message)).await.parked, 1);
}

#[tokio::test]
async fn a_lost_answer_of_the_commit_neither_loses_nor_doubles_a_letter() {
    for script in [
        vec![Fate::DoneButLost],
        vec![Fate::Lost],
        vec![Fate::DoneButLost, Fate::Lost, Fate::Lost],
    ] {
        let world = world();
        world
            .store
            .script
            .lock()
            .expect("unpoisoned")
            .extend(script);
        let message = world.parked("m-1");
        assert_eq!(world.drain(&message).await, Drainage::Written);
        assert_eq!(world.drain(&message).await, Drainage::Again);
        assert_eq!(world.letter(&id_of(&message)).await.parked, 1);
    }
}

#[tokio::test]
async fn what_fails_is_told_and_nothing_is_written() {
    let world = world();
    world
        .store
        .script
        .lock()
        .expect("unpoisoned")
        .push_back(Fate::Denied);
    let message = world.parked("m-1");
    assert!(world.drainer.drain(&message).await.is_err());
    assert_eq!(world.rows(), 0);
    assert_eq!(world.drain(&message).await, Drainage::Written);
}
