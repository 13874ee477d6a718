//! A test bench: a consumer with a scripted handler, a store with injected faults, and a queue that records its calls.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use async_trait::async_trait;
use consumer::{
    BatchRunner, Failure, Handler, Lane, Letter, Message, Outcome, Queue, Received, Settings,
    Summary,
};
use events::{
    AggregateField, AggregateId, Contract, DecodeError, Draft, Envelope, EventVersion, Priority,
    Registry, Retention, Timestamp,
    contracts::{cloud, member, wallet},
};
use outbox::{
    Clock, CommitError, Entity, Failures, Fault, FaultKind, Guarded, GuardedPut, Item, Key, Outbox,
    Page, Prepared, Query, Reason, Scan, State, Store, Table, Transaction, memory::MemoryStore,
};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use testkit::TestClock;

/// A contract whose upcaster has a bug.
#[derive(Debug, Clone, Serialize, Deserialize, schemars::JsonSchema)]
pub(crate) struct Fragile {}

impl Contract for Fragile {
    const TYPE: &'static str = "cloud.fragile";
    const VERSION: u16 = 2;
    const PRIORITY: Priority = Priority::High;
    const PRODUCER: &'static str = "test";
    const AGGREGATE: &'static str = "cloud_account";
    const RETENTION: Retention = Retention::Forever;
    const AGGREGATE_FIELD: AggregateField = AggregateField::Fixed("fragile");

    fn aggregate_id(&self) -> AggregateId {
        AggregateId::new("fragile").expect("an id")
    }

    fn upcast(
        _: EventVersion,
        _: &serde_json::value::RawValue,
    ) -> Option<Result<Self, DecodeError>> {
        panic!("the upcaster fell over")
    }
}

events::subscription! {
    /// The events that the scripted consumer subscribes to.
    pub(crate) enum Event {
        /// By mark.
        Minted(cloud::Minted) by Mark,
        /// By guard.
        Updated(member::Updated) by Guard,
        /// Panics while it is decoded.
        Fragile(Fragile) by Mark,
        /// By cursor.
        Deposited(wallet::Deposited) by Cursor,
    }
}

/// What the handler does next. After the end of the script it succeeds.
#[derive(Debug, Clone)]
pub(crate) enum Act {
    Succeed,
    Retry,
    Unavailable,
    Park,
    Panic,
    Hang,
    /// Works for this long, then succeeds.
    Work(Duration),
    /// Advances the test clock by this much, then succeeds.
    Pass(Duration),
    /// Emits an event.
    Emit,
}

/// The fault that the store injects.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// Marks cannot be read.
    MarksUnreadable(FaultKind),
    /// Reads of a mark never return.
    MarksSilent,
    /// Every commit finds other writers at work.
    Contended,
    /// The commit takes effect, then the call hangs.
    HangsAfterCommit,
    /// The commit is sent and hangs; it is unknown whether it will take effect.
    HangsInCommit,
    /// The commit is sent and hangs. It takes effect when the next dead letter is sent.
    LandsWithTheLetter,
    /// The commit takes effect, then the call panics.
    PanicsAfterCommit,
    /// One page of the log is read in the middle of a transaction: the transaction's first row is not visible yet.
    TornPage,
    /// The read of a page of the log takes this long.
    SlowPages(Duration),
}

#[derive(Default)]
pub(crate) struct Script {
    decide: Mutex<VecDeque<Act>>,
    after_commit: Mutex<VecDeque<Act>>,
    /// Payload amounts and attempts that `decide` saw, in order.
    pub(crate) decided: Mutex<Vec<(String, u32)>>,
    pub(crate) settled: Mutex<u32>,
}

impl Script {
    pub(crate) fn decide(&self, acts: impl IntoIterator<Item = Act>) {
        self.decide.lock().unwrap().extend(acts);
    }

    pub(crate) fn after_commit(&self, acts: impl IntoIterator<Item = Act>) {
        self.after_commit.lock().unwrap().extend(acts);
    }

    pub(crate) fn settled(&self) -> u32 {
        *self.settled.lock().unwrap()
    }

    pub(crate) fn decided(&self) -> Vec<(String, u32)> {
        self.decided.lock().unwrap().clone()
    }
}

pub(crate) struct Scripted {
    script: Arc<Script>,
    outbox: Outbox,
}

#[derive(Serialize, Deserialize)]
struct Account {}

impl State for Account {
    const AGGREGATE: &'static str = "cloud_account";
}

pub(crate) fn domain() -> Table {
    Table::domain("domain")
}

async fn act(act: Option<Act>, clock: &dyn Clock) -> Result<bool, Failure> {
    match act {
        Some(Act::Pass(span)) => {
            clock.sleep(span).await;
            Ok(false)
        }
        None | Some(Act::Succeed) => Ok(false),
        Some(Act::Emit) => Ok(true),
        Some(Act::Retry) => Err(std::io::Error::other("the disk is full").into()),
        Some(Act::Unavailable) => {
            Err(Fault::new(FaultKind::Unavailable, "ses SendEmail", "throttled").into())
        }
        Some(Act::Park) => Err(Failure::park("the account was closed")),
        Some(Act::Panic) => panic!("index out of bounds"),
        Some(Act::Hang) => std::future::pending().await,
        Some(Act::Work(span)) => {
            tokio::time::sleep(span).await;
            Ok(false)
        }
    }
}

#[async_trait]
impl Handler for Scripted {
    const NAME: &'static str = "scripted";
    type Event = Event;

    async fn decide(
        &self,
        received: &Received<Event>,
        mut transaction: Transaction,
    ) -> Result<Transaction, Failure> {
        let id = received.envelope.event_id.to_string();
        self.script
            .decided
            .lock()
            .unwrap()
            .push((id, received.attempt));
        let next = self.script.decide.lock().unwrap().pop_front();
        if act(next, &**self.outbox.clock()).await? {
            let account: Entity<Account> = self.outbox.load(&domain(), "unallocated").await?;
            let burned: cloud::Burned = serde_json::from_value(json!({
                "transaction_id": transaction.uuid(), "amount": 1, "amount_usd": 10, "reason": "spent",
                "version": account.version() + 1,
            }))?;
            transaction.update(&account, &Account {}, vec![Draft::of(&burned)?])?;
        }
        let event_id = received.envelope.event_id.to_string();
        transaction.add(domain().key("total", event_id), vec![("count", 1.into())]);
        Ok(transaction)
    }

    async fn project(&self, received: &Received<Event>) -> Result<GuardedPut, Failure> {
        let next = self.script.decide.lock().unwrap().pop_front();
        act(next, &**self.outbox.clock()).await?;
        let Event::Updated(updated) = &received.event else {
            return Err(Failure::park("no projection of this"));
        };
        let key = domain().key("contact", "contact");
        let mut item = key.attributes();
        item.insert("name".into(), updated.name.as_str().into());
        Ok(GuardedPut {
            key,
            item,
            version: updated.version.number(),
        })
    }

    async fn after_commit(&self, _: &Received<Event>) -> Result<(), Failure> {
        *self.script.settled.lock().unwrap() += 1;
        let next = self.script.after_commit.lock().unwrap().pop_front();
        act(next, &**self.outbox.clock()).await.map(drop)
    }
}

/// What the runtime did to the queues.
#[derive(Default)]
pub(crate) struct Queues {
    pub(crate) hidden: Mutex<Vec<(String, Duration)>>,
    pub(crate) letters: Mutex<Vec<(String, Letter)>>,
    pub(crate) broken: Mutex<bool>,
    /// Whether calls never return.
    pub(crate) silent: Mutex<bool>,
    /// The store, and a commit that has not reached it yet.
    on_the_way: Mutex<Option<(Arc<MemoryStore>, Prepared)>>,
}

#[async_trait]
impl Queue for Queues {
    async fn hide(&self, queue_url: &str, receipt: &str, span: Duration) -> Result<(), Fault> {
        assert_eq!(queue_url, lane().queue_url);
        self.be_silent().await;
        self.refuse("sqs ChangeMessageVisibility")?;
        self.hidden.lock().unwrap().push((receipt.to_owned(), span));
        Ok(())
    }

    async fn park(&self, url: &str, letter: &Letter) -> Result<(), Fault> {
        self.be_silent().await;
        self.refuse("sqs SendMessage")?;
        let lands = self.on_the_way.lock().unwrap().take();
        if let Some((store, prepared)) = lands {
            store.commit(&prepared).await.expect("lands");
        }
        self.letters
            .lock()
            .unwrap()
            .push((url.to_owned(), letter.clone()));
        Ok(())
    }
}

impl Queues {
    async fn be_silent(&self) {
        let silent = *self.silent.lock().unwrap();
        if silent {
            std::future::pending::<()>().await;
        }
    }

    fn refuse(&self, operation: &'static str) -> Result<(), Fault> {
        if *self.broken.lock().unwrap() {
            return Err(Fault::new(FaultKind::Denied, operation, "not permitted"));
        }
        Ok(())
    }
}

struct Troubled {
    inner: Arc<MemoryStore>,
    trouble: Arc<Mutex<Option<Trouble>>>,
    commits: Arc<AtomicUsize>,
    queues: Arc<Queues>,
    clock: Arc<TestClock>,
}

impl Troubled {
    fn now(&self) -> Option<Trouble> {
        *self.trouble.lock().unwrap()
    }
}

#[async_trait]
impl Store for Troubled {
    async fn get(&self, key: &Key) -> Result<Option<Item>, Fault> {
        if key.table == Table::marks("marks") {
            match self.now() {
                Some(Trouble::MarksUnreadable(kind)) => {
                    return Err(Fault::new(kind, "dynamodb GetItem", "not now"));
                }
                Some(Trouble::MarksSilent) => std::future::pending().await,
                _ => {}
            }
        }
        self.inner.get(key).await
    }
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, Fault> {
        self.inner.get_many(keys).await
    }
    async fn query(&self, query: &Query) -> Result<Page, Fault> {
        if let Some(Trouble::SlowPages(span)) = self.now() {
            self.clock.sleep(span).await;
        }
        let mut page = self.inner.query(query).await?;
        if self.now() == Some(Trouble::TornPage) {
            *self.trouble.lock().unwrap() = None;
            page.items.remove(0);
        }
        Ok(page)
    }
    async fn scan(&self, scan: &Scan) -> Result<Page, Fault> {
        self.inner.scan(scan).await
    }
    async fn commit(&self, prepared: &Prepared) -> Result<(), CommitError> {
        self.commits.fetch_add(1, Ordering::Relaxed);
        if self.now() == Some(Trouble::HangsInCommit) {
            std::future::pending::<()>().await;
        }
        if self.now() == Some(Trouble::LandsWithTheLetter) {
            *self.trouble.lock().unwrap() = None;
            let sent = (Arc::clone(&self.inner), prepared.clone());
            *self.queues.on_the_way.lock().unwrap() = Some(sent);
            std::future::pending::<()>().await;
        }
        if self.now() == Some(Trouble::Contended) {
            let reasons = vec![Reason::Conflict; prepared.writes.len()];
            return Err(CommitError::Cancelled(reasons));
        }
        let answer = self.inner.commit(prepared).await;
        match self.now() {
            Some(Trouble::HangsAfterCommit) => std::future::pending().await,
            Some(Trouble::PanicsAfterCommit) => panic!("fell over after the commit"),
            _ => answer,
        }
    }
    async fn put_guarded(&self, put: &GuardedPut) -> Result<Guarded, Fault> {
        self.inner.put_guarded(put).await
    }
    async fn put_all(&self, table: &Table, items: &[Item]) -> Result<(), Fault> {
        self.inner.put_all(table, items).await
    }
}

pub(crate) struct Bench {
    pub(crate) clock: Arc<TestClock>,
    pub(crate) store: Arc<MemoryStore>,
    pub(crate) trouble: Arc<Mutex<Option<Trouble>>>,
    commits: Arc<AtomicUsize>,
    pub(crate) queues: Arc<Queues>,
    pub(crate) script: Arc<Script>,
    pub(crate) runner: BatchRunner<Scripted>,
}

pub(crate) fn lane() -> Lane {
    Lane {
        name: "express",
        queue_arn: "arn:aws:sqs:us-east-2:123456789012:express".into(),
        queue_url: "https://queues/express".into(),
        dead_letter_queue_url: "https://queues/express-letters".into(),
    }
}

impl Bench {
    pub(crate) fn new() -> Self {
        Self::with(Settings::default())
    }

    pub(crate) fn with(settings: Settings) -> Self {
        let clock = Arc::new(TestClock::new(7));
        let store = Arc::new(MemoryStore::new());
        let trouble = Arc::new(Mutex::new(None));
        let commits = Arc::new(AtomicUsize::new(0));
        let (queues, script) = (Arc::new(Queues::default()), Arc::new(Script::default()));
        let outbox = Outbox::new(
            Arc::new(Troubled {
                inner: Arc::clone(&store),
                trouble: Arc::clone(&trouble),
                commits: Arc::clone(&commits),
                queues: Arc::clone(&queues),
                clock: Arc::clone(&clock),
            }),
            Arc::clone(&clock) as Arc<dyn Clock>,
            Arc::new(Registry::shipped()),
            Table::events("events"),
            Table::marks("marks"),
        );
        let handler = Scripted {
            script: Arc::clone(&script),
            outbox: outbox.clone(),
        };
        let queue = Arc::clone(&queues) as Arc<dyn Queue>;
        let runner = BatchRunner::new(handler, outbox, queue, settings);
        Self {
            clock,
            store,
            trouble,
            commits,
            queues,
            script,
            runner,
        }
    }

    /// The store to which the runner commits.
    pub(crate) fn outbox(&self) -> Outbox {
        self.runner.handler().outbox.clone()
    }

    pub(crate) fn trouble(&self, trouble: impl Into<Option<Trouble>>) {
        *self.trouble.lock().unwrap() = trouble.into();
    }

    /// Runs a batch with enough time.
    pub(crate) async fn batch(&self, messages: Vec<Message>) -> Summary {
        let deadline = self.clock.now().plus(Duration::from_secs(30));
        self.runner.run(&lane(), messages, deadline).await
    }

    /// Runs a batch of one message.
    pub(crate) async fn one(&self, message: Message) -> Outcome {
        let summary = self.batch(vec![message]).await;
        assert_eq!(summary.finished.len(), 1);
        summary.finished[0].outcome
    }

    /// A message that is received for the n-th time.
    pub(crate) fn message(&self, id: &str, body: impl Into<String>, receive_count: u32) -> Message {
        Message {
            message_id: id.to_owned(),
            receipt_handle: format!("receipt-{id}"),
            body: body.into(),
            receive_count,
            sent_at: self.clock.now(),
            first_received_at: self.clock.now(),
            operation_id: None,
            first_replay: None,
        }
    }

    /// Lets the event with this number have failed so many times, with its next attempt due.
    pub(crate) async fn failed(&self, number: u32, times: u32) {
        let failures = Failures {
            count: times,
            ..Failures::default()
        };
        self.clock.advance(Duration::from_millis(1));
        let (outbox, id) = (self.outbox(), event_id(number));
        let put = outbox.put_failures("scripted", &id, &failures).await;
        put.expect("put");
        self.clock.advance(Duration::from_millis(1));
    }

    /// How often the event with this number has failed.
    pub(crate) async fn failures(&self, number: u32) -> u32 {
        let read = self.outbox().failures("scripted", &event_id(number)).await;
        read.expect("read").map_or(0, |failures| failures.count)
    }

    /// How often the handler's effect was applied to the store.
    pub(crate) fn effects(&self) -> u64 {
        let items = self.store.items(&domain());
        let totals = items.iter().filter(|item| item["pk"] == "total");
        totals
            .map(|item| item["count"].as_u64().expect("a number"))
            .sum()
    }

    /// Puts events of the wallet `user-ada` into the event log, starting at a sequence: `d` is a deposit, `b` is an
    /// event that the consumer does not select.
    pub(crate) async fn log(&self, from: u64, kinds: &str) {
        let rows: Vec<Item> = (from..)
            .zip(kinds.chars())
            .map(|(sequence, kind)| log_row(&wallet_event(sequence, kind)))
            .collect();
        let put = self.store.put_all(&Table::events("events"), &rows).await;
        put.expect("put");
    }

    /// The message of an event of the wallet, received for the n-th time.
    pub(crate) fn wake(&self, sequence: u64, receive_count: u32) -> Message {
        let body = wallet_event(sequence, 'd').to_string();
        self.message(&format!("m{sequence}"), body, receive_count)
    }

    /// The sequences of the wallet's events whose effect is in the store, each with the number of times.
    pub(crate) fn done(&self) -> Vec<(u64, u64)> {
        let items = self.store.items(&domain());
        let totals = items.iter().filter(|item| item["pk"] == "total");
        let number = |id: &Value| id.as_str()?.rsplit('-').next()?.parse().ok();
        totals
            .map(|item| {
                (
                    number(&item["sk"]).expect("an id"),
                    item["count"].as_u64().expect("a number"),
                )
            })
            .collect()
    }

    /// The number of commits that the store received.
    pub(crate) fn commits(&self) -> usize {
        self.commits.load(Ordering::Relaxed)
    }

    pub(crate) fn letters(&self) -> Vec<Letter> {
        let letters = self.queues.letters.lock().unwrap();
        letters.iter().map(|(_, letter)| letter.clone()).collect()
    }

    pub(crate) fn hidden(&self) -> Vec<(String, Duration)> {
        self.queues.hidden.lock().unwrap().clone()
    }
}

/// The id of the event with this number.
fn event_id(number: u32) -> String {
    format!("018f0000-0000-7000-8000-{number:012}")
}

/// An envelope of a minted event, as the lanes carry it.
pub(crate) fn minted(number: u32) -> Value {
    let id = event_id(number);
    json!({
        "event_id": id, "event_type": "cloud.minted", "event_version": "v1",
        "occurred_at": "2026-01-01T00:00:00.000Z", "producer": "cloud-api",
        "correlation_id": "018f0000-0000-7000-8000-999999999999", "priority": "high",
        "aggregate_type": "cloud_account", "aggregate_id": "unallocated", "sequence": number,
        "payload": {
            "transaction_id": id, "amount": 5, "amount_usd": 50, "balance_after": 5, "version": number,
        },
    })
}

/// An envelope with a member's data at a version.
pub(crate) fn updated(version: u32, name: &str) -> Value {
    let id = format!("018f0000-0000-7000-8000-1{version:011}");
    json!({
        "event_id": id, "event_type": "member.updated", "event_version": "v1",
        "occurred_at": "2026-01-01T00:00:00.000Z", "producer": "member-api",
        "correlation_id": id, "priority": "normal",
        "aggregate_type": "member", "aggregate_id": "ada", "sequence": version,
        "payload": {
            "member_id": "ada", "name": name, "email": "ada@example.org", "role": "member",
            "notification_preferences": {"email_enabled": true, "in_app_enabled": true, "webhook_enabled": false},
            "version": version,
        },
    })
}

/// An event of the wallet `user-ada`.
fn wallet_event(sequence: u64, kind: char) -> Value {
    let id = format!("018f0000-0000-7000-8000-{sequence:012}");
    let (event_type, payload) = match kind {
        'd' => (
            "wallet.deposited",
            json!({
                "account_id": "ada", "account_type": "user", "amount": 5, "transaction_id": id, "balance_after": 5,
                "version": sequence,
            }),
        ),
        _ => (
            "wallet.balance_updated",
            json!({
                "account_id": "ada", "account_type": "user", "balance_state": "available", "balance_before": 0,
                "balance_after": 5, "change_amount": 5, "reason": "deposit", "transaction_id": id,
                "ledger_entry_id": "user-ada/1", "version": sequence,
            }),
        ),
    };
    json!({
        "event_id": id, "event_type": event_type, "event_version": "v1",
        "occurred_at": "2026-01-01T00:00:00.000Z", "producer": "wallet-api",
        "correlation_id": id, "priority": "high",
        "aggregate_type": "wallet_account", "aggregate_id": "user-ada", "sequence": sequence, "payload": payload,
    })
}

fn log_row(envelope: &Value) -> Item {
    let row = json!({
        "aggregate": "wallet_account#user-ada", "sequence": envelope["sequence"], "envelope": envelope.to_string(),
        "event_id": envelope["event_id"], "event_type": envelope["event_type"],
        "committed_at": envelope["occurred_at"],
    });
    row.as_object().expect("an object").clone()
}

pub(crate) fn read(envelope: &Value) -> Envelope {
    Registry::read(&envelope.to_string()).expect("an envelope")
}

pub(crate) fn outcomes(summary: &Summary) -> Vec<(String, Outcome)> {
    let finished = summary.finished.iter();
    let mut outcomes: Vec<_> = finished
        .map(|one| (one.message_id.clone(), one.outcome))
        .collect();
    outcomes.sort_by(|one, two| one.0.cmp(&two.0));
    outcomes
}

pub(crate) fn moment(text: &str) -> Timestamp {
    text.parse().expect("a moment")
}
