//! The file that `make up` writes for users to `source`, `.local/env`: lines of `export NAME=value`, each value quoted
//! for the shell by Python's `shlex.quote`.

use std::collections::BTreeMap;

/// The line that cannot be read, counted from 1.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("line {0} is not `export NAME=value`")]
pub(crate) struct WrongLine(usize);

/// Reads the variables. The shell is not asked, and nothing is expanded: a value with `$`, a backquote or a backslash
/// outside single quotes is refused. Empty lines and comments are skipped.
///
/// # Errors
/// [`WrongLine`] names the first line that is anything else.
pub(crate) fn parse(text: &str) -> Result<BTreeMap<String, String>, WrongLine> {
    let mut variables = BTreeMap::new();
    let mut rest = text;
    while !rest.is_empty() {
        let number = text[..text.len() - rest.len()].matches('\n').count() + 1;
        if let Some(after) = rest.strip_prefix('\n') {
            rest = after;
        } else if rest.starts_with('#') {
            rest = rest.find('\n').map_or("", |end| &rest[end..]);
        } else {
            let (name, value, after) = assignment(rest).ok_or(WrongLine(number))?;
            variables.insert(name.to_owned(), value);
            rest = after;
        }
    }
    Ok(variables)
}

/// The name and the value of one assignment, and the text behind its line.
fn assignment(text: &str) -> Option<(&str, String, &str)> {
    let (name, quoted) = text.strip_prefix("export ")?.split_once('=')?;
    let is_name = !name.starts_with(|c: char| c.is_ascii_digit())
        && !name.is_empty()
        && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    let (value, rest) = word(quoted)?;
    is_name.then_some((name, value, rest))
}

/// A word of the shell up to the end of its line, without its quotes, and the text behind the line. A quoted part may
/// contain line breaks.
fn word(text: &str) -> Option<(String, &str)> {
    let mut value = String::new();
    let mut rest = text;
    loop {
        let Some(first) = rest.chars().next() else {
            return Some((value, rest));
        };
        let behind = &rest[first.len_utf8()..];
        match first {
            '\n' => return Some((value, behind)),
            '\'' | '"' => {
                let (quoted, after) = behind.split_once(first)?;
                if first == '"' && quoted.contains(['$', '`', '\\']) {
                    return None;
                }
                value.push_str(quoted);
                rest = after;
            }
            // What shlex.quote leaves unquoted.
            _ if first.is_ascii_alphanumeric() || "_@%+=:,./-".contains(first) => {
                value.push(first);
                rest = behind;
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_read_as_python_quotes_them() {
        let text = r#"export AWS_ENDPOINT_URL=http://127.0.0.1:4566

# a comment
export STACK_RESOURCES='/home/a user/$HOME/.local/resources.json'
export API_KEY='it'"'"'s "so"'
export EMPTY=''
export TWO_LINES='one
# two'
export LAST=a_b@c%d+e=f:g,h"#;
        let variables = parse(text).expect("readable");
        let expected = [
            ("API_KEY", "it's \"so\""),
            ("AWS_ENDPOINT_URL", "http://127.0.0.1:4566"),
            ("EMPTY", ""),
            ("LAST", "a_b@c%d+e=f:g,h"),
            (
                "STACK_RESOURCES",
                "/home/a user/$HOME/.local/resources.json",
            ),
            ("TWO_LINES", "one\n# two"),
        ];
        let expected = expected.map(|(name, value)| (name.to_owned(), value.to_owned()));
        assert_eq!(variables, expected.into());
        assert_eq!(parse(""), Ok(BTreeMap::new()));
    }

    #[test]
    fn what_only_a_shell_could_read_is_refused_with_its_line() {
        for line in [
            "NAME=value",
            "export NAME",
            "export =value",
            "export 1NAME=value",
            "export NA-ME=value",
            "export NAME=$HOME",
            "export NAME=\"$HOME\"",
            "export NAME=`id`",
            "export NAME=a b",
            "export NAME=a;b",
            "export NAME=a\\ b",
            "export NAME='open",
            "export NAME=~/file",
            " export NAME=value",
        ] {
            let text = format!("export TWO='1\n2'\n{line}\n");
            assert_eq!(parse(&text), Err(WrongLine(3)), "{line}");
        }
    }
}
