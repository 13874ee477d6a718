//! Stream tokens: what a browser's `EventSource`, which can send no header, presents instead of an API key. Signed, short-lived,
//! kept nowhere; they open a connection and nothing else.

use std::{fmt, time::Duration};

use api::Caller;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use events::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::filter::Filter;

/// The fewest bytes of a secret: as many as its hash has.
pub const MIN_SECRET_BYTES: usize = 32;

/// What every token begins with; part of what is signed.
const VERSION: &str = "st1";

/// The longest text that is looked at.
const MAX_LENGTH: usize = 8 * 1024;

/// Who may open a connection, until when, and to see what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// Whose key the token was made with.
    pub owner: String,
    /// Which key that was.
    pub key_id: String,
    /// Until when it opens a connection, milliseconds since 1970.
    pub expires_at: i64,
    /// What it may see; a connection's own filter comes on top.
    #[serde(default)]
    pub filter: Filter,
}

/// Makes and checks tokens.
#[derive(Clone)]
pub struct Tokens {
    mac: Hmac<Sha256>,
    life: Duration,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Never the secret.
        f.debug_struct("Tokens")
            .field("life", &self.life)
            .finish_non_exhaustive()
    }
}

/// The secret is too short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooShort;

impl Tokens {
    /// With a secret and how long a token opens connections.
    ///
    /// # Errors
    /// [`TooShort`] below [`MIN_SECRET_BYTES`].
    pub fn new(secret: &str, life: Duration) -> Result<Self, TooShort> {
        if secret.len() < MIN_SECRET_BYTES {
            return Err(TooShort);
        }
        let mac = Hmac::new_from_slice(secret.as_bytes()).map_err(|_| TooShort)?;
        Ok(Self { mac, life })
    }

    /// A token for a caller, and until when it opens connections.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn issue(
        &self,
        caller: &Caller,
        filter: Filter,
        now: Timestamp,
    ) -> Result<(String, Timestamp), serde_json::Error> {
        let expires = now.plus(self.life);
        let claims = Claims {
            owner: caller.owner().to_string(),
            key_id: caller.key_id().to_owned(),
            expires_at: expires.unix_millis(),
            filter,
        };
        let body = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&claims)?);
        let signed = format!("{VERSION}.{body}");
        let signature = URL_SAFE_NO_PAD.encode(self.signing(&signed).finalize().into_bytes());
        Ok((format!("{signed}.{signature}"), expires))
    }

    /// What a token says; `None` when it is none of ours or its time is over.
    #[must_use]
    pub fn verify(&self, token: &str, now: Timestamp) -> Option<Claims> {
        if token.len() > MAX_LENGTH {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        // In constant time.
        self.signing(signed).verify_slice(&signature).ok()?;
        let (version, body) = signed.split_once('.')?;
        let claims: Claims = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(body).ok()?).ok()?;
        (version == VERSION && now.unix_millis() < claims.expires_at).then_some(claims)
    }

    fn signing(&self, text: &str) -> Hmac<Sha256> {
        let mut mac = self.mac.clone();
        mac.update(text.as_bytes());
        mac
    }
}
