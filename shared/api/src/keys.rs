//! API keys: stored as hashes with owner and scopes, and checked by one consistent read per request.
//!
//! A key is `mr_<key_id>_<secret>` with 256 random bits, so one round of SHA-256 is enough to protect it. There is no
//! cache, so a deleted key stops working with the next request. That costs half a read unit per request, rounded up to
//! one because the read is consistent.

use std::{borrow::Cow, fmt, str::FromStr, sync::Arc};

use async_trait::async_trait;
use events::{Text, Timestamp};
use outbox::{
    Clock, Condition, Cursor, Error, Evidence, Fault, FaultKind, Item, Key, Prepared, Reason, Scan,
    Sendings, Store, Table, Transaction, Write, decode_item, send_until_known,
};
use rand::{TryRngCore as _, rngs::OsRng};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::{Deserialize, Deserializer, Serialize, de};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

use crate::Caller;

const PREFIX: &str = "mr_";
const SORT: &str = "key";
const SECRET_BYTES: usize = 32;
const ID_BYTES: usize = 12;

/// Why a text is not a valid owner or scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be {0}")]
pub struct Malformed(&'static str);

macro_rules! checked_text {
    ($(#[$doc:meta])* $name:ident, $pattern:literal, $max:literal, $expected:literal, $valid:expr) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
        #[serde(transparent)]
        pub struct $name(Text<$max>);

        impl $name {
            /// The checked text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl FromStr for $name {
            type Err = Malformed;
            fn from_str(text: &str) -> Result<Self, Malformed> {
                let valid: fn(&str) -> bool = $valid;
                match Text::new(text) {
                    Ok(checked) if valid(text) => Ok(Self(checked)),
                    _ => Err(Malformed($expected)),
                }
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(self.as_str())
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                Cow::<'de, str>::deserialize(deserializer)?.parse().map_err(de::Error::custom)
            }
        }

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }
            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!({ "type": "string", "pattern": $pattern, "maxLength": $max, "x-expected": $expected })
            }
        }
    };
}

checked_text!(
    /// The owner of a key. It is part of the key of every request mark, where `#` separates the parts, so it cannot
    /// contain `#`.
    Owner, r"^[A-Za-z0-9][A-Za-z0-9._@:/-]*$", 64,
    "1 to 64 letters, digits, '.', '_', '@', ':', '/', '-', starting with a letter or digit",
    |text| text.starts_with(|c: char| c.is_ascii_alphanumeric())
        && text.chars().all(|c| c.is_ascii_alphanumeric() || "._@:/-".contains(c))
);

checked_text!(
    /// What a key is allowed to do: `<first path segment after /api/v1>:read`, `:write`, `:approve` for decisions that
    /// need a second person, or `*` for everything. No scope except `*` includes another.
    Scope, r"^(\*|[a-z][a-z0-9_-]*:(read|write|approve))$", 64,
    "'*' or <first path segment>:read, :write or :approve",
    |text| text == "*" || text.split_once(':').is_some_and(|(segment, access)| {
        segment.starts_with(|c: char| c.is_ascii_lowercase())
            && segment.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_' || c == '-')
            && matches!(access, "read" | "write" | "approve")
    })
);

impl Owner {
    /// The owner in the form in which states and events record who requested something and who approved it.
    #[must_use]
    pub fn as_text(&self) -> &Text<64> {
        &self.0
    }
}

impl Scope {
    /// The scope that includes every other one.
    pub const ALL: &str = "*";

    /// Whether this scope covers an endpoint that needs `needed`.
    #[must_use]
    pub fn covers(&self, needed: &str) -> bool {
        self.as_str() == Self::ALL || self.as_str() == needed
    }
}

/// A key as it is stored: the hash of the key, never the secret.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct StoredKey {
    key_id: String,
    sha256: String,
    owner: Owner,
    scopes: Vec<Scope>,
    created_at: Timestamp,
}

/// A key as it is listed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct KeyInfo {
    /// The id of the key.
    pub key_id: String,
    /// The owner of the key.
    pub owner: Owner,
    /// What the key is allowed to do.
    pub scopes: Vec<Scope>,
    /// When the key was created.
    pub created_at: Timestamp,
}

/// A key that was just created. Its text is known only at this moment.
#[derive(Clone)]
pub struct NewKey {
    stored: StoredKey,
    text: String,
}

impl fmt::Debug for NewKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("NewKey")
            .field("key_id", &self.stored.key_id)
            .finish_non_exhaustive()
    }
}

impl NewKey {
    /// Creates a key from the operating system's randomness.
    ///
    /// # Errors
    /// [`Fault`] if the operating system has no randomness.
    pub fn generate(owner: Owner, scopes: Vec<Scope>, now: Timestamp) -> Result<Self, Fault> {
        let mut bytes = [0_u8; ID_BYTES + SECRET_BYTES];
        OsRng
            .try_fill_bytes(&mut bytes)
            .map_err(|error| Fault::new(FaultKind::Unavailable, "getrandom", error))?;
        let (id, secret) = bytes.split_at(ID_BYTES);
        let key_id = hex(id);
        let text = format!("{PREFIX}{key_id}_{}", hex(secret));
        Ok(Self {
            stored: StoredKey {
                key_id,
                sha256: hash(&text),
                owner,
                scopes,
                created_at: now,
            },
            text,
        })
    }

    /// The id of the key.
    #[must_use]
    pub fn key_id(&self) -> &str {
        &self.stored.key_id
    }

    /// The text of the key: to be shown once and stored nowhere.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }
}

/// The table of API keys.
#[derive(Clone)]
pub struct Keys {
    store: Arc<dyn Store>,
    table: Table,
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys")
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

impl Keys {
    /// The keys in `table`.
    pub fn new(store: Arc<dyn Store>, table: Table) -> Self {
        Self { store, table }
    }

    fn row_key(&self, key_id: &str) -> Key {
        self.table.key(format!("key#{key_id}"), SORT)
    }

    /// The caller who presents this key; `None` if the key is unknown. Costs one consistent read, or none if the text
    /// cannot be a key.
    ///
    /// # Errors
    /// [`Error`] when the store fails.
    pub async fn verify(&self, presented: &str) -> Result<Option<Caller>, Error> {
        let Some(key_id) = presented
            .strip_prefix(PREFIX)
            .and_then(|rest| rest.split_once('_'))
            .map(|(key_id, _)| key_id)
            .filter(|key_id| is_key_id(key_id))
        else {
            return Ok(None);
        };
        let key = self.row_key(key_id);
        let Some(item) = self.store.get(&key).await? else {
            return Ok(None);
        };
        let stored: StoredKey = decode_item(&key, item)?;
        let same = hash(presented)
            .as_bytes()
            .ct_eq(stored.sha256.as_bytes())
            .into();
        Ok(if same {
            Some(Caller::new(stored.key_id, stored.owner, stored.scopes))
        } else {
            None
        })
    }

    /// Adds a new key to a command's transaction.
    ///
    /// # Errors
    /// [`outbox::BuildError`] if the key cannot be written as an item.
    pub fn insert(
        &self,
        transaction: &mut Transaction,
        key: &NewKey,
    ) -> Result<(), outbox::BuildError> {
        transaction.insert(self.row_key(key.key_id()), &key.stored)
    }

    /// Writes a new key directly, for operators' tools. A command of the API uses [`Self::insert`].
    ///
    /// # Errors
    /// [`Error`] if the store fails. After [`Error::Unknown`] the key might have been written.
    pub async fn create(&self, clock: &dyn Clock, key: &NewKey) -> Result<(), Error> {
        let at = self.row_key(key.key_id());
        let write = Write::put(at, &key.stored, Condition::Absent)?;
        // The id is random, so only our own earlier attempt can make the condition fail.
        self.write(clock, write).await
    }

    /// Deletes a key. Deleting a key that does not exist succeeds.
    ///
    /// Needs no mark: deleting again changes nothing, and ids are never reused.
    ///
    /// # Errors
    /// [`Error`] if the store fails.
    pub async fn delete(&self, clock: &dyn Clock, key_id: &str) -> Result<(), Error> {
        if !is_key_id(key_id) {
            return Ok(());
        }
        let write = Write::Delete {
            key: self.row_key(key_id),
            condition: Condition::Present,
        };
        // If the condition fails, the key does not exist or was already deleted.
        self.write(clock, write).await
    }

    async fn write(&self, clock: &dyn Clock, write: Write) -> Result<(), Error> {
        let evidence = KeyRow {
            store: &*self.store,
            key: write.key().clone(),
            due: match &write {
                Write::Put { item, .. } => Some(item.clone()),
                _ => None,
            },
        };
        let prepared = Prepared::new(clock.uuid().to_string(), vec![write]);
        let sendings = Sendings::default();
        send_until_known(&*self.store, clock, &prepared, sendings, &evidence).await
    }

    /// A page of all keys, in no particular order.
    ///
    /// # Errors
    /// [`Error`] if the store fails or a row cannot be read.
    pub async fn list(
        &self,
        after: Option<Cursor>,
        limit: u32,
    ) -> Result<(Vec<KeyInfo>, Option<Cursor>), Error> {
        let page = self
            .store
            .scan(&Scan {
                table: self.table.clone(),
                without: None,
                limit,
                after,
            })
            .await?;
        let place = self.row_key("*");
        let keys = page
            .items
            .into_iter()
            .map(|item| decode_item::<KeyInfo>(&place, item))
            .collect::<Result<_, _>>()?;
        Ok((keys, page.next))
    }

    /// Checks that the table answers.
    ///
    /// # Errors
    /// [`Fault`] if it does not.
    pub async fn probe(&self) -> Result<(), Fault> {
        // No key has this id, because ids are hexadecimal.
        self.store.get(&self.row_key("health")).await.map(drop)
    }
}

/// A key's row. It shows whether the write or the delete took effect.
struct KeyRow<'a> {
    store: &'a dyn Store,
    key: Key,
    /// The row after the write; `None` if it was deleted.
    due: Option<Item>,
}

#[async_trait]
impl Evidence for KeyRow<'_> {
    type Verdict = ();

    fn written(&self) {}

    async fn look(&self) -> Result<Option<()>, Error> {
        let found = self.store.get(&self.key).await?;
        Ok((found == self.due).then_some(()))
    }

    async fn cancelled(
        &self,
        reasons: &[Reason],
        _is_answer_lost: bool,
    ) -> Result<Option<()>, Error> {
        // The row already is as wanted; see the comments in `create` and `delete`.
        if reasons.contains(&Reason::ConditionFailed) {
            return Ok(Some(()));
        }
        match reasons.iter().find_map(|reason| match reason {
            Reason::Other(code) => Some(code),
            _ => None,
        }) {
            Some(code) => Err(Error::Refused(code.clone())),
            None => Ok(None),
        }
    }
}

fn is_key_id(text: &str) -> bool {
    text.len() == ID_BYTES * 2
        && text
            .bytes()
            .all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

fn hash(text: &str) -> String {
    hex(&Sha256::digest(text.as_bytes()))
}

fn hex(bytes: &[u8]) -> String {
    const DIGITS: [char; 16] = [
        '0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'a', 'b', 'c', 'd', 'e', 'f',
    ];
    bytes
        .iter()
        .flat_map(|byte| {
            [
                DIGITS[usize::from(byte >> 4)],
                DIGITS[usize::from(byte & 15)],
            ]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use events::{validator_for, violations_of};
    use outbox::{SystemClock, memory::MemoryStore};
    use serde_json::json;

    use super::*;

    fn keys() -> (Arc<MemoryStore>, Keys) {
        let store = Arc::new(MemoryStore::new());
        (Arc::clone(&store), Keys::new(store, Table::domain("keys")))
    }

    fn new_key(owner: &str) -> NewKey {
        NewKey::generate(
            owner.parse().unwrap(),
            vec!["cloud:read".parse().unwrap()],
            Timestamp::EPOCH,
        )
        .unwrap()
    }

    #[tokio::test]
    async fn a_created_key_is_known_until_it_is_deleted() {
        let (_, keys) = keys();
        let key = new_key("billing");
        keys.create(&SystemClock, &key).await.unwrap();
        let caller = keys.verify(key.text()).await.unwrap().expect("known");
        assert_eq!(caller.owner().as_str(), "billing");
        assert_eq!(caller.key_id(), key.key_id());
        keys.delete(&SystemClock, key.key_id()).await.unwrap();
        assert!(keys.verify(key.text()).await.unwrap().is_none());
        keys.delete(&SystemClock, key.key_id()).await.unwrap();
    }

    #[tokio::test]
    async fn the_table_never_holds_the_secret_and_the_list_not_even_its_hash() {
        let (store, keys) = keys();
        let key = new_key("billing");
        keys.create(&SystemClock, &key).await.unwrap();
        let secret = key.text().rsplit('_').next().unwrap();
        let stored = format!("{:?}", store.items(&Table::domain("keys")));
        assert!(stored.contains(key.key_id()) && !stored.contains(secret));
        let (listed, _) = keys.list(None, 10).await.unwrap();
        let listed = serde_json::to_string(&listed).unwrap();
        assert!(listed.contains("billing") && !listed.contains("sha256"));
        assert!(!format!("{key:?}").contains(secret));
    }

    #[tokio::test]
    async fn a_key_with_another_secret_or_shape_is_unknown() {
        let (_, keys) = keys();
        let key = new_key("billing");
        keys.create(&SystemClock, &key).await.unwrap();
        let other = new_key("billing");
        let mixed = format!(
            "mr_{}_{}",
            key.key_id(),
            other.text().rsplit('_').next().unwrap()
        );
        let shortened = &key.text()[..key.text().len() - 1];
        for text in [
            "",
            "mr_",
            "mr__",
            "mr_x_y",
            "Bearer",
            "mr_#_a",
            &mixed,
            shortened,
            other.text(),
            &key.text().to_uppercase(),
        ] {
            assert!(keys.verify(text).await.unwrap().is_none(), "{text}");
        }
    }

    #[test]
    fn owners_and_scopes_are_what_their_schemas_say() {
        let owner = validator_for(&crate::closed_schema_of::<Owner>()).unwrap();
        for text in [
            "a",
            "team/billing",
            "ops@example.org",
            "",
            "a#b",
            "-a",
            "a b",
            "é",
            &"a".repeat(64),
            &"a".repeat(65),
        ] {
            assert_eq!(
                text.parse::<Owner>().is_ok(),
                violations_of(&owner, &json!(text), "").is_empty(),
                "{text}"
            );
        }
        assert!("a#b".parse::<Owner>().is_err());
        let scope = validator_for(&crate::closed_schema_of::<Scope>()).unwrap();
        for text in [
            "*",
            "cloud:read",
            "cloud:write",
            "cloud:approve",
            "cloud:*",
            "cloud",
            ":read",
            "Cloud:read",
            "cloud:read:x",
            "",
            "**",
        ] {
            assert_eq!(
                text.parse::<Scope>().is_ok(),
                violations_of(&scope, &json!(text), "").is_empty(),
                "{text}"
            );
        }
        assert!(
            "cloud:write"
                .parse::<Scope>()
                .unwrap()
                .covers("cloud:write")
        );
        assert!(!"cloud:write".parse::<Scope>().unwrap().covers("cloud:read"));
        assert!(
            !"cloud:write"
                .parse::<Scope>()
                .unwrap()
                .covers("cloud:approve")
        );
        assert!("*".parse::<Scope>().unwrap().covers("cloud:approve"));
    }
}
