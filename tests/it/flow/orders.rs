//! Orders through credit and stock, in the whole pipeline in memory, under faults of every kind: what is reserved and owed is
//! what the orders hold, no more goods are reserved than there are, every order comes to an end, and an order that ended holds
//! nothing. The last tests remove the row that an order leaves whose end overtook its beginning: the checks find it.

use std::collections::{BTreeMap, BTreeSet};

use async_trait::async_trait;
use commerce::{
    books::{Books, Wrong},
    credit,
    operations::{Commerce, CreditStopped, OrderStopped, Payment, PlaceOrder},
    order::{Due, Numbers, OrderStep},
    stock,
    testing::{self, desk, table},
};
use commerce_credit::handler::{CommerceCredit, Event as CreditEvent};
use commerce_orders::handler::CommerceOrders;
use commerce_stock::handler::{CommerceStock, Event as StockEvent};
use consumer::{Failure, Handler, Received};
use domain::Verdict;
use events::{
    Cause, CustomerId, ExternalReference, OrderId, PaymentId, Sku, Text,
    contracts::{
        credit::CreditStatus,
        order::{Goods, OrderStatus},
        payment::{Currency as PaidIn, Reference, ReferenceType},
        price::Currency,
        stock::ReservationStatus,
    },
};
use outbox::{Decision, Error, Mark, Outcome, Table, Transaction};
use proptest::{prelude::*, sample::select};
use serde::de::DeserializeOwned;
use settlement::{
    operations::Settlements,
    payment::{Create, PaymentChange},
    selection::Weights,
};
use testkit::flow::{BoxError, Builder, Faults, Flow, Site};

use super::{allowed, world::any_faults};

/// How much of each sku there is at first.
const PIECES: u32 = 40;
const SKUS: [&str; 3] = ["A", "B", "C"];
/// Two businesses, the second with little credit, and a consumer.
const CUSTOMERS: [(&str, Option<&str>); 3] = [
    ("rich", Some("100000")),
    ("poor", Some("2000")),
    ("consumer", None),
];

fn sku(name: &str) -> Sku {
    Sku::new(name).expect("a sku")
}

fn customer(name: &str) -> CustomerId {
    CustomerId::new(name).expect("an id")
}

pub(super) fn order_id(number: usize) -> OrderId {
    let id = format!("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f{number:04x}");
    id.parse().expect("an id")
}

/// What a client does with an order.
#[derive(Debug, Clone)]
pub(super) enum Act {
    Place {
        customer: &'static str,
        lines: Vec<(&'static str, u32)>,
    },
    Cancel,
    Ship,
    Deliver,
    /// Pays so many euros on account.
    Pay(u32),
    /// Pays so many euros by a payment that is captured.
    Card(u32),
}

/// Why a call did nothing.
#[derive(Debug)]
struct Refused;

fn settlements_table() -> Table {
    Table::domain("settlement")
}

/// Makes a payment for an order and captures it, step by step; a repeat does what is left.
async fn card(site: &Site, number: usize, euros: u32) -> Result<(), BoxError> {
    let (outbox, table) = (site.outbox(), &settlements_table());
    let settlements = &Settlements {
        outbox,
        table,
        weights: &Weights::default(),
    };
    let payment_id = PaymentId::from(uuid::Uuid::from_u128(
        (number as u128) << 32 | u128::from(euros),
    ));
    for (phase, step) in (1..).zip(["create", "authorize", "capture"]) {
        let mark = Mark::Request {
            owner: "desk".to_owned(),
            method: "POST".to_owned(),
            path: format!("/payments/{payment_id}/{step}"),
            key: "key".to_owned(),
            body_sha256: Mark::body_sha256(b""),
        };
        let outcome = outbox
            .execute::<(), Refused, Error, _, _>(
                &mark,
                &Cause::default(),
                |mut transaction| async move {
                    let done = if phase == 1 {
                        let create = Create {
                            payment_id,
                            amount: euros.to_string().parse().expect("money"),
                            currency: PaidIn::Eur,
                            reference: Some(Reference {
                                reference_type: ReferenceType::Order,
                                id: Text::new(order_id(number).to_string()).expect("an id"),
                            }),
                        };
                        settlements.create_payment(&mut transaction, create).await
                    } else {
                        let step = |change: PaymentChange| match phase {
                            2 => change.authorize(),
                            _ => change.capture(),
                        };
                        settlements
                            .step_payment(&mut transaction, payment_id, step)
                            .await
                    };
                    if allowed(done)? {
                        Ok(Decision::Commit(transaction, ()))
                    } else {
                        Ok(Decision::Refuse(Refused))
                    }
                },
            )
            .await?;
        if matches!(outcome, Outcome::Contention) {
            return Err("others change it all the time: call again".into());
        }
    }
    Ok(())
}

/// One request of a client; a repeat of it is done once. What the rules refuse is not asked for again.
async fn call(site: Site, number: usize, act: Act, numbers: &Numbers) -> Result<(), BoxError> {
    if let Act::Card(euros) = act {
        return card(&site, number, euros).await;
    }
    let (outbox, table) = (site.outbox(), &table());
    let mark = Mark::Request {
        owner: "desk".to_owned(),
        method: "POST".to_owned(),
        path: format!("/orders/{number}/{act:?}"),
        key: "key".to_owned(),
        body_sha256: Mark::body_sha256(b""),
    };
    let (commerce, act) = (&Commerce { outbox, table }, &act);
    let outcome = outbox
        .execute::<(), Refused, Error, _, _>(
            &mark,
            &Cause::default(),
            |mut transaction| async move {
                let done = step(commerce, &mut transaction, number, act, numbers).await;
                match done {
                    Ok(true) => Ok(Decision::Commit(transaction, ())),
                    Ok(false) => Ok(Decision::Refuse(Refused)),
                    Err(error) => Err(error),
                }
            },
        )
        .await?;
    match outcome {
        Outcome::Contention => Err("others change it all the time: call again".into()),
        Outcome::Refused(_) | Outcome::Committed { .. } | Outcome::AlreadyDone(_) => Ok(()),
    }
}

async fn step(
    commerce: &Commerce<'_>,
    transaction: &mut Transaction,
    number: usize,
    act: &Act,
    numbers: &Numbers,
) -> Result<bool, Error> {
    let order_id = order_id(number);
    let step = match act {
        Act::Place {
            customer: name,
            lines,
        } => {
            let lines = lines.iter().map(|(name, quantity)| Goods {
                sku: sku(name),
                quantity: *quantity,
            });
            let place = PlaceOrder {
                order_id,
                customer_id: customer(name),
                currency: Currency::Eur,
                lines: lines.collect(),
                expected_total: None,
                by: desk(),
            };
            let done: Result<_, OrderStopped> =
                commerce.place_order(transaction, numbers, place).await;
            return allowed(done);
        }
        Act::Pay(euros) => {
            let entity = commerce.order(order_id).await?;
            let Some(order) = entity.state() else {
                return Ok(false);
            };
            let reference = format!("BT-{number}-{euros}");
            let payment = Payment {
                order_id,
                amount: euros.to_string().parse().expect("money"),
                external_reference: ExternalReference::new(reference).expect("a reference"),
                by: desk(),
            };
            let done: Result<_, CreditStopped> = commerce
                .pay_on_account(transaction, order.customer_id(), payment)
                .await;
            return allowed(done);
        }
        Act::Cancel => OrderStep::Cancel {
            reason: None,
            by: desk(),
        },
        Act::Ship => OrderStep::Ship {
            carrier: None,
            tracking: None,
            by: desk(),
        },
        Act::Deliver => OrderStep::Deliver { by: desk() },
        Act::Card(_) => unreachable!("no step of an order"),
    };
    allowed(commerce.step_order(transaction, order_id, step).await)
}

/// Commits what the shop begins with.
pub(super) async fn open(site: Site) {
    let outbox = site.outbox();
    testing::tax(outbox, "21", 1).await;
    for (number, name) in (10..).step_by(3).zip(SKUS) {
        testing::sell(outbox, &sku(name), "100", PIECES, number).await;
    }
    for (number, (id, credit)) in (20..).step_by(2).zip(CUSTOMERS) {
        testing::buyer(outbox, &customer(id), credit, number).await;
    }
}

/// A shop with its three consumers, as `change` changes the flow.
fn shop(seed: u64, change: impl FnOnce(Builder) -> Builder) -> Flow {
    let builder =
        Flow::builder(seed).consumer(|site| CommerceOrders::new(site.outbox().clone(), table()));
    let flow = change(builder).build().expect("a flow");
    flow.look(open);
    flow
}

pub(super) fn credit_and_stock(builder: Builder) -> Builder {
    builder
        .consumer(|site| CommerceCredit::new(site.outbox().clone(), table()))
        .consumer(|site| CommerceStock::new(site.outbox().clone(), table()))
}

pub(super) fn submit(flow: &mut Flow, number: usize, act: Act) {
    // Each request is served by a process of its own.
    flow.submit(move |site| {
        let act = act.clone();
        async move { call(site, number, act, &Numbers::default()).await }
    });
}

/// Drains the flow and redrives what was parked until nothing moves any more. A payment for an order that was refused when it was
/// placed is for none: its letter stays. A letter can be sent twice, so they are told apart by what is in them.
fn settle(flow: &mut Flow) -> Result<(), String> {
    let mut payments = BTreeSet::new();
    for _ in 0..20 {
        flow.drain().map_err(|error| error.to_string())?;
        let letters = flow.letters(CommerceOrders::NAME);
        let parked: BTreeSet<String> = letters.iter().map(|one| one.body().to_owned()).collect();
        let names = [CommerceCredit::NAME, CommerceStock::NAME];
        let redriven: usize = names.iter().map(|name| flow.redrive(name)).sum();
        if redriven == 0 && parked == payments {
            return Ok(());
        }
        payments = parked;
        flow.redrive(CommerceOrders::NAME);
    }
    Err("something is parked again and again".to_owned())
}

/// All states of an aggregate type, by id.
fn states<S: DeserializeOwned>(flow: &Flow, kind: &str) -> BTreeMap<String, S> {
    super::states(flow, &table(), kind)
}

fn same<T: PartialEq + std::fmt::Debug>(what: &str, one: &T, other: &T) -> Result<(), String> {
    if one == other {
        Ok(())
    } else {
        Err(format!("{what}: {one:?} is not {other:?}"))
    }
}

/// The rows by which orders are looked at again.
fn due(flow: &Flow) -> Vec<Due> {
    let rows = flow.store().items(&table()).into_iter();
    let rows = rows.filter(|item| item["pk"] == "order_due");
    let read = |item| serde_json::from_value(serde_json::Value::Object(item)).expect("a row");
    rows.map(read).collect()
}

/// Checks the whole shop once nothing moves any more.
fn judge(flow: &mut Flow) -> Result<BTreeMap<String, commerce::Order>, String> {
    flow.audit().map_err(|error| error.to_string())?;
    let orders: BTreeMap<String, commerce::Order> = states(flow, "order");
    let accounts: BTreeMap<String, commerce::CreditAccount> = states(flow, "credit");
    let credits: BTreeMap<String, credit::Reservation> = states(flow, "credit_reservation");
    let stocks: BTreeMap<String, commerce::Stock> = states(flow, "stock");
    let goods: BTreeMap<String, stock::Reservation> = states(flow, "stock_reservation");
    for (id, account) in &accounts {
        let used = account.reserved().decimal() + account.balance().decimal();
        if used > account.credit_limit().decimal() {
            return Err(format!("{id} has used {used}"));
        }
    }
    for (id, stock) in &stocks {
        let shipped = goods
            .values()
            .filter(|one| one.status() == ReservationStatus::Shipped);
        let lines = shipped.flat_map(stock::Reservation::items);
        let lines = lines.filter(|line| line.sku.as_str() == id);
        let left = PIECES - lines.map(|line| line.quantity).sum::<u32>();
        same("on hand", &stock.on_hand(), &left)?;
    }
    let mut pending = orders.values();
    if let Some(order) = pending.find(|order| order.status() == OrderStatus::Pending) {
        return Err(format!("it is pending: {order:?}"));
    }
    let mut books = Books::default();
    orders.values().for_each(|one| books.enter_order(one));
    accounts.values().for_each(|one| books.enter_account(one));
    credits.values().for_each(|one| books.enter_credit(one));
    stocks.values().for_each(|one| books.enter_stock(one));
    goods.values().for_each(|one| books.enter_goods(one));
    due(flow).iter().for_each(|one| books.enter_due(one));
    for event in flow.log() {
        books
            .enter_event(&event)
            .map_err(|error| error.to_string())?;
    }
    let mut for_no_order = BTreeSet::new();
    for wrong in books.check() {
        let Wrong::PaymentForNoOrder { event_id, .. } = wrong else {
            return Err(format!("{}: {wrong}", wrong.aggregate()));
        };
        for_no_order.insert(event_id.to_string());
    }
    let letters = flow.letters(CommerceOrders::NAME).into_iter();
    let parked: BTreeSet<String> = letters
        .map(|letter| {
            let body: serde_json::Value = serde_json::from_str(letter.body()).expect("JSON");
            body["event_id"].as_str().expect("an id").to_owned()
        })
        .collect();
    same("payments for no order", &parked, &for_no_order)?;
    let mut ids: Vec<(&str, String)> = Vec::new();
    for (kind, all) in [
        ("order", orders.keys().collect::<Vec<_>>()),
        ("credit", accounts.keys().collect()),
        ("credit_reservation", credits.keys().collect()),
        ("stock", stocks.keys().collect()),
        ("stock_reservation", goods.keys().collect()),
    ] {
        ids.extend(all.into_iter().map(|id| (kind, id.clone())));
    }
    for (kind, id) in ids {
        let witness = flow.look(|site| async move {
            let aggregate = commerce::DOMAIN.aggregate(kind).expect("one of them");
            domain::witness(aggregate, site.outbox(), &table(), &id, 1_000).await
        });
        let witness = witness.map_err(|error| error.to_string())?;
        let witness = witness.ok_or_else(|| format!("{kind} without events"))?;
        if witness.verdict != Verdict::Agrees {
            return Err(format!("{kind}: {witness:?}"));
        }
    }
    Ok(orders)
}

fn any_act() -> impl Strategy<Value = Act> {
    let skus = prop::sample::subsequence(&SKUS[..], 1..=3);
    (select(&CUSTOMERS[..]), skus, 1_u32..12).prop_map(|((customer, _), skus, quantity)| {
        let lines = skus.into_iter().map(|sku| (sku, quantity)).collect();
        Act::Place { customer, lines }
    })
}

fn any_end() -> impl Strategy<Value = Act> {
    prop_oneof![
        3 => Just(Act::Cancel),
        3 => Just(Act::Ship),
        2 => Just(Act::Deliver),
        2 => (1_u32..500).prop_map(Act::Pay),
        3 => (1_u32..3_000).prop_map(Act::Card),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn what_is_reserved_is_what_orders_hold_and_an_order_that_ended_holds_nothing(
        seed in any::<u64>(), faults in any_faults(),
        placed in prop::collection::vec(any_act(), 1..12),
        early in prop::collection::vec((0_usize..12, any_end()), 0..12),
        late in prop::collection::vec((0_usize..12, any_end()), 0..16),
    ) {
        let mut flow = shop(seed, |builder| credit_and_stock(builder).faults(faults));
        for (number, act) in placed.into_iter().enumerate() {
            submit(&mut flow, number, act);
        }
        for (number, act) in early {
            submit(&mut flow, number, act);
        }
        settle(&mut flow).map_err(TestCaseError::fail)?;
        for (number, act) in late {
            submit(&mut flow, number, act);
        }
        settle(&mut flow).map_err(TestCaseError::fail)?;
        judge(&mut flow).map_err(TestCaseError::fail)?;
    }
}

fn one(customer: &'static str, quantity: u32) -> Act {
    Act::Place {
        customer,
        lines: vec![("A", quantity)],
    }
}

#[test]
fn a_captured_payment_pays_its_order_and_one_that_is_for_none_is_parked() {
    for seed in 0..8 {
        let mut flow = shop(seed, |builder| {
            credit_and_stock(builder).faults(Faults::STORM)
        });
        submit(&mut flow, 0, one("consumer", 1));
        submit(&mut flow, 1, one("rich", 1));
        settle(&mut flow).expect("settles");
        // 100.00 with 21 % tax.
        for number in [0, 1] {
            submit(&mut flow, number, Act::Card(121));
        }
        settle(&mut flow).expect("settles");
        for act in [Act::Ship, Act::Deliver] {
            for number in [0, 1] {
                submit(&mut flow, number, act.clone());
            }
            settle(&mut flow).expect("settles");
        }
        let orders = judge(&mut flow).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let completed = orders
            .values()
            .filter(|order| order.status() == OrderStatus::Completed);
        assert_eq!(completed.count(), 2, "seed {seed}: {orders:?}");
        let account = states::<commerce::CreditAccount>(&flow, "credit").remove("rich");
        let account = account.expect("an account");
        assert!(
            account.reserved().is_zero() && account.balance().is_zero(),
            "seed {seed}"
        );
    }
    let mut flow = shop(1, credit_and_stock);
    submit(&mut flow, 9, Act::Card(5));
    flow.drain().expect("drains");
    assert_eq!(flow.letters(CommerceOrders::NAME).len(), 1);
}

#[test]
fn of_a_hundred_buyers_of_ten_pieces_exactly_as_many_get_one() {
    for seed in 0..4 {
        let mut flow = shop(seed, |builder| {
            credit_and_stock(builder).faults(Faults::STORM)
        });
        // What is left of a sku after this is ten pieces.
        submit(&mut flow, 0, one("rich", PIECES - 10));
        settle(&mut flow).expect("settles");
        for number in 1..=100 {
            submit(&mut flow, number, one("rich", 1));
        }
        settle(&mut flow).expect("settles");
        let orders = judge(&mut flow).unwrap_or_else(|error| panic!("seed {seed}: {error}"));
        let confirmed = orders
            .values()
            .filter(|order| order.status() == OrderStatus::Confirmed);
        assert_eq!(confirmed.count(), 1 + 10, "seed {seed}");
    }
}

#[test]
fn an_order_is_refused_for_credit_or_goods_with_nothing_held() {
    let mut flow = shop(1, credit_and_stock);
    // Both can be placed; there is credit for one of them.
    submit(&mut flow, 0, one("poor", 10));
    submit(&mut flow, 1, one("poor", 10));
    settle(&mut flow).expect("settles");
    let orders = judge(&mut flow).expect("sound");
    let mut statuses: Vec<_> = orders
        .values()
        .map(|order| (order.status(), order.rejection()))
        .collect();
    statuses.sort_by_key(|(status, _)| *status);
    let reason = events::contracts::order::Rejection::InsufficientCredit;
    assert_eq!(
        statuses,
        [
            (OrderStatus::Confirmed, None),
            (OrderStatus::Rejected, Some(reason))
        ]
    );
}

/// The messages of an order that was placed and cancelled, none of which was delivered yet: its events, oldest first.
fn placed_and_cancelled(flow: &Flow, customer: &'static str) -> Vec<String> {
    for act in [one(customer, 5), Act::Cancel] {
        let done = flow.look(|site| async move { call(site, 0, act, &Numbers::default()).await });
        done.expect("done");
    }
    let history = flow.history(&format!("order#{}", order_id(0)));
    let texts = history.iter().map(|event| event.to_json().expect("small"));
    texts.collect()
}

#[test]
fn the_end_of_an_order_that_overtakes_its_beginning_leaves_nothing_held() {
    let mut flow = shop(1, credit_and_stock);
    let events = placed_and_cancelled(&flow, "rich");
    let [_, cancelled] = &events[..] else {
        panic!("{events:?}");
    };
    assert!(flow.send(CommerceCredit::NAME, cancelled.clone()));
    settle(&mut flow).expect("settles");
    judge(&mut flow).expect("sound");
    let credits: BTreeMap<String, credit::Reservation> = states(&flow, "credit_reservation");
    let statuses: Vec<CreditStatus> = credits.values().map(credit::Reservation::status).collect();
    assert_eq!(statuses, [CreditStatus::Withdrawn]);

    let mut flow = shop(1, credit_and_stock);
    let events = placed_and_cancelled(&flow, "consumer");
    let [_, _, cancelled] = &events[..] else {
        panic!("{events:?}");
    };
    assert!(flow.send(CommerceStock::NAME, cancelled.clone()));
    settle(&mut flow).expect("settles");
    judge(&mut flow).expect("sound");
    let goods: BTreeMap<String, stock::Reservation> = states(&flow, "stock_reservation");
    let statuses: Vec<ReservationStatus> = goods.values().map(stock::Reservation::status).collect();
    assert_eq!(statuses, [ReservationStatus::Withdrawn]);
}

/// `commerce-credit` without the row that an order leaves whose end overtook its beginning.
struct Forgetful<H> {
    shipped: H,
    site: Site,
}

#[async_trait]
impl Handler for Forgetful<CommerceCredit> {
    const NAME: &'static str = CommerceCredit::NAME;
    type Event = CreditEvent;

    async fn decide(
        &self,
        received: &Received<CreditEvent>,
        transaction: Transaction,
    ) -> Result<Transaction, Failure> {
        if let CreditEvent::Cancelled(event) = &received.event {
            let (outbox, table) = (self.site.outbox(), table());
            let table = &table;
            let commerce = Commerce { outbox, table };
            let known = commerce.credit_reservation(event.order_id);
            if known.await?.state().is_none() {
                return Ok(transaction);
            }
        }
        self.shipped.decide(received, transaction).await
    }
}

#[async_trait]
impl Handler for Forgetful<CommerceStock> {
    const NAME: &'static str = CommerceStock::NAME;
    type Event = StockEvent;

    async fn decide(
        &self,
        received: &Received<StockEvent>,
        transaction: Transaction,
    ) -> Result<Transaction, Failure> {
        if let StockEvent::Cancelled(event) = &received.event {
            let (outbox, table) = (self.site.outbox(), table());
            let table = &table;
            let commerce = Commerce { outbox, table };
            let known = commerce.stock_reservation(event.order_id);
            if known.await?.state().is_none() {
                return Ok(transaction);
            }
        }
        self.shipped.decide(received, transaction).await
    }
}

#[test]
fn without_the_row_of_an_end_that_came_first_credit_and_goods_stay_held() {
    let mut flow = shop(1, |builder| {
        builder
            .consumer(|site| Forgetful {
                shipped: CommerceCredit::new(site.outbox().clone(), table()),
                site: site.clone(),
            })
            .consumer(|site| CommerceStock::new(site.outbox().clone(), table()))
    });
    let events = placed_and_cancelled(&flow, "rich");
    let last = events.last().expect("two events").clone();
    assert!(flow.send(CommerceCredit::NAME, last));
    settle(&mut flow).expect("settles");
    let found = judge(&mut flow).expect_err("credit stays reserved");
    assert!(found.contains("cancelled"), "{found}");

    let mut flow = shop(1, |builder| {
        builder
            .consumer(|site| CommerceCredit::new(site.outbox().clone(), table()))
            .consumer(|site| Forgetful {
                shipped: CommerceStock::new(site.outbox().clone(), table()),
                site: site.clone(),
            })
    });
    let events = placed_and_cancelled(&flow, "consumer");
    let last = events.last().expect("three events").clone();
    assert!(flow.send(CommerceStock::NAME, last));
    settle(&mut flow).expect("settles");
    let found = judge(&mut flow).expect_err("goods stay reserved");
    assert!(found.contains("cancelled"), "{found}");
}
