//! Compares the cost of a run with COSTS.md. The shipped job, runtime and store run on a DynamoDB that counts units.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, OnceLock},
    time::Duration,
};

use cloud::{
    Account,
    chain::{Job, Member, TokenDecimals},
};
use ethereum::{Expected, MemoryChain, Reader};
use events::{EthereumAddress, MemberId};
use num_bigint::BigUint;
use outbox::{Clock as _, Item, Key, Outbox, State, SystemClock, Table};
use serde_json::json;
use testkit::costs::{Indexed, Site, steps};
use uuid::Uuid;

use crate::job::Worker;

struct Bench {
    site: Site,
    store: Arc<Indexed>,
    /// The keys of the jobs that wait, as the index lists them.
    waiting: Arc<Mutex<Vec<Item>>>,
    outbox: Outbox,
    chain: Arc<MemoryChain>,
}

fn table() -> Table {
    Table::domain("cloud")
}

fn address(member: &str) -> EthereumAddress {
    let digits: String = member.bytes().map(|byte| format!("{byte:02x}")).collect();
    EthereumAddress::new(format!("0x{digits:0>40}")).unwrap()
}

impl Bench {
    async fn start() -> Self {
        let site = Site::without_log(&[table()]).await;
        let waiting = Arc::<Mutex<Vec<Item>>>::default();
        let listed = Arc::clone(&waiting);
        // The first partition that is queried. All keys are in it.
        let partition = OnceLock::new();
        let store = Indexed::of(&site, move |query| {
            let mut items = Vec::new();
            if *partition.get_or_init(|| query.pk.clone()) == query.pk {
                items.clone_from(&listed.lock().unwrap());
                items.truncate(usize::try_from(query.limit).unwrap());
            }
            items
        });
        Self {
            outbox: site.outbox().with_store(Arc::<Indexed>::clone(&store)),
            site,
            store,
            waiting,
            chain: Arc::default(),
        }
    }

    /// Adds a member whose credits were minted in one movement, and the job of that movement.
    async fn job(&self, member: &str, status: &str) -> Key {
        let (id, address) = (MemberId::new(member).unwrap(), address(member));
        let (event_id, transaction) = (Uuid::now_v7(), Uuid::now_v7());
        let now = SystemClock.now();
        let known = json!({ "member_id": id, "name": "Ada Lovelace", "ethereum_address": address, "version": 1 });
        self.site.put(&Member::key(&table(), &id), &known).await;
        let account = json!({ "balance": 100, "version": 1, "last_sequence": 1 });
        self.site
            .put(&Account::key(&table(), member), &account)
            .await;
        let line = json!({
            "kind": "minted", "amount": 100, "balance_after": 100, "version": 1, "transaction_id": transaction,
            "event_id": event_id, "occurred_at": now,
        });
        let place = table().key(
            format!("cloud_account#{id}"),
            "transaction#0000000000000001",
        );
        self.site.put(&place, &line).await;
        let job = json!({
            "member_id": id, "ethereum_address": address, "event_type": "cloud.minted", "event_id": event_id,
            "transaction_id": transaction, "queued_at": now, "status": status,
        });
        let key = serde_json::from_value::<Job>(job.clone())
            .unwrap()
            .key(&table());
        self.site.put(&key, &job).await;
        key
    }

    /// Counts a run in which these jobs wait.
    async fn run(&self, jobs: &[Key]) -> Vec<u64> {
        *self.waiting.lock().unwrap() = jobs.iter().map(Key::attributes).collect();
        let decimals = TokenDecimals::new(18).unwrap();
        let expected = Expected {
            chain_id: None,
            decimals: 18,
        };
        let chain = Arc::<MemoryChain>::clone(&self.chain);
        let reader = Reader::new(chain, expected, Duration::from_secs(5));
        let limit = Duration::from_secs(3_600);
        let worker = Worker::new(self.outbox.clone(), table(), Some(reader), decimals, limit);
        let asked = self.chain.reads();
        let (_, counts) = self.site.run(worker, &self.outbox).await;
        let asked = self.chain.reads() - asked;
        // Eventually consistent queries of little data: half a read unit each.
        let queries = self.store.take_queries();
        let (units, calls) = (
            counts.read_units + queries / 2,
            counts.all_calls() + queries,
        );
        vec![counts.write_units, units, calls, asked]
    }
}

#[tokio::test]
async fn every_row_of_the_table_is_what_is_counted() {
    let bench = Bench::start().await;
    // The very first run creates the lease, later runs overwrite one: only the later ones count.
    let gone = [table().key("chain_job#nobody", "none")];
    bench.run(&gone).await;
    let woken = bench.run(&gone).await;
    let more = |cost: Vec<u64>| -> Vec<u64> {
        let pairs = cost.into_iter().zip(&woken);
        pairs.map(|(cost, woken)| cost - woken).collect()
    };
    let mut counted = BTreeMap::new();
    let mut count = |step: &str, cost: Vec<u64>| counted.insert(step.to_owned(), cost);
    count("a run with nothing to do", bench.run(&[]).await);
    count("a run for a job that no longer waits", woken.clone());

    let hundred = BigUint::from(100_u8) * BigUint::from(10_u8).pow(18);
    bench.chain.set(&address("ada"), hundred);
    let jobs = [bench.job("ada", "queued").await];
    let one = more(bench.run(&jobs).await);
    let jobs = [
        bench.job("ada", "queued").await,
        bench.job("ada", "queued").await,
    ];
    let two = more(bench.run(&jobs).await);
    let further = two.iter().zip(&one).map(|(two, one)| two - one).collect();
    count("a job that is confirmed", one);
    count("a further one of the same member", further);
    let job = bench.job("bob", "queued").await;
    count(
        "a job that is not, the first time",
        more(bench.run(std::slice::from_ref(&job)).await),
    );
    count(
        "a job that is not, from then on",
        more(bench.run(&[job]).await),
    );
    let stated = steps("step behind the chain", "cloud-chain-worker");
    assert_eq!(stated, counted, "left: COSTS.md, right: counted");
}
