//! `millrace letters`: dead letters listed, grouped by their cause, shown, and redriven or discarded.
//!
//! The verbs call the stack's API. Its scopes, its checks and its record of who did what are there and not here.
//!
//! * [`filter`]: which letters.
//! * [`act`]: redrive and discard.
//! * [`edit`]: another message in the place of one that never was an event.
//! * [`text`]: letters for people.

mod act;
mod edit;
mod filter;
mod text;

use clap::{Args, Subcommand};
use events::contracts::operation::OperationAct;
use letters::LetterId;
use outbox::{Clock as _, SystemClock};
use serde_json::{Value, json};

use crate::{
    output::{self, CliError},
    stack_api::{Actor, ApiPlace, StackApi},
};
use filter::{Filter, signature_id};

pub(crate) use filter::moment;

const LETTERS: &str = "/api/v1/letters";

/// Dead letters: list them, group them by cause, show one, and redrive or discard them
///
/// The verbs call the stack's API, /api/v1/letters. They need an API key with the scope letters:read, or letters:write
/// to change something, in API_KEY. `millrace keys create --owner oncall --scopes letters:read,letters:write` makes one.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List dead letters, last parked first
    #[command(after_help = "Examples:\n  \
        millrace letters list --consumer notifications --since 24h\n  \
        millrace letters list --reason rejected --q 'is closed' --json")]
    List(ListArguments),
    /// Group dead letters by their cause, the largest group first
    ///
    /// A group has one consumer, one reason and one signature: the error without ids, numbers and texts.
    #[command(after_help = "Example:\n  millrace letters groups --consumer notifications")]
    Groups(GroupsArguments),
    /// Show one dead letter: its history, its message, and which consumers handled its event
    #[command(after_help = "Example:\n  millrace letters show 0f1e2d3c4b5a69788796a5b4c3d2e1f0")]
    Show(ShowArguments),
    /// Write a note about a group. It replaces the note before
    #[command(
        after_help = "Example:\n  millrace letters note 0123456789abcdef 'the partner knows, fixed on Monday'"
    )]
    Note(NoteArguments),
    /// Send dead letters to their consumers again
    ///
    /// First shows which letters these are, and asks. The order within an aggregate is kept. Remove the cause first.
    #[command(after_help = "Examples:\n  \
        millrace letters redrive --group 0123456789abcdef --reason 'the template was corrected' --canary --wait\n  \
        millrace letters redrive --consumer notifications --letter-reason retries_exhausted --reason 'SES is back' --rate 5\n  \
        millrace letters redrive --all --reason 'the table is back' --dry-run")]
    Redrive(act::Arguments),
    /// Close dead letters unhandled
    ///
    /// First shows which letters these are, and asks. A letter that is discarded is kept for 90 more days.
    #[command(after_help = "Example:\n  \
        millrace letters discard 0f1e2d3c4b5a69788796a5b4c3d2e1f0 --reason 'a test of the producer'")]
    Discard(act::Arguments),
    /// Put another message in the place of one that never was an event
    ///
    /// The message is a whole envelope, checked against its contract. What stands in the event log is never edited. The
    /// message before is kept, and the difference is recorded. Prints the letter that the edited message goes on as.
    #[command(after_help = "Example:\n  \
        millrace letters edit 0f1e2d3c4b5a69788796a5b4c3d2e1f0 --file edited.json --reason 'the partner forgot a field'")]
    Edit(edit::Arguments),
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    api: ApiPlace,
    #[command(flatten)]
    filter: Filter,
    /// Only letters parked for this reason, such as rejected, exhausted or undelivered
    #[arg(long, help_heading = "Which letters")]
    reason: Option<String>,
    /// How many at most, 1 to 1000
    #[arg(long, default_value_t = 50, value_parser = clap::value_parser!(u16).range(1..=1_000))]
    limit: u16,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct GroupsArguments {
    #[command(flatten)]
    api: ApiPlace,
    #[command(flatten)]
    filter: Filter,
    /// Only letters parked for this reason, such as rejected, exhausted or undelivered
    #[arg(long, help_heading = "Which letters")]
    reason: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ShowArguments {
    #[command(flatten)]
    api: ApiPlace,
    /// The letter's id
    letter_id: LetterId,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct NoteArguments {
    #[command(flatten)]
    by: Actor,
    /// The group's id, as `letters groups` shows it
    #[arg(value_parser = signature_id)]
    signature_id: String,
    /// The note
    text: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(command: Command) -> Result<(), CliError> {
    match command {
        Command::List(arguments) => list(arguments).await,
        Command::Groups(arguments) => groups(arguments).await,
        Command::Show(arguments) => show(arguments).await,
        Command::Note(arguments) => note(arguments).await,
        Command::Redrive(arguments) => act::run(OperationAct::Redrive, arguments).await,
        Command::Discard(arguments) => act::run(OperationAct::Discard, arguments).await,
        Command::Edit(arguments) => edit::run(arguments).await,
    }
}

async fn list(arguments: ListArguments) -> Result<(), CliError> {
    let filter = &arguments.filter;
    let api = StackApi::open(arguments.api).await?;
    filter.warn_of_unknown_names();
    let criteria = filter.criteria(arguments.reason.as_deref(), SystemClock.now());
    let limit = arguments.limit.into();
    let (items, more) = api.list(LETTERS, &criteria.query(), limit).await?;
    if arguments.json {
        return output::result(&json!({ "items": items, "more": more }));
    }
    output::text(&text::list(&text::List {
        letters: api.read(items.into())?,
        more,
        has_state: filter.has_state(),
    }))
}

async fn groups(arguments: GroupsArguments) -> Result<(), CliError> {
    let filter = &arguments.filter;
    let api = StackApi::open(arguments.api).await?;
    filter.warn_of_unknown_names();
    let criteria = filter.criteria(arguments.reason.as_deref(), SystemClock.now());
    let path = format!("{LETTERS}/groups");
    let answer = api.get(&path, &criteria.query()).await?;
    if arguments.json {
        return output::result(&answer);
    }
    let groups: text::Groups = api.read(answer)?;
    output::text(&text::groups(&groups))
}

async fn show(arguments: ShowArguments) -> Result<(), CliError> {
    let api = StackApi::open(arguments.api).await?;
    let path = format!("{LETTERS}/{}", arguments.letter_id);
    let answer: Value = api.get(&path, &[]).await?;
    if arguments.json {
        return output::result(&answer);
    }
    let letter: text::LetterShown = api.read(answer)?;
    output::text(&text::letter(&letter))
}

async fn note(arguments: NoteArguments) -> Result<(), CliError> {
    let api = StackApi::open_for(arguments.by).await?;
    let path = format!("{LETTERS}/groups/{}/note", arguments.signature_id);
    let note = json!({ "note": arguments.text });
    let answer = api.command(&path, &note).await?;
    if arguments.json {
        return output::result(&answer);
    }
    output::text(&format!("noted about group {}\n", arguments.signature_id))
}
