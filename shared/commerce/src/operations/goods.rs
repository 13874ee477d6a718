//! What carts, quotes and orders need to know of goods: their prices, their products, and whether they can be sold.

use std::collections::{BTreeMap, BTreeSet};

use events::{
    CustomerId, Day, ProductId, Sku, Text, Timestamp,
    contracts::{
        customer::CustomerType,
        order::Goods,
        price::{Currency, TaxCategory},
    },
};
use outbox::{Condition, Entity, Error, Key, State};

use super::{Buyer, CalculatedOrder, Commerce, LineAsked, OrderAsked, orders::Stopped};
use crate::{Price, Product, Refusal as Calculation, Stock, customer::Profile, order::Refusal};

/// Goods at the prices of a moment, for a customer.
pub(super) struct PricedGoods {
    /// What they come to, line by line.
    pub(super) calculated: CalculatedOrder,
    /// What is known of them.
    pub(super) found: Found,
    /// The customer's tier, unchanged; `None` if it has none.
    pub(super) tier: Option<(Key, Condition)>,
}

/// What is known of goods, whatever they cost.
pub(super) struct Found {
    /// What is known of each line's goods, in the order of the lines.
    pub(super) goods: Vec<Known>,
    /// The stock of each line's goods, in the order of the lines.
    pub(super) stocks: Vec<Entity<Stock>>,
    /// The prices of those that have some.
    prices: BTreeMap<Sku, Price>,
}

impl Found {
    /// The lines whose goods the customer cannot buy, whatever there is of them. The goods are those that were looked up.
    pub(super) fn not_for_sale(&self, goods: &[Goods]) -> Vec<(usize, Sku)> {
        let lines = self.goods.iter().zip(goods).enumerate();
        lines
            .filter(|(_, (known, _))| !known.is_for_sale)
            .map(|(place, (_, one))| (place, one.sku.clone()))
            .collect()
    }
}

/// What is known of the goods of a line.
pub(super) struct Known {
    /// Their name; `None` if no product has the sku.
    pub(super) name: Option<Text<402>>,
    /// Whether the customer can buy them, if there is enough.
    pub(super) is_for_sale: bool,
    /// Whether anything of them can be sold.
    pub(super) is_in_stock: bool,
    /// How they are taxed.
    tax_category: TaxCategory,
    /// Its prices, unchanged.
    pub(super) price: (Key, Condition),
    /// Its product, unchanged; `None` if there are no prices that name one.
    pub(super) product: Option<(Key, Condition)>,
}

/// A row, and that it is still as it was read.
pub(super) fn unchanged<S: State>(entity: &Entity<S>) -> (Key, Condition) {
    (entity.key().clone(), entity.unchanged())
}

impl Commerce<'_> {
    /// Calculates what goods come to for a customer that was read, by the tax rates of this time's day and the price lists that are valid
    /// at this time. No two of them may be of the same sku.
    ///
    /// # Errors
    /// [`Refusal::Calculation`]; [`Stopped::Failed`].
    pub(super) async fn price_lines(
        &self,
        (customer_id, profile): (&CustomerId, &Profile),
        currency: Currency,
        goods: &[Goods],
        now: Timestamp,
    ) -> Result<PricedGoods, Stopped> {
        let found = async { Ok(self.find_goods(profile.customer_type, goods).await?) };
        let read = futures::try_join!(self.known_tier(profile.tier.as_ref()), found);
        let (tier, found) = read.map_err(stopped)?;
        let lines = goods
            .iter()
            .zip(&found.goods)
            .map(|(one, known)| LineAsked {
                sku: one.sku.clone(),
                quantity: one.quantity,
                tax_category: known.tax_category,
            });
        let asked = OrderAsked {
            currency,
            buyer: Buyer::Customer(customer_id.clone()),
            country: profile.country.clone(),
            vat_treatment: profile.vat_treatment,
            day: Day::of(now),
            lines: lines.collect(),
        };
        let percentage = tier.as_ref().and_then(Entity::state);
        let calculated = self
            .calculated(&asked, percentage, &found.prices, now)
            .await;
        Ok(PricedGoods {
            calculated: calculated.map_err(stopped)?,
            found,
            tier: tier.as_ref().map(unchanged),
        })
    }

    /// Looks up prices, products and stocks of goods, for a customer of this type. No two of them may be of the same sku.
    pub(super) async fn find_goods(
        &self,
        customer_type: CustomerType,
        goods: &[Goods],
    ) -> Result<Found, Error> {
        let skus: Vec<&str> = goods.iter().map(|one| one.sku.as_str()).collect();
        let (prices, stocks) = futures::try_join!(
            self.outbox.load_each::<Price>(self.table, &skus),
            self.outbox.load_each::<Stock>(self.table, &skus),
        )?;
        let products = self.products_of(&prices).await?;
        let mut known = Vec::with_capacity(goods.len());
        let mut read = BTreeMap::new();
        for ((one, price), stock) in goods.iter().zip(&prices).zip(&stocks) {
            let product_id = price.state().map(Price::product_id);
            let entity = product_id.and_then(|id| products.get(id));
            let product = entity.and_then(Entity::state);
            let tax_category = product.map(Product::tax_category);
            if let Some(price) = price.state() {
                read.insert(one.sku.clone(), price.clone());
            }
            known.push(Known {
                name: product.and_then(|product| product.name_of(&one.sku)),
                is_for_sale: product
                    .is_some_and(|product| product.is_for_sale(&one.sku, customer_type)),
                is_in_stock: stock.state().is_some_and(|stock| stock.available() > 0),
                tax_category: tax_category.unwrap_or(TaxCategory::Standard),
                price: unchanged(price),
                product: entity.map(unchanged),
            });
        }
        Ok(Found {
            goods: known,
            stocks,
            prices: read,
        })
    }

    /// The products that prices are for. Each is read once, all in one call.
    async fn products_of(
        &self,
        prices: &[Entity<Price>],
    ) -> Result<BTreeMap<ProductId, Entity<Product>>, Error> {
        let ids: BTreeSet<&ProductId> = prices
            .iter()
            .filter_map(|price| price.state().map(Price::product_id))
            .collect();
        if ids.is_empty() {
            return Ok(BTreeMap::new());
        }
        let texts: Vec<&str> = ids.iter().map(|id| id.as_str()).collect();
        let entities = self.outbox.load_each(self.table, &texts).await?;
        let each = ids.into_iter().zip(entities);
        Ok(each.map(|(id, entity)| (id.clone(), entity)).collect())
    }
}

fn stopped(stopped: domain::Stopped<Calculation>) -> Stopped {
    match stopped {
        domain::Stopped::Refused(refusal) => Refusal::Calculation(refusal).into(),
        domain::Stopped::Failed(error) => Stopped::Failed(error),
    }
}
