//! Mappings in memory, for tests.

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use async_trait::async_trait;
use outbox::{Fault, FaultKind};

use crate::{Answer, Mapping, MappingState, Mappings, Polling};

/// [`Mappings`] in memory. A change is made at once.
#[derive(Debug, Default)]
pub struct MemoryMappings(Mutex<Memory>);

#[derive(Debug, Default)]
struct Memory {
    functions: BTreeMap<String, Vec<MappingState>>,
    asked: Vec<(String, Polling)>,
    fault: Option<FaultKind>,
    is_busy: bool,
}

impl MemoryMappings {
    /// Without any mapping.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a function with this many mappings, which are enabled.
    #[must_use]
    pub fn with(self, function: &str, mappings: usize) -> Self {
        let states = vec![MappingState::Enabled; mappings];
        self.lock().functions.insert(function.to_owned(), states);
        self
    }

    /// The states of a function's mappings.
    #[must_use]
    pub fn states(&self, function: &str) -> Vec<MappingState> {
        let memory = self.lock();
        memory.functions.get(function).cloned().unwrap_or_default()
    }

    /// Changes a mapping, by its place among those of its function, as somebody else may.
    pub fn set_state(&self, function: &str, place: usize, state: MappingState) {
        let mut memory = self.lock();
        let states = memory.functions.get_mut(function);
        if let Some(one) = states.and_then(|states| states.get_mut(place)) {
            *one = state;
        }
    }

    /// The changes that were accepted: a mapping's function, and what was wanted.
    #[must_use]
    pub fn asked(&self) -> Vec<(String, Polling)> {
        self.lock().asked.clone()
    }

    /// From now on, every call fails so; `None`: none.
    pub fn fail(&self, fault: Option<FaultKind>) {
        self.lock().fault = fault;
    }

    /// From now on, changes are refused because another one is being made, or not.
    pub fn set_busy(&self, is_busy: bool) {
        self.lock().is_busy = is_busy;
    }

    fn lock(&self) -> MutexGuard<'_, Memory> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Memory {
    fn check(&self, operation: &'static str) -> Result<(), Fault> {
        self.fault.map_or(Ok(()), |kind| {
            Err(Fault::new(kind, operation, "for a test"))
        })
    }
}

#[async_trait]
impl Mappings for MemoryMappings {
    async fn of(&self, function: &str) -> Result<Vec<Mapping>, Fault> {
        let memory = self.lock();
        memory.check("list")?;
        let states = memory.functions.get(function).into_iter().flatten();
        let mappings = states.enumerate().map(|(place, state)| Mapping {
            id: format!("{function}/{place}"),
            state: *state,
        });
        Ok(mappings.collect())
    }

    async fn set(&self, id: &str, wanted: Polling) -> Result<Answer, Fault> {
        let mut memory = self.lock();
        memory.check("update")?;
        if memory.is_busy {
            return Ok(Answer::Busy);
        }
        let (function, place) = id.rsplit_once('/').unwrap_or((id, ""));
        let place: Option<usize> = place.parse().ok();
        let states = memory.functions.get_mut(function);
        let Some(state) = states.zip(place).and_then(|(all, at)| all.get_mut(at)) else {
            return Err(Fault::new(FaultKind::Rejected, "update", "no such mapping"));
        };
        *state = match wanted {
            Polling::Enabled => MappingState::Enabled,
            Polling::Disabled => MappingState::Disabled,
        };
        memory.asked.push((function.to_owned(), wanted));
        Ok(Answer::Accepted)
    }
}
