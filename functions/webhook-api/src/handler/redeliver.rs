//! Events that are sent once more.

use std::{collections::BTreeSet, sync::Arc};

use api::{Command, Decision, Path, Problem, Reply, State};
use endpoints::{Endpoint, EndpointStatus};
use events::EventId;

use super::{
    App,
    refused::{not_enabled, unknown},
};
use crate::wire::{RedeliverWebhook, RedeliveredWebhook, WebhookPath};

/// The 404 problem for events of which the feed knows none.
fn no_event(event_ids: &[EventId]) -> Problem {
    let ids: Vec<String> = event_ids.iter().map(ToString::to_string).collect();
    Problem::not_found("the feed knows none of these events, or no longer").with("event_ids", ids)
}

/// POST `/webhooks/{webhook_id}/redeliver`.
///
/// # Errors
/// 404 for an unknown webhook, and if the feed knows none of the events; 409 if the webhook is not enabled; the problems that
/// every command can return.
pub async fn redeliver(
    State(app): State<Arc<App>>,
    Path(path): Path<WebhookPath>,
    command: Command<RedeliverWebhook>,
) -> Result<Reply<RedeliveredWebhook, 202>, Problem> {
    let (app, webhook_id) = (&app, &path.webhook_id);
    // A transaction cannot write an item twice.
    let event_ids = &command.body().event_ids;
    let mut seen = BTreeSet::new();
    let event_ids = event_ids.iter().copied().filter(|one| seen.insert(*one));
    let event_ids: &Vec<EventId> = &event_ids.collect();
    api::execute(&app.outbox, &command, async move |mut transaction, _| {
        let (endpoints, id) = (app.endpoints(), *webhook_id);
        let entity = endpoints.endpoint(id).await?;
        let endpoint: Option<&Endpoint> = entity.state().filter(|one| !one.is_removed());
        let Some(endpoint) = endpoint else {
            return Ok(Decision::Refuse(unknown(id)));
        };
        if endpoint.status() != EndpointStatus::Enabled {
            return Ok(Decision::Refuse(not_enabled(id, endpoint.status())));
        }
        // It must still be enabled at the commit.
        transaction.check(entity.key().clone(), entity.unchanged());
        let mut answer = RedeliveredWebhook {
            accepted: Vec::new(),
            unknown: Vec::new(),
        };
        for event_id in event_ids.iter() {
            let is_known = endpoints.redeliver(&mut transaction, id, *event_id).await?;
            if is_known {
                answer.accepted.push(*event_id);
            } else {
                answer.unknown.push(*event_id);
            }
        }
        Ok(if answer.accepted.is_empty() {
            Decision::Refuse(no_event(&answer.unknown))
        } else {
            Decision::Commit(transaction, answer)
        })
    })
    .await
}
