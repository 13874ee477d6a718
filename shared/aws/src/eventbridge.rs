//! The publisher on EventBridge. Permission: `events:PutEvents` on the bus.

use async_trait::async_trait;
use aws_sdk_eventbridge::{
    Client,
    error::{ProvideErrorMetadata, SdkError},
    operation::put_events::PutEventsError,
    types::{PutEventsRequestEntry, PutEventsResultEntry},
};

use aws_smithy_runtime_api::client::orchestrator::HttpResponse;

use outbox::{BusEntry, EntryFault, Fault, FaultKind, Publisher};

use crate::clients::failed;

const PUT_EVENTS: &str = "eventbridge PutEvents";

/// The codes with which the bus refuses an entry for good
/// (<https://docs.aws.amazon.com/eventbridge/latest/APIReference/API_PutEventsResultEntry.html>, read 2026-11-21).
///
/// `AccessDeniedException`, `InvalidAccountIdException` and `RedactionFailure` are not among them, although that page
/// calls them non-retryable. They concern the role or the account, not the entry, and end when someone repairs those.
/// Until then the stream waits and alarms; if the event were marked as failed, an operator would have to republish it.
const PERMANENT: [&str; 6] = [
    "InvalidArgument",
    "MalformedDetail",
    "NotAuthorizedForDetailType",
    "NotAuthorizedForDetailTypeException",
    "NotAuthorizedForSource",
    "NotAuthorizedForSourceException",
];

/// A [`Publisher`] on one EventBridge bus.
#[derive(Clone)]
pub struct EventBridgePublisher {
    client: Client,
    bus: String,
}

impl EventBridgePublisher {
    /// A publisher for a bus, given by name or ARN. The client should not retry by itself, see [`crate::eventbridge`].
    pub fn new(client: Client, bus: impl Into<String>) -> Self {
        Self {
            client,
            bus: bus.into(),
        }
    }

    fn request_entry(&self, entry: &BusEntry) -> PutEventsRequestEntry {
        PutEventsRequestEntry::builder()
            .event_bus_name(&self.bus)
            .source(&entry.source)
            .detail_type(&entry.detail_type)
            .detail(&entry.detail)
            .set_trace_header(entry.trace_header.clone())
            .build()
    }
}

impl std::fmt::Debug for EventBridgePublisher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EventBridgePublisher")
            .field("bus", &self.bus)
            .finish_non_exhaustive()
    }
}

#[async_trait]
impl Publisher for EventBridgePublisher {
    /// If the whole call is denied, the fault is [`FaultKind::Denied`], which is transient: a change of the role must
    /// not mark events as failed.
    #[expect(
        clippy::disallowed_methods,
        reason = "the adapter that reads every entry's result"
    )]
    async fn publish(&self, entries: &[BusEntry]) -> Result<Vec<Result<(), EntryFault>>, Fault> {
        let requests = entries
            .iter()
            .map(|entry| self.request_entry(entry))
            .collect();
        let answer = self
            .client
            .put_events()
            .set_entries(Some(requests))
            .send()
            .await
            .map_err(call_fault)?;
        let results = answer.entries();
        if results.len() != entries.len() {
            let why = format!("{} results for {} entries", results.len(), entries.len());
            return Err(Fault::new(FaultKind::Unreadable, PUT_EVENTS, why));
        }
        Ok(results.iter().map(result_of).collect())
    }
}

/// Only a code about the request itself makes the fault [`FaultKind::Rejected`], which the relay treats as a fault of
/// an entry. A missing bus, or a client that cannot find it, is a fault of the deployment and ends when that is
/// repaired.
fn call_fault(error: SdkError<PutEventsError, HttpResponse>) -> Fault {
    let about_the_request = error.code() == Some("ValidationException");
    let mut fault = failed(PUT_EVENTS, error).fault;
    if fault.kind == FaultKind::Rejected && !about_the_request {
        fault.kind = FaultKind::Unavailable;
    }
    fault
}

fn result_of(result: &PutEventsResultEntry) -> Result<(), EntryFault> {
    // Only an event id confirms that the bus has the event.
    if result.error_code().is_none() && result.event_id().is_some_and(|id| !id.is_empty()) {
        return Ok(());
    }
    let code = result.error_code().unwrap_or("NoEventId");
    Err(EntryFault {
        code: code.to_owned(),
        message: result.error_message().unwrap_or("no message").to_owned(),
        permanent: PERMANENT.contains(&code),
    })
}
