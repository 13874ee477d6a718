//! `operator-api`: what an operator does, over HTTP: dead letters and the operations over them under `/api/v1/letters`, and
//! the pausing of consumers under `/api/v1/consumers`, replays under `/api/v1/replays`, and scheduled jobs under `/api/v1/jobs`.
//!
//! * [`config`]: its settings.
//! * [`router`]: its endpoints. The OpenAPI document is generated from them.
//! * [`handler`]: what each endpoint reads, decides and writes.
//! * [`stack`]: the port to what AWS knows of the stack.
//! * [`wire`]: request and response bodies.

pub mod config;
pub mod handler;
pub mod router;
pub mod stack;
pub mod wire;
