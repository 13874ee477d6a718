//! Customers.

use events::{CustomerId, Text};
use outbox::{Entity, Error, Transaction};

use super::Commerce;
use crate::{
    Customer, Done,
    customer::{self, Profile},
};

impl Commerce<'_> {
    /// A customer; the entity is empty if there is none.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn customer(&self, customer_id: &CustomerId) -> Result<Entity<Customer>, Error> {
        self.load(customer_id.as_str()).await
    }

    /// Registers a customer, or replaces what is known of it. What is known already changes nothing.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read or the transaction cannot be built.
    pub async fn set_customer(
        &self,
        transaction: &mut Transaction,
        customer_id: &CustomerId,
        profile: Profile,
        by: Text<256>,
    ) -> Result<Done<Customer>, Error> {
        let entity = self.customer(customer_id).await?;
        customer::set(transaction, &entity, customer_id, profile, by)
    }
}
