//! Price lists: made, changed, withdrawn, looked at when their time begins or ends; what they say of skus; and which of them a calculation
//! needs.
//!
//! A calculation reads the customer, its tier and the prices of the goods first, then the lists for each of these audiences, and then what
//! the lists say of the goods. Each change of what a list says of a sku rewrites the row of the sku's prices; each change of a list for a
//! customer or a tier that of the customer or the tier. After a change of a list for everybody the row of the prices of each of its skus is
//! rewritten, before the carts with the sku are looked for. So whoever commits on the condition that customer, tier and prices are as they
//! were read either finds that a list changed, or is found by those who look for the carts afterwards.

use std::collections::BTreeMap;

use events::{
    CustomerId, PriceListId, Sku, Text, TierName, Timestamp,
    contracts::price::{Currency, ListChange, ListChanged},
};
use futures::future::try_join_all;
use outbox::{Condition, Cursor, Entity, Error, Query, State, Transaction};
use serde::{Deserialize, Serialize};

use super::{Commerce, customers::Listed, goods::unchanged, system};
use crate::{
    Change, Done, Price, PriceList, Refusal as Calculation,
    calculation::ListOffer,
    price::Prices,
    price_list::{self, Audience, Due, Entry, Level, ListPrice, Lists, Refusal, SetPriceList},
};

/// Why an operation on price lists wrote nothing.
pub type Stopped = domain::Stopped<Refusal>;

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The partition of the list of all price lists.
pub(super) const LIST: &str = "price_lists";

/// What a page that looks at a list writes: the list with its event, the row by which it was found and that by which it is found later,
/// the row of its audience's lists, and that of the customer or the tier.
pub const LIST_LOOK_ITEMS: u32 = 6;

/// The rows of what lists say that are read in one call: as many as DynamoDB reads in one.
const ROWS_PER_CALL: usize = 100;

/// The skus of a list that are read at a time to find those who follow from it. The row of the prices of each is an item.
pub(super) const SKUS_AT_ONCE: u32 = 25;

/// A row of the list of the prices of a price list. As a [`Listed`] it has the id of what the list says of the sku.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct ListedPrice {
    id: String,
    sku: Sku,
}

/// The lists that concern a buyer, and what they say of goods.
pub(super) struct ListOffers {
    lists: Vec<(Level, Entry)>,
    /// By sku: the place of a list, and its prices.
    prices: BTreeMap<Sku, Vec<(usize, Prices)>>,
}

impl ListOffers {
    /// What the lists say of a sku.
    pub(super) fn of(&self, sku: &Sku) -> Vec<ListOffer<'_>> {
        let said = self.prices.get(sku).into_iter().flatten();
        let offers = said.filter_map(|(place, prices)| {
            let (level, list) = self.lists.get(*place)?;
            Some(ListOffer {
                level: *level,
                list,
                prices,
            })
        });
        offers.collect()
    }
}

impl Commerce<'_> {
    /// A price list; the entity is empty if there is none.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn price_list(
        &self,
        price_list_id: &PriceListId,
    ) -> Result<Entity<PriceList>, Error> {
        self.load(price_list_id.as_str()).await
    }

    /// The query for all price lists, by id. [`Self::price_lists`] reads it.
    #[must_use]
    pub fn all_price_lists(&self, limit: u32) -> Query {
        Query::partition(self.table, LIST, limit)
    }

    /// A page of [`Self::all_price_lists`], at most 100, and where the next page begins.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    pub async fn price_lists(
        &self,
        query: &Query,
    ) -> Result<(Vec<Done<PriceList>>, Option<Cursor>), Error> {
        self.listed(query).await
    }

    /// What a price list says of a sku; the entity is empty if it never said anything.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn list_price(
        &self,
        price_list_id: &PriceListId,
        sku: &Sku,
    ) -> Result<Entity<ListPrice>, Error> {
        self.load(&ListPrice::id(price_list_id, sku)).await
    }

    /// The query for the prices of a price list, by sku. [`Self::list_prices`] reads it.
    #[must_use]
    pub fn prices_in(&self, price_list_id: &PriceListId, limit: u32) -> Query {
        Query::partition(self.table, list_of(price_list_id), limit)
    }

    /// A page of [`Self::prices_in`], at most 100, and where the next page begins.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    pub async fn list_prices(
        &self,
        query: &Query,
    ) -> Result<(Vec<Done<ListPrice>>, Option<Cursor>), Error> {
        self.listed(query).await
    }

    /// Makes a price list, which also lists it, or replaces its terms. What is so already changes nothing. The customer or the tier that
    /// it is for must exist.
    ///
    /// # Errors
    /// What [`price_list::set`] refuses; [`Refusal::UnknownCustomer`], [`Refusal::UnknownTier`], [`Refusal::TooManyLists`],
    /// [`Refusal::TooManyAtOnce`]; [`Stopped::Failed`].
    pub async fn set_price_list(
        &self,
        transaction: &mut Transaction,
        command: SetPriceList,
    ) -> Result<Done<PriceList>, Stopped> {
        let entity = self.price_list(&command.price_list_id).await?;
        let (version, now) = (entity.next_version()?, transaction.now());
        let change = price_list::set(entity.state(), command, version, now)?;
        if entity.state().is_none() {
            let id = change.state().price_list_id().to_string();
            transaction.insert(self.table.key(LIST, id.as_str()), &Listed { id })?;
        }
        self.save_price_list(transaction, &entity, change).await
    }

    /// Takes a price list back, for ever. One that was withdrawn stays as it is.
    ///
    /// # Errors
    /// [`Refusal::UnknownList`]; [`Stopped::Failed`].
    pub async fn withdraw_price_list(
        &self,
        transaction: &mut Transaction,
        price_list_id: &PriceListId,
        by: Text<256>,
    ) -> Result<Done<PriceList>, Stopped> {
        let entity = self.price_list(price_list_id).await?;
        let before = known(&entity, price_list_id)?;
        let (version, now) = (entity.next_version()?, transaction.now());
        let change = price_list::withdraw(before, by, version, now);
        self.save_price_list(transaction, &entity, change).await
    }

    /// Looks at the first price list whose time began or ended, and writes that down. Returns the list with what happened, if that is
    /// written, and whether there may be more.
    ///
    /// # Errors
    /// [`Refusal::UnknownList`] for a row without list; [`Refusal::UnknownCustomer`], [`Refusal::UnknownTier`] for a list without the one
    /// that it is for; [`Stopped::Failed`].
    pub async fn look_at_price_list(
        &self,
        transaction: &mut Transaction,
    ) -> Result<(Option<(PriceList, ListChange)>, bool), Stopped> {
        let now = transaction.now();
        let first = Due::first(self.table, 1);
        let (rows, more) = self.due::<Due>(&first, |due| due.look_at, now).await?;
        let Some(due) = rows.into_iter().next() else {
            return Ok((None, false));
        };
        let entity = self.price_list(&due.price_list_id).await?;
        let before = known(&entity, &due.price_list_id)?;
        let change = price_list::look(before, system()?, entity.next_version()?, now);
        let Some(what) = change.event().map(|event| event.change_type) else {
            // Who changes a list moves its row, so this one was read before that.
            transaction.delete(due.key(self.table), Condition::Present);
            return Ok((None, more));
        };
        let done = self.save_price_list(transaction, &entity, change).await?;
        Ok((Some((done.state, what)), more))
    }

    /// Whether the time of any price list began or ended that was not looked at since.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn has_price_lists_due(&self, now: Timestamp) -> Result<bool, Error> {
        let first = Due::first(self.table, 1);
        let (rows, _) = self.due::<Due>(&first, |due| due.look_at, now).await?;
        Ok(!rows.is_empty())
    }

    /// Saves a change of a list with the rows by which it is found, and rewrites the row of the one that it is for.
    async fn save_price_list(
        &self,
        transaction: &mut Transaction,
        entity: &Entity<PriceList>,
        change: Change<PriceList, ListChanged>,
    ) -> Result<Done<PriceList>, Stopped> {
        let Some(what) = change.event().map(|event| event.change_type) else {
            return Ok(change.save(transaction, entity)?);
        };
        let list = change.state();
        let audience = list.audience();
        match audience {
            Audience::Customer(customer_id) => {
                let customer_id = customer_id.clone();
                let customer = self.customer(&customer_id).await?;
                let unknown = Refusal::UnknownCustomer { customer_id };
                rewrite(transaction, &customer, unknown)?;
            }
            Audience::Tier(name) => {
                let tier = self.tier(name).await?;
                let unknown = Refusal::UnknownTier { tier: name.clone() };
                rewrite(transaction, &tier, unknown)?;
            }
            Audience::Everybody => {}
        }
        let lists = self.load::<Lists>(&audience.to_string()).await?;
        let before = lists.state().cloned().unwrap_or_default();
        let after = before.with(list, transaction.now());
        if matches!(what, ListChange::Created | ListChange::Updated) {
            after.check(audience)?;
        }
        transaction.update(&lists, &after, Vec::new())?;
        let (old, new) = (entity.state().and_then(Due::of), Due::of(list));
        if old != new {
            if let Some(old) = old {
                transaction.delete(old.key(self.table), Condition::Present);
            }
            if let Some(new) = new {
                transaction.insert(new.key(self.table), &new)?;
            }
        }
        Ok(change.save(transaction, entity)?)
    }

    /// Sets the prices of a sku in a price list, in the currency of the list. What is set already changes nothing.
    ///
    /// # Errors
    /// [`Refusal::UnknownList`], what [`price_list::set_price`] refuses; [`Stopped::Failed`].
    pub async fn set_list_price(
        &self,
        transaction: &mut Transaction,
        (price_list_id, sku): (&PriceListId, &Sku),
        prices: Prices,
        by: Text<256>,
    ) -> Result<Done<ListPrice>, Stopped> {
        let (list, price, entity) = self.of_list_price(price_list_id, sku).await?;
        let read = (known(&list, price_list_id)?, priced(&price, sku)?);
        let (version, now) = (entity.next_version()?, transaction.now());
        let before = entity.state();
        let change = price_list::set_price(before, read, prices, by, version, now)?;
        if change.event().is_some() {
            hold(transaction, &list, &price)?;
            if before.and_then(ListPrice::prices).is_none() {
                let id = ListPrice::id(price_list_id, sku);
                let sku = sku.clone();
                let key = self.table.key(list_of(price_list_id), sku.as_str());
                transaction.insert(key, &ListedPrice { id, sku })?;
            }
        }
        Ok(change.save(transaction, &entity)?)
    }

    /// Takes the prices of a sku out of a price list. They can be set again.
    ///
    /// # Errors
    /// [`Refusal::UnknownList`], what [`price_list::remove_price`] refuses; [`Stopped::Failed`].
    pub async fn remove_list_price(
        &self,
        transaction: &mut Transaction,
        (price_list_id, sku): (&PriceListId, &Sku),
        by: Text<256>,
    ) -> Result<Done<ListPrice>, Stopped> {
        let (list, price, entity) = self.of_list_price(price_list_id, sku).await?;
        let read = (known(&list, price_list_id)?, priced(&price, sku)?);
        let (version, now) = (entity.next_version()?, transaction.now());
        let change = price_list::remove_price(entity.state(), read, by, version, now)?;
        hold(transaction, &list, &price)?;
        let key = self.table.key(list_of(price_list_id), sku.as_str());
        transaction.delete(key, Condition::Present);
        Ok(change.save(transaction, &entity)?)
    }

    async fn of_list_price(
        &self,
        price_list_id: &PriceListId,
        sku: &Sku,
    ) -> Result<(Entity<PriceList>, Entity<Price>, Entity<ListPrice>), Error> {
        futures::try_join!(
            self.price_list(price_list_id),
            self.price(sku),
            self.list_price(price_list_id, sku)
        )
    }

    /// The lists that concern a buyer at this time, and what they say of goods. Customer, tier and the prices of the goods must have been
    /// read before.
    pub(super) async fn list_offers(
        &self,
        (customer_id, tier): (Option<&CustomerId>, Option<&TierName>),
        skus: &[&Sku],
        currency: Currency,
        now: Timestamp,
    ) -> Result<ListOffers, Error> {
        let mut audiences = vec![Audience::Everybody];
        audiences.extend(tier.cloned().map(Audience::Tier));
        audiences.extend(customer_id.cloned().map(Audience::Customer));
        let ids: Vec<String> = audiences.iter().map(ToString::to_string).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let rows = self.outbox.load_each::<Lists>(self.table, &ids).await?;
        let mut lists: Vec<(Level, Entry)> = Vec::new();
        for (audience, row) in audiences.iter().zip(&rows) {
            let valid = row.state().into_iter();
            let valid = valid.flat_map(|all| all.valid(currency, now));
            lists.extend(valid.map(|entry| (audience.level(), entry.clone())));
        }
        let said = self.said(&lists, skus).await?;
        let mut prices: BTreeMap<Sku, Vec<(usize, Prices)>> = BTreeMap::new();
        for price in &said {
            let is_its =
                |(_, entry): &(Level, Entry)| entry.price_list_id == *price.price_list_id();
            if let (Some(place), Some(found)) = (lists.iter().position(is_its), price.prices()) {
                let of_sku = prices.entry(price.sku().clone()).or_default();
                of_sku.push((place, found.clone()));
            }
        }
        Ok(ListOffers { lists, prices })
    }

    /// What these lists say of these skus.
    async fn said(&self, lists: &[(Level, Entry)], skus: &[&Sku]) -> Result<Vec<ListPrice>, Error> {
        let each = lists.iter().flat_map(|(_, list)| {
            let skus = skus.iter();
            skus.map(move |sku| ListPrice::id(&list.price_list_id, sku))
        });
        let mut ids: Vec<String> = each.collect();
        ids.sort_unstable();
        ids.dedup();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let calls = ids.chunks(ROWS_PER_CALL);
        let calls = calls.map(|ids| self.outbox.load_each::<ListPrice>(self.table, ids));
        let found = try_join_all(calls).await?;
        let states = found.iter().flatten().filter_map(Entity::state);
        Ok(states.cloned().collect())
    }

    /// The next skus of a price list that changed, from a place on, and the next place; `None` at the end. Rewrites the rows of their
    /// prices: whoever read one of these before the list changed decides again, unless it commits before this, and is found afterwards.
    pub(super) async fn rewrite_skus(
        &self,
        transaction: &mut Transaction,
        price_list_id: &PriceListId,
        after: Option<Cursor>,
    ) -> Result<(Vec<Sku>, Option<Cursor>), Error> {
        let page = Query {
            after,
            ..self.prices_in(price_list_id, SKUS_AT_ONCE)
        };
        let (rows, next) = self.outbox.rows::<ListedPrice>(&page).await?;
        let skus: Vec<Sku> = rows.into_iter().map(|row| row.sku).collect();
        let ids: Vec<&str> = skus.iter().map(Sku::as_str).collect();
        for price in self.outbox.load_each::<Price>(self.table, &ids).await? {
            rewrite_prices(transaction, &price)?;
        }
        Ok((skus, next))
    }
}

/// Rewrites a row as it is: whoever read it before decides again. Without a row it refuses.
fn rewrite<S: State>(
    transaction: &mut Transaction,
    entity: &Entity<S>,
    unknown: Refusal,
) -> Result<(), Stopped> {
    let state = entity.state().ok_or(unknown)?;
    transaction.update(entity, state, Vec::new())?;
    Ok(())
}

/// Makes the commit depend on the list being as it was read, and rewrites the row of the sku's prices.
fn hold(
    transaction: &mut Transaction,
    list: &Entity<PriceList>,
    price: &Entity<Price>,
) -> Result<(), Error> {
    let (key, is_unchanged) = unchanged(list);
    transaction.check(key, is_unchanged);
    rewrite_prices(transaction, price)
}

/// Rewrites the row of the prices of a sku as it is: whoever read it before decides again.
fn rewrite_prices(transaction: &mut Transaction, price: &Entity<Price>) -> Result<(), Error> {
    if let Some(state) = price.state() {
        transaction.update(price, state, Vec::new())?;
    }
    Ok(())
}

/// The partition of the list of the prices of a price list.
pub(super) fn list_of(price_list_id: &PriceListId) -> String {
    format!("price_list_prices#{price_list_id}")
}

fn priced<'e>(entity: &'e Entity<Price>, sku: &Sku) -> Result<&'e Price, Refusal> {
    let sku = sku.clone();
    let unknown = Calculation::UnknownSku { sku };
    entity.state().ok_or(Refusal::Prices(unknown))
}

fn known<'e>(
    entity: &'e Entity<PriceList>,
    price_list_id: &PriceListId,
) -> Result<&'e PriceList, Refusal> {
    let price_list_id = price_list_id.clone();
    entity.state().ok_or(Refusal::UnknownList { price_list_id })
}
