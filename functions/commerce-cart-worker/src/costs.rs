//! Compares the cost of a run with COSTS.md. The shipped job, runtime and store run on a DynamoDB that counts units.

#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use commerce::{
    cart::{Refresh, Subject},
    operations::{CARTS_PER_PAGE, CartStep},
    testing::{commit, customer_id, desk, open, reprice, table},
};
use events::{CartId, Sku, contracts::price::Currency};
use outbox::Outbox;
use testkit::costs::{Site, steps};

use crate::job::CartWorker;

/// A shop with a page of carts, each with a line of this sku.
async fn fill(outbox: &Outbox, sku: &Sku) {
    open(outbox, std::slice::from_ref(sku)).await;
    for cart in 0..u64::from(CARTS_PER_PAGE) {
        let id = format!("0190a1b2-c3d4-7e5f-8a9b-0c1d{cart:08x}");
        let cart_id: CartId = id.parse().expect("an id");
        let number = 2_000 + 2 * cart;
        commit(outbox, number, async |commerce, transaction| {
            let new = (customer_id(), Currency::Eur);
            commerce
                .create_cart(transaction, cart_id, new, desk())
                .await
        })
        .await;
        commit(outbox, number + 1, async |commerce, transaction| {
            let add = CartStep::Add {
                sku: sku.clone(),
                quantity: 1,
            };
            commerce.step_cart(transaction, cart_id, add, desk()).await
        })
        .await;
    }
}

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
    fill(&outbox, &sku).await;
    reprice(&outbox, &sku, "160", 900).await;
    let refresh = Refresh {
        event_id: "0190a1b2-c3d4-7e5f-8a9b-0c1e00000001"
            .parse()
            .expect("an id"),
        correlation_id: "0190a1b2-c3d4-7e5f-8a9b-0c1e00000002"
            .parse()
            .expect("an id"),
        occurred_at: "2026-02-13T12:00:00.000Z".parse().expect("a time"),
        subjects: vec![Subject::Sku(sku)],
        after: None,
    };
    commit(&outbox, 901, async |_, transaction| {
        let row = transaction.insert(refresh.key(&table()), &refresh);
        row.map_err(|error| domain::Stopped::<()>::Failed(error.into()))
    })
    .await;
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
