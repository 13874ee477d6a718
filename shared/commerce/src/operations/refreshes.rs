//! Carts are kept up to date with what their lines follow from.

use events::{CartId, Envelope};
use futures::{StreamExt as _, stream};
use outbox::{Condition, Cursor, Error, Transaction};

use super::{Commerce, OrderStopped, system};
use crate::{
    Cart,
    cart::{Refresh, Subject, Watch},
};

/// The carts of a page. Each is at most four items: the cart, its event, and two rows if the customer's tier changed. Beside them the
/// transaction has the rows of the changes, its mark, and the lease.
pub const CARTS_PER_PAGE: u32 = 20;

/// The changes that a page can finish, each an item of its transaction, if no cart follows from them.
const ROWS_PER_PAGE: u32 = 15;

const _: () =
    assert!((CARTS_PER_PAGE * 4 + ROWS_PER_PAGE) as usize + 2 <= outbox::MAX_TRANSACTION_ITEMS);

/// How often a page looks for carts without finding any.
const LOOKS_PER_PAGE: usize = 50;

/// The carts that are calculated at the same time. Each can have 45 products of 48 KB in memory meanwhile.
const AT_ONCE: usize = 4;

/// What a page did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// How many carts it looked at.
    pub seen: u64,
    /// How many of them came out otherwise.
    pub changed: u64,
    /// Those that cannot be calculated, and why. They stay as they are.
    pub left: Vec<(CartId, String)>,
}

impl Commerce<'_> {
    /// Writes down that the carts that follow from these are to be calculated anew, because of an event.
    ///
    /// # Errors
    /// [`Error`] if the transaction cannot be built.
    pub fn begin_refresh(
        &self,
        transaction: &mut Transaction,
        envelope: &Envelope,
        subjects: Vec<Subject>,
    ) -> Result<(), Error> {
        if subjects.is_empty() {
            return Ok(());
        }
        let refresh = Refresh {
            event_id: envelope.event_id,
            correlation_id: envelope.correlation_id,
            occurred_at: envelope.occurred_at,
            subjects,
            after: None,
        };
        transaction.insert(refresh.key(self.table), &refresh)?;
        Ok(())
    }

    /// Whether any carts are to be calculated anew.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn has_refresh(&self) -> Result<bool, Error> {
        let first = Refresh::first(self.table, 1);
        let (rows, _) = self.outbox.rows::<Refresh>(&first).await?;
        Ok(!rows.is_empty())
    }

    /// Calculates the next carts anew that are waiting for it; `None` if there are none.
    ///
    /// # Errors
    /// [`Error`] when something cannot be read or the transaction cannot be built.
    pub async fn refresh_carts(
        &self,
        transaction: &mut Transaction,
    ) -> Result<Option<Refreshed>, Error> {
        let first = Refresh::first(self.table, ROWS_PER_PAGE);
        let (rows, _) = self.outbox.rows::<Refresh>(&first).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        let (mut done, mut looks) = (Refreshed::default(), LOOKS_PER_PAGE);
        for mut refresh in rows {
            let watching = self.next_carts(&mut refresh, &mut looks).await?;
            if !watching.is_empty() {
                done = self.refresh_each(transaction, &refresh, &watching).await?;
            }
            let key = refresh.key(self.table);
            if refresh.subjects.is_empty() {
                transaction.delete(key, Condition::Present);
            } else {
                transaction.put(key, &refresh, Condition::Present)?;
            }
            if looks == 0 || !watching.is_empty() {
                break;
            }
        }
        Ok(Some(done))
    }

    /// The next carts that follow from a change, and moves the change on. Most skus of a shop are in no cart, so it goes on until it
    /// finds some, as long as there are `looks` left.
    async fn next_carts(
        &self,
        refresh: &mut Refresh,
        looks: &mut usize,
    ) -> Result<Vec<Watch>, Error> {
        while *looks > 0 {
            let Some(subject) = refresh.subjects.first() else {
                break;
            };
            *looks -= 1;
            let page = subject.carts(self.table, CARTS_PER_PAGE, position(refresh)?);
            let (found, next) = self.outbox.rows::<Watch>(&page).await?;
            refresh.after = next.as_ref().map(Cursor::to_text);
            if next.is_none() {
                refresh.subjects.remove(0);
            }
            if !found.is_empty() {
                return Ok(found);
            }
        }
        Ok(Vec::new())
    }

    /// Calculates these carts, at least one, and saves those that come out otherwise.
    async fn refresh_each(
        &self,
        transaction: &mut Transaction,
        refresh: &Refresh,
        watching: &[Watch],
    ) -> Result<Refreshed, Error> {
        let mut done = Refreshed::default();
        let ids: Vec<String> = watching.iter().map(|one| one.cart_id.to_string()).collect();
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        let carts = self.outbox.load_each::<Cart>(self.table, &ids).await?;
        let begun = &*transaction;
        let mut each = Vec::with_capacity(carts.len());
        for cart in &carts {
            each.push(self.refreshed(begun, cart));
        }
        let calculated: Vec<_> = stream::iter(each).buffered(AT_ONCE).collect().await;
        let cause = refresh.cause();
        for (one, calculated) in watching.iter().zip(calculated) {
            done.seen += 1;
            match calculated {
                Ok(None) => {}
                Ok(Some(fresh)) => {
                    let by = (&cause, system()?);
                    self.save_refreshed(transaction, fresh, by)?;
                    done.changed += 1;
                }
                Err(OrderStopped::Failed(error)) => return Err(error),
                Err(OrderStopped::Refused(refusal)) => {
                    done.left.push((one.cart_id, refusal.to_string()));
                }
            }
        }
        Ok(done)
    }
}

/// Where the carts of the first subject continue.
fn position(refresh: &Refresh) -> Result<Option<Cursor>, Error> {
    let Some(text) = &refresh.after else {
        return Ok(None);
    };
    let unreadable = || Error::Refused(format!("{text:?} is no position in a list of carts"));
    Cursor::from_text(text).map(Some).ok_or_else(unreadable)
}
