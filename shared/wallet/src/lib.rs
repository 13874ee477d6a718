//! Reward points: accounts of users and models, escrow between them, and the double-entry ledger behind both.
//!
//! Decisions are pure: state, command, ids and time come in; the new states with the ledger's entries and the events that
//! tell of it, or a [`Refusal`], come out. A decision's `save` puts it into a transaction; nothing here reads a clock or makes
//! an id.
//!
//! * [`account`]: what a member has as a user (available, escrow) and as a model (earned).
//! * [`operations`]: load, decide, save; what the API and Flow run.
//! * [`outside`]: points that come into a wallet and leave it.
//! * [`escrow`]: points held for something asked for, then settled, refunded, or divided.
//! * [`ledger`]: the entries of every movement, which sum to zero, and the check that they do.
//! * [`balances`]: the read model: what the newest event of each balance state said, kept by `wallet-balances`.
//! * [`books`]: what the log's events come to, compared with what is stored.
//!
//! Items, all in the table `wallet`:
//!
//! | pk | sk | what | written by |
//! |---|---|---|---|
//! | `wallet_account#{user or model}-{member id}` | `state` | [`Account`] | `wallet-api` |
//! | the same | `entry#{number, 16 digits}` | [`ledger::Entry`] | `wallet-api` |
//! | the same | `balance#{balance state}` | [`balances::Row`] | `wallet-balances` |
//! | `escrow#{escrow id}` | `state` | [`Escrow`] | `wallet-api` |

pub mod account;
pub mod balances;
pub mod books;
pub mod escrow;
pub mod ledger;
pub mod operations;
pub mod outside;
mod reason;
mod refusal;

pub use account::{Account, Holding, Moment, Posting};
pub use escrow::Escrow;
pub use reason::{HoldReason, Reason};
pub use refusal::Refusal;

/// The domain's aggregates, a line each.
pub const DOMAIN: domain::Domain = domain::Domain {
    name: "wallet",
    table_setting: "WALLET_TABLE",
    aggregates: &[
        &domain::Of::<account::Course>::NEW,
        &domain::Of::<Escrow>::NEW,
    ],
};
