//! `millrace`: the operator's tool.
//!
//! What a program may read comes as one JSON object on standard output; progress, warnings and errors go to standard
//! error. Exit status: 0 done, 1 failed or not finished (of an audit: something is wrong), 2 wrong arguments (of an audit:
//! it could not be made).

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::{
    chain, check, check_log, contracts, events, jobs, keys, notifications, output, republish,
};

/// The operator's tool of Millrace. Endpoint, region and credentials are the AWS SDK's own (AWS_ENDPOINT_URL, AWS_REGION,
/// AWS_PROFILE, …); tables, queues, bus and key are found among the stack's resources.
#[derive(Debug, Parser)]
#[command(name = "millrace", version)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Events: what happened lately, one of them, what became of it, how many there were.
    #[command(subcommand)]
    Events(events::Command),
    /// The event types: who tells them, who listens, their schemas.
    Contracts(contracts::Arguments),
    /// API keys.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Notifications: what they look like, and the mails that were refused.
    #[command(subcommand)]
    Notifications(notifications::Command),
    /// The chain: what became of a member's movements there.
    #[command(subcommand)]
    Chain(chain::Command),
    /// Publish events that are still pending: the way back after outages longer than the stream remembers (24 hours).
    Republish(republish::Arguments),
    /// Show the scheduled jobs: who runs, where the pass stands, how the last runs ended.
    Jobs(jobs::Arguments),
    /// Look whether every event went all its way once, and whether the books agree with the log.
    Audit(check::Arguments),
    /// The audit log: whether anything in it, or in the event log, was tampered with.
    #[command(subcommand)]
    AuditLog(check_log::Command),
}

/// Does what the command line says; the answer is the process's exit status.
pub async fn run() -> ExitCode {
    // Whoever names a stack means that one, whatever file an environment that was sourced for another one names.
    let names_a_stack = std::env::args().any(|one| one == "--stack" || one.starts_with("--stack="));
    let command = if names_a_stack {
        without_environment(Cli::command(), "resources")
    } else {
        Cli::command()
    };
    let cli = Cli::from_arg_matches(&command.get_matches()).unwrap_or_else(|error| error.exit());
    // The libraries' warnings; standard output is for results.
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .init();
    let done = match cli.command {
        Command::Events(command) => events::run(command).await,
        Command::Contracts(arguments) => contracts::run(&arguments),
        Command::Keys(command) => keys::run(command).await,
        Command::Notifications(command) => notifications::run(command).await,
        Command::Chain(command) => chain::run(command).await,
        Command::Republish(arguments) => republish::run(arguments).await,
        Command::Jobs(arguments) => jobs::run(arguments).await,
        Command::Audit(arguments) => return check::run(arguments).await,
        Command::AuditLog(command) => return check_log::run(command).await,
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::note(&format!("millrace: {}", outbox::chain(&*error)));
            ExitCode::FAILURE
        }
    }
}

/// The command and those below it, without the environment variable of an argument.
fn without_environment(command: clap::Command, name: &str) -> clap::Command {
    command
        .mut_args(|argument| {
            if argument.get_id() == name {
                argument.env(clap::builder::Resettable::Reset)
            } else {
                argument
            }
        })
        .mut_subcommands(|below| without_environment(below, name))
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[test]
    fn the_arguments_are_well_formed() {
        Cli::command().debug_assert();
    }

    #[test]
    fn wrong_owners_scopes_rates_and_spans_are_refused_before_anything_is_done() {
        let create = |owner: &str, scopes: &str| {
            Cli::try_parse_from([
                "millrace", "keys", "create", "--table", "t", "--owner", owner, "--scopes", scopes,
            ])
        };
        assert!(create("local", "*").is_ok());
        assert!(create("local", "cloud:read,cloud:write").is_ok());
        assert!(create("a#b", "*").is_err());
        assert!(create("local", "cloud").is_err());
        assert!(create("local", "").is_err());
        let republish = |name: &str, value: &str| {
            Cli::try_parse_from([
                "millrace",
                "republish",
                "--table",
                "t",
                "--bus",
                "b",
                name,
                value,
            ])
        };
        assert!(republish("--rate", "50").is_ok());
        assert!(republish("--rate", "0").is_err());
        assert!(republish("--older-than", "1h").is_ok());
        assert!(republish("--older-than", "1").is_err());
        assert!(republish("--limit", "0").is_err());
    }

    #[test]
    fn a_command_wants_to_know_where_and_takes_the_stack_its_resources_or_a_table() {
        // Whatever the environment says: `make test` names its stack there.
        let parse = |arguments: &[&str]| {
            ["stack", "resources", "table", "bus"]
                .into_iter()
                .fold(Cli::command(), without_environment)
                .try_get_matches_from([&["millrace"], arguments].concat())
                .map(|_| ())
        };
        let commands: [&[&str]; 11] = [
            &["events", "recent"],
            &["events", "show", "0190a1b2-c3d5-7e5f-8a9b-0c1d2e3f4a5b"],
            &["events", "journey", "0190a1b2-c3d5-7e5f-8a9b-0c1d2e3f4a5b"],
            &["events", "stats"],
            &["keys", "list"],
            &["jobs"],
            &["republish"],
            &["audit"],
            &["audit-log", "verify"],
            &["chain", "jobs", "--member", "m"],
            &["notifications", "failed"],
        ];
        for command in commands {
            let missing = parse(command).expect_err("it is not said where");
            assert_eq!(
                missing.kind(),
                clap::error::ErrorKind::MissingRequiredArgument,
                "{command:?}"
            );
            for place in [["--stack", "s"], ["--resources", "file"]] {
                let given = parse(&[command, &place].concat());
                assert!(given.is_ok(), "{command:?} {place:?}: {given:?}");
            }
        }
        assert!(parse(&["keys", "list", "--table", "t"]).is_ok());
        assert!(parse(&["jobs", "--table", "t"]).is_ok());
        // One without the other would publish another stack's events.
        assert!(parse(&["republish", "--table", "t", "--stack", "s"]).is_err());
        assert!(parse(&["republish", "--bus", "b", "--stack", "s"]).is_err());
    }
}
