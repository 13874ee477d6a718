//! Wallets during the storm: what clients request.

mod check;

use events::{
    Contract,
    contracts::wallet::{AccountType, BalanceUpdated},
};
use rand::{Rng, rngs::StdRng};
use reqwest::Method;
use rust_decimal::Decimal;
use serde_json::{Value, json};
use wallet::HoldReason;

pub(super) use self::check::{aggregates, check};
use super::clients::{self, OrderResult};
use crate::e2e::points;

/// What a client requests of a wallet. Members are given by number, and can be users and models at the same time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
    Deposit {
        member: usize,
        amount: Decimal,
        payment: u64,
    },
    Withdraw {
        account_type: AccountType,
        member: usize,
        amount: Decimal,
        payment: u64,
    },
    Hold {
        member: usize,
        amount: Decimal,
        reason: HoldReason,
    },
    Settle {
        escrow: Holding,
        model: usize,
    },
    Refund {
        escrow: Holding,
    },
    PartialSettle {
        escrow: Holding,
        model: usize,
        refund: Decimal,
    },
}

/// An escrow in the response to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Holding {
    pub(super) id: String,
    pub(super) user: usize,
    pub(super) amount: Decimal,
}

impl Holding {
    /// The escrow in the response to a client that held points.
    pub(super) fn of_answer(request: &Request, answer: &Value) -> Option<Self> {
        let Request::Hold { member, amount, .. } = request else {
            return None;
        };
        Some(Self {
            id: answer["escrow_id"].as_str()?.to_owned(),
            user: *member,
            amount: *amount,
        })
    }
}

impl Request {
    /// The next request, if these escrows were made before.
    pub(super) fn drawn(dice: &mut StdRng, escrows: &[Holding], member: usize) -> Self {
        let amount =
            |dice: &mut StdRng, most: i64| Decimal::new(dice.random_range(1..=most), 2).normalize();
        let end = dice.random_range(0..100);
        match end {
            0..25 => Self::Deposit {
                member,
                amount: amount(dice, 20_000),
                payment: dice.random(),
            },
            25..35 => Self::Withdraw {
                account_type: AccountType::ALL[dice.random_range(0..2)],
                member,
                amount: amount(dice, 5_000),
                payment: dice.random(),
            },
            35..65 => Self::Hold {
                member,
                amount: amount(dice, 6_000),
                reason: HoldReason::ALL[dice.random_range(0..HoldReason::ALL.len())],
            },
            _ if escrows.is_empty() => Self::Deposit {
                member,
                amount: amount(dice, 20_000),
                payment: dice.random(),
            },
            _ => {
                // Several clients try to end one of the last escrows. Ending an escrow that has ended is refused.
                let last = escrows.len().saturating_sub(8);
                let from = if dice.random_bool(0.7) { last } else { 0 };
                let escrow = escrows[dice.random_range(from..escrows.len())].clone();
                let hundredths = escrow.amount * Decimal::ONE_HUNDRED;
                let hundredths = i64::try_from(hundredths).unwrap_or(0);
                match end {
                    65..77 => Self::Settle {
                        escrow,
                        model: member,
                    },
                    77..88 => Self::Refund { escrow },
                    _ if hundredths < 2 => Self::Refund { escrow },
                    _ => Self::PartialSettle {
                        refund: amount(dice, hundredths - 1),
                        escrow,
                        model: member,
                    },
                }
            }
        }
    }

    /// The request over HTTP.
    pub(super) fn to_http(&self, members: &[String]) -> (Method, String, Value) {
        let wallet =
            |member: usize, what: &str| format!("/api/v1/wallets/{}/{what}", members[member]);
        let escrow = |escrow: &Holding, end: &str| format!("/api/v1/escrows/{}/{end}", escrow.id);
        let (path, body) = match self {
            Self::Deposit {
                member,
                amount,
                payment,
            } => (
                wallet(*member, "deposits"),
                json!({ "amount": amount.to_string(), "external_reference": reference(*payment) }),
            ),
            Self::Withdraw {
                account_type,
                member,
                amount,
                payment,
            } => (
                wallet(*member, "withdrawals"),
                json!({
                    "amount": amount.to_string(), "account_type": account_type.as_str(),
                    "external_reference": reference(*payment),
                }),
            ),
            Self::Hold {
                member,
                amount,
                reason,
            } => (
                wallet(*member, "escrows"),
                json!({
                    "amount": amount.to_string(), "reason": reason.wire(), "queue_item_id": "storm",
                    "feature_type": "storm", "request_id": "storm",
                }),
            ),
            Self::Settle { escrow: of, model } => {
                (escrow(of, "settle"), json!({ "model_id": members[*model] }))
            }
            Self::Refund { escrow: of } => (escrow(of, "refund"), json!({})),
            Self::PartialSettle {
                escrow: of,
                model,
                refund,
            } => (
                escrow(of, "partial-settle"),
                json!({
                    "model_id": members[*model], "refund_amount": refund.to_string(),
                    "settle_amount": (of.amount - refund).to_string(),
                }),
            ),
        };
        (Method::POST, path, body)
    }

    /// Whether an event is what this request asked for.
    pub(super) fn is_said_by(&self, members: &[String], payload: &Value) -> bool {
        let is = |name: &str, wanted: Decimal| {
            points(&payload[name]).is_ok_and(|amount| amount.decimal() == wanted)
        };
        let of = |name: &str, member: usize| payload[name] == *members[member];
        match self {
            Self::Deposit {
                member,
                amount,
                payment,
            } => {
                of("account_id", *member)
                    && payload["account_type"] == "user"
                    && is("amount", *amount)
                    && payload["external_reference"] == reference(*payment)
            }
            Self::Withdraw {
                account_type,
                member,
                amount,
                payment,
            } => {
                of("account_id", *member)
                    && payload["account_type"] == account_type.as_str()
                    && is("amount", *amount)
                    && payload["external_reference"] == reference(*payment)
            }
            Self::Hold {
                member,
                amount,
                reason,
            } => {
                of("user_id", *member)
                    && is("amount", *amount)
                    && payload["reason"] == reason.wire().as_str()
            }
            Self::Settle { escrow, model } => {
                payload["escrow_id"] == *escrow.id
                    && of("user_id", escrow.user)
                    && of("model_id", *model)
                    && is("amount", escrow.amount)
            }
            Self::Refund { escrow } => {
                payload["escrow_id"] == *escrow.id
                    && of("user_id", escrow.user)
                    && is("amount", escrow.amount)
            }
            Self::PartialSettle {
                escrow,
                model,
                refund,
            } => {
                payload["escrow_id"] == *escrow.id
                    && of("user_id", escrow.user)
                    && of("model_id", *model)
                    && is("refund_amount", *refund)
                    && is("settle_amount", escrow.amount - refund)
            }
        }
    }
}

/// The outside's name of a payment.
fn reference(payment: u64) -> String {
    format!("storm/{payment}")
}

/// The aggregate whose event is sent again.
pub(super) fn any_account(dice: &mut StdRng, member: &str) -> String {
    let kind = AccountType::ALL[dice.random_range(0..2)].as_str();
    format!("{}#{kind}-{member}", BalanceUpdated::AGGREGATE)
}

/// Whether a campaign's wallets had something to do: each kind of movement succeeded.
pub(super) fn were_busy(results: &[OrderResult]) -> bool {
    let done = |which: fn(&Request) -> bool| {
        results.iter().any(|one| {
            let clients::Request::Wallet(request) = &one.order.request else {
                return false;
            };
            one.answer.is_some() && which(request)
        })
    };
    [
        done(|request| matches!(request, Request::Withdraw { .. })),
        done(|request| matches!(request, Request::Settle { .. })),
        done(|request| matches!(request, Request::Refund { .. })),
        done(|request| matches!(request, Request::PartialSettle { .. })),
    ]
    .into_iter()
    .all(|done| done)
}
