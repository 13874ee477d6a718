#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use commerce::{
    order::{OrderStep, due::FIRST_LOOK},
    quote::VALID_DAYS,
    testing::{
        cart_id, commit, customer_id, desk, fill, offer, open, order_id, place, profile, quote_id,
        table,
    },
};
use consumer::schedule::Report;
use events::{
    Sku,
    contracts::{customer::CustomerType, order::OrderStatus, quote::QuoteStatus},
};
use testkit::jobs::JobSite;

use super::*;

const PATIENCE: Patience = Patience {
    pending: Duration::from_secs(86_400),
    unpaid: Duration::from_secs(3_600),
};

/// A shop in which the samples' order was placed, which nothing answers.
async fn placed() -> JobSite {
    placed_by(CustomerType::B2b).await
}

async fn placed_by(customer_type: CustomerType) -> JobSite {
    let site = JobSite::new();
    let skus = [Sku::new("PRD-001").expect("a sku")];
    open(site.outbox(), &skus).await;
    commit(site.outbox(), 999, async |commerce, transaction| {
        let profile = profile(customer_type);
        commerce
            .set_customer(transaction, &customer_id(), profile, desk())
            .await
    })
    .await;
    place(site.outbox(), &skus, 10, 1_000).await;
    site
}

async fn run(site: &JobSite) -> Report {
    let timer = OrderTimer::new(site.outbox().clone(), table(), PATIENCE);
    site.run(timer).await.expect("runs")
}

async fn status(site: &JobSite) -> OrderStatus {
    let (outbox, table) = (site.outbox(), &table());
    let order = Commerce { outbox, table }.order(order_id()).await;
    order.expect("reads").state().expect("placed").status()
}

fn due(site: &JobSite) -> usize {
    rows(site, "order_due")
}

fn rows(site: &JobSite, partition: &str) -> usize {
    let items = site.store().items(&table());
    items.iter().filter(|item| item["pk"] == partition).count()
}

#[tokio::test]
async fn an_order_without_an_answer_is_named_once_and_cancelled_when_it_takes_too_long() {
    let site = placed().await;
    run(&site).await;
    assert_eq!((status(&site).await, due(&site)), (OrderStatus::Pending, 1));
    site.clock().advance(FIRST_LOOK);
    let report = run(&site).await;
    assert_eq!(report.counts["stuck"], 1);
    assert!(
        report.notes[0].contains("ORD-00000001"),
        "{:?}",
        report.notes
    );
    let report = run(&site).await;
    assert!(report.counts.is_empty(), "named once: {:?}", report.counts);
    assert_eq!((status(&site).await, due(&site)), (OrderStatus::Pending, 1));
    site.clock().advance(PATIENCE.pending);
    let report = run(&site).await;
    assert_eq!(report.counts["cancelled"], 1);
    assert_eq!(
        (status(&site).await, due(&site)),
        (OrderStatus::Cancelled, 0)
    );
}

#[tokio::test]
async fn an_order_that_has_ended_is_looked_at_once_and_left_alone() {
    let site = placed().await;
    commit(site.outbox(), 1_001, async |commerce, transaction| {
        let step = OrderStep::Cancel {
            reason: None,
            by: desk(),
        };
        commerce.step_order(transaction, order_id(), step).await
    })
    .await;
    site.clock().advance(FIRST_LOOK);
    let report = run(&site).await;
    assert!(report.counts.is_empty(), "{:?}", report.counts);
    assert_eq!(due(&site), 0);
}

#[tokio::test]
async fn the_confirmed_order_of_a_consumer_who_pays_nothing_is_cancelled() {
    let site = placed_by(CustomerType::B2c).await;
    commit(site.outbox(), 1_001, async |commerce, transaction| {
        commerce
            .step_order(transaction, order_id(), OrderStep::Confirm)
            .await
    })
    .await;
    site.clock().advance(FIRST_LOOK);
    let report = run(&site).await;
    assert_eq!(report.counts["waiting"], 1);
    assert_eq!(
        (status(&site).await, due(&site)),
        (OrderStatus::Confirmed, 1)
    );
    site.clock().advance(PATIENCE.unpaid);
    let report = run(&site).await;
    assert_eq!(report.counts["cancelled"], 1);
    assert!(report.notes[0].contains("not paid"), "{:?}", report.notes);
    assert_eq!(
        (status(&site).await, due(&site)),
        (OrderStatus::Cancelled, 0)
    );
}

/// A shop with so many carts, each with a quote. Takes the numbers from 2,000 on.
async fn quoted(quotes: u64) -> JobSite {
    let site = JobSite::new();
    let sku = Sku::new("PRD-001").expect("a sku");
    open(site.outbox(), std::slice::from_ref(&sku)).await;
    for quote in 0..quotes {
        let number = 2_000 + 3 * quote;
        fill(site.outbox(), cart_id(quote), &sku, 1, number).await;
        offer(site.outbox(), cart_id(quote), quote_id(quote), number + 2).await;
    }
    site
}

async fn quote_status(site: &JobSite, number: u64) -> QuoteStatus {
    let (outbox, table) = (site.outbox(), &table());
    let quote = Commerce { outbox, table }.quote(quote_id(number)).await;
    quote.expect("reads").state().expect("made").status()
}

#[tokio::test]
async fn a_quote_expires_when_its_time_is_over_and_one_that_was_closed_is_left_alone() {
    let quotes = 2 * u64::from(QUOTES_PER_PAGE) + 2;
    let site = quoted(quotes).await;
    commit(site.outbox(), 4_000, async |commerce, transaction| {
        commerce
            .reject_quote(transaction, quote_id(0), None, desk())
            .await
    })
    .await;
    let valid = Duration::from_secs(86_400).saturating_mul(VALID_DAYS);
    site.clock().advance(valid - Duration::from_secs(1));
    assert_eq!(run(&site).await.pages, 0);
    site.clock().advance(Duration::from_secs(1));
    let report = run(&site).await;
    assert_eq!(report.counts["expired"], quotes - 1);
    assert_eq!(quote_status(&site, 0).await, QuoteStatus::Rejected);
    for number in 1..quotes {
        assert_eq!(quote_status(&site, number).await, QuoteStatus::Expired);
    }
    assert_eq!(rows(&site, "quote_due"), 0);
    assert_eq!(run(&site).await.pages, 0);
}
