//! `millrace chain`: a member's movements on the chain.

use std::fmt::Write as _;

use aws::DynamoStore;
use clap::{Args, Subcommand};
use cloud::chain::{ChainAccount, Job};
use events::MemberId;
use outbox::{State, Store, Table, decode_item};
use serde::Serialize;

use crate::{
    output::{self, CliError},
    place::Place,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Jobs(Arguments),
}

/// Show a member's chain jobs, newest first, and whether books and chain agree
///
/// Each job is shown with its state and, if it failed, the reason; before the jobs, when books and chain last agreed,
/// or the open divergence. Reads only. Needs dynamodb:Query and GetItem on the cloud table, and
/// cloudformation:ListStackResources on the stack (not with --resources).
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  millrace chain jobs --member ada --last 5")]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// The member's id
    #[arg(long)]
    member: MemberId,
    /// How many jobs
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    last: u32,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct ChainView {
    member_id: MemberId,
    /// Null if books and chain were never compared.
    synchronisation: Option<ChainAccount>,
    /// Newest first, by the time they were queued.
    jobs: Vec<Job>,
    /// Whether there are older jobs.
    more: bool,
}

pub(crate) async fn run(command: Command) -> Result<(), CliError> {
    let Command::Jobs(arguments) = command;
    let (sdk, resources) = arguments.place.open().await?;
    let table = Table::domain(resources.table("CloudTable")?);
    let store = DynamoStore::new(aws::dynamodb(&sdk));
    let view = view(&store, &table, arguments.member, arguments.last).await?;
    if arguments.json {
        output::result(&view)
    } else {
        output::text(&text(&view))
    }
}

async fn view(
    store: &dyn Store,
    table: &Table,
    member_id: MemberId,
    last: u32,
) -> Result<ChainView, CliError> {
    let key = ChainAccount::key(table, member_id.as_str());
    let synchronisation = match store.get(&key).await? {
        Some(item) => Some(decode_item(&key, item)?),
        None => None,
    };
    let mut query = Job::newest_first(table, &member_id, last);
    let mut jobs = Vec::new();
    // The store may return fewer items than the limit although there are more.
    loop {
        let page = store.query(&query).await?;
        for item in page.items {
            jobs.push(decode_item(&key, item)?);
        }
        query.limit = last.saturating_sub(u32::try_from(jobs.len())?);
        query.after = page.next;
        if query.after.is_none() || query.limit == 0 {
            break;
        }
    }
    Ok(ChainView {
        member_id,
        synchronisation,
        jobs,
        more: query.after.is_some(),
    })
}

/// The view as text.
fn text(view: &ChainView) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let mut line = |words: std::fmt::Arguments<'_>| writeln!(text, "{words}").ok();
    let member = &view.member_id;
    match &view.synchronisation {
        None => line(format_args!(
            "{member}: books and chain never agreed, and no divergence was reported"
        )),
        Some(ChainAccount {
            divergence: Some(open),
            ..
        }) => line(format_args!(
            "{member}: divergence open: books minus chain was {} CLOUD when it was found at {}",
            open.difference.as_str(),
            open.found_at
        )),
        Some(ChainAccount {
            last_synced_at: Some(at),
            ..
        }) => line(format_args!(
            "{member}: books and chain last agreed at {at}"
        )),
        Some(_) => line(format_args!("{member}: books and chain never agreed")),
    };
    if view.jobs.is_empty() {
        line(format_args!(
            "  no jobs: no movement since the chain was set up, or the member has no address"
        ));
    }
    for job in &view.jobs {
        line(format_args!(
            "  {}  {:<9}  {}  transaction {}{}",
            job.queued_at,
            job.status.as_str(),
            job.event_type,
            job.transaction_id,
            job.ended_at
                .map_or_else(String::new, |at| format!("  ended {at}"))
        ));
        if let Some(reason) = &job.reason {
            line(format_args!("      {reason}"));
        }
    }
    if view.more {
        line(format_args!("  and older jobs: raise --last"));
    }
    text
}

#[cfg(test)]
mod tests {
    use outbox::{Key, encode_item, memory::MemoryStore};
    use serde_json::{Value, json};

    use super::*;

    async fn put(store: &MemoryStore, table: &Table, key: &Key, row: &Value) {
        let item = encode_item(key, row).expect("an item");
        store.put_all(table, &[item]).await.expect("put");
    }

    #[tokio::test]
    async fn a_members_jobs_are_shown_with_what_became_of_them_and_why_one_failed() {
        let (store, table) = (MemoryStore::new(), Table::domain("cloud"));
        let ada: MemberId = "ada".parse().expect("an id");
        let show = async |last| {
            let view = view(&store, &table, ada.clone(), last).await;
            view.expect("readable")
        };
        let printed = text(&show(5).await);
        assert!(
            printed.contains("never agreed") && printed.contains("no jobs"),
            "{printed}"
        );

        for (second, status) in [(1, "confirmed"), (2, "failed"), (3, "submitted")] {
            let mut job = json!({
                "member_id": "ada", "ethereum_address": "0x00000000000000000000000000000000000000aa",
                "event_type": "cloud.minted", "event_id": format!("018f0000-0000-7000-8000-00000000000{second}"),
                "transaction_id": format!("018f0000-0000-7000-8000-00000000001{second}"),
                "queued_at": format!("2026-01-01T00:00:0{second}.000Z"), "status": status,
            });
            if status == "failed" {
                job["ended_at"] = json!("2026-01-01T01:00:03.000Z");
                job["reason"] = json!("after 3600 s the chain says 10 and the books 30");
            }
            let key = serde_json::from_value::<Job>(job.clone())
                .expect("a job")
                .key(&table);
            put(&store, &table, &key, &job).await;
        }
        let key = ChainAccount::key(&table, "ada");
        let mut record = json!({
            "last_synced_at": "2026-01-01T00:00:01.500Z", "episode": 0, "version": 1, "last_sequence": 0,
        });
        put(&store, &table, &key, &record).await;
        let whole = show(5).await;
        assert!(!whole.more);
        let printed = text(&whole);
        for words in [
            "ada: books and chain last agreed at 2026-01-01T00:00:01.500Z",
            "failed     cloud.minted  transaction 018f0000-0000-7000-8000-000000000012  ended 2026-01-01T01:00:03.000Z",
            "      after 3600 s the chain says 10 and the books 30",
        ] {
            assert!(printed.contains(words), "{words} is not in:\n{printed}");
        }
        let at = |word: &str| printed.find(word).expect("printed");
        assert!(at("submitted") < at("failed") && at("failed") < at("confirmed"));

        let part = show(2).await;
        assert_eq!((part.jobs.len(), part.more), (2, true));
        assert!(text(&part).contains("and older jobs"));

        record["divergence"] =
            json!({ "difference": "60", "found_at": "2026-01-02T00:00:00.000Z" });
        put(&store, &table, &key, &record).await;
        let printed = text(&show(5).await);
        assert!(
            printed.contains("books minus chain was 60 CLOUD") && printed.contains("open"),
            "{printed}"
        );
        let document = serde_json::to_value(show(5).await).expect("JSON");
        assert_eq!(document["jobs"][1]["status"], "failed");
        assert_eq!(
            document["synchronisation"]["divergence"]["difference"],
            "60"
        );
    }
}
