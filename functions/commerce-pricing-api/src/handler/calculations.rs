//! What a line or an order comes to. Nothing is stored.

use std::sync::Arc;

use api::{Problem, Question, Reply, State};
use commerce::operations::{Buyer, CalculatedOrder, LineAsked, OrderAsked, Stopped};
use events::{CustomerId, Day, TierName};

use super::{App, refused::of_calculation};
use crate::wire::{CalculateAnswer, CalculateOrderRequest, CalculateRequest};

fn stopped(stopped: Stopped, place: impl Fn(usize) -> String) -> Problem {
    match stopped {
        Stopped::Refused(refusal) => of_calculation(&refusal, place),
        Stopped::Failed(error) => error.into(),
    }
}

/// For whom it is calculated. A customer has the tier that is known of it.
fn buyer(customer_id: Option<CustomerId>, tier: Option<TierName>) -> Result<Buyer, Problem> {
    match (customer_id, tier) {
        (None, None) => Ok(Buyer::Anybody),
        (None, Some(tier)) => Ok(Buyer::OfTier(tier)),
        (Some(customer_id), None) => Ok(Buyer::Customer(customer_id)),
        (Some(_), Some(_)) => {
            let message = "must be absent if customer_id is there";
            Err(Problem::invalid(Vec::new()).violation("/tier", message))
        }
    }
}

/// POST `/pricing/calculate`.
///
/// # Errors
/// 404 for a sku without price, an unknown tier or an unknown customer; 422 if there is no price in the currency, or both a customer and
/// a tier are named.
pub async fn line(
    State(app): State<Arc<App>>,
    Question(asked): Question<CalculateRequest>,
) -> Result<Reply<CalculateAnswer>, Problem> {
    let operations = app.operations();
    let buyer = buyer(asked.customer_id, asked.tier)?;
    let calculated = operations
        .calculate(asked.currency, &buyer, &asked.sku, asked.quantity)
        .await;
    let at_sku = |stop| stopped(stop, |_| "/sku".to_owned());
    let (unit, line_total) = calculated.map_err(at_sku)?;
    Reply::of(&CalculateAnswer {
        sku: asked.sku,
        quantity: asked.quantity,
        currency: asked.currency,
        unit,
        line_total,
    })
}

/// POST `/pricing/calculate-order`.
///
/// # Errors
/// 404 for a sku without price, an unknown tier or an unknown customer; 422 if there is no price in the currency, no tax rate in the
/// country on the day, or both a customer and a tier are named.
pub async fn order(
    State(app): State<Arc<App>>,
    Question(asked): Question<CalculateOrderRequest>,
) -> Result<Reply<CalculatedOrder>, Problem> {
    let today = || Day::of(app.outbox.clock().now());
    let lines = asked.lines.into_iter().map(|line| LineAsked {
        sku: line.sku,
        quantity: line.quantity,
        tax_category: line.tax_category,
    });
    let asked = OrderAsked {
        currency: asked.currency,
        buyer: buyer(asked.customer_id, asked.tier)?,
        country: asked.country,
        vat_treatment: asked.vat_treatment,
        day: asked.day.unwrap_or_else(today),
        lines: lines.collect(),
    };
    let calculated = app.operations().calculate_order(&asked).await;
    let at_line = |stop| stopped(stop, |line| format!("/lines/{line}/sku"));
    Reply::of(&calculated.map_err(at_line)?)
}
