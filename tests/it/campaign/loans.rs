//! Loans under the storm: what clients ask of them, and what must be true of them in the end.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use events::{LoanId, contracts::loan as contracts};
use loan::{
    Loan,
    books::Row,
    draw::{Draw, DrawStatus},
    schedule::Schedule,
};
use outbox::{Entity, Query};
use rand::{Rng, rngs::StdRng};
use reqwest::Method;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    Field, KeyOwner,
    books::Finding,
    clients::{self, Told},
};
use crate::e2e::{APPROVER, Result, points};

/// What is lent of every loan when it is funded; the rest can be drawn.
const FUNDED: i64 = 900;

/// A loan that somebody was told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lent {
    id: String,
    /// As it was told last; others may have gone on.
    status: String,
}

/// A draw that somebody was told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    loan: String,
    id: String,
    /// Whether nobody was told of a decision on it.
    is_open: bool,
}

/// What clients ask for; amounts in cents, borrowers by their number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wish {
    Agree {
        borrower: usize,
        amount: i64,
        months: u32,
    },
    Fund {
        loan: String,
    },
    Modify {
        loan: String,
        rate: u32,
        months: u32,
    },
    Draw {
        loan: String,
        amount: i64,
    },
    /// Approves or rejects a draw.
    Decide {
        draw: Asked,
        decision: DrawStatus,
        key_owner: KeyOwner,
    },
    Pay {
        loan: String,
        amount: i64,
    },
}

/// What clients were told is there.
#[derive(Debug, Default)]
pub(super) struct Known {
    loans: Mutex<Vec<Lent>>,
    draws: Mutex<Vec<Asked>>,
}

fn locked<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// One of the last five, mostly: then several clients are at it.
fn one_of<T: Clone>(dice: &mut StdRng, all: &[T]) -> Option<T> {
    let from = if dice.random_bool(0.8) {
        all.len().saturating_sub(5)
    } else {
        0
    };
    (!all.is_empty()).then(|| all[dice.random_range(from..all.len())].clone())
}

impl Known {
    /// All ids.
    pub(super) fn ids(&self) -> Vec<String> {
        let loans = locked(&self.loans);
        loans.iter().map(|one| one.id.clone()).collect()
    }

    /// All aggregates, as the log calls them.
    pub(super) fn aggregates(&self) -> Vec<String> {
        self.ids().iter().map(|id| format!("loan#{id}")).collect()
    }

    /// What a client was told.
    pub(super) fn learn(&self, wish: &Wish, answer: &Value) {
        let word = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        match wish {
            Wish::Agree { .. } => locked(&self.loans).push(Lent {
                id: word("loan_id"),
                status: word("status"),
            }),
            Wish::Draw { .. } => locked(&self.draws).push(Asked {
                loan: word("loan_id"),
                id: word("draw_id"),
                is_open: true,
            }),
            Wish::Decide { draw, .. } => {
                let mut all = locked(&self.draws);
                let one = all.iter_mut().find(|one| one.id == draw.id);
                one.into_iter().for_each(|one| one.is_open = false);
            }
            Wish::Fund { .. } | Wish::Modify { .. } | Wish::Pay { .. } => {
                let mut all = locked(&self.loans);
                let one = all.iter_mut().find(|one| one.id == word("loan_id"));
                one.into_iter().for_each(|one| one.status = word("status"));
            }
        }
    }

    /// The next thing that a client asks for: mostly about one of the last, so that several clients are at it.
    pub(super) fn wish(&self, dice: &mut StdRng, borrower: usize) -> Wish {
        if dice.random_bool(0.2)
            && let Some(draw) = self.draw(dice)
        {
            return Wish::Decide {
                draw,
                decision: if dice.random_bool(0.6) {
                    DrawStatus::Approved
                } else {
                    DrawStatus::Rejected
                },
                key_owner: KeyOwner::approving(dice),
            };
        }
        let lent = one_of(dice, &locked(&self.loans));
        let agree = Wish::Agree {
            borrower,
            amount: dice.random_range(100_000..10_000_000),
            months: dice.random_range(1..=60),
        };
        let Some(Lent { id: loan, status }) = lent.filter(|_| dice.random_bool(0.85)) else {
            return agree;
        };
        match (dice.random_range(0..10), status.as_str()) {
            (0..8, "created") | (0, _) => Wish::Fund { loan },
            (1..3, _) => Wish::Modify {
                loan,
                rate: dice.random_range(0..2_000),
                months: dice.random_range(1..=60),
            },
            (3..6, _) => Wish::Draw {
                loan,
                amount: dice.random_range(1..200_000),
            },
            _ => Wish::Pay {
                loan,
                // At times all that was lent, which is too much where some came back.
                amount: match dice.random_range(0..6) {
                    0 => 90_000,
                    _ => dice.random_range(1..40_000),
                },
            },
        }
    }

    /// A draw to be decided on; at times one that is.
    fn draw(&self, dice: &mut StdRng) -> Option<Asked> {
        let all = locked(&self.draws);
        let open: Vec<Asked> = all.iter().filter(|one| one.is_open).cloned().collect();
        if open.is_empty() || dice.random_bool(0.1) {
            return one_of(dice, &all);
        }
        one_of(dice, &open)
    }
}

fn money(cents: i64) -> String {
    Decimal::new(cents, 2).normalize().to_string()
}

impl Wish {
    /// Whose key it is asked with.
    pub(super) fn key_owner(&self) -> KeyOwner {
        match self {
            Self::Decide { key_owner, .. } => *key_owner,
            _ => KeyOwner::Requester,
        }
    }

    /// How it is asked.
    pub(super) fn request(&self, members: &[String]) -> (Method, String, Value) {
        let of = |loan: &str, what: &str| format!("/api/v1/loans/{loan}/{what}");
        let (path, body) = match self {
            Self::Agree {
                borrower,
                amount,
                months,
            } => (
                "/api/v1/loans".to_owned(),
                json!({
                    "borrower_id": members[*borrower], "amount": money(*amount), "currency": "EUR",
                    "interest_rate": 6.5, "term_months": months
                }),
            ),
            Self::Fund { loan } => (of(loan, "fund"), json!({ "funded_amount": FUNDED })),
            Self::Modify { loan, rate, months } => {
                let rate = Decimal::new(i64::from(*rate), 2);
                let rate: f64 = rate.try_into().unwrap_or_default();
                (
                    of(loan, "modify"),
                    json!({ "interest_rate": rate, "term_months": months }),
                )
            }
            Self::Draw { loan, amount } => (of(loan, "draws"), json!({ "amount": money(*amount) })),
            Self::Decide { draw, decision, .. } => {
                let (word, body) = match decision {
                    DrawStatus::Rejected => ("reject", json!({ "reason": "storm" })),
                    DrawStatus::Approved | DrawStatus::Requested => ("approve", json!({})),
                };
                (of(&draw.loan, &format!("draws/{}/{word}", draw.id)), body)
            }
            Self::Pay { loan, amount } => (
                of(loan, "payments"),
                json!({ "amount": money(*amount), "payment_method": "ach" }),
            ),
        };
        (Method::POST, path, body)
    }
}

fn of(one: &Told) -> Option<(&Wish, &Value)> {
    match (&one.order.wish, &one.answer) {
        (clients::Wish::Loan(wish), Some(answer)) => Some((wish, answer)),
        _ => None,
    }
}

/// Whether a campaign's loans had something to do.
pub(super) fn were_busy(told: &[Told]) -> bool {
    let done = |which: fn(&Wish) -> bool| told.iter().filter_map(of).any(|(wish, _)| which(wish));
    done(|wish| matches!(wish, Wish::Fund { .. }))
        && done(|wish| matches!(wish, Wish::Modify { .. }))
        && done(|wish| matches!(wish, Wish::Pay { .. }))
        && done(|wish| decides(wish, DrawStatus::Approved))
        && done(|wish| decides(wish, DrawStatus::Rejected))
}

fn decides(wish: &Wish, status: DrawStatus) -> bool {
    matches!(wish, Wish::Decide { decision, .. } if *decision == status)
}

/// What clients were told of a loan.
#[derive(Debug, Default)]
struct Account {
    is_funded: bool,
    payments: u64,
    principal_paid: Decimal,
    /// Each draw's amount and what became of it.
    draws: BTreeMap<String, (Decimal, DrawStatus)>,
}

impl Account {
    /// What was lent: funded, and drawn with an approval.
    fn lent(&self) -> Decimal {
        let funded = if self.is_funded { FUNDED } else { 0 };
        let approved = self
            .draws
            .values()
            .filter(|(_, status)| *status == DrawStatus::Approved);
        Decimal::from(funded) + approved.map(|(amount, _)| amount).sum::<Decimal>()
    }
}

/// What clients were told, by the loan.
fn accounts(told: &[Told], found: &mut Vec<Finding>) -> Result<BTreeMap<String, Account>> {
    let mut accounts: BTreeMap<String, Account> = BTreeMap::new();
    // A decision may have been told before the answer to who asked was noted.
    let (decisions, others): (Vec<_>, Vec<_>) = told
        .iter()
        .filter_map(of)
        .partition(|(wish, _)| matches!(wish, Wish::Decide { .. }));
    for (wish, answer) in others.into_iter().chain(decisions) {
        match wish {
            Wish::Fund { loan } => accounts.entry(loan.clone()).or_default().is_funded = true,
            Wish::Pay { loan, .. } => {
                let account = accounts.entry(loan.clone()).or_default();
                account.payments += 1;
                account.principal_paid += points(&answer["principal_paid"])?.decimal();
            }
            Wish::Draw { loan, amount } => {
                let id = answer["draw_id"].as_str().unwrap_or_default().to_owned();
                let asked = (Decimal::new(*amount, 2), DrawStatus::Requested);
                let account = accounts.entry(loan.clone()).or_default();
                account.draws.insert(id, asked);
            }
            Wish::Decide { draw, decision, .. } => {
                let account = accounts.entry(draw.loan.clone()).or_default();
                match account.draws.get_mut(&draw.id) {
                    Some((_, status @ DrawStatus::Requested)) => *status = *decision,
                    other => found.push(Finding::of(format!(
                        "draw {} was {decision} for a client, and is {other:?} for another",
                        draw.id
                    ))),
                }
            }
            Wish::Agree { .. } | Wish::Modify { .. } => {}
        }
    }
    Ok(accounts)
}

/// Whether a draw was asked for and decided on with keys of those who may: only the approver approves, and asks for nothing.
fn is_by_those_who_may(draw: &Draw) -> bool {
    let decided_by = draw.decided_by.as_ref().map(|owner| owner.as_str());
    let is_decision_right = match draw.status {
        DrawStatus::Requested => decided_by.is_none(),
        DrawStatus::Approved => decided_by == Some(APPROVER),
        DrawStatus::Rejected => decided_by.is_some(),
    };
    is_decision_right && draw.requested_by.as_str() != APPROVER
}

/// Each loan took what clients were told it took, no more; its draws are those that they were told of, as they were told, and what was
/// lent is what was funded and approved; every change of what is to be paid back when has its schedule, and the newest one pays back all
/// that was lent. That states are what their events come to is compared for all aggregates, and that rows are by the audit.
pub(super) async fn check(field: &Field, told: &[Told], found: &mut Vec<Finding>) -> Result {
    let mut accounts = accounts(told, found)?;
    for id in field.loans.ids() {
        let loan_id: LoanId = id.parse()?;
        let entity: Entity<Loan> = field.outbox.load(&field.loan, &id).await?;
        let Some(loan) = entity.state() else {
            found.push(Finding::of(format!("loan {id} is gone")));
            continue;
        };
        let (mut payments, mut draws) = (0, BTreeMap::new());
        let rows = Query::partition(&field.loan, format!("loan#{id}"), 1_000);
        for item in super::books::whole(field, &rows).await? {
            match Row::read(&field.loan, item)? {
                Some((_, Row::Payment(_))) => payments += 1,
                Some((_, Row::Draw(draw))) => {
                    if !is_by_those_who_may(&draw) {
                        found.push(Finding::of(format!("with a wrong key: {draw:?}")));
                    }
                    let stands = (draw.amount.decimal(), draw.status);
                    draws.insert(draw.draw_id.to_string(), stands);
                }
                Some((_, Row::Schedule(_))) | None => {}
            }
        }
        let account = accounts.remove(&id).unwrap_or_default();
        let stored = (payments, loan.principal_paid().decimal(), loan.lent());
        let due = (account.payments, account.principal_paid, account.lent());
        if stored != due {
            found.push(Finding::of(format!(
                "loan {id}: payments, principal paid, and what was lent are {stored:?}; clients were told of {due:?}"
            )));
        }
        if draws != account.draws {
            let due = &account.draws;
            found.push(Finding::of(format!(
                "loan {id} has the draws {draws:?}; clients were told of {due:?}"
            )));
        }
        if loan.wants_schedule() {
            found.push(Finding::of(format!("loan {id} waits for its schedule")));
        }
        // One that was paid off may have come to its end before its last changes were planned.
        if loan.status() != contracts::LoanStatus::Active {
            continue;
        }
        let newest = Schedule::of_loan(&field.loan, loan_id, 1);
        let (newest, _) = field.outbox.rows::<Schedule>(&newest).await?;
        let (planned, lent) = (newest.first().map(Schedule::principal), loan.lent());
        if planned != Some(lent) {
            found.push(Finding::of(format!(
                "loan {id}: {lent} was lent, {planned:?} is planned"
            )));
        }
    }
    Ok(())
}

/// Who is told by mail and note of an event of a loan, and by which text.
pub(super) fn tidings(event_type: &str, payload: &Value) -> Option<(String, &'static str, bool)> {
    use events::Contract as _;
    let template = match event_type {
        contracts::PaymentScheduleGenerated::TYPE if payload["revision"] == 1 => "loan_funded",
        contracts::PaymentScheduleGenerated::TYPE => "loan_plan_changed",
        contracts::PaymentReceived::TYPE => "loan_payment_received",
        contracts::DrawApproved::TYPE => "loan_draw_approved",
        contracts::PaidOff::TYPE => "loan_paid_off",
        _ => return None,
    };
    let borrower = payload["borrower_id"].as_str().unwrap_or_default();
    Some((borrower.to_owned(), template, true))
}
