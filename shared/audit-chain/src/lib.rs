//! The audit log: rows and rules by which nobody can change, take out or slip in an event of the money domains unseen.
//!
//! * [`Entry`], [`Head`]: a chain for each aggregate, written by `audit-log`. Each entry holds the event's bytes as they
//!   stand in the event log, and a hash over them and the entry before.
//! * [`Anchor`], [`AnchorPage`]: every hour all heads, under one MAC that nobody without the key can make, written by
//!   `audit-anchor`.
//! * [`MacKey`]: the port to the key; [`KmsKey`] on AWS KMS, [`MemoryKey`] for tests.
//!
//! | row | partition | sort key |
//! |---|---|---|
//! | entry | `chain#{aggregate}` | its number |
//! | head | `heads#{shard}` | the aggregate |
//! | anchor | `anchors` | its number |
//! | page of an anchor | `anchor#{pass}` | its number |
//!
//! Numbers in sort keys have leading zeros, so that they sort as numbers. A chain is a function of the event log alone:
//! whoever has the log can make every hash again, and so check an anchor without the chain.

mod anchor;
mod chain;
mod hash;
mod key;
mod kms;

pub use anchor::{
    Anchor, AnchorPage, AnchoredHead, HEADS_PER_PAGE, PAGE_LIFE, Sealing, StoredPage, anchor_key,
    anchors, last_anchor, page_key, pages,
};
pub use chain::{
    Entry, Event, HEAD_SHARDS, Head, chain, entry_key, head_key, head_shard, heads, link,
    number_of_key,
};
pub use hash::{Hash, NotHash};
pub use key::{MacKey, MemoryKey};
pub use kms::KmsKey;
