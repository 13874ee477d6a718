//! Reads token balances from an Ethereum node.
//!
//! * [`Balances`] is the port: a holder's balance, the token's decimals, and the id of the chain.
//! * [`JsonRpc`] is the adapter: `eth_call` of an ERC-20 contract's `balanceOf` and `decimals`, and `eth_chainId`, over
//!   HTTP or HTTPS.
//! * [`Reader`] reads many balances concurrently, within a time limit, and only from the expected chain and token.
//! * [`MemoryChain`] is a chain in memory, for tests.
//!
//! Nothing here signs or sends transactions: the chain is only read.

mod json_rpc;
mod many;
mod memory;
mod port;
mod settings;

pub use json_rpc::JsonRpc;
pub use many::{Expected, Reader};
pub use memory::MemoryChain;
pub use port::{Balances, ContractAddress};
pub use settings::{Endpoint, Settings};
