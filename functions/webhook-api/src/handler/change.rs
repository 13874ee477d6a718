//! Webhooks: set up, changed, enabled, disabled, given a new secret, removed.

use std::sync::Arc;

use api::{Command, CommandError, Created, Path, Problem, Reply, State};
use endpoints::{
    By, Endpoint,
    endpoint::{CheckedUrl, New, Patch, checked},
};
use events::{
    Registry, Violation, WebhookId,
    contracts::webhook::{WebhookSelection, WebhookStatus},
    did_you_mean, unknown_domain,
};
use outbox::{Fault, FaultKind};
use serde_json::json;
use webhook::{ResolveError, Secret, Target, TargetError};

use super::{App, refused::refused};
use crate::wire::{
    ChangeWebhook, CreateWebhook, CreatedWebhook, DisableWebhook, EnableWebhook, Hidden,
    RemoveWebhook, RemovedWebhook, RotateWebhook, RotatedWebhook, Step, WebhookPath, WebhookView,
};

/// Where the URL is in a body.
const URL: &str = "/url";

/// A URL that may be called, as far as its text says.
struct Judged {
    target: Target,
    checked: CheckedUrl,
}

/// What is wrong with a selection. The schema has checked its shape.
fn wrong_selection(selection: &WebhookSelection) -> Vec<Violation> {
    let known = || {
        let contracts = Registry::shipped_contracts().iter();
        contracts.map(|contract| contract.event_type)
    };
    let mut violations = Vec::new();
    for (at, name) in selection.event_types.iter().enumerate() {
        let name = name.as_str();
        if !known().any(|one| one == name) {
            let message = format!("is not a known event type{}", did_you_mean(name, known()));
            violations.push(Violation::new(format!("/event_types/{at}"), message));
        }
    }
    for (at, name) in selection.domains.iter().enumerate() {
        if let Some(meant) = unknown_domain(name.as_str()) {
            let message = format!("is not a known domain{meant}");
            violations.push(Violation::new(format!("/domains/{at}"), message));
        }
    }
    if selection.aggregate_id.is_some() && selection.aggregate_type.is_none() {
        violations.push(Violation::new(
            "/aggregate_id",
            "needs `aggregate_type` beside it",
        ));
    }
    violations
}

fn by<T>(command: &Command<T>) -> Result<By, Problem> {
    Ok(By {
        actor: command.actor(),
        key_owner: command.key_owner()?,
    })
}

/// A secret of random bytes, and its text.
fn new_secret() -> Result<(Secret, Hidden), Fault> {
    let mut bytes = [0_u8; 32];
    getrandom::fill(&mut bytes)
        .map_err(|error| Fault::new(FaultKind::Unavailable, "getrandom", error))?;
    let secret = Secret::new(bytes);
    let text = Hidden::new(secret.expose());
    Ok((secret, text))
}

impl App {
    /// What the text of a URL says.
    fn judged(&self, url: &Hidden) -> Result<Judged, Violation> {
        let wrong = |message: String| Violation::new(URL, message);
        let target = Target::parse(url.expose(), &self.config.rules)
            .map_err(|error| wrong(error.to_string()))?;
        let checked =
            checked(&target).map_err(|_| wrong("the URL's host name is too long".to_owned()))?;
        Ok(Judged { target, checked })
    }

    /// Refuses a body with any violation, and a URL whose name leads to addresses that may not be called.
    ///
    /// The lookup is no part of the decision, so a request that was carried out before is not refused here: its repeat gets
    /// its answer, although the name may lead elsewhere now.
    async fn settled<T>(
        &self,
        command: &Command<T>,
        url: Option<&Hidden>,
        selection: Option<&WebhookSelection>,
    ) -> Result<Option<CheckedUrl>, Problem> {
        let mut violations = selection.map(wrong_selection).unwrap_or_default();
        let judged = match url.map(|url| self.judged(url)).transpose() {
            Ok(judged) => judged,
            Err(violation) => {
                violations.insert(0, violation);
                None
            }
        };
        if !violations.is_empty() {
            return Err(Problem::invalid(violations));
        }
        let Some(Judged { target, checked }) = judged else {
            return Ok(None);
        };
        if let Err(error) = self.reach.check(&target).await {
            let done = self.outbox.done(command.mark()).await?;
            if done.is_none() {
                let message = match error {
                    ResolveError::Refused => TargetError::Address.to_string(),
                    ResolveError::NotFound => "the URL's name cannot be resolved".to_owned(),
                };
                return Err(Problem::invalid(Violation::new(URL, message)));
            }
        }
        Ok(Some(checked))
    }
}

/// The part of an answer that is stored for repeats.
fn kept(step: &Step) -> Result<serde_json::Value, serde_json::Error> {
    Ok(json!({ "webhook_id": step.webhook_id }))
}

/// POST `/webhooks`.
///
/// # Errors
/// 409 if there are too many webhooks; 422 for a URL that may not be called, and for an unknown event type or domain; the
/// problems that every command can return.
pub async fn create(
    State(app): State<Arc<App>>,
    command: Command<CreateWebhook>,
) -> Result<Created<CreatedWebhook>, Problem> {
    let body = command.body();
    let url = app
        .settled(&command, Some(&body.url), Some(&body.selection))
        .await?;
    let Some(url) = &url else {
        return Err(Problem::invalid(Violation::new(URL, "is required")));
    };
    let (app, by) = (&app, &by(&command)?);
    let created = api::execute_keeping(
        &app.outbox,
        &command,
        async move |mut transaction, body| {
            let webhook_id = WebhookId::from(transaction.uuid());
            let (secret, shown) = new_secret()?;
            let new = New {
                webhook_id,
                url: url.clone(),
                secret,
                selection: body.selection.clone(),
                in_order: body.in_order,
                description: body.description.clone(),
            };
            let endpoints = app.endpoints();
            let done = endpoints.create(&mut transaction, new, by.clone()).await;
            let now = transaction.now();
            let problem = |refusal: &_| refused(webhook_id, refusal);
            api::decided(transaction, done, problem, |endpoint| {
                Step::of(endpoint, now, Some(shown))
            })
        },
        kept,
    )
    .await?;
    app.answered(created, |webhook, secret| CreatedWebhook {
        webhook,
        secret,
    })
    .await
}

/// Changes a webhook. `patch` is called for each attempt.
async fn change<T>(
    app: &App,
    id: WebhookId,
    command: &Command<T>,
    patch: impl Fn(&T) -> Result<(Patch, Option<Hidden>), CommandError>,
) -> Result<Reply<Step>, Problem> {
    let (id, by, patch) = (&id, &by(command)?, &patch);
    api::execute_keeping(
        &app.outbox,
        command,
        async move |mut transaction, body| {
            let (patch, shown) = patch(body)?;
            let endpoints = app.endpoints();
            let done: Result<Endpoint, _> = endpoints
                .change(&mut transaction, *id, patch, by.clone())
                .await;
            let now = transaction.now();
            let problem = |refusal: &_| refused(*id, refusal);
            api::decided(transaction, done, problem, |endpoint| {
                Step::of(endpoint, now, shown)
            })
        },
        kept,
    )
    .await
}

/// PATCH `/webhooks/{webhook_id}`.
///
/// # Errors
/// 404 for an unknown webhook; 409 if nothing is changed; 422 for a URL that may not be called, for an unknown event type or
/// domain, and if nothing is given; the problems that every command can return.
pub async fn patch(
    State(app): State<Arc<App>>,
    Path(path): Path<WebhookPath>,
    command: Command<ChangeWebhook>,
) -> Result<Reply<WebhookView>, Problem> {
    let body = command.body();
    let selection = body.selection();
    let is_empty = body.url.is_none()
        && selection.is_none()
        && body.in_order.is_none()
        && body.description.is_none();
    if is_empty {
        let message = "at least one field beside `reason` is required";
        return Err(Problem::invalid(Violation::new("", message)));
    }
    let url = app
        .settled(&command, body.url.as_ref(), selection.as_ref())
        .await?;
    let changed = change(&app, path.webhook_id, &command, |body| {
        let patch = Patch {
            url: url.clone(),
            selection: selection.clone(),
            in_order: body.in_order,
            description: body.description.clone(),
            reason: body.reason.clone(),
            ..Patch::default()
        };
        Ok((patch, None))
    })
    .await?;
    app.answered(changed, |webhook, _| webhook).await
}

/// POST `/webhooks/{webhook_id}/enable`.
///
/// # Errors
/// 404 for an unknown webhook; 409 if it is enabled; the problems that every command can return.
pub async fn enable(
    State(app): State<Arc<App>>,
    Path(path): Path<WebhookPath>,
    command: Command<EnableWebhook>,
) -> Result<Reply<WebhookView>, Problem> {
    let changed = change(&app, path.webhook_id, &command, |body| {
        let patch = Patch {
            status: Some(WebhookStatus::Enabled),
            reason: body.reason.clone(),
            ..Patch::default()
        };
        Ok((patch, None))
    })
    .await?;
    app.answered(changed, |webhook, _| webhook).await
}

/// POST `/webhooks/{webhook_id}/disable`.
///
/// # Errors
/// 404 for an unknown webhook; 409 if it is disabled; the problems that every command can return.
pub async fn disable(
    State(app): State<Arc<App>>,
    Path(path): Path<WebhookPath>,
    command: Command<DisableWebhook>,
) -> Result<Reply<WebhookView>, Problem> {
    let changed = change(&app, path.webhook_id, &command, |body| {
        let patch = Patch {
            status: Some(WebhookStatus::Disabled),
            reason: Some(body.reason.clone()),
            ..Patch::default()
        };
        Ok((patch, None))
    })
    .await?;
    app.answered(changed, |webhook, _| webhook).await
}

/// POST `/webhooks/{webhook_id}/rotate`.
///
/// # Errors
/// 404 for an unknown webhook; the problems that every command can return.
pub async fn rotate(
    State(app): State<Arc<App>>,
    Path(path): Path<WebhookPath>,
    command: Command<RotateWebhook>,
) -> Result<Reply<RotatedWebhook>, Problem> {
    let changed = change(&app, path.webhook_id, &command, |_| {
        let (secret, shown) = new_secret()?;
        let patch = Patch {
            secret: Some(secret),
            ..Patch::default()
        };
        Ok((patch, Some(shown)))
    })
    .await?;
    app.answered(changed, |webhook, secret| RotatedWebhook {
        old_secret_until: webhook.old_secret_until,
        webhook,
        secret,
    })
    .await
}

/// POST `/webhooks/{webhook_id}/remove`.
///
/// # Errors
/// 404 for an unknown webhook; the problems that every command can return.
pub async fn remove(
    State(app): State<Arc<App>>,
    Path(path): Path<WebhookPath>,
    command: Command<RemoveWebhook>,
) -> Result<Reply<RemovedWebhook>, Problem> {
    let (app, id, by) = (&app, &path.webhook_id, &by(&command)?);
    api::execute(&app.outbox, &command, async move |mut transaction, _| {
        let endpoints = app.endpoints();
        let done = endpoints.remove(&mut transaction, *id, by.clone()).await;
        let problem = |refusal: &_| refused(*id, refusal);
        api::decided(transaction, done, problem, |endpoint| RemovedWebhook {
            webhook_id: endpoint.webhook_id(),
            removed: endpoint.is_removed(),
        })
    })
    .await
}
