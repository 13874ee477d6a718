//! State machines as data: a table lists which status can follow which. Everything else is refused.

use std::fmt;

/// The table of a state machine: every status once, with the statuses that can follow it.
#[derive(Debug, Clone, Copy)]
pub struct Transitions<S: 'static>(&'static [(S, &'static [S])]);

impl<S: Copy + Eq + fmt::Display> Transitions<S> {
    /// A state machine with these rows: every status once, with the statuses that can follow it.
    #[must_use]
    pub const fn new(rows: &'static [(S, &'static [S])]) -> Self {
        Self(rows)
    }

    /// Every status that has a row, in table order.
    pub fn statuses(self) -> impl Iterator<Item = S> {
        self.0.iter().map(|(status, _)| *status)
    }

    /// The statuses that can follow; empty if `from` is final.
    #[must_use]
    pub fn next(self, from: S) -> &'static [S] {
        let row = self.0.iter().find(|(status, _)| *status == from);
        row.map_or(&[], |(_, next)| next)
    }

    /// Whether no status can follow this one.
    #[must_use]
    pub fn is_final(self, status: S) -> bool {
        self.next(status).is_empty()
    }

    /// Checks that `to` can follow `from`.
    ///
    /// # Errors
    /// [`Illegal`] names both, and the statuses that could follow instead.
    pub fn check(self, from: S, to: S) -> Result<(), Illegal> {
        if self.next(from).contains(&to) {
            Ok(())
        } else {
            Err(self.refused(from, to))
        }
    }

    /// The refusal of the transition from `from` to `to`.
    #[must_use]
    pub fn refused(self, from: S, to: S) -> Illegal {
        Illegal {
            from: from.to_string(),
            to: to.to_string(),
            allowed: self.next(from).iter().map(ToString::to_string).collect(),
        }
    }

    /// Whether the machine can return to a status, over any number of transitions. If it cannot, the status occurs at
    /// most once and can identify a fact.
    #[must_use]
    pub fn comes_back(self, status: S) -> bool {
        let mut seen: Vec<S> = Vec::new();
        let mut ahead = self.next(status).to_vec();
        while let Some(one) = ahead.pop() {
            if one == status {
                return true;
            }
            if !seen.contains(&one) {
                seen.push(one);
                ahead.extend(self.next(one));
            }
        }
        false
    }
}

/// A transition that is not in the table.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{from} cannot become {to}; {}", words(.allowed))]
pub struct Illegal {
    /// The current status.
    pub from: String,
    /// The requested status.
    pub to: String,
    /// The statuses that can follow.
    pub allowed: Vec<String>,
}

fn words(allowed: &[String]) -> String {
    match allowed.split_last() {
        None => "it is a final status".to_owned(),
        Some((one, [])) => format!("only {one} can follow"),
        Some((last, rest)) => format!("only {} or {last} can follow", rest.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROUND: Transitions<u8> = Transitions::new(&[(1, &[2, 3]), (2, &[1]), (3, &[])]);

    #[test]
    fn what_the_table_lacks_is_refused_with_from_to_and_what_comes_next() {
        assert_eq!(ROUND.check(1, 3), Ok(()));
        let words = |from, to| ROUND.check(from, to).expect_err("refused").to_string();
        assert_eq!(words(1, 1), "1 cannot become 1; only 2 or 3 can follow");
        assert_eq!(words(2, 3), "2 cannot become 3; only 1 can follow");
        assert_eq!(words(3, 1), "3 cannot become 1; it is a final status");
        assert!(ROUND.is_final(3) && !ROUND.is_final(1));
    }

    #[test]
    fn a_status_that_comes_back_is_found_over_others() {
        assert!(ROUND.comes_back(1) && ROUND.comes_back(2));
        assert!(!ROUND.comes_back(3));
        assert!(ROUND.statuses().eq([1, 2, 3]));
    }
}
