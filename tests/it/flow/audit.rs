//! The conservation audit of what the pipeline left in memory. It must report no finding for a sound run, whatever
//! faults there were, and must name each thing that is then damaged.

mod commerce;
mod loan;
mod newcomers;
mod on_the_way;
mod operator;
mod orders;
mod planted;
mod scans;
mod settlement;
mod states;
mod wallet;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use cloud::{books::Books, totals};
use cloud_treasury::handler::Treasury;
use consumer::Handler;
use events::{Contract, Envelope, Timestamp, contracts};
use letters::{Body, Drained, Letter, QueueMessage};
use millrace::audit::{
    AuditTables, Finding, Kind, Lane, Options, Peeked, Queues, Report, Sources, audit,
};
use notifications::handler::Notifications;
use outbox::{
    Clock, Fault, Item, Key, Mark, State as _, Store, Table, encode_item, memory::MemoryStore,
};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use testkit::flow::Faults;

use super::{
    ledger::Ledger,
    orders_of,
    world::{
        World, analytics_table, cloud_table, feed_table, loan_table, member_table,
        notifications_table, settlement_table, wallet_table,
    },
};

/// A clock that stands still.
struct At(Timestamp);

#[async_trait]
impl Clock for At {
    fn now(&self) -> Timestamp {
        self.0
    }
    fn uuid(&self) -> uuid::Uuid {
        uuid::Uuid::now_v7()
    }
    fn random_below(&self, _: u64) -> u64 {
        0
    }
    async fn sleep(&self, _: Duration) {}
}

/// Queues whose content does not change, by URL.
#[derive(Default, Clone)]
struct Still {
    depths: BTreeMap<String, u64>,
    /// When lanes were created. All other lanes were created at the epoch.
    created: BTreeMap<String, Timestamp>,
    letters: BTreeMap<String, Vec<QueueMessage>>,
}

#[async_trait]
impl Queues for Still {
    async fn depth(&self, url: &str) -> Result<u64, Fault> {
        Ok(self.depths.get(url).copied().unwrap_or(0))
    }
    async fn created_at(&self, url: &str) -> Result<Timestamp, Fault> {
        Ok(self.created.get(url).copied().unwrap_or(Timestamp::EPOCH))
    }
    async fn peek(&self, url: &str, limit: usize) -> Result<Peeked, Fault> {
        let letters = self.letters.get(url).cloned().unwrap_or_default();
        Ok(Peeked {
            complete: letters.len() <= limit,
            letters: letters.into_iter().take(limit).collect(),
        })
    }
}

/// What a run left: every table, and queues for dead letters.
pub(super) struct Stand {
    store: Arc<MemoryStore>,
    queues: Still,
    log: Vec<Envelope>,
    now: Timestamp,
}

const LANES: [(&str, &str); 16] = [
    ("ActivityFeed", "express"),
    ("AuditLog", "express"),
    ("AuditLog", "standard"),
    ("Analytics", "express"),
    ("Analytics", "standard"),
    ("CloudChainSync", "express"),
    ("CloudChainSync", "standard"),
    ("CloudTreasury", "express"),
    ("EventFeed", "express"),
    ("EventFeed", "standard"),
    ("Notifications", "express"),
    ("Notifications", "standard"),
    ("LoanServicing", "express"),
    ("Ledger", "express"),
    ("Ledger", "standard"),
    ("WalletBalances", "express"),
];

/// Every table that an audit reads.
fn tables() -> [Table; 13] {
    [
        events_table(),
        marks_table(),
        cloud_table(),
        commerce_table(),
        member_table(),
        notifications_table(),
        analytics_table(),
        wallet_table(),
        settlement_table(),
        loan_table(),
        feed_table(),
        letters_table(),
        webhooks_table(),
    ]
}

fn events_table() -> Table {
    Table::events("events")
}

fn marks_table() -> Table {
    Table::marks("marks")
}

pub(super) fn now<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime")
        .block_on(future)
}

/// The URL of the dead-letter queue.
const DEAD_LETTERS: &str = "dead-letters";

fn commerce_table() -> Table {
    Table::domain("commerce")
}

fn letters_table() -> Table {
    Table::domain("letters")
}

fn webhooks_table() -> Table {
    Table::domain("webhooks")
}

impl Stand {
    pub(super) fn of(world: &World) -> Self {
        let store = Arc::new(MemoryStore::new());
        for table in tables() {
            let items = world.flow.store().items(&table);
            now(store.put_all(&table, &items)).expect("copied");
        }
        Self {
            store,
            queues: Still::default(),
            log: world.flow.log(),
            now: world.flow.clock().now().plus(Duration::from_secs(3_600)),
        }
    }

    fn quiet(seed: u64) -> Self {
        let mut world = World::new(seed, Faults::NONE, |builder| builder);
        world.register_everybody();
        world.flow.drain().expect("drains");
        world.approve_a_card();
        world.hand_in(&orders_of(seed, 240));
        world.settle().expect("sound");
        super::chain::diverge(&mut world, 1);
        operator::act(&world);
        commerce::act(&world);
        world.flow.drain().expect("drains");
        Self::of(&world)
    }

    fn audit(&self, options: &Options) -> Report {
        self.audit_of(self.store.clone(), options)
    }

    /// The audit of another store in place of this one.
    fn audit_of(&self, store: Arc<dyn Store>, options: &Options) -> Report {
        let lanes = LANES.map(|(consumer, name)| Lane {
            consumer: consumer.to_owned(),
            name,
            url: format!("{consumer}/{name}"),
        });
        let owned = [
            ("member", member_table()),
            ("cloud", cloud_table()),
            ("commerce", commerce_table()),
            ("notifications", notifications_table()),
            ("analytics", analytics_table()),
            ("wallet", wallet_table()),
            ("settlement", settlement_table()),
            ("loan", loan_table()),
            ("feed", feed_table()),
            ("letters", letters_table()),
            ("webhooks", webhooks_table()),
        ];
        let tables = AuditTables::new(events_table(), marks_table(), owned);
        let sources = Sources::new(
            store,
            Arc::new(self.queues.clone()),
            Arc::new(At(self.now)),
            tables,
            lanes.to_vec(),
            DEAD_LETTERS.to_owned(),
        )
        .watching::<Ledger>();
        now(audit(&sources, options, &mut |_| {})).expect("audits")
    }

    pub(super) fn settled(&self) -> Report {
        self.audit(&Options {
            settled: true,
            ..Options::default()
        })
    }

    /// The last event of a type.
    fn event<C: Contract>(&self) -> Envelope {
        let mut all = self.log.iter().rev();
        all.find(|event| event.event_type.as_str() == C::TYPE)
            .unwrap_or_else(|| panic!("no {}", C::TYPE))
            .clone()
    }

    /// The last event of a type that resulted in a note, and the note's key.
    fn noted<C: Contract>(&self) -> (Envelope, Key) {
        let of_type = |event: &&Envelope| event.event_type.as_str() == C::TYPE;
        let mut all = self.log.iter().rev().filter(of_type);
        all.find_map(|event| {
            let notes = mail::recipients::notes(event, &notifications_table()).ok()?;
            Some((event.clone(), notes.into_iter().next()?.key))
        })
        .expect("an event with a note")
    }

    /// An open stake, and the event behind its account's last version.
    fn staked(&self) -> (String, contracts::cloud::Staked) {
        let (mut books, mut open) = (Books::default(), BTreeMap::new());
        for event in &self.log {
            books.enter(event).expect("readable");
            match event.event_type.as_str() {
                contracts::cloud::Staked::TYPE => {
                    let staked: contracts::cloud::Staked = Self::payload(event);
                    open.insert(staked.position_id, staked);
                }
                contracts::cloud::Unstaked::TYPE => {
                    let ended: contracts::cloud::Unstaked = Self::payload(event);
                    open.remove(&ended.position_id);
                }
                _ => {}
            }
        }
        let (_, staked) = open.pop_first().expect("a stake");
        let ledger = books.take(staked.member_id.as_str());
        let last = ledger.values().next_back().expect("a change")[0].event_id;
        (last.to_string(), staked)
    }

    /// A chain job, and its key.
    fn job(&self) -> (Key, Item) {
        let items = self.store.items(&cloud_table());
        let word = |item: &Item, name: &str| item[name].as_str().expect("a key").to_owned();
        let mut jobs = items
            .into_iter()
            .filter(|item| word(item, "pk").starts_with("chain_job#"));
        let job = jobs.next().expect("a job");
        (cloud_table().key(word(&job, "pk"), word(&job, "sk")), job)
    }

    fn payload<C: Contract>(event: &Envelope) -> C {
        events::decode_payload(event).expect("a payload")
    }

    fn payload_value(event: &Envelope) -> Value {
        serde_json::from_str(event.payload.json()).expect("JSON")
    }

    fn item(&self, key: &Key) -> Item {
        now(self.store.get(key)).expect("answers").expect("there")
    }

    fn put(&self, table: &Table, item: Item) {
        now(self.store.put_all(table, &[item])).expect("written");
    }

    fn change(&self, key: &Key, change: impl FnOnce(&mut Item)) {
        let mut item = self.item(key);
        change(&mut item);
        self.put(&key.table, item);
    }

    /// Changes the payload in a row of the event log.
    fn retell(&self, event: &Envelope, change: impl FnOnce(&mut Value)) {
        self.change(&Self::row(event), |item| {
            let text = item["envelope"].as_str().expect("text");
            let mut envelope: Value = serde_json::from_str(text).expect("JSON");
            change(&mut envelope["payload"]);
            item.insert("envelope".into(), json!(envelope.to_string()));
        });
    }

    fn row(event: &Envelope) -> Key {
        events_table().numbered_key(event.aggregate(), event.sequence.number())
    }

    fn state(table: &Table, event: &Envelope) -> Key {
        table.key(event.aggregate(), "state")
    }

    fn forget<H: Handler>(&self, event: &Envelope) {
        let key = Mark::event(H::NAME, event)
            .key(&marks_table())
            .expect("a key");
        assert!(now(self.store.get(&key)).expect("answers").is_some());
        self.store.remove(&key);
    }

    /// Puts a message into the dead-letter queue, as the bus or a consumer does.
    fn park(&mut self, body: String, attributes: &[(&str, &str)]) {
        let letters = self
            .queues
            .letters
            .entry(DEAD_LETTERS.to_owned())
            .or_default();
        letters.push(QueueMessage {
            message_id: format!("message-{}", letters.len()),
            body,
            attributes: texts(attributes),
            source_arn: None,
        });
    }

    /// Writes a drained dead letter: its row and its body.
    fn drained(&self, id: &str, body: &str, attributes: &[(&str, &str)]) {
        let message = QueueMessage {
            message_id: format!("message-{id}"),
            body: body.to_owned(),
            attributes: texts(attributes),
            source_arn: None,
        };
        let letter = Letter::first(&Drained::read(&message, self.now), self.now);
        let (table, id) = (letters_table(), &letter.letter_id);
        let rows = [
            encode_item(&Letter::key(&table, id.as_str()), &letter),
            encode_item(&Body::key(&table, id), &Body::of(&message, self.now)),
        ];
        for row in rows {
            self.put(&table, row.expect("an item"));
        }
    }
}

fn texts(attributes: &[(&str, &str)]) -> BTreeMap<String, String> {
    attributes
        .iter()
        .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
        .collect()
}

fn named(event: &Envelope) -> Option<String> {
    Some(event.event_id.to_string())
}

fn add(item: &mut Item, name: &str, amount: &Value) {
    let decimal = |value: &Value| value.to_string().parse::<Decimal>().expect("a number");
    let sum = (decimal(&item[name]) + decimal(amount)).normalize();
    let sum: Value = serde_json::from_str(&sum.to_string()).expect("a number");
    item.insert(name.to_owned(), sum);
}

fn summary(report: &Report) -> Vec<(Kind, Option<&str>)> {
    report
        .findings
        .iter()
        .map(|finding| (finding.kind, finding.event_id.as_deref()))
        .collect()
}

const LOAN_ROWS: [&str; 3] = ["draws", "payments", "schedules"];

#[test]
fn a_good_run_is_clean_whatever_faults_there_were_and_its_sums_are_told() {
    #[derive(Default)]
    struct Seen {
        redeemed: rust_decimal::Decimal,
        staked: rust_decimal::Decimal,
        stakes: u64,
        entries: u64,
        escrows: u64,
        earned: Decimal,
        payments: u64,
        settlements: u64,
        /// Draws, payments and schedules.
        loan_rows: [u64; 3],
    }
    let mut seen = Seen::default();
    for seed in 0..24 {
        let mut world = World::new(seed, Faults::STORM, |builder| builder);
        world.fund();
        world.register_everybody();
        world.flow.drain().expect("drains");
        world.approve_a_card();
        world.hand_in(&orders_of(seed, 130));
        world.settle().expect("sound");
        let report = Stand::of(&world).settled();
        assert!(report.clean, "seed {seed}: {report}");
        assert_eq!(report.counts.pending, 0);
        assert!(report.counts.handled > 20, "{report}");
        let count = |domain: &str, name: &str| report.count(domain, name).expect(name);
        assert!(
            count("cloud", "statement_lines") > 5 && count("notifications", "notes") > 5,
            "{report}"
        );
        let figure = |domain: &str, unit: &str, name: &str| {
            let figure = report.figure(domain, name).expect(name);
            assert_eq!(figure.unit, unit);
            figure.amount.parse::<Decimal>().expect("a figure")
        };
        let credits = |name: &str| figure("cloud", "CLOUD", name);
        let owed = credits("minted") - credits("burned") - credits("redeemed");
        let held = credits("balances") + credits("staked");
        assert_eq!((held, credits("outstanding")), (owed, owed));
        seen.redeemed += credits("redeemed");
        seen.staked += credits("staked");
        seen.stakes += count("cloud", "stakes");
        let points = |name: &str| figure("wallet", "points", name);
        let owed = points("deposited") - points("withdrawn");
        seen.earned += points("earned");
        let held = ["available", "escrow", "earned"].map(points);
        assert_eq!(held.iter().sum::<Decimal>(), owed);
        seen.entries += count("wallet", "ledger_entries");
        seen.escrows += count("wallet", "escrows");
        seen.payments += count("settlement", "payments");
        seen.settlements += count("settlement", "settlements");
        for (sum, name) in seen.loan_rows.iter_mut().zip(LOAN_ROWS) {
            *sum += count("loan", name);
        }
        assert_eq!(count("feed", "fed"), report.counts.events);
    }
    // Sums of nothing would prove nothing.
    assert!(
        !seen.redeemed.is_zero() && !seen.staked.is_zero() && seen.stakes > 5,
        "{} redeemed, {} staked, {} stakes",
        seen.redeemed,
        seen.staked,
        seen.stakes
    );
    assert!(
        seen.entries > 500 && seen.escrows > 100 && !seen.earned.is_zero(),
        "{} entries, {} escrows, {} earned",
        seen.entries,
        seen.escrows,
        seen.earned
    );
    assert!(
        seen.payments > 70 && seen.settlements > 70,
        "{} payments, {} settlements",
        seen.payments,
        seen.settlements
    );
    assert!(
        seen.loan_rows.iter().all(|count| *count > 20),
        "{LOAN_ROWS:?}: {:?}",
        seen.loan_rows
    );
}

type Plant = fn(&mut Stand) -> (Kind, Option<String>);

/// Plants each damage in a stand of its own.
fn each_is_named(planted: &[(&str, Plant)], stand: impl Fn() -> Stand) {
    let clean = stand().settled();
    assert!(clean.clean, "{clean}");
    let mut wrong = Vec::new();
    for (what, plant) in planted {
        let mut stand = stand();
        let whole = stand.log.len();
        let (kind, event_id) = plant(&mut stand);
        // A plant that damages several events together removed them from its log.
        let together = whole - stand.log.len() + 1;
        let report = stand.settled();
        let matching: Vec<&Finding> = report
            .findings
            .iter()
            .filter(|one| one.kind == kind && (event_id.is_none() || one.event_id == event_id))
            .collect();
        if report.clean || matching.is_empty() || report.findings.len() != together {
            wrong.push(format!(
                "{what}: expected {kind} {event_id:?}, found {:?}\n{report}",
                summary(&report)
            ));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn what_an_event_without_its_row_leaves_behind_points_at_it() {
    let stand = Stand::quiet(7);
    let event = stand.event::<contracts::cloud::Minted>();
    stand.store.remove(&Stand::row(&event));
    let report = stand.settled();
    let id = event.event_id.to_string();
    let named = summary(&report);
    assert!(
        named.contains(&(Kind::OutOfSequence, Some(&id))),
        "{report}"
    );
    // No other event is suspected: the statement's line explains the total.
    assert!(
        named
            .iter()
            .all(|(kind, _)| matches!(kind, Kind::OutOfSequence | Kind::Books)),
        "{report}"
    );
}

#[test]
fn the_same_event_under_another_number_is_doubled() {
    let stand = Stand::quiet(7);
    let event = stand.event::<contracts::treasury::AccountChanged>();
    let next = event.sequence.number() + 1;
    let mut item = now(stand.store.get(&Stand::row(&event)))
        .expect("answers")
        .expect("there");
    let mut envelope: Value =
        serde_json::from_str(item["envelope"].as_str().expect("text")).expect("JSON");
    envelope["sequence"] = json!(next);
    item.insert("sequence".into(), json!(next));
    item.insert("envelope".into(), json!(envelope.to_string()));
    now(stand.store.put_all(&events_table(), &[item])).expect("written");
    let report = stand.settled();
    let id = event.event_id.to_string();
    assert!(
        summary(&report).contains(&(Kind::Doubled, Some(&id))),
        "{report}"
    );
}

#[test]
fn an_audit_of_one_account_sees_that_account_and_no_other() {
    let stand = Stand::quiet(7);
    let event = stand.event::<contracts::cloud::Burned>();
    stand.change(&Stand::state(&cloud_table(), &event), |item| {
        add(item, "balance", &json!(0.123_457));
    });
    let only = |aggregate: &str| {
        let (kind, id) = aggregate.split_once('#').expect("two parts");
        stand.audit(&Options {
            settled: true,
            scope: vec![(kind.to_owned(), id.to_owned())],
            ..Options::default()
        })
    };
    assert_eq!(only(&event.aggregate()).findings.len(), 1);
    let mut others = 0;
    for other in &stand.log {
        if other.aggregate() != event.aggregate() {
            others += 1;
            let report = only(&other.aggregate());
            assert!(report.clean, "{report}");
            assert_eq!(report.figure("cloud", "minted"), None);
        }
    }
    assert!(others > 5);
}
