//! Items, keys and tables, without any type of the SDK: an item is a JSON object.

use std::{fmt, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use crate::Error;

/// A stored item: attribute names with JSON values. Numbers of at most 15 digits are exact (design: amounts).
pub type Item = Map<String, Value>;

/// A table: its physical name, from the settings or the stack's resources, and the names of its key attributes.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Table {
    name: Arc<str>,
    partition: &'static str,
    sort: Option<&'static str>,
}

impl Table {
    /// A domain's table, keyed by `pk` and `sk`.
    pub fn domain(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            partition: "pk",
            sort: Some("sk"),
        }
    }

    /// The event log, keyed by `aggregate` and `sequence`.
    pub fn events(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            partition: "aggregate",
            sort: Some("sequence"),
        }
    }

    /// The marks table, keyed by `mark`.
    pub fn marks(name: impl Into<Arc<str>>) -> Self {
        Self {
            name: name.into(),
            partition: "mark",
            sort: None,
        }
    }

    /// The physical name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The partition key's attribute.
    #[must_use]
    pub fn partition(&self) -> &'static str {
        self.partition
    }

    /// The sort key's attribute, if the table has one.
    #[must_use]
    pub fn sort(&self) -> Option<&'static str> {
        self.sort
    }

    /// The key of an item whose sort key is a text.
    pub fn key(&self, pk: impl Into<String>, sk: impl Into<String>) -> Key {
        Key {
            table: self.clone(),
            pk: pk.into(),
            sk: Some(SortKey::Text(sk.into())),
        }
    }

    /// The key of an item whose sort key is a number.
    pub fn numbered_key(&self, pk: impl Into<String>, sk: u64) -> Key {
        Key {
            table: self.clone(),
            pk: pk.into(),
            sk: Some(SortKey::Number(sk)),
        }
    }

    /// The key of an item in a table without a sort key.
    pub fn single_key(&self, pk: impl Into<String>) -> Key {
        Key {
            table: self.clone(),
            pk: pk.into(),
            sk: None,
        }
    }
}

/// A sort key's value.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SortKey {
    /// A number.
    Number(u64),
    /// A text.
    Text(String),
}

impl SortKey {
    pub(crate) fn to_value(&self) -> Value {
        match self {
            Self::Number(number) => Value::from(*number),
            Self::Text(text) => Value::from(text.as_str()),
        }
    }

    pub(crate) fn from_value(value: &Value) -> Option<Self> {
        match value {
            Value::Number(number) => number.as_u64().map(Self::Number),
            Value::String(text) => Some(Self::Text(text.clone())),
            _ => None,
        }
    }
}

/// The table and the key of one item.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Key {
    /// The table.
    pub table: Table,
    /// The partition key's value.
    pub pk: String,
    /// The sort key's value, if the table has a sort key.
    pub sk: Option<SortKey>,
}

impl Key {
    /// Reads the key from an item's attributes; `None` if an attribute is missing or has the wrong type.
    #[must_use]
    pub fn of(table: &Table, item: &Item) -> Option<Self> {
        let pk = item.get(table.partition)?.as_str()?.to_owned();
        let sk = match table.sort {
            Some(name) => Some(SortKey::from_value(item.get(name)?)?),
            None => None,
        };
        let key = Self {
            table: table.clone(),
            pk,
            sk,
        };
        key.is_sound().then_some(key)
    }

    /// Whether the key fits its table: no text is empty, and a sort key is present if and only if the table has one.
    pub(crate) fn is_sound(&self) -> bool {
        !self.pk.is_empty()
            && self.sk.is_some() == self.table.sort.is_some()
            && self.sk != Some(SortKey::Text(String::new()))
    }

    /// The key's attributes.
    #[must_use]
    pub fn attributes(&self) -> Item {
        let mut item = Item::new();
        item.insert(
            self.table.partition.to_owned(),
            Value::from(self.pk.as_str()),
        );
        if let (Some(name), Some(sk)) = (self.table.sort, &self.sk) {
            item.insert(name.to_owned(), sk.to_value());
        }
        item
    }
}

impl fmt::Display for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.table.name, self.pk)?;
        match &self.sk {
            Some(SortKey::Text(text)) => write!(f, "/{text}"),
            Some(SortKey::Number(number)) => write!(f, "/{number}"),
            None => Ok(()),
        }
    }
}

/// Writes a typed row as an item with its key's attributes.
///
/// # Errors
/// [`Error::Item`] when the row is not a JSON object.
pub fn encode_item<T: Serialize>(key: &Key, row: &T) -> Result<Item, Error> {
    let unreadable = |source| Error::Item {
        key: key.to_string(),
        source,
    };
    let mut item = match serde_json::to_value(row).map_err(unreadable)? {
        Value::Object(map) => map,
        _ => {
            return Err(unreadable(serde::ser::Error::custom(
                "a row must be an object",
            )));
        }
    };
    // A null value becomes an absent attribute: conditions and sparse indexes rely on it.
    item.retain(|_, value| !value.is_null());
    item.extend(key.attributes());
    Ok(item)
}

/// Reads a whole number from an item's attribute.
///
/// # Errors
/// [`Error::Item`] names the item and the attribute.
pub(crate) fn whole_number(key: &Key, item: &Item, name: &str) -> Result<u64, Error> {
    let number = item.get(name).and_then(Value::as_u64);
    number.ok_or_else(|| Error::Item {
        key: key.to_string(),
        source: serde::de::Error::custom(format!("attribute {name} is missing or not a number")),
    })
}

/// Reads an item as a typed row. Attributes that the type does not know are ignored.
///
/// # Errors
/// [`Error::Item`] names the item; its source names the attribute.
pub fn decode_item<T: DeserializeOwned>(key: &Key, item: Item) -> Result<T, Error> {
    serde_json::from_value(Value::Object(item)).map_err(|source| Error::Item {
        key: key.to_string(),
        source,
    })
}
