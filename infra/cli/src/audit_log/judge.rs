//! What is wrong with one chain, by all that is known of it. Pure.
//!
//! One deed shows in several places: who changes an entry and hashes it anew breaks the link of the next one and differs
//! from the log. Named is the deed, where it was done, and what follows from it is not named again.

use std::collections::{BTreeMap, BTreeSet};

use audit_chain::{Hash, Head};
use events::Timestamp;

use super::{Finding, Kind};

/// Anchored positions of a chain: number, and each hash that an anchor seals there, with that anchor's number.
pub(super) type Anchored = BTreeMap<u64, BTreeMap<Hash, u64>>;

/// An entry as it was read.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) sequence: u64,
    pub(super) event_id: String,
    /// Its fields give its hash, at its place.
    pub(super) sound: bool,
    /// Id and type are what its bytes say.
    pub(super) told: bool,
    pub(super) previous: Hash,
    pub(super) hash: Hash,
    /// A digest of its bytes, comparable with [`Logged::digest`].
    pub(super) digest: Hash,
}

/// A row of the event log.
#[derive(Debug, Clone, Copy)]
pub(super) struct Logged {
    pub(super) digest: Hash,
    pub(super) committed_at: Timestamp,
    /// Whether it belongs into the chain.
    pub(super) wanted: bool,
}

/// All that is known of a chain.
pub(super) struct Known<'a> {
    /// `type/id`.
    pub(super) aggregate: &'a str,
    /// The entries by the number that their key says; `None`: cannot be read.
    pub(super) entries: &'a [(u64, Option<Seen>)],
    /// The head, read before the entries.
    pub(super) head: Option<&'a Head>,
    /// The head, read after them where they go on behind the first reading; else the same.
    pub(super) head_after: Option<&'a Head>,
    pub(super) anchored: &'a Anchored,
    pub(super) log: &'a BTreeMap<u64, Logged>,
    /// An event that was committed then or later may still be on its way.
    pub(super) young_since: Timestamp,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum InLog {
    Same,
    Differs,
    Absent,
}

/// What is wrong, and how many events are still on their way.
pub(super) fn judge(known: &Known<'_>) -> (Vec<Finding>, u64) {
    let mut judging = Judging {
        known,
        verdicts: Vec::with_capacity(known.entries.len()),
        findings: Vec::new(),
        explained: BTreeSet::new(),
    };
    judging.entries();
    let young = judging.events_without_entry();
    judging.head();
    (judging.findings, young)
}

struct Judging<'a> {
    known: &'a Known<'a>,
    verdicts: Vec<Option<Kind>>,
    findings: Vec<Finding>,
    /// Events of the log whose entry is named already.
    explained: BTreeSet<u64>,
}

impl Judging<'_> {
    fn find(&mut self, kind: Kind, number: Option<u64>, seen: Option<&Seen>, what: String) {
        self.findings.push(Finding {
            aggregate: Some(self.known.aggregate.to_owned()),
            number,
            sequence: seen.map(|seen| seen.sequence),
            event_id: seen.map(|seen| seen.event_id.clone()),
            ..Finding::new(kind, what)
        });
    }

    fn seen(&self, at: usize) -> Option<&Seen> {
        self.known.entries.get(at)?.1.as_ref()
    }

    fn in_log(&self, seen: &Seen) -> InLog {
        match self.known.log.get(&seen.sequence) {
            Some(row) if row.digest == seen.digest => InLog::Same,
            Some(_) => InLog::Differs,
            None => InLog::Absent,
        }
    }

    /// The anchor that seals another hash at this place, and none that seals this one.
    fn anchored_otherwise(&self, number: u64, hash: &Hash) -> Option<u64> {
        let sealed = self.known.anchored.get(&number)?;
        let other = sealed.iter().find(|(sealed, _)| *sealed != hash)?;
        Some(*other.1)
    }

    /// Whether what comes behind an entry says that its hash was another one.
    fn was_hashed_anew(&self, at: usize) -> bool {
        let (number, Some(seen)) = &self.known.entries[at] else {
            return true;
        };
        let conflict = |(number, seen): &(u64, Option<Seen>)| {
            seen.as_ref()
                .is_some_and(|seen| self.anchored_otherwise(*number, &seen.hash).is_some())
        };
        if self.known.entries[at..].iter().any(conflict) {
            return true;
        }
        match self.known.entries.get(at + 1) {
            Some((next, Some(behind))) => *next == number + 1 && behind.previous != seen.hash,
            Some((_, None)) => false,
            None => self
                .known
                .head
                .is_some_and(|head| head.number == *number && head.hash != seen.hash),
        }
    }

    /// Whether the next entry is bound to another hash than this one has, and an anchor says that the next one is right.
    fn is_disowned(&self, at: usize, number: u64, seen: &Seen) -> bool {
        matches!(self.known.entries.get(at + 1), Some((next, Some(behind)))
            if *next == number + 1 && behind.sound && behind.previous != seen.hash)
            && self.is_sealed(at + 1)
    }

    /// Whether an anchor seals this entry, or one behind it that is bound to it.
    fn is_sealed(&self, at: usize) -> bool {
        self.known.entries[at..].iter().any(|(number, seen)| {
            let sealed = self.known.anchored.get(number);
            seen.as_ref()
                .is_some_and(|seen| sealed.is_some_and(|sealed| sealed.contains_key(&seen.hash)))
        })
    }

    fn entries(&mut self) {
        let known = self.known;
        let mut expected = 1;
        for (at, (number, seen)) in known.entries.iter().enumerate() {
            if *number > expected {
                self.gap(at, expected, number - 1);
            }
            let adjacent = *number == expected && at > 0;
            expected = number + 1;
            let verdict = match seen {
                None => Some((
                    Kind::Changed,
                    "the row cannot be read as an entry".to_owned(),
                )),
                Some(seen) => self.verdict(at, *number, seen, adjacent),
            };
            self.verdicts.push(verdict.as_ref().map(|(kind, _)| *kind));
            let Some((kind, what)) = verdict else {
                continue;
            };
            if kind == Kind::Changed {
                self.explain(at, at);
            }
            self.find(kind, Some(*number), seen.as_ref(), what);
        }
    }

    /// What is wrong with one entry, if it is to be named for it.
    fn verdict(
        &self,
        at: usize,
        number: u64,
        seen: &Seen,
        adjacent: bool,
    ) -> Option<(Kind, String)> {
        let in_log = self.in_log(seen);
        if !seen.sound {
            let bytes = if in_log == InLog::Differs {
                "; its bytes are not those of the event log"
            } else {
                ""
            };
            let what = format!("its bytes and fields do not give its hash{bytes}");
            return Some((Kind::Changed, what));
        }
        if !seen.told {
            let what = "event_id or event_type is not what its bytes say";
            return Some((Kind::Changed, what.to_owned()));
        }
        match in_log {
            InLog::Differs if self.was_hashed_anew(at) => {
                let what = "hashed anew over other bytes than the event log has";
                return Some((Kind::Changed, what.to_owned()));
            }
            InLog::Differs if self.is_sealed(at) => {
                let what = "the row is not what the entry holds, and an anchor seals the entry";
                return Some((Kind::LogChanged, what.to_owned()));
            }
            InLog::Differs => {
                let what = "the row is not what the entry holds; no anchor seals the entry yet, so which of both was changed is not proven";
                return Some((Kind::LogChanged, what.to_owned()));
            }
            InLog::Absent => {
                let last = self.known.log.keys().next_back().copied().unwrap_or(0);
                if seen.sequence > last && !self.is_sealed(at) {
                    let what = "the event log has no such event: it ends before it";
                    return Some((Kind::Inserted, what.to_owned()));
                }
                return Some((Kind::LogMissing, "the row is not there".to_owned()));
            }
            InLog::Same if self.is_disowned(at, number, seen) => {
                let what = "the entry behind it, which an anchor seals, is bound to another hash";
                return Some((Kind::Changed, what.to_owned()));
            }
            InLog::Same => {}
        }
        let before = at.checked_sub(1).and_then(|before| self.seen(before));
        let linked = match (number, before) {
            (1, _) => seen.previous == Hash::START,
            (_, Some(before)) if adjacent => seen.previous == before.hash,
            _ => true,
        };
        let was_named = self
            .verdicts
            .last()
            .copied()
            .flatten()
            .is_some_and(|kind| matches!(kind, Kind::Changed | Kind::Inserted));
        if !(linked || adjacent && was_named) {
            let what = "hashed anew: it is not bound to the entry before it";
            return Some((Kind::Changed, what.to_owned()));
        }
        let is_first_sign = self.findings.is_empty() && !self.skipped_before(seen.sequence);
        match self.anchored_otherwise(number, &seen.hash) {
            Some(anchor) if is_first_sign => Some((
                Kind::Changed,
                format!(
                    "anchor {anchor} seals another hash here: it, or one before it, was changed together with the event log"
                ),
            )),
            _ => None,
        }
    }

    /// Entries that are not there although later ones are.
    fn gap(&mut self, at: usize, from: u64, to: u64) {
        let (first, last) = self.explain_between(at.checked_sub(1), Some(at));
        let events = match (first, last) {
            (Some(first), Some(last)) if first != last => format!(" (events {first} to {last})"),
            (Some(first), _) => format!(" (event {first})"),
            _ => String::new(),
        };
        self.find(
            Kind::Missing,
            Some(from),
            None,
            format!("not there{events}"),
        );
        if let Some(finding) = self.findings.last_mut() {
            finding.to_number = (to > from).then_some(to);
            finding.sequence = first;
        }
    }

    /// The events between two entries need no finding of their own.
    fn explain_between(
        &mut self,
        before: Option<usize>,
        behind: Option<usize>,
    ) -> (Option<u64>, Option<u64>) {
        let from = before
            .and_then(|at| self.seen(at))
            .map_or(0, |seen| seen.sequence);
        let to = behind
            .and_then(|at| self.seen(at))
            .map_or(u64::MAX, |seen| seen.sequence);
        if from >= to {
            return (None, None);
        }
        let between: Vec<u64> = self
            .known
            .log
            .range(from + 1..to)
            .filter(|(_, row)| row.wanted)
            .map(|(sequence, _)| *sequence)
            .collect();
        self.explained.extend(&between);
        (between.first().copied(), between.last().copied())
    }

    fn explain(&mut self, from: usize, to: usize) {
        if to + 1 < self.known.entries.len() {
            self.explain_between(from.checked_sub(1), Some(to + 1));
        }
    }

    /// Whether an event before this one has no entry.
    fn skipped_before(&self, sequence: u64) -> bool {
        let chained: BTreeSet<u64> = self
            .known
            .entries
            .iter()
            .filter_map(|(_, seen)| seen.as_ref())
            .map(|seen| seen.sequence)
            .collect();
        self.known
            .log
            .range(..sequence)
            .any(|(sequence, row)| row.wanted && !chained.contains(sequence))
    }

    /// Events of the log that no entry holds: skipped, cut off, or still on their way.
    fn events_without_entry(&mut self) -> u64 {
        let known = self.known;
        let chained: BTreeSet<u64> = known
            .entries
            .iter()
            .filter_map(|(_, seen)| seen.as_ref())
            .map(|seen| seen.sequence)
            .collect();
        let end = chained.last().copied().unwrap_or(0);
        let (mut young, mut tail) = (0, Vec::new());
        for (sequence, row) in known.log {
            if !row.wanted || chained.contains(sequence) || self.explained.contains(sequence) {
                continue;
            }
            if *sequence < end {
                let what = "the event has no entry and the chain no gap: the chain was made anew without it, or the row was added to the log";
                self.find(Kind::Missing, None, None, what.to_owned());
                if let Some(finding) = self.findings.last_mut() {
                    finding.sequence = Some(*sequence);
                }
            } else if row.committed_at >= known.young_since {
                young += 1;
            } else {
                tail.push(*sequence);
            }
        }
        self.cut_off(&tail);
        young
    }

    fn cut_off(&mut self, tail: &[u64]) {
        let known = self.known;
        let end = known.entries.last().map_or(0, |(number, _)| *number);
        let mut signs = Vec::new();
        if let Some(head) = known.head.filter(|head| head.number > end) {
            signs.push(format!("its head is entry {}", head.number));
        }
        if let Some((number, sealed)) = known
            .anchored
            .last_key_value()
            .filter(|(number, _)| **number > end)
        {
            let anchor = sealed.values().max().copied().unwrap_or(0);
            signs.push(format!("anchor {anchor} seals entry {number}"));
        }
        // What cannot be read, at the end, may be the very entry that is wanted.
        let entries = known.entries.iter().rev();
        let unread = entries.take_while(|(_, seen)| seen.is_none()).count();
        if let Some(first) = tail.get(unread.min(tail.len())..).and_then(<[u64]>::first) {
            let last = tail.last().copied().unwrap_or(*first);
            signs.push(if *first == last {
                format!("the event log has event {first} behind it")
            } else {
                format!("the event log has events {first} to {last} behind it")
            });
        }
        if signs.is_empty() {
            return;
        }
        let what = match end {
            0 => format!("there is no entry at all; {}", signs.join(", ")),
            end => format!("ends with entry {end}; {}", signs.join(", ")),
        };
        self.find(Kind::CutOff, Some(end + 1), None, what);
        if let Some(finding) = self.findings.last_mut() {
            finding.sequence = tail.first().copied();
        }
    }

    fn head(&mut self) {
        let known = self.known;
        let Some((end, last)) = known.entries.last() else {
            return;
        };
        if self.verdicts.last().copied().flatten() == Some(Kind::Inserted)
            && known.head_after.is_none_or(|head| head.number < *end)
        {
            return;
        }
        match known.head_after {
            None => self.find(
                Kind::Missing,
                None,
                None,
                "the head is not there".to_owned(),
            ),
            Some(head) if head.number < *end => {
                let what = format!(
                    "the head is entry {}, the chain ends with entry {end}",
                    head.number
                );
                self.find(Kind::Changed, None, None, what);
            }
            Some(head) if head.number == *end => {
                let same = last
                    .as_ref()
                    .is_some_and(|last| head.hash == last.hash && head.sequence == last.sequence);
                if !same && self.verdicts.last().copied().flatten().is_none() {
                    let what = format!("the head has another hash or event than entry {end}");
                    self.find(Kind::Changed, None, None, what);
                }
            }
            // It went on meanwhile, or is cut off, which is named.
            Some(_) => {}
        }
    }
}
