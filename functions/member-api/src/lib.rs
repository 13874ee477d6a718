//! `member-api`: members and their in-app notes over HTTP, under `/api/v1/members`.
//!
//! * [`router`]: its endpoints. The OpenAPI document is generated from them.
//! * [`handler`]: what each endpoint reads, decides and writes.

pub mod handler;
pub mod router;
