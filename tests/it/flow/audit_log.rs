//! The audit log over what the pipeline left in memory. Its chains are whole whatever faults there were. Each change
//! that is then made to them, to their anchors or to the event log is named, and nothing else.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use audit_anchor::job::AuditAnchor;
use audit_chain::{
    Anchor, AnchorPage, ChainEntry, Event as Logged, Head, MacKey, MemoryKey, anchor_key,
    entry_key, head_key, link, page_key,
};
use audit_log::handler::{AuditLog, Event};
use consumer::{
    Handler,
    schedule::{Ending, JobRunner, RunError, Settings},
};
use events::{Registry, Subscription, Timestamp};
use millrace::audit_log::{Finding, Kind, Options, Report, Sources, verify};
use outbox::{
    Clock, Item, Key, Outbox, Store, Table, cursor_key, decode_item, encode_item,
    memory::MemoryStore,
};
use proptest::prelude::*;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use testkit::{TestClock, flow::Faults};

use super::{
    audit::now,
    orders_of,
    world::{Order, World, any_faults, orders},
};

fn audit_table() -> Table {
    Table::domain("audit")
}

fn events_table() -> Table {
    Table::events("events")
}

fn marks_table() -> Table {
    Table::marks("marks")
}

/// What a run left: event log, chains and cursors; and a key to seal with.
struct Bench {
    store: Arc<MemoryStore>,
    clock: Arc<TestClock>,
    key: Arc<MemoryKey>,
    /// The aggregate with the longest chain, and its length.
    aggregate: String,
    length: u64,
}

/// A whole run that includes the audit log's consumer and ends without faults.
fn filled(seed: u64, faults: Faults, orders: &[Order]) -> World {
    let mut world = World::new(seed, faults, |builder| {
        builder.consumer(|site| AuditLog::new(site.outbox().clone(), audit_table()))
    });
    world.register_everybody();
    world.hand_in(orders);
    world.flow.drain().expect("drains");
    world.flow.set_faults(Faults::NONE);
    // A dead letter may have to wait for an earlier one.
    while world.flow.redrive(AuditLog::NAME) > 0 {
        world.flow.drain().expect("drains");
    }
    world
}

impl Bench {
    fn of(world: &World) -> Self {
        let store = Arc::new(MemoryStore::new());
        for table in [events_table(), marks_table(), audit_table()] {
            let items = world.flow.store().items(&table);
            now(store.put_all(&table, &items)).expect("copied");
        }
        // The clock is an hour after the last entry, however long other consumers took.
        let clock = Arc::new(TestClock::new(1));
        let mut lengths: BTreeMap<String, u64> = BTreeMap::new();
        for item in store.items(&audit_table()) {
            if let Some(moment) = item.get("recorded_at").and_then(Value::as_str) {
                let moment: Timestamp = moment.parse().expect("a moment");
                clock.advance(moment.since(clock.now()));
            }
            let pk = item["pk"].as_str().expect("a key");
            if let Some(aggregate) = pk.strip_prefix("chain#") {
                *lengths.entry(aggregate.to_owned()).or_default() += 1;
            }
        }
        clock.advance(Duration::from_secs(3_600));
        let longest = lengths.into_iter().max_by_key(|(_, length)| *length);
        let (aggregate, length) = longest.unwrap_or_default();
        Self {
            store,
            clock,
            key: Arc::new(MemoryKey::new("secret")),
            aggregate,
            length,
        }
    }

    /// A run without faults that is not yet sealed.
    fn quiet() -> Self {
        let bench = Self::of(&filled(3, Faults::NONE, &orders_of(3, 80)));
        assert!(bench.length >= 5, "{}", bench.length);
        bench
    }

    fn sealed() -> Self {
        let bench = Self::quiet();
        bench.seal().expect("sealed");
        bench
    }

    fn seal(&self) -> Result<Ending, RunError> {
        let outbox = Outbox::new(
            Arc::clone(&self.store) as _,
            Arc::clone(&self.clock) as _,
            Arc::new(Registry::shipped()),
            events_table(),
            marks_table(),
        );
        let job = AuditAnchor::new(outbox.clone(), audit_table(), Arc::clone(&self.key) as _);
        let deadline = self.clock.now().plus(Duration::from_secs(300));
        let report = now(JobRunner::new(job, outbox, Settings::default()).run(deadline))?;
        Ok(report.outcome)
    }

    fn verify(&self) -> Report {
        self.verify_with(&Options::default())
    }

    fn verify_with(&self, options: &Options) -> Report {
        let sources = Sources::new(
            Arc::clone(&self.store) as _,
            Arc::clone(&self.clock) as _,
            events_table(),
            audit_table(),
            Arc::clone(&self.key) as _,
        );
        let options = Options {
            items_per_second: 1_000_000,
            ..options.clone()
        };
        now(verify(&sources, &options, &mut |_| {})).expect("verified")
    }

    /// The kind and number of each finding about the longest chain. A finding about another chain fails the test.
    #[track_caller]
    fn found(&self) -> Vec<(Kind, Option<u64>)> {
        let shown = self.aggregate.replacen('#', "/", 1);
        let place = |finding: &Finding| {
            let whose = finding.aggregate.as_deref();
            let is_anchor = finding.kind == Kind::ForgedAnchor;
            assert!(is_anchor || whose == Some(shown.as_str()), "{finding:?}");
            (finding.kind, finding.number)
        };
        let report = self.verify();
        assert_eq!(report.clean, report.findings.is_empty());
        report.findings.iter().map(place).collect()
    }

    fn read<T: DeserializeOwned>(&self, key: &Key) -> T {
        let item = now(self.store.get(key)).expect("answers").expect("there");
        decode_item(key, item).expect("reads")
    }

    fn write<T: Serialize>(&self, key: &Key, row: &T) {
        let item = encode_item(key, row).expect("writes");
        now(self.store.put_all(&key.table, &[item])).expect("put");
    }

    fn entry_key(&self, number: u64) -> Key {
        entry_key(&audit_table(), &self.aggregate, number)
    }

    fn entry(&self, number: u64) -> ChainEntry {
        self.read(&self.entry_key(number))
    }

    fn head_key(&self) -> Key {
        head_key(&audit_table(), &self.aggregate)
    }

    /// Changes an entry's bytes and computes its hash again.
    fn rewrite(&self, number: u64) {
        let mut entry = self.entry(number);
        entry.envelope = entry.envelope.replacen("\"amount\":", "\"amount\": 1", 1) + " ";
        self.hash_anew(number, entry);
    }

    fn hash_anew(&self, number: u64, mut entry: ChainEntry) {
        let bytes = entry.envelope.as_bytes();
        entry.hash = link(
            &entry.previous,
            &self.aggregate,
            number,
            entry.sequence,
            bytes,
        );
        self.write(&self.entry_key(number), &entry);
    }

    /// Links every entry after a changed one again, and points the head to the last one.
    fn relink_behind(&self, number: u64) {
        for later in number + 1..=self.length {
            let mut entry = self.entry(later);
            entry.previous = self.entry(later - 1).hash;
            self.hash_anew(later, entry);
        }
        self.set_head(self.length);
    }

    fn set_head(&self, number: u64) {
        self.write(&self.head_key(), &self.entry(number).head(&self.aggregate));
    }

    fn log_key(&self, number: u64) -> Key {
        events_table().numbered_key(self.aggregate.as_str(), self.entry(number).sequence)
    }

    /// Changes the event log's row to match an entry.
    fn log_as(&self, number: u64) {
        let key = self.log_key(number);
        let mut row: Item = self.read(&key);
        row.insert("envelope".into(), self.entry(number).envelope.into());
        self.write(&key, &row);
    }

    /// An entry after the last one, for an event that never existed.
    fn append(&self) -> ChainEntry {
        let head: Head = self.read(&self.head_key());
        let last = self.entry(self.length);
        let envelope = json!({ "event_id": "made-up", "event_type": "cloud.minted" }).to_string();
        let event = Logged {
            event_id: "made-up",
            event_type: "cloud.minted",
            sequence: last.sequence + 1,
            envelope: &envelope,
        };
        let entry = ChainEntry::next(Some(&head), &self.aggregate, &event, self.clock.now());
        let entry = entry.expect("behind the last");
        self.write(&self.entry_key(entry.number), &entry);
        entry
    }

    /// Removes the last entry and sets head and cursor back. Only the event log still shows the event.
    fn cut(&self) {
        let sequence = self.entry(self.length - 1).sequence;
        self.store.remove(&self.entry_key(self.length));
        self.set_head(self.length - 1);
        let cursor = cursor_key(&marks_table(), AuditLog::NAME, &self.aggregate).expect("a key");
        let mut row: Item = self.read(&cursor);
        row.insert("position".into(), sequence.into());
        self.write(&cursor, &row);
    }

    fn anchor(&self, number: u64) -> Anchor {
        self.read(&anchor_key(&audit_table(), number))
    }

    fn put_anchor(&self, anchor: &Anchor) {
        self.write(&anchor_key(&audit_table(), anchor.number), anchor);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn every_event_of_money_ends_in_its_chain_in_order_under_any_faults(
        seed in any::<u64>(), faults in any_faults(), orders in orders(1..25),
    ) {
        let world = filled(seed, faults, &orders);
        prop_assert_eq!(world.flow.letters(AuditLog::NAME), []);
        let money = world
            .flow
            .log()
            .iter()
            .filter(|event| Event::evidence(event.event_type.as_str()).is_some())
            .count();
        let bench = Bench::of(&world);
        let open = bench.verify();
        prop_assert!(open.clean, "{}", open);
        prop_assert_eq!(open.counts.entries, u64::try_from(money).expect("few"));
        prop_assert_eq!(open.counts.events, open.counts.entries);
        bench.seal().expect("sealed");
        let sealed = bench.verify();
        prop_assert!(sealed.clean, "{}", sealed);
        prop_assert_eq!(sealed.counts.anchored, sealed.counts.chains);
    }
}

#[test]
fn a_changed_entry_is_named_however_far_it_was_hashed_anew() {
    let changed = [(Kind::Changed, Some(2))];
    let bench = Bench::sealed();
    let mut entry = bench.entry(2);
    entry.envelope += " ";
    bench.write(&bench.entry_key(2), &entry);
    assert_eq!(bench.found(), changed, "only its bytes");

    let bench = Bench::sealed();
    bench.rewrite(2);
    assert_eq!(bench.found(), changed, "with its own hash");

    let bench = Bench::sealed();
    bench.rewrite(2);
    bench.relink_behind(2);
    assert_eq!(bench.found(), changed, "with all later hashes");

    let bench = Bench::sealed();
    bench.rewrite(2);
    bench.log_as(2);
    assert_eq!(bench.found(), changed, "with its row");

    let bench = Bench::sealed();
    bench.rewrite(2);
    bench.relink_behind(2);
    bench.log_as(2);
    // Entry, chain and log agree with each other; only the anchor does not.
    let length = Some(bench.length);
    assert_eq!(bench.found(), [(Kind::Changed, length)], "with everything");
}

#[test]
fn every_field_of_an_entry_that_proves_something_is_proven() {
    let set = |name: &str, value: Value| {
        let bench = Bench::sealed();
        let mut row: Item = bench.read(&bench.entry_key(3));
        row.insert(name.into(), value);
        bench.write(&bench.entry_key(3), &row);
        bench.found()
    };
    let other = "0".repeat(64);
    for (name, value) in [
        ("number", json!(4)),
        ("sequence", json!(1_000)),
        ("event_id", json!("other")),
        ("event_type", json!("member.registered")),
        ("previous", json!(other)),
        ("hash", json!(other)),
        ("hash", json!("no hash")),
    ] {
        assert_eq!(set(name, value), [(Kind::Changed, Some(3))], "{name}");
    }
    // The time of recording is shown, but it proves nothing.
    let moment = json!("2020-01-01T00:00:00.000Z");
    assert_eq!(set("recorded_at", moment), []);
}

#[test]
fn a_missing_entry_and_an_inserted_one_are_named() {
    let bench = Bench::sealed();
    bench.store.remove(&bench.entry_key(2));
    assert_eq!(bench.found(), [(Kind::Missing, Some(2))]);
    let report = bench.verify();
    assert!(report.findings[0].sequence.is_some(), "{report}");

    let bench = Bench::sealed();
    bench.store.remove(&bench.entry_key(1));
    bench.store.remove(&bench.entry_key(2));
    assert_eq!(bench.found(), [(Kind::Missing, Some(1))]);
    assert_eq!(bench.verify().findings[0].to_number, Some(2));

    let bench = Bench::sealed();
    let made_up = bench.append();
    let inserted = [(Kind::Inserted, Some(bench.length + 1))];
    assert_eq!(bench.found(), inserted);
    bench.write(&bench.head_key(), &made_up.head(&bench.aggregate));
    assert_eq!(bench.found(), inserted, "with a head that matches it");
}

#[test]
fn a_chain_that_is_cut_off_is_named_by_head_log_or_anchor() {
    let cut = |bench: &Bench| [(Kind::CutOff, Some(bench.length))];
    let bench = Bench::quiet();
    bench.store.remove(&bench.entry_key(bench.length));
    assert_eq!(bench.found(), cut(&bench), "only the entry");

    let bench = Bench::quiet();
    bench.cut();
    assert_eq!(bench.found(), cut(&bench), "with head and cursor");

    let bench = Bench::sealed();
    let row = bench.log_key(bench.length);
    bench.cut();
    bench.store.remove(&row);
    assert_eq!(bench.found(), cut(&bench), "with the log's row");

    // The whole chain is removed, and everything that shows it except the anchor.
    let bench = Bench::sealed();
    for number in 1..=bench.length {
        bench.store.remove(&bench.log_key(number));
        bench.store.remove(&bench.entry_key(number));
    }
    bench.store.remove(&bench.head_key());
    assert_eq!(bench.found(), [(Kind::CutOff, Some(1))]);
}

#[test]
fn what_no_anchor_seals_yet_is_proven_by_the_log_alone() {
    let bench = Bench::quiet();
    bench.rewrite(2);
    bench.relink_behind(2);
    assert_eq!(bench.found(), [(Kind::LogChanged, Some(2))]);
    assert!(bench.verify().findings[0].what.contains("not proven"));

    // An event that is removed everywhere before an anchor seals it cannot be detected. README.md of infra/cli says so.
    let bench = Bench::quiet();
    let row = bench.log_key(bench.length);
    bench.cut();
    bench.store.remove(&row);
    assert_eq!(bench.found(), []);
}

#[test]
fn a_changed_head_is_named() {
    let bench = Bench::sealed();
    bench.set_head(bench.length - 1);
    assert_eq!(bench.found(), [(Kind::Changed, None)]);
    let mut head: Head = bench.entry(bench.length).head(&bench.aggregate);
    head.hash = bench.entry(1).hash;
    bench.write(&bench.head_key(), &head);
    assert_eq!(bench.found(), [(Kind::Changed, None)]);
    bench.store.remove(&bench.head_key());
    assert_eq!(bench.found(), [(Kind::Missing, None)]);
}

#[test]
fn a_changed_or_missing_row_of_the_event_log_is_named_as_such() {
    let bench = Bench::sealed();
    let key = bench.log_key(2);
    let mut row: Item = bench.read(&key);
    let text = row["envelope"].as_str().expect("text").to_owned() + " ";
    row.insert("envelope".into(), text.into());
    bench.write(&key, &row);
    assert_eq!(bench.found(), [(Kind::LogChanged, Some(2))]);
    for number in [2, bench.length] {
        let bench = Bench::sealed();
        bench.store.remove(&bench.log_key(number));
        assert_eq!(bench.found(), [(Kind::LogMissing, Some(number))]);
    }
}

#[test]
fn a_forged_anchor_is_named_whatever_was_forged() {
    let forged = |number| [(Kind::ForgedAnchor, Some(number))];
    let two = || {
        let bench = Bench::sealed();
        bench.clock.advance(Duration::from_secs(3_600));
        bench.seal().expect("sealed");
        assert_eq!(bench.found(), []);
        bench
    };
    // A page with another hash.
    let bench = two();
    let key = page_key(&audit_table(), &bench.anchor(1).pass, 1);
    let mut page: AnchorPage = bench.read(&key);
    page.heads[0].hash = bench.entry(1).hash;
    bench.write(&key, &page);
    assert_eq!(bench.found(), forged(1));
    bench.store.remove(&key);
    assert_eq!(bench.found(), forged(1));
    // With a root that matches the page.
    let mut anchor = bench.anchor(1);
    bench.write(&key, &page);
    anchor.sealing = audit_chain::Sealing::default().with(&page);
    bench.put_anchor(&anchor);
    assert_eq!(bench.found(), forged(1));
    // Sealed by another key.
    let bench = two();
    let anchor = bench.anchor(2);
    let mac = now(MemoryKey::new("other").generate(&anchor.message())).expect("made");
    bench.put_anchor(&anchor.sealed(&mac));
    assert_eq!(bench.found(), forged(2));
    // An anchor in the middle is removed, then replaced by another one under its number.
    let bench = two();
    bench.store.remove(&anchor_key(&audit_table(), 1));
    assert_eq!(bench.found(), forged(1));
    let mut moved = bench.anchor(2);
    moved.number = 1;
    bench.put_anchor(&moved);
    assert_eq!(bench.found(), forged(1));
    // An anchor that cannot be read.
    let bench = two();
    bench.write(&anchor_key(&audit_table(), 2), &json!({ "number": 2 }));
    assert_eq!(bench.found(), forged(2));
}

#[test]
fn the_newest_anchors_taken_out_show_as_an_old_newest_one() {
    let bench = Bench::sealed();
    bench.clock.advance(Duration::from_secs(4 * 3_600));
    let kinds: Vec<Kind> = bench.verify().by_kind().into_keys().collect();
    assert_eq!(kinds, [Kind::Unanchored]);
    bench.seal().expect("sealed");
    assert_eq!(bench.found(), []);
}

#[test]
fn anchors_whose_pages_are_gone_by_age_are_checked_by_their_mac() {
    let bench = Bench::sealed();
    let pass = bench.anchor(1).pass;
    bench.store.remove(&page_key(&audit_table(), &pass, 1));
    bench.clock.advance(Duration::from_secs(36 * 24 * 3_600));
    bench.seal().expect("sealed");
    let report = bench.verify();
    assert!(report.clean, "{report}");
    assert_eq!(report.counts.anchors_without_pages, 1);
    let newest = report.newest_anchor.expect("one");
    assert_eq!(newest.number, 2);
}

#[test]
fn pages_are_looked_for_until_a_day_before_they_go() {
    let day = 24 * 3_600;
    let after = |age: u64| {
        let bench = Bench::sealed();
        let pass = bench.anchor(1).pass;
        bench.clock.advance(Duration::from_secs(age));
        bench.seal().expect("sealed");
        assert_eq!(bench.found(), [], "with its page, {age} s old");
        bench.store.remove(&page_key(&audit_table(), &pass, 1));
        bench.found()
    };
    assert_eq!(after(34 * day - 600), [(Kind::ForgedAnchor, Some(1))]);
    assert_eq!(after(34 * day), []);
    assert_eq!(after(35 * day - 600), []);
}

#[test]
fn anchors_that_an_earlier_check_saw_must_be_there() {
    let bench = Bench::sealed();
    for _ in 0..2 {
        bench.clock.advance(Duration::from_secs(3_600));
        bench.seal().expect("sealed");
    }
    let seen = bench.verify().newest_anchor.expect("one").number;
    let found = |newest_anchor| {
        let report = bench.verify_with(&Options {
            newest_anchor,
            ..Options::default()
        });
        let findings = report.findings.into_iter();
        let place = |one: Finding| (one.kind, one.number, one.to_number);
        findings.map(place).collect::<Vec<_>>()
    };
    assert_eq!((seen, found(Some(seen))), (3, Vec::new()));
    // Without that number, the missing anchors cannot be noticed: the one that is left is young enough.
    for number in [3, 2] {
        bench.store.remove(&anchor_key(&audit_table(), number));
    }
    assert_eq!(found(None), []);
    assert_eq!(found(Some(1)), []);
    let forged = Kind::ForgedAnchor;
    assert_eq!(found(Some(2)), [(forged, Some(2), None)]);
    assert_eq!(found(Some(seen)), [(forged, Some(2), Some(3))]);
    bench.store.remove(&anchor_key(&audit_table(), 1));
    let unanchored = (Kind::Unanchored, None, None);
    assert_eq!(found(Some(seen)), [(forged, Some(1), Some(3)), unanchored]);
}

#[test]
fn an_event_on_its_way_is_no_finding_until_the_grace_period_is_over() {
    let bench = Bench::quiet();
    bench.cut();
    let grace = Duration::from_secs(365 * 24 * 3_600);
    let report = bench.verify_with(&Options {
        grace,
        ..Options::default()
    });
    assert!(report.clean, "{report}");
    assert_eq!(report.counts.young, 1);
}

#[test]
fn what_no_hash_covers_of_a_row_cannot_hide_that_its_entry_is_gone() {
    let hidden = |change: fn(&mut Item)| {
        let bench = Bench::quiet();
        let key = bench.log_key(bench.length);
        bench.cut();
        let mut row: Item = bench.read(&key);
        change(&mut row);
        bench.write(&key, &row);
        assert_eq!(bench.found(), [(Kind::CutOff, Some(bench.length))]);
        assert_eq!(bench.verify().counts.young, 0);
    };
    // The row claims to be young forever.
    hidden(|row| drop(row.insert("committed_at".into(), json!("2099-01-01T00:00:00.000Z"))));
    // The row claims not to be about money.
    hidden(|row| drop(row.insert("event_type".into(), json!("member.updated"))));
    // The row lacks an attribute.
    for name in ["event_type", "committed_at", "event_id", "envelope"] {
        let bench = Bench::quiet();
        let key = bench.log_key(bench.length);
        bench.cut();
        let mut row: Item = bench.read(&key);
        assert!(row.remove(name).is_some(), "{name}");
        bench.write(&key, &row);
        let cut = [(Kind::CutOff, Some(bench.length))];
        assert_eq!(bench.found(), cut, "{name}");
    }
    hidden(|row| drop(row.insert("envelope".into(), json!("no envelope"))));
}

#[test]
fn one_chain_can_be_looked_at_alone() {
    let bench = Bench::sealed();
    bench.rewrite(2);
    let of = |aggregate: &str| {
        let (kind, id) = aggregate.split_once('#').expect("type and id");
        let report = bench.verify_with(&Options {
            scope: vec![(kind.to_owned(), id.to_owned())],
            ..Options::default()
        });
        assert_eq!(report.counts.chains, 1);
        report.findings.len()
    };
    assert_eq!(of(&bench.aggregate), 1);
    let others = bench.store.items(&audit_table());
    let other = others
        .iter()
        .filter_map(|item| item["pk"].as_str()?.strip_prefix("chain#"))
        .find(|other| *other != bench.aggregate);
    assert_eq!(of(other.expect("another chain")), 0);
}

#[test]
fn a_key_that_is_away_leaves_no_half_anchor_and_cannot_be_verified_with() {
    let bench = Bench::quiet();
    bench.key.set_away(true);
    assert!(bench.seal().is_err());
    let rows = bench.store.items(&audit_table());
    assert!(rows.iter().all(|row| row["pk"] != "anchors"));
    bench.key.set_away(false);
    bench.clock.advance(Duration::from_secs(3_600));
    assert!(bench.seal().is_ok());
    assert_eq!((bench.anchor(1).number, bench.found()), (1, Vec::new()));
    bench.key.set_away(true);
    let sources = Sources::new(
        Arc::clone(&bench.store) as _,
        Arc::clone(&bench.clock) as _,
        events_table(),
        audit_table(),
        Arc::clone(&bench.key) as _,
    );
    assert!(now(verify(&sources, &Options::default(), &mut |_| {})).is_err());
}
