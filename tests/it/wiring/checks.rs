//! The checks: each looks at the whole model and names what is wrong and what to do about it.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use serde_json::{Value, json};

use super::{
    model::{Function, Lane, Model, attribute, entries, list, reference, resources, text, texts},
    pattern,
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
    ("targets of rules", targets_of_rules),
    ("queue policies", queue_policies),
    ("lane mappings", lane_mappings),
    ("stream mapping", stream_mapping),
    ("visibility", visibility),
    ("retention", retention),
    ("receive count", receive_count),
    ("reserved concurrency", reserved_concurrency),
    ("defaults written out", defaults_written_out),
    ("roles", roles),
    ("logs", logs),
    ("tables", tables),
    ("front", front),
    ("alarms of lanes", alarms_of_lanes),
    ("alarms of latency", alarms_of_latency),
    ("alarms of functions", alarms_of_functions),
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

/// The event types that a rule names.
fn types(rule: &Value) -> BTreeSet<&str> {
    texts(&rule["EventPattern"]["detail-type"])
}

fn types_of_rules(model: &Model) -> Vec<Finding> {
    let known: BTreeSet<&str> = model
        .contracts
        .iter()
        .map(|contract| contract.event_type.as_str())
        .collect();
    let mut findings = Vec::new();
    for (id, rule) in model.rules() {
        let types = types(rule);
        if types.is_empty() {
            findings.push(finding(
                id,
                "its pattern names no detail-type: list the event types",
            ));
        }
        for event_type in types.difference(&known) {
            findings.push(finding(
                id,
                format!("no contract {event_type}: declare it in shared/events or remove it"),
            ));
        }
    }
    findings
}

fn one_lane_per_event(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (package, lanes) in consumers(model) {
        let wanted: BTreeSet<&str> = match model
            .packages
            .get(package)
            .and_then(|package| package.subscription.as_ref())
        {
            Some(types) => types.iter().map(String::as_str).collect(),
            None => lanes
                .iter()
                .flat_map(|lane| model.rules_to(lane.queue))
                .flat_map(|(_, rule)| types(rule))
                .collect(),
        };
        for contract in &model.contracts {
            for priority in PRIORITIES.into_iter().map(Some).chain([None]) {
                let event = json!({
                    "detail-type": contract.event_type,
                    "detail": priority.map_or_else(|| json!({}), |priority| json!({ "priority": priority })),
                });
                let mut reached: Vec<&str> = Vec::new();
                for lane in &lanes {
                    for (rule, properties) in model.rules_to(lane.queue) {
                        match pattern::matches(&properties["EventPattern"], &event) {
                            Ok(true) => reached.push(lane.queue),
                            Ok(false) => {}
                            Err(unknown) => findings.push(finding(rule, unknown)),
                        }
                    }
                }
                let event_type = &contract.event_type;
                let told = priority.unwrap_or("no");
                let urgent = matches!(priority, Some("critical" | "high"));
                match (wanted.contains(event_type.as_str()), reached.as_slice()) {
                    (false, []) => {}
                    (false, _) => findings.push(finding(package, format!(
                        "{event_type} reaches {}, but the consumer does not listen to it: remove it from the rule",
                        reached.join(", ")
                    ))),
                    (true, [lane]) => {
                        let right = if urgent { "ExpressQueue" } else { "StandardQueue" };
                        if lanes.len() > 1 && !lane.ends_with(right) {
                            findings.push(finding(package, format!(
                                "{event_type} with {told} priority reaches {lane}: it belongs on its {right}"
                            )));
                        }
                    }
                    (true, []) => findings.push(finding(package, format!(
                        "{event_type} with {told} priority reaches no lane: add it to the rule"
                    ))),
                    (true, _) => findings.push(finding(package, format!(
                        "{event_type} with {told} priority reaches {}: exactly one lane may take it", reached.join(" and ")
                    ))),
                }
            }
        }
    }
    findings.dedup();
    findings
}

fn subscriptions_in_code(model: &Model) -> Vec<Finding> {
    let consumers = consumers(model);
    let mut findings = Vec::new();
    for (name, package) in model
        .packages
        .iter()
        .filter(|(_, package)| package.is_written())
    {
        let (types, lanes) = match (&package.subscription, consumers.get(name.as_str())) {
            (Some(types), Some(lanes)) => (types, lanes),
            (None, None) => continue,
            (Some(_), None) => {
                findings.push(finding(name, "its code has a subscription! and the template no SQS mapping of it: add its lanes"));
                continue;
            }
            (None, Some(_)) => {
                findings.push(finding(
                    name,
                    "has lanes and no subscription! in its code: declare what it listens to",
                ));
                continue;
            }
        };
        let ruled: BTreeSet<&str> = lanes
            .iter()
            .flat_map(|lane| model.rules_to(lane.queue))
            .flat_map(|(_, rule)| self::types(rule))
            .collect();
        for event_type in types {
            if !model
                .contracts
                .iter()
                .any(|contract| contract.event_type == *event_type)
            {
                findings.push(finding(name, format!("its subscription! names {event_type}, which no contract is called: write <domain>::<Action>")));
            }
            if !ruled.contains(event_type.as_str()) {
                findings.push(finding(
                    name,
                    format!("its code listens to {event_type}: add it to the rules of its lanes"),
                ));
            }
        }
        for event_type in ruled.iter().filter(|one| !types.contains(**one)) {
            findings.push(finding(name, format!(
                "a rule sends {event_type}, which its code does not know and would park: handle it or remove it"
            )));
        }
    }
    findings
}

fn patterns(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (id, rule) in model.rules() {
        let characters = rule["EventPattern"].to_string().chars().count();
        if characters > pattern::MAX_CHARACTERS {
            findings.push(finding(
                id,
                format!(
                    "its pattern has {characters} characters of {}: split the consumer",
                    pattern::MAX_CHARACTERS
                ),
            ));
        }
        if reference(&rule["EventBusName"]) != Some("EventBus") {
            findings.push(finding(
                id,
                "listens to another bus: EventBusName is !Ref EventBus",
            ));
        }
        if rule["State"]
            .as_str()
            .is_some_and(|state| state != "ENABLED")
        {
            findings.push(finding(
                id,
                "is switched off: what it does not send is lost to its consumer",
            ));
        }
    }
    findings
}

fn routed_types(model: &Model) -> Vec<Finding> {
    let ruled: BTreeSet<&str> = model
        .rules()
        .into_iter()
        .flat_map(|(_, rule)| types(rule))
        .collect();
    let mut findings = Vec::new();
    for function in model.functions() {
        let settings = function.settings();
        let Some(routed) = settings.get("ROUTED_TYPES") else {
            continue;
        };
        let routed: BTreeSet<&str> = routed
            .as_str()
            .unwrap_or_default()
            .split(',')
            .map(str::trim)
            .collect();
        for missing in ruled.difference(&routed) {
            findings.push(finding(
                function.id,
                format!("a rule takes {missing}: add it to ROUTED_TYPES"),
            ));
        }
        for left_over in routed.difference(&ruled) {
            findings.push(finding(
                function.id,
                format!("no rule takes {left_over}: remove it from ROUTED_TYPES"),
            ));
        }
    }
    findings
}

/// Whose dead-letter queue a queue is: the lanes that redrive to it.
fn lanes_with_letters<'a>(model: &'a Model, queue: &str) -> Vec<Lane<'a>> {
    model
        .lanes()
        .into_iter()
        .filter(|lane| lane.letters() == Some(queue))
        .collect()
}

fn queues(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    let lanes = model.lanes();
    for (id, queue) in resources(&model.main, "AWS::SQS::Queue") {
        if queue["SqsManagedSseEnabled"] != true {
            findings.push(finding(id, "is not encrypted: SqsManagedSseEnabled: true"));
        }
        if !queue["QueueName"].is_null() {
            findings.push(finding(
                id,
                "has a name of its own: two stacks could not live side by side",
            ));
        }
        let drained = lanes.iter().filter(|lane| lane.queue == id).count();
        let letters_of = lanes_with_letters(model, id);
        match (drained, letters_of.len()) {
            (1, 0) => {
                let target = attribute(&queue["RedrivePolicy"]["deadLetterTargetArn"]);
                let known = target.is_some_and(|(target, name)| {
                    name == "Arn"
                        && target != id
                        && model.main["Resources"][target]["Type"] == "AWS::SQS::Queue"
                });
                if !known {
                    findings.push(finding(
                        id,
                        "has no redrive: RedrivePolicy to its own dead-letter queue",
                    ));
                }
            }
            (0, 1) => {
                if !queue["RedrivePolicy"].is_null() {
                    findings.push(finding(
                        id,
                        "is a dead-letter queue with a redrive: letters stay until somebody acts",
                    ));
                }
            }
            (0, 0) => findings.push(finding(
                id,
                "neither drained nor anybody's dead-letter queue: map it or remove it",
            )),
            (0, _) => findings.push(finding(
                id,
                "is the dead-letter queue of several lanes: each has its own",
            )),
            (1, _) => findings.push(finding(id, "is drained and a dead-letter queue at once")),
            (_, _) => findings.push(finding(
                id,
                "is drained by several functions: each consumer has its own lanes",
            )),
        }
    }
    findings
}

fn lanes_of_consumers(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    for lane in model.lanes() {
        let rules = model.rules_to(lane.queue);
        if rules.len() != 1 {
            findings.push(finding(
                lane.queue,
                format!("{} rules send to it: exactly one does", rules.len()),
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
            .get(format!("{kind}_DLQ_URL").as_str())
            .and_then(|value| reference(value));
        if arn != Some((lane.queue, "Arn"))
            || url != Some(lane.queue)
            || letters.is_none()
            || letters != lane.letters()
        {
            findings.push(finding(
                lane.function.id,
                format!(
                    "{kind}_QUEUE_ARN, {kind}_QUEUE_URL and {kind}_DLQ_URL must be those of {}",
                    lane.queue
                ),
            ));
        }
    }
    for (package, lanes) in consumers(model) {
        let kinds: BTreeSet<_> = lanes.iter().filter_map(Lane::kind).collect();
        if kinds.len() != lanes.len() {
            findings.push(finding(
                package,
                "has two lanes of one kind: one express, one standard at most",
            ));
        }
        for lane in lanes.iter().take(1) {
            for kind in ["EXPRESS", "STANDARD"]
                .into_iter()
                .filter(|kind| !kinds.contains(kind))
            {
                for name in [
                    format!("{kind}_QUEUE_ARN"),
                    format!("{kind}_QUEUE_URL"),
                    format!("{kind}_DLQ_URL"),
                ] {
                    if lane.function.settings().contains_key(name.as_str()) {
                        findings.push(finding(
                            lane.function.id,
                            format!("{name} is set and no such lane is mapped"),
                        ));
                    }
                }
            }
        }
    }
    findings
}

fn targets_of_rules(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (id, rule) in model.rules() {
        let targets = list(&rule["Targets"]);
        if targets.len() != 1 {
            findings.push(finding(id, "a rule has exactly one target: the lane"));
        }
        for target in targets {
            let lane = attribute(&target["Arn"])
                .and_then(|(queue, _)| model.lanes().into_iter().find(|lane| lane.queue == queue));
            let Some(lane) = lane else {
                findings.push(finding(id, "its target is no lane that a function drains"));
                continue;
            };
            if target["InputPath"] != "$.detail" {
                findings.push(finding(
                    id,
                    "a message is the envelope itself: InputPath: $.detail",
                ));
            }
            let letters = attribute(&target["DeadLetterConfig"]["Arn"]);
            if letters.is_none() || letters.map(|(queue, _)| queue) != lane.letters() {
                findings.push(finding(
                    id,
                    format!(
                        "what cannot be delivered is lost: DeadLetterConfig to the letters of {}",
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

fn queue_policies(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (rule, properties) in model.rules() {
        for target in list(&properties["Targets"]) {
            for arn in [&target["Arn"], &target["DeadLetterConfig"]["Arn"]] {
                let Some((queue, _)) = attribute(arn) else {
                    continue;
                };
                let statements: Vec<&Value> = resources(&model.main, "AWS::SQS::QueuePolicy")
                    .filter(|(_, policy)| {
                        list(&policy["Queues"])
                            .iter()
                            .any(|one| reference(one) == Some(queue))
                    })
                    .flat_map(|(_, policy)| list(&policy["PolicyDocument"]["Statement"]))
                    .collect();
                let expected = json!({
                    "Effect": "Allow",
                    "Principal": { "Service": "events.amazonaws.com" },
                    "Action": "sqs:SendMessage",
                    "Resource": { "Fn::GetAtt": [queue, "Arn"] },
                    "Condition": { "ArnEquals": { "aws:SourceArn": { "Fn::GetAtt": [rule, "Arn"] } } },
                });
                let exact = matches!(statements.as_slice(), [one] if without_sid(one) == expected);
                if !exact {
                    findings.push(finding(queue, format!(
                        "its policy must have one statement: events.amazonaws.com may sqs:SendMessage to it if aws:SourceArn \
                         is {rule}, and nobody else anything; without it the rule's messages are dropped"
                    )));
                }
            }
        }
    }
    findings
}

fn without_sid(statement: &Value) -> Value {
    let mut statement = statement.clone();
    if let Some(fields) = statement.as_object_mut() {
        fields.remove("Sid");
    }
    statement
}

fn lane_mappings(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    for function in model.functions() {
        for (event, mapping) in function.events("SQS") {
            let name = format!("{}.{event}", function.id);
            if texts(&mapping["FunctionResponseTypes"])
                != BTreeSet::from(["ReportBatchItemFailures"])
            {
                findings.push(finding(&name, "one failed record would repeat its batch: FunctionResponseTypes: [ReportBatchItemFailures]"));
            }
            if model
                .largest(&mapping["BatchSize"])
                .is_none_or(|size| size > 10)
            {
                findings.push(finding(
                    &name,
                    "BatchSize at most 10: more records than the function's timeout is made for",
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
                    "Queue is the ARN of a queue of this template (!GetAtt <Queue>.Arn)",
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
                "an express lane does not wait: MaximumBatchingWindowInSeconds: 0",
            ));
        }
    }
    findings
}

fn stream_mapping(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut readers = Vec::new();
    for function in model.functions() {
        for (event, mapping) in function.events("DynamoDB") {
            let name = format!("{}.{event}", function.id);
            readers.push(name.clone());
            if attribute(&mapping["Stream"]) != Some(("EventsTable", "StreamArn")) {
                findings.push(finding(
                    &name,
                    "only the event log has a stream: Stream: !GetAtt EventsTable.StreamArn",
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
                findings.push(finding(&name, "the relay would wake itself: FilterCriteria with the one pattern {\"eventName\":[\"INSERT\"]}"));
            }
            if mapping["StartingPosition"] != "TRIM_HORIZON" {
                findings.push(finding(&name, "events committed while it is deployed would be skipped: StartingPosition: TRIM_HORIZON"));
            }
            if mapping["MaximumRetryAttempts"] != -1 {
                findings.push(finding(
                    &name,
                    "a short outage of the bus would drop batches: MaximumRetryAttempts: -1",
                ));
            }
            if model
                .largest(&mapping["MaximumRecordAgeInSeconds"])
                .is_none_or(|age| !(STREAM_SECONDS_USED..STREAM_SECONDS).contains(&age))
            {
                findings.push(finding(&name, "MaximumRecordAgeInSeconds just under 24 h: what is given up must reach the on-failure target first"));
            }
            if attribute(&mapping["DestinationConfig"]["OnFailure"]["Destination"]).is_none() {
                findings.push(finding(
                    &name,
                    "no trace of a batch given up: DestinationConfig.OnFailure",
                ));
            }
            if mapping["BisectBatchOnFunctionError"] != true {
                findings.push(finding(&name, "one row that crashes it would hold its whole batch: BisectBatchOnFunctionError: true"));
            }
            if !mapping["FunctionResponseTypes"].is_null() {
                findings.push(finding(&name, "the relay fails whole invocations: no FunctionResponseTypes (emulators lose such records)"));
            }
            if mapping["BatchSize"] != 100
                || model
                    .largest(&mapping["MaximumBatchingWindowInSeconds"])
                    .unwrap_or(0)
                    != 0
            {
                findings.push(finding(
                    &name,
                    "the relay reads batches of 100 without waiting",
                ));
            }
        }
    }
    if readers.len() != 1 {
        findings.push(finding(
            "EventsTable",
            format!("its stream has the readers {readers:?}: the relay is the only one"),
        ));
    }
    findings
}

fn visibility(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    for lane in model.lanes() {
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
                "VisibilityTimeout at least {needed} s (6 x {timeout} s of {} and a window of {window} s): else a message in work is handed out again",
                lane.function.id
            )));
        }
    }
    findings
}

fn retention(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    for lane in model.lanes() {
        if model
            .largest(&lane.properties["MessageRetentionPeriod"])
            .is_none_or(|seconds| seconds > LANE_SECONDS)
        {
            findings.push(finding(
                lane.queue,
                format!(
                    "MessageRetentionPeriod at most {LANE_SECONDS}: marks must outlive every copy"
                ),
            ));
        }
        let Some(letters) = lane.letters() else {
            continue;
        };
        let kept = &model.main["Resources"][letters]["Properties"]["MessageRetentionPeriod"];
        if model
            .smallest(kept)
            .is_none_or(|seconds| seconds < LETTER_SECONDS)
        {
            findings.push(finding(
                letters,
                format!(
                    "MessageRetentionPeriod {LETTER_SECONDS}: letters wait 14 days for somebody"
                ),
            ));
        }
    }
    findings
}

fn receive_count(model: &Model) -> Vec<Finding> {
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
                "maxReceiveCount at least {needed} ({age} s of waiting ÷ {delay} s + {RECEIVES_TO_SPARE}): else SQS moves what only waits, without a reason"
            )));
        }
    }
    findings
}

fn reserved_concurrency(model: &Model) -> Vec<Finding> {
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
                "reserves {reserved} and its mappings may start {needed}: what is throttled counts as received; reserve {needed} or more"
            )));
        }
    }
    findings
}

/// A value that stands beside its parameter (`!If [HasOwn…, !Ref P, 5]`) is the parameter's default.
fn defaults_written_out(model: &Model) -> Vec<Finding> {
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
                    format!("MaximumConcurrency is {values:?} by default: the number beside the parameter must be its default"),
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

// --- roles -----------------------------------------------------------------------------------------------------------

/// What a role may or must allow on one resource.
#[derive(Debug, Default)]
struct Grant {
    must: BTreeSet<&'static str>,
    may: BTreeSet<&'static str>,
    why: String,
}

/// What a transaction does to the tables of its own domain.
const TRANSACTION: [&str; 4] = [
    "dynamodb:ConditionCheckItem",
    "dynamodb:GetItem",
    "dynamodb:PutItem",
    "dynamodb:UpdateItem",
];
const READ_MANY: [&str; 2] = ["dynamodb:BatchGetItem", "dynamodb:Query"];

/// Every grant of a function, derived from its mappings and settings; anything else is wider than needed.
fn grants(model: &Model, function: &Function<'_>) -> BTreeMap<String, Grant> {
    let mut grants: BTreeMap<String, Grant> = BTreeMap::new();
    let mut allow = |resource: Value, must: &[&'static str], may: &[&'static str], why: &str| {
        let grant = grants.entry(resource.to_string()).or_default();
        grant.must.extend(must);
        grant.may.extend(must.iter().chain(may));
        grant.why = why.to_owned();
    };
    let arn = |id: &str| json!({ "Fn::GetAtt": [id, "Arn"] });

    allow(
        json!("*"),
        &["xray:PutTraceSegments", "xray:PutTelemetryRecords"],
        &[],
        "Tracing: Active",
    );
    if let Some(group) = reference(&function.properties["LoggingConfig"]["LogGroup"]) {
        allow(
            arn(group),
            &["logs:CreateLogStream", "logs:PutLogEvents"],
            &[],
            "its logs",
        );
    }
    for (_, mapping) in function.events("SQS") {
        allow(
            mapping["Queue"].clone(),
            &[
                "sqs:ReceiveMessage",
                "sqs:DeleteMessage",
                "sqs:GetQueueAttributes",
                "sqs:ChangeMessageVisibility",
            ],
            &[],
            "its mapping and the retry schedule",
        );
    }
    for lane in model
        .lanes()
        .iter()
        .filter(|lane| lane.function.id == function.id)
    {
        if let Some(letters) = lane.letters() {
            allow(arn(letters), &["sqs:SendMessage"], &[], "parking");
        }
    }
    for (_, mapping) in function.events("DynamoDB") {
        allow(
            mapping["Stream"].clone(),
            &[
                "dynamodb:DescribeStream",
                "dynamodb:GetRecords",
                "dynamodb:GetShardIterator",
                "dynamodb:ListStreams",
            ],
            &[],
            "its stream mapping",
        );
        if let Some((bucket, _)) =
            attribute(&mapping["DestinationConfig"]["OnFailure"]["Destination"])
        {
            allow(
                arn(bucket),
                &["s3:ListBucket"],
                &[],
                "the mapping's on-failure target",
            );
            allow(
                json!({ "Fn::Sub": format!("${{{bucket}.Arn}}/*") }),
                &["s3:PutObject"],
                &[],
                "the mapping's on-failure target",
            );
        }
    }

    let package = function.package().unwrap_or_default();
    let settings = function.settings();
    let publishes = settings.contains_key("ROUTED_TYPES");
    for (name, value) in &settings {
        match (*name, reference(value)) {
            ("MARKS_TABLE", Some(table)) => {
                allow(
                    arn(table),
                    &["dynamodb:GetItem", "dynamodb:PutItem"],
                    &[],
                    "MARKS_TABLE: a mark is put and read",
                );
            }
            ("EVENTS_TABLE", Some(table)) if publishes => {
                allow(
                    arn(table),
                    &["dynamodb:BatchWriteItem", "dynamodb:PutItem"],
                    &[],
                    "EVENTS_TABLE: published_at",
                );
            }
            ("EVENTS_TABLE", Some(table)) if owns(package, "system") => {
                allow(
                    arn(table),
                    &["dynamodb:GetItem", "dynamodb:Query"],
                    &[],
                    "EVENTS_TABLE: it shows the history",
                );
            }
            ("EVENTS_TABLE", Some(table)) => {
                allow(
                    arn(table),
                    &["dynamodb:PutItem"],
                    &["dynamodb:GetItem", "dynamodb:Query"],
                    "EVENTS_TABLE: it emits events",
                );
            }
            ("KEYS_TABLE", Some(table)) if owns(package, "system") => allow(
                arn(table),
                &["dynamodb:GetItem", "dynamodb:PutItem"],
                &[
                    "dynamodb:ConditionCheckItem",
                    "dynamodb:DeleteItem",
                    "dynamodb:Query",
                    "dynamodb:Scan",
                    "dynamodb:UpdateItem",
                ],
                "KEYS_TABLE: it owns the keys",
            ),
            ("KEYS_TABLE", Some(table)) => allow(
                arn(table),
                &["dynamodb:GetItem"],
                &[],
                "KEYS_TABLE: it looks keys up",
            ),
            (name, Some(table)) if name.ends_with("_TABLE") => {
                let domain = name
                    .trim_end_matches("_TABLE")
                    .to_lowercase()
                    .replace('_', "-");
                let why = if owns(package, &domain) {
                    format!("{name}: its own table")
                } else {
                    format!(
                        "{name}: another domain's table is only read; a table of its own is called {}_TABLE here",
                        package.to_uppercase().replace('-', "_")
                    )
                };
                if owns(package, &domain) {
                    allow(arn(table), &TRANSACTION, &READ_MANY, &why);
                    for index in list(
                        &model.main["Resources"][table]["Properties"]["GlobalSecondaryIndexes"],
                    ) {
                        let index = index["IndexName"].as_str().unwrap_or_default();
                        allow(
                            json!({ "Fn::Sub": format!("${{{table}.Arn}}/index/{index}") }),
                            &[],
                            &["dynamodb:Query"],
                            &why,
                        );
                    }
                } else {
                    allow(
                        arn(table),
                        &[],
                        &[
                            "dynamodb:BatchGetItem",
                            "dynamodb:ConditionCheckItem",
                            "dynamodb:GetItem",
                            "dynamodb:Query",
                        ],
                        &why,
                    );
                }
            }
            ("BUS_NAME", Some(bus)) if publishes => allow(
                arn(bus),
                &["events:PutEvents"],
                &[],
                "BUS_NAME: it publishes",
            ),
            ("BUS_NAME", Some(bus)) => {
                allow(
                    arn(bus),
                    &["events:DescribeEventBus"],
                    &[],
                    "BUS_NAME: health",
                );
                let local = format!(
                    "arn:${{AWS::Partition}}:events:${{AWS::Region}}:${{AWS::AccountId}}:rule/default/${{{bus}}}"
                );
                allow(
                    json!({ "Fn::Sub": local }),
                    &[],
                    &["events:DescribeEventBus"],
                    "BUS_NAME: health on a local AWS",
                );
            }
            ("HEALTH_QUEUE_URL", Some(queue)) => {
                allow(
                    arn(queue),
                    &["sqs:GetQueueAttributes"],
                    &[],
                    "HEALTH_QUEUE_URL: health",
                );
            }
            ("EMAIL_SENDER", _) => allow(
                json!({ "Fn::If": ["HasSesResource", { "Ref": "SesResource" },
                    { "Fn::Sub": "arn:${AWS::Partition}:ses:${AWS::Region}:${AWS::AccountId}:identity/*" }] }),
                &["ses:SendEmail"],
                &[],
                "EMAIL_SENDER: it sends mail",
            ),
            _ => {}
        }
    }
    grants
}

/// Whether a package owns a domain's table: `cloud-treasury` and `cloud-api` own `cloud`, `notifications` its own.
fn owns(package: &str, domain: &str) -> bool {
    package == domain
        || package
            .strip_prefix(domain)
            .is_some_and(|rest| rest.starts_with('-'))
}

/// AWS clients a package may depend on, and the service whose actions its role then needs.
const CLIENTS: [(&str, &str); 4] = [
    ("aws-sdk-sesv2", "ses:"),
    ("aws-sdk-eventbridge", "events:"),
    ("aws-sdk-sqs", "sqs:"),
    ("aws-sdk-dynamodb", "dynamodb:"),
];

fn roles(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    for function in model.functions() {
        let Some(id) = function.role() else {
            findings.push(finding(function.id, "has no role of its own: Role: !GetAtt <Function>Role.Arn (SAM's would allow every queue)"));
            continue;
        };
        if let Some(other) = taken.insert(id, function.id) {
            findings.push(finding(
                id,
                format!("{other} has the same role: each function has its own"),
            ));
        }
        let role = &model.main["Resources"][id]["Properties"];
        let trust = json!([{ "Effect": "Allow", "Principal": { "Service": "lambda.amazonaws.com" }, "Action": "sts:AssumeRole" }]);
        if role["AssumeRolePolicyDocument"]["Statement"] != trust {
            findings.push(finding(id, "only lambda.amazonaws.com may assume it"));
        }
        if !list(&role["ManagedPolicyArns"]).is_empty()
            || !list(&function.properties["Policies"]).is_empty()
        {
            findings.push(finding(
                id,
                "managed policies allow more than this function needs: write statements",
            ));
        }

        let grants = grants(model, &function);
        let mut allowed: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for statement in list(&role["Policies"])
            .iter()
            .flat_map(|policy| list(&policy["PolicyDocument"]["Statement"]))
        {
            let sid = statement["Sid"].as_str().unwrap_or_default();
            let known = ["Effect", "Sid", "Action", "Resource", "Condition"];
            if sid.is_empty()
                || statement["Effect"] != "Allow"
                || entries(statement).any(|(key, _)| !known.contains(&key))
            {
                findings.push(finding(id, format!("statement `{sid}`: Sid, Effect Allow, Action and Resource, no NotAction or NotResource")));
            }
            for resource in list(&statement["Resource"]) {
                allowed
                    .entry(resource.to_string())
                    .or_default()
                    .extend(texts(&statement["Action"]));
            }
        }
        for (resource, actions) in &allowed {
            let Some(grant) = grants.get(resource) else {
                findings.push(finding(id, format!(
                    "allows {actions:?} on {resource}, which {} has neither a mapping nor a setting for: remove it", function.id
                )));
                continue;
            };
            for action in actions
                .iter()
                .filter(|action| !grant.may.contains(**action))
            {
                findings.push(finding(
                    id,
                    format!(
                        "allows {action} on {resource}, wider than needed ({}): remove it",
                        grant.why
                    ),
                ));
            }
        }
        for (resource, grant) in &grants {
            let actions = allowed.get(resource).cloned().unwrap_or_default();
            for action in grant
                .must
                .iter()
                .filter(|action| !actions.contains(**action))
            {
                findings.push(finding(
                    id,
                    format!("lacks {action} on {resource} ({})", grant.why),
                ));
            }
            // A sparse list: indices and the emulator's second name of the bus need not be used, a table must be.
            if actions.is_empty() && resource.contains("\"Fn::GetAtt\"") {
                findings.push(finding(
                    id,
                    format!("lacks any action on {resource} ({})", grant.why),
                ));
            }
        }
        let Some(package) = function
            .package()
            .and_then(|package| model.packages.get(package))
        else {
            continue;
        };
        for (client, service) in CLIENTS {
            let granted = allowed
                .values()
                .flatten()
                .any(|action| action.starts_with(service));
            // Only direct dependencies of ours tell: the adapters bring every client along.
            if package.direct.contains(client) && !granted {
                findings.push(finding(
                    id,
                    format!(
                        "{} calls {client} and the role has no {service} action",
                        function.id
                    ),
                ));
            }
        }
    }
    findings
}

// --- the rest of the stack ---------------------------------------------------------------------------------------------

fn logs(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    for function in model.functions() {
        let group =
            reference(&function.properties["LoggingConfig"]["LogGroup"]).unwrap_or_default();
        let retention = &model.main["Resources"][group]["Properties"]["RetentionInDays"];
        if model.largest(retention).is_none() {
            findings.push(finding(function.id, "its logs would be kept for ever: LoggingConfig to a log group with RetentionInDays"));
        }
        if function.property("Tracing") != "Active" {
            findings.push(finding(function.id, "Tracing: Active"));
        }
    }
    findings
}

fn tables(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (id, table) in resources(&model.main, "AWS::DynamoDB::Table") {
        if table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] != true {
            findings.push(finding(
                id,
                "cannot be restored: PointInTimeRecoveryEnabled: true",
            ));
        }
        if table["SSESpecification"]["SSEEnabled"] != true {
            findings.push(finding(id, "SSESpecification: {SSEEnabled: true}"));
        }
        if table["DeletionProtectionEnabled"] != json!({ "Fn::If": ["IsProduction", true, false] })
        {
            findings.push(finding(id, "production must refuse to drop it: DeletionProtectionEnabled: !If [IsProduction, true, false]"));
        }
        if model.main["Resources"][id]["UpdateReplacePolicy"] != "Retain" {
            findings.push(finding(
                id,
                "a change of its key would drop its rows: UpdateReplacePolicy: Retain",
            ));
        }
        if table["BillingMode"] != "PAY_PER_REQUEST" {
            findings.push(finding(id, "BillingMode: PAY_PER_REQUEST"));
        }
        let streams = !table["StreamSpecification"].is_null();
        if streams != (id == "EventsTable") {
            findings.push(finding(id, "the event log, and nothing else, has a stream"));
        }
        let expires = table["TimeToLiveSpecification"]
            == json!({ "AttributeName": "expires_at", "Enabled": true });
        if ["EventsTable", "MarksTable"].contains(&id) && !expires {
            findings.push(finding(
                id,
                "would grow for ever: TimeToLiveSpecification on expires_at",
            ));
        }
    }
    findings
}

fn front(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    if model.main["Globals"]["Api"]["OpenApiVersion"] != "3.0.1" {
        findings.push(finding(
            "Globals.Api",
            "OpenApiVersion: 3.0.1, else SAM adds a second stage",
        ));
    }
    let mut routes: BTreeMap<(String, String), &str> = BTreeMap::new();
    for function in model.functions() {
        for (event, _) in function.events("HttpApi") {
            findings.push(finding(
                function.id,
                format!("{event}: an HttpApi event makes no route on every local AWS: Type: Api"),
            ));
        }
        let events = function.events("Api");
        if events.is_empty() {
            continue;
        }
        if model
            .largest(function.property("Timeout"))
            .is_none_or(|seconds| seconds >= GATEWAY_SECONDS)
        {
            findings.push(finding(
                function.id,
                format!("Timeout under the gateway's {GATEWAY_SECONDS} s"),
            ));
        }
        if function
            .settings()
            .get("AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH")
            .is_none_or(|value| *value != "true")
        {
            findings.push(finding(function.id, "its router would see the stage in paths: AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH: \"true\""));
        }
        for (event, properties) in events {
            let name = format!("{}.{event}", function.id);
            if reference(&properties["RestApiId"]) != Some("Api") {
                findings.push(finding(
                    &name,
                    "RestApiId: !Ref Api, else SAM makes a second API",
                ));
            }
            let path = text(&properties["Path"]).unwrap_or_default();
            let method = text(&properties["Method"])
                .unwrap_or_default()
                .to_uppercase();
            if !["GET", "POST", "PUT", "PATCH", "DELETE"].contains(&method.as_str()) {
                findings.push(finding(&name, format!("Method {method}: write one of GET, POST, PUT, PATCH, DELETE (ANY answers 403 locally)")));
            }
            if path != "/health" && !path.starts_with("/api/v1/") {
                findings.push(finding(
                    &name,
                    format!("path {path}: everything but /health stands under /api/v1"),
                ));
            }
            if let Some(other) = routes.insert((path.clone(), method.clone()), function.id) {
                findings.push(finding(
                    &name,
                    format!("{method} {path} belongs to {other} already"),
                ));
            }
            let prefix = prefix(&path);
            if let Some((_, other)) = routes
                .iter()
                .find(|((known, _), owner)| self::prefix(known) == prefix && **owner != function.id)
            {
                findings.push(finding(
                    &name,
                    format!("{prefix} is {other}'s: a prefix has one owner"),
                ));
            }
        }
    }
    findings
}

/// What a function owns: `/health`, or the first segment after `/api/v1`.
fn prefix(path: &str) -> &str {
    path.strip_prefix("/api/v1/")
        .map_or(path, |rest| rest.split('/').next().unwrap_or(rest))
}

// --- alarms ------------------------------------------------------------------------------------------------------------

/// An alarm on one metric: what is compared with what.
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

fn alarms_of_lanes(model: &Model) -> Vec<Finding> {
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
        let queue = [("QueueName", parameter(&format!("{}Name", lane.queue)))];
        let dead = [("QueueName", parameter(&format!("{letters}Name")))];
        for (dimensions, metric, above, told) in [
            (&dead, WAITING, 10, "letters"),
            (&dead, WAITING, 100, "letters"),
            (
                &dead,
                AGE,
                10 * 24 * 60 * 60,
                "seconds of the oldest letter",
            ),
            (&queue, WAITING, 1_000, "waiting events"),
            (&queue, WAITING, 10_000, "waiting events"),
            (
                &queue,
                "ApproximateNumberOfMessagesNotVisible",
                60_000,
                "events in flight",
            ),
            (&queue, AGE, oldest, "seconds of the oldest event"),
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
                    format!("no alarm above {above} {told}: add it to infra/aws-only.yaml"),
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
            findings.push(finding(lane.queue, "no alarm on letters that nobody handles for an hour: add it to infra/aws-only.yaml"));
        }
    }
    findings
}

fn alarms_of_latency(model: &Model) -> Vec<Finding> {
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
                "no alarm on DeliveryLatency above {objective} ms of domain {domain}, priority {}: add it to infra/aws-only.yaml",
                contract.priority
            )));
        }
    }
    findings
}

fn alarms_of_functions(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    for function in model.functions() {
        let name = [("FunctionName", parameter(&format!("{}Name", function.id)))];
        if !has_alarm(
            model,
            &Alarm {
                namespace: "AWS/Lambda",
                metric: "Errors",
                dimensions: &name,
                above: 0,
            },
        ) {
            findings.push(finding(
                function.id,
                "no alarm on its Errors: add it to infra/aws-only.yaml",
            ));
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
                findings.push(finding(function.id, format!("no alarm on its IteratorAge above {above} ms: add it to infra/aws-only.yaml")));
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
                "no alarm on EventPublishError: add it to infra/aws-only.yaml",
            ));
        }
    }
    findings
}

fn alarms_tell_somebody(model: &Model) -> Vec<Finding> {
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
                "rings for nobody: AlarmActions with WarningTopicArn or CriticalTopicArn",
            ));
        }
        if alarm["AlarmDescription"].as_str().is_none_or(str::is_empty) {
            findings.push(finding(
                id,
                "say in AlarmDescription what it means and what to do",
            ));
        }
        if alarm["TreatMissingData"] != "notBreaching" {
            findings.push(finding(
                id,
                "an idle stack must be quiet: TreatMissingData: notBreaching",
            ));
        }
    }
    findings
}

fn dashboard(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    let body = resources(&model.aws_only, "AWS::CloudWatch::Dashboard")
        .filter_map(|(_, dashboard)| dashboard["DashboardBody"]["Fn::Sub"].as_str())
        .collect::<String>();
    if let Err(error) = serde_json::from_str::<Value>(&body) {
        findings.push(finding(
            "Dashboard",
            format!("its body is no JSON: {error}"),
        ));
    }
    let queues = resources(&model.main, "AWS::SQS::Queue").map(|(id, _)| id);
    for id in queues.chain(model.functions().into_iter().map(|function| function.id)) {
        if !body.contains(&format!("${{{id}Name}}")) {
            findings.push(finding(
                id,
                "not on the dashboard: add it to infra/aws-only.yaml",
            ));
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
