//! Carts and quotes follow price lists.

use commerce::{
    price_list::Audience,
    testing::{gold, list_changed, list_id, list_price, price_list, promote, terms, tier},
};
use events::contracts::price::ListKind;

use super::*;

async fn price(site: &JobSite, number: u64) -> String {
    cart(site, number).await.items()[0].unit_price.to_string()
}

#[tokio::test]
async fn a_list_that_is_made_after_a_cart_reaches_it() {
    let site = filled(1).await;
    let outbox = site.outbox();
    tier(outbox, "10", 900).await;
    promote(outbox, 901).await;
    changed(&site, vec![Subject::Customer(customer_id())], 902).await;
    run(&site).await;
    assert_eq!(price(&site, 0).await, "135");
    for (number, id, audience, amount) in [
        (910, "all", Audience::Everybody, "140"),
        (920, "golden", Audience::Tier(gold()), "130"),
        (930, "acme", Audience::Customer(customer_id()), "120"),
    ] {
        price_list(outbox, id, audience, terms(ListKind::Override), number).await;
        list_price(outbox, id, &sku(), amount, number + 1).await;
        changed(&site, vec![Subject::Sku(sku())], number + 2).await;
        assert_eq!(run(&site).await.counts["changed"], 1, "{id}");
        assert_eq!(price(&site, 0).await, amount, "{id}");
    }
    // Withdrawn one after the other, each finds the cart by the one that it was for.
    for (number, id, subject, amount) in [
        (940, "acme", Subject::Customer(customer_id()), "130"),
        (950, "golden", Subject::Tier(gold()), "140"),
    ] {
        withdraw(&site, id, number).await;
        changed(&site, vec![subject], number + 1).await;
        assert_eq!(run(&site).await.counts["changed"], 1, "{id}");
        assert_eq!(price(&site, 0).await, amount, "{id}");
    }
    withdraw(&site, "all", 960).await;
    list_changed(site.outbox(), "all", 961).await;
    assert_eq!(run(&site).await.counts["changed"], 1);
    assert_eq!(price(&site, 0).await, "135");
}

/// Takes one number.
async fn withdraw(site: &JobSite, id: &str, number: u64) {
    commit(site.outbox(), number, async |commerce, transaction| {
        commerce
            .withdraw_price_list(transaction, &list_id(id), desk())
            .await
    })
    .await;
}

#[tokio::test]
async fn a_list_for_everybody_that_changes_goes_through_all_of_its_skus() {
    // More than are read at a time. The last one is in a cart and a quote.
    const SKUS: u64 = 60;
    let site = filled(1).await;
    let outbox = site.outbox();
    offer(outbox, cart_id(0), quote_id(0), 3_000).await;
    price_list(
        outbox,
        "sale",
        Audience::Everybody,
        terms(ListKind::Sale),
        3_001,
    )
    .await;
    for number in 0..SKUS {
        // By their ids they come before the one in the cart.
        let other = Sku::new(format!("OTHER-{number}")).expect("a sku");
        reprice(outbox, &other, "10", 4_000 + number).await;
        list_price(outbox, "sale", &other, "9", 5_000 + number).await;
    }
    list_price(outbox, "sale", &sku(), "100", 3_002).await;
    list_changed(site.outbox(), "sale", 3_003).await;
    let report = run(&site).await;
    assert_eq!(
        (
            report.counts["seen"],
            report.counts["changed"],
            report.counts["quotes"],
            report.counts["flagged"]
        ),
        (1, 1, 1, 1)
    );
    assert_eq!(price(&site, 0).await, "100");
    assert!(quote(&site, 0).await.needs_repricing());
    // Nothing is left to do.
    assert_eq!(run(&site).await.pages, 0);
}

#[tokio::test]
async fn a_list_without_prices_concerns_nobody_and_its_row_goes() {
    let site = filled(1).await;
    price_list(
        site.outbox(),
        "sale",
        Audience::Everybody,
        terms(ListKind::Sale),
        3_001,
    )
    .await;
    list_changed(site.outbox(), "sale", 3_002).await;
    assert_eq!(run(&site).await.counts["seen"], 0);
    assert_eq!(run(&site).await.pages, 0);
}

/// Withdraws a list for everybody, and lets its event go through the job. Takes two numbers, the first of them this one.
async fn withdraw_and_run(site: &JobSite, id: &str, number: u64) -> Report {
    withdraw(site, id, number).await;
    list_changed(site.outbox(), id, number + 1).await;
    run(site).await
}

#[tokio::test]
async fn a_list_for_everybody_that_changes_before_a_new_line_is_committed_is_in_the_line() {
    let site = JobSite::new();
    let outbox = site.outbox();
    open(outbox, &[sku()]).await;
    testing::cart(outbox, cart_id(0), &customer_id(), 2_000).await;
    let of = terms(ListKind::Override);
    price_list(outbox, "all", Audience::Everybody, of, 3_001).await;
    list_price(outbox, "all", &sku(), "120", 3_002).await;
    let tries = AtomicU64::new(0);
    commit(outbox, 2_001, async |commerce, transaction| {
        let add = CartStep::Add {
            sku: sku(),
            quantity: 10,
        };
        let done = commerce
            .step_cart(transaction, cart_id(0), add, desk())
            .await;
        if tries.fetch_add(1, Ordering::Relaxed) == 0 {
            // The job has passed the sku before the line is there.
            let report = withdraw_and_run(&site, "all", 3_003).await;
            assert_eq!(report.counts["seen"], 0);
        }
        done
    })
    .await;
    assert_eq!(tries.into_inner(), 2);
    assert_eq!(price(&site, 0).await, "150");
}

#[tokio::test]
async fn a_list_for_everybody_that_changes_before_a_quote_is_committed_is_in_the_quote() {
    let site = filled(1).await;
    let outbox = site.outbox();
    let of = terms(ListKind::Override);
    price_list(outbox, "all", Audience::Everybody, of, 3_001).await;
    list_price(outbox, "all", &sku(), "120", 3_002).await;
    let (tries, numbers) = (AtomicU64::new(0), commerce::quote::Numbers::default());
    commit(outbox, 2_500, async |commerce, transaction| {
        let ids = (cart_id(0), quote_id(0));
        let done = commerce
            .create_quote(transaction, &numbers, ids, 30, desk())
            .await;
        if tries.fetch_add(1, Ordering::Relaxed) == 0 {
            let report = withdraw_and_run(&site, "all", 3_003).await;
            assert_eq!(report.counts["quotes"], 0);
        }
        done
    })
    .await;
    assert_eq!(tries.into_inner(), 2);
    let line = &quote(&site, 0).await.items()[0].clone();
    assert_eq!(line.unit_price.to_string(), "150");
}
