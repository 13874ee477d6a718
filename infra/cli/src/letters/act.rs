//! `millrace letters redrive` and `discard`: previewed, confirmed, and begun once.

use clap::{ArgGroup, Args};
use consumer::ParkReason;
use events::{Timestamp, contracts::operation::OperationAct};
use letters::{
    LetterId,
    drained::{EXHAUSTED, UNDELIVERED, UNKNOWN},
};
use outbox::{Clock as _, SystemClock};
use serde_json::{Value, json};

use super::{
    filter::Filter,
    text::{self, Preview},
};
use crate::{
    operations::{self, Manner, OPERATIONS},
    output::{self, CliError},
    stack_api::{Actor, StackApi},
};

/// Whether a letter can have been parked for this reason.
fn is_letter_reason(text: &str) -> bool {
    let parked = ParkReason::ALL.into_iter().map(ParkReason::as_str);
    let mut all = parked.chain([EXHAUSTED, UNDELIVERED, UNKNOWN]);
    all.any(|reason| reason == text)
}

/// The arguments of `redrive` and `discard`.
#[derive(Debug, Args)]
#[command(group = chosen())]
pub(crate) struct Arguments {
    #[command(flatten)]
    by: Actor,
    /// The letters, by their ids
    #[arg(value_name = "LETTER_ID", conflicts_with_all = ["Filter", "letter_reason", "all"])]
    letters: Vec<LetterId>,
    #[command(flatten)]
    filter: Filter,
    /// Only letters parked for this reason, such as retries_exhausted, exhausted or undelivered
    #[arg(long, value_name = "REASON", help_heading = "Which letters")]
    letter_reason: Option<String>,
    /// Every unresolved letter
    #[arg(long, conflicts_with_all = ["Filter", "letter_reason"], help_heading = "Which letters")]
    all: bool,
    /// Why you do this. It is recorded
    #[arg(long, value_name = "TEXT", value_parser = reason)]
    reason: String,
    /// How many letters to send in a second at most, 1 to 100. Default: 10
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=100))]
    rate: Option<u32>,
    /// Begin nothing if more letters than this fit, 1 to 10000
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=10_000))]
    cap: Option<u32>,
    /// Send the first letter alone, and the others when it was handled. If it fails again, the operation pauses
    #[arg(long)]
    canary: bool,
    #[command(flatten)]
    manner: Manner,
}

/// A choice is required: nothing is done to all letters because an option was forgotten.
fn chosen() -> ArgGroup {
    ArgGroup::new("chosen")
        .required(true)
        .multiple(true)
        .args(["letters", "all", "letter_reason"])
        .args(["consumer", "event_type", "signature", "aggregate"])
        .args(["tenant", "state", "since", "from", "to", "q"])
}

/// Reads the reason of the operator. Of `letters list`, `--reason` is the letters' reason: with it taken over, this verb
/// would be about many more letters.
fn reason(text: &str) -> Result<String, String> {
    if is_letter_reason(text) {
        return Err(format!(
            "says why you do this. For the letters that were parked for this reason: --letter-reason {text}"
        ));
    }
    Ok(text.to_owned())
}

impl Arguments {
    /// The request, without `preview`.
    fn request(&self, act: OperationAct, now: Timestamp) -> Value {
        let mut request = json!({ "act": act, "reason": self.reason });
        if self.letters.is_empty() {
            let criteria = self.filter.criteria(self.letter_reason.as_deref(), now);
            request["filter"] = criteria.body();
        } else {
            request["letters"] = json!(self.letters);
        }
        if let Some(rate) = self.rate {
            request["rate_per_second"] = rate.into();
        }
        if let Some(cap) = self.cap {
            request["cap"] = cap.into();
        }
        if self.canary {
            request["canary"] = true.into();
        }
        request
    }
}

pub(super) async fn run(act: OperationAct, arguments: Arguments) -> Result<(), CliError> {
    let manner = arguments.manner;
    manner.can_ask()?;
    let request = arguments.request(act, SystemClock.now());
    let api = StackApi::open_for(arguments.by).await?;
    arguments.filter.warn_of_unknown_names();

    let shown = |preview: &Preview| text::preview(act, preview);
    let question = |preview: &Preview| match hindrance(preview, arguments.cap) {
        Some(why) => Err(why.into()),
        None => Ok(format!("{act} {}", operations::letters(preview.count))),
    };
    let looked = manner.look(&api, OPERATIONS, &request, shown, question);
    let Some(preview) = looked.await? else {
        return Ok(());
    };

    let begun = operations::begin(&api, OPERATIONS, &request).await?;
    if let Some(count) = begun.count.filter(|count| *count != preview.count) {
        let before = preview.count;
        output::note(&format!(
            "millrace: it is about {count} letters; the preview had {before}"
        ));
    }
    begun.tell(&api, manner).await
}

/// Why the API would begin nothing, found before anybody is asked.
fn hindrance(preview: &Preview, cap: Option<u32>) -> Option<String> {
    let count = preview.count;
    if count == 0 {
        return Some("no unresolved letter fits".to_owned());
    }
    if let Some(conflict) = &preview.conflict {
        let (letter, id) = (&conflict.letter_id, conflict.operation_id);
        return Some(format!(
            "letter {letter} is in operation {id}, which is not finished. Wait for it (millrace operations show {id} \
             --watch), or end it (millrace operations cancel {id} --reason <text>)"
        ));
    }
    let cap = cap.filter(|cap| count > u64::from(*cap))?;
    Some(format!(
        "{count} letters fit, which is more than the cap of {cap}"
    ))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    const ID: &str = "0f1e2d3c4b5a69788796a5b4c3d2e1f0";

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        arguments: Arguments,
    }

    fn parse(arguments: &[&str]) -> Result<Arguments, clap::Error> {
        let all = [&["x", "--reason", "mended"], arguments].concat();
        Ok(Line::try_parse_from(all)?.arguments)
    }

    fn request(arguments: &[&str]) -> Value {
        let arguments = parse(arguments).expect("valid");
        arguments.request(OperationAct::Redrive, Timestamp::EPOCH)
    }

    #[test]
    fn letters_have_to_be_chosen_in_one_way() {
        for chosen in [
            &[ID][..],
            &[ID, ID],
            &["--all"],
            &["--group", "0123456789abcdef"],
            &["--letter-reason", "rejected"],
            &["--consumer", "c", "--since", "1h"],
            &["--aggregate", "wallet/u"],
            &["--state", "failed_again"],
            &["--q", "text"],
            &["--to", "2026-04-01"],
            &["--tenant", "t"],
            &["--type", "loan.funded"],
        ] {
            let parsed = parse(chosen);
            assert!(parsed.is_ok(), "{chosen:?}: {parsed:?}");
        }
        for wrong in [
            &[][..],
            &["--rate", "5", "--yes"],
            &[ID, "--all"],
            &[ID, "--consumer", "c"],
            &[ID, "--letter-reason", "rejected"],
            &["--all", "--consumer", "c"],
            &["--all", "--letter-reason", "rejected"],
            &["letter-1"],
            &["--all", "--rate", "0"],
            &["--all", "--rate", "101"],
            &["--all", "--cap", "0"],
            &["--all", "--dry-run", "--wait"],
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }

    #[test]
    fn the_request_has_what_was_said_and_nothing_else() {
        assert_eq!(
            request(&["--all"]),
            json!({ "act": "redrive", "reason": "mended", "filter": {} })
        );
        assert_eq!(
            request(&[ID, "--rate", "5", "--cap", "7", "--canary"]),
            json!({
                "act": "redrive", "reason": "mended", "letters": [ID], "rate_per_second": 5, "cap": 7, "canary": true
            })
        );
        assert_eq!(
            request(&["--consumer", "c", "--letter-reason", "rejected"])["filter"],
            json!({ "consumer": "c", "reason": "rejected" })
        );
    }

    #[test]
    fn a_letter_s_reason_is_not_taken_for_the_operator_s() {
        let wrong = Line::try_parse_from(["x", "--consumer", "c", "--reason", "exhausted"]);
        let message = wrong.expect_err("a letter's reason").to_string();
        assert!(message.contains("--letter-reason exhausted"), "{message}");
    }

    #[test]
    fn what_cannot_be_begun_is_found_before_anybody_is_asked() {
        let preview = |json: Value| serde_json::from_value::<Preview>(json).expect("a preview");
        let some = json!({ "count": 3, "sample": [], "skipped": 0, "conflict": null });
        assert_eq!(hindrance(&preview(some.clone()), None), None);
        assert_eq!(hindrance(&preview(some.clone()), Some(3)), None);
        let over = hindrance(&preview(some.clone()), Some(2)).expect("over the cap");
        assert!(over.contains("more than the cap of 2"), "{over}");
        let mut none = some.clone();
        none["count"] = 0.into();
        assert!(hindrance(&preview(none), None).is_some());
        let mut taken = some;
        let operation = "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b";
        taken["conflict"] = json!({ "letter_id": ID, "operation_id": operation });
        let taken = hindrance(&preview(taken), None).expect("in an operation");
        assert!(taken.contains(ID) && taken.contains(operation), "{taken}");
    }
}
