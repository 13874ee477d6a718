//! Tests the job in its runner, on in-memory stores and mailers.

use std::sync::atomic::{AtomicUsize, Ordering};

use consumer::schedule::{Ending, JobRunner, Report, RunError, Settings};
use events::{
    Cause, Contract, Draft, EventId, MemberId, Registry, Sequence, Stamp,
    contracts::{
        cloud::{RateCardApproved, RateCardCreated},
        member::Registered,
    },
};
use mail::MemoryMailer;
use outbox::{
    Clock, CommitError, Guarded, GuardedPut, Page, Prepared, Query, Scan, Store,
    memory::MemoryStore,
};
use serde_json::{Value, json};
use testkit::TestClock;
use views::notes::{self, Note};

use super::*;

/// A store that refuses the next commits that record a mail, as if something failed between sending and recording.
#[derive(Default)]
struct Refusing {
    inner: MemoryStore,
    records_refused: AtomicUsize,
    conflicts: AtomicUsize,
}

fn one_less(left: &AtomicUsize) -> bool {
    let fewer = |left: usize| left.checked_sub(1);
    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, fewer)
        .is_ok()
}

#[async_trait]
impl Store for Refusing {
    async fn get(&self, key: &Key) -> Result<Option<Item>, Fault> {
        self.inner.get(key).await
    }
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, Fault> {
        self.inner.get_many(keys).await
    }
    async fn query(&self, query: &Query) -> Result<Page, Fault> {
        self.inner.query(query).await
    }
    async fn scan(&self, scan: &Scan) -> Result<Page, Fault> {
        self.inner.scan(scan).await
    }
    async fn commit(&self, prepared: &Prepared) -> Result<(), CommitError> {
        let mut keys = prepared.writes.iter().map(outbox::Write::key);
        if keys.any(|key| key.pk.starts_with("mail#")) {
            if one_less(&self.conflicts) {
                let reasons = vec![outbox::Reason::Conflict; prepared.writes.len()];
                return Err(CommitError::Cancelled(reasons));
            }
            if one_less(&self.records_refused) {
                let fault = Fault::new(FaultKind::Denied, "commit", "not now");
                return Err(CommitError::NotWritten(fault));
            }
        }
        self.inner.commit(prepared).await
    }
    async fn put_guarded(&self, put: &GuardedPut) -> Result<Guarded, Fault> {
        self.inner.put_guarded(put).await
    }
    async fn put_all(&self, table: &Table, items: &[Item]) -> Result<(), Fault> {
        self.inner.put_all(table, items).await
    }
}

/// A mailer that records when it was called, and can be throttled.
struct RecordingMailer {
    inner: MemoryMailer,
    clock: Arc<TestClock>,
    at: Mutex<Vec<Timestamp>>,
    throttled: AtomicUsize,
}

#[async_trait]
impl Mailer for RecordingMailer {
    async fn send(&self, mail: &Mail) -> Result<String, Fault> {
        let now = self.clock.now();
        self.at.lock().expect("unpoisoned").push(now);
        if one_less(&self.throttled) {
            let fault = Fault::new(FaultKind::Unavailable, "ses SendEmail", "throttled");
            return Err(fault);
        }
        self.inner.send(mail).await
    }
}

struct World {
    store: Arc<Refusing>,
    clock: Arc<TestClock>,
    mailer: Arc<RecordingMailer>,
    outbox: Outbox,
    table: Table,
    pace: Pace,
}

const DELAY: Duration = Duration::from_secs(60);

fn world() -> World {
    let store = Arc::new(Refusing::default());
    let clock = Arc::new(TestClock::default());
    let outbox = Outbox::without_log(
        Arc::<Refusing>::clone(&store),
        Arc::<TestClock>::clone(&clock),
        Arc::new(Registry::shipped()),
        Table::marks("marks"),
    );
    let mailer = Arc::new(RecordingMailer {
        inner: MemoryMailer::new(),
        clock: Arc::clone(&clock),
        at: Mutex::default(),
        throttled: AtomicUsize::new(0),
    });
    World {
        store,
        clock,
        mailer,
        outbox,
        table: Table::domain("notifications"),
        pace: Pace {
            between_mails: Duration::from_millis(500),
            fanout_delay: DELAY,
        },
    }
}

impl World {
    /// Starts a new instance of the function.
    fn instance(&self) -> JobRunner<Sender> {
        let sender = Sender::new(
            self.outbox.clone(),
            Arc::<RecordingMailer>::clone(&self.mailer),
            self.table.clone(),
            Writer::of_settings("https://app.example.com", "10").expect("settings"),
            self.pace,
        );
        JobRunner::new(sender, self.outbox.clone(), Settings::default())
    }

    async fn run_on(&self, instance: &JobRunner<Sender>) -> Result<Report, RunError> {
        let deadline = self.clock.now().plus(Duration::from_secs(60));
        instance.run(deadline).await
    }

    async fn run(&self) -> Report {
        let report = self.run_on(&self.instance()).await;
        report.expect("no failure")
    }

    /// Runs until nothing is left to do. Returns the number of runs.
    async fn finish(&self) -> usize {
        for runs in 1..200 {
            let report = self.run().await;
            if report.outcome == Ending::Finished {
                return runs;
            }
        }
        panic!("never finished");
    }

    async fn put_contact(&self, id: &str, version: u64, change: Value) {
        let mut payload = json!({
            "member_id": id, "name": id.to_uppercase(), "email": format!("{id}@example.com"), "role": "member",
            "ens_subname": format!("{id}.example.eth"), "version": version,
            "notification_preferences": {"email_enabled": true, "in_app_enabled": true, "webhook_enabled": false},
        });
        if let (Some(fields), Value::Object(change)) = (payload.as_object_mut(), change) {
            fields.extend(change);
        }
        let registered: Registered = serde_json::from_value(payload).expect("a member");
        let put = Contact::from(&registered).guarded_put(&self.table);
        let applied = self.store.put_guarded(&put.expect("writes")).await;
        assert_eq!(applied.expect("answers"), Guarded::Applied);
    }

    async fn contact(&self, id: &str) {
        self.put_contact(id, 1, json!({})).await;
    }

    fn envelope<C: Contract>(&self, payload: &C) -> Envelope {
        Draft::of(payload).expect("a draft").seal(&Stamp {
            event_id: EventId::new(self.clock.uuid()).expect("an id"),
            sequence: Sequence::new(1).expect("a number"),
            now: self.clock.now(),
            cause: &Cause::default(),
        })
    }

    /// Opens a fan-out as `notifications` does.
    async fn open<C: Contract>(&self, payload: &C) -> Fanout {
        let envelope = self.envelope(payload);
        let announcement = Announcement::read(&envelope).expect("reads");
        let not_before = announcement.expect("is one").not_before(&envelope);
        let fanout = Fanout::open(&envelope, not_before, self.clock.now()).expect("opens");
        let key = fanouts::open_key(&self.table, &fanout.name());
        let item = outbox::encode_item(&key, &fanout).expect("writes");
        let put = self.store.put_all(&self.table, &[item]).await;
        put.expect("answers");
        fanout
    }

    /// Opens a fan-out that can begin at once.
    async fn begun(&self) -> Fanout {
        let fanout = self.open(&approved(1)).await;
        self.clock.advance(DELAY);
        fanout
    }

    async fn rows<T: serde::de::DeserializeOwned>(&self, query: Query) -> Vec<T> {
        self.outbox.rows(&query).await.expect("reads").0
    }

    async fn notes(&self, id: &str) -> Vec<Note> {
        let id = MemberId::new(id).expect("an id");
        self.rows(notes::page(&self.table, &id, 100, None)).await
    }

    async fn due(&self) -> Vec<Unit> {
        self.rows(units::due(&self.table, None, 1_000, None)).await
    }

    async fn failed(&self) -> Vec<Failed> {
        self.rows(units::failed(&self.table, None, 1_000, None))
            .await
    }

    async fn done(&self) -> Vec<Fanout> {
        self.rows(fanouts::done(&self.table, 1_000, None)).await
    }

    async fn open_ones(&self) -> Vec<Fanout> {
        self.rows(fanouts::open(&self.table, 1_000, None)).await
    }

    /// The recipients of mails, in the order of sending.
    fn mailed(&self) -> Vec<String> {
        let sent = self.mailer.inner.sent().into_iter();
        sent.map(|mail| mail.to.to_string().replace("@example.com", ""))
            .collect()
    }
}

fn approved(version: u64) -> RateCardApproved {
    serde_json::from_value(json!({
        "version": version, "effective_date": "2026-04-01T00:00:00.000Z", "approved_by": "bob",
        "approved_by_name": "BOB", "approved_at": "2026-01-01T00:00:00.000Z", "revision": 2,
    }))
    .expect("a rate card")
}

fn proposed(notice: Timestamp) -> RateCardCreated {
    serde_json::from_value(json!({
        "version": 2, "effective_date": "2027-04-01T00:00:00.000Z", "notice_date": notice.to_string(),
        "rates": {"compute": 1, "transfer": 0.05, "ltm": 0.2, "stm": 0.1},
        "proposed_by": "ada", "proposed_by_name": "ADA", "revision": 1,
    }))
    .expect("a rate card")
}

fn preferring(email: bool, in_app: bool) -> Value {
    json!({"notification_preferences": {"email_enabled": email, "in_app_enabled": in_app, "webhook_enabled": false}})
}

#[tokio::test]
async fn everybody_with_a_subname_is_told_by_what_they_want_and_nobody_else_is() {
    let world = world();
    world.contact("ada").await;
    world.put_contact("bob", 1, preferring(true, false)).await;
    world.put_contact("eve", 1, preferring(false, true)).await;
    world.put_contact("kim", 1, preferring(false, false)).await;
    world
        .put_contact("zoe", 1, json!({"ens_subname": null}))
        .await;
    let fanout = world.begun().await;
    let report = world.run().await;
    assert_eq!(report.outcome, Ending::Finished);
    for (name, n) in [
        ("members", 4),
        ("notes", 2),
        ("mails_queued", 2),
        ("mails_sent", 2),
        ("fanouts_finished", 1),
    ] {
        assert_eq!(report.counts.get(name), Some(&n), "{name}");
    }
    assert_eq!(world.mailed(), ["ada", "bob"]);
    for (id, count) in [("ada", 1), ("bob", 0), ("eve", 1), ("kim", 0), ("zoe", 0)] {
        assert_eq!(world.notes(id).await.len(), count, "{id}");
    }
    let note = world.notes("ada").await.remove(0);
    assert_eq!(
        (note.title.as_str(), note.link.as_str(), note.event_id),
        ("Rate Card Approved", "/cloud/rate-cards", fanout.event_id)
    );
    let mail = world.mailer.inner.sent().remove(0);
    assert_eq!(mail.subject, "$CLOUD Rate Card Approved");
    assert!(mail.text.starts_with("Hello ADA,") && mail.text.contains(mail.key.as_str()));
    assert_eq!(
        (world.open_ones().await.len(), world.due().await.len()),
        (0, 0)
    );
    let done = world.done().await.remove(0);
    assert_eq!((done.members, done.notes, done.mails), (4, 2, 2));
    assert!(done.finished_at.is_some());
    // Nothing is left to do.
    let report = world.run().await;
    assert_eq!((report.outcome, report.counts.len()), (Ending::Finished, 0));
}

#[tokio::test]
async fn a_fan_out_goes_over_many_pages_and_every_note_is_there_before_the_first_mail() {
    let world = world();
    let many = usize::try_from(MEMBERS_PER_PAGE).expect("fits") * 2 + 5;
    for number in 0..many {
        world.contact(&format!("m-{number:03}")).await;
    }
    world.begun().await;
    let report = world.run().await;
    assert_eq!(report.outcome, Ending::Continues);
    let noted = |name: &str| report.counts.get(name).copied();
    assert_eq!(noted("notes"), u64::try_from(many).ok());
    assert!(
        noted("mails_sent").is_some_and(|sent| sent < 101),
        "{report:?}"
    );
    world.finish().await;
    let expected: Vec<String> = (0..many).map(|number| format!("m-{number:03}")).collect();
    assert_eq!(world.mailed(), expected);
    for id in &expected {
        assert_eq!(world.notes(id).await.len(), 1, "{id}");
    }
}

#[tokio::test]
async fn a_fan_out_waits_for_its_delay_and_for_the_day_of_notice() {
    let world = world();
    world.contact("ada").await;
    let tomorrow = world.clock.now().plus(Duration::from_secs(86_400));
    world.open(&proposed(tomorrow)).await;
    world.open(&approved(1)).await;
    world.run().await;
    assert_eq!(
        (world.notes("ada").await.len(), world.mailed().len()),
        (0, 0)
    );
    world.clock.advance(DELAY);
    world.run().await;
    let titles = async || {
        let notes = world.notes("ada").await;
        notes.into_iter().map(|note| note.title).collect::<Vec<_>>()
    };
    assert_eq!(titles().await, ["Rate Card Approved"]);
    world.clock.advance(Duration::from_secs(86_400));
    world.run().await;
    assert_eq!(titles().await.len(), 2);
    assert_eq!(world.mailed(), ["ada", "ada"]);
}

#[tokio::test]
async fn an_approval_waits_for_the_day_of_notice_and_does_not_overtake_the_proposal() {
    let world = world();
    world.contact("ada").await;
    let tomorrow = world.clock.now().plus(Duration::from_secs(86_400));
    world.open(&proposed(tomorrow)).await;
    let approval = RateCardApproved {
        notice_date: Some(tomorrow),
        ..approved(2)
    };
    world.open(&approval).await;
    world.clock.advance(DELAY);
    world.run().await;
    assert_eq!(world.notes("ada").await.len(), 0);
    world.clock.advance(Duration::from_secs(86_400));
    world.run().await;
    let subjects: Vec<_> = world
        .mailer
        .inner
        .sent()
        .into_iter()
        .map(|mail| mail.subject)
        .collect();
    assert_eq!(
        subjects,
        ["New $CLOUD Rate Card Proposed", "$CLOUD Rate Card Approved"]
    );
}

#[tokio::test]
async fn a_new_fan_out_does_not_wait_for_the_mails_of_an_older_one() {
    let world = world();
    for number in 0..40 {
        world.contact(&format!("m-{number:02}")).await;
    }
    let first = world.begun().await;
    let deadline = world.clock.now().plus(Duration::from_secs(18));
    let report = world.instance().run(deadline).await.expect("runs");
    assert_eq!(report.outcome, Ending::Continues);
    let second = world.open(&approved(2)).await;
    world.clock.advance(DELAY);
    let sent_before = world.mailed().len();
    assert!((1..40).contains(&sent_before), "{sent_before}");
    let deadline = world.clock.now().plus(Duration::from_secs(14));
    world.instance().run(deadline).await.expect("runs");
    assert_eq!(world.notes("m-39").await.len(), 2);
    world.finish().await;
    let keys: std::collections::BTreeSet<_> = world
        .mailer
        .inner
        .sent()
        .into_iter()
        .map(|mail| mail.key)
        .collect();
    assert_eq!((keys.len(), world.mailed().len()), (80, 80));
    // Mails keep the order of their fan-outs.
    let second_key = MailKey::of(
        &second.event_id.to_string(),
        &MemberId::new("m-00").expect("an id"),
        "rate_card_approved",
    );
    let at = world
        .mailer
        .inner
        .sent()
        .iter()
        .position(|mail| mail.key == second_key);
    assert_eq!(at, Some(40), "{} before {}", first.name(), second.name());
}

#[tokio::test]
async fn mails_go_one_after_the_other_at_their_pace_also_across_instances() {
    let world = world();
    for number in 0..30 {
        world.contact(&format!("m-{number:02}")).await;
    }
    world.begun().await;
    while world.mailed().len() < 30 {
        let deadline = world.clock.now().plus(Duration::from_secs(17));
        world.instance().run(deadline).await.expect("runs");
    }
    let at = world.mailer.at.lock().expect("unpoisoned").clone();
    let gaps = at.windows(2).map(|pair| pair[1].since(pair[0]));
    assert!(gaps.min() >= Some(world.pace.between_mails));
}

#[tokio::test]
async fn a_crash_between_sending_and_recording_repeats_that_one_mail_under_its_key() {
    let world = world();
    for id in ["ada", "bob", "eve"] {
        world.contact(id).await;
    }
    world.begun().await;
    world.store.records_refused.store(1, Ordering::Relaxed);
    let error = world.run_on(&world.instance()).await.expect_err("fails");
    assert!(error.error.contains("not now"), "{error}");
    assert_eq!(world.mailed(), ["ada"]);
    assert_eq!(world.due().await.len(), 3);
    // Another instance does not know about the mail.
    world.run().await;
    assert_eq!(world.mailed(), ["ada", "ada", "bob", "eve"]);
    let sent = world.mailer.inner.sent();
    assert_eq!(sent[0], sent[1]);
    assert_eq!(world.due().await.len(), 0);
}

#[tokio::test]
async fn an_instance_that_lives_on_does_not_send_again_what_it_could_not_record() {
    let world = world();
    world.contact("ada").await;
    world.begun().await;
    world.store.records_refused.store(1, Ordering::Relaxed);
    world.store.conflicts.store(3, Ordering::Relaxed);
    let instance = world.instance();
    world.run_on(&instance).await.expect_err("fails");
    let report = world.run_on(&instance).await.expect("runs");
    assert_eq!(report.counts.get("mails_sent"), Some(&1));
    assert_eq!(world.mailed(), ["ada"]);
}

#[tokio::test]
async fn a_mail_that_is_refused_for_good_fails_by_itself_with_its_reason() {
    let world = world();
    for id in ["ada", "bob", "eve"] {
        world.contact(id).await;
    }
    let mailer = &world.mailer.inner;
    mailer.fail_for("bob@example.com", FaultKind::Rejected);
    world.begun().await;
    let report = world.run().await;
    assert_eq!(report.outcome, Ending::Finished);
    assert_eq!(report.counts.get("mails_failed"), Some(&1));
    assert!(report.notes[0].starts_with("bob: "), "{:?}", report.notes);
    assert_eq!(world.mailed(), ["ada", "eve"]);
    let failed = world.failed().await;
    assert_eq!(
        (failed.len(), failed[0].unit.member_id.as_str()),
        (1, "bob")
    );
    assert!(failed[0].reason.contains("Rejected") && !failed[0].reason.contains('@'));
    assert_eq!(world.due().await.len(), 0);
}

#[tokio::test]
async fn a_service_that_is_not_there_ends_the_run_and_keeps_every_mail() {
    let world = world();
    for id in ["ada", "bob"] {
        world.contact(id).await;
    }
    world.begun().await;
    for kind in [FaultKind::Unavailable, FaultKind::Denied] {
        world.mailer.inner.fail_for("ada@example.com", kind);
        let error = world.run_on(&world.instance()).await.expect_err("fails");
        assert!(error.error.contains(&format!("{kind:?}")), "{error}");
        assert_eq!((world.mailed().len(), world.due().await.len()), (0, 2));
        assert_eq!(world.failed().await.len(), 0);
    }
    world.mailer.inner.mend();
    world.mailer.throttled.store(1, Ordering::Relaxed);
    world
        .run_on(&world.instance())
        .await
        .expect_err("throttled");
    world.run().await;
    assert_eq!(world.mailed(), ["ada", "bob"]);
    assert_eq!(world.notes("ada").await.len(), 1);
}

#[tokio::test]
async fn a_mail_goes_to_the_address_of_its_turn_and_to_nobody_who_does_not_want_it_any_more() {
    let world = world();
    for id in ["ada", "bob", "eve"] {
        world.contact(id).await;
    }
    world.begun().await;
    // There is only time for the page of members.
    world.mailer.throttled.store(1, Ordering::Relaxed);
    world
        .run_on(&world.instance())
        .await
        .expect_err("throttled");
    world
        .put_contact("ada", 2, json!({"email": "new@example.com"}))
        .await;
    world.put_contact("bob", 2, preferring(false, true)).await;
    let report = world.run().await;
    assert_eq!(report.counts.get("mails_withdrawn"), Some(&1));
    assert_eq!(world.mailed(), ["new", "eve"]);
    assert_eq!(world.due().await.len(), 0);
}

#[tokio::test]
async fn a_unit_that_was_queued_twice_is_sent_once() {
    let world = world();
    world.contact("ada").await;
    world.begun().await;
    world.mailer.throttled.store(1, Ordering::Relaxed);
    world
        .run_on(&world.instance())
        .await
        .expect_err("throttled");
    let unit = world.due().await.remove(0);
    world.run().await;
    let again = outbox::encode_item(&unit.due_key(&world.table), &unit).expect("writes");
    let put = world.store.put_all(&world.table, &[again]).await;
    put.expect("answers");
    let report = world.run().await;
    assert_eq!(report.counts.get("mails_already_sent"), Some(&1));
    assert_eq!(world.mailed(), ["ada"]);
}

#[tokio::test]
async fn an_entry_of_the_index_that_is_behind_its_contact_tells_nobody() {
    let world = world();
    world.contact("ada").await;
    world.contact("bob").await;
    // The contact has lost its subname, and the index does not know it yet.
    let key = contacts::key(&world.table, &MemberId::new("bob").expect("an id"));
    let mut item = world
        .store
        .get(&key)
        .await
        .expect("answers")
        .expect("there");
    item.remove("ens_subname");
    let put = world.store.put_all(&world.table, &[item]).await;
    put.expect("answers");
    world.begun().await;
    world.run().await;
    assert_eq!(world.mailed(), ["ada"]);
    assert_eq!(world.done().await[0].members, 1);
}

#[tokio::test]
async fn a_place_to_go_on_that_cannot_be_read_stops_the_run_and_loses_nothing() {
    let world = world();
    world.contact("ada").await;
    let mut fanout = world.begun().await;
    fanout.after = Some("?".into());
    let key = fanouts::open_key(&world.table, &fanout.name());
    let item = outbox::encode_item(&key, &fanout).expect("writes");
    world
        .store
        .put_all(&world.table, &[item])
        .await
        .expect("answers");
    let error = world.run_on(&world.instance()).await.expect_err("fails");
    assert!(error.error.contains(&fanout.name()), "{error}");
    assert_eq!(world.open_ones().await, [fanout]);
}
