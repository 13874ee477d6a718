//! Logs, tables, and the API.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::model::{Model, entries, list, reference, resources};
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
        if table["DeletionProtectionEnabled"] != json!({ "Fn::If": ["ProtectsData", true, false] })
        {
            findings.push(finding(id, "ProtectData must make DynamoDB refuse to delete it: set DeletionProtectionEnabled: !If [ProtectsData, true, false]"));
        }
        // RetainExceptOnCreate would leave the tables of every stack behind that was deleted on purpose.
        if model.main["Resources"][id]["DeletionPolicy"] != "Delete" {
            findings.push(finding(
                id,
                "a deleted stack would leave it behind even without ProtectData: set DeletionPolicy: Delete, the protection is DynamoDB's",
            ));
        }
        let restored = format!("${{AWS::StackName}}-{id}-${{RestoredTables}}");
        if table["TableName"]
            != json!({ "Fn::If": ["HasRestoredTables", { "Fn::Sub": restored }, { "Ref": "AWS::NoValue" }] })
        {
            findings.push(finding(
                id,
                format!("a restored table could not be imported: set TableName: !If [HasRestoredTables, !Sub {restored}, !Ref AWS::NoValue]"),
            ));
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

/// What each template keeps when its stack is deleted, and what a creation that fails leaves behind.
pub(super) fn protection(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    let parameter = &model.main["Parameters"]["ProtectData"];
    if parameter["Default"] != "false"
        || model.main["Conditions"]["ProtectsData"]
            != json!({ "Fn::Not": [{ "Fn::Equals": [{ "Ref": "ProtectData" }, "false"] }] })
    {
        findings.push(finding(
            "ProtectData",
            "must be false by default and make the condition ProtectsData: a first creation that fails could not be rolled back",
        ));
    }
    for (id, resource) in entries(&model.main["Resources"]) {
        if resource["DeletionPolicy"] == "Retain" {
            findings.push(finding(
                id,
                "a creation that fails would leave it behind: set DeletionPolicy: RetainExceptOnCreate",
            ));
        }
    }
    findings
}

/// The buckets: nobody reads or writes without TLS, and the lifecycle empties them.
pub(super) fn buckets(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (id, bucket) in resources(&model.main, "AWS::S3::Bucket") {
        let wanted = json!({
            "Sid": "Tls", "Effect": "Deny", "Principal": "*", "Action": "s3:*",
            "Resource": [{ "Fn::GetAtt": [id, "Arn"] }, { "Fn::Sub": format!("${{{id}.Arn}}/*") }],
            "Condition": { "Bool": { "aws:SecureTransport": "false" } },
        });
        let policy = resources(&model.main, "AWS::S3::BucketPolicy")
            .find(|(_, policy)| reference(&policy["Bucket"]) == Some(id));
        let is_exact = policy.is_some_and(|(of, policy)| {
            policy["PolicyDocument"]["Statement"] == json!([wanted])
                && model.main["Resources"][of]["Condition"] == "DemandsTls"
        });
        if !is_exact {
            findings.push(finding(
                id,
                "needs a AWS::S3::BucketPolicy with the one statement that denies requests without TLS, under DemandsTls",
            ));
        }
        let rules = list(&bucket["LifecycleConfiguration"]["Rules"]);
        let has = |key: &str| rules.iter().any(|rule| !rule[key].is_null());
        if ![
            "ExpirationInDays",
            "NoncurrentVersionExpiration",
            "ExpiredObjectDeleteMarker",
        ]
        .into_iter()
        .all(has)
        {
            findings.push(finding(
                id,
                "never becomes empty, and CloudFormation deletes only an empty bucket: expire objects, old versions and delete markers",
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
    for function in model.functions() {
        for kind in ["Api", "HttpApi"] {
            for (event, _) in function.events(kind) {
                findings.push(finding(
                    function.id,
                    format!("{event}: an event of type {kind} makes a permission of its own: put the route into the Api's DefinitionBody"),
                ));
            }
        }
    }
    let body = &model.main["Resources"]["Api"]["Properties"]["DefinitionBody"];
    let paths: BTreeMap<&str, &Value> = entries(&body["paths"]).collect();
    let mut routes: BTreeMap<(&str, String), &str> = BTreeMap::new();
    for (path, methods) in paths {
        let is_outside = ["/health", "/dashboard", "/dashboard/{proxy+}"];
        if !is_outside.contains(&path) && !path.starts_with("/api/v1/") {
            findings.push(finding(
                path,
                "every path but /health and /dashboard must be under /api/v1",
            ));
        }
        for (method, operation) in entries(methods) {
            let method = method.to_uppercase();
            let name = format!("{method} {path}");
            if !["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"].contains(&method.as_str()) {
                findings.push(finding(&name, format!("Method {method}: use one of GET, POST, PUT, PATCH, DELETE, OPTIONS (ANY answers 403 locally)")));
            }
            let integration = &operation["x-amazon-apigateway-integration"];
            if integration["type"] != "aws_proxy" || integration["httpMethod"] != "POST" {
                findings.push(finding(
                    &name,
                    "Lambda is called by POST, as type aws_proxy: the function reads the whole request",
                ));
            }
            let Some(function) = invoked(integration) else {
                findings.push(finding(&name, "its uri names no function"));
                continue;
            };
            let prefix = prefix(path);
            // A preflight asks about a path, even if another function serves the path with another method.
            if let Some((_, other)) = routes.iter().find(|((known, by), owner)| {
                self::prefix(known) == prefix
                    && *by == method
                    && method != "OPTIONS"
                    && **owner != function
            }) {
                findings.push(finding(
                    &name,
                    format!("{method} of {prefix} belongs to {other}: each method of a prefix has one owner"),
                ));
            }
            routes.insert((path, method), function);
        }
    }
    let called: BTreeSet<&str> = routes.into_values().collect();
    let known: BTreeSet<&str> = model.functions().iter().map(|one| one.id).collect();
    for unknown in called.difference(&known) {
        findings.push(finding(
            *unknown,
            "the front calls it, and it is no function",
        ));
    }
    let permitted: Vec<&Value> = resources(&model.main, "AWS::Lambda::Permission")
        .map(|(_, permission)| permission)
        .filter(|permission| permission["Principal"] == "apigateway.amazonaws.com")
        .collect();
    for function in model.functions() {
        let is_it = |permission: &&&Value| {
            let name = reference(&permission["FunctionName"]).unwrap_or_default();
            name.trim_end_matches(".Alias") == function.id
        };
        let permission = permitted.iter().find(is_it);
        if !called.contains(function.id) {
            if permission.is_some() {
                findings.push(finding(
                    function.id,
                    "the front may call it, and has no route to it",
                ));
            }
            continue;
        }
        let of_the_api =
            "arn:${AWS::Partition}:execute-api:${AWS::Region}:${AWS::AccountId}:${Api}/*";
        if permission.is_none_or(|permission| permission["SourceArn"]["Fn::Sub"] != of_the_api) {
            findings.push(finding(
                function.id,
                "the front has a route to it: it needs an AWS::Lambda::Permission for this API and no other",
            ));
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
    }
    findings
}

/// The function that an integration invokes, itself or by its alias.
fn invoked(integration: &Value) -> Option<&str> {
    match &integration["uri"]["Fn::Sub"] {
        Value::String(uri) => named(uri)?.strip_suffix(".Arn"),
        Value::Array(parts) => match parts.as_slice() {
            [Value::String(uri), variables] => {
                reference(&variables[named(uri)?])?.strip_suffix(".Alias")
            }
            _ => None,
        },
        _ => None,
    }
}

/// What a text names as the function that the gateway is to invoke.
fn named(uri: &str) -> Option<&str> {
    let (_, named) = uri.split_once("/functions/${")?;
    Some(named.split_once("}/invocations")?.0)
}

/// What a function owns: `/health`, or the first segment after `/api/v1`.
fn prefix(path: &str) -> &str {
    path.strip_prefix("/api/v1/")
        .map_or(path, |rest| rest.split('/').next().unwrap_or(rest))
}
