//! Letters as text for people. What was written by others (errors, notes, bodies) is printed without characters that
//! control a terminal.

use std::{collections::BTreeMap, fmt::Write as _};

use events::{OperationId, Timestamp, contracts::operation::OperationAct};
use serde::Deserialize;
use serde_json::Value;

use crate::{operations::letters, output::aligned, stack_api::clean};

/// How much of an error or a signature a line of a table has, in characters.
const IN_A_LINE: usize = 80;

/// A letter, as far as its text needs it.
#[derive(Debug, Deserialize)]
pub(super) struct Letter {
    letter_id: String,
    consumer: String,
    event_id: Option<String>,
    event_type: Option<String>,
    aggregate: Option<String>,
    sequence: Option<u64>,
    tenant_id: Option<String>,
    correlation_id: Option<String>,
    reason: String,
    signature: String,
    signature_id: String,
    error: String,
    attempts: u64,
    parked: u64,
    first_parked_at: Timestamp,
    last_parked_at: Timestamp,
    state: String,
    operation_id: Option<OperationId>,
    sent_at: Option<Timestamp>,
    closed_reason: Option<String>,
    history: Vec<Entry>,
    expires_at: i64,
}

#[derive(Debug, Deserialize)]
struct Entry {
    at: Timestamp,
    what: String,
    by: Option<OperationId>,
    error: Option<String>,
}

/// A letter with its message and what its event's consumers did.
#[derive(Debug, Deserialize)]
pub(super) struct LetterShown {
    #[serde(flatten)]
    letter: Letter,
    message: Option<Message>,
    handled_by: Vec<HandledBy>,
}

#[derive(Debug, Deserialize)]
struct Message {
    body: String,
    bytes: u64,
    attributes: BTreeMap<String, String>,
}

#[derive(Debug, Deserialize)]
struct HandledBy {
    consumer: String,
    evidence: String,
    state: String,
    handled_at: Option<Timestamp>,
    parked: Option<Parked>,
}

#[derive(Debug, Deserialize)]
struct Parked {
    reason: String,
    error: String,
    parked_at: Timestamp,
}

/// The groups of letters.
#[derive(Debug, Deserialize)]
pub(super) struct Groups {
    items: Vec<Group>,
    truncated: bool,
}

#[derive(Debug, Deserialize)]
struct Group {
    signature_id: String,
    consumer: String,
    reason: String,
    signature: String,
    count: u64,
    first_parked_at: Timestamp,
    last_parked_at: Timestamp,
    note: Option<Note>,
}

#[derive(Debug, Deserialize)]
struct Note {
    note: String,
    by: String,
    at: Timestamp,
}

/// A list of letters.
#[derive(Debug)]
pub(super) struct List {
    pub(super) letters: Vec<Letter>,
    /// Whether there may be more letters.
    pub(super) more: bool,
    /// Whether letters of other states than the unresolved ones could be in it.
    pub(super) has_state: bool,
}

/// What an operation would be about.
#[derive(Debug, Deserialize)]
pub(super) struct Preview {
    pub(super) count: u64,
    sample: Vec<Letter>,
    skipped: u64,
    pub(super) conflict: Option<Conflict>,
}

#[derive(Debug, Deserialize)]
pub(super) struct Conflict {
    pub(super) letter_id: String,
    pub(super) operation_id: OperationId,
}

/// The beginning of a text, on one line.
fn cut(text: &str) -> String {
    let text = clean(text);
    match text.char_indices().nth(IN_A_LINE) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text,
    }
}

/// What an event is about, as `--aggregate` takes it.
fn about(aggregate: Option<&String>) -> String {
    aggregate.map_or_else(String::new, |one| clean(one).replacen('#', "/", 1))
}

fn table(letters: &[Letter]) -> String {
    let heads = [
        "LAST PARKED",
        "CONSUMER",
        "TYPE",
        "AGGREGATE",
        "REASON",
        "STATE",
        "LETTER",
        "ERROR",
    ];
    let mut lines = vec![heads.map(str::to_owned)];
    lines.extend(letters.iter().map(|letter| {
        [
            letter.last_parked_at.to_string(),
            clean(&letter.consumer),
            clean(letter.event_type.as_deref().unwrap_or_default()),
            about(letter.aggregate.as_ref()),
            clean(&letter.reason),
            clean(&letter.state),
            clean(&letter.letter_id),
            cut(&letter.error),
        ]
    }));
    aligned(&lines)
}

/// A list of letters, and what it leaves out.
pub(super) fn list(list: &List) -> String {
    let mut text = if list.letters.is_empty() {
        "no letter fits\n".to_owned()
    } else {
        table(&list.letters)
    };
    if list.more {
        text.push_str("there may be more: raise --limit, or choose fewer\n");
    }
    if !list.has_state {
        text.push_str("handled and discarded letters are left out: --state resolved lists them\n");
    }
    text
}

/// The groups of letters.
pub(super) fn groups(groups: &Groups) -> String {
    let heads = [
        "COUNT",
        "CONSUMER",
        "REASON",
        "FIRST PARKED",
        "LAST PARKED",
        "GROUP",
        "SIGNATURE",
        "NOTE",
    ];
    let mut lines = vec![heads.map(str::to_owned)];
    let note = |note: &Note| format!("{} ({}, {})", clean(&note.note), clean(&note.by), note.at);
    lines.extend(groups.items.iter().map(|group| {
        [
            group.count.to_string(),
            clean(&group.consumer),
            clean(&group.reason),
            group.first_parked_at.to_string(),
            group.last_parked_at.to_string(),
            clean(&group.signature_id),
            cut(&group.signature),
            group.note.as_ref().map_or_else(String::new, note),
        ]
    }));
    let mut text = if groups.items.is_empty() {
        "no letter fits\n".to_owned()
    } else {
        aligned(&lines)
    };
    if groups.truncated {
        text.push_str("only the 10,000 letters that were last parked are counted: choose fewer\n");
    }
    text
}

/// What an operation would be about.
pub(super) fn preview(act: OperationAct, preview: &Preview) -> String {
    let mut text = format!("{act}: {}\n", letters(preview.count));
    if !preview.sample.is_empty() {
        text.push_str(&table(&preview.sample));
    }
    let shown = u64::try_from(preview.sample.len()).unwrap_or(u64::MAX);
    let mut line = |words: String| {
        text.push_str(&words);
        text.push('\n');
    };
    if preview.count > shown {
        line(format!("and {} more", preview.count - shown));
    }
    if preview.skipped > 0 {
        line(format!(
            "{} of them without an event id: these would be left alone, because they can only be discarded",
            letters(preview.skipped)
        ));
    }
    if let Some(conflict) = &preview.conflict {
        line(format!(
            "letter {} is in operation {}, which is not finished: nothing would be begun",
            clean(&conflict.letter_id),
            conflict.operation_id
        ));
    }
    text
}

/// A letter with all that is known of it.
pub(super) fn letter(shown: &LetterShown) -> String {
    let letter = &shown.letter;
    let mut lines: Vec<[String; 2]> = Vec::new();
    let mut line = |name: &str, value: String| lines.push([name.to_owned(), value]);
    line("letter", clean(&letter.letter_id));
    line("state", clean(&letter.state));
    line("consumer", clean(&letter.consumer));
    if let Some(event_type) = &letter.event_type {
        line("type", clean(event_type));
    }
    if let Some(event_id) = &letter.event_id {
        line("event", clean(event_id));
    }
    if letter.aggregate.is_some() {
        let number = letter.sequence.map(|number| format!(", number {number}"));
        let about = about(letter.aggregate.as_ref());
        line("about", format!("{about}{}", number.unwrap_or_default()));
    }
    if let Some(tenant) = &letter.tenant_id {
        line("tenant", clean(tenant));
    }
    if let Some(correlation) = &letter.correlation_id {
        line("correlation", clean(correlation));
    }
    let (reason, attempts) = (clean(&letter.reason), letter.attempts);
    line(
        "reason",
        format!("{reason}, after {attempts} failed attempts"),
    );
    line("error", clean(&letter.error));
    let group = format!("{}: {}", letter.signature_id, letter.signature);
    line("group", clean(&group));
    let (first, last) = (letter.first_parked_at, letter.last_parked_at);
    let parked = match letter.parked {
        1 => format!("once, {last}"),
        times => format!("{times} times, first {first}, last {last}"),
    };
    line("parked", parked);
    if let Some(operation) = letter.operation_id {
        let sent = letter.sent_at.map(|at| format!(", sent {at}"));
        line(
            "operation",
            format!("{operation}{}", sent.unwrap_or_default()),
        );
    }
    if let Some(reason) = &letter.closed_reason {
        line("closed", clean(reason));
    }
    if let Ok(expires) = Timestamp::from_unix_millis(letter.expires_at.saturating_mul(1_000)) {
        line("kept until", expires.to_string());
    }
    let mut text = aligned(&lines);

    text.push_str("\nhistory, the oldest first\n");
    text.push_str(&indented(&aligned(&history(&letter.history))));
    if !shown.handled_by.is_empty() {
        text.push_str("\nconsumers of the event\n");
        text.push_str(&indented(&aligned(&handled_by(&shown.handled_by))));
    }
    match &shown.message {
        None => text.push_str("\nthe message is no longer kept\n"),
        Some(message) => {
            // Writing to a String cannot fail.
            writeln!(text, "\nmessage, {} bytes", message.bytes).ok();
            for (name, value) in &message.attributes {
                writeln!(text, "  {}: {}", clean(name), clean(value)).ok();
            }
            text.push_str(&indented(&body(&message.body)));
        }
    }
    text
}

fn history(entries: &[Entry]) -> Vec<[String; 4]> {
    let line = |entry: &Entry| {
        let by = entry.by.map(|id| format!("by operation {id}"));
        [
            entry.at.to_string(),
            clean(&entry.what),
            by.unwrap_or_default(),
            cut(entry.error.as_deref().unwrap_or_default()),
        ]
    };
    entries.iter().map(line).collect()
}

fn handled_by(consumers: &[HandledBy]) -> Vec<[String; 4]> {
    let line = |one: &HandledBy| {
        let more = match (&one.parked, one.handled_at) {
            (Some(parked), _) => {
                let (at, reason) = (parked.parked_at, clean(&parked.reason));
                format!("{at} {reason}: {}", cut(&parked.error))
            }
            (None, at) => at.map_or_else(String::new, |at| at.to_string()),
        };
        [
            clean(&one.consumer),
            clean(&one.state),
            format!("by {}", clean(&one.evidence)),
            more,
        ]
    };
    consumers.iter().map(line).collect()
}

/// A body: indented JSON, in which control characters are escaped, or one line.
fn body(text: &str) -> String {
    match serde_json::from_str::<Value>(text) {
        Ok(value) => format!("{value:#}\n"),
        Err(_) => format!("{}\n", clean(text)),
    }
}

fn indented(text: &str) -> String {
    let lines = text.lines();
    lines.map(|line| format!("  {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn row() -> Value {
        json!({
            "letter_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0", "consumer": "notifications",
            "event_id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b", "event_type": "wallet.deposited", "aggregate": "wallet#u#1",
            "sequence": 3, "reason": "rejected", "signature": "wallet <n> is closed", "signature_id": "0123456789abcdef",
            "error": format!("wallet 17 is\n\u{1b}[31mclosed {}", "x".repeat(100)), "attempts": 2, "parked": 2,
            "first_parked_at": "2026-04-01T00:00:00.000Z", "last_parked_at": "2026-04-02T00:00:00.000Z",
            "message_id": "m-1", "state": "failed_again", "operation_id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5c",
            "sent_at": "2026-04-01T12:00:00.000Z", "expires_at": 1_790_000_000, "a_new_field": true,
            "history": [
                { "at": "2026-04-01T00:00:01.000Z", "what": "parked", "error": "wallet 17 is closed" },
                { "at": "2026-04-01T12:00:00.000Z", "what": "sent", "by": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5c" },
            ],
        })
    }

    fn read<T: serde::de::DeserializeOwned>(value: Value) -> T {
        serde_json::from_value(value).expect("as the API answers")
    }

    #[test]
    fn a_list_has_a_line_a_letter_and_says_what_it_leaves_out() {
        let mut some = List {
            letters: read(json!([row()])),
            more: true,
            has_state: false,
        };
        let text = list(&some);
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 4, "{text}");
        assert!(lines[0].starts_with("LAST PARKED"));
        assert!(lines[1].starts_with(
            "2026-04-02T00:00:00.000Z  notifications  wallet.deposited  wallet/u#1  rejected"
        ));
        assert!(
            lines[1].ends_with('…') && !text.contains('\u{1b}'),
            "{text}"
        );
        assert!(lines[2].contains("raise --limit"));
        assert!(lines[3].contains("--state resolved"));
        (some.more, some.has_state) = (false, true);
        assert_eq!(list(&some).lines().count(), 2);
        some.letters.clear();
        assert_eq!(list(&some), "no letter fits\n");
    }

    #[test]
    fn groups_have_count_cause_time_and_note() {
        let all: Groups = read(json!({ "truncated": true, "items": [{
            "signature_id": "0123456789abcdef", "consumer": "analytics", "reason": "rejected",
            "signature": "wallet <n> is closed", "count": 4, "example": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
            "first_parked_at": "2026-04-01T00:00:00.000Z", "last_parked_at": "2026-04-02T00:00:00.000Z",
            "note": { "note": "the partner knows", "by": "oncall", "at": "2026-04-03T00:00:00.000Z" },
        }] }));
        let text = groups(&all);
        let line = text.lines().nth(1).expect("a group");
        assert_eq!(
            line,
            "4      analytics  rejected  2026-04-01T00:00:00.000Z  2026-04-02T00:00:00.000Z  0123456789abcdef  \
             wallet <n> is closed  the partner knows (oncall, 2026-04-03T00:00:00.000Z)"
        );
        assert!(text.ends_with("choose fewer\n"), "{text}");
        let none: Groups = read(json!({ "truncated": false, "items": [] }));
        assert_eq!(groups(&none), "no letter fits\n");
    }

    #[test]
    fn a_letter_is_shown_with_history_consumers_and_message() {
        let mut row = row();
        row["handled_by"] = json!([
            { "consumer": "analytics", "evidence": "mark", "state": "handled", "handled_at": "2026-04-01T00:00:02.000Z" },
            { "consumer": "notifications", "evidence": "guard", "state": "parked", "parked": {
                "reason": "rejected", "error": "closed", "attempts": 2, "first_received_at": "2026-04-01T00:00:00.000Z",
                "parked_at": "2026-04-01T00:00:03.000Z",
            } },
        ]);
        row["message"] = json!({
            "body": "{\"a\":\"\u{1b}\"}", "bytes": 8, "attributes": { "consumer": "notifications" }, "expires_at": 1,
        });
        let text = letter(&read(row.clone()));
        for words in [
            "about       wallet/u#1, number 3",
            "reason      rejected, after 2 failed attempts",
            "group       0123456789abcdef: wallet <n> is closed",
            "parked      2 times, first 2026-04-01T00:00:00.000Z, last 2026-04-02T00:00:00.000Z",
            "operation   0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5c, sent 2026-04-01T12:00:00.000Z",
            "kept until  2026-09-21T14:13:20.000Z",
            "  2026-04-01T12:00:00.000Z  sent    by operation 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5c",
            "  analytics      handled  by mark   2026-04-01T00:00:02.000Z",
            "  notifications  parked   by guard  2026-04-01T00:00:03.000Z rejected: closed",
            "  consumer: notifications",
            "message, 8 bytes",
        ] {
            assert!(text.contains(words), "{words} is not in:\n{text}");
        }
        // All of the error, and nothing that controls the terminal.
        assert!(text.contains(&"x".repeat(100)) && !text.contains('\u{1b}'));

        row["message"] = Value::Null;
        row["handled_by"] = json!([]);
        let text = letter(&read(row));
        assert!(text.ends_with("the message is no longer kept\n"), "{text}");
        assert!(!text.contains("consumers of the event"), "{text}");
    }

    #[test]
    fn a_preview_has_count_sample_and_what_stands_against_it() {
        let some: Preview = read(json!({
            "count": 7, "sample": [row()], "skipped": 1,
            "conflict": {
                "letter_id": "0f1e2d3c4b5a69788796a5b4c3d2e1f0",
                "operation_id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b",
            },
        }));
        let text = preview(OperationAct::Redrive, &some);
        assert!(
            text.starts_with("redrive: 7 letters\nLAST PARKED"),
            "{text}"
        );
        for words in [
            "and 6 more\n",
            "1 letter of them without an event id",
            "is in operation 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b, which is not finished",
        ] {
            assert!(text.contains(words), "{words} is not in:\n{text}");
        }
        let none: Preview =
            read(json!({ "count": 0, "sample": [], "skipped": 0, "conflict": null }));
        assert_eq!(
            preview(OperationAct::Discard, &none),
            "discard: 0 letters\n"
        );
    }
}
