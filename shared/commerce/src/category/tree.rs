//! All categories, as they stand below each other, and what may change of that.
//!
//! A category that is being deleted stays where it is until nothing is in it any more, but nothing stands below it from the moment of
//! the request on: what stood there counts as standing below the category that it goes to. So every decision is made on the tree as it
//! will be, and moving the categories one by one afterwards changes nothing of it and cannot fail.

use std::collections::BTreeMap;

use events::{CategoryId, Slug, Text, contracts::category::Category as Listing};
use outbox::{Key, Query, Table};
use serde::{Deserialize, Serialize};

use super::{MOST_CATEGORIES, MOST_DEPTH, Misplaced, Refusal};

/// A category's row in the tree.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Node {
    /// The category.
    pub id: CategoryId,
    /// The one that it was put below; `None`: at the top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<CategoryId>,
    /// What it is called.
    pub name: Text<200>,
    /// Its part of the path.
    pub slug: Slug,
    /// Its place among those below the same category, the lowest first.
    pub position: u32,
    /// Where its products and the categories below it go, if it is being deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reassigned_to: Option<CategoryId>,
}

impl From<&Listing> for Node {
    fn from(listing: &Listing) -> Self {
        Self {
            id: listing.id.clone(),
            parent_id: listing.parent_id.clone(),
            name: listing.name.clone(),
            slug: listing.slug.clone(),
            position: listing.position,
            reassigned_to: listing.reassigned_to.clone(),
        }
    }
}

impl Node {
    const PARTITION: &'static str = "categories";

    /// The row's key.
    #[must_use]
    pub fn key(table: &Table, category_id: &CategoryId) -> Key {
        table.key(Self::PARTITION, category_id.as_str())
    }

    /// The rows of all categories, by id, at most `limit`.
    #[must_use]
    pub fn all(table: &Table, limit: u32) -> Query {
        Query::partition(table, Self::PARTITION, limit)
    }
}

/// Where a category stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place<'t> {
    /// The category.
    pub node: &'t Node,
    /// The one that it stands below; `None` at the top.
    pub parent_id: Option<&'t CategoryId>,
    /// The slugs from the top down to it, joined by `/`.
    pub path: String,
    /// How many categories stand above it, and it: 1 at the top, at most [`MOST_DEPTH`].
    pub depth: usize,
}

/// The categories that stand below each one, or at the top.
type Below<'t> = BTreeMap<Option<&'t CategoryId>, Vec<&'t Node>>;

/// All categories that were not deleted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tree {
    nodes: BTreeMap<CategoryId, Node>,
}

impl Tree {
    /// The tree of all rows.
    #[must_use]
    pub fn new(rows: impl IntoIterator<Item = Node>) -> Self {
        let nodes = rows.into_iter().map(|node| (node.id.clone(), node));
        Self {
            nodes: nodes.collect(),
        }
    }

    /// The category that has what is in this one: itself, or if it is being deleted the one that all of it goes to.
    fn heir<'t>(&'t self, category_id: &'t CategoryId) -> &'t CategoryId {
        let mut heir = category_id;
        // Each step leads to a category whose deletion began later, or to the last one, so there is no circle.
        for _ in 0..self.nodes.len() {
            let node = self.nodes.get(heir);
            match node.and_then(|node| node.reassigned_to.as_ref()) {
                Some(next) => heir = next,
                None => break,
            }
        }
        heir
    }

    /// The category that this one stands below; `None` at the top.
    fn parent<'t>(&'t self, node: &'t Node) -> Option<&'t CategoryId> {
        let parent_id = node.parent_id.as_ref()?;
        Some(self.heir(parent_id))
    }

    /// A category and those above it, up to the top. It is empty if there is no such category.
    fn line<'t>(&'t self, category_id: &'t CategoryId) -> Vec<&'t Node> {
        let mut line = Vec::new();
        let mut next = Some(category_id);
        while let Some(node) = next.and_then(|id| self.nodes.get(id)) {
            line.push(node);
            // Rows that are read while they change could lead in a circle.
            if line.len() > MOST_DEPTH {
                break;
            }
            next = self.parent(node);
        }
        line
    }

    /// Where a category stands; `None` if there is no such category.
    #[must_use]
    pub fn place(&self, category_id: &CategoryId) -> Option<Place<'_>> {
        let (id, _) = self.nodes.get_key_value(category_id)?;
        let line = self.line(id);
        let node = *line.first()?;
        let slugs: Vec<&str> = line.iter().rev().map(|node| node.slug.as_str()).collect();
        Some(Place {
            node,
            parent_id: self.parent(node),
            path: slugs.join("/"),
            depth: line.len(),
        })
    }

    /// The path of a category with this slug below this one, or at the top.
    #[must_use]
    pub fn path_below(&self, parent_id: Option<&CategoryId>, slug: &Slug) -> String {
        match parent_id.and_then(|parent_id| self.place(parent_id)) {
            Some(parent) => format!("{}/{slug}", parent.path),
            None => slug.to_string(),
        }
    }

    /// The categories that stand directly below this one, in their order.
    #[must_use]
    pub fn children(&self, category_id: &CategoryId) -> Vec<&Node> {
        let mut below = self.below();
        below.remove(&Some(category_id)).unwrap_or_default()
    }

    /// The categories that were put below this one, and have not gone elsewhere yet if it is being deleted; by id, at most `limit`.
    pub(crate) fn stored_children(&self, category_id: &CategoryId, limit: usize) -> Vec<&Node> {
        let nodes = self.nodes.values();
        let below = nodes.filter(|node| node.parent_id.as_ref() == Some(category_id));
        below.take(limit).collect()
    }

    /// Whether what is in a category that is being deleted goes to this one.
    pub(crate) fn is_target(&self, category_id: &CategoryId) -> bool {
        let mut nodes = self.nodes.values();
        nodes.any(|node| node.reassigned_to.as_ref() == Some(category_id))
    }

    /// All categories, each before those below it, and these in their order.
    #[must_use]
    pub fn places(&self) -> Vec<Place<'_>> {
        let mut found = Vec::with_capacity(self.nodes.len());
        walk(&self.below(), None, &mut found);
        found
    }

    fn below(&self) -> Below<'_> {
        let mut below = Below::new();
        for node in self.nodes.values() {
            below.entry(self.parent(node)).or_default().push(node);
        }
        for nodes in below.values_mut() {
            nodes.sort_by_key(|node| (node.position, &node.name, &node.id));
        }
        below
    }

    /// How many categories stand below each other from this one on, itself included. A new one has 1.
    fn height(&self, category_id: &CategoryId) -> usize {
        height_of(&self.below(), category_id, MOST_DEPTH + 1)
    }

    /// Whether a category, which may be new, can stand below this one, or at the top, with this slug.
    ///
    /// # Errors
    /// [`Refusal::TooMany`], [`Refusal::Parent`], [`Refusal::SlugTaken`].
    pub fn check_place(
        &self,
        category_id: &CategoryId,
        parent_id: Option<&CategoryId>,
        slug: &Slug,
    ) -> Result<(), Refusal> {
        if !self.nodes.contains_key(category_id) && self.nodes.len() >= MOST_CATEGORIES {
            let most = MOST_CATEGORIES;
            return Err(Refusal::TooMany { most });
        }
        if let Some(parent_id) = parent_id {
            let height = self.height(category_id);
            self.check_above(category_id, parent_id, height)
                .map_err(|reason| {
                    let parent_id = parent_id.clone();
                    Refusal::Parent { parent_id, reason }
                })?;
        }
        self.check_slug(category_id, parent_id, slug)
    }

    /// Whether all that stands below a category can stand below another one instead.
    ///
    /// # Errors
    /// [`Refusal::Target`], [`Refusal::SlugTaken`].
    pub fn check_reassignment(
        &self,
        category_id: &CategoryId,
        reassign_to: &CategoryId,
    ) -> Result<(), Refusal> {
        let height = self.height(category_id).saturating_sub(1);
        self.check_above(category_id, reassign_to, height)
            .map_err(|reason| {
                let reassign_to = reassign_to.clone();
                Refusal::Target {
                    reassign_to,
                    reason,
                }
            })?;
        for child in self.children(category_id) {
            self.check_slug(&child.id, Some(reassign_to), &child.slug)?;
        }
        Ok(())
    }

    /// Whether so much of a category, by its height, can stand below this one.
    fn check_above(
        &self,
        category_id: &CategoryId,
        parent_id: &CategoryId,
        height: usize,
    ) -> Result<(), Misplaced> {
        if parent_id == category_id {
            return Err(Misplaced::Itself);
        }
        let line = self.line(parent_id);
        let Some(parent) = line.first() else {
            return Err(Misplaced::Unknown);
        };
        if parent.reassigned_to.is_some() {
            return Err(Misplaced::Closing);
        }
        if line.iter().any(|node| node.id == *category_id) {
            return Err(Misplaced::Below);
        }
        if line.len() + height > MOST_DEPTH {
            return Err(Misplaced::TooDeep);
        }
        Ok(())
    }

    fn check_slug(
        &self,
        category_id: &CategoryId,
        parent_id: Option<&CategoryId>,
        slug: &Slug,
    ) -> Result<(), Refusal> {
        let mut nodes = self.nodes.values();
        let taken = nodes.find(|node| {
            node.slug == *slug && node.id != *category_id && self.parent(node) == parent_id
        });
        match taken {
            None => Ok(()),
            Some(node) => Err(Refusal::SlugTaken {
                slug: slug.clone(),
                category_id: node.id.clone(),
            }),
        }
    }
}

fn walk<'t>(below: &Below<'t>, parent: Option<&Place<'t>>, found: &mut Vec<Place<'t>>) {
    let parent_id = parent.map(|parent| &parent.node.id);
    for node in below.get(&parent_id).into_iter().flatten().copied() {
        let place = Place {
            node,
            parent_id,
            path: match parent {
                None => node.slug.to_string(),
                Some(parent) => format!("{}/{}", parent.path, node.slug),
            },
            depth: parent.map_or(0, |parent| parent.depth) + 1,
        };
        found.push(place.clone());
        walk(below, Some(&place), found);
    }
}

fn height_of(below: &Below<'_>, category_id: &CategoryId, most: usize) -> usize {
    if most == 0 {
        return 0;
    }
    let children = below.get(&Some(category_id)).into_iter().flatten();
    let heights = children.map(|child| height_of(below, &child.id, most - 1));
    1 + heights.max().unwrap_or(0)
}
