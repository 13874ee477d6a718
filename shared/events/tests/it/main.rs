//! Tests of the crate from its users' view: one binary, a module per topic.
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
