//! A loan from its events alone. It shares no step with the decisions: what an event says is taken as it is.

use std::collections::BTreeMap;

use domain::{Contradiction, Rebuild, Step, must};
use events::{
    Contract as _, DrawId, Envelope, Money, Retention, Text, Timestamp,
    contracts::loan::{DrawRequested, LoanBalance, LoanStatus},
    subscription,
};

use super::{Loan, NOTHING_OWED};
use crate::{
    draw::{Draw, DrawStatus},
    machine::LOAN,
};

subscription! {
    /// What there is to read of a loan.
    pub(crate) enum Told {
        /// Its beginning.
        Created(events::contracts::loan::Created) by Mark,
        /// The money was lent.
        Funded(events::contracts::loan::Funded) by Mark,
        /// The terms were changed.
        Modified(events::contracts::loan::Modified) by Mark,
        /// A schedule was made.
        Planned(events::contracts::loan::PaymentScheduleGenerated) by Mark,
        /// Money came.
        Paid(events::contracts::loan::PaymentReceived) by Mark,
        /// More was asked for.
        DrawRequested(events::contracts::loan::DrawRequested) by Mark,
        /// More was lent.
        DrawApproved(events::contracts::loan::DrawApproved) by Mark,
        /// No more was lent.
        DrawRejected(events::contracts::loan::DrawRejected) by Mark,
        /// All came back.
        PaidOff(events::contracts::loan::PaidOff) by Mark,
        /// It was called off.
        Cancelled(events::contracts::loan::Cancelled) by Mark,
    }
}

/// What a loan's events come to: the loan, and its draws. The loan counts only those that are open, so whether a draw that is decided on
/// was ever asked for is known from the draws alone.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoanWithDraws {
    loan: Loan,
    draws: BTreeMap<DrawId, Draw>,
}

impl LoanWithDraws {
    /// The loan.
    #[must_use]
    pub fn loan(&self) -> &Loan {
        &self.loan
    }

    /// All its draws, as their rows are kept.
    #[must_use]
    pub fn draws(&self) -> &BTreeMap<DrawId, Draw> {
        &self.draws
    }

    fn asked(&mut self, event: DrawRequested, at: Timestamp) -> Result<(), Contradiction> {
        let loan = &mut self.loan;
        must(
            loan.status == LoanStatus::Active,
            "a draw on a loan that is not active is asked for",
        )?;
        must(
            event.amount <= loan.available(),
            "more is asked for than was agreed on",
        )?;
        loan.open_draws += 1;
        loan.open_draws_amount = sum(loan.open_draws_amount, event.amount)?;
        let draw = Draw {
            draw_id: event.draw_id,
            loan_id: event.loan_id,
            amount: event.amount,
            status: DrawStatus::Requested,
            requested_by: event.requested_by,
            requested_at: at,
            decided_by: None,
            decided_at: None,
            reason: None,
        };
        let before = self.draws.insert(event.draw_id, draw);
        must(before.is_none(), "the draw is asked for twice")
    }

    /// A draw that is open and of this amount, which is now decided on.
    fn decided(
        &mut self,
        (draw_id, amount): (DrawId, Money),
        status: DrawStatus,
        by: Text<64>,
        at: Timestamp,
    ) -> Result<&mut Draw, Contradiction> {
        let draw = self.draws.get_mut(&draw_id);
        let draw = draw.ok_or(Contradiction::Says("nobody asked for the draw"))?;
        must(
            draw.status == DrawStatus::Requested,
            "the draw is decided on twice",
        )?;
        must(
            draw.amount == amount,
            "another amount was asked for than is decided on",
        )?;
        draw.status = status;
        draw.decided_by = Some(by);
        draw.decided_at = Some(at);
        let loan = &mut self.loan;
        loan.open_draws -= 1;
        let open = loan.open_draws_amount.minus(amount);
        loan.open_draws_amount = open.map_err(|_| Contradiction::Says("less is open"))?;
        Ok(draw)
    }
}

fn enter(state: &mut Loan, to: LoanStatus) -> Result<(), Contradiction> {
    LOAN.check(state.status, to)?;
    state.status = to;
    Ok(())
}

fn sum(one: Money, other: Money) -> Result<Money, Contradiction> {
    one.plus(other)
        .map_err(|_| Contradiction::Says("the sums are too large"))
}

/// Months never come back, and without a new one no interest comes.
fn goes_on(state: &Loan, after: &LoanBalance, interest_paid: Money) -> Result<(), Contradiction> {
    let before = state.balance;
    must(
        after.months_begun >= before.months_begun,
        "a month that has begun is gone",
    )?;
    let known = sum(after.interest_due, interest_paid)?;
    let holds = if after.months_begun == before.months_begun {
        known == before.interest_due
    } else {
        known >= before.interest_due
    };
    must(holds, "it makes another sum of interest")
}

impl Rebuild for LoanWithDraws {
    type Row = Loan;
    const RETENTION: Retention = events::contracts::loan::Created::RETENTION;

    fn row(&self) -> Self::Row {
        self.loan.clone()
    }

    fn apply(_: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let told = <Told as events::Subscription>::decode(envelope)?;
        let (mut all, told) = match (before, told) {
            (None, Told::Created(event)) => {
                let loan = Loan {
                    loan_id: event.loan_id,
                    borrower_id: event.borrower_id,
                    amount: event.amount,
                    currency: event.currency,
                    interest_rate: event.interest_rate,
                    term_months: event.term_months,
                    status: LoanStatus::Created,
                    funded_amount: Money::ZERO,
                    drawn_amount: Money::ZERO,
                    open_draws: 0,
                    open_draws_amount: Money::ZERO,
                    funded_at: None,
                    balance: NOTHING_OWED,
                    principal_paid: Money::ZERO,
                    interest_paid: Money::ZERO,
                    payments: 0,
                    plans_due: 0,
                    plans_made: 0,
                    schedules: 0,
                    created_at: envelope.occurred_at,
                    updated_at: envelope.occurred_at,
                };
                let draws = BTreeMap::new();
                return Ok((Self { loan, draws }, event.version));
            }
            (None, _) => return Err(Contradiction::Says("it does not begin with its creation")),
            (Some(_), Told::Created(_)) => return Err(Contradiction::Says("it is created twice")),
            (Some(all), told) => (all, told),
        };
        let now = all.loan.updated_at.max(envelope.occurred_at);
        all.loan.updated_at = now;
        let state = &mut all.loan;
        let version = match told {
            Told::Created(event) => event.version,
            Told::Funded(event) => {
                enter(state, LoanStatus::Active)?;
                must(
                    event.funded_amount <= state.amount,
                    "more was lent than was agreed on",
                )?;
                state.funded_amount = event.funded_amount;
                state.funded_at = Some(event.funded_at);
                state.balance.open_principal = event.funded_amount;
                state.plans_due += 1;
                event.version
            }
            Told::Modified(event) => {
                state.interest_rate = event.interest_rate;
                state.term_months = event.term_months;
                must(
                    event.balance.is_some() == (state.status == LoanStatus::Active),
                    "it states what is owed before anything was lent, or not after it",
                )?;
                if let Some(balance) = event.balance {
                    goes_on(state, &balance, Money::ZERO)?;
                    must(
                        balance.open_principal == state.balance.open_principal,
                        "it leaves another principal open",
                    )?;
                    state.balance = balance;
                    state.plans_due += 1;
                }
                event.version
            }
            Told::Planned(event) => {
                must(
                    state.status == LoanStatus::Active,
                    "a loan that is not active is planned",
                )?;
                must(
                    event.revision.number() == state.schedules + 1,
                    "a schedule is missing",
                )?;
                must(
                    event.open_principal == state.balance.open_principal,
                    "the schedule pays another principal back than is open",
                )?;
                state.schedules = event.revision.number();
                state.plans_made = state.plans_due;
                event.version
            }
            Told::Paid(event) => {
                let parts = sum(event.interest_paid, event.principal_paid)?;
                must(parts == event.amount, "its parts make another sum")?;
                let open = sum(event.balance.open_principal, event.principal_paid)?;
                must(
                    open == state.balance.open_principal,
                    "it leaves another principal open",
                )?;
                goes_on(state, &event.balance, event.interest_paid)?;
                state.balance = event.balance;
                state.principal_paid = sum(state.principal_paid, event.principal_paid)?;
                state.interest_paid = sum(state.interest_paid, event.interest_paid)?;
                state.payments += 1;
                event.version
            }
            Told::DrawRequested(event) => {
                let version = event.version;
                all.asked(event, now)?;
                version
            }
            Told::DrawRejected(event) => {
                let (which, by) = ((event.draw_id, event.amount), event.rejected_by);
                let draw = all.decided(which, DrawStatus::Rejected, by, now)?;
                draw.reason = event.reason;
                event.version
            }
            Told::DrawApproved(event) => {
                let (which, by) = ((event.draw_id, event.amount), event.approved_by);
                let draw = all.decided(which, DrawStatus::Approved, by, now)?;
                must(
                    draw.decided_by.as_ref() != Some(&draw.requested_by),
                    "the draw is approved by the key's owner who asked for it",
                )?;
                let state = &mut all.loan;
                let open = sum(state.balance.open_principal, event.amount)?;
                must(
                    open == event.balance.open_principal,
                    "it leaves another principal open",
                )?;
                state.drawn_amount = sum(state.drawn_amount, event.amount)?;
                must(
                    state.lent() <= state.amount.decimal(),
                    "more was lent than was agreed on",
                )?;
                goes_on(state, &event.balance, Money::ZERO)?;
                state.balance = event.balance;
                state.plans_due += 1;
                event.version
            }
            Told::PaidOff(event) => {
                enter(state, LoanStatus::PaidOff)?;
                must(
                    (event.principal_paid, event.interest_paid)
                        == (state.principal_paid, state.interest_paid),
                    "the payments make another sum",
                )?;
                must(
                    state.balance.open_principal.is_zero() && state.balance.interest_due.is_zero(),
                    "something is owed",
                )?;
                event.version
            }
            Told::Cancelled(event) => {
                enter(state, LoanStatus::Cancelled)?;
                event.version
            }
        };
        Ok((all, version))
    }
}
