//! The job: calculates open carts anew after a change of what their lines follow from.
//!
//! A page takes the next carts of the earliest change and saves those that come out otherwise, together with the place where the next
//! page goes on. A cart is calculated by what holds now, so a page that is done twice changes nothing the second time, and a cart that
//! was changed by its customer meanwhile is up to date already.

use async_trait::async_trait;
use commerce::operations::Commerce;
use consumer::{
    Failure,
    schedule::{self, Next, Paged},
};
use events::Timestamp;
use outbox::{Outbox, Table, Transaction};

/// The job `commerce-cart-worker`.
#[derive(Debug)]
pub struct CartWorker {
    outbox: Outbox,
    table: Table,
}

impl CartWorker {
    /// Creates the job over the domain's table.
    #[must_use]
    pub fn new(outbox: Outbox, table: Table) -> Self {
        Self { outbox, table }
    }

    fn commerce(&self) -> Commerce<'_> {
        Commerce {
            outbox: &self.outbox,
            table: &self.table,
        }
    }
}

#[async_trait]
impl schedule::Job for CartWorker {
    const NAME: &'static str = topology::functions::commerce_cart_worker::FUNCTION.name;
    /// Nothing: each change's own row says where it goes on.
    type Cursor = ();

    async fn has_work(&self, _: Timestamp) -> Result<bool, Failure> {
        Ok(self.commerce().has_refresh().await?)
    }

    async fn page(
        &self,
        _: Option<&()>,
        mut transaction: Transaction,
    ) -> Result<Paged<()>, Failure> {
        let refreshed = self.commerce().refresh_carts(&mut transaction).await?;
        let Some(refreshed) = refreshed else {
            return Ok(Paged::new(transaction, Next::End));
        };
        let left = u64::try_from(refreshed.left.len()).unwrap_or(u64::MAX);
        let page = Paged::new(transaction, Next::From(()))
            .count("seen", refreshed.seen)
            .count("changed", refreshed.changed)
            .count("left", left);
        let notes = refreshed.left.into_iter();
        Ok(notes.fold(page, |page, (cart_id, why)| {
            page.note(format!("cart {cart_id} stays as it is: {why}"))
        }))
    }
}

#[cfg(test)]
mod tests;
