//! The structure that every domain of Millrace shares.
//!
//! 1. **State is private.** A state's fields change only in the functions that also make the event of the change.
//! 2. **A table says which status can follow which**: [`Transitions`]. It is data: the domain checks against it, tests
//!    walk it, and refusals quote it.
//! 3. **A state follows from its events.** [`Rebuild`] folds an aggregate's events into its state and shares no code
//!    with the decisions. [`Witness`] compares the rebuilt state with the stored one and names the first event at which
//!    they differ.
//! 4. **A domain lists its aggregates once**: [`Domain`], with a line for each. The event log's witness, Flow, the
//!    fault campaign and the audit read that list.
//! 5. **Operations live in the domain's crate**: they load, decide and save in a transaction that the caller brings.
//!    The API parses the request, calls the operation and renders the result. Flow runs the same operations. An
//!    operation that does not succeed returns [`Stopped`].
//!
//! Decisions are pure. State, command, ids and time go in. The new state with its events, or a typed refusal, comes
//! out.

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
    /// The domain's name, for example `cloud`.
    pub name: &'static str,
    /// The setting that names the domain's table, for example `CLOUD_TABLE`.
    pub table_setting: &'static str,
    /// One line for each aggregate.
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
    /// The aggregate of this type, if it belongs to this domain.
    #[must_use]
    pub fn aggregate(&self, aggregate_type: &str) -> Option<&'static dyn Witnessed> {
        let mut aggregates = self.aggregates.iter().copied();
        aggregates.find(|one| one.aggregate_type() == aggregate_type)
    }

    /// The aggregate whose row has this key, as `type#id`; `None` if it is no aggregate's row.
    #[must_use]
    pub fn aggregate_at(&self, pk: &str, sk: &str) -> Option<String> {
        let mut aggregates = self.aggregates.iter();
        aggregates.find_map(|one| Some(format!("{}#{}", one.aggregate_type(), one.id_at(pk, sk)?)))
    }
}
