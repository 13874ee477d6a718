//! The tables that an outbox stands on. One that its function has no part in is not there: what needs it is refused by name,
//! before the store is asked.

use crate::{BuildError, Table};

#[derive(Debug, Clone)]
pub(crate) struct Tables {
    pub(crate) events: Option<Table>,
    pub(crate) marks: Option<Table>,
}

impl Tables {
    pub(crate) fn events(&self) -> Result<&Table, BuildError> {
        self.events.as_ref().ok_or(BuildError::NoLog)
    }

    pub(crate) fn marks(&self) -> Result<&Table, BuildError> {
        self.marks.as_ref().ok_or(BuildError::NoMarks)
    }
}
