//! Renders `infra/docs/settings.md`: every declared setting, grouped by reader.

use std::collections::BTreeMap;

use topology::{Deployment, Form, Function, Group, Kind, Parameter, parameters};

use crate::{
    reach::{What, reach},
    settings::{STACK_NAME, Source, settings},
};

const INTRODUCTION: &str = "\
<!-- RENDERED by `make template` from functions/*/declaration.rs and shared/topology/src/parameters.rs; edit those, not this. -->
# Settings

Every parameter of `template.yaml` and `infra/aws-only.yaml`, grouped by reader. Set them with
`make up PARAMS='MailsPerSecond=14 LogLevel=debug'` or `make deploy PARAMS='…'`. An unknown parameter or an invalid value is refused
before anything is built. The column *sets* names the environment variable that a function reads, or the part of the function that the parameter changes.
";

const HEAD: &str = "\
| parameter | sets | default | allowed | meaning |
|---|---|---|---|---|
";

const BY_ITSELF: &str = "
## Set by the template itself

Variables whose value comes from the stack or from a function's declaration. No parameter changes them.

| variable | of | value | meaning |
|---|---|---|---|
";

const END: &str = "
Settings that the template does not set have a default in code. Those of every consumer and of every job are in
[shared/consumer](../../shared/consumer/README.md#settings), those of a single function in its README.
";

/// The page.
pub(crate) fn render(deployment: &Deployment) -> String {
    let mut groups: BTreeMap<Group, Vec<&'static Parameter>> = BTreeMap::new();
    for parameter in deployment
        .parameters()
        .into_iter()
        .chain(parameters::OF_GRADUAL_DEPLOYMENTS.iter().copied())
        .chain(parameters::OF_ALARMS.iter().copied())
    {
        groups.entry(parameter.group).or_default().push(parameter);
    }
    let mut page = INTRODUCTION.to_owned();
    for (group, mut parameters) in groups {
        parameters.sort_by_key(|parameter| parameter.name);
        page.push_str(&format!("\n## {}\n\n{HEAD}", group.label()));
        for parameter in parameters {
            let of_variant = parameters::OF_GRADUAL_DEPLOYMENTS
                .iter()
                .any(|one| one.name == parameter.name);
            let sets = if group == Group::Alarms {
                "`infra/aws-only.yaml`".to_owned()
            } else if of_variant {
                "`template-gradual.yaml`".to_owned()
            } else {
                sets(deployment, parameter)
            };
            let cells = [
                code(parameter.name),
                sets,
                default(parameter),
                allowed(parameter.form),
                parameter.description.to_owned(),
            ];
            row(&mut page, &cells);
        }
    }
    page.push_str(BY_ITSELF);
    for ((variable, value, means), functions) in by_itself(deployment) {
        let cells = [code(&variable), whom(deployment, &functions), value, means];
        row(&mut page, &cells);
    }
    page.push_str(END);
    page
}

fn row<const N: usize>(page: &mut String, cells: &[String; N]) {
    let cells = cells.each_ref().map(|cell| cell.replace('|', "\\|"));
    page.push_str(&format!("| {} |\n", cells.join(" | ")));
}

fn code(text: &str) -> String {
    format!("`{text}`")
}

fn sets(deployment: &Deployment, parameter: &Parameter) -> String {
    let of_one = |(what, functions): (What, Vec<&'static Function>)| {
        let what = match what {
            What::Variable(name) => code(&name),
            What::Property(words) => words.to_owned(),
        };
        format!("{what} of {}", whom(deployment, &functions))
    };
    let all: Vec<String> = reach(deployment, parameter)
        .into_iter()
        .map(of_one)
        .collect();
    all.join("; ")
}

/// Names functions in as few words as possible.
fn whom(deployment: &Deployment, functions: &[&'static Function]) -> String {
    let has = |one: &Function| functions.iter().any(|other| other.name == one.name);
    let all = deployment.functions();
    if all.iter().all(|one| has(one)) {
        return "every function".to_owned();
    }
    let mut words = Vec::new();
    let mut named: Vec<&str> = Vec::new();
    for (kind, is_of_kind) in KINDS {
        let of_kind = || all.iter().filter(|one| is_of_kind(&one.kind));
        let others: Vec<String> = of_kind()
            .filter(|one| !has(one))
            .map(|one| code(one.name))
            .collect();
        // "Every … but" is shorter only if the exceptions are few.
        if others.len() * 3 > of_kind().count() || of_kind().count() < 2 {
            continue;
        }
        named.extend(of_kind().map(|one| one.name));
        words.push(if others.is_empty() {
            format!("every {kind}")
        } else {
            format!("every {kind} but {}", others.join(", "))
        });
    }
    let rest = functions.iter().filter(|one| !named.contains(&one.name));
    words.extend(rest.map(|one| code(one.name)));
    words.join(", ")
}

type IsOfKind = fn(&Kind) -> bool;

/// The kinds that have many functions.
const KINDS: [(&str, IsOfKind); 3] = [
    ("consumer", |kind| matches!(kind, Kind::Consumer(_))),
    ("job", |kind| matches!(kind, Kind::Job(_))),
    ("API", |kind| matches!(kind, Kind::Api(_))),
];

fn default(parameter: &Parameter) -> String {
    match parameter.default {
        None => "none; required".to_owned(),
        Some("") => "empty".to_owned(),
        Some(text) => code(text),
    }
}

fn allowed(form: Form) -> String {
    let list = |values: Vec<String>| values.join(", ");
    match form {
        Form::Text => "any text".to_owned(),
        Form::Pattern(_, words) => words.to_owned(),
        Form::OneOf(values) => list(values.iter().map(|value| code(value)).collect()),
        Form::Number(least, most) => format!("{least} to {most}"),
        Form::OneOfNumbers(values) => list(values.iter().map(ToString::to_string).collect()),
    }
}

/// A variable, its value and what it means.
type Entry = (String, String, String);

/// The value of a variable that names a resource of the stack.
const FROM_THE_STACK: &str = "from the stack";

/// The variables that no parameter changes, by name.
fn by_itself(deployment: &Deployment) -> BTreeMap<Entry, Vec<&'static Function>> {
    let (name, _, is) = STACK_NAME;
    let of_all = (name.to_owned(), FROM_THE_STACK.to_owned(), is.to_owned());
    let mut rows: BTreeMap<Entry, Vec<&'static Function>> =
        BTreeMap::from([(of_all, deployment.functions().to_vec())]);
    for function in deployment.functions() {
        for variable in settings(deployment, function) {
            let (value, means) = match variable.source {
                Source::Of(_) | Source::IsSet(_) => continue,
                Source::Text(text, means) if text.is_empty() => ("empty".to_owned(), means),
                Source::Text(text, means) => (code(&text), means),
                Source::Made(_, is) => (FROM_THE_STACK.to_owned(), is),
            };
            rows.entry((variable.name, value, means))
                .or_default()
                .push(function);
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_parameter_has_a_row_whatever_is_deployed() {
        for deployment in [Deployment::whole(), Deployment::of([]).expect("the spine")] {
            let page = render(&deployment);
            let parameters = deployment.parameters();
            for parameter in parameters.iter().chain(parameters::OF_ALARMS) {
                let begin = format!("\n| `{}` | ", parameter.name);
                assert!(page.contains(&begin), "{}", parameter.name);
            }
            let mut rows = page.lines().filter(|line| line.starts_with("| "));
            assert!(rows.all(|row| row.replace("\\|", "").split('|').all(|cell| cell != "  ")));
        }
    }

    #[test]
    fn functions_are_named_in_few_words() {
        let deployment = Deployment::whole();
        let consumers = || {
            let all = deployment.functions().iter().copied();
            all.filter(|one| one.consumer().is_some())
        };
        let told = |functions: Vec<&'static Function>| whom(&deployment, &functions);
        assert_eq!(told(deployment.functions().to_vec()), "every function");
        assert_eq!(told(consumers().collect()), "every consumer");
        let others = consumers().filter(|one| one.name != "analytics");
        assert_eq!(told(others.collect()), "every consumer but `analytics`");
        let two = consumers().take(2);
        assert_eq!(told(two.collect()), "`activity-feed`, `analytics`");
    }
}
