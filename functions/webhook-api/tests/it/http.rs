//! Tests the endpoints as callers see them, over the store in memory.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
    time::Duration,
};

use async_trait::async_trait;
use endpoints::{Endpoint, Lane};
use events::WebhookId;
use http::Method;
use outbox::{Clock as _, Condition, Decision, Entity, Scan, Table};
use serde_json::{Value, json};
use testkit::service::{Answer, Service};
use views::feed::Head;
use webhook::{ResolveError, Rules, Target};
use webhook_api::{config::Config, handler::App, reach::Reach, router};

pub(crate) const WEBHOOKS: &str = "/api/v1/webhooks";
/// The path and query of the URL in these tests.
const TOKEN: &str = "token-in-the-url";
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

pub(crate) fn table() -> Table {
    Table::domain("webhooks")
}

pub(crate) fn feed() -> Table {
    Table::domain("feed")
}

/// Names that lead nowhere, or inside; every other name leads to public addresses.
#[derive(Default)]
pub(crate) struct Names(Mutex<BTreeMap<String, ResolveError>>);

impl Names {
    fn lead(&self, name: &str, error: ResolveError) {
        self.0.lock().unwrap().insert(name.to_owned(), error);
    }
}

#[async_trait]
impl Reach for Names {
    async fn check(&self, target: &Target) -> Result<(), ResolveError> {
        match self.0.lock().unwrap().get(target.host()) {
            Some(error) => Err(*error),
            None => Ok(()),
        }
    }
}

async fn service_with(names: Arc<Names>) -> Service {
    Service::start(|outbox, keys| {
        let config = Config {
            webhooks: table(),
            feed: feed(),
            rules: Rules::default(),
        };
        let app = App::new(outbox.clone(), config, names);
        router::routes().router(Arc::new(app), keys)
    })
    .await
}

pub(crate) async fn service() -> Service {
    service_with(Arc::default()).await
}

/// Sets the feed's head. Every number is used once.
pub(crate) async fn head(service: &Service, number: u64, position: u64) {
    let outbox = service.outbox();
    let moved = service.once(number, |mut transaction| async move {
        let before = Head::read(outbox, &feed()).await?;
        let condition = before.map_or(Condition::Absent, |head| {
            Condition::Equals(vec![("position", head.position.into())])
        });
        transaction.put(Head::key(&feed()), &Head { position }, condition)?;
        Ok(Decision::Commit(transaction, ()))
    });
    moved.await;
}

fn webhook(what: &Value) -> Value {
    let mut body = json!({ "url": format!("https://hooks.example.com/{TOKEN}?key={TOKEN}") });
    for (name, value) in what.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

pub(crate) async fn create(service: &Service, key: &str, what: &Value) -> Answer {
    let created = service.post(WEBHOOKS, key, &webhook(what)).await;
    assert_eq!(created.status, 201, "{created:?}");
    created
}

/// A new webhook's id.
pub(crate) async fn new_webhook(service: &Service) -> WebhookId {
    let created = create(service, "new", &json!({})).await;
    id_of(&created).parse().unwrap()
}

fn id_of(created: &Answer) -> &str {
    created.body["webhook"]["webhook_id"].as_str().unwrap()
}

async fn patch(service: &Service, id: &str, key: &str, body: &Value) -> Answer {
    let path = format!("{WEBHOOKS}/{id}");
    let request = service.request(Method::PATCH, &path);
    let request = request.header("idempotency-key", key);
    service.send(request, body).await
}

pub(crate) async fn step(
    service: &Service,
    id: impl std::fmt::Display,
    step: &str,
    key: &str,
    body: &Value,
) -> Answer {
    let path = format!("{WEBHOOKS}/{id}/{step}");
    service.post(&path, key, body).await
}

async fn read(service: &Service, id: &str) -> Value {
    let shown = service.get(&format!("{WEBHOOKS}/{id}")).await;
    assert_eq!(shown.status, 200, "{shown:?}");
    shown.body
}

async fn told(service: &Service, id: &str) -> Vec<(String, Value)> {
    let history = service.history(&format!("webhook#{id}")).await;
    let told = history.iter().map(|event| {
        let payload = serde_json::from_str(event.payload.json()).unwrap();
        (event.event_type.to_string(), payload)
    });
    told.collect()
}

async fn stored(service: &Service, id: &str) -> Endpoint {
    let entity: Entity<Endpoint> = service.outbox().load(&table(), id).await.unwrap();
    entity.state().cloned().unwrap()
}

/// The secrets that are used now.
async fn secrets(service: &Service, id: &str) -> Vec<String> {
    let endpoint = stored(service, id).await;
    let secrets = endpoint.secrets(service.clock().now()).unwrap();
    secrets.iter().map(webhook::Secret::expose).collect()
}

async fn lane(service: &Service, id: &str) -> Lane {
    let key = Lane::key(&table(), id.parse().unwrap());
    let lane: Option<Lane> = service.outbox().row(&key).await.unwrap();
    lane.unwrap()
}

/// Everything that the event log and the marks have, as text.
async fn log_and_marks(service: &Service) -> String {
    let mut text = String::new();
    for table in [Table::events("events"), Table::marks("marks")] {
        let scan = Scan {
            table,
            without: None,
            limit: 1_000,
            after: None,
        };
        let page = service.outbox().store().scan(&scan).await.unwrap();
        assert!(page.next.is_none() && !page.items.is_empty());
        for item in page.items {
            text.push_str(&Value::Object(item).to_string());
        }
    }
    text
}

#[tokio::test]
async fn a_new_webhook_begins_at_the_feeds_head_and_its_event_tells_how_it_is_set_up() {
    let service = service().await;
    head(&service, 1, 17).await;
    let what = json!({
        "event_types": ["loan.funded"], "domains": ["cloud"], "tenant_id": "t", "aggregate_type": "loan",
        "aggregate_id": "l-1", "in_order": true, "description": "For the ledger."
    });
    let request = service.request(Method::POST, WEBHOOKS);
    let request = request
        .header("idempotency-key", "k")
        .header("x-user-id", "ada");
    let created = service.send(request, &webhook(&what)).await;
    assert_eq!(created.status, 201, "{created:?}");
    let id = id_of(&created).to_owned();
    let selection = json!({
        "event_types": ["loan.funded"], "domains": ["cloud"], "tenant_id": "t", "aggregate_type": "loan",
        "aggregate_id": "l-1"
    });
    let now = json!(service.clock().now());
    assert_eq!(
        created.body["webhook"],
        json!({
            "webhook_id": id, "origin": "https://hooks.example.com", "selection": selection, "in_order": true,
            "description": "For the ledger.", "status": "enabled", "since": now, "reason": null, "created_at": now,
            "old_secret_until": null
        })
    );
    let secret = created.body["secret"].as_str().unwrap();
    assert_eq!(secrets(&service, &id).await, [secret]);
    assert_eq!(
        stored(&service, &id).await.url(),
        format!("https://hooks.example.com/{TOKEN}?key={TOKEN}")
    );
    assert_eq!(lane(&service, &id).await.position, 17);
    let told = told(&service, &id).await;
    assert_eq!(
        told,
        [(
            "webhook.created".to_owned(),
            json!({
                "webhook_id": id, "settings": {
                    "origin": "https://hooks.example.com", "selection": selection, "in_order": true,
                    "description": "For the ledger.", "status": "enabled", "secret_number": 1
                },
                "actor": "ada", "key_owner": "billing", "version": 1
            })
        )]
    );
    let shown = read(&service, &id).await;
    assert_eq!(
        shown["progress"],
        json!({
            "position": 17, "head": 17, "behind": 0, "halted": false, "failures": 0, "failing_since": null,
            "last_error": null, "tried_at": null, "delivered_at": null, "waiting": 0, "next_attempt_at": null,
            "disabled_at": null
        })
    );
    head(&service, 2, 20).await;
    assert_eq!(read(&service, &id).await["progress"]["behind"], 3);
}

#[tokio::test]
async fn a_repeat_gets_the_webhook_without_its_secret_and_makes_no_second_one() {
    let service = service().await;
    let first = create(&service, "k", &json!({})).await;
    let again = service.post(WEBHOOKS, "k", &webhook(&json!({}))).await;
    assert!(again.is_replayed(), "{again:?}");
    assert_eq!(again.status, 201);
    assert_eq!(again.body, json!({ "webhook": first.body["webhook"] }));
    let list = service.get(WEBHOOKS).await;
    assert_eq!(list.body, json!({ "items": [first.body["webhook"]] }));
    let other = webhook(&json!({ "in_order": true }));
    let other = service.post(WEBHOOKS, "k", &other).await;
    assert_eq!(other.refusal(), (422, "idempotency-key-reused"));
}

#[tokio::test]
async fn a_selection_that_is_larger_than_a_stored_answer_is_answered_and_repeated() {
    let service = service().await;
    let all = events::Registry::shipped_contracts().iter();
    let types: Vec<&str> = all.map(|contract| contract.event_type).take(100).collect();
    let words = |length| "\u{20ac}".repeat(length);
    let what = json!({
        "event_types": types, "domains": events::DOMAINS, "tenant_id": words(256), "description": words(500)
    });
    let first = create(&service, "k", &what).await;
    let again = service.post(WEBHOOKS, "k", &webhook(&what)).await;
    assert!(again.is_replayed() && again.body["webhook"] == first.body["webhook"]);
}

#[tokio::test]
async fn what_no_webhook_can_be_is_refused_by_name() {
    let names = Arc::new(Names::default());
    names.lead("inside.example.com", ResolveError::Refused);
    names.lead("nowhere.example.com", ResolveError::NotFound);
    let service = service_with(names).await;
    let id = new_webhook(&service).await.to_string();
    let (many_types, many_domains) = (vec!["loan.funded"; 101], vec!["loan"; 51]);
    let address = "the URL must lead to a public address";
    for (what, pointers, says) in [
        (
            json!({ "url": "http://a.example.com/" }),
            vec!["/url"],
            "port",
        ),
        (
            json!({ "url": "ftp://a.example.com/" }),
            vec!["/url"],
            "https://",
        ),
        (
            json!({ "url": "https://me@a.example.com/" }),
            vec!["/url"],
            "user name",
        ),
        (
            json!({ "url": "https://127.0.0.1/" }),
            vec!["/url"],
            address,
        ),
        (
            json!({ "url": "https://inside.example.com/" }),
            vec!["/url"],
            address,
        ),
        (
            json!({ "url": "https://nowhere.example.com/" }),
            vec!["/url"],
            "the URL's name cannot be resolved",
        ),
        (json!({ "url": 1 }), vec!["/url"], ""),
        (
            json!({ "url": format!("https://a.example.com/{}", "a".repeat(2_000)) }),
            vec!["/url"],
            "2000",
        ),
        (
            json!({ "event_types": ["loan.funded", "loan.founded"] }),
            vec!["/event_types/1"],
            "did you mean loan.funded?",
        ),
        (
            json!({ "event_types": ["Loan"] }),
            vec!["/event_types/0"],
            "",
        ),
        (
            json!({ "event_types": many_types }),
            vec!["/event_types"],
            "100",
        ),
        (
            json!({ "domains": ["lone"] }),
            vec!["/domains/0"],
            "did you mean loan?",
        ),
        (json!({ "domains": many_domains }), vec!["/domains"], "50"),
        (
            json!({ "aggregate_id": "l-1" }),
            vec!["/aggregate_id"],
            "`aggregate_type`",
        ),
        (json!({ "aggregate_type": "" }), vec!["/aggregate_type"], ""),
        (json!({ "member_id": "" }), vec!["/member_id"], ""),
        (json!({ "in_order": "yes" }), vec!["/in_order"], ""),
        (json!({ "description": "" }), vec!["/description"], ""),
        // Everything that is wrong is said at once.
        (
            json!({ "url": "https://10.0.0.1/", "domains": ["lone"] }),
            vec!["/url", "/domains/0"],
            address,
        ),
    ] {
        let refused = service.post(WEBHOOKS, "w", &webhook(&what)).await;
        assert_eq!(
            refused.refusal(),
            (422, "invalid-request"),
            "{what}: {refused:?}"
        );
        assert_eq!(refused.pointers(), pointers, "{what}");
        let words = refused.body.to_string();
        assert!(words.contains(says), "{what}: {words}");
        let refused = patch(&service, &id, "w", &what).await;
        assert_eq!(
            refused.refusal(),
            (422, "invalid-request"),
            "{what}: {refused:?}"
        );
        assert_eq!(refused.pointers(), pointers, "{what}");
    }
    for (body, pointer) in [
        (json!({}), "/url"),
        (webhook(&json!({ "urls": 1 })), "/urls"),
    ] {
        let refused = service.post(WEBHOOKS, "w", &body).await;
        assert_eq!(
            (refused.status.as_u16(), refused.pointers()),
            (422, vec![pointer])
        );
    }
    for body in [json!({}), json!({ "reason": "Why not." })] {
        let refused = patch(&service, &id, "w", &body).await;
        assert_eq!(
            (refused.status.as_u16(), refused.pointers()),
            (422, vec![""])
        );
    }
    let refused = patch(&service, &id, "w", &json!({ "tenant_id": null })).await;
    assert_eq!(
        (refused.status.as_u16(), refused.pointers()),
        (422, vec!["/tenant_id"])
    );
    assert_eq!(
        service.get(WEBHOOKS).await.body["items"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn a_repeat_gets_its_answer_although_the_name_leads_elsewhere_now() {
    let names = Arc::new(Names::default());
    let service = service_with(Arc::clone(&names)).await;
    let first = create(&service, "k", &json!({})).await;
    names.lead("hooks.example.com", ResolveError::Refused);
    let again = service.post(WEBHOOKS, "k", &webhook(&json!({}))).await;
    assert!(again.is_replayed() && again.body["webhook"] == first.body["webhook"]);
    let other = service.post(WEBHOOKS, "l", &webhook(&json!({}))).await;
    assert_eq!(
        (other.status.as_u16(), other.pointers()),
        (422, vec!["/url"])
    );
}

#[tokio::test]
async fn a_change_replaces_the_whole_selection_and_leaves_what_is_absent() {
    let service = service().await;
    let what = json!({ "domains": ["loan"], "tenant_id": "t", "description": "one" });
    let created = create(&service, "k", &what).await;
    let id = id_of(&created).to_owned();
    let change = json!({ "event_types": ["loan.funded"], "in_order": true, "reason": "Fewer." });
    let changed = patch(&service, &id, "p", &change).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    let mut expected = created.body["webhook"].clone();
    expected["selection"] = json!({ "event_types": ["loan.funded"] });
    expected["in_order"] = true.into();
    assert_eq!(changed.body, expected);
    let again = patch(&service, &id, "p", &change).await;
    assert!(again.is_replayed() && again.body == changed.body);

    let moved = json!({ "url": "https://other.example.com:443/x", "description": "two" });
    let moved = patch(&service, &id, "q", &moved).await;
    assert_eq!(
        (
            &moved.body["origin"],
            &moved.body["description"],
            &moved.body["selection"]
        ),
        (
            &json!("https://other.example.com"),
            &json!("two"),
            &expected["selection"]
        )
    );
    assert_eq!(
        stored(&service, &id).await.url(),
        "https://other.example.com/x"
    );
    let all = patch(&service, &id, "r", &json!({ "event_types": [] })).await;
    assert_eq!(all.body["selection"], json!({}));
    let nothing = patch(&service, &id, "s", &json!({ "description": "two" })).await;
    assert_eq!(nothing.refusal(), (409, "nothing-changed"));

    let told = told(&service, &id).await;
    let types: Vec<&str> = told.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        types,
        [
            "webhook.created",
            "webhook.changed",
            "webhook.changed",
            "webhook.changed"
        ]
    );
    let (_, first) = &told[1];
    assert_eq!(
        (&first["reason"], &first["key_owner"], &first["version"]),
        (&json!("Fewer."), &json!("billing"), &json!(2))
    );
    assert_eq!(told[2].1["settings"]["origin"], "https://other.example.com");
}

#[tokio::test]
async fn a_webhook_is_disabled_and_enabled_and_a_second_time_is_refused() {
    let service = service().await;
    head(&service, 1, 5).await;
    let id = new_webhook(&service).await.to_string();
    let running = step(&service, &id, "enable", "e", &json!({})).await;
    assert_eq!(running.refusal(), (409, "illegal-transition"));
    assert_eq!(
        (
            &running.body["from"],
            &running.body["to"],
            &running.body["webhook_id"]
        ),
        (&json!("enabled"), &json!("enabled"), &json!(id))
    );
    let silent = step(&service, &id, "disable", "d", &json!({})).await;
    assert_eq!(
        (silent.status.as_u16(), silent.pointers()),
        (422, vec!["/reason"])
    );
    service.clock().advance(DAY);
    let why = json!({ "reason": "It moves." });
    let disabled = step(&service, &id, "disable", "d", &why).await;
    assert_eq!(disabled.status, 200, "{disabled:?}");
    assert_eq!(
        (
            &disabled.body["status"],
            &disabled.body["reason"],
            &disabled.body["since"]
        ),
        (
            &json!("disabled"),
            &json!("It moves."),
            &json!(service.clock().now())
        )
    );
    let again = step(&service, &id, "disable", "d", &why).await;
    assert!(again.is_replayed() && again.body == disabled.body);
    let twice = step(&service, &id, "disable", "e", &why).await;
    assert_eq!(twice.refusal(), (409, "illegal-transition"));
    assert_eq!(twice.body["allowed"], json!(["enabled", "removed"]));

    head(&service, 2, 9).await;
    let enabled = step(&service, &id, "enable", "f", &json!({})).await;
    assert_eq!(
        (&enabled.body["status"], &enabled.body["reason"]),
        (&json!("enabled"), &Value::Null)
    );
    assert_eq!(lane(&service, &id).await.position, 9);
    let told = told(&service, &id).await;
    let steps: Vec<_> = told
        .iter()
        .map(|(_, event)| (&event["settings"]["status"], &event["reason"]))
        .collect();
    assert_eq!(
        steps,
        [
            (&json!("enabled"), &Value::Null),
            (&json!("disabled"), &json!("It moves.")),
            (&json!("enabled"), &Value::Null)
        ]
    );
}

#[tokio::test]
async fn a_rotation_shows_the_new_secret_once_and_keeps_the_one_before_for_a_day() {
    let service = service().await;
    let created = create(&service, "k", &json!({})).await;
    let id = id_of(&created).to_owned();
    let rotated = step(&service, &id, "rotate", "r", &json!({})).await;
    assert_eq!(rotated.status, 200, "{rotated:?}");
    let until = service.clock().now().plus(DAY);
    assert_eq!(rotated.body["old_secret_until"], json!(until));
    assert_eq!(rotated.body["webhook"]["old_secret_until"], json!(until));
    let (first, second) = (&created.body["secret"], &rotated.body["secret"]);
    assert_ne!(first, second);
    let used = secrets(&service, &id).await;
    assert_eq!(json!(used), json!([second, first]));
    let again = step(&service, &id, "rotate", "r", &json!({})).await;
    assert!(
        again.is_replayed() && again.body.get("secret").is_none(),
        "{again:?}"
    );
    assert_eq!(again.body["webhook"], rotated.body["webhook"]);

    let third = step(&service, &id, "rotate", "s", &json!({})).await;
    let used = secrets(&service, &id).await;
    assert_eq!(json!(used), json!([third.body["secret"], second]));
    service.clock().advance(DAY);
    assert_eq!(
        json!(secrets(&service, &id).await),
        json!([third.body["secret"]])
    );
    assert_eq!(read(&service, &id).await["old_secret_until"], Value::Null);
    let told = told(&service, &id).await;
    let numbers: Vec<&Value> = told
        .iter()
        .map(|(_, event)| &event["settings"]["secret_number"])
        .collect();
    assert_eq!(numbers, [1, 2, 3]);
}

#[tokio::test]
async fn a_removed_webhook_is_forgotten_and_its_requests_still_get_their_answers() {
    let service = service().await;
    let created = create(&service, "k", &json!({})).await;
    let id = id_of(&created).to_owned();
    let removed = step(&service, &id, "remove", "r", &json!({})).await;
    assert_eq!(removed.status, 200, "{removed:?}");
    assert_eq!(removed.body, json!({ "webhook_id": id, "removed": true }));
    let again = step(&service, &id, "remove", "r", &json!({})).await;
    assert!(again.is_replayed() && again.body == removed.body);
    assert_eq!(service.get(WEBHOOKS).await.body, json!({ "items": [] }));
    assert_eq!(stored(&service, &id).await.url(), "");
    assert!(secrets(&service, &id).await.is_empty());

    let unknown = WebhookId::from(service.clock().uuid()).to_string();
    for id in [&id, &unknown] {
        let mut answers = Vec::new();
        for path in ["", "/deliveries"] {
            answers.push(service.get(&format!("{WEBHOOKS}/{id}{path}")).await);
        }
        answers.push(patch(&service, id, "p", &json!({ "in_order": true })).await);
        let event_ids = json!({ "event_ids": ["00000000-0000-4000-8000-000000000001"] });
        for (name, body) in [
            ("enable", json!({})),
            ("disable", json!({ "reason": "why" })),
            ("rotate", json!({})),
            ("remove", json!({})),
            ("redeliver", event_ids),
        ] {
            answers.push(step(&service, id, name, "x", &body).await);
        }
        for answer in answers {
            assert_eq!(answer.refusal(), (404, "not-found"), "{answer:?}");
            assert_eq!(&answer.body["webhook_id"], id);
        }
    }
    let malformed = service.get(&format!("{WEBHOOKS}/one")).await;
    assert_eq!(malformed.refusal(), (400, "invalid-parameter"));
    let repeated = service.post(WEBHOOKS, "k", &webhook(&json!({}))).await;
    assert!(repeated.is_replayed(), "{repeated:?}");
    assert_eq!(repeated.body["webhook"]["status"], "removed");
    let told = told(&service, &id).await;
    assert_eq!(told[1].0, "webhook.removed");
}

#[tokio::test]
async fn neither_a_secret_nor_the_path_of_a_url_is_in_a_later_answer_the_log_or_a_mark() {
    let service = service().await;
    let created = create(&service, "k", &json!({})).await;
    let id = id_of(&created).to_owned();
    let rotated = step(&service, &id, "rotate", "r", &json!({})).await;
    let mut hidden = vec![TOKEN.to_owned()];
    for answer in [&created, &rotated] {
        assert!(!answer.body["webhook"].to_string().contains(TOKEN));
        hidden.push(answer.body["secret"].as_str().unwrap().to_owned());
    }
    let mut shown = vec![log_and_marks(&service).await];
    let url = json!({ "url": format!("https://other.example.com/{TOKEN}") });
    for answer in [
        service.get(WEBHOOKS).await,
        service.get(&format!("{WEBHOOKS}/{id}")).await,
        service.post(WEBHOOKS, "k", &webhook(&json!({}))).await,
        step(&service, &id, "rotate", "r", &json!({})).await,
        patch(&service, &id, "p", &url).await,
        step(&service, &id, "disable", "d", &json!({ "reason": "why" })).await,
        step(&service, &id, "enable", "e", &json!({})).await,
        step(&service, &id, "remove", "x", &json!({})).await,
    ] {
        assert!(answer.status.is_success(), "{answer:?}");
        shown.push(answer.body.to_string());
    }
    // What is wrong with a URL is said without the URL.
    for url in [
        format!("https://10.0.0.1/{TOKEN}"),
        format!("https:{TOKEN}"),
        format!("https://a/#{TOKEN}"),
    ] {
        let refused = service.post(WEBHOOKS, "w", &json!({ "url": url })).await;
        assert_eq!(refused.status, 422);
        shown.push(refused.body.to_string());
    }
    shown.push(log_and_marks(&service).await);
    for text in &shown {
        for secret in &hidden {
            assert!(!text.contains(secret.as_str()), "{secret} in {text}");
        }
    }
}

#[tokio::test]
async fn webhooks_are_listed_the_oldest_first_and_there_are_200_at_most() {
    let service = service().await;
    let mut ids = Vec::new();
    for number in 0..200 {
        let created = create(&service, &format!("k{number}"), &json!({})).await;
        ids.push(id_of(&created).to_owned());
        service.clock().advance(Duration::from_millis(1));
    }
    let list = service.get(WEBHOOKS).await;
    let listed = list.body["items"].as_array().unwrap().iter();
    let listed: Vec<&str> = listed
        .map(|one| one["webhook_id"].as_str().unwrap())
        .collect();
    assert_eq!(listed, ids);
    let refused = service.post(WEBHOOKS, "more", &webhook(&json!({}))).await;
    assert_eq!(refused.refusal(), (409, "too-many-webhooks"));
    assert_eq!(refused.body["most"], 200);
    step(&service, &ids[7], "remove", "r", &json!({})).await;
    create(&service, "more", &json!({})).await;
}

#[tokio::test]
async fn progress_tells_of_failures_and_of_the_next_attempt() {
    let service = service().await;
    head(&service, 1, 5).await;
    let id = new_webhook(&service).await;
    let began = service.clock().now();
    let outbox = service.outbox();
    let failed = service.once(2, |mut transaction| async move {
        let key = Lane::key(&table(), id);
        let before: Option<Lane> = outbox.row(&key).await?;
        let mut lane = before.clone().unwrap().next();
        for _ in 0..9 {
            lane.failed("status 500", transaction.now());
        }
        transaction.put(key, &lane, Lane::unchanged(before.as_ref()))?;
        // In order, the second event of an aggregate waits for the first, whatever its time is.
        for (position, aggregate, wait) in
            [(3, "loan/1", 300), (4, "loan/1", 0), (5, "loan/2", 400)]
        {
            let retry = json!({
                "position": position, "event_id": format!("00000000-0000-4000-8000-{position:012}"),
                "event_type": "loan.funded", "aggregate": aggregate, "attempts": 1,
                "due_at": began.plus(Duration::from_secs(wait)), "tried_at": began
            });
            let key = endpoints::Retry::key(&table(), id, position);
            transaction.put(key, &retry, Condition::Absent)?;
        }
        Ok(Decision::Commit(transaction, ()))
    });
    failed.await;
    let id = id.to_string();
    let after = |seconds: u64| json!(began.plus(Duration::from_secs(seconds)));
    let progress = read(&service, &id).await["progress"].clone();
    assert_eq!(
        progress,
        json!({
            "position": 5, "head": 5, "behind": 0, "halted": false, "failures": 9, "failing_since": began,
            "last_error": "status 500", "tried_at": began, "delivered_at": null, "waiting": 3,
            "next_attempt_at": began, "disabled_at": after(5 * 24 * 60 * 60)
        })
    );
    patch(&service, &id, "p", &json!({ "in_order": true })).await;
    assert_eq!(
        read(&service, &id).await["progress"]["next_attempt_at"],
        after(300)
    );
    let disabled = step(&service, &id, "disable", "d", &json!({ "reason": "why" })).await;
    assert_eq!(disabled.status, 200);
    let progress = read(&service, &id).await["progress"].clone();
    assert_eq!(
        (
            &progress["next_attempt_at"],
            &progress["disabled_at"],
            &progress["waiting"]
        ),
        (&Value::Null, &Value::Null, &json!(3))
    );
}

#[tokio::test]
async fn reading_and_writing_need_their_scopes() {
    let mut service = service().await;
    let id = new_webhook(&service).await;
    let one = format!("{WEBHOOKS}/{id}");
    service.use_key(&["webhooks:read", "letters:write"]).await;
    for path in [WEBHOOKS, &one, &format!("{one}/deliveries")] {
        assert_eq!(service.get(path).await.status, 200, "{path}");
    }
    for name in ["enable", "disable", "rotate", "remove", "redeliver"] {
        let refused = step(&service, id, name, "k", &json!({})).await;
        assert_eq!(refused.refusal(), (403, "missing-scope"), "{name}");
        assert_eq!(refused.body["scope"], "webhooks:write");
    }
    let refused = service.post(WEBHOOKS, "k", &webhook(&json!({}))).await;
    assert_eq!(refused.refusal(), (403, "missing-scope"));
    let refused = patch(&service, &id.to_string(), "k", &json!({ "in_order": true })).await;
    assert_eq!(refused.refusal(), (403, "missing-scope"));
    service.use_key(&["webhooks:write"]).await;
    assert_eq!(service.get(WEBHOOKS).await.status, 403);
    assert_eq!(
        service
            .post(WEBHOOKS, "k", &webhook(&json!({})))
            .await
            .status,
        201
    );
    let request = http::Request::builder().method(Method::GET).uri(WEBHOOKS);
    assert_eq!(
        service.send(request, &Value::Null).await.refusal(),
        (401, "unauthorized")
    );
}
