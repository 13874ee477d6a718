//! Rebuilds a consumer from its events alone. It shares no code with the decisions: it takes what an event states as
//! given.

use domain::{Contradiction, Rebuild, Step, must};
use events::{Contract as _, Envelope, Retention, Subscription, subscription};

use super::{CONSUMER, ConsumerState, ConsumerStatus};

subscription! {
    /// The events of a consumer.
    enum Recorded {
        /// It was paused.
        Paused(events::contracts::consumer::Paused) by Mark,
        /// It was resumed.
        Resumed(events::contracts::consumer::Resumed) by Mark,
    }
}

impl Rebuild for ConsumerState {
    type Stored = Self;
    const RETENTION: Retention = events::contracts::consumer::Paused::RETENTION;

    fn stored(&self) -> Self {
        self.clone()
    }

    fn apply(id: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let since = envelope.occurred_at;
        let (state, version) = match <Recorded as Subscription>::decode(envelope)? {
            Recorded::Paused(event) => {
                let state = Self {
                    consumer: event.consumer,
                    status: ConsumerStatus::Paused,
                    since,
                    reason: event.reason,
                    actor: event.actor,
                    key_owner: event.key_owner,
                };
                (state, event.version)
            }
            Recorded::Resumed(event) => {
                let state = Self {
                    consumer: event.consumer,
                    status: ConsumerStatus::Running,
                    since,
                    reason: event.reason,
                    actor: event.actor,
                    key_owner: event.key_owner,
                };
                (state, event.version)
            }
        };
        match before {
            Some(before) => CONSUMER.check(before.status, state.status)?,
            None if state.status == ConsumerStatus::Paused => {}
            None => return Err(Contradiction::Says("it was not paused before")),
        }
        must(
            state.consumer.as_str() == id,
            "it is another consumer's event",
        )?;
        Ok((state, version))
    }
}
