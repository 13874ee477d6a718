//! The templates and the workspace, read into the form that the checks need.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde_json::{Map, Value, json};
use topology::Deployment;

/// The logical id of the stack's dead-letter queue.
pub(crate) const DEAD_LETTER_QUEUE: &str = "DeadLetterQueue";

/// An event type with the priority that its contract declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contract {
    pub(crate) event_type: String,
    pub(crate) priority: String,
}

/// What a function's declaration and package state about it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Package {
    /// The event types that its declaration selects; `None` if it is not a consumer.
    pub(crate) subscription: Option<BTreeSet<String>>,
    /// Whether one of them is handled by cursor. Then the function reads the event log.
    pub(crate) in_order: bool,
    /// Whether all of them are handled by guard: the evidence is the row itself.
    pub(crate) by_guard: bool,
    /// Whether it is declared as a scheduled job.
    pub(crate) is_job: bool,
    /// Whether it is declared to drain the dead-letter queue.
    pub(crate) drains_letters: bool,
    /// Whether it is declared to need the depth and the age of every lane.
    pub(crate) watches_lanes: bool,
    /// Whether it is declared to send to every lane.
    pub(crate) sends_to_lanes: bool,
    /// Whether it is declared to know since when lanes exist, and how large the event log is.
    pub(crate) knows_lanes_and_log: bool,
    /// Whether it is declared to enable and disable the event source mappings of consumers.
    pub(crate) pauses_consumers: bool,
    /// The logical ids of the tables that it is declared to own.
    pub(crate) owns: BTreeSet<String>,
    /// The packages that its own Cargo.toml names.
    pub(crate) direct: BTreeSet<String>,
}

impl Package {
    /// Whether the package has code: code cannot do anything without a dependency.
    pub(crate) fn is_written(&self) -> bool {
        !self.direct.is_empty()
    }
}

/// Everything that the checks look at. Tests break copies of it.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    /// template.yaml, with short tags written out (`!Ref X` is `{"Ref": "X"}`).
    pub(crate) main: Value,
    /// infra/aws-only.yaml, in the same form.
    pub(crate) aws_only: Value,
    /// The packages under functions/.
    pub(crate) packages: BTreeMap<String, Package>,
    /// The shipped contracts.
    pub(crate) contracts: Vec<Contract>,
}

impl Model {
    /// Reads the project's files.
    pub(crate) fn read() -> Self {
        let root = root();
        Self::of(
            &Deployment::whole(),
            &read(&root.join("template.yaml")),
            &read(&root.join("infra/aws-only.yaml")),
        )
    }

    /// A deployment, and its templates.
    pub(crate) fn of(deployment: &Deployment, main: &str, aws_only: &str) -> Self {
        Self {
            main: template("template.yaml", main),
            aws_only: template("infra/aws-only.yaml", aws_only),
            packages: packages(&root(), deployment),
            contracts: deployment
                .contracts()
                .iter()
                .map(|contract| Contract {
                    event_type: contract.event_type.to_owned(),
                    priority: contract.priority.as_str().to_owned(),
                })
                .collect(),
        }
    }

    /// The functions of template.yaml.
    pub(crate) fn functions(&self) -> Vec<Function<'_>> {
        resources(&self.main, "AWS::Serverless::Function")
            .map(|(id, properties)| Function {
                id,
                properties,
                globals: &self.main["Globals"]["Function"],
            })
            .collect()
    }

    /// The lanes: queues that a function's mapping drains, except the dead-letter queue.
    pub(crate) fn lanes(&self) -> Vec<Lane<'_>> {
        let mut drained = self.drained();
        drained.retain(|lane| lane.queue != DEAD_LETTER_QUEUE);
        drained
    }

    /// The queues that a function's mapping drains: the lanes, and the dead-letter queue.
    pub(crate) fn drained(&self) -> Vec<Lane<'_>> {
        let mut drained = Vec::new();
        for function in self.functions() {
            for (event, mapping) in function.events("SQS") {
                let Some((queue, "Arn")) = attribute(&mapping["Queue"]) else {
                    continue;
                };
                drained.push(Lane {
                    queue,
                    properties: &self.main["Resources"][queue]["Properties"],
                    function,
                    event,
                    mapping,
                });
            }
        }
        drained
    }

    /// The rules, each with its logical id.
    pub(crate) fn rules(&self) -> Vec<(&str, &Value)> {
        resources(&self.main, "AWS::Events::Rule").collect()
    }

    /// The rules that send to a queue.
    pub(crate) fn rules_to(&self, queue: &str) -> Vec<(&str, &Value)> {
        self.rules()
            .into_iter()
            .filter(|(_, rule)| {
                list(&rule["Targets"])
                    .iter()
                    .any(|target| attribute(&target["Arn"]) == Some((queue, "Arn")))
            })
            .collect()
    }

    /// The possible values when no parameter is set: a literal, a parameter's default, or both branches of an `If`.
    pub(crate) fn defaults(&self, value: &Value) -> Vec<String> {
        self.values(value, &["Default"])
    }

    /// The largest number that a value can become by any setting of its parameters.
    pub(crate) fn largest(&self, value: &Value) -> Option<i64> {
        numbers(&self.values(value, &["Default", "MaxValue"]))
            .into_iter()
            .max()
    }

    /// The smallest number that a value can become by any setting of its parameters.
    pub(crate) fn smallest(&self, value: &Value) -> Option<i64> {
        numbers(&self.values(value, &["Default", "MinValue"]))
            .into_iter()
            .min()
    }

    fn values(&self, value: &Value, of_parameter: &[&str]) -> Vec<String> {
        if let Some(name) = reference(value) {
            let parameter = &self.main["Parameters"][name];
            return of_parameter
                .iter()
                .filter_map(|key| text(&parameter[*key]))
                .collect();
        }
        if let Some([_, yes, no]) = value["Fn::If"].as_array().map(Vec::as_slice) {
            return [yes, no]
                .into_iter()
                .flat_map(|branch| self.values(branch, of_parameter))
                .collect();
        }
        text(value).into_iter().collect()
    }
}

/// A function resource.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Function<'a> {
    pub(crate) id: &'a str,
    pub(crate) properties: &'a Value,
    globals: &'a Value,
}

impl<'a> Function<'a> {
    /// The package that its code is built from.
    pub(crate) fn package(&self) -> Option<&'a str> {
        self.properties["CodeUri"]
            .as_str()?
            .strip_prefix("target/lambda/")?
            .strip_suffix('/')
    }

    /// Its event sources of a type, each with its name.
    pub(crate) fn events(&self, kind: &str) -> Vec<(&'a str, &'a Value)> {
        entries(&self.properties["Events"])
            .filter(|(_, event)| event["Type"] == kind)
            .map(|(name, event)| (name, &event["Properties"]))
            .collect()
    }

    /// A property of the function or of the globals.
    pub(crate) fn property(&self, name: &str) -> &'a Value {
        match &self.properties[name] {
            Value::Null => &self.globals[name],
            own => own,
        }
    }

    /// Its settings, including those of the globals.
    pub(crate) fn settings(&self) -> BTreeMap<&'a str, &'a Value> {
        let of = |properties: &'a Value| entries(&properties["Environment"]["Variables"]);
        of(self.globals).chain(of(self.properties)).collect()
    }

    /// The logical id of its role.
    pub(crate) fn role(&self) -> Option<&'a str> {
        attribute(&self.properties["Role"])
            .filter(|(_, name)| *name == "Arn")
            .map(|(id, _)| id)
    }
}

/// A queue that a function drains.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Lane<'a> {
    pub(crate) queue: &'a str,
    pub(crate) properties: &'a Value,
    pub(crate) function: Function<'a>,
    pub(crate) event: &'a str,
    pub(crate) mapping: &'a Value,
}

impl Lane<'_> {
    /// `EXPRESS` or `STANDARD`, from its queue's name.
    pub(crate) fn kind(&self) -> Option<&'static str> {
        if self.queue.ends_with("ExpressQueue") {
            Some("EXPRESS")
        } else if self.queue.ends_with("StandardQueue") {
            Some("STANDARD")
        } else {
            None
        }
    }
}

/// The resources of a type, each with its logical id and properties.
pub(crate) fn resources<'a>(
    template: &'a Value,
    kind: &'a str,
) -> impl Iterator<Item = (&'a str, &'a Value)> {
    entries(&template["Resources"])
        .filter(move |(_, resource)| resource["Type"] == kind)
        .map(|(id, resource)| (id, &resource["Properties"]))
}

/// The entries of an object; empty for any other value.
pub(crate) fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.as_str(), value))
}

/// The elements of a list. A single value is a list of one, as in IAM's JSON.
pub(crate) fn list(value: &Value) -> &[Value] {
    match value {
        Value::Null => &[],
        Value::Array(members) => members,
        one => std::slice::from_ref(one),
    }
}

/// The statements of a policy, each with the condition of the template under which the policy has it: a statement is
/// written as it is or as `!If [<condition>, <statement>, !Ref AWS::NoValue]`.
pub(crate) fn statements(document: &Value) -> impl Iterator<Item = (Option<&str>, &Value)> {
    list(&document["Statement"]).iter().map(|statement| {
        match statement["Fn::If"].as_array().map(Vec::as_slice) {
            Some([Value::String(condition), then, otherwise])
                if reference(otherwise) == Some("AWS::NoValue") =>
            {
                (Some(condition.as_str()), then)
            }
            _ => (None, statement),
        }
    })
}

/// The strings of a list.
pub(crate) fn texts(value: &Value) -> BTreeSet<&str> {
    list(value).iter().filter_map(Value::as_str).collect()
}

/// The target of a `!Ref`.
pub(crate) fn reference(value: &Value) -> Option<&str> {
    value["Ref"].as_str()
}

/// The target of a `!GetAtt`: resource and attribute.
pub(crate) fn attribute(value: &Value) -> Option<(&str, &str)> {
    match value["Fn::GetAtt"].as_array().map(Vec::as_slice) {
        Some([Value::String(id), Value::String(name)]) => Some((id, name)),
        _ => None,
    }
}

/// A scalar as text: templates write numbers with or without quotes.
pub(crate) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        _ => None,
    }
}

fn numbers(values: &[String]) -> Vec<i64> {
    values
        .iter()
        .filter_map(|value| value.parse().ok())
        .collect()
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

pub(crate) fn template(name: &str, text: &str) -> Value {
    plain(serde_yaml_ng::from_str(text).unwrap_or_else(|error| panic!("{name}: {error}")))
}

/// Writes CloudFormation's short tags out, as in JSON.
fn plain(value: serde_yaml_ng::Value) -> Value {
    use serde_yaml_ng::Value as Yaml;
    match value {
        Yaml::Null => Value::Null,
        Yaml::Bool(flag) => flag.into(),
        Yaml::String(text) => text.into(),
        Yaml::Number(number) => number.as_i64().map_or_else(
            || number.as_f64().map_or(Value::Null, Value::from),
            Value::from,
        ),
        Yaml::Sequence(members) => members.into_iter().map(plain).collect(),
        Yaml::Mapping(pairs) => Value::Object(
            pairs
                .into_iter()
                .map(|(key, value)| {
                    let key = key
                        .as_str()
                        .unwrap_or_else(|| panic!("a key is not a string: {key:?}"))
                        .to_owned();
                    (key, plain(value))
                })
                .collect::<Map<_, _>>(),
        ),
        Yaml::Tagged(tagged) => {
            let tag = tagged.tag.to_string();
            let name = tag.trim_start_matches('!');
            let value = plain(tagged.value);
            match (name, &value) {
                ("Ref" | "Condition", _) => json!({ name: value }),
                ("GetAtt", Value::String(path)) => {
                    let (id, attribute) = path.split_once('.').unwrap_or((path, ""));
                    json!({ "Fn::GetAtt": [id, attribute] })
                }
                _ => json!({ format!("Fn::{name}"): value }),
            }
        }
    }
}

fn packages(root: &Path, deployment: &Deployment) -> BTreeMap<String, Package> {
    deployment
        .functions()
        .iter()
        .map(|function| {
            let folder = root.join("functions").join(function.name);
            let selected = function.consumer().map(|consumer| consumer.selection);
            let package = Package {
                in_order: selected
                    .is_some_and(|selection| selection.relies_on(events::Evidence::Cursor)),
                by_guard: selected.is_some_and(|selection| {
                    let by = |evidence| selection.relies_on(evidence);
                    by(events::Evidence::Guard)
                        && !by(events::Evidence::Mark)
                        && !by(events::Evidence::Cursor)
                }),
                subscription: selected.map(|_| {
                    deployment
                        .contracts_of(function)
                        .iter()
                        .map(|contract| contract.event_type.to_owned())
                        .collect()
                }),
                is_job: function.job().is_some(),
                drains_letters: matches!(function.kind, topology::Kind::DeadLetters),
                watches_lanes: function.needs(topology::Need::WatchLanes),
                sends_to_lanes: function.needs(topology::Need::SendToLanes),
                knows_lanes_and_log: function.needs(topology::Need::KnowLanesAndLog),
                pauses_consumers: function.needs(topology::Need::PauseConsumers),
                owns: function
                    .owns
                    .iter()
                    .map(|access| access.table.logical_id())
                    .collect(),
                // A package that only a test declares has no folder.
                direct: if folder.is_dir() {
                    dependencies(&folder)
                } else {
                    BTreeSet::new()
                },
            };
            (function.name.to_owned(), package)
        })
        .collect()
}

/// The dependencies listed under `[dependencies]`.
fn dependencies(folder: &Path) -> BTreeSet<String> {
    read(&folder.join("Cargo.toml"))
        .lines()
        .skip_while(|line| line.trim() != "[dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter(|line| !line.trim_start().starts_with('#'))
        .filter_map(|line| line.split(['=', '.']).next())
        .map(|name| name.trim().to_owned())
        .filter(|name| !name.is_empty())
        .collect()
}
