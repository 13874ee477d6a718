//! The integration tests: one binary, with a module for each story.

mod campaign;
mod conformance;
mod deliveries;
mod e2e;
mod flow;
mod imports;
mod jobs;
mod parameters;
mod readme;
