//! Signatures: what errors of one cause have in common.
//!
//! A signature is the error chain with everything replaced that differs from event to event:
//!
//! | what | becomes |
//! |---|---|
//! | a text in `"…"`, `'…'` or `` `…` `` | `<text>` |
//! | an ARN, or a URL of any scheme | `<url>` |
//! | an e-mail address | `<email>` |
//! | a day, a time of day, or both, as RFC 3339 writes them | `<time>` |
//! | a UUID | `<uuid>` |
//! | 8 or more hexadecimal digits, also after `0x` | `<hex>` |
//! | a word in which letters follow digits, such as `8f3k` or `base64url` | `<id>` |
//! | any other digits, with decimal points between them | `<n>` |
//!
//! No digit survives, not even in a word of the code: `sha256` becomes `sha<n>`. An exception would need a list of such
//! words, and a missing word would split a group. So errors that differ only in a status code share a signature.

use std::{fmt, iter};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

/// The longest signature, in characters.
pub const SIGNATURE_CHARS: usize = 300;

/// The signature of an error without any text.
const NOTHING_SAID: &str = "no error";

/// How much of an error is looked at, in characters: more than becomes a signature of 300, unless it is made of long
/// texts.
const LOOKED_AT_CHARS: usize = 4_096;

/// How often the templates are applied at most. A replaced part can make its neighbour a match, and so can the cut at
/// the end; each round leaves fewer of them.
const ROUNDS: usize = 400;

/// The template of an error: not empty, at most [`SIGNATURE_CHARS`] characters, without a digit.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, JsonSchema,
)]
#[serde(transparent)]
#[schemars(inline)]
pub struct Signature(String);

impl Signature {
    /// The signature of an error chain. The signature of a signature is the signature itself.
    #[must_use]
    pub fn of(error: &str) -> Self {
        let mut text: String = error.chars().take(LOOKED_AT_CHARS).collect();
        for _ in 0..ROUNDS {
            let next = cut(&templated(&text));
            if next == text {
                break;
            }
            text = next;
        }
        if text.is_empty() {
            text.push_str(NOTHING_SAID);
        }
        Self(text)
    }

    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The id of the group of letters with this consumer, reason and signature: 16 hexadecimal digits.
    #[must_use]
    pub fn id(&self, consumer: &str, reason: &str) -> String {
        Self::id_of(&[consumer, reason, &self.0])
    }

    /// An id of 16 hexadecimal digits for these texts together.
    #[must_use]
    pub fn id_of(texts: &[&str]) -> String {
        let digest = hex(&Sha256::digest(texts.join("\n")));
        digest.chars().take(16).collect()
    }
}

impl fmt::Display for Signature {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Bytes as hexadecimal digits.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn cut(text: &str) -> String {
    let cut: String = text.chars().take(SIGNATURE_CHARS).collect();
    cut.trim_end().to_owned()
}

/// One pass of the templates over a text. White space becomes single spaces.
fn templated(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    let mut before: Option<char> = None;
    while let Some(here) = chars.get(at).copied() {
        let rest = chars.get(at..).unwrap_or_default();
        let (length, becomes) = if here.is_whitespace() {
            let space = if out.is_empty() || out.ends_with(' ') {
                ""
            } else {
                " "
            };
            (1, space.to_owned())
        } else if let Some((length, template)) = matched(before, rest) {
            (length, template.to_owned())
        } else if is_word(here) {
            word(rest)
        } else {
            (1, here.to_string())
        };
        out.push_str(&becomes);
        at += length.max(1);
        before = chars.get(at - 1).copied();
    }
    out.trim_end().to_owned()
}

/// The template that begins here, and how many characters it replaces. `before` is the character in front.
fn matched(before: Option<char>, rest: &[char]) -> Option<(usize, &'static str)> {
    if let Some(length) = quoted(before, rest) {
        return Some((length, "<text>"));
    }
    if before.is_some_and(is_word) {
        return None;
    }
    [
        (url as fn(&[char]) -> Option<usize>, "<url>"),
        (email, "<email>"),
        (uuid, "<uuid>"),
        (time, "<time>"),
    ]
    .into_iter()
    .find_map(|(find, template)| Some((find(rest)?, template)))
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric()
}

/// A quoted text. An apostrophe inside a word is none of the quotes.
fn quoted(before: Option<char>, rest: &[char]) -> Option<usize> {
    let quote = *rest.first()?;
    if !matches!(quote, '"' | '\'' | '`') || (quote == '\'' && before.is_some_and(is_word)) {
        return None;
    }
    let mut escaped = false;
    for (at, c) in rest.iter().enumerate().skip(1) {
        let ends = *c == quote && !escaped;
        let in_word = quote == '\'' && rest.get(at + 1).copied().is_some_and(is_word);
        if ends && !in_word {
            return Some(at + 1);
        }
        escaped = *c == '\\' && !escaped;
    }
    None
}

/// How many characters of a text belong to a URL or an ARN.
fn url(rest: &[char]) -> Option<usize> {
    let scheme = rest
        .iter()
        .take_while(|c| c.is_ascii_alphanumeric() || matches!(c, '+' | '-' | '.'))
        .count();
    let follows = |text: &str| {
        rest.iter()
            .skip(scheme)
            .take(text.len())
            .copied()
            .eq(text.chars())
    };
    let is_arn = rest.iter().take(4).copied().eq("arn:".chars());
    if scheme == 0 || !(follows("://") || is_arn) {
        return None;
    }
    let ends = |c: &char| {
        c.is_whitespace()
            || matches!(
                c,
                '"' | '\'' | '`' | '<' | '>' | '(' | ')' | '[' | ']' | '{' | '}' | ',' | ';'
            )
    };
    let mut length = rest.iter().take_while(|c| !ends(c)).count();
    // What ends a sentence or a part of the chain is not the end of a URL.
    while length > 0 && matches!(rest.get(length - 1), Some('.' | ':' | '!' | '?')) {
        length -= 1;
    }
    (length > 0).then_some(length)
}

fn email(rest: &[char]) -> Option<usize> {
    let of_local = |c: &char| c.is_alphanumeric() || matches!(c, '.' | '_' | '%' | '+' | '-');
    let local = rest.iter().take_while(|c| of_local(c)).count();
    if local == 0 || rest.get(local) != Some(&'@') {
        return None;
    }
    let domain = rest
        .iter()
        .skip(local + 1)
        .take_while(|c| c.is_alphanumeric() || matches!(c, '.' | '-'))
        .count();
    let mut length = local + 1 + domain;
    while matches!(rest.get(length - 1), Some('.' | '-')) {
        length -= 1;
    }
    (length > local + 1).then_some(length)
}

fn uuid(rest: &[char]) -> Option<usize> {
    const FORM: &str = "xxxxxxxx-xxxx-xxxx-xxxx-xxxxxxxxxxxx";
    of_form(rest, FORM).filter(|length| !rest.get(*length).copied().is_some_and(is_word))
}

/// Whether a text begins with a form: `x` is a hexadecimal digit, `0` a decimal one, any other character itself.
fn of_form(rest: &[char], form: &str) -> Option<usize> {
    let mut length = 0;
    for wanted in form.chars() {
        let c = rest.get(length)?;
        let fits = match wanted {
            'x' => c.is_ascii_hexdigit(),
            '0' => c.is_ascii_digit(),
            other => *c == other,
        };
        if !fits {
            return None;
        }
        length += 1;
    }
    Some(length)
}

/// A day with or without a time of day, or a time of day.
fn time(rest: &[char]) -> Option<usize> {
    let mut length = match of_form(rest, "0000-00-00") {
        Some(day) => {
            let after = rest.get(day..).unwrap_or_default();
            let joined = after.first().is_some_and(|c| matches!(c, 'T' | 't' | ' '));
            let of_day = after.get(1..).and_then(time_of_day).filter(|_| joined);
            day + of_day.map_or(0, |length| length + 1)
        }
        None => time_of_day(rest)?,
    };
    let zone = rest.get(length..).unwrap_or_default();
    if matches!(zone.first(), Some('Z' | 'z')) {
        length += 1;
    } else if let Some(offset) = ["+00:00", "-00:00", "+0000", "-0000"]
        .iter()
        .find_map(|form| of_form(zone, form))
    {
        length += offset;
    }
    (!rest.get(length).copied().is_some_and(is_word)).then_some(length)
}

fn time_of_day(rest: &[char]) -> Option<usize> {
    let length = of_form(rest, "00:00:00")?;
    let fraction = rest.get(length..).unwrap_or_default();
    let digits = fraction.iter().skip(1).take_while(|c| c.is_ascii_digit());
    let has_fraction = matches!(fraction.first(), Some('.' | ','));
    let digits = digits.count();
    Some(
        length
            + if has_fraction && digits > 0 {
                digits + 1
            } else {
                0
            },
    )
}

/// A word, with its digits replaced, and its length. Digits may have points between them: 1.5 is one number.
fn word(rest: &[char]) -> (usize, String) {
    let length = rest.iter().take_while(|c| is_word(**c)).count();
    let word = rest.get(..length).unwrap_or_default();
    let hexadecimal = word.strip_prefix(&['0', 'x']).unwrap_or(word);
    if hexadecimal.len() >= 8 && hexadecimal.iter().all(char::is_ascii_hexdigit) {
        return (length, "<hex>".to_owned());
    }
    let letters = word.iter().take_while(|c| !c.is_numeric()).count();
    let (name, digits) = word.split_at(letters);
    if digits.iter().any(|c| !c.is_numeric()) {
        return (length, "<id>".to_owned());
    }
    let name: String = name.iter().collect();
    if digits.is_empty() {
        return (length, name);
    }
    let fractions: usize = iter::successors(Some(length), |at| fraction(rest, *at))
        .last()
        .unwrap_or(length);
    (fractions, format!("{name}<n>"))
}

/// Where the digits after a decimal point end, if a point and digits follow at this place.
fn fraction(rest: &[char], at: usize) -> Option<usize> {
    let point = rest.get(at) == Some(&'.');
    let digits = rest
        .iter()
        .skip(at + 1)
        .take_while(|c| c.is_numeric())
        .count();
    let end = at + 1 + digits;
    let ends = !rest.get(end).copied().is_some_and(is_word);
    (point && digits > 0 && ends).then_some(end)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(error: &str) -> String {
        Signature::of(error).to_string()
    }

    #[test]
    fn each_part_that_differs_from_event_to_event_becomes_its_template() {
        for (error, signature) in [
            ("", "no error"),
            (" \n\t ", "no error"),
            (
                "wallet 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a60 is closed",
                "wallet <uuid> is closed",
            ),
            (
                "hash 9f86d081884c7d65 or 0x9f86d081 differs",
                "hash <hex> or <hex> differs",
            ),
            ("balance 12.50 is below 13", "balance <n> is below <n>"),
            (
                "user17 has no role \"ad\\\"min\" here",
                "user<n> has no role <text> here",
            ),
            (
                "it can't be 'that one' or `this`",
                "it can't be <text> or <text>",
            ),
            (
                "arn:aws:sqs:eu-west-1:000000000000:q denied",
                "<url> denied",
            ),
            (
                "GET https://api.example.com/v1/x?y=1: 503",
                "GET <url>: <n>",
            ),
            (
                "at 2026-11-29T03:00:00.123Z and 03:00:00, on 2026-11-29.",
                "at <time> and <time>, on <time>.",
            ),
            ("2026-11-29 03:00:00+01:00 is late", "<time> is late"),
            ("<ada@example.com> bounced", "<<email>> bounced"),
            ("order_8f3kd92 is unknown", "order_<id> is unknown"),
            ("sha256 of v1", "sha<n> of v<n>"),
            ("an unclosed 'quote", "an unclosed 'quote"),
            ("two\n  lines", "two lines"),
        ] {
            assert_eq!(of(error), signature, "{error}");
        }
    }

    #[test]
    fn a_group_has_its_consumer_its_reason_and_its_signature() {
        let signature = Signature::of("no");
        let id = signature.id("notifications", "rejected");
        assert_eq!(id.len(), 16);
        assert!(id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        assert_ne!(id, signature.id("analytics", "rejected"));
        assert_ne!(id, signature.id("notifications", "invalid"));
        assert_ne!(id, Signature::of("yes").id("notifications", "rejected"));
    }

    #[test]
    fn a_long_error_is_cut_at_a_character() {
        assert_eq!(of(&"ä ".repeat(4_000)).chars().count(), SIGNATURE_CHARS - 1);
    }

    /// Errors as they are written: words, punctuation, and parts that differ.
    fn errors() -> impl Strategy<Value = String> {
        let part = prop_oneof![
            "[a-z]{1,12}",
            "[ .,:;'\"`()<>@/=_-]{1,3}",
            "[0-9]{1,9}",
            "[0-9a-f]{8,16}",
            "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}",
            "arn:aws:[a-z]{3}:[0-9]{12}",
            "\\PC{0,8}",
        ];
        prop::collection::vec(part, 0..60).prop_map(|parts| parts.concat())
    }

    /// Two instances of one kind of part.
    fn differing() -> impl Strategy<Value = (String, String)> {
        fn two(form: &'static str) -> BoxedStrategy<(String, String)> {
            (form, form).boxed()
        }
        prop_oneof![
            two("[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"),
            two("[0-9a-f]{8,40}"),
            two("[0-9]{1,7}(\\.[0-9]{1,4})?"),
            two("\"[a-z 0-9]{0,20}\""),
            two("https?://[a-z]{1,9}\\.example/[a-z0-9]{0,9}"),
            two("arn:aws:sqs:eu-west-1:[0-9]{12}:[a-z]{1,9}"),
            two("20[0-9]{2}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\\.[0-9]{3}Z"),
            two("[a-z]{1,9}[0-9]{0,3}@[a-z]{1,9}\\.example"),
        ]
    }

    proptest! {
        #[test]
        fn a_signature_is_its_own_and_has_no_digit(error in errors()) {
            let signature = of(&error);
            prop_assert_eq!(&of(&error), &signature);
            prop_assert_eq!(&of(&signature), &signature);
            prop_assert!(!signature.is_empty() && signature.chars().count() <= SIGNATURE_CHARS);
            prop_assert!(!signature.chars().any(char::is_numeric), "{}", signature);
        }

        #[test]
        fn any_text_has_a_signature(error in ".{0,500}") {
            let signature = of(&error);
            prop_assert_eq!(&of(&signature), &signature);
            prop_assert!(!signature.chars().any(char::is_numeric), "{}", signature);
        }

        #[test]
        fn errors_that_differ_only_in_such_parts_have_one_signature(
            front in "[a-z]{1,9}( [a-z]{1,9}){0,4}", parts in differing(), back in "[a-z]{1,9}( [a-z]{1,9}){0,4}"
        ) {
            let one = of(&format!("{front} {} {back}", parts.0));
            let other = of(&format!("{front} {} {back}", parts.1));
            prop_assert_eq!(&one, &other);
            prop_assert!(one.contains('<'), "{}", one);
        }
    }
}
