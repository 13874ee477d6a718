//! How close the templates are to the limits of AWS.

use std::fmt;

use events::Evidence;
use serde_json::{Map, Value, json};
use topology::{Access, Action, Consumer, Function, Kind, STACK_NAME_AT_MOST, Table};

use super::{
    model::{Model, entries, resources},
    pattern,
};

// Limits of AWS.

/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/cloudformation-limits.html>, read 2026-11-28.
const RESOURCES_OF_TEMPLATE: usize = 500;
/// The same page.
const OUTPUTS_OF_TEMPLATE: usize = 200;
/// The same page.
const PARAMETERS_OF_TEMPLATE: usize = 200;
/// The same page: a template that is uploaded to S3, as `sam deploy` does.
const BYTES_OF_TEMPLATE: usize = 1_000_000;
/// <https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html>, read 2026-11-28: sum of all variables.
const ENVIRONMENT_BYTES: usize = 4_096;
/// <https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html>, read 2026-11-28: the sum of a role's
/// inline policies, without white space.
const INLINE_POLICY_CHARACTERS: usize = 10_240;
/// <https://docs.aws.amazon.com/lambda/latest/api/API_CreateFunction.html>, read 2026-11-28.
const FUNCTION_NAME: usize = 64;
/// <https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutRule.html>, read 2026-11-29.
const RULE_NAME: usize = 64;
/// <https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-queues.html>, read 2026-11-28.
const QUEUE_NAME: usize = 80;
/// <https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutMetricAlarm.html>, read 2026-11-29.
const ALARM_DESCRIPTION: usize = 1_024;

/// How much of a limit is used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Used {
    /// The template or resource.
    pub(crate) of: String,
    /// The name of the limit.
    pub(crate) what: &'static str,
    pub(crate) used: usize,
    pub(crate) limit: usize,
}

impl fmt::Display for Used {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>9} of {:>9}  {} ({})",
            self.used, self.limit, self.what, self.of
        )
    }
}

/// The use of every limit, in a deployment whose stack has the longest possible name.
pub(crate) fn of(model: &Model) -> Vec<Used> {
    let mut found = Vec::new();
    let mut add = |of: &str, what, used, limit| {
        found.push(Used {
            of: of.to_owned(),
            what,
            used,
            limit,
        });
    };
    for (name, template) in [
        ("template.yaml", &model.main),
        ("infra/aws-only.yaml", &model.aws_only),
    ] {
        let count = |section: &str| entries(&template[section]).count();
        let made = made_by_sam(template);
        add(
            name,
            "resources",
            count("Resources") + made,
            RESOURCES_OF_TEMPLATE,
        );
        add(name, "outputs", count("Outputs"), OUTPUTS_OF_TEMPLATE);
        add(
            name,
            "parameters",
            count("Parameters"),
            PARAMETERS_OF_TEMPLATE,
        );
        // The longest form that `sam deploy` can upload: JSON, with each event as a resource of its own.
        add(
            name,
            "bytes",
            template.to_string().len() + made * 1_000,
            BYTES_OF_TEMPLATE,
        );
    }
    for function in model.functions() {
        let variables: Map<String, Value> = function
            .settings()
            .into_iter()
            .map(|(name, value)| (name.to_owned(), resolved(model, value)))
            .collect();
        let bytes = Value::Object(variables).to_string().len();
        add(
            function.id,
            "bytes of environment",
            bytes,
            ENVIRONMENT_BYTES,
        );
        let name = resolved(model, &function.properties["FunctionName"]);
        add(
            function.id,
            "characters of a function's name",
            length(&name),
            FUNCTION_NAME,
        );
        for (_, schedule) in function.events("Schedule") {
            let name = resolved(model, &schedule["Name"]);
            let what = "characters of a rule's name";
            add(function.id, what, length(&name), RULE_NAME);
        }
    }
    for (id, role) in resources(&model.main, "AWS::IAM::Role") {
        let documents: usize = super::model::list(&role["Policies"])
            .iter()
            .map(|policy| resolved(model, &policy["PolicyDocument"]).to_string())
            .map(|text| text.chars().filter(|one| !one.is_whitespace()).count())
            .sum();
        add(
            id,
            "characters of inline policies",
            documents,
            INLINE_POLICY_CHARACTERS,
        );
    }
    for (id, rule) in model.rules() {
        let characters = rule["EventPattern"].to_string().chars().count();
        add(
            id,
            "characters of a pattern",
            characters,
            pattern::MAX_CHARACTERS,
        );
    }
    for (id, queue) in resources(&model.main, "AWS::SQS::Queue") {
        let name = resolved(model, &queue["QueueName"]);
        add(
            id,
            "characters of a queue's name",
            length(&name),
            QUEUE_NAME,
        );
    }
    for (id, alarm) in resources(&model.aws_only, "AWS::CloudWatch::Alarm") {
        let what = "characters of an alarm's description";
        add(
            id,
            what,
            length(&alarm["AlarmDescription"]),
            ALARM_DESCRIPTION,
        );
    }
    found
}

/// How many resources SAM makes of those in a template, beside one for each: an estimate for templates that are only imagined.
/// For the rendered ones it agrees with SAM's translator 1.115; `make check-translated` counts what SAM really makes.
fn made_by_sam(template: &Value) -> usize {
    let of_functions: usize = resources(template, "AWS::Serverless::Function")
        .map(|(_, function)| {
            // A permission or a mapping of an event, and the rule of a schedule.
            let events: usize = entries(&function["Events"])
                .map(|(_, event)| if event["Type"] == "Schedule" { 2 } else { 1 })
                .sum();
            let has = |name: &str| usize::from(!function[name].is_null());
            // A URL that is open to all has two permissions; a preference has a deployment group, an alias a version.
            events
                + has("EventInvokeConfig")
                + 3 * has("FunctionUrlConfig")
                + has("DeploymentPreference")
                + 2 * has("AutoPublishAlias")
        })
        .sum();
    // The API's deployment and stage. CodeDeploy's application and role.
    let apis = 2 * resources(template, "AWS::Serverless::Api").count();
    let shifts = resources(template, "AWS::Serverless::Function")
        .any(|(_, function)| !function["DeploymentPreference"].is_null());
    of_functions + apis + 2 * usize::from(shifts)
}

/// The tightest use of each limit, as a table for people.
pub(crate) fn table(model: &Model) -> String {
    let all = of(model);
    let mut kinds: Vec<&str> = Vec::new();
    for one in &all {
        if !kinds.contains(&one.what) {
            kinds.push(one.what);
        }
    }
    kinds
        .into_iter()
        .filter_map(|kind| {
            all.iter()
                .filter(|one| one.what == kind)
                .max_by_key(|one| one.used * 1_000 / one.limit)
        })
        .map(ToString::to_string)
        .collect::<Vec<_>>()
        .join("\n")
}

fn length(value: &Value) -> usize {
    value.as_str().map_or(0, |text| text.chars().count())
}

/// A value in its longest deployed form: the longest stack name, the longest region, generated names with their suffix.
pub(crate) fn resolved(model: &Model, value: &Value) -> Value {
    match value {
        Value::Object(fields) => match fields.iter().next() {
            Some((name, inner)) if name == "Ref" => {
                json!(named(model, inner.as_str().unwrap_or_default()))
            }
            Some((name, inner)) if name == "Fn::GetAtt" => {
                json!(arn(model, inner[0].as_str().unwrap_or_default()))
            }
            Some((name, inner)) if name == "Fn::Sub" => {
                json!(substituted(model, inner.as_str().unwrap_or_default()))
            }
            Some((name, Value::Array(branches))) if name == "Fn::If" => branches
                .iter()
                .skip(1)
                .map(|branch| resolved(model, branch))
                .max_by_key(|branch| branch.to_string().len())
                .unwrap_or_default(),
            _ => fields
                .iter()
                .map(|(name, inner)| (name.clone(), resolved(model, inner)))
                .collect::<Map<_, _>>()
                .into(),
        },
        Value::Array(members) => members
            .iter()
            .map(|member| resolved(model, member))
            .collect(),
        plain => plain.clone(),
    }
}

const REGION: &str = "ap-southeast-1";
const ACCOUNT: &str = "123456789012";

fn stack() -> String {
    "s".repeat(STACK_NAME_AT_MOST)
}

/// The value of `Ref`.
fn named(model: &Model, id: &str) -> String {
    match id {
        "AWS::StackName" => return stack(),
        "AWS::Region" => return REGION.to_owned(),
        "AWS::AccountId" => return ACCOUNT.to_owned(),
        "AWS::Partition" => return "aws".to_owned(),
        _ => {}
    }
    let parameter = &model.main["Parameters"][id];
    if !parameter.is_null() {
        // The default, or as much as a secret may have. Values that people set are rarely longer.
        return super::model::text(&parameter["Default"]).unwrap_or_else(|| "x".repeat(256));
    }
    let resource = &model.main["Resources"][id];
    let own = ["QueueName", "FunctionName", "Name"]
        .iter()
        .map(|name| &resource["Properties"][name])
        .find(|name| !name.is_null());
    let name = own.map_or_else(
        || format!("{}-{id}-{}", stack(), "X".repeat(13)),
        |name| {
            resolved(model, name)
                .as_str()
                .unwrap_or_default()
                .to_owned()
        },
    );
    if resource["Type"] == "AWS::SQS::Queue" {
        return format!("https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{name}");
    }
    name
}

/// The value of `GetAtt X.Arn`.
fn arn(model: &Model, id: &str) -> String {
    let name = named(model, id);
    let name = name.rsplit('/').next().unwrap_or_default();
    let before = match model.main["Resources"][id]["Type"].as_str() {
        Some("AWS::DynamoDB::Table") => "dynamodb",
        Some("AWS::Logs::LogGroup") => "logs",
        _ => "sqs",
    };
    // The ARN of a table or a log group contains one more word.
    format!("arn:aws:{before}:{REGION}:{ACCOUNT}:log-group:{name}")
}

fn substituted(model: &Model, text: &str) -> String {
    let mut parts = text.split("${");
    let mut whole = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').unwrap_or((part, ""));
        whole.push_str(&match name.strip_suffix(".Arn") {
            Some(id) => arn(model, id),
            None => named(model, name),
        });
        whole.push_str(rest);
    }
    whole
}

/// Imaginary consumers: each has a table of its own and two lanes, and half of them subscribe to whole kinds of events.
pub(crate) fn more_consumers(count: usize) -> Vec<&'static Function> {
    (1..=count)
        .map(|number| {
            let name: &'static str = format!("consumer-of-things-{number:02}").leak();
            let id: &'static str = format!("ConsumerOfThings{number:02}").leak();
            let setting: &'static str = format!("CONSUMER_OF_THINGS_{number:02}_TABLE").leak();
            let table: &'static Table =
                Box::leak(Box::new(Table::new(id, setting, "What it keeps.")));
            let owns: &'static [Access] = vec![Access::to(
                table,
                &[
                    Action::Get,
                    Action::Query,
                    Action::Put,
                    Action::Update,
                    Action::Check,
                ],
            )]
            .leak();
            let selection = if number % 2 == 0 {
                events::Selection::Every(Evidence::Mark)
            } else {
                topology::function("notifications")
                    .and_then(Function::consumer)
                    .map(|consumer| consumer.selection)
                    .unwrap()
            };
            let function = Function::new(
                name,
                "A consumer that there may be some day.",
                Kind::Consumer(Consumer {
                    selection,
                    lane_concurrency: topology::Concurrency::Parameter,
                }),
            )
            .owning(owns);
            &*Box::leak(Box::new(function))
        })
        .collect()
}
