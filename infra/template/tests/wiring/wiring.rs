//! The wiring test: template.yaml, infra/aws-only.yaml and the workspace must agree.
//!
//! Most of the errors that are checked here fail silently on a real account (a queue policy that names another rule
//! drops events; a missing filter wakes the relay forever) and not at all on a local AWS. So the test checks the
//! templates as text. A check is a function of the [`Model`]. For each check there are broken copies of the real model
//! below, which it must find, so that no check can stop working unnoticed.

#![expect(
    clippy::panic,
    clippy::print_stdout,
    clippy::unwrap_used,
    reason = "a test must panic when it cannot read what it checks"
)]

mod checks;
mod cloudwatch;
mod grafana;
pub(crate) mod headroom;
mod idle;
pub(crate) mod model;
mod pattern;
mod runbook;
mod series;

use std::{collections::BTreeSet, sync::LazyLock};

use serde_json::{Value, json};
use topology::Deployment;

use checks::CHECKS;
use model::{Contract, Model, Package};

static MODEL: LazyLock<Model> = LazyLock::new(Model::read);

#[test]
fn the_templates_and_the_workspace_agree() {
    let findings = findings(&MODEL);
    assert!(
        findings.is_empty(),
        "{} findings:\n{}",
        findings.len(),
        findings.join("\n")
    );
}

fn findings(model: &Model) -> Vec<String> {
    CHECKS
        .iter()
        .flat_map(|(name, check)| {
            check(model)
                .into_iter()
                .map(move |finding| format!("[{name}] {finding}"))
        })
        .collect()
}

#[test]
fn the_templates_are_checked_in_as_rendered() {
    let rendered = template::render(&Deployment::whole()).unwrap();
    expect_test::expect_file!["../../../../template.yaml"].assert_eq(&rendered.main);
    expect_test::expect_file!["../../../../infra/aws-only.yaml"].assert_eq(&rendered.aws_only);
    expect_test::expect_file!["../../../../infra/parameters.json"].assert_eq(&rendered.parameters);
    expect_test::expect_file!["../../../../infra/docs/settings.md"].assert_eq(&rendered.settings);
    expect_test::expect_file!["../../../../infra/restore.yaml"].assert_eq(&rendered.restore);
    expect_test::expect_file!["../../../../infra/grafana-dashboard.json"]
        .assert_eq(&rendered.grafana);
}

#[test]
fn a_restored_table_is_imported_with_the_name_and_the_keys_that_the_whole_template_gives_it() {
    let restore = model::template(
        "infra/restore.yaml",
        &template::render(&Deployment::whole()).unwrap().restore,
    );
    let of_main: Vec<_> = model::resources(&MODEL.main, "AWS::DynamoDB::Table").collect();
    let imported: Vec<_> = model::resources(&restore, "AWS::DynamoDB::Table").collect();
    assert_eq!(
        of_main.iter().map(|(id, _)| id).collect::<Vec<_>>(),
        imported.iter().map(|(id, _)| id).collect::<Vec<_>>()
    );
    for ((id, whole), (_, alone)) in of_main.into_iter().zip(imported) {
        // The same name: CloudFormation would replace the table otherwise.
        assert_eq!(whole["TableName"]["Fn::If"][1], alone["TableName"], "{id}");
        // What the import states, the deployment after it leaves as it is. What it does not state, the deployment sets; a
        // restored table lacks it.
        for (property, value) in model::entries(alone).filter(|(name, _)| *name != "TableName") {
            assert_eq!(&whole[property], value, "{id}.{property}");
        }
        for property in [
            "StreamSpecification",
            "TimeToLiveSpecification",
            "PointInTimeRecoverySpecification",
            "DeletionProtectionEnabled",
            "Tags",
        ] {
            assert!(alone[property].is_null(), "{id}.{property}");
        }
    }
}

#[test]
fn api_functions_are_deployed_gradually_in_the_variant_and_nowhere_else() {
    let deployment = Deployment::whole();
    let (_, variant) = template::render_gradual(&deployment).unwrap();
    let rendered = template::render(&deployment).unwrap();
    let variant = Model::of(&deployment, &variant, &rendered.aws_only);
    assert_eq!(findings(&variant), Vec::<String>::new());

    let mut shifted = Vec::new();
    for function in variant.functions() {
        let (id, properties) = (function.id, function.properties);
        if properties["AutoPublishAlias"].is_null() {
            assert!(properties["DeploymentPreference"].is_null(), "{id}");
            continue;
        }
        shifted.push(function.package().unwrap());
        assert_eq!(properties["AutoPublishAliasAllProperties"], true, "{id}");
        let preference = &properties["DeploymentPreference"];
        assert_eq!(
            preference["Type"],
            json!({ "Ref": "DeployGradually" }),
            "{id}"
        );
        let alarms = model::list(&preference["Alarms"]);
        assert_eq!(alarms.len(), 2, "{id}");
        let alarm = |at: usize| {
            let alarm = model::reference(&alarms[at]).unwrap();
            &variant.main["Resources"][alarm]["Properties"]
        };
        assert_eq!(alarm(0)["MetricName"], "Errors", "{id}");
        assert_eq!(
            alarm(0)["Dimensions"],
            json!([
                { "Name": "FunctionName", "Value": { "Ref": id } },
                { "Name": "Resource", "Value": { "Fn::Sub": format!("${{{id}}}:live") } },
                { "Name": "ExecutedVersion", "Value": { "Fn::GetAtt": [id, "Version.Version"] } },
            ]),
            "{id}: only the new version's errors"
        );
        assert_eq!(alarm(1)["MetricName"], "5XXError", "{id}");
    }
    let wanted: Vec<&str> = deployment
        .functions()
        .iter()
        .filter(|one| matches!(one.kind, topology::Kind::Api(_)) && one.name != "event-ingest")
        .map(|one| one.name)
        .collect();
    assert_eq!(shifted, wanted);

    // A local AWS has no CodeDeploy, and updates of code alone would never reach an alias.
    for word in [
        "AutoPublishAlias",
        "DeploymentPreference",
        "DeployGradually",
    ] {
        assert!(!rendered.main.contains(word), "{word}");
    }
}

#[test]
fn every_choice_of_domains_is_rendered_as_rightly_as_the_whole() {
    let names: Vec<&str> = topology::DOMAINS.iter().map(|domain| domain.name).collect();
    for chosen in 0..1_u32 << names.len() {
        let domains = (0..)
            .zip(&names)
            .filter(|(at, _)| chosen >> at & 1 == 1)
            .map(|(_, name)| *name);
        let deployment = Deployment::of(domains).unwrap();
        let domains: Vec<&str> = deployment.domains().collect();
        let rendered = template::render(&deployment).unwrap();
        let model = Model::of(&deployment, &rendered.main, &rendered.aws_only);
        assert_eq!(findings(&model), Vec::<String>::new(), "{domains:?}");
    }
}

/// The deployment with this many more consumers, as the checks see it.
fn with_more(consumers: usize) -> Model {
    let deployment = Deployment::with(headroom::more_consumers(consumers));
    let rendered = template::render(&deployment).unwrap();
    Model::of(&deployment, &rendered.main, &rendered.aws_only)
}

/// The consumers that the templates must have room for: those that ship, and those that a team adds. So this test does not fail at
/// the first that is added, nor at a domain with its API.
const CONSUMERS: usize = 27;

#[test]
fn twenty_seven_consumers_have_room() {
    let more = CONSUMERS.saturating_sub(topology::consumers().count());
    let model = with_more(more);
    println!("with {more} more consumers:\n{}", headroom::table(&model));
    assert_eq!(findings(&model), Vec::<String>::new());
}

#[test]
fn the_present_topology_has_room() {
    println!("{}", headroom::table(&MODEL));
    for one in headroom::of(&MODEL) {
        assert!(one.used <= one.limit, "{one:?}");
    }
}

#[test]
fn every_check_finds_what_is_broken_for_it() {
    let mut missed = Vec::new();
    for (at, (name, resource, break_it)) in BROKEN.iter().enumerate() {
        let check = CHECKS
            .iter()
            .find(|(known, _)| known == name)
            .unwrap_or_else(|| panic!("there is no check {name}"))
            .1;
        let mut model = MODEL.clone();
        break_it(&mut model);
        let findings = check(&model);
        if !findings.iter().any(|one| one.resource.contains(resource)) {
            missed.push(format!("{name}, copy {at}, on {resource}: {findings:?}"));
        }
    }
    assert!(
        missed.is_empty(),
        "broken copies that no check found:\n{}",
        missed.join("\n")
    );
}

#[test]
fn every_check_has_a_broken_copy() {
    let broken: BTreeSet<&str> = BROKEN.iter().map(|(name, _, _)| *name).collect();
    let unproven: Vec<&str> = CHECKS
        .iter()
        .map(|(name, _)| *name)
        .filter(|name| !broken.contains(name))
        .collect();
    assert!(
        unproven.is_empty(),
        "checks without a broken copy: {unproven:?}"
    );
}

#[test]
fn a_pattern_is_read_as_eventbridge_reads_it() {
    let pattern =
        json!({ "detail-type": ["a.b"], "detail": { "priority": ["low", { "exists": false }] } });
    for (event, wanted) in [
        (json!({ "detail-type": "a.b", "detail": {} }), true),
        (
            json!({ "detail-type": "a.b", "detail": { "priority": "low" } }),
            true,
        ),
        (
            json!({ "detail-type": "a.b", "detail": { "priority": "high" } }),
            false,
        ),
        (json!({ "detail-type": "a.c", "detail": {} }), false),
        (json!({ "detail": {} }), false),
    ] {
        assert_eq!(pattern::matches(&pattern, &event), Ok(wanted), "{event}");
    }
    assert!(
        pattern::matches(&json!({ "detail-type": [{ "wildcard": "*" }] }), &json!({})).is_err()
    );
}

/// Sets the value at a JSON pointer. Its parent must exist, so that the test fails when a resource is renamed.
fn set(value: &mut Value, pointer: &str, to: Value) {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    let parent = value
        .pointer_mut(parent)
        .unwrap_or_else(|| panic!("there is nothing at {pointer}"));
    match parent {
        Value::Object(fields) => {
            fields.insert(key.to_owned(), to);
        }
        Value::Array(members) => {
            let at: usize = key.parse().unwrap();
            if at == members.len() {
                members.push(to);
            } else {
                members[at] = to;
            }
        }
        other => panic!("{pointer}: {other} has no members"),
    }
}

/// Removes the value at a JSON pointer. It must exist.
fn remove(value: &mut Value, pointer: &str) {
    assert!(
        value.pointer(pointer).is_some(),
        "there is nothing at {pointer}"
    );
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    match value.pointer_mut(parent).unwrap() {
        Value::Object(fields) => {
            fields.remove(key);
        }
        Value::Array(members) => {
            members.remove(key.parse().unwrap());
        }
        other => panic!("{pointer}: {other} has no members"),
    }
}

/// The JSON pointer of a statement in a role.
fn statement(model: &Model, role: &str, sid: &str) -> String {
    let statements = format!("/Resources/{role}/Properties/Policies/0/PolicyDocument/Statement");
    let at = model
        .main
        .pointer(&statements)
        .unwrap()
        .as_array()
        .unwrap()
        .iter()
        .position(|one| one["Sid"] == sid || one["Fn::If"][1]["Sid"] == sid);
    format!(
        "{statements}/{}",
        at.unwrap_or_else(|| panic!("{role} has no statement {sid}"))
    )
}

fn package<'a>(model: &'a mut Model, name: &str) -> &'a mut Package {
    model
        .packages
        .get_mut(name)
        .unwrap_or_else(|| panic!("there is no package {name}"))
}

/// Removes every alarm on a metric.
fn silence(model: &mut Model, metric: &str) {
    let alarms = model.aws_only["Resources"].as_object_mut().unwrap();
    let before = alarms.len();
    alarms.retain(|_, alarm| alarm["Properties"]["MetricName"] != metric);
    assert!(alarms.len() < before, "there is no alarm on {metric}");
}

/// Gives the front another route.
fn route(model: &mut Model, path: &str, method: &str, function: &str) {
    let uri = format!("arn:aws:lambda/functions/${{{function}.Arn}}/invocations");
    let integration =
        json!({ "type": "aws_proxy", "httpMethod": "POST", "uri": { "Fn::Sub": uri } });
    let paths = &mut model.main["Resources"]["Api"]["Properties"]["DefinitionBody"]["paths"];
    paths[path][method] = json!({ "x-amazon-apigateway-integration": integration });
}

const CLOUD_GET: &str =
    "/Resources/Api/Properties/DefinitionBody/paths/~1api~1v1~1cloud~1{proxy+}/get";
const RELAY: &str = "/Resources/OutboxRelayFunction/Properties";
const STREAM: &str = "/Resources/OutboxRelayFunction/Properties/Events/EventLog/Properties";
const LANE: &str = "/Resources/NotificationsStandardQueue/Properties";
const MAPPING: &str = "/Resources/NotificationsFunction/Properties/Events/Standard/Properties";
const LETTERS: &str = "/Resources/DeadLetterQueue/Properties";
const POLICY: &str = "/Resources/DeadLetterQueuePolicy/Properties/PolicyDocument/Statement";
const DRAINER: &str = "/Resources/DeadLettersFunction/Properties/Events";
const JOB: &str = "/Resources/CloudReconcileFunction/Properties";
const RULE: &str = "/Resources/NotificationsStandardRule/Properties";

/// A check, the resource that its finding must name, and how to break a copy of the model for it.
type Broken = (&'static str, &'static str, fn(&mut Model));

#[rustfmt::skip]
const BROKEN: &[Broken] = &[
    ("functions and packages", "functions/new-thing", |m| { m.packages.insert("new-thing".into(), Package::default()); }),
    ("functions and packages", "CloudApiFunction", |m| { m.packages.remove("cloud-api"); }),
    ("functions and packages", "functions/cloud-api", |m| remove(&mut m.main, "/Resources/CloudApiFunction")),
    ("functions and packages", "Function", |m| set(&mut m.main, "/Resources/CloudApiFunction/Properties/CodeUri", json!("target/lambda/member-api/"))),
    ("functions and packages", "CloudApiFunction", |m| remove(&mut m.main, "/Resources/CloudApiFunction/Properties/CodeUri")),

    ("functions and packages", "CloudApiFunction", |m| remove(&mut m.main, "/Resources/CloudApiFunction/Properties/FunctionName")),

    ("types of rules", "NotificationsStandardRule", |m| m.contracts.retain(|contract| contract.event_type != "member.updated")),
    ("types of rules", "NotificationsStandardRule", |m| remove(&mut m.main, &format!("{RULE}/EventPattern/detail-type"))),

    ("one lane per event", "notifications", |m| set(&mut m.main, &format!("{RULE}/EventPattern/detail/priority"), json!(["low", "normal"]))),
    ("one lane per event", "notifications", |m| remove(&mut m.main, &format!("{RULE}/EventPattern/detail"))),
    ("one lane per event", "notifications", |m| set(&mut m.main, &format!("{RULE}/EventPattern/detail-type"), json!(["member.updated"]))),
    ("one lane per event", "notifications", |m| {
        let (express, standard) = (json!(["critical", "high"]), json!(["low", "normal", { "exists": false }]));
        set(&mut m.main, &format!("{RULE}/EventPattern/detail/priority"), express);
        set(&mut m.main, "/Resources/NotificationsExpressRule/Properties/EventPattern/detail/priority", standard);
    }),
    ("one lane per event", "NotificationsStandardRule", |m| set(&mut m.main, &format!("{RULE}/EventPattern/detail/priority"), json!([{ "numeric": [">", 1] }]))),
    ("one lane per event", "cloud-treasury", |m| {
        package(m, "cloud-treasury").subscription = Some(BTreeSet::from(["cloud.minted".to_owned()]));
    }),

    ("declared subscriptions", "cloud-treasury", |m| {
        let package = package(m, "cloud-treasury");
        package.direct.insert("consumer".into());
        package.subscription = None;
    }),
    ("declared subscriptions", "cloud-treasury", |m| {
        let package = package(m, "cloud-treasury");
        package.direct.insert("consumer".into());
        package.subscription = Some(["cloud.minted", "cloud.burned", "cloud.redeemed", "treasury.account_changed", "member.updated"].map(str::to_owned).into());
    }),
    ("declared subscriptions", "cloud-treasury", |m| {
        let package = package(m, "cloud-treasury");
        package.direct.insert("consumer".into());
        package.subscription = Some(["cloud.minted", "cloud.burned", "cloud.redeemed"].map(str::to_owned).into());
    }),
    ("declared subscriptions", "cloud-api", |m| {
        let package = package(m, "cloud-api");
        package.direct.insert("consumer".into());
        package.subscription = Some(["cloud.minted"].map(str::to_owned).into());
    }),

    ("patterns", "NotificationsStandardRule", |m| remove(&mut m.main, &format!("{RULE}/EventBusName"))),
    ("patterns", "NotificationsStandardRule", |m| set(&mut m.main, &format!("{RULE}/State"), json!("DISABLED"))),

    ("queues", "NotificationsStandardQueue", |m| remove(&mut m.main, &format!("{LANE}/RedrivePolicy"))),
    ("queues", "NotificationsStandardQueue", |m| remove(&mut m.main, &format!("{LANE}/SqsManagedSseEnabled"))),
    ("queues", "NotificationsStandardQueue", |m| set(&mut m.main, &format!("{LANE}/QueueName"), json!("mine"))),
    ("queues", "NotificationsStandardQueue", |m| set(&mut m.main, &format!("{LANE}/QueueName"), json!({ "Fn::Sub": "${AWS::StackName}_notifications-express" }))),
    ("queues", "DeadLetterQueue", |m| set(&mut m.main, &format!("{LETTERS}/QueueName"), json!({ "Fn::Sub": "${AWS::StackName}_letters" }))),
    ("queues", "DeadLetterQueue", |m| remove(&mut m.main, "/Resources/DeadLetterQueue")),
    ("queues", "DeadLetterQueue", |m| remove(&mut m.main, "/Resources/DeadLettersFunction/Properties/Events/DeadLetters")),
    ("queues", "DeadLetterQueue", |m| {
        let stolen = m.main.pointer(&format!("{DRAINER}/DeadLetters")).unwrap().clone();
        remove(&mut m.main, &format!("{DRAINER}/DeadLetters"));
        set(&mut m.main, "/Resources/NotificationsFunction/Properties/Events/Stolen", stolen);
    }),
    ("queues", "DeadLetterQueue", |m| {
        let twice = m.main.pointer(&format!("{DRAINER}/DeadLetters")).unwrap().clone();
        set(&mut m.main, &format!("{DRAINER}/Twice"), twice);
    }),
    ("queues", "DeadLetterQueue", |m| package(m, "dead-letters").drains_letters = false),
    ("queues", "DeadLettersFunction", |m| set(&mut m.main, &format!("{DRAINER}/DeadLetters/Properties/ScalingConfig/MaximumConcurrency"), json!(50))),
    ("queues", "DeadLettersFunction", |m| set(&mut m.main, &format!("{DRAINER}/DeadLetters/Properties/MaximumBatchingWindowInSeconds"), json!(20))),
    ("queues", "NotificationsStandardQueue", |m| remove(&mut m.main, "/Resources/NotificationsFunction/Properties/Events/Standard")),
    ("queues", "NotificationsStandardQueue", |m| {
        set(&mut m.main, &format!("{LANE}/RedrivePolicy/deadLetterTargetArn"), json!({ "Fn::GetAtt": ["NotificationsExpressQueue", "Arn"] }));
    }),
    ("queues", "DeadLetterQueue", |m| set(&mut m.main, &format!("{LETTERS}/RedrivePolicy"), json!({ "maxReceiveCount": 3 }))),
    ("queues", "NotificationsStandardQueue", |m| {
        set(&mut m.main, &format!("{LANE}/RedrivePolicy/deadLetterTargetArn"), json!({ "Fn::GetAtt": ["EventsTable", "Arn"] }));
    }),
    ("queues", "CloudTreasuryExpressQueue", |m| {
        let twice = m.main.pointer("/Resources/CloudTreasuryFunction/Properties/Events/Express").unwrap().clone();
        set(&mut m.main, "/Resources/NotificationsFunction/Properties/Events/Stolen", twice);
    }),

    ("lanes of consumers", "NotificationsStandardQueue", |m| remove(&mut m.main, "/Resources/NotificationsStandardRule")),
    ("lanes of consumers", "NotificationsFunction", |m| {
        set(&mut m.main, "/Resources/NotificationsFunction/Properties/Environment/Variables/DEAD_LETTERS_URL", json!({ "Ref": "NotificationsExpressQueue" }));
    }),
    ("lanes of consumers", "NotificationsFunction", |m| remove(&mut m.main, "/Resources/NotificationsFunction/Properties/Environment/Variables/DEAD_LETTERS_URL")),
    ("lanes of consumers", "CloudApiFunction", |m| {
        set(&mut m.main, "/Resources/CloudApiFunction/Properties/Environment/Variables/DEAD_LETTERS_URL", json!({ "Ref": "DeadLetterQueue" }));
    }),
    ("lanes of consumers", "NotificationsFunction", |m| remove(&mut m.main, "/Resources/NotificationsFunction/Properties/Environment/Variables/STANDARD_QUEUE_URL")),
    ("lanes of consumers", "CloudTreasuryFunction", |m| {
        set(&mut m.main, "/Resources/CloudTreasuryFunction/Properties/Environment/Variables/STANDARD_QUEUE_URL", json!({ "Ref": "NotificationsStandardQueue" }));
    }),

    ("targets of rules", "NotificationsStandardRule", |m| remove(&mut m.main, &format!("{RULE}/Targets/0/InputPath"))),
    ("targets of rules", "NotificationsStandardRule", |m| remove(&mut m.main, &format!("{RULE}/Targets/0/DeadLetterConfig"))),
    ("targets of rules", "NotificationsStandardRule", |m| remove(&mut m.main, &format!("{RULE}/Targets/0/RetryPolicy"))),
    ("targets of rules", "NotificationsStandardRule", |m| set(&mut m.main, &format!("{RULE}/Targets/0/Arn"), json!({ "Fn::GetAtt": ["DeadLetterQueue", "Arn"] }))),
    ("targets of rules", "NotificationsStandardRule", |m| {
        set(&mut m.main, &format!("{RULE}/Targets/0/DeadLetterConfig/Arn"), json!({ "Fn::GetAtt": ["NotificationsStandardQueue", "Arn"] }));
    }),
    ("targets of rules", "NotificationsStandardRule", |m| {
        let twice = m.main.pointer(&format!("{RULE}/Targets/0")).unwrap().clone();
        set(&mut m.main, &format!("{RULE}/Targets/1"), twice);
    }),

    ("queue policies", "NotificationsStandardQueue", |m| remove(&mut m.main, "/Resources/NotificationsFunctionQueuePolicy")),
    ("queue policies", "NotificationsStandardQueue", |m| {
        set(&mut m.main, "/Resources/NotificationsFunctionQueuePolicy/Properties/PolicyDocument/Statement/1/Resource", json!({ "Fn::GetAtt": ["NotificationsExpressQueue", "Arn"] }));
    }),
    ("queue policies", "NotificationsStandardQueue", |m| remove(&mut m.main, "/Resources/NotificationsFunctionQueuePolicy/Properties/Queues/1")),
    ("queue policies", "DeadLetterQueue", |m| remove(&mut m.main, "/Resources/DeadLetterQueuePolicy")),
    ("queue policies", "DeadLetterQueue", |m| remove(&mut m.main, &format!("{POLICY}/0/Condition"))),
    // The rules of every bus of the account; of one consumer alone.
    ("queue policies", "DeadLetterQueue", |m| {
        set(&mut m.main, &format!("{POLICY}/0/Condition/ArnLike/aws:SourceArn"), json!({ "Fn::Sub": "arn:${AWS::Partition}:events:${AWS::Region}:${AWS::AccountId}:rule/*" }));
    }),
    ("queue policies", "DeadLetterQueue", |m| {
        set(&mut m.main, &format!("{POLICY}/0/Condition/ArnLike/aws:SourceArn"), json!({ "Fn::GetAtt": ["NotificationsStandardRule", "Arn"] }));
    }),
    ("queue policies", "DeadLetterQueue", |m| set(&mut m.main, &format!("{POLICY}/0/Principal"), json!("*"))),
    ("queue policies", "DeadLetterQueue", |m| remove(&mut m.main, &format!("{POLICY}/1"))),
    ("queue policies", "DeadLetterQueue", |m| set(&mut m.main, &format!("{POLICY}/1/Fn::If/0"), json!("ProtectsData"))),
    ("queue policies", "DeadLetterQueue", |m| {
        set(&mut m.main, &format!("{POLICY}/2"), json!({ "Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*" }));
    }),
    ("queue policies", "NotificationsStandardRule", |m| set(&mut m.main, &format!("{RULE}/EventBusName"), json!("default"))),
    ("queue policies", "NotificationsStandardQueue", |m| remove(&mut m.main, "/Resources/NotificationsFunctionQueuePolicy/Properties/PolicyDocument/Statement/1/Condition")),
    ("queue policies", "NotificationsStandardQueue", |m| {
        set(&mut m.main, "/Resources/NotificationsFunctionQueuePolicy/Properties/PolicyDocument/Statement/1/Condition/ArnEquals/aws:SourceArn",
            json!({ "Fn::GetAtt": ["NotificationsExpressRule", "Arn"] }));
    }),
    ("queue policies", "NotificationsStandardQueue", |m| remove(&mut m.main, "/Resources/NotificationsFunctionQueuePolicy/Properties/PolicyDocument/Statement/2")),
    ("queue policies", "NotificationsStandardQueue", |m| {
        remove(&mut m.main, "/Resources/NotificationsFunctionQueuePolicy/Properties/PolicyDocument/Statement/2/Fn::If/1/Resource/1");
    }),
    ("queue policies", "NotificationsStandardQueue", |m| {
        set(&mut m.main, "/Resources/NotificationsFunctionQueuePolicy/Properties/PolicyDocument/Statement/2/Fn::If/0", json!("ProtectsData"));
    }),
    ("queue policies", "NotificationsStandardQueue", |m| {
        set(&mut m.main, "/Resources/NotificationsFunctionQueuePolicy/Properties/PolicyDocument/Statement/3",
            json!({ "Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*" }));
    }),

    ("lane mappings", "NotificationsFunction.Standard", |m| remove(&mut m.main, &format!("{MAPPING}/FunctionResponseTypes"))),
    ("lane mappings", "NotificationsFunction.Standard", |m| remove(&mut m.main, &format!("{MAPPING}/ScalingConfig"))),
    ("lane mappings", "NotificationsFunction.Standard", |m| set(&mut m.main, &format!("{MAPPING}/BatchSize"), json!(100))),
    ("lane mappings", "NotificationsFunction.Standard", |m| set(&mut m.main, &format!("{MAPPING}/Queue"), json!({ "Ref": "NotificationsStandardQueue" }))),
    ("lane mappings", "NotificationsFunction.Express", |m| {
        set(&mut m.main, "/Resources/NotificationsFunction/Properties/Events/Express/Properties/MaximumBatchingWindowInSeconds", json!({ "Ref": "StandardBatchingWindowSeconds" }));
    }),

    ("stream mapping", "OutboxRelayFunction.EventLog", |m| remove(&mut m.main, &format!("{STREAM}/FilterCriteria"))),
    ("stream mapping", "OutboxRelayFunction.EventLog", |m| set(&mut m.main, &format!("{STREAM}/FilterCriteria/Filters/0/Pattern"), json!("{\"eventName\":[\"INSERT\",\"MODIFY\"]}"))),
    ("stream mapping", "OutboxRelayFunction.EventLog", |m| set(&mut m.main, &format!("{STREAM}/StartingPosition"), json!("LATEST"))),
    ("stream mapping", "OutboxRelayFunction.EventLog", |m| set(&mut m.main, &format!("{STREAM}/MaximumRetryAttempts"), json!(10))),
    ("stream mapping", "OutboxRelayFunction.EventLog", |m| set(&mut m.main, &format!("{STREAM}/MaximumRecordAgeInSeconds"), json!(3600))),
    ("stream mapping", "OutboxRelayFunction.EventLog", |m| set(&mut m.main, &format!("{STREAM}/MaximumRecordAgeInSeconds"), json!(-1))),
    ("stream mapping", "OutboxRelayFunction.EventLog", |m| remove(&mut m.main, &format!("{STREAM}/DestinationConfig"))),
    ("stream mapping", "OutboxRelayFunction.EventLog", |m| remove(&mut m.main, &format!("{STREAM}/BisectBatchOnFunctionError"))),
    ("stream mapping", "OutboxRelayFunction.EventLog", |m| set(&mut m.main, &format!("{STREAM}/FunctionResponseTypes"), json!(["ReportBatchItemFailures"]))),
    ("stream mapping", "OutboxRelayFunction.EventLog", |m| set(&mut m.main, &format!("{STREAM}/MaximumBatchingWindowInSeconds"), json!(5))),
    ("stream mapping", "OutboxRelayFunction.EventLog", |m| set(&mut m.main, &format!("{STREAM}/Stream"), json!({ "Fn::GetAtt": ["CloudTable", "StreamArn"] }))),
    ("stream mapping", "EventsTable", |m| {
        let second = m.main.pointer(&format!("{RELAY}/Events/EventLog")).unwrap().clone();
        set(&mut m.main, "/Resources/SystemApiFunction/Properties/Events", json!({ "Second": second }));
    }),

    ("visibility", "NotificationsStandardQueue", |m| set(&mut m.main, &format!("{LANE}/VisibilityTimeout"), json!(199))),
    ("visibility", "DeadLetterQueue", |m| set(&mut m.main, &format!("{LETTERS}/VisibilityTimeout"), json!(179))),
    ("visibility", "NotificationsStandardQueue", |m| remove(&mut m.main, &format!("{LANE}/VisibilityTimeout"))),
    ("visibility", "NotificationsStandardQueue", |m| set(&mut m.main, "/Parameters/StandardBatchingWindowSeconds/MaxValue", json!(300))),
    ("visibility", "CloudTreasuryExpressQueue", |m| set(&mut m.main, "/Globals/Function/Timeout", json!(31))),

    ("retention", "NotificationsStandardQueue", |m| set(&mut m.main, &format!("{LANE}/MessageRetentionPeriod"), json!(345_600))),
    ("retention", "DeadLetterQueue", |m| set(&mut m.main, &format!("{LETTERS}/MessageRetentionPeriod"), json!(1_209_599))),

    ("receive count", "NotificationsStandardQueue", |m| set(&mut m.main, &format!("{LANE}/RedrivePolicy/maxReceiveCount"), json!(91))),
    ("receive count", "NotificationsStandardQueue", |m| set(&mut m.main, "/Parameters/UnavailableMaxAgeSeconds/Default", json!(86_400))),
    ("receive count", "NotificationsFunction", |m| remove(&mut m.main, "/Resources/NotificationsFunction/Properties/Environment/Variables/RETRY_DELAYS_SECONDS")),

    ("reserved concurrency", "NotificationsFunction", |m| set(&mut m.main, "/Parameters/ConsumerReservedConcurrency/Default", json!(9))),
    ("reserved concurrency", "CloudTreasuryFunction", |m| set(&mut m.main, "/Resources/CloudTreasuryFunction/Properties/ReservedConcurrentExecutions", json!(4))),

    ("defaults written out", "NotificationsFunction.Standard", |m| set(&mut m.main, "/Parameters/LaneMaximumConcurrency/Default", json!(6))),
    ("defaults written out", "HasOwnLaneConcurrency", |m| set(&mut m.main, "/Parameters/LaneMaximumConcurrency/Default", json!(6))),

    ("roles", "NotificationsFunctionRole", |m| { let at = statement(m, "NotificationsFunctionRole", "Letters"); remove(&mut m.main, &at); }),
    ("roles", "NotificationsFunctionRole", |m| { let at = statement(m, "NotificationsFunctionRole", "Letters"); set(&mut m.main, &format!("{at}/Action/1"), json!("sqs:ReceiveMessage")); }),
    ("roles", "NotificationsFunctionRole", |m| { let at = statement(m, "NotificationsFunctionRole", "Letters"); set(&mut m.main, &format!("{at}/Resource/0"), json!({ "Fn::GetAtt": ["NotificationsExpressQueue", "Arn"] })); }),
    ("roles", "DeadLettersFunctionRole", |m| { let at = statement(m, "DeadLettersFunctionRole", "Letters"); remove(&mut m.main, &format!("{at}/Action/1")); }),
    ("roles", "DeadLettersFunctionRole", |m| { let at = statement(m, "DeadLettersFunctionRole", "Letters"); set(&mut m.main, &format!("{at}/Action/3"), json!("sqs:SendMessage")); }),
    ("roles", "DeadLettersFunctionRole", |m| { let at = statement(m, "DeadLettersFunctionRole", "DynamodbLetters"); set(&mut m.main, &format!("{at}/Action/2"), json!("dynamodb:DeleteItem")); }),
    ("roles", "DeadLettersFunctionRole", |m| package(m, "dead-letters").sends_to_lanes = true),
    ("roles", "OperatorApiFunctionRole", |m| { let at = statement(m, "OperatorApiFunctionRole", "Mappings"); remove(&mut m.main, &at); }),
    ("roles", "OperatorApiFunctionRole", |m| { let at = statement(m, "OperatorApiFunctionRole", "LaneAges"); remove(&mut m.main, &at); }),
    ("roles", "OperatorApiFunctionRole", |m| { let at = statement(m, "OperatorApiFunctionRole", "LogSize"); set(&mut m.main, &format!("{at}/Action/0"), json!("dynamodb:Scan")); }),
    ("roles", "OperatorWorkerFunctionRole", |m| { let at = statement(m, "OperatorWorkerFunctionRole", "DynamodbEvents"); remove(&mut m.main, &at); }),
    ("roles", "CloudApiFunctionRole", |m| package(m, "cloud-api").knows_lanes_and_log = true),
    ("roles", "OperatorApiFunctionRole", |m| { let at = statement(m, "OperatorApiFunctionRole", "Polling"); remove(&mut m.main, &at); }),
    ("roles", "OperatorWorkerFunctionRole", |m| { let at = statement(m, "OperatorWorkerFunctionRole", "Polling"); set(&mut m.main, &format!("{at}/Resource"), json!("*")); }),
    // The mappings of every function of the account, by a condition that is missing, matches all, or names another stack.
    ("roles", "OperatorApiFunctionRole", |m| { let at = statement(m, "OperatorApiFunctionRole", "Polling"); remove(&mut m.main, &format!("{at}/Condition")); }),
    ("roles", "OperatorWorkerFunctionRole", |m| {
        let at = statement(m, "OperatorWorkerFunctionRole", "Polling");
        let every = json!({ "Fn::Sub": "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:*" });
        set(&mut m.main, &format!("{at}/Condition/ArnLikeIfExists/lambda:FunctionArn"), every);
    }),
    ("roles", "OperatorWorkerFunctionRole", |m| {
        let at = statement(m, "OperatorWorkerFunctionRole", "Polling");
        let every = json!({ "Fn::Sub": "arn:${AWS::Partition}:lambda:${AWS::Region}:${AWS::AccountId}:function:other_*" });
        set(&mut m.main, &format!("{at}/Condition/ArnLikeIfExists/lambda:FunctionArn"), every);
    }),
    ("roles", "OperatorWorkerFunctionRole", |m| {
        let at = statement(m, "OperatorWorkerFunctionRole", "Lanes");
        set(&mut m.main, &format!("{at}/Condition"), json!({ "Bool": { "aws:SecureTransport": "false" } }));
    }),
    ("roles", "DeadLettersFunctionRole", |m| package(m, "dead-letters").pauses_consumers = true),
    ("roles", "CloudApiFunctionRole", |m| { package(m, "cloud-api").direct.insert("mappings".into()); }),
    ("roles", "NotificationsFunctionRole", |m| { let at = statement(m, "NotificationsFunctionRole", "Sqs"); set(&mut m.main, &format!("{at}/Action"), json!(["sqs:ReceiveMessage"])); }),
    ("roles", "NotificationsFunctionRole", |m| { let at = statement(m, "NotificationsFunctionRole", "Sqs"); set(&mut m.main, &format!("{at}/Action/4"), json!("sqs:PurgeQueue")); }),
    ("roles", "NotificationsFunctionRole", |m| { let at = statement(m, "NotificationsFunctionRole", "DynamodbNotifications"); set(&mut m.main, &format!("{at}/Action"), json!("dynamodb:*")); }),
    ("roles", "NotificationsFunctionRole", |m| { let at = statement(m, "NotificationsFunctionRole", "DynamodbNotifications"); set(&mut m.main, &format!("{at}/Resource"), json!("*")); }),
    ("roles", "NotificationsFunctionRole", |m| { let at = statement(m, "NotificationsFunctionRole", "DynamodbMarks"); remove(&mut m.main, &at); }),
    ("roles", "NotificationsFunctionRole", |m| { let at = statement(m, "NotificationsFunctionRole", "Ses"); set(&mut m.main, &format!("{at}/Resource"), json!("*")); }),
    ("roles", "NotificationsFunctionRole", |m| { let at = statement(m, "NotificationsFunctionRole", "Ses"); set(&mut m.main, &format!("{at}/NotAction"), json!("s3:*")); }),
    ("roles", "OutboxRelayFunctionRole", |m| { let at = statement(m, "OutboxRelayFunctionRole", "Stream"); remove(&mut m.main, &at); }),
    ("roles", "OutboxRelayFunctionRole", |m| { let at = statement(m, "OutboxRelayFunctionRole", "Failures"); remove(&mut m.main, &at); }),
    ("roles", "OutboxRelayFunctionRole", |m| { let at = statement(m, "OutboxRelayFunctionRole", "Events"); remove(&mut m.main, &at); }),
    ("roles", "CloudApiFunctionRole", |m| { let at = statement(m, "CloudApiFunctionRole", "DynamodbMember"); set(&mut m.main, &format!("{at}/Action/1"), json!("dynamodb:PutItem")); }),
    ("roles", "CloudApiFunctionRole", |m| { let at = statement(m, "CloudApiFunctionRole", "DynamodbMember"); remove(&mut m.main, &at); }),
    ("roles", "CloudApiFunctionRole", |m| { let at = statement(m, "CloudApiFunctionRole", "DynamodbCloud"); set(&mut m.main, &format!("{at}/Action"), json!(["dynamodb:GetItem", "dynamodb:UpdateItem"])); }),
    ("roles", "WalletApiFunctionRole", |m| { let at = statement(m, "WalletApiFunctionRole", "DynamodbWallet"); set(&mut m.main, &format!("{at}/Action/4"), json!("dynamodb:DeleteItem")); }),
    ("roles", "ActivityFeedFunctionRole", |m| { let at = statement(m, "ActivityFeedFunctionRole", "DynamodbActivity"); set(&mut m.main, &format!("{at}/Action"), json!(["dynamodb:GetItem"])); }),
    ("roles", "WalletBalancesFunctionRole", |m| { let at = statement(m, "WalletBalancesFunctionRole", "DynamodbWallet"); set(&mut m.main, &format!("{at}/Action/1"), json!("dynamodb:GetItem")); }),
    ("roles", "WalletBalancesFunctionRole", |m| { let at = statement(m, "WalletBalancesFunctionRole", "DynamodbWallet"); remove(&mut m.main, &at); }),
    ("roles", "CloudApiFunctionRole", |m| set(&mut m.main, "/Resources/CloudApiFunction/Properties/Environment/Variables/NOTIFICATIONS_TABLE", json!({ "Ref": "NotificationsTable" }))),
    ("roles", "CloudApiFunctionRole", |m| remove(&mut m.main, "/Resources/CloudApiFunction/Properties/Environment/Variables/KEYS_TABLE")),
    ("roles", "CloudApiFunctionRole", |m| set(&mut m.main, "/Resources/CloudApiFunctionRole/Properties/ManagedPolicyArns", json!(["arn:aws:iam::aws:policy/AdministratorAccess"]))),
    ("roles", "CloudApiFunctionRole", |m| set(&mut m.main, "/Resources/CloudApiFunctionRole/Properties/AssumeRolePolicyDocument/Statement/0/Principal", json!("*"))),
    ("roles", "FunctionRole", |m| set(&mut m.main, "/Resources/CloudApiFunction/Properties/Role", json!({ "Fn::GetAtt": ["MemberApiFunctionRole", "Arn"] }))),
    ("roles", "CloudApiFunction", |m| remove(&mut m.main, "/Resources/CloudApiFunction/Properties/Role")),
    ("roles", "CloudApiFunctionRole", |m| { package(m, "cloud-api").direct.insert("aws-sdk-sesv2".into()); }),
    ("roles", "DashboardFunctionRole", |m| { let at = statement(m, "DashboardFunctionRole", "DynamodbLettersIndexes"); remove(&mut m.main, &at); }),
    ("roles", "DashboardFunctionRole", |m| { let at = statement(m, "DashboardFunctionRole", "DynamodbLettersIndexes"); set(&mut m.main, &format!("{at}/Action"), json!(["dynamodb:Query", "dynamodb:Scan"])); }),
    ("roles", "DashboardFunctionRole", |m| { let at = statement(m, "DashboardFunctionRole", "StreamTokenSecret"); remove(&mut m.main, &at); }),
    ("roles", "EventStreamFunctionRole", |m| { let at = statement(m, "EventStreamFunctionRole", "StreamTokenSecret"); set(&mut m.main, &format!("{at}/Resource"), json!("*")); }),
    ("roles", "EventStreamFunctionRole", |m| { let at = statement(m, "EventStreamFunctionRole", "DynamodbStreamLeases"); set(&mut m.main, &format!("{at}/Action/1"), json!("dynamodb:DeleteItem")); }),
    ("roles", "CloudReconcileFunctionRole", |m| { remove(&mut m.main, "/Resources/CloudReconcileFunction/Properties/Environment/Variables/CHAIN_RPC_URL"); }),

    ("roles", "CloudApiFunctionRole", |m| { package(m, "cloud-api").direct.insert("mail".into()); }),
    ("roles", "NotificationsFunctionRole", |m| { let at = statement(m, "NotificationsFunctionRole", "DynamodbNotifications"); set(&mut m.main, &format!("{at}/Action/5"), json!("dynamodb:DeleteItem")); }),
    ("roles", "NotificationsSenderFunctionRole", |m| { let at = statement(m, "NotificationsSenderFunctionRole", "Ses"); remove(&mut m.main, &at); }),
    ("roles", "NotificationsSenderFunctionRole", |m| { let at = statement(m, "NotificationsSenderFunctionRole", "DynamodbNotificationsIndexes"); set(&mut m.main, &format!("{at}/Resource"), json!({ "Fn::Sub": "${NotificationsTable.Arn}/index/other" })); }),

    ("roles", "AuditLogFunctionRole", |m| { let at = statement(m, "AuditLogFunctionRole", "DynamodbEvents"); remove(&mut m.main, &at); }),
    ("roles", "AuditLogFunctionRole", |m| { let at = statement(m, "AuditLogFunctionRole", "DynamodbEvents"); set(&mut m.main, &format!("{at}/Action/1"), json!("dynamodb:DeleteItem")); }),
    ("roles", "AuditLogFunctionRole", |m| { let at = statement(m, "AuditLogFunctionRole", "DynamodbAudit"); set(&mut m.main, &format!("{at}/Action/2"), json!("dynamodb:UpdateItem")); }),
    ("roles", "AuditLogFunctionRole", |m| package(m, "audit-log").in_order = false),
    ("roles", "AuditLogFunction", |m| remove(&mut m.main, "/Resources/AuditLogFunction/Properties/Environment/Variables/EVENTS_TABLE")),
    ("roles", "CloudTreasuryFunction", |m| {
        remove(&mut m.main, "/Resources/CloudTreasuryFunction/Properties/Environment/Variables/EVENTS_TABLE");
        package(m, "cloud-treasury").in_order = true;
    }),
    ("roles", "CloudTreasuryFunctionRole", |m| package(m, "cloud-treasury").in_order = true),
    ("roles", "CloudTreasuryFunctionRole", |m| { let at = statement(m, "CloudTreasuryFunctionRole", "DynamodbEvents"); set(&mut m.main, &format!("{at}/Action/1"), json!("dynamodb:Query")); }),
    ("roles", "AuditAnchorFunctionRole", |m| { let at = statement(m, "AuditAnchorFunctionRole", "Kms"); remove(&mut m.main, &at); }),
    ("roles", "AuditAnchorFunctionRole", |m| { let at = statement(m, "AuditAnchorFunctionRole", "DynamodbAudit"); set(&mut m.main, &format!("{at}/Action/2"), json!("dynamodb:DeleteItem")); }),
    ("roles", "AuditAnchorFunction", |m| remove(&mut m.main, "/Resources/AuditAnchorFunction/Properties/Environment/Variables/KMS_KEY_ID")),
    ("roles", "CloudApiFunctionRole", |m| {
        let seal = m.main.pointer(&statement(m, "AuditAnchorFunctionRole", "Kms")).unwrap().clone();
        let at = statement(m, "CloudApiFunctionRole", "DynamodbCloud");
        set(&mut m.main, &at, seal);
        set(&mut m.main, "/Resources/CloudApiFunction/Properties/Environment/Variables/KMS_KEY_ID", json!({ "Fn::GetAtt": ["AuditKey", "Arn"] }));
    }),
    ("roles", "AuditAnchorFunctionRole", |m| {
        let at = statement(m, "AuditAnchorFunctionRole", "Kms");
        let always = m.main.pointer(&format!("{at}/Fn::If/1")).unwrap().clone();
        set(&mut m.main, &at, always);
    }),

    ("keys", "AuditKey", |m| set(&mut m.main, "/Resources/AuditKey/DeletionPolicy", json!("Delete"))),
    ("keys", "AuditKey", |m| set(&mut m.main, "/Resources/AuditKey/DeletionPolicy", json!("Retain"))),
    ("keys", "AuditKey", |m| remove(&mut m.main, "/Resources/AuditKey/Condition")),
    // An administrator could make MACs, by an action, a pattern or a grant; or another role could.
    ("keys", "AuditKey", |m| set(&mut m.main, "/Resources/AuditKey/Properties/KeyPolicy/Statement/0/Action/0", json!("kms:GenerateMac"))),
    ("keys", "AuditKey", |m| set(&mut m.main, "/Resources/AuditKey/Properties/KeyPolicy/Statement/0/Action/0", json!("kms:Gen*"))),
    ("keys", "AuditKey", |m| set(&mut m.main, "/Resources/AuditKey/Properties/KeyPolicy/Statement/0/Action/1", json!("kms:Create*"))),
    ("keys", "AuditKey", |m| set(&mut m.main, "/Resources/AuditKey/Properties/KeyPolicy/Statement/2/Principal/AWS", json!({ "Fn::GetAtt": ["CloudApiFunctionRole", "Arn"] }))),
    ("keys", "AuditKey", |m| set(&mut m.main, "/Resources/AuditKey/Properties/KeyPolicy/Statement/2/Principal/AWS", json!({ "Fn::Sub": "arn:${AWS::Partition}:iam::${AWS::AccountId}:root" }))),
    // Nobody could administer the key any more, or verify.
    ("keys", "AuditKey", |m| remove(&mut m.main, "/Resources/AuditKey/Properties/KeyPolicy/Statement/0")),
    ("keys", "AuditKey", |m| remove(&mut m.main, "/Resources/AuditKey/Properties/KeyPolicy/Statement/1")),
    ("keys", "AuditKey", |m| remove(&mut m.main, "/Resources/AuditKey/UpdateReplacePolicy")),
    ("keys", "AuditKey", |m| remove(&mut m.main, "/Resources/AuditKey/Properties/KeySpec")),
    ("keys", "AuditKey", |m| set(&mut m.main, "/Resources/AuditKey/Properties/KeyPolicy/Statement/1/Principal", json!("*"))),
    ("keys", "AuditKey", |m| set(&mut m.main, "/Resources/AuditKey/Properties/KeyPolicy/Statement/1/Action", json!("kms:*"))),

    ("logs", "CloudApiFunction", |m| remove(&mut m.main, "/Resources/CloudApiFunctionLogGroup/Properties/RetentionInDays")),
    ("logs", "CloudApiFunction", |m| remove(&mut m.main, "/Resources/CloudApiFunction/Properties/LoggingConfig")),
    ("logs", "CloudApiFunction", |m| remove(&mut m.main, "/Globals/Function/Tracing")),
    ("logs", "CloudApiFunction", |m| remove(&mut m.main, "/Resources/CloudApiFunction/Properties/LoggingConfig/ApplicationLogLevel")),
    ("logs", "CloudApiFunction", |m| set(&mut m.main, "/Resources/CloudApiFunction/Properties/LoggingConfig/ApplicationLogLevel", json!("INFO"))),

    ("tables", "CloudTable", |m| remove(&mut m.main, "/Resources/CloudTable/Properties/PointInTimeRecoverySpecification")),
    ("tables", "CloudTable", |m| remove(&mut m.main, "/Resources/CloudTable/Properties/SSESpecification")),
    ("tables", "CloudTable", |m| set(&mut m.main, "/Resources/CloudTable/Properties/DeletionProtectionEnabled", json!(false))),
    ("tables", "CloudTable", |m| remove(&mut m.main, "/Resources/CloudTable/UpdateReplacePolicy")),
    ("tables", "CloudTable", |m| set(&mut m.main, "/Resources/CloudTable/DeletionPolicy", json!("RetainExceptOnCreate"))),
    ("tables", "CloudTable", |m| remove(&mut m.main, "/Resources/CloudTable/Properties/TableName")),
    ("tables", "CloudTable", |m| set(&mut m.main, "/Resources/CloudTable/Properties/BillingMode", json!("PROVISIONED"))),
    ("tables", "CloudTable", |m| set(&mut m.main, "/Resources/CloudTable/Properties/StreamSpecification", json!({ "StreamViewType": "NEW_IMAGE" }))),
    ("tables", "MarksTable", |m| remove(&mut m.main, "/Resources/MarksTable/Properties/TimeToLiveSpecification")),

    ("protection", "ProtectData", |m| set(&mut m.main, "/Parameters/ProtectData/Default", json!("true"))),
    ("protection", "ProtectData", |m| set(&mut m.main, "/Conditions/ProtectsData", json!({ "Fn::Equals": [{ "Ref": "Stage" }, "prod"] }))),
    ("protection", "EventBus", |m| set(&mut m.main, "/Resources/EventBus/DeletionPolicy", json!("Retain"))),

    ("buckets", "RelayFailuresBucket", |m| remove(&mut m.main, "/Resources/RelayFailuresBucketPolicy")),
    ("buckets", "RelayFailuresBucket", |m| remove(&mut m.main, "/Resources/RelayFailuresBucketPolicy/Properties/PolicyDocument/Statement/0/Resource/1")),
    ("buckets", "RelayFailuresBucket", |m| set(&mut m.main, "/Resources/RelayFailuresBucketPolicy/Condition", json!("ProtectsData"))),
    ("buckets", "RelayFailuresBucket", |m| remove(&mut m.main, "/Resources/RelayFailuresBucket/Properties/LifecycleConfiguration/Rules/1")),

    ("front", "Globals.Api", |m| remove(&mut m.main, "/Globals/Api/OpenApiVersion")),
    ("front", "Api", |m| set(&mut m.main, "/Resources/Api/Properties/MethodSettings/0/MetricsEnabled", json!(true))),
    ("front", "CloudApiFunction", |m| set(&mut m.main, "/Resources/CloudApiFunction/Properties/Timeout", json!(29))),
    ("front", "CloudApiFunction", |m| remove(&mut m.main, "/Resources/CloudApiFunction/Properties/Environment/Variables/AWS_LAMBDA_HTTP_IGNORE_STAGE_IN_PATH")),
    ("front", "CloudApiFunction", |m| set(&mut m.main, "/Resources/CloudApiFunction/Properties/Events", json!({ "Get": { "Type": "HttpApi" } }))),
    ("front", "CloudApiFunction", |m| set(&mut m.main, "/Resources/CloudApiFunction/Properties/Events", json!({ "Get": { "Type": "Api" } }))),
    ("front", "CloudApiFunction", |m| remove(&mut m.main, "/Resources/CloudApiFunctionFrontPermission")),
    ("front", "CloudApiFunction", |m| set(&mut m.main, "/Resources/CloudApiFunctionFrontPermission/Properties/SourceArn", json!("*"))),
    ("front", "AnalyticsFunction", |m| set(&mut m.main, "/Resources/CloudApiFunctionFrontPermission/Properties/FunctionName", json!({ "Ref": "AnalyticsFunction" }))),
    ("front", "ANY /api/v1/cloud/{proxy+}", |m| route(m, "/api/v1/cloud/{proxy+}", "any", "CloudApiFunction")),
    ("front", "GET /api/v1/cloud/{proxy+}", |m| set(&mut m.main, &format!("{CLOUD_GET}/x-amazon-apigateway-integration/httpMethod"), json!("GET"))),
    ("front", "GET /api/v1/cloud/{proxy+}", |m| set(&mut m.main, &format!("{CLOUD_GET}/x-amazon-apigateway-integration/uri"), json!("arn:aws"))),
    ("front", "NoFunction", |m| route(m, "/api/v1/cloud/{proxy+}", "head", "NoFunction")),
    ("front", "/cloud", |m| route(m, "/cloud", "get", "CloudApiFunction")),
    ("front", "GET /api/v1/members/{proxy+}", |m| route(m, "/api/v1/members/cloud", "get", "CloudApiFunction")),

    ("alarms of dead letters", "notifications", |m| remove(&mut m.aws_only, "/Resources/NotificationsLettersWarning")),
    ("alarms of dead letters", "notifications", |m| remove(&mut m.aws_only, "/Resources/NotificationsLettersUnhandled")),
    ("alarms of dead letters", "notifications", |m| set(&mut m.aws_only, "/Resources/NotificationsLettersCritical/Properties/Statistic", json!("Sum"))),
    ("alarms of dead letters", "notifications", |m| set(&mut m.aws_only, "/Resources/NotificationsLettersCritical/Properties/Dimensions/1/Value", json!("analytics"))),
    ("alarms of dead letters", "DeadLetterQueue", |m| remove(&mut m.aws_only, "/Resources/DeadLettersUndrained")),
    ("alarms of dead letters", "DeadLetterQueue", |m| remove(&mut m.aws_only, "/Resources/DeadLettersUnstored")),
    ("alarms of functions", "DeadLettersFunction", |m| remove(&mut m.aws_only, "/Resources/DeadLettersFunctionErrors")),
    ("alarms of lanes", "NotificationsStandardQueue", |m| set(&mut m.aws_only, "/Resources/NotificationsStandardOldest/Properties/Threshold", json!(3_000))),
    ("alarms of lanes", "NotificationsStandardQueue", |m| {
        set(&mut m.aws_only, "/Resources/NotificationsStandardInFlight/Properties/Dimensions/0/Value", json!({ "Fn::Sub": "${MillraceStack}_notifications-express" }));
    }),
    ("alarms of lanes", "NotificationsStandardQueue", |m| set(&mut m.aws_only, "/Resources/NotificationsStandardDepthCritical/Properties/ComparisonOperator", json!("LessThanThreshold"))),
    ("alarms of lanes", "NotificationsStandardQueue", |m| remove(&mut m.aws_only, "/Resources/NotificationsStandardStuck")),
    ("alarms of jobs", "cloud-chain-worker", |m| silence(m, "ChainJobFailed")),
    ("alarms of jobs", "cloud-reconcile", |m| remove(&mut m.aws_only, "/Resources/CloudReconcileNotStarted")),
    ("alarms of jobs", "cloud-reconcile", |m| remove(&mut m.main, &format!("{JOB}/Events/Schedule/Properties/Name"))),
    ("alarms of jobs", "audit-anchor", |m| remove(&mut m.aws_only, "/Resources/AuditAnchorMissing")),
    ("alarms of jobs", "audit-anchor", |m| set(&mut m.aws_only, "/Resources/AuditAnchorMissing/Properties/TreatMissingData", json!("notBreaching"))),
    ("alarms of the bus", "EventBus", |m| remove(&mut m.aws_only, "/Resources/BusLostEvents")),
    ("alarms of the bus", "EventBus", |m| set(&mut m.main, "/Resources/EventBus/Properties/Name", json!({ "Fn::Sub": "${AWS::StackName}-other" }))),
    ("alarms of mails", "SES", |m| remove(&mut m.aws_only, "/Resources/MailBounces")),
    ("alarms of latency", "cloud.minted", |m| silence(m, "DeliveryLatency")),
    ("alarms of latency", "ship.sent", |m| m.contracts.push(Contract { event_type: "ship.sent".into(), priority: "high".into() })),
    ("schedules", "CloudReconcileFunction", |m| remove(&mut m.main, &format!("{JOB}/Events/Schedule"))),
    ("schedules", "CloudReconcileFunction", |m| remove(&mut m.main, &format!("{JOB}/EventInvokeConfig"))),
    ("schedules", "CloudReconcileFunction", |m| set(&mut m.main, &format!("{JOB}/EventInvokeConfig/MaximumRetryAttempts"), json!(2))),
    ("schedules", "CloudReconcileFunction", |m| set(&mut m.main, &format!("{JOB}/ReservedConcurrentExecutions"), json!(1))),
    ("schedules", "CloudReconcileFunction", |m| set(&mut m.main, &format!("{JOB}/Timeout"), json!(15))),
    ("schedules", "CloudReconcileFunction", |m| remove(&mut m.main, &format!("{JOB}/Environment/Variables/MARKS_TABLE"))),
    ("schedules", "CloudReconcileFunction", |m| set(&mut m.main, &format!("{JOB}/Events/Schedule/Type"), json!("ScheduleV2"))),
    ("schedules", "CloudReconcileFunction.Schedule", |m| set(&mut m.main, &format!("{JOB}/Events/Schedule/Properties/State"), json!("DISABLED"))),
    ("schedules", "CloudReconcileFunction.Schedule", |m| set(&mut m.main, &format!("{JOB}/Events/Schedule/Properties/Schedule"), json!("rate(1 fortnight)"))),
    ("schedules", "CloudReconcileFunction.Schedule", |m| remove(&mut m.main, &format!("{JOB}/Events/Schedule/Properties/RetryPolicy"))),
    ("schedules", "CloudReconcileFunction", |m| package(m, "cloud-reconcile").is_job = false),
    ("schedules", "CloudReconcileFunctionErrors", |m| {
        let alarm = "/Resources/CloudReconcileFunctionErrors/Properties";
        set(&mut m.aws_only, &format!("{alarm}/EvaluationPeriods"), json!(5));
        set(&mut m.aws_only, &format!("{alarm}/DatapointsToAlarm"), json!(3));
    }),
    ("roles", "CloudReconcileFunctionRole", |m| {
        let actions = format!("{}/Action/2", statement(m, "CloudReconcileFunctionRole", "DynamodbMarks"));
        set(&mut m.main, &actions, json!("dynamodb:Scan"));
    }),
    ("alarms of functions", "CloudReconcileFunction", |m| { m.aws_only["Resources"].as_object_mut().unwrap().remove("CloudReconcileFunctionErrors"); }),

    ("alarms of functions", "CloudApiFunction", |m| silence(m, "Errors")),
    ("alarms of functions", "CloudApiFunction", |m| m.aws_only["Resources"].as_object_mut().unwrap().retain(|id, _| id != "AccountThrottles")),
    ("alarms of functions", "OutboxRelayFunction", |m| silence(m, "DestinationDeliveryFailures")),
    ("alarms of functions", "EventIngestFunction", |m| silence(m, "DestinationDeliveryFailures")),
    ("alarms of functions", "EventIngestFunction", |m| silence(m, "AsyncEventsDropped")),
    ("alarms of functions", "OutboxRelayFunction", |m| silence(m, "IteratorAge")),
    ("alarms of functions", "OutboxRelayFunction", |m| silence(m, "EventPublishError")),
    ("alarms of functions", "OutboxRelayFunction", |m| remove(&mut m.aws_only, "/Resources/OutboxRelayPublishRate")),
    ("alarms of functions", "OutboxRelayFunction", |m| remove(&mut m.aws_only, "/Resources/OutboxRelayPublishRate/Properties/ThresholdMetricId")),
    ("alarms of functions", "OutboxRelayFunction", |m| set(&mut m.aws_only, "/Resources/OutboxRelayPublishRate/Properties/ComparisonOperator", json!("GreaterThanUpperThreshold"))),
    ("alarms have recipients", "Api5xx", |m| remove(&mut m.aws_only, "/Resources/Api5xx/Properties/AlarmActions")),
    ("alarms have recipients", "Api5xx", |m| set(&mut m.aws_only, "/Resources/Api5xx/Properties/AlarmActions/Fn::If/2", json!({ "Ref": "AWS::NoValue" }))),
    ("alarms have recipients", "Api5xx", |m| remove(&mut m.aws_only, "/Resources/Api5xx/Condition")),
    ("alarms have recipients", "AlarmTopic", |m| remove(&mut m.aws_only, "/Resources/AlarmTopic/Properties/Subscription")),
    ("alarms have recipients", "AuditAnchorMissing", |m| set(&mut m.aws_only, "/Resources/AuditAnchorMissing/Properties/TreatMissingData", json!("notBreaching"))),
    ("alarms have recipients", "Api5xx", |m| set(&mut m.aws_only, "/Resources/Api5xx/Properties/TreatMissingData", json!("breaching"))),
    ("alarms have recipients", "Api5xx", |m| remove(&mut m.aws_only, "/Resources/Api5xx/Properties/AlarmDescription")),

    ("events that are told", "ToldEvents", |m| set(&mut m.aws_only, "/Resources/ToldEvents/Properties/EventPattern/detail-type/0", json!("webhook.gone"))),
    ("events that are told", "ToldEvents", |m| set(&mut m.aws_only, "/Resources/ToldEvents/Properties/EventPattern/source", json!(["other"]))),
    ("events that are told", "ToldEvents", |m| remove(&mut m.aws_only, "/Resources/ToldEvents/Properties/EventBusName")),
    ("events that are told", "ToldEvents", |m| set(&mut m.aws_only, "/Resources/ToldEvents/Properties/Targets/0/Arn", json!({ "Ref": "AlarmTopic" }))),
    ("events that are told", "ToldEvents", |m| set(&mut m.aws_only, "/Resources/ToldEvents/Properties/Targets/0/InputTransformer/InputPathsMap/payload", json!("$.detail.pay"))),
    ("events that are told", "ToldEvents", |m| set(&mut m.aws_only, "/Resources/ToldEvents/Properties/Targets/0/InputTransformer/InputTemplate/Fn::Sub", json!("<payload> of <event_type>"))),
    ("events that are told", "ToldEvents", |m| remove(&mut m.aws_only, "/Resources/AlarmTopicPolicy/Properties/PolicyDocument/Statement/1")),
    ("events that are told", "ToldEvents", |m| remove(&mut m.aws_only, "/Resources/AlarmTopicPolicy/Properties/PolicyDocument/Statement/0/Condition")),
    ("events that are told", "ToldEvents", |m| set(&mut m.aws_only, "/Resources/AlarmTopicPolicy/Properties/PolicyDocument/Statement/1/Effect", json!("Deny"))),
    ("events that are told", "ToldEvents", |m| remove(&mut m.aws_only, "/Resources/AlarmTopicPolicy/Condition")),
    ("events that are told", "ToldEvents", |m| remove(&mut m.aws_only, "/Resources/ToldEvents/Condition")),
    ("events that are told", "ToldEvents", |m| set(&mut m.aws_only, "/Conditions/TellsEvents/Fn::And/1", json!({ "Condition": "HasAlarmEmail" }))),
    ("events that are told", "ToldEvents", |m| remove(&mut m.aws_only, "/Resources/ToldEvents")),

    ("dashboard", "NotificationsStandardQueue", |m| {
        let body = m.aws_only.pointer_mut("/Resources/Dashboard/Properties/DashboardBody/Fn::Sub").unwrap();
        *body = json!(body.as_str().unwrap().replace("_notifications-standard\"", "_other\""));
    }),
    ("dashboard", "DeadLetterQueue", |m| {
        let body = m.aws_only.pointer_mut("/Resources/Dashboard/Properties/DashboardBody/Fn::Sub").unwrap();
        *body = json!(body.as_str().unwrap().replace("_dead-letters\"", "_other\""));
    }),
    ("dashboard", "Dashboard", |m| {
        let body = m.aws_only.pointer_mut("/Resources/Dashboard/Properties/DashboardBody/Fn::Sub").unwrap();
        *body = json!(body.as_str().unwrap().replacen(',', "", 1));
    }),

    ("outputs", "RestApiId", |m| remove(&mut m.main, "/Outputs/RestApiId")),
    ("outputs", "ApiStage", |m| set(&mut m.main, "/Outputs/ApiStage/Value", json!("dev"))),
    ("outputs", "AuditKeyArn", |m| remove(&mut m.main, "/Outputs/AuditKeyArn")),
    ("outputs", "Outputs", |m| for n in 0..60 { set(&mut m.main, &format!("/Outputs/More{n}"), json!({})) }),
    ("outputs", "Stage", |m| set(&mut m.aws_only, "/Parameters/Stage", json!({ "Type": "String" }))),
    ("outputs", "SomethingName", |m| set(&mut m.aws_only, "/Parameters/SomethingName", json!({ "Type": "String" }))),

    ("limits", "template.yaml", |m| for n in 0..200 { set(&mut m.main, &format!("/Outputs/More{n}"), json!({})) }),
    ("limits", "infra/aws-only.yaml", |m| for n in 0..500 { set(&mut m.aws_only, &format!("/Resources/More{n}"), json!({})) }),
    ("limits", "HeartbeatMissing", |m| set(&mut m.aws_only, "/Resources/HeartbeatMissing/Properties/AlarmDescription", json!("x".repeat(1_025)))),
    ("limits", "CloudApiFunction", |m| {
        set(&mut m.main, "/Resources/CloudApiFunction/Properties/Environment/Variables/LONG", json!("x".repeat(4_000)));
    }),
    ("limits", "CloudApiFunctionRole", |m| {
        let at = statement(m, "CloudApiFunctionRole", "DynamodbCloud");
        let many: Vec<Value> = (0..100).map(|n| json!({ "Fn::GetAtt": [format!("Some{n}Queue"), "Arn"] })).collect();
        set(&mut m.main, &format!("{at}/Resource"), json!(many));
    }),
    ("limits", "NotificationsStandardRule", |m| {
        let many: Vec<String> = (0..200).map(|n| format!("member.event_{n}")).collect();
        set(&mut m.main, &format!("{RULE}/EventPattern/detail-type"), json!(many));
    }),
    ("limits", "CloudApiFunction", |m| {
        set(&mut m.main, "/Resources/CloudApiFunction/Properties/FunctionName", json!({ "Fn::Sub": format!("${{AWS::StackName}}_{}", "long-".repeat(6)) }));
    }),
];
