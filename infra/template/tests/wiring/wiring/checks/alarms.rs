//! Alarms and the dashboard.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use topology::{Deployment, HEARTBEAT};

use super::super::model::{DEAD_LETTER_QUEUE, Model, list, resources};
use super::{Finding, OBJECTIVES, consumers, finding};

/// An alarm on one metric, with its comparison.
struct Alarm<'a> {
    namespace: &'a str,
    metric: &'a str,
    dimensions: &'a [(&'a str, Value)],
    above: i64,
}

fn has_alarm(model: &Model, wanted: &Alarm<'_>) -> bool {
    let is_wanted = |metric: &Value| {
        metric["Namespace"] == wanted.namespace
            && metric["MetricName"] == wanted.metric
            && dimensions(&metric["Dimensions"]) == wanted.dimensions.iter().cloned().collect()
    };
    resources(&model.aws_only, "AWS::CloudWatch::Alarm").any(|(_, alarm)| {
        alarm["ComparisonOperator"] == "GreaterThanThreshold"
            && alarm["Threshold"] == wanted.above
            && watched(alarm).any(is_wanted)
    })
}

/// The metrics of an alarm: its own, or those of its expression.
fn watched(alarm: &Value) -> impl Iterator<Item = &Value> {
    let metrics = list(&alarm["Metrics"]);
    let own = metrics.is_empty().then_some(alarm);
    own.into_iter()
        .chain(metrics.iter().map(|one| &one["MetricStat"]["Metric"]))
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

/// The age at which the oldest message of a standard lane is critical. An express lane is critical after a minute.
const STUCK_SECONDS: i64 = 6 * 60 * 60;

pub(super) fn alarms_of_lanes(model: &Model) -> Vec<Finding> {
    const WAITING: &str = "ApproximateNumberOfMessagesVisible";
    const AGE: &str = "ApproximateAgeOfOldestMessage";
    let mut findings = Vec::new();
    for lane in model.lanes() {
        let oldest = if lane.kind() == Some("EXPRESS") {
            60
        } else {
            300
        };
        let queue = [(
            "QueueName",
            physical(name_in_stack(model, lane.queue, "QueueName")),
        )];
        for (metric, above, what) in [
            (WAITING, 1_000, "waiting events"),
            (WAITING, 10_000, "waiting events"),
            (
                "ApproximateNumberOfMessagesNotVisible",
                60_000,
                "events waiting or in flight",
            ),
            (AGE, oldest, "seconds of age of the oldest event"),
            (
                AGE,
                if oldest == 60 { oldest } else { STUCK_SECONDS },
                "seconds of age of the oldest event, long before SQS deletes it",
            ),
        ] {
            if !has_alarm(
                model,
                &Alarm {
                    namespace: "AWS/SQS",
                    metric,
                    dimensions: &queue,
                    above,
                },
            ) {
                findings.push(finding(
                    lane.queue,
                    format!("there is no alarm above {above} {what}"),
                ));
            }
        }
    }
    findings
}

/// The age in seconds at which a message of the dead-letter queue shows that nothing drains it.
const UNDRAINED_SECONDS: i64 = 15 * 60;

/// The open dead letters of each consumer, which a job counts, and the queue before they are rows.
pub(super) fn alarms_of_letters(model: &Model) -> Vec<Finding> {
    const OPEN: &str = "DeadLettersOpen";
    let mut findings = Vec::new();
    let alarms = || resources(&model.aws_only, "AWS::CloudWatch::Alarm").map(|(_, alarm)| alarm);
    let number = |alarm: &Value, name: &str| alarm[name].as_i64().unwrap_or_default();
    for consumer in consumers(model).into_keys() {
        let of_consumer = [
            ("stack", parameter("MillraceStack")),
            ("consumer", json!(consumer)),
        ];
        let is_of_consumer = |alarm: &Value| {
            alarm["Namespace"] == "Millrace"
                && alarm["MetricName"] == OPEN
                // A job states the number once a minute: a sum would count a letter once a minute.
                && alarm["Statistic"] == "Maximum"
                && alarm["ComparisonOperator"] == "GreaterThanThreshold"
                && dimensions(&alarm["Dimensions"]) == of_consumer.iter().cloned().collect()
        };
        for above in [10, 100] {
            if !alarms().any(|alarm| is_of_consumer(alarm) && alarm["Threshold"] == above) {
                findings.push(finding(
                    consumer,
                    format!("there is no alarm above {above} dead letters"),
                ));
            }
        }
        let waits_for_an_hour = |alarm: &Value| {
            is_of_consumer(alarm)
                && alarm["Threshold"] == 0
                && number(alarm, "Period") * number(alarm, "EvaluationPeriods") == 3_600
        };
        if !alarms().any(waits_for_an_hour) {
            findings.push(finding(
                consumer,
                "there is no alarm on dead letters that are left for an hour",
            ));
        }
    }
    let queue = [(
        "QueueName",
        physical(name_in_stack(model, DEAD_LETTER_QUEUE, "QueueName")),
    )];
    let is_drained = (model.packages.values()).any(|package| package.drains_letters);
    let on_queue = |alarm: &Value, metric: &str, statistic: &str, above: i64| {
        alarm["Namespace"] == "AWS/SQS"
            && alarm["MetricName"] == metric
            && alarm["Statistic"] == statistic
            && alarm["Threshold"] == above
            && alarm["ComparisonOperator"] == "GreaterThanThreshold"
            && dimensions(&alarm["Dimensions"]) == queue.iter().cloned().collect()
    };
    let age = "ApproximateAgeOfOldestMessage";
    let undrained = alarms().any(|alarm| on_queue(alarm, age, "Maximum", UNDRAINED_SECONDS));
    let hidden = "ApproximateNumberOfMessagesNotVisible";
    let unstored = alarms().any(|alarm| on_queue(alarm, hidden, "Minimum", 0));
    if is_drained && !(undrained && unstored) {
        findings.push(finding(
            DEAD_LETTER_QUEUE,
            "there is no alarm on messages that nothing drains, or none on messages that the drainer cannot store",
        ));
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
            ("stack", parameter("MillraceStack")),
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
        let throttles = Alarm {
            namespace: "AWS/Lambda",
            metric: "Throttles",
            dimensions: &[],
            above: 0,
        };
        if !has_alarm(model, &throttles) {
            findings.push(finding(
                function.id,
                "there is no alarm on the account's Throttles",
            ));
        }
        let keeps = |value: &Value| !value["DestinationConfig"]["OnFailure"].is_null();
        let mappings = function.events("DynamoDB");
        let kept = [("EventInvokeConfig", function.property("EventInvokeConfig"))];
        for (source, metric) in [
            (kept.iter().any(|(_, one)| keeps(one)), "AsyncEventsDropped"),
            (
                kept.iter().chain(&mappings).any(|(_, one)| keeps(one)),
                "DestinationDeliveryFailures",
            ),
        ] {
            let alarm = Alarm {
                namespace: "AWS/Lambda",
                metric,
                dimensions: &name,
                above: 0,
            };
            if source && !has_alarm(model, &alarm) {
                findings.push(finding(
                    function.id,
                    format!("keeps what failed, and there is no alarm on its {metric}"),
                ));
            }
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
            ("stack", parameter("MillraceStack")),
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
        let of_relay: BTreeMap<&str, Value> = of_relay.into();
        let is_on_rate = |alarm: &Value| {
            alarm["ComparisonOperator"] == "LessThanLowerOrGreaterThanUpperThreshold"
                && list(&alarm["Metrics"]).iter().any(|one| {
                    let expression = one["Expression"].as_str().unwrap_or_default();
                    one["Id"] == alarm["ThresholdMetricId"]
                        && expression.starts_with("ANOMALY_DETECTION_BAND(")
                })
                && watched(alarm).any(|metric| {
                    metric["MetricName"] == "EventPublished"
                        && dimensions(&metric["Dimensions"]) == of_relay
                })
        };
        if !resources(&model.aws_only, "AWS::CloudWatch::Alarm").any(|(_, alarm)| is_on_rate(alarm))
        {
            findings.push(finding(
                function.id,
                "there is no alarm on a publish rate above or below what is usual",
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
        let id = format!("{}Function", declared.pascal());
        let schedule = &model.main["Resources"][&id]["Properties"]["Events"]["Schedule"];
        let rule = json!({ "Fn::Sub": format!("${{AWS::StackName}}_{}", declared.name) });
        let starts = Alarm {
            namespace: "AWS/Events",
            metric: "FailedInvocations",
            dimensions: &[("RuleName", physical(declared.name))],
            above: 0,
        };
        if schedule["Properties"]["Name"] != rule || !has_alarm(model, &starts) {
            findings.push(finding(
                declared.name,
                format!(
                    "there is no alarm on the starts of its rule, which must have the Name {rule}"
                ),
            ));
        }
        let of_function = [("FunctionName", physical(declared.name))].into();
        let is_on_runs = |alarm: &Value| {
            alarm["TreatMissingData"] == "breaching"
                && alarm["ComparisonOperator"] == "LessThanThreshold"
                && watched(alarm).any(|metric| {
                    metric["MetricName"] == "Invocations"
                        && dimensions(&metric["Dimensions"]) == of_function
                })
        };
        let mut alarms = resources(&model.aws_only, "AWS::CloudWatch::Alarm");
        // The heartbeat's own absence is an alarm.
        let is_seen = job.only_with.is_some() || declared.name == HEARTBEAT;
        if !is_seen && !alarms.any(|(_, alarm)| is_on_runs(alarm)) {
            findings.push(finding(
                declared.name,
                "there is no alarm on its absence: on fewer than one of its Invocations, with missing data breaching",
            ));
        }
        for counted in job.alarms {
            let dimensions = [
                ("stack", parameter("MillraceStack")),
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

/// From the bus to the lanes. The alarms ask for the metrics of every rule of the bus.
pub(super) fn alarms_of_bus(model: &Model) -> Vec<Finding> {
    let name = model.main["Resources"]["EventBus"]["Properties"]["Name"]["Fn::Sub"]
        .as_str()
        .unwrap_or_default()
        .replace("AWS::StackName", "MillraceStack");
    ["FailedInvocations", "InvocationsFailedToBeSentToDlq"]
        .into_iter()
        .filter(|metric| {
            let query =
                format!("SELECT SUM({metric}) FROM \"AWS/Events\" WHERE EventBusName = '{name}'");
            !resources(&model.aws_only, "AWS::CloudWatch::Alarm").any(|(_, alarm)| {
                list(&alarm["Metrics"])
                    .iter()
                    .any(|one| one["Expression"]["Fn::Sub"] == query.as_str())
            })
        })
        .map(|metric| {
            finding(
                "EventBus",
                format!("there is no alarm on its rules' {metric}"),
            )
        })
        .collect()
}

/// What SES says about the account's mails, if any function sends some.
pub(super) fn alarms_of_mails(model: &Model) -> Vec<Finding> {
    let sends = resources(&model.main, "AWS::IAM::Role")
        .any(|(_, role)| role["Policies"].to_string().contains("\"ses:SendEmail\""));
    let metrics = ["Reputation.BounceRate", "Reputation.ComplaintRate"];
    let has_alarm = |metric: &str| {
        resources(&model.aws_only, "AWS::CloudWatch::Alarm").any(|(_, alarm)| {
            alarm["Namespace"] == "AWS/SES"
                && alarm["MetricName"] == metric
                && alarm["Dimensions"].is_null()
        })
    };
    metrics
        .into_iter()
        .filter(|metric| sends && !has_alarm(metric))
        .map(|metric| finding("SES", format!("there is no alarm on {metric}")))
        .collect()
}

pub(super) fn alarms_tell_somebody(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    let topic = &model.aws_only["Resources"]["AlarmTopic"];
    if topic["Condition"] != "MakesTopic"
        || topic["Properties"]["Subscription"]
            != json!([{ "Protocol": "email", "Endpoint": { "Ref": "AlarmEmail" } }])
    {
        findings.push(finding(
            "AlarmTopic",
            "must mail to AlarmEmail, and exist under the condition MakesTopic",
        ));
    }
    for (id, alarm) in resources(&model.aws_only, "AWS::CloudWatch::Alarm") {
        let tells = ["Warning", "Critical"].into_iter().any(|severity| {
            let mails = json!({ "Fn::If": ["MakesTopic", [{ "Ref": "AlarmTopic" }], { "Ref": "AWS::NoValue" }] });
            alarm["AlarmActions"]
                == json!({ "Fn::If": [
                    format!("Has{severity}Topic"), [{ "Ref": format!("{severity}TopicArn") }], mails
                ] })
                && alarm["OKActions"] == alarm["AlarmActions"]
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
        let wanted = if alarm["ComparisonOperator"] == "LessThanThreshold" {
            "breaching"
        } else {
            "notBreaching"
        };
        if alarm["TreatMissingData"] != wanted {
            findings.push(finding(
                id,
                format!("set TreatMissingData: {wanted}: an alarm on too much is silent on an idle stack, an alarm on an absence is not"),
            ));
        }
        let condition = &model.aws_only["Resources"][id]["Condition"];
        if !["RaisesEssential", "RaisesAll"]
            .iter()
            .any(|one| condition == one)
        {
            findings.push(finding(
                id,
                "is in no profile: set Condition to RaisesEssential or RaisesAll",
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
