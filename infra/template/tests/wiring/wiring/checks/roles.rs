//! Roles: each function gets the permissions it needs, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::super::model::{
    DEAD_LETTER_QUEUE, Function, Lane, Model, attribute, entries, list, reference, resources,
    statements, texts,
};
use super::{Finding, finding};

/// What a role may or must allow on one resource.
#[derive(Debug, Default)]
struct Grant {
    must: BTreeSet<&'static str>,
    may: BTreeSet<&'static str>,
    why: String,
}

/// What every owner does to its table. It is also all that happens to the audit log (rows are added, heads are put,
/// nothing is deleted) and to projections with a version guard.
const ADD: [&str; 1] = ["dynamodb:PutItem"];
/// What an owner may do to its table in addition, if its code does it.
const OWN: [&str; 5] = [
    "dynamodb:BatchGetItem",
    "dynamodb:ConditionCheckItem",
    "dynamodb:GetItem",
    "dynamodb:Query",
    "dynamodb:UpdateItem",
];
/// The domains that are logs of numbered rows: the audit log, and the feed of all events. Rows are added to them and
/// never deleted.
const LOGS: [&str; 2] = ["audit", "event-feed"];
/// The only API that shows the history of any aggregate.
const READER_OF_THE_LOG: &str = "system-api";
/// The only function that walks over the whole event log: it sends what is replayed.
const REPLAYER: &str = "operator-worker";
/// The only function that makes MACs.
const SEALER: &str = "audit-anchor";
/// What a function may also do to its own table if it keeps a work queue there.
const REMOVE: [&str; 1] = ["dynamodb:DeleteItem"];
/// The only APIs that remove rows: those by which a cart was found from what it no longer has, a product from its category, and a
/// price list from the time when it begins or ends.
const KEEPERS_OF_LISTS: [&str; 3] = [
    "commerce-catalog-api",
    "commerce-checkout-api",
    "commerce-pricing-api",
];

/// The action that changes an event source mapping. Its resource names no stack, so its condition must.
const CHANGES_MAPPINGS: &str = "lambda:UpdateEventSourceMapping";

/// The condition that a statement must have; null: none. A condition that is missing lets a role change what belongs to
/// others, and one too many can take away what the function needs.
fn condition_of(statement: &Value) -> Value {
    if texts(&statement["Action"]).contains(CHANGES_MAPPINGS) {
        let functions = "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:${AWS::StackName}_*";
        json!({ "ArnLikeIfExists": { "lambda:FunctionArn": { "Fn::Sub": functions } } })
    } else {
        Value::Null
    }
}

/// Every grant that a function needs, derived from its mappings and settings. Any other grant is wider than needed.
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
    let own = |one: &&Lane<'_>| one.function.id == function.id;
    for drained in model.drained().iter().filter(own) {
        let draining = [
            "sqs:ReceiveMessage",
            "sqs:DeleteMessage",
            "sqs:GetQueueAttributes",
        ];
        allow(
            drained.mapping["Queue"].clone(),
            &draining,
            &[],
            "its mapping",
        );
    }
    for lane in model.lanes().iter().filter(own) {
        allow(
            lane.mapping["Queue"].clone(),
            &["sqs:ChangeMessageVisibility"],
            &[],
            "its mapping and the retry schedule",
        );
        allow(arn(DEAD_LETTER_QUEUE), &["sqs:SendMessage"], &[], "parking");
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
    }
    let mappings = function.events("DynamoDB").into_iter();
    let of_mappings = mappings.map(|(_, mapping)| mapping["DestinationConfig"].clone());
    let of_itself = function.property("EventInvokeConfig")["DestinationConfig"].clone();
    for destination in of_mappings.chain([of_itself]) {
        let target = &destination["OnFailure"]["Destination"];
        // What a parameter can switch off is there unless it does.
        let target = target["Fn::If"].get(2).unwrap_or(target);
        if let Some((bucket, _)) = attribute(target) {
            allow(
                arn(bucket),
                &["s3:ListBucket"],
                &[],
                "its on-failure target",
            );
            allow(
                json!({ "Fn::Sub": format!("${{{bucket}.Arn}}/*") }),
                &["s3:PutObject"],
                &[],
                "its on-failure target",
            );
        }
    }

    let package = function.package().unwrap_or_default();
    let settings = function.settings();
    let known = model.packages.get(package);
    let watches_lanes = known.is_some_and(|known| known.watches_lanes);
    // Every queue of this stack, and none of another stack: no stack name contains an underscore.
    let queues = "arn:${AWS::Partition}:sqs:${AWS::Region}:${AWS::AccountId}:${AWS::StackName}_*";
    if known.is_some_and(|known| known.sends_to_lanes) {
        allow(
            json!({ "Fn::Sub": queues }),
            &["sqs:SendMessage", "sqs:GetQueueUrl"],
            &[],
            "its need: it sends dead letters back to their lanes, and replays",
        );
    }
    if known.is_some_and(|known| known.knows_lanes_and_log) {
        allow(
            json!({ "Fn::Sub": queues }),
            &["sqs:GetQueueAttributes", "sqs:GetQueueUrl"],
            &[],
            "its need: it finds out when a consumer began",
        );
        allow(
            arn("EventsTable"),
            &["dynamodb:DescribeTable"],
            &[],
            "its need: it tells how large the event log is",
        );
    }
    if known.is_some_and(|known| known.pauses_consumers) {
        // Lambda has no resource-level permissions for this action:
        // <https://docs.aws.amazon.com/lambda/latest/dg/lambda-api-permissions-ref.html>, read 2026-11-29.
        allow(
            json!("*"),
            &["lambda:ListEventSourceMappings"],
            &[],
            "its need: it finds the mappings of a consumer",
        );
        let mappings =
            "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:event-source-mapping:*";
        allow(
            json!({ "Fn::Sub": mappings }),
            &[CHANGES_MAPPINGS],
            &[],
            "its need: it pauses and resumes consumers",
        );
    }
    let publishes = !function.events("DynamoDB").is_empty();
    for (name, value) in &settings {
        match (*name, reference(value)) {
            ("STACK_NAME", _) if watches_lanes => {
                // CloudWatch has no resource-level permissions for this action:
                // <https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazoncloudwatch.html>, read 2026-11-26.
                allow(
                    json!("*"),
                    &["cloudwatch:GetMetricData"],
                    &[],
                    "its need: it shows how long the oldest message has waited",
                );
                allow(
                    json!({ "Fn::Sub": queues }),
                    &["sqs:GetQueueAttributes", "sqs:GetQueueUrl"],
                    &[],
                    "its need: it shows every lane and its dead letters",
                );
            }
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
            ("EVENTS_TABLE", Some(table)) if package == READER_OF_THE_LOG => {
                allow(
                    arn(table),
                    &["dynamodb:GetItem", "dynamodb:Query"],
                    &[],
                    "EVENTS_TABLE: it shows the history",
                );
            }
            ("EVENTS_TABLE", Some(table)) if package == REPLAYER => {
                allow(
                    arn(table),
                    &[
                        "dynamodb:BatchWriteItem",
                        "dynamodb:PutItem",
                        "dynamodb:Query",
                        "dynamodb:Scan",
                    ],
                    &[],
                    "EVENTS_TABLE: it replays and republishes events",
                );
            }
            ("EVENTS_TABLE", Some(table)) if in_order(model, function) => {
                allow(
                    arn(table),
                    &["dynamodb:GetItem", "dynamodb:Query"],
                    &["dynamodb:PutItem"],
                    "EVENTS_TABLE: it reads the events after its cursor from the log",
                );
            }
            // A consumer's evidence does not need the log. A consumer that emits adds rows to it.
            ("EVENTS_TABLE", Some(table)) if consumes(model, function) => {
                allow(
                    arn(table),
                    &["dynamodb:PutItem"],
                    &[],
                    "EVENTS_TABLE: it emits events",
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
            // The stack's own key lets the role use it, by its policy. A key that was given may be another account's, where
            // both must allow.
            ("KMS_KEY_ID", _) if package == SEALER => {
                if let Some([_, given, _]) = value["Fn::If"].as_array().map(Vec::as_slice) {
                    allow(
                        given.clone(),
                        &["kms:GenerateMac"],
                        &[],
                        "KMS_KEY_ID: it seals anchors",
                    );
                }
            }
            ("KEYS_TABLE", Some(table)) if owns(model, package, table) => allow(
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
                let is_own = owns(model, package, table);
                let why = if is_own {
                    format!("{name}: its own table")
                } else {
                    format!("{name}: a table that it is not declared to own is only read")
                };
                if LOGS.contains(&domain.as_str()) && is_own {
                    let may = ["dynamodb:GetItem", "dynamodb:Query"];
                    allow(arn(table), &ADD, &may, &why);
                } else if is_own && by_guard(model, function) {
                    // The evidence is the row itself, which is put with one condition.
                    allow(arn(table), &ADD, &[], &why);
                } else if is_own {
                    allow(arn(table), &ADD, &OWN, &why);
                    if !function.events("Schedule").is_empty()
                        || KEEPERS_OF_LISTS.contains(&package)
                    {
                        allow(arn(table), &ADD, &REMOVE, &why);
                    }
                    for index in indexes(model, table) {
                        allow(index, &[], &["dynamodb:Query"], &why);
                    }
                } else {
                    for index in indexes(model, table) {
                        allow(index, &[], &["dynamodb:Query"], &why);
                    }
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
            ("BUS_NAME", Some(bus)) if publishes || package == REPLAYER => allow(
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
            (name, _) => {
                if let Some(secret) = secret(model, value) {
                    let why = format!("{name}: it reads the secret");
                    allow(secret, &["secretsmanager:GetSecretValue"], &[], &why);
                }
            }
        }
    }
    grants
}

/// The indexes of a table, as a role names them.
fn indexes(model: &Model, table: &str) -> Vec<Value> {
    let indexes = &model.main["Resources"][table]["Properties"]["GlobalSecondaryIndexes"];
    list(indexes)
        .iter()
        .filter_map(|index| index["IndexName"].as_str())
        .map(|index| json!({ "Fn::Sub": format!("${{{table}.Arn}}/index/{index}") }))
        .collect()
}

/// The logical id in the text of a `!GetAtt <id>.Arn`.
fn attribute_of(resource: &str) -> Option<String> {
    let resource: Value = serde_json::from_str(resource).ok()?;
    let (id, name) = attribute(&resource)?;
    (name == "Arn").then(|| id.to_owned())
}

/// The secret that a setting names, if it can name one: the parameter with its ARN, or else the stack's own secret.
fn secret(model: &Model, value: &Value) -> Option<Value> {
    let [_, named, otherwise] = list(&value["Fn::If"]) else {
        return None;
    };
    let parameter = &model.main["Parameters"][reference(named)?];
    let pattern = parameter["AllowedPattern"].as_str()?;
    if !pattern.contains(":secretsmanager:") {
        return None;
    }
    let is_made = attribute(otherwise).is_some_and(|(id, _)| {
        model.main["Resources"][id]["Type"] == "AWS::SecretsManager::Secret"
    });
    Some(if is_made {
        value.clone()
    } else {
        named.clone()
    })
}

/// The condition that says whether a parameter has a value.
fn has_value<'a>(model: &'a Model, parameter: &str) -> Option<&'a str> {
    let is_set = json!({ "Fn::Not": [{ "Fn::Equals": [{ "Ref": parameter }, ""] }] });
    entries(&model.main["Conditions"])
        .find(|(_, condition)| **condition == is_set)
        .map(|(name, _)| name)
}

/// Whether a package is declared as the owner of a table.
fn owns(model: &Model, package: &str, table: &str) -> bool {
    model
        .packages
        .get(package)
        .is_some_and(|package| package.owns.contains(table))
}

/// Whether a function's code subscribes to events.
fn consumes(model: &Model, function: &Function<'_>) -> bool {
    let package = function.package().and_then(|name| model.packages.get(name));
    package.is_some_and(|package| package.subscription.is_some())
}

/// Whether a function handles events in order. Then it reads the event log.
fn in_order(model: &Model, function: &Function<'_>) -> bool {
    let package = function.package().and_then(|name| model.packages.get(name));
    package.is_some_and(|package| package.in_order)
}

/// Whether a function handles all its events by guard. Then it only puts rows.
fn by_guard(model: &Model, function: &Function<'_>) -> bool {
    let package = function.package().and_then(|name| model.packages.get(name));
    package.is_some_and(|package| package.by_guard)
}

/// The function that only asks `mail` whom an event is told to, and sends nothing.
const ASKS_MAIL: &str = "webhook-sender";

/// The AWS clients that a package may depend on, and the service whose actions its role then needs.
const CLIENTS: [(&str, &str); 8] = [
    ("aws-sdk-cloudwatch", "cloudwatch:"),
    ("aws-sdk-lambda", "lambda:"),
    ("mappings", "lambda:"),
    ("aws-sdk-sesv2", "ses:"),
    ("mail", "ses:"),
    ("aws-sdk-eventbridge", "events:"),
    ("aws-sdk-sqs", "sqs:"),
    ("aws-sdk-dynamodb", "dynamodb:"),
];

pub(super) fn roles(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut taken: BTreeMap<&str, &str> = BTreeMap::new();
    for function in model.functions() {
        let Some(id) = function.role() else {
            findings.push(finding(function.id, "has no role of its own: set Role: !GetAtt <Function>Role.Arn (SAM's role would allow every queue)"));
            continue;
        };
        if let Some(other) = taken.insert(id, function.id) {
            findings.push(finding(
                id,
                format!("{other} has the same role: give each function its own"),
            ));
        }
        let role = &model.main["Resources"][id]["Properties"];
        let trust = json!([{ "Effect": "Allow", "Principal": { "Service": "lambda.amazonaws.com" }, "Action": "sts:AssumeRole" }]);
        if role["AssumeRolePolicyDocument"]["Statement"] != trust {
            findings.push(finding(
                id,
                "must be assumable only by lambda.amazonaws.com",
            ));
        }
        if !list(&role["ManagedPolicyArns"]).is_empty()
            || !list(&function.properties["Policies"]).is_empty()
        {
            findings.push(finding(
                id,
                "managed policies allow more than this function needs: write statements",
            ));
        }

        let settings = function.settings();
        if in_order(model, &function) && !settings.contains_key("EVENTS_TABLE") {
            findings.push(finding(
                function.id,
                "its code handles events by Cursor and reads them from the log: set EVENTS_TABLE: !Ref EventsTable",
            ));
        }
        if function.package() == Some(SEALER) && !settings.contains_key("KMS_KEY_ID") {
            findings.push(finding(
                function.id,
                "seals with a KMS key: set KMS_KEY_ID: !If [HasExistingAuditKey, !Ref ExistingAuditKeyArn, !GetAtt AuditKey.Arn]",
            ));
        }
        let grants = grants(model, &function);
        let mut allowed: BTreeMap<String, BTreeSet<&str>> = BTreeMap::new();
        for (condition, statement) in list(&role["Policies"])
            .iter()
            .flat_map(|policy| statements(&policy["PolicyDocument"]))
        {
            let sid = statement["Sid"].as_str().unwrap_or_default();
            let known = ["Effect", "Sid", "Action", "Resource", "Condition"];
            if sid.is_empty()
                || statement["Effect"] != "Allow"
                || entries(statement).any(|(key, _)| !known.contains(&key))
            {
                findings.push(finding(id, format!("statement `{sid}` must have Sid, Effect Allow, Action and Resource, and neither NotAction nor NotResource")));
            }
            let condition_needed = condition_of(statement);
            if statement["Condition"] != condition_needed {
                findings.push(finding(id, format!("statement `{sid}` must have the condition {condition_needed} and no other: {CHANGES_MAPPINGS} is limited only by it")));
            }
            // A parameter that may be empty is a resource only under its condition.
            let given = list(&statement["Resource"])
                .iter()
                .filter_map(reference)
                .find(|name| !model.main["Parameters"][*name].is_null());
            if condition != given.and_then(|name| has_value(model, name)) {
                findings.push(finding(id, format!("statement `{sid}` must be under the condition that the parameter it names has a value, and else under none")));
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
                    "allows {actions:?} on {resource}, but {} has neither a mapping nor a setting for it: remove it", function.id
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
            // A list may have unused entries: indexes and the emulator's second name of the bus need not be used, a
            // table must be, by itself or by an index.
            let is_queried = attribute_of(resource).is_some_and(|table| {
                let mut indexes = indexes(model, &table).into_iter();
                indexes.any(|index| allowed.contains_key(&index.to_string()))
            });
            if actions.is_empty() && !is_queried && resource.contains("\"Fn::GetAtt\"") {
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
            // Only the function's own direct dependencies matter: the adapters depend on every client.
            let only_asks = client == "mail" && function.package() == Some(ASKS_MAIL);
            if package.direct.contains(client) && !granted && !only_asks {
                findings.push(finding(
                    id,
                    format!(
                        "{} calls {client}, but the role has no {service} action",
                        function.id
                    ),
                ));
            }
        }
    }
    findings
}

/// The key of the audit log: an HMAC key that outlives the stack. Only the sealer's role may make MACs with it: whoever
/// administers the key or has every right in IAM cannot.
pub(super) fn keys(model: &Model) -> Vec<Finding> {
    let mut findings = Vec::new();
    let sealer = model
        .functions()
        .into_iter()
        .find(|function| function.package() == Some(SEALER))
        .and_then(|function| function.role());
    for (id, key) in resources(&model.main, "AWS::KMS::Key") {
        let resource = &model.main["Resources"][id];
        if resource["DeletionPolicy"] != "RetainExceptOnCreate"
            || resource["UpdateReplacePolicy"] != "Retain"
        {
            findings.push(finding(
                id,
                "only this key can verify what it sealed, and a creation that fails must leave none behind: set DeletionPolicy: \
                 RetainExceptOnCreate and UpdateReplacePolicy: Retain",
            ));
        }
        if resource["Condition"] != "CreatesAuditKey" {
            findings.push(finding(
                id,
                "a restored audit log brings its own key: set Condition: CreatesAuditKey",
            ));
        }
        if key["KeySpec"] != "HMAC_256" || key["KeyUsage"] != "GENERATE_VERIFY_MAC" {
            findings.push(finding(
                id,
                "must have KeySpec: HMAC_256 and KeyUsage: GENERATE_VERIFY_MAC",
            ));
        }
        let account =
            json!({ "AWS": { "Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root" } });
        let seals = sealer.map(|role| json!({ "AWS": { "Fn::GetAtt": [role, "Arn"] } }));
        let mut administered = BTreeSet::new();
        for (condition, statement) in statements(&key["KeyPolicy"]) {
            let sid = statement["Sid"].as_str().unwrap_or_default();
            let actions = texts(&statement["Action"]);
            // A pattern of actions must not match the action that makes MACs, nor the one that gives it away.
            let gives = actions.iter().any(|action| {
                ["kms:GenerateMac", "kms:CreateGrant"].iter().any(|one| {
                    action
                        .split_once('*')
                        .map_or(*action == *one, |(begin, _)| one.starts_with(begin))
                })
            });
            let is_exact = if gives {
                Some(&statement["Principal"]) == seals.as_ref()
                    && actions == BTreeSet::from(["kms:GenerateMac"])
            } else {
                statement["Principal"] == account
            };
            if !is_exact || condition.is_some() || statement["Effect"] != "Allow" {
                findings.push(finding(
                    id,
                    format!(
                        "statement `{sid}` must let the role of {SEALER} make MACs and nothing else, or let IAM of the account decide \
                         about other actions"
                    ),
                ));
            }
            if !gives {
                administered.extend(actions);
            }
        }
        // Without these nobody could ever change or delete the key
        // (<https://docs.aws.amazon.com/kms/latest/developerguide/key-policy-default.html>, read 2026-11-29).
        for needed in ["kms:Put*", "kms:ScheduleKeyDeletion", "kms:VerifyMac"] {
            if !administered.contains(needed) {
                findings.push(finding(
                    id,
                    format!("its policy must leave {needed} to the account's IAM"),
                ));
            }
        }
    }
    findings
}
