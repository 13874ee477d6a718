use std::{
    collections::{BTreeMap, BTreeSet},
    sync::atomic::{AtomicU64, Ordering},
};

use domain::{
    Stopped, Verdict,
    testing::{Log, at, number},
};
use events::{
    Draft, ProductId,
    contracts::{
        price::TaxCategory,
        product::{Attribute, ProductStatus, Visibility},
    },
};
use outbox::{Decision, Mark, Outbox, Outcome, Table};
use proptest::prelude::*;
use testkit::flow::{Flow, Site};

use super::*;
use crate::{
    operations::{CategoryStopped, Commerce},
    product,
};

fn id(text: &str) -> CategoryId {
    CategoryId::new(text).expect("an id")
}

fn slug(text: &str) -> Slug {
    Slug::new(text).expect("a slug")
}

fn text<const MAX: usize>(text: &str) -> Text<MAX> {
    Text::new(text).expect("a text")
}

fn details(parent_id: Option<&str>, slug_text: &str) -> Details {
    Details {
        parent_id: parent_id.map(id),
        name: text("Chairs"),
        slug: slug(slug_text),
        position: 0,
        attributes: Vec::new(),
    }
}

fn definition(name: &str, attribute_type: AttributeType, values: &[&str]) -> AttributeDefinition {
    AttributeDefinition {
        name: text(name),
        attribute_type,
        values: values.iter().map(|value| text(value)).collect(),
        filterable: false,
    }
}

fn listing(change: impl FnOnce(&mut Listing)) -> Listing {
    let listed = details(None, "chairs").listing(&id("chairs"));
    let mut listing = listed.expect("it is allowed");
    change(&mut listing);
    listing
}

#[test]
fn an_update_names_the_first_of_what_it_changes() {
    use ChangeType::*;
    let before = listing(|_| ());
    let told = |change: fn(&mut Listing)| {
        let found = Difference::between(&before, &listing(change));
        found.map(|found| found.change_type)
    };
    assert_eq!(told(|_| ()), None);
    assert_eq!(told(|after| after.name = text("Stools")), Some(Renamed));
    assert_eq!(
        told(|after| after.parent_id = Some(id("seats"))),
        Some(Moved)
    );
    assert_eq!(told(|after| after.slug = slug("stools")), Some(SlugChanged));
    assert_eq!(told(|after| after.position = 1), Some(PositionChanged));
    assert_eq!(
        told(|after| after.reassigned_to = Some(id("seats"))),
        Some(Closing)
    );
    let listed = |after: &mut Listing| {
        after.attributes = vec![definition("height", AttributeType::Number, &[])];
    };
    assert_eq!(told(listed), Some(AttributesChanged));
    let both = |after: &mut Listing| {
        (after.position, after.parent_id) = (1, Some(id("seats")));
    };
    assert_eq!(told(both), Some(Moved));
}

#[test]
fn a_category_says_what_the_values_of_attributes_are_and_nothing_of_others() {
    let category = Category {
        listing: listing(|listing| {
            listing.attributes = vec![
                definition("material", AttributeType::Text, &[]),
                definition("height", AttributeType::Number, &[]),
                definition("folds", AttributeType::Bool, &[]),
                definition("colour", AttributeType::Enum, &["blue", "red"]),
            ];
        }),
        deleted: false,
        created_at: at(1),
        updated_at: at(1),
        updated_by: text("desk"),
    };
    let misfit = |name: &str, value: &str| {
        let variant = |attributes| Variant {
            sku: events::Sku::new("A").expect("a sku"),
            name: None,
            attributes,
            stock_status: None,
        };
        let attribute = |name: &str, value: &str| Attribute {
            name: text(name),
            value: text(value),
        };
        let second = variant(vec![attribute("other", "x"), attribute(name, value)]);
        category.first_misfit(&[variant(Vec::new()), second])
    };
    for (name, value) in [
        ("material", "oak"),
        ("height", "12.50"),
        ("height", "-3"),
        ("folds", "true"),
        ("folds", "false"),
        ("colour", "red"),
        ("unknown", "anything"),
    ] {
        assert_eq!(misfit(name, value), None, "{name}: {value}");
    }
    for (name, value, attribute_type) in [
        ("height", "12,5", AttributeType::Number),
        ("height", "1e3", AttributeType::Number),
        ("height", "12 cm", AttributeType::Number),
        ("folds", "yes", AttributeType::Bool),
        ("colour", "green", AttributeType::Enum),
    ] {
        let found = misfit(name, value);
        assert_eq!(found, Some((1, 1, attribute_type)), "{name}: {value}");
    }
}

#[test]
fn attributes_that_contradict_themselves_are_refused() {
    let refused = |attributes: Vec<AttributeDefinition>| {
        let mut details = details(None, "chairs");
        details.attributes = attributes;
        details.listing(&id("chairs")).err()
    };
    let height = || definition("height", AttributeType::Number, &[]);
    assert_eq!(refused(vec![height()]), None);
    let twice = Refusal::SameAttribute { attribute: 1 };
    assert_eq!(refused(vec![height(), height()]), Some(twice));
    let wrong = Refusal::Values { attribute: 0 };
    for attribute in [
        definition("colour", AttributeType::Enum, &[]),
        definition("colour", AttributeType::Enum, &["red", "red"]),
        definition("height", AttributeType::Number, &["1"]),
    ] {
        assert_eq!(refused(vec![attribute]), Some(wrong.clone()));
    }
    let long = "x".repeat(200);
    let values: Vec<String> = (0..50).map(|one| format!("{one}{}", &long[3..])).collect();
    let values: Vec<&str> = values.iter().map(String::as_str).collect();
    let many = (0..30).map(|one| definition(&format!("a{one}"), AttributeType::Enum, &values));
    let large = Refusal::TooLarge { most: MOST_BYTES };
    assert_eq!(refused(many.collect()), Some(large));
}

fn updated(
    before: &Listing,
    after: &Listing,
    version: u64,
    paths: Option<(&str, &str)>,
) -> Updated {
    let found = Difference::between(before, after).expect("differs");
    Updated {
        category_id: after.id.clone(),
        updated_at: at(version),
        updated_by: text("desk"),
        change_type: found.change_type,
        previous_values: found.previous,
        new_values: found.new,
        previous_path: paths.map(|(previous, _)| text(previous)),
        path: paths.map(|(_, now)| text(now)),
        category: after.clone(),
        version: number(version),
    }
}

#[test]
fn a_category_is_what_its_events_come_to() {
    let first = listing(|_| ());
    let second = listing(|after| after.parent_id = Some(id("seats")));
    let mut third = second.clone();
    third.reassigned_to = Some(id("seats"));
    let created = Created {
        category_id: first.id.clone(),
        category: first.clone(),
        path: text("chairs"),
        created_at: at(1),
        created_by: text("desk"),
        version: number(1),
    };
    let moved = updated(&first, &second, 2, Some(("chairs", "seats/chairs")));
    let closing = updated(&second, &third, 3, None);
    let deleted = Deleted {
        category_id: first.id,
        reassigned_to: Some(id("seats")),
        deleted_at: at(4),
        deleted_by: text("system"),
        version: number(4),
    };
    let rebuilt = |moved: &Updated, deleted: &Deleted| {
        let drafts = [
            Draft::of(&created),
            Draft::of(moved),
            Draft::of(&closing),
            Draft::of(deleted),
        ];
        let mut log = Log::default();
        for (draft, second) in drafts.into_iter().zip(1..) {
            log.append([draft.expect("a draft")], at(second));
        }
        domain::rebuild::<Category>(&log.0)
    };
    let expected = Category {
        listing: third,
        deleted: true,
        created_at: at(1),
        updated_at: at(4),
        updated_by: text("system"),
    };
    let found = rebuilt(&moved, &deleted).expect("they follow");
    assert_eq!(found.map(|found| found.state), Some(expected));

    let mut pathless = moved.clone();
    pathless.path = None;
    assert!(rebuilt(&pathless, &deleted).is_err());
    let mut wrong = moved.clone();
    wrong.previous_values.name = Some(text("Stools"));
    assert!(rebuilt(&wrong, &deleted).is_err());
    let mut elsewhere = deleted;
    elsewhere.reassigned_to = None;
    assert!(rebuilt(&moved, &elsewhere).is_err());
}

#[test]
fn categories_stand_in_their_order_each_before_those_below_it() {
    let node = |text_id: &str, parent: Option<&str>, position: u32| {
        let mut details = details(parent, text_id);
        details.position = position;
        Node::from(&details.listing(&id(text_id)).expect("it is allowed"))
    };
    let mut tree = Tree::new([
        node("tables", None, 0),
        node("seats", None, 0),
        node("chairs", Some("seats"), 2),
        node("stools", Some("seats"), 1),
        node("office", Some("chairs"), 0),
        node("first", None, 0),
    ]);
    let places: Vec<(String, usize)> = tree
        .places()
        .into_iter()
        .map(|place| (place.path, place.depth))
        .collect();
    // Those at the top have one position and one name: the id decides.
    let expected = [
        ("first", 1),
        ("seats", 1),
        ("seats/stools", 2),
        ("seats/chairs", 2),
        ("seats/chairs/office", 3),
        ("tables", 1),
    ];
    assert_eq!(
        places,
        expected.map(|(path, depth)| (path.to_owned(), depth))
    );
    // What stands below a category that is being deleted counts as standing where it goes.
    let mut closing = node("seats", None, 0);
    closing.reassigned_to = Some(id("tables"));
    tree = Tree::new(
        ["chairs", "stools", "office", "tables"]
            .map(|one| tree.place(&id(one)).expect("it is there").node.clone())
            .into_iter()
            .chain([closing]),
    );
    let office = tree.place(&id("office")).expect("it is there");
    assert_eq!(office.path, "tables/chairs/office");
    assert!(tree.children(&id("seats")).is_empty());
    assert_eq!(tree.stored_children(&id("seats"), 9).len(), 2);
}

/// A simple tree: what goes elsewhere because of a deletion does so at once.
#[derive(Debug, Default)]
struct Model {
    /// By category: what it stands below, its slug, and where its contents go if it is being deleted.
    nodes: BTreeMap<usize, (Option<usize>, usize, Option<usize>)>,
    gone: BTreeSet<usize>,
    /// The categories that are being deleted, the earliest first.
    closing: Vec<usize>,
}

impl Model {
    fn depth(&self, one: usize) -> usize {
        1 + self.nodes[&one].0.map_or(0, |parent| self.depth(parent))
    }

    fn children(&self, of: usize) -> Vec<usize> {
        let below = self.nodes.iter().filter(|(_, node)| node.0 == Some(of));
        below.map(|(one, _)| *one).collect()
    }

    fn height(&self, one: usize) -> usize {
        let heights = self
            .children(one)
            .into_iter()
            .map(|child| self.height(child));
        1 + heights.max().unwrap_or(0)
    }

    fn is_within(&self, one: usize, above: usize) -> bool {
        one == above
            || self.nodes[&one]
                .0
                .is_some_and(|parent| self.is_within(parent, above))
    }

    fn takes(&self, parent: usize, one: usize, height: usize) -> bool {
        self.nodes.get(&parent).is_some_and(|node| node.2.is_none())
            && !self.is_within(parent, one)
            && self.depth(parent) + height <= MOST_DEPTH
    }

    fn has_slug(&self, parent: Option<usize>, slug: usize, but: usize) -> bool {
        let mut nodes = self.nodes.iter();
        nodes.any(|(one, node)| *one != but && node.0 == parent && node.1 == slug)
    }

    fn is_closing(&self, one: usize) -> bool {
        self.nodes.get(&one).is_some_and(|node| node.2.is_some())
    }

    fn put(&mut self, one: usize, parent: Option<usize>, slug: usize) -> bool {
        let height = if self.nodes.contains_key(&one) {
            self.height(one)
        } else {
            1
        };
        let fits = parent.is_none_or(|parent| parent != one && self.takes(parent, one, height));
        let allowed = !self.gone.contains(&one)
            && !self.is_closing(one)
            && fits
            && !self.has_slug(parent, slug, one);
        if allowed {
            self.nodes.insert(one, (parent, slug, None));
        }
        allowed
    }

    fn delete(&mut self, one: usize, to: Option<usize>) -> bool {
        if !self.nodes.contains_key(&one) || self.is_closing(one) {
            return false;
        }
        let children = self.children(one);
        if let Some(to) = to {
            let height = self.height(one) - 1;
            let are_free = children.iter().all(|child| {
                let slug = self.nodes[child].1;
                !self.has_slug(Some(to), slug, *child)
            });
            if !self.takes(to, one, height) || !are_free {
                return false;
            }
        }
        let is_target = self.nodes.values().any(|node| node.2 == Some(one));
        if children.is_empty() && !is_target {
            self.nodes.remove(&one);
            return self.gone.insert(one);
        }
        let Some(to) = to else {
            return false;
        };
        for child in children {
            if let Some(node) = self.nodes.get_mut(&child) {
                node.0 = Some(to);
            }
        }
        if let Some(node) = self.nodes.get_mut(&one) {
            node.2 = Some(to);
        }
        self.closing.push(one);
        true
    }
}

#[derive(Debug, Clone, Copy)]
enum Act {
    Put(usize, Option<usize>, usize),
    Delete(usize, Option<usize>),
    /// A page of the job.
    Page,
}

const IDS: usize = 14;

fn any_act() -> impl Strategy<Value = Act> {
    prop_oneof![
        // Below the one before it, so that the tree becomes deep.
        6 => (1..IDS, 0_usize..3).prop_map(|(one, slug)| Act::Put(one, Some(one - 1), slug)),
        4 => (0..IDS, prop::option::of(0..IDS), 0_usize..3)
            .prop_map(|(one, parent, slug)| Act::Put(one, parent, slug)),
        3 => (0..IDS, prop::option::of(0..IDS)).prop_map(|(one, to)| Act::Delete(one, to)),
        2 => Just(Act::Page),
    ]
}

fn table() -> Table {
    Table::domain("commerce")
}

fn named(one: usize) -> CategoryId {
    id(&format!("c{one:02}"))
}

/// Commits a step; `None` if the rules forbid it.
async fn decide<T, R>(
    outbox: &Outbox,
    number: u64,
    act: impl AsyncFn(&Commerce<'_>, &mut Transaction) -> Result<T, Stopped<R>>,
) -> Option<T> {
    let mark = Mark::Episode {
        name: "category",
        number,
        phase: "opened",
    };
    let (table, act) = (&table(), &act);
    let outcome = outbox
        .execute::<T, R, Error, _, _>(&mark, &Cause::default(), |mut transaction| async move {
            match act(&Commerce { outbox, table }, &mut transaction).await {
                Ok(value) => Ok(Decision::Commit(transaction, value)),
                Err(Stopped::Refused(refusal)) => Ok(Decision::Refuse(refusal)),
                Err(Stopped::Failed(error)) => Err(error),
            }
        })
        .await;
    match outcome.expect("the store answers") {
        Outcome::Committed { value, .. } => Some(value),
        Outcome::Refused(_) => None,
        _ => panic!("neither done nor refused"),
    }
}

async fn put(outbox: &Outbox, number: u64, name: &str, parent_id: Option<&str>) -> bool {
    let done = decide(outbox, number, async |commerce, transaction| {
        let wanted = details(parent_id, name);
        commerce
            .set_category(transaction, &id(name), wanted, text("desk"))
            .await
    });
    done.await.is_some()
}

/// Deletes a category that nothing is to be in.
async fn delete_empty(outbox: &Outbox, number: u64, name: &str) -> bool {
    let done = decide(outbox, number, async |commerce, transaction| {
        commerce
            .delete_category(transaction, &id(name), None, text("desk"))
            .await
    });
    done.await.is_some()
}

/// What the catalogue says of a product with one variant that is in this category.
fn chair(category_id: Option<&str>) -> product::Details {
    let variant = Variant {
        sku: events::Sku::new("PRD-1").expect("a sku"),
        name: None,
        attributes: Vec::new(),
        stock_status: None,
    };
    product::Details {
        name: text("Chair"),
        description: None,
        status: ProductStatus::Active,
        visibility: Visibility::Public,
        tax_category: TaxCategory::Standard,
        category_id: category_id.map(id),
        variants: vec![variant],
    }
}

/// Puts the product into a category, or into none.
async fn put_product(outbox: &Outbox, number: u64, category_id: Option<&str>) -> bool {
    let product_id = ProductId::new("PRD-1").expect("an id");
    let done = decide(outbox, number, async |commerce, transaction| {
        let wanted = chair(category_id);
        commerce
            .set_product(transaction, &product_id, wanted, text("desk"))
            .await
    });
    done.await.is_some()
}

/// Does it in both; whether they agree that it is allowed.
async fn step(outbox: &Outbox, model: &mut Model, number: u64, act: Act) -> bool {
    match act {
        Act::Put(one, parent, slug_number) => {
            let by: Text<256> = text("desk");
            let wanted = Details {
                parent_id: parent.map(named),
                ..details(None, &format!("s{slug_number}"))
            };
            let done = decide(outbox, number, async |commerce, transaction| {
                let (category_id, wanted) = (named(one), wanted.clone());
                commerce
                    .set_category(transaction, &category_id, wanted, by.clone())
                    .await
            })
            .await;
            done.is_some() == model.put(one, parent, slug_number)
        }
        Act::Delete(one, to) => {
            let by: Text<256> = text("desk");
            let done = decide(outbox, number, async |commerce, transaction| {
                let to = to.map(named);
                let to = to.as_ref();
                commerce
                    .delete_category(transaction, &named(one), to, by.clone())
                    .await
            })
            .await;
            done.is_some() == model.delete(one, to)
        }
        Act::Page => page(outbox, model, number).await.is_some(),
    }
}

/// Does a page of the job; whether there was something to do. `None` if that is not what is to be done.
async fn page(outbox: &Outbox, model: &mut Model, number: u64) -> Option<bool> {
    let done = decide(outbox, number, async |commerce, transaction| {
        let done = commerce.reassign(transaction).await;
        done.map_err(CategoryStopped::Failed)
    })
    .await?;
    let Some(done) = done else {
        return model.closing.is_empty().then_some(false);
    };
    if done.deleted > 0 {
        let one = model.closing.remove(0);
        model.nodes.remove(&one)?;
        model.gone.insert(one);
    }
    Some(true)
}

/// What the tree is, compared with the model.
async fn differs(outbox: &Outbox, model: &Model) -> Option<String> {
    let table = &table();
    let tree = Commerce { outbox, table }.categories().await;
    let tree = tree.expect("reads");
    let places = tree.places();
    let mut wanted: BTreeMap<CategoryId, _> = BTreeMap::new();
    for (one, (parent, slug_number, to)) in &model.nodes {
        let slug_text = format!("s{slug_number}");
        let node = (
            parent.map(named),
            slug_text,
            to.map(named),
            model.depth(*one),
        );
        wanted.insert(named(*one), node);
    }
    let found: BTreeMap<CategoryId, _> = places
        .iter()
        .map(|place| {
            let node = place.node;
            let slug_text = node.slug.to_string();
            let to = node.reassigned_to.clone();
            let node_of = (place.parent_id.cloned(), slug_text, to, place.depth);
            (node.id.clone(), node_of)
        })
        .collect();
    let paths: BTreeSet<&str> = places.iter().map(|place| place.path.as_str()).collect();
    let is_sound = places.iter().all(|place| place.depth <= MOST_DEPTH)
        && paths.len() == places.len()
        && found.len() == places.len();
    (found != wanted || !is_sound).then(|| format!("{found:?}, not {wanted:?}"))
}

async fn run(site: Site, acts: Vec<Act>) -> Result<(), String> {
    let (outbox, mut model) = (site.outbox(), Model::default());
    let mut numbers = 1..;
    let mut next = move || numbers.next().unwrap_or_default();
    for act in acts {
        // Whoever says again that a category stands below one that is being deleted changes nothing and is not refused, although
        // it stands elsewhere by now.
        if let Act::Put(one, Some(parent), _) = act
            && model.nodes.contains_key(&one)
            && model.is_closing(parent)
        {
            continue;
        }
        if !step(outbox, &mut model, next(), act).await {
            return Err(format!("{act:?} in {model:?}"));
        }
        if let Some(words) = differs(outbox, &model).await {
            return Err(format!("after {act:?}: {words}"));
        }
    }
    // Every deletion comes to its end.
    while page(outbox, &mut model, next())
        .await
        .ok_or("no page is due")?
    {
        if let Some(words) = differs(outbox, &model).await {
            return Err(format!("after a page: {words}"));
        }
    }
    let aggregate = crate::DOMAIN.aggregate("category").expect("one of them");
    let table = &table();
    for one in model.nodes.keys().chain(&model.gone) {
        let category_id = named(*one);
        let witness = domain::witness(aggregate, outbox, table, category_id.as_str(), 1_000);
        let witness = witness.await.expect("reads").expect("it has events");
        if witness.verdict != Verdict::Agrees {
            return Err(format!("{category_id}: {witness:?}"));
        }
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, cases: 64, ..ProptestConfig::default() })]

    #[test]
    fn the_tree_is_that_of_a_simple_model_and_sound_whatever_is_made_moved_and_deleted(
        acts in prop::collection::vec(any_act(), 1..80),
    ) {
        let flow = Flow::builder(1).build().expect("a flow");
        flow.look(|site| run(site, acts)).map_err(TestCaseError::fail)?;
    }
}

#[test]
fn the_deepest_category_is_the_eighth_and_nothing_moves_deeper() {
    let flow = Flow::builder(1).build().expect("a flow");
    flow.look(|site| async move {
        let (outbox, mut model) = (site.outbox(), Model::default());
        for (number, one) in (1..).zip(0..MOST_DEPTH) {
            let act = Act::Put(one, one.checked_sub(1), 0);
            assert!(step(outbox, &mut model, number, act).await);
        }
        assert_eq!(model.nodes.len(), MOST_DEPTH, "eight were allowed");
        // A ninth; and the chain below another one.
        for (number, act) in [
            (20, Act::Put(8, Some(7), 0)),
            (21, Act::Put(9, None, 1)),
            (22, Act::Put(0, Some(9), 0)),
            (23, Act::Put(0, Some(3), 0)),
            (24, Act::Put(1, Some(9), 0)),
        ] {
            assert!(step(outbox, &mut model, number, act).await, "{act:?}");
        }
        assert_eq!(model.nodes.len(), MOST_DEPTH + 1, "the ninth was refused");
        assert_eq!(differs(outbox, &model).await, None);
        let second = &model.nodes[&1];
        assert_eq!(second.0, Some(9), "what has room moves");
    });
}

#[test]
fn no_product_is_left_in_a_deleted_category_whichever_of_the_two_is_committed_first() {
    let flow = Flow::builder(1).build().expect("a flow");
    flow.look(|site| async move {
        let outbox = site.outbox();
        assert!(put(outbox, 1, "chairs", None).await);
        // The product comes between the decision to delete and its commit.
        let tries = AtomicU64::new(0);
        let deleted = decide(outbox, 2, async |commerce, transaction| {
            let done = commerce
                .delete_category(transaction, &id("chairs"), None, text("desk"))
                .await;
            if tries.fetch_add(1, Ordering::Relaxed) == 0 {
                assert!(put_product(outbox, 3, Some("chairs")).await);
            }
            done
        });
        assert!(deleted.await.is_none());
        assert_eq!(tries.load(Ordering::Relaxed), 2);
        // Taken out of it and put in again: the row that counts is not the product's.
        assert!(put_product(outbox, 4, None).await);
        let tries = AtomicU64::new(0);
        let product_id = ProductId::new("PRD-1").expect("an id");
        let put_in = decide(outbox, 5, async |commerce, transaction| {
            let done = commerce
                .set_product(
                    transaction,
                    &product_id,
                    chair(Some("chairs")),
                    text("desk"),
                )
                .await;
            if tries.fetch_add(1, Ordering::Relaxed) == 0 {
                assert!(delete_empty(outbox, 6, "chairs").await);
            }
            done
        });
        assert!(put_in.await.is_none());
        assert_eq!(tries.load(Ordering::Relaxed), 2);
        let rows = Commerce {
            outbox,
            table: &table(),
        };
        let listed = rows.products(&rows.products_in(&id("chairs"), 10)).await;
        assert!(listed.expect("reads").0.is_empty());
    });
}

#[test]
fn of_two_changes_of_the_tree_at_the_same_time_the_second_one_sees_the_first() {
    let flow = Flow::builder(1).build().expect("a flow");
    flow.look(|site| async move {
        let outbox = site.outbox();
        assert!(put(outbox, 1, "one", None).await);
        assert!(put(outbox, 2, "two", None).await);
        // Each of them alone is allowed; both would be a circle.
        let tries = AtomicU64::new(0);
        let moved = decide(outbox, 3, async |commerce, transaction| {
            let wanted = details(Some("two"), "one");
            let done = commerce
                .set_category(transaction, &id("one"), wanted, text("desk"))
                .await;
            if tries.fetch_add(1, Ordering::Relaxed) == 0 {
                assert!(put(outbox, 4, "two", Some("one")).await);
            }
            done
        });
        assert!(moved.await.is_none());
        assert_eq!(tries.load(Ordering::Relaxed), 2);
        let table = &table();
        let tree = Commerce { outbox, table }
            .categories()
            .await
            .expect("reads");
        let paths: Vec<String> = tree.places().into_iter().map(|place| place.path).collect();
        assert_eq!(paths, ["one", "one/two"]);
    });
}

#[test]
fn no_row_of_categories_is_taken_for_the_state_of_an_aggregate() {
    // The sort key of every state can be an id.
    for list in [
        "categories",
        "category_tree",
        "category_joins",
        "category_work",
        "category_products#state",
    ] {
        assert_eq!(crate::DOMAIN.aggregate_at(list, "state"), None, "{list}");
    }
}
