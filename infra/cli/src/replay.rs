//! `millrace replay`: events of the event log sent to one consumer, and to no other. Previewed, confirmed, and begun once.
//!
//! The verb calls the stack's API. What may be replayed is decided there.

use clap::{ArgGroup, Args};
use events::{ConsumerName, Timestamp};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{
    letters::moment,
    names,
    operations::{Reading, Walk},
    output::CliError,
    stack_api::{Actor, clean},
};

const REPLAYS: &str = "/api/v1/replays";

/// Send events of the event log to one consumer again, and to no other
///
/// First shows how many events these are, how long it takes and what reading the log costs, and asks. The consumer's marks,
/// guards and cursors make harmless what it has handled. To a consumer by mark, events are sent that are younger than 57
/// days; and what was before it began, once (--before-it-began). A replay is an operation: `millrace operations` lists it,
/// and pauses, resumes or cancels it. Needs an API key with the scope replays:write (and letters:read to watch it) in API_KEY.
#[derive(Debug, Args)]
#[command(group = chosen(), after_help = "Examples:\n  \
    millrace replay --consumer wallet-balances --aggregate wallet_account/user-ada --reason 'the row was deleted' --dry-run\n  \
    millrace replay --consumer activity-feed --from 2026-04-01 --to 2026-04-02 --reason 'the rows of that day are lost'\n  \
    millrace replay --consumer garden-diary --before-it-began --reason 'it is new' --rate 50 --wait")]
pub(crate) struct Arguments {
    #[command(flatten)]
    by: Actor,
    /// The consumer that gets the events
    #[arg(long, value_name = "NAME", value_parser = names::consumer, help_heading = "Which events")]
    consumer: ConsumerName,
    /// Only events about this, such as wallet_account/user-123. They are sent in their order
    #[arg(long, value_name = "TYPE/ID", value_parser = names::aggregate, help_heading = "Which events")]
    aggregate: Option<(String, String)>,
    /// Only events of this type, such as loan.funded; can be given several times
    #[arg(long = "type", value_name = "TYPE", help_heading = "Which events")]
    event_types: Vec<String>,
    /// Only events committed at this time or later: 2026-04-01, or 2026-04-01T12:30:00Z
    #[arg(long, value_name = "TIME", value_parser = moment, help_heading = "Which events")]
    from: Option<Timestamp>,
    /// Only events committed before this time. Default: now
    #[arg(long, value_name = "TIME", value_parser = moment, help_heading = "Which events")]
    to: Option<Timestamp>,
    /// All that was before the consumer began. To a consumer by mark it is sent once; a cancelled replay of it goes on
    #[arg(
        long,
        conflicts_with_all = ["aggregate", "event_types", "from", "to"],
        help_heading = "Which events"
    )]
    before_it_began: bool,
    #[command(flatten)]
    walk: Walk,
}

/// A choice is required: the whole log is not read because an option was forgotten.
fn chosen() -> ArgGroup {
    let choices = ["aggregate", "event_types", "from", "to", "before_it_began"];
    ArgGroup::new("chosen")
        .required(true)
        .multiple(true)
        .args(choices)
}

impl Arguments {
    /// The request, without `preview`.
    fn request(&self) -> Value {
        let mut request = self.walk.request();
        request["consumer"] = json!(self.consumer);
        if let Some((kind, id)) = &self.aggregate {
            request["aggregate_type"] = kind.as_str().into();
            request["aggregate_id"] = id.as_str().into();
        }
        if !self.event_types.is_empty() {
            request["event_types"] = json!(self.event_types);
        }
        for (name, time) in [("from", self.from), ("to", self.to)] {
            if let Some(time) = time {
                request[name] = json!(time);
            }
        }
        if self.before_it_began {
            request["before_it_began"] = true.into();
        }
        request
    }
}

/// What a replay would do, as far as its text needs it.
#[derive(Debug, Deserialize)]
struct Preview {
    consumer: String,
    to: Timestamp,
    began: Option<Timestamp>,
    goes_on: bool,
    count: Option<u64>,
    counted_by: String,
    passed_over: Option<u64>,
    too_old: Option<u64>,
    #[serde(flatten)]
    reading: Reading,
}

pub(crate) async fn run(arguments: Arguments) -> Result<(), CliError> {
    let request = arguments.request();
    let question = format!("replay to {}", arguments.consumer);
    let walk = arguments.walk;
    walk.begin::<Preview>(arguments.by, REPLAYS, &request, &question, text)
        .await
}

/// What a replay would do.
fn text(preview: &Preview) -> String {
    let consumer = clean(&preview.consumer);
    let how = match preview.counted_by.as_str() {
        "event_log" => "counted in the event log",
        "analytics" => "about, by the counts over time",
        _ => "",
    };
    let events = match preview.count {
        Some(1) => format!("1 event ({how})"),
        Some(count) => format!("{count} events ({how})"),
        None => "an unknown number of events: no count covers them".to_owned(),
    };
    let mut lines = vec![format!(
        "replay to {consumer}: {events}, committed before {}",
        preview.to
    )];
    if let Some(passed_over) = preview.passed_over.filter(|count| *count > 0) {
        lines.push(format!(
            "{passed_over} more would be passed over: {consumer} does not listen to them"
        ));
    }
    if let Some(too_old) = preview.too_old.filter(|count| *count > 0) {
        lines.push(format!(
            "{too_old} more would be left out, because {consumer} could not tell them from repeats: they are too old"
        ));
    }
    if let Some(began) = preview.began {
        lines.push(format!(
            "{consumer} began at {began}, when the first of its lanes was created"
        ));
    }
    if preview.goes_on {
        lines.push("it would go on where a cancelled replay stopped".to_owned());
    }
    lines.extend(preview.reading.lines("the whole log"));
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
        let all = [
            &["x", "--consumer", "analytics", "--reason", "mended"],
            arguments,
        ]
        .concat();
        Ok(Line::try_parse_from(all)?.arguments)
    }

    #[test]
    fn events_have_to_be_chosen_and_what_was_before_a_consumer_alone() {
        for chosen in [
            &["--aggregate", "loan/l"][..],
            &["--type", "loan.funded", "--type", "loan.repaid"],
            &["--from", "2026-04-01", "--to", "2026-04-02"],
            &["--to", "2026-04-02", "--dry-run"],
            &["--before-it-began", "--rate", "100", "--yes"],
        ] {
            let parsed = parse(chosen);
            assert!(parsed.is_ok(), "{chosen:?}: {parsed:?}");
        }
        for wrong in [
            &[][..],
            &["--rate", "5", "--yes"],
            &["--before-it-began", "--from", "2026-04-01"],
            &["--before-it-began", "--type", "loan.funded"],
            &["--aggregate", "loan"],
            &["--from", "yesterday"],
            &["--before-it-began", "--rate", "101"],
            &["--before-it-began", "--dry-run", "--wait"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
        assert!(Line::try_parse_from(["x", "--before-it-began", "--reason", "r"]).is_err());
    }

    #[test]
    fn the_request_has_what_was_said_and_nothing_else() {
        let request = |arguments: &[&str]| parse(arguments).expect("valid").request();
        assert_eq!(
            request(&["--before-it-began"]),
            json!({ "consumer": "analytics", "reason": "mended", "before_it_began": true })
        );
        assert_eq!(
            request(&[
                "--aggregate",
                "loan/a/b",
                "--type",
                "loan.funded",
                "--from",
                "2026-04-01",
                "--rate",
                "5",
            ]),
            json!({
                "consumer": "analytics", "reason": "mended", "aggregate_type": "loan", "aggregate_id": "a/b",
                "event_types": ["loan.funded"], "from": "2026-04-01T00:00:00.000Z", "rate_per_second": 5,
            })
        );
    }

    #[test]
    fn a_preview_says_what_is_known_and_how() {
        let mut answer = json!({
            "consumer": "analytics", "to": "2026-04-01T00:00:00.000Z", "began": null, "goes_on": false, "count": 1,
            "counted_by": "event_log", "passed_over": 2, "too_old": 3, "seconds_at_least": 1, "log_rows": null,
            "log_bytes": null, "read_units": null,
        });
        let shown =
            |answer: &Value| text(&serde_json::from_value(answer.clone()).expect("a preview"));
        let exact = shown(&answer);
        for words in [
            "1 event (counted",
            "2 more would be passed over",
            "3 more",
            "1 s at least",
        ] {
            assert!(exact.contains(words), "{words} is not in {exact}");
        }
        assert!(!exact.contains("whole log") && !exact.contains("began"));
        answer["count"] = Value::Null;
        answer["counted_by"] = "nothing".into();
        answer["began"] = "2026-03-01T00:00:00.000Z".into();
        for name in ["log_rows", "log_bytes", "read_units"] {
            answer[name] = 7.into();
        }
        let unknown = shown(&answer);
        for words in [
            "unknown number",
            "began at 2026-03-01",
            "7 rows",
            "six hours",
        ] {
            assert!(unknown.contains(words), "{words} is not in {unknown}");
        }
    }
}
