//! The plan by which a loan is paid back: level instalments, one for each month, the last of which takes what is left.
//!
//! A plan follows from the loan and the plan before it, and reads no clock:
//!
//! * Instalments that were paid stay as they were planned: those of months begun whose principal, summed up from the first, came
//!   back.
//! * What is open is spread over the months that are left, the current one included unless it is paid; where the term is over, all is
//!   due on the current due day. What was late is open like the rest; interest that was charged already comes on top of the first
//!   open instalment.
//! * The last instalment takes what rounding left: at most half a cent for each month, grown by the interest of those months.
//! * Principal of all instalments, and what was paid ahead of them, sums to what was funded and drawn.

use events::{
    Day, LoanId, Money, Percent, ScheduleId, Sequence, Timestamp,
    contracts::{loan::PaymentScheduleGenerated, payment::Currency},
};
use outbox::{Key, Query, Table};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{Loan, Refusal, interest};

/// One payment that is planned.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Instalment {
    /// 1, 2, 3…
    pub number: u32,
    /// When it is due.
    pub due_on: Day,
    /// Interest and principal together.
    pub amount: Money,
    /// Its interest.
    pub interest: Money,
    /// Its principal.
    pub principal: Money,
    /// Principal that is open once it is paid.
    pub open_after: Money,
}

/// A schedule; it never changes, a later one takes its place.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "PaymentSchedule")]
pub struct Schedule {
    /// Which.
    pub schedule_id: ScheduleId,
    /// Of which loan.
    pub loan_id: LoanId,
    /// Which one of this loan: 1, 2, 3… without gaps.
    pub revision: Sequence,
    /// Of what.
    pub currency: Currency,
    /// How many instalments, from the first on, were paid when it was planned.
    pub paid: u32,
    /// Principal that had come back beyond those.
    pub paid_ahead: Money,
    /// The level instalment of those that are open.
    pub instalment: Money,
    /// All instalments, those paid included.
    pub instalments: Vec<Instalment>,
    /// The annual percentage rate of charge in per cent, to two decimals, where all is paid as planned; absent where it is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub annual_percentage_rate: Option<Percent>,
    /// When it was planned.
    pub generated_at: Timestamp,
}

impl Schedule {
    /// What the sort key of each begins with.
    pub(crate) const PREFIX: &str = "schedule#";

    /// Where it stands.
    #[must_use]
    pub fn key(table: &Table, loan_id: LoanId, revision: Sequence) -> Key {
        table.key(format!("loan#{loan_id}"), Self::sort_key(revision))
    }

    pub(crate) fn sort_key(revision: Sequence) -> String {
        format!("{}{:016}", Self::PREFIX, revision.number())
    }

    /// The schedules of a loan, newest first.
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

    /// Principal of all instalments, with what was paid ahead of them.
    #[must_use]
    pub fn principal(&self) -> Decimal {
        let planned = self.instalments.iter().map(|one| one.principal.decimal());
        planned.sum::<Decimal>() + self.paid_ahead.decimal()
    }

    /// The event that tells of it; `version` is the loan's after the write.
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

/// Plans how a funded loan is paid back, after the schedule that held so far.
///
/// # Errors
/// [`Refusal::WrongStatus`] where the loan is not active; [`Refusal::TooLarge`].
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
    // The month that the first open instalment pays: the current one, or the next where that is paid.
    let last_paid = kept
        .last()
        .map_or(0, |one| one.due_on.months_since(funded_on));
    let first = balance.months_begun.max(last_paid + 1);
    // Where the term is over all is due on the current due day: no further month is charged for it.
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
        // Interest of a month that has begun was charged already, on what was open then.
        let is_begun = first + month <= balance.months_begun;
        let of_month = if is_begun { Money::ZERO } else { nominal };
        let interest = of_month.plus(charged).map_err(|_| Refusal::TooLarge)?;
        charged = Money::ZERO;
        let is_last = month + 1 == months;
        // By the month's own interest, so that arrears come on top of the first one and leave the rest level.
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
        // A level that was rounded up may pay all back before the last month.
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
    // What came and went before is not planned: a rate is stated of a plan that begins with the loan.
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

/// The instalments of the schedule so far that were paid: of months begun, and as far as principal came back. One without
/// principal was paid where no interest is due.
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
