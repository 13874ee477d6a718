//! `member-api`: members, and what they are told, over HTTP, under `/api/v1/members`.
//!
//! * [`router`]: its endpoints; the OpenAPI document comes from them.
//! * [`handler`]: what each endpoint reads, decides and writes.

pub mod handler;
pub mod router;
