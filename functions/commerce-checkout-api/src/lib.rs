//! `commerce-checkout-api`: customers, their carts, their quotes and their orders over HTTP.
//!
//! * [`router`]: its endpoints. The OpenAPI document is generated from them.
//! * [`handler`]: what each endpoint reads, decides and writes.
//! * [`wire`]: request and response bodies.

pub mod handler;
pub mod router;
pub mod wire;
