//! Counts and sums of what happened: per event type and per member, by the hour and by the day.
//!
//! A row is one day (UTC, by `occurred_at`) of one event type: for each of its 24 hours how many events there were and the
//! sum of what they moved. A day is the sum of its hours, so the two cannot disagree, and an event costs one write where
//! rows for hours beside rows for days would cost two.
//!
//! | row | partition | sort key |
//! |---|---|---|
//! | of all members, in 8 shards summed on read | `total#{event_type}#{shard}` | `{day}` or `{day}#{primitive}` |
//! | of one member | `member#{member_id}` | `{day}#{event_type}`, behind it `#{primitive}`, `#in` or `#out` |
//!
//! A member's rows need no shards: they are written once for each change of the member's own account, so they are never
//! busier than that. An event is counted in the shard that its id names; any would do, but so each row can be compared
//! with the event log by itself.
//!
//! Attributes: `c00` to `c23` events in that hour, `a00`… sum of their amounts, `q00`… sum of their metered quantities,
//! `r00`… sum of what of them went back. Sums are kept in the smallest step of what they are counted in (a credit's or a
//! quantity's millionth, a point's hundredth), as whole numbers: those are carried exactly up to 2^64 − 1, decimals only up
//! to 15 digits. A row of a full day stays below 1 KB, one write unit: no kind has both quantities and what went back.

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
