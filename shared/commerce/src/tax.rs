//! A country's tax rates for a category, each from a day on.

use std::collections::BTreeMap;

use domain::{Rebuild, Step, must};
use events::{
    Contract as _, CountryCode, Day, Envelope, Percent, Retention, Sequence, Text, Timestamp,
    contracts::price::{TaxCategory, TaxRateChanged},
    subscription,
};
use outbox::State;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{Change, Refusal};

/// The most rates of a country and category, one for each day on which the rate changed. The answer to a change lists them
/// all, and the request's mark holds an answer of at most 4 KB.
pub const MOST_RATES: usize = 50;

/// A country's rates for a category. Its fields change in [`set`] alone, which also makes the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct TaxRates {
    country: CountryCode,
    tax_category: TaxCategory,
    /// Each rate by the first day on which it applies.
    rates: BTreeMap<Day, Percent>,
    updated_at: Timestamp,
    updated_by: Text<256>,
}

impl State for TaxRates {
    const AGGREGATE: &'static str = TaxRateChanged::AGGREGATE;
}

impl TaxRates {
    /// The aggregate's id.
    #[must_use]
    pub fn id(country: &CountryCode, tax_category: TaxCategory) -> String {
        format!("{country}-{tax_category}")
    }

    /// The country.
    #[must_use]
    pub fn country(&self) -> &CountryCode {
        &self.country
    }

    /// The category.
    #[must_use]
    pub fn tax_category(&self) -> TaxCategory {
        self.tax_category
    }

    /// Each rate by the first day on which it applies.
    #[must_use]
    pub fn rates(&self) -> &BTreeMap<Day, Percent> {
        &self.rates
    }

    /// The rate that applies on a day; `None` before the first one.
    #[must_use]
    pub fn on(&self, day: Day) -> Option<Percent> {
        let (_, rate) = self.rates.range(..=day).next_back()?;
        Some(*rate)
    }

    /// When they changed last.
    #[must_use]
    pub fn updated_at(&self) -> Timestamp {
        self.updated_at
    }

    /// Who changed them last.
    #[must_use]
    pub fn updated_by(&self) -> &Text<256> {
        &self.updated_by
    }
}

/// The command to set a rate from a day on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetTaxRate {
    /// The country.
    pub country: CountryCode,
    /// The category.
    pub tax_category: TaxCategory,
    /// The rate in per cent, 0 to 100.
    pub rate: Percent,
    /// The first day on which it applies.
    pub valid_from: Day,
    /// Who sets it.
    pub by: Text<256>,
}

/// Decides to set a rate; `version` is the one that the row has after the change. It has no event if it is set already.
///
/// # Errors
/// [`Refusal::NeverTaxed`], [`Refusal::PercentOutOfRange`], [`Refusal::TooMany`].
pub fn set(
    before: Option<&TaxRates>,
    command: SetTaxRate,
    version: Sequence,
    now: Timestamp,
) -> Result<Change<TaxRates, TaxRateChanged>, Refusal> {
    let SetTaxRate {
        country,
        tax_category,
        rate,
        valid_from,
        by,
    } = command;
    if tax_category == TaxCategory::Zero {
        return Err(Refusal::NeverTaxed);
    }
    if rate.decimal() > Decimal::ONE_HUNDRED {
        return Err(Refusal::PercentOutOfRange);
    }
    let mut rates = before.map_or_else(BTreeMap::new, |before| before.rates.clone());
    let previous_rate = rates.insert(valid_from, rate);
    if let Some(before) = before
        && previous_rate == Some(rate)
    {
        return Ok(Change::none(before.clone()));
    }
    if rates.len() > MOST_RATES {
        return Err(Refusal::TooMany { most: MOST_RATES });
    }
    let now = before.map_or(now, |before| before.updated_at.max(now));
    let event = TaxRateChanged {
        country: country.clone(),
        tax_category,
        previous_rate,
        rate,
        valid_from,
        changed_at: now,
        changed_by: by.clone(),
        version,
    };
    let rates = TaxRates {
        country,
        tax_category,
        rates,
        updated_at: now,
        updated_by: by,
    };
    Ok(Change::new(rates, event))
}

subscription! {
    /// The recorded events.
    enum Recorded {
        /// A rate was set.
        Set(events::contracts::price::TaxRateChanged) by Mark,
    }
}

impl Rebuild for TaxRates {
    type Stored = Self;
    const RETENTION: Retention = TaxRateChanged::RETENTION;

    fn stored(&self) -> Self {
        self.clone()
    }

    fn apply(id: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let Recorded::Set(event) = <Recorded as events::Subscription>::decode(envelope)?;
        must(
            Self::id(&event.country, event.tax_category) == id,
            "it is about another country or category",
        )?;
        let mut rates = BTreeMap::new();
        if let Some(before) = before {
            must(
                before.updated_at <= event.changed_at,
                "it happened before the last change",
            )?;
            rates = before.rates;
        }
        let previous = rates.insert(event.valid_from, event.rate);
        must(
            previous == event.previous_rate,
            "it states another rate before it",
        )?;
        let rates = Self {
            country: event.country,
            tax_category: event.tax_category,
            rates,
            updated_at: event.changed_at,
            updated_by: event.changed_by,
        };
        Ok((rates, event.version))
    }
}

#[cfg(test)]
mod tests;
