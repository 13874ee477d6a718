//! The rule that sends some events to the topic of the warnings.

use events::Registry;
use serde_json::{Value, json};

use super::super::{
    model::{Model, list, resources},
    pattern,
};
use super::{Finding, finding};

/// The paths that EventBridge's input transformer knows of an event of ours, each beside a value of a real one.
const PATHS: [(&str, &str); 4] = [
    ("$.detail-type", "/detail-type"),
    ("$.detail.event_id", "/detail/event_id"),
    ("$.detail.occurred_at", "/detail/occurred_at"),
    ("$.detail.payload", "/detail/payload"),
];

pub(super) fn told_events(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut rules = resources(&model.aws_only, "AWS::Events::Rule");
    let Some((id, rule)) = rules.next() else {
        if model
            .contracts
            .iter()
            .any(|one| one.event_type == "webhook.disabled")
        {
            findings.push(finding(
                "ToldEvents",
                "is missing: nobody is told of disabled endpoints",
            ));
        }
        return findings;
    };
    let mut wrong = |advice: &str| findings.push(finding(id, advice));
    if rules.next().is_some() {
        wrong("is one of two: one rule sends all events");
    }
    if rule["EventBusName"] != json!({ "Fn::Sub": "${MillraceStack}-events" }) {
        wrong("must be a rule of the stack's bus");
    }
    let wanted = list(&rule["EventPattern"]["detail-type"]);
    for event_type in wanted.iter().filter_map(Value::as_str) {
        if !model
            .contracts
            .iter()
            .any(|one| one.event_type == event_type)
        {
            wrong(&format!("waits for {event_type}, which no contract has"));
        }
    }
    let event = json!({
        "detail-type": wanted.first(),
        "detail": { "event_id": "e", "occurred_at": "t", "payload": { "origin": "https://example.com" } },
    });
    if pattern::matches(&rule["EventPattern"], &event) != Ok(true) {
        wrong("does not match an event that it is for");
    }
    let topic = json!({ "Fn::If": ["HasWarningTopic", { "Ref": "WarningTopicArn" }, { "Ref": "AlarmTopic" }] });
    let [target] = list(&rule["Targets"]) else {
        wrong("must have one target, the topic of the warnings");
        return findings;
    };
    if target["Arn"] != topic {
        wrong("must send to the topic of the warnings");
    }
    let transformer = &target["InputTransformer"];
    let mut text = transformer["InputTemplate"]["Fn::Sub"]
        .as_str()
        .unwrap_or_default()
        .replace("${MillraceStack}", "millrace");
    for (name, path) in transformer["InputPathsMap"]
        .as_object()
        .into_iter()
        .flatten()
    {
        let pointer = PATHS.iter().find(|(known, _)| path == known);
        let value = pointer.and_then(|(_, pointer)| event.pointer(pointer));
        match value {
            Some(value) => text = text.replace(&format!("<{name}>"), &value.to_string()),
            None => wrong(&format!("takes {path}, which an event does not have")),
        }
    }
    match serde_json::from_str::<Value>(&text) {
        Ok(message) if message["payload"] == event["detail"]["payload"] => {}
        _ => wrong(&format!(
            "makes of an event what is no JSON with its payload: {text}"
        )),
    }
    // A condition keeps other accounts' alarms out; EventBridge publishes to no topic whose policy has one for it
    // (<https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-use-resource-based.html>, read 2026-11-30).
    let policy = &model.aws_only["Resources"]["AlarmTopicPolicy"];
    for (service, is_limited) in [
        ("cloudwatch.amazonaws.com", true),
        ("events.amazonaws.com", false),
    ] {
        let statements = list(&policy["Properties"]["PolicyDocument"]["Statement"]);
        let allows = statements.iter().any(|one| {
            one["Effect"] == "Allow"
                && one["Principal"]["Service"] == service
                && one["Action"] == "sns:Publish"
                && one["Resource"] == json!({ "Ref": "AlarmTopic" })
                && one["Condition"].is_object() == is_limited
        });
        if !allows || policy["Condition"] != "MakesTopic" {
            wrong(&format!("AlarmTopicPolicy does not let {service} publish"));
        }
    }
    let tells = json!({ "Fn::And": [
        { "Condition": "RaisesEssential" },
        { "Fn::Or": [{ "Condition": "HasWarningTopic" }, { "Condition": "HasAlarmEmail" }] },
    ] });
    let is_conditional = model.aws_only["Resources"][id]["Condition"] == "TellsEvents";
    if !is_conditional || model.aws_only["Conditions"]["TellsEvents"] != tells {
        wrong("must exist where there is a topic of the warnings, and only there");
    }
    findings
}

/// A function tells of its own events: who reads the declaration knows what is sent.
#[test]
fn what_is_told_is_an_event_of_the_function_that_tells_it() {
    let deployment = topology::Deployment::whole();
    let mut told = 0;
    for function in deployment.functions() {
        for event_type in function.tells {
            let contracts = Registry::shipped_contracts();
            let contract = contracts.iter().find(|one| one.event_type == *event_type);
            assert_eq!(
                contract.map(|one| one.producer),
                Some(function.name),
                "{event_type}"
            );
            told += 1;
        }
    }
    assert!(told > 0, "nothing is told");
}
