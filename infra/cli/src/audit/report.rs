//! The result of an audit.

use std::{collections::BTreeMap, fmt};

use events::Timestamp;
use rust_decimal::Decimal;
use serde::Serialize;

/// What is wrong with an event, a row or a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Published, but a subscribed consumer has no evidence of it, and none of the consumer's queues holds it.
    Lost,
    /// Older than the grace period and not handled yet, but it may still arrive from where it is.
    Late,
    /// Took effect more than once, or exists under two ids.
    Doubled,
    /// The numbers of an aggregate's events have a gap, or disagree with its state.
    OutOfSequence,
    /// Will not continue by itself: not relayed while the stream remembered it, or refused by the bus.
    Stuck,
    /// A dead letter, and not handled.
    Parked,
    /// A stored row cannot be read, or breaks its contract.
    Unreadable,
    /// Stored state differs from what follows from the log's events.
    Books,
}

impl Kind {
    /// The word in documents and on screens.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Lost => "lost",
            Self::Late => "late",
            Self::Doubled => "doubled",
            Self::OutOfSequence => "out_of_sequence",
            Self::Stuck => "stuck",
            Self::Parked => "parked",
            Self::Unreadable => "unreadable",
            Self::Books => "books",
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
    /// The event concerned, if one can be named.
    pub event_id: Option<String>,
    /// Its type.
    pub event_type: Option<String>,
    /// The aggregate concerned: `type/id`.
    pub aggregate: Option<String>,
    /// The event's number in its aggregate.
    pub sequence: Option<u64>,
    /// The consumer that has not handled the event, or whose rows are wrong.
    pub consumer: Option<String>,
    /// How far the event came.
    pub stopped: String,
    /// What was found, as a sentence.
    pub what: String,
    /// What to do.
    pub advice: &'static str,
}

/// How much was read and compared, and what was left out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Rows of the event log.
    pub events: u64,
    /// Aggregates they belong to.
    pub aggregates: u64,
    /// Items read, all tables together. An item that was asked for and does not exist counts too.
    pub items_read: u64,
    /// Published rows.
    pub published: u64,
    /// Rows not yet published.
    pub pending: u64,
    /// Pairs of a published event and a subscribed consumer that are proven handled.
    pub handled: u64,
    /// Pairs whose mark may have expired: the event was published more than 60 days ago.
    pub not_provable: u64,
    /// Unhandled pairs whose event was published before the consumer existed. [`Report::before_consumer`] names the
    /// consumers.
    pub before_consumer: u64,
    /// Pending rows and unhandled pairs that are younger than the grace period.
    pub young: u64,
    /// Changes made while the audit was reading. They are left to the next audit.
    pub moving: u64,
    /// Events whose retention is over and that are gone from the log.
    pub expired: u64,
    /// Events of types for which this tool has no contract.
    pub unknown_types: u64,
    /// State items compared with the log.
    pub states: u64,
    /// Aggregates rebuilt from their events and compared with their rows.
    pub rebuilt: u64,
    /// Unresolved dead letters, and messages in the dead-letter queue that are not drained yet.
    pub letters: u64,
    /// Of these, copies of another dead letter.
    pub letter_copies: u64,
    /// Of these, dead letters of events that are handled.
    pub leftovers: u64,
}

/// A sum, exact, with its unit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Figure {
    /// The sum as a decimal.
    pub amount: String,
    /// What it counts: `CLOUD`, `points`.
    pub unit: &'static str,
}

impl Figure {
    pub(super) fn new(amount: Decimal, unit: &'static str) -> Self {
        let amount = amount.normalize().to_string();
        Self { amount, unit }
    }
}

impl fmt::Display for Figure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.amount, self.unit)
    }
}

/// What was compared for one domain, or for one consumer with rows of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DomainReport {
    /// How many things of each kind were compared with the log.
    pub counts: BTreeMap<&'static str, u64>,
    /// Its totals. Empty if it has none, or if only some aggregates were audited.
    pub figures: BTreeMap<&'static str, Figure>,
}

/// A dead letter of an event that was handled later. Its row closes by itself.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leftover {
    /// The consumer.
    pub consumer: String,
    /// The event.
    pub event_id: String,
    /// Why it was parked.
    pub reason: String,
}

/// A consumer that is newer than the event log.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BeforeConsumer {
    /// The consumer.
    pub consumer: String,
    /// When its first lane was created.
    pub began_at: Timestamp,
    /// Events of its types that it did not handle, because they were published before that or while it was set up.
    pub events: u64,
}

/// The state of a lane.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LaneSeen {
    /// The consumer.
    pub consumer: String,
    /// `express` or `standard`.
    pub lane: &'static str,
    /// Messages in it, waiting, in flight or delayed, as SQS approximates them.
    pub waiting: u64,
}

/// The dead letters of a consumer.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct LettersSeen {
    /// Unresolved rows.
    pub open: u64,
    /// Messages in the dead-letter queue that are not drained yet.
    pub not_drained: u64,
}

/// The result of an audit.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether nothing is wrong.
    pub clean: bool,
    /// When the audit began.
    pub started_at: Timestamp,
    /// When the audit ended.
    pub finished_at: Timestamp,
    /// Whether the audit assumed that nothing was on its way.
    pub settled: bool,
    /// The grace period, in seconds.
    pub grace_seconds: u64,
    /// The audited aggregates, `type/id`. Empty: all.
    pub scope: Vec<String>,
    /// How much was read and compared, in all domains.
    pub counts: Counts,
    /// What was compared for each domain, by its name.
    pub domains: BTreeMap<&'static str, DomainReport>,
    /// The lanes.
    pub lanes: Vec<LaneSeen>,
    /// The dead letters, by consumer.
    pub letters: BTreeMap<String, LettersSeen>,
    /// Whether all dead letters were read. Other readers may have hidden some that are still in the queue.
    pub all_letters_read: bool,
    /// What is wrong, by kind.
    pub findings: Vec<Finding>,
    /// Dead letters that are no longer needed.
    pub leftovers: Vec<Leftover>,
    /// Consumers that did not handle events older than themselves.
    pub before_consumer: Vec<BeforeConsumer>,
    /// Consumers that this tool knows and that have no lane in the stack. They were not audited.
    pub not_deployed: Vec<String>,
    /// Consumers of the stack that this tool does not know. They were not audited.
    pub not_audited: Vec<String>,
}

impl Report {
    /// How many things of a kind were compared in a domain. `None` if the audit does not count that kind.
    #[must_use]
    pub fn count(&self, domain: &str, name: &str) -> Option<u64> {
        self.domains.get(domain)?.counts.get(name).copied()
    }

    /// A total of a domain. `None` if the audit has no such total.
    #[must_use]
    pub fn figure(&self, domain: &str, name: &str) -> Option<&Figure> {
        self.domains.get(domain)?.figures.get(name)
    }

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
        let counts = &self.counts;
        for finding in &self.findings {
            let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "-".to_owned());
            let number = finding.sequence.map_or(String::new(), |n| format!(" #{n}"));
            writeln!(
                f,
                "{:<15} {} {} {}{number}",
                finding.kind,
                or(&finding.event_id),
                or(&finding.event_type),
                or(&finding.aggregate),
            )?;
            if let Some(consumer) = &finding.consumer {
                writeln!(f, "    consumer  {consumer}")?;
            }
            writeln!(f, "    found     {}", finding.what)?;
            writeln!(f, "    stopped   {}", finding.stopped)?;
            writeln!(f, "    do        {}", finding.advice)?;
        }
        if !self.findings.is_empty() {
            writeln!(f)?;
        }
        writeln!(
            f,
            "log        {} events of {} aggregates, {} published, {} pending",
            counts.events, counts.aggregates, counts.published, counts.pending
        )?;
        writeln!(
            f,
            "handled    {} proven, {} too old to prove, {} within the grace period of {} s",
            counts.handled, counts.not_provable, counts.young, self.grace_seconds
        )?;
        writeln!(
            f,
            "books      {} states, {} rebuilt from their events; {} changed during the audit, {} events expired",
            counts.states, counts.rebuilt, counts.moving, counts.expired
        )?;
        for (name, domain) in &self.domains {
            let words = |name: &str| name.replace('_', " ");
            let counts = domain.counts.iter();
            let counts = counts.map(|(name, number)| format!("{number} {}", words(name)));
            let figures = domain.figures.iter();
            let figures = figures.map(|(name, sum)| format!("{} {sum}", words(name)));
            let parts: Vec<String> = counts.chain(figures).collect();
            if !parts.is_empty() {
                writeln!(f, "{name:<10} {}", parts.join(", "))?;
            }
        }
        for lane in &self.lanes {
            writeln!(
                f,
                "lane       {} {}: {} waiting",
                lane.consumer, lane.lane, lane.waiting,
            )?;
        }
        for (consumer, seen) in &self.letters {
            writeln!(
                f,
                "letters    {consumer}: {} open, {} not drained yet",
                seen.open, seen.not_drained
            )?;
        }
        if !self.all_letters_read {
            writeln!(f, "letters    not all could be read, there may be more")?;
        }
        if !self.leftovers.is_empty() {
            writeln!(
                f,
                "leftovers  {} dead letters of events that are handled: their rows close by themselves, within minutes of the handling",
                self.leftovers.len()
            )?;
        }
        for one in &self.before_consumer {
            writeln!(
                f,
                "before     {} events are older than {}, whose first lane was created at {}",
                one.events, one.consumer, one.began_at
            )?;
        }
        if !self.not_deployed.is_empty() {
            writeln!(f, "not in the stack: {}", self.not_deployed.join(", "))?;
        }
        for consumer in &self.not_audited {
            writeln!(
                f,
                "NOT AUDITED: consumer {consumer}, which this version of the tool does not know"
            )?;
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
