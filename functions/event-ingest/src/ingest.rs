//! Each event by itself: checked, numbered, committed once.
//!
//! An event's transaction writes its row of the log, the number of its aggregate, the mark of its id and, where it names one, its
//! fact. Events of one aggregate go one after the other as they stand in the batch; different aggregates go at the same time.

use std::{borrow::Cow, collections::BTreeMap};

use api::Problem;
use events::{
    Arrival, Cause, ContractInfo, Draft, EnvelopeError, EventId, Invalid, MAX_ENVELOPE_BYTES,
    Registry, Violation,
    cloudevents::{self, from_cloudevent, is_cloudevent},
};
use futures::{StreamExt as _, stream};
use http::StatusCode;
use outbox::{Answer, BuildError, Decision, Error, Key, Mark, Outbox, Outcome, Table, Transaction};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, Serializer};
use serde_json::{Value, json, value::RawValue};

/// Events of one call: few enough that each gets its own transaction within the function's time.
pub const MAX_EVENTS: usize = 25;

/// Aggregates that are worked on at the same time.
const AT_ONCE: usize = 8;

/// Who the events came from, and what they get where they do not say it.
#[derive(Debug, Clone)]
pub struct Sender {
    /// What the same call sent again has in common with the first: an event without an id gets one made of it. Empty: each
    /// event must bring its own.
    pub repeat_key: Vec<String>,
    /// Chain, trace and metadata.
    pub cause: Cause,
}

/// What became of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum Status {
    /// It stands in the event log.
    Accepted,
    /// It stood there already: its id or its fact is known.
    Duplicate,
    /// It can never be taken: `problem` says why.
    Rejected,
    /// It was not taken this time: send it again.
    Failed,
}

/// What became of one event of a call.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Taken {
    /// What became of it.
    pub status: Status,
    /// Where it stands in the event log; of a duplicate where the first stands.
    #[serde(flatten, skip_serializing_if = "Option::is_none")]
    pub place: Option<Place>,
    /// Why it was not taken, as RFC 9457 says it.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "body_of")]
    #[schemars(with = "Option<Value>")]
    pub problem: Option<Problem>,
}

/// Where an event stands in the event log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(inline)]
pub struct Place {
    /// Its id.
    pub event_id: EventId,
    /// What kind of thing it is about.
    pub aggregate_type: String,
    /// Which of them.
    pub aggregate_id: String,
    /// Its number among that thing's events.
    pub sequence: u64,
}

/// What became of the events of a call, in their order.
#[derive(Debug, Serialize, JsonSchema)]
pub struct Receipt {
    /// One for each event.
    pub items: Vec<Taken>,
}

/// What is remembered of an accepted event, with its mark and with its fact.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct First {
    #[serde(flatten)]
    place: Place,
    /// Of type, version and payload, to tell a repeat from another event under the same id.
    content: String,
}

/// Takes events from outside.
#[derive(Debug)]
pub struct Ingest {
    outbox: Outbox,
    table: Table,
}

impl Ingest {
    /// Over its table.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table) -> Self {
        Self { outbox, table }
    }

    /// Takes the events of a call: one, a list, or `{"events": [...]}`, each an envelope or a CloudEvent. The good ones are
    /// committed, whatever becomes of the others.
    ///
    /// # Errors
    /// 413 when there are more than [`MAX_EVENTS`], 422 when it is none of these.
    pub async fn take(&self, body: &RawValue, sender: &Sender) -> Result<Receipt, Problem> {
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

    /// What can be committed of a document.
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
        let unknown = if is_cloudevent {
            Vec::new()
        } else {
            Registry::unknown_fields(&document)
        };
        if !unknown.is_empty() {
            return Err(Problem::invalid(unknown));
        }
        let arrival = Arrival {
            event_id: sender.event_id(index)?,
            now: self.outbox.clock().now(),
        };
        let draft = registry
            .ingest(&native, &arrival)
            .map_err(|Invalid(mut wrong)| {
                if is_cloudevent {
                    for one in &mut wrong {
                        one.pointer = cloudevents::pointer(&one.pointer);
                    }
                }
                Problem::invalid(wrong)
            })?;
        Ok(sender.signed(draft))
    }

    /// The events of an aggregate, one after the other. Behind one that was not taken this time none is: it would overtake it.
    async fn in_order(&self, drafts: Vec<(usize, Draft)>, sender: &Sender) -> Vec<(usize, Taken)> {
        let mut taken = Vec::with_capacity(drafts.len());
        let mut has_failed = false;
        for (index, draft) in drafts {
            let one = if has_failed {
                let problem = Problem::unavailable();
                Taken::not(
                    Status::Failed,
                    problem.detail("an earlier event of the same aggregate was not taken"),
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
            Err(error) => {
                tracing::error!(error = outbox::chain(&error), "an event was not taken");
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
        let fact = self.fact_of(draft);
        if let Some(fact) = &fact
            && let Some(first) = self.outbox.row::<First>(fact).await?
        {
            return Ok(Decision::Refuse(first));
        }
        let aggregate = draft.aggregate();
        let numbered = self.outbox.load_numbered(&self.table, &aggregate).await?;
        transaction.update(&numbered, &outbox::Numbered {}, vec![draft.clone()])?;
        let Some(envelope) = transaction.events().last() else {
            return Err(Error::Refused("an event was lost on its way".to_owned()));
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
            transaction.insert(fact, &first)?;
        }
        transaction.answer(Answer {
            status: StatusCode::OK.as_u16(),
            body: json!(first),
        });
        Ok(Decision::Commit(transaction, first))
    }

    /// Where the fact stands that an event tells: one of its type and aggregate.
    fn fact_of(&self, draft: &Draft) -> Option<Key> {
        let key = draft.idempotency_key()?;
        let (event_type, aggregate) = (draft.event_type(), draft.aggregate());
        let place = format!("fact#{event_type}#{aggregate}#{key}");
        Some(self.table.key(place, "fact"))
    }
}

impl Sender {
    /// The id of an event that brings none: that of the event in the same place of the same call.
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

    /// The event with what the sender says of itself where the event does not, and with what only we know of the sender.
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

/// The documents of a call.
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
    } else if serde_json::from_str::<Value>(text).is_ok_and(|body| body.get("events").is_some()) {
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
        let told = format!("{} events; at most {MAX_EVENTS} in one call", events.len());
        let title = "Too many events in one call";
        return Err(
            Problem::new(StatusCode::PAYLOAD_TOO_LARGE, "too-many-events", title).detail(told),
        );
    }
    Ok(events)
}

/// The contract of a type that only its own function tells.
fn closed<'r>(registry: &'r Registry, event_type: &str) -> Option<&'r ContractInfo> {
    let mut of_type = registry
        .contracts()
        .iter()
        .filter(|one| one.event_type == event_type);
    of_type.find(|one| !one.is_open())
}

fn closed_contract(contract: &ContractInfo) -> Problem {
    let told = format!(
        "{} is told by {} when it happens: use its endpoints",
        contract.event_type, contract.producer
    );
    Problem::new(
        StatusCode::FORBIDDEN,
        "closed-contract",
        "The event is not open to others",
    )
    .detail(told)
    .with("producer", contract.producer)
}

fn id_reused() -> Problem {
    let told =
        "an event of this id was taken with another type, version or payload; nothing was done";
    Problem::conflict("event-id-reused", "Another event has this id").detail(told)
}

fn too_large(bytes: usize) -> Problem {
    let told = format!("the event has {bytes} bytes; at most {MAX_ENVELOPE_BYTES} are allowed");
    Problem::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "event-too-large",
        "The event is too large",
    )
    .detail(told)
}

/// What tells an event from another one under the same id.
fn content_of(draft: &Draft) -> String {
    let payload: Value = serde_json::from_str(draft.payload().json()).unwrap_or_default();
    let (event_type, version) = (draft.event_type(), draft.event_version());
    Mark::body_sha256(format!("{event_type}\n{version}\n{payload}").as_bytes())
}
