//! The invariants of the shop at the end.

use std::collections::{BTreeMap, BTreeSet};

use commerce::{
    Cart, CreditAccount, Order, Price, Product, Stock,
    books::Books,
    cart::{Subject, Watch},
    credit,
    order::Due,
    stock,
};
use events::{
    CustomerId, Sku,
    contracts::{
        order::{Cancelled, FulfillmentStatus, OrderStatus},
        price::Currency,
    },
};
use outbox::{Scan, State};
use rust_decimal::Decimal;
use serde_json::Value;

use super::{
    super::{
        Field,
        books::{Finding, Logged, whole},
        clients::OrderResult,
    },
    LIMIT, PIECES, PRICE, Request, captured, euros, is_business, of_shop,
};
use crate::e2e::Result;

/// What the responses to clients, and what the log says of the timer, come to for an order.
#[derive(Debug, PartialEq)]
struct Ends {
    /// What was paid on account and by card.
    paid: Decimal,
    fulfillment: FulfillmentStatus,
    is_cancelled: bool,
}

impl Default for Ends {
    fn default() -> Self {
        Self {
            paid: Decimal::ZERO,
            fulfillment: FulfillmentStatus::Unfulfilled,
            is_cancelled: false,
        }
    }
}

/// A value that is set again and again: the one with the highest version is the last.
type Latest = BTreeMap<usize, (u64, Decimal)>;

/// What the responses to clients come to.
#[derive(Debug, Default)]
struct Answered {
    orders: BTreeMap<String, Ends>,
    /// The order that each cart became; `None` if it is open.
    carts: BTreeMap<String, Option<String>>,
    /// How much of each sku came in.
    received: BTreeMap<usize, u32>,
    prices: Latest,
    limits: Latest,
}

fn set(latest: &mut Latest, number: usize, answer: &Value, value: &Value) {
    let version = answer["version"].as_u64().unwrap_or_default();
    let newest = latest.entry(number).or_default();
    *newest = (*newest).max((version, euros(value)));
}

impl Answered {
    fn of(results: &[OrderResult], log: &[Logged]) -> Self {
        let mut answered = Self::default();
        for (request, answer) in of_shop(results) {
            let Some(answer) = answer else { continue };
            let word = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
            match request {
                Request::Open { .. } => {
                    answered.carts.entry(word("cart_id")).or_default();
                }
                Request::Add { .. } => {}
                Request::CheckOut { cart, .. } => {
                    let order = word("order_id");
                    answered.orders.entry(order.clone()).or_default();
                    answered.carts.insert(cart.id.clone(), Some(order));
                }
                Request::Cancel { order } => answered.order(&order.id).is_cancelled = true,
                Request::Ship { order } => {
                    let order = answered.order(&order.id);
                    order.fulfillment = order.fulfillment.max(FulfillmentStatus::Shipped);
                }
                Request::Deliver { order } => {
                    answered.order(&order.id).fulfillment = FulfillmentStatus::Delivered;
                }
                Request::Pay { order, amount, .. } => answered.order(&order.id).paid += amount,
                Request::Price { sku, .. } => {
                    let price = &answer["prices"]["EUR"]["base_price"];
                    set(&mut answered.prices, *sku, answer, price);
                }
                Request::Receive { sku, quantity } => {
                    *answered.received.entry(*sku).or_default() += quantity;
                }
                Request::Limit { customer, .. } => {
                    set(
                        &mut answered.limits,
                        *customer,
                        answer,
                        &answer["credit_limit"],
                    );
                }
            }
        }
        for (order, amount) in captured(results) {
            answered.order(order).paid += amount;
        }
        // An order that a consumer has not paid in time is cancelled by no client.
        for one in log.iter().filter(|one| is_by_the_timer(one)) {
            let order = one.payload["order_id"].as_str().unwrap_or_default();
            answered.order(order).is_cancelled = true;
        }
        answered
    }

    fn order(&mut self, id: &str) -> &mut Ends {
        self.orders.entry(id.to_owned()).or_default()
    }
}

fn is_by_the_timer(one: &Logged) -> bool {
    use events::Contract as _;
    one.row.event_type == Cancelled::TYPE && one.payload["cancelled_by"] == "system"
}

async fn load<S: State + Clone>(field: &Field, id: &str) -> Result<Option<S>> {
    let entity = field.outbox.load::<S>(&field.commerce, id).await?;
    Ok(entity.state().cloned())
}

/// The orders and carts of the shop's customers that are stored, as (type, id).
async fn stored(field: &Field) -> Result<BTreeSet<(&'static str, String)>> {
    let mut stored = BTreeSet::new();
    let mut scan = Scan {
        table: field.commerce.clone(),
        without: None,
        limit: 1_000,
        after: None,
    };
    loop {
        let page = field.outbox.store().scan(&scan).await?;
        for item in &page.items {
            let text = |name: &str| item.get(name).and_then(Value::as_str).unwrap_or_default();
            let is_ours = |customer: &String| customer == text("customer_id");
            let kinds = [Order::AGGREGATE, Cart::AGGREGATE];
            let known = kinds.into_iter().find_map(|kind| {
                let id = text("pk").strip_prefix(kind)?.strip_prefix('#')?;
                Some((kind, id.to_owned()))
            });
            if field.shop.customers.iter().any(is_ours) {
                stored.extend(known);
            }
        }
        scan.after = page.next;
        if scan.after.is_none() {
            return Ok(stored);
        }
    }
}

/// Every order that was placed is stored, has ended or is confirmed, and is as far as the responses say; what is reserved, owed and
/// paid is what the orders come to; prices, limits and stocks are what clients set last. Nothing else was made. The aggregates check
/// compares states with events.
pub(in super::super) async fn check(
    field: &Field,
    results: &[OrderResult],
    log: &[Logged],
    found: &mut Vec<Finding>,
) -> Result {
    let answered = Answered::of(results, log);
    let mut books = Books::default();
    for one in log {
        books.enter_event(&one.envelope)?;
    }
    let orders = orders(field, &answered, &mut books, found).await?;
    customers(field, &answered, &mut books, found).await?;
    skus(field, &answered, &orders, &mut books, found).await?;
    carts(field, &answered, found).await?;
    let wrong = books.check().into_iter();
    found.extend(wrong.map(|wrong| Finding::of(format!("{}: {wrong}", wrong.aggregate()))));
    let named = |kind: &'static str, ids: Vec<&String>| {
        let ids = ids.into_iter().cloned();
        ids.map(move |id| (kind, id)).collect::<Vec<_>>()
    };
    let orders = named(Order::AGGREGATE, answered.orders.keys().collect());
    let carts = named(Cart::AGGREGATE, answered.carts.keys().collect());
    let due: BTreeSet<(&str, String)> = orders.into_iter().chain(carts).collect();
    let there = stored(field).await?;
    if there != due {
        let differing: Vec<_> = there.symmetric_difference(&due).collect();
        found.push(Finding::of(format!(
            "stored, or in a response, but not both: {differing:?}"
        )));
    }
    Ok(())
}

/// Enters the orders that were placed, with their credit, goods and rows, and compares each with the responses.
async fn orders(
    field: &Field,
    answered: &Answered,
    books: &mut Books,
    found: &mut Vec<Finding>,
) -> Result<Vec<Order>> {
    let (mut orders, mut numbers) = (Vec::new(), BTreeSet::new());
    for (id, due) in &answered.orders {
        let Some(order) = load::<Order>(field, id).await? else {
            found.push(Finding::of(format!("order {id} is gone")));
            continue;
        };
        books.enter_order(&order);
        if let Some(credit) = load::<credit::Reservation>(field, id).await? {
            books.enter_credit(&credit);
        }
        if let Some(goods) = load::<stock::Reservation>(field, id).await? {
            books.enter_goods(&goods);
        }
        let stands = Ends {
            paid: order.paid().decimal(),
            fulfillment: order.fulfillment_status(),
            is_cancelled: order.status() == OrderStatus::Cancelled,
        };
        if stands != *due {
            found.push(Finding::of(format!(
                "order {id} is {stands:?}; by the responses it is {due:?}"
            )));
        }
        if order.status() == OrderStatus::Pending {
            found.push(Finding::of(format!("order {id} is still pending")));
        }
        if !numbers.insert(order.order_number().to_string()) {
            found.push(Finding::of(format!(
                "order {id} has the number of another one, {}",
                order.order_number()
            )));
        }
        orders.push(order);
    }
    let rows = whole(field, &Due::first(&field.commerce, 1_000)).await?;
    for item in rows {
        let due: Due = serde_json::from_value(Value::Object(item))?;
        // The others are of other stories.
        if answered.orders.contains_key(&due.order_id.to_string()) {
            books.enter_due(&due);
        }
    }
    Ok(orders)
}

/// Enters the accounts. The limit of each is the one that was set last.
async fn customers(
    field: &Field,
    answered: &Answered,
    books: &mut Books,
    found: &mut Vec<Finding>,
) -> Result {
    for (number, customer) in field.shop.customers.iter().enumerate() {
        if !is_business(number) {
            continue;
        }
        let account: Option<CreditAccount> = load(field, customer).await?;
        let Some(account) = account else {
            found.push(Finding::of(format!("the account of {customer} is gone")));
            continue;
        };
        books.enter_account(&account);
        let limit = account.credit_limit().decimal();
        let last = answered.limits.get(&number).map(|(_, limit)| *limit);
        let due = last.unwrap_or(LIMIT.into());
        if limit != due {
            found.push(Finding::of(format!(
                "{customer} may owe {limit}, {due} was set last"
            )));
        }
    }
    Ok(())
}

/// Enters the stocks. What is in the house came in and was not shipped. The price of each sku is the one that was set last.
async fn skus(
    field: &Field,
    answered: &Answered,
    orders: &[Order],
    books: &mut Books,
    found: &mut Vec<Finding>,
) -> Result {
    let mut shipped: BTreeMap<&str, u32> = BTreeMap::new();
    let is_shipped = |order: &&Order| order.fulfillment_status() != FulfillmentStatus::Unfulfilled;
    for line in orders.iter().filter(is_shipped).flat_map(Order::items) {
        *shipped.entry(line.sku.as_str()).or_default() += line.quantity;
    }
    for (number, sku) in field.shop.skus.iter().enumerate() {
        let stock: Option<Stock> = load(field, sku).await?;
        let price: Option<Price> = load(field, sku).await?;
        let (Some(stock), Some(price)) = (stock, price) else {
            found.push(Finding::of(format!("stock or price of {sku} is gone")));
            continue;
        };
        books.enter_stock(&stock);
        // Each sku is a product of its own.
        let product: Option<Product> = load(field, sku).await?;
        let variant = product.and_then(|product| product.variant(stock.sku()).cloned());
        let shown = variant.and_then(|variant| variant.stock_status);
        if shown != Some(stock.status()) {
            found.push(Finding::of(format!(
                "product {sku} tells {shown:?}, its stock is {:?}",
                stock.status()
            )));
        }
        let received = answered.received.get(&number).copied().unwrap_or_default();
        let left = shipped.get(sku.as_str()).copied().unwrap_or_default();
        if stock.on_hand() + left != PIECES + received {
            found.push(Finding::of(format!(
                "{sku}: {} are in the house and {left} left it, but {PIECES} were there and {received} came in",
                stock.on_hand()
            )));
        }
        if stock.on_hand().checked_sub(stock.reserved()) != Some(stock.available()) {
            found.push(Finding::of(format!("{sku}: {stock:?} does not add up")));
        }
        let list = price.currencies().get(&Currency::Eur);
        let base = list.map(|list| list.base_price.decimal());
        let last = answered.prices.get(&number).map(|(_, price)| *price);
        let due = last.unwrap_or(Decimal::new(PRICE, 2));
        if base != Some(due) {
            found.push(Finding::of(format!(
                "the price of {sku} is {base:?}, {due} was set last"
            )));
        }
    }
    Ok(())
}

/// Each cart is open, or became the order in the response to its checkout. An open one has the prices of now, and is found from
/// everything that its lines are made of; no other cart is.
async fn carts(field: &Field, answered: &Answered, found: &mut Vec<Finding>) -> Result {
    let mut due_rows = BTreeSet::new();
    for (id, due) in &answered.carts {
        let cart: Option<Cart> = load(field, id).await?;
        let order = |cart: &Cart| cart.order_id().map(|order| order.to_string());
        let became = cart.as_ref().map(order);
        if became.as_ref() != Some(due) {
            found.push(Finding::of(format!(
                "cart {id} became the order {became:?}; by the responses {due:?}"
            )));
        }
        let Some(cart) = cart else { continue };
        for item in cart.items() {
            let price: Option<Price> = load(field, item.sku.as_str()).await?;
            let list = price.and_then(|price| price.currencies().get(&Currency::Eur).cloned());
            let now = list.map(|list| list.base_price);
            if now != Some(item.unit_price) {
                found.push(Finding::of(format!(
                    "cart {id} has {item:?}, the price is {now:?}"
                )));
            }
        }
        let subjects = cart.subjects().into_iter();
        due_rows.extend(subjects.map(|subject| (subject, cart.cart_id())));
    }
    let mut subjects = Vec::new();
    for sku in &field.shop.skus {
        subjects.push(Subject::Sku(Sku::new(sku.clone())?));
    }
    for customer in &field.shop.customers {
        subjects.push(Subject::Customer(CustomerId::new(customer.clone())?));
    }
    let mut rows = BTreeSet::new();
    for subject in subjects {
        let query = subject.carts(&field.commerce, 1_000, None);
        for item in whole(field, &query).await? {
            let watch: Watch = serde_json::from_value(Value::Object(item))?;
            rows.insert((subject.clone(), watch.cart_id));
        }
    }
    if rows != due_rows {
        let differing: Vec<_> = rows.symmetric_difference(&due_rows).collect();
        found.push(Finding::of(format!(
            "carts are found, or should be, but not both: {differing:?}"
        )));
    }
    Ok(())
}
