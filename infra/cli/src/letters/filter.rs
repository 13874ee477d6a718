//! Which letters a verb is about: options of the command line, as criteria of the API.

use std::time::Duration;

use clap::{Args, builder::PossibleValuesParser};
use events::Timestamp;
use letters::listing::states;
use serde_json::{Map, Value};

use crate::{names, output, span};

/// The options by which letters are chosen. Only letters that fit every one of them are meant. The reason for which a
/// letter was parked is not among them: of `redrive` and `discard`, `--reason` is the reason of the operator.
#[derive(Debug, Clone, Default, Args)]
pub(crate) struct Filter {
    /// Only letters of this consumer; `unknown`: those of which nothing tells the consumer
    #[arg(long, value_name = "NAME", help_heading = "Which letters")]
    consumer: Option<String>,
    /// Only letters with an event of this type, such as loan.funded
    #[arg(long = "type", value_name = "TYPE", help_heading = "Which letters")]
    event_type: Option<String>,
    /// Only letters of this group, as `letters groups` shows it
    #[arg(
        long,
        value_name = "ID",
        visible_alias = "group",
        value_parser = signature_id,
        help_heading = "Which letters"
    )]
    signature: Option<String>,
    /// Only letters with an event about this, such as wallet/user-123
    #[arg(long, value_name = "TYPE/ID", value_parser = aggregate, help_heading = "Which letters")]
    aggregate: Option<(String, String)>,
    /// Only letters with an event of this tenant
    #[arg(long, value_name = "ID", help_heading = "Which letters")]
    tenant: Option<String>,
    /// Only letters in this state. Default: unresolved, which is open, redriving and failed_again
    #[arg(
        long,
        value_name = "STATE",
        value_parser = PossibleValuesParser::new(states()),
        help_heading = "Which letters"
    )]
    state: Option<String>,
    /// Only letters last parked within this time: 90s, 30m, 24h, 7d
    #[arg(
        long,
        value_name = "SPAN",
        value_parser = span::parse,
        conflicts_with_all = ["from", "to"],
        help_heading = "Which letters"
    )]
    since: Option<Duration>,
    /// Only letters last parked at this time or later: 2026-04-01, or 2026-04-01T12:30:00Z
    #[arg(long, value_name = "TIME", value_parser = moment, help_heading = "Which letters")]
    from: Option<Timestamp>,
    /// Only letters last parked before this time
    #[arg(long, value_name = "TIME", value_parser = moment, help_heading = "Which letters")]
    to: Option<Timestamp>,
    /// Only letters with this text in the error, an id or the type, in upper or lower case
    #[arg(long, value_name = "TEXT", help_heading = "Which letters")]
    q: Option<String>,
}

/// Criteria under the names that the API has for them, in queries and in bodies.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Criteria(Vec<(&'static str, String)>);

impl Filter {
    /// The criteria at this time. `reason`: why the letters were parked.
    pub(super) fn criteria(&self, reason: Option<&str>, now: Timestamp) -> Criteria {
        let (kind, id) = self.aggregate.clone().unzip();
        let since = self.since.map(|span| now.minus(span));
        let time = |time: Timestamp| time.to_string();
        let all = [
            ("consumer", self.consumer.clone()),
            ("event_type", self.event_type.clone()),
            ("reason", reason.map(str::to_owned)),
            ("signature", self.signature.clone()),
            ("aggregate_type", kind),
            ("aggregate_id", id),
            ("tenant", self.tenant.clone()),
            ("state", self.state.clone()),
            ("from", self.from.or(since).map(time)),
            ("to", self.to.map(time)),
            ("q", self.q.clone()),
        ];
        let given = all
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)));
        Criteria(given.collect())
    }

    /// Warns of names that this tool does not know. It is the API that refuses them: the stack may be of another version
    /// than this tool, and letters outlive their consumer and their event type.
    pub(super) fn warn_of_unknown_names(&self) {
        let consumer = self.consumer.as_deref().and_then(names::unknown_consumer);
        let event_type = self.event_type.as_deref().and_then(names::unknown_type);
        for unknown in consumer.into_iter().chain(event_type) {
            output::note(&format!("millrace: {unknown}"));
        }
    }

    /// Whether the state was chosen.
    pub(super) const fn has_state(&self) -> bool {
        self.state.is_some()
    }
}

impl Criteria {
    /// For a query.
    pub(super) fn query(self) -> Vec<(&'static str, String)> {
        self.0
    }

    /// For a body.
    pub(super) fn body(self) -> Value {
        let members = self.0.into_iter();
        let members: Map<_, _> = members
            .map(|(name, value)| (name.to_owned(), Value::String(value)))
            .collect();
        members.into()
    }
}

/// Reads a time or a day.
pub(crate) fn moment(text: &str) -> Result<Timestamp, String> {
    let expected =
        "a day (2026-04-01, midnight UTC) or a time with its offset (2026-04-01T12:30:00Z)";
    Timestamp::read(text).map_err(|_| expected.to_owned())
}

/// Reads an aggregate. Its type is not checked: letters may be about events of other repositories.
fn aggregate(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((kind, id)) if !kind.is_empty() && !id.is_empty() => {
            Ok((kind.to_owned(), id.to_owned()))
        }
        _ => Err("type/id, e.g. wallet/user-123".to_owned()),
    }
}

/// Reads a group's id. It becomes a part of a path, so its form is checked.
pub(super) fn signature_id(text: &str) -> Result<String, String> {
    let is_digit = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
    if text.len() == 16 && text.bytes().all(is_digit) {
        Ok(text.to_owned())
    } else {
        Err("a group's id has 16 lower-case hexadecimal digits".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        filter: Filter,
    }

    fn filter(arguments: &[&str]) -> Result<Filter, clap::Error> {
        let line = Line::try_parse_from([&["x"], arguments].concat())?;
        Ok(line.filter)
    }

    #[test]
    fn every_option_is_a_criterion_under_the_name_of_the_api() {
        let all = filter(&[
            "--consumer",
            "notifications",
            "--type",
            "loan.funded",
            "--group",
            "0123456789abcdef",
            "--aggregate",
            "wallet/a/b",
            "--tenant",
            "acme",
            "--state",
            "open",
            "--from",
            "2026-04-01",
            "--to",
            "2026-04-01T14:30:00+02:00",
            "--q",
            "is closed",
        ]);
        let criteria = all
            .expect("valid")
            .criteria(Some("rejected"), Timestamp::EPOCH);
        let expected = [
            ("consumer", "notifications"),
            ("event_type", "loan.funded"),
            ("reason", "rejected"),
            ("signature", "0123456789abcdef"),
            ("aggregate_type", "wallet"),
            ("aggregate_id", "a/b"),
            ("tenant", "acme"),
            ("state", "open"),
            ("from", "2026-04-01T00:00:00.000Z"),
            ("to", "2026-04-01T12:30:00.000Z"),
            ("q", "is closed"),
        ];
        let expected = expected.map(|(name, value)| (name, value.to_owned()));
        assert_eq!(criteria.clone().query(), expected);
        // The API's own type takes the body, and no member is unknown to it.
        let body = criteria.body();
        let read: events::contracts::operation::LetterCriteria =
            serde_json::from_value(body.clone()).expect("criteria");
        assert_eq!(serde_json::to_value(read).expect("JSON"), body);
    }

    #[test]
    fn no_option_is_no_criterion_and_a_span_ends_now() {
        let none = filter(&[]).expect("valid");
        assert_eq!(none.criteria(None, Timestamp::EPOCH), Criteria::default());
        let now = Timestamp::EPOCH.plus(Duration::from_secs(7_200));
        let since = filter(&["--since", "1h"]).expect("valid");
        assert_eq!(
            since.criteria(None, now).query(),
            [("from", "1970-01-01T01:00:00.000Z".to_owned())]
        );
    }

    #[test]
    fn what_no_letter_can_have_is_refused() {
        for wrong in [
            &["--since", "1h", "--from", "2026-04-01"][..],
            &["--since", "soon"],
            &["--from", "yesterday"],
            &["--aggregate", "wallet"],
            &["--signature", "../operations"],
            &["--signature", "0123456789ABCDEF"],
            &["--state", "opened"],
        ] {
            assert!(filter(wrong).is_err(), "{wrong:?}");
        }
    }
}
