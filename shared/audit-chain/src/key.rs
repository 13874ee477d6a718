//! The port to the key that seals anchors.

use std::sync::atomic::{AtomicBool, Ordering};

use async_trait::async_trait;
use outbox::{Fault, FaultKind};
use sha2::{Digest as _, Sha256};
use subtle::ConstantTimeEq as _;

/// A key that never leaves its store: the store creates and checks MACs.
#[async_trait]
pub trait MacKey: Send + Sync {
    /// Creates the MAC of a message of at most 4,096 bytes.
    async fn generate(&self, message: &[u8]) -> Result<Vec<u8>, Fault>;

    /// Checks whether this is the MAC of this message.
    async fn verify(&self, message: &[u8], mac: &[u8]) -> Result<bool, Fault>;
}

/// A key in memory, for tests.
#[derive(Debug)]
pub struct MemoryKey {
    secret: Vec<u8>,
    away: AtomicBool,
}

impl MemoryKey {
    /// A key with this secret.
    pub fn new(secret: impl Into<Vec<u8>>) -> Self {
        Self {
            secret: secret.into(),
            away: AtomicBool::new(false),
        }
    }

    /// Makes every call fail from now on, or succeed again.
    pub fn set_away(&self, away: bool) {
        self.away.store(away, Ordering::Relaxed);
    }

    fn mac(&self, operation: &'static str, message: &[u8]) -> Result<Vec<u8>, Fault> {
        if self.away.load(Ordering::Relaxed) {
            return Err(Fault::new(FaultKind::Unavailable, operation, "away"));
        }
        // Not an HMAC, but good enough for tests: hashing the secret first gives its part a fixed length.
        let mut sha = Sha256::new();
        sha.update(Sha256::digest(&self.secret));
        sha.update(Sha256::digest(message));
        Ok(sha.finalize().to_vec())
    }
}

#[async_trait]
impl MacKey for MemoryKey {
    async fn generate(&self, message: &[u8]) -> Result<Vec<u8>, Fault> {
        self.mac("memory GenerateMac", message)
    }

    async fn verify(&self, message: &[u8], mac: &[u8]) -> Result<bool, Fault> {
        let right = self.mac("memory VerifyMac", message)?;
        Ok(right.ct_eq(mac).into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_mac_goes_with_its_key_and_its_message_alone() {
        let (key, other) = (MemoryKey::new("a"), MemoryKey::new("b"));
        let mac = key.generate(b"m").await.expect("made");
        assert!(key.verify(b"m", &mac).await.expect("checked"));
        assert!(!key.verify(b"n", &mac).await.expect("checked"));
        assert!(!key.verify(b"m", &mac[1..]).await.expect("checked"));
        assert!(!other.verify(b"m", &mac).await.expect("checked"));
        key.set_away(true);
        let fault = key.generate(b"m").await.expect_err("away");
        assert_eq!(fault.kind, FaultKind::Unavailable);
    }
}
