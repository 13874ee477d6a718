//! The result of a check of the audit log.

use std::{collections::BTreeMap, fmt};

use events::Timestamp;
use serde::Serialize;

/// What is wrong with the audit log.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// An entry or a head differs from what was written.
    Changed,
    /// An entry is gone, and later entries exist.
    Missing,
    /// An entry that the authorised writer did not write.
    Inserted,
    /// A chain ends before its head, before an anchored entry, or before the event log.
    CutOff,
    /// An anchor that the key did not seal, whose pages differ from the sealed ones, or that does not follow the anchor
    /// before it.
    ForgedAnchor,
    /// A row of the event log differs from its entry.
    LogChanged,
    /// A row of the event log is gone, and its entry exists.
    LogMissing,
    /// No anchor was sealed for hours. A change made since then can be detected only by the event log.
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
                "only audit-log may write chains: restore the audit table to a new table by point-in-time recovery, compare the two, and find the writer in CloudTrail"
            }
            Self::CutOff => {
                "check whether the event is still in a lane or among the dead letters of audit-log (`millrace audit`). If not, entries were removed: compare with the table's point-in-time recovery"
            }
            Self::ForgedAnchor => {
                "only audit-anchor may write anchors: compare with the table's point-in-time recovery, and look in CloudTrail for callers of kms:GenerateMac"
            }
            Self::LogChanged | Self::LogMissing => {
                "rows of the event log are written once, and the entry holds the original bytes: compare both with the events table's point-in-time recovery"
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
    /// The aggregate of the chain: `type/id`. Null for an anchor.
    pub aggregate: Option<String>,
    /// The entry's number in its chain, or the anchor's number. The first one if the finding covers several.
    pub number: Option<u64>,
    /// The last number if the finding covers several.
    pub to_number: Option<u64>,
    /// The event's number in its aggregate, if it is known.
    pub sequence: Option<u64>,
    /// The event's id, if it is known.
    pub event_id: Option<String>,
    /// What was found, as a sentence.
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

/// How much was read and compared.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Chains.
    pub chains: u64,
    /// Their entries.
    pub entries: u64,
    /// Rows of the event log that belong in chains.
    pub events: u64,
    /// Of these, rows younger than the grace period that are not in a chain yet.
    pub young: u64,
    /// Anchors.
    pub anchors: u64,
    /// Of these, anchors whose pages have expired: only their MAC was checked.
    pub anchors_without_pages: u64,
    /// Positions of chains that anchors seal.
    pub anchored: u64,
    /// Items read, both tables together.
    pub items_read: u64,
}

/// The newest valid anchor.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Newest {
    /// Its number.
    pub number: u64,
    /// When it was taken. Nothing later is sealed yet.
    pub taken_at: Timestamp,
}

/// The result of a check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether nothing is wrong.
    pub clean: bool,
    /// When the check began.
    pub started_at: Timestamp,
    /// When the check ended.
    pub finished_at: Timestamp,
    /// The grace period, in seconds.
    pub grace_seconds: u64,
    /// The aggregates whose chains were checked, `type/id`. Empty: all.
    pub scope: Vec<String>,
    /// How much was read and compared.
    pub counts: Counts,
    /// The newest anchor. Compare its number with that of the last check: anchors are never removed.
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
            "anchors    {}, of which {} checked by their MAC only, sealing {} positions",
            counts.anchors, counts.anchors_without_pages, counts.anchored
        )?;
        match &self.newest_anchor {
            Some(newest) => writeln!(
                f,
                "newest     anchor {}, {}",
                newest.number, newest.taken_at
            )?,
            None => writeln!(f, "newest     none: only the event log confirms the chains")?,
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
