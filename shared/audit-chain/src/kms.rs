//! The key in AWS KMS.

use async_trait::async_trait;
use aws::fault;
use aws_config::SdkConfig;
use aws_sdk_kms::{
    Client, operation::verify_mac::VerifyMacError, primitives::Blob, types::MacAlgorithmSpec,
};
use outbox::{Fault, FaultKind};

use crate::MacKey;

const GENERATE: &str = "kms GenerateMac";
const VERIFY: &str = "kms VerifyMac";

/// An HMAC key in KMS: 256 bits, generated in KMS and readable by nobody. The permission to verify MACs does not
/// include the permission to generate them.
#[derive(Debug, Clone)]
pub struct KmsKey {
    client: Client,
    key_id: String,
}

impl KmsKey {
    /// The key with this id or ARN.
    #[must_use]
    pub fn new(sdk: &SdkConfig, key_id: impl Into<String>) -> Self {
        Self {
            client: Client::new(sdk),
            key_id: key_id.into(),
        }
    }
}

#[async_trait]
impl MacKey for KmsKey {
    async fn generate(&self, message: &[u8]) -> Result<Vec<u8>, Fault> {
        let answer = self
            .client
            .generate_mac()
            .key_id(&self.key_id)
            .mac_algorithm(MacAlgorithmSpec::HmacSha256)
            .message(Blob::new(message))
            .send()
            .await
            .map_err(fault(GENERATE))?;
        let none = || Fault::new(FaultKind::Unreadable, GENERATE, "the answer has no MAC");
        Ok(answer.mac.ok_or_else(none)?.into_inner())
    }

    async fn verify(&self, message: &[u8], mac: &[u8]) -> Result<bool, Fault> {
        let answer = self
            .client
            .verify_mac()
            .key_id(&self.key_id)
            .mac_algorithm(MacAlgorithmSpec::HmacSha256)
            .message(Blob::new(message))
            .mac(Blob::new(mac))
            .send()
            .await;
        match answer {
            Ok(answer) => Ok(answer.mac_valid),
            Err(error)
                if error
                    .as_service_error()
                    .is_some_and(VerifyMacError::is_kms_invalid_mac_exception) =>
            {
                Ok(false)
            }
            Err(error) => Err(fault(VERIFY)(error)),
        }
    }
}
