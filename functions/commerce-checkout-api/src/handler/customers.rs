//! Customers: registered, changed, read and listed.

use std::sync::Arc;

use api::{
    Command, Events, Form, Page, PageQuery, Path, Problem, Query, Reply, State,
    history::{EventPage, HistoryQuery, history_of},
};
use commerce::{Customer, Done, customer::Profile};
use events::{CustomerId, contracts::customer::Registered};

use super::{App, refused::problem};
use crate::wire::{CustomerAnswer, CustomerPath};

fn answer(done: &Done<Customer>) -> CustomerAnswer {
    let customer = &done.state;
    CustomerAnswer {
        customer_id: customer.customer_id().clone(),
        profile: customer.profile().clone(),
        registered_at: customer.registered_at(),
        updated_at: customer.updated_at(),
        updated_by: customer.updated_by().clone(),
        version: done.version,
    }
}

async fn stored(app: &App, customer_id: &CustomerId) -> Result<Done<Customer>, Problem> {
    let entity = app.operations().customer(customer_id).await?;
    let unknown = || {
        Problem::not_found(format!("there is no customer {customer_id}"))
            .with("customer_id", customer_id.as_str())
    };
    Done::stored(&entity)?.ok_or_else(unknown)
}

/// PUT `/customers/{customer_id}`.
///
/// # Errors
/// 409 for an unknown tier; the problems that every command can return.
pub async fn set(
    State(app): State<Arc<App>>,
    Path(path): Path<CustomerPath>,
    command: Command<Profile>,
) -> Result<Reply<CustomerAnswer>, Problem> {
    let (app, customer_id, by) = (&app, &path.customer_id, &command.acting()?);
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let operations = app.operations();
        let done = operations
            .set_customer(&mut transaction, customer_id, body.clone(), by.clone())
            .await;
        api::decided(transaction, done, |refusal| Ok(problem(refusal)), answer)
    })
    .await
}

/// GET `/customers`.
///
/// # Errors
/// 400 for a cursor of another list.
pub async fn customers(
    State(app): State<Arc<App>>,
    Query(page): Query<PageQuery>,
) -> Result<Reply<Page<CustomerAnswer>>, Problem> {
    let operations = app.operations();
    let query = page.apply(operations.all_customers(page.limit.number()))?;
    let (customers, next) = operations.customers(&query).await?;
    let items = customers.iter().map(answer).collect();
    Reply::of(&Page::of(&query, items, next.as_ref()))
}

/// GET `/customers/{customer_id}`.
///
/// # Errors
/// 404 for an unknown customer.
pub async fn customer(
    State(app): State<Arc<App>>,
    Path(path): Path<CustomerPath>,
) -> Result<Reply<CustomerAnswer>, Problem> {
    Reply::of(&answer(&stored(&app, &path.customer_id).await?))
}

/// GET `/customers/{customer_id}/history`.
///
/// # Errors
/// 404 for an unknown customer.
pub async fn history(
    State(app): State<Arc<App>>,
    Path(path): Path<CustomerPath>,
    Query(asked): Query<HistoryQuery>,
    form: Form,
) -> Result<Events<EventPage>, Problem> {
    stored(&app, &path.customer_id).await?;
    history_of::<Registered>(&app.outbox, path.customer_id.as_str(), asked, &form).await
}
