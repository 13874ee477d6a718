//! What each endpoint reads, decides and writes.

pub mod categories;
pub mod products;

use std::sync::Arc;

use api::{
    Command, Events, Form, Path, Problem, Query, Reply, State,
    history::{EventPage, HistoryQuery, history_of},
};
use commerce::{Done, Refusal, Stock, operations::Commerce, stock::StockStep};
use events::contracts::stock::Changed;
use http::StatusCode;
use outbox::{Outbox, Table};

use crate::wire::{
    AdjustmentRequest, CountRequest, ReceiptRequest, StockAnswer, StockPath, ThresholdRequest,
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

    async fn stored(&self, path: &StockPath) -> Result<Done<Stock>, Problem> {
        let sku = &path.sku;
        let entity = self.operations().stock(sku).await?;
        let unknown = || problem(&Refusal::UnknownStock { sku: sku.clone() });
        Done::stored(&entity)?.ok_or_else(unknown)
    }
}

fn answer(done: &Done<Stock>) -> StockAnswer {
    let stock = &done.state;
    StockAnswer {
        sku: stock.sku().clone(),
        product_id: stock.product_id().clone(),
        on_hand: stock.on_hand(),
        reserved: stock.reserved(),
        available: stock.available(),
        threshold_low_stock: stock.threshold_low_stock(),
        stock_status: stock.status(),
        updated_at: stock.updated_at(),
        updated_by: stock.updated_by().clone(),
        version: done.version,
    }
}

/// Returns the problem that the caller receives for a refusal. Each refusal has its own problem type.
fn problem(refusal: &Refusal) -> Problem {
    let words = refusal.to_string();
    match refusal {
        Refusal::UnknownStock { sku } => Problem::not_found(words).with("sku", sku.as_str()),
        Refusal::OtherProduct { product_id, .. } => {
            Problem::conflict("other-product", "The sku belongs to another product")
                .detail(words)
                .with("product_id", product_id.as_str())
        }
        Refusal::BelowReserved { on_hand, reserved } => {
            Problem::conflict("below-reserved", "Less would be there than is reserved")
                .detail(words)
                .with("on_hand", *on_hand)
                .with("reserved", *reserved)
        }
        Refusal::TooMuch { most } => Problem::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "too-much",
            "A stock cannot hold so much",
        )
        .detail(words)
        .with("most", *most),
        // The others concern prices and calculations.
        other => Problem::internal(other),
    }
}

async fn step<T>(
    app: &App,
    path: &StockPath,
    command: &Command<T>,
    step: impl Fn(&T) -> StockStep,
) -> Result<Reply<StockAnswer>, Problem> {
    let (step, by) = (&step, &command.acting()?);
    api::execute(&app.outbox, command, async move |mut transaction, body| {
        let (operations, step) = (app.operations(), step(body));
        let done = operations
            .change_stock(&mut transaction, &path.sku, step, by.clone())
            .await;
        api::decided(transaction, done, |refusal| Ok(problem(refusal)), answer)
    })
    .await
}

/// PUT `/stock/{sku}`.
///
/// # Errors
/// 409 if the sku belongs to another product, or less would be there than is reserved; the problems that every command can
/// return.
pub async fn count(
    State(app): State<Arc<App>>,
    Path(path): Path<StockPath>,
    command: Command<CountRequest>,
) -> Result<Reply<StockAnswer>, Problem> {
    step(&app, &path, &command, |body| StockStep::Counted {
        product_id: body.product_id.clone(),
        quantity: body.quantity,
    })
    .await
}

/// POST `/stock/{sku}/receipts`.
///
/// # Errors
/// 404 if no stock was ever counted; 422 for too much; the problems that every command can return.
pub async fn receive(
    State(app): State<Arc<App>>,
    Path(path): Path<StockPath>,
    command: Command<ReceiptRequest>,
) -> Result<Reply<StockAnswer>, Problem> {
    let received = |body: &ReceiptRequest| StockStep::Received {
        quantity: body.quantity,
    };
    step(&app, &path, &command, received).await
}

/// POST `/stock/{sku}/adjustments`.
///
/// # Errors
/// 404 if no stock was ever counted; 409 if less would be there than is reserved; 422 for too much; the problems that every
/// command can return.
pub async fn adjust(
    State(app): State<Arc<App>>,
    Path(path): Path<StockPath>,
    command: Command<AdjustmentRequest>,
) -> Result<Reply<StockAnswer>, Problem> {
    step(&app, &path, &command, |body| StockStep::Adjusted {
        delta: body.delta,
        reason: body.reason.clone(),
    })
    .await
}

/// PUT `/stock/{sku}/threshold`.
///
/// # Errors
/// 404 if no stock was ever counted; the problems that every command can return.
pub async fn threshold(
    State(app): State<Arc<App>>,
    Path(path): Path<StockPath>,
    command: Command<ThresholdRequest>,
) -> Result<Reply<StockAnswer>, Problem> {
    let threshold = |body: &ThresholdRequest| StockStep::Threshold {
        quantity: body.threshold_low_stock,
    };
    step(&app, &path, &command, threshold).await
}

/// GET `/stock/{sku}`.
///
/// # Errors
/// 404 if no stock was ever counted.
pub async fn stock(
    State(app): State<Arc<App>>,
    Path(path): Path<StockPath>,
) -> Result<Reply<StockAnswer>, Problem> {
    Reply::of(&answer(&app.stored(&path).await?))
}

/// GET `/stock/{sku}/history`.
///
/// # Errors
/// 404 if no stock was ever counted.
pub async fn history(
    State(app): State<Arc<App>>,
    Path(path): Path<StockPath>,
    Query(asked): Query<HistoryQuery>,
    form: Form,
) -> Result<Events<EventPage>, Problem> {
    app.stored(&path).await?;
    history_of::<Changed>(&app.outbox, path.sku.as_str(), asked, &form).await
}
