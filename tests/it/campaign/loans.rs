//! Loans under the storm: what clients ask of them, and what must be true of them in the end.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use events::{LoanId, contracts::loan as contracts};
use loan::{Loan, payment::Payment, schedule::Schedule};
use outbox::Entity;
use rand::{Rng, rngs::StdRng};
use reqwest::Method;
use rust_decimal::Decimal;
use serde_json::{Value, json};

use super::{
    Field,
    books::Finding,
    clients::{self, Told},
};
use crate::e2e::{Result, points};

/// A loan that somebody was told of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Lent {
    id: String,
    /// As it was told last; others may have gone on.
    status: String,
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
    Pay {
        loan: String,
        amount: i64,
    },
}

/// What clients were told is there.
#[derive(Debug, Default)]
pub(super) struct Known(Mutex<Vec<Lent>>);

impl Known {
    fn all(&self) -> MutexGuard<'_, Vec<Lent>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// All ids.
    pub(super) fn ids(&self) -> Vec<String> {
        self.all().iter().map(|one| one.id.clone()).collect()
    }

    /// All aggregates, as the log calls them.
    pub(super) fn aggregates(&self) -> Vec<String> {
        self.ids().iter().map(|id| format!("loan#{id}")).collect()
    }

    /// What a client was told.
    pub(super) fn learn(&self, wish: &Wish, answer: &Value) {
        let word = |name: &str| answer[name].as_str().unwrap_or_default().to_owned();
        let mut all = self.all();
        if let Wish::Agree { .. } = wish {
            all.push(Lent {
                id: word("loan_id"),
                status: word("status"),
            });
        } else if !matches!(wish, Wish::Draw { .. }) {
            let one = all.iter_mut().find(|one| one.id == word("loan_id"));
            one.into_iter().for_each(|one| one.status = word("status"));
        }
    }

    /// The next thing that a client asks for: mostly about one of the last, so that several clients are at it.
    pub(super) fn wish(&self, dice: &mut StdRng, borrower: usize) -> Wish {
        let all = self.all();
        let agree = Wish::Agree {
            borrower,
            amount: dice.random_range(100_000..10_000_000),
            months: dice.random_range(1..=60),
        };
        if all.is_empty() || dice.random_bool(0.15) {
            return agree;
        }
        let from = if dice.random_bool(0.8) {
            all.len().saturating_sub(5)
        } else {
            0
        };
        let Lent { id: loan, status } = all[dice.random_range(from..all.len())].clone();
        match (dice.random_range(0..10), status.as_str()) {
            (0..8, "created") | (0, _) => Wish::Fund { loan },
            (1..3, _) => Wish::Modify {
                loan,
                rate: dice.random_range(0..2_000),
                months: dice.random_range(1..=60),
            },
            (3..5, _) => Wish::Draw {
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
}

fn money(cents: i64) -> String {
    Decimal::new(cents, 2).normalize().to_string()
}

impl Wish {
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
            // Some of it is left to be drawn.
            Self::Fund { loan } => (of(loan, "fund"), json!({ "funded_amount": "900" })),
            Self::Modify { loan, rate, months } => {
                let rate = Decimal::new(i64::from(*rate), 2);
                let rate: f64 = rate.try_into().unwrap_or_default();
                (
                    of(loan, "modify"),
                    json!({ "interest_rate": rate, "term_months": months }),
                )
            }
            Self::Draw { loan, amount } => (of(loan, "draws"), json!({ "amount": money(*amount) })),
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
}

/// Each loan took what clients were told it took, no more; every change of what is to be paid back when has its schedule, and the
/// newest one pays back all that was lent. That states are what their events come to is compared for all aggregates.
pub(super) async fn check(field: &Field, told: &[Told], found: &mut Vec<Finding>) -> Result {
    let mut paid: BTreeMap<String, (u64, Decimal)> = BTreeMap::new();
    for (wish, answer) in told.iter().filter_map(of) {
        if let Wish::Pay { loan, .. } = wish {
            let sum = paid.entry(loan.clone()).or_default();
            sum.0 += 1;
            sum.1 += points(&answer["principal_paid"])?.decimal();
        }
    }
    for id in field.loans.ids() {
        let loan_id: LoanId = id.parse()?;
        let entity: Entity<Loan> = field.outbox.load(&field.loan, &id).await?;
        let Some(loan) = entity.state() else {
            found.push(Finding::of(format!("loan {id} is gone")));
            continue;
        };
        let rows = Payment::of_loan(&field.loan, loan_id, 1_000);
        let rows = super::books::whole(field, &rows).await?;
        let rows = u64::try_from(rows.len())?;
        let (times, principal) = paid.remove(&id).unwrap_or_default();
        if (rows, loan.principal_paid().decimal()) != (times, principal) {
            let has = loan.principal_paid();
            found.push(Finding::of(format!(
                "loan {id} took {rows} payments, {has} of principal; clients were told of {times}, {principal}"
            )));
        }
        if loan.wants_schedule() {
            found.push(Finding::of(format!("loan {id} waits for its schedule")));
        }
        let newest = Schedule::of_loan(&field.loan, loan_id, 1);
        let (newest, _) = field.outbox.rows::<Schedule>(&newest).await?;
        // One that was paid off at once may never have had one.
        let Some(planned) = newest.first().map(Schedule::principal) else {
            continue;
        };
        if planned != loan.lent() {
            let lent = loan.lent();
            found.push(Finding::of(format!(
                "loan {id}: {lent} was lent, {planned} is planned"
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
