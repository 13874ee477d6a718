//! A loan and its account: what was lent, what was paid back, and what is owed.

mod rebuild;

pub use rebuild::LoanWithDraws;
pub(crate) use rebuild::Recorded;

use events::{
    Contract, Day, Draft, DraftError, DrawId, InterestRate, LoanId, MemberId, Money, PaymentId,
    Sequence, Text, Timestamp,
    contracts::{
        loan::{
            Cancelled, Created, DrawApproved, DrawRejected, DrawRequested, Funded, LoanBalance,
            LoanStatus, Modified, PaidOff, PaymentReceived, PaymentScheduleGenerated,
        },
        payment::Currency,
    },
};
use outbox::{BuildError, Condition, Entity, State, Table, Transaction};
use rust_decimal::Decimal;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::{
    Refusal,
    borrower::Lent,
    draw::{Draw, DrawStatus},
    interest::{self, LONGEST_TERM},
    machine::LOAN,
    payment::Payment,
    schedule::Schedule,
};

/// A loan. Only [`LoanChange`] changes its fields, and it creates the event of every change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct Loan {
    /// The loan's id.
    loan_id: LoanId,
    /// The member who borrows.
    borrower_id: MemberId,
    /// The agreed amount: the most that can be lent.
    amount: Money,
    /// The currency of all its amounts.
    currency: Currency,
    /// The interest rate, in per cent a year.
    interest_rate: InterestRate,
    /// The months over which it is paid back, counted from the funding.
    term_months: u32,
    /// The loan's status.
    status: LoanStatus,
    /// The amount lent at the funding.
    funded_amount: Money,
    /// The amount drawn since the funding.
    drawn_amount: Money,
    /// The number of open draws: requested, and neither approved nor rejected.
    // Absent from loans stored before open draws were counted.
    #[serde(default)]
    open_draws: u64,
    /// The sum of the open draws. It is not reserved.
    #[serde(default)]
    open_draws_amount: Money,
    /// When the loan was funded.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    funded_at: Option<Timestamp>,
    /// What is owed.
    balance: LoanBalance,
    /// The sum of all principal paid.
    principal_paid: Money,
    /// The sum of all interest paid.
    interest_paid: Money,
    /// The number of payments received.
    payments: u64,
    /// The number of changes that require a new schedule: the funding, new terms, draws.
    plans_due: u64,
    /// How many of those changes a schedule already covers.
    plans_made: u64,
    /// The number of schedules made.
    schedules: u64,
    /// When the loan was created.
    created_at: Timestamp,
    /// When the loan last changed.
    updated_at: Timestamp,
}

impl State for Loan {
    const AGGREGATE: &'static str = Created::AGGREGATE;
}

const ACTIVE: &[LoanStatus] = &[LoanStatus::Active];
const OPEN: &[LoanStatus] = &[LoanStatus::Created, LoanStatus::Active];
const LENT: &[LoanStatus] = &[LoanStatus::Active, LoanStatus::PaidOff];

impl Loan {
    /// The loan's id.
    #[must_use]
    pub fn loan_id(&self) -> LoanId {
        self.loan_id
    }

    /// The member who borrows.
    #[must_use]
    pub fn borrower_id(&self) -> &MemberId {
        &self.borrower_id
    }

    /// The loan's status.
    #[must_use]
    pub fn status(&self) -> LoanStatus {
        self.status
    }

    /// The currency of all its amounts.
    #[must_use]
    pub fn currency(&self) -> Currency {
        self.currency
    }

    /// The interest rate, in per cent a year.
    #[must_use]
    pub fn interest_rate(&self) -> InterestRate {
        self.interest_rate
    }

    /// The months over which it is paid back.
    #[must_use]
    pub fn term_months(&self) -> u32 {
        self.term_months
    }

    /// What is owed as of the last change. For a given day, use [`Self::owed_on`].
    #[must_use]
    pub fn balance(&self) -> LoanBalance {
        self.balance
    }

    /// The sum of all principal paid.
    #[must_use]
    pub fn principal_paid(&self) -> Money {
        self.principal_paid
    }

    /// The number of payments received.
    #[must_use]
    pub(crate) fn payments(&self) -> u64 {
        self.payments
    }

    /// When the loan last changed.
    #[must_use]
    pub(crate) fn updated_at(&self) -> Timestamp {
        self.updated_at
    }

    /// The amount lent: funded and drawn.
    #[must_use]
    pub fn lent(&self) -> Decimal {
        self.funded_amount.decimal() + self.drawn_amount.decimal()
    }

    /// The amount that can still be drawn.
    #[must_use]
    pub fn available(&self) -> Money {
        // Never below zero: neither funding nor draws exceed the agreed amount.
        Money::new(self.amount.decimal() - self.lent()).unwrap_or(Money::ZERO)
    }

    /// The day of the funding, from which months are counted.
    #[must_use]
    pub fn funded_on(&self) -> Option<Day> {
        self.funded_at.map(Day::of)
    }

    /// Whether a change requires a schedule that has not been made yet.
    #[must_use]
    pub fn wants_schedule(&self) -> bool {
        self.status == LoanStatus::Active && self.plans_made < self.plans_due
    }

    pub(crate) fn must_be_active(&self) -> Result<Day, Refusal> {
        match (self.status, self.funded_on()) {
            (LoanStatus::Active, Some(day)) => Ok(day),
            (status, _) => Err(Refusal::WrongStatus {
                status,
                allowed: ACTIVE,
            }),
        }
    }

    /// The number of the newest schedule; `None` if there is none yet.
    #[must_use]
    pub fn last_schedule(&self) -> Option<Sequence> {
        Sequence::new(self.schedules).ok()
    }

    pub(crate) fn next_schedule(&self) -> Result<Sequence, Refusal> {
        Sequence::new(self.schedules + 1).map_err(|_| Refusal::TooLarge)
    }

    /// What is owed on a day, including the interest of every month that has begun.
    ///
    /// # Errors
    /// [`Refusal::TooLarge`].
    pub fn owed_on(&self, today: Day) -> Result<LoanBalance, Refusal> {
        let mut balance = self.balance;
        let Some(funded_on) = self.funded_on() else {
            return Ok(balance);
        };
        while balance.months_begun < begun(funded_on, today) && !balance.open_principal.is_zero() {
            let interest = interest::of_month(balance.open_principal, self.interest_rate)?;
            let due = balance.interest_due.plus(interest);
            balance.interest_due = due.map_err(|_| Refusal::TooLarge)?;
            balance.months_begun += 1;
        }
        Ok(balance)
    }
}

/// The amount that pays the loan off: the open principal and the unpaid interest charged.
///
/// # Errors
/// [`Refusal::TooLarge`].
pub fn payoff(balance: &LoanBalance) -> Result<Money, Refusal> {
    let payoff = balance.open_principal.plus(balance.interest_due);
    payoff.map_err(|_| Refusal::TooLarge)
}

/// The number of months that have begun by a day. The n-th month begins on the day after the (n-1)-th due day; on the
/// day of funding none has begun.
fn begun(funded_on: Day, today: Day) -> u32 {
    let whole = today.months_since(funded_on);
    if funded_on.plus_months(whole) < today {
        whole + 1
    } else {
        whole
    }
}

/// An event of a loan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The loan was agreed.
    Created(Created),
    /// The money was lent.
    Funded(Funded),
    /// The terms were changed.
    Modified(Modified),
    /// A schedule was planned.
    Planned(PaymentScheduleGenerated),
    /// A payment was received.
    Paid(PaymentReceived),
    /// A draw was requested.
    DrawRequested(DrawRequested),
    /// A draw was approved and lent.
    DrawApproved(DrawApproved),
    /// A draw was rejected.
    DrawRejected(DrawRejected),
    /// The loan was paid off.
    PaidOff(PaidOff),
    /// The loan was cancelled.
    Cancelled(Cancelled),
}

impl Event {
    /// The draft of the event, with an idempotency key that names the fact.
    ///
    /// # Errors
    /// [`DraftError`] when it does not serialise.
    pub fn draft(&self) -> Result<Draft, DraftError> {
        fn named<C: Contract>(
            event: &C,
            id: LoanId,
            what: impl std::fmt::Display,
        ) -> Result<Draft, DraftError> {
            let name = events::IdempotencyKey::new(format!("loan/{id}/{what}"))?;
            Ok(Draft::of(event)?.with_idempotency_key(name))
        }
        match self {
            Self::Created(event) => named(event, event.loan_id, "created"),
            Self::Funded(event) => named(event, event.loan_id, "funded"),
            Self::Modified(event) => {
                named(event, event.loan_id, format!("modified/{}", event.version))
            }
            Self::Planned(event) => {
                named(event, event.loan_id, format!("schedule/{}", event.revision))
            }
            Self::Paid(event) => named(
                event,
                event.loan_id,
                format!("payment/{}", event.payment_id),
            ),
            Self::DrawRequested(event) => named(
                event,
                event.loan_id,
                format!("draw/{}/requested", event.draw_id),
            ),
            Self::DrawApproved(event) => named(
                event,
                event.loan_id,
                format!("draw/{}/decided", event.draw_id),
            ),
            Self::DrawRejected(event) => named(
                event,
                event.loan_id,
                format!("draw/{}/decided", event.draw_id),
            ),
            Self::PaidOff(event) => named(event, event.loan_id, "paid_off"),
            Self::Cancelled(event) => named(event, event.loan_id, "cancelled"),
        }
    }
}

/// A row that a step writes beside the loan's state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Beside {
    /// The loan's row in its borrower's partition.
    Lent(Lent),
    /// A new draw.
    Asked(Draw),
    /// A draw that was approved or rejected.
    Decided(Draw),
    /// A payment.
    Payment(Payment),
    /// A schedule.
    Schedule(Box<Schedule>),
}

/// A loan under decision: its state so far, and the events and rows of the steps taken so far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoanChange {
    state: Loan,
    events: Vec<Event>,
    beside: Vec<Beside>,
    version: Sequence,
    now: Timestamp,
}

/// The agreed terms of a new loan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Create {
    /// The new loan's id.
    pub loan_id: LoanId,
    /// The member who borrows.
    pub borrower_id: MemberId,
    /// The agreed amount: the most that can be lent.
    pub amount: Money,
    /// The currency of all amounts.
    pub currency: Currency,
    /// The interest rate, in per cent a year.
    pub interest_rate: InterestRate,
    /// The months over which it is paid back.
    pub term_months: u32,
}

/// New terms. Absent terms stay as they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Terms {
    /// The interest rate from the next month on.
    pub interest_rate: Option<InterestRate>,
    /// The months over which it is paid back, counted from the funding.
    pub term_months: Option<u32>,
}

fn rate_in_range(rate: InterestRate) -> Result<InterestRate, Refusal> {
    if rate.decimal() <= Decimal::ONE_HUNDRED {
        Ok(rate)
    } else {
        Err(Refusal::RateOutOfRange)
    }
}

fn term_in_range(months: u32) -> Result<u32, Refusal> {
    if (1..=LONGEST_TERM).contains(&months) {
        Ok(months)
    } else {
        Err(Refusal::TermOutOfRange)
    }
}

fn positive(amount: Money) -> Result<Money, Refusal> {
    if amount.is_zero() {
        Err(Refusal::AmountNotPositive)
    } else {
        Ok(amount)
    }
}

fn lendable(amount: Money) -> Result<Money, Refusal> {
    let most = interest::largest_amount();
    if amount > most {
        return Err(Refusal::AmountTooLarge { most });
    }
    positive(amount)
}

impl LoanChange {
    /// Starts a new loan. `version` is the version after the write.
    ///
    /// # Errors
    /// [`Refusal::AmountNotPositive`], [`Refusal::AmountTooLarge`], [`Refusal::RateOutOfRange`], [`Refusal::TermOutOfRange`].
    pub fn create(create: Create, version: Sequence, now: Timestamp) -> Result<Self, Refusal> {
        let state = Loan {
            loan_id: create.loan_id,
            borrower_id: create.borrower_id,
            amount: lendable(create.amount)?,
            currency: create.currency,
            interest_rate: rate_in_range(create.interest_rate)?,
            term_months: term_in_range(create.term_months)?,
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
            created_at: now,
            updated_at: now,
        };
        let created = Created {
            loan_id: state.loan_id,
            borrower_id: state.borrower_id.clone(),
            amount: state.amount,
            currency: state.currency,
            interest_rate: state.interest_rate,
            term_months: state.term_months,
            version,
        };
        let lent = Lent {
            loan_id: state.loan_id,
            created_at: now,
        };
        Ok(Self {
            state,
            events: vec![Event::Created(created)],
            beside: vec![Beside::Lent(lent)],
            version,
            now,
        })
    }

    /// Continues with a loan that was loaded. `version` is the version after the write.
    #[must_use]
    pub fn of(loan: &Loan, version: Sequence, now: Timestamp) -> Self {
        let mut state = loan.clone();
        // This clock can be behind the clock that wrote the loan last.
        state.updated_at = now.max(state.updated_at);
        Self {
            now: state.updated_at,
            state,
            events: Vec::new(),
            beside: Vec::new(),
            version,
        }
    }

    /// The loan after the steps so far.
    #[must_use]
    pub fn state(&self) -> &Loan {
        &self.state
    }

    /// The events of the steps so far.
    #[must_use]
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// The rows that the steps write beside the loan's state.
    #[must_use]
    pub fn beside(&self) -> &[Beside] {
        &self.beside
    }

    /// The payment that the steps took, if any.
    #[must_use]
    pub fn payment(&self) -> Option<&Payment> {
        self.beside.iter().find_map(|row| match row {
            Beside::Payment(payment) => Some(payment),
            _ => None,
        })
    }

    fn enter(&mut self, to: LoanStatus) -> Result<(), Refusal> {
        LOAN.check(self.state.status, to)?;
        self.state.status = to;
        Ok(())
    }

    fn must_be(&self, allowed: &'static [LoanStatus]) -> Result<(), Refusal> {
        let status = self.state.status;
        if allowed.contains(&status) {
            Ok(())
        } else {
            Err(Refusal::WrongStatus { status, allowed })
        }
    }

    /// Funds the loan with the agreed amount or less.
    ///
    /// # Errors
    /// [`Refusal::IllegalTransition`], [`Refusal::AmountNotPositive`], [`Refusal::FundingTooLarge`].
    pub fn fund(mut self, amount: Option<Money>) -> Result<Self, Refusal> {
        let agreed = self.state.amount;
        let amount = positive(amount.unwrap_or(agreed))?;
        self.enter(LoanStatus::Active)?;
        if amount > agreed {
            return Err(Refusal::FundingTooLarge { amount: agreed });
        }
        self.state.funded_amount = amount;
        self.state.funded_at = Some(self.now);
        self.state.balance.open_principal = amount;
        self.state.plans_due += 1;
        self.events.push(Event::Funded(Funded {
            loan_id: self.state.loan_id,
            borrower_id: self.state.borrower_id.clone(),
            funded_amount: amount,
            currency: self.state.currency,
            funded_at: self.now,
            version: self.version,
        }));
        Ok(self)
    }

    /// Changes the terms. Terms that are already in force change nothing and create no event.
    ///
    /// # Errors
    /// [`Refusal::WrongStatus`], [`Refusal::RateOutOfRange`], [`Refusal::TermOutOfRange`], [`Refusal::TermTooShort`].
    pub fn modify(mut self, terms: Terms) -> Result<Self, Refusal> {
        self.must_be(OPEN)?;
        let rate = rate_in_range(terms.interest_rate.unwrap_or(self.state.interest_rate))?;
        let months = term_in_range(terms.term_months.unwrap_or(self.state.term_months))?;
        if (rate, months) == (self.state.interest_rate, self.state.term_months) {
            return Ok(self);
        }
        let is_funded = self.state.status == LoanStatus::Active;
        if is_funded {
            // Months that have begun are charged at the old rate.
            self.state.balance = self.state.owed_on(Day::of(self.now))?;
            let at_least = self.state.balance.months_begun.max(1);
            if months < at_least && months != self.state.term_months {
                return Err(Refusal::TermTooShort { at_least });
            }
            self.state.plans_due += 1;
        }
        self.state.interest_rate = rate;
        self.state.term_months = months;
        self.events.push(Event::Modified(Modified {
            loan_id: self.state.loan_id,
            borrower_id: self.state.borrower_id.clone(),
            interest_rate: rate,
            term_months: months,
            balance: is_funded.then_some(self.state.balance),
            version: self.version,
        }));
        Ok(self)
    }

    /// Cancels the loan before it is funded.
    ///
    /// # Errors
    /// [`Refusal::IllegalTransition`].
    pub fn cancel(mut self, reason: Option<Text<500>>) -> Result<Self, Refusal> {
        self.enter(LoanStatus::Cancelled)?;
        self.events.push(Event::Cancelled(Cancelled {
            loan_id: self.state.loan_id,
            borrower_id: self.state.borrower_id.clone(),
            reason,
            version: self.version,
        }));
        Ok(self)
    }

    /// Requests a draw: more of the agreed amount.
    ///
    /// # Errors
    /// [`Refusal::WrongStatus`], [`Refusal::AmountNotPositive`], [`Refusal::DrawTooLarge`], [`Refusal::TooLarge`].
    pub fn request_draw(
        mut self,
        draw_id: DrawId,
        amount: Money,
        by: Text<64>,
    ) -> Result<Self, Refusal> {
        self.must_be(ACTIVE)?;
        let available = self.state.available();
        if positive(amount)? > available {
            return Err(Refusal::DrawTooLarge { available });
        }
        let open = self.state.open_draws_amount.plus(amount);
        self.state.open_draws_amount = open.map_err(|_| Refusal::TooLarge)?;
        self.state.open_draws += 1;
        let draw = Draw {
            draw_id,
            loan_id: self.state.loan_id,
            amount,
            status: DrawStatus::Requested,
            requested_by: by.clone(),
            requested_at: self.now,
            decided_by: None,
            decided_at: None,
            reason: None,
        };
        self.beside.push(Beside::Asked(draw));
        self.events.push(Event::DrawRequested(DrawRequested {
            draw_id,
            loan_id: self.state.loan_id,
            amount,
            currency: self.state.currency,
            requested_by: by,
            version: self.version,
        }));
        Ok(self)
    }

    fn decide(
        &mut self,
        draw: &Draw,
        status: DrawStatus,
        by: &Text<64>,
        reason: Option<Text<500>>,
    ) -> Result<(), Refusal> {
        if draw.status != DrawStatus::Requested {
            return Err(Refusal::DrawDecided {
                status: draw.status,
            });
        }
        // Saturates at zero for two reasons. A draw requested between the reads of the loan and of the draw is not
        // counted yet; the loan's version guard then rejects the commit. A draw from before open draws were counted
        // never was counted.
        let state = &mut self.state;
        state.open_draws = state.open_draws.saturating_sub(1);
        let open = state.open_draws_amount.minus(draw.amount);
        state.open_draws_amount = open.unwrap_or(Money::ZERO);
        self.beside.push(Beside::Decided(Draw {
            status,
            decided_by: Some(by.clone()),
            decided_at: Some(self.now),
            reason,
            ..draw.clone()
        }));
        Ok(())
    }

    /// Approves a draw and lends it. The draw bears interest from the next month on.
    ///
    /// # Errors
    /// [`Refusal::WrongStatus`], [`Refusal::DrawDecided`], [`Refusal::ApprovalByRequester`], [`Refusal::DrawTooLarge`],
    /// [`Refusal::TooLarge`].
    pub fn approve_draw(mut self, draw: &Draw, by: Text<64>) -> Result<Self, Refusal> {
        self.must_be(ACTIVE)?;
        self.decide(draw, DrawStatus::Approved, &by, None)?;
        if draw.requested_by == by {
            return Err(Refusal::ApprovalByRequester);
        }
        let available = self.state.available();
        if draw.amount > available {
            return Err(Refusal::DrawTooLarge { available });
        }
        let state = &mut self.state;
        state.balance = state.owed_on(Day::of(self.now))?;
        let sum = |one: Money| one.plus(draw.amount).map_err(|_| Refusal::TooLarge);
        state.drawn_amount = sum(state.drawn_amount)?;
        state.balance.open_principal = sum(state.balance.open_principal)?;
        state.plans_due += 1;
        self.events.push(Event::DrawApproved(DrawApproved {
            draw_id: draw.draw_id,
            loan_id: self.state.loan_id,
            borrower_id: self.state.borrower_id.clone(),
            amount: draw.amount,
            currency: self.state.currency,
            approved_by: by,
            balance: self.state.balance,
            version: self.version,
        }));
        Ok(self)
    }

    /// Rejects a draw.
    ///
    /// # Errors
    /// [`Refusal::WrongStatus`], [`Refusal::DrawDecided`].
    pub fn reject_draw(
        mut self,
        draw: &Draw,
        by: Text<64>,
        reason: Option<Text<500>>,
    ) -> Result<Self, Refusal> {
        // A loan can be paid off while one of its draws is still open.
        self.must_be(LENT)?;
        self.decide(draw, DrawStatus::Rejected, &by, reason.clone())?;
        self.events.push(Event::DrawRejected(DrawRejected {
            draw_id: draw.draw_id,
            loan_id: self.state.loan_id,
            amount: draw.amount,
            rejected_by: by,
            reason,
            version: self.version,
        }));
        Ok(self)
    }

    /// Takes a payment: interest first, then principal, never more than is owed. The last payment pays the loan off.
    ///
    /// # Errors
    /// [`Refusal::WrongStatus`], [`Refusal::AmountNotPositive`], [`Refusal::PaymentTooLarge`], [`Refusal::TooLarge`].
    pub fn pay(
        mut self,
        payment_id: PaymentId,
        amount: Money,
        method: Text<50>,
    ) -> Result<Self, Refusal> {
        self.must_be(ACTIVE)?;
        positive(amount)?;
        let owed = self.state.owed_on(Day::of(self.now))?;
        let payoff = payoff(&owed)?;
        if amount > payoff {
            return Err(Refusal::PaymentTooLarge { payoff });
        }
        let minus = |one: Money, other: Money| one.minus(other).map_err(|_| Refusal::TooLarge);
        let plus = |one: Money, other: Money| one.plus(other).map_err(|_| Refusal::TooLarge);
        let interest_paid = amount.min(owed.interest_due);
        let principal_paid = minus(amount, interest_paid)?;
        let state = &mut self.state;
        state.balance = LoanBalance {
            open_principal: minus(owed.open_principal, principal_paid)?,
            interest_due: minus(owed.interest_due, interest_paid)?,
            months_begun: owed.months_begun,
        };
        state.principal_paid = plus(state.principal_paid, principal_paid)?;
        state.interest_paid = plus(state.interest_paid, interest_paid)?;
        let number = Sequence::new(state.payments + 1).map_err(|_| Refusal::TooLarge)?;
        state.payments = number.number();
        self.beside.push(Beside::Payment(Payment {
            payment_id,
            loan_id: self.state.loan_id,
            number,
            amount,
            payment_method: method.clone(),
            interest_paid,
            principal_paid,
            balance: self.state.balance,
            received_at: self.now,
        }));
        self.events.push(Event::Paid(PaymentReceived {
            payment_id,
            loan_id: self.state.loan_id,
            borrower_id: self.state.borrower_id.clone(),
            amount,
            payment_method: method,
            interest_paid,
            principal_paid,
            currency: self.state.currency,
            balance: self.state.balance,
            version: self.version,
        }));
        if amount == payoff {
            self.enter(LoanStatus::PaidOff)?;
            self.events.push(Event::PaidOff(PaidOff {
                loan_id: self.state.loan_id,
                borrower_id: self.state.borrower_id.clone(),
                payment_id,
                principal_paid: self.state.principal_paid,
                interest_paid: self.state.interest_paid,
                currency: self.state.currency,
                version: self.version,
            }));
        }
        Ok(self)
    }

    /// Accepts a schedule, which covers every change so far.
    ///
    /// # Errors
    /// [`Refusal::WrongStatus`], [`Refusal::TooLarge`].
    pub fn planned(mut self, schedule: Schedule) -> Result<Self, Refusal> {
        self.must_be(ACTIVE)?;
        let event = schedule.event(&self.state, self.version)?;
        self.state.schedules = schedule.revision.number();
        self.state.plans_made = self.state.plans_due;
        self.beside.push(Beside::Schedule(Box::new(schedule)));
        self.events.push(Event::Planned(event));
        Ok(self)
    }

    /// Adds the loan, its rows and its events to a transaction; adds nothing if there are no events.
    ///
    /// # Errors
    /// [`BuildError`] when the entity is another loan's.
    pub fn save(
        &self,
        transaction: &mut Transaction,
        table: &Table,
        entity: &Entity<Loan>,
    ) -> Result<(), BuildError> {
        if self.events.is_empty() {
            return Ok(());
        }
        let drafts: Result<Vec<Draft>, DraftError> = self.events.iter().map(Event::draft).collect();
        transaction.update(entity, &self.state, drafts?)?;
        let loan_id = self.state.loan_id;
        for row in &self.beside {
            match row {
                Beside::Lent(lent) => {
                    transaction.insert(lent.key(table, &self.state.borrower_id), lent)?;
                }
                Beside::Asked(draw) => {
                    transaction.insert(Draw::key(table, loan_id, draw.draw_id), draw)?;
                }
                // Every step checks the loan's version, so the version guard protects its draws too.
                Beside::Decided(draw) => transaction.put(
                    Draw::key(table, loan_id, draw.draw_id),
                    draw,
                    Condition::Present,
                )?,
                Beside::Payment(payment) => {
                    transaction.insert(Payment::key(table, loan_id, payment.number), payment)?;
                }
                Beside::Schedule(schedule) => {
                    transaction
                        .insert(Schedule::key(table, loan_id, schedule.revision), schedule)?;
                }
            }
        }
        Ok(())
    }
}

/// The balance before the loan is funded.
const NOTHING_OWED: LoanBalance = LoanBalance {
    open_principal: Money::ZERO,
    interest_due: Money::ZERO,
    months_begun: 0,
};

#[cfg(test)]
mod tests;
