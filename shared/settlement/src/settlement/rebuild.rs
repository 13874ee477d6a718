//! A settlement from its events alone. It shares no step with the decisions: what an event says is taken as it is.

use domain::{Contradiction, Rebuild, Step, must};
use events::{
    Contract as _, Envelope, Retention, Sequence,
    contracts::settlement::{SettlementStatus, StatusChanged},
    subscription,
};

use super::{FIRST, Row, Settlement, after};
use crate::{machine::SETTLEMENT, selection::Gas};

subscription! {
    /// What there is to read of a settlement.
    enum Told {
        /// Its beginning.
        Created(events::contracts::settlement::Created) by Mark,
        /// Its network.
        NetworkSelected(events::contracts::settlement::NetworkSelected) by Mark,
        /// Every other transition.
        StatusChanged(events::contracts::settlement::StatusChanged) by Mark,
        /// What is expected to be charged.
        GasEstimated(events::contracts::settlement::GasEstimated) by Mark,
        /// More confirmations.
        ConfirmationProgress(events::contracts::settlement::ConfirmationProgress) by Mark,
        /// The facts of a settled one.
        Settled(events::contracts::settlement::Settled) by Mark,
        /// The facts of a failed one.
        Failed(events::contracts::settlement::Failed) by Mark,
    }
}

/// A transition is the next one, from where the settlement is, to where the table lets it go.
fn entered(
    state: &mut Settlement,
    from: SettlementStatus,
    to: SettlementStatus,
    transition: Sequence,
) -> Result<(), Contradiction> {
    must(state.status == from, "it comes from another status")?;
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
    must(event.network == state.network, "it is another network")?;
    if let Some(confirmations) = event.confirmations {
        must(
            confirmations == state.confirmations,
            "it has other confirmations",
        )?;
    }
    if state.tx_hash.is_some() {
        must(event.tx_hash == state.tx_hash, "it is another transaction")?;
    }
    state.tx_hash = event.tx_hash;
    Ok(())
}

fn gas(text: events::DecimalText) -> Result<Gas, Contradiction> {
    Gas::new(text).ok_or(Contradiction::Says("gas is below zero"))
}

impl Rebuild for Settlement {
    type Row = Row;
    const RETENTION: Retention = events::contracts::settlement::Created::RETENTION;

    fn row(&self) -> Self::Row {
        Row::of(self)
    }

    fn apply(_: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let told = <Told as events::Subscription>::decode(envelope)?;
        let (mut state, told) = match (before, told) {
            (None, Told::Created(event)) => {
                must(event.transition == FIRST, "a transition is missing")?;
                let state = Settlement {
                    settlement_id: event.settlement_id,
                    payment_id: event.payment_id,
                    amount: event.amount,
                    currency: event.currency,
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
            (None, _) => return Err(Contradiction::Says("it does not begin with its creation")),
            (Some(_), Told::Created(_)) => return Err(Contradiction::Says("it is created twice")),
            (Some(state), told) => (state, told),
        };
        state.updated_at = state.updated_at.max(envelope.occurred_at);
        let version = match told {
            Told::Created(event) => event.version,
            Told::NetworkSelected(event) => {
                let to = SettlementStatus::NetworkSelected;
                let from = state.status;
                entered(&mut state, from, to, event.transition)?;
                state.network = Some(event.network);
                state.score = Some(event.score);
                state.reasoning = Some(event.reasoning);
                state.required_confirmations = Some(event.required_confirmations);
                event.version
            }
            Told::StatusChanged(event) => {
                let version = event.version;
                changed(&mut state, event)?;
                version
            }
            Told::GasEstimated(event) => {
                must(
                    state.network.as_ref() == Some(&event.network),
                    "it is another network",
                )?;
                must(state.gas_estimate.is_none(), "it is told twice")?;
                state.gas_estimate = Some(gas(event.gas_estimate)?);
                event.version
            }
            Told::ConfirmationProgress(event) => {
                must(
                    event.confirmations > state.confirmations,
                    "confirmations went back",
                )?;
                must(
                    state.required_confirmations == Some(event.required),
                    "it requires other confirmations",
                )?;
                state.confirmations = event.confirmations;
                event.version
            }
            Told::Settled(event) => {
                let agrees = state.status == SettlementStatus::Settled
                    && state.tx_hash.as_ref() == Some(&event.tx_hash)
                    && state.amount == event.amount;
                must(agrees, "it was not settled so")?;
                must(state.gas_actual.is_none(), "it is told twice")?;
                state.gas_actual = Some(gas(event.gas_actual)?);
                event.version
            }
            Told::Failed(event) => {
                must(
                    state.status == SettlementStatus::Failed,
                    "it had not failed",
                )?;
                must(state.error.is_none(), "it is told twice")?;
                state.error = Some(event.error);
                event.version
            }
        };
        Ok((state, version))
    }
}
