//! $CLOUD credits: accounts, the treasury that backs them, and the rules of both.
//!
//! Decisions are pure. State, command, ids, time and rate go in. The new state with its event, or a [`Refusal`], comes
//! out. A decision's `save` puts the result into a transaction. No rule reads a clock or generates an id.
//!
//! * [`account`]: mint, transfer, burn, and the statement of an account.
//! * [`operations`]: load, decide, save. The API and Flow call these.
//! * [`rate_card`]: what a unit of each resource costs. [`redemption`]: credits spent on metered resources at such a
//!   rate.
//! * [`stake`]: credits locked for a share of the revenue.
//! * [`treasury`]: the treasury's own accounts. Account `1110` is the reserve.
//! * [`totals`]: the outstanding credits in 8 shard rows. The consumer `cloud-treasury` maintains them; readers add
//!   them up.
//! * [`backing`]: how much of the outstanding credits the reserve covers, and the episodes of the alert.
//! * [`books`]: compares what is stored with the events. The audit uses it.
//! * [`chain`]: the same balances on the chain, the jobs that wait for them, and divergences.
//!
//! Items, all in the table `cloud`:
//!
//! | pk | sk | what | written by |
//! |---|---|---|---|
//! | `cloud_account#{member id or unallocated}` | `state` | [`account::Account`] | `cloud-api` |
//! | the same | `transaction#{account version, 16 digits}` | [`account::Movement`] | `cloud-api` |
//! | the same | `stake#{position id}` | [`stake::Position`] | `cloud-api` |
//! | `stake#{position id}` | `owner` | [`stake::Owner`] | `cloud-api` |
//! | `rate_card` | `{number, 16 digits}` | [`rate_card::RateCard`] | `cloud-api` |
//! | `treasury_account#{account id}` | `state` | [`treasury::TreasuryAccount`] | `cloud-api` |
//! | `outstanding#{0..7}` | `shard` | attribute `outstanding` | `cloud-treasury` |
//! | `alert#treasury_backing` | `state` | [`backing::Backing`] | `cloud-treasury` |
//! | the same | `episode#{number, 16 digits}` | [`backing::Alert`] | `cloud-treasury` |
//! | `chain_members#{0..7}` | member id | [`chain::Member`] | `cloud-chain-sync` |
//! | `chain_job#{member id}` | `{queued at}#{event id}` | [`chain::Job`]; in the index `chain_queue` while it waits | `cloud-chain-sync`, then `cloud-chain-worker` |
//! | `chain_account#{member id}` | `state` | [`chain::ChainAccount`] | `cloud-chain-worker`, `cloud-reconcile` |

pub mod account;
pub mod backing;
pub mod books;
pub mod chain;
pub mod operations;
mod rate;
pub mod rate_card;
pub mod redemption;
mod refusal;
pub mod stake;
pub mod totals;
pub mod treasury;

pub use account::Account;
pub use rate::{Rate, RateError};
pub use refusal::{Refusal, Role};

/// The domain's aggregates, one line each.
pub const DOMAIN: domain::Domain = domain::Domain {
    name: "cloud",
    table_setting: "CLOUD_TABLE",
    aggregates: &[
        &domain::Of::<Account>::NEW,
        &domain::Of::<backing::Backing>::NEW,
        &domain::Of::<chain::ChainAccount>::NEW,
        &domain::Of::<rate_card::RateCard>::NEW,
        &domain::Of::<treasury::TreasuryAccount>::NEW,
    ],
};
