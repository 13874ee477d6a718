//! `/health`: calls each component that the system needs, with a short timeout.

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
    began: Instant,
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
            began: Instant::now(),
        }
    }

    /// Adds a component.
    #[must_use]
    pub fn with(mut self, name: &'static str, probe: impl Probe + 'static) -> Self {
        self.probes.push((name, Arc::new(probe)));
        self
    }

    /// Checks all components at the same time, each for at most two seconds.
    pub async fn report(&self) -> HealthReport {
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
        let components: BTreeMap<_, _> = join_all(asked).await.into_iter().collect();
        let all = components
            .values()
            .all(|component| component.status == HealthStatus::Healthy);
        HealthReport {
            status: if all {
                HealthStatus::Healthy
            } else {
                HealthStatus::Unhealthy
            },
            version: env!("CARGO_PKG_VERSION"),
            components,
            uptime: self.began.elapsed().as_secs(),
        }
    }
}
