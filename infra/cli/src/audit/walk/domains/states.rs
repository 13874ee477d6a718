//! A domain with the generic check only: the states of its aggregates are compared with their events.

use async_trait::async_trait;
use domain::{Domain, Witness};
use outbox::Table;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::DomainAudit;
use crate::audit::{
    AuditTables, Error,
    walk::audit::{Audit, kind_of},
};

/// The domain and its table.
pub(super) struct States {
    domain: &'static Domain,
    table: Table,
    rebuilt: u64,
}

impl States {
    /// `None` if the stack does not have the domain.
    pub(super) fn of(domain: &'static Domain, tables: &AuditTables) -> Option<Self> {
        let table = tables.of(domain.name)?;
        Some(Self {
            domain,
            table,
            rebuilt: 0,
        })
    }
}

/// The state that an aggregate's events rebuild; the comparison has removed what no event states. `None` if they rebuild none, or
/// if it cannot be read to its end: then it has a finding already, and is not compared by what it was before.
pub(super) fn rebuilt(witness: &Witness) -> Option<&Map<String, Value>> {
    let rebuilt = witness.rebuilt.as_ref()?;
    let stored = witness.stored.as_ref();
    let is_whole = stored.is_none_or(|stored| stored.last_sequence <= rebuilt.last_sequence);
    is_whole.then_some(&rebuilt.state)
}

/// The state, typed.
pub(super) fn typed<T: DeserializeOwned>(state: &Map<String, Value>) -> Option<T> {
    serde_json::from_value(Value::Object(state.clone())).ok()
}

#[async_trait]
impl DomainAudit for States {
    fn name(&self) -> &'static str {
        self.domain.name
    }

    async fn check(&mut self, audit: &mut Audit<'_>) -> Result<(), Error> {
        audit.states_of(self.domain, &self.table).await
    }

    fn on_rebuilt(&mut self, _: &mut Audit<'_>, aggregate: &str, _: &Witness) {
        self.rebuilt += u64::from(self.states().contains(&kind_of(aggregate)));
    }

    fn counts(&self) -> Vec<(&'static str, u64)> {
        vec![("rebuilt", self.rebuilt)]
    }
}
