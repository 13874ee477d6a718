//! Mails that were refused for good: seen, and queued again once the cause is mended.

use std::sync::Arc;

use aws::DynamoStore;
use clap::{ArgGroup, Args};
use events::{Cause, Registry, Timestamp};
use outbox::{Condition, Cursor, Decision, Mark, Outbox, Outcome, Query, SystemClock, Table};
use serde::Serialize;
use views::units::{self, Failed};

use crate::{
    output::{self, Failure},
    resources::Place,
};

/// Units read at once.
const PAGE: u32 = 100;

/// Needs cloudformation:ListStackResources on the stack (not with --resources) and dynamodb:Query on the notifications table; with --retry also
/// dynamodb:PutItem and DeleteItem there, GetItem and PutItem on the marks table.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("where").args(["stack", "resources"]).required(true).multiple(true)))]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Queue them again: mend the cause first (the address, the SES identity).
    #[arg(long)]
    retry: bool,
    /// Only those to this member; may be given several times.
    #[arg(long = "member")]
    members: Vec<String>,
}

/// Why a mail was not queued again.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// A table could not be read or written.
    #[error(transparent)]
    Store(#[from] outbox::Error),
    /// Somebody else is queueing it.
    #[error("others kept changing the mail to {0}; run the command again")]
    Contention(String),
}

/// A refused mail, for people: no address.
#[derive(Debug, Serialize)]
struct Shown {
    member_id: String,
    template: String,
    event_id: String,
    reason: String,
    failed_at: Timestamp,
    /// How often it had been queued again before.
    refusals: u32,
}

#[derive(Debug, Serialize)]
struct Answer {
    failed: Vec<Shown>,
    queued_again: u64,
}

/// Every mail that was refused for good, in the order of what they tell.
///
/// # Errors
/// [`outbox::Error`] when the table cannot be read.
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

/// Queues a refused mail again; the sender takes it in its turn. False where somebody else has done so meanwhile.
///
/// # Errors
/// [`QueueError`].
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

pub(crate) async fn run(arguments: Arguments) -> Result<(), Failure> {
    let sdk = aws::sdk_config().await;
    let resources = arguments.place.find(&sdk).await?;
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
    let shown = failed.into_iter().map(|one| Shown {
        member_id: one.unit.member_id.to_string(),
        template: one.unit.template,
        event_id: one.unit.event_id.to_string(),
        reason: one.reason,
        failed_at: one.failed_at,
        refusals: one.unit.refusals,
    });
    output::result(&Answer {
        failed: shown.collect(),
        queued_again,
    })
}
