//! The audit log: rows and rules that make every change, removal or insertion of a money event detectable.
//!
//! * [`ChainEntry`], [`Head`]: one chain per aggregate, written by `audit-log`. Each entry holds the event's bytes
//!   exactly as stored in the event log, and a hash over them and the entry before.
//! * [`Anchor`], [`AnchorPage`]: every hour, `audit-anchor` writes all heads under one MAC, which cannot be created
//!   without the key.
//! * [`MacKey`]: the port to the key; [`KmsKey`] uses AWS KMS, [`MemoryKey`] is for tests.
//!
//! | row | partition | sort key |
//! |---|---|---|
//! | entry | `chain#{aggregate}` | its number |
//! | head | `heads#{shard}` | the aggregate |
//! | anchor | `anchors` | its number |
//! | page of an anchor | `anchor#{pass}` | its number |
//!
//! Numbers in sort keys have leading zeros, so that they sort as numbers. A chain depends on the event log alone: with
//! the log, every hash can be computed again, and an anchor can be checked without the chain.

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
    ChainEntry, Event, HEAD_SHARDS, Head, chain, entry_key, head_key, head_shard, heads, link,
    number_of_key,
};
pub use hash::{Hash, NotHash};
pub use key::{MacKey, MemoryKey};
pub use kms::KmsKey;
