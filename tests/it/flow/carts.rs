//! Carts follow what their lines are made of, in the whole pipeline in memory, under faults of every kind: whatever happens at the
//! same time as a customer fills a cart, in the end each open cart is what a calculation of that moment comes to, and each product tells
//! what its stock says. A change that thousands of carts follow from goes through kills, and changes each of them once.

use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use commerce::{
    Cart, Product, Stock,
    cart::Subject,
    operations::{CartStep, Commerce, OrderStopped, PriceListStopped, ProductStopped, Stopped},
    order::Numbers,
    price::{Prices, SetPrice},
    price_list::{Audience, SetPriceList},
    stock::StockStep,
    testing::{self, desk, details, product_id, table},
    tier::SetTier,
};
use commerce_cart_worker::job::CartWorker;
use commerce_carts::handler::CommerceCarts;
use commerce_catalog::handler::CommerceCatalog;
use consumer::{
    Handler as _,
    schedule::{Ending, JobRunner, Report, RunError, Settings},
};
use domain::Verdict;
use events::{
    CartId, Cause, CustomerId, OrderId, Sku, TierName,
    contracts::{
        cart::{Action, CartStatus, Updated},
        customer::CustomerType,
        price::{Currency, ListKind},
        product::ProductStatus,
    },
};
use outbox::{Decision, Error, Mark, Outcome, Transaction};
use proptest::{prelude::*, sample::select};
use serde::de::DeserializeOwned;
use testkit::flow::{BoxError, Faults, Flow, Site};

use super::{allowed, world::any_faults};

const SKUS: [&str; 3] = ["A", "B", "C"];
const CARTS: usize = 4;
/// The longest run, by the function's timeout.
const RUN: Duration = Duration::from_secs(60);
/// Longer than a lease.
const LEASE_OVER: Duration = Duration::from_secs(31);

fn sku(name: &str) -> Sku {
    Sku::new(name).expect("a sku")
}

fn customer() -> CustomerId {
    CustomerId::new("buyer").expect("an id")
}

fn gold() -> TierName {
    TierName::new("gold").expect("a name")
}

fn cart_id(number: usize) -> CartId {
    testing::cart_id(u64::try_from(number).expect("small"))
}

fn order_id(number: usize) -> OrderId {
    let id = format!("0190a1b2-c3d4-7e5f-8a9b-0c1f{number:08x}");
    id.parse().expect("an id")
}

/// What is done at the same time as everything else.
#[derive(Debug, Clone)]
enum Act {
    Add(usize, &'static str, u32),
    Clear(usize),
    CheckOut(usize),
    Price(&'static str, u32),
    /// The terms of a price list.
    List(&'static str, ListKind),
    /// What a price list says of a sku; `None`: nothing any more.
    ListPrice(&'static str, &'static str, Option<u32>),
    /// A price list applies no more, for ever.
    Withdraw(&'static str),
    Tier(u32),
    /// Whether the customer is in the tier.
    Customer(bool),
    Status(&'static str, ProductStatus),
    /// So much of the sku is in the house.
    Count(&'static str, u32),
}

const LISTS: [&str; 3] = ["acme", "golden", "all"];

fn audience(list: &str) -> Audience {
    match list {
        "acme" => Audience::Customer(customer()),
        "golden" => Audience::Tier(gold()),
        _ => Audience::Everybody,
    }
}

async fn act(
    commerce: &Commerce<'_>,
    transaction: &mut Transaction,
    (number, act): (usize, &Act),
) -> Result<bool, Error> {
    match act {
        Act::Add(cart, name, quantity) => {
            let add = CartStep::Add {
                sku: sku(name),
                quantity: *quantity,
            };
            let done: Result<_, OrderStopped> = commerce
                .step_cart(transaction, cart_id(*cart), add, desk())
                .await;
            allowed(done)
        }
        Act::Clear(cart) => {
            let clear = CartStep::Clear;
            let done: Result<_, OrderStopped> = commerce
                .step_cart(transaction, cart_id(*cart), clear, desk())
                .await;
            allowed(done)
        }
        Act::CheckOut(cart) => {
            let ids = (cart_id(*cart), order_id(number));
            let done: Result<_, OrderStopped> = commerce
                .check_out(transaction, &Numbers::default(), ids, None, desk())
                .await;
            allowed(done)
        }
        Act::Price(name, euros) => {
            let set = SetPrice {
                product_id: product_id(&sku(name)),
                sku: sku(name),
                currency: Currency::Eur,
                list: prices(*euros),
                by: desk(),
            };
            let done: Result<_, Stopped> = commerce.set_price(transaction, set).await;
            allowed(done)
        }
        Act::List(list, kind) => {
            let set = SetPriceList {
                price_list_id: testing::list_id(list),
                audience: audience(list),
                currency: Currency::Eur,
                terms: testing::terms(*kind),
                by: desk(),
            };
            let done: Result<_, PriceListStopped> = commerce.set_price_list(transaction, set).await;
            allowed(done)
        }
        Act::ListPrice(list, name, euros) => {
            let (list_id, sku) = (testing::list_id(list), sku(name));
            let of = (&list_id, &sku);
            let done: Result<_, PriceListStopped> = match euros {
                Some(euros) => {
                    let prices = prices(*euros);
                    commerce
                        .set_list_price(transaction, of, prices, desk())
                        .await
                }
                None => commerce.remove_list_price(transaction, of, desk()).await,
            };
            allowed(done)
        }
        Act::Withdraw(list) => {
            let list_id = testing::list_id(list);
            let done: Result<_, PriceListStopped> = commerce
                .withdraw_price_list(transaction, &list_id, desk())
                .await;
            allowed(done)
        }
        Act::Tier(percent) => {
            let set = SetTier {
                tier: gold(),
                discount_percent: percent.to_string().parse().expect("per cent"),
                by: desk(),
            };
            let done: Result<_, Stopped> = commerce.set_tier(transaction, set).await;
            allowed(done)
        }
        Act::Customer(is_gold) => {
            let mut profile = testing::profile(CustomerType::B2c);
            profile.tier = is_gold.then(gold);
            let done = commerce
                .set_customer(transaction, &customer(), profile, desk())
                .await;
            allowed(done)
        }
        Act::Status(name, status) => {
            let mut details = details(&[&sku(name)]);
            details.status = *status;
            let done: Result<_, ProductStopped> = commerce
                .set_product(transaction, &product_id(&sku(name)), details, desk())
                .await;
            allowed(done)
        }
        Act::Count(name, quantity) => {
            let counted = StockStep::Counted {
                product_id: product_id(&sku(name)),
                quantity: *quantity,
            };
            let done: Result<_, Stopped> = commerce
                .change_stock(transaction, &sku(name), counted, desk())
                .await;
            allowed(done)
        }
    }
}

fn prices(euros: u32) -> Prices {
    Prices {
        base_price: euros.to_string().parse().expect("a price"),
        volume_prices: Vec::new(),
    }
}

/// Does it, once however often it is repeated.
async fn call(site: Site, number: usize, what: Act) -> Result<(), BoxError> {
    let (outbox, table) = (site.outbox(), &table());
    let mark = Mark::Request {
        owner: "desk".to_owned(),
        method: "POST".to_owned(),
        path: format!("/{number}"),
        key: "key".to_owned(),
        body_sha256: Mark::body_sha256(b""),
    };
    let (commerce, what) = (&Commerce { outbox, table }, &what);
    let outcome = outbox
        .execute::<(), (), Error, _, _>(&mark, &Cause::default(), |mut transaction| async move {
            if act(commerce, &mut transaction, (number, what)).await? {
                Ok(Decision::Commit(transaction, ()))
            } else {
                Ok(Decision::Refuse(()))
            }
        })
        .await?;
    match outcome {
        Outcome::Contention => Err("other writers were faster".into()),
        _ => Ok(()),
    }
}

fn submit(flow: &mut Flow, number: usize, what: Act) {
    flow.submit(move |site| call(site, number, what.clone()));
}

/// Lets the worker run in between. Another run may have the lease, and a run may die: the next one goes on.
fn submit_run(flow: &mut Flow) {
    flow.submit(|site| async move {
        let worker = CartWorker::new(site.outbox().clone(), table());
        let runner = JobRunner::new(worker, site.outbox().clone(), Settings::default());
        drop(runner.run(site.clock().now().plus(RUN)).await);
        Ok(())
    });
}

/// Commits what the shop begins with: prices, stock, a tier, a customer and its carts.
async fn open(site: Site, carts: usize) {
    let outbox = site.outbox();
    testing::tax(outbox, "21", 1).await;
    for (number, name) in (10..).step_by(3).zip(SKUS) {
        testing::sell(outbox, &sku(name), "100", 1_000_000, number).await;
    }
    testing::buyer(outbox, &customer(), None, 30).await;
    testing::commit(outbox, 40, async |commerce, transaction| {
        let set = SetTier {
            tier: gold(),
            discount_percent: "10".parse().expect("per cent"),
            by: desk(),
        };
        commerce.set_tier(transaction, set).await
    })
    .await;
    for (number, list) in (50..).zip(LISTS) {
        let terms = testing::terms(ListKind::Override);
        testing::price_list(outbox, list, audience(list), terms, number).await;
    }
    for (number, cart) in (1_000..).zip(0..carts) {
        testing::cart(outbox, cart_id(cart), &customer(), number).await;
    }
}

fn shop(seed: u64, carts: usize) -> Flow {
    let flow = Flow::builder(seed)
        .consumer(|site| CommerceCarts::new(site.outbox().clone(), table()))
        .consumer(|site| CommerceCatalog::new(site.outbox().clone(), table()))
        .build()
        .expect("a flow");
    flow.look(|site| open(site, carts));
    flow
}

/// One run of the worker on a new instance; `None` if it died.
fn run(flow: &mut Flow) -> Option<Result<Report, RunError>> {
    flow.command(|site| async move {
        let worker = CartWorker::new(site.outbox().clone(), table());
        let runner = JobRunner::new(worker, site.outbox().clone(), Settings::default());
        runner.run(site.clock().now().plus(RUN)).await
    })
}

/// Runs the worker until nothing is left to do. Returns how many runs died. A page makes many calls, and under some faults hardly any
/// is done: after so many runs there are no more faults for this time.
fn work(flow: &mut Flow, faults: Faults) -> usize {
    const UNDER_FAULTS: usize = 100;
    let mut killed = 0;
    for runs in 0..1_000 {
        if runs == UNDER_FAULTS {
            flow.set_faults(Faults::NONE);
        }
        match run(flow) {
            None => killed += 1,
            Some(Ok(report)) if report.outcome == Ending::Finished => {
                flow.set_faults(faults);
                return killed;
            }
            Some(Ok(_) | Err(_)) => {}
        }
        flow.clock().advance(LEASE_OVER);
    }
    panic!("never finished");
}

/// Drains the flow, redrives what was parked, and runs the worker, until nothing moves any more.
fn settle(flow: &mut Flow, faults: Faults) -> Result<(), String> {
    for _ in 0..20 {
        flow.drain().map_err(|error| error.to_string())?;
        work(flow, faults);
        let names = [CommerceCarts::NAME, CommerceCatalog::NAME];
        let redriven: usize = names.iter().map(|name| flow.redrive(name)).sum();
        let waits = flow.store().items(&table());
        let waits = waits.iter().any(|item| item["pk"] == "cart_refresh");
        if redriven == 0 && !waits {
            // What the worker's events bring about.
            return flow.drain().map_err(|error| error.to_string());
        }
    }
    Err("something is parked again and again".to_owned())
}

/// All states of an aggregate type.
fn states<S: DeserializeOwned>(flow: &Flow, kind: &str) -> Vec<S> {
    super::states(flow, &table(), kind).into_values().collect()
}

/// Which carts are found from which subject, by the stored rows.
fn watched(flow: &Flow) -> BTreeSet<(String, String)> {
    let items = flow.store().items(&table());
    let rows = items.iter().filter_map(|item| {
        let subject = item["pk"].as_str()?.strip_prefix("cart_watch#")?;
        Some((subject.to_owned(), item["sk"].as_str()?.to_owned()))
    });
    rows.collect()
}

/// Checks everything once nothing moves any more.
fn judge(flow: &mut Flow) -> Result<Vec<Cart>, String> {
    flow.audit().map_err(|error| error.to_string())?;
    let carts: Vec<Cart> = states(flow, "cart");
    let wanted: BTreeSet<(String, String)> = carts
        .iter()
        .flat_map(|cart| {
            let subjects = cart.subjects().into_iter();
            subjects.map(|subject| (subject.to_string(), cart.cart_id().to_string()))
        })
        .collect();
    if watched(flow) != wanted {
        return Err(format!("{:?} is watched, not {wanted:?}", watched(flow)));
    }
    for product in states::<Product>(flow, "product") {
        let stocks: Vec<Stock> = states(flow, "stock");
        for variant in &product.listing().variants {
            let stock = stocks.iter().find(|stock| *stock.sku() == variant.sku);
            if variant.stock_status != stock.map(Stock::status) {
                return Err(format!("{variant:?} has {stock:?}"));
            }
        }
    }
    let mut ids: Vec<(&str, String)> = Vec::new();
    ids.extend(
        carts
            .iter()
            .map(|cart| ("cart", cart.cart_id().to_string())),
    );
    ids.extend(SKUS.map(|name| ("product", name.to_owned())));
    for (kind, id) in ids {
        let witness = flow.look(|site| async move {
            let aggregate = commerce::DOMAIN.aggregate(kind).expect("one of them");
            domain::witness(aggregate, site.outbox(), &table(), &id, 10_000).await
        });
        let witness = witness.map_err(|error| error.to_string())?;
        let witness = witness.ok_or_else(|| format!("{kind} without events"))?;
        if witness.verdict != Verdict::Agrees {
            return Err(format!("{kind}: {witness:?}"));
        }
    }
    // Calculated once more, no cart comes to anything else. But of goods that ran out while they were put into a cart, the flag may
    // say otherwise: nothing stops the sale of goods for a flag, and checking out looks at the stock.
    let told = flow.log().len();
    let products: Vec<Product> = states(flow, "product");
    flow.look(|site| async move {
        let subjects = SKUS.map(|name| Subject::Sku(sku(name)));
        testing::changed(site.outbox(), subjects.to_vec(), 900).await;
    });
    flow.set_faults(Faults::NONE);
    // A run that died in between may still have the lease.
    flow.clock().advance(LEASE_OVER);
    let report = run(flow)
        .expect("lives")
        .map_err(|error| error.to_string())?;
    if !report.counts.contains_key("seen") {
        return Err(format!("nothing was looked at: {report:?}"));
    }
    for event in flow.log().iter().skip(told) {
        let updated: Updated = serde_json::from_str(event.payload.json()).expect("an update");
        let item = updated.changed_item.as_ref();
        let by_stock = item.is_some_and(|item| {
            let of_sku = |product: &&Product| product.variant(&item.sku).is_some();
            let product = products.iter().find(of_sku);
            product.is_some_and(|product| product.is_for_sale(&item.sku, CustomerType::B2c))
        });
        if updated.action != Action::AvailabilityChanged || !by_stock {
            return Err(format!("it was not up to date: {updated:?}"));
        }
    }
    Ok(carts)
}

fn any_act() -> impl Strategy<Value = Act> {
    let status = select(&[ProductStatus::Active, ProductStatus::Archived][..]);
    let cart = || 0..CARTS;
    let name = || select(&SKUS[..]);
    let list = || select(&LISTS[..]);
    let kind = select(&[ListKind::Override, ListKind::Sale][..]);
    let list_price = prop::option::of(80_u32..120);
    prop_oneof![
        6 => (cart(), name(), 1_u32..5).prop_map(|(cart, sku, quantity)| Act::Add(cart, sku, quantity)),
        1 => cart().prop_map(Act::Clear),
        1 => cart().prop_map(Act::CheckOut),
        3 => (name(), 90_u32..110).prop_map(|(sku, euros)| Act::Price(sku, euros)),
        1 => (list(), kind).prop_map(|(list, kind)| Act::List(list, kind)),
        3 => (list(), name(), list_price).prop_map(|(list, sku, euros)| Act::ListPrice(list, sku, euros)),
        1 => list().prop_map(Act::Withdraw),
        1 => (0_u32..30).prop_map(Act::Tier),
        2 => any::<bool>().prop_map(Act::Customer),
        1 => (name(), status).prop_map(|(sku, status)| Act::Status(sku, status)),
        2 => (name(), select(&[0_u32, 5][..])).prop_map(|(sku, quantity)| Act::Count(sku, quantity)),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn each_cart_is_what_a_calculation_comes_to_whatever_happens_at_the_same_time(
        seed in any::<u64>(), faults in any_faults(), acts in prop::collection::vec(any_act(), 1..40),
        later in prop::collection::vec(any_act(), 0..20),
    ) {
        let mut flow = shop(seed, CARTS);
        flow.set_faults(faults);
        for (number, what) in acts.into_iter().enumerate() {
            submit(&mut flow, number, what);
            if number % 4 == 0 {
                submit_run(&mut flow);
            }
        }
        flow.drain().map_err(|error| TestCaseError::fail(error.to_string()))?;
        work(&mut flow, faults);
        for (number, what) in (100..).zip(later) {
            submit(&mut flow, number, what);
        }
        settle(&mut flow, faults).map_err(TestCaseError::fail)?;
        judge(&mut flow).map_err(TestCaseError::fail)?;
    }
}

#[test]
fn goods_that_run_out_and_come_back_are_marked_in_the_cart_and_in_the_catalogue() {
    let mut flow = shop(3, 1);
    submit(&mut flow, 0, Act::Add(0, "A", 1));
    settle(&mut flow, Faults::NONE).expect("settles");
    for (number, quantity) in [(1, 0), (2, 5)] {
        submit(&mut flow, number, Act::Count("A", quantity));
        settle(&mut flow, Faults::NONE).expect("settles");
        let carts: Vec<Cart> = states(&flow, "cart");
        assert_eq!(carts[0].items()[0].available, Some(quantity > 0));
    }
    let told: Vec<String> = flow
        .history("product#A")
        .iter()
        .map(|event| event.event_type.to_string())
        .collect();
    // Sold out, and not any more; it was in stock when it was first counted.
    assert_eq!(told.len(), 4, "{told:?}");
}

#[test]
fn one_price_reaches_five_thousand_carts_through_kills_and_each_of_them_once() {
    const MANY: usize = 5_000;
    let mut flow = shop(5, MANY);
    flow.look(|site| async move {
        for cart in 0..MANY {
            let add = Act::Add(cart, "A", 10);
            call(site.clone(), cart, add).await.expect("added");
        }
    });
    flow.drain().expect("drains");
    work(&mut flow, Faults::NONE);
    submit(&mut flow, MANY, Act::Price("A", 160));
    flow.drain().expect("drains");
    let mut faults = Faults::NONE;
    faults.crashes = 0.0005;
    flow.set_faults(faults);
    let killed = work(&mut flow, faults);
    // Kills that hit nothing would prove nothing.
    assert!(killed > 3, "{killed} killed");
    flow.set_faults(Faults::NONE);
    let mut told: BTreeMap<CartId, usize> = BTreeMap::new();
    for event in flow.log() {
        if event.event_type.as_str() != "cart.updated" {
            continue;
        }
        let updated: Updated = serde_json::from_str(event.payload.json()).expect("an update");
        if updated.action == Action::PriceUpdated {
            assert_eq!(updated.price_changes.len(), 1, "{updated:?}");
            *told.entry(updated.cart_id).or_default() += 1;
        }
    }
    assert_eq!(told.len(), MANY);
    assert!(told.values().all(|times| *times == 1), "{told:?}");
    let carts: Vec<Cart> = states(&flow, "cart");
    for cart in &carts {
        assert_eq!(cart.status(), CartStatus::Open);
        let total = cart.totals().expect("lines").total;
        // Ten at 160.00 with 21 % tax.
        assert_eq!(total.to_string(), "1936.00");
    }
}
