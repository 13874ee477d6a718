//! Compares the cost of an event with README.md. The shipped router, rules and store run on a DynamoDB that counts
//! units.

use std::sync::Arc;

use api::{Keys, keys::NewKey};
use event_ingest::{ingest::Ingest, router};
use outbox::{Clock as _, SystemClock, Table};
use testkit::costs::{Calls, Site};

use crate::counted;

#[tokio::test]
async fn an_event_costs_its_row_its_number_and_its_mark_and_a_fact_one_row_more() {
    let [keys, ingest] = ["keys", "ingest"].map(Table::domain);
    let site = Site::start(&[keys.clone(), ingest.clone()]).await;
    let keys = Keys::new(site.store(), keys);
    let key = NewKey::generate(
        "erp".parse().unwrap(),
        vec!["*".parse().unwrap()],
        SystemClock.now(),
    );
    let key = key.unwrap();
    keys.create(&SystemClock, &key).await.unwrap();
    let state = Arc::new(Ingest::new(site.outbox().clone(), ingest));
    let mut calls = Calls::new(site, router::routes().router(state, &keys), key.text());
    for (number, (fact, units, reads, requests)) in
        [(false, 6, 2, 3), (true, 8, 3, 4)].into_iter().enumerate()
    {
        let mut event = counted(&format!("A-{}", number + 1), 1);
        if fact {
            event["idempotency_key"] = "count/1".into();
        }
        let (answer, counts) = calls.post("events", &event).await;
        assert_eq!(answer["items"][0]["status"], "accepted", "{answer}");
        let found = (counts.write_units, counts.read_units, counts.all_calls());
        assert_eq!(found, (units, reads, requests), "{counts:?}");
    }
}
