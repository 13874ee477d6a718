//! Pages of lists: the size, the start, and the start of the next page.

use std::{borrow::Cow, fmt};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use events::Violation;
use outbox::{Cursor, Item};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use sha2::{Digest, Sha256};

use crate::Problem;

/// The largest page.
pub const MAX_PAGE: u32 = 100;
const DEFAULT_PAGE: u32 = 20;
/// The keys of a DynamoDB item take at most 2,048 + 1,024 bytes, twice with an index. Base64 turns 3 bytes into 4.
const MAX_TOKEN: usize = 8 * 1024;
const SEAL_BYTES: usize = 8;

/// The number of items on a page: 1 to [`MAX_PAGE`], 20 by default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageLimit(u32);

impl PageLimit {
    /// The number.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }
}

impl Default for PageLimit {
    fn default() -> Self {
        Self(DEFAULT_PAGE)
    }
}

impl<'de> Deserialize<'de> for PageLimit {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let number = u32::deserialize(deserializer)?;
        if (1..=MAX_PAGE).contains(&number) {
            Ok(Self(number))
        } else {
            Err(de::Error::custom("out of range"))
        }
    }
}

impl JsonSchema for PageLimit {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "PageLimit".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "integer", "minimum": 1, "maximum": MAX_PAGE, "default": DEFAULT_PAGE,
            "x-integer": true, "x-expected": format!("an integer from 1 to {MAX_PAGE}"),
        })
    }
}

/// Where a page begins, opaque to callers. It is valid only for the list that returned it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CursorToken(String);

impl CursorToken {
    /// The token of a store's cursor into a list. `list` identifies the list: its table, its partition and whatever
    /// else distinguishes it.
    #[must_use]
    pub fn seal(list: &str, cursor: &Cursor) -> Self {
        let json = serde_json::Value::Object(cursor.0.clone()).to_string();
        let mut bytes = digest(list, json.as_bytes());
        bytes.extend_from_slice(json.as_bytes());
        Self(URL_SAFE_NO_PAD.encode(bytes))
    }

    /// The store's cursor. The seal is not a secret: it catches damaged cursors and cursors of other lists before the
    /// store does. Access control does not depend on it, because the list's partition always comes from the request.
    ///
    /// # Errors
    /// 400 naming `/query/cursor`.
    pub fn open(&self, list: &str) -> Result<Cursor, Problem> {
        let refused = || {
            Problem::invalid_parameter(vec![Violation::new(
                "/query/cursor",
                "is not a cursor of this list",
            )])
        };
        if self.0.len() > MAX_TOKEN {
            return Err(refused());
        }
        let bytes = URL_SAFE_NO_PAD.decode(&self.0).map_err(|_| refused())?;
        let (seal, json) = bytes.split_at_checked(SEAL_BYTES).ok_or_else(refused)?;
        if seal != digest(list, json) {
            return Err(refused());
        }
        serde_json::from_slice::<Item>(json)
            .map(Cursor)
            .map_err(|_| refused())
    }
}

fn digest(list: &str, json: &[u8]) -> Vec<u8> {
    let mut hash = Sha256::new();
    hash.update(list.len().to_be_bytes());
    hash.update(list.as_bytes());
    hash.update(json);
    hash.finalize()[..SEAL_BYTES].to_vec()
}

impl fmt::Display for CursorToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Serialize for CursorToken {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for CursorToken {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(Self)
    }
}

impl JsonSchema for CursorToken {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "Cursor".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "description": "next_cursor of the previous page; opaque, valid only for the same list." })
    }
}

/// The query parameters of a list: `limit` and `cursor`.
#[derive(Debug, Clone, Default, Deserialize, JsonSchema)]
pub struct PageQuery {
    /// The largest number of items on the page.
    #[serde(default)]
    pub limit: PageLimit,
    /// `next_cursor` of the previous page, to continue after it.
    #[serde(default)]
    pub cursor: Option<CursorToken>,
}

impl PageQuery {
    /// Puts limit and start into a store's query.
    ///
    /// # Errors
    /// 400 if the cursor belongs to another query.
    pub fn apply(&self, mut query: outbox::Query) -> Result<outbox::Query, Problem> {
        query.limit = self.limit.number();
        if let Some(token) = &self.cursor {
            query.after = Some(token.open(&list_of(&query))?);
        }
        Ok(query)
    }
}

/// The identity of a query's list: everything that distinguishes it from other lists.
fn list_of(query: &outbox::Query) -> String {
    format!(
        "{}#{}#{}#{}#{}",
        query.table.name(),
        query.index.map_or("", |index| index.name),
        query.descending,
        query.prefix.as_deref().unwrap_or(""),
        query.pk
    )
}

/// A page of a list.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(rename = "PageOf{T}")]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Where the next page begins; null on the last page.
    pub next_cursor: Option<CursorToken>,
}

impl<T> Page<T> {
    /// A page of a store's query, and where that query continues.
    #[must_use]
    pub fn of(query: &outbox::Query, items: Vec<T>, next: Option<&Cursor>) -> Self {
        Self {
            items,
            next_cursor: next.map(|cursor| CursorToken::seal(&list_of(query), cursor)),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use outbox::Table;
    use serde_json::json;

    use super::*;

    fn cursor() -> Cursor {
        Cursor(
            json!({ "pk": "a", "sk": "00012" })
                .as_object()
                .unwrap()
                .clone(),
        )
    }

    #[test]
    fn a_cursor_opens_in_its_own_list_only() {
        let table = Table::domain("cloud");
        let query = outbox::Query::partition(&table, "member#1", 20);
        let page = Page::of(&query, vec![1], Some(&cursor()));
        let asked = PageQuery {
            limit: PageLimit(5),
            cursor: page.next_cursor,
        };
        let next = asked.apply(query).unwrap();
        assert_eq!(next.after, Some(cursor()));
        assert_eq!(next.limit, 5);
        let mut other = outbox::Query::partition(&table, "member#2", 20);
        assert_eq!(asked.apply(other.clone()).unwrap_err().status(), 400);
        other.pk = "member#1".into();
        other.descending = true;
        assert_eq!(asked.apply(other).unwrap_err().status(), 400);
    }

    #[test]
    fn no_text_makes_a_cursor_panic_or_pass() {
        let good = CursorToken::seal("list", &cursor()).to_string();
        let mut texts: Vec<String> = (0..good.len()).map(|at| good[..at].to_owned()).collect();
        texts.extend(["é", "====", "null", "AAAAAAAAAAAA"].map(str::to_owned));
        texts.push("A".repeat(MAX_TOKEN + 1));
        for text in texts {
            assert!(CursorToken(text.clone()).open("list").is_err(), "{text}");
        }
        assert_eq!(CursorToken(good).open("list").unwrap(), cursor());
    }
}
