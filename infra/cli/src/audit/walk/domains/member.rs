//! Members: their states.

use async_trait::async_trait;
use events::{
    Contract,
    contracts::member::{Registered, Updated},
};
use outbox::Table;

use super::DomainAudit;
use crate::audit::{Error, Tables, walk::audit::Audit};

/// The table `member`.
pub(super) struct Member {
    table: Table,
}

impl Member {
    pub(super) fn new(tables: &Tables) -> Option<Self> {
        let table = tables.of("member")?;
        Some(Self { table })
    }
}

#[async_trait]
impl DomainAudit for Member {
    fn name(&self) -> &'static str {
        "member"
    }

    fn states(&self) -> &'static [&'static str] {
        &[Registered::AGGREGATE]
    }

    fn whole_states(&self) -> &'static [&'static str] {
        &[Registered::TYPE, Updated::TYPE]
    }

    async fn check(&mut self, audit: &mut Audit<'_>) -> Result<(), Error> {
        let places = audit.places_of(&self.table, self.states());
        audit.states_in(places).await
    }
}
