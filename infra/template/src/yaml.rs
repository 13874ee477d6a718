//! The form of values in the templates.

/// The maximum length of a line before it is wrapped.
const LINE: usize = 118;

/// A list on one line: `[a, b]`.
pub(crate) fn flow(items: &[String]) -> String {
    format!("[{}]", items.join(", "))
}

/// The text, in quotes if YAML would read it as something else.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Wraps text to lines of at most [`LINE`] characters minus the indentation.
pub(crate) fn wrapped(text: &str, indent: usize) -> Vec<String> {
    let most = LINE.saturating_sub(indent);
    let mut lines: Vec<String> = Vec::new();
    for word in text.split_whitespace() {
        match lines.last_mut() {
            Some(line) if line.len() + 1 + word.len() <= most => {
                line.push(' ');
                line.push_str(word);
            }
            _ => lines.push(word.to_owned()),
        }
    }
    lines
}

/// A property whose value is prose: folded if it is long or contains YAML syntax.
pub(crate) fn prose(key: &str, text: &str, indent: usize) -> Vec<String> {
    let one_line = format!("{key}: {text}");
    if one_line.len() + indent <= LINE
        && !text.contains(": ")
        && !text.contains('#')
        && !text.starts_with(['`', '"'])
    {
        return vec![one_line];
    }
    let mut lines = vec![format!("{key}: >-")];
    lines.extend(
        wrapped(text, indent + 2)
            .into_iter()
            .map(|line| format!("  {line}")),
    );
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prose_is_folded_where_it_is_long_or_would_be_read_as_something_else() {
        assert_eq!(prose("Description", "Short.", 4), ["Description: Short."]);
        assert_eq!(
            prose("Description", "One: two.", 4),
            ["Description: >-", "  One: two."]
        );
        let long = "word ".repeat(60);
        let lines = prose("Description", &long, 4);
        assert!(lines.len() > 2 && lines.iter().all(|line| line.len() + 4 <= LINE));
        let text: Vec<&str> = lines[1..].iter().map(|line| line.trim()).collect();
        assert_eq!(text.join(" "), long.trim());
    }
}
