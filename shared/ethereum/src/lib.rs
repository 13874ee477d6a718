//! Reads token balances from an Ethereum node.
//!
//! * [`Balances`] is the port: what a holder's balance is, how many decimals the token has, and which chain it is on.
//! * [`JsonRpc`] is the adapter: `eth_call` of an ERC-20 contract's `balanceOf` and `decimals`, `eth_chainId`, over HTTP or
//!   HTTPS.
//! * [`Reader`] reads many balances at once, within a time, and only of the chain and the token that are meant.
//! * [`MemoryChain`] is a chain that tests hold.
//!
//! Nothing here signs or sends: the chain is only looked at.

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
