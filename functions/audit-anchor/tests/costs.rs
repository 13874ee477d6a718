//! What a run costs, as COSTS.md states it: the shipped job, runtime and store against a DynamoDB that counts.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use audit_anchor::job::AuditAnchor;
use audit_chain::{Entry, Event, HEADS_PER_PAGE, MemoryKey, head_key};
use aws::DynamoStore;
use aws_sdk_dynamodb::config::{BehaviorVersion, Credentials, Region};
use consumer::schedule::{Ending, Runner, Settings};
use events::Registry;
use outbox::{Clock as _, Outbox, Store, SystemClock, Table, encode_item};
use testkit::dynamo_stub::DynamoStub;

const COSTS: &str = include_str!("../../../COSTS.md");

/// The rows of COSTS.md's table of the audit log that begin with this function's name: write units, read units, calls.
fn stated() -> BTreeMap<String, Vec<u64>> {
    let rows = COSTS
        .lines()
        .skip_while(|line| !line.starts_with("| step of the audit log |"))
        .skip(2)
        .take_while(|line| line.starts_with('|'));
    rows.filter_map(|line| {
        let mut cells = line.trim_matches('|').split('|').map(str::trim);
        let step = cells.next()?.strip_prefix("`audit-anchor`: ")?;
        Some((
            step.to_owned(),
            cells.map(|cell| cell.parse().unwrap()).collect(),
        ))
    })
    .collect()
}

/// What the second run costs, where there are so many chains, with names of 40 bytes. The counting DynamoDB reads a partition
/// from its beginning only: one page, two runs.
async fn second_run(chains: u32) -> Vec<u64> {
    let (marks, audit) = (Table::marks("marks"), Table::domain("audit"));
    let stub = DynamoStub::start([&marks, &audit], Duration::ZERO, None).unwrap();
    let sdk = aws_config::defaults(BehaviorVersion::latest())
        .endpoint_url(stub.endpoint())
        .region(Region::new("us-east-1"))
        .credentials_provider(Credentials::new("test", "test", None, None, "test"))
        .load()
        .await;
    let store = Arc::new(DynamoStore::new(aws_sdk_dynamodb::Client::new(&sdk)));
    for number in 0..chains {
        let aggregate = format!("cloud_account#{number:0>26}");
        assert_eq!(aggregate.len(), 40);
        let event = Event {
            event_id: "0197a0a0-0000-7000-8000-000000000000",
            event_type: "cloud.minted",
            sequence: 1,
            envelope: "{}",
        };
        let entry = Entry::next(None, &aggregate, &event, SystemClock.now()).unwrap();
        let key = head_key(&audit, &aggregate);
        let item = encode_item(&key, &entry.head(&aggregate)).unwrap();
        store.put_all(&audit, &[item]).await.unwrap();
    }
    let outbox = Outbox::without_log(
        store,
        Arc::new(SystemClock),
        Arc::new(Registry::shipped()),
        marks,
    );
    let key = Arc::new(MemoryKey::new("secret"));
    let run = async || {
        drop(stub.take_counts());
        let job = AuditAnchor::new(outbox.clone(), audit.clone(), Arc::clone(&key) as _);
        let runner = Runner::new(job, outbox.clone(), Settings::default());
        let deadline = SystemClock.now().plus(Duration::from_secs(60));
        let report = runner.run(deadline).await.unwrap();
        assert_eq!((report.outcome, report.pages), (Ending::Finished, 1));
        let counts = stub.take_counts();
        vec![counts.write_units, counts.read_units, counts.all_calls()]
    };
    // The first run of all writes no lease over another.
    run().await;
    run().await
}

#[tokio::test]
async fn every_row_of_the_table_is_what_is_counted() {
    let empty = second_run(0).await;
    let full = second_run(HEADS_PER_PAGE - 1).await;
    let more = full.iter().zip(&empty).map(|(full, empty)| full - empty);
    let counted = BTreeMap::from([
        ("249 heads of a page".to_owned(), more.collect()),
        ("a run with nothing to seal".to_owned(), empty),
    ]);
    assert_eq!(stated(), counted, "left: COSTS.md, right: counted");
}
