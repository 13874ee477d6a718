//! Clients that repeat until they are answered, and what they were told.

use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
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

use super::{Field, KeyOwner, loans, settlements, wallets};
use crate::e2e::{Result, unique};

/// How long one operation may stay without an answer, repeats included.
const PATIENCE: Duration = Duration::from_secs(240);
/// How likely a client repeats what was answered.
const REPEATS: f64 = 0.15;
/// How likely it sends two copies at once.
const TWINS: f64 = 0.05;

/// What a client asks for; members by their number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wish {
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
    /// Proposes the rates of every card of the campaign.
    Propose {
        by: usize,
    },
    Approve {
        card: u64,
        by: usize,
        key_owner: KeyOwner,
    },
    Wallet(wallets::Wish),
    Settlement(settlements::Wish),
    Loan(loans::Wish),
}

impl Wish {
    /// Whose key it is asked with.
    fn key_owner(&self) -> KeyOwner {
        match self {
            Self::Approve { key_owner, .. } => *key_owner,
            Self::Loan(wish) => wish.key_owner(),
            _ => KeyOwner::Requester,
        }
    }
}

/// A stake that somebody was told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Stake {
    pub(super) position: String,
    pub(super) member: usize,
    pub(super) amount: Decimal,
}

/// A wish with its key.
#[derive(Debug, Clone)]
pub(super) struct Order {
    pub(super) key: String,
    pub(super) wish: Wish,
}

/// An order and what became of it; `None`: refused.
#[derive(Debug, Clone)]
pub(super) struct Told {
    pub(super) order: Order,
    pub(super) answer: Option<Value>,
}

/// What a unit of each primitive costs by the campaign's rate card, in hundredths of a credit.
pub(super) const RATES: [(Primitive, u32); 4] = [
    (Primitive::Compute, 150),
    (Primitive::Transfer, 25),
    (Primitive::Ltm, 100),
    (Primitive::Stm, 1),
];

/// What a quantity of at most three decimals costs: exactly, so that nothing is left to round.
pub(super) fn cost(primitive: Primitive, quantity: Decimal) -> Decimal {
    let rate = RATES.iter().find(|(one, _)| *one == primitive);
    let hundredths = rate.map_or(0, |(_, hundredths)| i64::from(*hundredths));
    (quantity * Decimal::new(hundredths, 2)).normalize()
}

/// The rate card as a member proposes it: effective at once, and told at once.
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

/// An answer that ends a client's waiting.
enum Answered {
    Done(Value),
    /// Refused; `doubtful` when an earlier sending of it got no answer and may yet take effect.
    Refused {
        doubtful: bool,
    },
}

pub(super) struct Clients<'a> {
    field: &'a Field,
    told: Mutex<Vec<Told>>,
    /// Refused, but an earlier sending went unanswered: asked again when the weather is fair.
    doubtful: Mutex<Vec<Order>>,
    begun: AtomicU64,
    unanswered: AtomicU64,
    repeats: AtomicU64,
    minted_charges: Mutex<Vec<String>>,
    /// Stakes made so far, ended ones too.
    stakes: Mutex<Vec<Stake>>,
    /// Cards proposed so far, approved ones too.
    cards: Mutex<Vec<u64>>,
    /// Escrows made so far, ended ones too.
    escrows: Mutex<Vec<wallets::Holding>>,
}

impl<'a> Clients<'a> {
    pub(super) fn new(field: &'a Field) -> Self {
        Self {
            field,
            told: Mutex::default(),
            doubtful: Mutex::default(),
            begun: AtomicU64::new(0),
            unanswered: AtomicU64::new(0),
            repeats: AtomicU64::new(0),
            minted_charges: Mutex::default(),
            stakes: Mutex::default(),
            cards: Mutex::default(),
            escrows: Mutex::default(),
        }
    }

    /// What clients were told; complete once they have settled.
    pub(super) fn told(&self) -> Vec<Told> {
        locked(&self.told).clone()
    }

    pub(super) fn progress(&self) -> Progress {
        let told = locked(&self.told);
        let count = |which: fn(&Told) -> bool| told.iter().filter(|one| which(one)).count();
        Progress {
            done: count(|one| one.answer.is_some()),
            refused: count(|one| one.answer.is_none()),
            doubtful: locked(&self.doubtful).len(),
            unanswered: self.unanswered.load(Ordering::Relaxed),
            repeats: self.repeats.load(Ordering::Relaxed),
        }
    }

    /// One client, until the time or the operations are used up.
    pub(super) async fn work(&self, number: u64, until: Instant) -> Result {
        let mut dice = self.field.dice(100 + number);
        while Instant::now() < until
            && self.begun.fetch_add(1, Ordering::Relaxed) < self.field.settings.operations
        {
            self.one(&mut dice).await?;
        }
        Ok(())
    }

    async fn one(&self, dice: &mut StdRng) -> Result {
        let order = Order {
            key: unique("order"),
            wish: self.wish(dice),
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
                    return Err(format!("{order:?} was done, and its repeat refused").into());
                }
            }
        }
        self.note(order, answers)
    }

    /// All answers that say "done" must be the same one.
    fn note(&self, order: Order, answers: Vec<Answered>) -> Result {
        let mut done: Option<Value> = None;
        let mut is_doubtful = false;
        for answer in answers {
            match answer {
                Answered::Done(body) => {
                    if let Some(first) = done.as_ref().filter(|first| **first != body) {
                        return Err(
                            format!("{order:?} was answered with {first} and with {body}").into(),
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
        locked(&self.told).push(Told {
            order,
            answer: done,
        });
        Ok(())
    }

    /// What later wishes may be about.
    fn learn(&self, order: &Order, answer: &Value) {
        match &order.wish {
            Wish::Mint {
                charge: Some(charge),
                ..
            } => locked(&self.minted_charges).push(charge.clone()),
            Wish::Stake { member, amount } => {
                let position = answer["position_id"].as_str().unwrap_or_default();
                locked(&self.stakes).push(Stake {
                    position: position.to_owned(),
                    member: *member,
                    amount: *amount,
                });
            }
            Wish::Propose { .. } => locked(&self.cards).extend(answer["version"].as_u64()),
            Wish::Wallet(wish) => {
                locked(&self.escrows).extend(wallets::Holding::told(wish, answer));
            }
            Wish::Settlement(wish) => self.field.settlements.learn(wish, answer),
            Wish::Loan(wish) => self.field.loans.learn(wish, answer),
            _ => {}
        }
    }

    /// Asks again what was refused although an earlier sending may have taken effect.
    pub(super) async fn settle(&self) -> Result {
        loop {
            let Some(order) = locked(&self.doubtful).pop() else {
                return Ok(());
            };
            let answer = match self.ask(&order).await? {
                Answered::Done(body) => Some(body),
                Answered::Refused { doubtful: false } => None,
                Answered::Refused { doubtful: true } => {
                    return Err(format!("{order:?} goes unanswered in fair weather").into());
                }
            };
            if let Some(answer) = &answer {
                self.learn(&order, answer);
            }
            locked(&self.told).push(Told { order, answer });
        }
    }

    fn wish(&self, dice: &mut StdRng) -> Wish {
        let member = |dice: &mut StdRng| {
            // Two of twelve are hot.
            if dice.random_bool(0.5) {
                dice.random_range(0..2)
            } else {
                dice.random_range(0..super::MEMBERS)
            }
        };
        let amount =
            |dice: &mut StdRng, most: i64| Decimal::new(dice.random_range(1..=most), 6).normalize();
        // Wallets are asked for every third time.
        if dice.random_bool(0.33) {
            let member = member(dice);
            let wish = wallets::Wish::drawn(dice, &locked(&self.escrows), member);
            return Wish::Wallet(wish);
        }
        // Payments and settlements every third time of the others.
        if dice.random_bool(0.33) {
            return Wish::Settlement(self.field.settlements.wish(dice));
        }
        // And loans every fourth time of what is left.
        if dice.random_bool(0.25) {
            let borrower = member(dice);
            return Wish::Loan(self.field.loans.wish(dice, borrower));
        }
        match dice.random_range(0..100) {
            0..38 => {
                let before = locked(&self.minted_charges);
                let charge = match dice.random_range(0..10) {
                    0..3 => Some(unique("ch")),
                    // A charge that somebody minted: refused for ever.
                    3 if !before.is_empty() => {
                        Some(before[dice.random_range(0..before.len())].clone())
                    }
                    _ => None,
                };
                Wish::Mint {
                    member: member(dice),
                    amount: amount(dice, 100_000_000),
                    charge,
                }
            }
            38..60 => {
                let from = member(dice);
                let to = (from + dice.random_range(1..super::MEMBERS)) % super::MEMBERS;
                Wish::Transfer {
                    from,
                    to,
                    amount: amount(dice, 60_000_000),
                }
            }
            60..69 => Wish::Burn {
                member: member(dice),
                amount: amount(dice, 60_000_000),
            },
            69..79 => Wish::Redeem {
                member: member(dice),
                primitive: Primitive::ALL[dice.random_range(0..Primitive::ALL.len())],
                quantity: Decimal::new(dice.random_range(1..=30_000), 3).normalize(),
            },
            79..86 => Wish::Stake {
                member: member(dice),
                amount: amount(dice, 40_000_000),
            },
            86..93 => {
                let stakes = locked(&self.stakes);
                if stakes.is_empty() {
                    return Wish::Stake {
                        member: member(dice),
                        amount: amount(dice, 40_000_000),
                    };
                }
                // One that was ended before is refused.
                let stake = stakes[dice.random_range(0..stakes.len())].clone();
                Wish::Unstake { stake }
            }
            93..96 => Wish::Rename {
                member: member(dice),
                name: format!("Name {}", dice.random_range(0..1_000_000)),
            },
            96..98 => Wish::Propose { by: member(dice) },
            _ => {
                let (cards, by) = (locked(&self.cards), member(dice));
                // Refused of one that is approved, of one's own, and by the key that proposed it.
                match cards.len() {
                    0 => Wish::Propose { by },
                    number => Wish::Approve {
                        card: cards[dice.random_range(0..number)],
                        by,
                        key_owner: KeyOwner::approving(dice),
                    },
                }
            }
        }
    }

    /// Sends it until there is an answer.
    async fn ask(&self, order: &Order) -> Result<Answered> {
        let id = |number: usize| &self.field.members[number];
        let (method, path, body) = match &order.wish {
            Wish::Mint {
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
            Wish::Transfer { from, to, amount } => (
                Method::POST,
                "/api/v1/cloud/transfers".to_owned(),
                json!({ "from_member_id": id(*from), "to_member_id": id(*to), "amount": amount.to_string() }),
            ),
            Wish::Burn { member, amount } => (
                Method::POST,
                "/api/v1/cloud/burns".to_owned(),
                json!({ "member_id": id(*member), "amount": amount.to_string(), "reason": "storm" }),
            ),
            Wish::Redeem {
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
            Wish::Stake { member, amount } => (
                Method::POST,
                "/api/v1/cloud/stakes".to_owned(),
                json!({ "member_id": id(*member), "amount": amount.to_string(), "lock_duration_days": 0 }),
            ),
            Wish::Unstake { stake } => (
                Method::POST,
                format!("/api/v1/cloud/stakes/{}/unstake", stake.position),
                json!({}),
            ),
            Wish::Rename { member, name } => (
                Method::PATCH,
                format!("/api/v1/members/{}", id(*member)),
                json!({ "name": name }),
            ),
            Wish::Propose { by } => (
                Method::POST,
                "/api/v1/cloud/rate-cards".to_owned(),
                card(id(*by)),
            ),
            Wish::Approve { card, by, .. } => (
                Method::POST,
                format!("/api/v1/cloud/rate-cards/{card}/approve"),
                json!({ "approved_by": id(*by) }),
            ),
            Wish::Wallet(wish) => wish.request(&self.field.members),
            Wish::Settlement(wish) => wish.request(),
            Wish::Loan(wish) => wish.request(&self.field.members),
        };
        let api_key = self.field.api_key(order.wish.key_owner())?;
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
                        "{order:?} was answered with {}: {}",
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
            "{order:?}: no answer in {} s; last {last}",
            PATIENCE.as_secs()
        )
        .into())
    }
}

/// Whether the rules forbid it.
fn is_refused(reply: &Reply) -> bool {
    let problems = ["refund-too-large", "approval-by-requester"];
    let problem = reply.body["type"].as_str().unwrap_or_default();
    let problem = problem.trim_start_matches("urn:millrace:problem:");
    reply.status == StatusCode::CONFLICT || problems.contains(&problem)
}

/// How far clients are.
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
            "{} operations ({} done, {} refused, {} to be asked again), {} calls without an answer, {} repeats",
            self.done + self.refused + self.doubtful,
            self.done,
            self.refused,
            self.doubtful,
            self.unanswered,
            self.repeats
        )
    }
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
