//! Logs, metrics and trace context, the same in every function.
//!
//! * [`init`], once, before anything else: JSON logs on standard output, one object per line.
//! * [`metrics`]: CloudWatch's embedded metric format; names and units are types, so that a typo cannot open a series.
//! * [`trace`]: W3C `traceparent` and X-Ray's header, each from the other.
//!
//! A line never holds a payload: fields are identities, counts, durations and outcomes.

mod logs;
pub mod metrics;
pub mod trace;

pub use logs::init;
pub use trace::TraceContext;

/// Writes one line to standard output in one piece.
///
/// Whoever reads standard output is gone when this fails, and with it the place where the failure could be told: the
/// one error in the bundle that is dropped without a word.
fn write_line(line: &str) {
    use std::io::Write as _;

    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(line.as_bytes())
        .and_then(|()| stdout.write_all(b"\n"))
        .and_then(|()| stdout.flush())
        .ok();
}
