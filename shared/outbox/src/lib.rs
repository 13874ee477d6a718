//! The transactional outbox: a business change, the events that announce it and the mark that prevents a repeat are
//! written in one DynamoDB transaction. A relay then publishes the events that the transaction logged.
//!
//! * [`Transaction`] collects state, events and rows behind a [`Mark`]. It cannot be built without a mark.
//! * [`Outbox::execute`] decides and commits. After a conflict it decides again, a bounded number of times. If the
//!   answer to a commit is lost, it first finds out whether the commit took effect.
//! * [`log`] reads the event log, [`relay`] publishes it, and [`republish`] recovers after long outages.
//! * The ports are [`Store`] and [`Publisher`]. Their adapters are in the crate `aws` and, for tests and
//!   `testkit::Flow`, in [`memory`].
//!
//! What is durable when: after [`Outcome::Committed`] the state, the events and the mark are durable; before it none of
//! them is. The relay's memory of what it published and the stream's position only save repeated work. Correctness
//! rests on marks and version guards.

mod clock;
pub mod env;
mod error;
mod execute;
mod fact;
mod failures;
pub mod group;
mod in_order;
mod item;
pub mod log;
mod mark;
pub mod memory;
pub mod number;
mod publisher;
pub mod relay;
pub mod republish;
mod sending;
mod series;
mod store;
mod tables;
mod transaction;

pub use clock::{Clock, SystemClock};
pub use error::{Error, Fault, FaultKind};
pub use execute::{Decision, Outbox, Outcome, RetryLimits, chain};
pub use fact::Fact;
pub use failures::{FailedAttempt, Failures, KEPT_ERRORS, Parked, failures_key};
pub use in_order::{Blocked, Progress, cursor_key};
pub use item::{Item, Key, SortKey, Table, decode_item, encode_item};
pub use mark::{
    ANSWER_MAX_BYTES, Answer, Done, MARK_LIFE, Mark, MarkError, REPEATS_KNOWN, check_identity,
    event_identity,
};
pub use publisher::{BusEntry, EntryFault, Publisher};
pub use sending::{Evidence, Sendings, send_until_known};
pub use series::{POSITION, Series, SeriesRows};
pub use store::{
    CommitError, Condition, Cursor, Guarded, GuardedPut, Index, Page, Prepared, Query, Reason,
    Scan, Store, Write, attribute,
};
pub use transaction::{
    BuildError, Entity, MAX_TRANSACTION_BYTES, MAX_TRANSACTION_ITEMS, Numbered, State, Transaction,
};
