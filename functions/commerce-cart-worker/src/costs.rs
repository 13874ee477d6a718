//! Compares the cost of a run with COSTS.md. The shipped job, runtime and store run on a DynamoDB that counts units.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use commerce::{
    cart::Subject,
    operations::CARTS_PER_PAGE,
    testing::{cart_id, changed, fill, open, reprice, table},
};
use events::Sku;
use testkit::costs::{Site, steps};

use crate::job::CartWorker;

#[tokio::test]
async fn a_run_costs_what_is_stated() {
    let site = Site::start(&[table()]).await;
    let outbox = site.outbox().clone();
    let run = async || {
        let worker = CartWorker::new(outbox.clone(), table());
        let (report, counts) = site.run(worker, &outbox).await;
        let counted = vec![counts.write_units, counts.read_units, counts.all_calls()];
        (report, counted)
    };
    let (report, idle) = run().await;
    assert_eq!(report.pages, 0);
    let sku = Sku::new("PRD-001").expect("a sku");
    open(&outbox, std::slice::from_ref(&sku)).await;
    for cart in 0..u64::from(CARTS_PER_PAGE) {
        fill(&outbox, cart_id(cart), &sku, 1, 2_000 + 2 * cart).await;
    }
    reprice(&outbox, &sku, "160", 900).await;
    changed(&outbox, vec![Subject::Sku(sku)], 901).await;
    let (report, page) = run().await;
    assert_eq!(report.counts["changed"], u64::from(CARTS_PER_PAGE));
    let counted = BTreeMap::from([
        ("a run with nothing to do".to_owned(), idle),
        ("20 carts of one line follow a price".to_owned(), page),
    ]);
    assert_eq!(
        steps("step behind a product", "commerce-cart-worker"),
        counted,
        "left: COSTS.md, right: counted"
    );
}
