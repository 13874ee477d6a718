//! A reverse proxy between functions and AWS. It makes calls fail, by a seed, and counts them.
//!
//! Functions use its address as `AWS_ENDPOINT_URL`. Without rules, everything passes unchanged, byte for byte. With
//! [`Rules`], a call is delayed, rejected, cut off before or after it took effect, answered in part, doubled or held
//! back; [`Kind`] lists all faults. For the same seed, the same thing happens to the n-th call of an operation.
//!
//! For some faults the proxy changes a body without signing it again. So it must stand in front of an endpoint that
//! does not check the signatures of bodies, such as a local AWS: never in front of the real one.
//!
//! [`Counts`] has calls, items, units and faults by operation and by caller. `units.rs` describes how units are
//! computed from requests, and where that is an assumption:
//!
//! - updates, deletes and condition checks count as items of at most 1 KB, because a request does not show the item's
//!   size;
//! - indexes, and rows that a filter left out, are not counted.
//!
//! ```text
//! fault-proxy 127.0.0.1:4600 http://127.0.0.1:4566      # the binary: where it listens, what stands behind it
//! curl -X PUT localhost:4600/_fault-proxy/rules -d '{"seed": 7, "rules": [
//!     {"service": "dynamodb", "faults": {"throttle": 0.05, "reset_after": 0.01, "delay": 0.1}, "delay_ms": [10, 200]}]}'
//! curl localhost:4600/_fault-proxy/counts
//! ```

mod answers;
mod control;
mod counts;
mod operation;
mod partial;
mod refusals;
mod reset;
mod rules;
mod server;
mod sign;
mod units;

pub use self::{
    control::{CONTROL_PATH, InFlight, ProxyControl},
    counts::{Counts, Tally},
    operation::Operation,
    rules::{Decision, Kind, Rule, Rules},
    server::FaultProxy,
};
