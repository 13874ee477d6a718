//! A small Ethereum node on the loopback address. It answers the JSON-RPC calls that this project makes; tests set
//! balances and faults.
//!
//! It answers `eth_call` of `balanceOf(address)` and `decimals()`, and `eth_chainId`. It refuses everything else, so it
//! never answers by guessing. A holder's balance is the one that a test set; else the one in the books, if the node
//! mirrors a stack's books; else zero. Mirroring is for the local AWS, where no one writes to a chain: books and chain
//! agree there unless a test makes them differ.
//!
//! The node's control calls are under a path that no real node has ([`CONTROL_PATH`]):
//!
//! | call | what it does |
//! |---|---|
//! | `GET …/health` | 200 |
//! | `PUT …/balances/{address}` `{"units": "1500"}`, `DELETE` | sets or forgets a balance, in the token's smallest units |
//! | `PUT …/faults/{address}`, `PUT …/faults` (a [`NodeFault`]), `DELETE` | sets or removes the fault of one holder, or of all calls |
//! | `PUT …/mirror` ([`Mirror`]) | mirrors the books of a stack from now on |
//! | `GET …/calls` | how often each method was called |

mod control;
mod mirror;

use std::{
    collections::BTreeMap,
    io,
    net::SocketAddr,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, header::CONTENT_TYPE,
    server::conn::http1, service::service_fn,
};
use hyper_util::rt::TokioIo;
use num_bigint::BigUint;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    task::JoinHandle,
};

use crate::BoxError;

pub use control::NodeControl;
pub use mirror::Mirror;

/// The prefix of the control calls.
pub const CONTROL_PATH: &str = "/_chain";

/// The function `balanceOf(address)` of ERC-20.
const BALANCE_OF: &str = "0x70a08231";

/// The function `decimals()` of ERC-20.
const DECIMALS: &str = "0x313ce567";

/// How long a hanging response takes: longer than any client waits.
const HANGS: Duration = Duration::from_secs(60);

/// What is wrong with a response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NodeFault {
    /// The response has this HTTP status and no body.
    Status(u16),
    /// No response arrives.
    Hangs,
    /// The connection is cut.
    Cut,
    /// The response is not JSON.
    Malformed,
    /// The response is longer than any client should read.
    Endless,
    /// The response is a JSON-RPC error.
    Error {
        /// The error's code.
        code: i32,
        /// The error's message.
        message: String,
    },
    /// The response has the id of another request.
    WrongId,
    /// The response has this result instead of the balance.
    Result(Value),
    /// The response has this result instead of the balance, and also a member `error` of null.
    NullError(Value),
}

/// A running node. Dropping it stops it.
#[derive(Debug)]
pub struct ChainNode {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    serving: JoinHandle<()>,
}

#[derive(Debug)]
struct State {
    chain_id: u64,
    decimals: u8,
    balances: BTreeMap<String, BigUint>,
    fault: Option<NodeFault>,
    faults: BTreeMap<String, NodeFault>,
    mirror: Option<Arc<mirror::Books>>,
    calls: BTreeMap<String, u64>,
}

type Shared = Arc<Mutex<State>>;
type Reply = Response<Full<Bytes>>;

impl ChainNode {
    /// Listens on an address (port 0: any free one). All balances are zero at first.
    ///
    /// # Errors
    /// When the address is taken.
    pub async fn start(listen: SocketAddr) -> io::Result<Self> {
        let listener = TcpListener::bind(listen).await?;
        let address = listener.local_addr()?;
        let state = Arc::new(Mutex::new(State {
            chain_id: 1337,
            decimals: 18,
            balances: BTreeMap::new(),
            fault: None,
            faults: BTreeMap::new(),
            mirror: None,
            calls: BTreeMap::new(),
        }));
        let own = Arc::clone(&state);
        let serving = tokio::spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        tokio::spawn(serve(stream, Arc::clone(&own)));
                    }
                    Err(error) => tracing::warn!(%error, "a connection was not accepted"),
                }
            }
        });
        Ok(Self {
            address,
            state,
            serving,
        })
    }

    /// The node's URL for clients.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The client of the control calls.
    #[must_use]
    pub fn control(&self) -> NodeControl {
        NodeControl::new(format!("{}{CONTROL_PATH}", self.url()))
    }

    /// Sets the chain's id; 1337 at first.
    pub fn set_chain_id(&self, id: u64) {
        locked(&self.state).chain_id = id;
    }

    /// Sets the token's decimals; 18 at first, or those of the mirror.
    pub fn set_decimals(&self, decimals: u8) {
        locked(&self.state).decimals = decimals;
    }
}

impl Drop for ChainNode {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

fn locked(state: &Shared) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

async fn serve(stream: TcpStream, state: Shared) {
    stream.set_nodelay(true).ok();
    let service = service_fn(move |request| {
        let state = Arc::clone(&state);
        async move { answer(&state, request).await }
    });
    let connection = http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    if let Err(error) = connection.await {
        tracing::debug!(%error, "a connection ended");
    }
}

/// Answers a request. An error cuts the connection.
async fn answer(state: &Shared, request: Request<Incoming>) -> Result<Reply, io::Error> {
    let (parts, body) = request.into_parts();
    let body = body.collect().await.map_err(io::Error::other)?.to_bytes();
    if let Some(own) = parts.uri.path().strip_prefix(CONTROL_PATH) {
        return Ok(steer(state, &parts.method, own, &body).await);
    }
    let Ok(call) = serde_json::from_slice::<Value>(&body) else {
        return Ok(error_of(&Value::Null, -32_700, "Parse error"));
    };
    let method = call["method"].as_str().unwrap_or_default().to_owned();
    let holder = holder_of(&call);
    let (fault, chain_id, decimals) = {
        let mut state = locked(state);
        *state.calls.entry(method.clone()).or_default() += 1;
        let of_holder = holder.as_ref().and_then(|holder| state.faults.get(holder));
        let fault = of_holder.or(state.fault.as_ref()).cloned();
        (fault, state.chain_id, state.decimals)
    };
    if let Some(fault) = fault {
        return go_wrong(fault, &call["id"]).await;
    }
    Ok(match (method.as_str(), holder) {
        ("eth_chainId", _) => result_of(&call["id"], &json!(format!("{chain_id:#x}"))),
        ("eth_call", Some(holder)) => match balance(state, &holder).await {
            Ok(units) => result_of(&call["id"], &json!(format!("0x{units:064x}"))),
            Err(error) => error_of(&call["id"], -32_000, &error.to_string()),
        },
        ("eth_call", None) if call["params"][0]["data"] == DECIMALS => {
            result_of(&call["id"], &json!(format!("0x{decimals:064x}")))
        }
        ("eth_call", None) => error_of(&call["id"], 3, "execution reverted"),
        _ => error_of(&call["id"], -32_601, "the method does not exist"),
    })
}

/// The address in a call of `balanceOf`, in lower case.
fn holder_of(call: &Value) -> Option<String> {
    let data = call["params"][0]["data"].as_str()?.to_lowercase();
    let argument = data.strip_prefix(BALANCE_OF)?;
    let address = argument.strip_prefix(&"0".repeat(24))?;
    (address.len() == 40).then(|| format!("0x{address}"))
}

async fn balance(state: &Shared, holder: &str) -> Result<BigUint, BoxError> {
    let mirror = {
        let state = locked(state);
        if let Some(units) = state.balances.get(holder) {
            return Ok(units.clone());
        }
        state.mirror.clone()
    };
    match mirror {
        Some(books) => books.units(holder).await,
        None => Ok(BigUint::ZERO),
    }
}

async fn go_wrong(fault: NodeFault, id: &Value) -> Result<Reply, io::Error> {
    Ok(match fault {
        NodeFault::Status(status) => {
            let mut reply = Reply::default();
            *reply.status_mut() =
                StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
            reply
        }
        NodeFault::Hangs => {
            tokio::time::sleep(HANGS).await;
            return Err(io::Error::other("hung"));
        }
        NodeFault::Cut => return Err(io::Error::other("cut")),
        NodeFault::Malformed => Reply::new(Full::from("<html>")),
        NodeFault::Endless => Reply::new(Full::from(vec![b' '; 1024 * 1024])),
        NodeFault::Error { code, message } => error_of(id, code, &message),
        NodeFault::WrongId => result_of(&json!("somebody else's"), &json!("0x0")),
        NodeFault::Result(result) => result_of(id, &result),
        NodeFault::NullError(result) => {
            json_reply(&json!({ "jsonrpc": "2.0", "id": id, "result": result, "error": null }))
        }
    })
}

fn result_of(id: &Value, result: &Value) -> Reply {
    json_reply(&json!({ "jsonrpc": "2.0", "id": id, "result": result }))
}

fn error_of(id: &Value, code: i32, message: &str) -> Reply {
    let error = json!({ "code": code, "message": message });
    json_reply(&json!({ "jsonrpc": "2.0", "id": id, "error": error }))
}

fn json_reply(body: &Value) -> Reply {
    let mut reply = Reply::new(Full::from(body.to_string()));
    let json = hyper::header::HeaderValue::from_static("application/json");
    reply.headers_mut().insert(CONTENT_TYPE, json);
    reply
}

/// Carries out a control call.
async fn steer(state: &Shared, method: &Method, path: &str, body: &[u8]) -> Reply {
    #[derive(Deserialize)]
    struct Units {
        units: String,
    }
    let parts: Vec<&str> = path.trim_matches('/').split('/').collect();
    let done = match (method.as_str(), parts.as_slice()) {
        ("GET", ["health"]) => Ok(json!({})),
        ("GET", ["calls"]) => Ok(json!(locked(state).calls)),
        ("PUT", ["balances", address]) => parsed::<Units>(body).and_then(|units| {
            let units = units.units.parse().map_err(BoxError::from)?;
            locked(state).balances.insert(address.to_lowercase(), units);
            Ok(json!({}))
        }),
        ("DELETE", ["balances", address]) => {
            locked(state).balances.remove(&address.to_lowercase());
            Ok(json!({}))
        }
        ("PUT", ["faults"]) => parsed(body).map(|fault| {
            locked(state).fault = Some(fault);
            json!({})
        }),
        ("PUT", ["faults", address]) => parsed(body).map(|fault| {
            locked(state).faults.insert(address.to_lowercase(), fault);
            json!({})
        }),
        ("DELETE", ["faults"]) => {
            let mut state = locked(state);
            state.fault = None;
            state.faults.clear();
            Ok(json!({}))
        }
        ("DELETE", ["faults", address]) => {
            locked(state).faults.remove(&address.to_lowercase());
            Ok(json!({}))
        }
        ("PUT", ["mirror"]) => match parsed::<Mirror>(body) {
            Ok(wanted) => {
                let books = mirror::Books::open(&wanted).await;
                let mut state = locked(state);
                state.mirror = Some(Arc::new(books));
                state.decimals = wanted.decimals;
                Ok(json!({}))
            }
            Err(error) => Err(error),
        },
        _ => Err("no such control call".into()),
    };
    done.map_or_else(
        |error| {
            let mut reply = json_reply(&json!({ "error": error.to_string() }));
            *reply.status_mut() = StatusCode::BAD_REQUEST;
            reply
        },
        |answer| json_reply(&answer),
    )
}

fn parsed<T: DeserializeOwned>(body: &[u8]) -> Result<T, BoxError> {
    serde_json::from_slice(body).map_err(BoxError::from)
}
