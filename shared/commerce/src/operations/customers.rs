//! Customers; and how every list is kept: those of customers, products, credit accounts, and the orders and quotes of a customer.

use events::{CustomerId, Text};
use outbox::{Cursor, Entity, Error, Query, State, Transaction};
use serde::{Deserialize, Serialize};

use super::{Commerce, OrderStopped as Stopped};
use crate::{
    Customer, Done, Refusal as Calculation,
    customer::{self, Profile},
    order::Refusal,
};

/// The partition of the list of customers.
const LIST: &str = "customers";

/// A row of a list: the id of what it lists. It is written once, in the transaction that creates what it lists. A list is
/// answered with the states, which are read by these ids, so no row has to follow a change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Listed {
    /// The id.
    pub(super) id: String,
}

impl Commerce<'_> {
    /// A customer; the entity is empty if there is none.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn customer(&self, customer_id: &CustomerId) -> Result<Entity<Customer>, Error> {
        self.load(customer_id.as_str()).await
    }

    /// The query for all customers, by id. [`Self::customers`] reads it.
    #[must_use]
    pub fn all_customers(&self, limit: u32) -> Query {
        Query::partition(self.table, LIST, limit)
    }

    /// A page of [`Self::all_customers`], at most 100, and where the next page begins.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    pub async fn customers(
        &self,
        query: &Query,
    ) -> Result<(Vec<Done<Customer>>, Option<Cursor>), Error> {
        self.listed(query).await
    }

    /// Registers a customer, which also lists it, or replaces what is known of it. What is known already changes nothing. Its tier must
    /// exist: carts would else keep the prices of before, and nobody who makes the tier later would find them.
    ///
    /// # Errors
    /// [`Refusal::Calculation`] for an unknown tier; [`Stopped::Failed`].
    pub async fn set_customer(
        &self,
        transaction: &mut Transaction,
        customer_id: &CustomerId,
        profile: Profile,
        by: Text<256>,
    ) -> Result<Done<Customer>, Stopped> {
        let tier = profile.tier.as_ref();
        let known = futures::try_join!(self.customer(customer_id), async {
            match tier {
                Some(tier) => Ok(self.tier(tier).await?.state().is_some()),
                None => Ok(true),
            }
        });
        let (entity, has_tier) = known?;
        if let Some(tier) = tier.filter(|_| !has_tier) {
            let tier = tier.clone();
            return Err(Refusal::Calculation(Calculation::UnknownTier { tier }).into());
        }
        if entity.state().is_none() {
            let id = customer_id.to_string();
            transaction.insert(self.table.key(LIST, id.as_str()), &Listed { id })?;
        }
        Ok(customer::set(
            transaction,
            &entity,
            customer_id,
            profile,
            by,
        )?)
    }

    /// A page of a list, at most 100 rows: the states of what it lists, and where the next page begins.
    pub(super) async fn listed<S: State + Clone>(
        &self,
        query: &Query,
    ) -> Result<(Vec<Done<S>>, Option<Cursor>), Error> {
        let (rows, next) = self.outbox.rows::<Listed>(query).await?;
        let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
        let entities = self.outbox.load_each::<S>(self.table, &ids).await?;
        // What is listed exists: both were written in one transaction.
        let found = entities
            .iter()
            .filter_map(|entity| Done::stored(entity).transpose());
        Ok((found.collect::<Result<_, _>>()?, next))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::expect_used)]

    use super::*;
    use crate::operations::{credit, orders, price_lists, quotes};

    #[test]
    fn no_row_of_a_list_is_taken_for_the_state_of_an_aggregate() {
        // The sort key of every state can be the id of a customer.
        let id = "state";
        let customer_id = CustomerId::new(id).expect("an id");
        let of_customer = [orders::list_of(&customer_id), quotes::list_of(&customer_id)];
        let of_customer = of_customer.iter().map(String::as_str);
        let of_price_list = price_lists::list_of(&events::PriceListId::new(id).expect("an id"));
        let lists = [
            LIST,
            credit::LIST,
            price_lists::LIST,
            of_price_list.as_str(),
        ];
        for list in lists.into_iter().chain(of_customer) {
            assert_eq!(crate::DOMAIN.aggregate_at(list, id), None, "{list}");
        }
    }
}
