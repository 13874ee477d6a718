//! Rebuilds a loan from its events alone. It shares no code with the decisions: each event is taken at face value.

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
    /// The events of a loan.
    pub(crate) enum Recorded {
        /// The loan was agreed.
        Created(events::contracts::loan::Created) by Mark,
        /// The money was lent.
        Funded(events::contracts::loan::Funded) by Mark,
        /// The terms were changed.
        Modified(events::contracts::loan::Modified) by Mark,
        /// A schedule was planned.
        Planned(events::contracts::loan::PaymentScheduleGenerated) by Mark,
        /// A payment was received.
        Paid(events::contracts::loan::PaymentReceived) by Mark,
        /// A draw was requested.
        DrawRequested(events::contracts::loan::DrawRequested) by Mark,
        /// A draw was approved and lent.
        DrawApproved(events::contracts::loan::DrawApproved) by Mark,
        /// A draw was rejected.
        DrawRejected(events::contracts::loan::DrawRejected) by Mark,
        /// The loan was paid off.
        PaidOff(events::contracts::loan::PaidOff) by Mark,
        /// The loan was cancelled.
        Cancelled(events::contracts::loan::Cancelled) by Mark,
    }
}

/// A rebuilt loan and its draws. The loan counts only the open draws, so only the draws themselves show whether a
/// decided draw was ever requested.
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

    /// All its draws, as their rows are stored.
    #[must_use]
    pub fn draws(&self) -> &BTreeMap<DrawId, Draw> {
        &self.draws
    }

    fn asked(&mut self, event: DrawRequested, at: Timestamp) -> Result<(), Contradiction> {
        let loan = &mut self.loan;
        must(
            loan.status == LoanStatus::Active,
            "a draw is requested on a loan that is not active",
        )?;
        must(
            event.amount <= loan.available(),
            "the draw is larger than what can still be drawn",
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
        must(before.is_none(), "the draw is requested twice")
    }

    /// Marks an open draw of the given amount as decided.
    fn decided(
        &mut self,
        (draw_id, amount): (DrawId, Money),
        status: DrawStatus,
        by: Text<64>,
        at: Timestamp,
    ) -> Result<&mut Draw, Contradiction> {
        let draw = self.draws.get_mut(&draw_id);
        let draw = draw.ok_or(Contradiction::Says("the draw was never requested"))?;
        must(
            draw.status == DrawStatus::Requested,
            "the draw is decided twice",
        )?;
        must(
            draw.amount == amount,
            "the decided amount differs from the requested amount",
        )?;
        draw.status = status;
        draw.decided_by = Some(by);
        draw.decided_at = Some(at);
        let loan = &mut self.loan;
        loan.open_draws -= 1;
        let open = loan.open_draws_amount.minus(amount);
        loan.open_draws_amount =
            open.map_err(|_| Contradiction::Says("the open draws add up to less"))?;
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

/// Checks that the months begun never decrease, and that interest changes only by payments or by a new month.
fn goes_on(state: &Loan, after: &LoanBalance, interest_paid: Money) -> Result<(), Contradiction> {
    let before = state.balance;
    must(
        after.months_begun >= before.months_begun,
        "it states fewer months begun than before",
    )?;
    let known = sum(after.interest_due, interest_paid)?;
    let holds = if after.months_begun == before.months_begun {
        known == before.interest_due
    } else {
        known >= before.interest_due
    };
    must(
        holds,
        "its interest does not follow from the interest before it",
    )
}

impl Rebuild for LoanWithDraws {
    type Stored = Loan;
    const RETENTION: Retention = events::contracts::loan::Created::RETENTION;

    fn stored(&self) -> Self::Stored {
        self.loan.clone()
    }

    fn apply(_: &str, before: Option<Self>, envelope: &Envelope) -> Step<Self> {
        let recorded = <Recorded as events::Subscription>::decode(envelope)?;
        let (mut all, recorded) = match (before, recorded) {
            (None, Recorded::Created(event)) => {
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
            (None, _) => return Err(Contradiction::Says("the first event is not its creation")),
            (Some(_), Recorded::Created(_)) => {
                return Err(Contradiction::Says("it is created twice"));
            }
            (Some(all), recorded) => (all, recorded),
        };
        let now = all.loan.updated_at.max(envelope.occurred_at);
        all.loan.updated_at = now;
        let state = &mut all.loan;
        let version = match recorded {
            Recorded::Created(event) => event.version,
            Recorded::Funded(event) => {
                enter(state, LoanStatus::Active)?;
                must(
                    event.funded_amount <= state.amount,
                    "more was lent than was agreed",
                )?;
                state.funded_amount = event.funded_amount;
                state.funded_at = Some(event.funded_at);
                state.balance.open_principal = event.funded_amount;
                state.plans_due += 1;
                event.version
            }
            Recorded::Modified(event) => {
                state.interest_rate = event.interest_rate;
                state.term_months = event.term_months;
                must(
                    event.balance.is_some() == (state.status == LoanStatus::Active),
                    "it must state what is owed if, and only if, the loan is active",
                )?;
                if let Some(balance) = event.balance {
                    goes_on(state, &balance, Money::ZERO)?;
                    must(
                        balance.open_principal == state.balance.open_principal,
                        "its open principal does not follow from the principal before it",
                    )?;
                    state.balance = balance;
                    state.plans_due += 1;
                }
                event.version
            }
            Recorded::Planned(event) => {
                must(
                    state.status == LoanStatus::Active,
                    "a schedule is planned for a loan that is not active",
                )?;
                must(
                    event.revision.number() == state.schedules + 1,
                    "a schedule is missing",
                )?;
                must(
                    event.open_principal == state.balance.open_principal,
                    "the schedule's principal differs from the open principal",
                )?;
                state.schedules = event.revision.number();
                state.plans_made = state.plans_due;
                event.version
            }
            Recorded::Paid(event) => {
                let parts = sum(event.interest_paid, event.principal_paid)?;
                must(
                    parts == event.amount,
                    "its parts do not add up to its amount",
                )?;
                let open = sum(event.balance.open_principal, event.principal_paid)?;
                must(
                    open == state.balance.open_principal,
                    "its open principal does not follow from the principal before it",
                )?;
                goes_on(state, &event.balance, event.interest_paid)?;
                state.balance = event.balance;
                state.principal_paid = sum(state.principal_paid, event.principal_paid)?;
                state.interest_paid = sum(state.interest_paid, event.interest_paid)?;
                state.payments += 1;
                event.version
            }
            Recorded::DrawRequested(event) => {
                let version = event.version;
                all.asked(event, now)?;
                version
            }
            Recorded::DrawRejected(event) => {
                let (which, by) = ((event.draw_id, event.amount), event.rejected_by);
                let draw = all.decided(which, DrawStatus::Rejected, by, now)?;
                draw.reason = event.reason;
                event.version
            }
            Recorded::DrawApproved(event) => {
                let (which, by) = ((event.draw_id, event.amount), event.approved_by);
                let draw = all.decided(which, DrawStatus::Approved, by, now)?;
                must(
                    draw.decided_by.as_ref() != Some(&draw.requested_by),
                    "the draw is approved by the key owner who requested it",
                )?;
                let state = &mut all.loan;
                let open = sum(state.balance.open_principal, event.amount)?;
                must(
                    open == event.balance.open_principal,
                    "its open principal does not follow from the principal before it",
                )?;
                state.drawn_amount = sum(state.drawn_amount, event.amount)?;
                must(
                    state.lent() <= state.amount.decimal(),
                    "more was lent than was agreed",
                )?;
                goes_on(state, &event.balance, Money::ZERO)?;
                state.balance = event.balance;
                state.plans_due += 1;
                event.version
            }
            Recorded::PaidOff(event) => {
                enter(state, LoanStatus::PaidOff)?;
                must(
                    (event.principal_paid, event.interest_paid)
                        == (state.principal_paid, state.interest_paid),
                    "its sums differ from the payments",
                )?;
                must(
                    state.balance.open_principal.is_zero() && state.balance.interest_due.is_zero(),
                    "something is still owed",
                )?;
                event.version
            }
            Recorded::Cancelled(event) => {
                enter(state, LoanStatus::Cancelled)?;
                event.version
            }
        };
        Ok((all, version))
    }
}
