//! Webhooks: listed and read.

use std::sync::Arc;

use api::{Path, Problem, Reply, State};
use endpoints::{Endpoint, EndpointStatus, Lane, Stand, endpoint::DISABLED_AFTER};
use views::feed::Head;

use super::App;
use crate::wire::{WebhookAnswer, WebhookPath, WebhookProgress, WebhookView, WebhooksAnswer};

/// GET `/webhooks`.
///
/// # Errors
/// The problems that every read can return.
pub async fn list(State(app): State<Arc<App>>) -> Result<Reply<WebhooksAnswer>, Problem> {
    let now = app.outbox.clock().now();
    let mut all = app.endpoints().all().await?;
    all.sort_by_key(|endpoint| (endpoint.created_at(), endpoint.webhook_id()));
    let items = all.iter().map(|endpoint| WebhookView::of(endpoint, now));
    Reply::of(&WebhooksAnswer {
        items: items.collect(),
    })
}

/// GET `/webhooks/{webhook_id}`.
///
/// # Errors
/// 404 for an unknown webhook.
pub async fn read(
    State(app): State<Arc<App>>,
    Path(path): Path<WebhookPath>,
) -> Result<Reply<WebhookAnswer>, Problem> {
    let id = path.webhook_id;
    let endpoint = app.existing(id).await?;
    let endpoints = app.endpoints();
    let (stand, head) = futures::try_join!(
        endpoints.stand(id),
        Head::read(&app.outbox, &app.config.feed),
    )?;
    let head = head.map_or(0, |head| head.position);
    // The transaction that writes an endpoint also writes its lane.
    let stand = stand.unwrap_or_else(|| Stand {
        lane: Lane::from(id, head, None),
        retries: Vec::new(),
    });
    Reply::of(&WebhookAnswer {
        webhook: WebhookView::of(&endpoint, app.outbox.clock().now()),
        progress: progress(&endpoint, &stand, head),
    })
}

fn progress(endpoint: &Endpoint, stand: &Stand, head: u64) -> WebhookProgress {
    let lane = &stand.lane;
    let is_enabled = endpoint.status() == EndpointStatus::Enabled;
    let failing_since = lane.failing_since.filter(|_| is_enabled);
    WebhookProgress {
        position: lane.position,
        head,
        behind: head.saturating_sub(lane.position),
        halted: stand.is_halted(),
        failures: lane.failures,
        failing_since: lane.failing_since,
        last_error: lane.last_error.clone(),
        tried_at: lane.tried_at,
        delivered_at: lane.delivered_at,
        waiting: stand.retries.len(),
        next_attempt_at: stand.next_due(endpoint).filter(|_| is_enabled),
        disabled_at: failing_since.map(|since| since.plus(DISABLED_AFTER)),
    }
}
