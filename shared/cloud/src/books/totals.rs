//! Compares the outstanding total and the alert's episodes with the events.

use std::collections::BTreeMap;

use events::EventId;
use rust_decimal::Decimal;

use crate::backing::{Alert, Backing};

use super::AsIf;

/// Up to how many uncertain events are tried in all combinations. With more, the result is unknown.
const UNCERTAIN_AT_MOST: usize = 12;

/// The result of checking a row of the outstanding total.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// The row is the sum of the counted events.
    Agrees,
    /// The row is right if some of the uncertain events were counted and others were not.
    AgreesWithUncertain,
    /// Too many events are uncertain to decide.
    Unknown,
    /// The row is wrong.
    Wrong {
        /// The sum of the counted events.
        expected: Decimal,
        /// The event that would explain the difference.
        as_if: AsIf,
    },
}

/// Compares a row of the outstanding total with the events counted in it, in the order of the log. For the events in
/// `uncertain`, it is unknown whether they were counted when the row was read.
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

/// An inconsistency of the alert's episodes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrongEpisode {
    /// The row's episode never began.
    NeverBegan {
        /// The episode's number.
        episode: u64,
    },
    /// The episode is open, although the alert is closed or a later episode began.
    StillOpen {
        /// The episode's number.
        episode: u64,
    },
    /// The episode is closed, although it is the open alert's.
    ClosedTooSoon {
        /// The episode's number.
        episode: u64,
    },
}

/// Compares the alert's state with the rows of its episodes, by number. A missing row is ignored, because an operator
/// might have removed it.
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
