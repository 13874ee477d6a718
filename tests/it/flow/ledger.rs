//! An in-order consumer on the shipped domain. Its effect shows whether each event was handled once and after the
//! earlier ones, whatever faults there were.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use async_trait::async_trait;
use consumer::{Failure, Handler, Received};
use events::{Envelope, Subscription, contracts::cloud};
use outbox::{Condition, Key, Outbox, Table, Transaction};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::world::World;

events::subscription! {
    /// All events of an account except burns, which the consumer skips.
    pub(crate) enum AccountEvent {
        Minted(cloud::Minted) by Cursor,
        Transferred(cloud::Transferred) by Cursor,
        Redeemed(cloud::Redeemed) by Cursor,
        Staked(cloud::Staked) by Cursor,
        Unstaked(cloud::Unstaked) by Cursor,
    }
}

/// Whether some events are refused the first times.
#[derive(Clone, Default)]
pub(crate) struct RefusalPlan {
    bad: Arc<AtomicBool>,
    decided: Arc<Mutex<BTreeMap<String, u32>>>,
}

impl RefusalPlan {
    pub(crate) fn set(&self, bad: bool) {
        self.bad.store(bad, Ordering::Relaxed);
    }

    fn judge(&self, event_id: &str) -> Result<(), Failure> {
        if !self.bad.load(Ordering::Relaxed) {
            return Ok(());
        }
        let mut decided = self.decided.lock().expect("never poisoned");
        let times = decided.entry(event_id.to_owned()).or_insert(0);
        *times += 1;
        let drawn: u32 = event_id.bytes().map(u32::from).sum();
        match drawn % 16 {
            0 if *times <= 1 => Err(Failure::park("not today")),
            1 if *times <= 3 => Err(Failure::park("not this week")),
            2 if *times <= 6 => Err(Failure::retry("not yet")),
            _ => Ok(()),
        }
    }
}

/// Writes the events it handles to one list per account. The write has no condition, so only the cursor keeps it from
/// writing twice.
pub(crate) struct Ledger {
    pub(crate) outbox: Outbox,
    pub(crate) refusals: RefusalPlan,
}

#[derive(Default, Serialize, Deserialize)]
struct Lines {
    sequences: Vec<u64>,
}

fn table() -> Table {
    Table::domain("ledger")
}

fn lines_key(aggregate: &str) -> Key {
    table().key(aggregate, "lines")
}

fn count_key(aggregate: &str, sequence: u64) -> Key {
    table().key(aggregate, format!("count#{sequence:05}"))
}

#[async_trait]
impl Handler for Ledger {
    const NAME: &'static str = "ledger";
    type Event = AccountEvent;

    async fn decide(
        &self,
        received: &Received<AccountEvent>,
        mut transaction: Transaction,
    ) -> Result<Transaction, Failure> {
        let envelope = &received.envelope;
        self.refusals.judge(&envelope.event_id.to_string())?;
        let (aggregate, sequence) = (envelope.aggregate(), envelope.sequence.number());
        let key = lines_key(&aggregate);
        let there: Option<Lines> = self.outbox.row(&key).await?;
        let condition = if there.is_some() {
            Condition::Present
        } else {
            Condition::Absent
        };
        let mut lines = there.unwrap_or_default();
        if let Some(last) = lines.sequences.last().filter(|last| **last >= sequence) {
            return Err(Failure::park(format!("{sequence} comes after {last}")));
        }
        lines.sequences.push(sequence);
        transaction.put(key, &lines, condition)?;
        transaction.add(count_key(&aggregate, sequence), vec![("count", 1.into())]);
        Ok(transaction)
    }
}

impl World {
    /// Each account's list must equal the event log: the same order, each event once.
    pub(super) fn judge_ledger(&self, log: &[Envelope], wrong: &mut Vec<String>) {
        let mut expected: BTreeMap<String, Vec<u64>> = BTreeMap::new();
        let listened =
            |event: &&Envelope| AccountEvent::evidence(event.event_type.as_str()).is_some();
        for event in log.iter().filter(listened) {
            let sequences = expected.entry(event.aggregate()).or_default();
            sequences.push(event.sequence.number());
        }
        for (aggregate, expected) in expected {
            let key = lines_key(&aggregate);
            let lines: Result<Option<Lines>, _> = self
                .flow
                .look(|site| async move { site.outbox().row(&key).await });
            let sequences = lines.expect("readable").unwrap_or_default().sequences;
            if sequences != expected {
                wrong.push(format!(
                    "the ledger of {aggregate} has {sequences:?}, the log has {expected:?}"
                ));
            }
            for sequence in &expected {
                let key = count_key(&aggregate, *sequence);
                let row: Result<Option<Value>, _> = self
                    .flow
                    .look(|site| async move { site.outbox().row(&key).await });
                let count = row
                    .expect("readable")
                    .map_or(0, |row| row["count"].as_u64().unwrap_or(0));
                if count != 1 {
                    wrong.push(format!(
                        "the ledger did {sequence} of {aggregate} {count} times"
                    ));
                }
            }
            let progress = self.flow.progress(Ledger::NAME, &aggregate);
            let progress = progress.expect("readable");
            if progress.position() < *expected.last().expect("some") {
                wrong.push(format!("the ledger's cursor is at {progress:?}"));
            }
            if let Some(blocked) = progress.blocked() {
                wrong.push(format!(
                    "the ledger of {aggregate} is blocked by {blocked:?}"
                ));
            }
        }
    }
}
