//! Categories: what products are grouped by. They are a tree: each stands below another one or at the top.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{CategoryId, Retention, Sequence, Slug, Text, Timestamp};

contracts! {
    kept Retention::Forever;
    Created: "category.created", Normal, "commerce-catalog-api", "category" [category_id];
    Deleted: "category.deleted", Normal, "commerce-catalog-api", "category" [category_id];
    Updated: "category.updated", Normal, "commerce-catalog-api", "category" [category_id];
}

/// The slugs from the top down to a category, joined by `/`: at most nine of at most 100 characters, and what joins them. Eight
/// categories stand below each other; what goes elsewhere, because the one above it is being deleted, can come from below the eighth.
pub type CategoryPath = Text<908>;

/// What the values of an attribute are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum AttributeType {
    /// Any text.
    Text,
    /// A decimal number: `12.5`.
    Number,
    /// `true` or `false`.
    Bool,
    /// One of the values that the definition lists.
    Enum,
}

impl fmt::Display for AttributeType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Number => "number",
            Self::Bool => "bool",
            Self::Enum => "enum",
        })
    }
}

/// What a category says of an attribute of its products' variants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct AttributeDefinition {
    /// The attribute's name: `colour`.
    pub name: Text<50>,
    /// What its values are.
    #[serde(rename = "type")]
    pub attribute_type: AttributeType,
    /// The values of an `enum`; absent for the others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub values: Vec<Text<200>>,
    /// Whether customers can narrow a list of products by it.
    pub filterable: bool,
}

/// A category as the catalogue shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Category {
    /// The category.
    pub id: CategoryId,
    /// The one that it stands below; absent if it stands at the top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<CategoryId>,
    /// What it is called.
    pub name: Text<200>,
    /// Its part of the path.
    pub slug: Slug,
    /// Its place among those below the same category, the lowest first; of equal ones the name decides.
    pub position: u32,
    /// What it says of the attributes of its products' variants.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<AttributeDefinition>,
    /// Where its products and the categories below it go: present while it is being deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reassigned_to: Option<CategoryId>,
}

/// What of a category changed. An update that changes more than one of these names the first of them.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum ChangeType {
    /// It is being deleted: its products and the categories below it go to another one.
    Closing,
    /// It stands below another category, or at the top.
    Moved,
    /// Its part of the path.
    SlugChanged,
    /// Its name.
    Renamed,
    /// What it says of attributes.
    AttributesChanged,
    /// Its place among those below the same category.
    PositionChanged,
}

/// The values of a category that an update changed; those that it did not change are absent.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Values {
    /// The category that it stands below; absent, too, if it stood or stands at the top.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent_id: Option<CategoryId>,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<Text<200>>,
    /// Its part of the path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub slug: Option<Slug>,
    /// Its place.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub position: Option<u32>,
    /// All that it says of attributes; absent, too, if it said or says nothing.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attributes: Vec<AttributeDefinition>,
    /// Where its products and the categories below it go.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reassigned_to: Option<CategoryId>,
}

/// A category was made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    /// The category.
    pub category_id: CategoryId,
    /// The category as the catalogue shows it.
    pub category: Category,
    /// Its path at that moment.
    pub path: CategoryPath,
    /// When it was made.
    pub created_at: Timestamp,
    /// Who made it: the user for whom the caller acted, else the owner of its key.
    pub created_by: Text<256>,
    /// The category's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// A category changed. What stands below it has another path from then on, too, and no event of its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Updated {
    /// The category.
    pub category_id: CategoryId,
    /// When it changed.
    pub updated_at: Timestamp,
    /// Who changed it: the user for whom the caller acted, else the owner of its key; `system` for a category that goes where a
    /// deletion sends it.
    pub updated_by: Text<256>,
    /// What of it changed.
    pub change_type: ChangeType,
    /// What changed, as it was before.
    pub previous_values: Values,
    /// What changed, as it is from now on.
    pub new_values: Values,
    /// Its path before; absent if this changes no path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub previous_path: Option<CategoryPath>,
    /// Its path from now on; absent if this changes no path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<CategoryPath>,
    /// The category as the catalogue shows it from now on.
    pub category: Category,
    /// The category's version after this event; projections use it as their version guard.
    pub version: Sequence,
}

/// A category was deleted, for ever. No product is in it any more, and no category stands below it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Deleted {
    /// The category.
    pub category_id: CategoryId,
    /// Where its products and the categories below it went; absent if it had none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reassigned_to: Option<CategoryId>,
    /// When it was deleted.
    pub deleted_at: Timestamp,
    /// Who deleted it: the user for whom the caller acted, else the owner of its key; `system` if something had to go elsewhere first.
    pub deleted_by: Text<256>,
    /// The category's version after this event; projections use it as their version guard.
    pub version: Sequence,
}
