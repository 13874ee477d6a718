//! What a run costs, as COSTS.md states it: the shipped job, runtime and store against a DynamoDB that counts.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use aws::DynamoStore;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use cloud::{
    Account,
    chain::{Job, Member, TokenDecimals},
};
use cloud_chain_worker::job::Worker;
use consumer::schedule::{Ending, Runner, Settings};
use ethereum::{Expected, MemoryChain, Reader};
use events::{EthereumAddress, MemberId, Registry};
use num_bigint::BigUint;
use outbox::{
    Clock as _, CommitError, Fault, Guarded, GuardedPut, Item, Key, Outbox, Page, Prepared, Query,
    Scan, State, Store, SystemClock, Table, encode_item,
};
use serde_json::{Value, json};
use testkit::dynamo_stub::DynamoStub;
use uuid::Uuid;

const COSTS: &str = include_str!("../../../COSTS.md");

/// The rows of COSTS.md's table of the chain that begin with this function's name: write units, read units, DynamoDB calls,
/// balances asked for.
fn stated() -> BTreeMap<String, Vec<u64>> {
    let rows = COSTS
        .lines()
        .skip_while(|line| !line.starts_with("| step behind the chain |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    rows.filter_map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let step = cells.next()?.strip_prefix("`cloud-chain-worker`: ")?;
        Some((
            step.to_owned(),
            cells.map(|cell| cell.parse().unwrap()).collect(),
        ))
    })
    .collect()
}

/// The counting DynamoDB has no index: this one answers for it, with the keys of these rows, and counts its queries.
struct Indexed {
    inner: DynamoStore,
    waiting: Mutex<Vec<Item>>,
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
        // All of them in the first shard that is asked for.
        let items = std::mem::take(&mut *self.waiting.lock().unwrap());
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
    stub: DynamoStub,
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
        let (marks, cloud) = (Table::marks("marks"), table());
        let stub = DynamoStub::start([&marks, &cloud], Duration::ZERO, None).unwrap();
        let sdk = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(stub.endpoint())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .load()
            .await;
        let store = Arc::new(Indexed {
            inner: DynamoStore::new(aws_sdk_dynamodb::Client::new(&sdk)),
            waiting: Mutex::default(),
            queries: AtomicU64::default(),
        });
        let outbox = Outbox::without_log(
            Arc::<Indexed>::clone(&store),
            Arc::new(SystemClock),
            Arc::new(Registry::shipped()),
            marks,
        );
        Self {
            stub,
            store,
            outbox,
            chain: Arc::default(),
        }
    }

    async fn put(&self, key: Key, row: &Value) {
        let item = encode_item(&key, row).unwrap();
        self.store.put_all(&table(), &[item]).await.unwrap();
    }

    /// A member with credits in the books, minted in one movement, and the job of it.
    async fn job(&self, member: &str, status: &str) -> Key {
        let (id, address) = (MemberId::new(member).unwrap(), address(member));
        let (event_id, transaction) = (Uuid::now_v7(), Uuid::now_v7());
        let now = SystemClock.now();
        let known = json!({ "member_id": id, "name": "Ada Lovelace", "ethereum_address": address, "version": 1 });
        self.put(Member::key(&table(), &id), &known).await;
        let account = json!({ "balance": 100, "version": 1, "last_sequence": 1 });
        self.put(Account::key(&table(), member), &account).await;
        let line = json!({
            "kind": "minted", "amount": 100, "balance_after": 100, "version": 1, "transaction_id": transaction,
            "event_id": event_id, "occurred_at": now,
        });
        let place = table().key(
            format!("cloud_account#{id}"),
            "transaction#0000000000000001",
        );
        self.put(place, &line).await;
        let job = json!({
            "member_id": id, "ethereum_address": address, "event_type": "cloud.minted", "event_id": event_id,
            "transaction_id": transaction, "queued_at": now, "status": status,
        });
        let key = serde_json::from_value::<Job>(job.clone())
            .unwrap()
            .key(&table());
        self.put(key.clone(), &job).await;
        key
    }

    /// A run in which these jobs wait.
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
        let (_, asked) = (self.stub.take_counts(), self.chain.reads());
        let runner = Runner::new(worker, self.outbox.clone(), Settings::default());
        let deadline = SystemClock.now().plus(Duration::from_secs(60));
        let report = runner.run(deadline).await.unwrap();
        assert_eq!(report.outcome, Ending::Finished);
        let counts = self.stub.take_counts();
        let asked = self.chain.reads() - asked;
        // Eventually consistent, of little: half a read unit each.
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
    // The first run of all writes no lease over another.
    bench.run(&[]).await;
    let idle = bench.run(&[]).await;
    let more = |cost: Vec<u64>| -> Vec<u64> {
        let pairs = cost.into_iter().zip(&idle);
        pairs.map(|(cost, idle)| cost - idle).collect()
    };
    let mut counted = BTreeMap::new();
    let mut count = |step: &str, cost: Vec<u64>| counted.insert(step.to_owned(), cost);
    count("a run with nothing to do", idle.clone());

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
    assert_eq!(stated(), counted, "left: COSTS.md, right: counted");
}
