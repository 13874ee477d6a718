//! The one integration binary: a module per story.

mod campaign;
mod conformance;
mod e2e;
mod flow;
mod imports;
mod readme;
mod settings;
mod wiring;
