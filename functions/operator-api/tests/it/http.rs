//! Tests the endpoints as callers see them, over the store in memory.

use std::{collections::BTreeMap, sync::Arc};

use evidence::EvidenceTables;
use letters::{Body, Drained, Letter, LetterId, QueueMessage};
use mappings::MemoryMappings;
use operator_api::{config::Config, handler::App, router, stack::GivenFacts};
use outbox::{Clock as _, Decision, Entity, Table};
use serde_json::{Value, json};
use testkit::service::{Answer, Service};
use topology::Deployment;

const LETTERS: &str = "/api/v1/letters";
const OPERATIONS: &str = "/api/v1/letters/operations";

fn table() -> Table {
    Table::domain("letters")
}

/// The function over the spine, whose consumers have these mappings.
pub(crate) async fn service_with(mappings: Arc<MemoryMappings>) -> Service {
    service_of(mappings, GivenFacts::default()).await
}

/// The same on a stack of which AWS knows this.
pub(crate) async fn service_of(mappings: Arc<MemoryMappings>, facts: GivenFacts) -> Service {
    Service::start(|outbox, keys| {
        let config = Config {
            stack: "mill".to_owned(),
            letters: table(),
            events: "events".to_owned(),
            analytics: Table::domain("analytics"),
            evidence: EvidenceTables::new(Table::marks("marks")),
            deployment: Deployment::of_setting("").unwrap(),
        };
        let app = App::new(outbox.clone(), config, mappings, Arc::new(facts));
        router::routes().router(Arc::new(app), keys)
    })
    .await
}

async fn service() -> Service {
    service_with(Arc::default()).await
}

/// A letter of a consumer, with an error; the number distinguishes its event.
async fn letter(service: &Service, number: u64, consumer: &str, error: &str) -> LetterId {
    let sample = include_str!("../../../../shared/events/samples/common/envelope-v1/full.json");
    let mut envelope: Value = serde_json::from_str(sample).unwrap();
    envelope["event_id"] = format!("00000000-0000-4000-8000-{number:012x}").into();
    let attributes = [
        ("consumer", consumer.to_owned()),
        ("reason", "rejected".to_owned()),
        ("error", error.to_owned()),
        (
            "parked_at",
            format!("2025-11-29T03:{:02}:{:02}.000Z", number / 60, number % 60),
        ),
    ];
    parked(service, number, &envelope.to_string(), attributes).await
}

/// A letter of a message with this body and these attributes.
async fn parked<const N: usize>(
    service: &Service,
    number: u64,
    body: &str,
    attributes: [(&str, String); N],
) -> LetterId {
    let attributes = attributes.map(|(name, text)| (name.to_owned(), text));
    let message = QueueMessage {
        message_id: format!("m-{number}"),
        body: body.to_owned(),
        attributes: BTreeMap::from(attributes),
        source_arn: None,
    };
    let now = service.clock().now();
    let drained = Drained::read(&message, now);
    let id = drained.letter_id();
    let (first, body) = (Letter::first(&drained, now), Body::of(&message, now));
    save(service, number, &id, |_, _| first.clone(), Some(body)).await;
    id
}

async fn save(
    service: &Service,
    number: u64,
    id: &LetterId,
    change: impl Fn(&Entity<Letter>, events::Timestamp) -> Letter,
    body: Option<Body>,
) {
    let (outbox, change, body) = (service.outbox(), &change, &body);
    let saved = service.once(number, |mut transaction| async move {
        let entity: Entity<Letter> = outbox.load(&table(), id.as_str()).await?;
        let letter = change(&entity, transaction.now());
        transaction.update(&entity, &letter, Vec::new())?;
        if let Some(body) = body {
            body.save(&mut transaction, &table(), id)?;
        }
        Ok(Decision::Commit(transaction, ()))
    });
    saved.await;
}

async fn filled(service: &Service) -> Vec<LetterId> {
    let mut ids = Vec::new();
    for number in 0..10 {
        let (consumer, error) = match number % 3 {
            0 => ("analytics", "wallet 17 is closed"),
            1 => ("analytics", "no such member"),
            _ => ("notifications", "wallet 18 is closed"),
        };
        ids.push(letter(service, number, consumer, error).await);
    }
    ids
}

fn redrive(what: &Value) -> Value {
    let mut body = json!({ "act": "redrive", "reason": "The cause is mended." });
    for (name, value) in what.as_object().unwrap() {
        body[name] = value.clone();
    }
    body
}

fn items(answer: &Answer) -> &Vec<Value> {
    assert_eq!(answer.status, 200, "{answer:?}");
    answer.body["items"].as_array().unwrap()
}

#[tokio::test]
async fn letters_are_listed_last_parked_first_by_every_criterion_and_page_by_page() {
    let service = service().await;
    filled(&service).await;
    let get = async |query: &str| service.get(&format!("{LETTERS}?{query}")).await;
    let all = get("limit=100").await;
    assert_eq!(items(&all).len(), 10);
    let parked: Vec<&str> = items(&all)
        .iter()
        .map(|one| one["last_parked_at"].as_str().unwrap())
        .collect();
    assert!(parked.is_sorted_by(|one, next| one > next));
    assert!(items(&all)[0].get("listed").is_some() || items(&all)[0]["state"] == "open");
    for (query, count) in [
        ("consumer=analytics", 7),
        ("consumer=notifications&q=CLOSED", 3),
        ("state=handled", 0),
        ("state=open&from=2025-11-29T03:00:05.000Z", 5),
        ("to=2025-11-29T03:00:05.000Z", 5),
        ("reason=invalid", 0),
        ("tenant=nobody", 0),
    ] {
        assert_eq!(items(&get(query).await).len(), count, "{query}");
    }
    let (mut seen, mut cursor) = (0, String::new());
    loop {
        let page = get(&format!("consumer=analytics&limit=3{cursor}")).await;
        seen += items(&page).len();
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => break,
        }
    }
    assert_eq!(seen, 7);
    let other = get(&format!("consumer=notifications{cursor}")).await;
    assert_eq!(other.refusal(), (400, "invalid-parameter"));
}

#[tokio::test]
async fn an_unknown_consumer_or_state_is_refused_with_the_nearest() {
    let service = service().await;
    for (query, pointer, nearest) in [
        ("consumer=notification", "/query/consumer", "notifications"),
        ("state=opened", "/query/state", "open"),
    ] {
        for path in [LETTERS, "/api/v1/letters/groups"] {
            let refused = service.get(&format!("{path}?{query}")).await;
            assert_eq!(refused.status, 422, "{refused:?}");
            assert_eq!(refused.pointers(), [pointer]);
            assert!(refused.body.to_string().contains(nearest), "{refused:?}");
        }
    }
    let begun = redrive(&json!({ "filter": { "consumer": "analytic" } }));
    let refused = service.post(OPERATIONS, "k", &begun).await;
    assert_eq!(
        (refused.status.as_u16(), refused.pointers()),
        (422, vec!["/filter/consumer"])
    );
}

#[tokio::test]
async fn groups_have_their_counts_and_notes() {
    let service = service().await;
    filled(&service).await;
    let groups = service.get("/api/v1/letters/groups").await;
    let counts: Vec<&Value> = items(&groups).iter().map(|group| &group["count"]).collect();
    assert_eq!(counts, [4, 3, 3]);
    assert_eq!(items(&groups)[0]["signature"], "wallet <n> is closed");
    assert_eq!(groups.body["truncated"], false);
    let id = items(&groups)[0]["signature_id"].as_str().unwrap();
    let path = format!("/api/v1/letters/groups/{id}/note");
    let noted = service
        .post(&path, "n", &json!({ "note": "The partner knows." }))
        .await;
    assert_eq!(noted.status, 200, "{noted:?}");
    let groups = service
        .get("/api/v1/letters/groups?consumer=analytics")
        .await;
    assert_eq!(items(&groups)[0]["note"]["note"], "The partner knows.");
    assert_eq!(items(&groups)[0]["note"]["by"], "billing");
    let one = service.get(&format!("{LETTERS}?signature={id}")).await;
    assert_eq!(items(&one).len(), 4);
}

#[tokio::test]
async fn a_letter_is_shown_with_its_body_and_what_its_consumers_did() {
    let service = service().await;
    let id = letter(&service, 1, "analytics", "no").await;
    let shown = service.get(&format!("{LETTERS}/{id}")).await;
    assert_eq!(shown.status, 200, "{shown:?}");
    assert_eq!(shown.body["letter_id"], id.as_str());
    assert_eq!(shown.body["history"][0]["what"], "parked");
    assert_eq!(shown.body["message"]["attributes"]["consumer"], "analytics");
    let handled = shown.body["handled_by"].as_array().unwrap();
    assert!(handled.iter().any(|one| one["consumer"] == "analytics"));
    let unknown = service.get(&format!("{LETTERS}/{}", "0".repeat(32))).await;
    assert_eq!(unknown.refusal(), (404, "not-found"));
    let none = service.get(&format!("{LETTERS}/nothing")).await;
    assert_eq!(none.refusal(), (400, "invalid-parameter"));
}

#[tokio::test]
async fn a_preview_tells_what_would_be_and_writes_nothing() {
    let service = service().await;
    filled(&service).await;
    let body = redrive(&json!({ "filter": {}, "preview": true }));
    for _ in 0..2 {
        let preview = service.post(OPERATIONS, "k", &body).await;
        assert_eq!(preview.status, 200, "{preview:?}");
        assert!(!preview.is_replayed());
        assert_eq!(preview.body["count"], 10);
        assert_eq!(preview.body["sample"].as_array().unwrap().len(), 5);
        assert_eq!(preview.body["conflict"], Value::Null);
    }
    assert!(items(&service.get(OPERATIONS).await).is_empty());
    // The key is free.
    let begun = service
        .post(OPERATIONS, "k", &redrive(&json!({ "filter": {} })))
        .await;
    assert_eq!(begun.status, 201, "{begun:?}");
}

#[tokio::test]
async fn an_operation_is_begun_once_paused_resumed_and_cancelled_and_each_is_an_event() {
    let service = service().await;
    filled(&service).await;
    let body = redrive(
        &json!({ "filter": { "consumer": "analytics" }, "rate_per_second": 5, "canary": true, "cap": 7 }),
    );
    let begun = service.post(OPERATIONS, "k", &body).await;
    assert_eq!(begun.status, 201, "{begun:?}");
    assert_eq!(
        (&begun.body["count"], &begun.body["status"]),
        (&json!(7), &json!("running"))
    );
    let again = service.post(OPERATIONS, "k", &body).await;
    assert!(again.is_replayed() && again.body == begun.body);
    let id = begun.id("operation_id");
    let path = format!("{OPERATIONS}/{id}");
    let why = json!({ "reason": "It burns." });
    for (step, status) in [
        ("pause", "paused"),
        ("resume", "running"),
        ("cancel", "cancelled"),
    ] {
        let changed = service.post(&format!("{path}/{step}"), step, &why).await;
        assert_eq!(
            (changed.status.as_u16(), &changed.body["status"]),
            (200, &json!(status))
        );
    }
    let refused = service.post(&format!("{path}/resume"), "late", &why).await;
    assert_eq!(refused.refusal(), (409, "illegal-transition"));
    assert_eq!(refused.body["allowed"], json!(["finished"]));
    let shown = service.get(&path).await;
    assert_eq!(shown.body["selection"], json!({ "consumer": "analytics" }));
    assert_eq!(shown.body["progress"]["left"], 7);
    assert_eq!(
        (&shown.body["version"], &shown.body["status_reason"]),
        (&json!(4), &json!("It burns."))
    );
    assert_eq!(items(&service.get(OPERATIONS).await).len(), 1);
    let history = service.history(&format!("operation#{id}")).await;
    let types: Vec<&str> = history
        .iter()
        .map(|event| event.event_type.as_str())
        .collect();
    assert_eq!(
        types,
        [
            "operation.begun",
            "operation.changed",
            "operation.changed",
            "operation.changed"
        ]
    );
    let payload: Value = serde_json::from_str(history[0].payload.json()).unwrap();
    assert_eq!(
        (&payload["key_owner"], &payload["count"]),
        (&json!("billing"), &json!(7))
    );
    let nobody = format!("{OPERATIONS}/0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b");
    assert_eq!(service.get(&nobody).await.refusal(), (404, "not-found"));
    let refused = service.post(&format!("{nobody}/pause"), "n", &why).await;
    assert_eq!(refused.refusal(), (404, "not-found"));
}

#[tokio::test]
async fn a_selection_that_cannot_be_begun_is_refused_and_says_why() {
    let service = service().await;
    let ids = filled(&service).await;
    save(
        &service,
        100,
        &ids[9],
        |entity, now| entity.state().unwrap().handled(now).unwrap(),
        None,
    )
    .await;
    let nobody = "0".repeat(32);
    for (number, (what, status, problem)) in [
        (
            json!({ "letters": [ids[0], nobody] }),
            422,
            "unknown-letter",
        ),
        (json!({ "letters": [ids[9]] }), 409, "letter-resolved"),
        (
            json!({ "filter": { "reason": "invalid" } }),
            422,
            "no-letter",
        ),
        (json!({ "filter": {}, "cap": 8 }), 422, "over-cap"),
        (
            json!({ "filter": {}, "letters": [ids[0]] }),
            422,
            "invalid-request",
        ),
        (json!({}), 422, "invalid-request"),
        (json!({ "letters": [] }), 422, "invalid-request"),
        (json!({ "letters": ["x"] }), 422, "invalid-request"),
        (
            json!({ "filter": {}, "rate_per_second": 101 }),
            422,
            "invalid-request",
        ),
        (
            json!({ "filter": { "colour": "red" } }),
            422,
            "invalid-request",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let refused = service
            .post(OPERATIONS, &number.to_string(), &redrive(&what))
            .await;
        assert_eq!(refused.refusal(), (status, problem), "{what}: {refused:?}");
    }
    let unknown = redrive(&json!({ "letters": [ids[0], nobody] }));
    assert_eq!(
        service.post(OPERATIONS, "p", &unknown).await.pointers(),
        ["/letters/1"]
    );
}

#[tokio::test]
async fn of_two_operations_over_one_letter_the_second_names_the_first() {
    let service = service().await;
    let ids = filled(&service).await;
    let first = service
        .post(OPERATIONS, "1", &redrive(&json!({ "letters": [ids[3]] })))
        .await;
    assert_eq!(first.status, 201, "{first:?}");
    let second = redrive(&json!({ "filter": {} }));
    let refused = service.post(OPERATIONS, "2", &second).await;
    assert_eq!(refused.refusal(), (409, "letter-in-operation"));
    assert_eq!(refused.body["operation_id"], first.body["operation_id"]);
    assert_eq!(refused.body["letter_id"], ids[3].as_str());
    let preview = service
        .post(
            OPERATIONS,
            "3",
            &redrive(&json!({ "filter": {}, "preview": true })),
        )
        .await;
    assert_eq!(
        preview.body["conflict"]["operation_id"],
        first.body["operation_id"]
    );
}

#[tokio::test]
async fn reading_and_writing_need_their_scopes() {
    let mut service = service().await;
    service.use_key(&["letters:read"]).await;
    assert_eq!(service.get(LETTERS).await.status, 200);
    let refused = service
        .post(OPERATIONS, "k", &redrive(&json!({ "filter": {} })))
        .await;
    assert_eq!(refused.status, 403);
    service.use_key(&["letters:write"]).await;
    assert_eq!(service.get(LETTERS).await.status, 403);
}

/// A letter without an event: a message that no consumer could read.
async fn malformed(service: &Service, number: u64, body: &str) -> LetterId {
    let attributes = [
        ("consumer", "notifications"),
        ("reason", "malformed"),
        ("error", "no JSON"),
    ];
    let attributes = attributes.map(|(name, text)| (name, text.to_owned()));
    parked(service, number, body, attributes).await
}

/// A valid event that `notifications` listens to and no log has.
fn registered(number: u64) -> Value {
    let sample =
        include_str!("../../../../shared/events/samples/member/registered-v1/minimal.json");
    let payload: Value = serde_json::from_str(sample).unwrap();
    json!({
        "event_id": format!("00000000-0000-4000-8000-{number:012x}"), "event_type": "member.registered", "event_version": "v1",
        "occurred_at": "2025-11-29T03:00:00.000Z", "producer": "elsewhere", "correlation_id": "00000000-0000-4000-8000-000000000001",
        "aggregate_type": "member", "aggregate_id": payload["member_id"].clone(), "sequence": 7, "priority": "normal",
        "payload": payload,
    })
}

#[tokio::test]
async fn what_never_was_an_event_can_be_edited_and_goes_on_as_a_letter_of_its_event() {
    let service = service().await;
    let broken = registered(1)
        .to_string()
        .replace("\"payload\"", "\"contents\"");
    let id = malformed(&service, 1, &broken).await;
    let path = format!("{LETTERS}/{id}/edit");
    let edit = json!({ "message": registered(1), "reason": "a letter was missing" });
    let edited = service.post(&path, "edit", &edit).await;
    assert_eq!(edited.status, 200, "{edited:?}");
    let steps: Vec<(&str, &str)> = edited.body["patch"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (step["op"].as_str().unwrap(), step["path"].as_str().unwrap()))
        .collect();
    assert_eq!(steps, [("add", "/payload"), ("remove", "/contents")]);
    // The same answer for the same key.
    let again = service.post(&path, "edit", &edit).await;
    assert_eq!(again.body, edited.body);
    let goes_on_as = edited.body["letter_id"].as_str().unwrap();
    let shown = service.get(&format!("{LETTERS}/{goes_on_as}")).await;
    assert_eq!(shown.body["state"], "open");
    assert_eq!(shown.body["event_type"], "member.registered");
    let body: Value =
        serde_json::from_str(shown.body["message"]["body"].as_str().unwrap()).unwrap();
    assert_eq!(body, registered(1));
    // The letter that it was made from is closed, and has its body.
    if goes_on_as != id.as_str() {
        let before = service.get(&format!("{LETTERS}/{id}")).await;
        assert_eq!(before.body["state"], "discarded");
        assert_eq!(before.body["message"]["body"], json!(broken));
    }
    let operation = edited.body["operation_id"].as_str().unwrap();
    let told = service.get(&format!("{OPERATIONS}/{operation}")).await;
    assert_eq!(
        (
            &told.body["act"],
            &told.body["status"],
            &told.body["reason"]
        ),
        (
            &json!("edit"),
            &json!("finished"),
            &json!("a letter was missing")
        )
    );
    // It can be redriven like any other.
    let begun = service
        .post(
            OPERATIONS,
            "redrive",
            &redrive(&json!({ "letters": [goes_on_as] })),
        )
        .await;
    assert_eq!(begun.status, 201, "{begun:?}");
}

#[tokio::test]
async fn a_message_without_json_is_replaced_as_a_whole_and_keeps_its_letter() {
    let service = service().await;
    let id = malformed(&service, 1, "not JSON").await;
    let edit = json!({ "message": registered(2), "reason": "written by hand" });
    let edited = service
        .post(&format!("{LETTERS}/{id}/edit"), "edit", &edit)
        .await;
    assert_eq!(edited.status, 200, "{edited:?}");
    assert_eq!(edited.body["patch"].as_array().unwrap().len(), 1);
    assert_eq!(edited.body["patch"][0]["op"], "replace");
    assert!(edited.body["patch"][0].get("path").is_none());
    let before = service.get(&format!("{LETTERS}/{id}")).await;
    assert_eq!(before.body["state"], "discarded");
    let edited_once_more = service
        .post(&format!("{LETTERS}/{id}/edit"), "more", &edit)
        .await;
    assert_eq!(edited_once_more.status, 409, "{edited_once_more:?}");
    assert!(
        edited_once_more.body["type"]
            .as_str()
            .unwrap()
            .ends_with("letter-resolved")
    );
}

#[tokio::test]
async fn an_edit_that_breaks_the_contract_sends_nothing_and_names_every_violation() {
    let service = service().await;
    let id = malformed(&service, 1, "not JSON").await;
    let path = format!("{LETTERS}/{id}/edit");
    let mut wrong = registered(3);
    wrong["payload"]["email"] = json!("nowhere");
    wrong["event_version"] = json!("v9");
    let mut unheard = registered(4);
    unheard["event_type"] = json!("system.heartbeat");
    for (key, message) in [("one", wrong), ("two", unheard), ("three", json!({}))] {
        let refused = service
            .post(&path, key, &json!({ "message": message, "reason": "try" }))
            .await;
        assert_eq!(refused.status, 422, "{refused:?}");
        let violations = refused.body["violations"].as_array().unwrap();
        assert!(!violations.is_empty());
        assert!(
            violations
                .iter()
                .all(|one| one["pointer"].as_str().unwrap().starts_with("/message")),
            "{refused:?}"
        );
    }
    let shown = service.get(&format!("{LETTERS}/{id}")).await;
    assert_eq!(shown.body["state"], "open");
    let unknown = format!("{LETTERS}/{}/edit", "0".repeat(32));
    let edit = json!({ "message": registered(5), "reason": "try" });
    assert_eq!(service.post(&unknown, "four", &edit).await.status, 404);
}
