//! Categories: made, changed, moved, deleted, read and listed.

use std::sync::Arc;

use api::{
    Command, CommandError, Events, Form, Page, PageQuery, Path, Problem, Query, Reply, State,
    history::{EventPage, HistoryQuery, history_of},
};
use commerce::{
    Category, Done,
    category::{Details, Place, Refusal},
};
use events::{
    CategoryId,
    contracts::category::{AttributeDefinition, Created},
};
use http::StatusCode;

use super::{App, products};
use crate::wire::{
    CategoryAnswer, CategoryNode, CategoryPath, CategoryReceipt, CategoryRequest, CategoryTree,
    DeleteCategoryRequest, ProductReceipt,
};

/// The answer of a change. The request's mark keeps it, so it leaves out the attributes.
fn receipt(done: &Done<Category>) -> CategoryReceipt {
    let (category, listing) = (&done.state, done.state.listing());
    CategoryReceipt {
        category_id: listing.id.clone(),
        parent_id: listing.parent_id.clone(),
        name: listing.name.clone(),
        slug: listing.slug.clone(),
        position: listing.position,
        reassigned_to: listing.reassigned_to.clone(),
        deleted: category.is_deleted(),
        created_at: category.created_at(),
        updated_at: category.updated_at(),
        updated_by: category.updated_by().clone(),
        version: done.version,
    }
}

fn node(place: Place<'_>) -> CategoryNode {
    CategoryNode {
        category_id: place.node.id.clone(),
        parent_id: place.parent_id.cloned(),
        name: place.node.name.clone(),
        slug: place.node.slug.clone(),
        position: place.node.position,
        path: place.path,
        depth: place.depth,
        reassigned_to: place.node.reassigned_to.clone(),
    }
}

/// Returns the problem that the caller receives for a refusal. Each refusal has its own problem type.
fn problem(refusal: &Refusal) -> Problem {
    let words = refusal.to_string();
    match refusal {
        Refusal::UnknownCategory { category_id } => {
            Problem::not_found(words).with("category_id", category_id.as_str())
        }
        Refusal::Deleted { category_id } => {
            Problem::conflict("category-deleted", "The category was deleted")
                .with("category_id", category_id.as_str())
        }
        Refusal::Closing {
            category_id,
            reassigned_to,
        } => Problem::conflict("category-closing", "The category is being deleted")
            .detail(words)
            .with("category_id", category_id.as_str())
            .with("reassigned_to", reassigned_to.as_str()),
        Refusal::Parent { reason, .. } => {
            Problem::invalid(Vec::new()).violation("/parent_id", reason.to_string())
        }
        Refusal::Target { reason, .. } => {
            Problem::invalid(Vec::new()).violation("/reassign_to", reason.to_string())
        }
        Refusal::SlugTaken { slug, category_id } => {
            Problem::conflict("slug-taken", "Another category has the slug there")
                .detail(words)
                .with("slug", slug.as_str())
                .with("category_id", category_id.as_str())
        }
        Refusal::TooMany { most } => {
            Problem::conflict("too-many-categories", "There are too many categories")
                .detail(words)
                .with("most", *most)
        }
        Refusal::HasChildren { category_id } => {
            Problem::conflict("category-has-children", "Categories stand below it")
                .detail(words)
                .with("category_id", category_id.as_str())
        }
        Refusal::HasProducts { category_id } => {
            Problem::conflict("category-has-products", "Products are in the category")
                .detail(words)
                .with("category_id", category_id.as_str())
        }
        Refusal::TooLarge { most } => {
            let title = "The category is too large";
            Problem::new(
                StatusCode::UNPROCESSABLE_ENTITY,
                "category-too-large",
                title,
            )
            .detail(words)
            .with("most", *most)
        }
        Refusal::SameAttribute { attribute } => {
            let pointer = format!("/attributes/{attribute}/name");
            Problem::invalid(Vec::new()).violation(pointer, "is in an attribute before")
        }
        Refusal::Values { attribute } => {
            let pointer = format!("/attributes/{attribute}/values");
            Problem::invalid(Vec::new()).violation(pointer, words)
        }
    }
}

fn refused(refusal: &Refusal) -> Result<Problem, CommandError> {
    Ok(problem(refusal))
}

fn unknown(category_id: &CategoryId) -> Problem {
    problem(&Refusal::UnknownCategory {
        category_id: category_id.clone(),
    })
}

async fn stored(app: &App, category_id: &CategoryId) -> Result<Done<Category>, Problem> {
    let entity = app.operations().category(category_id).await?;
    let stored = Done::stored(&entity)?;
    let is_there = |done: &Done<Category>| !done.state.is_deleted();
    stored.filter(is_there).ok_or_else(|| unknown(category_id))
}

/// PUT `/categories/{category_id}`.
///
/// # Errors
/// 409 if the slug is taken, there are too many categories, or the category was deleted or is being deleted; 422 if it cannot stand
/// below that category, or its attributes contradict themselves; the problems that every command can return.
pub async fn set(
    State(app): State<Arc<App>>,
    Path(path): Path<CategoryPath>,
    command: Command<CategoryRequest>,
) -> Result<Reply<CategoryReceipt>, Problem> {
    let (app, category_id, by) = (&app, &path.category_id, &command.acting()?);
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let attributes = body.attributes.iter().map(AttributeDefinition::from);
        let details = Details {
            parent_id: body.parent_id.clone(),
            name: body.name.clone(),
            slug: body.slug.clone(),
            position: body.position,
            attributes: attributes.collect(),
        };
        let operations = app.operations();
        let done = operations
            .set_category(&mut transaction, category_id, details, by.clone())
            .await;
        api::decided(transaction, done, refused, receipt)
    })
    .await
}

/// DELETE `/categories/{category_id}`.
///
/// # Errors
/// 404 for an unknown category, or one that was deleted before; 409 if something is in it and it is not said where that goes, or it
/// is being deleted already; 422 if it cannot go there; the problems that every command can return.
pub async fn delete(
    State(app): State<Arc<App>>,
    Path(path): Path<CategoryPath>,
    command: Command<DeleteCategoryRequest>,
) -> Result<Reply<CategoryReceipt>, Problem> {
    let (app, category_id, by) = (&app, &path.category_id, &command.acting()?);
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let operations = app.operations();
        let to = body.reassign_to.as_ref();
        let done = operations
            .delete_category(&mut transaction, category_id, to, by.clone())
            .await;
        api::decided(transaction, done, refused, receipt)
    })
    .await
}

/// GET `/categories`.
///
/// # Errors
/// The problems that every read can return.
pub async fn categories(State(app): State<Arc<App>>) -> Result<Reply<CategoryTree>, Problem> {
    let tree = app.operations().categories().await?;
    let items = tree.places().into_iter().map(node).collect();
    Reply::of(&CategoryTree { items })
}

/// GET `/categories/{category_id}`.
///
/// # Errors
/// 404 for an unknown category, or one that was deleted.
pub async fn category(
    State(app): State<Arc<App>>,
    Path(path): Path<CategoryPath>,
) -> Result<Reply<CategoryAnswer>, Problem> {
    let category_id = &path.category_id;
    let done = stored(&app, category_id).await?;
    let tree = app.operations().categories().await?;
    // It is in the tree, unless it was deleted meanwhile.
    let place = tree.place(category_id);
    let place = place.ok_or_else(|| unknown(category_id))?;
    let children = tree.children(category_id).into_iter();
    let children = children.filter_map(|child| tree.place(&child.id));
    Reply::of(&CategoryAnswer {
        category: CategoryReceipt {
            parent_id: place.parent_id.cloned(),
            ..receipt(&done)
        },
        path: place.path,
        depth: place.depth,
        attributes: done.state.listing().attributes.clone(),
        children: children.map(node).collect(),
    })
}

/// GET `/categories/{category_id}/products`.
///
/// # Errors
/// 400 for a cursor of another list; 404 for an unknown category, or one that was deleted.
pub async fn products_in(
    State(app): State<Arc<App>>,
    Path(path): Path<CategoryPath>,
    Query(page): Query<PageQuery>,
) -> Result<Reply<Page<ProductReceipt>>, Problem> {
    stored(&app, &path.category_id).await?;
    let operations = app.operations();
    let query = operations.products_in(&path.category_id, page.limit.number());
    let query = page.apply(query)?;
    let (found, next) = operations.products(&query).await?;
    let items = found.iter().map(products::receipt).collect();
    Reply::of(&Page::of(&query, items, next.as_ref()))
}

/// GET `/categories/{category_id}/history`.
///
/// # Errors
/// 404 for an unknown category, or one that was deleted: its events are in the event log.
pub async fn history(
    State(app): State<Arc<App>>,
    Path(path): Path<CategoryPath>,
    Query(asked): Query<HistoryQuery>,
    form: Form,
) -> Result<Events<EventPage>, Problem> {
    stored(&app, &path.category_id).await?;
    history_of::<Created>(&app.outbox, path.category_id.as_str(), asked, &form).await
}
