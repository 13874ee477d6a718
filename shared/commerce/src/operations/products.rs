//! Products: put into the catalogue, changed, taken out, and told how much of them can be sold.

use std::collections::BTreeSet;

use events::{ProductId, Sku, Text, contracts::stock::StockStatus};
use outbox::{Cursor, Entity, Error, Key, Query, Transaction, decode_item};

use super::{Commerce, customers::Listed, system};
use crate::{
    Category, Done, Price, Product, Stock,
    product::{self, Claim, Details, Refusal},
};

/// Why an operation on products wrote nothing.
pub type Stopped = domain::Stopped<Refusal>;

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// What is kept of a variant elsewhere: its prices and its stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Offer {
    /// Its prices; `None` if it has none.
    pub price: Option<Price>,
    /// Its stock; `None` if none was ever counted.
    pub stock: Option<Stock>,
}

impl Commerce<'_> {
    /// A product; the entity is empty if there is none.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn product(&self, product_id: &ProductId) -> Result<Entity<Product>, Error> {
        self.load(product_id.as_str()).await
    }

    /// Puts a product into the catalogue, or replaces what the catalogue says of it. What it says already changes nothing. A new
    /// variant claims its sku for ever. The commit depends on a category that it was not in before being open.
    ///
    /// # Errors
    /// [`Refusal::Deleted`], [`Refusal::SameSku`], [`Refusal::NoCategory`], [`Refusal::Attribute`], [`Refusal::OtherProduct`],
    /// [`Refusal::TooLarge`]; [`Stopped::Failed`].
    pub async fn set_product(
        &self,
        transaction: &mut Transaction,
        product_id: &ProductId,
        details: Details,
        by: Text<256>,
    ) -> Result<Done<Product>, Stopped> {
        let mut skus = BTreeSet::new();
        for (variant, one) in details.variants.iter().enumerate() {
            if !skus.insert(&one.sku) {
                let sku = one.sku.clone();
                return Err(Refusal::SameSku { variant, sku }.into());
            }
        }
        let entity = self.product(product_id).await?;
        if entity.state().is_some_and(Product::is_deleted) {
            let product_id = product_id.clone();
            return Err(Refusal::Deleted { product_id }.into());
        }
        let category = self.category_of(&details).await?;
        let skus: Vec<&Sku> = details.variants.iter().map(|one| &one.sku).collect();
        self.claim(transaction, product_id, &skus).await?;
        let stock = self.first_statuses(transaction, &entity, product_id, &skus);
        let stock = stock.await?;
        if entity.state().is_none() {
            let id = product_id.to_string();
            transaction.insert(self.table.key(LIST, id.as_str()), &Listed { id })?;
        }
        let before = entity.state().and_then(Product::category_id);
        self.regroup(transaction, product_id, before, category.as_ref())
            .await?;
        product::set(transaction, &entity, product_id, details, &stock, by)
    }

    /// Takes a product out of the catalogue, for ever.
    ///
    /// # Errors
    /// [`Refusal::UnknownProduct`], also if it was taken out before; [`Stopped::Failed`].
    pub async fn delete_product(
        &self,
        transaction: &mut Transaction,
        product_id: &ProductId,
        by: Text<256>,
    ) -> Result<Done<Product>, Stopped> {
        let entity = self.product(product_id).await?;
        let Some(before) = entity.state().filter(|product| !product.is_deleted()) else {
            let product_id = product_id.clone();
            return Err(Refusal::UnknownProduct { product_id }.into());
        };
        self.regroup(transaction, product_id, before.category_id(), None)
            .await?;
        Ok(product::delete(transaction, &entity, before, by)?)
    }

    /// The category that a product is to be in. The values of its attributes must be as that one says.
    async fn category_of(&self, details: &Details) -> Result<Option<Entity<Category>>, Stopped> {
        let Some(category_id) = &details.category_id else {
            return Ok(None);
        };
        let entity = self.category(category_id).await?;
        let Some(category) = entity.state().filter(|category| category.is_open()) else {
            let category_id = category_id.clone();
            return Err(Refusal::NoCategory { category_id }.into());
        };
        match category.first_misfit(&details.variants) {
            None => Ok(Some(entity)),
            Some((variant, attribute, attribute_type)) => Err(Refusal::Attribute {
                variant,
                attribute,
                attribute_type,
            }
            .into()),
        }
    }

    /// Tells with a product how much of its variants can be sold now, if that is another status than it told last. A product that
    /// is not in the catalogue changes nothing.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read or the transaction cannot be built.
    pub async fn tell_stock(
        &self,
        transaction: &mut Transaction,
        product_id: &ProductId,
    ) -> Result<(), Error> {
        // The product first: if someone else tells a later status meanwhile, the commit finds the product changed.
        let entity = self.product(product_id).await?;
        let Some(before) = entity.state().filter(|product| !product.is_deleted()) else {
            return Ok(());
        };
        let variants = &before.listing().variants;
        let skus: Vec<&Sku> = variants.iter().map(|variant| &variant.sku).collect();
        let stocks = self.stocks_of(&skus).await?;
        let mut statuses = Vec::with_capacity(stocks.len());
        for (variant, stock) in variants.iter().zip(&stocks) {
            let status = status_of(product_id, stock);
            if status != variant.stock_status {
                // If it is the old status again by the time of the commit, whoever sees that finds nothing to tell.
                transaction.check(stock.key().clone(), stock.unchanged());
            }
            statuses.push(status);
        }
        product::set_stock(transaction, &entity, before, &statuses, system()?)?;
        Ok(())
    }

    /// The query for all products, by id. [`Self::products`] reads it.
    #[must_use]
    pub fn all_products(&self, limit: u32) -> Query {
        Query::partition(self.table, LIST, limit)
    }

    /// A page of [`Self::all_products`], at most 100, and where the next page begins. Products that were taken out are left out, so a
    /// page can have fewer.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    pub async fn products(
        &self,
        query: &Query,
    ) -> Result<(Vec<Done<Product>>, Option<Cursor>), Error> {
        let (mut found, next) = self.listed::<Product>(query).await?;
        found.retain(|done| !done.state.is_deleted());
        Ok((found, next))
    }

    /// The prices and the stock of each variant of a product, in their order.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    pub async fn offers(&self, product: &Product) -> Result<Vec<Offer>, Error> {
        let variants = product.listing().variants.iter();
        let skus: Vec<&str> = variants.map(|variant| variant.sku.as_str()).collect();
        let (prices, stocks) = futures::try_join!(
            self.outbox.load_each::<Price>(self.table, &skus),
            self.outbox.load_each::<Stock>(self.table, &skus),
        )?;
        let id = product.product_id();
        let each = prices.iter().zip(&stocks).map(|(price, stock)| Offer {
            price: price
                .state()
                .filter(|price| price.product_id() == id)
                .cloned(),
            stock: stock
                .state()
                .filter(|stock| stock.product_id() == id)
                .cloned(),
        });
        Ok(each.collect())
    }

    /// The product that has a sku; `None` if it is in none. It never changes.
    pub(super) async fn owner(&self, sku: &Sku) -> Result<Option<ProductId>, Error> {
        let claim: Option<Claim> = self.outbox.row(&self.claim_key(sku)).await?;
        Ok(claim.map(|claim| claim.product_id))
    }

    fn claim_key(&self, sku: &Sku) -> Key {
        self.table.key(format!("sku#{sku}"), "claim")
    }

    /// Claims skus for a product, those that it has not claimed before.
    async fn claim(
        &self,
        transaction: &mut Transaction,
        product_id: &ProductId,
        skus: &[&Sku],
    ) -> Result<(), Stopped> {
        let keys: Vec<Key> = skus.iter().map(|sku| self.claim_key(sku)).collect();
        let items = self.outbox.store().get_many(&keys).await;
        let items = items.map_err(Error::from)?;
        for (variant, (key, item)) in keys.into_iter().zip(items).enumerate() {
            let Some(item) = item else {
                let claim = Claim {
                    product_id: product_id.clone(),
                };
                transaction.insert(key, &claim)?;
                continue;
            };
            let claim: Claim = decode_item(&key, item)?;
            if claim.product_id != *product_id {
                let (sku, product_id) = (skus[variant].clone(), claim.product_id);
                return Err(Refusal::OtherProduct {
                    variant,
                    sku,
                    product_id,
                }
                .into());
            }
        }
        Ok(())
    }

    /// What a product is to say of the stock of each sku, in their order: what it says already, and of new variants what their stock
    /// says. The commit depends on the latter: whoever tells of a change of it meanwhile does not find the variant yet.
    async fn first_statuses(
        &self,
        transaction: &mut Transaction,
        entity: &Entity<Product>,
        product_id: &ProductId,
        skus: &[&Sku],
    ) -> Result<Vec<Option<StockStatus>>, Error> {
        let known = |sku: &Sku| entity.state().and_then(|product| product.variant(sku));
        let new: Vec<&Sku> = skus
            .iter()
            .copied()
            .filter(|sku| known(sku).is_none())
            .collect();
        let mut stocks = self.stocks_of(&new).await?.into_iter();
        let mut statuses = Vec::with_capacity(skus.len());
        for sku in skus {
            statuses.push(match known(sku) {
                Some(variant) => variant.stock_status,
                None => stocks.next().and_then(|stock| {
                    transaction.check(stock.key().clone(), stock.unchanged());
                    status_of(product_id, &stock)
                }),
            });
        }
        Ok(statuses)
    }

    /// The stock of each sku, in their order. No two of them may be the same.
    pub(super) async fn stocks_of(&self, skus: &[&Sku]) -> Result<Vec<Entity<Stock>>, Error> {
        if skus.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<&str> = skus.iter().map(|sku| sku.as_str()).collect();
        self.outbox.load_each(self.table, &ids).await
    }
}

/// The status of a stock; `None` if it was never counted, or counted for another product.
fn status_of(product_id: &ProductId, stock: &Entity<Stock>) -> Option<StockStatus> {
    let own = |stock: &&Stock| stock.product_id() == product_id;
    stock.state().filter(own).map(Stock::status)
}

/// The partition of the list of all products.
const LIST: &str = "products";
