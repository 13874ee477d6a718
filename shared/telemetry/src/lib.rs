//! Logs, metrics and trace context, the same for every function.
//!
//! * [`init`] starts JSON logs on standard output, one object per line. Call it once, before anything else.
//! * [`metrics`] writes CloudWatch's embedded metric format. Names and units are types, so that a typo cannot create a
//!   series.
//! * [`trace`] converts between W3C `traceparent` and X-Ray's header.
//!
//! A line never holds a payload, only ids, counts, durations and outcomes.

mod logs;
pub mod metrics;
pub mod trace;

pub use logs::init;
pub use trace::TraceContext;

/// Writes one whole line to standard output.
///
/// This is the only error in the project that is dropped silently: if standard output fails, there is no place left to
/// report the failure.
fn write_line(line: &str) {
    use std::io::Write as _;

    let mut stdout = std::io::stdout().lock();
    stdout
        .write_all(line.as_bytes())
        .and_then(|()| stdout.write_all(b"\n"))
        .and_then(|()| stdout.flush())
        .ok();
}
