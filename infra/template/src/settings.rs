//! The environment of a function.

use topology::{Deployment, EXPRESS, Function, Kind, Need, Setting, Value, parameters};

use crate::{
    role::{grants, one_lane},
    yaml::quoted,
};

/// Name and value of each setting, as YAML writes the value; each name once.
pub(crate) fn settings(
    deployment: &Deployment,
    function: &'static Function,
) -> Vec<(String, String)> {
    let mut settings: Vec<(String, String)> = Vec::new();
    let mut set = |name: &str, value: String| {
        if !settings.iter().any(|(known, _)| known == name) {
            settings.push((name.to_owned(), value));
        }
    };
    if function.api().is_some() {
        set("AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH", quoted("true"));
    }
    if matches!(function.kind, Kind::Api(_) | Kind::Stream(_)) {
        let parameter = &parameters::CORS_ORIGINS;
        set("CORS_ORIGINS", format!("!Ref {}", parameter.name));
    }
    for grant in grants(deployment, function) {
        set(
            grant.table.setting,
            format!("!Ref {}", grant.table.logical_id()),
        );
    }
    for lane in deployment.lanes_of(function) {
        let kind = if lane.name == EXPRESS {
            "EXPRESS"
        } else {
            "STANDARD"
        };
        let id = lane.logical_id(function);
        set(
            &format!("{kind}_QUEUE_ARN"),
            format!("!GetAtt {id}Queue.Arn"),
        );
        set(&format!("{kind}_QUEUE_URL"), format!("!Ref {id}Queue"));
        set(
            &format!("{kind}_DLQ_URL"),
            format!("!Ref {id}DeadLetterQueue"),
        );
    }
    if let Kind::Consumer(consumer) = &function.kind {
        for (name, parameter) in [
            ("RETRY_DELAYS_SECONDS", &parameters::RETRY_DELAYS_SECONDS),
            (
                "UNAVAILABLE_MAX_AGE_SECONDS",
                &parameters::UNAVAILABLE_MAX_AGE_SECONDS,
            ),
            ("RECORD_TIMEOUT_MS", &parameters::RECORD_TIMEOUT_MS),
        ] {
            set(name, format!("!Ref {}", parameter.name));
        }
        set(
            "RECORD_CONCURRENCY",
            consumer.record_concurrency.map_or_else(
                || format!("!Ref {}", parameters::RECORD_CONCURRENCY.name),
                |number| quoted(&number.to_string()),
            ),
        );
    }
    for need in function.needs {
        match need {
            Need::Publish | Need::DescribeBus => set("BUS_NAME", "!Ref EventBus".to_owned()),
            Need::OneLane => {
                if let Some(queue) = one_lane(deployment) {
                    set("HEALTH_QUEUE_URL", format!("!Ref {queue}"));
                }
            }
            Need::SendMail => set(
                "EMAIL_SENDER",
                format!("!Ref {}", parameters::EMAIL_SENDER.name),
            ),
            Need::Seal => set("KMS_KEY_ID", "!GetAtt AuditKey.Arn".to_owned()),
            Need::WatchLanes => set("STACK_NAME", "!Ref AWS::StackName".to_owned()),
            Need::KeepFailures => {}
            Need::Domains => {
                let names: Vec<&str> = deployment.domains().collect();
                set("DOMAINS", quoted(&names.join(",")));
            }
        }
    }
    for Setting { name, value } in function.settings {
        let value = match value {
            Value::Of(parameter) => format!("!Ref {}", parameter.name),
            Value::IsSet(parameter) => format!(
                "!If [{}, \"true\", \"false\"]",
                parameter.condition.unwrap_or_default()
            ),
            Value::Text(text) => quoted(text),
        };
        set(name, value);
    }
    settings
}
