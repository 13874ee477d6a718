//! Stripe charges. The fact that a charge was minted is kept forever.

use std::{borrow::Cow, fmt};

use events::{IdempotencyKey, Text, TextError, Timestamp, TransactionId};
use outbox::{Key, Table, fact_key};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};

/// The id of a Stripe charge. It identifies the fact that the charge was minted.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(transparent)]
pub struct ChargeId(pub(super) Text<255>);

impl ChargeId {
    /// The longest id in characters: with its prefix it must fit into an idempotency key.
    pub const MAX_LENGTH: usize = 200;

    /// Accepts 1 to 200 visible ASCII characters without `#`.
    ///
    /// # Errors
    /// [`ChargeIdError`].
    pub fn new(text: impl Into<String>) -> Result<Self, ChargeIdError> {
        let text = text.into();
        let shaped = text.len() <= Self::MAX_LENGTH
            && text
                .bytes()
                .all(|byte| byte.is_ascii_graphic() && byte != b'#');
        if !shaped {
            return Err(ChargeIdError);
        }
        Text::new(text).map(Self).map_err(|_| ChargeIdError)
    }

    /// The fact that this charge was minted, as an idempotency key.
    ///
    /// # Errors
    /// [`TextError`]. The id's format makes it impossible.
    pub fn fact(&self) -> Result<IdempotencyKey, TextError> {
        IdempotencyKey::new(format!("stripe/{}", self.0))
    }

    /// The key of the fact's row, a [`MintedCharge`].
    ///
    /// # Errors
    /// [`TextError`]. The id's format makes it impossible.
    pub fn fact_key(&self, table: &Table) -> Result<Key, TextError> {
        Ok(fact_key(table, &self.fact()?))
    }
}

/// Why the id of a charge is not valid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a Stripe charge's id has 1 to 200 visible ASCII characters other than '#'")]
pub struct ChargeIdError;

impl fmt::Display for ChargeId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl<'de> Deserialize<'de> for ChargeId {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::new(String::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl JsonSchema for ChargeId {
    fn inline_schema() -> bool {
        true
    }
    fn schema_name() -> Cow<'static, str> {
        "ChargeId".into()
    }
    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string", "minLength": 1, "maxLength": Self::MAX_LENGTH, "pattern": r##"^[!-"$-~]+$"##,
            "x-expected": "1 to 200 visible ASCII characters other than '#'"
        })
    }
}

/// The row that records that a charge was minted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MintedCharge {
    /// The transaction that minted it.
    pub transaction_id: TransactionId,
    /// When it was minted.
    pub minted_at: Timestamp,
}
