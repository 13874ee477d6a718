//! Redemptions, stakes and rate cards.

mod rate_cards;
mod redemptions;
mod stakes;

use serde_json::{Value, json};

use crate::service::{Answer, Service};

const CARDS: &str = "/api/v1/cloud/rate-cards";
const REDEMPTIONS: &str = "/api/v1/cloud/redemptions";
const STAKES: &str = "/api/v1/cloud/stakes";

/// A proposal by ada, whose rates hold from `effective` on.
fn proposal(effective: &str) -> Value {
    json!({
        "effective_date": effective, "notice_date": "2020-01-01", "proposed_by": "ada",
        "rates": { "compute": 1.5, "transfer": "0.05", "ltm": 0.2, "stm": 0.000_001 }
    })
}

async fn propose(service: &Service, key: &str, effective: &str) -> Answer {
    service.post(CARDS, key, &proposal(effective)).await
}

async fn approve(service: &Service, key: &str, version: u64, by: &str) -> Answer {
    let path = format!("{CARDS}/{version}/approve");
    service
        .post(&path, key, &json!({ "approved_by": by }))
        .await
}

/// What was refused: its type, and that no event came of it.
async fn refused(service: &Service, answer: &Answer, aggregate: &str, events: usize) -> String {
    let history = crate::http::history(service, aggregate).await;
    assert_eq!(history.len(), events, "{aggregate}");
    answer.problem().to_owned()
}
