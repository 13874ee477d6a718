//! `millrace operations republish`: the events that are still pending, published by the stack's own job.

use std::time::Duration;

use clap::Args;
use events::contracts::operation::RepublishSelection;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{OPERATIONS, Reading, Walk};
use crate::{output::CliError, span, stack_api::Actor};

/// Publish events that are still pending: after an outage longer than the stream remembers (24 hours), or once the cause is
/// mended for which the bus had refused them
///
/// First shows what reading the event log costs, and asks. The stack's own job publishes them: it is recorded who did it and
/// why, and `millrace operations` shows how far it has got, and pauses, resumes or cancels it. Consumers ignore events that
/// arrive twice. Needs an API key with the scope letters:write (and letters:read to watch it) in API_KEY. `millrace republish`
/// does the same from this machine, with credentials of the account, when the API cannot be reached.
#[derive(Debug, Args)]
#[command(after_help = "Examples:\n  \
    millrace operations republish --reason 'the stream was off' --dry-run\n  \
    millrace operations republish --include-failed --reason 'the role may publish again' --wait")]
pub(crate) struct Arguments {
    #[command(flatten)]
    by: Actor,
    /// Only events committed at least this long ago (90s, 30m, 24h, 7d): the relay still gets younger ones from the stream
    #[arg(long, value_name = "TIME", default_value = "24h", value_parser = span::parse)]
    older_than: Duration,
    /// Also publish events that the bus refused for good. Mend the cause first
    #[arg(long)]
    include_failed: bool,
    /// Publish at most this many events
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    limit: Option<u32>,
    #[command(flatten)]
    walk: Walk,
}

impl Arguments {
    /// The request, without `preview`.
    fn request(&self) -> Value {
        let mut request = self.walk.request();
        request["older_than_seconds"] = self.older_than.as_secs().into();
        if self.include_failed {
            request["include_failed"] = true.into();
        }
        if let Some(limit) = self.limit {
            request["limit"] = json!(limit);
        }
        request
    }
}

/// What a republication would do, as far as its text needs it.
#[derive(Debug, Deserialize)]
struct Preview {
    republish: RepublishSelection,
    #[serde(flatten)]
    reading: Reading,
}

pub(super) async fn run(arguments: Arguments) -> Result<(), CliError> {
    let request = arguments.request();
    let path = format!("{OPERATIONS}/republish");
    let walk = arguments.walk;
    walk.begin::<Preview>(
        arguments.by,
        &path,
        &request,
        "publish what is pending",
        text,
    )
    .await
}

/// Which events it publishes.
pub(super) fn words(of: RepublishSelection) -> String {
    let mut words = format!("pending, committed by {}", of.to);
    if of.include_failed {
        words.push_str(", also those that the bus had refused for good");
    }
    if let Some(limit) = of.limit {
        words.push_str(&format!(", {limit} at most"));
    }
    words
}

/// What it would do.
fn text(preview: &Preview) -> String {
    let mut lines = vec![format!("events to publish: {}", words(preview.republish))];
    lines.push("how many these are is not known before the log is read".to_owned());
    lines.extend(
        preview
            .reading
            .lines("the whole log, unless a limit ends it before"),
    );
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parse(arguments: &[&str]) -> Result<Arguments, clap::Error> {
        let all = [&["x", "--reason", "mended"], arguments].concat();
        Ok(Line::try_parse_from(all)?.arguments)
    }

    #[test]
    fn the_request_has_what_was_said() {
        let request = |arguments: &[&str]| parse(arguments).expect("valid").request();
        assert_eq!(
            request(&[]),
            json!({ "reason": "mended", "older_than_seconds": 86_400 })
        );
        assert_eq!(
            request(&[
                "--older-than",
                "30m",
                "--include-failed",
                "--limit",
                "7",
                "--rate",
                "50"
            ]),
            json!({
                "reason": "mended", "older_than_seconds": 1_800, "include_failed": true, "limit": 7, "rate_per_second": 50,
            })
        );
        for wrong in [
            &["--limit", "0"][..],
            &["--rate", "101"],
            &["--older-than", "soon"],
            &["--dry-run", "--wait"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn a_preview_says_which_events_and_what_reading_costs() {
        let preview: Preview = serde_json::from_value(json!({
            "republish": { "to": "2026-04-01T00:00:00.000Z", "include_failed": true, "limit": 5 },
            "seconds_at_least": 3, "log_rows": 7, "log_bytes": 8, "read_units": 9,
        }))
        .expect("a preview");
        let shown = text(&preview);
        for words in [
            "by 2026-04-01",
            "had refused",
            "5 at most",
            "3 s at least",
            "7 rows",
        ] {
            assert!(shown.contains(words), "{words} is not in {shown}");
        }
    }
}
