//! Validates, numbers and commits each event independently.
//!
//! The transaction of an event writes its row in the event log, the number of its aggregate, the mark of its id and, if
//! the event has an idempotency key, its fact. Events of one aggregate are committed one after the other, in the order
//! of the call. Different aggregates are handled at the same time.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use api::{MAX_BODY_BYTES, Problem};
use events::{
    Arrival, Cause, ContractInfo, Draft, EnvelopeError, EventId, Invalid, MAX_ENVELOPE_BYTES,
    Registry, Timestamp, Violation,
    cloudevents::{self, from_cloudevent, is_cloudevent},
};
use futures::{StreamExt as _, stream};
use http::StatusCode;
use outbox::{
    Answer, BuildError, Decision, Error, Fact, Mark, Outbox, Outcome, REPEATS_KNOWN, Table,
    Transaction, check_identity, event_identity,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer, de::IgnoredAny};
use serde_json::{Value, json, value::RawValue};

/// The maximum number of events in a call: few enough that each gets its own transaction within the function's timeout.
pub const MAX_EVENTS: usize = 25;

/// How far back an event can lie: consumers must still know it from a repeat when it has waited in a lane for as long as a
/// lane keeps it.
const BACK_AT_MOST: Duration = REPEATS_KNOWN.saturating_sub(topology::LANE_RETENTION);

/// How far ahead of ours another system's clock can be.
const AHEAD_AT_MOST: Duration = Duration::from_secs(24 * 60 * 60);

/// Aggregates that are handled at the same time.
const AT_ONCE: usize = 8;

/// The sender of the events, and the values for fields that an event omits.
#[derive(Debug, Clone)]
pub struct Sender {
    /// Identifies the call, so that a repeated call has the same key. An event without an id gets an id that is derived
    /// from it. If it is empty, each event must have an id of its own.
    pub repeat_key: Vec<String>,
    /// Correlation, trace and metadata.
    pub cause: Cause,
}

/// The outcome of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Status {
    /// The event was committed to the event log.
    Accepted,
    /// The event was committed before: its id or its fact is known.
    Duplicate,
    /// The event can never be accepted; `problem` has the reason.
    Rejected,
    /// The event was not accepted this time: send it again.
    Failed,
}

/// The outcome of one event of a call.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Taken {
    /// The outcome.
    pub status: Status,
    /// The event's place in the event log; for a duplicate, the place of the first event.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Why it was not accepted, as an RFC 9457 problem.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "body_of")]
    #[schemars(with = "Option<Value>")]
    pub problem: Option<Problem>,
}

/// An event's place in the event log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Place {
    /// The event's id.
    pub event_id: EventId,
    /// The type of its aggregate.
    pub aggregate_type: String,
    /// The id of its aggregate.
    pub aggregate_id: String,
    /// Its number among the aggregate's events.
    pub sequence: u64,
}

/// The outcomes of a call's events, in the order of the call.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Receipt {
    /// One for each event.
    pub items: Vec<Taken>,
}

/// What the mark and the fact of an accepted event remember.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct First {
    #[serde(flatten)]
    place: Place,
    /// A digest of type, version and payload. It distinguishes a repeat from another event under the same id.
    content: String,
}

/// Accepts events from other systems.
#[derive(Debug)]
pub struct Ingest {
    outbox: Outbox,
    table: Table,
}

impl Ingest {
    /// Creates the ingest over its table.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table) -> Self {
        Self { outbox, table }
    }

    /// Accepts the events of a call: one, a list, or `{"events": [...]}`, each an envelope or a CloudEvent. Each valid
    /// event is committed, whatever happens to the others.
    ///
    /// # Errors
    /// 413 if there are more than [`MAX_EVENTS`] or the body has more than [`MAX_BODY_BYTES`], 422 if the body has none of these forms.
    pub async fn take(&self, body: &RawValue, sender: &Sender) -> Result<Receipt, Problem> {
        if body.get().len() > MAX_BODY_BYTES {
            return Err(Problem::body_too_large(MAX_BODY_BYTES));
        }
        let mut items = Vec::new();
        let mut waiting: BTreeMap<String, Vec<(usize, Draft)>> = BTreeMap::new();
        for (index, json) in events_of(body)?.into_iter().enumerate() {
            match self.draft(json.get(), index, sender) {
                Ok(draft) => {
                    let drafts = waiting.entry(draft.aggregate()).or_default();
                    drafts.push((index, draft));
                }
                Err(problem) => items.push((index, Taken::not(Status::Rejected, problem))),
            }
        }
        let taken = stream::iter(waiting.into_values())
            .map(|drafts| self.in_order(drafts, sender))
            .buffer_unordered(AT_ONCE)
            .concat()
            .await;
        items.extend(taken);
        items.sort_by_key(|(index, _)| *index);
        Ok(Receipt {
            items: items.into_iter().map(|(_, taken)| taken).collect(),
        })
    }

    /// Validates a document and returns the event to commit.
    fn draft(&self, json: &str, index: usize, sender: &Sender) -> Result<Draft, Problem> {
        if json.len() > MAX_ENVELOPE_BYTES {
            return Err(too_large(json.len()));
        }
        let registry = self.outbox.registry();
        let document: Value =
            serde_json::from_str(json).map_err(|error| Problem::internal(&error))?;
        let is_cloudevent = is_cloudevent(&document);
        let type_field = if is_cloudevent { "type" } else { "event_type" };
        let named = document.get(type_field).and_then(Value::as_str);
        if let Some(closed) = named.and_then(|named| closed(registry, named)) {
            return Err(closed_contract(closed));
        }
        let native: Cow<'_, str> = if is_cloudevent {
            let native = from_cloudevent(json, registry.contracts());
            native
                .map_err(|invalid| Problem::invalid(invalid.0))?
                .into()
        } else {
            json.into()
        };
        if !is_cloudevent {
            let unknown = Registry::unknown_fields(&document);
            if !unknown.is_empty() {
                return Err(Problem::invalid(unknown));
            }
        }
        let arrival = Arrival {
            event_id: sender.event_id(index)?,
            now: self.outbox.clock().now(),
        };
        let draft = registry.ingest(&native, &arrival).and_then(|draft| {
            markable(&draft)
                .and_then(|()| timely(&draft, arrival.now))
                .map_err(|wrong| Invalid(wrong.into()))?;
            Ok(draft)
        });
        let draft = draft.map_err(|Invalid(mut wrong)| {
            if is_cloudevent {
                for one in wrong.iter_mut() {
                    one.pointer = cloudevents::pointer(&one.pointer);
                }
            }
            Problem::invalid(wrong)
        })?;
        Ok(sender.signed(draft))
    }

    /// Commits the events of an aggregate one after the other. Once one of them is not accepted, those after it are not
    /// accepted either, because they would overtake it.
    async fn in_order(&self, drafts: Vec<(usize, Draft)>, sender: &Sender) -> Vec<(usize, Taken)> {
        let mut taken = Vec::with_capacity(drafts.len());
        let mut has_failed = false;
        for (index, draft) in drafts {
            let one = if has_failed {
                let problem = Problem::unavailable();
                Taken::not(
                    Status::Failed,
                    problem.detail("an earlier event of the same aggregate was not accepted"),
                )
            } else {
                self.commit(&draft, &sender.cause).await
            };
            has_failed |= one.status == Status::Failed;
            taken.push((index, one));
        }
        taken
    }

    async fn commit(&self, draft: &Draft, cause: &Cause) -> Taken {
        let mark = Mark::Event {
            consumer: events::OUTSIDE,
            event: draft
                .event_id()
                .map(|id| id.to_string())
                .unwrap_or_default(),
        };
        let content = content_of(draft);
        let decide = |transaction| self.decide(transaction, draft, &content);
        match self.outbox.execute(&mark, cause, decide).await {
            Ok(Outcome::Committed { value, .. }) => Taken::at(Status::Accepted, value.place),
            Ok(Outcome::Refused(first)) => Taken::at(Status::Duplicate, first.place),
            Ok(Outcome::AlreadyDone(done)) => {
                let first = done
                    .answer
                    .and_then(|answer| serde_json::from_value::<First>(answer.body).ok());
                match first {
                    Some(first) if first.content == content => {
                        Taken::at(Status::Duplicate, first.place)
                    }
                    _ => Taken::not(Status::Rejected, id_reused()),
                }
            }
            Ok(Outcome::Contention) => Taken::not(Status::Failed, Problem::contention()),
            Err(Error::Build(BuildError::Envelope(EnvelopeError::TooLarge { bytes, .. }))) => {
                Taken::not(Status::Rejected, too_large(bytes))
            }
            Err(Error::Build(BuildError::Envelope(EnvelopeError::Undeliverable(violation)))) => {
                Taken::not(Status::Rejected, Problem::invalid(vec![violation]))
            }
            Err(error) => {
                tracing::error!(error = outbox::chain(&error), "an event was not accepted");
                Taken::not(Status::Failed, error.into())
            }
        }
    }

    async fn decide(
        &self,
        mut transaction: Transaction,
        draft: &Draft,
        content: &str,
    ) -> Result<Decision<First, First>, Error> {
        let fact = fact_of(draft);
        if let Some(fact) = &fact
            && let Some(first) = self.outbox.fact(&self.table, fact.clone()).await?
        {
            return Ok(Decision::Refuse(first));
        }
        let aggregate = draft.aggregate();
        let numbered = self.outbox.load_numbered(&self.table, &aggregate).await?;
        transaction.update(&numbered, &outbox::Numbered {}, vec![draft.clone()])?;
        let Some(envelope) = transaction.events().last() else {
            return Err(Error::Refused("the transaction holds no event".to_owned()));
        };
        let first = First {
            place: Place {
                event_id: envelope.event_id,
                aggregate_type: envelope.aggregate_type.to_string(),
                aggregate_id: envelope.aggregate_id.to_string(),
                sequence: envelope.sequence.number(),
            },
            content: content.to_owned(),
        };
        if let Some(fact) = fact {
            transaction.fact(&self.table, fact, &first)?;
        }
        transaction.answer(Answer {
            status: StatusCode::OK.as_u16(),
            body: json!(first),
        });
        Ok(Decision::Commit(transaction, first))
    }
}

/// Returns the event's fact: one per idempotency key, type and aggregate.
fn fact_of(draft: &Draft) -> Option<Fact> {
    let key = draft.idempotency_key()?;
    Some(Fact::of_event(draft.event_type(), &draft.aggregate(), key))
}

/// Refuses an event that no consumer could mark: its key would be too long for DynamoDB.
fn markable(draft: &Draft) -> Result<(), Violation> {
    let Some(key) = draft.idempotency_key() else {
        return Ok(());
    };
    let identity = event_identity(draft.event_type(), &draft.aggregate(), key);
    check_identity(&identity).map_err(|error| Violation::new("/idempotency_key", error.to_string()))
}

/// Refuses an event whose time is too far away: consumers tell a repeat of an event by a mark, and how long a mark is kept
/// follows from the event's time.
fn timely(draft: &Draft, now: Timestamp) -> Result<(), Violation> {
    let Some(occurred_at) = draft.occurred_at() else {
        return Ok(());
    };
    let wrong = if now.since(occurred_at) > BACK_AT_MOST {
        let most = BACK_AT_MOST.as_secs() / 86_400;
        format!("lies more than {most} days back: a repeat of the event could not be told from it")
    } else if occurred_at.since(now) > AHEAD_AT_MOST {
        let most = AHEAD_AT_MOST.as_secs() / 3_600;
        format!("lies more than {most} h ahead")
    } else {
        return Ok(());
    };
    Err(Violation::new("/occurred_at", wrong))
}

impl Sender {
    /// Returns the id for an event that has none. The event in the same position of the same call always gets the same
    /// id.
    fn event_id(&self, index: usize) -> Result<Option<EventId>, Problem> {
        if self.repeat_key.is_empty() {
            return Ok(None);
        }
        let index = index.to_string();
        let parts: Vec<&str> = self
            .repeat_key
            .iter()
            .map(String::as_str)
            .chain([index.as_str()])
            .collect();
        EventId::new(cloudevents::identity(&parts))
            .map(Some)
            .map_err(|error| Problem::internal(&error))
    }

    /// Fills metadata that the event omits from the sender, and sets the API key's owner, which the event itself cannot
    /// choose.
    fn signed(&self, draft: Draft) -> Draft {
        let mut metadata = draft.metadata().cloned().unwrap_or_default();
        metadata.other.remove(api::METADATA_OWNER);
        let Some(of_call) = &self.cause.metadata else {
            return match draft.metadata() {
                Some(_) => draft.with_metadata(metadata),
                None => draft,
            };
        };
        for (own, given) in [
            (&mut metadata.user_id, &of_call.user_id),
            (&mut metadata.session_id, &of_call.session_id),
            (&mut metadata.tenant_id, &of_call.tenant_id),
        ] {
            if own.is_none() {
                own.clone_from(given);
            }
        }
        metadata.other.extend(of_call.other.clone());
        draft.with_metadata(metadata)
    }
}

impl Taken {
    fn at(status: Status, place: Place) -> Self {
        Self {
            status,
            place: Some(place),
            problem: None,
        }
    }

    fn not(status: Status, problem: Problem) -> Self {
        Self {
            status,
            place: None,
            problem: Some(problem),
        }
    }
}

fn body_of<S: Serializer>(problem: &Option<Problem>, serializer: S) -> Result<S::Ok, S::Error> {
    problem.as_ref().map(Problem::body).serialize(serializer)
}

/// Whether it is an object with a field `events`. Nothing of it is kept: a parsed body takes far more space than its text.
fn holds_events(text: &str) -> bool {
    #[derive(Deserialize)]
    struct Several {
        #[serde(default)]
        events: Option<IgnoredAny>,
    }
    text.starts_with('{')
        && match serde_json::from_str::<Several>(text) {
            Ok(several) => several.events.is_some(),
            // Given twice: the caller means several.
            Err(_) => true,
        }
}

/// Splits a call's body into its documents.
fn events_of(body: &RawValue) -> Result<Vec<&RawValue>, Problem> {
    #[derive(Deserialize)]
    struct Several<'a> {
        #[serde(borrow)]
        events: Vec<&'a RawValue>,
    }
    let malformed = |error: serde_json::Error| {
        Problem::invalid(vec![Violation::new("/events", error.to_string())])
    };
    let text = body.get();
    let events = if text.starts_with('[') {
        serde_json::from_str(text).map_err(malformed)?
    } else if holds_events(text) {
        serde_json::from_str::<Several<'_>>(text)
            .map_err(malformed)?
            .events
    } else {
        vec![body]
    };
    if events.is_empty() {
        return Err(Problem::invalid(vec![Violation::new(
            "",
            "must hold at least one event",
        )]));
    }
    if events.len() > MAX_EVENTS {
        let detail = format!("{} events; at most {MAX_EVENTS} in one call", events.len());
        let title = "Too many events in one call";
        return Err(
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-many-events", title).detail(detail),
        );
    }
    Ok(events)
}

/// Returns the contract if only its own function may publish the type.
fn closed<'r>(registry: &'r Registry, event_type: &str) -> Option<&'r ContractInfo> {
    let mut of_type = registry
        .contracts()
        .iter()
        .filter(|one| one.event_type == event_type);
    of_type.find(|one| !one.is_open())
}

fn closed_contract(contract: &ContractInfo) -> Problem {
    let detail = format!(
        "{} is published only by {}: use its endpoints",
        contract.event_type, contract.producer
    );
    Problem::new(
        StatusCode::FORBIDDEN,
        "closed-contract",
        "The event is not open to others",
    )
    .detail(detail)
    .with("producer", contract.producer)
}

fn id_reused() -> Problem {
    let detail = "an event with this id was accepted before, with another type, version or payload; nothing was done";
    Problem::conflict("event-id-reused", "Another event has this id").detail(detail)
}

fn too_large(bytes: usize) -> Problem {
    let detail = format!("the event has {bytes} bytes; at most {MAX_ENVELOPE_BYTES} are allowed");
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "event-too-large",
        "The event is too large",
    )
    .detail(detail)
}

/// Returns the digest that distinguishes an event from another one under the same id.
fn content_of(draft: &Draft) -> String {
    let payload: Value = serde_json::from_str(draft.payload().json()).unwrap_or_default();
    let (event_type, version) = (draft.event_type(), draft.event_version());
    Mark::body_sha256(format!("{event_type}\n{version}\n{payload}").as_bytes())
}
