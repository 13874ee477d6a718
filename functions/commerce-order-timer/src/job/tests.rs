#![allow(clippy::expect_used, reason = "a test fails by panicking")]

use std::time::Duration;

use commerce::{
    order::{OrderStep, due::FIRST_LOOK},
    price_list::Audience,
    quote::VALID_DAYS,
    testing::{
        cart_id, commit, customer_id, desk, fill, list_id, offer, open, order_id, place,
        price_list, profile, quote_id, table, terms,
    },
};
use consumer::schedule::Report;
use events::{
    Sequence, Sku,
    contracts::{
        customer::CustomerType,
        order::OrderStatus,
        price::{ListChanged, ListKind, ListTerms},
        quote::QuoteStatus,
    },
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

/// What was told of a price list, the earliest first.
async fn told(site: &JobSite, id: &str) -> Vec<ListChange> {
    let aggregate = format!("price_list#{id}");
    let history = site
        .outbox()
        .history(&aggregate, Sequence::FIRST, 100)
        .await;
    let history = history.expect("reads");
    let each = history.envelopes.iter().map(|raw| {
        let envelope = events::Registry::read(raw.get()).expect("an envelope");
        let event: ListChanged = events::decode_payload(&envelope).expect("a price.list_changed");
        event.change_type
    });
    each.collect()
}

/// The terms of a list that begins in one hour, and ends in two.
fn later(site: &JobSite) -> ListTerms {
    let now = site.outbox().clock().now();
    ListTerms {
        valid_from: Some(now.plus(HOUR)),
        valid_until: Some(now.plus(HOUR * 2)),
        ..terms(ListKind::Sale)
    }
}

const HOUR: Duration = Duration::from_secs(3_600);

#[tokio::test]
async fn price_lists_are_told_to_begin_and_to_end_once_each() {
    let site = JobSite::new();
    open(site.outbox(), &[]).await;
    let terms = later(&site);
    // Three for everybody, which are in one row, and one for a customer.
    for (number, id) in (2_000..).zip(["one", "two", "three"]) {
        price_list(
            site.outbox(),
            id,
            Audience::Everybody,
            terms.clone(),
            number,
        )
        .await;
    }
    let audience = Audience::Customer(customer_id());
    price_list(site.outbox(), "acme", audience, terms, 2_010).await;
    site.clock().advance(HOUR - Duration::from_secs(1));
    assert_eq!(run(&site).await.pages, 0);
    site.clock().advance(Duration::from_secs(1));
    assert_eq!(run(&site).await.counts["began"], 4);
    assert_eq!(run(&site).await.pages, 0);
    site.clock().advance(HOUR);
    assert_eq!(run(&site).await.counts["ended"], 4);
    assert_eq!(run(&site).await.pages, 0);
    assert_eq!(rows(&site, "price_due"), 0);
    for id in ["one", "two", "three", "acme"] {
        let all = [ListChange::Created, ListChange::Began, ListChange::Ended];
        assert_eq!(told(&site, id).await, all, "{id}");
    }
}

#[tokio::test]
async fn a_price_list_that_was_withdrawn_or_put_off_is_not_told_to_begin() {
    let site = JobSite::new();
    open(site.outbox(), &[]).await;
    let terms = later(&site);
    for (number, id) in (2_000..).zip(["gone", "off"]) {
        price_list(
            site.outbox(),
            id,
            Audience::Everybody,
            terms.clone(),
            number,
        )
        .await;
    }
    commit(site.outbox(), 2_010, async |commerce, transaction| {
        commerce
            .withdraw_price_list(transaction, &list_id("gone"), desk())
            .await
    })
    .await;
    let off = ListTerms {
        valid_from: terms.valid_until,
        valid_until: None,
        ..terms
    };
    price_list(site.outbox(), "off", Audience::Everybody, off, 2_011).await;
    assert_eq!(rows(&site, "price_due"), 1);
    site.clock().advance(HOUR);
    assert_eq!(run(&site).await.pages, 0);
    site.clock().advance(HOUR);
    let report = run(&site).await;
    assert_eq!(report.counts["began"], 1, "{:?}", report.counts);
    let of_off = [ListChange::Created, ListChange::Updated, ListChange::Began];
    assert_eq!(told(&site, "off").await, of_off);
}

#[tokio::test]
async fn a_price_list_that_began_and_ended_while_nobody_looked_has_ended() {
    let site = JobSite::new();
    open(site.outbox(), &[]).await;
    price_list(
        site.outbox(),
        "one",
        Audience::Everybody,
        later(&site),
        2_000,
    )
    .await;
    site.clock().advance(HOUR * 3);
    let report = run(&site).await;
    assert_eq!(report.counts["ended"], 1);
    assert!(!report.counts.contains_key("began"), "{:?}", report.counts);
    let all = [ListChange::Created, ListChange::Ended];
    assert_eq!(told(&site, "one").await, all);
    assert_eq!(rows(&site, "price_due"), 0);
}
