//! Quotes: made from carts, priced again, turned into orders, rejected, read and listed.

use std::sync::Arc;

use api::{
    Command, CommandError, Created, Events, Form, Page, Path, Problem, Query, Reply, State,
    history::{EventPage, HistoryQuery, history_of},
};
use commerce::{Done, Quote, order::Refusal, quote::VALID_DAYS};
use events::{QuoteId, contracts::quote};

use super::{App, orders::receipt as order_receipt, refused::of_cart};
use crate::wire::{
    AcceptRequest, OrderReceipt, QuoteAnswer, QuotePath, QuoteReceipt, QuoteRequest, QuotesQuery,
    RejectRequest, RepriceRequest,
};

/// The answer of a change. The request's mark keeps it, so it leaves out the lines.
fn receipt(done: &Done<Quote>) -> QuoteReceipt {
    let quote = &done.state;
    QuoteReceipt {
        quote_id: quote.quote_id(),
        quote_number: quote.quote_number().clone(),
        customer_id: quote.customer_id().clone(),
        cart_id: quote.cart_id(),
        status: quote.status(),
        needs_repricing: quote.needs_repricing(),
        lines: quote.items().len(),
        totals: quote.totals().clone(),
        valid_until: quote.valid_until(),
        order_id: quote.order_id(),
        superseded_by: quote.superseded_by(),
        reason: quote.reason().cloned(),
        created_at: quote.created_at(),
        updated_at: quote.updated_at(),
        updated_by: quote.updated_by().clone(),
        version: done.version,
    }
}

fn refused(refusal: &Refusal) -> Result<Problem, CommandError> {
    Ok(of_cart(refusal))
}

async fn stored(app: &App, quote_id: QuoteId) -> Result<Done<Quote>, Problem> {
    let entity = app.operations().quote(quote_id).await?;
    let unknown = || of_cart(&Refusal::UnknownQuote { quote_id });
    Done::stored(&entity)?.ok_or_else(unknown)
}

/// POST `/quotes`.
///
/// # Errors
/// 404 for an unknown cart, or no price for a sku; 409 if the cart is empty or became an order, for goods that are not for sale, or a
/// customer of an unknown tier; 422 for lines that cannot be calculated; the problems that every command can return.
pub async fn create(
    State(app): State<Arc<App>>,
    command: Command<QuoteRequest>,
) -> Result<Created<QuoteReceipt>, Problem> {
    let (app, by) = (&app, &command.acting()?);
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let ids = (body.cart_id, transaction.uuid().into());
        let days = body.valid_days.unwrap_or(VALID_DAYS);
        let (operations, numbers) = (app.operations(), &app.quote_numbers);
        let done = operations
            .create_quote(&mut transaction, numbers, ids, days, by.clone())
            .await;
        api::decided(transaction, done, refused, receipt)
    })
    .await
}

/// POST `/quotes/{quote_id}/reprice`.
///
/// # Errors
/// 404 for an unknown quote; 409 if it is neither open nor expired; what making a quote can answer.
pub async fn reprice(
    State(app): State<Arc<App>>,
    Path(path): Path<QuotePath>,
    command: Command<RepriceRequest>,
) -> Result<Created<QuoteReceipt>, Problem> {
    let (app, quote_id, by) = (&app, &path.quote_id, &command.acting()?);
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let ids = (*quote_id, transaction.uuid().into());
        let days = body.valid_days.unwrap_or(VALID_DAYS);
        let (operations, numbers) = (app.operations(), &app.quote_numbers);
        let done = operations
            .reprice_quote(&mut transaction, numbers, ids, days, by.clone())
            .await;
        api::decided(transaction, done, refused, receipt)
    })
    .await
}

/// POST `/quotes/{quote_id}/accept`.
///
/// # Errors
/// 404 for an unknown quote; 409 if it is closed, its time is over, or it must be priced again, and for goods that are not for sale, another
/// total, too little stock, or a business without credit account; the problems that every command can return.
pub async fn accept(
    State(app): State<Arc<App>>,
    Path(path): Path<QuotePath>,
    command: Command<AcceptRequest>,
) -> Result<Created<OrderReceipt>, Problem> {
    let (app, quote_id, by) = (&app, &path.quote_id, &command.acting()?);
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let ids = (*quote_id, transaction.uuid().into());
        let expected = body.expected_total.map(Into::into);
        let operations = app.operations();
        let done = operations
            .accept_quote(&mut transaction, &app.numbers, ids, expected, by.clone())
            .await;
        api::decided(transaction, done, refused, order_receipt)
    })
    .await
}

/// POST `/quotes/{quote_id}/reject`.
///
/// # Errors
/// 404 for an unknown quote; 409 if it is closed, or its time is over; the problems that every command can return.
pub async fn reject(
    State(app): State<Arc<App>>,
    Path(path): Path<QuotePath>,
    command: Command<RejectRequest>,
) -> Result<Reply<QuoteReceipt>, Problem> {
    let (app, quote_id, by) = (&app, &path.quote_id, &command.acting()?);
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let reason = body.reason.clone();
        let operations = app.operations();
        let done = operations
            .reject_quote(&mut transaction, *quote_id, reason, by.clone())
            .await;
        api::decided(transaction, done, refused, receipt)
    })
    .await
}

/// GET `/quotes?customer_id=`. Returns an empty page for a customer without quotes, and for one that does not exist.
///
/// # Errors
/// 400 without a customer, or for a cursor of another list.
pub async fn quotes(
    State(app): State<Arc<App>>,
    Query(asked): Query<QuotesQuery>,
) -> Result<Reply<Page<QuoteReceipt>>, Problem> {
    let (page, operations) = (asked.page(), app.operations());
    let query = operations.quotes_of(&asked.customer_id, page.limit.number());
    let query = page.apply(query)?;
    let (quotes, next) = operations.quotes(&query).await?;
    let items = quotes.iter().map(receipt).collect();
    Reply::of(&Page::of(&query, items, next.as_ref()))
}

/// GET `/quotes/{quote_id}`.
///
/// # Errors
/// 404 for an unknown quote.
pub async fn quote(
    State(app): State<Arc<App>>,
    Path(path): Path<QuotePath>,
) -> Result<Reply<QuoteAnswer>, Problem> {
    let done = stored(&app, path.quote_id).await?;
    let quote = &done.state;
    Reply::of(&QuoteAnswer {
        quote: receipt(&done),
        country: quote.country().clone(),
        vat_treatment: quote.vat_treatment(),
        tier: quote.tier().cloned(),
        items: quote.items().to_vec(),
    })
}

/// GET `/quotes/{quote_id}/history`.
///
/// # Errors
/// 404 for an unknown quote.
pub async fn history(
    State(app): State<Arc<App>>,
    Path(path): Path<QuotePath>,
    Query(asked): Query<HistoryQuery>,
    form: Form,
) -> Result<Events<EventPage>, Problem> {
    stored(&app, path.quote_id).await?;
    let id = path.quote_id.to_string();
    history_of::<quote::Created>(&app.outbox, &id, asked, &form).await
}
