//! Counts and sums of events, per event type and per member, by the hour and by the day.
//!
//! A row is one day (UTC, by `occurred_at`) of one event type. For each of the day's 24 hours it holds the number of
//! events and the sum of the amounts that they moved. A day is the sum of its hours, so the two cannot disagree. An
//! event costs one write; separate rows for hours and days would cost two.
//!
//! | row | partition | sort key |
//! |---|---|---|
//! | of all members, in 8 shards added up on read | `total#{event_type}#{shard}` | `{day}` or `{day}#{primitive}` |
//! | of one member | `member#{member_id}` | `{day}#{event_type}`, then `#{primitive}`, `#in` or `#out` if it applies |
//!
//! A member's rows need no shards: they are written once for each change of the member's own account, so they are no
//! busier than the account. The event's id determines the shard in which it is counted. Any shard would do, but this
//! way each row can be compared with the event log by itself.
//!
//! Attributes: `c00` to `c23` number of events in that hour, `a00`… sum of their amounts, `q00`… sum of their metered
//! quantities, `r00`… sum of their refunds. Sums are stored as whole numbers of the smallest step of their unit (a
//! millionth of a credit or of a quantity, a hundredth of a point), because whole numbers are exact up to 2^64 − 1 and
//! decimals only up to 15 digits. A row of a full day stays below 1 KB, one write unit, because no event type has both
//! quantities and refunds.

mod buckets;
mod counting;
mod ever;
mod facts;
mod kinds;
mod reading;
mod rows;
mod stats;
#[cfg(test)]
mod tests;

pub use buckets::Bucket;
pub use counting::{Count, Fact, count_of_all, counts, shard_of};
pub use ever::{
    Added, added_ever, ever, ever_key, ever_of_producers, ever_partitions, number_of,
    only_producer, outside_producers,
};
pub use facts::{counted, decoded_types, fact};
pub use kinds::{Kind, kinds};
pub use reading::{Figure, Wanted};
pub use rows::{Day, Direction, HOURS, Part, SHARDS, Sums, totals};
pub use stats::{By, Stats, StatsItem, Total};
