//! Clients that repeat calls until they get a response, and the responses they got.

use std::{
    fmt,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use events::contracts::cloud::Primitive;
use rand::{Rng, rngs::StdRng};
use reqwest::{Method, StatusCode};
use rust_decimal::Decimal;
use serde_json::{Value, json};
use testkit::stack::Reply;
use tokio::time::Instant;

use super::{Field, KeyOwner, loans, locked, settlements, shop, wallets};
use crate::e2e::{Result, unique};

/// How long one operation may stay without a response, including repeats.
const PATIENCE: Duration = Duration::from_secs(240);
/// How long a client that is held waits before it looks again.
const HELD_FOR: Duration = Duration::from_millis(100);
/// The probability that a client repeats a call that succeeded.
const REPEATS: f64 = 0.15;
/// The probability that a client sends two copies of a call at once.
const TWINS: f64 = 0.05;

/// What a client requests. Members are given by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    Mint {
        member: usize,
        amount: Decimal,
        charge: Option<String>,
    },
    Transfer {
        from: usize,
        to: usize,
        amount: Decimal,
    },
    Burn {
        member: usize,
        amount: Decimal,
    },
    Redeem {
        member: usize,
        primitive: Primitive,
        quantity: Decimal,
    },
    Stake {
        member: usize,
        amount: Decimal,
    },
    /// Ends a stake that was made without a lock.
    Unstake {
        stake: Stake,
    },
    Rename {
        member: usize,
        name: String,
    },
    /// Proposes the rates that every card of the campaign has.
    Propose {
        by: usize,
    },
    Approve {
        card: u64,
        by: usize,
        key_owner: KeyOwner,
    },
    Wallet(wallets::Request),
    Settlement(settlements::Request),
    Loan(loans::Request),
    Shop(shop::Request),
}

impl Request {
    /// The owner of the API key that the request uses.
    fn key_owner(&self) -> KeyOwner {
        match self {
            Self::Approve { key_owner, .. } => *key_owner,
            Self::Loan(request) => request.key_owner(),
            _ => KeyOwner::Requester,
        }
    }
}

/// A stake in the response to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stake {
    pub(super) position: String,
    pub(super) member: usize,
    pub(super) amount: Decimal,
}

/// A request with its idempotency key.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) key: String,
    pub(super) request: Request,
}

/// An order and its response; `None` if it was refused.
#[derive(Debug, Clone)]
pub(super) struct OrderResult {
    pub(super) order: Order,
    pub(super) answer: Option<Value>,
}

/// The price of a unit of each primitive by the campaign's rate card, in hundredths of a credit.
pub(super) const RATES: [(Primitive, u32); 4] = [
    (Primitive::Compute, 150),
    (Primitive::Transfer, 25),
    (Primitive::Ltm, 100),
    (Primitive::Stm, 1),
];

/// The price of a quantity with at most three decimals. It is exact, so nothing is rounded.
pub(super) fn cost(primitive: Primitive, quantity: Decimal) -> Decimal {
    let rate = RATES.iter().find(|(one, _)| *one == primitive);
    let hundredths = rate.map_or(0, |(_, hundredths)| i64::from(*hundredths));
    (quantity * Decimal::new(hundredths, 2)).normalize()
}

/// The rate card as a member proposes it: effective at once, with notice at once.
pub(super) fn card(proposer: &str) -> Value {
    let mut rates = serde_json::Map::new();
    for (primitive, hundredths) in RATES {
        let rate = Decimal::new(i64::from(hundredths), 2);
        rates.insert(primitive.as_str().to_owned(), rate.to_string().into());
    }
    json!({
        "effective_date": "2020-01-01", "notice_date": "2020-01-01", "rates": rates, "proposed_by": proposer,
    })
}

/// A response after which a client does not repeat the call.
enum Answered {
    Done(Value),
    /// Refused. `doubtful`: an earlier copy of the call got no response, so it may still take effect.
    Refused {
        doubtful: bool,
    },
}

pub(super) struct Clients<'a> {
    field: &'a Field,
    results: Mutex<Vec<OrderResult>>,
    /// Refused, but an earlier copy got no response. These are repeated when faults have ended.
    doubtful: Mutex<Vec<Order>>,
    /// Whether clients wait for the consumers before they begin another operation.
    is_held: AtomicBool,
    begun: AtomicU64,
    unanswered: AtomicU64,
    repeats: AtomicU64,
    minted_charges: Mutex<Vec<String>>,
    /// Stakes made so far, including ended ones.
    stakes: Mutex<Vec<Stake>>,
    /// Cards proposed so far, including approved ones.
    cards: Mutex<Vec<u64>>,
    /// Escrows made so far, including ended ones.
    escrows: Mutex<Vec<wallets::Holding>>,
}

impl<'a> Clients<'a> {
    pub(super) fn new(field: &'a Field) -> Self {
        Self {
            field,
            results: Mutex::default(),
            doubtful: Mutex::default(),
            is_held: AtomicBool::new(false),
            begun: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            repeats: AtomicU64::new(0),
            minted_charges: Mutex::default(),
            stakes: Mutex::default(),
            cards: Mutex::default(),
            escrows: Mutex::default(),
        }
    }

    /// The responses that clients got. They are complete after [`Self::settle`].
    pub(super) fn results(&self) -> Vec<OrderResult> {
        locked(&self.results).clone()
    }

    pub(super) fn progress(&self) -> Progress {
        let results = locked(&self.results);
        let count =
            |which: fn(&OrderResult) -> bool| results.iter().filter(|one| which(one)).count();
        Progress {
            done: count(|one| one.answer.is_some()),
            refused: count(|one| one.answer.is_none()),
            doubtful: locked(&self.doubtful).len(),
            unanswered: self.unanswered.load(Ordering::Relaxed),
            repeats: self.repeats.load(Ordering::Relaxed),
        }
    }

    /// Lets clients wait before their next operation, or go on.
    pub(super) fn hold(&self, is_held: bool) {
        self.is_held.store(is_held, Ordering::Relaxed);
    }

    /// The number of the first member of the cohort that has its turn.
    pub(super) fn first_member(&self) -> usize {
        let begun = self.begun.load(Ordering::Relaxed).saturating_sub(1);
        let cohort = usize::try_from(begun / super::PER_COHORT).unwrap_or(0);
        super::MEMBERS * cohort.min(self.field.settings.cohorts() - 1)
    }

    /// Whether clients wait.
    pub(super) fn is_held(&self) -> bool {
        self.is_held.load(Ordering::Relaxed)
    }

    /// Whether there is time for another operation.
    fn has_time(&self, since: Instant) -> bool {
        let settings = &self.field.settings;
        let is_enough = self.begun.load(Ordering::Relaxed) >= settings.least_operations;
        since.elapsed() < settings.rain * if is_enough { 1 } else { 3 }
    }

    /// Runs one client, until the time or the operations are used up.
    pub(super) async fn work(&self, number: u64, since: Instant) -> Result {
        let mut dice = self.field.dice(100 + number);
        while self.has_time(since)
            && self.begun.fetch_add(1, Ordering::Relaxed) < self.field.settings.operations
        {
            while self.is_held() && self.has_time(since) {
                tokio::time::sleep(HELD_FOR).await;
            }
            self.one(&mut dice).await?;
        }
        Ok(())
    }

    async fn one(&self, dice: &mut StdRng) -> Result {
        let order = Order {
            key: unique("order"),
            request: self.request(dice),
        };
        let mut answers = Vec::new();
        if dice.random_bool(TWINS) {
            let (one, two) = tokio::join!(self.ask(&order), self.ask(&order));
            answers.extend([one?, two?]);
        } else {
            answers.push(self.ask(&order).await?);
            let is_done = matches!(answers[0], Answered::Done(_));
            if is_done && dice.random_bool(REPEATS) {
                self.repeats.fetch_add(1, Ordering::Relaxed);
                answers.push(self.ask(&order).await?);
                if matches!(answers[1], Answered::Refused { .. }) {
                    return Err(format!("{order:?} was done, but its repeat was refused").into());
                }
            }
        }
        self.note(order, answers)
    }

    /// All successful responses to an order must be equal.
    fn note(&self, order: Order, answers: Vec<Answered>) -> Result {
        let mut done: Option<Value> = None;
        let mut is_doubtful = false;
        for answer in answers {
            match answer {
                Answered::Done(body) => {
                    if let Some(first) = done.as_ref().filter(|first| **first != body) {
                        return Err(
                            format!("{order:?} got the response {first} and also {body}").into(),
                        );
                    }
                    done = Some(body);
                }
                Answered::Refused { doubtful } => is_doubtful |= doubtful,
            }
        }
        if done.is_none() && is_doubtful {
            locked(&self.doubtful).push(order);
            return Ok(());
        }
        if let Some(answer) = &done {
            self.learn(&order, answer);
        }
        locked(&self.results).push(OrderResult {
            order,
            answer: done,
        });
        Ok(())
    }

    /// Remembers what later requests can refer to.
    fn learn(&self, order: &Order, answer: &Value) {
        match &order.request {
            Request::Mint {
                charge: Some(charge),
                ..
            } => locked(&self.minted_charges).push(charge.clone()),
            Request::Stake { member, amount } => {
                let position = answer["position_id"].as_str().unwrap_or_default();
                locked(&self.stakes).push(Stake {
                    position: position.to_owned(),
                    member: *member,
                    amount: *amount,
                });
            }
            Request::Propose { .. } => locked(&self.cards).extend(answer["version"].as_u64()),
            Request::Wallet(request) => {
                locked(&self.escrows).extend(wallets::Holding::of_answer(request, answer));
            }
            Request::Settlement(request) => self.field.settlements.learn(request, answer),
            Request::Loan(request) => self.field.loans.learn(request, answer),
            Request::Shop(request) => self.field.shop.learn(request, answer),
            _ => {}
        }
    }

    /// Cancels the orders of the shop that could take too long while the books are checked.
    pub(super) async fn cancel_unpaid(&self) -> Result {
        for request in self.field.shop.unpaid(self.field).await? {
            let order = Order {
                key: unique("order"),
                request: Request::Shop(request),
            };
            let answer = self.ask(&order).await?;
            self.note(order, vec![answer])?;
        }
        Ok(())
    }

    /// Repeats the orders that were refused although an earlier copy may have taken effect.
    pub(super) async fn settle(&self) -> Result {
        loop {
            let Some(order) = locked(&self.doubtful).pop() else {
                return Ok(());
            };
            let answer = match self.ask(&order).await? {
                Answered::Done(body) => Some(body),
                Answered::Refused { doubtful: false } => None,
                Answered::Refused { doubtful: true } => {
                    return Err(
                        format!("{order:?} got no response although faults have ended").into(),
                    );
                }
            };
            if let Some(answer) = &answer {
                self.learn(&order, answer);
            }
            locked(&self.results).push(OrderResult { order, answer });
        }
    }

    fn request(&self, dice: &mut StdRng) -> Request {
        let first = self.first_member();
        let member = |dice: &mut StdRng| {
            // Two of the twelve members are hot.
            first
                + if dice.random_bool(0.5) {
                    dice.random_range(0..2)
                } else {
                    dice.random_range(0..super::MEMBERS)
                }
        };
        let amount =
            |dice: &mut StdRng, most: i64| Decimal::new(dice.random_range(1..=most), 6).normalize();
        // One quarter of the requests are about the shop.
        if dice.random_bool(0.25) {
            let cohort = first / super::MEMBERS;
            let settlements = &self.field.settlements;
            return self.field.shop.request(dice, cohort, settlements);
        }
        // One third of the others are about wallets.
        if dice.random_bool(0.33) {
            let member = member(dice);
            let request = wallets::Request::drawn(dice, &locked(&self.escrows), member);
            return Request::Wallet(request);
        }
        // One third of the rest are about payments and settlements.
        if dice.random_bool(0.33) {
            return Request::Settlement(self.field.settlements.request(dice));
        }
        // One quarter of what is left are about loans.
        if dice.random_bool(0.25) {
            let borrower = member(dice);
            return Request::Loan(self.field.loans.request(dice, borrower));
        }
        match dice.random_range(0..100) {
            0..38 => {
                let before = locked(&self.minted_charges);
                let charge = match dice.random_range(0..10) {
                    0..3 => Some(unique("ch")),
                    // A charge that was already minted. It is always refused.
                    3 if !before.is_empty() => {
                        Some(before[dice.random_range(0..before.len())].clone())
                    }
                    _ => None,
                };
                Request::Mint {
                    member: member(dice),
                    amount: amount(dice, 100_000_000),
                    charge,
                }
            }
            38..60 => {
                let from = member(dice);
                let to = from - first + dice.random_range(1..super::MEMBERS);
                let to = first + to % super::MEMBERS;
                Request::Transfer {
                    from,
                    to,
                    amount: amount(dice, 60_000_000),
                }
            }
            60..69 => Request::Burn {
                member: member(dice),
                amount: amount(dice, 60_000_000),
            },
            69..79 => Request::Redeem {
                member: member(dice),
                primitive: Primitive::ALL[dice.random_range(0..Primitive::ALL.len())],
                quantity: Decimal::new(dice.random_range(1..=30_000), 3).normalize(),
            },
            79..86 => Request::Stake {
                member: member(dice),
                amount: amount(dice, 40_000_000),
            },
            86..93 => {
                let stakes = locked(&self.stakes);
                if stakes.is_empty() {
                    return Request::Stake {
                        member: member(dice),
                        amount: amount(dice, 40_000_000),
                    };
                }
                // A stake that has ended is refused.
                let stake = stakes[dice.random_range(0..stakes.len())].clone();
                Request::Unstake { stake }
            }
            93..96 => Request::Rename {
                member: member(dice),
                name: format!("Name {}", dice.random_range(0..1_000_000)),
            },
            96..98 => Request::Propose { by: member(dice) },
            _ => {
                let (cards, by) = (locked(&self.cards), member(dice));
                // Refused if the card is already approved, or if the member or the API key's owner proposed it.
                match cards.len() {
                    0 => Request::Propose { by },
                    number => Request::Approve {
                        card: cards[dice.random_range(0..number)],
                        by,
                        key_owner: KeyOwner::approving(dice),
                    },
                }
            }
        }
    }

    /// Sends the order until there is a response.
    async fn ask(&self, order: &Order) -> Result<Answered> {
        let id = |number: usize| &self.field.members[number];
        let (method, path, body) = match &order.request {
            Request::Mint {
                member,
                amount,
                charge,
            } => {
                let mut body = json!({ "member_id": id(*member), "amount": amount.to_string() });
                if let Some(charge) = charge {
                    body["stripe_charge_id"] = charge.as_str().into();
                }
                (Method::POST, "/api/v1/cloud/mints".to_owned(), body)
            }
            Request::Transfer { from, to, amount } => (
                Method::POST,
                "/api/v1/cloud/transfers".to_owned(),
                json!({ "from_member_id": id(*from), "to_member_id": id(*to), "amount": amount.to_string() }),
            ),
            Request::Burn { member, amount } => (
                Method::POST,
                "/api/v1/cloud/burns".to_owned(),
                json!({ "member_id": id(*member), "amount": amount.to_string(), "reason": "storm" }),
            ),
            Request::Redeem {
                member,
                primitive,
                quantity,
            } => (
                Method::POST,
                "/api/v1/cloud/redemptions".to_owned(),
                json!({
                    "member_id": id(*member), "primitive": primitive.as_str(), "unit": primitive.unit().as_str(),
                    "quantity": quantity.to_string(), "amount": cost(*primitive, *quantity).to_string(),
                    "service_name": "storm", "period_id": "storm", "rate_card_version": self.field.rate_card()?,
                }),
            ),
            Request::Stake { member, amount } => (
                Method::POST,
                "/api/v1/cloud/stakes".to_owned(),
                json!({ "member_id": id(*member), "amount": amount.to_string(), "lock_duration_days": 0 }),
            ),
            Request::Unstake { stake } => (
                Method::POST,
                format!("/api/v1/cloud/stakes/{}/unstake", stake.position),
                json!({}),
            ),
            Request::Rename { member, name } => (
                Method::PATCH,
                format!("/api/v1/members/{}", id(*member)),
                json!({ "name": name }),
            ),
            Request::Propose { by } => (
                Method::POST,
                "/api/v1/cloud/rate-cards".to_owned(),
                card(id(*by)),
            ),
            Request::Approve { card, by, .. } => (
                Method::POST,
                format!("/api/v1/cloud/rate-cards/{card}/approve"),
                json!({ "approved_by": id(*by) }),
            ),
            Request::Wallet(request) => request.to_http(&self.field.members),
            Request::Settlement(request) => request.to_http(),
            Request::Loan(request) => request.to_http(&self.field.members),
            Request::Shop(request) => request.to_http(&self.field.shop),
        };
        let api_key = self.field.api_key(order.request.key_owner())?;
        let body = body.to_string();
        let deadline = Instant::now() + PATIENCE;
        let mut doubtful = false;
        let mut last = String::new();
        let mut pause = Duration::from_millis(50);
        while Instant::now() < deadline {
            let stack = &self.field.stack;
            let (key, method) = (Some(order.key.as_str()), method.clone());
            let call = stack.call_as(Some(api_key), method, &path, key, Some(&body));
            match call.await {
                Ok(reply) if reply.status.is_success() => return Ok(Answered::Done(reply.body)),
                Ok(reply) if is_refused(&reply) => {
                    return Ok(Answered::Refused { doubtful });
                }
                Ok(reply) if reply.status.is_server_error() => {
                    last = format!("{}: {}", reply.status, reply.body);
                }
                Ok(reply) => {
                    return Err(format!(
                        "{order:?} got the response {}: {}",
                        reply.status, reply.body
                    )
                    .into());
                }
                Err(error) => last = error.to_string(),
            }
            doubtful = true;
            self.unanswered.fetch_add(1, Ordering::Relaxed);
            tokio::time::sleep(pause).await;
            pause = (pause * 2).min(Duration::from_secs(1));
        }
        Err(format!(
            "{order:?}: no response in {} s; last: {last}",
            PATIENCE.as_secs()
        )
        .into())
    }
}

/// Whether the rules forbid the request.
fn is_refused(reply: &Reply) -> bool {
    let problems = [
        "refund-too-large",
        "settlement-too-large",
        "approval-by-requester",
    ];
    let problem = reply.body["type"].as_str().unwrap_or_default();
    let problem = problem.trim_start_matches("urn:millrace:problem:");
    reply.status == StatusCode::CONFLICT || problems.contains(&problem)
}

/// The progress of the clients.
#[derive(Debug, Clone, Copy)]
pub(super) struct Progress {
    done: usize,
    refused: usize,
    doubtful: usize,
    unanswered: u64,
    repeats: u64,
}

impl fmt::Display for Progress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} operations ({} done, {} refused, {} to be repeated), {} calls without a response, {} repeats",
            self.done + self.refused + self.doubtful,
            self.done,
            self.refused,
            self.doubtful,
            self.unanswered,
            self.repeats
        )
    }
}
