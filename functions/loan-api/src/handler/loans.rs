//! Loans: created, funded, modified, cancelled, repaid.

use std::sync::Arc;

use api::{Command, Created, Path, Problem, Reply, State};
use events::LoanId;
use loan::{
    Refusal,
    loan::{Create, LoanChange, Terms},
};
use serde::Serialize;

use super::{App, refused};
use crate::wire::{
    FundRequest, LoanAnswer, LoanPath, LoanPaymentAnswer, LoanPaymentRequest, LoanRequest,
    ModifyRequest, ReasonRequest,
};

fn answer(change: &LoanChange) -> LoanAnswer {
    let loan = change.state();
    LoanAnswer {
        loan_id: loan.loan_id(),
        status: loan.status(),
        available: loan.available(),
    }
}

/// POST `/loans`.
///
/// # Errors
/// 404 for an unknown member; 422 for values out of range; the problems that every command can return.
pub async fn create(
    State(app): State<Arc<App>>,
    command: Command<LoanRequest>,
) -> Result<Created<LoanAnswer>, Problem> {
    let app = &app;
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let create = Create {
            loan_id: transaction.uuid().into(),
            borrower_id: body.borrower_id.clone(),
            amount: body.amount.amount(),
            currency: body.currency,
            interest_rate: body.interest_rate,
            term_months: body.term_months,
        };
        let members: &App = app;
        let done = app
            .operations()
            .create(&mut transaction, members, create)
            .await;
        api::decided(transaction, done, refused, answer)
    })
    .await
}

/// Applies a step to an existing loan.
async fn step<T, A: Serialize, const STATUS: u16>(
    app: &App,
    loan_id: &LoanId,
    command: &Command<T>,
    step: impl Fn(LoanChange, &T) -> Result<LoanChange, Refusal>,
    answer: impl Fn(&LoanChange) -> A,
) -> Result<Reply<A, STATUS>, Problem> {
    let (step, answer) = (&step, &answer);
    api::execute(&app.outbox, command, async move |mut transaction, body| {
        let operations = app.operations();
        let done = operations
            .step(&mut transaction, *loan_id, |change| step(change, body))
            .await;
        api::decided(transaction, done, refused, |change| answer(change))
    })
    .await
}

/// POST `/loans/{loan_id}/fund`.
///
/// # Errors
/// 404 for an unknown loan; 409 if its status does not allow it; 422 for more than the agreed amount; the problems that
/// every command can return.
pub async fn fund(
    State(app): State<Arc<App>>,
    Path(path): Path<LoanPath>,
    command: Command<FundRequest>,
) -> Result<Reply<LoanAnswer>, Problem> {
    let fund = |change: LoanChange, body: &FundRequest| {
        change.fund(body.funded_amount.map(api::PositiveInput::amount))
    };
    step(&app, &path.loan_id, &command, fund, answer).await
}

/// POST `/loans/{loan_id}/modify`.
///
/// # Errors
/// 404 for an unknown loan; 409 if its status does not allow it; 422 for values out of range; the problems that every
/// command can return.
pub async fn modify(
    State(app): State<Arc<App>>,
    Path(path): Path<LoanPath>,
    command: Command<ModifyRequest>,
) -> Result<Reply<LoanAnswer>, Problem> {
    let modify = |change: LoanChange, body: &ModifyRequest| {
        change.modify(Terms {
            interest_rate: body.interest_rate,
            term_months: body.term_months,
        })
    };
    step(&app, &path.loan_id, &command, modify, answer).await
}

/// POST `/loans/{loan_id}/cancel`.
///
/// # Errors
/// 404 for an unknown loan; 409 if its status does not allow it; the problems that every command can return.
pub async fn cancel(
    State(app): State<Arc<App>>,
    Path(path): Path<LoanPath>,
    command: Command<ReasonRequest>,
) -> Result<Reply<LoanAnswer>, Problem> {
    let cancel = |change: LoanChange, body: &ReasonRequest| change.cancel(body.reason.clone());
    step(&app, &path.loan_id, &command, cancel, answer).await
}

/// POST `/loans/{loan_id}/payments`.
///
/// # Errors
/// 404 for an unknown loan; 409 if its status does not allow it or the amount is more than what is owed; the problems
/// that every command can return.
pub async fn pay(
    State(app): State<Arc<App>>,
    Path(path): Path<LoanPath>,
    command: Command<LoanPaymentRequest>,
) -> Result<Created<LoanPaymentAnswer>, Problem> {
    let (app, loan_id) = (&app, &path.loan_id);
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let payment_id = transaction.uuid().into();
        let operations = app.operations();
        let pay = |change: LoanChange| {
            change.pay(
                payment_id,
                body.amount.amount(),
                body.payment_method.clone(),
            )
        };
        let done = operations.step(&mut transaction, *loan_id, pay).await;
        let paid = done.and_then(|change| {
            // A payment step always writes its payment.
            let payment = change.payment().ok_or(Refusal::AmountNotPositive)?;
            Ok((payment.clone(), change.state().status()))
        });
        api::decided(transaction, paid, refused, |(payment, status)| {
            LoanPaymentAnswer {
                payment_id,
                loan_id: payment.loan_id,
                interest_paid: payment.interest_paid,
                principal_paid: payment.principal_paid,
                balance: payment.balance,
                status: *status,
            }
        })
    })
    .await
}
