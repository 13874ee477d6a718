use domain::testing::{Log, at, number};
use events::Draft;

use super::*;

fn sku(text: &str) -> Sku {
    Sku::new(text).expect("a sku")
}

fn variant(text: &str) -> Variant {
    Variant {
        sku: sku(text),
        name: Text::new(text).ok(),
        attributes: Vec::new(),
        stock_status: None,
    }
}

fn listing(variants: &[&str]) -> Listing {
    Listing {
        id: ProductId::new("PRD-1").expect("an id"),
        name: Text::new("Chair").expect("a name"),
        description: None,
        status: ProductStatus::Active,
        visibility: Visibility::Public,
        tax_category: Some(TaxCategory::Standard),
        category_id: None,
        variants: variants.iter().map(|text| variant(text)).collect(),
    }
}

fn product(listing: Listing) -> Product {
    Product {
        listing,
        deleted: false,
        created_at: at(1),
        updated_at: at(1),
        updated_by: Text::new("desk").expect("a name"),
    }
}

/// What an update says that it changed.
fn said(before: &Listing, change: impl FnOnce(&mut Listing)) -> Option<(ChangeType, String)> {
    let mut after = before.clone();
    change(&mut after);
    let found = Difference::between(before, &after)?;
    Some((found.change_type, found.sku.to_string()))
}

#[test]
fn an_update_names_what_it_changes_and_the_variant() {
    use ChangeType::*;
    let before = listing(&["A", "B"]);
    let told = |change: fn(&mut Listing)| said(&before, change);
    let of = |change_type, sku: &str| Some((change_type, sku.to_owned()));
    assert_eq!(told(|_| ()), None);
    let archived = told(|after| after.status = ProductStatus::Archived);
    assert_eq!(archived, of(StatusChanged, "A"));
    let hidden = told(|after| after.visibility = Visibility::Hidden);
    assert_eq!(hidden, of(VisibilityChanged, "A"));
    let described = told(|after| after.description = Text::new("Oak.").ok());
    assert_eq!(described, of(DescriptionChanged, "A"));
    let taxed = told(|after| after.tax_category = Some(TaxCategory::Reduced));
    assert_eq!(taxed, of(TaxCategoryChanged, "A"));
    let moved = told(|after| after.category_id = CategoryId::new("chairs").ok());
    assert_eq!(moved, of(CategoryChanged, "A"));
    let added = told(|after| after.variants.push(variant("C")));
    assert_eq!(added, of(VariantAdded, "C"));
    let removed = told(|after| after.variants.truncate(1));
    assert_eq!(removed, of(VariantRemoved, "B"));
    let renamed = told(|after| after.variants[1].name = None);
    assert_eq!(renamed, of(VariantChanged, "B"));
    let sold_out = told(|after| after.variants[1].stock_status = Some(StockStatus::OutOfStock));
    assert_eq!(sold_out, of(StockStatusChanged, "B"));
    assert_eq!(
        told(|after| after.variants.reverse()),
        of(VariantChanged, "B")
    );
    // The first of several.
    let both = told(|after| {
        after.name = Text::new("Stool").expect("a name");
        after.status = ProductStatus::Draft;
    });
    assert_eq!(both, of(StatusChanged, "A"));
}

#[test]
fn a_product_is_for_sale_to_those_who_may_buy_it() {
    let sold = |change: fn(&mut Product), to| {
        let mut product = product(listing(&["A"]));
        change(&mut product);
        product.is_for_sale(&sku("A"), to)
    };
    let (b2b, b2c) = (CustomerType::B2b, CustomerType::B2c);
    assert!(sold(|_| (), b2c));
    assert!(sold(
        |product| product.listing.visibility = Visibility::B2b,
        b2b
    ));
    assert!(!sold(
        |product| product.listing.visibility = Visibility::B2b,
        b2c
    ));
    assert!(!sold(
        |product| product.listing.visibility = Visibility::Hidden,
        b2b
    ));
    assert!(!sold(
        |product| product.listing.status = ProductStatus::Draft,
        b2b
    ));
    assert!(!sold(|product| product.deleted = true, b2b));
    assert!(!sold(|product| product.listing.variants.clear(), b2b));
}

#[test]
fn the_longest_names_make_a_name() {
    let mut long = listing(&["A"]);
    long.name = Text::new("x".repeat(200)).expect("a name");
    long.variants[0].name = Text::new("y".repeat(200)).ok();
    let name = product(long).name_of(&sku("A")).expect("a name");
    assert_eq!(name.as_str().len(), 402);
}

fn updated(before: &Listing, after: &Listing, version: u64) -> Updated {
    let found = Difference::between(before, after).expect("differs");
    Updated {
        product_id: after.id.clone(),
        sku: found.sku,
        updated_at: at(version),
        updated_by: Text::new("desk").expect("a name"),
        change_type: found.change_type,
        previous_values: found.previous,
        new_values: found.new,
        product: after.clone(),
        version: Some(number(version)),
    }
}

#[test]
fn a_product_is_what_its_events_come_to() {
    let first = listing(&["A"]);
    let mut second = first.clone();
    second.name = Text::new("Stool").expect("a name");
    let by: Text<256> = Text::new("desk").expect("a name");
    let created = Created {
        product_id: first.id.clone(),
        product: first.clone(),
        created_at: at(1),
        created_by: by.clone(),
        version: number(1),
    };
    let deleted = Deleted {
        product_id: first.id.clone(),
        skus: vec![sku("A")],
        deleted_at: at(3),
        deleted_by: by.clone(),
        version: number(3),
    };
    let drafts = [
        Draft::of(&created).expect("a draft"),
        Draft::of(&updated(&first, &second, 2)).expect("a draft"),
        Draft::of(&deleted).expect("a draft"),
    ];
    let mut log = Log::default();
    for (draft, second) in drafts.into_iter().zip(1..) {
        log.append([draft], at(second));
    }
    let rebuilt = domain::rebuild::<Product>(&log.0).expect("they follow");
    let expected = Product {
        listing: second.clone(),
        deleted: true,
        created_at: at(1),
        updated_at: at(3),
        updated_by: by,
    };
    assert_eq!(rebuilt.map(|rebuilt| rebuilt.state), Some(expected));

    // An update that states other values than it changes.
    let mut wrong = updated(&first, &second, 2);
    wrong.previous_values.name = Text::new("Table").ok();
    let mut log = Log::default();
    log.append([Draft::of(&created).expect("a draft")], at(1));
    log.append([Draft::of(&wrong).expect("a draft")], at(2));
    assert!(domain::rebuild::<Product>(&log.0).is_err());
}
