//! The rows beside a price list, by which it is found: from its audience, and when its time begins or ends.

use events::{
    PriceListId, Timestamp,
    contracts::price::{Currency, ListKind},
};
use outbox::{Key, Query, State, Table};
use serde::{Deserialize, Serialize};

use super::{Audience, MOST_AT_ONCE, MOST_LISTS, PriceList, Refusal};

/// A list as its audience's row has it: what the choice of a price needs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// The list.
    pub price_list_id: PriceListId,
    /// The currency of its prices.
    pub currency: Currency,
    /// How they count.
    pub kind: ListKind,
    /// Of the lists for the same audience, the one with the highest number counts first.
    pub priority: u32,
    /// When they begin to apply; `None`: from the beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from: Option<Timestamp>,
    /// When they no longer apply; `None`: never.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until: Option<Timestamp>,
}

impl From<&PriceList> for Entry {
    fn from(list: &PriceList) -> Self {
        let terms = list.terms();
        Self {
            price_list_id: list.price_list_id().clone(),
            currency: list.currency(),
            kind: terms.kind,
            priority: terms.priority,
            valid_from: terms.valid_from,
            valid_until: terms.valid_until,
        }
    }
}

impl Entry {
    /// Whether its prices apply at this time; `None`: before every time that is stated.
    fn is_valid(&self, at: Option<Timestamp>) -> bool {
        self.valid_from <= at && self.valid_until.is_none_or(|until| at < Some(until))
    }
}

/// The lists of an audience that were neither withdrawn nor had ended when the row was written. The row has a version and no events.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lists {
    lists: Vec<Entry>,
}

impl State for Lists {
    const AGGREGATE: &'static str = "price_lists_of";
}

impl Lists {
    /// The lists after one of them has become this one at this time.
    pub(crate) fn with(&self, list: &PriceList, now: Timestamp) -> Self {
        let others = self.lists.iter().filter(|one| {
            one.price_list_id != *list.price_list_id()
                && one.valid_until.is_none_or(|until| now < until)
        });
        let mut lists: Vec<Entry> = others.cloned().collect();
        if list.is_open(now) {
            lists.push(Entry::from(list));
        }
        Self { lists }
    }

    /// Refuses more lists than a calculation is meant to read.
    ///
    /// # Errors
    /// [`Refusal::TooManyLists`], [`Refusal::TooManyAtOnce`].
    pub(crate) fn check(&self, audience: &Audience) -> Result<(), Refusal> {
        if self.lists.len() > MOST_LISTS {
            return Err(Refusal::TooManyLists {
                audience: audience.clone(),
                most: MOST_LISTS,
            });
        }
        // As many lists as ever are valid at the same time are so when one of them begins.
        for one in &self.lists {
            let currency = one.currency;
            let valid = self
                .lists
                .iter()
                .filter(|other| other.currency == currency && other.is_valid(one.valid_from));
            if valid.count() > MOST_AT_ONCE {
                return Err(Refusal::TooManyAtOnce {
                    audience: audience.clone(),
                    currency,
                    most: MOST_AT_ONCE,
                });
            }
        }
        Ok(())
    }

    /// Those whose prices apply at this time, in a currency.
    pub(crate) fn valid(&self, currency: Currency, now: Timestamp) -> impl Iterator<Item = &Entry> {
        let lists = self.lists.iter();
        lists.filter(move |one| one.currency == currency && one.is_valid(Some(now)))
    }
}

/// The row by which a list is looked at when its time begins or ends.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Due {
    /// The list.
    pub price_list_id: PriceListId,
    /// When it is looked at.
    pub look_at: Timestamp,
}

impl Due {
    const PARTITION: &'static str = "price_due";

    /// The row of a list; `None` if it is not to be looked at.
    #[must_use]
    pub fn of(list: &PriceList) -> Option<Self> {
        let look_at = list.look_at()?;
        Some(Self {
            price_list_id: list.price_list_id().clone(),
            look_at,
        })
    }

    /// The row's key.
    #[must_use]
    pub fn key(&self, table: &Table) -> Key {
        let sort = format!("{}#{}", self.look_at, self.price_list_id);
        table.key(Self::PARTITION, sort)
    }

    /// The rows, those that come first in front, at most `limit`.
    #[must_use]
    pub fn first(table: &Table, limit: u32) -> Query {
        Query::partition(table, Self::PARTITION, limit)
    }
}
