#![allow(clippy::expect_used, reason = "a test fails by panicking")]

mod categories;
mod price_lists;

use std::sync::atomic::{AtomicU64, Ordering};

use commerce::{
    Cart, Quote,
    cart::Subject,
    customer::Profile,
    operations::CartStep,
    stock::StockStep,
    testing::{
        self, cart_id, commit, customer_id, desk, details, fill, offer, open, product_id, profile,
        quote_id, reprice, sell, table,
    },
    tier::SetTier,
};
use consumer::schedule::Report;
use events::{
    Contract as _, CountryCode, Sku, Text, TierName,
    contracts::{
        cart::{Action, CartStatus, Updated},
        customer::CustomerType,
        product::ProductStatus,
        quote,
    },
};
use testkit::jobs::JobSite;

use super::*;

fn sku() -> Sku {
    Sku::new("PRD-001").expect("a sku")
}

/// A shop with so many carts, each with ten pieces. Takes the numbers from 2,000 on.
async fn filled(carts: u64) -> JobSite {
    let site = JobSite::new();
    open(site.outbox(), &[sku()]).await;
    for cart in 0..carts {
        fill(site.outbox(), cart_id(cart), &sku(), 10, 2_000 + 2 * cart).await;
    }
    site
}

/// Writes down that something changed. Takes one number.
async fn changed(site: &JobSite, subjects: Vec<Subject>, number: u64) {
    testing::changed(site.outbox(), subjects, number).await;
}

async fn run(site: &JobSite) -> Report {
    let worker = CartWorker::new(site.outbox().clone(), table());
    site.run(worker).await.expect("runs")
}

async fn cart(site: &JobSite, number: u64) -> Cart {
    let (outbox, table) = (site.outbox(), &table());
    let cart = Commerce { outbox, table }.cart(cart_id(number)).await;
    cart.expect("reads").state().expect("made").clone()
}

async fn actions(site: &JobSite, number: u64) -> Vec<Action> {
    let aggregate = format!("cart#{}", cart_id(number));
    let first = events::Sequence::FIRST;
    let history = site.outbox().history(&aggregate, first, 100).await;
    let history = history.expect("reads");
    let each = history.envelopes.iter().filter_map(|raw| {
        let envelope: events::Envelope = serde_json::from_str(raw.get()).expect("an envelope");
        let updated = envelope.event_type.as_str() == Updated::TYPE;
        updated.then(|| {
            let event: Updated =
                serde_json::from_str(envelope.payload.json()).expect("a cart.updated");
            event.action
        })
    });
    each.collect()
}

#[tokio::test]
async fn a_changed_price_reaches_every_cart_once_whatever_repeats() {
    let carts = 2 * u64::from(commerce::operations::CARTS_PER_PAGE) + 1;
    let site = filled(carts).await;
    reprice(site.outbox(), &sku(), "160", 900).await;
    changed(&site, vec![Subject::Sku(sku())], 901).await;
    let report = run(&site).await;
    assert_eq!(
        (report.counts["seen"], report.counts["changed"]),
        (carts, carts)
    );
    for number in 0..carts {
        let total = cart(&site, number).await.totals().expect("lines").total;
        assert_eq!(total.to_string(), "1904.00");
    }
    // The same change again: each cart is up to date.
    changed(&site, vec![Subject::Sku(sku())], 902).await;
    let report = run(&site).await;
    assert_eq!(
        (report.counts["seen"], report.counts["changed"]),
        (carts, 0)
    );
    let told = actions(&site, 0).await;
    assert_eq!(told, [Action::ItemAdded, Action::PriceUpdated]);
    // A run that finds nothing to do is none.
    assert_eq!(run(&site).await.pages, 0);
}

#[tokio::test]
async fn what_a_product_and_its_stock_become_is_seen_in_the_line() {
    let site = filled(1).await;
    let (outbox, subject) = (site.outbox(), vec![Subject::Sku(sku())]);
    let line = async || cart(&site, 0).await.items()[0].clone();
    assert_eq!(line().await.available, Some(true));
    commit(outbox, 900, async |commerce, transaction| {
        let mut archived = details(&[&sku()]);
        archived.status = ProductStatus::Archived;
        commerce
            .set_product(transaction, &product_id(&sku()), archived, desk())
            .await
    })
    .await;
    changed(&site, subject.clone(), 901).await;
    run(&site).await;
    assert_eq!(line().await.available, Some(false));
    commit(outbox, 902, async |commerce, transaction| {
        let mut renamed = details(&[&sku()]);
        renamed.name = Text::new("Stool").expect("a name");
        commerce
            .set_product(transaction, &product_id(&sku()), renamed, desk())
            .await
    })
    .await;
    changed(&site, subject.clone(), 903).await;
    run(&site).await;
    let now = line().await;
    assert_eq!(now.available, Some(true));
    assert_eq!(now.name.as_ref().map(Text::as_str), Some("Stool"));
    commit(outbox, 904, async |commerce, transaction| {
        let counted = StockStep::Counted {
            product_id: product_id(&sku()),
            quantity: 0,
        };
        commerce
            .change_stock(transaction, &sku(), counted, desk())
            .await
    })
    .await;
    changed(&site, subject, 905).await;
    run(&site).await;
    assert_eq!(line().await.available, Some(false));
    assert_eq!(
        actions(&site, 0).await,
        [
            Action::ItemAdded,
            Action::AvailabilityChanged,
            Action::AvailabilityChanged,
            Action::AvailabilityChanged
        ]
    );
}

#[tokio::test]
async fn a_customers_tier_and_its_percentage_reach_the_cart() {
    let site = filled(1).await;
    let gold = TierName::new("gold").expect("a name");
    let tier = async |percent: &str, number: u64| {
        commit(site.outbox(), number, async |commerce, transaction| {
            let set = SetTier {
                tier: gold.clone(),
                discount_percent: percent.parse().expect("per cent"),
                by: desk(),
            };
            commerce.set_tier(transaction, set).await
        })
        .await;
    };
    let price = async || cart(&site, 0).await.items()[0].unit_price.to_string();
    tier("10", 900).await;
    commit(site.outbox(), 901, async |commerce, transaction| {
        let profile = Profile {
            tier: Some(gold.clone()),
            ..profile(CustomerType::B2b)
        };
        commerce
            .set_customer(transaction, &customer_id(), profile, desk())
            .await
    })
    .await;
    // The tier alone does not find the cart yet.
    changed(&site, vec![Subject::Tier(gold.clone())], 902).await;
    assert_eq!(run(&site).await.counts["seen"], 0);
    changed(&site, vec![Subject::Customer(customer_id())], 903).await;
    run(&site).await;
    assert_eq!(price().await, "135");
    tier("20", 904).await;
    changed(&site, vec![Subject::Tier(gold.clone())], 905).await;
    run(&site).await;
    assert_eq!(price().await, "120");
    assert_eq!(cart(&site, 0).await.tier(), Some(&gold));
}

#[tokio::test]
async fn a_cart_that_cannot_be_calculated_stays_and_is_named_and_an_ordered_one_is_not_found() {
    let site = filled(2).await;
    let numbers = commerce::order::Numbers::default();
    commit(site.outbox(), 900, async |commerce, transaction| {
        let ids = (cart_id(0), testing::order_id());
        commerce
            .check_out(transaction, &numbers, ids, None, desk())
            .await
    })
    .await;
    assert_eq!(cart(&site, 0).await.status(), CartStatus::Ordered);
    // A country whose tax rates nobody set.
    commit(site.outbox(), 901, async |commerce, transaction| {
        let profile = Profile {
            country: CountryCode::new("DE").expect("a country"),
            ..profile(CustomerType::B2b)
        };
        commerce
            .set_customer(transaction, &customer_id(), profile, desk())
            .await
    })
    .await;
    let before = cart(&site, 1).await;
    changed(&site, vec![Subject::Customer(customer_id())], 902).await;
    let report = run(&site).await;
    let counts = &report.counts;
    assert_eq!(
        (counts["seen"], counts["changed"], counts["left"]),
        (1, 0, 1)
    );
    assert_eq!(cart(&site, 1).await, before);
    // Nothing waits for it: the row is gone.
    assert_eq!(run(&site).await.pages, 0);
    let rows = site.store().items(&table());
    assert!(rows.iter().all(|row| row["pk"] != "cart_refresh"));
}

#[tokio::test]
async fn one_change_of_many_skus_goes_through_all_of_them() {
    let site = filled(1).await;
    let second = Sku::new("PRD-002").expect("a sku");
    sell(site.outbox(), &second, "10", 5, 910).await;
    let subjects = vec![
        Subject::Sku(second.clone()),
        Subject::Sku(Sku::new("unknown").expect("a sku")),
        Subject::Sku(sku()),
    ];
    reprice(site.outbox(), &sku(), "170", 920).await;
    changed(&site, subjects, 921).await;
    let report = run(&site).await;
    assert_eq!(report.counts["changed"], 1);
    // The skus that are in no cart have no page of their own. The last page finds nothing to do.
    assert_eq!(report.pages, 2);
}

#[tokio::test]
async fn a_page_of_carts_whose_customer_changes_the_tier_fits_into_a_transaction() {
    let carts = u64::from(commerce::operations::CARTS_PER_PAGE);
    let site = filled(carts).await;
    let tiers = ["gold", "silver"].map(|name| TierName::new(name).expect("a name"));
    for (number, tier) in (900..).zip(&tiers) {
        commit(site.outbox(), number, async |commerce, transaction| {
            let set = SetTier {
                tier: tier.clone(),
                discount_percent: "10".parse().expect("per cent"),
                by: desk(),
            };
            commerce.set_tier(transaction, set).await
        })
        .await;
    }
    // From none to one writes a row for each cart, from one to another also removes one. The prices stay the second time.
    for (number, tier) in (910..).step_by(2).zip(&tiers) {
        commit(site.outbox(), number, async |commerce, transaction| {
            let profile = Profile {
                tier: Some(tier.clone()),
                ..profile(CustomerType::B2b)
            };
            commerce
                .set_customer(transaction, &customer_id(), profile, desk())
                .await
        })
        .await;
        changed(&site, vec![Subject::Customer(customer_id())], number + 1).await;
        assert_eq!(run(&site).await.counts["changed"], carts);
    }
    assert_eq!(
        actions(&site, 0).await,
        [
            Action::ItemAdded,
            Action::PriceUpdated,
            Action::ItemDetailsUpdated
        ]
    );
}

#[tokio::test]
async fn a_price_that_changes_before_a_new_line_is_committed_is_in_the_line() {
    let site = JobSite::new();
    open(site.outbox(), &[sku()]).await;
    testing::cart(site.outbox(), cart_id(0), &customer_id(), 2_000).await;
    let tries = AtomicU64::new(0);
    commit(site.outbox(), 2_001, async |commerce, transaction| {
        let add = CartStep::Add {
            sku: sku(),
            quantity: 10,
        };
        let done = commerce
            .step_cart(transaction, cart_id(0), add, desk())
            .await;
        if tries.fetch_add(1, Ordering::Relaxed) == 0 {
            // Its event has gone through the job before the line is there.
            reprice(site.outbox(), &sku(), "160", 900).await;
            changed(&site, vec![Subject::Sku(sku())], 901).await;
            assert_eq!(run(&site).await.counts["seen"], 0);
        }
        done
    })
    .await;
    assert_eq!(tries.into_inner(), 2);
    let price = cart(&site, 0).await.items()[0].unit_price;
    assert_eq!(price.to_string(), "160");
}

/// A shop with so many carts, each with ten pieces at 150.00 and a quote of them. Takes the numbers from 2,000 on.
async fn quoted(quotes: u64) -> JobSite {
    let site = filled(quotes).await;
    for quote in 0..quotes {
        let number = 3_000 + quote;
        offer(site.outbox(), cart_id(quote), quote_id(quote), number).await;
    }
    site
}

async fn quote(site: &JobSite, number: u64) -> Quote {
    let (outbox, table) = (site.outbox(), &table());
    let quote = Commerce { outbox, table }.quote(quote_id(number)).await;
    quote.expect("reads").state().expect("made").clone()
}

/// Sets the price, and compares the quotes with it. Returns how many were looked at, and how many flagged. Takes two numbers, the
/// first of them this one.
async fn compared(site: &JobSite, price: &str, number: u64) -> (u64, u64) {
    reprice(site.outbox(), &sku(), price, number).await;
    changed(site, vec![Subject::Sku(sku())], number + 1).await;
    let counts = run(site).await.counts;
    (counts["quotes"], counts["flagged"])
}

fn rows_of_quotes(site: &JobSite) -> usize {
    let rows = site.store().items(&table());
    let pks = rows.iter().filter_map(|row| row["pk"].as_str());
    pks.filter(|pk| pk.starts_with("quote_watch#")).count()
}

#[tokio::test]
async fn a_quote_is_flagged_once_when_a_price_is_five_per_cent_off() {
    let site = quoted(1).await;
    assert_eq!(compared(&site, "157.485", 900).await, (1, 0));
    assert!(!quote(&site, 0).await.needs_repricing());
    assert_eq!(compared(&site, "157.5", 902).await, (1, 1));
    assert!(quote(&site, 0).await.needs_repricing());
    assert_eq!(compared(&site, "300", 904).await, (1, 0));
    let aggregate = format!("quote#{}", quote_id(0));
    let first = events::Sequence::FIRST;
    let history = site.outbox().history(&aggregate, first, 100).await;
    let history = history.expect("reads");
    assert_eq!(history.envelopes.len(), 2);
    let raw = history.envelopes[1].get();
    let envelope: events::Envelope = serde_json::from_str(raw).expect("an envelope");
    let cause = envelope.causation_id.expect("the change").to_string();
    assert!(cause.ends_with(&format!("{:08x}", 903)), "{cause}");
    let updated: quote::Updated =
        serde_json::from_str(envelope.payload.json()).expect("a quote.updated");
    assert_eq!(updated.action, quote::Action::RepricingNeeded);
    let changes = updated.price_changes;
    assert_eq!(changes.len(), 1);
    assert_eq!(
        (
            changes[0].previous_price.to_string(),
            changes[0].new_price.to_string()
        ),
        ("150".to_owned(), "157.50".to_owned())
    );
}

#[tokio::test]
async fn every_quote_of_a_sku_is_compared_page_by_page() {
    let quotes = 2 * u64::from(commerce::operations::QUOTES_PER_PAGE) + 1;
    let site = quoted(quotes).await;
    assert_eq!(compared(&site, "100", 900).await, (quotes, quotes));
    for number in 0..quotes {
        assert!(quote(&site, number).await.needs_repricing(), "{number}");
    }
    assert_eq!(run(&site).await.pages, 0);
}

#[tokio::test]
async fn the_row_of_a_quote_that_is_not_open_goes() {
    let site = quoted(2).await;
    commit(site.outbox(), 4_000, async |commerce, transaction| {
        commerce
            .reject_quote(transaction, quote_id(0), None, desk())
            .await
    })
    .await;
    assert_eq!(rows_of_quotes(&site), 2);
    assert_eq!(compared(&site, "151", 900).await, (1, 0));
    assert_eq!(rows_of_quotes(&site), 1);
    // The time of the other is over, whether that was written down or not.
    let days = commerce::quote::VALID_DAYS;
    site.clock()
        .advance(std::time::Duration::from_secs(86_400).saturating_mul(days));
    assert_eq!(compared(&site, "300", 902).await, (0, 0));
    assert_eq!(rows_of_quotes(&site), 0);
}
