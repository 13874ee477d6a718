//! The topology: what each function of Millrace is, and what it listens to, owns, reads and needs.
//!
//! Each function is declared once, in `functions/<name>/declaration.rs`. The following are made from the declarations
//! and the contracts: `template.yaml` and `infra/aws-only.yaml` (`make template`), the consumers' names and
//! subscriptions in code, and the lists that the tools use: audit, dashboard, campaign, Flow, costs. See
//! `infra/adr/0024-declared-topology.md`.
//!
//! This crate is pure: no AWS, no I/O. An invalid declaration either does not compile, or is a [`Problem`] that names
//! the declaration and what to change.

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
pub use domain::{DOMAINS, Domain, spine_events};
pub use function::{
    Api, Concurrency, Consumer, Endpoint, Function, HEARTBEAT, HEARTBEAT_ARRIVAL, Job, JobAlarm,
    Kind, LONGEST_NAME, Method, Need, pascal,
};
pub use lane::{
    DEAD_LETTERS, EXPRESS, LANE_RETENTION, Lane, STACK_NAME_AT_MOST, STANDARD, physical_name,
};
pub use parameter::{Form, Group, Parameter, Setting, Value};

/// The declarations, one module per function.
pub mod functions {
    include!(concat!(env!("OUT_DIR"), "/functions.rs"));
}

/// The function with this name.
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
