//! Defines what a Millrace event is: the envelope, the contracts and the registry.
//!
//! The crate is pure: it knows no AWS, does no I/O, reads no clock and makes no ids. The caller passes times and ids
//! in.
//!
//! * [`Envelope`] is the wire format. [`Draft`] is an event before its commit assigns an id, a sequence and a time.
//! * [`Contract`] declares one event type and version, once. Schema, catalogue, priority and retention follow from it.
//! * [`Registry`] validates events against their contracts and reports every violation with its JSON pointer.
//! * [`subscription!`] declares what a consumer listens to: single types, which are decoded, or a kind of events, which
//!   arrive as envelopes.

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
mod nearest;
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
    Metered, Money, Part, PerUnit, Percent, PercentUnit, Points, Quantity, Ratio, Reward, Unit,
    UnitPrice, Usd,
};
pub use change::Change;
pub use compatibility::breaking_changes;
pub use contract::{
    AggregateField, Contract, ContractInfo, LONGEST_FUNCTION_NAME, OUTSIDE, Retention,
};
pub use contracts::DOMAINS;
pub use day::{Day, DayError};
pub use draft::{Cause, Draft, DraftError, Program, Stamp};
pub use envelope::{Envelope, EnvelopeError, MAX_ENVELOPE_BYTES, Metadata, Payload};
pub use ids::{
    CartId, CorrelationId, DrawId, EscrowId, EventId, EventVersion, IdError, ItemId, LoanId,
    OperationId, OrderId, PaymentId, PositionId, Priority, QuoteId, ScheduleId, Sequence,
    SettlementId, TraceParent, TransactionId, WebhookId,
};
pub use nearest::{did_you_mean, nearest, unknown_domain};
pub use registry::{Arrival, Invalid, ReadBack, RegisteredContract, Registry, Statistics};
pub use schema::{SchemaValidator, schema_of, validator_for, violations_of};
pub use selection::{Selection, Subscribed};
pub use subscription::{DecodeError, Evidence, Subscription, decode_as, decode_payload};
pub use text::{
    AccountId, AggregateId, AggregateType, CategoryId, ConsumerName, CountryCode, CustomerId,
    DecimalText, EmailAddress, EthereumAddress, EventType, ExternalReference, IdempotencyKey,
    LedgerEntryId, MemberId, MoveReason, NetworkName, OrderNumber, PriceListId, Producer,
    ProductId, QuoteNumber, Sku, Slug, SupplierId, Text, TextError, TierName, TxHash,
    is_deliverable,
};
pub use timestamp::{Timestamp, TimestampError};
pub use violation::{MAX_VIOLATIONS, Violation, Violations};

#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
