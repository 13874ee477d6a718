//! The conservation audit over what the pipeline left in memory: it agrees that a good run is good, whatever the weather
//! was, and names each thing that is then damaged by hand.

mod newcomers;
mod scans;
mod settlement;
mod wallet;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use cloud::{books::Books, totals};
use cloud_treasury::handler::Treasury;
use consumer::Handler;
use events::{Contract, Envelope, Timestamp, contracts};
use millrace::audit::{
    Finding, Kind, Lane, Options, Peeked, Queues, RawLetter, Report, Sources, Tables, audit,
};
use notifications::handler::Notifications;
use outbox::{Clock, Fault, Item, Key, Mark, Store, Table, memory::MemoryStore};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use testkit::flow::Faults;

use super::{
    ledger::Ledger,
    orders_of,
    world::{
        World, analytics_table, cloud_table, feed_table, member_table, notifications_table,
        settlement_table, wallet_table,
    },
};

/// A moment that stays.
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

/// Queues that stand still: what is in them, by URL.
#[derive(Default, Clone)]
struct Still {
    depths: BTreeMap<String, u64>,
    /// When lanes were made; all others at the beginning of time.
    created: BTreeMap<String, Timestamp>,
    letters: BTreeMap<String, Vec<RawLetter>>,
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

/// What a run left: every table, and queues to put letters into.
pub(super) struct Stand {
    store: Arc<MemoryStore>,
    queues: Still,
    log: Vec<Envelope>,
    now: Timestamp,
}

const LANES: [(&str, &str); 15] = [
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
    ("Ledger", "express"),
    ("Ledger", "standard"),
    ("WalletBalances", "express"),
];

/// Every table that an audit reads.
fn tables() -> [Table; 9] {
    [
        events_table(),
        marks_table(),
        cloud_table(),
        member_table(),
        notifications_table(),
        analytics_table(),
        wallet_table(),
        settlement_table(),
        feed_table(),
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

fn letters_url(consumer: &str, lane: &str) -> String {
    format!("{consumer}/{lane}/letters")
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
        world.hand_in(&orders_of(seed, 200));
        world.settle().expect("sound");
        super::chain::diverge(&mut world, 1);
        Self::of(&world)
    }

    fn audit(&self, options: &Options) -> Report {
        let lanes = LANES.map(|(consumer, name)| Lane {
            consumer: consumer.to_owned(),
            name,
            url: format!("{consumer}/{name}"),
            letters_url: letters_url(consumer, name),
        });
        let tables = Tables {
            events: events_table(),
            marks: marks_table(),
            member: member_table(),
            cloud: cloud_table(),
            notifications: notifications_table(),
            analytics: analytics_table(),
            wallet: wallet_table(),
            settlement: settlement_table(),
            feed: feed_table(),
        };
        let sources = Sources::new(
            self.store.clone(),
            Arc::new(self.queues.clone()),
            Arc::new(At(self.now)),
            tables,
            lanes.to_vec(),
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

    /// The last event of a type that came to a note, and the note's key.
    fn noted<C: Contract>(&self) -> (Envelope, Key) {
        let of_type = |event: &&Envelope| event.event_type.as_str() == C::TYPE;
        let mut all = self.log.iter().rev().filter(of_type);
        all.find_map(|event| {
            let notes = mail::recipients::notes(event, &notifications_table()).ok()?;
            Some((event.clone(), notes.into_iter().next()?.key))
        })
        .expect("an event with a note")
    }

    /// A stake that was not ended, and the event that its account's last version comes from.
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

    /// A job of the chain, and where it stands.
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

    /// Writes a row of the log anew.
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

    fn park(&mut self, consumer: &str, lane: &str, body: String, attributes: &[(&str, &str)]) {
        let letters = self
            .queues
            .letters
            .entry(letters_url(consumer, lane))
            .or_default();
        letters.push(RawLetter {
            message_id: format!("message-{}", letters.len()),
            body,
            attributes: attributes
                .iter()
                .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
                .collect(),
        });
    }
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

fn told(report: &Report) -> Vec<(Kind, Option<&str>)> {
    report
        .findings
        .iter()
        .map(|finding| (finding.kind, finding.event_id.as_deref()))
        .collect()
}

#[test]
fn a_good_run_is_clean_whatever_the_weather_was_and_its_sums_are_told() {
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
    }
    let mut seen = Seen::default();
    for seed in 0..24 {
        let mut world = World::new(seed, Faults::STORM, |builder| builder);
        world.fund();
        world.register_everybody();
        world.hand_in(&orders_of(seed, 130));
        world.settle().expect("sound");
        let report = Stand::of(&world).settled();
        assert!(report.clean, "seed {seed}: {report}");
        assert_eq!(report.counts.pending, 0);
        assert!(report.counts.handled > 20, "{report}");
        assert!(
            report.counts.statement_lines > 5 && report.counts.notes > 5,
            "{report}"
        );
        let figures = report.figures.expect("over all");
        let number = |text: &str| text.parse::<rust_decimal::Decimal>().expect("a figure");
        let gone = number(&figures.burned) + number(&figures.redeemed);
        let owed = number(&figures.minted) - gone;
        let held = number(&figures.balances) + number(&figures.staked);
        assert_eq!((held, number(&figures.outstanding)), (owed, owed));
        seen.redeemed += number(&figures.redeemed);
        seen.staked += number(&figures.staked);
        seen.stakes += report.counts.stakes;
        let points = report.points.expect("over all");
        let owed = number(&points.deposited) - number(&points.withdrawn);
        seen.earned += number(&points.earned);
        let held = [&points.available, &points.escrow, &points.earned].map(|sum| number(sum));
        assert_eq!(held.iter().sum::<Decimal>(), owed);
        seen.entries += report.counts.ledger_entries;
        seen.escrows += report.counts.escrows;
        seen.payments += report.counts.payments;
        seen.settlements += report.counts.settlements;
        assert_eq!(report.counts.fed, report.counts.events);
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
}

type Plant = fn(&mut Stand) -> (Kind, Option<String>);

/// What is damaged, and what must be said of it: this and nothing else.
const PLANTED: &[(&str, Plant)] = &[
    ("a mark is gone", |stand| {
        let event = stand.event::<contracts::cloud::Minted>();
        stand.forget::<Treasury>(&event);
        (Kind::Lost, Some(event.event_id.to_string()))
    }),
    ("a mark whose event has a fact is gone", |stand| {
        let event = stand
            .log
            .iter()
            .find(|event| {
                event.idempotency_key.is_some() && event.event_type.as_str() == "cloud.minted"
            })
            .expect("a charge")
            .clone();
        stand.forget::<Notifications>(&event);
        (Kind::Lost, Some(event.event_id.to_string()))
    }),
    ("a projection did not happen", |stand| {
        let event = stand.event::<contracts::member::Updated>();
        let first = stand
            .log
            .iter()
            .find(|one| one.aggregate() == event.aggregate())
            .expect("a registration");
        let tables = evidence::Tables::new(Table::marks("marks")).with(
            &topology::functions::notifications::TABLE,
            notifications_table(),
        );
        let put = evidence::watched()
            .into_iter()
            .find(|one| one.name == Notifications::NAME)
            .and_then(|one| one.proof(first, &tables).expect("a member's event"))
            .and_then(|proof| match proof {
                evidence::Proof::Row(put) => Some(put),
                evidence::Proof::Mark(_) | evidence::Proof::Cursor(..) => None,
            })
            .expect("a row");
        now(stand.store.put_all(&notifications_table(), &[put.item])).expect("written");
        let updates = stand
            .log
            .iter()
            .filter(|one| one.aggregate() == event.aggregate())
            .count();
        assert!(updates > 1);
        // Every event after the first is missing then; the last is asked for.
        for other in stand.log.clone() {
            if other.aggregate() == event.aggregate()
                && other.event_id != event.event_id
                && other.sequence.number() > 1
            {
                stand.log.retain(|one| one.event_id != other.event_id);
            }
        }
        (Kind::Lost, Some(event.event_id.to_string()))
    }),
    ("a projection says something else", |stand| {
        let event = stand.event::<contracts::member::Updated>();
        let id = &event.aggregate_id;
        stand.change(
            &notifications_table().key(format!("contact#{id}"), "contact"),
            |item| {
                item.insert("name".into(), json!("Somebody Else"));
            },
        );
        (Kind::Books, Some(event.event_id.to_string()))
    }),
    ("an event was never published", |stand| {
        let event = stand.event::<contracts::cloud::Transferred>();
        stand.change(&Stand::row(&event), |item| {
            item.remove("published_at");
        });
        (Kind::Stuck, Some(event.event_id.to_string()))
    }),
    ("the bus refused an event", |stand| {
        let event = stand.event::<contracts::cloud::Minted>();
        stand.change(&Stand::row(&event), |item| {
            item.remove("published_at");
            item.insert("failed_at".into(), json!("2026-01-01T00:00:00.000Z"));
            item.insert("last_error".into(), json!("NotAuthorized"));
        });
        (Kind::Stuck, Some(event.event_id.to_string()))
    }),
    ("an event was parked", |stand| {
        let event = stand.event::<contracts::cloud::Minted>();
        stand.forget::<Notifications>(&event);
        let body = event.to_json().expect("small");
        // Twice: parked again after a crash.
        for _ in 0..2 {
            stand.park(
                "Notifications",
                "express",
                body.clone(),
                &[("reason", "retries_exhausted"), ("error", "no")],
            );
        }
        (Kind::Parked, Some(event.event_id.to_string()))
    }),
    ("the bus could not deliver an event", |stand| {
        let event = stand.event::<contracts::cloud::Minted>();
        stand.forget::<Treasury>(&event);
        let detail: Value = serde_json::from_str(&event.to_json().expect("small")).expect("JSON");
        let body =
            json!({ "version": "0", "id": "x", "detail-type": "cloud.minted", "detail": detail });
        stand.park(
            "CloudTreasury",
            "express",
            body.to_string(),
            &[("ERROR_CODE", "NO_PERMISSIONS")],
        );
        (Kind::Parked, Some(event.event_id.to_string()))
    }),
    ("a letter that is no event", |stand| {
        stand.park(
            "Notifications",
            "standard",
            "not JSON".into(),
            &[("reason", "malformed")],
        );
        (Kind::Parked, None)
    }),
    ("an event was counted twice", |stand| {
        let event = stand.event::<contracts::cloud::Minted>();
        let amount = Stand::payload::<contracts::cloud::Minted>(&event).amount;
        let key = totals::key(&cloud_table(), totals::shard_of(event.event_id));
        stand.change(&key, |item| add(item, "outstanding", &json!(amount)));
        // Another one of the same size in the same row would explain it as well.
        (Kind::Doubled, None)
    }),
    ("analytics counted an event twice", |stand| {
        let event = stand.event::<contracts::cloud::Transferred>();
        let moved = Stand::payload::<contracts::cloud::Transferred>(&event);
        let count = analytics::handler::counted(&event, &analytics_table()).expect("it is counted");
        let steps = moved.amount.decimal() * Decimal::from(1_000_000);
        let steps: Value = serde_json::from_str(&steps.normalize().to_string()).expect("a number");
        stand.change(&count.key, |item| {
            add(item, &format!("c{:02}", count.hour), &json!(1));
            add(item, &format!("a{:02}", count.hour), &steps);
        });
        // Another one of the same size in the same hour would explain it as well.
        (Kind::Doubled, None)
    }),
    ("a count over time was changed by hand", |stand| {
        let event = stand.event::<contracts::cloud::Minted>();
        let count = analytics::handler::counted(&event, &analytics_table()).expect("it is counted");
        stand.change(&count.key, |item| {
            add(item, &format!("a{:02}", count.hour), &json!(1));
        });
        (Kind::Books, None)
    }),
    ("a balance was raised twice", |stand| {
        let event = stand.event::<contracts::cloud::Minted>();
        let minted = Stand::payload::<contracts::cloud::Minted>(&event);
        stand.change(&Stand::state(&cloud_table(), &event), |item| {
            add(item, "balance", &json!(minted.amount));
        });
        (Kind::Doubled, None)
    }),
    ("a balance was changed by hand", |stand| {
        let event = stand.event::<contracts::cloud::Transferred>();
        stand.change(&Stand::state(&cloud_table(), &event), |item| {
            add(item, "balance", &json!(0.123_457));
        });
        (Kind::Books, None)
    }),
    ("a treasury account was changed by hand", |stand| {
        let event = stand.event::<contracts::treasury::AccountChanged>();
        stand.change(&Stand::state(&cloud_table(), &event), |item| {
            add(item, "balance", &json!(0.01));
        });
        (Kind::Books, Some(event.event_id.to_string()))
    }),
    ("a member was changed by hand", |stand| {
        let event = stand.event::<contracts::member::Updated>();
        stand.change(&Stand::state(&member_table(), &event), |item| {
            item.insert("name".into(), json!("Somebody Else"));
        });
        (Kind::Books, Some(event.event_id.to_string()))
    }),
    ("an event has no state", |stand| {
        let event = stand.event::<contracts::treasury::AccountChanged>();
        stand.store.remove(&Stand::state(&cloud_table(), &event));
        (Kind::Books, Some(event.event_id.to_string()))
    }),
    ("a stake was ended by hand", |stand| {
        let (last, staked) = stand.staked();
        let table = cloud_table();
        let key = cloud::stake::Position::key(&table, &staked.member_id, staked.position_id);
        stand.change(&key, |item| {
            item.insert("status".into(), json!("released"));
        });
        (Kind::Books, Some(last))
    }),
    ("what is staked was changed by hand", |stand| {
        let (last, staked) = stand.staked();
        let account = format!("cloud_account#{}", staked.member_id);
        stand.change(&cloud_table().key(account, "state"), |item| {
            add(item, "staked", &json!(7));
        });
        (Kind::Books, Some(last))
    }),
    ("a rate card is gone", |stand| {
        let card = stand.event::<contracts::cloud::RateCardCreated>();
        let id = card.aggregate_id.as_str();
        let key = <cloud::rate_card::RateCard as outbox::State>::key(&cloud_table(), id);
        stand.store.remove(&key);
        let of_card = |event: &&Envelope| event.aggregate() == card.aggregate();
        let last = stand
            .log
            .iter()
            .filter(of_card)
            .max_by_key(|event| event.sequence);
        (Kind::Books, last.map(|event| event.event_id.to_string()))
    }),
    ("a rate card was approved before it was proposed", |stand| {
        let second = stand.event::<contracts::cloud::RateCardApproved>();
        let key = |number| events_table().numbered_key(second.aggregate(), number);
        let row = |number| {
            now(stand.store.get(&key(number)))
                .expect("answers")
                .expect("there")
        };
        let (one, two) = (row(1), row(2));
        for (number, mut item) in [(1, two), (2, one)] {
            let text = item["envelope"].as_str().expect("text");
            let mut envelope: Value = serde_json::from_str(text).expect("JSON");
            envelope["sequence"] = json!(number);
            item.insert("sequence".into(), json!(number));
            item.insert("envelope".into(), json!(envelope.to_string()));
            now(stand.store.put_all(&events_table(), &[item])).expect("written");
        }
        // Both are named: the proposal for coming late, the approval for coming first.
        stand.log.retain(|one| one.event_id != second.event_id);
        let of_card = |event: &&Envelope| event.aggregate() == second.aggregate();
        let first = stand.log.iter().find(of_card).expect("a proposal");
        (Kind::Doubled, Some(first.event_id.to_string()))
    }),
    ("what is known of the chain is gone", |stand| {
        let event = stand.event::<contracts::cloud::SyncDiverged>();
        stand.store.remove(&Stand::state(&cloud_table(), &event));
        (Kind::Books, Some(event.event_id.to_string()))
    }),
    ("a movement has two jobs", |stand| {
        let (_, mut job) = stand.job();
        let again = job["queued_at"]
            .as_str()
            .expect("a moment")
            .replacen("20", "21", 1);
        let sk = job["sk"].as_str().expect("a key").replacen("20", "21", 1);
        job.insert("sk".into(), json!(sk));
        job.insert("queued_at".into(), json!(again));
        let event_id = job["event_id"].as_str().map(str::to_owned);
        now(stand.store.put_all(&cloud_table(), &[job])).expect("written");
        (Kind::Doubled, event_id)
    }),
    ("a job was changed by hand", |stand| {
        let (key, job) = stand.job();
        stand.change(&key, |item| {
            item.insert("event_type".into(), json!("cloud.staked"));
        });
        (Kind::Books, job["event_id"].as_str().map(str::to_owned))
    }),
    ("a job is of no event", |stand| {
        let (key, _) = stand.job();
        let nobodys = "00000000-0000-7000-8000-000000000001";
        stand.change(&key, |item| {
            item.insert("event_id".into(), json!(nobodys));
        });
        (Kind::OutOfSequence, Some(nobodys.to_owned()))
    }),
    ("a line of a statement is gone", |stand| {
        let event = stand.event::<contracts::cloud::Burned>();
        let burned = Stand::payload::<contracts::cloud::Burned>(&event);
        let sk = format!("transaction#{:016}", burned.version.number());
        stand
            .store
            .remove(&cloud_table().key(event.aggregate(), sk));
        (Kind::Books, Some(event.event_id.to_string()))
    }),
    ("a note is gone though its mark is there", |stand| {
        let (event, note) = stand.noted::<contracts::cloud::Minted>();
        stand.store.remove(&note);
        (Kind::Lost, Some(event.event_id.to_string()))
    }),
    ("a member has a note twice", |stand| {
        let (event, note) = stand.noted::<contracts::cloud::Minted>();
        let mut item = now(stand.store.get(&note))
            .expect("answers")
            .expect("there");
        let sk = format!("{}#again", item["sk"].as_str().expect("a key"));
        item.insert("sk".into(), json!(sk));
        now(stand.store.put_all(&notifications_table(), &[item])).expect("written");
        (Kind::Doubled, Some(event.event_id.to_string()))
    }),
    (
        "the last event of an account is gone from the log",
        |stand| {
            // One that no other account's statement knows, and that no consumer keeps notes of.
            let event = stand.event::<contracts::treasury::AccountChanged>();
            stand.store.remove(&Stand::row(&event));
            (Kind::OutOfSequence, None)
        },
    ),
    ("an event in the middle is gone from the log", |stand| {
        let last = stand.event::<contracts::treasury::AccountChanged>();
        assert!(last.sequence.number() > 1);
        let key = events_table().numbered_key(last.aggregate(), last.sequence.number() - 1);
        stand.store.remove(&key);
        (Kind::OutOfSequence, None)
    }),
    ("a row of the log is torn", |stand| {
        let event = stand.event::<contracts::treasury::AccountChanged>();
        stand.change(&Stand::row(&event), |item| {
            item.insert("envelope".into(), json!("{\"event_id\": "));
        });
        (Kind::Unreadable, None)
    }),
    ("a row of the log holds another's envelope", |stand| {
        let event = stand.event::<contracts::treasury::AccountChanged>();
        stand.change(&Stand::row(&event), |item| {
            item.insert(
                "event_id".into(),
                json!("00000000-0000-7000-8000-000000000001"),
            );
        });
        (Kind::Unreadable, None)
    }),
];

#[test]
fn each_thing_that_is_damaged_is_named_and_nothing_else_is() {
    each_is_named(PLANTED, || Stand::quiet(7));
}

/// Plants each damage into a stand of its own.
fn each_is_named(planted: &[(&str, Plant)], stand: impl Fn() -> Stand) {
    let clean = stand().settled();
    assert!(clean.clean, "{clean}");
    let mut wrong = Vec::new();
    for (what, plant) in planted {
        let mut stand = stand();
        let whole = stand.log.len();
        let (kind, event_id) = plant(&mut stand);
        // A plant that lists events as damaged together took them out of its log.
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
                told(&report)
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
    let named = told(&report);
    assert!(
        named.contains(&(Kind::OutOfSequence, Some(&id))),
        "{report}"
    );
    // Nothing else is suspected of it: the total is explained by the line of the statement.
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
        told(&report).contains(&(Kind::Doubled, Some(&id))),
        "{report}"
    );
}

#[test]
fn a_letter_about_what_was_handled_after_all_is_a_leftover_and_no_finding() {
    let mut stand = Stand::quiet(7);
    let event = stand.event::<contracts::cloud::Minted>();
    stand.park(
        "Notifications",
        "express",
        event.to_json().expect("small"),
        &[("reason", "rejected")],
    );
    let report = stand.settled();
    assert!(report.clean, "{report}");
    assert_eq!(report.leftovers[0].event_id, event.event_id.to_string());
}

#[test]
fn what_may_still_come_is_late_and_not_lost_and_what_is_young_is_left_alone() {
    let mut stand = Stand::quiet(7);
    let event = stand.event::<contracts::cloud::Minted>();
    stand.forget::<Treasury>(&event);
    let open = |stand: &Stand, grace| {
        stand.audit(&Options {
            grace: Duration::from_secs(grace),
            ..Options::default()
        })
    };
    let id = event.event_id.to_string();
    assert_eq!(told(&open(&stand, 300)), [(Kind::Lost, Some(id.as_str()))]);
    stand
        .queues
        .depths
        .insert("CloudTreasury/express".into(), 3);
    let late = open(&stand, 300);
    assert_eq!(told(&late), [(Kind::Late, Some(id.as_str()))]);
    assert!(
        late.findings[0].stopped.contains("not by cloud-treasury"),
        "{late}"
    );
    // Other lanes say nothing about it.
    stand.queues.depths.clear();
    stand
        .queues
        .depths
        .insert("Notifications/standard".into(), 3);
    assert_eq!(told(&open(&stand, 300)), [(Kind::Lost, Some(id.as_str()))]);
    let young = open(&stand, 40_000_000);
    assert!(young.clean && young.counts.young == 1, "{young}");
}

/// An account with events behind the third from the end of those that the ledger takes, and that one is parked.
fn blocked(stand: &Stand) -> (Envelope, Vec<String>) {
    use events::Subscription;
    let taken =
        |event: &&Envelope| super::ledger::Entry::evidence(event.event_type.as_str()).is_some();
    let mut by_account: BTreeMap<String, Vec<Envelope>> = BTreeMap::new();
    for event in stand.log.iter().filter(taken) {
        let events = by_account.entry(event.aggregate()).or_default();
        events.push(event.clone());
    }
    let mut events = by_account.into_values().max_by_key(Vec::len).expect("some");
    let behind: Vec<String> = events
        .split_off(events.len() - 2)
        .iter()
        .map(|event| event.event_id.to_string())
        .collect();
    let parked = events.pop().expect("three");
    let before = events.last().expect("four").sequence.number();
    let key = outbox::cursor_key(&marks_table(), Ledger::NAME, &parked.aggregate());
    stand.change(&key.expect("a key"), |item| {
        item.insert("position".into(), before.into());
        item.insert("blocked_at".into(), json!(stand.now));
        item.insert("blocked_sequence".into(), parked.sequence.number().into());
        item.insert(
            "blocked_event_id".into(),
            parked.event_id.to_string().into(),
        );
        item.insert("blocked_reason".into(), "rejected".into());
    });
    (parked, behind)
}

#[test]
fn what_waits_behind_a_parked_event_is_told_so_and_not_called_lost() {
    let mut stand = Stand::quiet(7);
    let (parked, behind) = blocked(&stand);
    let id = parked.event_id.to_string();
    let kinds = |report: &Report| {
        let mut kinds: Vec<(Option<String>, Kind)> = report
            .findings
            .iter()
            .map(|one| (one.event_id.clone(), one.kind))
            .collect();
        kinds.sort();
        kinds
    };
    let all = |own: Kind, others: Kind| {
        let mut kinds: Vec<(Option<String>, Kind)> = behind
            .iter()
            .map(|event| (Some(event.clone()), others))
            .chain([(Some(id.clone()), own)])
            .collect();
        kinds.sort();
        kinds
    };
    // Its letter is nowhere: nothing goes on by itself, and the parked event is what to look at.
    let report = stand.settled();
    assert_eq!(kinds(&report), all(Kind::Lost, Kind::Late), "{report}");
    let text = report.to_string();
    assert!(
        text.contains(&format!("waits behind the parked event {id}")),
        "{text}"
    );
    assert!(text.contains("its aggregate waits for it"), "{text}");
    // Its letter is there.
    let body = parked.to_json().expect("small");
    stand.park("Ledger", "standard", body, &[("reason", "rejected")]);
    let report = stand.settled();
    assert_eq!(kinds(&report), all(Kind::Parked, Kind::Parked), "{report}");
    // It was sent back just now.
    stand.queues.letters.clear();
    stand.queues.depths.insert("Ledger/express".into(), 1);
    stand.queues.depths.insert("Ledger/standard".into(), 1);
    let report = stand.audit(&Options::default());
    assert_eq!(kinds(&report), all(Kind::Late, Kind::Late), "{report}");
}

#[test]
fn what_is_older_than_its_mark_is_not_provable_and_no_finding() {
    let mut stand = Stand::quiet(7);
    let event = stand.event::<contracts::cloud::Minted>();
    stand.forget::<Treasury>(&event);
    stand.now = stand.now.plus(Duration::from_secs(31 * 86_400));
    let report = stand.settled();
    assert!(report.clean, "{report}");
    assert_eq!(report.counts.not_provable, 1);
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
            assert!(report.figures.is_none());
        }
    }
    assert!(others > 5);
}
