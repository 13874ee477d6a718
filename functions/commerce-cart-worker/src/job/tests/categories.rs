//! What is in a category that is deleted goes to another one.

use std::{collections::BTreeMap, time::Duration};

use commerce::{Category, Product, operations::REASSIGNED_PER_PAGE};
use consumer::schedule::{Ending, JobRunner, Settings};
use events::{
    CategoryId, Envelope, ProductId,
    contracts::{
        category,
        product::{ChangeType, Updated},
    },
};
use testkit::flow::{Faults, Flow};

use super::*;

/// The longest run, by the function's timeout.
const RUN: Duration = Duration::from_secs(60);
/// Longer than a lease.
const LEASE_OVER: Duration = Duration::from_secs(31);

fn id(name: &str) -> CategoryId {
    CategoryId::new(name).expect("an id")
}

fn chair(number: u64) -> ProductId {
    let sku = Sku::new(format!("PRD-{number:04}")).expect("a sku");
    product_id(&sku)
}

/// Puts so many products into a category. Takes the numbers from 10,000 on.
async fn fill_category(outbox: &Outbox, category_id: &CategoryId, products: u64) {
    for number in 0..products {
        let product_id = chair(number);
        let sku = Sku::new(product_id.as_str()).expect("a sku");
        commit(outbox, 10_000 + number, async |commerce, transaction| {
            let mut details = details(&[&sku]);
            details.category_id = Some(category_id.clone());
            commerce
                .set_product(transaction, &product_id, details, desk())
                .await
        })
        .await;
    }
}

/// Takes one number.
async fn delete(outbox: &Outbox, category_id: &CategoryId, to: &CategoryId, number: u64) {
    commit(outbox, number, async |commerce, transaction| {
        commerce
            .delete_category(transaction, category_id, Some(to), desk())
            .await
    })
    .await;
}

async fn category_of(outbox: &Outbox, category_id: &CategoryId) -> Category {
    let table = &table();
    let entity = Commerce { outbox, table }.category(category_id).await;
    entity.expect("reads").state().expect("made").clone()
}

/// The products that are listed in a category.
async fn products_in(outbox: &Outbox, category_id: &CategoryId) -> Vec<Product> {
    let table = &table();
    let commerce = Commerce { outbox, table };
    let mut query = commerce.products_in(category_id, 100);
    let mut found = Vec::new();
    loop {
        let (page, next) = commerce.products(&query).await.expect("reads");
        found.extend(page.into_iter().map(|done| done.state));
        if next.is_none() {
            return found;
        }
        query.after = next;
    }
}

fn read<C: events::Contract>(event: &Envelope) -> C {
    serde_json::from_str(event.payload.json()).expect("its payload")
}

#[test]
fn a_thousand_products_go_to_the_other_category_each_once_though_pages_are_cut_off() {
    const MANY: u64 = 1_000;
    let mut flow = Flow::builder(7).build().expect("a flow");
    let (old, new, below) = (id("old"), id("new"), id("below"));
    flow.look(|site| {
        let (old, new, below) = (old.clone(), new.clone(), below.clone());
        async move {
            let outbox = site.outbox();
            testing::category(outbox, &old, None, 1).await;
            testing::category(outbox, &new, None, 2).await;
            testing::category(outbox, &below, Some(&old), 3).await;
            fill_category(outbox, &old, MANY).await;
            delete(outbox, &old, &new, 4).await;
        }
    });
    let mut faults = Faults::NONE;
    faults.crashes = 0.01;
    flow.set_faults(faults);
    let (mut killed, mut is_finished) = (0, false);
    for _ in 0..500 {
        let report = flow.command(|site| async move {
            let worker = CartWorker::new(site.outbox().clone(), table());
            let runner = JobRunner::new(worker, site.outbox().clone(), Settings::default());
            runner.run(site.clock().now().plus(RUN)).await
        });
        match report {
            None => killed += 1,
            Some(Ok(report)) if report.outcome == Ending::Finished => is_finished = true,
            Some(Ok(_) | Err(_)) => {}
        }
        if is_finished {
            break;
        }
        flow.clock().advance(LEASE_OVER);
    }
    // Kills that hit nothing would prove nothing.
    assert!(is_finished && killed > 3, "{killed} killed");
    flow.set_faults(Faults::NONE);

    let mut told: BTreeMap<ProductId, usize> = BTreeMap::new();
    let log = flow.log();
    let of_type = |name: &'static str| {
        let events = log.iter();
        events.filter(move |event| event.event_type.as_str() == name)
    };
    let closing: Vec<&Envelope> = of_type("category.updated")
        .filter(|event| {
            read::<category::Updated>(event).change_type == category::ChangeType::Closing
        })
        .collect();
    assert_eq!(closing.len(), 1);
    for event in of_type("product.updated") {
        let updated: Updated = read(event);
        assert_eq!(updated.change_type, ChangeType::CategoryChanged);
        assert_eq!(updated.new_values.category_id.as_ref(), Some(&new));
        assert_eq!(event.causation_id, Some(closing[0].event_id));
        *told.entry(updated.product_id).or_default() += 1;
    }
    assert_eq!(told.len(), 1_000);
    assert!(told.values().all(|times| *times == 1), "{told:?}");
    let moved: Vec<category::Updated> = of_type("category.updated")
        .map(read::<category::Updated>)
        .filter(|updated| updated.category_id == below)
        .collect();
    assert_eq!(moved.len(), 1);
    let paths = [&moved[0].previous_path, &moved[0].path];
    let paths = paths.map(|path| path.as_ref().map(Text::as_str));
    assert_eq!(paths, [Some("old/below"), Some("new/below")]);
    assert_eq!(of_type("category.deleted").count(), 1);

    flow.look(|site| async move {
        let outbox = site.outbox();
        assert!(category_of(outbox, &old).await.is_deleted());
        assert!(products_in(outbox, &old).await.is_empty());
        let products = products_in(outbox, &new).await;
        assert_eq!(products.len(), 1_000);
        let is_in_new = |product: &Product| product.category_id() == Some(&new);
        assert!(products.iter().all(is_in_new));
    });
    let rows = flow.store().items(&table());
    let stray = rows.iter().filter(|row| {
        let pk = row["pk"].as_str().unwrap_or_default();
        pk == "category_work" || pk == "category_products#old"
    });
    assert_eq!(stray.count(), 0);
}

#[tokio::test]
async fn what_goes_to_a_category_that_is_deleted_in_turn_goes_on_to_the_next_one() {
    let site = JobSite::new();
    let outbox = site.outbox();
    let (first, second, third, below) = (id("first"), id("second"), id("third"), id("below"));
    testing::category(outbox, &first, None, 1).await;
    testing::category(outbox, &second, None, 2).await;
    testing::category(outbox, &third, None, 3).await;
    testing::category(outbox, &below, Some(&first), 4).await;
    let products = u64::from(REASSIGNED_PER_PAGE) + 1;
    fill_category(outbox, &first, products).await;
    delete(outbox, &first, &second, 5).await;
    // Nothing is in it yet, but something is on its way.
    delete(outbox, &second, &third, 6).await;
    assert!(!category_of(outbox, &second).await.is_deleted());
    let tree = Commerce {
        outbox,
        table: &table(),
    };
    let tree = tree.categories().await.expect("reads");
    let place = tree.place(&below).expect("it is there");
    assert_eq!(place.path, "third/below");
    let report = run(&site).await;
    let counts = &report.counts;
    assert_eq!(
        (counts["products"], counts["categories"], counts["deleted"]),
        (products, 1, 2)
    );
    assert!(category_of(outbox, &first).await.is_deleted());
    assert!(category_of(outbox, &second).await.is_deleted());
    let there = products_in(outbox, &third).await.len();
    assert_eq!(u64::try_from(there).ok(), Some(products));
    let below = category_of(outbox, &below).await;
    assert_eq!(below.listing().parent_id.as_ref(), Some(&third));
    // Nothing is left to do.
    assert_eq!(run(&site).await.pages, 0);
}
