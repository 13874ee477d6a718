//! A product: what the shop sells, with its variants, each of which has a stock-keeping number of its own.
//!
//! A product's price and quantity are not part of it: whoever shows them reads them where they are kept. Only the *status* of its
//! stock is told with it, because `product.updated` says when that changes.

use domain::{Contradiction, Rebuild, Step, Stopped, must};
use events::{
    CategoryId, Cause, Contract as _, Envelope, ProductId, Retention, Sku, Text, Timestamp,
    contracts::{
        category::AttributeType,
        customer::CustomerType,
        price::TaxCategory,
        product::{
            ChangeType, Created, Deleted, Product as Listing, ProductStatus, Updated, Values,
            Variant, Visibility,
        },
        stock::StockStatus,
    },
    subscription,
};
use outbox::{Entity, Error, State, Transaction};
use serde::{Deserialize, Serialize};

use crate::{Change, Done};

/// The most variants of a product. Each new one is two items of the transaction that adds it, the claim on its sku and a check of its
/// stock, beside the product, its event, its row in the list, the mark, and four for another category: a check of it, the number of its
/// products so far, and a row that comes and one that goes.
pub const MOST_VARIANTS: usize = 45;

const _: () = assert!(MOST_VARIANTS * 2 + 4 + 4 <= outbox::MAX_TRANSACTION_ITEMS);

/// The most bytes of a product, as JSON. Its event can say most of it three times: as it was, as it is, and what of it is new.
pub const MOST_BYTES: usize = 48 * 1024;

/// The most properties of a variant.
pub const MOST_ATTRIBUTES: usize = 20;

/// A product. Its fields change in this module alone, which also makes the events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Product {
    listing: Listing,
    deleted: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
    updated_by: Text<256>,
}

impl State for Product {
    const AGGREGATE: &'static str = Created::AGGREGATE;
}

/// Why a product cannot be as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such product.
    #[error("there is no product {product_id}")]
    UnknownProduct {
        /// The product that was asked for.
        product_id: ProductId,
    },
    /// It was taken out of the catalogue.
    #[error("product {product_id} was taken out of the catalogue")]
    Deleted {
        /// The product.
        product_id: ProductId,
    },
    /// It would be larger than its events can say.
    #[error("a product has at most {most} bytes")]
    TooLarge {
        /// The largest number.
        most: usize,
    },
    /// Two variants have the same sku.
    #[error("two variants have the sku {sku}")]
    SameSku {
        /// The place of the second one.
        variant: usize,
        /// The sku.
        sku: Sku,
    },
    /// The sku belongs to another product, or belonged to it.
    #[error("{sku} belongs to product {product_id}")]
    OtherProduct {
        /// The place of the variant.
        variant: usize,
        /// The sku.
        sku: Sku,
        /// The product that it belongs to.
        product_id: ProductId,
    },
    /// There is no such category, or it is being deleted.
    #[error("there is no category {category_id}, or it is being deleted")]
    NoCategory {
        /// The category that was asked for.
        category_id: CategoryId,
    },
    /// The value of an attribute is not what the category says of it.
    #[error("the category says that this attribute is of the type {attribute_type}")]
    Attribute {
        /// The place of the variant.
        variant: usize,
        /// The place of the attribute among those of the variant.
        attribute: usize,
        /// What its values are.
        attribute_type: AttributeType,
    },
}

/// What the catalogue says of a product, as whoever keeps it sets it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// What it is called.
    pub name: Text<200>,
    /// What it is.
    pub description: Option<Text<2000>>,
    /// Whether it is sold.
    pub status: ProductStatus,
    /// Who can buy it.
    pub visibility: Visibility,
    /// How it is taxed.
    pub tax_category: TaxCategory,
    /// The category that it is in; `None`: in none.
    pub category_id: Option<CategoryId>,
    /// Its variants, 1 to [`MOST_VARIANTS`]. What they say of their stock is not read.
    pub variants: Vec<Variant>,
}

/// The claim of a product on a sku, for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The product.
    pub product_id: ProductId,
}

impl Product {
    /// Its id.
    #[must_use]
    pub fn product_id(&self) -> &ProductId {
        &self.listing.id
    }

    /// The product as the catalogue shows it.
    #[must_use]
    pub fn listing(&self) -> &Listing {
        &self.listing
    }

    /// Whether it was taken out of the catalogue.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// How it is taxed.
    #[must_use]
    pub fn tax_category(&self) -> TaxCategory {
        self.listing.tax_category.unwrap_or_default()
    }

    /// The category that it is in.
    #[must_use]
    pub fn category_id(&self) -> Option<&CategoryId> {
        self.listing.category_id.as_ref()
    }

    /// When it was put into the catalogue.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        self.created_at
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

    /// Its variant of this sku.
    #[must_use]
    pub fn variant(&self, sku: &Sku) -> Option<&Variant> {
        let mut variants = self.listing.variants.iter();
        variants.find(|variant| variant.sku == *sku)
    }

    /// What its variant of this sku is called in a cart.
    #[must_use]
    pub fn name_of(&self, sku: &Sku) -> Option<Text<402>> {
        let name = &self.listing.name;
        let text = match &self.variant(sku)?.name {
            None => name.to_string(),
            Some(variant) => format!("{name}, {variant}"),
        };
        // Two texts of 200 characters and what joins them.
        Text::new(text).ok()
    }

    /// Whether a customer of this type can buy its variant of this sku, if there is enough of it.
    #[must_use]
    pub fn is_for_sale(&self, sku: &Sku, to: CustomerType) -> bool {
        let may = match self.listing.visibility {
            Visibility::Public => true,
            Visibility::B2b => to == CustomerType::B2b,
            Visibility::Hidden => false,
        };
        let is_active = self.listing.status == ProductStatus::Active;
        may && is_active && !self.deleted && self.variant(sku).is_some()
    }
}

/// Puts a product into the catalogue, or replaces what the catalogue says of it, in a transaction. What it says already changes
/// nothing. `stock` is the status of each variant's stock, in their order.
///
/// # Errors
/// [`Refusal::TooLarge`]; [`Stopped::Failed`] if the entity is another one's.
pub(crate) fn set(
    transaction: &mut Transaction,
    entity: &Entity<Product>,
    product_id: &ProductId,
    details: Details,
    stock: &[Option<StockStatus>],
    by: Text<256>,
) -> Result<Done<Product>, Stopped<Refusal>> {
    let mut variants = details.variants;
    for (variant, status) in variants.iter_mut().zip(stock) {
        variant.stock_status = *status;
    }
    let listing = Listing {
        id: product_id.clone(),
        name: details.name,
        description: details.description,
        status: details.status,
        visibility: details.visibility,
        tax_category: Some(details.tax_category),
        category_id: details.category_id,
        variants,
    };
    if size(&listing) > MOST_BYTES {
        let most = MOST_BYTES;
        return Err(Stopped::Refused(Refusal::TooLarge { most }));
    }
    if let Some(before) = entity.state() {
        return Ok(update(transaction, entity, before, listing, (None, by))?);
    }
    let (now, version) = (transaction.now(), entity.next_version()?);
    let created = Created {
        product_id: product_id.clone(),
        product: listing.clone(),
        created_at: now,
        created_by: by.clone(),
        version,
    };
    let product = Product {
        listing,
        deleted: false,
        created_at: now,
        updated_at: now,
        updated_by: by,
    };
    Ok(Change::new(product, created).save(transaction, entity)?)
}

/// The bytes of a product, as JSON.
fn size(listing: &Listing) -> usize {
    // What cannot be written is refused by whoever writes it.
    serde_json::to_vec(listing).map_or(0, |json| json.len())
}

/// Takes over the status of the stock of each variant, in a transaction. Statuses that are known already change nothing.
///
/// # Errors
/// [`Error`] if the entity is another one's.
pub(crate) fn set_stock(
    transaction: &mut Transaction,
    entity: &Entity<Product>,
    before: &Product,
    stock: &[Option<StockStatus>],
    by: Text<256>,
) -> Result<Done<Product>, Error> {
    let mut listing = before.listing.clone();
    for (variant, status) in listing.variants.iter_mut().zip(stock) {
        variant.stock_status = *status;
    }
    update(transaction, entity, before, listing, (None, by))
}

/// Puts a product into another category, in a transaction, because of an event.
///
/// # Errors
/// [`Error`] if the entity is another one's.
pub(crate) fn set_category(
    transaction: &mut Transaction,
    entity: &Entity<Product>,
    before: &Product,
    category_id: CategoryId,
    (cause, by): (&Cause, Text<256>),
) -> Result<Done<Product>, Error> {
    let listing = Listing {
        category_id: Some(category_id),
        ..before.listing.clone()
    };
    update(transaction, entity, before, listing, (Some(cause), by))
}

fn update(
    transaction: &mut Transaction,
    entity: &Entity<Product>,
    before: &Product,
    listing: Listing,
    (cause, by): (Option<&Cause>, Text<256>),
) -> Result<Done<Product>, Error> {
    let Some(difference) = Difference::between(&before.listing, &listing) else {
        let unchanged = Change::<_, Updated>::none(before.clone());
        return unchanged.save(transaction, entity);
    };
    let (version, updated_at) = (
        entity.next_version()?,
        before.updated_at.max(transaction.now()),
    );
    let updated = Updated {
        product_id: listing.id.clone(),
        sku: difference.sku,
        updated_at,
        updated_by: by.clone(),
        change_type: difference.change_type,
        previous_values: difference.previous,
        new_values: difference.new,
        product: listing.clone(),
        version: Some(version),
    };
    let product = Product {
        listing,
        updated_at,
        updated_by: by,
        ..before.clone()
    };
    Change::new(product, updated).save_caused(transaction, entity, cause)
}

/// Takes a product out of the catalogue, in a transaction.
///
/// # Errors
/// [`Error`] if the entity is another one's.
pub(crate) fn delete(
    transaction: &mut Transaction,
    entity: &Entity<Product>,
    before: &Product,
    by: Text<256>,
) -> Result<Done<Product>, Error> {
    let (version, deleted_at) = (
        entity.next_version()?,
        before.updated_at.max(transaction.now()),
    );
    let variants = before.listing.variants.iter();
    let deleted = Deleted {
        product_id: before.listing.id.clone(),
        skus: variants.map(|variant| variant.sku.clone()).collect(),
        deleted_at,
        deleted_by: by.clone(),
        version,
    };
    let product = Product {
        deleted: true,
        updated_at: deleted_at,
        updated_by: by,
        ..before.clone()
    };
    Change::new(product, deleted).save(transaction, entity)
}

/// What an update changes.
struct Difference {
    change_type: ChangeType,
    sku: Sku,
    previous: Values,
    new: Values,
}

impl Difference {
    /// `None` if nothing differs.
    fn between(before: &Listing, after: &Listing) -> Option<Self> {
        let mut kinds = Vec::new();
        let (mut previous, mut new) = (Values::default(), Values::default());
        if before.status != after.status {
            kinds.push(ChangeType::StatusChanged);
            (previous.status, new.status) = (Some(before.status), Some(after.status));
        }
        if before.visibility != after.visibility {
            kinds.push(ChangeType::VisibilityChanged);
            (previous.visibility, new.visibility) =
                (Some(before.visibility), Some(after.visibility));
        }
        if before.name != after.name {
            kinds.push(ChangeType::NameChanged);
            (previous.name, new.name) = (Some(before.name.clone()), Some(after.name.clone()));
        }
        if before.description != after.description {
            kinds.push(ChangeType::DescriptionChanged);
            previous.description.clone_from(&before.description);
            new.description.clone_from(&after.description);
        }
        if before.tax_category != after.tax_category {
            kinds.push(ChangeType::TaxCategoryChanged);
            (previous.tax_category, new.tax_category) = (before.tax_category, after.tax_category);
        }
        if before.category_id != after.category_id {
            kinds.push(ChangeType::CategoryChanged);
            previous.category_id.clone_from(&before.category_id);
            new.category_id.clone_from(&after.category_id);
        }
        previous.variants = not_in(&before.variants, &after.variants);
        new.variants = not_in(&after.variants, &before.variants);
        for variant in &new.variants {
            kinds.push(match of_sku(&before.variants, &variant.sku) {
                None => ChangeType::VariantAdded,
                Some(known) if is_same_but_for_stock(known, variant) => {
                    ChangeType::StockStatusChanged
                }
                Some(_) => ChangeType::VariantChanged,
            });
        }
        let is_gone = |variant: &&Variant| of_sku(&after.variants, &variant.sku).is_none();
        if previous.variants.iter().any(|variant| is_gone(&variant)) {
            kinds.push(ChangeType::VariantRemoved);
        }
        if kinds.is_empty() && before.variants != after.variants {
            // They stand in another order.
            kinds.push(ChangeType::VariantChanged);
        }
        let change_type = kinds.into_iter().min()?;
        let mut changed = new.variants.iter().chain(&previous.variants);
        let sku = changed
            .next()
            .or_else(|| after.variants.first())?
            .sku
            .clone();
        Some(Self {
            change_type,
            sku,
            previous,
            new,
        })
    }
}

fn of_sku<'v>(variants: &'v [Variant], sku: &Sku) -> Option<&'v Variant> {
    variants.iter().find(|variant| variant.sku == *sku)
}

fn not_in(these: &[Variant], those: &[Variant]) -> Vec<Variant> {
    let missing = these.iter().filter(|variant| !those.contains(variant));
    missing.cloned().collect()
}

fn is_same_but_for_stock(one: &Variant, other: &Variant) -> bool {
    (&one.name, &one.attributes) == (&other.name, &other.attributes)
}

subscription! {
    /// The recorded events.
    enum Recorded {
        /// It was put into the catalogue.
        Created(events::contracts::product::Created) by Mark,
        /// It changed.
        Updated(events::contracts::product::Updated) by Mark,
        /// It was taken out of the catalogue.
        Deleted(events::contracts::product::Deleted) by Mark,
    }
}

impl Rebuild for Product {
    type Stored = Self;
    const RETENTION: Retention = Created::RETENTION;

    fn stored(&self) -> Self {
        self.clone()
    }

    fn apply(id: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let recorded = <Recorded as events::Subscription>::decode(envelope)?;
        let about =
            |product_id: &ProductId| must(product_id.as_str() == id, "it is about another product");
        let listed = |product: &Listing| {
            must(product.id.as_str() == id, "it shows another product")?;
            must(!product.variants.is_empty(), "it shows no variant")
        };
        let open = |before: &Self, at: Timestamp| {
            must(!before.deleted, "it changed after it was taken out")?;
            must(
                before.updated_at <= at,
                "it happened before the last change",
            )
        };
        match (before, recorded) {
            (None, Recorded::Created(event)) => {
                about(&event.product_id)?;
                listed(&event.product)?;
                let product = Self {
                    listing: event.product,
                    deleted: false,
                    created_at: event.created_at,
                    updated_at: event.created_at,
                    updated_by: event.created_by,
                };
                Ok((product, event.version))
            }
            (Some(before), Recorded::Updated(event)) => {
                about(&event.product_id)?;
                listed(&event.product)?;
                open(&before, event.updated_at)?;
                let said = (event.previous_values, event.new_values);
                let differs = Difference::between(&before.listing, &event.product);
                let differs = differs.map(|found| (found.previous, found.new));
                must(
                    differs == Some(said),
                    "it states other values than it changes",
                )?;
                let version = event.version;
                let version = version.ok_or(Contradiction::Says("it states no version"))?;
                let product = Self {
                    listing: event.product,
                    updated_at: event.updated_at,
                    updated_by: event.updated_by,
                    ..before
                };
                Ok((product, version))
            }
            (Some(before), Recorded::Deleted(event)) => {
                about(&event.product_id)?;
                open(&before, event.deleted_at)?;
                let product = Self {
                    deleted: true,
                    updated_at: event.deleted_at,
                    updated_by: event.deleted_by,
                    ..before
                };
                Ok((product, event.version))
            }
            (None, Recorded::Updated(_) | Recorded::Deleted(_)) => {
                Err(Contradiction::Says("the first event is not its creation"))
            }
            (Some(_), Recorded::Created(_)) => Err(Contradiction::Says("it is created twice")),
        }
    }
}

#[cfg(test)]
mod tests;
