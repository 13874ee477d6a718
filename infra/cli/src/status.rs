//! `millrace status`: what waits in the lanes, which consumers have dead letters, and which are paused.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::{self, IsTerminal as _},
    time::Duration,
};

use clap::Args;
use serde::Deserialize;
use serde_json::Value;

use crate::{
    output::{self, CliError},
    span,
    stack_api::{ApiPlace, StackApi, clean},
};

const STATUS: &str = "/api/v1/status";

/// Moves the cursor of a terminal to the top and clears what is there.
const CLEAR: &str = "\x1b[H\x1b[2J";

/// Show what waits in the lanes, which consumers have dead letters, and which are paused
///
/// The numbers are SQS's own, and approximate. The age of the oldest event is CloudWatch's last measurement, up to a minute
/// old; a local AWS has none. Needs an API key with the scope status:read, in API_KEY.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    millrace status\n  \
    millrace status --watch\n  \
    millrace status --watch --every 10s --json | jq .paused")]
pub(crate) struct Arguments {
    #[command(flatten)]
    api: ApiPlace,
    /// Look again and again, until Ctrl-C
    #[arg(long)]
    watch: bool,
    /// How often it looks, from 1s to 1h
    #[arg(long, value_name = "SPAN", default_value = "5s", requires = "watch", value_parser = every)]
    every: Duration,
    /// Print one JSON object; with --watch, one for each look, each on a line of its own
    #[arg(long)]
    json: bool,
}

fn every(text: &str) -> Result<Duration, String> {
    let span = span::parse(text)?;
    if (Duration::from_secs(1)..=Duration::from_secs(3_600)).contains(&span) {
        Ok(span)
    } else {
        Err("1s to 1h".to_owned())
    }
}

#[derive(Debug, Deserialize)]
struct Status {
    consumers: Vec<Lane>,
    letters: Vec<Letters>,
    paused: Vec<Paused>,
}

#[derive(Debug, Deserialize)]
struct Lane {
    consumer: String,
    lane: String,
    depth: u64,
    in_flight: u64,
    oldest_seconds: Option<u64>,
}

#[derive(Debug, Deserialize)]
struct Letters {
    consumer: String,
    open: u64,
}

#[derive(Debug, Deserialize)]
struct Paused {
    consumer: String,
    since: String,
    reason: String,
    actor: Option<String>,
    key_owner: String,
    deleted_in_seconds: Option<u64>,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), CliError> {
    let api = StackApi::open(arguments.api).await?;
    if !arguments.watch {
        return show(&api, arguments.json, false).await;
    }
    tokio::select! {
        // The signal is listened to before the first look.
        biased;
        interrupted = tokio::signal::ctrl_c() => Ok(interrupted?),
        failed = watch(&api, arguments.every, arguments.json) => failed,
    }
}

/// Looks until it is interrupted or the API refuses. A look without an answer is followed by the next.
async fn watch(api: &StackApi, every: Duration, json: bool) -> Result<(), CliError> {
    let clears = !json && io::stdout().is_terminal();
    loop {
        match show(api, json, clears).await {
            Err(error) if is_passing(&*error) => output::note(&format!("millrace: {error}")),
            shown => shown?,
        }
        tokio::time::sleep(every).await;
    }
}

/// Whether the next look can succeed without anybody's doing.
fn is_passing(error: &(dyn std::error::Error + Send + Sync + 'static)) -> bool {
    use crate::stack_api::CallError::{Lost, Unreachable};
    matches!(error.downcast_ref(), Some(Lost { .. } | Unreachable { .. }))
}

async fn show(api: &StackApi, json: bool, clears: bool) -> Result<(), CliError> {
    let answer: Value = api.get(STATUS, &[]).await?;
    if json {
        return output::result(&answer);
    }
    let text = text(&api.read(answer)?);
    output::text(&if clears {
        format!("{CLEAR}{text}")
    } else {
        text
    })
}

fn text(status: &Status) -> String {
    let letters: BTreeMap<&str, u64> = status
        .letters
        .iter()
        .map(|one| (one.consumer.as_str(), one.open))
        .collect();
    let heads = ["consumer", "lane", "waiting", "in flight", "oldest"];
    let mut lines = vec![heads.map(str::to_owned)];
    lines.extend(status.consumers.iter().map(|lane| {
        let oldest = lane.oldest_seconds.map_or_else(|| "-".to_owned(), ago);
        let (depth, in_flight) = (lane.depth.to_string(), lane.in_flight.to_string());
        [
            clean(&lane.consumer),
            clean(&lane.lane),
            depth,
            in_flight,
            oldest,
        ]
    }));
    let mut text = output::aligned(&lines);
    // Writing to a String cannot fail.
    let mut line = |words: std::fmt::Arguments<'_>| writeln!(text, "{words}").ok();
    for (consumer, open) in letters.iter().filter(|(_, open)| **open > 0) {
        let consumer = clean(consumer);
        line(format_args!(
            "DEAD LETTERS of {consumer}: {open} unresolved: millrace letters groups --consumer {consumer}"
        ));
    }
    for one in &status.paused {
        let by = one.actor.as_ref().unwrap_or(&one.key_owner);
        let (consumer, since) = (clean(&one.consumer), clean(&one.since));
        let kept = one.deleted_in_seconds.map_or_else(String::new, |left| {
            format!("; SQS deletes its oldest event in {}", ago(left))
        });
        line(format_args!(
            "PAUSED {consumer} since {since} by {}: {}{kept}",
            clean(by),
            clean(&one.reason)
        ));
    }
    text
}

/// A span in its two largest units.
fn ago(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3_600, seconds / 86_400);
    match (days, hours, minutes) {
        (0, 0, 0) => format!("{seconds} s"),
        (0, 0, _) => format!("{minutes} min {} s", seconds % 60),
        (0, _, _) => format!("{hours} h {} min", minutes % 60),
        (_, _, _) => format!("{days} d {} h", hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn lanes_dead_letters_and_paused_consumers_are_shown() {
        let status = json!({
            "consumers": [
                { "consumer": "analytics", "lane": "express", "depth": 0, "in_flight": 0, "letters": 0, "oldest_seconds": null },
                { "consumer": "ledger", "lane": "standard", "depth": 1200, "in_flight": 10, "letters": 3, "oldest_seconds": 3_725 },
            ],
            "letters": [{ "consumer": "ledger", "open": 3 }],
            "paused": [{
                "consumer": "ledger", "since": "2026-01-01T00:00:00.000Z", "reason": "it counts\u{1b}[2J twice", "actor": "ada",
                "key_owner": "on-call", "oldest_seconds": 3_725, "deleted_in_seconds": 1_205_875,
            }],
        });
        let shown = text(&serde_json::from_value(status).expect("a status"));
        let lines: Vec<&str> = shown.lines().collect();
        assert_eq!(lines[0], "consumer   lane      waiting  in flight  oldest");
        assert_eq!(lines[1], "analytics  express   0        0          -");
        assert_eq!(
            lines[2],
            "ledger     standard  1200     10         1 h 2 min"
        );
        assert_eq!(
            lines[3],
            "DEAD LETTERS of ledger: 3 unresolved: millrace letters groups --consumer ledger"
        );
        assert!(
            lines[4].starts_with("PAUSED ledger since 2026-01-01T00:00:00.000Z by ada: it counts"),
            "{shown}"
        );
        assert!(
            lines[4].ends_with("SQS deletes its oldest event in 13 d 22 h"),
            "{shown}"
        );
        assert!(
            !shown.contains('\u{1b}'),
            "what a person wrote moves no cursor"
        );
        assert_eq!(lines.len(), 5);
    }

    #[test]
    fn how_often_it_looks_has_bounds() {
        assert_eq!(every("10s"), Ok(Duration::from_secs(10)));
        for wrong in ["0s", "2h", "often"] {
            assert!(every(wrong).is_err(), "{wrong}");
        }
    }
}
