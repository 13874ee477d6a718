//! The checks: each looks at the whole model and names what is wrong and what to do about it.

mod alarms;
mod queues;
mod roles;
mod routing;
mod schedules;
mod stack;

use std::{collections::BTreeMap, fmt};

use serde_json::{Value, json};

use super::model::{Lane, Model, entries, resources};

use self::{
    alarms::{
        alarms_of_functions, alarms_of_jobs, alarms_of_lanes, alarms_of_latency,
        alarms_tell_somebody, dashboard,
    },
    queues::{
        defaults_written_out, lane_mappings, lanes_of_consumers, lanes_shown, queue_policies,
        queues, receive_count, reserved_concurrency, retention, stream_mapping, targets_of_rules,
        visibility,
    },
    roles::{keys, roles},
    routing::{one_lane_per_event, patterns, routed_types, subscriptions_in_code, types_of_rules},
    schedules::schedules,
    stack::{front, logs, tables},
};

/// Something left out or wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Finding {
    /// The logical id, package or parameter that has to change.
    pub(crate) resource: String,
    /// What is wrong and what to do.
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

/// A check's name and what it does.
pub(crate) type Check = (&'static str, fn(&Model) -> Vec<Finding>);

/// Every check.
pub(crate) const CHECKS: &[Check] = &[
    ("functions and packages", functions_and_packages),
    ("settings", settings),
    ("types of rules", types_of_rules),
    ("one lane per event", one_lane_per_event),
    ("subscriptions in code", subscriptions_in_code),
    ("patterns", patterns),
    ("routed types", routed_types),
    ("queues", queues),
    ("lanes of consumers", lanes_of_consumers),
    ("lanes shown", lanes_shown),
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
    ("front", front),
    ("alarms of lanes", alarms_of_lanes),
    ("alarms of latency", alarms_of_latency),
    ("alarms of functions", alarms_of_functions),
    ("alarms of jobs", alarms_of_jobs),
    ("alarms tell somebody", alarms_tell_somebody),
    ("dashboard", dashboard),
    ("outputs", outputs),
    ("size of templates", size_of_templates),
];

// Limits of AWS, all read 2026-11-21.

/// <https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-configure.html>: visibility at least six times the timeout.
const VISIBILITY_PER_TIMEOUT: i64 = 6;
/// <https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html>: a stream forgets after a day.
const STREAM_SECONDS: i64 = 24 * 60 * 60;
/// <https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html>: the gateway waits this long.
const GATEWAY_SECONDS: i64 = 29;
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>
const RESOURCES_OF_TEMPLATE: usize = 500;
/// The same page.
const OUTPUTS_OF_TEMPLATE: usize = 200;
/// The same page.
const PARAMETERS_OF_TEMPLATE: usize = 200;

// What was decided.

/// A lane keeps messages at most this long: event marks (30 days) outlive lane, letters and a redriven copy.
const LANE_SECONDS: i64 = 4 * 24 * 60 * 60;
/// A letter is kept as long as SQS can.
const LETTER_SECONDS: i64 = 14 * 24 * 60 * 60;
/// Receives that `maxReceiveCount` leaves above the retry schedule.
const RECEIVES_TO_SPARE: i64 = 20;
/// The relay's record age: at least this much of the stream's day.
const STREAM_SECONDS_USED: i64 = STREAM_SECONDS - 10 * 60;

/// What EventBridge could not start within so many seconds is not started: the schedule comes again.
const MOST_AGE_OF_A_START: i64 = 300;
/// A scheduled function's time: two pages of a job, with what must be left for each.
const SECONDS_OF_A_RUN: i64 = 2 * (10 + 2);

/// The objectives of `DeliveryLatency` in milliseconds; low has none.
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
                format!("no package functions/{package}: add it or remove the resource"),
            ));
        }
        if let Some(other) = built.insert(package, function.id) {
            findings.push(finding(
                function.id,
                format!("{other} has the same code {package}: one package, one function"),
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

/// Settings that the template sets for a library that is not ours.
const SETTINGS_OF_LIBRARIES: [&str; 1] = ["AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH"];

fn settings(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    for function in model.functions() {
        let Some(package) = function
            .package()
            .and_then(|package| model.packages.get(package))
        else {
            continue;
        };
        if !package.is_written() {
            continue;
        }
        let set = function.settings();
        for name in package
            .required
            .iter()
            .filter(|name| !set.contains_key(name.as_str()))
        {
            findings.push(finding(
                function.id,
                format!("does not start without {name}: set it in Environment"),
            ));
        }
        // Its own settings alone: those of the globals are for whoever reads them.
        for (name, _) in entries(&function.properties["Environment"]["Variables"])
            .filter(|(name, _)| !SETTINGS_OF_LIBRARIES.contains(name))
        {
            if !package.known.contains(name) {
                findings.push(finding(
                    function.id,
                    format!("nothing in its code reads {name}: remove it from Environment"),
                ));
            }
        }
    }
    findings
}

fn outputs(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut need = |name: String, value: Value| {
        if model.main["Outputs"][&name]["Value"] != value {
            findings.push(finding(
                name,
                format!(
                    "missing in Outputs or not {value}: clients and infra/aws-only.yaml read it"
                ),
            ));
        }
    };
    for (id, _) in resources(&model.main, "AWS::SQS::Queue") {
        need(format!("{id}Url"), json!({ "Ref": id }));
        need(
            format!("{id}Name"),
            json!({ "Fn::GetAtt": [id, "QueueName"] }),
        );
    }
    for (id, _) in resources(&model.main, "AWS::DynamoDB::Table") {
        need(format!("{id}Name"), json!({ "Ref": id }));
    }
    for function in model.functions() {
        need(
            format!("{}Name", function.id),
            json!({ "Ref": function.id }),
        );
        need(
            format!("{}RoleName", function.id),
            json!({ "Ref": function.role() }),
        );
    }
    for (id, _) in resources(&model.main, "AWS::KMS::Key") {
        need(format!("{id}Arn"), json!({ "Fn::GetAtt": [id, "Arn"] }));
    }
    need("EventBusName".into(), json!({ "Ref": "EventBus" }));
    need("RestApiId".into(), json!({ "Ref": "Api" }));
    need(
        "ApiStage".into(),
        model.main["Resources"]["Api"]["Properties"]["StageName"].clone(),
    );

    for (name, parameter) in entries(&model.aws_only["Parameters"]) {
        let callers_own = ["MillraceStack", "Stage"].contains(&name);
        if parameter["Default"].is_null() && !callers_own && model.main["Outputs"][name].is_null() {
            findings.push(finding(
                name,
                "a parameter of infra/aws-only.yaml that no output of template.yaml fills",
            ));
        }
    }
    findings
}

fn size_of_templates(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (name, template) in [
        ("template.yaml", &model.main),
        ("infra/aws-only.yaml", &model.aws_only),
    ] {
        // An API event becomes a permission when SAM is done.
        let permissions = if name == "template.yaml" {
            model
                .functions()
                .iter()
                .map(|function| entries(&function.properties["Events"]).count())
                .sum()
        } else {
            0
        };
        for (section, count, most) in [
            (
                "Resources",
                entries(&template["Resources"]).count() + permissions,
                RESOURCES_OF_TEMPLATE,
            ),
            (
                "Outputs",
                entries(&template["Outputs"]).count(),
                OUTPUTS_OF_TEMPLATE,
            ),
            (
                "Parameters",
                entries(&template["Parameters"]).count(),
                PARAMETERS_OF_TEMPLATE,
            ),
        ] {
            if count > most {
                findings.push(finding(
                    name,
                    format!("{count} {section} of {most}: split it"),
                ));
            }
        }
    }
    findings
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

fn pascal(name: &str) -> String {
    name.split('-')
        .map(|word| {
            let mut letters = word.chars();
            letters.next().map_or_else(String::new, |first| {
                first.to_ascii_uppercase().to_string() + letters.as_str()
            })
        })
        .collect()
}
