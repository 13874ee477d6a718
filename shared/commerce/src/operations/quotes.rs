//! Quotes: made from carts, priced again, turned into orders, rejected, and ended when their time is over.

use std::collections::BTreeMap;

use events::{
    CartId, Cause, CustomerId, Money, OrderId, QuoteId, Sku, Text, Timestamp, UnitPrice,
    contracts::{
        cart::CartStatus,
        order::{Goods, Item},
        price::Currency,
        quote::Updated,
    },
};
use outbox::{Condition, Cursor, Entity, Error, Query, Transaction};

use super::{
    Commerce,
    carts::{cause_of_order, goods_of, open},
    customers::Listed,
    orders::{NewOrder, Stopped, profile_of},
    system,
};
use crate::{
    Cart, Change, Done, Order, Quote,
    calculation::MOST_LINES,
    order::{self, Refusal},
    quote::{self, Due, Last, Offered, Watch},
};

/// What a new quote writes beside two items for each line, its price that is checked and the row by which the quote is found: the mark,
/// the quote with its event, its row in the customer's list, that of its end, that of the cart's last quote, the cart that is checked,
/// and the quote whose place it takes, with its event.
const OF_NEW_QUOTE: usize = 9;

const _: () = assert!(2 * MOST_LINES + OF_NEW_QUOTE <= outbox::MAX_TRANSACTION_ITEMS);

/// What the order of a quote writes beside a row for each line that the closed cart no longer watches: those of its customer and
/// tier, the mark, the order with two events, its row in the customer's list, that of its first look, the quote and the cart with an
/// event each.
const OF_ACCEPTED_QUOTE: usize = 12;

const _: () = assert!(MOST_LINES + OF_ACCEPTED_QUOTE <= outbox::MAX_TRANSACTION_ITEMS);

/// The rows that are read at a time to find an open quote of a sku.
const WATCHES_AT_ONCE: u32 = 25;

/// A quote that is to be made, before its goods are priced.
struct New {
    quote_id: QuoteId,
    cart_id: CartId,
    customer_id: CustomerId,
    currency: Currency,
    goods: Vec<Goods>,
    valid_days: u32,
    by: Text<256>,
}

impl Commerce<'_> {
    /// A quote; the entity is empty if there is none.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn quote(&self, quote_id: QuoteId) -> Result<Entity<Quote>, Error> {
        self.load(&quote_id.to_string()).await
    }

    /// The query for the quotes of a customer, newest first. [`Self::quotes`] reads it.
    #[must_use]
    pub fn quotes_of(&self, customer_id: &CustomerId, limit: u32) -> Query {
        Query {
            descending: true,
            ..Query::partition(self.table, list_of(customer_id), limit)
        }
    }

    /// A page of [`Self::quotes_of`], at most 100, and where the next page begins.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    pub async fn quotes(&self, query: &Query) -> Result<(Vec<Done<Quote>>, Option<Cursor>), Error> {
        self.listed(query).await
    }

    /// Makes a quote from an open cart, at the prices of this moment. The cart stays open. The quote takes the place of the one that
    /// was made last from the cart, if that is open or expired. It is valid for so many days, 1 to [`quote::MOST_VALID_DAYS`].
    ///
    /// # Errors
    /// [`Refusal::UnknownCart`], [`Refusal::CartOrdered`], [`Refusal::CartEmpty`], [`Refusal::IdTaken`],
    /// [`Refusal::UnknownCustomer`], [`Refusal::Calculation`], [`Refusal::NotForSale`]; [`Stopped::Failed`].
    pub async fn create_quote(
        &self,
        transaction: &mut Transaction,
        numbers: &quote::Numbers,
        (cart_id, quote_id): (CartId, QuoteId),
        valid_days: u32,
        by: Text<256>,
    ) -> Result<Done<Quote>, Stopped> {
        let last_key = Last::key(self.table, cart_id);
        let (entity, last) =
            futures::try_join!(self.cart(cart_id), self.outbox.row::<Last>(&last_key))?;
        let cart = open(&entity, cart_id)?;
        if cart.items().is_empty() {
            return Err(Refusal::CartEmpty { cart_id }.into());
        }
        let old = match last {
            Some(last) => Some(self.quote(last.quote_id).await?),
            None => None,
        };
        transaction.check(entity.key().clone(), entity.unchanged());
        let new = New {
            quote_id,
            cart_id,
            customer_id: cart.customer_id().clone(),
            currency: cart.currency(),
            goods: cart.items().iter().map(goods_of).collect(),
            valid_days,
            by,
        };
        self.offer(transaction, numbers, old.as_ref(), new).await
    }

    /// Makes a new quote of the goods of one, at the prices of this moment, which takes its place. It is valid for so many days, 1 to
    /// [`quote::MOST_VALID_DAYS`].
    ///
    /// # Errors
    /// [`Refusal::UnknownQuote`]; [`Refusal::QuoteClosed`] if it is neither open nor expired; [`Refusal::IdTaken`],
    /// [`Refusal::UnknownCustomer`], [`Refusal::Calculation`], [`Refusal::NotForSale`]; [`Stopped::Failed`].
    pub async fn reprice_quote(
        &self,
        transaction: &mut Transaction,
        numbers: &quote::Numbers,
        (old_id, quote_id): (QuoteId, QuoteId),
        valid_days: u32,
        by: Text<256>,
    ) -> Result<Done<Quote>, Stopped> {
        let entity = self.quote(old_id).await?;
        let unknown = Refusal::UnknownQuote { quote_id: old_id };
        let old = entity.state().ok_or(unknown)?;
        old.must_be_replaceable()?;
        let new = New {
            quote_id,
            cart_id: old.cart_id(),
            customer_id: old.customer_id().clone(),
            currency: old.currency(),
            goods: old.items().iter().map(goods_of).collect(),
            valid_days,
            by,
        };
        self.offer(transaction, numbers, Some(&entity), new).await
    }

    /// Prices goods and saves a quote of them. `last` is the quote that was made last from the cart.
    async fn offer(
        &self,
        transaction: &mut Transaction,
        numbers: &quote::Numbers,
        last: Option<&Entity<Quote>>,
        new: New,
    ) -> Result<Done<Quote>, Stopped> {
        let now = transaction.now();
        let (entity, customer) =
            futures::try_join!(self.quote(new.quote_id), self.customer(&new.customer_id))?;
        if entity.state().is_some() {
            return Err(Refusal::IdTaken.into());
        }
        let profile = profile_of(&customer, &new.customer_id)?;
        let priced = self
            .price_lines((&new.customer_id, profile), new.currency, &new.goods, now)
            .await?;
        let lines = priced.found.not_for_sale(&new.goods);
        if !lines.is_empty() {
            return Err(Refusal::NotForSale { lines }.into());
        }
        let mut items = Vec::with_capacity(new.goods.len());
        for (line, known) in priced.calculated.lines.into_iter().zip(priced.found.goods) {
            items.push(line.item(transaction.uuid().into(), known.name));
            // Whoever looks for the quotes that a change of the price concerns does not find this one yet.
            let (key, unchanged) = known.price;
            transaction.check(key, unchanged);
        }
        let offered = Offered {
            quote_id: new.quote_id,
            quote_number: numbers.next(self.outbox, self.table).await?,
            customer_id: new.customer_id,
            cart_id: new.cart_id,
            items,
            totals: priced.calculated.totals,
            country: profile.country.clone(),
            vat_treatment: profile.vat_treatment,
            tier: profile.tier.clone(),
            valid_days: new.valid_days,
            by: new.by.clone(),
        };
        let change = quote::create(offered, entity.next_version()?, now);
        self.find_later(transaction, change.state(), last)?;
        let done = change.save(transaction, &entity)?;
        let made = transaction.events().last().map(Cause::event);
        let old = last.and_then(|last| Some((last, last.state()?)));
        if let Some((entity, old)) = old.filter(|(_, old)| old.can_be_superseded()) {
            let version = entity.next_version()?;
            let change = quote::supersede(old, new.quote_id, new.by, version, now)?;
            change.save_caused(transaction, entity, made.as_ref())?;
        }
        Ok(done)
    }

    /// Writes the rows by which a new quote is found: from its skus, its customer, its cart, and when its time is over.
    fn find_later(
        &self,
        transaction: &mut Transaction,
        quote: &Quote,
        last: Option<&Entity<Quote>>,
    ) -> Result<(), Error> {
        let watch = Watch::of(quote);
        for item in quote.items() {
            transaction.insert(watch.key(self.table, &item.sku), &watch)?;
        }
        let due = Due::of(quote);
        transaction.insert(due.key(self.table), &due)?;
        let quote_id = quote.quote_id();
        let id = quote_id.to_string();
        let (list, place) = (
            list_of(quote.customer_id()),
            format!("{}#{id}", quote.created_at()),
        );
        transaction.insert(self.table.key(list, place), &Listed { id })?;
        let is_last = match last.and_then(Entity::state) {
            None => Condition::Absent,
            Some(last) => Condition::Equals(vec![("quote_id", last.quote_id().to_string().into())]),
        };
        let key = Last::key(self.table, quote.cart_id());
        transaction.put(key, &Last { quote_id }, is_last)?;
        Ok(())
    }

    /// Turns a quote into an order at exactly what it offers, in one transaction. The goods must still be for sale, and there must be
    /// enough of them. The cart is closed if it is open and has the goods of the quote, and no others. The events of quote and cart
    /// are caused by the order's.
    ///
    /// # Errors
    /// [`Refusal::UnknownQuote`], [`Refusal::QuoteClosed`], [`Refusal::QuoteExpired`], [`Refusal::QuoteNeedsRepricing`],
    /// [`Refusal::IdTaken`], [`Refusal::UnknownCustomer`], [`Refusal::NoCreditAccount`], [`Refusal::NotForSale`],
    /// [`Refusal::TotalChanged`], [`Refusal::InsufficientStock`]; [`Stopped::Failed`].
    pub async fn accept_quote(
        &self,
        transaction: &mut Transaction,
        numbers: &order::Numbers,
        (quote_id, order_id): (QuoteId, OrderId),
        expected_total: Option<Money>,
        by: Text<256>,
    ) -> Result<Done<Order>, Stopped> {
        let now = transaction.now();
        let entity = self.quote(quote_id).await?;
        let quote = entity.state().ok_or(Refusal::UnknownQuote { quote_id })?;
        let version = entity.next_version()?;
        let accepted = quote::accept(quote, order_id, by.clone(), version, now)?;
        let customer_id = quote.customer_id();
        let (order, customer) = self
            .for_order(order_id, customer_id, quote.currency())
            .await?;
        let profile = profile_of(&customer, customer_id)?;
        let goods: Vec<Goods> = quote.items().iter().map(goods_of).collect();
        let (found, cart) = futures::try_join!(
            self.find_goods(profile.customer_type, &goods),
            self.cart(quote.cart_id())
        )?;
        let new = NewOrder {
            order_id,
            customer_id: customer_id.clone(),
            country: quote.country().clone(),
            vat_treatment: quote.vat_treatment(),
            items: quote.items().to_vec(),
            totals: quote.totals().clone(),
            quote_id: Some(quote_id),
            expected_total,
            by: by.clone(),
        };
        let of = (profile, &found);
        let done = self
            .save_order(transaction, numbers, &order, of, new)
            .await?;
        let cause = cause_of_order(transaction)?;
        accepted.save_caused(transaction, &entity, Some(&cause))?;
        let has_same = |cart: &&Cart| {
            cart.status() == CartStatus::Open && by_sku(cart.items()) == by_sku(quote.items())
        };
        if let Some(same) = cart.state().filter(has_same) {
            self.close_cart(transaction, (&cart, same), order_id, by)?;
        }
        Ok(done)
    }

    /// Writes down that the customer does not want a quote.
    ///
    /// # Errors
    /// [`Refusal::UnknownQuote`], [`Refusal::QuoteClosed`], [`Refusal::QuoteExpired`]; [`Stopped::Failed`].
    pub async fn reject_quote(
        &self,
        transaction: &mut Transaction,
        quote_id: QuoteId,
        reason: Option<Text<500>>,
        by: Text<256>,
    ) -> Result<Done<Quote>, Stopped> {
        let entity = self.quote(quote_id).await?;
        let before = entity.state().ok_or(Refusal::UnknownQuote { quote_id })?;
        let (version, now) = (entity.next_version()?, transaction.now());
        let change = quote::reject(before, reason, by, version, now)?;
        Ok(change.save(transaction, &entity)?)
    }

    /// Looks at the quotes whose time is over, at most `most` of them. Returns those that expire by it, and whether there may be more.
    ///
    /// # Errors
    /// [`Refusal::UnknownQuote`] for a row without quote; [`Stopped::Failed`].
    pub async fn expire_quotes(
        &self,
        transaction: &mut Transaction,
        most: u32,
    ) -> Result<(Vec<Quote>, bool), Stopped> {
        let now = transaction.now();
        let first = Due::first(self.table, most);
        let (rows, more) = self.due::<Due>(&first, |due| due.look_at, now).await?;
        let ids: Vec<QuoteId> = rows.iter().map(|due| due.quote_id).collect();
        let quotes = self.each_quote(&ids).await?;
        let mut expired = Vec::new();
        for (due, entity) in rows.iter().zip(&quotes) {
            transaction.delete(due.key(self.table), Condition::Present);
            let quote_id = due.quote_id;
            let before = entity.state().ok_or(Refusal::UnknownQuote { quote_id })?;
            let change = quote::expire(before, system()?, entity.next_version()?, now);
            if change.event().is_some() {
                expired.push(change.save(transaction, entity)?.state);
            }
        }
        Ok((expired, more))
    }

    /// Whether the time of any quote is over that was not looked at since.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn has_quotes_due(&self, now: Timestamp) -> Result<bool, Error> {
        let first = Due::first(self.table, 1);
        let (rows, _) = self.due::<Due>(&first, |due| due.look_at, now).await?;
        Ok(!rows.is_empty())
    }

    /// Whether any open quote has a line of this sku.
    pub(super) async fn is_quoted(&self, sku: &Sku, now: Timestamp) -> Result<bool, Error> {
        let mut after = None;
        loop {
            let page = Watch::quotes(self.table, sku, WATCHES_AT_ONCE, after);
            let (rows, next) = self.outbox.rows::<Watch>(&page).await?;
            let valid = rows.iter().filter(|row| now < row.valid_until);
            let ids: Vec<QuoteId> = valid.map(|row| row.quote_id).collect();
            let quotes = self.each_quote(&ids).await?;
            let mut quotes = quotes.iter().filter_map(Entity::state);
            if quotes.any(|quote| quote.is_open(now)) {
                return Ok(true);
            }
            if next.is_none() {
                return Ok(false);
            }
            after = next;
        }
    }

    /// These quotes, in their order, all read in one call. No two ids may be the same.
    pub(super) async fn each_quote(&self, ids: &[QuoteId]) -> Result<Vec<Entity<Quote>>, Error> {
        let ids: Vec<String> = ids.iter().map(ToString::to_string).collect();
        if ids.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<&str> = ids.iter().map(String::as_str).collect();
        self.outbox.load_each(self.table, &ids).await
    }

    /// Prices an open quote by what holds now, and decides whether it needs repricing. A quote of which that is said already is not
    /// priced, and stays as it is.
    ///
    /// # Errors
    /// [`Refusal::UnknownCustomer`], [`Refusal::Calculation`]; [`Stopped::Failed`].
    pub(super) async fn flagged(
        &self,
        entity: &Entity<Quote>,
        quote: &Quote,
        now: Timestamp,
    ) -> Result<Change<Quote, Updated>, Stopped> {
        let version = entity.next_version()?;
        if quote.needs_repricing() {
            return Ok(quote::flag(quote, Vec::new(), system()?, version, now));
        }
        let customer_id = quote.customer_id();
        let customer = self.customer(customer_id).await?;
        let profile = profile_of(&customer, customer_id)?;
        let goods: Vec<Goods> = quote.items().iter().map(goods_of).collect();
        let priced = self
            .price_lines((customer_id, profile), quote.currency(), &goods, now)
            .await?;
        let lines = priced.calculated.lines.into_iter();
        let prices: BTreeMap<Sku, UnitPrice> =
            lines.map(|line| (line.sku, line.unit.unit_price)).collect();
        let changes = quote.price_changes(&prices);
        Ok(quote::flag(quote, changes, system()?, version, now))
    }
}

/// How many of each sku there are. No two lines have the same sku.
fn by_sku(items: &[Item]) -> BTreeMap<&Sku, u32> {
    let each = items.iter().map(|item| (&item.sku, item.quantity));
    each.collect()
}

/// The partition of the list of a customer's quotes.
pub(super) fn list_of(customer_id: &CustomerId) -> String {
    format!("customer_quotes#{customer_id}")
}
