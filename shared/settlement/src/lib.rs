//! Payments and the settlements of them: two state machines, and the rules around them.
//!
//! Decisions are pure: state, command, ids and time come in; the new state with the events that tell of it, or a
//! [`Refusal`], comes out. Nothing here reads a clock or makes an id. A state's fields are private and change in one place,
//! which makes the event in the same breath: a change without an event cannot be written.
//!
//! * [`machine`]: which status may follow which, as tables.
//! * [`payment`]: created, authorized, captured, refunded.
//! * [`settlement`]: created, network selected, submitted, confirming, confirmed, settled.
//! * [`operations`]: load, decide, save; what the API and Flow run.
//! * [`selection`]: which network a settlement goes over.
//! * [`witness`]: a payment or a settlement, rebuilt from its events alone.
//!
//! Items, all in the table `settlement`, written by `settlement-api`:
//!
//! | pk | sk | what |
//! |---|---|---|
//! | `payment#{payment id}` | `state` | [`payment::Payment`] |
//! | `settlement#{settlement id}` | `state` | [`settlement::Row`]; in the index `open` while the settlement is under way |

pub mod machine;
pub mod operations;
pub mod payment;
mod refusal;
pub mod selection;
pub mod settlement;
pub mod witness;

pub use payment::Payment;
pub use refusal::Refusal;
pub use settlement::Settlement;

/// The domain's aggregates, a line each.
pub const DOMAIN: domain::Domain = domain::Domain {
    name: "settlement",
    table_setting: "SETTLEMENT_TABLE",
    aggregates: &[&domain::Of::<Payment>::NEW, &domain::Of::<Settlement>::NEW],
};

/// The name of a fact of a payment or a settlement: `settlement/{id}/settled`.
fn fact(
    kind: &str,
    id: impl std::fmt::Display,
    what: impl std::fmt::Display,
) -> Result<events::IdempotencyKey, events::DraftError> {
    Ok(events::IdempotencyKey::new(format!("{kind}/{id}/{what}"))?)
}
