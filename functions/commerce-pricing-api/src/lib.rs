//! `commerce-pricing-api`: prices over HTTP, and what an order comes to.
//!
//! * [`router`]: its endpoints. The OpenAPI document is generated from them.
//! * [`handler`]: what each endpoint reads, decides and writes.
//! * [`wire`]: request and response bodies.

pub mod handler;
pub mod router;
pub mod wire;
