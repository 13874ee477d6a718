//! A reverse proxy between functions and AWS that makes calls go wrong, by a seed, and counts them.
//!
//! Functions get its address as `AWS_ENDPOINT_URL`. Without rules everything passes as it is, byte for byte. With
//! [`Rules`] a call is late, turned away, cut off before or after it took effect, answered in part, doubled or held back:
//! [`Kind`] lists what there is. The n-th call of an operation meets the same fate for the same seed.
//!
//! Bodies are changed for some kinds without signing them again, so this stands before an endpoint that does not check
//! the bodies' signatures, such as a local AWS: never before the real one.
//!
//! [`Counts`] tell calls, items, units and faults by operation and by caller; how units are taken from requests, and what
//! is an assumption there, is said in `units.rs`:
//!
//! - updates, deletes and condition checks are taken for items of at most 1 KB, which requests do not show;
//! - indexes and rows that a filter left out are not seen.
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
