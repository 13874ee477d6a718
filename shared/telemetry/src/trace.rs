//! Trace context. It is read from W3C's `traceparent` or from X-Ray's header, and written as `traceparent`, which
//! events carry. For the bus, the relay converts it back to X-Ray's header (`outbox::relay`).

use std::{fmt, str::FromStr};

/// The text is not a trace header.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct NotTrace;

impl fmt::Display for NotTrace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("neither a W3C traceparent nor an X-Ray trace header")
    }
}

impl std::error::Error for NotTrace {}

/// A position in a trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceContext {
    trace_id: u128,
    parent_id: u64,
    sampled: bool,
}

/// A fixed number of hexadecimal digits, not all zero. `from_str_radix` alone would also accept a sign.
fn hex(text: &str, digits: usize) -> Option<u128> {
    (text.len() == digits && text.bytes().all(|byte| byte.is_ascii_hexdigit()))
        .then(|| u128::from_str_radix(text, 16).ok())
        .flatten()
        .filter(|number| *number != 0)
}

impl TraceContext {
    /// Reads W3C's `traceparent` (<https://www.w3.org/TR/trace-context/>): version 00, and of later versions the part
    /// that version 00 defines.
    #[must_use]
    pub fn from_traceparent(text: &str) -> Option<Self> {
        let mut parts = text.trim().split('-');
        let (version, trace_id, parent_id, flags) =
            (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let lower_hex = |part: &str| {
            part.bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b))
        };
        if version.len() != 2
            || !lower_hex(version)
            || version == "ff"
            || flags.len() != 2
            || !lower_hex(flags)
        {
            return None;
        }
        if version == "00" && parts.next().is_some() {
            return None;
        }
        if !lower_hex(trace_id) || !lower_hex(parent_id) {
            return None;
        }
        Some(Self {
            trace_id: hex(trace_id, 32)?,
            parent_id: u64::try_from(hex(parent_id, 16)?).ok()?,
            sampled: u8::from_str_radix(flags, 16).ok()? & 1 == 1,
        })
    }

    /// Reads X-Ray's header, as Lambda and API Gateway pass it: `Root=1-…;Parent=…;Sampled=1`
    /// (<https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html>).
    ///
    /// If there is no `Parent` yet, the second half of the root replaces it: a traceparent must have one, and this one
    /// is the same wherever it is derived. Without `Sampled` the trace counts as not sampled.
    #[must_use]
    pub fn from_xray(text: &str) -> Option<Self> {
        let (mut root, mut parent, mut sampled) = (None, None, false);
        for part in text.split(';') {
            match part.trim().split_once('=') {
                Some(("Root", value)) => root = Some(value),
                Some(("Parent", value)) => parent = Some(value),
                Some(("Sampled", value)) => sampled = value == "1",
                _ => {}
            }
        }
        let (version, rest) = root?.split_once('-')?;
        let (seconds, unique) = rest.split_once('-')?;
        if version != "1" || seconds.len() != 8 || unique.len() != 24 {
            return None;
        }
        let trace_id = hex(&format!("{seconds}{unique}"), 32)?;
        let parent_id = match parent {
            Some(parent) => hex(parent, 16)?,
            None => trace_id & u128::from(u64::MAX),
        };
        Some(Self {
            trace_id,
            parent_id: u64::try_from(parent_id).ok().filter(|id| *id != 0)?,
            sampled,
        })
    }

    /// W3C's `traceparent`.
    #[must_use]
    pub fn traceparent(&self) -> String {
        format!(
            "00-{:032x}-{:016x}-{:02x}",
            self.trace_id,
            self.parent_id,
            u8::from(self.sampled)
        )
    }

    /// Whether the trace is recorded.
    #[must_use]
    pub fn is_sampled(&self) -> bool {
        self.sampled
    }
}

/// Reads a `traceparent` or X-Ray's header.
impl FromStr for TraceContext {
    type Err = NotTrace;
    fn from_str(text: &str) -> Result<Self, NotTrace> {
        Self::from_traceparent(text)
            .or_else(|| Self::from_xray(text))
            .ok_or(NotTrace)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]

    use super::*;

    const XRAY: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1";
    const TRACEPARENT: &str = "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01";

    #[test]
    fn either_form_gives_the_traceparent() {
        assert_eq!(
            XRAY.parse::<TraceContext>().unwrap().traceparent(),
            TRACEPARENT
        );
        assert_eq!(
            TRACEPARENT.parse::<TraceContext>().unwrap().traceparent(),
            TRACEPARENT
        );
        assert!(TRACEPARENT.parse::<TraceContext>().unwrap().is_sampled());
    }

    #[test]
    fn lambdas_lineage_and_any_order_are_understood() {
        let context = TraceContext::from_xray(
            "Sampled=0; Lineage=1:fc3b4ff1:0;Parent=53995c3f42cd8ad8;Root=1-5759e988-bd862e3fe1be46a994272793",
        )
        .unwrap();
        assert_eq!(
            context.traceparent(),
            "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-00"
        );
    }

    #[test]
    fn a_root_without_parent_gets_a_stable_one() {
        let context = TraceContext::from_xray("Root=1-5759e988-bd862e3fe1be46a994272793").unwrap();
        assert_eq!(
            context.traceparent(),
            "00-5759e988bd862e3fe1be46a994272793-e1be46a994272793-00"
        );
    }

    #[test]
    fn a_later_traceparent_version_is_read_as_far_as_known() {
        let context =
            TraceContext::from_traceparent(&format!("cc{}-what-else", &TRACEPARENT[2..])).unwrap();
        assert_eq!(context.traceparent(), TRACEPARENT);
    }

    #[test]
    fn what_is_no_trace_is_refused() {
        for text in [
            "",
            "00",
            "00-00000000000000000000000000000000-53995c3f42cd8ad8-01",
            "00-5759e988bd862e3fe1be46a994272793-0000000000000000-01",
            "00-5759E988BD862E3FE1BE46A994272793-53995c3f42cd8ad8-01",
            "00-+759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01",
            "00-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01-more",
            "ff-5759e988bd862e3fe1be46a994272793-53995c3f42cd8ad8-01",
            "Root=2-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8",
            "Root=1-5759e988-bd862e3fe1be46a99427279;Parent=53995c3f42cd8ad8",
            "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=zz995c3f42cd8ad8",
            "Parent=53995c3f42cd8ad8;Sampled=1",
            "Root=é-ééé",
        ] {
            assert_eq!(text.parse::<TraceContext>(), Err(NotTrace), "{text:?}");
        }
    }
}
