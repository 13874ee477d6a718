//! What a parameter affects: environment variables of functions, and other properties of functions.

use topology::{Concurrency, Deployment, EXPRESS, Function, Kind, Need, Parameter, parameters};

use crate::{
    role::secrets_of,
    settings::{OF_EVERY_FUNCTION, Source, settings},
};

/// The part of a function that a parameter affects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum What {
    /// A variable of its environment.
    Variable(String),
    /// Another property, described in words.
    Property(&'static str),
}

/// What a parameter affects, and in which functions. A parameter that affects no function belongs to the template
/// alone.
pub(crate) fn reach(
    deployment: &Deployment,
    parameter: &Parameter,
) -> Vec<(What, Vec<&'static Function>)> {
    let mut found: Vec<(What, Vec<&'static Function>)> = Vec::new();
    for function in deployment.functions() {
        for what in of_function(deployment, function, parameter) {
            match found.iter_mut().find(|(known, _)| *known == what) {
                Some((_, functions)) => functions.push(function),
                None => found.push((what, vec![function])),
            }
        }
    }
    found
}

fn of_function(
    deployment: &Deployment,
    function: &'static Function,
    parameter: &Parameter,
) -> Vec<What> {
    let of_all = OF_EVERY_FUNCTION
        .iter()
        .map(|(name, parameter)| ((*name).to_owned(), *parameter));
    let own = settings(deployment, function);
    let own = own
        .into_iter()
        .filter_map(|variable| match variable.source {
            Source::Of(parameter) | Source::IsSet(parameter) => Some((variable.name, parameter)),
            Source::Text(..) | Source::Made(..) => None,
        });
    let variables = of_all
        .chain(own)
        .filter(|(_, one)| {
            let mut both = one.secret_arn.into_iter().chain([*one]);
            both.any(|one| one.name == parameter.name)
        })
        .map(|(name, _)| What::Variable(name));
    let properties = properties(deployment, function)
        .into_iter()
        .filter(|(one, _)| one.name == parameter.name)
        .map(|(_, what)| What::Property(what));
    variables.chain(properties).collect()
}

/// The properties beside the environment that parameters affect.
fn properties(
    deployment: &Deployment,
    function: &'static Function,
) -> Vec<(&'static Parameter, &'static str)> {
    let mut found = vec![
        (&parameters::ARCHITECTURE, "the processor"),
        (&parameters::PROTECT_DATA, "the tables"),
        (&parameters::RESTORED_TABLES, "the names of the tables"),
        (&parameters::DEMAND_TLS, "the queues and the bucket"),
        (&parameters::LOG_RETENTION_DAYS, "the log group"),
        (&parameters::STAGE, "the tag `stage`"),
    ];
    match &function.kind {
        Kind::Relay => {
            found.push((
                &parameters::RELAY_RESERVED_CONCURRENCY,
                "the reserved concurrency",
            ));
        }
        Kind::Consumer(consumer) => {
            found.push((
                &parameters::CONSUMER_RESERVED_CONCURRENCY,
                "the reserved concurrency",
            ));
            if consumer.lane_concurrency == Concurrency::Parameter {
                found.push((&parameters::LANE_MAXIMUM_CONCURRENCY, "each lane"));
            }
            let lanes = deployment.lanes_of(function);
            if lanes.iter().any(|lane| lane.name != EXPRESS) {
                let parameter = &parameters::STANDARD_BATCHING_WINDOW_SECONDS;
                found.push((parameter, "the standard lane"));
            }
        }
        Kind::Job(job) => {
            found.push((job.schedule, "the schedule"));
            found.extend(
                job.only_with
                    .map(|parameter| (parameter, "whether there is a schedule")),
            );
        }
        Kind::Api(_) => {
            found.push((&parameters::API_RATE_LIMIT, "the front"));
            found.push((&parameters::API_BURST_LIMIT, "the front"));
        }
        Kind::DeadLetters => {}
        Kind::Stream(endpoint) => {
            found.push((endpoint.reserved, "the reserved concurrency"));
            found.push((endpoint.url, "the Function URL"));
        }
    }
    found.extend(secrets_of(function).map(|secret| (secret, "the role")));
    if function.needs(Need::StreamTokens) {
        found.push((
            &parameters::STREAM_TOKEN_SECRET_ARN,
            "the secret of the stream tokens",
        ));
    }
    if function.needs(Need::StreamAddress) {
        found.push((&parameters::STREAM_ADDRESS, "the stream's address"));
        found.push((&parameters::STREAM_FUNCTION_URL, "the stream's address"));
    }
    if function.needs(Need::SendMail) {
        found.push((&parameters::SES_RESOURCE, "the role"));
    }
    if function.needs(Need::Seal) {
        found.push((&parameters::EXISTING_AUDIT_KEY_ARN, "the key"));
    }
    if function.needs(Need::KeepFailures) {
        found.push((
            &parameters::KEEP_FAILED_INVOCATIONS,
            "the on-failure destination",
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    /// A function's part of the template: the text between its heading and the next.
    fn part<'a>(template: &'a str, function: &Function) -> &'a str {
        let rule = "\n  # -----";
        let code = format!("CodeUri: target/lambda/{}/\n", function.name);
        // The outputs follow the last function and belong to none.
        let (template, _) = template.split_once("\nOutputs:").expect("outputs");
        template
            .split(rule)
            .find(|part| part.contains(&code))
            .expect("a part with the function's code")
    }

    fn mentions(text: &str, parameter: &Parameter) -> bool {
        let is_whole = |rest: &str| !rest.starts_with(|next: char| next.is_alphanumeric());
        let names = |word: &str| text.split(word).skip(1).any(is_whole);
        let has = format!("Has{}", parameter.name);
        names(&format!("!Ref {}", parameter.name))
            || names(&format!("Condition: {has}"))
            || names(&format!("!If [{has}"))
            || parameter
                .condition
                .is_some_and(|condition| names(&format!("!If [{condition}")))
    }

    /// The template has these only once, for all functions.
    const SHARED: [&Parameter; 8] = [
        &parameters::STAGE,
        &parameters::PROTECT_DATA,
        &parameters::RESTORED_TABLES,
        &parameters::DEMAND_TLS,
        &parameters::ARCHITECTURE,
        &parameters::LOG_LEVEL,
        &parameters::API_RATE_LIMIT,
        &parameters::API_BURST_LIMIT,
    ];

    #[test]
    fn a_parameter_reaches_the_functions_whose_part_of_the_template_mentions_it() {
        let deployment = Deployment::whole();
        let template =
            crate::main_template::render(&deployment, crate::Shift::AllAtOnce).expect("rendered");
        for parameter in deployment.parameters() {
            let reached: BTreeSet<&str> = reach(&deployment, parameter)
                .into_iter()
                .flat_map(|(_, functions)| functions)
                .map(|function| function.name)
                .collect();
            assert!(!reached.is_empty(), "{} reaches nothing", parameter.name);
            if SHARED.iter().any(|one| one.name == parameter.name) {
                let all = parameter.group == topology::Group::Every;
                assert_eq!(all, reached.len() == deployment.functions().len());
                continue;
            }
            let mentioned: BTreeSet<&str> = deployment
                .functions()
                .iter()
                .filter(|function| {
                    let part = part(&template, function);
                    // A parameter that can come from a secret has a value if either has one.
                    let mut or_secret = deployment.parameters().into_iter();
                    mentions(part, parameter)
                        || or_secret.any(|one| {
                            let is_secret = |secret: &Parameter| secret.name == parameter.name;
                            one.secret_arn.is_some_and(is_secret) && mentions(part, one)
                        })
                })
                .map(|function| function.name)
                .collect();
            assert_eq!(reached, mentioned, "{}", parameter.name);
        }
    }
}
