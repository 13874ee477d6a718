//! Alarms and the dashboard.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use topology::Deployment;

use super::super::model::{Model, list, resources};
use super::{Finding, OBJECTIVES, finding};

/// An alarm on one metric, with its comparison.
struct Alarm<'a> {
    namespace: &'a str,
    metric: &'a str,
    dimensions: &'a [(&'a str, Value)],
    above: i64,
}

fn has_alarm(model: &Model, wanted: &Alarm<'_>) -> bool {
    resources(&model.aws_only, "AWS::CloudWatch::Alarm").any(|(_, alarm)| {
        alarm["Namespace"] == wanted.namespace
            && alarm["MetricName"] == wanted.metric
            && alarm["ComparisonOperator"] == "GreaterThanThreshold"
            && alarm["Threshold"] == wanted.above
            && dimensions(&alarm["Dimensions"]) == wanted.dimensions.iter().cloned().collect()
    })
}

fn dimensions(value: &Value) -> BTreeMap<&str, Value> {
    list(value)
        .iter()
        .filter_map(|one| Some((one["Name"].as_str()?, one["Value"].clone())))
        .collect()
}

fn parameter(name: &str) -> Value {
    json!({ "Ref": name })
}

/// A resource of the other stack, by its name there.
fn physical(name: &str) -> Value {
    json!({ "Fn::Sub": format!("${{MillraceStack}}_{name}") })
}

/// The name of a resource of the main template within its stack.
fn name_in_stack<'a>(model: &'a Model, id: &str, property: &str) -> &'a str {
    model.main["Resources"][id]["Properties"][property]["Fn::Sub"]
        .as_str()
        .and_then(|name| name.strip_prefix("${AWS::StackName}_"))
        .unwrap_or_default()
}

pub(super) fn alarms_of_lanes(model: &Model) -> Vec<Finding> {
    const WAITING: &str = "ApproximateNumberOfMessagesVisible";
    const AGE: &str = "ApproximateAgeOfOldestMessage";
    let mut findings = Vec::new();
    for lane in model.lanes() {
        let Some(letters) = lane.letters() else {
            continue;
        };
        let oldest = if lane.kind() == Some("EXPRESS") {
            60
        } else {
            300
        };
        let queue = [(
            "QueueName",
            physical(name_in_stack(model, lane.queue, "QueueName")),
        )];
        let dead = [(
            "QueueName",
            physical(name_in_stack(model, letters, "QueueName")),
        )];
        for (dimensions, metric, above, what) in [
            (&dead, WAITING, 10, "dead letters"),
            (&dead, WAITING, 100, "dead letters"),
            (
                &dead,
                AGE,
                10 * 24 * 60 * 60,
                "seconds of age of the oldest dead letter",
            ),
            (&queue, WAITING, 1_000, "waiting events"),
            (&queue, WAITING, 10_000, "waiting events"),
            (
                &queue,
                "ApproximateNumberOfMessagesNotVisible",
                60_000,
                "events waiting or in flight",
            ),
            (&queue, AGE, oldest, "seconds of age of the oldest event"),
        ] {
            if !has_alarm(
                model,
                &Alarm {
                    namespace: "AWS/SQS",
                    metric,
                    dimensions,
                    above,
                },
            ) {
                findings.push(finding(
                    lane.queue,
                    format!("there is no alarm above {above} {what}"),
                ));
            }
        }
        let unhandled = resources(&model.aws_only, "AWS::CloudWatch::Alarm").any(|(_, alarm)| {
            let reads = |name: &str| {
                list(&alarm["Metrics"]).iter().any(|metric| {
                    let metric = &metric["MetricStat"];
                    metric["Metric"]["MetricName"] == name
                        && metric["Period"] == 3_600
                        && dimensions(&metric["Metric"]["Dimensions"])
                            == dead.iter().cloned().collect()
                })
            };
            reads(WAITING) && reads("NumberOfMessagesDeleted")
        });
        if !unhandled {
            findings.push(finding(
                lane.queue,
                "there is no alarm on dead letters that are left for an hour",
            ));
        }
    }
    findings
}

pub(super) fn alarms_of_latency(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    for contract in &model.contracts {
        let Some((_, objective)) = OBJECTIVES
            .into_iter()
            .find(|(priority, _)| *priority == contract.priority)
        else {
            continue;
        };
        let domain = contract.event_type.split('.').next().unwrap_or_default();
        let dimensions = [
            ("stage", parameter("Stage")),
            ("domain", json!(domain)),
            ("priority", json!(contract.priority)),
        ];
        let alarm = Alarm {
            namespace: "Millrace",
            metric: "DeliveryLatency",
            dimensions: &dimensions,
            above: objective,
        };
        if !has_alarm(model, &alarm) {
            findings.push(finding(&contract.event_type, format!(
                "there is no alarm on DeliveryLatency above {objective} ms of domain {domain}, priority {}",
                contract.priority
            )));
        }
    }
    findings
}

pub(super) fn alarms_of_functions(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    for function in model.functions() {
        let name = [(
            "FunctionName",
            physical(name_in_stack(model, function.id, "FunctionName")),
        )];
        if !has_alarm(
            model,
            &Alarm {
                namespace: "AWS/Lambda",
                metric: "Errors",
                dimensions: &name,
                above: 0,
            },
        ) {
            findings.push(finding(function.id, "there is no alarm on its Errors"));
        }
        if function.events("DynamoDB").is_empty() {
            continue;
        }
        for above in [60_000, 3_600_000] {
            if !has_alarm(
                model,
                &Alarm {
                    namespace: "AWS/Lambda",
                    metric: "IteratorAge",
                    dimensions: &name,
                    above,
                },
            ) {
                findings.push(finding(
                    function.id,
                    format!("there is no alarm on its IteratorAge above {above} ms"),
                ));
            }
        }
        let of_relay = [
            ("stage", parameter("Stage")),
            ("consumer", json!(function.package().unwrap_or_default())),
        ];
        if !has_alarm(
            model,
            &Alarm {
                namespace: "Millrace",
                metric: "EventPublishError",
                dimensions: &of_relay,
                above: 0,
            },
        ) {
            findings.push(finding(
                function.id,
                "there is no alarm on EventPublishError",
            ));
        }
    }
    findings
}

/// Every counter of a scheduled job that its declaration puts an alarm on. That each counter has such a declaration, `tests/it/jobs.rs`
/// checks: it knows the jobs' code.
pub(super) fn alarms_of_jobs(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    for declared in Deployment::whole().functions() {
        let Some(job) = declared.job() else { continue };
        if !model.packages.contains_key(declared.name) {
            continue;
        }
        for counted in job.alarms {
            let dimensions = [
                ("stage", parameter("Stage")),
                ("consumer", json!(declared.name)),
            ];
            let alarm = Alarm {
                namespace: "Millrace",
                metric: counted.metric,
                dimensions: &dimensions,
                above: 0,
            };
            if !has_alarm(model, &alarm) {
                findings.push(finding(
                    declared.name,
                    format!("there is no alarm on its {}", counted.metric),
                ));
            }
        }
    }
    findings
}

pub(super) fn alarms_tell_somebody(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (id, alarm) in resources(&model.aws_only, "AWS::CloudWatch::Alarm") {
        let tells = ["Warning", "Critical"].into_iter().any(|severity| {
            alarm["AlarmActions"]
                == json!({ "Fn::If": [
                    format!("Has{severity}Topic"), [{ "Ref": format!("{severity}TopicArn") }], { "Ref": "AWS::NoValue" }
                ] })
        });
        if !tells {
            findings.push(finding(
                id,
                "notifies no one: set AlarmActions to WarningTopicArn or CriticalTopicArn",
            ));
        }
        if alarm["AlarmDescription"].as_str().is_none_or(str::is_empty) {
            findings.push(finding(
                id,
                "has no AlarmDescription: say what the alarm means and what to do",
            ));
        }
        if alarm["TreatMissingData"] != "notBreaching" {
            findings.push(finding(
                id,
                "would ring on an idle stack: set TreatMissingData: notBreaching",
            ));
        }
    }
    findings
}

pub(super) fn dashboard(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    let body = resources(&model.aws_only, "AWS::CloudWatch::Dashboard")
        .filter_map(|(_, dashboard)| dashboard["DashboardBody"]["Fn::Sub"].as_str())
        .collect::<String>();
    if let Err(error) = serde_json::from_str::<Value>(&body) {
        findings.push(finding(
            "Dashboard",
            format!("its body is not JSON: {error}"),
        ));
    }
    let queues = resources(&model.main, "AWS::SQS::Queue").map(|(id, _)| (id, "QueueName"));
    let functions = model.functions();
    let functions = functions
        .iter()
        .map(|function| (function.id, "FunctionName"));
    for (id, property) in queues.chain(functions) {
        let name = name_in_stack(model, id, property);
        if name.is_empty() || !body.contains(&format!("\"${{MillraceStack}}_{name}\"")) {
            findings.push(finding(id, "is not on the dashboard"));
        }
    }
    findings
}
