//! A settlement: the transfer of a payment's money over a network.

mod rebuild;
mod row;

use std::num::NonZeroU32;

use events::{
    Contract, Draft, DraftError, Money, NetworkName, PaymentId, Ratio, Sequence, SettlementId,
    Text, Timestamp, TxHash, Violations,
    contracts::{
        payment::Currency,
        settlement::{
            ConfirmationProgress, Created, Failed, GasEstimated, NetworkSelected, Settled,
            SettlementStatus, StatusChanged,
        },
    },
};
use outbox::{BuildError, Entity, Transaction};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

pub use self::row::{OPEN, SettlementRow};
use crate::{
    Refusal, fact,
    machine::SETTLEMENT,
    payment::Allocation,
    selection::{Candidates, Gas, Weights, select},
};

/// A settlement. Only [`SettlementChange`] changes its fields, and it creates the event of every change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Settlement {
    /// The settlement's id.
    settlement_id: SettlementId,
    /// The payment whose money is settled.
    payment_id: PaymentId,
    /// The amount to settle.
    amount: Money,
    /// The currency of the amount.
    currency: Currency,
    /// The payment's version after the write that allocated the amount to the settlement; absent if the payment does
    /// not count this settlement, because it was created before payments did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    payment_version: Option<Sequence>,
    /// The settlement's status.
    status: SettlementStatus,
    /// The number of transitions made; the creation is the first.
    transitions: Sequence,
    /// The network it uses, once one is selected.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    network: Option<NetworkName>,
    /// The network's score compared with the other networks, from 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    score: Option<Ratio>,
    /// How the score was calculated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reasoning: Option<Text<1000>>,
    /// How many confirmations it needs to be confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    required_confirmations: Option<NonZeroU32>,
    /// What the network is expected to charge.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gas_estimate: Option<Gas>,
    /// The transaction on the network, once submitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    tx_hash: Option<TxHash>,
    /// How many confirmations it has so far.
    confirmations: u32,
    /// What the network charged, once it is settled.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    gas_actual: Option<Gas>,
    /// Why the settlement failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    error: Option<Text<500>>,
    /// When the settlement was created.
    created_at: Timestamp,
    /// When the settlement last changed.
    updated_at: Timestamp,
}

impl Settlement {
    /// The settlement's id.
    #[must_use]
    pub fn settlement_id(&self) -> SettlementId {
        self.settlement_id
    }

    /// The payment whose money is settled.
    #[must_use]
    pub fn payment_id(&self) -> PaymentId {
        self.payment_id
    }

    /// The amount to settle.
    #[must_use]
    pub fn amount(&self) -> Money {
        self.amount
    }

    /// The currency of the amount.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// The payment's version after the write that allocated the amount to the settlement; `None` if the payment does
    /// not count this settlement, because it was created before payments did.
    #[must_use]
    pub fn payment_version(&self) -> Option<Sequence> {
        self.payment_version
    }

    /// When the settlement last changed.
    #[must_use]
    pub fn updated_at(&self) -> Timestamp {
        self.updated_at
    }

    /// The settlement's status.
    #[must_use]
    pub fn status(&self) -> SettlementStatus {
        self.status
    }

    /// The number of transitions made; the creation is the first.
    #[must_use]
    pub fn transitions(&self) -> Sequence {
        self.transitions
    }

    /// The network it uses, once one is selected.
    #[must_use]
    pub fn network(&self) -> Option<&NetworkName> {
        self.network.as_ref()
    }

    /// How many confirmations it needs to be confirmed.
    #[must_use]
    pub fn required_confirmations(&self) -> Option<NonZeroU32> {
        self.required_confirmations
    }

    /// How many confirmations it has so far.
    #[must_use]
    pub fn confirmations(&self) -> u32 {
        self.confirmations
    }
}

/// The command to settle money of a payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Create {
    /// The new settlement's id.
    pub settlement_id: SettlementId,
    /// The payment whose money is settled.
    pub payment_id: PaymentId,
    /// The amount to settle.
    pub amount: Money,
    /// The payment's currency.
    pub currency: Currency,
    /// The payment's version after the write, which allocates the amount to the settlement.
    pub payment_version: Sequence,
}

/// An event of a settlement.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The first transition: the settlement was created.
    Created(Created),
    /// The transition to `network_selected`.
    NetworkSelected(NetworkSelected),
    /// Every other transition.
    StatusChanged(StatusChanged),
    /// What the network is expected to charge.
    GasEstimated(GasEstimated),
    /// The number of confirmations rose.
    ConfirmationProgress(ConfirmationProgress),
    /// The facts of a settlement that was settled.
    Settled(Settled),
    /// The facts of a settlement that failed.
    Failed(Failed),
}

impl Event {
    /// The number of the transition that the event reports; `None` if it reports none.
    #[must_use]
    pub fn transition(&self) -> Option<Sequence> {
        match self {
            Self::Created(event) => Some(event.transition),
            Self::NetworkSelected(event) => Some(event.transition),
            Self::StatusChanged(event) => Some(event.transition),
            Self::GasEstimated(_)
            | Self::ConfirmationProgress(_)
            | Self::Settled(_)
            | Self::Failed(_) => None,
        }
    }

    /// The draft of the event. Its idempotency key names the fact: no status and no number of confirmations is reached
    /// twice.
    ///
    /// # Errors
    /// [`DraftError`] when it does not serialise.
    pub fn draft(&self) -> Result<Draft, DraftError> {
        fn named<C: Contract>(
            event: &C,
            id: SettlementId,
            what: impl std::fmt::Display,
        ) -> Result<Draft, DraftError> {
            Ok(Draft::of(event)?.with_idempotency_key(fact("settlement", id, what)?))
        }
        match self {
            Self::Created(event) => named(event, event.settlement_id, "created"),
            Self::NetworkSelected(event) => named(event, event.settlement_id, "network_selected"),
            Self::StatusChanged(event) => named(event, event.settlement_id, event.to_status),
            Self::GasEstimated(event) => named(event, event.settlement_id, "gas_estimated"),
            Self::ConfirmationProgress(event) => {
                let what = format!("confirmations/{}", event.confirmations);
                named(event, event.settlement_id, what)
            }
            Self::Settled(event) => named(event, event.settlement_id, "settled"),
            Self::Failed(event) => named(event, event.settlement_id, "failed"),
        }
    }
}

/// A settlement under decision: its state so far, and the events of the steps taken so far. It can take several steps;
/// all of them are saved in one write.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SettlementChange {
    state: Settlement,
    events: Vec<Event>,
    version: Sequence,
}

impl SettlementChange {
    /// Starts a new settlement. `version` is the version after the write.
    ///
    /// # Errors
    /// [`Refusal::AmountNotPositive`].
    pub fn create(command: Create, version: Sequence, now: Timestamp) -> Result<Self, Refusal> {
        if command.amount.is_zero() {
            return Err(Refusal::AmountNotPositive);
        }
        let state = Settlement {
            settlement_id: command.settlement_id,
            payment_id: command.payment_id,
            amount: command.amount,
            currency: command.currency,
            payment_version: Some(command.payment_version),
            status: SettlementStatus::Created,
            transitions: FIRST,
            network: None,
            score: None,
            reasoning: None,
            required_confirmations: None,
            gas_estimate: None,
            tx_hash: None,
            confirmations: 0,
            gas_actual: None,
            error: None,
            created_at: now,
            updated_at: now,
        };
        let created = Event::Created(Created {
            settlement_id: state.settlement_id,
            payment_id: state.payment_id,
            amount: state.amount,
            currency: state.currency,
            network: None,
            payment_version: state.payment_version,
            transition: state.transitions,
            version,
        });
        Ok(Self {
            state,
            events: vec![created],
            version,
        })
    }

    /// Continues with a settlement that was loaded. `version` is the version after the write.
    #[must_use]
    pub fn of(settlement: &Settlement, version: Sequence, now: Timestamp) -> Self {
        let mut state = settlement.clone();
        // This clock can be behind the clock that wrote the settlement last.
        state.updated_at = now.max(state.updated_at);
        Self {
            state,
            events: Vec::new(),
            version,
        }
    }

    /// The settlement after the steps so far.
    #[must_use]
    pub fn state(&self) -> &Settlement {
        &self.state
    }

    /// The events of the steps so far; empty if nothing changed.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// What these steps give back to the payment. `None` if the settlement did not fail in them, or if the payment does
    /// not count it.
    #[must_use]
    pub fn gives_back(&self) -> Option<Allocation> {
        let failed = self
            .events
            .iter()
            .any(|event| matches!(event, Event::Failed(_)));
        let is_counted = self.state.payment_version.is_some();
        (failed && is_counted).then_some(Allocation {
            settlement_id: self.state.settlement_id,
            amount: self.state.amount,
            currency: self.state.currency,
        })
    }

    /// The only place where the status changes. It checks the transition table, numbers the transition and creates its
    /// event.
    fn enter(&mut self, to: SettlementStatus) -> Result<(), Refusal> {
        let from = self.state.status;
        SETTLEMENT.check(from, to)?;
        let state = &mut self.state;
        state.status = to;
        state.transitions = after(state.transitions);
        let selected = (&state.network, state.score, &state.reasoning);
        let event = match (to, selected, state.required_confirmations) {
            (
                SettlementStatus::NetworkSelected,
                (Some(network), Some(score), Some(reasoning)),
                Some(required_confirmations),
            ) => Event::NetworkSelected(NetworkSelected {
                settlement_id: state.settlement_id,
                network: network.clone(),
                score,
                reasoning: reasoning.clone(),
                required_confirmations,
                transition: state.transitions,
                version: self.version,
            }),
            _ => Event::StatusChanged(StatusChanged {
                settlement_id: state.settlement_id,
                from_status: from,
                to_status: to,
                network: state.network.clone(),
                confirmations: state.tx_hash.as_ref().map(|_| state.confirmations),
                tx_hash: state.tx_hash.clone(),
                transition: state.transitions,
                version: self.version,
            }),
        };
        self.events.push(event);
        Ok(())
    }

    /// Selects a network and states what the network is expected to charge.
    ///
    /// # Errors
    /// [`Refusal::IllegalTransition`].
    pub fn choose(mut self, candidates: &Candidates, weights: &Weights) -> Result<Self, Refusal> {
        let to = SettlementStatus::NetworkSelected;
        SETTLEMENT.check(self.state.status, to)?;
        // `Candidates` holds at least one.
        let chosen =
            select(candidates, weights).ok_or_else(|| Refusal::Networks(Violations::default()))?;
        let candidate = chosen.candidate;
        let gas_estimated = Event::GasEstimated(GasEstimated {
            settlement_id: self.state.settlement_id,
            network: candidate.network.clone(),
            gas_estimate: candidate.gas_estimate.text().clone(),
            version: self.version,
        });
        self.state.network = Some(candidate.network);
        self.state.score = Some(chosen.score);
        self.state.reasoning = Some(chosen.reasoning);
        self.state.required_confirmations = Some(candidate.required_confirmations);
        self.state.gas_estimate = Some(candidate.gas_estimate);
        self.enter(to)?;
        self.events.push(gas_estimated);
        Ok(self)
    }

    /// Records that the transaction was submitted to the network.
    ///
    /// # Errors
    /// [`Refusal::IllegalTransition`].
    pub fn submit(mut self, tx_hash: TxHash) -> Result<Self, Refusal> {
        let to = SettlementStatus::Submitted;
        SETTLEMENT.check(self.state.status, to)?;
        self.state.tx_hash = Some(tx_hash);
        self.enter(to)?;
        Ok(self)
    }

    /// Records how many confirmations the network has given. The first confirmation makes the settlement `confirming`,
    /// the required number makes it `confirmed`; one call can do both. Repeating the current number changes nothing.
    ///
    /// # Errors
    /// [`Refusal::ConfirmationsWentBack`], [`Refusal::IllegalTransition`].
    pub fn confirm(mut self, confirmations: u32) -> Result<Self, Refusal> {
        let (status, current) = (self.state.status, self.state.confirmations);
        match status {
            SettlementStatus::Submitted | SettlementStatus::Confirming => {}
            // A watcher of the network that missed the answer repeats its call.
            SettlementStatus::Confirmed | SettlementStatus::Settled if confirmations == current => {
            }
            _ => {
                return Err(SETTLEMENT
                    .refused(status, SettlementStatus::Confirming)
                    .into());
            }
        }
        if confirmations < current {
            return Err(Refusal::ConfirmationsWentBack {
                current,
                stated: confirmations,
            });
        }
        let selected = (&self.state.network, self.state.required_confirmations);
        let (Some(network), Some(required)) = selected else {
            return Err(SETTLEMENT
                .refused(status, SettlementStatus::Confirming)
                .into());
        };
        if confirmations == current {
            return Ok(self);
        }
        let progress = Event::ConfirmationProgress(ConfirmationProgress {
            settlement_id: self.state.settlement_id,
            network: network.clone(),
            confirmations,
            required,
            version: self.version,
        });
        self.state.confirmations = confirmations;
        self.events.push(progress);
        if status == SettlementStatus::Submitted {
            self.enter(SettlementStatus::Confirming)?;
        }
        if confirmations >= required.get() {
            self.enter(SettlementStatus::Confirmed)?;
        }
        Ok(self)
    }

    /// Settles it: the transfer is complete.
    ///
    /// # Errors
    /// [`Refusal::IllegalTransition`].
    pub fn settle(mut self, gas_actual: Gas) -> Result<Self, Refusal> {
        let to = SettlementStatus::Settled;
        SETTLEMENT.check(self.state.status, to)?;
        let reached = (self.state.network.clone(), self.state.tx_hash.clone());
        let (Some(network), Some(tx_hash)) = reached else {
            return Err(SETTLEMENT.refused(self.state.status, to).into());
        };
        let settled = Event::Settled(Settled {
            settlement_id: self.state.settlement_id,
            payment_id: self.state.payment_id,
            amount: self.state.amount,
            currency: self.state.currency,
            network,
            tx_hash,
            gas_actual: gas_actual.text().clone(),
            version: self.version,
        });
        self.state.gas_actual = Some(gas_actual);
        self.enter(to)?;
        self.events.push(settled);
        Ok(self)
    }

    /// Fails the settlement, with the reason.
    ///
    /// # Errors
    /// [`Refusal::IllegalTransition`].
    pub fn fail(mut self, error: Text<500>) -> Result<Self, Refusal> {
        let to = SettlementStatus::Failed;
        SETTLEMENT.check(self.state.status, to)?;
        let failed = Event::Failed(Failed {
            settlement_id: self.state.settlement_id,
            payment_id: self.state.payment_id,
            network: self.state.network.clone(),
            error: error.clone(),
            version: self.version,
        });
        self.state.error = Some(error);
        self.enter(to)?;
        self.events.push(failed);
        Ok(self)
    }

    /// Adds the settlement and its events to a transaction; adds nothing if nothing changed.
    ///
    /// # Errors
    /// [`BuildError`] when the entity is another settlement's.
    pub fn save(
        &self,
        transaction: &mut Transaction,
        entity: &Entity<SettlementRow>,
    ) -> Result<(), BuildError> {
        if self.events.is_empty() {
            return Ok(());
        }
        let drafts: Result<Vec<Draft>, DraftError> = self.events.iter().map(Event::draft).collect();
        transaction.update(entity, &SettlementRow::of(&self.state), drafts?)?;
        Ok(())
    }
}

/// The number of the first transition, the creation.
const FIRST: Sequence = match Sequence::new(1) {
    Ok(first) => first,
    // Evaluated at compile time: 1 is a valid sequence.
    Err(_) => unreachable!(),
};

/// The next number. A settlement makes at most seven transitions; the range ends at 2^53.
fn after(number: Sequence) -> Sequence {
    Sequence::new(number.number() + 1).unwrap_or(number)
}

#[cfg(test)]
mod tests;
