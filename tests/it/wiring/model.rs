//! The templates and the workspace, read into what the checks ask for.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use event_stream::evidence::watched;
use events::{Evidence, Selection};
use serde_json::{Map, Value, json};

/// An event type with the priority that its contract declares.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contract {
    pub(crate) event_type: String,
    pub(crate) priority: String,
}

/// What the source of a function's package says about it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Package {
    /// Settings that its own source asks for by `required("…")`.
    pub(crate) required: BTreeSet<String>,
    /// Every name of a setting in its source and that of its shared crates, through all levels.
    pub(crate) known: BTreeSet<String>,
    /// Event types that it listens to, as its handler says; `None`: it is no consumer.
    pub(crate) subscription: Option<BTreeSet<String>>,
    /// Whether it handles one of them `by Cursor`: then it reads the event log.
    pub(crate) in_order: bool,
    /// Whether it hosts a scheduled job.
    pub(crate) is_job: bool,
    /// The packages that its own Cargo.toml names.
    pub(crate) direct: BTreeSet<String>,
}

impl Package {
    /// Whether there is code yet: nothing can be done without a dependency.
    pub(crate) fn is_written(&self) -> bool {
        !self.direct.is_empty()
    }
}

/// Everything the checks look at. Tests break copies of it.
#[derive(Debug, Clone)]
pub(crate) struct Model {
    /// template.yaml, short tags written out (`!Ref X` is `{"Ref": "X"}`).
    pub(crate) main: Value,
    /// infra/aws-only.yaml, the same way.
    pub(crate) aws_only: Value,
    /// The packages under functions/.
    pub(crate) packages: BTreeMap<String, Package>,
    /// The shipped contracts.
    pub(crate) contracts: Vec<Contract>,
}

impl Model {
    /// Reads the project.
    pub(crate) fn read() -> Self {
        let root = root();
        Self {
            main: template(&root.join("template.yaml")),
            aws_only: template(&root.join("infra/aws-only.yaml")),
            packages: packages(&root),
            contracts: events::Registry::shipped()
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

    /// The lanes: queues that some function's mapping drains.
    pub(crate) fn lanes(&self) -> Vec<Lane<'_>> {
        let mut lanes = Vec::new();
        for function in self.functions() {
            for (event, mapping) in function.events("SQS") {
                let Some((queue, "Arn")) = attribute(&mapping["Queue"]) else {
                    continue;
                };
                lanes.push(Lane {
                    queue,
                    properties: &self.main["Resources"][queue]["Properties"],
                    function,
                    event,
                    mapping,
                });
            }
        }
        lanes
    }

    /// The rules, each with its id.
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

    /// What a value is when nobody sets a parameter: a literal, a parameter's default, or both branches of an `If`.
    pub(crate) fn defaults(&self, value: &Value) -> Vec<String> {
        self.values(value, &["Default"])
    }

    /// The largest number a value may become by any setting of its parameters.
    pub(crate) fn largest(&self, value: &Value) -> Option<i64> {
        numbers(&self.values(value, &["Default", "MaxValue"]))
            .into_iter()
            .max()
    }

    /// The smallest number a value may become by any setting of its parameters.
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

    /// A property of its own or of the globals.
    pub(crate) fn property(&self, name: &str) -> &'a Value {
        match &self.properties[name] {
            Value::Null => &self.globals[name],
            own => own,
        }
    }

    /// Its settings, those of the globals among them.
    pub(crate) fn settings(&self) -> BTreeMap<&'a str, &'a Value> {
        let of = |properties: &'a Value| entries(&properties["Environment"]["Variables"]);
        of(self.globals).chain(of(self.properties)).collect()
    }

    /// The id of its role's resource.
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

impl<'a> Lane<'a> {
    /// The id of its dead-letter queue.
    pub(crate) fn letters(&self) -> Option<&'a str> {
        attribute(&self.properties["RedrivePolicy"]["deadLetterTargetArn"]).map(|(id, _)| id)
    }

    /// `EXPRESS` or `STANDARD`, as its queue's name says.
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

/// The resources of a type, each with its id and properties.
pub(crate) fn resources<'a>(
    template: &'a Value,
    kind: &'a str,
) -> impl Iterator<Item = (&'a str, &'a Value)> {
    entries(&template["Resources"])
        .filter(move |(_, resource)| resource["Type"] == kind)
        .map(|(id, resource)| (id, &resource["Properties"]))
}

/// The entries of an object; none of anything else.
pub(crate) fn entries(value: &Value) -> impl Iterator<Item = (&str, &Value)> {
    value
        .as_object()
        .into_iter()
        .flatten()
        .map(|(key, value)| (key.as_str(), value))
}

/// The members of a list; a single value is a list of one, as in IAM's JSON.
pub(crate) fn list(value: &Value) -> &[Value] {
    match value {
        Value::Null => &[],
        Value::Array(members) => members,
        one => std::slice::from_ref(one),
    }
}

/// The texts of a list.
pub(crate) fn texts(value: &Value) -> BTreeSet<&str> {
    list(value).iter().filter_map(Value::as_str).collect()
}

/// What `!Ref` names.
pub(crate) fn reference(value: &Value) -> Option<&str> {
    value["Ref"].as_str()
}

/// What `!GetAtt` names: resource and attribute.
pub(crate) fn attribute(value: &Value) -> Option<(&str, &str)> {
    match value["Fn::GetAtt"].as_array().map(Vec::as_slice) {
        Some([Value::String(id), Value::String(name)]) => Some((id, name)),
        _ => None,
    }
}

/// A scalar as text: templates write numbers with and without quotes.
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
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn read(path: &Path) -> String {
    fs::read_to_string(path)
        .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
}

fn template(path: &Path) -> Value {
    plain(
        serde_yaml_ng::from_str(&read(path))
            .unwrap_or_else(|error| panic!("{}: {error}", path.display())),
    )
}

/// CloudFormation's short tags written out as JSON does.
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
                        .unwrap_or_else(|| panic!("a key is no text: {key:?}"))
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

fn packages(root: &Path) -> BTreeMap<String, Package> {
    let mut shared: BTreeMap<String, (BTreeSet<String>, BTreeSet<String>)> = BTreeMap::new();
    for folder in folders(&root.join("shared")) {
        let name = name_of(&folder);
        if name == FRAME {
            continue;
        }
        shared.insert(
            name,
            (
                dependencies(&folder),
                settings(&sources(&folder.join("src"))),
            ),
        );
    }
    let consumers = watched();
    folders(&root.join("functions"))
        .into_iter()
        .map(|folder| {
            let direct = dependencies(&folder);
            let sources = sources(&folder.join("src"));
            let name = name_of(&folder);
            let consumer = consumers.iter().find(|one| one.name == name);
            let frame: BTreeSet<String> =
                of_frame(&sources).into_iter().map(str::to_owned).collect();
            let mut known: BTreeSet<String> = settings(&sources).union(&frame).cloned().collect();
            let mut seen = BTreeSet::new();
            let mut waiting: Vec<&String> = direct.iter().collect();
            while let Some(name) = waiting.pop() {
                if let (true, Some((further, settings))) = (seen.insert(name), shared.get(name)) {
                    known.extend(settings.iter().cloned());
                    waiting.extend(further);
                }
            }
            let package = Package {
                required: required(&sources).union(&frame).cloned().collect(),
                known,
                subscription: consumer.map(|one| types(one.selection)),
                in_order: consumer.is_some_and(|one| one.selection.relies_on(Evidence::Cursor)),
                is_job: sources.contains("Job::start("),
                direct: direct.clone(),
            };
            (name, package)
        })
        .collect()
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(parent)
        .unwrap_or_else(|error| panic!("cannot list {}: {error}", parent.display()))
        .map(|entry| entry.unwrap_or_else(|error| panic!("{error}")).path())
        .filter(|path| path.join("Cargo.toml").is_file())
        .collect();
    found.sort();
    found
}

/// A folder is a package of the same name.
fn name_of(folder: &Path) -> String {
    folder
        .file_name()
        .map(|name| name.to_string_lossy().into_owned())
        .unwrap_or_default()
}

/// The names under `[dependencies]`.
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

/// What ships of the source files under a folder: without comments, and without the tests at a file's foot.
fn sources(folder: &Path) -> String {
    let mut found = String::new();
    let Ok(listing) = fs::read_dir(folder) else {
        return found;
    };
    for entry in listing {
        let path = entry.unwrap_or_else(|error| panic!("{error}")).path();
        if path.is_dir() {
            found.push_str(&sources(&path));
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = read(&path);
            let shipped = source.split("#[cfg(test)]").next().unwrap_or_default();
            for line in shipped
                .lines()
                .filter(|line| !line.trim_start().starts_with("//"))
            {
                found.push_str(line);
                found.push('\n');
            }
        }
    }
    found
}

/// Names of settings: quoted words of capitals.
fn settings(source: &str) -> BTreeSet<String> {
    source
        .lines()
        .flat_map(|line| line.split('"').skip(1).step_by(2))
        .filter(|word| is_setting(word))
        .map(str::to_owned)
        .collect()
}

/// The frame that every function stands on. It knows the settings of all kinds; which of them a function reads,
/// [`of_frame`] tells.
const FRAME: &str = "host";

/// What the frame asks for: by its kind, and by the outbox that its `main` takes.
fn of_frame(source: &str) -> BTreeSet<&'static str> {
    let mut asked = BTreeSet::new();
    for (call, settings) in [
        ("Api::start(", host::Api::REQUIRED),
        ("Consumer::start(", host::Consumer::REQUIRED),
        ("Job::start(", host::Job::REQUIRED),
        ("host.outbox()", host::LOG_AND_MARKS),
        ("host.outbox_without_log()", host::MARKS),
    ] {
        if source.contains(call) {
            asked.extend(settings);
        }
    }
    asked
}

/// Settings without which a function does not start.
fn required(source: &str) -> BTreeSet<String> {
    ["required(", "host.table("]
        .into_iter()
        .flat_map(|asked| source.split(asked).skip(1))
        .filter_map(|after| after.trim_start().strip_prefix('"')?.split('"').next())
        .map(str::to_owned)
        .collect()
}

fn types(selection: Selection) -> BTreeSet<String> {
    let types = selection.types().into_iter();
    types.map(|one| one.event_type.to_owned()).collect()
}

fn is_setting(word: &str) -> bool {
    word.len() > 3
        && word.starts_with(|first: char| first.is_ascii_uppercase())
        && word
            .chars()
            .all(|one| one.is_ascii_uppercase() || one.is_ascii_digit() || one == '_')
}
