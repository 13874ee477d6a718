//! Programs beside the local AWS, and what tests command them by.
//!
//! * [`proxy`]: between functions and the local AWS, it makes calls go wrong by a seed and counts them; program `fault-proxy`.
//! * [`chain_node`]: an Ethereum node of its own that says what the books say; program `local-chain`.
//! * Examples `bench_*`: what `make bench` measures with.

pub mod chain_node;
pub mod proxy;

/// An error of any kind.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
