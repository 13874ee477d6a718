//! Payments and their settlements: two state machines and the rules around them.
//!
//! Decisions are pure. A decision takes state, a command, ids and a time, and returns either the new state with its
//! events, or a [`Refusal`]. Nothing here reads a clock or generates an id. The fields of a state are private and
//! change in one place, which also creates the event; so a change without an event cannot be written.
//!
//! * [`books`]: compares payments with their settlements.
//! * [`machine`]: the allowed transitions, as tables.
//! * [`payment`]: created, authorized, captured, refunded.
//! * [`settlement`]: created, network selected, submitted, confirming, confirmed, settled.
//! * [`operations`]: load, decide, save. The API, Flow and every other caller run these.
//! * [`selection`]: selects the network of a settlement.
//! * [`witness`]: a payment or a settlement, rebuilt from its events alone.
//!
//! Items, all in the table `settlement`, written by `settlement-api`:
//!
//! | pk | sk | what |
//! |---|---|---|
//! | `payment#{payment id}` | `state` | [`payment::Payment`] |
//! | `settlement#{settlement id}` | `state` | [`settlement::SettlementRow`]; in the index `open` while the settlement is in progress |

pub mod books;
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

/// The domain's aggregates, one per line.
pub const DOMAIN: domain::Domain = domain::Domain {
    name: "settlement",
    table_setting: "SETTLEMENT_TABLE",
    aggregates: &[&domain::Of::<Payment>::NEW, &domain::Of::<Settlement>::NEW],
};

/// The idempotency key of a fact about a payment or a settlement, for example `settlement/{id}/settled`.
fn fact(
    kind: &str,
    id: impl std::fmt::Display,
    what: impl std::fmt::Display,
) -> Result<events::IdempotencyKey, events::DraftError> {
    Ok(events::IdempotencyKey::new(format!("{kind}/{id}/{what}"))?)
}
