//! The chain behind the pipeline: under any faults, every movement is looked for once; a divergence is reported once,
//! and nothing is reported that is not a divergence.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use cloud::{
    Account,
    chain::{Job, Status, TokenDecimals, books},
};
use cloud_chain_worker::job::Worker;
use cloud_reconcile::job::{Limits, Reconcile};
use consumer::schedule::{self, Ending, JobRunner, Settings};
use ethereum::{Balances, Expected, MemoryChain, Reader};
use events::{EthereumAddress, EventType};
use num_bigint::BigUint;
use outbox::Fault;
use proptest::prelude::*;
use serde_json::Value;
use testkit::flow::{BoxError, Faults, Site};

use super::world::{MEMBERS, World, address, any_faults, cloud_table, member_id, orders, rate};

/// Longer than any test's clock runs: nothing fails because of its age.
const LONG: Duration = Duration::from_secs(365 * 24 * 60 * 60);

/// A chain whose calls can be late, lost and throttled like all other calls.
struct FlowChain {
    site: Site,
    chain: Arc<MemoryChain>,
}

#[async_trait]
impl Balances for FlowChain {
    async fn balance(&self, holder: &EthereumAddress) -> Result<BigUint, Fault> {
        self.site.call("ethereum eth_call", || ()).await?;
        self.chain.balance(holder).await
    }
    async fn chain_id(&self) -> Result<BigUint, Fault> {
        self.chain.chain_id().await
    }
    async fn decimals(&self) -> Result<BigUint, Fault> {
        self.chain.decimals().await
    }
}

/// The number of runs after which every balance has very likely been read at least once.
const RUNS: usize = 6;

fn reader(site: &Site, chain: &Arc<MemoryChain>) -> Reader {
    let balances = FlowChain {
        site: site.clone(),
        chain: Arc::clone(chain),
    };
    let expected = Expected {
        chain_id: None,
        decimals: decimals().number(),
    };
    Reader::new(Arc::new(balances), expected, Duration::from_secs(5))
}

fn decimals() -> TokenDecimals {
    TokenDecimals::new(6).expect("few enough")
}

/// Whether a run that did not complete the pass is started again.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Until {
    Started,
    Finished,
}

/// A run. It is started again, as the schedule does.
async fn run<J: schedule::Job>(site: Site, job: J, until: Until) -> Result<(), BoxError> {
    let runner = JobRunner::new(job, site.outbox().clone(), Settings::default());
    let deadline = site.clock().now().plus(Duration::from_secs(300));
    let ended = runner.run(deadline).await;
    if until == Until::Started {
        return Ok(());
    }
    let why: BoxError = match ended {
        Ok(report) if report.outcome == Ending::Finished => return Ok(()),
        Ok(report) => format!("the run ended as {}", report.outcome.as_str()).into(),
        Err(error) => error.into(),
    };
    site.clock().sleep(Duration::from_secs(10)).await;
    Err(why)
}

/// A page makes dozens of calls, and nothing repeats a single throttled call here: with the worst faults no page would
/// ever complete.
fn milder(faults: Faults) -> Faults {
    const MOST: f64 = 0.02;
    Faults {
        lost_answers: faults.lost_answers.min(MOST),
        crashes: faults.crashes.min(MOST),
        throttles: faults.throttles.min(MOST),
        stalls: faults.stalls.min(MOST),
        ..faults
    }
}

fn work(world: &mut World, chain: &Arc<MemoryChain>, until: Until) {
    let chain = Arc::clone(chain);
    world.flow.submit(move |site| {
        let reader = Some(reader(&site, &chain));
        let outbox = site.outbox().clone();
        let worker = Worker::new(outbox, cloud_table(), reader, decimals(), LONG);
        run(site, worker, until)
    });
}

fn reconcile(world: &mut World, chain: &Arc<MemoryChain>) {
    let chain = Arc::clone(chain);
    world.flow.submit(move |site| {
        let reader = Some(reader(&site, &chain));
        let limits = Limits {
            decimals: decimals(),
            rate: rate(),
            in_flight: Duration::ZERO,
            unsynced_max: LONG,
        };
        let outbox = site.outbox().clone();
        let job = Reconcile::new(outbox, cloud_table(), reader, limits);
        run(site, job, Until::Finished)
    });
}

fn drain(world: &mut World) -> Result<(), TestCaseError> {
    world
        .flow
        .drain()
        .map_err(|error| TestCaseError::fail(error.to_string()))
}

/// Makes the chain agree with the books.
fn mirror(world: &World, chain: &MemoryChain) {
    for number in 0..MEMBERS {
        let Some(address) = address(number) else {
            continue;
        };
        let account = world.flow.look(|site| async move {
            let id = member_id(number);
            site.outbox()
                .load::<Account>(&cloud_table(), id.as_str())
                .await
        });
        let mut exact = books(account.expect("readable").state());
        exact.rescale(6);
        let units = BigUint::try_from(exact.mantissa()).expect("not below zero");
        chain.set(&address, units);
    }
}

fn jobs(world: &World) -> Vec<Job> {
    let items = world.flow.store().items(&cloud_table());
    items
        .into_iter()
        .filter(|item| {
            item["pk"]
                .as_str()
                .is_some_and(|pk| pk.starts_with("chain_job#"))
        })
        .map(|item| serde_json::from_value(Value::Object(item)).expect("a job"))
        .collect()
}

/// The expected jobs: one for every logged event that changed the balance of a member with an address.
fn expected(world: &World) -> Vec<(String, EventType, String)> {
    let mut expected = Vec::new();
    for event in world.flow.log() {
        let fields = match event.event_type.as_str() {
            "cloud.minted" | "cloud.redeemed" | "cloud.burned" => ["member_id", ""],
            "cloud.transferred" => ["from_member_id", "to_member_id"],
            _ => continue,
        };
        let payload = serde_json::to_value(&event.payload).expect("JSON");
        for field in fields {
            let Some(member) = payload[field].as_str() else {
                continue;
            };
            let has_address =
                (0..MEMBERS).any(|n| address(n).is_some() && member_id(n).as_str() == member);
            if has_address {
                let id = event.event_id.to_string();
                expected.push((member.to_owned(), event.event_type.clone(), id));
            }
        }
    }
    expected.sort();
    expected
}

fn divergences(world: &World) -> usize {
    let log = world.flow.log();
    log.iter()
        .filter(|event| event.event_type.as_str() == "cloud.sync_diverged")
        .count()
}

/// Makes the chain differ from the books for one member. The divergence is reported.
pub(super) fn diverge(world: &mut World, number: u8) {
    let chain = Arc::new(MemoryChain::default());
    chain.set_decimals(decimals().number());
    mirror(world, &chain);
    chain.set(&address(number).expect("has one"), BigUint::from(1_u8));
    reconcile(world, &chain);
    world.flow.drain().expect("drains");
}

fn story(seed: u64, faults: Faults, orders: &[super::world::Order]) -> Result<(), TestCaseError> {
    let mut world = World::new(seed, faults, |builder| builder);
    let chain = Arc::new(MemoryChain::default());
    chain.set_decimals(decimals().number());
    world.register_everybody();
    world.hand_in(orders);
    // The chain is read all the time, while it lags behind the books.
    for _ in 0..3 {
        work(&mut world, &chain, Until::Started);
    }
    world.settle().map_err(TestCaseError::fail)?;

    mirror(&world, &chain);
    world.flow.set_faults(milder(faults));
    // More than once: a run can succeed although some balance could not be read.
    for _ in 0..RUNS {
        work(&mut world, &chain, Until::Finished);
        reconcile(&mut world, &chain);
        drain(&mut world)?;
    }
    let jobs = jobs(&world);
    let mut queued: Vec<_> = jobs
        .iter()
        .map(|job| {
            let id = job.event_id.to_string();
            (job.member_id.to_string(), job.event_type.clone(), id)
        })
        .collect();
    queued.sort();
    prop_assert_eq!(queued, expected(&world));
    for job in &jobs {
        prop_assert_eq!(job.status, Status::Confirmed, "{:?}", job);
    }
    prop_assert_eq!(divergences(&world), 0, "no member diverges");

    // One member diverges, and continues to during all these runs.
    let one = address(1).expect("has one");
    chain.set(&one, BigUint::from(123_456_789_u32));
    for _ in 0..RUNS {
        reconcile(&mut world, &chain);
    }
    drain(&mut world)?;
    prop_assert_eq!(divergences(&world), 1);
    prop_assert_eq!(world.flow.history("chain_account#member-1").len(), 1);

    // The divergence ends, and a new one begins.
    mirror(&world, &chain);
    for _ in 0..RUNS {
        reconcile(&mut world, &chain);
        drain(&mut world)?;
    }
    chain.set(&one, BigUint::from(1_u8));
    for _ in 0..RUNS {
        reconcile(&mut world, &chain);
        drain(&mut world)?;
    }
    prop_assert_eq!(divergences(&world), 2);
    world.flow.set_faults(Faults::NONE);
    drain(&mut world)?;
    world
        .flow
        .audit()
        .map_err(|error| TestCaseError::fail(error.to_string()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_movement_is_looked_for_once_and_a_divergence_is_told_once(
        seed in any::<u64>(), faults in any_faults(), orders in orders(1..25),
    ) {
        story(seed, faults, &orders)?;
    }
}
