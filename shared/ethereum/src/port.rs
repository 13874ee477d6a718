//! The port to a chain.

use std::fmt;

use async_trait::async_trait;
use events::EthereumAddress;
use num_bigint::BigUint;
use outbox::Fault;

/// Reads the balances of one token on a chain.
///
/// The kind of a fault tells the caller what to do. *Unavailable* (no answer in time, throttled, 5xx, a server error of
/// JSON-RPC): try again later. *Denied*: a person must act. *Rejected* and *unreadable* concern only this call: the
/// node refuses it, or its answer is not a balance.
#[async_trait]
pub trait Balances: Send + Sync {
    /// The holder's balance in the token's smallest units, in the latest block that the node knows.
    async fn balance(&self, holder: &EthereumAddress) -> Result<BigUint, Fault>;

    /// The chain's id; 1 is Ethereum's mainnet.
    async fn chain_id(&self) -> Result<BigUint, Fault>;

    /// The decimals that the token's contract states: one token is 10 to this power of the smallest units.
    async fn decimals(&self) -> Result<BigUint, Fault>;
}

/// The address of the token's contract.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ContractAddress(EthereumAddress);

impl ContractAddress {
    /// The address of a contract.
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
