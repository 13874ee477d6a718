//! Rebuilds a settlement from its events alone. It shares no code with the decisions: each event is taken at face
//! value.

use domain::{Contradiction, Rebuild, Step, must};
use events::{
    Contract as _, Envelope, Retention, Sequence,
    contracts::settlement::{SettlementStatus, StatusChanged},
    subscription,
};

use super::{FIRST, Settlement, SettlementRow, after};
use crate::{machine::SETTLEMENT, selection::Gas};

subscription! {
    /// The events of a settlement.
    enum Recorded {
        /// The settlement was created.
        Created(events::contracts::settlement::Created) by Mark,
        /// Its network was selected.
        NetworkSelected(events::contracts::settlement::NetworkSelected) by Mark,
        /// Every other transition.
        StatusChanged(events::contracts::settlement::StatusChanged) by Mark,
        /// What the network is expected to charge.
        GasEstimated(events::contracts::settlement::GasEstimated) by Mark,
        /// The number of confirmations rose.
        ConfirmationProgress(events::contracts::settlement::ConfirmationProgress) by Mark,
        /// The facts of a settlement that was settled.
        Settled(events::contracts::settlement::Settled) by Mark,
        /// The facts of a settlement that failed.
        Failed(events::contracts::settlement::Failed) by Mark,
    }
}

/// Checks that a transition has the next number, starts at the current status, and is allowed by the table.
fn entered(
    state: &mut Settlement,
    from: SettlementStatus,
    to: SettlementStatus,
    transition: Sequence,
) -> Result<(), Contradiction> {
    must(
        state.status == from,
        "it does not start at the current status",
    )?;
    must(
        after(state.transitions) == transition,
        "a transition is missing",
    )?;
    SETTLEMENT.check(from, to)?;
    state.status = to;
    state.transitions = transition;
    Ok(())
}

fn changed(state: &mut Settlement, event: StatusChanged) -> Result<(), Contradiction> {
    entered(state, event.from_status, event.to_status, event.transition)?;
    must(event.network == state.network, "it names another network")?;
    if let Some(confirmations) = event.confirmations {
        must(
            confirmations == state.confirmations,
            "it states another number of confirmations",
        )?;
    }
    if state.tx_hash.is_some() {
        must(
            event.tx_hash == state.tx_hash,
            "it names another transaction",
        )?;
    }
    state.tx_hash = event.tx_hash;
    Ok(())
}

fn gas(text: events::DecimalText) -> Result<Gas, Contradiction> {
    Gas::new(text).ok_or(Contradiction::Says("gas is below zero"))
}

impl Rebuild for Settlement {
    type Stored = SettlementRow;
    const RETENTION: Retention = events::contracts::settlement::Created::RETENTION;

    fn stored(&self) -> Self::Stored {
        SettlementRow::of(self)
    }

    fn apply(_: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let recorded = <Recorded as events::Subscription>::decode(envelope)?;
        let (mut state, recorded) = match (before, recorded) {
            (None, Recorded::Created(event)) => {
                must(event.transition == FIRST, "a transition is missing")?;
                let state = Settlement {
                    settlement_id: event.settlement_id,
                    payment_id: event.payment_id,
                    amount: event.amount,
                    currency: event.currency,
                    payment_version: event.payment_version,
                    status: SettlementStatus::Created,
                    transitions: event.transition,
                    network: event.network,
                    score: None,
                    reasoning: None,
                    required_confirmations: None,
                    gas_estimate: None,
                    tx_hash: None,
                    confirmations: 0,
                    gas_actual: None,
                    error: None,
                    created_at: envelope.occurred_at,
                    updated_at: envelope.occurred_at,
                };
                return Ok((state, event.version));
            }
            (None, _) => return Err(Contradiction::Says("the first event is not its creation")),
            (Some(_), Recorded::Created(_)) => {
                return Err(Contradiction::Says("it is created twice"));
            }
            (Some(state), recorded) => (state, recorded),
        };
        state.updated_at = state.updated_at.max(envelope.occurred_at);
        let version = match recorded {
            Recorded::Created(event) => event.version,
            Recorded::NetworkSelected(event) => {
                let to = SettlementStatus::NetworkSelected;
                let from = state.status;
                entered(&mut state, from, to, event.transition)?;
                state.network = Some(event.network);
                state.score = Some(event.score);
                state.reasoning = Some(event.reasoning);
                state.required_confirmations = Some(event.required_confirmations);
                event.version
            }
            Recorded::StatusChanged(event) => {
                let version = event.version;
                changed(&mut state, event)?;
                version
            }
            Recorded::GasEstimated(event) => {
                must(
                    state.network.as_ref() == Some(&event.network),
                    "it names another network",
                )?;
                must(state.gas_estimate.is_none(), "it is recorded twice")?;
                state.gas_estimate = Some(gas(event.gas_estimate)?);
                event.version
            }
            Recorded::ConfirmationProgress(event) => {
                must(
                    event.confirmations > state.confirmations,
                    "confirmations went back",
                )?;
                must(
                    state.required_confirmations == Some(event.required),
                    "it requires another number of confirmations",
                )?;
                state.confirmations = event.confirmations;
                event.version
            }
            Recorded::Settled(event) => {
                let agrees = state.status == SettlementStatus::Settled
                    && state.tx_hash.as_ref() == Some(&event.tx_hash)
                    && state.amount == event.amount;
                must(agrees, "it does not match the settled state")?;
                must(state.gas_actual.is_none(), "it is recorded twice")?;
                state.gas_actual = Some(gas(event.gas_actual)?);
                event.version
            }
            Recorded::Failed(event) => {
                must(
                    state.status == SettlementStatus::Failed,
                    "the settlement has not failed",
                )?;
                must(state.error.is_none(), "it is recorded twice")?;
                state.error = Some(event.error);
                event.version
            }
        };
        Ok((state, version))
    }
}
