//! Results on standard output, everything else on standard error.

use std::io::{self, IsTerminal as _, Write as _};

use clap::Args;
use serde::Serialize;

/// The error of a verb.
pub(crate) type CliError = Box<dyn std::error::Error + Send + Sync>;

/// `--json` of a verb whose results are never anything else, so that a program can give it to every verb.
#[derive(Debug, Args)]
pub(crate) struct AlwaysJson {
    /// Print one JSON object, as this verb always does
    #[arg(long = "json")]
    _json: bool,
}

/// A failure for which the command line or the environment has to be changed: exit status 2.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// Prints a result: one JSON object.
///
/// # Errors
/// If standard output is closed: a result that is not delivered is a failure.
pub(crate) fn result<T: Serialize>(result: &T) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    serde_json::to_writer(&mut stdout, result)?;
    stdout.write_all(b"\n")?;
    stdout.flush()?;
    Ok(())
}

/// Prints a result for people.
///
/// # Errors
/// If standard output is closed.
pub(crate) fn text(text: &str) -> Result<(), CliError> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

/// Prints lines for people, in aligned columns.
///
/// # Errors
/// If standard output is closed.
pub(crate) fn table<const COLUMNS: usize>(lines: &[[String; COLUMNS]]) -> Result<(), CliError> {
    text(&aligned(lines))
}

/// Lines in aligned columns, as text.
pub(crate) fn aligned<const COLUMNS: usize>(lines: &[[String; COLUMNS]]) -> String {
    let mut widths = [0; COLUMNS];
    for line in lines {
        for (width, cell) in widths.iter_mut().zip(line) {
            *width = cell.chars().count().max(*width);
        }
    }
    let mut page = String::new();
    for line in lines {
        let cells = line.iter().zip(widths);
        let padded: Vec<String> = cells
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        page.push_str(padded.join("  ").trim_end());
        page.push('\n');
    }
    page
}

/// Prints a message for the operator on standard error. A closed standard error is ignored: no other place could report
/// it.
pub(crate) fn note(text: &str) {
    writeln!(io::stderr().lock(), "{text}").ok();
}

/// Asks on the terminal.
///
/// # Errors
/// If standard error or standard input cannot be used.
pub(crate) fn confirmed(question: &str) -> io::Result<bool> {
    write!(io::stderr().lock(), "{question}? [y/N] ")?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(is_yes(&answer))
}

fn is_yes(answer: &str) -> bool {
    ["y", "yes"].contains(&answer.trim().to_lowercase().as_str())
}

/// Refuses a verb that asks where nobody can answer.
///
/// # Errors
/// [`UsageError`] if standard input is no terminal.
pub(crate) fn must_be_able_to_ask() -> Result<(), UsageError> {
    if io::stdin().is_terminal() {
        return Ok(());
    }
    let why = "there is no terminal on which to ask: --yes begins without asking, --dry-run only shows what would be begun";
    Err(UsageError(why.to_owned()))
}

#[cfg(test)]
mod tests {
    #[test]
    fn only_a_yes_is_a_yes() {
        for yes in ["y\n", "YES", " yes "] {
            assert!(super::is_yes(yes), "{yes:?}");
        }
        for no in ["", "\n", "n", "yesterday", "ja"] {
            assert!(!super::is_yes(no), "{no:?}");
        }
    }

    #[test]
    fn columns_are_aligned_and_lines_end_with_their_last_word() {
        let lines = [["a", "é", "x"], ["long", "", ""]].map(|line| line.map(str::to_owned));
        assert_eq!(super::aligned(&lines), "a     é  x\nlong\n");
    }
}
