//! Stream tokens. A browser's `EventSource` cannot send headers, so it presents a token instead of an API key. Tokens
//! are signed and short-lived, and are not stored. They can only open a connection.

use std::{fmt, time::Duration};

use api::Caller;
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use events::Timestamp;
use hmac::{Hmac, KeyInit as _, Mac as _};
use outbox::env::{Env, SettingError, wrong};
use serde::{Deserialize, Serialize};
use sha2::Sha256;

use crate::filter::Filter;

/// The minimum length of a secret in bytes: the length of the hash.
const MIN_SECRET_BYTES: usize = 32;

/// The prefix of every token. It is part of the signed text.
const VERSION: &str = "st1";

/// The maximum length of a token. Longer texts are refused unread.
const MAX_LENGTH: usize = 8 * 1024;

/// The claims of a token: the caller, the expiry and the filter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claims {
    /// The owner of the API key that the token was made with.
    pub owner: String,
    /// The id of that key.
    pub key_id: String,
    /// When the token expires, in milliseconds since 1970.
    pub expires_at: i64,
    /// The token's filter. A connection's own filter applies in addition.
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
        // The secret must not be printed.
        f.debug_struct("Tokens")
            .field("life", &self.life)
            .finish_non_exhaustive()
    }
}

/// The secret is too short.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TooShort;

impl Tokens {
    /// Creates the issuer from a secret and the lifetime of a token.
    ///
    /// # Errors
    /// [`TooShort`] below 32 bytes.
    pub fn new(secret: &str, life: Duration) -> Result<Self, TooShort> {
        if secret.len() < MIN_SECRET_BYTES {
            return Err(TooShort);
        }
        let mac = Hmac::new_from_slice(secret.as_bytes()).map_err(|_| TooShort)?;
        Ok(Self { mac, life })
    }

    /// Reads the secret from the settings.
    ///
    /// # Errors
    /// [`SettingError`] names the key.
    pub fn from_env(env: &Env, life: Duration) -> Result<Self, SettingError> {
        const KEY: &str = "STREAM_TOKEN_SECRET";
        Self::new(env.required(KEY)?, life)
            .map_err(|TooShort| wrong(KEY, format!("at least {MIN_SECRET_BYTES} bytes")))
    }

    /// Issues a token for a caller. Also returns its expiry.
    ///
    /// # Errors
    /// If the token cannot be encoded.
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

    /// Returns the claims of a token; `None` if it is not valid or has expired.
    #[must_use]
    pub fn verify(&self, token: &str, now: Timestamp) -> Option<Claims> {
        if token.len() > MAX_LENGTH {
            return None;
        }
        let (signed, signature) = token.rsplit_once('.')?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        // The comparison takes constant time.
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
