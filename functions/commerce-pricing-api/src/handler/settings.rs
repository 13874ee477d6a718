//! Prices, tiers and tax rates: set and read.

use std::sync::Arc;

use api::{
    Command, Events, Form, Path, Problem, Query, Reply, State,
    history::{EventPage, HistoryQuery, history_of},
};
use commerce::{
    Done, Price, Refusal, TaxRates, Tier, price::SetPrice, tax::SetTaxRate, tier::SetTier,
};
use events::contracts::price::Changed;
use outbox::{Entity, State as Stored};

use super::{App, refused::problem};
use crate::wire::{
    PriceAnswer, PricePath, PriceRequest, TaxRatePath, TaxRateRequest, TaxRateView, TaxRatesAnswer,
    TierAnswer, TierPath, TierRequest,
};

/// A stored state with its version.
fn stored<S: Stored + Clone>(
    entity: &Entity<S>,
    unknown: impl FnOnce() -> Refusal,
) -> Result<Done<S>, Problem> {
    Done::stored(entity)?.ok_or_else(|| problem(&unknown()))
}

fn price_answer(done: &Done<Price>) -> PriceAnswer {
    let price = &done.state;
    PriceAnswer {
        sku: price.sku().clone(),
        product_id: price.product_id().clone(),
        prices: price.currencies().clone(),
        updated_at: price.updated_at(),
        updated_by: price.updated_by().clone(),
        version: done.version,
    }
}

fn tier_answer(done: &Done<Tier>) -> TierAnswer {
    let tier = &done.state;
    TierAnswer {
        tier: tier.tier().clone(),
        discount_percent: tier.discount_percent(),
        updated_at: tier.updated_at(),
        updated_by: tier.updated_by().clone(),
        version: done.version,
    }
}

fn tax_rates_answer(done: &Done<TaxRates>) -> TaxRatesAnswer {
    let state = &done.state;
    let rates = state.rates().iter().map(|(valid_from, rate)| TaxRateView {
        valid_from: *valid_from,
        rate: *rate,
    });
    TaxRatesAnswer {
        country: state.country().clone(),
        tax_category: state.tax_category(),
        rates: rates.collect(),
        updated_at: state.updated_at(),
        updated_by: state.updated_by().clone(),
        version: done.version,
    }
}

/// PUT `/prices/{sku}`.
///
/// # Errors
/// 409 if the sku belongs to another product; 422 for two volume prices of the same quantity; the problems that every
/// command can return.
pub async fn set_price(
    State(app): State<Arc<App>>,
    Path(path): Path<PricePath>,
    command: Command<PriceRequest>,
) -> Result<Reply<PriceAnswer>, Problem> {
    let (app, sku, by) = (&app, &path.sku, &command.acting()?);
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let set = SetPrice {
            product_id: body.product_id.clone(),
            sku: sku.clone(),
            currency: body.currency,
            list: body.list(),
            by: by.clone(),
        };
        let done = app.operations().set_price(&mut transaction, set).await;
        api::decided(
            transaction,
            done,
            |refusal| Ok(problem(refusal)),
            price_answer,
        )
    })
    .await
}

/// GET `/prices/{sku}`.
///
/// # Errors
/// 404 for a sku without price.
pub async fn price(
    State(app): State<Arc<App>>,
    Path(path): Path<PricePath>,
) -> Result<Reply<PriceAnswer>, Problem> {
    let entity = app.operations().price(&path.sku).await?;
    let unknown = || Refusal::UnknownSku { sku: path.sku };
    Reply::of(&price_answer(&stored(&entity, unknown)?))
}

/// GET `/prices/{sku}/history`.
///
/// # Errors
/// 404 for a sku without price.
pub async fn history(
    State(app): State<Arc<App>>,
    Path(path): Path<PricePath>,
    Query(asked): Query<HistoryQuery>,
    form: Form,
) -> Result<Events<EventPage>, Problem> {
    let entity = app.operations().price(&path.sku).await?;
    let unknown = || Refusal::UnknownSku {
        sku: path.sku.clone(),
    };
    stored(&entity, unknown)?;
    history_of::<Changed>(&app.outbox, path.sku.as_str(), asked, &form).await
}

/// PUT `/tiers/{tier}`.
///
/// # Errors
/// The problems that every command can return.
pub async fn set_tier(
    State(app): State<Arc<App>>,
    Path(path): Path<TierPath>,
    command: Command<TierRequest>,
) -> Result<Reply<TierAnswer>, Problem> {
    let (app, tier, by) = (&app, &path.tier, &command.acting()?);
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let set = SetTier {
            tier: tier.clone(),
            discount_percent: body.discount_percent,
            by: by.clone(),
        };
        let done = app.operations().set_tier(&mut transaction, set).await;
        api::decided(
            transaction,
            done,
            |refusal| Ok(problem(refusal)),
            tier_answer,
        )
    })
    .await
}

/// GET `/tiers/{tier}`.
///
/// # Errors
/// 404 for an unknown tier.
pub async fn tier(
    State(app): State<Arc<App>>,
    Path(path): Path<TierPath>,
) -> Result<Reply<TierAnswer>, Problem> {
    let entity = app.operations().tier(&path.tier).await?;
    let unknown = || Refusal::UnknownTier { tier: path.tier };
    Reply::of(&tier_answer(&stored(&entity, unknown)?))
}

/// PUT `/tax-rates/{country}/{tax_category}`.
///
/// # Errors
/// 422 for too many rates, or a rate of what is not taxed; the problems that every command can return.
pub async fn set_tax_rate(
    State(app): State<Arc<App>>,
    Path(path): Path<TaxRatePath>,
    command: Command<TaxRateRequest>,
) -> Result<Reply<TaxRatesAnswer>, Problem> {
    let (app, path, by) = (&app, &path, &command.acting()?);
    api::execute(&app.outbox, &command, async move |mut transaction, body| {
        let set = SetTaxRate {
            country: path.country.clone(),
            tax_category: path.tax_category,
            rate: body.rate,
            valid_from: body.valid_from,
            by: by.clone(),
        };
        let done = app.operations().set_tax_rate(&mut transaction, set).await;
        api::decided(
            transaction,
            done,
            |refusal| Ok(problem(refusal)),
            tax_rates_answer,
        )
    })
    .await
}

/// GET `/tax-rates/{country}/{tax_category}`.
///
/// # Errors
/// 404 if no rate was ever set.
pub async fn tax_rates(
    State(app): State<Arc<App>>,
    Path(path): Path<TaxRatePath>,
) -> Result<Reply<TaxRatesAnswer>, Problem> {
    let operations = app.operations();
    let entity = operations
        .tax_rates(&path.country, path.tax_category)
        .await?;
    let unknown = || Refusal::UnknownTaxRate {
        country: path.country,
        tax_category: path.tax_category,
    };
    Reply::of(&tax_rates_answer(&stored(&entity, unknown)?))
}
