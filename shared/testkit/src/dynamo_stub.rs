//! A small DynamoDB of fixed latency on the loopback address, with single calls of EventBridge and SQS. Benchmarks and
//! cost assertions count on it.
//!
//! It keeps items, so conditions hold or fail as on DynamoDB, and it counts calls and capacity units as AWS bills them.
//! It knows only the expressions that this project sends and refuses every other one, so it never answers by guessing.
//! It is not an emulator: it has no validation and no streams, and an index only if a test asks for one (such an index
//! is updated at once). Everything else is tested on the local AWS.

mod calls;
mod expressions;
mod requests;
mod units;

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    io,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use aws_config::SdkConfig;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::{Request, Response, StatusCode, body::Incoming};
use outbox::{Index, Table};
use serde_json::{Map, Value, json};

use crate::loopback::{Loopback, Reply};

/// Bytes that one write unit covers
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html>, read 2026-11-21).
const WRITE_UNIT_BYTES: usize = 1024;
/// Bytes that one consistent read unit covers (same page).
const READ_UNIT_BYTES: usize = 4096;
/// Bytes that count as one event on the bus (<https://aws.amazon.com/eventbridge/pricing/>, read 2026-11-21).
const EVENT_CHUNK_BYTES: usize = 64 * 1024;

type Item = Map<String, Value>;

/// Which calls were made and what they cost.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Counts {
    /// Calls by operation, such as `TransactWriteItems`.
    pub calls: BTreeMap<String, u64>,
    /// Write units. A failed condition and a cancelled transaction cost what the write would have cost.
    pub write_units: u64,
    /// Read units of consistent reads.
    pub read_units: u64,
    /// Write units of indexes. An index is updated after the commit and outside it: an item of a transaction is also
    /// written there only once.
    pub index_write_units: u64,
    /// Read units of an index, in halves: a read of an index is eventually consistent and costs half a unit.
    pub index_half_read_units: u64,
    /// Events put on the bus, in chunks of 64 KB each.
    pub event_chunks: u64,
}

impl Counts {
    /// The number of all calls.
    #[must_use]
    pub fn all_calls(&self) -> u64 {
        self.calls.values().sum()
    }

    /// The number of calls of one operation.
    #[must_use]
    pub fn of(&self, operation: &str) -> u64 {
        self.calls.get(operation).copied().unwrap_or(0)
    }
}

/// A failure that does not depend on the request's content, for the next call of an operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// A transaction is cancelled because another transaction holds its last item.
    Conflict,
    /// The call takes effect, but the response is a server error.
    AnswerLost,
    /// The call is throttled and has no effect.
    Throttled,
}

#[derive(Default)]
struct State {
    keys: BTreeMap<String, (String, Option<String>)>,
    indexes: Vec<(String, Index)>,
    items: BTreeMap<(String, String), Item>,
    tokens: BTreeSet<String>,
    refusals: VecDeque<(String, Refusal)>,
    counts: Counts,
}

/// The running stub. Dropping this stops it.
pub struct DynamoStub {
    server: Loopback,
    state: Arc<Mutex<State>>,
}

impl std::fmt::Debug for DynamoStub {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("DynamoStub")
            .field("server", &self.server)
            .finish_non_exhaustive()
    }
}

struct Refused(StatusCode, &'static str, Value);

impl DynamoStub {
    /// Starts the stub with these tables. Every response takes `latency`; the stub's thread runs on `core`, if one is
    /// given.
    ///
    /// # Errors
    /// When no port or thread is available.
    pub fn start<'a>(
        tables: impl IntoIterator<Item = &'a Table>,
        latency: Duration,
        core: Option<usize>,
    ) -> io::Result<Self> {
        let keys = tables.into_iter().map(|table| {
            let sort = table.sort().map(str::to_owned);
            (
                table.name().to_owned(),
                (table.partition().to_owned(), sort),
            )
        });
        let state = Arc::new(Mutex::new(State {
            keys: keys.collect(),
            ..State::default()
        }));
        let own = Arc::clone(&state);
        let server = Loopback::serve("dynamo-stub", core, move |request| {
            let state = Arc::clone(&own);
            async move { answer(&state, latency, request).await }
        })?;
        Ok(Self { server, state })
    }

    /// The value for `AWS_ENDPOINT_URL`.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.server.address())
    }

    /// The settings of the SDK for this stub.
    pub async fn sdk(&self) -> SdkConfig {
        aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(self.endpoint())
            .region(Region::new("us-east-1"))
            .credentials_provider(Credentials::new("test", "test", None, None, "test"))
            .load()
            .await
    }

    /// The environment a program needs to call this stub and nothing else.
    #[must_use]
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        vec![
            ("AWS_ENDPOINT_URL", self.endpoint()),
            ("AWS_REGION", "us-east-1".to_owned()),
            ("AWS_DEFAULT_REGION", "us-east-1".to_owned()),
            ("AWS_ACCESS_KEY_ID", "test".to_owned()),
            ("AWS_SECRET_ACCESS_KEY", "test".to_owned()),
        ]
    }

    /// The counts since they were last taken.
    #[must_use]
    pub fn take_counts(&self) -> Counts {
        std::mem::take(&mut self.state().counts)
    }

    /// Makes the next call of an operation fail like this. Several refusals queue up, one for each call.
    pub fn refuse(&self, operation: &str, refusal: Refusal) {
        self.state()
            .refusals
            .push_back((operation.to_owned(), refusal));
    }

    /// Gives a table an index over all attributes, from now on.
    pub fn index(&self, table: &Table, index: Index) {
        self.state().indexes.push((table.name().to_owned(), index));
    }

    /// How many items a table holds.
    #[must_use]
    pub fn items(&self, table: &Table) -> usize {
        let state = self.state();
        let of_table = state.items.keys().filter(|(name, _)| name == table.name());
        of_table.count()
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn answer(state: &Mutex<State>, latency: Duration, request: Request<Incoming>) -> Reply {
    let operation = request
        .headers()
        .get("x-amz-target")
        .and_then(|target| target.to_str().ok())
        .and_then(|target| target.rsplit_once('.'))
        .map(|(_, operation)| operation.to_owned())
        .unwrap_or_default();
    let body = match request.into_body().collect().await {
        Ok(body) => body.to_bytes(),
        Err(error) => {
            return reply(
                StatusCode::BAD_REQUEST,
                &json!({"message": error.to_string()}),
            );
        }
    };
    let (status, answer) = {
        let mut state = state.lock().unwrap_or_else(PoisonError::into_inner);
        *state.counts.calls.entry(operation.clone()).or_default() += 1;
        let refusal = state
            .refusals
            .iter()
            .position(|(wanted, _)| *wanted == operation)
            .and_then(|place| state.refusals.remove(place))
            .map(|(_, refusal)| refusal);
        match serde_json::from_slice::<Value>(&body) {
            Ok(request) => match state.call(&operation, &request, refusal) {
                Ok(answer) => (StatusCode::OK, answer),
                Err(Refused(status, code, mut answer)) => {
                    answer["__type"] = format!("com.amazonaws.stub#{code}").into();
                    (status, answer)
                }
            },
            Err(error) => (
                StatusCode::BAD_REQUEST,
                json!({"__type": "com.amazonaws.stub#SerializationException", "message": error.to_string()}),
            ),
        }
    };
    if !latency.is_zero() {
        tokio::time::sleep(latency).await;
    }
    reply(status, &answer)
}

fn reply(status: StatusCode, answer: &Value) -> Reply {
    let mut reply = Response::new(Full::new(Bytes::from(answer.to_string())));
    *reply.status_mut() = status;
    reply.headers_mut().insert(
        "content-type",
        hyper::header::HeaderValue::from_static("application/x-amz-json-1.0"),
    );
    reply
}
