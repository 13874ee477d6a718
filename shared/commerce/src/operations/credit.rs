//! Credit: accounts, and what of them is reserved and owed for orders.

use events::{
    CustomerId, ExternalReference, IdempotencyKey, Money, OrderId, Text,
    contracts::{
        credit::{AccountPayment, CreditStatus, NoCredit},
        customer::CustomerType,
        price::Currency,
    },
};
use outbox::{Cursor, Entity, Error, Query, Transaction};
use serde::{Deserialize, Serialize};

use super::{Commerce, customers::Listed, system};
use crate::{
    CreditAccount, Done,
    credit::{self, Asked, CreditStep, Part, Refusal, Reservation},
};

/// The partition of the list of credit accounts.
pub(super) const LIST: &str = "credit_accounts";

/// Why an operation on credit wrote nothing.
pub type Stopped = domain::Stopped<Refusal>;

impl From<Refusal> for Stopped {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// A payment on account for an order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Payment {
    /// The order that is paid.
    pub order_id: OrderId,
    /// How much.
    pub amount: Money,
    /// What the bank calls it.
    pub external_reference: ExternalReference,
    /// Who books it.
    pub by: Text<256>,
}

/// What a payment's fact says: it is booked once, for ever.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
struct Booked {
    customer_id: CustomerId,
    order_id: OrderId,
    amount: Money,
}

impl Commerce<'_> {
    /// A customer's credit account; the entity is empty if there is none.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn credit_account(
        &self,
        customer_id: &CustomerId,
    ) -> Result<Entity<CreditAccount>, Error> {
        self.load(customer_id.as_str()).await
    }

    /// The query for all credit accounts, by the customer's id. [`Self::credit_accounts`] reads it.
    #[must_use]
    pub fn all_credit_accounts(&self, limit: u32) -> Query {
        Query::partition(self.table, LIST, limit)
    }

    /// A page of [`Self::all_credit_accounts`], at most 100, and where the next page begins.
    ///
    /// # Errors
    /// [`Error`] when they cannot be read.
    pub async fn credit_accounts(
        &self,
        query: &Query,
    ) -> Result<(Vec<Done<CreditAccount>>, Option<Cursor>), Error> {
        self.listed(query).await
    }

    /// The credit for an order; the entity is empty if nothing is known of it.
    ///
    /// # Errors
    /// [`Error`] when it cannot be read.
    pub async fn credit_reservation(
        &self,
        order_id: OrderId,
    ) -> Result<Entity<Reservation>, Error> {
        self.load(&order_id.to_string()).await
    }

    /// Sets the limit of a business. The first one opens its account and lists it. A limit that is set already changes nothing.
    ///
    /// # Errors
    /// [`Refusal::UnknownCustomer`], [`Refusal::NoBusiness`], [`Refusal::OtherCurrency`]; [`Stopped::Failed`].
    pub async fn set_credit_limit(
        &self,
        transaction: &mut Transaction,
        customer_id: &CustomerId,
        (currency, limit): (Currency, Money),
        by: Text<256>,
    ) -> Result<Done<CreditAccount>, Stopped> {
        let (customer, account) =
            futures::try_join!(self.customer(customer_id), self.credit_account(customer_id))?;
        let owner = customer_id.clone();
        match customer.state() {
            None => Err(Refusal::UnknownCustomer { customer_id: owner }.into()),
            Some(customer) if customer.profile().customer_type != CustomerType::B2b => {
                Err(Refusal::NoBusiness { customer_id: owner }.into())
            }
            Some(_) => {
                transaction.check(customer.key().clone(), customer.unchanged());
                if account.state().is_none() {
                    let id = customer_id.to_string();
                    transaction.insert(self.table.key(LIST, id.as_str()), &Listed { id })?;
                }
                let step = CreditStep::Limit { currency, limit };
                step_account(transaction, &account, customer_id, step, by)
            }
        }
    }

    /// Blocks an account for new credit, or gives credit again. What is so already changes nothing.
    ///
    /// # Errors
    /// [`Refusal::UnknownAccount`]; [`Stopped::Failed`].
    pub async fn block_credit(
        &self,
        transaction: &mut Transaction,
        customer_id: &CustomerId,
        (blocked, reason): (bool, Text<500>),
        by: Text<256>,
    ) -> Result<Done<CreditAccount>, Stopped> {
        let account = self.credit_account(customer_id).await?;
        let step = CreditStep::Block { blocked, reason };
        step_account(transaction, &account, customer_id, step, by)
    }

    /// Books a payment on account. Each of the bank's references is booked once, for ever.
    ///
    /// # Errors
    /// [`Refusal::UnknownAccount`], [`Refusal::AlreadyBooked`], [`Refusal::NothingOpen`], [`Refusal::AmountNotPositive`],
    /// [`Refusal::MoreThanOpen`]; [`Stopped::Failed`].
    pub async fn pay_on_account(
        &self,
        transaction: &mut Transaction,
        customer_id: &CustomerId,
        payment: Payment,
    ) -> Result<Done<CreditAccount>, Stopped> {
        let (order_id, amount) = (payment.order_id, payment.amount);
        let name = format!("credit/payment/{}", payment.external_reference);
        let fact = IdempotencyKey::new(name)?;
        let (account, reservation, booked) = futures::try_join!(
            self.credit_account(customer_id),
            self.credit_reservation(order_id),
            self.outbox.fact::<Booked>(self.table, &fact),
        )?;
        if account.state().is_none() {
            let customer_id = customer_id.clone();
            return Err(Refusal::UnknownAccount { customer_id }.into());
        }
        if let Some(Booked {
            order_id, amount, ..
        }) = booked
        {
            return Err(Refusal::AlreadyBooked { order_id, amount }.into());
        }
        let found = reservation.state();
        let found = found.filter(|found| found.customer_id() == customer_id);
        let found = found.ok_or(Refusal::NothingOpen { order_id })?;
        let (version, now) = (reservation.next_version()?, transaction.now());
        let told = AccountPayment {
            external_reference: payment.external_reference,
            amount,
        };
        let (part, change) = found.pay(told, version, now)?;
        change.save(transaction, &reservation)?;
        let booked = Booked {
            customer_id: customer_id.clone(),
            order_id,
            amount,
        };
        transaction.fact(self.table, &fact, &booked)?;
        let step = CreditStep::Pay {
            order_id,
            amount,
            part,
        };
        step_account(transaction, &account, customer_id, step, payment.by)
    }

    /// Reserves credit for an order, or rejects it. If anything is known of the order's credit, nothing changes: the order has
    /// ended meanwhile.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`] if the sums are; [`Stopped::Failed`].
    pub async fn reserve_credit(
        &self,
        transaction: &mut Transaction,
        asked: Asked,
    ) -> Result<(), Stopped> {
        let (account, reservation) = futures::try_join!(
            self.credit_account(&asked.customer_id),
            self.credit_reservation(asked.order_id)
        )?;
        if reservation.state().is_some() {
            return Ok(());
        }
        let (version, now) = (reservation.next_version()?, transaction.now());
        let refused = account
            .state()
            .map_or(Some(NoCredit::NoAccount), |account| {
                account.refuses(asked.currency, asked.amount)
            });
        if let Some(reason) = refused {
            let available = account.state().map(CreditAccount::available);
            let rejected = asked.rejected(reason, available, version, now);
            rejected.save(transaction, &reservation)?;
            // The refusal holds for the account as it was read.
            transaction.check(account.key().clone(), account.unchanged());
            return Ok(());
        }
        let step = CreditStep::Reserve {
            order_id: asked.order_id,
            amount: asked.amount,
        };
        step_account(transaction, &account, &asked.customer_id, step, system()?)?;
        let reserved = asked.begins(CreditStatus::Reserved, version, now);
        reserved.save(transaction, &reservation)?;
        Ok(())
    }

    /// Gives back what is reserved for an order that has ended. If nothing is known of its credit, whatever asks for it later
    /// gets none.
    ///
    /// # Errors
    /// [`Refusal::UnknownAccount`] if the account is gone; [`Stopped::Failed`].
    pub async fn restore_credit(
        &self,
        transaction: &mut Transaction,
        asked: Asked,
    ) -> Result<(), Stopped> {
        let reservation = self.credit_reservation(asked.order_id).await?;
        if reservation.state().is_none() {
            let (version, now) = (reservation.next_version()?, transaction.now());
            let withdrawn = asked.begins(CreditStatus::Withdrawn, version, now);
            withdrawn.save(transaction, &reservation)?;
            return Ok(());
        }
        self.end_reserved(transaction, &reservation, CreditStatus::Restored)
            .await
    }

    /// What is reserved for an order is owed: its goods left the house.
    ///
    /// # Errors
    /// [`Refusal::NothingOpen`] if nothing is known of its credit, [`Refusal::UnknownAccount`]; [`Stopped::Failed`].
    pub async fn owe_credit(
        &self,
        transaction: &mut Transaction,
        order_id: OrderId,
    ) -> Result<(), Stopped> {
        let reservation = self.credit_reservation(order_id).await?;
        if reservation.state().is_none() {
            return Err(Refusal::NothingOpen { order_id }.into());
        }
        self.end_reserved(transaction, &reservation, CreditStatus::Owed)
            .await
    }

    /// An order was paid in another way than on account, so that less of its credit is open.
    ///
    /// # Errors
    /// [`Refusal::Undecided`] while nothing is known of the order's credit: the payment has overtaken the order;
    /// [`Refusal::UnknownAccount`]; [`Stopped::Failed`].
    pub async fn pay_otherwise(
        &self,
        transaction: &mut Transaction,
        order_id: OrderId,
        amount: Money,
    ) -> Result<(), Stopped> {
        let reservation = self.credit_reservation(order_id).await?;
        let found = reservation.state();
        let found = found.ok_or(Refusal::Undecided { order_id })?;
        let (version, now) = (reservation.next_version()?, transaction.now());
        let Some((part, amount, change)) = found.pay_otherwise(amount, version, now)? else {
            return Ok(());
        };
        let customer_id = found.customer_id();
        let account = self.credit_account(customer_id).await?;
        let step = CreditStep::Pay {
            order_id,
            amount,
            part,
        };
        step_account(transaction, &account, customer_id, step, system()?)?;
        change.save(transaction, &reservation)?;
        Ok(())
    }

    /// What is reserved for an order gets another status; nothing changes if nothing is reserved.
    async fn end_reserved(
        &self,
        transaction: &mut Transaction,
        reservation: &Entity<Reservation>,
        status: CreditStatus,
    ) -> Result<(), Stopped> {
        let Some(found) = reservation.state() else {
            return Ok(());
        };
        let Some((Part::Reserved, amount)) = found.open() else {
            return Ok(());
        };
        let (version, now) = (reservation.next_version()?, transaction.now());
        let (order_id, customer_id) = (found.order_id(), found.customer_id());
        let account = self.credit_account(customer_id).await?;
        let step = if status == CreditStatus::Owed {
            CreditStep::Owe { order_id, amount }
        } else {
            CreditStep::Restore { order_id, amount }
        };
        step_account(transaction, &account, customer_id, step, system()?)?;
        let change = found.becomes(status, version, now);
        change.save(transaction, reservation)?;
        Ok(())
    }
}

fn step_account(
    transaction: &mut Transaction,
    account: &Entity<CreditAccount>,
    customer_id: &CustomerId,
    step: CreditStep,
    by: Text<256>,
) -> Result<Done<CreditAccount>, Stopped> {
    let (version, now) = (account.next_version()?, transaction.now());
    let change = credit::change(account.state(), customer_id, step, by, version, now)?;
    Ok(change.save(transaction, account)?)
}
