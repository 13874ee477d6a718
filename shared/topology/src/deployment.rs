//! What is deployed: the spine, and the domains that were chosen.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
};

use events::{ContractInfo, Registry};

use crate::{
    Access, DOMAINS, Domain, Function, Kind, LONGEST_NAME, Lane, Method, Need, Parameter,
    SPINE_EVENTS, Setting, Table, functions, lane, parameters, pascal, tables,
};

/// A declaration that cannot be deployed, and what to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The declaration: a function's name, a domain's, a contract's.
    pub declaration: String,
    /// What is wrong and what to change.
    pub advice: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.declaration, self.advice)
    }
}

/// A route of the front and the function that serves it.
#[derive(Debug, Clone, Copy)]
pub struct Route {
    /// How it is called.
    pub method: Method,
    /// Its path, perhaps with `{proxy+}` at the end.
    pub path: &'static str,
}

impl Route {
    /// What a function owns by it: `/health`, or the first segment after `/api/v1`.
    #[must_use]
    pub fn prefix(&self) -> &'static str {
        self.path
            .strip_prefix("/api/v1/")
            .map_or(self.path, |rest| rest.split('/').next().unwrap_or(rest))
    }

    /// The name of its event in the template: `PostWallets`, `GetWalletsUnder`.
    #[must_use]
    pub fn event_name(&self) -> String {
        let words = self
            .path
            .trim_start_matches("/api/v1")
            .split(['/', '.', '-', '_'])
            .filter(|word| !word.is_empty())
            .map(|word| if word == "{proxy+}" { "under" } else { word });
        let mut name = pascal(&self.method.as_str().to_lowercase());
        for word in words {
            name.push_str(&pascal(word));
        }
        name
    }
}

/// The functions that are deployed together, and all that follows from them.
#[derive(Debug, Clone)]
pub struct Deployment {
    domains: Vec<&'static Domain>,
    functions: Vec<&'static Function>,
    contracts: Vec<ContractInfo>,
}

impl Deployment {
    /// The spine and all domains.
    #[must_use]
    pub fn whole() -> Self {
        Self::choose(DOMAINS.iter().collect(), functions::ALL.to_vec())
    }

    /// The spine and these domains.
    ///
    /// # Errors
    /// A [`Problem`] for each name that is no domain's.
    pub fn of<'a>(domains: impl IntoIterator<Item = &'a str>) -> Result<Self, Vec<Problem>> {
        let mut chosen = Vec::new();
        let mut problems = Vec::new();
        for name in domains {
            match DOMAINS.iter().find(|domain| domain.name == name) {
                Some(domain) if !chosen.contains(&domain) => chosen.push(domain),
                Some(_) => {}
                None => problems.push(Problem {
                    declaration: name.to_owned(),
                    advice: format!(
                        "is no domain; there are {}",
                        DOMAINS
                            .iter()
                            .map(|one| one.name)
                            .collect::<Vec<_>>()
                            .join(", ")
                    ),
                }),
            }
        }
        if problems.is_empty() {
            Ok(Self::choose(chosen, functions::ALL.to_vec()))
        } else {
            Err(problems)
        }
    }

    /// What a function's setting `DOMAINS` says: names with commas between them; empty: the spine alone.
    ///
    /// # Errors
    /// What is wrong with it, for people.
    pub fn of_setting(domains: &str) -> Result<Self, String> {
        let names = domains
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty());
        Self::of(names).map_err(|problems| {
            let problems: Vec<String> = problems.iter().map(ToString::to_string).collect();
            problems.join("; ")
        })
    }

    /// All domains, with these functions beside the project's own: what a larger topology would come to.
    #[must_use]
    pub fn with(more: impl IntoIterator<Item = &'static Function>) -> Self {
        let all = functions::ALL.iter().copied().chain(more).collect();
        Self::choose(DOMAINS.iter().collect(), all)
    }

    fn choose(domains: Vec<&'static Domain>, all: Vec<&'static Function>) -> Self {
        let is_deployed = |function: &&'static Function| {
            function.domains.is_empty()
                || function
                    .domains
                    .iter()
                    .any(|name| domains.iter().any(|domain| domain.name == *name))
        };
        let events: BTreeSet<&str> = domains
            .iter()
            .flat_map(|domain| domain.events)
            .chain(SPINE_EVENTS)
            .copied()
            .collect();
        let contracts = Registry::shipped()
            .contracts()
            .iter()
            .filter(|contract| events.contains(domain_of(contract.event_type)))
            .copied()
            .collect();
        let mut deployment = Self {
            functions: all.into_iter().filter(is_deployed).collect(),
            domains,
            contracts,
        };
        // A rule must name something: without a contract that is kept for ever there is nothing for the audit log to listen to.
        let idle: Vec<&str> = deployment
            .functions
            .iter()
            .filter(|function| {
                let by_kind = |consumer: &crate::Consumer| {
                    !matches!(consumer.selection, events::Selection::Types(_))
                };
                function.consumer().is_some_and(by_kind)
                    && deployment.contracts_of(function).is_empty()
            })
            .map(|function| function.name)
            .collect();
        deployment
            .functions
            .retain(|function| !idle.contains(&function.name));
        deployment
    }

    /// The chosen domains, by name.
    pub fn domains(&self) -> impl Iterator<Item = &'static str> {
        self.domains.iter().map(|domain| domain.name)
    }

    /// The functions, by name.
    #[must_use]
    pub fn functions(&self) -> &[&'static Function] {
        &self.functions
    }

    /// The contracts of what is deployed.
    #[must_use]
    pub fn contracts(&self) -> &[ContractInfo] {
        &self.contracts
    }

    /// The contracts that a consumer listens to.
    #[must_use]
    pub fn contracts_of(&self, function: &Function) -> Vec<ContractInfo> {
        let Some(consumer) = function.consumer() else {
            return Vec::new();
        };
        self.contracts
            .iter()
            .filter(|contract| consumer.selection.takes(contract.event_type))
            .copied()
            .collect()
    }

    /// The lanes of a consumer.
    #[must_use]
    pub fn lanes_of(&self, function: &'static Function) -> Vec<Lane> {
        lane::of(function, self)
    }

    /// Every lane, by consumer.
    #[must_use]
    pub fn lanes(&self) -> Vec<(&'static Function, Lane)> {
        self.functions
            .iter()
            .flat_map(|function| {
                self.lanes_of(function)
                    .into_iter()
                    .map(|lane| (*function, lane))
            })
            .collect()
    }

    /// The tables, each once: those of the spine, then as the functions own them.
    #[must_use]
    pub fn tables(&self) -> Vec<&'static Table> {
        let mut found: Vec<&'static Table> = vec![&tables::EVENTS, &tables::MARKS, &tables::KEYS];
        for access in self.functions.iter().flat_map(|function| function.owns) {
            if !found.contains(&access.table) {
                found.push(access.table);
            }
        }
        found
    }

    /// What a function may do to tables of its own and of others, as far as they are deployed.
    pub fn accesses(&self, function: &'static Function) -> impl Iterator<Item = &'static Access> {
        let tables = self.tables();
        function
            .owns
            .iter()
            .chain(function.reads)
            .filter(move |access| !access.optional || tables.contains(&access.table))
    }

    /// The parameters that the deployment has, each once, in the order in which people see them.
    #[must_use]
    pub fn parameters(&self) -> Vec<&'static Parameter> {
        let mut found: Vec<&'static Parameter> = parameters::OF_EVERY_DEPLOYMENT.to_vec();
        for function in &self.functions {
            let of_kind = match &function.kind {
                Kind::Job(job) => vec![Some(job.schedule), job.only_with],
                Kind::Stream(endpoint) => vec![Some(endpoint.reserved)],
                _ => vec![],
            };
            let of_needs = function
                .needs(Need::SendMail)
                .then_some([&parameters::EMAIL_SENDER, &parameters::SES_RESOURCE]);
            let of_settings = function.settings.iter().map(Setting::parameter);
            for parameter in of_settings
                .chain(of_kind)
                .flatten()
                .chain(of_needs.into_iter().flatten())
            {
                if !found.iter().any(|one| one.name == parameter.name) {
                    found.push(parameter);
                }
            }
        }
        found.sort_by_key(|parameter| parameter.group);
        found
    }

    /// What keeps the declarations from being deployed.
    #[must_use]
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::default();
        self.names(&mut problems);
        self.ownership(&mut problems);
        self.producers(&mut problems);
        self.consumers(&mut problems);
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
                problems.add(name, "a name is lower-case words joined by hyphens");
            }
            for domain in function.domains {
                if !DOMAINS.iter().any(|one| one.name == *domain) {
                    problems.add(name, format!("no domain is called {domain}: name one of shared/topology/src/domain.rs"));
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
                            "writes {} as another's: only an owner writes, declare it under `owns`",
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
                        "{} has the same setting {}: name another",
                        other.logical_id(),
                        table.setting
                    ),
                );
            }
        }
    }

    fn producers(&self, problems: &mut Problems) {
        for contract in &self.contracts {
            if !self
                .functions
                .iter()
                .any(|function| function.name == contract.producer)
            {
                problems.add(
                    contract.event_type,
                    format!(
                        "its producer {} is no deployed function: name the function that emits it",
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
            let registry = Registry::shipped();
            for one in consumer.selection.types() {
                let known = registry
                    .contracts()
                    .iter()
                    .any(|contract| contract.event_type == one.event_type);
                if !known {
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
                    "listens to nothing of what is deployed: name the domains with which it is deployed",
                );
            }
        }
    }

    fn prefixes(&self, problems: &mut Problems) {
        let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
        for function in &self.functions {
            for route in function.routes() {
                if route.path != "/health" && !route.path.starts_with("/api/v1/") {
                    problems.add(
                        function.name,
                        format!(
                            "serves {}: everything but /health stands under /api/v1",
                            route.path
                        ),
                    );
                }
                let owner = owners.entry(route.prefix()).or_insert(function.name);
                if *owner != function.name {
                    problems.add(
                        function.name,
                        format!(
                            "serves {}, but {owner} owns that prefix: a prefix has one owner",
                            route.path
                        ),
                    );
                }
            }
        }
    }
}

/// What depends on a parameter being set asks for a condition.
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

/// The first part of an event type.
fn domain_of(event_type: &str) -> &str {
    event_type.split('.').next().unwrap_or_default()
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
        Action::{Get, Put},
        Api, Consumer,
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
                "no domain is called loans",
            ),
            (
                consumer("trial").reading(const { &[Access::to(&NOBODYS, &[Get])] }),
                "no deployed function owns",
            ),
            (
                consumer("trial").reading(const { &[Access::to(MEMBER, &[Put])] }),
                "only an owner writes",
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
                "a prefix has one owner",
            ),
            (
                Function::new(
                    "trial",
                    "A trial.",
                    Kind::Api(Api::of(&[(Method::Get, "/trial")])),
                ),
                "everything but /health stands under /api/v1",
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
                        event_type: "loan.funded",
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
        let problems = Deployment::of(["loan"]).expect_err("no such domain");
        assert_eq!(problems.len(), 1);
        assert!(
            problems[0]
                .to_string()
                .contains("loan: is no domain; there are cloud, wallet, settlement")
        );
        assert!(Deployment::of_setting("cloud, wallet").is_ok());
        assert!(Deployment::of_setting("cloud;wallet").is_err());
    }
}
