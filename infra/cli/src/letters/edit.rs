//! `millrace letters edit`: another message in the place of one that never was an event.

use std::{
    fmt::Write as _,
    io::{self, Read as _},
    path::{Path, PathBuf},
};

use clap::Args;
use events::{OperationId, contracts::operation::PatchStep};
use letters::LetterId;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    output::{self, CliError, UsageError},
    stack_api::{Actor, StackApi},
};

/// The largest message that is read. A lane takes 1 MiB
/// (<https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html>, read 2026-11-21).
const LARGEST: u64 = 1024 * 1024;

/// The arguments of `edit`.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    by: Actor,
    /// The letter's id
    letter_id: LetterId,
    /// The file with the edited message, a whole envelope as JSON; - for standard input
    #[arg(long, value_name = "FILE")]
    file: PathBuf,
    /// Why you do this. It is recorded
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What the API answers.
#[derive(Debug, Deserialize)]
struct Edited {
    letter_id: LetterId,
    operation_id: OperationId,
    patch: Vec<PatchStep>,
}

/// Reads the edited message.
fn message(file: &Path) -> Result<Value, CliError> {
    let mut text = String::new();
    if file == Path::new("-") {
        io::stdin().take(LARGEST).read_to_string(&mut text)?;
    } else {
        let opened = std::fs::File::open(file);
        let opened = opened.map_err(|error| UsageError(format!("{}: {error}", file.display())))?;
        opened.take(LARGEST).read_to_string(&mut text)?;
    }
    let read = serde_json::from_str(&text);
    Ok(read.map_err(|error| UsageError(format!("{} is no JSON: {error}", file.display())))?)
}

pub(super) async fn run(arguments: Arguments) -> Result<(), CliError> {
    let message = message(&arguments.file)?;
    let api = StackApi::open_for(arguments.by).await?;
    let path = format!("{}/{}/edit", super::LETTERS, arguments.letter_id);
    let edit = json!({ "message": message, "reason": arguments.reason });
    let answer = api.command(&path, &edit).await?;
    if arguments.json {
        return output::result(&answer);
    }
    let edited: Edited = api.read(answer)?;
    output::text(&shown(&edited))?;
    let id = &edited.letter_id;
    output::note(&format!(
        "millrace: edited. To send it: millrace letters redrive {id} --reason <text>"
    ));
    Ok(())
}

fn shown(edited: &Edited) -> String {
    let mut text = format!("{}\noperation {}\n", edited.letter_id, edited.operation_id);
    for step in &edited.patch {
        let op = step.op.as_str();
        let path = step.path.as_ref().map_or("/", |path| path.as_str());
        let value = step.value.as_ref().map_or("", |value| value.as_str());
        // Writing to a String cannot fail.
        writeln!(text, "  {op} {path} {value}").ok();
    }
    text
}
