//! The tables that an outbox uses. A function that does not use the event log or the marks has no such table here; a
//! call that needs the missing table fails with an error that names it, before the store is called.

use crate::{BuildError, Table};

#[derive(Debug, Clone)]
pub(crate) struct OutboxTables {
    pub(crate) events: Option<Table>,
    pub(crate) marks: Option<Table>,
}

impl OutboxTables {
    pub(crate) fn events(&self) -> Result<&Table, BuildError> {
        self.events.as_ref().ok_or(BuildError::NoLog)
    }

    pub(crate) fn marks(&self) -> Result<&Table, BuildError> {
        self.marks.as_ref().ok_or(BuildError::NoMarks)
    }
}
