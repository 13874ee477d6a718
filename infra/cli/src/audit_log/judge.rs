//! Finds what is wrong with one chain, from everything that was read of it. Pure.
//!
//! One manipulation shows in several places: an entry that is changed and hashed again breaks the link of the next
//! entry, and differs from the log. The finding names the manipulation where it was done; its consequences get no
//! findings of their own.

use std::{
    collections::{BTreeMap, BTreeSet},
    ops::RangeInclusive,
};

use audit_chain::{Hash, Head};
use events::Timestamp;

use super::{Finding, Kind};

/// The anchored positions of a chain: by number, each hash that an anchor seals there, with the number of that anchor.
pub(super) type Anchored = BTreeMap<u64, BTreeMap<Hash, u64>>;

/// An entry as it was read.
#[derive(Debug, Clone)]
pub(super) struct ReadEntry {
    pub(super) sequence: u64,
    pub(super) event_id: String,
    /// Whether its fields and its place give its hash.
    pub(super) sound: bool,
    /// Whether its id and type agree with its bytes.
    pub(super) agrees_with_envelope: bool,
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
    /// Whether it belongs in the chain.
    pub(super) wanted: bool,
}

/// Everything that was read of a chain.
pub(super) struct Known<'a> {
    /// `type/id`.
    pub(super) aggregate: &'a str,
    /// The entries by the number in their key. `None` for an entry that cannot be read.
    pub(super) entries: &'a [(u64, Option<ReadEntry>)],
    /// The head, read before the entries.
    pub(super) head: Option<&'a Head>,
    /// The head read again after the entries, if they continue beyond the first reading; else the same head.
    pub(super) head_after: Option<&'a Head>,
    pub(super) anchored: &'a Anchored,
    pub(super) log: &'a BTreeMap<u64, Logged>,
    /// Events committed within this range may still be on their way. The range ends when the log was read: a row that
    /// claims a later commit is false, and would otherwise be young forever.
    pub(super) young: RangeInclusive<Timestamp>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum InLog {
    Same,
    Differs,
    Absent,
}

/// The findings, and how many events are still on their way.
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
    /// Events of the log that a finding covers already.
    explained: BTreeSet<u64>,
}

impl Judging<'_> {
    fn find(&mut self, kind: Kind, number: Option<u64>, seen: Option<&ReadEntry>, what: String) {
        self.findings.push(Finding {
            aggregate: Some(self.known.aggregate.to_owned()),
            number,
            sequence: seen.map(|seen| seen.sequence),
            event_id: seen.map(|seen| seen.event_id.clone()),
            ..Finding::new(kind, what)
        });
    }

    fn seen(&self, at: usize) -> Option<&ReadEntry> {
        self.known.entries.get(at)?.1.as_ref()
    }

    fn in_log(&self, seen: &ReadEntry) -> InLog {
        match self.known.log.get(&seen.sequence) {
            Some(row) if row.digest == seen.digest => InLog::Same,
            Some(_) => InLog::Differs,
            None => InLog::Absent,
        }
    }

    /// An anchor that seals another hash at this place, if no anchor seals this hash.
    fn anchored_otherwise(&self, number: u64, hash: &Hash) -> Option<u64> {
        let sealed = self.known.anchored.get(&number)?;
        let other = sealed.iter().find(|(sealed, _)| *sealed != hash)?;
        Some(*other.1)
    }

    /// Whether the data after an entry shows that the entry had another hash.
    fn was_hashed_anew(&self, at: usize) -> bool {
        let (number, Some(seen)) = &self.known.entries[at] else {
            return true;
        };
        let conflict = |(number, seen): &(u64, Option<ReadEntry>)| {
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

    /// Whether the next entry is linked to a hash other than this entry's, and an anchor seals the next entry.
    fn is_disowned(&self, at: usize, number: u64, seen: &ReadEntry) -> bool {
        matches!(self.known.entries.get(at + 1), Some((next, Some(behind)))
            if *next == number + 1 && behind.sound && behind.previous != seen.hash)
            && self.is_sealed(at + 1)
    }

    /// Whether an anchor seals this entry, or a later one that is linked to it.
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

    /// What is wrong with one entry, if it needs a finding.
    fn verdict(
        &self,
        at: usize,
        number: u64,
        seen: &ReadEntry,
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
        if !seen.agrees_with_envelope {
            let what = "event_id or event_type differs from its bytes";
            return Some((Kind::Changed, what.to_owned()));
        }
        match in_log {
            InLog::Differs if self.was_hashed_anew(at) => {
                let what = "hashed again over bytes that differ from the event log";
                return Some((Kind::Changed, what.to_owned()));
            }
            InLog::Differs if self.is_sealed(at) => {
                let what = "the row differs from the entry, and an anchor seals the entry";
                return Some((Kind::LogChanged, what.to_owned()));
            }
            InLog::Differs => {
                let what = "the row differs from the entry; no anchor seals the entry yet, so which of the two was changed is not proven";
                return Some((Kind::LogChanged, what.to_owned()));
            }
            InLog::Absent => {
                let last = self.known.log.keys().next_back().copied().unwrap_or(0);
                if seen.sequence > last && !self.is_sealed(at) {
                    let what = "the event log has no such event: it ends before it";
                    return Some((Kind::Inserted, what.to_owned()));
                }
                return Some((Kind::LogMissing, "the row is missing".to_owned()));
            }
            InLog::Same if self.is_disowned(at, number, seen) => {
                let what = "the next entry, which an anchor seals, is linked to another hash";
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
            let what = "hashed again: it is not linked to the entry before it";
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

    /// Reports missing entries before existing ones.
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

    /// Marks the events between two entries as covered by a finding.
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

    /// Checks the events of the log that no entry holds: skipped, cut off, or still on their way.
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
                let what = "the event has no entry, and the chain has no gap: the chain was rebuilt without it, or the row was added to the log";
                self.find(Kind::Missing, None, None, what.to_owned());
                if let Some(finding) = self.findings.last_mut() {
                    finding.sequence = Some(*sequence);
                }
            } else if known.young.contains(&row.committed_at) {
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
        // An unreadable entry at the end may be the entry of the first of these events.
        let entries = known.entries.iter().rev();
        let unread = entries.take_while(|(_, seen)| seen.is_none()).count();
        if let Some(first) = tail.get(unread.min(tail.len())..).and_then(<[u64]>::first) {
            let last = tail.last().copied().unwrap_or(*first);
            signs.push(if *first == last {
                format!("the event log has event {first} after it")
            } else {
                format!("the event log has events {first} to {last} after it")
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
            None => self.find(Kind::Missing, None, None, "the head is missing".to_owned()),
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
            // The chain grew meanwhile, or is cut off, which is reported.
            Some(_) => {}
        }
    }
}
