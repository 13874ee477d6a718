//! Orders: placed, cancelled, shipped, delivered, read and listed.

use std::sync::Arc;

use api::{Command, CommandError, Created, Page, Path, Problem, Query, Reply, State};
use commerce::{
    Done, Order,
    operations::PlaceOrder,
    order::{OrderStep, Refusal},
};
use events::{OrderId, contracts::order::Goods};

use super::{App, refused::problem, timeline};
use crate::wire::{
    CancelRequest, NothingRequest, OrderAnswer, OrderPath, OrderReceipt, OrderRequest, OrdersQuery,
    ShipRequest, Timeline,
};

/// The answer of a step. The request's mark keeps it, so it leaves out the lines.
pub(super) fn receipt(done: &Done<Order>) -> OrderReceipt {
    let order = &done.state;
    OrderReceipt {
        order_id: order.order_id(),
        order_number: order.order_number().clone(),
        customer_id: order.customer_id().clone(),
        status: order.status(),
        payment_status: order.payment_status(),
        fulfillment_status: order.fulfillment_status(),
        totals: order.totals().clone(),
        paid: order.paid(),
        outstanding: order.outstanding(),
        rejection: order.rejection(),
        quote_id: order.quote_id(),
        created_at: order.created_at(),
        updated_at: order.updated_at(),
        version: done.version,
    }
}

fn refused(refusal: &Refusal) -> Result<Problem, CommandError> {
    Ok(problem(refusal))
}

async fn stored(app: &App, order_id: OrderId) -> Result<Done<Order>, Problem> {
    let entity = app.operations().order(order_id).await?;
    let unknown = || problem(&Refusal::UnknownOrder { order_id });
    Done::stored(&entity)?.ok_or_else(unknown)
}

/// POST `/orders`.
///
/// # Errors
/// 404 for an unknown customer or sku; 409 for goods that are not for sale, a changed total, too little stock, a business without credit account, or a customer
/// of an unknown tier;
/// 422 for lines that cannot be calculated; the problems that every command can return.
pub async fn place(
    State(app): State<Arc<App>>,
    command: Command<OrderRequest>,
) -> Result<Created<OrderReceipt>, Problem> {
    let (app, by) = (&app, &command.acting()?);
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let lines = body.lines.iter().map(|line| Goods {
            sku: line.sku.clone(),
            quantity: line.quantity,
        });
        let place = PlaceOrder {
            order_id: transaction.uuid().into(),
            customer_id: body.customer_id.clone(),
            currency: body.currency,
            lines: lines.collect(),
            expected_total: body.expected_total.map(Into::into),
            by: by.clone(),
        };
        let operations = app.operations();
        let done = operations
            .place_order(&mut transaction, &app.numbers, place)
            .await;
        api::decided(transaction, done, refused, receipt)
    })
    .await
}

async fn step<T>(
    app: &App,
    order_id: OrderId,
    command: &Command<T>,
    step: impl Fn(&T) -> OrderStep,
) -> Result<Reply<OrderReceipt>, Problem> {
    let (step, order_id) = (&step, &order_id);
    api::execute(&app.outbox, command, async move |mut transaction, body| {
        let operations = app.operations();
        let done = operations
            .step_order(&mut transaction, *order_id, step(body))
            .await;
        api::decided(transaction, done, refused, receipt)
    })
    .await
}

/// POST `/orders/{order_id}/cancel`.
///
/// # Errors
/// 404 for an unknown order; 409 if it can no longer be cancelled; the problems that every command can return.
pub async fn cancel(
    State(app): State<Arc<App>>,
    Path(path): Path<OrderPath>,
    command: Command<CancelRequest>,
) -> Result<Reply<OrderReceipt>, Problem> {
    let by = command.acting()?;
    step(&app, path.order_id, &command, |body| OrderStep::Cancel {
        reason: body.reason.clone(),
        by: by.clone(),
    })
    .await
}

/// POST `/orders/{order_id}/ship`.
///
/// # Errors
/// 404 for an unknown order; 409 if it is not confirmed, is shipped, or is a consumer's and not paid; the problems that every
/// command can return.
pub async fn ship(
    State(app): State<Arc<App>>,
    Path(path): Path<OrderPath>,
    command: Command<ShipRequest>,
) -> Result<Reply<OrderReceipt>, Problem> {
    let by = command.acting()?;
    step(&app, path.order_id, &command, |body| OrderStep::Ship {
        carrier: body.carrier.clone(),
        tracking: body.tracking.clone(),
        by: by.clone(),
    })
    .await
}

/// POST `/orders/{order_id}/deliver`.
///
/// # Errors
/// 404 for an unknown order; 409 if it is not shipped, or is delivered; the problems that every command can return.
pub async fn deliver(
    State(app): State<Arc<App>>,
    Path(path): Path<OrderPath>,
    command: Command<NothingRequest>,
) -> Result<Reply<OrderReceipt>, Problem> {
    let by = command.acting()?;
    let deliver = |_: &NothingRequest| OrderStep::Deliver { by: by.clone() };
    step(&app, path.order_id, &command, deliver).await
}

/// GET `/orders?customer_id=`. Returns an empty page for a customer without orders, and for one that does not exist.
///
/// # Errors
/// 400 without a customer, for an unknown status, or a cursor of another list.
pub async fn orders(
    State(app): State<Arc<App>>,
    Query(asked): Query<OrdersQuery>,
) -> Result<Reply<Page<OrderReceipt>>, Problem> {
    let (page, operations) = (asked.page(), app.operations());
    let query = operations.orders_of(&asked.customer_id, page.limit.number());
    let query = page.apply(query)?;
    let (orders, next) = operations.orders(&query, asked.status).await?;
    let items = orders.iter().map(receipt).collect();
    Reply::of(&Page::of(&query, items, next.as_ref()))
}

/// GET `/orders/{order_id}`.
///
/// # Errors
/// 404 for an unknown order.
pub async fn order(
    State(app): State<Arc<App>>,
    Path(path): Path<OrderPath>,
) -> Result<Reply<OrderAnswer>, Problem> {
    let done = stored(&app, path.order_id).await?;
    let order = &done.state;
    Reply::of(&OrderAnswer {
        order: receipt(&done),
        customer_type: order.customer_type(),
        payment_term: order.payment_term(),
        country: order.country().clone(),
        vat_treatment: order.vat_treatment(),
        items: order.items().to_vec(),
    })
}

/// GET `/orders/{order_id}/timeline`.
///
/// # Errors
/// 404 for an unknown order.
pub async fn timeline(
    State(app): State<Arc<App>>,
    Path(path): Path<OrderPath>,
) -> Result<Reply<Timeline>, Problem> {
    stored(&app, path.order_id).await?;
    Reply::of(&timeline::of(&app.outbox, path.order_id).await?)
}
