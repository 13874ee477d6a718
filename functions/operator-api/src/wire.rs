//! Request and response bodies.

use std::{collections::BTreeMap, time::Duration};

use api::{CursorToken, PageLimit, TimestampInput};
use consumer::schedule::{Ending, JobState, Lease, RunRecord};
use events::{
    ConsumerName, OperationId, Sequence, Text, Timestamp,
    contracts::operation::{
        LetterCriteria, OperationAct, OperationOutcome, OperationStatus, PatchStep,
        ReplaySelection, RepublishSelection,
    },
};
use evidence::HandledBy;
use letters::{
    Body, ConsumerStatus, Letter, LetterId, Operation,
    listing::Group,
    operation::{FASTEST, Progress},
    pause::Wish,
    republish::OLDER_THAN,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// The rate of an operation that names none, in letters a second.
const RATE: u32 = 10;

/// The rate that is asked for, within what an operation may have.
fn rate(asked: Option<u32>) -> u32 {
    asked.unwrap_or(RATE).clamp(1, FASTEST)
}

/// Which letters are wanted. Only letters that fit every parameter are returned.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct CriteriaQuery {
    /// The consumer that could not handle the event. An unknown one is refused with the nearest known one.
    #[serde(default)]
    pub consumer: Option<Text<256>>,
    /// The event's type.
    #[serde(default)]
    pub event_type: Option<Text<256>>,
    /// Why it is a dead letter: the consumer's reason, `exhausted`, `undelivered` or `unknown`.
    #[serde(default)]
    pub reason: Option<Text<256>>,
    /// The group's `signature_id`.
    #[serde(default)]
    pub signature: Option<Text<256>>,
    /// The type of the aggregate that the event is about.
    #[serde(default)]
    pub aggregate_type: Option<Text<256>>,
    /// The id of the aggregate that the event is about.
    #[serde(default)]
    pub aggregate_id: Option<Text<256>>,
    /// The event's tenant.
    #[serde(default)]
    pub tenant: Option<Text<256>>,
    /// `open`, `redriving`, `failed_again`, `handled`, `discarded`; `unresolved` (the first three; the default) or
    /// `resolved`.
    #[serde(default)]
    pub state: Option<Text<256>>,
    /// Only letters parked at this time or day or later.
    #[serde(default)]
    pub from: Option<TimestampInput>,
    /// Only letters parked before this time or day.
    #[serde(default)]
    pub to: Option<TimestampInput>,
    /// A text in the error, an id or the type, in upper or lower case.
    #[serde(default)]
    pub q: Option<Text<256>>,
}

impl CriteriaQuery {
    /// The criteria.
    #[must_use]
    pub fn criteria(self) -> LetterCriteria {
        LetterCriteria {
            consumer: self.consumer,
            event_type: self.event_type,
            reason: self.reason,
            signature: self.signature,
            aggregate_type: self.aggregate_type,
            aggregate_id: self.aggregate_id,
            tenant: self.tenant,
            state: self.state,
            from: self.from.map(TimestampInput::timestamp),
            to: self.to.map(TimestampInput::timestamp),
            q: self.q,
        }
    }
}

/// The query of a list of letters.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct LettersQuery {
    /// Which letters are wanted.
    #[serde(flatten)]
    pub wanted: CriteriaQuery,
    /// The maximum number of items.
    #[serde(default)]
    pub limit: PageLimit,
    /// The `next_cursor` of the page before.
    #[serde(default)]
    pub cursor: Option<CursorToken>,
}

/// A page of letters.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LettersPage {
    /// The letters, last parked first. There can be fewer than asked for, or none, before the last page.
    pub items: Vec<Letter>,
    /// The cursor of the next page; null after the last page.
    pub next_cursor: Option<CursorToken>,
}

/// The groups of letters.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct GroupsAnswer {
    /// The groups, the largest first.
    pub items: Vec<Group>,
    /// Whether there are more letters than the 10,000 that were looked at.
    pub truncated: bool,
}

/// The path parameter of a letter.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct LetterPath {
    /// The letter's id.
    pub letter_id: LetterId,
}

/// The path parameter of a group.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct GroupPath {
    /// The group's id: 16 hexadecimal digits.
    #[schemars(regex(pattern = r"^[0-9a-f]{16}$"), extend("x-expected" = "16 lower-case hexadecimal digits"))]
    pub signature_id: String,
}

/// The path parameter of an operation.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct OperationPath {
    /// The operation's id.
    pub operation_id: OperationId,
}

/// A letter with its body and what its event's consumers did.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct LetterAnswer {
    /// The letter.
    #[serde(flatten)]
    pub letter: Letter,
    /// The body of its last message; null if it has expired.
    pub message: Option<Body>,
    /// The progress of each consumer of the event, by its own evidence; empty if the body is no event.
    pub handled_by: Vec<HandledBy>,
}

/// A note about a group.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct NoteRequest {
    /// The note. It replaces the one before.
    pub note: Text<1000>,
}

/// The note of a group.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct NoteAnswer {
    /// The group.
    pub signature_id: String,
    /// When it was written.
    pub at: Timestamp,
}

/// Begin an operation over letters: those that are named, or those that fit a filter now.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct OperationRequest {
    /// What to do to each letter.
    pub act: OperationAct,
    /// The letters. Either these or a filter.
    #[serde(default)]
    #[schemars(length(min = 1, max = 5000))]
    pub letters: Option<Vec<LetterId>>,
    /// The letters that fit every criterion now. Only unresolved letters fit.
    #[serde(default)]
    pub filter: Option<LetterCriteria>,
    /// Why.
    pub reason: Text<500>,
    /// How many letters to send in a second at most, 1 to 100; 10 if absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    pub rate_per_second: Option<u32>,
    /// The largest number of letters. If more fit, nothing is begun.
    #[serde(default)]
    #[schemars(range(min = 1, max = 10000))]
    pub cap: Option<u32>,
    /// Whether the first letter must be handled before the others are sent. If it fails again, the operation pauses.
    #[serde(default)]
    pub canary: bool,
    /// Only tells what would be begun.
    #[serde(default)]
    pub preview: bool,
}

impl OperationRequest {
    /// How many letters to send in a second at most.
    #[must_use]
    pub fn rate(&self) -> u32 {
        rate(self.rate_per_second)
    }
}

/// Begin a replay: send events of the event log to one consumer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ReplayRequest {
    /// The consumer that gets them, and no other. An unknown one is refused with the nearest that is deployed.
    pub consumer: ConsumerName,
    /// The type of the aggregate that they are about; together with its id.
    #[serde(default)]
    pub aggregate_type: Option<Text<256>>,
    /// The id of the aggregate that they are about.
    #[serde(default)]
    pub aggregate_id: Option<Text<1024>>,
    /// Their types. One that the consumer does not listen to is refused.
    #[serde(default)]
    #[schemars(length(min = 1, max = 100))]
    pub event_types: Option<Vec<Text<256>>>,
    /// Only events committed at this time or later.
    #[serde(default)]
    pub from: Option<Timestamp>,
    /// Only events committed before this time; if absent or in the future, before now.
    #[serde(default)]
    pub to: Option<Timestamp>,
    /// All that was before the consumer began, which is when the first of its lanes was created. To a consumer by mark it is
    /// sent once. Without any other choice.
    #[serde(default)]
    pub before_it_began: bool,
    /// Why.
    pub reason: Text<500>,
    /// How many events to send in a second at most, 1 to 100; 10 if absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    pub rate_per_second: Option<u32>,
    /// Only tells what would be begun.
    #[serde(default)]
    pub preview: bool,
}

impl ReplayRequest {
    /// How many events to send in a second at most.
    #[must_use]
    pub fn rate(&self) -> u32 {
        rate(self.rate_per_second)
    }
}

/// A replay that was begun.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ReplayAnswer {
    /// The operation.
    pub operation_id: OperationId,
    /// Which events it sends, to which consumer.
    pub replay: Option<ReplaySelection>,
    /// How many events it sends; 0 if that is not known.
    pub count: u32,
    /// Its status.
    pub status: OperationStatus,
}

impl ReplayAnswer {
    pub(crate) fn of(operation: &Operation) -> Self {
        Self {
            operation_id: operation.operation_id(),
            replay: operation.replay().cloned(),
            count: operation.count(),
            status: operation.status(),
        }
    }
}

/// Begin a republication: publish the events of the event log that are still pending.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct RepublishRequest {
    /// Only events committed at least so many seconds ago; 86,400, which is a day, if absent. Younger ones still come by the
    /// stream, unless that is known to be off.
    #[serde(default)]
    #[schemars(range(max = 31_622_400))]
    pub older_than_seconds: Option<u32>,
    /// Also those that the bus had refused for good: once the cause is mended.
    #[serde(default)]
    pub include_failed: bool,
    /// The largest number of events to publish, after a crash at most a page more; all if absent.
    #[serde(default)]
    #[schemars(range(min = 1))]
    pub limit: Option<u32>,
    /// Why.
    pub reason: Text<500>,
    /// How many events to publish in a second at most, 1 to 100; 10 if absent.
    #[serde(default)]
    #[schemars(range(min = 1, max = 100))]
    pub rate_per_second: Option<u32>,
    /// Only tells what would be begun.
    #[serde(default)]
    pub preview: bool,
}

impl RepublishRequest {
    /// How many events to publish in a second at most.
    #[must_use]
    pub fn rate(&self) -> u32 {
        rate(self.rate_per_second)
    }

    /// How old an event must be at least.
    #[must_use]
    pub fn older_than(&self) -> Duration {
        let given = self.older_than_seconds.map(u64::from);
        given.map_or(OLDER_THAN, Duration::from_secs)
    }
}

/// A republication that was begun.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RepublishAnswer {
    /// The operation.
    pub operation_id: OperationId,
    /// Which events it publishes.
    pub republish: Option<RepublishSelection>,
    /// Its status.
    pub status: OperationStatus,
}

impl RepublishAnswer {
    pub(crate) fn of(operation: &Operation) -> Self {
        Self {
            operation_id: operation.operation_id(),
            republish: operation.republish(),
            status: operation.status(),
        }
    }
}

/// What a republication would do. How many events are pending is not known before the log is read.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct RepublishPreview {
    /// Which events it would publish.
    pub republish: RepublishSelection,
    /// How long it takes at least, in seconds; null with a limit, or if the log's size is not known.
    pub seconds_at_least: Option<u64>,
    /// How many rows the event log has, as DynamoDB counted them within the last six hours.
    pub log_rows: Option<u64>,
    /// How many bytes the event log has, by the same count.
    pub log_bytes: Option<u64>,
    /// How many read units a walk over the whole log takes. Where most rows are pending, up to twice as many.
    pub read_units: Option<u64>,
}

/// How the events of a replay were counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
#[schemars(inline)]
pub enum CountedBy {
    /// By reading the aggregate. The number is exact.
    EventLog,
    /// By the counts over time that `analytics` keeps, in whole hours or days of `occurred_at`. The number is about right, and
    /// contains what is too old.
    Analytics,
    /// They are not counted: no count covers them.
    Nothing,
}

/// What a replay would do.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ReplayPreview {
    /// The consumer.
    pub consumer: ConsumerName,
    /// Events committed before this time would be sent.
    pub to: Timestamp,
    /// When the consumer began, which is when the first of its lanes was created; null if that does not matter.
    pub began: Option<Timestamp>,
    /// Whether it would go on where a cancelled replay stopped.
    pub goes_on: bool,
    /// How many events it would send; null if that is not known.
    pub count: Option<u64>,
    /// How they were counted.
    pub counted_by: CountedBy,
    /// How many events fit and are none that the consumer listens to; null if not counted by the event log.
    pub passed_over: Option<u32>,
    /// How many events fit and are too old; null if not counted by the event log.
    pub too_old: Option<u32>,
    /// How long it would take at least, in seconds: for sending at its rate, and for reading 200 rows in a second. Null if
    /// neither is known.
    pub seconds_at_least: Option<u64>,
    /// How many rows of the event log would be read: all of them. Null for an aggregate, which is read alone, or if not known.
    /// DynamoDB counts rows and bytes about every six hours.
    pub log_rows: Option<u64>,
    /// How many bytes these are.
    pub log_bytes: Option<u64>,
    /// How many read units that costs.
    pub read_units: Option<u64>,
}

/// Put another message in the place of a letter's.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct EditRequest {
    /// The edited message: a whole envelope.
    #[schemars(with = "BTreeMap<String, Value>")]
    pub message: Value,
    /// Why.
    pub reason: Text<500>,
}

/// A letter after an edit.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct EditAnswer {
    /// The letter that the edited message goes on as: another one, if the edited event has another id.
    pub letter_id: LetterId,
    /// The operation that tells of the edit.
    pub operation_id: OperationId,
    /// What was changed (RFC 6902).
    pub patch: Vec<PatchStep>,
}

/// An operation after a command.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OperationAnswer {
    /// The operation.
    pub operation_id: OperationId,
    /// What it does to each of its letters.
    pub act: OperationAct,
    /// How many letters it is about.
    pub count: u32,
    /// Its status.
    pub status: OperationStatus,
}

impl OperationAnswer {
    pub(crate) fn of(operation: &Operation) -> Self {
        Self {
            operation_id: operation.operation_id(),
            act: operation.act(),
            count: operation.count(),
            status: operation.status(),
        }
    }
}

/// What an operation would be about.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PreviewAnswer {
    /// How many letters.
    pub count: usize,
    /// The first five letters, in the order in which they would be taken.
    pub sample: Vec<Letter>,
    /// How many of them would be skipped: a letter without an event id cannot be sent.
    pub skipped: usize,
    /// The first letter that is in an unfinished operation, for which nothing would be begun; null if there is none.
    pub conflict: Option<Conflict>,
}

/// A letter in an operation that is not finished.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct Conflict {
    /// The letter.
    pub letter_id: LetterId,
    /// The operation.
    pub operation_id: OperationId,
}

/// Pause, resume or cancel an operation.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ChangeRequest {
    /// Why.
    pub reason: Text<500>,
}

/// An operation and how far it has got.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct OperationView {
    /// The operation.
    #[serde(flatten)]
    pub operation: Operation,
    /// How far it has got.
    pub progress: ProgressView,
    /// Its version.
    pub version: Sequence,
}

/// How far an operation has got.
#[derive(Debug, Clone, Default, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct ProgressView {
    /// How its letters have ended so far.
    pub counts: OperationOutcome,
    /// How many letters it has not looked at yet. Of a replay: how many events it has not sent; 0 if that is not known.
    pub left: u32,
    /// How many letters wait for one of their aggregate.
    pub waiting: usize,
    /// How many letters it has taken that are not decided yet.
    pub in_flight: usize,
    /// Whether the first letter was handled, if that was asked for.
    pub canary_passed: bool,
    /// How many rows of the event log it has read, if it is about that.
    pub rows_read: u64,
}

impl ProgressView {
    pub(crate) fn of(operation: &Operation, progress: &Progress) -> Self {
        Self {
            counts: progress.counts,
            left: if operation.replay().is_some() {
                operation.count().saturating_sub(progress.counts.sent)
            } else {
                operation.count().saturating_sub(progress.position)
            },
            waiting: progress.waiting.len(),
            in_flight: progress.in_flight.len(),
            canary_passed: progress.canary_passed,
            rows_read: progress.replay.as_ref().map_or(0, |replay| replay.rows),
        }
    }
}

/// The path parameter of a consumer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct ConsumerPath {
    /// The consumer's name.
    pub name: ConsumerName,
}

/// The consumers.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct ConsumersAnswer {
    /// The deployed consumers by name, and those that were paused and then removed.
    pub items: Vec<ConsumerView>,
}

/// A consumer.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct ConsumerView {
    /// Its name.
    pub consumer: String,
    /// Its lanes: `express`, `standard` or both; none if it is not deployed.
    pub lanes: Vec<String>,
    /// Since when it is paused, by whom and why; null if it is running.
    pub paused: Option<PausedView>,
}

/// Since when a consumer is paused, by whom and why.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct PausedView {
    /// Since when.
    pub since: Timestamp,
    /// Why.
    pub reason: Text<500>,
    /// The user for whom it was paused; null if the caller named none.
    pub actor: Option<Text<256>>,
    /// The owner of the API key with which it was paused.
    pub key_owner: Text<256>,
}

impl PausedView {
    pub(crate) fn of(wish: Wish) -> Self {
        Self {
            since: wish.since,
            reason: wish.reason,
            actor: wish.actor,
            key_owner: wish.key_owner,
        }
    }
}

/// Pause or resume a consumer.
#[derive(Debug, Clone, Deserialize, JsonSchema)]
pub struct PauseRequest {
    /// Why.
    pub reason: Text<500>,
}

/// What a request changed: the part of its answer that is stored for repeats.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct PauseStep {
    /// The consumer.
    pub consumer: ConsumerName,
    /// Its status.
    pub status: ConsumerStatus,
    /// Since when it has it.
    pub since: Timestamp,
}

/// A consumer after it was paused or resumed.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct PauseAnswer {
    /// The consumer.
    pub consumer: ConsumerName,
    /// Its status.
    pub status: ConsumerStatus,
    /// Since when it has it.
    pub since: Timestamp,
    /// Whether Lambda has accepted it, and takes up to a minute to do it. If not, it is tried again within a minute, until it
    /// is accepted. A repeat of the request answers for the present status.
    pub applied: bool,
    /// What else the caller must know; null if there is nothing.
    pub note: Option<String>,
}

/// The scheduled jobs.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct JobsAnswer {
    /// Those that are deployed, by name.
    pub jobs: Vec<JobView>,
}

/// A scheduled job.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct JobView {
    /// Its name.
    pub job: String,
    /// What it looks for.
    pub looks_for: String,
    /// What it is at.
    pub state: JobState,
    /// Which run may work, and how far its pass has got; null if the job never ran or never had anything to do.
    pub lease: Option<LeaseView>,
    /// Its last runs, newest first, at most 10. A run that found nothing to do is not here if the job could tell before it began.
    pub runs: Vec<RunView>,
}

/// Which run may work, and how far its pass has got.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct LeaseView {
    /// The number of the run that took the lease last.
    pub fence: u64,
    /// No other run takes over before this time.
    pub held_until: Timestamp,
    /// When the pass began.
    pub pass_started_at: Timestamp,
    /// The next page of the pass, from 0.
    pub page: u64,
    /// What the pass has done so far.
    pub counts: BTreeMap<String, u64>,
}

/// A run of a job.
#[derive(Debug, Clone, Serialize, JsonSchema)]
#[schemars(inline)]
pub struct RunView {
    /// The number of the run.
    pub fence: u64,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended; null if it is under way, was killed or lost its lease.
    pub ended_at: Option<Timestamp>,
    /// How it ended; null like `ended_at`.
    pub outcome: Option<Ending>,
    /// How many pages it committed.
    pub pages: u64,
    /// What its pages did.
    pub counts: BTreeMap<String, u64>,
    /// Why it failed; null if it did not.
    pub error: Option<String>,
    /// What the operator should know of its pages.
    pub notes: Vec<String>,
    /// How many more notes there were.
    pub notes_left_out: u64,
}

impl From<Lease> for LeaseView {
    fn from(lease: Lease) -> Self {
        Self {
            fence: lease.fence,
            held_until: lease.held_until,
            pass_started_at: lease.pass_started_at,
            page: lease.page,
            counts: lease.counts,
        }
    }
}

impl From<RunRecord> for RunView {
    fn from(run: RunRecord) -> Self {
        Self {
            fence: run.fence,
            started_at: run.started_at,
            ended_at: run.ended_at,
            outcome: run.outcome,
            pages: run.pages,
            counts: run.counts,
            error: run.error,
            notes: run.notes,
            notes_left_out: run.notes_left_out,
        }
    }
}
