//! What in-order consumers stand on: the cursor's row, and the runtime over it.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use consumer::{
    Handler, Lane, Letter, Message, Outcome, ParkReason, Queue, Received, Runner, Settings,
};
use events::{
    AggregateField, AggregateId, Cause, Contract, Draft, Entry as Known, Priority, Registry,
    Retention,
};
use outbox::{
    Blocked, BuildError, Clock, CommitError, Condition, Decision, Entity, Error, Fault, FaultKind,
    Guarded, GuardedPut, Item, Key, Mark, Outbox, Page, Prepared, Progress, Query, RetryLimits,
    Scan, State, Store, SystemClock, Table, Transaction, chain,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Checked, Failure, Tables, ensure, equal};

const CONSUMER: &str = "conformance-in-order";

struct Bench {
    store: Arc<dyn Store>,
    outbox: Outbox,
    domain: Table,
    run: String,
}

fn outbox(store: &Arc<dyn Store>, tables: &Tables) -> Outbox {
    Outbox::new(
        Arc::clone(store),
        Arc::new(SystemClock),
        Arc::new(Registry::new(vec![Known::of::<Happened>()])),
        tables.events.clone(),
        tables.marks.clone(),
    )
}

/// Tries what a store makes of cursors.
///
/// # Errors
/// Every check that did not hold.
pub async fn cursors(store: Arc<dyn Store>, tables: Tables) -> Result<(), Vec<Failure>> {
    let bench = &Bench {
        outbox: outbox(&store, &tables),
        store,
        domain: tables.domain,
        run: SystemClock.uuid().to_string(),
    };
    checks!(bench;
        a_cursor_begins_before_the_first_event,
        an_advance_and_its_effect_are_committed_together,
        an_advance_from_what_is_no_longer_so_writes_nothing,
        a_block_loses_against_an_advance,
        an_advance_loses_against_a_block_and_ends_one_that_it_knows,
        a_lost_answer_is_found_by_the_cursor,
        many_advances_at_once_commit_each_position_once,
        several_cursors_are_read_in_the_order_asked_for,
    )
}

/// Tries the runtime of an in-order consumer on a store. The events it logs are of a type that no rule knows.
///
/// # Errors
/// Every check that did not hold.
pub async fn in_order(store: Arc<dyn Store>, tables: Tables) -> Result<(), Vec<Failure>> {
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

#[expect(clippy::needless_pass_by_value, reason = "shaped for map_err")]
fn error(error: Error) -> String {
    chain(&error)
}

impl Bench {
    fn aggregate(&self, check: &str) -> String {
        format!("conformance#{}-{check}", self.run)
    }

    fn effect(&self, check: &str, position: u64) -> Key {
        self.domain.key(
            format!("conformance#{}#{check}", self.run),
            format!("{position:05}"),
        )
    }

    async fn progress(&self, check: &str) -> Result<Progress, String> {
        let aggregate = self.aggregate(check);
        let read = self.outbox.progress(CONSUMER, &aggregate);
        read.await.map_err(error)
    }

    async fn effects(&self, check: &str) -> Result<Vec<u64>, String> {
        let pk = format!("conformance#{}#{check}", self.run);
        let query = Query::partition(&self.domain, pk, 100);
        let (rows, _) = self.outbox.rows::<Value>(&query).await.map_err(error)?;
        Ok(rows
            .iter()
            .filter_map(|row| row["count"].as_u64())
            .collect())
    }

    /// One try: `true` where this one committed.
    async fn advance(
        &self,
        outbox: &Outbox,
        check: &str,
        from: &Progress,
        to: u64,
    ) -> Result<bool, String> {
        let key = &self.effect(check, to);
        let outcome = outbox
            .execute(
                &from.advance(to),
                &Cause::default(),
                |mut transaction| async move {
                    transaction.add(key.clone(), vec![("count", 1.into())]);
                    Ok::<_, Error>(Decision::<(), ()>::Commit(transaction, ()))
                },
            )
            .await
            .map_err(error)?;
        Ok(matches!(outcome, outbox::Outcome::Committed { .. }))
    }

    async fn block(&self, from: &Progress, sequence: u64) -> Result<Guarded, String> {
        let blocked = Blocked {
            at: SystemClock.now(),
            sequence,
            event_id: "an event".into(),
            reason: "rejected".into(),
        };
        self.outbox.block(from, blocked).await.map_err(error)
    }
}

async fn a_cursor_begins_before_the_first_event(bench: &Bench) -> Checked {
    let progress = bench.progress("begins").await?;
    equal("the position", &progress.position(), &0)?;
    equal("the block", &progress.blocked(), &None)
}

async fn an_advance_and_its_effect_are_committed_together(bench: &Bench) -> Checked {
    let check = "advances";
    let first = bench.progress(check).await?;
    ensure(
        bench.advance(&bench.outbox, check, &first, 3).await?,
        || "the first advance was not committed".to_owned(),
    )?;
    let second = bench.progress(check).await?;
    equal("the position", &second.position(), &3)?;
    // What was read is what is reckoned.
    ensure(
        second.is_same_as(&first.advanced_to(3, SystemClock.now())),
        || format!("{second:?} is not one advance from {first:?}"),
    )?;
    bench.advance(&bench.outbox, check, &second, 4).await?;
    equal("the position", &bench.progress(check).await?.position(), &4)?;
    equal("the effects", &bench.effects(check).await?, &vec![1, 1])
}

async fn an_advance_from_what_is_no_longer_so_writes_nothing(bench: &Bench) -> Checked {
    let check = "stale";
    let before = bench.progress(check).await?;
    bench.advance(&bench.outbox, check, &before, 2).await?;
    for to in [1, 2, 3] {
        let committed = bench.advance(&bench.outbox, check, &before, to).await?;
        equal("whether it committed", &committed, &false)?;
    }
    equal("the position", &bench.progress(check).await?.position(), &2)?;
    equal("the effects", &bench.effects(check).await?, &vec![1])
}

async fn a_block_loses_against_an_advance(bench: &Bench) -> Checked {
    let check = "block-loses";
    let before = bench.progress(check).await?;
    bench.advance(&bench.outbox, check, &before, 1).await?;
    let answer = bench.block(&before, 1).await?;
    equal("the answer", &answer, &Guarded::Ignored)?;
    let after = bench.progress(check).await?;
    equal("the position", &after.position(), &1)?;
    equal("the block", &after.blocked(), &None)
}

async fn an_advance_loses_against_a_block_and_ends_one_that_it_knows(bench: &Bench) -> Checked {
    let check = "block-wins";
    let before = bench.progress(check).await?;
    equal(
        "the answer",
        &bench.block(&before, 1).await?,
        &Guarded::Applied,
    )?;
    // Sent again, as after a lost answer.
    equal(
        "the second answer",
        &bench.block(&before, 1).await?,
        &Guarded::Ignored,
    )?;
    let committed = bench.advance(&bench.outbox, check, &before, 1).await?;
    equal("whether it committed", &committed, &false)?;
    let blocked = bench.progress(check).await?;
    equal(
        "the block",
        &blocked
            .blocked()
            .map(|one| (one.sequence, one.reason.as_str())),
        &Some((1, "rejected")),
    )?;
    equal("the position", &blocked.position(), &0)?;
    let committed = bench.advance(&bench.outbox, check, &blocked, 1).await?;
    equal("whether the second committed", &committed, &true)?;
    let after = bench.progress(check).await?;
    equal("the position", &after.position(), &1)?;
    equal("the block", &after.blocked(), &None)
}

/// Commits, and once does not say so.
struct Unheard {
    inner: Arc<dyn Store>,
    lost: AtomicBool,
}

#[async_trait]
impl Store for Unheard {
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
        self.inner.commit(prepared).await?;
        if self.lost.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        let fault = Fault::new(FaultKind::Unavailable, "conformance", "the answer was lost");
        Err(CommitError::Unknown(fault))
    }
    async fn put_guarded(&self, put: &GuardedPut) -> Result<Guarded, Fault> {
        self.inner.put_guarded(put).await
    }
    async fn put_all(&self, table: &Table, items: &[Item]) -> Result<(), Fault> {
        self.inner.put_all(table, items).await
    }
}

async fn a_lost_answer_is_found_by_the_cursor(bench: &Bench) -> Checked {
    // Once the same bytes are sent again, once only the cursor can tell.
    for (check, resends) in [("lost-resent", 3), ("lost-looked-up", 0)] {
        let unheard = Arc::new(Unheard {
            inner: Arc::clone(&bench.store),
            lost: AtomicBool::new(false),
        });
        let outbox = bench.outbox.with_store(unheard).with_limits(RetryLimits {
            resends,
            ..RetryLimits::default()
        });
        let before = bench.progress(check).await?;
        let committed = bench.advance(&outbox, check, &before, 1).await?;
        equal("whether it committed", &committed, &true)?;
        equal("the position", &bench.progress(check).await?.position(), &1)?;
        equal("the effects", &bench.effects(check).await?, &vec![1])?;
    }
    Ok(())
}

async fn many_advances_at_once_commit_each_position_once(bench: &Bench) -> Checked {
    const POSITIONS: u64 = 12;
    let check = "race";
    let racers = (0..6).map(|_| async move {
        let mut committed = 0;
        loop {
            let progress = bench.progress(check).await?;
            if progress.position() >= POSITIONS {
                return Ok::<usize, String>(committed);
            }
            let to = progress.position() + 1;
            if bench.advance(&bench.outbox, check, &progress, to).await? {
                committed += 1;
            }
        }
    });
    let committed: usize = futures::future::try_join_all(racers)
        .await?
        .into_iter()
        .sum();
    let each_once = vec![1; usize::try_from(POSITIONS).unwrap_or(0)];
    equal("the effects", &bench.effects(check).await?, &each_once)?;
    equal("the commits told", &committed, &each_once.len())
}

async fn several_cursors_are_read_in_the_order_asked_for(bench: &Bench) -> Checked {
    for (check, to) in [("several-a", 1), ("several-b", 2)] {
        let from = bench.progress(check).await?;
        bench.advance(&bench.outbox, check, &from, to).await?;
    }
    let aggregates = ["several-b", "several-none", "several-a"].map(|check| bench.aggregate(check));
    let read = bench.outbox.progress_of(CONSUMER, &aggregates);
    let read = read.await.map_err(error)?;
    let positions: Vec<u64> = read.iter().map(Progress::position).collect();
    equal("the positions", &positions, &vec![2, 0, 1])
}

/// Something happened.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub(super) struct Happened {
    /// To what.
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

/// Writes down what it handles; refuses some while it is told to.
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
        // Nothing but the cursor protects the list.
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

/// An aggregate with instances of its consumer.
struct Scene<'a> {
    bench: &'a Bench,
    check: &'static str,
    refused: Arc<Mutex<BTreeSet<u64>>>,
    letters: Arc<Letters>,
    /// The messages of its events, by number.
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

    /// Logs events, so many in one transaction.
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

    /// A new instance handles a batch; what became of each, in the messages' order.
    async fn run(&self, messages: &[(u64, u32)]) -> Result<Vec<Outcome>, String> {
        let handler = Scribe {
            outbox: self.bench.outbox.clone(),
            lines: self.lines_key(),
            refused: Arc::clone(&self.refused),
        };
        let queue = Arc::clone(&self.letters) as Arc<dyn Queue>;
        let runner = Runner::new(
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
        "those behind it",
        &waiting,
        &vec![Outcome::Waiting, Outcome::Waiting, Outcome::Duplicate],
    )?;
    let letters = scene.letters.0.lock().map_or(0, |letters| letters.len());
    equal("the letters", &letters, &1)?;
    // Mended, sent back three times over, and another one fails behind it.
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
        "the second letter",
        &scene.run(&[(4, 1)]).await?,
        &vec![Outcome::Done],
    )?;
    scene.has(1..=6, None).await
}
