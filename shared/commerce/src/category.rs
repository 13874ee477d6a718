//! A category: what products are grouped by, and what it says of the attributes of their variants.
//!
//! A category knows the one that it stands below, and not its path: that is put together from the whole [`Tree`] when it is read. So a
//! category moves by a change of itself alone, whatever stands below it.

mod reassignment;
mod tree;

pub use reassignment::Reassignment;
pub use tree::{Node, Place, Tree};

use std::{collections::BTreeSet, fmt};

use domain::{Contradiction, Rebuild, Step, must};
use events::{
    CategoryId, Cause, Contract as _, DecimalText, Envelope, Retention, Slug, Text, Timestamp,
    contracts::{
        category::{
            AttributeDefinition, AttributeType, Category as Listing, CategoryPath, ChangeType,
            Created, Deleted, Updated, Values,
        },
        product::Variant,
    },
    subscription,
};
use outbox::{Entity, Error, State, Transaction};
use serde::{Deserialize, Serialize};

use crate::{Change, Done};

/// The most categories that stand below each other, the one at the top included.
pub const MOST_DEPTH: usize = 8;

/// The most categories. All of them are read before the tree changes, and whenever it is shown.
pub const MOST_CATEGORIES: usize = 2_000;

/// The most attributes that a category says something of.
pub const MOST_ATTRIBUTES: usize = 30;

/// The most values of an `enum`.
pub const MOST_VALUES: usize = 50;

/// The most bytes of a category, as JSON. Its event can say most of it three times: as it was, as it is, and what of it is new.
pub const MOST_BYTES: usize = 48 * 1024;

/// A category. Its fields change in this module alone, which also makes the events.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Category {
    listing: Listing,
    deleted: bool,
    created_at: Timestamp,
    updated_at: Timestamp,
    updated_by: Text<256>,
}

impl State for Category {
    const AGGREGATE: &'static str = Created::AGGREGATE;
}

/// Why a category cannot stand where it is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Misplaced {
    /// There is no category with this id.
    Unknown,
    /// It is being deleted.
    Closing,
    /// It is the category itself.
    Itself,
    /// It stands below the category.
    Below,
    /// More categories would stand below each other than [`MOST_DEPTH`].
    TooDeep,
}

impl fmt::Display for Misplaced {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown => f.write_str("is no category"),
            Self::Closing => f.write_str("is being deleted"),
            Self::Itself => f.write_str("is the category itself"),
            Self::Below => f.write_str("stands below the category"),
            Self::TooDeep => write!(
                f,
                "stands too deep: at most {MOST_DEPTH} categories stand below each other"
            ),
        }
    }
}

/// Why a category cannot be as it is asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such category.
    #[error("there is no category {category_id}")]
    UnknownCategory {
        /// The category that was asked for.
        category_id: CategoryId,
    },
    /// It was deleted.
    #[error("category {category_id} was deleted")]
    Deleted {
        /// The category.
        category_id: CategoryId,
    },
    /// It is being deleted.
    #[error("category {category_id} is being deleted: what is in it goes to {reassigned_to}")]
    Closing {
        /// The category.
        category_id: CategoryId,
        /// Where its products and the categories below it go.
        reassigned_to: CategoryId,
    },
    /// It cannot stand below this one.
    #[error("{parent_id} {reason}")]
    Parent {
        /// The category that it was to stand below.
        parent_id: CategoryId,
        /// Why not.
        reason: Misplaced,
    },
    /// What is in it cannot go to this one.
    #[error("{reassign_to} {reason}")]
    Target {
        /// The category that was asked for.
        reassign_to: CategoryId,
        /// Why not.
        reason: Misplaced,
    },
    /// Another category that stands below the same one has the slug.
    #[error("category {category_id} has the slug {slug} there")]
    SlugTaken {
        /// The slug.
        slug: Slug,
        /// The other category.
        category_id: CategoryId,
    },
    /// There are as many categories as possible.
    #[error("there are at most {most} categories")]
    TooMany {
        /// The largest number.
        most: usize,
    },
    /// Categories stand below it, and it was not said where they go.
    #[error("categories stand below {category_id}")]
    HasChildren {
        /// The category.
        category_id: CategoryId,
    },
    /// Products are in it, and it was not said where they go.
    #[error("products are in category {category_id}")]
    HasProducts {
        /// The category.
        category_id: CategoryId,
    },
    /// It would be larger than its events can say.
    #[error("a category has at most {most} bytes")]
    TooLarge {
        /// The largest number.
        most: usize,
    },
    /// Two of its attributes have the same name.
    #[error("two attributes have the same name")]
    SameAttribute {
        /// The place of the second one.
        attribute: usize,
    },
    /// An attribute lists values that do not fit its type.
    #[error("an enum lists its values, each of them once, and no other type lists any")]
    Values {
        /// The place of the attribute.
        attribute: usize,
    },
}

/// What is said of a category by whoever keeps it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Details {
    /// The category that it stands below; `None`: it stands at the top.
    pub parent_id: Option<CategoryId>,
    /// What it is called.
    pub name: Text<200>,
    /// Its part of the path.
    pub slug: Slug,
    /// Its place among those below the same category.
    pub position: u32,
    /// What it says of attributes, at most [`MOST_ATTRIBUTES`].
    pub attributes: Vec<AttributeDefinition>,
}

impl Details {
    /// The category as the catalogue is to show it.
    ///
    /// # Errors
    /// [`Refusal::SameAttribute`], [`Refusal::Values`], [`Refusal::TooLarge`].
    pub(crate) fn listing(self, id: &CategoryId) -> Result<Listing, Refusal> {
        let mut names = BTreeSet::new();
        for (attribute, one) in self.attributes.iter().enumerate() {
            if !names.insert(&one.name) {
                return Err(Refusal::SameAttribute { attribute });
            }
            let is_enum = one.attribute_type == AttributeType::Enum;
            let different: BTreeSet<_> = one.values.iter().collect();
            if different.len() != one.values.len() || one.values.is_empty() == is_enum {
                return Err(Refusal::Values { attribute });
            }
        }
        let listing = Listing {
            id: id.clone(),
            parent_id: self.parent_id,
            name: self.name,
            slug: self.slug,
            position: self.position,
            attributes: self.attributes,
            reassigned_to: None,
        };
        // What cannot be written is refused by whoever writes it.
        let size = serde_json::to_vec(&listing).map_or(0, |json| json.len());
        if size > MOST_BYTES {
            return Err(Refusal::TooLarge { most: MOST_BYTES });
        }
        Ok(listing)
    }
}

impl Category {
    /// Its id.
    #[must_use]
    pub fn category_id(&self) -> &CategoryId {
        &self.listing.id
    }

    /// The category as it was said to be. If the one that it was put below is being deleted, it stands elsewhere by now: [`Tree`] knows
    /// where.
    #[must_use]
    pub fn listing(&self) -> &Listing {
        &self.listing
    }

    /// Whether it was deleted.
    #[must_use]
    pub fn is_deleted(&self) -> bool {
        self.deleted
    }

    /// Whether products and categories can be put into it: it was not deleted, and is not being deleted.
    #[must_use]
    pub fn is_open(&self) -> bool {
        !self.deleted && self.listing.reassigned_to.is_none()
    }

    /// When it was made.
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

    /// The first attribute of variants whose value is not as this category says: the places of variant and attribute, and the type that
    /// the value lacks. Attributes that it says nothing of can have any value.
    #[must_use]
    pub fn first_misfit(&self, variants: &[Variant]) -> Option<(usize, usize, AttributeType)> {
        for (variant, one) in variants.iter().enumerate() {
            for (attribute, stated) in one.attributes.iter().enumerate() {
                let mut definitions = self.listing.attributes.iter();
                let definition = definitions.find(|known| known.name == stated.name);
                if let Some(definition) = definition.filter(|known| !fits(known, &stated.value)) {
                    return Some((variant, attribute, definition.attribute_type));
                }
            }
        }
        None
    }
}

fn fits(definition: &AttributeDefinition, value: &Text<200>) -> bool {
    match definition.attribute_type {
        AttributeType::Text => true,
        AttributeType::Number => DecimalText::new(value.as_str()).is_ok(),
        AttributeType::Bool => matches!(value.as_str(), "true" | "false"),
        AttributeType::Enum => definition.values.contains(value),
    }
}

/// A path that changes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Paths {
    /// The path before.
    pub(crate) previous: CategoryPath,
    /// The path from now on.
    pub(crate) now: CategoryPath,
}

/// Makes a category, in a transaction.
///
/// # Errors
/// [`Error`] if the entity is another one's.
pub(crate) fn create(
    transaction: &mut Transaction,
    entity: &Entity<Category>,
    listing: Listing,
    path: CategoryPath,
    by: Text<256>,
) -> Result<Done<Category>, Error> {
    let (now, version) = (transaction.now(), entity.next_version()?);
    let created = Created {
        category_id: listing.id.clone(),
        category: listing.clone(),
        path,
        created_at: now,
        created_by: by.clone(),
        version,
    };
    let category = Category {
        listing,
        deleted: false,
        created_at: now,
        updated_at: now,
        updated_by: by,
    };
    Change::new(category, created).save(transaction, entity)
}

/// Changes a category, in a transaction. What is so already changes nothing. `paths` is stated if the category moves or its slug
/// changes; `cause` if something else causes it than what the transaction is about.
///
/// # Errors
/// [`Error`] if the entity is another one's.
pub(crate) fn update(
    transaction: &mut Transaction,
    (entity, before): (&Entity<Category>, &Category),
    listing: Listing,
    paths: Option<Paths>,
    (cause, by): (Option<&Cause>, Text<256>),
) -> Result<Done<Category>, Error> {
    let Some(difference) = Difference::between(&before.listing, &listing) else {
        let unchanged = Change::<_, Updated>::none(before.clone());
        return unchanged.save(transaction, entity);
    };
    let (version, updated_at) = (
        entity.next_version()?,
        before.updated_at.max(transaction.now()),
    );
    let (previous_path, path) = paths.map(|paths| (paths.previous, paths.now)).unzip();
    let updated = Updated {
        category_id: listing.id.clone(),
        updated_at,
        updated_by: by.clone(),
        change_type: difference.change_type,
        previous_values: difference.previous,
        new_values: difference.new,
        previous_path,
        path,
        category: listing.clone(),
        version,
    };
    let category = Category {
        listing,
        updated_at,
        updated_by: by,
        ..before.clone()
    };
    Change::new(category, updated).save_caused(transaction, entity, cause)
}

/// Deletes a category, in a transaction.
///
/// # Errors
/// [`Error`] if the entity is another one's.
pub(crate) fn delete(
    transaction: &mut Transaction,
    (entity, before): (&Entity<Category>, &Category),
    (cause, by): (Option<&Cause>, Text<256>),
) -> Result<Done<Category>, Error> {
    let (version, deleted_at) = (
        entity.next_version()?,
        before.updated_at.max(transaction.now()),
    );
    let deleted = Deleted {
        category_id: before.listing.id.clone(),
        reassigned_to: before.listing.reassigned_to.clone(),
        deleted_at,
        deleted_by: by.clone(),
        version,
    };
    let category = Category {
        deleted: true,
        updated_at: deleted_at,
        updated_by: by,
        ..before.clone()
    };
    Change::new(category, deleted).save_caused(transaction, entity, cause)
}

/// Whether a category that changes like this has another path afterwards.
pub(crate) fn changes_path(before: &Listing, after: &Listing) -> bool {
    (&before.parent_id, &before.slug) != (&after.parent_id, &after.slug)
}

/// What an update changes.
struct Difference {
    change_type: ChangeType,
    previous: Values,
    new: Values,
}

impl Difference {
    /// `None` if nothing differs.
    fn between(before: &Listing, after: &Listing) -> Option<Self> {
        let mut kinds = Vec::new();
        let (mut previous, mut new) = (Values::default(), Values::default());
        if before.reassigned_to != after.reassigned_to {
            kinds.push(ChangeType::Closing);
            previous.reassigned_to.clone_from(&before.reassigned_to);
            new.reassigned_to.clone_from(&after.reassigned_to);
        }
        if before.parent_id != after.parent_id {
            kinds.push(ChangeType::Moved);
            previous.parent_id.clone_from(&before.parent_id);
            new.parent_id.clone_from(&after.parent_id);
        }
        if before.slug != after.slug {
            kinds.push(ChangeType::SlugChanged);
            (previous.slug, new.slug) = (Some(before.slug.clone()), Some(after.slug.clone()));
        }
        if before.name != after.name {
            kinds.push(ChangeType::Renamed);
            (previous.name, new.name) = (Some(before.name.clone()), Some(after.name.clone()));
        }
        if before.attributes != after.attributes {
            kinds.push(ChangeType::AttributesChanged);
            previous.attributes.clone_from(&before.attributes);
            new.attributes.clone_from(&after.attributes);
        }
        if before.position != after.position {
            kinds.push(ChangeType::PositionChanged);
            (previous.position, new.position) = (Some(before.position), Some(after.position));
        }
        Some(Self {
            change_type: kinds.into_iter().min()?,
            previous,
            new,
        })
    }
}

subscription! {
    /// The recorded events.
    enum Recorded {
        /// It was made.
        Created(events::contracts::category::Created) by Mark,
        /// It changed.
        Updated(events::contracts::category::Updated) by Mark,
        /// It was deleted.
        Deleted(events::contracts::category::Deleted) by Mark,
    }
}

impl Rebuild for Category {
    type Stored = Self;
    const RETENTION: Retention = Created::RETENTION;

    fn stored(&self) -> Self {
        self.clone()
    }

    fn apply(id: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let recorded = <Recorded as events::Subscription>::decode(envelope)?;
        let about = |category_id: &CategoryId| {
            must(category_id.as_str() == id, "it is about another category")
        };
        let shows =
            |listing: &Listing| must(listing.id.as_str() == id, "it shows another category");
        let open = |before: &Self, at: Timestamp| {
            must(!before.deleted, "it changed after it was deleted")?;
            must(
                before.updated_at <= at,
                "it happened before the last change",
            )
        };
        match (before, recorded) {
            (None, Recorded::Created(event)) => {
                about(&event.category_id)?;
                shows(&event.category)?;
                must(
                    event.category.reassigned_to.is_none(),
                    "it is made while it is being deleted",
                )?;
                let category = Self {
                    listing: event.category,
                    deleted: false,
                    created_at: event.created_at,
                    updated_at: event.created_at,
                    updated_by: event.created_by,
                };
                Ok((category, event.version))
            }
            (Some(before), Recorded::Updated(event)) => {
                about(&event.category_id)?;
                shows(&event.category)?;
                open(&before, event.updated_at)?;
                let (old, new) = (&before.listing, &event.category);
                must(
                    old.reassigned_to.is_none() || old.reassigned_to == new.reassigned_to,
                    "its deletion is taken back",
                )?;
                let has_paths = (event.previous_path.is_some(), event.path.is_some());
                let moves = changes_path(old, new);
                must(
                    has_paths == (moves, moves),
                    "it states paths that it does not change, or does not state those that it changes",
                )?;
                let said = (event.previous_values, event.new_values);
                let differs = Difference::between(old, new);
                let differs = differs.map(|found| (found.previous, found.new));
                must(
                    differs == Some(said),
                    "it states other values than it changes",
                )?;
                let category = Self {
                    listing: event.category,
                    updated_at: event.updated_at,
                    updated_by: event.updated_by,
                    ..before
                };
                Ok((category, event.version))
            }
            (Some(before), Recorded::Deleted(event)) => {
                about(&event.category_id)?;
                open(&before, event.deleted_at)?;
                must(
                    before.listing.reassigned_to == event.reassigned_to,
                    "it states that its products went elsewhere",
                )?;
                let category = Self {
                    deleted: true,
                    updated_at: event.deleted_at,
                    updated_by: event.deleted_by,
                    ..before
                };
                Ok((category, event.version))
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
