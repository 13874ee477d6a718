//! Tests the job in its runner, on a store in memory and with endpoints of the test's own.

#![allow(
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use std::{collections::BTreeMap, sync::Mutex};

use bytes::Bytes;
use consumer::schedule::{Ending, JobRunner, Settings};
use endpoints::{
    Attempt, By, Retry,
    endpoint::{CheckedUrl, New, Patch},
    lane::{AttemptOutcome, HALTED_AFTER, MOST_RETRIES},
};
use events::{
    EventId, EventType, Registry, WebhookId,
    contracts::webhook::{WebhookSelection, WebhookStatus},
};
use http::HeaderMap;
use outbox::{Decision, Query, Store as _, encode_item};
use serde_json::{Value, json};
use testkit::{TestClock, jobs::JobSite};
use tokio::sync::Notify;
use webhook::{Answer, Secret};

use super::*;

const DAY: Duration = Duration::from_secs(24 * 60 * 60);
const HOUR: Duration = Duration::from_secs(60 * 60);

/// What was posted.
#[derive(Debug, Clone)]
struct Posted {
    url: String,
    id: String,
    at: Timestamp,
    headers: HeaderMap,
    body: String,
}

type Script = dyn Fn(&Posted) -> Answer + Send + Sync;

/// Endpoints that answer by a script, and note what they got.
struct Receivers {
    clock: Arc<TestClockOf>,
    posted: Mutex<Vec<Posted>>,
    script: Mutex<Box<Script>>,
    /// The URL whose answers wait, and until what.
    slow: Mutex<Option<(String, Arc<Notify>)>>,
    seen: Notify,
}

/// The clock of the site, by reference.
struct TestClockOf(JobSite);

impl TestClockOf {
    fn clock(&self) -> &TestClock {
        self.0.clock()
    }
}

#[async_trait]
impl Post for Receivers {
    async fn post(&self, url: &str, headers: HeaderMap, body: Bytes) -> Answer {
        let id = headers["webhook-id"].to_str().expect("text").to_owned();
        let posted = Posted {
            url: url.to_owned(),
            id,
            at: self.clock.clock().now(),
            headers,
            body: String::from_utf8(body.to_vec()).expect("text"),
        };
        self.posted.lock().expect("unpoisoned").push(posted.clone());
        self.seen.notify_waiters();
        let slow = self.slow.lock().expect("unpoisoned").clone();
        if let Some((_, until)) = slow.filter(|(slow, _)| slow == url) {
            until.notified().await;
        }
        let script = self.script.lock().expect("unpoisoned");
        script(&posted)
    }
}

fn answered(status: u16) -> Answer {
    Answer::Answered {
        status,
        retry_after: None,
        excerpt: String::new(),
    }
}

struct World {
    site: Arc<TestClockOf>,
    receivers: Arc<Receivers>,
    fed: Mutex<u64>,
}

fn tables() -> Tables {
    Tables {
        webhooks: Table::domain("webhooks"),
        feed: Table::domain("feed"),
        contacts: Some(Table::domain("notifications")),
    }
}

fn world() -> World {
    let site = Arc::new(TestClockOf(JobSite::new()));
    let receivers = Receivers {
        clock: Arc::clone(&site),
        posted: Mutex::default(),
        script: Mutex::new(Box::new(|_| answered(204))),
        slow: Mutex::default(),
        seen: Notify::new(),
    };
    World {
        site,
        receivers: Arc::new(receivers),
        fed: Mutex::default(),
    }
}

impl World {
    fn site(&self) -> &JobSite {
        &self.site.0
    }

    fn answers(&self, script: impl Fn(&Posted) -> Answer + Send + Sync + 'static) {
        *self.receivers.script.lock().expect("unpoisoned") = Box::new(script);
    }

    fn posted(&self) -> Vec<Posted> {
        self.receivers.posted.lock().expect("unpoisoned").clone()
    }

    /// How often each event was posted to a URL.
    fn counts(&self, url: &str) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for posted in self.posted().into_iter().filter(|one| one.url == url) {
            *counts.entry(posted.id).or_insert(0) += 1;
        }
        counts
    }

    fn sender(&self) -> Sender {
        let client = Arc::clone(&self.receivers) as Arc<dyn Post>;
        let outbox = self.site().outbox().clone();
        Sender::new(
            outbox,
            client,
            tables(),
            Duration::from_secs(25),
            Duration::from_secs(15),
        )
    }

    async fn run(&self) -> Ending {
        let runner = JobRunner::new(
            self.sender(),
            self.site().outbox().clone(),
            Settings::default(),
        );
        let now = self.site().clock().now();
        let report = runner.run(now.plus(Duration::from_secs(55))).await;
        report.expect("runs").outcome
    }

    fn endpoints<'a>(&'a self, tables: &'a Tables) -> Endpoints<'a> {
        Endpoints {
            outbox: self.site().outbox(),
            table: &tables.webhooks,
            feed: &tables.feed,
        }
    }

    fn mark(&self) -> Mark {
        Mark::Message {
            consumer: "tests",
            message_id: self.site().clock().uuid().to_string(),
        }
    }

    async fn endpoint(&self, url: &str, selection: WebhookSelection, in_order: bool) -> WebhookId {
        let (tables, outbox) = (tables(), self.site().outbox());
        let id = WebhookId::from(self.site().clock().uuid());
        let outcome: Result<Outcome<Endpoint, ()>, Error> = outbox
            .execute(&self.mark(), &Cause::default(), async |mut transaction| {
                let new = New {
                    webhook_id: id,
                    url: CheckedUrl {
                        url: url.to_owned(),
                        origin: Text::new(url).expect("a text"),
                    },
                    secret: Secret::new([7; 32]),
                    selection: selection.clone(),
                    in_order,
                    description: None,
                };
                let by = By {
                    actor: None,
                    key_owner: Text::new("tests").expect("a text"),
                };
                let endpoints = self.endpoints(&tables);
                let created = endpoints.create(&mut transaction, new, by).await;
                Ok(Decision::Commit(transaction, created.expect("creates")))
            })
            .await;
        assert!(matches!(outcome, Ok(Outcome::Committed { .. })));
        id
    }

    async fn change(&self, id: WebhookId, status: WebhookStatus) {
        let (tables, outbox) = (tables(), self.site().outbox());
        let outcome: Result<Outcome<Endpoint, ()>, Error> = outbox
            .execute(&self.mark(), &Cause::default(), async |mut transaction| {
                let patch = Patch {
                    status: Some(status),
                    ..Patch::default()
                };
                let by = By {
                    actor: None,
                    key_owner: Text::new("tests").expect("a text"),
                };
                let endpoints = self.endpoints(&tables);
                let changed = endpoints.change(&mut transaction, id, patch, by).await;
                Ok(Decision::Commit(transaction, changed.expect("changes")))
            })
            .await;
        assert!(matches!(outcome, Ok(Outcome::Committed { .. })));
    }

    /// Feeds an event of an account, and returns its id.
    async fn feed(&self, event_type: &str, account: &str) -> String {
        let position = {
            let mut fed = self.fed.lock().expect("unpoisoned");
            *fed += 1;
            *fed
        };
        self.feed_at(position, event_type, account).await
    }

    async fn feed_at(&self, position: u64, event_type: &str, account: &str) -> String {
        self.feed_payload(
            position,
            event_type,
            account,
            &testkit::costs::sample(event_type),
        )
        .await
    }

    async fn feed_payload(
        &self,
        position: u64,
        event_type: &str,
        account: &str,
        payload: &Value,
    ) -> String {
        let clock = self.site().clock();
        let mut envelope = testkit::costs::envelope(event_type, payload);
        let id = clock.uuid().to_string();
        envelope["event_id"] = json!(id);
        envelope["occurred_at"] = json!(clock.now());
        envelope["aggregate_id"] = json!(account);
        envelope["metadata"] = json!({ "tenant_id": format!("tenant-of-{account}") });
        let text = envelope.to_string();
        let read = Registry::read(&text).expect("an envelope");
        let feed = tables().feed;
        let row = FeedRow::of(position, &read, &text, clock.now(), 30 * DAY);
        let key = FeedRow::key(&feed, position);
        let row = encode_item(&key, &row).expect("an item");
        let head = encode_item(&Head::key(&feed), &Head { position }).expect("an item");
        let put = self.site().store().put_all(&feed, &[row, head]).await;
        put.expect("puts");
        id
    }

    async fn state(&self, id: WebhookId) -> (Endpoint, Lane, Vec<Retry>) {
        let tables = tables();
        let endpoints = self.endpoints(&tables);
        let entity = endpoints.endpoint(id).await.expect("reads");
        let lane = endpoints.lane(id).await.expect("reads").expect("a lane");
        let retries = endpoints.retries(id).await.expect("reads");
        (entity.state().expect("an endpoint").clone(), lane, retries)
    }

    async fn log(&self, id: WebhookId) -> Vec<Attempt> {
        let query: Query = Attempt::of_endpoint(&tables().webhooks, id, 1_000);
        let (rows, _) = self.site().outbox().rows(&query).await.expect("reads");
        rows
    }

    fn events(&self) -> Vec<(String, Value)> {
        let items = self.site().store().items(&Table::events("events"));
        let envelopes = items.iter().map(|item| {
            let text = item["envelope"].as_str().expect("a text");
            let envelope: Value = serde_json::from_str(text).expect("JSON");
            let event_type = envelope["event_type"].as_str().expect("a type").to_owned();
            (event_type, envelope["payload"].clone())
        });
        envelopes.collect()
    }

    fn types(&self) -> Vec<String> {
        let mut types: Vec<String> = self.events().into_iter().map(|(kind, _)| kind).collect();
        types.sort();
        types
    }

    /// Runs once a minute for a while.
    async fn pass(&self, span: Duration) {
        let end = self.site().clock().now().plus(span);
        while self.site().clock().now() < end {
            self.run().await;
            self.site().clock().advance(Duration::from_secs(60));
        }
    }
}

fn every() -> WebhookSelection {
    WebhookSelection::default()
}

const HERE: &str = "https://here.example";
const THERE: &str = "https://there.example";

#[tokio::test]
async fn an_event_is_sent_once_signed_as_the_log_has_it() {
    let world = world();
    world.feed("cloud.minted", "before").await;
    let id = world.endpoint(HERE, every(), false).await;
    assert_eq!(world.run().await, Ending::Continues);
    assert!(world.posted().is_empty(), "what was before it is not sent");
    let event = world.feed("cloud.minted", "ada").await;
    world.run().await;
    world.run().await;
    let posted = world.posted();
    assert_eq!(posted.len(), 1);
    assert_eq!(posted[0].id, event);
    let verifier = standardwebhooks::Webhook::new(&Secret::new([7; 32]).expose()).expect("reads");
    // The library's own check compares the time with the real one.
    let at = posted[0].at.unix_seconds();
    let signature = verifier
        .sign(&event, at, posted[0].body.as_bytes())
        .expect("signs");
    assert_eq!(
        posted[0].headers["webhook-signature"]
            .to_str()
            .expect("text"),
        signature
    );
    let envelope: Value = serde_json::from_str(&posted[0].body).expect("JSON");
    assert_eq!(envelope["event_id"], json!(event));
    let (_, lane, retries) = world.state(id).await;
    assert_eq!((lane.position, retries.len()), (2, 0));
    let log = world.log(id).await;
    assert_eq!(log.len(), 1);
    assert_eq!(
        (log[0].outcome, log[0].status),
        (AttemptOutcome::Delivered, Some(204))
    );
}

#[tokio::test]
async fn an_endpoint_is_sent_what_it_selects() {
    let world = world();
    let minted = EventType::new("cloud.minted").expect("a type");
    let of_type = WebhookSelection {
        event_types: vec![minted],
        ..every()
    };
    let of_domain = WebhookSelection {
        domains: vec![Text::new("member").expect("a text")],
        ..every()
    };
    let of_tenant = WebhookSelection {
        tenant_id: Some(Text::new("tenant-of-ada").expect("a text")),
        ..every()
    };
    world.endpoint("https://type.example", of_type, false).await;
    world
        .endpoint("https://domain.example", of_domain, false)
        .await;
    world
        .endpoint("https://tenant.example", of_tenant, false)
        .await;
    let minted = world.feed("cloud.minted", "ada").await;
    let burned = world.feed("cloud.burned", "bob").await;
    let member = world.feed("member.registered", "ada").await;
    world.run().await;
    let ids = |url: &str| world.counts(url).into_keys().collect::<Vec<_>>();
    assert_eq!(ids("https://type.example"), [minted.as_str()]);
    assert_eq!(ids("https://domain.example"), [member.as_str()]);
    let mut of_ada = vec![minted, member];
    of_ada.sort();
    assert_eq!(ids("https://tenant.example"), of_ada);
    assert!(!world.posted().iter().any(|one| one.id == burned));
}

#[tokio::test]
async fn what_fails_is_tried_by_the_schedule_and_given_up_after_the_eighth_time() {
    let world = world();
    let id = world.endpoint(HERE, every(), false).await;
    let broken = world.feed("cloud.minted", "ada").await;
    let bad = broken.clone();
    world.answers(move |posted| answered(if posted.id == bad { 500 } else { 204 }));
    // The endpoint takes others meanwhile, so that it is not halted, nor disabled.
    let begun = world.site().clock().now();
    for _ in 0..30 {
        world.feed("cloud.burned", "bob").await;
        world.pass(HOUR).await;
    }
    let tries: Vec<Duration> = world
        .posted()
        .iter()
        .filter(|one| one.id == broken)
        .map(|one| one.at.since(begun))
        .collect();
    assert_eq!(tries.len(), 8, "{tries:?}");
    let mut before = Duration::ZERO;
    let waits: Vec<u64> = tries
        .iter()
        .map(|at| {
            let wait = at.saturating_sub(before);
            before = *at;
            wait.as_secs()
        })
        .collect();
    for (wait, wanted) in waits
        .iter()
        .zip([0, 5, 300, 1_800, 7_200, 18_000, 36_000, 36_000])
    {
        // A fifth of jitter, and up to a minute until the next run.
        let (least, most) = (wanted * 4 / 5, wanted * 6 / 5 + 70);
        assert!((least..=most).contains(wait), "{waits:?}");
    }
    let log = world.log(id).await;
    let of_it: Vec<_> = log
        .iter()
        .filter(|one| one.event_id.to_string() == broken)
        .collect();
    assert_eq!(of_it[0].outcome, AttemptOutcome::GivenUp);
    assert_eq!(of_it[0].attempt.number(), 8);
    let (endpoint, _, retries) = world.state(id).await;
    assert_eq!(
        (endpoint.status(), retries.len()),
        (EndpointStatus::Enabled, 0)
    );
}

#[tokio::test]
async fn an_endpoint_that_is_down_is_sent_nothing_new_and_everything_once_it_is_back() {
    let world = world();
    let id = world.endpoint(HERE, every(), false).await;
    world.answers(|_| answered(503));
    let mut all = Vec::new();
    for number in 0..60 {
        all.push(world.feed("cloud.minted", &format!("member{number}")).await);
    }
    world.pass(2 * HOUR).await;
    let (_, lane, retries) = world.state(id).await;
    assert!(lane.failures >= HALTED_AFTER && lane.failing_since.is_some());
    assert!(
        retries.len() < MOST_RETRIES && lane.position < 60,
        "most of it is still in the feed"
    );
    let tried = world.counts(HERE).len();
    assert!(
        tried <= 2 * HALTED_AFTER as usize,
        "{tried} events were tried in vain"
    );
    let calls = world.posted().len();
    // It is probed every five minutes.
    world.pass(HOUR).await;
    let probes = world.posted().len() - calls;
    assert!((10..=40).contains(&probes), "{probes}");
    world.answers(|_| answered(204));
    let before = world.posted().len();
    world.pass(Duration::from_secs(8 * 60)).await;
    let after: Vec<String> = world.posted()[before..]
        .iter()
        .map(|one| one.id.clone())
        .collect();
    for event in &all {
        let times = after.iter().filter(|id| *id == event).count();
        assert_eq!(times, 1, "{event} was delivered {times} times");
    }
    let (_, lane, retries) = world.state(id).await;
    assert_eq!(
        (lane.failures, lane.failing_since, retries.len()),
        (0, None, 0)
    );
}

#[tokio::test]
async fn an_endpoint_that_is_gone_or_fails_for_five_days_is_disabled_after_two_warnings() {
    let world = world();
    let gone = world.endpoint(HERE, every(), false).await;
    let failing = world.endpoint(THERE, every(), false).await;
    world.answers(|posted| answered(if posted.url == HERE { 410 } else { 500 }));
    world.feed("cloud.minted", "ada").await;
    world.run().await;
    let (endpoint, ..) = world.state(gone).await;
    assert_eq!(endpoint.status(), EndpointStatus::Disabled);
    assert_eq!(endpoint.reason().map(Text::as_str), Some("status 410"));
    let count = |kind: &str| world.types().iter().filter(|one| *one == kind).count();
    assert_eq!(
        (count("webhook.disabled"), count("webhook.failing")),
        (1, 0)
    );
    for day in 1..=6 {
        // Something new to try, once the schedule of what failed is over.
        world.feed("cloud.minted", "ada").await;
        for _ in 0..12 {
            world.site().clock().advance(2 * HOUR);
            world.run().await;
        }
        let warned = count("webhook.failing");
        let wanted = match day {
            1..=2 => 1,
            _ => 2,
        };
        assert!(
            warned == wanted || (day == 1 && warned == 0),
            "day {day}: {warned}"
        );
    }
    assert_eq!(count("webhook.disabled"), 2);
    let (endpoint, ..) = world.state(failing).await;
    assert_eq!(endpoint.status(), EndpointStatus::Disabled);
    let calls = world.posted().len();
    world.feed("cloud.minted", "ada").await;
    world.pass(HOUR).await;
    assert_eq!(
        world.posted().len(),
        calls,
        "a disabled endpoint is sent nothing"
    );
    // Enabled again, it is sent what comes from then on.
    world.answers(|_| answered(200));
    world.change(failing, WebhookStatus::Enabled).await;
    let next = world.feed("cloud.minted", "ada").await;
    world.run().await;
    let after: Vec<String> = world.posted()[calls..]
        .iter()
        .map(|one| one.id.clone())
        .collect();
    assert!(after.contains(&next), "{after:?}");
}

#[tokio::test]
async fn in_order_an_event_waits_for_those_of_its_aggregate_before_it_and_for_no_other() {
    let world = world();
    let id = world.endpoint(HERE, every(), true).await;
    let first = world.feed("cloud.minted", "ada").await;
    let second = world.feed("cloud.burned", "ada").await;
    let third = world.feed("cloud.minted", "ada").await;
    let other = world.feed("cloud.minted", "bob").await;
    let bad = first.clone();
    world.answers(move |posted| answered(if posted.id == bad { 500 } else { 204 }));
    world.run().await;
    let ids = |world: &World| {
        world
            .posted()
            .into_iter()
            .map(|one| one.id)
            .collect::<Vec<_>>()
    };
    assert!(ids(&world).contains(&other));
    assert!(!ids(&world).contains(&second) && !ids(&world).contains(&third));
    let (_, lane, retries) = world.state(id).await;
    assert_eq!((lane.position, retries.len()), (4, 3));
    world.answers(|_| answered(204));
    world.pass(HOUR).await;
    let of_ada: Vec<String> = ids(&world)
        .into_iter()
        .filter(|one| *one == first || *one == second || *one == third)
        .collect();
    let ended = &of_ada[of_ada.len() - 3..];
    assert_eq!(ended, [first, second, third]);
}

#[tokio::test]
async fn an_endpoint_that_takes_its_time_delays_no_other() {
    let world = Arc::new(world());
    world.endpoint(HERE, every(), false).await;
    world.endpoint(THERE, every(), false).await;
    let release = Arc::new(Notify::new());
    *world.receivers.slow.lock().expect("unpoisoned") =
        Some((HERE.to_owned(), Arc::clone(&release)));
    world.feed("cloud.minted", "ada").await;
    let running = Arc::clone(&world);
    let run = async move { running.run().await };
    let watch = async {
        // While the slow one has its first event, the other gets one that came later.
        loop {
            let seen = world.receivers.seen.notified();
            if world.posted().iter().any(|one| one.url == HERE) {
                break;
            }
            seen.await;
        }
        let later = world.feed("cloud.minted", "bob").await;
        loop {
            let seen = world.receivers.seen.notified();
            if world.counts(THERE).contains_key(&later) {
                break;
            }
            seen.await;
        }
        assert_eq!(
            world.counts(HERE).len(),
            1,
            "the slow one still has its first"
        );
        release.notify_waiters();
        release.notify_one();
    };
    let both = futures::future::join(run, watch);
    let (ending, ()) = tokio::time::timeout(Duration::from_secs(20), both)
        .await
        .expect("ends");
    assert!(matches!(ending, Ending::Finished | Ending::Continues));
}

#[tokio::test]
async fn a_redelivery_is_sent_although_the_event_was_delivered() {
    let world = world();
    let id = world.endpoint(HERE, every(), false).await;
    let event = world.feed("cloud.minted", "ada").await;
    world.run().await;
    let (tables, outbox) = (tables(), world.site().outbox());
    let event_id: EventId = event.parse().expect("an id");
    let place = json!({ "aggregate": "cloud_account#ada", "sequence": 1, "position": 1 });
    let key = views::feed::Place::key(&tables.feed, event_id);
    world.site().put(&key, &place).await;
    let outcome: Result<Outcome<bool, ()>, Error> = outbox
        .execute(&world.mark(), &Cause::default(), async |mut transaction| {
            let endpoints = world.endpoints(&tables);
            let known = endpoints.redeliver(&mut transaction, id, event_id).await;
            Ok(Decision::Commit(transaction, known.expect("reads")))
        })
        .await;
    assert!(matches!(
        outcome,
        Ok(Outcome::Committed { value: true, .. })
    ));
    world.run().await;
    assert_eq!(world.counts(HERE)[&event], 2);
}

#[tokio::test]
async fn an_event_that_is_asked_for_before_its_turn_is_sent_once() {
    let world = world();
    let id = world.endpoint(HERE, every(), false).await;
    let event = world.feed("cloud.minted", "ada").await;
    let key = FeedRow::key(&tables().feed, 1);
    let row: Option<FeedRow> = world.site().outbox().row(&key).await.expect("reads");
    let asked = Retry {
        redelivery: true,
        ..Retry::of(
            &row.expect("a row"),
            event.parse().expect("an id"),
            world.site().clock().now(),
        )
    };
    let key = Retry::key(&tables().webhooks, id, 1);
    let asked = serde_json::to_value(&asked).expect("JSON");
    world.site().put(&key, &asked).await;
    world.run().await;
    assert_eq!(world.counts(HERE)[&event], 1);
    let (_, lane, retries) = world.state(id).await;
    assert_eq!((lane.position, retries.len()), (1, 0));
}

#[tokio::test]
async fn a_page_that_dies_before_it_writes_sends_the_same_again_and_loses_nothing() {
    let world = world();
    let id = world.endpoint(HERE, every(), false).await;
    let event = world.feed("cloud.minted", "ada").await;
    let (endpoint, ..) = world.state(id).await;
    let sender = world.sender();
    let mut stand = sender
        .endpoints()
        .stand(id)
        .await
        .expect("reads")
        .expect("a lane");
    // Another run has moved the lane meanwhile.
    world.run().await;
    assert!(sender.turn(&endpoint, &mut stand).await.is_err());
    assert_eq!(
        world.counts(HERE)[&event],
        2,
        "at least once, under the same id"
    );
    let (_, lane, _) = world.state(id).await;
    assert_eq!(lane.position, 1);
}

#[tokio::test]
async fn what_the_feed_no_longer_has_is_passed_over_and_said() {
    let world = world();
    let id = world.endpoint(HERE, every(), false).await;
    let far = world.feed_at(50, "cloud.minted", "ada").await;
    world.run().await;
    let (_, lane, _) = world.state(id).await;
    assert_eq!(lane.position, 50);
    assert_eq!(world.counts(HERE)[&far], 1);
}

/// The member of the samples.
fn member() -> events::MemberId {
    let sample = testkit::costs::sample("cloud.minted");
    let member = sample["member_id"].as_str().expect("a member");
    member.parse().expect("an id")
}

impl World {
    /// An endpoint of the member, in order.
    async fn members_endpoint(&self) -> WebhookId {
        let selection = WebhookSelection {
            member_id: Some(member()),
            ..every()
        };
        self.endpoint(HERE, selection, true).await
    }

    async fn contact(&self, wants_webhooks: bool, subname: Option<&str>) {
        let mut contact = json!({
            "member_id": member(), "email": "ada@example.com", "name": "Ada", "role": "member", "version": 1, "event_id": self.site().clock().uuid(),
            "preferences": {"email_enabled": true, "in_app_enabled": true, "webhook_enabled": wants_webhooks},
        });
        if let Some(name) = subname {
            contact["ens_subname"] = json!(name);
        }
        let key = contacts::key(&Table::domain("notifications"), &member());
        self.site().put(&key, &contact).await;
    }

    /// A rate card of which members are to be told after a while.
    async fn rate_card(&self, position: u64, told_after: Duration) -> String {
        let mut card = testkit::costs::sample("cloud.rate_card_created");
        card["notice_date"] = json!(self.site().clock().now().plus(told_after));
        self.feed_payload(position, "cloud.rate_card_created", "card", &card)
            .await
    }
}

#[tokio::test]
async fn a_members_endpoint_is_sent_what_they_get_a_notice_about_if_they_want_webhooks() {
    let world = world();
    world.members_endpoint().await;
    world.contact(false, None).await;
    world.feed("cloud.minted", "ada").await;
    world.run().await;
    assert!(
        world.posted().is_empty(),
        "the member does not want webhooks"
    );
    world.contact(true, None).await;
    let wanted = world.feed("cloud.minted", "ada").await;
    world.feed("alert.treasury_backing_low", "treasury").await;
    world.run().await;
    assert_eq!(world.counts(HERE).into_keys().collect::<Vec<_>>(), [wanted]);
}

#[tokio::test]
async fn a_rate_card_goes_to_endpoints_of_members_with_a_subname_on_its_day_of_notice() {
    let world = world();
    let id = world.members_endpoint().await;
    world.contact(true, None).await;
    world.rate_card(1, Duration::ZERO).await;
    world.run().await;
    assert!(world.posted().is_empty(), "the member has no subname");
    world.contact(true, Some("ada.example.eth")).await;
    let now = world.rate_card(2, Duration::ZERO).await;
    let later = world.rate_card(3, 2 * DAY).await;
    world.run().await;
    assert_eq!(world.counts(HERE).into_keys().collect::<Vec<_>>(), [now]);
    // An endpoint that is down is probed by other events, not by what nobody is to know yet.
    world.answers(|_| answered(500));
    for position in 4..4 + u64::from(HALTED_AFTER) + 2 {
        world
            .feed_at(position, "cloud.minted", &format!("account-{position}"))
            .await;
    }
    world.pass(2 * HOUR).await;
    assert!(
        world.state(id).await.1.is_halted(0),
        "the endpoint is halted"
    );
    assert!(
        !world.counts(HERE).contains_key(&later),
        "it was told too early"
    );
    world.answers(|_| answered(200));
    world.pass(2 * HOUR).await;
    assert!(
        !world.counts(HERE).contains_key(&later),
        "it was told too early"
    );
    world.site().clock().advance(2 * DAY);
    world.pass(HOUR).await;
    assert_eq!(world.counts(HERE).get(&later), Some(&1));
    assert!(
        world.state(id).await.2.is_empty(),
        "nothing is left to be sent"
    );
}
