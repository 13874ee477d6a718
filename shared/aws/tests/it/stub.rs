//! An HTTP client for the SDK's clients that answers from a script.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
    time::Duration,
};

use aws_sdk_dynamodb::config::{
    BehaviorVersion, Credentials, Region, SharedCredentialsProvider, retry::RetryConfig,
    timeout::TimeoutConfig,
};
use aws_smithy_runtime_api::client::{
    http::{
        HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpClient,
        SharedHttpConnector,
    },
    orchestrator::{HttpRequest, HttpResponse},
    result::ConnectorError,
    runtime_components::RuntimeComponents,
};
use aws_smithy_types::body::SdkBody;
use serde_json::{Value, json};

/// The fate of a request.
#[derive(Debug, Clone)]
pub(crate) enum Fate {
    /// It gets an answer.
    Answer(u16, Value),
    /// It never gets an answer.
    Silence,
    /// The connection breaks.
    Broken,
}

impl Fate {
    pub(crate) fn ok(body: Value) -> Self {
        Self::Answer(200, body)
    }

    /// An error in the form of the JSON protocols.
    pub(crate) fn error(status: u16, code: &str) -> Self {
        Self::Answer(
            status,
            json!({"__type": format!("com.amazonaws.test#{code}"), "message": "scripted"}),
        )
    }
}

/// The script, and the requests so far. A request beyond the script's end fails the test.
#[derive(Debug, Clone, Default)]
pub(crate) struct Stub {
    script: Arc<Mutex<VecDeque<Fate>>>,
    requests: Arc<Mutex<Vec<Value>>>,
}

impl Stub {
    pub(crate) fn new(script: impl IntoIterator<Item = Fate>) -> Self {
        Self {
            script: Arc::new(Mutex::new(script.into_iter().collect())),
            requests: Arc::default(),
        }
    }

    /// The bodies of all requests.
    pub(crate) fn requests(&self) -> Vec<Value> {
        self.requests.lock().unwrap().clone()
    }

    /// The number of scripted fates that no request has used.
    pub(crate) fn left(&self) -> usize {
        self.script.lock().unwrap().len()
    }

    pub(crate) fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        let config = aws_sdk_dynamodb::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
            .http_client(SharedHttpClient::new(self.clone()))
            .retry_config(RetryConfig::standard().with_initial_backoff(Duration::from_millis(1)))
            .timeout_config(
                TimeoutConfig::builder()
                    .operation_attempt_timeout(Duration::from_secs(2))
                    .build(),
            )
            .build();
        aws_sdk_dynamodb::Client::from_conf(config)
    }

    pub(crate) fn sdk(&self) -> aws_config::SdkConfig {
        aws_config::SdkConfig::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(SharedCredentialsProvider::new(Credentials::new(
                "id", "secret", None, None, "test",
            )))
            .http_client(SharedHttpClient::new(self.clone()))
            .retry_config(RetryConfig::disabled())
            .build()
    }

    pub(crate) fn eventbridge(&self) -> aws_sdk_eventbridge::Client {
        let config = aws_sdk_eventbridge::Config::builder()
            .behavior_version(aws_sdk_eventbridge::config::BehaviorVersion::latest())
            .region(Region::new("eu-central-1"))
            .credentials_provider(Credentials::new("id", "secret", None, None, "test"))
            .http_client(SharedHttpClient::new(self.clone()))
            .retry_config(RetryConfig::disabled())
            .build();
        aws_sdk_eventbridge::Client::from_conf(config)
    }
}

impl HttpClient for Stub {
    fn http_connector(
        &self,
        _: &HttpConnectorSettings,
        _: &RuntimeComponents,
    ) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Stub {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        let body = request.body().bytes().expect("a body in memory");
        let body: Value = serde_json::from_slice(body).expect("a JSON body");
        self.requests.lock().unwrap().push(body);
        let fate = self.script.lock().unwrap().pop_front();
        HttpConnectorFuture::new(async move {
            match fate {
                Some(Fate::Answer(status, body)) => Ok(HttpResponse::new(
                    status.try_into().expect("an HTTP status"),
                    SdkBody::from(body.to_string()),
                )),
                Some(Fate::Silence) => std::future::pending().await,
                Some(Fate::Broken) => Err(ConnectorError::io("connection reset".into())),
                None => panic!("a request beyond the script"),
            }
        })
    }
}
