//! The shape that every domain of Millrace has.
//!
//! 1. **State is private.** Its fields change in the functions that make the event of the change, and nowhere else.
//! 2. **What may follow what is a table**, [`Transitions`]: data that refuses, that tests walk, and that refusals quote.
//! 3. **A state is what its events come to**: [`Rebuild`] folds an aggregate's events into its state and shares no step with
//!    the decisions. [`Witness`] lays the rebuilt state beside the stored one and names the first event where they part.
//! 4. **A domain lists its aggregates once**, [`Domain`]: a line each. The event log's witness, Flow, the fault campaign and
//!    the audit read that list.
//!
//! 5. **Operations stand in the domain's crate**: load, decide, save, in a transaction that the caller brings. The API parses,
//!    calls and renders; Flow runs the same operations. They stop with [`Stopped`].
//!
//! Decisions are pure: state, command, ids and time come in; the new state with the events that tell of it, or a typed refusal,
//! comes out.

mod fold;
mod history;
mod operation;
mod rebuild;
#[cfg(feature = "testing")]
pub mod testing;
mod transitions;
mod witness;

pub use fold::{Broken, Rebuilt, rebuild, rebuild_each};
pub use history::{History, MOST_EVENTS, history};
pub use operation::Stopped;
pub use rebuild::{Contradiction, Rebuild, Step, must};
pub use transitions::{Illegal, Transitions};
pub use witness::{Of, Parted, Side, Verdict, Witness, Witnessed, witness};

/// A business domain: its name, its table's setting and the aggregates that have a history.
#[derive(Clone, Copy)]
pub struct Domain {
    /// Its name: `cloud`.
    pub name: &'static str,
    /// The setting that names its table: `CLOUD_TABLE`.
    pub table_setting: &'static str,
    /// A line for each aggregate.
    pub aggregates: &'static [&'static dyn Witnessed],
}

impl std::fmt::Debug for Domain {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let aggregates = self.aggregates.iter().map(|one| one.aggregate_type());
        f.debug_struct("Domain")
            .field("name", &self.name)
            .field("aggregates", &aggregates.collect::<Vec<_>>())
            .finish()
    }
}

impl Domain {
    /// The aggregate of a type, where it is one of this domain's.
    #[must_use]
    pub fn aggregate(&self, aggregate_type: &str) -> Option<&'static dyn Witnessed> {
        let mut aggregates = self.aggregates.iter().copied();
        aggregates.find(|one| one.aggregate_type() == aggregate_type)
    }
}
