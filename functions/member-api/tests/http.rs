//! Tests the member endpoints as callers see them, over the in-memory store.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic)]

use std::{sync::Arc, time::Duration};

use api::{Keys, keys::NewKey};
use axum::{Router, body::Body};
use events::{Envelope, MemberId, Registry, Sequence, Timestamp};
use http::{Method, Request, StatusCode, request::Builder};
use http_body_util::BodyExt as _;
use member_api::{handler::App, router};
use outbox::{Outbox, Table, encode_item, memory::MemoryStore};
use serde_json::{Value, json};
use testkit::TestClock;
use tower::ServiceExt as _;
use views::notes::{Icon, Note};

const MEMBERS: &str = "/api/v1/members";

struct Service {
    outbox: Outbox,
    clock: Arc<TestClock>,
    router: Router,
    key: String,
}

struct Answer {
    status: StatusCode,
    headers: http::HeaderMap,
    body: Value,
}

impl Answer {
    fn problem(&self) -> &str {
        let kind = self.body["type"].as_str().unwrap();
        kind.strip_prefix("urn:millrace:problem:").unwrap()
    }

    fn pointers(&self) -> Vec<&str> {
        let violations = self.body["violations"].as_array().unwrap();
        violations
            .iter()
            .map(|found| found["pointer"].as_str().unwrap())
            .collect()
    }

    fn is_replayed(&self) -> bool {
        self.headers.contains_key("idempotency-replayed")
    }
}

impl Service {
    async fn start() -> Self {
        Self::with_scopes(&["*"]).await
    }

    async fn with_scopes(scopes: &[&str]) -> Self {
        let store = Arc::new(MemoryStore::new());
        let clock = Arc::new(TestClock::new(7));
        let keys = Keys::new(store.clone(), Table::domain("keys"));
        let outbox = Outbox::new(
            store,
            clock.clone(),
            Arc::new(Registry::shipped()),
            Table::events("events"),
            Table::marks("marks"),
        );
        let scopes = scopes.iter().map(|scope| scope.parse().unwrap()).collect();
        let key = NewKey::generate("desk".parse().unwrap(), scopes, Timestamp::EPOCH).unwrap();
        keys.create(&*clock, &key).await.unwrap();
        let app = App::new(
            outbox.clone(),
            Table::domain("member"),
            Some(notifications()),
        );
        Self {
            outbox,
            clock,
            router: router::routes().router(Arc::new(app), &keys),
            key: key.text().to_owned(),
        }
    }

    fn request(&self, method: Method, path: &str) -> Builder {
        let key = format!("Bearer {}", self.key);
        Request::builder()
            .method(method)
            .uri(path)
            .header("authorization", key)
    }

    async fn send(&self, request: Builder, body: impl Into<Body>) -> Answer {
        let request = request.body(body.into()).unwrap();
        let response = self.router.clone().oneshot(request).await.unwrap();
        let (parts, body) = response.into_parts();
        let bytes = body.collect().await.unwrap().to_bytes();
        Answer {
            status: parts.status,
            headers: parts.headers,
            body: serde_json::from_slice(&bytes).unwrap(),
        }
    }

    async fn get(&self, path: &str) -> Answer {
        self.send(self.request(Method::GET, path), Body::empty())
            .await
    }

    async fn command(&self, method: Method, path: &str, key: &str, body: &Value) -> Answer {
        let request = self.request(method, path).header("idempotency-key", key);
        self.send(request, body.to_string()).await
    }

    async fn post(&self, key: &str, body: &Value) -> Answer {
        self.command(Method::POST, MEMBERS, key, body).await
    }

    async fn patch(&self, id: &str, key: &str, body: &Value) -> Answer {
        self.command(Method::PATCH, &format!("{MEMBERS}/{id}"), key, body)
            .await
    }

    async fn history(&self, id: &str) -> Vec<Envelope> {
        let first = Sequence::new(1).unwrap();
        let history = self
            .outbox
            .history(&format!("member#{id}"), first, 100)
            .await
            .unwrap();
        history
            .envelopes
            .iter()
            .map(|raw| serde_json::from_str(raw.get()).unwrap())
            .collect()
    }
}

fn notifications() -> Table {
    Table::domain("notifications")
}

fn ada() -> Value {
    json!({ "member_id": "ada", "name": "Ada", "email": "ada@example.org" })
}

fn payload(envelope: &Envelope) -> Value {
    serde_json::from_str(envelope.payload.json()).unwrap()
}

#[tokio::test]
async fn a_registration_answers_with_the_member_and_logs_the_event() {
    let service = Service::start().await;
    let correlation = "11111111-2222-4333-8444-555555555555";
    let request = service
        .request(Method::POST, MEMBERS)
        .header("idempotency-key", "k")
        .header("x-correlation-id", correlation);
    let answer = service.send(request, ada().to_string()).await;
    assert_eq!(answer.status, 201);
    let all_on = json!({ "email_enabled": true, "in_app_enabled": true, "webhook_enabled": false });
    assert_eq!(
        answer.body,
        json!({
            "member_id": "ada", "name": "Ada", "email": "ada@example.org", "role": "member", "ens_subname": null,
            "ethereum_address": null, "notification_preferences": all_on, "version": 1,
            "registered_at": "2026-01-01T00:00:00.000Z", "updated_at": "2026-01-01T00:00:00.000Z"
        })
    );
    let read = service.get("/api/v1/members/ada").await;
    assert_eq!((read.status, &read.body), (StatusCode::OK, &answer.body));

    let events = service.history("ada").await;
    let [event] = events.as_slice() else {
        panic!("one event")
    };
    assert_eq!(event.event_type.as_str(), "member.registered");
    assert_eq!(
        (event.sequence.number(), event.priority.as_str()),
        (1, "normal")
    );
    assert_eq!(event.correlation_id.to_string(), correlation);
    assert_eq!(
        payload(event),
        json!({
            "member_id": "ada", "name": "Ada", "email": "ada@example.org", "role": "member",
            "notification_preferences": all_on, "version": 1
        })
    );
}

#[tokio::test]
async fn an_id_is_made_where_none_is_given_and_a_repeat_gets_the_same_one() {
    let service = Service::start().await;
    let body =
        json!({ "name": "Bo", "email": "bo@example.org", "role": "admin", "member_id": null });
    let first = service.post("k", &body).await;
    let id = first.body["member_id"].as_str().unwrap();
    assert_eq!(first.status, 201);
    assert_eq!(
        service.get(&format!("{MEMBERS}/{id}")).await.body["role"],
        "admin"
    );
    let again = service.post("k", &body).await;
    assert!(again.is_replayed());
    assert_eq!((again.status, &again.body), (first.status, &first.body));
    let other = service.post("k2", &body).await;
    assert_ne!(other.body["member_id"], first.body["member_id"]);
}

#[tokio::test]
async fn an_id_that_is_taken_is_refused_but_its_first_request_may_be_repeated() {
    let service = Service::start().await;
    let first = service.post("k1", &ada()).await;
    let taken = service.post("k2", &ada()).await;
    assert_eq!(
        (taken.status.as_u16(), taken.problem()),
        (409, "member-already-registered")
    );
    assert_eq!(taken.body["member_id"], "ada");
    service
        .patch("ada", "p", &json!({ "name": "Countess" }))
        .await;
    let again = service.post("k1", &ada()).await;
    assert_eq!(
        (again.status, &again.body),
        (StatusCode::CREATED, &first.body),
        "as it was then"
    );
    let other = json!({ "member_id": "ada", "name": "Eve", "email": "eve@example.org" });
    let reused = service.post("k1", &other).await;
    assert_eq!(
        (reused.status.as_u16(), reused.problem()),
        (422, "idempotency-key-reused")
    );
    assert_eq!(service.history("ada").await.len(), 2);
}

#[tokio::test]
async fn a_patch_changes_what_it_names_clears_with_null_and_tells_the_whole_member() {
    let service = Service::start().await;
    let address = format!("0x{}", "aB".repeat(20));
    let body = json!({
        "member_id": "ada", "name": "Ada", "email": "ada@example.org", "ens_subname": "ada.example.eth",
        "ethereum_address": address, "notification_preferences": { "email_enabled": false }
    });
    assert_eq!(service.post("k", &body).await.status, 201);
    service.clock.advance(Duration::from_secs(60));
    let change =
        json!({ "ens_subname": null, "notification_preferences": { "webhook_enabled": true } });
    let answer = service.patch("ada", "p1", &change).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body["version"]),
        (200, &json!(2))
    );
    assert_eq!(answer.body["ens_subname"], Value::Null);
    assert_eq!(answer.body["ethereum_address"], address);
    let preferences =
        json!({ "email_enabled": false, "in_app_enabled": true, "webhook_enabled": true });
    assert_eq!(answer.body["notification_preferences"], preferences);
    assert_eq!(answer.body["registered_at"], "2026-01-01T00:00:00.000Z");
    assert_eq!(answer.body["updated_at"], "2026-01-01T00:01:00.000Z");
    assert_eq!(service.get("/api/v1/members/ada").await.body, answer.body);

    let events = service.history("ada").await;
    assert_eq!(
        (events.len(), events[1].event_type.as_str()),
        (2, "member.updated")
    );
    assert_eq!(events[1].sequence.number(), 2);
    assert_eq!(
        payload(&events[1]),
        json!({
            "member_id": "ada", "name": "Ada", "email": "ada@example.org", "role": "member",
            "ethereum_address": address, "notification_preferences": preferences, "version": 2
        })
    );
}

#[tokio::test]
async fn a_patch_that_changes_nothing_is_answered_and_not_told() {
    let service = Service::start().await;
    let registered = service.post("k", &ada()).await;
    let same = json!({ "name": "Ada", "ens_subname": null });
    let answer = service.patch("ada", "p", &same).await;
    assert_eq!(
        (answer.status.as_u16(), &answer.body),
        (200, &registered.body)
    );
    assert_eq!(service.history("ada").await.len(), 1);
    // The mark is kept: a repeat gets the first answer again, although the member has changed since.
    service
        .patch("ada", "p2", &json!({ "name": "Countess" }))
        .await;
    let again = service.patch("ada", "p", &same).await;
    assert!(again.is_replayed());
    assert_eq!(again.body, registered.body);
    assert_eq!(
        service.get("/api/v1/members/ada").await.body["name"],
        "Countess"
    );
    let reused = service.patch("ada", "p", &json!({ "name": "Eve" })).await;
    assert_eq!(
        (reused.status.as_u16(), reused.problem()),
        (422, "idempotency-key-reused")
    );
}

#[tokio::test]
async fn bodies_that_are_not_allowed_name_every_violation() {
    let service = Service::start().await;
    let body = json!({ "member_id": "a b", "email": "nowhere", "role": "owner", "ethereum_address": "0x1", "nick": 1 });
    let answer = service.post("k", &body).await;
    assert_eq!(
        (answer.status.as_u16(), answer.problem()),
        (422, "invalid-request")
    );
    let pointers = answer.pointers();
    for pointer in ["/member_id", "/email", "/role", "/ethereum_address"] {
        assert!(pointers.contains(&pointer), "{pointers:?}");
    }
    let words = answer.body.to_string();
    assert!(words.contains("nick") && words.contains("name"), "{words}");
    let reserved = json!({ "member_id": "unallocated", "name": "N", "email": "n@example.org" });
    assert_eq!(service.post("k", &reserved).await.status, 422);

    service.post("k", &ada()).await;
    for (patch, pointer) in [
        (json!({ "name": null }), "/name"),
        (json!({ "email": "nowhere" }), "/email"),
        (
            json!({ "notification_preferences": null }),
            "/notification_preferences",
        ),
        (
            json!({ "notification_preferences": { "email_enabled": "yes" } }),
            "/notification_preferences/email_enabled",
        ),
    ] {
        let answer = service.patch("ada", "p", &patch).await;
        assert_eq!(
            (answer.status.as_u16(), answer.pointers()),
            (422, vec![pointer]),
            "{patch}"
        );
    }
    for unknown in [
        json!({ "member_id": "eve" }),
        json!({ "notification_preferences": { "sms_enabled": true } }),
    ] {
        assert_eq!(
            service.patch("ada", "p", &unknown).await.status,
            422,
            "{unknown}"
        );
    }
    let keyless = service.request(Method::POST, MEMBERS);
    let keyless = service.send(keyless, ada().to_string()).await;
    assert_eq!(
        (keyless.status.as_u16(), keyless.problem()),
        (400, "idempotency-key-required")
    );
}

#[tokio::test]
async fn an_unknown_member_is_not_found() {
    let service = Service::start().await;
    for path in [
        "/api/v1/members/ghost",
        "/api/v1/members/ghost/notifications",
    ] {
        let answer = service.get(path).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem()),
            (404, "not-found"),
            "{path}"
        );
    }
    let answer = service.patch("ghost", "p", &json!({ "name": "G" })).await;
    assert_eq!(
        (answer.status.as_u16(), answer.problem()),
        (404, "not-found")
    );
    assert!(service.history("ghost").await.is_empty());
    assert_eq!(
        service.get("/api/v1/members/a%23b").await.status,
        400,
        "no id at all"
    );
}

#[tokio::test]
async fn notes_come_newest_first_page_by_page() {
    let service = Service::start().await;
    service.post("k", &ada()).await;
    let empty = service.get("/api/v1/members/ada/notifications").await;
    assert_eq!(empty.body, json!({ "items": [], "next_cursor": null }));
    let ada = MemberId::new("ada").unwrap();
    for minute in 1..=3 {
        let note = Note {
            title: format!("note {minute}"),
            body: "body".to_owned(),
            link: "/cloud".to_owned(),
            icon: Icon::Success,
            created_at: format!("2026-11-21T10:0{minute}:00.000Z").parse().unwrap(),
            event_id: format!("00000000-0000-7000-8000-00000000000{minute}")
                .parse()
                .unwrap(),
        };
        let item = encode_item(&note.key(&notifications(), &ada, "sent"), &note.stored()).unwrap();
        service
            .outbox
            .store()
            .put_all(&notifications(), &[item])
            .await
            .unwrap();
    }
    let first = service
        .get("/api/v1/members/ada/notifications?limit=2")
        .await;
    assert_eq!(
        first.body["items"][0],
        json!({
            "title": "note 3", "body": "body", "link": "/cloud", "icon": "success",
            "created_at": "2026-11-21T10:03:00.000Z", "event_id": "00000000-0000-7000-8000-000000000003"
        })
    );
    assert_eq!(first.body["items"].as_array().unwrap().len(), 2);
    let cursor = first.body["next_cursor"].as_str().unwrap();
    let second = service
        .get(&format!(
            "/api/v1/members/ada/notifications?limit=2&cursor={cursor}"
        ))
        .await;
    assert_eq!(second.body["items"][0]["title"], "note 1");
    assert_eq!(second.body["next_cursor"], Value::Null);
}

#[tokio::test]
async fn reading_and_writing_need_their_scopes() {
    let service = Service::with_scopes(&["members:write"]).await;
    assert_eq!(service.post("k", &ada()).await.status, 201);
    assert_eq!(service.get("/api/v1/members/ada").await.status, 403);
    let service = Service::with_scopes(&["members:read", "cloud:write"]).await;
    assert_eq!(service.post("k", &ada()).await.status, 403);
    assert_eq!(service.get("/api/v1/members/ada").await.status, 404);
}

#[test]
fn every_endpoint_stands_in_the_document() {
    let document = router::openapi();
    let paths = document["paths"].as_object().unwrap();
    let mut found: Vec<&str> = paths.keys().map(String::as_str).collect();
    found.sort_unstable();
    assert_eq!(
        found,
        [
            "/api/v1/members",
            "/api/v1/members/{member_id}",
            "/api/v1/members/{member_id}/notifications"
        ]
    );
}
