//! The shop during the storm: what it opens with, and what clients request of carts, orders, credit, prices and stock. Payments by
//! card are those of the settlements, with the order that they are for.

mod check;

use std::{collections::BTreeMap, fmt, sync::Mutex, time::Duration};

use events::{Money, Timestamp, contracts::payment::Currency};
use outbox::{Clock as _, SystemClock};
use rand::{Rng, rngs::StdRng};
use reqwest::{Method, StatusCode};
use rust_decimal::Decimal;
use serde_json::{Value, json};

pub(super) use self::check::check;
use super::{
    Field,
    clients::{self, OrderResult},
    locked, one_of, settlements,
};
use crate::e2e::{Result, unique};

/// A country whose tax rates no other story sets: ISO 3166-1 leaves the codes XA to XZ to their users.
const COUNTRY: &str = "XS";
/// Number of customers of a cohort. Every second one, beginning with the first, is a business. The first two place every second
/// cart, so that their orders wait for each other at one account.
const CUSTOMERS: usize = 5;
/// Number of skus of a cohort. Half of all lines are of the first two.
const SKUS: usize = 4;
/// How much of each sku there is at first: less than is asked for of the hot ones.
const PIECES: u32 = 40;
/// The price of each sku at first, in cents.
const PRICE: i64 = 10_000;
/// What each business may owe at first, in euros: enough for some orders, and not for all.
const LIMIT: u32 = 5_000;
/// An order that a consumer has not paid for this long is cancelled before the books are checked. Otherwise
/// `commerce-order-timer` may do so meanwhile.
const UNPAID: Duration = Duration::from_secs(30 * 60);

/// Whether a customer, by number, is a business.
fn is_business(number: usize) -> bool {
    (number % CUSTOMERS).is_multiple_of(2)
}

/// A cart in the response to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Cart {
    id: String,
    customer: usize,
    /// How many lines it had in the last response, and what they came to. Other clients may have changed it since.
    lines: u64,
    total: Decimal,
    is_ordered: bool,
}

/// An order in the response to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Placed {
    id: String,
    customer: usize,
    total: Decimal,
    /// The statuses in the last response. Other clients, credit and stock may have changed them since.
    status: String,
    fulfillment: String,
    /// Whether a payment was made for it.
    is_charged: bool,
}

impl Placed {
    /// Whether it can be shipped, as far as it is known.
    fn waits(&self) -> bool {
        self.fulfillment == "unfulfilled" && self.status != "cancelled"
    }
}

/// What clients request. Customers and skus are given by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    /// Makes a cart.
    Open {
        customer: usize,
    },
    /// Puts goods into a cart.
    Add {
        cart: Cart,
        sku: usize,
        quantity: u32,
    },
    CheckOut {
        cart: Cart,
        expected: Option<Decimal>,
    },
    Cancel {
        order: Placed,
    },
    Ship {
        order: Placed,
    },
    Deliver {
        order: Placed,
    },
    /// Books a payment on account; `reference` is what the bank calls it.
    Pay {
        order: Placed,
        amount: Decimal,
        reference: String,
    },
    /// Sets a price, in cents.
    Price {
        sku: usize,
        cents: i64,
    },
    Receive {
        sku: usize,
        quantity: u32,
    },
    /// Sets what a business may owe, in euros.
    Limit {
        customer: usize,
        euros: u32,
    },
}

/// The shop: its customers and skus, and what the responses to clients named.
#[derive(Debug, Default)]
pub(super) struct Known {
    customers: Vec<String>,
    skus: Vec<String>,
    carts: Mutex<Vec<Cart>>,
    orders: Mutex<Vec<Placed>>,
    /// The bank's references that were booked.
    references: Mutex<Vec<String>>,
}

/// How many of the last ones clients mostly use.
const LAST: usize = 12;

/// A number below `many`. Every second one is one of the first two.
fn hot(dice: &mut StdRng, many: usize) -> usize {
    if dice.random_bool(0.5) {
        dice.random_range(0..2)
    } else {
        dice.random_range(0..many)
    }
}

/// Mostly all of an amount, sometimes a part of it.
fn of_amount(dice: &mut StdRng, amount: Decimal) -> Decimal {
    let cents = i64::try_from(amount * Decimal::ONE_HUNDRED).unwrap_or(1);
    if dice.random_bool(0.75) || cents < 2 {
        return amount;
    }
    Decimal::new(dice.random_range(1..cents), 2).normalize()
}

/// An amount in a response; zero if there is none.
fn euros(amount: &Value) -> Decimal {
    let amount = serde_json::from_value::<Money>(amount.clone());
    amount.map_or(Decimal::ZERO, Money::decimal)
}

impl Known {
    /// The shop of a campaign. `name` distinguishes it from those of others.
    pub(super) fn new(name: &str, cohorts: usize) -> Self {
        let named = |kind: &str, many: usize| {
            let numbers = 0..many * cohorts;
            numbers
                .map(|number| format!("{name}-{kind}{number}"))
                .collect()
        };
        Self {
            customers: named("c", CUSTOMERS),
            skus: named("s", SKUS),
            ..Self::default()
        }
    }

    /// The names by which a dead letter is about this shop: every event of its orders and carts has one of them.
    pub(super) fn names(&self) -> Vec<String> {
        self.customers.iter().chain(&self.skus).cloned().collect()
    }

    /// All aggregates, as the event log names them. Each sku is a product of its own. The tax rate is older than the campaign if there
    /// was one before on the same stack.
    pub(super) fn aggregates(&self) -> Vec<String> {
        let mut all = Vec::new();
        for (number, customer) in self.customers.iter().enumerate() {
            all.push(format!("customer#{customer}"));
            if is_business(number) {
                all.push(format!("credit#{customer}"));
            }
        }
        for sku in &self.skus {
            all.extend(["product", "price", "stock"].map(|kind| format!("{kind}#{sku}")));
        }
        let carts = locked(&self.carts);
        all.extend(carts.iter().map(|cart| format!("cart#{}", cart.id)));
        for order in locked(&self.orders).iter() {
            let kinds = ["order", "credit_reservation", "stock_reservation"];
            all.extend(kinds.map(|kind| format!("{kind}#{}", order.id)));
        }
        all
    }

    /// Remembers a response to a client.
    pub(super) fn learn(&self, request: &Request, answer: &Value) {
        let word = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        let total = euros(&answer["totals"]["total"]);
        match request {
            Request::Open { customer } => locked(&self.carts).push(Cart {
                id: word("cart_id"),
                customer: *customer,
                lines: 0,
                total,
                is_ordered: false,
            }),
            Request::Add { cart, .. } => self.of_cart(cart, |cart| {
                cart.lines = answer["lines"].as_u64().unwrap_or_default();
                cart.total = total;
            }),
            Request::CheckOut { cart, .. } => {
                self.of_cart(cart, |cart| cart.is_ordered = true);
                locked(&self.orders).push(Placed {
                    id: word("order_id"),
                    customer: cart.customer,
                    total,
                    status: word("status"),
                    fulfillment: word("fulfillment_status"),
                    is_charged: false,
                });
            }
            Request::Cancel { order } | Request::Ship { order } | Request::Deliver { order } => {
                self.of_order(order, |order| {
                    order.status = word("status");
                    order.fulfillment = word("fulfillment_status");
                });
            }
            Request::Pay { reference, .. } => locked(&self.references).push(reference.clone()),
            Request::Price { .. } | Request::Receive { .. } | Request::Limit { .. } => {}
        }
    }

    fn of_cart(&self, cart: &Cart, change: impl FnOnce(&mut Cart)) {
        let mut all = locked(&self.carts);
        if let Some(one) = all.iter_mut().find(|one| one.id == cart.id) {
            change(one);
        }
    }

    fn of_order(&self, order: &Placed, change: impl FnOnce(&mut Placed)) {
        let mut all = locked(&self.orders);
        if let Some(one) = all.iter_mut().find(|one| one.id == order.id) {
            change(one);
        }
    }

    /// The next request of a client: mostly one that the last known statuses allow, sometimes any.
    pub(super) fn request(
        &self,
        dice: &mut StdRng,
        cohort: usize,
        settlements: &settlements::Known,
    ) -> clients::Request {
        let customer = cohort * CUSTOMERS + hot(dice, CUSTOMERS);
        let sku = cohort * SKUS + hot(dice, SKUS);
        let drawn = match dice.random_range(0..100) {
            0..16 => None,
            16..34 => self.add(dice, sku),
            34..50 => self.check_out(dice),
            50..55 => self
                .order(dice, Placed::waits)
                .map(|order| Request::Cancel { order }),
            55..66 => self
                .order(dice, |order| {
                    order.waits() && (is_business(order.customer) || order.is_charged)
                })
                .map(|order| Request::Ship { order }),
            66..74 => self
                .order(dice, |order| order.fulfillment == "shipped")
                .map(|order| Request::Deliver { order }),
            74..82 => self.pay(dice),
            82..92 => {
                let charged = self.charge(dice, settlements);
                if let Some(request) = charged {
                    return clients::Request::Settlement(request);
                }
                None
            }
            92..95 => Some(Request::Price {
                sku,
                cents: dice.random_range(1_000..20_000),
            }),
            95..98 => Some(Request::Receive {
                sku,
                quantity: dice.random_range(1..=30),
            }),
            _ => Some(Request::Limit {
                // The businesses have the even numbers of a cohort.
                customer: cohort * CUSTOMERS + 2 * dice.random_range(0..CUSTOMERS.div_ceil(2)),
                euros: dice.random_range(500..20_000),
            }),
        };
        clients::Request::Shop(drawn.unwrap_or(Request::Open { customer }))
    }

    fn add(&self, dice: &mut StdRng, sku: usize) -> Option<Request> {
        let cart = self.cart(dice, |cart| !cart.is_ordered)?;
        Some(Request::Add {
            cart,
            sku,
            quantity: dice.random_range(1..=6),
        })
    }

    fn check_out(&self, dice: &mut StdRng) -> Option<Request> {
        let cart = self.cart(dice, |cart| !cart.is_ordered && cart.lines > 0)?;
        // It is refused if a price has changed since.
        let expected = dice.random_bool(0.5).then_some(cart.total);
        Some(Request::CheckOut { cart, expected })
    }

    /// A cart: sometimes one that became an order, or is empty.
    fn cart(&self, dice: &mut StdRng, is_wanted: fn(&Cart) -> bool) -> Option<Cart> {
        let all = locked(&self.carts);
        let wanted: Vec<Cart> = all.iter().filter(|one| is_wanted(one)).cloned().collect();
        if wanted.is_empty() || dice.random_bool(0.05) {
            return one_of(dice, &all, LAST);
        }
        one_of(dice, &wanted, LAST)
    }

    /// An order: sometimes one that is not wanted.
    fn order(&self, dice: &mut StdRng, is_wanted: fn(&Placed) -> bool) -> Option<Placed> {
        let all = locked(&self.orders);
        let wanted: Vec<Placed> = all.iter().filter(|one| is_wanted(one)).cloned().collect();
        if wanted.is_empty() || dice.random_bool(0.1) {
            return one_of(dice, &all, LAST);
        }
        one_of(dice, &wanted, LAST)
    }

    /// A payment on account. Consumers have no account.
    fn pay(&self, dice: &mut StdRng) -> Option<Request> {
        let order = self.order(dice, |order| is_business(order.customer))?;
        if !is_business(order.customer) {
            return None;
        }
        let booked = locked(&self.references);
        // Sometimes one that the bank's statement has twice, which is refused.
        let again = one_of(dice, &booked, LAST).filter(|_| dice.random_bool(0.1));
        Some(Request::Pay {
            amount: of_amount(dice, order.total),
            reference: again.unwrap_or_else(|| unique("BT")),
            order,
        })
    }

    /// A payment by card: the next step of one, or one for another order. Mostly for a consumer's, which is not shipped before.
    fn charge(
        &self,
        dice: &mut StdRng,
        settlements: &settlements::Known,
    ) -> Option<settlements::Request> {
        if let Some(step) = settlements
            .next_for_order(dice)
            .filter(|_| dice.random_bool(0.7))
        {
            return Some(step);
        }
        let order = self.order(dice, |order| {
            order.waits() && !is_business(order.customer) && !order.is_charged
        })?;
        self.of_order(&order, |order| order.is_charged = true);
        Some(settlements::Request::Pay {
            amount: of_amount(dice, order.total),
            currency: Currency::Eur,
            order: Some(order.id),
        })
    }

    /// The requests that cancel the orders which consumers have not paid for long.
    pub(super) async fn unpaid(&self, field: &Field) -> Result<Vec<Request>> {
        let mut unpaid = Vec::new();
        let all = locked(&self.orders).clone();
        for order in all.into_iter().filter(|one| !is_business(one.customer)) {
            let shown = field
                .stack
                .get(&format!("/api/v1/orders/{}", order.id))
                .await?;
            let placed: Timestamp = serde_json::from_value(shown["created_at"].clone())?;
            let is_open = shown["status"] == "pending" || shown["status"] == "confirmed";
            let is_old = SystemClock.now().since(placed) > UNPAID;
            if is_open && is_old && euros(&shown["paid"]).is_zero() {
                unpaid.push(Request::Cancel { order });
            }
        }
        Ok(unpaid)
    }
}

/// Opens the shop: a tax rate, and for each cohort its products with prices and stock, and its customers, the businesses with
/// credit.
pub(super) async fn open(field: &Field) -> Result {
    let put = async |path: String, body: Value| -> Result {
        let (key, path) = (unique("key"), format!("/api/v1/{path}"));
        let reply = field
            .stack
            .call(Method::PUT, &path, Some(&key), Some(&body))
            .await?;
        reply.expect(StatusCode::OK).map(drop)
    };
    put(
        format!("tax-rates/{COUNTRY}/standard"),
        json!({ "rate": 21, "valid_from": "2017-01-01" }),
    )
    .await?;
    for sku in &field.shop.skus {
        put(
            format!("products/{sku}"),
            json!({
                "name": "Storm lantern", "status": "active", "visibility": "public", "tax_category": "standard",
                "variants": [{ "sku": sku }],
            }),
        )
        .await?;
        let price = Decimal::new(PRICE, 2).to_string();
        put(
            format!("prices/{sku}"),
            json!({ "product_id": sku, "currency": "EUR", "base_price": price }),
        )
        .await?;
        put(
            format!("stock/{sku}"),
            json!({ "product_id": sku, "quantity": PIECES }),
        )
        .await?;
    }
    for (number, customer) in field.shop.customers.iter().enumerate() {
        let (customer_type, term) = if is_business(number) {
            ("b2b", "net_30")
        } else {
            ("b2c", "immediate")
        };
        put(
            format!("customers/{customer}"),
            json!({
                "customer_type": customer_type, "name": format!("Customer {number}"),
                "email": format!("{customer}@example.com"), "payment_term": term, "country": COUNTRY,
            }),
        )
        .await?;
        if is_business(number) {
            put(
                format!("credit-accounts/{customer}/limit"),
                json!({ "currency": "EUR", "credit_limit": LIMIT }),
            )
            .await?;
        }
    }
    Ok(())
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut counts: BTreeMap<(String, String), usize> = BTreeMap::new();
        for order in locked(&self.orders).iter() {
            let stands = (order.status.clone(), order.fulfillment.clone());
            *counts.entry(stands).or_default() += 1;
        }
        let words: Vec<String> = counts
            .iter()
            .map(|((status, fulfillment), count)| format!("{count} {status} and {fulfillment}"))
            .collect();
        let carts = locked(&self.carts).len();
        write!(
            f,
            "{carts} carts; orders in their last responses: {}",
            words.join(", ")
        )
    }
}

impl Request {
    /// The request over HTTP.
    pub(super) fn to_http(&self, shop: &Known) -> (Method, String, Value) {
        let (customers, skus) = (&shop.customers, &shop.skus);
        let of_order = |order: &Placed, step: &str| format!("orders/{}/{step}", order.id);
        let (method, path, body) = match self {
            Self::Open { customer } => (
                Method::POST,
                "carts".to_owned(),
                json!({ "customer_id": customers[*customer], "currency": "EUR" }),
            ),
            Self::Add {
                cart,
                sku,
                quantity,
            } => (
                Method::POST,
                format!("carts/{}/items", cart.id),
                json!({ "sku": skus[*sku], "quantity": quantity }),
            ),
            Self::CheckOut { cart, expected } => {
                let body = match expected {
                    Some(total) => json!({ "expected_total": total.to_string() }),
                    None => json!({}),
                };
                (Method::POST, format!("carts/{}/checkout", cart.id), body)
            }
            Self::Cancel { order } => (
                Method::POST,
                of_order(order, "cancel"),
                json!({ "reason": "storm" }),
            ),
            Self::Ship { order } => (
                Method::POST,
                of_order(order, "ship"),
                json!({ "carrier": "storm", "tracking": "storm" }),
            ),
            Self::Deliver { order } => (Method::POST, of_order(order, "deliver"), json!({})),
            Self::Pay {
                order,
                amount,
                reference,
            } => (
                Method::POST,
                format!("credit-accounts/{}/payments", customers[order.customer]),
                json!({
                    "order_id": order.id, "amount": amount.to_string(), "external_reference": reference,
                }),
            ),
            Self::Price { sku, cents } => {
                let price = Decimal::new(*cents, 2).to_string();
                let body =
                    json!({ "product_id": skus[*sku], "currency": "EUR", "base_price": price });
                (Method::PUT, format!("prices/{}", skus[*sku]), body)
            }
            Self::Receive { sku, quantity } => (
                Method::POST,
                format!("stock/{}/receipts", skus[*sku]),
                json!({ "quantity": quantity }),
            ),
            Self::Limit { customer, euros } => (
                Method::PUT,
                format!("credit-accounts/{}/limit", customers[*customer]),
                json!({ "currency": "EUR", "credit_limit": euros }),
            ),
        };
        (method, format!("/api/v1/{path}"), body)
    }
}

/// The requests to the shop, with their responses; `None` if it was refused.
fn of_shop(results: &[OrderResult]) -> impl Iterator<Item = (&Request, Option<&Value>)> {
    results.iter().filter_map(|one| match &one.order.request {
        clients::Request::Shop(request) => Some((request, one.answer.as_ref())),
        _ => None,
    })
}

/// The payments by card that were captured for an order: the order, and how much.
fn captured(results: &[OrderResult]) -> impl Iterator<Item = (&str, Decimal)> {
    results.iter().filter_map(|one| match &one.order.request {
        clients::Request::Settlement(request) if one.answer.is_some() => request.captured_for(),
        _ => None,
    })
}

/// Whether a campaign's shop had something to do: orders went all the way, paid on account and by card, some were cancelled, and
/// some requests were refused.
pub(super) fn were_busy(results: &[OrderResult]) -> bool {
    let done = |which: fn(&Request) -> bool| {
        of_shop(results).any(|(request, answer)| answer.is_some() && which(request))
    };
    of_shop(results).any(|(_, answer)| answer.is_none())
        && done(|request| matches!(request, Request::Cancel { .. }))
        && done(|request| matches!(request, Request::Deliver { .. }))
        && done(|request| matches!(request, Request::Pay { .. }))
        && done(|request| matches!(request, Request::Price { .. }))
        && done(|request| matches!(request, Request::Receive { .. }))
        && done(|request| matches!(request, Request::Limit { .. }))
        && captured(results).next().is_some()
}
