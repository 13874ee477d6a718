//! Tests the adapter against a node on the loopback address, with every kind of answer that a node can give.
#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::{net::Ipv4Addr, time::Duration};

use ethereum::{Balances, JsonRpc, Settings};
use events::EthereumAddress;
use local_programs::chain_node::{ChainNode, NodeFault};
use num_bigint::BigUint;
use outbox::{Fault, FaultKind, chain, env::Env};
use serde_json::json;

const HOLDER: &str = "0x52908400098527886E0F7030069857D2E4169EE7";

async fn node() -> ChainNode {
    let listen = (Ipv4Addr::LOCALHOST, 0).into();
    ChainNode::start(listen).await.expect("a free port")
}

fn client_of(url: &str) -> JsonRpc {
    let env = Env::of([
        ("CHAIN_RPC_URL", url),
        (
            "CHAIN_TOKEN_CONTRACT",
            "0x00000000000000000000000000000000000000cc",
        ),
        ("CHAIN_RPC_TIMEOUT_MS", "300"),
    ]);
    let settings = Settings::from_env(&env).expect("settings").expect("a URL");
    JsonRpc::new(&settings).expect("a client")
}

fn holder() -> EthereumAddress {
    HOLDER.parse().expect("an address")
}

async fn fails(client: &JsonRpc) -> Fault {
    client.balance(&holder()).await.expect_err("fails")
}

#[tokio::test]
async fn a_balance_is_read_to_the_last_of_its_256_bits() {
    let (node, most) = (node().await, (BigUint::from(1_u8) << 256_u32) - 1_u8);
    let client = client_of(&format!("{}/v3/key?also=this", node.url()));
    assert_eq!(
        client.balance(&holder()).await.expect("reads"),
        BigUint::ZERO
    );
    for units in [BigUint::from(1_500_000_u32), most] {
        let control = node.control();
        control
            .set_balance(HOLDER, &units.to_string())
            .await
            .expect("set");
        assert_eq!(client.balance(&holder()).await.expect("reads"), units);
    }
    node.set_chain_id(11_155_111);
    assert_eq!(
        client.chain_id().await.expect("reads"),
        BigUint::from(11_155_111_u32)
    );
    node.set_decimals(6);
    assert_eq!(client.decimals().await.expect("reads"), BigUint::from(6_u8));
    let calls = node.control().calls().await.expect("counted");
    assert_eq!((calls["eth_call"], calls["eth_chainId"]), (4, 1));
}

#[tokio::test]
async fn what_an_answer_allows_is_told_by_its_kind() {
    let (node, error) = (node().await, |code, message: &str| NodeFault::Error {
        code,
        message: message.to_owned(),
    });
    let client = client_of(&node.url());
    let word = "0".repeat(63);
    let cases = [
        (NodeFault::Status(500), FaultKind::Unavailable, "HTTP 500"),
        (NodeFault::Status(503), FaultKind::Unavailable, "HTTP 503"),
        (NodeFault::Status(429), FaultKind::Unavailable, "HTTP 429"),
        (NodeFault::Status(401), FaultKind::Denied, "HTTP 401"),
        (NodeFault::Status(404), FaultKind::Rejected, "HTTP 404"),
        (NodeFault::Status(302), FaultKind::Rejected, "HTTP 302"),
        (
            NodeFault::Hangs,
            FaultKind::Unavailable,
            "no answer within 300 ms",
        ),
        (NodeFault::Cut, FaultKind::Unavailable, ""),
        (NodeFault::Malformed, FaultKind::Unreadable, "not JSON-RPC"),
        (NodeFault::Endless, FaultKind::Unreadable, "more than 65536"),
        (
            error(-32_005, "limit exceeded"),
            FaultKind::Unavailable,
            "error -32005: limit exceeded",
        ),
        (
            error(429, "your app has exceeded its compute units per second"),
            FaultKind::Unavailable,
            "error 429: your app",
        ),
        (
            error(-32_603, "internal"),
            FaultKind::Unavailable,
            "error -32603",
        ),
        (
            error(3, "execution reverted"),
            FaultKind::Rejected,
            "error 3: execution reverted",
        ),
        (
            error(-32_602, "invalid params"),
            FaultKind::Rejected,
            "error -32602",
        ),
        (
            NodeFault::WrongId,
            FaultKind::Unreadable,
            "to another request",
        ),
        (
            NodeFault::Result(json!("0x")),
            FaultKind::Unreadable,
            "0 digits",
        ),
        (
            NodeFault::Result(json!("0x1")),
            FaultKind::Unreadable,
            "1 digits",
        ),
        (
            NodeFault::Result(json!(format!("0x{word}"))),
            FaultKind::Unreadable,
            "63 digits",
        ),
        (
            NodeFault::Result(json!(format!("0x{word}+"))),
            FaultKind::Unreadable,
            "not a hexadecimal",
        ),
        (
            NodeFault::Result(json!(format!("{word}000"))),
            FaultKind::Unreadable,
            "begin with 0x",
        ),
        (
            NodeFault::Result(json!(5)),
            FaultKind::Unreadable,
            "not text",
        ),
        (NodeFault::Result(json!(null)), FaultKind::Unreadable, ""),
    ];
    for (fault, kind, says) in cases {
        node.control().fail(None, &fault).await.expect("told");
        let found = fails(&client).await;
        let text = chain(&found);
        assert_eq!(found.kind, kind, "{fault:?}: {text}");
        assert!(text.contains(says), "{fault:?}: {text}");
    }
    // A null error is not an error.
    let five = json!(format!("0x{:064x}", 5));
    let fault = NodeFault::NullError(five);
    node.control().fail(None, &fault).await.expect("told");
    let units = client.balance(&holder()).await.expect("reads");
    assert_eq!(units, BigUint::from(5_u8));
    // After the faults end, the same client works again.
    node.control().mend(None).await.expect("mended");
    assert!(client.balance(&holder()).await.is_ok());
}

#[tokio::test]
async fn an_error_never_shows_the_endpoint() {
    let node = node().await;
    let client = client_of(&format!("{}/v3/secret-key", node.url()));
    for fault in [NodeFault::Status(500), NodeFault::Cut, NodeFault::Malformed] {
        node.control().fail(None, &fault).await.expect("told");
        let text = chain(&fails(&client).await);
        assert!(!text.contains("secret-key"), "{text}");
    }
    drop(node);
    for url in [
        "http://127.0.0.1:9/secret-key",
        "https://127.0.0.1:9/secret-key",
        "http://no-such-host.invalid/secret-key",
    ] {
        let client = client_of(url);
        assert!(!format!("{client:?}").contains("secret-key"));
        let fault = fails(&client).await;
        let text = chain(&fault);
        assert_eq!(fault.kind, FaultKind::Unavailable, "{text}");
        assert!(!text.contains("secret-key"), "{text}");
    }
}

#[tokio::test]
async fn a_call_ends_within_its_time_however_slow_the_node() {
    let node = node().await;
    node.control()
        .fail(None, &NodeFault::Hangs)
        .await
        .expect("told");
    let client = client_of(&node.url());
    let begun = std::time::Instant::now();
    fails(&client).await;
    assert!(begun.elapsed() < Duration::from_secs(3));
}
