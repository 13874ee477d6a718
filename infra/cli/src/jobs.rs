//! `millrace jobs`: whether a run of a scheduled job holds the lease, how far its pass is, and how its last runs ended.

use std::fmt::Write as _;

use aws::DynamoStore;
use clap::Args;
use consumer::schedule::{self, JobState, Lease, RunRecord};
use events::Timestamp;
use outbox::{Clock, Store, SystemClock, Table};
use serde::Serialize;

use crate::{
    output::{self, CliError},
    place::{Names, Place},
};

/// Every scheduled job, as the functions' declarations have them.
fn jobs() -> Vec<&'static str> {
    topology::functions::ALL
        .iter()
        .filter(|function| function.job().is_some())
        .map(|function| function.name)
        .collect()
}

/// Show the scheduled jobs: which one runs, how far its pass is, and how its last runs ended
///
/// A run without an end is still running, was killed, or lost its lease. A run that found nothing to do is not listed if
/// the job can tell before it begins. Reads only: one read unit for each job and for each of its runs. Needs
/// dynamodb:GetItem on the marks table, and cloudformation:ListStackResources on the stack (not with
/// --table or --resources).
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    millrace jobs\n  \
    millrace jobs notifications-sender --last 20 --stack millrace-prod")]
pub(crate) struct Arguments {
    /// Only this job
    #[arg(value_parser = clap::builder::PossibleValuesParser::new(jobs()))]
    name: Option<String>,
    /// The marks table, instead of a stack. Default: MARKS_TABLE, if the command line names no stack
    #[arg(long, value_name = "NAME", help_heading = "Which stack")]
    table: Option<String>,
    #[command(flatten)]
    place: Place,
    /// How many runs of each job, newest first
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..=100))]
    last: u32,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Serialize)]
struct Listed {
    jobs: Vec<JobView>,
}

#[derive(Debug, Serialize)]
struct JobView {
    job: String,
    state: JobState,
    /// Null if the job never ran, or never had anything to do.
    lease: Option<Lease>,
    runs: Vec<RunRecord>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), CliError> {
    let given = arguments.table.map(|table| [table]);
    let (sdk, names) = arguments.place.open_or(given, ["MARKS_TABLE"]).await?;
    let store = DynamoStore::new(aws::dynamodb(&sdk));
    let marks = Table::marks(match names {
        Names::Given([table]) => table,
        Names::Stack(resources) => resources.table("MarksTable")?.to_owned(),
    });
    let names: Vec<&str> = match &arguments.name {
        Some(name) => vec![name],
        None => jobs(),
    };
    let now = SystemClock.now();
    let mut jobs = Vec::with_capacity(names.len());
    for name in names {
        jobs.push(view(&store, &marks, name, arguments.last, now).await?);
    }
    if arguments.json {
        output::result(&Listed { jobs })
    } else {
        output::text(&jobs.iter().map(text).collect::<String>())
    }
}

async fn view(
    store: &dyn Store,
    marks: &Table,
    name: &str,
    last: u32,
    now: Timestamp,
) -> Result<JobView, CliError> {
    let (lease, runs) = schedule::look(store, marks, name, last).await?;
    let state = JobState::of(lease.as_ref(), now);
    Ok(JobView {
        job: name.to_owned(),
        state,
        lease,
        runs,
    })
}

/// A job's state as text.
fn text(view: &JobView) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let mut line = |words: std::fmt::Arguments<'_>| writeln!(text, "{words}").ok();
    match (&view.lease, view.state) {
        (None, _) => {
            line(format_args!(
                "{}: never ran, or never had anything to do",
                view.job
            ));
        }
        (Some(lease), JobState::Running) => {
            line(format_args!(
                "{}: running on page {} of a pass begun {}; its lease ends {}",
                view.job, lease.page, lease.pass_started_at, lease.held_until
            ));
        }
        (Some(lease), JobState::Unfinished) => {
            line(format_args!(
                "{}: the next run goes on with page {} of a pass begun {}",
                view.job, lease.page, lease.pass_started_at
            ));
        }
        (Some(_), _) => {
            line(format_args!("{}: between two passes", view.job));
        }
    }
    for run in &view.runs {
        let outcome = run.outcome.map_or("no end", |outcome| outcome.as_str());
        let took = run.ended_at.map_or_else(String::new, |ended| {
            format!(", {} ms", ended.since(run.started_at).as_millis())
        });
        let counts: Vec<String> = run
            .counts
            .iter()
            .map(|(name, n)| format!("{name} {n}"))
            .collect();
        line(format_args!(
            "  {}  run {}  {outcome}{took}  {} pages  {}",
            run.started_at,
            run.fence,
            run.pages,
            counts.join(", ")
        ));
        if let Some(error) = &run.error {
            line(format_args!("      error: {error}"));
        }
        for note in &run.notes {
            line(format_args!("      {note}"));
        }
        if run.notes_left_out > 0 {
            line(format_args!("      and {} more", run.notes_left_out));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use outbox::{encode_item, memory::MemoryStore};
    use serde_json::json;

    use super::*;

    #[tokio::test]
    async fn a_job_is_shown_with_its_lease_its_last_runs_and_why_one_failed() {
        let (store, marks) = (MemoryStore::new(), Table::marks("marks"));
        let put = async |key: &str, row: serde_json::Value| {
            let item = encode_item(&marks.single_key(key), &row).expect("an item");
            store.put_all(&marks, &[item]).await.expect("put");
        };
        let now = Timestamp::EPOCH.plus(Duration::from_secs(1_000));
        let show = async || {
            let view = view(&store, &marks, "worker", 2, now).await;
            view.expect("readable")
        };
        assert_eq!(
            text(&show().await),
            "worker: never ran, or never had anything to do\n"
        );

        let id = "018f0000-0000-7000-8000-000000000001";
        let run = |fence: u64| {
            json!({
                "job": "worker", "fence": fence, "pass": id, "first_page": 0,
                "started_at": Timestamp::EPOCH, "expires_at": 1,
            })
        };
        let mut failed = run(8);
        failed["outcome"] = json!("failed");
        failed["ended_at"] = json!(Timestamp::EPOCH.plus(Duration::from_millis(250)));
        failed["counts"] = json!({ "confirmed": 3 });
        failed["error"] = json!("the node is down");
        failed["notes"] = json!(["job of ada failed"]);
        put("run#worker#7", run(7)).await;
        put("run#worker#8", failed).await;
        put("run#worker#9", run(9)).await;
        let mut lease = json!({
            "fence": 9, "writing": id, "pass": id, "pass_started_at": Timestamp::EPOCH,
            "unfinished": true, "page": 4, "held_until": now.plus(Duration::from_secs(5)),
        });
        put("lease#worker", lease.clone()).await;
        let running = show().await;
        assert_eq!(running.state, JobState::Running);
        let printed = text(&running);
        for words in [
            "running on page 4",
            "run 9  no end  0 pages",
            "run 8  failed, 250 ms  0 pages  confirmed 3",
            "error: the node is down",
            "job of ada failed",
        ] {
            assert!(printed.contains(words), "{words} is not in:\n{printed}");
        }
        assert!(!printed.contains("run 7"), "two were asked for:\n{printed}");

        lease["held_until"] = json!(now);
        put("lease#worker", lease.clone()).await;
        assert_eq!(show().await.state, JobState::Unfinished);
        lease["unfinished"] = json!(false);
        put("lease#worker", lease).await;
        assert_eq!(show().await.state, JobState::Idle);
    }
}
