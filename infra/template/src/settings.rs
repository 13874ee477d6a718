//! The environment of a function.

use topology::{Deployment, EXPRESS, Function, Kind, Need, Parameter, Setting, Value, parameters};

use crate::{
    role::{DEAD_LETTER_QUEUE, grants, one_lane},
    yaml::quoted,
};

/// The settings of every function that take a parameter's value. They are in the template's globals, as [`STACK_NAME`]
/// is.
pub(crate) const OF_EVERY_FUNCTION: &[(&str, &Parameter)] = &[("RUST_LOG", &parameters::LOG_LEVEL)];

/// The stack's name, which every function is given: the variable, its value, and what it is.
pub(crate) const STACK_NAME: (&str, &str, &str) = (
    "STACK_NAME",
    "!Ref AWS::StackName",
    "Name of the stack: a dimension of every metric, so that two stacks share none, and the beginning of its queues' names.",
);

/// A variable of a function's environment.
#[derive(Debug, Clone)]
pub(crate) struct Variable {
    pub(crate) name: String,
    pub(crate) source: Source,
}

/// The source of a variable's value.
#[derive(Debug, Clone)]
pub(crate) enum Source {
    /// The parameter's value.
    Of(&'static Parameter),
    /// Whether a parameter was set.
    IsSet(&'static Parameter),
    /// A fixed text, and what it means.
    Text(String, String),
    /// A resource of the stack: its YAML expression, and what it is.
    Made(String, String),
}

impl Source {
    /// The value as a YAML expression.
    pub(crate) fn yaml(&self) -> String {
        match self {
            Self::Of(parameter) => match parameter.secret_arn {
                Some(secret) => given_or(secret, &format!("!Ref {}", parameter.name)),
                None => format!("!Ref {}", parameter.name),
            },
            Self::IsSet(parameter) => format!(
                "!If [{}, \"true\", \"false\"]",
                parameter.condition.unwrap_or_default()
            ),
            Self::Text(text, _) => quoted(text),
            Self::Made(value, _) => value.clone(),
        }
    }

    fn text(text: impl Into<String>, means: impl Into<String>) -> Self {
        Self::Text(text.into(), means.into())
    }

    fn made(value: impl Into<String>, is: impl Into<String>) -> Self {
        Self::Made(value.into(), is.into())
    }
}

/// The settings of a function in addition to those of every function, each name once.
pub(crate) fn settings(deployment: &Deployment, function: &'static Function) -> Vec<Variable> {
    let mut settings: Vec<Variable> = Vec::new();
    let mut set = |name: &str, source: Source| {
        if !settings.iter().any(|known| known.name == name) {
            settings.push(Variable {
                name: name.to_owned(),
                source,
            });
        }
    };
    if function.api().is_some() {
        let means =
            "Keeps the stage out of the paths that the routes match; read by `lambda_http`.";
        set(
            "AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH",
            Source::text("true", means),
        );
    }
    if matches!(function.kind, Kind::Api(_) | Kind::Stream(_)) {
        set("CORS_ORIGINS", Source::Of(&parameters::CORS_ORIGINS));
    }
    for grant in grants(deployment, function) {
        let table = grant.table;
        set(
            table.setting,
            Source::made(
                format!("!Ref {}", table.logical_id()),
                format!("Name of the table. {}", table.holds),
            ),
        );
    }
    for lane in deployment.lanes_of(function) {
        let kind = if lane.name == EXPRESS {
            "EXPRESS"
        } else {
            "STANDARD"
        };
        let id = lane.logical_id(function);
        let lane = lane.name;
        set(
            &format!("{kind}_QUEUE_ARN"),
            Source::made(
                format!("!GetAtt {id}Queue.Arn"),
                format!("ARN of the {lane} lane's queue."),
            ),
        );
        set(
            &format!("{kind}_QUEUE_URL"),
            Source::made(
                format!("!Ref {id}Queue"),
                format!("URL of the {lane} lane's queue."),
            ),
        );
    }
    if matches!(function.kind, Kind::Consumer(_)) {
        let is =
            "URL of the stack's dead-letter queue, where the consumer parks what it cannot handle.";
        set(
            "DEAD_LETTERS_URL",
            Source::made(format!("!Ref {DEAD_LETTER_QUEUE}"), is),
        );
        for (name, parameter) in [
            ("RETRY_DELAYS_SECONDS", &parameters::RETRY_DELAYS_SECONDS),
            (
                "UNAVAILABLE_MAX_AGE_SECONDS",
                &parameters::UNAVAILABLE_MAX_AGE_SECONDS,
            ),
            ("RECORD_TIMEOUT_MS", &parameters::RECORD_TIMEOUT_MS),
            ("RECORD_CONCURRENCY", &parameters::RECORD_CONCURRENCY),
        ] {
            set(name, Source::Of(parameter));
        }
    }
    for need in function.needs {
        match need {
            Need::Publish | Need::DescribeBus => {
                set(
                    "BUS_NAME",
                    Source::made("!Ref EventBus", "Name of the bus."),
                );
            }
            Need::OneLane => {
                if let Some(queue) = one_lane(deployment) {
                    let is = "URL of any lane's queue. The health check reads its attributes to see whether SQS answers.";
                    set(
                        "HEALTH_QUEUE_URL",
                        Source::made(format!("!Ref {queue}"), is),
                    );
                }
            }
            Need::SendMail => set("EMAIL_SENDER", Source::Of(&parameters::EMAIL_SENDER)),
            Need::Seal => {
                let is = "ARN of the KMS key that seals the audit log.";
                set("KMS_KEY_ID", Source::made(audit_key(), is));
            }
            Need::StreamTokens => {
                let is = "ARN of the secret that signs stream tokens. A function reads it when it starts. A server of its own can have the secret itself.";
                set("STREAM_TOKEN_SECRET", Source::made(token_secret(), is));
            }
            Need::StreamAddress => {
                let is = "URL before `/api/v1/events/stream`: the parameter StreamAddress, else the Function URL.";
                set("STREAM_URL", Source::made(stream_address(deployment), is));
            }
            // STACK_NAME, which every function has, begins the names of queues and functions.
            Need::WatchLanes
            | Need::SendToLanes
            | Need::KnowLanesAndLog
            | Need::PauseConsumers
            | Need::KeepFailures => {}
            Need::CallEndpoints => {
                set(
                    "WEBHOOK_NETWORKS",
                    Source::Of(&parameters::WEBHOOK_NETWORKS),
                );
                set("WEBHOOK_PORTS", Source::Of(&parameters::WEBHOOK_PORTS));
            }
            Need::Domains => {
                let names: Vec<&str> = deployment.domains().collect();
                let means =
                    "The domains that the template was rendered with: `make template DOMAINS='…'`.";
                set("DOMAINS", Source::text(names.join(","), means));
            }
        }
    }
    for Setting { name, value } in function.settings {
        let source = match value {
            Value::Of(parameter) => Source::Of(parameter),
            Value::IsSet(parameter) => Source::IsSet(parameter),
            Value::Text(text, means) => Source::text(*text, *means),
        };
        set(name, source);
    }
    settings
}

/// The value of a parameter that was set, else this YAML expression.
pub(crate) fn given_or(given: &Parameter, otherwise: &str) -> String {
    format!(
        "!If [{}, !Ref {}, {otherwise}]",
        given.condition.unwrap_or_default(),
        given.name
    )
}

/// The ARN of the key that seals the audit log, the stack's own or the one that was given.
pub(crate) fn audit_key() -> String {
    given_or(&parameters::EXISTING_AUDIT_KEY_ARN, "!GetAtt AuditKey.Arn")
}

/// The ARN of the secret that signs stream tokens. `Ref` would be the ARN only on AWS.
pub(crate) fn token_secret() -> String {
    given_or(
        &parameters::STREAM_TOKEN_SECRET_ARN,
        "!GetAtt StreamTokenSecret.Id",
    )
}

/// Where clients reach the stream.
fn stream_address(deployment: &Deployment) -> String {
    let mut functions = deployment.functions().iter();
    let own = functions.find(|one| matches!(one.kind, Kind::Stream(_)));
    let url = own.map_or("\"\"".to_owned(), |one| {
        let id = one.logical_id();
        format!("!If [HasStreamFunctionUrl, !GetAtt {id}Url.FunctionUrl, \"\"]")
    });
    given_or(&parameters::STREAM_ADDRESS, &url)
}
