//! What is wrong with a document, and where.

use std::{
    collections::BTreeSet,
    fmt,
    ops::{Deref, DerefMut},
};

use serde::{Deserialize, Serialize};

/// One violation of a schema: its place (a JSON pointer, RFC 6901) and a message, which never repeats personal values.
#[derive(
    Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, schemars::JsonSchema,
)]
pub struct Violation {
    /// JSON pointer to the invalid place; empty for the document itself.
    pub pointer: String,
    /// What is expected there.
    pub message: String,
}

impl Violation {
    /// A violation at a place.
    pub fn new(pointer: impl Into<String>, message: impl Into<String>) -> Self {
        Self {
            pointer: pointer.into(),
            message: message.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let place = if self.pointer.is_empty() {
            "(document)"
        } else {
            &self.pointer
        };
        write!(f, "{place}: {}", self.message)
    }
}

/// A field's name as a part of a JSON pointer (RFC 6901).
pub(crate) fn escape(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}

/// How many violations are listed. A body of 256 KB can have hundreds of thousands: whoever sent it needs the first of
/// them and their number, and an answer must not be larger than its request.
pub const MAX_VIOLATIONS: usize = 100;

/// The violations of a document: at most [`MAX_VIOLATIONS`], and how many more there are.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Violations {
    listed: Vec<Violation>,
    more: usize,
}

impl Violations {
    /// How many violations are not listed.
    #[must_use]
    pub fn more(&self) -> usize {
        self.more
    }

    /// Adds a violation to the list, or to the number of those that are not listed.
    pub fn push(&mut self, violation: Violation) {
        if self.listed.len() < MAX_VIOLATIONS {
            self.listed.push(violation);
        } else {
            self.more = self.more.saturating_add(1);
        }
    }

    /// Adds these violations, and the number of those that they do not list.
    pub fn append(&mut self, others: Self) {
        self.more = self.more.saturating_add(others.more);
        self.extend(others.listed);
    }
}

impl Deref for Violations {
    type Target = [Violation];

    fn deref(&self) -> &[Violation] {
        &self.listed
    }
}

impl DerefMut for Violations {
    fn deref_mut(&mut self) -> &mut [Violation] {
        &mut self.listed
    }
}

impl Extend<Violation> for Violations {
    fn extend<I: IntoIterator<Item = Violation>>(&mut self, violations: I) {
        violations.into_iter().for_each(|one| self.push(one));
    }
}

impl FromIterator<Violation> for Violations {
    fn from_iter<I: IntoIterator<Item = Violation>>(violations: I) -> Self {
        let mut all = Self::default();
        all.extend(violations);
        all
    }
}

impl From<Vec<Violation>> for Violations {
    fn from(violations: Vec<Violation>) -> Self {
        violations.into_iter().collect()
    }
}

impl From<Violation> for Violations {
    fn from(violation: Violation) -> Self {
        Self::from(vec![violation])
    }
}

impl IntoIterator for Violations {
    type Item = Violation;
    type IntoIter = std::vec::IntoIter<Violation>;

    fn into_iter(self) -> Self::IntoIter {
        self.listed.into_iter()
    }
}

impl<const N: usize> PartialEq<[Violation; N]> for Violations {
    fn eq(&self, listed: &[Violation; N]) -> bool {
        self.listed == listed && self.more == 0
    }
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, one) in self.listed.iter().enumerate() {
            let between = if at == 0 { "" } else { "; " };
            write!(f, "{between}{one}")?;
        }
        match self.more {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// Collects the violations of a document in any order, and keeps the first [`MAX_VIOLATIONS`] by place. So its memory is
/// bounded, whatever the document.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    first: BTreeSet<Violation>,
    /// The last one that was only counted. Several violated keywords of one place follow each other and become one.
    counted: Option<Violation>,
    more: usize,
}

impl Collector {
    pub(crate) fn push(&mut self, violation: Violation) {
        if self.first.contains(&violation) || self.counted.as_ref() == Some(&violation) {
            return;
        }
        if self.first.len() < MAX_VIOLATIONS {
            self.first.insert(violation);
            return;
        }
        self.more = self.more.saturating_add(1);
        if self.first.last().is_some_and(|last| violation < *last) {
            self.first.insert(violation);
            self.counted = self.first.pop_last();
        } else {
            self.counted = Some(violation);
        }
    }
}

impl From<Collector> for Violations {
    fn from(collected: Collector) -> Self {
        Self {
            listed: collected.first.into_iter().collect(),
            more: collected.more,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbered(number: usize) -> Violation {
        Violation::new(format!("/{number:05}"), "is required")
    }

    #[test]
    fn the_first_by_place_are_listed_and_the_others_counted_whatever_their_order() {
        let all = MAX_VIOLATIONS + 23;
        for order in [
            (0..all).collect::<Vec<_>>(),
            (0..all).rev().collect(),
            (0..all).map(|number| (number * 7) % all).collect(),
        ] {
            let mut collected = Collector::default();
            for number in order {
                collected.push(numbered(number));
                // A second keyword of the same place.
                collected.push(numbered(number));
            }
            let violations = Violations::from(collected);
            let wanted: Vec<Violation> = (0..MAX_VIOLATIONS).map(numbered).collect();
            assert_eq!((&violations[..], violations.more()), (&wanted[..], 23));
        }
    }

    #[test]
    fn what_is_added_to_a_full_list_is_counted_and_told() {
        let mut violations: Violations = (0..MAX_VIOLATIONS).map(numbered).collect();
        assert_eq!(violations.more(), 0);
        violations.push(numbered(1_000));
        violations.append((0..MAX_VIOLATIONS + 2).map(numbered).collect());
        assert_eq!(
            (violations.len(), violations.more()),
            (MAX_VIOLATIONS, MAX_VIOLATIONS + 3)
        );
        let words = violations.to_string();
        assert!(words.ends_with("; and 103 more"), "{words}");
        assert_eq!(
            Violations::from(numbered(1)).to_string(),
            "/00001: is required"
        );
    }
}
