//! The whole pipeline in memory: command → event log → relay → bus → rules → lanes → consumers, and again for the
//! events that consumers emit. A flow is synchronous, uses no network, does not wait in real time, and repeats exactly
//! for the same seed.
//!
//! A flow hosts the real [`outbox::Outbox`], [`outbox::relay::Relay`] and [`consumer::BatchRunner`] over
//! [`MemoryStore`] and [`MemoryBus`](outbox::memory::MemoryBus). Only the stream, the rules and the queues are
//! imitated. Everything runs in steps: a step is what a process does between two calls of a port. The seed decides
//! which process takes the next step, and [`Faults`] says what can go wrong at a step. A crash ends an invocation at
//! that step: the rest of it does not run, its memory is gone, and the stream or the queue delivers its work again.
//!
//! ```
//! use consumer::{Failure, Handler, Received};
//! use events::{Cause, Draft, contracts::cloud::Burned};
//! use outbox::{Decision, Entity, Mark, Table, Transaction};
//! use serde::{Deserialize, Serialize};
//! use testkit::flow::{Faults, Flow};
//!
//! // The consumer under test counts burns, safe against repeats by its mark.
//! events::subscription! {
//!     /// What it listens to.
//!     pub enum Event {
//!         /// Credits are gone.
//!         Burned(Burned) by Mark,
//!     }
//! }
//!
//! struct Counter(Table);
//!
//! #[async_trait::async_trait]
//! impl Handler for Counter {
//!     const NAME: &'static str = "burn-counter";
//!     type Event = Event;
//!     async fn decide(&self, _: &Received<Event>, mut transaction: Transaction) -> Result<Transaction, Failure> {
//!         transaction.add(self.0.key("burns", "total"), vec![("count", 1.into())]);
//!         Ok(transaction)
//!     }
//! }
//!
//! // A state whose change logs the event.
//! #[derive(Serialize, Deserialize)]
//! struct Account {}
//! impl outbox::State for Account {
//!     const AGGREGATE: &'static str = "cloud_account";
//! }
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let table = Table::domain("cloud");
//! let counter = table.clone();
//! let mut flow = Flow::builder(7)
//!     .faults(Faults::STORM)
//!     .consumer(move |_| Counter(counter.clone()))
//!     .build()?;
//! for number in 0..3 {
//!     let table = table.clone();
//!     // Calls are repeated with the same key until they are answered, as a client would.
//!     flow.submit(move |site| {
//!         let table = table.clone();
//!         async move {
//!             let mark = Mark::Request {
//!                 owner: "me".into(),
//!                 method: "POST".into(),
//!                 path: "/burns".into(),
//!                 key: format!("burn-{number}"),
//!                 body_sha256: Mark::body_sha256(b""),
//!             };
//!             let outbox = site.outbox();
//!             let outcome = outbox
//!                 .execute(&mark, &Cause::default(), |mut transaction| {
//!                     let table = &table;
//!                     async move {
//!                         let account: Entity<Account> = outbox.load(table, "unallocated").await?;
//!                         let version = account.next_version()?;
//!                         let burned: Burned = serde_json::from_value(serde_json::json!({
//!                             "transaction_id": transaction.uuid(), "amount": 1, "amount_usd": 10,
//!                             "balance_after": 0, "reason": "spent", "version": version,
//!                         }))
//!                         .expect("the payload holds");
//!                         let draft = Draft::of(&burned)?;
//!                         transaction.update(&account, &Account {}, vec![draft])?;
//!                         Ok::<_, outbox::Error>(Decision::<(), ()>::Commit(transaction, ()))
//!                     }
//!                 })
//!                 .await?;
//!             match outcome {
//!                 outbox::Outcome::Contention => Err("busy, try again".into()),
//!                 _ => Ok(()),
//!             }
//!         }
//!     });
//! }
//! flow.drain()?;
//! while flow.redrive("burn-counter") > 0 {
//!     flow.drain()?;
//! }
//! // Nothing lost, nothing doubled, no gap, whatever went wrong on the way.
//! flow.audit()?;
//! assert_eq!(flow.history("cloud_account#unallocated").len(), 3);
//! let total = flow.look(|site| async move {
//!     site.outbox().row::<serde_json::Value>(&table.key("burns", "total")).await
//! })?;
//! assert_eq!(total.expect("counted")["count"], 3);
//! # Ok(())
//! # }
//! ```

mod builder;
mod crowd;
mod faults;
mod in_order;
mod lane;
mod pipeline;
mod soundness;
use std::{
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::Arc,
    task::Poll,
    time::Duration,
};

use consumer::{Outcome, Settings};
use events::{Envelope, Registry};
use outbox::{
    Clock, Fault, Outbox, Progress,
    log::LogRow,
    memory::MemoryStore,
    relay::{self, Relay},
    republish::{self, republish},
};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::TestClock;

use self::{
    faults::{World, locked},
    pipeline::{CLIENT_TRIES, Pipeline, Submission},
};

pub use self::{builder::Builder, faults::Faults, lane::DeadLetter};

/// Compiles and runs the README's example, like the example of this module.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Any error that leaves a submitted call unanswered.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong, and the seed that reproduces it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsound {
    /// The flow's seed.
    pub seed: u64,
    /// All findings.
    pub findings: Vec<String>,
}

impl fmt::Display for Unsound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {}", self.seed, self.findings.join("; "))
    }
}

impl std::error::Error for Unsound {}

/// The surroundings of a call or a handler: the outbox, time and randomness, all of them part of the flow.
#[derive(Clone)]
pub struct Site {
    outbox: Outbox,
    world: Arc<World>,
}

impl Site {
    /// The outbox, which makes and commits transactions.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Virtual time.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.world.clock) as Arc<dyn Clock>
    }

    /// For a stand-in of an external service (a mailer, a foreign API): runs the effect behind a call that can be
    /// throttled, lose its answer before or after the effect, hang, or die.
    ///
    /// # Errors
    /// A [`Fault`] that reports the dependency as unavailable; the effect may have happened.
    pub async fn call<T>(
        &self,
        operation: &'static str,
        effect: impl FnOnce() -> T,
    ) -> Result<T, Fault> {
        self.world.call(operation, effect).await
    }
}

impl fmt::Debug for Site {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Site").finish_non_exhaustive()
    }
}
/// The pipeline. It brings its own runtime, so use it in plain tests, not in async ones.
pub struct Flow {
    runtime: Runtime,
    pipeline: Pipeline,
}

impl Flow {
    /// A flow with the shipped contracts, whose every random choice comes from the seed.
    #[must_use]
    pub fn builder(seed: u64) -> Builder {
        Builder {
            seed,
            faults: Faults::NONE,
            registry: Arc::new(Registry::shipped()),
            settings: Settings::default(),
            consumers: Vec::new(),
            store: Box::new(|store| store),
            publisher: Box::new(|publisher, _| publisher),
            queue: Box::new(|queue| queue),
        }
    }

    /// The seed.
    #[must_use]
    pub fn seed(&self) -> u64 {
        self.pipeline.seed
    }

    /// Virtual time.
    #[must_use]
    pub fn clock(&self) -> &Arc<TestClock> {
        &self.pipeline.world.clock
    }

    /// The store behind everything. Reading it is not a step and never fails.
    #[must_use]
    pub fn store(&self) -> &MemoryStore {
        &self.pipeline.memory
    }

    /// Sets the faults from now on.
    pub fn set_faults(&mut self, faults: Faults) {
        self.pipeline.world.set_faults(faults);
    }

    /// Makes one call now, while nothing else moves; faults apply. `None`: the process died during the call, and what
    /// it did until then remains.
    pub fn command<T, Fut>(&mut self, call: impl FnOnce(Site) -> Fut) -> Option<T>
    where
        Fut: Future<Output = T>,
    {
        let world = Arc::clone(&self.pipeline.world);
        let call = call(self.pipeline.site.clone());
        self.runtime.block_on(async move {
            let mut call = pin!(call);
            poll_fn(|context| match call.as_mut().poll(context) {
                Poll::Ready(answer) => Poll::Ready(Some(answer)),
                Poll::Pending if world.strikes(|faults| faults.crashes) => Poll::Ready(None),
                Poll::Pending => Poll::Pending,
            })
            .await
        })
    }

    /// Submits a call that is made while the flow drains, between the steps of everything else. If the call fails or
    /// dies, it is made again, as a client repeats it with the same idempotency key. So return an error only if a
    /// client would repeat the call.
    pub fn submit<Fut>(&mut self, mut call: impl FnMut(Site) -> Fut + 'static)
    where
        Fut: Future<Output = Result<(), BoxError>> + 'static,
    {
        self.pipeline.submissions.push(Submission {
            call: Box::new(move |site| Box::pin(call(site))),
            tries: 0,
            not_before: self.pipeline.world.clock.now(),
        });
    }

    /// Reads or arranges what is stored, without faults.
    pub fn look<T, Fut>(&self, look: impl FnOnce(Site) -> Fut) -> T
    where
        Fut: Future<Output = T>,
    {
        self.runtime.block_on(look(self.pipeline.calm.clone()))
    }

    /// The envelope of an event with this payload, as a lane would carry it: the newest version of its contract, a new
    /// id, number 1 of its aggregate. `None`: there is no such contract, or the payload is not JSON.
    #[must_use]
    pub fn message(&self, event_type: &str, payload: &str) -> Option<String> {
        let registry = self.pipeline.calm.outbox().registry();
        let version = registry.latest(event_type)?;
        let info = registry.get(event_type, version)?.info();
        let payload: Value = serde_json::from_str(payload).ok()?;
        let clock = &self.pipeline.world.clock;
        let id = clock.uuid();
        let envelope = serde_json::json!({
            "event_id": id,
            "event_type": event_type,
            "event_version": format!("v{version}"),
            "occurred_at": clock.now(),
            "producer": info.producer,
            "correlation_id": id,
            "priority": info.priority,
            "aggregate_type": info.aggregate_type,
            "aggregate_id": info.aggregate_id_in(&payload).unwrap_or_else(|| "sample".to_owned()),
            "sequence": 1,
            "payload": payload,
        });
        Some(envelope.to_string())
    }

    /// Puts any message into a consumer's first lane. `false`: there is no such consumer.
    pub fn send(&mut self, consumer: &str, body: impl Into<String>) -> bool {
        let now = self.pipeline.world.clock.now();
        let place = self
            .pipeline
            .consumers
            .iter()
            .find(|one| one.name == consumer)
            .and_then(|one| one.channels.first().map(|(_, channel)| channel));
        if let Some(channel) = place {
            locked(&self.pipeline.lanes).send(*channel, body.into(), now);
        }
        place.is_some()
    }

    /// Lets everything happen that can, including what waits for a time, until no work is left.
    ///
    /// # Errors
    /// When the flow never comes to an end.
    pub fn drain(&mut self) -> Result<(), Unsound> {
        self.runtime.block_on(self.pipeline.drain())
    }

    /// A consumer's dead letters.
    #[must_use]
    pub fn letters(&self, consumer: &str) -> Vec<DeadLetter> {
        let lanes = locked(&self.pipeline.lanes);
        lanes
            .letters()
            .filter(|(at, _)| self.pipeline.consumers[*at].name == consumer)
            .map(|(_, letter)| letter.clone())
            .collect()
    }

    /// Sends a consumer's dead letters back to its lanes. Returns how many there were.
    pub fn redrive(&mut self, consumer: &str) -> usize {
        let now = self.pipeline.world.clock.now();
        let at = self
            .pipeline
            .consumers
            .iter()
            .position(|one| one.name == consumer);
        at.map_or(0, |at| locked(&self.pipeline.lanes).redrive(at, now))
    }

    /// An aggregate's events (`cloud_account#ada`), in sequence. Rows that cannot be read are left out; [`Self::audit`]
    /// reports them.
    #[must_use]
    pub fn history(&self, aggregate: &str) -> Vec<Envelope> {
        let rows = self
            .pipeline
            .memory
            .items(&self.pipeline.events)
            .into_iter();
        rows.filter_map(|item| LogRow::read(item).ok())
            .filter(|row| row.aggregate == aggregate)
            .filter_map(|row| Registry::read(row.envelope_json()).ok())
            .collect()
    }

    /// All events in the log, by aggregate and sequence.
    #[must_use]
    pub fn log(&self) -> Vec<Envelope> {
        let rows = self
            .pipeline
            .memory
            .items(&self.pipeline.events)
            .into_iter();
        rows.filter_map(|item| LogRow::read(item).ok())
            .filter_map(|row| Registry::read(row.envelope_json()).ok())
            .collect()
    }

    /// The outcomes of an event at a consumer, in order. An invocation that died reported none.
    #[must_use]
    pub fn outcomes(&self, consumer: &str, event_id: &str) -> Vec<Outcome> {
        let named = self.pipeline.outcomes.iter().filter(|((at, id), _)| {
            self.pipeline.consumers[*at].name == consumer && id.as_str() == event_id
        });
        named
            .flat_map(|(_, outcomes)| outcomes.iter().copied())
            .collect()
    }

    /// Discards what the stream still holds, as an outage longer than its 24 hours does.
    pub fn lose_stream(&mut self) {
        self.pipeline.collect();
        for shard in &mut self.pipeline.shards {
            if !shard.busy {
                shard.items.clear();
            }
        }
    }

    /// Publishes what is pending in the log, as an operator does after an outage. Returns how many events.
    ///
    /// # Errors
    /// When it does not complete.
    pub fn republish(&mut self) -> Result<u64, Unsound> {
        let pipeline = &mut self.pipeline;
        let relay = Relay::new(
            Arc::clone(&pipeline.publisher),
            Arc::clone(&pipeline.store),
            pipeline.events.clone(),
            Arc::clone(&pipeline.world.clock) as Arc<dyn Clock>,
            relay::Settings::default(),
        );
        let options = republish::Options {
            rows_per_second: 10_000,
            older_than: Duration::ZERO,
            ..republish::Options::default()
        };
        let mut published = 0;
        for _ in 0..CLIENT_TRIES {
            let walk = republish(
                &relay,
                &*pipeline.store,
                &pipeline.events,
                &*pipeline.world.clock,
                &options,
                |_, _| (),
            );
            let summary = self.runtime.block_on(walk);
            published += summary.counts.published;
            if summary.error.is_none() && summary.next.is_none() {
                pipeline.look_at_the_log();
                return Ok(published);
            }
        }
        Err(pipeline.unsound(vec!["republish never ended".to_owned()]))
    }

    /// The invariants of a drained flow. Every event in the log is published; every subscribed consumer has handled it
    /// or has its dead letter; no consumer did it twice; sequences have no gaps; no event counts as published that the
    /// bus did not take. If the consumer's evidence is a cursor, the cursor has reached the event, or the aggregate is
    /// blocked by the first event that is not handled, and that event is a dead letter.
    ///
    /// # Errors
    /// All violations, and the seed.
    pub fn audit(&mut self) -> Result<(), Unsound> {
        let cursors = self.runtime.block_on(self.pipeline.cursors())?;
        self.pipeline.audit(&cursors)
    }

    /// How far an in-order consumer is with an aggregate (`cloud_account#ada`). `None`: there is no such consumer, or
    /// its cursor cannot be read.
    #[must_use]
    pub fn progress(&self, consumer: &str, aggregate: &str) -> Option<Progress> {
        let mut consumers = self.pipeline.consumers.iter();
        let name = consumers.find(|one| one.name == consumer)?.name;
        let read = self.pipeline.calm.outbox.progress(name, aggregate);
        self.runtime.block_on(read).ok()
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow")
            .field("seed", &self.pipeline.seed)
            .finish_non_exhaustive()
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("flow: the seed was {}", self.pipeline.seed);
        }
    }
}
