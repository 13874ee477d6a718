//! What an audit says.

use std::{collections::BTreeMap, fmt};

use events::Timestamp;
use rust_decimal::Decimal;
use serde::Serialize;

/// What is wrong with an event, a row or a figure.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Kind {
    /// Published, but a consumer that subscribed to it shows no sign of it, and it is in none of the consumer's queues.
    Lost,
    /// Older than the grace period and not through yet, but there is a place from which it may still come.
    Late,
    /// Took effect more than once, or is there under two ids.
    Doubled,
    /// The numbers of an aggregate's events have a gap, or do not agree with its state.
    OutOfSequence,
    /// Does not go on by itself: not relayed within the stream's memory, or refused by the bus.
    Stuck,
    /// Lies in a dead-letter queue and was not handled.
    Parked,
    /// A stored row is not what it must be.
    Unreadable,
    /// Stored state is not what the log's events come to.
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
    /// The event it is about, where one can be named.
    pub event_id: Option<String>,
    /// Its type.
    pub event_type: Option<String>,
    /// The thing it is about: `type/id`.
    pub aggregate: Option<String>,
    /// Its number among that thing's events.
    pub sequence: Option<u64>,
    /// The consumer that has not handled it, or whose rows are wrong.
    pub consumer: Option<String>,
    /// How far it came.
    pub stopped: String,
    /// What was found, in a sentence.
    pub what: String,
    /// What to do.
    pub advice: &'static str,
}

/// How much was looked at, and what was left out of it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// Rows of the event log.
    pub events: u64,
    /// Aggregates they belong to.
    pub aggregates: u64,
    /// Items read of all tables; an item asked for and not there counts too.
    pub items_read: u64,
    /// Published rows.
    pub published: u64,
    /// Rows not yet published.
    pub pending: u64,
    /// Pairs of published event and subscribed consumer that were proven handled.
    pub handled: u64,
    /// Pairs whose mark may have gone: the event was published more than 30 days ago.
    pub not_provable: u64,
    /// Pairs not handled whose event was published before the consumer began: [`Report::before_consumer`] names the consumers.
    pub before_consumer: u64,
    /// Pending rows, and pairs not handled, younger than the grace period.
    pub young: u64,
    /// Changes that were made while the audit was reading: left to the next one.
    pub moving: u64,
    /// Events whose contract keeps them for a while only and that are gone from the log.
    pub expired: u64,
    /// Events of types that this tool knows no contract of.
    pub unknown_types: u64,
    /// State items compared with the log.
    pub states: u64,
    /// Aggregates rebuilt from their events and compared with their rows.
    pub rebuilt: u64,
    /// Messages in dead-letter queues.
    pub letters: u64,
    /// Of these, copies of another letter.
    pub letter_copies: u64,
    /// Of these, letters about events that are handled after all.
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

/// What was compared of one domain, or of one consumer that keeps rows of its own.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct DomainReport {
    /// How many things of each sort were compared with the log.
    pub counts: BTreeMap<&'static str, u64>,
    /// Its sums; empty where it has none, or where only some aggregates were audited.
    pub figures: BTreeMap<&'static str, Figure>,
}

/// A letter about an event that was handled all the same: it can be deleted.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Leftover {
    /// Whose letter.
    pub consumer: String,
    /// About which event.
    pub event_id: String,
    /// Why it was parked.
    pub reason: String,
}

/// A consumer that began after the log did.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct BeforeConsumer {
    /// Whose.
    pub consumer: String,
    /// When the first of its lanes was made.
    pub began_at: Timestamp,
    /// Events of its types that it did not handle because they were published before that, or while it was set up.
    pub events: u64,
}

/// A lane as it was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct LaneSeen {
    /// Whose.
    pub consumer: String,
    /// `express` or `standard`.
    pub lane: &'static str,
    /// Messages in it: waiting, in hand or delayed; SQS's approximation.
    pub waiting: u64,
    /// Messages in its dead-letter queue that were read.
    pub letters: u64,
    /// Whether all its letters were read; others may have had some of them in hand.
    pub all_letters_read: bool,
}

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether nothing is wrong.
    pub clean: bool,
    /// When it began.
    pub started_at: Timestamp,
    /// When it ended.
    pub finished_at: Timestamp,
    /// Whether nothing was allowed to be on its way.
    pub settled: bool,
    /// The grace period, in seconds.
    pub grace_seconds: u64,
    /// The aggregates that were looked at, `type/id`; empty: all.
    pub scope: Vec<String>,
    /// How much was looked at, whatever the domain.
    pub counts: Counts,
    /// What was compared of each domain, by its name.
    pub domains: BTreeMap<&'static str, DomainReport>,
    /// The lanes.
    pub lanes: Vec<LaneSeen>,
    /// What is wrong, by kind.
    pub findings: Vec<Finding>,
    /// Letters that nobody needs any more.
    pub leftovers: Vec<Leftover>,
    /// Consumers that did not handle events from before their time.
    pub before_consumer: Vec<BeforeConsumer>,
    /// Consumers that this tool knows and that have no lane in the stack: nothing was asked of them.
    pub not_deployed: Vec<String>,
    /// Consumers of the stack that this tool does not know: what they handled was not looked at.
    pub not_audited: Vec<String>,
}

impl Report {
    /// How many things of a sort were compared in a domain; nothing where the audit counts no such thing.
    #[must_use]
    pub fn count(&self, domain: &str, name: &str) -> Option<u64> {
        self.domains.get(domain)?.counts.get(name).copied()
    }

    /// A sum of a domain; nothing where the audit has no such sum.
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
            writeln!(f, "    came to   {}", finding.stopped)?;
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
            "handled    {} proven, {} older than marks live, {} within the grace period of {} s",
            counts.handled, counts.not_provable, counts.young, self.grace_seconds
        )?;
        writeln!(
            f,
            "books      {} states, {} rebuilt from their events; {} changed meanwhile, {} events expired",
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
                "lane       {} {}: {} waiting, {} letters{}",
                lane.consumer,
                lane.lane,
                lane.waiting,
                lane.letters,
                if lane.all_letters_read {
                    ""
                } else {
                    " read, there are more"
                }
            )?;
        }
        if !self.leftovers.is_empty() {
            writeln!(
                f,
                "leftovers  {} letters about events that are handled after all: send them back rather than delete them, a consumer in order goes on from there",
                self.leftovers.len()
            )?;
        }
        for one in &self.before_consumer {
            writeln!(
                f,
                "before     {} events are older than {}, whose first lane was made at {}",
                one.events, one.consumer, one.began_at
            )?;
        }
        if !self.not_deployed.is_empty() {
            writeln!(f, "not in the stack: {}", self.not_deployed.join(", "))?;
        }
        for consumer in &self.not_audited {
            writeln!(
                f,
                "NOT LOOKED AT: consumer {consumer}, which this version of the tool does not know"
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
