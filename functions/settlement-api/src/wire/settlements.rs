//! Settlements.

use std::num::NonZeroU32;

use api::{AmountInput, CursorToken, PageLimit, PositiveInput};
use events::{
    Fiat, NetworkName, Part, PaymentId, Sequence, SettlementId, Text, TxHash,
    contracts::settlement::SettlementStatus,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use settlement::{
    Settlement,
    selection::{Candidate, Fee, Gas},
};

/// A network that the settlement could go over.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct NetworkOffer {
    /// Its name; each stands once.
    pub network: NetworkName,
    /// What going over it costs.
    pub cost_usd: AmountInput<Fee>,
    /// How long it takes, in seconds.
    pub seconds: u32,
    /// How likely it goes through: 0 to 1.
    pub reliability: AmountInput<Part>,
    /// What it is expected to charge, in its own unit, as decimal text.
    pub gas_estimate: Gas,
    /// How many confirmations make the settlement confirmed.
    pub required_confirmations: NonZeroU32,
}

impl NetworkOffer {
    /// As the rules weigh it.
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

/// Settle money of a payment.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SettlementRequest {
    /// Whose money.
    pub payment_id: PaymentId,
    /// How much of the payment's currency, more than zero.
    pub amount: PositiveInput<Fiat>,
    /// The networks to choose from, 1 to 32.
    pub networks: Vec<NetworkOffer>,
}

/// A settlement that was made, and the network it goes over.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SettlementChoice {
    /// Which.
    pub settlement_id: SettlementId,
    /// How far it is.
    pub status: SettlementStatus,
    /// The network that was selected.
    pub network: Option<NetworkName>,
    /// How many confirmations make it confirmed.
    pub required_confirmations: Option<NonZeroU32>,
}

/// Which settlement.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SettlementPath {
    /// Its id.
    pub settlement_id: SettlementId,
}

/// Note that the transaction was handed to the network.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SettlementSubmission {
    /// What the network calls it.
    pub tx_hash: TxHash,
}

/// Note how often the network has confirmed it.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ConfirmationsRequest {
    /// How many confirmations there are by now, all counted.
    pub confirmations: u32,
}

/// End a settlement well.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SettlementEnd {
    /// What the network charged, in its own unit, as decimal text.
    pub gas_actual: Gas,
}

/// End a settlement badly.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SettlementFailure {
    /// Why.
    pub error: Text<500>,
}

/// A settlement after a step.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SettlementAnswer {
    /// Which.
    pub settlement_id: SettlementId,
    /// How far it is.
    pub status: SettlementStatus,
}

/// A settlement after confirmations.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ConfirmationsAnswer {
    /// Which.
    pub settlement_id: SettlementId,
    /// How far it is.
    pub status: SettlementStatus,
    /// How many confirmations it has.
    pub confirmations: u32,
    /// How many make it confirmed.
    pub required_confirmations: Option<NonZeroU32>,
}

/// A settlement with the version that it has.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct SettlementView {
    /// The settlement.
    #[serde(flatten)]
    pub settlement: Settlement,
    /// One more with every change.
    pub version: Sequence,
}

/// A status that is not the last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum OpenStatus {
    /// Asked for.
    Created,
    /// It is known which network it goes over.
    NetworkSelected,
    /// Handed to the network.
    Submitted,
    /// Confirmed, not yet often enough.
    Confirming,
    /// Confirmed often enough.
    Confirmed,
}

impl OpenStatus {
    /// All of them, in the order of a life without a hitch.
    pub const ALL: [Self; 5] = [
        Self::Created,
        Self::NetworkSelected,
        Self::Submitted,
        Self::Confirming,
        Self::Confirmed,
    ];

    /// The status.
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

/// Which settlements under way.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct SettlementsQuery {
    /// Those in this status; left out: all that are under way, one status after the other.
    #[serde(default)]
    pub status: Option<OpenStatus>,
    /// How many items at most.
    #[serde(default)]
    pub limit: PageLimit,
    /// Go on where the page before ended.
    #[serde(default)]
    pub cursor: Option<CursorToken>,
}

/// What is stored of a settlement, and what its events alone come to.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct SettlementWitness {
    /// Whether both are the same.
    pub agrees: bool,
    /// What is stored; null where nothing is.
    pub stored: Option<SettlementView>,
    /// What the events come to; null where they come to nothing.
    pub rebuilt: Option<SettlementView>,
    /// How many events there are.
    pub events: usize,
    /// Why the events come to nothing.
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
