//! `millrace`: the operator's tool.
//!
//! Results for programs are one JSON object on standard output. Progress, warnings and errors go to standard error.
//! Exit status: 0 done; 1 failed or not finished (an audit: something is wrong); 2 wrong arguments (an audit: it could
//! not be done).

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::{
    chain, check, check_log, completions, consumers, contracts, events, jobs, keys, letters,
    notifications, operations,
    output::{self, UsageError},
    place::PlaceError,
    replay, republish, status,
};

/// The operator's tool of Millrace: look events up, audit a stack, handle dead letters, replay events to a consumer, make
/// API keys, publish what is pending.
///
/// It finds the stack by --stack or --resources; else by STACK_NAME or STACK_RESOURCES, as `source .local/env` sets
/// them; else, inside a checkout, by the file `.local/env` that `make up` wrote. Endpoint, region and credentials are
/// those of --region and --profile, else the AWS SDK's own (AWS_ENDPOINT_URL, AWS_REGION, AWS_PROFILE, …), or those of
/// `.local/env`. Every kind of credentials that the AWS CLI takes will do.
#[derive(Debug, Parser)]
#[command(
    name = "millrace",
    version,
    after_help = "Examples:\n  \
        millrace events recent --limit 3           the newest events of the local AWS that `make up` started\n  \
        millrace audit --stack millrace-prod       the audit of a stack in the account of your credentials\n  \
        millrace help events recent                more about one verb"
)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

// The verbs that have no comment here take their help from the type of their arguments.
#[derive(Debug, Subcommand)]
enum Command {
    Status(status::Arguments),
    #[command(subcommand)]
    Events(events::Command),
    Contracts(contracts::Arguments),
    #[command(subcommand)]
    Letters(Box<letters::Command>),
    #[command(subcommand)]
    Operations(operations::Command),
    Replay(Box<replay::Arguments>),
    #[command(subcommand)]
    Consumers(consumers::Command),
    /// Create, list and delete API keys
    #[command(subcommand)]
    Keys(keys::Command),
    /// Preview the mails and notices, and retry mails that SES refused
    #[command(subcommand)]
    Notifications(notifications::Command),
    /// Show what became of a member's movements on the chain
    #[command(subcommand)]
    Chain(chain::Command),
    Republish(republish::Arguments),
    Jobs(jobs::Arguments),
    Audit(check::Arguments),
    /// Check the audit log and the event log for tampering
    #[command(subcommand)]
    AuditLog(check_log::Command),
    Completions(completions::Arguments),
}

/// The exit status of wrong arguments, as clap's.
const USAGE: u8 = 2;

/// Parses the command line and runs the verb. The result is the exit status of the process.
pub async fn run() -> ExitCode {
    let cli = Cli::parse();
    // The libraries' warnings. Standard output is for results.
    tracing_subscriber::fmt()
        .with_writer(std::io::stderr)
        .with_max_level(tracing_subscriber::filter::LevelFilter::WARN)
        .init();
    let done = match cli.command {
        Command::Status(arguments) => status::run(arguments).await,
        Command::Events(command) => events::run(command).await,
        Command::Contracts(arguments) => contracts::run(&arguments),
        Command::Letters(command) => letters::run(*command).await,
        Command::Operations(command) => operations::run(command).await,
        Command::Replay(arguments) => replay::run(*arguments).await,
        Command::Consumers(command) => consumers::run(command).await,
        Command::Keys(command) => keys::run(command).await,
        Command::Notifications(command) => notifications::run(command).await,
        Command::Chain(command) => chain::run(command).await,
        Command::Republish(arguments) => republish::run(arguments).await,
        Command::Jobs(arguments) => jobs::run(arguments).await,
        Command::Audit(arguments) => return check::run(arguments).await,
        Command::AuditLog(command) => return check_log::run(command).await,
        Command::Completions(arguments) => completions::run::<Cli>(&arguments),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            output::note(&format!("millrace: {}", outbox::chain(&*error)));
            let is_usage =
                error.is::<UsageError>() || error.downcast_ref().is_some_and(PlaceError::is_usage);
            if is_usage {
                ExitCode::from(USAGE)
            } else {
                ExitCode::FAILURE
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
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
    fn every_verb_that_calls_a_stack_takes_the_stack_its_resources_or_a_local_folder() {
        let parse = |arguments: &[&str]| {
            let all = [&["millrace"], arguments].concat();
            Cli::try_parse_from(all).map(|_| ())
        };
        let letter = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";
        let operation = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";
        let commands: [&[&str]; 32] = [
            &["status"],
            &["status", "--watch", "--every", "10s"],
            &["consumers", "list"],
            &["consumers", "pause", "analytics", "--reason", "r"],
            &["consumers", "resume", "analytics", "--reason", "r"],
            &["letters", "list"],
            &["letters", "groups"],
            &["letters", "show", letter],
            &["letters", "note", "0123456789abcdef", "text"],
            &["letters", "redrive", letter, "--reason", "r"],
            &["letters", "discard", "--all", "--reason", "r"],
            &["letters", "edit", letter, "--file", "f", "--reason", "r"],
            &["operations", "list"],
            &["operations", "show", operation],
            &["operations", "pause", operation, "--reason", "r"],
            &["operations", "resume", operation, "--reason", "r"],
            &["operations", "cancel", operation, "--reason", "r"],
            &["operations", "republish", "--reason", "r"],
            &[
                "replay",
                "--consumer",
                "c",
                "--before-it-began",
                "--reason",
                "r",
            ],
            &["events", "recent"],
            &["events", "show", "0190a1b2-c3d5-7e5f-8a9b-0c1d2e3f4a5b"],
            &["events", "journey", "0190a1b2-c3d5-7e5f-8a9b-0c1d2e3f4a5b"],
            &["events", "stats"],
            &["keys", "create", "--owner", "o", "--scopes", "*"],
            &["keys", "list"],
            &["keys", "delete", "k"],
            &["jobs"],
            &["republish"],
            &["audit"],
            &["audit-log", "verify"],
            &["chain", "jobs", "--member", "m"],
            &["notifications", "failed"],
        ];
        for command in commands {
            for place in [
                &[][..],
                &["--stack", "s"],
                &["--resources", "file"],
                &["--local", ".local2"],
                &[
                    "--stack",
                    "s",
                    "--region",
                    "eu-central-1",
                    "--profile",
                    "prod",
                ],
            ] {
                let given = parse(&[command, place].concat());
                assert!(given.is_ok(), "{command:?} {place:?}: {given:?}");
            }
        }
        assert!(parse(&["status", "--every", "10s"]).is_err());
        for shell in ["bash", "zsh", "fish"] {
            assert!(parse(&["completions", shell]).is_ok(), "{shell}");
        }
        // The file of a local AWS has region and credentials of its own.
        assert!(parse(&["jobs", "--local", ".local2", "--profile", "prod"]).is_err());
        assert!(parse(&["keys", "list", "--table", "t"]).is_ok());
        assert!(parse(&["jobs", "--table", "t"]).is_ok());
        // One without the other would publish another stack's events.
        assert!(parse(&["republish", "--table", "t", "--stack", "s"]).is_err());
        assert!(parse(&["republish", "--bus", "b", "--stack", "s"]).is_err());
    }

    #[test]
    fn letters_are_redriven_and_discarded_only_by_choice_and_with_a_reason() {
        for verb in ["redrive", "discard"] {
            let parse = |more: &[&str]| {
                let all = [&["millrace", "letters", verb], more].concat();
                Cli::try_parse_from(all).map(|_| ())
            };
            for wrong in [
                &[][..],
                &["--reason", "r"],
                &["--reason", "r", "--yes"],
                &["--all"],
            ] {
                assert!(parse(wrong).is_err(), "{verb} {wrong:?}");
            }
            assert!(parse(&["--all", "--reason", "r"]).is_ok());
        }
    }

    #[test]
    fn every_verb_says_what_it_is_for_and_gives_an_example() {
        fn check(command: &clap::Command, path: &str) {
            let about = command.get_about().expect(path).to_string();
            assert!(!about.is_empty(), "{path}");
            if command.has_subcommands() {
                for below in command.get_subcommands() {
                    check(below, &format!("{path} {}", below.get_name()));
                }
                return;
            }
            let example = command.get_after_help().map(ToString::to_string);
            assert!(
                example.is_some_and(|example| example.contains(&format!("  {path}"))),
                "{path} has no example of itself"
            );
        }
        check(&Cli::command(), "millrace");
    }

    #[test]
    fn every_verb_takes_json_but_the_one_that_prints_a_script() {
        fn without(command: &clap::Command, path: &str, found: &mut Vec<String>) {
            for below in command.get_subcommands() {
                let path = format!("{path} {}", below.get_name());
                let takes = |one: &clap::Arg| one.get_long() == Some("json");
                if !below.has_subcommands() && !below.get_arguments().any(takes) {
                    found.push(path.clone());
                }
                without(below, &path, found);
            }
        }
        let mut found = Vec::new();
        without(&Cli::command(), "millrace", &mut found);
        assert_eq!(found, ["millrace completions"]);
    }

    #[test]
    fn an_unknown_name_is_answered_with_the_nearest() {
        for (arguments, nearest) in [
            (&["events", "recent", "--domain", "laon"][..], "loan"),
            (&["audit", "--aggregate", "clod_account/m"], "cloud_account"),
            (&["audit-log", "verify", "--aggregate", "lone/m"], "loan"),
            (&["jobs", "cloud-reconcil"], "cloud-reconcile"),
            (&["events", "stats", "--by", "produce"], "producer"),
            (&["letters", "list", "--state", "opened"], "open"),
            (&["event"], "events"),
        ] {
            let all = [&["millrace"], arguments].concat();
            let refused = Cli::try_parse_from(all).expect_err("an unknown name");
            let message = refused.to_string();
            assert!(message.contains(nearest), "{message}");
        }
    }
}
