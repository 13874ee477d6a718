use std::time::Duration;

use serde_json::{Value, json};

use super::{STAKES, refused};
use crate::{
    http::{history, payload, statement},
    service::{Answer, Service},
};

const DAY: Duration = Duration::from_secs(86_400);

async fn service() -> Service {
    let service = Service::with_members(&["ada", "bo"]).await;
    service.mint("m1", "ada", "100").await;
    service
}

async fn stake(service: &Service, key: &str, amount: &str, days: u32) -> Answer {
    let body = json!({ "member_id": "ada", "amount": amount, "lock_duration_days": days });
    service.post(STAKES, key, &body).await
}

async fn unstake(service: &Service, key: &str, position: &Value, body: &str) -> Answer {
    let path = format!("{STAKES}/{}/unstake", position.as_str().unwrap());
    let request = service
        .request(http::Method::POST, &path)
        .header("idempotency-key", key);
    service.send_text(request, body.to_owned()).await
}

#[tokio::test]
async fn a_stake_locks_credits_and_its_end_gives_them_back() {
    let service = service().await;
    let staked = stake(&service, "s1", "40", 1).await;
    assert_eq!(staked.status, 201, "{staked:?}");
    assert_eq!(staked.body["revenue_share_percent"], 2.5);
    assert_eq!(staked.body["liquid_balance_after"], 60);
    assert_eq!(staked.body["staked_balance_after"], 40);
    let read = service.get("/api/v1/cloud/balances/ada").await;
    assert_eq!(
        (&read.body["balance"], &read.body["staked_balance"]),
        (&json!(60), &json!(40))
    );

    let position = &staked.body["position_id"];
    let early = unstake(&service, "u1", position, "").await;
    assert_eq!(
        (early.status.as_u16(), early.problem()),
        (409, "stake-locked")
    );
    assert_eq!(early.body["unlock_at"], staked.body["unlock_at"]);

    service.clock().advance(DAY);
    let ended = unstake(&service, "u2", position, "").await;
    assert_eq!(ended.status, 200, "{ended:?}");
    assert_eq!(ended.body["staked_duration"], 1);
    assert_eq!(ended.body["liquid_balance_after"], 100);
    assert_eq!(ended.body["staked_balance_after"], 0);
    let again = unstake(&service, "u3", position, "").await;
    assert_eq!(
        (again.status.as_u16(), again.problem()),
        (409, "stake-released")
    );
    // The first request's key gets the first answer.
    assert_eq!(unstake(&service, "u2", position, "").await.body, ended.body);

    let events = history(&service, "cloud_account#ada").await;
    let types: Vec<&str> = events
        .iter()
        .map(|event| event.event_type.as_str())
        .collect();
    assert_eq!(types, ["cloud.minted", "cloud.staked", "cloud.unstaked"]);
    let recorded = payload(&events[1]);
    assert_eq!(recorded["lock_duration_days"], 1);
    assert_eq!(
        (&recorded["amount_usd"], &recorded["version"]),
        (&json!(400), &json!(2))
    );
    assert!(payload(&events[2]).get("revenue_earned").is_none());
    let lines = statement(&service, "ada").await;
    let kinds: Vec<&Value> = lines.iter().map(|line| &line["kind"]).collect();
    assert_eq!(kinds, ["unstaked", "staked", "minted"]);
    assert_eq!(lines[1]["staked_after"], 40);
}

#[tokio::test]
async fn what_a_stake_earned_is_told_where_the_caller_knows() {
    let service = service().await;
    let staked = stake(&service, "s1", "1", 1).await;
    service.clock().advance(DAY * 2);
    let body = json!({ "revenue_earned": 0.125 }).to_string();
    let ended = unstake(&service, "u1", &staked.body["position_id"], &body).await;
    assert_eq!(ended.body["revenue_earned"], 0.125);
    // The revenue is recorded, not paid.
    assert_eq!(ended.body["liquid_balance_after"], 100);
    let events = history(&service, "cloud_account#ada").await;
    assert_eq!(payload(&events[2])["revenue_earned"], 0.125);
    assert_eq!(payload(&events[2])["staked_duration"], 2);
}

#[tokio::test]
async fn what_cannot_be_staked_is_refused_and_nothing_is_written() {
    let service = service().await;
    let short = stake(&service, "s1", "100.000001", 30).await;
    assert_eq!(short.status, 409);
    assert_eq!(
        refused(&service, &short, "cloud_account#ada", 1).await,
        "insufficient-balance"
    );
    assert_eq!(short.body["available"], 100);
    let odd = stake(&service, "s2", "1", 31).await;
    assert_eq!(odd.status, 422);
    assert_eq!(
        refused(&service, &odd, "cloud_account#ada", 1).await,
        "unknown-lock-duration"
    );
    assert_eq!(odd.pointers(), ["/lock_duration_days"]);
    let nobody = json!({ "member_id": "eve", "amount": 1, "lock_duration_days": 30 });
    assert_eq!(service.post(STAKES, "s3", &nobody).await.status, 404);
    let unknown = json!("0190a1b2-c3d4-7e5f-8a9b-0c1d2e3f4a5b");
    assert_eq!(unstake(&service, "u1", &unknown, "").await.status, 404);
    assert_eq!(
        unstake(&service, "u2", &json!("no-id"), "").await.status,
        400
    );
    let wrong = unstake(&service, "u3", &unknown, r#"{"revenue":1}"#).await;
    assert_eq!(wrong.status, 422);
}

#[tokio::test]
async fn copies_of_an_end_at_the_same_time_end_a_stake_once() {
    let service = service().await;
    let staked = stake(&service, "s1", "40", 1).await;
    service.clock().advance(DAY);
    let position = &staked.body["position_id"];
    let keys: Vec<String> = (0..6).map(|number| format!("u{number}")).collect();
    let ends = keys
        .iter()
        .map(|key| unstake(&service, key, position, "{}"));
    let answers = futures::future::join_all(ends).await;
    let done = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(done, 1, "{answers:?}");
    for answer in answers.iter().filter(|answer| answer.status != 200) {
        assert_eq!(answer.problem(), "stake-released");
    }
    assert_eq!(history(&service, "cloud_account#ada").await.len(), 3);
}

#[tokio::test]
async fn a_members_stakes_are_listed_page_by_page() {
    let service = service().await;
    let mut made = Vec::new();
    for number in 0..5 {
        let staked = stake(&service, &format!("s{number}"), "1", 30).await;
        made.push(staked.body["position_id"].clone());
    }
    let mut path = format!("{STAKES}?member_id=ada&limit=2");
    let mut listed = Vec::new();
    loop {
        let page = service.get(&path).await;
        assert_eq!(page.status, 200, "{page:?}");
        listed.extend(page.body["items"].as_array().unwrap().clone());
        let Some(cursor) = page.body["next_cursor"].as_str() else {
            break;
        };
        path = format!("{STAKES}?member_id=ada&limit=2&cursor={cursor}");
    }
    let ids: Vec<&Value> = listed.iter().map(|item| &item["position_id"]).collect();
    let newest_first: Vec<&Value> = made.iter().rev().collect();
    assert_eq!(ids, newest_first);
    assert!(listed.iter().all(|item| item["status"] == "active"));
    let none = service.get(&format!("{STAKES}?member_id=bo")).await;
    assert_eq!(none.body, json!({ "items": [], "next_cursor": null }));
    assert_eq!(
        service.get(&format!("{STAKES}?member_id=eve")).await.status,
        404
    );
    assert_eq!(service.get(STAKES).await.status, 400);
}
