//! An endpoint: its URL, its secrets, what it is sent, and whether it is sent anything.

mod rebuild;

use std::{fmt, time::Duration};

use domain::{Illegal, Transitions};
use events::{
    Contract as _, Draft, DraftError, IdError, IdempotencyKey, Sequence, Text, TextError,
    Timestamp, WebhookId,
    contracts::webhook::{
        Changed, Created, Disabled, Failing, Removed, WebhookGone, WebhookSelection,
        WebhookSettings, WebhookStatus,
    },
};
use outbox::{Key, State, Table};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use webhook::{Secret, SecretError};

pub use webhook::schedule::{DISABLED_AFTER, WARNED_AFTER};

/// The partition that has every endpoint.
pub const PARTITION: &str = "endpoints";

/// How long the secret before the newest one is still used for signatures, so that a receiver can change over.
pub const OLD_SECRET_LIFE: Duration = Duration::from_secs(24 * 60 * 60);

/// The status of an endpoint.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum EndpointStatus {
    /// It is sent what it selects.
    Enabled,
    /// It is sent nothing until it is enabled again.
    Disabled,
    /// It is sent nothing any more. Only the repeat of an old request shows such a webhook.
    Removed,
}

/// Which status can follow which.
pub const ENDPOINT: Transitions<EndpointStatus> = {
    use EndpointStatus::{Disabled, Enabled, Removed};
    Transitions::new(&[
        (Enabled, &[Disabled, Removed]),
        (Disabled, &[Enabled, Removed]),
        (Removed, &[]),
    ])
};

impl fmt::Display for EndpointStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enabled => WebhookStatus::Enabled.as_str(),
            Self::Disabled => WebhookStatus::Disabled.as_str(),
            Self::Removed => "removed",
        })
    }
}

impl From<WebhookStatus> for EndpointStatus {
    fn from(status: WebhookStatus) -> Self {
        match status {
            WebhookStatus::Enabled => Self::Enabled,
            WebhookStatus::Disabled => Self::Disabled,
        }
    }
}

/// A secret as it is stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
struct StoredSecret {
    text: String,
    /// Until when it is used; absent for the newest one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    until: Option<Timestamp>,
}

impl fmt::Debug for StoredSecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StoredSecret")
            .field("until", &self.until)
            .finish_non_exhaustive()
    }
}

/// An endpoint as it is stored.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Endpoint {
    webhook_id: WebhookId,
    /// The whole URL, which can contain a secret. No event states it.
    url: String,
    /// The newest secret first. No event states them.
    secrets: Vec<StoredSecret>,
    origin: Text<300>,
    selection: WebhookSelection,
    in_order: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    description: Option<Text<500>>,
    secret_number: Sequence,
    status: EndpointStatus,
    /// When it got its status.
    since: Timestamp,
    /// Why it has its status.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    reason: Option<Text<500>>,
    created_at: Timestamp,
}

impl fmt::Debug for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Endpoint")
            .field("webhook_id", &self.webhook_id)
            .field("origin", &self.origin)
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

impl State for Endpoint {
    const AGGREGATE: &'static str = Created::AGGREGATE;

    fn key(table: &Table, id: &str) -> Key {
        table.key(PARTITION, id)
    }
}

/// Who changes an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct By {
    /// The user for whom it is done.
    pub actor: Option<Text<256>>,
    /// The owner of the API key with which it is done.
    pub key_owner: Text<256>,
}

/// The URL of an endpoint, as it was checked.
#[derive(Clone, PartialEq, Eq)]
pub struct CheckedUrl {
    /// The whole URL.
    pub url: String,
    /// Scheme, host and port.
    pub origin: Text<300>,
}

impl fmt::Debug for CheckedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CheckedUrl").field(&self.origin).finish()
    }
}

/// A new endpoint.
#[derive(Debug)]
pub struct New {
    /// Its id.
    pub webhook_id: WebhookId,
    /// Where it is.
    pub url: CheckedUrl,
    /// Its first secret.
    pub secret: Secret,
    /// What it is sent.
    pub selection: WebhookSelection,
    /// Whether the events of an aggregate are sent in their order.
    pub in_order: bool,
    /// What it is for.
    pub description: Option<Text<500>>,
}

/// What of an endpoint is to change. What is absent stays.
#[derive(Debug, Clone, Default)]
pub struct Patch {
    /// Where it is.
    pub url: Option<CheckedUrl>,
    /// What it is sent.
    pub selection: Option<WebhookSelection>,
    /// Whether the events of an aggregate are sent in their order.
    pub in_order: Option<bool>,
    /// What it is for.
    pub description: Option<Text<500>>,
    /// A new secret. The one before is used for [`OLD_SECRET_LIFE`] longer.
    pub secret: Option<Secret>,
    /// Its status.
    pub status: Option<WebhookStatus>,
    /// Why.
    pub reason: Option<Text<500>>,
}

/// Why an endpoint was not changed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such endpoint, or it was removed.
    #[error("there is no such endpoint")]
    Unknown,
    /// Its status does not allow it.
    #[error(transparent)]
    Illegal(#[from] Illegal),
    /// It is so already.
    #[error("nothing is changed")]
    Nothing,
    /// Its secrets have run out of numbers.
    #[error(transparent)]
    Number(#[from] IdError),
    /// There are too many endpoints.
    #[error("there are {most} endpoints already, as many as a stack can have")]
    TooMany {
        /// How many there can be.
        most: usize,
    },
}

/// An event of an endpoint.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// It was set up.
    Created(Created),
    /// It is set up in another way.
    Changed(Changed),
    /// It was removed.
    Removed(Removed),
    /// It has failed for a while.
    Failing(Failing),
    /// It was disabled.
    Disabled(Disabled),
}

impl Event {
    /// The draft of the event, with an idempotency key that names the fact.
    ///
    /// # Errors
    /// [`DraftError`] when it does not serialise.
    pub fn draft(&self) -> Result<Draft, DraftError> {
        let (draft, id, what, version) = match self {
            Self::Created(one) => (Draft::of(one)?, one.webhook_id, "created", one.version),
            Self::Changed(one) => (Draft::of(one)?, one.webhook_id, "changed", one.version),
            Self::Removed(one) => (Draft::of(one)?, one.webhook_id, "removed", one.version),
            Self::Failing(one) => (Draft::of(one)?, one.webhook_id, "failing", one.version),
            Self::Disabled(one) => (Draft::of(one)?, one.webhook_id, "disabled", one.version),
        };
        let name = format!("webhook/{id}/{what}/{version}");
        Ok(draft.with_idempotency_key(IdempotencyKey::new(name)?))
    }
}

/// A decided change: the endpoint after it, and its event.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The endpoint after the change.
    pub state: Endpoint,
    /// The event.
    pub event: Event,
}

impl Endpoint {
    /// Sets up an endpoint. `version` is the version after the write.
    #[must_use]
    pub fn create(new: New, by: By, version: Sequence, now: Timestamp) -> Change {
        let state = Self {
            webhook_id: new.webhook_id,
            url: new.url.url,
            origin: new.url.origin,
            secrets: vec![StoredSecret {
                text: new.secret.expose(),
                until: None,
            }],
            selection: new.selection,
            in_order: new.in_order,
            description: new.description,
            secret_number: Sequence::FIRST,
            status: EndpointStatus::Enabled,
            since: now,
            reason: None,
            created_at: now,
        };
        let event = Event::Created(Created {
            webhook_id: state.webhook_id,
            settings: state.settings(WebhookStatus::Enabled),
            actor: by.actor,
            key_owner: by.key_owner,
            version,
        });
        Change { state, event }
    }

    /// Sets it up in another way.
    ///
    /// # Errors
    /// [`Refusal`] if it was removed, has the status already, or nothing is changed.
    pub fn change(
        &self,
        patch: Patch,
        by: By,
        version: Sequence,
        now: Timestamp,
    ) -> Result<Change, Refusal> {
        let mut state = self.clone();
        let status = match self.status {
            EndpointStatus::Enabled => WebhookStatus::Enabled,
            EndpointStatus::Disabled => WebhookStatus::Disabled,
            EndpointStatus::Removed => return Err(Refusal::Unknown),
        };
        let status = match patch.status {
            Some(to) => {
                ENDPOINT.check(self.status, to.into())?;
                state.status = to.into();
                state.since = now;
                state.reason.clone_from(&patch.reason);
                to
            }
            None => status,
        };
        if let Some(url) = patch.url {
            (state.url, state.origin) = (url.url, url.origin);
        }
        if let Some(selection) = patch.selection {
            state.selection = selection;
        }
        if let Some(in_order) = patch.in_order {
            state.in_order = in_order;
        }
        if patch.description.is_some() {
            state.description = patch.description;
        }
        if let Some(secret) = patch.secret {
            let until = Some(now.plus(OLD_SECRET_LIFE));
            // Two at most are ever used: a rotation ends the one before the last.
            state.secrets.truncate(1);
            for old in &mut state.secrets {
                old.until = until;
            }
            let text = secret.expose();
            state.secrets.insert(0, StoredSecret { text, until: None });
            state.secret_number = Sequence::new(self.secret_number.number() + 1)?;
        }
        if state == *self {
            return Err(Refusal::Nothing);
        }
        let event = Event::Changed(Changed {
            webhook_id: self.webhook_id,
            settings: state.settings(status),
            reason: patch.reason,
            actor: by.actor,
            key_owner: by.key_owner,
            version,
        });
        Ok(Change { state, event })
    }

    /// Removes it. Its URL and its secrets are forgotten.
    ///
    /// # Errors
    /// [`Refusal::Unknown`] if it was removed before.
    pub fn remove(&self, by: By, version: Sequence, now: Timestamp) -> Result<Change, Refusal> {
        if self.is_removed() {
            return Err(Refusal::Unknown);
        }
        let state = Self {
            status: EndpointStatus::Removed,
            since: now,
            reason: None,
            url: String::new(),
            secrets: Vec::new(),
            ..self.clone()
        };
        let event = Event::Removed(Removed {
            webhook_id: self.webhook_id,
            actor: by.actor,
            key_owner: by.key_owner,
            version,
        });
        Ok(Change { state, event })
    }

    /// What follows from a failed attempt: nothing, a warning, or that it is disabled. `since` is the time of the first
    /// failure after the last success, `warned` the number of warnings since then; `gone` says that it answered 410.
    #[must_use]
    pub fn failed(
        &self,
        since: Timestamp,
        warned: usize,
        gone: bool,
        last_error: Text<500>,
        version: Sequence,
        now: Timestamp,
    ) -> Option<Change> {
        if self.status != EndpointStatus::Enabled {
            return None;
        }
        let failing_for = now.since(since);
        let reason = if gone {
            Some(WebhookGone::Gone)
        } else {
            (failing_for >= DISABLED_AFTER).then_some(WebhookGone::Failing)
        };
        if let Some(reason) = reason {
            let state = Self {
                status: EndpointStatus::Disabled,
                since: now,
                reason: Some(last_error.clone()),
                ..self.clone()
            };
            let event = Event::Disabled(Disabled {
                webhook_id: self.webhook_id,
                origin: self.origin.clone(),
                reason,
                since: (since < now).then_some(since),
                last_error,
                version,
            });
            return Some(Change { state, event });
        }
        if warnings_due(failing_for) <= warned {
            return None;
        }
        let state = self.clone();
        let event = Event::Failing(Failing {
            webhook_id: self.webhook_id,
            origin: self.origin.clone(),
            since,
            disabled_at: since.plus(DISABLED_AFTER),
            last_error,
            version,
        });
        Some(Change { state, event })
    }

    fn settings(&self, status: WebhookStatus) -> WebhookSettings {
        WebhookSettings {
            origin: self.origin.clone(),
            selection: self.selection.clone(),
            in_order: self.in_order,
            description: self.description.clone(),
            status,
            secret_number: self.secret_number,
        }
    }

    /// Its id.
    #[must_use]
    pub fn webhook_id(&self) -> WebhookId {
        self.webhook_id
    }

    /// Its whole URL.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Scheme, host and port of its URL.
    #[must_use]
    pub fn origin(&self) -> &Text<300> {
        &self.origin
    }

    /// The secrets that are used at this time, the newest first.
    ///
    /// # Errors
    /// [`SecretError`] if a stored secret cannot be read.
    pub fn secrets(&self, now: Timestamp) -> Result<Vec<Secret>, SecretError> {
        let valid = |one: &&StoredSecret| one.until.is_none_or(|until| now < until);
        let secrets = self.secrets.iter().filter(valid);
        secrets.map(|one| Secret::parse(&one.text)).collect()
    }

    /// Until when the secret before the newest is used; `None` if only the newest is.
    #[must_use]
    pub fn old_secret_until(&self, now: Timestamp) -> Option<Timestamp> {
        let until = self.secrets.iter().filter_map(|one| one.until).max();
        until.filter(|until| now < *until)
    }

    /// Which events it is sent.
    #[must_use]
    pub fn selection(&self) -> &WebhookSelection {
        &self.selection
    }

    /// Whether the events of an aggregate are sent one after the other, in their order.
    #[must_use]
    pub fn in_order(&self) -> bool {
        self.in_order
    }

    /// What it is for.
    #[must_use]
    pub fn description(&self) -> Option<&Text<500>> {
        self.description.as_ref()
    }

    /// Its status.
    #[must_use]
    pub fn status(&self) -> EndpointStatus {
        self.status
    }

    /// Whether it was removed.
    #[must_use]
    pub fn is_removed(&self) -> bool {
        self.status == EndpointStatus::Removed
    }

    /// When it got its status.
    #[must_use]
    pub fn since(&self) -> Timestamp {
        self.since
    }

    /// Why it has its status.
    #[must_use]
    pub fn reason(&self) -> Option<&Text<500>> {
        self.reason.as_ref()
    }

    /// When it was set up.
    #[must_use]
    pub fn created_at(&self) -> Timestamp {
        self.created_at
    }
}

/// Scheme, host and port of a URL that was checked.
///
/// # Errors
/// [`TextError`] if they are longer than an event can state.
pub fn checked(target: &webhook::Target) -> Result<CheckedUrl, TextError> {
    Ok(CheckedUrl {
        url: target.as_str().to_owned(),
        origin: Text::new(target.origin())?,
    })
}

/// How many warnings an endpoint should have had that has failed for this long.
#[must_use]
pub fn warnings_due(failing_for: Duration) -> usize {
    let due = WARNED_AFTER.iter().filter(|after| failing_for >= **after);
    due.count()
}

/// Whether a selection takes an event, as far as the feed's row says. `member_id` is judged elsewhere: it needs the payload.
#[must_use]
pub fn takes(selection: &WebhookSelection, row: &views::feed::FeedRow) -> bool {
    let domain = row.event_type.split('.').next().unwrap_or_default();
    let by_kind = selection.event_types.is_empty() && selection.domains.is_empty()
        || selection
            .event_types
            .iter()
            .any(|one| one.as_str() == row.event_type)
        || selection.domains.iter().any(|one| one.as_str() == domain);
    let tenant = selection.tenant_id.as_ref();
    let (of_type, of_id) = row.aggregate.split_once('/').unwrap_or_default();
    by_kind
        && tenant.is_none_or(|tenant| row.tenant_id.as_deref() == Some(tenant.as_str()))
        && selection
            .aggregate_type
            .as_ref()
            .is_none_or(|one| one.as_str() == of_type)
        && selection
            .aggregate_id
            .as_ref()
            .is_none_or(|one| one.as_str() == of_id)
}

#[cfg(test)]
mod tests;
