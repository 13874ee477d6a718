//! `commerce-catalog-api`: products, their categories and stock over HTTP.
//!
//! * [`router`]: its endpoints. The OpenAPI document is generated from them.
//! * [`handler`]: what each endpoint reads, decides and writes.
//! * [`wire`]: request and response bodies.

pub mod handler;
pub mod router;
pub mod wire;
