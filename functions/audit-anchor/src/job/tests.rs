//! Tests the job in its runner, on an in-memory store and key.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use audit_chain::{Hash, MemoryKey, head_key, pages};
use consumer::schedule::{Ending, Report, RunError};
use testkit::jobs::JobSite;

use super::*;

struct Bench {
    site: JobSite,
    key: Arc<MemoryKey>,
}

fn table() -> Table {
    Table::domain("audit")
}

impl std::ops::Deref for Bench {
    type Target = JobSite;

    fn deref(&self) -> &JobSite {
        &self.site
    }
}

impl Bench {
    fn new() -> Self {
        Self {
            site: JobSite::without_log(),
            key: Arc::new(MemoryKey::new("secret")),
        }
    }

    async fn head(&self, aggregate: &str, number: u64) {
        let head = Head {
            aggregate: aggregate.into(),
            number,
            sequence: number,
            hash: Hash::of("h", &[&number.to_be_bytes()]),
        };
        let head = serde_json::to_value(head).expect("JSON");
        self.put(&head_key(&table(), aggregate), &head).await;
    }

    async fn run(&self) -> Result<Report, RunError> {
        let key = Arc::clone(&self.key) as _;
        let job = AuditAnchor::new(self.outbox().clone(), table(), key);
        self.site.run(job).await
    }

    async fn anchors(&self) -> Vec<Anchor> {
        let query = audit_chain::anchors(&table(), 100, None);
        self.outbox().rows(&query).await.expect("reads").0
    }

    async fn pages(&self, anchor: &Anchor) -> Vec<AnchorPage> {
        let query = pages(&table(), &anchor.pass, 100, None);
        self.outbox().rows(&query).await.expect("reads").0
    }
}

#[tokio::test]
async fn an_anchor_seals_every_head_in_pages_of_bounded_size_and_follows_the_last() {
    let bench = Bench::new();
    for number in 0..600_u64 {
        bench.head(&format!("escrow#{number}"), number + 1).await;
    }
    let report = bench.run().await.expect("runs");
    assert_eq!((report.outcome, report.pages), (Ending::Finished, 3));
    assert_eq!((report.counts["heads"], report.counts["anchors"]), (600, 1));
    bench.clock().advance(Duration::from_secs(3_600));
    bench.run().await.expect("runs");

    let anchors = bench.anchors().await;
    let [first, second] = anchors.as_slice() else {
        panic!("{anchors:?}");
    };
    assert_eq!((first.number, second.number), (1, 2));
    assert_eq!(first.previous_mac, None);
    assert_eq!(second.previous_mac.as_ref(), Some(&first.mac));
    for anchor in [first, second] {
        let mac = anchor.mac_bytes().expect("a MAC");
        let sealed = bench.key.verify(&anchor.message(), &mac).await;
        assert!(sealed.expect("answers"));
        let pages = bench.pages(anchor).await;
        let sizes: Vec<usize> = pages.iter().map(|page| page.heads.len()).collect();
        assert_eq!(sizes, [250, 250, 100]);
        let sealing = Sealing::default();
        let sealing = pages.iter().fold(sealing, |so_far, page| so_far.with(page));
        assert_eq!(sealing, anchor.sealing);
        let mut names: Vec<&str> = pages
            .iter()
            .flat_map(|page| &page.heads)
            .map(|head| head.aggregate.as_str())
            .collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), 600);
    }
}

#[tokio::test]
async fn while_the_key_is_away_no_anchor_is_written_and_the_next_run_goes_on() {
    let bench = Bench::new();
    for number in 0..300_u64 {
        bench.head(&format!("escrow#{number}"), 1).await;
    }
    bench.key.set_away(true);
    assert!(bench.run().await.is_err());
    assert_eq!(bench.anchors().await, []);
    // A chain that grows during the pass is no contradiction: each head is as it was when the job read it.
    bench.head("escrow#7", 2).await;
    bench.key.set_away(false);
    bench.clock().advance(Duration::from_secs(3_600));
    let report = bench.run().await.expect("runs");
    assert_eq!((report.outcome, report.pages), (Ending::Finished, 1));
    let anchors = bench.anchors().await;
    assert_eq!(anchors.len(), 1);
    assert_eq!(anchors[0].sealing.heads, 300);
    assert_eq!(bench.pages(&anchors[0]).await.len(), 2);
}

#[tokio::test]
async fn without_a_chain_there_is_an_anchor_of_nothing() {
    let bench = Bench::new();
    bench.run().await.expect("runs");
    let anchors = bench.anchors().await;
    assert_eq!(anchors[0].sealing, Sealing::default());
    assert!(anchors[0].mac_bytes().is_some());
}
