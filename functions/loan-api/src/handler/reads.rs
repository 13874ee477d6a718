//! The read endpoints.

use std::sync::Arc;

use api::{Page, PageQuery, Path, Problem, Query, Reply, State};
use events::{Day, LoanId, Sequence};
use loan::{
    Loan, borrower::Lent, draw::Draw, loan::payoff, operations::Members as _, payment::Payment,
    schedule::Schedule,
};
use outbox::Entity;

use super::{App, refused, unknown_loan};
use crate::wire::{LoanPath, LoanView, LoansQuery, ScheduleQuery};

impl App {
    /// Returns a loan with what is owed on it today.
    fn view(&self, entity: &Entity<Loan>) -> Result<Option<LoanView>, Problem> {
        let Some(loan) = entity.state() else {
            return Ok(None);
        };
        let failed = |refusal: loan::Refusal| match refused(&refusal) {
            Ok(problem) => problem,
            Err(_) => Problem::internal(&refusal),
        };
        let owed = loan
            .owed_on(Day::of(self.outbox.clock().now()))
            .map_err(failed)?;
        Ok(Some(LoanView {
            loan: loan.clone(),
            owed,
            payoff_amount: payoff(&owed).map_err(failed)?,
            version: Sequence::new(entity.version()).map_err(|error| Problem::internal(&error))?,
        }))
    }

    async fn must_be_there(&self, id: LoanId) -> Result<Entity<Loan>, Problem> {
        let entity = self.operations().loan(id).await?;
        if entity.state().is_none() {
            return Err(unknown_loan(id));
        }
        Ok(entity)
    }
}

/// GET `/loans/{loan_id}`.
///
/// # Errors
/// 404 for an unknown loan.
pub async fn loan(
    State(app): State<Arc<App>>,
    Path(path): Path<LoanPath>,
) -> Result<Reply<LoanView>, Problem> {
    let entity = app.operations().loan(path.loan_id).await?;
    let view = app.view(&entity)?;
    Reply::of(&view.ok_or_else(|| unknown_loan(path.loan_id))?)
}

/// GET `/loans?borrower_id=`. Returns an empty page for a member without loans.
///
/// # Errors
/// 404 for an unknown member.
pub async fn loans(
    State(app): State<Arc<App>>,
    Query(asked): Query<LoansQuery>,
) -> Result<Reply<Page<LoanView>>, Problem> {
    let page = PageQuery {
        limit: asked.limit,
        cursor: asked.cursor,
    };
    let query = Lent::of_borrower(&app.table, &asked.borrower_id, page.limit.number());
    let query = page.apply(query)?;
    let (lent, next) = app.outbox.rows::<Lent>(&query).await?;
    // Only members have loans, so the member is looked up only if there is no loan.
    if lent.is_empty() && !app.is_member(&asked.borrower_id).await? {
        let id = &asked.borrower_id;
        return Err(
            Problem::not_found(format!("there is no member {id}")).with("member_id", id.as_str())
        );
    }
    let operations = app.operations();
    let loans = lent.iter().map(|one| operations.loan(one.loan_id));
    let mut views = Vec::with_capacity(lent.len());
    for entity in futures::future::try_join_all(loans).await? {
        views.extend(app.view(&entity)?);
    }
    Reply::of(&Page::of(&query, views, next.as_ref()))
}

/// GET `/loans/{loan_id}/schedule`.
///
/// # Errors
/// 404 for an unknown loan, or if the schedule does not exist.
pub async fn schedule(
    State(app): State<Arc<App>>,
    Path(path): Path<LoanPath>,
    Query(asked): Query<ScheduleQuery>,
) -> Result<Reply<Schedule>, Problem> {
    let entity = app.must_be_there(path.loan_id).await?;
    let newest = entity.state().and_then(Loan::last_schedule);
    let schedule: Option<Schedule> = match asked.revision.or(newest) {
        Some(revision) => {
            let key = Schedule::key(&app.table, path.loan_id, revision);
            app.outbox.row(&key).await?
        }
        None => None,
    };
    let none = || {
        Problem::not_found(format!(
            "loan {} does not have this schedule, or has none yet",
            path.loan_id
        ))
        .with("loan_id", path.loan_id.to_string())
    };
    Reply::of(&schedule.ok_or_else(none)?)
}

/// GET `/loans/{loan_id}/payments`.
///
/// # Errors
/// 404 for an unknown loan.
pub async fn payments(
    State(app): State<Arc<App>>,
    Path(path): Path<LoanPath>,
    Query(page): Query<PageQuery>,
) -> Result<Reply<Page<Payment>>, Problem> {
    let query = page.apply(Payment::of_loan(
        &app.table,
        path.loan_id,
        page.limit.number(),
    ))?;
    app.must_be_there(path.loan_id).await?;
    let (rows, next) = app.outbox.rows::<Payment>(&query).await?;
    Reply::of(&Page::of(&query, rows, next.as_ref()))
}

/// GET `/loans/{loan_id}/draws`.
///
/// # Errors
/// 404 for an unknown loan.
pub async fn draws(
    State(app): State<Arc<App>>,
    Path(path): Path<LoanPath>,
    Query(page): Query<PageQuery>,
) -> Result<Reply<Page<Draw>>, Problem> {
    let query = page.apply(Draw::of_loan(&app.table, path.loan_id, page.limit.number()))?;
    app.must_be_there(path.loan_id).await?;
    let (rows, next) = app.outbox.rows::<Draw>(&query).await?;
    Reply::of(&Page::of(&query, rows, next.as_ref()))
}
