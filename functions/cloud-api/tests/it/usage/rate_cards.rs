use serde_json::{Value, json};

use super::{CARDS, approve, approve_by, proposal, propose, refused};
use crate::{
    http::{history, payload},
    service::Service,
};

#[tokio::test]
async fn a_card_is_proposed_approved_by_another_and_read() {
    let service = Service::with_members(&["ada", "bo"]).await;
    let proposed = propose(&service, "p1", "2020-02-01T01:00:00+01:00").await;
    assert_eq!(proposed.status, 201, "{proposed:?}");
    assert_eq!(proposed.body["version"], 1);
    let path = format!("{CARDS}/1");
    let read = service.get(&path).await;
    assert_eq!(read.body["status"], "proposed");
    assert_eq!(read.body["effective_date"], "2020-02-01T00:00:00.000Z");
    assert_eq!(read.body["proposed_by_key_owner"], "billing");
    assert_eq!(read.body["approved_by"], Value::Null);

    let approved = approve(&service, "a1", 1, "bo").await;
    assert_eq!(approved.status, 200, "{approved:?}");
    let read = service.get(&path).await;
    assert_eq!(read.body["status"], "effective");
    assert_eq!(read.body["approved_by_name"], "Name of bo");
    assert_eq!(read.body["approved_by_key_owner"], "finance");
    assert_eq!(
        read.body["rates"],
        json!({ "compute": 1.5, "transfer": 0.05, "ltm": 0.2, "stm": 0.000_001 })
    );

    let events = history(&service, "rate_card#1").await;
    assert_eq!(events.len(), 2);
    assert_eq!(events[0].event_type.as_str(), "cloud.rate_card_created");
    assert_eq!(
        payload(&events[0]),
        json!({
            "version": 1, "effective_date": "2020-02-01T00:00:00.000Z", "notice_date": "2020-01-01T00:00:00.000Z",
            "rates": { "compute": 1.5, "transfer": 0.05, "ltm": 0.2, "stm": 0.000_001 },
            "proposed_by": "ada", "proposed_by_name": "Name of ada", "proposed_by_key_owner": "billing", "revision": 1
        })
    );
    assert_eq!(events[1].priority.as_str(), "normal");
    assert_eq!(
        payload(&events[1]),
        json!({
            "version": 1, "effective_date": "2020-02-01T00:00:00.000Z", "notice_date": "2020-01-01T00:00:00.000Z",
            "approved_by": "bo", "approved_by_name": "Name of bo", "approved_by_key_owner": "finance",
            "approved_at": approved.body["approved_at"], "revision": 2
        })
    );
}

#[tokio::test]
async fn an_approved_card_waits_for_its_date() {
    let service = Service::with_members(&["ada", "bo"]).await;
    propose(&service, "p1", "2999-01-01").await;
    approve(&service, "a1", 1, "bo").await;
    let read = service.get(&format!("{CARDS}/1")).await;
    assert_eq!(read.body["status"], "approved");
}

#[tokio::test]
async fn neither_the_proposer_nor_a_second_person_approves() {
    let service = Service::with_members(&["ada", "bo", "eve"]).await;
    propose(&service, "p1", "2020-02-01").await;
    let own = approve(&service, "a1", 1, "ada").await;
    assert_eq!(own.status, 409);
    assert_eq!(
        refused(&service, &own, "rate_card#1", 1).await,
        "approval-by-proposer"
    );
    let nobody = approve(&service, "a2", 1, "nobody").await;
    assert_eq!(
        (nobody.status.as_u16(), nobody.pointers()),
        (404, vec!["/approved_by"])
    );
    assert_eq!(approve(&service, "a3", 2, "bo").await.status, 404);
    assert_eq!(approve(&service, "a4", 1, "bo").await.status, 200);
    let second = approve(&service, "a5", 1, "eve").await;
    assert_eq!(second.status, 409);
    assert_eq!(
        refused(&service, &second, "rate_card#1", 2).await,
        "rate-card-already-approved"
    );
    assert_eq!(second.body["approved_by"], "bo");
}

#[tokio::test]
async fn no_key_of_the_owner_who_proposed_a_card_approves_it_for_whichever_member() {
    let service = Service::with_members(&["ada", "bo"]).await;
    propose(&service, "p1", "2020-02-01").await;
    // Keys with every scope, and keys with only the approval scope: the owner decides, not the key.
    for scope in ["*", "cloud:approve"] {
        let own = service.key_of("billing", &[scope]).await;
        let own = approve_by(&service, &own, scope, 1, "bo").await;
        assert_eq!(own.status, 403, "{scope}");
        assert_eq!(
            refused(&service, &own, "rate_card#1", 1).await,
            "approval-by-requester"
        );
        assert_eq!(own.body["rate_card_version"], 1);
    }
    assert_eq!(approve(&service, "a1", 1, "bo").await.status, 200);
}

#[tokio::test]
async fn approving_is_a_scope_of_its_own() {
    let service = Service::with_members(&["ada", "bo"]).await;
    propose(&service, "p1", "2020-02-01").await;
    let writer = service.key_of("finance", &["cloud:write", "cloud:read"]);
    let missing = approve_by(&service, &writer.await, "a1", 1, "bo").await;
    assert_eq!(
        (missing.refusal(), &missing.body["scope"]),
        ((403, "missing-scope"), &json!("cloud:approve"))
    );
    let approver = service.key_of("finance", &["cloud:approve"]).await;
    let proposal = proposal("2020-02-01");
    let missing = service.post_by(&approver, CARDS, "p2", &proposal).await;
    assert_eq!(
        (missing.refusal(), &missing.body["scope"]),
        ((403, "missing-scope"), &json!("cloud:write"))
    );
}

#[tokio::test]
async fn proposals_at_the_same_time_get_numbers_without_gaps() {
    let service = Service::with_members(&["ada", "bo"]).await;
    let keys: Vec<String> = (0..4).map(|number| format!("p{number}")).collect();
    let proposals = keys.iter().map(|key| propose(&service, key, "2020-02-01"));
    let answers = futures::future::join_all(proposals).await;
    let mut numbers: Vec<u64> = answers
        .iter()
        .filter(|answer| answer.status == 201)
        .map(|answer| answer.body["version"].as_u64().unwrap())
        .collect();
    numbers.sort_unstable();
    let expected: Vec<u64> = (1..).take(numbers.len()).collect();
    assert_eq!(numbers, expected);
    assert!(
        answers
            .iter()
            .all(|answer| [201, 503].contains(&answer.status.as_u16()))
    );
    assert!(
        service.store().cancelled() > 0,
        "no two transactions conflicted"
    );
    let listed = service.get(CARDS).await;
    let versions: Vec<u64> = listed.body["items"]
        .as_array()
        .unwrap()
        .iter()
        .map(|card| card["version"].as_u64().unwrap())
        .collect();
    numbers.reverse();
    assert_eq!(versions, numbers);
}

#[tokio::test]
async fn a_proposal_that_was_overtaken_between_its_readings_takes_the_next_number() {
    let service = Service::with_members(&["ada", "bo"]).await;
    propose(&service, "p1", "2020-02-01").await;
    let hold = service.store().hold_next_query();
    let (late, early) = futures::future::join(propose(&service, "late", "2020-04-01"), async {
        hold.was_read().await;
        let early = propose(&service, "early", "2020-03-01").await;
        hold.go_on();
        early
    })
    .await;
    assert_eq!((early.status.as_u16(), late.status.as_u16()), (201, 201));
    assert_eq!(early.body["version"], 2);
    assert_eq!(late.body["version"], 3);
    for (version, effective) in [
        (2, "2020-03-01T00:00:00.000Z"),
        (3, "2020-04-01T00:00:00.000Z"),
    ] {
        let card = service.get(&format!("{CARDS}/{version}")).await;
        assert_eq!(card.body["effective_date"], effective);
        let events = history(&service, &format!("rate_card#{version}")).await;
        assert_eq!(events.len(), 1, "{version} was proposed once");
    }
}

#[tokio::test]
async fn a_proposal_that_is_none_is_refused_and_takes_no_number() {
    let service = Service::with_members(&["ada"]).await;
    let with = |pointer: &str, value: Value| {
        let mut body = proposal("2020-02-01");
        *body.pointer_mut(pointer).unwrap() = value;
        body
    };
    let late = service
        .post(CARDS, "p1", &with("/notice_date", json!("2020-02-02")))
        .await;
    assert_eq!(
        (late.status.as_u16(), late.problem()),
        (422, "notice-after-effective")
    );
    assert_eq!(late.pointers(), ["/notice_date"]);
    for (pointer, value) in [
        ("/effective_date", json!("2020-02-30")),
        ("/effective_date", json!("soon")),
        ("/notice_date", json!(20_200_101)),
        ("/rates/stm", json!(0)),
        ("/rates/ltm", json!(0.000_000_1)),
        ("/rates/compute", json!(-1)),
    ] {
        let answer = service.post(CARDS, "p2", &with(pointer, value)).await;
        assert_eq!(
            (answer.problem(), answer.pointers()),
            ("invalid-request", vec![pointer])
        );
    }
    let nobody = service
        .post(CARDS, "p3", &with("/proposed_by", json!("eve")))
        .await;
    assert_eq!(
        (nobody.status.as_u16(), nobody.pointers()),
        (404, vec!["/proposed_by"])
    );
    assert_eq!(service.get(&format!("{CARDS}/1")).await.status, 404);
    let first = propose(&service, "p4", "2020-02-01").await;
    assert_eq!(first.body["version"], 1);
}
