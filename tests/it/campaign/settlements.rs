//! Payments and settlements during the storm: what clients request.

mod check;

use std::{collections::BTreeMap, fmt, sync::Mutex};

use events::contracts::payment::Currency;
use rand::{Rng, rngs::StdRng};
use reqwest::Method;
use rust_decimal::Decimal;
use serde_json::{Value, json};

pub(super) use self::check::{check, stored};
use super::{
    clients::{self, OrderResult},
    locked, one_of,
};

/// A payment in the response to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Paid {
    id: String,
    amount: Decimal,
    currency: Currency,
    /// The order that it is for.
    order: Option<String>,
    /// The status in the last response. Other clients may have changed it since.
    status: String,
}

/// A settlement in the response to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    id: String,
    required: u32,
    status: String,
    confirmations: u64,
}

/// What clients request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    Pay {
        amount: Decimal,
        currency: Currency,
        /// The order that it is for.
        order: Option<String>,
    },
    /// `authorize`, `capture`, `cancel` or `fail`.
    Step {
        payment: Paid,
        step: &'static str,
    },
    Refund {
        payment: Paid,
        amount: Decimal,
    },
    Send {
        payment: Paid,
        amount: Decimal,
        required: u32,
    },
    Submit {
        settlement: Sent,
        hash: String,
    },
    Confirm {
        settlement: Sent,
        confirmations: u64,
    },
    Settle {
        settlement: Sent,
        gas: String,
    },
    Fail {
        settlement: Sent,
    },
}

/// The payments and settlements in the responses to clients.
#[derive(Debug, Default)]
pub(super) struct Known {
    payments: Mutex<Vec<Paid>>,
    settlements: Mutex<Vec<Sent>>,
}

/// How many of the last ones clients mostly use.
const LAST: usize = 8;

/// A part of an amount, at most a third of it.
fn part_of(dice: &mut StdRng, amount: Decimal) -> Decimal {
    let hundredths = i64::try_from(amount * Decimal::ONE_HUNDRED);
    let hundredths = hundredths.unwrap_or(1).max(1);
    Decimal::new(dice.random_range(1..=(hundredths + 2) / 3), 2).normalize()
}

impl Known {
    /// Remembers a response to a client.
    pub(super) fn learn(&self, request: &Request, answer: &Value) {
        let word = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        let status = word("status");
        match request {
            Request::Pay {
                amount,
                currency,
                order,
            } => locked(&self.payments).push(Paid {
                id: word("payment_id"),
                amount: *amount,
                currency: *currency,
                order: order.clone(),
                status,
            }),
            Request::Send { required, .. } => locked(&self.settlements).push(Sent {
                id: word("settlement_id"),
                required: *required,
                status,
                confirmations: 0,
            }),
            Request::Step { payment, .. } | Request::Refund { payment, .. } => {
                let mut all = locked(&self.payments);
                let one = all.iter_mut().find(|one| one.id == payment.id);
                one.into_iter()
                    .for_each(|one| one.status.clone_from(&status));
            }
            Request::Submit { settlement, .. }
            | Request::Confirm { settlement, .. }
            | Request::Settle { settlement, .. }
            | Request::Fail { settlement } => {
                let mut all = locked(&self.settlements);
                let one = all.iter_mut().find(|one| one.id == settlement.id);
                one.into_iter().for_each(|one| {
                    one.status.clone_from(&status);
                    let confirmations = answer["confirmations"].as_u64();
                    one.confirmations = confirmations.unwrap_or(one.confirmations);
                });
            }
        }
    }

    /// All ids.
    pub(super) fn ids(&self) -> Vec<String> {
        let payments = locked(&self.payments);
        let settlements = locked(&self.settlements);
        let payments = payments.iter().map(|one| one.id.clone());
        let settlements = settlements.iter().map(|one| one.id.clone());
        payments.chain(settlements).collect()
    }

    /// All aggregates, as the event log names them.
    pub(super) fn aggregates(&self) -> Vec<String> {
        let payments = locked(&self.payments);
        let settlements = locked(&self.settlements);
        let payments = payments.iter().map(|one| format!("payment#{}", one.id));
        let settlements = settlements
            .iter()
            .map(|one| format!("settlement#{}", one.id));
        payments.chain(settlements).collect()
    }

    /// The next request of a client: mostly one that the last known status allows, sometimes any.
    pub(super) fn request(&self, dice: &mut StdRng) -> Request {
        let amount =
            |dice: &mut StdRng, most: i64| Decimal::new(dice.random_range(1..=most), 2).normalize();
        let payment = one_of(dice, &locked(&self.payments), LAST);
        let settlement = one_of(dice, &locked(&self.settlements), LAST);
        let pay = |dice: &mut StdRng| Request::Pay {
            amount: amount(dice, 50_000),
            currency: Currency::ALL[dice.random_range(0..2)],
            order: None,
        };
        let drawn = dice.random_range(0..100);
        match (drawn, payment, settlement) {
            (0..12, ..) | (_, None, _) => pay(dice),
            (12..26, Some(payment), _) | (55.., Some(payment), None) => self.send(dice, payment),
            (_, Some(payment), _) if drawn < 55 => Self::of_payment(dice, payment),
            (.., Some(settlement)) => Self::of_settlement(dice, settlement),
            (.., None) => pay(dice),
        }
    }

    /// The next step of a payment for an order, until it is captured. `None` if there is none.
    pub(super) fn next_for_order(&self, dice: &mut StdRng) -> Option<Request> {
        let is_under_way = |one: &&Paid| {
            one.order.is_some() && ["created", "authorized"].contains(&one.status.as_str())
        };
        let all = locked(&self.payments);
        let under_way: Vec<Paid> = all.iter().filter(is_under_way).cloned().collect();
        let payment = one_of(dice, &under_way, LAST)?;
        let step = match payment.status.as_str() {
            "created" => "authorize",
            _ => "capture",
        };
        Some(Request::Step { payment, step })
    }

    /// A settlement: mostly of one of the last payments that were captured, and of a part of it that several settlements
    /// compete for. Sometimes of any payment, or of all or more of it.
    fn send(&self, dice: &mut StdRng, any: Paid) -> Request {
        let captured: Vec<Paid> = locked(&self.payments)
            .iter()
            .filter(|one| ["captured", "partially_refunded"].contains(&one.status.as_str()))
            .cloned()
            .collect();
        let payment = match dice.random_range(0..8) {
            0 => any,
            _ => one_of(dice, &captured, LAST).unwrap_or(any),
        };
        let amount = match dice.random_range(0..8) {
            0 => payment.amount,
            1 => payment.amount + Decimal::ONE,
            _ => part_of(dice, payment.amount),
        };
        Request::Send {
            payment,
            amount,
            required: dice.random_range(1..=4),
        }
    }

    fn of_payment(dice: &mut StdRng, payment: Paid) -> Request {
        let any = dice.random_range(0..16);
        let step = match (any, payment.status.as_str()) {
            (0, _) => "cancel",
            (1, _) => "fail",
            (2, _) | (5.., "created") => "authorize",
            (3, _) | (5.., "authorized") => "capture",
            _ => {
                // Sometimes all of it, which is too much if a part was already refunded or settled.
                let amount = match dice.random_range(0..8) {
                    0 => payment.amount,
                    _ => part_of(dice, payment.amount),
                };
                return Request::Refund { payment, amount };
            }
        };
        Request::Step { payment, step }
    }

    fn of_settlement(dice: &mut StdRng, settlement: Sent) -> Request {
        let any = dice.random_range(0..16);
        let number = dice.random_range(0..1_000);
        match (any, settlement.status.as_str()) {
            (0, _) => Request::Fail { settlement },
            (1, _) | (5.., "network_selected") => Request::Submit {
                settlement,
                hash: format!("0x{number}"),
            },
            (2, _) | (5.., "confirmed") => Request::Settle {
                settlement,
                gas: format!("0.{number:03}1"),
            },
            _ => {
                // Usually one more than the last known number, sometimes the same, fewer or several more.
                let more = [0, 1, 1, 1, 2, 3][dice.random_range(0..6)];
                let confirmations = match dice.random_range(0..8) {
                    0 => settlement.confirmations.saturating_sub(1),
                    _ => settlement.confirmations + more,
                };
                Request::Confirm {
                    settlement,
                    confirmations,
                }
            }
        }
    }
}

impl fmt::Display for Known {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fn by_status<'a>(statuses: impl Iterator<Item = &'a String>) -> String {
            let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
            for status in statuses {
                *counts.entry(status).or_default() += 1;
            }
            let words: Vec<String> = counts
                .iter()
                .map(|(status, count)| format!("{count} {status}"))
                .collect();
            words.join(", ")
        }
        let payments = by_status(locked(&self.payments).iter().map(|one| &one.status));
        let settlements = by_status(locked(&self.settlements).iter().map(|one| &one.status));
        write!(f, "payments: {payments}; settlements: {settlements}")
    }
}

impl Request {
    /// The order for which this captures a payment, and how much.
    pub(super) fn captured_for(&self) -> Option<(&str, Decimal)> {
        match self {
            Self::Step { payment, step } if *step == "capture" => {
                Some((payment.order.as_deref()?, payment.amount))
            }
            _ => None,
        }
    }

    /// The request over HTTP.
    pub(super) fn to_http(&self) -> (Method, String, Value) {
        let payment =
            |payment: &Paid, what: &str| format!("/api/v1/payments/{}/{what}", payment.id);
        let settlement =
            |settlement: &Sent, what: &str| format!("/api/v1/settlements/{}/{what}", settlement.id);
        let (path, body) = match self {
            Self::Pay {
                amount,
                currency,
                order,
            } => {
                let mut body =
                    json!({ "amount": amount.to_string(), "currency": currency.as_str() });
                if let Some(id) = order {
                    body["reference"] = json!({ "type": "order", "id": id });
                }
                ("/api/v1/payments".to_owned(), body)
            }
            Self::Step { payment: of, step } if *step == "fail" => {
                (payment(of, step), json!({ "error": "storm" }))
            }
            Self::Step { payment: of, step } => (payment(of, step), json!({})),
            Self::Refund {
                payment: of,
                amount,
            } => (
                payment(of, "refunds"),
                json!({ "amount": amount.to_string() }),
            ),
            Self::Send {
                payment,
                amount,
                required,
            } => {
                let network = |name: &str, cost: &str| {
                    json!({
                        "network": name, "cost_usd": cost, "seconds": 60, "reliability": 0.99,
                        "gas_estimate": "0.000021", "required_confirmations": required
                    })
                };
                let networks = [network("base", "0.02"), network("polygon", "0.01")];
                let body = json!({
                    "payment_id": payment.id, "amount": amount.to_string(), "networks": networks
                });
                ("/api/v1/settlements".to_owned(), body)
            }
            Self::Submit {
                settlement: of,
                hash,
            } => (settlement(of, "submit"), json!({ "tx_hash": hash })),
            Self::Confirm {
                settlement: of,
                confirmations,
            } => (
                settlement(of, "confirmations"),
                json!({ "confirmations": confirmations }),
            ),
            Self::Settle {
                settlement: of,
                gas,
            } => (settlement(of, "settle"), json!({ "gas_actual": gas })),
            Self::Fail { settlement: of } => (settlement(of, "fail"), json!({ "error": "storm" })),
        };
        (Method::POST, path, body)
    }
}

/// Whether a campaign's payments and settlements had something to do: some money was refunded, some settlements
/// completed, and some requests were refused.
pub(super) fn were_busy(results: &[OrderResult]) -> bool {
    let of = |one: &OrderResult| match &one.order.request {
        clients::Request::Settlement(request) => Some((request.clone(), one.answer.is_some())),
        _ => None,
    };
    let all: Vec<(Request, bool)> = results.iter().filter_map(of).collect();
    let done =
        |which: fn(&Request) -> bool| all.iter().any(|(request, done)| *done && which(request));
    all.iter().any(|(_, done)| !done)
        && done(|request| matches!(request, Request::Refund { .. }))
        && done(|request| matches!(request, Request::Confirm { .. }))
        && done(|request| matches!(request, Request::Settle { .. }))
}
