//! What the runtime of an in-order consumer must do on a store.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use consumer::{
    BatchRunner, Handler, Lane, Letter, Message, Outcome, ParkReason, Queue, Received, Settings,
};
use events::{AggregateField, AggregateId, Cause, Contract, Draft, Priority, Retention};
use outbox::{
    BuildError, Clock, Condition, Decision, Entity, Error, Fault, Key, Mark, Outbox, State, Store,
    SystemClock, Transaction,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Checked, FailedCheck, TestTables,
    cursors::{Bench, CONSUMER, error, outbox},
    ensure, equal,
};

/// Runs the suite for the runtime of an in-order consumer on a store. The events that it logs have a type that no rule
/// matches.
///
/// # Errors
/// Every check that failed.
pub async fn in_order(store: Arc<dyn Store>, tables: TestTables) -> Result<(), Vec<FailedCheck>> {
    let bench = &Bench {
        outbox: outbox(&store, &tables),
        store,
        domain: tables.domain,
        run: SystemClock.uuid().to_string(),
    };
    checks!(bench;
        instances_at_once_handle_each_event_once_and_in_order,
        a_parked_event_holds_what_comes_after_it_until_it_is_redriven,
    )
}

/// Something happened to a thing.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct Happened {
    /// The thing.
    thing: AggregateId,
}

impl Contract for Happened {
    const TYPE: &'static str = "conformance.happened";
    const VERSION: u16 = 1;
    const PRIORITY: Priority = Priority::Low;
    const PRODUCER: &'static str = "conformance";
    const AGGREGATE: &'static str = "conformance";
    const RETENTION: Retention = Retention::Days(1);
    const AGGREGATE_FIELD: AggregateField = AggregateField::Field("thing");

    fn aggregate_id(&self) -> AggregateId {
        self.thing.clone()
    }
}

events::subscription! {
    /// What happened, in order.
    enum InOrder {
        Happened(Happened) by Cursor,
    }
}

#[derive(Serialize, Deserialize)]
struct Thing {}

impl State for Thing {
    const AGGREGATE: &'static str = "conformance";
}

/// A consumer that writes down the events it handles. A test can make it refuse some of them.
struct Scribe {
    outbox: Outbox,
    lines: Key,
    refused: Arc<Mutex<BTreeSet<u64>>>,
}

#[derive(Default, Serialize, Deserialize)]
struct Lines {
    sequences: Vec<u64>,
}

#[async_trait]
impl Handler for Scribe {
    const NAME: &'static str = CONSUMER;
    type Event = InOrder;

    async fn decide(
        &self,
        received: &Received<InOrder>,
        mut transaction: Transaction,
    ) -> Result<Transaction, consumer::Failure> {
        let sequence = received.envelope.sequence.number();
        let refused = self.refused.lock();
        if refused.is_ok_and(|refused| refused.contains(&sequence)) {
            return Err(consumer::Failure::park("not yet"));
        }
        let there: Option<Lines> = self.outbox.row(&self.lines).await?;
        // Only the cursor protects the list.
        let condition = match &there {
            Some(_) => Condition::Present,
            None => Condition::Absent,
        };
        let mut lines = there.unwrap_or_default();
        lines.sequences.push(sequence);
        transaction.put(self.lines.clone(), &lines, condition)?;
        Ok(transaction)
    }
}

#[derive(Default)]
struct Letters(Mutex<Vec<Letter>>);

#[async_trait]
impl Queue for Letters {
    async fn hide(&self, _: &str, _: &str, _: Duration) -> Result<(), Fault> {
        Ok(())
    }
    async fn park(&self, _: &str, letter: &Letter) -> Result<(), Fault> {
        if let Ok(mut letters) = self.0.lock() {
            letters.push(letter.clone());
        }
        Ok(())
    }
}

/// An aggregate, and instances of its consumer.
struct Scene<'a> {
    bench: &'a Bench,
    check: &'static str,
    refused: Arc<Mutex<BTreeSet<u64>>>,
    letters: Arc<Letters>,
    /// The messages of its events, by sequence.
    bodies: BTreeMap<u64, String>,
}

impl<'a> Scene<'a> {
    fn new(bench: &'a Bench, check: &'static str) -> Self {
        Self {
            bench,
            check,
            refused: Arc::default(),
            letters: Arc::default(),
            bodies: BTreeMap::new(),
        }
    }

    fn lines_key(&self) -> Key {
        let pk = format!("conformance#{}#{}", self.bench.run, self.check);
        self.bench.domain.key(pk, "lines")
    }

    /// Logs this many events in one transaction.
    async fn log(&mut self, count: usize) -> Checked {
        let bench = self.bench;
        let id = format!("{}-{}", bench.run, self.check);
        let thing = AggregateId::new(id.as_str()).map_err(|error| error.to_string())?;
        let mark = Mark::Request {
            owner: "conformance".into(),
            method: "POST".into(),
            path: format!("/{id}"),
            key: SystemClock.uuid().to_string(),
            body_sha256: String::new(),
        };
        let (thing, id) = (&thing, id.as_str());
        let outcome = bench
            .outbox
            .execute(&mark, &Cause::default(), |mut transaction| async move {
                let entity: Entity<Thing> = bench.outbox.load(&bench.domain, id).await?;
                let happened = Happened {
                    thing: thing.clone(),
                };
                let drafts = (0..count).map(|_| Draft::of(&happened).map_err(BuildError::from));
                let drafts = drafts.collect::<Result<_, _>>()?;
                transaction.update(&entity, &Thing {}, drafts)?;
                Ok::<_, Error>(Decision::<(), ()>::Commit(transaction, ()))
            })
            .await
            .map_err(error)?;
        let outbox::Outcome::Committed { events, .. } = outcome else {
            return Err("the events were not logged".to_owned());
        };
        for envelope in events {
            let json = envelope.to_json().map_err(|error| error.to_string())?;
            self.bodies.insert(envelope.sequence.number(), json);
        }
        Ok(())
    }

    /// Lets a new instance handle a batch. Returns the outcomes in the order of the messages.
    async fn run(&self, messages: &[(u64, u32)]) -> Result<Vec<Outcome>, String> {
        let handler = Scribe {
            outbox: self.bench.outbox.clone(),
            lines: self.lines_key(),
            refused: Arc::clone(&self.refused),
        };
        let queue = Arc::clone(&self.letters) as Arc<dyn Queue>;
        let runner = BatchRunner::new(
            handler,
            self.bench.outbox.clone(),
            queue,
            Settings::default(),
        );
        let lane = Lane {
            name: "standard",
            queue_arn: "arn:aws:sqs:us-east-1:000000000000:conformance".into(),
            queue_url: "conformance://lane".into(),
            dead_letter_queue_url: "conformance://letters".into(),
        };
        let now = SystemClock.now();
        let sent = messages
            .iter()
            .enumerate()
            .map(|(place, (sequence, receive_count))| {
                let body = self.bodies.get(sequence).cloned().unwrap_or_default();
                Message {
                    message_id: format!("{place:03}"),
                    receipt_handle: format!("receipt-{place}"),
                    body,
                    receive_count: *receive_count,
                    sent_at: now,
                    first_received_at: now,
                    operation_id: None,
                    first_replay: None,
                }
            });
        let deadline = now.plus(Duration::from_secs(30));
        let mut summary = runner.run(&lane, sent.collect(), deadline).await;
        summary
            .finished
            .sort_by(|one, two| one.message_id.cmp(&two.message_id));
        Ok(summary.finished.iter().map(|one| one.outcome).collect())
    }

    async fn has(&self, sequences: impl IntoIterator<Item = u64>, blocked: Option<u64>) -> Checked {
        let lines: Option<Lines> = self
            .bench
            .outbox
            .row(&self.lines_key())
            .await
            .map_err(error)?;
        let expected: Vec<u64> = sequences.into_iter().collect();
        let written = lines.unwrap_or_default().sequences;
        equal("what was written down", &written, &expected)?;
        let progress = self.bench.progress(self.check).await?;
        let place = (
            progress.position(),
            progress.blocked().map(|one| one.sequence),
        );
        let last = expected.last().copied().unwrap_or(0);
        equal("the cursor", &place, &(last, blocked))
    }
}

async fn instances_at_once_handle_each_event_once_and_in_order(bench: &Bench) -> Checked {
    let scene = &mut Scene::new(bench, "instances");
    for count in [1, 2, 3, 1, 3, 2] {
        scene.log(count).await?;
    }
    let scene = &*scene;
    let instances = (0..5_u64).map(|instance| async move {
        let batch: Vec<(u64, u32)> = (0..12)
            .map(|place| ((place * 5 + instance) % 12 + 1, 1))
            .collect();
        scene.run(&batch).await
    });
    for outcomes in futures::future::try_join_all(instances).await? {
        ensure(outcomes.iter().all(|one| one.acknowledged()), || {
            format!("not all acknowledged: {outcomes:?}")
        })?;
    }
    scene.has(1..=12, None).await
}

async fn a_parked_event_holds_what_comes_after_it_until_it_is_redriven(bench: &Bench) -> Checked {
    let scene = &mut Scene::new(bench, "parked");
    scene.log(2).await?;
    scene.log(3).await?;
    let refused = Arc::clone(&scene.refused);
    let refuse = |which: &[u64]| {
        if let Ok(mut refused) = refused.lock() {
            *refused = which.iter().copied().collect();
        }
    };
    refuse(&[2]);
    let parked = Outcome::Parked(ParkReason::Rejected);
    equal(
        "the third's message",
        &scene.run(&[(3, 1)]).await?,
        &vec![parked],
    )?;
    scene.has([1], Some(2)).await?;
    let waiting = scene.run(&[(4, 1), (5, 1), (1, 2)]).await?;
    equal(
        "the later messages",
        &waiting,
        &vec![Outcome::Waiting, Outcome::Waiting, Outcome::Duplicate],
    )?;
    let letters = scene.letters.0.lock().map_or(0, |letters| letters.len());
    equal("the letters", &letters, &1)?;
    // The cause is fixed, the dead letter is sent back three times, and a later event now fails.
    refuse(&[4]);
    let scene_now = &*scene;
    let redriven = (0..3).map(|_| scene_now.run(&[(2, 1)]));
    for outcomes in futures::future::try_join_all(redriven).await? {
        ensure(outcomes.iter().all(|one| one.acknowledged()), || {
            format!("not all acknowledged: {outcomes:?}")
        })?;
    }
    scene.has([1, 2, 3], Some(4)).await?;
    refuse(&[]);
    scene.log(1).await?;
    equal(
        "the newest",
        &scene.run(&[(6, 1)]).await?,
        &vec![Outcome::Waiting],
    )?;
    equal(
        "the second dead letter",
        &scene.run(&[(4, 1)]).await?,
        &vec![Outcome::Done],
    )?;
    scene.has(1..=6, None).await
}
