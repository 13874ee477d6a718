//! The checks. Each looks at the whole model and reports what is wrong and how to fix it.

mod alarms;
mod queues;
mod roles;
mod routing;
mod schedules;
mod stack;
mod told;

use std::{collections::BTreeMap, fmt};

use serde_json::json;
use topology::pascal;

use super::{
    headroom,
    model::{Lane, Model, entries, resources},
};

pub(super) use self::schedules::seconds_of;
use self::{
    alarms::{
        alarms_of_bus, alarms_of_functions, alarms_of_jobs, alarms_of_lanes, alarms_of_latency,
        alarms_of_letters, alarms_of_mails, alarms_tell_somebody, dashboard,
    },
    queues::{
        defaults_written_out, lane_mappings, lanes_of_consumers, queue_policies, queues,
        receive_count, reserved_concurrency, retention, stream_mapping, targets_of_rules,
        visibility,
    },
    roles::{keys, roles},
    routing::{declared_subscriptions, one_lane_per_event, patterns, types_of_rules},
    schedules::schedules,
    stack::{buckets, front, logs, protection, tables},
    told::told_events,
};

/// A resource that is missing or wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The logical id, package or parameter that must change.
    pub(crate) resource: String,
    /// What is wrong and how to fix it.
    pub(crate) advice: String,
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.resource, self.advice)
    }
}

fn finding(resource: impl Into<String>, advice: impl Into<String>) -> Finding {
    Finding {
        resource: resource.into(),
        advice: advice.into(),
    }
}

/// A check: its name and its function.
pub(crate) type Check = (&'static str, fn(&Model) -> Vec<Finding>);

/// All checks.
pub(crate) const CHECKS: &[Check] = &[
    ("functions and packages", functions_and_packages),
    ("types of rules", types_of_rules),
    ("one lane per event", one_lane_per_event),
    ("declared subscriptions", declared_subscriptions),
    ("patterns", patterns),
    ("queues", queues),
    ("lanes of consumers", lanes_of_consumers),
    ("targets of rules", targets_of_rules),
    ("queue policies", queue_policies),
    ("lane mappings", lane_mappings),
    ("stream mapping", stream_mapping),
    ("visibility", visibility),
    ("retention", retention),
    ("receive count", receive_count),
    ("reserved concurrency", reserved_concurrency),
    ("defaults written out", defaults_written_out),
    ("schedules", schedules),
    ("roles", roles),
    ("keys", keys),
    ("logs", logs),
    ("tables", tables),
    ("protection", protection),
    ("buckets", buckets),
    ("front", front),
    ("alarms of lanes", alarms_of_lanes),
    ("alarms of dead letters", alarms_of_letters),
    ("alarms of latency", alarms_of_latency),
    ("alarms of functions", alarms_of_functions),
    ("alarms of jobs", alarms_of_jobs),
    ("alarms of the bus", alarms_of_bus),
    ("alarms of mails", alarms_of_mails),
    ("alarms have recipients", alarms_tell_somebody),
    ("events that are told", told_events),
    ("dashboard", dashboard),
    ("outputs", outputs),
    ("limits", limits),
];

// Limits of AWS, all read 2026-11-21.

/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>: the visibility timeout is at
/// least six times the function's timeout.
const VISIBILITY_PER_TIMEOUT: i64 = 6;
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html>: a stream keeps records 24 h.
const STREAM_SECONDS: i64 = 24 * 60 * 60;
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html>: the gateway waits for this long.
const GATEWAY_SECONDS: i64 = 29;

// This project's own decisions.

/// A lane and the dead-letter queue keep a message as long as SQS can: SQS deletes what is older, also from a lane.
const KEPT_SECONDS: i64 = 14 * 24 * 60 * 60;
/// The receives that `maxReceiveCount` allows in addition to the retry schedule.
const RECEIVES_TO_SPARE: i64 = 20;
/// The least maximum record age of the relay's stream mapping: nearly the stream's 24 hours.
const STREAM_SECONDS_USED: i64 = STREAM_SECONDS - 10 * 60;

/// EventBridge drops a start that it could not deliver within this many seconds: the schedule starts the job again.
const MOST_AGE_OF_A_START: i64 = 300;
/// The least timeout of a scheduled function: two pages of a job, each with the time that must be left after it.
const SECONDS_OF_A_RUN: i64 = 2 * (10 + 2);

/// The objectives of `DeliveryLatency` in milliseconds. There is none for low.
const OBJECTIVES: [(&str, i64); 3] = [("critical", 1_000), ("high", 5_000), ("normal", 30_000)];
const PRIORITIES: [&str; 4] = ["low", "normal", "high", "critical"];

fn functions_and_packages(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut built: BTreeMap<&str, &str> = BTreeMap::new();
    for function in model.functions() {
        let Some(package) = function.package() else {
            findings.push(finding(
                function.id,
                "CodeUri is not target/lambda/<package>/: name the folder under functions/",
            ));
            continue;
        };
        if !model.packages.contains_key(package) {
            findings.push(finding(
                function.id,
                format!("there is no package functions/{package}: add it or remove the resource"),
            ));
        }
        if let Some(other) = built.insert(package, function.id) {
            findings.push(finding(
                function.id,
                format!("{other} has the same code {package}: one package, one function"),
            ));
        }
        let name = json!({ "Fn::Sub": format!("${{AWS::StackName}}_{package}") });
        if function.properties["FunctionName"] != name {
            findings.push(finding(
                function.id,
                format!(
                    "FunctionName: !Sub ${{AWS::StackName}}_{package}: alarms find it by that name"
                ),
            ));
        }
        if function.id != format!("{}Function", pascal(package)) {
            findings.push(finding(
                function.id,
                format!("call it {}Function, after its package", pascal(package)),
            ));
        }
    }
    for package in model
        .packages
        .keys()
        .filter(|package| !built.contains_key(package.as_str()))
    {
        findings.push(finding(
            format!("functions/{package}"),
            format!("no AWS::Serverless::Function with CodeUri target/lambda/{package}/ in template.yaml: add its block"),
        ));
    }
    findings
}

/// The outputs that a person needs. Their number does not depend on the number of functions.
const OUTPUTS: [&str; 4] = ["RestApiId", "ApiStage", "ApiUrl", "EventBusName"];
/// The most outputs that a person can still read.
const OUTPUTS_AT_MOST: usize = 60;

fn outputs(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    let outputs = &model.main["Outputs"];
    for name in OUTPUTS.iter().filter(|name| outputs[**name].is_null()) {
        findings.push(finding(*name, "is missing in Outputs: clients read it"));
    }
    for (id, _) in resources(&model.main, "AWS::KMS::Key") {
        let name = format!("{id}Arn");
        if outputs[&name]["Value"]
            != json!({ "Fn::If": ["HasExistingAuditKey", { "Ref": "ExistingAuditKeyArn" }, { "Fn::GetAtt": [id, "Arn"] }] })
        {
            findings.push(finding(
                name,
                "is missing in Outputs: it is needed to verify the audit log",
            ));
        }
    }
    if model.main["Outputs"]["ApiStage"]["Value"]
        != model.main["Resources"]["Api"]["Properties"]["StageName"]
    {
        findings.push(finding("ApiStage", "is not the API's stage"));
    }
    let count = entries(outputs).count();
    if count > OUTPUTS_AT_MOST {
        findings.push(finding(
            "Outputs",
            format!("there are {count}, at most {OUTPUTS_AT_MOST} are allowed: outputs are for people, tools find resources by their logical ids"),
        ));
    }
    for (name, parameter) in entries(&model.aws_only["Parameters"]) {
        let callers_own = name == "MillraceStack";
        if parameter["Default"].is_null() && !callers_own {
            findings.push(finding(
                name,
                "a parameter of infra/aws-only.yaml that `make deploy` does not set: derive names from the stack's name",
            ));
        }
    }
    findings
}

/// Resources that are close to, or over, a limit of AWS; see [`headroom`].
fn limits(model: &Model) -> Vec<Finding> {
    headroom::of(model)
        .into_iter()
        .filter(|one| one.used > one.limit)
        .map(|one| {
            finding(
                one.of,
                format!("{} {} of {}: split it", one.used, one.what, one.limit),
            )
        })
        .collect()
}

fn consumers(model: &Model) -> BTreeMap<&str, Vec<Lane<'_>>> {
    let mut consumers: BTreeMap<&str, Vec<Lane<'_>>> = BTreeMap::new();
    for lane in model.lanes() {
        if let Some(package) = lane.function.package() {
            consumers.entry(package).or_default().push(lane);
        }
    }
    consumers
}
