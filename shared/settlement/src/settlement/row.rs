//! A settlement as it is stored: its state, and the attributes of the index of settlements in progress.

use events::Contract as _;
use events::contracts::settlement::{Created, SettlementStatus};
use outbox::{Index, Query, State, Table};
use serde::{Deserialize, Serialize};

use super::Settlement;
use crate::machine::SETTLEMENT;

/// The sparse index of settlements in progress, by status, oldest first. It is eventually consistent.
pub const OPEN: Index = Index {
    name: "open",
    partition: "open_status",
    sort: "open_since",
};

/// The stored item of a settlement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct SettlementRow {
    #[serde(flatten)]
    settlement: Settlement,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open_status: Option<SettlementStatus>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    open_since: Option<String>,
}

impl SettlementRow {
    /// The item of a settlement.
    #[must_use]
    pub fn of(settlement: &Settlement) -> Self {
        let open = (!SETTLEMENT.is_final(settlement.status)).then_some(settlement);
        Self {
            open_status: open.map(|one| one.status),
            open_since: open.map(|one| format!("{}#{}", one.created_at, one.settlement_id)),
            settlement: settlement.clone(),
        }
    }

    /// The settlement.
    #[must_use]
    pub fn settlement(&self) -> &Settlement {
        &self.settlement
    }

    /// The query for settlements in a status that is not final, oldest first, at most `limit`.
    #[must_use]
    pub fn open(table: &Table, status: SettlementStatus, limit: u32) -> Query {
        Query {
            index: Some(OPEN),
            ..Query::partition(table, status.as_str(), limit)
        }
    }
}

impl State for SettlementRow {
    const AGGREGATE: &'static str = Created::AGGREGATE;
}
