//! Parameters in the templates and in `infra/parameters.json`. Both are made from one list of properties.

use serde_json::{Map, Value};
use topology::{Form, Parameter};

use crate::yaml::{flow, prose, quoted};

/// The properties of a parameter, with their names in CloudFormation.
fn properties(parameter: &Parameter) -> Vec<(&'static str, Value)> {
    let is_number = matches!(parameter.form, Form::Number(..) | Form::OneOfNumbers(_));
    let kind = if is_number { "Number" } else { "String" };
    let mut properties = vec![("Type", Value::from(kind))];
    properties.extend(parameter.default.map(|default| {
        let number = default.parse::<u32>().ok().filter(|_| is_number);
        (
            "Default",
            number.map_or_else(|| default.into(), Value::from),
        )
    }));
    if parameter.secret {
        properties.push(("NoEcho", true.into()));
    }
    match parameter.form {
        Form::Text => {}
        Form::Pattern(pattern, words) => {
            properties.push(("AllowedPattern", pattern.into()));
            properties.push(("ConstraintDescription", words.into()));
        }
        Form::OneOf(values) => properties.push(("AllowedValues", values.to_vec().into())),
        Form::Number(least, most) => {
            properties.push(("MinValue", least.into()));
            properties.push(("MaxValue", most.into()));
        }
        Form::OneOfNumbers(values) => properties.push(("AllowedValues", values.to_vec().into())),
    }
    properties.push(("Description", parameter.description.into()));
    properties
}

/// A parameter of a template.
pub(crate) struct Text {
    pub(crate) name: &'static str,
    pub(crate) lines: Vec<String>,
}

/// A condition of a parameter, see [`Parameter::condition`], and its YAML expression.
pub(crate) struct Condition {
    pub(crate) name: &'static str,
    pub(crate) expression: String,
}

pub(crate) fn texts(parameters: &[&'static Parameter]) -> Vec<Text> {
    let text = |one: &&'static Parameter| Text {
        name: one.name,
        lines: lines(one),
    };
    parameters.iter().map(text).collect()
}

pub(crate) fn conditions(parameters: &[&'static Parameter]) -> Vec<Condition> {
    let is_set = |one: &'static Parameter| {
        Some(format!(
            "!Not [!Equals [!Ref {}, {}]]",
            one.name,
            default(one)?
        ))
    };
    let condition = |one: &&'static Parameter| {
        let expression = is_set(one)?;
        Some(Condition {
            name: one.condition?,
            expression: match one.secret_arn.and_then(is_set) {
                Some(or_secret) => format!("!Or [{expression}, {or_secret}]"),
                None => expression,
            },
        })
    };
    parameters.iter().filter_map(condition).collect()
}

/// The lines of a parameter in a template.
fn lines(parameter: &Parameter) -> Vec<String> {
    let line = |(key, value): (&str, Value)| match (key, value) {
        ("Description" | "ConstraintDescription", Value::String(text)) => prose(key, &text, 4),
        // A pattern contains backslashes, which single quotes preserve.
        ("AllowedPattern", Value::String(text)) => vec![format!("{key}: '{text}'")],
        ("Type", Value::String(text)) => vec![format!("{key}: {text}")],
        (_, Value::Array(values)) => {
            let values: Vec<String> = values.iter().map(scalar).collect();
            vec![format!("{key}: {}", flow(&values))]
        }
        (_, value) => vec![format!("{key}: {}", scalar(&value))],
    };
    properties(parameter).into_iter().flat_map(line).collect()
}

/// A parameter's default as a YAML expression.
fn default(parameter: &Parameter) -> Option<String> {
    let mut properties = properties(parameter).into_iter();
    properties
        .find(|(key, _)| *key == "Default")
        .map(|(_, value)| scalar(&value))
}

fn scalar(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), quoted)
}

/// The parameters of each template by name, for programs that check values before anything can read YAML.
///
/// # Errors
/// No error is known: the values are only texts and numbers.
pub(crate) fn json(templates: &[(&str, Vec<&Parameter>)]) -> Result<String, serde_json::Error> {
    let of_one = |parameter: &&Parameter| {
        let properties = properties(parameter)
            .into_iter()
            .map(|(key, value)| (key.to_owned(), value));
        let properties = Value::Object(properties.collect());
        (parameter.name.to_owned(), properties)
    };
    let all: Map<String, Value> = templates
        .iter()
        .map(|(name, parameters)| {
            let parameters = Value::Object(parameters.iter().map(of_one).collect());
            ((*name).to_owned(), parameters)
        })
        .collect();
    Ok(serde_json::to_string_pretty(&all)? + "\n")
}
