//! Programs that run beside the local AWS, and the clients by which tests control them.
//!
//! * [`proxy`]: between functions and the local AWS. It makes calls fail by a seed, and counts them; program
//!   `fault-proxy`.
//! * [`chain_node`]: an Ethereum node whose balances come from the books or from a test; program `local-chain`.
//! * Examples `bench_*`: the programs of `make bench`.

pub mod chain_node;
pub mod proxy;

/// An error of any kind.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
