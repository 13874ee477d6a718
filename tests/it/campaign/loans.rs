//! Loans during the storm: what clients request, and the invariants at the end.

use std::{collections::BTreeMap, sync::Mutex};

use events::{LoanId, contracts::loan as contracts};
use loan::{
    Loan,
    books::BookRow,
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
    clients::{self, OrderResult},
    locked, one_of,
};
use crate::e2e::{APPROVER, Result, points};

/// What is lent of every loan when it is funded. The rest can be drawn.
const FUNDED: i64 = 900;

/// A loan in the response to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lent {
    id: String,
    /// The status in the last response. Other clients may have changed it since.
    status: String,
}

/// A draw in the response to a client.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    loan: String,
    id: String,
    /// Whether no response was a decision on the draw.
    is_open: bool,
}

/// What clients request. Amounts are in cents, borrowers are given by number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Request {
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

/// The loans and draws in the responses to clients.
#[derive(Debug, Default)]
pub(super) struct Known {
    loans: Mutex<Vec<Lent>>,
    draws: Mutex<Vec<Asked>>,
}

/// How many of the last ones clients mostly use.
const LAST: usize = 5;

impl Known {
    /// All loan ids.
    pub(super) fn ids(&self) -> Vec<String> {
        let loans = locked(&self.loans);
        loans.iter().map(|one| one.id.clone()).collect()
    }

    /// All aggregates, as the event log names them.
    pub(super) fn aggregates(&self) -> Vec<String> {
        self.ids().iter().map(|id| format!("loan#{id}")).collect()
    }

    /// Remembers a response to a client.
    pub(super) fn learn(&self, request: &Request, answer: &Value) {
        let word = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        match request {
            Request::Agree { .. } => locked(&self.loans).push(Lent {
                id: word("loan_id"),
                status: word("status"),
            }),
            Request::Draw { .. } => locked(&self.draws).push(Asked {
                loan: word("loan_id"),
                id: word("draw_id"),
                is_open: true,
            }),
            Request::Decide { draw, .. } => {
                let mut all = locked(&self.draws);
                let one = all.iter_mut().find(|one| one.id == draw.id);
                one.into_iter().for_each(|one| one.is_open = false);
            }
            Request::Fund { .. } | Request::Modify { .. } | Request::Pay { .. } => {
                let mut all = locked(&self.loans);
                let one = all.iter_mut().find(|one| one.id == word("loan_id"));
                one.into_iter().for_each(|one| one.status = word("status"));
            }
        }
    }

    /// The next request of a client: mostly about one of the last loans, so that several clients use the same one.
    pub(super) fn request(&self, dice: &mut StdRng, borrower: usize) -> Request {
        if dice.random_bool(0.2)
            && let Some(draw) = self.draw(dice)
        {
            return Request::Decide {
                draw,
                decision: if dice.random_bool(0.6) {
                    DrawStatus::Approved
                } else {
                    DrawStatus::Rejected
                },
                key_owner: KeyOwner::approving(dice),
            };
        }
        let lent = one_of(dice, &locked(&self.loans), LAST);
        let agree = Request::Agree {
            borrower,
            amount: dice.random_range(100_000..10_000_000),
            months: dice.random_range(1..=60),
        };
        let Some(Lent { id: loan, status }) = lent.filter(|_| dice.random_bool(0.85)) else {
            return agree;
        };
        match (dice.random_range(0..10), status.as_str()) {
            (0..8, "created") | (0, _) => Request::Fund { loan },
            (1..3, _) => Request::Modify {
                loan,
                rate: dice.random_range(0..2_000),
                months: dice.random_range(1..=60),
            },
            (3..6, _) => Request::Draw {
                loan,
                amount: dice.random_range(1..200_000),
            },
            _ => Request::Pay {
                loan,
                // Sometimes everything that was lent, which is too much if a part was repaid.
                amount: match dice.random_range(0..6) {
                    0 => 90_000,
                    _ => dice.random_range(1..40_000),
                },
            },
        }
    }

    /// A draw to decide: sometimes one that is already decided.
    fn draw(&self, dice: &mut StdRng) -> Option<Asked> {
        let all = locked(&self.draws);
        let open: Vec<Asked> = all.iter().filter(|one| one.is_open).cloned().collect();
        if open.is_empty() || dice.random_bool(0.1) {
            return one_of(dice, &all, LAST);
        }
        one_of(dice, &open, LAST)
    }
}

fn money(cents: i64) -> String {
    Decimal::new(cents, 2).normalize().to_string()
}

impl Request {
    /// The owner of the API key that the request uses.
    pub(super) fn key_owner(&self) -> KeyOwner {
        match self {
            Self::Decide { key_owner, .. } => *key_owner,
            _ => KeyOwner::Requester,
        }
    }

    /// The request over HTTP.
    pub(super) fn to_http(&self, members: &[String]) -> (Method, String, Value) {
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

fn of(one: &OrderResult) -> Option<(&Request, &Value)> {
    match (&one.order.request, &one.answer) {
        (clients::Request::Loan(request), Some(answer)) => Some((request, answer)),
        _ => None,
    }
}

/// Whether a campaign's loans had something to do.
pub(super) fn were_busy(results: &[OrderResult]) -> bool {
    let done = |which: fn(&Request) -> bool| {
        results
            .iter()
            .filter_map(of)
            .any(|(request, _)| which(request))
    };
    done(|request| matches!(request, Request::Fund { .. }))
        && done(|request| matches!(request, Request::Modify { .. }))
        && done(|request| matches!(request, Request::Pay { .. }))
        && done(|request| decides(request, DrawStatus::Approved))
        && done(|request| decides(request, DrawStatus::Rejected))
}

fn decides(request: &Request, status: DrawStatus) -> bool {
    matches!(request, Request::Decide { decision, .. } if *decision == status)
}

/// What the responses to clients say about a loan.
#[derive(Debug, Default)]
struct Account {
    is_funded: bool,
    payments: u64,
    principal_paid: Decimal,
    /// Each draw's amount and status.
    draws: BTreeMap<String, (Decimal, DrawStatus)>,
}

impl Account {
    /// What was lent: at funding, and by approved draws.
    fn lent(&self) -> Decimal {
        let funded = if self.is_funded { FUNDED } else { 0 };
        let approved = self
            .draws
            .values()
            .filter(|(_, status)| *status == DrawStatus::Approved);
        Decimal::from(funded) + approved.map(|(amount, _)| amount).sum::<Decimal>()
    }
}

/// What the responses to clients say, by loan.
fn accounts(
    results: &[OrderResult],
    found: &mut Vec<Finding>,
) -> Result<BTreeMap<String, Account>> {
    let mut accounts: BTreeMap<String, Account> = BTreeMap::new();
    // The response to a decision may be recorded before the response to the draw's request.
    let (decisions, others): (Vec<_>, Vec<_>) = results
        .iter()
        .filter_map(of)
        .partition(|(request, _)| matches!(request, Request::Decide { .. }));
    for (request, answer) in others.into_iter().chain(decisions) {
        match request {
            Request::Fund { loan } => accounts.entry(loan.clone()).or_default().is_funded = true,
            Request::Pay { loan, .. } => {
                let account = accounts.entry(loan.clone()).or_default();
                account.payments += 1;
                account.principal_paid += points(&answer["principal_paid"])?.decimal();
            }
            Request::Draw { loan, amount } => {
                let id = answer["draw_id"].as_str().unwrap_or_default().to_owned();
                let asked = (Decimal::new(*amount, 2), DrawStatus::Requested);
                let account = accounts.entry(loan.clone()).or_default();
                account.draws.insert(id, asked);
            }
            Request::Decide { draw, decision, .. } => {
                let account = accounts.entry(draw.loan.clone()).or_default();
                match account.draws.get_mut(&draw.id) {
                    Some((_, status @ DrawStatus::Requested)) => *status = *decision,
                    other => found.push(Finding::of(format!(
                        "draw {} is {decision} in one response, but {other:?} in another",
                        draw.id
                    ))),
                }
            }
            Request::Agree { .. } | Request::Modify { .. } => {}
        }
    }
    Ok(accounts)
}

/// Whether the right owners requested and decided a draw: only the approver approves, and the approver requests
/// nothing.
fn is_by_those_who_may(draw: &Draw) -> bool {
    let decided_by = draw.decided_by.as_ref().map(|owner| owner.as_str());
    let is_decision_right = match draw.status {
        DrawStatus::Requested => decided_by.is_none(),
        DrawStatus::Approved => decided_by == Some(APPROVER),
        DrawStatus::Rejected => decided_by.is_some(),
    };
    is_decision_right && draw.requested_by.as_str() != APPROVER
}

/// Each loan received exactly the payments in the responses. Its draws are the draws in the responses, with the same
/// status. What was lent is what was funded and approved. Every change of the repayment plan has its schedule, and the
/// newest schedule repays everything that was lent. The aggregates check compares states with events, and the audit
/// compares the other rows.
pub(super) async fn check(
    field: &Field,
    results: &[OrderResult],
    found: &mut Vec<Finding>,
) -> Result {
    let mut accounts = accounts(results, found)?;
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
            match BookRow::read(&field.loan, item)? {
                Some((_, BookRow::Payment(_))) => payments += 1,
                Some((_, BookRow::Draw(draw))) => {
                    if !is_by_those_who_may(&draw) {
                        found.push(Finding::of(format!(
                            "a wrong owner requested or decided: {draw:?}"
                        )));
                    }
                    let stands = (draw.amount.decimal(), draw.status);
                    draws.insert(draw.draw_id.to_string(), stands);
                }
                Some((_, BookRow::Schedule(_))) | None => {}
            }
        }
        let account = accounts.remove(&id).unwrap_or_default();
        let stored = (payments, loan.principal_paid().decimal(), loan.lent());
        let due = (account.payments, account.principal_paid, account.lent());
        if stored != due {
            found.push(Finding::of(format!(
                "loan {id}: payments, principal paid, and what was lent are {stored:?}; by the responses they are {due:?}"
            )));
        }
        if draws != account.draws {
            let due = &account.draws;
            found.push(Finding::of(format!(
                "loan {id} has the draws {draws:?}; by the responses they are {due:?}"
            )));
        }
        if loan.wants_schedule() {
            found.push(Finding::of(format!("loan {id} waits for its schedule")));
        }
        // A loan that was paid off may have ended before its last changes were planned.
        if loan.status() != contracts::LoanStatus::Active {
            continue;
        }
        let newest = Schedule::of_loan(&field.loan, loan_id, 1);
        let (newest, _) = field.outbox.rows::<Schedule>(&newest).await?;
        let (planned, lent) = (newest.first().map(Schedule::principal), loan.lent());
        if planned != Some(lent) {
            found.push(Finding::of(format!(
                "loan {id}: {lent} was lent, but {planned:?} is planned"
            )));
        }
    }
    Ok(())
}

/// The recipient of the mail and note about a loan's event, and their text.
pub(super) fn notices(event_type: &str, payload: &Value) -> Option<(String, &'static str, bool)> {
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
