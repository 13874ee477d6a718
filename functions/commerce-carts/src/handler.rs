//! The handler of `commerce-carts`: writes down what changed, if carts can follow from it. `commerce-cart-worker` finds the carts.
//!
//! A product in many carts would take longer than a message may, so nothing of a cart is read or written here: the row and the event's
//! mark are one transaction, and the worker goes on where it was, however often it is stopped.

use std::collections::BTreeSet;

use async_trait::async_trait;
use commerce::{cart::Subject, operations::Commerce, price_list::Audience};
use consumer::{Failure, Handler, Received};
use events::{
    PriceListId,
    contracts::{
        price::{ListChange, ListChanged, ListTerms},
        product::ChangeType,
        stock,
    },
};
use outbox::{Outbox, Table, Transaction};

/// The events that the consumer handles, as declared.
pub use topology::functions::commerce_carts::Event;

/// The consumer `commerce-carts`.
#[derive(Debug)]
pub struct CommerceCarts {
    outbox: Outbox,
    table: Table,
}

impl CommerceCarts {
    /// Creates the consumer over the domain's table.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table) -> Self {
        Self { outbox, table }
    }
}

/// Whether lines of the sku can be sold now and could not before, or the other way round.
fn flips(event: &stock::Changed) -> bool {
    (event.previous_quantity == 0) != (event.new_quantity == 0)
}

/// Whether prices can be others by a change of a price list. A new list has no prices yet.
fn reprices(event: &ListChanged) -> bool {
    match event.change_type {
        ListChange::Created => false,
        ListChange::Updated => {
            let named = |terms: &ListTerms| ListTerms {
                name: event.terms.name.clone(),
                ..terms.clone()
            };
            event.previous_terms.as_ref().map(named).as_ref() != Some(&event.terms)
        }
        ListChange::Withdrawn | ListChange::Began | ListChange::Ended => true,
    }
}

/// For whom the list is that changed; `None` if no price can be another one by it.
fn audience(event: &ListChanged) -> Option<Audience> {
    if !reprices(event) {
        return None;
    }
    Audience::of(event.customer_id.clone(), event.tier.clone())
}

/// The price list of which every sku can cost something else: one for everybody.
fn price_list(event: &Event) -> Option<&PriceListId> {
    match event {
        Event::PriceList(event) if audience(event) == Some(Audience::Everybody) => {
            Some(&event.price_list_id)
        }
        _ => None,
    }
}

/// What changed of which the lines of carts can be made.
fn subjects(event: &Event) -> Vec<Subject> {
    match event {
        Event::PriceList(event) => match audience(event) {
            Some(Audience::Customer(customer_id)) => vec![Subject::Customer(customer_id)],
            Some(Audience::Tier(tier)) => vec![Subject::Tier(tier)],
            // Every cart, so it is found by the skus of the list.
            Some(Audience::Everybody) | None => Vec::new(),
        },
        Event::ListPrice(event) => vec![Subject::Sku(event.sku.clone())],
        Event::Price(event) => vec![Subject::Sku(event.sku.clone())],
        Event::Tier(event) => vec![Subject::Tier(event.tier.clone())],
        Event::Customer(event) => vec![Subject::Customer(event.customer_id.clone())],
        Event::Stock(event) if flips(event) => vec![Subject::Sku(event.sku.clone())],
        // The event of the stock itself says so; and nothing of a line follows from the category.
        Event::ProductUpdated(event)
            if matches!(
                event.change_type,
                ChangeType::StockStatusChanged | ChangeType::CategoryChanged
            ) =>
        {
            Vec::new()
        }
        Event::Stock(_) => Vec::new(),
        Event::ProductUpdated(event) => {
            // A variant that is gone now can be in carts as well.
            let now = event.product.variants.iter();
            let all = now.chain(&event.previous_values.variants);
            let skus: BTreeSet<_> = all.map(|variant| variant.sku.clone()).collect();
            skus.into_iter().map(Subject::Sku).collect()
        }
        Event::ProductDeleted(event) => event.skus.iter().cloned().map(Subject::Sku).collect(),
    }
}

#[async_trait]
impl Handler for CommerceCarts {
    // Every mark that the consumer writes contains this name: never rename it.
    const NAME: &'static str = topology::functions::commerce_carts::FUNCTION.name;
    type Event = Event;

    async fn decide(
        &self,
        received: &Received<Event>,
        mut transaction: Transaction,
    ) -> Result<Transaction, Failure> {
        let commerce = Commerce {
            outbox: &self.outbox,
            table: &self.table,
        };
        let (subjects, price_list) = (subjects(&received.event), price_list(&received.event));
        commerce.begin_refresh(&mut transaction, &received.envelope, subjects, price_list)?;
        Ok(transaction)
    }
}

#[cfg(test)]
mod tests {
    use testkit::costs::sample;

    use super::*;

    fn of(event: &Event) -> Vec<String> {
        subjects(event).iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_stock_concerns_carts_only_when_it_runs_out_or_comes_back() {
        let changed = |previous: u32, new: u32| {
            let mut event: stock::Changed =
                serde_json::from_value(sample("stock.changed")).expect("a sample");
            event.previous_quantity = previous;
            event.new_quantity = new;
            of(&Event::Stock(event)).len()
        };
        assert_eq!(changed(0, 5), 1);
        assert_eq!(changed(5, 0), 1);
        assert_eq!(changed(5, 4), 0);
        assert_eq!(changed(0, 0), 0);
    }

    fn of_list(change: impl FnOnce(&mut ListChanged)) -> (Vec<String>, bool) {
        let mut event: ListChanged =
            serde_json::from_value(sample("price.list_changed")).expect("a sample");
        (event.customer_id, event.tier) = (None, None);
        event.change_type = ListChange::Began;
        event.previous_terms = None;
        change(&mut event);
        let event = Event::PriceList(event);
        (of(&event), price_list(&event).is_some())
    }

    #[test]
    fn a_price_list_concerns_the_carts_of_those_whom_it_is_for() {
        let none = Vec::<String>::new();
        assert_eq!(of_list(|_| {}), (none.clone(), true));
        let of_customer = of_list(|event| {
            let customer_id = events::CustomerId::new("acme").expect("an id");
            event.customer_id = Some(customer_id);
        });
        assert_eq!(of_customer, (vec!["customer/acme".to_owned()], false));
        let of_tier = of_list(|event| {
            let tier = events::TierName::new("gold").expect("a name");
            event.tier = Some(tier);
        });
        assert_eq!(of_tier, (vec!["tier/gold".to_owned()], false));
        // A list that was just made says nothing of any sku.
        let made = of_list(|event| event.change_type = ListChange::Created);
        assert_eq!(made, (none, false));
    }

    #[test]
    fn another_name_of_a_price_list_concerns_nobody_and_another_term_does() {
        let replaced = |change: fn(&mut ListTerms)| {
            let (_, concerns_all) = of_list(|event| {
                event.change_type = ListChange::Updated;
                let mut terms = event.terms.clone();
                change(&mut terms);
                event.previous_terms = Some(terms);
            });
            concerns_all
        };
        assert!(!replaced(|terms| {
            terms.name = events::Text::new("Another name").expect("a name");
        }));
        assert!(replaced(|terms| terms.priority += 1));
        assert!(replaced(|terms| terms.valid_until = None));
    }

    #[test]
    fn what_a_price_list_says_of_a_sku_concerns_the_carts_with_it() {
        let event = serde_json::from_value(sample("price.list_price_changed")).expect("a sample");
        let event = Event::ListPrice(event);
        assert_eq!(of(&event), ["sku/PRD-001-A"]);
        assert!(price_list(&event).is_none());
    }

    #[test]
    fn a_product_concerns_the_carts_of_the_variants_that_it_has_and_had() {
        let mut event: events::contracts::product::Updated =
            serde_json::from_value(sample("product.updated")).expect("a sample");
        let mut gone = event.product.variants[0].clone();
        gone.sku = events::Sku::new("gone").expect("a sku");
        event.previous_values.variants.push(gone);
        event.change_type = ChangeType::VariantRemoved;
        let skus = of(&Event::ProductUpdated(event.clone()));
        assert!(skus.contains(&"sku/gone".to_owned()), "{skus:?}");
        let own = format!("sku/{}", event.product.variants[0].sku);
        assert!(skus.contains(&own), "{skus:?}");
        for nothing in [ChangeType::StockStatusChanged, ChangeType::CategoryChanged] {
            event.change_type = nothing;
            assert!(of(&Event::ProductUpdated(event.clone())).is_empty());
        }
    }
}
