//! Redemptions, stakes and rate cards.

mod rate_cards;
mod redemptions;
mod stakes;

use serde_json::{Value, json};

use crate::service::{Answer, Service};

const CARDS: &str = "/api/v1/cloud/rate-cards";
const REDEMPTIONS: &str = "/api/v1/cloud/redemptions";
const STAKES: &str = "/api/v1/cloud/stakes";

/// A proposal by ada whose rates become effective at `effective`.
fn proposal(effective: &str) -> Value {
    json!({
        "effective_date": effective, "notice_date": "2020-01-01", "proposed_by": "ada",
        "rates": { "compute": 1.5, "transfer": "0.05", "ltm": 0.2, "stm": 0.000_001 }
    })
}

async fn propose(service: &Service, key: &str, effective: &str) -> Answer {
    service.post(CARDS, key, &proposal(effective)).await
}

/// Approves with the key of another owner than the proposer's.
async fn approve(service: &Service, key: &str, version: u64, by: &str) -> Answer {
    let api_key = service.key_of("finance", &["cloud:approve"]).await;
    approve_by(service, &api_key, key, version, by).await
}

async fn approve_by(service: &Service, api_key: &str, key: &str, version: u64, by: &str) -> Answer {
    let path = format!("{CARDS}/{version}/approve");
    let body = json!({ "approved_by": by });
    service.post_by(api_key, &path, key, &body).await
}

/// Returns the problem type of a refusal, after checking that the refusal published no event.
async fn refused(service: &Service, answer: &Answer, aggregate: &str, events: usize) -> String {
    let history = crate::http::history(service, aggregate).await;
    assert_eq!(history.len(), events, "{aggregate}");
    answer.problem().to_owned()
}
