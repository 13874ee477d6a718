//! Compares COSTS.md with what is counted here: the shipped outbox, relay and runtime on the real adapters, against a
//! stub that counts.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws::{DynamoStore, EventBridgePublisher, SqsQueue};
use consumer::{BatchRunner, Failure, Handler, Lane, Message, Outcome, Received, Settings};
use events::{
    AggregateField, AggregateId, Cause, Contract, Draft, Priority, RegisteredContract, Registry,
    Retention, Timestamp,
};
use outbox::{
    Clock, Decision, GuardedPut, Item, Mark, Outbox, RetryLimits, State, SystemClock, Table,
    Transaction,
    relay::{Relay, Settings as RelaySettings},
};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use testkit::{
    costs::{decimal, numbers, stated, table},
    dynamo_stub::{Counts, DynamoStub, Refusal},
    orders::{OrderCreated, order, small_order},
};

const COSTS: &str = include_str!("../../../../COSTS.md");

#[derive(Serialize, Deserialize)]
struct Shelf {
    orders: u32,
}

impl State for Shelf {
    const AGGREGATE: &'static str = "order";
}

/// An event whose row stays within 1 KB; the row of the benchmark's order does not.
#[derive(Serialize, Deserialize, JsonSchema)]
struct Placed {
    order_id: AggregateId,
}

impl Contract for Placed {
    const TYPE: &'static str = "order.placed";
    const VERSION: u16 = 1;
    const PRIORITY: Priority = Priority::Normal;
    const PRODUCER: &'static str = "checkout-service";
    const AGGREGATE: &'static str = Shelf::AGGREGATE;
    const RETENTION: Retention = Retention::Days(7);
    const AGGREGATE_FIELD: AggregateField = AggregateField::Field("order_id");

    fn aggregate_id(&self) -> AggregateId {
        self.order_id.clone()
    }
}

events::subscription! {
    enum ByMark { Created(OrderCreated) by Mark }
}
events::subscription! {
    enum ByGuard { Created(OrderCreated) by Guard }
}

#[derive(Clone, Copy, PartialEq)]
enum Does {
    Nothing,
    Counts,
    Fails,
    Parks,
}

struct Marking(Does, Table);

#[async_trait]
impl Handler for Marking {
    const NAME: &'static str = "costs";
    type Event = ByMark;

    async fn decide(
        &self,
        received: &Received<ByMark>,
        mut transaction: Transaction,
    ) -> Result<Transaction, Failure> {
        let ByMark::Created(order) = &received.event;
        match self.0 {
            Does::Nothing => {}
            Does::Counts => {
                let key = self
                    .1
                    .key(format!("customer#{}", order.customer_id), "orders");
                transaction.add(key, vec![("orders", Decimal::ONE)]);
            }
            Does::Fails => return Err(Failure::retry("not now")),
            Does::Parks => return Err(Failure::park("never")),
        }
        Ok(transaction)
    }
}

struct Guarding(u64, Table);

#[async_trait]
impl Handler for Guarding {
    const NAME: &'static str = "costs";
    type Event = ByGuard;

    async fn project(&self, received: &Received<ByGuard>) -> Result<GuardedPut, Failure> {
        let ByGuard::Created(order) = &received.event;
        let key = self.1.key("newest", "order");
        let mut item = key.attributes();
        item.insert("order".into(), order.order_number.as_str().into());
        Ok(GuardedPut {
            key,
            item,
            version: self.0,
        })
    }
}

/// The stub, and what runs on it.
struct Bench {
    stub: DynamoStub,
    outbox: Outbox,
    store: DynamoStore,
    sdk: aws_config::SdkConfig,
    events: Table,
    domain: Table,
}

impl Bench {
    async fn start() -> Self {
        let (events, marks, domain) = (
            Table::events("events"),
            Table::marks("marks"),
            Table::domain("domain"),
        );
        let stub = DynamoStub::start([&events, &marks, &domain], Duration::ZERO, None).unwrap();
        let sdk = stub.sdk().await;
        let store = DynamoStore::new(aws_sdk_dynamodb::Client::new(&sdk));
        let registry = Registry::new(vec![
            RegisteredContract::of::<OrderCreated>(),
            RegisteredContract::of::<Placed>(),
        ]);
        let outbox = Outbox::new(
            Arc::new(store.clone()),
            Arc::new(SystemClock),
            Arc::new(registry),
            events.clone(),
            marks,
        )
        .with_limits(RetryLimits {
            base: Duration::from_millis(1),
            ..RetryLimits::default()
        });
        Self {
            stub,
            outbox,
            store,
            sdk,
            events,
            domain,
        }
    }

    /// A request with this idempotency key. It adds one to a shelf of its own, or is refused.
    async fn command(&self, key: &str, allowed: bool) {
        let mark = Mark::Request {
            owner: "shop".into(),
            method: "POST".into(),
            path: "/api/v1/orders".into(),
            key: key.into(),
            body_sha256: "0".repeat(64),
        };
        let id = uuid::Uuid::new_v4().to_string();
        let order_id = AggregateId::new(id.as_str()).unwrap();
        let (placed, id) = (&Placed { order_id }, &id);
        self.outbox
            .execute::<(), (), outbox::Error, _, _>(
                &mark,
                &Cause::default(),
                |mut transaction| async move {
                    let shelf = self.outbox.load::<Shelf>(&self.domain, id).await?;
                    if !allowed {
                        return Ok(Decision::Refuse(()));
                    }
                    let draft = Draft::of(placed)?;
                    transaction.update(&shelf, &Shelf { orders: 1 }, vec![draft])?;
                    Ok(Decision::Commit(transaction, ()))
                },
            )
            .await
            .unwrap();
    }

    async fn consume<H: Handler>(&self, handler: H, envelopes: &[Value], wanted: Outcome) {
        let queue = SqsQueue::new(aws_sdk_sqs::Client::new(&self.sdk));
        let lane = Lane {
            name: "express",
            queue_arn: "arn".into(),
            queue_url: format!("{}/lane", self.stub.endpoint()),
            dead_letter_queue_url: format!("{}/letters", self.stub.endpoint()),
        };
        let settings = Settings {
            retry_delays: vec![Duration::from_secs(10)],
            ..Settings::default()
        };
        let runner = BatchRunner::new(handler, self.outbox.clone(), Arc::new(queue), settings);
        let now = SystemClock.now();
        let messages = envelopes
            .iter()
            .enumerate()
            .map(|(at, envelope)| Message {
                message_id: format!("message-{at}"),
                receipt_handle: format!("receipt-{at}"),
                body: envelope.to_string(),
                receive_count: 1,
                sent_at: now,
                first_received_at: now,
                operation_id: None,
                first_replay: None,
            })
            .collect();
        let deadline = now.plus(Duration::from_secs(30));
        let summary = runner.run(&lane, messages, deadline).await;
        for finished in summary.finished {
            let (seen, wanted) = (finished.outcome.as_str(), wanted.as_str());
            assert_eq!(seen, wanted, "{}", finished.message_id);
        }
    }

    async fn publish(&self, events: u64) {
        let client = aws::eventbridge(&self.sdk);
        let relay = Relay::new(
            Arc::new(EventBridgePublisher::new(client, "bus")),
            Arc::new(self.store.clone()),
            self.events.clone(),
            Arc::new(SystemClock),
            RelaySettings::default(),
        );
        let now = SystemClock.now();
        let rows = (0..events).map(|number| row(&small_order(number, now), now));
        let invocation = relay.relay(rows.collect()).await;
        assert!(invocation.error.is_none(), "{:?}", invocation.error);
        assert_eq!(invocation.report.published.len() as u64, events);
    }
}

/// A row of the event log, as the stream shows it.
fn row(envelope: &Value, now: Timestamp) -> Item {
    let aggregate = format!("order#{}", envelope["aggregate_id"].as_str().unwrap());
    let row = json!({
        "aggregate": aggregate,
        "sequence": 1,
        "envelope": envelope.to_string(),
        "event_id": envelope["event_id"],
        "event_type": envelope["event_type"],
        "committed_at": now.to_string(),
        "retention_days": 7,
    });
    match row {
        Value::Object(item) => item,
        _ => unreachable!("an object"),
    }
}

fn orders(count: u64) -> Vec<Value> {
    (0..count)
        .map(|number| order(number, SystemClock.now()))
        .collect()
}

/// The counts in the order of the columns, per event.
fn columns(counts: &Counts, events: u64) -> Vec<Decimal> {
    let queue = counts.of("SendMessage") + counts.of("ChangeMessageVisibility");
    let bus = counts.of("PutEvents");
    let all = [
        counts.write_units,
        counts.read_units,
        counts.all_calls() - bus - queue,
        bus,
        counts.event_chunks,
        queue,
    ];
    all.map(|value| (Decimal::from(value) / Decimal::from(events)).normalize())
        .to_vec()
}

#[tokio::test]
async fn every_unit_of_the_table_is_what_is_counted() {
    let bench = Bench::start().await;
    let mut counted: BTreeMap<&str, Vec<Decimal>> = BTreeMap::new();
    let mut count = |step: &'static str, events: u64| {
        counted.insert(step, columns(&bench.stub.take_counts(), events));
    };
    let marking = |does| Marking(does, bench.domain.clone());
    let guarding = |version| Guarding(version, bench.domain.clone());

    bench.command("first", true).await;
    count("commit: state, event, request mark", 1);
    bench.command("refused", false).await;
    count("commit refused by the rules", 1);
    bench.command("first", true).await;
    count("commit repeated with the same key", 1);

    bench.publish(1).await;
    count("publish, one record a batch", 1);
    bench.publish(100).await;
    count("publish, 100 records a batch", 100);

    bench
        .consume(marking(Does::Nothing), &orders(1), Outcome::Done)
        .await;
    count("consume: mark alone", 1);
    let handled = orders(1);
    bench
        .consume(marking(Does::Counts), &handled, Outcome::Done)
        .await;
    count("consume: effect and mark", 1);
    bench
        .consume(marking(Does::Counts), &handled, Outcome::Duplicate)
        .await;
    count("duplicate, found by its mark", 1);
    bench
        .consume(marking(Does::Counts), &orders(10), Outcome::Done)
        .await;
    count("consume: effect and mark, ten messages a batch", 10);
    let newest = orders(1);
    bench.consume(guarding(2), &newest, Outcome::Done).await;
    count("consume: guard", 1);
    bench.consume(guarding(2), &newest, Outcome::Ignored).await;
    count("duplicate, found by its guard", 1);
    bench
        .consume(guarding(1), &orders(1), Outcome::Ignored)
        .await;
    count("consume: guard, older than what is there", 1);

    let delay = Outcome::Retry(Duration::ZERO);
    bench.consume(marking(Does::Fails), &orders(1), delay).await;
    count("failed attempt, comes back", 1);
    let parked = Outcome::Parked(consumer::ParkReason::Rejected);
    bench
        .consume(marking(Does::Parks), &orders(1), parked)
        .await;
    count("failed for good, parked", 1);
    bench.stub.refuse("TransactWriteItems", Refusal::Conflict);
    bench
        .consume(marking(Does::Counts), &orders(1), Outcome::Done)
        .await;
    count("effect and mark after one conflict", 1);
    bench.stub.refuse("TransactWriteItems", Refusal::AnswerLost);
    bench
        .consume(marking(Does::Counts), &orders(1), Outcome::Done)
        .await;
    count("effect and mark after one lost answer", 1);

    let stated = numbers("step, per event");
    let counted: BTreeMap<String, Vec<Decimal>> = counted
        .into_iter()
        .map(|(step, cells)| (step.to_owned(), cells))
        .collect();
    assert_eq!(stated, counted, "left: COSTS.md, right: counted");
}

#[tokio::test]
async fn a_walk_over_the_log_reads_a_unit_per_4_kb_of_it() {
    assert!(COSTS.contains("**262144** read units per GB"));
    assert_eq!((1_u64 << 30) / 4_096, 262_144);
    let bench = Bench::start().await;
    bench.publish(200).await;
    let written = bench.stub.take_counts().write_units;
    let (mut after, mut pages) = (None, 0_u64);
    loop {
        let (_, next) = outbox::log::pending(&bench.store, &bench.events, after, 100)
            .await
            .unwrap();
        pages += 1;
        after = next;
        if after.is_none() {
            break;
        }
    }
    let counts = bench.stub.take_counts();
    // Rows of at most 1 KB cost at most a quarter of a read unit each, and a page adds less than one unit.
    assert_eq!(written, 200);
    assert!(counts.read_units <= written / 4 + pages, "{counts:?}");
    assert!(counts.read_units >= written / 8, "{counts:?}");
    assert_eq!((counts.all_calls(), counts.write_units), (pages, 0));
}

#[test]
fn what_the_jobs_of_the_chain_cost_at_rest_follows_from_units_and_prices() {
    let (units, inputs) = (table("step behind the chain"), table("input"));
    let input = |name: &str| decimal(&inputs[name][0]);
    for (step, stated) in table("job") {
        let unit = |column: usize| decimal(&units[&step][column]);
        let run =
            unit(0) * input("1,000,000 write units") + unit(1) * input("1,000,000 read units");
        let sum = run * decimal(&stated[0]) / Decimal::from(1_000_000);
        let cents =
            sum.round_dp_with_strategy(2, rust_decimal::RoundingStrategy::MidpointAwayFromZero);
        assert_eq!(decimal(&stated[1]), cents, "{step}");
    }
}

#[test]
fn what_watching_costs_follows_from_units_and_prices() {
    let (inputs, million) = (table("input"), Decimal::from(1_000_000));
    let input = |name: &str| decimal(&inputs[name][0]);
    let unit = stated("`event-feed`: an event, ten a batch");
    let second = input("memory of a function, GB") * input("1 GB-second");
    let (per_message, per_batch) = inputs["queue requests per message and per batch"][0]
        .split_once(" + ")
        .expect("1 + 2");
    let batches = Decimal::ONE / input("messages a batch: consumer");
    let feed = [
        unit[0] * input("1,000,000 write units") + unit[1] * input("1,000,000 read units"),
        (decimal(per_message) + decimal(per_batch) * batches) * input("1,000,000 queue requests")
            + batches * input("1,000,000 invocations")
            + batches * input("billed seconds per batch: event-feed") * second * million
            + input("log bytes per event: consumer") / Decimal::from(1_000)
                * input("1 GB of logs taken in"),
    ];
    let seconds = Decimal::from(1_000 * 60 * 60);
    let looks = seconds * Decimal::from(1_000)
        / input("milliseconds between looks at the head: event-stream");
    let invocations = seconds / input("seconds of a connection: event-stream");
    let (writes, reads) = inputs["write and read units of a connection: event-stream"][0]
        .split_once(" + ")
        .expect("8 + 4");
    let begin = decimal(writes) * input("1,000,000 write units")
        + decimal(reads) * input("1,000,000 read units");
    let connection = [
        looks / million * input("1,000,000 read units") + invocations / million * begin,
        seconds * second + invocations / million * input("1,000,000 invocations"),
    ];
    let cents = |value: Decimal| {
        value.round_dp_with_strategy(2, rust_decimal::RoundingStrategy::MidpointAwayFromZero)
    };
    let computed = [
        ("a million events in the feed", feed),
        ("a thousand hours of a connection on Lambda", connection),
    ];
    let computed = computed.map(|(name, [dynamodb, rest])| {
        let sums = [dynamodb, rest, dynamodb + rest].map(|sum| cents(sum).normalize());
        (name.to_owned(), sums.to_vec())
    });
    assert_eq!(
        numbers("watching"),
        BTreeMap::from(computed),
        "left: COSTS.md, right: computed"
    );
}

#[test]
fn the_sums_follow_from_units_and_prices() {
    let units = table("step, per event");
    let inputs = table("input");
    let unit = |step: &str, column: usize| decimal(&units[step][column]);
    let input = |name: &str| decimal(&inputs[name][0]);
    let (million, gigabyte) = (Decimal::from(1_000_000), Decimal::from(1_000_000_000));
    let dynamodb = |step: &str| {
        unit(step, 0) * input("1,000,000 write units")
            + unit(step, 1) * input("1,000,000 read units")
    };
    // Per million events: the invocations, their duration, and their logs.
    let function = |per_batch: &str, seconds: &str, bytes: &str| {
        let invocations = Decimal::ONE / input(per_batch);
        let time =
            input(seconds) * input("memory of a function, GB") * input("1 GB-second") * million;
        invocations * (input("1,000,000 invocations") + time)
            + input(bytes) * million / gigabyte * input("1 GB of logs taken in")
    };
    let requests = &inputs["queue requests per message and per batch"][0];
    let (per_message, per_batch) = requests.split_once(" + ").expect("1 + 2");

    let commit = dynamodb("commit: state, event, request mark");
    let published = "publish, 100 records a batch";
    let publish = dynamodb(published)
        + unit(published, 4) * input("1,000,000 bus events of 64 KB")
        + function(
            "records a batch: relay",
            "billed seconds per batch: relay",
            "log bytes per event: relay",
        );
    let messages = input("messages a batch: consumer");
    let consume = dynamodb("consume: effect and mark, ten messages a batch")
        + (decimal(per_message) + decimal(per_batch) / messages)
            * input("1,000,000 queue requests")
        + function(
            "messages a batch: consumer",
            "billed seconds per batch: consumer",
            "log bytes per event: consumer",
        );
    let cents = |value: Decimal| {
        value.round_dp_with_strategy(2, rust_decimal::RoundingStrategy::MidpointAwayFromZero)
    };
    for (consumers, stated) in table("consumers") {
        let consumed = decimal(&consumers) * consume;
        let all = commit + publish + consumed;
        let computed = [commit, publish, consumed, all].map(cents).to_vec();
        let stated: Vec<Decimal> = stated.iter().map(|cell| decimal(cell)).collect();
        assert_eq!(
            stated, computed,
            "{consumers} consumers; left: COSTS.md, right: computed"
        );
    }
}
