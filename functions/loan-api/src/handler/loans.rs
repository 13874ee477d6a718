//! Loans: agreed on, funded, changed, paid back.

use std::sync::Arc;

use api::{Command, Created, Path, Problem, Reply, State};
use events::LoanId;
use loan::{
    Refusal,
    loan::{Course, Create, Terms},
};
use serde::Serialize;

use super::{App, refused};
use crate::wire::{
    FundRequest, LoanAnswer, LoanPath, LoanPaymentAnswer, LoanPaymentRequest, LoanRequest,
    ModifyRequest, ReasonRequest,
};

fn answer(course: &Course) -> LoanAnswer {
    let loan = course.state();
    LoanAnswer {
        loan_id: loan.loan_id(),
        status: loan.status(),
        available: loan.available(),
    }
}

/// POST `/loans`.
///
/// # Errors
/// 404 for an unknown member; 422 out of range; what every command has.
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

/// A step of a loan that is there.
async fn step<T, A: Serialize, const STATUS: u16>(
    app: &App,
    loan_id: &LoanId,
    command: &Command<T>,
    step: impl Fn(Course, &T) -> Result<Course, Refusal>,
    answer: impl Fn(&Course) -> A,
) -> Result<Reply<A, STATUS>, Problem> {
    let (step, answer) = (&step, &answer);
    api::execute(&app.outbox, command, async move |mut transaction, body| {
        let operations = app.operations();
        let done = operations
            .step(&mut transaction, *loan_id, |course| step(course, body))
            .await;
        api::decided(transaction, done, refused, |course| answer(course))
    })
    .await
}

/// POST `/loans/{loan_id}/fund`.
///
/// # Errors
/// 404 for an unknown loan; 409 where its status does not allow it; 422 for more than was agreed on; what every command has.
pub async fn fund(
    State(app): State<Arc<App>>,
    Path(path): Path<LoanPath>,
    command: Command<FundRequest>,
) -> Result<Reply<LoanAnswer>, Problem> {
    let fund = |course: Course, body: &FundRequest| {
        course.fund(body.funded_amount.map(api::PositiveInput::amount))
    };
    step(&app, &path.loan_id, &command, fund, answer).await
}

/// POST `/loans/{loan_id}/modify`.
///
/// # Errors
/// 404 for an unknown loan; 409 where its status does not allow it; 422 out of range; what every command has.
pub async fn modify(
    State(app): State<Arc<App>>,
    Path(path): Path<LoanPath>,
    command: Command<ModifyRequest>,
) -> Result<Reply<LoanAnswer>, Problem> {
    let modify = |course: Course, body: &ModifyRequest| {
        course.modify(Terms {
            interest_rate: body.interest_rate,
            term_months: body.term_months,
        })
    };
    step(&app, &path.loan_id, &command, modify, answer).await
}

/// POST `/loans/{loan_id}/cancel`.
///
/// # Errors
/// 404 for an unknown loan; 409 where its status does not allow it; what every command has.
pub async fn cancel(
    State(app): State<Arc<App>>,
    Path(path): Path<LoanPath>,
    command: Command<ReasonRequest>,
) -> Result<Reply<LoanAnswer>, Problem> {
    let cancel = |course: Course, body: &ReasonRequest| course.cancel(body.reason.clone());
    step(&app, &path.loan_id, &command, cancel, answer).await
}

/// POST `/loans/{loan_id}/payments`.
///
/// # Errors
/// 404 for an unknown loan; 409 where its status does not allow it or the amount is more than is owed; what every command has.
pub async fn pay(
    State(app): State<Arc<App>>,
    Path(path): Path<LoanPath>,
    command: Command<LoanPaymentRequest>,
) -> Result<Created<LoanPaymentAnswer>, Problem> {
    let (app, loan_id) = (&app, &path.loan_id);
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let payment_id = transaction.uuid().into();
        let operations = app.operations();
        let pay = |course: Course| {
            course.pay(
                payment_id,
                body.amount.amount(),
                body.payment_method.clone(),
            )
        };
        let done = operations.step(&mut transaction, *loan_id, pay).await;
        let paid = done.and_then(|course| {
            // A step that pays writes its payment.
            let payment = course.payment().ok_or(Refusal::AmountNotPositive)?;
            Ok((payment.clone(), course.state().status()))
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
