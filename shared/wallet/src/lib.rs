//! Reward points: accounts of users and models, escrow between them, and the double-entry ledger behind both.
//!
//! Decisions are pure. A decision takes state, a command, ids and a time, and returns either the new states with their
//! ledger entries and events, or a [`Refusal`]. A decision's `save` adds all of it to one transaction. Nothing here
//! reads a clock or generates an id.
//!
//! * [`account`]: what a member holds as a user (available, escrow) and as a model (earned).
//! * [`operations`]: load, decide, save. The API, Flow and every other caller run these.
//! * [`outside`]: deposits into a wallet and withdrawals from it.
//! * [`escrow`]: points held for a request, then settled, refunded or divided.
//! * [`ledger`]: the entries of every movement, and the check that they sum to zero.
//! * [`balances`]: the read model, kept by `wallet-balances`: the newest value of each balance state.
//! * [`books`]: compares what is stored with what the events in the event log add up to.
//!
//! Items, all in the table `wallet`:
//!
//! | pk | sk | what | written by |
//! |---|---|---|---|
//! | `wallet_account#{user or model}-{member id}` | `state` | [`Account`] | `wallet-api` |
//! | the same | `entry#{number, 16 digits}` | [`ledger::LedgerEntry`] | `wallet-api` |
//! | the same | `balance#{balance state}` | [`balances::BalanceRow`] | `wallet-balances` |
//! | `escrow#{escrow id}` | `state` | [`Escrow`] | `wallet-api` |
//! | `fact#{deposit or withdrawal}/{external reference}` | `fact` | [`outside::Booked`], kept forever | `wallet-api` |

pub mod account;
pub mod balances;
pub mod books;
pub mod escrow;
pub mod ledger;
pub mod operations;
pub mod outside;
mod reason;
mod refusal;

pub use account::{Account, CommandContext, Holding, Posting};
pub use escrow::Escrow;
pub use reason::{HoldReason, Reason};
pub use refusal::Refusal;

/// The domain's aggregates, one per line.
pub const DOMAIN: domain::Domain = domain::Domain {
    name: "wallet",
    table_setting: "WALLET_TABLE",
    aggregates: &[
        &domain::Of::<account::RebuiltAccount>::NEW,
        &domain::Of::<Escrow>::NEW,
    ],
};
