//! What shows that a consumer handled an event: its mark, its cursor, or the row that it projects. The audit (`infra/cli`) and
//! the dashboard (`event-stream`) ask the same.
//!
//! Which consumers there are, and by which evidence, follows from the topology. A consumer with a projection by guard adds a line
//! to `guards.rs`.

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

/// The tables that evidence stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// The marks.
    pub marks: Table,
    /// The tables with projections, by their id in the topology.
    projections: BTreeMap<&'static str, Table>,
}

impl Tables {
    /// The marks alone.
    #[must_use]
    pub fn new(marks: Table) -> Self {
        Self {
            marks,
            projections: BTreeMap::new(),
        }
    }

    /// And this table, as it is called in the deployment.
    #[must_use]
    pub fn with(mut self, table: &'static topology::Table, deployed: Table) -> Self {
        self.projections.insert(table.id, deployed);
        self
    }

    /// The tables of a function's settings: `MARKS_TABLE`, and those of the projections that are deployed.
    ///
    /// # Errors
    /// [`SettingError::Missing`].
    pub fn from_env(env: &Env) -> Result<Self, SettingError> {
        let marks = Self::new(Table::marks(env.required("MARKS_TABLE")?));
        let named = Self::of_projections().into_iter();
        let deployed = named.filter_map(|table| Some((table, env.optional(table.setting)?)));
        Ok(deployed.fold(marks, |tables, (table, name)| {
            tables.with(table, Table::domain(name))
        }))
    }

    /// The tables that projections by guard stand in, of the whole topology.
    #[must_use]
    pub fn of_projections() -> Vec<&'static topology::Table> {
        let mut tables: Vec<&'static topology::Table> = Vec::new();
        for consumer in watched() {
            if let Some((_, table)) = consumer.row
                && !tables.contains(&table)
            {
                tables.push(table);
            }
        }
        tables
    }
}

/// A consumer whose evidence is looked for.
#[derive(Debug, Clone, Copy)]
pub struct Watched {
    /// Its name: the identity of its marks.
    pub name: &'static str,
    /// What it listens to, and what shows that it handled it.
    pub selection: Selection,
    row: Option<(GuardedRow, &'static topology::Table)>,
}

/// Every consumer of the project.
#[must_use]
pub fn watched() -> Vec<Watched> {
    topology::consumers()
        .map(|(function, consumer)| Watched {
            name: function.name,
            selection: consumer.selection,
            row: guards::of(function.name).zip(function.owns.first().map(|access| access.table)),
        })
        .collect()
}

/// What shows that an event was handled.
#[derive(Debug, Clone)]
pub enum Proof {
    /// This mark exists.
    Mark(Key),
    /// An in-order consumer's cursor, and how far it must be.
    Cursor(Key, u64),
    /// This row is as new as the event, and says what the event says where it is just as new.
    Row(GuardedPut),
}

/// What the store shows of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Handled.
    Yes,
    /// No sign of it.
    No,
    /// The row is of the event's version, and says something else.
    Otherwise,
}

impl Proof {
    /// The row that shows it.
    #[must_use]
    pub fn key(&self) -> &Key {
        match self {
            Self::Mark(key) | Self::Cursor(key, _) => key,
            Self::Row(put) => &put.key,
        }
    }

    /// Whether it goes by itself: marks do, rows do not.
    #[must_use]
    pub fn expires(&self) -> bool {
        matches!(self, Self::Mark(_))
    }

    /// What the row shows; `None` where it is not there.
    #[must_use]
    pub fn shown_by(&self, item: Option<&Item>) -> Shown {
        let Some(item) = item else { return Shown::No };
        let put = match self {
            Self::Mark(_) => return Shown::Yes,
            Self::Cursor(_, sequence) => {
                let position = item.get("position").and_then(Value::as_u64);
                return if position.is_some_and(|position| position >= *sequence) {
                    Shown::Yes
                } else {
                    Shown::No
                };
            }
            Self::Row(put) => put,
        };
        match item.get("version").and_then(Value::as_u64) {
            Some(version) if version > put.version => Shown::Yes,
            Some(version) if version == put.version => {
                let same = |(name, value): (&String, &Value)| item.get(name) == Some(value);
                if put.item.iter().all(same) {
                    Shown::Yes
                } else {
                    Shown::Otherwise
                }
            }
            Some(_) | None => Shown::No,
        }
    }
}

/// The parked event that an aggregate waits for, as a consumer's cursor tells.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Block {
    /// The parked event's number.
    pub sequence: u64,
    /// Its id.
    pub event_id: String,
    /// Why it was parked.
    pub reason: String,
}

impl Block {
    /// What a cursor's row says.
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

impl Watched {
    /// A consumer that is not of the project; its evidence must not be a guard.
    #[must_use]
    pub const fn new(name: &'static str, selection: Selection) -> Self {
        Self {
            name,
            selection,
            row: None,
        }
    }

    /// How it shows that it handled events of this type; `None` where it does not listen to the type.
    #[must_use]
    pub fn evidence(&self, event_type: &str) -> Option<Evidence> {
        self.selection.evidence(event_type)
    }

    /// The consumer's name in the logical ids of the stack: `CloudTreasury`.
    #[must_use]
    pub fn stack_name(&self) -> String {
        topology::pascal(self.name)
    }

    /// What shows that it handled this event; `None` where it does not listen to the type, or its projections are not deployed.
    ///
    /// # Errors
    /// Why it cannot be told: the event cannot be what the consumer takes.
    pub fn proof(&self, envelope: &Envelope, tables: &Tables) -> Result<Option<Proof>, String> {
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
                "{} declares a guard for {event_type} and tells no row",
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
        for one in watched() {
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
        let balances = watched()
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
        let none = Tables::new(Table::marks("marks"));
        assert!(matches!(balances.proof(&envelope, &none), Ok(None)));
        let table = Tables::of_projections()
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
