//! The credits on the chain: the books are here, and an ERC-20 token mirrors each member's balance, liquid and staked
//! together, at their address.
//!
//! The chain follows the books. A movement of a member who has an address queues a [`Job`]; the job is confirmed when the
//! chain says what the books say, or said after that movement or a later one ([`Past`]), or has failed when it did not in
//! time. Independent of jobs, every member is compared
//! again and again; a difference is a divergence, told once while it lasts ([`ChainAccount`]).

mod account;
mod job;
mod member;
mod past;
mod quantity;
mod walk;

pub use account::{ChainAccount, Divergence, Finding, StatementError, Step, books};
pub use job::{Job, Judgement, QUEUE, Seen, Status};
pub use member::{Member, SHARDS};
pub use past::Past;
pub use quantity::{Difference, MAX_DECIMALS, OnChain, TokenDecimals};
pub use walk::{Place, walk};
