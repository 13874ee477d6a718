//! Tests events by id, recent events, journeys and counts.

use ::http::Method;
use events::{Envelope, Timestamp};
use outbox::{Failures, Mark, Parked, Table, encode_item};
use serde_json::{Value, json};
use views::feed::{FeedRow, Head, LEAST_LIFE, Place};

use crate::http::{Service, mint};

const EVENTS: &str = "/api/v1/events";

fn at(minute: i64) -> Timestamp {
    let begin: Timestamp = "2026-11-29T03:00:00.000Z".parse().unwrap();
    Timestamp::from_unix_millis(begin.unix_millis() + minute * 60_000).unwrap()
}

/// Adds an event to the feed, as the consumer `event-feed` does, at this minute.
async fn feed(service: &Service, position: u64, envelope: &Envelope) {
    let table = Table::domain("feed");
    let minute = i64::try_from(position).unwrap();
    let row = FeedRow::of(
        position,
        envelope,
        &envelope.to_json().unwrap(),
        at(minute),
        LEAST_LIFE,
    );
    let place = Place {
        aggregate: envelope.aggregate(),
        sequence: envelope.sequence.number(),
        position,
        expires_at: None,
    };
    let rows = [
        encode_item(&FeedRow::key(&table, position), &row),
        encode_item(&Place::key(&table, envelope.event_id), &place),
        encode_item(&Head::key(&table), &Head { position }),
    ];
    let rows = rows.map(Result::unwrap);
    service.outbox.store().put_all(&table, &rows).await.unwrap();
}

/// Adds this many events to the feed, a minute apart.
async fn fed(service: &Service, count: u64) -> Vec<Envelope> {
    let mut events = Vec::new();
    for number in 1..=count {
        let event = mint(service, number).await;
        feed(service, number, &event).await;
        events.push(event);
    }
    events
}

fn positions(page: &Value) -> Vec<u64> {
    let items = page["items"].as_array().unwrap().iter();
    items
        .map(|item| item["position"].as_u64().unwrap())
        .collect()
}

#[tokio::test]
async fn a_history_is_read_from_either_end_without_gaps_while_it_grows() {
    let service = Service::start().await;
    for number in 1..=7 {
        mint(&service, number).await;
    }
    let base = format!("{EVENTS}?aggregate_type=cloud_account&aggregate_id=m-1&limit=3");
    for (order, first, last) in [("newest", 7, 1), ("oldest", 1, 10)] {
        let (mut path, mut seen) = (format!("{base}&order={order}"), Vec::new());
        let mut number = 7;
        loop {
            let page = service.get(&path).await.json();
            let items = page["items"].as_array().unwrap();
            seen.extend(items.iter().map(|item| item["sequence"].as_u64().unwrap()));
            // Other writers add events in between.
            if number < 10 && order == "newest" {
                number += 1;
                mint(&service, number).await;
            }
            match page["next_cursor"].as_str() {
                Some(cursor) => path = format!("{base}&order={order}&cursor={cursor}"),
                None => break,
            }
        }
        let expected: Vec<u64> = match order {
            "newest" => (last..=first).rev().collect(),
            _ => (first..=last).collect(),
        };
        assert_eq!(seen, expected, "{order}");
    }
    let path = format!("{base}&order=newest&from_sequence=2");
    let page = service.get(&path).await.json();
    assert_eq!(page["items"].as_array().unwrap().len(), 2);
    assert_eq!(page["next_cursor"], Value::Null);
    let answer = service.get(&format!("{base}&order=backwards")).await;
    assert_eq!(answer.status, 400);
    assert!(answer.text.contains("/query/order"), "{}", answer.text);
}

#[tokio::test]
async fn an_event_is_found_by_its_id_byte_for_byte_or_as_a_cloudevent() {
    let service = Service::start().await;
    let events = fed(&service, 2).await;
    let path = format!("{EVENTS}/{}", events[1].event_id);
    let answer = service.get(&path).await;
    assert_eq!(answer.status, 200);
    assert_eq!(answer.headers["content-type"], "application/json");
    assert_eq!(answer.text, events[1].to_json().unwrap());
    let answer = service
        .accepting(&path, "text/html;q=0.1, Application/CloudEvents+JSON")
        .await;
    assert_eq!(
        answer.headers["content-type"],
        "application/cloudevents+json"
    );
    let cloudevent = answer.json();
    assert_eq!(cloudevent["id"], events[1].event_id.to_string());
    assert_eq!(cloudevent["specversion"], "1.0");
    let unknown = "0190a1b2-c3d5-7e5f-8a9b-0c1d2e3f4a5b";
    for id in [unknown, "x", "0190a1b2"] {
        for path in [format!("{EVENTS}/{id}"), format!("{EVENTS}/{id}/journey")] {
            assert_eq!(service.get(&path).await.status, 404, "{path}");
        }
    }
}

#[tokio::test]
async fn an_event_whose_retention_is_over_is_found_as_long_as_the_feed_has_it() {
    let service = Service::start().await;
    let mut gone = mint(&service, 1).await;
    gone.aggregate_id = "not-in-the-log".parse().unwrap();
    feed(&service, 1, &gone).await;
    let path = format!("{EVENTS}/{}", gone.event_id);
    assert_eq!(service.get(&path).await.text, gone.to_json().unwrap());
    let journey = service.get(&format!("{path}/journey")).await.json();
    assert_eq!(journey["committed_at"], Value::Null);
    assert_eq!(journey["recorded_at"], at(1).to_string());
}

#[tokio::test]
async fn what_happened_lately_comes_newest_first_filtered_and_page_by_page() {
    let service = Service::start().await;
    let events = fed(&service, 5).await;
    let path = format!("{EVENTS}/recent");
    let all = service.get(&path).await.json();
    assert_eq!(positions(&all), [5, 4, 3, 2, 1]);
    assert_eq!(all["next_cursor"], Value::Null);
    assert_eq!(all["items"][0]["recorded_at"], at(5).to_string());
    assert_eq!(
        all["items"][0]["event"]["event_id"],
        events[4].event_id.to_string()
    );
    let (from, to) = (at(2), at(4));
    for (query, expected) in [
        ("type=cloud.minted&limit=2".to_owned(), vec![5, 4]),
        ("type=loan.funded".to_owned(), vec![]),
        ("domain=cloud&limit=1".to_owned(), vec![5]),
        ("domain=loan".to_owned(), vec![]),
        (format!("from={from}&to={to}"), vec![3, 2]),
        ("to=2026-11-29".to_owned(), vec![]),
    ] {
        let page = service.get(&format!("{path}?{query}")).await.json();
        assert_eq!(positions(&page), expected, "{query}");
    }
    let first = service
        .get(&format!("{path}?limit=3&domain=cloud"))
        .await
        .json();
    // New events do not shift the pages.
    fed_on(&service, 6).await;
    let cursor = first["next_cursor"].as_str().unwrap();
    let second = service
        .get(&format!("{path}?limit=3&domain=cloud&cursor={cursor}"))
        .await
        .json();
    assert_eq!(
        (positions(&first), positions(&second)),
        (vec![5, 4, 3], vec![2, 1])
    );
    let other = service
        .get(&format!("{path}?domain=loan&cursor={cursor}"))
        .await;
    assert_eq!(other.status, 400, "a cursor of another list");
    for query in [
        "limit=0",
        "limit=101",
        "domain=Loan",
        "domain=a.b",
        "type=loan",
        "from=today",
        "since=1",
    ] {
        let answer = service.get(&format!("{path}?{query}")).await;
        let name = query.split('=').next().unwrap();
        assert_eq!(answer.status, 400, "{query}");
        assert!(
            answer.text.contains(&format!("/query/{name}")),
            "{query}: {}",
            answer.text
        );
    }
    let backwards = service.get(&format!("{path}?from={to}&to={from}")).await;
    assert_eq!(backwards.status, 422);

    let unknown = service.get(&format!("{path}?domain=laon")).await;
    assert_eq!(unknown.status, 422);
    for words in ["/query/domain", "did you mean loan?"] {
        assert!(unknown.text.contains(words), "{}", unknown.text);
    }
    // Other repositories may publish it.
    let foreign = service.get(&format!("{path}?type=inventory.counted")).await;
    assert_eq!(foreign.status, 200);
}

async fn fed_on(service: &Service, number: u64) {
    let event = mint(service, number).await;
    feed(service, number, &event).await;
}

#[tokio::test]
async fn pages_of_cloudevents_are_lists_that_link_to_the_next() {
    let service = Service::start().await;
    let events = fed(&service, 3).await;
    let media = "application/cloudevents-batch+json";
    let mut path = format!("{EVENTS}/recent?limit=2&domain=cloud");
    let mut seen = Vec::new();
    loop {
        let answer = service.accepting(&path, media).await;
        assert_eq!(answer.headers["content-type"], media);
        let ids = answer.json();
        let ids = ids.as_array().unwrap().iter();
        seen.extend(ids.map(|one| one["id"].as_str().unwrap().to_owned()));
        let Some(link) = answer.headers.get("link") else {
            break;
        };
        let link = link.to_str().unwrap();
        let next = link
            .strip_prefix('<')
            .and_then(|link| link.strip_suffix(">; rel=\"next\""));
        path = format!("{EVENTS}/recent{}", next.unwrap());
    }
    let newest_first: Vec<String> = events
        .iter()
        .rev()
        .map(|event| event.event_id.to_string())
        .collect();
    assert_eq!(seen, newest_first);
    let path = format!("{EVENTS}?aggregate_type=cloud_account&aggregate_id=m-1");
    let history = service.accepting(&path, media).await.json();
    assert_eq!(history.as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_journey_tells_commit_publication_and_how_far_each_consumer_is() {
    let service = Service::start().await;
    let events = fed(&service, 1).await;
    let event = &events[0];
    let path = format!("{EVENTS}/{}/journey", event.event_id);
    let journey = service.get(&path).await.json();
    assert_eq!(journey["event_type"], "cloud.minted");
    assert_eq!(journey["aggregate"], "cloud_account/m-1");
    assert_eq!(journey["committed_at"], event.occurred_at.to_string());
    assert_eq!(
        journey["published_at"],
        Value::Null,
        "the relay did not run"
    );
    assert_eq!(journey["recorded_at"], at(1).to_string());
    let of = |journey: &Value, name: &str| -> Value {
        let consumers = journey["consumers"].as_array().unwrap().iter();
        let mut found = consumers.filter(|one| one["consumer"] == name);
        found
            .next()
            .unwrap_or_else(|| panic!("no {name}: {journey}"))
            .clone()
    };
    for name in ["analytics", "audit-log", "cloud-treasury", "event-feed"] {
        assert_eq!(of(&journey, name)["state"], "waiting", "{name}");
    }
    let marks = Table::marks("marks");
    let mark = Mark::event("analytics", event).key(&marks).unwrap();
    let mark = encode_item(&mark, &json!({ "created_at": at(2) })).unwrap();
    service
        .outbox
        .store()
        .put_all(&marks, &[mark])
        .await
        .unwrap();
    let mut failures = Failures::default();
    failures.add("no such account", at(2), at(9));
    failures.parked = Some(Parked {
        reason: "retries_exhausted".into(),
        first_received_at: at(2),
        parked_at: at(9),
    });
    let id = event.event_id.to_string();
    service
        .outbox
        .put_failures("cloud-treasury", &id, &failures)
        .await
        .unwrap();
    let journey = service.get(&path).await.json();
    let analytics = of(&journey, "analytics");
    assert_eq!(analytics["state"], "handled");
    assert_eq!(analytics["handled_at"], at(2).to_string());
    let treasury = of(&journey, "cloud-treasury");
    assert_eq!(treasury["state"], "parked");
    assert_eq!(treasury["parked"]["reason"], "retries_exhausted");
    assert_eq!(treasury["parked"]["error"], "no such account");
    assert_eq!(treasury["parked"]["parked_at"], at(9).to_string());
}

#[tokio::test]
async fn events_are_counted_by_type_domain_and_producer_over_time_and_since_ever() {
    let service = Service::start().await;
    let table = Table::domain("analytics");
    let mut events = Vec::new();
    for number in 1..=3 {
        let mut event = mint(&service, number).await;
        event.occurred_at = at(-120 + 60 * i64::try_from(number).unwrap());
        events.push(event);
    }
    let mut outside = events[0].clone();
    outside.event_type = "erp.stock_counted".parse().unwrap();
    outside.producer = "erp.cluj".parse().unwrap();
    events.push(outside);
    for (number, event) in events.iter().enumerate() {
        service
            .once(100 + number as u64, |transaction| {
                let fact = views::analytics::Fact::default();
                for count in views::analytics::counts(&table, event, &fact) {
                    transaction.add(count.key.clone(), count.amounts());
                }
                for (key, amounts) in views::analytics::added_ever(&table, event) {
                    transaction.add(key, amounts);
                }
            })
            .await;
    }
    let path = format!("{EVENTS}/stats?from=2026-11-29T00:00:00Z&to=2026-11-30");
    let names = |stats: &Value, list: &str| -> Vec<(String, u64)> {
        let items = stats[list].as_array().unwrap().iter();
        items
            .map(|item| {
                (
                    item["name"].as_str().unwrap().to_owned(),
                    item["count"].as_u64().unwrap(),
                )
            })
            .collect()
    };
    let pairs = |list: &[(&str, u64)]| -> Vec<(String, u64)> {
        list.iter()
            .map(|(name, count)| ((*name).to_owned(), *count))
            .collect()
    };
    for (by, all) in [
        ("type", [("cloud.minted", 3), ("erp.stock_counted", 1)]),
        ("domain", [("cloud", 3), ("erp", 1)]),
        ("producer", [("cloud-api", 3), ("erp.cluj", 1)]),
    ] {
        let stats = service
            .get(&format!("{path}&by={by}&bucket=day"))
            .await
            .json();
        assert_eq!(names(&stats, "all_time"), pairs(&all), "{by}");
        assert_eq!(names(&stats, "items"), pairs(&all), "{by}");
        assert_eq!(stats["all_time_count"], 4);
        let hours = service
            .get(&format!("{path}&by={by}&bucket=hour"))
            .await
            .json();
        let items = hours["items"].as_array().unwrap();
        assert_eq!(items.len(), 4, "{by}: {hours}");
        assert_eq!(items[0]["start"], "2026-11-29T02:00:00.000Z");
    }
    let none = service
        .get(&format!(
            "{EVENTS}/stats?from=2025-01-01&to=2025-02-01&bucket=day"
        ))
        .await
        .json();
    assert_eq!(names(&none, "items"), []);
    assert_eq!(none["all_time_count"], 4);
    let long = service
        .get(&format!("{EVENTS}/stats?from=2025-01-01&bucket=hour"))
        .await;
    assert_eq!(long.status, 422);
}

#[tokio::test]
async fn looking_events_up_needs_the_scope() {
    let service = Service::start().await;
    let key = service.key_of(&["contracts:read"]).await;
    for path in ["recent", "stats", "x", "x/journey"] {
        let path = format!("{EVENTS}/{path}");
        let answer = service.send(Method::GET, &path, Some(&key), "", "").await;
        assert_eq!(answer.status, 403, "{path}");
    }
}
