//! `millrace operations`: the operations over dead letters, which `letters redrive` and `letters discard` begin, replays and
//! republications.

mod republish;

use std::{cell::RefCell, time::Duration};

use clap::{Args, Subcommand};
use events::{
    OperationId, Timestamp,
    contracts::operation::{OperationAct, OperationOutcome, ReplaySelection, RepublishSelection},
};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};

use crate::{
    output::{self, CliError, aligned},
    stack_api::{Actor, ApiPlace, CallError, StackApi, clean},
};

/// The path of the operations.
pub(crate) const OPERATIONS: &str = "/api/v1/letters/operations";

const REDRIVE: &str = OperationAct::Redrive.as_str();
const DISCARD: &str = OperationAct::Discard.as_str();
const REPLAY: &str = OperationAct::Replay.as_str();
const REPUBLISH: &str = OperationAct::Republish.as_str();

/// How often an operation is looked at.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// Operations over dead letters, replays and republications: list them, watch one, pause, resume or cancel it
///
/// `millrace letters redrive` and `discard`, `millrace replay` and `millrace operations republish` begin them, and a scheduled
/// job carries them out. The verbs call the stack's
/// API and need an API key with the scope letters:read, or letters:write to change one, in API_KEY.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the operations, newest first
    #[command(after_help = "Example:\n  millrace operations list --limit 5")]
    List(ListArguments),
    /// Show an operation and how far it has got
    #[command(after_help = "Examples:\n  \
        millrace operations show 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b\n  \
        millrace operations show 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b --watch")]
    Show(ShowArguments),
    /// Pause an operation: it takes no further letter. What it has sent is not called back
    #[command(
        after_help = "Example:\n  millrace operations pause 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b --reason 'the partner is down'"
    )]
    Pause(ChangeArguments),
    /// Resume an operation
    #[command(
        after_help = "Example:\n  millrace operations resume 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b --reason 'the partner is back'"
    )]
    Resume(ChangeArguments),
    /// Cancel an operation: it gives back all of its letters. What it has sent can still be handled
    #[command(
        after_help = "Example:\n  millrace operations cancel 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b --reason 'the wrong letters'"
    )]
    Cancel(ChangeArguments),
    /// Publish the events that are still pending, by the stack's own job
    Republish(republish::Arguments),
}

/// How an operation is begun: after a look at what it would do, and a question.
#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Manner {
    /// Only show what would be begun
    #[arg(long, conflicts_with_all = ["wait", "yes"])]
    dry_run: bool,
    /// Do not ask. Without a terminal this is required
    #[arg(long)]
    yes: bool,
    /// Wait until the operation is finished or paused, and show how far it has got
    #[arg(long)]
    wait: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

impl Manner {
    fn must_ask(self) -> bool {
        !self.yes && !self.dry_run
    }

    /// Fails if it has to ask and has no terminal to ask on.
    ///
    /// # Errors
    /// That there is no terminal.
    pub(crate) fn can_ask(self) -> Result<(), CliError> {
        if self.must_ask() {
            output::must_be_able_to_ask()?;
        }
        Ok(())
    }

    /// Shows what would be begun, and asks. `None` if that was all that is wanted.
    ///
    /// # Errors
    /// [`CallError`]; what `question` finds against it; that the answer is no.
    pub(crate) async fn look<P: DeserializeOwned>(
        self,
        api: &StackApi,
        path: &str,
        request: &Value,
        text: impl FnOnce(&P) -> String,
        question: impl FnOnce(&P) -> Result<String, CliError>,
    ) -> Result<Option<P>, CliError> {
        let mut asked = request.clone();
        asked["preview"] = true.into();
        let answer = api.command(path, &asked).await?;
        if self.dry_run && self.json {
            output::result(&answer)?;
            return Ok(None);
        }
        let preview = api.read(answer)?;
        let shown = text(&preview);
        if self.dry_run {
            output::text(&shown)?;
            return Ok(None);
        }
        output::note(shown.trim_end());
        let question = question(&preview)?;
        if self.must_ask() && !output::confirmed(&question)? {
            return Err("nothing was begun".into());
        }
        Ok(Some(preview))
    }
}

/// How an operation about the event log is begun.
#[derive(Debug, Args)]
pub(crate) struct Walk {
    /// Why you do this. It is recorded
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// How many events to send in a second at most, 1 to 100. Default: 10
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    rate: Option<u32>,
    #[command(flatten)]
    manner: Manner,
}

impl Walk {
    /// What every such request has, without `preview`.
    pub(crate) fn request(&self) -> Value {
        let mut request = json!({ "reason": self.reason });
        if let Some(rate) = self.rate {
            request["rate_per_second"] = rate.into();
        }
        request
    }

    /// Shows what would be begun, asks, and begins it.
    ///
    /// # Errors
    /// As [`Manner::can_ask`], [`Manner::look`], [`begin`] and [`follow`].
    pub(crate) async fn begin<P: DeserializeOwned>(
        self,
        by: Actor,
        path: &str,
        request: &Value,
        question: &str,
        text: fn(&P) -> String,
    ) -> Result<(), CliError> {
        let manner = self.manner;
        manner.can_ask()?;
        let api = StackApi::open_for(by).await?;
        let question = |_: &P| Ok(question.to_owned());
        let looked = manner.look(&api, path, request, text, question).await?;
        if looked.is_none() {
            return Ok(());
        }
        let begun = begin(&api, path, request).await?;
        begun.tell(&api, manner).await
    }
}

/// What reading the event log for an operation takes, as far as it is known.
#[derive(Debug, Deserialize)]
pub(crate) struct Reading {
    seconds_at_least: Option<u64>,
    log_rows: Option<u64>,
    log_bytes: Option<u64>,
    read_units: Option<u64>,
}

impl Reading {
    /// As lines of a preview. `what` is what it would read.
    pub(crate) fn lines(&self, what: &str) -> Vec<String> {
        let seconds = self.seconds_at_least;
        let seconds = seconds.map(|seconds| format!("it would take {seconds} s at least"));
        let log = self.log_rows.zip(self.log_bytes).zip(self.read_units);
        let log = log.map(|((rows, bytes), units)| {
            format!("it would read {what}: {rows} rows, {bytes} bytes, {units} read units (as of up to six hours ago)")
        });
        seconds.into_iter().chain(log).collect()
    }
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    api: ApiPlace,
    /// How many at most, 1 to 1000
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    limit: u16,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArguments {
    #[command(flatten)]
    api: ApiPlace,
    /// The operation's id
    operation_id: OperationId,
    /// Show how far it has got until it is finished or paused
    #[arg(long)]
    watch: bool,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ChangeArguments {
    #[command(flatten)]
    by: Actor,
    /// The operation's id
    operation_id: OperationId,
    /// Why you do this. It is recorded
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// An operation, as far as its text needs it.
#[derive(Debug, Clone, Deserialize)]
struct Operation {
    operation_id: OperationId,
    act: String,
    status: String,
    count: u64,
    selection: Option<Map<String, Value>>,
    replay: Option<ReplaySelection>,
    republish: Option<RepublishSelection>,
    cap: Option<u64>,
    rate_per_second: u64,
    canary: bool,
    reason: String,
    actor: Option<String>,
    key_owner: String,
    status_reason: Option<String>,
    begun_at: Timestamp,
    changed_at: Timestamp,
    progress: Progress,
}

#[derive(Debug, Clone, Deserialize)]
struct Progress {
    counts: OperationOutcome,
    left: u64,
    waiting: u64,
    in_flight: u64,
    canary_passed: bool,
    #[serde(default)]
    rows_read: u64,
}

pub(crate) async fn run(command: Command) -> Result<(), CliError> {
    match command {
        Command::List(arguments) => list(arguments).await,
        Command::Show(arguments) => show(arguments).await,
        Command::Pause(arguments) => change("pause", arguments).await,
        Command::Resume(arguments) => change("resume", arguments).await,
        Command::Cancel(arguments) => change("cancel", arguments).await,
        Command::Republish(arguments) => republish::run(arguments).await,
    }
}

/// An operation that was begun.
#[derive(Debug)]
pub(crate) struct Begun {
    id: OperationId,
    /// How many letters it is about.
    pub(crate) count: Option<u64>,
    answer: Value,
}

/// Begins an operation.
///
/// # Errors
/// [`CallError`]. If it may have begun all the same, a note says how to look.
pub(crate) async fn begin(api: &StackApi, path: &str, request: &Value) -> Result<Begun, CallError> {
    #[derive(Deserialize)]
    struct Answer {
        operation_id: OperationId,
        count: Option<u64>,
    }
    let answer = api.command(path, request).await.inspect_err(|lost| {
        if lost.may_be_done() {
            output::note(
                "millrace: it may have begun all the same: `millrace operations list` shows it",
            );
        }
    })?;
    let begun: Answer = api.read(answer.clone())?;
    Ok(Begun {
        id: begun.operation_id,
        count: begun.count,
        answer,
    })
}

impl Begun {
    /// Prints the operation, and follows it if asked to.
    ///
    /// # Errors
    /// As [`follow`].
    pub(crate) async fn tell(self, api: &StackApi, manner: Manner) -> Result<(), CliError> {
        let Manner { wait, json, .. } = manner;
        let id = self.id;
        if !json {
            output::text(&format!("{id}\n"))?;
        }
        if wait {
            return follow(api, id, json).await;
        }
        output::note(&format!(
            "millrace: begun. To look at it: millrace operations show {id} --watch"
        ));
        if json {
            output::result(&self.answer)?;
        }
        Ok(())
    }
}

async fn list(arguments: ListArguments) -> Result<(), CliError> {
    let api = StackApi::open(arguments.api).await?;
    let (items, more) = api.list(OPERATIONS, &[], arguments.limit.into()).await?;
    if arguments.json {
        return output::result(&json!({ "items": items, "more": more }));
    }
    let operations: Vec<Operation> = api.read(items.into())?;
    output::text(&listed(&operations, more))
}

async fn show(arguments: ShowArguments) -> Result<(), CliError> {
    let api = StackApi::open(arguments.api).await?;
    if arguments.watch {
        return follow(&api, arguments.operation_id, arguments.json).await;
    }
    let answer = look(&api, arguments.operation_id).await?;
    print(&api, answer, arguments.json)
}

async fn change(step: &str, arguments: ChangeArguments) -> Result<(), CliError> {
    let id = arguments.operation_id;
    let api = StackApi::open_for(arguments.by).await?;
    let path = format!("{OPERATIONS}/{id}/{step}");
    let answer = api
        .command(&path, &json!({ "reason": arguments.reason }))
        .await?;
    if arguments.json {
        return output::result(&answer);
    }
    let status = answer["status"].as_str().unwrap_or_default();
    output::text(&format!("{id}: {}\n", clean(status)))
}

async fn look(api: &StackApi, id: OperationId) -> Result<Value, CliError> {
    Ok(api.get(&format!("{OPERATIONS}/{id}"), &[]).await?)
}

fn print(api: &StackApi, answer: Value, json: bool) -> Result<(), CliError> {
    if json {
        return output::result(&answer);
    }
    let operation: Operation = api.read(answer)?;
    output::text(&text(&operation))
}

/// Why an operation was not followed to a good end.
#[derive(Debug, thiserror::Error)]
enum NotDone {
    #[error(
        "operation {0} goes on without this command. To look at it: millrace operations show {0} --watch. \
         To end it: millrace operations cancel {0} --reason <text>"
    )]
    GoesOn(OperationId),
    #[error(
        "operation {id} is paused ({why}). To go on: millrace operations resume {id} --reason <text>. \
         To end it: millrace operations cancel {id} --reason <text>"
    )]
    Paused { id: OperationId, why: String },
    #[error(
        "operation {id} is finished, but of its {count} letters {failed_again} failed again and {skipped} were left alone: \
         millrace letters list shows the unresolved ones"
    )]
    Incomplete {
        id: OperationId,
        count: u64,
        failed_again: u64,
        skipped: u64,
    },
    #[error(
        "replay {id} is finished, but {too_old} events were too old for the consumer to tell them from repeats, and were not sent"
    )]
    TooOld { id: OperationId, too_old: u32 },
    #[error(
        "operation {id} is finished, but the bus refused {refused} events for good: their rows of the event log have the reason. \
         Once the cause is mended: millrace operations republish --include-failed --reason <text>"
    )]
    Refused { id: OperationId, refused: u32 },
}

/// Looks at an operation until it is finished or paused. How far it has got goes to standard error; at the end the
/// operation is printed.
///
/// # Errors
/// [`CallError`](crate::stack_api::CallError); if it does not end with all letters handled or discarded; if it is
/// interrupted.
pub(crate) async fn follow(api: &StackApi, id: OperationId, json: bool) -> Result<(), CliError> {
    let seen = RefCell::new(None);
    let ended = tokio::select! {
        // The signal is listened to before the first look.
        biased;
        interrupted = tokio::signal::ctrl_c() => interrupted.map(|()| None).map_err(CliError::from),
        ended = until_it_rests(api, id, &seen) => ended.map(Some),
    };
    let operation = match ended {
        Ok(Some(operation)) => operation,
        Ok(None) => {
            if let Some(answer) = seen.take().filter(|_| json) {
                output::result(&answer)?;
            }
            return Err(NotDone::GoesOn(id).into());
        }
        Err(error) => {
            output::note(&format!("millrace: {}", NotDone::GoesOn(id)));
            return Err(error);
        }
    };
    if let Some(answer) = seen.take() {
        print(api, answer, json)?;
    }
    match hindered(&operation) {
        None => Ok(()),
        Some(why) => Err(why.into()),
    }
}

/// Looks at an operation until it is finished or paused.
async fn until_it_rests(
    api: &StackApi,
    id: OperationId,
    seen: &RefCell<Option<Value>>,
) -> Result<Operation, CliError> {
    let mut told = String::new();
    loop {
        let answer = look(api, id).await?;
        let operation: Operation = api.read(answer.clone())?;
        *seen.borrow_mut() = Some(answer);
        let line = progress(&operation);
        if line != told {
            output::note(&line);
            told = line;
        }
        if ["finished", "paused"].contains(&operation.status.as_str()) {
            return Ok(operation);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// A number of letters.
pub(crate) fn letters(count: u64) -> String {
    match count {
        1 => "1 letter".to_owned(),
        count => format!("{count} letters"),
    }
}

/// Why an operation that rests is not done. `None` if each of its letters was handled or discarded.
fn hindered(operation: &Operation) -> Option<NotDone> {
    let id = operation.operation_id;
    if operation.status == "paused" {
        let why = clean(operation.status_reason.as_deref().unwrap_or("no reason"));
        return Some(NotDone::Paused { id, why });
    }
    let counts = operation.progress.counts;
    if operation.act == REPLAY && counts.too_old > 0 {
        let too_old = counts.too_old;
        return Some(NotDone::TooOld { id, too_old });
    }
    if operation.act == REPUBLISH && counts.refused > 0 {
        let refused = counts.refused;
        return Some(NotDone::Refused { id, refused });
    }
    // Another act, as of a newer stack, has nothing to count.
    if ![REDRIVE, DISCARD].contains(&operation.act.as_str()) {
        return None;
    }
    let done = u64::from(counts.handled) + u64::from(counts.discarded);
    (done < operation.count).then(|| NotDone::Incomplete {
        id,
        count: operation.count,
        failed_again: counts.failed_again.into(),
        skipped: counts.skipped.into(),
    })
}

/// How far an operation has got, on one line.
fn progress(operation: &Operation) -> String {
    let Progress {
        counts,
        left,
        waiting,
        in_flight,
        canary_passed,
        rows_read,
    } = &operation.progress;
    let (status, count) = (clean(&operation.status), operation.count);
    let done = match operation.act.as_str() {
        REDRIVE => format!(
            "{} of {count} handled, {} failed again",
            counts.handled, counts.failed_again
        ),
        DISCARD => format!("{} of {count} discarded", counts.discarded),
        REPLAY => {
            let of = if count == 0 {
                String::new()
            } else {
                format!(" of {count}")
            };
            return format!(
                "{status}: {}{of} sent, {} passed over, {} too old; {rows_read} rows read",
                counts.sent, counts.passed_over, counts.too_old
            );
        }
        REPUBLISH => {
            return format!(
                "{status}: {} published, {} refused for good, {} refused before and left alone, {} that cannot be read; {rows_read} rows read",
                counts.sent, counts.refused, counts.left_failed, counts.skipped
            );
        }
        _ => return format!("{status}: {}", letters(count)),
    };
    let mut line = format!("{status}: {done}, {} left alone", counts.skipped);
    if left + waiting + in_flight > 0 {
        line.push_str(&format!(
            "; {in_flight} under way, {waiting} behind another of their aggregate, {left} not looked at yet"
        ));
    }
    if operation.canary && !canary_passed && operation.act == REDRIVE {
        line.push_str("; the first letter is not handled yet");
    }
    line
}

/// An operation as text.
fn text(operation: &Operation) -> String {
    let mut lines: Vec<[String; 2]> = Vec::new();
    let mut line = |name: &str, value: String| lines.push([name.to_owned(), value]);
    line("operation", operation.operation_id.to_string());
    line("act", clean(&operation.act));
    line("progress", progress(operation));
    match (&operation.replay, operation.republish) {
        (Some(replay), _) => line("events", replayed(replay)),
        (None, Some(republish)) => line("events", republish::words(republish)),
        (None, None) => line("letters", selected(operation)),
    }
    line("reason", clean(&operation.reason));
    line("by", by(operation));
    let canary = if operation.canary {
        ", the first one alone"
    } else {
        ""
    };
    line(
        "rate",
        format!("{} a second{canary}", operation.rate_per_second),
    );
    if let Some(cap) = operation.cap {
        line("cap", cap.to_string());
    }
    line("begun", operation.begun_at.to_string());
    let why = operation.status_reason.as_deref();
    let why = why.map_or_else(String::new, |why| format!(" ({})", clean(why)));
    line("changed", format!("{}{why}", operation.changed_at));
    aligned(&lines)
}

/// How many letters it has, and how they were chosen.
fn selected(operation: &Operation) -> String {
    let count = operation.count;
    let criterion = |(name, value): (&String, &Value)| {
        format!("{name}={}", clean(value.as_str().unwrap_or_default()))
    };
    match &operation.selection {
        None => format!("{count}, named one by one"),
        Some(criteria) if criteria.is_empty() => format!("{count}, all that were unresolved"),
        Some(criteria) => {
            let criteria: Vec<String> = criteria.iter().map(criterion).collect();
            format!("{count}, by {}", criteria.join(" "))
        }
    }
}

/// Which events a replay sends, and to whom.
fn replayed(replay: &ReplaySelection) -> String {
    let mut words = vec![format!("to {}", replay.consumer)];
    if let Some((kind, id)) = replay
        .aggregate_type
        .as_ref()
        .zip(replay.aggregate_id.as_ref())
    {
        words.push(format!(
            "of {}/{}",
            clean(kind.as_str()),
            clean(id.as_str())
        ));
    }
    let types = replay.event_types.iter().flatten();
    let types: Vec<String> = types.map(|one| clean(one.as_str())).collect();
    if !types.is_empty() {
        words.push(types.join(", "));
    }
    if let Some(from) = replay.from {
        words.push(format!("committed from {from}"));
    }
    words.push(format!("committed before {}", replay.to));
    if replay.before_it_began.is_some() {
        words.push("which is all before it began".to_owned());
    }
    words.join(", ")
}

fn by(operation: &Operation) -> String {
    let owner = clean(&operation.key_owner);
    match &operation.actor {
        Some(actor) => format!("{} (key of {owner})", clean(actor)),
        None => format!("key of {owner}"),
    }
}

/// A list of operations, and what it leaves out.
fn listed(operations: &[Operation], more: bool) -> String {
    let heads = ["BEGUN", "OPERATION", "ACT", "BY", "REASON", "PROGRESS"];
    let mut lines = vec![heads.map(str::to_owned)];
    lines.extend(operations.iter().map(|operation| {
        [
            operation.begun_at.to_string(),
            operation.operation_id.to_string(),
            clean(&operation.act),
            by(operation),
            clean(&operation.reason),
            progress(operation),
        ]
    }));
    let mut text = if operations.is_empty() {
        "no operation was ever begun\n".to_owned()
    } else {
        aligned(&lines)
    };
    if more {
        text.push_str("and older ones: raise --limit\n");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";

    fn answer() -> Value {
        json!({
            "operation_id": ID, "act": "redrive", "count": 10, "letters_sha256": "x", "rate_per_second": 5, "canary": true,
            "selection": { "consumer": "analytics", "q": "is closed" }, "cap": 20, "reason": "mended", "actor": "ada",
            "key_owner": "oncall", "status": "running", "begun_at": "2026-04-01T00:00:00.000Z",
            "changed_at": "2026-04-01T00:00:05.000Z", "version": 1, "a_new_field": 1,
            "progress": {
                "counts": { "redriven": 4, "handled": 3, "failed_again": 1, "discarded": 0, "skipped": 1 },
                "left": 2, "waiting": 1, "in_flight": 2, "canary_passed": true,
            },
        })
    }

    fn read(answer: Value) -> Operation {
        serde_json::from_value(answer).expect("as the API answers")
    }

    #[test]
    fn an_operation_is_shown_with_its_progress_its_letters_and_who_began_it() {
        let mut answer = answer();
        answer["status_reason"] = "it is \u{1b}calm".into();
        let text = text(&read(answer));
        for line in [
            "progress   running: 3 of 10 handled, 1 failed again, 1 left alone; 2 under way, 1 behind another of their \
             aggregate, 2 not looked at yet",
            "letters    10, by consumer=analytics q=is closed",
            "by         ada (key of oncall)",
            "rate       5 a second, the first one alone",
            "cap        20",
            "changed    2026-04-01T00:00:05.000Z (it is  calm)",
        ] {
            let is_there = text.lines().any(|one| one == line);
            assert!(is_there, "{line} is not in:\n{text}");
        }
    }

    #[test]
    fn a_line_of_progress_fits_the_act_and_leaves_out_what_is_over() {
        let finished_of = |act: &str| {
            let mut finished = answer();
            finished["act"] = act.into();
            finished["status"] = "finished".into();
            finished
        };
        let mut finished = finished_of("discard");
        finished["progress"]["counts"]["discarded"] = 9.into();
        for name in ["left", "waiting", "in_flight"] {
            finished["progress"][name] = 0.into();
        }
        let line = progress(&read(finished));
        assert_eq!(line, "finished: 9 of 10 discarded, 1 left alone");
        let mut begun = answer();
        begun["progress"]["canary_passed"] = false.into();
        let mut edit = finished_of("edit");
        edit["count"] = 1.into();
        assert_eq!(progress(&read(edit.clone())), "finished: 1 letter");
        assert!(hindered(&read(edit)).is_none());
        assert!(progress(&read(begun)).ends_with("the first letter is not handled yet"));
    }

    #[test]
    fn a_replay_is_shown_with_its_events_and_what_became_of_them() {
        let mut answer = answer();
        answer["act"] = "replay".into();
        answer["count"] = 0.into();
        answer["selection"] = Value::Null;
        answer["replay"] = json!({
            "consumer": "activity-feed", "aggregate_type": "escrow", "aggregate_id": "e/1",
            "event_types": ["wallet.escrow_held"], "from": "2026-03-01T00:00:00.000Z", "to": "2026-04-01T00:00:00.000Z",
        });
        answer["progress"]["counts"]["sent"] = 12.into();
        answer["progress"]["counts"]["passed_over"] = 3.into();
        answer["progress"]["rows_read"] = 400.into();
        let text = text(&read(answer.clone()));
        for line in [
            "progress   running: 12 sent, 3 passed over, 0 too old; 400 rows read",
            "events     to activity-feed, of escrow/e/1, wallet.escrow_held, committed from 2026-03-01T00:00:00.000Z, \
             committed before 2026-04-01T00:00:00.000Z",
        ] {
            assert!(
                text.lines().any(|one| one == line),
                "{line} is not in:\n{text}"
            );
        }
        answer["status"] = "finished".into();
        assert!(hindered(&read(answer.clone())).is_none());
        answer["progress"]["counts"]["too_old"] = 2.into();
        let why = hindered(&read(answer)).map(|why| why.to_string());
        assert!(why.is_some_and(|why| why.contains("2 events were too old")));
    }

    #[test]
    fn letters_that_were_named_and_all_letters_are_told_apart() {
        let mut answer = answer();
        answer["selection"] = json!({});
        assert_eq!(
            selected(&read(answer.clone())),
            "10, all that were unresolved"
        );
        answer["selection"] = Value::Null;
        assert_eq!(selected(&read(answer)), "10, named one by one");
    }

    #[test]
    fn only_an_operation_that_has_done_all_its_letters_is_done() {
        let mut answer = answer();
        answer["status"] = "finished".into();
        let words = |answer: &Value| hindered(&read(answer.clone())).map(|why| why.to_string());
        let some = words(&answer).expect("one failed again");
        assert!(
            some.contains("of its 10 letters 1 failed again and 1 were left alone"),
            "{some}"
        );
        answer["progress"]["counts"]["handled"] = 10.into();
        assert_eq!(words(&answer), None);
        answer["status"] = "paused".into();
        answer["status_reason"] = "canary failed".into();
        let paused = words(&answer).expect("paused");
        for word in [
            "(canary failed)",
            "operations resume",
            "operations cancel",
            ID,
        ] {
            assert!(paused.contains(word), "{word} is not in: {paused}");
        }
    }

    #[test]
    fn who_stops_waiting_is_told_that_the_operation_goes_on() {
        let words = NotDone::GoesOn(ID.parse().expect("an id")).to_string();
        for word in [
            "goes on".to_owned(),
            format!("millrace operations show {ID} --watch"),
            format!("millrace operations cancel {ID} --reason"),
        ] {
            assert!(words.contains(&word), "{word} is not in: {words}");
        }
    }

    #[test]
    fn a_list_says_what_it_leaves_out() {
        let text = listed(&[read(answer())], true);
        assert_eq!(text.lines().count(), 3, "{text}");
        assert!(text.ends_with("and older ones: raise --limit\n"), "{text}");
        assert_eq!(listed(&[], false), "no operation was ever begun\n");
    }
}
