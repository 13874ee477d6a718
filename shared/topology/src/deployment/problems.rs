//! Finds the declarations that cannot be deployed. Each problem names its declaration and what to change.

use std::collections::{BTreeMap, BTreeSet};

use crate::{DOMAINS, Function, Kind, LONGEST_NAME, Setting, Table};

use super::{Deployment, Problem, has_contract};

impl Deployment {
    /// Every problem that keeps the declarations from being deployed.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::default();
        self.names(&mut problems);
        self.ownership(&mut problems);
        self.producers(&mut problems);
        self.consumers(&mut problems);
        self.drainers(&mut problems);
        self.prefixes(&mut problems);
        for function in &self.functions {
            conditions(function, &mut problems);
        }
        problems.0
    }

    fn names(&self, problems: &mut Problems) {
        let mut taken = BTreeSet::new();
        for function in &self.functions {
            let name = function.name;
            if !taken.insert(name) {
                problems.add(name, "two functions have this name: rename the newer one");
            }
            if name.len() > LONGEST_NAME {
                problems.add(
                    name,
                    format!(
                        "the name has {} characters of {LONGEST_NAME}: shorten it",
                        name.len()
                    ),
                );
            }
            let is_plain = !name.is_empty()
                && name.starts_with(|first: char| first.is_ascii_lowercase())
                && name
                    .chars()
                    .all(|one| one.is_ascii_lowercase() || one.is_ascii_digit() || one == '-');
            if !is_plain {
                problems.add(name, "a name must be lower-case words joined by hyphens");
            }
            for domain in function.domains {
                if !DOMAINS.iter().any(|one| one.name == *domain) {
                    problems.add(name, format!("the domain {domain} does not exist: use one of shared/topology/src/domain.rs"));
                }
            }
        }
    }

    fn ownership(&self, problems: &mut Problems) {
        let owned = self.tables();
        for function in &self.functions {
            for access in function.reads {
                if access.actions.iter().any(|action| action.writes()) {
                    problems.add(
                        function.name,
                        format!(
                            "writes {}, which it declares under `reads`: only an owner may write, so declare it under `owns`",
                            access.table.logical_id()
                        ),
                    );
                }
                if !access.optional && !owned.contains(&access.table) {
                    problems.add(
                        function.name,
                        format!(
                            "reads {}, which no deployed function owns: deploy its domain, or read it `if_deployed`",
                            access.table.logical_id()
                        ),
                    );
                }
            }
            for access in function.owns.iter().chain(function.reads) {
                for index in access.indexes {
                    if !access.table.indexes.iter().any(|one| one.name == *index) {
                        problems.add(
                            function.name,
                            format!(
                                "{} has no index {index}: declare it with the table",
                                access.table.logical_id()
                            ),
                        );
                    }
                }
            }
        }
        let mut settings: BTreeMap<&str, &Table> = BTreeMap::new();
        for table in owned {
            if let Some(other) = settings.insert(table.setting, table) {
                problems.add(
                    table.logical_id(),
                    format!(
                        "{} has the same setting {}: use another name",
                        other.logical_id(),
                        table.setting
                    ),
                );
            }
        }
    }

    fn producers(&self, problems: &mut Problems) {
        for contract in &self.contracts {
            // A consumer whose own events come from a domain that is not deployed is idle here and emits nothing.
            let is_known = |name| crate::function(name).is_some();
            let mut deployed = self.functions.iter();
            if !deployed.any(|function| function.name == contract.producer)
                && !is_known(contract.producer)
            {
                problems.add(
                    contract.event_type,
                    format!(
                        "its producer {} is not a function: name the function that emits it",
                        contract.producer
                    ),
                );
            }
        }
    }

    fn consumers(&self, problems: &mut Problems) {
        for function in &self.functions {
            let Some(consumer) = function.consumer() else {
                continue;
            };
            for one in consumer.selection.types() {
                if !has_contract(one.event_type) {
                    problems.add(
                        function.name,
                        format!(
                            "listens to {}, which has no contract in `events::contracts::all`",
                            one.event_type
                        ),
                    );
                }
            }
            if self.contracts_of(function).is_empty() {
                problems.add(
                    function.name,
                    "listens to nothing: name the types, domains or kinds of events that it takes",
                );
            }
        }
    }

    /// Two functions that drain one queue would each get some of its messages.
    fn drainers(&self, problems: &mut Problems) {
        let mut first = None;
        for function in &self.functions {
            if !matches!(function.kind, Kind::DeadLetters) {
                continue;
            }
            match first {
                None => first = Some(function.name),
                Some(first) => problems.add(
                    function.name,
                    format!(
                        "drains the dead-letter queue, which {first} already drains: a deployment has one function of the kind DeadLetters"
                    ),
                ),
            }
        }
    }

    fn prefixes(&self, problems: &mut Problems) {
        // The owner is checked per method: a function that only reads events needs none of the permissions of one that
        // accepts them.
        let mut owners: BTreeMap<(&str, &str), &str> = BTreeMap::new();
        for function in &self.functions {
            for route in function.routes() {
                let is_outside = ["/health", "/dashboard", "/dashboard/{proxy+}"];
                if !is_outside.contains(&route.path) && !route.path.starts_with("/api/v1/") {
                    problems.add(
                        function.name,
                        format!(
                            "serves {}: every path except /health and /dashboard must begin with /api/v1",
                            route.path
                        ),
                    );
                }
                let owner = owners
                    .entry((route.method.as_str(), route.prefix()))
                    .or_insert(function.name);
                if *owner != function.name {
                    problems.add(
                        function.name,
                        format!(
                            "serves {} {}, but {owner} owns that prefix: a prefix has one owner for each method",
                            route.method.as_str(),
                            route.path
                        ),
                    );
                }
            }
        }
    }
}

/// A parameter needs a condition if something depends on whether it was set.
fn conditions(function: &'static Function, problems: &mut Problems) {
    let of_settings = function
        .settings
        .iter()
        .filter(|setting| matches!(setting.value, crate::Value::IsSet(_)))
        .filter_map(Setting::parameter);
    let of_job = function.job().and_then(|job| job.only_with);
    for parameter in of_settings.chain(of_job) {
        if parameter.condition.is_none() {
            problems.add(
                function.name,
                format!(
                    "depends on {} being set: give the parameter a condition",
                    parameter.name
                ),
            );
        }
    }
}

#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, declaration: impl Into<String>, advice: impl Into<String>) {
        self.0.push(Problem {
            declaration: declaration.into(),
            advice: advice.into(),
        });
    }
}

#[cfg(test)]
mod tests {
    use events::{Evidence, Selection, Subscribed};

    use super::*;
    use crate::{
        Access,
        Action::{Get, Put},
        Api, Consumer, Method, functions, parameters,
    };

    const NOBODYS: Table = Table::new("Nobodys", "NOBODYS_TABLE", "What nobody owns.");
    const MEMBER: &Table = &functions::member_api::TABLE;

    fn consumer(name: &'static str) -> Function {
        let selection = Selection::Types(&[Subscribed {
            event_type: "cloud.minted",
            version: 1,
            evidence: Evidence::Mark,
        }]);
        Function::new(
            name,
            "A trial.",
            Kind::Consumer(Consumer::selecting(selection)),
        )
    }

    fn problems(function: Function) -> Vec<Problem> {
        let function: &'static Function = Box::leak(Box::new(function));
        Deployment::with([function]).problems()
    }

    #[test]
    fn a_consumer_comes_with_the_domains_that_it_listens_to_and_names_none() {
        let trial: &'static Function = Box::leak(Box::new(consumer("trial")));
        let with = |name: &str| {
            let domains = DOMAINS
                .iter()
                .filter(|domain| domain.name == name)
                .collect();
            let deployment = Deployment::choose(domains, vec![trial]);
            deployment.functions().len()
        };
        assert_eq!((with("cloud"), with("wallet"), with("none")), (1, 0, 0));
    }

    #[test]
    fn what_is_declared_can_be_deployed_with_any_domains() {
        assert_eq!(Deployment::whole().problems(), []);
        for domain in DOMAINS {
            let deployment = Deployment::of([domain.name]).expect("a domain");
            assert_eq!(deployment.problems(), [], "{}", domain.name);
        }
        let spine = Deployment::of([]).expect("the spine");
        assert_eq!(spine.problems(), []);
        let names: Vec<&str> = spine.functions().iter().map(|one| one.name).collect();
        for name in [
            "outbox-relay",
            "event-feed",
            "event-stream",
            "system-api",
            "member-api",
            "analytics",
        ] {
            assert!(names.contains(&name), "{name} is not in {names:?}");
        }
        assert!(
            !names
                .iter()
                .any(|name| name.contains("wallet") || name.contains("cloud")),
            "{names:?}"
        );
    }

    #[test]
    fn what_cannot_be_deployed_is_named_with_what_to_change() {
        let wrong: Vec<(Function, &str)> = vec![
            (consumer("analytics"), "two functions have this name"),
            (
                consumer("a-name-of-more-than-28-letters"),
                "the name has 30 characters of 28",
            ),
            (consumer("Shouting"), "lower-case words"),
            (
                consumer("trial")
                    .with_domains(&["loans"])
                    .with_domains(&["cloud", "loans"]),
                "the domain loans does not exist",
            ),
            (
                consumer("trial").reading(const { &[Access::to(&NOBODYS, &[Get])] }),
                "no deployed function owns",
            ),
            (
                consumer("trial").reading(const { &[Access::to(MEMBER, &[Put])] }),
                "only an owner may write",
            ),
            (
                consumer("trial")
                    .owning(const { &[Access::to(&NOBODYS, &[Put]).and_indexes(&["late"])] }),
                "has no index late",
            ),
            (
                Function::new(
                    "trial",
                    "A trial.",
                    Kind::Api(Api::of(&[(Method::Get, "/api/v1/members/{proxy+}")])),
                ),
                "one owner for each method",
            ),
            (
                Function::new(
                    "trial",
                    "A trial.",
                    Kind::Api(Api::of(&[(Method::Get, "/trial")])),
                ),
                "every path except /health and /dashboard must begin with /api/v1",
            ),
            (
                Function::new("trial", "A trial.", Kind::DeadLetters),
                "which dead-letters already drains",
            ),
            (
                consumer("trial").with_settings(&[Setting {
                    name: "APP_URL",
                    value: crate::Value::IsSet(&parameters::APP_URL),
                }]),
                "give the parameter a condition",
            ),
            (
                Function::new(
                    "trial",
                    "A trial.",
                    Kind::Consumer(Consumer::selecting(Selection::Types(&[Subscribed {
                        event_type: "ship.sent",
                        version: 1,
                        evidence: Evidence::Mark,
                    }]))),
                ),
                "has no contract",
            ),
        ];
        for (function, advice) in wrong {
            let name = function.name;
            let found = problems(function);
            assert!(
                found
                    .iter()
                    .any(|problem| problem.declaration == name && problem.advice.contains(advice)),
                "{name}, {advice}: {found:?}"
            );
        }
    }

    #[test]
    fn a_domain_that_is_not_there_is_named_with_those_that_are() {
        let problems = Deployment::of(["shipping"]).expect_err("no such domain");
        assert_eq!(problems.len(), 1);
        assert!(problems[0].to_string().contains(
            "shipping: is not a domain; the domains are cloud, wallet, loan, settlement"
        ));
        assert!(Deployment::of_setting("cloud, wallet").is_ok());
        assert!(Deployment::of_setting("cloud;wallet").is_err());
    }
}
