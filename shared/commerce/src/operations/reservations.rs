//! The goods of orders: reserved all or none, given back, shipped.

use events::{
    OrderId, Sku,
    contracts::{
        order::{Goods, Shortage},
        stock::ReservationStatus,
    },
};
use outbox::{Entity, Error, Transaction};

use super::{Commerce, Stopped, system};
use crate::{
    Refusal, Stock,
    stock::{self, OrderStep, Reservation, StockStep},
};

impl Commerce<'_> {
    /// The reservation of an order's goods; the entity is empty if nothing is known of them.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn stock_reservation(&self, order_id: OrderId) -> Result<Entity<Reservation>, Error> {
        self.load(&order_id.to_string()).await
    }

    /// The stock of each of an order's goods, in their order. No two of them may be of the same sku.
    pub(super) async fn stocks(&self, goods: &[Goods]) -> Result<Vec<Entity<Stock>>, Error> {
        let skus: Vec<&Sku> = goods.iter().map(|one| &one.sku).collect();
        self.stocks_of(&skus).await
    }

    /// Reserves the goods of an order, or none of them if there is not enough. If anything is known of the order's goods,
    /// nothing changes: the order has ended meanwhile.
    ///
    /// # Errors
    /// What [`stock::change`] refuses; [`Stopped::Failed`].
    pub async fn reserve_stock(
        &self,
        transaction: &mut Transaction,
        order_id: OrderId,
        goods: Vec<Goods>,
    ) -> Result<(), Stopped> {
        let (reservation, stocks) =
            futures::try_join!(self.stock_reservation(order_id), self.stocks(&goods))?;
        if reservation.state().is_some() {
            return Ok(());
        }
        let (version, now) = (reservation.next_version()?, transaction.now());
        let mut shortages: Vec<Shortage> = Vec::new();
        for (place, short) in short(&goods, &stocks) {
            // The refusal holds for the stock as it was read.
            transaction.check(stocks[place].key().clone(), stocks[place].unchanged());
            shortages.push(short);
        }
        let status = if shortages.is_empty() {
            for (one, stock) in goods.iter().zip(&stocks) {
                step(transaction, stock, one, order_id, OrderStep::Reserve)?;
            }
            ReservationStatus::Reserved
        } else {
            ReservationStatus::Failed
        };
        let change = Reservation::begin(order_id, status, goods, shortages, version, now);
        change.save(transaction, &reservation)?;
        Ok(())
    }

    /// Gives back the goods of an order that was cancelled. If nothing is known of its goods, whatever asks for them later gets
    /// none.
    ///
    /// # Errors
    /// What [`stock::change`] refuses; [`Stopped::Failed`].
    pub async fn release_stock(
        &self,
        transaction: &mut Transaction,
        order_id: OrderId,
        goods: Vec<Goods>,
    ) -> Result<(), Stopped> {
        let reservation = self.stock_reservation(order_id).await?;
        if reservation.state().is_none() {
            let (version, now) = (reservation.next_version()?, transaction.now());
            let status = ReservationStatus::Withdrawn;
            let change = Reservation::begin(order_id, status, goods, Vec::new(), version, now);
            change.save(transaction, &reservation)?;
            return Ok(());
        }
        let ends = (OrderStep::Release, ReservationStatus::Released);
        self.end_stock(transaction, &reservation, ends).await
    }

    /// Takes the goods of an order off the stock: they left the house.
    ///
    /// # Errors
    /// [`Refusal::NothingReserved`] if nothing is known of its goods, what [`stock::change`] refuses; [`Stopped::Failed`].
    pub async fn ship_stock(
        &self,
        transaction: &mut Transaction,
        order_id: OrderId,
    ) -> Result<(), Stopped> {
        let reservation = self.stock_reservation(order_id).await?;
        if reservation.state().is_none() {
            return Err(Refusal::NothingReserved { order_id }.into());
        }
        let ends = (OrderStep::Ship, ReservationStatus::Shipped);
        self.end_stock(transaction, &reservation, ends).await
    }

    async fn end_stock(
        &self,
        transaction: &mut Transaction,
        reservation: &Entity<Reservation>,
        (order_step, status): (OrderStep, ReservationStatus),
    ) -> Result<(), Stopped> {
        let found = reservation.state();
        let reserved = found.filter(|found| found.status() == ReservationStatus::Reserved);
        let Some(found) = reserved else {
            return Ok(());
        };
        let stocks = self.stocks(found.items()).await?;
        for (one, stock) in found.items().iter().zip(&stocks) {
            step(transaction, stock, one, found.order_id(), order_step)?;
        }
        let (version, now) = (reservation.next_version()?, transaction.now());
        let change = found.becomes(status, version, now);
        change.save(transaction, reservation)?;
        Ok(())
    }
}

/// The goods of which there is not enough, with their places.
pub(super) fn short<'a>(
    goods: &'a [Goods],
    stocks: &'a [Entity<Stock>],
) -> impl Iterator<Item = (usize, Shortage)> + 'a {
    let each = goods.iter().zip(stocks).enumerate();
    each.filter_map(|(place, (one, stock))| {
        let available = stock.state().map_or(0, Stock::available);
        let short = Shortage {
            sku: one.sku.clone(),
            wanted: one.quantity,
            available,
        };
        (available < one.quantity).then_some((place, short))
    })
}

fn step(
    transaction: &mut Transaction,
    stock: &Entity<Stock>,
    goods: &Goods,
    order_id: OrderId,
    step: OrderStep,
) -> Result<(), Stopped> {
    let sku: &Sku = &goods.sku;
    let step = StockStep::Order {
        order_id,
        quantity: goods.quantity,
        step,
    };
    let (version, now) = (stock.next_version()?, transaction.now());
    let change = stock::change(stock.state(), sku, (step, None), system()?, version, now)?;
    change.save(transaction, stock)?;
    Ok(())
}
