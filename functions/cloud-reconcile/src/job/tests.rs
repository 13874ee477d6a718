//! Tests the job in its runner, on an in-memory store and chain.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use consumer::schedule::{Ending, Report, RunError};
use ethereum::{Balances, Expected, MemoryChain};
use events::{Envelope, Registry};
use outbox::{Clock as _, FaultKind, State as _};
use serde_json::json;
use testkit::jobs::JobSite;

use super::*;

const IN_FLIGHT: Duration = Duration::from_secs(600);

const UNSYNCED_MAX: Duration = Duration::from_secs(5 * 3_600);

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

/// Converts credits to units of a token with eighteen decimals.
fn units(credits: u32) -> BigUint {
    BigUint::from(credits) * BigUint::from(10_u8).pow(18)
}

impl std::ops::Deref for Bench {
    type Target = JobSite;

    fn deref(&self) -> &JobSite {
        &self.site
    }
}

impl Bench {
    fn new() -> Self {
        Self {
            site: JobSite::new(),
            chain: Arc::new(MemoryChain::default()),
        }
    }

    async fn run(&self) -> Result<Report, RunError> {
        self.run_on(Some(Arc::clone(&self.chain) as _)).await
    }

    async fn run_on(&self, chain: Option<Arc<dyn Balances>>) -> Result<Report, RunError> {
        let reader = chain.map(|chain| Reader::new(chain, expected(), Duration::from_secs(5)));
        let limits = Limits {
            decimals: TokenDecimals::new(18).expect("few enough"),
            rate: "10".parse().expect("a rate"),
            in_flight: IN_FLIGHT,
            unsynced_max: UNSYNCED_MAX,
        };
        let job = Reconcile::new(self.outbox().clone(), table(), reader, limits);
        self.site.run(job).await
    }

    /// Adds a member who has had credits in the books for a long time.
    async fn member(&self, number: u32, credits: u32) {
        let member = json!({
            "member_id": id(number), "name": "Ada", "ethereum_address": address(number), "version": 1,
        });
        self.put(&Member::key(&table(), &id(number)), &member).await;
        self.books(number, credits, 1).await;
    }

    async fn books(&self, number: u32, credits: u32, version: u64) {
        let account = json!({ "balance": credits, "version": version, "last_sequence": version });
        let key = Account::key(&table(), id(number).as_str());
        self.put(&key, &account).await;
    }

    /// Adds a line to the member's statement that occurs now.
    async fn movement(&self, number: u32, kind: &str, version: u64) {
        let version = events::Sequence::new(version).expect("a version");
        let key = Movement::key(&table(), id(number).as_str(), version);
        self.put(
            &key,
            &json!({ "kind": kind, "occurred_at": self.clock().now() }),
        )
        .await;
    }

    async fn record(&self, number: u32) -> Option<ChainAccount> {
        let entity = self
            .outbox()
            .load::<ChainAccount>(&table(), id(number).as_str())
            .await;
        entity.expect("readable").state().cloned()
    }

    /// Every divergence that was published.
    fn divergences(&self) -> Vec<Envelope> {
        let rows = self.store().items(&Table::events("events"));
        rows.iter()
            .map(|row| {
                let text = row["envelope"].as_str().expect("an envelope");
                Registry::read(text).expect("sound")
            })
            .collect()
    }

    fn later(&self, seconds: u64) {
        self.clock().advance(Duration::from_secs(seconds));
    }
}

fn expected() -> Expected {
    Expected {
        chain_id: None,
        decimals: 18,
    }
}

fn counts(report: &Report) -> BTreeMap<&str, u64> {
    let counts = report.counts.iter();
    counts.map(|(name, n)| (name.as_str(), *n)).collect()
}

#[tokio::test]
async fn a_divergence_is_told_once_and_again_only_after_it_ended() {
    let bench = Bench::new();
    bench.member(1, 100).await;
    bench.chain.set(&address(1), units(100));
    let synced = bench.clock().now();
    assert_eq!(counts(&bench.run().await.expect("runs"))["agreed"], 1);

    bench.later(3_600);
    bench.chain.set(&address(1), units(40));
    assert_eq!(counts(&bench.run().await.expect("runs"))["diverged"], 1);
    // The divergence lasts and its amount changes: it is still the same divergence.
    for credits in [40, 30, 900] {
        bench.later(3_600);
        bench.chain.set(&address(1), units(credits));
        assert_eq!(counts(&bench.run().await.expect("runs"))["known"], 1);
    }
    let divergences = bench.divergences();
    assert_eq!(divergences.len(), 1);
    let payload = serde_json::to_value(&divergences[0].payload).expect("JSON");
    assert_eq!(payload["member_name"], "Ada");
    assert_eq!(payload["database_balance"], 100);
    assert_eq!(payload["onchain_balance"], "40");
    assert_eq!(payload["difference"], "60");
    assert_eq!(payload["difference_usd"], "600.00");
    assert_eq!(payload["last_synced_at"], json!(synced));
    assert_eq!(payload["version"], 2);
    assert_eq!(divergences[0].aggregate(), "chain_account#member-1");

    bench.chain.set(&address(1), units(100));
    bench.run().await.expect("runs");
    assert_eq!(bench.record(1).await.expect("a record").divergence, None);
    bench.chain.set(&address(1), units(101));
    bench.run().await.expect("runs");
    assert_eq!(bench.divergences().len(), 2);
}

#[tokio::test]
async fn a_member_with_money_in_flight_is_not_compared_yet() {
    let bench = Bench::new();
    bench.member(1, 100).await;
    bench.movement(1, "minted", 1).await;
    bench.member(2, 100).await;
    let job = json!({
        "member_id": id(2), "ethereum_address": address(2), "event_type": "cloud.minted",
        "event_id": bench.clock().uuid(), "transaction_id": bench.clock().uuid(),
        "queued_at": bench.clock().now(), "status": "submitted",
    });
    let queued: Job = serde_json::from_value(job.clone()).expect("a job");
    bench.put(&queued.key(&table()), &job.clone()).await;
    assert_eq!(counts(&bench.run().await.expect("runs"))["in_flight"], 2);
    bench.later(599);
    assert_eq!(counts(&bench.run().await.expect("runs"))["in_flight"], 2);
    assert!(bench.divergences().is_empty());
    bench.later(1);
    assert_eq!(counts(&bench.run().await.expect("runs"))["diverged"], 2);
    assert_eq!(bench.divergences().len(), 2);

    // A job that has ended is not in flight.
    bench.member(3, 100).await;
    let mut ended = job;
    ended["member_id"] = json!(id(3));
    ended["status"] = json!("failed");
    ended["queued_at"] = json!(bench.clock().now());
    let queued: Job = serde_json::from_value(ended.clone()).expect("a job");
    bench.put(&queued.key(&table()), &ended).await;
    assert_eq!(counts(&bench.run().await.expect("runs"))["diverged"], 1);
}

#[tokio::test]
async fn a_stake_moves_nothing_on_the_chain_and_excuses_no_difference() {
    let bench = Bench::new();
    bench.member(1, 100).await;
    bench.movement(1, "minted", 1).await;
    bench.later(601);
    // More lines than are read at a time.
    for version in 2..=25 {
        let kind = if version % 2 == 0 {
            "staked"
        } else {
            "unstaked"
        };
        bench.movement(1, kind, version).await;
    }
    assert_eq!(counts(&bench.run().await.expect("runs"))["diverged"], 1);

    // A young movement comes after them.
    bench.member(2, 100).await;
    bench.movement(2, "transferred_in", 1).await;
    for version in 2..=25 {
        bench.movement(2, "staked", version).await;
    }
    assert_eq!(counts(&bench.run().await.expect("runs"))["in_flight"], 1);
}

#[tokio::test]
async fn a_member_who_moves_all_the_time_is_not_excused_for_ever() {
    let bench = Bench::new();
    // One member's books and chain agreed once, the other's never.
    bench.member(1, 100).await;
    bench.chain.set(&address(1), units(100));
    bench.member(2, 100).await;
    bench.movement(2, "minted", 1).await;
    assert_eq!(
        counts(&bench.run().await.expect("runs")),
        BTreeMap::from([("agreed", 1), ("in_flight", 1)])
    );
    bench.chain.set(&address(1), units(40));
    for hour in 1..5 {
        bench.later(3_600);
        bench.movement(1, "minted", hour).await;
        bench.movement(2, "minted", hour + 1).await;
        assert_eq!(counts(&bench.run().await.expect("runs"))["in_flight"], 2);
    }
    bench.later(3_600);
    bench.movement(1, "minted", 5).await;
    bench.movement(2, "minted", 6).await;
    assert_eq!(counts(&bench.run().await.expect("runs"))["diverged"], 2);
    assert_eq!(bench.divergences().len(), 2);
}

#[tokio::test]
async fn a_token_of_other_decimals_fails_the_run_and_nobody_is_told() {
    let bench = Bench::new();
    for number in 1..=3 {
        bench.member(number, number).await;
        bench.chain.set(&address(number), units(number));
    }
    bench.chain.set_decimals(6);
    let error = bench.run().await.expect_err("another token").to_string();
    assert!(
        error.contains("states 6 decimals, the settings 18"),
        "{error}"
    );
    assert!(bench.divergences().is_empty());
}

#[tokio::test]
async fn whoever_stands_alone_on_a_page_and_cannot_be_read_is_named_too() {
    let bench = Bench::new();
    bench.member(1, 1).await;
    for kind in [FaultKind::Unavailable, FaultKind::Unreadable] {
        bench.chain.fail(&address(1), Some(kind));
        let report = bench.run().await.expect("the node still answers");
        assert_eq!(report.outcome, Ending::Finished);
        assert_eq!(counts(&report), BTreeMap::from([("unread", 1)]));
        assert!(report.notes[0].contains("member-1"), "{:?}", report.notes);
    }
    bench.chain.down(Some(FaultKind::Unavailable));
    let error = bench.run().await.expect_err("down").to_string();
    assert!(
        error.contains("the node is down, 1 balance not read"),
        "{error}"
    );
}

#[tokio::test]
async fn who_cannot_be_read_is_named_and_the_run_goes_on() {
    let bench = Bench::new();
    for number in 1..=4 {
        bench.member(number, number).await;
        bench.chain.set(&address(number), units(number));
    }
    bench.chain.fail(&address(2), Some(FaultKind::Unreadable));
    bench.chain.fail(&address(3), Some(FaultKind::Unavailable));
    let report = bench.run().await.expect("runs");
    assert_eq!(report.outcome, Ending::Finished);
    assert_eq!(
        counts(&report),
        BTreeMap::from([("agreed", 2), ("unread", 2)])
    );
    for member in ["member-2", "member-3"] {
        assert!(
            report.notes.iter().any(|note| note.contains(member)),
            "{:?}",
            report.notes
        );
    }
}

#[tokio::test]
async fn a_node_that_is_down_fails_the_run_which_goes_on_where_it_was() {
    let bench = Bench::new();
    for number in 0..100 {
        bench.member(number, 1).await;
        bench.chain.set(&address(number), units(1));
    }
    // The node goes down in the middle of the pass.
    let failing = Arc::new(DownAfter {
        chain: Arc::clone(&bench.chain),
        left: AtomicU32::new(60),
    });
    let error = bench
        .run_on(Some(Arc::clone(&failing) as _))
        .await
        .expect_err("down");
    assert!(error.page > 0, "{error}");
    assert!(
        error.error.contains("the node is down") && error.error.contains("balances not read"),
        "{error}"
    );
    let reads = bench.chain.reads();
    let report = bench.run().await.expect("runs");
    assert_eq!(report.outcome, Ending::Finished);
    let compared = report.counts["agreed"];
    assert!(compared < 100, "{compared}: not all of them again");
    assert_eq!(bench.chain.reads() - reads, compared);
    let done = bench.store().items(&table());
    let records = done
        .iter()
        .filter(|item| item.contains_key("last_synced_at"));
    assert_eq!(records.count(), 100);
}

/// A chain that answers a given number of times, then not at all.
struct DownAfter {
    chain: Arc<MemoryChain>,
    left: AtomicU32,
}

#[async_trait]
impl Balances for DownAfter {
    async fn balance(&self, holder: &EthereumAddress) -> Result<BigUint, Fault> {
        let one_less = |left: u32| left.checked_sub(1);
        self.left
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, one_less)
            .map_err(|_| Fault::new(FaultKind::Unavailable, "ethereum eth_call", "gone"))?;
        self.chain.balance(holder).await
    }
    async fn chain_id(&self) -> Result<BigUint, Fault> {
        if self.left.load(Ordering::Relaxed) == 0 {
            return Err(Fault::new(
                FaultKind::Unavailable,
                "ethereum eth_chainId",
                "gone",
            ));
        }
        self.chain.chain_id().await
    }
    async fn decimals(&self) -> Result<BigUint, Fault> {
        self.chain.decimals().await
    }
}

#[tokio::test]
async fn what_is_told_of_the_books_still_holds_when_it_is_told() {
    /// A chain during whose first read credits move.
    struct Moving(Arc<Bench>, AtomicU32);
    #[async_trait]
    impl Balances for Moving {
        async fn balance(&self, holder: &EthereumAddress) -> Result<BigUint, Fault> {
            if self.1.fetch_add(1, Ordering::Relaxed) == 0 {
                self.0.books(1, 250, 2).await;
            }
            self.0.chain.balance(holder).await
        }
        async fn chain_id(&self) -> Result<BigUint, Fault> {
            self.0.chain.chain_id().await
        }
        async fn decimals(&self) -> Result<BigUint, Fault> {
            self.0.chain.decimals().await
        }
    }
    let bench = Arc::new(Bench::new());
    bench.member(1, 100).await;
    bench.chain.set(&address(1), units(40));
    let moving = Arc::new(Moving(Arc::clone(&bench), AtomicU32::new(0)));
    let report = bench
        .run_on(Some(Arc::clone(&moving) as _))
        .await
        .expect("runs");
    assert_eq!(counts(&report), BTreeMap::from([("diverged", 1)]));
    let divergences = bench.divergences();
    let payload = serde_json::to_value(&divergences[0].payload).expect("JSON");
    assert_eq!(
        (divergences.len(), &payload["database_balance"]),
        (1, &json!(250))
    );
    assert_eq!(payload["difference"], "210");
}

#[tokio::test]
async fn the_largest_balance_a_token_can_have_is_told_like_any_other() {
    let bench = Bench::new();
    bench.member(1, 1).await;
    let most = (BigUint::from(1_u8) << 256_u32) - 1_u8;
    bench.chain.set(&address(1), most);
    bench.run().await.expect("runs");
    let divergences = bench.divergences();
    let payload = serde_json::to_value(&divergences[0].payload).expect("JSON");
    let difference = payload["difference"].as_str().expect("text");
    assert_eq!(
        difference,
        "-115792089237316195423570985008687907853269984665640564039456.584007913129639935"
    );
}

#[tokio::test]
async fn whoever_has_no_address_or_never_had_anything_is_left_alone() {
    let bench = Bench::new();
    for number in 0..50 {
        let member = json!({ "member_id": id(number), "name": "Ada", "version": 1 });
        bench
            .put(&Member::key(&table(), &id(number)), &member)
            .await;
        bench.books(number, 5, 1).await;
    }
    bench.member(50, 0).await;
    let report = bench.run().await.expect("runs");
    assert_eq!(counts(&report), BTreeMap::from([("nothing", 1)]));
    assert_eq!(bench.chain.reads(), 1);
    assert_eq!(bench.record(50).await, None);
}

#[tokio::test]
async fn without_a_chain_there_is_nothing_to_do_and_the_record_says_so() {
    let bench = Bench::new();
    bench.member(1, 100).await;
    let report = bench.run_on(None).await.expect("runs");
    assert_eq!(report.notes, ["no chain configured"]);
    assert!(bench.divergences().is_empty());
}
