//! The whole pipeline in memory: command → event log → relay → bus → rules → lanes → consumers, and round again with what
//! they emit. Synchronous, without network or waiting, and the same run for the same seed.
//!
//! A flow hosts the real thing: [`outbox::Outbox`], [`outbox::relay::Relay`] and [`consumer::Runner`] over
//! [`MemoryStore`] and [`MemoryBus`]; only stream, rules and queues are made here. Everything runs in steps, a step being
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

mod crowd;
mod faults;
mod in_order;
mod lane;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, Mutex},
    task::Poll,
    time::Duration,
};

use async_trait::async_trait;
use consumer::{Handler, Lane, Message, Outcome, ParkReason, Queue, Runner, Settings, Summary};
use events::{Envelope, Evidence, Priority, Registry, Selection, Subscription, Timestamp};
use outbox::{
    Clock, Entry, Fault, Item, Outbox, Progress, Publisher, Store, Table,
    log::Row,
    memory::{MemoryBus, MemoryStore},
    relay::{self, Relay},
    republish::{self, republish},
};
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::TestClock;

use self::{
    crowd::{Crowd, Task},
    faults::{FaultyPublisher, FaultyStore, FlowQueue, World, locked},
    in_order::{Cursors, Order},
    lane::Lanes,
};

pub use self::{faults::Faults, lane::DeadLetter};

/// The README's example is compiled and run like this module's.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;

/// Anything that can keep a submitted call from being answered.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Shards of the stream: an aggregate's rows stay in one, and each has its relay.
const SHARDS: usize = 2;
/// Rows in one invocation of the relay, as the mapping sets it.
const STREAM_BATCH: usize = 100;
/// Pause before a failed batch of the stream comes again.
const STREAM_PAUSE: Duration = Duration::from_secs(1);
/// Messages in one invocation of a consumer, as the mapping sets it.
const LANE_BATCH: usize = 10;
/// Invocations of a lane at once.
const LANE_CONCURRENCY: usize = 2;
/// The functions' timeout.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(30);
/// Pause before a client repeats a call that was not answered.
const CLIENT_PAUSE: Duration = Duration::from_secs(1);
/// Repeats after which a client gives up.
const CLIENT_TRIES: u32 = 1_000;
/// Steps after which a flow counts as one that never ends.
const MAX_STEPS: usize = 5_000_000;

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

/// A function's instance: a runner, its handler and whatever they remember.
#[async_trait]
trait Hosted: Send + Sync {
    async fn run(&self, lane: &Lane, messages: Vec<Message>, deadline: Timestamp) -> Summary;
}

#[async_trait]
impl<H: Handler> Hosted for Runner<H> {
    async fn run(&self, lane: &Lane, messages: Vec<Message>, deadline: Timestamp) -> Summary {
        Runner::run(self, lane, messages, deadline).await
    }
}

type Start = Box<dyn Fn(&Site, Arc<dyn Queue>, Settings) -> Arc<dyn Hosted>>;
type WrapStore = Box<dyn FnOnce(Arc<dyn Store>) -> Arc<dyn Store>>;
type WrapPublisher = Box<dyn FnOnce(Arc<dyn Publisher>, Arc<dyn Store>) -> Arc<dyn Publisher>>;
type WrapQueue = Box<dyn FnOnce(Arc<dyn Queue>) -> Arc<dyn Queue>>;

struct Planned {
    name: &'static str,
    selection: Selection,
    start: Start,
}

/// What a flow is made of.
pub struct Builder {
    seed: u64,
    faults: Faults,
    registry: Arc<Registry>,
    settings: Settings,
    consumers: Vec<Planned>,
    store: WrapStore,
    publisher: WrapPublisher,
    queue: WrapQueue,
}

impl Builder {
    /// What may go wrong; nothing unless said.
    #[must_use]
    pub fn faults(mut self, faults: Faults) -> Self {
        self.faults = faults;
        self
    }

    /// Your own contracts instead of the shipped ones.
    #[must_use]
    pub fn registry(mut self, registry: Registry) -> Self {
        self.registry = Arc::new(registry);
        self
    }

    /// Other settings of the consumers than the default ones.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Adds a consumer. The factory makes its handler for every new instance of its function, so again after each crash:
    /// what must outlive one belongs into the store. It gets the lanes its subscription wants: two when it sees both
    /// urgent and ordinary events, else one.
    #[must_use]
    pub fn consumer<H, F>(self, factory: F) -> Self
    where
        H: Handler + 'static,
        F: Fn(&Site) -> H + 'static,
    {
        self.consumer_with(|settings| settings, factory)
    }

    /// The same with settings of its own, made of the flow's.
    #[must_use]
    pub fn consumer_with<H, F, S>(mut self, settings: S, factory: F) -> Self
    where
        H: Handler + 'static,
        F: Fn(&Site) -> H + 'static,
        S: Fn(Settings) -> Settings + 'static,
    {
        let own = settings;
        self.consumers.push(Planned {
            name: H::NAME,
            selection: H::Event::SELECTION,
            start: Box::new(move |site, queue, settings| {
                let outbox = site.outbox().clone();
                Arc::new(Runner::new(factory(site), outbox, queue, own(settings)))
            }),
        });
        self
    }

    /// Puts something between the code under test and the store, to prove that a test bites.
    #[must_use]
    pub fn wrap_store(
        mut self,
        wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store> + 'static,
    ) -> Self {
        self.store = Box::new(wrap);
        self
    }

    /// Puts something between the relay and the bus, to prove that a test bites; it may use the store.
    #[must_use]
    pub fn wrap_publisher(
        mut self,
        wrap: impl FnOnce(Arc<dyn Publisher>, Arc<dyn Store>) -> Arc<dyn Publisher> + 'static,
    ) -> Self {
        self.publisher = Box::new(wrap);
        self
    }

    /// Puts something between the consumer runtime and the queues, to prove that a test bites.
    #[must_use]
    pub fn wrap_queue(
        mut self,
        wrap: impl FnOnce(Arc<dyn Queue>) -> Arc<dyn Queue> + 'static,
    ) -> Self {
        self.queue = Box::new(wrap);
        self
    }

    /// The flow.
    ///
    /// # Errors
    /// When no runtime can be made for it.
    pub fn build(self) -> std::io::Result<Flow> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()?;
        let world = Arc::new(World::new(self.seed, self.faults));
        let memory = Arc::new(MemoryStore::new());
        let bus = Arc::new(MemoryBus::new());
        let lanes = Arc::new(Mutex::new(Lanes::default()));
        let events = Table::events("events");
        let site = |store: Arc<dyn Store>| Site {
            outbox: Outbox::new(
                store,
                Arc::clone(&world.clock) as Arc<dyn Clock>,
                Arc::clone(&self.registry),
                events.clone(),
                Table::marks("marks"),
            ),
            world: Arc::clone(&world),
        };
        let store = (self.store)(Arc::new(FaultyStore {
            inner: Arc::clone(&memory) as Arc<dyn Store>,
            world: Arc::clone(&world),
        }));
        let publisher = (self.publisher)(
            Arc::new(FaultyPublisher {
                inner: Arc::clone(&bus) as Arc<dyn Publisher>,
                world: Arc::clone(&world),
            }),
            Arc::clone(&store),
        );
        let queue = (self.queue)(Arc::new(FlowQueue {
            lanes: Arc::clone(&lanes),
            world: Arc::clone(&world),
        }));
        let mut consumers = Vec::with_capacity(self.consumers.len());
        for (at, planned) in self.consumers.into_iter().enumerate() {
            let names = lanes_of(planned.selection, &self.registry);
            let channels = names.iter().map(|name| {
                let queue = format!("{}-{name}", planned.name);
                let lane = Lane {
                    name,
                    queue_arn: format!("arn:aws:sqs:us-east-1:000000000000:{queue}"),
                    queue_url: format!("flow://{queue}"),
                    dead_letter_queue_url: format!("flow://{queue}-letters"),
                };
                locked(&lanes).open(at, lane)
            });
            consumers.push(Consumer {
                name: planned.name,
                selection: planned.selection,
                channels: channels.collect(),
                start: planned.start,
                idle: Vec::new(),
            });
        }
        let busy = vec![0; locked(&lanes).channels().len()];
        let start = world.clock.now();
        let core = Core {
            seed: self.seed,
            site: site(Arc::clone(&store)),
            calm: site(Arc::clone(&memory) as Arc<dyn Store>),
            world,
            memory,
            bus,
            lanes,
            events,
            store,
            publisher,
            queue,
            settings: self.settings,
            consumers,
            busy,
            shards: (0..SHARDS).map(|_| Shard::new(start)).collect(),
            on_the_bus: Vec::new(),
            taken: BTreeSet::new(),
            submissions: Vec::new(),
            crowd: Crowd::new(),
            outcomes: BTreeMap::new(),
            findings: BTreeSet::new(),
        };
        Ok(Flow { runtime, core })
    }
}

impl fmt::Debug for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder")
            .field("seed", &self.seed)
            .field("faults", &self.faults)
            .finish_non_exhaustive()
    }
}

fn urgent(priority: Option<Priority>) -> bool {
    matches!(priority, Some(Priority::Critical | Priority::High))
}

fn lanes_of(selection: Selection, registry: &Registry) -> Vec<&'static str> {
    let types = selection.types_of(registry.contracts());
    let priorities = types.iter().map(|one| {
        let entry = registry.get(one.event_type, one.version);
        urgent(entry.map(|entry| entry.info().priority))
    });
    let (urgent, ordinary): (Vec<bool>, Vec<bool>) = priorities.partition(|urgent| *urgent);
    match (urgent.is_empty(), ordinary.is_empty()) {
        (false, false) => vec!["express", "standard"],
        (false, true) => vec!["express"],
        (true, _) => vec!["standard"],
    }
}

struct Consumer {
    name: &'static str,
    selection: Selection,
    channels: Vec<usize>,
    start: Start,
    /// Instances that wait for an invocation, with what they remember.
    idle: Vec<Arc<dyn Hosted>>,
}

struct Shard {
    items: VecDeque<Item>,
    relay: Option<Arc<Relay>>,
    busy: bool,
    not_before: Timestamp,
}

impl Shard {
    fn new(now: Timestamp) -> Self {
        Self {
            items: VecDeque::new(),
            relay: None,
            busy: false,
            not_before: now,
        }
    }
}

struct Submission {
    call: Box<dyn FnMut(Site) -> Task<Result<(), BoxError>>>,
    tries: u32,
    not_before: Timestamp,
}

enum About {
    Relay {
        shard: usize,
        count: usize,
    },
    Consumer {
        channel: usize,
        instance: Arc<dyn Hosted>,
    },
    Submission(Submission),
}

enum Ended {
    Relayed(Result<(), String>),
    Handled(Vec<Message>, Summary),
    Answered(Result<(), BoxError>),
}

enum Action {
    Relay(usize),
    Route,
    Receive(usize),
    Submit(usize),
    Late,
    Step(usize),
}

struct Core {
    seed: u64,
    world: Arc<World>,
    memory: Arc<MemoryStore>,
    bus: Arc<MemoryBus>,
    lanes: Arc<Mutex<Lanes>>,
    events: Table,
    site: Site,
    calm: Site,
    store: Arc<dyn Store>,
    publisher: Arc<dyn Publisher>,
    queue: Arc<dyn Queue>,
    settings: Settings,
    consumers: Vec<Consumer>,
    /// Invocations under way, by lane.
    busy: Vec<usize>,
    shards: Vec<Shard>,
    on_the_bus: Vec<Entry>,
    /// Ids of all events that the bus ever took.
    taken: BTreeSet<String>,
    submissions: Vec<Submission>,
    crowd: Crowd<About, Ended>,
    /// What became of an event at a consumer, as far as its invocations lived to tell.
    outcomes: BTreeMap<(usize, String), Vec<Outcome>>,
    findings: BTreeSet<String>,
}

impl Core {
    /// Takes over what the store's stream and the bus hold.
    fn collect(&mut self) {
        for item in self.memory.take_stream(&self.events) {
            let aggregate = item.get("aggregate").and_then(Value::as_str);
            let sum: usize = aggregate.unwrap_or_default().bytes().map(usize::from).sum();
            self.shards[sum % SHARDS].items.push_back(item);
        }
        for entry in self.bus.take() {
            self.taken.insert(event_id(&entry.detail));
            self.on_the_bus.push(entry);
        }
    }

    fn actions(&self) -> Vec<Action> {
        let now = self.world.clock.now();
        let mut actions: Vec<Action> = self.crowd.ready().map(Action::Step).collect();
        for (at, shard) in self.shards.iter().enumerate() {
            if !shard.busy && !shard.items.is_empty() && shard.not_before <= now {
                actions.push(Action::Relay(at));
            }
        }
        if !self.on_the_bus.is_empty() {
            actions.push(Action::Route);
        }
        if self.world.has_late_commits() {
            actions.push(Action::Late);
        }
        let lanes = locked(&self.lanes);
        for channel in 0..lanes.channels().len() {
            if self.busy[channel] < LANE_CONCURRENCY && lanes.visible(channel, now) > 0 {
                actions.push(Action::Receive(channel));
            }
        }
        for (at, submission) in self.submissions.iter().enumerate() {
            if submission.not_before <= now {
                actions.push(Action::Submit(at));
            }
        }
        actions
    }

    /// When something can happen again, if everything waits.
    fn next_moment(&self) -> Option<Timestamp> {
        let shards = self.shards.iter().filter(|shard| !shard.items.is_empty());
        let waiting = shards.map(|shard| shard.not_before);
        let clients = self.submissions.iter().map(|one| one.not_before);
        let hidden = locked(&self.lanes).next_visible();
        waiting.chain(clients).chain(hidden).min()
    }

    async fn drain(&mut self) -> Result<(), Unsound> {
        for _ in 0..MAX_STEPS {
            self.collect();
            let mut actions = self.actions();
            if !actions.is_empty() {
                let chosen = actions.swap_remove(self.world.below(actions.len()));
                self.perform(chosen).await;
            } else if !self.crowd.is_empty() {
                self.crowd.wait().await;
            } else if let Some(moment) = self.next_moment() {
                let clock = &self.world.clock;
                clock.advance(moment.since(clock.now()));
            } else {
                return Ok(());
            }
        }
        Err(self.unsound(vec![format!("still not still after {MAX_STEPS} steps")]))
    }

    fn unsound(&self, findings: Vec<String>) -> Unsound {
        Unsound {
            seed: self.seed,
            findings,
        }
    }

    async fn perform(&mut self, action: Action) {
        match action {
            Action::Relay(shard) => self.start_relay(shard),
            Action::Route => self.route(),
            Action::Receive(channel) => self.start_consumer(channel),
            Action::Submit(at) => {
                let mut submission = self.submissions.swap_remove(at);
                submission.tries += 1;
                let call = (submission.call)(self.site.clone());
                let task = Box::pin(async move { Ended::Answered(call.await) });
                self.crowd.join(About::Submission(submission), task);
            }
            Action::Late => {
                if let Some(prepared) = self.world.take_late_commit() {
                    // Nobody listens any more: cancelled or not, it is what the mark says.
                    self.memory.commit(&prepared).await.ok();
                }
            }
            Action::Step(place) => {
                if self.world.strikes(|faults| faults.crashes) {
                    if let Some(about) = self.crowd.kill(place) {
                        self.killed(about);
                    }
                } else if let Some((about, ended)) = self.crowd.step(place) {
                    self.ended(about, ended);
                }
            }
        }
    }

    fn start_relay(&mut self, at: usize) {
        let shard = &mut self.shards[at];
        let count = 1 + self.world.below(shard.items.len().min(STREAM_BATCH));
        let items: Vec<Item> = shard.items.iter().take(count).cloned().collect();
        let relay = shard.relay.get_or_insert_with(|| {
            Arc::new(Relay::new(
                Arc::clone(&self.publisher),
                Arc::clone(&self.store),
                self.events.clone(),
                Arc::clone(&self.world.clock) as Arc<dyn Clock>,
                relay::Settings::default(),
            ))
        });
        shard.busy = true;
        let (relay, world) = (Arc::clone(relay), Arc::clone(&self.world));
        let task = async move {
            let invocation = relay.relay(items).await;
            world.step().await;
            let error = invocation.error.map(|error| outbox::chain(&error));
            Ended::Relayed(error.map_or(Ok(()), Err))
        };
        self.crowd
            .join(About::Relay { shard: at, count }, Box::pin(task));
    }

    fn route(&mut self) {
        let overtaken = self.world.strikes(|faults| faults.reordering);
        let at = if overtaken {
            self.world.below(self.on_the_bus.len())
        } else {
            0
        };
        let entry = if self.world.strikes(|faults| faults.duplicates) {
            self.on_the_bus[at].clone()
        } else {
            self.on_the_bus.remove(at)
        };
        let now = self.world.clock.now();
        let head: Value = serde_json::from_str(&entry.detail).unwrap_or_default();
        let priority = serde_json::from_value(head["priority"].clone()).ok();
        for consumer in &self.consumers {
            if !consumer.selection.takes(&entry.detail_type) {
                continue;
            }
            let channel = match consumer.channels.as_slice() {
                [express, standard] => {
                    if urgent(priority) {
                        *express
                    } else {
                        *standard
                    }
                }
                [only, ..] => *only,
                [] => continue,
            };
            locked(&self.lanes).send(channel, entry.detail.clone(), now);
        }
    }

    fn start_consumer(&mut self, channel: usize) {
        let now = self.world.clock.now();
        let mut lanes = locked(&self.lanes);
        let visible = lanes.visible(channel, now);
        let size = 1 + self.world.below(visible.min(LANE_BATCH));
        let mut places: Vec<usize> = (0..visible).collect();
        if self.world.strikes(|faults| faults.reordering) {
            for at in 0..size {
                let other = at + self.world.below(visible - at);
                places.swap(at, other);
            }
        }
        places.truncate(size);
        let messages = lanes.receive(channel, &places, now);
        let Some(lane) = lanes.channels().get(channel).map(|one| one.lane.clone()) else {
            return;
        };
        let consumer = lanes.channels()[channel].consumer;
        drop(lanes);
        if messages.is_empty() {
            return;
        }
        let consumer = &mut self.consumers[consumer];
        let instance = consumer.idle.pop().unwrap_or_else(|| {
            (consumer.start)(&self.site, Arc::clone(&self.queue), self.settings.clone())
        });
        self.busy[channel] += 1;
        let about = About::Consumer {
            channel,
            instance: Arc::clone(&instance),
        };
        let (world, deadline) = (Arc::clone(&self.world), now.plus(FUNCTION_TIMEOUT));
        let task = async move {
            let summary = instance.run(&lane, messages.clone(), deadline).await;
            world.step().await;
            Ended::Handled(messages, summary)
        };
        self.crowd.join(about, Box::pin(task));
    }

    /// A process died: what it remembered is gone; what it had in hand comes back as stream, queue and client bring it.
    fn killed(&mut self, about: About) {
        match about {
            About::Relay { shard, .. } => {
                let again = self.world.clock.now().plus(STREAM_PAUSE);
                let shard = &mut self.shards[shard];
                shard.relay = None;
                shard.busy = false;
                shard.not_before = again;
                self.look_at_the_log();
            }
            About::Consumer { channel, .. } => self.busy[channel] -= 1,
            About::Submission(submission) => self.submit_again(submission, "it crashed"),
        }
    }

    fn ended(&mut self, about: About, ended: Ended) {
        match (about, ended) {
            (About::Relay { shard, count }, Ended::Relayed(result)) => {
                let again = self.world.strikes(|faults| faults.duplicates);
                let now = self.world.clock.now();
                let shard = &mut self.shards[shard];
                shard.busy = false;
                match result {
                    Ok(()) if !again => {
                        shard.items.drain(..count.min(shard.items.len()));
                    }
                    Ok(()) => {}
                    Err(_) => shard.not_before = now.plus(STREAM_PAUSE),
                }
                self.look_at_the_log();
            }
            (About::Consumer { channel, instance }, Ended::Handled(messages, summary)) => {
                self.handled(channel, &messages, &summary);
                let consumer = locked(&self.lanes).channels()[channel].consumer;
                self.consumers[consumer].idle.push(instance);
                self.busy[channel] -= 1;
            }
            (About::Submission(submission), Ended::Answered(Err(error))) => {
                self.submit_again(submission, &error.to_string());
            }
            _ => {}
        }
    }

    fn submit_again(&mut self, mut submission: Submission, why: &str) {
        if submission.tries >= CLIENT_TRIES {
            let finding = format!("a call was not answered in {CLIENT_TRIES} tries: {why}");
            self.findings.insert(finding);
            return;
        }
        submission.not_before = self.world.clock.now().plus(CLIENT_PAUSE);
        self.submissions.push(submission);
    }

    /// Acknowledges what was handled and remembers what became of each.
    fn handled(&mut self, channel: usize, messages: &[Message], summary: &Summary) {
        let consumer = locked(&self.lanes).channels()[channel].consumer;
        let failed = summary.failed();
        for message in messages {
            let id = &message.message_id;
            let finished: Vec<&consumer::Finished> = summary
                .finished
                .iter()
                .filter(|one| one.message_id == *id)
                .collect();
            let [finished] = finished.as_slice() else {
                let finding = format!("{id} has {} outcomes", finished.len());
                self.findings.insert(finding);
                continue;
            };
            self.outcomes
                .entry((consumer, event_id(&message.body)))
                .or_default()
                .push(finished.outcome);
            let deleted = !self.world.strikes(|faults| faults.duplicates);
            if !failed.contains(id) && deleted {
                locked(&self.lanes).delete(channel, id);
            }
        }
    }

    fn rows(&mut self) -> Vec<Row> {
        let mut rows = Vec::new();
        for item in self.memory.items(&self.events) {
            match Row::read(item) {
                Ok(row) => rows.push(row),
                Err(name) => {
                    self.findings
                        .insert(format!("a row of the log has no sound {name}"));
                }
            }
        }
        rows
    }

    /// What the log says was published must be on the bus, at any moment a process may die.
    fn look_at_the_log(&mut self) {
        self.collect();
        for row in self.rows() {
            if row.published_at().is_some() && !self.taken.contains(&row.event_id) {
                self.findings.insert(format!(
                    "{} {} counts as published, but the bus never took it",
                    row.event_type, row.event_id
                ));
            }
        }
    }

    fn letter_ids(&self) -> BTreeSet<(usize, String)> {
        let lanes = locked(&self.lanes);
        let letters = lanes.channels().iter().flat_map(|channel| {
            let ids = channel.letters.iter();
            ids.map(|letter| (channel.consumer, event_id(letter.body())))
        });
        letters.collect()
    }

    /// Letters that may be an event's although the aggregate is not blocked by it: what was wrong need not have been the
    /// event itself.
    fn vague_letters(&self) -> BTreeSet<(usize, String)> {
        let lanes = locked(&self.lanes);
        let letters = lanes.channels().iter().flat_map(|channel| {
            let vague = channel.letters.iter().filter(|letter| match letter {
                DeadLetter::Parked(letter) => letter.reason == ParkReason::UnavailableTooLong,
                DeadLetter::Exhausted { .. } => true,
            });
            vague.map(|letter| (channel.consumer, event_id(letter.body())))
        });
        letters.collect()
    }

    /// Where the cursors of the consumers that have some are, over every aggregate of the log.
    async fn cursors(&mut self) -> Result<Cursors, Unsound> {
        let aggregates: BTreeSet<String> =
            self.rows().into_iter().map(|row| row.aggregate).collect();
        let aggregates: Vec<String> = aggregates.into_iter().collect();
        let mut cursors = Cursors::new();
        for (at, consumer) in self.consumers.iter().enumerate() {
            if !consumer.selection.relies_on(Evidence::Cursor) {
                continue;
            }
            let read = self.calm.outbox.progress_of(consumer.name, &aggregates);
            let read = read.await.map_err(|error| {
                let what = format!("{}: {}", consumer.name, outbox::chain(&error));
                self.unsound(vec![what])
            })?;
            let placed = read.into_iter().map(|progress| {
                let aggregate = progress.aggregate().to_owned();
                ((at, aggregate), progress)
            });
            cursors.extend(placed);
        }
        Ok(cursors)
    }

    fn audit(&mut self, cursors: &Cursors) -> Result<(), Unsound> {
        self.look_at_the_log();
        let letters = self.letter_ids();
        let mut order = Order::new(cursors, self.vague_letters());
        let mut findings = self.findings.clone();
        let mut last: BTreeMap<String, u64> = BTreeMap::new();
        for row in self.rows() {
            let (name, id) = (
                format!("{} {}", row.event_type, row.event_id),
                &row.event_id,
            );
            let before = last.insert(row.aggregate.clone(), row.sequence);
            if row.sequence != before.unwrap_or(0) + 1 {
                findings.insert(format!(
                    "{} has a gap before {}",
                    row.aggregate, row.sequence
                ));
            }
            if row.published_at().is_none() && row.failed_at().is_none() {
                findings.insert(format!("{name} was not published"));
            }
            for (at, consumer) in self.consumers.iter().enumerate() {
                let Some(evidence) = consumer.selection.evidence(&row.event_type) else {
                    continue;
                };
                let place = (at, id.clone());
                let outcomes = self.outcomes.get(&place).map_or(&[][..], Vec::as_slice);
                if evidence == Evidence::Cursor {
                    if let Err(wrong) = order.look(at, &row, letters.contains(&place)) {
                        let told: Vec<&str> = outcomes.iter().map(|one| one.as_str()).collect();
                        findings.insert(format!(
                            "{} {wrong}; told of it: {}",
                            consumer.name,
                            told.join(", ")
                        ));
                    }
                    continue;
                }
                let handled = outcomes.iter().any(|outcome| {
                    matches!(
                        outcome,
                        Outcome::Done | Outcome::Duplicate | Outcome::Ignored
                    )
                });
                if !handled && !letters.contains(&place) {
                    findings.insert(format!(
                        "{} neither handled {name} nor has a letter",
                        consumer.name
                    ));
                }
                let done = outcomes
                    .iter()
                    .filter(|outcome| **outcome == Outcome::Done)
                    .count();
                if done > 1 {
                    findings.insert(format!("{} did {name} {done} times", consumer.name));
                }
            }
        }
        if findings.is_empty() {
            Ok(())
        } else {
            Err(self.unsound(findings.into_iter().collect()))
        }
    }
}

fn event_id(body: &str) -> String {
    let document: Value = serde_json::from_str(body).unwrap_or_default();
    document["event_id"].as_str().unwrap_or_default().to_owned()
}

/// The pipeline. It brings its own runtime: use it in plain tests, not inside an async one.
pub struct Flow {
    runtime: Runtime,
    core: Core,
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
        self.core.seed
    }

    /// Virtual time.
    #[must_use]
    pub fn clock(&self) -> &Arc<TestClock> {
        &self.core.world.clock
    }

    /// The store behind everything; reading it is no step and never fails.
    #[must_use]
    pub fn store(&self) -> &MemoryStore {
        &self.core.memory
    }

    /// From now on, what may go wrong.
    pub fn set_faults(&mut self, faults: Faults) {
        self.core.world.set_faults(faults);
    }

    /// Makes one call now, while nothing else moves; faults apply. `None`: its process died on the way, and what it did
    /// until then stands.
    pub fn command<T, Fut>(&mut self, call: impl FnOnce(Site) -> Fut) -> Option<T>
    where
        Fut: Future<Output = T>,
    {
        let world = Arc::clone(&self.core.world);
        let call = call(self.core.site.clone());
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
        self.core.submissions.push(Submission {
            call: Box::new(move |site| Box::pin(call(site))),
            tries: 0,
            not_before: self.core.world.clock.now(),
        });
    }

    /// Looks at, or arranges, what is stored; nothing goes wrong.
    pub fn look<T, Fut>(&self, look: impl FnOnce(Site) -> Fut) -> T
    where
        Fut: Future<Output = T>,
    {
        self.runtime.block_on(look(self.core.calm.clone()))
    }

    /// The envelope of an event with this payload, as a lane would carry it: the newest version of its contract, an id of
    /// its own, number 1 of its aggregate. `None`: no such contract, or a payload that is no JSON.
    #[must_use]
    pub fn message(&self, event_type: &str, payload: &str) -> Option<String> {
        let registry = self.core.calm.outbox().registry();
        let version = registry.latest(event_type)?;
        let info = registry.get(event_type, version)?.info();
        let payload: Value = serde_json::from_str(payload).ok()?;
        let clock = &self.core.world.clock;
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
        let now = self.core.world.clock.now();
        let place = self
            .core
            .consumers
            .iter()
            .find(|one| one.name == consumer)
            .and_then(|one| one.channels.first());
        if let Some(channel) = place {
            locked(&self.core.lanes).send(*channel, body.into(), now);
        }
        place.is_some()
    }

    /// Lets everything happen that can, waiting included, until nothing is left under way.
    ///
    /// # Errors
    /// When it never ends.
    pub fn drain(&mut self) -> Result<(), Unsound> {
        self.runtime.block_on(self.core.drain())
    }

    /// A consumer's letters.
    #[must_use]
    pub fn letters(&self, consumer: &str) -> Vec<DeadLetter> {
        let lanes = locked(&self.core.lanes);
        let channels = lanes.channels().iter();
        channels
            .filter(|channel| self.core.consumers[channel.consumer].name == consumer)
            .flat_map(|channel| channel.letters.iter().cloned())
            .collect()
    }

    /// Sends a consumer's letters back to its lanes; how many there were.
    pub fn redrive(&mut self, consumer: &str) -> usize {
        let now = self.core.world.clock.now();
        let at = self
            .core
            .consumers
            .iter()
            .position(|one| one.name == consumer);
        at.map_or(0, |at| locked(&self.core.lanes).redrive(at, now))
    }

    /// An aggregate's events (`cloud_account#ada`), in sequence. Rows that cannot be read are left out;
    /// [`Self::audit`] names them.
    #[must_use]
    pub fn history(&self, aggregate: &str) -> Vec<Envelope> {
        let rows = self.core.memory.items(&self.core.events).into_iter();
        rows.filter_map(|item| Row::read(item).ok())
            .filter(|row| row.aggregate == aggregate)
            .filter_map(|row| Registry::read(row.envelope_json()).ok())
            .collect()
    }

    /// Every event of the log, by aggregate and sequence.
    #[must_use]
    pub fn log(&self) -> Vec<Envelope> {
        let rows = self.core.memory.items(&self.core.events).into_iter();
        rows.filter_map(|item| Row::read(item).ok())
            .filter_map(|row| Registry::read(row.envelope_json()).ok())
            .collect()
    }

    /// What became of an event at a consumer, in order, as far as its invocations lived to tell.
    #[must_use]
    pub fn outcomes(&self, consumer: &str, event_id: &str) -> Vec<Outcome> {
        let named = self.core.outcomes.iter().filter(|((at, id), _)| {
            self.core.consumers[*at].name == consumer && id.as_str() == event_id
        });
        named
            .flat_map(|(_, outcomes)| outcomes.iter().copied())
            .collect()
    }

    /// Throws away what the stream still holds, as an outage longer than its 24 hours does.
    pub fn lose_stream(&mut self) {
        self.core.collect();
        for shard in &mut self.core.shards {
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
        let core = &mut self.core;
        let relay = Relay::new(
            Arc::clone(&core.publisher),
            Arc::clone(&core.store),
            core.events.clone(),
            Arc::clone(&core.world.clock) as Arc<dyn Clock>,
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
                &*core.store,
                &core.events,
                &*core.world.clock,
                &options,
                |_, _| (),
            );
            let summary = self.runtime.block_on(walk);
            published += summary.counts.published;
            if summary.error.is_none() && summary.next.is_none() {
                core.look_at_the_log();
                return Ok(published);
            }
        }
        Err(core.unsound(vec!["republish never ended".to_owned()]))
    }

    /// What must hold of every flow once it is drained: every event of the log published, and handled by every consumer
    /// that subscribed or among its letters; none done twice; sequences without gaps; nothing counted as published that
    /// the bus did not take. Where the evidence is a cursor: it is at the event or beyond, or the aggregate is blocked by the
    /// first event that is not handled, and that one is among the letters.
    ///
    /// # Errors
    /// Everything that does not hold, and the seed.
    pub fn audit(&mut self) -> Result<(), Unsound> {
        let cursors = self.runtime.block_on(self.core.cursors())?;
        self.core.audit(&cursors)
    }

    /// How far an in-order consumer is with an aggregate (`cloud_account#ada`); `None`: there is no such consumer, or its
    /// cursor cannot be read.
    #[must_use]
    pub fn progress(&self, consumer: &str, aggregate: &str) -> Option<Progress> {
        let mut consumers = self.core.consumers.iter();
        let name = consumers.find(|one| one.name == consumer)?.name;
        let read = self.core.calm.outbox.progress(name, aggregate);
        self.runtime.block_on(read).ok()
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Flow")
            .field("seed", &self.core.seed)
            .finish_non_exhaustive()
    }
}

impl Drop for Flow {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("flow: the seed was {}", self.core.seed);
        }
    }
}
