//! A loan for tests, changed by the operations that `loan-api` runs.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::future::Future;

use async_trait::async_trait;
use events::{Cause, DrawId, LoanId, MemberId, Text, contracts::payment::Currency};
use loan::{
    Refusal,
    loan::{Create, LoanChange},
    operations::{Loans, Members, Stopped},
};
use outbox::{Decision, Error, Mark, Outbox, Outcome, Table, Transaction};
use testkit::flow::BoxError;

pub(crate) const LOAN: &str = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a60";

pub(crate) fn table() -> Table {
    Table::domain("loan")
}

pub(crate) fn loan_id() -> LoanId {
    LOAN.parse().expect("an id")
}

struct Everybody;

#[async_trait]
impl Members for Everybody {
    async fn is_member(&self, _: &MemberId) -> Result<bool, Error> {
        Ok(true)
    }
}

/// Commits a change once, however often it is called with this number.
async fn commit<Fut>(
    outbox: &Outbox,
    number: u64,
    decide: impl Fn(Transaction) -> Fut,
) -> Result<(), BoxError>
where
    Fut: Future<Output = Result<Transaction, Stopped>>,
{
    let mark = Mark::Episode {
        name: "seed",
        number,
        phase: "opened",
    };
    let decide = &decide;
    let outcome = outbox
        .execute::<(), (), Error, _, _>(&mark, &Cause::default(), |transaction| async move {
            match decide(transaction).await {
                Ok(transaction) => Ok(Decision::Commit(transaction, ())),
                Err(Stopped::Failed(error)) => Err(error),
                Err(Stopped::Refused(refusal)) => panic!("{refusal}"),
            }
        })
        .await?;
    match outcome {
        Outcome::Contention => Err("busy, try again".into()),
        _ => Ok(()),
    }
}

/// Commits a step of the loan under this number.
pub(crate) async fn step(
    outbox: &Outbox,
    number: u64,
    step: impl Fn(LoanChange) -> Result<LoanChange, Refusal>,
) -> Result<(), BoxError> {
    let step = &step;
    commit(outbox, number, |mut transaction| async move {
        let table = &table();
        let loans = Loans { outbox, table };
        let done = loans.step(&mut transaction, loan_id(), step).await;
        done.map(|_| transaction)
    })
    .await
}

/// Creates a loan of 100,000 at 6.5 % a year over this many months, and funds it with 60,000. Uses the numbers 1 and 2.
pub(crate) async fn lend(outbox: &Outbox, term_months: u32) {
    let agreed = commit(outbox, 1, |mut transaction| async move {
        let table = &table();
        let loans = Loans { outbox, table };
        let create = Create {
            loan_id: loan_id(),
            borrower_id: "ada".parse().expect("an id"),
            amount: "100000".parse().expect("money"),
            currency: Currency::Usd,
            interest_rate: "6.5".parse().expect("a rate"),
            term_months,
        };
        let done = loans.create(&mut transaction, &Everybody, create).await;
        done.map(|_| transaction)
    });
    agreed.await.expect("agreed on");
    let amount = "60000".parse().ok();
    let funded = step(outbox, 2, |change| change.fund(amount));
    funded.await.expect("funded");
}

/// Requests a draw of 1,000 and approves it by another owner. Uses this number and the next.
pub(crate) async fn draw(outbox: &Outbox, number: u64) {
    let by = |name: &str| Text::new(name).expect("a name");
    let draw_id: DrawId = outbox.clock().uuid().into();
    let amount = "1000".parse().expect("money");
    let asked = step(outbox, number, |change| {
        change.request_draw(draw_id, amount, by("desk"))
    });
    asked.await.expect("asked for");
    let approved = commit(outbox, number + 1, |mut transaction| async move {
        let table = &table();
        let loans = Loans { outbox, table };
        let done = loans
            .decide(&mut transaction, loan_id(), draw_id, |change, draw| {
                change.approve_draw(draw, by("risk"))
            })
            .await;
        done.map(|_| transaction)
    });
    approved.await.expect("approved");
}
