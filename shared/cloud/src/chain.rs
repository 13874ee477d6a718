//! The credits on the chain. The books are in the table `cloud`, and an ERC-20 token mirrors each member's balance,
//! liquid and staked together, at the member's address.
//!
//! The chain follows the books. A movement of a member who has an address queues a [`Job`]. The job is confirmed when
//! the chain shows the books' balance as it is now, or as it was after that movement or a later one ([`Past`]). It
//! fails if that does not happen in time. Independent of jobs, every member is compared periodically. A difference is a
//! divergence, which is published once while it lasts ([`ChainAccount`]).

mod account;
mod job;
mod member;
mod past;
mod quantity;
mod walk;

pub use account::{ChainAccount, Divergence, Finding, StatementError, Step, books};
pub use job::{BalanceReading, Job, Judgement, QUEUE, Status};
pub use member::{Member, SHARDS};
pub use past::Past;
pub use quantity::{Difference, MAX_DECIMALS, OnChain, TokenDecimals};
pub use walk::{Place, walk};
