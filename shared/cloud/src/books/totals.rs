//! The outstanding total and the alert's episodes compared with what was counted.

use std::collections::BTreeMap;

use events::EventId;
use rust_decimal::Decimal;

use crate::backing::{Alert, Backing};

use super::AsIf;

/// How many uncertain events are tried in all combinations before a total is called unknown.
const UNCERTAIN_AT_MOST: usize = 12;

/// What a look at a row of the outstanding total came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// It is the sum of what was counted.
    Agrees,
    /// It is, when some of the uncertain events were counted and others not.
    AgreesWithUncertain,
    /// Too much is uncertain to tell.
    Unknown,
    /// It is not.
    Wrong {
        /// The sum of what was counted.
        expected: Decimal,
        /// What would explain the difference.
        as_if: AsIf,
    },
}

/// Compares a row of the outstanding total with the events counted in it, in the order of the log. `uncertain` are those
/// that may or may not have been counted when the row was read.
#[must_use]
pub fn check_total(
    counted: &[(EventId, Decimal)],
    uncertain: &[(EventId, Decimal)],
    stored: Decimal,
) -> Total {
    let expected = sum(counted.iter());
    let off = stored - expected;
    if off.is_zero() {
        return Total::Agrees;
    }
    if uncertain.len() > UNCERTAIN_AT_MOST {
        return Total::Unknown;
    }
    let explained = (1_u32..1 << uncertain.len()).any(|chosen| {
        let some = uncertain
            .iter()
            .enumerate()
            .filter(|(place, _)| chosen >> place & 1 == 1)
            .map(|(_, one)| one);
        sum(some) == off
    });
    if explained {
        Total::AgreesWithUncertain
    } else {
        Total::Wrong {
            expected,
            as_if: AsIf::explained(off, &counted.iter().copied()),
        }
    }
}

fn sum<'a>(changes: impl Iterator<Item = &'a (EventId, Decimal)>) -> Decimal {
    changes.fold(Decimal::ZERO, |sum, (_, change)| {
        sum.saturating_add(*change)
    })
}

/// What is wrong with the alert's episodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrongEpisode {
    /// A row of an episode that never began.
    NeverBegan {
        /// Its number.
        episode: u64,
    },
    /// Open, though the alert is closed or a later one began.
    StillOpen {
        /// Its number.
        episode: u64,
    },
    /// Closed, though the alert is open with it.
    ClosedTooSoon {
        /// Its number.
        episode: u64,
    },
}

/// Compares the alert's state with the rows of its episodes, by number. A missing row is none of the books' business: an
/// operator may have removed it.
#[must_use]
pub fn check_episodes(
    backing: Option<&Backing>,
    alerts: &BTreeMap<u64, Alert>,
) -> Vec<WrongEpisode> {
    let (open, last) = backing.map_or((false, 0), |backing| (backing.open(), backing.episode()));
    let mut wrong = Vec::new();
    for (episode, alert) in alerts {
        let episode = *episode;
        let should_be_open = open && episode == last;
        if episode == 0 || episode > last {
            wrong.push(WrongEpisode::NeverBegan { episode });
        } else if should_be_open && alert.closed_at.is_some() {
            wrong.push(WrongEpisode::ClosedTooSoon { episode });
        } else if !should_be_open && alert.closed_at.is_none() {
            wrong.push(WrongEpisode::StillOpen { episode });
        }
    }
    wrong
}
