//! The plan by which a loan is paid back: level instalments, one per month; the last one takes what is left.
//!
//! A plan depends only on the loan and the plan before it, and reads no clock:
//!
//! * Paid instalments stay as they were planned. An instalment is paid if its month has begun and the principal of all
//!   instalments up to it was paid back.
//! * The open principal is spread over the remaining months. They include the current month unless it is paid. If the
//!   term is over, everything is due on the current due day. Late principal is open like the rest. Interest that was
//!   already charged is added to the first open instalment.
//! * The last instalment takes the rounding difference: at most half a cent per month, plus the interest on it.
//! * The principal of all instalments and the principal paid ahead of them add up to what was funded and drawn.

use events::{
    Day, LoanId, Money, Percent, ScheduleId, Sequence, Timestamp,
    contracts::{loan::PaymentScheduleGenerated, payment::Currency},
};
use outbox::{Key, Query, Table};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Loan, Refusal, interest};

/// A planned payment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Instalment {
    /// The instalment's number: 1, 2, 3…
    pub number: u32,
    /// The day on which it is due.
    pub due_on: Day,
    /// The sum of interest and principal.
    pub amount: Money,
    /// The part that pays interest.
    pub interest: Money,
    /// The part that pays principal.
    pub principal: Money,
    /// The principal that is open after the instalment is paid.
    pub open_after: Money,
}

/// A schedule. It never changes; a later schedule replaces it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PaymentSchedule")]
pub struct Schedule {
    /// The schedule's id.
    pub schedule_id: ScheduleId,
    /// The loan's id.
    pub loan_id: LoanId,
    /// The schedule's number within the loan: 1, 2, 3… without gaps.
    pub revision: Sequence,
    /// The currency of all its amounts.
    pub currency: Currency,
    /// How many instalments, counted from the first, were already paid when it was planned.
    pub paid: u32,
    /// The principal paid beyond those instalments.
    pub paid_ahead: Money,
    /// The level amount of the open instalments.
    pub instalment: Money,
    /// All instalments, including the paid ones.
    pub instalments: Vec<Instalment>,
    /// The annual percentage rate of charge if all is paid as planned, in per cent with two decimals. Absent if the
    /// schedule has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annual_percentage_rate: Option<Percent>,
    /// When the schedule was planned.
    pub generated_at: Timestamp,
}

impl Schedule {
    /// The prefix of the sort keys of schedules.
    pub(crate) const PREFIX: &str = "schedule#";

    /// The row's key.
    #[must_use]
    pub fn key(table: &Table, loan_id: LoanId, revision: Sequence) -> Key {
        table.key(format!("loan#{loan_id}"), Self::sort_key(revision))
    }

    pub(crate) fn sort_key(revision: Sequence) -> String {
        format!("{}{:016}", Self::PREFIX, revision.number())
    }

    /// The query for a loan's schedules, newest first.
    #[must_use]
    pub fn of_loan(table: &Table, loan_id: LoanId, limit: u32) -> Query {
        Query {
            prefix: Some(Self::PREFIX.to_owned()),
            descending: true,
            ..Query::partition(table, format!("loan#{loan_id}"), limit)
        }
    }

    /// The instalments that were open when it was planned.
    #[must_use]
    pub fn open(&self) -> &[Instalment] {
        let paid = usize::try_from(self.paid).unwrap_or(usize::MAX);
        self.instalments.get(paid..).unwrap_or_default()
    }

    /// The principal of all instalments plus the principal paid ahead of them.
    #[must_use]
    pub fn principal(&self) -> Decimal {
        let planned = self.instalments.iter().map(|one| one.principal.decimal());
        planned.sum::<Decimal>() + self.paid_ahead.decimal()
    }

    /// The event of the schedule. `version` is the loan's version after the write.
    pub(crate) fn event(
        &self,
        loan: &Loan,
        version: Sequence,
    ) -> Result<PaymentScheduleGenerated, Refusal> {
        let open = self.open();
        let sum = |part: fn(&Instalment) -> Money| {
            let sum: Decimal = open.iter().map(|one| part(one).decimal()).sum();
            Money::new(sum).map_err(|_| Refusal::TooLarge)
        };
        let count = |number: usize| u32::try_from(number).map_err(|_| Refusal::TooLarge);
        let (Some(first), Some(last)) = (open.first(), open.last()) else {
            return Err(Refusal::TooLarge);
        };
        Ok(PaymentScheduleGenerated {
            schedule_id: self.schedule_id,
            loan_id: self.loan_id,
            borrower_id: loan.borrower_id().clone(),
            revision: self.revision,
            total_payments: count(self.instalments.len())?,
            open_payments: count(open.len())?,
            instalment: self.instalment,
            first_due_on: first.due_on,
            last_due_on: last.due_on,
            open_principal: sum(|one| one.principal)?,
            open_interest: sum(|one| one.interest)?,
            currency: self.currency,
            version,
        })
    }
}

/// Plans how a funded loan is paid back. `before` is the schedule so far.
///
/// # Errors
/// [`Refusal::WrongStatus`] if the loan is not active; [`Refusal::TooLarge`].
pub fn plan(
    loan: &Loan,
    before: Option<&Schedule>,
    schedule_id: ScheduleId,
    now: Timestamp,
) -> Result<Schedule, Refusal> {
    let funded_on = loan.must_be_active()?;
    let balance = loan.balance();
    let kept = kept(loan, funded_on, before);
    let count = u32::try_from(kept.len()).map_err(|_| Refusal::TooLarge)?;
    let planned: Decimal = kept.iter().map(|one| one.principal.decimal()).sum();
    let paid_ahead = loan.principal_paid().decimal() - planned;
    // The month of the first open instalment: the current one, or the next if the current one is paid.
    let last_paid = kept
        .last()
        .map_or(0, |one| one.due_on.months_since(funded_on));
    let first = balance.months_begun.max(last_paid + 1);
    // If the term is over, all is due on the current due day, and no further month is charged.
    let first = if first > loan.term_months() {
        balance.months_begun.max(1)
    } else {
        first
    };
    let months = (loan.term_months() + 1).saturating_sub(first).max(1);
    let level = interest::level(balance.open_principal, loan.interest_rate(), months)?;
    let mut instalments = kept;
    let mut open = balance.open_principal;
    let mut charged = balance.interest_due;
    for month in 0..months {
        let nominal = interest::of_month(open, loan.interest_rate())?;
        // The interest of a month that has begun was already charged, on the principal open at that time.
        let is_begun = first + month <= balance.months_begun;
        let of_month = if is_begun { Money::ZERO } else { nominal };
        let interest = of_month.plus(charged).map_err(|_| Refusal::TooLarge)?;
        charged = Money::ZERO;
        let is_last = month + 1 == months;
        // Based on the month's own interest, so that arrears are added to the first instalment and the rest stay level.
        let principal = if is_last {
            open
        } else {
            level.minus(nominal).unwrap_or(Money::ZERO).min(open)
        };
        open = open.minus(principal).map_err(|_| Refusal::TooLarge)?;
        instalments.push(Instalment {
            number: count + month + 1,
            due_on: funded_on.plus_months(first + month),
            amount: principal.plus(interest).map_err(|_| Refusal::TooLarge)?,
            interest,
            principal,
            open_after: open,
        });
        // A level amount that was rounded up can pay all back before the last month.
        if open.is_zero() {
            break;
        }
    }
    let mut schedule = Schedule {
        schedule_id,
        loan_id: loan.loan_id(),
        revision: loan.next_schedule()?,
        currency: loan.currency(),
        paid: count,
        paid_ahead: Money::new(paid_ahead).map_err(|_| Refusal::TooLarge)?,
        instalment: level,
        instalments,
        annual_percentage_rate: None,
        generated_at: now,
    };
    // The rate is stated only for a plan that begins with the loan, because earlier payments are not part of the plan.
    if count == 0 && schedule.paid_ahead.is_zero() && balance.months_begun == 0 {
        let payments: Vec<(u32, Money)> = schedule
            .instalments
            .iter()
            .map(|one| (one.due_on.days_since(funded_on), one.amount))
            .collect();
        schedule.annual_percentage_rate = interest::charge(balance.open_principal, &payments);
    }
    Ok(schedule)
}

/// The paid instalments of the schedule so far: their months have begun and their principal was paid back. An
/// instalment without principal counts as paid if no interest is due.
fn kept(loan: &Loan, funded_on: Day, before: Option<&Schedule>) -> Vec<Instalment> {
    let Some(before) = before else {
        return Vec::new();
    };
    let balance = loan.balance();
    let mut sum = Decimal::ZERO;
    let is_paid = |one: &&Instalment| {
        sum += one.principal.decimal();
        one.due_on.months_since(funded_on) <= balance.months_begun
            && sum <= loan.principal_paid().decimal()
            && (!one.principal.is_zero() || balance.interest_due.is_zero())
    };
    let instalments = before.instalments.iter();
    instalments.take_while(is_paid).copied().collect()
}

#[cfg(test)]
pub(crate) mod tests;
