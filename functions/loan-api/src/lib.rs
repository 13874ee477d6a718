//! `loan-api`: loans over HTTP, under `/api/v1/loans`.
//!
//! * [`config`]: its settings.
//! * [`router`]: its endpoints; the OpenAPI document comes from them.
//! * [`handler`]: what each endpoint reads, decides and writes.
//! * [`wire`]: what callers send and get.

pub mod config;
pub mod handler;
pub mod router;
pub mod wire;
