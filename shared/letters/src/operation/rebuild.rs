//! Rebuilds an operation from its events alone. It shares no code with the decisions: it takes what an event states as
//! given.

use domain::{Contradiction, Rebuild, Step, must};
use events::{
    Contract as _, Envelope, Retention, Subscription, contracts::operation::OperationStatus,
    subscription,
};

use super::{OPERATION, OPERATIONS, Operation};

subscription! {
    /// The events of an operation.
    enum Recorded {
        /// It was begun.
        Begun(events::contracts::operation::Begun) by Mark,
        /// It was paused, resumed or cancelled.
        Changed(events::contracts::operation::Changed) by Mark,
        /// It was finished.
        Finished(events::contracts::operation::Finished) by Mark,
    }
}

impl Rebuild for Operation {
    type Stored = Self;
    const RETENTION: Retention = events::contracts::operation::Begun::RETENTION;

    fn stored(&self) -> Self {
        self.clone()
    }

    fn apply(id: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let now = envelope.occurred_at;
        let (operation, version) = match (before, <Recorded as Subscription>::decode(envelope)?) {
            (None, Recorded::Begun(event)) => {
                let operation = Self {
                    operation_id: event.operation_id,
                    act: event.act,
                    selection: event.selection,
                    replay: event.replay,
                    republish: event.republish,
                    count: event.count,
                    letters_sha256: event.letters_sha256,
                    cap: event.cap,
                    rate_per_second: event.rate_per_second,
                    canary: event.canary,
                    reason: event.reason,
                    actor: event.actor,
                    key_owner: event.key_owner,
                    status: OperationStatus::Running,
                    status_reason: None,
                    outcome: None,
                    begun_at: now,
                    changed_at: now,
                    listed: OPERATIONS.to_owned(),
                    listed_at: format!("{now}#{}", event.operation_id),
                };
                (operation, event.version)
            }
            (Some(before), Recorded::Changed(event)) => {
                OPERATION.check(before.status, event.to.status())?;
                let operation = Self {
                    operation_id: event.operation_id,
                    status: event.to.status(),
                    status_reason: Some(event.reason),
                    changed_at: now,
                    ..before
                };
                (operation, event.version)
            }
            (Some(before), Recorded::Finished(event)) => {
                OPERATION.check(before.status, OperationStatus::Finished)?;
                let operation = Self {
                    operation_id: event.operation_id,
                    status: OperationStatus::Finished,
                    outcome: Some(event.outcome),
                    changed_at: now,
                    ..before
                };
                (operation, event.version)
            }
            (None, _) => return Err(Contradiction::Says("it was not begun before")),
            (Some(_), Recorded::Begun(_)) => {
                return Err(Contradiction::Says("it was begun twice"));
            }
        };
        let is_it = operation.operation_id.to_string() == id;
        must(is_it, "it is another operation's event")?;
        Ok((operation, version))
    }
}
