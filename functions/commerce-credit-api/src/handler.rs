//! What each endpoint reads, decides and writes.

use std::sync::Arc;

use api::{
    Command, CommandError, Events, Form, Page, PageQuery, Path, Problem, Query, Reply, State,
    history::{EventPage, HistoryQuery, history_of},
};
use commerce::{
    CreditAccount, Done,
    credit::Refusal,
    operations::{Commerce, Payment},
};
use events::{CustomerId, Money, contracts::credit::Changed};
use http::StatusCode;
use outbox::{Outbox, Table};

use crate::wire::{
    AccountAnswer, AccountPath, AccountPaymentRequest, BlockRequest, CheckAnswer, CheckQuery,
    LimitRequest,
};

/// The state that the endpoints share.
#[derive(Debug, Clone)]
pub struct App {
    outbox: Outbox,
    table: Table,
}

impl App {
    /// Creates the state from an outbox and the domain's table.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table) -> Self {
        Self { outbox, table }
    }

    fn operations(&self) -> Commerce<'_> {
        Commerce {
            outbox: &self.outbox,
            table: &self.table,
        }
    }

    async fn stored(&self, customer_id: &CustomerId) -> Result<Done<CreditAccount>, Problem> {
        let entity = self.operations().credit_account(customer_id).await?;
        let unknown = || {
            let customer_id = customer_id.clone();
            problem(&Refusal::UnknownAccount { customer_id })
        };
        Done::stored(&entity)?.ok_or_else(unknown)
    }
}

/// An amount as a member of a problem.
fn member(amount: Money) -> serde_json::Value {
    serde_json::to_value(amount).unwrap_or_default()
}

fn answer(done: &Done<CreditAccount>) -> AccountAnswer {
    let account = &done.state;
    AccountAnswer {
        customer_id: account.customer_id().clone(),
        currency: account.currency(),
        credit_limit: account.credit_limit(),
        reserved: account.reserved(),
        balance: account.balance(),
        available_credit: account.available(),
        credit_utilization: account.utilization(),
        blocked: account.blocked(),
        updated_at: account.updated_at(),
        updated_by: account.updated_by().clone(),
        version: done.version,
    }
}

/// Returns the problem that the caller receives for a refusal. Each refusal has its own problem type.
fn problem(refusal: &Refusal) -> Problem {
    let words = refusal.to_string();
    match refusal {
        Refusal::UnknownCustomer { customer_id } | Refusal::UnknownAccount { customer_id } => {
            Problem::not_found(words).with("customer_id", customer_id.as_str())
        }
        Refusal::NoBusiness { customer_id } => {
            Problem::conflict("no-business", "Only a business has credit")
                .detail(words)
                .with("customer_id", customer_id.as_str())
        }
        Refusal::OtherCurrency { currency } => {
            Problem::conflict("other-currency", "The account is in another currency")
                .detail(words)
                .with("currency", currency.as_str())
        }
        Refusal::AlreadyBooked { order_id, amount } => {
            Problem::conflict("already-booked", "The payment is booked")
                .detail(words)
                .with("order_id", order_id.to_string())
                .with("amount", member(*amount))
        }
        Refusal::NothingOpen { order_id } => {
            Problem::conflict("nothing-open", "Nothing is open for the order")
                .detail(words)
                .with("order_id", order_id.to_string())
        }
        // A payment on account needs credit that is open.
        Refusal::Undecided { .. } => Problem::internal(refusal),
        Refusal::MoreThanOpen { open } => {
            Problem::conflict("more-than-open", "Less is open than is paid")
                .detail(words)
                .with("open", member(*open))
        }
        // The request types already exclude the first. The domain checks it nevertheless.
        Refusal::AmountNotPositive => Problem::invalid(Vec::new()).violation("/amount", words),
        Refusal::TooLarge => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "too-large",
            "The amounts are too large",
        )
        .detail(words),
    }
}

fn refused(refusal: &Refusal) -> Result<Problem, CommandError> {
    Ok(problem(refusal))
}

/// PUT `/credit-accounts/{customer_id}/limit`.
///
/// # Errors
/// 404 for an unknown customer; 409 if it is no business or the account is in another currency; the problems that every
/// command can return.
pub async fn limit(
    State(app): State<Arc<App>>,
    Path(path): Path<AccountPath>,
    command: Command<LimitRequest>,
) -> Result<Reply<AccountAnswer>, Problem> {
    let (app, customer_id, by) = (&app, &path.customer_id, &command.acting()?);
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let limit = (body.currency, body.credit_limit.amount());
        let operations = app.operations();
        let done = operations
            .set_credit_limit(&mut transaction, customer_id, limit, by.clone())
            .await;
        api::decided(transaction, done, refused, answer)
    })
    .await
}

async fn set_blocked(
    app: &App,
    customer_id: &CustomerId,
    command: &Command<BlockRequest>,
    blocked: bool,
) -> Result<Reply<AccountAnswer>, Problem> {
    let (by, blocked) = (&command.acting()?, &blocked);
    api::execute(&app.outbox, command, async move |mut transaction, body| {
        let step = (*blocked, body.reason.clone());
        let operations = app.operations();
        let done = operations
            .block_credit(&mut transaction, customer_id, step, by.clone())
            .await;
        api::decided(transaction, done, refused, answer)
    })
    .await
}

/// POST `/credit-accounts/{customer_id}/block`.
///
/// # Errors
/// 404 if there is no account; the problems that every command can return.
pub async fn block(
    State(app): State<Arc<App>>,
    Path(path): Path<AccountPath>,
    command: Command<BlockRequest>,
) -> Result<Reply<AccountAnswer>, Problem> {
    set_blocked(&app, &path.customer_id, &command, true).await
}

/// POST `/credit-accounts/{customer_id}/unblock`.
///
/// # Errors
/// 404 if there is no account; the problems that every command can return.
pub async fn unblock(
    State(app): State<Arc<App>>,
    Path(path): Path<AccountPath>,
    command: Command<BlockRequest>,
) -> Result<Reply<AccountAnswer>, Problem> {
    set_blocked(&app, &path.customer_id, &command, false).await
}

/// POST `/credit-accounts/{customer_id}/payments`.
///
/// # Errors
/// 404 if there is no account; 409 if the payment is booked, nothing is open for the order, or less than is paid; the problems
/// that every command can return.
pub async fn pay(
    State(app): State<Arc<App>>,
    Path(path): Path<AccountPath>,
    command: Command<AccountPaymentRequest>,
) -> Result<Reply<AccountAnswer>, Problem> {
    let (app, customer_id, by) = (&app, &path.customer_id, &command.acting()?);
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let payment = Payment {
            order_id: body.order_id,
            amount: body.amount.amount(),
            external_reference: body.external_reference.clone(),
            by: by.clone(),
        };
        let operations = app.operations();
        let done = operations
            .pay_on_account(&mut transaction, customer_id, payment)
            .await;
        api::decided(transaction, done, refused, answer)
    })
    .await
}

/// GET `/credit-accounts`.
///
/// # Errors
/// 400 for a cursor of another list.
pub async fn accounts(
    State(app): State<Arc<App>>,
    Query(page): Query<PageQuery>,
) -> Result<Reply<Page<AccountAnswer>>, Problem> {
    let operations = app.operations();
    let query = page.apply(operations.all_credit_accounts(page.limit.number()))?;
    let (accounts, next) = operations.credit_accounts(&query).await?;
    let items = accounts.iter().map(answer).collect();
    Reply::of(&Page::of(&query, items, next.as_ref()))
}

/// GET `/credit-accounts/{customer_id}`.
///
/// # Errors
/// 404 if there is no account.
pub async fn account(
    State(app): State<Arc<App>>,
    Path(path): Path<AccountPath>,
) -> Result<Reply<AccountAnswer>, Problem> {
    Reply::of(&answer(&app.stored(&path.customer_id).await?))
}

/// GET `/credit-accounts/{customer_id}/check`.
///
/// # Errors
/// 404 if there is no account.
pub async fn check(
    State(app): State<Arc<App>>,
    Path(path): Path<AccountPath>,
    Query(asked): Query<CheckQuery>,
) -> Result<Reply<CheckAnswer>, Problem> {
    let account = app.stored(&path.customer_id).await?.state;
    let reason = account.refuses(account.currency(), asked.amount.amount());
    Reply::of(&CheckAnswer {
        granted: reason.is_none(),
        reason,
        amount: asked.amount.amount(),
        available_credit: account.available(),
        currency: account.currency(),
    })
}

/// GET `/credit-accounts/{customer_id}/transactions`.
///
/// # Errors
/// 404 if there is no account.
pub async fn transactions(
    State(app): State<Arc<App>>,
    Path(path): Path<AccountPath>,
    Query(asked): Query<HistoryQuery>,
    form: Form,
) -> Result<Events<EventPage>, Problem> {
    app.stored(&path.customer_id).await?;
    history_of::<Changed>(&app.outbox, path.customer_id.as_str(), asked, &form).await
}
