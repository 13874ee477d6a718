//! Queues, their policies, the mappings that drain them, and the stream.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::model::{
    DEAD_LETTER_QUEUE, Lane, Model, attribute, entries, list, reference, resources, statements,
    text, texts,
};
use super::{
    Finding, KEPT_SECONDS, RECEIVES_TO_SPARE, STREAM_SECONDS, STREAM_SECONDS_USED,
    VISIBILITY_PER_TIMEOUT, consumers, finding,
};

pub(super) fn queues(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    let drained = model.drained();
    for (id, queue) in resources(&model.main, "AWS::SQS::Queue") {
        if queue["SqsManagedSseEnabled"] != true {
            findings.push(finding(id, "is not encrypted: SqsManagedSseEnabled: true"));
        }
        if !is_named(model, id, queue) {
            findings.push(finding(
                id,
                "QueueName: !Sub ${AWS::StackName}_<consumer>-<lane>, or ${AWS::StackName}_dead-letters: alarms and grants are derived from the name",
            ));
        }
        let readers: Vec<&Lane<'_>> = drained.iter().filter(|one| one.queue == id).collect();
        if readers.len() > 1 {
            findings.push(finding(
                id,
                "is drained by several mappings: give each consumer its own lanes",
            ));
        }
        if id == DEAD_LETTER_QUEUE {
            findings.extend(dead_letters(model, queue, &readers));
            continue;
        }
        if readers.is_empty() {
            findings.push(finding(
                id,
                "is neither drained by a function nor the dead-letter queue: map it or remove it",
            ));
        }
        if queue["RedrivePolicy"]["deadLetterTargetArn"] != dead_letter_arn() {
            findings.push(finding(
                id,
                "has no redrive: RedrivePolicy to the stack's dead-letter queue",
            ));
        }
    }
    let all = resources(&model.main, "AWS::SQS::Queue");
    if all.filter(|(id, _)| *id == DEAD_LETTER_QUEUE).count() != 1 {
        findings.push(finding(
            DEAD_LETTER_QUEUE,
            "is missing: it exists whether or not a function drains it",
        ));
    }
    findings
}

fn dead_letter_arn() -> Value {
    json!({ "Fn::GetAtt": [DEAD_LETTER_QUEUE, "Arn"] })
}

/// The dead-letter queue: nothing moves its messages on, and only the function that is declared to drain it receives them.
fn dead_letters(model: &Model, queue: &Value, readers: &[&Lane<'_>]) -> Vec<Finding> {
    let mut findings = Vec::new();
    if !queue["RedrivePolicy"].is_null() {
        findings.push(finding(
            DEAD_LETTER_QUEUE,
            "has a redrive policy: a dead letter stays until it is stored",
        ));
    }
    let drainers = |name: &str| {
        let package = model.packages.get(name);
        package.is_some_and(|package| package.drains_letters)
    };
    let wanted: Vec<&str> = model
        .packages
        .keys()
        .map(String::as_str)
        .filter(|name| drainers(name))
        .collect();
    let found: Vec<&str> = readers
        .iter()
        .filter_map(|reader| reader.function.package())
        .collect();
    if found != wanted {
        findings.push(finding(
            DEAD_LETTER_QUEUE,
            format!("is drained by {found:?}: only the declared drainer must, which is {wanted:?}"),
        ));
    }
    for reader in readers {
        let most = &reader.mapping["ScalingConfig"]["MaximumConcurrency"];
        if model.largest(most) != Some(2)
            || !reader.mapping["MaximumBatchingWindowInSeconds"].is_null()
            || reader.mapping["BatchSize"] != 10
        {
            findings.push(finding(
                reader.function.id,
                "must drain dead letters in batches of 10, without waiting, and with two instances at most: they must not take the account's concurrency from the consumers",
            ));
        }
    }
    findings
}

/// Whether a queue is named after its stack, its consumer and its lane; the dead-letter queue, after its stack.
fn is_named(model: &Model, id: &str, queue: &Value) -> bool {
    let is = |name: String| {
        let name = format!("${{AWS::StackName}}_{name}");
        queue["QueueName"] == json!({ "Fn::Sub": name })
    };
    if id == DEAD_LETTER_QUEUE {
        return is(topology::DEAD_LETTERS.to_owned());
    }
    model.lanes().into_iter().any(|lane| {
        let kind = lane.kind().unwrap_or_default().to_lowercase();
        let package = lane.function.package().unwrap_or_default();
        lane.queue == id && is(format!("{package}-{kind}"))
    })
}

pub(super) fn lanes_of_consumers(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    for lane in model.lanes() {
        let rules = model.rules_to(lane.queue);
        if rules.len() != 1 {
            findings.push(finding(
                lane.queue,
                format!("{} rules send to it: exactly one must", rules.len()),
            ));
        }
        let Some(kind) = lane.kind() else {
            findings.push(finding(
                lane.queue,
                "call it <Consumer>ExpressQueue or <Consumer>StandardQueue",
            ));
            continue;
        };
        let settings = lane.function.settings();
        let arn = settings
            .get(format!("{kind}_QUEUE_ARN").as_str())
            .and_then(|value| attribute(value));
        let url = settings
            .get(format!("{kind}_QUEUE_URL").as_str())
            .and_then(|value| reference(value));
        let letters = settings
            .get("DEAD_LETTERS_URL")
            .and_then(|value| reference(value));
        if arn != Some((lane.queue, "Arn"))
            || url != Some(lane.queue)
            || letters != Some(DEAD_LETTER_QUEUE)
        {
            findings.push(finding(
                lane.function.id,
                format!(
                    "{kind}_QUEUE_ARN and {kind}_QUEUE_URL must be those of {}, and DEAD_LETTERS_URL that of {DEAD_LETTER_QUEUE}",
                    lane.queue
                ),
            ));
        }
    }
    for function in model.functions() {
        if function.settings().contains_key("DEAD_LETTERS_URL")
            && !model
                .lanes()
                .iter()
                .any(|lane| lane.function.id == function.id)
        {
            findings.push(finding(
                function.id,
                "DEAD_LETTERS_URL is set, but it has no lane: only consumers park",
            ));
        }
    }
    for (package, lanes) in consumers(model) {
        let kinds: BTreeSet<_> = lanes.iter().filter_map(Lane::kind).collect();
        if kinds.len() != lanes.len() {
            findings.push(finding(
                package,
                "has two lanes of one kind: it may have at most one express and one standard lane",
            ));
        }
        for lane in lanes.iter().take(1) {
            for kind in ["EXPRESS", "STANDARD"]
                .into_iter()
                .filter(|kind| !kinds.contains(kind))
            {
                for name in [format!("{kind}_QUEUE_ARN"), format!("{kind}_QUEUE_URL")] {
                    if lane.function.settings().contains_key(name.as_str()) {
                        findings.push(finding(
                            lane.function.id,
                            format!("{name} is set, but no such lane is mapped"),
                        ));
                    }
                }
            }
        }
    }
    findings
}

pub(super) fn targets_of_rules(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (id, rule) in model.rules() {
        let targets = list(&rule["Targets"]);
        if targets.len() != 1 {
            findings.push(finding(id, "must have exactly one target: the lane"));
        }
        for target in targets {
            let lane = attribute(&target["Arn"])
                .and_then(|(queue, _)| model.lanes().into_iter().find(|lane| lane.queue == queue));
            let Some(lane) = lane else {
                findings.push(finding(
                    id,
                    "its target is not a lane that a function drains",
                ));
                continue;
            };
            if target["InputPath"] != "$.detail" {
                findings.push(finding(
                    id,
                    "the message must be the envelope itself: set InputPath: $.detail",
                ));
            }
            if target["DeadLetterConfig"]["Arn"] != dead_letter_arn() {
                findings.push(finding(
                    id,
                    format!(
                        "events that cannot be delivered to {} are lost: set DeadLetterConfig to the stack's dead-letter queue",
                        lane.queue
                    ),
                ));
            }
            if target["RetryPolicy"]["MaximumRetryAttempts"]
                .as_i64()
                .is_none_or(|attempts| attempts < 1)
                || target["RetryPolicy"]["MaximumEventAgeInSeconds"]
                    .as_i64()
                    .is_none_or(|age| age < 3_600)
            {
                findings.push(finding(
                    id,
                    "RetryPolicy must outlast an hour's outage of SQS",
                ));
            }
        }
    }
    findings
}

pub(super) fn queue_policies(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut check = |queue: &str, source: &str, condition: &Value| {
        if !has_policy(model, queue, condition) {
            findings.push(finding(queue, format!(
                "its policy must have two statements: events.amazonaws.com may sqs:SendMessage to it if aws:SourceArn \
                 is {source}, without which the messages of rules are dropped; and, under DemandsTls, nobody may use it \
                 without TLS"
            )));
        }
    };
    for (rule, properties) in model.rules() {
        for target in list(&properties["Targets"]) {
            if let Some((queue, _)) = attribute(&target["Arn"]) {
                let is_rule = json!({ "aws:SourceArn": { "Fn::GetAtt": [rule, "Arn"] } });
                check(queue, rule, &json!({ "ArnEquals": is_rule }));
            }
        }
    }
    // The rules of the stack's own bus, and of no other bus: an ARN of a rule has its bus's name before its own
    // (<https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoneventbridge.html>, read 2026-11-29).
    let rules = "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/${EventBus}/*";
    let is_of_bus = json!({ "aws:SourceArn": { "Fn::Sub": rules } });
    check(DEAD_LETTER_QUEUE, rules, &json!({ "ArnLike": is_of_bus }));
    for (id, rule) in model.rules() {
        if reference(&rule["EventBusName"]) != Some("EventBus") {
            findings.push(finding(
                id,
                "is a rule of another bus: the dead-letter queue does not accept its messages",
            ));
        }
    }
    findings
}

/// Whether the policy of a queue lets EventBridge send under this condition, denies everything without TLS under
/// `DemandsTls`, and says nothing else.
fn has_policy(model: &Model, queue: &str, condition: &Value) -> bool {
    let arn = json!({ "Fn::GetAtt": [queue, "Arn"] });
    // A statement applies to the queue if it names it, or all queues.
    let statements: Vec<(Option<&str>, &Value)> = resources(&model.main, "AWS::SQS::QueuePolicy")
        .filter(|(_, policy)| {
            list(&policy["Queues"])
                .iter()
                .any(|one| reference(one) == Some(queue))
        })
        .flat_map(|(_, policy)| statements(&policy["PolicyDocument"]))
        .filter(|(_, statement)| {
            let named = list(&statement["Resource"]);
            named.contains(&arn) || !named.iter().all(|one| attribute(one).is_some())
        })
        .collect();
    let sends = json!({
        "Effect": "Allow",
        "Principal": { "Service": "events.amazonaws.com" },
        "Action": "sqs:SendMessage",
        "Condition": condition,
    });
    matches!(
        statements.as_slice(),
        [(None, allowed), (Some("DemandsTls"), denied)]
            if without_resource(allowed) == sends && without_resource(denied) == without_tls()
    )
}

/// Nobody may do anything without TLS
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-security-best-practices.html>, read
/// 2026-11-29).
fn without_tls() -> Value {
    json!({
        "Effect": "Deny",
        "Principal": "*",
        "Action": "sqs:*",
        "Condition": { "Bool": { "aws:SecureTransport": "false" } },
    })
}

fn without_resource(statement: &Value) -> Value {
    let mut statement = statement.clone();
    if let Some(fields) = statement.as_object_mut() {
        fields.remove("Sid");
        fields.remove("Resource");
    }
    statement
}

pub(super) fn lane_mappings(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    for function in model.functions() {
        for (event, mapping) in function.events("SQS") {
            let name = format!("{}.{event}", function.id);
            if texts(&mapping["FunctionResponseTypes"])
                != BTreeSet::from(["ReportBatchItemFailures"])
            {
                findings.push(finding(&name, "one failed record would repeat its whole batch: set FunctionResponseTypes: [ReportBatchItemFailures]"));
            }
            if model
                .largest(&mapping["BatchSize"])
                .is_none_or(|size| size > 10)
            {
                findings.push(finding(
                    &name,
                    "BatchSize must be at most 10: the function's timeout does not cover more records",
                ));
            }
            if model
                .smallest(&mapping["ScalingConfig"]["MaximumConcurrency"])
                .is_none_or(|most| most < 2)
            {
                findings.push(finding(&name, "ScalingConfig.MaximumConcurrency is missing: one lane could take the account's concurrency"));
            }
            if attribute(&mapping["Queue"]).is_none_or(|(_, attribute)| attribute != "Arn") {
                findings.push(finding(
                    &name,
                    "Queue must be the ARN of a queue of this template (!GetAtt <Queue>.Arn)",
                ));
            }
        }
    }
    for lane in model
        .lanes()
        .into_iter()
        .filter(|lane| lane.kind() == Some("EXPRESS"))
    {
        if model
            .largest(&lane.mapping["MaximumBatchingWindowInSeconds"])
            .unwrap_or(0)
            > 0
        {
            findings.push(finding(
                format!("{}.{}", lane.function.id, lane.event),
                "an express lane must not wait: set MaximumBatchingWindowInSeconds: 0",
            ));
        }
    }
    findings
}

pub(super) fn stream_mapping(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut readers = Vec::new();
    for function in model.functions() {
        for (event, mapping) in function.events("DynamoDB") {
            let name = format!("{}.{event}", function.id);
            readers.push(name.clone());
            if attribute(&mapping["Stream"]) != Some(("EventsTable", "StreamArn")) {
                findings.push(finding(
                    &name,
                    "only the event log has a stream: set Stream: !GetAtt EventsTable.StreamArn",
                ));
            }
            let inserts = list(&mapping["FilterCriteria"]["Filters"])
                .iter()
                .any(|filter| {
                    filter["Pattern"]
                        .as_str()
                        .and_then(|pattern| serde_json::from_str::<Value>(pattern).ok())
                        == Some(json!({ "eventName": ["INSERT"] }))
                });
            if !inserts || list(&mapping["FilterCriteria"]["Filters"]).len() != 1 {
                findings.push(finding(&name, "the relay would wake itself: set FilterCriteria with the single pattern {\"eventName\":[\"INSERT\"]}"));
            }
            if mapping["StartingPosition"] != "TRIM_HORIZON" {
                findings.push(finding(&name, "events committed while it is deployed would be skipped: set StartingPosition: TRIM_HORIZON"));
            }
            if mapping["MaximumRetryAttempts"] != -1 {
                findings.push(finding(
                    &name,
                    "a short outage of the bus would drop batches: set MaximumRetryAttempts: -1",
                ));
            }
            if model
                .largest(&mapping["MaximumRecordAgeInSeconds"])
                .is_none_or(|age| !(STREAM_SECONDS_USED..STREAM_SECONDS).contains(&age))
            {
                findings.push(finding(&name, "MaximumRecordAgeInSeconds must be just under 24 h: a batch that is given up must reach the on-failure target before the stream drops it"));
            }
            if attribute(&mapping["DestinationConfig"]["OnFailure"]["Destination"]).is_none() {
                findings.push(finding(
                    &name,
                    "a batch that is given up leaves no trace: set DestinationConfig.OnFailure",
                ));
            }
            if mapping["BisectBatchOnFunctionError"] != true {
                findings.push(finding(&name, "one row that crashes the relay would block its whole batch: set BisectBatchOnFunctionError: true"));
            }
            if !mapping["FunctionResponseTypes"].is_null() {
                findings.push(finding(&name, "the relay fails whole invocations: remove FunctionResponseTypes (emulators lose such records)"));
            }
            if mapping["BatchSize"] != 100
                || model
                    .largest(&mapping["MaximumBatchingWindowInSeconds"])
                    .unwrap_or(0)
                    != 0
            {
                findings.push(finding(
                    &name,
                    "the relay must read batches of 100 without waiting",
                ));
            }
        }
    }
    if readers.len() != 1 {
        findings.push(finding(
            "EventsTable",
            format!("its stream has the readers {readers:?}: the relay must be the only one"),
        ));
    }
    findings
}

pub(super) fn visibility(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    for lane in model.drained() {
        let timeout = model
            .largest(lane.function.property("Timeout"))
            .unwrap_or(i64::MAX / VISIBILITY_PER_TIMEOUT / 2);
        let window = model
            .largest(&lane.mapping["MaximumBatchingWindowInSeconds"])
            .unwrap_or(0);
        let needed = VISIBILITY_PER_TIMEOUT * timeout + window;
        if model
            .smallest(&lane.properties["VisibilityTimeout"])
            .is_none_or(|seconds| seconds < needed)
        {
            findings.push(finding(lane.queue, format!(
                "VisibilityTimeout must be at least {needed} s (6 x {timeout} s of {} and a window of {window} s), or a message that is being handled is delivered again",
                lane.function.id
            )));
        }
    }
    findings
}

pub(super) fn retention(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (id, queue) in resources(&model.main, "AWS::SQS::Queue") {
        if model.smallest(&queue["MessageRetentionPeriod"]) != Some(KEPT_SECONDS) {
            findings.push(finding(
                id,
                format!(
                    "MessageRetentionPeriod must be {KEPT_SECONDS}: SQS deletes an older message, and does not move it to the dead-letter queue"
                ),
            ));
        }
    }
    findings
}

pub(super) fn receive_count(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    for lane in model.lanes() {
        let settings = lane.function.settings();
        let default = |name: &str| {
            settings
                .get(name)
                .and_then(|value| model.defaults(value).into_iter().next())
        };
        let age = default("UNAVAILABLE_MAX_AGE_SECONDS").and_then(|age| age.parse::<i64>().ok());
        let delay = default("RETRY_DELAYS_SECONDS")
            .and_then(|delays| {
                delays
                    .rsplit(',')
                    .next()
                    .and_then(|last| last.trim().parse::<i64>().ok())
            })
            .filter(|delay| *delay > 0);
        let (Some(age), Some(delay)) = (age, delay) else {
            findings.push(finding(lane.function.id, "set UNAVAILABLE_MAX_AGE_SECONDS and RETRY_DELAYS_SECONDS from parameters with defaults"));
            continue;
        };
        let needed = age / delay + RECEIVES_TO_SPARE;
        if model
            .smallest(&lane.properties["RedrivePolicy"]["maxReceiveCount"])
            .is_none_or(|count| count < needed)
        {
            findings.push(finding(lane.queue, format!(
                "maxReceiveCount must be at least {needed} ({age} s of waiting ÷ {delay} s + {RECEIVES_TO_SPARE}), or SQS moves messages that only wait, without a reason"
            )));
        }
    }
    findings
}

pub(super) fn reserved_concurrency(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    for function in model.functions() {
        let reserved = model.defaults(&function.properties["ReservedConcurrentExecutions"]);
        let Some(reserved) = reserved
            .iter()
            .filter_map(|n| n.parse::<i64>().ok())
            .find(|n| *n > 0)
        else {
            continue;
        };
        let needed: i64 = function
            .events("SQS")
            .iter()
            .filter_map(|(_, mapping)| {
                model
                    .defaults(&mapping["ScalingConfig"]["MaximumConcurrency"])
                    .iter()
                    .filter_map(|n| n.parse::<i64>().ok())
                    .max()
            })
            .sum();
        if reserved < needed {
            findings.push(finding(function.id, format!(
                "reserves {reserved}, but its mappings may start {needed}: a throttled message counts as received; reserve {needed} or more"
            )));
        }
    }
    findings
}

/// A value next to its parameter (`!If [HasOwn…, !Ref P, 5]`) must be the parameter's default.
pub(super) fn defaults_written_out(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    for function in model.functions() {
        for (event, mapping) in function.events("SQS") {
            let values: BTreeSet<String> = model
                .defaults(&mapping["ScalingConfig"]["MaximumConcurrency"])
                .into_iter()
                .collect();
            if values.len() > 1 {
                findings.push(finding(
                    format!("{}.{event}", function.id),
                    format!("MaximumConcurrency is {values:?} by default: the number next to the parameter must be its default"),
                ));
            }
        }
    }
    for (name, condition) in entries(&model.main["Conditions"]) {
        let Some([parameter, value]) = condition["Fn::Not"][0]["Fn::Equals"]
            .as_array()
            .map(Vec::as_slice)
        else {
            continue;
        };
        let default =
            reference(parameter).and_then(|name| text(&model.main["Parameters"][name]["Default"]));
        if default != text(value) {
            findings.push(finding(
                name,
                "asks whether a parameter differs from its default: compare with that default",
            ));
        }
    }
    findings
}
