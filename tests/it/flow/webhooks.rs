//! Endpoints outside, and a sender that may die at any point: every event that an endpoint selects reaches it, as the log
//! has it, and an endpoint that is sent the events of an aggregate in order takes each for the first time after the one before.

use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use bytes::Bytes;
use consumer::schedule::{JobRunner, Settings};
use endpoints::{
    By, Endpoint, Endpoints,
    endpoint::{CheckedUrl, New},
};
use events::{Cause, Envelope, EventId, Text, WebhookId, contracts::webhook::WebhookSelection};
use http::HeaderMap;
use outbox::{Decision, Error, Mark, Outbox, Outcome, Table};
use testkit::flow::{Faults, Site};
use views::feed::Head;
use webhook::{Answer, Secret};
use webhook_sender::{
    job::{Sender, Tables},
    post::Post,
};

use super::{
    orders_of,
    world::{World, feed_table},
};
use crate::deliveries::{Sent, differences};

/// The longest run, by the function's timeout, without what a run needs at its end.
const RUN: Duration = Duration::from_secs(55);

/// The time limit of a page, and of an attempt.
const PAGE: Duration = Duration::from_secs(25);
const ATTEMPT: Duration = Duration::from_secs(15);

/// The time between two runs: longer than a lease, and so long that a retry of hours comes within some hundred runs.
const PAUSE: Duration = Duration::from_secs(10 * 60);

/// More runs than the longest schedule of retries needs.
const MOST_RUNS: usize = 500;

const ORDERED: &str = "https://ordered.example";
const LOOSE: &str = "https://loose.example";

/// What an endpoint took.
struct Taken {
    url: String,
    id: String,
    body: String,
}

/// Endpoints whose answers can be late or lost.
struct Partners {
    site: Site,
    taken: Arc<Mutex<Vec<Taken>>>,
}

#[async_trait]
impl Post for Partners {
    async fn post(&self, url: &str, headers: HeaderMap, body: Bytes) -> Answer {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("text");
        let taken = Taken {
            url: url.to_owned(),
            id: text(headers["webhook-id"].as_bytes()),
            body: text(&body),
        };
        let take = || self.taken.lock().expect("never poisoned").push(taken);
        match self.site.call("http POST", take).await {
            Ok(()) => Answer::Answered {
                status: 204,
                retry_after: None,
                excerpt: String::new(),
            },
            Err(fault) => Answer::Failed(fault.to_string()),
        }
    }
}

fn tables() -> Tables {
    Tables {
        webhooks: Table::domain("webhooks"),
        feed: feed_table(),
        contacts: None,
    }
}

fn endpoints<'a>(outbox: &'a Outbox, tables: &'a Tables) -> Endpoints<'a> {
    Endpoints {
        outbox,
        table: &tables.webhooks,
        feed: &tables.feed,
    }
}

/// The domains whose events the endpoints are sent.
const SELECTED: [&str; 2] = ["wallet", "cloud"];

fn is_selected(event: &Envelope) -> bool {
    let domain = event.event_type.as_str().split('.').next();
    domain.is_some_and(|domain| SELECTED.contains(&domain))
}

/// Sets up an endpoint for the events of wallets and credits.
async fn set_up(site: &Site, number: u8, url: &str, in_order: bool) -> WebhookId {
    let (tables, outbox) = (tables(), site.outbox());
    let endpoints = endpoints(outbox, &tables);
    let id = WebhookId::from(uuid::Uuid::from_u128(
        (7 << 76) + (2 << 62) + u128::from(number),
    ));
    let mark = Mark::Message {
        consumer: "tests",
        message_id: format!("endpoint-{number}"),
    };
    let text = |text: &str| Text::new(text).expect("a text");
    let made: Result<Outcome<Endpoint, ()>, Error> = outbox
        .execute(&mark, &Cause::default(), async |mut transaction| {
            let new = New {
                webhook_id: id,
                url: CheckedUrl {
                    url: url.to_owned(),
                    origin: Text::new(url).expect("a text"),
                },
                secret: Secret::new([number; 32]),
                selection: WebhookSelection {
                    domains: SELECTED.map(text).to_vec(),
                    ..WebhookSelection::default()
                },
                in_order,
                description: None,
            };
            let by = By {
                actor: None,
                key_owner: Text::new("tests").expect("a text"),
            };
            let created = endpoints.create(&mut transaction, new, by).await;
            Ok(Decision::Commit(transaction, created.expect("creates")))
        })
        .await;
    assert!(matches!(made, Ok(Outcome::Committed { .. })), "{made:?}");
    id
}

/// Whether an endpoint has been sent everything, and nothing waits to be tried again.
async fn is_done(site: &Site, id: WebhookId) -> bool {
    let (tables, outbox) = (tables(), site.outbox());
    let endpoints = endpoints(outbox, &tables);
    let head = Head::read(outbox, &tables.feed).await.expect("reads");
    let lane = endpoints.lane(id).await.expect("reads").expect("a lane");
    let retries = endpoints.retries(id).await.expect("reads");
    lane.position >= head.map_or(0, |head| head.position) && retries.is_empty()
}

/// What a storm left at the endpoints.
struct Scene {
    log: Vec<Envelope>,
    taken: Vec<Taken>,
    died: usize,
}

/// Commands under faults, with runs of the sender before, between and after them.
fn storm(seed: u64) -> Scene {
    let mut world = World::new(seed, Faults::NONE, |builder| builder);
    world.register_everybody();
    world.flow.drain().expect("drains");
    let before: BTreeSet<EventId> = world.flow.log().iter().map(|one| one.event_id).collect();
    let ids = world.flow.look(|site| async move {
        let ordered = set_up(&site, 1, ORDERED, true).await;
        [ordered, set_up(&site, 2, LOOSE, false).await]
    });
    let taken = Arc::new(Mutex::new(Vec::new()));
    let mut died = 0;
    let run = |world: &mut World, died: &mut usize| {
        let taken = Arc::clone(&taken);
        let ran = world.flow.command(|site| async move {
            let partners = Partners {
                site: site.clone(),
                taken,
            };
            let outbox = site.outbox().clone();
            let sender = Sender::new(outbox, Arc::new(partners), tables(), PAGE, ATTEMPT);
            let runner = JobRunner::new(sender, site.outbox().clone(), Settings::default());
            // A failed run is repeated by the next one.
            runner.run(site.clock().now().plus(RUN)).await.is_ok()
        });
        *died += usize::from(ran.is_none());
        world.flow.clock().advance(PAUSE);
    };
    for part in 0..3 {
        world.flow.set_faults(Faults::STORM);
        world.hand_in(&orders_of(seed * 7 + part, 40));
        world.settle().expect("sound");
        world.flow.set_faults(Faults::STORM);
        for _ in 0..3 {
            run(&mut world, &mut died);
        }
    }
    for runs in 0.. {
        assert!(runs < MOST_RUNS, "seed {seed}: never done");
        let done = world.flow.look(|site| async move {
            is_done(&site, ids[0]).await && is_done(&site, ids[1]).await
        });
        if done {
            break;
        }
        run(&mut world, &mut died);
    }
    let mut log = world.flow.log();
    log.retain(|event| !before.contains(&event.event_id));
    let taken = Arc::into_inner(taken).expect("one owner");
    Scene {
        log,
        taken: taken.into_inner().expect("never poisoned"),
        died,
    }
}

impl Scene {
    /// What is wrong with what an endpoint took.
    fn judge(&self, url: &str, in_order: bool) -> Vec<String> {
        let wanted = || self.log.iter().filter(|event| is_selected(event));
        let ids: BTreeSet<String> = wanted().map(|event| event.event_id.to_string()).collect();
        let of_url = self.taken.iter().filter(|one| one.url == url);
        let sent = of_url.map(|one| Sent {
            id: &one.id,
            body: &one.body,
            is_taken: true,
        });
        let sent: Vec<Sent<'_>> = sent.collect();
        let of_log = wanted().map(|event| (event, serde_json::to_string(event).expect("JSON")));
        let mut wrong = differences(&sent, of_log, in_order);
        let strays = sent.iter().filter(|one| !ids.contains(one.id));
        wrong.extend(strays.map(|one| format!("it was sent {}, which is not for it", one.id)));
        wrong
    }
}

#[test]
fn every_event_reaches_each_endpoint_and_in_order_where_that_is_asked_for() {
    let (mut died, mut repeated, mut overtaken) = (0, 0, 0);
    for seed in 0..6 {
        let scene = storm(seed);
        assert_eq!(
            scene.judge(ORDERED, true),
            Vec::<String>::new(),
            "seed {seed}"
        );
        assert_eq!(
            scene.judge(LOOSE, false),
            Vec::<String>::new(),
            "seed {seed}"
        );
        died += scene.died;
        overtaken += scene.judge(LOOSE, true).len();
        let mut ids: Vec<_> = scene.taken.iter().map(|one| (&one.url, &one.id)).collect();
        ids.sort();
        let all = ids.len();
        ids.dedup();
        repeated += all - ids.len();
    }
    // The check of the order can fail, and there was something to survive.
    assert!(
        died > 5 && repeated > 20 && overtaken > 0,
        "{died} {repeated} {overtaken}"
    );
}
