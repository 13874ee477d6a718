//! Mails that SES refused permanently: listed, and queued again once the cause is fixed.

use std::sync::Arc;

use aws::DynamoStore;
use clap::Args;
use events::{Cause, Registry, Timestamp};
use outbox::{Condition, Cursor, Decision, Mark, Outbox, Outcome, Query, SystemClock, Table};
use serde::Serialize;
use views::units::{self, Failed};

use crate::{
    output::{self, CliError},
    place::Place,
};

/// How many units are read at once.
const PAGE: u32 = 100;

/// List the mails of fan-outs that SES refused permanently, or queue them again: {"failed", "queued_again"}
///
/// Needs cloudformation:ListStackResources on the stack (not with --resources) and dynamodb:Query on the notifications
/// table; with --retry also dynamodb:GetItem, PutItem and DeleteItem there, and GetItem and PutItem on the marks table.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    millrace notifications failed\n  \
    millrace notifications failed --retry --member ada")]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    #[command(flatten)]
    _output: output::AlwaysJson,
    /// Queue the mails again. Fix the cause first (the address, the SES identity)
    #[arg(long)]
    retry: bool,
    /// Only mails to this member; may be given several times
    #[arg(long = "member")]
    members: Vec<String>,
}

/// Why a mail was not queued again.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// A table could not be read or written.
    #[error(transparent)]
    Store(#[from] outbox::Error),
    /// Another process is queueing the mail.
    #[error("another process kept changing the mail to {0}; run the verb again")]
    Contention(String),
}

/// A refused mail as it is printed: without the address.
#[derive(Debug, Serialize)]
struct FailedMailView {
    member_id: String,
    template: String,
    event_id: String,
    reason: String,
    failed_at: Timestamp,
    /// How often the mail had been queued again before.
    refusals: u32,
}

#[derive(Debug, Serialize)]
struct Answer {
    failed: Vec<FailedMailView>,
    queued_again: u64,
}

/// Every mail that SES refused permanently, in the order of the events they announce.
///
/// # Errors
/// [`outbox::Error`] if the table cannot be read.
pub async fn failed_mails(outbox: &Outbox, table: &Table) -> Result<Vec<Failed>, outbox::Error> {
    let mut found = Vec::new();
    let mut after: Option<Cursor> = None;
    loop {
        let query: Query = units::failed(table, None, PAGE, after);
        let (page, next) = outbox.rows::<Failed>(&query).await?;
        found.extend(page);
        after = next;
        if after.is_none() {
            return Ok(found);
        }
    }
}

/// Queues a refused mail again. The sender takes it in its next run. False if another process has queued it meanwhile.
///
/// # Errors
/// [`QueueError`] if a table cannot be read or written, or another process keeps changing the mail.
pub async fn queue_again(
    outbox: &Outbox,
    table: &Table,
    failed: &Failed,
) -> Result<bool, QueueError> {
    let name = failed.unit.name();
    let mark = Mark::Request {
        owner: "millrace".to_owned(),
        method: "RETRY".to_owned(),
        path: format!("/notifications/failed/{}", name.replace('#', "/")),
        key: failed.failed_at.to_string(),
        body_sha256: Mark::body_sha256(b""),
    };
    let (at, again) = (failed.unit.failed_key(table), failed.again());
    let outcome = outbox
        .execute(&mark, &Cause::default(), |mut transaction| {
            let (at, again) = (at.clone(), again.clone());
            async move {
                if outbox.row::<Failed>(&at).await?.is_none() {
                    return Ok::<_, outbox::Error>(Decision::Refuse(()));
                }
                transaction.delete(at, Condition::Present);
                transaction.insert(again.due_key(table), &again)?;
                Ok(Decision::Commit(transaction, ()))
            }
        })
        .await?;
    match outcome {
        Outcome::Committed { .. } => Ok(true),
        Outcome::AlreadyDone(_) | Outcome::Refused(()) => Ok(false),
        Outcome::Contention => Err(QueueError::Contention(failed.unit.member_id.to_string())),
    }
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), CliError> {
    let (sdk, resources) = arguments.place.open().await?;
    let table = Table::domain(resources.table("NotificationsTable")?);
    let outbox = Outbox::without_log(
        Arc::new(DynamoStore::new(aws::dynamodb(&sdk))),
        Arc::new(SystemClock),
        Arc::new(Registry::shipped()),
        Table::marks(resources.table("MarksTable")?),
    );
    let mut failed = failed_mails(&outbox, &table).await?;
    if !arguments.members.is_empty() {
        let wanted = |one: &Failed| {
            arguments
                .members
                .iter()
                .any(|id| one.unit.member_id.as_str() == id)
        };
        failed.retain(wanted);
    }
    let mut queued_again = 0;
    if arguments.retry {
        for one in &failed {
            queued_again += u64::from(queue_again(&outbox, &table, one).await?);
        }
    }
    let mails = failed.into_iter().map(|one| FailedMailView {
        member_id: one.unit.member_id.to_string(),
        template: one.unit.template,
        event_id: one.unit.event_id.to_string(),
        reason: one.reason,
        failed_at: one.failed_at,
        refusals: one.unit.refusals,
    });
    output::result(&Answer {
        failed: mails.collect(),
        queued_again,
    })
}
