//! Rebuilds an endpoint from its events alone. It shares no code with the decisions: it takes what an event states as
//! given. URL and secrets are in no event.

use domain::{Contradiction, Rebuild, Step, must};
use events::{Contract as _, Envelope, Retention, Subscription, subscription};

use super::{ENDPOINT, Endpoint, EndpointStatus, PARTITION};

subscription! {
    /// The events of an endpoint.
    enum Recorded {
        /// It was set up.
        Created(events::contracts::webhook::Created) by Mark,
        /// It is set up in another way.
        Changed(events::contracts::webhook::Changed) by Mark,
        /// It was removed.
        Removed(events::contracts::webhook::Removed) by Mark,
        /// It has failed for a while.
        Failing(events::contracts::webhook::Failing) by Mark,
        /// It was disabled.
        Disabled(events::contracts::webhook::Disabled) by Mark,
    }
}

impl Rebuild for Endpoint {
    type Stored = Self;
    const RETENTION: Retention = events::contracts::webhook::Created::RETENTION;
    const UNRECORDED: &'static [&'static str] = &["url", "secrets"];

    fn id_at<'k>(pk: &'k str, sk: &'k str) -> Option<&'k str> {
        (pk == PARTITION).then_some(sk)
    }

    fn stored(&self) -> Self {
        self.clone()
    }

    fn apply(id: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let at = envelope.occurred_at;
        let known = || {
            before
                .clone()
                .ok_or(Contradiction::Says("it was not set up"))
        };
        let event = <Recorded as Subscription>::decode(envelope)?;
        let (state, version) = match event {
            Recorded::Created(event) => {
                must(before.is_none(), "it was set up before")?;
                let settings = event.settings;
                let state = Self {
                    webhook_id: event.webhook_id,
                    url: String::new(),
                    secrets: Vec::new(),
                    origin: settings.origin,
                    selection: settings.selection,
                    in_order: settings.in_order,
                    description: settings.description,
                    secret_number: settings.secret_number,
                    status: settings.status.into(),
                    since: at,
                    reason: None,
                    created_at: at,
                };
                (state, event.version)
            }
            Recorded::Changed(event) => {
                let before = known()?;
                let settings = event.settings;
                let status = settings.status.into();
                let has_new_status = before.status != status;
                if has_new_status {
                    ENDPOINT.check(before.status, status)?;
                }
                let state = Self {
                    origin: settings.origin,
                    selection: settings.selection,
                    in_order: settings.in_order,
                    description: settings.description,
                    secret_number: settings.secret_number,
                    status,
                    since: if has_new_status { at } else { before.since },
                    reason: if has_new_status {
                        event.reason
                    } else {
                        before.reason.clone()
                    },
                    ..before
                };
                (state, event.version)
            }
            Recorded::Removed(event) => {
                let before = known()?;
                ENDPOINT.check(before.status, EndpointStatus::Removed)?;
                let state = Self {
                    status: EndpointStatus::Removed,
                    since: at,
                    reason: None,
                    ..before
                };
                (state, event.version)
            }
            Recorded::Failing(event) => {
                let before = known()?;
                must(before.origin == event.origin, "it is at another place")?;
                (before, event.version)
            }
            Recorded::Disabled(event) => {
                let before = known()?;
                must(before.origin == event.origin, "it is at another place")?;
                ENDPOINT.check(before.status, EndpointStatus::Disabled)?;
                let state = Self {
                    status: EndpointStatus::Disabled,
                    since: at,
                    reason: Some(event.last_error),
                    ..before
                };
                (state, event.version)
            }
        };
        must(
            state.webhook_id.to_string() == id,
            "it is another endpoint's event",
        )?;
        Ok((state, version))
    }
}
