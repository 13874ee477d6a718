//! The SDK's clients, and the meaning of their errors. Region, credentials and endpoint come from the environment
//! (`AWS_REGION`, `AWS_ENDPOINT_URL` …) and are read once at start.

use std::{
    sync::atomic::{AtomicBool, Ordering},
    time::Duration,
};

use aws_config::{
    BehaviorVersion, ConfigLoader, Region, SdkConfig, default_provider::region::DefaultRegionChain,
    profile::ProfileFileCredentialsProvider, provider_config::ProviderConfig, retry::RetryConfig,
    timeout::TimeoutConfig,
};
use aws_sdk_dynamodb::config::Credentials;
use aws_smithy_http_client::{
    Builder,
    tls::{Provider, rustls_provider::CryptoMode},
};
use aws_smithy_runtime_api::{
    box_error::BoxError,
    client::{
        connector_metadata::ConnectorMetadata,
        http::{HttpClient, HttpConnectorSettings, SharedHttpClient, SharedHttpConnector},
        orchestrator::HttpResponse,
        result::SdkError,
        runtime_components::{RuntimeComponents, RuntimeComponentsBuilder},
    },
};
use aws_smithy_types::error::metadata::ProvideErrorMetadata;

use outbox::{Fault, FaultKind};

/// The time limit for opening a connection.
const CONNECT: Duration = Duration::from_secs(1);
/// The time limit of a single attempt of a call.
const ATTEMPT: Duration = Duration::from_secs(2);
/// The time limit of a call with all its retries. It is below the record's own limit of 5 s, so that a call without an
/// answer is reported as such.
const OPERATION: Duration = Duration::from_millis(4_500);

/// The SDK's settings, for every client of a function. Load them once at start.
///
/// A call takes at most 4.5 s with its retries, a single attempt 2 s, opening a connection 1 s. All clients share one
/// HTTP client, which reads the system's root certificates once. If `AWS_ENDPOINT_URL` begins with `http:`, it reads
/// none, and all services are called there without TLS.
pub async fn sdk_config() -> SdkConfig {
    loaded(aws_config::defaults(BehaviorVersion::latest())).await
}

/// The settings of [`sdk_config`] for a profile or a region that a person named. The rest comes from the environment.
///
/// A named profile outranks credentials in the environment, as in the AWS CLI
/// (<https://docs.aws.amazon.com/cli/latest/userguide/cli-configure-envvars.html>, read 2026-11-29). The SDK's own chain
/// would take the environment's. A region outranks `AWS_REGION`, which outranks the profile's.
pub async fn sdk_config_named(profile: Option<&str>, region: Option<&str>) -> SdkConfig {
    let mut loader = aws_config::defaults(BehaviorVersion::latest());
    let mut regions = DefaultRegionChain::builder();
    if let Some(profile) = profile {
        loader = loader.profile_name(profile);
        regions = regions.profile_name(profile);
    }
    let region = match region {
        Some(region) => Some(Region::new(region.to_owned())),
        None => regions.build().region().await,
    };
    if let Some(profile) = profile {
        let provider = ProviderConfig::default().with_region(region.clone());
        let credentials = ProfileFileCredentialsProvider::builder()
            .configure(&provider)
            .profile_name(profile);
        loader = loader.credentials_provider(credentials.build());
    }
    if let Some(region) = region {
        loader = loader.region(region);
    }
    loaded(loader).await
}

/// A fully specified AWS endpoint, such as a local AWS.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Endpoint {
    /// The URL of all services.
    pub url: String,
    /// The region.
    pub region: String,
    /// The id of the access key.
    pub access_key_id: String,
    /// The secret of the access key.
    pub secret_access_key: String,
}

/// The settings of [`sdk_config`] for this endpoint, regardless of environment and profiles.
pub async fn sdk_config_of(endpoint: &Endpoint) -> SdkConfig {
    let credentials = Credentials::new(
        &endpoint.access_key_id,
        &endpoint.secret_access_key,
        None,
        None,
        "endpoint",
    );
    let loader = aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(&endpoint.url)
        .region(Region::new(endpoint.region.clone()))
        .credentials_provider(credentials);
    loaded(loader).await
}

async fn loaded(loader: ConfigLoader) -> SdkConfig {
    let https = Builder::new()
        .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
        .build_https();
    let config = loader
        // For credential providers. On Lambda they make no call, because the credentials are in the environment.
        .http_client(OneHttpClient::new(https.clone(), true))
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(CONNECT)
                .operation_attempt_timeout(ATTEMPT)
                .operation_timeout(OPERATION)
                .build(),
        )
        .retry_config(
            RetryConfig::standard()
                .with_max_attempts(3)
                .with_initial_backoff(Duration::from_millis(50)),
        )
        .load()
        .await;
    let is_plain = config
        .endpoint_url()
        .is_some_and(|url| url.starts_with("http:"));
    let http = if is_plain {
        Builder::new().build_http()
    } else {
        https
    };
    let http = SharedHttpClient::new(OneHttpClient::new(http, is_plain));
    config.into_builder().http_client(http).build()
}

/// One HTTP client for all services. By default each service's client makes its own, and each of these builds a TLS
/// configuration from all root certificates only to check that it can. That was most of a function's start time.
#[derive(Debug)]
struct OneHttpClient {
    inner: SharedHttpClient,
    /// Whether the root certificates were read, or are not needed.
    is_warm: AtomicBool,
}

impl OneHttpClient {
    fn new(inner: SharedHttpClient, is_warm: bool) -> Self {
        Self {
            inner,
            is_warm: AtomicBool::new(is_warm),
        }
    }
}

impl HttpClient for OneHttpClient {
    fn http_connector(
        &self,
        settings: &HttpConnectorSettings,
        components: &RuntimeComponents,
    ) -> SharedHttpConnector {
        self.inner.http_connector(settings, components)
    }

    fn validate_base_client_config(
        &self,
        components: &RuntimeComponentsBuilder,
        config: &aws_smithy_types::config_bag::ConfigBag,
    ) -> Result<(), BoxError> {
        // Only once, while the function starts; later an invocation would have to wait for it.
        if self.is_warm.swap(true, Ordering::Relaxed) {
            return Ok(());
        }
        self.inner.validate_base_client_config(components, config)
    }

    fn connector_metadata(&self) -> Option<ConnectorMetadata> {
        self.inner.connector_metadata()
    }
}

/// A DynamoDB client.
#[must_use]
pub fn dynamodb(config: &SdkConfig) -> aws_sdk_dynamodb::Client {
    aws_sdk_dynamodb::Client::new(config)
}

/// An EventBridge client. It does not retry: the relay retries each entry within its own time budget.
#[must_use]
pub fn eventbridge(config: &SdkConfig) -> aws_sdk_eventbridge::Client {
    let config = aws_sdk_eventbridge::config::Builder::from(config)
        .retry_config(RetryConfig::disabled())
        .build();
    aws_sdk_eventbridge::Client::from_conf(config)
}

/// An SQS client.
#[must_use]
pub fn sqs(config: &SdkConfig) -> aws_sdk_sqs::Client {
    aws_sdk_sqs::Client::new(config)
}

/// The codes with which AWS services throttle. A throttled call had no effect.
const THROTTLED: [&str; 12] = [
    "BandwidthLimitExceeded",
    "LimitExceededException",
    "PriorRequestNotComplete",
    "ProvisionedThroughputExceededException",
    "RequestLimitExceeded",
    "RequestThrottled",
    "RequestThrottledException",
    "SlowDown",
    "Throttling",
    "ThrottledException",
    "ThrottlingException",
    "TooManyRequestsException",
];

/// The codes that concern the caller's identity or permissions, not the request
/// (<https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/CommonErrors.html>, read 2026-11-21).
const DENIED: [&str; 11] = [
    "AccessDenied",
    "AccessDeniedException",
    "ExpiredToken",
    "ExpiredTokenException",
    "IncompleteSignature",
    "IncompleteSignatureException",
    "InvalidClientTokenId",
    "InvalidSignatureException",
    "MissingAuthenticationTokenException",
    "NotAuthorized",
    "UnrecognizedClientException",
];

/// A service's answer, for the reader of the log.
#[derive(Debug, thiserror::Error)]
#[error("{code}: {message} (request {request})")]
struct Answer {
    code: String,
    message: String,
    request: String,
}

/// The failure of a call, and whether the call may have taken effect nevertheless.
pub(crate) struct Failed {
    pub(crate) fault: Fault,
    pub(crate) may_have_happened: bool,
}

/// Converts an SDK error.
pub(crate) fn failed<E>(operation: &'static str, error: SdkError<E, HttpResponse>) -> Failed
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    let status = error
        .raw_response()
        .map(|response| response.status().as_u16());
    let server_side = status.is_some_and(|status| status >= 500);
    let (kind, may_have_happened) = match &error {
        // Nothing was sent.
        SdkError::ConstructionFailure(_) => (FaultKind::Rejected, false),
        SdkError::DispatchFailure(failure) if failure.is_user() => (FaultKind::Rejected, false),
        // The connection may have broken before or after the request arrived.
        SdkError::DispatchFailure(_) | SdkError::TimeoutError(_) => (FaultKind::Unavailable, true),
        SdkError::ServiceError(service) => {
            let code = service.err().code().unwrap_or_default();
            if server_side {
                (FaultKind::Unavailable, true)
            } else if THROTTLED.contains(&code) || status == Some(429) {
                (FaultKind::Unavailable, false)
            } else if DENIED.contains(&code) {
                (FaultKind::Denied, false)
            } else {
                match code {
                    // Another transaction holds the item, or an earlier attempt of this same request is still in
                    // progress.
                    "TransactionConflictException" => (FaultKind::Unavailable, false),
                    "TransactionInProgressException" => (FaultKind::Unavailable, true),
                    _ => (FaultKind::Rejected, false),
                }
            }
        }
        // An answer that cannot be read, for example from a load balancer in between.
        _ if server_side => (FaultKind::Unavailable, true),
        _ => (FaultKind::Unreadable, true),
    };
    let fault = match error {
        SdkError::ServiceError(service) => {
            let meta = service.err().meta();
            let answer = Answer {
                code: meta.code().unwrap_or("no code").to_owned(),
                message: meta.message().unwrap_or("no message").to_owned(),
                request: meta.extra("aws_request_id").unwrap_or("unknown").to_owned(),
            };
            Fault::new(kind, operation, answer)
        }
        other => Fault::new(kind, operation, other),
    };
    Failed {
        fault,
        may_have_happened,
    }
}

/// Converts the failure of a read, or of a write that can safely be repeated: it does not matter whether the call took
/// effect.
pub fn fault<E>(operation: &'static str) -> impl FnOnce(SdkError<E, HttpResponse>) -> Fault
where
    E: std::error::Error + ProvideErrorMetadata + Send + Sync + 'static,
{
    move |error| failed(operation, error).fault
}
