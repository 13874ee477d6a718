//! Settlements: how a network carries the money of a payment, step by step.

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

/// The status of a settlement.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum SettlementStatus {
    /// Requested.
    Created,
    /// A network was selected for it.
    NetworkSelected,
    /// The transaction was handed to the network.
    Submitted,
    /// The network has confirmed it, but not yet often enough.
    Confirming,
    /// The network has confirmed it often enough.
    Confirmed,
    /// The settlement is complete.
    Settled,
    /// It failed.
    Failed,
}

impl SettlementStatus {
    /// Every status, in the order in which they normally follow.
    pub const ALL: [Self; 7] = [
        Self::Created,
        Self::NetworkSelected,
        Self::Submitted,
        Self::Confirming,
        Self::Confirmed,
        Self::Settled,
        Self::Failed,
    ];

    /// The name on the wire.
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

/// A settlement was requested.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Created {
    /// The settlement.
    pub settlement_id: SettlementId,
    /// The payment whose money is settled.
    pub payment_id: PaymentId,
    /// The amount.
    pub amount: Money,
    /// The payment's currency.
    pub currency: Currency,
    /// The network that carries the settlement; absent until one is selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkName>,
    /// The payment's version after the write that allocated the amount to the settlement; absent if the payment does
    /// not count this settlement, because it was created before payments did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub payment_version: Option<Sequence>,
    /// The transition's number, without gaps: 1 (created), 2, 3… It orders two transitions of one write (same version).
    pub transition: Sequence,
    /// The settlement's version after the write that holds this event. Several events of one write share it.
    pub version: Sequence,
}

/// A network was selected for a settlement.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct NetworkSelected {
    /// The settlement.
    pub settlement_id: SettlementId,
    /// The network that carries the settlement.
    pub network: NetworkName,
    /// The network's score compared with the others, from 0 to 1.
    pub score: Ratio,
    /// How the score came about, in words.
    pub reasoning: Text<1000>,
    /// The number of confirmations that the settlement needs to be confirmed.
    pub required_confirmations: NonZeroU32,
    /// The transition's number, without gaps: 1 (created), 2, 3… It orders two transitions of one write (same version).
    pub transition: Sequence,
    /// The settlement's version after the write that holds this event. Several events of one write share it.
    pub version: Sequence,
}

/// What the network is expected to charge.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct GasEstimated {
    /// The settlement.
    pub settlement_id: SettlementId,
    /// The network that carries the settlement.
    pub network: NetworkName,
    /// The estimated charge, in the network's own unit.
    pub gas_estimate: DecimalText,
    /// The settlement's version after the write that holds this event. Several events of one write share it.
    pub version: Sequence,
}

/// A settlement went from one status to another.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct StatusChanged {
    /// The settlement.
    pub settlement_id: SettlementId,
    /// The status before.
    pub from_status: SettlementStatus,
    /// The status after.
    pub to_status: SettlementStatus,
    /// The network that carries the settlement; absent if none was selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkName>,
    /// The number of confirmations it has; absent before it was submitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confirmations: Option<u32>,
    /// The transaction on the network; absent before it was submitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tx_hash: Option<TxHash>,
    /// The transition's number, without gaps: 1 (created), 2, 3… It orders two transitions of one write (same version).
    pub transition: Sequence,
    /// The settlement's version after the write that holds this event. Several events of one write share it.
    pub version: Sequence,
}

/// A settlement got another confirmation from its network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct ConfirmationProgress {
    /// The settlement.
    pub settlement_id: SettlementId,
    /// The network that carries the settlement.
    pub network: NetworkName,
    /// The number of confirmations it has.
    pub confirmations: u32,
    /// The number of confirmations that it needs to be confirmed.
    pub required: NonZeroU32,
    /// The settlement's version after the write that holds this event. Several events of one write share it.
    pub version: Sequence,
}

/// A settlement is complete.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Settled {
    /// The settlement.
    pub settlement_id: SettlementId,
    /// The payment whose money is settled.
    pub payment_id: PaymentId,
    /// The amount.
    pub amount: Money,
    /// The currency of the amounts.
    pub currency: Currency,
    /// The network that carries the settlement.
    pub network: NetworkName,
    /// The transaction on the network.
    pub tx_hash: TxHash,
    /// What the network charged, in its own unit.
    pub gas_actual: DecimalText,
    /// The settlement's version after the write that holds this event. Several events of one write share it.
    pub version: Sequence,
}

/// A settlement failed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Failed {
    /// The settlement.
    pub settlement_id: SettlementId,
    /// The payment whose money is settled.
    pub payment_id: PaymentId,
    /// The network that was selected for the settlement; absent if none was.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub network: Option<NetworkName>,
    /// Why the settlement failed.
    pub error: Text<500>,
    /// The settlement's version after the write that holds this event. Several events of one write share it.
    pub version: Sequence,
}
