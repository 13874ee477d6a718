//! The log of attempts, and events that are sent once more.

use std::time::Duration;

use endpoints::{Attempt, Retry, lane::AttemptOutcome};
use events::{Envelope, EventId, Sequence, WebhookId};
use outbox::{Clock as _, Condition, Decision, encode_item};
use serde_json::{Value, json};
use testkit::service::{Answer, Service};
use views::feed::{FeedRow, Place};

use crate::http::{WEBHOOKS, feed, new_webhook, service, step, table};

fn event_id(number: u64) -> EventId {
    format!("00000000-0000-4000-8000-{number:012x}")
        .parse()
        .unwrap()
}

/// Logs attempts, one a second: of every tenth event that failed, of the others that were delivered.
async fn logged(service: &Service, id: WebhookId, count: u64) {
    let began = service.clock().now();
    let rows = (1..=count).map(|number| {
        let is_failure = number % 10 == 0;
        let attempt = Attempt {
            event_id: event_id(number),
            event_type: "loan.funded".to_owned(),
            position: number,
            attempt: Sequence::FIRST,
            at: began.plus(Duration::from_secs(number)),
            took_ms: 12,
            outcome: if is_failure {
                AttemptOutcome::Failed
            } else {
                AttemptOutcome::Delivered
            },
            status: Some(if is_failure { 500 } else { 204 }),
            detail: is_failure.then(|| "no".to_owned()),
            next_at: is_failure.then(|| began.plus(Duration::from_secs(number + 5))),
            expires_at: began.plus(Duration::from_secs(1_000_000)).unix_seconds(),
        };
        encode_item(&attempt.key(&table(), id), &attempt).unwrap()
    });
    let rows: Vec<_> = rows.collect();
    let (table, store) = (table(), service.outbox().store());
    store.put_all(&table, &rows).await.unwrap();
}

fn items(page: &Answer) -> &Vec<Value> {
    assert_eq!(page.status, 200, "{page:?}");
    page.body["items"].as_array().unwrap()
}

/// All pages: how many items each has, and the positions of all of them.
async fn walked(service: &Service, id: WebhookId, query: &str) -> (Vec<usize>, Vec<u64>) {
    let (mut sizes, mut positions, mut cursor) = (Vec::new(), Vec::new(), String::new());
    loop {
        let page = service
            .get(&format!("{WEBHOOKS}/{id}/deliveries?{query}{cursor}"))
            .await;
        sizes.push(items(&page).len());
        positions.extend(
            items(&page)
                .iter()
                .map(|one| one["position"].as_u64().unwrap()),
        );
        match page.body["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return (sizes, positions),
        }
    }
}

#[tokio::test]
async fn attempts_are_listed_newest_first_page_by_page() {
    let service = service().await;
    let id = new_webhook(&service).await;
    let began = service.clock().now();
    assert_eq!(walked(&service, id, "limit=5").await, (vec![0], vec![]));
    logged(&service, id, 25).await;
    let (sizes, positions) = walked(&service, id, "limit=10").await;
    assert_eq!(sizes, [10, 10, 5]);
    assert!(positions.iter().copied().eq((1..=25).rev()));
    // A page that ends with the last row is the last one.
    assert_eq!(walked(&service, id, "limit=25").await.0, [25]);
    let page = service
        .get(&format!(
            "{WEBHOOKS}/{id}/deliveries?event_id={}",
            event_id(20)
        ))
        .await;
    let after = |seconds| json!(began.plus(Duration::from_secs(seconds)));
    assert_eq!(
        page.body,
        json!({
            "items": [{
                "event_id": event_id(20), "event_type": "loan.funded", "position": 20, "attempt": 1, "at": after(20),
                "took_ms": 12, "outcome": "failed", "status": 500, "detail": "no", "next_at": after(25)
            }],
            "next_cursor": null
        })
    );
}

#[tokio::test]
async fn a_page_of_few_looks_at_500_rows_and_the_next_one_goes_on() {
    let service = service().await;
    let id = new_webhook(&service).await;
    logged(&service, id, 1_205).await;
    let (sizes, positions) = walked(&service, id, "outcome=failed&limit=40").await;
    assert!(sizes.iter().all(|size| *size <= 40), "{sizes:?}");
    assert!(
        positions
            .iter()
            .copied()
            .eq((1..=120).rev().map(|number| number * 10))
    );
    let (sizes, positions) = walked(&service, id, &format!("event_id={}", event_id(3))).await;
    assert_eq!((sizes, positions), (vec![0, 0, 1], vec![3]));
    let (sizes, _) = walked(&service, id, "outcome=given_up").await;
    assert_eq!(sizes, [0, 0, 0]);
}

#[tokio::test]
async fn a_cursor_of_another_list_and_an_unknown_outcome_are_refused() {
    let service = service().await;
    let id = new_webhook(&service).await;
    logged(&service, id, 25).await;
    let path = format!("{WEBHOOKS}/{id}/deliveries");
    let page = service.get(&format!("{path}?limit=5")).await;
    let cursor = page.id("next_cursor");
    let other = service
        .get(&format!("{path}?outcome=failed&cursor={cursor}"))
        .await;
    assert_eq!(other.refusal(), (400, "invalid-parameter"));
    for query in ["outcome=lost", "event_id=1", "limit=0", "status=500"] {
        let refused = service.get(&format!("{path}?{query}")).await;
        assert_eq!(refused.refusal(), (400, "invalid-parameter"), "{query}");
    }
}

/// Puts events into the feed, with their numbers as positions.
async fn fed(service: &Service, numbers: std::ops::RangeInclusive<u64>) {
    let sample = include_str!("../../../../shared/events/samples/common/envelope-v1/full.json");
    let now = service.clock().now();
    for number in numbers {
        let mut envelope: Value = serde_json::from_str(sample).unwrap();
        envelope["event_id"] = json!(event_id(number));
        let text = envelope.to_string();
        let envelope: Envelope = serde_json::from_str(&text).unwrap();
        let row = FeedRow::of(
            number,
            &envelope,
            &text,
            now,
            Duration::from_secs(1_000_000),
        );
        let place = Place {
            aggregate: "cloud_account#member-1".to_owned(),
            sequence: number,
            position: number,
            expires_at: None,
        };
        let put = service.once(number, |mut transaction| {
            let (row, place) = (&row, &place);
            async move {
                let key = FeedRow::key(&feed(), number);
                transaction.put(key, row, Condition::Absent)?;
                let key = Place::key(&feed(), event_id(number));
                transaction.put(key, place, Condition::Absent)?;
                Ok(Decision::Commit(transaction, ()))
            }
        });
        put.await;
    }
}

async fn retry(service: &Service, id: WebhookId, position: u64) -> Option<Retry> {
    let key = Retry::key(&table(), id, position);
    service.outbox().row(&key).await.unwrap()
}

fn wanted(numbers: impl IntoIterator<Item = u64>) -> Value {
    let ids: Vec<EventId> = numbers.into_iter().map(event_id).collect();
    json!({ "event_ids": ids })
}

#[tokio::test]
async fn events_of_the_feed_are_due_now_and_the_others_are_named() {
    let service = service().await;
    let id = new_webhook(&service).await;
    fed(&service, 1..=3).await;
    let body = wanted([1, 3, 7, 1]);
    let sent = step(&service, id, "redeliver", "r", &body).await;
    assert_eq!(sent.status, 202, "{sent:?}");
    assert_eq!(
        sent.body,
        json!({ "accepted": [event_id(1), event_id(3)], "unknown": [event_id(7)] })
    );
    let now = service.clock().now();
    let due = retry(&service, id, 1).await.unwrap();
    assert_eq!(
        (due.event_id, due.due_at, due.attempts, due.redelivery),
        (event_id(1), now, 0, true)
    );
    assert_eq!(
        (due.event_type.as_str(), due.aggregate.as_str()),
        ("cloud.minted", "cloud_account/member-1")
    );
    assert!(retry(&service, id, 2).await.is_none() && retry(&service, id, 3).await.is_some());
    let again = step(&service, id, "redeliver", "r", &body).await;
    assert!(again.is_replayed() && again.body == sent.body);
    let once_more = step(&service, id, "redeliver", "s", &body).await;
    assert_eq!(once_more.status, 202);
    let shown = service.get(&format!("{WEBHOOKS}/{id}")).await;
    assert_eq!(
        (
            &shown.body["progress"]["waiting"],
            &shown.body["progress"]["next_attempt_at"]
        ),
        (&json!(2), &json!(service.clock().now()))
    );
}

#[tokio::test]
async fn twenty_events_fit_a_request_and_one_more_does_not() {
    let service = service().await;
    let id = new_webhook(&service).await;
    fed(&service, 1..=20).await;
    let sent = step(&service, id, "redeliver", "r", &wanted(1..=20)).await;
    assert_eq!(
        sent.body["accepted"].as_array().unwrap().len(),
        20,
        "{sent:?}"
    );
    for body in [wanted(1..=21), wanted([]), json!({})] {
        let refused = step(&service, id, "redeliver", "s", &body).await;
        assert_eq!(
            (refused.status.as_u16(), refused.pointers()),
            (422, vec!["/event_ids"])
        );
    }
}

#[tokio::test]
async fn nothing_is_sent_once_more_if_no_event_is_known_or_the_webhook_is_disabled() {
    let service = service().await;
    let id = new_webhook(&service).await;
    fed(&service, 1..=1).await;
    let unknown = step(&service, id, "redeliver", "r", &wanted([7, 8])).await;
    assert_eq!(unknown.refusal(), (404, "not-found"));
    assert_eq!(unknown.body["event_ids"], wanted([7, 8])["event_ids"]);
    step(&service, id, "disable", "d", &json!({ "reason": "why" })).await;
    let disabled = step(&service, id, "redeliver", "s", &wanted([1])).await;
    assert_eq!(disabled.refusal(), (409, "webhook-not-enabled"));
    assert_eq!(disabled.body["webhook_status"], "disabled");
    assert!(retry(&service, id, 1).await.is_none());
    // A refusal is not stored: the same request is carried out once it is possible.
    step(&service, id, "enable", "e", &json!({})).await;
    assert_eq!(
        step(&service, id, "redeliver", "s", &wanted([1]))
            .await
            .status,
        202
    );
}
