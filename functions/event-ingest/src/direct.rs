//! Accepts events by invocation of the function: from a service with the permission to invoke it, or from a rule of any
//! bus.

use std::sync::Arc;

use api::Direct;
use async_trait::async_trait;
use events::Cause;
use host::Error;
use serde::Deserialize;
use serde_json::{Value, value::to_raw_value};

use crate::ingest::{Ingest, Receipt, Sender};

/// The event that a bus sends: <https://docs.aws.amazon.com/eventbridge/latest/ref/overiew-event-structure.html>, read
/// 2026-11-29.
#[derive(Deserialize)]
struct OfBus {
    account: String,
    id: String,
    #[serde(rename = "detail-type")]
    _detail_type: String,
    detail: Value,
}

/// Handles invocations that are not HTTP requests.
#[derive(Debug)]
pub struct Invoked {
    ingest: Arc<Ingest>,
}

impl Invoked {
    /// Creates the handler over the ingest that the HTTP endpoint uses too.
    #[must_use]
    pub fn new(ingest: Arc<Ingest>) -> Self {
        Self { ingest }
    }

    /// Accepts an event from a bus. A bus ignores the answer, so an event that is not accepted fails the invocation.
    /// Lambda retries it and then sends it to the function's failure destination.
    async fn of_bus(&self, event: OfBus) -> Result<Value, Error> {
        let sender = Sender {
            repeat_key: vec!["bus".to_owned(), event.account, event.id],
            cause: Cause::default(),
        };
        let receipt = self.take(&event.detail, &sender).await?;
        let answer = serde_json::to_value(&receipt)?;
        if receipt.items.iter().any(|one| one.problem.is_some()) {
            return Err(answer.to_string().into());
        }
        Ok(answer)
    }

    async fn take(&self, body: &Value, sender: &Sender) -> Result<Receipt, Error> {
        let taken = self.ingest.take(&to_raw_value(body)?, sender).await;
        taken.map_err(|problem| problem.body().to_string().into())
    }
}

#[async_trait]
impl Direct for Invoked {
    async fn invoked(&self, payload: Value) -> Result<Value, Error> {
        if payload.get("detail-type").is_some() {
            return self.of_bus(serde_json::from_value(payload)?).await;
        }
        let key = payload.get("idempotency_key").and_then(Value::as_str);
        let repeat_key = key.map(|key| vec!["invocation".to_owned(), key.to_owned()]);
        let sender = Sender {
            repeat_key: repeat_key.unwrap_or_default(),
            cause: Cause::default(),
        };
        Ok(serde_json::to_value(self.take(&payload, &sender).await?)?)
    }
}
