//! What is done in commerce: load, decide, save; and calculate. The APIs, the consumers, Flow and every other caller run these;
//! a caller of a command brings the transaction, and commits it if the operation succeeds.

mod carts;
mod categories;
mod credit;
mod customers;
mod goods;
mod orders;
mod price_lists;
mod products;
mod quotes;
mod refreshes;
mod reservations;

pub use carts::CartStep;
pub use categories::{REASSIGNED_PER_PAGE, Reassigned, Stopped as CategoryStopped};
pub use credit::{Payment, Stopped as CreditStopped};
pub use orders::{PlaceOrder, Stopped as OrderStopped};
pub use price_lists::{LIST_LOOK_ITEMS, Stopped as PriceListStopped};
pub use products::{Offer, Stopped as ProductStopped};
pub use refreshes::{CARTS_PER_PAGE, QUOTES_PER_PAGE, Refreshed};

use std::collections::BTreeMap;

use events::{
    Contract, CountryCode, CustomerId, Day, ItemId, Money, Percent, ProductId, Sequence, Sku, Text,
    TierName, Timestamp,
    contracts::{
        customer::VatTreatment,
        order::Item,
        price::{Currency, TaxCategory},
    },
};
use futures::future::try_join_all;
use outbox::{Entity, Error, Outbox, State, Table, Transaction};
use schemars::JsonSchema;
use serde::Serialize;

use crate::{
    Change, Customer, Done, Price, Refusal, Stock, TaxRates, Tier,
    calculation::{self, ListOffer, TaxedLine, Totals, UnitCalculation},
    price::{self, Prices, SetPrice, SkuUse},
    stock::{self, StockStep},
    tax::{self, SetTaxRate},
    tier::{self, SetTier},
};

/// Why an operation wrote nothing.
pub type Stopped = domain::Stopped<Refusal>;

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// Who changes a state as a step of an order.
fn system() -> Result<Text<256>, events::TextError> {
    Text::new("system")
}

/// A line of a question.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineAsked {
    /// The stock-keeping number.
    pub sku: Sku,
    /// How many, 1 to [`calculation::LARGEST_QUANTITY`].
    pub quantity: u32,
    /// How it is taxed.
    pub tax_category: TaxCategory,
}

/// For whom a price is calculated.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Buyer {
    /// Someone of whom nothing is known.
    Anybody,
    /// Some customer of a tier.
    OfTier(TierName),
    /// A customer.
    Customer(CustomerId),
}

/// A question for what an order would come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OrderAsked {
    /// The currency.
    pub currency: Currency,
    /// Who would order.
    pub buyer: Buyer,
    /// The country whose tax rates apply.
    pub country: CountryCode,
    /// How it is taxed.
    pub vat_treatment: VatTreatment,
    /// The day whose tax rates apply.
    pub day: Day,
    /// The lines, at most [`calculation::MOST_LINES`].
    pub lines: Vec<LineAsked>,
}

/// A line of an order with how it came about.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CalculatedLine {
    /// The product.
    pub product_id: ProductId,
    /// The stock-keeping number.
    pub sku: Sku,
    /// How many.
    pub quantity: u32,
    /// What a unit costs, and why.
    #[serde(flatten)]
    pub unit: UnitCalculation,
    /// What the line comes to, without tax.
    pub line_total: Money,
    /// How it is taxed.
    pub tax_category: TaxCategory,
    /// The rate in per cent.
    pub tax_rate: Percent,
    /// Its share of the tax.
    pub tax_amount: Money,
}

impl CalculatedLine {
    /// The line of a cart or an order.
    pub(crate) fn item(self, item_id: ItemId, name: Option<Text<402>>) -> Item {
        Item {
            item_id,
            product_id: self.product_id,
            sku: self.sku,
            name,
            quantity: self.quantity,
            unit_price: self.unit.unit_price,
            line_total: self.line_total,
            tax_category: Some(self.tax_category),
            tax_rate: Some(self.tax_rate),
            tax_amount: Some(self.tax_amount),
            available: None,
        }
    }
}

/// What an order would come to.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct CalculatedOrder {
    /// The lines, in the order of the question.
    pub lines: Vec<CalculatedLine>,
    /// What they come to.
    pub totals: Totals,
}

/// The operations and what they need.
#[derive(Debug, Clone, Copy)]
pub struct Commerce<'a> {
    /// Loads the state that decisions are based on.
    pub outbox: &'a Outbox,
    /// The domain's table.
    pub table: &'a Table,
}

impl Commerce<'_> {
    async fn load<S: State>(&self, id: &str) -> Result<Entity<S>, Error> {
        self.outbox.load(self.table, id).await
    }

    /// The prices of a stock-keeping number; the entity is empty if there are none.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    pub async fn price(&self, sku: &Sku) -> Result<Entity<Price>, Error> {
        self.load(sku.as_str()).await
    }

    /// A tier; the entity is empty if there is none.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn tier(&self, tier: &TierName) -> Result<Entity<Tier>, Error> {
        self.load(tier.as_str()).await
    }

    /// A country's rates for a category; the entity is empty if there are none.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    pub async fn tax_rates(
        &self,
        country: &CountryCode,
        tax_category: TaxCategory,
    ) -> Result<Entity<TaxRates>, Error> {
        self.load(&TaxRates::id(country, tax_category)).await
    }

    /// A change of an entity that may not be there yet, as `decide` decides it on the state, the version after the change and
    /// the time.
    async fn change<S: State + Clone, E: Contract>(
        &self,
        transaction: &mut Transaction,
        id: &str,
        decide: impl FnOnce(Option<&S>, Sequence, Timestamp) -> Result<Change<S, E>, Refusal>,
    ) -> Result<Done<S>, Stopped> {
        let entity = self.load(id).await?;
        let (version, now) = (entity.next_version()?, transaction.now());
        let change = decide(entity.state(), version, now)?;
        Ok(change.save(transaction, &entity)?)
    }

    /// Sets all prices of a stock-keeping number in one currency. What is set already changes nothing. A sku that is in a product belongs
    /// to that, whatever an earlier price says.
    ///
    /// # Errors
    /// What [`price::set`] refuses; [`Stopped::Failed`].
    pub async fn set_price(
        &self,
        transaction: &mut Transaction,
        command: SetPrice,
    ) -> Result<Done<Price>, Stopped> {
        let (sku, now) = (command.sku.clone(), transaction.now());
        let (owner, in_open_quotes) =
            futures::try_join!(self.owner(&sku), self.is_quoted(&sku, now))?;
        let sku_use = SkuUse {
            owner: owner.as_ref(),
            in_open_quotes,
        };
        self.change(transaction, sku.as_str(), |price, version, now| {
            price::set(price, command, sku_use, version, now)
        })
        .await
    }

    /// Sets a tier's percentage. What is set already changes nothing.
    ///
    /// # Errors
    /// What [`tier::set`] refuses; [`Stopped::Failed`].
    pub async fn set_tier(
        &self,
        transaction: &mut Transaction,
        command: SetTier,
    ) -> Result<Done<Tier>, Stopped> {
        let tier = command.tier.clone();
        self.change(transaction, tier.as_str(), |tier, version, now| {
            tier::set(tier, command, version, now)
        })
        .await
    }

    /// Sets a tax rate from a day on. What is set already changes nothing.
    ///
    /// # Errors
    /// What [`tax::set`] refuses; [`Stopped::Failed`].
    pub async fn set_tax_rate(
        &self,
        transaction: &mut Transaction,
        command: SetTaxRate,
    ) -> Result<Done<TaxRates>, Stopped> {
        let id = TaxRates::id(&command.country, command.tax_category);
        self.change(transaction, &id, |rates, version, now| {
            tax::set(rates, command, version, now)
        })
        .await
    }

    /// The stock of a sku; the entity is empty if none was ever counted.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn stock(&self, sku: &Sku) -> Result<Entity<Stock>, Error> {
        self.load(sku.as_str()).await
    }

    /// Does a step of the stock of a sku. A step that changes nothing has no event.
    ///
    /// # Errors
    /// What [`stock::change`] refuses; [`Stopped::Failed`].
    pub async fn change_stock(
        &self,
        transaction: &mut Transaction,
        sku: &Sku,
        step: StockStep,
        by: Text<256>,
    ) -> Result<Done<Stock>, Stopped> {
        let owner = match &step {
            StockStep::Counted { .. } => self.owner(sku).await?,
            _ => None,
        };
        self.change(transaction, sku.as_str(), |before, version, now| {
            stock::change(before, sku, (step, owner.as_ref()), by, version, now)
        })
        .await
    }

    /// Calculates the price of a unit and of the whole quantity, without tax.
    ///
    /// # Errors
    /// [`Refusal::UnknownSkus`], [`Refusal::UnknownTier`], [`Refusal::UnknownCustomer`], [`Refusal::NoPrice`], [`Refusal::TooLarge`];
    /// [`Stopped::Failed`].
    pub async fn calculate(
        &self,
        currency: Currency,
        buyer: &Buyer,
        sku: &Sku,
        quantity: u32,
    ) -> Result<(UnitCalculation, Money), Stopped> {
        let skus = [sku];
        let tier = self.tier_of(buyer).await?;
        let prices = self.prices(&skus).await?;
        let base = base_prices(currency, &skus, &prices)?;
        let tier = tier.as_ref().and_then(Entity::state);
        let (by, now) = (audience(buyer, tier), self.outbox.clock().now());
        let offers = self.list_offers(by, &skus, currency, now).await?;
        Ok(of_line(&base[0].1, &offers.of(sku), quantity, tier)?)
    }

    /// Calculates what an order would come to.
    ///
    /// # Errors
    /// [`Refusal::UnknownSkus`], [`Refusal::UnknownTier`], [`Refusal::UnknownCustomer`], [`Refusal::NoPrice`], [`Refusal::NoTaxRate`],
    /// [`Refusal::TooLarge`]; [`Stopped::Failed`].
    pub async fn calculate_order(&self, asked: &OrderAsked) -> Result<CalculatedOrder, Stopped> {
        let skus: Vec<&Sku> = asked.lines.iter().map(|line| &line.sku).collect();
        let tier = self.tier_of(&asked.buyer).await?;
        let tier = tier.as_ref().and_then(Entity::state);
        let prices = self.prices(&skus).await?;
        let now = self.outbox.clock().now();
        self.calculated(asked, tier, &prices, now).await
    }

    /// Calculates what an order would come to by a tier and prices that were read, and by the price lists that are valid at this time.
    async fn calculated(
        &self,
        asked: &OrderAsked,
        tier: Option<&Tier>,
        prices: &BTreeMap<Sku, Price>,
        now: Timestamp,
    ) -> Result<CalculatedOrder, Stopped> {
        let skus: Vec<&Sku> = asked.lines.iter().map(|line| &line.sku).collect();
        let base = base_prices(asked.currency, &skus, prices)?;
        let by = audience(&asked.buyer, tier);
        let read = async { Ok(self.list_offers(by, &skus, asked.currency, now).await?) };
        let (rates, offers) = futures::try_join!(self.rates(asked), read)?;
        let mut lines = Vec::with_capacity(asked.lines.len());
        let mut taxed = Vec::with_capacity(asked.lines.len());
        for (line, (product_id, base)) in asked.lines.iter().zip(&base) {
            let of_sku = offers.of(&line.sku);
            let (unit, line_total) = of_line(base, &of_sku, line.quantity, tier)?;
            let tax_category = line.tax_category;
            let tax_rate = rates[&tax_category];
            taxed.push(TaxedLine {
                line_total,
                tax_category,
                tax_rate,
            });
            lines.push(CalculatedLine {
                product_id: product_id.clone(),
                sku: line.sku.clone(),
                quantity: line.quantity,
                unit,
                line_total,
                tax_category,
                tax_rate,
                tax_amount: Money::ZERO,
            });
        }
        let (totals, shares) = calculation::totals(asked.currency, &taxed)?;
        for (line, share) in lines.iter_mut().zip(shares) {
            line.tax_amount = share;
        }
        Ok(CalculatedOrder { lines, totals })
    }

    /// The tier of a buyer; `None` if it has none.
    async fn tier_of(&self, buyer: &Buyer) -> Result<Option<Entity<Tier>>, Stopped> {
        let customer_id = match buyer {
            Buyer::Anybody => return Ok(None),
            Buyer::OfTier(tier) => return self.known_tier(Some(tier)).await,
            Buyer::Customer(customer_id) => customer_id,
        };
        let entity = self.customer(customer_id).await?;
        let unknown = || Refusal::UnknownCustomer {
            customer_id: customer_id.clone(),
        };
        let profile = entity.state().map(Customer::profile);
        let profile = profile.ok_or_else(unknown)?;
        self.known_tier(profile.tier.as_ref()).await
    }

    async fn known_tier(&self, tier: Option<&TierName>) -> Result<Option<Entity<Tier>>, Stopped> {
        let Some(name) = tier else {
            return Ok(None);
        };
        let entity = self.tier(name).await?;
        if entity.state().is_none() {
            return Err(Refusal::UnknownTier { tier: name.clone() }.into());
        }
        Ok(Some(entity))
    }

    /// The prices of skus. Each is read once, all in one call; those without prices are left out.
    async fn prices(&self, skus: &[&Sku]) -> Result<BTreeMap<Sku, Price>, Error> {
        let mut ids: Vec<&str> = skus.iter().map(|sku| sku.as_str()).collect();
        ids.sort_unstable();
        ids.dedup();
        let entities = self.outbox.load_each::<Price>(self.table, &ids).await?;
        let prices = entities.iter().filter_map(Entity::state);
        Ok(prices
            .map(|price| (price.sku().clone(), price.clone()))
            .collect())
    }

    /// The rates of all categories of an order's lines. Each is read once; that of the category `zero` is zero, and so is each
    /// if the order is not taxed by its country's rates.
    async fn rates(&self, asked: &OrderAsked) -> Result<BTreeMap<TaxCategory, Percent>, Stopped> {
        if asked.vat_treatment != VatTreatment::Domestic {
            return Ok(TaxCategory::ALL.map(|one| (one, Percent::ZERO)).into());
        }
        let (country, day) = (&asked.country, asked.day);
        let taxed = asked.lines.iter().map(|line| line.tax_category);
        let mut categories: Vec<TaxCategory> = taxed
            .filter(|category| *category != TaxCategory::Zero)
            .collect();
        categories.sort_unstable();
        categories.dedup();
        let read = categories.iter().map(|one| self.tax_rates(country, *one));
        let found = try_join_all(read).await?;
        let mut rates = BTreeMap::from([(TaxCategory::Zero, Percent::ZERO)]);
        for (tax_category, entity) in categories.into_iter().zip(found) {
            let rate = entity.state().and_then(|rates| rates.on(day));
            let none = || Refusal::NoTaxRate {
                country: country.clone(),
                tax_category,
                day,
            };
            rates.insert(tax_category, rate.ok_or_else(none)?);
        }
        Ok(rates)
    }
}

/// The customer and the tier for whom there can be price lists.
fn audience<'a>(
    buyer: &'a Buyer,
    tier: Option<&'a Tier>,
) -> (Option<&'a CustomerId>, Option<&'a TierName>) {
    let customer_id = match buyer {
        Buyer::Customer(customer_id) => Some(customer_id),
        Buyer::Anybody | Buyer::OfTier(_) => None,
    };
    (customer_id, tier.map(Tier::tier))
}

/// The product and the base prices in a currency of the sku of each line, in the order of the lines.
fn base_prices(
    currency: Currency,
    lines: &[&Sku],
    prices: &BTreeMap<Sku, Price>,
) -> Result<Vec<(ProductId, Prices)>, Refusal> {
    let places = |wanted: &dyn Fn(&Sku) -> bool| {
        let lines = lines.iter().enumerate().filter(|(_, sku)| wanted(sku));
        lines
            .map(|(place, sku)| (place, (*sku).clone()))
            .collect::<Vec<_>>()
    };
    let unknown = places(&|sku| !prices.contains_key(sku));
    if !unknown.is_empty() {
        return Err(Refusal::UnknownSkus { lines: unknown });
    }
    let list = |sku: &Sku| {
        let price = prices.get(sku)?;
        let list = price.currencies().get(&currency)?;
        Some((price.product_id().clone(), list.clone()))
    };
    let priceless = places(&|sku| list(sku).is_none());
    if !priceless.is_empty() {
        let lines = priceless;
        return Err(Refusal::NoPrice { lines, currency });
    }
    Ok(lines.iter().filter_map(|sku| list(sku)).collect())
}

fn of_line(
    base: &Prices,
    offers: &[ListOffer<'_>],
    quantity: u32,
    tier: Option<&Tier>,
) -> Result<(UnitCalculation, Money), Refusal> {
    let unit = calculation::unit_price(base, offers, quantity, tier)?;
    let line_total = calculation::line_total(unit.unit_price, quantity)?;
    Ok((unit, line_total))
}
