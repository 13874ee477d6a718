//! What passed through the proxy, and what went wrong.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{operation::Operation, rules::Kind, units::Units};

/// The calls of one operation, or of one operation by one caller.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tally {
    /// Calls that arrived.
    pub calls: u64,
    /// Calls that the service answered. A duplicated call counts twice.
    pub answered: u64,
    /// Items of transactions and entries of batches, of answered calls; 1 for a call about one thing.
    pub items: u64,
    /// Write units of successful calls. [`crate::proxy`] lists the assumptions.
    pub write_units: u64,
    /// Write units of calls that a condition or another transaction stopped. AWS charges for them too.
    pub refused_write_units: u64,
    /// Twice the read units: an eventually consistent read costs half a unit.
    pub read_half_units: u64,
    /// Chunks of 64 KB by which `PutEvents` and SQS sends are billed.
    pub chunks_64_kb: u64,
    /// Responses from the service, by status.
    pub statuses: BTreeMap<u16, u64>,
    /// Faults, by kind.
    pub faults: BTreeMap<Kind, u64>,
}

/// What a proxy has seen since it started or was reset.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Counts {
    /// By operation, such as `dynamodb.PutItem`.
    pub operations: BTreeMap<String, Tally>,
    /// By access key, then by operation. On the local AWS, each function has an access key of its own.
    pub callers: BTreeMap<String, BTreeMap<String, Tally>>,
    /// All faults, by kind.
    pub faults: BTreeMap<Kind, u64>,
    /// Calls that were held back until a later one had passed.
    pub overtaken: u64,
    /// Calls for which the service was unreachable.
    pub unreachable: u64,
}

impl Counts {
    /// The number of all calls.
    #[must_use]
    pub fn calls(&self) -> u64 {
        self.operations.values().map(|tally| tally.calls).sum()
    }

    /// The counts of an operation; all zero if it was never called.
    #[must_use]
    pub fn of(&self, operation: &str) -> Tally {
        self.operations.get(operation).cloned().unwrap_or_default()
    }

    fn each(&mut self, operation: &Operation, caller: &str, change: impl Fn(&mut Tally)) {
        let name = operation.to_string();
        let by_caller = self.callers.entry(caller.to_owned()).or_default();
        change(by_caller.entry(name.clone()).or_default());
        change(self.operations.entry(name).or_default());
    }

    pub(crate) fn arrived(&mut self, operation: &Operation, caller: &str) {
        self.each(operation, caller, |tally| tally.calls += 1);
    }

    pub(crate) fn struck(&mut self, operation: &Operation, caller: &str, kind: Kind) {
        self.each(operation, caller, |tally| {
            *tally.faults.entry(kind).or_default() += 1;
        });
        *self.faults.entry(kind).or_default() += 1;
    }

    pub(crate) fn answered(
        &mut self,
        operation: &Operation,
        caller: &str,
        status: u16,
        items: u64,
        units: Units,
        charged: Charged,
    ) {
        self.each(operation, caller, |tally| {
            tally.answered += 1;
            tally.items += items;
            *tally.statuses.entry(status).or_default() += 1;
            match charged {
                Charged::Done => {
                    tally.write_units += units.write;
                    tally.read_half_units += units.read_halves;
                    tally.chunks_64_kb += units.chunks;
                }
                Charged::Stopped => tally.refused_write_units += units.write,
                Charged::Nothing => {}
            }
        });
    }
}

/// What AWS charges for a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Charged {
    /// The call was carried out.
    Done,
    /// A condition failed, or the transaction was cancelled.
    Stopped,
    /// The call was rejected.
    Nothing,
}
