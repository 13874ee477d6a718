//! A deployment: the spine and the chosen domains.

mod problems;

use std::{collections::BTreeSet, fmt};

use events::{ContractInfo, Registry, nearest};

use crate::{
    Access, DOMAINS, Domain, Function, Kind, Lane, Method, Parameter, Setting, Table, functions,
    lane, parameters, spine_events, tables,
};

/// A declaration that cannot be deployed, and what to change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The name of the declaration: a function, a domain or a contract.
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
    /// The HTTP method.
    pub method: Method,
    /// Its path, optionally with `{proxy+}` at the end.
    pub path: &'static str,
}

impl Route {
    /// The prefix that the route's function owns: `/health`, or the first segment after `/api/v1`.
    #[must_use]
    pub fn prefix(&self) -> &'static str {
        self.path
            .strip_prefix("/api/v1/")
            .map_or(self.path, |rest| rest.split('/').next().unwrap_or(rest))
    }
}

/// The functions that are deployed together, and everything that follows from them.
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
    /// A [`Problem`] for each name that is not a domain.
    pub fn of<'a>(domains: impl IntoIterator<Item = &'a str>) -> Result<Self, Vec<Problem>> {
        let mut chosen = Vec::new();
        let mut problems = Vec::new();
        for name in domains {
            match DOMAINS.iter().find(|domain| domain.name == name) {
                Some(domain) if !chosen.contains(&domain) => chosen.push(domain),
                Some(_) => {}
                None => problems.push(Problem {
                    declaration: name.to_owned(),
                    advice: no_domain(name),
                }),
            }
        }
        if problems.is_empty() {
            Ok(Self::choose(chosen, functions::ALL.to_vec()))
        } else {
            Err(problems)
        }
    }

    /// Reads a function's setting `DOMAINS`: names separated by commas. If it is empty, only the spine is deployed.
    ///
    /// # Errors
    /// A message for people that says what is wrong with it.
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

    /// All domains, with these functions in addition to the project's own. Tests use it to see how a larger topology
    /// fits AWS's limits.
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
            .copied()
            .chain(spine_events())
            .collect();
        let contracts = Registry::shipped_contracts()
            .iter()
            .filter(|contract| events.contains(domain_of(contract.event_type)))
            .copied()
            .collect();
        let mut deployment = Self {
            functions: all.into_iter().filter(is_deployed).collect(),
            domains,
            contracts,
        };
        // A rule must name at least one event, so a consumer is deployed only with a domain whose events it listens to.
        // A consumer of types without a contract stays, so that `problems` reports it.
        let is_idle = |function: &&'static Function| {
            let is_known = |consumer: &crate::Consumer| {
                let types = consumer.selection.types();
                types.iter().all(|one| has_contract(one.event_type))
            };
            function.consumer().is_some_and(is_known)
                && deployment.contracts_of(function).is_empty()
        };
        let idle: Vec<&str> = deployment
            .functions
            .iter()
            .filter(|function| is_idle(function))
            .map(|function| function.name)
            .collect();
        deployment
            .functions
            .retain(|function| !idle.contains(&function.name));
        deployment
    }

    /// The names of the chosen domains.
    pub fn domains(&self) -> impl Iterator<Item = &'static str> {
        self.domains.iter().map(|domain| domain.name)
    }

    /// The deployed functions, sorted by name.
    #[must_use]
    pub fn functions(&self) -> &[&'static Function] {
        &self.functions
    }

    /// The contracts of the deployed domains.
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

    /// The routes for the preflight requests of browsers. Each path of the front has one, served by the first function
    /// that serves the path.
    #[must_use]
    pub fn preflights(&self, function: &'static Function) -> Vec<Route> {
        let serves =
            |one: &'static Function, path: &str| one.routes().any(|route| route.path == path);
        let mut paths: Vec<&'static str> = Vec::new();
        for route in function.routes() {
            let first = self.functions.iter().find(|one| serves(one, route.path));
            let is_first = first.is_some_and(|first| first.name == function.name);
            if is_first && !paths.contains(&route.path) {
                paths.push(route.path);
            }
        }
        let method = Method::Options;
        paths
            .into_iter()
            .map(|path| Route { method, path })
            .collect()
    }

    /// The lanes of a consumer.
    #[must_use]
    pub fn lanes_of(&self, function: &'static Function) -> Vec<Lane> {
        lane::of(function, self)
    }

    /// Every lane, sorted by consumer.
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

    /// The tables, each once: those of the spine, then the others in the order of their owners.
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

    /// What a function is allowed to do with deployed tables, its own and those of other functions.
    pub fn accesses(&self, function: &'static Function) -> impl Iterator<Item = &'static Access> {
        let tables = self.tables();
        function
            .owns
            .iter()
            .chain(function.reads)
            .filter(move |access| !access.optional || tables.contains(&access.table))
    }

    /// The parameters of the deployment, each once, in the order in which people see them.
    #[must_use]
    pub fn parameters(&self) -> Vec<&'static Parameter> {
        let mut found: Vec<&'static Parameter> = parameters::OF_EVERY_DEPLOYMENT.to_vec();
        for function in &self.functions {
            let of_kind = match &function.kind {
                Kind::Job(job) => vec![Some(job.schedule), job.only_with],
                Kind::Stream(endpoint) => vec![Some(endpoint.reserved), Some(endpoint.url)],
                _ => vec![],
            };
            let of_needs = function.needs.iter().flat_map(|need| need.parameters());
            let of_settings = function.settings.iter().map(Setting::parameter);
            let of_secrets = (function.settings.iter())
                .map(|setting| setting.parameter().and_then(|one| one.secret_arn));
            for parameter in of_settings
                .chain(of_secrets)
                .chain(of_kind)
                .flatten()
                .chain(of_needs.copied())
            {
                if !found.iter().any(|one| one.name == parameter.name) {
                    found.push(parameter);
                }
            }
        }
        found.sort_by_key(|parameter| parameter.group);
        found
    }
}

/// The advice for a name that is not a domain.
fn no_domain(name: &str) -> String {
    let all: Vec<&str> = DOMAINS.iter().map(|one| one.name).collect();
    let meant = nearest(name, all.iter().copied());
    let meant = meant.map_or_else(String::new, |one| format!(" (did you mean {one}?)"));
    format!("is not a domain{meant}; the domains are {}", all.join(", "))
}

/// The first part of an event type.
fn domain_of(event_type: &str) -> &str {
    event_type.split('.').next().unwrap_or_default()
}

/// Whether an event type has a shipped contract, deployed or not.
fn has_contract(event_type: &str) -> bool {
    let mut contracts = Registry::shipped_contracts().iter();
    contracts.any(|contract| contract.event_type == event_type)
}
