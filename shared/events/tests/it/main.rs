//! Stories of the crate as its users see it: one binary, a module per story.

mod agreement;
mod compatibility;
mod messages;
mod released;
mod robustness;
mod sealing;
mod seeds;
mod support;
mod upcasting;
