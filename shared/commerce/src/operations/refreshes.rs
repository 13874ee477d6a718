//! Carts are kept up to date with what their lines follow from, and quotes are looked at when prices move.

use std::fmt::Display;

use events::{Envelope, PriceListId, QuoteId, Sku};
use futures::{StreamExt as _, stream};
use outbox::{Condition, Cursor, Error, Query, Transaction};
use serde::de::DeserializeOwned;

use super::{Commerce, OrderStopped, price_lists::SKUS_AT_ONCE, system};
use crate::{
    Cart,
    cart::{self, Followers, ListUnderWay, Refresh, Subject},
    order::Refusal,
    quote,
};

/// The carts of a page. Each is at most four items: the cart, its event, and two rows if the customer's tier changed. Beside them the
/// transaction has the rows of the changes, its mark, and the lease.
pub const CARTS_PER_PAGE: u32 = 20;

/// The quotes of a page. Each is at most two items: the quote and its event, or the row of one that is not open. A page has carts or
/// quotes, not both.
pub const QUOTES_PER_PAGE: u32 = 20;

/// The changes that a page can finish, each an item of its transaction, if no cart follows from them.
const ROWS_PER_PAGE: u32 = 15;

const _: () =
    assert!((CARTS_PER_PAGE * 4 + ROWS_PER_PAGE) as usize + 2 <= outbox::MAX_TRANSACTION_ITEMS);
const _: () =
    assert!((QUOTES_PER_PAGE * 2 + ROWS_PER_PAGE) as usize + 2 <= outbox::MAX_TRANSACTION_ITEMS);
const _: () = assert!((SKUS_AT_ONCE + ROWS_PER_PAGE) as usize + 2 <= outbox::MAX_TRANSACTION_ITEMS);

/// How often a page looks for carts or quotes without finding any.
const LOOKS_PER_PAGE: usize = 50;

/// The carts or quotes that are calculated at the same time. Each can have 45 products of 48 KB in memory meanwhile.
const AT_ONCE: usize = 4;

/// What a page did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Refreshed {
    /// How many carts it looked at.
    pub seen: u64,
    /// How many of them came out otherwise.
    pub changed: u64,
    /// How many open quotes it looked at.
    pub quotes: u64,
    /// How many of them need repricing from now on.
    pub flagged: u64,
    /// The carts and quotes that cannot be calculated, as people read them, and why. They stay as they are.
    pub left: Vec<(String, String)>,
}

/// Those that a page looks at.
enum Page {
    Carts(Vec<cart::Watch>),
    Quotes(Sku, Vec<quote::Watch>),
    /// Skus of a price list, whose rows must be rewritten before anybody looks for their carts.
    Skus,
    Nobody,
}

impl Commerce<'_> {
    /// Writes down that the carts that follow from these, and from every sku of a price list, are to be calculated anew, and the quotes
    /// looked at, because of an event.
    ///
    /// # Errors
    /// [`Error`] if the transaction cannot be built.
    pub fn begin_refresh(
        &self,
        transaction: &mut Transaction,
        envelope: &Envelope,
        subjects: Vec<Subject>,
        price_list_id: Option<&PriceListId>,
    ) -> Result<(), Error> {
        let price_list = price_list_id.map(|price_list_id| ListUnderWay {
            price_list_id: price_list_id.clone(),
            after: None,
        });
        let refresh = Refresh {
            event_id: envelope.event_id,
            correlation_id: envelope.correlation_id,
            occurred_at: envelope.occurred_at,
            subjects,
            price_list,
            followers: Followers::default(),
            after: None,
        };
        if !refresh.is_done() {
            transaction.insert(refresh.key(self.table), &refresh)?;
        }
        Ok(())
    }

    /// Whether any carts are to be calculated anew, or quotes looked at.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn has_refresh(&self) -> Result<bool, Error> {
        let first = Refresh::first(self.table, 1);
        let (rows, _) = self.outbox.rows::<Refresh>(&first).await?;
        Ok(!rows.is_empty())
    }

    /// Calculates the next carts anew that are waiting for it, or looks at the next quotes; `None` if there are none.
    ///
    /// # Errors
    /// [`Error`] when something cannot be read or the transaction cannot be built.
    pub async fn refresh_next(
        &self,
        transaction: &mut Transaction,
    ) -> Result<Option<Refreshed>, Error> {
        let first = Refresh::first(self.table, ROWS_PER_PAGE);
        let (rows, _) = self.outbox.rows::<Refresh>(&first).await?;
        if rows.is_empty() {
            return Ok(None);
        }
        let (mut done, mut looks) = (None, LOOKS_PER_PAGE);
        for mut refresh in rows {
            let page = self.next_page(transaction, &mut refresh, &mut looks);
            done = match page.await? {
                Page::Nobody => None,
                Page::Skus => Some(Refreshed::default()),
                Page::Carts(watching) => {
                    let done = self.refresh_each(transaction, &refresh, &watching).await?;
                    Some(done)
                }
                Page::Quotes(sku, watching) => {
                    let of = (&sku, &watching[..]);
                    Some(self.flag_each(transaction, &refresh, of).await?)
                }
            };
            let key = refresh.key(self.table);
            if refresh.is_done() {
                transaction.delete(key, Condition::Present);
            } else {
                transaction.put(key, &refresh, Condition::Present)?;
            }
            if looks == 0 || done.is_some() {
                break;
            }
        }
        Ok(Some(done.unwrap_or_default()))
    }

    /// The next carts or quotes that follow from a change, and moves the change on. Most skus of a shop are in no cart and no quote, so
    /// it goes on until it finds some, as long as there are `looks` left.
    async fn next_page(
        &self,
        transaction: &mut Transaction,
        refresh: &mut Refresh,
        looks: &mut usize,
    ) -> Result<Page, Error> {
        while *looks > 0 {
            if refresh.is_done() {
                break;
            }
            *looks -= 1;
            let Some(subject) = refresh.subjects.first().cloned() else {
                self.next_skus(transaction, refresh).await?;
                if !refresh.subjects.is_empty() {
                    return Ok(Page::Skus);
                }
                continue;
            };
            if let (Followers::Quotes, Subject::Sku(sku)) = (refresh.followers, &subject) {
                let all = quote::Watch::quotes(self.table, sku, QUOTES_PER_PAGE, None);
                let quotes = self.following::<quote::Watch>(refresh, all).await?;
                if !quotes.is_empty() {
                    return Ok(Page::Quotes(sku.clone(), quotes));
                }
                continue;
            }
            let all = subject.carts(self.table, CARTS_PER_PAGE, None);
            let carts = self.following::<cart::Watch>(refresh, all).await?;
            if !carts.is_empty() {
                self.pass_over_quotes(refresh).await?;
                return Ok(Page::Carts(carts));
            }
        }
        Ok(Page::Nobody)
    }

    /// Lets a change go on with the next skus of its price list.
    async fn next_skus(
        &self,
        transaction: &mut Transaction,
        refresh: &mut Refresh,
    ) -> Result<(), Error> {
        let Some(list) = refresh.price_list.take() else {
            return Ok(());
        };
        let after = position(list.after.as_deref())?;
        let (skus, next) = self
            .rewrite_skus(transaction, &list.price_list_id, after)
            .await?;
        refresh.subjects = skus.into_iter().map(Subject::Sku).collect();
        refresh.price_list = next.map(|next| ListUnderWay {
            after: Some(next.to_text()),
            ..list
        });
        Ok(())
    }

    /// The next rows of all that follow from the first subject of a change, and moves the change on.
    async fn following<T: DeserializeOwned>(
        &self,
        refresh: &mut Refresh,
        all: Query,
    ) -> Result<Vec<T>, Error> {
        let after = position(refresh.after.as_deref())?;
        let page = Query { after, ..all };
        let (found, next) = self.outbox.rows::<T>(&page).await?;
        match next {
            Some(next) => refresh.after = Some(next.to_text()),
            None => refresh.go_on(),
        }
        Ok(found)
    }

    /// Moves a change on that comes to the quotes of a sku, if there are none: a page of its own would cost more than this look.
    async fn pass_over_quotes(&self, refresh: &mut Refresh) -> Result<(), Error> {
        let (Followers::Quotes, Some(Subject::Sku(sku))) =
            (refresh.followers, refresh.subjects.first())
        else {
            return Ok(());
        };
        let first = quote::Watch::quotes(self.table, sku, 1, None);
        let (rows, _) = self.outbox.rows::<quote::Watch>(&first).await?;
        if rows.is_empty() {
            refresh.go_on();
        }
        Ok(())
    }

    /// Calculates these carts, at least one, and saves those that come out otherwise.
    async fn refresh_each(
        &self,
        transaction: &mut Transaction,
        refresh: &Refresh,
        watching: &[cart::Watch],
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
                    done.left.push(left("cart", &one.cart_id, &refusal));
                }
            }
        }
        Ok(done)
    }

    /// Prices these quotes, at least one, and flags those that need repricing. Removes the rows of those that are not open any more.
    async fn flag_each(
        &self,
        transaction: &mut Transaction,
        refresh: &Refresh,
        (sku, watching): (&Sku, &[quote::Watch]),
    ) -> Result<Refreshed, Error> {
        let mut done = Refreshed::default();
        let ids: Vec<QuoteId> = watching.iter().map(|one| one.quote_id).collect();
        let quotes = self.each_quote(&ids).await?;
        let now = transaction.now();
        let (mut open, mut each) = (Vec::new(), Vec::new());
        for (one, entity) in watching.iter().zip(&quotes) {
            match entity.state().filter(|quote| quote.is_open(now)) {
                None => transaction.delete(one.key(self.table, sku), Condition::Present),
                Some(quote) => {
                    open.push((entity, quote.quote_id()));
                    each.push(self.flagged(entity, quote, now));
                }
            }
        }
        let decided: Vec<_> = stream::iter(each).buffered(AT_ONCE).collect().await;
        let cause = refresh.cause();
        for ((entity, quote_id), decided) in open.into_iter().zip(decided) {
            done.quotes += 1;
            match decided {
                Ok(change) if change.event().is_some() => {
                    change.save_caused(transaction, entity, Some(&cause))?;
                    done.flagged += 1;
                }
                Ok(_) => {}
                Err(OrderStopped::Failed(error)) => return Err(error),
                Err(OrderStopped::Refused(refusal)) => {
                    done.left.push(left("quote", &quote_id, &refusal));
                }
            }
        }
        Ok(done)
    }
}

/// Something that cannot be calculated, as people read it, and why.
fn left(what: &str, id: &impl Display, refusal: &Refusal) -> (String, String) {
    (format!("{what} {id}"), refusal.to_string())
}

/// Where a list continues; `None`: at its beginning.
fn position(text: Option<&str>) -> Result<Option<Cursor>, Error> {
    let Some(text) = text else {
        return Ok(None);
    };
    let unreadable = || {
        Error::Refused(format!(
            "{text:?} is no position in a list of carts, quotes or skus"
        ))
    };
    Cursor::from_text(text).map(Some).ok_or_else(unreadable)
}
