//! Stories of the crate as its users see it: one binary, a module per story.
#![allow(
    clippy::expect_used,
    clippy::panic,
    clippy::float_arithmetic,
    reason = "helpers of tests may be blunt, and bending numbers is not computing money"
)]

mod agreement;
mod cloudevents;
mod compatibility;
mod messages;
mod released;
mod robustness;
mod sealing;
mod seeds;
mod selecting;
mod support;
mod upcasting;
