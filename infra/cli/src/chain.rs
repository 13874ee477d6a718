//! `millrace chain`: a member's movements on the chain.

use std::fmt::Write as _;

use aws::DynamoStore;
use clap::{ArgGroup, Args, Subcommand};
use cloud::chain::{ChainAccount, Job};
use events::MemberId;
use outbox::{State, Store, Table, decode_item};
use serde::Serialize;

use crate::{
    output::{self, Failure},
    resources::Place,
};

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Show a member's jobs, the last queued one first, and whether books and chain agree.
    Jobs(Arguments),
}

/// Shows what became of a member's movements on the chain: each job with its state and why it failed, the last queued one
/// first, when books and chain last agreed, and the divergence that is open. Reads only. Needs
/// cloudformation:ListStackResources on the stack (not with --resources), dynamodb:Query and GetItem on the cloud table.
#[derive(Debug, Args)]
#[command(group(ArgGroup::new("where").args(["stack", "resources"]).required(true).multiple(true)))]
pub(crate) struct Arguments {
    #[command(flatten)]
    place: Place,
    /// Whose.
    #[arg(long)]
    member: MemberId,
    /// How many jobs.
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..=1_000))]
    last: u32,
    /// Print one JSON document.
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Shown {
    member_id: MemberId,
    /// Null where books and chain were never compared.
    synchronisation: Option<ChainAccount>,
    /// The last queued one first.
    jobs: Vec<Job>,
    /// Whether there are older ones.
    more: bool,
}

pub(crate) async fn run(command: Command) -> Result<(), Failure> {
    let Command::Jobs(arguments) = command;
    let sdk = aws::sdk_config().await;
    let resources = arguments.place.find(&sdk).await?;
    let table = Table::domain(resources.table("CloudTable")?);
    let store = DynamoStore::new(aws::dynamodb(&sdk));
    let shown = shown(&store, &table, arguments.member, arguments.last).await?;
    if arguments.json {
        output::result(&shown)
    } else {
        output::text(&text(&shown))
    }
}

async fn shown(
    store: &dyn Store,
    table: &Table,
    member_id: MemberId,
    last: u32,
) -> Result<Shown, Failure> {
    let key = ChainAccount::key(table, member_id.as_str());
    let synchronisation = match store.get(&key).await? {
        Some(item) => Some(decode_item(&key, item)?),
        None => None,
    };
    let mut query = Job::newest_first(table, &member_id, last);
    let mut jobs = Vec::new();
    // A page of the store may be shorter than what is asked for.
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
    Ok(Shown {
        member_id,
        synchronisation,
        jobs,
        more: query.after.is_some(),
    })
}

/// What a person reads of it.
fn text(shown: &Shown) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let mut line = |words: std::fmt::Arguments<'_>| writeln!(text, "{words}").ok();
    let member = &shown.member_id;
    match &shown.synchronisation {
        None => line(format_args!(
            "{member}: books and chain never agreed, and no divergence was told"
        )),
        Some(ChainAccount {
            divergence: Some(open),
            ..
        }) => line(format_args!(
            "{member}: books less chain was {} CLOUD when it was found, {}; the divergence is open",
            open.difference.as_str(),
            open.found_at
        )),
        Some(ChainAccount {
            last_synced_at: Some(at),
            ..
        }) => line(format_args!("{member}: books and chain agreed, {at}")),
        Some(_) => line(format_args!("{member}: books and chain never agreed")),
    };
    if shown.jobs.is_empty() {
        line(format_args!(
            "  no jobs: no movement since there is a chain, or no address"
        ));
    }
    for job in &shown.jobs {
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
    if shown.more {
        line(format_args!("  and older ones: --last"));
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
            let shown = shown(&store, &table, ada.clone(), last).await;
            shown.expect("readable")
        };
        let told = text(&show(5).await);
        assert!(
            told.contains("never agreed") && told.contains("no jobs"),
            "{told}"
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
        let told = text(&whole);
        for words in [
            "ada: books and chain agreed, 2026-01-01T00:00:01.500Z",
            "failed     cloud.minted  transaction 018f0000-0000-7000-8000-000000000012  ended 2026-01-01T01:00:03.000Z",
            "      after 3600 s the chain says 10 and the books 30",
        ] {
            assert!(told.contains(words), "{words} is not in:\n{told}");
        }
        let at = |word: &str| told.find(word).expect("told");
        assert!(at("submitted") < at("failed") && at("failed") < at("confirmed"));

        let part = show(2).await;
        assert_eq!((part.jobs.len(), part.more), (2, true));
        assert!(text(&part).contains("and older ones"));

        record["divergence"] =
            json!({ "difference": "60", "found_at": "2026-01-02T00:00:00.000Z" });
        put(&store, &table, &key, &record).await;
        let told = text(&show(5).await);
        assert!(
            told.contains("books less chain was 60 CLOUD") && told.contains("is open"),
            "{told}"
        );
        let document = serde_json::to_value(show(5).await).expect("JSON");
        assert_eq!(document["jobs"][1]["status"], "failed");
        assert_eq!(
            document["synchronisation"]["divergence"]["difference"],
            "60"
        );
    }
}
