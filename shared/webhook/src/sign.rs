//! Signs webhooks by the Standard Webhooks specification
//! (<https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md>, read 2026-11-29).

use std::fmt;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use http::{
    HeaderMap, HeaderName, HeaderValue,
    header::{CONTENT_TYPE, USER_AGENT},
};
use standardwebhooks::{
    HEADER_WEBHOOK_ID, HEADER_WEBHOOK_SIGNATURE, HEADER_WEBHOOK_TIMESTAMP, Webhook,
};

/// What a secret's text begins with.
const PREFIX: &str = "whsec_";

/// The lengths of a secret, in bytes, by the specification.
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;

/// The most characters of a webhook's id.
const MAX_ID_CHARS: usize = 256;

const AGENT: &str = concat!("Millrace/", env!("CARGO_PKG_VERSION"));

/// The secret with which an endpoint's webhooks are signed. Neither `Debug` nor `Display` shows it.
#[derive(Clone)]
pub struct Secret(Vec<u8>);

/// The text is not a secret. It says nothing of the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a secret is whsec_ followed by the Base64 text of 24 to 64 bytes")]
pub struct SecretError;

impl Secret {
    /// A secret of these bytes. They must come from a random generator for secrets.
    #[must_use]
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes.to_vec())
    }

    /// Reads a secret from the text that [`Secret::expose`] gives. Also accepts secrets from elsewhere, which have 24
    /// to 64 bytes.
    ///
    /// # Errors
    /// [`SecretError`] if the text is not a secret.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(SecretError)?;
        let bytes = STANDARD.decode(encoded).map_err(|_| SecretError)?;
        if !SECRET_BYTES.contains(&bytes.len()) {
            return Err(SecretError);
        }
        Ok(Self(bytes))
    }

    /// The secret as text, to be shown to its owner or stored encrypted.
    #[must_use]
    pub fn expose(&self) -> String {
        format!("{PREFIX}{}", STANDARD.encode(&self.0))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret")
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("whsec_(hidden)")
    }
}

/// Why a webhook cannot be signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignError {
    /// The id does not fit in a header, or has a dot, which separates the signed parts.
    #[error(
        "a webhook's id must have 1 to {MAX_ID_CHARS} visible ASCII characters other than a dot"
    )]
    Id,
    /// The body is not UTF-8 text.
    #[error("a webhook's body must be UTF-8 text")]
    Body,
    /// There is no secret.
    #[error("a webhook must be signed with at least one secret")]
    NoSecret,
}

/// The headers of a webhook: its id, its time, one signature for each secret, its content type (JSON) and the sender.
///
/// The id must stay the same for all attempts, because receivers recognize repeats by it. The time is that of the
/// attempt: receivers refuse times that differ from their own by more than five minutes. While a secret is replaced,
/// pass the new and the old one: receivers accept a webhook if one signature fits.
///
/// # Errors
/// [`SignError`] says what is wrong with the input.
pub fn signed_headers(
    id: &str,
    timestamp_seconds: i64,
    body: &[u8],
    secrets: &[Secret],
) -> Result<HeaderMap, SignError> {
    let fits = (1..=MAX_ID_CHARS).contains(&id.len())
        && id
            .bytes()
            .all(|byte| byte.is_ascii_graphic() && byte != b'.');
    if !fits {
        return Err(SignError::Id);
    }
    if secrets.is_empty() {
        return Err(SignError::NoSecret);
    }
    let mut signatures = Vec::with_capacity(secrets.len());
    for Secret(bytes) in secrets {
        let signed = Webhook::from_bytes(bytes.clone())
            .and_then(|webhook| webhook.sign(id, timestamp_seconds, body));
        signatures.push(signed.map_err(|_| SignError::Body)?);
    }
    let text = |text: &str| HeaderValue::from_str(text).map_err(|_| SignError::Id);
    Ok(HeaderMap::from_iter([
        (CONTENT_TYPE, HeaderValue::from_static("application/json")),
        (USER_AGENT, HeaderValue::from_static(AGENT)),
        (HeaderName::from_static(HEADER_WEBHOOK_ID), text(id)?),
        (
            HeaderName::from_static(HEADER_WEBHOOK_TIMESTAMP),
            HeaderValue::from(timestamp_seconds),
        ),
        (
            HeaderName::from_static(HEADER_WEBHOOK_SIGNATURE),
            text(&signatures.join(" "))?,
        ),
    ]))
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::*;

    fn now() -> i64 {
        let elapsed = SystemTime::now().duration_since(UNIX_EPOCH);
        i64::try_from(elapsed.expect("after 1970").as_secs()).expect("fits")
    }

    fn header<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
        headers[name].to_str().expect("text")
    }

    /// From the test suites of the reference libraries: rust/src/lib.rs, and javascript/src/webhook.test.ts, which the
    /// other languages repeat (<https://github.com/standard-webhooks/standard-webhooks>, read 2026-11-29).
    #[test]
    fn the_published_vectors_hold() {
        for (secret, id, timestamp, body, signature) in [
            (
                "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD",
                "msg_27UH4WbU6Z5A5EzD8u03UvzRbpk",
                1_649_367_553,
                r#"{"email":"test@example.com","username":"test_user"}"#,
                "v1,tZ1I4/hDygAJgO5TYxiSd6Sd0kDW6hPenDe+bTa3Kkw=",
            ),
            (
                "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
                "msg_p5jXN8AQM9LWM0D4loKWxJek",
                1_614_265_330,
                r#"{"test": 2432232314}"#,
                "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=",
            ),
        ] {
            let secret = Secret::parse(secret).expect("a secret");
            let headers = signed_headers(id, timestamp, body.as_bytes(), &[secret]).expect("signs");
            assert_eq!(header(&headers, "webhook-signature"), signature);
            assert_eq!(header(&headers, "webhook-id"), id);
            assert_eq!(header(&headers, "webhook-timestamp"), timestamp.to_string());
        }
    }

    #[test]
    fn during_rotation_holders_of_either_secret_can_verify() {
        let (old, new) = (Secret::new([7; 32]), Secret::new([8; 32]));
        let body = br#"{"type":"wallet.credited"}"#;
        let headers = signed_headers("evt_1", now(), body, &[new.clone(), old.clone()]);
        let headers = headers.expect("signs");
        let verifies = |secret: &Secret, body: &[u8]| {
            let webhook = Webhook::new(&secret.expose()).expect("a secret");
            webhook.verify(body, &headers).is_ok()
        };
        assert!(verifies(&old, body) && verifies(&new, body));
        assert!(!verifies(&Secret::new([9; 32]), body));
        assert!(!verifies(&new, b"{}"));
        let signatures: Vec<_> = header(&headers, "webhook-signature").split(' ').collect();
        assert_eq!(signatures.len(), 2);
        assert!(signatures.iter().all(|text| text.starts_with("v1,")));
    }

    #[test]
    fn the_headers_name_the_content_and_the_sender() {
        let headers = signed_headers("evt_1", 1, b"{}", &[Secret::new([7; 32])]).expect("signs");
        assert_eq!(headers.len(), 5);
        assert_eq!(header(&headers, "content-type"), "application/json");
        assert_eq!(
            header(&headers, "user-agent"),
            concat!("Millrace/", env!("CARGO_PKG_VERSION"))
        );
    }

    #[test]
    fn what_cannot_be_signed_is_refused() {
        let secrets = [Secret::new([7; 32])];
        let long = "a".repeat(257);
        for id in ["", "evt 1", "evt\n1", "evt.1", "\u{e9}v\u{e9}nement", &long] {
            let refused = signed_headers(id, 1, b"{}", &secrets);
            assert_eq!(refused, Err(SignError::Id), "{id}");
        }
        let refused = signed_headers("evt_1", 1, b"\xff", &secrets);
        assert_eq!(refused, Err(SignError::Body));
        let refused = signed_headers("evt_1", 1, b"{}", &[]);
        assert_eq!(refused, Err(SignError::NoSecret));
    }

    #[test]
    fn a_secret_is_shown_only_by_expose() {
        let secret = Secret::new([7; 32]);
        let text = secret.expose();
        assert_eq!(text, "whsec_BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=");
        assert_eq!(Secret::parse(&text).expect("a secret").expose(), text);
        assert_eq!(format!("{secret:?} {secret}"), "Secret whsec_(hidden)");
    }

    #[test]
    fn a_text_that_is_not_a_secret_is_refused() {
        let text_of = |length| format!("whsec_{}", STANDARD.encode(vec![7; length]));
        for text in [
            "",
            "whsec_",
            "BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=",
            "whsec_!",
            &text_of(23),
            &text_of(65),
        ] {
            let error = Secret::parse(text).expect_err("refused");
            assert!(!error.to_string().contains("Bwc"));
        }
        assert!(Secret::parse(&text_of(24)).is_ok() && Secret::parse(&text_of(64)).is_ok());
    }
}
