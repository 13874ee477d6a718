//! Settings that are secrets, with a scripted HTTP client.

use outbox::{chain, env::Env};
use serde_json::json;

use crate::stub::{Fate, Stub};

const ARN: &str = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:node-AbCdEf";

fn settings() -> Env {
    Env::of([("CHAIN_RPC_URL", ARN), ("CHAIN_ID", "1")])
}

#[tokio::test]
async fn a_setting_that_names_a_secret_has_its_text_and_every_other_stays() {
    let answer = json!({ "ARN": ARN, "Name": "node", "SecretString": "https://node.example/key" });
    let stub = Stub::new([Fate::ok(answer)]);
    let env = aws::revealed(settings(), &stub.sdk()).await.expect("read");
    assert_eq!(
        env.optional("CHAIN_RPC_URL"),
        Some("https://node.example/key")
    );
    assert_eq!(env.optional("CHAIN_ID"), Some("1"));
    assert_eq!(stub.requests(), [json!({ "SecretId": ARN })]);
}

#[tokio::test]
async fn without_a_secret_nothing_is_called() {
    let stub = Stub::new([]);
    let env = Env::of([("CHAIN_RPC_URL", "https://node.example/key")]);
    let env = aws::revealed(env, &stub.sdk())
        .await
        .expect("nothing to read");
    assert!(env.optional("CHAIN_RPC_URL").is_some());
    assert!(stub.requests().is_empty());
}

#[tokio::test]
async fn a_secret_that_cannot_be_read_is_named_by_its_setting() {
    let binary = json!({ "ARN": ARN, "Name": "node", "SecretBinary": "aGlkZGVu" });
    for fate in [
        Fate::error(400, "AccessDeniedException"),
        Fate::error(400, "ResourceNotFoundException"),
        Fate::ok(binary),
    ] {
        let stub = Stub::new([fate]);
        let error = aws::revealed(settings(), &stub.sdk()).await;
        let error = chain(&error.expect_err("refused"));
        assert!(error.contains("CHAIN_RPC_URL"), "{error}");
        assert!(!error.contains("hidden"), "{error}");
    }
}
