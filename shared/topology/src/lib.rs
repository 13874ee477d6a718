//! The topology: what each function of Millrace is, what it listens to, owns, reads and needs.
//!
//! A function is declared once, in `functions/<name>/declaration.rs`. From the declarations and the contracts follow
//! `template.yaml` and `infra/aws-only.yaml` (`make template`), the consumers' names and subscriptions in code, and the lists of
//! the tools: audit, dashboard, campaign, Flow, costs. See `infra/adr/0024-declared-topology.md`.
//!
//! This crate is pure: no AWS, no I/O. What cannot be declared does not compile or is a [`Problem`], which names the
//! declaration and says what to change.

mod access;
mod deployment;
mod domain;
mod function;
mod lane;
mod parameter;
pub mod parameters;
pub mod tables;

pub use access::{Access, Action, Index, Key, Projection, Table};
pub use deployment::{Deployment, Problem, Route};
pub use domain::{DOMAINS, Domain, SPINE_EVENTS};
pub use function::{
    Api, Concurrency, Consumer, Endpoint, Function, Job, JobAlarm, Kind, LONGEST_NAME, Method,
    Need, pascal,
};
pub use lane::{EXPRESS, Lane, STACK_NAME_AT_MOST, STANDARD, physical_name};
pub use parameter::{Form, Group, Parameter, Setting, Value};

/// The declarations, a module per function.
pub mod functions {
    include!(concat!(env!("OUT_DIR"), "/functions.rs"));
}

/// The function of this name.
#[must_use]
pub fn function(name: &str) -> Option<&'static Function> {
    functions::ALL
        .iter()
        .copied()
        .find(|function| function.name == name)
}

/// Every consumer of the project.
pub fn consumers() -> impl Iterator<Item = (&'static Function, &'static Consumer)> {
    functions::ALL
        .iter()
        .filter_map(|function| Some((*function, function.consumer()?)))
}
