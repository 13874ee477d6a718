//! Tests the consumer in its runner, on in-memory stores and mailers.

use std::sync::{
    Mutex,
    atomic::{AtomicU32, AtomicUsize, Ordering},
};

use consumer::{BatchRunner, Lane, Letter, Message, Outcome, Queue, Settings};
use events::{
    Cause, Contract, Draft, EmailAddress, EventId, IdempotencyKey, MemberId, Registry, Sequence,
    Stamp,
};
use mail::MemoryMailer;
use outbox::{
    Clock, CommitError, Fault, Guarded, Item, Key, Page, Prepared, Query, Scan, Store,
    memory::MemoryStore,
};
use serde_json::{Value, json};
use testkit::TestClock;
use views::notes::{self, Icon, Note};

use events::contracts;

use super::*;

/// A store that loses the record of the next mails, as a crash after sending does.
#[derive(Default)]
struct Crashing {
    inner: MemoryStore,
    records_lost: AtomicUsize,
    /// The largest page that the store returns, as DynamoDB's 1 MB limit does.
    page: AtomicU32,
}

#[async_trait]
impl Store for Crashing {
    async fn get(&self, key: &Key) -> Result<Option<Item>, Fault> {
        self.inner.get(key).await
    }
    async fn get_many(&self, keys: &[Key]) -> Result<Vec<Option<Item>>, Fault> {
        self.inner.get_many(keys).await
    }
    async fn query(&self, query: &Query) -> Result<Page, Fault> {
        let mut query = query.clone();
        match self.page.load(Ordering::Relaxed) {
            0 => {}
            page => query.limit = query.limit.min(page),
        }
        self.inner.query(&query).await
    }
    async fn scan(&self, scan: &Scan) -> Result<Page, Fault> {
        self.inner.scan(scan).await
    }
    async fn commit(&self, prepared: &Prepared) -> Result<(), CommitError> {
        self.inner.commit(prepared).await
    }
    async fn put_guarded(&self, put: &GuardedPut) -> Result<Guarded, Fault> {
        let lost = |left: usize| left.checked_sub(1);
        if put.key.pk.starts_with("mail#")
            && self
                .records_lost
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, lost)
                .is_ok()
        {
            return Err(Fault::new(FaultKind::Unavailable, "crash", "gone"));
        }
        self.inner.put_guarded(put).await
    }
    async fn put_all(&self, table: &Table, items: &[Item]) -> Result<(), Fault> {
        self.inner.put_all(table, items).await
    }
}

#[derive(Default)]
struct Letters(Mutex<Vec<Letter>>);

#[async_trait]
impl Queue for Letters {
    async fn hide(&self, _: &str, _: &str, _: Duration) -> Result<(), Fault> {
        Ok(())
    }
    async fn park(&self, _: &str, letter: &Letter) -> Result<(), Fault> {
        self.0.lock().expect("unpoisoned").push(letter.clone());
        Ok(())
    }
}

struct World {
    runner: BatchRunner<Notifications>,
    store: Arc<Crashing>,
    mailer: Arc<MemoryMailer>,
    letters: Arc<Letters>,
    clock: Arc<TestClock>,
    table: Table,
    sequence: AtomicU32,
}

fn world() -> World {
    world_with(|mailer, _| mailer)
}

fn world_with(mailer_of: impl FnOnce(Arc<dyn Mailer>, Arc<TestClock>) -> Arc<dyn Mailer>) -> World {
    let store = Arc::new(Crashing::default());
    let clock = Arc::new(TestClock::default());
    let mailer = Arc::new(MemoryMailer::new());
    let letters = Arc::new(Letters::default());
    let table = Table::domain("notifications");
    let outbox = Outbox::without_log(
        Arc::<Crashing>::clone(&store),
        Arc::<TestClock>::clone(&clock),
        Arc::new(Registry::shipped()),
        Table::marks("marks"),
    );
    let settings = Settings::default();
    let handler = Notifications::new(
        outbox.clone(),
        mailer_of(Arc::<MemoryMailer>::clone(&mailer), Arc::clone(&clock)),
        table.clone(),
        Writer {
            app_url: "https://app.example.com".into(),
            usd_rate: "10".parse().expect("dollars"),
        },
        Notifications::sending_time(settings.record_timeout),
        "10".parse().expect("credits"),
    );
    World {
        runner: BatchRunner::new(handler, outbox, Arc::<Letters>::clone(&letters), settings),
        store,
        mailer,
        letters,
        clock,
        table,
        sequence: AtomicU32::new(0),
    }
}

impl World {
    fn envelope<C: Contract>(&self, payload: &C, fact: Option<&str>) -> Envelope {
        let mut draft = Draft::of(payload).expect("a draft");
        if let Some(fact) = fact {
            draft = draft.with_idempotency_key(IdempotencyKey::new(fact).expect("a key"));
        }
        let sequence = u64::from(self.sequence.fetch_add(1, Ordering::Relaxed)) + 1;
        self.clock.advance(Duration::from_secs(1));
        draft.seal(&Stamp {
            event_id: EventId::new(self.clock.uuid()).expect("an id"),
            sequence: Sequence::new(sequence).expect("a number"),
            now: self.clock.now(),
            cause: &Cause::default(),
        })
    }

    fn message(&self, envelope: &Envelope, receive_count: u32) -> Message {
        Message {
            message_id: self.clock.uuid().to_string(),
            receipt_handle: "handle".into(),
            body: envelope.to_json().expect("JSON"),
            receive_count,
            sent_at: self.clock.now(),
            first_received_at: self.clock.now(),
            operation_id: None,
            first_replay: None,
        }
    }

    async fn batch(&self, messages: Vec<Message>) -> Vec<Outcome> {
        let lane = Lane {
            name: "express",
            queue_arn: "arn".into(),
            queue_url: "queue".into(),
            dead_letter_queue_url: "letters".into(),
        };
        let deadline = self.clock.now().plus(Duration::from_secs(3600));
        let ids: Vec<String> = messages.iter().map(|one| one.message_id.clone()).collect();
        let finished = self.runner.run(&lane, messages, deadline).await.finished;
        let outcome = |id: &String| finished.iter().find(|one| one.message_id == *id);
        ids.iter()
            .map(|id| outcome(id).expect("an outcome").outcome)
            .collect()
    }

    /// Delivers an event for the `receive_count`th time. Between two deliveries the longest delay passes.
    async fn deliver(&self, envelope: &Envelope, receive_count: u32) -> Outcome {
        self.clock.advance(Duration::from_secs(600));
        self.batch(vec![self.message(envelope, receive_count)])
            .await[0]
    }

    async fn handle<C: Contract>(&self, payload: &C) -> Outcome {
        self.deliver(&self.envelope(payload, None), 1).await
    }

    async fn member(&self, id: &str, change: Value) {
        let registered = member::<contracts::member::Registered>(id, 1, change);
        assert_eq!(self.handle(&registered).await, Outcome::Done);
    }

    async fn customer(&self, id: &str, change: Value) {
        let registered = customer::<contracts::customer::Registered>(id, 1, change);
        assert_eq!(self.handle(&registered).await, Outcome::Done);
    }

    async fn contact(&self, id: &str) -> Contact {
        let key = contacts::key(&self.table, &member_id(id));
        let item = self.store.get(&key).await.expect("answers");
        outbox::decode_item(&key, item.expect("is there")).expect("reads")
    }

    async fn notes(&self, id: &str) -> Vec<Note> {
        let query = notes::page(&self.table, &member_id(id), 100, None);
        let page = self.store.query(&query).await.expect("answers");
        let key = contacts::key(&self.table, &member_id(id));
        let read = |item| outbox::decode_item(&key, item).expect("reads");
        page.items.into_iter().map(read).collect()
    }

    /// The recipients and subjects, in the order of the addresses.
    fn mails(&self) -> Vec<(String, &'static str)> {
        let addressed = |mail: Mail| (mail.to.to_string(), mail.subject);
        let mut mails: Vec<_> = self.mailer.sent().into_iter().map(addressed).collect();
        mails.sort();
        mails
    }

    fn marks(&self) -> usize {
        let rows = self.store.inner.items(&Table::marks("marks"));
        rows.iter().filter(|row| row["kind"] == "event").count()
    }

    fn letter(&self) -> Letter {
        let letters = self.letters.0.lock().expect("unpoisoned");
        assert_eq!(letters.len(), 1);
        letters[0].clone()
    }
}

fn member_id(id: &str) -> MemberId {
    MemberId::new(id).expect("an id")
}

/// A member's event with the fields in `change` replaced.
fn member<C: Contract>(id: &str, version: u64, change: Value) -> C {
    let mut payload = json!({
        "member_id": id, "name": id.to_uppercase(), "email": format!("{id}@example.com"), "role": "member",
        "notification_preferences": {"email_enabled": true, "in_app_enabled": true, "webhook_enabled": false},
        "version": version,
    });
    if let (Some(fields), Value::Object(change)) = (payload.as_object_mut(), change) {
        fields.extend(change);
    }
    serde_json::from_value(payload).expect("a member")
}

fn preferring(email: bool, in_app: bool) -> Value {
    json!({"notification_preferences": {"email_enabled": email, "in_app_enabled": in_app, "webhook_enabled": false}})
}

fn admin() -> Value {
    json!({"role": "admin"})
}

/// A customer's event with the fields in `change` replaced.
fn customer<C: Contract>(id: &str, version: u64, change: Value) -> C {
    let mut payload = json!({
        "customer_id": id, "customer_type": "b2b", "name": id.to_uppercase(), "email": format!("{id}@example.com"),
        "payment_term": "net_30", "country": "RO", "vat_treatment": "domestic",
        "changed_at": "2026-02-13T12:00:00.000Z", "changed_by": "desk", "version": version,
    });
    if let (Some(fields), Value::Object(change)) = (payload.as_object_mut(), change) {
        fields.extend(change);
    }
    serde_json::from_value(payload).expect("a customer")
}

fn wanting_mails(email_enabled: bool) -> Value {
    json!({ "notification_preferences": { "email_enabled": email_enabled } })
}

fn minted(member: Option<&str>) -> contracts::cloud::Minted {
    let mut payload = json!({
        "transaction_id": "00000000-0000-4000-8000-000000000001",
        "amount": 100, "amount_usd": 1000, "balance_after": 100, "version": 1,
    });
    if let Some(id) = member {
        payload["member_id"] = id.into();
        payload["member_name"] = id.to_uppercase().into();
    }
    serde_json::from_value(payload).expect("a mint")
}

fn transferred(from: &str, to: &str) -> contracts::cloud::Transferred {
    serde_json::from_value(json!({
        "transaction_id": "00000000-0000-4000-8000-000000000002",
        "from_member_id": from, "from_member_name": from.to_uppercase(),
        "to_member_id": to, "to_member_name": to.to_uppercase(),
        "amount": 40, "amount_usd": 400, "from_balance_after": 60, "to_balance_after": 40,
        "from_version": 2, "to_version": 1,
    }))
    .expect("a transfer")
}

fn alert() -> contracts::alert::TreasuryBackingLow {
    serde_json::from_value(json!({
        "backing_percent": 50, "total_cloud_outstanding": 100, "mercury_balance": 500, "shortfall": 500,
    }))
    .expect("an alert")
}

fn redeemed(id: &str, amount: f64) -> contracts::cloud::Redeemed {
    serde_json::from_value(json!({
        "transaction_id": "00000000-0000-4000-8000-000000000003", "member_id": id, "member_name": id.to_uppercase(),
        "amount": amount, "amount_usd": 100, "balance_after": 90, "primitive": "compute", "quantity": 2.5,
        "unit": "compute-hour", "service_name": "habitat-api", "period_id": "q1-2026", "rate_card_version": 1,
        "credits_per_unit": 4, "version": 3,
    }))
    .expect("a redemption")
}

fn burned(member: Option<&str>) -> contracts::cloud::Burned {
    let mut payload = json!({
        "transaction_id": "00000000-0000-4000-8000-000000000004",
        "amount": 5, "amount_usd": 50, "balance_after": 95, "reason": "refund", "version": 2,
    });
    if let Some(id) = member {
        payload["member_id"] = id.into();
        payload["member_name"] = id.to_uppercase().into();
    }
    serde_json::from_value(payload).expect("a burn")
}

fn staked(id: &str) -> contracts::cloud::Staked {
    serde_json::from_value(json!({
        "position_id": "00000000-0000-4000-8000-000000000006", "transaction_id": "00000000-0000-4000-8000-000000000005",
        "member_id": id, "member_name": id.to_uppercase(), "amount": 40, "amount_usd": 400, "lock_duration_days": 90,
        "unlock_at": "2026-04-01T00:00:00.000Z", "revenue_share_percent": 10, "liquid_balance_after": 60,
        "staked_balance_after": 40, "version": 4,
    }))
    .expect("a stake")
}

fn unstaked(id: &str) -> contracts::cloud::Unstaked {
    serde_json::from_value(json!({
        "position_id": "00000000-0000-4000-8000-000000000006", "transaction_id": "00000000-0000-4000-8000-000000000007",
        "member_id": id, "member_name": id.to_uppercase(), "amount": 40, "amount_usd": 400, "staked_duration": 91,
        "liquid_balance_after": 100, "staked_balance_after": 0, "version": 5,
    }))
    .expect("an unstake")
}

fn escrow(more: Value) -> Value {
    let id = "00000000-0000-4000-8000-000000000008";
    let mut payload = json!({
        "user_id": "ada", "model_id": "kim", "escrow_id": id, "transaction_id": id, "model_earned_balance": 169.75,
        "user_version": 3, "model_version": 2, "version": 2,
    });
    if let (Some(fields), Value::Object(more)) = (payload.as_object_mut(), more) {
        fields.extend(more);
    }
    payload
}

fn settled() -> contracts::wallet::EscrowSettled {
    serde_json::from_value(escrow(json!({ "amount": 69.75 }))).expect("a settlement")
}

fn divided(refund: f64, settle: f64) -> contracts::wallet::EscrowPartialSettled {
    let parts = json!({
        "refund_amount": refund, "settle_amount": settle, "user_available_balance": 1,
    });
    serde_json::from_value(escrow(parts)).expect("a settlement")
}

/// Builds an event of ada's loan: the common fields, and `more`.
fn loan<C: Contract>(more: Value) -> C {
    let mut payload = json!({
        "loan_id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a60", "borrower_id": "ada", "currency": "USD", "version": 4,
    });
    if let (Some(fields), Value::Object(more)) = (payload.as_object_mut(), more) {
        fields.extend(more);
    }
    serde_json::from_value(payload).expect("a loan's event")
}

fn planned(revision: u64) -> contracts::loan::PaymentScheduleGenerated {
    loan(json!({
        "schedule_id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a63", "revision": revision, "total_payments": 36,
        "open_payments": 36, "instalment": 3099.15, "first_due_on": "2026-02-28", "last_due_on": "2029-01-31",
        "open_principal": 100_000, "open_interest": 11569.4,
    }))
}

fn paid() -> contracts::loan::PaymentReceived {
    loan(json!({
        "payment_id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a62", "amount": 3099.15, "payment_method": "ach",
        "interest_paid": 604.17, "principal_paid": 2494.98,
        "balance": {"open_principal": 97505.02, "interest_due": 0, "months_begun": 1},
    }))
}

fn drawn() -> contracts::loan::DrawApproved {
    loan(json!({
        "draw_id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a61", "amount": 5000, "approved_by": "credit-desk",
        "balance": {"open_principal": 102_505.02, "interest_due": 0, "months_begun": 1},
    }))
}

fn paid_off() -> contracts::loan::PaidOff {
    loan(json!({
        "payment_id": "0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a62", "principal_paid": 100_000, "interest_paid": 11569.4,
    }))
}

/// Builds an event of an order of acme's: the common fields, and `more`.
fn order<C: Contract>(more: Value) -> C {
    let mut payload = json!({
        "order_id": "a1b2c3d4-e5f6-7890-abcd-ef1234567890", "order_number": "ORD-00012345", "customer_id": "acme",
        "customer_type": "b2b", "amount": 1785, "currency": "EUR", "items": [{"sku": "PRD-001", "quantity": 10}],
        "version": 3,
    });
    if let (Some(fields), Value::Object(more)) = (payload.as_object_mut(), more) {
        fields.extend(more);
    }
    serde_json::from_value(payload).expect("an order's event")
}

fn placed() -> contracts::order::Created {
    order(json!({
        "created_at": "2026-02-13T12:00:00.000Z", "status": "pending", "payment_status": "pending",
        "fulfillment_status": "unfulfilled",
        "items": [{
            "item_id": "f1e2d3c4-b5a6-9876-fedc-987654321098", "product_id": "PRD-001", "sku": "PRD-001",
            "quantity": 10, "unit_price": 150, "line_total": 1500,
        }],
        "totals": {"subtotal": 1500, "tax_amount": 285, "total": 1785, "currency": "EUR"},
    }))
}

fn confirmed() -> contracts::order::Confirmed {
    order(json!({ "confirmed_at": "2026-02-13T12:00:01.000Z" }))
}

fn rejected() -> contracts::order::Rejected {
    order(json!({ "reason": "insufficient_credit", "rejected_at": "2026-02-13T12:00:01.000Z" }))
}

fn cancelled() -> contracts::order::Cancelled {
    order(json!({
        "previous_status": "confirmed", "reason": "ordered twice", "cancelled_at": "2026-02-13T12:00:02.000Z",
        "cancelled_by": "desk",
    }))
}

fn shipped() -> contracts::order::Shipped {
    order(json!({ "shipped_at": "2026-02-13T12:00:02.000Z", "shipped_by": "desk" }))
}

fn stuck() -> contracts::order::Stuck {
    order(json!({
        "awaits": "stock", "created_at": "2026-02-13T12:00:00.000Z", "stuck_at": "2026-02-13T12:15:30.000Z",
    }))
}

fn credit(change_type: &str) -> contracts::credit::Changed {
    serde_json::from_value(json!({
        "customer_id": "acme", "change_type": change_type, "changed_at": "2026-02-13T12:00:00.000Z",
        "changed_by": "desk", "currency": "EUR", "credit_limit": 5000, "reserved": 0, "balance": 1000,
        "available_credit": 4000, "blocked": change_type == "blocked", "version": 5,
    }))
    .expect("a change")
}

fn proposed(notice_date: &str) -> contracts::cloud::RateCardCreated {
    serde_json::from_value(json!({
        "version": 1, "effective_date": "2027-04-01T00:00:00.000Z", "notice_date": notice_date,
        "rates": {"compute": 1, "transfer": 0.05, "ltm": 0.2, "stm": 0.1},
        "proposed_by": "ada", "proposed_by_name": "ADA", "revision": 1,
    }))
    .expect("a rate card")
}

fn approved() -> contracts::cloud::RateCardApproved {
    serde_json::from_value(json!({
        "version": 1, "effective_date": "2027-04-01T00:00:00.000Z", "approved_by": "bob", "approved_by_name": "BOB",
        "approved_at": "2026-11-21T10:00:00.000Z", "revision": 2,
    }))
    .expect("a rate card")
}

fn diverged() -> contracts::cloud::SyncDiverged {
    serde_json::from_value(json!({
        "member_id": "ada", "member_name": "ADA", "database_balance": 100, "onchain_balance": "90",
        "difference": "10", "difference_usd": "100.00", "version": 1,
    }))
    .expect("a divergence")
}

#[tokio::test]
async fn a_mint_is_told_by_mail_and_by_note() {
    let world = world();
    world.member("ada", json!({})).await;
    let envelope = world.envelope(&minted(Some("ada")), None);
    assert_eq!(world.deliver(&envelope, 1).await, Outcome::Done);
    assert_eq!(
        world.mails(),
        [("ada@example.com".to_owned(), "$CLOUD Credits Added")]
    );
    assert_eq!(
        world.notes("ada").await,
        [Note {
            title: "Credits Added".into(),
            body: "100 CLOUD arrived in your account.".into(),
            link: "/cloud".into(),
            icon: Icon::Success,
            created_at: envelope.occurred_at,
            event_id: envelope.event_id,
        }]
    );
    let mail = world.mailer.sent().remove(0);
    assert!(mail.text.contains("Hello ADA,"));
    assert!(mail.text.contains("https://app.example.com/cloud"));
    assert!(mail.html.contains(mail.key.as_str()) && mail.text.contains(mail.key.as_str()));
}

#[tokio::test]
async fn both_sides_of_a_transfer_are_told_their_own_side() {
    let world = world();
    world.member("ada", json!({})).await;
    world.member("bob", json!({})).await;
    assert_eq!(
        world.handle(&transferred("ada", "bob")).await,
        Outcome::Done
    );
    assert_eq!(
        world.mails(),
        [
            ("ada@example.com".to_owned(), "$CLOUD Credits Sent"),
            ("bob@example.com".to_owned(), "$CLOUD Credits Received"),
        ]
    );
    let (ada, bob) = (world.notes("ada").await, world.notes("bob").await);
    assert_eq!(
        (ada[0].title.as_str(), ada[0].icon),
        ("Credits Sent", Icon::Info)
    );
    assert_eq!(ada[0].body, "40 CLOUD went to BOB.");
    assert_eq!(
        (bob[0].title.as_str(), bob[0].icon),
        ("Credits Received", Icon::Success)
    );
    assert_eq!(bob[0].body, "40 CLOUD came from ADA.");
}

#[tokio::test]
async fn a_transfer_to_oneself_is_told_from_both_sides() {
    let world = world();
    world.member("ada", json!({})).await;
    assert_eq!(
        world.handle(&transferred("ada", "ada")).await,
        Outcome::Done
    );
    assert_eq!(world.mails().len(), 2);
    assert_eq!(world.notes("ada").await.len(), 2);
}

#[tokio::test]
async fn each_channel_is_silenced_by_its_own_preference_only() {
    let world = world();
    world.member("mail-only", preferring(true, false)).await;
    world.member("note-only", preferring(false, true)).await;
    world.member("neither", preferring(false, false)).await;
    for id in ["mail-only", "note-only", "neither"] {
        assert_eq!(world.handle(&minted(Some(id))).await, Outcome::Done);
    }
    assert_eq!(
        world.mails(),
        [("mail-only@example.com".to_owned(), "$CLOUD Credits Added")]
    );
    assert_eq!(world.notes("mail-only").await.len(), 0);
    assert_eq!(world.notes("note-only").await.len(), 1);
    assert_eq!(world.notes("neither").await.len(), 0);
}

#[tokio::test]
async fn a_mint_without_a_member_tells_nobody_and_is_marked() {
    let world = world();
    assert_eq!(world.handle(&minted(None)).await, Outcome::Done);
    assert_eq!((world.mails().len(), world.marks()), (0, 1));
}

#[tokio::test]
async fn an_alert_goes_to_every_admin_over_many_pages_whatever_their_preferences() {
    let world = world();
    world.store.page.store(7, Ordering::Relaxed);
    for number in 0..60 {
        let mut change = preferring(number % 2 == 0, false);
        change["role"] = "admin".into();
        world.member(&format!("admin-{number:02}"), change).await;
    }
    world.member("ada", json!({})).await;
    world.member("former", admin()).await;
    let demoted = member::<contracts::member::Updated>("former", 2, json!({}));
    assert_eq!(world.handle(&demoted).await, Outcome::Done);

    assert_eq!(world.handle(&alert()).await, Outcome::Done);
    let expected: Vec<_> = (0..60)
        .map(|number| {
            (
                format!("admin-{number:02}@example.com"),
                "$CLOUD Backing Below 100 %",
            )
        })
        .collect();
    assert_eq!(world.mails(), expected);
    assert_eq!(world.notes("admin-00").await.len(), 0);
}

#[tokio::test]
async fn stakes_and_burns_are_told_by_mail_and_by_note() {
    let world = world();
    world.member("ada", json!({})).await;
    assert_eq!(world.handle(&staked("ada")).await, Outcome::Done);
    assert_eq!(world.handle(&unstaked("ada")).await, Outcome::Done);
    assert_eq!(world.handle(&burned(Some("ada"))).await, Outcome::Done);
    let to = |subject| ("ada@example.com".to_owned(), subject);
    assert_eq!(
        world.mails(),
        [
            to("$CLOUD Credits Removed"),
            to("$CLOUD Credits Staked"),
            to("$CLOUD Credits Unstaked"),
        ]
    );
    let notes = world.notes("ada").await;
    let texts: Vec<(&str, &str)> = notes
        .iter()
        .map(|note| (note.title.as_str(), note.link.as_str()))
        .collect();
    assert_eq!(
        texts,
        [
            ("Credits Removed", "/cloud"),
            ("Credits Unstaked", "/cloud/staking"),
            ("Credits Staked", "/cloud/staking"),
        ]
    );
    let sent = world.mailer.sent();
    assert!(
        sent[0]
            .text
            .contains("https://app.example.com/cloud/staking")
    );
}

#[tokio::test]
async fn a_burn_of_nobodys_credits_tells_nobody_and_is_marked() {
    let world = world();
    assert_eq!(world.handle(&burned(None)).await, Outcome::Done);
    assert_eq!((world.mails().len(), world.marks()), (0, 1));
}

#[tokio::test]
async fn earnings_are_told_to_the_model_by_mail_and_by_note_with_what_was_earned_and_when() {
    let world = world();
    world.member("kim", json!({})).await;
    assert_eq!(world.handle(&settled()).await, Outcome::Done);
    assert_eq!(world.handle(&divided(30.25, 12.5)).await, Outcome::Done);
    // Nothing was earned, so there is no notice.
    assert_eq!(world.handle(&divided(100.0, 0.0)).await, Outcome::Done);
    let mail = ("kim@example.com".to_owned(), "Earnings Received");
    assert_eq!(world.mails(), [mail.clone(), mail]);
    let sent = world.mailer.sent();
    let notes = world.notes("kim").await;
    assert_eq!(notes.len(), 2);
    for (note, (mail, amount)) in notes.iter().zip(sent.iter().rev().zip(["12.50", "69.75"])) {
        let date = note.created_at.date();
        let said = format!("You earned {amount} points on {date} ");
        assert!(note.body.starts_with(&said), "{}", note.body);
        assert!(mail.text.contains(&note.body), "{}", mail.text);
        assert!(
            mail.text
                .contains("https://app.example.com/wallet/earnings")
        );
        assert_eq!(
            (note.title.as_str(), note.link.as_str(), note.icon),
            ("Earnings Received", "/wallet/earnings", Icon::Success)
        );
    }
    // The user who held the points gets no notice and needs no contact.
    assert_eq!(world.notes("ada").await.len(), 0);
}

#[tokio::test]
async fn earnings_keep_to_the_models_preferences_and_are_told_once() {
    for (email, in_app) in [(true, false), (false, true), (false, false)] {
        let world = world();
        world.member("kim", preferring(email, in_app)).await;
        let envelope = world.envelope(&settled(), Some("escrow/1/settle"));
        let again = world.envelope(&settled(), Some("escrow/1/settle"));
        assert_eq!(world.deliver(&envelope, 1).await, Outcome::Done);
        for copy in [&envelope, &again] {
            assert_eq!(world.deliver(copy, 1).await, Outcome::Duplicate);
        }
        let counts = (world.mails().len(), world.notes("kim").await.len());
        assert_eq!(counts, (usize::from(email), usize::from(in_app)));
        let expected = mail::recipients::notes(&envelope, &world.table).expect("reads");
        let names: Vec<&str> = expected.iter().map(|one| one.member_id.as_str()).collect();
        assert_eq!((names, expected[0].is_certain), (vec!["kim"], true));
    }
}

#[tokio::test]
async fn a_loan_is_told_to_its_borrower_from_the_funding_to_the_end() {
    let world = world();
    world.member("ada", json!({})).await;
    assert_eq!(world.handle(&planned(1)).await, Outcome::Done);
    assert_eq!(world.handle(&paid()).await, Outcome::Done);
    assert_eq!(world.handle(&drawn()).await, Outcome::Done);
    assert_eq!(world.handle(&planned(2)).await, Outcome::Done);
    assert_eq!(world.handle(&paid_off()).await, Outcome::Done);
    let expected = [
        ("Loan Funded", Icon::Success),
        ("Loan Payment Received", Icon::Info),
        ("Loan Draw Approved", Icon::Success),
        ("New Payment Plan", Icon::Info),
        ("Loan Paid Off", Icon::Success),
    ];
    let sent = world.mailer.sent();
    let subjects: Vec<&str> = sent.iter().map(|mail| mail.subject).collect();
    assert_eq!(subjects, expected.map(|(subject, _)| subject));
    for mail in &sent {
        assert_eq!(mail.to.to_string(), "ada@example.com");
        assert!(mail.text.contains("https://app.example.com/loans"));
        let loan = "Loan: 0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a60";
        assert!(mail.text.contains(loan) && mail.html.contains(loan));
    }
    let notes = world.notes("ada").await;
    let said: Vec<_> = notes
        .iter()
        .rev()
        .map(|note| (note.title.as_str(), note.icon))
        .collect();
    assert_eq!(said, expected);
    assert!(notes.iter().all(|note| note.link == "/loans"));
}

#[test]
fn only_the_first_payment_plan_says_that_the_loan_was_funded() {
    for (revision, name) in [
        (1, "loan_funded"),
        (2, "loan_plan_changed"),
        (9_007_199_254_740_991, "loan_plan_changed"),
    ] {
        let event = Event::LoanScheduleGenerated(planned(revision));
        let notices = notices(&event, Timestamp::EPOCH);
        let names: Vec<_> = notices
            .iter()
            .map(|(recipient, notice)| (recipient.to_string(), notice.name()))
            .collect();
        assert_eq!(names, [("ada".to_owned(), name)], "{revision}");
    }
}

#[tokio::test]
async fn what_happens_to_a_loan_keeps_to_the_borrowers_preferences_and_is_told_once() {
    for (email, in_app) in [(true, false), (false, true), (false, false)] {
        let world = world();
        world.member("ada", preferring(email, in_app)).await;
        let envelopes = [
            world.envelope(&planned(1), None),
            world.envelope(&paid(), Some("loan/1/payment/1")),
            world.envelope(&drawn(), None),
            world.envelope(&planned(2), None),
            world.envelope(&paid_off(), None),
        ];
        for envelope in &envelopes {
            assert_eq!(world.deliver(envelope, 1).await, Outcome::Done);
            assert_eq!(world.deliver(envelope, 1).await, Outcome::Duplicate);
        }
        // The same fact with another event id.
        let again = world.envelope(&paid(), Some("loan/1/payment/1"));
        assert_eq!(world.deliver(&again, 1).await, Outcome::Duplicate);
        let counts = (world.mails().len(), world.notes("ada").await.len());
        assert_eq!(counts, (5 * usize::from(email), 5 * usize::from(in_app)));
        for envelope in &envelopes {
            let expected = mail::recipients::notes(envelope, &world.table).expect("reads");
            let certain: Vec<_> = expected
                .iter()
                .map(|one| (one.member_id.as_str(), one.is_certain))
                .collect();
            assert_eq!(certain, [("ada", true)]);
        }
    }
}

#[tokio::test]
async fn a_redemption_leaves_a_note_from_ten_credits_on_and_never_a_mail() {
    let world = world();
    world.member("ada", json!({})).await;
    world.member("kim", preferring(true, false)).await;
    for (id, amount, notes) in [
        ("ada", 9.999999, 0),
        ("ada", 10.0, 1),
        ("ada", 0.000001, 1),
        ("ada", 500.0, 2),
        ("kim", 500.0, 0),
    ] {
        assert_eq!(world.handle(&redeemed(id, amount)).await, Outcome::Done);
        assert_eq!(world.notes(id).await.len(), notes, "{id} {amount}");
    }
    let note = world.notes("ada").await.remove(0);
    assert_eq!(
        (note.title.as_str(), note.link.as_str(), note.icon),
        ("Credits Redeemed", "/cloud/usage", Icon::Info)
    );
    assert_eq!(note.body, "500 CLOUD paid for compute: 2.50 compute-hour.");
    assert_eq!(world.mails(), []);
    // The amount is too small for a note: it needs no contact either.
    assert_eq!(world.handle(&redeemed("ghost", 1.0)).await, Outcome::Done);
}

#[tokio::test]
async fn a_divergence_goes_to_every_admin_by_mail_whatever_their_preferences() {
    let world = world();
    world.member("ada", json!({})).await;
    assert!(matches!(world.handle(&diverged()).await, Outcome::Retry(_)));
    let mut silent = preferring(false, false);
    silent["role"] = "admin".into();
    world.member("eve", silent).await;
    world.member("kim", admin()).await;
    assert_eq!(world.handle(&diverged()).await, Outcome::Done);
    let subject = "$CLOUD Balance Sync Diverged";
    assert_eq!(
        world.mails(),
        [
            ("eve@example.com".to_owned(), subject),
            ("kim@example.com".to_owned(), subject),
        ]
    );
    assert_eq!(world.notes("kim").await.len(), 0);
    let mail = world.mailer.sent().remove(0);
    assert!(mail.text.contains("10 CLOUD ($100.00)") && mail.text.contains("never"));
}

#[tokio::test]
async fn an_order_is_told_to_its_customer_by_mail_alone_and_so_is_blocked_credit() {
    let world = world();
    world.customer("acme", json!({})).await;
    assert_eq!(world.handle(&placed()).await, Outcome::Done);
    assert_eq!(world.handle(&confirmed()).await, Outcome::Done);
    assert_eq!(world.handle(&rejected()).await, Outcome::Done);
    assert_eq!(world.handle(&cancelled()).await, Outcome::Done);
    assert_eq!(world.handle(&shipped()).await, Outcome::Done);
    assert_eq!(world.handle(&credit("blocked")).await, Outcome::Done);
    let expected = [
        ("Order Received", "Total: 1785.00 EUR"),
        ("Order Confirmed", "ORD-00012345 is confirmed"),
        (
            "Order Rejected",
            "Reason: the order is more than what is left of your credit",
        ),
        ("Order Cancelled", "Reason: ordered twice"),
        ("Order Shipped", "10 × PRD-001"),
        ("Credit Account Blocked", "Owed now: 1000.00 EUR"),
    ];
    let sent = world.mailer.sent();
    let subjects: Vec<&str> = sent.iter().map(|mail| mail.subject).collect();
    assert_eq!(subjects, expected.map(|(subject, _)| subject));
    for (mail, (subject, words)) in sent.iter().zip(expected) {
        assert_eq!(mail.to.as_str(), "acme@example.com");
        assert!(mail.text.starts_with("Hello ACME,"), "{}", mail.text);
        assert!(mail.text.contains(words), "{subject}: {}", mail.text);
        assert!(mail.text.contains(mail.key.as_str()) && mail.html.contains(mail.key.as_str()));
    }
    assert_eq!(world.notes("acme").await.len(), 0);
}

#[tokio::test]
async fn what_happens_to_an_order_keeps_to_the_customers_preferences_and_is_told_once() {
    for email in [true, false] {
        let world = world();
        world.customer("acme", wanting_mails(email)).await;
        let envelopes = [
            world.envelope(&placed(), None),
            world.envelope(&confirmed(), None),
            world.envelope(&rejected(), None),
            world.envelope(&cancelled(), None),
            world.envelope(&shipped(), None),
            world.envelope(&credit("blocked"), None),
        ];
        for envelope in &envelopes {
            assert_eq!(world.deliver(envelope, 1).await, Outcome::Done);
            assert_eq!(world.deliver(envelope, 1).await, Outcome::Duplicate);
            let notes = mail::recipients::notes(envelope, &world.table).expect("reads");
            assert_eq!(notes, []);
        }
        assert_eq!(world.mails().len(), envelopes.len() * usize::from(email));
        assert_eq!(world.marks(), envelopes.len());
    }
}

#[tokio::test]
async fn a_customer_who_switches_mails_off_or_moves_is_told_accordingly() {
    let world = world();
    world.customer("acme", json!({})).await;
    let update =
        |version, change| customer::<contracts::customer::Updated>("acme", version, change);
    let moved = update(3, json!({ "email": "new@example.com" }));
    assert_eq!(world.handle(&moved).await, Outcome::Done);
    let older = update(2, json!({ "email": "old@example.com" }));
    assert_eq!(world.handle(&older).await, Outcome::Ignored);
    assert_eq!(world.handle(&placed()).await, Outcome::Done);
    let off = update(4, wanting_mails(false));
    assert_eq!(world.handle(&off).await, Outcome::Done);
    assert_eq!(world.handle(&confirmed()).await, Outcome::Done);
    assert_eq!(
        world.mails(),
        [("new@example.com".to_owned(), "Order Received")]
    );
}

#[tokio::test]
async fn an_order_that_overtakes_its_customer_is_told_once_the_contact_is_there() {
    let world = world();
    let envelope = world.envelope(&placed(), None);
    assert!(matches!(
        world.deliver(&envelope, 1).await,
        Outcome::Retry(_)
    ));
    assert_eq!((world.mails().len(), world.marks()), (0, 0));
    // A member of the same id is somebody else.
    world.member("acme", json!({})).await;
    assert!(matches!(
        world.deliver(&envelope, 2).await,
        Outcome::Retry(_)
    ));
    world
        .customer("acme", json!({ "email": "orders@acme.example" }))
        .await;
    assert_eq!(world.deliver(&envelope, 3).await, Outcome::Done);
    assert_eq!(
        world.mails(),
        [("orders@acme.example".to_owned(), "Order Received")]
    );
}

#[tokio::test]
async fn an_order_of_a_customer_who_never_comes_is_parked_with_the_reason() {
    let world = world();
    let envelope = world.envelope(&placed(), None);
    for receive_count in 1..4 {
        assert!(matches!(
            world.deliver(&envelope, receive_count).await,
            Outcome::Retry(_)
        ));
    }
    assert!(matches!(
        world.deliver(&envelope, 4).await,
        Outcome::Parked(_)
    ));
    let letter = world.letter();
    assert_eq!(letter.reason, consumer::ParkReason::RetriesExhausted);
    assert!(letter.error.contains("no contact of customer acme"));
}

#[tokio::test]
async fn a_customer_is_no_admin_and_not_the_member_of_the_same_id() {
    let world = world();
    world
        .customer("acme", json!({ "email": "orders@acme.example" }))
        .await;
    // The only contact is a customer's.
    assert!(matches!(world.handle(&stuck()).await, Outcome::Retry(_)));
    world.member("acme", admin()).await;
    assert_eq!(world.handle(&stuck()).await, Outcome::Done);
    assert_eq!(world.handle(&minted(Some("acme"))).await, Outcome::Done);
    assert_eq!(world.handle(&placed()).await, Outcome::Done);
    let to = |address: &str, subject| (address.to_owned(), subject);
    assert_eq!(
        world.mails(),
        [
            to("acme@example.com", "$CLOUD Credits Added"),
            to("acme@example.com", "Order Stuck"),
            to("orders@acme.example", "Order Received"),
        ]
    );
    assert_eq!(world.notes("acme").await.len(), 1);
}

#[tokio::test]
async fn an_order_that_is_stuck_is_told_to_every_admin_whatever_their_preferences() {
    let world = world();
    world.customer("acme", json!({})).await;
    let mut silent = preferring(false, false);
    silent["role"] = "admin".into();
    world.member("eve", silent).await;
    world.member("kim", admin()).await;
    world.member("ada", json!({})).await;
    assert_eq!(world.handle(&stuck()).await, Outcome::Done);
    assert_eq!(
        world.mails(),
        [
            ("eve@example.com".to_owned(), "Order Stuck"),
            ("kim@example.com".to_owned(), "Order Stuck"),
        ]
    );
    assert_eq!(world.notes("kim").await.len(), 0);
    let mail = world.mailer.sent().remove(0);
    assert!(mail.text.contains("ORD-00012345") && mail.text.contains("stock has not answered"));
}

#[tokio::test]
async fn other_changes_of_credit_tell_nobody_need_no_contact_and_are_marked() {
    let world = world();
    let others = [
        "account_opened",
        "credit_limit_increased",
        "credit_limit_decreased",
        "unblocked",
        "credit_reserved",
        "credit_restored",
        "balance_increased",
        "order_paid",
    ];
    for change_type in others {
        let outcome = world.handle(&credit(change_type)).await;
        assert_eq!(outcome, Outcome::Done, "{change_type}");
    }
    assert_eq!((world.mails().len(), world.marks()), (0, others.len()));
}

#[tokio::test]
async fn a_crash_after_a_customers_mail_repeats_it_under_its_key() {
    let world = world();
    world.customer("acme", json!({})).await;
    let envelope = world.envelope(&placed(), None);
    world.store.records_lost.store(1, Ordering::Relaxed);
    assert!(matches!(
        world.deliver(&envelope, 1).await,
        Outcome::Unavailable(_)
    ));
    for receive_count in 2..4 {
        assert_eq!(
            world.deliver(&envelope, receive_count).await,
            Outcome::Duplicate
        );
    }
    let sent = world.mailer.sent();
    assert_eq!(sent.len(), 2);
    assert_eq!(sent[0], sent[1]);
}

#[tokio::test]
async fn a_customers_address_that_is_refused_ends_as_a_letter_that_names_the_customer() {
    let world = world();
    world.customer("acme", json!({})).await;
    world
        .mailer
        .fail_for("acme@example.com", FaultKind::Rejected);
    let envelope = world.envelope(&placed(), None);
    assert!(matches!(
        world.deliver(&envelope, 1).await,
        Outcome::Parked(_)
    ));
    let letter = world.letter();
    assert_eq!(letter.reason, consumer::ParkReason::Rejected);
    assert!(letter.error.contains("customer/acme") && !letter.error.contains("acme@example.com"));
    world.mailer.mend();
    assert_eq!(world.deliver(&envelope, 1).await, Outcome::Duplicate);
    assert_eq!(world.mails().len(), 1);
}

#[tokio::test]
async fn a_rate_card_opens_one_fan_out_and_tells_nobody_by_itself() {
    let world = world();
    world
        .member("ada", json!({"ens_subname": "ada.example.eth"}))
        .await;
    let open = async || {
        let query = fanouts::open(&world.table, 10, None);
        let page = world.store.query(&query).await.expect("answers");
        let place = world.table.key("*", "*");
        let read = |item| outbox::decode_item::<Fanout>(&place, item).expect("reads");
        page.items.into_iter().map(read).collect::<Vec<_>>()
    };
    let later = world.clock.now().plus(Duration::from_secs(86_400));
    let envelope = world.envelope(&proposed(&later.to_string()), None);
    assert_eq!(world.deliver(&envelope, 1).await, Outcome::Done);
    assert_eq!(world.deliver(&envelope, 1).await, Outcome::Duplicate);
    let past = world.envelope(&proposed("2020-01-01T00:00:00.000Z"), None);
    let approval = world.envelope(&approved(), None);
    for envelope in [&past, &approval] {
        assert_eq!(world.deliver(envelope, 1).await, Outcome::Done);
    }
    // Notices start on the notice date if it is in the future, in the order in which they are allowed.
    let expected = [
        (past.event_id, past.occurred_at),
        (approval.event_id, approval.occurred_at),
        (envelope.event_id, later),
    ];
    let found = open().await;
    let places: Vec<_> = found
        .iter()
        .map(|one| (one.event_id, one.not_before))
        .collect();
    assert_eq!(places, expected);
    for (one, envelope) in found.iter().zip([&past, &approval, &envelope]) {
        assert_eq!(one.event, envelope.to_json().expect("JSON"));
        assert_eq!(
            (one.after.as_ref(), one.members, one.notes, one.mails),
            (None, 0, 0, 0)
        );
        let (name, _) = mail::recipients::fanout(envelope)
            .expect("reads")
            .expect("opens one");
        assert_eq!(one.name(), name);
    }
    assert_eq!(
        (world.mails().len(), world.notes("ada").await.len()),
        (0, 0)
    );
    assert_eq!(
        mail::recipients::fanout(&world.envelope(&alert(), None)).expect("reads"),
        None
    );
}

#[tokio::test]
async fn an_alert_that_nobody_can_be_told_of_comes_back_and_ends_as_a_letter() {
    let world = world();
    world.member("ada", json!({})).await;
    let envelope = world.envelope(&alert(), None);
    for receive_count in 1..4 {
        assert!(matches!(
            world.deliver(&envelope, receive_count).await,
            Outcome::Retry(_)
        ));
    }
    assert!(matches!(
        world.deliver(&envelope, 4).await,
        Outcome::Parked(_)
    ));
    assert!(world.letter().error.contains("no admin"));
    // An admin is added and the dead letter is redriven.
    world.member("eve", admin()).await;
    assert_eq!(world.deliver(&envelope, 1).await, Outcome::Duplicate);
    assert_eq!(world.mails().len(), 1);
}

#[tokio::test]
async fn copies_send_nothing_twice_also_under_another_event_id() {
    let world = world();
    world.member("ada", json!({})).await;
    let first = world.envelope(&minted(Some("ada")), Some("stripe/ch_1"));
    let again = world.envelope(&minted(Some("ada")), Some("stripe/ch_1"));
    assert_ne!(first.event_id, again.event_id);
    let batch = [&first, &first, &again].map(|envelope| world.message(envelope, 1));
    assert_eq!(
        world.batch(batch.to_vec()).await,
        [Outcome::Done, Outcome::Duplicate, Outcome::Duplicate]
    );
    for envelope in [&again, &first] {
        assert_eq!(world.deliver(envelope, 2).await, Outcome::Duplicate);
    }
    assert_eq!(
        (world.mails().len(), world.notes("ada").await.len()),
        (1, 1)
    );
}

#[tokio::test]
async fn a_crash_between_sending_and_recording_repeats_that_one_mail_under_its_key() {
    let world = world();
    world.member("ada", json!({})).await;
    world.member("bob", json!({})).await;
    let envelope = world.envelope(&transferred("ada", "bob"), None);
    world.store.records_lost.store(1, Ordering::Relaxed);
    assert!(matches!(
        world.deliver(&envelope, 1).await,
        Outcome::Unavailable(_)
    ));
    assert_eq!(world.mails().len(), 2);
    for receive_count in 2..4 {
        assert_eq!(
            world.deliver(&envelope, receive_count).await,
            Outcome::Duplicate
        );
    }
    let sent = world.mailer.sent();
    assert_eq!(sent.len(), 3);
    let repeated: Vec<_> = sent.iter().filter(|mail| mail.to == sent[2].to).collect();
    assert_eq!(repeated.len(), 2);
    assert_eq!(repeated[0], repeated[1]);
    assert_eq!(world.notes("ada").await.len(), 1);
}

#[tokio::test]
async fn money_that_overtakes_the_contact_is_told_once_the_contact_is_there() {
    let world = world();
    let envelope = world.envelope(&minted(Some("ada")), None);
    assert!(matches!(
        world.deliver(&envelope, 1).await,
        Outcome::Retry(_)
    ));
    assert_eq!((world.mails().len(), world.marks()), (0, 0));
    world.member("ada", json!({})).await;
    assert_eq!(world.deliver(&envelope, 2).await, Outcome::Done);
    assert_eq!(
        (world.mails().len(), world.notes("ada").await.len()),
        (1, 1)
    );
}

#[tokio::test]
async fn money_of_a_member_who_never_comes_is_parked_with_the_reason() {
    let world = world();
    world.member("ada", json!({})).await;
    let envelope = world.envelope(&transferred("ada", "ghost"), None);
    for receive_count in 1..4 {
        assert!(matches!(
            world.deliver(&envelope, receive_count).await,
            Outcome::Retry(_)
        ));
    }
    assert!(matches!(
        world.deliver(&envelope, 4).await,
        Outcome::Parked(_)
    ));
    let letter = world.letter();
    assert_eq!(letter.reason, consumer::ParkReason::RetriesExhausted);
    assert!(letter.error.contains("no contact of member ghost"));
    // All or nothing: the sender gets no notice for half of the event.
    assert_eq!(
        (world.mails().len(), world.notes("ada").await.len()),
        (0, 0)
    );
}

#[tokio::test]
async fn an_older_update_leaves_the_contact_as_it_is() {
    let world = world();
    let update = |version, email: &str| {
        member::<contracts::member::Updated>("ada", version, json!({"email": email}))
    };
    assert_eq!(
        world.handle(&update(3, "new@example.com")).await,
        Outcome::Done
    );
    assert_eq!(
        world.handle(&update(2, "old@example.com")).await,
        Outcome::Ignored
    );
    let registered = member::<contracts::member::Registered>("ada", 1, json!({}));
    assert_eq!(world.handle(&registered).await, Outcome::Ignored);
    let contact = world.contact("ada").await;
    assert_eq!(
        contact.email,
        EmailAddress::new("new@example.com").expect("an address")
    );
    assert_eq!(contact.version.number(), 3);
}

#[tokio::test]
async fn an_address_that_is_refused_holds_back_no_other_mail_and_ends_as_a_letter() {
    let world = world();
    world.member("ada", json!({})).await;
    world.member("bob", json!({})).await;
    world
        .mailer
        .fail_for("ada@example.com", FaultKind::Rejected);
    let envelope = world.envelope(&transferred("ada", "bob"), None);
    assert!(matches!(
        world.deliver(&envelope, 1).await,
        Outcome::Parked(_)
    ));
    assert_eq!(
        world.mails(),
        [("bob@example.com".to_owned(), "$CLOUD Credits Received")]
    );
    let letter = world.letter();
    assert_eq!(letter.reason, consumer::ParkReason::Rejected);
    assert!(letter.error.contains("1 of 2 mails") && letter.error.contains("ada"));
    // After the repair and a redrive, only unsent mails are sent.
    world.mailer.mend();
    assert_eq!(world.deliver(&envelope, 1).await, Outcome::Duplicate);
    assert_eq!(world.mails().len(), 2);
}

#[tokio::test]
async fn while_any_mail_may_still_go_out_a_refused_one_does_not_park_the_event() {
    let world = world();
    world.member("ada", json!({})).await;
    world.member("bob", json!({})).await;
    world
        .mailer
        .fail_for("ada@example.com", FaultKind::Rejected);
    let envelope = world.envelope(&transferred("ada", "bob"), None);
    for (kind, receive_count) in [(FaultKind::Unavailable, 9), (FaultKind::Denied, 1)] {
        world.mailer.fail_for("bob@example.com", kind);
        let outcome = world.deliver(&envelope, receive_count).await;
        match kind {
            FaultKind::Unavailable => assert!(matches!(outcome, Outcome::Unavailable(_))),
            _ => assert!(matches!(outcome, Outcome::Retry(_))),
        }
    }
    world.mailer.mend();
    assert_eq!(world.deliver(&envelope, 10).await, Outcome::Duplicate);
    assert_eq!(world.mails().len(), 2);
}

/// A mail service that needs half a second per mail.
struct Slow(Arc<dyn Mailer>, Arc<TestClock>);

#[async_trait]
impl Mailer for Slow {
    async fn send(&self, mail: &Mail) -> Result<String, Fault> {
        self.1.sleep(Duration::from_millis(500)).await;
        self.0.send(mail).await
    }
}

#[tokio::test]
async fn more_mails_than_fit_the_time_go_out_over_several_tries_each_once() {
    let world = world_with(|mailer, clock| Arc::new(Slow(mailer, clock)));
    for number in 0..20 {
        world.member(&format!("admin-{number:02}"), admin()).await;
    }
    let envelope = world.envelope(&alert(), None);
    assert!(matches!(
        world.deliver(&envelope, 1).await,
        Outcome::Unavailable(_)
    ));
    let first = world.mails().len();
    assert!((1..20).contains(&first), "{first}");
    let mut tries = 1;
    while world.deliver(&envelope, tries + 1).await != Outcome::Duplicate {
        tries += 1;
        assert!(tries < 20, "never done");
    }
    let mut mails = world.mails();
    mails.dedup();
    assert_eq!(mails.len(), 20);
    assert_eq!(world.mailer.sent().len(), 20);
}

#[tokio::test]
async fn a_hostile_name_reaches_neither_subject_nor_markup() {
    let world = world();
    let hostile = "<img src=x onerror=alert(1)>\r\nSubject: you won".replace('\r', "");
    world.member("ada", json!({"name": hostile})).await;
    world.member("bob", json!({})).await;
    let mut moved = transferred("bob", "ada");
    moved.to_member_name = events::Text::new(hostile).expect("a name");
    assert_eq!(world.handle(&moved).await, Outcome::Done);
    for mail in world.mailer.sent() {
        assert!(!mail.html.contains("<img") && !mail.subject.contains("won"));
        assert!(!mail.text.lines().any(|line| line.starts_with("Subject:")));
    }
    let note = world.notes("bob").await.remove(0);
    assert!(!note.body.contains('\n'));
}
