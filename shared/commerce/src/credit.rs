//! The credit of a business: how much it may owe, how much of it is reserved for its orders, and how much it owes.
//!
//! What is reserved is the sum of what is open of its orders' [`Reservation`]s that are `reserved`; what it owes is the sum
//! of those that are `owed`. An account and a reservation change in one transaction.

mod reservation;

use std::cmp::Ordering;

pub use reservation::{Asked, RESERVATION, Reservation};

use domain::{Contradiction, Rebuild, Step, must};
use events::{
    Contract as _, CustomerId, Envelope, Money, OrderId, Percent, Retention, Sequence, Text,
    Timestamp,
    contracts::{
        credit::{Changed, CreditChange, NoCredit},
        price::Currency,
    },
    subscription,
};
use outbox::State;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use crate::Change;

/// Why a command on credit is refused. Each variant becomes a problem of its own.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// There is no such customer.
    #[error("there is no customer {customer_id}")]
    UnknownCustomer {
        /// The customer that was asked for.
        customer_id: CustomerId,
    },
    /// The customer is no business.
    #[error("customer {customer_id} is no business; only a business has credit")]
    NoBusiness {
        /// The customer.
        customer_id: CustomerId,
    },
    /// The customer has no account.
    #[error("customer {customer_id} has no credit account")]
    UnknownAccount {
        /// The customer that was asked for.
        customer_id: CustomerId,
    },
    /// The account is in another currency.
    #[error("the account is in {currency}")]
    OtherCurrency {
        /// The account's currency.
        currency: Currency,
    },
    /// The bank's reference is booked.
    #[error("the reference is booked for order {order_id}, with {amount}")]
    AlreadyBooked {
        /// The order for which it is booked.
        order_id: OrderId,
        /// The amount that is booked.
        amount: Money,
    },
    /// No credit of the account is reserved for the order or owed for it.
    #[error("nothing is open for order {order_id}")]
    NothingOpen {
        /// The order.
        order_id: OrderId,
    },
    /// The order's credit is not decided on yet.
    #[error("the credit of order {order_id} is not decided on yet")]
    Undecided {
        /// The order.
        order_id: OrderId,
    },
    /// More is paid than is open.
    #[error("{open} is open")]
    MoreThanOpen {
        /// What is open.
        open: Money,
    },
    /// The amount is zero.
    #[error("the amount must be more than zero")]
    AmountNotPositive,
    /// An amount has more than 15 digits.
    #[error("the amount is too large")]
    TooLarge,
}

/// A credit account. Its fields change in [`change`] alone, which also makes the event.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreditAccount {
    customer_id: CustomerId,
    currency: Currency,
    credit_limit: Money,
    reserved: Money,
    balance: Money,
    blocked: bool,
    updated_at: Timestamp,
    updated_by: Text<256>,
}

impl State for CreditAccount {
    const AGGREGATE: &'static str = Changed::AGGREGATE;
}

impl CreditAccount {
    /// The customer whose account it is.
    #[must_use]
    pub fn customer_id(&self) -> &CustomerId {
        &self.customer_id
    }

    /// The currency of its amounts.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// The most that may be reserved and owed together.
    #[must_use]
    pub fn credit_limit(&self) -> Money {
        self.credit_limit
    }

    /// What is reserved for orders that are not shipped.
    #[must_use]
    pub fn reserved(&self) -> Money {
        self.reserved
    }

    /// What is owed for orders that are shipped.
    #[must_use]
    pub fn balance(&self) -> Money {
        self.balance
    }

    /// Whether no more credit is given.
    #[must_use]
    pub fn blocked(&self) -> bool {
        self.blocked
    }

    /// What may still be reserved. It is zero if more is used than the limit, which may have been lowered.
    #[must_use]
    pub fn available(&self) -> Money {
        Money::new(self.credit_limit.decimal() - self.used()).unwrap_or(Money::ZERO)
    }

    fn used(&self) -> Decimal {
        self.reserved.decimal() + self.balance.decimal()
    }

    /// What is reserved and owed in per cent of the limit, half to even; `None` if the limit is zero.
    #[must_use]
    pub fn utilization(&self) -> Option<Percent> {
        let part = self.used().checked_div(self.credit_limit.decimal())?;
        Percent::rounded(part.checked_mul(Decimal::ONE_HUNDRED)?).ok()
    }

    /// Why no credit of an amount is given; `None` if it is.
    #[must_use]
    pub fn refuses(&self, currency: Currency, amount: Money) -> Option<NoCredit> {
        if self.currency != currency {
            Some(NoCredit::NoAccount)
        } else if self.blocked {
            Some(NoCredit::AccountBlocked)
        } else if amount > self.available() {
            Some(NoCredit::InsufficientCredit)
        } else {
            None
        }
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

/// Which part of what is used an order's credit stands in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// Reserved: the goods are in the house.
    Reserved,
    /// Owed: the goods are shipped.
    Owed,
}

/// A step of an account.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CreditStep {
    /// Its limit is set. It also opens the account.
    Limit {
        /// The currency of the account.
        currency: Currency,
        /// The most that may be reserved and owed together.
        limit: Money,
    },
    /// No more credit is given, or again.
    Block {
        /// Whether no more is given.
        blocked: bool,
        /// Why.
        reason: Text<500>,
    },
    /// A part is reserved for an order. The caller has asked [`CreditAccount::refuses`].
    Reserve {
        /// The order.
        order_id: OrderId,
        /// How much.
        amount: Money,
    },
    /// What is open of an order is given back.
    Restore {
        /// The order.
        order_id: OrderId,
        /// How much.
        amount: Money,
    },
    /// What is open of an order is owed.
    Owe {
        /// The order.
        order_id: OrderId,
        /// How much.
        amount: Money,
    },
    /// An order was paid, or a part of it.
    Pay {
        /// The order.
        order_id: OrderId,
        /// How much.
        amount: Money,
        /// Where it stands.
        part: Part,
    },
}

/// Decides a step of a customer's account; `version` is the one that the row has after the change. It has no event if the
/// step changes nothing.
///
/// # Errors
/// [`Refusal::UnknownAccount`] for every step but a limit if there is none, [`Refusal::OtherCurrency`],
/// [`Refusal::TooLarge`].
pub fn change(
    before: Option<&CreditAccount>,
    customer_id: &CustomerId,
    step: CreditStep,
    by: Text<256>,
    version: Sequence,
    now: Timestamp,
) -> Result<Change<CreditAccount, Changed>, Refusal> {
    let mut account = match (before, &step) {
        (Some(account), _) => account.clone(),
        (None, CreditStep::Limit { currency, .. }) => CreditAccount {
            customer_id: customer_id.clone(),
            currency: *currency,
            credit_limit: Money::ZERO,
            reserved: Money::ZERO,
            balance: Money::ZERO,
            blocked: false,
            updated_at: now,
            updated_by: by.clone(),
        },
        (None, _) => {
            let customer_id = customer_id.clone();
            return Err(Refusal::UnknownAccount { customer_id });
        }
    };
    let less = |one: Money, other: Money| one.minus(other).map_err(|_| Refusal::TooLarge);
    let more = |one: Money, other: Money| one.plus(other).map_err(|_| Refusal::TooLarge);
    let (mut order, mut why) = (None, None);
    let change_type = match step {
        CreditStep::Limit { currency, limit } => {
            if account.currency != currency {
                let currency = account.currency;
                return Err(Refusal::OtherCurrency { currency });
            }
            let previous = account.credit_limit;
            account.credit_limit = limit;
            match before {
                None => CreditChange::AccountOpened,
                Some(_) if limit < previous => CreditChange::CreditLimitDecreased,
                Some(_) => CreditChange::CreditLimitIncreased,
            }
        }
        CreditStep::Block { blocked, reason } => {
            account.blocked = blocked;
            why = Some(reason);
            if blocked {
                CreditChange::Blocked
            } else {
                CreditChange::Unblocked
            }
        }
        CreditStep::Reserve { order_id, amount } => {
            order = Some(order_id);
            account.reserved = more(account.reserved, amount)?;
            CreditChange::CreditReserved
        }
        CreditStep::Restore { order_id, amount } => {
            order = Some(order_id);
            account.reserved = less(account.reserved, amount)?;
            CreditChange::CreditRestored
        }
        CreditStep::Owe { order_id, amount } => {
            order = Some(order_id);
            account.reserved = less(account.reserved, amount)?;
            account.balance = more(account.balance, amount)?;
            CreditChange::BalanceIncreased
        }
        CreditStep::Pay {
            order_id,
            amount,
            part,
        } => {
            order = Some(order_id);
            match part {
                Part::Reserved => account.reserved = less(account.reserved, amount)?,
                Part::Owed => account.balance = less(account.balance, amount)?,
            }
            CreditChange::OrderPaid
        }
    };
    if before == Some(&account) {
        return Ok(Change::none(account));
    }
    account.updated_at = account.updated_at.max(now);
    account.updated_by = by;
    let previous_limit = before.map(CreditAccount::credit_limit);
    let previous_balance = before.map_or(Money::ZERO, CreditAccount::balance);
    let moved = events::Change::between(previous_balance, account.balance);
    let event = Changed {
        customer_id: account.customer_id.clone(),
        change_type,
        changed_at: account.updated_at,
        changed_by: account.updated_by.clone(),
        currency: account.currency,
        credit_limit: account.credit_limit,
        previous_credit_limit: previous_limit.filter(|limit| *limit != account.credit_limit),
        reserved: account.reserved,
        balance: account.balance,
        balance_change_amount: (previous_balance != account.balance).then_some(moved),
        available_credit: account.available(),
        credit_utilization: account.utilization(),
        blocked: account.blocked,
        order_id: order,
        reason: why,
        version,
    };
    Ok(Change::new(account, event))
}

subscription! {
    /// The recorded events.
    enum Recorded {
        /// It changed.
        Changed(events::contracts::credit::Changed) by Mark,
    }
}

impl Rebuild for CreditAccount {
    type Stored = Self;
    const RETENTION: Retention = Changed::RETENTION;

    fn stored(&self) -> Self {
        self.clone()
    }

    fn apply(id: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let Recorded::Changed(event) = <Recorded as events::Subscription>::decode(envelope)?;
        must(
            event.customer_id.as_str() == id,
            "it is about another customer",
        )?;
        let opens = event.change_type == CreditChange::AccountOpened;
        must(
            opens == before.is_none(),
            "it opens an account that is open, or changes one that is not",
        )?;
        let account = Self {
            customer_id: event.customer_id,
            currency: event.currency,
            credit_limit: event.credit_limit,
            reserved: event.reserved,
            balance: event.balance,
            blocked: event.blocked,
            updated_at: event.changed_at,
            updated_by: event.changed_by,
        };
        let used = |account: &Self| account.reserved.decimal() + account.balance.decimal();
        if let Some(before) = &before {
            let kind = event.change_type;
            let grew = account.credit_limit.cmp(&before.credit_limit);
            let wanted = match kind {
                CreditChange::CreditLimitIncreased => Ordering::Greater,
                CreditChange::CreditLimitDecreased => Ordering::Less,
                _ => Ordering::Equal,
            };
            must(
                grew == wanted,
                "its limit does not change as its kind of change does",
            )?;
            let blocked = match kind {
                CreditChange::Blocked => !before.blocked && account.blocked,
                CreditChange::Unblocked => before.blocked && !account.blocked,
                CreditChange::CreditReserved => !before.blocked && !account.blocked,
                _ => before.blocked == account.blocked,
            };
            must(
                blocked,
                "it is not blocked or unblocked as its kind of change is",
            )?;
            must(
                kind != CreditChange::CreditReserved
                    || used(&account) <= account.credit_limit.decimal(),
                "more is reserved than the limit allows",
            )?;
        }
        let (limit, balance) = match &before {
            None => (None, Decimal::ZERO),
            Some(before) => {
                must(
                    before.updated_at <= event.changed_at,
                    "it happened before the last change",
                )?;
                must(
                    before.currency == account.currency,
                    "it is in another currency",
                )?;
                let limit = before.credit_limit;
                let limit = (limit != account.credit_limit).then_some(limit);
                (limit, before.balance.decimal())
            }
        };
        must(
            event.previous_credit_limit == limit,
            "it states another limit before it",
        )?;
        let moved = event.balance_change_amount;
        let moved = moved.map_or(Decimal::ZERO, events::Change::decimal);
        must(
            account.balance.decimal() - balance == moved,
            "its balance does not follow from the balance before it",
        )?;
        // Which way the sum of what is reserved and owed may move with each kind of change.
        let before = before.as_ref();
        let step = used(&account) - before.map_or(Decimal::ZERO, used);
        let reserved = before.map_or(Decimal::ZERO, |before| before.reserved.decimal());
        let reserved = account.reserved.decimal() - reserved;
        let holds = match event.change_type {
            CreditChange::CreditReserved => step > Decimal::ZERO && moved.is_zero(),
            CreditChange::CreditRestored => step < Decimal::ZERO && moved.is_zero(),
            CreditChange::BalanceIncreased => step.is_zero() && moved > Decimal::ZERO,
            CreditChange::OrderPaid => {
                step < Decimal::ZERO && (moved.is_zero() || reserved.is_zero())
            }
            CreditChange::AccountOpened
            | CreditChange::CreditLimitIncreased
            | CreditChange::CreditLimitDecreased
            | CreditChange::Blocked
            | CreditChange::Unblocked => reserved.is_zero() && moved.is_zero(),
        };
        must(holds, "its amounts do not move as its kind of change does")?;
        let of_order = matches!(
            event.change_type,
            CreditChange::CreditReserved
                | CreditChange::CreditRestored
                | CreditChange::BalanceIncreased
                | CreditChange::OrderPaid
        );
        must(
            of_order == event.order_id.is_some(),
            "it must name an order if, and only if, it is a step of one",
        )?;
        let derived = (account.available(), account.utilization());
        if (event.available_credit, event.credit_utilization) != derived {
            return Err(Contradiction::Says(
                "its available credit does not follow from its amounts",
            ));
        }
        Ok((account, event.version))
    }
}

#[cfg(test)]
mod tests;
