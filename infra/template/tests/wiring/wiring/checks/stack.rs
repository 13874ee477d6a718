//! Logs, tables, and the API.

use std::collections::BTreeMap;

use serde_json::json;

use super::super::model::{Model, list, reference, resources, text};
use super::{Finding, GATEWAY_SECONDS, finding};

pub(super) fn logs(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    for function in model.functions() {
        let group =
            reference(&function.properties["LoggingConfig"]["LogGroup"]).unwrap_or_default();
        let retention = &model.main["Resources"][group]["Properties"]["RetentionInDays"];
        if model.largest(retention).is_none() {
            findings.push(finding(function.id, "its logs would be kept forever: set LoggingConfig to a log group with RetentionInDays"));
        }
        let logging = &function.properties["LoggingConfig"];
        if logging["LogFormat"] != "JSON" || logging["ApplicationLogLevel"] != "TRACE" {
            findings.push(finding(function.id, "with LogFormat JSON, Lambda drops the lines below ApplicationLogLevel, which is INFO unless set: set ApplicationLogLevel: TRACE, so that RUST_LOG alone decides"));
        }
        if function.property("Tracing") != "Active" {
            findings.push(finding(function.id, "Tracing: Active"));
        }
    }
    findings
}

pub(super) fn tables(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (id, table) in resources(&model.main, "AWS::DynamoDB::Table") {
        if table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] != true {
            findings.push(finding(
                id,
                "cannot be restored: set PointInTimeRecoveryEnabled: true",
            ));
        }
        if table["SSESpecification"]["SSEEnabled"] != true {
            findings.push(finding(id, "SSESpecification: {SSEEnabled: true}"));
        }
        if table["DeletionProtectionEnabled"] != json!({ "Fn::If": ["IsProduction", true, false] })
        {
            findings.push(finding(id, "production must refuse to delete it: set DeletionProtectionEnabled: !If [IsProduction, true, false]"));
        }
        if model.main["Resources"][id]["UpdateReplacePolicy"] != "Retain" {
            findings.push(finding(
                id,
                "a change of its key would delete its rows: set UpdateReplacePolicy: Retain",
            ));
        }
        if table["BillingMode"] != "PAY_PER_REQUEST" {
            findings.push(finding(id, "BillingMode: PAY_PER_REQUEST"));
        }
        let streams = !table["StreamSpecification"].is_null();
        if streams != (id == "EventsTable") {
            findings.push(finding(id, "only the event log must have a stream"));
        }
        let expires = table["TimeToLiveSpecification"]
            == json!({ "AttributeName": "expires_at", "Enabled": true });
        if ["EventsTable", "MarksTable"].contains(&id) && !expires {
            findings.push(finding(
                id,
                "would grow forever: set TimeToLiveSpecification on expires_at",
            ));
        }
    }
    findings
}

pub(super) fn front(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    if model.main["Globals"]["Api"]["OpenApiVersion"] != "3.0.1" {
        findings.push(finding(
            "Globals.Api",
            "set OpenApiVersion: 3.0.1, or SAM adds a second stage",
        ));
    }
    for setting in list(&model.main["Resources"]["Api"]["Properties"]["MethodSettings"]) {
        if setting["MetricsEnabled"] == true {
            findings.push(finding(
                "Api",
                "MetricsEnabled sends five paid metrics of each method: remove it; those of the API and its stage are free",
            ));
        }
    }
    let mut routes: BTreeMap<(String, String), &str> = BTreeMap::new();
    for function in model.functions() {
        for (event, _) in function.events("HttpApi") {
            findings.push(finding(
                function.id,
                format!(
                    "{event}: an HttpApi event makes no route on some local AWS: use Type: Api"
                ),
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
                format!("Timeout must be less than the gateway's {GATEWAY_SECONDS} s"),
            ));
        }
        if function
            .settings()
            .get("AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH")
            .is_none_or(|value| *value != "true")
        {
            findings.push(finding(function.id, "its router would see the stage in paths: set AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH: \"true\""));
        }
        for (event, properties) in events {
            let name = format!("{}.{event}", function.id);
            if reference(&properties["RestApiId"]) != Some("Api") {
                findings.push(finding(
                    &name,
                    "set RestApiId: !Ref Api, or SAM makes a second API",
                ));
            }
            let path = text(&properties["Path"]).unwrap_or_default();
            let method = text(&properties["Method"])
                .unwrap_or_default()
                .to_uppercase();
            if !["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].contains(&method.as_str()) {
                findings.push(finding(&name, format!("Method {method}: use one of GET, POST, PUT, PATCH, DELETE, OPTIONS (ANY answers 403 locally)")));
            }
            if path != "/health" && !path.starts_with("/api/v1/") {
                findings.push(finding(
                    &name,
                    format!("path {path}: every path but /health must be under /api/v1"),
                ));
            }
            if let Some(other) = routes.insert((path.clone(), method.clone()), function.id) {
                findings.push(finding(
                    &name,
                    format!("{method} {path} already belongs to {other}"),
                ));
            }
            let prefix = prefix(&path);
            // A preflight asks about a path, even if another function serves the path with another method.
            if let Some((_, other)) = routes.iter().find(|((known, by), owner)| {
                self::prefix(known) == prefix
                    && *by == method
                    && method != "OPTIONS"
                    && **owner != function.id
            }) {
                findings.push(finding(
                    &name,
                    format!("{method} of {prefix} belongs to {other}: each method of a prefix has one owner"),
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
