//! Products: put into the catalogue, changed, taken out, read and listed.

use std::sync::Arc;

use api::{
    Command, CommandError, Events, Form, Page, PageQuery, Path, Problem, Query, Reply, State,
    history::{EventPage, HistoryQuery, history_of},
};
use commerce::{
    Done, Price, Product, Stock,
    operations::Offer,
    product::{Details, Refusal},
};
use events::{
    ProductId,
    contracts::{
        category::AttributeType,
        product::{Created, Variant},
    },
};

use http::StatusCode;

use super::App;
use crate::wire::{
    NothingRequest, ProductAnswer, ProductPath, ProductReceipt, ProductRequest, VariantAnswer,
};

/// The answer of a change. The request's mark keeps it, so it leaves out the description and the variants.
pub(super) fn receipt(done: &Done<Product>) -> ProductReceipt {
    let (product, listing) = (&done.state, done.state.listing());
    ProductReceipt {
        product_id: listing.id.clone(),
        name: listing.name.clone(),
        status: listing.status,
        visibility: listing.visibility,
        tax_category: product.tax_category(),
        category_id: product.category_id().cloned(),
        deleted: product.is_deleted(),
        created_at: product.created_at(),
        updated_at: product.updated_at(),
        updated_by: product.updated_by().clone(),
        version: done.version,
    }
}

fn variant((variant, offer): (&Variant, &Offer)) -> VariantAnswer {
    let prices = offer.price.as_ref().map(Price::currencies);
    VariantAnswer {
        variant: variant.clone(),
        prices: prices.cloned().unwrap_or_default(),
        available: offer.stock.as_ref().map(Stock::available),
    }
}

/// Returns the problem that the caller receives for a refusal. Each refusal has its own problem type.
fn problem(refusal: &Refusal) -> Problem {
    let words = refusal.to_string();
    let at = |variant: usize| format!("/variants/{variant}/sku");
    match refusal {
        Refusal::UnknownProduct { product_id } => {
            Problem::not_found(words).with("product_id", product_id.as_str())
        }
        Refusal::Deleted { product_id } => {
            let title = "The product was taken out of the catalogue";
            Problem::conflict("product-deleted", title).with("product_id", product_id.as_str())
        }
        Refusal::TooLarge { most } => {
            let title = "The product is too large";
            Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "product-too-large", title)
                .detail(words)
                .with("most", *most)
        }
        Refusal::SameSku { variant, .. } => {
            Problem::invalid(Vec::new()).violation(at(*variant), "is in a variant before")
        }
        Refusal::OtherProduct {
            variant,
            product_id,
            ..
        } => Problem::conflict("other-product", "The sku belongs to another product")
            .detail(words)
            .with("pointer", at(*variant))
            .with("product_id", product_id.as_str()),
        Refusal::NoCategory { .. } => {
            let message = "is no category, or is being deleted";
            Problem::invalid(Vec::new()).violation("/category_id", message)
        }
        Refusal::Attribute {
            variant,
            attribute,
            attribute_type,
        } => {
            let pointer = format!("/variants/{variant}/attributes/{attribute}/value");
            let message = match attribute_type {
                AttributeType::Text => "must be a text, as the category says",
                AttributeType::Number => "must be a decimal number, as the category says",
                AttributeType::Bool => "must be true or false, as the category says",
                AttributeType::Enum => "must be one of the values that the category lists",
            };
            Problem::invalid(Vec::new()).violation(pointer, message)
        }
    }
}

fn refused(refusal: &Refusal) -> Result<Problem, CommandError> {
    Ok(problem(refusal))
}

async fn stored(app: &App, product_id: &ProductId) -> Result<Done<Product>, Problem> {
    let entity = app.operations().product(product_id).await?;
    let unknown = || {
        problem(&Refusal::UnknownProduct {
            product_id: product_id.clone(),
        })
    };
    let stored = Done::stored(&entity)?;
    let is_there = |done: &Done<Product>| !done.state.is_deleted();
    stored.filter(is_there).ok_or_else(unknown)
}

/// PUT `/products/{product_id}`.
///
/// # Errors
/// 409 if a sku belongs to another product, or the product was taken out; 422 if two variants have the same sku, the category is not
/// there, or an attribute is not as it says; the problems that every command can return.
pub async fn set(
    State(app): State<Arc<App>>,
    Path(path): Path<ProductPath>,
    command: Command<ProductRequest>,
) -> Result<Reply<ProductReceipt>, Problem> {
    let (app, product_id, by) = (&app, &path.product_id, &command.acting()?);
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let details = Details {
            name: body.name.clone(),
            description: body.description.clone(),
            status: body.status,
            visibility: body.visibility,
            tax_category: body.tax_category,
            category_id: body.category_id.clone(),
            variants: body.variants.iter().map(Variant::from).collect(),
        };
        let operations = app.operations();
        let done = operations
            .set_product(&mut transaction, product_id, details, by.clone())
            .await;
        api::decided(transaction, done, refused, receipt)
    })
    .await
}

/// DELETE `/products/{product_id}`.
///
/// # Errors
/// 404 for an unknown product, or one that was taken out before; the problems that every command can return.
pub async fn delete(
    State(app): State<Arc<App>>,
    Path(path): Path<ProductPath>,
    command: Command<NothingRequest>,
) -> Result<Reply<ProductReceipt>, Problem> {
    let (app, product_id, by) = (&app, &path.product_id, &command.acting()?);
    api::execute(&app.outbox, &command, async move |mut transaction, _| {
        let operations = app.operations();
        let done = operations
            .delete_product(&mut transaction, product_id, by.clone())
            .await;
        api::decided(transaction, done, refused, receipt)
    })
    .await
}

/// GET `/products/{product_id}`.
///
/// # Errors
/// 404 for an unknown product, or one that was taken out.
pub async fn product(
    State(app): State<Arc<App>>,
    Path(path): Path<ProductPath>,
) -> Result<Reply<ProductAnswer>, Problem> {
    let done = stored(&app, &path.product_id).await?;
    let listing = done.state.listing();
    let offers = app.operations().offers(&done.state).await?;
    let variants = listing.variants.iter().zip(&offers);
    Reply::of(&ProductAnswer {
        product: receipt(&done),
        description: listing.description.clone(),
        variants: variants.map(variant).collect(),
    })
}

/// GET `/products`.
///
/// # Errors
/// 400 for a cursor of another list.
pub async fn products(
    State(app): State<Arc<App>>,
    Query(page): Query<PageQuery>,
) -> Result<Reply<Page<ProductReceipt>>, Problem> {
    let operations = app.operations();
    let query = page.apply(operations.all_products(page.limit.number()))?;
    let (products, next) = operations.products(&query).await?;
    let items = products.iter().map(receipt).collect();
    Reply::of(&Page::of(&query, items, next.as_ref()))
}

/// GET `/products/{product_id}/history`.
///
/// # Errors
/// 404 for an unknown product, or one that was taken out: its events are in the event log.
pub async fn history(
    State(app): State<Arc<App>>,
    Path(path): Path<ProductPath>,
    Query(asked): Query<HistoryQuery>,
    form: Form,
) -> Result<Events<EventPage>, Problem> {
    stored(&app, &path.product_id).await?;
    history_of::<Created>(&app.outbox, path.product_id.as_str(), asked, &form).await
}
