//! `wallet-api`: wallets and escrow over HTTP, under `/api/v1/wallets` and `/api/v1/escrows`.
//!
//! * [`config`]: its settings.
//! * [`router`]: its endpoints; the OpenAPI document comes from them.
//! * [`handler`]: what each endpoint reads, decides and writes.
//! * [`balances`]: how balances are read: cache, read model, store.
//! * [`wire`]: what callers send and get.

pub mod balances;
pub mod config;
pub mod handler;
pub mod router;
pub mod wire;
