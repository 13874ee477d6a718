//! The envelope, the contracts and the registry: what a Millrace event is.
//!
//! Pure: nothing here knows AWS, does I/O, reads a clock or makes an id. Time and ids come in from the caller.
//!
//! * [`Envelope`] is the wire format; [`Draft`] is an event before its commit gave it id, number and time.
//! * [`Contract`] declares one event type and version, once: schema, catalogue, priority and retention follow from it.
//! * [`Registry`] validates against the contracts and names every violation with its JSON pointer.
//! * [`subscription!`] declares what a consumer listens to: single types, decoded, or a kind of events, by envelope.

mod amount;
mod catalogue;
mod change;
pub mod cloudevents;
mod compatibility;
mod contract;
pub mod contracts;
mod day;
mod draft;
mod envelope;
mod ids;
mod registry;
mod schema;
mod selection;
mod strict;
mod subscription;
mod text;
mod timestamp;
mod violation;

pub use amount::{
    Amount, AmountError, Cloud, Credits, Dollar, Fiat, InterestRate, MAX_SIGNIFICANT_DIGITS,
    Metered, Money, Part, Percent, PercentUnit, Points, Quantity, Ratio, Reward, Unit, Usd,
};
pub use change::Change;
pub use compatibility::breaking_changes;
pub use contract::{AggregateField, Contract, ContractInfo, OUTSIDE, Retention};
pub use contracts::DOMAINS;
pub use day::{Day, DayError};
pub use draft::{Cause, Draft, DraftError, Program, Stamp};
pub use envelope::{Envelope, EnvelopeError, MAX_ENVELOPE_BYTES, Metadata, Payload};
pub use ids::{
    CorrelationId, DrawId, EscrowId, EventId, EventVersion, IdError, LoanId, PaymentId, PositionId,
    Priority, ScheduleId, Sequence, SettlementId, TraceParent, TransactionId,
};
pub use registry::{Arrival, Entry, Invalid, ReadBack, Registry, Statistics};
pub use schema::{SchemaValidator, schema_of, validator_for, violations_of};
pub use selection::{Selection, Subscribed};
pub use subscription::{DecodeError, Evidence, Subscription, decode_as, decode_payload};
pub use text::{
    AccountId, AggregateId, AggregateType, DecimalText, EmailAddress, EthereumAddress, EventType,
    IdempotencyKey, LedgerEntryId, MemberId, MoveReason, NetworkName, Producer, Sku, SupplierId,
    Text, TextError, TxHash,
};
pub use timestamp::{Timestamp, TimestampError};
pub use violation::Violation;

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
