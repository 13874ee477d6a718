//! The transactional outbox: a business change, the events that tell of it and the mark that it was done are one
//! DynamoDB transaction; a relay publishes what the transaction logged.
//!
//! * [`Transaction`] collects state, events and rows behind a [`Mark`]; it cannot be built without one.
//! * [`Outbox::execute`] decides and commits: bounded re-deciding on conflicts, lost answers settled before anything else.
//! * [`log`] reads the event log; [`relay`] publishes it; [`republish`] is the way back after long outages.
//! * Ports: [`Store`] and [`Publisher`]. Adapters: the crate `aws` and, for tests and Flow, [`memory`].
//!
//! What is durable when: after [`Outcome::Committed`] state, events and mark are; before it none of them is. The relay's
//! memory of what it published and the stream's position only save repeats: correctness rests on marks and guards.

mod clock;
pub mod env;
mod error;
mod execute;
pub mod group;
mod in_order;
mod item;
pub mod log;
mod mark;
pub mod memory;
pub mod number;
mod parked;
mod publisher;
pub mod relay;
pub mod republish;
mod sending;
mod store;
mod tables;
mod transaction;

pub use clock::{Clock, SystemClock};
pub use error::{Error, Fault, FaultKind};
pub use execute::{Decision, Outbox, Outcome, RetryLimits, chain};
pub use in_order::{Blocked, Progress, cursor_key};
pub use item::{Item, Key, SortKey, Table, decode_item, encode_item};
pub use mark::{ANSWER_MAX_BYTES, Answer, Done, MARK_LIFE, Mark, MarkError};
pub use parked::{Parked, parked_key};
pub use publisher::{Entry, EntryFault, Publisher};
pub use sending::{Evidence, Sendings, send_until_known};
pub use store::{
    CommitError, Condition, Cursor, Guarded, GuardedPut, Index, Page, Prepared, Query, Reason,
    Scan, Store, Write, attribute,
};
pub use transaction::{
    BuildError, Entity, MAX_TRANSACTION_BYTES, MAX_TRANSACTION_ITEMS, Numbered, State, Transaction,
    fact_key,
};
