//! Price lists, and what they say of skus: set, withdrawn, read and listed.

use std::sync::Arc;

use api::{
    Command, CommandError, Events, Form, Page, PageQuery, Path, Problem, Query, Reply, State,
    history::{EventPage, HistoryQuery, history_of},
};
use commerce::{
    Done, PriceList,
    price_list::{Audience, ListPrice, Refusal, SetPriceList},
};
use events::{
    PriceListId,
    contracts::price::{ListChanged, ListPriceChanged},
};

use super::{App, refused::of_price_list};
use crate::wire::{
    ListPriceAnswer, ListPricePath, ListPriceRequest, NothingRequest, PriceListAnswer,
    PriceListPath, PriceListRequest,
};

fn answer(done: &Done<PriceList>) -> PriceListAnswer {
    let (list, terms) = (&done.state, done.state.terms());
    PriceListAnswer {
        price_list_id: list.price_list_id().clone(),
        name: terms.name.clone(),
        kind: terms.kind,
        customer_id: list.audience().customer_id().cloned(),
        tier: list.audience().tier().cloned(),
        currency: list.currency(),
        priority: terms.priority,
        valid_from: terms.valid_from,
        valid_until: terms.valid_until,
        status: list.status(),
        created_at: list.created_at(),
        created_by: list.created_by().clone(),
        updated_at: list.updated_at(),
        updated_by: list.updated_by().clone(),
        version: done.version,
    }
}

fn price_answer(done: &Done<ListPrice>) -> ListPriceAnswer {
    let (said, prices) = (&done.state, done.state.prices());
    ListPriceAnswer {
        price_list_id: said.price_list_id().clone(),
        sku: said.sku().clone(),
        price: prices.map(|prices| prices.base_price),
        volume_prices: prices.map_or_else(Vec::new, |prices| prices.volume_prices.clone()),
        updated_at: said.updated_at(),
        updated_by: said.updated_by().clone(),
        version: done.version,
    }
}

fn refused(refusal: &Refusal) -> Result<Problem, CommandError> {
    Ok(of_price_list(refusal))
}

/// For whom the list is.
fn audience(asked: &PriceListRequest) -> Result<Audience, Problem> {
    let audience = Audience::of(asked.customer_id.clone(), asked.tier.clone());
    audience.ok_or_else(|| {
        let message = "must be absent if customer_id is there";
        Problem::invalid(Vec::new()).violation("/tier", message)
    })
}

async fn stored(app: &App, price_list_id: &PriceListId) -> Result<Done<PriceList>, Problem> {
    let entity = app.operations().price_list(price_list_id).await?;
    let unknown = || {
        of_price_list(&Refusal::UnknownList {
            price_list_id: price_list_id.clone(),
        })
    };
    Done::stored(&entity)?.ok_or_else(unknown)
}

async fn stored_price(app: &App, path: &ListPricePath) -> Result<Done<ListPrice>, Problem> {
    let ListPricePath { price_list_id, sku } = path;
    let entity = app.operations().list_price(price_list_id, sku).await?;
    let unknown = || {
        of_price_list(&Refusal::UnknownListPrice {
            price_list_id: price_list_id.clone(),
            sku: sku.clone(),
        })
    };
    let stored = Done::stored(&entity)?;
    let is_there = |done: &Done<ListPrice>| done.state.prices().is_some();
    stored.filter(is_there).ok_or_else(unknown)
}

/// PUT `/price-lists/{price_list_id}`.
///
/// # Errors
/// 404 for an unknown customer; 409 for an unknown tier, a list that was withdrawn, or too many lists for the same customers; 422 if it
/// ends before it begins, is for both a customer and a tier, or for others or in another currency than before; the problems that every
/// command can return.
pub async fn set(
    State(app): State<Arc<App>>,
    Path(path): Path<PriceListPath>,
    command: Command<PriceListRequest>,
) -> Result<Reply<PriceListAnswer>, Problem> {
    let (app, price_list_id, by) = (&app, &path.price_list_id, &command.acting()?);
    let audience = &audience(command.body())?;
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let set = SetPriceList {
            price_list_id: price_list_id.clone(),
            audience: audience.clone(),
            currency: body.currency,
            terms: body.terms(),
            by: by.clone(),
        };
        let operations = app.operations();
        let done = operations.set_price_list(&mut transaction, set).await;
        api::decided(transaction, done, refused, answer)
    })
    .await
}

/// POST `/price-lists/{price_list_id}/withdraw`.
///
/// # Errors
/// 404 for an unknown list; the problems that every command can return.
pub async fn withdraw(
    State(app): State<Arc<App>>,
    Path(path): Path<PriceListPath>,
    command: Command<NothingRequest>,
) -> Result<Reply<PriceListAnswer>, Problem> {
    let (app, price_list_id, by) = (&app, &path.price_list_id, &command.acting()?);
    api::execute(&app.outbox, &command, async move |mut transaction, _| {
        let operations = app.operations();
        let done = operations
            .withdraw_price_list(&mut transaction, price_list_id, by.clone())
            .await;
        api::decided(transaction, done, refused, answer)
    })
    .await
}

/// GET `/price-lists`.
///
/// # Errors
/// 400 for a cursor of another list.
pub async fn price_lists(
    State(app): State<Arc<App>>,
    Query(page): Query<PageQuery>,
) -> Result<Reply<Page<PriceListAnswer>>, Problem> {
    let operations = app.operations();
    let query = page.apply(operations.all_price_lists(page.limit.number()))?;
    let (lists, next) = operations.price_lists(&query).await?;
    let items = lists.iter().map(answer).collect();
    Reply::of(&Page::of(&query, items, next.as_ref()))
}

/// GET `/price-lists/{price_list_id}`.
///
/// # Errors
/// 404 for an unknown list.
pub async fn price_list(
    State(app): State<Arc<App>>,
    Path(path): Path<PriceListPath>,
) -> Result<Reply<PriceListAnswer>, Problem> {
    Reply::of(&answer(&stored(&app, &path.price_list_id).await?))
}

/// GET `/price-lists/{price_list_id}/history`.
///
/// # Errors
/// 404 for an unknown list.
pub async fn history(
    State(app): State<Arc<App>>,
    Path(path): Path<PriceListPath>,
    Query(asked): Query<HistoryQuery>,
    form: Form,
) -> Result<Events<EventPage>, Problem> {
    let price_list_id = &path.price_list_id;
    stored(&app, price_list_id).await?;
    history_of::<ListChanged>(&app.outbox, price_list_id.as_str(), asked, &form).await
}

/// PUT `/price-lists/{price_list_id}/prices/{sku}`.
///
/// # Errors
/// 404 for an unknown list, or a sku without price; 409 if the list was withdrawn; 422 if the sku has no base price in the currency of the
/// list, or for two volume prices of the same quantity; the problems that every command can return.
pub async fn set_price(
    State(app): State<Arc<App>>,
    Path(path): Path<ListPricePath>,
    command: Command<ListPriceRequest>,
) -> Result<Reply<ListPriceAnswer>, Problem> {
    let (app, path, by) = (&app, &path, &command.acting()?);
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let (operations, of) = (app.operations(), (&path.price_list_id, &path.sku));
        let done = operations
            .set_list_price(&mut transaction, of, body.prices(), by.clone())
            .await;
        api::decided(transaction, done, refused, price_answer)
    })
    .await
}

/// DELETE `/price-lists/{price_list_id}/prices/{sku}`.
///
/// # Errors
/// 404 for an unknown list, or a sku of which it says nothing; 409 if the list was withdrawn; the problems that every command can return.
pub async fn remove_price(
    State(app): State<Arc<App>>,
    Path(path): Path<ListPricePath>,
    command: Command<NothingRequest>,
) -> Result<Reply<ListPriceAnswer>, Problem> {
    let (app, path, by) = (&app, &path, &command.acting()?);
    api::execute(&app.outbox, &command, async move |mut transaction, _| {
        let (operations, of) = (app.operations(), (&path.price_list_id, &path.sku));
        let done = operations
            .remove_list_price(&mut transaction, of, by.clone())
            .await;
        api::decided(transaction, done, refused, price_answer)
    })
    .await
}

/// GET `/price-lists/{price_list_id}/prices`.
///
/// # Errors
/// 400 for a cursor of another list; 404 for an unknown list.
pub async fn prices(
    State(app): State<Arc<App>>,
    Path(path): Path<PriceListPath>,
    Query(page): Query<PageQuery>,
) -> Result<Reply<Page<ListPriceAnswer>>, Problem> {
    stored(&app, &path.price_list_id).await?;
    let operations = app.operations();
    let query = operations.prices_in(&path.price_list_id, page.limit.number());
    let query = page.apply(query)?;
    let (prices, next) = operations.list_prices(&query).await?;
    let items = prices.iter().map(price_answer).collect();
    Reply::of(&Page::of(&query, items, next.as_ref()))
}

/// GET `/price-lists/{price_list_id}/prices/{sku}`.
///
/// # Errors
/// 404 if the list has no price for the sku.
pub async fn price(
    State(app): State<Arc<App>>,
    Path(path): Path<ListPricePath>,
) -> Result<Reply<ListPriceAnswer>, Problem> {
    Reply::of(&price_answer(&stored_price(&app, &path).await?))
}

/// GET `/price-lists/{price_list_id}/prices/{sku}/history`.
///
/// # Errors
/// 404 if the list has no price for the sku: what it said before is in the event log.
pub async fn price_history(
    State(app): State<Arc<App>>,
    Path(path): Path<ListPricePath>,
    Query(asked): Query<HistoryQuery>,
    form: Form,
) -> Result<Events<EventPage>, Problem> {
    stored_price(&app, &path).await?;
    let id = ListPrice::id(&path.price_list_id, &path.sku);
    history_of::<ListPriceChanged>(&app.outbox, &id, asked, &form).await
}
