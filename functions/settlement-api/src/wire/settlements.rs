//! Settlements.

use std::num::NonZeroU32;

use api::{AmountInput, CursorToken, PageLimit, PositiveInput};
use events::{
    Fiat, NetworkName, Part, PaymentId, Sequence, SettlementId, Text, TxHash,
    contracts::{payment::Currency, settlement::SettlementStatus},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settlement::{
    Settlement,
    selection::{Candidate, Fee, Gas},
};

/// A network that the settlement could use.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct NetworkOffer {
    /// The name. Each network can appear only once.
    pub network: NetworkName,
    /// The cost of using it.
    pub cost_usd: AmountInput<Fee>,
    /// The duration in seconds.
    pub seconds: u32,
    /// The probability of success: 0 to 1.
    pub reliability: AmountInput<Part>,
    /// The expected charge in the network's own unit, as decimal text.
    pub gas_estimate: Gas,
    /// The number of confirmations after which the settlement counts as confirmed.
    pub required_confirmations: NonZeroU32,
}

impl NetworkOffer {
    /// Returns the network in the form that the selection rules weigh.
    #[must_use]
    pub fn candidate(&self) -> Candidate {
        Candidate {
            network: self.network.clone(),
            cost_usd: self.cost_usd.amount(),
            seconds: self.seconds,
            reliability: self.reliability.amount(),
            gas_estimate: self.gas_estimate.clone(),
            required_confirmations: self.required_confirmations,
        }
    }
}

/// Create a settlement of a payment.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SettlementRequest {
    /// The payment.
    pub payment_id: PaymentId,
    /// The amount in the payment's currency, more than zero and at most what is left of the payment: what was captured,
    /// less refunds and settlements that have not failed.
    pub amount: PositiveInput<Fiat>,
    /// The currency in which the amount is stated. If it is not the payment's, the settlement is refused; if absent, it
    /// is the payment's.
    #[serde(default)]
    pub currency: Option<Currency>,
    /// The networks to choose from, 1 to 32.
    pub networks: Vec<NetworkOffer>,
}

/// A new settlement, and the network that was selected for it.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SettlementChoice {
    /// The settlement's id.
    pub settlement_id: SettlementId,
    /// The settlement's status.
    pub status: SettlementStatus,
    /// The selected network.
    pub network: Option<NetworkName>,
    /// The number of confirmations that it requires.
    pub required_confirmations: Option<NonZeroU32>,
}

/// The path parameter of a settlement.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SettlementPath {
    /// The settlement's id.
    pub settlement_id: SettlementId,
}

/// Record that the transaction was submitted to the network.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SettlementSubmission {
    /// The network's id of the transaction.
    pub tx_hash: TxHash,
}

/// Record the network's confirmations.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ConfirmationsRequest {
    /// The total number of confirmations so far.
    pub confirmations: u32,
}

/// Record that a settlement succeeded.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SettlementEnd {
    /// The network's charge in its own unit, as decimal text.
    pub gas_actual: Gas,
}

/// Record that a settlement failed.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SettlementFailure {
    /// The reason.
    pub error: Text<500>,
}

/// The result of a step of a settlement.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SettlementAnswer {
    /// The settlement's id.
    pub settlement_id: SettlementId,
    /// The settlement's status.
    pub status: SettlementStatus,
}

/// The result of recorded confirmations.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ConfirmationsAnswer {
    /// The settlement's id.
    pub settlement_id: SettlementId,
    /// The settlement's status.
    pub status: SettlementStatus,
    /// The number of confirmations.
    pub confirmations: u32,
    /// The number of confirmations that it requires.
    pub required_confirmations: Option<NonZeroU32>,
}

/// A settlement and its version.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SettlementView {
    /// The settlement.
    #[serde(flatten)]
    pub settlement: Settlement,
    /// The version: every change increases it by one.
    pub version: Sequence,
}

/// A status that is not final.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum OpenStatus {
    /// Created.
    Created,
    /// The network is selected.
    NetworkSelected,
    /// Submitted to the network.
    Submitted,
    /// Confirmed, but not yet the required number of times.
    Confirming,
    /// Confirmed the required number of times.
    Confirmed,
}

impl OpenStatus {
    /// All open statuses, in the order of a normal life.
    pub const ALL: [Self; 5] = [
        Self::Created,
        Self::NetworkSelected,
        Self::Submitted,
        Self::Confirming,
        Self::Confirmed,
    ];

    /// Returns the domain's status.
    #[must_use]
    pub const fn status(self) -> SettlementStatus {
        match self {
            Self::Created => SettlementStatus::Created,
            Self::NetworkSelected => SettlementStatus::NetworkSelected,
            Self::Submitted => SettlementStatus::Submitted,
            Self::Confirming => SettlementStatus::Confirming,
            Self::Confirmed => SettlementStatus::Confirmed,
        }
    }
}

/// The query of a list of settlements in progress.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SettlementsQuery {
    /// Only settlements in this status. If absent: all that are in progress, one status after the other.
    #[serde(default)]
    pub status: Option<OpenStatus>,
    /// The maximum number of items.
    #[serde(default)]
    pub limit: PageLimit,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<CursorToken>,
}

/// The stored settlement, and the one rebuilt from its events.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SettlementWitness {
    /// Whether both agree.
    pub agrees: bool,
    /// The stored settlement; null if there is none.
    pub stored: Option<SettlementView>,
    /// The settlement rebuilt from the events; null if they do not give one.
    pub rebuilt: Option<SettlementView>,
    /// The number of events.
    pub events: usize,
    /// Why the events do not give a settlement.
    pub reason: Option<String>,
}

#[cfg(test)]
mod tests {
    use settlement::machine::SETTLEMENT;

    use super::*;

    #[test]
    fn every_status_that_is_not_the_last_can_be_asked_for() {
        let open = SettlementStatus::ALL
            .into_iter()
            .filter(|status| !SETTLEMENT.is_final(*status));
        let asked = OpenStatus::ALL.map(OpenStatus::status);
        assert!(open.eq(asked));
    }
}
