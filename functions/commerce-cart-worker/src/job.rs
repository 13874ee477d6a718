//! The job: calculates open carts anew after a change of what their lines follow from, and compares open quotes with prices.
//!
//! A page takes the next carts of the earliest change and saves those that come out otherwise, together with the place where the next
//! page goes on. A cart is calculated by what holds now, so a page that is done twice changes nothing the second time, and a cart that
//! was changed by its customer meanwhile is up to date already.
//!
//! After the carts of a sku come the open quotes with a line of it. One that locks prices too far from those of now is flagged, once.
//!
//! A page that finds no such change takes the next products of the earliest category that is being deleted, and puts them into the one
//! that they go to; then the categories below it; and then it deletes the category. What has gone is not found again, so no position is
//! kept.

use async_trait::async_trait;
use commerce::operations::{Commerce, Reassigned};
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
        let commerce = self.commerce();
        Ok(commerce.has_refresh().await? || commerce.has_reassignment().await?)
    }

    async fn page(
        &self,
        _: Option<&()>,
        mut transaction: Transaction,
    ) -> Result<Paged<()>, Failure> {
        let refreshed = self.commerce().refresh_next(&mut transaction).await?;
        let Some(refreshed) = refreshed else {
            let reassigned = self.commerce().reassign(&mut transaction).await?;
            return Ok(match reassigned {
                None => Paged::new(transaction, Next::End),
                Some(reassigned) => counted(transaction, reassigned),
            });
        };
        let left = u64::try_from(refreshed.left.len()).unwrap_or(u64::MAX);
        let page = Paged::new(transaction, Next::From(()))
            .count("seen", refreshed.seen)
            .count("changed", refreshed.changed)
            .count("quotes", refreshed.quotes)
            .count("flagged", refreshed.flagged)
            .count("left", left);
        let notes = refreshed.left.into_iter();
        Ok(notes.fold(page, |page, (what, why)| {
            page.note(format!("{what} stays as it is: {why}"))
        }))
    }
}

fn counted(transaction: Transaction, reassigned: Reassigned) -> Paged<()> {
    Paged::new(transaction, Next::From(()))
        .count("products", reassigned.products)
        .count("categories", reassigned.categories)
        .count("deleted", reassigned.deleted)
}

#[cfg(test)]
mod tests;
