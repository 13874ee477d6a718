//! What a check of the audit log says.

use std::{collections::BTreeMap, fmt};

use events::Timestamp;
use serde::Serialize;

/// What is wrong with the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An entry, or a head, is not what was written.
    Changed,
    /// An entry that was written is not there, and later ones are.
    Missing,
    /// An entry that nobody wrote who may.
    Inserted,
    /// A chain ends before its head, before an anchor, or before the event log does.
    CutOff,
    /// An anchor that the key did not seal, or whose pages are not those it sealed, or that does not follow the one before.
    ForgedAnchor,
    /// A row of the event log is not what its entry holds.
    LogChanged,
    /// A row of the event log is gone, and its entry is there.
    LogMissing,
    /// Nothing was sealed for hours: what is changed meanwhile can be seen by the log alone.
    Unanchored,
}

impl Kind {
    /// The word in documents and on screens.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Changed => "changed",
            Self::Missing => "missing",
            Self::Inserted => "inserted",
            Self::CutOff => "cut_off",
            Self::ForgedAnchor => "forged_anchor",
            Self::LogChanged => "log_changed",
            Self::LogMissing => "log_missing",
            Self::Unanchored => "unanchored",
        }
    }

    /// What to do.
    #[must_use]
    pub const fn advice(self) -> &'static str {
        match self {
            Self::Changed | Self::Missing | Self::Inserted => {
                "nobody but audit-log writes chains: restore the audit table to a new table by point-in-time recovery, compare, and find who wrote (CloudTrail)"
            }
            Self::CutOff => {
                "is the event still in a lane or among the letters of audit-log (`millrace audit`)? If not, entries were taken out: compare with the table's point-in-time recovery"
            }
            Self::ForgedAnchor => {
                "nobody but audit-anchor writes anchors: compare with the table's point-in-time recovery, and look who called kms:GenerateMac (CloudTrail)"
            }
            Self::LogChanged | Self::LogMissing => {
                "rows of the log are written once: the entry holds the bytes as they were; compare both with the events table's point-in-time recovery"
            }
            Self::Unanchored => "`millrace jobs audit-anchor` says why its runs fail",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// One thing that is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// What is wrong.
    pub kind: Kind,
    /// Whose chain: `type/id`; null of anchors.
    pub aggregate: Option<String>,
    /// The entry's place in its chain, of several the first; the anchor's number.
    pub number: Option<u64>,
    /// The last of several.
    pub to_number: Option<u64>,
    /// The event's number among its aggregate's events, where it is known.
    pub sequence: Option<u64>,
    /// The event, where it is known.
    pub event_id: Option<String>,
    /// What was found, in a sentence.
    pub what: String,
    /// What to do.
    pub advice: &'static str,
}

impl Finding {
    pub(super) fn new(kind: Kind, what: impl Into<String>) -> Self {
        Self {
            kind,
            aggregate: None,
            number: None,
            to_number: None,
            sequence: None,
            event_id: None,
            what: what.into(),
            advice: kind.advice(),
        }
    }
}

/// How much was looked at.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Chains.
    pub chains: u64,
    /// Their entries.
    pub entries: u64,
    /// Rows of the event log that belong into chains.
    pub events: u64,
    /// Of these, younger than the grace period and not in a chain yet.
    pub young: u64,
    /// Anchors.
    pub anchors: u64,
    /// Of these, older than their pages live: their MAC alone was checked.
    pub anchors_without_pages: u64,
    /// Positions of chains that anchors seal.
    pub anchored: u64,
    /// Items read of both tables.
    pub items_read: u64,
}

/// The newest anchor that holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Newest {
    /// Its number.
    pub number: u64,
    /// Since when nothing is sealed yet.
    pub taken_at: Timestamp,
}

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether nothing is wrong.
    pub clean: bool,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// The grace period, in seconds.
    pub grace_seconds: u64,
    /// The aggregates whose chains were looked at, `type/id`; empty: all.
    pub scope: Vec<String>,
    /// How much was looked at.
    pub counts: Counts,
    /// The newest anchor; compare its number with that of the last check: anchors never become fewer.
    pub newest_anchor: Option<Newest>,
    /// What is wrong, by kind.
    pub findings: Vec<Finding>,
}

impl Report {
    /// How many findings there are of each kind.
    #[must_use]
    pub fn by_kind(&self) -> BTreeMap<Kind, usize> {
        let mut kinds = BTreeMap::new();
        for finding in &self.findings {
            *kinds.entry(finding.kind).or_insert(0) += 1;
        }
        kinds
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for finding in &self.findings {
            let place = match (finding.number, finding.to_number) {
                (Some(from), Some(to)) => format!(" {from} to {to}"),
                (Some(number), None) => format!(" {number}"),
                (None, _) => String::new(),
            };
            let whose = finding.aggregate.as_deref().unwrap_or("anchor");
            write!(f, "{:<13} {whose}{place}", finding.kind)?;
            if let Some(sequence) = finding.sequence {
                write!(f, ", event {sequence}")?;
            }
            if let Some(event_id) = &finding.event_id {
                write!(f, " {event_id}")?;
            }
            writeln!(f, "\n    found     {}", finding.what)?;
            writeln!(f, "    do        {}", finding.advice)?;
        }
        let counts = &self.counts;
        writeln!(
            f,
            "chains     {} with {} entries, against {} events of the log, {} within the grace period of {} s",
            counts.chains, counts.entries, counts.events, counts.young, self.grace_seconds
        )?;
        writeln!(
            f,
            "anchors    {}, {} by their MAC alone, sealing {} positions",
            counts.anchors, counts.anchors_without_pages, counts.anchored
        )?;
        match &self.newest_anchor {
            Some(newest) => writeln!(
                f,
                "newest     anchor {}, {}",
                newest.number, newest.taken_at
            )?,
            None => writeln!(
                f,
                "newest     none: the event log alone bears the chains out"
            )?,
        }
        if self.clean {
            return writeln!(f, "clean");
        }
        let kinds: Vec<String> = self
            .by_kind()
            .iter()
            .map(|(kind, number)| format!("{number} {kind}"))
            .collect();
        writeln!(f, "NOT CLEAN: {}", kinds.join(", "))
    }
}
