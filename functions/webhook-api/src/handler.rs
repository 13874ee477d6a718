//! What each endpoint reads, decides and writes.

pub mod change;
pub mod deliveries;
pub mod reads;
pub mod redeliver;
mod refused;

use std::{fmt, sync::Arc};

use api::{Problem, Reply};
use endpoints::{Endpoint, Endpoints};
use events::WebhookId;
use outbox::Outbox;
use serde::Serialize;

use crate::{
    config::Config,
    reach::Reach,
    wire::{Hidden, Step, WebhookView},
};
use refused::unknown;

/// The state that the endpoints share.
#[derive(Clone)]
pub struct App {
    outbox: Outbox,
    config: Config,
    reach: Arc<dyn Reach>,
}

impl fmt::Debug for App {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("App")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

impl App {
    /// Creates the state from an outbox, the settings, and the port to the network.
    #[must_use]
    pub fn new(outbox: Outbox, config: Config, reach: Arc<dyn Reach>) -> Self {
        Self {
            outbox,
            config,
            reach,
        }
    }

    fn endpoints(&self) -> Endpoints<'_> {
        Endpoints {
            outbox: &self.outbox,
            table: &self.config.webhooks,
            feed: &self.config.feed,
        }
    }

    /// A webhook that was not removed.
    async fn existing(&self, id: WebhookId) -> Result<Endpoint, Problem> {
        let entity = self.endpoints().endpoint(id).await?;
        let endpoint = entity.state().filter(|endpoint| !endpoint.is_removed());
        endpoint.cloned().ok_or_else(|| unknown(id))
    }

    /// Makes the answer from what a request changed. The stored answer of a repeat has only the id: the repeat gets the webhook
    /// as it is now, which can be removed.
    async fn answered<B: Serialize, const STATUS: u16>(
        &self,
        reply: Reply<Step, STATUS>,
        answer: impl FnOnce(WebhookView, Option<Hidden>) -> B,
    ) -> Result<Reply<B, STATUS>, Problem> {
        let step: Step =
            serde_json::from_str(reply.body()).map_err(|error| Problem::internal(&error))?;
        let webhook = match step.webhook {
            Some(webhook) => webhook,
            None => {
                let entity = self.endpoints().endpoint(step.webhook_id).await?;
                let endpoint = entity.state().ok_or_else(|| unknown(step.webhook_id))?;
                WebhookView::of(endpoint, self.outbox.clock().now())
            }
        };
        reply.and(|_| answer(webhook, step.secret))
    }
}
