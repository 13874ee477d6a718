//! The adapter for a node's JSON-RPC interface (<https://ethereum.org/en/developers/docs/apis/json-rpc/>, read
//! 2026-11-21).

use std::{
    error::Error as StdError,
    io,
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use events::EthereumAddress;
use http::{Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, Error, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use jsonrpsee_types::{ErrorCode, ErrorObject, Id, ResponsePayload};
use num_bigint::BigUint;
use outbox::{Fault, FaultKind};
use serde::Deserialize as _;
use serde_json::{Value, json};

use crate::{Balances, ContractAddress, Endpoint, Settings};

/// The function `balanceOf(address)` of ERC-20: the first four bytes of the Keccak-256 of its signature
/// (<https://eips.ethereum.org/EIPS/eip-20>, read 2026-11-21).
const BALANCE_OF: &str = "70a08231";

/// The function `decimals()` of ERC-20, without arguments. It is optional in the standard.
const DECIMALS: &str = "313ce567";

/// The hexadecimal digits of the 32-byte word in which a contract returns a number.
const WORD_DIGITS: usize = 64;

/// The largest answer that is read, in bytes; answers to these calls have fewer than 200.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Connections idle for longer are not reused: behind a load balancer, the node's end can be gone.
const IDLE: Duration = Duration::from_secs(10);

/// The most characters of a node's own error message that our error repeats.
const MAX_TOLD_CHARS: usize = 200;

/// With or without TLS. Without TLS, no root certificates are read, so none need to be installed.
#[derive(Debug)]
enum Connections {
    Plain(Client<HttpConnector, Full<Bytes>>),
    Tls(Client<HttpsConnector<HttpConnector>, Full<Bytes>>),
}

impl Connections {
    fn to(endpoint: &Endpoint) -> io::Result<Self> {
        let mut builder = Client::builder(TokioExecutor::new());
        builder
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE);
        if endpoint.uri().scheme_str() != Some("https") {
            return Ok(Self::Plain(builder.build_http()));
        }
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::aws_lc_rs::default_provider())?
            .https_only()
            .enable_http1()
            .build();
        Ok(Self::Tls(builder.build(connector)))
    }

    async fn request(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Error> {
        match self {
            Self::Plain(client) => client.request(request).await,
            Self::Tls(client) => client.request(request).await,
        }
    }
}

/// Reads an ERC-20 token through a node's JSON-RPC interface.
#[derive(Debug)]
pub struct JsonRpc {
    connections: Connections,
    endpoint: Endpoint,
    contract: ContractAddress,
    timeout: Duration,
    next_id: AtomicU64,
}

impl JsonRpc {
    /// An adapter with these settings. If the endpoint uses https, it reads the system's root certificates once.
    ///
    /// # Errors
    /// When the root certificates cannot be read.
    pub fn new(settings: &Settings) -> io::Result<Self> {
        let connections = Connections::to(&settings.endpoint)?;
        Ok(Self {
            connections,
            endpoint: settings.endpoint.clone(),
            contract: settings.contract.clone(),
            timeout: settings.timeout,
            next_id: AtomicU64::new(1),
        })
    }

    /// Calls a method and returns its result as JSON.
    async fn call(&self, method: &'static str, params: Value) -> Result<Value, Fault> {
        match tokio::time::timeout(self.timeout, self.exchange(method, params)).await {
            Ok(answer) => answer,
            Err(_) => Err(Fault::new(
                FaultKind::Unavailable,
                operation(method),
                format!("no answer within {} ms", self.timeout.as_millis()),
            )),
        }
    }

    /// Calls a function of the contract that returns one number.
    async fn ask_contract(&self, data: String) -> Result<BigUint, Fault> {
        let call = json!([{ "to": self.contract.to_string(), "data": data }, "latest"]);
        let result = self.call("eth_call", call).await?;
        word(&result).map_err(|why| Fault::new(FaultKind::Unreadable, operation("eth_call"), why))
    }

    async fn exchange(&self, method: &'static str, params: Value) -> Result<Value, Fault> {
        let fault = |kind, why: String| Fault::new(kind, operation(method), why);
        let id = self.next_id.fetch_add(1, Ordering::Relaxed);
        let body = json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let request = Request::post(self.endpoint.uri().clone())
            .header(CONTENT_TYPE, "application/json")
            .body(Full::from(body.to_string()))
            // The error names no part of the URL: only a header could be wrong.
            .map_err(|error| fault(FaultKind::Rejected, error.to_string()))?;
        let response = self
            .connections
            .request(request)
            .await
            .map_err(|error| fault(FaultKind::Unavailable, causes(&error)))?;
        let status = response.status();
        if !status.is_success() {
            return Err(fault(
                of_status(status),
                format!("the node answered HTTP {}", status.as_u16()),
            ));
        }
        let body = match Limited::new(response.into_body(), MAX_ANSWER_BYTES)
            .collect()
            .await
        {
            Ok(body) => body.to_bytes(),
            Err(error) if error.is::<LengthLimitError>() => {
                return Err(fault(
                    FaultKind::Unreadable,
                    format!("the answer has more than {MAX_ANSWER_BYTES} bytes"),
                ));
            }
            Err(error) => return Err(fault(FaultKind::Unavailable, causes(&*error))),
        };
        read(&body, id).map_err(|(kind, why)| fault(kind, why))
    }
}

/// The result in a JSON-RPC answer to the request with this id.
fn read(body: &[u8], id: u64) -> Result<Value, (FaultKind, String)> {
    let unreadable = |why: String| (FaultKind::Unreadable, why);
    let no_json_rpc =
        |error: serde_json::Error| unreadable(format!("the answer is not JSON-RPC: {error}"));
    let mut answer: Value = serde_json::from_slice(body).map_err(no_json_rpc)?;
    // Some nodes write the unused member as null (as JSON-RPC 1.0 did) instead of leaving it out.
    if let Some(members) = answer.as_object_mut()
        && members.contains_key("result")
        && members.get("error").is_some_and(Value::is_null)
    {
        members.remove("error");
    }
    let answer =
        jsonrpsee_types::Response::<'_, Value>::deserialize(&answer).map_err(no_json_rpc)?;
    match answer.payload {
        // Some nodes answer an error without an id if they could not read the request.
        ResponsePayload::Error(error) => Err(of_error(&error)),
        ResponsePayload::Success(_) if answer.id != Id::Number(id) => {
            Err(unreadable("the answer is to another request".to_owned()))
        }
        ResponsePayload::Success(result) => Ok(result.into_owned()),
    }
}

/// The kind of fault for an HTTP status other than success.
fn of_status(status: StatusCode) -> FaultKind {
    match status.as_u16() {
        401 | 403 => FaultKind::Denied,
        408 | 425 | 429 | 500.. => FaultKind::Unavailable,
        _ => FaultKind::Rejected,
    }
}

/// The kind of fault for a JSON-RPC error. Codes of the server itself are worth a retry
/// (<https://www.jsonrpc.org/specification#error_object>, read 2026-11-21); codes about the request are not. Some
/// providers also use 429, HTTP's status for too many requests, as a code in an answer with HTTP 200.
fn of_error(error: &ErrorObject<'_>) -> (FaultKind, String) {
    const SERVER: std::ops::RangeInclusive<i32> = -32_099..=-32_000;
    const TOO_MANY_CALLS: i32 = 429;
    let code = error.code();
    let kind = if SERVER.contains(&code)
        || code == TOO_MANY_CALLS
        || code == ErrorCode::InternalError.code()
    {
        FaultKind::Unavailable
    } else {
        FaultKind::Rejected
    };
    let message: String = error.message().chars().take(MAX_TOLD_CHARS).collect();
    (kind, format!("the node answered error {code}: {message}"))
}

/// Reads a number returned by a contract: one 32-byte word.
fn word(value: &Value) -> Result<BigUint, String> {
    let text = value.as_str().ok_or("the result is not text")?;
    let digits = text
        .strip_prefix("0x")
        .ok_or("the result does not begin with 0x")?;
    if digits.len() != WORD_DIGITS {
        return Err(format!(
            "the result has {} digits, but a number has {WORD_DIGITS}: does the contract exist on this chain?",
            digits.len()
        ));
    }
    hexadecimal(digits)
}

/// Reads a number written by the node itself, with as many digits as it needs.
fn quantity(value: &Value) -> Result<BigUint, String> {
    let text = value.as_str().ok_or("the result is not text")?;
    let digits = text
        .strip_prefix("0x")
        .ok_or("the result does not begin with 0x")?;
    if digits.is_empty() || digits.len() > WORD_DIGITS {
        return Err(format!("the result has {} digits", digits.len()));
    }
    hexadecimal(digits)
}

fn hexadecimal(digits: &str) -> Result<BigUint, String> {
    // The parser also accepts signs and underscores.
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err("the result is not a hexadecimal number".to_owned());
    }
    BigUint::parse_bytes(digits.as_bytes(), 16)
        .ok_or_else(|| "the result is not a hexadecimal number".to_owned())
}

fn operation(method: &str) -> &'static str {
    match method {
        "eth_call" => "ethereum eth_call",
        "eth_chainId" => "ethereum eth_chainId",
        _ => "ethereum call",
    }
}

/// An error and its causes in one line. The client's own errors contain neither URL nor path.
fn causes(error: &(dyn StdError + 'static)) -> String {
    outbox::chain(error)
}

#[async_trait]
impl Balances for JsonRpc {
    async fn balance(&self, holder: &EthereumAddress) -> Result<BigUint, Fault> {
        let digits = holder.as_str().trim_start_matches("0x").to_lowercase();
        self.ask_contract(format!("0x{BALANCE_OF}{digits:0>WORD_DIGITS$}"))
            .await
    }

    async fn decimals(&self) -> Result<BigUint, Fault> {
        self.ask_contract(format!("0x{DECIMALS}")).await
    }

    async fn chain_id(&self) -> Result<BigUint, Fault> {
        let result = self.call("eth_chainId", json!([])).await?;
        quantity(&result)
            .map_err(|why| Fault::new(FaultKind::Unreadable, operation("eth_chainId"), why))
    }
}
