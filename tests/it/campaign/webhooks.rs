//! Endpoints outside during a campaign: what they selected reached each of them, whole, signed, and in order where that was
//! asked for, although the sender was killed, its calls failed, and one of the endpoints had trouble of its own.

use serde_json::{Value, json};

use super::{
    Field,
    books::{Finding, Logged},
    feed, jobs,
};
use crate::{
    deliveries::{Sent, differences},
    e2e::{
        Result,
        receiver::{Endpoint, Got, Receiver, remove, set_up, shown},
    },
};

/// What an endpoint is sent.
#[derive(Debug, Clone, Copy)]
enum Selection {
    Domain(&'static str),
    Types(&'static [&'static str]),
}

impl Selection {
    fn body(self) -> Value {
        match self {
            Self::Domain(domain) => json!({ "domains": [domain] }),
            Self::Types(types) => json!({ "event_types": types }),
        }
    }

    fn takes(self, event_type: &str) -> bool {
        match self {
            Self::Domain(domain) => event_type
                .strip_prefix(domain)
                .is_some_and(|rest| rest.starts_with('.')),
            Self::Types(types) => types.contains(&event_type),
        }
    }
}

/// Each endpoint's path, whether it is sent the events of an aggregate in their order, and what it is sent. One has trouble:
/// it refuses some events at first, and takes others without an answer.
const ENDPOINTS: [(&str, bool, Selection); 2] = [
    ("ordered", true, Selection::Domain("wallet")),
    (
        "trouble",
        false,
        Selection::Types(&["payment.created", "settlement.settled", "cloud.minted"]),
    ),
];

/// The endpoints, and the server that they are on.
pub(super) struct Outside {
    receiver: Receiver,
    /// In the order of [`ENDPOINTS`].
    endpoints: Vec<Endpoint>,
}

impl Outside {
    pub(super) async fn set_up(field: &Field) -> Result<Self> {
        let mut outside = Self {
            receiver: Receiver::start().await?,
            endpoints: Vec::new(),
        };
        for (path, in_order, selection) in ENDPOINTS {
            let mut body = selection.body();
            body["in_order"] = json!(in_order);
            match set_up(&field.stack, &outside.receiver.url(path), &body).await {
                Ok(endpoint) => outside.endpoints.push(endpoint),
                Err(error) => {
                    outside.remove(field).await?;
                    return Err(error);
                }
            }
        }
        Ok(outside)
    }

    /// Whether every endpoint has been sent all that the feed has, and nothing waits to be tried again. If not, starts the
    /// job.
    pub(super) async fn is_idle(&self, field: &Field) -> Result<bool> {
        let head = feed::head(field).await?;
        for endpoint in &self.endpoints {
            let progress = &shown(&field.stack, &endpoint.id).await?["progress"];
            let is_behind = progress["position"].as_u64().unwrap_or(0) < head;
            if is_behind || progress["waiting"] != 0 {
                jobs::start(field, jobs::WEBHOOKS).await?;
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Later stories must find a stack whose sender has nothing to do.
    pub(super) async fn remove(&self, field: &Field) -> Result {
        for endpoint in &self.endpoints {
            remove(&field.stack, &endpoint.id).await?;
        }
        Ok(())
    }

    /// The endpoints, as the log names them.
    pub(super) fn aggregates(&self) -> impl Iterator<Item = String> {
        self.endpoints
            .iter()
            .map(|endpoint| format!("webhook#{}", endpoint.id))
    }

    /// Compares what each endpoint took with the event log.
    pub(super) fn check(&self, log: &[Logged], found: &mut Vec<Finding>) {
        for (endpoint, (path, in_order, selection)) in self.endpoints.iter().zip(ENDPOINTS) {
            let got = self.receiver.got(path);
            let wanted = log
                .iter()
                .filter(|one| selection.takes(one.row.event_type.as_str()));
            let wanted: Vec<&Logged> = wanted.collect();
            if wanted.len() < 10 {
                found.push(Finding::of(format!(
                    "{path}: only {} events were for it",
                    wanted.len()
                )));
            }
            let sent = got.iter().map(|one| Sent {
                id: &one.id,
                body: &one.body,
                is_taken: one.is_taken,
            });
            let sent: Vec<Sent<'_>> = sent.collect();
            let of_log = wanted
                .iter()
                .map(|one| (&one.envelope, one.row.envelope_json().to_owned()));
            found.extend(
                differences(&sent, of_log, in_order)
                    .into_iter()
                    .chain(not_wanted(&got, selection))
                    .chain(not_signed(&got, &endpoint.secret))
                    .map(|what| Finding::of(format!("{path}: {what}"))),
            );
        }
    }
}

/// What an endpoint was sent although it had not selected it.
fn not_wanted(got: &[Got], selection: Selection) -> impl Iterator<Item = String> {
    got.iter().filter_map(move |one| {
        let event: Value = serde_json::from_str(&one.body).unwrap_or_default();
        let event_type = event["event_type"].as_str().unwrap_or_default();
        let is_wanted = selection.takes(event_type);
        (!is_wanted).then(|| format!("it was sent a {event_type}"))
    })
}

/// What is not signed by the endpoint's secret.
fn not_signed(got: &[Got], secret: &str) -> impl Iterator<Item = String> {
    let forged = got.iter().filter(move |one| !one.was_signed_by(secret));
    forged.map(|one| format!("{} is not signed by its secret", one.id))
}
