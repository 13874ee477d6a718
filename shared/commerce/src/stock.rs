//! The stock of a sku: what is in the house, and what of it is reserved for orders.

mod reservation;

pub use reservation::{RESERVATION, Reservation};

use domain::{Contradiction, Rebuild, Step, must};
use events::{
    Contract as _, Envelope, OrderId, ProductId, Retention, Sequence, Sku, Text, Timestamp,
    contracts::stock::{ChangeType, Changed, StockStatus},
    subscription,
};
use outbox::State;
use serde::{Deserialize, Serialize};

use crate::{Change, Refusal};

/// The largest quantity of a stock.
pub const LARGEST_STOCK: u32 = 1_000_000_000;

/// The stock of a sku. Its fields change in [`change`] alone, which also makes the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stock {
    product_id: ProductId,
    sku: Sku,
    on_hand: u32,
    /// At most `on_hand`.
    reserved: u32,
    threshold_low_stock: u32,
    updated_at: Timestamp,
    updated_by: Text<256>,
}

impl State for Stock {
    const AGGREGATE: &'static str = Changed::AGGREGATE;
}

impl Stock {
    /// The product.
    #[must_use]
    pub fn product_id(&self) -> &ProductId {
        &self.product_id
    }

    /// The stock-keeping number.
    #[must_use]
    pub fn sku(&self) -> &Sku {
        &self.sku
    }

    /// What is in the house.
    #[must_use]
    pub fn on_hand(&self) -> u32 {
        self.on_hand
    }

    /// What of it is reserved for orders.
    #[must_use]
    pub fn reserved(&self) -> u32 {
        self.reserved
    }

    /// What can be sold.
    #[must_use]
    pub fn available(&self) -> u32 {
        // Never below zero: no step lets more be reserved than is there.
        self.on_hand.saturating_sub(self.reserved)
    }

    /// The quantity below which stock is low.
    #[must_use]
    pub fn threshold_low_stock(&self) -> u32 {
        self.threshold_low_stock
    }

    /// What the quantity that can be sold means.
    #[must_use]
    pub fn status(&self) -> StockStatus {
        StockStatus::of(self.available(), self.threshold_low_stock)
    }

    /// When it changed last.
    #[must_use]
    pub fn updated_at(&self) -> Timestamp {
        self.updated_at
    }

    /// Who changed it last.
    #[must_use]
    pub fn updated_by(&self) -> &Text<256> {
        &self.updated_by
    }
}

/// A step of a stock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StockStep {
    /// So much was counted. It also begins the stock of a sku.
    Counted {
        /// The product that the sku belongs to.
        product_id: ProductId,
        /// What is in the house.
        quantity: u32,
    },
    /// So much came in.
    Received {
        /// How much, more than zero.
        quantity: u32,
    },
    /// So much more or less is there, for a reason.
    Adjusted {
        /// How much more; less if it is below zero. Not zero.
        delta: i64,
        /// Why.
        reason: Text<500>,
    },
    /// The quantity below which stock is low.
    Threshold {
        /// The quantity; 0: never.
        quantity: u32,
    },
    /// So much is reserved for an order, given back by it, or leaves the house.
    Order {
        /// The order.
        order_id: OrderId,
        /// How much.
        quantity: u32,
        /// Which of the three.
        step: OrderStep,
    },
}

/// What an order does with the stock of a sku.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OrderStep {
    /// A part is reserved for it. The caller has asked how much can be sold.
    Reserve,
    /// What was reserved is given back.
    Release,
    /// What was reserved leaves the house.
    Ship,
}

/// Decides a step of the stock of a sku; `version` is the one that the row has after the change. It has no event if the step
/// changes nothing. `owner` is the product that has the sku, for a count; `None` if it is in no product yet: then it belongs to that for
/// which it was counted first.
///
/// # Errors
/// [`Refusal::UnknownStock`] for every step but a count if there is none, [`Refusal::OtherProduct`],
/// [`Refusal::BelowReserved`], [`Refusal::TooMuch`].
pub fn change(
    before: Option<&Stock>,
    sku: &Sku,
    (step, owner): (StockStep, Option<&ProductId>),
    by: Text<256>,
    version: Sequence,
    now: Timestamp,
) -> Result<Change<Stock, Changed>, Refusal> {
    let mut stock = match (before, &step) {
        (Some(stock), _) => stock.clone(),
        (None, StockStep::Counted { product_id, .. }) => Stock {
            product_id: product_id.clone(),
            sku: sku.clone(),
            on_hand: 0,
            reserved: 0,
            threshold_low_stock: 0,
            updated_at: now,
            updated_by: by.clone(),
        },
        (None, _) => return Err(Refusal::UnknownStock { sku: sku.clone() }),
    };
    let (mut reason, mut order) = (None, None);
    let (change_type, on_hand) = match step {
        StockStep::Counted {
            product_id,
            quantity,
        } => {
            let owner = owner.unwrap_or(&stock.product_id);
            if *owner != product_id {
                let (sku, product_id) = (stock.sku, owner.clone());
                return Err(Refusal::OtherProduct { sku, product_id });
            }
            stock.product_id = product_id;
            (ChangeType::Adjusted, i64::from(quantity))
        }
        StockStep::Received { quantity } => (
            ChangeType::Received,
            i64::from(stock.on_hand) + i64::from(quantity),
        ),
        StockStep::Adjusted { delta, reason: why } => {
            reason = Some(why);
            let on_hand = i64::from(stock.on_hand).saturating_add(delta);
            (ChangeType::Adjusted, on_hand)
        }
        StockStep::Threshold { quantity } => {
            stock.threshold_low_stock = quantity;
            (ChangeType::ThresholdChanged, i64::from(stock.on_hand))
        }
        StockStep::Order {
            order_id,
            quantity,
            step,
        } => {
            order = Some(order_id);
            let (on_hand, reserved) = (stock.on_hand, stock.reserved);
            let moved = match step {
                OrderStep::Reserve => reserved.checked_add(quantity),
                OrderStep::Release | OrderStep::Ship => reserved.checked_sub(quantity),
            };
            stock.reserved = moved.ok_or(Refusal::BelowReserved { on_hand, reserved })?;
            let left = i64::from(on_hand);
            match step {
                OrderStep::Reserve => (ChangeType::OrderReserved, left),
                OrderStep::Release => (ChangeType::ReservationReleased, left),
                OrderStep::Ship => (ChangeType::Shipped, left - i64::from(quantity)),
            }
        }
    };
    if on_hand < i64::from(stock.reserved) {
        let (on_hand, reserved) = (stock.on_hand, stock.reserved);
        return Err(Refusal::BelowReserved { on_hand, reserved });
    }
    let on_hand = u32::try_from(on_hand).ok();
    let within = on_hand.filter(|on_hand| *on_hand <= LARGEST_STOCK);
    let most = LARGEST_STOCK;
    stock.on_hand = within.ok_or(Refusal::TooMuch { most })?;
    if before == Some(&stock) {
        return Ok(Change::none(stock));
    }
    stock.updated_at = stock.updated_at.max(now);
    stock.updated_by = by;
    let previous_quantity = before.map_or(0, Stock::available);
    let available = stock.available();
    let quantity_change = i64::from(available) - i64::from(previous_quantity);
    // Two quantities of at most `LARGEST_STOCK` are never further apart.
    let quantity_change = i32::try_from(quantity_change).map_err(|_| Refusal::TooMuch { most })?;
    let event = Changed {
        product_id: stock.product_id.clone(),
        sku: stock.sku.clone(),
        changed_at: stock.updated_at,
        changed_by: stock.updated_by.clone(),
        change_type,
        quantity_change,
        previous_quantity,
        new_quantity: available,
        new_available: available,
        stock_status: stock.status(),
        threshold_low_stock: Some(stock.threshold_low_stock),
        on_hand: Some(stock.on_hand),
        reserved: Some(stock.reserved),
        reason,
        order_id: order,
        version: Some(version),
    };
    Ok(Change::new(stock, event))
}

subscription! {
    /// The recorded events.
    enum Recorded {
        /// It changed.
        Changed(events::contracts::stock::Changed) by Mark,
    }
}

impl Rebuild for Stock {
    type Stored = Self;
    const RETENTION: Retention = Changed::RETENTION;

    fn stored(&self) -> Self {
        self.clone()
    }

    fn apply(id: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let Recorded::Changed(event) = <Recorded as events::Subscription>::decode(envelope)?;
        must(event.sku.as_str() == id, "it is about another sku")?;
        if let Some(before) = &before {
            must(
                before.updated_at <= event.changed_at,
                "it happened before the last change",
            )?;
        }
        let available = before.as_ref().map_or(0, Self::available);
        let (had, held) = before
            .as_ref()
            .map_or((0, 0), |before| (before.on_hand, before.reserved));
        must(
            event.previous_quantity == available,
            "it states another quantity before it",
        )?;
        let missing = || Contradiction::Says("it does not state all of the stock");
        let stock = Self {
            product_id: event.product_id,
            sku: event.sku,
            on_hand: event.on_hand.ok_or_else(missing)?,
            reserved: event.reserved.ok_or_else(missing)?,
            threshold_low_stock: event.threshold_low_stock.ok_or_else(missing)?,
            updated_at: event.changed_at,
            updated_by: event.changed_by,
        };
        must(
            stock.reserved <= stock.on_hand,
            "more is reserved than is there",
        )?;
        let of_order = matches!(
            event.change_type,
            ChangeType::OrderReserved | ChangeType::ReservationReleased | ChangeType::Shipped
        );
        must(
            of_order == event.order_id.is_some(),
            "it must name an order if, and only if, it is a step of one",
        )?;
        let moves = match event.change_type {
            ChangeType::OrderReserved => stock.on_hand == had && stock.reserved > held,
            ChangeType::ReservationReleased => stock.on_hand == had && stock.reserved < held,
            ChangeType::Shipped => {
                stock.reserved < held
                    && had.checked_sub(stock.on_hand) == held.checked_sub(stock.reserved)
            }
            ChangeType::Received => stock.on_hand > had && stock.reserved == held,
            ChangeType::ThresholdChanged => (stock.on_hand, stock.reserved) == (had, held),
            ChangeType::Adjusted | ChangeType::ErpSync | ChangeType::SupplierSync => {
                stock.reserved == held
            }
        };
        must(
            moves,
            "its quantities do not move as its kind of change does",
        )?;
        must(
            (event.new_quantity, event.new_available) == (stock.available(), stock.available()),
            "its quantities do not follow from what is there and reserved",
        )?;
        must(
            i64::from(event.new_quantity) - i64::from(event.previous_quantity)
                == i64::from(event.quantity_change),
            "its change does not follow from its quantities",
        )?;
        must(
            event.stock_status == stock.status(),
            "its status does not follow from its quantities",
        )?;
        let version = event.version.ok_or_else(missing)?;
        Ok((stock, version))
    }
}

#[cfg(test)]
mod tests;
