//! The percentage that a tier of customers gets off a price.

use domain::{Rebuild, Step, must};
use events::{
    Contract as _, Envelope, Percent, Retention, Sequence, Text, TierName, Timestamp,
    contracts::price::TierChanged, subscription,
};
use outbox::State;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::{Change, Refusal};

/// A tier. Its fields change in [`set`] alone, which also makes the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tier {
    tier: TierName,
    discount_percent: Percent,
    updated_at: Timestamp,
    updated_by: Text<256>,
}

impl State for Tier {
    const AGGREGATE: &'static str = TierChanged::AGGREGATE;
}

impl Tier {
    /// Its name.
    #[must_use]
    pub fn tier(&self) -> &TierName {
        &self.tier
    }

    /// The per cent that its customers get off, 0 to 100.
    #[must_use]
    pub fn discount_percent(&self) -> Percent {
        self.discount_percent
    }

    /// When it changed last.
    #[must_use]
    pub fn updated_at(&self) -> Timestamp {
        self.updated_at
    }

    /// Who changed it last.
    #[must_use]
    pub fn updated_by(&self) -> &Text<256> {
        &self.updated_by
    }
}

/// The command to set a tier's percentage.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetTier {
    /// The tier.
    pub tier: TierName,
    /// The per cent, 0 to 100.
    pub discount_percent: Percent,
    /// Who sets it.
    pub by: Text<256>,
}

/// Decides to set a percentage; `version` is the one that the row has after the change. It has no event if it is set already.
///
/// # Errors
/// [`Refusal::PercentOutOfRange`].
pub fn set(
    before: Option<&Tier>,
    command: SetTier,
    version: Sequence,
    now: Timestamp,
) -> Result<Change<Tier, TierChanged>, Refusal> {
    let SetTier {
        tier,
        discount_percent,
        by,
    } = command;
    if discount_percent.decimal() > Decimal::ONE_HUNDRED {
        return Err(Refusal::PercentOutOfRange);
    }
    let previous_discount_percent = before.map(Tier::discount_percent);
    if let Some(tier) = before
        && previous_discount_percent == Some(discount_percent)
    {
        return Ok(Change::none(tier.clone()));
    }
    let now = before.map_or(now, |tier| tier.updated_at.max(now));
    let event = TierChanged {
        tier: tier.clone(),
        previous_discount_percent,
        discount_percent,
        changed_at: now,
        changed_by: by.clone(),
        version,
    };
    let tier = Tier {
        tier,
        discount_percent,
        updated_at: now,
        updated_by: by,
    };
    Ok(Change::new(tier, event))
}

subscription! {
    /// The recorded events.
    enum Recorded {
        /// A percentage was set.
        Set(events::contracts::price::TierChanged) by Mark,
    }
}

impl Rebuild for Tier {
    type Stored = Self;
    const RETENTION: Retention = TierChanged::RETENTION;
    /// A change of a price list for the tier rewrites the row.
    const SILENT_WRITES: bool = true;

    fn stored(&self) -> Self {
        self.clone()
    }

    fn apply(id: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let Recorded::Set(event) = <Recorded as events::Subscription>::decode(envelope)?;
        must(event.tier.as_str() == id, "it is about another tier")?;
        must(
            before.as_ref().map(Self::discount_percent) == event.previous_discount_percent,
            "it states another percentage before it",
        )?;
        must(
            before.is_none_or(|before| before.updated_at <= event.changed_at),
            "it happened before the last change",
        )?;
        let tier = Self {
            tier: event.tier,
            discount_percent: event.discount_percent,
            updated_at: event.changed_at,
            updated_by: event.changed_by,
        };
        Ok((tier, event.version))
    }
}

#[cfg(test)]
mod tests;
