//! Categories: made, changed, moved and deleted, and what was in a category that is deleted goes elsewhere.
//!
//! Changes of the tree (a category that is made, moved, deleted, or gets another slug) are decided on all of it. A row counts them, and
//! each of them is committed only if no other one was since it was decided. So depth, circles and slugs are those that the commit finds.

use events::{
    CategoryId, Cause, ProductId, Text,
    contracts::category::{Category as Listing, CategoryPath},
};
use outbox::{Condition, Entity, Error, Key, Query, Transaction};
use serde::{Deserialize, Serialize};

use super::{Commerce, customers::Listed, system};
use crate::{
    Category, Done, Product,
    category::{self, Details, Node, Paths, Reassignment, Refusal, Tree},
    product,
};

/// Why an operation on categories wrote nothing.
pub type Stopped = domain::Stopped<Refusal>;

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// The products, or the categories, of a page. Each product is four items: it, its event, a row that goes and one that comes. Beside
/// them the transaction has a check of the other category, its mark, and the lease. A category is three.
pub const REASSIGNED_PER_PAGE: u32 = 20;

const _: () = assert!((REASSIGNED_PER_PAGE * 4) as usize + 3 <= outbox::MAX_TRANSACTION_ITEMS);

/// The rows of the tree that are read in one call.
const ROWS_PER_CALL: u32 = 500;

/// How often the tree is read anew if it changes meanwhile. A decision on a tree of more than one moment is never committed.
const READS: usize = 3;

/// What a page did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reassigned {
    /// How many products were put into another category.
    pub products: u64,
    /// How many categories were put below another one.
    pub categories: u64,
    /// How many categories were deleted.
    pub deleted: u64,
}

/// How often something changed. What is decided on all of it is committed only if this is still as it was.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Changes {
    key: Key,
    number: u64,
}

/// Its row. There is none before the first change.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
struct Counted {
    changes: u64,
}

impl Changes {
    fn unchanged(&self) -> Condition {
        match self.number {
            0 => Condition::Absent,
            number => Condition::Equals(vec![("changes", number.into())]),
        }
    }

    /// Counts one more.
    fn advance(&self, transaction: &mut Transaction) -> Result<(), Error> {
        let changes = self.number + 1;
        transaction.put(self.key.clone(), &Counted { changes }, self.unchanged())?;
        Ok(())
    }

    /// Removes the row, because there is nothing to count any more.
    fn end(self, transaction: &mut Transaction) {
        let unchanged = self.unchanged();
        match self.number {
            0 => transaction.check(self.key, unchanged),
            _ => transaction.delete(self.key, unchanged),
        }
    }
}

impl Commerce<'_> {
    /// A category; the entity is empty if there is none.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn category(&self, category_id: &CategoryId) -> Result<Entity<Category>, Error> {
        self.load(category_id.as_str()).await
    }

    /// All categories, as they stand below each other.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    pub async fn categories(&self) -> Result<Tree, Error> {
        let (_, tree) = self.tree().await?;
        Ok(tree)
    }

    /// The query for the products of a category, by id. [`Self::products`] reads it.
    #[must_use]
    pub fn products_in(&self, category_id: &CategoryId, limit: u32) -> Query {
        Query::partition(self.table, list_of(category_id), limit)
    }

    /// Makes a category, or replaces what is said of it. What is so already changes nothing.
    ///
    /// # Errors
    /// [`Refusal::SameAttribute`], [`Refusal::Values`], [`Refusal::TooLarge`], [`Refusal::Deleted`], [`Refusal::Closing`],
    /// [`Refusal::TooMany`], [`Refusal::Parent`], [`Refusal::SlugTaken`]; [`Stopped::Failed`].
    pub async fn set_category(
        &self,
        transaction: &mut Transaction,
        category_id: &CategoryId,
        details: Details,
        by: Text<256>,
    ) -> Result<Done<Category>, Stopped> {
        let listing = details.listing(category_id)?;
        let (parent_id, slug) = (listing.parent_id.as_ref(), &listing.slug);
        let entity = self.category(category_id).await?;
        let Some(before) = entity.state() else {
            let (changes, tree) = self.tree().await?;
            tree.check_place(category_id, parent_id, slug)?;
            let path = CategoryPath::new(tree.path_below(parent_id, slug))?;
            changes.advance(transaction)?;
            transaction.insert(Node::key(self.table, category_id), &Node::from(&listing))?;
            return Ok(category::create(transaction, &entity, listing, path, by)?);
        };
        refuse_ended(before)?;
        let old = before.listing();
        let mut paths = None;
        if category::changes_path(old, &listing) {
            let (changes, tree) = self.tree().await?;
            tree.check_place(category_id, parent_id, slug)?;
            // It is in the tree, unless it was deleted since it was read, which the commit finds.
            let place = tree.place(category_id);
            let previous = place.map_or_else(|| old.slug.to_string(), |place| place.path);
            paths = Some(Paths {
                previous: CategoryPath::new(previous)?,
                now: CategoryPath::new(tree.path_below(parent_id, slug))?,
            });
            changes.advance(transaction)?;
        }
        if Node::from(old) != Node::from(&listing) {
            self.put_node(transaction, &listing)?;
        }
        Ok(category::update(
            transaction,
            (&entity, before),
            listing,
            paths,
            (None, by),
        )?)
    }

    /// Deletes a category, for ever. If products are in it or categories stand below it, they go to `reassign_to`: it is only marked
    /// then, takes no more of them, and [`Self::reassign`] deletes it once all of them have gone.
    ///
    /// # Errors
    /// [`Refusal::UnknownCategory`], also if it was deleted before; [`Refusal::Closing`], [`Refusal::Target`],
    /// [`Refusal::SlugTaken`], [`Refusal::HasChildren`], [`Refusal::HasProducts`]; [`Stopped::Failed`].
    pub async fn delete_category(
        &self,
        transaction: &mut Transaction,
        category_id: &CategoryId,
        reassign_to: Option<&CategoryId>,
        by: Text<256>,
    ) -> Result<Done<Category>, Stopped> {
        let entity = self.category(category_id).await?;
        let unknown = || Refusal::UnknownCategory {
            category_id: category_id.clone(),
        };
        let before = entity.state().filter(|category| !category.is_deleted());
        let before = before.ok_or_else(unknown)?;
        refuse_ended(before)?;
        // Before its products are read: a product that comes later is counted, which the commit finds.
        let joins = self.changes(joins_key(self, category_id)).await?;
        let (changes, tree) = self.tree().await?;
        if let Some(reassign_to) = reassign_to {
            tree.check_reassignment(category_id, reassign_to)?;
        }
        let (products, _) = self
            .outbox
            .rows::<Listed>(&self.products_in(category_id, 1))
            .await?;
        // What is still to come from a category that is being deleted counts as well.
        let has_products = !products.is_empty() || tree.is_target(category_id);
        let has_children = !tree.children(category_id).is_empty();
        changes.advance(transaction)?;
        if !has_products && !has_children {
            joins.end(transaction);
            transaction.delete(Node::key(self.table, category_id), Condition::Present);
            return Ok(category::delete(
                transaction,
                (&entity, before),
                (None, by),
            )?);
        }
        let Some(reassign_to) = reassign_to else {
            let category_id = category_id.clone();
            return Err(if has_children {
                Refusal::HasChildren { category_id }.into()
            } else {
                Refusal::HasProducts { category_id }.into()
            });
        };
        let listing = Listing {
            reassigned_to: Some(reassign_to.clone()),
            ..before.listing().clone()
        };
        self.put_node(transaction, &listing)?;
        let done = category::update(transaction, (&entity, before), listing, None, (None, by))?;
        let told = transaction.events().last();
        let told = told.map(|event| (event.event_id, event.correlation_id));
        let untold = || Error::Refused("a category that is being deleted without event".to_owned());
        let (event_id, correlation_id) = told.ok_or_else(untold)?;
        let reassignment = Reassignment {
            number: changes.number,
            category_id: category_id.clone(),
            event_id,
            correlation_id,
        };
        transaction.insert(reassignment.key(self.table), &reassignment)?;
        Ok(done)
    }

    /// Whether anything is to go elsewhere because a category is being deleted.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn has_reassignment(&self) -> Result<bool, Error> {
        Ok(self.first_reassignment().await?.is_some())
    }

    async fn first_reassignment(&self) -> Result<Option<Reassignment>, Error> {
        let first = Reassignment::first(self.table);
        let (rows, _) = self.outbox.rows::<Reassignment>(&first).await?;
        Ok(rows.into_iter().next())
    }

    /// Does the next step of the earliest deletion that is not done: some of its products go to another category, or some of the
    /// categories below it, or it is deleted; `None` if there is nothing to do. One caller at a time may run it.
    ///
    /// # Errors
    /// [`Error`] when something cannot be read or the transaction cannot be built.
    pub async fn reassign(
        &self,
        transaction: &mut Transaction,
    ) -> Result<Option<Reassigned>, Error> {
        let Some(reassignment) = self.first_reassignment().await? else {
            return Ok(None);
        };
        let cause = reassignment.cause();
        let entity = self.category(&reassignment.category_id).await?;
        let closing = entity.state().filter(|category| !category.is_deleted());
        let ended = || Error::Refused("what was in a deleted category has not gone".to_owned());
        let closing = closing.ok_or_else(ended)?;
        let products = self.reassign_products(transaction, closing, &cause).await?;
        if products > 0 {
            return Ok(Some(Reassigned {
                products,
                ..Reassigned::default()
            }));
        }
        let (changes, tree) = self.tree().await?;
        changes.advance(transaction)?;
        let most = REASSIGNED_PER_PAGE as usize;
        let below = tree.stored_children(closing.category_id(), most);
        if !below.is_empty() {
            let moved = self.reassign_categories(transaction, (closing, &tree), &below, &cause);
            return Ok(Some(Reassigned {
                categories: moved.await?,
                ..Reassigned::default()
            }));
        }
        let joins = self.changes(joins_key(self, closing.category_id())).await?;
        joins.end(transaction);
        transaction.delete(
            Node::key(self.table, closing.category_id()),
            Condition::Present,
        );
        transaction.delete(reassignment.key(self.table), Condition::Present);
        category::delete(transaction, (&entity, closing), (Some(&cause), system()?))?;
        Ok(Some(Reassigned {
            deleted: 1,
            ..Reassigned::default()
        }))
    }

    /// Puts the next products of a category that is being deleted into the other one. Returns how many there were.
    async fn reassign_products(
        &self,
        transaction: &mut Transaction,
        closing: &Category,
        cause: &Cause,
    ) -> Result<u64, Error> {
        let from = closing.category_id();
        let page = self.products_in(from, REASSIGNED_PER_PAGE);
        let (rows, _) = self.outbox.rows::<Listed>(&page).await?;
        if rows.is_empty() {
            return Ok(0);
        }
        let to = self.heir(closing).await?;
        let gone = || Error::Refused("products are to go to a category that is gone".to_owned());
        let target = to.state().filter(|category| category.is_open());
        let target = target.ok_or_else(gone)?.category_id();
        transaction.check(to.key().clone(), to.unchanged());
        let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        let products = self.outbox.load_each::<Product>(self.table, &ids).await?;
        for (row, entity) in rows.iter().zip(&products) {
            transaction.delete(
                self.table.key(list_of(from), row.id.as_str()),
                Condition::Present,
            );
            // One that was taken out meanwhile, or put elsewhere, has no such row any more, which the commit finds.
            let inside =
                |product: &&Product| !product.is_deleted() && product.category_id() == Some(from);
            if let Some(before) = entity.state().filter(inside) {
                transaction.insert(self.table.key(list_of(target), row.id.as_str()), row)?;
                let by = (cause, system()?);
                product::set_category(transaction, entity, before, target.clone(), by)?;
            }
        }
        Ok(u64::try_from(rows.len()).unwrap_or(u64::MAX))
    }

    /// The category that has what is in one that is being deleted. If that one is being deleted, too, it is the next one.
    async fn heir(&self, closing: &Category) -> Result<Entity<Category>, Error> {
        let mut next = closing.listing().reassigned_to.clone();
        while let Some(category_id) = next {
            let entity = self.category(&category_id).await?;
            next = entity
                .state()
                .and_then(|category| category.listing().reassigned_to.clone());
            if next.is_none() {
                return Ok(entity);
            }
        }
        let nowhere = "what is in a category that is being deleted goes nowhere";
        Err(Error::Refused(nowhere.to_owned()))
    }

    /// Puts these categories, which were put below one that is being deleted, where they stand by now. That this is possible was
    /// decided when the deletion began. Returns how many there were.
    async fn reassign_categories(
        &self,
        transaction: &mut Transaction,
        (closing, tree): (&Category, &Tree),
        below: &[&Node],
        cause: &Cause,
    ) -> Result<u64, Error> {
        let ids: Vec<&str> = below.iter().map(|node| node.id.as_str()).collect();
        let entities = self.outbox.load_each::<Category>(self.table, &ids).await?;
        for (node, entity) in below.iter().zip(&entities) {
            // One that was deleted since the tree was read changed the tree, which the commit finds.
            let (Some(before), Some(place)) = (entity.state(), tree.place(&node.id)) else {
                continue;
            };
            let previous = tree.path_below(Some(closing.category_id()), &node.slug);
            let paths = Paths {
                previous: CategoryPath::new(previous)?,
                now: CategoryPath::new(place.path)?,
            };
            let listing = Listing {
                parent_id: place.parent_id.cloned(),
                ..before.listing().clone()
            };
            self.put_node(transaction, &listing)?;
            category::update(
                transaction,
                (entity, before),
                listing,
                Some(paths),
                (Some(cause), system()?),
            )?;
        }
        Ok(u64::try_from(below.len()).unwrap_or(u64::MAX))
    }

    /// Lists a product in another category, if it is to be in another one than before. The commit depends on that one being as it was
    /// read.
    pub(super) async fn regroup(
        &self,
        transaction: &mut Transaction,
        product_id: &ProductId,
        from: Option<&CategoryId>,
        to: Option<&Entity<Category>>,
    ) -> Result<(), Error> {
        let target = to.and_then(Entity::state).map(Category::category_id);
        if from == target {
            return Ok(());
        }
        if let Some(from) = from {
            let row = self.table.key(list_of(from), product_id.as_str());
            transaction.delete(row, Condition::Present);
        }
        if let (Some(to), Some(target)) = (to, target) {
            transaction.check(to.key().clone(), to.unchanged());
            // Whoever deletes the category finds that a product was put into it.
            let joins = self.changes(joins_key(self, target)).await?;
            joins.advance(transaction)?;
            let id = product_id.to_string();
            transaction.insert(self.table.key(list_of(target), id.as_str()), &Listed { id })?;
        }
        Ok(())
    }

    fn put_node(&self, transaction: &mut Transaction, listing: &Listing) -> Result<(), Error> {
        let key = Node::key(self.table, &listing.id);
        transaction.put(key, &Node::from(listing), Condition::Present)?;
        Ok(())
    }

    async fn changes(&self, key: Key) -> Result<Changes, Error> {
        let row: Option<Counted> = self.outbox.row(&key).await?;
        let number = row.map_or(0, |row| row.changes);
        Ok(Changes { key, number })
    }

    /// All categories, and how often the tree changed before it was read.
    async fn tree(&self) -> Result<(Changes, Tree), Error> {
        let key = self.table.key("category_tree", "changes");
        let mut changes = self.changes(key.clone()).await?;
        let mut tree = self.nodes().await?;
        for _ in 1..READS {
            let now = self.changes(key.clone()).await?;
            if now == changes {
                break;
            }
            changes = now;
            tree = self.nodes().await?;
        }
        Ok((changes, tree))
    }

    async fn nodes(&self) -> Result<Tree, Error> {
        let mut query = Node::all(self.table, ROWS_PER_CALL);
        let mut nodes: Vec<Node> = Vec::new();
        loop {
            let (rows, next) = self.outbox.rows::<Node>(&query).await?;
            nodes.extend(rows);
            if next.is_none() {
                return Ok(Tree::new(nodes));
            }
            query.after = next;
        }
    }
}

/// Refuses to change a category that was deleted or is being deleted.
fn refuse_ended(category: &Category) -> Result<(), Refusal> {
    let category_id = category.category_id().clone();
    if category.is_deleted() {
        return Err(Refusal::Deleted { category_id });
    }
    match category.listing().reassigned_to.clone() {
        None => Ok(()),
        Some(reassigned_to) => Err(Refusal::Closing {
            category_id,
            reassigned_to,
        }),
    }
}

/// The partition of the list of a category's products.
fn list_of(category_id: &CategoryId) -> String {
    format!("category_products#{category_id}")
}

/// The key of the row that counts how often a product was put into a category.
fn joins_key(commerce: &Commerce<'_>, category_id: &CategoryId) -> Key {
    commerce.table.key("category_joins", category_id.as_str())
}
