//! Settlements: how the money of a payment goes over a network, step by step.

use std::{fmt, num::NonZeroU32};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::payment::Currency;
use crate::{
    DecimalText, Money, NetworkName, PaymentId, Ratio, Retention, Sequence, SettlementId, Text,
    TxHash,
};

contracts! {
    kept Retention::Forever;
    ConfirmationProgress: "settlement.confirmation_progress", Normal, "settlement-api", "settlement" [settlement_id];
    Created: "settlement.created", High, "settlement-api", "settlement" [settlement_id];
    Failed: "settlement.failed", High, "settlement-api", "settlement" [settlement_id];
    GasEstimated: "settlement.gas_estimated", Normal, "settlement-api", "settlement" [settlement_id];
    NetworkSelected: "settlement.network_selected", High, "settlement-api", "settlement" [settlement_id];
    Settled: "settlement.settled", High, "settlement-api", "settlement" [settlement_id];
    StatusChanged: "settlement.status_changed", High, "settlement-api", "settlement" [settlement_id];
}

/// How far a settlement is.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum SettlementStatus {
    /// Asked for.
    Created,
    /// It is known which network it goes over.
    NetworkSelected,
    /// The transaction was handed to the network.
    Submitted,
    /// The network has confirmed it, not yet often enough.
    Confirming,
    /// The network has confirmed it often enough.
    Confirmed,
    /// Done.
    Settled,
    /// It came to nothing.
    Failed,
}

impl SettlementStatus {
    /// All of them, in the order of a life without a hitch.
    pub const ALL: [Self; 7] = [
        Self::Created,
        Self::NetworkSelected,
        Self::Submitted,
        Self::Confirming,
        Self::Confirmed,
        Self::Settled,
        Self::Failed,
    ];

    /// As it stands on the wire.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Created => "created",
            Self::NetworkSelected => "network_selected",
            Self::Submitted => "submitted",
            Self::Confirming => "confirming",
            Self::Confirmed => "confirmed",
            Self::Settled => "settled",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for SettlementStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A settlement was asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    /// Which.
    pub settlement_id: SettlementId,
    /// Whose money: the payment.
    pub payment_id: PaymentId,
    /// How much.
    pub amount: Money,
    /// Of what: the payment's currency.
    pub currency: Currency,
    /// The network it goes over; absent until one is selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkName>,
    /// Which transition of this settlement: 1 (created), 2, 3… without gaps. One write can make two transitions of one version; this tells which is the later.
    pub transition: Sequence,
    /// The settlement's version after the write that this event stands in; several events of one write share it.
    pub version: Sequence,
}

/// It was decided which network a settlement goes over.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NetworkSelected {
    /// Which.
    pub settlement_id: SettlementId,
    /// The network it goes over.
    pub network: NetworkName,
    /// How good it was against the others, from 0 to 1.
    pub score: Ratio,
    /// How the score came about, in words.
    pub reasoning: Text<1000>,
    /// How many confirmations make it confirmed.
    pub required_confirmations: NonZeroU32,
    /// Which transition of this settlement: 1 (created), 2, 3… without gaps. One write can make two transitions of one version; this tells which is the later.
    pub transition: Sequence,
    /// The settlement's version after the write that this event stands in; several events of one write share it.
    pub version: Sequence,
}

/// What the network is expected to charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GasEstimated {
    /// Which.
    pub settlement_id: SettlementId,
    /// The network it goes over.
    pub network: NetworkName,
    /// In the network's own unit.
    pub gas_estimate: DecimalText,
    /// The settlement's version after the write that this event stands in; several events of one write share it.
    pub version: Sequence,
}

/// A settlement went from one status to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusChanged {
    /// Which.
    pub settlement_id: SettlementId,
    /// Where it was.
    pub from_status: SettlementStatus,
    /// Where it is.
    pub to_status: SettlementStatus,
    /// The network it goes over; absent where none was selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkName>,
    /// How many confirmations it has; absent before it was submitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmations: Option<u32>,
    /// The transaction on the network; absent before it was submitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx_hash: Option<TxHash>,
    /// Which transition of this settlement: 1 (created), 2, 3… without gaps. One write can make two transitions of one version; this tells which is the later.
    pub transition: Sequence,
    /// The settlement's version after the write that this event stands in; several events of one write share it.
    pub version: Sequence,
}

/// The network confirmed a settlement more often than before.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfirmationProgress {
    /// Which.
    pub settlement_id: SettlementId,
    /// The network it goes over.
    pub network: NetworkName,
    /// How many confirmations it has.
    pub confirmations: u32,
    /// How many make it confirmed.
    pub required: NonZeroU32,
    /// The settlement's version after the write that this event stands in; several events of one write share it.
    pub version: Sequence,
}

/// A settlement is done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Settled {
    /// Which.
    pub settlement_id: SettlementId,
    /// Whose money: the payment.
    pub payment_id: PaymentId,
    /// How much.
    pub amount: Money,
    /// Of what.
    pub currency: Currency,
    /// The network it goes over.
    pub network: NetworkName,
    /// The transaction on the network.
    pub tx_hash: TxHash,
    /// What the network charged, in its own unit.
    pub gas_actual: DecimalText,
    /// The settlement's version after the write that this event stands in; several events of one write share it.
    pub version: Sequence,
}

/// A settlement came to nothing.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failed {
    /// Which.
    pub settlement_id: SettlementId,
    /// Whose money: the payment.
    pub payment_id: PaymentId,
    /// The network it was to go over; absent where none was selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkName>,
    /// Why.
    pub error: Text<500>,
    /// The settlement's version after the write that this event stands in; several events of one write share it.
    pub version: Sequence,
}
