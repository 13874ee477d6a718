//! The whole pipeline in memory: command → event log → relay → bus → rules → lanes → consumers, and round again with what
//! they emit. Synchronous, without network or waiting, and the same run for the same seed.
//!
//! A flow hosts the real thing: [`outbox::Outbox`], [`outbox::relay::Relay`] and [`consumer::Runner`] over
//! [`MemoryStore`] and [`MemoryBus`](outbox::memory::MemoryBus); only stream, rules and queues are made here. Everything runs in steps, a step being
//! what a process does between two calls of a port; which process does the next step is drawn from the seed. [`Faults`]
//! says what may go wrong at a step. A crash ends an invocation where it stands: nothing else of it happens, its memory
//! is gone, and stream or queue bring its work again.
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
//!                         let version = account.next_version().map_err(outbox::BuildError::from)?;
//!                         let burned: Burned = serde_json::from_value(serde_json::json!({
//!                             "transaction_id": transaction.uuid(), "amount": 1, "amount_usd": 10,
//!                             "balance_after": 0, "reason": "spent", "version": version,
//!                         }))
//!                         .expect("the payload holds");
//!                         let draft = Draft::of(&burned).map_err(outbox::BuildError::from)?;
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
    log::Row,
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

/// The README's example is compiled and run like this module's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Anything that can keep a submitted call from being answered.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What went wrong, and the seed that shows it again.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unsound {
    /// The flow's seed.
    pub seed: u64,
    /// Everything that was found.
    pub findings: Vec<String>,
}

impl fmt::Display for Unsound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "seed {}: {}", self.seed, self.findings.join("; "))
    }
}

impl std::error::Error for Unsound {}

/// What a call or a handler works with: the outbox, time and chance, all of them part of the flow.
#[derive(Clone)]
pub struct Site {
    outbox: Outbox,
    world: Arc<World>,
}

impl Site {
    /// Where transactions are made and committed.
    #[must_use]
    pub fn outbox(&self) -> &Outbox {
        &self.outbox
    }

    /// Virtual time.
    #[must_use]
    pub fn clock(&self) -> Arc<dyn Clock> {
        Arc::clone(&self.world.clock) as Arc<dyn Clock>
    }

    /// For a stand-in of something outside (a mailer, a foreign API): runs the effect behind a call that may be throttled,
    /// lose its answer before or after the effect, hang, or die.
    ///
    /// # Errors
    /// A [`Fault`] that says the dependency is unavailable; the effect may have happened.
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
/// The pipeline. It brings its own runtime: use it in plain tests, not inside an async one.
pub struct Flow {
    runtime: Runtime,
    pipeline: Pipeline,
}

impl Flow {
    /// A flow whose every draw comes from the seed, with the shipped contracts.
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

    /// The store behind everything; reading it is no step and never fails.
    #[must_use]
    pub fn store(&self) -> &MemoryStore {
        &self.pipeline.memory
    }

    /// From now on, what may go wrong.
    pub fn set_faults(&mut self, faults: Faults) {
        self.pipeline.world.set_faults(faults);
    }

    /// Makes one call now, while nothing else moves; faults apply. `None`: its process died on the way, and what it did
    /// until then stands.
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

    /// Hands in a call that is made while the flow drains, between the steps of everything else. When it fails or dies
    /// it is made again, as a client would with the same idempotency key; answer an error only where a client would
    /// repeat.
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

    /// Looks at, or arranges, what is stored; nothing goes wrong.
    pub fn look<T, Fut>(&self, look: impl FnOnce(Site) -> Fut) -> T
    where
        Fut: Future<Output = T>,
    {
        self.runtime.block_on(look(self.pipeline.calm.clone()))
    }

    /// The envelope of an event with this payload, as a lane would carry it: the newest version of its contract, an id of
    /// its own, number 1 of its aggregate. `None`: no such contract, or a payload that is no JSON.
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

    /// Puts a message into a consumer's first lane, whatever it is. `false`: there is no such consumer.
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

    /// Lets everything happen that can, waiting included, until nothing is left under way.
    ///
    /// # Errors
    /// When it never ends.
    pub fn drain(&mut self) -> Result<(), Unsound> {
        self.runtime.block_on(self.pipeline.drain())
    }

    /// A consumer's letters.
    #[must_use]
    pub fn letters(&self, consumer: &str) -> Vec<DeadLetter> {
        let lanes = locked(&self.pipeline.lanes);
        let channels = lanes.channels().iter();
        channels
            .filter(|channel| self.pipeline.consumers[channel.consumer].name == consumer)
            .flat_map(|channel| channel.letters.iter().cloned())
            .collect()
    }

    /// Sends a consumer's letters back to its lanes; how many there were.
    pub fn redrive(&mut self, consumer: &str) -> usize {
        let now = self.pipeline.world.clock.now();
        let at = self
            .pipeline
            .consumers
            .iter()
            .position(|one| one.name == consumer);
        at.map_or(0, |at| locked(&self.pipeline.lanes).redrive(at, now))
    }

    /// An aggregate's events (`cloud_account#ada`), in sequence. Rows that cannot be read are left out;
    /// [`Self::audit`] names them.
    #[must_use]
    pub fn history(&self, aggregate: &str) -> Vec<Envelope> {
        let rows = self
            .pipeline
            .memory
            .items(&self.pipeline.events)
            .into_iter();
        rows.filter_map(|item| Row::read(item).ok())
            .filter(|row| row.aggregate == aggregate)
            .filter_map(|row| Registry::read(row.envelope_json()).ok())
            .collect()
    }

    /// Every event of the log, by aggregate and sequence.
    #[must_use]
    pub fn log(&self) -> Vec<Envelope> {
        let rows = self
            .pipeline
            .memory
            .items(&self.pipeline.events)
            .into_iter();
        rows.filter_map(|item| Row::read(item).ok())
            .filter_map(|row| Registry::read(row.envelope_json()).ok())
            .collect()
    }

    /// What became of an event at a consumer, in order, as far as its invocations lived to tell.
    #[must_use]
    pub fn outcomes(&self, consumer: &str, event_id: &str) -> Vec<Outcome> {
        let named = self.pipeline.outcomes.iter().filter(|((at, id), _)| {
            self.pipeline.consumers[*at].name == consumer && id.as_str() == event_id
        });
        named
            .flat_map(|(_, outcomes)| outcomes.iter().copied())
            .collect()
    }

    /// Throws away what the stream still holds, as an outage longer than its 24 hours does.
    pub fn lose_stream(&mut self) {
        self.pipeline.collect();
        for shard in &mut self.pipeline.shards {
            if !shard.busy {
                shard.items.clear();
            }
        }
    }

    /// Publishes what is pending in the log, as the operator does after an outage; how many events.
    ///
    /// # Errors
    /// When it does not come to its end.
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

    /// What must hold of every flow once it is drained: every event of the log published, and handled by every consumer
    /// that subscribed or among its letters; none done twice; sequences without gaps; nothing counted as published that
    /// the bus did not take. Where the evidence is a cursor: it is at the event or beyond, or the aggregate is blocked by the
    /// first event that is not handled, and that one is among the letters.
    ///
    /// # Errors
    /// Everything that does not hold, and the seed.
    pub fn audit(&mut self) -> Result<(), Unsound> {
        let cursors = self.runtime.block_on(self.pipeline.cursors())?;
        self.pipeline.audit(&cursors)
    }

    /// How far an in-order consumer is with an aggregate (`cloud_account#ada`); `None`: there is no such consumer, or its
    /// cursor cannot be read.
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
