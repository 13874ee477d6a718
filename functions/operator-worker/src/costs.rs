//! Compares the cost of runs with little to do with COSTS.md. The shipped job, runtime and store run on a DynamoDB that
//! counts units.

use std::sync::Arc;

use async_trait::async_trait;
use consumer::schedule::Report;
use events::ConsumerName;
use evidence::EvidenceTables;
use letters::pause::Wish;
use mappings::MemoryMappings;
use outbox::{Fault, Table, memory::MemoryBus};
use serde_json::{Value, json};
use testkit::costs::{Indexed, Site, steps};
use topology::Deployment;

use crate::{
    config::Config,
    job::Redrive,
    lanes::{Lanes, SentBy},
};

/// Lanes of a run that sends nothing.
struct NoLanes;

#[async_trait]
impl Lanes for NoLanes {
    async fn send(&self, queue: &str, _: &str, _: SentBy) -> Result<(), Fault> {
        panic!("a run with nothing to do sends nothing, and not to {queue}")
    }
}

/// The cost of a run without unresolved letters, over these wishes.
async fn cost(wishes: &[Value]) -> (Report, Vec<u64>) {
    let letters = Table::domain("letters");
    let site = Site::start(std::slice::from_ref(&letters)).await;
    for wish in wishes {
        let consumer = wish["consumer"].as_str().expect("a name");
        let consumer = ConsumerName::new(consumer).expect("a name");
        site.put(&Wish::key(&letters, &consumer), wish).await;
    }
    let store = Indexed::of(&site, |_| Vec::new());
    let outbox = site.outbox().with_store(Arc::<Indexed>::clone(&store));
    let config = Config {
        stack: "mill".to_owned(),
        bus_name: "bus".to_owned(),
        letters,
        evidence: EvidenceTables::new(Table::marks("marks")),
        deployment: Deployment::of_setting("").expect("the spine"),
    };
    let mappings = Arc::new(MemoryMappings::new().with("mill_analytics", 2));
    let redrive = Redrive::new(
        outbox.clone(),
        Arc::new(NoLanes),
        mappings,
        Arc::new(MemoryBus::new()),
        config,
    )
    .expect("a log");
    let (report, counts) = site.run(redrive, &outbox).await;
    // Half a read unit for each query of the index, which is eventually consistent, rounded up.
    let queries = store.take_queries();
    let counted = vec![
        counts.write_units,
        counts.read_units + queries.div_ceil(2),
        counts.all_calls() + queries,
    ];
    (report, counted)
}

#[tokio::test]
async fn a_run_with_nothing_to_do_costs_what_is_stated() {
    let (report, counted) = cost(&[]).await;
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
    let (report, counted) = cost(&[wish]).await;
    assert_eq!(report.counts["paused"], 1);
    let stated = steps("step of a dead letter", "operator-worker");
    assert_eq!(stated["a run while a consumer is paused"], counted);
}
