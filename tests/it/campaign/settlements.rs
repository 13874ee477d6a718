//! Payments and settlements under the storm: what clients ask of them.

mod check;

use std::sync::{Mutex, MutexGuard, PoisonError};

use events::contracts::payment::Currency;
use rand::{Rng, rngs::StdRng};
use reqwest::Method;
use rust_decimal::Decimal;
use serde_json::{Value, json};

pub(super) use self::check::{check, stored};
use super::clients::{self, Told};

/// A payment that somebody was told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Paid {
    id: String,
    amount: Decimal,
    currency: Currency,
    /// As it was told last; others may have gone on.
    status: String,
}

/// A settlement that somebody was told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Sent {
    id: String,
    required: u32,
    status: String,
    confirmations: u64,
}

/// What clients ask for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wish {
    Pay {
        amount: Decimal,
        currency: Currency,
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

/// What clients were told is there.
#[derive(Debug, Default)]
pub(super) struct Known {
    payments: Mutex<Vec<Paid>>,
    settlements: Mutex<Vec<Sent>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One of the last, mostly: then several clients are at it.
fn one_of<T: Clone>(dice: &mut StdRng, all: &[T]) -> Option<T> {
    let last = all.len().saturating_sub(8);
    let from = if dice.random_bool(0.8) { last } else { 0 };
    (!all.is_empty()).then(|| all[dice.random_range(from..all.len())].clone())
}

impl Known {
    /// What a client was told.
    pub(super) fn learn(&self, wish: &Wish, answer: &Value) {
        let word = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        let status = word("status");
        match wish {
            Wish::Pay { amount, currency } => locked(&self.payments).push(Paid {
                id: word("payment_id"),
                amount: *amount,
                currency: *currency,
                status,
            }),
            Wish::Send { required, .. } => locked(&self.settlements).push(Sent {
                id: word("settlement_id"),
                required: *required,
                status,
                confirmations: 0,
            }),
            Wish::Step { payment, .. } | Wish::Refund { payment, .. } => {
                let mut all = locked(&self.payments);
                let one = all.iter_mut().find(|one| one.id == payment.id);
                one.into_iter()
                    .for_each(|one| one.status.clone_from(&status));
            }
            Wish::Submit { settlement, .. }
            | Wish::Confirm { settlement, .. }
            | Wish::Settle { settlement, .. }
            | Wish::Fail { settlement } => {
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

    /// All aggregates, as the log calls them.
    pub(super) fn aggregates(&self) -> Vec<String> {
        let payments = locked(&self.payments);
        let settlements = locked(&self.settlements);
        let payments = payments.iter().map(|one| format!("payment#{}", one.id));
        let settlements = settlements
            .iter()
            .map(|one| format!("settlement#{}", one.id));
        payments.chain(settlements).collect()
    }

    /// The next thing that a client asks for: mostly what the status allows that was told last, at times anything.
    pub(super) fn wish(&self, dice: &mut StdRng) -> Wish {
        let amount =
            |dice: &mut StdRng, most: i64| Decimal::new(dice.random_range(1..=most), 2).normalize();
        let payment = one_of(dice, &locked(&self.payments));
        let settlement = one_of(dice, &locked(&self.settlements));
        let pay = |dice: &mut StdRng| Wish::Pay {
            amount: amount(dice, 50_000),
            currency: Currency::ALL[dice.random_range(0..2)],
        };
        let drawn = dice.random_range(0..100);
        match (drawn, payment, settlement) {
            (0..12, ..) | (_, None, _) => pay(dice),
            (12..22, Some(payment), _) | (55.., Some(payment), None) => Wish::Send {
                amount: amount(dice, 50_000),
                payment,
                required: dice.random_range(1..=4),
            },
            (_, Some(payment), _) if drawn < 55 => Self::of_payment(dice, payment),
            (.., Some(settlement)) => Self::of_settlement(dice, settlement),
            (.., None) => pay(dice),
        }
    }

    fn of_payment(dice: &mut StdRng, payment: Paid) -> Wish {
        let any = dice.random_range(0..16);
        let step = match (any, payment.status.as_str()) {
            (0, _) => "cancel",
            (1, _) => "fail",
            (2, _) | (5.., "created") => "authorize",
            (3, _) | (5.., "authorized") => "capture",
            _ => {
                // At times all of it, which is too much where some went back.
                let hundredths = i64::try_from(payment.amount * Decimal::ONE_HUNDRED);
                let hundredths = hundredths.unwrap_or(1).max(1);
                let amount = match dice.random_range(0..8) {
                    0 => hundredths,
                    _ => dice.random_range(1..=(hundredths + 2) / 3),
                };
                let amount = Decimal::new(amount, 2).normalize();
                return Wish::Refund { payment, amount };
            }
        };
        Wish::Step { payment, step }
    }

    fn of_settlement(dice: &mut StdRng, settlement: Sent) -> Wish {
        let any = dice.random_range(0..16);
        let number = dice.random_range(0..1_000);
        match (any, settlement.status.as_str()) {
            (0, _) => Wish::Fail { settlement },
            (1, _) | (5.., "network_selected") => Wish::Submit {
                settlement,
                hash: format!("0x{number}"),
            },
            (2, _) | (5.., "confirmed") => Wish::Settle {
                settlement,
                gas: format!("0.{number:03}1"),
            },
            _ => {
                // One more than were told, at times fewer, the same or many.
                let more = [0, 1, 1, 1, 2, 3][dice.random_range(0..6)];
                let confirmations = match dice.random_range(0..8) {
                    0 => settlement.confirmations.saturating_sub(1),
                    _ => settlement.confirmations + more,
                };
                Wish::Confirm {
                    settlement,
                    confirmations,
                }
            }
        }
    }
}

impl Wish {
    /// How it is asked.
    pub(super) fn request(&self) -> (Method, String, Value) {
        let payment =
            |payment: &Paid, what: &str| format!("/api/v1/payments/{}/{what}", payment.id);
        let settlement =
            |settlement: &Sent, what: &str| format!("/api/v1/settlements/{}/{what}", settlement.id);
        let (path, body) = match self {
            Self::Pay { amount, currency } => (
                "/api/v1/payments".to_owned(),
                json!({ "amount": amount.to_string(), "currency": currency.as_str() }),
            ),
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

/// Whether a campaign's payments and settlements had something to do: money went back, some went all its way, and something
/// was refused.
pub(super) fn were_busy(told: &[Told]) -> bool {
    let of = |one: &Told| match &one.order.wish {
        clients::Wish::Settlement(wish) => Some((wish.clone(), one.answer.is_some())),
        _ => None,
    };
    let all: Vec<(Wish, bool)> = told.iter().filter_map(of).collect();
    let done = |which: fn(&Wish) -> bool| all.iter().any(|(wish, done)| *done && which(wish));
    all.iter().any(|(_, done)| !done)
        && done(|wish| matches!(wish, Wish::Refund { .. }))
        && done(|wish| matches!(wish, Wish::Confirm { .. }))
        && done(|wish| matches!(wish, Wish::Settle { .. }))
}
