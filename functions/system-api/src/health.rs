//! `/health`: calls each component that the system needs, with a short timeout, and remembers what it found for
//! [`MEMORY`]. The endpoint is open to everybody, so without the memory anybody could use up the calls that AWS allows.

use std::{
    collections::BTreeMap,
    fmt,
    sync::Arc,
    time::{Duration, Instant},
};

use api::{Keys, Operation, Output, Problem, Reply};
use async_trait::async_trait;
use axum::response::{IntoResponse, Response};
use futures::future::join_all;
use http::StatusCode;
use outbox::{Fault, FaultKind, chain};
use schemars::JsonSchema;
use serde::Serialize;
use tokio::sync::Mutex;

/// How long an instance answers from its last check. EventBridge allows an account 50 calls a second, all calls except
/// `PutEvents` together
/// (<https://docs.aws.amazon.com/eventbridge/latest/userguide/cloudwatch-limits-eventbridge.html>, read 2026-11-29).
pub const MEMORY: Duration = Duration::from_secs(10);

/// How long a component may take to answer.
const PATIENCE: Duration = Duration::from_secs(2);

/// A component whose health can be checked.
#[async_trait]
pub trait Probe: Send + Sync {
    /// Checks the component. MUST make a real call that needs no permission beyond the function's role.
    ///
    /// # Errors
    /// [`Fault`] if it does not answer as it should.
    async fn ask(&self) -> Result<(), Fault>;
}

#[async_trait]
impl Probe for Keys {
    async fn ask(&self) -> Result<(), Fault> {
        self.probe().await
    }
}

/// Checks a bus by its name.
#[async_trait]
impl Probe for (aws_sdk_eventbridge::Client, String) {
    async fn ask(&self) -> Result<(), Fault> {
        let asked = self.0.describe_event_bus().name(&self.1).send().await;
        asked.map(drop).map_err(|error| {
            Fault::new(
                FaultKind::Unavailable,
                "eventbridge DescribeEventBus",
                error,
            )
        })
    }
}

/// Checks a queue by its URL.
#[async_trait]
impl Probe for (aws_sdk_sqs::Client, String) {
    async fn ask(&self) -> Result<(), Fault> {
        let asked = self
            .0
            .get_queue_attributes()
            .queue_url(&self.1)
            .attribute_names(aws_sdk_sqs::types::QueueAttributeName::QueueArn)
            .send()
            .await;
        asked
            .map(drop)
            .map_err(|error| Fault::new(FaultKind::Unavailable, "sqs GetQueueAttributes", error))
    }
}

/// The health of a component, or of the whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum HealthStatus {
    /// It answers.
    Healthy,
    /// It does not answer, or not in time. The log has the reason, because this endpoint is open to everybody.
    Unhealthy,
}

/// The health of a component.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ComponentHealth {
    /// Whether it answers.
    pub status: HealthStatus,
}

/// What `/health` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, JsonSchema)]
pub struct HealthReport {
    /// Unhealthy if any component is.
    pub status: HealthStatus,
    /// The deployed version.
    pub version: &'static str,
    /// The components.
    pub components: BTreeMap<&'static str, ComponentHealth>,
    /// Seconds since the components were checked, at most 10.
    pub checked_seconds_ago: u64,
    /// Seconds since this instance of the function started.
    pub uptime: u64,
}

/// 200 if every component answers, otherwise 503, with the same body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthReply(pub HealthReport);

impl IntoResponse for HealthReply {
    fn into_response(self) -> Response {
        let status = match self.0.status {
            HealthStatus::Healthy => StatusCode::OK,
            HealthStatus::Unhealthy => StatusCode::SERVICE_UNAVAILABLE,
        };
        let reply: Result<Reply<HealthReport>, Problem> = Reply::of(&self.0);
        match reply {
            Ok(reply) => (status, reply).into_response(),
            Err(problem) => problem.into_response(),
        }
    }
}

impl Output for HealthReply {
    fn describe(operation: &mut Operation) {
        operation.answers::<HealthReport>(200);
        operation.answers::<HealthReport>(503);
    }
}

/// The components, and the start time of this instance.
#[derive(Clone)]
pub struct Health {
    probes: Vec<(&'static str, Arc<dyn Probe>)>,
    /// The last check. Whoever checks holds the lock, so concurrent requests wait for one check and share it.
    last: Arc<Mutex<Option<Checked>>>,
    began: Instant,
}

/// What a check found.
#[derive(Clone)]
struct Checked {
    at: tokio::time::Instant,
    components: BTreeMap<&'static str, ComponentHealth>,
}

impl fmt::Debug for Health {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list()
            .entries(self.probes.iter().map(|(name, _)| name))
            .finish()
    }
}

impl Default for Health {
    fn default() -> Self {
        Self::new()
    }
}

impl Health {
    /// Creates a check without components. The uptime starts here.
    #[must_use]
    pub fn new() -> Self {
        Self {
            probes: Vec::new(),
            last: Arc::default(),
            began: Instant::now(),
        }
    }

    /// Adds a component.
    #[must_use]
    pub fn with(mut self, name: &'static str, probe: impl Probe + 'static) -> Self {
        self.probes.push((name, Arc::new(probe)));
        self
    }

    /// The health of the system: checked now, or by a request of the last [`MEMORY`].
    pub async fn report(&self) -> HealthReport {
        let checked = self.checked().await;
        let mut components = checked.components.values();
        let all = components.all(|component| component.status == HealthStatus::Healthy);
        HealthReport {
            status: if all {
                HealthStatus::Healthy
            } else {
                HealthStatus::Unhealthy
            },
            version: env!("CARGO_PKG_VERSION"),
            checked_seconds_ago: checked.at.elapsed().as_secs(),
            components: checked.components,
            uptime: self.began.elapsed().as_secs(),
        }
    }

    async fn checked(&self) -> Checked {
        let mut last = self.last.lock().await;
        if let Some(checked) = &*last
            && checked.at.elapsed() < MEMORY
        {
            return checked.clone();
        }
        let checked = self.check().await;
        *last = Some(checked.clone());
        checked
    }

    /// Checks all components at the same time, each for at most two seconds.
    async fn check(&self) -> Checked {
        let asked = self.probes.iter().map(|(name, probe)| async move {
            let failure = match tokio::time::timeout(PATIENCE, probe.ask()).await {
                Ok(Ok(())) => None,
                Ok(Err(fault)) => Some(chain(&fault)),
                Err(_) => Some(format!("no answer within {} s", PATIENCE.as_secs())),
            };
            let status = match failure {
                None => HealthStatus::Healthy,
                Some(error) => {
                    tracing::error!(component = name, error, "component is unhealthy");
                    HealthStatus::Unhealthy
                }
            };
            (*name, ComponentHealth { status })
        });
        let components = join_all(asked).await.into_iter().collect();
        Checked {
            at: tokio::time::Instant::now(),
            components,
        }
    }
}
