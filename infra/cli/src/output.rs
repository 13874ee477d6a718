//! Results on standard output, everything else on standard error.

use std::io::{self, Write as _};

use serde::Serialize;

/// What a command fails with.
pub(crate) type Failure = Box<dyn std::error::Error + Send + Sync>;

/// Prints a result: one JSON object.
///
/// # Errors
/// When standard output is closed: a result that nobody got is a failure.
pub(crate) fn result<T: Serialize>(result: &T) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    serde_json::to_writer(&mut stdout, result)?;
    stdout.write_all(b"\n")?;
    stdout.flush()?;
    Ok(())
}

/// Prints a result for people.
///
/// # Errors
/// When standard output is closed.
pub(crate) fn text(text: &str) -> Result<(), Failure> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()?;
    Ok(())
}

/// Says something to the operator. That standard error is closed is no reason to stop, and nowhere to be told.
pub(crate) fn note(text: &str) {
    writeln!(io::stderr().lock(), "{text}").ok();
}
