//! Compares the cost of a run with COSTS.md. The shipped job, runtime and store run on a DynamoDB that counts units.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, OnceLock,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use aws::DynamoStore;
use cloud::{
    Account,
    chain::{Job, Member, TokenDecimals},
};
use ethereum::{Expected, MemoryChain, Reader};
use events::{EthereumAddress, MemberId};
use num_bigint::BigUint;
use outbox::{
    Clock as _, CommitError, Fault, Guarded, GuardedPut, Item, Key, Outbox, Page, Prepared, Query,
    Scan, State, Store, SystemClock, Table,
};
use serde_json::json;
use testkit::costs::{Site, steps};
use uuid::Uuid;

use crate::job::Worker;

/// The counting DynamoDB has no index. This store answers queries of the index with the keys of these rows, and counts
/// them.
struct Indexed {
    inner: Arc<DynamoStore>,
    waiting: Mutex<Vec<Item>>,
    /// The first partition that was queried. All keys are in it.
    partition: OnceLock<String>,
    queries: AtomicU64,
}

#[async_trait]
impl Store for Indexed {
    async fn get(&self, key: &Key) -> Result<Option<Item>, Fault> {
        self.inner.get(key).await
    }
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, Fault> {
        self.inner.get_many(keys).await
    }
    async fn query(&self, query: &Query) -> Result<Page, Fault> {
        if query.index.is_none() {
            return self.inner.query(query).await;
        }
        self.queries.fetch_add(1, Ordering::Relaxed);
        let mut items = Vec::new();
        if *self.partition.get_or_init(|| query.pk.clone()) == query.pk {
            items.clone_from(&self.waiting.lock().unwrap());
            items.truncate(usize::try_from(query.limit).unwrap());
        }
        Ok(Page { items, next: None })
    }
    async fn scan(&self, scan: &Scan) -> Result<Page, Fault> {
        self.inner.scan(scan).await
    }
    async fn commit(&self, prepared: &Prepared) -> Result<(), CommitError> {
        self.inner.commit(prepared).await
    }
    async fn put_guarded(&self, put: &GuardedPut) -> Result<Guarded, Fault> {
        self.inner.put_guarded(put).await
    }
    async fn put_all(&self, table: &Table, items: &[Item]) -> Result<(), Fault> {
        self.inner.put_all(table, items).await
    }
}

struct Bench {
    site: Site,
    store: Arc<Indexed>,
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
        let store = Arc::new(Indexed {
            inner: site.store(),
            waiting: Mutex::default(),
            partition: OnceLock::new(),
            queries: AtomicU64::default(),
        });
        Self {
            outbox: site.outbox().with_store(Arc::<Indexed>::clone(&store)),
            site,
            store,
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
        *self.store.waiting.lock().unwrap() = jobs.iter().map(Key::attributes).collect();
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
        let queries = self.store.queries.swap(0, Ordering::Relaxed);
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
