//! Tests the job in its runner, on an in-memory store and chain.

use std::sync::Arc;

use consumer::schedule::{Ending, Report, RunError};
use ethereum::{Expected, MemoryChain};
use events::{Cause, Timestamp};
use outbox::{Clock as _, Decision, Mark, Outcome, State as _, Store as _};
use serde_json::json;
use telemetry::metrics::Metrics;
use testkit::{TestClock, jobs::JobSite};

use super::*;

const LIMIT: Duration = Duration::from_secs(600);

struct Bench {
    site: JobSite,
    chain: Arc<MemoryChain>,
}

fn table() -> Table {
    Table::domain("cloud")
}

fn address(number: u32) -> EthereumAddress {
    EthereumAddress::new(format!("0x{number:040x}")).expect("an address")
}

fn id(number: u32) -> MemberId {
    MemberId::new(format!("member-{number}")).expect("an id")
}

/// Converts credits to units of a token with six decimals.
fn units(credits: u32) -> BigUint {
    BigUint::from(credits) * 1_000_000_u32
}

impl std::ops::Deref for Bench {
    type Target = JobSite;

    fn deref(&self) -> &JobSite {
        &self.site
    }
}

impl Bench {
    fn new() -> Self {
        let chain = Arc::new(MemoryChain::default());
        chain.set_decimals(6);
        Self {
            site: JobSite::new(),
            chain,
        }
    }

    fn worker(&self, reader: Option<Reader>) -> Worker {
        let decimals = TokenDecimals::new(6).expect("few enough");
        Worker::new(self.outbox().clone(), table(), reader, decimals, LIMIT)
    }

    async fn run(&self) -> Result<Report, RunError> {
        let chain = Arc::clone(&self.chain) as _;
        let expected = Expected {
            chain_id: None,
            decimals: 6,
        };
        let worker = self.worker(Some(Reader::new(chain, expected, Duration::from_secs(5))));
        self.run_with(worker).await
    }

    async fn run_with(&self, worker: Worker) -> Result<Report, RunError> {
        self.site.run(worker).await
    }

    /// Adds a member who has credits in the books.
    async fn member(&self, number: u32, credits: u32) {
        let member = json!({
            "member_id": id(number), "name": "Ada", "ethereum_address": address(number), "version": 1,
        });
        self.put(&Member::key(&table(), &id(number)), &member).await;
        self.books(number, credits).await;
    }

    async fn books(&self, number: u32, credits: u32) {
        let account = json!({ "balance": credits, "version": 1, "last_sequence": 1 });
        let key = Account::key(&table(), id(number).as_str());
        self.put(&key, &account).await;
    }

    /// Adds a job that is queued now.
    async fn job(&self, number: u32) -> Key {
        self.job_of(number, &self.clock().event_id_of_test()).await
    }

    /// Mints credits: writes the books, the statement's line under `version`, and the job.
    async fn minted(&self, number: u32, amount: u32, balance: u32, version: u64) -> Key {
        self.books(number, balance).await;
        let movement = self.clock().event_id_of_test();
        let line = json!({
            "transaction_id": movement, "kind": "minted", "amount": amount, "balance_after": balance,
            "occurred_at": self.clock().now(), "event_id": movement,
        });
        let version = events::Sequence::new(version).expect("a version");
        let key = Movement::key(&table(), id(number).as_str(), version);
        self.put(&key, &line).await;
        self.job_of(number, &movement).await
    }

    async fn job_of(&self, number: u32, movement: &str) -> Key {
        let event_id = self.clock().event_id_of_test();
        let job: Job = serde_json::from_value(json!({
            "member_id": id(number), "ethereum_address": address(number), "event_type": "cloud.minted",
            "event_id": event_id, "transaction_id": movement, "queued_at": self.clock().now(), "status": "queued",
        }))
        .expect("a job");
        let mark = Mark::Event {
            consumer: "test",
            event: event_id,
        };
        let outcome: Outcome<(), ()> = self
            .outbox()
            .execute(&mark, &Cause::default(), |mut transaction| {
                let job = &job;
                async move {
                    job.queue(&mut transaction, &table())?;
                    Ok::<_, outbox::Error>(Decision::Commit(transaction, ()))
                }
            })
            .await
            .expect("queues");
        assert!(matches!(outcome, Outcome::Committed { .. }));
        job.key(&table())
    }

    async fn read(&self, key: &Key) -> Job {
        let job: Option<Job> = self.outbox().row(key).await.expect("readable");
        job.expect("there")
    }

    async fn record(&self, number: u32) -> Option<ChainAccount> {
        let entity = self
            .outbox()
            .load::<ChainAccount>(&table(), id(number).as_str())
            .await;
        entity.expect("readable").state().cloned()
    }

    fn waiting(&self) -> usize {
        let items = self.store().items(&table());
        items
            .iter()
            .filter(|item| item.contains_key("chain_queue"))
            .count()
    }

    fn later(&self, seconds: u64) -> Timestamp {
        self.clock().advance(Duration::from_secs(seconds));
        self.clock().now()
    }
}

trait EventIds {
    fn event_id_of_test(&self) -> String;
}

impl EventIds for TestClock {
    fn event_id_of_test(&self) -> String {
        self.uuid().to_string()
    }
}

#[tokio::test]
async fn one_look_confirms_all_jobs_of_a_member() {
    let bench = Bench::new();
    bench.member(1, 30).await;
    bench.chain.set(&address(1), units(30));
    let (first, second) = (bench.job(1).await, bench.job(1).await);
    assert_eq!(bench.waiting(), 2);
    let now = bench.later(5);
    let report = bench.run().await.expect("runs");
    assert_eq!(report.counts["confirmed"], 2);
    assert_eq!((bench.chain.reads(), bench.waiting()), (1, 0));
    for key in [first, second] {
        let job = bench.read(&key).await;
        assert_eq!((job.status, job.ended_at), (Status::Confirmed, Some(now)));
    }
    let record = bench.record(1).await.expect("a record");
    assert_eq!(record.last_synced_at, Some(now));

    let idle = bench.run().await.expect("runs");
    assert!(idle.counts.is_empty());
    assert_eq!(bench.chain.reads(), 1, "nobody is asked for nothing");
}

#[tokio::test]
async fn a_job_waits_for_a_chain_that_lags_and_has_failed_when_it_lags_too_long() {
    let bench = Bench::new();
    bench.member(1, 30).await;
    bench.chain.set(&address(1), units(10));
    let key = bench.job(1).await;
    let report = bench.run().await.expect("runs");
    assert_eq!(report.counts["submitted"], 1);
    bench.later(300);
    let report = bench.run().await.expect("runs");
    assert_eq!(report.counts["waiting"], 1);
    assert_eq!(bench.read(&key).await.status, Status::Submitted);
    assert_eq!(bench.record(1).await, None);

    let now = bench.later(301);
    let report = bench.run().await.expect("a failed job fails no run");
    assert_eq!(report.counts["failed"], 1);
    assert!(report.notes[0].contains("member-1"), "{:?}", report.notes);
    let job = bench.read(&key).await;
    assert_eq!((job.status, job.ended_at), (Status::Failed, Some(now)));
    assert_eq!(
        job.reason.as_deref(),
        Some("after 600 s the chain says 10 and the books 30")
    );
    assert_eq!(bench.waiting(), 0);
}

#[tokio::test]
async fn a_chain_that_lags_longer_than_the_pause_between_movements_bears_each_out_in_its_turn() {
    let bench = Bench::new();
    bench.member(1, 0).await;
    // A movement every 200 s, and a chain that lags 400 s behind: chain and books never agree.
    let mut jobs = vec![];
    for number in 1..=6 {
        let balance = u32::try_from(number * 10).expect("few");
        jobs.push(bench.minted(1, 10, balance, number).await);
        let seen = u32::try_from(number.saturating_sub(2) * 10).expect("few");
        bench.chain.set(&address(1), units(seen));
        bench.run().await.expect("runs");
        bench.later(200);
    }
    let mut statuses = vec![];
    for key in &jobs {
        statuses.push(bench.read(key).await.status);
    }
    let (done, waits) = (Status::Confirmed, Status::Submitted);
    assert_eq!(statuses, [done, done, done, done, waits, waits]);
    // The job was confirmed although books and chain did not agree.
    assert_eq!(bench.record(1).await, None);
}

#[tokio::test]
async fn what_the_books_said_before_a_movement_does_not_bear_it_out() {
    let bench = Bench::new();
    bench.member(1, 0).await;
    bench.minted(1, 10, 10, 1).await;
    let key = bench.minted(1, 20, 30, 2).await;
    bench.chain.set(&address(1), units(10));
    let report = bench.run().await.expect("runs");
    assert_eq!(
        (report.counts["confirmed"], report.counts["submitted"]),
        (1, 1)
    );
    bench.later(601);
    bench.run().await.expect("runs");
    assert_eq!(bench.read(&key).await.status, Status::Failed);
}

#[tokio::test]
async fn jobs_that_failed_are_a_metric_of_their_run() {
    let bench = Bench::new();
    bench.member(1, 30).await;
    bench.job(1).await;
    bench.later(601);
    let report = bench.run().await.expect("runs");
    let mut expected = Metrics::for_consumer("dev", "cloud-chain-worker");
    expected.count(Counter::ChainJobFailed, 1);
    let metrics = schedule::metrics::<Worker>("dev", &report.counts);
    assert_eq!(metrics, expected);
    let report = bench.run().await.expect("runs");
    assert!(schedule::metrics::<Worker>("dev", &report.counts).is_empty());
}

#[tokio::test]
async fn a_token_of_other_decimals_fails_the_run_and_judges_nobody() {
    let bench = Bench::new();
    bench.member(1, 30).await;
    let key = bench.job(1).await;
    bench.chain.set(&address(1), units(30));
    bench.chain.set_decimals(18);
    bench.later(601);
    let error = bench.run().await.expect_err("another token").to_string();
    assert!(
        error.contains("states 18 decimals, the settings 6"),
        "{error}"
    );
    assert_eq!(bench.read(&key).await.status, Status::Queued);
}

#[tokio::test]
async fn an_address_that_nobody_can_read_holds_back_none_of_the_jobs_behind_it() {
    let bench = Bench::new();
    for number in 1..=2 {
        bench.member(number, number).await;
        bench.chain.set(&address(number), units(number));
    }
    let (_, key) = (bench.job(1).await, bench.job(2).await);
    bench.chain.fail(&address(1), Some(FaultKind::Unavailable));
    bench.run().await.expect("runs");
    assert_eq!(bench.read(&key).await.status, Status::Confirmed);
    // The job is now alone on its page.
    let report = bench.run().await.expect("runs");
    assert_eq!(report.counts["unavailable"], 1);
    assert!(report.notes[0].starts_with("balance of member-1 not read"));
}

#[tokio::test]
async fn a_chain_that_is_down_loses_nothing_and_the_next_run_goes_on() {
    let bench = Bench::new();
    bench.member(1, 30).await;
    bench.chain.set(&address(1), units(30));
    let key = bench.job(1).await;
    for kind in [FaultKind::Unavailable, FaultKind::Denied] {
        bench.chain.down(Some(kind));
        let error = bench.run().await.expect_err("down").to_string();
        assert!(
            error.contains("the node is down, 1 balance not read")
                && error.contains("told to fail"),
            "{error}"
        );
        assert_eq!(bench.read(&key).await.status, Status::Queued);
        bench.later(1_000);
    }
    bench.chain.down(None);
    let report = bench.run().await.expect("runs");
    assert_eq!(report.counts["confirmed"], 1, "however long it was down");
}

#[tokio::test]
async fn a_balance_that_cannot_be_read_holds_back_nobody_else() {
    let bench = Bench::new();
    for number in 1..=3 {
        bench.member(number, number).await;
        bench.chain.set(&address(number), units(number));
    }
    let keys = [bench.job(1).await, bench.job(2).await, bench.job(3).await];
    bench.chain.fail(&address(1), Some(FaultKind::Unreadable));
    bench.chain.fail(&address(2), Some(FaultKind::Unavailable));
    let report = bench.run().await.expect("runs");
    let expected = [("confirmed", 1), ("submitted", 1), ("unavailable", 1)];
    let expected = expected.map(|(name, n)| (name.to_owned(), n));
    assert_eq!(report.counts, BTreeMap::from(expected));
    assert_eq!(report.notes.len(), 2);
    assert!(report.notes[0].starts_with("balance of member-1 not read"));

    // A job can fail only if the chain answered for it: the other member's balance may be right.
    bench.later(601);
    let report = bench.run().await.expect("runs");
    assert_eq!(
        (report.counts["failed"], report.counts["unavailable"]),
        (1, 1)
    );
    let failed = bench.read(&keys[0]).await;
    assert!(
        failed
            .reason
            .expect("a reason")
            .contains("could not be read")
    );
    assert_eq!(bench.read(&keys[1]).await.status, Status::Queued);
}

#[tokio::test]
async fn without_a_chain_there_is_nothing_to_do_and_the_record_says_so() {
    let bench = Bench::new();
    bench.member(1, 30).await;
    bench.job(1).await;
    let report = bench.run_with(bench.worker(None)).await.expect("runs");
    assert_eq!((report.outcome, report.pages), (Ending::Finished, 1));
    assert_eq!(report.notes, ["no chain configured"]);
    assert_eq!(bench.waiting(), 1);
}

#[tokio::test]
async fn the_balance_is_looked_for_where_the_member_is_today() {
    let bench = Bench::new();
    bench.member(1, 30).await;
    bench.job(1).await;
    let moved = json!({
        "member_id": id(1), "name": "Ada", "ethereum_address": address(77), "version": 2,
    });
    bench.put(&Member::key(&table(), &id(1)), &moved).await;
    bench.chain.set(&address(77), units(30));
    let report = bench.run().await.expect("runs");
    assert_eq!(report.counts["confirmed"], 1);
}

#[tokio::test]
async fn many_jobs_take_many_pages_and_each_is_judged_once() {
    let bench = Bench::new();
    for number in 0..60 {
        bench.member(number, number).await;
        bench.chain.set(&address(number), units(number));
        bench.job(number).await;
        bench.job(number).await;
    }
    let report = bench.run().await.expect("runs");
    assert_eq!(report.outcome, Ending::Finished);
    assert_eq!(report.counts["confirmed"], 120);
    assert!(report.pages > 2, "{} pages", report.pages);
    assert_eq!(bench.waiting(), 0);
}

#[tokio::test]
async fn an_index_that_lags_behind_names_no_work() {
    let bench = Bench::new();
    bench.member(1, 30).await;
    let key = bench.job(1).await;
    let mut item = bench.store().get(&key).await.expect("read").expect("there");
    item.insert("status".into(), "confirmed".into());
    bench.store().put_all(&table(), &[item]).await.expect("put");
    let report = bench.run().await.expect("runs");
    assert!(report.counts.is_empty());
    assert_eq!(bench.chain.reads(), 0);
}

#[tokio::test]
async fn an_open_divergence_ends_when_a_job_finds_that_books_and_chain_agree() {
    let bench = Bench::new();
    bench.member(1, 30).await;
    bench.chain.set(&address(1), units(30));
    let record = json!({
        "episode": 3, "divergence": {"difference": "5", "found_at": bench.clock().now()},
        "version": 4, "last_sequence": 3,
    });
    let key = ChainAccount::key(&table(), id(1).as_str());
    bench.put(&key, &record).await;
    bench.job(1).await;
    bench.run().await.expect("runs");
    let record = bench.record(1).await.expect("a record");
    assert_eq!((record.episode, record.divergence), (3, None));
}
