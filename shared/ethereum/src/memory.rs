//! A chain in memory, for tests.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use events::EthereumAddress;
use num_bigint::BigUint;
use outbox::{Fault, FaultKind};

use crate::Balances;

/// A [`Balances`] in memory. Every balance is zero until it is set; the token has 18 decimals.
#[derive(Debug)]
pub struct MemoryChain {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    balances: BTreeMap<String, BigUint>,
    faults: BTreeMap<String, FaultKind>,
    down: Option<FaultKind>,
    chain_id: BigUint,
    decimals: u8,
    reads: u64,
}

impl Default for MemoryChain {
    fn default() -> Self {
        Self {
            state: Mutex::new(State {
                chain_id: BigUint::from(1_u8),
                decimals: 18,
                ..State::default()
            }),
        }
    }
}

impl MemoryChain {
    /// Sets a holder's balance, in the token's smallest units.
    pub fn set(&self, holder: &EthereumAddress, units: BigUint) {
        self.state().balances.insert(key(holder), units);
    }

    /// Makes every read of a holder's balance fail with this kind of fault; `None` ends the failure.
    pub fn fail(&self, holder: &EthereumAddress, kind: Option<FaultKind>) {
        let mut state = self.state();
        match kind {
            Some(kind) => state.faults.insert(key(holder), kind),
            None => state.faults.remove(&key(holder)),
        };
    }

    /// Makes every call fail with this kind of fault; `None` ends the failure.
    pub fn down(&self, kind: Option<FaultKind>) {
        self.state().down = kind;
    }

    /// Sets the chain's id; initially 1.
    pub fn set_chain_id(&self, id: u64) {
        self.state().chain_id = BigUint::from(id);
    }

    /// Sets the token's decimals; initially 18.
    pub fn set_decimals(&self, decimals: u8) {
        self.state().decimals = decimals;
    }

    /// How many balances were read, including failed reads.
    #[must_use]
    pub fn reads(&self) -> u64 {
        self.state().reads
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The case of an address makes no difference.
fn key(holder: &EthereumAddress) -> String {
    holder.as_str().to_lowercase()
}

#[async_trait]
impl Balances for MemoryChain {
    async fn balance(&self, holder: &EthereumAddress) -> Result<BigUint, Fault> {
        let mut state = self.state();
        state.reads += 1;
        let holder = key(holder);
        match state.down.or(state.faults.get(&holder).copied()) {
            Some(kind) => Err(Fault::new(kind, "memory balance", "told to fail")),
            None => Ok(state.balances.get(&holder).cloned().unwrap_or_default()),
        }
    }

    async fn chain_id(&self) -> Result<BigUint, Fault> {
        let state = self.state();
        match state.down {
            Some(kind) => Err(Fault::new(kind, "memory chain id", "told to fail")),
            None => Ok(state.chain_id.clone()),
        }
    }

    async fn decimals(&self) -> Result<BigUint, Fault> {
        let state = self.state();
        match state.down {
            Some(kind) => Err(Fault::new(kind, "memory decimals", "told to fail")),
            None => Ok(BigUint::from(state.decimals)),
        }
    }
}
