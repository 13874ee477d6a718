//! Compares the cost of a run with COSTS.md. The shipped job, runtime and store run on a DynamoDB that counts units.
#![allow(
    missing_docs,
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a test fails by panicking"
)]

use std::{collections::BTreeMap, sync::Arc};

use audit_chain::{ChainEntry, Event, HEADS_PER_PAGE, MemoryKey, head_key};
use outbox::{Clock as _, SystemClock, Table};
use testkit::costs::{Site, steps};

use crate::job::AuditAnchor;

/// Counts the second run over this many chains, with names of 40 bytes. The counting DynamoDB reads a partition only
/// from its beginning, so a run has one page, and two runs are needed.
async fn second_run(chains: u32) -> Vec<u64> {
    let audit = Table::domain("audit");
    let site = Site::without_log(std::slice::from_ref(&audit)).await;
    for number in 0..chains {
        let aggregate = format!("cloud_account#{number:0>26}");
        assert_eq!(aggregate.len(), 40);
        let event = Event {
            event_id: "0197a0a0-0000-7000-8000-000000000000",
            event_type: "cloud.minted",
            sequence: 1,
            envelope: "{}",
        };
        let entry = ChainEntry::next(None, &aggregate, &event, SystemClock.now()).unwrap();
        let key = head_key(&audit, &aggregate);
        let head = serde_json::to_value(entry.head(&aggregate)).unwrap();
        site.put(&key, &head).await;
    }
    let key = Arc::new(MemoryKey::new("secret"));
    let run = async || {
        let outbox = site.outbox();
        let job = AuditAnchor::new(outbox.clone(), audit.clone(), Arc::clone(&key) as _);
        let (report, counts) = site.run(job, outbox).await;
        assert_eq!(report.pages, 1);
        vec![counts.write_units, counts.read_units, counts.all_calls()]
    };
    // The very first run creates the lease, later runs overwrite one: only the later ones count.
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
    let stated = steps("step of the audit log", "audit-anchor");
    assert_eq!(stated, counted, "left: COSTS.md, right: counted");
}
