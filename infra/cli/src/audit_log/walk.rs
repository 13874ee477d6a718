//! The check itself.
//!
//! Traffic may run during the check, and the reads are not one snapshot. The order of the reads prevents false
//! findings: anchors, then heads, then the event log, then the chains. Chains only grow, so a chain is at least as long
//! as everything read before it implies. If it is longer, the head and the log are read once more.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    time::Duration,
};

use audit_chain::{
    Anchor, AnchorPage, ChainEntry, HEAD_SHARDS, Hash, Head, PAGE_LIFE, Sealing, anchors, chain,
    head_key, heads, number_of_key, pages,
};
use events::{Registry, Subscription, Timestamp};
use outbox::{Cursor, Item, Key, Page, Query, Scan, decode_item, log::LogRow};
use serde::Deserialize;
use serde_json::Value;
use topology::functions::audit_log::Event;

use super::{
    Counts, Error, Finding, Kind, Newest, Options, Progress, Report, Sources,
    judge::{Anchored, Known, Logged, ReadEntry, judge},
};

/// How many items are read at once.
const PAGE: u32 = 200;

/// How many rows of the log are read again in one call.
const SECOND_LOOKS: usize = 100;

/// How long an anchor's pages are expected: a day less than they live, because clocks differ and a check may take long.
const PAGES_WANTED: Duration = PAGE_LIFE.saturating_sub(Duration::from_secs(24 * 60 * 60));

/// An anchor must be younger than this: three failed runs of an hourly schedule.
const SEALED_WITHIN: Duration = Duration::from_secs(3 * 60 * 60);

/// The digest by which bytes are compared.
fn digest(bytes: &str) -> Hash {
    Hash::of("millrace audit bytes", &[bytes.as_bytes()])
}

/// An aggregate as people write it: `type/id`.
fn shown(aggregate: &str) -> String {
    aggregate.replacen('#', "/", 1)
}

fn count(number: usize) -> u64 {
    u64::try_from(number).unwrap_or(u64::MAX)
}

/// Whether id and type agree with the bytes.
fn agrees_with_envelope(entry: &ChainEntry) -> bool {
    let Ok(envelope) = serde_json::from_str::<Value>(&entry.envelope) else {
        return false;
    };
    envelope["event_id"] == entry.event_id && envelope["event_type"] == entry.event_type
}

/// The event type in an event's bytes. The attribute of the row proves nothing, because no hash covers it.
fn type_in_envelope(envelope: &str) -> Option<String> {
    #[derive(Deserialize)]
    struct TypeOnly {
        event_type: String,
    }
    let parsed: TypeOnly = serde_json::from_str(envelope).ok()?;
    Some(parsed.event_type)
}

pub(super) struct Verification<'a> {
    sources: &'a Sources,
    options: &'a Options,
    progress: &'a mut (dyn FnMut(Progress) + Send),
    stage: &'static str,
    started_at: Timestamp,
    log_read_at: Timestamp,
    scope: BTreeSet<String>,
    /// The aggregate types that have chains.
    kinds: BTreeSet<&'static str>,
    counts: Counts,
    findings: Vec<Finding>,
    newest: Option<Newest>,
    first_recorded: Option<Timestamp>,
    anchored: HashMap<String, Anchored>,
    heads: HashMap<String, Head>,
    log: BTreeMap<String, BTreeMap<u64, Logged>>,
}

impl<'a> Verification<'a> {
    pub(super) fn new(
        sources: &'a Sources,
        options: &'a Options,
        progress: &'a mut (dyn FnMut(Progress) + Send),
    ) -> Self {
        let contracts = Registry::shipped();
        let started_at = sources.clock.now();
        Self {
            sources,
            options,
            progress,
            stage: "anchors",
            started_at,
            log_read_at: started_at,
            scope: options
                .scope
                .iter()
                .map(|(kind, id)| format!("{kind}#{id}"))
                .collect(),
            kinds: contracts
                .contracts()
                .iter()
                .filter(|contract| Event::evidence(contract.event_type).is_some())
                .map(|contract| contract.aggregate_type)
                .collect(),
            counts: Counts::default(),
            findings: Vec::new(),
            newest: None,
            first_recorded: None,
            anchored: HashMap::new(),
            heads: HashMap::new(),
            log: BTreeMap::new(),
        }
    }

    pub(super) async fn run(mut self) -> Result<Report, Error> {
        self.anchors().await?;
        self.stage = "heads";
        self.read_heads().await?;
        self.stage = "event log";
        self.read_log().await?;
        self.log_read_at = self.sources.clock.now();
        self.stage = "chains";
        let aggregates: BTreeSet<String> = self
            .log
            .keys()
            .chain(self.heads.keys())
            .chain(self.anchored.keys())
            .cloned()
            .collect();
        for aggregate in aggregates {
            self.chain(&aggregate).await?;
        }
        self.unanchored();
        Ok(self.report())
    }

    fn report(self) -> Report {
        let mut findings = self.findings;
        findings.sort_by(|one, other| {
            let key = |one: &Finding| (one.kind, one.aggregate.clone(), one.number, one.sequence);
            key(one).cmp(&key(other))
        });
        Report {
            clean: findings.is_empty(),
            started_at: self.started_at,
            finished_at: self.sources.clock.now(),
            grace_seconds: self.options.grace.as_secs(),
            scope: self.scope.iter().map(|one| shown(one)).collect(),
            counts: self.counts,
            newest_anchor: self.newest,
            findings,
        }
    }

    fn is_wanted(&self, aggregate: &str) -> bool {
        self.scope.is_empty() || self.scope.contains(aggregate)
    }

    // --- reading ------------------------------------------------------------------------------------------------------

    /// Reports progress, and waits as long as the rate requires for this number of items.
    async fn pace(&mut self, items: usize, begun: Timestamp) {
        self.counts.items_read += count(items);
        (self.progress)(Progress {
            stage: self.stage,
            counts: self.counts,
            findings: self.findings.len(),
        });
        let rate = self.options.items_per_second.max(1);
        let share =
            Duration::from_secs(1).saturating_mul(u32::try_from(items).unwrap_or(u32::MAX)) / rate;
        let clock = &self.sources.clock;
        let rest = share.saturating_sub(clock.now().since(begun));
        if !rest.is_zero() {
            clock.sleep(rest).await;
        }
    }

    fn limit(&self) -> u32 {
        self.options.items_per_second.clamp(1, PAGE)
    }

    async fn query(&mut self, query: Query) -> Result<Page, Error> {
        let begun = self.sources.clock.now();
        let page = self.sources.store.query(&query).await?;
        self.pace(page.items.len(), begun).await;
        Ok(page)
    }

    // --- anchors ------------------------------------------------------------------------------------------------------

    fn forged(&mut self, number: u64, what: impl Into<String>) {
        self.findings.push(Finding {
            number: Some(number),
            ..Finding::new(Kind::ForgedAnchor, what)
        });
    }

    async fn anchors(&mut self) -> Result<(), Error> {
        let mut after = None;
        // The anchor before, if it could be read, and whether it has a finding.
        let mut last: Option<Anchor> = None;
        let mut last_named = false;
        let mut expected = 1;
        loop {
            let query = anchors(&self.sources.audit, self.limit(), after);
            let page = self.query(query).await?;
            for item in page.items {
                let place = number_of_key(&item).map_or(expected, |number| number.get());
                if place > expected {
                    self.forged(expected, "not there");
                    if let Some(finding) = self.findings.last_mut() {
                        finding.to_number = (place - 1 > expected).then_some(place - 1);
                    }
                    (last, last_named) = (None, true);
                }
                expected = place + 1;
                self.counts.anchors += 1;
                let key = self.sources.audit.key("anchors", "*");
                let read = decode_item::<Anchor>(&key, item);
                let named_before = std::mem::replace(&mut last_named, true);
                let Ok(anchor) = read else {
                    self.forged(place, "the row cannot be read as an anchor");
                    last = None;
                    continue;
                };
                let previous = last.as_ref().map(|last| last.mac.as_str());
                let follows = anchor.previous_mac.as_deref() == previous;
                if !self.is_sealed(place, &anchor).await? {
                    self.forged(place, "the key did not seal it so");
                } else if !follows && !named_before {
                    self.forged(place, "it does not follow the anchor before it");
                } else if self.take_heads(&anchor).await? {
                    last_named = false;
                    self.newest = Some(Newest {
                        number: anchor.number,
                        taken_at: anchor.taken_at,
                    });
                } else {
                    self.forged(place, "its root does not follow from its pages");
                }
                last = Some(anchor);
            }
            after = page.next;
            if after.is_none() {
                self.anchors_seen_before(expected);
                return Ok(());
            }
        }
    }

    /// Reports anchors that an earlier check saw and that are gone. Anchors are never removed.
    fn anchors_seen_before(&mut self, first_absent: u64) {
        let Some(seen) = self
            .options
            .newest_anchor
            .filter(|seen| *seen >= first_absent)
        else {
            return;
        };
        let what = match first_absent {
            1 => format!("not there: there is no anchor at all, and {seen} was seen"),
            _ => format!(
                "not there: the newest anchor is {}, and {seen} was seen",
                first_absent - 1
            ),
        };
        self.forged(first_absent, what);
        if let Some(finding) = self.findings.last_mut() {
            finding.to_number = (seen > first_absent).then_some(seen);
        }
    }

    async fn is_sealed(&self, place: u64, anchor: &Anchor) -> Result<bool, Error> {
        let Some(mac) = anchor.mac_bytes().filter(|_| anchor.number == place) else {
            return Ok(false);
        };
        let asked = self.sources.key.verify(&anchor.message(), &mac).await;
        Ok(asked?)
    }

    /// Reads an anchor's pages. If they are the pages that it sealed, their heads are kept.
    async fn take_heads(&mut self, anchor: &Anchor) -> Result<bool, Error> {
        if anchor.started_at.plus(PAGES_WANTED) <= self.sources.clock.now() {
            self.counts.anchors_without_pages += 1;
            return Ok(true);
        }
        let (mut sealing, mut found, mut after) = (Sealing::default(), Vec::new(), None);
        loop {
            // A page holds hundreds of heads, so only a few pages are read at once.
            let query = pages(&self.sources.audit, &anchor.pass, 4, after);
            let read = self.query(query).await?;
            for item in read.items {
                let key = self.sources.audit.key("anchor", "*");
                let Ok(page) = decode_item::<AnchorPage>(&key, item) else {
                    return Ok(false);
                };
                sealing = sealing.with(&page);
                found.extend(page.heads);
            }
            after = read.next;
            if after.is_none() {
                break;
            }
        }
        if sealing != anchor.sealing {
            return Ok(false);
        }
        for head in found {
            if self.is_wanted(&head.aggregate) {
                let positions = self.anchored.entry(head.aggregate).or_default();
                let sealed = positions.entry(head.number).or_default();
                if sealed.insert(head.hash, anchor.number).is_none() {
                    self.counts.anchored += 1;
                }
            }
        }
        Ok(true)
    }

    /// Reports that no anchor was sealed for too long.
    fn unanchored(&mut self) {
        let since = match (self.newest, self.first_recorded) {
            (Some(newest), _) => newest.taken_at,
            (None, Some(first)) => first,
            (None, None) => return,
        };
        if self.started_at.since(since) > SEALED_WITHIN {
            let what = format!("nothing was sealed since {since}");
            self.findings.push(Finding::new(Kind::Unanchored, what));
        }
    }

    // --- heads and log ------------------------------------------------------------------------------------------------

    async fn read_heads(&mut self) -> Result<(), Error> {
        if !self.scope.is_empty() {
            for aggregate in self.scope.clone() {
                if let Some(head) = self.read_head(&aggregate).await? {
                    self.heads.insert(aggregate, head);
                }
            }
            return Ok(());
        }
        for shard in 0..HEAD_SHARDS {
            let mut after = None;
            loop {
                let query = heads(&self.sources.audit, shard, self.limit(), after);
                let page = self.query(query).await?;
                for item in page.items {
                    let name = item.get("sk").and_then(Value::as_str).map(str::to_owned);
                    let Some(aggregate) = name else { continue };
                    match self.head_of(&aggregate, item) {
                        Some(head) => drop(self.heads.insert(aggregate, head)),
                        None => self.unreadable_head(&aggregate),
                    }
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    fn head_of(&self, aggregate: &str, item: Item) -> Option<Head> {
        let key = head_key(&self.sources.audit, aggregate);
        let head: Head = decode_item(&key, item).ok()?;
        (head.aggregate == aggregate).then_some(head)
    }

    fn unreadable_head(&mut self, aggregate: &str) {
        self.findings.push(Finding {
            aggregate: Some(shown(aggregate)),
            ..Finding::new(Kind::Changed, "the head cannot be read")
        });
    }

    async fn read_head(&mut self, aggregate: &str) -> Result<Option<Head>, Error> {
        let begun = self.sources.clock.now();
        let key = head_key(&self.sources.audit, aggregate);
        let item = self.sources.store.get(&key).await?;
        self.pace(1, begun).await;
        Ok(item.and_then(|item| self.head_of(aggregate, item)))
    }

    async fn read_log(&mut self) -> Result<(), Error> {
        let partitions: Vec<Option<String>> = if self.scope.is_empty() {
            vec![None]
        } else {
            self.scope.iter().cloned().map(Some).collect()
        };
        for partition in partitions {
            let mut after = None;
            loop {
                let page = self.log_page(partition.as_deref(), after).await?;
                for item in page.items {
                    self.log_row(item);
                }
                after = page.next;
                if after.is_none() {
                    break;
                }
            }
        }
        Ok(())
    }

    async fn log_page(
        &mut self,
        partition: Option<&str>,
        after: Option<Cursor>,
    ) -> Result<Page, Error> {
        let (events, limit) = (&self.sources.events, self.limit());
        if let Some(aggregate) = partition {
            let query = Query {
                after,
                ..Query::partition(events, aggregate, limit)
            };
            return self.query(query).await;
        }
        let scan = Scan {
            table: events.clone(),
            without: None,
            limit,
            after,
        };
        let begun = self.sources.clock.now();
        let page = self.sources.store.scan(&scan).await?;
        self.pace(page.items.len(), begun).await;
        Ok(page)
    }

    fn log_row(&mut self, item: Item) {
        let place = (
            item.get("aggregate")
                .and_then(Value::as_str)
                .map(str::to_owned),
            item.get("sequence").and_then(Value::as_u64),
        );
        let (Some(aggregate), Some(sequence)) = place else {
            return;
        };
        let kind = aggregate.split_once('#').map_or("", |(kind, _)| kind);
        if !self.kinds.contains(kind) {
            return;
        }
        let read = LogRow::read(item).ok().and_then(|row| {
            let event_type = type_in_envelope(row.envelope_json())?;
            Some((row, event_type))
        });
        let logged = match read {
            Some((row, event_type)) => Logged {
                digest: digest(row.envelope_json()),
                committed_at: row.committed_at,
                wanted: Event::evidence(&event_type).is_some(),
            },
            // The row differs from every entry, and its content is unknown. It counts as an event of money that was
            // committed long ago; otherwise making rows unreadable could hide missing entries.
            None => Logged {
                digest: Hash::START,
                committed_at: Timestamp::EPOCH,
                wanted: true,
            },
        };
        self.counts.events += u64::from(logged.wanted);
        self.log
            .entry(aggregate)
            .or_default()
            .insert(sequence, logged);
    }

    // --- chains -------------------------------------------------------------------------------------------------------

    async fn chain(&mut self, aggregate: &str) -> Result<(), Error> {
        let (mut entries, mut after) = (Vec::new(), None);
        loop {
            let query = chain(&self.sources.audit, aggregate, self.limit(), after);
            let page = self.query(query).await?;
            for item in page.items {
                let place = number_of_key(&item).map(|number| number.get());
                let key = self.sources.audit.key("chain", "*");
                let read = decode_item::<ChainEntry>(&key, item).ok();
                // A malformed key sorts before or after all others. It counts as the next one.
                let number = place.unwrap_or(entries.last().map_or(0, |(last, _)| *last) + 1);
                let seen = read.filter(|_| place.is_some()).map(|entry| {
                    let first = self.first_recorded.get_or_insert(entry.recorded_at);
                    *first = entry.recorded_at.min(*first);
                    ReadEntry {
                        sequence: entry.sequence,
                        sound: entry.is_sound(aggregate, number),
                        agrees_with_envelope: agrees_with_envelope(&entry),
                        previous: entry.previous,
                        hash: entry.hash,
                        digest: digest(&entry.envelope),
                        event_id: entry.event_id,
                    }
                });
                entries.push((number, seen));
            }
            after = page.next;
            if after.is_none() {
                break;
            }
        }
        self.look_again(aggregate, &entries).await?;
        let end = entries.last().map_or(0, |(number, _)| *number);
        let head = self.heads.remove(aggregate);
        let is_ahead = head.as_ref().is_none_or(|head| head.number < end);
        let head_after = if is_ahead && end > 0 {
            self.read_head(aggregate).await?
        } else {
            head.clone()
        };
        let log = self.log.remove(aggregate).unwrap_or_default();
        // An aggregate of these types without an event of money has no chain.
        let is_known = log.values().any(|row| row.wanted) || head.is_some() || end > 0;
        let anchored = self.anchored.remove(aggregate).unwrap_or_default();
        if !is_known && anchored.is_empty() {
            return Ok(());
        }
        self.counts.chains += 1;
        self.counts.entries += count(entries.len());
        let grace = i64::try_from(self.options.grace.as_millis()).unwrap_or(i64::MAX);
        let since = self.started_at.unix_millis().saturating_sub(grace);
        let (findings, young) = judge(&Known {
            aggregate: &shown(aggregate),
            entries: &entries,
            head: head.as_ref(),
            head_after: head_after.as_ref(),
            anchored: &anchored,
            log: &log,
            young: Timestamp::from_unix_millis(since).unwrap_or(Timestamp::EPOCH)
                ..=self.log_read_at,
        });
        self.counts.young += young;
        self.findings.extend(findings);
        Ok(())
    }

    /// Reads the rows of entries whose events were not in the log when it was read: they may have been committed since.
    async fn look_again(
        &mut self,
        aggregate: &str,
        entries: &[(u64, Option<ReadEntry>)],
    ) -> Result<(), Error> {
        let known = self.log.get(aggregate);
        let keys: Vec<Key> = entries
            .iter()
            .filter_map(|(_, seen)| seen.as_ref())
            .filter(|seen| known.is_none_or(|log| !log.contains_key(&seen.sequence)))
            .map(|seen| self.sources.events.numbered_key(aggregate, seen.sequence))
            .collect();
        for some in keys.chunks(SECOND_LOOKS) {
            let begun = self.sources.clock.now();
            let items = self.sources.store.get_many(some).await?;
            for item in items.into_iter().flatten() {
                self.log_row(item);
            }
            self.pace(some.len(), begun).await;
        }
        Ok(())
    }
}
