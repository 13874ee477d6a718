//! A deployed stack as its client sees it: requests go in, events come out, and state can be read.
//!
//! All settings come from the environment file that `make up` and `make test` write, and from the stack's resources; no
//! resource name is guessed. Only the local AWS can show what [`Emulator`] offers.

use std::{collections::HashMap, future::Future, path::PathBuf, time::Duration};

use async_trait::async_trait;
use aws_config::{BehaviorVersion, Region, SdkConfig};
use aws_sdk_dynamodb::config::Credentials;
use reqwest::{Method, StatusCode};
use serde_json::Value;
use tokio::time::Instant;

use crate::signed::{SignedCalls, StackResource};

/// The environment variable that names the environment file of the stack under test.
pub const STACK_ENV: &str = "MILLRACE_TEST_ENV";

/// How long an idle connection is kept. The local AWS closes one after 5 s; a call that is sent in that moment is reset.
const IDLE: Duration = Duration::from_secs(2);

/// The variable of the environment file with the seconds for which a response 503 is answered by sending the same request
/// again, with the same key, as callers may. It is missing for a local AWS of our own, where a 503 without a fault is a
/// finding.
const REPEAT_503_SECONDS: &str = "MILLRACE_REPEAT_503_SECONDS";

/// Any error that stops a test.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// Polls until there is a result. Fails with the question's name after the deadline.
///
/// # Errors
/// The name of what did not happen, and the time limit.
pub async fn until<T, F, Fut>(what: &str, at_most: Duration, mut look: F) -> Result<T, BoxError>
where
    F: FnMut() -> Fut,
    Fut: Future<Output = Result<Option<T>, BoxError>>,
{
    let deadline = Instant::now() + at_most;
    loop {
        if let Some(found) = look().await? {
            return Ok(found);
        }
        if Instant::now() >= deadline {
            return Err(format!("{what}: not within {} s", at_most.as_secs_f32()).into());
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A deployed stack.
pub struct Stack {
    env: HashMap<String, String>,
    resources: HashMap<String, StackResource>,
    http: reqwest::Client,
    sdk: SdkConfig,
    signed: SignedCalls,
}

/// An HTTP response.
#[derive(Debug, Clone)]
pub struct Reply {
    /// The status.
    pub status: StatusCode,
    /// The headers, names in lower case.
    pub headers: HashMap<String, String>,
    /// The JSON body; null if there is none.
    pub body: Value,
}

impl Stack {
    /// Connects to the stack whose environment file [`STACK_ENV`] names.
    ///
    /// # Errors
    /// When there is no such file, or the stack does not answer.
    #[expect(
        clippy::disallowed_methods,
        reason = "a setting of the tests, read when a test connects"
    )]
    pub async fn connect() -> Result<Self, BoxError> {
        let path = std::env::var_os(STACK_ENV)
            .map(PathBuf::from)
            .ok_or_else(|| {
                format!("{STACK_ENV} is not set: run end-to-end tests by `make test`")
            })?;
        let text = std::fs::read_to_string(&path)
            .map_err(|error| format!("{}: {error}", path.display()))?;
        Self::from_env_file(&text).await
    }

    /// Connects to the stack that an environment file describes.
    ///
    /// # Errors
    /// When a setting is missing from the file, or the stack does not answer.
    pub async fn from_env_file(text: &str) -> Result<Self, BoxError> {
        let env: HashMap<String, String> = text
            .lines()
            .filter_map(|line| {
                line.trim()
                    .strip_prefix("export ")
                    .unwrap_or(line.trim())
                    .split_once('=')
            })
            .map(|(key, value)| (key.to_owned(), value.trim_matches(['\'', '"']).to_owned()))
            .collect();
        let get = |key: &str| {
            env.get(key)
                .cloned()
                .ok_or_else(|| format!("{key} is missing from the environment file"))
        };
        let (endpoint, region) = (get("AWS_ENDPOINT_URL")?, get("AWS_DEFAULT_REGION")?);
        let credentials = Credentials::new(
            get("AWS_ACCESS_KEY_ID")?,
            get("AWS_SECRET_ACCESS_KEY")?,
            None,
            None,
            "environment file",
        );
        let sdk = aws_config::defaults(BehaviorVersion::latest())
            .endpoint_url(&endpoint)
            .region(Region::new(region.clone()))
            .credentials_provider(credentials.clone())
            .load()
            .await;
        let http = reqwest::Client::builder()
            .timeout(Duration::from_secs(35))
            .pool_idle_timeout(IDLE)
            .build()?;
        let signed = SignedCalls::new(http.clone(), endpoint, region, credentials);
        let resources = signed.stack_resources(&get("STACK_NAME")?).await?;
        Ok(Self {
            env,
            resources,
            http,
            sdk,
            signed,
        })
    }

    /// The physical id of a resource, by its logical id in the template: the name of a table, function, role or bus,
    /// the URL of a queue, the id of a key.
    ///
    /// # Errors
    /// The logical id, when there is no such resource.
    pub fn resource(&self, logical_id: &str) -> Result<&str, BoxError> {
        self.resources
            .get(logical_id)
            .map(|resource| resource.physical_id.as_str())
            .ok_or_else(|| format!("the stack has no resource {logical_id}").into())
    }

    /// The logical ids of all resources of a type, such as `AWS::SQS::Queue`.
    pub fn resources_of<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a str> {
        let resources = self.resources.iter();
        resources
            .filter(move |(_, resource)| resource.kind == kind)
            .map(|(logical_id, _)| logical_id.as_str())
    }

    /// The stack's name.
    ///
    /// # Errors
    /// When the environment file has no name.
    pub fn name(&self) -> Result<&str, BoxError> {
        self.env("STACK_NAME")
    }

    /// The value of a variable in the environment file.
    ///
    /// # Errors
    /// The variable's name, when it is missing.
    pub fn env(&self, name: &str) -> Result<&str, BoxError> {
        self.env
            .get(name)
            .map(String::as_str)
            .ok_or_else(|| format!("the environment file has no {name}").into())
    }

    /// The SDK's configuration for the stack's endpoint.
    #[must_use]
    pub fn sdk(&self) -> &SdkConfig {
        &self.sdk
    }

    /// Signed calls of services that have no SDK crate here.
    #[must_use]
    pub fn signed(&self) -> &SignedCalls {
        &self.signed
    }

    /// Calls the API with the environment file's API key.
    ///
    /// # Errors
    /// When there is no response.
    pub async fn call(
        &self,
        method: Method,
        path: &str,
        idempotency_key: Option<&str>,
        body: Option<&Value>,
    ) -> Result<Reply, BoxError> {
        let text = body.map(Value::to_string);
        self.call_as(
            Some(self.env("API_KEY")?),
            method,
            path,
            idempotency_key,
            text.as_deref(),
        )
        .await
    }

    /// Calls the API with another API key or none, and with any body.
    ///
    /// # Errors
    /// When there is no response.
    pub async fn call_as(
        &self,
        api_key: Option<&str>,
        method: Method,
        path: &str,
        idempotency_key: Option<&str>,
        body: Option<&str>,
    ) -> Result<Reply, BoxError> {
        let patience = self.env.get(REPEAT_503_SECONDS);
        let patience = patience.and_then(|seconds| seconds.parse().ok());
        let deadline = Instant::now() + Duration::from_secs(patience.unwrap_or_default());
        loop {
            let reply = self
                .send(api_key, method.clone(), path, idempotency_key, body)
                .await?;
            if reply.status != StatusCode::SERVICE_UNAVAILABLE || Instant::now() >= deadline {
                return Ok(reply);
            }
            tokio::time::sleep(Duration::from_millis(500)).await;
        }
    }

    async fn send(
        &self,
        api_key: Option<&str>,
        method: Method,
        path: &str,
        idempotency_key: Option<&str>,
        body: Option<&str>,
    ) -> Result<Reply, BoxError> {
        let mut request = self
            .http
            .request(method, format!("{}{path}", self.env("API_URL")?));
        if let Some(key) = api_key {
            request = request.bearer_auth(key);
        }
        if let Some(key) = idempotency_key {
            request = request.header("Idempotency-Key", key);
        }
        if let Some(body) = body {
            request = request
                .header("Content-Type", "application/json")
                .body(body.to_owned());
        }
        Reply::read(request.send().await?).await
    }

    /// Calls the API with the environment file's API key, and with additional headers.
    ///
    /// # Errors
    /// When there is no response.
    pub async fn post_saying(
        &self,
        path: &str,
        idempotency_key: &str,
        body: &Value,
        headers: &[(&str, &str)],
    ) -> Result<Reply, BoxError> {
        let mut request = self
            .http
            .post(format!("{}{path}", self.env("API_URL")?))
            .bearer_auth(self.env("API_KEY")?)
            .header("Idempotency-Key", idempotency_key)
            .json(body);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        Reply::read(request.send().await?).await
    }

    /// GET with the environment file's API key.
    ///
    /// # Errors
    /// The status and body of any response but 200.
    pub async fn get(&self, path: &str) -> Result<Value, BoxError> {
        let reply = self.call(Method::GET, path, None, None).await?;
        reply.expect(StatusCode::OK)
    }

    /// What only the local AWS can show.
    #[must_use]
    pub fn emulator(&self) -> Box<dyn Emulator> {
        Box::new(MiniStack {
            http: self.http.clone(),
            endpoint: self
                .env
                .get("AWS_ENDPOINT_URL")
                .cloned()
                .unwrap_or_default(),
        })
    }
}

impl std::fmt::Debug for Stack {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stack")
            .field("resources", &self.resources.keys())
            .finish_non_exhaustive()
    }
}

impl Reply {
    async fn read(response: reqwest::Response) -> Result<Self, BoxError> {
        let status = response.status();
        let headers = response
            .headers()
            .iter()
            .filter_map(|(name, value)| {
                Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
            })
            .collect();
        let text = response.text().await?;
        let body = if text.is_empty() {
            Value::Null
        } else {
            serde_json::from_str(&text)
                .map_err(|error| format!("{status}, no JSON ({error}): {text}"))?
        };
        Ok(Self {
            status,
            headers,
            body,
        })
    }

    /// The body, if the status is the expected one.
    ///
    /// # Errors
    /// The status and body, if the status is another one.
    pub fn expect(self, status: StatusCode) -> Result<Value, BoxError> {
        if self.status == status {
            Ok(self.body)
        } else {
            Err(format!("expected {status}, got {}: {}", self.status, self.body).into())
        }
    }
}

/// A sent mail, as the local AWS shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SentMail {
    /// The recipients.
    pub to: Vec<String>,
    /// The subject.
    pub subject: String,
    /// The HTML part.
    pub html: String,
    /// The text part.
    pub text: String,
}

/// What only an emulator can show.
#[async_trait]
pub trait Emulator: Send + Sync {
    /// All mails that were sent so far.
    async fn mails(&self) -> Result<Vec<SentMail>, BoxError>;

    /// The bodies of all messages in a queue, including those in flight, without receiving them.
    async fn queued(&self, queue_url: &str) -> Result<Vec<String>, BoxError>;
}

struct MiniStack {
    http: reqwest::Client,
    endpoint: String,
}

impl MiniStack {
    async fn window(&self, path: &str) -> Result<Value, BoxError> {
        let url = format!("{}/_ministack/{path}", self.endpoint);
        let answer = self.http.get(url).send().await?;
        Ok(answer.error_for_status()?.json().await?)
    }
}

#[async_trait]
impl Emulator for MiniStack {
    async fn queued(&self, queue_url: &str) -> Result<Vec<String>, BoxError> {
        // The document is nested: accounts, regions, queues by their URLs.
        let document = self.window("sqs/messages").await?;
        let accounts = document["messages"].as_object().into_iter().flatten();
        let regions = accounts.flat_map(|(_, regions)| regions.as_object().into_iter().flatten());
        let messages = regions
            .filter_map(|(_, queues)| queues.get(queue_url)?.as_array())
            .flatten();
        let bodies = messages.map(|message| message["Body"].as_str().unwrap_or_default());
        Ok(bodies.map(str::to_owned).collect())
    }

    async fn mails(&self) -> Result<Vec<SentMail>, BoxError> {
        let document = self.window("ses/messages").await?;
        let accounts = document["messages"]
            .as_object()
            .into_iter()
            .flat_map(|accounts| accounts.values());
        let text = |mail: &Value, field: &str| mail[field].as_str().unwrap_or_default().to_owned();
        let to = |mail: &Value| {
            let addresses = mail["To"].as_array().into_iter().flatten();
            addresses
                .filter_map(Value::as_str)
                .map(str::to_owned)
                .collect()
        };
        Ok(accounts
            .filter_map(Value::as_array)
            .flatten()
            .map(|mail| SentMail {
                to: to(mail),
                subject: text(mail, "Subject"),
                html: text(mail, "BodyHtml"),
                text: text(mail, "BodyText"),
            })
            .collect())
    }
}
