//! A price list: prices for one customer, for the customers of a tier, or for everybody, which take the place of the base prices.
//!
//! A list is for one [`Audience`] and in one currency, for ever. Its [`ListTerms`] can be replaced: name, kind, priority, and the time
//! from and until which it is valid. What it says of a sku is an aggregate of its own ([`ListPrice`]).
//!
//! The time of a calculation decides whether a list is valid. That it began or ended is told afterwards ([`look`]), so that carts follow.
//!
//! The lists that an audience has, as far as they can still be valid, stand in one row with all that the choice of a price needs
//! ([`Lists`]). So a calculation reads three rows at most to know every list that concerns a customer.

mod list_price;
mod lists;

pub use list_price::{ListPrice, remove_price, set_price};
pub use lists::{Due, Entry, Lists};

use std::fmt;

use domain::{Contradiction, Rebuild, Step, must};
use events::{
    Contract as _, CustomerId, Envelope, PriceListId, Retention, Sequence, Sku, Text, TierName,
    Timestamp,
    contracts::price::{Currency, ListChange, ListChanged, ListStatus, ListTerms},
    subscription,
};
use outbox::State;
use serde::{Deserialize, Serialize};

use crate::Change;

/// The most lists of an audience that were neither withdrawn nor have ended. Their row has about 250 bytes for each.
pub const MOST_LISTS: usize = 20;

/// The most lists of an audience in a currency that are valid at the same time. A customer has three audiences, so for each line of a cart
/// at most 15 rows are read.
pub const MOST_AT_ONCE: usize = 5;

/// For whom a list is. What comes first here counts first.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Audience {
    /// One customer: its prices are agreed by contract.
    Customer(CustomerId),
    /// The customers of a tier.
    Tier(TierName),
    /// Every customer.
    Everybody,
}

impl Audience {
    /// The audience of a list for this customer or this tier, or for everybody if neither is said; `None` if both are.
    #[must_use]
    pub fn of(customer_id: Option<CustomerId>, tier: Option<TierName>) -> Option<Self> {
        match (customer_id, tier) {
            (Some(customer_id), None) => Some(Self::Customer(customer_id)),
            (None, Some(tier)) => Some(Self::Tier(tier)),
            (None, None) => Some(Self::Everybody),
            (Some(_), Some(_)) => None,
        }
    }

    /// The customer; `None` if it is not one.
    #[must_use]
    pub fn customer_id(&self) -> Option<&CustomerId> {
        match self {
            Self::Customer(customer_id) => Some(customer_id),
            Self::Tier(_) | Self::Everybody => None,
        }
    }

    /// The tier; `None` if it is not one.
    #[must_use]
    pub fn tier(&self) -> Option<&TierName> {
        match self {
            Self::Tier(tier) => Some(tier),
            Self::Customer(_) | Self::Everybody => None,
        }
    }

    /// The level on which its lists count.
    #[must_use]
    pub fn level(&self) -> Level {
        match self {
            Self::Customer(_) => Level::Contract,
            Self::Tier(_) => Level::Tier,
            Self::Everybody => Level::Everybody,
        }
    }
}

impl fmt::Display for Audience {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Customer(customer_id) => write!(f, "customer/{customer_id}"),
            Self::Tier(tier) => write!(f, "tier/{tier}"),
            Self::Everybody => f.write_str("everybody"),
        }
    }
}

/// A level of price lists: those of the first one count first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Level {
    /// The lists of the customer.
    Contract,
    /// The lists of the customer's tier.
    Tier,
    /// The lists for everybody.
    Everybody,
}

/// A price list. Its fields change in this module alone, which also makes the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PriceList {
    price_list_id: PriceListId,
    audience: Audience,
    currency: Currency,
    status: ListStatus,
    terms: ListTerms,
    created_at: Timestamp,
    created_by: Text<256>,
    updated_at: Timestamp,
    updated_by: Text<256>,
}

impl State for PriceList {
    const AGGREGATE: &'static str = ListChanged::AGGREGATE;
}

/// Why a price list, or what it says of a sku, cannot be as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such list.
    #[error("there is no price list {price_list_id}")]
    UnknownList {
        /// The list that was asked for.
        price_list_id: PriceListId,
    },
    /// The list has no price for the sku.
    #[error("price list {price_list_id} has no price for {sku}")]
    UnknownListPrice {
        /// The list.
        price_list_id: PriceListId,
        /// The sku that was asked for.
        sku: Sku,
    },
    /// There is no such customer.
    #[error("there is no customer {customer_id}")]
    UnknownCustomer {
        /// The customer that the list was to be for.
        customer_id: CustomerId,
    },
    /// There is no such tier.
    #[error("there is no tier {tier}")]
    UnknownTier {
        /// The tier that the list was to be for.
        tier: TierName,
    },
    /// The list was withdrawn.
    #[error("price list {price_list_id} was withdrawn")]
    Withdrawn {
        /// The list.
        price_list_id: PriceListId,
    },
    /// The list is for others.
    #[error("the list is for {audience}, and that cannot change")]
    OtherAudience {
        /// For whom it is.
        audience: Audience,
    },
    /// The list is in another currency.
    #[error("the list is in {currency}, and that cannot change")]
    OtherCurrency {
        /// The currency of the list.
        currency: Currency,
    },
    /// The list would end before it begins.
    #[error("must be later than valid_from")]
    EndsTooEarly,
    /// There would be more lists for the same audience.
    #[error("there are at most {most} price lists for {audience} that have not ended")]
    TooManyLists {
        /// The audience.
        audience: Audience,
        /// The largest number.
        most: usize,
    },
    /// More lists for the same audience would be valid at the same time.
    #[error("at most {most} price lists in {currency} for {audience} are valid at the same time")]
    TooManyAtOnce {
        /// The audience.
        audience: Audience,
        /// The currency.
        currency: Currency,
        /// The largest number.
        most: usize,
    },
    /// The sku has no base price, in whose place a list's price could come.
    #[error("{sku} has no base price in {currency}")]
    NoBasePrice {
        /// The sku.
        sku: Sku,
        /// The currency of the list.
        currency: Currency,
    },
    /// The prices contradict themselves.
    #[error(transparent)]
    Prices(#[from] crate::Refusal),
}

impl PriceList {
    /// Its id.
    #[must_use]
    pub fn price_list_id(&self) -> &PriceListId {
        &self.price_list_id
    }

    /// For whom it is.
    #[must_use]
    pub fn audience(&self) -> &Audience {
        &self.audience
    }

    /// The currency of its prices.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// Where it stands. One that is `active` can be before its begin or after its end.
    #[must_use]
    pub fn status(&self) -> ListStatus {
        self.status
    }

    /// What can change of it.
    #[must_use]
    pub fn terms(&self) -> &ListTerms {
        &self.terms
    }

    /// When it was made.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }

    /// Who made it.
    #[must_use]
    pub fn created_by(&self) -> &Text<256> {
        &self.created_by
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

    /// Whether it can be valid at this time or later.
    #[must_use]
    pub fn is_open(&self, now: Timestamp) -> bool {
        self.status == ListStatus::Active && self.terms.valid_until.is_none_or(|until| now < until)
    }

    /// When it is to be looked at, because its time begins or ends then; `None` if it never is. What lies before its last change was
    /// told by that.
    #[must_use]
    pub fn look_at(&self) -> Option<Timestamp> {
        if self.status == ListStatus::Withdrawn {
            return None;
        }
        let moments = [self.terms.valid_from, self.terms.valid_until];
        let later = moments.into_iter().flatten();
        later.filter(|moment| *moment > self.updated_at).min()
    }

    /// # Errors
    /// [`Refusal::Withdrawn`].
    fn must_be_active(&self) -> Result<(), Refusal> {
        match self.status {
            ListStatus::Active => Ok(()),
            ListStatus::Withdrawn => Err(Refusal::Withdrawn {
                price_list_id: self.price_list_id.clone(),
            }),
        }
    }

    /// This list, changed at a time, but not before its last change.
    fn changed(&self, by: Text<256>, now: Timestamp) -> Self {
        Self {
            updated_at: self.updated_at.max(now),
            updated_by: by,
            ..self.clone()
        }
    }
}

/// The command to make a list, or to replace its terms.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SetPriceList {
    /// The list.
    pub price_list_id: PriceListId,
    /// For whom it is.
    pub audience: Audience,
    /// The currency of its prices.
    pub currency: Currency,
    /// Its terms.
    pub terms: ListTerms,
    /// Who sets it.
    pub by: Text<256>,
}

/// Decides to make a list, or to replace its terms; `version` is the one that the row has after the change. It has no event if it is set
/// already.
///
/// # Errors
/// [`Refusal::EndsTooEarly`], [`Refusal::Withdrawn`], [`Refusal::OtherAudience`], [`Refusal::OtherCurrency`].
pub fn set(
    before: Option<&PriceList>,
    command: SetPriceList,
    version: Sequence,
    now: Timestamp,
) -> Result<Change<PriceList, ListChanged>, Refusal> {
    let SetPriceList {
        price_list_id,
        audience,
        currency,
        terms,
        by,
    } = command;
    if let (Some(from), Some(until)) = (terms.valid_from, terms.valid_until)
        && from >= until
    {
        return Err(Refusal::EndsTooEarly);
    }
    let Some(before) = before else {
        let list = PriceList {
            price_list_id,
            audience,
            currency,
            status: ListStatus::Active,
            terms,
            created_at: now,
            created_by: by.clone(),
            updated_at: now,
            updated_by: by,
        };
        let event = event(&list, ListChange::Created, None, version);
        return Ok(Change::new(list, event));
    };
    before.must_be_active()?;
    if before.audience != audience {
        let audience = before.audience.clone();
        return Err(Refusal::OtherAudience { audience });
    }
    if before.currency != currency {
        let currency = before.currency;
        return Err(Refusal::OtherCurrency { currency });
    }
    if before.terms == terms {
        return Ok(Change::none(before.clone()));
    }
    let mut list = before.changed(by, now);
    list.terms = terms;
    let previous = Some(before.terms.clone());
    let event = event(&list, ListChange::Updated, previous, version);
    Ok(Change::new(list, event))
}

/// Takes a list back, for ever; `version` is the one that the row has after the change. One that was withdrawn stays as it is.
#[must_use]
pub fn withdraw(
    before: &PriceList,
    by: Text<256>,
    version: Sequence,
    now: Timestamp,
) -> Change<PriceList, ListChanged> {
    if before.status == ListStatus::Withdrawn {
        return Change::none(before.clone());
    }
    let mut list = before.changed(by, now);
    list.status = ListStatus::Withdrawn;
    let event = event(&list, ListChange::Withdrawn, None, version);
    Change::new(list, event)
}

/// Writes down that the time of a list began or ended since its last change; `version` is the one that the row has after the change. If
/// both happened, it has ended. A list of which nothing is to be told stays as it is.
#[must_use]
pub fn look(
    before: &PriceList,
    by: Text<256>,
    version: Sequence,
    now: Timestamp,
) -> Change<PriceList, ListChanged> {
    if before.look_at().is_none_or(|moment| now < moment) {
        return Change::none(before.clone());
    }
    let change = if before.is_open(now) {
        ListChange::Began
    } else {
        ListChange::Ended
    };
    let list = before.changed(by, now);
    let event = event(&list, change, None, version);
    Change::new(list, event)
}

fn event(
    list: &PriceList,
    change_type: ListChange,
    previous_terms: Option<ListTerms>,
    version: Sequence,
) -> ListChanged {
    ListChanged {
        price_list_id: list.price_list_id.clone(),
        change_type,
        customer_id: list.audience.customer_id().cloned(),
        tier: list.audience.tier().cloned(),
        currency: list.currency,
        status: list.status,
        terms: list.terms.clone(),
        previous_terms,
        changed_at: list.updated_at,
        changed_by: list.updated_by.clone(),
        version,
    }
}

subscription! {
    /// The recorded events.
    enum Recorded {
        /// It changed, or its time began or ended.
        Changed(events::contracts::price::ListChanged) by Mark,
    }
}

impl Rebuild for PriceList {
    type Stored = Self;
    const RETENTION: Retention = ListChanged::RETENTION;

    fn stored(&self) -> Self {
        self.clone()
    }

    fn apply(id: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let Recorded::Changed(event) = <Recorded as events::Subscription>::decode(envelope)?;
        must(
            event.price_list_id.as_str() == id,
            "it is about another price list",
        )?;
        let audience = Audience::of(event.customer_id, event.tier);
        let audience =
            audience.ok_or(Contradiction::Says("it is for a customer and for a tier"))?;
        let is_withdrawn = event.status == ListStatus::Withdrawn;
        must(
            is_withdrawn == (event.change_type == ListChange::Withdrawn),
            "it is withdrawn if, and only if, it says so",
        )?;
        let begins = event.change_type == ListChange::Created;
        must(
            before.is_none() == begins,
            "the first event, and no other, is its creation",
        )?;
        let (created_at, created_by) = match &before {
            None => (event.changed_at, event.changed_by.clone()),
            Some(before) => (before.created_at, before.created_by.clone()),
        };
        if let Some(before) = &before {
            must(
                before.status == ListStatus::Active,
                "it changed after it was withdrawn",
            )?;
            must(
                (&before.audience, before.currency) == (&audience, event.currency),
                "it is for others, or in another currency",
            )?;
            must(
                before.updated_at <= event.changed_at,
                "it happened before the last change",
            )?;
            let replaced = event.change_type == ListChange::Updated;
            let previous = replaced.then_some(&before.terms);
            must(
                event.previous_terms.as_ref() == previous,
                "it states other terms before it",
            )?;
            must(
                replaced || before.terms == event.terms,
                "it changes the terms and does not say so",
            )?;
        }
        let list = Self {
            price_list_id: event.price_list_id,
            audience,
            currency: event.currency,
            status: event.status,
            terms: event.terms,
            created_at,
            created_by,
            updated_at: event.changed_at,
            updated_by: event.changed_by,
        };
        Ok((list, event.version))
    }
}

#[cfg(test)]
mod tests;
