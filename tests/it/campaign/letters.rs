//! An operator who sends dead letters back, as the person on call does: by operations of the API, which the job
//! `operator-worker` carries out.

use std::time::Duration;

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};
use tokio::{sync::Mutex, time::Instant};

use super::{Field, jobs};
use crate::e2e::{Result, unique, unresolved_letters};

/// After this span the operator gives an operation up, and begins another over what is unresolved then. Some letters are
/// silent for long: of events that wait for another one of their aggregate, whose letter came later.
const PATIENCE: Duration = Duration::from_secs(20);

const OPERATIONS: &str = "/api/v1/letters/operations";

/// The operator.
#[derive(Debug, Default)]
pub(super) struct Operator {
    /// The operation that is not finished, and since when.
    running: Mutex<Option<(String, Instant)>>,
}

impl Operator {
    /// Looks after the operation that is under way, or begins one over every unresolved letter. Returns how many letters
    /// the operation has sent that was found finished.
    ///
    /// Every call can fail, or take effect without a response: then the next look goes on from what is there.
    pub(super) async fn look(&self, field: &Field) -> Result<u64> {
        let mut running = self.running.lock().await;
        let Some((id, since)) = running.clone() else {
            *running = begin(field).await?.map(|id| (id, Instant::now()));
            return Ok(0);
        };
        let path = format!("{OPERATIONS}/{id}");
        let reply = field.stack.call(Method::GET, &path, None, None).await?;
        if !reply.status.is_success() {
            return Ok(0);
        }
        if reply.body["status"] == "finished" {
            *running = None;
            return check_outcome(&reply.body);
        }
        if since.elapsed() > PATIENCE && reply.body["status"] == "running" {
            let body = json!({ "reason": "some letters are silent" });
            let (path, key) = (format!("{path}/cancel"), unique("cancel"));
            field
                .stack
                .call(Method::POST, &path, Some(&key), Some(&body))
                .await?;
        }
        jobs::start(field, jobs::REDRIVE).await?;
        Ok(0)
    }
}

/// Begins an operation over every unresolved letter. `None` if there is none, or nothing is known of the call.
async fn begin(field: &Field) -> Result<Option<String>> {
    let body =
        json!({ "act": "redrive", "filter": {}, "reason": "the storm", "rate_per_second": 100 });
    let key = unique("redrive");
    let begun = field
        .stack
        .call(Method::POST, OPERATIONS, Some(&key), Some(&body))
        .await?;
    let id = begun.body["operation_id"].as_str().map(str::to_owned);
    match begun.status {
        // 409 names the operation that has the letters: one of which the beginning was not told.
        StatusCode::CREATED | StatusCode::CONFLICT => {
            if id.is_some() {
                jobs::start(field, jobs::REDRIVE).await?;
            }
            Ok(id)
        }
        StatusCode::UNPROCESSABLE_ENTITY if is_problem(&begun.body, "no-letter") => Ok(None),
        status if status.is_server_error() => Ok(None),
        _ => Err(format!("an operation is refused: {:?}", begun.body).into()),
    }
}

fn is_problem(body: &Value, name: &str) -> bool {
    let of_type = body["type"].as_str().unwrap_or_default();
    of_type.ends_with(&format!(":{name}"))
}

/// How many letters an operation has sent, if its counts add up: each letter was sent or skipped, and each that was sent
/// was handled, failed again, or was given back.
fn check_outcome(operation: &Value) -> Result<u64> {
    let outcome = &operation["outcome"];
    let count = |name: &str| outcome[name].as_u64().unwrap_or_default();
    let (redriven, skipped) = (count("redriven"), count("skipped"));
    let decided = count("handled") + count("failed_again") + skipped + count("discarded");
    let all = operation["count"].as_u64().unwrap_or_default();
    // What was handled in another way before it was sent counts as handled and not as sent.
    if redriven > all || decided > all || redriven + skipped > all {
        return Err(format!("an operation's counts do not add up: {operation}").into());
    }
    Ok(redriven)
}

/// How many unresolved letters are about this campaign.
pub(super) async fn unresolved(field: &Field) -> Result<usize> {
    let names = field.names();
    let letters = unresolved_letters(&field.stack).await?.into_iter();
    Ok(letters
        .filter(|(_, message)| names.iter().any(|name| message.body.contains(name)))
        .count())
}
