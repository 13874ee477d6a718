//! What the consumers declare as evidence that they handled an event, taken from the consumers themselves. The audit
//! (`infra/cli`) and the dashboard ask the same.

use consumer::{Failure, Handler};
use events::{Envelope, Evidence, Selection, Subscription};
use outbox::{GuardedPut, Item, Key, Mark, Table};
use serde_json::Value;

/// The tables that evidence stands in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tables {
    /// The marks.
    pub marks: Table,
    /// Credits, treasury accounts, totals, alerts.
    pub cloud: Table,
    /// Contacts and notes.
    pub notifications: Table,
    /// Wallets, their ledger, escrows, balances to read.
    pub wallet: Table,
}

/// The row that an event whose evidence is a guard leaves, in the consumer's table.
type GuardedRow = fn(&Envelope, &Table) -> Result<GuardedPut, Failure>;

/// Which of the stack's tables is the consumer's.
type OwnTable = fn(&Tables) -> &Table;

/// A consumer whose evidence is looked for.
#[derive(Debug, Clone)]
pub struct Watched {
    /// Its name: the identity of its marks.
    pub name: &'static str,
    /// What it listens to, and what shows that it handled it.
    pub selection: Selection,
    row: Option<(GuardedRow, OwnTable)>,
}

/// Every consumer of the project. One that is missing here is told by the audit as not looked at.
#[must_use]
pub fn watched() -> Vec<Watched> {
    vec![
        Watched::of::<activity_feed::handler::ActivityFeed>(),
        Watched::of::<audit_log::handler::AuditLog>(),
        Watched::of::<analytics::handler::Analytics>(),
        Watched::of::<cloud_chain_sync::handler::ChainSync>()
            .guarded(cloud_chain_sync::handler::guarded_row, |tables| {
                &tables.cloud
            }),
        Watched::of::<cloud_treasury::handler::Treasury>(),
        Watched::of::<event_feed::handler::EventFeed>(),
        Watched::of::<notifications::handler::Notifications>()
            .guarded(notifications::handler::guarded_row, |tables| {
                &tables.notifications
            }),
        Watched::of::<wallet_balances::handler::WalletBalances>()
            .guarded(wallet_balances::handler::guarded_row, |tables| {
                &tables.wallet
            }),
    ]
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
    /// A consumer whose evidence is no guard.
    #[must_use]
    pub fn of<H: Handler>() -> Self {
        Self {
            name: H::NAME,
            selection: <H::Event as Subscription>::SELECTION,
            row: None,
        }
    }

    fn guarded(mut self, row: GuardedRow, table: fn(&Tables) -> &Table) -> Self {
        self.row = Some((row, table));
        self
    }

    /// What its resources' names in the template begin with: `CloudTreasury`.
    #[must_use]
    pub fn stack_name(&self) -> String {
        self.name
            .split('-')
            .map(|word| {
                let (first, rest) = word.split_at(word.len().min(1));
                first.to_uppercase() + rest
            })
            .collect()
    }

    /// What shows that it handled this event; `None` where it does not listen to the type.
    ///
    /// # Errors
    /// Why it cannot be told: the event cannot be what the consumer takes.
    pub fn proof(&self, envelope: &Envelope, tables: &Tables) -> Result<Option<Proof>, String> {
        let event_type = envelope.event_type.as_str();
        let Some(evidence) = self.selection.evidence(event_type) else {
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
            (Evidence::Guard, Some((row, table))) => row(envelope, table(tables))
                .map(|put| Some(Proof::Row(put)))
                .map_err(|failure| failure.chain()),
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
    fn every_consumer_of_the_project_is_watched_and_tells_a_row_for_every_guard() {
        let watched = watched();
        let folders = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../functions");
        let mut consumers: Vec<String> = std::fs::read_dir(folders)
            .expect("the functions")
            .map(|entry| entry.expect("a folder").path())
            .filter(|folder| {
                std::fs::read_to_string(folder.join("src/handler.rs"))
                    .is_ok_and(|code| code.contains("events::subscription!"))
            })
            .filter_map(|folder| Some(folder.file_name()?.to_str()?.to_owned()))
            .collect();
        consumers.sort();
        let mut names: Vec<&str> = watched.iter().map(|one| one.name).collect();
        names.sort_unstable();
        assert_eq!(
            names, consumers,
            "add the consumer to `watched` in this file"
        );
        for one in &watched {
            let guards = one.selection.relies_on(Evidence::Guard);
            assert_eq!(guards, one.row.is_some(), "{}", one.name);
        }
        let treasury = watched.iter().find(|one| one.name == "cloud-treasury");
        assert_eq!(treasury.expect("watched").stack_name(), "CloudTreasury");
    }
}
