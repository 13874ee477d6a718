//! The one integration binary: a module per story.

mod flow;
mod wiring;
