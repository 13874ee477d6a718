//! Compares the cost of a run with nothing to do with COSTS.md. The shipped job, runtime and store run on a DynamoDB that
//! counts units.

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;
use outbox::Table;
use testkit::costs::{Site, steps};
use webhook::Answer;

use crate::{
    job::{Sender, Tables},
    post::Post,
};

/// Calls no endpoint.
struct NoPost;

#[async_trait]
impl Post for NoPost {
    async fn post(&self, _: &str, _: HeaderMap, _: Bytes) -> Answer {
        Answer::Refused
    }
}

#[tokio::test]
async fn a_run_without_an_endpoint_costs_what_is_stated() {
    let webhooks = Table::domain("webhooks");
    let site = Site::start(std::slice::from_ref(&webhooks)).await;
    let tables = Tables {
        webhooks,
        feed: Table::domain("feed"),
        contacts: None,
    };
    let outbox = site.outbox().clone();
    let (page, attempt) = (Duration::from_secs(40), Duration::from_secs(15));
    let sender = Sender::new(outbox.clone(), Arc::new(NoPost), tables, page, attempt);
    let (report, counts) = site.run(sender, &outbox).await;
    assert_eq!(report.pages, 0);
    let counted = vec![counts.write_units, counts.read_units, counts.all_calls()];
    let stated = steps("step of a webhook", "webhook-sender");
    assert_eq!(stated["a run with nothing to do"], counted);
}
