//! Carts: made, filled, changed, and turned into orders.

use std::sync::Arc;

use api::{Command, CommandError, Created, Path, Problem, Reply, State};
use commerce::{Cart, Done, operations::CartStep, order::Refusal};
use events::CartId;

use super::{App, orders::receipt, refused::of_cart};
use crate::wire::{
    CartAnswer, CartItemPath, CartPath, CartReceipt, CartRequest, CheckoutRequest, ItemRequest,
    NothingRequest, OrderReceipt, QuantityRequest,
};

/// The answer of a change. The request's mark keeps it, so it leaves out the lines.
fn answer(done: &Done<Cart>) -> CartReceipt {
    let cart = &done.state;
    CartReceipt {
        cart_id: cart.cart_id(),
        customer_id: cart.customer_id().clone(),
        currency: cart.currency(),
        status: cart.status(),
        lines: cart.items().len(),
        totals: cart.totals().cloned(),
        order_id: cart.order_id(),
        created_at: cart.created_at(),
        updated_at: cart.updated_at(),
        updated_by: cart.updated_by().clone(),
        version: done.version,
    }
}

fn refused(refusal: &Refusal) -> Result<Problem, CommandError> {
    Ok(of_cart(refusal))
}

/// POST `/carts`.
///
/// # Errors
/// 404 for an unknown customer; the problems that every command can return.
pub async fn create(
    State(app): State<Arc<App>>,
    command: Command<CartRequest>,
) -> Result<Created<CartReceipt>, Problem> {
    let (app, by) = (&app, &command.acting()?);
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let cart_id = transaction.uuid().into();
        let new = (body.customer_id.clone(), body.currency);
        let operations = app.operations();
        let done = operations
            .create_cart(&mut transaction, cart_id, new, by.clone())
            .await;
        api::decided(transaction, done, refused, answer)
    })
    .await
}

/// GET `/carts/{cart_id}`.
///
/// # Errors
/// 404 for an unknown cart.
pub async fn cart(
    State(app): State<Arc<App>>,
    Path(path): Path<CartPath>,
) -> Result<Reply<CartAnswer>, Problem> {
    let cart_id = path.cart_id;
    let entity = app.operations().cart(cart_id).await?;
    let unknown = || of_cart(&Refusal::UnknownCart { cart_id });
    let done = Done::stored(&entity)?.ok_or_else(unknown)?;
    Reply::of(&CartAnswer {
        cart: answer(&done),
        items: done.state.items().to_vec(),
    })
}

async fn step<T>(
    app: &App,
    cart_id: CartId,
    command: &Command<T>,
    step: impl Fn(&T) -> CartStep,
) -> Result<Reply<CartReceipt>, Problem> {
    let (step, cart_id, by) = (&step, &cart_id, &command.acting()?);
    api::execute(&app.outbox, command, async move |mut transaction, body| {
        let operations = app.operations();
        let done = operations
            .step_cart(&mut transaction, *cart_id, step(body), by.clone())
            .await;
        api::decided(transaction, done, refused, answer)
    })
    .await
}

/// POST `/carts/{cart_id}/items`.
///
/// # Errors
/// 404 for an unknown cart or sku; 409 if it became an order, or the goods are not for sale; 422 for too many lines or pieces, or lines that cannot be
/// calculated; the problems that every command can return.
pub async fn add(
    State(app): State<Arc<App>>,
    Path(path): Path<CartPath>,
    command: Command<ItemRequest>,
) -> Result<Reply<CartReceipt>, Problem> {
    step(&app, path.cart_id, &command, |body| CartStep::Add {
        sku: body.sku.clone(),
        quantity: body.quantity,
    })
    .await
}

/// PATCH `/carts/{cart_id}/items/{item_id}`.
///
/// # Errors
/// As [`add`]; 404 for an unknown line, too.
pub async fn change(
    State(app): State<Arc<App>>,
    Path(path): Path<CartItemPath>,
    command: Command<QuantityRequest>,
) -> Result<Reply<CartReceipt>, Problem> {
    let (item_id, quantity) = (path.item_id, command.body().quantity);
    let change = |_: &QuantityRequest| CartStep::Quantity { item_id, quantity };
    step(&app, path.cart_id, &command, change).await
}

/// DELETE `/carts/{cart_id}/items/{item_id}`.
///
/// # Errors
/// As [`change`].
pub async fn remove(
    State(app): State<Arc<App>>,
    Path(path): Path<CartItemPath>,
    command: Command<NothingRequest>,
) -> Result<Reply<CartReceipt>, Problem> {
    let item_id = path.item_id;
    let remove = |_: &NothingRequest| CartStep::Remove { item_id };
    step(&app, path.cart_id, &command, remove).await
}

/// POST `/carts/{cart_id}/clear`.
///
/// # Errors
/// 404 for an unknown cart; 409 if it became an order; the problems that every command can return.
pub async fn clear(
    State(app): State<Arc<App>>,
    Path(path): Path<CartPath>,
    command: Command<NothingRequest>,
) -> Result<Reply<CartReceipt>, Problem> {
    step(&app, path.cart_id, &command, |_| CartStep::Clear).await
}

/// POST `/carts/{cart_id}/checkout`.
///
/// # Errors
/// 404 for an unknown cart; 409 if it is empty or became an order; what placing an order can answer.
pub async fn check_out(
    State(app): State<Arc<App>>,
    Path(path): Path<CartPath>,
    command: Command<CheckoutRequest>,
) -> Result<Created<OrderReceipt>, Problem> {
    let (app, cart_id, by) = (&app, &path.cart_id, &command.acting()?);
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let ids = (*cart_id, transaction.uuid().into());
        let expected = body.expected_total.map(Into::into);
        let operations = app.operations();
        let done = operations
            .check_out(&mut transaction, &app.numbers, ids, expected, by.clone())
            .await;
        api::decided(transaction, done, refused, receipt)
    })
    .await
}
