//! `millrace consumers`: which consumers there are, and which are paused; pause and resume one.
//!
//! The verbs call the stack's API, which records who did it and why, and has Lambda do it.

use std::fmt::Write as _;

use clap::{Args, Subcommand};
use events::ConsumerName;
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    names,
    output::{self, CliError},
    stack_api::{Actor, ApiPlace, StackApi, clean},
};

const CONSUMERS: &str = "/api/v1/consumers";

/// Consumers: list them, pause one, resume it
///
/// A paused consumer takes no events. Its lanes keep them for 14 days; then SQS deletes them. A deployment does not resume
/// it. The verbs need an API key with the scope consumers:read, or consumers:write, in API_KEY.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the consumers with their lanes, and since when, by whom and why one is paused
    #[command(after_help = "Example:\n  millrace consumers list")]
    List(ListArguments),
    /// Pause a consumer: its lanes keep what comes
    #[command(
        after_help = "Example:\n  millrace consumers pause notifications --reason 'it mails everybody twice'"
    )]
    Pause(ChangeArguments),
    /// Resume a consumer: it handles what has waited
    #[command(
        after_help = "Example:\n  millrace consumers resume notifications --reason 'the template is corrected'"
    )]
    Resume(ChangeArguments),
}

#[derive(Debug, Args)]
pub(crate) struct ListArguments {
    #[command(flatten)]
    api: ApiPlace,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

#[derive(Debug, Args)]
pub(crate) struct ChangeArguments {
    #[command(flatten)]
    by: Actor,
    /// The consumer
    #[arg(value_parser = names::consumer)]
    name: ConsumerName,
    /// Why you do this. It is recorded
    #[arg(long, value_name = "TEXT")]
    reason: String,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(crate) async fn run(command: Command) -> Result<(), CliError> {
    match command {
        Command::List(arguments) => list(arguments).await,
        Command::Pause(arguments) => change("pause", arguments).await,
        Command::Resume(arguments) => change("resume", arguments).await,
    }
}

#[derive(Debug, Deserialize)]
struct Consumers {
    items: Vec<Consumer>,
}

#[derive(Debug, Deserialize)]
struct Consumer {
    consumer: String,
    lanes: Vec<String>,
    paused: Option<Paused>,
}

#[derive(Debug, Deserialize)]
struct Paused {
    since: String,
    reason: String,
    actor: Option<String>,
    key_owner: String,
}

async fn list(arguments: ListArguments) -> Result<(), CliError> {
    let api = StackApi::open(arguments.api).await?;
    let answer = api.get(CONSUMERS, &[]).await?;
    if arguments.json {
        return output::result(&answer);
    }
    let consumers: Consumers = api.read(answer)?;
    output::text(&listed(&consumers))
}

fn listed(consumers: &Consumers) -> String {
    let mut text = String::new();
    // Writing to a String cannot fail.
    let mut line = |words: std::fmt::Arguments<'_>| writeln!(text, "{words}").ok();
    for one in &consumers.items {
        let lanes = if one.lanes.is_empty() {
            "not deployed".to_owned()
        } else {
            one.lanes.join(", ")
        };
        line(format_args!(
            "{:<24} {}",
            clean(&one.consumer),
            clean(&lanes)
        ));
        if let Some(paused) = &one.paused {
            let by = paused.actor.as_ref().unwrap_or(&paused.key_owner);
            let (since, by, reason) = (clean(&paused.since), clean(by), clean(&paused.reason));
            line(format_args!("    PAUSED since {since} by {by}: {reason}"));
        }
    }
    text
}

async fn change(step: &str, arguments: ChangeArguments) -> Result<(), CliError> {
    let name = arguments.name;
    let api = StackApi::open_for(arguments.by).await?;
    let path = format!("{CONSUMERS}/{name}/{step}");
    let reason = json!({ "reason": arguments.reason });
    let answer = api.command(&path, &reason).await?;
    if arguments.json {
        return output::result(&answer);
    }
    output::text(&changed(name.as_str(), &answer))
}

fn changed(name: &str, answer: &Value) -> String {
    let status = clean(answer["status"].as_str().unwrap_or_default());
    let applied = if answer["applied"] == true {
        ""
    } else {
        "; Lambda has not accepted it yet: operator-worker tries again every minute"
    };
    let note = answer["note"]
        .as_str()
        .map_or(String::new(), |note| format!("\n{}", clean(note)));
    format!("{name}: {status}{applied}{note}\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_paused_consumer_is_shown_with_who_and_why() {
        let consumers = json!({ "items": [
            { "consumer": "analytics", "lanes": ["express", "standard"], "paused": null },
            { "consumer": "gone", "lanes": [], "paused": {
                "since": "2026-01-01T00:00:00.000Z", "reason": "it counts twice", "actor": null, "key_owner": "on-call" } },
        ] });
        let shown = listed(&serde_json::from_value(consumers).expect("consumers"));
        assert_eq!(
            shown,
            "analytics                express, standard\n\
             gone                     not deployed\n    \
                 PAUSED since 2026-01-01T00:00:00.000Z by on-call: it counts twice\n"
        );
    }

    #[test]
    fn what_lambda_has_not_accepted_is_said() {
        let answer = json!({ "status": "paused", "applied": true });
        assert_eq!(changed("analytics", &answer), "analytics: paused\n");
        let later = changed(
            "analytics",
            &json!({ "status": "paused", "applied": false }),
        );
        assert!(later.contains("operator-worker"), "{later}");
    }
}
