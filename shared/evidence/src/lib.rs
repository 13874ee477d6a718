//! The evidence that a consumer handled an event: its mark, its cursor, or the row that it projects. The audit
//! (`infra/cli`) and the look-ups (`system-api`) both use it.
//!
//! The consumers and their kinds of evidence follow from the topology. A consumer whose evidence is a guard also has a
//! line in `guards.rs`.

mod guards;
mod handling;
mod journey;

use std::collections::BTreeMap;

use events::{Envelope, Evidence, Selection};
use outbox::{
    GuardedPut, Item, Key, Mark, Table,
    env::{Env, SettingError},
};
use serde_json::Value;

pub use guards::GuardedRow;
pub use handling::{HandledBy, Handling, ParkedView, handled_by};
pub use journey::Journey;

/// The tables that hold the evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EvidenceTables {
    /// The table of the marks.
    pub marks: Table,
    /// The tables of the projections, by their id in the topology.
    projections: BTreeMap<&'static str, Table>,
}

impl EvidenceTables {
    /// Only the marks, without projections.
    #[must_use]
    pub fn new(marks: Table) -> Self {
        Self {
            marks,
            projections: BTreeMap::new(),
        }
    }

    /// Adds a projection's table, with its name in the deployment.
    #[must_use]
    pub fn with(mut self, table: &'static topology::Table, deployed: Table) -> Self {
        self.projections.insert(table.id, deployed);
        self
    }

    /// The tables in a function's settings: `MARKS_TABLE`, and those of the deployed projections.
    ///
    /// # Errors
    /// [`SettingError::Missing`] if `MARKS_TABLE` is not set.
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        let marks = Self::new(Table::marks(env.required("MARKS_TABLE")?));
        let named = Self::of_projections().into_iter();
        let deployed = named.filter_map(|table| Some((table, env.optional(table.setting)?)));
        Ok(deployed.fold(marks, |tables, (table, name)| {
            tables.with(table, Table::domain(name))
        }))
    }

    /// The tables of all projections with a guard in the topology.
    #[must_use]
    pub fn of_projections() -> Vec<&'static topology::Table> {
        let mut tables: Vec<&'static topology::Table> = Vec::new();
        for consumer in checked_consumers() {
            if let Some((_, table)) = consumer.row
                && !tables.contains(&table)
            {
                tables.push(table);
            }
        }
        tables
    }
}

/// A consumer whose evidence is checked.
#[derive(Debug, Clone, Copy)]
pub struct CheckedConsumer {
    /// Its name: the identity of its marks.
    pub name: &'static str,
    /// What it listens to, with the evidence of each type.
    pub selection: Selection,
    row: Option<(GuardedRow, &'static topology::Table)>,
}

/// Every consumer of the project.
#[must_use]
pub fn checked_consumers() -> Vec<CheckedConsumer> {
    topology::consumers()
        .map(|(function, consumer)| CheckedConsumer {
            name: function.name,
            selection: consumer.selection,
            row: guards::of(function.name).zip(function.owns.first().map(|access| access.table)),
        })
        .collect()
}

/// The evidence to look for: what the store holds if an event was handled.
#[derive(Debug, Clone)]
pub enum Proof {
    /// A mark with this key.
    Mark(Key),
    /// An in-order consumer's cursor, at this sequence or later.
    Cursor(Key, u64),
    /// This row, with the event's version or a newer one. At the event's version its contents are the event's.
    Row(GuardedPut),
}

/// The state of a proof in the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ProofStatus {
    /// The event was handled.
    Handled,
    /// There is no evidence.
    Missing,
    /// The row has the event's version, but different contents.
    Differs,
}

impl Proof {
    /// The key of the row to read.
    #[must_use]
    pub fn key(&self) -> &Key {
        match self {
            Self::Mark(key) | Self::Cursor(key, _) => key,
            Self::Row(put) => &put.key,
        }
    }

    /// Whether the row expires: marks do, the other rows do not.
    #[must_use]
    pub fn expires(&self) -> bool {
        matches!(self, Self::Mark(_))
    }

    /// The state that the row shows. Pass `None` if there is no row.
    #[must_use]
    pub fn status(&self, item: Option<&Item>) -> ProofStatus {
        let Some(item) = item else {
            return ProofStatus::Missing;
        };
        let put = match self {
            Self::Mark(_) => return ProofStatus::Handled,
            Self::Cursor(_, sequence) => {
                let position = item.get("position").and_then(Value::as_u64);
                return if position.is_some_and(|position| position >= *sequence) {
                    ProofStatus::Handled
                } else {
                    ProofStatus::Missing
                };
            }
            Self::Row(put) => put,
        };
        match item.get("version").and_then(Value::as_u64) {
            Some(version) if version > put.version => ProofStatus::Handled,
            Some(version) if version == put.version => {
                let same = |(name, value): (&String, &Value)| item.get(name) == Some(value);
                if put.item.iter().all(same) {
                    ProofStatus::Handled
                } else {
                    ProofStatus::Differs
                }
            }
            Some(_) | None => ProofStatus::Missing,
        }
    }
}

/// The parked event that an aggregate waits for, as recorded in a consumer's cursor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The parked event's sequence.
    pub sequence: u64,
    /// The parked event's id.
    pub event_id: String,
    /// Why it was parked.
    pub reason: String,
}

impl Block {
    /// The block recorded in a cursor's row, if there is one.
    #[must_use]
    pub fn of(cursor: &Item) -> Option<Self> {
        let text = |name: &str| Some(cursor.get(name)?.as_str()?.to_owned());
        Some(Self {
            sequence: cursor.get("blocked_sequence")?.as_u64()?,
            event_id: text("blocked_event_id")?,
            reason: text("blocked_reason")?,
        })
    }
}

impl CheckedConsumer {
    /// A consumer that is not part of the project. Its evidence must not be a guard.
    #[must_use]
    pub const fn new(name: &'static str, selection: Selection) -> Self {
        Self {
            name,
            selection,
            row: None,
        }
    }

    /// The kind of evidence for events of this type. `None` if the consumer does not listen to the type.
    #[must_use]
    pub fn evidence(&self, event_type: &str) -> Option<Evidence> {
        self.selection.evidence(event_type)
    }

    /// The consumer's name in the stack's logical ids: `CloudTreasury`.
    #[must_use]
    pub fn stack_name(&self) -> String {
        topology::pascal(self.name)
    }

    /// The evidence to look for if this event was handled. `None` if the consumer does not listen to the type, or its
    /// projections are not deployed.
    ///
    /// # Errors
    /// A message if there can be none: the event is not one that the consumer accepts.
    pub fn proof(
        &self,
        envelope: &Envelope,
        tables: &EvidenceTables,
    ) -> Result<Option<Proof>, String> {
        let event_type = envelope.event_type.as_str();
        let Some(evidence) = self.evidence(event_type) else {
            return Ok(None);
        };
        match (evidence, self.row) {
            (Evidence::Mark, _) => Mark::event(self.name, envelope)
                .key(&tables.marks)
                .map(|key| Some(Proof::Mark(key)))
                .map_err(|error| error.to_string()),
            (Evidence::Cursor, _) => {
                outbox::cursor_key(&tables.marks, self.name, &envelope.aggregate())
                    .map(|key| Some(Proof::Cursor(key, envelope.sequence.number())))
                    .map_err(|error| error.to_string())
            }
            (Evidence::Guard, Some((row, table))) => tables
                .projections
                .get(table.id)
                .map(|table| row(envelope, table).map(Proof::Row))
                .transpose(),
            (Evidence::Guard, None) => Err(format!(
                "{} declares a guard for {event_type} but has no line in guards.rs",
                self.name
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_consumer_with_a_guard_tells_its_row_and_no_other_does() {
        for one in checked_consumers() {
            let guards = one
                .selection
                .types()
                .iter()
                .any(|of| of.evidence == Evidence::Guard);
            assert_eq!(
                guards,
                one.row.is_some(),
                "{}: a consumer by guard has a line in guards.rs, and a table of its own",
                one.name
            );
        }
    }

    #[test]
    fn a_consumer_whose_projections_are_not_deployed_shows_nothing() {
        let balances = checked_consumers()
            .into_iter()
            .find(|one| one.name == "wallet-balances")
            .expect("a consumer by guard");
        let payload = include_str!("../../events/samples/wallet/balance-updated-v1/full.json");
        let updated: events::contracts::wallet::BalanceUpdated =
            serde_json::from_str(payload).expect("a sample");
        let envelope = events::Draft::of(&updated)
            .expect("a draft")
            .seal(&events::Stamp {
                event_id: events::EventId::new(uuid::Uuid::now_v7()).expect("an id"),
                sequence: events::Sequence::new(1).expect("a number"),
                now: events::Timestamp::EPOCH,
                cause: &events::Cause::default(),
            });
        let none = EvidenceTables::new(Table::marks("marks"));
        assert!(matches!(balances.proof(&envelope, &none), Ok(None)));
        let table = EvidenceTables::of_projections()
            .into_iter()
            .find(|table| table.id == "Wallet")
            .expect("its table");
        let deployed = none.with(table, Table::domain("wallet"));
        assert!(matches!(
            balances.proof(&envelope, &deployed),
            Ok(Some(Proof::Row(_)))
        ));
    }
}
