//! The parts of a flow: its consumers, its faults, and wrappers between the code and a port.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use consumer::{BatchRunner, Handler, Lane, Message, Queue, Settings, Summary};
use events::{Registry, Selection, Subscription, Timestamp};
use outbox::{
    Clock, Outbox, Publisher, Store, Table,
    memory::{MemoryBus, MemoryStore},
};

use super::{
    Faults, Flow, Site,
    crowd::Crowd,
    faults::{FaultyPublisher, FaultyStore, FlowQueue, World, locked},
    lane::Lanes,
    pipeline::{Consumer, Pipeline, SHARDS, Shard},
};

/// An instance of a function: a runner, its handler and what both remember.
#[async_trait]
pub(super) trait Hosted: Send + Sync {
    async fn run(&self, lane: &Lane, messages: Vec<Message>, deadline: Timestamp) -> Summary;
}

#[async_trait]
impl<H: Handler> Hosted for BatchRunner<H> {
    async fn run(&self, lane: &Lane, messages: Vec<Message>, deadline: Timestamp) -> Summary {
        BatchRunner::run(self, lane, messages, deadline).await
    }
}

pub(super) type Start = Box<dyn Fn(&Site, Arc<dyn Queue>, Settings) -> Arc<dyn Hosted>>;
pub(super) type WrapStore = Box<dyn FnOnce(Arc<dyn Store>) -> Arc<dyn Store>>;
pub(super) type WrapPublisher =
    Box<dyn FnOnce(Arc<dyn Publisher>, Arc<dyn Store>) -> Arc<dyn Publisher>>;
pub(super) type WrapQueue = Box<dyn FnOnce(Arc<dyn Queue>) -> Arc<dyn Queue>>;

pub(super) struct Planned {
    pub(super) name: &'static str,
    pub(super) selection: Selection,
    pub(super) start: Start,
}

/// The parts of a flow.
pub struct Builder {
    pub(super) seed: u64,
    pub(super) faults: Faults,
    pub(super) registry: Arc<Registry>,
    pub(super) settings: Settings,
    pub(super) consumers: Vec<Planned>,
    pub(super) store: WrapStore,
    pub(super) publisher: WrapPublisher,
    pub(super) queue: WrapQueue,
}

impl Builder {
    /// What can go wrong; by default nothing.
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

    /// Replaces the default settings of the consumers.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// Adds a consumer. The factory makes its handler for every new instance of its function, so also after each crash:
    /// state that must survive a crash belongs in the store. The consumer gets the lanes that its subscription needs:
    /// two if it receives both urgent and ordinary events, else one.
    #[must_use]
    pub fn consumer<H, F>(self, factory: F) -> Self
    where
        H: Handler + 'static,
        F: Fn(&Site) -> H + 'static,
    {
        self.consumer_with(|settings| settings, factory)
    }

    /// As [`Self::consumer`], with settings of its own, which the factory gets from the flow's settings.
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
                Arc::new(BatchRunner::new(
                    factory(site),
                    outbox,
                    queue,
                    own(settings),
                ))
            }),
        });
        self
    }

    /// Wraps the store, to prove that a test catches a missing safeguard.
    #[must_use]
    pub fn wrap_store(
        mut self,
        wrap: impl FnOnce(Arc<dyn Store>) -> Arc<dyn Store> + 'static,
    ) -> Self {
        self.store = Box::new(wrap);
        self
    }

    /// Wraps the bus as the relay sees it, to prove that a test catches a missing safeguard. The wrapper may use the
    /// store.
    #[must_use]
    pub fn wrap_publisher(
        mut self,
        wrap: impl FnOnce(Arc<dyn Publisher>, Arc<dyn Store>) -> Arc<dyn Publisher> + 'static,
    ) -> Self {
        self.publisher = Box::new(wrap);
        self
    }

    /// Wraps the queues as the consumer runtime sees them, to prove that a test catches a missing safeguard.
    #[must_use]
    pub fn wrap_queue(
        mut self,
        wrap: impl FnOnce(Arc<dyn Queue>) -> Arc<dyn Queue> + 'static,
    ) -> Self {
        self.queue = Box::new(wrap);
        self
    }

    /// Builds the flow.
    ///
    /// # Errors
    /// When no runtime can be created for it.
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
            let types = planned.selection.types_of(self.registry.contracts());
            let priorities = types
                .iter()
                .filter_map(|one| self.registry.get(one.event_type, one.version))
                .map(|entry| entry.info().priority);
            let subscribed = topology::Lane::of_consumer(planned.name, priorities);
            let channels = subscribed.into_iter().map(|takes| {
                let queue = takes.queue();
                let lane = Lane {
                    name: takes.name,
                    queue_arn: format!("arn:aws:sqs:us-east-1:000000000000:{queue}"),
                    queue_url: format!("flow://{queue}"),
                    dead_letter_queue_url: format!("flow://{}", topology::DEAD_LETTERS),
                };
                (takes, locked(&lanes).open(at, takes, lane))
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
        let pipeline = Pipeline {
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
        Ok(Flow { runtime, pipeline })
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
