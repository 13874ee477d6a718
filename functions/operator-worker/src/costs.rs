//! Compares the cost of runs with little to do with COSTS.md. The shipped job, runtime and store run on a DynamoDB that
//! counts units.

use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

use async_trait::async_trait;
use consumer::schedule::Report;
use events::{
    ConsumerName, Evidence, Selection, Timestamp, contracts::operation::RepublishSelection,
};
use letters::{
    Operation,
    operations::{Operations, Stopped},
    pause::Wish,
    replay::{BeginReplay, Replays},
    republish::{BeginRepublish, OLDER_THAN},
};
use mappings::MemoryMappings;
use outbox::{Clock as _, Fault, Outbox, SystemClock, Transaction, memory::MemoryBus};
use serde_json::{Value, json};
use testkit::costs::{self, Indexed, Site, steps};

use crate::{
    fixtures::{because, config, every_event, execute, owner, table},
    job::Redrive,
    lanes::{Lanes, SentBy},
};

/// Lanes that count what they are sent.
#[derive(Default)]
struct CountingLanes(AtomicU64);

#[async_trait]
impl Lanes for CountingLanes {
    async fn send(&self, _: &str, _: &str, _: SentBy) -> Result<(), Fault> {
        self.0.fetch_add(1, Ordering::Relaxed);
        Ok(())
    }
}

/// A stack without unresolved letters.
struct Scene {
    site: Site,
    store: Arc<Indexed>,
    outbox: Outbox,
    lanes: Arc<CountingLanes>,
    bus: Arc<MemoryBus>,
}

impl Scene {
    async fn new() -> Self {
        let site = Site::start(&[table()]).await;
        let store = Indexed::of(&site, |_| Vec::new());
        Self {
            outbox: site.outbox().with_store(Arc::<Indexed>::clone(&store)),
            site,
            store,
            lanes: Arc::default(),
            bus: Arc::new(MemoryBus::new()),
        }
    }

    /// The cost of a run, and its report.
    async fn run(&self) -> (Report, Vec<u64>) {
        let lanes = Arc::<CountingLanes>::clone(&self.lanes);
        let mappings = Arc::new(MemoryMappings::new().with("mill_analytics", 2));
        let bus = Arc::<MemoryBus>::clone(&self.bus);
        let redrive = Redrive::new(self.outbox.clone(), lanes, mappings, bus, config());
        self.store.take_queries();
        let ran = self.site.run(redrive.expect("a log"), &self.outbox);
        let (report, counts) = ran.await;
        // Half a read unit for each query of the index, which is eventually consistent, rounded up.
        let queries = self.store.take_queries();
        let counted = vec![
            counts.write_units,
            counts.read_units + queries.div_ceil(2),
            counts.all_calls() + queries,
        ];
        (report, counted)
    }

    /// Logs the samples of an event that were committed two days ago and never published.
    async fn pending(&self, count: u64) {
        for sequence in 1..=count {
            let mut event = costs::envelope("cloud.minted", &costs::sample("cloud.minted"));
            event["sequence"] = json!(sequence);
            event["occurred_at"] = json!(SystemClock.now().minus(OLDER_THAN * 2));
            self.site.log(&event).await;
        }
    }

    async fn begin(
        &self,
        decide: impl AsyncFn(&Operations<'_>, &mut Transaction) -> Result<Operation, Stopped>,
    ) {
        execute(&self.outbox, "begin", decide)
            .await
            .expect("begins");
    }

    /// The cost of a run without unresolved letters, over this wish.
    async fn cost(wish: Option<Value>) -> (Report, Vec<u64>) {
        let scene = Self::new().await;
        if let Some(wish) = wish {
            let consumer = wish["consumer"].as_str().expect("a name");
            let consumer = ConsumerName::new(consumer).expect("a name");
            let key = Wish::key(&table(), &consumer);
            scene.site.put(&key, &wish).await;
        }
        let ran = scene.run().await;
        assert_eq!(scene.lanes.0.load(Ordering::Relaxed), 0, "it sends nothing");
        ran
    }
}

#[tokio::test]
async fn a_run_with_nothing_to_do_costs_what_is_stated() {
    let (report, counted) = Scene::cost(None).await;
    assert_eq!(report.pages, 0);
    let stated = steps("step of a dead letter", "operator-worker");
    assert_eq!(stated["a run with nothing to do"], counted);
}

#[tokio::test]
async fn a_run_that_keeps_a_consumer_paused_costs_what_is_stated() {
    let wish = json!({
        "consumer": "analytics", "status": "paused", "since": "2026-01-01T00:00:00.000Z", "reason": "It counts twice.",
        "key_owner": "on-call", "version": 1, "listed": "paused", "listed_at": "2026-01-01T00:00:00.000Z#analytics",
    });
    let (report, counted) = Scene::cost(Some(wish)).await;
    assert_eq!(report.counts["paused"], 1);
    let stated = steps("step of a dead letter", "operator-worker");
    assert_eq!(stated["a run while a consumer is paused"], counted);
}

/// From the first page to the end of the operation, with what its end is told by. Half of a republication are the marks of what was
/// published, and both read the rows: one read unit for 4 KB, of which these have a sixth each.
#[tokio::test]
async fn a_republication_costs_what_is_stated() {
    let scene = Scene::new().await;
    scene.pending(100).await;
    scene
        .begin(async |operations, transaction| {
            let begin = BeginRepublish {
                selection: RepublishSelection {
                    // The operation's own first event is pending, too, and younger.
                    to: transaction.now().minus(OLDER_THAN),
                    include_failed: false,
                    limit: None,
                },
                rate_per_second: 100,
                by: because("it was empty"),
                key_owner: owner(),
            };
            operations.begin_republish(transaction, begin).await
        })
        .await;
    let (report, counted) = scene.run().await;
    assert_eq!(report.counts["sent"], 100);
    let stated = steps("step of a dead letter", "operator-worker");
    assert_eq!(stated["a republication of 100 events"], counted);
}

#[tokio::test]
async fn a_replay_costs_what_is_stated() {
    let scene = Scene::new().await;
    scene.pending(100).await;
    scene
        .begin(async |operations, transaction| {
            let replays = Replays {
                outbox: operations.outbox,
                table: operations.table,
            };
            let (every, began) = (Selection::Every(Evidence::Mark), Some(Timestamp::EPOCH));
            let now = transaction.now();
            let ready = replays.ready(&every_event(), every, began, now).await?;
            let begin = BeginReplay {
                rate_per_second: 100,
                by: because("it was empty"),
                key_owner: owner(),
                count: 0,
            };
            replays.begin(transaction, ready, begin).await
        })
        .await;
    let (report, counted) = scene.run().await;
    assert_eq!(scene.lanes.0.load(Ordering::Relaxed), 100, "{report:?}");
    let stated = steps("step of a dead letter", "operator-worker");
    assert_eq!(stated["a replay of 100 events"], counted);
}
