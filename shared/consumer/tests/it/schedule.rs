//! Scheduled jobs: which run may work, what a run records, and that no page is written twice under any fault.

use std::{
    collections::{BTreeMap, VecDeque},
    future::Future as _,
    pin::pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use async_trait::async_trait;
use consumer::{
    Failure,
    schedule::{
        self, Ending, Job, JobRunner, Lease, Next, Paged, Report, RunError, RunRecord, Settings,
    },
};
use events::Registry;
use outbox::{
    Clock, CommitError, Condition, Fault, FaultKind, Guarded, GuardedPut, Item, Key, Mark, Outbox,
    Page, Prepared, Query, Reason, Scan, Store, Table, Transaction, memory::MemoryStore,
};
use serde::{Deserialize, Serialize};
use testkit::TestClock;
use tokio::sync::Notify;

const PAGES: u64 = 3;

/// What a page does next. After the end of the script it succeeds.
#[derive(Clone)]
enum Act {
    Succeed,
    Fail,
    Unavailable,
    Panic,
    Hang,
    /// This much time passes while the page works.
    Take(Duration),
    /// Signals that it waits, then waits for the signal to continue.
    Wait(Arc<Notify>, Arc<Notify>),
    /// Another writer changes what the page has read.
    Meddle,
}

/// What a job says when it is asked whether there is work.
#[derive(Clone, Copy, Debug, Default)]
enum Work {
    #[default]
    Some,
    None,
    Fails,
    Panics,
    Hangs,
}

/// What happens to a commit.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Fate {
    Pass,
    /// It takes effect, but the answer is lost.
    DoneButLost,
    /// It takes no effect, and the answer is lost.
    Lost,
    /// Its answer is lost, and it takes effect when the next commit comes.
    Late,
    /// It conflicts with another transaction.
    Conflict,
    /// It is refused before it begins.
    Denied,
    /// It hangs, and takes effect when the next commit comes.
    HangsThenLate,
    /// It takes this long.
    Slow(Duration),
    /// It takes this long, and its answer comes when the test releases it.
    SlowAndWaits(Duration),
}

#[derive(Default)]
struct World {
    memory: MemoryStore,
    work: Mutex<Work>,
    acts: Mutex<VecDeque<Act>>,
    fates: Mutex<VecDeque<Fate>>,
    late: Mutex<Option<Prepared>>,
    calls: AtomicUsize,
    clock: TestClock,
    waiting: Notify,
    go_on: Notify,
}

/// A store that lets other tasks run before every call and fails according to a script.
struct Troubled(Arc<World>);

fn lost() -> CommitError {
    CommitError::Unknown(Fault::new(
        FaultKind::Unavailable,
        "dynamodb TransactWriteItems",
        "no answer",
    ))
}

#[async_trait]
impl Store for Troubled {
    async fn get(&self, key: &Key) -> Result<Option<Item>, Fault> {
        tokio::task::yield_now().await;
        self.0.memory.get(key).await
    }
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, Fault> {
        self.0.memory.get_many(keys).await
    }
    async fn query(&self, query: &Query) -> Result<Page, Fault> {
        self.0.memory.query(query).await
    }
    async fn scan(&self, scan: &Scan) -> Result<Page, Fault> {
        self.0.memory.scan(scan).await
    }
    async fn commit(&self, prepared: &Prepared) -> Result<(), CommitError> {
        tokio::task::yield_now().await;
        self.0.calls.fetch_add(1, Ordering::Relaxed);
        let late = self.0.late.lock().unwrap().take();
        if let Some(late) = late {
            // The sender no longer waits. The stored data shows whether the commit was refused.
            self.0.memory.commit(&late).await.ok();
        }
        let fate = self.0.fates.lock().unwrap().pop_front();
        match fate.unwrap_or(Fate::Pass) {
            Fate::Pass => {}
            Fate::DoneButLost => {
                self.0.memory.commit(prepared).await?;
                return Err(lost());
            }
            Fate::Lost => return Err(lost()),
            Fate::Late => {
                *self.0.late.lock().unwrap() = Some(prepared.clone());
                return Err(lost());
            }
            Fate::Conflict => {
                let reasons = prepared.writes.iter().map(|_| Reason::Conflict).collect();
                return Err(CommitError::Cancelled(reasons));
            }
            Fate::Denied => {
                return Err(CommitError::NotWritten(Fault::new(
                    FaultKind::Denied,
                    "dynamodb TransactWriteItems",
                    "not permitted",
                )));
            }
            Fate::HangsThenLate => {
                *self.0.late.lock().unwrap() = Some(prepared.clone());
                std::future::pending::<()>().await;
            }
            Fate::Slow(span) => {
                let answer = self.0.memory.commit(prepared).await;
                self.0.clock.advance(span);
                return answer;
            }
            Fate::SlowAndWaits(span) => {
                let answer = self.0.memory.commit(prepared).await;
                self.0.clock.advance(span);
                self.0.waiting.notify_one();
                self.0.go_on.notified().await;
                return answer;
            }
        }
        let answer = self.0.memory.commit(prepared).await;
        tokio::task::yield_now().await;
        answer
    }
    async fn put_guarded(&self, put: &GuardedPut) -> Result<Guarded, Fault> {
        self.0.memory.put_guarded(put).await
    }
    async fn put_all(&self, table: &Table, items: &[Item]) -> Result<(), Fault> {
        self.0.memory.put_all(table, items).await
    }
}

fn marks() -> Table {
    Table::marks("marks")
}

fn domain() -> Table {
    Table::domain("domain")
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Place {
    page: u64,
}

/// A job of three pages. Each page adds one to its own row and reads a row that other writers can change.
struct Counting {
    world: Arc<World>,
}

#[async_trait]
impl Job for Counting {
    const NAME: &'static str = "counting";
    type Cursor = Place;

    async fn has_work(&self, _: events::Timestamp) -> Result<bool, Failure> {
        let work = *self.world.work.lock().unwrap();
        match work {
            Work::Some => Ok(true),
            Work::None => Ok(false),
            Work::Fails => Err(Failure::unavailable("the index does not answer")),
            Work::Panics => panic!("index out of bounds"),
            Work::Hangs => std::future::pending().await,
        }
    }

    async fn page(
        &self,
        cursor: Option<&Place>,
        mut transaction: Transaction,
    ) -> Result<Paged<Place>, Failure> {
        let page = cursor.map_or(0, |place| place.page);
        assert!(
            matches!(transaction.mark(), Mark::JobPage { page: marked, .. } if *marked == page),
            "the mark says which page it is"
        );
        let neighbour = domain().key("neighbour", "state");
        let seen = self.world.memory.get(&neighbour).await?;
        let act = self.world.acts.lock().unwrap().pop_front();
        match act.unwrap_or(Act::Succeed) {
            Act::Succeed => {}
            Act::Fail => return Err(Failure::retry("the disk is full")),
            Act::Unavailable => return Err(Failure::unavailable("the chain does not answer")),
            Act::Panic => panic!("index out of bounds"),
            Act::Hang => std::future::pending().await,
            Act::Take(span) => self.world.clock.advance(span),
            Act::Wait(waiting, go_on) => {
                waiting.notify_one();
                go_on.notified().await;
            }
            Act::Meddle => {
                let item = {
                    let mut item = neighbour.attributes();
                    item.insert("version".into(), 1.into());
                    item
                };
                self.world.memory.put_all(&domain(), &[item]).await?;
            }
        }
        let unchanged = seen.map_or(Condition::Absent, |item| {
            Condition::Equals(vec![("version", item["version"].clone())])
        });
        transaction.check(neighbour, unchanged);
        transaction.add(
            domain().key(format!("page#{page}"), "effect"),
            vec![("count", 1.into())],
        );
        let next = if page + 1 < PAGES {
            Next::From(Place { page: page + 1 })
        } else {
            Next::End
        };
        Ok(Paged::new(transaction, next)
            .count("rows", 2)
            .note(format!("page {page}")))
    }
}

struct Bench {
    world: Arc<World>,
    settings: Settings,
}

impl Bench {
    fn new() -> Self {
        Self {
            world: Arc::new(World::default()),
            settings: Settings::default(),
        }
    }

    fn acts(&self, acts: impl IntoIterator<Item = Act>) {
        self.world.acts.lock().unwrap().extend(acts);
    }

    fn has(&self, work: Work) {
        *self.world.work.lock().unwrap() = work;
    }

    fn fates(&self, fates: impl IntoIterator<Item = Fate>) {
        self.world.fates.lock().unwrap().extend(fates);
    }

    fn runner(&self) -> JobRunner<Counting> {
        /// The test's clock, which lets other tasks run while a task waits.
        struct Shared(Arc<World>);
        #[async_trait]
        impl Clock for Shared {
            fn now(&self) -> events::Timestamp {
                self.0.clock.now()
            }
            fn uuid(&self) -> uuid::Uuid {
                self.0.clock.uuid()
            }
            fn random_below(&self, bound: u64) -> u64 {
                self.0.clock.random_below(bound)
            }
            async fn sleep(&self, span: Duration) {
                self.0.clock.sleep(span).await;
            }
        }
        let outbox = Outbox::new(
            Arc::new(Troubled(Arc::clone(&self.world))),
            Arc::new(Shared(Arc::clone(&self.world))),
            Arc::new(Registry::shipped()),
            Table::events("events"),
            marks(),
        );
        let job = Counting {
            world: Arc::clone(&self.world),
        };
        JobRunner::new(job, outbox, self.settings.clone())
    }

    /// A run with enough time.
    async fn run(&self) -> Result<Report, RunError> {
        let deadline = self.world.clock.now().plus(Duration::from_secs(300));
        self.runner().run(deadline).await
    }

    fn pass_time(&self, seconds: u64) {
        self.world.clock.advance(Duration::from_secs(seconds));
    }

    /// How often each page's effect was applied to the store.
    fn effects(&self) -> Vec<u64> {
        let items = self.world.memory.items(&domain());
        let effects: BTreeMap<String, u64> = items
            .iter()
            .filter(|item| item["sk"] == "effect")
            .map(|item| (item["pk"].to_string(), item["count"].as_u64().unwrap()))
            .collect();
        effects.into_values().collect()
    }

    async fn lease(&self) -> Lease {
        schedule::lease(&self.world.memory, &marks(), "counting")
            .await
            .expect("readable")
            .expect("there")
    }

    async fn records(&self) -> Vec<RunRecord> {
        schedule::runs(&self.world.memory, &marks(), "counting", 100)
            .await
            .expect("readable")
    }

    fn calls(&self) -> usize {
        self.world.calls.load(Ordering::Relaxed)
    }
}

fn outcomes(records: &[RunRecord]) -> Vec<Option<Ending>> {
    records.iter().map(|record| record.outcome).collect()
}

#[tokio::test(start_paused = true)]
async fn a_pass_goes_page_by_page_and_the_next_run_begins_anew() {
    let bench = Bench::new();
    let report = bench.run().await.expect("runs");
    assert_eq!((report.outcome, report.pages), (Ending::Finished, PAGES));
    assert_eq!(report.counts, BTreeMap::from([("rows".to_owned(), 6)]));
    assert_eq!(report.notes, ["page 0", "page 1", "page 2"]);
    assert_eq!(bench.effects(), [1, 1, 1]);
    let first = bench.lease().await;
    assert!(!first.unfinished && first.cursor.is_none());
    assert_eq!(first.held_until, bench.world.clock.now(), "given back");
    assert_eq!(bench.calls(), 5, "taken, three pages, given back");

    bench.pass_time(60);
    let again = bench.run().await.expect("runs");
    assert_eq!(again.fence, report.fence + 1);
    assert_eq!(bench.effects(), [2, 2, 2]);
    let second = bench.lease().await;
    assert_ne!(second.pass, first.pass);
    assert_eq!(second.counts["rows"], 6, "counts are the pass's own");

    let records = bench.records().await;
    assert_eq!(outcomes(&records), [Some(Ending::Finished); 2]);
    assert_eq!(records[0].fence, again.fence, "the newest first");
    assert_eq!(
        (records[1].pages, records[1].ended_at),
        (PAGES, Some(first.held_until))
    );
    let last = schedule::runs(&bench.world.memory, &marks(), "counting", 1).await;
    assert_eq!(last.expect("readable"), records[..1]);
}

#[tokio::test(start_paused = true)]
async fn a_run_with_nothing_to_do_writes_nothing() {
    let bench = Bench::new();
    bench.has(Work::None);
    let never = bench.run().await.expect("runs");
    assert_eq!(
        (never.outcome, never.pages, never.fence),
        (Ending::Finished, 0, 0)
    );
    bench.has(Work::Some);
    let worked = bench.run().await.expect("runs");
    let (calls, lease) = (bench.calls(), bench.lease().await);
    bench.pass_time(60);
    bench.has(Work::None);
    let idle = bench.run().await.expect("runs");
    assert_eq!(
        (idle.outcome, idle.pages, idle.fence),
        (Ending::Finished, 0, worked.fence)
    );
    assert_eq!((bench.calls(), bench.lease().await), (calls, lease));
    assert_eq!(outcomes(&bench.records().await), [Some(Ending::Finished)]);
}

#[tokio::test(start_paused = true)]
async fn an_unfinished_pass_goes_on_though_a_new_one_would_find_nothing() {
    let bench = Bench::new();
    bench.acts([Act::Succeed, Act::Fail]);
    bench.run().await.expect_err("fails on its second page");
    bench.has(Work::None);
    let report = bench.run().await.expect("runs");
    assert_eq!((report.outcome, report.pages), (Ending::Finished, 2));
    assert_eq!(bench.effects(), [1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_job_that_cannot_say_whether_there_is_work_works() {
    for work in [Work::Fails, Work::Panics, Work::Hangs] {
        let bench = Bench::new();
        bench.has(work);
        let report = bench.run().await.expect("runs");
        assert_eq!(
            (report.outcome, report.pages),
            (Ending::Finished, PAGES),
            "{work:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_runners_at_once_one_acts() {
    let bench = Bench::new();
    let (one, two) = tokio::join!(bench.run(), bench.run());
    let mut endings = [one.expect("runs").outcome, two.expect("runs").outcome];
    endings.sort_by_key(|ending| ending.as_str());
    assert_eq!(endings, [Ending::Busy, Ending::Finished]);
    assert_eq!(bench.effects(), [1, 1, 1]);
    assert_eq!(bench.records().await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_lease_is_free_again_when_its_time_is_over_and_not_before() {
    let bench = Bench::new();
    let (waiting, never) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    bench.acts([Act::Succeed, Act::Wait(Arc::clone(&waiting), never)]);
    tokio::select! {
        _ = bench.run() => panic!("the page never ends"),
        () = waiting.notified() => {} // The run is killed in the middle of its second page.
    }
    let held = bench.lease().await;
    let busy = bench.run().await.expect("runs");
    assert_eq!((busy.outcome, busy.fence), (Ending::Busy, held.fence));
    bench.pass_time(29);
    assert_eq!(bench.run().await.expect("runs").outcome, Ending::Busy);
    bench.pass_time(1);
    let report = bench.run().await.expect("runs");
    assert_eq!((report.outcome, report.pages), (Ending::Finished, 2));
    assert_eq!(bench.effects(), [1, 1, 1]);
    let records = bench.records().await;
    assert_eq!(outcomes(&records), [Some(Ending::Finished), None]);
    assert_eq!(records[0].pass, records[1].pass, "the same pass");
    assert_eq!(records[0].first_page, 1);
    assert_eq!(bench.lease().await.counts["rows"], 6);
}

#[test]
fn killed_at_any_step_no_page_is_lost_and_none_is_written_twice() {
    let mut steps = 0;
    loop {
        let bench = Bench::new();
        let finished = {
            // The test polls by hand: each poll runs up to the next point where the run waits.
            let runtime = tokio::runtime::Builder::new_current_thread()
                .enable_time()
                .start_paused(true)
                .build()
                .expect("a runtime");
            let _guard = runtime.enter();
            let mut run = pin!(bench.run());
            let mut context = Context::from_waker(Waker::noop());
            (0..=steps).any(|_| matches!(run.as_mut().poll(&mut context), Poll::Ready(Ok(_))))
        };
        bench.pass_time(30);
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(async {
            if !bench.lease_is_done().await {
                let report = bench.run().await.expect("runs");
                assert_eq!(report.outcome, Ending::Finished, "killed after {steps}");
            }
            assert_eq!(bench.effects(), [1, 1, 1], "killed after {steps}");
        });
        if finished {
            break;
        }
        steps += 1;
    }
    assert!(steps > 10, "only {steps} steps were tried");
}

impl Bench {
    async fn lease_is_done(&self) -> bool {
        let lease = schedule::lease(&self.world.memory, &marks(), "counting").await;
        lease
            .expect("readable")
            .is_some_and(|lease| !lease.unfinished)
    }
}

#[tokio::test(start_paused = true)]
async fn a_late_page_of_a_run_that_lost_its_lease_is_refused_and_the_run_stops_at_once() {
    let bench = Bench::new();
    let (waiting, go_on) = (Arc::new(Notify::new()), Arc::new(Notify::new()));
    bench.acts([Act::Wait(Arc::clone(&waiting), Arc::clone(&go_on))]);
    let slow = bench.run();
    let quick = async {
        waiting.notified().await;
        bench.pass_time(31);
        // The successor commits only its first page, so that the slow run wakes up in the middle of the pass.
        let deadline = bench.world.clock.now().plus(Duration::from_secs(13));
        bench.acts([Act::Take(Duration::from_secs(2))]);
        let report = bench.runner().run(deadline).await.expect("runs");
        assert_eq!((report.outcome, report.pages), (Ending::Continues, 1));
        go_on.notify_one();
    };
    let (slow, ()) = tokio::join!(slow, quick);
    let slow = slow.expect("losing the lease is no failure");
    assert_eq!((slow.outcome, slow.pages), (Ending::LeaseLost, 0));
    assert_eq!(bench.effects(), [1]);
    let records = bench.records().await;
    assert_eq!(outcomes(&records), [Some(Ending::Continues), None]);
    assert_eq!(bench.lease().await.fence, slow.fence + 1);

    bench.pass_time(60);
    assert_eq!(bench.run().await.expect("runs").pages, 2);
    assert_eq!(bench.effects(), [1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_anywhere_is_settled_before_anything_else_happens() {
    for fate in [Fate::DoneButLost, Fate::Lost, Fate::Late, Fate::Conflict] {
        // The lease, each page, and the return of the lease.
        for commit in 0..5 {
            let bench = Bench::new();
            bench.fates((0..commit).map(|_| Fate::Pass).chain([fate]));
            let report = bench.run().await.expect("runs");
            let case = format!("{fate:?} of commit {commit}");
            assert_eq!(
                (report.outcome, report.pages),
                (Ending::Finished, PAGES),
                "{case}"
            );
            assert_eq!(bench.effects(), [1, 1, 1], "{case}");
            assert_eq!(
                outcomes(&bench.records().await),
                [Some(Ending::Finished)],
                "{case}"
            );
            assert!(
                bench.lease().await.held_until <= bench.world.clock.now(),
                "{case}"
            );
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_stays_away_fails_the_run_and_leaves_everything_to_the_next() {
    for before in 0..4 {
        let bench = Bench::new();
        bench.fates((0..before).map(|_| Fate::Pass).chain([Fate::Lost; 8]));
        let error = bench.run().await.expect_err("fails").to_string();
        assert!(error.contains("no answer"), "{error}");
        bench.world.fates.lock().unwrap().clear();
        bench.pass_time(31);
        assert_eq!(bench.run().await.expect("runs").outcome, Ending::Finished);
        assert_eq!(bench.effects(), [1, 1, 1], "away after {before}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_role_does_not_permit_fails_at_once() {
    let bench = Bench::new();
    bench.fates([Fate::Denied]);
    let error = bench.run().await.expect_err("fails").to_string();
    assert!(error.contains("not permitted"), "{error}");
    assert_eq!(bench.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_failing_page_leaves_cursor_and_record_and_is_where_the_next_run_begins() {
    let failures = [
        (Act::Fail, "the disk is full"),
        (Act::Unavailable, "the chain does not answer"),
        (Act::Panic, "the page panicked: index out of bounds"),
        (Act::Hang, "the page took longer than 10000 ms"),
    ];
    for (act, why) in failures {
        let bench = Bench::new();
        bench.acts([Act::Succeed, act]);
        let error = bench.run().await.expect_err("fails");
        assert_eq!((error.page, error.error.as_str()), (1, why));
        let record = bench.records().await.remove(0);
        assert_eq!(record.outcome, Some(Ending::Failed));
        assert_eq!((record.pages, record.error.as_deref()), (1, Some(why)));
        assert_eq!(record.counts["rows"], 2);
        let lease = bench.lease().await;
        assert_eq!(
            (lease.page, lease.cursor.as_deref()),
            (1, Some(r#"{"page":1}"#))
        );
        // The lease was given back, so the next run need not wait for its end.
        let report = bench.run().await.expect("runs");
        assert_eq!((report.outcome, report.pages), (Ending::Finished, 2));
        assert_eq!(bench.effects(), [1, 1, 1]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_commit_that_was_under_way_when_time_ran_out_counts_once_whether_it_lands_or_not() {
    // Case 1: the commit takes effect before the lease is given back.
    let bench = Bench::new();
    bench.fates([Fate::Pass, Fate::Pass, Fate::HangsThenLate]);
    let error = bench.run().await.expect_err("fails");
    assert!(error.error.ends_with("its commit under way"), "{error}");
    assert_eq!(bench.effects(), [1, 1]);
    let lease = bench.lease().await;
    assert_eq!(lease.page, 2, "the page that was committed after all");
    assert_eq!(lease.held_until, bench.world.clock.now());
    assert_eq!(bench.run().await.expect("runs").pages, 1);
    assert_eq!(bench.effects(), [1, 1, 1]);

    // Case 2: the commit reaches the store after the lease was given back, and is refused.
    let bench = Bench::new();
    bench.fates([Fate::Pass, Fate::Pass, Fate::HangsThenLate]);
    let deadline = bench.world.clock.now().plus(Duration::from_secs(300));
    let held = {
        let runner = bench.runner();
        let mut run = pin!(runner.run(deadline));
        // The return of the lease is the next commit, and the late commit would take effect before it. Keep it for
        // later.
        let mut held = None;
        let ended = std::future::poll_fn(|context| {
            if let Some(late) = bench.world.late.lock().unwrap().take() {
                held = Some(late);
            }
            run.as_mut().poll(context)
        })
        .await;
        assert!(ended.is_err());
        held.expect("a commit was under way")
    };
    assert_eq!(bench.effects(), [1]);
    assert!(
        matches!(
            bench.world.memory.commit(&held).await,
            Err(CommitError::Cancelled(_))
        ),
        "a commit from before the return of the lease"
    );
    assert_eq!(bench.run().await.expect("runs").pages, 2);
    assert_eq!(bench.effects(), [1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn when_its_time_is_up_a_run_stops_and_the_next_one_goes_on() {
    let bench = Bench::new();
    bench.acts(vec![Act::Take(Duration::from_secs(5)); 9]);
    let run = async |seconds| {
        let deadline = bench.world.clock.now().plus(Duration::from_secs(seconds));
        bench.runner().run(deadline).await
    };
    // Two pages of 5 s each, and 12 s must be left before each.
    let first = run(21).await.expect("runs");
    assert_eq!((first.outcome, first.pages), (Ending::Continues, 2));
    let lease = bench.lease().await;
    assert_eq!((lease.page, lease.unfinished), (2, true));
    let second = run(21).await.expect("runs");
    assert_eq!((second.outcome, second.pages), (Ending::Finished, 1));
    assert_eq!(second.counts["rows"], 2, "the run's own");
    assert_eq!(bench.lease().await.counts["rows"], 6, "the pass's");
    let third = run(11)
        .await
        .expect_err("a function's timeout that is too short");
    assert!(third.error.contains("12000 ms"), "{third}");
}

#[tokio::test(start_paused = true)]
async fn a_lease_that_a_page_might_outlast_is_renewed_first() {
    let bench = Bench::new();
    let slow = Fate::Slow(Duration::from_secs(20));
    bench.fates([slow, Fate::Pass, slow]);
    let report = bench.run().await.expect("runs");
    assert_eq!(report.outcome, Ending::Finished);
    // The commits: take the lease, renew it, a slow page, renew it, two pages, give it back.
    assert_eq!(bench.calls(), 7);
    assert_eq!(bench.effects(), [1, 1, 1]);

    // If another run took the lease meanwhile, it is not renewed and no page is begun.
    let bench = Bench::new();
    bench.fates([Fate::SlowAndWaits(Duration::from_secs(31))]);
    let (one, two) = tokio::join!(bench.run(), async {
        bench.world.waiting.notified().await;
        let report = bench.run().await;
        bench.world.go_on.notify_one();
        report
    });
    assert_eq!(one.expect("runs").outcome, Ending::LeaseLost);
    assert_eq!(two.expect("runs").outcome, Ending::Finished);
    assert_eq!(bench.effects(), [1, 1, 1]);
}

#[tokio::test(start_paused = true)]
async fn a_page_whose_reading_has_changed_is_decided_again() {
    let bench = Bench::new();
    bench.acts([Act::Meddle]);
    let report = bench.run().await.expect("runs");
    assert_eq!(report.outcome, Ending::Finished);
    assert_eq!(report.notes, ["page 0", "page 1", "page 2"]);
    assert_eq!(bench.effects(), [1, 1, 1]);
    assert_eq!(bench.calls(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_cursor_that_this_code_cannot_read_is_said_so_and_the_pass_can_be_given_up() {
    let bench = Bench::new();
    bench.acts([Act::Succeed, Act::Fail]);
    bench.run().await.expect_err("fails");
    let before = bench.lease().await;
    let key = marks().single_key("lease#counting");
    let mut item = bench
        .world
        .memory
        .get(&key)
        .await
        .expect("read")
        .expect("there");
    item.insert("cursor".into(), r#"{"offset":1}"#.into());
    bench
        .world
        .memory
        .put_all(&marks(), &[item])
        .await
        .expect("put");
    let error = bench.run().await.expect_err("fails");
    assert!(error.error.contains("lease#counting"), "{error}");
    assert_eq!(bench.lease().await.page, 1, "nothing is skipped by itself");

    bench.world.memory.remove(&key);
    bench.pass_time(60);
    assert_eq!(bench.run().await.expect("runs").pages, PAGES);
    assert!(
        bench.lease().await.fence > before.fence,
        "never a fencing number twice"
    );
    assert_eq!(bench.effects(), [2, 1, 1], "another pass");
}

#[tokio::test(start_paused = true)]
async fn the_schedules_event_is_not_looked_at_and_the_answer_says_how_the_run_ended() {
    let bench = Bench::new();
    let mut context = lambda_runtime::Context::default();
    let deadline = bench.world.clock.now().plus(Duration::from_secs(60));
    context.deadline = u64::try_from(deadline.unix_millis()).expect("after 1970");
    let scheduled = serde_json::json!({
        "version": "0", "id": "53dc4d37-cffa-4f76-80c9-8b7d4a4d2eaa", "detail-type": "Scheduled Event",
        "source": "aws.events", "account": "123456789012", "time": "2026-01-01T00:00:00Z", "region": "us-east-1",
        "resources": ["arn:aws:events:us-east-1:123456789012:rule/counting"], "detail": {},
    });
    let runner = bench.runner();
    for event in [scheduled, serde_json::json!({})] {
        bench.pass_time(1);
        let invocation = lambda_runtime::LambdaEvent::new(event, context.clone());
        let report = schedule::invoke(&runner, invocation).await.expect("runs");
        let answer = serde_json::to_value(&report).expect("JSON");
        assert_eq!(answer["outcome"], "finished");
        assert_eq!(answer["counts"]["rows"], 6);
    }
    bench.acts([Act::Fail]);
    let invocation = lambda_runtime::LambdaEvent::new(serde_json::Value::Null, context);
    let error = schedule::invoke(&runner, invocation)
        .await
        .expect_err("fails");
    assert!(error.to_string().contains("the disk is full"), "{error}");
}
