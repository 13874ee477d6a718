//! What is asked of a chain.

use std::fmt;

use async_trait::async_trait;
use events::EthereumAddress;
use num_bigint::BigUint;
use outbox::Fault;

/// A chain's balances of one token.
///
/// What a fault allows: *unavailable* (no answer in time, throttled, 5xx, a server's error of JSON-RPC) is worth trying
/// again later; *denied* needs a person; *rejected* and *unreadable* are about this one question: the node says no to it,
/// or its answer is no balance.
#[async_trait]
pub trait Balances: Send + Sync {
    /// The holder's balance in the token's smallest units, in the latest block that the node knows.
    async fn balance(&self, holder: &EthereumAddress) -> Result<BigUint, Fault>;

    /// The chain's id: 1 is Ethereum's main net.
    async fn chain_id(&self) -> Result<BigUint, Fault>;

    /// The decimals that the token's contract states: 10 to this power of its smallest units are one token.
    async fn decimals(&self) -> Result<BigUint, Fault>;
}

/// The address of the token's contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractAddress(EthereumAddress);

impl ContractAddress {
    /// An address that a contract has.
    #[must_use]
    pub fn new(address: EthereumAddress) -> Self {
        Self(address)
    }
}

impl fmt::Display for ContractAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
