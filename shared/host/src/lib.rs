//! The common part of the composition roots: every function of a kind starts in the same way.
//!
//! [`Consumer`], [`Job`] and [`Api`] start the logs, read the settings that every function of the kind has, and load
//! the SDK and the store, once. `main` adds only what is special to its function, and runs it. [`Function`] does the
//! same without a kind.
//!
//! How could someone get this wrong when adding a function? An API could give up on contention as early as a consumer
//! does: so an [`Api`] offers no outbox but the one with the callers' retry limits. A consumer could emit events
//! without a log: the outbox without a log refuses them when the transaction is built ([`outbox::BuildError::NoLog`]).

mod kind;

use std::sync::Arc;

use api::{Cors, Keys};
use aws::{DynamoStore, SqsQueue};
use aws_config::SdkConfig;
use consumer::{BatchRunner, Handler, messages, schedule};
use events::{Program, Registry, Text};
use outbox::{
    Outbox, RetryLimits, Store, SystemClock, Table,
    env::{Env, SettingError},
};

pub use kind::{Kind, LOG_AND_MARKS, MARKS, OwnOutbox};
pub use lambda_runtime::Error;

/// A function that has started: its settings, the SDK, the store, and what its kind adds.
pub struct Host<K> {
    env: Env,
    sdk: SdkConfig,
    store: Arc<dyn Store>,
    kind: K,
}

/// A function without a kind. It runs itself.
pub type Function = Host<kind::Plain>;

/// A consumer that drains its lanes.
pub type Consumer = Host<consumer::Config>;

/// A function that handles the messages of a queue, whatever they hold.
pub type Drainer = Host<messages::Settings>;

/// A job that a schedule starts.
pub type Job = Host<schedule::Settings>;

/// An HTTP API.
pub type Api = Host<kind::ApiTables>;

impl<K: Kind> Host<K> {
    /// The settings that every function of this kind needs to start.
    pub const REQUIRED: &'static [&'static str] = K::REQUIRED;

    /// Starts the function: first the logs, under `name`, then settings, SDK and store. A setting whose value is the ARN
    /// of a secret gets the secret's text; it is read once, here. Call `start` once, before anything else.
    ///
    /// # Errors
    /// [`SettingError`] names the setting that is missing or invalid, [`aws::SecretError`] the one whose secret cannot be
    /// read.
    pub async fn start(name: &'static str) -> Result<Self, Error> {
        telemetry::init(name);
        let sdk = aws::sdk_config().await;
        let env = aws::revealed(Env::process(), &sdk).await?;
        let kind = K::of_settings(&env)?;
        let store = Arc::new(DynamoStore::new(aws::dynamodb(&sdk)));
        Ok(Self {
            env,
            sdk,
            store,
            kind,
        })
    }
}

impl<K> Host<K> {
    /// The settings.
    #[must_use]
    pub fn env(&self) -> &Env {
        &self.env
    }

    /// The SDK's settings, for additional clients.
    #[must_use]
    pub fn sdk(&self) -> &SdkConfig {
        &self.sdk
    }

    /// The store.
    #[must_use]
    pub fn store(&self) -> Arc<dyn Store> {
        Arc::clone(&self.store)
    }

    /// The table that a setting names, with the keys `pk` and `sk`.
    ///
    /// # Errors
    /// [`SettingError::Missing`] if the setting is not set.
    pub fn table(&self, key: &'static str) -> Result<Table, SettingError> {
        self.env.required(key).map(Table::domain)
    }
}

/// This program, as it names itself in its events: the release, and the instance's log stream without the parts that
/// are known from elsewhere. The last part of `2026/11/29/[$LATEST]0f8e…` suffices to find it in CloudWatch, and every
/// event pays for every byte.
fn program(env: &Env) -> Program {
    let stream = env.optional("AWS_LAMBDA_LOG_STREAM_NAME");
    let instance = stream.map(|name| name.rsplit(']').next().unwrap_or(name));
    Program {
        version: Text::new(env!("CARGO_PKG_VERSION")).ok(),
        instance: instance.and_then(|instance| Text::new(instance).ok()),
    }
}

impl<K: OwnOutbox> Host<K> {
    /// An outbox with the event log (`EVENTS_TABLE`) and the marks (`MARKS_TABLE`).
    ///
    /// # Errors
    /// [`SettingError::Missing`] if one of them is not set.
    pub fn outbox(&self) -> Result<Outbox, SettingError> {
        let (events, marks) = (kind::events(&self.env)?, kind::marks(&self.env)?);
        let (clock, registry) = (Arc::new(SystemClock), Arc::new(Registry::shipped()));
        let outbox = Outbox::new(self.store(), clock, registry, events, marks);
        Ok(outbox.with_program(program(&self.env)))
    }

    /// An outbox with only the marks (`MARKS_TABLE`), for a function that emits no events and does not read the log. It
    /// needs no permission on the log.
    ///
    /// # Errors
    /// [`SettingError::Missing`] if `MARKS_TABLE` is not set.
    pub fn outbox_without_log(&self) -> Result<Outbox, SettingError> {
        let (clock, registry) = (Arc::new(SystemClock), Arc::new(Registry::shipped()));
        let marks = kind::marks(&self.env)?;
        Ok(Outbox::without_log(self.store(), clock, registry, marks))
    }

    /// An outbox for a function that only reads, or writes rows of its own. It needs no permission on log and marks.
    #[must_use]
    pub fn outbox_for_guards(&self) -> Outbox {
        let (clock, registry) = (Arc::new(SystemClock), Arc::new(Registry::shipped()));
        Outbox::for_guards(self.store(), clock, registry)
    }
}

impl Consumer {
    /// The settings for handling records.
    #[must_use]
    pub fn settings(&self) -> &consumer::Settings {
        &self.kind.settings
    }

    /// Drains the lanes until the execution environment ends.
    ///
    /// # Errors
    /// An error from which the Lambda runtime cannot continue.
    pub async fn run<H: Handler>(self, handler: H, outbox: Outbox) -> Result<(), Error> {
        let queue = Arc::new(SqsQueue::new(aws::sqs(&self.sdk)));
        let runner = BatchRunner::new(handler, outbox, queue, self.kind.settings);
        consumer::queue::run(runner, self.kind.lanes).await
    }
}

impl Drainer {
    /// Handles the queue's messages until the execution environment ends.
    ///
    /// # Errors
    /// An error from which the Lambda runtime cannot continue.
    pub async fn run<H: messages::MessageHandler>(
        self,
        handler: H,
        outbox: &Outbox,
    ) -> Result<(), Error> {
        let clock = Arc::clone(outbox.clock());
        messages::run(handler, clock, self.kind).await
    }
}

impl Job {
    /// The settings for running the job.
    #[must_use]
    pub fn settings(&self) -> &schedule::Settings {
        &self.kind
    }

    /// Runs the job whenever its schedule starts it, until the execution environment ends.
    ///
    /// # Errors
    /// An error from which the Lambda runtime cannot continue.
    pub async fn run<J: schedule::Job>(self, job: J, outbox: Outbox) -> Result<(), Error> {
        schedule::run(schedule::JobRunner::new(job, outbox, self.kind)).await
    }
}

impl Api {
    /// The outbox of an API: with the event log and the marks, and with the callers' retry limits
    /// ([`RetryLimits::for_callers`]).
    #[must_use]
    pub fn outbox(&self) -> Outbox {
        self.kind
            .outbox(self.store())
            .with_program(program(&self.env))
    }

    /// The API keys.
    #[must_use]
    pub fn keys(&self) -> Keys {
        Keys::new(self.store(), self.kind.keys.clone())
    }

    /// The browser origins that may call it.
    #[must_use]
    pub fn cors(&self) -> &Cors {
        &self.kind.cors
    }

    /// Serves requests until the execution environment ends.
    ///
    /// # Errors
    /// An error from which the Lambda runtime cannot continue.
    pub async fn run(self, router: axum::Router) -> Result<(), Error> {
        let router = self.cors().around(router);
        api::run(router).await
    }

    /// Serves requests, and also handles other invocations of the function.
    ///
    /// # Errors
    /// An error from which the Lambda runtime cannot continue.
    pub async fn run_with(
        self,
        router: axum::Router,
        direct: impl api::Direct,
    ) -> Result<(), Error> {
        let router = self.cors().around(router);
        api::run_with(router, direct).await
    }
}

impl kind::ApiTables {
    fn outbox(&self, store: Arc<dyn Store>) -> Outbox {
        let (clock, registry) = (Arc::new(SystemClock), Arc::new(Registry::shipped()));
        let (events, marks) = (self.events.clone(), self.marks.clone());
        Outbox::new(store, clock, registry, events, marks).with_limits(RetryLimits::for_callers())
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::expect_used,
        clippy::panic,
        reason = "a test fails by panicking"
    )]

    use aws_config::BehaviorVersion;
    use outbox::memory::MemoryStore;

    use super::*;

    const EVERY: [(&str, &str); 7] = [
        ("STACK_NAME", "test"),
        ("EVENTS_TABLE", "events"),
        ("MARKS_TABLE", "marks"),
        ("KEYS_TABLE", "keys"),
        ("STANDARD_QUEUE_ARN", "arn:aws:sqs:us-east-1:000000000000:q"),
        ("STANDARD_QUEUE_URL", "http://queue"),
        ("DEAD_LETTERS_URL", "http://letters"),
    ];

    fn host<K: Kind>(without: &str) -> Result<Host<K>, SettingError> {
        let env = Env::of(EVERY.into_iter().filter(|(key, _)| *key != without));
        Ok(Host {
            kind: K::of_settings(&env)?,
            env,
            sdk: SdkConfig::builder()
                .behavior_version(BehaviorVersion::latest())
                .build(),
            store: Arc::new(MemoryStore::new()),
        })
    }

    #[track_caller]
    fn names<T>(result: Result<T, SettingError>, key: &str) {
        match result {
            Err(error) => assert!(error.to_string().contains(key), "{error}"),
            Ok(_) => panic!("started without {key}"),
        }
    }

    #[test]
    fn an_api_waits_as_callers_need() {
        let api: Api = host("").expect("whole");
        assert_eq!(api.outbox().limits(), RetryLimits::for_callers());
    }

    #[test]
    fn each_table_is_the_one_of_its_setting() {
        let api: Api = host("").expect("whole");
        let outbox = api.outbox();
        let tables = [
            outbox.events_table().expect("a log"),
            outbox.marks_table().expect("marks"),
            &api.kind.keys,
        ];
        assert_eq!(tables.map(Table::name), ["events", "marks", "keys"]);
        let consumer: Consumer = host("").expect("whole");
        let outbox = consumer.outbox().expect("log and marks");
        assert_eq!(outbox.events_table().expect("a log").name(), "events");
        let outbox = consumer.outbox_without_log().expect("marks");
        assert_eq!(outbox.marks_table().expect("marks").name(), "marks");
        assert_eq!(consumer.table("KEYS_TABLE").expect("set").name(), "keys");
    }

    #[test]
    fn events_name_the_release_and_the_instance_by_the_end_of_its_log_stream() {
        let named = |stream: &str| program(&Env::of([("AWS_LAMBDA_LOG_STREAM_NAME", stream)]));
        let instance = |stream: &str| named(stream).instance.map(|text| text.to_string());
        assert_eq!(
            instance("2026/11/29/[$LATEST]0f8e"),
            Some("0f8e".to_owned())
        );
        assert_eq!(instance("0f8e"), Some("0f8e".to_owned()));
        assert_eq!(instance("2026/11/29/[$LATEST]"), None);
        let version = program(&Env::default())
            .version
            .map(|text| text.to_string());
        assert_eq!(version.as_deref(), Some(env!("CARGO_PKG_VERSION")));
    }

    #[test]
    fn what_every_function_of_a_kind_must_be_told_is_named_when_it_is_missing() {
        for key in Api::REQUIRED {
            names(host::<kind::ApiTables>(key), key);
        }
        for key in Consumer::REQUIRED
            .iter()
            .chain(&["STANDARD_QUEUE_URL", "DEAD_LETTERS_URL"])
        {
            names(host::<consumer::Config>(key), key);
        }
        for key in Job::REQUIRED {
            names(host::<schedule::Settings>(key), key);
        }
        for key in Drainer::REQUIRED {
            names(host::<messages::Settings>(key), key);
        }
    }

    #[test]
    fn an_outbox_is_there_once_its_tables_are_named() {
        for key in LOG_AND_MARKS {
            let consumer: Consumer = host(key).expect("whole");
            names(consumer.outbox(), key);
            let job: Job = host(key).expect("whole");
            names(job.outbox(), key);
        }
        let consumer: Consumer = host("MARKS_TABLE").expect("whole");
        names(consumer.outbox_without_log(), "MARKS_TABLE");
        names(consumer.table("CLOUD_TABLE"), "CLOUD_TABLE");
        let consumer: Consumer = host("EVENTS_TABLE").expect("whole");
        assert!(consumer.outbox_without_log().is_ok());
    }

    #[tokio::test]
    async fn an_outbox_without_log_refuses_to_read_one() {
        let consumer: Consumer = host("").expect("whole");
        let outbox = consumer.outbox_without_log().expect("marks");
        assert!(outbox.events_table().is_err());
        assert!(outbox.marks_table().is_ok());
    }
}
