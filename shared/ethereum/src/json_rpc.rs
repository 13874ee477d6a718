//! The port on a node's JSON-RPC interface
//! (<https://ethereum.org/en/developers/docs/apis/json-rpc/>, read 2026-11-21).

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

/// The function `decimals()` of ERC-20, without arguments. The standard leaves it to a contract whether to have it.
const DECIMALS: &str = "313ce567";

/// The hexadecimal digits of a 32-byte word, as which a contract returns a number.
const WORD_DIGITS: usize = 64;

/// The longest answer that is read, in bytes; the answers to these calls have under 200.
const MAX_ANSWER_BYTES: usize = 64 * 1024;

/// Connections are not used again after such a pause: behind a balancer the node's end may be gone.
const IDLE: Duration = Duration::from_secs(10);

/// The longest text of a node's own that an error repeats, in characters.
const MAX_TOLD_CHARS: usize = 200;

/// With TLS or without: where none is needed no root certificates are read, and none need be there.
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

/// Reads an ERC-20 token by a node's JSON-RPC interface.
#[derive(Debug)]
pub struct JsonRpc {
    connections: Connections,
    endpoint: Endpoint,
    contract: ContractAddress,
    timeout: Duration,
    next_id: AtomicU64,
}

impl JsonRpc {
    /// By the settings. Reads the system's root certificates once, where the endpoint is an https one.
    ///
    /// # Errors
    /// When there are no root certificates to read.
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

    /// Calls a method and answers with its result, as JSON.
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
            // It names no part of the URL, and only a header could be wrong.
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

/// The result in a JSON-RPC answer to the request of this id.
fn read(body: &[u8], id: u64) -> Result<Value, (FaultKind, String)> {
    let unreadable = |why: String| (FaultKind::Unreadable, why);
    let no_json_rpc =
        |error: serde_json::Error| unreadable(format!("the answer is no JSON-RPC: {error}"));
    let mut answer: Value = serde_json::from_slice(body).map_err(no_json_rpc)?;
    // Some nodes write the member that has no meaning as null (JSON-RPC 1.0 did) instead of leaving it out.
    if let Some(members) = answer.as_object_mut()
        && members.contains_key("result")
        && members.get("error").is_some_and(Value::is_null)
    {
        members.remove("error");
    }
    let answer =
        jsonrpsee_types::Response::<'_, Value>::deserialize(&answer).map_err(no_json_rpc)?;
    match answer.payload {
        // Some nodes answer an error without the id of a request they could not read.
        ResponsePayload::Error(error) => Err(of_error(&error)),
        ResponsePayload::Success(_) if answer.id != Id::Number(id) => {
            Err(unreadable("the answer is to another request".to_owned()))
        }
        ResponsePayload::Success(result) => Ok(result.into_owned()),
    }
}

/// What a status other than success allows.
fn of_status(status: StatusCode) -> FaultKind {
    match status.as_u16() {
        401 | 403 => FaultKind::Denied,
        408 | 425 | 429 | 500.. => FaultKind::Unavailable,
        _ => FaultKind::Rejected,
    }
}

/// What a JSON-RPC error allows: codes of the server itself are worth trying again
/// (<https://www.jsonrpc.org/specification#error_object>, read 2026-11-21), those about the request are not. Providers
/// also say 429, HTTP's word for too many calls, in an answer of HTTP 200.
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

/// A number as a contract returns it: one 32-byte word.
fn word(value: &Value) -> Result<BigUint, String> {
    let text = value.as_str().ok_or("the result is no text")?;
    let digits = text
        .strip_prefix("0x")
        .ok_or("the result does not begin with 0x")?;
    if digits.len() != WORD_DIGITS {
        return Err(format!(
            "the result has {} digits where a number has {WORD_DIGITS}: is there such a contract on this chain?",
            digits.len()
        ));
    }
    hexadecimal(digits)
}

/// A number as the node itself writes it: as many digits as it needs.
fn quantity(value: &Value) -> Result<BigUint, String> {
    let text = value.as_str().ok_or("the result is no text")?;
    let digits = text
        .strip_prefix("0x")
        .ok_or("the result does not begin with 0x")?;
    if digits.is_empty() || digits.len() > WORD_DIGITS {
        return Err(format!("the result has {} digits", digits.len()));
    }
    hexadecimal(digits)
}

fn hexadecimal(digits: &str) -> Result<BigUint, String> {
    // The parser takes signs and underscores too.
    if !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return Err("the result is no hexadecimal number".to_owned());
    }
    BigUint::parse_bytes(digits.as_bytes(), 16)
        .ok_or_else(|| "the result is no hexadecimal number".to_owned())
}

fn operation(method: &str) -> &'static str {
    match method {
        "eth_call" => "ethereum eth_call",
        "eth_chainId" => "ethereum eth_chainId",
        _ => "ethereum call",
    }
}

/// An error's causes in one line. The client's own errors name neither URL nor path.
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
