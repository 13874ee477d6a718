//! The one integration binary: a module per story.

mod campaign;
mod conformance;
mod e2e;
mod flow;
mod readme;
mod wiring;
