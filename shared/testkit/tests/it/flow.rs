//! What a flow guarantees to the tests that use it.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use consumer::{Failure, Handler, Letter, Outcome, Queue, Received};
use events::{Cause, Contract as _, Draft, RegisteredContract, Registry, contracts::cloud::Minted};
use outbox::{Clock, Decision, Entity, Fault, FaultKind, Mark, Outbox, State, Table, Transaction};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use testkit::{
    flow::{BoxError, DeadLetter, Faults, Flow, Site},
    orders::{OrderCreated, order},
};

events::subscription! {
    /// What the counter listens to.
    enum Event {
        Minted(Minted) by Mark,
    }
}

fn counters() -> Table {
    Table::domain("counters")
}

struct Counter(Site);

#[async_trait]
impl Handler for Counter {
    const NAME: &'static str = "counter";
    type Event = Event;

    async fn decide(
        &self,
        _: &Received<Event>,
        mut transaction: Transaction,
    ) -> Result<Transaction, Failure> {
        self.0.call("elsewhere", || ()).await?;
        transaction.add(counters().key("total", "total"), vec![("count", 1.into())]);
        Ok(transaction)
    }
}

const ID: &str = "018f0000-0000-7000-8000-000000000001";

fn envelope() -> String {
    let payload = json!({
        "transaction_id": ID, "amount": 5, "amount_usd": 50, "balance_after": 5, "version": 1,
    });
    json!({
        "event_id": ID, "event_type": "cloud.minted", "event_version": "v1",
        "occurred_at": "2026-01-01T00:00:00.000Z", "producer": "cloud-api", "correlation_id": ID,
        "priority": "high", "aggregate_type": "cloud_account", "aggregate_id": "unallocated",
        "sequence": 1, "payload": payload,
    })
    .to_string()
}

fn flow(seed: u64, faults: Faults) -> Flow {
    let builder = Flow::builder(seed).faults(faults);
    let builder = builder.consumer(|site| Counter(site.clone()));
    builder.build().expect("a runtime")
}

fn count(flow: &Flow) -> Option<Value> {
    let row: Result<Option<Value>, _> =
        flow.look(|site| async move { site.outbox().row(&counters().key("total", "total")).await });
    row.expect("readable").map(|row| row["count"].clone())
}

async fn commit(outbox: &Outbox) -> Result<(), outbox::Error> {
    let mark = Mark::Episode {
        name: "test",
        number: 1,
        phase: "opened",
    };
    let decide = |mut transaction: Transaction| async move {
        transaction.add(counters().key("total", "total"), vec![("count", 1.into())]);
        Ok::<_, outbox::Error>(Decision::<(), ()>::Commit(transaction, ()))
    };
    outbox
        .execute(&mark, &Cause::default(), decide)
        .await
        .map(drop)
}

#[test]
fn a_call_that_dies_leaves_all_it_did_or_nothing() {
    let crashes = Faults {
        crashes: 0.4,
        ..Faults::NONE
    };
    let mut seen = [false; 3];
    for seed in 0..50 {
        let mut flow = flow(seed, crashes);
        let answer = flow.command(|site| async move { commit(site.outbox()).await });
        match (answer, count(&flow)) {
            (Some(Ok(())), Some(_)) => seen[0] = true,
            (None, None) => seen[1] = true,
            (None, Some(_)) => seen[2] = true,
            other => panic!("seed {seed}: {other:?}"),
        }
    }
    assert_eq!(seen, [true; 3], "answered, died before, died after");
}

#[test]
fn time_passes_only_as_somebody_waits_for_it() {
    let mut flow = flow(1, Faults::NONE);
    let begun = flow.clock().now();
    assert!(flow.send("counter", envelope()));
    flow.drain().expect("drains");
    assert_eq!(flow.clock().now(), begun);
    assert_eq!(count(&flow), Some(json!(1)));

    // Every call to an external service is rejected: the event is retried until SQS moves it to the dead-letter queue.
    let mut flow = self::flow(
        1,
        Faults {
            throttles: 1.0,
            ..Faults::NONE
        },
    );
    flow.send("counter", envelope());
    let waited = flow.clock().now();
    flow.drain().expect("drains");
    assert!(flow.clock().now().since(waited) > Duration::from_secs(60 * 60));
}

#[test]
fn a_call_that_hangs_is_ended_by_the_records_limit_and_made_again() {
    let stalls = Faults {
        stalls: 0.1,
        ..Faults::NONE
    };
    let mut interrupted = 0;
    for seed in 0..20 {
        let mut flow = flow(seed, stalls);
        flow.send("counter", envelope());
        flow.drain().expect("drains");
        let outcomes = flow.outcomes("counter", ID);
        let comes_back = |outcome: &&Outcome| !outcome.acknowledged();
        interrupted += outcomes.iter().filter(comes_back).count();
        assert_eq!(count(&flow), Some(json!(1)), "seed {seed}: {outcomes:?}");
    }
    assert!(interrupted > 3, "{interrupted}");
}

/// A dead-letter queue that rejects every message.
struct Closed(Arc<dyn Queue>);

#[async_trait]
impl Queue for Closed {
    async fn hide(&self, queue: &str, receipt: &str, span: Duration) -> Result<(), Fault> {
        self.0.hide(queue, receipt, span).await
    }
    async fn park(&self, _: &str, _: &Letter) -> Result<(), Fault> {
        Err(Fault::new(FaultKind::Denied, "sqs SendMessage", "no"))
    }
}

#[test]
fn a_message_that_cannot_be_parked_ends_in_the_net() {
    let builder = Flow::builder(1).consumer(|site| Counter(site.clone()));
    let builder = builder.wrap_queue(|queue| Arc::new(Closed(queue)));
    let mut flow = builder.build().expect("a runtime");
    flow.send("counter", "nonsense");
    flow.drain().expect("drains");
    let body = "nonsense".to_owned();
    assert_eq!(flow.letters("counter"), [DeadLetter::Exhausted { body }]);
}

#[test]
fn letters_sent_back_are_handled_like_any_message() {
    let mut flow = flow(
        1,
        Faults {
            throttles: 1.0,
            ..Faults::NONE
        },
    );
    flow.send("counter", envelope());
    flow.drain().expect("drains");
    flow.set_faults(Faults::NONE);
    assert_eq!(flow.redrive("counter"), 1);
    flow.drain().expect("drains");
    assert_eq!(
        (count(&flow), flow.letters("counter").len()),
        (Some(json!(1)), 0)
    );
}

events::subscription! {
    /// Every event of any type.
    struct All: Every by Cursor;
}

/// Counts the events it handles.
struct Watcher;

#[async_trait]
impl Handler for Watcher {
    const NAME: &'static str = "watcher";
    type Event = All;

    async fn decide(
        &self,
        received: &Received<All>,
        mut transaction: Transaction,
    ) -> Result<Transaction, Failure> {
        let handed = counters().key("handed", received.envelope.event_type.as_str());
        transaction.add(handed, vec![("count", 1.into())]);
        Ok(transaction)
    }
}

/// The aggregate of orders.
#[derive(Serialize, Deserialize)]
struct Order {}

impl State for Order {
    const AGGREGATE: &'static str = OrderCreated::AGGREGATE;
}

async fn tell_twice(site: Site, order: OrderCreated) -> Result<(), BoxError> {
    let mark = Mark::Episode {
        name: "orders",
        number: 1,
        phase: "opened",
    };
    let (outbox, order) = (site.outbox(), &order);
    let outcome = outbox
        .execute(&mark, &Cause::default(), |mut transaction| async move {
            let known: Entity<Order> = outbox.load(&counters(), order.order_id.as_str()).await?;
            let drafted = || Draft::of(order).map_err(outbox::BuildError::from);
            transaction.update(&known, &Order {}, vec![drafted()?, drafted()?])?;
            Ok::<_, outbox::Error>(Decision::<(), ()>::Commit(transaction, ()))
        })
        .await?;
    match outcome {
        outbox::Outcome::Contention => Err("contention".into()),
        _ => Ok(()),
    }
}

/// The consumer has no contract of these events: their producer was deployed first.
#[test]
fn events_that_a_consumer_by_kind_has_no_contract_of_are_handed_to_it_in_order_and_once() {
    for seed in 0..20 {
        let builder = Flow::builder(seed)
            .registry(Registry::new(
                vec![RegisteredContract::of::<OrderCreated>()],
            ))
            .faults(Faults::STORM)
            .consumer(|_| Watcher);
        let mut flow = builder.build().expect("a runtime");
        let mut order = order(1, flow.clock().now());
        let order: OrderCreated = serde_json::from_value(order["payload"].take()).expect("one");
        flow.submit(move |site| tell_twice(site, order.clone()));
        flow.drain().expect("drains");
        flow.set_faults(Faults::NONE);
        while flow.redrive(Watcher::NAME) > 0 {
            flow.drain().expect("drains");
        }
        flow.audit().expect("sound");
        let handed = counters().key("handed", OrderCreated::TYPE);
        let row: Option<Value> = flow
            .look(|site| async move { site.outbox().row(&handed).await })
            .expect("readable");
        assert_eq!(row.expect("handed on")["count"], 2, "seed {seed}");
    }
}
