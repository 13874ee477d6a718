//! `wallet-api`: wallets and escrow over HTTP, under `/api/v1/wallets` and `/api/v1/escrows`.
//!
//! * [`config`]: its settings.
//! * [`router`]: its endpoints. The OpenAPI document is generated from them.
//! * [`handler`]: what each endpoint reads, decides and writes.
//! * [`balances`]: reads balances from cache, read model or store.
//! * [`wire`]: request and response bodies.

pub mod balances;
pub mod config;
pub mod handler;
pub mod router;
pub mod wire;
