//! Settings whose value is in AWS Secrets Manager. Permission: `secretsmanager:GetSecretValue` on each secret (and
//! `kms:Decrypt` on its key, if that is not AWS's own).

use aws_config::SdkConfig;
use aws_sdk_secretsmanager::Client;
use outbox::{Fault, FaultKind, env::Env};

use crate::clients::fault;

const GET: &str = "secretsmanager GetSecretValue";

/// A secret that could not be read. The message names the setting and never the value.
#[derive(Debug, thiserror::Error)]
#[error("the secret of setting {key} cannot be read")]
pub struct SecretError {
    key: String,
    #[source]
    source: Fault,
}

/// The settings, with each value that is the ARN of a secret replaced by the secret's text. Calls nothing if there is
/// none.
///
/// # Errors
/// [`SecretError`] if a secret cannot be read, is binary, or is empty.
pub async fn revealed(env: Env, config: &SdkConfig) -> Result<Env, SecretError> {
    let named: Vec<(String, String)> = env
        .all()
        .filter(|(_, value)| is_secret(value))
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .collect();
    if named.is_empty() {
        return Ok(env);
    }
    reveal(env, &Client::new(config), named).await
}

async fn reveal(
    mut env: Env,
    client: &Client,
    named: Vec<(String, String)>,
) -> Result<Env, SecretError> {
    for (key, arn) in named {
        match text_of(client, &arn).await {
            Ok(text) => env = env.with(key, text),
            Err(source) => return Err(SecretError { key, source }),
        }
    }
    Ok(env)
}

async fn text_of(client: &Client, arn: &str) -> Result<String, Fault> {
    let answer = client.get_secret_value().secret_id(arn).send().await;
    let answer = answer.map_err(fault(GET))?;
    let text = answer.secret_string.filter(|text| !text.is_empty());
    text.ok_or_else(|| Fault::new(FaultKind::Rejected, GET, "the secret has no text"))
}

/// Whether a value is the ARN of a secret
/// (<https://docs.aws.amazon.com/service-authorization/latest/reference/list_awssecretsmanager.html>, read 2026-11-29).
fn is_secret(value: &str) -> bool {
    let mut parts = value.split(':');
    parts.next() == Some("arn") && parts.nth(1) == Some("secretsmanager")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_arn_of_a_secret_names_one() {
        for (value, wanted) in [
            (
                "arn:aws:secretsmanager:eu-west-1:123456789012:secret:node-AbCdEf",
                true,
            ),
            (
                "arn:aws-cn:secretsmanager:cn-north-1:123456789012:secret:x",
                true,
            ),
            ("arn:aws:kms:eu-west-1:123456789012:key/1", false),
            ("https://node.example/secretsmanager", false),
            ("", false),
        ] {
            assert_eq!(is_secret(value), wanted, "{value}");
        }
    }
}
