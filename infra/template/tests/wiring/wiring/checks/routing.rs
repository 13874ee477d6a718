//! Rules, patterns and subscriptions: every event must reach exactly the consumers that subscribe to it.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::super::{
    model::{Model, list, reference, texts},
    pattern,
};
use super::{Finding, PRIORITIES, consumers, finding};

/// The event types that a rule selects: by name, by the prefix of a domain, or all.
fn types<'a>(model: &'a Model, rule: &'a Value) -> BTreeSet<&'a str> {
    let alternatives = &rule["EventPattern"]["detail-type"];
    let mut types = texts(alternatives);
    if list(alternatives).iter().any(|one| one["exists"] == true) {
        let all = model.contracts.iter();
        types.extend(all.map(|contract| contract.event_type.as_str()));
    }
    for prefix in prefixes(alternatives) {
        types.extend(
            model
                .contracts
                .iter()
                .map(|contract| contract.event_type.as_str())
                .filter(|event_type| event_type.starts_with(prefix)),
        );
    }
    types
}

fn prefixes(alternatives: &Value) -> impl Iterator<Item = &str> {
    list(alternatives)
        .iter()
        .filter_map(|alternative| alternative["prefix"].as_str())
}

pub(super) fn types_of_rules(model: &Model) -> Vec<Finding> {
    let known: BTreeSet<&str> = model
        .contracts
        .iter()
        .map(|contract| contract.event_type.as_str())
        .collect();
    let mut findings = Vec::new();
    for (id, rule) in model.rules() {
        let types = types(model, rule);
        if types.is_empty() {
            findings.push(finding(
                id,
                "its pattern names no detail-type: list the event types",
            ));
        }
        for prefix in prefixes(&rule["EventPattern"]["detail-type"]) {
            let names_a_domain = prefix.ends_with('.')
                && known
                    .iter()
                    .any(|event_type| event_type.starts_with(prefix));
            if !names_a_domain {
                findings.push(finding(
                    id,
                    format!("the prefix {prefix} is not a domain followed by a dot"),
                ));
            }
        }
        for event_type in types.difference(&known) {
            findings.push(finding(
                id,
                format!(
                    "there is no contract {event_type}: declare it in shared/events or remove it"
                ),
            ));
        }
    }
    findings
}

pub(super) fn one_lane_per_event(model: &Model) -> Vec<Finding> {
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
                .flat_map(|(_, rule)| types(model, rule))
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
                let name = priority.unwrap_or("no");
                let urgent = matches!(priority, Some("critical" | "high"));
                match (wanted.contains(event_type.as_str()), reached.as_slice()) {
                    (false, []) => {}
                    (false, _) => findings.push(finding(package, format!(
                        "{event_type} reaches {}, but the consumer does not subscribe to it: remove it from the rule",
                        reached.join(", ")
                    ))),
                    (true, [lane]) => {
                        let right = if urgent { "ExpressQueue" } else { "StandardQueue" };
                        if lanes.len() > 1 && !lane.ends_with(right) {
                            findings.push(finding(package, format!(
                                "{event_type} with {name} priority reaches {lane}: it belongs on its {right}"
                            )));
                        }
                    }
                    (true, []) => findings.push(finding(package, format!(
                        "{event_type} with {name} priority reaches no lane: add the type to the rule"
                    ))),
                    (true, _) => findings.push(finding(package, format!(
                        "{event_type} with {name} priority reaches {}: exactly one lane must take it", reached.join(" and ")
                    ))),
                }
            }
        }
    }
    findings.dedup();
    findings
}

pub(super) fn declared_subscriptions(model: &Model) -> Vec<Finding> {
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
                findings.push(finding(name, "it is declared as a consumer, but the template has no SQS mapping of it: add its lanes"));
                continue;
            }
            (None, Some(_)) => {
                findings.push(finding(
                    name,
                    "has lanes, but is not declared as a consumer: declare what it subscribes to",
                ));
                continue;
            }
        };
        let ruled: BTreeSet<&str> = lanes
            .iter()
            .flat_map(|lane| model.rules_to(lane.queue))
            .flat_map(|(_, rule)| self::types(model, rule))
            .collect();
        for event_type in types {
            if !model
                .contracts
                .iter()
                .any(|contract| contract.event_type == *event_type)
            {
                findings.push(finding(
                    name,
                    format!("it selects {event_type}, but there is no such contract"),
                ));
            }
            if !ruled.contains(event_type.as_str()) {
                findings.push(finding(
                    name,
                    format!("it is declared to subscribe to {event_type}, but no rule sends it: run `make template`"),
                ));
            }
        }
        for event_type in ruled.iter().filter(|one| !types.contains(**one)) {
            findings.push(finding(name, format!(
                "a rule sends {event_type}, but its code does not know the type and would park it: handle it or remove it"
            )));
        }
    }
    findings
}

pub(super) fn patterns(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (id, rule) in model.rules() {
        if reference(&rule["EventBusName"]) != Some("EventBus") {
            findings.push(finding(
                id,
                "listens to another bus: set EventBusName: !Ref EventBus",
            ));
        }
        if rule["State"]
            .as_str()
            .is_some_and(|state| state != "ENABLED")
        {
            findings.push(finding(
                id,
                "is disabled: its consumer loses the events that it does not send",
            ));
        }
    }
    findings
}
